/* SPDX-License-Identifier: MIT */
#include "smoother.h"

#include <stdlib.h>

#include "diagnose.h"

void smoother_begin(smoother *s, double factor, size_t count) {
    *s = (smoother){.factor = factor, .count = count};
    s->average = allocate(count, sizeof *s->average);
}

void smoother_add(smoother *s, const double *scores) {
    double factor = s->begun ? s->factor : 1;
    for (size_t i = 0; i < s->count; i++)
        s->average[i] = factor * scores[i] + (1 - factor) * s->average[i];
    s->begun = true;
}

void smoother_free(smoother *s) {
    free(s->average);
}
