/* SPDX-License-Identifier: MIT
 *
 * int8.h's formulas in plain C: the reference for the other tables.
 */
#include <math.h>
#include <stdbool.h>

#include "kernels/tables.h"

enum { NR = 8 };

static int32_t dot(const uint8_t *u, const int8_t *column, size_t groups) {
    int32_t sum = 0;
    for (size_t g = 0; g < groups; g++, u += VT_INT8_GROUP, column += NR * VT_INT8_GROUP)
        for (size_t i = 0; i < VT_INT8_GROUP; i++)
            sum += u[i] * column[i];
    return sum;
}

static void int8_gemm(size_t m, size_t n, size_t groups, const uint8_t *a, size_t lda,
                      const int8_t *b, int32_t *c, size_t ldc, bool accumulate, const void *next) {
    (void)next;
    for (size_t row = 0; row < m; row++)
        for (size_t col = 0; col < n; col++) {
            const int8_t *panel = b + col / NR * groups * NR * VT_INT8_GROUP;
            int32_t sum = dot(a + row * lda, panel + col % NR * VT_INT8_GROUP, groups);
            c[row * ldc + col] = accumulate ? c[row * ldc + col] + sum : sum;
        }
}

static vt_int8_row int8_quantize(uint8_t *u, const float *x, size_t n) {
    float least = 0, most = 0;
    for (size_t i = 0; i < n; i++) {
        least = x[i] < least ? x[i] : least;
        most = x[i] > most ? x[i] : most;
    }
    vt_int8_row row = {.scale = (most - least) / 255};
    float inverse = row.scale > 0 ? 1 / row.scale : 0;
    float zero = rintf(-least * inverse);
    row.zero = (int32_t)zero;
    for (size_t i = 0; i < n; i++) {
        float value = rintf(x[i] * inverse) + zero;
        u[i] = (uint8_t)fminf(fmaxf(value, 0), 255);
    }
    for (size_t i = n; i % VT_INT8_GROUP != 0; i++)
        u[i] = (uint8_t)row.zero;
    return row;
}

static void int8_dequantize(float *out, const int32_t *acc, vt_int8_row x, const float *w_scales,
                            const int32_t *w_sums, size_t n) {
    for (size_t i = 0; i < n; i++)
        out[i] = (float)(acc[i] - x.zero * w_sums[i]) * (x.scale * w_scales[i]);
}

const vt_int8_kernels vt_int8_scalar = {
    .name = "scalar",
    .mr = 1,
    .nr = NR,
    .depth = 768,
    .weight_max = 127,
    .gemm = int8_gemm,
    .quantize = int8_quantize,
    .dequantize = int8_dequantize,
};
