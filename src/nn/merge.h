/* SPDX-License-Identifier: MIT
 *
 * Token merging (Bolya et al. 2023, "Token Merging: Your ViT But Faster"): between the two halves
 * of a block the tokens whose keys are most alike are merged, in pairs, so that all that follows
 * has fewer tokens to compute. Nothing is trained for it. Source: facebookresearch/ToMe (af95e4b),
 * tome/merge.py and tome/patch/timm.py.
 */
#ifndef VT_NN_MERGE_H
#define VT_NN_MERGE_H

#include "base/memory.h"
#include "nn/attention.h"

/* How many tokens of the input each token stands for, and the logarithm of that: what attention
 * adds to a token's score so that it weighs as much as those that were merged into it. */
typedef struct vt_token_sizes {
    const float *size, *log_size; /* [batch][tokens] */
} vt_token_sizes;

/* What a forward pass merges, and the memory for it. */
typedef struct vt_merge {
    size_t pairs;  /* merged in each block, at most */
    size_t prefix; /* tokens in front that are never merged, and stay in front in their order */

    float *metric;                      /* [rows][head_dim]: what tokens are compared by */
    float *similarity;                  /* [rows]: of a token with the one it would go into */
    size_t *best;                       /* [rows]: that one */
    size_t *order;                      /* [rows]: the tokens of set a, the most alike first */
    float *size, *next_size, *log_size; /* [rows] */
} vt_merge;

/* Takes the memory for `rows` tokens in all from an arena, or measures it (see vt_arena). */
void vt_merge_carve(vt_merge *out, vt_arena *arena, size_t rows, size_t head_dim);

/* How many of `tokens` tokens one block merges away: `pairs`, but at most half of those behind the
 * prefix. */
size_t vt_merge_count(size_t pairs, size_t prefix, size_t tokens);

/* Before the first block: each of `rows` tokens stands for itself. */
void vt_merge_begin(vt_merge *merge, size_t rows);

/* x[batch][tokens][width] becomes x[batch][fewer][width]; returns `fewer`. `keys` are those that
 * the block's attention saw, [batch * tokens][num_kv_heads * head_dim]; `spare` holds as much as x.
 *
 * Tokens are split by turns into a (0, 2, 4, …) and b (1, 3, 5, …). Each of a is paired with the
 * token of b whose key, averaged over heads, points most nearly the same way: of equals with the
 * first. The most similar pairs are merged (of equals the first), a token of b with all that are
 * paired with it into their mean, weighted by size. The result is the prefix, what is left of a, b.
 */
size_t vt_merge_tokens(const vt_compute *compute, vt_merge *merge, const vt_attention_shape *heads,
                       const float *keys, size_t keys_ld, float *x, float *spare, size_t batch,
                       size_t tokens, size_t width);

#endif
