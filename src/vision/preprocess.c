/* SPDX-License-Identifier: MIT */
#include "vision/preprocess.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "formats/image.h"

/* ---- geometry ----------------------------------------------------------------------------- */

/* One picture's way into one input size: it is resized to resized_height x resized_width, of which
 * the window is kept and put at (pad_left, pad_top) of the input. */
typedef struct geometry {
    vt_resize_window window;
    size_t pad_top, pad_left;
    vt_filter filter;
} geometry;

/* The resize size that goes with an input of height x width. */
static void resize_target(const vt_preprocess *config, size_t height, size_t width,
                          size_t *target_height, size_t *target_width) {
    if (config->crop_pct > 0) {
        *target_height = (size_t)floor((double)height / config->crop_pct);
        *target_width = (size_t)floor((double)width / config->crop_pct);
    } else if (config->center_crop && config->height && config->width) {
        const double scale_y = (double)height / (double)config->height;
        const double scale_x = (double)width / (double)config->width;
        *target_height = (size_t)lrint((double)config->resize_height * scale_y);
        *target_width = (size_t)lrint((double)config->resize_width * scale_x);
    } else {
        *target_height = height;
        *target_width = width;
    }
}

/* Python's round(): half to even, which is the default rounding mode. */
static size_t round_size(double size) {
    return size < 1 ? 1 : (size_t)rint(size);
}

/* Of the picture in the file, which decoding may have shrunk. */
typedef struct picture_size {
    size_t height, width;
} picture_size;

/* timm, data/transforms.py: ResizeKeepRatio.get_params. */
static void keep_ratio(vt_resize_window *out, picture_size picture, double ratio) {
    const size_t height = round_size((double)picture.height / ratio);
    const size_t width = round_size((double)picture.width / ratio);
    *out = vt_resize_whole(height, width);
}

/* torchvision, transforms/functional.py: _compute_resized_output_size; HF the same. */
static void fit_short_edge(vt_resize_window *out, picture_size picture, size_t edge) {
    if (picture.width <= picture.height)
        *out = vt_resize_whole(
            (size_t)((double)edge * (double)picture.height / (double)picture.width), edge);
    else
        *out = vt_resize_whole(
            edge, (size_t)((double)edge * (double)picture.width / (double)picture.height));
}

static void fit_image(geometry *out, const vt_preprocess *config, picture_size picture,
                      size_t height, size_t width) {
    size_t target_height, target_width;
    resize_target(config, height, width, &target_height, &target_width);
    const double ratio_y = (double)picture.height / (double)target_height;
    const double ratio_x = (double)picture.width / (double)target_width;
    out->filter = config->filter;
    switch (config->fit) {
    case VT_FIT_NONE:
        out->window = vt_resize_whole(picture.height, picture.width);
        break;
    case VT_FIT_STRETCH:
    case VT_FIT_NAFLEX:
        out->window = vt_resize_whole(target_height, target_width);
        break;
    case VT_FIT_CONTAIN:
        keep_ratio(&out->window, picture, fmax(ratio_y, ratio_x));
        break;
    case VT_FIT_SHORT_EDGE:
        if (target_height != target_width && config->crop_pct > 0) {
            /* timm, data/transforms_factory.py, transforms_imagenet_eval: this one ResizeKeepRatio
             * is not told the interpolation, and takes its default. */
            keep_ratio(&out->window, picture, fmin(ratio_y, ratio_x));
            out->filter = VT_FILTER_BILINEAR;
        } else {
            fit_short_edge(&out->window, picture,
                           target_height > target_width ? target_height : target_width);
        }
        break;
    }
}

/* Along one axis: takes `crop` of `*size` from `*begin`, or pads by `*pad` where there is less.
 * torchvision: F.center_crop; timm: center_crop_or_pad; transformers: center_crop. */
static void crop_axis(size_t *begin, size_t *size, size_t *pad, size_t crop, vt_crop_rule rule) {
    if (crop > *size) {
        const size_t margin = crop - *size;
        *pad = rule == VT_CROP_HF ? (margin + 1) / 2 : margin / 2;
    } else {
        const size_t half = (*size - crop) / 2;
        const bool is_odd = (*size - crop) % 2 != 0;
        *begin = half + (rule == VT_CROP_TORCHVISION && is_odd && half % 2 != 0);
        *size = crop;
    }
}

