/* SPDX-License-Identifier: MIT
 *
 * A model's own preprocessing: resize, centre crop, rescale, normalise, with the bytes and floats
 * that timm's evaluation transform or the Hugging Face image processor would give.
 *
 *     vt_preprocess preprocess;
 *     vt_preprocess_from_timm(&preprocess, pretrained_cfg, err);
 *     vt_preprocess_run(&preprocess, pixels, image, 224, 224, err);
 */
#ifndef VT_VISION_PREPROCESS_H
#define VT_VISION_PREPROCESS_H

#include <jansson.h>

#include "base/threads.h"
#include "vision/resize.h"

/* How the picture gets the size that the crop is taken from. */
typedef enum vt_fit {
    VT_FIT_NONE = 0,   /* as it is */
    VT_FIT_SHORT_EDGE, /* keeping the aspect, the short edge to resize_height (== resize_width) */
    VT_FIT_STRETCH,    /* to resize_height x resize_width */
    VT_FIT_CONTAIN,    /* keeping the aspect, within resize_height x resize_width (timm "border") */
    VT_FIT_NAFLEX      /* to whole patches, as many as max_num_patches allows (SigLIP 2) */
} vt_fit;

/* How an odd margin is shared out. */
typedef enum vt_crop_rule {
    VT_CROP_TORCHVISION = 0, /* offset rounds half to even; padding rounds down */
    VT_CROP_HF               /* offset rounds down; padding rounds up */
} vt_crop_rule;

/* How a byte becomes a float. The last bit differs. */
typedef enum vt_rescale_rule {
    VT_RESCALE_NONE = 0,
    VT_RESCALE_TORCH, /* byte / 255 in F32 (ToTensor) */
    VT_RESCALE_NUMPY, /* byte * factor in F64, then to F32 (slow processors) */
    VT_RESCALE_FLOAT  /* the same, but before the resize, which is then one of floats (DINOv3) */
} vt_rescale_rule;

typedef struct vt_preprocess {
    size_t height, width; /* the input size that the configuration is written for; 0: any */
    vt_fit fit;
    size_t resize_height, resize_width; /* at that input size */
    double crop_pct; /* timm: resize size = floor(input size / crop_pct); 0: Hugging Face */
    vt_filter filter;
    bool center_crop; /* false: what the resize gives must be the input size */
    vt_crop_rule crop_rule;
    uint8_t fill[3]; /* where the crop is larger than the picture */
    vt_rescale_rule rescale;
    double rescale_factor;
    bool normalize;
    float mean[3], std[3];
    size_t patch_size, max_num_patches; /* VT_FIT_NAFLEX */
} vt_preprocess;

/* timm's `pretrained_cfg`, with resolve_data_config's defaults for what it leaves out. */
vt_status vt_preprocess_from_timm(vt_preprocess *out, const json_t *pretrained_cfg, vt_error *err);

/* preprocessor_config.json, with the defaults of the class that it names. */
vt_status vt_preprocess_from_hf(vt_preprocess *out, const json_t *preprocessor_config,
                                vt_error *err);

/* One way from pictures of one size to one input size, worked out; it may be made again and again,
 * and its memory only grows. Zeroed at first. */
typedef struct vt_preprocess_plan {
    const vt_preprocess *config;
    struct vt_preprocess_sizes {
        size_t picture_height, picture_width; /* as it is read */
        size_t full_height, full_width;       /* and before it was shrunk on load, if it was */
        size_t height, width;                 /* of the input */
    } sizes;
    vt_resize resize;
    size_t pad_top, pad_left, resized_height; /* where the resized window goes, and its rows */
    float levels[256];                        /* of VT_RESCALE_FLOAT */
    float inputs[3][256];                     /* what a byte becomes */
    size_t thread_bytes;                      /* of scratch memory */
    vt_scratch scratch;
} vt_preprocess_plan;

/* A size other than the configuration's own scales the resize with it. Not for VT_FIT_NAFLEX unless
 * the caller asks vt_naflex_size for the size first: the picture is then stretched to it. For
 * num_threads threads; does nothing where the plan is for these sizes already. `config` and `plan`
 * stay where they are while the plan is used. */
vt_status vt_preprocess_prepare(vt_preprocess_plan *plan, const vt_preprocess *config,
                                const struct vt_preprocess_sizes *sizes, size_t num_threads,
                                vt_error *err);

/* Fills pixels[3][height][width], the model's input, on the pool's threads. The same bits for any
 * number of them. */
void vt_preprocess_rows(const vt_preprocess_plan *plan, float *pixels, const vt_rows *rows,
                        const vt_kernels *kernels, vt_pool *pool);
void vt_preprocess_free(vt_preprocess_plan *plan);

/* All of it in one call, on the caller's thread. */
vt_status vt_preprocess_run(const vt_preprocess *config, float *pixels, const vt_image *image,
                            size_t height, size_t width, const vt_kernels *kernels, vt_error *err);

/* The least size at which a picture may be decoded for such an input: twice what it is resized to.
 * 0 and 0 where it is not resized. */
void vt_preprocess_shrink_size(const vt_preprocess *config, size_t height, size_t width,
                               size_t *min_height, size_t *min_width);

/* One line: "resize short edge to 142 (bicubic), centre crop 128x128, mean 0.5 0.5 0.5, std 0.5 0.5
 * 0.5". Cut to `size` bytes with its terminating zero. */
void vt_preprocess_describe(const vt_preprocess *config, char *line, size_t size, size_t height,
                            size_t width);

#endif
