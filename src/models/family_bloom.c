/* SPDX-License-Identifier: MIT
 *
 * BLOOM: a pre-LN decoder with ALiBi and a norm after the embeddings. Source: transformers 4.57,
 * models/bloom/modeling_bloom.py and configuration_bloom.py.
 */
#include <string.h>

#include "base/error.h"
#include "models/family.h"
#include "models/hub.h"

static bool matches(const json_t *config) {
    const char *type = json_string_value(json_object_get(config, "model_type"));
    return type && strcmp(type, "bloom") == 0;
}

static const char *key_present(const json_t *config, const char *key, const char *other) {
    return json_object_get(config, key) ? key : other;
}

static vt_status configure(vt_config *out, const vt_checkpoint *checkpoint, vt_error *err) {
    static const vt_hub_defaults defaults = {64, 2, 8, 0, NULL, 1e-5};
    const json_t *config = vt_checkpoint_config(checkpoint);
    const char *where = vt_checkpoint_config_path(checkpoint);
    const vt_hub_keys keys = {
        /* the first files have other names */
        .width = key_present(config, "hidden_size", "n_embed"),
        .depth = key_present(config, "n_layer", "num_hidden_layers"),
        .num_heads = key_present(config, "n_head", "num_attention_heads"),
        .norm_eps = "layer_norm_epsilon",
    };
    vt_json_reader r = vt_json_reader_of(config, where, err);
    vt_text_config *text = &out->text;
    out->architecture = vt_hub_architecture(config);
    out->has_text = true;
    vt_hub_encoder_config_named(&text->encoder, &r, &keys, &defaults);
    text->encoder.activation = VT_ACT_GELU_TANH;
    text->encoder.causal = true;
    text->vocab_size = vt_json_size(&r, "vocab_size", 250880);
    text->has_alibi = true;
    text->alibi_order = VT_ALIBI_BLOOM;
    text->alibi_max_bias = 8;
    text->embed_norm = true;
    text->final_norm = true;
    text->has_lm_head = vt_hub_has_lm_head(checkpoint);
    text->tied_lm_head = vt_json_bool(&r, "tie_word_embeddings", true);
    if (!r.status && vt_json_bool(&r, "apply_residual_connection_post_layernorm", false))
        return vt_fail(err, VT_ERR_UNSUPPORTED,
                       "%s: apply_residual_connection_post_layernorm is not supported", where);
    return r.status;
}

static const vt_tensor_name names[] = {
    {VT_PART_TOKEN_EMBED, "@word_embeddings.weight"},
    {VT_PART_PRE_NORM, "@word_embeddings_layernorm"},
    {VT_PART_NORM1, "@h.#.input_layernorm"},
    {VT_PART_QKV, "@h.#.self_attention.query_key_value"},
    {VT_PART_PROJ, "@h.#.self_attention.dense"},
    {VT_PART_NORM2, "@h.#.post_attention_layernorm"},
    {VT_PART_FC1, "@h.#.mlp.dense_h_to_4h"},
    {VT_PART_FC2, "@h.#.mlp.dense_4h_to_h"},
    {VT_PART_NORM, "@ln_f"},
    {VT_PART_LM_HEAD, "lm_head"},
    {VT_PART_NONE, NULL},
};

static const char *const prefixes[] = {"transformer.", "", NULL};
static const char *const ignored[] = {"lm_head.weight", NULL};

const vt_family vt_family_bloom = {
    .name = "BLOOM",
    .matches = matches,
    .configure = configure,
    .text_names = names,
    .prefixes = prefixes,
    .ignored = ignored,
    .qkv_layout = VT_QKV_BY_HEAD,
};
