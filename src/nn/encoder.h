/* SPDX-License-Identifier: MIT
 *
 * The transformer encoder: the same block, `depth` times. With the norm first (pre-LN):
 *
 *     x = x + scale1 * proj(attention(q, k, v of norm1(x)))
 *     x = x + scale2 * mlp(norm2(x))
 *
 * A decoder is the same with a causal mask. Where tokens are merged, that is between the two.
 */
#ifndef VT_NN_ENCODER_H
#define VT_NN_ENCODER_H

#include "base/cancel.h"
#include "base/memory.h"
#include "nn/attention.h"
#include "nn/kv_cache.h"
#include "nn/merge.h"
#include "nn/mlp.h"
#include "nn/rope.h"

/* Where a block has its norms. */
typedef enum vt_norm_order {
    VT_NORM_FIRST,    /* pre-LN, as above */
    VT_NORM_LAST,     /* post-LN (BERT): x = norm1(x + attention(x)); x = norm2(x + mlp(x)) */
    VT_NORM_PARALLEL, /* GPT-NeoX: x = x + attention(norm1(x)) + mlp(norm2(x)) */
    VT_NORM_BRANCH /* Swin v2, EVA-02-CLIP-E: x = x + norm1(attention(x)); x = x + norm2(mlp(x)) */
} vt_norm_order;

typedef struct vt_encoder_config {
    size_t depth, width;
    size_t mlp_dim;
    vt_attention_shape attention;
    vt_norm_order order;
    vt_norm_kind norm;
    float norm_eps;
    float mlp_norm_eps; /* of the norm inside the MLP; 0: norm_eps */
    vt_activation activation;
    bool gated_mlp;
    bool causal;
    size_t window;      /* a token sees those less than so many away; 0: all */
    bool no_first_norm; /* the first block may come without its norm1 (ModernBERT) */
    size_t
        global_every; /* with a window: blocks 0, n, 2n, … have none (ModernBERT); 0: all have it */
} vt_encoder_config;

typedef struct vt_block {
    vt_norm norm1;     /* [width] */
    vt_dense qkv;      /* [(num_heads + 2 num_kv_heads) head_dim][width]: q rows, k rows, v rows */
    vt_norm q_norm;    /* [head_dim], each head of q on its own */
    vt_norm k_norm;    /* [head_dim] */
    vt_norm attn_norm; /* [num_heads head_dim], before proj */
    vt_dense proj;     /* [width][num_heads head_dim] */
    const float *scale1; /* [width] LayerScale, or NULL */
    vt_norm norm2;       /* [width] */
    vt_mlp mlp;
    const float *scale2; /* [width] LayerScale, or NULL */
} vt_block;

/* Buffers of one forward pass over `rows` tokens in all. */
typedef struct vt_encoder_workspace {
    float *normed;   /* [rows][width], then [rows][num_heads head_dim] */
    float *wide;     /* [rows][qkv width], then [rows][mlp hidden width] */
    float *branch;   /* [rows][width], for VT_NORM_PARALLEL and VT_NORM_BRANCH alone */
    float *scratch;  /* attention's */
    float *absorbed; /* that of nn/absorbed.h; not where attention is causal */
} vt_encoder_workspace;

/* Columns of a row of q, k and v together. */
size_t vt_encoder_qkv_width(const vt_encoder_config *config);

/* Takes the workspace from an arena, or measures it (see vt_arena). */
void vt_encoder_workspace_carve(vt_encoder_workspace *out, vt_arena *arena,
                                const vt_encoder_config *config, const vt_kernels *kernels,
                                size_t rows, size_t num_threads);

/* Whether a block of which the first `keep` tokens are wanted needs no keys and values of the
 * others (nn/absorbed.h), unless they are turned to their positions or merged. */
bool vt_block_can_absorb(const vt_encoder_config *config, const vt_block *block, size_t keep);

/* Called after each block with the residual stream, for whoever wants to look at it: x[batch *
 * tokens][width]. */
typedef void (*vt_block_fn)(void *user, size_t block, const float *x, size_t tokens);

/* Called amid each block with what its queries made of their keys: probabilities[batch][num_heads]
 * [tokens][tokens]. */
typedef void (*vt_attention_fn)(void *user, size_t block, const float *probabilities,
                                size_t tokens);

/* What a forward pass is given besides its tokens. A zero field means that there is no such thing.
 */
typedef struct vt_encoder_pass {
    size_t batch, tokens;
    const size_t *lengths; /* [batch]: items of so many tokens each, one after another in x,
                            * `tokens` the most of them; nothing below but `keep` goes with it.
                            * NULL: all have `tokens` */
    const vt_rope *rope;
    const vt_rope *local_rope;              /* of the blocks with a window; NULL: `rope` too */
    const vt_rope *block_ropes;             /* [depth], in the place of `rope`; or NULL */
    const vt_attention_bias *const *biases; /* [depth], or NULL */
    const uint8_t *key_mask;                /* [batch][tokens]: 0 where a token is padding */
    vt_kv_cache *cache;                     /* batch is 1; the tokens follow those that it holds */
    vt_merge *merge; /* VT_NORM_FIRST alone; nothing else here may depend on a token's place, and
                      * `keep` is at most its prefix */
    size_t keep;     /* of each item the first so many tokens are wanted; 0: all */
    const vt_cancel *cancel; /* looked at before each block; NULL: the pass can't be stopped */
    vt_block_fn on_block;
    vt_attention_fn on_attention; /* goes with no lengths, cache, merge or keep */
    float *probabilities;         /* what it is called with */
    void *user;
} vt_encoder_pass;

/* x[batch * tokens][width] through all blocks, in place. Where few tokens are wanted, the last
 * block computes keys and values of all tokens at most, and the rest of those few alone: then x is
 * [batch * kept][width]. Returns how many rows x then has: of each item `keep`, or all that are
 * left after merging where all are wanted or a block's halves run in parallel; 0 when it was
 * stopped, x is then of no use, and the cache is as it was. */
size_t vt_encoder_forward(const vt_compute *compute, const vt_encoder_config *config,
                          const vt_block *blocks, const vt_encoder_workspace *workspace, float *x,
                          const vt_encoder_pass *pass);

#endif
