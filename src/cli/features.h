/* SPDX-License-Identifier: MIT
 *
 * The vectors of an album's pictures: what the model's pooling gives, computed once and kept by
 * content.
 */
#ifndef CLI_FEATURES_H
#define CLI_FEATURES_H

#include "album.h"
#include "identity.h"
#include "settings.h"

typedef struct features {
    float *x; /* [count][width] of the album's pictures */
    size_t width;
    size_t num_cached, num_computed;
    size_t num_copies; /* pictures that were left out, as their class has the same one already */
} features;

/* Takes out of the album what can't be used: pictures that can't be read, which are named, and
 * copies. Returns an exit code; with EXIT_SOME_FAILED the pictures that are left are as good as
 * ever. */
int features_compute(features *out, album *a, vt_session *session, const vt_model *model,
                     const identity *of, const settings *s);
void features_free(features *f);

#endif
