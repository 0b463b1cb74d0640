/* SPDX-License-Identifier: MIT
 *
 * Four floats in a NEON register, in the terms that kernels_gemm.inc.h and kernels_rows.inc.h are
 * written in.
 */
#ifndef VT_KERNELS_VEC_NEON_H
#define VT_KERNELS_VEC_NEON_H

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef float32x4_t vec;
typedef uint32x4_t vec_mask;

enum { VEC_WIDTH = 4 };

static inline vec vec_load(const float *p) {
    return vld1q_f32(p);
}

static inline void vec_store(float *p, vec x) {
    vst1q_f32(p, x);
}

/* The first n < VEC_WIDTH floats, zero beyond; nothing past them is touched. */
static inline vec vec_load_first(const float *p, size_t n) {
    float lanes[VEC_WIDTH] = {0};
    memcpy(lanes, p, n * sizeof *p);
    return vld1q_f32(lanes);
}

static inline void vec_store_first(float *p, vec x, size_t n) {
    float lanes[VEC_WIDTH];
    vst1q_f32(lanes, x);
    memcpy(p, lanes, n * sizeof *p);
}

/* Lanes n and up become zero. */
static inline vec vec_keep_first(vec x, size_t n) {
    static const uint32_t lanes[VEC_WIDTH] = {0, 1, 2, 3};
    uint32x4_t kept = vcltq_u32(vld1q_u32(lanes), vdupq_n_u32((uint32_t)n));
    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(x), kept));
}

static inline vec vec_set(float x) {
    return vdupq_n_f32(x);
}

static inline vec vec_add(vec a, vec b) {
    return vaddq_f32(a, b);
}

static inline vec vec_sub(vec a, vec b) {
    return vsubq_f32(a, b);
}

static inline vec vec_mul(vec a, vec b) {
    return vmulq_f32(a, b);
}

static inline vec vec_div(vec a, vec b) {
    return vdivq_f32(a, b);
}

/* a b + c, rounded once */
static inline vec vec_fma(vec a, vec b, vec c) {
    return vfmaq_f32(c, a, b);
}

/* The same: a sum that grows. */
static inline vec vec_accumulate(vec acc, vec a, vec b) {
    return vec_fma(a, b, acc);
}

/* NaN where either is. */
static inline vec vec_max(vec a, vec b) {
    return vmaxq_f32(a, b);
}

static inline vec vec_min(vec a, vec b) {
    return vminq_f32(a, b);
}

/* To the nearest whole number, ties to even. */
static inline vec vec_round(vec x) {
    return vrndnq_f32(x);
}

/* x 2^n for whole n in [-252, 254], subnormal results and zero included: in two steps, as 2^n alone
 * may be out of range. */
static inline vec vec_scale_by_power(vec x, vec n) {
    const int32x4_t bias = vdupq_n_s32(127);
    int32x4_t whole = vcvtq_s32_f32(n);
    int32x4_t half = vshrq_n_s32(whole, 1);
    int32x4_t rest = vsubq_s32(whole, half);
    int32x4_t first = vshlq_n_s32(vaddq_s32(half, bias), 23);
    int32x4_t second = vshlq_n_s32(vaddq_s32(rest, bias), 23);
    return vec_mul(vec_mul(x, vreinterpretq_f32_s32(first)), vreinterpretq_f32_s32(second));
}

/* x 2^n, where that is a normal number; n is in the low bits of t (exp_below). */
static inline vec vec_scale_by_low_bits(vec x, vec t) {
    int32x4_t power = vshlq_n_s32(vreinterpretq_s32_f32(t), 23);
    return vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(x), power));
}

static inline vec_mask vec_less(vec a, vec b) {
    return vcltq_f32(a, b);
}

/* a where the mask is set, else b */
static inline vec vec_select(vec_mask mask, vec a, vec b) {
    return vbslq_f32(mask, a, b);
}

static inline vec vec_abs(vec x) {
    return vabsq_f32(x);
}

/* |x| with the sign of `sign` */
static inline vec vec_copysign(vec x, vec sign) {
    return vbslq_f32(vdupq_n_u32(UINT32_C(1) << 31), sign, x);
}

