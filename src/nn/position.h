/* SPDX-License-Identifier: MIT
 *
 * Learned 2D position tables at any grid: resized once for each (height, width), then kept.
 */
#ifndef VT_NN_POSITION_H
#define VT_NN_POSITION_H

#include "vitrine.h"

typedef struct vt_pos_cache vt_pos_cache;

/* The table[num_prefix + grid_h * grid_w][width] as trained, borrowed until the cache is destroyed.
 * `rule` is not AUTO. */
typedef struct vt_pos_table {
    const float *table;
    size_t num_prefix; /* rows of prefix tokens, which are never resized */
    size_t grid_h, grid_w, width;
    vt_pos_resize rule;
} vt_pos_table;

vt_status vt_pos_cache_create(vt_pos_cache **out, const vt_pos_table *native, vt_error *err);
void vt_pos_cache_destroy(vt_pos_cache *cache);

/* *out = the table for another grid: prefix rows as they are, the grid resized by the rule. At the
 * native grid it is the native table. Valid until the cache is destroyed. Any thread. */
vt_status vt_pos_cache_get(vt_pos_cache *cache, const float **out, size_t grid_h, size_t grid_w,
                           vt_error *err);

#endif
