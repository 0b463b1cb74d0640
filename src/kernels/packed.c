/* SPDX-License-Identifier: MIT */
#include "kernels/packed.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "kernels/backend.h"

enum { STRIP = 16 }; /* of k */

static size_t min_size(size_t a, size_t b) {
    return a < b ? a : b;
}

static size_t ceil_div(size_t a, size_t b) {
    return a / b + (a % b != 0);
}

static size_t panel_width(const vt_packed *packed, const vt_kernels *kernels) {
    return packed->int8 ? packed->int8->nr : kernels->nr;
}

/* ---- sizes --------------------------------------------------------------------------------- */

/* Columns and bytes of the panels, and bytes of all. */
static bool measure(const vt_kernels *kernels, vt_storage storage, size_t n, size_t k,
                    size_t *columns, size_t *panels, size_t *bytes) {
    static const size_t element[] = {
        [VT_STORE_F32] = 4, [VT_STORE_F16] = 2, [VT_STORE_BF16] = 2, [VT_STORE_INT8] = 1};
    bool int8 = storage == VT_STORE_INT8;
    size_t nr = int8 ? vt_int8_kernels_for(kernels)->nr : kernels->nr;
    size_t depth = k, constants = 0;
    if (int8 &&
        (k > VT_INT8_MAX_K || !vt_mul_size(ceil_div(k, VT_INT8_GROUP), VT_INT8_GROUP, &depth)))
        return false;
    if (!vt_mul_size(ceil_div(n, nr), nr, columns) || !vt_mul_size(*columns, depth, panels) ||
        !vt_mul_size(*panels, element[storage], panels) ||
        !vt_mul_size(*columns, int8 ? sizeof(float) + sizeof(int32_t) : 0, &constants))
        return false;
    /* Whole cache lines, so that one after another in a file they all begin at one. */
    if (!vt_add_size(*panels, constants, bytes) || !vt_add_size(*bytes, VT_ALIGNMENT - 1, bytes))
        return false;
    *bytes -= *bytes % VT_ALIGNMENT;
    return true;
}

bool vt_packed_size(const vt_kernels *kernels, vt_storage storage, size_t n, size_t k,
                    size_t *bytes) {
    size_t columns, panels;
    return measure(kernels, storage, n, k, &columns, &panels, bytes);
}

void vt_packed_place(vt_packed *out, const vt_kernels *kernels, vt_storage storage, size_t n,
                     size_t k, void *memory) {
    size_t columns = 0, panels = 0, bytes = 0;
    *out = (vt_packed){.n = n, .k = k, .storage = storage, .panels = memory};
    measure(kernels, storage, n, k, &columns, &panels, &bytes);
    out->bytes = bytes;
    if (storage != VT_STORE_INT8 || !memory)
        return;
    out->int8 = vt_int8_kernels_for(kernels);
    out->scales = (float *)((unsigned char *)memory + panels);
    out->sums = (int32_t *)(out->scales + columns);
}

/* Zeroes what no row of W fills. */
static void clear_padding(vt_packed *packed, const vt_kernels *kernels) {
    size_t nr = panel_width(packed, kernels), whole = packed->n / nr * nr, all = 0, panels = 0,
           bytes = 0;
    if (!measure(kernels, packed->storage, packed->n, packed->k, &all, &panels, &bytes) || !all)
        return;
    /* The last panel, or each one's last group where that is not full. */
    size_t kept = packed->int8 && packed->k % VT_INT8_GROUP ? 0 : panels / all * whole;
    memset((unsigned char *)packed->panels + kept, 0, panels - kept);
    for (size_t i = whole; packed->int8 && i < all; i++) {
        packed->scales[i] = 0;
        packed->sums[i] = 0;
    }
}

vt_status vt_packed_create(vt_packed *out, const vt_kernels *kernels, vt_storage storage, size_t n,
                           size_t k, vt_error *err) {
    size_t bytes;
    *out = (vt_packed){0};
    if (!vt_packed_size(kernels, storage, n, k, &bytes))
        return vt_fail(err, VT_ERR_LIMIT, "a weight of %zu x %zu is too large", n, k);
    void *memory = vt_malloc(bytes, 1);
    if (!memory)
        return vt_fail_memory(err, "a weight", bytes);
    vt_prefer_huge_pages(memory, bytes);
    vt_packed_place(out, kernels, storage, n, k, memory);
    clear_padding(out, kernels);
    return VT_OK;
}

void vt_packed_free(vt_packed *packed) {
    if (packed->backend)
        packed->backend->destroy(packed->state);
    vt_free(packed->panels);
    *packed = (vt_packed){0};
}

/* ---- F32 ----------------------------------------------------------------------------------- */

void vt_pack_panels(float *panels, const float *b, size_t ldb, size_t k, size_t n, size_t nr) {
    for (size_t col = 0; col < n; col += nr) {
        size_t cols = min_size(nr, n - col);
        for (size_t p = 0; p < k; p++, panels += nr) {
            memcpy(panels, b + p * ldb + col, cols * sizeof *b);
            memset(panels + cols, 0, (nr - cols) * sizeof *b);
        }
    }
}

