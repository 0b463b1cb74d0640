/* SPDX-License-Identifier: MIT
 *
 * Checkpoints that are not what their configuration says, by accident or on purpose: a tensor
 * missing, of another shape or type; absurd numbers; random bytes changed. Each is refused with a
 * line that says what is wrong, and nothing is read or allocated that the file does not have.
 */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const cases[] = {"timm_vit_token",           "hf_vit_nobias",
                                    "timm_vit_siglip_map",      "timm_deit_distilled",
                                    "hf_deit_distilled",        "timm_vit_rope_mixed_ape",
                                    "timm_vit_pe_core",         "golden-pairs/jina_clip_v2",
                                    "golden-pairs/nomic_vision"};
enum { NUM_CASES = sizeof cases / sizeof cases[0] };

/* No golden case is larger than this in F32, packed and all. */
enum { MEMORY_LIMIT_MIB = 64 };

/* ---- opening what should not open ------------------------------------------------------------ */

static vt_status try_open(const char *directory, vt_error *err) {
    vt_model *model;
    *err = (vt_error){0};
    vt_status status = vt_model_open(&model, directory, NULL, err);
    assert_true((status == VT_OK) == (model != NULL));
    assert_int_equal(err->code, status);
    assert_null(strchr(err->message, '\n'));
    vt_model_close(model);
    return status;
}

static void expect_refused(const test_model *model, const char *directory, vt_status expected,
                           const char *what, const char *part1, const char *part2) {
    vt_error err;
    write_test_model(model, directory);
    vt_status status = try_open(directory, &err);
    if (status != expected)
        fail_msg("%s: %s: expected %s, found %s: %s", model->name, what, vt_status_name(expected),
                 vt_status_name(status), err.message);
    if (!strstr(err.message, part1) || !strstr(err.message, part2) ||
        !strstr(err.message, directory))
        fail_msg("%s: %s: \"%s\", \"%s\" and the path should be in: %s", model->name, what, part1,
                 part2, err.message);
}

/* ---- tensors --------------------------------------------------------------------------------- */

static void drop_tensor(test_model *model, size_t index) {
    model->count--;
    memmove(&model->tensors[index], &model->tensors[index + 1],
            (model->count - index) * sizeof model->tensors[0]);
}

/* What a lost tensor is called in the line: "classifier", which has a second name; a weight that
 * has an adapter beside it by its plain one. */
static const char *told_name(const char *name, char *text, size_t size) {
    const char *parametrized = strstr(name, ".parametrizations.weight.original");
    if (strncmp(name, "cls_classifier", 14) == 0)
        return name + 4;
    if (!parametrized)
        return name;
    snprintf(text, size, "%.*s.weight", (int)(parametrized - name), name);
    return text;
}

/* Nothing that these models have may be left out: no tensor of theirs is optional, and each
 * part that is optional in other models (a bias, a norm) is known from other blocks to be there.
 * The line gives the first of the names that a part may have: "classifier" for "cls_classifier". */
static void test_each_tensor_is_missed(void **state) {
    for (size_t c = 0; c < NUM_CASES; c++) {
        test_model original;
        load_test_model(&original, cases[c]);
        for (size_t i = 0; i < original.count; i++) {
            test_model model = original;
            const char *name = original.tensors[i].name;
            char told[160];
            drop_tensor(&model, i);
            expect_refused(&model, *state, VT_ERR_MISSING, name, told_name(name, told, sizeof told),
                           "missing");
        }
        free_test_model(&original);
    }
}

/* A model of one block has no other block to tell that a bias is missing, and one without biases is
 * a model as good as any: here a lost bias cannot be known. What has a weight of its own still is.
 * */
