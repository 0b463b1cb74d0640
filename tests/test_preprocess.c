/* SPDX-License-Identifier: MIT
 *
 * Preprocessing against timm and transformers: every case of golden/primitives/preprocess.json. The
 * bytes before normalisation are recovered from the expected floats and compared exactly.
 */
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vision/naflex.h"
#include "vision/preprocess.h"

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

/* A picture of one colour. */
static vt_image flat_image(size_t height, size_t width, uint8_t value) {
    vt_image image = {.width = width, .height = height, .stride = 3 * width};
    image.pixels = malloc(3 * width * height);
    assert_non_null(image.pixels);
    memset(image.pixels, value, 3 * width * height);
    return image;
}

static vt_preprocess config_of(const json_t *test) {
    const char *kind = json_string_value(json_object_get(test, "kind"));
    json_t *config = json_deep_copy(json_object_get(test, "config"));
    vt_preprocess preprocess;
    vt_error err = {0};
    vt_status status;
    if (strcmp(kind, "timm") == 0) {
        status = vt_preprocess_from_timm(&preprocess, config, &err);
    } else {
        /* Those of DINOv3 were made of torch's operations, and say so instead of naming a class. */
        const bool is_class = strstr(kind, "ImageProcessor") != NULL;
        json_object_set_new(config, "image_processor_type",
                            json_string(is_class ? kind : "DINOv3ViTImageProcessorFast"));
        status = vt_preprocess_from_hf(&preprocess, config, &err);
    }
    if (status)
        fail_msg("%s", err.message);
    json_decref(config);
    return preprocess;
}

typedef struct comparison {
    double max_error;
    size_t wrong_bytes, wrong_bits;
} comparison;

/* The byte that a normalised value was made of. */
static long byte_of(double value, double mean, double std) {
    return lround((value * std + mean) * 255);
}

static void compare_value(comparison *c, float found, float expected, double mean, double std) {
    const double error = fabs((double)found - (double)expected);
    c->max_error = error > c->max_error ? error : c->max_error;
    c->wrong_bytes += byte_of(found, mean, std) != byte_of(expected, mean, std);
    c->wrong_bits += memcmp(&found, &expected, sizeof found) != 0;
}

/* The golden tensors of NaFlex are the flattened patches. */
static comparison compare(const vt_preprocess *p, const vt_image *image,
                          const vt_tensor *expected) {
    comparison c = {0};
    const bool is_naflex = p->fit == VT_FIT_NAFLEX;
    size_t height = p->height, width = p->width;
    if (is_naflex)
        vt_naflex_size(&height, &width, image->height, image->width, p->patch_size,
                       p->max_num_patches);
    const size_t count = 3 * height * width;
    assert_true(expected->dtype == VT_DTYPE_F32);
    assert_true(expected->size >= count * sizeof(float));
    if (!is_naflex)
        assert_int_equal(expected->size, count * sizeof(float));
    float *pixels = malloc(count * sizeof *pixels), *patches = malloc(count * sizeof *patches);
    vt_error err = {0};
    if (vt_preprocess_run(p, pixels, image, height, width, vt_kernels_at(0), &err))
        fail_msg("%s", err.message);
    if (is_naflex)
        vt_naflex_flatten(patches, pixels, height, width, p->patch_size);
    const float *found = is_naflex ? patches : pixels;
    for (size_t i = 0; i < count; i++) {
        const size_t channel = is_naflex ? i % 3 : i / (height * width);
        compare_value(&c, found[i], ((const float *)expected->data)[i], (double)p->mean[channel],
                      (double)p->std[channel]);
    }
    free(pixels);
    free(patches);
    return c;
}

/* NaFlex has three tensors a case: the patches, which of them are there, and how many each way. */
static const vt_tensor *find_expected(const vt_tensor_file *file, const char *name,
                                      const char *suffix) {
    char full[128];
    snprintf(full, sizeof full, "%s%s", name, suffix);
    const vt_tensor *tensor = vt_tensor_file_find(file, full);
    if (!tensor)
        fail_msg("no tensor %s", full);
    return tensor;
}

