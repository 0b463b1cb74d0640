/* SPDX-License-Identifier: MIT
 *
 * Configurations of models that vitrine does not know: one key of a golden model is changed, and it
 * is refused in a line that names the file and what is wrong, rather than run as something else.
 */
#include "support.h"

#include <stdio.h>
#include <string.h>

/* A key "a/b" is b of the object a; the value is JSON, and NULL takes the key away. */
typedef struct change {
    const char *golden_case, *key, *value, *part;
} change;

static const change changes[] = {
    /* Positions and attention of another kind. */
    {"text_bert", "position_embedding_type", "\"relative_key\"", "absolute positions"},
    {"text_bert", "is_decoder", "true", "encoders"},
    {"text_bloom", "apply_residual_connection_post_layernorm", "true", "post_layernorm"},
    {"text_gpt2", "scale_attn_by_inverse_layer_idx", "true", "scale_attn_by_inverse_layer_idx"},
    {"text_gpt2", "tie_word_embeddings", "false", "a head of its own"},
    {"text_llama", "num_key_value_heads", "3", "4 query heads cannot share 3"},
    {"text_mistral_swa", "layer_types", "[\"sliding_attention\", \"full_attention\"]",
     "1 of 2 blocks have a sliding window"},
    {"text_llama_longrope", "rope_scaling/short_factor", "[-1, 1, 1, 1, 1, 1, 1, 1]", "positive"},
    {"text_mpt", "attn_config/alibi", "false", "without ALiBi"},
    {"text_mpt", "attn_config/qk_ln", "true", "qk_ln"},
    {"text_mpt", "attn_config/clip_qkv", "6", "clip_qkv"},
    {"text_nomic_bert", "prenorm", "true", "prenorm"},
    {"text_nomic_bert", "causal", "true", "causal"},
    {"timm_vit_rope", "model_args/rope_type", "\"axial\"", "\"rope_type\""},
    {"timm_vit_rope", "model_args/rope_grid_indexing", "\"yx\"", "\"rope_grid_indexing\""},
    {"timm_vit_rope", "model_args/rope_rotate_half", "true", "\"rope_rotate_half\""},
    {"timm_vit_rope", "model_args/use_rot_pos_emb", "false", "\"use_rot_pos_emb\""},
    {"timm_vit_rope", "model_args/rope_temperature", "0", "rotary base: expected 1 to"},
    /* MLPs. */
    {"text_t5_encoder", "feed_forward_proj", "\"gated-tanh\"", "gated-tanh"},
    {"hf_dinov2", "mlp_ratio", "0", "\"mlp_ratio\": expected up to 64, found 0"},
    {"hf_dinov2", "mlp_ratio", "65", "found 65"},
    {"golden-pairs/nomic_vision", "patch_embed_bias", "false", "\"patch_embed_bias\""},
    /* Sizes that do not go together. */
    {"golden-pairs/jina_clip_v1", "vision_config/head_width", "5",
     "width 48 is no multiple of 9 heads"},
    {"hf_siglip", "text_config/projection_size", "24", "texts are projected to 24"},
    {"hf_siglip2_naflex", "vision_config/hidden_size", "\"wide\"", "\"hidden_size\""},
    {"hf_clip", "projection_dim", "1048577", "projection width: expected 0 to 1048576"},
    {"hf_clip", "text_config/hidden_size", "-1", "\"hidden_size\""},
    {"timm_vit_token", "model_args/class_token", "false", "pools the class token, but has none"},
};

static json_t *holder_of(json_t *config, const char *key, const char **name) {
    const char *slash;
    char part[64];
    for (; (slash = strchr(key, '/')); key = slash + 1) {
        snprintf(part, sizeof part, "%.*s", (int)(slash - key), key);
        config = json_object_get(config, part);
        assert_non_null(config);
    }
    *name = key;
    return config;
}

static vt_status open_at(const char *directory, vt_error *err) {
    vt_model *model = NULL;
    *err = (vt_error){0};
    vt_status status = vt_model_open(&model, directory, NULL, err);
    vt_model_close(model);
    return status;
}

static void test_each(void **state) {
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        const change *c = &changes[i];
        const char *name;
        vt_error err;
        test_model model;
        load_test_model(&model, c->golden_case);
        json_t *holder = holder_of(model.config, c->key, &name);
        json_t *value = json_loads(c->value, JSON_DECODE_ANY, NULL);
        assert_non_null(value);
        json_object_set_new(holder, name, value);
        write_test_model(&model, *state);
        vt_status status = open_at(*state, &err);
        if ((status != VT_ERR_UNSUPPORTED && status != VT_ERR_FORMAT) ||
            !strstr(err.message, c->part) || !strstr(err.message, "config.json: "))
            fail_msg("%s, %s: %s: expected \"%s\": %s: %s", c->golden_case, c->key, c->value,
                     c->part, vt_status_name(status), err.message);
        free_test_model(&model);
    }
}

/* They all open as they are: it is the change that is refused. */
static void test_none_without_the_change(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        char path[512];
        vt_error err;
        snprintf(path, sizeof path, "%s", case_path(changes[i].golden_case, "config.json"));
        *strrchr(path, '/') = '\0';
        expect_ok(open_at(path, &err), &err);
    }
}

/* What is worked out from the configuration may be no number although each number in it is one. */
static void test_scale_of_pairs(void **state) {
    static const float infinite = 1000;
    vt_error err;
    test_model model;
    load_test_model(&model, "hf_siglip");
    for (size_t i = 0; i < model.count; i++)
        if (strcmp(model.tensors[i].name, "logit_scale") == 0)
            model.tensors[i].data = &infinite;
    write_test_model(&model, *state);
    assert_int_equal(open_at(*state, &err), VT_ERR_NOT_FINITE);
    assert_non_null(strstr(err.message, "logits of pairs are e^1000 cos"));
    free_test_model(&model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each),
        cmocka_unit_test(test_none_without_the_change),
        cmocka_unit_test(test_scale_of_pairs),
    };
    return cmocka_run_group_tests_name("configurations that are refused", tests, create_temp_dir,
                                       remove_temp_dir);
}
