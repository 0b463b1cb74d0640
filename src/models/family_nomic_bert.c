/* SPDX-License-Identifier: MIT
 *
 * NomicBERT (nomic-embed-text): post-LN BERT with rotary positions, a SwiGLU MLP and no biases;
 * rotary positions past the trained length by dynamic NTK. Source: nomic-ai/contrastors,
 * modeling_hf_nomic_bert.py (Nussbaum et al. 2024, arXiv:2402.01613).
 */
#include <string.h>

#include "base/error.h"
#include "models/family.h"
#include "models/hub.h"
#include "models/rope_config.h"

static bool matches(const json_t *config) {
    const char *type = json_string_value(json_object_get(config, "model_type"));
    return type && strcmp(type, "nomic_bert") == 0;
}

/* The rotary keys have their own names: they are handed on under those of transformers. */
static void read_rope(vt_text_config *text, vt_json_reader *r) {
    double scaling = vt_json_real(r, "rotary_scaling_factor", 0);
    const vt_rope_defaults defaults = {
        .theta = vt_json_real(r, "rotary_emb_base", 10000),
        .partial_factor = vt_json_real(r, "rotary_emb_fraction", 1),
        .max_positions = vt_json_size(r, "max_trained_positions", 2048),
    };
    json_t *section = scaling != 0 ? json_pack("{s:{s:s,s:f}}", "rope_scaling", "rope_type",
                                               "dynamic", "factor", scaling)
                                   : NULL;
    vt_json_reader rope = vt_json_reader_of(section, r->where, r->err);
    text->has_rope = true;
    vt_rope_config_read(&text->rope, &rope, text->encoder.attention.head_dim, &defaults);
    if (vt_json_bool(r, "rotary_emb_interleaved", false))
        text->rope.layout = VT_ROPE_INTERLEAVED;
    if (!r->status)
        r->status = rope.status;
    json_decref(section);
}

/* A gate is the second of the MLP's two first layers. */
static void read_mlp(vt_encoder_config *encoder, vt_json_reader *r) {
    const char *name = vt_json_string(r, "activation_function", "gelu");
    encoder->gated_mlp = strcmp(name, "swiglu") == 0 || strcmp(name, "geglu") == 0;
    if (encoder->gated_mlp)
        encoder->activation = name[0] == 's' ? VT_ACT_SILU : VT_ACT_GELU_ERF;
    else
        encoder->activation = vt_hub_activation(r, "activation_function", "gelu");
}

/* Options that no published checkpoint uses. */
static void refuse_others(vt_json_reader *r) {
    bool plain = !vt_json_bool(r, "prenorm", false) && !vt_json_bool(r, "parallel_block", false) &&
                 !vt_json_bool(r, "causal", false) &&
                 vt_json_real(r, "rotary_emb_scale_base", 0) == 0;
    if (!plain && !r->status)
        r->status = vt_fail(r->err, VT_ERR_UNSUPPORTED,
                            "%s: NomicBERT with prenorm, parallel_block, causal or "
                            "rotary_emb_scale_base is not supported",
                            r->where);
}

static vt_status configure(vt_config *out, const vt_checkpoint *checkpoint, vt_error *err) {
    static const vt_hub_defaults defaults = {768, 12, 12, 0, NULL, 1e-5};
    static const vt_hub_keys keys = {
        .width = "n_embd",
        .depth = "n_layer",
        .num_heads = "n_head",
        .mlp_dim = "n_inner",
        .norm_eps = "layer_norm_epsilon",
    };
    const json_t *config = vt_checkpoint_config(checkpoint);
    vt_json_reader r = vt_json_reader_of(config, vt_checkpoint_config_path(checkpoint), err);
    vt_text_config *text = &out->text;
    out->architecture = vt_hub_architecture(config);
    out->has_text = true;
    refuse_others(&r);
    if (r.status)
        return r.status;
    vt_hub_encoder_config_named(&text->encoder, &r, &keys, &defaults);
    text->encoder.order = VT_NORM_LAST;
    if (vt_json_bool(&r, "use_rms_norm", false))
        text->encoder.norm = VT_NORM_RMS;
    read_mlp(&text->encoder, &r);
    size_t multiple = vt_json_size(&r, "pad_vocab_size_multiple", 1);
    size_t vocab_size = vt_json_size(&r, "vocab_size", 50257);
    text->vocab_size =
        multiple > 1 ? (vocab_size + multiple - 1) / multiple * multiple : vocab_size;
    text->max_positions = vt_json_size(&r, "n_positions", 1024);
    text->num_token_types = vt_json_size(&r, "type_vocab_size", 2);
    read_rope(text, &r);
    text->embed_norm = true;
    text->pooling = VT_TEXT_POOL_MEAN;
    return r.status;
}

static const vt_tensor_name names[] = {
    {VT_PART_TOKEN_EMBED, "@embeddings.word_embeddings.weight"},
    {VT_PART_TOKEN_TYPES, "@embeddings.token_type_embeddings.weight"},
    {VT_PART_PRE_NORM, "@emb_ln"},
    {VT_PART_QKV, "@encoder.layers.#.attn.Wqkv"},
    {VT_PART_PROJ, "@encoder.layers.#.attn.out_proj"},
    {VT_PART_NORM1, "@encoder.layers.#.norm1"},
    {VT_PART_FC1_GATE, "@encoder.layers.#.mlp.fc12"},
    {VT_PART_FC1_VALUE, "@encoder.layers.#.mlp.fc11"},
    {VT_PART_FC1, "@encoder.layers.#.mlp.fc1"},
    {VT_PART_FC2, "@encoder.layers.#.mlp.fc2"},
    {VT_PART_NORM2, "@encoder.layers.#.norm2"},
    {VT_PART_NONE, NULL},
};

static const char *const prefixes[] = {"", "bert.", NULL};
static const char *const ignored[] = {"cls.",         "classifier.",           "pooler.",
                                      "bert.pooler.", "*.rotary_emb.inv_freq", NULL};

const vt_family vt_family_nomic_bert = {
    .name = "NomicBERT",
    .matches = matches,
    .configure = configure,
    .text_names = names,
    .prefixes = prefixes,
    .ignored = ignored,
};
