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

static bool one_tap(const resize_axis *axis, vt_filter filter) {
    return filter == VT_FILTER_NEAREST || axis->in_size == axis->out_size;
}

static void take_taps(vt_taps *t, vt_arena *arena, const resize_axis *axis, vt_filter filter,
                      bool fixed) {
    const double scale = (double)axis->in_size / (double)axis->out_size;
    const double support = FILTERS[filter].support * (scale < 1 ? 1 : scale);
    /* One more than Pillow's: a float's rounding must not write past the end. */
    size_t room = one_tap(axis, filter) ? 1 : 2 * (size_t)ceil(support + 1) + 1;
    room = (room + VT_RESIZE_GROUP - 1) / VT_RESIZE_GROUP * VT_RESIZE_GROUP;
    size_t total = 0;
    if (!vt_mul_size(room, axis->count, &total))
        arena->overflow = true;
    t->count = axis->count;
    t->room = room;
    t->first = vt_arena_take(arena, axis->count, sizeof *t->first);
    t->length = vt_arena_take(arena, axis->count, sizeof *t->length);
    t->fixed = fixed ? vt_arena_take(arena, total, sizeof *t->fixed) : NULL;
    t->single = fixed ? NULL : vt_arena_take(arena, total, sizeof *t->single);
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
        int32_t *weights = t->fixed + i * t->room;
        memset(weights, 0, t->room * sizeof *weights);
        for (size_t j = 0; j < t->length[i]; j++) {
            const double weight = sum != 0 ? scratch[j] / sum : scratch[j];
            weights[j] = (int32_t)(weight * one + (weight < 0 ? -0.5 : 0.5));
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

/* Each output is one source pixel. The coordinate is added up step by step, as in Pillow 9,
 * src/libImaging/Geometry.c: ImagingScaleAffine, rounding errors and all; without a change of size,
 * where Resample.c leaves the pass out, it is the pixel itself. */
static void compute_one(vt_taps *t, const resize_axis *axis) {
    const double scale = (double)axis->in_size / (double)axis->out_size;
    double at = scale * 0.5;
    for (size_t i = 0; i < axis->begin + axis->count; i++, at += scale) {
        if (i < axis->begin)
            continue;
        const size_t n = i - axis->begin, index = (size_t)at;
        t->first[n] = index < axis->in_size ? index : axis->in_size - 1;
        t->length[n] = 1;
        if (t->single)
            t->single[n * t->room] = 1;
        for (size_t j = 0; t->fixed && j < t->room; j++)
            t->fixed[n * t->room + j] = j == 0 ? 1 << VT_RESIZE_BITS : 0;
    }
}

static void compute_taps(vt_taps *t, const resize_axis *axis, vt_filter filter, double *scratch) {
    if (one_tap(axis, filter))
        compute_one(t, axis);
    else if (t->single)
        compute_single(t, axis, &FILTERS[filter]);
    else
        compute_fixed(t, axis, &FILTERS[filter], scratch);
}

/* ---- plan --------------------------------------------------------------------------------- */

/* Rows of the picture that are taken at a time: the kernels share weights among some. */
enum { STRIP = 8 };

/* Rows of `between`: what one row needs, twice, so that they are seldom moved to its beginning. */
static size_t between_rows(const vt_resize *plan) {
    return 2 * plan->most_taps + STRIP;
}

static size_t strip_stride(const vt_resize *plan) {
    return CHANNELS * plan->width;
}

/* What a pass needs: `between`, then `strip`. */
static bool measure_scratch(vt_resize *plan) {
    size_t between, strip;
    return vt_mul_size(between_rows(plan), plan->row_bytes, &between) &&
           vt_mul_size(STRIP, strip_stride(plan), &strip) &&
           vt_add_size(strip, VT_RESIZE_SLACK, &strip) &&
           vt_add_size(between, strip, &plan->scratch_bytes);
}

/* Splits the window into its axes, having checked it. */
static vt_status window_axes(resize_axis *across, resize_axis *down, size_t height, size_t width,
                             const vt_resize_window *w, vt_error *err) {
    const size_t MOST = SIZE_MAX / 64; /* so that the bytes of a row can be counted */
    if (width == 0 || height == 0 || width > MOST || height > MOST || w->full_width > MOST ||
        w->full_height > MOST)
        return vt_fail(err, VT_ERR_ARGUMENT, "resize of %zux%zu pixels to %zux%zu", width, height,
                       w->full_width, w->full_height);
    if (w->width == 0 || w->height == 0 || w->width > w->full_width ||
        w->left > w->full_width - w->width || w->height > w->full_height ||
        w->top > w->full_height - w->height)
        return vt_fail(err, VT_ERR_ARGUMENT, "window of %zux%zu at %zu,%zu in %zux%zu", w->width,
                       w->height, w->left, w->top, w->full_width, w->full_height);
    *across = (resize_axis){width, w->full_width, w->left, w->width};
    *down = (resize_axis){height, w->full_height, w->top, w->height};
    return VT_OK;
}

/* Counts columns from the first that is read. */
static void find_columns(vt_resize *plan) {
    vt_taps *t = &plan->across;
    size_t begin = SIZE_MAX, end = 0;
    for (size_t i = 0; i < t->count; i++) {
        begin = t->first[i] < begin ? t->first[i] : begin;
        end = t->first[i] + t->length[i] > end ? t->first[i] + t->length[i] : end;
    }
    for (size_t i = 0; i < t->count; i++)
        t->first[i] -= begin;
    plan->left = begin;
    plan->width = end - begin;
}

static void find_most_taps(vt_resize *plan) {
    plan->most_taps = 1;
    for (size_t i = 0; i < plan->down.count; i++)
        if (plan->down.length[i] > plan->most_taps)
            plan->most_taps = plan->down.length[i];
}

vt_status vt_resize_plan(vt_resize *plan, size_t height, size_t width,
                         const vt_resize_window *window, vt_filter filter, const float *levels,
                         vt_error *err) {
    resize_axis across, down;
    vt_status status = window_axes(&across, &down, height, width, window, err);
    if (status)
        return status;
    if (levels && filter != VT_FILTER_BILINEAR && filter != VT_FILTER_BICUBIC)
        return vt_fail(err, VT_ERR_UNSUPPORTED, "%s resize of floats", vt_filter_name(filter));
    vt_arena arena = {0};
    double *scratch = NULL;
    for (int pass = 0; pass < 2; pass++) { /* the first measures */
        arena.used = 0;
        take_taps(&plan->across, &arena, &across, filter, !levels);
        take_taps(&plan->down, &arena, &down, filter, !levels);
        scratch = vt_arena_take(&arena, plan->across.room + plan->down.room, sizeof *scratch);
        if (arena.overflow)
            return vt_fail(err, VT_ERR_LIMIT, "resize from %zux%zu to %zux%zu pixels", width,
                           height, window->full_width, window->full_height);
        if (!arena.base && !vt_scratch_reserve(&plan->memory, arena.used))
            return vt_fail_memory(err, "resize weights", arena.used);
        arena.base = plan->memory.data;
    }
    compute_taps(&plan->across, &across, filter, scratch);
    compute_taps(&plan->down, &down, filter, scratch);
    find_columns(plan);
    find_most_taps(plan);
    plan->levels = levels;
    plan->out_width = window->width;
    plan->keep_width = width == window->full_width;
    plan->row_bytes = CHANNELS * window->width * (levels ? sizeof(float) : 1);
    return measure_scratch(plan) ? VT_OK
                                 : vt_fail(err, VT_ERR_LIMIT, "resize of %zu columns", plan->width);
}

void vt_resize_free(vt_resize *plan) {
    vt_scratch_free(&plan->memory);
    *plan = (vt_resize){0};
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

/* ---- pass --------------------------------------------------------------------------------- */

vt_status vt_rows_of_image(vt_rows *out, const vt_image *image, vt_error *err) {
    *out = (vt_rows){.height = image->height,
                     .width = image->width,
                     .pixels = image->pixels,
                     .stride = image->stride};
    if (image->width == 0 || image->height == 0 || image->stride / CHANNELS < image->width)
        return vt_fail(err, VT_ERR_ARGUMENT, "image of %zux%zu pixels, stride %zu", image->width,
                       image->height, image->stride);
    if (!image->pixels)
        return vt_fail(err, VT_ERR_ARGUMENT, "image of %zux%zu pixels: they are NULL", image->width,
                       image->height);
    return VT_OK;
}

void vt_resize_begin(vt_resize_pass *pass, const vt_resize *plan, const vt_rows *rows,
                     const vt_kernels *kernels, void *scratch, size_t begin, size_t end) {
    *pass = (vt_resize_pass){
        .plan = plan,
        .rows = rows,
        .kernels = kernels,
        .next = begin,
        .end = end,
        .between = scratch,
        .strip = (uint8_t *)scratch + between_rows(plan) * plan->row_bytes,
    };
}

/* Whether the picture's memory goes on for VT_RESIZE_SLACK bytes after what is read of a row. */
static bool has_slack(const vt_resize_pass *pass, size_t row) {
    const vt_rows *rows = pass->rows;
    const size_t end = row * rows->stride + CHANNELS * (pass->plan->left + pass->plan->width);
    return end + VT_RESIZE_SLACK <= (rows->height - 1) * rows->stride + CHANNELS * rows->width;
}

/* Where the columns that are read of `count` rows from `first` on lie; *stride bytes apart, and
 * VT_RESIZE_SLACK may be read after each. */
static const uint8_t *find_rows(const vt_resize_pass *pass, size_t first, size_t count,
                                size_t *stride) {
    const vt_resize *plan = pass->plan;
    const vt_rows *rows = pass->rows;
    const size_t bytes = strip_stride(plan);
    *stride = bytes;
    memset(pass->strip + count * bytes, 0, VT_RESIZE_SLACK); /* read, and weighed with zero */
    if (!rows->pixels) {
        rows->read(rows->user, pass->strip, bytes, first, count, plan->left, plan->width);
        return pass->strip;
    }
    const uint8_t *at = rows->pixels + first * rows->stride + CHANNELS * plan->left;
    if (has_slack(pass, first + count - 1)) {
        *stride = rows->stride;
        return at;
    }
    for (size_t y = 0; y < count; y++)
        memcpy(pass->strip + y * bytes, at + y * rows->stride, bytes);
    return pass->strip;
}

/* Resizes `count` rows of the picture across, to the end of `between`. */
static void add_rows(vt_resize_pass *pass, size_t count) {
    const vt_resize *plan = pass->plan;
    size_t stride;
    const uint8_t *in = find_rows(pass, pass->first + pass->count, count, &stride);
    uint8_t *out = pass->between + pass->count * plan->row_bytes;
    if (!plan->levels && !plan->keep_width)
        pass->kernels->resize_rows(out, plan->row_bytes, in, stride, count, &plan->across);
    for (size_t y = 0; y < count; y++, out += plan->row_bytes, in += stride)
        if (plan->levels)
            filter_row_f32((float *)(void *)out, in, plan->levels, &plan->across);
        else if (plan->keep_width)
            memcpy(out, in, plan->row_bytes);
    pass->count += count;
}

/* Forgets the rows before `first`. */
static void drop_rows(vt_resize_pass *pass, size_t first) {
    const size_t bytes = pass->plan->row_bytes, dropped = first - pass->first;
    const size_t left = dropped < pass->count ? pass->count - dropped : 0;
    if (left)
        memmove(pass->between, pass->between + dropped * bytes, left * bytes);
    pass->first = first;
    pass->count = left;
}

/* How many rows of the picture to read on from `at`: a strip, but none that no row is made of. */
static size_t count_rows(const vt_resize_pass *pass, size_t at) {
    const vt_taps *t = &pass->plan->down;
    size_t end = at;
    for (size_t i = pass->next; i < pass->end && end < at + STRIP && t->first[i] <= end; i++)
        if (t->first[i] + t->length[i] > end)
            end = t->first[i] + t->length[i];
    return end - at < STRIP ? end - at : STRIP;
}

/* Has `between` hold all rows that the next one is made of. */
static void read_on(vt_resize_pass *pass) {
    const vt_taps *t = &pass->plan->down;
    const size_t first = t->first[pass->next], end = first + t->length[pass->next];
    if (first >= pass->first + pass->count)
        drop_rows(pass, first);
    while (pass->first + pass->count < end) {
        const size_t count = count_rows(pass, pass->first + pass->count);
        if (pass->count + count > between_rows(pass->plan))
            drop_rows(pass, first);
        add_rows(pass, count);
    }
}

void vt_resize_next(vt_resize_pass *pass, void *out) {
    const vt_resize *plan = pass->plan;
    const vt_taps *t = &plan->down;
    read_on(pass);
    const size_t i = pass->next++, count = CHANNELS * plan->out_width;
    const uint8_t *in = pass->between + (t->first[i] - pass->first) * plan->row_bytes;
    if (t->length[i] == 1)
        memcpy(out, in, plan->row_bytes);
    else if (plan->levels)
        filter_column_f32(out, (const float *)(const void *)in, count, t->single + i * t->room,
                          t->length[i]);
    else
        pass->kernels->resize_columns(out, in, plan->row_bytes, count, t->fixed + i * t->room,
                                      t->length[i]);
}

vt_status vt_resize_u8(uint8_t *out, size_t out_stride, const vt_image *image,
                       const vt_resize_window *window, vt_filter filter, const vt_kernels *kernels,
                       vt_error *err) {
    vt_resize plan = {0};
    vt_scratch scratch = {0};
    vt_rows rows;
    vt_status status = vt_rows_of_image(&rows, image, err);
    if (!status)
        status = vt_resize_plan(&plan, rows.height, rows.width, window, filter, NULL, err);
    if (!status && !vt_scratch_reserve(&scratch, plan.scratch_bytes))
        status = vt_fail_memory(err, "resize rows", plan.scratch_bytes);
    if (!status) {
        vt_resize_pass pass;
        vt_resize_begin(&pass, &plan, &rows, kernels, scratch.data, 0, window->height);
        for (size_t y = 0; y < window->height; y++)
            vt_resize_next(&pass, out + y * out_stride);
    }
    vt_scratch_free(&scratch);
    vt_resize_free(&plan);
    return status;
}
