/* SPDX-License-Identifier: MIT
 *
 * What the commands do with embeddings.
 */
#ifndef CLI_VECTORS_H
#define CLI_VECTORS_H

#include <stddef.h>

/* Scales a vector to length 1; one of zeros stays. */
void scale_to_unit(float *vector, size_t n);

#endif
