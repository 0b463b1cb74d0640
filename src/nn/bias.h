/* SPDX-License-Identifier: MIT
 *
 * Biases that are added to attention scores: ALiBi, T5's buckets, BEiT's table. Each is computed
 * for a row of a tile when it is needed; none is ever laid out for all pairs of tokens.
 */
#ifndef VT_NN_BIAS_H
#define VT_NN_BIAS_H

#include "nn/attention.h"

/* ---- ALiBi (Press et al. 2022): -slope_h |i - j|
 * ------------------------------------------------- */

/* How slopes are worked out. BLOOM takes those of the power of two below, then every other one of
 * that above; MPT every other one of the power of two above, then the rest, cut to n. That is the
 * same list in the same order, but BLOOM takes powers of a first slope that it rounds to F32. */
typedef enum vt_alibi_order { VT_ALIBI_BLOOM, VT_ALIBI_MPT } vt_alibi_order;

/* slopes[num_heads]: 2^(-max_bias * (i + 1) / n) for n a power of two. */
void vt_alibi_slopes(float *slopes, size_t num_heads, vt_alibi_order order, double max_bias);

typedef struct vt_alibi {
    vt_attention_bias base;
    const float *slopes; /* [num_heads], borrowed */
} vt_alibi;

vt_alibi vt_alibi_make(const float *slopes);

/* ---- T5 (Raffel et al. 2020): a learned scalar a head and bucket of distance
 * --------------------- */

/* The bucket of key - query. Half of them are exact, the rest grow logarithmically up to
 * max_distance; bidirectional: half of all for each sign. Source: transformers,
 * T5Attention._relative_position_bucket. */
size_t vt_t5_bucket(long long relative_position, bool bidirectional, size_t num_buckets,
                    size_t max_distance);

typedef struct vt_t5_bias {
    vt_attention_bias base;
    const float *table;      /* [num_buckets][num_heads], borrowed */
    const uint16_t *buckets; /* [max_distance + 1]: of keys so far before the query, borrowed; from
                              * there on all share the last */
    size_t num_heads, num_buckets, max_distance;
    bool bidirectional;
} vt_t5_bias;

/* Fills `buckets`, and borrows it. */
vt_t5_bias vt_t5_bias_make(const float *table, uint16_t *buckets, size_t num_heads,
                           size_t num_buckets, size_t max_distance, bool bidirectional);

/* ---- BEiT (Bao et al. 2021): a learned scalar a head and 2D offset
 * ------------------------------- */

/* Tokens are a class token and then the grid, row by row. The table has a row for each offset,
 * (2 grid_h - 1)(2 grid_w - 1) of them, then class to patch, patch to class and class to class. */
typedef struct vt_grid_bias {
    vt_attention_bias base;
    const float *table; /* [(2 grid_h - 1)(2 grid_w - 1) + 3][num_heads], borrowed */
    size_t num_heads, grid_h, grid_w;
} vt_grid_bias;

vt_grid_bias vt_grid_bias_make(const float *table, size_t num_heads, size_t grid_h, size_t grid_w);

#endif
