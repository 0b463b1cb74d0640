/* SPDX-License-Identifier: MIT
 *
 * Patch kernels for another patch size, so that a resized patch gives the token that the patch gave
 * (Beyer et al. 2023, "FlexiViT", eq. 3).
 */
#ifndef VT_NN_PATCH_RESIZE_H
#define VT_NN_PATCH_RESIZE_H

#include "vitrine.h"

/* out[count][to][to] from in[count][from][from]: w' = pinv(B^T) w, where B is the matrix of the
 * bicubic, antialiased resize of a patch from `from` to `to`. Equal sizes copy. */
vt_status vt_patch_resize(float *out, size_t to, const float *in, size_t from, size_t count,
                          vt_error *err);

#endif