static vt_status plan_geometry(geometry *out, const vt_preprocess *config,
                               const struct vt_preprocess_sizes *sizes, vt_error *err) {
    const size_t height = sizes->height, width = sizes->width;
    if (sizes->picture_height == 0 || sizes->picture_width == 0 || height == 0 || width == 0)
        return vt_fail(err, VT_ERR_ARGUMENT, "preprocessing of %zux%zu pixels to %zux%zu",
                       sizes->picture_height, sizes->picture_width, height, width);
    *out = (geometry){0};
    fit_image(out, config, (picture_size){sizes->full_height, sizes->full_width}, height, width);
    vt_resize_window *w = &out->window;
    if (config->center_crop) {
        crop_axis(&w->top, &w->height, &out->pad_top, height, config->crop_rule);
        crop_axis(&w->left, &w->width, &out->pad_left, width, config->crop_rule);
    } else if (w->height != height || w->width != width) {
        return vt_fail(
            err, VT_ERR_SHAPE,
            "preprocessing neither resizes nor crops: expected %zux%zu pixels, found %zux%zu",
            height, width, w->height, w->width);
    }
    return VT_OK;
}

void vt_preprocess_shrink_size(const vt_preprocess *config, size_t height, size_t width,
                               size_t *min_height, size_t *min_width) {
    enum { KEEP = 2 };
    *min_height = *min_width = 0;
    if (config->fit == VT_FIT_NONE)
        return;
    resize_target(config, height, width, min_height, min_width);
    *min_height *= KEEP;
    *min_width *= KEEP;
    /* A picture that keeps its aspect may lie or stand. */
    if (config->fit != VT_FIT_STRETCH && *min_height < *min_width)
        *min_height = *min_width;
    if (config->fit != VT_FIT_STRETCH && *min_width < *min_height)
        *min_width = *min_height;
}

/* ---- pixels ------------------------------------------------------------------------------- */

/* What a byte becomes before it is normalised. */
static float rescale(const vt_preprocess *config, size_t byte) {
    switch (config->rescale) {
    case VT_RESCALE_TORCH:
        return (float)byte / 255.0f;
    case VT_RESCALE_NUMPY:
    case VT_RESCALE_FLOAT:
        return (float)((double)byte * config->rescale_factor);
    case VT_RESCALE_NONE:
        break;
    }
    return (float)byte;
}

static float normalize(const vt_preprocess *config, size_t channel, float value) {
    return config->normalize ? (value - config->mean[channel]) / config->std[channel] : value;
}

/* Whether the resize is one of rescaled floats. */
static bool resizes_floats(const vt_preprocess *config) {
    return config->rescale == VT_RESCALE_FLOAT && config->fit != VT_FIT_NONE;
}

/* There are 256 bytes and three channels: all arithmetic is done in advance. */
static void fill_tables(vt_preprocess_plan *plan, const vt_preprocess *config) {
    for (size_t byte = 0; byte < 256; byte++) {
        plan->levels[byte] = rescale(config, byte);
        for (size_t c = 0; c < 3; c++)
            plan->inputs[c][byte] = normalize(config, c, plan->levels[byte]);
    }
}

/* ---- plan --------------------------------------------------------------------------------- */

static vt_status make_plan(vt_preprocess_plan *plan, const vt_preprocess *config,
                           const struct vt_preprocess_sizes *sizes, vt_error *err) {
    geometry g;
    vt_status status = plan_geometry(&g, config, sizes, err);
    if (status)
        return status;
    if (plan->config != config)
        fill_tables(plan, config);
    plan->config = NULL; /* what is half made is for no sizes */
    plan->pad_top = g.pad_top;
    plan->pad_left = g.pad_left;
    plan->resized_height = g.window.height;
    return vt_resize_plan(&plan->resize, sizes->picture_height, sizes->picture_width, &g.window,
                          g.filter, resizes_floats(config) ? plan->levels : NULL, err);
}

