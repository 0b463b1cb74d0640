/* SPDX-License-Identifier: MIT
 *
 * GPT-NeoX and Pythia: a decoder whose attention and MLP both take the block's input, with rotary
 * positions on part of a head's channels. Source: transformers 4.57,
 * models/gpt_neox/modeling_gpt_neox.py and configuration_gpt_neox.py.
 */
#include <string.h>

#include "models/family.h"
#include "models/hub.h"
#include "models/rope_config.h"

static bool matches(const json_t *config) {
    const char *type = json_string_value(json_object_get(config, "model_type"));
    return type && strcmp(type, "gpt_neox") == 0;
}

static vt_status configure(vt_config *out, const vt_checkpoint *checkpoint, vt_error *err) {
    static const vt_hub_defaults defaults = {6144, 44, 64, 24576, "gelu", 1e-5};
    const json_t *config = vt_checkpoint_config(checkpoint);
    vt_json_reader r = vt_json_reader_of(config, vt_checkpoint_config_path(checkpoint), err);
    vt_text_config *text = &out->text;
    const vt_rope_defaults rope = {
        .theta = vt_json_real(&r, "rotary_emb_base", 10000),
        .partial_factor = vt_json_real(&r, "rotary_pct", 0.25),
        .max_positions = 2048,
    };
    out->architecture = vt_hub_architecture(config);
    out->has_text = true;
    vt_hub_encoder_config(&text->encoder, &r, &defaults);
    bool parallel = vt_json_bool(&r, "use_parallel_residual", true);
    text->encoder.order = parallel ? VT_NORM_PARALLEL : VT_NORM_FIRST;
    text->encoder.causal = true;
    text->vocab_size = vt_json_size(&r, "vocab_size", 50432);
    text->has_rope = true;
    vt_rope_config_read(&text->rope, &r, text->encoder.attention.head_dim, &rope);
    text->max_positions = text->rope.max_positions;
    text->final_norm = true;
    text->has_lm_head = vt_hub_has_lm_head(checkpoint);
    text->tied_lm_head = vt_json_bool(&r, "tie_word_embeddings", false);
    return r.status;
}

static const vt_tensor_name names[] = {
    {VT_PART_TOKEN_EMBED, "@embed_in.weight"},
    {VT_PART_NORM1, "@layers.#.input_layernorm"},
    {VT_PART_QKV, "@layers.#.attention.query_key_value"},
    {VT_PART_PROJ, "@layers.#.attention.dense"},
    {VT_PART_NORM2, "@layers.#.post_attention_layernorm"},
    {VT_PART_FC1, "@layers.#.mlp.dense_h_to_4h"},
    {VT_PART_FC2, "@layers.#.mlp.dense_4h_to_h"},
    {VT_PART_NORM, "@final_layer_norm"},
    {VT_PART_LM_HEAD, "embed_out"},
    {VT_PART_NONE, NULL},
};

static const char *const prefixes[] = {"gpt_neox.", "", NULL};
static const char *const ignored[] = {"embed_out.weight", "*.attention.bias", "*.masked_bias",
                                      "*.rotary_emb.inv_freq", NULL};

const vt_family vt_family_gpt_neox = {
    .name = "GPT-NeoX",
    .matches = matches,
    .configure = configure,
    .text_names = names,
    .prefixes = prefixes,
    .ignored = ignored,
    .qkv_layout = VT_QKV_BY_HEAD,
};
