/* SPDX-License-Identifier: MIT
 *
 * What the goldens have no case of: a golden checkpoint is rewritten as another family, or
 * another of its family's forms, would have stored it, and must give the numbers that it gave. /
 */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *directory; /* where the rewritten checkpoints go */

/* ---- rewriting ------------------------------------------------------------------------------- */

static const vt_tensor *find_tensor(const test_model *model, const char *name) {
    for (size_t i = 0; i < model->count; i++)
        if (strcmp(model->tensors[i].name, name) == 0)
            return &model->tensors[i];
    return NULL;
}

static void remove_tensor(test_model *model, const char *name) {
    for (size_t i = 0; i < model->count; i++) {
        if (strcmp(model->tensors[i].name, name) == 0) {
            model->tensors[i] = model->tensors[--model->count];
            return;
        }
    }
    fail_msg("there is no %s", name);
}

/* Strings and floats of rewritten tensors; they live until the program ends. */
static char *keep_name(const char *format, size_t block) {
    static char names[256][96];
    static size_t used;
    assert_true(used < 256);
    snprintf(names[used], sizeof names[used], format, block);
    return names[used++];
}

static void *keep_bytes(size_t size) {
    static _Alignas(16) unsigned char bytes[1 << 20];
    static size_t used;
    size = (size + 15) / 16 * 16;
    assert_true(used + size <= sizeof bytes);
    used += size;
    return bytes + used - size;
}

static void add_tensor(test_model *model, vt_tensor tensor) {
    assert_true(model->count < MAX_TEST_TENSORS);
    model->tensors[model->count++] = tensor;
}

static void rename_tensor(test_model *model, const char *from, const char *to) {
    for (size_t i = 0; i < model->count; i++) {
        if (strcmp(model->tensors[i].name, from) == 0) {
            model->tensors[i].name = to;
            return;
        }
    }
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

/* ---- DINOv2 under Meta's names --------------------------------------------------------------- */

static void fuse_qkv(test_model *model, const char *prefix, size_t block, const char *suffix) {
    static const char *const parts[] = {"query", "key", "value"};
    char name[128];
    float *data = NULL;
    vt_tensor fused = {0};
    for (size_t i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "%s.encoder.layer.%zu.attention.attention.%s.%s", prefix, block,
                 parts[i], suffix);
        const vt_tensor *part = find_tensor(model, name);
        assert_non_null(part);
        if (i == 0) {
            fused = *part;
            data = keep_bytes(3 * part->size);
        }
        memcpy(data + i * part->size / sizeof *data, part->data, part->size);
        remove_tensor(model, name);
    }
    char format[64];
    snprintf(format, sizeof format, "blocks.%%zu.attn.qkv.%s", suffix);
    fused.name = keep_name(format, block);
    fused.data = data;
    fused.shape[0] *= 3;
    fused.size *= 3;
    add_tensor(model, fused);
}

static void rename_with_suffixes(test_model *model, const char *from, const char *to) {
    static const char *const suffixes[] = {".weight", ".bias", ""};
    for (size_t i = 0; i < 3; i++) {
        char old[128], new_name[96];
        snprintf(old, sizeof old, "%s%s", from, suffixes[i]);
        snprintf(new_name, sizeof new_name, "%s%s", to, suffixes[i]);
        if (find_tensor(model, old))
            rename_tensor(model, old, keep_name(new_name, 0));
    }
}

/* facebookresearch/dinov2's state dict of a checkpoint of transformers. */
static void rewrite_as_meta(test_model *model, const char *prefix, size_t depth) {
    static const char *const names[][2] = {
        {"embeddings.cls_token", "cls_token"},
        {"embeddings.mask_token", "mask_token"},
        {"embeddings.register_tokens", "register_tokens"},
        {"embeddings.position_embeddings", "pos_embed"},
        {"embeddings.patch_embeddings.projection", "patch_embed.proj"},
        {"layernorm", "norm"},
    };
    static const char *const block_names[][2] = {
        {"norm1", "norm1"},
        {"attention.output.dense", "attn.proj"},
        {"layer_scale1.lambda1", "ls1.gamma"},
        {"norm2", "norm2"},
        {"mlp.fc1", "mlp.fc1"},
        {"mlp.fc2", "mlp.fc2"},
        {"mlp.weights_in", "mlp.w12"},
        {"mlp.weights_out", "mlp.w3"},
        {"layer_scale2.lambda1", "ls2.gamma"},
    };
    char from[128], to[96];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(from, sizeof from, "%s.%s", prefix, names[i][0]);
        rename_with_suffixes(model, from, names[i][1]);
    }
    for (size_t block = 0; block < depth; block++) {
        for (size_t i = 0; i < sizeof block_names / sizeof block_names[0]; i++) {
            snprintf(from, sizeof from, "%s.encoder.layer.%zu.%s", prefix, block,
                     block_names[i][0]);
            snprintf(to, sizeof to, "blocks.%zu.%s", block, block_names[i][1]);
            rename_with_suffixes(model, from, to);
        }
        fuse_qkv(model, prefix, block, "weight");
        fuse_qkv(model, prefix, block, "bias");
    }
    remove_tensor(model, "classifier.weight");
    remove_tensor(model, "classifier.bias");
}

/* `rule` is what Meta's model of that name does of itself. */
static void check_meta(const char *golden_case, const char *prefix, const char *architecture,
                       size_t num_heads, vt_pos_resize rule) {
    test_model model;
    load_test_model(&model, golden_case);
    answer expected = run_model(&model, golden_case, "70x70", rule);
    rewrite_as_meta(&model, prefix, 2);
    json_decref(model.config);
    model.config = json_pack("{s:s, s:{s:I}}", "architecture", architecture, "model_args",
                             "num_heads", (json_int_t)num_heads);
    answer found = run_model(&model, golden_case, "70x70", VT_POS_RESIZE_AUTO);
    expect_same(architecture, &found, &expected);
    assert_int_equal(found.warnings, 0);
    free_test_model(&model);
}

