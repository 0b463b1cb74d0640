/* SPDX-License-Identifier: MIT
 *
 * What to expect of positions beyond those that a model was trained on: the rule that stretches
 * them, what published experience says of it, and the option to set.
 */
#ifndef CLI_ADVICE_H
#define CLI_ADVICE_H

#include <vitrine.h>

typedef struct advice {
    const char *expect, *option; /* a sentence each; NULL: nothing to say */
} advice;

/* Of a grid of patches other than the native one. */
advice advice_for_grid(const vt_model_info *info, const vt_model_plan *plan);

/* Of a text of `context` tokens. */
advice advice_for_context(const vt_model_info *info, size_t max_positions, size_t context);

/* How nearly orthogonal the positions of a picture's patches are to their content. */
typedef struct orthogonality {
    double mean_abs_cos; /* over all pairs of a position and a patch */
    double of_chance;    /* what random directions of that width would have: sqrt(2 / (pi width)) */
} orthogonality;

/* Runs the picture and compares what enters the first block with the table that was added. False
 * where the model adds no table. */
bool measure_orthogonality(orthogonality *out, vt_session *session, const vt_model_info *info,
                           const float *pixels, vt_error *err);

#endif
