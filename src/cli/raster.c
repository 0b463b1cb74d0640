/* SPDX-License-Identifier: MIT */
#include "raster.h"

#include <math.h>
#include <stdlib.h>

#include "diagnose.h"

static raster raster_make(size_t width, size_t height) {
    return (raster){width, height, allocate(3 * width * height, 1)};
}

void raster_free(raster *r) {
    free(r->pixels);
    *r = (raster){0};
}

/* ---- resampling --------------------------------------------------------------------------------
 */

static double cubic(double x) {
    x = fabs(x);
    if (x < 1)
        return (1.5 * x - 2.5) * x * x + 1;
    return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

/* One line: n values of `channels` each, `stride` floats apart. Beyond the ends nothing weighs. */
static void resample_line(float *out, size_t out_n, size_t out_stride, const float *in, size_t in_n,
                          size_t in_stride, size_t channels) {
    double scale = (double)in_n / (double)out_n, wide = fmax(scale, 1);
    for (size_t i = 0; i < out_n; i++) {
        double centre = ((double)i + 0.5) * scale, total = 0;
        size_t first = (size_t)fmax(floor(centre - 2 * wide), 0);
        size_t past = (size_t)fmin(ceil(centre + 2 * wide), (double)in_n);
        for (size_t c = 0; c < channels; c++)
            out[i * out_stride + c] = 0;
        for (size_t j = first; j < past; j++)
            total += cubic(((double)j + 0.5 - centre) / wide);
        for (size_t j = first; j < past; j++) {
            double weight = cubic(((double)j + 0.5 - centre) / wide) / total;
            for (size_t c = 0; c < channels; c++)
                out[i * out_stride + c] += (float)(weight * (double)in[j * in_stride + c]);
        }
    }
}

void resample(float *out, size_t height, size_t width, const float *in, size_t in_height,
              size_t in_width, size_t channels) {
    float *across = allocate(in_height * width * channels, sizeof *across);
    for (size_t y = 0; y < in_height; y++)
        resample_line(across + y * width * channels, width, channels, in + y * in_width * channels,
                      in_width, channels, channels);
    for (size_t x = 0; x < width; x++)
        resample_line(out + x * channels, height, width * channels, across + x * channels,
                      in_height, width * channels, channels);
    free(across);
}

/* ---- pictures ----------------------------------------------------------------------------------
 */

static uint8_t to_byte(double value) {
    return (uint8_t)lrint(255 * fmin(fmax(value, 0), 1));
}

raster raster_of_values(const float *values, size_t in_height, size_t in_width, size_t height,
                        size_t width) {
    raster r = raster_make(width, height);
    float *resized = allocate(3 * width * height, sizeof *resized);
    resample(resized, height, width, values, in_height, in_width, 3);
    for (size_t i = 0; i < 3 * width * height; i++)
        r.pixels[i] = to_byte((double)resized[i]);
    free(resized);
    return r;
}

raster raster_of_image(const vt_image *image, size_t edge) {
    size_t longer = image->width > image->height ? image->width : image->height;
    size_t width = (image->width * edge + longer / 2) / longer;
    size_t height = (image->height * edge + longer / 2) / longer;
    float *values = allocate(3 * image->width * image->height, sizeof *values);
    for (size_t y = 0; y < image->height; y++)
        for (size_t x = 0; x < 3 * image->width; x++)
            values[y * 3 * image->width + x] = (float)image->pixels[y * image->stride + x] / 255.0f;
    raster r = raster_of_values(values, image->height, image->width, height ? height : 1,
                                width ? width : 1);
    free(values);
    return r;
}

raster raster_of_input(const float *pixels, size_t in_height, size_t in_width,
                       const vt_model_info *info, size_t height, size_t width) {
    size_t plane = in_height * in_width;
    float *values = allocate(3 * plane, sizeof *values);
    for (size_t i = 0; i < plane; i++)
        for (size_t c = 0; c < 3; c++)
            values[3 * i + c] = pixels[c * plane + i] * info->std[c] + info->mean[c];
    raster r = raster_of_values(values, in_height, in_width, height, width);
    free(values);
    return r;
}
