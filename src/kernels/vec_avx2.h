/* SPDX-License-Identifier: MIT
 *
 * Eight floats in an AVX register, in the terms that kernels_gemm.inc.h and kernels_rows.inc.h are
 * written in.
 */
#ifndef VT_KERNELS_VEC_AVX2_H
#define VT_KERNELS_VEC_AVX2_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef __m256 vec;
typedef __m256 vec_mask; /* all bits of a lane, or none */

enum { VEC_WIDTH = 8 };

static inline __m256i first_lanes(size_t n) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lane);
}

static inline vec vec_load(const float *p) {
    return _mm256_loadu_ps(p);
}

static inline void vec_store(float *p, vec x) {
    _mm256_storeu_ps(p, x);
}

/* The first n < VEC_WIDTH floats, zero beyond; nothing past them is touched. */
static inline vec vec_load_first(const float *p, size_t n) {
    return _mm256_maskload_ps(p, first_lanes(n));
}

static inline void vec_store_first(float *p, vec x, size_t n) {
    _mm256_maskstore_ps(p, first_lanes(n), x);
}

/* Lanes n and up become zero. */
static inline vec vec_keep_first(vec x, size_t n) {
    return _mm256_and_ps(x, _mm256_castsi256_ps(first_lanes(n)));
}

static inline vec vec_set(float x) {
    return _mm256_set1_ps(x);
}

static inline vec vec_add(vec a, vec b) {
    return _mm256_add_ps(a, b);
}

static inline vec vec_sub(vec a, vec b) {
    return _mm256_sub_ps(a, b);
}

static inline vec vec_mul(vec a, vec b) {
    return _mm256_mul_ps(a, b);
}

static inline vec vec_div(vec a, vec b) {
    return _mm256_div_ps(a, b);
}

/* a b + c, rounded once */
static inline vec vec_fma(vec a, vec b, vec c) {
    return _mm256_fmadd_ps(a, b, c);
}

/* The same, in acc's own register: left to itself gcc 12 also overwrites factors with sums, and
 * then copies and spills accumulators. */
static inline vec vec_accumulate(vec acc, vec a, vec b) {
    __asm__("vfmadd231ps %2, %1, %0" : "+x"(acc) : "x"(a), "x"(b));
    return acc;
}

/* The second operand where either is NaN. */
static inline vec vec_max(vec a, vec b) {
    return _mm256_max_ps(a, b);
}

static inline vec vec_min(vec a, vec b) {
    return _mm256_min_ps(a, b);
}

/* To the nearest whole number, ties to even. */
static inline vec vec_round(vec x) {
    return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* x 2^n for whole n in [-252, 254], subnormal results and zero included: in two steps, as 2^n alone
 * may be out of range. */
static inline vec vec_scale_by_power(vec x, vec n) {
    const __m256i bias = _mm256_set1_epi32(127);
    __m256i whole = _mm256_cvtps_epi32(n);
    __m256i half = _mm256_srai_epi32(whole, 1);
    __m256i rest = _mm256_sub_epi32(whole, half);
    __m256i first = _mm256_slli_epi32(_mm256_add_epi32(half, bias), 23);
    __m256i second = _mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23);
    return vec_mul(vec_mul(x, _mm256_castsi256_ps(first)), _mm256_castsi256_ps(second));
}

/* x 2^n, where that is a normal number; n is in the low bits of t (exp_below). */
static inline vec vec_scale_by_low_bits(vec x, vec t) {
    __m256i power = _mm256_slli_epi32(_mm256_castps_si256(t), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(x), power));
}

static inline vec_mask vec_less(vec a, vec b) {
    return _mm256_cmp_ps(a, b, _CMP_LT_OQ);
}

/* a where the mask is set, else b */
static inline vec vec_select(vec_mask mask, vec a, vec b) {
    return _mm256_blendv_ps(b, a, mask);
}

static inline vec vec_abs(vec x) {
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x);
}

/* |x| with the sign of `sign` */
static inline vec vec_copysign(vec x, vec sign) {
    const __m256 bit = _mm256_set1_ps(-0.0f);
    return _mm256_or_ps(_mm256_andnot_ps(bit, x), _mm256_and_ps(bit, sign));
}

