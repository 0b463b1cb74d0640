/* SPDX-License-Identifier: MIT */
#include "nn/attention.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

/* A tile of scores is Q_TILE queries by KV_BLOCK keys: 24 KiB, so that it stays in the first-level
 * cache. A block's K and V panels (2 x 256 x head_dim) stay in the second-level cache while the
 * queries of a chunk pass over them; packing them is paid once for Q_CHUNK queries, and not worth
 * it for FEW of them (a decoding step, a pooling probe). Up to KV_MORE keys that are left over go
 * with the last block: grids of a power of two have as many, class token and registers. */
enum { Q_TILE = 24, KV_BLOCK = 256, KV_MORE = 32, Q_CHUNK = 1024, FEW = VT_ATTENTION_FEW };
enum { KV_MOST = KV_BLOCK + KV_MORE };

/* Kernels sum a row by steps of at most so many. Of whole steps a sum does not depend on how many
 * keys that a query does not see follow those that it does, and so not on the last query of its
 * chunk. */
enum { KEY_STEP = 64 };

/* Tasks of one size that outweigh a thread's waiting for the last; the fewest queries of one. */
enum { ENOUGH_TASKS_A_THREAD = 8, LEAST_CHUNK = 32 };

typedef struct attention_call {
    const vt_kernels *kernels;
    const vt_attention_shape *shape;
    const vt_attention_args *args;
    size_t num_chunks;     /* of queries, a head */
    bool few;              /* queries: nothing is packed */
    float *scratch;        /* of all threads */
    size_t thread_scratch; /* floats, a thread */
    float *probabilities;  /* for vt_attention_probabilities */
} attention_call;

/* One thread's scratch memory. */
typedef struct attention_tile {
    float *k_panels; /* scale * K^T of a block, [head_dim][KV_MOST] in panels; of few queries
                      * none, */
    float *v_panels; /* V of a block, [KV_MOST][head_dim] in panels; nor these */
    float *scores;   /* [Q_TILE][KV_MOST] */
    float *row_max;  /* [Q_CHUNK], running */
    float *row_sum;  /* [Q_CHUNK], running */
} attention_tile;

/* One head's queries [first, first + count) of one batch item. */
typedef struct attention_chunk {
    size_t head, item, first, count;
    const float *q, *k, *v; /* k and v from the item's first key */
    float *out;
} attention_chunk;

vt_attention_shape vt_attention_shape_of(size_t num_heads, size_t head_dim) {
    return (vt_attention_shape){.num_heads = num_heads,
                                .num_kv_heads = num_heads,
                                .head_dim = head_dim,
                                .scale = 1.0f / sqrtf((float)head_dim)};
}

static size_t min_size(size_t a, size_t b) {
    return a < b ? a : b;
}

static size_t max_size(size_t a, size_t b) {
    return a > b ? a : b;
}

static size_t round_up(size_t n, size_t multiple) {
    return (n + multiple - 1) / multiple * multiple;
}

/* With a head_dim of 0 it has no panels. */
static attention_tile carve(vt_arena *arena, const vt_kernels *kernels, size_t head_dim) {
    size_t nr = kernels->nr;
    return (attention_tile){
        .k_panels = vt_arena_take(arena, head_dim * round_up(KV_MOST, nr), sizeof(float)),
        .v_panels = vt_arena_take(arena, KV_MOST * round_up(head_dim, nr), sizeof(float)),
        .scores = vt_arena_take(arena, Q_TILE * KV_MOST, sizeof(float)),
        .row_max = vt_arena_take(arena, Q_CHUNK, sizeof(float)),
        .row_sum = vt_arena_take(arena, Q_CHUNK, sizeof(float)),
    };
}

static size_t thread_scratch_floats(const vt_kernels *kernels, size_t head_dim) {
    vt_arena measure = {0};
    carve(&measure, kernels, head_dim);
    return measure.used / sizeof(float);
}

bool vt_attention_scratch_size(const vt_kernels *kernels, const vt_attention_shape *shape,
                               size_t num_threads, size_t *floats) {
    return vt_mul_size(thread_scratch_floats(kernels, shape->head_dim), num_threads, floats);
}

/* ---- what a query sees -------------------------------------------------------------------------
 */

