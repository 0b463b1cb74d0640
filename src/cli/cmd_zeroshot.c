/* SPDX-License-Identifier: MIT
 *
 * vitrine zeroshot: names what is in pictures, out of labels that are given as text.
 *
 * Each label is put into every template; the mean of the texts' unit vectors, scaled to length 1
 * again, stands for the label (Radford et al. 2021, section 3.1.4).
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "label_set.h"
#include "model.h"
#include "pictures.h"
#include "predictions.h"
#include "report.h"
#include "tokens.h"
#include "vectors.h"

static const char default_template[] = "a photo of a {}";

typedef struct work {
    const settings *settings;
    const vt_model *model;
    vt_session *session;
    label_set labels;
    vt_prediction *predictions; /* [count] */
    report report;
} work;

/* The template with its {} replaced. */
static char *fill_template(const char *pattern, const char *label) {
    const char *hole = strstr(pattern, "{}");
    size_t size = strlen(pattern) + strlen(label) + 1;
    char *text = allocate(size, 1);
    if (hole)
        snprintf(text, size, "%.*s%s%s", (int)(hole - pattern), pattern, label, hole + 2);
    else
        snprintf(text, size, "%s", pattern);
    return text;
}

static vt_status embed_label(work *w, const vt_tokenizer *tokenizer, size_t index, vt_error *err) {
    const text_options *templates = &w->settings->templates;
    size_t count = templates->count ? templates->count : 1, width = w->labels.width;
    float *vector = w->labels.vectors + index * width;
    vt_status status = VT_OK;
    memset(vector, 0, width * sizeof *vector);
    for (size_t t = 0; t < count && !status; t++) {
        char *text = fill_template(templates->count ? templates->items[t] : default_template,
                                   w->labels.names[index]);
        int64_t *ids = NULL;
        size_t tokens;
        status = text_to_ids(&ids, &tokens, tokenizer, w->model, text, err);
        if (!status)
            status = vt_session_forward_text(w->session, ids, NULL, 1, tokens, err);
        for (size_t i = 0; i < width && !status; i++)
            vector[i] += vt_session_text_embeds(w->session)[i];
        vt_ids_free(ids);
        free(text);
    }
    scale_to_unit(vector, width);
    return status;
}

static int embed_labels(work *w) {
    vt_error err = {0};
    vt_tokenizer *tokenizer = NULL;
    bool is_bytes;
    if (!labels_read(&w->labels, w->settings->candidates))
        return complain_usage(zeroshot_command.name, "--labels: no label in '%s'",
                              w->settings->candidates);
    int code = open_tokenizer(&tokenizer, w->model, &is_bytes);
    w->labels.vectors = allocate(w->labels.count * w->labels.width, sizeof(float));
    for (size_t i = 0; i < w->labels.count && code == EXIT_DONE; i++) {
        if (embed_label(w, tokenizer, i, &err)) {
            complain(w->labels.names[i], err.message);
            code = EXIT_MODEL;
        }
    }
    vt_tokenizer_close(tokenizer);
    return code;
}

/* ---- pictures ----------------------------------------------------------------------------------
 */

/* Sigmoids where the model scores each pair for itself (SigLIP), else a softmax over the labels. */
static void score_labels(work *w, const float *image) {
    vt_model_info info;
    double max = -INFINITY, sum = 0;
    vt_model_describe(&info, w->model);
    for (size_t i = 0; i < w->labels.count; i++) {
        double cosine = 0;
        for (size_t c = 0; c < w->labels.width; c++)
            cosine += (double)image[c] * (double)w->labels.vectors[i * w->labels.width + c];
        w->predictions[i] = (vt_prediction){i, vt_model_pair_logit(w->model, (float)cosine)};
        max = fmax(max, (double)w->predictions[i].score);
    }
    for (size_t i = 0; i < w->labels.count; i++)
        sum += exp((double)w->predictions[i].score - max);
    for (size_t i = 0; i < w->labels.count; i++) {
        double logit = (double)w->predictions[i].score;
        w->predictions[i].score =
            (float)(info.multi_label ? 1 / (1 + exp(-logit)) : exp(logit - max) / sum);
    }
    predictions_sort(w->predictions, w->labels.count);
}

static void on_picture(void *user, const picture *p, size_t row) {
    work *w = user;
    score_labels(w, vt_session_image_embeds(w->session) + row * w->labels.width);
    result found = {
        .picture = p,
        .predictions = w->predictions,
        .count = w->settings->top < w->labels.count ? w->settings->top : w->labels.count,
    };
    report_result(&w->report, &found);
}

