/* SPDX-License-Identifier: MIT
 *
 * Plain C for any processor, and the reference for the other tables: each function is its formula,
 * with libm's functions.
 */
#include <math.h>
#include <string.h>

#include "kernels/tables.h"

#include "kernels/kernels_colour.inc.h"
#include "kernels/kernels_resize.inc.h"

/* Small enough for the 16 registers of SSE2, to which compilers vectorise the loops over a panel.
 */
enum { TILE_ROWS = 4, NR = 8 };

/* Four floats: a register of SSE2, or whatever the compiler makes of it elsewhere. */
typedef float four __attribute__((vector_size(16)));

/* acc[rows][NR] = A[rows][k] panel[k][NR]; inlined with constant `rows`, so that the sums stay in
 * registers. */
static inline __attribute__((always_inline)) void multiply(float acc[][NR], const size_t rows,
                                                           size_t k, const float *a, size_t lda,
                                                           const float *panel) {
    four sums[TILE_ROWS][2] = {{{0}}};
    for (size_t p = 0; p < k; p++, panel += NR) {
        four b[2];
        memcpy(b, panel, sizeof b);
#pragma GCC unroll 4
        for (size_t r = 0; r < rows; r++) {
            sums[r][0] += a[r * lda + p] * b[0];
            sums[r][1] += a[r * lda + p] * b[1];
        }
    }
    memcpy(acc, sums, rows * sizeof sums[0]);
}

/* C[rows][cols] (+)= A[rows][k] panel[k][NR] */
static void tile(size_t rows, size_t cols, size_t k, const float *a, size_t lda, const float *panel,
                 float *c, size_t ldc, bool accumulate) {
    float acc[TILE_ROWS][NR];
    if (rows == TILE_ROWS)
        multiply(acc, TILE_ROWS, k, a, lda, panel);
    else
        for (size_t r = 0; r < rows; r++)
            multiply(acc + r, 1, k, a + r * lda, lda, panel);
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < cols; j++)
            c[r * ldc + j] = accumulate ? c[r * ldc + j] + acc[r][j] : acc[r][j];
}

static void gemm_f32(size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b,
                     float *c, size_t ldc, bool accumulate, const void *next) {
    (void)next;
    for (size_t col = 0; col < n; col += NR, b += k * NR)
        for (size_t row = 0; row < m; row += TILE_ROWS)
            tile(m - row < TILE_ROWS ? m - row : TILE_ROWS, n - col < NR ? n - col : NR, k,
                 a + row * lda, lda, b, c + row * ldc + col, ldc, accumulate);
}

static float dot_f32(const float *x, const float *y, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * y[i];
    return (float)sum;
}

static void axpy_f32(float *y, const float *x, float alpha, size_t n) {
    for (size_t i = 0; i < n; i++)
        y[i] += alpha * x[i];
}

static void scale_f32(float *x, float alpha, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i] *= alpha;
}

static float max_f32(const float *x, size_t n) {
    float largest = x[0];
    for (size_t i = 1; i < n; i++)
        largest = x[i] > largest ? x[i] : largest;
    return largest;
}

static float exp_sum_f32(float *x, float shift, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        x[i] = expf(x[i] - shift);
        sum += x[i];
    }
    return (float)sum;
}

/* The variance is that of the centred row: E[x^2] - E[x]^2 would cancel. */
static void layer_norm_f32(float *y, const float *x, const float *weight, const float *bias,
                           size_t n, float eps) {
    double mean = 0, var = 0;
    for (size_t i = 0; i < n; i++)
        mean += x[i];
    mean /= (double)n;
    for (size_t i = 0; i < n; i++)
        var += (x[i] - mean) * (x[i] - mean);
    var /= (double)n;
    double inverse = 1 / sqrt(var + (double)eps);
    for (size_t i = 0; i < n; i++)
        y[i] = (float)((x[i] - mean) * inverse * weight[i] + (bias ? bias[i] : 0));
}