static void check_naflex_shape(const vt_tensor_file *file, const char *name, const vt_preprocess *p,
                               const vt_image *image) {
    const int64_t *shape = find_expected(file, name, ".spatial_shapes")->data;
    size_t height, width;
    vt_naflex_size(&height, &width, image->height, image->width, p->patch_size, p->max_num_patches);
    assert_int_equal(height, (size_t)shape[0] * p->patch_size);
    assert_int_equal(width, (size_t)shape[1] * p->patch_size);
}

static void test_golden(void **state) {
    (void)state;
    vt_tensor_file *file;
    vt_error err = {0};
    if (vt_tensor_file_open(&file, PRIMITIVES "preprocess.safetensors", &err))
        fail_msg("%s", err.message);
    json_t *index = json_load_file(PRIMITIVES "preprocess.json", 0, NULL);
    size_t i, num_naflex = 0, num_floats = 0;
    json_t *test;
    json_array_foreach(json_object_get(index, "cases"), i, test) {
        const char *name = json_string_value(json_object_get(test, "tensor"));
        vt_image image = read_primitive(json_string_value(json_object_get(test, "input")));
        const vt_preprocess p = config_of(test);
        const bool is_naflex = p.fit == VT_FIT_NAFLEX;
        if (is_naflex)
            check_naflex_shape(file, name, &p, &image);
        const vt_tensor *expected = find_expected(file, name, is_naflex ? ".pixel_values" : "");
        const comparison c = compare(&p, &image, expected);
        const bool is_float =
            p.rescale == VT_RESCALE_FLOAT; /* between two bytes: no bytes to compare */
        if (getenv("VT_VERBOSE"))
            print_message("%-32s error %.3g, %zu bytes, %zu bits\n", name, c.max_error,
                          c.wrong_bytes, c.wrong_bits);
        if (c.max_error > 1e-6 || (c.wrong_bytes && !is_float))
            fail_msg("%s: error %g, %zu wrong bytes", name, c.max_error, c.wrong_bytes);
        if (!is_float)
            assert_int_equal(c.wrong_bits, 0);
        num_naflex += is_naflex;
        num_floats += is_float;
        vt_image_free(&image);
    }
    assert_true(i == json_array_size(json_object_get(index, "cases")) && i > 40);
    assert_true(num_naflex > 0 && num_floats > 0);
    json_decref(index);
    vt_tensor_file_close(file);
}

/* ---- configurations ----------------------------------------------------------------------- */

static json_t *parse(const char *text) {
    json_t *value = json_loads(text, 0, NULL);
    assert_non_null(value);
    return value;
}

static void check_hf(const char *text, size_t height, size_t width, const char *expected) {
    vt_preprocess p;
    vt_error err = {0};
    char line[512];
    json_t *config = parse(text);
    if (vt_preprocess_from_hf(&p, config, &err))
        fail_msg("%s", err.message);
    json_decref(config);
    vt_preprocess_describe(&p, line, sizeof line, height ? height : p.height,
                           width ? width : p.width);
    assert_string_equal(line, expected);
}

static void check_timm(const char *text, size_t height, size_t width, const char *expected) {
    vt_preprocess p;
    vt_error err = {0};
    char line[512];
    json_t *config = parse(text);
    if (vt_preprocess_from_timm(&p, config, &err))
        fail_msg("%s", err.message);
    json_decref(config);
    vt_preprocess_describe(&p, line, sizeof line, height ? height : p.height,
                           width ? width : p.width);
    assert_string_equal(line, expected);
}

