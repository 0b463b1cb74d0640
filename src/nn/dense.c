/* SPDX-License-Identifier: MIT */
#include "nn/dense.h"

#include <string.h>

static void forward(const vt_compute *compute, const vt_dense *dense, const vt_linear_args *args,
                    const vt_epilogue *epilogue) {
    vt_status status = vt_linear(compute->kernels, compute->pool, &dense->weight, args, epilogue);
    if (status && compute->status)
        *compute->status = status;
}

void vt_dense_forward(const vt_compute *compute, const vt_dense *dense, float *y, size_t ldy,
                      const float *x, size_t ldx, size_t rows, vt_epilogue epilogue) {
    epilogue.bias = dense->bias;
    vt_linear_args args = {y, ldy, x, ldx, rows, 0, 0, compute->scratch};
    forward(compute, dense, &args, &epilogue);
}

void vt_dense_forward_columns(const vt_compute *compute, const vt_dense *dense, size_t first,
                              size_t count, float *y, size_t ldy, const float *x, size_t ldx,
                              size_t rows) {
    vt_epilogue epilogue = {.bias = dense->bias ? dense->bias + first : NULL};
    vt_linear_args args = {y, ldy, x, ldx, rows, first, count, compute->scratch};
    forward(compute, dense, &args, &epilogue);
}

/* A task takes a few rows: enough to outweigh handing it out, few enough to balance. */
enum { ROWS_PER_TASK = 16 };

typedef struct norm_call {
    const vt_kernels *kernels;
    const vt_norm *norm;
    float *y;
    const float *x;
    size_t ldy, ldx, rows, n;
} norm_call;

static void norm_row(const norm_call *call, float *y, const float *x) {
    const vt_norm *norm = call->norm;
    if (!norm->weight) {
        if (y != x)
            memcpy(y, x, call->n * sizeof *y);
    } else if (norm->kind == VT_NORM_RMS) {
        call->kernels->rms_norm(y, x, norm->weight, call->n, norm->eps);
    } else {
        call->kernels->layer_norm(y, x, norm->weight, norm->bias, call->n, norm->eps);
    }
}

static void norm_task(void *context, size_t task, size_t thread) {
    (void)thread;
    const norm_call *call = context;
    size_t first = task * ROWS_PER_TASK, last = first + ROWS_PER_TASK;
    for (size_t row = first; row < last && row < call->rows; row++)
        norm_row(call, call->y + row * call->ldy, call->x + row * call->ldx);
}

void vt_norm_forward(const vt_compute *compute, const vt_norm *norm, float *y, size_t ldy,
                     const float *x, size_t ldx, size_t rows, size_t n) {
    if (!norm->weight && y == x)
        return;
    norm_call call = {compute->kernels, norm, y, x, ldy, ldx, rows, n};
    vt_pool_run(compute->pool, norm_task, &call, (rows + ROWS_PER_TASK - 1) / ROWS_PER_TASK);
}