static void on_failure(void *user, const char *path, const char *reason) {
    report_failure(&((work *)user)->report, path, reason);
}

static const picture_sink sink = {
    .found = on_picture, .failed = on_failure, .is_printed = true, .result_key = report_key};

static const char *label_name(const void *labels, size_t index) {
    return ((const label_set *)labels)->names[index];
}

static int score_pictures(work *w, const settings *s) {
    w->predictions = allocate(w->labels.count, sizeof *w->predictions);
    report_begin(&w->report, s->format, label_name, &w->labels);
    int code = each_picture(w->session, w->model, s, &sink, w);
    free(w->predictions);
    return code;
}

/* ---- the command -------------------------------------------------------------------------------
 */

static int run_with(work *w) {
    const settings *s = w->settings;
    w->labels.width = vt_model_embed_dim(w->model);
    if (!w->labels.width || !vt_model_vocab_size(w->model))
        return complain_usage(zeroshot_command.name,
                              "expected a model of pictures and text, such as CLIP or SigLIP");
    settings sized = *s;
    sized.batch = useful_batch(s);
    int code = open_session_with_text(&w->session, w->model, &sized, zeroshot_command.name);
    if (code == EXIT_DONE)
        code = s->load_labels ? labels_load(&w->labels, s->load_labels) : embed_labels(w);
    if (code == EXIT_DONE && s->save_labels)
        code = labels_save(&w->labels, s->save_labels);
    if (code == EXIT_DONE && (s->num_operands || s->files_from))
        code = score_pictures(w, &sized);
    labels_free(&w->labels);
    vt_session_destroy(w->session);
    return code;
}

static int run(const settings *s) {
    vt_model *model = NULL;
    work w = {.settings = s};
    if (!s->candidates == !s->load_labels)
        return complain_usage(zeroshot_command.name, "expected one of --labels and --load-labels");
    if (!s->num_operands && !s->files_from && !s->save_labels)
        return complain_usage(zeroshot_command.name, "no picture given");
    int code = check_pictures(s, report_is_json(s->format), zeroshot_command.name);
    if (code == EXIT_DONE)
        code = open_model(&model, s, zeroshot_command.name);
    w.model = model;
    if (code == EXIT_DONE)
        code = run_with(&w);
    vt_model_close(model);
    return code;
}

static const option label_rows[] = {
    {0, "labels", "LIST|FILE", "the labels: \"a,b,c\", or a file with one a line",
     .parse = parse_text, FIELD(candidates)},
    {0, "template", "TEXT",
     "what a label is put into, in place of {}; may be given several times "
     "(default: a photo of a {})",
     .parse = parse_append, FIELD(templates)},
    {0, "save-labels", "FILE", "keep the labels' vectors for another time", .parse = parse_text,
     FIELD(save_labels)},
    {0, "load-labels", "FILE", "labels that were kept, instead of --labels", .parse = parse_text,
     FIELD(load_labels)},
    {0},
};

static const option result_rows[] = {
    {'k', "top", "N", "labels shown for a picture, best first", .initial = "5",
     .parse = parse_count, FIELD(top)},
    {0, "format", "FORMAT", "one of", .initial = "text", .choice = report_format_name,
     FIELD(format)},
    OPTION_SKIP_DONE,
    {0},
};

static const option_group label_options = {"Labels", label_rows};
static const option_group result_options = {"Results", result_rows};

const command zeroshot_command = {
    .name = "zeroshot",
    .summary = "name what is in pictures, out of labels given as text",
    .operands = "IMAGE...",
    .about = "Compares each picture with each label in the space that a model such as CLIP or "
             "SigLIP has "
             "for both. Labels are put into one or more templates, whose vectors are averaged. "
             "Scores are "
             "a softmax over the labels, or a sigmoid each where the model was trained so. A saved "
             "set of "
             "labels needs no text tower the next time.",
    .groups = (const option_group *const[]){&label_options, &result_options, &many_pictures_options,
                                            &text_model_options, &picture_options, &general_options,
                                            NULL},
    .examples = "  vitrine zeroshot -m CLIP --labels 'cat,dog,rocket' cat.png\n"
                "  vitrine zeroshot -m CLIP --labels classes.txt --template 'a photo of a {}' \\\n"
                "      --template 'a drawing of a {}' --save-labels classes.safetensors album\n",
    .run = run,
};
