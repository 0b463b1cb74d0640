/* SPDX-License-Identifier: MIT
 *
 * A classifier that `vitrine fit` made: what takes a picture's vector to the scores of classes of
 * one's own. A safetensors file:
 *
 *     weight        F32 [classes][width]
 *     bias          F32 [classes]
 *     vitrine.head  U8, JSON: {"version", "labels", "input", "model", "fit"}
 *
 * softmax(weight x + bias) are the scores, so that weight and bias are a linear layer as any
 * framework has it. "input" is the height and width that the vectors were computed at, null for the
 * model's own; "model" says which model made them; "fit" is for people.
 */
#ifndef CLI_HEAD_H
#define CLI_HEAD_H

#include <jansson.h>

#include "identity.h"

typedef struct head {
    float *weight, *bias;
    char **labels;
    size_t num_classes, width;
    size_t input_height, input_width; /* that were asked for; 0: the model's own */
    identity model;
} head;

/* `about_fit` becomes "fit", and is released. Returns an exit code, having complained. */
int head_write(const head *h, json_t *about_fit, const char *path);

/* All return an exit code, EXIT_MODEL having complained: when it is no head, when it is not the
 * model's, and when it is not for vectors of that width. head_free takes what a failure left. */
int head_read(head *out, const char *path);
int head_check(const head *h, const char *path, const vt_model *model);
int head_check_width(const head *h, const char *path, size_t width);
void head_free(head *h);

const char *head_label(const void *h, size_t index);

/* scores[num_classes] of a pooled vector: their sum is 1. */
void head_scores(const head *h, const float *pooled, double *scores);

/* The `most` best classes of a pooled vector, best first, ties going to the lower index. Returns
 * how many were written: min(most, num_classes). */
size_t head_predict(const head *h, const float *pooled, vt_prediction *out, size_t most);

#endif
