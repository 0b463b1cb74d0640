/* SPDX-License-Identifier: MIT
 *
 * jina-clip, nomic-embed-vision and OpenCLIP beyond their goldens (tests/test_golden_pairs.c): what
 * is refused, adapters, preprocessing.
 */
#include "support.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *directory;

/* The section of a configuration that a path such as "text_config/hf_model_config_kwargs" leads to.
 */
static json_t *section(json_t *config, const char *path) {
    char name[64];
    while (*path) {
        size_t length = strcspn(path, "/");
        snprintf(name, sizeof name, "%.*s", (int)length, path);
        config = json_object_get(config, name);
        path += length + (path[length] == '/');
    }
    assert_non_null(config);
    return config;
}

static void expect_refusal(const test_model *model, vt_status status, const char *part) {
    vt_error err = {0};
    vt_model *opened;
    write_test_model(model, directory);
    assert_int_equal(vt_model_open(&opened, directory, NULL, &err), status);
    if (!strstr(err.message, part))
        fail_msg("expected \"%s\" in: %s", part, err.message);
}

/* What no published checkpoint has is told in a line that names the key. */
static void test_refusals(void **state) {
    (void)state;
    static const char kwargs[] = "text_config/hf_model_config_kwargs";
    const struct {
        const char *golden_case, *section, *key;
        json_t *value;
    } changes[] = {
        {"golden-pairs/jina_clip_v1", "vision_config", "post_norm", json_true()},
        {"golden-pairs/jina_clip_v1", "vision_config", "proj_type", json_string("mlp")},
        {"golden-pairs/jina_clip_v1", "vision_config", "embed_dim", json_integer(32)},
        {"golden-pairs/jina_clip_v1", "vision_config", "naive_swiglu", json_false()},
        {"golden-pairs/jina_clip_v1", "text_config", "proj_type", json_string("linear")},
        {"golden-pairs/jina_clip_v1", "text_config", "pooler_type", json_string("max_pooler")},
        {"golden-pairs/jina_clip_v1", "text_config", "embed_dim", json_integer(32)},
        {"golden-pairs/jina_clip_v1", kwargs, "position_embedding_type", json_string("rotary")},
        {"golden-pairs/jina_clip_v1", kwargs, "use_qk_norm", json_true()},
        {"golden-pairs/jina_clip_v2", kwargs, "position_embedding_type", json_string("absolute")},
        {"golden-pairs/jina_clip_v2", kwargs, "lora_rank", json_integer(0)},
        {"golden-pairs/jina_clip_v2", "text_config", "default_instruction_task",
         json_string("retrieval.query")},
        {"golden-pairs/jina_clip_v2", "text_config", "default_lora_task", json_string("other")},
        {"golden-pairs/nomic_vision", "", "no_cls_token", json_true()},
        {"golden-pairs/nomic_vision", "", "no_embed_class", json_true()},
        {"golden-pairs/nomic_vision", "", "prenorm", json_false()},
        {"golden-pairs/nomic_vision", "", "parallel_block", json_true()},
        {"golden-pairs/nomic_vision", "", "learned_pos_embedding", json_true()},
        {"golden-pairs/nomic_vision", "", "use_pos_embed", json_false()},
        {"golden-pairs/nomic_vision", "", "register_tokens", json_integer(4)},
        {"golden-pairs/nomic_vision", "", "rotary_emb_fraction", json_real(1.0)},
        {"golden-pairs/nomic_vision", "", "global_pool", json_string("avg")},
        {"golden-pairs/nomic_vision", "", "activation_function", json_string("glu")},
    };
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        test_model model;
        load_test_model(&model, changes[i].golden_case);
        json_object_set_new(section(model.config, changes[i].section), changes[i].key,
                            changes[i].value);
        expect_refusal(&model, VT_ERR_UNSUPPORTED, changes[i].key);
        free_test_model(&model);
    }
}

