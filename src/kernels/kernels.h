/* SPDX-License-Identifier: MIT
 *
 * The arithmetic, one table of functions an instruction set. A model chooses its table once, from
 * what the processor has (vt_kernels_select); every table computes the same within rounding, which
 * tests/test_kernels.c checks on random shapes and tails.
 *
 * All matrices are row-major F32; a leading dimension `ld` is counted in floats.
 */
#ifndef VT_KERNELS_KERNELS_H
#define VT_KERNELS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vitrine.h"

typedef enum vt_activation {
    VT_ACT_NONE = 0,
    VT_ACT_GELU_ERF,   /* x Phi(x) = x/2 (1 + erf(x / sqrt 2)) */
    VT_ACT_GELU_TANH,  /* x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) */
    VT_ACT_GELU_QUICK, /* x sigmoid(1.702 x) */
    VT_ACT_SILU,       /* x sigmoid(x) */
    VT_ACT_RELU,       /* max(x, 0) */
    VT_ACT_TANH,
    VT_ACT_COUNT
} vt_activation;

/* Resizing is in fixed point: 8 bits of the result, and 2 because a filter's negative lobes carry a
 * sum out of range, leave 22 for the weights. Weights come in whole groups, and a row is read up to
 * VT_RESIZE_SLACK bytes past its last pixel. */
enum { VT_RESIZE_BITS = 32 - 8 - 2, VT_RESIZE_GROUP = 4, VT_RESIZE_SLACK = 16 };

/* Which pixels of a row or column make up each of `count` others: number i is the sum over
 * j < length[i] of pixel first[i] + j times weight i * room + j. */
typedef struct vt_taps {
    size_t count;
    size_t room; /* a multiple of VT_RESIZE_GROUP; weights from length[i] on are zero */
    size_t *first, *length;
    int32_t *fixed; /* 1.0 is 2^VT_RESIZE_BITS; or NULL */
    float *single;  /* or NULL */
} vt_taps;

/* Y, U and V to R, G and B in fixed point, 1.0 being 2^VT_YUV_BITS:
 * R = y Y + red_v V + red, G = y Y + green_u U + green_v V + green, B = y Y + blue_u U + blue. */
enum { VT_YUV_BITS = 16 };

typedef struct vt_yuv_coefficients {
    int32_t y, red_v, green_u, green_v, blue_u;
    int32_t red, green, blue; /* the offsets of Y, U and V, and a half for rounding */
} vt_yuv_coefficients;

