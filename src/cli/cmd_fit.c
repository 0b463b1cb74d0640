/* SPDX-License-Identifier: MIT
 *
 * vitrine fit: a classifier of one's own classes, from a folder of pictures for each.
 */
#include <stdlib.h>

#include "command.h"
#include "cross_validate.h"
#include "fit_outcome.h"
#include "head.h"
#include "model.h"
#include "progress.h"

enum { FORMAT_TEXT, FORMAT_JSON };
static const char *const formats[] = {"text", "json", NULL};
static const char *format_name(size_t index) {
    return formats[index];
}

/* What stands between a folder and a head. */
typedef struct work {
    const settings *settings;
    lapack la;
    const vt_model *model;
    album album;
    features features;
    identity identity;
    size_t *class_of; /* [count] */
    ridge fit;
    fit_outcome outcome;
} work;

/* ---- vectors ------------------------------------------------------------------------------------
 */

static int compute_vectors(work *w) {
    vt_session *session = NULL;
    int code = open_session(&session, w->model, w->settings, fit_command.name);
    if (code != EXIT_DONE)
        return code;
    double start = clock_ms();
    identity_of(&w->identity, w->model);
    vt_session_input_size(session, &w->outcome.input_height, &w->outcome.input_width);
    code = features_compute(&w->features, &w->album, session, w->model, &w->identity, w->settings);
    w->outcome.features_ms = clock_ms() - start;
    vt_session_destroy(session);
    return code;
}

/* Both are worth a word: their vectors say nothing, or too much. */
static void note_odd_pictures(const work *w) {
    size_t copies = w->features.num_copies, lonely = 0, which = 0;
    for (size_t k = 0; k < w->album.num_classes; k++)
        if (w->outcome.sizes[k] == 1) {
            lonely++;
            which = k;
        }
    if (w->settings->quiet)
        return;
    if (copies)
        note("%zu picture%s left out, being the same as another of the class", copies,
             copies == 1 ? " was" : "s were");
    if (lonely == 1)
        note("'%s' has one picture: left out, there is nothing to know the class by",
             w->album.classes[which]);
    else if (lonely)
        note("%zu classes have one picture: left out, there is nothing to know the class by",
             lonely);
}

/* ---- the fit ------------------------------------------------------------------------------------
 */

typedef struct fit_steps {
    progress bar;
    size_t done;
} fit_steps;

static void on_step(void *user) {
    fit_steps *s = user;
    progress_show(&s->bar, ++s->done);
}

static size_t num_parts(const work *w) {
    return w->settings->folds < w->album.count ? w->settings->folds : w->album.count;
}

static const char *validate(work *w, const ridge_data *data) {
    size_t parts = num_parts(w), right = 0;
    if (!parts)
        return NULL;
    size_t *predicted = allocate(data->count, sizeof *predicted);
    const char *wrong = cross_validate(predicted, data, parts, &w->la);
    for (size_t i = 0; i < data->count; i++)
        right += predicted[i] == data->class_of[i];
    w->outcome.num_parts = parts;
    w->outcome.parts_accuracy = (double)right / (double)data->count;
    free(predicted);
    return wrong;
}

static int fit_classes(work *w) {
    const album *a = &w->album;
    if (a->num_classes < 2) {
        complain(a->folder, "fewer than two classes have a picture that can be read");
        return EXIT_SOME_FAILED;
    }
    double start = clock_ms();
    w->class_of = allocate(a->count, sizeof *w->class_of);
    for (size_t i = 0; i < a->count; i++)
        w->class_of[i] = a->pictures[i].class_of;
    fit_steps steps = {0};
    progress_begin(&steps.bar, RIDGE_STRENGTHS * (1 + num_parts(w)), w->settings->quiet);
    steps.bar.label = "fitting";
    const ridge_data data = {.x = w->features.x,
                             .class_of = w->class_of,
                             .count = a->count,
                             .width = w->features.width,
                             .num_classes = a->num_classes,
                             .step = on_step,
                             .user = &steps};
    const char *wrong = ridge_fit(&w->fit, &data, &w->la);
    if (!wrong) {
        fit_outcome_count(&w->outcome);
        wrong = validate(w, &data);
    }
    progress_hide(&steps.bar);
    if (wrong)
        complain(a->folder, wrong);
    w->outcome.fit_ms = clock_ms() - start;
    return wrong ? EXIT_SOME_FAILED : EXIT_DONE;
}

/* ---- results ------------------------------------------------------------------------------------
 */

/* With the scale in the weights: their outputs are logits. */
static float *scaled(const double *values, size_t count, double scale) {
    float *copy = allocate(count, sizeof *copy);
    for (size_t i = 0; i < count; i++)
        copy[i] = (float)(values[i] * scale);
    return copy;
}

static int write_head(const work *w) {
    const ridge *fit = &w->fit;
    const fit_outcome *o = &w->outcome;
    head h = {
        .weight = scaled(fit->weight, fit->num_classes * fit->width, fit->scale),
        .bias = scaled(fit->bias, fit->num_classes, fit->scale),
        .labels = w->album.classes,
        .num_classes = fit->num_classes,
        .width = fit->width,
        .input_height = w->settings->height ? o->input_height : 0,
        .input_width = w->settings->height ? o->input_width : 0,
        .model = w->identity,
    };
    int code = head_write(&h, fit_about(o), w->settings->output);
    free(h.weight);
    free(h.bias);
    return code;
}

