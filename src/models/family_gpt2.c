/* SPDX-License-Identifier: MIT
 *
 * GPT-2: a pre-LN decoder with learned positions, whose linear layers are stored turned round
 * (Conv1D). Source: transformers 4.57, models/gpt2/modeling_gpt2.py and configuration_gpt2.py.
 */
#include <string.h>

#include "base/error.h"
#include "models/family.h"
#include "models/hub.h"

static bool matches(const json_t *config) {
    const char *type = json_string_value(json_object_get(config, "model_type"));
    return type && strcmp(type, "gpt2") == 0;
}

static vt_status configure(vt_config *out, const vt_checkpoint *checkpoint, vt_error *err) {
    static const vt_hub_defaults defaults = {768, 12, 12, 0, "gelu_new", 1e-5};
    static const vt_hub_keys keys = {
        .width = "n_embd",
        .depth = "n_layer",
        .num_heads = "n_head",
        .mlp_dim = "n_inner",
        .activation = "activation_function",
        .norm_eps = "layer_norm_epsilon",
    };
    const json_t *config = vt_checkpoint_config(checkpoint);
    const char *where = vt_checkpoint_config_path(checkpoint);
    vt_json_reader r = vt_json_reader_of(config, where, err);
    vt_text_config *text = &out->text;
    out->architecture = vt_hub_architecture(config);
    out->has_text = true;
    vt_hub_encoder_config_named(&text->encoder, &r, &keys, &defaults);
    text->encoder.causal = true;
    if (!vt_json_bool(&r, "scale_attn_weights", true))
        text->encoder.attention.scale = 1;
    text->vocab_size = vt_json_size(&r, "vocab_size", 50257);
    text->max_positions = vt_json_size(&r, "n_positions", 1024);
    text->has_pos_embed = true;
    text->final_norm = true;
    text->has_lm_head = text->tied_lm_head = vt_hub_has_lm_head(checkpoint);
    if (!r.status && (vt_json_bool(&r, "scale_attn_by_inverse_layer_idx", false) ||
                      !vt_json_bool(&r, "tie_word_embeddings", true)))
        return vt_fail(
            err, VT_ERR_UNSUPPORTED,
            "%s: GPT-2 with scale_attn_by_inverse_layer_idx, or with a head of its own, is "
            "not supported",
            where);
    return r.status;
}

static const vt_tensor_name names[] = {
    {VT_PART_TOKEN_EMBED, "@wte.weight"},
    {VT_PART_POS_EMBED, "@wpe.weight"},
    {VT_PART_NORM1, "@h.#.ln_1"},
    {VT_PART_QKV, "@h.#.attn.c_attn"},
    {VT_PART_PROJ, "@h.#.attn.c_proj"},
    {VT_PART_NORM2, "@h.#.ln_2"},
    {VT_PART_FC1, "@h.#.mlp.c_fc"},
    {VT_PART_FC2, "@h.#.mlp.c_proj"},
    {VT_PART_NORM, "@ln_f"},
    {VT_PART_NONE, NULL},
};

static const char *const prefixes[] = {"transformer.", "", NULL};
static const char *const ignored[] = {"lm_head.weight", "*.attn.bias", "*.attn.masked_bias", NULL};

const vt_family vt_family_gpt2 = {
    .name = "GPT-2",
    .matches = matches,
    .configure = configure,
    .text_names = names,
    .prefixes = prefixes,
    .ignored = ignored,
    .conv1d_weights = true,
};
