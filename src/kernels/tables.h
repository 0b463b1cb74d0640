/* SPDX-License-Identifier: MIT
 *
 * The tables that vt_kernels_select chooses from; each is defined only where its instruction set
 * is.
 */
#ifndef VT_KERNELS_TABLES_H
#define VT_KERNELS_TABLES_H

#include "kernels/kernels.h"

extern const vt_kernels vt_kernels_scalar;
#if defined(__x86_64__)
extern const vt_kernels vt_kernels_avx2;
extern const vt_kernels vt_kernels_avx512;
#elif defined(__aarch64__)
extern const vt_kernels vt_kernels_neon;
#endif

#endif
