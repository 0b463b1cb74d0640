/* SPDX-License-Identifier: MIT
 *
 * Keys and values of the tokens that a decoder has seen, so that the next token attends to them
 * without computing them again. With a sliding window old rows are dropped, and an endless stream
 * takes the memory of the window.
 */
#ifndef VT_NN_KV_CACHE_H
#define VT_NN_KV_CACHE_H

#include "base/memory.h"

typedef struct vt_kv_cache {
    float *k, *v; /* [depth][capacity][width] */
    size_t depth, capacity, width;
    size_t window;   /* rows that a new token may still need, itself included; 0: all */
    size_t length;   /* rows held */
    size_t position; /* of the first row held */
} vt_kv_cache;

/* Takes the cache from an arena, or measures it, empty. With a window of w rows and steps of at
 * most `step` tokens it holds 2 w + step rows; rows are moved down once every w tokens. */
void vt_kv_cache_carve(vt_kv_cache *out, vt_arena *arena, size_t depth, size_t width, size_t window,
                       size_t step, size_t max_tokens);

/* Forgets everything. */
void vt_kv_cache_reset(vt_kv_cache *cache);

/* Makes room for `count` rows, dropping those that no window reaches any more. False when the cache
 * has no window and is full. */
bool vt_kv_cache_reserve(vt_kv_cache *cache, size_t count);

/* Where block `block` writes its new rows (row `length` and on), and where its rows begin. */
float *vt_kv_cache_keys(const vt_kv_cache *cache, size_t block);
float *vt_kv_cache_values(const vt_kv_cache *cache, size_t block);

/* All blocks have written `count` rows. */
void vt_kv_cache_advance(vt_kv_cache *cache, size_t count);

#endif
