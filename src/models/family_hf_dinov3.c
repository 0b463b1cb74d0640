/* SPDX-License-Identifier: MIT
 *
 * DINOv3's ViTs as Hugging Face transformers saves them: rotary positions of patch centres, no
 * table; prefix tokens are not rotated; LayerScale; a gated MLP in the largest. Source:
 * transformers 4.57, models/dinov3_vit/modeling_dinov3_vit.py. /
 */
#include <string.h>

#include "models/family.h"
#include "models/hub.h"

static bool matches(const json_t *config) {
    const char *type = json_string_value(json_object_get(config, "model_type"));
    return type && strcmp(type, "dinov3_vit") == 0;
}

static vt_status configure(vt_config *out, const vt_checkpoint *checkpoint, vt_error *err) {
    static const vt_hub_defaults defaults = {
        .width = 384,
        .depth = 12,
        .num_heads = 6,
        .mlp_dim = 1536,
        .activation = "gelu",
        .norm_eps = 1e-5,
    };
    const json_t *config = vt_checkpoint_config(checkpoint);
    vt_json_reader r = vt_json_reader_of(config, vt_checkpoint_config_path(checkpoint), err);
    vt_vision_config *vision = &out->vision;
    out->has_vision = true;
    out->architecture = vt_hub_architecture(config);
    vt_hub_encoder_config(&vision->encoder, &r, &defaults);
    vision->encoder.gated_mlp = vt_json_bool(&r, "use_gated_mlp", false);
    vt_hub_image_config(vision, &r, 224, 16);
    vision->num_class_tokens = 1;
    vision->num_registers = vt_json_size(&r, "num_register_tokens", 0);
    vision->has_rope = true;
    vision->rope = (vt_rope2d_config){
        .kind = VT_ROPE2D_DINOV3,
        .layout = VT_ROPE_HALVES,
        .theta = vt_json_real(&r, "rope_theta", 100),
        .pairs = vision->encoder.attention.head_dim / 2,
    };
    vision->pos_resize = VT_POS_RESIZE_BICUBIC; /* of no consequence: there is no table */
    vision->final_norm = true;
    vision->pooling = VT_POOL_TOKEN;
    if (r.status)
        return r.status;
    vt_status status =
        vt_hub_preprocess(&out->preprocess, checkpoint, "DINOv3ViTImageProcessorFast", err);
    vision->input_height = out->preprocess.height;
    vision->input_width = out->preprocess.width;
    return status;
}

static const vt_tensor_name vision_names[] = {
    {VT_PART_CLASS_TOKEN, "embeddings.cls_token"},
    {VT_PART_REGISTERS, "embeddings.register_tokens"},
    {VT_PART_PATCH, "embeddings.patch_embeddings"},
    {VT_PART_NORM1, "layer.#.norm1"},
    {VT_PART_Q, "layer.#.attention.q_proj"},
    {VT_PART_K, "layer.#.attention.k_proj"},
    {VT_PART_V, "layer.#.attention.v_proj"},
    {VT_PART_PROJ, "layer.#.attention.o_proj"},
    {VT_PART_SCALE1, "layer.#.layer_scale1.lambda1"},
    {VT_PART_NORM2, "layer.#.norm2"},
    {VT_PART_FC1, "layer.#.mlp.up_proj"},
    {VT_PART_FC1_GATE, "layer.#.mlp.gate_proj"},
    {VT_PART_FC1_VALUE, "layer.#.mlp.up_proj"},
    {VT_PART_FC2, "layer.#.mlp.down_proj"},
    {VT_PART_SCALE2, "layer.#.layer_scale2.lambda1"},
    {VT_PART_NORM, "norm"},
    {VT_PART_NONE, NULL},
};

static const char *const ignored[] = {"embeddings.mask_token", NULL};

const vt_family vt_family_hf_dinov3 = {
    .name = "Hugging Face DINOv3",
    .matches = matches,
    .configure = configure,
    .vision_names = vision_names,
    .ignored = ignored,
};
