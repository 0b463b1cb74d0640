/* SPDX-License-Identifier: MIT
 *
 * Sixteen floats in an AVX-512 register, in the terms that kernels_gemm.inc.h and
 * kernels_rows.inc.h are written in.
 */
#ifndef VT_KERNELS_VEC_AVX512_H
#define VT_KERNELS_VEC_AVX512_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef __m512 vec;
typedef __mmask16 vec_mask;

enum { VEC_WIDTH = 16 };

static inline __mmask16 first_lanes(size_t n) {
    return (__mmask16)((1u << n) - 1);
}

static inline vec vec_load(const float *p) {
    return _mm512_loadu_ps(p);
}

static inline void vec_store(float *p, vec x) {
    _mm512_storeu_ps(p, x);
}

/* The first n < VEC_WIDTH floats, zero beyond; nothing past them is touched. */
static inline vec vec_load_first(const float *p, size_t n) {
    return _mm512_maskz_loadu_ps(first_lanes(n), p);
}

static inline void vec_store_first(float *p, vec x, size_t n) {
    _mm512_mask_storeu_ps(p, first_lanes(n), x);
}

/* Lanes n and up become zero. */
static inline vec vec_keep_first(vec x, size_t n) {
    return _mm512_maskz_mov_ps(first_lanes(n), x);
}

static inline vec vec_set(float x) {
    return _mm512_set1_ps(x);
}

static inline vec vec_add(vec a, vec b) {
    return _mm512_add_ps(a, b);
}

static inline vec vec_sub(vec a, vec b) {
    return _mm512_sub_ps(a, b);
}

static inline vec vec_mul(vec a, vec b) {
    return _mm512_mul_ps(a, b);
}

static inline vec vec_div(vec a, vec b) {
    return _mm512_div_ps(a, b);
}

/* a b + c, rounded once */
static inline vec vec_fma(vec a, vec b, vec c) {
    return _mm512_fmadd_ps(a, b, c);
}

/* The same: a sum that grows. */
static inline vec vec_accumulate(vec acc, vec a, vec b) {
    return vec_fma(a, b, acc);
}

/* The second operand where either is NaN. */
static inline vec vec_max(vec a, vec b) {
    return _mm512_max_ps(a, b);
}

static inline vec vec_min(vec a, vec b) {
    return _mm512_min_ps(a, b);
}

/* To the nearest whole number, ties to even. */
static inline vec vec_round(vec x) {
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* x 2^n for whole n, subnormal results and zero included */
static inline vec vec_scale_by_power(vec x, vec n) {
    return _mm512_scalef_ps(x, n);
}

/* x 2^n, where that is a normal number; n is in the low bits of t (exp_below). */
static inline vec vec_scale_by_low_bits(vec x, vec t) {
    __m512i power = _mm512_slli_epi32(_mm512_castps_si512(t), 23);
    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(x), power));
}

static inline vec_mask vec_less(vec a, vec b) {
    return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
}

/* a where the mask is set, else b */
static inline vec vec_select(vec_mask mask, vec a, vec b) {
    return _mm512_mask_blend_ps(mask, b, a);
}

static inline vec vec_abs(vec x) {
    return _mm512_abs_ps(x);
}

/* |x| with the sign of `sign` */
static inline vec vec_copysign(vec x, vec sign) {
    const __m512i bit = _mm512_set1_epi32(INT32_MIN);
    return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(
        bit, _mm512_castps_si512(sign), _mm512_castps_si512(x), 0xca)); /* bit ? sign : x */
}

static inline float vec_sum(vec x) {
    return _mm512_reduce_add_ps(x);
}

static inline float vec_largest(vec x) {
    return _mm512_reduce_max_ps(x);
}

static inline void vec_store_f16(uint16_t *p, vec x) {
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}

static inline vec vec_load_f16(const uint16_t *p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

/* A BF16 is the upper half of the F32. */
static inline vec vec_load_bf16(const uint16_t *p) {
    __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}

/* Rows become columns, in place. */
static inline void vec_transpose(vec r[VEC_WIDTH]) {
    vec t[VEC_WIDTH];
    for (size_t i = 0; i < 16; i += 2) { /* pairs of rows, element by element */
        t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
    for (size_t i = 0; i < 16; i += 4) /* fours of rows: columns 0, 1, 2, 3 of each quarter */
        for (size_t j = 0; j < 2; j++) {
            __m512d a = _mm512_castps_pd(t[i + j]), b = _mm512_castps_pd(t[i + 2 + j]);
            r[i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
            r[i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
        }
    for (size_t i = 0; i < 4; i++) { /* quarters of fours */
        t[i] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0xdd);
    }
    for (size_t i = 0; i < 4; i++) {
        r[i] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0x88);
        r[i + 8] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0xdd);
        r[i + 4] = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0x88);
        r[i + 12] = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0xdd);
    }
}

/* ---- 32-bit integers, and 8-bit ones by fours ---- */

/* Of gcc's own vectors: accumulators of type __m512i, which is a vector of long long, are copied at
 * every turn of a loop (gcc 12). */
typedef int32_t veci __attribute__((vector_size(64)));

static inline veci veci_zero(void) {
    return (veci){0};
}

static inline veci veci_set(int32_t x) {
    return (veci)_mm512_set1_epi32(x);
}

static inline veci veci_load(const void *p) {
    return (veci)_mm512_loadu_si512(p);
}

static inline void veci_store(int32_t *p, veci x) {
    _mm512_storeu_si512(p, (__m512i)x);
}

static inline veci veci_load_first(const int32_t *p, size_t n) {
    return (veci)_mm512_maskz_loadu_epi32(first_lanes(n), p);
}

static inline void veci_store_first(int32_t *p, veci x, size_t n) {
    _mm512_mask_storeu_epi32(p, first_lanes(n), (__m512i)x);
}

static inline veci veci_add(veci a, veci b) {
    return a + b;
}

static inline veci veci_sub(veci a, veci b) {
    return a - b;
}

static inline veci veci_mul(veci a, veci b) {
    return a * b;
}

/* Whole numbers; and back, rounded to float. */
static inline veci veci_from_vec(vec x) {
    return (veci)_mm512_cvtps_epi32(x);
}

static inline vec vec_from_veci(veci x) {
    return _mm512_cvtepi32_ps((__m512i)x);
}

/* Lanes in [0, 255] as bytes. */
static inline void veci_store_u8(uint8_t *p, veci x) {
    _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8((__m512i)x));
}

/* The same four bytes in all lanes. */
static inline veci veci_broadcast_group(const uint8_t *p) {
    int32_t group;
    memcpy(&group, p, sizeof group);
    return (veci)_mm512_set1_epi32(group);
}

#if defined(__AVX512VNNI__)
/* acc + the sum of four products of a lane: unsigned bytes of u with signed ones of s */
static inline veci veci_dot4(veci acc, veci u, veci s) {
    return (veci)_mm512_dpbusd_epi32((__m512i)acc, (__m512i)u, (__m512i)s);
}

/* acc + u . s + v . t, eight products */
static inline veci veci_dot8(veci acc, veci u, veci s, veci v, veci t) {
    return veci_dot4(veci_dot4(acc, u, s), v, t);
}
#endif

#endif
