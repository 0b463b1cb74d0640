/* SPDX-License-Identifier: MIT */
#include "stream_lines.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void read_predictions(stream_line *out, const json_t *predictions) {
    out->count = json_array_size(predictions);
    assert_in_range(out->count, 1, STREAM_TOP);
    for (size_t i = 0; i < out->count; i++) {
        int index;
        const char *label;
        double score;
        assert_int_equal(json_unpack(json_array_get(predictions, i), "{s:i, s:s, s:F!}", "index",
                                     &index, "label", &label, "score", &score),
                         0);
        assert_true(*label);
        out->best[i] = (vt_prediction){(size_t)index, (float)score};
    }
}

/* Stages, of which the last three take time, and the latency, which they are a part of. */
static void check_times(const json_t *line) {
    json_error_t error;
    double wait, decode, preprocess, forward, latency;
    if (json_unpack_ex((json_t *)line, &error, 0, "{s:F, s:{s:F, s:F, s:F, s:F!}}", "latency_ms",
                       &latency, "ms", "wait", &wait, "decode", &decode, "preprocess", &preprocess,
                       "forward", &forward))
        fail_msg("%s", error.text);
    assert_true(wait >= 0 && decode >= 0 && preprocess > 0 && forward > 0);
    assert_true(latency >= (wait + decode + preprocess + forward) * 0.9999);
}

static void read_result(stream_line *out, json_t *line) {
    json_error_t error;
    json_t *pts, *arrival, *predictions, *latency, *ms;
    if (json_unpack_ex(
            line, &error, JSON_STRICT, "{s:i, s:o, s:o, s:i, s:i, s:[i,i!], s:o, s:o, s:o, s:i!}",
            "frame", &(int){0}, "pts_us", &pts, "arrival_us", &arrival, "width", &out->width,
            "height", &out->height, "input", &out->input[0], &out->input[1], "predictions",
            &predictions, "latency_ms", &latency, "ms", &ms, "dropped", &(int){0}))
        fail_msg("%s", error.text);
    read_predictions(out, predictions);
    check_times(line);
}

static void read_failure(stream_line *out, json_t *line) {
    json_error_t error;
    json_t *pts, *arrival;
    const char *reason;
    if (json_unpack_ex(line, &error, JSON_STRICT, "{s:i, s:o, s:o, s:s, s:i!}", "frame", &(int){0},
                       "pts_us", &pts, "arrival_us", &arrival, "error", &reason, "dropped",
                       &(int){0}))
        fail_msg("%s", error.text);
    snprintf(out->error, sizeof out->error, "%s", reason);
}

static long integer(const json_t *line, const char *key) {
    const json_t *value = json_object_get(line, key);
    assert_true(json_is_integer(value) && json_integer_value(value) >= 0);
    return (long)json_integer_value(value);
}

void read_stream_line(stream_line *out, const char *text) {
    json_error_t error;
    json_t *line = json_loads(text, JSON_DISABLE_EOF_CHECK, &error);
    if (!line)
        fail_msg("not JSON: %s: %.200s", error.text, text);
    *out = (stream_line){.frame = integer(line, "frame"), .dropped = integer(line, "dropped")};
    out->pts_us = json_is_null(json_object_get(line, "pts_us")) ? -1 : integer(line, "pts_us");
    out->arrival_us = integer(line, "arrival_us");
    assert_true(out->arrival_us > 1600000000000000);
    if (json_object_get(line, "error"))
        read_failure(out, line);
    else
        read_result(out, line);
    json_decref(line);
}

size_t read_stream_lines(stream_line *out, size_t most, const char *text) {
    size_t count = 0;
    for (; *text; text = strchr(text, '\n') + 1) {
        assert_non_null(strchr(text, '\n'));
        assert_true(count < most);
        read_stream_line(&out[count++], text);
    }
    return count;
}

void expect_predictions(const stream_line *line, const vt_prediction *best, size_t count) {
    if (line->error[0])
        fail_msg("frame %ld: %s", line->frame, line->error);
    assert_int_equal(line->count, count);
    for (size_t i = 0; i < count; i++) {
        double expected = (double)best[i].score, found = (double)line->best[i].score;
        if (line->best[i].index != best[i].index || fabs(found - expected) > 1e-5 * expected)
            fail_msg("frame %ld, %zu: class %zu with %g, not %zu with %g", line->frame, i,
                     line->best[i].index, found, best[i].index, expected);
    }
}