static inline float vec_sum(vec x) {
    return vaddvq_f32(x);
}

static inline float vec_largest(vec x) {
    return vmaxvq_f32(x);
}

static inline void vec_store_f16(uint16_t *p, vec x) {
    vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(x)));
}

static inline vec vec_load_f16(const uint16_t *p) {
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
}

/* A BF16 is the upper half of the F32. */
static inline vec vec_load_bf16(const uint16_t *p) {
    return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p), 16));
}

/* Rows become columns, in place. */
static inline void vec_transpose(vec r[VEC_WIDTH]) {
    float32x4x2_t a = vtrnq_f32(r[0], r[1]), b = vtrnq_f32(r[2], r[3]);
    r[0] = vcombine_f32(vget_low_f32(a.val[0]), vget_low_f32(b.val[0]));
    r[1] = vcombine_f32(vget_low_f32(a.val[1]), vget_low_f32(b.val[1]));
    r[2] = vcombine_f32(vget_high_f32(a.val[0]), vget_high_f32(b.val[0]));
    r[3] = vcombine_f32(vget_high_f32(a.val[1]), vget_high_f32(b.val[1]));
}

/* ---- 32-bit integers, and 8-bit ones by fours ---- */

typedef int32x4_t veci;

static inline veci veci_zero(void) {
    return vdupq_n_s32(0);
}

static inline veci veci_set(int32_t x) {
    return vdupq_n_s32(x);
}

static inline veci veci_load(const void *p) {
    return vreinterpretq_s32_u8(vld1q_u8(p));
}

static inline void veci_store(int32_t *p, veci x) {
    vst1q_s32(p, x);
}

static inline veci veci_load_first(const int32_t *p, size_t n) {
    int32_t lanes[VEC_WIDTH] = {0};
    memcpy(lanes, p, n * sizeof *p);
    return vld1q_s32(lanes);
}

static inline void veci_store_first(int32_t *p, veci x, size_t n) {
    int32_t lanes[VEC_WIDTH];
    vst1q_s32(lanes, x);
    memcpy(p, lanes, n * sizeof *p);
}

static inline veci veci_add(veci a, veci b) {
    return vaddq_s32(a, b);
}

static inline veci veci_sub(veci a, veci b) {
    return vsubq_s32(a, b);
}

static inline veci veci_mul(veci a, veci b) {
    return vmulq_s32(a, b);
}

/* Whole numbers; and back, rounded to float. */
static inline veci veci_from_vec(vec x) {
    return vcvtq_s32_f32(x);
}

static inline vec vec_from_veci(veci x) {
    return vcvtq_f32_s32(x);
}

/* Lanes in [0, 255] as bytes. */
static inline void veci_store_u8(uint8_t *p, veci x) {
    uint16x4_t words = vqmovun_s32(x);
    uint8x8_t bytes = vqmovn_u16(vcombine_u16(words, words));
    uint32_t group = vget_lane_u32(vreinterpret_u32_u8(bytes), 0);
    memcpy(p, &group, sizeof group);
}

/* The same four bytes in all lanes. */
static inline veci veci_broadcast_group(const uint8_t *p) {
    int32_t group;
    memcpy(&group, p, sizeof group);
    return vdupq_n_s32(group);
}

/* acc + the sum of four products of a lane: unsigned bytes of u with signed ones of s. A product is
 * at most 255 * 127 = 32385 and fits in 16 bits; pairs are added in 32. */
static inline veci veci_dot4(veci acc, veci u, veci s) {
    uint8x16_t ub = vreinterpretq_u8_s32(u);
    int8x16_t sb = vreinterpretq_s8_s32(s);
    int16x8_t low =
        vmulq_s16(vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(ub))), vmovl_s8(vget_low_s8(sb)));
    int16x8_t high = vmulq_s16(vreinterpretq_s16_u16(vmovl_high_u8(ub)), vmovl_high_s8(sb));
    return vaddq_s32(acc, vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high)));
}

/* acc + u . s + v . t, eight products */
static inline veci veci_dot8(veci acc, veci u, veci s, veci v, veci t) {
    return veci_dot4(veci_dot4(acc, u, s), v, t);
}

#endif
