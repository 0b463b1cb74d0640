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
 * because the residual may be Y itself. For weights of 8 bits the rows of X are rounded first, all
 * of them, and the sums are integers.
 *
 * A piece's bounds depend on k alone, and an element's products are added in the order of k
 * whatever the tile: the result does not depend on the number of threads.
 */
#include "kernels/linear.h"

#include <string.h>

#include "base/memory.h"
#include "kernels/backend.h"

enum {
    BLOCK_ROWS = 112, /* eight micro-tiles of 14 rows: W^T is read from memory once for them */
    BLOCK_COLS = 256, /* W^T's piece, 768 x 256, is 3/4 of a 1 MiB second-level cache */
    PIECE = 768,      /* of k: the sums are stored and loaded again for each */
    COPIED_ROWS = 28, /* that are copied at a time */
    PIECE_STRIDE = PIECE + 16, /* not a power of two */
    TASKS_A_THREAD = 4,        /* so that threads finish at about the same time */
    MOST_TRIED = 64,           /* ways to cut the columns */
    ROWS_A_TASK = 8,           /* that are rounded to 8 bits */
};

static size_t min_size(size_t a, size_t b) {
    return a < b ? a : b;
}

static size_t max_size(size_t a, size_t b) {
    return a > b ? a : b;
}

static size_t ceil_div(size_t a, size_t b) {
    return (a + b - 1) / b;
}

typedef struct linear_job {
    const vt_kernels *kernels;
    const vt_packed *weight;
    const vt_linear_args *args;
    const vt_epilogue *epilogue;
    size_t mr, nr;
    size_t panel_rows, element; /* of a panel: k and bytes of a float; INT8: groups, of theirs */
    size_t first, past;         /* W's rows: columns of Y */
    size_t first_panel, num_panels; /* that hold them */
    size_t row_blocks, col_blocks;
    vt_rounded rounded; /* INT8: X */
} linear_job;

/* A task's block: rows of X, columns of W^T from a panel's first. That panel may begin with columns
 * that are not asked for. */
typedef struct linear_block {
    size_t row, rows, panel, cols;
    size_t skip; /* of the columns */
} linear_block;

/* ---- F32, F16 and BF16 weights ------------------------------------------------------------- */

/* A cache way spans 4096 bytes, usually. Rows a multiple of 2048 bytes apart share one or two sets
 * in it, of 8 lines each: too few for the 14 rows of a tile. */
static bool ld_collides(size_t ld) {
    return ld % (2048 / sizeof(float)) == 0;
}

static bool rows_collide(const linear_job *job) {
    return job->mr > 8 && ld_collides(job->args->ldx);
}

size_t vt_linear_ld(size_t width) {
    return ld_collides(width) ? width + 64 / sizeof(float) : width;
}

/* Row `row` of a panel; NULL past the last one. */
static const void *panel_row(const linear_job *job, size_t panel, size_t row) {
    if (panel >= ceil_div(job->weight->n, job->nr))
        return NULL;
    return (const unsigned char *)job->weight->panels +
           (panel * job->panel_rows + row) * job->nr * job->element;
}

/* C[m][n] (+)= A[m][k] B[k][n], one panel of W^T; A and C of bytes and integers, and k of groups,
 * where W is. */
static void multiply(const linear_job *job, size_t m, size_t n, size_t k, const void *a, size_t lda,
                     const void *b, void *c, bool accumulate, const void *next) {
    const vt_kernels *kernels = job->kernels;
    switch (job->weight->storage) {
    case VT_STORE_F32:
        kernels->gemm(m, n, k, a, lda, b, c, BLOCK_COLS, accumulate, next);
        break;
    case VT_STORE_F16:
        kernels->gemm_f16(m, n, k, a, lda, b, c, BLOCK_COLS, accumulate, next);
        break;
    case VT_STORE_BF16:
        kernels->gemm_bf16(m, n, k, a, lda, b, c, BLOCK_COLS, accumulate, next);
        break;
    case VT_STORE_INT8:
        job->weight->int8->gemm(m, n, k, a, lda, b, c, BLOCK_COLS, accumulate, next);
        break;
    }
}

/* sums[rows][BLOCK_COLS] (+)= X[rows][start..end) W^T, floats or integers, a panel at a time: one
 * piece of a panel is not followed by the next panel's. Meanwhile what comes next is fetched: the
 * block's next panel, the first one's next piece, or what follows the block in W, as a thread's
 * next task often does.
 */
