/* SPDX-License-Identifier: MIT
 *
 * vt_resize_u8 against Pillow, byte for byte: every case of golden/primitives/pillow.json.
 */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vision/resize.h"

#define PRIMITIVES VT_TEST_DATA "/golden/primitives/"

static vt_image read_primitive(const char *name) {
    char path[1024];
    vt_image image = {0};
    vt_error err = {0};
    snprintf(path, sizeof path, PRIMITIVES "%s", name);
    if (vt_image_read(&image, path, NULL, &err))
        fail_msg("%s", err.message);
    return image;
}

static vt_image alloc_image(size_t height, size_t width) {
    /* Rows with a gap, so that a stride taken for a width shows. */
    vt_image image = {.width = width, .height = height, .stride = 3 * width + 5};
    image.pixels = malloc(height * image.stride);
    assert_non_null(image.pixels);
    memset(image.pixels, 0xAA, height * image.stride);
    return image;
}

static size_t count_differences(const vt_image *a, const vt_image *b) {
    size_t count = 0;
    assert_int_equal(a->width, b->width);
    assert_int_equal(a->height, b->height);
    for (size_t y = 0; y < a->height; y++)
        for (size_t i = 0; i < 3 * a->width; i++)
            count += a->pixels[y * a->stride + i] != b->pixels[y * b->stride + i];
    return count;
}

static vt_filter filter_of(const char *upper) {
    char name[16];
    size_t i = 0;
    for (; upper[i] && i + 1 < sizeof name; i++)
        name[i] = (char)(upper[i] + ('a' - 'A'));
    name[i] = '\0';
    const vt_filter filter = vt_filter_from_name(name);
    assert_true(filter < VT_FILTER_COUNT);
    return filter;
}

/* Resizes as the case says; the expected picture is handed back as well. */
static vt_image resize_case(const json_t *test, const vt_kernels *kernels, vt_image *expected,
                            vt_filter *filter) {
    vt_image image = read_primitive(json_string_value(json_object_get(test, "input")));
    *expected = read_primitive(json_string_value(json_object_get(test, "output")));
    *filter = filter_of(json_string_value(json_object_get(test, "filter")));
    const vt_resize_window all = vt_resize_whole(expected->height, expected->width);
    vt_image out = alloc_image(expected->height, expected->width);
    vt_error err = {0};
    if (vt_resize_u8(out.pixels, out.stride, &image, &all, *filter, kernels, &err))
        fail_msg("%s", err.message);
    vt_image_free(&image);
    return out;
}

static void check_pillow(const vt_kernels *kernels) {
    json_t *index = json_load_file(PRIMITIVES "pillow.json", 0, NULL);
    const json_t *cases = json_object_get(index, "cases");
    size_t seen[VT_FILTER_COUNT] = {0}, i;
    json_t *test;
    json_array_foreach(cases, i, test) {
        vt_image expected;
        vt_filter filter;
        vt_image out = resize_case(test, kernels, &expected, &filter);
        const size_t wrong = count_differences(&out, &expected);
        if (wrong)
            fail_msg("%s: %s: %zu bytes differ", kernels->name,
                     json_string_value(json_object_get(test, "output")), wrong);
        seen[filter]++;
        free(out.pixels);
        vt_image_free(&expected);
    }
    for (size_t filter = 0; filter < VT_FILTER_COUNT; filter++)
        assert_true(seen[filter] > 0);
    json_decref(index);
}

static void test_pillow(void **state) {
    (void)state;
    for (size_t i = 0; vt_kernels_at(i); i++)
        check_pillow(vt_kernels_at(i));
}

