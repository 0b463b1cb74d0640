/* SPDX-License-Identifier: MIT
 *
 * MPT: a pre-LN decoder with ALiBi and no biases at all. Source: transformers 4.57,
 * models/mpt/modeling_mpt.py and configuration_mpt.py; the MLP is 4 times as wide whatever
 * expansion_ratio says.
 */
#include <string.h>

#include "base/error.h"
#include "models/family.h"
#include "models/hub.h"

static bool matches(const json_t *config) {
    const char *type = json_string_value(json_object_get(config, "model_type"));
    return type && strcmp(type, "mpt") == 0;
}

static void read_attention(vt_text_config *text, vt_json_reader *r) {
    const json_t *object = json_object_get(r->object, "attn_config");
    vt_json_reader attn = vt_json_reader_of(object, r->where, r->err);
    text->has_alibi = true;
    text->alibi_order = VT_ALIBI_MPT;
    text->alibi_max_bias = vt_json_real(&attn, "alibi_bias_max", 8);
    text->encoder.attention.scale =
        (float)vt_json_real(&attn, "softmax_scale", (double)text->encoder.attention.scale);
    bool plain = vt_json_bool(&attn, "alibi", true) && vt_json_real(&attn, "clip_qkv", 0) == 0 &&
                 !vt_json_bool(&attn, "qk_ln", false) && !vt_json_bool(&attn, "prefix_lm", false);
    if (!r->status)
        r->status = attn.status;
    if (!plain && !r->status)
        r->status = vt_fail(r->err, VT_ERR_UNSUPPORTED,
                            "%s: MPT without ALiBi, or with clip_qkv, qk_ln or prefix_lm, is not "
                            "supported",
                            r->where);
}

static vt_status configure(vt_config *out, const vt_checkpoint *checkpoint, vt_error *err) {
    static const vt_hub_defaults defaults = {2048, 24, 16, 0, NULL, 1e-5};
    static const vt_hub_keys keys = {
        .width = "d_model",
        .depth = "n_layers",
        .num_heads = "n_heads",
        .norm_eps = "layer_norm_epsilon",
    };
    const json_t *config = vt_checkpoint_config(checkpoint);
    vt_json_reader r = vt_json_reader_of(config, vt_checkpoint_config_path(checkpoint), err);
    vt_text_config *text = &out->text;
    out->architecture = vt_hub_architecture(config);
    out->has_text = true;
    vt_hub_encoder_config_named(&text->encoder, &r, &keys, &defaults);
    text->encoder.activation = VT_ACT_GELU_ERF;
    text->encoder.causal = true;
    read_attention(text, &r);
    text->vocab_size = vt_json_size(&r, "vocab_size", 50368);
    text->max_positions = vt_json_size(&r, "max_seq_len", 2048);
    text->final_norm = true;
    text->has_lm_head = vt_hub_has_lm_head(checkpoint);
    text->tied_lm_head = vt_json_bool(&r, "tie_word_embeddings", true);
    return r.status;
}

static const vt_tensor_name names[] = {
    {VT_PART_TOKEN_EMBED, "@wte.weight"},
    {VT_PART_NORM1, "@blocks.#.norm_1"},
    {VT_PART_QKV, "@blocks.#.attn.Wqkv"},
    {VT_PART_PROJ, "@blocks.#.attn.out_proj"},
    {VT_PART_NORM2, "@blocks.#.norm_2"},
    {VT_PART_FC1, "@blocks.#.ffn.up_proj"},
    {VT_PART_FC2, "@blocks.#.ffn.down_proj"},
    {VT_PART_NORM, "@norm_f"},
    {VT_PART_LM_HEAD, "lm_head"},
    {VT_PART_NONE, NULL},
};

static const char *const prefixes[] = {"transformer.", "", NULL};
static const char *const ignored[] = {"lm_head.weight", NULL};

const vt_family vt_family_mpt = {
    .name = "MPT",
    .matches = matches,
    .configure = configure,
    .text_names = names,
    .prefixes = prefixes,
    .ignored = ignored,
};
