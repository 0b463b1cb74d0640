/* SPDX-License-Identifier: MIT
 *
 * One transformer block, which all towers have in common.
 */
#include "models/bind_block.h"

#include <string.h>

/* Where a row of a fused qkv that is stored head by head goes: q rows, then k rows, then v rows. */
static void pack_by_head(vt_binder *b, vt_dense *out, size_t block) {
    const vt_attention_shape *shape = &b->encoder->attention;
    size_t hd = shape->head_dim, rows = 3 * shape->num_heads * hd, width = b->encoder->width;
    const size_t matrix[] = {rows, width};
    const float *weight = vt_bind_floats(b, VT_PART_QKV, block, ".weight", matrix, 2);
    const float *bias = vt_bind_any_block_has(b, VT_PART_QKV, ".bias")
                            ? vt_bind_vector(b, VT_PART_QKV, block, ".bias", rows)
                            : NULL;
    float *sorted = bias ? vt_bind_own(b, rows, sizeof *sorted) : NULL;
    vt_bind_create_packed(b, &out->weight,
                          vt_bind_storage(b, vt_bind_require(b, VT_PART_QKV, block, ".weight")),
                          rows, width);
    for (size_t head = 0; !b->status && head < shape->num_heads; head++) {
        for (size_t kind = 0; kind < 3; kind++) {
            size_t from = (3 * head + kind) * hd, to = (kind * shape->num_heads + head) * hd;
            vt_bind_pack_floats(b, &out->weight, to, weight + from * width, hd);
            if (sorted)
                memcpy(sorted + to, bias + from, hd * sizeof *sorted);
        }
    }
    out->bias = sorted;
}

/* Query, key and value as three tensors, packed one below the other. A bias that a model leaves out
 * (key's in some) is zero. */
static void bind_split_qkv(vt_binder *b, vt_dense *out, size_t block) {
    static const vt_part parts[] = {VT_PART_Q, VT_PART_K, VT_PART_V};
    const vt_attention_shape *shape = &b->encoder->attention;
    const size_t q = shape->num_heads * shape->head_dim, kv = shape->num_kv_heads * shape->head_dim;
    const size_t heights[] = {q, kv, kv};
    size_t width = b->encoder->width, row = 0;
    float *bias = NULL;
    const vt_tensor *query = vt_bind_require(b, VT_PART_Q, block, ".weight");
    vt_bind_check(b, query, (const size_t[]){q, width}, 2);
    vt_bind_create_packed(b, &out->weight, vt_bind_storage(b, query), q + 2 * kv, width);
    for (size_t i = 0; i < 3; i++) {
        const size_t matrix[] = {heights[i], width};
        vt_bind_pack(b, &out->weight, row, heights[i],
                     vt_bind_require(b, parts[i], block, ".weight"), matrix, 2);
        if (vt_bind_any_block_has(b, parts[i], ".bias")) {
            const vt_tensor *tensor = vt_bind_require(b, parts[i], block, ".bias");
            if (!bias)
                bias = vt_bind_own(b, q + 2 * kv, sizeof *bias);
            if (tensor && bias)
                vt_bind_load(b, bias + row, tensor, &heights[i], 1);
        }
        row += heights[i];
    }
    out->bias = bias;
}

/* A fused matrix with q_bias and v_bias beside it: the key has none. */
static void bind_split_bias(vt_binder *b, vt_dense *out, size_t block) {
    const vt_attention_shape *shape = &b->encoder->attention;
    const size_t q = shape->num_heads * shape->head_dim, kv = shape->num_kv_heads * shape->head_dim;
    float *bias = vt_bind_own(b, q + 2 * kv, sizeof *bias);
    const vt_tensor *q_bias = vt_bind_require(b, VT_PART_Q_BIAS, block, "");
    const vt_tensor *v_bias = vt_bind_require(b, VT_PART_V_BIAS, block, "");
    if (b->status)
        return;
    vt_bind_load(b, bias, q_bias, &q, 1);
    vt_bind_load(b, bias + q + kv, v_bias, &kv, 1);
    out->bias = bias;
}

static void bind_qkv(vt_binder *b, vt_dense *out, size_t block) {
    /* The last block may ask for q of some rows, and for k and v of all. */
    if (block + 1 == b->encoder->depth)
        b->split = b->encoder->attention.num_heads * b->encoder->attention.head_dim;
    if (vt_bind_any_block_has(b, VT_PART_Q, ".weight"))
        bind_split_qkv(b, out, block);
    else if (b->family->qkv_layout == VT_QKV_BY_HEAD)
        pack_by_head(b, out, block);
    else
        vt_bind_block_dense(b, out, VT_PART_QKV, block, vt_encoder_qkv_width(b->encoder),
                            b->encoder->width);
    b->split = 0;
    if (vt_bind_any_block_has(b, VT_PART_Q_BIAS, ""))
        bind_split_bias(b, out, block);
}

