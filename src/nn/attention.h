/* SPDX-License-Identifier: MIT
 *
 * Scaled dot-product attention (Vaswani et al. 2017, eq. 1), block by block with an online softmax
 * (Milakov & Gimelshein 2018; Dao et al. 2022, algorithm 1): no more of the score matrix exists at
 * a time than one tile of one head a thread, whatever the number of tokens. Pictures and text,
 * encoders and decoders all go through vt_attention.
 */
#ifndef VT_NN_ATTENTION_H
#define VT_NN_ATTENTION_H

#include "nn/dense.h"

typedef struct vt_attention_shape {
    size_t num_heads,
        num_kv_heads; /* query head h reads key/value head h * num_kv_heads / num_heads */
    size_t head_dim;
    float scale; /* of q . k, usually 1 / sqrt(head_dim) */
} vt_attention_shape;

/* Plain multi-head attention: as many key and value heads as query heads, scale 1 / sqrt(head_dim).
 */
vt_attention_shape vt_attention_shape_of(size_t num_heads, size_t head_dim);

/* Something that is added to scores before the softmax and depends on head and positions alone. A
 * kind of bias has this as its first member, followed by what `add` needs. */
typedef struct vt_attention_bias vt_attention_bias;
struct vt_attention_bias {
    /* scores[j] += bias(head, query, key + j) for j in [0, count). */
    void (*add)(const vt_attention_bias *self, float *scores, size_t head, size_t query, size_t key,
                size_t count);
};

/* Rows are tokens; head h of a row is its columns [h * head_dim, (h + 1) * head_dim). The tokens of
 * batch item b are rows [b * tokens, (b + 1) * tokens). A zero field means that there is no such
 * thing. */
typedef struct vt_attention_args {
    const float *q, *k, *v;
    size_t q_ld, kv_ld;
    float *out; /* [batch * q_tokens][num_heads * head_dim], overlaps none of the inputs */
    size_t out_ld;
    size_t batch, q_tokens, kv_tokens;

    size_t q_position, kv_position; /* of the first query and the first key of each item */
    bool causal;                    /* a query sees no later key */
    size_t window;                  /* a query at i sees keys at j with |i - j| < window */
    const uint8_t *key_mask;        /* [batch][kv_tokens]: 0 where a key is padding */
    const float *key_bias;          /* [batch][kv_tokens]: added to every score of a key */
    const vt_attention_bias *bias;
} vt_attention_args;

/* For so many queries of an item nothing is packed, and the scratch memory's size does not depend
 * on head_dim. */
enum { VT_ATTENTION_FEW = 4 };

/* Floats of scratch memory that vt_attention needs for a pool of that many threads; false on
 * overflow. It does not depend on the number of tokens. */
bool vt_attention_scratch_size(const vt_kernels *kernels, const vt_attention_shape *shape,
                               size_t num_threads, size_t *floats);

/* out = softmax(scale q k^T + bias) v for each head of each batch item, over the keys that a query
 * sees; 0 for a query that sees none. */
void vt_attention(const vt_compute *compute, const vt_attention_shape *shape,
                  const vt_attention_args *args, float *scratch);

/* The softmax itself, for whoever wants to look at it: out[batch][num_heads][q_tokens][kv_tokens],
 * 0 for keys that a query does not see. Values are not looked at. Each score is a dot product of
 * its own, so that it may differ from vt_attention's by the rounding of sums. */
void vt_attention_probabilities(const vt_compute *compute, const vt_attention_shape *shape,
                                const vt_attention_args *args, float *out);

#endif
