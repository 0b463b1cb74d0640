/* SPDX-License-Identifier: MIT
 *
 * What `stream` says of its frames: a JSON line each, a line in the terminal, and a summary.
 */
#ifndef CLI_STREAM_REPORT_H
#define CLI_STREAM_REPORT_H

#include "classifier.h"
#include "frame_feed.h"
#include "latency.h"
#include "progress.h"

typedef struct stream_report {
    const classifier *classifier;
    const char *subject; /* where the frames come from */
    double fps;          /* of the stream; 0: not known */
    progress screen;
    uint64_t num_classified, num_failed;
    double first_ms, last_ms; /* when the first frame arrived, and the last result was there */
    latency latency;
} stream_report;

/* What there is to say of a frame that was classified. */
typedef struct frame_result {
    const vt_prediction *predictions;
    size_t count;
    double taken_ms, done_ms; /* by clock_ms */
    double decode_ms, preprocess_ms, forward_ms;
    size_t input_height, input_width;
} frame_result;

void stream_report_begin(stream_report *r, const classifier *c, const char *subject, double fps,
                         bool quiet);
void stream_report_frame(stream_report *r, const feed_frame *frame, const frame_result *found);
void stream_report_failure(stream_report *r, const feed_frame *frame, const char *reason);

/* On standard error, when all is over. */
void stream_report_summary(const stream_report *r, const feed_outcome *outcome);

#endif