/* The keys [*first, *past) of an item that its query number q may see, padding aside. */
static void visible_keys(const vt_attention_args *args, size_t q, size_t *first, size_t *past) {
    size_t position = args->q_position + q;
    size_t begin = 0, end = SIZE_MAX; /* positions */
    if (args->window) {
        begin = position + 1 > args->window ? position + 1 - args->window : 0;
        end = position + args->window;
    }
    if (args->causal)
        end = min_size(end, position + 1);
    *first = min_size(max_size(begin, args->kv_position) - args->kv_position, args->kv_tokens);
    *past = min_size(max_size(end, args->kv_position) - args->kv_position, args->kv_tokens);
}

static void hide(float *scores, size_t first, size_t past) {
    for (size_t j = first; j < past; j++)
        scores[j] = -INFINITY;
}

/* Bias and masks of one row: query q, keys [key, key + count). */
static void adjust_scores(const attention_call *call, const attention_chunk *chunk, float *scores,
                          size_t q, size_t key, size_t count) {
    const vt_attention_args *args = call->args;
    if (args->bias)
        args->bias->add(args->bias, scores, chunk->head, args->q_position + q,
                        args->kv_position + key, count);
    if (args->key_bias)
        call->kernels->axpy(scores, args->key_bias + chunk->item * args->kv_tokens + key, 1.0f,
                            count);
    if (args->causal || args->window) {
        size_t first, past;
        visible_keys(args, q, &first, &past);
        hide(scores, 0, first > key ? min_size(first - key, count) : 0);
        hide(scores, past > key ? min_size(past - key, count) : 0, count);
    }
    if (args->key_mask) {
        const uint8_t *mask = args->key_mask + chunk->item * args->kv_tokens + key;
        for (size_t j = 0; j < count; j++)
            if (!mask[j])
                scores[j] = -INFINITY;
    }
}

/* ---- blocks ------------------------------------------------------------------------------------
 */

/* Turns a row of scores into exp(score - max) and folds it into the running softmax; what earlier
 * blocks left in `out` is scaled down to the new maximum. */
static void online_softmax_row(const vt_kernels *kernels, float *scores, size_t count,
                               float *row_max, float *row_sum, float *out, size_t head_dim) {
    float block_max = kernels->max(scores, count);
    if (block_max == -INFINITY) { /* nothing to see here */
        memset(scores, 0, count * sizeof *scores);
        return;
    }
    if (block_max > *row_max) {
        if (*row_max != -INFINITY) {
            float decay = expf(*row_max - block_max);
            *row_sum *= decay;
            kernels->scale(out, decay, head_dim);
        }
        *row_max = block_max;
    }
    *row_sum += kernels->exp_sum(scores, *row_max, count);
}

static void softmax_tile(const attention_call *call, const attention_chunk *chunk,
                         const attention_tile *tile, size_t q0, size_t rows, size_t key,
                         size_t keys) {
    const vt_attention_args *args = call->args;
    for (size_t r = 0; r < rows; r++) {
        float *scores = tile->scores + r * KV_MOST;
        adjust_scores(call, chunk, scores, chunk->first + q0 + r, key, keys);
        online_softmax_row(call->kernels, scores, keys, &tile->row_max[q0 + r],
                           &tile->row_sum[q0 + r], chunk->out + (q0 + r) * args->out_ld,
                           call->shape->head_dim);
    }
}

static void pack_block(const attention_call *call, const attention_chunk *chunk,
                       const attention_tile *tile, size_t key, size_t keys) {
    size_t nr = call->kernels->nr, head_dim = call->shape->head_dim, ld = call->args->kv_ld;
    vt_pack_panels_transposed(call->kernels, tile->k_panels, chunk->k + key * ld, ld, head_dim,
                              keys);
    call->kernels->scale(tile->k_panels, call->shape->scale, head_dim * round_up(keys, nr));
    vt_pack_panels(tile->v_panels, chunk->v + key * ld, ld, keys, head_dim, nr);
}