/* A text tower whose own configuration is not known is not guessed at. */
static void test_unknown_text_tower(void **state) {
    (void)state;
    test_model model;
    load_test_model(&model, "golden-pairs/jina_clip_v2");
    json_object_set_new(section(model.config, "text_config"), "hf_model_name_or_path",
                        json_string("FacebookAI/roberta-base"));
    expect_refusal(&model, VT_ERR_UNSUPPORTED, "FacebookAI/roberta-base");
    json_object_set_new(section(model.config, "text_config"), "hf_model_name_or_path",
                        json_string("jinaai/jina-bert-flash-implementation"));
    expect_refusal(&model, VT_ERR_SHAPE, "token_type_embeddings"); /* JinaBERT has two types */
    free_test_model(&model);
}

static vt_tensor *find(test_model *model, const char *ending) {
    for (size_t i = 0; i < model->count; i++) {
        const char *name = model->tensors[i].name;
        size_t n = strlen(name), m = strlen(ending);
        if (n >= m && strcmp(name + n - m, ending) == 0)
            return &model->tensors[i];
    }
    fail_msg("no tensor ends with %s", ending);
    return NULL;
}

/* Adapters that are missing, too few or of another shape. */
static void test_broken_adapters(void **state) {
    (void)state;
    test_model model;
    load_test_model(&model, "golden-pairs/jina_clip_v2");
    vt_tensor *lora = find(&model, "layers.1.mlp.fc2.parametrizations.weight.0.lora_B"),
              kept = *lora;
    lora->name = "elsewhere";
    expect_refusal(&model, VT_ERR_MISSING, "layers.1.mlp.fc2.parametrizations.weight.0.lora_B");
    *lora = kept;
    lora->ndim = 2;
    lora->shape[0] *= lora->shape[1];
    lora->shape[1] = lora->shape[2];
    expect_refusal(&model, VT_ERR_SHAPE, "layers.1.mlp.fc2.parametrizations.weight.0.lora_B");
    *lora = kept;
    lora->shape[1] = kept.shape[2];
    lora->shape[2] = kept.shape[1];
    expect_refusal(&model, VT_ERR_SHAPE, "layers.1.mlp.fc2.parametrizations.weight.0.lora_B");
    *lora = kept;
    json_t *tasks = json_object_get(section(model.config, "text_config/hf_model_config_kwargs"),
                                    "lora_adaptations");
    json_array_append_new(tasks, json_string("classification"));
    json_object_set_new(section(model.config, "text_config"), "default_lora_task",
                        json_string("classification"));
    expect_refusal(&model, VT_ERR_SHAPE, "lora_A: expected [3, 67, 2], found [2, 67, 2]");
    free_test_model(&model);
}

/* "resize ..." as inspect prints it. */
static void test_preprocessing(void **state) {
    (void)state;
    static const struct {
        const char *mode, *line;
    } modes[] = {
        {"shortest", "resize short edge to 64 (bicubic), centre crop 64x64"},
        {"squash", "resize to 64x64 (bicubic), mean"},
        {"longest", "fit into 64x64 (bicubic), centre crop 64x64"},
    };
    for (size_t i = 0; i < 3; i++) {
        test_model model;
        vt_error err = {0};
        vt_model *opened;
        vt_model_info info;
        load_test_model(&model, "golden-pairs/jina_clip_v1");
        write_test_model(&model, directory);
        json_t *processor = load_json(path_in(directory, "preprocessor_config.json"));
        json_object_set_new(processor, "size", json_integer(64));
        json_object_set_new(processor, "resize_mode", json_string(modes[i].mode));
        write_json(path_in(directory, "preprocessor_config.json"), processor);
        json_decref(processor);
        expect_ok(vt_model_open(&opened, directory, NULL, &err), &err);
        vt_model_describe(&info, opened);
        assert_int_equal(info.image_height, 64);
        assert_string_equal(info.family, "jina-clip");
        if (!strstr(info.preprocessing, modes[i].line))
            fail_msg("%s: %s", modes[i].mode, info.preprocessing);
        assert_non_null(strstr(info.preprocessing, "mean 0.481"));
        vt_model_close(opened);
        free_test_model(&model);
    }
}

