/* SPDX-License-Identifier: MIT
 *
 * vitrine dump against the golden numbers, and vitrine inspect.
 */
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <vitrine.h>

#include "command.h"

static command_result ran;

static vt_tensor_file *open_tensors(const char *path) {
    vt_error err = {0};
    vt_tensor_file *file = NULL;
    if (vt_tensor_file_open(&file, path, &err))
        fail_msg("%s", err.message);
    return file;
}

/* Writes the golden input of one size under another name. */
static void write_input(const char *path, const char *golden_name, const char *name) {
    vt_tensor_file *golden = open_tensors("model/expected.safetensors");
    const vt_tensor *found = vt_tensor_file_find(golden, golden_name);
    assert_non_null(found);
    vt_tensor copy = *found;
    copy.name = name;
    assert_int_equal(vt_tensor_file_write(path, &copy, 1, NULL), VT_OK);
    vt_tensor_file_close(golden);
}

static void check_stage(const vt_tensor_file *dumped, const vt_tensor_file *golden,
                        const char *stage, const char *size) {
    char name[64];
    snprintf(name, sizeof name, "%s.%s", strcmp(stage, "pixels") == 0 ? "input" : stage, size);
    const vt_tensor *expected = vt_tensor_file_find(golden, name);
    const vt_tensor *found = vt_tensor_file_find(dumped, stage);
    if (!expected)
        return; /* the references keep fewer stages of some sizes */
    assert_non_null(found);
    assert_int_equal(found->dtype, VT_DTYPE_F32);
    assert_int_equal(found->ndim, expected->ndim);
    assert_memory_equal(found->shape, expected->shape, found->ndim * sizeof *found->shape);
    const float *a = found->data, *b = expected->data;
    for (size_t i = 0; i < found->size / sizeof *a; i++)
        if (!(fabsf(a[i] - b[i]) <= 5e-5f))
            fail_msg("%s[%zu]: %g, expected %g", name, i, (double)a[i], (double)b[i]);
}

static void test_golden(void **state) {
    static const char *const sizes[] = {"48x48", "64x64", "32x56", "24x40", "96x72"};
    static const char *const stages[] = {"pixels",   "pos",    "embeddings", "block0",
                                         "features", "pooled", "logits"};
    vt_tensor_file *golden = open_tensors("model/expected.safetensors");
    (void)state;
    for (size_t i = 0; i < 5; i++) {
        char name[32];
        snprintf(name, sizeof name, "input.%s", sizes[i]);
        write_input("in.safetensors", name, i % 2 ? "input" : "pixels");
        command_run(&ran, NULL, "dump", "-mmodel", "--input=in.safetensors",
                    "--output=out.safetensors", "-q", NULL);
        assert_ran(&ran, 0, "", "");
        vt_tensor_file *dumped = open_tensors("out.safetensors");
        assert_int_equal(vt_tensor_file_count(dumped), 7);
        for (size_t j = 0; j < 7; j++)
            check_stage(dumped, golden, stages[j], sizes[i]);
        vt_tensor_file_close(dumped);
    }
    vt_tensor_file_close(golden);
}

static void test_listing_and_blocks(void **state) {
    (void)state;
    write_input("in.safetensors", "input.48x48", "pixels");
    command_run(&ran, NULL, "dump", "-mmodel", "-iin.safetensors", "-oout.safetensors", NULL);
    assert_ran(&ran, 0,
               "pixels       F32  2 x 3 x 48 x 48\n"
               "pos          F32  1 x 37 x 48\n"
               "embeddings   F32  2 x 37 x 48\n"
               "block0       F32  2 x 37 x 48\n"
               "features     F32  2 x 37 x 48\n"
               "pooled       F32  2 x 48\n"
               "logits       F32  2 x 10\n",
               "");
    command_run(&ran, NULL, "dump", "-mmodel", "-iin.safetensors", "-oout.safetensors", "--blocks",
                NULL);
    assert_ran(&ran, 0, NULL, "");
    assert_non_null(strstr(ran.out, "\nblock0       F32  2 x 37 x 48\nblock1       F32  2 x 37"
                                    " x 48\nblock2       F32  2 x 37 x 48\nfeatures "));
}