static void test_timm_configs(void **state) {
    (void)state;
    check_timm("{}", 0, 0,
               "resize short edge to 256 (bicubic), centre crop 224x224, "
               "mean 0.485 0.456 0.406, std 0.229 0.224 0.225");
    check_timm("{\"crop_pct\": 0.9, \"input_size\": [3, 128, 128], \"mean\": [0.5, 0.5, 0.5], "
               "\"std\": [0.5, 0.5, 0.5], \"crop_mode\": null}",
               0, 0,
               "resize short edge to 142 (bicubic), centre crop 128x128, "
               "mean 0.5 0.5 0.5, std 0.5 0.5 0.5");
    check_timm("{\"crop_pct\": 0.9, \"mean\": [0.5], \"std\": 0.5}", 384, 384,
               "resize short edge to 426 (bicubic), centre crop 384x384, "
               "mean 0.5 0.5 0.5, std 0.5 0.5 0.5");
    check_timm("{\"crop_pct\": 1.0, \"crop_mode\": \"squash\", \"interpolation\": \"bilinear\"}", 0,
               0,
               "resize to 224x224 (bilinear), "
               "mean 0.485 0.456 0.406, std 0.229 0.224 0.225");
    check_timm("{\"crop_pct\": 0.9}", 36, 52,
               "resize to cover 40x57 (bilinear), centre crop 36x52, "
               "mean 0.485 0.456 0.406, std 0.229 0.224 0.225");
    check_timm("{\"crop_pct\": 1, \"crop_mode\": \"border\"}", 0, 0,
               "resize to fit into 224x224 (bicubic), centre crop 224x224, "
               "mean 0.485 0.456 0.406, std 0.229 0.224 0.225");
}

/* As published: google/vit-base-patch16-224, openai/clip-vit-base-patch32,
 * facebook/deit-base-distilled-patch16-224 and others, old and new. */
static void test_hf_configs(void **state) {
    (void)state;
    check_hf("{\"do_normalize\": true, \"do_resize\": true, \"image_mean\": [0.5, 0.5, 0.5], "
             "\"image_std\": [0.5, 0.5, 0.5], \"size\": 224}",
             0, 0, "resize to 224x224 (bilinear), mean 0.5 0.5 0.5, std 0.5 0.5 0.5");
    check_hf("{\"crop_size\": 224, \"do_center_crop\": true, \"resample\": 3, \"size\": 224, "
             "\"feature_extractor_type\": \"CLIPFeatureExtractor\"}",
             0, 0,
             "resize short edge to 224 (bicubic), centre crop 224x224, "
             "mean 0.481455 0.457828 0.408211, std 0.26863 0.261303 0.275777");
    check_hf("{\"feature_extractor_type\": \"DeiTFeatureExtractor\", \"size\": 256, "
             "\"crop_size\": 224, \"image_mean\": 0.5}",
             448, 448,
             "resize to 512x512 (bicubic), centre crop 448x448, "
             "mean 0.5 0.5 0.5, std 0.5 0.5 0.5");
    check_hf("{\"image_processor_type\": \"BitImageProcessor\", \"do_center_crop\": false, "
             "\"size\": {\"shortest_edge\": 256}, \"do_normalize\": false}",
             0, 0, "resize short edge to 256 (bicubic), centre crop 256x256, not normalised");
    check_hf("{\"image_processor_type\": \"BeitImageProcessor\", \"do_resize\": false, "
             "\"do_rescale\": false, \"do_normalize\": false}",
             0, 0, "no resize, centre crop 224x224, no rescale, not normalised");
    check_hf("{\"image_processor_type\": \"ViTImageProcessorFast\", \"size\": [32, 64], "
             "\"resample\": 1, \"rescale_factor\": 0.00784313725490196, "
             "\"do_center_crop\": true}",
             0, 0,
             "resize to 32x64 (lanczos), rescale by 0.00784314, "
             "mean 0.5 0.5 0.5, std 0.5 0.5 0.5");
    check_hf("{\"image_processor_type\": \"DINOv3ViTImageProcessorFast\"}", 0, 0,
             "resize to 224x224 (bilinear), resized as floats, "
             "mean 0.485 0.456 0.406, std 0.229 0.224 0.225");
    check_hf("{\"image_processor_type\": \"Siglip2ImageProcessor\"}", 256, 256,
             "resize to at most 256 patches of 16x16 (bilinear), "
             "mean 0.5 0.5 0.5, std 0.5 0.5 0.5");
    check_hf("{\"image_processor_type\": \"SiglipImageProcessor\", "
             "\"size\": {\"height\": 384, \"width\": 384}}",
             512, 512, "resize to 512x512 (bicubic), mean 0.5 0.5 0.5, std 0.5 0.5 0.5");
}

