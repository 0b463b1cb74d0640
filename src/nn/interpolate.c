/* SPDX-License-Identifier: MIT */
#include "nn/interpolate.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

static const char *const rule_names[VT_POS_RESIZE_COUNT] = {
    [VT_POS_RESIZE_AUTO] = "auto",
    [VT_POS_RESIZE_BICUBIC] = "bicubic",
    [VT_POS_RESIZE_BICUBIC_ANTIALIAS] = "bicubic-antialias",
    [VT_POS_RESIZE_BICUBIC_OFFSET] = "bicubic-offset",
    [VT_POS_RESIZE_BICUBIC_CORNERS] = "bicubic-corners",
    [VT_POS_RESIZE_BILINEAR] = "bilinear",
    [VT_POS_RESIZE_BILINEAR_ANTIALIAS] = "bilinear-antialias",
    [VT_POS_RESIZE_BILINEAR_CORNERS] = "bilinear-corners",
};

const char *vt_pos_resize_name(vt_pos_resize rule) {
    return rule < VT_POS_RESIZE_COUNT ? rule_names[rule] : "unknown";
}

vt_pos_resize vt_pos_resize_from_name(const char *name) {
    for (int i = 0; i < VT_POS_RESIZE_COUNT; i++)
        if (strcmp(name, rule_names[i]) == 0)
            return (vt_pos_resize)i;
    return VT_POS_RESIZE_COUNT;
}

/* Keys' cubic convolution kernel (1981); torch has a = -0.75, and -0.5 where it antialiases. */
static double cubic(double x, double a) {
    x = fabs(x);
    if (x < 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2)
        return (((x - 5) * x + 8) * x - 4) * a;
    return 0;
}