/* A picture goes through the model's own preprocessing, at the size asked for. */
static void test_picture(void **state) {
    vt_model *model = NULL;
    vt_session *session = NULL;
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    vt_image image = {0};
    static float expected[3 * 32 * 40];
    (void)state;
    command_run(&ran, NULL, "dump", "-mmodel", "-s32x40", "cat.png", "-oout.safetensors", NULL);
    assert_ran(&ran, 0, NULL, "");
    assert_int_equal(strncmp(ran.out, "pixels       F32  1 x 3 x 32 x 40\n", 34), 0);
    options.height = 32;
    options.width = 40;
    assert_int_equal(vt_model_open(&model, "model", NULL, NULL), VT_OK);
    assert_int_equal(vt_session_create(&session, model, &options, NULL), VT_OK);
    assert_int_equal(vt_image_read(&image, "cat.png", NULL, NULL), VT_OK);
    assert_int_equal(vt_session_preprocess(session, expected, &image, NULL), VT_OK);
    vt_tensor_file *dumped = open_tensors("out.safetensors");
    const vt_tensor *pixels = vt_tensor_file_find(dumped, "pixels");
    assert_int_equal(pixels->size, sizeof expected);
    assert_memory_equal(pixels->data, expected, sizeof expected);
    vt_tensor_file_close(dumped);
    vt_image_free(&image);
    vt_session_destroy(session);
    vt_model_close(model);
}

static void write_zeros(const char *path, const char *name, vt_dtype dtype, size_t channels,
                        size_t height) {
    static const float zeros[4 * 64 * 64];
    vt_tensor t = {.name = name, .dtype = dtype, .ndim = 4, .shape = {1, channels, height, 48}};
    t.data = zeros;
    t.size = channels * height * 48 * vt_dtype_size(dtype);
    assert_int_equal(vt_tensor_file_write(path, &t, 1, NULL), VT_OK);
}

static void test_bad_inputs(void **state) {
    (void)state;
    command_run(&ran, NULL, "dump", "-mmodel", "-inone", "-oout", NULL);
    assert_ran(&ran, 1, "", "vitrine: none: No such file or directory\n");
    command_run(&ran, NULL, "dump", "-mmodel", "none.png", "-oout", NULL);
    assert_ran(&ran, 1, "", "vitrine: none.png: No such file or directory\n");
    write_zeros("bad", "picture", VT_DTYPE_F32, 3, 48);
    command_run(&ran, NULL, "dump", "-mmodel", "-ibad", "-oout", NULL);
    assert_ran(&ran, 1, "",
               "vitrine: bad: expected a tensor 'pixels' or 'input_ids', found neither\n");
    write_zeros("bad", "pixels", VT_DTYPE_F16, 3, 48);
    command_run(&ran, NULL, "dump", "-mmodel", "-ibad", "-oout", NULL);
    assert_ran(&ran, 1, "",
               "vitrine: bad: pixels: expected F32 [N,3,H,W], found F16 [1,3,48,48]\n");
    write_zeros("bad", "input", VT_DTYPE_F32, 4, 48);
    command_run(&ran, NULL, "dump", "-mmodel", "-ibad", "-oout", NULL);
    assert_ran(&ran, 1, "", "vitrine: bad: input: expected F32 [N,3,H,W], found F32 [1,4,48,48]\n");
    write_zeros("bad", "pixels", VT_DTYPE_F32, 3, 50);
    command_run(&ran, NULL, "dump", "-mmodel", "-ibad", "-oout", "-q", NULL);
    assert_int_equal(ran.code, 1);
    assert_int_equal(
        strncmp(ran.err, "vitrine: bad: expected a size in whole patches such as ", 54), 0);
    assert_non_null(strstr(ran.err, ", found 50x48\n"));
    command_run(&ran, NULL, "dump", "-mmodel", "cat.png", "-onowhere/out", NULL);
    assert_ran(&ran, 1, "", NULL);
    assert_int_equal(strncmp(ran.err, "vitrine: nowhere/out", 20), 0);
    assert_non_null(strstr(ran.err, "No such file or directory\n"));
    assert_int_not_equal(access("out", F_OK), 0); /* nothing was written */
    command_run(&ran, NULL, "dump", "-mnone", "cat.png", "-oout", NULL);
    assert_ran(&ran, 3, "", "vitrine: none: no such file or directory\n");
}

