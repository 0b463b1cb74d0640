/* SPDX-License-Identifier: MIT
 *
 * The encoder of T5 and T5 v1.1 (Raffel et al. 2020; Shazeer 2020): RMSNorm first, scores that are
 * not scaled, and a bias by bucket of distance that the first block holds for all. Source:
 * transformers 4.57, models/t5/modeling_t5.py and configuration_t5.py.
 */
#include <string.h>

#include "base/error.h"
#include "models/family.h"
#include "models/hub.h"

static bool matches(const json_t *config) {
    const char *type = json_string_value(json_object_get(config, "model_type"));
    return type && (strcmp(type, "t5") == 0 || strcmp(type, "mt5") == 0);
}

/* "relu", or "gated-gelu", where gelu stands for the tanh approximation. */
static void read_mlp(vt_encoder_config *encoder, vt_json_reader *r) {
    static const struct {
        const char *name;
        vt_activation act;
        bool gated;
    } kinds[] = {
        {"relu", VT_ACT_RELU, false},           {"gelu", VT_ACT_GELU_ERF, false},
        {"gated-gelu", VT_ACT_GELU_TANH, true}, {"gated-silu", VT_ACT_SILU, true},
        {"gated-relu", VT_ACT_RELU, true},
    };
    const char *name = vt_json_string(r, "feed_forward_proj", "relu");
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(name, kinds[i].name) == 0) {
            encoder->activation = kinds[i].act;
            encoder->gated_mlp = kinds[i].gated;
            return;
        }
    }
    if (!r->status)
        r->status = vt_fail(r->err, VT_ERR_UNSUPPORTED,
                            "%s: feed_forward_proj \"%s\" is not supported", r->where, name);
}

static vt_status configure(vt_config *out, const vt_checkpoint *checkpoint, vt_error *err) {
    static const vt_hub_defaults defaults = {512, 6, 8, 2048, NULL, 1e-6};
    static const vt_hub_keys keys = {
        .width = "d_model",
        .depth = "num_layers",
        .num_heads = "num_heads",
        .mlp_dim = "d_ff",
        .norm_eps = "layer_norm_epsilon",
        .head_dim = "d_kv",
    };
    const json_t *config = vt_checkpoint_config(checkpoint);
    vt_json_reader r = vt_json_reader_of(config, vt_checkpoint_config_path(checkpoint), err);
    vt_text_config *text = &out->text;
    out->architecture = vt_hub_architecture(config);
    out->has_text = true;
    vt_hub_encoder_config_named(&text->encoder, &r, &keys, &defaults);
    text->encoder.norm = VT_NORM_RMS;
    text->encoder.attention.scale = 1;
    read_mlp(&text->encoder, &r);
    text->vocab_size = vt_json_size(&r, "vocab_size", 32128);
    text->has_t5_bias = true;
    text->t5_buckets = vt_json_size(&r, "relative_attention_num_buckets", 32);
    text->t5_max_distance = vt_json_size(&r, "relative_attention_max_distance", 128);
    text->final_norm = true;
    text->pooling = VT_TEXT_POOL_MEAN;
    return r.status;
}

static const vt_tensor_name names[] = {
    {VT_PART_TOKEN_EMBED, "shared.weight"},
    {VT_PART_TOKEN_EMBED, "encoder.embed_tokens.weight"},
    {VT_PART_T5_BIAS, "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"},
    {VT_PART_NORM1, "encoder.block.#.layer.0.layer_norm"},
    {VT_PART_Q, "encoder.block.#.layer.0.SelfAttention.q"},
    {VT_PART_K, "encoder.block.#.layer.0.SelfAttention.k"},
    {VT_PART_V, "encoder.block.#.layer.0.SelfAttention.v"},
    {VT_PART_PROJ, "encoder.block.#.layer.0.SelfAttention.o"},
    {VT_PART_NORM2, "encoder.block.#.layer.1.layer_norm"},
    {VT_PART_FC1_GATE, "encoder.block.#.layer.1.DenseReluDense.wi_0"},
    {VT_PART_FC1_VALUE, "encoder.block.#.layer.1.DenseReluDense.wi_1"},
    {VT_PART_FC1, "encoder.block.#.layer.1.DenseReluDense.wi"},
    {VT_PART_FC2, "encoder.block.#.layer.1.DenseReluDense.wo"},
    {VT_PART_NORM, "encoder.final_layer_norm"},
    {VT_PART_NONE, NULL},
};

static const char *const ignored[] = {"decoder.", "lm_head.", "encoder.embed_tokens.", NULL};

const vt_family vt_family_t5 = {
    .name = "T5 encoder",
    .matches = matches,
    .configure = configure,
    .text_names = names,
    .ignored = ignored,
};
