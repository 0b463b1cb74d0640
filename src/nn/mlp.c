/* SPDX-License-Identifier: MIT */
#include "nn/mlp.h"

size_t vt_mlp_hidden_ld(size_t mlp_dim, bool gated) {
    return vt_linear_ld(gated ? 2 * mlp_dim : mlp_dim);
}

typedef struct gate_call {
    const vt_kernels *kernels;
    vt_activation activation;
    float *hidden; /* [rows][gate, value] */
    size_t ld, dim;
} gate_call;

static void gate_task(void *context, size_t row, size_t thread) {
    (void)thread;
    const gate_call *call = context;
    float *gate = call->hidden + row * call->ld;
    call->kernels->activate_mul(gate, gate + call->dim, call->dim, call->activation);
}

void vt_mlp_forward(const vt_compute *compute, const vt_mlp *mlp, float *y, size_t ldy,
                    const float *x, size_t ldx, size_t rows, float *hidden, vt_epilogue epilogue) {
    size_t dim = mlp->fc2.weight.k, ld = vt_mlp_hidden_ld(dim, mlp->gated);
    if (mlp->fc1.weight.backend) /* reads rows that are adjacent best */
        ld = mlp->gated ? 2 * dim : dim;
    vt_epilogue act = {.act = mlp->gated ? VT_ACT_NONE : mlp->activation};
    vt_dense_forward(compute, &mlp->fc1, hidden, ld, x, ldx, rows, act);
    if (mlp->gated) {
        gate_call call = {compute->kernels, mlp->activation, hidden, ld, dim};
        vt_pool_run(compute->pool, gate_task, &call, rows);
    }
    vt_norm_forward(compute, &mlp->norm, hidden, ld, hidden, ld, rows, dim);
    vt_dense_forward(compute, &mlp->fc2, y, ldy, hidden, ld, rows, epilogue);
}
