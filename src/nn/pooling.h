/* SPDX-License-Identifier: MIT
 *
 * From the tokens of a picture to one vector, and from there to logits.
 */
#ifndef VT_NN_POOLING_H
#define VT_NN_POOLING_H

#include "base/memory.h"
#include "nn/attention.h"
#include "nn/merge.h"
#include "nn/mlp.h"

typedef enum vt_pooling_kind {
    VT_POOL_TOKEN,      /* the class token */
    VT_POOL_TOKEN_PAIR, /* the mean of the class and distillation tokens (timm DeiT) */
    VT_POOL_AVG,        /* mean of the patch tokens */
    VT_POOL_MAX,        /* maximum of the patch tokens */
    VT_POOL_AVG_MAX,    /* the mean of those two */
    VT_POOL_MAP,        /* multi-head attention pooling: a learned query (SigLIP) */
    VT_POOL_KIND_COUNT
} vt_pooling_kind;

const char *vt_pooling_name(vt_pooling_kind kind);

/* Attention pooling (Zhai et al. 2022, "Scaling vision transformers", "MAP head"):
 * y = proj(attention(q of the probe, kv of the tokens)); y + mlp(norm(y)), or in Nomic's the first
 * token + mlp(norm(y)). The query does not depend on the picture, so it is computed once, when the
 * model is opened. */
typedef struct vt_map_head {
    vt_attention_shape attention;
    const float *query; /* [num_heads head_dim], q(probe) */
    vt_dense kv;        /* [2 num_heads head_dim][width]: k rows, v rows */
    vt_dense proj;
    vt_norm norm;
    vt_mlp mlp;
    bool adds_to_token; /* to the first token, not to y */
} vt_map_head;

typedef struct vt_pooler {
    vt_pooling_kind kind;
    size_t width;
    bool include_prefix; /* pool over all tokens, not the patches alone */
    vt_map_head map;     /* for VT_POOL_MAP */
    vt_norm norm;        /* after the pool: timm's fc_norm */
    vt_dense dense;      /* ViTModel's pooler, tanh(W x + b); no weight: not there */
    vt_activation dense_act;
} vt_pooler;

typedef struct vt_pooler_workspace {
    float *kv;      /* [tokens][2 num_heads head_dim], of one picture */
    float *vectors; /* [2 * width + mlp hidden]: the MAP head's */
    float *undense; /* [width]: what the dense layer takes */
    float *scratch; /* attention's */
} vt_pooler_workspace;

void vt_pooler_workspace_carve(vt_pooler_workspace *out, vt_arena *arena, const vt_pooler *pooler,
                               const vt_kernels *kernels, size_t tokens, size_t num_threads);

/* pooled[count][width] from x[count][tokens][width], whose first num_prefix tokens are no patches.
 * mask[count][tokens] is 0 where a token is padding, which VT_POOL_MAP leaves out; NULL: none is.
 * sizes: merged tokens weigh in VT_POOL_AVG and VT_POOL_MAP as what they stand for; NULL: none is
 * merged. For the token pools the first tokens alone will do. */
void vt_pooler_forward(const vt_compute *compute, const vt_pooler *pooler,
                       const vt_pooler_workspace *workspace, float *pooled, const float *x,
                       const uint8_t *mask, const vt_token_sizes *sizes, size_t count,
                       size_t tokens, size_t num_prefix);

/* out[width] = the mean of x[tokens][width], weighted by size[tokens] unless that is NULL. */
void vt_pool_mean(float *out, const float *x, const float *size, size_t tokens, size_t width);

#endif
