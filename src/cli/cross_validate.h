/* SPDX-License-Identifier: MIT
 *
 * How well fits do on samples that they have not seen, a part of all at a time.
 */
#ifndef CLI_CROSS_VALIDATE_H
#define CLI_CROSS_VALIDATE_H

#include "ridge.h"

/* Each sample's class, `predicted` [count], by the fit to all parts but its own; the strength is
 * chosen anew without that part. The parts (2 to count) have equal shares of each class, as far as
 * that goes, and neighbours in a class, which may be pictures of one scene, are in one part. NULL,
 * or the reason why it could not be done. */
const char *cross_validate(size_t *predicted, const ridge_data *data, size_t num_parts,
                           const lapack *la);

/* The index of the largest value, the lowest of equals. */
size_t largest(const double *values, size_t count);

#endif
