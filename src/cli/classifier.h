/* SPDX-License-Identifier: MIT
 *
 * Who names the classes: the model's own classifier, or the one of --head.
 */
#ifndef CLI_CLASSIFIER_H
#define CLI_CLASSIFIER_H

#include "head.h"
#include "settings.h"

typedef struct classifier {
    const vt_model *model;
    head head;
    const char *head_path; /* NULL: the model's own */
    size_t num_classes;
    bool multi_label; /* scores are sigmoids, not a softmax */
} classifier;

/* Before the model is opened: reads --head. All that return an int return an exit code, having
 * complained when it is not EXIT_DONE; classifier_free takes what a failure left. `command` names
 * the help to point at. */
int classifier_read(classifier *out, const settings *s, const char *command);

/* Then: whether the model has a classifier, or fits the head. */
int classifier_bind(classifier *c, const vt_model *model);

/* A session of this classifier: pictures are seen at the size that a head was fitted at, unless
 * another was asked for. */
int classifier_open_session(const classifier *c, vt_session **out, const settings *s,
                            const char *command);
void classifier_free(classifier *c);

/* The name of a class; `c` is the classifier. */
const char *classifier_label(const void *c, size_t index);

/* The `most` best classes of picture `row` of the session's last pass, best first, ties going to
 * the lower index. Returns how many were written: min(most, num_classes). */
size_t classifier_predict(const classifier *c, const vt_session *session, size_t row,
                          vt_prediction *out, size_t most);

/* The scores[num_classes] of that picture. */
void classifier_scores(const classifier *c, const vt_session *session, size_t row, double *scores);

#endif
