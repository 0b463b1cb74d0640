/* SPDX-License-Identifier: MIT
 *
 * FlexiViT's patch kernels against a real pseudo-inverse (tools/golden/patch_resize.py), and what
 * they are for: a model run with other patches on a picture resized likewise gives nearly the same
 * tokens.
 */
#include "support.h"

#include <stdio.h>
#include <string.h>

#include "nn/interpolate.h"
#include "nn/patch_resize.h"

static void test_kernels_match_the_pseudo_inverse(void **state) {
    (void)state;
    vt_error err = {0};
    vt_tensor_file *file;
    const vt_tensor *tensor;
    size_t cases = 0;
    expect_ok(vt_tensor_file_open(&file, data_path("patch_resize.safetensors", NULL), &err), &err);
    for (size_t i = 0; (tensor = vt_tensor_file_at(file, i)) != NULL; i++) {
        unsigned from, to;
        char name[64];
        float found[2 * 3 * 32 * 32];
        if (sscanf(tensor->name, "resized.%u.%u", &from, &to) != 2)
            continue;
        snprintf(name, sizeof name, "kernels.%u", from);
        expect_ok(vt_patch_resize(found, to, f32_tensor(file, name)->data, from, 6, &err), &err);
        expect_close(tensor->name, found, tensor->data, tensor_elements(tensor), 2e-6);
        cases++;
    }
    assert_int_equal(cases, 13);
    vt_tensor_file_close(file);
}

/* A patch enlarged without loss and its enlarged kernel give the dot product that they gave before.
 */
static void test_enlarged_patch_gives_the_same_token(void **state) {
    (void)state;
    enum { FROM = 8, TO = 12 };
    float kernel[FROM * FROM], patch[FROM * FROM], big_kernel[TO * TO], big_patch[TO * TO];
    vt_error err = {0};
    double before = 0, after = 0;
    for (size_t i = 0; i < FROM * FROM; i++) {
        kernel[i] = (float)((i * 37) % 19) / 19.0f - 0.5f;
        patch[i] = (float)((i * 53) % 23) / 23.0f;
        before += (double)kernel[i] * (double)patch[i];
    }
    expect_ok(vt_patch_resize(big_kernel, TO, kernel, FROM, 1, &err), &err);
    expect_ok(vt_interpolate(big_patch, patch, FROM, FROM, TO, TO, 1,
                             VT_POS_RESIZE_BICUBIC_ANTIALIAS, &err),
              &err);
    for (size_t i = 0; i < TO * TO; i++)
        after += (double)big_kernel[i] * (double)big_patch[i];
    assert_float_equal(before, after, 1e-5);
}

static void test_model_runs_with_other_patches(void **state) {
    (void)state;
    vt_error err = {0};
    vt_model *model;
    vt_session *session;
    vt_model_info info;
    size_t height, width;
    static float pixels[3 * 60 * 60];
    vt_model_options options = VT_MODEL_OPTIONS_INIT;
    vt_session_options sizes = VT_SESSION_OPTIONS_INIT;
    options.patch_size = 10; /* the checkpoint has 8 */
    sizes.height = sizes.width = 60;
    expect_ok(vt_model_open(&model, data_path("golden", "timm_vit_token", NULL), &options, &err),
              &err);
    expect_ok(vt_session_create(&session, model, &sizes, &err), &err);
    vt_model_describe(&info, model);
    vt_session_input_size(session, &height, &width);
    assert_int_equal(info.patch_size, 10);
    assert_int_equal(height, 60);
    expect_ok(vt_session_forward(session, pixels, 1, &err), &err);
    vt_session_destroy(session);
    vt_model_close(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kernels_match_the_pseudo_inverse),
        cmocka_unit_test(test_enlarged_patch_gives_the_same_token),
        cmocka_unit_test(test_model_runs_with_other_patches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
