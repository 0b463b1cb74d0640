/* SPDX-License-Identifier: MIT
 *
 * `classify --head`: the classes of what `fit` made, and heads that are not the model's.
 */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "colours.h"

static command_result ran;

/* The head's tensors say what `classify` shows: a linear layer on what `embed` gives. */
static void test_scores(void **state) {
    vt_error err = {0};
    vt_tensor_file *file = NULL;
    double logits[3], sum = 0;
    (void)state;
    json_t *found = fit_json(&ran, "colours", "head.safetensors");
    double scale = number_at(found, "scale");
    json_decref(found);
    expect_ok(vt_tensor_file_open(&file, "head.safetensors", &err), &err);
    const float *weight = f32_tensor(file, "weight")->data, *bias = f32_tensor(file, "bias")->data;
    command_run(&ran, NULL, "embed", "-m", "model", "--format=json", "green.ppm", NULL);
    json_t *line = json_loads(ran.out, 0, NULL);
    for (size_t k = 0; k < 3; k++) {
        logits[k] = (double)bias[k];
        for (size_t j = 0; j < 48; j++)
            logits[k] += (double)weight[k * 48 + j] *
                         json_number_value(json_array_get(json_object_get(line, "embedding"), j));
        sum += exp(logits[k]);
    }
    json_decref(line);
    /* indicators sum to 1, and so does what is fitted to them: what is more is the scale */
    assert_true(scale > 2);
    assert_float_equal(logits[0] + logits[1] + logits[2], scale, 1e-3 * scale);
    command_run(&ran, NULL, "classify", "-m", "model", "--head=head.safetensors", "--format=json",
                "green.ppm", NULL);
    line = json_loads(ran.out, 0, NULL);
    assert_int_equal(json_array_size(json_object_get(line, "predictions")), 3);
    for (size_t i = 0; i < 3; i++) {
        const json_t *p = json_array_get(json_object_get(line, "predictions"), i);
        size_t k = (size_t)number_at(p, "index");
        assert_float_equal(number_at(p, "score"), exp(logits[k]) / sum, 1e-4);
    }
    json_decref(line);
    vt_tensor_file_close(file);
}

static void test_classify(void **state) {
    (void)state;
    json_decref(fit_json(&ran, "colours", "head.safetensors"));
    assert_best(&ran, "head.safetensors", "red.ppm", "red");
    assert_best(&ran, "head.safetensors", "green.ppm", "green");
    assert_best(&ran, "head.safetensors", "blue.ppm", "blue");
    command_run(&ran, NULL, "classify", "-m", "model", "--head=head.safetensors", "-k1",
                "--batch=2", "--format=csv", "red.ppm", "missing.png", "blue.ppm", "green.ppm",
                NULL);
    assert_int_equal(ran.code, 1);
    assert_non_null(strstr(ran.err, "vitrine: missing.png: "));
    assert_non_null(strstr(ran.out, "red.ppm,24,24,1,2,red,"));
    assert_non_null(strstr(ran.out, "blue.ppm,24,24,1,0,blue,"));
    assert_non_null(strstr(ran.out, "green.ppm,24,24,1,1,green,"));
    command_run(&ran, NULL, "classify", "-m", "model", "--head=head.safetensors", "red.ppm", NULL);
    assert_ran(&ran, 0, NULL, "");
    assert_non_null(strstr(ran.out, "%  "));
}

/* --head with a model that has no classifier, and one that keeps each picture's aspect. */
static void test_other_models(void **state) {
    static const char *const models[] = {"timm_vit_reg4_dinov2", "hf_clip", "hf_siglip",
                                         "hf_siglip2_naflex"};
    (void)state;
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        const char *model = data_path("golden", models[i], NULL);
        command_run(&ran, NULL, "fit", "-m", model, "colours", "-o", "other.safetensors", NULL);
        assert_ran(&ran, 0, NULL, "");
        command_run(&ran, NULL, "classify", "-m", model, "--head=other.safetensors", "-k1",
                    "--format=json", "green.ppm", NULL);
        assert_ran(&ran, 0, NULL, "");
        assert_non_null(strstr(ran.out, "\"label\": \"green\""));
    }
}

