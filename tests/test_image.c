/* SPDX-License-Identifier: MIT
 *
 * Decoding: every pair of golden/primitives/decode.json and of images/index.json (tools/golden/
 * images.py) to the byte; limits; damage.
 */
#include <inttypes.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mapfile.h"
#include "formats/decoders.h"
#include "formats/image.h"
#include "vision/resize.h"

#define PRIMITIVES VT_TEST_DATA "/golden/primitives/"
#define IMAGES VT_TEST_DATA "/images/"

/* ---- pairs -------------------------------------------------------------------------------- */

static vt_image read_image(const char *folder, const char *name, const vt_image_options *options) {
    char path[1024];
    vt_image image = {0};
    vt_error err = {0};
    snprintf(path, sizeof path, "%s%s", folder, name);
    if (vt_image_read(&image, path, options, &err))
        fail_msg("%s", err.message);
    return image;
}

static void assert_same(const vt_image *found, const vt_image *expected, const char *name) {
    size_t count = 0;
    if (found->width != expected->width || found->height != expected->height)
        fail_msg("%s: %zux%zu pixels, not %zux%zu", name, found->width, found->height,
                 expected->width, expected->height);
    for (size_t y = 0; y < found->height; y++)
        for (size_t i = 0; i < 3 * found->width; i++)
            count +=
                found->pixels[y * found->stride + i] != expected->pixels[y * expected->stride + i];
    if (count)
        fail_msg("%s: %zu bytes differ", name, count);
}

static size_t check_pairs(const char *folder, const char *index_path,
                          const vt_image_options *options) {
    json_t *index = json_load_file(index_path, 0, NULL);
    size_t i;
    json_t *test;
    json_array_foreach(json_object_get(index, "cases"), i, test) {
        const char *name = json_string_value(json_object_get(test, "input"));
        vt_image found = read_image(folder, name, options);
        vt_image expected =
            read_image(folder, json_string_value(json_object_get(test, "rgb")), NULL);
        assert_same(&found, &expected, name);
        vt_image_free(&found);
        vt_image_free(&expected);
    }
    json_decref(index);
    return i;
}

static void test_golden(void **state) {
    (void)state;
    vt_image_options options = VT_IMAGE_OPTIONS_INIT;
    options.drop_alpha = true; /* decode.json: "alpha is dropped, not composited" */
    assert_int_equal(check_pairs(PRIMITIVES, PRIMITIVES "decode.json", &options), 11);
}

static void test_formats(void **state) {
    (void)state;
    assert_int_equal(check_pairs(IMAGES, IMAGES "index.json", NULL), 64);
}

/* ---- options ------------------------------------------------------------------------------ */

static void test_background(void **state) {
    (void)state;
    vt_image_options options = VT_IMAGE_OPTIONS_INIT;
    options.use_background = true;
    options.background[2] = 200;
    vt_image image = read_image(IMAGES, "rgba8.png", &options);
    const uint8_t expected[3] = {0, 0, 200}; /* the left columns are transparent */
    assert_memory_equal(image.pixels, expected, 3);
    vt_image_free(&image);
}

static void test_ignore_orientation(void **state) {
    (void)state;
    vt_image_options options = VT_IMAGE_OPTIONS_INIT;
    options.ignore_orientation = true;
    vt_image upright = read_image(IMAGES, "orientation1.jpg", NULL);
    vt_image turned = read_image(IMAGES, "orientation6.jpg", &options);
    assert_same(&turned, &upright, "orientation6.jpg");
    vt_image_free(&upright);
    vt_image_free(&turned);
}

static void check_refused(const char *name, const vt_image_options *options, vt_status expected,
                          const char *message) {
    char path[1024];
    vt_image image;
    vt_error err = {0};
    snprintf(path, sizeof path, IMAGES "%s", name);
    assert_int_equal(vt_image_read(&image, path, options, &err), expected);
    assert_int_equal(err.code, expected);
    assert_null(image.pixels);
    assert_true(strncmp(err.message, path, strlen(path)) == 0);
    assert_string_equal(err.message + strlen(path), message);
}