static double triangle(double x) {
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

static bool is_cubic(vt_pos_resize rule) {
    return rule == VT_POS_RESIZE_BICUBIC || rule == VT_POS_RESIZE_BICUBIC_ANTIALIAS ||
           rule == VT_POS_RESIZE_BICUBIC_OFFSET || rule == VT_POS_RESIZE_BICUBIC_CORNERS;
}

static bool is_antialiased(vt_pos_resize rule) {
    return rule == VT_POS_RESIZE_BICUBIC_ANTIALIAS || rule == VT_POS_RESIZE_BILINEAR_ANTIALIAS;
}

static size_t clamp_index(double index, size_t size) {
    if (index < 0)
        return 0;
    return index > (double)(size - 1) ? size - 1 : (size_t)index;
}

/* The input coordinate that output i is read at. */
static double source_coordinate(size_t i, size_t in, size_t out, vt_pos_resize rule) {
    if (rule == VT_POS_RESIZE_BICUBIC_CORNERS || rule == VT_POS_RESIZE_BILINEAR_CORNERS)
        return out > 1 ? (double)i * (double)(in - 1) / (double)(out - 1) : 0;
    double scale = (double)in / (double)out;
    if (rule == VT_POS_RESIZE_BICUBIC_OFFSET) /* torch is told (out + 0.1) / in and keeps it */
        scale = (double)in / ((double)out + 0.1);
    double source = ((double)i + 0.5) * scale - 0.5;
    return !is_cubic(rule) && source < 0 ? 0 : source; /* torch clamps for bilinear alone */
}

/* Interpolation proper: 2 or 4 neighbours of the source coordinate. Indices are clamped to the
 * input, so that a tap beyond the edge adds its weight to the edge's. */
static void plain_taps(vt_resample_axis *axis, size_t i, size_t in, vt_pos_resize rule) {
    double source = source_coordinate(i, in, axis->out_size, rule);
    double base = floor(source), fraction = source - base;
    int before = is_cubic(rule) ? 1 : 0, after = is_cubic(rule) ? 2 : 1;
    double *weights = axis->weights + i * axis->max_taps;
    size_t first = clamp_index(base - before, in), last = clamp_index(base + after, in);
    axis->first[i] = first;
    axis->taps[i] = last - first + 1;
    for (int t = -before; t <= after; t++) {
        double distance = fraction - t;
        double weight = is_cubic(rule) ? cubic(distance, -0.75) : triangle(distance);
        weights[clamp_index(base + t, in) - first] += weight;
    }
}

/* Antialiasing: the kernel is widened by the factor of reduction, taps outside are dropped and the
 * rest normalised to sum 1, also when enlarging. */
static void antialiased_taps(vt_resample_axis *axis, size_t i, size_t in, vt_pos_resize rule) {
    double scale = (double)in / (double)axis->out_size;
    double widening = scale > 1 ? scale : 1;
    double support = (is_cubic(rule) ? 2 : 1) * widening;
    double center = scale * ((double)i + 0.5);
    double begin = floor(center - support + 0.5), end = floor(center + support + 0.5);
    size_t first = begin > 0 ? (size_t)begin : 0;
    size_t past = end < (double)in ? (size_t)end : in;
    double *weights = axis->weights + i * axis->max_taps, sum = 0;
    axis->first[i] = first;
    axis->taps[i] = past - first;
    for (size_t t = 0; t < past - first; t++) {
        double distance = ((double)(first + t) - center + 0.5) / widening;
        weights[t] = is_cubic(rule) ? cubic(distance, -0.5) : triangle(distance);
        sum += weights[t];
    }
    for (size_t t = 0; t < past - first; t++)
        weights[t] /= sum;
}

static size_t count_max_taps(size_t in, size_t out, vt_pos_resize rule) {
    if (!is_antialiased(rule))
        return is_cubic(rule) ? 4 : 2;
    size_t reduction = in > out ? (in + out - 1) / out : 1;
    return (is_cubic(rule) ? 4 : 2) * reduction + 1;
}

vt_status vt_resample_axis_create(vt_resample_axis *out, size_t in_size, size_t out_size,
                                  vt_pos_resize rule, vt_error *err) {
    *out = (vt_resample_axis){.out_size = out_size,
                              .max_taps = count_max_taps(in_size, out_size, rule)};
    size_t weights;
    bool fits = vt_mul_size(out_size, out->max_taps, &weights);
    out->first = vt_malloc(out_size, sizeof *out->first);
    out->taps = vt_malloc(out_size, sizeof *out->taps);
    out->weights = fits ? vt_calloc(weights, sizeof *out->weights) : NULL;
    if (!out->first || !out->taps || !out->weights) {
        vt_resample_axis_free(out);
        return vt_fail_memory(err, "resampling weights", out_size);
    }
    for (size_t i = 0; i < out_size; i++) {
        if (is_antialiased(rule))
            antialiased_taps(out, i, in_size, rule);
        else
            plain_taps(out, i, in_size, rule);
    }
    return VT_OK;
}

void vt_resample_axis_free(vt_resample_axis *axis) {
    vt_free(axis->first);
    vt_free(axis->taps);
    vt_free(axis->weights);
    *axis = (vt_resample_axis){0};
}

/* out[channels] = sum of weights[t] * in[t * stride + channel]. */
static void weighted_sum(float *out, const float *in, size_t stride, const double *weights,
                         size_t taps, size_t channels) {
    for (size_t c = 0; c < channels; c++) {
        double sum = 0;
        for (size_t t = 0; t < taps; t++)
            sum += weights[t] * (double)in[t * stride + c];
        out[c] = (float)sum;
    }
}

vt_status vt_interpolate(float *out, const float *in, size_t in_h, size_t in_w, size_t out_h,
                         size_t out_w, size_t channels, vt_pos_resize rule, vt_error *err) {
    vt_resample_axis rows = {0}, columns = {0};
    float *across = NULL; /* [in_h][out_w][channels]: columns done, rows to do */
    size_t row_floats = 0, floats = 0;
    vt_status status = vt_resample_axis_create(&rows, in_h, out_h, rule, err);
    if (!status)
        status = vt_resample_axis_create(&columns, in_w, out_w, rule, err);
    if (!status) {
        if (vt_mul_size(out_w, channels, &row_floats) && vt_mul_size(in_h, row_floats, &floats))
            across = vt_malloc(floats, sizeof *across);
        if (!across)
            status = vt_fail_memory(err, "a resized table", floats * sizeof *across);
    }
    if (!status) {
        for (size_t y = 0; y < in_h; y++)
            for (size_t x = 0; x < out_w; x++)
                weighted_sum(across + y * row_floats + x * channels,
                             in + (y * in_w + columns.first[x]) * channels, channels,
                             columns.weights + x * columns.max_taps, columns.taps[x], channels);
        for (size_t y = 0; y < out_h; y++)
            weighted_sum(out + y * row_floats, across + rows.first[y] * row_floats, row_floats,
                         rows.weights + y * rows.max_taps, rows.taps[y], row_floats);
    }
    vt_free(across);
    vt_resample_axis_free(&rows);
    vt_resample_axis_free(&columns);
    return status;
}
