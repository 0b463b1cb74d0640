/* SPDX-License-Identifier: MIT
 *
 * Numbers at the ends of their ranges: weights and pixels that are none, extreme logits, norms of
 * what does not vary, inputs of one token, pictures of one pixel or one line. Scores are finite, or
 * there is an error.
 */
#include "support.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"

/* ---- weights ------------------------------------------------------------------------------- */

/* The tensor's elements in memory of their own, which a test may change. */
static float *own_data(vt_tensor *tensor) {
    float *data = test_malloc(tensor->size);
    memcpy(data, tensor->data, tensor->size);
    tensor->data = data;
    return data;
}

static vt_tensor *find(test_model *model, const char *name) {
    for (size_t i = 0; i < model->count; i++)
        if (strcmp(model->tensors[i].name, name) == 0)
            return &model->tensors[i];
    fail_msg("no tensor %s", name);
    return NULL;
}

static vt_status open_checked(vt_model **out, const char *path, bool check, vt_error *err) {
    vt_model_options options = VT_MODEL_OPTIONS_INIT;
    options.check_finite = check;
    return vt_model_open(out, path, &options, err);
}

static void expect_found(const char *directory, const char *name) {
    vt_error err = {0};
    vt_model *model;
    assert_int_equal(open_checked(&model, directory, true, &err), VT_ERR_NOT_FINITE);
    assert_null(model);
    if (!strstr(err.message, name))
        fail_msg("expected %s, found: %s", name, err.message);
}

/* The pass of grey pixels ends with that status, and says what is not finite. */
static void expect_no_result(const char *directory) {
    vt_error err = {0};
    vt_model *model;
    vt_session *session;
    vt_prediction best[3];
    uint8_t pixels[16 * 16 * 3] = {0};
    const vt_image image = {.width = 16, .height = 16, .stride = 48, .pixels = pixels};
    vt_frame frame = VT_FRAME_INIT;
    vt_result result = VT_RESULT_INIT;
    result.predictions = best;
    result.top_k = 3;
    expect_ok(open_checked(&model, directory, false, &err), &err);
    expect_ok(vt_session_create(&session, model, NULL, &err), &err);
    assert_int_equal(vt_classify_image(session, &image, best, 3, &err), VT_ERR_NOT_FINITE);
    assert_int_equal(err.code, VT_ERR_NOT_FINITE);
    assert_non_null(strstr(err.message, "NaN or infinite"));
    expect_ok(vt_frame_set_packed(&frame, VT_PIXEL_RGB24, 16, 16, pixels, sizeof pixels, &err),
              &err);
    assert_int_equal(vt_session_run(session, &result, &frame, 1, &err), VT_ERR_NOT_FINITE);
    vt_session_destroy(session);
    vt_model_close(model);
}

