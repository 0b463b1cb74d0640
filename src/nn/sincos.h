/* SPDX-License-Identifier: MIT
 *
 * Fixed 2D position tables of sines and cosines, for checkpoints that store none. A row's
 * channels are four groups of n = width / 4: the sines, or the cosines, of y or x times
 * temperature^(-j / n). /
 */
#ifndef VT_NN_SINCOS_H
#define VT_NN_SINCOS_H

#include "vitrine.h"

typedef enum vt_sincos_layout {
    VT_SINCOS_MAE, /* sin x, cos x, sin y, cos y (transformers, vit_mae: get_2d_sincos_pos_embed) */
    VT_SINCOS_TIMM,     /* sin y, sin x, cos y, cos x (timm, build_sincos2d_pos_embed) */
    VT_SINCOS_TIMM_AXES /* sin y, cos y, sin x, cos x (the same, interleave_sin_cos) */
} vt_sincos_layout;

/* table[grid_h * grid_w][width], patches row by row. `width` is a multiple of 4. */
void vt_sincos2d_fill(float *table, size_t grid_h, size_t grid_w, size_t width, double temperature,
                      vt_sincos_layout layout);

#endif