/* ---- OpenCLIP ----------------------------------------------------------------------------------
 */

/* A case's checkpoint as it is, but for one key of model_cfg's section. */
static vt_status open_changed(vt_model **out, const char *golden_case, const char *part,
                              const char *key, json_t *value, vt_error *err) {
    static const char *const files[] = {"open_clip_model.safetensors", "tokenizer_config.json"};
    const char *names[] = {"config.json", "model.safetensors", "preprocessor_config.json"};
    for (size_t i = 0; i < 3; i++)
        remove(path_in(directory, names[i]));
    for (size_t i = 0; i < 2; i++) {
        remove(path_in(directory, files[i]));
        if (access(case_path(golden_case, files[i]), F_OK) == 0)
            copy_file(case_path(golden_case, files[i]), path_in(directory, files[i]));
    }
    json_t *config = load_json(case_path(golden_case, "open_clip_config.json"));
    json_object_set_new(section(config, part), key, value);
    write_json(path_in(directory, "open_clip_config.json"), config);
    json_decref(config);
    return vt_model_open(out, directory, NULL, err);
}

/* Texts of a tower that sees its padding are padded, with the tokenizer's token. */
static void test_open_clip_padding(void **state) {
    (void)state;
    vt_error err = {0};
    vt_model *model;
    int64_t pad;
    expect_ok(open_changed(&model, "golden-pairs/open_clip_siglip", "model_cfg/vision_cfg",
                           "attentional_pool", json_false(), &err),
              &err);
    assert_int_equal(vt_model_text_padding(model, &pad), 12);
    assert_int_equal(pad, 1);
    vt_model_close(model);
    expect_ok(open_changed(&model, "golden-pairs/open_clip_eva02", "model_cfg/text_cfg", "heads",
                           json_integer(3), &err),
              &err);
    assert_int_equal(vt_model_text_padding(model, &pad), 0);
    vt_model_close(model);
}

static void test_open_clip_refusals(void **state) {
    (void)state;
    static const char vision[] = "model_cfg/vision_cfg", text[] = "model_cfg/text_cfg";
    const struct {
        const char *golden_case, *section, *key;
        json_t *value;
    } changes[] = {
        {"golden-pairs/open_clip_siglip", vision, "timm_model_name", json_string("convnext_base")},
        {"golden-pairs/open_clip_siglip", vision, "timm_proj", json_string("linear")},
        {"golden-pairs/open_clip_eva02", vision, "timm_proj", json_string("mlp")},
        {"golden-pairs/open_clip_siglip", "model_cfg", "embed_dim", json_integer(32)},
        {"golden-pairs/open_clip_siglip", text, "hf_model_name", json_string("roberta-base")},
        {"golden-pairs/open_clip_siglip", text, "qk_norm", json_true()},
        {"golden-pairs/open_clip_siglip", text, "embed_cls", json_true()},
        {"golden-pairs/open_clip_siglip", text, "pool_type", json_string("none")},
        {"golden-pairs/open_clip_siglip", text, "proj_type", json_string("none")},
        {"golden-pairs/open_clip_eva02", vision, "timm_pool", json_string("rot_attn")},
    };
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        vt_error err = {0};
        vt_model *model;
        const char *key = changes[i].key;
        assert_int_equal(open_changed(&model, changes[i].golden_case, changes[i].section, key,
                                      changes[i].value, &err),
                         VT_ERR_UNSUPPORTED);
        if (!strstr(err.message, strcmp(key, "timm_pool") == 0 ? "rot_attn" : key))
            fail_msg("%s: %s", key, err.message);
    }
}

static int set_up(void **state) {
    int failed = create_temp_dir(state);
    directory = *state;
    return failed;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),          cmocka_unit_test(test_unknown_text_tower),
        cmocka_unit_test(test_broken_adapters),   cmocka_unit_test(test_preprocessing),
        cmocka_unit_test(test_open_clip_padding), cmocka_unit_test(test_open_clip_refusals),
    };
    return cmocka_run_group_tests(tests, set_up, remove_temp_dir);
}
