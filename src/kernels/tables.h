/* SPDX-License-Identifier: MIT
 *
 * The tables that vt_kernels_select and vt_int8_kernels_for choose from; each is defined only where
 * its instruction set is.
 */
#ifndef VT_KERNELS_TABLES_H
#define VT_KERNELS_TABLES_H

#include "kernels/int8.h"
#include "kernels/kernels.h"

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
