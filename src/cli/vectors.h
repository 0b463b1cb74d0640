/* SPDX-License-Identifier: MIT
 *
 * What the commands do with embeddings.
 */
#ifndef CLI_VECTORS_H
#define CLI_VECTORS_H

#include <stdbool.h>
#include <stddef.h>

/* Scales a vector to length 1; one of zeros stays. */
void scale_to_unit(float *vector, size_t n);

/* Whether none is NaN or infinite. */
bool all_finite(const float *values, size_t n);

#endif
