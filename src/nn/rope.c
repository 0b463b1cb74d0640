/* SPDX-License-Identifier: MIT */
#include "nn/rope.h"

#include <math.h>
#include <string.h>

static const double pi = 3.14159265358979323846;

/* ---- rotating ----------------------------------------------------------------------------------
 */

typedef struct rope_call {
    const vt_rope *rope;
    float *x;
    size_t ld, batch, tokens, num_heads, head_dim;
} rope_call;

static void rotate_halves(float *x, const float *c, const float *s, size_t pairs) {
    for (size_t i = 0; i < pairs; i++) {
        float a = x[i], b = x[i + pairs];
        x[i] = a * c[i] - b * s[i];
        x[i + pairs] = b * c[i] + a * s[i];
    }
}

static void rotate_interleaved(float *x, const float *c, const float *s, size_t pairs) {
    for (size_t i = 0; i < pairs; i++) {
        float a = x[2 * i], b = x[2 * i + 1];
        x[2 * i] = a * c[i] - b * s[i];
        x[2 * i + 1] = b * c[i] + a * s[i];
    }
}

/* Task: all heads of one token of each batch item, so that its row of the table is read once. */
static void rope_task(void *context, size_t task, size_t thread) {
    (void)thread;
    const rope_call *call = context;
    const vt_rope *rope = call->rope;
    const float *c = rope->cos + task * rope->pairs, *s = rope->sin + task * rope->pairs;
    for (size_t item = 0; item < call->batch; item++) {
        float *row = call->x + (item * call->tokens + rope->num_prefix + task) * call->ld;
        for (size_t head = 0; head < call->num_heads; head++, row += call->head_dim) {
            size_t table = head * rope->head_stride;
            if (rope->layout == VT_ROPE_HALVES)
                rotate_halves(row, c + table, s + table, rope->pairs);
            else
                rotate_interleaved(row, c + table, s + table, rope->pairs);
        }
    }
}

void vt_rope_apply(const vt_compute *compute, const vt_rope *rope, float *x, size_t ld,
                   size_t batch, size_t tokens, size_t num_heads, size_t head_dim) {
    rope_call call = {rope, x, ld, batch, tokens, num_heads, head_dim};
    if (tokens <= rope->num_prefix)
        return;
    vt_pool_run(compute->pool, rope_task, &call, tokens - rope->num_prefix);
}

/* ---- frequencies of text -----------------------------------------------------------------------
 */

static const char *const scaling_names[VT_ROPE_SCALING_COUNT] = {
    [VT_ROPE_SCALING_NONE] = "none",         [VT_ROPE_SCALING_LINEAR] = "linear",
    [VT_ROPE_SCALING_NTK] = "ntk",           [VT_ROPE_SCALING_DYNAMIC] = "dynamic",
    [VT_ROPE_SCALING_YARN] = "yarn",         [VT_ROPE_SCALING_LLAMA3] = "llama3",
    [VT_ROPE_SCALING_LONGROPE] = "longrope",
};

const char *vt_rope_scaling_name(vt_rope_scaling_kind kind) {
    return kind < VT_ROPE_SCALING_COUNT ? scaling_names[kind] : "unknown";
}

vt_rope_scaling_kind vt_rope_scaling_from_name(const char *name) {
    if (strcmp(name, "default") == 0)
        return VT_ROPE_SCALING_NONE;
    if (strcmp(name, "su") == 0) /* what Phi-3 first called it */
        return VT_ROPE_SCALING_LONGROPE;
    for (int i = 0; i < VT_ROPE_SCALING_COUNT; i++)
        if (strcmp(name, scaling_names[i]) == 0)
            return (vt_rope_scaling_kind)i;
    return VT_ROPE_SCALING_COUNT;
}

