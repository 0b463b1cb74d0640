/* SPDX-License-Identifier: MIT
 *
 * Classes in the order of their scores.
 */
#ifndef CLI_PREDICTIONS_H
#define CLI_PREDICTIONS_H

#include <vitrine.h>

/* Best first; ties go to the lower index. */
void predictions_sort(vt_prediction *predictions, size_t count);

/* The `most` best of scores[count], best first; ties go to the lower index. Returns how many were
 * written: min(most, count). */
size_t predictions_best(vt_prediction *out, size_t most, const double *scores, size_t count);

#endif
