/* SPDX-License-Identifier: MIT
 *
 * Frames as rows of RGB: every format, odd sizes, gaps between rows, parts, turns and mirrors, with
 * all kernels, against the standards' formulas in double precision.
 */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frames.h"
#include "vision/frame.h"

static const unsigned TURNS[] = {0, 90, 180, 270};
enum { NUM_TURNS = sizeof TURNS / sizeof TURNS[0] };

/* Counts values that differ, and fails where they do by more than one. */
typedef struct comparison {
    size_t values, different;
} comparison;

static void compare_row(comparison *c, const uint8_t *found, const uint8_t *expected, size_t count,
                        const vt_frame *frame, const char *kernels) {
    for (size_t i = 0; i < count; i++) {
        if (abs(found[i] - expected[i]) > 1)
            fail_msg("%s, %s, turn %u mirror %d: byte %zu is %d, expected %d", kernels,
                     vt_pixel_format_name(frame->format), frame->rotate, frame->mirror, i, found[i],
                     expected[i]);
        c->different += found[i] != expected[i];
    }
    c->values += count;
}

/* In pieces of a few rows and columns, as a resize asks for them. */
static void check_rows(comparison *c, const vt_rows *rows, const vt_image *expected,
                       const vt_frame *frame, const char *kernels, test_random *random) {
    assert_int_equal(rows->height, expected->height);
    assert_int_equal(rows->width, expected->width);
    const size_t left = random_below(random, rows->width);
    const size_t width = 1 + random_below(random, rows->width - left);
    for (size_t top = 0; top < rows->height;) {
        const size_t most = rows->height - top,
                     height = 1 + random_below(random, most < 9 ? most : 9);
        uint8_t *out = malloc(height * 3 * width); /* exactly what may be written */
        assert_non_null(out);
        if (rows->pixels)
            for (size_t y = 0; y < height; y++)
                memcpy(out + y * 3 * width, rows->pixels + (top + y) * rows->stride + 3 * left,
                       3 * width);
        else
            rows->read(rows->user, out, 3 * width, top, height, left, width);
        for (size_t y = 0; y < height; y++)
            compare_row(c, out + y * 3 * width,
                        expected->pixels + (top + y) * expected->stride + 3 * left, 3 * width,
                        frame, kernels);
        free(out);
        top += height;
    }
}

static void check_frame(comparison *c, const vt_frame *frame, test_random *random) {
    vt_image expected = reference_picture(frame);
    for (size_t k = 0; vt_kernels_at(k); k++) {
        vt_error err = {0};
        vt_frame_view view;
        expect_ok(vt_frame_open(&view, frame, vt_kernels_at(k), &err), &err);
        check_rows(c, &view.rows, &expected, frame, vt_kernels_at(k)->name, random);
    }
    free(expected.pixels);
}

/* A part at even or odd places, or all of it. */
static void cut_out(vt_frame *frame, test_random *random) {
    frame->crop_left = random_below(random, frame->width);
    frame->crop_top = random_below(random, frame->height);
    frame->crop_width = random_below(random, frame->width - frame->crop_left + 1);
    frame->crop_height = random_below(random, frame->height - frame->crop_top + 1);
}

static void test_every_format(void **state) {
    (void)state;
    test_random random = {77};
    comparison yuv = {0}, rest = {0};
    for (int format = 0; format < VT_PIXEL_MJPEG; format++)
        for (size_t round = 0; round < 64; round++) {
            const size_t width = 1 + random_below(&random, 150),
                         height = 1 + random_below(&random, 40);
            test_frame made = make_frame(format, width, height, random_below(&random, 9), &random);
            made.frame.matrix = round % 2 ? VT_YUV_BT709 : VT_YUV_BT601;
            made.frame.full_range = round / 2 % 2;
            made.frame.rotate = TURNS[round / 4 % NUM_TURNS];
            made.frame.mirror = round / 16 % 2;
            if (round % 3)
                cut_out(&made.frame, &random);
            const bool exact = format < VT_PIXEL_RGB_PLANAR_F32;
            check_frame(exact ? &rest : &yuv, &made.frame, &random);
            free_frame(&made);
        }
    assert_int_equal(rest.different, 0);
    /* Ties of the rounding, and the sixteen bits that coefficients have. */
    assert_true(yuv.values > 100000 && yuv.different * 200 < yuv.values);
}

