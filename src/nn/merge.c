/* SPDX-License-Identifier: MIT */
#include "nn/merge.h"

#include <math.h>
#include <string.h>

/* Tokens of one task: metrics to compute, or tokens of set a to find partners for. */
enum { CHUNK = 32 };

static size_t min_size(size_t a, size_t b) {
    return a < b ? a : b;
}

void vt_merge_carve(vt_merge *out, vt_arena *arena, size_t rows, size_t head_dim) {
    size_t metric_floats = 0;
    if (!vt_mul_size(rows, head_dim, &metric_floats))
        arena->overflow = true;
    out->metric = vt_arena_take(arena, metric_floats, sizeof *out->metric);
    out->similarity = vt_arena_take(arena, rows, sizeof *out->similarity);
    out->best = vt_arena_take(arena, rows, sizeof *out->best);
    out->order = vt_arena_take(arena, rows, sizeof *out->order);
    out->size = vt_arena_take(arena, rows, sizeof *out->size);
    out->next_size = vt_arena_take(arena, rows, sizeof *out->next_size);
    out->log_size = vt_arena_take(arena, rows, sizeof *out->log_size);
}

size_t vt_merge_count(size_t pairs, size_t prefix, size_t tokens) {
    return tokens > prefix ? min_size(pairs, (tokens - prefix) / 2) : 0;
}

void vt_merge_begin(vt_merge *merge, size_t rows) {
    for (size_t row = 0; row < rows; row++) {
        merge->size[row] = 1.0f;
        merge->log_size[row] = 0.0f;
    }
}

/* What the tasks of one call share. */
typedef struct merge_call {
    const vt_compute *compute;
    vt_merge *merge;
    const vt_attention_shape *heads;
    const float *keys;
    size_t keys_ld;
    const float *x;
    float *out;
    size_t batch, tokens, width;
    size_t merged, left; /* tokens of an item that go, and that stay */
    size_t num_chunks;
} merge_call;

/* The first token of a set (0: a, 1: b) that is not of the prefix. */
static size_t first_of(const merge_call *call, size_t set) {
    size_t prefix = call->merge->prefix;
    return prefix + (prefix % 2 != set);
}

/* ---- matching ----------------------------------------------------------------------------------
 */

/* Task: metric = the mean of a token's keys over heads, of length 1, for some tokens. */
static void metric_task(void *context, size_t task, size_t thread) {
    const merge_call *call = context;
    const vt_kernels *kernels = call->compute->kernels;
    size_t head_dim = call->heads->head_dim, rows = call->batch * call->tokens;
    (void)thread;
    for (size_t row = task * CHUNK; row < rows && row < (task + 1) * CHUNK; row++) {
        float *metric = call->merge->metric + row * head_dim;
        const float *keys = call->keys + row * call->keys_ld;
        memcpy(metric, keys, head_dim * sizeof *metric);
        for (size_t head = 1; head < call->heads->num_kv_heads; head++)
            kernels->axpy(metric, keys + head * head_dim, 1.0f, head_dim);
        float length = sqrtf(kernels->dot(metric, metric, head_dim));
        if (length > 0)
            kernels->scale(metric, 1.0f / length, head_dim); /* which makes the sum a mean, too */
    }
}

/* The token of b that is most like token `a` of an item whose rows start at `first_row`. */
static void find_best(const merge_call *call, size_t first_row, size_t a) {
    const vt_merge *merge = call->merge;
    size_t head_dim = call->heads->head_dim, best = first_of(call, 1);
    const float *metric = merge->metric + first_row * head_dim;
    float highest = -INFINITY;
    for (size_t b = best; b < call->tokens; b += 2) {
        float similarity =
            call->compute->kernels->dot(metric + a * head_dim, metric + b * head_dim, head_dim);
        if (similarity > highest) {
            highest = similarity;
            best = b;
        }
    }
    merge->best[first_row + a] = best;
    merge->similarity[first_row + a] = highest;
}

/* Task: partners for some of the tokens of a of one item. */
static void match_task(void *context, size_t task, size_t thread) {
    const merge_call *call = context;
    size_t item = task / call->num_chunks, chunk = task % call->num_chunks;
    size_t a = first_of(call, 0) + 2 * CHUNK * chunk;
    size_t past = min_size(a + 2 * CHUNK, call->tokens);
    (void)thread;
    for (; a < past; a += 2)
        find_best(call, item * call->tokens, a);
}

