/* SPDX-License-Identifier: MIT
 *
 * What `stream` prints, read back. Include support.h before.
 */
#ifndef TESTS_STREAM_LINES_H
#define TESTS_STREAM_LINES_H

#include "support.h"

enum { STREAM_TOP = 10 };

typedef struct stream_line {
    long frame, dropped;
    long pts_us; /* -1: null */
    long arrival_us;
    int width, height, input[2];
    vt_prediction best[STREAM_TOP];
    size_t count;
    char error[128]; /* "": a result */
} stream_line;

/* Reads a line, which may be followed by others. Fails the test unless it has the keys of a result,
 * or of a failure, and no others, and figures that can be. */
void read_stream_line(stream_line *out, const char *text);

/* All lines of a text, at most `most`; returns how many. */
size_t read_stream_lines(stream_line *out, size_t most, const char *text);

/* Fails unless the line has those predictions, as six digits tell them. */
void expect_predictions(const stream_line *line, const vt_prediction *best, size_t count);

#endif