/* theta^(-2i / d), i in [0, pairs), rounded to F32 where torch rounds. */
static void plain_frequencies(float *out, double theta, size_t pairs) {
    for (size_t i = 0; i < pairs; i++) {
        float exponent = (float)(2 * i) / (float)(2 * pairs);
        out[i] = 1.0f / powf((float)theta, exponent);
    }
}

/* The base that makes the lowest frequency fall by `factor` and leaves the highest as it is. */
static double ntk_theta(const vt_rope_config *config, double factor) {
    double d = (double)(2 * config->pairs);
    return d > 2 ? config->theta * pow(factor, d / (d - 2)) : config->theta;
}

static double yarn_mscale(double factor, double mscale) {
    return factor <= 1 ? 1 : 0.1 * mscale * log(factor) + 1;
}

static double yarn_attention_factor(const vt_rope_config *config) {
    if (config->attention_factor != 0)
        return config->attention_factor;
    if (config->mscale != 0 && config->mscale_all_dim != 0)
        return yarn_mscale(config->factor, config->mscale) /
               yarn_mscale(config->factor, config->mscale_all_dim);
    return yarn_mscale(config->factor, 1);
}

/* The channel pair that turns `rotations` times over the trained length (YaRN, eq. 17 and on). */
static double yarn_pair(const vt_rope_config *config, double rotations, double trained) {
    double d = (double)(2 * config->pairs);
    return d * log(trained / (rotations * 2 * pi)) / (2 * log(config->theta));
}

/* Pairs that turn often are left alone, those that never complete a turn are interpolated, with a
 * ramp between the two. */
static void yarn_frequencies(float *out, const vt_rope_config *config) {
    size_t trained =
        config->original_positions ? config->original_positions : config->max_positions;
    double low =
        yarn_pair(config, config->beta_fast != 0 ? config->beta_fast : 32, (double)trained);
    double high =
        yarn_pair(config, config->beta_slow != 0 ? config->beta_slow : 1, (double)trained);
    if (!config->no_truncate) {
        low = floor(low);
        high = ceil(high);
    }
    low = fmax(low, 0);
    high = fmin(high, (double)(2 * config->pairs - 1));
    if (low == high)
        high += 0.001;
    for (size_t i = 0; i < config->pairs; i++) {
        float ramp = (float)(((double)i - low) / (high - low));
        ramp = fminf(fmaxf(ramp, 0.0f), 1.0f);
        out[i] = out[i] / (float)config->factor * ramp + out[i] * (1.0f - ramp);
    }
}

static void llama3_frequencies(float *out, const vt_rope_config *config) {
    size_t original =
        config->original_positions ? config->original_positions : config->max_positions;
    double trained = (double)original;
    double low = config->low_freq_factor, high = config->high_freq_factor;
    for (size_t i = 0; i < config->pairs; i++) {
        double wavelength = 2 * pi / (double)out[i];
        double smooth = (trained / wavelength - low) / (high - low);
        if (wavelength > trained / low)
            out[i] = (float)((double)out[i] / config->factor);
        else if (wavelength >= trained / high)
            out[i] =
                (float)((1 - smooth) * (double)out[i] / config->factor + smooth * (double)out[i]);
    }
}

static double longrope_frequencies(float *out, const vt_rope_config *config, size_t length) {
    size_t original =
        config->original_positions ? config->original_positions : config->max_positions;
    const float *factors = length > original ? config->long_factor : config->short_factor;
    for (size_t i = 0; i < config->pairs; i++)
        out[i] /= factors[i];
    if (config->attention_factor != 0)
        return config->attention_factor;
    return config->factor <= 1 ? 1 : sqrt(1 + log(config->factor) / log((double)original));
}

