/* SPDX-License-Identifier: MIT
 *
 * Frames for tests, and what their pixels must be. Include support.h before.
 */
#ifndef VT_TESTS_FRAMES_H
#define VT_TESTS_FRAMES_H

#include <stdbool.h>

#include "support.h"

/* A frame over memory of its own, each plane in a block that ends with its last row's last sample,
 * so that a sanitizer sees who reads past it. Release with free_frame. */
typedef struct test_frame {
    vt_frame frame;
    unsigned char *memory[3];
} test_frame;

/* Random samples; rows have `gap` bytes more than they need. Not MJPEG. */
test_frame make_frame(vt_pixel_format format, size_t width, size_t height, size_t gap,
                      test_random *random);
void free_frame(test_frame *frame);

/* Stored pixel (x, y) as R, G and B from 0 to 255, neither rounded nor clipped: ITU-R BT.601 and
 * BT.709 in double precision, written out by hand. */
void stored_pixel(double rgb[3], const vt_frame *frame, size_t x, size_t y);

/* The frame cut out and turned, pixel by pixel: rounded and clipped. The pixels are the caller's,
 * to be released with free. */
vt_image reference_picture(const vt_frame *frame);

#endif
