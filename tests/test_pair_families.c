/* SPDX-License-Identifier: MIT
 *
 * jina-clip and nomic-embed-vision beyond their goldens (tests/test_golden_pairs.c): what is
 * refused, adapters, preprocessing.
 */
#include "support.h"

#include <stdio.h>
#include <string.h>

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

static int set_up(void **state) {
    int failed = create_temp_dir(state);
    directory = *state;
    return failed;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_unknown_text_tower),
        cmocka_unit_test(test_broken_adapters),
        cmocka_unit_test(test_preprocessing),
    };
    return cmocka_run_group_tests(tests, set_up, remove_temp_dir);
}