/* Pictures are classified at the size that the head's were seen at, or at one that is asked for. */
static void test_input_size(void **state) {
    (void)state;
    command_run(&ran, NULL, "fit", "-m", "model", "-s", "96x64", "colours", "-o",
                "sized.safetensors", NULL);
    assert_int_equal(ran.code, 0);
    assert_non_null(strstr(ran.out, " at 96x64, "));
    assert_best(&ran, "sized.safetensors", "blue.ppm", "blue");
    assert_non_null(strstr(ran.out, "\"input\": [96, 64]"));
    command_run(&ran, NULL, "classify", "-m", "model", "--head=sized.safetensors", "-s64", "-k1",
                "--format=json", "blue.ppm", NULL);
    assert_non_null(strstr(ran.out, "\"input\": [64, 64]"));
}

static void assert_refused(const char *head, const char *model, const char *reason) {
    command_run(&ran, NULL, "classify", "-m", model, "--head", head, "red.ppm", NULL);
    assert_int_equal(ran.code, 3);
    assert_string_equal(ran.out, "");
    assert_non_null(strstr(ran.err, reason));
}

static void test_other_model(void **state) {
    static test_model changed;
    (void)state;
    json_decref(fit_json(&ran, "colours", "head.safetensors"));
    assert_refused("head.safetensors", "bundled",
                   "vitrine: head.safetensors: fitted for timm VisionTransformer (");
    assert_non_null(strstr(ran.err, ", and bundled is timm VisionTransformer ("));
    make_folder("changed");
    load_test_model(&changed, "timm_vit_token");
    write_test_model(&changed, "changed"); /* the same one elsewhere */
    command_run(&ran, NULL, "classify", "-m", "changed", "--head=head.safetensors", "red.ppm",
                NULL);
    assert_int_equal(ran.code, 0);
    for (size_t i = 0; i < changed.count; i++) {
        vt_tensor *tensor = &changed.tensors[i];
        const void *data = tensor->data;
        bool is_norm = strcmp(tensor->name, "norm.weight") == 0,
             is_matrix = strcmp(tensor->name, "blocks.0.attn.qkv.weight") == 0;
        if (!is_norm && !is_matrix)
            continue;
        unsigned char *copy = test_malloc(tensor->size);
        memcpy(copy, data, tensor->size);
        copy[4] ^= 1;
        tensor->data = copy;
        write_test_model(&changed, "changed");
        assert_refused("head.safetensors", "changed", "fitted for timm");
        if (is_norm) {
            command_run(&ran, NULL, "pack", "-m", "changed", "-o", "changed-packed", NULL);
            assert_refused("head.safetensors", "changed-packed", "fitted for timm");
        }
        tensor->data = data;
        test_free(copy);
    }
    free_test_model(&changed);
}

/* A packed model is the one that it was packed from, and what was fitted with either is of use with
 * the other. */
static void test_packed_model(void **state) {
    (void)state;
    json_decref(fit_json(&ran, "colours", "head.safetensors"));
    command_run(&ran, NULL, "pack", "-m", "model", "-o", "packed", NULL);
    assert_int_equal(ran.code, 0);
    command_run(&ran, NULL, "classify", "-m", "packed", "--head=head.safetensors", "red.ppm", NULL);
    assert_ran(&ran, 0, NULL, "");
    command_run(&ran, NULL, "fit", "-m", "packed", "colours", "-o", "packed.safetensors", NULL);
    assert_ran(&ran, 0, NULL, "");
    assert_best(&ran, "packed.safetensors", "red.ppm", "red");
    assert_refused("packed.safetensors", "bundled", "fitted for timm");
}

