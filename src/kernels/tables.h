/* SPDX-License-Identifier: MIT
 *
 * The tables that vt_kernels_select and vt_int8_kernels_for choose from; each is defined only where
 * its instruction set is.
 */
#ifndef VT_KERNELS_TABLES_H
#define VT_KERNELS_TABLES_H

#include <string.h>

#include "kernels/int8.h"
#include "kernels/kernels.h"

/* The upper half of a float, rounded to the nearest; what is no number keeps a bit of its payload.
 */
static inline uint16_t vt_bf16_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t rounded = bits + 0x7fff + (bits >> 16 & 1);
    return (uint16_t)((value == value ? rounded : bits | 1u << 22) >> 16);
}

extern const vt_kernels vt_kernels_scalar;
extern const vt_int8_kernels vt_int8_scalar;
#if defined(__x86_64__)
extern const vt_kernels vt_kernels_avx2;
extern const vt_kernels vt_kernels_avx512;
extern const vt_int8_kernels vt_int8_avx2;
extern const vt_int8_kernels vt_int8_avx512vnni;
#elif defined(__aarch64__)
extern const vt_kernels vt_kernels_neon;
extern const vt_int8_kernels vt_int8_neon;
#endif

#endif