static void sum_piece(const linear_job *job, void *sums, const linear_block *block, size_t rows,
                      const void *x, size_t ldx, size_t start, size_t end) {
    size_t past = block->panel + ceil_div(block->cols, job->nr);
    const void *after =
        end < job->panel_rows ? panel_row(job, block->panel, end) : panel_row(job, past, 0);
    for (size_t panel = block->panel; panel < past; panel++) {
        size_t col = (panel - block->panel) * job->nr, cols = min_size(job->nr, block->cols - col);
        multiply(job, rows, cols, end - start, x, ldx, panel_row(job, panel, start),
                 (float *)sums + col, start > 0,
                 panel + 1 < past ? panel_row(job, panel + 1, start) : after);
    }
}

/* The same where X's rows collide. */
static void sum_copied_piece(const linear_job *job, float *sums, const linear_block *block,
                             const float *x, size_t start, size_t end) {
    _Alignas(VT_ALIGNMENT) float piece[COPIED_ROWS * PIECE_STRIDE];
    for (size_t row = 0; row < block->rows; row += COPIED_ROWS) {
        size_t rows = min_size(COPIED_ROWS, block->rows - row);
        for (size_t r = 0; r < rows; r++)
            memcpy(piece + r * PIECE_STRIDE, x + (row + r) * job->args->ldx,
                   (end - start) * sizeof *piece);
        sum_piece(job, sums + row * BLOCK_COLS, block, rows, piece, PIECE_STRIDE, start, end);
    }
}

/* sums[rows][BLOCK_COLS] = X[rows][k] W^T */
static void sum_block(const linear_job *job, float *sums, const linear_block *block) {
    const vt_linear_args *args = job->args;
    const bool copied = block->rows > 1 && rows_collide(job);
    size_t k = job->weight->k, pieces = ceil_div(k, PIECE);
    for (size_t part = 0; part < pieces; part++) {
        size_t start, end = vt_share(k, pieces, part, &start);
        const float *x = args->x + block->row * args->ldx + start;
        if (copied)
            sum_copied_piece(job, sums, block, x, start, end);
        else
            sum_piece(job, sums, block, block->rows, x, args->ldx, start, end);
    }
}

/* ---- INT8 weights -------------------------------------------------------------------------- */

/* An odd number of cache lines, so that rows do not evict one another. */
static size_t rounded_stride(size_t k) {
    return (ceil_div(k, 64) | 1) * 64;
}

size_t vt_linear_row_scratch(const vt_packed *weight) {
    if (weight->backend)
        return weight->backend->row_scratch(weight);
    return weight->int8 ? rounded_stride(weight->k) + sizeof(vt_int8_row) : 0;
}

typedef struct round_job {
    const vt_packed *weight;
    const vt_linear_args *args;
    vt_rounded out;
} round_job;

static void round_task(void *context, size_t task, size_t thread) {
    (void)thread;
    const round_job *job = context;
    const vt_linear_args *args = job->args;
    size_t past = min_size((task + 1) * ROWS_A_TASK, args->m);
    for (size_t r = task * ROWS_A_TASK; r < past; r++)
        job->out.rows[r] = job->weight->int8->quantize(job->out.u + r * job->out.stride,
                                                       args->x + r * args->ldx, job->weight->k);
}

vt_rounded vt_round_rows(vt_pool *pool, const vt_packed *weight, const vt_linear_args *args,
                         size_t stride) {
    round_job job = {weight, args, {.u = args->scratch, .stride = stride}};
    job.out.rows = (vt_int8_row *)(void *)(job.out.u + args->m * job.out.stride);
    vt_pool_run(pool, round_task, &job, ceil_div(args->m, ROWS_A_TASK));
    return job.out;
}

/* The same in integers. Pieces begin at even groups. */
static void sum_block_int8(const linear_job *job, int32_t *sums, const linear_block *block) {
    size_t pairs = ceil_div(job->panel_rows, 2), stride = job->rounded.stride;
    size_t pieces = ceil_div(pairs, job->weight->int8->depth / 2);
    for (size_t part = 0; part < pieces; part++) {
        size_t first, past = vt_share(pairs, pieces, part, &first), start = 2 * first;
        sum_piece(job, sums, block, block->rows,
                  job->rounded.u + block->row * stride + start * VT_INT8_GROUP, stride, start,
                  min_size(2 * past, job->panel_rows));
    }
}

/* ---- tasks --------------------------------------------------------------------------------- */

/* Y's row `row`, columns [col, col + cols), from their sums. */
static void store_row(const linear_job *job, size_t row, size_t col, size_t cols,
                      const float *sums) {
    const vt_epilogue *ep = job->epilogue;
    size_t at = row * job->args->ldy + col;
    job->kernels->epilogue(job->args->y + at, sums, cols, ep->bias ? ep->bias + col : NULL, ep->act,
                           ep->scale ? ep->scale + col : NULL,
                           ep->residual ? ep->residual + at : NULL);
}

