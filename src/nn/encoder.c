/* SPDX-License-Identifier: MIT */
#include "nn/encoder.h"

static size_t max_size(size_t a, size_t b) {
    return a > b ? a : b;
}

size_t vt_encoder_qkv_width(const vt_encoder_config *config) {
    const vt_attention_shape *shape = &config->attention;
    return (shape->num_heads + 2 * shape->num_kv_heads) * shape->head_dim;
}

void vt_encoder_workspace_carve(vt_encoder_workspace *out, vt_arena *arena,
                                const vt_encoder_config *config, const vt_kernels *kernels,
                                size_t rows, size_t num_threads) {
    const vt_attention_shape *shape = &config->attention;
    size_t narrow = max_size(config->width, shape->num_heads * shape->head_dim);
    size_t hidden = config->mlp_dim * (config->gated_mlp ? 2 : 1);
    size_t wide = max_size(vt_encoder_qkv_width(config), hidden);
    size_t scratch = 0, normed_floats = 0, wide_floats = 0;
    if (!vt_attention_scratch_size(kernels, shape, num_threads, &scratch) ||
        !vt_mul_size(rows, narrow, &normed_floats) || !vt_mul_size(rows, wide, &wide_floats))
        arena->overflow = true;
    out->normed = vt_arena_take(arena, normed_floats, sizeof(float));
    out->wide = vt_arena_take(arena, wide_floats, sizeof(float));
    out->scratch = vt_arena_take(arena, scratch, sizeof(float));
}

/* LayerNorm or RMSNorm of each head on its own (timm qk_norm, Qwen3): every head of every row is a row of
 * head_dim, when the rows of a head are one after another; here they are, row by row. */
static void norm_heads(const vt_compute *compute, const vt_norm *norm, float *x, size_t ld,
                       size_t rows, size_t num_heads, size_t head_dim) {
    if (!norm->weight)
        return;
    for (size_t head = 0; head < num_heads; head++)
        vt_norm_forward(compute, norm, x + head * head_dim, ld, x + head * head_dim, ld, rows,
                        head_dim);
}

/* out[rows][num_heads head_dim] = attention of the normed rows, before proj. */
static void attend(const vt_compute *compute, const vt_encoder_config *config, const vt_block *block,
                   const vt_encoder_workspace *workspace, size_t batch, size_t tokens) {
    const vt_attention_shape *shape = &config->attention;
    size_t rows = batch * tokens;
    size_t q_width = shape->num_heads * shape->head_dim;
    size_t kv_width = shape->num_kv_heads * shape->head_dim;
    size_t ld = q_width + 2 * kv_width;
    float *q = workspace->wide, *k = q + q_width, *v = k + kv_width;

    vt_dense_forward(compute, &block->qkv, workspace->wide, ld, workspace->normed, config->width,
                     rows, (vt_epilogue){0});
    norm_heads(compute, &block->q_norm, q, ld, rows, shape->num_heads, shape->head_dim);
    norm_heads(compute, &block->k_norm, k, ld, rows, shape->num_kv_heads, shape->head_dim);
    vt_attention_args args = {
        .q = q, .k = k, .v = v, .q_ld = ld, .kv_ld = ld,
        .out = workspace->normed, .out_ld = q_width, /* the normed rows are no longer needed */
        .batch = batch, .q_tokens = tokens, .kv_tokens = tokens,
    };
    vt_attention(compute, shape, &args, workspace->scratch);
    vt_norm_forward(compute, &block->attn_norm, workspace->normed, q_width, workspace->normed,
                    q_width, rows, q_width);
}

static void block_forward(const vt_compute *compute, const vt_encoder_config *config,
                          const vt_block *block, const vt_encoder_workspace *workspace, float *x,
                          size_t batch, size_t tokens) {
    size_t rows = batch * tokens, width = config->width;
    size_t q_width = config->attention.num_heads * config->attention.head_dim;

    vt_norm_forward(compute, &block->norm1, workspace->normed, width, x, width, rows, width);
    attend(compute, config, block, workspace, batch, tokens);
    vt_dense_forward(compute, &block->proj, x, width, workspace->normed, q_width, rows,
                     (vt_epilogue){.scale = block->scale1, .residual = x});

    vt_norm_forward(compute, &block->norm2, workspace->normed, width, x, width, rows, width);
    vt_mlp_forward(compute, &block->mlp, x, width, workspace->normed, width, rows, workspace->wide,
                   (vt_epilogue){.scale = block->scale2, .residual = x});
}

void vt_encoder_forward(const vt_compute *compute, const vt_encoder_config *config,
                        const vt_block *blocks, const vt_encoder_workspace *workspace, float *x,
                        size_t batch, size_t tokens, vt_block_fn on_block, void *user) {
    for (size_t i = 0; i < config->depth; i++) {
        block_forward(compute, config, &blocks[i], workspace, x, batch, tokens);
        if (on_block)
            on_block(user, i, x);
    }
}