/* A block of keys for all queries of the chunk: scores, softmax, out += P V, tile by tile. */
static void attend_block(const attention_call *call, const attention_chunk *chunk,
                         const attention_tile *tile, size_t key, size_t keys) {
    const vt_attention_args *args = call->args;
    size_t head_dim = call->shape->head_dim;
    pack_block(call, chunk, tile, key, keys);
    for (size_t q0 = 0; q0 < chunk->count; q0 += Q_TILE) {
        size_t rows = min_size(chunk->count - q0, Q_TILE), first, past, ignored;
        visible_keys(args, chunk->first + q0, &first, &ignored);
        visible_keys(args, chunk->first + q0 + rows - 1, &ignored, &past);
        if (key >= past || key + keys <= first)
            continue;
        call->kernels->gemm(rows, keys, head_dim, chunk->q + q0 * args->q_ld, args->q_ld,
                            tile->k_panels, tile->scores, KV_MOST, false, NULL);
        softmax_tile(call, chunk, tile, q0, rows, key, keys);
        call->kernels->gemm(rows, head_dim, keys, tile->scores, KV_MOST, tile->v_panels,
                            chunk->out + q0 * args->out_ld, args->out_ld, true, NULL);
    }
}

/* The same for a few queries, without packing: each key and value is read once a query. */
static void attend_block_few(const attention_call *call, const attention_chunk *chunk,
                             const attention_tile *tile, size_t key, size_t keys) {
    const vt_attention_args *args = call->args;
    const vt_kernels *kernels = call->kernels;
    size_t head_dim = call->shape->head_dim;
    for (size_t r = 0; r < chunk->count; r++) {
        float *scores = tile->scores + r * KV_MOST;
        for (size_t j = 0; j < keys; j++)
            scores[j] =
                call->shape->scale * kernels->dot(chunk->q + r * args->q_ld,
                                                  chunk->k + (key + j) * args->kv_ld, head_dim);
    }
    softmax_tile(call, chunk, tile, 0, chunk->count, key, keys);
    for (size_t r = 0; r < chunk->count; r++)
        for (size_t j = 0; j < keys; j++)
            kernels->axpy(chunk->out + r * args->out_ld, chunk->v + (key + j) * args->kv_ld,
                          tile->scores[r * KV_MOST + j], head_dim);
}

/* ---- tasks -------------------------------------------------------------------------------------
 */

/* Into how many chunks a head's queries are cut: as few as may be, so that keys and values are
 * packed as seldom, but so that the threads have as many tasks each, or plenty. With a window the
 * first key that a chunk sees depends on its first query, and with that which keys make up a block,
 * and so the rounding: then the number of threads must not matter. */
static size_t choose_chunks(const vt_attention_args *args, size_t num_heads, size_t num_threads) {
    size_t least = (args->q_tokens + Q_CHUNK - 1) / Q_CHUNK, whole = args->batch * num_heads;
    size_t most = max_size(args->q_tokens / LEAST_CHUNK, least);
    if (args->window)
        return least;
    for (size_t chunks = least; chunks <= most; chunks++)
        if (whole * chunks % num_threads == 0 ||
            whole * chunks >= ENOUGH_TASKS_A_THREAD * num_threads)
            return chunks;
    return most;
}

/* Numbered by rows, as linear layers' tasks are: what a thread wrote of q is what it reads. */
static attention_chunk find_chunk(const attention_call *call, size_t task) {
    const vt_attention_shape *shape = call->shape;
    const vt_attention_args *args = call->args;
    attention_chunk chunk = {
        .head = task % shape->num_heads,
        .item = task / shape->num_heads / call->num_chunks,
    };
    size_t part = task / shape->num_heads % call->num_chunks;
    size_t past = vt_share(args->q_tokens, call->num_chunks, part, &chunk.first);
    size_t q_row = chunk.item * args->q_tokens + chunk.first, kv_row = chunk.item * args->kv_tokens;
    size_t kv_head = chunk.head * shape->num_kv_heads / shape->num_heads;
    chunk.count = past - chunk.first;
    chunk.q = args->q + q_row * args->q_ld + chunk.head * shape->head_dim;
    chunk.k = args->k + kv_row * args->kv_ld + kv_head * shape->head_dim;
    chunk.v = args->v + kv_row * args->kv_ld + kv_head * shape->head_dim;
    chunk.out = args->out + q_row * args->out_ld + chunk.head * shape->head_dim;
    return chunk;
}

