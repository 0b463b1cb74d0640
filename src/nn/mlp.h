/* SPDX-License-Identifier: MIT
 *
 * The feed-forward half of a block: fc2(act(fc1(x))), or fc2(act(gate(x)) * value(x)) when it is
 * gated (Shazeer 2020, "GLU variants improve transformer").
 */
#ifndef VT_NN_MLP_H
#define VT_NN_MLP_H

#include "nn/dense.h"

typedef struct vt_mlp {
    vt_dense fc1; /* [mlp_dim][width]; gated: [gate rows, value rows][width] */
    vt_norm norm; /* between the two, where a model has it (sub-LN) */
    vt_dense fc2; /* [width][mlp_dim] */
    vt_activation activation;
    bool gated;
} vt_mlp;

/* The leading dimension of the hidden rows that vt_mlp_forward needs, of mlp_dim columns, or twice
 * as many when gated. */
size_t vt_mlp_hidden_ld(size_t mlp_dim, bool gated);

/* y = epilogue(mlp(x)). `hidden` holds rows * vt_mlp_hidden_ld floats. */
void vt_mlp_forward(const vt_compute *compute, const vt_mlp *mlp, float *y, size_t ldy,
                    const float *x, size_t ldx, size_t rows, float *hidden, vt_epilogue epilogue);

#endif