static void test_what_a_single_block_cannot_tell(void **state) {
    test_model original;
    load_test_model(&original, "timm_vit_token");
    json_object_set_new(json_object_get(original.config, "model_args"), "depth", json_integer(1));
    for (size_t i = 0; i < original.count; i++) {
        vt_error err;
        test_model model = original;
        const char *name = original.tensors[i].name;
        bool is_block = strncmp(name, "blocks.", 7) == 0;
        bool is_bias = strcmp(name + strlen(name) - 5, ".bias") == 0 && !strstr(name, "norm");
        if (!is_block || strncmp(name, "blocks.0.", 9) != 0)
            continue;
        drop_tensor(&model, i);
        write_test_model(&model, *state);
        if (is_bias)
            expect_ok(try_open(*state, &err), &err);
        else if (!strstr(name, "norm"))
            expect_refused(&model, *state, VT_ERR_MISSING, name, name, "missing");
    }
    free_test_model(&original);
}

/* "[48, 3, 8, 8]", as the error line writes it. */
static const char *shape_text(const vt_tensor *tensor, char *text, size_t size) {
    size_t used = (size_t)snprintf(text, size, "[");
    for (size_t i = 0; i < tensor->ndim; i++)
        used +=
            (size_t)snprintf(text + used, size - used, "%s%zu", i ? ", " : "", tensor->shape[i]);
    snprintf(text + used, size - used, "]");
    return text;
}

/* timm's configuration does not state the width of the MLP: it is read off block 0's fc2 (and, for
 * the pooling head, off its fc1). When that one is wrong, what disagrees is the tensors with one
 * another, and the line names another tensor of the same MLP. */
static bool tells_mlp_width(const char *name) {
    return strcmp(name, "blocks.0.mlp.fc2.weight") == 0 ||
           strcmp(name, "attn_pool.mlp.fc1.weight") == 0;
}

static void expect_wrong_shape(test_model *model, size_t index, const char *directory) {
    char found[96], path[512];
    const vt_tensor *tensor = &model->tensors[index];
    if (tells_mlp_width(tensor->name)) {
        snprintf(path, sizeof path, "%.*s", (int)(strstr(tensor->name, "fc") - tensor->name),
                 tensor->name);
        expect_refused(model, directory, VT_ERR_SHAPE, tensor->name, path, "expected [");
        return;
    }
    snprintf(path, sizeof path, "found %s", shape_text(tensor, found, sizeof found));
    expect_refused(model, directory, VT_ERR_SHAPE, tensor->name, tensor->name, path);
    snprintf(path, sizeof path, "%s: expected [", tensor->name);
    expect_refused(model, directory, VT_ERR_SHAPE, tensor->name, path, "found");
}

/* One more row or column, with the bytes that it takes. */
static void test_each_dimension_off_by_one(void **state) {
    static const float zeros[65536];
    for (size_t c = 0; c < NUM_CASES; c++) {
        test_model original;
        load_test_model(&original, cases[c]);
        for (size_t i = 0; i < original.count; i++) {
            for (size_t d = 0; d < original.tensors[i].ndim; d++) {
                test_model model = original;
                vt_tensor *tensor = &model.tensors[i];
                tensor->shape[d]++;
                tensor->data = zeros;
                tensor->size = tensor_elements(tensor) * sizeof(float);
                assert_true(tensor->size <= sizeof zeros);
                expect_wrong_shape(&model, i, *state);
            }
        }
        free_test_model(&original);
    }
}

/* As Conv1D checkpoints have their matrices. A square one is transposed without a trace. */
static void test_each_matrix_transposed(void **state) {
    for (size_t c = 0; c < NUM_CASES; c++) {
        test_model original;
        load_test_model(&original, cases[c]);
        for (size_t i = 0; i < original.count; i++) {
            test_model model = original;
            vt_tensor *tensor = &model.tensors[i];
            if (tensor->ndim < 2)
                continue;
            size_t *rows = &tensor->shape[0], *columns = &tensor->shape[tensor->ndim - 1];
            if (*rows == *columns || tensor_elements(tensor) == *columns)
                continue;
            size_t swapped = *rows;
            *rows = *columns;
            *columns = swapped;
            expect_wrong_shape(&model, i, *state);
        }
        free_test_model(&original);
    }
}

