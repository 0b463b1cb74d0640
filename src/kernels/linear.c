/* SPDX-License-Identifier: MIT
 *
 * Y[m][n] is cut into blocks of rows by columns, a task each. A task adds up its block over pieces
 * of k in a buffer on its stack:
 *
 *     for each piece of k
 *         sums[rows][columns] (+)= X[rows][piece]  x  W^T[piece][columns]     (gemm)
 *     Y block = epilogue(sums)
 *
 * X is read in place, unless its rows would evict one another from the first-level cache: then the
 * piece is copied to the stack first, where rows are adjacent. The sums are a buffer of their own
 * because the residual may be Y itself.
 *
 * A piece's bounds depend on k alone, and an element's products are added in the order of k
 * whatever the tile: the result does not depend on the number of threads.
 */
#include "kernels/linear.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "base/error.h"
#include "base/memory.h"

enum {
    BLOCK_ROWS = 42,           /* three micro-tiles of 14 rows, or seven of 6 */
    BLOCK_COLS = 512,          /* W^T's piece, 384 x 512, is 3/4 of a 1 MiB second-level cache */
    PIECE = 384,               /* of k: 14 rows of it are 21 KiB of the first-level cache */
    PIECE_STRIDE = PIECE + 16, /* not a power of two */
    TASKS_A_THREAD = 4,        /* so that threads finish at about the same time */
};

static size_t min_size(size_t a, size_t b) {
    return a < b ? a : b;
}

static size_t ceil_div(size_t a, size_t b) {
    return (a + b - 1) / b;
}

/* ---- packing ------------------------------------------------------------------------------- */

bool vt_packed_size(const vt_kernels *kernels, size_t n, size_t k, size_t *floats) {
    size_t columns;
    return vt_mul_size(n / kernels->nr + (n % kernels->nr != 0), kernels->nr, &columns) &&
           vt_mul_size(columns, k, floats);
}

/* Asks for pages of 2 MiB: a forward pass walks through all weights, which are too many for the TLB
 * in pages of 4 KiB. A hint, so that its failure does not matter. */
static void prefer_huge_pages(float *memory, size_t bytes) {
#if defined(MADV_HUGEPAGE)
    const uintptr_t page = 2 << 20;
    uintptr_t begin = ((uintptr_t)memory + page - 1) / page * page;
    uintptr_t end = ((uintptr_t)memory + bytes) / page * page;
    if (begin < end)
        madvise((void *)begin, end - begin, MADV_HUGEPAGE);
#else
    (void)memory;
    (void)bytes;
#endif
}

vt_status vt_packed_create(vt_packed *out, const vt_kernels *kernels, size_t n, size_t k,
                           vt_error *err) {
    *out = (vt_packed){.n = n, .k = k};
    size_t floats;
    if (!vt_packed_size(kernels, n, k, &floats) || floats > SIZE_MAX / sizeof(float))
        return vt_fail(err, VT_ERR_LIMIT, "a weight of %zu x %zu is too large", n, k);
    out->panels = vt_malloc(floats, sizeof(float));
    if (!out->panels)
        return vt_fail_memory(err, "packed weights", floats * sizeof(float));
    prefer_huge_pages(out->panels, floats * sizeof(float)); /* before its pages are first touched */
    memset(out->panels, 0, floats * sizeof(float));
    return VT_OK;
}

void vt_packed_free(vt_packed *packed) {
    vt_free(packed->panels);
    *packed = (vt_packed){0};
}

/* panel[p][j] = bt[j][p] for j < cols: a strip of 16 p at a time, whose target stays in the cache.
 */
static void transpose_into(float *panel, size_t nr, const float *bt, size_t ldb, size_t k,
                           size_t cols) {
    enum { STRIP = 16 };
    for (size_t start = 0; start < k; start += STRIP) {
        size_t end = min_size(start + STRIP, k);
        for (size_t j = 0; j < cols; j++)
            for (size_t p = start; p < end; p++)
                panel[p * nr + j] = bt[j * ldb + p];
    }
}

void vt_pack_rows(const vt_kernels *kernels, vt_packed *out, size_t row, const float *weight,
                  size_t rows) {
    size_t nr = kernels->nr, k = out->k;
    for (size_t done = 0; done < rows;) {
        size_t panel = (row + done) / nr, col = (row + done) % nr;
        size_t cols = min_size(nr - col, rows - done);
        transpose_into(out->panels + panel * nr * k + col, nr, weight + done * k, k, k, cols);
        done += cols;
    }
}

void vt_pack_panels(float *panels, const float *b, size_t ldb, size_t k, size_t n, size_t nr) {
    for (size_t col = 0; col < n; col += nr) {
        size_t cols = min_size(nr, n - col);
        for (size_t p = 0; p < k; p++, panels += nr) {
            memcpy(panels, b + p * ldb + col, cols * sizeof *b);
            memset(panels + cols, 0, (nr - cols) * sizeof *b);
        }
    }
}

void vt_pack_panels_transposed(float *panels, const float *bt, size_t ldb, size_t k, size_t n,
                               size_t nr) {
    for (size_t col = 0; col < n; col += nr, panels += k * nr) {
        size_t cols = min_size(nr, n - col);
        if (cols < nr)
            memset(panels, 0, k * nr * sizeof *panels);
        transpose_into(panels, nr, bt + col * ldb, ldb, k, cols);
    }
}

