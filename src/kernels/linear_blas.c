/* SPDX-License-Identifier: MIT
 *
 * Linear layers by OpenBLAS, in F32. W stays row-major, as torch stores it; a task has cblas_sgemm
 * multiply one block of Y into a buffer on its stack and applies the epilogue from there.
 *
 * The tasks are this library's threads; OpenBLAS must not start its own below them, so that it is
 * told to use one thread: in the whole process, as it knows no other way. Where blocks begin
 * depends on the shape alone, and so the result does not depend on the number of threads. It may
 * depend on the rows that are multiplied together: OpenBLAS chooses its kernels by shape.
 */
#include <cblas.h>
#include <limits.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "kernels/backend.h"

/* OpenBLAS copies both operands of each call: blocks are as large as a stack allows, 128 KiB. */
enum { BLOCK_ROWS = 256, BLOCK_COLS = 128 };

static size_t min_size(size_t a, size_t b) {
    return a < b ? a : b;
}

static size_t ceil_div(size_t a, size_t b) {
    return (a + b - 1) / b;
}

static bool takes(vt_storage storage) {
    return storage == VT_STORE_F32;
}

static vt_status create(vt_packed *out, const vt_kernels *kernels, const vt_matrix_spec *spec,
                        vt_error *err) {
    (void)kernels;
    size_t elements;
    if (spec->n > INT_MAX || spec->k > INT_MAX || !vt_mul_size(spec->n, spec->k, &elements) ||
        !vt_mul_size(elements, sizeof(float), &out->bytes))
        return vt_fail(err, VT_ERR_LIMIT, "a weight of %zu x %zu is too large", spec->n, spec->k);
    out->panels = vt_malloc(out->bytes, 1);
    if (!out->panels)
        return vt_fail_memory(err, "a weight", out->bytes);
    vt_prefer_huge_pages(out->panels, out->bytes);
    openblas_set_num_threads(1);
    return VT_OK;
}

static void pack_rows(const vt_kernels *kernels, vt_packed *out, size_t row, const float *weight,
                      size_t rows) {
    (void)kernels;
    memcpy((float *)out->panels + row * out->k, weight, rows * out->k * sizeof *weight);
}

static vt_status finish(vt_packed *packed, vt_error *err) {
    (void)packed;
    (void)err;
    return VT_OK;
}

static void destroy(void *state) {
    (void)state;
}

static size_t row_scratch(const vt_packed *weight) {
    (void)weight;
    return 0;
}

typedef struct blas_job {
    const vt_kernels *kernels;
    const vt_packed *weight;
    const vt_linear_args *args;
    const vt_epilogue *epilogue;
    size_t row_blocks, cols;
} blas_job;

static void blas_task(void *context, size_t task, size_t thread) {
    (void)thread;
    _Alignas(VT_ALIGNMENT) float product[BLOCK_ROWS * BLOCK_COLS];
    const blas_job *job = context;
    const vt_linear_args *args = job->args;
    const vt_epilogue *ep = job->epilogue;
    size_t row = task % job->row_blocks * BLOCK_ROWS, col = task / job->row_blocks * BLOCK_COLS;
    size_t rows = min_size(BLOCK_ROWS, args->m - row), cols = min_size(BLOCK_COLS, job->cols - col);
    size_t k = job->weight->k;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)cols, (int)k, 1,
                args->x + row * args->ldx, (int)args->ldx,
                (const float *)job->weight->panels + (args->first + col) * k, (int)k, 0, product,
                BLOCK_COLS);
    for (size_t r = 0; r < rows; r++) {
        size_t at = (row + r) * args->ldy + col;
        job->kernels->epilogue(
            args->y + at, product + r * BLOCK_COLS, cols, ep->bias ? ep->bias + col : NULL, ep->act,
            ep->scale ? ep->scale + col : NULL, ep->residual ? ep->residual + at : NULL);
    }
}

static vt_status linear(const vt_kernels *kernels, vt_pool *pool, const vt_packed *weight,
                        const vt_linear_args *args, const vt_epilogue *epilogue) {
    blas_job job = {
        .kernels = kernels,
        .weight = weight,
        .args = args,
        .epilogue = epilogue,
        .row_blocks = ceil_div(args->m, BLOCK_ROWS),
        .cols = args->count ? args->count : weight->n,
    };
    vt_pool_run(pool, blas_task, &job, job.row_blocks * ceil_div(job.cols, BLOCK_COLS));
    return VT_OK;
}

const vt_backend vt_backend_blas = {
    .name = "blas",
    .takes = takes,
    .create = create,
    .pack_rows = pack_rows,
    .finish = finish,
    .destroy = destroy,
    .row_scratch = row_scratch,
    .linear = linear,
};
