/* SPDX-License-Identifier: MIT
 *
 * Image resizing that gives the bytes of Pillow (Image.resize) and the floats of torchvision
 * (F.resize with antialias=True).
 *
 * Both filter in two passes, along the rows first, with a kernel widened by the scale when
 * shrinking and normalised where it hangs over the edge. A caller that crops afterwards asks for
 * that window of the resized picture only: the rest is never computed.
 */
#ifndef VT_VISION_RESIZE_H
#define VT_VISION_RESIZE_H

#include "base/scratch.h"
#include "kernels/kernels.h"

/* Numbered as PIL.Image.Resampling, which is what preprocessor_config.json writes. */
typedef enum vt_filter {
    VT_FILTER_NEAREST = 0,
    VT_FILTER_LANCZOS = 1,
    VT_FILTER_BILINEAR = 2,
    VT_FILTER_BICUBIC = 3, /* Keys, a = -0.5 */
    VT_FILTER_BOX = 4,
    VT_FILTER_HAMMING = 5,
    VT_FILTER_COUNT
} vt_filter;

/* "bicubic"; and back: VT_FILTER_COUNT when the name is not known. */
const char *vt_filter_name(vt_filter filter);
vt_filter vt_filter_from_name(const char *name);

/* The picture resized to height x width, and the part of it that is wanted. */
typedef struct vt_resize_window {
    size_t full_height, full_width;
    size_t top, left, height, width;
} vt_resize_window;

/* All of the resized picture. */
vt_resize_window vt_resize_whole(size_t height, size_t width);

/* A picture as a resize reads it: packed 8-bit RGB in memory or, where `pixels` is NULL, made when
 * it is asked for. */
typedef struct vt_rows {
    size_t height, width;
    const uint8_t *pixels;
    size_t stride;
    /* Writes the part of `height` x `width` pixels at (top, left), and nothing else. */
    void (*read)(const void *user, uint8_t *out, size_t out_stride, size_t top, size_t height,
                 size_t left, size_t width);
    const void *user;
} vt_rows;

vt_status vt_rows_of_image(vt_rows *out, const vt_image *image, vt_error *err);

/* A resize from one size to another, worked out; a plan may be made again and again, and its memory
 * only grows. Zeroed at first. */
typedef struct vt_resize {
    vt_taps across, down; /* across->first counts from column `left` */
    size_t left, width;   /* the columns of the picture that are read */
    size_t out_width;
    bool keep_width;
    const float *levels; /* [256]: in floats, each byte being looked up first; NULL: in bytes */
    size_t most_taps;    /* rows of the picture that make up a row, at most */
    size_t row_bytes;    /* of a resized row: [out_width][3] bytes or floats */
    size_t scratch_bytes;
    vt_scratch memory;
} vt_resize;

/* `levels` must outlive the plan (rescaling before the resize, as DINOv3's processor does); with
 * VT_FILTER_BILINEAR and VT_FILTER_BICUBIC only, as in torchvision. */
vt_status vt_resize_plan(vt_resize *plan, size_t height, size_t width,
                         const vt_resize_window *window, vt_filter filter, const float *levels,
                         vt_error *err);
void vt_resize_free(vt_resize *plan);

/* Rows `begin` to `end` of the window, one after another. Rows of the picture are read once and in
 * order, those only that are needed, and kept as long as they are. */
typedef struct vt_resize_pass {
    const vt_resize *plan;
    const vt_rows *rows;
    const vt_kernels *kernels;
    size_t next, end;    /* of the window */
    size_t first, count; /* rows of the picture, resized across, that `between` holds */
    uint8_t *between, *strip;
} vt_resize_pass;

/* `scratch` has plan->scratch_bytes and is the pass's until its end. All kernels give the same
 * bytes. */
void vt_resize_begin(vt_resize_pass *pass, const vt_resize *plan, const vt_rows *rows,
                     const vt_kernels *kernels, void *scratch, size_t begin, size_t end);

/* out[plan->out_width][3], the next row; not after the last. */
void vt_resize_next(vt_resize_pass *pass, void *out);

/* All of it in one call: out[height][out_stride bytes]. */
vt_status vt_resize_u8(uint8_t *out, size_t out_stride, const vt_image *image,
                       const vt_resize_window *window, vt_filter filter, const vt_kernels *kernels,
                       vt_error *err);

#endif
