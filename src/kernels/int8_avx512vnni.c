/* SPDX-License-Identifier: MIT */
#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) &&                      \
    defined(__AVX512VL__) && defined(__AVX512VNNI__)

#include <math.h>
#include <stdbool.h>

#include "kernels/tables.h"
#include "kernels/vec_avx512.h"

enum {
    INT8_ROWS = 8,
    INT8_VECS = 3,
    INT8_DEPTH = 1,
    INT8_PAIRS = 0
}; /* 24 accumulators, 3 vectors of B, a broadcast of A: 28 of 32 registers. */

#include "kernels/kernels_int8.inc.h"

const vt_int8_kernels vt_int8_avx512vnni = {
    .name = "avx512vnni",
    .mr = INT8_ROWS,
    .nr = INT8_NR,
    .depth = 768,
    .weight_max = 127,
    .gemm = int8_gemm,
    .quantize = int8_quantize,
    .dequantize = int8_dequantize,
};

#else
typedef int vt_no_int8_avx512vnni; /* a translation unit must not be empty */
#endif
