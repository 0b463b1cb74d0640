/* SPDX-License-Identifier: MIT
 *
 * Attention of a few queries over tokens whose keys and values are never computed. With k = Wk x +
 * bk and v = Wv x + bv, head by head,
 *
 *     q . k      = (Wk^T q) . x + q . bk      where q . bk, the same for all tokens, leaves the
 *                                             softmax as it is
 *     sum_j p_j v_j = Wv (sum_j p_j x_j) + bv
 *
 * so that Wk is absorbed into the queries and Wv into what follows (DeepSeek-V2, arXiv 2405.04434,
 * section 2.1.2). For n tokens of which q are asked that takes 4 q width (head_dim + n) operations
 * a head in place of 4 n width head_dim.
 */
#ifndef VT_NN_ABSORBED_H
#define VT_NN_ABSORBED_H

#include "nn/attention.h"

/* The most queries of an item: a class and a distillation token. */
enum { VT_ABSORBED_QUERIES = 2 };
_Static_assert(VT_ABSORBED_QUERIES <= (int)VT_ATTENTION_FEW, "or attention packs whole tokens");

/* Of plain multi-head attention without a norm or a rotation of the keys; qkv[q rows, k rows, v
 * rows][width]. */
bool vt_can_absorb(const vt_attention_shape *shape, const vt_dense *qkv, size_t num_queries);

/* Floats of scratch memory; false on overflow. */
bool vt_absorbed_scratch_size(const vt_attention_shape *shape, size_t width, size_t *floats);

/* One item. args->k and args->v are ignored and args->out overlaps q alone, which it may be; x are
 * the tokens as the qkv layer takes them, [args->kv_tokens][width]. `attention_scratch` is
 * vt_attention's. */
void vt_absorbed_attention(const vt_compute *compute, const vt_attention_shape *shape,
                           const vt_dense *qkv, const vt_attention_args *args, const float *x,
                           float *scratch, float *attention_scratch);

#endif
