/* SPDX-License-Identifier: MIT
 *
 * BEiT as Hugging Face transformers saves it: split query, key without a bias, value; tables of
 * relative positions, one for each block or one for all; LayerNorm eps 1e-12. Source:
 * transformers 4.57, models/beit/modeling_beit.py. /
 */
#include <string.h>

#include "models/family.h"
#include "models/hub.h"

static bool matches(const json_t *config) {
    const char *type = json_string_value(json_object_get(config, "model_type"));
    return type && strcmp(type, "beit") == 0;
}

/* BeitEmbeddings and BeitRelativePositionBias: each kind of table has its own way to another size.
 */
static void configure_positions(vt_vision_config *out, vt_json_reader *r) {
    out->has_pos_embed = vt_json_bool(r, "use_absolute_position_embeddings", false);
    out->num_pos_prefix = out->has_pos_embed ? 1 : 0;
    out->has_grid_bias = vt_json_bool(r, "use_relative_position_bias", false) ||
                         vt_json_bool(r, "use_shared_relative_position_bias", false);
    out->grid_bias_resize = VT_POS_RESIZE_BILINEAR;
    out->pos_resize = out->has_pos_embed ? VT_POS_RESIZE_BICUBIC : VT_POS_RESIZE_BILINEAR;
}

/* BeitPooler: the norm of the patch tokens' mean, or the class token after the final norm. */
static void configure_pooling(vt_vision_config *out, vt_json_reader *r,
                              const vt_checkpoint *checkpoint) {
    bool mean = vt_json_bool(r, "use_mean_pooling", true);
    out->pooling = mean ? VT_POOL_AVG : VT_POOL_TOKEN;
    out->final_norm = !mean;
    out->pool_norm = mean && (vt_checkpoint_find(checkpoint, "beit.pooler.layernorm.weight") ||
                              vt_checkpoint_find(checkpoint, "pooler.layernorm.weight"));
}

static vt_status configure(vt_config *out, const vt_checkpoint *checkpoint, vt_error *err) {
    static const vt_hub_defaults defaults = {
        .width = 768,
        .depth = 12,
        .num_heads = 12,
        .mlp_dim = 3072,
        .activation = "gelu",
        .norm_eps = 1e-12,
    };
    const json_t *config = vt_checkpoint_config(checkpoint);
    vt_json_reader r = vt_json_reader_of(config, vt_checkpoint_config_path(checkpoint), err);
    vt_vision_config *vision = &out->vision;
    out->has_vision = true;
    out->architecture = vt_hub_architecture(config);
    vt_hub_encoder_config(&vision->encoder, &r, &defaults);
    vt_hub_image_config(vision, &r, 224, 16);
    vision->num_class_tokens = 1;
    configure_positions(vision, &r);
    configure_pooling(vision, &r, checkpoint);
    if (vt_hub_is_architecture(config, "BeitForImageClassification"))
        out->num_classes = vt_hub_num_labels(config);
    out->multi_label = vt_hub_is_multi_label(config);
    if (r.status)
        return r.status;
    return vt_hub_preprocess(&out->preprocess, checkpoint, "BeitImageProcessor", err);
}

static const vt_tensor_name vision_names[] = {
    {VT_PART_CLASS_TOKEN, "@embeddings.cls_token"},
    {VT_PART_POS_EMBED, "@embeddings.position_embeddings"},
    {VT_PART_PATCH, "@embeddings.patch_embeddings.projection"},
    {VT_PART_GRID_BIAS, "@encoder.layer.#.attention.attention.relative_position_bias."
                        "relative_position_bias_table"},
    {VT_PART_GRID_BIAS_SHARED, "@encoder.relative_position_bias.relative_position_bias_table"},
    {VT_PART_NORM1, "@encoder.layer.#.layernorm_before"},
    {VT_PART_Q, "@encoder.layer.#.attention.attention.query"},
    {VT_PART_K, "@encoder.layer.#.attention.attention.key"},
    {VT_PART_V, "@encoder.layer.#.attention.attention.value"},
    {VT_PART_PROJ, "@encoder.layer.#.attention.output.dense"},
    {VT_PART_SCALE1, "@encoder.layer.#.lambda_1"},
    {VT_PART_NORM2, "@encoder.layer.#.layernorm_after"},
    {VT_PART_FC1, "@encoder.layer.#.intermediate.dense"},
    {VT_PART_FC2, "@encoder.layer.#.output.dense"},
    {VT_PART_SCALE2, "@encoder.layer.#.lambda_2"},
    {VT_PART_NORM, "@layernorm"},
    {VT_PART_POOL_NORM, "@pooler.layernorm"},
    {VT_PART_HEAD, "classifier"},
    {VT_PART_NONE, NULL},
};

static const char *const prefixes[] = {"beit.", "", NULL};

/* Files of older versions have the index that is computed now; BeitForMaskedImageModeling has a
 * norm and a head of its own over the visual words. */
static const char *const ignored[] = {"*relative_position_index", "*embeddings.mask_token",
                                      "layernorm.", "lm_head.", NULL};

const vt_family vt_family_hf_beit = {
    .name = "Hugging Face BEiT",
    .matches = matches,
    .configure = configure,
    .vision_names = vision_names,
    .prefixes = prefixes,
    .ignored = ignored,
};
