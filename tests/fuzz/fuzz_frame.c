/* SPDX-License-Identifier: MIT
 *
 * Frames of a camera: format, size, gaps between rows, part, turn. Each plane is a block that ends
 * with its last sample. What is read is held against the formulas in double precision; a frame with
 * a field out of its range must be refused. For MJPEG the rest of the input is the JPEG.
 */
#include "frames.h"

#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "vision/frame.h"
#include "vision/preprocess.h"

enum { MAX_SIDE = 40, MAX_INPUT = 24 };

static const vt_kernels *pick_kernels(fuzz_input *input) {
    size_t count = 0;
    while (vt_kernels_at(count))
        count++;
    return vt_kernels_at(fuzz_below(input, count));
}

static void choose(vt_frame *frame, fuzz_input *input) {
    frame->matrix = fuzz_below(input, 2);
    frame->full_range = fuzz_below(input, 2);
    frame->mirror = fuzz_below(input, 2);
    frame->rotate = 90 * (unsigned)fuzz_below(input, 4);
}

static void cut_out(vt_frame *frame, fuzz_input *input, size_t width, size_t height) {
    frame->crop_left = fuzz_below(input, width);
    frame->crop_top = fuzz_below(input, height);
    frame->crop_width = fuzz_below(input, width - frame->crop_left + 1);
    frame->crop_height = fuzz_below(input, height - frame->crop_top + 1);
}

/* Puts one field out of its range. */
static void spoil(vt_frame *frame, fuzz_input *input) {
    const size_t huge = SIZE_MAX >> fuzz_below(input, 40);
    switch (fuzz_below(input, 9)) {
    case 0:
        frame->planes[0] = NULL;
        break;
    case 1:
        frame->strides[0] = 1;
        frame->width += 2;
        break;
    case 2:
        frame->crop_left = frame->width + fuzz_below(input, 300);
        break;
    case 3:
        frame->crop_top = huge;
        break;
    case 4:
        frame->crop_width = huge;
        break;
    case 5:
        frame->crop_height = huge;
        break;
    case 6:
        frame->rotate = 1 + (unsigned)fuzz_below(input, 89);
        break;
    case 7:
        frame->width = 0;
        break;
    default:
        frame->width = huge;
    }
}

static void compare_rows(const vt_rows *rows, const vt_frame *frame, fuzz_input *input) {
    vt_image expected = reference_picture(frame);
    fuzz_check(rows->width == expected.width && rows->height == expected.height, "a size");
    const size_t left = fuzz_below(input, rows->width);
    const size_t width = 1 + fuzz_below(input, rows->width - left);
    for (size_t top = 0, height; top < rows->height; top += height) {
        height = 1 + fuzz_below(input, rows->height - top);
        uint8_t *out = malloc(height * 3 * width); /* exactly what may be written */
        fuzz_check(out != NULL, "memory");
        for (size_t y = 0; rows->pixels && y < height; y++)
            memcpy(out + y * 3 * width, rows->pixels + (top + y) * rows->stride + 3 * left,
                   3 * width);
        if (!rows->pixels)
            rows->read(rows->user, out, 3 * width, top, height, left, width);
        for (size_t y = 0; y < height; y++)
            for (size_t i = 0; i < 3 * width; i++)
                fuzz_check(abs(out[y * 3 * width + i] -
                               expected.pixels[(top + y) * expected.stride + 3 * left + i]) <= 1,
                           "a frame's pixels are those of the formulas");
        free(out);
    }
    free(expected.pixels);
}

/* Through a model's preprocessing, of some kind. */
static void preprocess(const vt_rows *rows, const vt_kernels *kernels, fuzz_input *input) {
    static float pixels[3 * MAX_INPUT * MAX_INPUT];
    vt_error err = {0};
    vt_preprocess_plan plan = {0};
    vt_pool *pool = NULL;
    vt_preprocess config = {
        .fit = fuzz_below(input, VT_FIT_NAFLEX),
        .resize_height = 1 + fuzz_below(input, 60),
        .filter = fuzz_below(input, VT_FILTER_COUNT),
        .center_crop = true,
        .crop_rule = fuzz_below(input, 2),
        .rescale = fuzz_below(input, 3),
        .rescale_factor = 1.0 / 255,
        .normalize = fuzz_below(input, 2),
        .std = {1, 1, 1},
    };
    config.resize_width =
        config.fit == VT_FIT_SHORT_EDGE ? config.resize_height : 1 + fuzz_below(input, 60);
    const size_t height = 1 + fuzz_below(input, MAX_INPUT),
                 width = 1 + fuzz_below(input, MAX_INPUT);
    const struct vt_preprocess_sizes sizes = {rows->height, rows->width, rows->height,
                                              rows->width,  height,      width};
    fuzz_check(vt_pool_create(&pool, 1, &err) == VT_OK, "a pool");
    if (fuzz_ok(vt_preprocess_prepare(&plan, &config, &sizes, 1, &err), &err)) {
        vt_preprocess_rows(&plan, pixels, rows, kernels, pool);
        for (size_t i = 0; i < 3 * height * width; i++)
            fuzz_check(pixels[i] >= -1 && pixels[i] <= 256, "a pixel is a number in its range");
    }
    vt_preprocess_free(&plan);
    vt_pool_destroy(pool);
}

static void run_jpeg(fuzz_input *input, const vt_kernels *kernels) {
    vt_error err = {0};
    vt_raster raster = {0};
    vt_frame_view view;
    vt_frame frame = VT_FRAME_INIT, decoded;
    choose(&frame, input);
    cut_out(&frame, input, 64, 64);
    frame.format = VT_PIXEL_MJPEG;
    frame.planes[0] = input->data;
    frame.size = input->size;
    if (fuzz_ok(vt_frame_decode(&decoded, &frame, &raster, &err), &err) &&
        fuzz_ok(vt_frame_open(&view, &decoded, kernels, &err), &err) && view.rows.width <= 256 &&
        view.rows.height <= 256)
        compare_rows(&view.rows, &view.frame, input); /* with its strides */
    free(raster.pixels);                              /* vt_malloc's, which is the C library's */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    vt_error err = {0};
    fuzz_input input = {data, size};
    const vt_pixel_format format = fuzz_below(&input, VT_PIXEL_COUNT);
    const vt_kernels *kernels = pick_kernels(&input);
    if (format == VT_PIXEL_MJPEG) {
        run_jpeg(&input, kernels);
        return 0;
    }
    const size_t width = 1 + fuzz_below(&input, MAX_SIDE),
                 height = 1 + fuzz_below(&input, MAX_SIDE);
    const size_t gap = fuzz_below(&input, 4) * fuzz_below(&input, 30);
    test_random random = {1 + fuzz_below(&input, 65536)};
    test_frame made = make_frame(format, width, height,
                                 format == VT_PIXEL_RGB_PLANAR_F32 ? 4 * gap : gap, &random);
    vt_frame_view view;
    choose(&made.frame, &input);
    cut_out(&made.frame, &input, width, height);
    const bool bad = fuzz_below(&input, 8) == 7;
    if (bad)
        spoil(&made.frame, &input);
    const bool opened = fuzz_ok(vt_frame_open(&view, &made.frame, kernels, &err), &err);
    fuzz_check(opened != bad, "a frame is refused when a field is out of its range, and only then");
    if (opened) {
        compare_rows(&view.rows, &made.frame, &input);
        preprocess(&view.rows, kernels, &input);
    }
    free_frame(&made);
    return 0;
}