/* Each Y, U and V that there is, in both matrices and ranges. */
static void test_every_colour(void **state) {
    (void)state;
    enum { SIDE = 256 };
    test_random random = {5};
    comparison c = {0};
    for (int setting = 0; setting < 4; setting++) {
        test_frame made = make_frame(VT_PIXEL_YUYV, 2 * SIDE, SIDE, 0, &random);
        made.frame.matrix = setting % 2 ? VT_YUV_BT709 : VT_YUV_BT601;
        made.frame.full_range = setting / 2;
        for (int luma = 0; luma < 256; luma += luma % 16 ? 14 : 1) {
            for (size_t v = 0; v < SIDE; v++)
                for (size_t u = 0; u < SIDE; u++) {
                    unsigned char *pair = made.memory[0] + v * 4 * SIDE + 4 * u;
                    pair[0] = pair[2] = (unsigned char)luma;
                    pair[1] = (unsigned char)u;
                    pair[3] = (unsigned char)v;
                }
            check_frame(&c, &made.frame, &random);
        }
        free_frame(&made);
    }
    assert_true(c.values > 0 && c.different * 500 < c.values);
}

static void test_floats_that_are_no_colours(void **state) {
    (void)state;
    const float values[] = {-1, -0.0f, 0, 0.5f / 255, 0.6f / 255, 1, 2, 1e30f, 0, 0};
    enum { COUNT = sizeof values / sizeof values[0] };
    float plane[COUNT];
    const uint8_t expected[COUNT] = {0, 0, 0, 0, 1, 255, 255, 255, 0, 255};
    memcpy(plane, values, sizeof plane);
    const uint32_t nan = 0x7fc00000, infinity = 0x7f800000;
    memcpy(&plane[8], &nan, sizeof nan);
    memcpy(&plane[9], &infinity, sizeof infinity);
    vt_frame frame = VT_FRAME_INIT;
    frame.format = VT_PIXEL_RGB_PLANAR_F32;
    frame.width = COUNT;
    frame.height = 1;
    frame.planes[0] = frame.planes[1] = frame.planes[2] = plane;
    vt_frame_view view;
    uint8_t rgb[3 * COUNT];
    expect_ok(vt_frame_open(&view, &frame, vt_kernels_at(0), NULL), NULL);
    view.rows.read(view.rows.user, rgb, sizeof rgb, 0, 1, 0, COUNT);
    for (size_t i = 0; i < sizeof rgb; i++)
        assert_int_equal(rgb[i], expected[i / 3]);
}

/* ---- layout and names ------------------------------------------------------------------------ */

