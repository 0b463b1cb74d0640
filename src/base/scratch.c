/* SPDX-License-Identifier: MIT */
#include "base/scratch.h"

bool vt_scratch_reserve(vt_scratch *scratch, size_t bytes) {
    if (bytes <= scratch->bytes)
        return true;
    vt_scratch_free(scratch);
    scratch->data = vt_malloc(bytes, 1);
    scratch->bytes = scratch->data ? bytes : 0;
    return scratch->data;
}

void vt_scratch_free(vt_scratch *scratch) {
    vt_free(scratch->data);
    *scratch = (vt_scratch){0};
}