static void rms_norm_f32(float *y, const float *x, const float *weight, size_t n, float eps) {
    double mean_square = 0;
    for (size_t i = 0; i < n; i++)
        mean_square += (double)x[i] * x[i];
    mean_square /= (double)n;
    double inverse = 1 / sqrt(mean_square + (double)eps);
    for (size_t i = 0; i < n; i++)
        y[i] = (float)(x[i] * inverse * weight[i]);
}

static float sigmoid(float x) {
    return 1 / (1 + expf(-x));
}

static float activation(float x, vt_activation act) {
    switch (act) {
    case VT_ACT_GELU_ERF: /* 1 + erf(z) = erfc(-z), which does not cancel */
        return 0.5f * x * erfcf(-0.707106781f * x);
    case VT_ACT_GELU_TANH: /* (1 + tanh(z)) / 2 = sigmoid(2 z) */
        return x * sigmoid(1.59576912f * (x + 0.044715f * x * x * x));
    case VT_ACT_GELU_QUICK:
        return x * sigmoid(1.702f * x);
    case VT_ACT_SILU:
        return x * sigmoid(x);
    case VT_ACT_RELU:
        return x < 0 ? 0 : x;
    case VT_ACT_TANH:
        return tanhf(x);
    case VT_ACT_NONE:
    case VT_ACT_COUNT:
        break;
    }
    return x;
}

static void activate_f32(float *x, size_t n, vt_activation act) {
    for (size_t i = 0; i < n; i++)
        x[i] = activation(x[i], act);
}

static void activate_mul_f32(float *x, const float *y, size_t n, vt_activation act) {
    for (size_t i = 0; i < n; i++)
        x[i] = activation(x[i], act) * y[i];
}

static void epilogue_f32(float *y, const float *x, size_t n, const float *bias, vt_activation act,
                         const float *scale, const float *residual) {
    for (size_t i = 0; i < n; i++) {
        float v = activation(x[i] + (bias ? bias[i] : 0), act);
        v *= scale ? scale[i] : 1;
        y[i] = residual ? v + residual[i] : v;
    }
}

/* A strip of k at a time, whose target stays in the cache. */
static void transpose_f32(float *out, size_t ldo, const float *in, size_t ldi, size_t n, size_t k) {
    enum { STRIP = 16 };
    for (size_t start = 0; start < k; start += STRIP) {
        size_t end = k - start < STRIP ? k : start + STRIP;
        for (size_t j = 0; j < n; j++)
            for (size_t p = start; p < end; p++)
                out[p * ldo + j] = in[j * ldi + p];
    }
}

/* Twelve sums and the two factors: 14 of the 16 registers. They begin and stay different, so that
 * no compiler takes two for one, and stay near 1. */
static size_t multiply_add_f32(float *sum, size_t rounds) {
    enum { NUM_SUMS = 12 };
    const four x = {0.9999f, 0.9999f, 0.9999f, 0.9999f}, y = {1e-4f, 1e-4f, 1e-4f, 1e-4f};
    four sums[NUM_SUMS];
#pragma GCC unroll 16
    for (size_t i = 0; i < NUM_SUMS; i++)
        sums[i] = (float)(i + 1) * x;
    for (size_t round = 0; round < rounds; round++)
#pragma GCC unroll 16
        for (size_t i = 0; i < NUM_SUMS; i++)
            sums[i] = sums[i] * x + y;
    for (size_t i = 1; i < NUM_SUMS; i++)
        sums[0] += sums[i];
    *sum = sums[0][0] + sums[0][1] + sums[0][2] + sums[0][3];
    return rounds * NUM_SUMS * 4 * 2;
}

/* The F32 of those bits. */
static float from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* F16: 1 sign, 5 exponent (bias 15), 10 mantissa bits. */
static float from_f16(uint16_t half) {
    uint32_t sign = (uint32_t)(half >> 15) << 31;
    uint32_t exponent = half >> 10 & 31, mantissa = half & 1023;
    if (exponent == 0) { /* zero, or mantissa * 2^-24 */
        float magnitude = (float)mantissa * 0x1p-24f;
        return sign ? -magnitude : magnitude;
    }
    exponent = exponent == 31 ? 255 : exponent + 127 - 15;
    return from_bits(sign | exponent << 23 | mantissa << 13);
}

