/* SPDX-License-Identifier: MIT
 *
 * Small pictures in memory, for pages of them.
 */
#ifndef CLI_RASTER_H
#define CLI_RASTER_H

#include <stddef.h>
#include <stdint.h>

#include <vitrine.h>

/* 8-bit RGB, rows without gaps. */
typedef struct raster {
    size_t width, height;
    uint8_t *pixels; /* [height][width][3] */
} raster;

void raster_free(raster *r);

/* Resizes in[in_height][in_width][channels] by convolution with Keys' cubic (1981, a = -1/2),
 * widened where that makes it smaller. */
void resample(float *out, size_t height, size_t width, const float *in, size_t in_height,
              size_t in_width, size_t channels);

/* A decoded picture, made as large as fits into a square of that edge. */
raster raster_of_image(const vt_image *image, size_t edge);

/* What a model sees: normalised pixels[3][in_height][in_width], with the normalisation undone. */
raster raster_of_input(const float *pixels, size_t in_height, size_t in_width,
                       const vt_model_info *info, size_t height, size_t width);

/* The same from values[in_height][in_width][3], 0 to 1. */
raster raster_of_values(const float *values, size_t in_height, size_t in_width, size_t height,
                        size_t width);

#endif
