/* SPDX-License-Identifier: MIT
 *
 * The two pieces with weights that every other layer is made of: a linear layer and a
 * normalisation.
 */
#ifndef VT_NN_DENSE_H
#define VT_NN_DENSE_H

#include "kernels/linear.h"

/* torch.nn.Linear: y = x W^T + b. */
typedef struct vt_dense {
    vt_packed weight;  /* [out][in] */
    const float *bias; /* [out], or NULL */
} vt_dense;

typedef enum vt_norm_kind { VT_NORM_LAYER, VT_NORM_RMS } vt_norm_kind;

/* LayerNorm or RMSNorm. A NULL weight is the identity: the layer is not there. */
typedef struct vt_norm {
    const float *weight; /* [n] */
    const float *bias;   /* [n], or NULL */
    vt_norm_kind kind;
    float eps;
} vt_norm;

/* What a layer runs on. */
typedef struct vt_compute {
    const vt_kernels *kernels;
    vt_pool *pool;     /* NULL: the caller's thread */
    void *scratch;     /* the largest vt_linear_row_scratch for each row of x */
    vt_status *status; /* set when a backend fails; NULL: it is not asked for */
} vt_compute;

/* y[rows] = dense(x[rows]), then the rest of the epilogue (its bias is ignored, the layer's is
 * used). */
void vt_dense_forward(const vt_compute *compute, const vt_dense *dense, float *y, size_t ldy,
                      const float *x, size_t ldx, size_t rows, vt_epilogue epilogue);

/* Columns [first, first + count) of dense(x[rows]) alone, to y[rows][count]. */
void vt_dense_forward_columns(const vt_compute *compute, const vt_dense *dense, size_t first,
                              size_t count, float *y, size_t ldy, const float *x, size_t ldx,
                              size_t rows);

/* y[rows][n] = norm(x[rows][n]); y may be x. The identity copies. */
void vt_norm_forward(const vt_compute *compute, const vt_norm *norm, float *y, size_t ldy,
                     const float *x, size_t ldx, size_t rows, size_t n);

#endif
