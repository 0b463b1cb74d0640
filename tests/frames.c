/* SPDX-License-Identifier: MIT */
#include "frames.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct plane_size {
    size_t row_bytes, rows;
} plane_size;

static plane_size size_of_plane(vt_pixel_format format, size_t plane, size_t width, size_t height) {
    const size_t half_width = (width + 1) / 2, half_height = (height + 1) / 2;
    const plane_size none = {0, 0}, chroma = {half_width, half_height};
    switch (format) {
    case VT_PIXEL_RGB24:
    case VT_PIXEL_BGR24:
        return plane ? none : (plane_size){3 * width, height};
    case VT_PIXEL_RGBA:
    case VT_PIXEL_BGRA:
        return plane ? none : (plane_size){4 * width, height};
    case VT_PIXEL_GRAY8:
        return plane ? none : (plane_size){width, height};
    case VT_PIXEL_RGB_PLANAR_F32:
        return (plane_size){4 * width, height};
    case VT_PIXEL_NV12:
        return plane == 0   ? (plane_size){width, height}
               : plane == 1 ? (plane_size){2 * half_width, half_height}
                            : none;
    case VT_PIXEL_I420:
        return plane ? chroma : (plane_size){width, height};
    case VT_PIXEL_YUYV:
    case VT_PIXEL_UYVY:
        return plane ? none : (plane_size){4 * half_width, height};
    default:
        return none;
    }
}

test_frame make_frame(vt_pixel_format format, size_t width, size_t height, size_t gap,
                      test_random *random) {
    test_frame made = {.frame = VT_FRAME_INIT};
    made.frame.format = format;
    made.frame.width = width;
    made.frame.height = height;
    for (size_t i = 0; i < 3; i++) {
        const plane_size size = size_of_plane(format, i, width, height);
        if (size.rows == 0)
            continue;
        const size_t stride = size.row_bytes + gap;
        const size_t bytes = stride * (size.rows - 1) + size.row_bytes; /* no gap behind the last */
        unsigned char *memory = malloc(bytes);
        assert_non_null(memory);
        for (size_t b = 0; b < bytes; b++)
            memory[b] = (unsigned char)random_bits(random);
        for (size_t y = 0; format == VT_PIXEL_RGB_PLANAR_F32 && y < size.rows; y++)
            for (size_t x = 0; x < width; x++) { /* some out of range */
                const float value = (float)random_below(random, 1200) / 1000 - 0.1f;
                memcpy(memory + y * stride + 4 * x, &value, sizeof value);
            }
        made.memory[i] = memory;
        made.frame.planes[i] = memory;
        made.frame.strides[i] = stride;
    }
    return made;
}

void free_frame(test_frame *frame) {
    for (size_t i = 0; i < 3; i++)
        free(frame->memory[i]);
    *frame = (test_frame){0};
}

static double sample(const vt_frame *frame, size_t plane, size_t row, size_t byte) {
    return ((const unsigned char *)frame->planes[plane])[row * frame->strides[plane] + byte];
}

static double float_sample(const vt_frame *frame, size_t plane, size_t row, size_t column) {
    float value;
    const unsigned char *at = frame->planes[plane];
    memcpy(&value, at + row * frame->strides[plane] + 4 * column, sizeof value);
    return 255 * (double)value;
}

static void from_yuv(double rgb[3], const vt_frame *frame, double y, double u, double v) {
    if (frame->full_range) {
        u -= 128;
        v -= 128;
    } else {
        y = (y - 16) * 255 / 219;
        u = (u - 128) * 255 / 224;
        v = (v - 128) * 255 / 224;
    }
    if (frame->matrix == VT_YUV_BT709) {
        rgb[0] = y + 1.5748 * v;
        rgb[1] = y - 0.1873242729306488 * u - 0.4681242729306488 * v;
        rgb[2] = y + 1.8556 * u;
    } else {
        rgb[0] = y + 1.402 * v;
        rgb[1] = y - 0.3441362862010221 * u - 0.7141362862010221 * v;
        rgb[2] = y + 1.772 * u;
    }
}

void stored_pixel(double rgb[3], const vt_frame *frame, size_t x, size_t y) {
    const bool blue_first = frame->format == VT_PIXEL_BGR24 || frame->format == VT_PIXEL_BGRA;
    const size_t step = frame->format == VT_PIXEL_RGBA || frame->format == VT_PIXEL_BGRA ? 4 : 3;
    const size_t pair = 4 * (x / 2);
    for (size_t c = 0; c < 3; c++)
        switch (frame->format) {
        case VT_PIXEL_GRAY8:
            rgb[c] = sample(frame, 0, y, x);
            break;
        case VT_PIXEL_RGB_PLANAR_F32:
            rgb[c] = float_sample(frame, c, y, x);
            break;
        case VT_PIXEL_NV12:
            from_yuv(rgb, frame, sample(frame, 0, y, x), sample(frame, 1, y / 2, x / 2 * 2),
                     sample(frame, 1, y / 2, x / 2 * 2 + 1));
            break;
        case VT_PIXEL_I420:
            from_yuv(rgb, frame, sample(frame, 0, y, x), sample(frame, 1, y / 2, x / 2),
                     sample(frame, 2, y / 2, x / 2));
            break;
        case VT_PIXEL_YUYV:
            from_yuv(rgb, frame, sample(frame, 0, y, 2 * x), sample(frame, 0, y, pair + 1),
                     sample(frame, 0, y, pair + 3));
            break;
        case VT_PIXEL_UYVY:
            from_yuv(rgb, frame, sample(frame, 0, y, 2 * x + 1), sample(frame, 0, y, pair),
                     sample(frame, 0, y, pair + 2));
            break;
        default:
            rgb[c] = sample(frame, 0, y, step * x + (blue_first ? 2 - c : c));
        }
}

/* 90 degrees clockwise takes the left column, from the bottom up, to the top row. */
static void find_stored(size_t *x, size_t *y, const vt_frame *frame, size_t width, size_t height,
                        size_t out_x, size_t out_y, size_t out_width) {
    if (frame->mirror)
        out_x = out_width - 1 - out_x;
    *x = frame->rotate == 0     ? out_x
         : frame->rotate == 90  ? out_y
         : frame->rotate == 180 ? width - 1 - out_x
                                : width - 1 - out_y;
    *y = frame->rotate == 0     ? out_y
         : frame->rotate == 90  ? height - 1 - out_x
         : frame->rotate == 180 ? height - 1 - out_y
                                : out_x;
}

vt_image reference_picture(const vt_frame *frame) {
    const size_t width = frame->crop_width ? frame->crop_width : frame->width - frame->crop_left;
    const size_t height = frame->crop_height ? frame->crop_height : frame->height - frame->crop_top;
    const bool turned = frame->rotate == 90 || frame->rotate == 270;
    vt_image out = {.width = turned ? height : width, .height = turned ? width : height};
    out.stride = 3 * out.width;
    out.pixels = malloc(out.stride * out.height);
    assert_non_null(out.pixels);
    for (size_t y = 0; y < out.height; y++)
        for (size_t x = 0; x < out.width; x++) {
            double rgb[3];
            size_t from_x, from_y;
            find_stored(&from_x, &from_y, frame, width, height, x, y, out.width);
            stored_pixel(rgb, frame, frame->crop_left + from_x, frame->crop_top + from_y);
            for (size_t c = 0; c < 3; c++)
                out.pixels[y * out.stride + 3 * x + c] = (uint8_t)rint(fmin(fmax(rgb[c], 0), 255));
        }
    return out;
}
