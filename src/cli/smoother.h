/* SPDX-License-Identifier: MIT
 *
 * An exponential moving average of scores over frames: average = factor * scores + (1 - factor) *
 * average, the first frame's scores being the first average.
 */
#ifndef CLI_SMOOTHER_H
#define CLI_SMOOTHER_H

#include <stdbool.h>
#include <stddef.h>

typedef struct smoother {
    double factor;   /* above 0, 1 at most */
    double *average; /* [count] */
    size_t count;
    bool begun;
} smoother;

void smoother_begin(smoother *s, double factor, size_t count);

/* Takes one frame's scores[count] into the average. */
void smoother_add(smoother *s, const double *scores);
void smoother_free(smoother *s);

#endif
