/* SPDX-License-Identifier: MIT
 *
 * Products of 8-bit integers, one table an instruction set.
 *
 *     x[i] ~ scale (u[i] - zero),  u in [0, 255]        a row of activations, when it is met
 *     w[i] = scale v[i],           |v| <= weight_max    a row of weights, once
 *     x . w ~ x_scale w_scale (u . v - zero sum(v))
 *
 * u . v is exact: every table computes the same integers. An accumulator of 32 bits holds
 * 255 * 127 * k for k up to VT_INT8_MAX_K.
 *
 * AVX2 multiplies in pairs, which it adds in 16 bits with saturation, and two such sums are added
 * in 16 bits again before they are widened: of each eight k the products 0, 1, 4, 5 and 2, 3, 6, 7.
 * So the scale of a row of weights is such that of four of them the positive ones, and the negative
 * ones, add up to 128 at most: 255 * 128 = 32640 < 32768. That costs no precision as a rule. Four
 * weights of a normal distribution seldom are large and of one sign at once: of 768 the largest sum
 * is about 6.1 standard deviations, so that a step is 1/21 of one; the largest single one is 3.4,
 * and to give each pair 16 bits of its own, a step would be 1/19.
 *
 * B's panels hold four k of a column side by side: [ceil(k / 4)][nr][4].
 */
#ifndef VT_KERNELS_INT8_H
#define VT_KERNELS_INT8_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/kernels.h"

enum {
    VT_INT8_GROUP = 4, /* of k, multiplied by one instruction */
    VT_INT8_MAX_K = 66311
};

/* How a row of activations was rounded. */
typedef struct vt_int8_row {
    float scale;
    int32_t zero;
} vt_int8_row;

typedef struct vt_int8_kernels {
    const char *name; /* "avx512vnni", "avx2", "neon", "scalar" */
    size_t mr, nr;
    size_t depth; /* the most groups of k at once for which B's panel stays near; even */
    int weight_max;
    int sum_max; /* of four weights of one sign that are added in 16 bits; 0: no limit */

    /* C[m][n] = A[m][4 groups] B  (+ C when `accumulate`); lda in bytes, ldc in integers. A and B
     * begin at an even group of k. `next` is as in kernels.h. */
    void (*gemm)(size_t m, size_t n, size_t groups, const uint8_t *a, size_t lda, const int8_t *b,
                 int32_t *c, size_t ldc, bool accumulate, const void *next);

    /* u[n] of x[n], scaled to the range that it and 0 span; up to a multiple of 4 as if zeros
     * followed. */
    vt_int8_row (*quantize)(uint8_t *u, const float *x, size_t n);

    /* out = x_scale w_scale (acc - zero sum), all [n]. */
    void (*dequantize)(float *out, const int32_t *acc, vt_int8_row x, const float *w_scales,
                       const int32_t *w_sums, size_t n);
} vt_int8_kernels;

/* The fastest for a table of kernels on this processor. */
const vt_int8_kernels *vt_int8_kernels_for(const vt_kernels *kernels);

/* Those that this processor can run, fastest first; NULL past the end. */
const vt_int8_kernels *vt_int8_kernels_at(size_t index);

#endif
