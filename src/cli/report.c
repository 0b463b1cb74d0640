/* SPDX-License-Identifier: MIT */
#include "report.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "text.h"

const char report_key[] = "predictions";

struct report_format {
    const char *name;
    void (*begin)(void); /* may be NULL */
    void (*result)(const report *, const result *);
    void (*failure)(const char *path, const char *message); /* may be NULL */
};

/* ---- text --------------------------------------------------------------------------------------
 */

static void text_heading(const report *r, const result *found) {
    const picture *p = found->picture;
    char *path = text_clean(p->path, TEXT_ONE_LINE);
    const char *bold = r->screen.colour ? "\033[1m" : "",
               *plain = r->screen.colour ? "\033[0m" : "";
    printf("%s%s%s%s  %zux%zu\n", r->num_written ? "\n" : "", bold, path, plain, p->width,
           p->height);
    free(path);
}

/* The bar stands before the label, so that no label's width has to be guessed. */
static void text_result(const report *r, const result *found) {
    enum { CELLS = 20 };
    text_heading(r, found);
    for (size_t i = 0; i < found->count; i++) {
        const vt_prediction *p = &found->predictions[i];
        char bar[3 * CELLS + 1] = "";
        char *label = text_clean(r->label(r->labels, p->index), TEXT_ONE_LINE);
        if (r->screen.utf8)
            terminal_bar(bar, CELLS, p->score, true, " ");
        printf("  %5.1f%%  %s%s%s\n", 100.0 * p->score, bar, *bar ? "  " : "", label);
        free(label);
    }
}

/* ---- JSON --------------------------------------------------------------------------------------
 */

json_t *report_predictions(const vt_prediction *predictions, size_t count, report_label_fn label,
                           const void *labels) {
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        const vt_prediction *p = &predictions[i];
        json_t *entry = json_object();
        json_object_set_new(entry, "index", json_integer((json_int_t)p->index));
        json_object_set_new(entry, "label", json_text(label(labels, p->index)));
        json_object_set_new(entry, "score", json_number(p->score));
        json_array_append_new(list, entry);
    }
    return list;
}

static void json_result(const report *r, const result *found) {
    const picture *p = found->picture;
    json_t *line = json_object(), *ms = json_object();
    json_set_path(line, p->path);
    json_object_set_new(line, "width", json_integer((json_int_t)p->width));
    json_object_set_new(line, "height", json_integer((json_int_t)p->height));
    json_object_set_new(line, "input", json_sizes((size_t[]){p->input_height, p->input_width}, 2));
    json_object_set_new(line, report_key,
                        report_predictions(found->predictions, found->count, r->label, r->labels));
    json_object_set_new(ms, "decode", json_number(p->decode_ms));
    json_object_set_new(ms, "preprocess", json_number(p->preprocess_ms));
    json_object_set_new(ms, "forward", json_number(p->forward_ms));
    json_object_set_new(line, "ms", ms);
    json_print(line);
}

/* ---- CSV ---------------------------------------------------------------------------------------
 */

static void csv_begin(void) {
    puts("image,width,height,rank,index,label,score");
}

static void csv_result(const report *r, const result *found) {
    const picture *of = found->picture;
    for (size_t i = 0; i < found->count; i++) {
        const vt_prediction *p = &found->predictions[i];
        text_csv_field(of->path);
        printf(",%zu,%zu,%zu,%zu,", of->width, of->height, i + 1, p->index);
        text_csv_field(r->label(r->labels, p->index));
        printf(",%.6g\n", (double)p->score);
    }
}

/* ------------------------------------------------------------------------------------------------
 */

static const struct report_format formats[] = {
    {"text", NULL, text_result, NULL},
    {"json", NULL, json_result, json_print_failure},
    {"csv", csv_begin, csv_result, NULL},
};

const char *report_format_name(size_t index) {
    return index < sizeof formats / sizeof *formats ? formats[index].name : NULL;
}

bool report_is_json(unsigned format) {
    return formats[format].result == json_result;
}

void report_begin(report *r, unsigned format, report_label_fn label, const void *labels) {
    *r = (report){.format = &formats[format],
                  .label = label,
                  .labels = labels,
                  .screen = terminal_of(stdout)};
    if (r->format->begin)
        r->format->begin();
}

void report_result(report *r, const result *found) {
    r->format->result(r, found);
    r->num_written++;
}

void report_failure(report *r, const char *path, const char *message) {
    if (r->format->failure)
        r->format->failure(path, message);
}