/* Any window of a resized picture is the same as cutting it from the whole. */
static void test_windows(void **state) {
    (void)state;
    vt_image image = read_primitive("pillow/in2_120x90.png");
    const size_t sizes[][2] = {{33, 47}, {90, 47}, {33, 120}, {90, 120}, {200, 301}};
    vt_error err = {0};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
        for (vt_filter filter = 0; filter < VT_FILTER_COUNT; filter++) {
            const size_t h = sizes[s][0], w = sizes[s][1];
            const vt_resize_window all = vt_resize_whole(h, w);
            const vt_resize_window part = {h, w, h / 4, w / 3, h / 2, w / 2};
            vt_image whole = alloc_image(h, w), cut = alloc_image(part.height, part.width);
            assert_int_equal(vt_resize_u8(whole.pixels, whole.stride, &image, &all, filter,
                                          vt_kernels_at(0), &err),
                             VT_OK);
            assert_int_equal(
                vt_resize_u8(cut.pixels, cut.stride, &image, &part, filter, vt_kernels_at(0), &err),
                VT_OK);
            const vt_image view = {.width = part.width,
                                   .height = part.height,
                                   .stride = whole.stride,
                                   .pixels =
                                       whole.pixels + part.top * whole.stride + 3 * part.left};
            assert_int_equal(count_differences(&cut, &view), 0);
            free(whole.pixels);
            free(cut.pixels);
        }
    vt_image_free(&image);
}

/* Nothing is written outside of the rows. */
static void test_gap_untouched(void **state) {
    (void)state;
    vt_image image = read_primitive("pillow/in3_5x3.png");
    vt_image out = alloc_image(16, 16);
    const vt_resize_window all = vt_resize_whole(16, 16);
    for (vt_filter filter = 0; filter < VT_FILTER_COUNT; filter++) {
        assert_int_equal(
            vt_resize_u8(out.pixels, out.stride, &image, &all, filter, vt_kernels_at(0), NULL),
            VT_OK);
        for (size_t y = 0; y < out.height; y++)
            for (size_t i = 3 * out.width; i < out.stride; i++)
                assert_int_equal(out.pixels[y * out.stride + i], 0xAA);
    }
    free(out.pixels);
    vt_image_free(&image);
}

/* A flat picture stays flat whatever the filter: the weights add up to one. */
static void test_flat(void **state) {
    (void)state;
    vt_image image = alloc_image(37, 53);
    memset(image.pixels, 201, image.height * image.stride);
    const size_t sizes[][2] = {{1, 1}, {9, 200}, {111, 3}};
    for (size_t s = 0; s < 3; s++)
        for (vt_filter filter = 0; filter < VT_FILTER_COUNT; filter++) {
            vt_image out = alloc_image(sizes[s][0], sizes[s][1]);
            const vt_resize_window all = vt_resize_whole(out.height, out.width);
            assert_int_equal(
                vt_resize_u8(out.pixels, out.stride, &image, &all, filter, vt_kernels_at(0), NULL),
                VT_OK);
            for (size_t y = 0; y < out.height; y++)
                for (size_t i = 0; i < 3 * out.width; i++)
                    assert_int_equal(out.pixels[y * out.stride + i], 201);
            free(out.pixels);
        }
    free(image.pixels);
}

/* A picture that fills its allocation to the last byte, so that ASan sees a read past it. */
static vt_image random_picture(size_t height, size_t width, uint32_t *seed) {
    const size_t bytes = 3 * width * height;
    vt_image image = {.width = width, .height = height, .stride = 3 * width};
    image.pixels = malloc(bytes);
    assert_non_null(image.pixels);
    for (size_t i = 0; i < bytes; i++) {
        *seed = *seed * 1664525 + 1013904223;
        /* Mostly the extremes, which carry sums out of range. */
        image.pixels[i] = (uint8_t)(*seed >> 30 == 0 ? *seed >> 16 : (*seed >> 30) % 2 ? 255 : 0);
    }
    return image;
}

