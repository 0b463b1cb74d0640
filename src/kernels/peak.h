/* SPDX-License-Identifier: MIT
 *
 * The floating-point rate of the processor at hand, measured rather than looked up.
 */
#ifndef VT_KERNELS_PEAK_H
#define VT_KERNELS_PEAK_H

#include "base/threads.h"
#include "kernels/kernels.h"

/* GFLOP/s of all the pool's threads at once, each multiplying and adding in its registers alone.
 * Takes about 30 ms, on a pool of its own while it runs. */
double vt_kernels_peak(const vt_kernels *kernels, vt_pool *pool);

#endif
