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
static float column_mean(const float *x, size_t tokens, size_t width, size_t i) {
    double sum = 0;
    for (size_t t = 0; t < tokens; t++)
        sum += (double)x[t * width + i];
    return (float)(sum / (double)tokens);
}

void vt_pool_mean(float *out, const float *x, size_t tokens, size_t width) {
    for (size_t i = 0; i < width; i++)
        out[i] = column_mean(x, tokens, width, i);
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
        out[i] = 0.5f * (out[i] + column_mean(x, tokens, width, i));
}

static void pool_map(const vt_compute *compute, const vt_pooler *pooler,
                     const vt_pooler_workspace *workspace, float *out, const float *x,
                     const uint8_t *mask, size_t tokens) {
    const vt_map_head *map = &pooler->map;
    size_t width = pooler->width, kv_ld = map->kv.weight.n;
    float *attended = workspace->vectors, *normed = attended + width, *hidden = normed + width;

    vt_dense_forward(compute, &map->kv, workspace->kv, kv_ld, x, width, tokens, (vt_epilogue){0});
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
        .kv_tokens = tokens,
        .key_mask = mask,
    };
    vt_attention(compute, &map->attention, &args, workspace->scratch);
    vt_dense_forward(compute, &map->proj, out, width, attended, width, 1, (vt_epilogue){0});
    vt_norm_forward(compute, &map->norm, normed, width, out, width, 1, width);
    vt_mlp_forward(compute, &map->mlp, out, width, normed, width, 1, hidden,
                   (vt_epilogue){.residual = map->adds_to_token ? x : out});
}

/* out[width] from the tokens of one picture. */
static void pool_one(const vt_compute *compute, const vt_pooler *pooler,
                     const vt_pooler_workspace *workspace, float *out, const float *x,
                     const uint8_t *mask, size_t tokens, size_t num_prefix) {
    size_t width = pooler->width, skip = pooler->include_prefix ? 0 : num_prefix;
    const float *patches = x + skip * width;
    switch (pooler->kind) {
    case VT_POOL_TOKEN:
        memcpy(out, x, width * sizeof *out);
        break;
    case VT_POOL_TOKEN_PAIR:
        for (size_t i = 0; i < width; i++)
            out[i] = 0.5f * (x[i] + x[width + i]);
        break;
    case VT_POOL_AVG:
        vt_pool_mean(out, patches, tokens - skip, width);
        break;
    case VT_POOL_MAX:
        pool_max(out, patches, tokens - skip, width);
        break;
    case VT_POOL_AVG_MAX:
        pool_mean_max(out, patches, tokens - skip, width);
        break;
    case VT_POOL_MAP:
        pool_map(compute, pooler, workspace, out, patches, mask ? mask + skip : NULL,
                 tokens - skip);
        break;
    case VT_POOL_KIND_COUNT:
        break;
    }
}

void vt_pooler_forward(const vt_compute *compute, const vt_pooler *pooler,
                       const vt_pooler_workspace *workspace, float *pooled, const float *x,
                       const uint8_t *mask, size_t count, size_t tokens, size_t num_prefix) {
    size_t width = pooler->width;
    bool dense = pooler->dense.weight.panels;
    for (size_t item = 0; item < count; item++, x += tokens * width, pooled += width) {
        float *vector = dense ? workspace->undense : pooled;
        pool_one(compute, pooler, workspace, vector, x, mask ? mask + item * tokens : NULL, tokens,
                 num_prefix);
        vt_norm_forward(compute, &pooler->norm, vector, width, vector, width, 1, width);
        if (dense)
            vt_dense_forward(compute, &pooler->dense, pooled, width, vector, width, 1,
                             (vt_epilogue){.act = pooler->dense_act});
    }
}
