/* SPDX-License-Identifier: MIT */
#include "stream_report.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "diagnose.h"
#include "json.h"
#include "report.h"
#include "text.h"

void stream_report_begin(stream_report *r, const classifier *c, const char *subject, double fps,
                         bool quiet) {
    *r = (stream_report){.classifier = c, .subject = subject, .fps = fps};
    /* where the lines go to the terminal themselves, they are what shows how it goes on */
    progress_begin_text(&r->screen, quiet || isatty(STDOUT_FILENO));
}

/* ---- lines --------------------------------------------------------------------------------- */

static json_t *json_count(uint64_t count) {
    return json_integer((json_int_t)count);
}

/* Microseconds from the beginning of the stream; null where they are not known. */
static json_t *json_pts(const stream_report *r, uint64_t number) {
    double us = r->fps > 0 ? 1e6 * (double)number / r->fps : INFINITY;
    return us < 9e15 ? json_integer(llround(us)) : json_null();
}

/* A line's beginning, the same for results and failures. */
static json_t *begin_line(const stream_report *r, const feed_frame *frame) {
    json_t *line = json_object();
    json_object_set_new(line, "frame", json_count(frame->number));
    json_object_set_new(line, "pts_us", json_pts(r, frame->number));
    json_object_set_new(line, "arrival_us", json_integer(frame->arrived_us));
    return line;
}

static void end_line(json_t *line, const feed_frame *frame) {
    json_object_set_new(line, "dropped", json_count(frame->dropped));
    json_print(line);
}

static json_t *json_stages(const feed_frame *frame, const frame_result *found) {
    json_t *ms = json_object();
    json_object_set_new(ms, "wait", json_number(found->taken_ms - frame->arrived_ms));
    json_object_set_new(ms, "decode", json_number(found->decode_ms));
    json_object_set_new(ms, "preprocess", json_number(found->preprocess_ms));
    json_object_set_new(ms, "forward", json_number(found->forward_ms));
    return ms;
}

static void count_frame(stream_report *r, const feed_frame *frame, double done_ms) {
    if (!r->num_classified && !r->num_failed)
        r->first_ms = frame->arrived_ms;
    r->last_ms = done_ms;
}

/* Frames classified in a second. */
static double rate(const stream_report *r) {
    return r->last_ms > r->first_ms ? (double)r->num_classified / (r->last_ms - r->first_ms) * 1e3
                                    : 0;
}

/* Of a number for people, in three digits or more: "0.25", "12.3", "4567". */
static int decimals(double number) {
    return number >= 99.95 ? 0 : number >= 9.995 ? 1 : 2;
}

static void show_frame(stream_report *r, const feed_frame *frame, const frame_result *found) {
    const vt_prediction *best = found->count ? found->predictions : NULL;
    if (!progress_is_due(&r->screen))
        return;
    double per_second = rate(r), latency_ms = found->done_ms - frame->arrived_ms;
    char *text = text_format("%" PRIu64 " frames, %.*f/s, %" PRIu64 " dropped, %.*f ms: %s %.0f%%",
                             frame->number + 1, decimals(per_second), per_second, frame->dropped,
                             decimals(latency_ms), latency_ms,
                             best ? classifier_label(r->classifier, best->index) : "",
                             best ? 100 * (double)best->score : 0);
    progress_draw_text(&r->screen, text);
    free(text);
}

void stream_report_frame(stream_report *r, const feed_frame *frame, const frame_result *found) {
    count_frame(r, frame, found->done_ms);
    r->num_classified++;
    double latency_ms = found->done_ms - frame->arrived_ms;
    latency_add(&r->latency, latency_ms);
    json_t *line = begin_line(r, frame);
    json_object_set_new(line, "width", json_count(frame->data.width));
    json_object_set_new(line, "height", json_count(frame->data.height));
    json_object_set_new(line, "input",
                        json_sizes((size_t[]){found->input_height, found->input_width}, 2));
    json_object_set_new(
        line, "predictions",
        report_predictions(found->predictions, found->count, classifier_label, r->classifier));
    json_object_set_new(line, "latency_ms", json_number(latency_ms));
    json_object_set_new(line, "ms", json_stages(frame, found));
    end_line(line, frame);
    show_frame(r, frame, found);
}

void stream_report_failure(stream_report *r, const feed_frame *frame, const char *reason) {
    count_frame(r, frame, clock_ms());
    r->num_failed++;
    char *message = text_format("frame %" PRIu64 ": %s", frame->number, reason);
    progress_hide(&r->screen);
    output_flush(); /* so that lines keep their order when both streams end in one place */
    complain(r->subject, message);
    free(message);
    json_t *line = begin_line(r, frame);
    json_object_set_new(line, "error", json_text(reason));
    end_line(line, frame);
}

/* ---- summary ------------------------------------------------------------------------------- */

void stream_report_summary(const stream_report *r, const feed_outcome *outcome) {
    char figures[128] = "";
    double per_second = rate(r), p50 = latency_percentile(&r->latency, 50),
           p95 = latency_percentile(&r->latency, 95), p99 = latency_percentile(&r->latency, 99);
    if (r->num_classified)
        snprintf(figures, sizeof figures, " (%.*f/s); latency p50 %.*f, p95 %.*f, p99 %.*f ms",
                 decimals(per_second), per_second, decimals(p50), p50, decimals(p95), p95,
                 decimals(p99), p99);
    note("%" PRIu64 " frames: %" PRIu64 " dropped, %" PRIu64 " failed, %" PRIu64 " classified%s",
         outcome->num_read, outcome->num_dropped, r->num_failed, r->num_classified, figures);
}
