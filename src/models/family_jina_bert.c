/* SPDX-License-Identifier: MIT
 *
 * JinaBERT (jina-embeddings-v2): BERT with symmetric ALiBi instead of positions, and a gated MLP
 * that has its norm inside. Built from its published definition: jinaai/jina-bert-implementation,
 * modeling_bert.py and configuration_bert.py (Günther et al. 2023, arXiv:2310.19923).
 */
#include <string.h>

#include "base/error.h"
#include "models/family.h"
#include "models/hub.h"

static bool matches(const json_t *config) {
    const char *type = json_string_value(json_object_get(config, "model_type"));
    const char *kind = json_string_value(json_object_get(config, "position_embedding_type"));
    return type && kind && (strcmp(type, "bert") == 0 || strcmp(type, "jina_bert") == 0) &&
           strcmp(kind, "alibi") == 0;
}

/* "geglu" and "reglu" gate with that activation, whatever hidden_act says. */
static void read_mlp(vt_encoder_config *encoder, vt_json_reader *r) {
    const char *kind = vt_json_string(r, "feed_forward_type", "original");
    encoder->gated_mlp = strcmp(kind, "original") != 0;
    if (strcmp(kind, "geglu") == 0)
        encoder->activation = VT_ACT_GELU_ERF;
    else if (strcmp(kind, "reglu") == 0)
        encoder->activation = VT_ACT_RELU;
    else if (encoder->gated_mlp && !r->status)
        r->status = vt_fail(r->err, VT_ERR_UNSUPPORTED,
                            "%s: feed_forward_type \"%s\" is not supported", r->where, kind);
}

static vt_status configure(vt_config *out, const vt_checkpoint *checkpoint, vt_error *err) {
    static const vt_hub_defaults defaults = {768, 12, 12, 3072, "gelu", 1e-12};
    const json_t *config = vt_checkpoint_config(checkpoint);
    const char *where = vt_checkpoint_config_path(checkpoint);
    vt_json_reader r = vt_json_reader_of(config, where, err);
    vt_text_config *text = &out->text;
    /* jina-bert-v2-qk-post-norm, which embeddings of code use, is another architecture. */
    if (vt_checkpoint_find(checkpoint, "encoder.layer.0.attention.self.layer_norm_q.weight"))
        return vt_fail(err, VT_ERR_UNSUPPORTED,
                       "%s: JinaBERT with norms of q and k is not supported", where);
    out->architecture = vt_hub_architecture(config);
    out->has_text = true;
    vt_hub_encoder_config(&text->encoder, &r, &defaults);
    text->encoder.order = VT_NORM_LAST;
    read_mlp(&text->encoder, &r);
    text->vocab_size = vt_json_size(&r, "vocab_size", 30522);
    text->max_positions = vt_json_size(&r, "max_position_embeddings", 512);
    text->num_token_types = vt_json_size(&r, "type_vocab_size", 2);
    text->has_alibi = true;
    text->alibi_order = VT_ALIBI_BLOOM;
    text->alibi_max_bias = 8;
    text->embed_norm = true;
    text->pooling =
        VT_TEXT_POOL_MEAN; /* what its encode() does; its pooler is left from training */
    return r.status;
}

static const vt_tensor_name names[] = {
    {VT_PART_TOKEN_EMBED, "@embeddings.word_embeddings.weight"},
    {VT_PART_TOKEN_TYPES, "@embeddings.token_type_embeddings.weight"},
    {VT_PART_PRE_NORM, "@embeddings.LayerNorm"},
    {VT_PART_Q, "@encoder.layer.#.attention.self.query"},
    {VT_PART_K, "@encoder.layer.#.attention.self.key"},
    {VT_PART_V, "@encoder.layer.#.attention.self.value"},
    {VT_PART_PROJ, "@encoder.layer.#.attention.output.dense"},
    {VT_PART_NORM1, "@encoder.layer.#.attention.output.LayerNorm"},
    {VT_PART_FC1, "@encoder.layer.#.mlp.gated_layers"},
    {VT_PART_FC1, "@encoder.layer.#.intermediate.dense"},
    {VT_PART_FC2, "@encoder.layer.#.mlp.wo"},
    {VT_PART_FC2, "@encoder.layer.#.output.dense"},
    {VT_PART_NORM2, "@encoder.layer.#.mlp.layernorm"},
    {VT_PART_NORM2, "@encoder.layer.#.output.LayerNorm"},
    {VT_PART_NONE, NULL},
};

static const char *const prefixes[] = {"", "bert.", NULL};
static const char *const ignored[] = {"cls.", "classifier.", "pooler.", "bert.pooler.", NULL};

const vt_family vt_family_jina_bert = {
    .name = "JinaBERT",
    .matches = matches,
    .configure = configure,
    .text_names = names,
    .prefixes = prefixes,
    .ignored = ignored,
};
