/* SPDX-License-Identifier: MIT
 *
 * SigLIP and SigLIP 2 as Hugging Face transformers saves them: no class token, attention pooling, a
 * text tower that sees all its tokens and is pooled at the last, scores of pairs by sigmoid.
 * "siglip2" is the NaFlex kind, whose pictures keep their aspect; SigLIP 2 of a fixed size is a
 * "siglip". Source: transformers 4.57, models/siglip/ and models/siglip2/.
 */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "models/family.h"
#include "models/hub.h"

static const vt_hub_defaults defaults = {768, 12, 12, 3072, "gelu_pytorch_tanh", 1e-6};

static bool matches(const json_t *config) {
    const char *type = json_string_value(json_object_get(config, "model_type"));
    return type && (strncmp(type, "siglip_", 7) == 0 || strncmp(type, "siglip2_", 8) == 0 ||
                    strcmp(type, "siglip") == 0 || strcmp(type, "siglip2") == 0);
}

static void configure_vision(vt_config *out, vt_json_reader *r) {
    vt_vision_config *vision = &out->vision;
    out->has_vision = true;
    vt_hub_encoder_config(&vision->encoder, r, &defaults);
    vision->image_height = vision->image_width = 224;
    vt_json_size_pair(r, "image_size", &vision->image_height, &vision->image_width);
    vision->patch_size = vt_json_size(r, "patch_size", 16);
    vision->patch_bias = true;
    vision->has_pos_embed = true;
    vision->pos_resize = VT_POS_RESIZE_BICUBIC;
    vision->final_norm = true;
    vision->pooling = vt_json_bool(r, "vision_use_head", true) ? VT_POOL_MAP : VT_POOL_AVG;
}

/* The table is a square of num_patches rows; the patches come as vectors, row, column, channel. */
static void configure_naflex(vt_config *out, vt_json_reader *r) {
    vt_vision_config *vision = &out->vision;
    size_t side = (size_t)sqrt((double)vt_json_size(r, "num_patches", 256));
    vision->image_height = vision->image_width = side * vision->patch_size;
    vision->naflex = vision->patch_channels_last = true;
    vision->pos_resize = VT_POS_RESIZE_BILINEAR_ANTIALIAS;
}

static void configure_text(vt_config *out, vt_json_reader *r) {
    vt_text_config *text = &out->text;
    out->has_text = true;
    vt_hub_encoder_config(&text->encoder, r, &defaults);
    text->vocab_size = vt_json_size(r, "vocab_size", 32000);
    text->max_positions = vt_json_size(r, "max_position_embeddings", 64);
    text->has_pos_embed = true;
    text->final_norm = true;
    text->pooling = VT_TEXT_POOL_LAST;
    text->pad_length = text->max_positions;
    text->pad_token = (int64_t)vt_json_size(r, "pad_token_id", 1);
    text->pooler_width = vt_json_size(r, "projection_size", text->encoder.width);
}

static vt_status configure(vt_config *out, const vt_checkpoint *checkpoint, vt_error *err) {
    const json_t *config = vt_checkpoint_config(checkpoint);
    const char *where = vt_checkpoint_config_path(checkpoint);
    const char *type = json_string_value(json_object_get(config, "model_type"));
    bool naflex = strncmp(type, "siglip2", 7) == 0;
    bool both = strcmp(type, "siglip") == 0 || strcmp(type, "siglip2") == 0;
    bool has_vision = both || strstr(type, "_vision_model");
    vt_json_reader vision =
        vt_json_reader_of(both ? json_object_get(config, "vision_config") : config, where, err);
    vt_json_reader text =
        vt_json_reader_of(both ? json_object_get(config, "text_config") : config, where, err);

    out->architecture = vt_hub_architecture(config);
    if (has_vision)
        configure_vision(out, &vision);
    if (has_vision && naflex)
        configure_naflex(out, &vision);
    if (both || !has_vision)
        configure_text(out, &text);
    if (vision.status || text.status)
        return vision.status ? vision.status : text.status;
    if (both) {
        out->embed_dim = out->vision.encoder.width;
        out->has_logit_bias = true;
        if (out->text.pooler_width != out->embed_dim)
            return vt_fail(err, VT_ERR_UNSUPPORTED,
                           "%s: texts are projected to %zu, pictures have %zu", where,
                           out->text.pooler_width, out->embed_dim);
    }
    if (!has_vision)
        return VT_OK;
    return vt_hub_preprocess(&out->preprocess, checkpoint,
                             naflex ? "Siglip2ImageProcessor" : "SiglipImageProcessor", err);
}