/* Changes one thing in a head. */
static void write_head(const char *about, const float *weight, size_t columns, size_t biases) {
    static const float bias[3] = {0};
    vt_error err = {0};
    const vt_tensor tensors[] = {
        {.name = "weight",
         .dtype = VT_DTYPE_F32,
         .ndim = 2,
         .shape = {2, columns},
         .data = weight,
         .size = 2 * columns * sizeof *weight},
        {.name = "bias",
         .dtype = VT_DTYPE_F32,
         .ndim = 1,
         .shape = {biases},
         .data = bias,
         .size = biases * sizeof *bias},
        {.name = "vitrine.head",
         .dtype = VT_DTYPE_U8,
         .ndim = 1,
         .shape = {strlen(about)},
         .data = about,
         .size = strlen(about)},
    };
    expect_ok(vt_tensor_file_write("made.safetensors", tensors, 3, &err), &err);
}

static void test_damaged_heads(void **state) {
    static const char good[] =
        "{\"version\":1,\"labels\":[\"a\",\"b\"],\"input\":null,\"model\":{}}";
    static const char *const bad[] = {
        "{",
        "[]",
        "{\"version\":1}",
        "{\"version\":1,\"labels\":[\"a\"],\"input\":null}",
        "{\"version\":1,\"labels\":[\"a\",2],\"input\":null}",
        "{\"version\":1,\"labels\":[\"a\",\"b\"],\"input\":[0,32]}",
        "{\"version\":1,\"labels\":[\"a\",\"b\"],\"input\":\"wide\"}",
    };
    static float weight[2 * 48];
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_head(bad[i], weight, 48, 2);
        assert_refused("made.safetensors", "model", "expected what 'vitrine fit' wrote");
    }
    write_head(good, weight, 48, 3);
    assert_refused("made.safetensors", "model", "expected what 'vitrine fit' wrote");
    write_head(good, weight, 48, 2); /* well made, but for no model */
    assert_refused("made.safetensors", "model", "made.safetensors: fitted for ");
    write_head("{\"version\":2}", weight, 48, 2);
    assert_refused("made.safetensors", "model", "made by a newer vitrine");
    weight[5] = NAN;
    write_head(good, weight, 48, 2);
    assert_refused("made.safetensors", "model", "its weights are not all numbers");
    assert_refused("missing.safetensors", "model", "missing.safetensors: No such file");
    assert_refused("bundled/model.safetensors", "model", "expected what 'vitrine fit' wrote");
    assert_refused("cat.png", "model", "vitrine: cat.png: ");
}

/* A head that says it is the model's, of vectors of another width. */
static void test_head_of_another_width(void **state) {
    static float weight[2 * 40];
    vt_error err = {0};
    vt_tensor_file *file = NULL;
    char about[4096];
    (void)state;
    json_decref(fit_json(&ran, "colours", "head.safetensors"));
    expect_ok(vt_tensor_file_open(&file, "head.safetensors", &err), &err);
    const vt_tensor *text = vt_tensor_file_find(file, "vitrine.head");
    json_t *json = json_loadb(text->data, text->size, 0, NULL);
    json_object_set_new(json, "labels", json_pack("[s, s]", "a", "b"));
    assert_true(json_dumpb(json, about, sizeof about, 0) < sizeof about);
    about[json_dumpb(json, about, sizeof about, 0)] = '\0';
    write_head(about, weight, 40, 2);
    assert_refused("made.safetensors", "model", "for vectors of 40");
    json_decref(json);
    vt_tensor_file_close(file);
}

static void test_head_and_labels(void **state) {
    (void)state;
    command_run(&ran, NULL, "classify", "-m", "model", "--head=x", "--labels=y", "red.ppm", NULL);
    assert_int_equal(ran.code, 2);
    assert_non_null(strstr(ran.err, "not with --head"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scores),          cmocka_unit_test(test_classify),
        cmocka_unit_test(test_other_models),    cmocka_unit_test(test_input_size),
        cmocka_unit_test(test_other_model),     cmocka_unit_test(test_packed_model),
        cmocka_unit_test(test_damaged_heads),   cmocka_unit_test(test_head_of_another_width),
        cmocka_unit_test(test_head_and_labels),
    };
    int failed = cmocka_run_group_tests(tests, colours_workspace, command_cleanup);
    command_free(&ran);
    return failed;
}