/* A thread's memory begins with one resized row, and the resize's own follows. */
static size_t row_room(const vt_preprocess_plan *plan) {
    return (plan->resize.row_bytes + VT_ALIGNMENT - 1) / VT_ALIGNMENT * VT_ALIGNMENT;
}

vt_status vt_preprocess_prepare(vt_preprocess_plan *plan, const vt_preprocess *config,
                                const struct vt_preprocess_sizes *sizes, size_t num_threads,
                                vt_error *err) {
    size_t bytes;
    if (plan->config && plan->config == config && memcmp(&plan->sizes, sizes, sizeof *sizes) == 0)
        return VT_OK;
    vt_status status = make_plan(plan, config, sizes, err);
    if (status)
        return status;
    if (!vt_add_size(row_room(plan), plan->resize.scratch_bytes + VT_ALIGNMENT - 1, &bytes) ||
        !vt_mul_size(bytes / VT_ALIGNMENT * VT_ALIGNMENT, num_threads, &bytes))
        return vt_fail(err, VT_ERR_LIMIT, "preprocessing of %zux%zu pixels", sizes->picture_height,
                       sizes->picture_width);
    plan->thread_bytes = bytes / num_threads;
    if (!vt_scratch_reserve(&plan->scratch, bytes))
        return vt_fail_memory(err, "preprocessing", bytes);
    plan->sizes = *sizes;
    plan->config = config;
    return VT_OK;
}

void vt_preprocess_free(vt_preprocess_plan *plan) {
    vt_resize_free(&plan->resize);
    vt_scratch_free(&plan->scratch);
    *plan = (vt_preprocess_plan){0};
}

/* ---- rows --------------------------------------------------------------------------------- */

/* A picture on its way; each task is a band of the input's rows. */
typedef struct preprocess_call {
    const vt_preprocess_plan *plan;
    const vt_kernels *kernels;
    const vt_rows *rows;
    float *pixels;
    size_t num_bands;
} preprocess_call;

/* Row y of the input, where no picture is. */
static void fill_row(const preprocess_call *call, size_t y) {
    const vt_preprocess_plan *plan = call->plan;
    const size_t height = plan->sizes.height, width = plan->sizes.width;
    const bool floats = plan->resize.levels;
    for (size_t c = 0; c < 3; c++) {
        const float fill =
            floats ? normalize(plan->config, c, 0) : plan->inputs[c][plan->config->fill[c]];
        float *out = call->pixels + (c * height + y) * width;
        for (size_t x = 0; x < width; x++)
            out[x] = fill;
    }
}

/* A resized row, as row y of the input. */
static void place_row(const preprocess_call *call, size_t y, const void *row) {
    const vt_preprocess_plan *plan = call->plan;
    const size_t height = plan->sizes.height, width = plan->sizes.width;
    const size_t count = plan->resize.out_width;
    for (size_t c = 0; c < 3; c++) {
        float *out = call->pixels + (c * height + y) * width + plan->pad_left;
        if (plan->resize.levels) {
            const float *in = row;
            for (size_t x = 0; x < count; x++)
                out[x] = normalize(plan->config, c, in[3 * x + c]);
        } else {
            const uint8_t *in = row;
            for (size_t x = 0; x < count; x++)
                out[x] = plan->inputs[c][in[3 * x + c]];
        }
    }
}

/* Rows top to top + resized_height of the input are of the picture. */
static void run_band(void *context, size_t band, size_t thread) {
    const preprocess_call *call = context;
    const vt_preprocess_plan *plan = call->plan;
    const size_t top = plan->pad_top, bottom = top + plan->resized_height;
    uint8_t *row = (uint8_t *)plan->scratch.data + thread * plan->thread_bytes;
    size_t begin;
    const size_t end = vt_share(plan->sizes.height, call->num_bands, band, &begin);
    const size_t first = begin > top ? begin : top, last = end < bottom ? end : bottom;
    vt_resize_pass pass;
    if (first < last)
        vt_resize_begin(&pass, &plan->resize, call->rows, call->kernels, row + row_room(plan),
                        first - top, last - top);
    for (size_t y = begin; y < end; y++) {
        if (y < first || y >= last || plan->resize.out_width < plan->sizes.width)
            fill_row(call, y);
        if (y >= first && y < last) {
            vt_resize_next(&pass, row);
            place_row(call, y, row);
        }
    }
}

