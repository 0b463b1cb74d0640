/* SPDX-License-Identifier: MIT */
#if defined(__aarch64__)

#include <math.h>
#include <stdbool.h>

#include "kernels/tables.h"
#include "kernels/vec_neon.h"

enum { INT8_ROWS = 4, INT8_VECS = 2, INT8_DEPTH = 1, INT8_PAIRS = 0 };

#include "kernels/kernels_int8.inc.h"

const vt_int8_kernels vt_int8_neon = {
    .name = "neon",
    .mr = INT8_ROWS,
    .nr = INT8_NR,
    .depth = 768,
    .weight_max = 127,
    .gemm = int8_gemm,
    .quantize = int8_quantize,
    .dequantize = int8_dequantize,
};

#else
typedef int vt_no_int8_neon; /* a translation unit must not be empty */
#endif
