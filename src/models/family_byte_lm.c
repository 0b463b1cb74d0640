/* SPDX-License-Identifier: MIT
 *
 * The small byte-level language models of docs/POSITIONS.md, equal but for how they know positions:
 * what tools/positions/model.py trains.
 */
#include <string.h>

#include "base/error.h"
#include "models/family.h"
#include "models/hub.h"
#include "models/rope_config.h"

static bool matches(const json_t *config) {
    const char *type = json_string_value(json_object_get(config, "model_type"));
    return type && strcmp(type, "byte_lm") == 0;
}

static void read_t5_bias(vt_text_config *text, vt_json_reader *r) {
    text->has_t5_bias = true;
    text->t5_buckets = vt_json_size(r, "relative_attention_num_buckets", 32);
    text->t5_max_distance = vt_json_size(r, "relative_attention_max_distance", 128);
}

static void read_positions(vt_text_config *text, vt_json_reader *r) {
    static const vt_rope_defaults rope = {.theta = 10000, .max_positions = 256};
    const char *kind = vt_json_string(r, "position_embedding_type", "rope");
    text->max_positions = vt_json_size(r, "max_position_embeddings", 256);
    if (strcmp(kind, "learned") == 0) {
        text->has_pos_embed = true;
    } else if (strcmp(kind, "sinusoidal") == 0) {
        text->has_sinusoids = true;
    } else if (strcmp(kind, "t5") == 0) {
        read_t5_bias(text, r);
    } else if (strcmp(kind, "alibi") == 0) {
        text->has_alibi = true;
        text->alibi_max_bias = 8;
    } else if (strcmp(kind, "rope") == 0) {
        text->has_rope = true;
        vt_rope_config_read(&text->rope, r, text->encoder.attention.head_dim, &rope);
    } else if (strcmp(kind, "none") != 0 && !r->status) {
        r->status = vt_fail(r->err, VT_ERR_UNSUPPORTED,
                            "%s: positions of kind \"%s\" are not known", r->where, kind);
    }
}

static vt_status configure(vt_config *out, const vt_checkpoint *checkpoint, vt_error *err) {
    static const vt_hub_defaults defaults = {128, 5, 4, 512, "gelu", 1e-5};
    const json_t *config = vt_checkpoint_config(checkpoint);
    vt_json_reader r = vt_json_reader_of(config, vt_checkpoint_config_path(checkpoint), err);
    vt_text_config *text = &out->text;
    out->architecture = vt_hub_architecture(config);
    out->has_text = true;
    vt_hub_encoder_config(&text->encoder, &r, &defaults);
    bool norm_first = vt_json_bool(&r, "norm_first", true);
    text->encoder.order = norm_first ? VT_NORM_FIRST : VT_NORM_LAST;
    text->encoder.causal = true;
    text->encoder.window = vt_json_size(&r, "sliding_window", 0);
    text->vocab_size = vt_json_size(&r, "vocab_size", 256);
    text->embed_scale = (float)vt_json_real(&r, "embed_scale", 1);
    read_positions(text, &r);
    text->final_norm = norm_first;
    text->has_lm_head = text->tied_lm_head = true;
    return r.status;
}

static const vt_tensor_name names[] = {
    {VT_PART_TOKEN_EMBED, "embed.weight"},
    {VT_PART_POS_EMBED, "pos_embed.weight"},
    {VT_PART_T5_BIAS, "rel_bias.weight"},
    {VT_PART_NORM1, "blocks.#.norm1"},
    {VT_PART_QKV, "blocks.#.attn.qkv"},
    {VT_PART_PROJ, "blocks.#.attn.proj"},
    {VT_PART_NORM2, "blocks.#.norm2"},
    {VT_PART_FC1, "blocks.#.mlp.fc1"},
    {VT_PART_FC2, "blocks.#.mlp.fc2"},
    {VT_PART_NORM, "norm"},
    {VT_PART_NONE, NULL},
};

const vt_family vt_family_byte_lm = {
    .name = "byte_lm",
    .matches = matches,
    .configure = configure,
    .text_names = names,
};
