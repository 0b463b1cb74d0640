/* SPDX-License-Identifier: MIT
 *
 * ViT, DeiT and MAE's encoder as Hugging Face transformers saves them: split query, key and
 * value; LayerNorm eps 1e-12; the position table resized bicubically without antialiasing. MAE's
 * table of sines and cosines is stored like a learned one, and all patches are looked at: random
 * masking is for training. Source: transformers 4.57, models/vit/modeling_vit.py,
 * models/deit/modeling_deit.py, models/vit_mae/modeling_vit_mae.py. /
 */
#include <string.h>

#include "models/family.h"
#include "models/hub.h"

static bool matches(const json_t *config) {
    const char *type = json_string_value(json_object_get(config, "model_type"));
    return type &&
           (strcmp(type, "vit") == 0 || strcmp(type, "deit") == 0 || strcmp(type, "vit_mae") == 0);
}

/* DeiTForImageClassificationWithTeacher averages two heads; DeiTForImageClassification has one,
 * on the class token; ViTModel and DeiTModel end with a tanh pooler, unless it was left out. */
static void configure_head(vt_config *out, const json_t *config, const vt_checkpoint *checkpoint) {
    vt_vision_config *vision = &out->vision;
    vision->pooling = VT_POOL_TOKEN;
    if (vt_hub_is_architecture(config, "DeiTForImageClassificationWithTeacher")) {
        out->distill_head = true;
        out->num_classes = vt_hub_num_labels(config);
    } else if (vt_hub_is_architecture(config, "ViTForImageClassification") ||
               vt_hub_is_architecture(config, "DeiTForImageClassification")) {
        out->num_classes = vt_hub_num_labels(config);
    }
    vision->tanh_pooler = vt_checkpoint_find(checkpoint, "pooler.dense.weight") ||
                          vt_checkpoint_find(checkpoint, "vit.pooler.dense.weight") ||
                          vt_checkpoint_find(checkpoint, "deit.pooler.dense.weight");
}

/* transformers fills the table that a file of MAE leaves out (ViTMAEEmbeddings.initialize_weights).
 */
static bool lacks_mae_table(const json_t *config, const vt_checkpoint *checkpoint) {
    const char *type = json_string_value(json_object_get(config, "model_type"));
    return type && strcmp(type, "vit_mae") == 0 &&
           !vt_checkpoint_find(checkpoint, "vit.embeddings.position_embeddings") &&
           !vt_checkpoint_find(checkpoint, "embeddings.position_embeddings");
}

static const vt_hub_defaults defaults = {
    .width = 768,
    .depth = 12,
    .num_heads = 12,
    .mlp_dim = 3072,
    .activation = "gelu",
    .norm_eps = 1e-12,
};

static vt_status configure(vt_config *out, const vt_checkpoint *checkpoint, vt_error *err) {
    const json_t *config = vt_checkpoint_config(checkpoint);
    vt_json_reader r = vt_json_reader_of(config, vt_checkpoint_config_path(checkpoint), err);
    vt_vision_config *vision = &out->vision;
    out->has_vision = true;
    bool is_deit = strcmp(vt_json_string(&r, "model_type", ""), "deit") == 0;

    vt_hub_encoder_config(&vision->encoder, &r, &defaults);
    out->architecture = vt_hub_architecture(config);
    vt_hub_image_config(vision, &r, 224, 16);
    vision->num_class_tokens = 1;
    vision->num_distill_tokens = is_deit ? 1 : 0;
    vision->num_pos_prefix = 1 + vision->num_distill_tokens;
    vision->has_pos_embed = true;
    vision->pos_is_sincos = lacks_mae_table(config, checkpoint);
    vision->pos_resize = VT_POS_RESIZE_BICUBIC;
    vision->final_norm = true;
    configure_head(out, config, checkpoint);
    out->multi_label = vt_hub_is_multi_label(config);
    if (r.status)
        return r.status;
    return vt_hub_preprocess(&out->preprocess, checkpoint,
                             is_deit ? "DeiTImageProcessor" : "ViTImageProcessor", err);
}

static const vt_tensor_name vision_names[] = {
    {VT_PART_CLASS_TOKEN, "@embeddings.cls_token"},
    {VT_PART_DISTILL_TOKEN, "@embeddings.distillation_token"},
    {VT_PART_POS_EMBED, "@embeddings.position_embeddings"},
    {VT_PART_PATCH, "@embeddings.patch_embeddings.projection"},
    {VT_PART_NORM1, "@encoder.layer.#.layernorm_before"},
    {VT_PART_Q, "@encoder.layer.#.attention.attention.query"},
    {VT_PART_K, "@encoder.layer.#.attention.attention.key"},
    {VT_PART_V, "@encoder.layer.#.attention.attention.value"},
    {VT_PART_PROJ, "@encoder.layer.#.attention.output.dense"},
    {VT_PART_NORM2, "@encoder.layer.#.layernorm_after"},
    {VT_PART_FC1, "@encoder.layer.#.intermediate.dense"},
    {VT_PART_FC2, "@encoder.layer.#.output.dense"},
    {VT_PART_NORM, "@layernorm"},
    {VT_PART_POOLER, "@pooler.dense"},
    {VT_PART_HEAD, "classifier"},
    {VT_PART_HEAD, "cls_classifier"},
    {VT_PART_HEAD_DISTILL, "distillation_classifier"},
    {VT_PART_NONE, NULL},
};

static const char *const prefixes[] = {"vit.", "deit.", "", NULL};
static const char *const ignored[] = {"vit.embeddings.mask_token", "deit.embeddings.mask_token",
                                      "embeddings.mask_token", "decoder.", NULL};

const vt_family vt_family_hf_vit = {
    .name = "Hugging Face ViT / DeiT / MAE",
    .matches = matches,
    .configure = configure,
    .vision_names = vision_names,
    .prefixes = prefixes,
    .ignored = ignored,
};
