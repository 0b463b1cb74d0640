/* SPDX-License-Identifier: MIT */
#include "nn/bias.h"

#include <math.h>

/* ---- ALiBi -------------------------------------------------------------------------------------
 */

static size_t power_of_two_up_to(size_t n) {
    size_t power = 1;
    while (power * 2 <= n)
        power *= 2;
    return power;
}

static float slope(size_t i, size_t n, double max_bias) {
    return (float)exp2(-max_bias * (double)(i + 1) / (double)n);
}

/* The same as powers of the first slope, which BLOOM rounds to F32 before it takes them. */
static float slope_as_power(size_t i, size_t n, double max_bias) {
    float first = (float)exp2(-max_bias / (double)n);
    return (float)pow((double)first, (double)(i + 1));
}

void vt_alibi_slopes(float *slopes, size_t num_heads, vt_alibi_order order, double max_bias) {
    size_t below = power_of_two_up_to(num_heads);
    for (size_t i = 0; i < num_heads; i++) {
        size_t at = i < below ? i : 2 * (i - below), n = i < below ? below : 2 * below;
        slopes[i] =
            order == VT_ALIBI_BLOOM ? slope_as_power(at, n, max_bias) : slope(at, n, max_bias);
    }
}

static void alibi_add(const vt_attention_bias *self, float *scores, size_t head, size_t query,
                      size_t key, size_t count) {
    float m = ((const vt_alibi *)self)->slopes[head];
    for (size_t j = 0; j < count; j++) {
        size_t at = key + j;
        scores[j] -= m * (float)(at > query ? at - query : query - at);
    }
}

vt_alibi vt_alibi_make(const float *slopes) {
    return (vt_alibi){.base = {alibi_add}, .slopes = slopes};
}

/* ---- T5 ----------------------------------------------------------------------------------------
 */

size_t vt_t5_bucket(long long relative_position, bool bidirectional, size_t num_buckets,
                    size_t max_distance) {
    size_t bucket = 0, distance;
    if (bidirectional) {
        num_buckets /= 2;
        if (relative_position > 0)
            bucket = num_buckets;
        distance = (size_t)(relative_position < 0 ? -relative_position : relative_position);
    } else {
        distance = relative_position < 0 ? (size_t)-relative_position : 0;
    }
    size_t exact = num_buckets / 2;
    if (distance < exact)
        return bucket + distance;
    /* In F32, as the reference: a bucket's edge falls where its rounding puts it. */
    float steps = logf((float)distance / (float)exact) /
                  (float)log((double)max_distance / (double)exact) * (float)(num_buckets - exact);
    size_t large = exact + (size_t)steps;
    return bucket + (large < num_buckets ? large : num_buckets - 1);
}

/* vt_t5_bucket(key - query), looked up. */
static size_t t5_lookup(const vt_t5_bias *bias, size_t query, size_t key) {
    bool later = key > query;
    size_t distance = later ? key - query : query - key;
    if (later && !bias->bidirectional)
        return 0;
    size_t bucket = bias->buckets[distance < bias->max_distance ? distance : bias->max_distance];
    return later ? bucket + bias->num_buckets / 2 : bucket;
}

static void t5_add(const vt_attention_bias *self, float *scores, size_t head, size_t query,
                   size_t key, size_t count) {
    const vt_t5_bias *bias = (const vt_t5_bias *)self;
    for (size_t j = 0; j < count; j++)
        scores[j] += bias->table[t5_lookup(bias, query, key + j) * bias->num_heads + head];
}

vt_t5_bias vt_t5_bias_make(const float *table, uint16_t *buckets, size_t num_heads,
                           size_t num_buckets, size_t max_distance, bool bidirectional) {
    for (size_t distance = 0; distance <= max_distance; distance++)
        buckets[distance] =
            (uint16_t)vt_t5_bucket(-(long long)distance, bidirectional, num_buckets, max_distance);
    return (vt_t5_bias){{t5_add},    table,        buckets,      num_heads,
                        num_buckets, max_distance, bidirectional};
}

/* ---- BEiT --------------------------------------------------------------------------------------
 */

/* The table's row for a pair of tokens; token 0 is the class token. */
static size_t grid_row(const vt_grid_bias *bias, size_t query, size_t key) {
    size_t h = bias->grid_h, w = bias->grid_w, offsets = (2 * h - 1) * (2 * w - 1);
    if (query == 0)
        return key == 0 ? offsets + 2 : offsets;
    if (key == 0)
        return offsets + 1;
    size_t qy = (query - 1) / w, qx = (query - 1) % w, ky = (key - 1) / w, kx = (key - 1) % w;
    return (qy + h - 1 - ky) * (2 * w - 1) + (qx + w - 1 - kx);
}

static void grid_add(const vt_attention_bias *self, float *scores, size_t head, size_t query,
                     size_t key, size_t count) {
    const vt_grid_bias *bias = (const vt_grid_bias *)self;
    for (size_t j = 0; j < count; j++)
        scores[j] += bias->table[grid_row(bias, query, key + j) * bias->num_heads + head];
}

vt_grid_bias vt_grid_bias_make(const float *table, size_t num_heads, size_t grid_h, size_t grid_w) {
    return (vt_grid_bias){{grid_add}, table, num_heads, grid_h, grid_w};
}
