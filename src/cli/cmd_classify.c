/* SPDX-License-Identifier: MIT
 *
 * vitrine classify: names what is in pictures.
 */
#include <stdlib.h>

#include "command.h"
#include "head.h"
#include "model.h"
#include "pictures.h"
#include "report.h"

typedef struct work {
    const settings *settings;
    const vt_model *model;
    const head *head; /* NULL: the model's own classifier */
    vt_session *session;
    report report;
    size_t num_classes;
    vt_prediction *best; /* [top] */
} work;

/* Of picture `row` of the last pass. */
static size_t predict(const work *w, size_t row) {
    size_t top = w->settings->top;
    if (w->head)
        return head_predict(w->head, vt_session_pooled(w->session) + row * w->head->width, w->best,
                            top);
    return vt_model_top_k(w->model, vt_session_logits(w->session) + row * w->num_classes, w->best,
                          top);
}

static void on_picture(void *user, const picture *p, size_t row) {
    work *w = user;
    result found = {.picture = p, .predictions = w->best};
    found.count = predict(w, row);
    report_result(&w->report, &found);
}

static void on_failure(void *user, const char *path, const char *reason) {
    report_failure(&((work *)user)->report, path, reason);
}

static const picture_sink sink = {
    .found = on_picture, .failed = on_failure, .is_printed = true, .result_key = report_key};

static const char *model_label(const void *model, size_t index) {
    return vt_model_label(model, index);
}

static int check_head(const settings *s, const head *h, const vt_model *model,
                      size_t *num_classes) {
    *num_classes = h->num_classes;
    return head_check(h, s->head, model);
}

static int check_classifier(const vt_model *model, size_t *num_classes) {
    vt_model_info info;
    vt_model_describe(&info, model);
    *num_classes = info.num_classes;
    if (info.num_classes)
        return EXIT_DONE;
    complain(info.path, "expected a model with a classifier; this one only has features: "
                        "'vitrine fit' makes one of your own classes, for --head");
    return EXIT_MODEL;
}

static int classify_pictures(work *w, const settings *s) {
    w->best = allocate(s->top < w->num_classes ? s->top : w->num_classes, sizeof *w->best);
    report_begin(&w->report, s->format, w->head ? head_label : model_label,
                 w->head ? (const void *)w->head : w->model);
    int code = each_picture(w->session, w->model, s, &sink, w);
    free(w->best);
    return code;
}

/* A head's pictures were seen at its own input size. */
static settings sized_for(const settings *s, const head *h) {
    settings sized = *s;
    if (h && !s->height) {
        sized.height = h->input_height;
        sized.width = h->input_width;
    }
    return sized;
}

static int classify_with(const settings *s, const vt_model *model, const head *h) {
    work w = {.settings = s, .model = model, .head = h};
    settings sized = sized_for(s, h);
    int code =
        h ? check_head(s, h, model, &w.num_classes) : check_classifier(model, &w.num_classes);
    if (code != EXIT_DONE)
        return code;
    sized.batch = useful_batch(s);
    code = open_session(&w.session, model, &sized, classify_command.name);
    if (code == EXIT_DONE && h)
        code = head_check_width(h, s->head, vt_session_pooled_width(w.session));
    if (code == EXIT_DONE)
        code = classify_pictures(&w, &sized);
    vt_session_destroy(w.session);
    return code;
}

static int run(const settings *s) {
    vt_model *model = NULL;
    head own = {0};
    if (!s->num_operands && !s->files_from)
        return complain_usage(classify_command.name, "no picture given");
    if (s->head && s->labels)
        return complain_usage(classify_command.name,
                              "--labels names the model's own classes: not with --head");
    int code = check_pictures(s, report_is_json(s->format), classify_command.name);
    if (code == EXIT_DONE && s->head)
        code = head_read(&own, s->head);
    if (code == EXIT_DONE)
        code = open_model(&model, s, classify_command.name);
    if (code == EXIT_DONE)
        code = classify_with(s, model, s->head ? &own : NULL);
    head_free(&own);
    vt_model_close(model);
    return code;
}

static const option result_rows[] = {
    {0, "head", "HEAD", "name the classes of what 'vitrine fit' made, not the model's own",
     .parse = parse_text, FIELD(head)},
    {'k', "top", "N", "classes shown for a picture, best first", .initial = "5",
     .parse = parse_count, FIELD(top)},
    {0, "format", "FORMAT", "one of", .initial = "text", .choice = report_format_name,
     FIELD(format)},
    OPTION_SKIP_DONE,
    {0},
};

static const option input_rows[] = {
    OPTION_FILES_FROM,     OPTION_NULL,  OPTION_SIZE,    OPTION_BATCH,
    OPTION_SHRINK_ON_LOAD, OPTION_MERGE, OPTION_THREADS, {0},
};

static const option_group result_options = {"Results", result_rows};
static const option_group input_options = {"Input and speed", input_rows};

const command classify_command = {
    .name = "classify",
    .summary = "name what is in pictures",
    .operands = "IMAGE...",
    .about =
        "Runs a vision transformer over each picture and prints its most probable classes, in "
        "the order of the pictures. Reads PNG, JPEG, WebP, GIF, BMP, TGA, PSD, PNM and Radiance "
        "HDR, told apart by their content; - is standard input. A directory stands for all "
        "pictures in it and below. A picture that can't be read is named on standard error, and "
        "the others are still processed. Names that come through a pipe are answered as they "
        "come. With --head the classes are your own: see 'vitrine help fit'.",
    .groups = (const option_group *const[]){&result_options, &input_options, &model_options,
                                            &picture_options, &general_options, NULL},
    .examples = "  vitrine classify cat.png\n"
                "  vitrine classify -m vit_base_patch16_224 -k 1 --size 384 album\n"
                "  vitrine classify --format=json *.png | jq -r '.predictions[0].label'\n"
                "  find . -name '*.jpg' -print0 | vitrine classify -0 --files-from=- --format=csv\n"
                "  vitrine classify --format=json --skip-done out.jsonl album >> out.jsonl\n",
    .run = run,
};
