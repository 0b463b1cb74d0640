/* SPDX-License-Identifier: MIT
 *
 * AVX-512 in software, for scripts/test-avx512: included before src/kernels/*avx512*.c, which then
 * compile for a processor with AVX2. SIMDe has most of the intrinsics, but not all in every release
 * of it that Debian has: the others, in plain C, are here.
 */
#ifndef VT_TESTS_EMULATED_AVX512_H
#define VT_TESTS_EMULATED_AVX512_H

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx2.h>
#include <simde/x86/avx512.h>
#include <simde/x86/f16c.h>

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define __AVX512F__ 1
#define __AVX512BW__ 1
#define __AVX512DQ__ 1
#define __AVX512VL__ 1
#define __AVX512VNNI__ 1

typedef union lanes {
    float real[16];
    int32_t whole[16];
    simde__m512 reals;
    simde__m512i wholes;
} lanes;

static inline simde__m512 emulated_maskz_loadu_ps(uint16_t mask, const float *p) {
    lanes x = {.whole = {0}};
    for (int i = 0; i < 16; i++)
        if (mask >> i & 1)
            x.real[i] = p[i];
    return x.reals;
}

static inline void emulated_mask_storeu_ps(float *p, uint16_t mask, simde__m512 value) {
    lanes x = {.reals = value};
    for (int i = 0; i < 16; i++)
        if (mask >> i & 1)
            p[i] = x.real[i];
}

static inline simde__m512i emulated_maskz_loadu_epi32(uint16_t mask, const void *p) {
    lanes x = {.whole = {0}};
    for (int i = 0; i < 16; i++)
        if (mask >> i & 1)
            memcpy(&x.whole[i], (const int32_t *)p + i, sizeof(int32_t));
    return x.wholes;
}

static inline void emulated_mask_storeu_epi32(void *p, uint16_t mask, simde__m512i value) {
    lanes x = {.wholes = value};
    for (int i = 0; i < 16; i++)
        if (mask >> i & 1)
            memcpy((int32_t *)p + i, &x.whole[i], sizeof(int32_t));
}

static inline float emulated_reduce_add_ps(simde__m512 value) {
    lanes x = {.reals = value};
    for (int half = 8; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            x.real[i] += x.real[i + half];
    return x.real[0];
}

static inline float emulated_reduce_max_ps(simde__m512 value) {
    lanes x = {.reals = value};
    for (int i = 1; i < 16; i++)
        x.real[0] = x.real[i] > x.real[0] ? x.real[i] : x.real[0];
    return x.real[0];
}

static inline simde__m512i emulated_cvtps_epi32(simde__m512 value) {
    lanes x = {.reals = value};
    for (int i = 0; i < 16; i++)
        x.whole[i] = _mm_cvtss_si32(_mm_set_ss(x.real[i]));
    return x.wholes;
}

static inline simde__m512 emulated_cvtepi32_ps(simde__m512i value) {
    lanes x = {.wholes = value};
    for (int i = 0; i < 16; i++)
        x.real[i] = (float)x.whole[i];
    return x.reals;
}

static inline simde__m512i emulated_cvtepu16_epi32(__m256i value) {
    uint16_t narrow[16];
    lanes x;
    memcpy(narrow, &value, sizeof narrow);
    for (int i = 0; i < 16; i++)
        x.whole[i] = narrow[i];
    return x.wholes;
}

static inline __m128i emulated_cvtepi32_epi8(simde__m512i value) {
    lanes x = {.wholes = value};
    int8_t narrow[16];
    __m128i out;
    for (int i = 0; i < 16; i++)
        narrow[i] = (int8_t)x.whole[i];
    memcpy(&out, narrow, sizeof out);
    return out;
}

static inline simde__m512 emulated_cvtph_ps(__m256i value) {
    lanes x;
    _mm256_storeu_ps(x.real, _mm256_cvtph_ps(_mm256_castsi256_si128(value)));
    _mm256_storeu_ps(x.real + 8, _mm256_cvtph_ps(_mm256_extracti128_si256(value, 1)));
    return x.reals;
}

static inline __m256i emulated_cvtps_ph(simde__m512 value) {
    lanes x = {.reals = value};
    __m128i low = _mm256_cvtps_ph(_mm256_loadu_ps(x.real), _MM_FROUND_TO_NEAREST_INT);
    __m128i high = _mm256_cvtps_ph(_mm256_loadu_ps(x.real + 8), _MM_FROUND_TO_NEAREST_INT);
    return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

static inline simde__m512 emulated_shuffle_f32x4(simde__m512 a, simde__m512 b, int which) {
    lanes x = {.reals = a}, y = {.reals = b}, out;
    for (int i = 0; i < 4; i++)
        memcpy(out.real + 4 * i, (i < 2 ? x : y).real + 4 * (which >> 2 * i & 3),
               4 * sizeof(float));
    return out.reals;
}

#undef _mm512_maskz_loadu_ps
#undef _mm512_mask_storeu_ps
#undef _mm512_maskz_loadu_epi32
#undef _mm512_mask_storeu_epi32
#undef _mm512_reduce_add_ps
#undef _mm512_reduce_max_ps
#undef _mm512_cvtps_epi32
#undef _mm512_cvtepi32_ps
#undef _mm512_cvtepu16_epi32
#undef _mm512_cvtepi32_epi8
#undef _mm512_cvtph_ps
#undef _mm512_cvtps_ph
#undef _mm512_shuffle_f32x4
#define _mm512_maskz_loadu_ps emulated_maskz_loadu_ps
#define _mm512_mask_storeu_ps emulated_mask_storeu_ps
#define _mm512_maskz_loadu_epi32 emulated_maskz_loadu_epi32
#define _mm512_mask_storeu_epi32 emulated_mask_storeu_epi32
#define _mm512_reduce_add_ps emulated_reduce_add_ps
#define _mm512_reduce_max_ps emulated_reduce_max_ps
#define _mm512_cvtps_epi32 emulated_cvtps_epi32
#define _mm512_cvtepi32_ps emulated_cvtepi32_ps
#define _mm512_cvtepu16_epi32 emulated_cvtepu16_epi32
#define _mm512_cvtepi32_epi8 emulated_cvtepi32_epi8
#define _mm512_cvtph_ps emulated_cvtph_ps
#define _mm512_cvtps_ph(x, rounding) emulated_cvtps_ph(x)
#define _mm512_shuffle_f32x4 emulated_shuffle_f32x4

#endif