static void test_dimensions_of_one_in_front_do_not_count(void **state) {
    test_model model;
    vt_error err;
    load_test_model(&model, "timm_vit_token");
    for (size_t i = 0; i < model.count; i++) {
        vt_tensor *tensor = &model.tensors[i];
        if (strcmp(tensor->name, "cls_token") == 0) { /* [1, 1, n] to [n] */
            tensor->shape[0] = tensor->shape[2];
            tensor->ndim = 1;
        }
    }
    write_test_model(&model, *state);
    expect_ok(try_open(*state, &err), &err);
    free_test_model(&model);
}

static void test_each_tensor_of_another_type(void **state) {
    static const double zeros[65536];
    static const struct {
        vt_dtype dtype;
        size_t size;
        const char *found;
    } types[] = {{VT_DTYPE_I32, 4, "found I32"},
                 {VT_DTYPE_F64, 8, "found F64"},
                 {VT_DTYPE_F8_E4M3, 1, "found F8_E4M3"}};
    for (size_t c = 0; c < NUM_CASES; c++) {
        test_model original;
        load_test_model(&original, cases[c]);
        for (size_t i = 0; i < original.count; i++) {
            for (size_t t = 0; t < sizeof types / sizeof types[0]; t++) {
                test_model model = original;
                vt_tensor *tensor = &model.tensors[i];
                tensor->dtype = types[t].dtype;
                tensor->data = zeros;
                tensor->size = tensor_elements(tensor) * types[t].size;
                assert_true(tensor->size <= sizeof zeros);
                expect_refused(&model, *state, VT_ERR_UNSUPPORTED, tensor->name, tensor->name,
                               types[t].found);
            }
        }
        free_test_model(&original);
    }
}

/* ---- unknown tensors ------------------------------------------------------------------------- */

typedef struct log_lines {
    size_t count;
    char last[1024];
} log_lines;

static void keep_line(void *user, const char *line) {
    log_lines *lines = user;
    lines->count++;
    snprintf(lines->last, sizeof lines->last, "%s", line);
}

static void test_an_unknown_tensor_is_reported(void **state) {
    static const float values[4];
    for (size_t c = 0; c < NUM_CASES; c++) {
        test_model original;
        vt_model *model;
        vt_error err = {0};
        log_lines lines = {0};
        vt_model_options options = VT_MODEL_OPTIONS_INIT;
        options.log = keep_line;
        options.log_user = &lines;
        load_test_model(&original, cases[c]);
        write_test_model(&original, *state);
        expect_ok(vt_model_open(&model, *state, &options, &err), &err);
        assert_int_equal(lines.count, 0);
        vt_model_close(model);
        original.tensors[original.count++] =
            (vt_tensor){"blocks.0.rope.freqs", VT_DTYPE_F32, 1, {4}, values, sizeof values};
        write_test_model(&original, *state);
        expect_ok(vt_model_open(&model, *state, &options, &err), &err);
        assert_int_equal(lines.count, 1);
        assert_non_null(strstr(lines.last, "blocks.0.rope.freqs"));
        assert_null(strchr(lines.last, '\n'));
        vt_model_close(model);
        free_test_model(&original);
    }
}

/* ---- configurations -------------------------------------------------------------------------- */

typedef struct bad_value {
    const char *golden_case, *object, *key; /* object: NULL for the root */
    const char *json;
    vt_status status;
    const char *part; /* of the message */
} bad_value;

#define HF "hf_vit_nobias", NULL
#define TIMM "timm_vit_token", "model_args"
#define TIMM_ROOT "timm_vit_token", NULL

