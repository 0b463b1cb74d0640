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

/* Into the `count` best so far, of at most `most`. */
static size_t insert(vt_prediction *best, size_t count, size_t most, vt_prediction candidate) {
    if (count == most && !(candidate.score > best[most - 1].score))
        return count;
    size_t at = count < most ? count : most - 1;
    for (; at > 0 && candidate.score > best[at - 1].score; at--)
        best[at] = best[at - 1];
    best[at] = candidate;
    return count < most ? count + 1 : most;
}

size_t predictions_best(vt_prediction *out, size_t most, const double *scores, size_t count) {
    size_t found = 0;
    for (size_t i = 0; most && i < count; i++)
        found = insert(out, found, most, (vt_prediction){i, (float)scores[i]});
    return found;
}
