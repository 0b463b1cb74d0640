/* SPDX-License-Identifier: MIT
 *
 * A progress bar on the last line of a terminal; nothing in a pipe.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include "terminal.h"

typedef struct progress {
    terminal screen;       /* of standard error */
    size_t total;          /* progress_unknown: how much there is shows at the end */
    const char *label;     /* what is in work, where `total` is no number to show; else NULL */
    bool bytes;            /* `total` counts bytes */
    size_t before;         /* done before it began: no part of the rate */
    double started, drawn; /* seconds */
    bool visible, enabled;
} progress;

extern const size_t progress_unknown;

/* Monotonic time in milliseconds. */
double clock_ms(void);

/* Few pictures need no bar, and `quiet` wants none. */
void progress_begin(progress *bar, size_t total, bool quiet);

/* A line of text in place of a bar, for work whose end is not known. */
void progress_begin_text(progress *bar, bool quiet);

/* Whether it is time to draw it again, ten times a second at most. */
bool progress_is_due(const progress *bar);

/* Draws the text, what is too long cut off. */
void progress_draw_text(progress *bar, const char *text);

/* Takes the bar away, so that something else can be printed where it stood. */
void progress_hide(progress *bar);

/* Draws the bar with `done` of the total behind it, or the number and the rate where no total is
 * known, at most ten times a second. */
void progress_show(progress *bar, size_t done);

#endif