static const bad_value bad_values[] = {
    {HF, "hidden_size", "0", VT_ERR_UNSUPPORTED, ""},
    {HF, "hidden_size", "1099511627776", VT_ERR_UNSUPPORTED, ""},
    {HF, "hidden_size", "-1", VT_ERR_FORMAT, "hidden_size"},
    {HF, "hidden_size", "\"abc\"", VT_ERR_FORMAT, "hidden_size"},
    {HF, "hidden_size", "24.5", VT_ERR_FORMAT, "hidden_size"},
    {HF, "hidden_size", "[24]", VT_ERR_FORMAT, "hidden_size"},
    {HF, "hidden_size", "48", VT_ERR_SHAPE, "expected"},
    {HF, "num_attention_heads", "7", VT_ERR_UNSUPPORTED, "num_attention_heads 7"},
    {HF, "num_attention_heads", "0", VT_ERR_UNSUPPORTED, "num_attention_heads 0"},
    {HF, "num_attention_heads", "true", VT_ERR_FORMAT, "num_attention_heads"},
    {HF, "intermediate_size", "0", VT_ERR_UNSUPPORTED, ""},
    {HF, "intermediate_size", "1048576", VT_ERR_SHAPE, "expected"},
    {HF, "patch_size", "0", VT_ERR_UNSUPPORTED, "patch"},
    {HF, "patch_size", "9223372036854775807", VT_ERR_UNSUPPORTED, "patch"},
    {HF, "image_size", "0", VT_ERR_UNSUPPORTED, "image"},
    {HF, "image_size", "7", VT_ERR_UNSUPPORTED, "image"},
    {HF, "image_size", "[48, 48, 48]", VT_ERR_FORMAT, "image_size"},
    {HF, "image_size", "1048576", VT_ERR_SHAPE, "position_embeddings"},
    {HF, "num_hidden_layers", "0", VT_ERR_UNSUPPORTED, ""},
    {HF, "num_hidden_layers", "3", VT_ERR_MISSING, "layer.2."},
    {HF, "num_hidden_layers", "4096", VT_ERR_MISSING, "layer.2."},
    {HF, "num_hidden_layers", "4097", VT_ERR_UNSUPPORTED, ""},
    {HF, "layer_norm_eps", "\"small\"", VT_ERR_FORMAT, "layer_norm_eps"},
    {HF, "hidden_act", "\"mish\"", VT_ERR_UNSUPPORTED, "\"mish\""},
    {HF, "hidden_act", "\"mi\\r\\nsh\"", VT_ERR_UNSUPPORTED, "\"mi??sh\""}, /* one line */
    {HF, "hidden_act", "3", VT_ERR_FORMAT, "hidden_act"},
    {HF, "num_labels", "16777216", VT_ERR_SHAPE, "classifier"},
    {HF, "num_labels", "9223372036854775807", VT_ERR_UNSUPPORTED, "classes"},
    {HF, "model_type", "\"swin\"", VT_ERR_UNSUPPORTED, "swin"},
    {HF, "model_type", "null", VT_ERR_UNSUPPORTED, "supported: "},
    {TIMM, "embed_dim", "0", VT_ERR_UNSUPPORTED, ""},
    {TIMM, "embed_dim", "1099511627776", VT_ERR_UNSUPPORTED, ""},
    {TIMM, "embed_dim", "-1", VT_ERR_FORMAT, "embed_dim"},
    {TIMM, "embed_dim", "\"abc\"", VT_ERR_FORMAT, "embed_dim"},
    {TIMM, "num_heads", "7", VT_ERR_UNSUPPORTED, "num_heads 7"},
    {TIMM, "num_heads", "0", VT_ERR_UNSUPPORTED, "num_heads 0"},
    {TIMM, "patch_size", "-8", VT_ERR_FORMAT, "patch_size"},
    {TIMM, "depth", "4", VT_ERR_MISSING, "blocks.3."},
    {TIMM, "depth", "9223372036854775807", VT_ERR_UNSUPPORTED, ""},
    {TIMM, "img_size", "4", VT_ERR_UNSUPPORTED, "image"},
    {TIMM, "act_layer", "\"mish\"", VT_ERR_UNSUPPORTED, "\"mish\""},
    {TIMM, "global_pool", "\"best\"", VT_ERR_UNSUPPORTED, "\"best\""},
    {TIMM, "reg_tokens", "1099511627776", VT_ERR_UNSUPPORTED, "registers"},
    {TIMM, "reg_tokens", "4096", VT_ERR_MISSING, "reg_token"},
    {"timm_vit_pe_core", "model_args", "attn_pool_num_heads", "7", VT_ERR_UNSUPPORTED, "7 pooling"},
    {"timm_vit_rope", "model_args", "num_heads", "8", VT_ERR_UNSUPPORTED, "4n channels"},
    {"meta_dinov2_lc4", "model_args", "embed_dim", "25", VT_ERR_UNSUPPORTED, "embed_dim 25"},
    {"meta_dinov2_lc4", "model_args", "embed_dim", "30", VT_ERR_SHAPE, "linear_head"},
    {"meta_dinov2_lc4", "model_args", "depth", "3", VT_ERR_UNSUPPORTED, "classifier sees"},
    {TIMM_ROOT, "architecture", "\"resnet50\"", VT_ERR_UNSUPPORTED, "resnet50"},
    {TIMM_ROOT, "architecture", "null", VT_ERR_UNSUPPORTED, "supported: "},
    {TIMM_ROOT, "num_classes", "11", VT_ERR_SHAPE, "head"},
    {TIMM_ROOT, "num_classes", "-1", VT_ERR_FORMAT, "num_classes"},
};

