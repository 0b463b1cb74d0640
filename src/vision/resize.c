/* SPDX-License-Identifier: MIT */
#include "vision/resize.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

enum { CHANNELS = 3 };

static const double PI = 3.14159265358979323846;

/* ---- filters ------------------------------------------------------------------------------ */
/* Pillow 9, src/libImaging/Resample.c. x is in units of source pixels (of destination pixels when
 * shrinking); zero beyond the support. */

static double box(double x) {
    return x > -0.5 && x <= 0.5 ? 1 : 0;
}

static double bilinear(double x) {
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

static double bicubic(double x) {
    const double a = -0.5;
    x = fabs(x);
    if (x < 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

static double sinc(double x) {
    return x == 0 ? 1 : sin(x * PI) / (x * PI);
}

static double lanczos(double x) {
    return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0;
}

static double hamming(double x) {
    x = fabs(x);
    if (x >= 1)
        return 0;
    /* Pillow has these two constants in single precision. */
    return sinc(x) * (0.54f + 0.46f * cos(x * PI));
}

typedef struct filter_kernel {
    const char *name;
    double (*weight)(double x);
    double support;
} filter_kernel;

static const filter_kernel FILTERS[VT_FILTER_COUNT] = {
    [VT_FILTER_NEAREST] = {"nearest", NULL, 0},
    [VT_FILTER_LANCZOS] = {"lanczos", lanczos, 3},
    [VT_FILTER_BILINEAR] = {"bilinear", bilinear, 1},
    [VT_FILTER_BICUBIC] = {"bicubic", bicubic, 2},
    [VT_FILTER_BOX] = {"box", box, 0.5},
    [VT_FILTER_HAMMING] = {"hamming", hamming, 1},
};

const char *vt_filter_name(vt_filter filter) {
    return FILTERS[filter].name;
}

vt_filter vt_filter_from_name(const char *name) {
    size_t i = 0;
    while (i < VT_FILTER_COUNT && strcmp(FILTERS[i].name, name) != 0)
        i++;
    return (vt_filter)i;
}

vt_resize_window vt_resize_whole(size_t height, size_t width) {
    return (vt_resize_window){height, width, 0, 0, height, width};
}

/* ---- taps --------------------------------------------------------------------------------- */

/* One axis of a resize: outputs `begin` to `begin + count` of `out_size`. */
typedef struct resize_axis {
    size_t in_size, out_size, begin, count;
} resize_axis;

static void taps_free(vt_taps *t) {
    vt_free(t->first);
    vt_free(t->length);
    vt_free(t->fixed);
    vt_free(t->single);
    *t = (vt_taps){0};
}

static vt_status taps_alloc(vt_taps *t, const resize_axis *axis, double support, bool fixed,
                            vt_error *err) {
    size_t room = 2 * (size_t)ceil(support) + 1, total;
    room = (room + VT_RESIZE_GROUP - 1) / VT_RESIZE_GROUP * VT_RESIZE_GROUP;
    *t = (vt_taps){.count = axis->count, .room = room};
    if (!vt_mul_size(room, axis->count, &total))
        return vt_fail(err, VT_ERR_LIMIT, "resize from %zu to %zu pixels", axis->in_size,
                       axis->out_size);
    t->first = vt_malloc(axis->count, sizeof *t->first);
    t->length = vt_malloc(axis->count, sizeof *t->length);
    if (fixed)
        t->fixed = vt_calloc(total, sizeof *t->fixed);
    else
        t->single = vt_calloc(total, sizeof *t->single);
    if (t->first && t->length && (t->fixed || t->single))
        return VT_OK;
    taps_free(t);
    return vt_fail_memory(err, "resize weights", total);
}

/* Source pixels whose centres lie within `support` of `center`. The +0.5 rounds. */
static void set_range(vt_taps *t, size_t i, double center, double support, size_t in_size) {
    const double low = center - support + 0.5, high = center + support + 0.5;
    const size_t first = low > 0 ? (size_t)low : 0;
    const size_t end = high < (double)in_size ? (size_t)high : in_size;
    t->first[i] = first;
    t->length[i] = end - first;
}

/* Resample.c: precompute_coeffs and normalize_coeffs_8bpc. The weights are summed in order, as
 * there, because their sum decides the last bit. `scratch` holds `room` weights. */
static void compute_fixed(vt_taps *t, const resize_axis *axis, const filter_kernel *kernel,
                          double *scratch) {
    const double scale = (double)axis->in_size / (double)axis->out_size;
    const double stretch = scale < 1 ? 1 : scale;
    const double one = 1 << VT_RESIZE_BITS;
    for (size_t i = 0; i < t->count; i++) {
        const double center = ((double)(axis->begin + i) + 0.5) * scale;
        set_range(t, i, center, kernel->support * stretch, axis->in_size);
        double sum = 0;
        for (size_t j = 0; j < t->length[i]; j++) {
            const double x = (double)(j + t->first[i]) - center + 0.5;
            scratch[j] = kernel->weight(x * (1 / stretch));
            sum += scratch[j];
        }
        for (size_t j = 0; j < t->length[i]; j++) {
            const double weight = sum != 0 ? scratch[j] / sum : scratch[j];
            t->fixed[i * t->room + j] = (int32_t)(weight * one + (weight < 0 ? -0.5 : 0.5));
        }
    }
}

/* The same in single precision, as torch does: aten/src/ATen/native/cpu/UpSampleKernel.cpp,
 * HelperInterpBase::_compute_weights_aa. */
static void compute_single(vt_taps *t, const resize_axis *axis, const filter_kernel *kernel) {
    const float scale = (float)axis->in_size / (float)axis->out_size;
    const float stretch = scale < 1 ? 1 : scale;
    const float support = (float)kernel->support * stretch;
    const float shrink = 1 / stretch;
    for (size_t i = 0; i < t->count; i++) {
        float *weights = t->single + i * t->room;
        const float center = (float)(scale * ((double)(axis->begin + i) + 0.5));
        set_range(t, i, center, support, axis->in_size);
        float sum = 0;
        for (size_t j = 0; j < t->length[i]; j++) {
            const float x = (float)(((double)((float)(j + t->first[i]) - center) + 0.5) * shrink);
            weights[j] = (float)kernel->weight(x);
            sum += weights[j];
        }
        for (size_t j = 0; j < t->length[i]; j++)
            if (sum != 0)
                weights[j] /= sum;
    }
}

static vt_status taps_create(vt_taps *t, const resize_axis *axis, vt_filter filter, bool fixed,
                             vt_error *err) {
    const filter_kernel *kernel = &FILTERS[filter];
    const double scale = (double)axis->in_size / (double)axis->out_size;
    const double support = kernel->support * (scale < 1 ? 1 : scale);
    /* One more than Pillow's: a float's rounding must not write past the end. */
    vt_status status = taps_alloc(t, axis, support + 1, fixed, err);
    if (status)
        return status;
    if (!fixed) {
        compute_single(t, axis, kernel);
        return VT_OK;
    }
    double *scratch = vt_malloc(t->room, sizeof *scratch);
    if (!scratch) {
        status = vt_fail_memory(err, "resize weights", t->room * sizeof *scratch);
        taps_free(t);
        return status;
    }
    compute_fixed(t, axis, kernel, scratch);
    vt_free(scratch);
    return VT_OK;
}

/* ---- 8 bits ------------------------------------------------------------------------------- */

/* Where a pass reads: rows of packed RGB. */
typedef struct rows {
    const uint8_t *pixels;
    size_t stride;
} rows;

/* The last rows of a picture, from row `from` on, one by one in a buffer that may be read past its
 * end. */
static vt_status resize_last_rows(uint8_t *out, size_t out_stride, rows in, size_t from, size_t to,
                                  const vt_taps *t, const vt_kernels *kernels, vt_error *err) {
    const size_t bytes = CHANNELS * (t->first[t->count - 1] + t->length[t->count - 1]);
    uint8_t *row = vt_calloc(bytes + VT_RESIZE_SLACK, 1);
    if (!row)
        return vt_fail_memory(err, "resize row", bytes);
    for (size_t y = from; y < to; y++) {
        memcpy(row, in.pixels + y * in.stride, bytes);
        kernels->resize_rows(out + y * out_stride, out_stride, row, bytes, 1, t);
    }
    vt_free(row);
    return VT_OK;
}

/* Rows `first` to `first + num_rows` of the picture along x. */
static vt_status horizontal_u8(uint8_t *out, size_t out_stride, const vt_image *image, size_t first,
                               size_t num_rows, const resize_axis *axis, vt_filter filter,
                               const vt_kernels *kernels, vt_error *err) {
    vt_taps t;
    vt_status status = taps_create(&t, axis, filter, true, err);
    if (status)
        return status;
    /* Rows of which VT_RESIZE_SLACK bytes more lie within the picture. */
    const size_t margin = (VT_RESIZE_SLACK + image->stride - 1) / image->stride;
    const size_t safe = image->height > first + margin ? image->height - first - margin : 0;
    const size_t in_place = safe < num_rows ? safe : num_rows;
    const rows in = {image->pixels + first * image->stride, image->stride};
    kernels->resize_rows(out, out_stride, in.pixels, in.stride, in_place, &t);
    if (in_place < num_rows)
        status = resize_last_rows(out, out_stride, in, in_place, num_rows, &t, kernels, err);
    taps_free(&t);
    return status;
}

/* Both passes, each left out when it would change nothing, as in Resample.c: ImagingResampleInner.
 * The first goes over those rows only that the second reads. */
static vt_status resample_u8(uint8_t *out, size_t out_stride, const vt_image *image,
                             const resize_axis *across, const resize_axis *down, vt_filter filter,
                             const vt_kernels *kernels, vt_error *err) {
    const size_t row_bytes = CHANNELS * across->count;
    rows in = {image->pixels + CHANNELS * across->begin, image->stride};
    const bool keep_width = across->in_size == across->out_size;
    if (down->in_size == down->out_size) {
        if (!keep_width)
            return horizontal_u8(out, out_stride, image, down->begin, down->count, across, filter,
                                 kernels, err);
        for (size_t y = 0; y < down->count; y++)
            memcpy(out + y * out_stride, in.pixels + (down->begin + y) * in.stride, row_bytes);
        return VT_OK;
    }

    vt_taps t;
    vt_status status = taps_create(&t, down, filter, true, err);
    if (status)
        return status;
    const size_t first = t.first[0];
    const size_t num_rows = t.first[t.count - 1] + t.length[t.count - 1] - first;
    uint8_t *between = NULL;
    in.pixels += first * in.stride;
    if (!keep_width) {
        between = vt_malloc(num_rows, row_bytes);
        status = between ? horizontal_u8(between, row_bytes, image, first, num_rows, across, filter,
                                         kernels, err)
                         : vt_fail_memory(err, "resize rows", row_bytes);
        in = (rows){between, row_bytes};
    }
    for (size_t y = 0; !status && y < t.count; y++) {
        const uint8_t *from = in.pixels + (t.first[y] - first) * in.stride;
        kernels->resize_columns(out + y * out_stride, from, in.stride, row_bytes,
                                t.fixed + y * t.room, t.length[y]);
    }
    vt_free(between);
    taps_free(&t);
    return status;
}

/* The source index of each output of an axis. The coordinate is added up step by step, as in Pillow
 * 9, src/libImaging/Geometry.c: ImagingScaleAffine, rounding errors and all. */
static void nearest_indices(size_t *indices, const resize_axis *axis) {
    const double scale = (double)axis->in_size / (double)axis->out_size;
    double at = scale * 0.5;
    for (size_t i = 0; i < axis->begin + axis->count; i++, at += scale) {
        const size_t index = (size_t)at;
        if (i >= axis->begin)
            indices[i - axis->begin] = index < axis->in_size ? index : axis->in_size - 1;
    }
}

static vt_status nearest_u8(uint8_t *out, size_t out_stride, const vt_image *image,
                            const resize_axis *across, const resize_axis *down, vt_error *err) {
    size_t *columns = vt_malloc(across->count, sizeof *columns);
    size_t *lines = vt_malloc(down->count, sizeof *lines);
    vt_status status = VT_OK;
    if (columns && lines) {
        nearest_indices(columns, across);
        nearest_indices(lines, down);
        for (size_t y = 0; y < down->count; y++)
            for (size_t x = 0; x < across->count; x++)
                memcpy(out + y * out_stride + CHANNELS * x,
                       image->pixels + lines[y] * image->stride + CHANNELS * columns[x], CHANNELS);
    } else {
        status = vt_fail_memory(err, "resize", (across->count + down->count) * sizeof *columns);
    }
    vt_free(columns);
    vt_free(lines);
    return status;
}

/* Splits the window into its axes, having checked it. */
static vt_status window_axes(resize_axis *across, resize_axis *down, const vt_image *image,
                             const vt_resize_window *w, vt_error *err) {
    if (image->width == 0 || image->height == 0 || image->stride / CHANNELS < image->width)
        return vt_fail(err, VT_ERR_ARGUMENT, "image of %zux%zu pixels, stride %zu", image->width,
                       image->height, image->stride);
    if (w->width == 0 || w->height == 0 || w->width > w->full_width ||
        w->left > w->full_width - w->width || w->height > w->full_height ||
        w->top > w->full_height - w->height)
        return vt_fail(err, VT_ERR_ARGUMENT, "window of %zux%zu at %zu,%zu in %zux%zu", w->width,
                       w->height, w->left, w->top, w->full_width, w->full_height);
    *across = (resize_axis){image->width, w->full_width, w->left, w->width};
    *down = (resize_axis){image->height, w->full_height, w->top, w->height};
    return VT_OK;
}

vt_status vt_resize_u8(uint8_t *out, size_t out_stride, const vt_image *image,
                       const vt_resize_window *window, vt_filter filter, const vt_kernels *kernels,
                       vt_error *err) {
    resize_axis across, down;
    const vt_status status = window_axes(&across, &down, image, window, err);
    if (status)
        return status;
    if (filter == VT_FILTER_NEAREST)
        return nearest_u8(out, out_stride, image, &across, &down, err);
    return resample_u8(out, out_stride, image, &across, &down, filter, kernels, err);
}

/* ---- floats ------------------------------------------------------------------------------- */

static void filter_row_f32(float *out, const uint8_t *row, const float levels[256],
                           const vt_taps *t) {
    for (size_t i = 0; i < t->count; i++) {
        const uint8_t *in = row + CHANNELS * t->first[i];
        const float *weights = t->single + i * t->room;
        float sum[CHANNELS] = {0};
        for (size_t j = 0; j < t->length[i]; j++)
            for (size_t c = 0; c < CHANNELS; c++)
                sum[c] += weights[j] * levels[in[CHANNELS * j + c]];
        memcpy(out + CHANNELS * i, sum, sizeof sum);
    }
}

static void filter_column_f32(float *out, const float *in, size_t count, const float *weights,
                              size_t num_weights) {
    memset(out, 0, count * sizeof *out);
    for (size_t j = 0; j < num_weights; j++)
        for (size_t x = 0; x < count; x++)
            out[x] += weights[j] * in[j * count + x];
}

static vt_status resample_f32(float *out, const vt_image *image, const float levels[256],
                              const vt_taps *across, const vt_taps *down, vt_error *err) {
    const size_t row_size = CHANNELS * across->count;
    const size_t first = down->first[0];
    const size_t num_rows = down->first[down->count - 1] + down->length[down->count - 1] - first;
    size_t total;
    float *between =
        vt_mul_size(num_rows, row_size, &total) ? vt_malloc(total, sizeof *between) : NULL;
    if (!between)
        return vt_fail_memory(err, "resize rows", row_size);
    for (size_t y = 0; y < num_rows; y++)
        filter_row_f32(between + y * row_size, image->pixels + (first + y) * image->stride, levels,
                       across);
    for (size_t y = 0; y < down->count; y++)
        filter_column_f32(out + y * row_size, between + (down->first[y] - first) * row_size,
                          row_size, down->single + y * down->room, down->length[y]);
    vt_free(between);
    return VT_OK;
}

vt_status vt_resize_f32(float *out, const vt_image *image, const float levels[256],
                        const vt_resize_window *window, vt_filter filter, vt_error *err) {
    resize_axis across, down;
    vt_taps columns, lines;
    if (filter != VT_FILTER_BILINEAR && filter != VT_FILTER_BICUBIC)
        return vt_fail(err, VT_ERR_UNSUPPORTED, "%s resize of floats", vt_filter_name(filter));
    vt_status status = window_axes(&across, &down, image, window, err);
    if (status || (status = taps_create(&columns, &across, filter, false, err)))
        return status;
    status = taps_create(&lines, &down, filter, false, err);
    if (!status) {
        status = resample_f32(out, image, levels, &columns, &lines, err);
        taps_free(&lines);
    }
    taps_free(&columns);
    return status;
}