/* ---- linear -------------------------------------------------------------------------------- */

typedef struct linear_job {
    const vt_kernels *kernels;
    float *y;
    const float *x;
    size_t ldy, ldx, m;
    const vt_packed *weight;
    const vt_epilogue *epilogue;
    size_t row_blocks, col_blocks;
} linear_job;

/* The `part`th of `parts` even shares of `count`: from *begin to the returned end. */
static size_t share(size_t count, size_t parts, size_t part, size_t *begin) {
    *begin = count * part / parts;
    return count * (part + 1) / parts;
}

/* A cache way spans 4096 bytes, usually. Rows a multiple of 2048 bytes apart share one or two sets
 * in it, of 8 lines each: too few for the 14 rows of a tile. */
static bool rows_collide(const linear_job *job) {
    return job->kernels->mr > 8 && job->ldx % (2048 / sizeof(float)) == 0;
}

/* sums[rows][cols] = X[rows][k] W^T, `cols` columns from `panel`. */
static void sum_block(const linear_job *job, float *sums, size_t row, size_t rows, size_t panel,
                      size_t cols) {
    _Alignas(VT_ALIGNMENT) float piece[BLOCK_ROWS * PIECE_STRIDE];
    const vt_kernels *kernels = job->kernels;
    const bool copied = rows > 1 && rows_collide(job);
    size_t k = job->weight->k, nr = kernels->nr, pieces = ceil_div(k, PIECE);
    for (size_t part = 0; part < pieces; part++) {
        size_t start, end = share(k, pieces, part, &start);
        const float *x = job->x + row * job->ldx + start;
        for (size_t r = 0; copied && r < rows; r++)
            memcpy(piece + r * PIECE_STRIDE, x + r * job->ldx, (end - start) * sizeof *piece);
        /* A panel at a time: one piece of a panel is not followed by the next panel's. */
        for (size_t col = 0; col < cols; col += nr)
            kernels->gemm(rows, min_size(nr, cols - col), end - start, copied ? piece : x,
                          copied ? PIECE_STRIDE : job->ldx,
                          job->weight->panels + ((panel + col / nr) * k + start) * nr, sums + col,
                          BLOCK_COLS, part > 0);
    }
}

static void linear_task(void *context, size_t task, size_t thread) {
    (void)thread;
    _Alignas(VT_ALIGNMENT) float sums[BLOCK_ROWS * BLOCK_COLS];
    const linear_job *job = context;
    const vt_epilogue *ep = job->epilogue;
    size_t nr = job->kernels->nr, n = job->weight->n;
    size_t row, panel;
    /* Tasks next to one another share the weights, which are larger than the rows. */
    size_t row_end = share(job->m, job->row_blocks, task % job->row_blocks, &row);
    size_t panel_end = share(ceil_div(n, nr), job->col_blocks, task / job->row_blocks, &panel);
    size_t col = panel * nr, cols = min_size(panel_end * nr, n) - col;
    sum_block(job, sums, row, row_end - row, panel, cols);
    for (size_t r = row; r < row_end; r++)
        job->kernels->epilogue(job->y + r * job->ldy + col, sums + (r - row) * BLOCK_COLS, cols,
                               ep->bias ? ep->bias + col : NULL, ep->act,
                               ep->scale ? ep->scale + col : NULL,
                               ep->residual ? ep->residual + r * job->ldy + col : NULL);
}

/* The fewest blocks that fit a task's buffers; with several threads then more, narrower and at last
 * lower ones, until there are enough to share out. */
static void choose_blocks(linear_job *job, size_t num_threads) {
    const vt_kernels *kernels = job->kernels;
    size_t panels = ceil_div(job->weight->n, kernels->nr);
    size_t wanted = num_threads > 1 ? TASKS_A_THREAD * num_threads : 1;
    job->row_blocks = ceil_div(job->m, BLOCK_ROWS / kernels->mr * kernels->mr);
    job->col_blocks = ceil_div(panels, BLOCK_COLS / kernels->nr);
    if (job->row_blocks * job->col_blocks < wanted)
        job->col_blocks = min_size(panels, ceil_div(wanted, job->row_blocks));
    if (job->row_blocks * job->col_blocks < wanted)
        job->row_blocks =
            min_size(ceil_div(job->m, kernels->mr), ceil_div(wanted, job->col_blocks));
}

void vt_linear(const vt_kernels *kernels, vt_pool *pool, float *y, size_t ldy, const float *x,
               size_t ldx, size_t m, const vt_packed *weight, const vt_epilogue *epilogue) {
    linear_job job = {
        .kernels = kernels,
        .y = y,
        .x = x,
        .ldy = ldy,
        .ldx = ldx,
        .m = m,
        .weight = weight,
        .epilogue = epilogue,
    };
    if (m == 0 || weight->n == 0)
        return;
    choose_blocks(&job, vt_pool_size(pool));
    vt_pool_run(pool, linear_task, &job, job.row_blocks * job.col_blocks);
}