static void set_json(test_model *model, const char *object, const char *key, const char *text) {
    json_t *target = object ? json_object_get(model->config, object) : model->config;
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(value);
    assert_int_equal(json_object_set_new(target, key, value), 0);
}

static void test_absurd_configurations(void **state) {
    for (size_t i = 0; i < sizeof bad_values / sizeof bad_values[0]; i++) {
        const bad_value *bad = &bad_values[i];
        char what[128];
        test_model model;
        snprintf(what, sizeof what, "%s = %s", bad->key, bad->json);
        load_test_model(&model, bad->golden_case);
        set_json(&model, bad->object, bad->key, bad->json);
        expect_refused(&model, *state, bad->status, what, bad->part, "");
        free_test_model(&model);
    }
}

/* No patches of no size; VT_ERR_FORMAT or VT_ERR_UNSUPPORTED, but no division by zero. */
static void test_patch_size_0(void **state) {
    vt_error err;
    test_model model;
    load_test_model(&model, "timm_vit_token");
    set_json(&model, "model_args", "patch_size", "0");
    write_test_model(&model, *state);
    vt_status status = try_open(*state, &err);
    assert_true(status == VT_ERR_FORMAT || status == VT_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "patch"));
    free_test_model(&model);
}

/* An unknown architecture: one line says what was found and what would run. */
static void test_unknown_architecture_lists_the_known(void **state) {
    test_model model;
    load_test_model(&model, "timm_vit_token");
    set_json(&model, NULL, "architecture", "\"resnet50\"");
    expect_refused(&model, *state, VT_ERR_UNSUPPORTED, "resnet50", "resnet50",
                   "timm VisionTransformer");
    expect_refused(&model, *state, VT_ERR_UNSUPPORTED, "resnet50",
                   "supported: ", "Hugging Face ViT");
    free_test_model(&model);
}

/* Numbers that are each in range, and ask for terabytes: the file's own shapes are looked at before
 * any memory is taken for them. */