/* Tasks are numbered by rows, which a thread has in its caches from the layer before. */
static linear_block find_block(const linear_job *job, size_t task) {
    linear_block block;
    size_t row_past = vt_share(job->args->m, job->row_blocks, task / job->col_blocks, &block.row);
    size_t panel_past =
        vt_share(job->num_panels, job->col_blocks, task % job->col_blocks, &block.panel);
    block.rows = row_past - block.row;
    block.panel += job->first_panel;
    size_t begin = block.panel * job->nr; /* of W's rows */
    block.cols = min_size((job->first_panel + panel_past) * job->nr, job->past) - begin;
    block.skip = max_size(begin, job->first) - begin;
    return block;
}

static void linear_task(void *context, size_t task, size_t thread) {
    (void)thread;
    _Alignas(VT_ALIGNMENT) union {
        float real[BLOCK_ROWS * BLOCK_COLS];
        int32_t whole[BLOCK_ROWS * BLOCK_COLS];
    } sums;
    float row_sums[BLOCK_COLS];
    const linear_job *job = context;
    const vt_packed *weight = job->weight;
    const linear_block block = find_block(job, task);
    size_t cols = block.cols - block.skip;
    size_t row_of_w = block.panel * job->nr + block.skip, col = row_of_w - job->first;
    if (weight->int8)
        sum_block_int8(job, sums.whole, &block);
    else
        sum_block(job, sums.real, &block);
    for (size_t r = 0; r < block.rows; r++) {
        if (weight->int8)
            weight->int8->dequantize(row_sums, sums.whole + r * BLOCK_COLS + block.skip,
                                     job->rounded.rows[block.row + r], weight->scales + row_of_w,
                                     weight->sums + row_of_w, cols);
        store_row(job, block.row + r, col, cols,
                  weight->int8 ? row_sums : sums.real + r * BLOCK_COLS + block.skip);
    }
}

/* How long the thread with the most work is at it, in panels by blocks of rows: when tasks are
 * handed out one by one, none does more of them than its share, rounded up. */
static size_t longest_share(const linear_job *job, size_t col_blocks, size_t num_threads) {
    return ceil_div(job->row_blocks * col_blocks, num_threads) *
           ceil_div(job->num_panels, col_blocks);
}

/* The columns of blocks that keep all threads at work to the end; of several such, the fewest that
 * make `wanted` tasks, or the most there are. */
static size_t even_columns(const linear_job *job, size_t least, size_t wanted, size_t num_threads) {
    size_t best = least, most = min_size(job->num_panels, least + MOST_TRIED);
    for (size_t cols = least + 1; cols <= most; cols++) {
        size_t ours = longest_share(job, cols, num_threads);
        size_t before = longest_share(job, best, num_threads);
        if (ours < before || (ours == before && job->row_blocks * best < wanted))
            best = cols;
    }
    return best;
}

/* The fewest blocks that fit a task's buffers; with several threads then more, narrower and at last
 * lower ones, until there are enough to share out. */
static void choose_blocks(linear_job *job, size_t num_threads) {
    size_t m = job->args->m, wanted = TASKS_A_THREAD * num_threads;
    job->row_blocks = ceil_div(m, BLOCK_ROWS / job->mr * job->mr);
    job->col_blocks = ceil_div(job->num_panels, BLOCK_COLS / job->nr);
    if (num_threads == 1)
        return;
    job->col_blocks = even_columns(job, job->col_blocks, wanted, num_threads);
    if (job->row_blocks * job->col_blocks < wanted)
        job->row_blocks = min_size(ceil_div(m, job->mr), ceil_div(wanted, job->col_blocks));
}

vt_status vt_linear(const vt_kernels *kernels, vt_pool *pool, const vt_packed *weight,
                    const vt_linear_args *args, const vt_epilogue *epilogue) {
    if (args->m == 0 || weight->n == 0)
        return VT_OK;
    if (weight->backend)
        return weight->backend->linear(kernels, pool, weight, args, epilogue);
    linear_job job = {
        .kernels = kernels,
        .weight = weight,
        .args = args,
        .epilogue = epilogue,
        .mr = weight->int8 ? weight->int8->mr : kernels->mr,
        .nr = weight->int8 ? weight->int8->nr : kernels->nr,
        .first = args->first,
        .past = args->count ? args->first + args->count : weight->n,
        .panel_rows = weight->int8 ? ceil_div(weight->k, VT_INT8_GROUP) : weight->k,
        .element = weight->storage == VT_STORE_F32 || weight->int8 ? 4 : 2,
    };
    job.first_panel = job.first / job.nr;
    job.num_panels = ceil_div(job.past, job.nr) - job.first_panel;
    choose_blocks(&job, vt_pool_size(pool));
    if (weight->int8)
        job.rounded = vt_round_rows(pool, weight, args, rounded_stride(weight->k));
    vt_pool_run(pool, linear_task, &job, job.row_blocks * job.col_blocks);
    return VT_OK;
}