/* Every table gives the bytes of the plain C, at sizes with all kinds of tails. */
static void test_kernels_agree(void **state) {
    (void)state;
    const vt_kernels *scalar, *kernels;
    uint32_t seed = 7;
    assert_int_equal(vt_kernels_select(&scalar, "scalar", NULL), VT_OK);
    for (size_t round = 0; round < 300; round++) {
        const size_t height = 1 + (seed >> 8) % 40, width = 1 + (seed >> 16) % 70;
        vt_image image = random_picture(height, width, &seed);
        const size_t h = 1 + (seed >> 8) % 60, w = 1 + (seed >> 16) % 60;
        const vt_resize_window part = {h, w, h / 5, w / 7, h - h / 5, w - w / 7};
        const vt_filter filter = (vt_filter)(round % VT_FILTER_COUNT);
        vt_image expected = alloc_image(part.height, part.width);
        assert_int_equal(
            vt_resize_u8(expected.pixels, expected.stride, &image, &part, filter, scalar, NULL),
            VT_OK);
        for (size_t i = 0; (kernels = vt_kernels_at(i)) != NULL; i++) {
            vt_image out = alloc_image(part.height, part.width);
            assert_int_equal(
                vt_resize_u8(out.pixels, out.stride, &image, &part, filter, kernels, NULL), VT_OK);
            if (count_differences(&out, &expected))
                fail_msg("%s, %s: %zux%zu to %zux%zu", kernels->name, vt_filter_name(filter),
                         height, width, h, w);
            free(out.pixels);
        }
        free(expected.pixels);
        free(image.pixels);
    }
}

static void test_names(void **state) {
    (void)state;
    for (vt_filter filter = 0; filter < VT_FILTER_COUNT; filter++)
        assert_int_equal(vt_filter_from_name(vt_filter_name(filter)), filter);
    assert_int_equal(vt_filter_from_name("cubic"), VT_FILTER_COUNT);
}

static void test_bad_arguments(void **state) {
    (void)state;
    vt_image image = read_primitive("pillow/in3_5x3.png");
    uint8_t out[3 * 16];
    const float levels[256] = {0};
    vt_error err = {0};
    const vt_resize_window none = {4, 4, 0, 0, 0, 4}, outside = {4, 4, 1, 0, 4, 4};
    const vt_resize_window all = vt_resize_whole(4, 4);
    const vt_image empty = {.height = 3, .pixels = image.pixels};
    assert_int_equal(vt_resize_u8(out, 12, &image, &none, VT_FILTER_BOX, vt_kernels_at(0), &err),
                     VT_ERR_ARGUMENT);
    assert_int_equal(vt_resize_u8(out, 12, &image, &outside, VT_FILTER_BOX, vt_kernels_at(0), &err),
                     VT_ERR_ARGUMENT);
    assert_string_equal(err.message, "window of 4x4 at 0,1 in 4x4");
    assert_int_equal(vt_resize_u8(out, 12, &empty, &all, VT_FILTER_BOX, vt_kernels_at(0), &err),
                     VT_ERR_ARGUMENT);
    assert_int_equal(vt_resize_u8(out, 12, &(vt_image){.pixels = image.pixels}, &all, VT_FILTER_BOX,
                                  vt_kernels_at(0), &err),
                     VT_ERR_ARGUMENT);
    const vt_image absent = {.width = 5, .height = 3, .stride = 15};
    assert_int_equal(vt_resize_u8(out, 12, &absent, &all, VT_FILTER_BOX, vt_kernels_at(0), &err),
                     VT_ERR_ARGUMENT);
    assert_string_equal(err.message, "image of 5x3 pixels: they are NULL");
    vt_resize plan = {0};
    assert_int_equal(vt_resize_plan(&plan, 3, 0, &all, VT_FILTER_BOX, NULL, &err), VT_ERR_ARGUMENT);
    assert_string_equal(err.message, "resize of 0x3 pixels to 4x4");
    assert_int_equal(vt_resize_plan(&plan, 3, 5, &all, VT_FILTER_LANCZOS, levels, &err),
                     VT_ERR_UNSUPPORTED);
    vt_resize_free(&plan);
    vt_image_free(&image);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pillow),        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_gap_untouched), cmocka_unit_test(test_flat),
        cmocka_unit_test(test_names),         cmocka_unit_test(test_kernels_agree),
        cmocka_unit_test(test_bad_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