static inline float vec_sum(vec x) {
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

static inline float vec_largest(vec x) {
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

static inline void vec_store_f16(uint16_t *p, vec x) {
    _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}

static inline vec vec_load_f16(const uint16_t *p) {
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}

/* A BF16 is the upper half of the F32. */
static inline vec vec_load_bf16(const uint16_t *p) {
    __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}

/* Rows become columns, in place. */
static inline void vec_transpose(vec r[VEC_WIDTH]) {
    vec t[VEC_WIDTH];
    for (size_t i = 0; i < 8; i += 2) { /* pairs of rows, element by element */
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    for (size_t i = 0; i < 8; i += 4) /* fours of rows: columns 0, 1, 2, 3 of each half */
        for (size_t j = 0; j < 2; j++) {
            r[i + 2 * j] = _mm256_shuffle_ps(t[i + j], t[i + 2 + j], 0x44);
            r[i + 2 * j + 1] = _mm256_shuffle_ps(t[i + j], t[i + 2 + j], 0xee);
        }
    for (size_t i = 0; i < 4; i++) { /* halves of fours */
        t[i] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x20);
        t[i + 4] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x31);
    }
    for (size_t i = 0; i < 8; i++)
        r[i] = t[i];
}

/* ---- 32-bit integers, and 8-bit ones by fours ---- */

/* Of gcc's own vectors: accumulators of type __m256i, which is a vector of long long, are copied at
 * every turn of a loop (gcc 12). */
typedef int32_t veci __attribute__((vector_size(32)));

static inline veci veci_zero(void) {
    return (veci){0};
}

static inline veci veci_set(int32_t x) {
    return (veci)_mm256_set1_epi32(x);
}

static inline veci veci_load(const void *p) {
    return (veci)_mm256_loadu_si256((const __m256i *)p);
}

static inline void veci_store(int32_t *p, veci x) {
    _mm256_storeu_si256((__m256i *)p, (__m256i)x);
}

static inline veci veci_load_first(const int32_t *p, size_t n) {
    return (veci)_mm256_maskload_epi32(p, first_lanes(n));
}

static inline void veci_store_first(int32_t *p, veci x, size_t n) {
    _mm256_maskstore_epi32(p, first_lanes(n), (__m256i)x);
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
    return (veci)_mm256_cvtps_epi32(x);
}

static inline vec vec_from_veci(veci x) {
    return _mm256_cvtepi32_ps((__m256i)x);
}

/* Lanes in [0, 255] as bytes. */
static inline void veci_store_u8(uint8_t *p, veci x) {
    __m128i words = _mm_packs_epi32(_mm256_castsi256_si128((__m256i)x),
                                    _mm256_extracti128_si256((__m256i)x, 1));
    _mm_storel_epi64((__m128i *)p, _mm_packus_epi16(words, words));
}

/* The same four bytes in all lanes. */
static inline veci veci_broadcast_group(const uint8_t *p) {
    int32_t group;
    memcpy(&group, p, sizeof group);
    return (veci)_mm256_set1_epi32(group);
}

/* acc + the sum of four products of a lane: unsigned bytes of u with signed ones of s. The first
 * two are added in 16 bits, and the others: exact where those of s of either sign add up to 128. */
static inline veci veci_dot4(veci acc, veci u, veci s) {
    return (veci)_mm256_add_epi32(
        (__m256i)acc,
        _mm256_madd_epi16(_mm256_maddubs_epi16((__m256i)u, (__m256i)s), _mm256_set1_epi16(1)));
}

/* acc + u . s + v . t, eight products. Four of them, two of each, are added in 16 bits. */
static inline veci veci_dot8(veci acc, veci u, veci s, veci v, veci t) {
    __m256i pairs = _mm256_add_epi16(_mm256_maddubs_epi16((__m256i)u, (__m256i)s),
                                     _mm256_maddubs_epi16((__m256i)v, (__m256i)t));
    __m256i sum = _mm256_add_epi32((__m256i)acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
    __asm__("" : "+x"(sum)); /* or gcc adds up the products of one turn first, and spills sums */
    return (veci)sum;
}

#endif
