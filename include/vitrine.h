/* SPDX-License-Identifier: MIT
 *
 * vitrine: vision transformer inference. This is the only public header.
 *
 * A program that names what is in a picture:
 *
 *     #include <stdio.h>
 *     #include <vitrine.h>
 *
 *     int main(int argc, char **argv) {
 *         vt_error err = {VT_OK, "usage: classify MODEL IMAGE"};
 *         vt_model *model = NULL;
 *         vt_session *session = NULL;
 *         vt_image image = {0};
 *         vt_prediction best;
 *         const bool failed = argc != 3 || vt_model_open(&model, argv[1], NULL, &err) ||
 *                             vt_session_create(&session, model, NULL, &err) ||
 *                             vt_image_read(&image, argv[2], NULL, &err) ||
 *                             vt_classify_image(session, &image, &best, 1, &err);
 *         if (failed)
 *             fprintf(stderr, "%s\n", err.message);
 *         else
 *             printf("%.1f%% %s\n", 100 * best.score, vt_model_label(model, best.index));
 *         vt_image_free(&image);
 *         vt_session_destroy(session);
 *         vt_model_close(model);
 *         return failed;
 *     }
 *
 * Conventions. Outputs come first, options and the error last. A function that can fail returns a
 * vt_status, VT_OK being 0, and writes one line with the facts into the caller's vt_error (which may be
 * NULL). An options struct is initialised with its _INIT macro, or passed as NULL for the defaults; a
 * zero field means its default. The library never prints and never exits.
 *
 * Threads. A vt_model does not change after vt_model_open and may be shared by any number of threads. A
 * vt_session belongs to one thread at a time (vt_session_cancel apart), and uses worker threads: its own, or a
 * vt_threads that it shares with others. Results have the same bits for any number of threads, and whatever else
 * is in a batch (other backends than "native": docs/DESIGN.md). Everything else is plain data of the caller's.
 *
 * Forks. The child of a fork has no worker threads: sessions made before it go on there, with the same
 * results, on the thread that calls, and may be destroyed there. New ones have all threads. What another
 * thread was amid when the process forked is not whole in the child.
 */
#ifndef VITRINE_H
#define VITRINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
/* What the _INIT macros are in C++, which before C++20 has no initialisers that name fields. */
template <typename Struct> inline Struct vt_struct_init() {
    Struct value{};
    value.struct_size = sizeof(Struct);
    return value;
}
#define VT_STRUCT_INIT(type) vt_struct_init<type>()

