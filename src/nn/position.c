/* SPDX-License-Identifier: MIT */
#include "nn/position.h"

#include <pthread.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "nn/interpolate.h"

typedef struct resized_table {
    struct resized_table *next;
    size_t grid_h, grid_w;
    float *table;
} resized_table;

struct vt_pos_cache {
    vt_pos_table native;
    pthread_mutex_t lock; /* guards the list, whose elements never change */
    resized_table *tables;
};

vt_status vt_pos_cache_create(vt_pos_cache **out, const vt_pos_table *native, vt_error *err) {
    *out = vt_calloc(1, sizeof **out);
    if (!*out)
        return vt_fail_memory(err, "a position cache", sizeof **out);
    (*out)->native = *native;
    pthread_mutex_init(&(*out)->lock, NULL);
    return VT_OK;
}

void vt_pos_cache_destroy(vt_pos_cache *cache) {
    if (!cache)
        return;
    for (resized_table *entry = cache->tables; entry;) {
        resized_table *next = entry->next;
        vt_free(entry->table);
        vt_free(entry);
        entry = next;
    }
    pthread_mutex_destroy(&cache->lock);
    vt_free(cache);
}

static const resized_table *find(const vt_pos_cache *cache, size_t grid_h, size_t grid_w) {
    const resized_table *entry = cache->tables;
    while (entry && (entry->grid_h != grid_h || entry->grid_w != grid_w))
        entry = entry->next;
    return entry;
}

static vt_status fill(float *table, const vt_pos_table *native, size_t grid_h, size_t grid_w,
                      vt_error *err) {
    size_t prefix = native->num_prefix * native->width;
    memcpy(table, native->table, prefix * sizeof *table);
    return vt_interpolate(table + prefix, native->table + prefix, native->grid_h, native->grid_w,
                          grid_h, grid_w, native->width, native->rule, err);
}

static vt_status add(vt_pos_cache *cache, size_t grid_h, size_t grid_w, vt_error *err) {
    const vt_pos_table *native = &cache->native;
    size_t rows, floats;
    if (!vt_mul_size(grid_h, grid_w, &rows) || !vt_add_size(rows, native->num_prefix, &rows) ||
        !vt_mul_size(rows, native->width, &floats))
        return vt_fail(err, VT_ERR_LIMIT, "a grid of %zu x %zu patches is too large", grid_h,
                       grid_w);
    resized_table *entry = vt_calloc(1, sizeof *entry);
    float *table = vt_malloc(floats, sizeof *table);
    vt_status status = entry && table
                           ? fill(table, native, grid_h, grid_w, err)
                           : vt_fail_memory(err, "a position table", floats * sizeof *table);
    if (status) {
        vt_free(table);
        vt_free(entry);
        return status;
    }
    *entry = (resized_table){cache->tables, grid_h, grid_w, table};
    cache->tables = entry;
    return VT_OK;
}

vt_status vt_pos_cache_get(vt_pos_cache *cache, const float **out, size_t grid_h, size_t grid_w,
                           vt_error *err) {
    vt_status status = VT_OK;
    if (grid_h == cache->native.grid_h && grid_w == cache->native.grid_w) {
        *out = cache->native.table;
        return VT_OK;
    }
    pthread_mutex_lock(&cache->lock);
    if (!find(cache, grid_h, grid_w))
        status = add(cache, grid_h, grid_w, err);
    if (!status)
        *out = find(cache, grid_h, grid_w)->table;
    pthread_mutex_unlock(&cache->lock);
    return status;
}
