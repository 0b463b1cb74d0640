/* SPDX-License-Identifier: MIT
 *
 * DINOv2 under Meta's own names. Meta publishes state dicts (dinov2_vitb14_pretrain.pth) and no
 * configuration. Saved as safetensors, they are recognised by a config.json that gives the entry
 * of hubconf.py as the architecture, {"architecture": "dinov2_vitb14_reg"}; all else is read off
 * the tensors. The linear classifiers ("dinov2_vitb14_lc") are whole there: backbone.* and
 * linear_head. Source: facebookresearch/dinov2, hubconf.py, dinov2/hub/backbones.py and
 * classifiers.py, dinov2/models/vision_transformer.py.
 */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "models/family.h"
#include "models/timm.h"

/* Not what is more than a backbone and a linear layer: depth and text. */
static bool matches(const json_t *config) {
    const char *name = vt_timm_architecture(config);
    return strncmp(name, "dinov2_vit", 10) == 0 && !strstr(name, "_ld") && !strstr(name, "_dd") &&
           !strstr(name, "dinotxt");
}

/* The table covers a class token and a square of patches. */
static void configure_image(vt_vision_config *out, const vt_timm *meta) {
    size_t rows = vt_timm_dim(meta, "pos_embed", 1);
    size_t patch = vt_timm_dim(meta, "patch_embed.proj.weight", 2);
    size_t side = (size_t)sqrt((double)(rows ? rows - 1 : 0));
    out->patch_size = patch ? patch : 14;
    out->image_height = out->image_width = (side ? side : 37) * out->patch_size;
    out->patch_bias = true;
}

/* Registers came with another rule for the table: backbones.py, interpolate_antialias and
 * interpolate_offset. */
static void configure_tokens(vt_vision_config *out, const vt_timm *meta) {
    out->num_class_tokens = 1;
    out->num_registers = vt_timm_dim(meta, "register_tokens", 1);
    out->has_pos_embed = true;
    out->num_pos_prefix = 1;
    out->pos_resize =
        out->num_registers ? VT_POS_RESIZE_BICUBIC_ANTIALIAS : VT_POS_RESIZE_BICUBIC_OFFSET;
}

static void configure_encoder(vt_encoder_config *out, vt_timm *meta) {
    /* A head is 64 wide in all of them. */
    vt_timm_encoder(out, meta, vt_timm_width(meta) / 64, "gelu");
    out->norm_eps = 1e-6f;
    size_t swiglu_dim = vt_timm_dim(meta, "blocks.0.mlp.w3.weight", 1);
    if (swiglu_dim) {
        out->mlp_dim = swiglu_dim;
        out->gated_mlp = true;
        out->activation = VT_ACT_SILU;
    }
}

/* classifiers.py, _LinearClassifierWrapper: on the class tokens of the last block or the last
 * four, and the mean of the last one's patches. Which of the two shows in the layer's width. */
static vt_status configure_head(vt_config *out, const vt_checkpoint *checkpoint, vt_error *err) {
    size_t width = out->vision.encoder.width;
    size_t inputs = vt_checkpoint_dim(checkpoint, "linear_head.weight", 1);
    out->num_classes = 0;
    if (!strstr(out->architecture, "_lc"))
        return VT_OK;
    if (!width || (inputs != 2 * width && inputs != 5 * width))
        return vt_fail(err, inputs ? VT_ERR_SHAPE : VT_ERR_MISSING,
                       "%s: linear_head.weight: expected a layer of 2 or 5 times %zu inputs, found "
                       "%zu",
                       vt_checkpoint_weights_path(checkpoint), width, inputs);
    out->num_classes = vt_checkpoint_dim(checkpoint, "linear_head.weight", 0);
    out->head_blocks = inputs / width - 1;
    return VT_OK;
}

static vt_status configure(vt_config *out, const vt_checkpoint *checkpoint, vt_error *err) {
    vt_timm meta = vt_timm_of(checkpoint, err); /* the arguments may be overridden as timm's are */
    vt_vision_config *vision = &out->vision;
    out->has_vision = true;
    out->architecture = meta.architecture;
    if (vt_checkpoint_find(checkpoint, "backbone.cls_token"))
        meta.prefix = "backbone.";
    configure_image(vision, &meta);
    configure_tokens(vision, &meta);
    configure_encoder(&vision->encoder, &meta);
    vision->final_norm = true;
    vision->pooling = VT_POOL_TOKEN;
    /* data/transforms.py, make_classification_eval_transform: timm's defaults, 256 and then 224. */
    vt_status status = vt_timm_finish(out, &meta, err);
    if (!status)
        status = configure_head(out, checkpoint, err);
    vision->input_height = out->preprocess.height;
    vision->input_width = out->preprocess.width;
    return status;
}

static const vt_tensor_name vision_names[] = {
    {VT_PART_CLASS_TOKEN, "@cls_token"},     {VT_PART_REGISTERS, "@register_tokens"},
    {VT_PART_POS_EMBED, "@pos_embed"},       {VT_PART_PATCH, "@patch_embed.proj"},
    {VT_PART_NORM1, "@blocks.#.norm1"},      {VT_PART_QKV, "@blocks.#.attn.qkv"},
    {VT_PART_PROJ, "@blocks.#.attn.proj"},   {VT_PART_SCALE1, "@blocks.#.ls1.gamma"},
    {VT_PART_NORM2, "@blocks.#.norm2"},      {VT_PART_FC1, "@blocks.#.mlp.fc1"},
    {VT_PART_FC1, "@blocks.#.mlp.w12"}, /* gate rows, then value rows */
    {VT_PART_FC2, "@blocks.#.mlp.fc2"},      {VT_PART_FC2, "@blocks.#.mlp.w3"},
    {VT_PART_SCALE2, "@blocks.#.ls2.gamma"}, {VT_PART_NORM, "@norm"},
    {VT_PART_HEAD, "linear_head"},           {VT_PART_NONE, NULL},
};

static const char *const prefixes[] = {"backbone.", "", NULL};
static const char *const ignored[] = {"mask_token", "backbone.mask_token", NULL};

const vt_family vt_family_meta_dinov2 = {
    .name = "Meta DINOv2",
    .matches = matches,
    .configure = configure,
    .vision_names = vision_names,
    .prefixes = prefixes,
    .ignored = ignored,
};
