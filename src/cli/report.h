/* SPDX-License-Identifier: MIT
 *
 * Results of `classify` on standard output: for people, as JSON lines, as CSV.
 */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include <jansson.h>
#include <vitrine.h>

#include "loader.h"
#include "terminal.h"

typedef struct result {
    const picture *picture;
    const vt_prediction *predictions;
    size_t count;
} result;

/* The name of a class. */
typedef const char *(*report_label_fn)(const void *labels, size_t index);

typedef struct report {
    const struct report_format *format;
    report_label_fn label;
    const void *labels; /* what `label` is called with */
    terminal screen;    /* of standard output */
    size_t num_written;
} report;

/* The member of a JSON line that says it is a result. */
extern const char report_key[];

/* The names that --format accepts, NULL past the last. */
const char *report_format_name(size_t index);
bool report_is_json(unsigned format);

void report_begin(report *r, unsigned format, report_label_fn label, const void *labels);
void report_result(report *r, const result *found);
void report_failure(report *r, const char *path, const char *message);

/* The value of "predictions" in JSON. */
json_t *report_predictions(const vt_prediction *predictions, size_t count, report_label_fn label,
                           const void *labels);

#endif