static int report(const work *w) {
    const settings *s = w->settings;
    note_odd_pictures(w);
    if (s->format == FORMAT_JSON)
        fit_print_json(&w->outcome);
    else
        fit_print_text(&w->outcome);
    return s->confusion ? fit_draw_confusion(&w->outcome, s->confusion) : EXIT_DONE;
}

/* ------------------------------------------------------------------------------------------------
 */

/* Pictures that can't be used leave the others as good as ever: the head is written. */
static int fit_with(work *w) {
    const settings *s = w->settings;
    vt_model_info info;
    vt_model_describe(&info, w->model);
    w->outcome = (fit_outcome){.head = s->output,
                               .model = info.path,
                               .album = &w->album,
                               .features = &w->features,
                               .fit = &w->fit,
                               .num_unsure = s->unsure};
    if (!info.image_height) {
        complain(info.path, "this model takes no pictures");
        return EXIT_MODEL;
    }
    int vectors = compute_vectors(w);
    if (vectors == EXIT_MODEL || vectors == EXIT_USAGE)
        return vectors;
    int code = fit_classes(w);
    if (code == EXIT_DONE)
        code = write_head(w);
    if (code == EXIT_DONE)
        code = report(w);
    code = exit_worse(code, vectors);
    return w->album.num_failed ? exit_worse(code, EXIT_SOME_FAILED) : code;
}

static int check_usage(const settings *s) {
    const char *name = fit_command.name;
    if (s->num_operands != 1)
        return complain_usage(name,
                              "expected one folder, with a folder of pictures for each class");
    if (!s->output)
        return complain_usage(name, "no output given: --output HEAD.safetensors");
    if (s->folds == 1)
        return complain_usage(name, "--folds: expected 2 or more, or 0 for none; found '1'");
    if (s->confusion && !fit_can_draw(s->confusion))
        return complain_usage(name,
                              "--confusion: expected a name ending with .png or .svg; found "
                              "'%s'",
                              s->confusion);
    return EXIT_DONE;
}

static int run(const settings *s) {
    vt_model *model = NULL;
    work w = {.settings = s};
    int code = check_usage(s);
    if (code == EXIT_DONE && !album_read(&w.album, s->operands[0], s->quiet))
        code = EXIT_SOME_FAILED;
    if (code == EXIT_DONE)
        code = lapack_load(&w.la, fit_command.name);
    if (code == EXIT_DONE)
        code = open_model(&model, s, fit_command.name);
    w.model = model;
    if (code == EXIT_DONE)
        code = fit_with(&w);
    fit_outcome_free(&w.outcome);
    ridge_free(&w.fit);
    free(w.class_of);
    features_free(&w.features);
    album_free(&w.album);
    vt_model_close(model);
    return code;
}

static const option result_rows[] = {
    {'o', "output", "HEAD", "the classifier's file, for classify --head", .parse = parse_text,
     FIELD(output)},
    {0, "folds", "K", "parts of the cross-validation; 0: none", .initial = "5",
     .parse = parse_number, FIELD(folds)},
    {0, "unsure", "N", "pictures shown that it is least sure of", .initial = "10",
     .parse = parse_number, FIELD(unsure)},
    {0, "confusion", "OUT",
     "draw which classes are taken for which: a name ending with .png or .svg", .parse = parse_text,
     FIELD(confusion)},
    {0, "format", "FORMAT", "one of", .initial = "text", .choice = format_name, FIELD(format)},
    {0},
};

static const option input_rows[] = {
    {0, "no-cache", NULL, "neither look for vectors computed before nor keep them",
     FIELD(no_cache)},
    OPTION_SIZE,
    OPTION_BATCH,
    OPTION_SHRINK_ON_LOAD,
    OPTION_THREADS,
    {0},
};

static const option_group result_options = {"Results", result_rows};
static const option_group input_options = {"Input and speed", input_rows};

const command fit_command = {
    .name = "fit",
    .summary = "make a classifier of your own classes",
    .operands = "FOLDER",
    .about =
        "FOLDER has a folder for each class, named as the class: FOLDER/cat/*.jpg, "
        "FOLDER/dog/*.jpg. The model turns each picture into a vector once, and a linear "
        "classifier is fitted to the vectors, which takes seconds; nothing of the model changes. "
        "What is printed is how often it is right on pictures that it was not fitted to, which "
        "classes it mistakes for which, and the pictures that it is least sure of: those are worth "
        "a look, as some will lie in the wrong folder. Ten pictures a class are a beginning, fifty "
        "are good, if they are as varied as those that it will be asked about. 'vitrine classify "
        "--head HEAD' then names pictures, with the same model. Vectors are kept in "
        "~/.cache/vitrine, so that a second run computes those of new pictures alone.",
    .groups = (const option_group *const[]){&result_options, &input_options, &model_options,
                                            &picture_options, &general_options, NULL},
    .examples =
        "  vitrine fit album -o album.safetensors\n"
        "  vitrine fit album -o album.safetensors -m dinov2-base --confusion album.png\n"
        "  vitrine classify --head album.safetensors -m dinov2-base new.jpg\n"
        "  vitrine fit album -o album.safetensors --format=json | jq -r '.unsure[].image'\n",
    .run = run,
};