extern "C" {
#else
#define VT_STRUCT_INIT(type) {.struct_size = sizeof(type)}
#endif

/* The library is compiled with -fvisibility=hidden: it exports what is declared from here to the end, and
 * nothing else. */
#pragma GCC visibility push(default)

/* CMakeLists.txt reads the version here; docs/LIBRARY.md says what it promises. */
#define VT_VERSION_MAJOR 0
#define VT_VERSION_MINOR 1
#define VT_VERSION_PATCH 0

/* "0.1.0" of the library that runs, which may be newer than the header. */
const char *vt_version(void);

/* ---- errors ------------------------------------------------------------------------------------ */

typedef enum vt_status {
    VT_OK = 0,
    VT_ERR_ARGUMENT,    /* a call's argument is out of its documented range */
    VT_ERR_MEMORY,      /* out of memory */
    VT_ERR_IO,          /* a file can't be opened, read or written */
    VT_ERR_FORMAT,      /* malformed bytes: image, safetensors, JSON */
    VT_ERR_UNSUPPORTED, /* well-formed, but nothing that vitrine knows how to run */
    VT_ERR_LIMIT,       /* over one of the caller's limits */
    VT_ERR_MISSING,     /* a file, key or tensor that must be there is not */
    VT_ERR_SHAPE,       /* a tensor's shape or type is not what the configuration asks for */
    VT_ERR_INTERNAL,    /* a defect of vitrine's */
    VT_ERR_CANCELLED,   /* vt_session_cancel was called */
    VT_ERR_NOT_FINITE   /* a weight or a result is NaN or infinite */
} vt_status;

typedef struct vt_error {
    vt_status code;
    char message[512]; /* one line, no newline, UTF-8 where the input was */
} vt_error;

/* A short name for a status, never NULL: "malformed input". */
const char *vt_status_name(vt_status status);

/* Receives warnings (an unknown tensor, a rounded size): one line, no newline. */
typedef void (*vt_log_fn)(void *user, const char *line);

/* Where the library gets its memory from. */
typedef struct vt_allocator {
    /* `bytes` (at least 1) aligned to `alignment`, a power of two; NULL: there are none. */
    void *(*allocate)(void *user, size_t bytes, size_t alignment);
    /* Takes back what `allocate` gave; not called with NULL. */
    void (*release)(void *user, void *memory);
    void *user;
} vt_allocator;

/* Has all memory of vitrine's own come from there, or, with NULL, from the C library again. For the whole
 * process, and so to be called before anything else of vitrine, while no other thread is in it and nothing is
 * allocated. Both functions are called by any thread, several at once. Decoders and the JSON reader use the C
 * library's, as do the worker threads' stacks and the mapped files. */
void vt_set_allocator(const vt_allocator *allocator);

/* ---- limits ------------------------------------------------------------------------------------ */

/* What is refused of files from outside, with VT_ERR_LIMIT and before memory is taken for it. 0: the default,
 * which is in brackets. docs/RELIABILITY.md says why they are what they are. */
typedef struct vt_limits {
    size_t struct_size;
    uint64_t image_pixels;  /* width * height of a picture, where vt_image_options says nothing [2^28] */
    uint64_t image_bytes;   /* of an encoded picture, likewise [2^30] */
    uint64_t weights_bytes; /* of a safetensors file [2^40] */
    uint64_t header_bytes;  /* of a safetensors file's header [100,000,000] */
    uint64_t json_bytes;    /* of any other JSON file, and of a file of labels [2^26] */
    size_t json_depth;      /* arrays and objects in one another [128]; at most 2048 */
    size_t tensors;         /* in a safetensors file [2^20] */
    size_t vocabulary;      /* of a tokenizer: one more than the largest id [2^22]; at most 2^30 */
    size_t tokens;          /* of a picture, a text or a cache, in a session, and of padding [2^24]; at most 2^30 */
    bool follow_links;      /* also open files of a model that are links out of its directory [false]. Links within
                             * the Hugging Face cache, from a snapshot to its blobs, are always followed */
} vt_limits;
#define VT_LIMITS_INIT VT_STRUCT_INIT(vt_limits)

/* For the whole process, and so to be called before anything else of vitrine that opens files, while no other
 * thread is in it. NULL: the defaults. */
vt_status vt_set_limits(const vt_limits *limits, vt_error *err);

/* ---- images ------------------------------------------------------------------------------------ */

/* 8-bit sRGB, three bytes a pixel, rows top to bottom, upright. `pixels` is owned by the image. */
typedef struct vt_image {
    size_t width, height;
    size_t stride; /* bytes from one row to the next, at least 3 * width */
    uint8_t *pixels;
    /* Of the picture in the file, upright: larger than width and height where it was shrunk on load.
     * What preprocessing resizes to follows from these. 0: the same. */
    size_t full_width, full_height;
} vt_image;

typedef struct vt_image_options {
    size_t struct_size;
    uint64_t max_pixels;    /* width * height; 0: the process's, see vt_limits */
    uint64_t max_bytes;     /* of the encoded file; 0: likewise */
    uint8_t background[3];  /* what shows through where alpha is not opaque; set use_background */
    bool use_background;    /* false: white */
    bool drop_alpha;        /* keep the colours under the alpha, as Pillow's convert("RGB") does */
    bool ignore_orientation; /* leave the pixels as stored, whatever EXIF says */
    /* Shrink on load: a JPEG is decoded at 1/8, 1/4 or 1/2 of its size where that leaves at least so many
     * pixels in each direction, which takes less time and memory. Both 0: at its full size. Other formats
     * and smaller pictures are not affected. max_pixels is of the picture in the file. */
    size_t min_width, min_height;
} vt_image_options;
#define VT_IMAGE_OPTIONS_INIT VT_STRUCT_INIT(vt_image_options)

/* Decodes PNG, JPEG, WebP, GIF (first frame), BMP, TGA, PSD, PNM or Radiance HDR, told apart by their
 * first bytes. On success *out owns its pixels: release with vt_image_free. */
vt_status vt_image_decode(vt_image *out, const void *bytes, size_t size,
                          const vt_image_options *options, vt_error *err);

/* vt_image_decode of a file's bytes; "-" reads standard input to its end. */
vt_status vt_image_read(vt_image *out, const char *path, const vt_image_options *options,
                        vt_error *err);

/* Frees the pixels and zeroes the struct. */
void vt_image_free(vt_image *image);

/* ---- frames of a camera ------------------------------------------------------------------------ */

typedef enum vt_pixel_format {
    VT_PIXEL_RGB24 = 0,      /* bytes R G B */
    VT_PIXEL_BGR24,          /* bytes B G R */
    VT_PIXEL_RGBA,           /* bytes R G B and one that is not looked at */
    VT_PIXEL_BGRA,           /* bytes B G R and one that is not looked at */
    VT_PIXEL_GRAY8,          /* one byte, 0 to 255 */
    VT_PIXEL_RGB_PLANAR_F32, /* planes R, G, B of floats, 0 to 1; each is taken for the nearest of 256 levels */
    VT_PIXEL_NV12,           /* planes Y and, for each 2 x 2 pixels, bytes U V */
    VT_PIXEL_I420,           /* planes Y and, for each 2 x 2 pixels, U and V */
    VT_PIXEL_YUYV,           /* bytes Y0 U Y1 V for two pixels of a row (YUY2) */
    VT_PIXEL_UYVY,           /* bytes U Y0 V Y1 */
    VT_PIXEL_MJPEG,          /* a JPEG picture; its EXIF orientation is not looked at */
    VT_PIXEL_COUNT
} vt_pixel_format;

/* "nv12", as ffmpeg would call it where it has a name; and back: VT_PIXEL_COUNT when the name is not known. */
const char *vt_pixel_format_name(vt_pixel_format format);
vt_pixel_format vt_pixel_format_from_name(const char *name);

typedef enum vt_yuv_matrix {
    VT_YUV_BT601 = 0, /* ITU-R BT.601: standard definition, webcams */
    VT_YUV_BT709      /* ITU-R BT.709: high definition */
} vt_yuv_matrix;

/* A picture in the caller's memory, which is only read, while vt_session_run runs, and never copied whole.
 * Chroma is not interpolated: the pixels of a pair or square have the same, as in libyuv and OpenCV. What is
 * cut out and turned is done before the model's own preprocessing. */
typedef struct vt_frame {
    size_t struct_size;
    vt_pixel_format format;
    size_t width, height;  /* in pixels, as stored; odd ones have ceil(n / 2) chroma samples. MJPEG: not used */
    const void *planes[3]; /* as many as the format has */
    size_t strides[3];     /* bytes from one row to the next; 0: the least, rows without gaps */
    size_t size;           /* MJPEG: the bytes at planes[0]; else not used */
    vt_yuv_matrix matrix;  /* of Y, U and V */
    bool full_range;       /* Y, U and V from 0 to 255; false: Y from 16 to 235, U and V from 16 to 240 */
    size_t crop_left, crop_top;     /* the part that is looked at, in stored pixels */
    size_t crop_width, crop_height; /* 0: to the right, or lower, edge */
    unsigned rotate;       /* then clockwise by 0, 90, 180 or 270 degrees */
    bool mirror;           /* then left and right are exchanged */
} vt_frame;
#define VT_FRAME_INIT VT_STRUCT_INIT(vt_frame)

/* The bytes of a frame whose rows and planes have no gaps, one plane after another, as ffmpeg's rawvideo has
 * them; 0 for MJPEG, and where they do not fit in a size_t. */
size_t vt_frame_bytes(vt_pixel_format format, size_t width, size_t height);

/* Sets format, width, height, planes and strides for such memory (MJPEG: planes and size), and leaves the other
 * fields. VT_ERR_ARGUMENT when `size` is less than vt_frame_bytes. */
vt_status vt_frame_set_packed(vt_frame *frame, vt_pixel_format format, size_t width, size_t height,
                              const void *data, size_t size, vt_error *err);

/* ---- tensors and tensor files ------------------------------------------------------------------ */

typedef enum vt_dtype {
    VT_DTYPE_F64, VT_DTYPE_F32, VT_DTYPE_F16, VT_DTYPE_BF16,
    VT_DTYPE_I64, VT_DTYPE_I32, VT_DTYPE_I16, VT_DTYPE_I8,
    VT_DTYPE_U64, VT_DTYPE_U32, VT_DTYPE_U16, VT_DTYPE_U8, VT_DTYPE_BOOL,
    VT_DTYPE_F8_E4M3, VT_DTYPE_F8_E5M2
} vt_dtype;

enum { VT_MAX_DIMS = 8 };

/* A dense row-major tensor. The strings and data belong to whatever returned it. */
typedef struct vt_tensor {
    const char *name;
    vt_dtype dtype;
    size_t ndim;
    size_t shape[VT_MAX_DIMS];
    const void *data;
    size_t size; /* bytes */
} vt_tensor;

/* "F32"; bytes of one element. */
const char *vt_dtype_name(vt_dtype dtype);
size_t vt_dtype_size(vt_dtype dtype);

/* A safetensors file, read through mmap: header length, JSON, offsets, overlaps, shapes and file size
 * are checked when it is opened. */
typedef struct vt_tensor_file vt_tensor_file;
vt_status vt_tensor_file_open(vt_tensor_file **out, const char *path, vt_error *err);
void vt_tensor_file_close(vt_tensor_file *file);
size_t vt_tensor_file_count(const vt_tensor_file *file);
/* Tensors in the order of their data. Valid until the file is closed. */
const vt_tensor *vt_tensor_file_at(const vt_tensor_file *file, size_t index);
/* NULL when there is none of that name. */
const vt_tensor *vt_tensor_file_find(const vt_tensor_file *file, const char *name);

/* Writes tensors to a safetensors file, as PATH.part, which takes PATH's place when all is written; what is no
 * regular file (a pipe, /dev/stdout) is written as it is. Likewise vt_npy_write and vt_model_pack. */
vt_status vt_tensor_file_write(const char *path, const vt_tensor *tensors, size_t count,
                               vt_error *err);

/* Writes one tensor as NumPy's .npy. VT_ERR_UNSUPPORTED for a type that NumPy does not have. */
vt_status vt_npy_write(const char *path, const vt_tensor *tensor, vt_error *err);

/* ---- models ------------------------------------------------------------------------------------ */

typedef struct vt_model vt_model;

/* How a learned table of positions is resized to another grid; see docs/MODELS.md. */
typedef enum vt_pos_resize {
    VT_POS_RESIZE_AUTO = 0,          /* the family's own rule */
    VT_POS_RESIZE_BICUBIC,           /* A = -0.75, align_corners false (Hugging Face ViT) */
    VT_POS_RESIZE_BICUBIC_ANTIALIAS, /* A = -0.5, widened when shrinking (timm) */
    VT_POS_RESIZE_BICUBIC_OFFSET,    /* scale factor (n + 0.1) / M (DINOv2, as first published) */
    VT_POS_RESIZE_BICUBIC_CORNERS,   /* align_corners true (torchvision) */
    VT_POS_RESIZE_BILINEAR,
    VT_POS_RESIZE_BILINEAR_ANTIALIAS,
    VT_POS_RESIZE_BILINEAR_CORNERS,
    VT_POS_RESIZE_COUNT
} vt_pos_resize;

/* "bicubic-antialias"; and back: VT_POS_RESIZE_COUNT when the name is not known. */
const char *vt_pos_resize_name(vt_pos_resize rule);
vt_pos_resize vt_pos_resize_from_name(const char *name);

typedef struct vt_model_options {
    size_t struct_size;
    const char *labels_path;  /* a text file, one label a line; NULL: the configuration's own */
    const char *kernels;      /* "avx512", "avx2", "neon", "scalar"; NULL: the fastest here */
    vt_pos_resize pos_resize;
    size_t patch_size;        /* patches to run with, the kernels resized (FlexiViT); 0: the model's */
    /* Of rotary positions, instead of the configuration's own: "linear:4" (position interpolation), "ntk:2",
     * "dynamic:4", "yarn:4", each with its factor, or "none". NULL: as configured. VT_ERR_ARGUMENT for
     * anything else, VT_ERR_UNSUPPORTED where a model has no rotary positions. */
    const char *rope_scaling;
    /* What matrices are kept as: "f32", "f16", "bf16", or "int8" for those of the blocks, whose products are
     * then computed in integers (docs/SPEED.md says what that changes). NULL: as the checkpoint has them.
     * Other than with "int8", or a backend, all is computed in F32. */
    const char *precision;
    /* Who multiplies the blocks' matrices: "native", "blas" (OpenBLAS, F32 alone), "onednn" (F32, BF16 and
     * INT8), or "auto", as NULL, which goes by what the processor has (docs/DESIGN.md). A named one
     * that the library was built without, or that does not multiply in `precision`, is
     * VT_ERR_UNSUPPORTED. "onednn" rounds what it multiplies with BF16 matrices to BF16 too. */
    const char *backend;
    size_t num_threads;       /* that opening may use; 0: one for each core the process may use */
    vt_log_fn log;            /* NULL: warnings are dropped */
    void *log_user;
    /* Look at every weight that is used: VT_ERR_NOT_FINITE names the tensor with one that is NaN or infinite.
     * Without it such weights are noticed by the results of a pass, which say nothing of where they come from.
     * Takes as long as reading the weights does. */
    bool check_finite;
} vt_model_options;
#define VT_MODEL_OPTIONS_INIT VT_STRUCT_INIT(vt_model_options)

/* Weight files are mapped. As with any mapped file, cutting one short in place while it is opened, or, a packed one,
 * while the model is open, ends the process with SIGBUS (the command turns that into a message): a file is replaced
 * by renaming another over it. Pictures and JSON are read, and may change at any time. */

/* Opens a checkpoint as it was published: a directory with config.json and model.safetensors (or
 * model.safetensors.index.json and its shards), or the path of one .safetensors file whose config.json
 * lies beside it. Weights are laid out for the processor once. */
vt_status vt_model_open(vt_model **out, const char *path, const vt_model_options *options,
                        vt_error *err);
void vt_model_close(vt_model *model);

/* Whether vt_model_open of the path would know the model: reads its configuration and the headers of its weights,
 * in milliseconds whatever their size, and says as vt_model_open would what it can't run. That all tensors are
 * there is only seen on opening. */
vt_status vt_model_check(const char *path, vt_error *err);

/* Writes the model's weights as they lie in memory, to a file that vt_model_open maps and uses in place when
 * it is named packed.safetensors and config.json lies beside it, as do the other JSON files. Such a file is
 * good for processors with the same kernels, and for the options that it was packed with. */
vt_status vt_model_pack(const vt_model *model, const char *path, vt_error *err);

/* A model of random weights, for measuring: of timm's architecture of that name ("vit_base_patch16_224"),
 * which takes the time and memory that a trained one does. The weights are the same on every machine, of
 * the sizes that trained ones have; tensors of one shape have the same values. VT_ERR_ARGUMENT for a name
 * that vt_model_arch_name does not list. */
vt_status vt_model_create_random(vt_model **out, const char *arch, const vt_model_options *options,
                                 vt_error *err);

/* The architectures that vt_model_create_random knows; NULL past the end. */
const char *vt_model_arch_name(size_t index);

/* The label of a class: never NULL; "class 17" where the checkpoint names none. */
const char *vt_model_label(const vt_model *model, size_t index);

/* What a model is. Strings belong to the model. */
typedef struct vt_model_info {
    const char *path;
    const char *family;       /* "timm VisionTransformer" */
    const char *architecture; /* as the configuration names it: "vit_base_patch16_224" */
    const char *weights;      /* storage type of most weights: "F16" */
    const char *kernels;      /* "avx512" */
    const char *backend;      /* of the blocks' matrices: "native" */
    const char *precision;    /* what the blocks' matrices are kept as: "f16" */
    size_t num_classes, num_parameters;
    size_t width, depth, num_heads, head_dim, mlp_dim, patch_size;
    size_t num_prefix_tokens; /* class, distillation and register tokens */
    size_t image_height, image_width; /* native */
    const char *norm;         /* "LayerNorm" or "RMSNorm" */
    float norm_eps;
    const char *activation;   /* of the MLP: "GELU (erf)" */
    bool gated_mlp;           /* SwiGLU and its kin */
    const char *pooling;      /* "class token" */
    const char *positions;    /* "learned 2D table" */
    size_t num_pos_prefix;    /* prefix tokens that have a row in the table */
    const char *pos_resize;   /* the rule in force */
    bool embed_norm;          /* a norm between the embeddings and the first block (CLIP) */
    const char *attention;    /* what a token sees: "full" */
    bool multi_label;         /* scores are sigmoids, not a softmax */
    float mean[3], std[3];    /* of the normalisation */
    char preprocessing[256];  /* one line: "resize short edge to 256 (bicubic), centre crop 224x224, …" */
} vt_model_info;
void vt_model_describe(vt_model_info *out, const vt_model *model);

/* The tensors of the checkpoint, `used` telling whether the model binds it. NULL past the end. */
const vt_tensor *vt_model_tensor(const vt_model *model, size_t index, bool *used);

/* What one forward pass of `batch` pictures costs, before it is run. */
typedef struct vt_model_plan {
    size_t input_height, input_width; /* after rounding to whole patches */
    size_t grid_height, grid_width;
    size_t num_tokens;                /* a picture, prefix tokens included */
    size_t tokens_left;               /* of these after the last block: fewer where tokens are merged */
    bool positions_resized;
    double flops;                     /* a picture; a multiply-add is two */
    double flops_patch_embed, flops_attention, flops_linear, flops_head;
    size_t workspace_bytes;           /* what a session of that batch allocates */
    size_t weight_bytes;              /* packed weights, shared by all sessions */
} vt_model_plan;
vt_status vt_model_plan_forward(vt_model_plan *out, const vt_model *model, size_t batch,
                                size_t height, size_t width, size_t num_threads, vt_error *err);

/* The GFLOP/s that `num_threads` threads (0: one for each core) reach together with the model's kernels
 * where nothing but multiply-adds in registers is done: what a forward pass's rate may be held against.
 * Takes some 30 ms. */
vt_status vt_measure_peak_gflops(double *out, const vt_model *model, size_t num_threads,
                                 vt_error *err);

/* Cores that this process may use, at least 1: the number of threads where none is given. */
size_t vt_num_processors(void);

/* ---- sessions ---------------------------------------------------------------------------------- */

typedef struct vt_session vt_session;

/* Worker threads, which sessions may share: they sleep when there is nothing to do. On Linux they run on
 * any processor that the thread which creates them may use but the one that a call comes from, if there
 * are enough; where somebody else sets a worker's affinity, it stays. */
typedef struct vt_threads vt_threads;

/* `num_threads` counts the thread that calls: one less are started. 0: one for each core that the process
 * may use. Sessions that use them are destroyed first. */
vt_status vt_threads_create(vt_threads **out, size_t num_threads, vt_error *err);
void vt_threads_destroy(vt_threads *threads);

typedef struct vt_session_options {
    size_t struct_size;
    size_t height, width; /* of the input; 0: the model's own. Rounded to whole patches. For a NaFlex
                           * model as many patches are the budget, whatever the aspect. */
    size_t batch;         /* pictures a forward pass holds at most; 0: 1 */
    size_t text_batch;    /* texts a forward pass holds at most; 0: 1 */
    size_t text_tokens;   /* tokens of a text, or of a step, at most; 0: the model's positions, 512 at
                           * most, and none in a model of pictures alone */
    size_t cache_tokens;  /* tokens that vt_session_step remembers; 0: no steps. With a sliding window
                           * the memory is the window's, whatever this says. */
    /* The length of text that a rotary scaling which depends on it (dynamic NTK, LongRoPE) is set for. 0: the
     * longest so far, which is the tokens of a vt_session_forward_text, and all that were given since the
     * last reset, with those of the call, of a vt_session_step. Keys in the cache keep the rotation of
     * their own step, as in transformers; steps equal one whole pass when this is set. */
    size_t rope_length;
    bool features;        /* vt_session_features will be asked for: the last block computes all tokens */
    /* Pairs of a picture's tokens that each block merges, those whose keys are most alike (ToMe, Bolya et al.
     * 2023): faster, and results close to those without (docs/SPEED.md). At most half of the patch tokens are
     * merged in a block; class, distillation and register tokens never are. 0: none. VT_ERR_UNSUPPORTED where
     * attention depends on places (rotary positions, BEiT's bias), for NaFlex, for blocks that do not begin
     * with their norms, and where pooling takes a maximum. */
    size_t merge;
    size_t num_threads;   /* 0: one for each core the process may use */
    /* Threads shared with other sessions, in place of its own; num_threads is then not looked at. Where
     * several sessions run at once, one has them and each of the others goes on with its own thread
     * until they are free. NULL: threads of its own. */
    vt_threads *threads;
    /* Stages of a pass of pictures have the attention too: memory for one block's. VT_ERR_UNSUPPORTED together
     * with `merge`. */
    bool attention;
} vt_session_options;
#define VT_SESSION_OPTIONS_INIT VT_STRUCT_INIT(vt_session_options)

/* vt_model_plan_forward for a session of these options, `features` and `merge` among them. */
vt_status vt_model_plan_session(vt_model_plan *out, const vt_model *model,
                                const vt_session_options *options, vt_error *err);

/* Allocates all that forward passes of that size need; none of the calls below allocates. The model
 * must outlive the session. */
vt_status vt_session_create(vt_session **out, const vt_model *model,
                            const vt_session_options *options, vt_error *err);
void vt_session_destroy(vt_session *session);

/* The input that the session takes, after rounding to whole patches. */
void vt_session_input_size(const vt_session *session, size_t *height, size_t *width);

/* The model's own preprocessing: resize, crop, rescale, normalise, to pixels[3][height][width] of the
 * session's input size. This one allocates what the resize needs and frees it again. Does not touch the
 * session's workspace, so that several threads may preprocess for one session. */
vt_status vt_session_preprocess(const vt_session *session, float *pixels, const vt_image *image,
                                vt_error *err);

/* What to set vt_image_options.min_height and min_width to for this session: twice the size that its
 * preprocessing resizes to, so that resizing still does the last halving. Scores then differ from those of
 * exact decoding by about as much as those of the same picture saved as a JPEG of another quality
 * (docs/SPEED.md). 0 and 0 where nothing is resized. */
void vt_session_shrink_size(const vt_session *session, size_t *min_height, size_t *min_width);

/* Hands each stage of a forward pass to `fn` as it is computed, all tokens of it. Names: pos, embeddings, block0,
 * block1, …, features, pooled, logits (docs/CLI.md, `dump`). Valid during the call only.
 * Where the session was created with `attention`, each block's stage comes after block0.attention, …: how much of
 * each key's value a query takes, [count][num_heads][tokens][tokens], rows of sum 1, computed for the listener with
 * the queries and keys that the block uses (norms, rotations and biases included). */
typedef void (*vt_stage_fn)(void *user, const vt_tensor *stage);
void vt_session_on_stage(vt_session *session, vt_stage_fn fn, void *user);

/* Runs `count` (1..batch) normalised pictures, pixels[count][3][height][width]. This pass and those below end
 * with VT_ERR_NOT_FINITE where a result is NaN or infinite, whichever weight, pixel or sum made it so: no score
 * is ever anything but a number. The results are then there to be looked at, as are the stages. */
vt_status vt_session_forward(vt_session *session, const float *pixels, size_t count, vt_error *err);

/* ---- pictures that keep their aspect (SigLIP 2 NaFlex) ---- */

/* Whether each picture has an input size of its own. */
bool vt_model_is_naflex(const vt_model *model);

/* The input size of a picture: the session's, or, for a NaFlex model, the largest of its aspect that the
 * session's budget of patches allows. vt_session_preprocess_to fills pixels[3][height][width] of it. */
vt_status vt_session_fit_size(const vt_session *session, const vt_image *image, size_t *height,
                              size_t *width, vt_error *err);
vt_status vt_session_preprocess_to(const vt_session *session, float *pixels, const vt_image *image,
                                   size_t height, size_t width, vt_error *err);

/* Floats of one picture's pixels at most. */
size_t vt_session_picture_floats(const vt_session *session);

/* Runs `count` pictures, each pixels[i][3][heights[i]][widths[i]], padded to one length and masked. May
 * allocate a position table the first time that it meets a size. */
vt_status vt_session_forward_naflex(vt_session *session, const float *const *pixels,
                                    const size_t *heights, const size_t *widths, size_t count,
                                    vt_error *err);

/* ---- pictures of several sizes at once ---- */

/* Runs `count` (1..batch) pictures, each pixels[i][3][heights[i]][widths[i]], whole patches: their tokens lie one
 * after another and nothing is padded. No picture may have more patches than the session's size. Results are as
 * of each picture alone. May allocate a position table the first time that it meets a size. VT_ERR_UNSUPPORTED
 * for models with rotary positions or relative biases, NaFlex models, heads that read several blocks, and
 * sessions that were created with `features` or `merge`; no stage is told before "pooled". */
vt_status vt_session_forward_sizes(vt_session *session, const float *const *pixels,
                                   const size_t *heights, const size_t *widths, size_t count,
                                   vt_error *err);

/* Results of the last forward pass, owned by the session and valid until the next. */
const float *vt_session_logits(const vt_session *session); /* [count][num_classes]; NULL: no head */
const float *vt_session_pooled(const vt_session *session); /* [count][pooled_width] */
size_t vt_session_pooled_width(const vt_session *session);
/* The tokens after the last block and norm: [count][vt_session_num_tokens][pooled width], prefix tokens
 * first. NULL unless the session was created with `features`: where the class token is all that is read,
 * the last block computes no other. Where tokens are merged these are the tokens that are left, prefix tokens
 * first, the others in no order that means anything; vt_session_token_sizes [count][vt_session_num_tokens] is
 * then how many tokens each stands for. It is NULL without `features` or `merge`. */
const float *vt_session_features(const vt_session *session);
size_t vt_session_num_tokens(const vt_session *session);
const float *vt_session_token_sizes(const vt_session *session);

/* What the classifier says of each token of picture `index` of the last forward pass, the token in the place of
 * the pooled vector: logits[vt_session_num_tokens][num_classes]. Where a model classifies the mean of its patches'
 * tokens, and no norm comes between, the mean of these is its logits, and a class's column its class activation map
 * (Zhou et al. 2016); the class token's row is the logits where that is what is classified. The session must have
 * been created with `features`. VT_ERR_UNSUPPORTED where there is no classifier, or one that reads more than such a
 * vector (attention pooling, heads that read several blocks). */
vt_status vt_session_token_logits(vt_session *session, float *logits, size_t index, vt_error *err);

/* Pictures in the space that they share with texts, of length 1: [count][vt_model_embed_dim]. NULL where a
 * model has no such space. */
const float *vt_session_image_embeds(const vt_session *session);

/* Runs `count` (1..text_batch) texts of `tokens` (1..text_tokens) tokens each, ids[count][tokens].
 * mask[count][tokens] is 0 where a token is padding; NULL: none is. Stages: embeddings, block0, …, hidden
 * (after the final norm), pooled, logits; beside a tower of pictures text_embeddings, text_block0, …,
 * text_features, text_pooled, text_features_projected, text_embeds; with rotary positions rope_cos and
 * rope_sin [tokens][pairs]. VT_ERR_ARGUMENT for an id that is not in the vocabulary, VT_ERR_LIMIT for more
 * tokens than a learned table has positions. */
vt_status vt_session_forward_text(vt_session *session, const int64_t *ids, const uint8_t *mask,
                                  size_t count, size_t tokens, vt_error *err);

/* The types of the tokens of the next vt_session_forward_text, and of that alone: types[count][tokens], 0 for
 * the first of two texts and 1 for the second in BERT. NULL, as without this call: all are of type 0. */
void vt_session_set_token_types(vt_session *session, const int64_t *types);

/* Runs `tokens` (1..text_tokens) more tokens of one text, after those of earlier steps. vt_session_reset
 * begins another text. VT_ERR_LIMIT when cache_tokens are exceeded and no window slides. */
vt_status vt_session_step(vt_session *session, const int64_t *ids, size_t tokens, vt_error *err);
void vt_session_reset(vt_session *session);

/* Results of the last text: NULL where a model has no such thing. */
const float *vt_session_hidden(const vt_session *session);      /* [count][tokens][width] */
const float *vt_session_text_logits(const vt_session *session); /* [count][tokens][vocab_size] */
const float *vt_session_text_pooled(const vt_session *session); /* [count][vt_model_text_pooled_width] */
const float *vt_session_text_embeds(const vt_session *session); /* [count][vt_model_embed_dim] */

/* The width of the space that pictures and texts share; 0: there is none. */
size_t vt_model_embed_dim(const vt_model *model);
/* The logit of a picture and a text from the cosine of their embeddings: exp(scale) cos (+ bias). */
float vt_model_pair_logit(const vt_model *model, float cosine);
/* Sizes of the text tower; 0 without one. */
size_t vt_model_vocab_size(const vt_model *model);
size_t vt_model_text_width(const vt_model *model);
size_t vt_model_text_pooled_width(const vt_model *model);
/* The length that texts must be padded to, and with what, where a model was trained so (SigLIP); else 0. */
size_t vt_model_text_padding(const vt_model *model, int64_t *pad_token);
/* The token that ends a text; -1 where the configuration names none. */
int64_t vt_model_eos_token(const vt_model *model);
/* The longest text it was made for; 0: no limit. */
size_t vt_model_max_positions(const vt_model *model);

/* ---- classification ---------------------------------------------------------------------------- */

typedef struct vt_prediction {
    size_t index;
    float score; /* softmax of the logits, or their sigmoid for a multi-label model */
} vt_prediction;

/* The `k` best of one picture's logits, best first; ties go to the lower index. Returns how many were
 * written: min(k, num_classes). */
size_t vt_model_top_k(const vt_model *model, const float *logits, vt_prediction *out, size_t k);

/* Preprocess, forward and top k of one picture. Allocates as vt_session_run does. VT_ERR_UNSUPPORTED when the
 * model has no classifier. */
vt_status vt_classify_image(vt_session *session, const vt_image *image, vt_prediction *out, size_t k,
                            vt_error *err);

/* ---- frames to answers ------------------------------------------------------------------------- */

/* What is wanted of a frame, in the caller's memory: whatever is NULL is not. */
typedef struct vt_result {
    size_t struct_size;
    vt_prediction *predictions; /* [top_k], best first */
    size_t top_k;
    float *logits;       /* [num_classes] */
    float *pooled;       /* [vt_session_pooled_width] */
    float *image_embeds; /* [vt_model_embed_dim], of length 1 */
    float *features;     /* [vt_session_num_tokens][vt_session_pooled_width]; needs the option `features` */
    /* Written: */
    size_t num_predictions; /* min(top_k, num_classes) */
    double decode_ms;       /* of an MJPEG frame */
    double preprocess_ms;   /* colours, crop, resize and normalisation */
    double forward_ms;      /* of the whole call's frames together */
    size_t input_height, input_width; /* of the forward pass: of a NaFlex model, the frame's own */
} vt_result;
#define VT_RESULT_INIT VT_STRUCT_INIT(vt_result)

/* Preprocesses `count` (1..batch) frames as the model wants them, runs them, and writes what results[count] ask
 * for. Scores are as of the same picture in a PNG file. Allocates when a frame needs more memory than any before
 * it, and else not at all (libjpeg, for MJPEG, has memory of its own). On failure results are not written, and the
 * message says which of several frames was at fault ("frame 1: "). VT_ERR_UNSUPPORTED where a model has no such
 * result, VT_ERR_CANCELLED after vt_session_cancel. */
vt_status vt_session_run(vt_session *session, vt_result *results, const vt_frame *frames, size_t count,
                         vt_error *err);

/* The one call that may come from another thread while the session runs, to meet a deadline: what runs (any of
 * the passes, of frames, pictures or texts) stops before its next block and returns VT_ERR_CANCELLED; one that was about
 * to end may still end well. Results of the session are then not valid; a step (vt_session_step) was not made.
 * Does nothing when nothing runs. The session can be used on. */
void vt_session_cancel(vt_session *session);

/* ---- tokenizers -------------------------------------------------------------------------------- */

/* Text to token ids and back, as the tokenizer.json of a checkpoint says (docs/TOKENIZERS.md). Does not
 * change after it is opened and may be shared by any number of threads. */
typedef struct vt_tokenizer vt_tokenizer;

/* Opens a tokenizer.json, or the one in a directory. */
vt_status vt_tokenizer_open(vt_tokenizer **out, const char *path, vt_error *err);

/* A tokenizer of plain bytes: 256 tokens, an id is the byte's value. */
vt_status vt_tokenizer_bytes(vt_tokenizer **out, vt_error *err);
void vt_tokenizer_close(vt_tokenizer *tokenizer);

/* How many tokens a text becomes, at most and at least, special tokens included. */
typedef struct vt_token_lengths {
    size_t max_length;   /* 0: the text is not cut */
    size_t pad_length;   /* 0: no padding, unless to a multiple */
    size_t pad_multiple; /* 0 or 1: of any length */
    int64_t pad_id;
    bool truncate_left, pad_left; /* cut or fill the beginning, not the end */
} vt_token_lengths;

/* "truncation" and "padding" of the file; zero where it has none. */
void vt_tokenizer_lengths(const vt_tokenizer *tokenizer, vt_token_lengths *out);

/* The ids of `size` bytes of UTF-8; what is not well-formed is taken for U+FFFD. Special tokens that stand
 * in the text are found with and without add_special_tokens, which puts those around it that the model
 * expects. `encode` cuts and pads as the file says, `encode_to` as `lengths` says. On success the caller
 * owns *ids: release with vt_ids_free. */
vt_status vt_tokenizer_encode(const vt_tokenizer *tokenizer, const char *text, size_t size,
                              bool add_special_tokens, int64_t **ids, size_t *count, vt_error *err);
vt_status vt_tokenizer_encode_to(const vt_tokenizer *tokenizer, const char *text, size_t size,
                                 bool add_special_tokens, const vt_token_lengths *lengths,
                                 int64_t **ids, size_t *count, vt_error *err);
void vt_ids_free(int64_t *ids);

/* The text of ids, unknown ones left out. A NUL follows its *size bytes (`size` may be NULL); release with
 * vt_text_free. */
vt_status vt_tokenizer_decode(const vt_tokenizer *tokenizer, const int64_t *ids, size_t count,
                              bool skip_special_tokens, char **text, size_t *size, vt_error *err);
void vt_text_free(char *text);

/* One more than the largest id. */
size_t vt_tokenizer_vocab_size(const vt_tokenizer *tokenizer);

/* A token's string as the vocabulary has it, owned by the tokenizer; NULL when there is none of that id.
 * A NUL follows its *size bytes (`size` may be NULL). */
const char *vt_tokenizer_token(const vt_tokenizer *tokenizer, int64_t id, size_t *size);

/* The id of a token's string; -1 when there is none. */
int64_t vt_tokenizer_id(const vt_tokenizer *tokenizer, const char *token, size_t size);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
