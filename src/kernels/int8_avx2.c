/* SPDX-License-Identifier: MIT */
#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)

#include <math.h>
#include <stdbool.h>

#include "kernels/tables.h"
#include "kernels/vec_avx2.h"

enum { INT8_ROWS = 4, INT8_VECS = 3 };

#include "kernels/kernels_int8.inc.h"

const vt_int8_kernels vt_int8_avx2 = {
    .name = "avx2",
    .mr = INT8_ROWS,
    .nr = INT8_NR,
    .weight_max = 64,
    .gemm = int8_gemm,
    .quantize = int8_quantize,
    .dequantize = int8_dequantize,
};

#else
typedef int vt_no_int8_avx2; /* a translation unit must not be empty */
#endif