typedef struct vt_kernels {
    const char *name; /* "avx512", "avx2", "neon", "scalar" */

    /* The micro-tile: gemm works on `mr` rows of A and `nr` columns of B at a time. */
    size_t mr, nr;

    /* C[m][n] = A[m][k] B[k][n]  (+ C when `accumulate`). B is packed into ceil(n / nr) panels,
     * panel p holding columns p*nr.. as [k][nr], zero beyond n (vt_pack_panels). Any m, n, k >= 1;
     * writes only the n columns of C. Single-threaded: callers tile and share out. `next`, or NULL,
     * is where k rows of a panel lie that will be wanted soon: they are brought nearer meanwhile.
     */
    void (*gemm)(size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b, float *c,
                 size_t ldc, bool accumulate, const void *next);
    /* The same with panels of F16 and of BF16, widened as they are loaded. */
    void (*gemm_f16)(size_t m, size_t n, size_t k, const float *a, size_t lda, const uint16_t *b,
                     float *c, size_t ldc, bool accumulate, const void *next);
    void (*gemm_bf16)(size_t m, size_t n, size_t k, const float *a, size_t lda, const uint16_t *b,
                      float *c, size_t ldc, bool accumulate, const void *next);

    /* x . y */
    float (*dot)(const float *x, const float *y, size_t n);
    /* y += alpha x */
    void (*axpy)(float *y, const float *x, float alpha, size_t n);
    /* x *= alpha */
    void (*scale)(float *x, float alpha, size_t n);
    /* The largest of n >= 1 values. */
    float (*max)(const float *x, size_t n);
    /* x = exp(x - shift), no x being greater than shift; returns their sum. Values at or below
     * shift - 104 (and -inf) become 0, and those below shift - 87, which are under 2e-38, may. */
    float (*exp_sum)(float *x, float shift, size_t n);

    /* y = (x - mean(x)) / sqrt(var(x) + eps) * weight + bias; bias may be NULL. y may be x. */
    void (*layer_norm)(float *y, const float *x, const float *weight, const float *bias, size_t n,
                       float eps);
    /* y = x / sqrt(mean(x^2) + eps) * weight. y may be x. */
    void (*rms_norm)(float *y, const float *x, const float *weight, size_t n, float eps);

    /* x = act(x) in place, within 2e-6 of the exact function (relative to max(1, |x|)). */
    void (*activate)(float *x, size_t n, vt_activation act);
    /* x = act(x) * y: the gated MLP's product. */
    void (*activate_mul)(float *x, const float *y, size_t n, vt_activation act);

    /* y = act(x + bias) * scale + residual, all [n]: what follows a linear layer's product. Any of
     * bias, scale and residual may be NULL. residual may be y, x may not. */
    void (*epilogue)(float *y, const float *x, size_t n, const float *bias, vt_activation act,
                     const float *scale, const float *residual);

    /* out[p][j] = in[j][p] for j < n, p < k; rows lie ldo and ldi floats apart. */
    void (*transpose)(float *out, size_t ldo, const float *in, size_t ldi, size_t n, size_t k);

    /* Multiplies and adds in registers alone, `rounds` times, as many sums at once as they hold:
     * the rate that none of the above exceeds. Returns how many operations that were, a
     * multiply-add being two. */
    size_t (*multiply_add)(float *sum, size_t rounds);

    /* Storage types to F32, exactly, and back, to the nearest (ties to even). */
    void (*f16_to_f32)(float *out, const uint16_t *in, size_t n);
    void (*bf16_to_f32)(float *out, const uint16_t *in, size_t n);
    void (*f32_to_f16)(uint16_t *out, const float *in, size_t n);
    void (*f32_to_bf16)(uint16_t *out, const float *in, size_t n);

    /* Rows of packed 8-bit RGB, each resized along x; all tables give the same bytes. Reads
     * VT_RESIZE_SLACK bytes past the pixels of a row, whatever they are; writes the taps' pixels
     * only. */
    void (*resize_rows)(uint8_t *out, size_t out_stride, const uint8_t *in, size_t in_stride,
                        size_t num_rows, const vt_taps *taps);
    /* One row along y: `count` bytes, each the sum of a column weighted, rounded and clipped. */
    void (*resize_columns)(uint8_t *out, const uint8_t *in, size_t stride, size_t count,
                           const int32_t *weights, size_t num_weights);

    /* rgb[count][3] of the pixels of a row; all tables give the same bytes. Pixels 2i and 2i + 1
     * have u[i * uv_step] and v[i * uv_step]; of the samples of y each follows the other where
     * uv_step is 1 or 2, and every second is taken where it is 4 (YUYV, UYVY). */
    void (*yuv_to_rgb)(uint8_t *rgb, const uint8_t *y, const uint8_t *u, const uint8_t *v,
                       size_t uv_step, size_t count, const vt_yuv_coefficients *coefficients);
    /* The same of pixels of `step` bytes: 1 gray, 3 or 4 R G B, or B G R where `swapped`. */
    void (*bytes_to_rgb)(uint8_t *rgb, const uint8_t *in, size_t step, bool swapped, size_t count);
} vt_kernels;

/* The table of that name, or the fastest that this processor has for NULL. VT_ERR_UNSUPPORTED when
 * the processor lacks it, VT_ERR_ARGUMENT when there is none of that name. */
vt_status vt_kernels_select(const vt_kernels **out, const char *name, vt_error *err);

/* The tables compiled in that this processor can run, fastest first; NULL past the end. */
const vt_kernels *vt_kernels_at(size_t index);

#endif
