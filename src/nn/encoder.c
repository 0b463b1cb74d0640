/* SPDX-License-Identifier: MIT */
#include "nn/encoder.h"

#include <string.h>

#include "nn/absorbed.h"

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
    size_t hidden = vt_mlp_hidden_ld(config->mlp_dim, config->gated_mlp);
    size_t wide = max_size(vt_encoder_qkv_width(config), hidden);
    size_t scratch = 0, absorbed = 0, normed_floats = 0, wide_floats = 0;
    if (!vt_attention_scratch_size(kernels, shape, num_threads, &scratch) ||
        !vt_absorbed_scratch_size(shape, config->width, &absorbed) ||
        !vt_mul_size(rows, narrow, &normed_floats) || !vt_mul_size(rows, wide, &wide_floats))
        arena->overflow = true;
    out->normed = vt_arena_take(arena, normed_floats, sizeof(float));
    out->wide = vt_arena_take(arena, wide_floats, sizeof(float));
    bool has_branch = config->order == VT_NORM_PARALLEL || config->order == VT_NORM_BRANCH;
    out->branch = vt_arena_take(arena, has_branch ? rows * config->width : 0, sizeof(float));
    out->scratch = vt_arena_take(arena, scratch, sizeof(float));
    out->absorbed = vt_arena_take(arena, config->causal ? 0 : absorbed, sizeof(float));
}

/* One block of a pass, and what its helpers share. */
typedef struct block_call {
    const vt_compute *compute;
    const vt_encoder_config *config;
    const vt_block *block;
    const vt_encoder_workspace *workspace;
    const vt_encoder_pass *pass;
    size_t index, width, q_width, kv_width;
    size_t kv_tokens;    /* of an item, as it enters the block */
    size_t rows, tokens; /* that the block computes: all, the first few, or those not merged away */
    bool has_keys;       /* keys and values of all tokens are in workspace->wide already, */
    bool has_attended;   /* or what attention makes of them is, where q would be */
} block_call;

static bool has_window(const vt_encoder_config *config, size_t index) {
    return config->window && !(config->global_every && index % config->global_every == 0);
}

static size_t qkv_ld(const block_call *call) {
    return call->q_width + 2 * call->kv_width;
}

/* LayerNorm or RMSNorm of each head on its own (timm qk_norm, Qwen3). */
static void norm_heads(const block_call *call, const vt_norm *norm, float *x, size_t ld,
                       size_t num_heads) {
    size_t head_dim = call->config->attention.head_dim;
    for (size_t head = 0; norm->weight && head < num_heads; head++)
        vt_norm_forward(call->compute, norm, x + head * head_dim, ld, x + head * head_dim, ld,
                        call->rows, head_dim);
}

/* Moves the new keys and values behind the cached ones, and has the attention read them all there.
 */
static void use_cache(const block_call *call, vt_attention_args *args) {
    const vt_kv_cache *cache = call->pass->cache;
    float *k = vt_kv_cache_keys(cache, call->index), *v = vt_kv_cache_values(cache, call->index);
    size_t bytes = call->kv_width * sizeof(float);
    for (size_t row = 0; row < call->rows; row++) {
        memcpy(k + (cache->length + row) * call->kv_width, args->k + row * args->kv_ld, bytes);
        memcpy(v + (cache->length + row) * call->kv_width, args->v + row * args->kv_ld, bytes);
    }
    args->k = k;
    args->v = v;
    args->kv_ld = call->kv_width;
    args->kv_tokens = cache->length + call->rows;
    args->kv_position = cache->position;
    args->q_position = cache->position + cache->length;
}

/* The rotations of this block; NULL: none. */
static const vt_rope *rope_of_block(const block_call *call) {
    const vt_encoder_pass *pass = call->pass;
    if (pass->block_ropes)
        return &pass->block_ropes[call->index];
    return has_window(call->config, call->index) && pass->local_rope ? pass->local_rope
                                                                     : pass->rope;
}

/* Heads as the attention takes them: normalised where a model does that, and turned to their
 * positions. */
