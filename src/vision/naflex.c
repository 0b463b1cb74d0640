/* SPDX-License-Identifier: MIT */
#include "vision/naflex.h"

#include <math.h>

/* Whole patches that hold `size` pixels times `scale`. */
static double num_patches(double scale, size_t size, size_t patch_size) {
    const double patches = ceil((double)size * scale / (double)patch_size);
    return patches > 1 ? patches : 1;
}

/* transformers 4.57, image_processing_siglip2.py: get_image_size_for_max_num_patches. Its bisection
 * is repeated as it stands, because where it stops decides between two sizes now and then. */
void vt_naflex_size(size_t *height, size_t *width, size_t image_height, size_t image_width,
                    size_t patch_size, size_t max_num_patches) {
    const double eps = 1e-5;
    double low = eps / 10, high = 100;
    while (high - low >= eps) {
        const double scale = (low + high) / 2;
        const double count = num_patches(scale, image_height, patch_size) *
                             num_patches(scale, image_width, patch_size);
        if (count <= (double)max_num_patches)
            low = scale;
        else
            high = scale;
    }
    *height = (size_t)num_patches(low, image_height, patch_size) * patch_size;
    *width = (size_t)num_patches(low, image_width, patch_size) * patch_size;
}

void vt_naflex_flatten(float *patches, const float *pixels, size_t height, size_t width,
                       size_t patch_size) {
    for (size_t top = 0; top + patch_size <= height; top += patch_size)
        for (size_t left = 0; left + patch_size <= width; left += patch_size)
            for (size_t y = top; y < top + patch_size; y++)
                for (size_t x = left; x < left + patch_size; x++)
                    for (size_t c = 0; c < 3; c++)
                        *patches++ = pixels[(c * height + y) * width + x];
}
