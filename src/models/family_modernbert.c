/* SPDX-License-Identifier: MIT
 *
 * ModernBERT (Warner et al. 2024, arXiv:2412.13663): a pre-LN encoder with rotary positions, GeGLU
 * and no biases. Every third block sees all tokens, the others a window, with a rotary base of
 * their own. Source: transformers 4.57, models/modernbert/modeling_modernbert.py and
 * configuration_modernbert.py.
 */
#include <string.h>

#include "models/family.h"
#include "models/hub.h"
#include "models/rope_config.h"

static bool matches(const json_t *config) {
    const char *type = json_string_value(json_object_get(config, "model_type"));
    return type && strcmp(type, "modernbert") == 0;
}

/* The base of one kind of block: transformers 5 has an object for each in rope_parameters. */
static double read_theta(vt_json_reader *r, const char *kind, const char *key, double fallback) {
    const json_t *parameters = json_object_get(r->object, "rope_parameters");
    vt_json_reader section = vt_json_reader_of(json_object_get(parameters, kind), r->where, r->err);
    double theta = vt_json_real(&section, "rope_theta", vt_json_real(r, key, fallback));
    if (!r->status)
        r->status = section.status;
    return theta;
}

static void read_positions(vt_text_config *text, vt_json_reader *r) {
    const vt_rope_defaults rope = {
        .theta = read_theta(r, "full_attention", "global_rope_theta", 160000),
        .max_positions = 8192,
    };
    double local = read_theta(r, "sliding_attention", "local_rope_theta", 10000);
    text->has_rope = true;
    vt_rope_config_read(&text->rope, r, text->encoder.attention.head_dim, &rope);
    text->max_positions = text->rope.max_positions;
    bool has_local = !json_is_null(json_object_get(r->object, "local_rope_theta"));
    if (has_local && local > 1 && local != rope.theta)
        text->local_rope_theta = local;
}

static vt_status configure(vt_config *out, const vt_checkpoint *checkpoint, vt_error *err) {
    static const vt_hub_defaults defaults = {768, 22, 12, 1152, "gelu", 1e-5};
    static const vt_hub_keys keys = {
        .width = "hidden_size",
        .depth = "num_hidden_layers",
        .num_heads = "num_attention_heads",
        .mlp_dim = "intermediate_size",
        .activation = "hidden_activation",
        .norm_eps = "norm_eps",
    };
    const json_t *config = vt_checkpoint_config(checkpoint);
    vt_json_reader r = vt_json_reader_of(config, vt_checkpoint_config_path(checkpoint), err);
    vt_text_config *text = &out->text;
    out->architecture = vt_hub_architecture(config);
    out->has_text = true;
    vt_hub_encoder_config_named(&text->encoder, &r, &keys, &defaults);
    text->encoder.gated_mlp = true;
    text->encoder.no_first_norm = true;
    /* local_attention counts both sides: a token sees half of it before and half of it behind. */
    text->encoder.window = vt_json_size(&r, "local_attention", 128) / 2 + 1;
    text->encoder.global_every = vt_json_size(&r, "global_attn_every_n_layers", 3);
    text->vocab_size = vt_json_size(&r, "vocab_size", 50368);
    read_positions(text, &r);
    text->embed_norm = true;
    text->final_norm = true;
    bool mean = strcmp(vt_json_string(&r, "classifier_pooling", "cls"), "mean") == 0;
    text->pooling = mean ? VT_TEXT_POOL_MEAN : VT_TEXT_POOL_FIRST;
    return r.status;
}

static const vt_tensor_name names[] = {
    {VT_PART_TOKEN_EMBED, "@embeddings.tok_embeddings.weight"},
    {VT_PART_PRE_NORM, "@embeddings.norm"},
    {VT_PART_NORM1, "@layers.#.attn_norm"},
    {VT_PART_QKV, "@layers.#.attn.Wqkv"},
    {VT_PART_PROJ, "@layers.#.attn.Wo"},
    {VT_PART_NORM2, "@layers.#.mlp_norm"},
    {VT_PART_FC1, "@layers.#.mlp.Wi"},
    {VT_PART_FC2, "@layers.#.mlp.Wo"},
    {VT_PART_NORM, "@final_norm"},
    {VT_PART_NONE, NULL},
};

static const char *const prefixes[] = {"", "model.", NULL};
/* The heads of what it was trained on. */
static const char *const ignored[] = {"head.", "decoder.", "classifier.", NULL};

const vt_family vt_family_modernbert = {
    .name = "ModernBERT",
    .matches = matches,
    .configure = configure,
    .text_names = names,
    .prefixes = prefixes,
    .ignored = ignored,
};
