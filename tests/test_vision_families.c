/* SPDX-License-Identifier: MIT
 *
 * What families make of checkpoints that lack something, or have something that nobody knows:
 * golden checkpoints, rewritten.
 */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *directory; /* where the rewritten checkpoints go */

/* ---- rewriting ------------------------------------------------------------------------------- */

static void remove_tensor(test_model *model, const char *name) {
    for (size_t i = 0; i < model->count; i++) {
        if (strcmp(model->tensors[i].name, name) == 0) {
            model->tensors[i] = model->tensors[--model->count];
            return;
        }
    }
    fail_msg("there is no %s", name);
}

static void add_tensor(test_model *model, vt_tensor tensor) {
    assert_true(model->count < MAX_TEST_TENSORS);
    model->tensors[model->count++] = tensor;
}

static void set_string(test_model *model, const char *key, const char *value) {
    json_object_set_new(model->config, key, json_string(value));
}

/* ---- running --------------------------------------------------------------------------------- */

enum { MAX_POOLED = 64, MAX_WARNINGS = 4 };

typedef struct answer {
    float pooled[MAX_POOLED];
    size_t width;
    size_t warnings;
    char warning[256]; /* the last */
} answer;

static void note_warning(void *user, const char *line) {
    answer *out = user;
    out->warnings++;
    snprintf(out->warning, sizeof out->warning, "%s", line);
}

/* The pooled vector of the case's own picture of that size. */
static answer run_model(const test_model *model, const char *golden_case, const char *size,
                        vt_pos_resize rule) {
    answer out = {0};
    vt_error err = {0};
    vt_model *opened;
    vt_session *session;
    vt_tensor_file *expected;
    char name[64];
    write_test_model(model, directory);
    vt_model_options options = VT_MODEL_OPTIONS_INIT;
    options.pos_resize = rule;
    options.log = note_warning;
    options.log_user = &out;
    expect_ok(vt_model_open(&opened, directory, &options, &err), &err);
    expect_ok(vt_tensor_file_open(
                  &expected, data_path("golden", golden_case, "expected.safetensors", NULL), &err),
              &err);
    snprintf(name, sizeof name, "input.%s", size);
    const vt_tensor *input = f32_tensor(expected, name);
    vt_session_options session_options = VT_SESSION_OPTIONS_INIT;
    session_options.height = input->shape[2];
    session_options.width = input->shape[3];
    session_options.num_threads = 1;
    expect_ok(vt_session_create(&session, opened, &session_options, &err), &err);
    expect_ok(vt_session_forward(session, input->data, 1, &err), &err);
    out.width = vt_session_pooled_width(session);
    assert_true(out.width <= MAX_POOLED);
    memcpy(out.pooled, vt_session_pooled(session), out.width * sizeof *out.pooled);
    vt_session_destroy(session);
    vt_tensor_file_close(expected);
    vt_model_close(opened);
    return out;
}

static void expect_same(const char *what, const answer *found, const answer *expected) {
    assert_int_equal(found->width, expected->width);
    expect_close(what, found->pooled, expected->pooled, found->width, 1e-6);
}

/* ---- MAE ------------------------------------------------------------------------------------- */

/* A table that a file leaves out is made, and is the one that transformers made. */
static void test_mae_without_table(void **state) {
    (void)state;
    static const char *const sizes[] = {"24x24", "16x28"};
    test_model model;
    load_test_model(&model, "hf_vit_mae");
    for (size_t i = 0; i < 2; i++) {
        test_model bare = model;
        answer expected = run_model(&model, "hf_vit_mae", sizes[i], VT_POS_RESIZE_AUTO);
        remove_tensor(&bare, "vit.embeddings.position_embeddings");
        answer found = run_model(&bare, "hf_vit_mae", sizes[i], VT_POS_RESIZE_AUTO);
        expect_same("MAE without its table", &found, &expected);
        assert_int_equal(found.warnings, 0);
    }
    free_test_model(&model);
}

/* ---- what is not known ----------------------------------------------------------------------- */

