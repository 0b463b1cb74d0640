/* SPDX-License-Identifier: MIT
 *
 * A packed weight read the other way round.
 */
#ifndef VT_KERNELS_TRANSPOSED_H
#define VT_KERNELS_TRANSPOSED_H

#include "kernels/packed.h"

/* Whether vt_linear_transposed takes it: a weight of real numbers in this library's own layout. */
bool vt_linear_can_transpose(const vt_packed *weight);

/* y[k] = x[count] W[first .. first + count)[k], on the caller's thread. */
void vt_linear_transposed(const vt_kernels *kernels, const vt_packed *weight, size_t first,
                          size_t count, float *y, const float *x);

#endif