static void test_packed_memory(void **state) {
    (void)state;
    static const struct {
        vt_pixel_format format;
        size_t width, height, bytes;
    } cases[] = {
        {VT_PIXEL_RGB24, 5, 3, 45},
        {VT_PIXEL_RGBA, 5, 3, 60},
        {VT_PIXEL_GRAY8, 5, 3, 15},
        {VT_PIXEL_NV12, 4, 4, 24},
        {VT_PIXEL_NV12, 5, 3, 27},
        {VT_PIXEL_I420, 5, 3, 27},
        {VT_PIXEL_YUYV, 5, 3, 36},
        {VT_PIXEL_MJPEG, 5, 3, 0},
        {VT_PIXEL_RGB_PLANAR_F32, 2, 2, 48},
        {VT_PIXEL_COUNT, 5, 3, 0},
        {VT_PIXEL_RGB24, SIZE_MAX / 2, 3, 0},
        {VT_PIXEL_NV12, SIZE_MAX, 2, 0},
    };
    const unsigned char bytes[64] = {0};
    vt_error err = {0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(vt_frame_bytes(cases[i].format, cases[i].width, cases[i].height),
                         cases[i].bytes);
    vt_frame frame = VT_FRAME_INIT;
    expect_ok(vt_frame_set_packed(&frame, VT_PIXEL_I420, 5, 3, bytes, 27, &err), &err);
    assert_ptr_equal(frame.planes[0], bytes);
    assert_ptr_equal(frame.planes[1], bytes + 15);
    assert_ptr_equal(frame.planes[2], bytes + 21);
    assert_int_equal(frame.strides[1], 3);
    assert_int_equal(vt_frame_set_packed(&frame, VT_PIXEL_I420, 5, 3, bytes, 26, &err),
                     VT_ERR_ARGUMENT);
    assert_string_equal(err.message, "a yuv420p frame of 5x3 pixels has 27 bytes, not 26");
    assert_int_equal(vt_frame_set_packed(&frame, VT_PIXEL_RGB24, SIZE_MAX, 2, bytes, 26, &err),
                     VT_ERR_ARGUMENT);
}

static void test_names(void **state) {
    (void)state;
    for (int format = 0; format < VT_PIXEL_COUNT; format++)
        assert_int_equal(vt_pixel_format_from_name(vt_pixel_format_name(format)), format);
    assert_int_equal(vt_pixel_format_from_name("i420"), VT_PIXEL_I420);
    assert_int_equal(vt_pixel_format_from_name("yuy2"), VT_PIXEL_YUYV);
    assert_int_equal(vt_pixel_format_from_name("p010"), VT_PIXEL_COUNT);
    assert_null(vt_pixel_format_name(VT_PIXEL_COUNT));
}

/* ---- what is refused ------------------------------------------------------------------------- */

static void expect_refused(const vt_frame *frame, const char *message) {
    vt_error err = {0};
    vt_frame_view view;
    assert_int_equal(vt_frame_open(&view, frame, vt_kernels_at(0), &err), VT_ERR_ARGUMENT);
    assert_string_equal(err.message, message);
}

static void test_refusals(void **state) {
    (void)state;
    test_random random = {3};
    test_frame made = make_frame(VT_PIXEL_NV12, 10, 6, 0, &random);
    vt_frame f = made.frame;
    f.format = VT_PIXEL_COUNT;
    expect_refused(&f, "pixel format 11");
    f = made.frame;
    f.rotate = 45;
    expect_refused(&f, "rotation by 45 degrees, not 0, 90, 180 or 270");
    f = made.frame;
    f.matrix = (vt_yuv_matrix)7;
    expect_refused(&f, "YUV matrix 7");
    f = made.frame;
    f.planes[1] = NULL;
    expect_refused(&f, "plane 1 of a nv12 frame is NULL");
    f = made.frame;
    f.strides[1] = 9;
    expect_refused(
        &f, "plane 1 of a nv12 frame 10 pixels wide has rows of 10 bytes, and a stride of 9");
    f = made.frame;
    f.crop_left = 4;
    f.crop_width = 7;
    expect_refused(&f, "crop of 7x0 at 4,0 in a frame of 10x6");
    f = made.frame;
    f.crop_top = 6;
    expect_refused(&f, "crop of 0x0 at 0,6 in a frame of 10x6");
    f = made.frame;
    f.width = 0;
    expect_refused(&f, "crop of 0x0 at 0,0 in a frame of 0x6");
    f = made.frame;
    f.height = SIZE_MAX;
    f.strides[0] = SIZE_MAX / 4;
    vt_frame_view view;
    assert_int_equal(vt_frame_open(&view, &f, vt_kernels_at(0), NULL), VT_ERR_LIMIT);
    free_frame(&made);
}

/* What is no picture yet is decoded first, within the limits of any picture. */
static void test_mjpeg_refusals(void **state) {
    (void)state;
    static const uint8_t bytes[] = {0xFF, 0xD8, 0xFF, 0xD9};
    vt_frame f = {.format = VT_PIXEL_MJPEG, .planes = {bytes}, .size = sizeof bytes}, out;
    vt_raster raster = {0};
    vt_error err = {0};
    const vt_limits narrow = {.struct_size = sizeof narrow, .image_bytes = 3};
    expect_refused(&f, "an MJPEG frame has no rows before it is decoded");
    assert_int_equal(vt_set_limits(&narrow, NULL), VT_OK);
    assert_int_equal(vt_frame_decode(&out, &f, &raster, &err), VT_ERR_LIMIT);
    assert_string_equal(err.message, "a JPEG of 4 bytes");
    assert_int_equal(vt_set_limits(NULL, NULL), VT_OK);
    f.planes[0] = NULL;
    assert_int_equal(vt_frame_decode(&out, &f, &raster, &err), VT_ERR_ARGUMENT);
    assert_string_equal(err.message, "plane 0 of a mjpeg frame is NULL");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_format),
        cmocka_unit_test(test_every_colour),
        cmocka_unit_test(test_floats_that_are_no_colours),
        cmocka_unit_test(test_packed_memory),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_mjpeg_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
