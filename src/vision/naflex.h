/* SPDX-License-Identifier: MIT
 *
 * SigLIP 2 NaFlex: pictures keep their aspect ratio and become as many whole patches as a budget
 * allows.
 */
#ifndef VT_VISION_NAFLEX_H
#define VT_VISION_NAFLEX_H

#include "vitrine.h"

/* The largest size, a multiple of the patch in both directions, that an image of image_height x
 * image_width scales to with at most max_num_patches patches. At least one patch each way. */
void vt_naflex_size(size_t *height, size_t *width, size_t image_height, size_t image_width,
                    size_t patch_size, size_t max_num_patches);

/* pixels[3][height][width] to patches[height / p][width / p][p * p * 3]: row, column, channel
 * within a patch, as Siglip2ImageProcessor flattens them. */
void vt_naflex_flatten(float *patches, const float *pixels, size_t height, size_t width,
                       size_t patch_size);

#endif
