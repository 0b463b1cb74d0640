/* SPDX-License-Identifier: MIT
 *
 * CLIP as Hugging Face transformers saves it: a pre-LN ViT with a norm before its blocks, and a
 * causal text tower pooled at its end-of-text token, projected into one space. Source:
 * transformers 4.57, models/clip/modeling_clip.py and configuration_clip.py.
 */
#include <string.h>

#include "base/error.h"
#include "models/family.h"
#include "models/hub.h"

static bool matches(const json_t *config) {
    const char *type = json_string_value(json_object_get(config, "model_type"));
    return type && (strcmp(type, "clip") == 0 || strcmp(type, "clip_vision_model") == 0 ||
                    strcmp(type, "clip_text_model") == 0);
}

static void configure_vision(vt_config *out, vt_json_reader *r) {
    static const vt_hub_defaults defaults = {768, 12, 12, 3072, "quick_gelu", 1e-5};
    vt_vision_config *vision = &out->vision;
    out->has_vision = true;
    vt_hub_encoder_config(&vision->encoder, r, &defaults);
    vision->image_height = vision->image_width = 224;
    vt_json_size_pair(r, "image_size", &vision->image_height, &vision->image_width);
    vision->patch_size = vt_json_size(r, "patch_size", 32);
    vision->num_class_tokens = vision->num_pos_prefix = 1;
    vision->has_pos_embed = true;
    vision->pos_resize = VT_POS_RESIZE_BICUBIC;
    vision->pre_norm = true;
    vision->pool_norm = true; /* last_hidden_state comes before post_layernorm */
    vision->pooling = VT_POOL_TOKEN;
}

/* eos_token_id was 2 in the first files, wrongly, and the reference then takes the largest id. */
static void configure_text(vt_config *out, vt_json_reader *r) {
    static const vt_hub_defaults defaults = {512, 12, 8, 2048, "quick_gelu", 1e-5};
    vt_text_config *text = &out->text;
    out->has_text = true;
    vt_hub_encoder_config(&text->encoder, r, &defaults);
    text->encoder.causal = true;
    text->vocab_size = vt_json_size(r, "vocab_size", 49408);
    text->max_positions = vt_json_size(r, "max_position_embeddings", 77);
    text->has_pos_embed = true;
    text->final_norm = true;
    text->eos_token = (int64_t)vt_json_size(r, "eos_token_id", 49407);
    text->pooling = text->eos_token == 2 ? VT_TEXT_POOL_ARGMAX : VT_TEXT_POOL_EOS;
}

static vt_status configure(vt_config *out, const vt_checkpoint *checkpoint, vt_error *err) {
    const json_t *config = vt_checkpoint_config(checkpoint);
    const char *where = vt_checkpoint_config_path(checkpoint);
    const char *type = json_string_value(json_object_get(config, "model_type"));
    bool both = strcmp(type, "clip") == 0;
    bool has_vision = both || strcmp(type, "clip_vision_model") == 0;
    bool has_text = both || strcmp(type, "clip_text_model") == 0;
    vt_json_reader r = vt_json_reader_of(config, where, err);
    vt_json_reader vision =
        vt_json_reader_of(both ? json_object_get(config, "vision_config") : config, where, err);
    vt_json_reader text =
        vt_json_reader_of(both ? json_object_get(config, "text_config") : config, where, err);

    out->architecture = vt_hub_architecture(config);
    if (has_vision)
        configure_vision(out, &vision);
    if (has_text)
        configure_text(out, &text);
    bool projects = both || vt_hub_is_architecture(config, "CLIPVisionModelWithProjection") ||
                    vt_hub_is_architecture(config, "CLIPTextModelWithProjection");
    out->embed_dim = projects ? vt_json_size(&r, "projection_dim", 512) : 0;
    out->vision_projection = has_vision && projects;
    out->text_projection = has_text && projects;
    if (r.status || vision.status || text.status)
        return r.status ? r.status : vision.status ? vision.status : text.status;
    return has_vision ? vt_hub_preprocess(&out->preprocess, checkpoint, "CLIPImageProcessor", err)
                      : VT_OK;
}

static const vt_tensor_name vision_names[] = {
    {VT_PART_CLASS_TOKEN, "vision_model.embeddings.class_embedding"},
    {VT_PART_POS_EMBED, "vision_model.embeddings.position_embedding.weight"},
    {VT_PART_PATCH, "vision_model.embeddings.patch_embedding"},
    {VT_PART_PRE_NORM, "vision_model.pre_layrnorm"}, /* its spelling */
    {VT_PART_NORM1, "vision_model.encoder.layers.#.layer_norm1"},
    {VT_PART_Q, "vision_model.encoder.layers.#.self_attn.q_proj"},
    {VT_PART_K, "vision_model.encoder.layers.#.self_attn.k_proj"},
    {VT_PART_V, "vision_model.encoder.layers.#.self_attn.v_proj"},
    {VT_PART_PROJ, "vision_model.encoder.layers.#.self_attn.out_proj"},
    {VT_PART_NORM2, "vision_model.encoder.layers.#.layer_norm2"},
    {VT_PART_FC1, "vision_model.encoder.layers.#.mlp.fc1"},
    {VT_PART_FC2, "vision_model.encoder.layers.#.mlp.fc2"},
    {VT_PART_POOL_NORM, "vision_model.post_layernorm"},
    {VT_PART_PROJECTION, "visual_projection"},
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
    {VT_PART_PROJECTION, "text_projection"},
    {VT_PART_LOGIT_SCALE, "logit_scale"},
    {VT_PART_NONE, NULL},
};

static const char *const ignored[] = {"*.position_ids", "logit_scale", NULL};

const vt_family vt_family_clip = {
    .name = "CLIP",
    .matches = matches,
    .configure = configure,
    .vision_names = vision_names,
    .text_names = text_names,
    .ignored = ignored,
};
