/* SPDX-License-Identifier: MIT
 *
 * Linear layers: Y = epilogue(X W^T + b), the weights packed once when a model is opened.
 */
#ifndef VT_KERNELS_LINEAR_H
#define VT_KERNELS_LINEAR_H

#include "base/threads.h"
#include "kernels/kernels.h"

/* W[n][k] as torch stores nn.Linear's weight, packed as the B operand of gemm: W^T in panels. */
typedef struct vt_packed {
    size_t n, k;
    float *panels; /* ceil(n / nr) panels of [k][nr], owned */
} vt_packed;

/* Floats in the panels of a k x n operand; false when that does not fit in a size_t. */
bool vt_packed_size(const vt_kernels *kernels, size_t n, size_t k, size_t *floats);

/* Packs rows [row, row + rows) of `out` from W[rows][k] (leading dimension k). A fused qkv layer,
 * say, is packed from three. `out` must hold panels for out->n rows. Rows never written must be
 * zeroed by the caller (vt_packed_create does). */
void vt_pack_rows(const vt_kernels *kernels, vt_packed *out, size_t row, const float *weight,
                  size_t rows);

/* Panels for an n x k weight, all zero. */
vt_status vt_packed_create(vt_packed *out, const vt_kernels *kernels, size_t n, size_t k,
                           vt_error *err);
void vt_packed_free(vt_packed *packed);

/* Packs B[k][n] (row-major, leading dimension ldb) into panels, for operands made on the fly (V in
 * attention), and its transpose from BT[n][k] (K in attention). */
void vt_pack_panels(float *panels, const float *b, size_t ldb, size_t k, size_t n, size_t nr);
void vt_pack_panels_transposed(float *panels, const float *bt, size_t ldb, size_t k, size_t n,
                               size_t nr);

/* What happens to each row of X W^T before it is stored, in this order. */
typedef struct vt_epilogue {
    const float *bias;     /* [n], or NULL: + bias */
    vt_activation act;     /* act(...) */
    const float *scale;    /* [n], or NULL: * scale (LayerScale's gamma) */
    const float *residual; /* [m][n] with leading dimension ldy, or NULL: + residual; may be y */
} vt_epilogue;

/* Y[m][n] = epilogue(X[m][k] W^T), shared out over the pool. x and y do not overlap. Does not
 * allocate; a task takes 160 KiB of its thread's stack. */
void vt_linear(const vt_kernels *kernels, vt_pool *pool, float *y, size_t ldy, const float *x,
               size_t ldx, size_t m, const vt_packed *weight, const vt_epilogue *epilogue);

#endif