void vt_pack_panels_transposed(const vt_kernels *kernels, float *panels, const float *bt,
                               size_t ldb, size_t k, size_t n) {
    size_t nr = kernels->nr;
    for (size_t col = 0; col < n; col += nr, panels += k * nr) {
        size_t cols = min_size(nr, n - col);
        if (cols < nr)
            memset(panels, 0, k * nr * sizeof *panels);
        kernels->transpose(panels, nr, bt + col * ldb, ldb, cols, k);
    }
}

/* ---- narrower storage ---------------------------------------------------------------------- */

typedef void (*narrow_fn)(uint16_t *out, const float *in, size_t n);

/* panel[p][j] = narrow(bt[j][p]) for j < cols */
static void transpose_into_halves(uint16_t *panel, size_t nr, const float *bt, size_t ldb, size_t k,
                                  size_t cols, narrow_fn narrow) {
    for (size_t start = 0; start < k; start += STRIP) {
        size_t count = min_size(STRIP, k - start);
        for (size_t j = 0; j < cols; j++) {
            uint16_t strip[STRIP];
            narrow(strip, bt + j * ldb + start, count);
            for (size_t p = 0; p < count; p++)
                panel[(start + p) * nr + j] = strip[p];
        }
    }
}

/* The largest sum of weights of one sign among four that are added in 16 bits (int8.h). */
static float largest_sum(const float *w, size_t k) {
    float largest = 0;
    for (size_t start = 0; start < k; start += 2 * VT_INT8_GROUP) {
        float sums[4] = {0}; /* of the first four, positive and negative, and of the others */
        for (size_t p = start; p < min_size(start + 2 * VT_INT8_GROUP, k); p++)
            sums[(p & 2) + (w[p] < 0)] += fabsf(w[p]);
        for (size_t i = 0; i < 4; i++)
            largest = fmaxf(largest, sums[i]);
    }
    return largest;
}

/* What an integer of a row of weights stands for. */
static float choose_scale(const vt_int8_kernels *int8, const float *w, size_t k) {
    float largest = 0;
    for (size_t p = 0; p < k; p++)
        largest = fmaxf(largest, fabsf(w[p]));
    float scale = largest / (float)int8->weight_max;
    /* Rounding adds a half to each of four at most. */
    return int8->sum_max ? fmaxf(scale, largest_sum(w, k) / (float)(int8->sum_max - 2)) : scale;
}

void vt_round_weights(int8_t *v, size_t stride, float *scale, int32_t *sum,
                      const vt_int8_kernels *int8, const float *w, size_t k) {
    *scale = choose_scale(int8, w, k);
    float inverse = *scale > 0 ? 1 / *scale : 0;
    *sum = 0;
    for (size_t p = 0; p < k; p++) {
        int value = (int)rintf(w[p] * inverse);
        v[p / VT_INT8_GROUP * stride + p % VT_INT8_GROUP] = (int8_t)value;
        *sum += value;
    }
}

/* A column of a panel [k / 4][nr][4]. */
static void pack_int8_column(vt_packed *out, size_t column, const float *w) {
    size_t nr = out->int8->nr, groups = ceil_div(out->k, VT_INT8_GROUP);
    int8_t *panel = (int8_t *)out->panels + column / nr * groups * nr * VT_INT8_GROUP +
                    column % nr * VT_INT8_GROUP;
    vt_round_weights(panel, nr * VT_INT8_GROUP, &out->scales[column], &out->sums[column], out->int8,
                     w, out->k);
}

/* Rows that share a panel. */
static void pack_into_panel(const vt_kernels *kernels, vt_packed *out, size_t row,
                            const float *weight, size_t rows) {
    size_t nr = panel_width(out, kernels), k = out->k;
    size_t at = row / nr * nr * k + row % nr; /* of F32 and of halves */
    switch (out->storage) {
    case VT_STORE_F32:
        kernels->transpose((float *)out->panels + at, nr, weight, k, rows, k);
        break;
    case VT_STORE_F16:
        transpose_into_halves((uint16_t *)out->panels + at, nr, weight, k, k, rows,
                              kernels->f32_to_f16);
        break;
    case VT_STORE_BF16:
        transpose_into_halves((uint16_t *)out->panels + at, nr, weight, k, k, rows,
                              kernels->f32_to_bf16);
        break;
    case VT_STORE_INT8:
        for (size_t r = 0; r < rows; r++)
            pack_int8_column(out, row + r, weight + r * k);
        break;
    }
}

void vt_pack_rows(const vt_kernels *kernels, vt_packed *out, size_t row, const float *weight,
                  size_t rows) {
    if (out->backend) {
        out->backend->pack_rows(kernels, out, row, weight, rows);
        return;
    }
    size_t nr = panel_width(out, kernels);
    for (size_t done = 0; done < rows;) {
        size_t count = min_size(nr - (row + done) % nr, rows - done);
        pack_into_panel(kernels, out, row + done, weight + done * out->k, count);
        done += count;
    }
}