static void check_bad(bool timm, const char *text, vt_status expected, const char *message) {
    vt_preprocess p;
    vt_error err = {0};
    json_t *config = parse(text);
    const vt_status status =
        timm ? vt_preprocess_from_timm(&p, config, &err) : vt_preprocess_from_hf(&p, config, &err);
    json_decref(config);
    assert_string_equal(err.message, message);
    assert_int_equal(status, expected);
}

static void test_bad_configs(void **state) {
    (void)state;
    check_bad(true, "{\"interpolation\": \"cubic\"}", VT_ERR_UNSUPPORTED,
              "config.json: pretrained_cfg: \"interpolation\": cubic");
    check_bad(true, "{\"input_size\": [1, 28, 28]}", VT_ERR_UNSUPPORTED,
              "config.json: pretrained_cfg: \"input_size\": expected [3, height, width]");
    check_bad(true, "{\"mean\": [0.5, 0.5]}", VT_ERR_UNSUPPORTED,
              "config.json: pretrained_cfg: \"mean\": not of three channels");
    check_bad(true, "{\"std\": [0.5, 0, 0.5]}", VT_ERR_FORMAT,
              "config.json: pretrained_cfg: \"std\": expected positive numbers");
    check_bad(true, "{\"crop_pct\": -1}", VT_ERR_FORMAT,
              "config.json: pretrained_cfg: \"crop_pct\": expected a fraction");
    check_bad(true, "{\"crop_pct\": 1e-9}", VT_ERR_LIMIT,
              "config.json: pretrained_cfg: \"crop_pct\": input_size over it is more than 2^20 "
              "pixels");
    check_bad(true, "{\"input_size\": [3, 9223372036854775807, 1]}", VT_ERR_LIMIT,
              "config.json: pretrained_cfg: \"crop_pct\": input_size over it is more than 2^20 "
              "pixels");
    check_bad(false,
              "{\"image_processor_type\": \"ViTImageProcessor\", \"size\": {\"height\": 224, "
              "\"width\": 1048577}}",
              VT_ERR_LIMIT, "preprocessor_config.json: \"size\": a side of more than 2^20 pixels");
    check_bad(false, "{\"image_processor_type\": \"DetrImageProcessor\"}", VT_ERR_UNSUPPORTED,
              "preprocessor_config.json: \"image_processor_type\": DetrImageProcessor");
    check_bad(false, "{\"size\": {\"longest_edge\": 224}}", VT_ERR_UNSUPPORTED,
              "preprocessor_config.json: \"size\": neither shortest_edge nor height and width");
    check_bad(false, "{\"resample\": 6}", VT_ERR_UNSUPPORTED,
              "preprocessor_config.json: \"resample\": not one of Pillow's filters");
    check_bad(false,
              "{\"image_processor_type\": \"CLIPImageProcessor\", \"crop_size\": {\"height\": 0, "
              "\"width\": 8}}",
              VT_ERR_UNSUPPORTED, "preprocessor_config.json: \"crop_size\": no height and width");
    check_bad(false,
              "{\"image_processor_type\": \"Siglip2ImageProcessor\", \"max_num_patches\": 0}",
              VT_ERR_FORMAT, "preprocessor_config.json: \"max_num_patches\": no patches");
    check_bad(false, "{\"image_processor_type\": \"DINOv3ViTImageProcessorFast\", \"resample\": 1}",
              VT_ERR_UNSUPPORTED,
              "preprocessor_config.json: \"resample\": floats are resized bilinear or bicubic");
    check_bad(false, "{\"do_resize\": 1}", VT_ERR_FORMAT,
              "preprocessor_config.json: \"do_resize\": expected true or false, found 1");
    check_bad(false, "{\"image_mean\": \"imagenet\"}", VT_ERR_FORMAT,
              "preprocessor_config.json: \"image_mean\": expected numbers");
}