static void test_inspect_json(void **state) {
    json_error_t error;
    const char *path, *architecture, *weights, *resize;
    int parameters, classes, rows, columns, patch, depth, width, heads, tokens, resized;
    double total, linear, attention, patches, head;
    json_t *tensors;
    (void)state;
    command_run(&ran, NULL, "inspect", "-mmodel", "--format=json", "-s64x48", NULL);
    assert_ran(&ran, 0, NULL, "");
    json_t *all = json_loads(ran.out, 0, &error);
    if (json_unpack_ex(
            all, &error, 0,
            "{s:{s:s, s:s, s:i, s:s, s:i}, s:{s:[i,i], s:i}, s:{s:i, s:i, s:i}, s:{s:{s:s, s:b}},"
            " s:{s:i, s:{s:F, s:F, s:F, s:F, s:F}}, s:o}",
            "model", "path", &path, "architecture", &architecture, "parameters", &parameters,
            "weights", &weights, "classes", &classes, "input", "size", &rows, &columns,
            "patch_size", &patch, "encoder", "depth", &depth, "width", &width, "num_heads", &heads,
            "tokens", "positions", "resize", &resize, "resized", &resized, "cost", "tokens",
            &tokens, "flops", "total", &total, "linear", &linear, "attention", &attention,
            "patch_embed", &patches, "head", &head, "tensors", &tensors))
        fail_msg("%s: %s", error.text, ran.out);
    assert_string_equal(path, "model");
    assert_string_equal(architecture, "vit_tiny_patch16_224");
    assert_string_equal(weights, "F32");
    assert_true(classes == 10 && rows == 48 && columns == 48 && patch == 8);
    assert_true(depth == 3 && width == 48 && heads == 3 && tokens == 8 * 6 + 1);
    assert_string_equal(resize, "bicubic-antialias");
    assert_true(resized);
    assert_true(fabs(total - (linear + attention + patches + head)) <= 1e-4 * total);
    size_t index, counted = 0;
    json_t *tensor, *dimension;
    json_array_foreach(tensors, index, tensor) {
        size_t axis, elements = 1;
        json_array_foreach(json_object_get(tensor, "shape"), axis, dimension) elements *=
            (size_t)json_integer_value(dimension);
        assert_true(json_is_true(json_object_get(tensor, "used")));
        counted += elements;
    }
    assert_int_equal(counted, parameters);
    json_decref(all);
}

static void test_inspect_text(void **state) {
    static const char *const wanted[] = {
        "model\n\nModel\n  family ",
        "\n  architecture    vit_tiny_patch16_224\n",
        "\n  weights         F32\n",
        "\n  classes         10, scored by softmax\n\nInput\n"
        "  size            48 x 48 (height x width), patches of 8\n  preprocessing   ",
        "\n\nEncoder\n"
        "  blocks          3, width 48\n  attention       3 heads of 16",
        "\n  norm            LayerNorm, eps 1e-06\n\nTokens\n  prefix tokens   1\n",
        "\n  positions       learned 2D table\n"
        "  resize rule     bicubic-antialias\n  at this size    as stored\n\n"
        "Cost of one forward pass at 48 x 48, batch 1\n"
        "  tokens          37: 6 x 6 patches + 1 prefix\n",
        "FLOP a picture, a multiply-add being two\n    patches       ",
        "\n\nTensors\n  in the file     44, 44 of them used; --tensors lists them\n"};
    (void)state;
    command_run(&ran, NULL, "inspect", "-mmodel", NULL);
    assert_ran(&ran, 0, NULL, "");
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (!strstr(ran.out, wanted[i]))
            fail_msg("inspect lacks \"%s\":\n%s", wanted[i], ran.out);
    assert_null(strstr(ran.out, "blocks.2"));
    command_run(&ran, NULL, "inspect", "-mmodel", "--tensors", "-s64", NULL);
    assert_ran(&ran, 0, NULL, "");
    assert_non_null(strstr(ran.out, "\n  at this size    resized\n"));
    command_run(&ran, NULL, "inspect", "-mmodel", "--tensors", "-s64", "--patch-size=16", NULL);
    assert_non_null(strstr(ran.out, "\n  tokens          17: 4 x 4 patches + 1 prefix\n"));
    command_run(&ran, NULL, "inspect", "-mmodel", "--tensors", "-s64", NULL);
    assert_non_null(strstr(ran.out, "\n  blocks.2.attn.qkv.weight   F32   144 x 48\n"));
}

