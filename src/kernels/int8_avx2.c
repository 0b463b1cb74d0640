/* SPDX-License-Identifier: MIT */
#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)

#include <math.h>
#include <stdbool.h>

#include "kernels/tables.h"
#include "kernels/vec_avx2.h"

/* 9 accumulators, 2 broadcasts of A, their 2 products with B, and ones: 14 of 16 registers. */
enum { INT8_ROWS = 3, INT8_VECS = 3, INT8_DEPTH = 4, INT8_PAIRS = 1 };

#include "kernels/kernels_int8.inc.h"

const vt_int8_kernels vt_int8_avx2 = {
    .name = "avx2",
    .mr = INT8_ROWS,
    .nr = INT8_NR,
    .depth = 192, /* 24 columns of it: 18 KiB */
    .weight_max = 127,
    .sum_max = 128,
    .gemm = int8_gemm,
    .quantize = int8_quantize,
    .dequantize = int8_dequantize,
};

#else
typedef int vt_no_int8_avx2; /* a translation unit must not be empty */
#endif
