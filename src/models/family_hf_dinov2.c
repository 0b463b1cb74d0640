/* SPDX-License-Identifier: MIT
 *
 * DINOv2, with and without registers, as Hugging Face transformers saves it: LayerScale, SwiGLU
 * in the giant, positions added before the registers are put between class token and patches.
 * Source: transformers 4.57, models/dinov2/modeling_dinov2.py,
 * models/dinov2_with_registers/modeling_dinov2_with_registers.py. /
 */
#include <string.h>

#include "base/error.h"
#include "models/family.h"
#include "models/hub.h"

static bool is_type(const json_t *config, const char *name) {
    const char *type = json_string_value(json_object_get(config, "model_type"));
    return type && strcmp(type, name) == 0;
}

static bool matches(const json_t *config) {
    return is_type(config, "dinov2") || is_type(config, "dinov2_with_registers");
}

/* mlp_ratio stands for intermediate_size. SwiGLU has two thirds of that, rounded up to a
 * multiple of 8 (Dinov2SwiGLUFFN), and SiLU whatever hidden_act says. */
static void configure_mlp(vt_encoder_config *out, vt_json_reader *r) {
    double ratio = vt_json_real(r, "mlp_ratio", 4);
    if (!r->status && !(ratio > 0 && ratio <= 64))
        r->status = vt_fail(r->err, VT_ERR_UNSUPPORTED,
                            "%s: \"mlp_ratio\": expected up to 64, found %g", r->where, ratio);
    if (r->status)
        return;
    out->mlp_dim = (size_t)((double)out->width * ratio);
    out->gated_mlp = vt_json_bool(r, "use_swiglu_ffn", false);
    if (out->gated_mlp) {
        out->mlp_dim = (out->mlp_dim * 2 / 3 + 7) / 8 * 8;
        out->activation = VT_ACT_SILU;
    }
}

static void configure_tokens(vt_vision_config *out, vt_json_reader *r, bool registers) {
    out->num_class_tokens = 1;
    out->num_registers = registers ? vt_json_size(r, "num_register_tokens", 4) : 0;
    out->has_pos_embed = true;
    out->num_pos_prefix = 1;
    out->pos_resize = registers ? VT_POS_RESIZE_BICUBIC_ANTIALIAS : VT_POS_RESIZE_BICUBIC;
}

static vt_status configure(vt_config *out, const vt_checkpoint *checkpoint, vt_error *err) {
    static const vt_hub_defaults defaults = {
        .width = 768,
        .depth = 12,
        .num_heads = 12,
        .mlp_dim = 3072,
        .activation = "gelu",
        .norm_eps = 1e-6,
    };
    const json_t *config = vt_checkpoint_config(checkpoint);
    vt_json_reader r = vt_json_reader_of(config, vt_checkpoint_config_path(checkpoint), err);
    vt_vision_config *vision = &out->vision;
    bool registers = is_type(config, "dinov2_with_registers");
    out->has_vision = true;
    out->architecture = vt_hub_architecture(config);
    vt_hub_encoder_config(&vision->encoder, &r, &defaults);
    configure_mlp(&vision->encoder, &r);
    vt_hub_image_config(vision, &r, 224, registers ? 16 : 14);
    configure_tokens(vision, &r, registers);
    vision->final_norm = true;
    vision->pooling = VT_POOL_TOKEN;
    if (vt_hub_is_architecture(config, "Dinov2ForImageClassification") ||
        vt_hub_is_architecture(config, "Dinov2WithRegistersForImageClassification")) {
        out->num_classes = vt_hub_num_labels(config);
        out->head_blocks = 1;
    }
    out->multi_label = vt_hub_is_multi_label(config);
    if (r.status)
        return r.status;
    /* The table is of 518 x 518 pixels, the processor's pictures are of 224 x 224. */
    vt_status status = vt_hub_preprocess(&out->preprocess, checkpoint, "BitImageProcessor", err);
    vision->input_height = out->preprocess.height;
    vision->input_width = out->preprocess.width;
    return status;
}

static const vt_tensor_name vision_names[] = {
    {VT_PART_CLASS_TOKEN, "@embeddings.cls_token"},
    {VT_PART_REGISTERS, "@embeddings.register_tokens"},
    {VT_PART_POS_EMBED, "@embeddings.position_embeddings"},
    {VT_PART_PATCH, "@embeddings.patch_embeddings.projection"},
    {VT_PART_NORM1, "@encoder.layer.#.norm1"},
    {VT_PART_Q, "@encoder.layer.#.attention.attention.query"},
    {VT_PART_K, "@encoder.layer.#.attention.attention.key"},
    {VT_PART_V, "@encoder.layer.#.attention.attention.value"},
    {VT_PART_PROJ, "@encoder.layer.#.attention.output.dense"},
    {VT_PART_SCALE1, "@encoder.layer.#.layer_scale1.lambda1"},
    {VT_PART_NORM2, "@encoder.layer.#.norm2"},
    {VT_PART_FC1, "@encoder.layer.#.mlp.fc1"},
    {VT_PART_FC1, "@encoder.layer.#.mlp.weights_in"}, /* gate rows, then value rows */
    {VT_PART_FC2, "@encoder.layer.#.mlp.fc2"},
    {VT_PART_FC2, "@encoder.layer.#.mlp.weights_out"},
    {VT_PART_SCALE2, "@encoder.layer.#.layer_scale2.lambda1"},
    {VT_PART_NORM, "@layernorm"},
    {VT_PART_HEAD, "classifier"},
    {VT_PART_NONE, NULL},
};

static const char *const prefixes[] = {"dinov2.", "dinov2_with_registers.", "", NULL};
static const char *const ignored[] = {"*embeddings.mask_token", NULL};

const vt_family vt_family_hf_dinov2 = {
    .name = "Hugging Face DINOv2",
    .matches = matches,
    .configure = configure,
    .vision_names = vision_names,
    .prefixes = prefixes,
    .ignored = ignored,
};
