/* SPDX-License-Identifier: MIT
 *
 * vitrine classify: names what is in pictures.
 */
#include <stdlib.h>

#include "classifier.h"
#include "command.h"
#include "model.h"
#include "pictures.h"
#include "report.h"

typedef struct work {
    const settings *settings;
    const classifier *classifier;
    vt_session *session;
    report report;
    vt_prediction *best; /* [top] */
} work;

static void on_picture(void *user, const picture *p, size_t row) {
    work *w = user;
    result found = {.picture = p, .predictions = w->best};
    found.count = classifier_predict(w->classifier, w->session, row, w->best, w->settings->top);
    report_result(&w->report, &found);
}

static void on_failure(void *user, const char *path, const char *reason) {
    report_failure(&((work *)user)->report, path, reason);
}

static const picture_sink sink = {
    .found = on_picture, .failed = on_failure, .is_printed = true, .result_key = report_key};

static int classify_pictures(work *w, const settings *s) {
    const classifier *c = w->classifier;
    w->best = allocate(s->top < c->num_classes ? s->top : c->num_classes, sizeof *w->best);
    report_begin(&w->report, s->format, classifier_label, c);
    int code = each_picture(w->session, c->model, s, &sink, w);
    free(w->best);
    return code;
}

static int classify_with(const settings *s, const classifier *c) {
    work w = {.settings = s, .classifier = c};
    settings sized = *s;
    sized.batch = useful_batch(s);
    int code = classifier_open_session(c, &w.session, &sized, classify_command.name);
    if (code == EXIT_DONE)
        code = classify_pictures(&w, &sized);
    vt_session_destroy(w.session);
    return code;
}

static int run(const settings *s) {
    vt_model *model = NULL;
    classifier c;
    if (!s->num_operands && !s->files_from)
        return complain_usage(classify_command.name, "no picture given");
    int code = classifier_read(&c, s, classify_command.name);
    if (code == EXIT_DONE)
        code = check_pictures(s, report_is_json(s->format), classify_command.name);
    if (code == EXIT_DONE)
        code = open_model(&model, s, classify_command.name);
    if (code == EXIT_DONE)
        code = classifier_bind(&c, model);
    if (code == EXIT_DONE)
        code = classify_with(s, &c);
    classifier_free(&c);
    vt_model_close(model);
    return code;
}

static const option result_rows[] = {
    OPTION_HEAD,
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
