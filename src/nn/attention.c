/* SPDX-License-Identifier: MIT */
#include "nn/attention.h"

#include <math.h>

#include "base/memory.h"

/* A tile of scores is Q_TILE queries by KV_BLOCK keys. A block's K and V panels (2 x 256 x head_dim) stay
 * in the second-level cache while the queries of a chunk pass over them; packing them is paid once for
 * Q_CHUNK queries. */
enum { Q_TILE = 48, KV_BLOCK = 256, Q_CHUNK = 512 };

typedef struct attention_call {
    const vt_kernels *kernels;
    const vt_attention_shape *shape;
    const vt_attention_args *args;
    size_t num_chunks;      /* of queries, a head */
    float *scratch;         /* of all threads */
    size_t thread_scratch;  /* floats, a thread */
} attention_call;

/* One thread's scratch memory. */
typedef struct attention_tile {
    float *k_panels; /* scale * K^T of a block, [head_dim][KV_BLOCK] in panels */
    float *v_panels; /* V of a block, [KV_BLOCK][head_dim] in panels */
    float *scores;   /* [Q_TILE][KV_BLOCK] */
    float *row_max;  /* [Q_CHUNK], running */
    float *row_sum;  /* [Q_CHUNK], running */
} attention_tile;

static size_t round_up(size_t n, size_t multiple) {
    return (n + multiple - 1) / multiple * multiple;
}

static attention_tile carve(vt_arena *arena, const vt_kernels *kernels, size_t head_dim) {
    size_t nr = kernels->nr;
    return (attention_tile){
        .k_panels = vt_arena_take(arena, head_dim * round_up(KV_BLOCK, nr), sizeof(float)),
        .v_panels = vt_arena_take(arena, KV_BLOCK * round_up(head_dim, nr), sizeof(float)),
        .scores = vt_arena_take(arena, Q_TILE * KV_BLOCK, sizeof(float)),
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

/* Turns a row of scores into exp(score - max) and folds it into the running softmax; what earlier blocks
 * left in `out` is scaled down to the new maximum. */
static void online_softmax_row(const vt_kernels *kernels, float *scores, size_t count, float *row_max,
                               float *row_sum, float *out, size_t head_dim) {
    float block_max = kernels->max(scores, count);
    float new_max = fmaxf(*row_max, block_max);
    float decay = expf(*row_max - new_max); /* 0 for the first block, whose row_max is -inf */
    *row_sum = *row_sum * decay + kernels->exp_sum(scores, new_max, count);
    if (decay != 1.0f && *row_max != -INFINITY)
        kernels->scale(out, decay, head_dim);
    *row_max = new_max;
}

/* One block of keys for `rows` queries from q0 of the chunk: scores, softmax, out += P V. */
static void attend_tile(const attention_call *call, const attention_tile *tile, const float *q,
                        float *out, size_t q0, size_t rows, size_t keys, bool first) {
    const vt_kernels *kernels = call->kernels;
    const vt_attention_args *args = call->args;
    size_t head_dim = call->shape->head_dim;
    kernels->gemm(rows, keys, head_dim, q, args->q_ld, tile->k_panels, tile->scores, KV_BLOCK, false);
    for (size_t r = 0; r < rows; r++)
        online_softmax_row(kernels, tile->scores + r * KV_BLOCK, keys, &tile->row_max[q0 + r],
                           &tile->row_sum[q0 + r], out + r * args->out_ld, head_dim);
    kernels->gemm(rows, head_dim, keys, tile->scores, KV_BLOCK, tile->v_panels, out, args->out_ld,
                  !first);
}

static void pack_block(const attention_call *call, const attention_tile *tile, const float *k,
                       const float *v, size_t keys) {
    size_t nr = call->kernels->nr, head_dim = call->shape->head_dim, ld = call->args->kv_ld;
    vt_pack_panels_transposed(tile->k_panels, k, ld, head_dim, keys, nr);
    call->kernels->scale(tile->k_panels, call->shape->scale, head_dim * round_up(keys, nr));
    vt_pack_panels(tile->v_panels, v, ld, keys, head_dim, nr);
}

/* Task: one chunk of queries of one head of one batch item. */
static void attention_task(void *context, size_t task, size_t thread) {
    const attention_call *call = context;
    const vt_attention_shape *shape = call->shape;
    const vt_attention_args *args = call->args;
    size_t head_dim = shape->head_dim;
    size_t chunk = task % call->num_chunks;
    size_t head = task / call->num_chunks % shape->num_heads;
    size_t item = task / call->num_chunks / shape->num_heads;
    size_t kv_head = head * shape->num_kv_heads / shape->num_heads;

    vt_arena arena = {.base = (unsigned char *)(call->scratch + thread * call->thread_scratch)};
    attention_tile tile = carve(&arena, call->kernels, head_dim);

    size_t q_first = chunk * Q_CHUNK;
    size_t q_count = args->q_tokens - q_first < Q_CHUNK ? args->q_tokens - q_first : Q_CHUNK;
    size_t q_row = item * args->q_tokens + q_first, kv_row = item * args->kv_tokens;
    const float *q = args->q + q_row * args->q_ld + head * head_dim;
    const float *k = args->k + kv_row * args->kv_ld + kv_head * head_dim;
    const float *v = args->v + kv_row * args->kv_ld + kv_head * head_dim;
    float *out = args->out + q_row * args->out_ld + head * head_dim;

    for (size_t r = 0; r < q_count; r++) {
        tile.row_max[r] = -INFINITY;
        tile.row_sum[r] = 0.0f;
    }
    for (size_t kv0 = 0; kv0 < args->kv_tokens; kv0 += KV_BLOCK) {
        size_t keys = args->kv_tokens - kv0 < KV_BLOCK ? args->kv_tokens - kv0 : KV_BLOCK;
        pack_block(call, &tile, k + kv0 * args->kv_ld, v + kv0 * args->kv_ld, keys);
        for (size_t q0 = 0; q0 < q_count; q0 += Q_TILE) {
            size_t rows = q_count - q0 < Q_TILE ? q_count - q0 : Q_TILE;
            attend_tile(call, &tile, q + q0 * args->q_ld, out + q0 * args->out_ld, q0, rows, keys,
                        kv0 == 0);
        }
    }
    for (size_t r = 0; r < q_count; r++)
        call->kernels->scale(out + r * args->out_ld, 1.0f / tile.row_sum[r], head_dim);
}

void vt_attention(const vt_compute *compute, const vt_attention_shape *shape,
                  const vt_attention_args *args, float *scratch) {
    attention_call call = {
        .kernels = compute->kernels,
        .shape = shape,
        .args = args,
        .num_chunks = (args->q_tokens + Q_CHUNK - 1) / Q_CHUNK,
        .scratch = scratch,
        .thread_scratch = thread_scratch_floats(compute->kernels, shape->head_dim),
    };
    vt_pool_run(compute->pool, attention_task, &call,
                args->batch * shape->num_heads * call.num_chunks);
}