/* Gate and value as two tensors, packed one below the other. */
void vt_bind_split_gate(vt_binder *b, vt_dense *out, vt_part gate, vt_part value, size_t block,
                        size_t rows, bool has_bias) {
    const vt_part parts[] = {gate, value};
    size_t width = b->encoder->width;
    const size_t matrix[] = {rows, width};
    const vt_tensor *first = vt_bind_require(b, gate, block, ".weight");
    vt_bind_check(b, first, matrix, 2);
    float *bias = has_bias ? vt_bind_own(b, 2 * rows, sizeof *bias) : NULL;
    vt_bind_create_packed(b, &out->weight, vt_bind_storage(b, first), 2 * rows, width);
    for (size_t i = 0; i < 2; i++) {
        const vt_tensor *weight = vt_bind_require(b, parts[i], block, ".weight");
        vt_bind_pack(b, &out->weight, i * rows, rows, weight, matrix, 2);
        const vt_tensor *tensor = has_bias ? vt_bind_require(b, parts[i], block, ".bias") : NULL;
        if (tensor)
            vt_bind_load(b, bias + i * rows, tensor, &rows, 1);
    }
    out->bias = bias;
}

static void bind_mlp(vt_binder *b, vt_mlp *out, size_t block) {
    const vt_encoder_config *encoder = b->encoder;
    out->activation = encoder->activation;
    out->gated = encoder->gated_mlp;
    if (encoder->gated_mlp && vt_bind_any_block_has(b, VT_PART_FC1_GATE, ".weight"))
        vt_bind_split_gate(b, &out->fc1, VT_PART_FC1_GATE, VT_PART_FC1_VALUE, block,
                           encoder->mlp_dim, vt_bind_any_block_has(b, VT_PART_FC1_GATE, ".bias"));
    else
        vt_bind_block_dense(b, &out->fc1, VT_PART_FC1, block,
                            encoder->mlp_dim * (encoder->gated_mlp ? 2 : 1), encoder->width);
    vt_bind_norm_if_any(b, &out->norm, VT_PART_MLP_NORM, block, encoder->mlp_dim);
    if (encoder->mlp_norm_eps > 0)
        out->norm.eps = encoder->mlp_norm_eps;
    vt_bind_block_dense(b, &out->fc2, VT_PART_FC2, block, encoder->width, encoder->mlp_dim);
}

static void bind_block(vt_binder *b, vt_block *out, size_t block) {
    const vt_attention_shape *shape = &b->encoder->attention;
    size_t width = b->encoder->width, q_width = shape->num_heads * shape->head_dim;
    char name[VT_MAX_TENSOR_NAME];

    /* ModernBERT's first block alone has none: the embeddings' norm does for it. */
    if (!b->encoder->no_first_norm || block > 0 ||
        vt_bind_find(b, VT_PART_NORM1, block, ".weight", name))
        vt_bind_norm(b, &out->norm1, VT_PART_NORM1, block, width);
    bind_qkv(b, &out->qkv, block);
    vt_bind_norm_if_any(b, &out->q_norm, VT_PART_Q_NORM, block, shape->head_dim);
    vt_bind_norm_if_any(b, &out->k_norm, VT_PART_K_NORM, block, shape->head_dim);
    vt_bind_norm_if_any(b, &out->attn_norm, VT_PART_ATTN_NORM, block, q_width);
    vt_bind_block_dense(b, &out->proj, VT_PART_PROJ, block, width, q_width);
    if (vt_bind_any_block_has(b, VT_PART_SCALE1, ""))
        out->scale1 = vt_bind_vector(b, VT_PART_SCALE1, block, "", width);
    vt_bind_norm(b, &out->norm2, VT_PART_NORM2, block, width);
    bind_mlp(b, &out->mlp, block);
    if (vt_bind_any_block_has(b, VT_PART_SCALE2, ""))
        out->scale2 = vt_bind_vector(b, VT_PART_SCALE2, block, "", width);
    vt_packed *const matrices[] = {&out->qkv.weight, &out->proj.weight, &out->mlp.fc1.weight,
                                   &out->mlp.fc2.weight};
    for (size_t i = 0; i < sizeof matrices / sizeof matrices[0]; i++)
        vt_bind_finish_packed(b, matrices[i]);
}

vt_block *vt_bind_blocks(vt_binder *b) {
    size_t depth = b->encoder->depth;
    vt_block *blocks = vt_bind_own(b, depth, sizeof *blocks);
    b->in_block = true;
    for (size_t block = 0; block < depth && !b->status; block++)
        bind_block(b, &blocks[block], block);
    b->in_block = false;
    const vt_tensor *first = vt_bind_require(b, VT_PART_FC2, 0, ".weight");
    if (first)
        b->out->dtype = first->dtype;
    if (!b->status) {
        b->out->storage = blocks[0].mlp.fc2.weight.storage;
        b->out->backend = blocks[0].mlp.fc2.weight.backend;
    }
    return blocks;
}
