/* SPDX-License-Identifier: MIT */
#include "classifier.h"

#include <math.h>

#include "calibrate.h"
#include "diagnose.h"
#include "model.h"

int classifier_read(classifier *out, const settings *s, const char *command) {
    *out = (classifier){.head_path = s->head};
    if (s->head && s->labels)
        return complain_usage(command, "--labels names the model's own classes: not with --head");
    return s->head ? head_read(&out->head, s->head) : EXIT_DONE;
}

int classifier_bind(classifier *c, const vt_model *model) {
    vt_model_info info;
    vt_model_describe(&info, model);
    c->model = model;
    c->multi_label = info.multi_label && !c->head_path;
    c->num_classes = c->head_path ? c->head.num_classes : info.num_classes;
    if (c->head_path)
        return head_check(&c->head, c->head_path, model);
    if (c->num_classes)
        return EXIT_DONE;
    complain(info.path, "expected a model with a classifier; this one only has features: "
                        "'vitrine fit' makes one of your own classes, for --head");
    return EXIT_MODEL;
}

int classifier_open_session(const classifier *c, vt_session **out, const settings *s,
                            const char *command) {
    settings sized = *s;
    if (c->head_path && !s->height) {
        sized.height = c->head.input_height;
        sized.width = c->head.input_width;
    }
    int code = open_session(out, c->model, &sized, command);
    if (code == EXIT_DONE && c->head_path)
        code = head_check_width(&c->head, c->head_path, vt_session_pooled_width(*out));
    return code;
}

void classifier_free(classifier *c) {
    head_free(&c->head);
}

const char *classifier_label(const void *c, size_t index) {
    const classifier *of = c;
    return of->head_path ? head_label(&of->head, index) : vt_model_label(of->model, index);
}

static const float *logits_of(const classifier *c, const vt_session *session, size_t row) {
    return vt_session_logits(session) + row * c->num_classes;
}

static const float *pooled_of(const classifier *c, const vt_session *session, size_t row) {
    return vt_session_pooled(session) + row * c->head.width;
}

size_t classifier_predict(const classifier *c, const vt_session *session, size_t row,
                          vt_prediction *out, size_t most) {
    return c->head_path ? head_predict(&c->head, pooled_of(c, session, row), out, most)
                        : vt_model_top_k(c->model, logits_of(c, session, row), out, most);
}

void classifier_scores(const classifier *c, const vt_session *session, size_t row, double *scores) {
    if (c->head_path) {
        head_scores(&c->head, pooled_of(c, session, row), scores);
        return;
    }
    for (size_t i = 0; i < c->num_classes; i++)
        scores[i] = (double)logits_of(c, session, row)[i];
    if (!c->multi_label)
        softmax(scores, c->num_classes);
    for (size_t i = 0; c->multi_label && i < c->num_classes; i++)
        scores[i] = 1 / (1 + exp(-scores[i]));
}
