/* SPDX-License-Identifier: MIT
 *
 * Resampling of a grid of vectors, as torch.nn.functional.interpolate does it.
 */
#ifndef VT_NN_INTERPOLATE_H
#define VT_NN_INTERPOLATE_H

#include "vitrine.h"

/* One axis of a separable resampling: output i is the sum of taps weights[i * max_taps + t] times
 * input first[i] + t. */
typedef struct vt_resample_axis {
    size_t out_size, max_taps;
    size_t *first; /* [out_size] */
    size_t *taps;  /* [out_size], at most max_taps */
    double *weights;
} vt_resample_axis;

/* The taps of a rule (not AUTO) along one axis. Sources: torch 2, aten/src/ATen/native/UpSample.h
 * (area_pixel_compute_source_index, get_cubic_upsample_coefficients) and
 * cpu/UpSampleKernel.cpp (the antialiased weights). */
vt_status vt_resample_axis_create(vt_resample_axis *out, size_t in_size, size_t out_size,
                                  vt_pos_resize rule, vt_error *err);
void vt_resample_axis_free(vt_resample_axis *axis);

/* out[out_h][out_w][channels] from in[in_h][in_w][channels]. */
vt_status vt_interpolate(float *out, const float *in, size_t in_h, size_t in_w, size_t out_h,
                         size_t out_w, size_t channels, vt_pos_resize rule, vt_error *err);

#endif