/* A model of two towers and no classes. */
static void test_pair_model(void **state) {
    (void)state;
    assert_int_equal(symlink(VT_TEST_DATA "/golden/hf_clip", "clip"), 0);
    command_run(&ran, NULL, "inspect", "-mclip", NULL);
    assert_ran(&ran, 0, NULL, "");
    assert_non_null(strstr(ran.out, "\n  classes         none\n"));
    assert_non_null(strstr(ran.out, "\n\nText\n  vocabulary      "));
    assert_non_null(strstr(ran.out, "\n  shared space    32 wide, with pictures\n"));
    command_run(&ran, NULL, "inspect", "-mclip", "--format=json", NULL);
    assert_non_null(strstr(ran.out, "\"embed_dim\": 32}"));
    command_run(&ran, NULL, "classify", "-mclip", "cat.png", NULL);
    assert_ran(&ran, 3, "",
               "vitrine: clip: expected a model with a classifier; this one only has features: "
               "'vitrine fit' makes one of your own classes, for --head\n");
    command_run(&ran, NULL, "dump", "-mclip", "cat.png", "-oout.safetensors", NULL);
    assert_ran(&ran, 0, NULL, "");
    assert_non_null(strstr(ran.out, "\nimage_embeds F32  1 x 32\n"));
}

/* What is no number is told (code 1), and the stages are written: they show where it begins. */
static void test_odd_pixels(void **state) {
    static float pixels[3 * 48 * 48];
    const vt_tensor tensor = {"pixels", VT_DTYPE_F32, 4, {1, 3, 48, 48}, pixels, sizeof pixels};
    vt_tensor_file *file;
    vt_error err = {0};
    (void)state;
    pixels[100] = NAN;
    assert_int_equal(vt_tensor_file_write("odd.safetensors", &tensor, 1, &err), VT_OK);
    command_run(&ran, NULL, "dump", "-m", "model", "--input=odd.safetensors",
                "--output=stages.safetensors", NULL);
    assert_int_equal(ran.code, 1);
    assert_non_null(
        strstr(ran.err, "vitrine: odd.safetensors: the model's logits of input 0 is NaN"));
    assert_int_equal(vt_tensor_file_open(&file, "stages.safetensors", &err), VT_OK);
    assert_non_null(vt_tensor_file_find(file, "logits"));
    vt_tensor_file_close(file);
    command_run(&ran, NULL, "classify", "-m", "model", "--check-finite", "cat.png", NULL);
    assert_ran(&ran, 0, NULL, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),       cmocka_unit_test(test_listing_and_blocks),
        cmocka_unit_test(test_picture),      cmocka_unit_test(test_bad_inputs),
        cmocka_unit_test(test_pair_model),   cmocka_unit_test(test_inspect_json),
        cmocka_unit_test(test_inspect_text), cmocka_unit_test(test_odd_pixels),
    };
    int failed = cmocka_run_group_tests(tests, command_workspace, command_cleanup);
    command_free(&ran);
    return failed;
}