void vt_preprocess_rows(const vt_preprocess_plan *plan, float *pixels, const vt_rows *rows,
                        const vt_kernels *kernels, vt_pool *pool) {
    preprocess_call call = {plan, kernels, rows, pixels, vt_pool_size(pool)};
    vt_pool_run(pool, run_band, &call, call.num_bands);
}

vt_status vt_preprocess_run(const vt_preprocess *config, float *pixels, const vt_image *image,
                            size_t height, size_t width, const vt_kernels *kernels, vt_error *err) {
    vt_preprocess_plan plan = {0};
    vt_rows rows;
    struct vt_preprocess_sizes sizes = {.height = height, .width = width};
    vt_status status = vt_rows_of_image(&rows, image, err);
    sizes.picture_height = rows.height;
    sizes.picture_width = rows.width;
    vt_image_full_size(image, &sizes.full_height, &sizes.full_width);
    if (!status)
        status = vt_preprocess_prepare(&plan, config, &sizes, 1, err);
    if (!status)
        vt_preprocess_rows(&plan, pixels, &rows, kernels, NULL);
    vt_preprocess_free(&plan);
    return status;
}

/* ---- in words ----------------------------------------------------------------------------- */

typedef struct line_writer {
    char *text;
    size_t size, used;
} line_writer;

static void append(line_writer *line, const char *format, ...) VT_PRINTF(2, 3);

static void append(line_writer *line, const char *format, ...) {
    if (line->used >= line->size)
        return;
    va_list args;
    va_start(args, format);
    const int length = vsnprintf(line->text + line->used, line->size - line->used, format, args);
    va_end(args);
    if (length > 0)
        line->used += (size_t)length;
}

static void describe_fit(line_writer *line, const vt_preprocess *config, size_t height,
                         size_t width) {
    const char *filter = vt_filter_name(config->filter);
    size_t h, w;
    resize_target(config, height, width, &h, &w);
    switch (config->fit) {
    case VT_FIT_NONE:
        append(line, "no resize");
        break;
    case VT_FIT_STRETCH:
        append(line, "resize to %zux%zu (%s)", h, w, filter);
        break;
    case VT_FIT_CONTAIN:
        append(line, "resize to fit into %zux%zu (%s)", h, w, filter);
        break;
    case VT_FIT_SHORT_EDGE:
        if (h != w && config->crop_pct > 0)
            append(line, "resize to cover %zux%zu (bilinear)", h, w);
        else
            append(line, "resize short edge to %zu (%s)", h > w ? h : w, filter);
        break;
    case VT_FIT_NAFLEX:
        append(line, "resize to at most %zu patches of %zux%zu (%s)", config->max_num_patches,
               config->patch_size, config->patch_size, filter);
        break;
    }
    if (config->center_crop && !(config->fit == VT_FIT_STRETCH && h == height && w == width))
        append(line, ", centre crop %zux%zu", height, width);
}

void vt_preprocess_describe(const vt_preprocess *config, char *line, size_t size, size_t height,
                            size_t width) {
    line_writer out = {line, size, 0};
    if (size > 0)
        line[0] = '\0';
    describe_fit(&out, config, height, width);
    if (config->rescale == VT_RESCALE_NONE)
        append(&out, ", no rescale");
    else if (config->rescale == VT_RESCALE_FLOAT)
        append(&out, ", resized as floats");
    if (config->rescale != VT_RESCALE_NONE && fabs(config->rescale_factor * 255 - 1) > 1e-6)
        append(&out, ", rescale by %g", config->rescale_factor);
    if (!config->normalize) {
        append(&out, ", not normalised");
        return;
    }
    append(&out, ", mean %g %g %g", (double)config->mean[0], (double)config->mean[1],
           (double)config->mean[2]);
    append(&out, ", std %g %g %g", (double)config->std[0], (double)config->std[1],
           (double)config->std[2]);
}
