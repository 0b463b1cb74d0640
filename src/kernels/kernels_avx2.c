/* SPDX-License-Identifier: MIT */
#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "kernels/tables.h"
#include "kernels/vec_avx2.h"

/* 12 accumulators, 3 vectors of B, a broadcast of A: all 16 registers. 20.5 instructions for 12
 * multiply-adds, of 6 x 16 21.5: the fewer, the better on a core of which another has half. */
enum { TILE_ROWS = 4, TILE_VECS = 3, TILE_DEPTH = 4 };

#include "kernels/kernels_colour.inc.h"
#include "kernels/kernels_gemm.inc.h"
#include "kernels/kernels_peak.inc.h"
#include "kernels/kernels_resize.inc.h"
#include "kernels/kernels_rows.inc.h"
#include "kernels/resize_avx2.inc.h"

const vt_kernels vt_kernels_avx2 = {
    .name = "avx2",
    .mr = TILE_ROWS,
    .nr = NR,
    .gemm = gemm_f32,
    .gemm_f16 = gemm_f16,
    .gemm_bf16 = gemm_bf16,
    .dot = dot_f32,
    .axpy = axpy_f32,
    .scale = scale_f32,
    .max = max_f32,
    .exp_sum = exp_sum_f32,
    .layer_norm = layer_norm_f32,
    .rms_norm = rms_norm_f32,
    .activate = activate_f32,
    .activate_mul = activate_mul_f32,
    .epilogue = epilogue_f32,
    .transpose = transpose_f32,
    .multiply_add = multiply_add_f32,
    .f16_to_f32 = f16_to_f32,
    .bf16_to_f32 = bf16_to_f32,
    .f32_to_f16 = f32_to_f16,
    .f32_to_bf16 = f32_to_bf16,
    .resize_rows = resize_rows_avx2,
    .resize_columns = resize_columns_u8,
    .yuv_to_rgb = yuv_to_rgb,
    .bytes_to_rgb = bytes_to_rgb,
};

#else
typedef int vt_no_avx2; /* a translation unit must not be empty */
#endif
