/* SPDX-License-Identifier: MIT */
#include "nn/kv_cache.h"

#include <string.h>

void vt_kv_cache_carve(vt_kv_cache *out, vt_arena *arena, size_t depth, size_t width, size_t window,
                       size_t step, size_t max_tokens) {
    size_t capacity = max_tokens;
    if (window && 2 * window + step < max_tokens)
        capacity = 2 * window + step;
    const size_t sizes[] = {depth, capacity, width};
    size_t floats = 0;
    if (!vt_product(sizes, 3, &floats))
        arena->overflow = true;
    *out = (vt_kv_cache){.depth = depth, .capacity = capacity, .width = width, .window = window};
    out->k = vt_arena_take(arena, floats, sizeof(float));
    out->v = vt_arena_take(arena, floats, sizeof(float));
}

void vt_kv_cache_reset(vt_kv_cache *cache) {
    cache->length = cache->position = 0;
}

float *vt_kv_cache_keys(const vt_kv_cache *cache, size_t block) {
    return cache->k + block * cache->capacity * cache->width;
}

float *vt_kv_cache_values(const vt_kv_cache *cache, size_t block) {
    return cache->v + block * cache->capacity * cache->width;
}

bool vt_kv_cache_reserve(vt_kv_cache *cache, size_t count) {
    if (cache->length + count <= cache->capacity)
        return true;
    /* The next token sees itself and window - 1 rows before it. */
    if (!cache->window || count > cache->capacity)
        return false;
    size_t kept = cache->window - 1 < cache->length ? cache->window - 1 : cache->length;
    if (kept + count > cache->capacity)
        return false;
    size_t dropped = cache->length - kept, bytes = kept * cache->width * sizeof(float);
    for (size_t block = 0; block < cache->depth; block++) {
        float *k = vt_kv_cache_keys(cache, block), *v = vt_kv_cache_values(cache, block);
        memmove(k, k + dropped * cache->width, bytes);
        memmove(v, v + dropped * cache->width, bytes);
    }
    cache->length = kept;
    cache->position += dropped;
    return true;
}

void vt_kv_cache_advance(vt_kv_cache *cache, size_t count) {
    cache->length += count;
}
