/* SPDX-License-Identifier: MIT
 *
 * nomic-embed-vision: EVA-02 base in NomicBERT's blocks, norm first, and an attention pooling that
 * is added to the class token. Its vectors share a space with those of the NomicBERT
 * (family_nomic_bert.c) that is published under the same number. Source: nomic-ai/contrastors
 * 613ddfd, models/huggingface/modeling_hf_nomic_bert.py, NomicVisionModel (Nussbaum et al. 2024,
 * arXiv:2406.18587).
 */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "models/family.h"
#include "models/hub.h"

static bool matches(const json_t *config) {
    const char *type = json_string_value(json_object_get(config, "model_type"));
    return type && strcmp(type, "nomic_bert") == 0 &&
           vt_hub_is_architecture(config, "NomicVisionModel");
}

static void refuse(vt_json_reader *r, const char *key) {
    if (!r->status)
        r->status = vt_fail(r->err, VT_ERR_UNSUPPORTED,
                            "%s: \"%s\" differs from what nomic-embed-vision is known to have",
                            r->where, key);
}

/* Options of the class that no published checkpoint uses. */
static void refuse_others(vt_json_reader *r) {
    static const char *const off[] = {"parallel_block",
                                      "use_rms_norm",
                                      "causal",
                                      "learned_pos_embedding",
                                      "sinusoidal_pos_embedding",
                                      "no_cls_token",
                                      "no_embed_class",
                                      "prepre_layernom",
                                      "layer_scale"};
    for (size_t i = 0; i < sizeof off / sizeof off[0]; i++)
        if (vt_json_bool(r, off[i], false))
            refuse(r, off[i]);
    if (!vt_json_bool(r, "prenorm", false))
        refuse(r, "prenorm");
    if (!vt_json_bool(r, "patch_embed_bias", true))
        refuse(r, "patch_embed_bias");
    if (!vt_json_bool(r, "use_pos_embed", true))
        refuse(r, "use_pos_embed");
    if (vt_json_size(r, "register_tokens", 0) != 0)
        refuse(r, "register_tokens");
    if (vt_json_real(r, "rotary_emb_fraction", 0) != 0)
        refuse(r, "rotary_emb_fraction");
    if (vt_json_string(r, "global_pool", "")[0])
        refuse(r, "global_pool");
}

static void configure_encoder(vt_encoder_config *encoder, vt_json_reader *r) {
    static const vt_hub_defaults defaults = {768, 12, 12, 0, NULL, 1e-5};
    static const vt_hub_keys keys = {
        .width = "n_embd",
        .depth = "n_layer",
        .num_heads = "n_head",
        .norm_eps = "layer_norm_epsilon",
    };
    vt_hub_encoder_config_named(encoder, r, &keys, &defaults);
    const char *name = vt_json_string(r, "activation_function", "gelu");
    encoder->gated_mlp = strcmp(name, "swiglu") == 0 || strcmp(name, "geglu") == 0;
    if (encoder->gated_mlp)
        encoder->activation = name[0] == 's' ? VT_ACT_SILU : VT_ACT_GELU_ERF;
    else
        encoder->activation = vt_hub_activation(r, "activation_function", "gelu");
    /* n_inner is written as a real, 2048.0; a gated MLP's is rounded up to a multiple of 256. */
    double inner = ceil(vt_json_real(r, "n_inner", 4.0 * (double)encoder->width));
    if (encoder->gated_mlp)
        inner = ceil(inner / 256) * 256;
    encoder->mlp_dim = inner >= 0 && inner < 1e9 ? (size_t)inner : 0;
    encoder->mlp_norm_eps = 1e-5f; /* torch's default, whatever layer_norm_epsilon says */
}

/* Coordinates run to ref_feat_shape at any size, as in timm's Eva, from which the trunk comes. */
static void configure_rope(vt_vision_config *vision, vt_json_reader *r) {
    vision->has_rope = vt_json_bool(r, "use_rotary_pos_emb", false);
    vision->rope = (vt_rope2d_config){
        .kind = VT_ROPE2D_EVA,
        .layout = VT_ROPE_INTERLEAVED,
        .theta = 10000,
        .pairs = vision->encoder.attention.head_dim / 2,
    };
    vt_json_size_pair(r, "ref_feat_shape", &vision->rope.ref_h, &vision->rope.ref_w);
}

static vt_status configure(vt_config *out, const vt_checkpoint *checkpoint, vt_error *err) {
    const json_t *config = vt_checkpoint_config(checkpoint);
    vt_json_reader r = vt_json_reader_of(config, vt_checkpoint_config_path(checkpoint), err);
    vt_vision_config *vision = &out->vision;
    out->architecture = vt_hub_architecture(config);
    out->has_vision = true;
    refuse_others(&r);
    configure_encoder(&vision->encoder, &r);
    configure_rope(vision, &r);
    vision->image_height = vision->image_width = 224;
    vt_json_size_pair(&r, "img_size", &vision->image_height, &vision->image_width);
    vision->patch_size = vt_json_size(&r, "patch_size", 16);
    vision->patch_is_linear = vision->patch_bias = true;
    vision->num_class_tokens = vision->num_pos_prefix = 1;
    vision->has_pos_embed = true;
    vision->pos_resize = VT_POS_RESIZE_BICUBIC_ANTIALIAS;
    vision->pooling = VT_POOL_MAP;
    vision->pool_prefix = vision->map_adds_to_token = true;
    out->embed_dim = vision->encoder.width;
    if (r.status)
        return r.status;
    return vt_hub_preprocess(&out->preprocess, checkpoint, "CLIPImageProcessor", err);
}

static const vt_tensor_name names[] = {
    {VT_PART_CLASS_TOKEN, "embeddings.cls_token"},
    {VT_PART_POS_EMBED, "embeddings.pos_embed"},
    {VT_PART_PATCH, "embeddings.proj"},
    {VT_PART_NORM1, "layers.#.norm1"},
    {VT_PART_QKV, "layers.#.attn.Wqkv"},
    {VT_PART_PROJ, "layers.#.attn.out_proj"},
    {VT_PART_NORM2, "layers.#.norm2"},
    {VT_PART_FC1_GATE, "layers.#.mlp.fc12"}, /* the second of the two is the gate */
    {VT_PART_FC1_VALUE, "layers.#.mlp.fc11"},
    {VT_PART_FC1, "layers.#.mlp.fc1"},
    {VT_PART_MLP_NORM, "layers.#.mlp.norm"},
    {VT_PART_FC2, "layers.#.mlp.fc2"},
    {VT_PART_MAP_PROBE, "selector.attn.latent"},
    {VT_PART_MAP_Q, "selector.attn.Wq"},
    {VT_PART_MAP_KV, "selector.attn.Wkv"},
    {VT_PART_MAP_PROJ, "selector.attn.out_proj"},
    {VT_PART_MAP_NORM, "selector.norm1"},
    {VT_PART_MAP_FC1_GATE, "selector.mlp.fc12"},
    {VT_PART_MAP_FC1_VALUE, "selector.mlp.fc11"},
    {VT_PART_MAP_FC1, "selector.mlp.fc1"},
    {VT_PART_MAP_FC2, "selector.mlp.fc2"},
    {VT_PART_NONE, NULL},
};

const vt_family vt_family_nomic_vision = {
    .name = "nomic-embed-vision",
    .matches = matches,
    .configure = configure,
    .vision_names = names,
};