static void finish_heads(const block_call *call, const vt_norm *norm, float *x, size_t num_heads) {
    const vt_rope *rope = rope_of_block(call);
    size_t ld = qkv_ld(call);
    norm_heads(call, norm, x, ld, num_heads);
    if (rope)
        vt_rope_apply(call->compute, rope, x, ld, call->pass->batch, call->tokens, num_heads,
                      call->config->attention.head_dim);
}

/* Columns [first, first + count) of workspace->wide[rows][q, k, v], from rows of `in`. */
static void project_heads(const block_call *call, const float *in, size_t first, size_t count) {
    const vt_attention_shape *shape = &call->config->attention;
    float *q = call->workspace->wide, *k = q + call->q_width;
    vt_dense_forward_columns(call->compute, &call->block->qkv, first, count, q + first,
                             qkv_ld(call), in, call->width, call->rows);
    if (first == 0)
        finish_heads(call, &call->block->q_norm, q, shape->num_heads);
    if (first + count > call->q_width)
        finish_heads(call, &call->block->k_norm, k, shape->num_kv_heads);
}

/* Items of different lengths, one by one. */
static void attend_items(const block_call *call, const vt_attention_args *all) {
    const vt_attention_shape *shape = &call->config->attention;
    vt_attention_args args = *all;
    args.batch = 1;
    for (size_t item = 0; item < all->batch; item++) {
        args.kv_tokens = call->pass->lengths[item];
        args.q_tokens = call->has_keys ? call->tokens : args.kv_tokens;
        vt_attention(call->compute, shape, &args, call->workspace->scratch);
        args.q += args.q_tokens * args.q_ld;
        args.out += args.q_tokens * args.out_ld;
        args.k += args.kv_tokens * args.kv_ld;
        args.v += args.kv_tokens * args.kv_ld;
    }
}

/* What a block's attention is given besides its heads. */
static vt_attention_args attention_args(const block_call *call) {
    const vt_encoder_pass *pass = call->pass;
    return (vt_attention_args){
        .batch = pass->batch,
        .q_tokens = call->tokens,
        .kv_tokens = call->kv_tokens,
        .causal = call->config->causal,
        .window = has_window(call->config, call->index) ? call->config->window : 0,
        .key_mask = pass->key_mask,
        .key_bias = pass->merge ? pass->merge->log_size : NULL,
        .bias = pass->biases ? pass->biases[call->index] : NULL,
    };
}

/* workspace->normed[rows][q_width] = attention over the rows of `in`. */
static void attend_with_keys(const block_call *call, const float *in) {
    const vt_encoder_pass *pass = call->pass;
    const vt_attention_shape *shape = &call->config->attention;
    size_t ld = qkv_ld(call);
    vt_attention_args args = attention_args(call);
    project_heads(call, in, 0, call->has_keys ? call->q_width : ld);
    args.q = call->workspace->wide;
    args.k = args.q + call->q_width;
    args.v = args.k + call->kv_width;
    args.q_ld = args.kv_ld = ld;
    args.out = call->workspace->normed; /* `in` is no longer needed once q, k and v are there */
    args.out_ld = call->q_width;
    if (pass->cache)
        use_cache(call, &args);
    if (pass->on_attention) {
        vt_attention_probabilities(call->compute, shape, &args, pass->probabilities);
        pass->on_attention(pass->user, call->index, pass->probabilities, call->tokens);
    }
    if (pass->lengths)
        attend_items(call, &args);
    else
        vt_attention(call->compute, shape, &args, call->workspace->scratch);
}

/* workspace->wide[batch * keep][q] = attention over the rows of `in`, without keys and values.
 * Item by item, so that an item's bits do not depend on the others. */
