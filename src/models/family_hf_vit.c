/* SPDX-License-Identifier: MIT
 *
 * ViT and DeiT as Hugging Face transformers saves them: split query, key and value; LayerNorm eps 1e-12;
 * the position table resized bicubically without antialiasing. Source: transformers 4.57,
 * models/vit/modeling_vit.py, models/deit/modeling_deit.py.
 */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "formats/json.h"
#include "models/family.h"
#include "models/hub.h"

static bool matches(const json_t *config) {
    const char *type = json_string_value(json_object_get(config, "model_type"));
    return type && (strcmp(type, "vit") == 0 || strcmp(type, "deit") == 0);
}

/* DeiTForImageClassificationWithTeacher averages two heads; DeiTForImageClassification has one, on the
 * class token; ViTModel and DeiTModel end with a tanh pooler, unless it was left out. */
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

static const vt_hub_defaults defaults = {768, 12, 12, 3072, "gelu", 1e-12};

static vt_status configure(vt_config *out, const vt_checkpoint *checkpoint, vt_error *err) {
    const json_t *config = vt_checkpoint_config(checkpoint);
    vt_json_reader r = vt_json_reader_of(config, vt_checkpoint_config_path(checkpoint), err);
    vt_vision_config *vision = &out->vision;
    out->has_vision = true;
    bool is_deit = strcmp(vt_json_string(&r, "model_type", ""), "deit") == 0;

    vt_hub_encoder_config(&vision->encoder, &r, &defaults);
    out->architecture = vt_hub_architecture(config);
    vision->image_height = vision->image_width = 224;
    vt_json_size_pair(&r, "image_size", &vision->image_height, &vision->image_width);
    vision->patch_size = vt_json_size(&r, "patch_size", 16);
    vision->patch_bias = true;
    vision->num_class_tokens = 1;
    vision->num_distill_tokens = is_deit ? 1 : 0;
    vision->num_pos_prefix = 1 + vision->num_distill_tokens;
    vision->has_pos_embed = true;
    vision->pos_resize = VT_POS_RESIZE_BICUBIC;
    vision->final_norm = true;
    configure_head(out, config, checkpoint);
    out->multi_label = vt_hub_is_multi_label(config);
    if (r.status)
        return r.status;
    return vt_hub_preprocess(&out->preprocess, checkpoint, is_deit ? "DeiTImageProcessor" : "ViTImageProcessor", err);
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
    .name = "Hugging Face ViT / DeiT",
    .matches = matches,
    .configure = configure,
    .vision_names = vision_names,
    .prefixes = prefixes,
    .ignored = ignored,
};
