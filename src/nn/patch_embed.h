/* SPDX-License-Identifier: MIT
 *
 * Patches to tokens: a convolution whose stride is its kernel, done as im2col and a linear layer,
 * with positions added on the way and prefix tokens put in front (Dosovitskiy et al. 2021, eq. 1).
 */
#ifndef VT_NN_PATCH_EMBED_H
#define VT_NN_PATCH_EMBED_H

#include "nn/dense.h"

typedef struct vt_patch_embed {
    size_t patch_size;
    vt_dense proj;       /* [width][3 * patch_size * patch_size] */
    vt_norm norm;        /* of the patches, before positions are added (AIMv2); or no weight */
    const float *prefix; /* [num_prefix][width]: class, distillation and register tokens */
    size_t num_prefix;
    size_t num_pos_prefix; /* the first so many of them have a row of the position table */
} vt_patch_embed;

/* x[count][num_prefix + grid_h * grid_w][width] = [prefix; norm(patches W^T + b)] + positions.
 * pixels[count][3][grid_h * patch_size][grid_w * patch_size]; pos[num_pos_prefix + grid_h * grid_w]
 * [width], or NULL for none; columns[patches][3 patch_size^2] is scratch memory of one picture. */
void vt_patch_embed_forward(const vt_compute *compute, const vt_patch_embed *embed, float *x,
                            const float *pixels, size_t count, size_t grid_h, size_t grid_w,
                            const float *pos, float *columns);

/* One picture whose grid may be smaller than the `rows` of patches that it is given: the rest are
 * patches of zeros (NaFlex). pos has num_pos_prefix + rows rows. */
void vt_patch_embed_padded(const vt_compute *compute, const vt_patch_embed *embed, float *x,
                           const float *pixels, size_t grid_h, size_t grid_w, size_t rows,
                           const float *pos, float *columns);

#endif