static void attend_absorbed(const block_call *call, const float *in) {
    const vt_encoder_pass *pass = call->pass;
    const vt_dense *qkv = &call->block->qkv;
    float *q = call->workspace->wide;
    vt_attention_args args = attention_args(call);
    args.batch = 1;
    args.q_tokens = pass->keep;
    args.q_ld = args.out_ld = qkv_ld(call);
    for (size_t item = 0; item < pass->batch; item++) {
        if (pass->lengths)
            args.kv_tokens = pass->lengths[item];
        vt_dense_forward_columns(call->compute, qkv, 0, call->q_width, q, args.q_ld, in,
                                 call->width, pass->keep);
        args.q = args.out = q;
        vt_absorbed_attention(call->compute, &call->config->attention, qkv, &args, in,
                              call->workspace->absorbed, call->workspace->scratch);
        q += pass->keep * args.q_ld;
        in += args.kv_tokens * call->width;
        args.key_mask = args.key_mask ? args.key_mask + args.kv_tokens : NULL;
    }
}

static void take_attended(const block_call *call) {
    const vt_encoder_workspace *workspace = call->workspace;
    for (size_t row = 0; row < call->rows; row++)
        memcpy(workspace->normed + row * call->q_width, workspace->wide + row * qkv_ld(call),
               call->q_width * sizeof(float));
}

/* workspace->normed[rows][q_width] = attention over the rows of `in`, before proj. */
static void attend(const block_call *call, const float *in) {
    float *out = call->workspace->normed;
    if (call->has_attended)
        take_attended(call);
    else
        attend_with_keys(call, in);
    vt_norm_forward(call->compute, &call->block->attn_norm, out, call->q_width, out, call->q_width,
                    call->rows, call->q_width);
}

/* x = x + scale1 * proj(attention(in)); `in` may be x, or workspace->normed. */
static void add_attention(const block_call *call, float *x, const float *in) {
    attend(call, in);
    vt_dense_forward(call->compute, &call->block->proj, x, call->width, call->workspace->normed,
                     call->q_width, call->rows,
                     (vt_epilogue){.scale = call->block->scale1, .residual = x});
}

/* x = x + scale2 * mlp(in); `in` may be x. */
static void add_mlp(const block_call *call, float *x, const float *in) {
    vt_mlp_forward(call->compute, &call->block->mlp, x, call->width, in, call->width, call->rows,
                   call->workspace->wide,
                   (vt_epilogue){.scale = call->block->scale2, .residual = x});
}

static void norm_rows(const block_call *call, const vt_norm *norm, float *out, const float *x) {
    vt_norm_forward(call->compute, norm, out, call->width, x, call->width, call->rows, call->width);
}

/* x = x + norm1(proj(attention(x))); x = x + norm2(mlp(x)). The norm stands where LayerScale would.
 */
static void add_normed_branches(const block_call *call, float *x) {
    const vt_block *block = call->block;
    float *branch = call->workspace->branch;
    size_t width = call->width, elements = call->rows * width;
    attend(call, x);
    vt_dense_forward(call->compute, &block->proj, branch, width, call->workspace->normed,
                     call->q_width, call->rows, (vt_epilogue){0});
    norm_rows(call, &block->norm1, branch, branch);
    call->compute->kernels->axpy(x, branch, 1.0f, elements);
    vt_mlp_forward(call->compute, &block->mlp, branch, width, x, width, call->rows,
                   call->workspace->wide, (vt_epilogue){0});
    norm_rows(call, &block->norm2, branch, branch);
    call->compute->kernels->axpy(x, branch, 1.0f, elements);
}

/* Where few tokens are wanted they are of the prefix, and none is merged. */
static void merge_tokens(block_call *call, float *x) {
    const vt_encoder_pass *pass = call->pass;
    if (!pass->merge)
        return;
    call->tokens = vt_merge_tokens(call->compute, pass->merge, &call->config->attention,
                                   call->workspace->wide + call->q_width, qkv_ld(call), x,
                                   call->workspace->normed, pass->batch, call->tokens, call->width);
    call->rows = pass->batch * call->tokens;
}