static void test_unknown_architecture(void **state) {
    (void)state;
    static const char *const unknown[] = {"vit_relpos_base_patch16_224", "vit_base_patch16_xp_224",
                                          "dinov2_vitb14_dd", "resnet50"};
    test_model model;
    load_test_model(&model, "timm_eva02_base");
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        vt_error err = {0};
        vt_model *opened;
        set_string(&model, "architecture", unknown[i]);
        write_test_model(&model, directory);
        assert_int_equal(vt_model_open(&opened, directory, NULL, &err), VT_ERR_UNSUPPORTED);
        assert_non_null(strstr(err.message, unknown[i]));
        assert_non_null(strstr(err.message, "timm EVA / DINOv3"));
    }
    free_test_model(&model);
}

/* An argument that asks for what the architecture is not known to have. */
static void test_unknown_argument(void **state) {
    (void)state;
    const struct {
        const char *golden_case, *key;
        json_t *value;
    } arguments[] = {
        {"timm_dinov3", "rope_type", json_string("mixed")},
        {"timm_eva02_base", "rope_grid_indexing", json_string("xy")},
        {"timm_eva02_base", "use_rot_pos_emb", json_false()},
        {"timm_eva_giant", "use_rot_pos_emb", json_true()},
    };
    for (size_t i = 0; i < sizeof arguments / sizeof arguments[0]; i++) {
        test_model model;
        vt_error err = {0};
        vt_model *opened;
        load_test_model(&model, arguments[i].golden_case);
        json_object_set_new(json_object_get(model.config, "model_args"), arguments[i].key,
                            arguments[i].value);
        write_test_model(&model, directory);
        assert_int_equal(vt_model_open(&opened, directory, NULL, &err), VT_ERR_UNSUPPORTED);
        assert_non_null(strstr(err.message, arguments[i].key));
        free_test_model(&model);
    }
}

static void test_unknown_tensor(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"timm_eva02_base", "56x56"}, {"timm_dinov3", "48x48"}, {"timm_beit", "48x48"},
        {"hf_beit", "48x48"},         {"hf_dinov2", "42x42"},   {"hf_dinov3", "48x48"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        test_model model;
        load_test_model(&model, cases[i][0]);
        vt_tensor extra = model.tensors[0];
        extra.name = "something.else";
        add_tensor(&model, extra);
        answer found = run_model(&model, cases[i][0], cases[i][1], VT_POS_RESIZE_AUTO);
        assert_int_equal(found.warnings, 1);
        assert_non_null(strstr(found.warning, "something.else"));
        free_test_model(&model);
    }
}

/* The table is of 42 x 42 pixels, the processor crops 28 x 28: that is what a session takes. */
static void test_input_size(void **state) {
    (void)state;
    test_model model;
    vt_error err = {0};
    vt_model *opened;
    vt_session *session;
    vt_model_info info;
    size_t height, width;
    load_test_model(&model, "hf_dinov2");
    write_test_model(&model, directory);
    json_t *processor = load_json(path_in(directory, "preprocessor_config.json"));
    json_object_set_new(processor, "crop_size", json_pack("{s:i, s:i}", "height", 28, "width", 28));
    write_json(path_in(directory, "preprocessor_config.json"), processor);
    json_decref(processor);
    expect_ok(vt_model_open(&opened, directory, NULL, &err), &err);
    expect_ok(vt_session_create(&session, opened, NULL, &err), &err);
    vt_session_input_size(session, &height, &width);
    assert_int_equal(height, 28);
    assert_int_equal(width, 28);
    vt_model_describe(&info, opened);
    assert_int_equal(info.image_height, 28);
    vt_session_destroy(session);
    vt_model_close(opened);
    free_test_model(&model);
}

static int set_up(void **state) {
    int failed = create_temp_dir(state);
    directory = *state;
    return failed;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mae_without_table), cmocka_unit_test(test_unknown_architecture),
        cmocka_unit_test(test_unknown_argument),  cmocka_unit_test(test_unknown_tensor),
        cmocka_unit_test(test_input_size),
    };
    return cmocka_run_group_tests(tests, set_up, remove_temp_dir);
}
