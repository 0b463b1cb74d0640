/* SPDX-License-Identifier: MIT
 *
 * Models of random weights: the architectures of timm, down to the number of parameters, and the
 * same values each time.
 */
#include "support.h"

#include <math.h>
#include <string.h>

typedef struct expected_model {
    const char *arch;
    size_t num_parameters; /* of timm's model of that name */
    size_t width, depth, num_heads, num_prefix_tokens, image_size, num_classes;
    const char *pooling;
} expected_model;

static const expected_model models[] = {
    {"vit_tiny_patch16_224", 5717416, 192, 12, 3, 1, 224, 1000, "class token"},
    {"vit_tiny_patch16_384", 5790376, 192, 12, 3, 1, 384, 1000, "class token"},
    {"deit_small_patch16_224", 22050664, 384, 12, 6, 1, 224, 1000, "class token"},
    {"deit3_small_patch16_224", 22059496, 384, 12, 6, 1, 224, 1000, "class token"},
    {"vit_small_patch14_dinov2", 22056192, 384, 12, 6, 1, 518, 0, "class token"},
    {"vit_small_patch14_reg4_dinov2", 22057344, 384, 12, 6, 5, 518, 0, "class token"},
    {"vit_base_patch16_siglip_224", 92884224, 768, 12, 12, 0, 224, 0, "attention pooling (MAP)"},
};

enum { NUM_MODELS = sizeof models / sizeof *models };

static void refuse_warnings(void *user, const char *line) {
    (void)user;
    fail_msg("%s", line);
}

static vt_model *create(const char *arch) {
    vt_model *model;
    vt_error err = {0};
    vt_model_options options = VT_MODEL_OPTIONS_INIT;
    options.log = refuse_warnings; /* a tensor that nothing uses would be told */
    expect_ok(vt_model_create_random(&model, arch, &options, &err), &err);
    return model;
}

static void test_architectures(void **state) {
    (void)state;
    for (size_t i = 0; i < NUM_MODELS; i++) {
        const expected_model *expected = &models[i];
        vt_model *model = create(expected->arch);
        vt_model_info info;
        vt_model_describe(&info, model);
        assert_string_equal(info.architecture, expected->arch);
        assert_string_equal(info.path, expected->arch);
        assert_string_equal(info.family, "timm VisionTransformer");
        assert_string_equal(info.pooling, expected->pooling);
        assert_int_equal(info.num_parameters, expected->num_parameters);
        assert_int_equal(info.width, expected->width);
        assert_int_equal(info.depth, expected->depth);
        assert_int_equal(info.num_heads, expected->num_heads);
        assert_int_equal(info.num_prefix_tokens, expected->num_prefix_tokens);
        assert_int_equal(info.image_height, expected->image_size);
        assert_int_equal(info.image_width, expected->image_size);
        assert_int_equal(info.num_classes, expected->num_classes);
        vt_model_close(model);
    }
}

static void expect_sensible(const char *what, const float *x, size_t n) {
    float largest = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(x[i]))
            fail_msg("%s: %zu is not finite", what, i);
        largest = fmaxf(largest, fabsf(x[i]));
    }
    if (largest < 1e-3f || largest > 1e3f)
        fail_msg("%s: the largest is %g", what, (double)largest);
}

static void check_stage(void *user, const vt_tensor *stage) {
    expect_sensible(stage->name, stage->data, stage->size / sizeof(float));
    ++*(size_t *)user;
}

/* No stage of a pass overflows or dies out. */
static void run_forward(const expected_model *expected) {
    vt_model *model = create(expected->arch);
    vt_session *session;
    vt_error err = {0};
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    size_t stages = 0;
    options.height = options.width = 56;
    expect_ok(vt_session_create(&session, model, &options, &err), &err);
    size_t floats = vt_session_picture_floats(session);
    float *pixels = test_malloc(floats * sizeof *pixels);
    random_floats(&(test_random){7}, pixels, floats);
    vt_session_on_stage(session, check_stage, &stages);
    expect_ok(vt_session_forward(session, pixels, 1, &err), &err);
    assert_true(stages > expected->depth);
    test_free(pixels);
    vt_session_destroy(session);
    vt_model_close(model);
}

static void test_forward(void **state) {
    (void)state;
    for (size_t i = 0; i < NUM_MODELS; i++)
        run_forward(&models[i]);
}

/* The first number of the generator, worked out by hand: (1664525 + 1013904223) / 2^8, of 2^24. */
static void test_values(void **state) {
    (void)state;
    vt_model *one = create("vit_tiny_patch16_224"), *two = create("vit_tiny_patch16_224");
    const vt_tensor *a = vt_model_tensor(one, 0, NULL), *b = vt_model_tensor(two, 0, NULL);
    assert_string_equal(a->name, "cls_token");
    assert_float_equal(((const float *)a->data)[0], 0.035f * (3967065.0f / 8388608 - 1), 0);
    for (size_t i = 0; (a = vt_model_tensor(one, i, NULL)); i++) {
        b = vt_model_tensor(two, i, NULL);
        assert_string_equal(a->name, b->name);
        assert_int_equal(a->size, b->size);
        assert_memory_equal(a->data, b->data, a->size);
    }
    vt_model_close(one);
    vt_model_close(two);
}

static void test_names(void **state) {
    (void)state;
    size_t count = 0, found = 0;
    for (; vt_model_arch_name(count); count++)
        for (size_t i = 0; i < NUM_MODELS; i++)
            found += strcmp(vt_model_arch_name(count), models[i].arch) == 0;
    assert_int_equal(found, NUM_MODELS);
    assert_null(vt_model_arch_name(count + 1));

    vt_model *model = (vt_model *)&count;
    vt_error err = {0};
    assert_int_equal(vt_model_create_random(&model, "resnet50", NULL, &err), VT_ERR_ARGUMENT);
    assert_null(model);
    assert_string_equal(err.message,
                        "no architecture named \"resnet50\": vt_model_arch_name lists them");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_architectures),
        cmocka_unit_test(test_forward),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
