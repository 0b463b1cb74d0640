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
    vt_image image = {width, height, 3 * width + 5, NULL};
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
static vt_image resize_case(const json_t *test, vt_image *expected, vt_filter *filter) {
    vt_image image = read_primitive(json_string_value(json_object_get(test, "input")));
    *expected = read_primitive(json_string_value(json_object_get(test, "output")));
    *filter = filter_of(json_string_value(json_object_get(test, "filter")));
    const vt_resize_window all = vt_resize_whole(expected->height, expected->width);
    vt_image out = alloc_image(expected->height, expected->width);
    vt_error err = {0};
    if (vt_resize_u8(out.pixels, out.stride, &image, &all, *filter, &err))
        fail_msg("%s", err.message);
    vt_image_free(&image);
    return out;
}

static void test_pillow(void **state) {
    (void)state;
    json_t *index = json_load_file(PRIMITIVES "pillow.json", 0, NULL);
    const json_t *cases = json_object_get(index, "cases");
    size_t seen[VT_FILTER_COUNT] = {0}, i;
    json_t *test;
    json_array_foreach(cases, i, test) {
        vt_image expected;
        vt_filter filter;
        vt_image out = resize_case(test, &expected, &filter);
        const size_t wrong = count_differences(&out, &expected);
        if (wrong)
            fail_msg("%s: %zu bytes differ", json_string_value(json_object_get(test, "output")),
                     wrong);
        seen[filter]++;
        free(out.pixels);
        vt_image_free(&expected);
    }
    for (size_t filter = 0; filter < VT_FILTER_COUNT; filter++)
        assert_true(seen[filter] > 0);
    json_decref(index);
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
            assert_int_equal(vt_resize_u8(whole.pixels, whole.stride, &image, &all, filter, &err),
                             VT_OK);
            assert_int_equal(vt_resize_u8(cut.pixels, cut.stride, &image, &part, filter, &err),
                             VT_OK);
            const vt_image view = {part.width, part.height, whole.stride,
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
        assert_int_equal(vt_resize_u8(out.pixels, out.stride, &image, &all, filter, NULL), VT_OK);
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
            assert_int_equal(vt_resize_u8(out.pixels, out.stride, &image, &all, filter, NULL),
                             VT_OK);
            for (size_t y = 0; y < out.height; y++)
                for (size_t i = 0; i < 3 * out.width; i++)
                    assert_int_equal(out.pixels[y * out.stride + i], 201);
            free(out.pixels);
        }
    free(image.pixels);
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
    float floats[3 * 16];
    const float levels[256] = {0};
    vt_error err = {0};
    const vt_resize_window none = {4, 4, 0, 0, 0, 4}, outside = {4, 4, 1, 0, 4, 4};
    const vt_resize_window all = vt_resize_whole(4, 4);
    const vt_image empty = {0, 3, 0, image.pixels};
    assert_int_equal(vt_resize_u8(out, 12, &image, &none, VT_FILTER_BOX, &err), VT_ERR_ARGUMENT);
    assert_int_equal(vt_resize_u8(out, 12, &image, &outside, VT_FILTER_BOX, &err), VT_ERR_ARGUMENT);
    assert_string_equal(err.message, "window of 4x4 at 0,1 in 4x4");
    assert_int_equal(vt_resize_u8(out, 12, &empty, &all, VT_FILTER_BOX, &err), VT_ERR_ARGUMENT);
    assert_int_equal(vt_resize_f32(floats, &image, levels, &all, VT_FILTER_LANCZOS, &err),
                     VT_ERR_UNSUPPORTED);
    vt_image_free(&image);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pillow),        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_gap_untouched), cmocka_unit_test(test_flat),
        cmocka_unit_test(test_names),         cmocka_unit_test(test_bad_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
