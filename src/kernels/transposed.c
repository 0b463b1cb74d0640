/* SPDX-License-Identifier: MIT */
#include "kernels/transposed.h"

#include <string.h>

enum { MOST_COLUMNS = 64 }; /* of a panel */

bool vt_linear_can_transpose(const vt_packed *weight) {
    return !weight->backend && !weight->int8;
}

/* `count` elements of the panels, from element `at` on; in `wide` unless they are F32 already. */
static const float *widen(const vt_kernels *kernels, const vt_packed *weight, size_t at,
                          size_t count, float wide[MOST_COLUMNS]) {
    if (weight->storage == VT_STORE_F32)
        return (const float *)weight->panels + at;
    const uint16_t *narrow = (const uint16_t *)weight->panels + at;
    if (weight->storage == VT_STORE_F16)
        kernels->f16_to_f32(wide, narrow, count);
    else
        kernels->bf16_to_f32(wide, narrow, count);
    return wide;
}

void vt_linear_transposed(const vt_kernels *kernels, const vt_packed *weight, size_t first,
                          size_t count, float *y, const float *x) {
    size_t k = weight->k, nr = kernels->nr;
    float wide[MOST_COLUMNS];
    memset(y, 0, k * sizeof *y);
    for (size_t done = 0; done < count;) {
        size_t row = first + done, skip = row % nr;
        size_t cols = nr - skip < count - done ? nr - skip : count - done;
        for (size_t p = 0; p < k; p++) {
            size_t at = (row / nr * k + p) * nr + skip;
            y[p] += kernels->dot(x + done, widen(kernels, weight, at, cols, wide), cols);
        }
        done += cols;
    }
}
