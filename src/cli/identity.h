/* SPDX-License-Identifier: MIT
 *
 * Which model it is, whatever its path: for what was made with one model and is of no use with
 * another. Reading all weights would take as long as opening the model: what is read is its
 * configuration, all tensors' names, types and shapes, the values of biases, norms and other
 * vectors, and a part of each matrix.
 */
#ifndef CLI_IDENTITY_H
#define CLI_IDENTITY_H

#include <stdbool.h>

#include <vitrine.h>

#include "hash.h"

typedef struct identity {
    char name[96];            /* for people: "timm VisionTransformer (vit_tiny_patch16_224)" */
    char outline[HASH_TEXT];  /* of all but the matrices' values */
    char matrices[HASH_TEXT]; /* of these; "" for a packed model, which has them no more */
} identity;

void identity_of(identity *out, const vt_model *model);

/* A packed model is taken for the one that it was packed from by its outline alone. */
bool identity_same(const identity *a, const identity *b);

#endif
