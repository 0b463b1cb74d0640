/* SPDX-License-Identifier: MIT */
#include "nn/pooling.h"

#include <math.h>
#include <string.h>

static const char *const kind_names[VT_POOL_KIND_COUNT] = {
    [VT_POOL_TOKEN] = "class token",
    [VT_POOL_TOKEN_PAIR] = "mean of class and distillation tokens",
    [VT_POOL_AVG] = "mean of patch tokens",
    [VT_POOL_MAX] = "maximum of patch tokens",
    [VT_POOL_AVG_MAX] = "mean and maximum of patch tokens, averaged",
    [VT_POOL_MAP] = "attention pooling (MAP)",
};

const char *vt_pooling_name(vt_pooling_kind kind) {
    return kind < VT_POOL_KIND_COUNT ? kind_names[kind] : "unknown";
}

void vt_pooler_workspace_carve(vt_pooler_workspace *out, vt_arena *arena, const vt_pooler *pooler,
                               const vt_kernels *kernels, size_t tokens, size_t num_threads) {
    *out = (vt_pooler_workspace){.undense = vt_arena_take(arena, pooler->width, sizeof(float))};
    if (pooler->kind != VT_POOL_MAP)
        return;
    const vt_map_head *map = &pooler->map;
    size_t kv_floats = 0, scratch = 0, hidden = vt_mlp_hidden_ld(map->mlp.fc2.weight.k, false);
    if (!vt_mul_size(tokens, map->kv.weight.n, &kv_floats) ||
        !vt_attention_scratch_size(kernels, &map->attention, num_threads, &scratch))
        arena->overflow = true;
    out->kv = vt_arena_take(arena, kv_floats, sizeof(float));
    out->vectors = vt_arena_take(arena, 2 * pooler->width + hidden, sizeof(float));
    out->scratch = vt_arena_take(arena, scratch, sizeof(float));
}

/* The mean of column i. Summed in double: 1369 tokens of one sign would lose three digits in float.
 */
static float column_mean(const float *x, const float *size, size_t tokens, size_t width, size_t i) {
    double sum = 0, weights = 0;
    for (size_t t = 0; t < tokens; t++) {
        double weight = size ? (double)size[t] : 1;
        sum += weight * (double)x[t * width + i];
        weights += weight;
    }
    return (float)(sum / weights);
}

void vt_pool_mean(float *out, const float *x, const float *size, size_t tokens, size_t width) {
    for (size_t i = 0; i < width; i++)
        out[i] = column_mean(x, size, tokens, width, i);
}

static void pool_max(float *out, const float *x, size_t tokens, size_t width) {
    memcpy(out, x, width * sizeof *out);
    for (size_t t = 1; t < tokens; t++)
        for (size_t i = 0; i < width; i++)
            out[i] = fmaxf(out[i], x[t * width + i]);
}

static void pool_mean_max(float *out, const float *x, size_t tokens, size_t width) {
    pool_max(out, x, tokens, width);
    for (size_t i = 0; i < width; i++)
        out[i] = 0.5f * (out[i] + column_mean(x, NULL, tokens, width, i));
}

/* One picture's tokens. */
typedef struct pool_input {
    const float *x;
    const uint8_t *mask;          /* or NULL */
    const float *size, *log_size; /* or NULL */
    size_t tokens;
} pool_input;

/* Picture `item` of a batch of pictures of so many tokens each. */
static pool_input picture_at(const float *x, const uint8_t *mask, const vt_token_sizes *sizes,
                             size_t item, size_t tokens, size_t width) {
    size_t first = item * tokens;
    return (pool_input){
        .x = x + first * width,
        .mask = mask ? mask + first : NULL,
        .size = sizes ? sizes->size + first : NULL,
        .log_size = sizes ? sizes->log_size + first : NULL,
        .tokens = tokens,
    };
}

static pool_input without_first(const pool_input *in, size_t skip, size_t width) {
    return (pool_input){
        .x = in->x + skip * width,
        .mask = in->mask ? in->mask + skip : NULL,
        .size = in->size ? in->size + skip : NULL,
        .log_size = in->log_size ? in->log_size + skip : NULL,
        .tokens = in->tokens - skip,
    };
}

static void pool_map(const vt_compute *compute, const vt_pooler *pooler,
                     const vt_pooler_workspace *workspace, float *out, const pool_input *in) {
    const vt_map_head *map = &pooler->map;
    size_t width = pooler->width, kv_ld = map->kv.weight.n;
    float *attended = workspace->vectors, *normed = attended + width, *hidden = normed + width;

    vt_dense_forward(compute, &map->kv, workspace->kv, kv_ld, in->x, width, in->tokens,
                     (vt_epilogue){0});
    vt_attention_args args = {
        .q = map->query,
        .k = workspace->kv,
        .v = workspace->kv + kv_ld / 2,
        .q_ld = width,
        .kv_ld = kv_ld,
        .out = attended,
        .out_ld = width,
        .batch = 1,
        .q_tokens = 1,
        .kv_tokens = in->tokens,
        .key_mask = in->mask,
        .key_bias = in->log_size,
    };
    vt_attention(compute, &map->attention, &args, workspace->scratch);
    vt_dense_forward(compute, &map->proj, out, width, attended, width, 1, (vt_epilogue){0});
    vt_norm_forward(compute, &map->norm, normed, width, out, width, 1, width);
    vt_mlp_forward(compute, &map->mlp, out, width, normed, width, 1, hidden,
                   (vt_epilogue){.residual = map->adds_to_token ? in->x : out});
}

/* out[width] from the tokens of one picture. */
static void pool_one(const vt_compute *compute, const vt_pooler *pooler,
                     const vt_pooler_workspace *workspace, float *out, const pool_input *in,
                     size_t num_prefix) {
    size_t width = pooler->width;
    const pool_input some = without_first(in, pooler->include_prefix ? 0 : num_prefix, width);
    switch (pooler->kind) {
    case VT_POOL_TOKEN:
        memcpy(out, in->x, width * sizeof *out);
        break;
    case VT_POOL_TOKEN_PAIR:
        for (size_t i = 0; i < width; i++)
            out[i] = 0.5f * (in->x[i] + in->x[width + i]);
        break;
    case VT_POOL_AVG:
        vt_pool_mean(out, some.x, some.size, some.tokens, width);
        break;
    case VT_POOL_MAX:
        pool_max(out, some.x, some.tokens, width);
        break;
    case VT_POOL_AVG_MAX:
        pool_mean_max(out, some.x, some.tokens, width);
        break;
    case VT_POOL_MAP:
        pool_map(compute, pooler, workspace, out, &some);
        break;
    case VT_POOL_KIND_COUNT:
        break;
    }
}

void vt_pooler_forward(const vt_compute *compute, const vt_pooler *pooler,
                       const vt_pooler_workspace *workspace, float *pooled, const float *x,
                       const uint8_t *mask, const vt_token_sizes *sizes, size_t count,
                       size_t tokens, size_t num_prefix) {
    size_t width = pooler->width;
    bool dense = pooler->dense.weight.panels;
    for (size_t item = 0; item < count; item++, pooled += width) {
        const pool_input in = picture_at(x, mask, sizes, item, tokens, width);
        float *vector = dense ? workspace->undense : pooled;
        pool_one(compute, pooler, workspace, vector, &in, num_prefix);
        vt_norm_forward(compute, &pooler->norm, vector, width, vector, width, 1, width);
        if (dense)
            vt_dense_forward(compute, &pooler->dense, pooled, width, vector, width, 1,
                             (vt_epilogue){.act = pooler->dense_act});
    }
}