static void test_each_odd_weight_is_found(void **state) {
    static const struct {
        const char *tensor;
        size_t element;
        float value;
        const char *told;
    } cases[] = {
        {"head.bias", 3, NAN, "head.bias[3] is NaN or infinite"},
        {"blocks.0.attn.qkv.weight", 2 * 48 + 5, INFINITY, "blocks.0.attn.qkv.weight[2, 5]"},
        {"patch_embed.proj.weight", 0, -INFINITY, "patch_embed.proj.weight[0, 0, 0, 0]"},
        {"pos_embed", 48 + 1, NAN, "pos_embed[0, 1, 1]"},
        {"norm.weight", 47, NAN, "norm.weight[47]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        test_model model;
        load_test_model(&model, "timm_vit_token");
        float *data = own_data(find(&model, cases[i].tensor));
        data[cases[i].element] = cases[i].value;
        write_test_model(&model, *state);
        expect_found(*state, cases[i].told);
        expect_no_result(*state);
        test_free(data);
        free_test_model(&model);
    }
}

/* A tensor that nothing uses may hold what it likes. */
static void test_unused_tensors_are_not_looked_at(void **state) {
    static const float odd[] = {NAN};
    test_model model;
    vt_error err = {0};
    vt_model *opened;
    load_test_model(&model, "timm_vit_token");
    model.tensors[model.count++] = (vt_tensor){"unused", VT_DTYPE_F32, 1, {1}, odd, sizeof odd};
    write_test_model(&model, *state);
    expect_ok(open_checked(&opened, *state, true, &err), &err);
    vt_model_close(opened);
    free_test_model(&model);
}

/* Half precision has other bits; NaN survives being packed, in each precision. */
static void test_half_precision_and_packed_files(void **state) {
    static const char *const halves[] = {"timm_vit_token_f16", "timm_vit_token_bf16"};
    static const char *const precisions[] = {"f32", "f16", "bf16"};
    vt_error err = {0};
    vt_model *opened;
    for (size_t i = 0; i < 2; i++) {
        test_model model;
        load_test_model(&model, halves[i]);
        vt_tensor *tensor = find(&model, "blocks.0.mlp.fc1.weight");
        uint16_t *data = (uint16_t *)(void *)own_data(tensor);
        write_test_model(&model, *state);
        expect_ok(open_checked(&opened, *state, true, &err), &err);
        vt_model_close(opened);
        data[7] = i ? 0x7f80 : 0x7c00; /* infinity */
        write_test_model(&model, *state);
        expect_found(*state, "blocks.0.mlp.fc1.weight[0, 7]");
        test_free(data);
        free_test_model(&model);
    }
    for (size_t i = 0; i < 3; i++) {
        vt_model_options options = VT_MODEL_OPTIONS_INIT;
        options.precision = precisions[i];
        expect_ok(vt_model_open(&opened, *state, &options, &err), &err);
        const char *path = path_in(*state, "packed.safetensors");
        expect_ok(vt_model_pack(opened, path, &err), &err);
        vt_model_close(opened);
        expect_found(*state, " has a weight that is NaN or infinite");
        remove(path);
    }
}

/* ---- pixels and results -------------------------------------------------------------------- */

static vt_session *session_of(vt_model **model, const char *golden_case, size_t height,
                              size_t width) {
    vt_error err = {0};
    vt_session *session;
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    options.height = height;
    options.width = width;
    options.batch = 2;
    expect_ok(vt_model_open(model, data_path("golden", golden_case, NULL), NULL, &err), &err);
    expect_ok(vt_session_create(&session, *model, &options, &err), &err);
    return session;
}

static void test_odd_pixels(void **state) {
    static const float odd[] = {NAN, INFINITY, -INFINITY, 3e38f};
    vt_error err = {0};
    vt_model *model;
    (void)state;
    vt_session *session = session_of(&model, "timm_vit_token", 0, 0);
    size_t floats = vt_session_picture_floats(session);
    float *pixels = test_calloc(2 * floats, sizeof *pixels);
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        pixels[floats + 5] = odd[i];
        vt_status status = vt_session_forward(session, pixels, 2, &err);
        const float *logits = vt_session_logits(session);
        if (status == VT_OK) { /* a sum that overflowed to nothing is none */
            for (size_t k = 0; k < 20; k++)
                assert_true(isfinite(logits[k]));
            assert_true(isfinite(odd[i]));
            continue;
        }
        assert_int_equal(status, VT_ERR_NOT_FINITE);
        assert_non_null(strstr(err.message, "of input 1 "));
        for (size_t k = 0; k < 10; k++) /* the other picture's are as good as ever */
            assert_true(isfinite(logits[k]));
    }
    pixels[floats + 5] = 0; /* and the session goes on */
    expect_ok(vt_session_forward(session, pixels, 2, &err), &err);
    test_free(pixels);
    vt_session_destroy(session);
    vt_model_close(model);
}

/* Scores of any finite logits are finite, in order, and of softmax sum to one. */
static void test_extreme_logits(void **state) {
    static const float rows[][10] = {
        {FLT_MAX, -FLT_MAX, 0, 1, 2, 3, 4, 5, 6, 7},
        {FLT_MAX, FLT_MAX, FLT_MAX, FLT_MAX, FLT_MAX, FLT_MAX, FLT_MAX, FLT_MAX, FLT_MAX, FLT_MAX},
        {-FLT_MAX, -FLT_MAX, -FLT_MAX, -FLT_MAX, -FLT_MAX, -FLT_MAX, -FLT_MAX, -FLT_MAX, -FLT_MAX,
         0},
        {1000, 999, 998, -1000, -1000, 0, 0, 0, 0, 0},
        {FLT_MIN, -FLT_MIN, 0, -0.0f, 1e-45f, 0, 0, 0, 0, 0},
    };
    vt_model *model;
    (void)state;
    vt_session *session = session_of(&model, "timm_vit_token", 0, 0);
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        vt_prediction best[10];
        double sum = 0;
        assert_int_equal(vt_model_top_k(model, rows[r], best, 10), 10);
        for (size_t i = 0; i < 10; i++) {
            assert_true(isfinite(best[i].score) && best[i].score >= 0 && best[i].score <= 1);
            assert_true(i == 0 || best[i].score <= best[i - 1].score);
            sum += (double)best[i].score;
        }
        assert_true(fabs(sum - 1) < 1e-5);
    }
    vt_session_destroy(session);
    vt_model_close(model);
}

/* ---- norms --------------------------------------------------------------------------------- */

/* Rows that do not vary: LayerNorm gives the bias, RMSNorm of zeros 0, with every set of kernels.
 */
static void test_norms_of_what_does_not_vary(void **state) {
    enum { N = 53 };
    static const float levels[] = {0, 1, -3, 1e-20f, 1e4f};
    float x[N], out[N], weight[N], bias[N];
    (void)state;
    for (size_t i = 0; i < N; i++) {
        weight[i] = 2;
        bias[i] = (float)i;
    }
    for (size_t k = 0; vt_kernels_at(k); k++)
        for (size_t l = 0; l < sizeof levels / sizeof *levels; l++) {
            const vt_kernels *kernels = vt_kernels_at(k);
            for (size_t i = 0; i < N; i++)
                x[i] = levels[l];
            kernels->layer_norm(out, x, weight, bias, N, 1e-6f);
            expect_close(kernels->name, out, bias, N, 1e-2);
            kernels->rms_norm(out, x, weight, N, 1e-6f);
            for (size_t i = 0; i < N; i++)
                assert_true(isfinite(out[i]) && (levels[l] != 0 || out[i] == 0));
        }
}