/* ---- geometry ----------------------------------------------------------------------------- */

/* A configuration that crops and does nothing else. */
static vt_preprocess crop_only(vt_crop_rule rule) {
    return (vt_preprocess){.center_crop = true, .crop_rule = rule};
}

/* Where the crop of a picture begins whose rows count up. */
static float first_row_kept(size_t size, size_t crop, vt_crop_rule rule) {
    vt_image image = flat_image(size, 4, 0);
    float pixels[3 * 16 * 4];
    for (size_t y = 0; y < size; y++)
        memset(image.pixels + y * image.stride, (int)y + 1, image.stride);
    const vt_preprocess p = crop_only(rule);
    assert_int_equal(vt_preprocess_run(&p, pixels, &image, crop, 4, vt_kernels_at(0), NULL), VT_OK);
    free(image.pixels);
    size_t pad = 0;
    while (pixels[4 * pad] == 0)
        pad++;
    return pad ? -(float)pad : pixels[0] - 1;
}

static void test_crop_rounding(void **state) {
    (void)state;
    assert_true(first_row_kept(7, 4, VT_CROP_TORCHVISION) == 2); /* round(1.5) */
    assert_true(first_row_kept(7, 4, VT_CROP_HF) == 1);
    assert_true(first_row_kept(9, 4, VT_CROP_TORCHVISION) == 2); /* round(2.5): half to even */
    assert_true(first_row_kept(9, 4, VT_CROP_HF) == 2);
    assert_true(first_row_kept(8, 4, VT_CROP_HF) == 2);
    assert_true(first_row_kept(4, 7, VT_CROP_TORCHVISION) == -1); /* padding */
    assert_true(first_row_kept(4, 7, VT_CROP_HF) == -2);
}

static void test_wrong_size(void **state) {
    (void)state;
    vt_image image = flat_image(6, 5, 1), empty = {0};
    float pixels[3 * 8 * 8];
    vt_error err = {0};
    vt_preprocess p = {0};
    assert_int_equal(vt_preprocess_run(&p, pixels, &image, 6, 5, vt_kernels_at(0), &err), VT_OK);
    assert_true(pixels[0] == 1);
    assert_int_equal(vt_preprocess_run(&p, pixels, &image, 8, 8, vt_kernels_at(0), &err),
                     VT_ERR_SHAPE);
    assert_string_equal(err.message,
                        "preprocessing neither resizes nor crops: expected 8x8 pixels, "
                        "found 6x5");
    assert_int_equal(vt_preprocess_run(&p, pixels, &empty, 8, 8, vt_kernels_at(0), &err),
                     VT_ERR_ARGUMENT);
    free(image.pixels);
}

/* One pixel wide and very long: neither a division by zero nor a picture of no width. */
static void test_extreme_aspect(void **state) {
    (void)state;
    const char *modes[] = {"center", "squash", "border"};
    vt_image image = flat_image(5000, 1, 128);
    float pixels[3 * 16 * 24];
    vt_error err = {0};
    for (size_t i = 0; i < 3; i++)
        for (size_t width = 16; width <= 24; width += 8) {
            vt_preprocess p;
            json_t *config = json_pack("{s:s}", "crop_mode", modes[i]);
            assert_int_equal(vt_preprocess_from_timm(&p, config, &err), VT_OK);
            json_decref(config);
            if (vt_preprocess_run(&p, pixels, &image, 16, width, vt_kernels_at(0), &err))
                fail_msg("%s: %s", modes[i], err.message);
        }
    free(image.pixels);
}