static void block_forward(block_call *call, float *x) {
    const vt_block *block = call->block;
    float *normed = call->workspace->normed;
    switch (call->config->order) {
    case VT_NORM_FIRST:
        norm_rows(call, &block->norm1, normed, x);
        add_attention(call, x, normed);
        merge_tokens(call, x);
        norm_rows(call, &block->norm2, normed, x);
        add_mlp(call, x, normed);
        break;
    case VT_NORM_LAST:
        add_attention(call, x, x);
        norm_rows(call, &block->norm1, x, x);
        add_mlp(call, x, x);
        norm_rows(call, &block->norm2, x, x);
        break;
    case VT_NORM_PARALLEL: /* both halves take x as it came */
        norm_rows(call, &block->norm1, call->workspace->branch, x);
        norm_rows(call, &block->norm2, normed, x);
        add_mlp(call, x, normed);
        add_attention(call, x, call->workspace->branch);
        break;
    case VT_NORM_BRANCH:
        add_normed_branches(call, x);
        break;
    }
}

/* x[batch][tokens][width] closes up to x[batch][keep][width]. */
static void keep_first(float *x, const vt_encoder_pass *pass, size_t tokens, size_t width) {
    size_t first = 0, keep = pass->keep;
    for (size_t item = 0; item < pass->batch; item++) {
        memmove(x + item * keep * width, x + first * width, keep * width * sizeof *x);
        first += pass->lengths ? pass->lengths[item] : tokens;
    }
}

bool vt_block_can_absorb(const vt_encoder_config *config, const vt_block *block, size_t keep) {
    return !config->causal && !block->q_norm.weight && !block->k_norm.weight &&
           vt_can_absorb(&config->attention, &block->qkv, keep);
}

/* A block of which the first `keep` tokens of each item are wanted: of the others it computes keys
 * and values, or, where those depend on nothing but the token, not even these. */
static void block_forward_few(block_call *call, float *x) {
    const vt_encoder_pass *pass = call->pass;
    const float *in = x;
    if (call->config->order == VT_NORM_FIRST) {
        norm_rows(call, &call->block->norm1, call->workspace->normed, x);
        in = call->workspace->normed;
    }
    if (!rope_of_block(call) && !pass->merge &&
        vt_block_can_absorb(call->config, call->block, pass->keep)) {
        attend_absorbed(call, in);
        call->has_attended = true;
    } else {
        project_heads(call, in, call->q_width, 2 * call->kv_width);
        call->has_keys = true;
    }
    keep_first(x, pass, call->kv_tokens, call->width);
    call->tokens = pass->keep;
    call->rows = pass->batch * pass->keep;
    block_forward(call, x);
}

static size_t count_rows(const vt_encoder_pass *pass) {
    size_t rows = pass->lengths ? 0 : pass->batch * pass->tokens;
    for (size_t item = 0; pass->lengths && item < pass->batch; item++)
        rows += pass->lengths[item];
    return rows;
}

/* Not where a block's halves run in parallel: the MLP, which comes first, uses the memory that keys
 * and values lie in. */
static bool can_keep_few(const vt_encoder_config *config, const vt_encoder_pass *pass) {
    return pass->keep && pass->keep < pass->tokens && !pass->cache && config->depth &&
           config->order != VT_NORM_PARALLEL;
}

size_t vt_encoder_forward(const vt_compute *compute, const vt_encoder_config *config,
                          const vt_block *blocks, const vt_encoder_workspace *workspace, float *x,
                          const vt_encoder_pass *pass) {
    const vt_attention_shape *shape = &config->attention;
    block_call call = {
        .compute = compute,
        .config = config,
        .workspace = workspace,
        .pass = pass,
        .rows = count_rows(pass),
        .tokens = pass->tokens,
        .width = config->width,
        .q_width = shape->num_heads * shape->head_dim,
        .kv_width = shape->num_kv_heads * shape->head_dim,
    };
    bool few = can_keep_few(config, pass);
    if (pass->merge)
        vt_merge_begin(pass->merge, call.rows);
    for (size_t i = 0; i < config->depth; i++) {
        if (pass->cancel && vt_cancel_wanted(pass->cancel))
            return 0;
        call.block = &blocks[i];
        call.index = i;
        call.kv_tokens = call.tokens;
        if (few && i + 1 == config->depth)
            block_forward_few(&call, x);
        else
            block_forward(&call, x);
        if (pass->on_block)
            pass->on_block(pass->user, i, x, call.tokens);
    }
    if (pass->cache)
        vt_kv_cache_advance(pass->cache, pass->tokens);
    return call.rows;
}