static void f16_to_f32(float *out, const uint16_t *in, size_t n) {
    for (size_t i = 0; i < n; i++)
        out[i] = from_f16(in[i]);
}

/* A BF16 is the upper half of the F32. */
static void bf16_to_f32(float *out, const uint16_t *in, size_t n) {
    for (size_t i = 0; i < n; i++)
        out[i] = from_bits((uint32_t)in[i] << 16);
}

/* The bits of an F32. */
static uint32_t to_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static uint16_t to_f16(float value) {
    uint16_t sign = (uint16_t)(to_bits(value) >> 16 & 0x8000);
    float magnitude = fabsf(value);
    if (magnitude != magnitude)
        return sign | 0x7e00;
    if (magnitude >= 65520) /* half a step above the largest */
        return sign | 0x7c00;
    if (magnitude < 0x1p-14f) /* a multiple of 2^-24 */
        return sign | (uint16_t)rintf(magnitude * 0x1p24f);
    uint32_t bits = to_bits(magnitude) - ((127u - 15) << 23);
    return sign | (uint16_t)((bits + 0xfff + (bits >> 13 & 1)) >> 13);
}

static void f32_to_f16(uint16_t *out, const float *in, size_t n) {
    for (size_t i = 0; i < n; i++)
        out[i] = to_f16(in[i]);
}

static void f32_to_bf16(uint16_t *out, const float *in, size_t n) {
    for (size_t i = 0; i < n; i++)
        out[i] = vt_bf16_of(in[i]);
}

/* Panels of 16 bits: a few rows are widened, multiplied and added at a time. */
static void gemm_widened(size_t m, size_t n, size_t k, const float *a, size_t lda,
                         const uint16_t *b, float *c, size_t ldc, bool accumulate,
                         void (*widen)(float *, const uint16_t *, size_t)) {
    enum { PIECE = 128 };
    float wide[PIECE * NR];
    for (size_t col = 0; col < n; col += NR, b += k * NR) {
        size_t cols = n - col < NR ? n - col : NR;
        for (size_t p = 0; p < k; p += PIECE) {
            size_t depth = k - p < PIECE ? k - p : PIECE;
            widen(wide, b + p * NR, depth * NR);
            gemm_f32(m, cols, depth, a + p, lda, wide, c + col, ldc, accumulate || p > 0, NULL);
        }
    }
}

static void gemm_f16(size_t m, size_t n, size_t k, const float *a, size_t lda, const uint16_t *b,
                     float *c, size_t ldc, bool accumulate, const void *next) {
    (void)next;
    gemm_widened(m, n, k, a, lda, b, c, ldc, accumulate, f16_to_f32);
}

static void gemm_bf16(size_t m, size_t n, size_t k, const float *a, size_t lda, const uint16_t *b,
                      float *c, size_t ldc, bool accumulate, const void *next) {
    (void)next;
    gemm_widened(m, n, k, a, lda, b, c, ldc, accumulate, bf16_to_f32);
}

const vt_kernels vt_kernels_scalar = {
    .name = "scalar",
    .mr = TILE_ROWS,
    .nr = NR,
    .gemm = gemm_f32,
    .gemm_f16 = gemm_f16,
    .gemm_bf16 = gemm_bf16,
    .dot = dot_f32,
    .axpy = axpy_f32,
    .scale = scale_f32,
    .max = max_f32,
    .exp_sum = exp_sum_f32,
    .layer_norm = layer_norm_f32,
    .rms_norm = rms_norm_f32,
    .activate = activate_f32,
    .activate_mul = activate_mul_f32,
    .epilogue = epilogue_f32,
    .transpose = transpose_f32,
    .multiply_add = multiply_add_f32,
    .f16_to_f32 = f16_to_f32,
    .bf16_to_f32 = bf16_to_f32,
    .f32_to_f16 = f32_to_f16,
    .f32_to_bf16 = f32_to_bf16,
    .resize_rows = resize_rows_u8,
    .resize_columns = resize_columns_u8,
    .yuv_to_rgb = yuv_to_rgb,
    .bytes_to_rgb = bytes_to_rgb,
};