/* Task: one chunk of queries of one head of one batch item. */
static void attention_task(void *context, size_t task, size_t thread) {
    const attention_call *call = context;
    const vt_attention_args *args = call->args;
    size_t head_dim = call->shape->head_dim;
    attention_chunk chunk = find_chunk(call, task);
    vt_arena arena = {.base = (unsigned char *)(call->scratch + thread * call->thread_scratch)};
    attention_tile tile = carve(&arena, call->kernels, call->few ? 0 : head_dim);

    for (size_t r = 0; r < chunk.count; r++) {
        tile.row_max[r] = -INFINITY;
        tile.row_sum[r] = 0.0f;
        memset(chunk.out + r * args->out_ld, 0, head_dim * sizeof *chunk.out);
    }
    size_t first, past, ignored;
    visible_keys(args, chunk.first, &first, &ignored);
    visible_keys(args, chunk.first + chunk.count - 1, &ignored, &past);
    past = min_size(round_up(past, KEY_STEP), args->kv_tokens);
    for (size_t key = first, keys; key < past; key += keys) {
        keys = past - key <= KV_MOST ? past - key : KV_BLOCK;
        if (call->few)
            attend_block_few(call, &chunk, &tile, key, keys);
        else
            attend_block(call, &chunk, &tile, key, keys);
    }
    for (size_t r = 0; r < chunk.count; r++)
        if (tile.row_sum[r] > 0)
            call->kernels->scale(chunk.out + r * args->out_ld, 1.0f / tile.row_sum[r], head_dim);
}

void vt_attention(const vt_compute *compute, const vt_attention_shape *shape,
                  const vt_attention_args *args, float *scratch) {
    bool few = args->q_tokens <= FEW;
    attention_call call = {
        .kernels = compute->kernels,
        .shape = shape,
        .args = args,
        .num_chunks = choose_chunks(args, shape->num_heads, vt_pool_size(compute->pool)),
        .few = few,
        .scratch = scratch,
        .thread_scratch = thread_scratch_floats(compute->kernels, few ? 0 : shape->head_dim),
    };
    vt_pool_run(compute->pool, attention_task, &call,
                args->batch * shape->num_heads * call.num_chunks);
}

/* ---- the softmax as a table --------------------------------------------------------------------
 */

static void probabilities_of_row(const attention_call *call, const attention_chunk *chunk,
                                 float *row) {
    const vt_attention_args *args = call->args;
    const vt_kernels *kernels = call->kernels;
    size_t keys = args->kv_tokens;
    for (size_t j = 0; j < keys; j++)
        row[j] = call->shape->scale *
                 kernels->dot(chunk->q, chunk->k + j * args->kv_ld, call->shape->head_dim);
    adjust_scores(call, chunk, row, chunk->first, 0, keys);
    float most = kernels->max(row, keys);
    if (most == -INFINITY)
        memset(row, 0, keys * sizeof *row);
    else
        kernels->scale(row, 1.0f / kernels->exp_sum(row, most, keys), keys);
}

/* Task: one query of one batch item, all heads. */
static void probabilities_task(void *context, size_t task, size_t thread) {
    const attention_call *call = context;
    const vt_attention_args *args = call->args;
    const vt_attention_shape *shape = call->shape;
    size_t item = task / args->q_tokens, query = task % args->q_tokens;
    (void)thread;
    for (size_t head = 0; head < shape->num_heads; head++) {
        size_t kv_head = head * shape->num_kv_heads / shape->num_heads;
        const attention_chunk chunk = {
            .head = head,
            .item = item,
            .first = query,
            .count = 1,
            .q = args->q + task * args->q_ld + head * shape->head_dim,
            .k = args->k + item * args->kv_tokens * args->kv_ld + kv_head * shape->head_dim,
        };
        size_t row = (item * shape->num_heads + head) * args->q_tokens + query;
        probabilities_of_row(call, &chunk, call->probabilities + row * args->kv_tokens);
    }
}

void vt_attention_probabilities(const vt_compute *compute, const vt_attention_shape *shape,
                                const vt_attention_args *args, float *out) {
    attention_call call = {
        .kernels = compute->kernels, .shape = shape, .args = args, .probabilities = out};
    vt_pool_run(compute->pool, probabilities_task, &call, args->batch * args->q_tokens);
}