/* ---- small and long inputs ----------------------------------------------------------------- */

/* One patch, where the only token beside it is the class token, or none. */
static void test_one_patch(void **state) {
    static const char *const cases[] = {
        "timm_vit_token", "timm_vit_siglip_map", "hf_beit",          "timm_vit_rope_mixed",
        "hf_dinov3",      "timm_vit_gap_nobias", "hf_deit_distilled"};
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        vt_error err = {0};
        vt_model *model;
        vt_model_info info;
        vt_session *session = session_of(&model, cases[c], 1, 1); /* rounded up to a patch */
        size_t height, width;
        vt_model_describe(&info, model);
        vt_session_input_size(session, &height, &width);
        assert_int_equal(height, info.patch_size);
        float *pixels = test_calloc(2 * 3 * height * width, sizeof *pixels);
        expect_ok(vt_session_forward(session, pixels, 2, &err), &err);
        test_free(pixels);
        vt_session_destroy(session);
        vt_model_close(model);
    }
}

/* A text of one token, and one whose tokens are all padding: no row of attention has anything to
 * look at. */
static void test_texts_of_nothing(void **state) {
    static const char *const cases[] = {"text_bert",       "text_gpt2",      "text_llama",
                                        "text_modernbert", "text_bloom",     "text_t5_encoder",
                                        "text_mpt",        "text_nomic_bert"};
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        static const int64_t ids[] = {1, 2, 3, 1, 2, 3};
        static const uint8_t masks[][6] = {
            {1, 1, 1, 0, 0, 0}, {0, 0, 0, 0, 0, 0}, {0, 0, 1, 1, 0, 0}};
        vt_error err = {0};
        vt_model *model;
        vt_session *session;
        vt_session_options options = VT_SESSION_OPTIONS_INIT;
        options.text_batch = 2;
        options.text_tokens = 3;
        expect_ok(vt_model_open(&model, data_path("golden", cases[c], NULL), NULL, &err), &err);
        expect_ok(vt_session_create(&session, model, &options, &err), &err);
        expect_ok(vt_session_forward_text(session, ids, NULL, 1, 1, &err), &err);
        for (size_t m = 0; m < 3; m++)
            if (vt_session_forward_text(session, ids, masks[m], 2, 3, &err))
                fail_msg("%s: mask %zu: %s", cases[c], m, err.message);
        vt_session_destroy(session);
        vt_model_close(model);
    }
}

/* Of one pixel, of one row and of one column: prepared and run as any other, with every way of
 * preparing. */
static void test_pictures_of_one_line(void **state) {
    static const size_t sizes[][2] = {{1, 1}, {1, 20000}, {20000, 1}, {2, 1}};
    static const char *const cases[] = {"timm_vit_token",    "hf_vit",       "hf_clip", "hf_siglip",
                                        "hf_siglip2_naflex", "timm_flexivit"};
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        vt_model *model;
        vt_session *session = session_of(&model, cases[c], 0, 0);
        uint8_t *pixels = test_malloc(3 * 20000);
        memset(pixels, 200, 3 * 20000);
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            vt_error err = {0};
            float pooled[4096];
            vt_frame frame = VT_FRAME_INIT;
            vt_result result = VT_RESULT_INIT;
            result.pooled = pooled;
            expect_ok(vt_frame_set_packed(&frame, VT_PIXEL_RGB24, sizes[i][1], sizes[i][0], pixels,
                                          3 * sizes[i][0] * sizes[i][1], &err),
                      &err);
            if (vt_session_run(session, &result, &frame, 1, &err))
                fail_msg("%s: %zux%zu: %s", cases[c], sizes[i][1], sizes[i][0], err.message);
            for (size_t k = 0; k < vt_session_pooled_width(session); k++)
                assert_true(isfinite(pooled[k]));
        }
        test_free(pixels);
        vt_session_destroy(session);
        vt_model_close(model);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_odd_weight_is_found),
        cmocka_unit_test(test_unused_tensors_are_not_looked_at),
        cmocka_unit_test(test_half_precision_and_packed_files),
        cmocka_unit_test(test_odd_pixels),
        cmocka_unit_test(test_extreme_logits),
        cmocka_unit_test(test_norms_of_what_does_not_vary),
        cmocka_unit_test(test_one_patch),
        cmocka_unit_test(test_texts_of_nothing),
        cmocka_unit_test(test_pictures_of_one_line),
    };
    return cmocka_run_group_tests_name("numbers", tests, create_temp_dir, remove_temp_dir);
}