static void test_no_memory_is_taken_on_the_configuration_s_word(void **state) {
    static const struct {
        const char *golden_case, *object, *width, *patch, *heads, *image;
    } names[] = {
        {"hf_vit_nobias", NULL, "hidden_size", "patch_size", "num_attention_heads", "image_size"},
        {"timm_vit_token", "model_args", "embed_dim", "patch_size", "num_heads", "img_size"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        test_model model;
        load_test_model(&model, names[i].golden_case);
        set_json(&model, names[i].object, names[i].width, "1048576");
        set_json(&model, names[i].object, names[i].heads, "1024");
        set_json(&model, names[i].object, names[i].patch, "1024");
        set_json(&model, names[i].object, names[i].image, "1048576");
        expect_refused(&model, *state, VT_ERR_SHAPE, "all large", "expected", "found");
        free_test_model(&model);
    }
}

/* ---- random damage --------------------------------------------------------------------------- */

/* Flips a few bits of one to four bytes. */
static void damage(test_random *random, unsigned char *bytes, size_t size) {
    for (size_t i = 1 + random_below(random, 4); i > 0; i--)
        bytes[random_below(random, size)] ^= (unsigned char)(1 + random_below(random, 255));
}

/* Opens it, and runs it if it opens: then whatever changed was not needed or is as good. */
static size_t open_and_run(const char *directory) {
    vt_model *model;
    vt_session *session = NULL;
    vt_model_plan plan;
    vt_error err = {0};
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    options.num_threads = 1;
    if (vt_model_open(&model, directory, NULL, &err) != VT_OK) {
        assert_int_not_equal(err.code, VT_OK);
        assert_true(err.message[0] != '\0');
        return 0;
    }
    if (vt_model_plan_forward(&plan, model, 1, 0, 0, 1, &err) == VT_OK &&
        plan.workspace_bytes < (size_t)MEMORY_LIMIT_MIB << 20 &&
        vt_session_create(&session, model, &options, &err) == VT_OK) {
        float *pixels = calloc(3 * plan.input_height * plan.input_width, sizeof *pixels);
        assert_non_null(pixels);
        if (vt_session_forward(session, pixels, 1, &err) != VT_ERR_NOT_FINITE)
            expect_ok(err.code, &err);
        free(pixels);
    }
    vt_session_destroy(session);
    vt_model_close(model);
    return 1;
}

static void flip(const char *directory, const char *golden_case, const char *file, size_t limit,
                 size_t rounds) {
    static const char *const names[] = {"config.json", "model.safetensors"};
    test_random random = {limit + rounds};
    size_t size, opened = 0;
    for (size_t i = 0; i < 2; i++)
        copy_file(case_path(golden_case, names[i]), path_in(directory, names[i]));
    unsigned char *bytes = read_bytes(path_in(directory, file), &size);
    unsigned char *damaged = malloc(size);
    assert_non_null(damaged);
    for (size_t i = 0; i < rounds; i++) {
        memcpy(damaged, bytes, size);
        damage(&random, damaged, limit && limit < size ? limit : size);
        write_bytes(path_in(directory, file), damaged, size);
        opened += open_and_run(directory);
    }
    print_message("%s: %s: %zu of %zu damaged files open\n", golden_case, file, opened, rounds);
    free(damaged);
    free(bytes);
}

static void test_random_bytes_changed(void **state) {
    static const char *const some[] = {"timm_deit_distilled", "hf_vit_nobias",
                                       "timm_vit_siglip_map", "golden-pairs/jina_clip_v2",
                                       "golden-pairs/nomic_vision"};
    remove(path_in(*state, "preprocessor_config.json"));
    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++) {
        flip(*state, some[i], "config.json", 0, 700);
        flip(*state, some[i], "model.safetensors", 0, 60);     /* weights for the most part */
        flip(*state, some[i], "model.safetensors", 3000, 600); /* the header */
        flip(*state, some[i], "model.safetensors", 8, 100);    /* its length */
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_tensor_is_missed),
        cmocka_unit_test(test_what_a_single_block_cannot_tell),
        cmocka_unit_test(test_each_dimension_off_by_one),
        cmocka_unit_test(test_each_matrix_transposed),
        cmocka_unit_test(test_dimensions_of_one_in_front_do_not_count),
        cmocka_unit_test(test_each_tensor_of_another_type),
        cmocka_unit_test(test_an_unknown_tensor_is_reported),
        cmocka_unit_test(test_absurd_configurations),
        cmocka_unit_test(test_patch_size_0),
        cmocka_unit_test(test_unknown_architecture_lists_the_known),
        cmocka_unit_test(test_no_memory_is_taken_on_the_configuration_s_word),
        cmocka_unit_test(test_random_bytes_changed),
    };
    return cmocka_run_group_tests_name("hostile models", tests, create_temp_dir, remove_temp_dir);
}
