/* SPDX-License-Identifier: MIT
 *
 * Pictures as vectors of length 1: the space that pictures and texts share where the model has one,
 * else what its pooling gives, as in `vitrine embed`.
 */
#ifndef CLI_EMBEDDINGS_H
#define CLI_EMBEDDINGS_H

#include "settings.h"

typedef struct embeddings {
    char **paths;
    float *x; /* [count][width] */
    size_t count, width, capacity;
} embeddings;

/* Of the pictures that the settings name, behind those that are there; pictures that can't be read
 * are named on standard error. Returns an exit code. */
int embeddings_add(embeddings *e, vt_session *session, const vt_model *model, const settings *s);

/* Of pictures `i` of one and `j` of the other. */
double embeddings_cosine(const embeddings *a, size_t i, const embeddings *b, size_t j);

void embeddings_free(embeddings *e);

#endif