static void test_limits(void **state) {
    (void)state;
    vt_image_options options = VT_IMAGE_OPTIONS_INIT;
    check_refused("huge.png", NULL, VT_ERR_LIMIT,
                  ": image of 100000x100000 pixels is over the limit of 268435456 pixels");
    options.max_pixels = 13 * 19 - 1;
    const char *names[] = {"rgb8.png",      "orientation1.jpg", "lossless.webp", "plain.gif",
                           "animated.webp", "rgb24.bmp",        "rgb24.tga",     "rgb.psd",
                           "rgb.ppm",       "light.hdr"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        check_refused(names[i], &options, VT_ERR_LIMIT,
                      ": image of 19x13 pixels is over the limit of 246 pixels");
    options.max_pixels++;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        vt_image image = read_image(IMAGES, names[i], &options);
        vt_image_free(&image);
    }
    options.max_bytes = 100;
    check_refused("rgb8.png", &options, VT_ERR_LIMIT, ": over the limit of 100 bytes");
    vt_image image;
    vt_error err = {0};
    const uint8_t bytes[101] = {0};
    assert_int_equal(vt_image_decode(&image, bytes, 101, &options, &err), VT_ERR_LIMIT);
    assert_string_equal(err.message, "101 bytes are over the limit of 100 bytes");
}

/* A program built when the struct ended after max_bytes. */
static void test_older_options(void **state) {
    (void)state;
    vt_image_options options;
    memset(&options, 0xFF, sizeof options);
    options.struct_size = offsetof(vt_image_options, background);
    options.max_pixels = options.max_bytes = 0;
    vt_image found = read_image(IMAGES, "rgba8.png", &options);
    vt_image expected = read_image(IMAGES, "rgba8_png_rgb.png", NULL);
    assert_same(&found, &expected, "rgba8.png");
    vt_image_free(&found);
    vt_image_free(&expected);
}

/* ---- shrink on load ----------------------------------------------------------------------- */

typedef struct shrunk {
    const char *name;
    size_t min_width, min_height, width, height; /* upright */
} shrunk;

static void check_shrunk(const shrunk *expected, bool ignore_orientation, size_t full_width,
                         size_t full_height) {
    vt_image_options options = VT_IMAGE_OPTIONS_INIT;
    options.min_width = expected->min_width;
    options.min_height = expected->min_height;
    options.ignore_orientation = ignore_orientation;
    vt_image image = read_image(IMAGES, expected->name, &options);
    if (image.width != expected->width || image.height != expected->height)
        fail_msg("%s, at least %zux%zu: %zux%zu", expected->name, expected->min_width,
                 expected->min_height, image.width, image.height);
    assert_int_equal(image.full_width, full_width);
    assert_int_equal(image.full_height, full_height);
    vt_image_free(&image);
}