double vt_rope_frequencies(float *inverse_frequencies, const vt_rope_config *config,
                           size_t length) {
    double theta = config->theta, trained = (double)config->max_positions;
    if (config->scaling == VT_ROPE_SCALING_NTK)
        theta = ntk_theta(config, config->factor);
    if (config->scaling == VT_ROPE_SCALING_DYNAMIC && (double)length > trained)
        theta = ntk_theta(config, config->factor * (double)length / trained - (config->factor - 1));
    plain_frequencies(inverse_frequencies, theta, config->pairs);
    switch (config->scaling) {
    case VT_ROPE_SCALING_LINEAR:
        for (size_t i = 0; i < config->pairs; i++)
            inverse_frequencies[i] /= (float)config->factor;
        return 1;
    case VT_ROPE_SCALING_YARN:
        yarn_frequencies(inverse_frequencies, config);
        return yarn_attention_factor(config);
    case VT_ROPE_SCALING_LLAMA3:
        llama3_frequencies(inverse_frequencies, config);
        return 1;
    case VT_ROPE_SCALING_LONGROPE:
        return longrope_frequencies(inverse_frequencies, config, length);
    case VT_ROPE_SCALING_NONE:
    case VT_ROPE_SCALING_NTK:
    case VT_ROPE_SCALING_DYNAMIC:
    case VT_ROPE_SCALING_COUNT:
        break;
    }
    return 1;
}

void vt_rope_fill(float *cos_out, float *sin_out, const vt_rope_config *config, size_t length,
                  size_t first, size_t count) {
    float frequencies[VT_ROPE_MAX_PAIRS];
    float factor = (float)vt_rope_frequencies(frequencies, config, length);
    for (size_t row = 0; row < count; row++) {
        for (size_t i = 0; i < config->pairs; i++) {
            float angle = (float)(first + row) * frequencies[i];
            *cos_out++ = cosf(angle) * factor;
            *sin_out++ = sinf(angle) * factor;
        }
    }
}

/* ---- pictures ----------------------------------------------------------------------------------
 */

/* Coordinate i of an axis of n patches. */
static float axis_coordinate(const vt_rope2d_config *config, size_t i, size_t n, size_t reference) {
    if (config->kind == VT_ROPE2D_DINOV3)
        return 2.0f * (((float)i + 0.5f) / (float)n) - 1.0f;
    float t = (float)i + (float)config->offset;
    return reference ? t / (float)n * (float)reference : t;
}

/* Band j of an axis: what its coordinate is multiplied by. */
static float axis_frequency(const vt_rope2d_config *config, size_t j) {
    size_t bands = config->pairs / 2;
    float exponent = (float)j / (float)bands;
    float power = powf((float)config->theta, exponent);
    return config->kind == VT_ROPE2D_DINOV3 ? (float)(2 * pi) / power : 1.0f / power;
}

void vt_rope2d_fill(float *cos_out, float *sin_out, const vt_rope2d_config *config, size_t grid_h,
                    size_t grid_w) {
    size_t bands = config->pairs / 2;
    for (size_t y = 0; y < grid_h; y++) {
        for (size_t x = 0; x < grid_w; x++) {
            float at[2] = {axis_coordinate(config, y, grid_h, config->ref_h),
                           axis_coordinate(config, x, grid_w, config->ref_w)};
            for (size_t axis = 0; axis < 2; axis++) {
                for (size_t j = 0; j < bands; j++) {
                    float angle =
                        at[config->column_first ? 1 - axis : axis] * axis_frequency(config, j);
                    *cos_out++ = cosf(angle);
                    *sin_out++ = sinf(angle);
                }
            }
        }
    }
}

void vt_rope2d_fill_mixed(float *cos_out, float *sin_out, const float *fx, const float *fy,
                          size_t pairs, size_t grid_h, size_t grid_w) {
    for (size_t y = 0; y < grid_h; y++) {
        for (size_t x = 0; x < grid_w; x++) {
            for (size_t j = 0; j < pairs; j++) {
                float angle = (float)x * fx[j] + (float)y * fy[j];
                *cos_out++ = cosf(angle);
                *sin_out++ = sinf(angle);
            }
        }
    }
}