static const vt_tensor_name vision_names[] = {
    {VT_PART_POS_EMBED, "vision_model.embeddings.position_embedding.weight"},
    {VT_PART_PATCH, "vision_model.embeddings.patch_embedding"},
    {VT_PART_NORM1, "vision_model.encoder.layers.#.layer_norm1"},
    {VT_PART_Q, "vision_model.encoder.layers.#.self_attn.q_proj"},
    {VT_PART_K, "vision_model.encoder.layers.#.self_attn.k_proj"},
    {VT_PART_V, "vision_model.encoder.layers.#.self_attn.v_proj"},
    {VT_PART_PROJ, "vision_model.encoder.layers.#.self_attn.out_proj"},
    {VT_PART_NORM2, "vision_model.encoder.layers.#.layer_norm2"},
    {VT_PART_FC1, "vision_model.encoder.layers.#.mlp.fc1"},
    {VT_PART_FC2, "vision_model.encoder.layers.#.mlp.fc2"},
    {VT_PART_NORM, "vision_model.post_layernorm"},
    {VT_PART_MAP_PROBE, "vision_model.head.probe"},
    {VT_PART_MAP_QKV, "vision_model.head.attention.in_proj_"},
    {VT_PART_MAP_PROJ, "vision_model.head.attention.out_proj"},
    {VT_PART_MAP_NORM, "vision_model.head.layernorm"},
    {VT_PART_MAP_FC1, "vision_model.head.mlp.fc1"},
    {VT_PART_MAP_FC2, "vision_model.head.mlp.fc2"},
    {VT_PART_NONE, NULL},
};

static const vt_tensor_name text_names[] = {
    {VT_PART_TOKEN_EMBED, "text_model.embeddings.token_embedding.weight"},
    {VT_PART_POS_EMBED, "text_model.embeddings.position_embedding.weight"},
    {VT_PART_NORM1, "text_model.encoder.layers.#.layer_norm1"},
    {VT_PART_Q, "text_model.encoder.layers.#.self_attn.q_proj"},
    {VT_PART_K, "text_model.encoder.layers.#.self_attn.k_proj"},
    {VT_PART_V, "text_model.encoder.layers.#.self_attn.v_proj"},
    {VT_PART_PROJ, "text_model.encoder.layers.#.self_attn.out_proj"},
    {VT_PART_NORM2, "text_model.encoder.layers.#.layer_norm2"},
    {VT_PART_FC1, "text_model.encoder.layers.#.mlp.fc1"},
    {VT_PART_FC2, "text_model.encoder.layers.#.mlp.fc2"},
    {VT_PART_NORM, "text_model.final_layer_norm"},
    {VT_PART_POOLER, "text_model.head"},
    {VT_PART_LOGIT_SCALE, "logit_scale"},
    {VT_PART_LOGIT_BIAS, "logit_bias"},
    {VT_PART_NONE, NULL},
};

static const char *const ignored[] = {"*.position_ids", NULL};

const vt_family vt_family_siglip = {
    .name = "SigLIP",
    .matches = matches,
    .configure = configure,
    .vision_names = vision_names,
    .text_names = text_names,
    .ignored = ignored,
};