/* 333x1000 resized to a short edge of 10 is 30 wide; 42x125, an eighth of it rounded up, would
 * be 29. */
static void test_shrunk_picture_keeps_its_geometry(void **state) {
    (void)state;
    vt_image image = flat_image(42, 125, 255);
    float pixels[3 * 10 * 30];
    const vt_preprocess p = {.height = 10,
                             .width = 30,
                             .fit = VT_FIT_SHORT_EDGE,
                             .resize_height = 10,
                             .resize_width = 10,
                             .filter = VT_FILTER_BILINEAR,
                             .center_crop = true};
    for (int shrunk = 0; shrunk <= 1; shrunk++) {
        size_t num_padded = 0;
        image.full_height = shrunk ? 333 : 0;
        image.full_width = shrunk ? 1000 : 0;
        assert_int_equal(vt_preprocess_run(&p, pixels, &image, 10, 30, vt_kernels_at(0), NULL),
                         VT_OK);
        for (size_t i = 0; i < 3 * 10 * 30; i++)
            num_padded += pixels[i] == 0;
        assert_int_equal(num_padded, shrunk ? 0 : 3 * 10);
    }
    free(image.pixels);
}

/* Twice the size of the resize; the longer one both ways where pictures keep their aspect. */
static void test_shrink_size(void **state) {
    (void)state;
    vt_preprocess p = {.height = 224, .width = 320, .resize_height = 224, .resize_width = 320};
    static const size_t expected[][2] = {[VT_FIT_NONE] = {0, 0},
                                         [VT_FIT_SHORT_EDGE] = {640, 640},
                                         [VT_FIT_STRETCH] = {448, 640},
                                         [VT_FIT_CONTAIN] = {640, 640},
                                         [VT_FIT_NAFLEX] = {640, 640}};
    for (size_t fit = 0; fit <= VT_FIT_NAFLEX; fit++) {
        size_t min_height = 1, min_width = 1;
        p.fit = (vt_fit)fit;
        vt_preprocess_shrink_size(&p, 224, 320, &min_height, &min_width);
        assert_int_equal(min_height, expected[fit][0]);
        assert_int_equal(min_width, expected[fit][1]);
    }
}

static void test_naflex_size(void **state) {
    (void)state;
    /* transformers 4.57, get_image_size_for_max_num_patches */
    const size_t cases[][6] = {{75, 113, 8, 40, 40, 64},
                               {480, 640, 16, 256, 224, 288},
                               {1, 1, 16, 256, 112, 112},
                               {10, 4000, 16, 256, 16, 4096}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t height, width;
        vt_naflex_size(&height, &width, cases[i][0], cases[i][1], cases[i][2], cases[i][3]);
        assert_int_equal(height, cases[i][4]);
        assert_int_equal(width, cases[i][5]);
    }
}

static void test_describe_is_cut(void **state) {
    (void)state;
    vt_preprocess p;
    char line[16];
    assert_int_equal(vt_preprocess_from_timm(&p, NULL, NULL), VT_OK);
    vt_preprocess_describe(&p, line, sizeof line, 224, 224);
    assert_string_equal(line, "resize short ed");
    vt_preprocess_describe(&p, line, 0, 224, 224);
    assert_string_equal(line, "resize short ed");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_timm_configs),
        cmocka_unit_test(test_hf_configs),
        cmocka_unit_test(test_bad_configs),
        cmocka_unit_test(test_crop_rounding),
        cmocka_unit_test(test_wrong_size),
        cmocka_unit_test(test_extreme_aspect),
        cmocka_unit_test(test_naflex_size),
        cmocka_unit_test(test_describe_is_cut),
        cmocka_unit_test(test_shrink_size),
        cmocka_unit_test(test_shrunk_picture_keeps_its_geometry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