/* ---- merging -----------------------------------------------------------------------------------
 */

/* order = the tokens of a, the most similar to their partners first, of equals the earlier. Returns
 * how many. */
static size_t rank(const merge_call *call, size_t first_row) {
    const float *similarity = call->merge->similarity + first_row;
    size_t *order = call->merge->order + first_row, count = 0;
    for (size_t a = first_of(call, 0); a < call->tokens; a += 2) {
        size_t at = count++;
        for (; at > 0 && similarity[a] > similarity[order[at - 1]]; at--)
            order[at] = order[at - 1];
        order[at] = a;
    }
    return count;
}

/* What is left of a, in the order of its tokens. */
static void sort_tokens(size_t *tokens, size_t count) {
    for (size_t i = 1; i < count; i++) {
        size_t token = tokens[i], at = i;
        for (; at > 0 && tokens[at - 1] > token; at--)
            tokens[at] = tokens[at - 1];
        tokens[at] = token;
    }
}

/* Row `to` of the result is row `from` of x. */
static void move_row(const merge_call *call, size_t to, size_t from) {
    memcpy(call->out + to * call->width, call->x + from * call->width,
           call->width * sizeof *call->out);
    call->merge->next_size[to] = call->merge->size[from];
}

/* Row `to` of the result becomes the mean of itself and of row `from` of x, weighted by size. */
static void merge_row(const merge_call *call, size_t to, size_t from) {
    const vt_kernels *kernels = call->compute->kernels;
    float *size = call->merge->next_size + to, added = call->merge->size[from];
    float sum = *size + added, *row = call->out + to * call->width;
    kernels->scale(row, *size / sum, call->width);
    kernels->axpy(row, call->x + from * call->width, added / sum, call->width);
    *size = sum;
}

/* Task: the rows and sizes of one item.
 *
 * Which tokens the next block counts to a and which to b depends on the order of those that are
 * left, so it is part of the method: the published code keeps it for models with a class token, and
 * leaves the tokens of others as they were ranked. */
static void merge_task(void *context, size_t item, size_t thread) {
    const merge_call *call = context;
    const vt_merge *merge = call->merge;
    size_t from = item * call->tokens, to = item * call->left, first_b = first_of(call, 1);
    size_t *order = merge->order + from, count = rank(call, from);
    (void)thread;
    if (merge->prefix)
        sort_tokens(order + call->merged, count - call->merged);
    for (size_t token = 0; token < merge->prefix; token++)
        move_row(call, to++, from + token);
    for (size_t i = call->merged; i < count; i++)
        move_row(call, to++, from + order[i]);
    for (size_t b = first_b; b < call->tokens; b += 2)
        move_row(call, to + (b - first_b) / 2, from + b);
    for (size_t i = 0; i < call->merged; i++)
        merge_row(call, to + (merge->best[from + order[i]] - first_b) / 2, from + order[i]);
}

/* The result takes the place of what it was made from. */
static void take_over(const merge_call *call, float *x) {
    vt_merge *merge = call->merge;
    size_t rows = call->batch * call->left;
    memcpy(x, call->out, rows * call->width * sizeof *x);
    memcpy(merge->size, merge->next_size, rows * sizeof *merge->size);
    for (size_t row = 0; row < rows; row++)
        merge->log_size[row] = logf(merge->size[row]);
}

size_t vt_merge_tokens(const vt_compute *compute, vt_merge *merge, const vt_attention_shape *heads,
                       const float *keys, size_t keys_ld, float *x, float *spare, size_t batch,
                       size_t tokens, size_t width) {
    size_t merged = vt_merge_count(merge->pairs, merge->prefix, tokens);
    merge_call call = {
        .compute = compute,
        .merge = merge,
        .heads = heads,
        .keys = keys,
        .keys_ld = keys_ld,
        .x = x,
        .out = spare,
        .batch = batch,
        .tokens = tokens,
        .width = width,
        .merged = merged,
        .left = tokens - merged,
        .num_chunks = (tokens + 2 * CHUNK - 1) / (2 * CHUNK),
    };
    if (merged == 0)
        return tokens;
    vt_pool_run(compute->pool, metric_task, &call, (batch * tokens + CHUNK - 1) / CHUNK);
    vt_pool_run(compute->pool, match_task, &call, batch * call.num_chunks);
    vt_pool_run(compute->pool, merge_task, &call, batch);
    take_over(&call, x);
    return call.left;
}
