/* SPDX-License-Identifier: MIT
 *
 * Linear layers: Y = epilogue(X W^T + b).
 */
#ifndef VT_KERNELS_LINEAR_H
#define VT_KERNELS_LINEAR_H

#include "base/threads.h"
#include "kernels/packed.h"

/* What happens to each row of X W^T before it is stored, in this order. */
typedef struct vt_epilogue {
    const float *bias;     /* [n], or NULL: + bias */
    vt_activation act;     /* act(...) */
    const float *scale;    /* [n], or NULL: * scale (LayerScale's gamma) */
    const float *residual; /* [m][n] with leading dimension ldy, or NULL: + residual; may be y */
} vt_epilogue;

/* Operands of Y[m][n] = epilogue(X[m][k] W^T). x and y do not overlap. */
typedef struct vt_linear_args {
    float *y;
    size_t ldy;
    const float *x;
    size_t ldx, m;
    size_t first, count; /* of W's rows, and so of columns of Y and of the epilogue; count 0: all */
    void *scratch;       /* m vt_linear_row_scratch(weight) bytes */
} vt_linear_args;

/* Bytes that a row of X takes in 8 bits, or whatever else a backend wants it in; 0 where it is read
 * as it is. */
size_t vt_linear_row_scratch(const vt_packed *weight);

/* X[m][k] in 8 bits, at the beginning of the scratch memory. */
typedef struct vt_rounded {
    uint8_t *u; /* [m][stride], followed by rows; the stride a multiple of 4 */
    size_t stride;
    vt_int8_row *rows; /* [m] */
} vt_rounded;
vt_rounded vt_round_rows(vt_pool *pool, const vt_packed *weight, const vt_linear_args *args,
                         size_t stride);

/* The leading dimension for rows of `width` floats that vt_linear will read: such that they do not
 * evict one another from the first-level cache, which would have them copied first. */
size_t vt_linear_ld(size_t width);

/* Shared out over the pool. Does not allocate; a task takes 210 KiB of its thread's stack. Cannot
 * fail but where a backend does (linear_onednn.c), and then leaves Y undefined. */
vt_status vt_linear(const vt_kernels *kernels, vt_pool *pool, const vt_packed *weight,
                    const vt_linear_args *args, const vt_epilogue *epilogue);

#endif
