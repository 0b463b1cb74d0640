/* SPDX-License-Identifier: MIT
 *
 * Principal components: the directions in which vectors differ most.
 */
#ifndef CLI_PRINCIPAL_H
#define CLI_PRINCIPAL_H

#include "lapack.h"

/* out[count][components] are the coordinates of x[count][width], from their mean, along the
 * directions of the largest variances, the largest first. A direction is the one of its two whose
 * largest entry is positive, so that it does not depend on how it was found. Where there are fewer
 * directions, coordinates are 0. False where LAPACK finds none. */
bool principal_components(const lapack *la, float *out, size_t components, const float *x,
                          size_t count, size_t width);

#endif
