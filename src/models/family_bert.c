/* SPDX-License-Identifier: MIT
 *
 * BERT as Hugging Face transformers saves it: post-LN, learned positions and token types, pooled at
 * the first token by a dense layer with tanh. Source: transformers 4.57,
 * models/bert/modeling_bert.py and configuration_bert.py.
 */
#include <string.h>

#include "base/error.h"
#include "models/family.h"
#include "models/hub.h"

static const char *position_kind(const json_t *config) {
    const char *kind = json_string_value(json_object_get(config, "position_embedding_type"));
    return kind ? kind : "absolute";
}

/* JinaBERT calls itself "bert" too. */
static bool matches(const json_t *config) {
    const char *type = json_string_value(json_object_get(config, "model_type"));
    return type && strcmp(type, "bert") == 0 && strcmp(position_kind(config), "alibi") != 0;
}

static bool has_pooler(const vt_checkpoint *checkpoint) {
    return vt_checkpoint_find(checkpoint, "pooler.dense.weight") ||
           vt_checkpoint_find(checkpoint, "bert.pooler.dense.weight");
}

static vt_status configure(vt_config *out, const vt_checkpoint *checkpoint, vt_error *err) {
    static const vt_hub_defaults defaults = {768, 12, 12, 3072, "gelu", 1e-12};
    const json_t *config = vt_checkpoint_config(checkpoint);
    const char *where = vt_checkpoint_config_path(checkpoint);
    vt_json_reader r = vt_json_reader_of(config, where, err);
    vt_text_config *text = &out->text;
    if (strcmp(position_kind(config), "absolute") != 0 || vt_json_bool(&r, "is_decoder", false))
        return vt_fail(err, VT_ERR_UNSUPPORTED,
                       "%s: of BERT, encoders with absolute positions are supported", where);
    out->architecture = vt_hub_architecture(config);
    out->has_text = true;
    vt_hub_encoder_config(&text->encoder, &r, &defaults);
    text->encoder.order = VT_NORM_LAST;
    text->vocab_size = vt_json_size(&r, "vocab_size", 30522);
    text->max_positions = vt_json_size(&r, "max_position_embeddings", 512);
    text->num_token_types = vt_json_size(&r, "type_vocab_size", 2);
    text->has_pos_embed = true;
    text->embed_norm = true;
    text->pooling = VT_TEXT_POOL_FIRST;
    text->pooler_width = has_pooler(checkpoint) ? text->encoder.width : 0;
    text->pooler_act = VT_ACT_TANH;
    return r.status;
}

static const vt_tensor_name names[] = {
    {VT_PART_TOKEN_EMBED, "@embeddings.word_embeddings.weight"},
    {VT_PART_POS_EMBED, "@embeddings.position_embeddings.weight"},
    {VT_PART_TOKEN_TYPES, "@embeddings.token_type_embeddings.weight"},
    {VT_PART_PRE_NORM, "@embeddings.LayerNorm"},
    {VT_PART_Q, "@encoder.layer.#.attention.self.query"},
    {VT_PART_K, "@encoder.layer.#.attention.self.key"},
    {VT_PART_V, "@encoder.layer.#.attention.self.value"},
    {VT_PART_PROJ, "@encoder.layer.#.attention.output.dense"},
    {VT_PART_NORM1, "@encoder.layer.#.attention.output.LayerNorm"},
    {VT_PART_FC1, "@encoder.layer.#.intermediate.dense"},
    {VT_PART_FC2, "@encoder.layer.#.output.dense"},
    {VT_PART_NORM2, "@encoder.layer.#.output.LayerNorm"},
    {VT_PART_POOLER, "@pooler.dense"},
    {VT_PART_NONE, NULL},
};

static const char *const prefixes[] = {"", "bert.", NULL};
/* The heads of what it was trained on. */
static const char *const ignored[] = {"cls.", "classifier.", "qa_outputs.", "*.position_ids", NULL};

const vt_family vt_family_bert = {
    .name = "BERT",
    .matches = matches,
    .configure = configure,
    .text_names = names,
    .prefixes = prefixes,
    .ignored = ignored,
};
