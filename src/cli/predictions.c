/* SPDX-License-Identifier: MIT */
#include "predictions.h"

#include <stdlib.h>

static int compare(const void *a, const void *b) {
    const vt_prediction *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

void predictions_sort(vt_prediction *predictions, size_t count) {
    qsort(predictions, count, sizeof *predictions, compare);
}