/* 1/8, 1/4 or 1/2, sizes rounded up, that has the pixels; or the whole. */
static void test_shrunk_size(void **state) {
    (void)state;
    static const shrunk cases[] = {
        {"baseline420.jpg", 1, 1, 9, 6},
        {"baseline420.jpg", 9, 6, 9, 6},
        {"baseline420.jpg", 10, 6, 17, 12},
        {"baseline420.jpg", 9, 7, 17, 12},
        {"baseline444.jpg", 17, 12, 17, 12},
        {"baseline444.jpg", 18, 0, 34, 23},
        {"progressive.jpg", 0, 13, 34, 23},
        {"gray.jpg", 34, 23, 34, 23},
        {"cmyk.jpg", 30, 20, 34, 23},
        {"ycck.jpg", 8, 5, 9, 6},
        {"baseline420.jpg", 35, 1, 67, 45},
        {"baseline420.jpg", 1, 24, 67, 45},
        {"baseline420.jpg", 1000, 1, 67, 45},
        {"baseline420.jpg", 0, 0, 67, 45},
        {"cmyk.jpg", SIZE_MAX, SIZE_MAX, 67, 45},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_shrunk(&cases[i], false, 67, 45);
    /* Only JPEG. */
    check_shrunk(&(shrunk){"rgb8.png", 1, 1, 19, 13}, false, 19, 13);
    check_shrunk(&(shrunk){"lossless.webp", 1, 1, 19, 13}, false, 19, 13);
}

/* Stored 19x13; the size asked for is that of the picture as it is to be seen. */
static void test_shrunk_orientation(void **state) {
    (void)state;
    for (char orientation = '1'; orientation <= '8'; orientation++) {
        char name[] = "orientation?.jpg";
        name[strlen("orientation")] = orientation;
        const bool on_its_side = orientation >= '5';
        const shrunk lying = {name, 10, 7, 10, 7}, standing = {name, 7, 10, 7, 10};
        check_shrunk(on_its_side ? &standing : &lying, false, on_its_side ? 13 : 19,
                     on_its_side ? 19 : 13);
        check_shrunk(&lying, true, 19, 13);
    }
}

static double mean_difference(const vt_image *a, const vt_image *b) {
    double sum = 0;
    assert_int_equal(a->width, b->width);
    assert_int_equal(a->height, b->height);
    for (size_t y = 0; y < a->height; y++)
        for (size_t i = 0; i < 3 * a->width; i++)
            sum += abs(a->pixels[y * a->stride + i] - b->pixels[y * b->stride + i]);
    return sum / (double)(3 * a->width * a->height);
}

/* A shrunk photograph is about the whole one averaged over squares. */
static void test_shrunk_pixels(void **state) {
    (void)state;
    const char *folder = VT_SOURCE_DIR "/images/photos/", *name = "hubble_deep_field.jpg";
    vt_image whole = read_image(folder, name, NULL);
    for (size_t shrink = 2; shrink <= 8; shrink *= 2) {
        vt_image_options options = VT_IMAGE_OPTIONS_INIT;
        options.min_width = whole.width / shrink;
        options.min_height = whole.height / shrink;
        vt_image found = read_image(folder, name, &options);
        vt_image averaged = {.width = whole.width / shrink, .height = whole.height / shrink};
        averaged.stride = 3 * averaged.width;
        averaged.pixels = malloc(averaged.stride * averaged.height);
        const vt_resize_window all = vt_resize_whole(averaged.height, averaged.width);
        assert_int_equal(vt_resize_u8(averaged.pixels, averaged.stride, &whole, &all, VT_FILTER_BOX,
                                      vt_kernels_at(0), NULL),
                         VT_OK);
        const double difference = mean_difference(&found, &averaged);
        if (difference > 1.5)
            fail_msg("1/%zu: %.3f levels", shrink, difference);
        free(averaged.pixels);
        vt_image_free(&found);
    }
    vt_image_free(&whole);
}

/* The limit is on the picture in the file, and a cut one is refused at any scale. */
static void test_shrunk_refused(void **state) {
    (void)state;
    vt_image_options options = VT_IMAGE_OPTIONS_INIT;
    options.min_width = options.min_height = 1;
    options.max_pixels = 13 * 19 - 1;
    check_refused("orientation1.jpg", &options, VT_ERR_LIMIT,
                  ": image of 19x13 pixels is over the limit of 246 pixels");
    options.max_pixels = 0;
    vt_mapfile file;
    vt_image image;
    vt_error err = {0};
    assert_int_equal(vt_mapfile_open(&file, IMAGES "baseline420.jpg", 0, &err), VT_OK);
    assert_int_equal(vt_image_decode(&image, file.data, file.size - 40, &options, &err),
                     VT_ERR_FORMAT);
    assert_non_null(strstr(err.message, "truncated"));
    vt_mapfile_close(&file);
}

/* ---- what is no image --------------------------------------------------------------------- */

static void check_bytes(const void *bytes, size_t size, const char *message) {
    vt_image image;
    vt_error err = {0};
    assert_int_equal(vt_image_decode(&image, bytes, size, NULL, &err), VT_ERR_FORMAT);
    assert_string_equal(err.message, message);
    assert_null(image.pixels);
}

static void test_not_images(void **state) {
    (void)state;
    check_bytes("", 0, "empty: no bytes to decode");
    check_bytes("hello, world", 12,
                "not a PNG, JPEG, WebP, GIF, BMP, TGA, PSD, binary PNM or HDR image: "
                "starts with 0x68656c6c6f2c2077");
    check_bytes("\x01", 1,
                "not a PNG, JPEG, WebP, GIF, BMP, TGA, PSD, binary PNM or HDR image: "
                "starts with 0x01");
    assert_int_equal(vt_image_sniff("P3 1 1 255 0 0 0", 16), VT_IMAGE_UNKNOWN);
}

/* What stb_image of Debian 12 lets overflow, or reads past: headers of PNM. */
static void test_pnm_headers(void **state) {
    static const struct {
        const char *text;
        vt_status status;
        const char *part;
    } cases[] = {
        {"P5 1 1 255 x", VT_OK, ""},
        {"P5#a\n 1#b\r1 #c\n#d\n0255 x", VT_OK, ""},
        {"P5 1 1 256 xx", VT_ERR_UNSUPPORTED, "up to 256"},
        {"P6 1 1 65535 xxxxxx", VT_ERR_UNSUPPORTED, "up to 65535"},
        {"P5 1#65535\n1 255 x", VT_OK, ""},
        {"P5 2147483648 1 255 x", VT_ERR_LIMIT, "2147483647"},
        {"P5 1 18446744073709551617 255 x", VT_ERR_LIMIT, "2147483647"},
        {"P6 1 1 4294967551 xxx", VT_ERR_LIMIT, "2147483647"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        vt_error err = {0};
        vt_image image;
        vt_status status =
            vt_image_decode(&image, cases[i].text, strlen(cases[i].text), NULL, &err);
        if (status != cases[i].status || !strstr(err.message, cases[i].part))
            fail_msg("%s: %s: %s", cases[i].text, vt_status_name(status), err.message);
        vt_image_free(&image);
    }
}

static void test_files(void **state) {
    (void)state;
    vt_image image;
    vt_error err = {0};
    assert_int_equal(vt_image_read(&image, "/nonexistent/x.png", NULL, &err), VT_ERR_IO);
    assert_string_equal(err.message, "/nonexistent/x.png: No such file or directory");
    assert_int_equal(vt_image_read(&image, VT_TEST_DATA, NULL, &err), VT_ERR_IO);
    assert_string_equal(err.message, VT_TEST_DATA ": Is a directory");
    assert_int_equal(vt_image_read(&image, "/dev/null", NULL, &err), VT_ERR_FORMAT);
    assert_string_equal(err.message, "/dev/null: empty: no bytes to decode");
}

/* A pipe as standard input: more than one read, and the limit while reading. */
static void test_standard_input(void **state) {
    (void)state;
    char command[1024];
    vt_mapfile file, piped;
    vt_error err = {0};
    assert_int_equal(vt_mapfile_open(&file, PRIMITIVES "preprocess.safetensors", 0, &err), VT_OK);
    assert_true(file.mapped);
    snprintf(command, sizeof command, "cat '%s'", PRIMITIVES "preprocess.safetensors");
    const int saved = dup(STDIN_FILENO);
    FILE *pipe = popen(command, "r");
    dup2(fileno(pipe), STDIN_FILENO);
    assert_int_equal(vt_mapfile_open(&piped, "-", 0, &err), VT_OK);
    pclose(pipe);
    assert_false(piped.mapped);
    assert_int_equal(piped.size, file.size);
    assert_memory_equal(piped.data, file.data, file.size);

    pipe = popen(command, "r");
    dup2(fileno(pipe), STDIN_FILENO);
    vt_mapfile none;
    assert_int_equal(vt_mapfile_open(&none, "-", 100000, &err), VT_ERR_LIMIT);
    assert_string_equal(err.message, "standard input: over the limit of 100000 bytes");
    assert_null(none.data);
    dup2(saved, STDIN_FILENO);
    close(saved);
    pclose(pipe);
    vt_mapfile_close(&none);
    vt_mapfile_close(&piped);
    vt_mapfile_close(&file);
    assert_null(file.data);
}

static void test_exif(void **state) {
    (void)state;
    const uint8_t little[] = "II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0";
    const uint8_t far[] = "MM\0*\xff\xff\xff\xff";
    assert_int_equal(vt_exif_orientation(little, sizeof little - 1), 6);
    for (size_t size = 0; size < sizeof little - 1; size++) {
        uint8_t *copy = malloc(size ? size : 1); /* so that ASan sees a read past the end */
        memcpy(copy, little, size);
        assert_int_equal(vt_exif_orientation(copy, size), 1);
        free(copy);
    }
    assert_int_equal(vt_exif_orientation(far, 8), 1);
}

/* ---- damage ------------------------------------------------------------------------------- */

typedef void damage_fn(const char *name, const vt_mapfile *file);

static void for_each_fixture(damage_fn *damage) {
    json_t *index = json_load_file(IMAGES "index.json", 0, NULL);
    size_t i;
    json_t *test;
    json_array_foreach(json_object_get(index, "cases"), i, test) {
        const char *name = json_string_value(json_object_get(test, "input"));
        char path[1024];
        vt_mapfile file;
        vt_error err = {0};
        snprintf(path, sizeof path, IMAGES "%s", name);
        if (vt_mapfile_open(&file, path, 0, &err))
            fail_msg("%s", err.message);
        damage(name, &file);
        vt_mapfile_close(&file);
    }
    assert_true(i > 0);
    json_decref(index);
}

/* Decodes a copy of exactly that size, so that ASan sees a read past the end. */
static vt_status decode_copy(const uint8_t *bytes, size_t size, vt_error *err) {
    uint8_t *copy = malloc(size);
    vt_image image;
    memcpy(copy, bytes, size);
    *err = (vt_error){0};
    const vt_image_options options = {.struct_size = sizeof options, .max_pixels = 1 << 16};
    const vt_status status = vt_image_decode(&image, copy, size, &options, err);
    assert_int_equal(status, err->code);
    assert_true(status != VT_ERR_INTERNAL);
    if (status)
        assert_true(err->message[0] && !image.pixels && !strchr(err->message, '\n'));
    vt_image_free(&image);
    free(copy);
    return status;
}

static bool ends_with(const char *text, const char *end) {
    const size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

static void cut(const char *name, const vt_mapfile *file) {
    const bool is_gif = ends_with(name, ".gif"), is_tga = ends_with(name, ".tga");
    const bool says_so = ends_with(name, ".png") || ends_with(name, ".jpg") ||
                         ends_with(name, ".webp") || ends_with(name, ".bmp");
    const size_t step = file->size / 64 + 1;
    for (size_t size = 1; size < file->size; size += size + step < file->size ? step : 1) {
        vt_error err;
        const vt_status status = decode_copy(file->data, size, &err);
        /* Behind the pixels a GIF has its end mark and later frames, a TGA nothing that counts. */
        if (!status && (is_gif || is_tga) && size > file->size / 3)
            continue;
        if (status != VT_ERR_FORMAT)
            fail_msg("%s cut to %zu bytes: status %d", name, size, (int)status);
        if (says_so && size >= 32 && !strstr(err.message, "truncated"))
            fail_msg("%s cut to %zu bytes: %s", name, size, err.message);
    }
}

static void test_cut(void **state) {
    (void)state;
    for_each_fixture(cut);
}

/* Any outcome but a crash, a leak or an internal error. */
static void flip(const char *name, const vt_mapfile *file) {
    uint8_t *bytes = malloc(file->size);
    uint32_t random = 12345;
    size_t num_decoded = 0;
    (void)name;
    for (size_t round = 0; round < 60; round++) {
        memcpy(bytes, file->data, file->size);
        for (size_t i = 0; i <= round % 3; i++) {
            random = random * 1664525 + 1013904223;
            const size_t span = round % 2 ? file->size : file->size < 64 ? file->size : 64;
            bytes[(random >> 8) % span] ^= (uint8_t)(1u << (random >> 5) % 8);
        }
        vt_error err;
        num_decoded += decode_copy(bytes, file->size, &err) == VT_OK;
    }
    assert_true(num_decoded < 60);
    free(bytes);
}

/* A scan takes as long as the picture is large, whatever little it brings: a file may have many. */
static void test_many_scans(void **state) {
    enum { SCANS = 600 };
    (void)state;
    vt_mapfile file;
    vt_image image;
    vt_error err = {0};
    size_t begin = 0, end, used;
    assert_int_equal(vt_mapfile_open(&file, IMAGES "progressive.jpg", SIZE_MAX, NULL), VT_OK);
    while (file.data[begin] != 0xFF || file.data[begin + 1] != 0xDA)
        begin++;
    for (end = begin + 2; file.data[end] != 0xFF || file.data[end + 1] == 0;)
        end++;
    const size_t scan = end - begin, most = file.size + SCANS * scan;
    uint8_t *bytes = malloc(most);
    assert_non_null(bytes);
    memcpy(bytes, file.data, end);
    for (used = end; used < end + SCANS * scan; used += scan)
        memcpy(bytes + used, file.data + begin, scan);
    memcpy(bytes + used, file.data + end, file.size - end);
    assert_int_equal(vt_image_decode(&image, bytes, most, NULL, &err), VT_ERR_LIMIT);
    assert_string_equal(err.message, "JPEG: over 500 scans");
    free(bytes);
    vt_mapfile_close(&file);
}

static void test_flip(void **state) {
    (void)state;
    for_each_fixture(flip);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_background),    cmocka_unit_test(test_ignore_orientation),
        cmocka_unit_test(test_limits),        cmocka_unit_test(test_older_options),
        cmocka_unit_test(test_shrunk_size),   cmocka_unit_test(test_shrunk_orientation),
        cmocka_unit_test(test_shrunk_pixels), cmocka_unit_test(test_shrunk_refused),
        cmocka_unit_test(test_not_images),    cmocka_unit_test(test_pnm_headers),
        cmocka_unit_test(test_files),         cmocka_unit_test(test_standard_input),
        cmocka_unit_test(test_exif),          cmocka_unit_test(test_cut),
        cmocka_unit_test(test_many_scans),    cmocka_unit_test(test_flip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