static void test_meta_dinov2(void **state) {
    (void)state;
    check_meta("hf_dinov2", "dinov2", "dinov2_vits14", 3, VT_POS_RESIZE_BICUBIC_OFFSET);
    check_meta("hf_dinov2_swiglu", "dinov2", "dinov2_vitg14", 2, VT_POS_RESIZE_BICUBIC_OFFSET);
    check_meta("hf_dinov2_registers", "dinov2_with_registers", "dinov2_vits14_reg", 3,
               VT_POS_RESIZE_BICUBIC_ANTIALIAS);
    check_meta("hf_dinov2_registers_swiglu", "dinov2_with_registers", "dinov2_vitg14_reg", 2,
               VT_POS_RESIZE_BICUBIC_ANTIALIAS);
}

/* ---- MAE ------------------------------------------------------------------------------------- */

/* The encoder is a ViT's; the decoder is left out without a word; a table that is not stored is
 * made. */
static void test_mae(void **state) {
    (void)state;
    test_model model;
    load_test_model(&model, "hf_vit");
    answer expected = run_model(&model, "hf_vit", "48x48", VT_POS_RESIZE_AUTO);
    set_string(&model, "model_type", "vit_mae");
    json_object_set_new(model.config, "architectures", json_pack("[s]", "ViTMAEForPreTraining"));
    remove_tensor(&model, "classifier.weight");
    remove_tensor(&model, "classifier.bias");
    vt_tensor decoder = *find_tensor(&model, "vit.layernorm.weight");
    decoder.name = "decoder.decoder_norm.weight";
    add_tensor(&model, decoder);
    answer found = run_model(&model, "hf_vit", "48x48", VT_POS_RESIZE_AUTO);
    expect_same("MAE", &found, &expected);
    assert_int_equal(found.warnings, 0);

    remove_tensor(&model, "vit.embeddings.position_embeddings");
    answer computed = run_model(&model, "hf_vit", "48x48", VT_POS_RESIZE_AUTO);
    assert_true(max_difference(computed.pooled, expected.pooled, computed.width) > 1e-3);
    free_test_model(&model);
}

/* ---- BEiT's shared table --------------------------------------------------------------------- */

#define OWN_TABLE                                                                                  \
    "beit.encoder.layer.%zu.attention.attention.relative_position_bias.relative_position_bias_"    \
    "table"
#define SHARED_TABLE "beit.encoder.relative_position_bias.relative_position_bias_table"

static float *copy_floats(const vt_tensor *tensor) {
    float *out = keep_bytes(tensor->size);
    memcpy(out, tensor->data, tensor->size);
    return out;
}

static void set_data(test_model *model, const char *name, const float *data) {
    for (size_t i = 0; i < model->count; i++)
        if (strcmp(model->tensors[i].name, name) == 0)
            model->tensors[i].data = data;
}

/* One table for all blocks is the same in each of them; with tables of their own, the sum is. */
static void test_beit_shared_table(void **state) {
    (void)state;
    static const char *const sizes[] = {"48x48", "32x56"};
    char own[2][128];
    test_model model;
    for (size_t s = 0; s < 2; s++) {
        load_test_model(&model, "hf_beit");
        for (size_t i = 0; i < 2; i++)
            snprintf(own[i], sizeof own[i], OWN_TABLE, i);
        vt_tensor shared = *find_tensor(&model, own[0]);
        shared.name = SHARED_TABLE;

        set_data(&model, own[1], copy_floats(&shared));
        answer alike = run_model(&model, "hf_beit", sizes[s], VT_POS_RESIZE_AUTO);
        float *doubled = copy_floats(&shared);
        for (size_t i = 0; i < tensor_elements(&shared); i++)
            doubled[i] *= 2;
        set_data(&model, own[1], doubled);
        set_data(&model, own[0], doubled);
        answer twice = run_model(&model, "hf_beit", sizes[s], VT_POS_RESIZE_AUTO);

        set_data(&model, own[0], copy_floats(&shared));
        set_data(&model, own[1], copy_floats(&shared));
        add_tensor(&model, shared);
        json_object_set_new(model.config, "use_shared_relative_position_bias", json_true());
        answer both = run_model(&model, "hf_beit", sizes[s], VT_POS_RESIZE_AUTO);
        expect_same("shared and own tables", &both, &twice);

        remove_tensor(&model, own[0]);
        remove_tensor(&model, own[1]);
        json_object_set_new(model.config, "use_relative_position_bias", json_false());
        answer one = run_model(&model, "hf_beit", sizes[s], VT_POS_RESIZE_AUTO);
        expect_same("a shared table", &one, &alike);
        assert_int_equal(one.warnings, 0);
        free_test_model(&model);
    }
}

/* ---- what is not known ----------------------------------------------------------------------- */

static void test_unknown_architecture(void **state) {
    (void)state;
    static const char *const unknown[] = {"vit_relpos_base_patch16_224",
                                          "vit_pe_core_base_patch16_224",
                                          "vit_base_patch16_rope_mixed_224", "resnet50"};
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
        cmocka_unit_test(test_meta_dinov2),       cmocka_unit_test(test_mae),
        cmocka_unit_test(test_beit_shared_table), cmocka_unit_test(test_unknown_architecture),
        cmocka_unit_test(test_unknown_argument),  cmocka_unit_test(test_unknown_tensor),
        cmocka_unit_test(test_input_size),
    };
    return cmocka_run_group_tests(tests, set_up, remove_temp_dir);
}
