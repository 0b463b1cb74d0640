/* SPDX-License-Identifier: MIT
 *
 * CLIP as OpenCLIP saves it: open_clip_config.json and open_clip_model.safetensors, with OpenAI's
 * names. The same computation as family_clip.c, but for GELU, which is exact unless the
 * configuration says quick_gelu. Source: open_clip 3.3, src/open_clip/model.py and transformer.py.
 */
#include <string.h>

#include "base/error.h"
#include "models/family.h"
#include "models/hub.h"
#include "models/open_clip.h"

static const json_t *model_cfg(const json_t *config) {
    return json_object_get(config, "model_cfg");
}

static bool matches(const json_t *config) {
    return json_is_object(json_object_get(model_cfg(config), "vision_cfg")) &&
           json_is_object(json_object_get(model_cfg(config), "text_cfg"));
}

/* What a configuration may say of a tower and this family does not do, unless it says the value
 * that is CLIP's: a timm or Hugging Face model inside, a pooling, norm or block of another kind. */
static const struct {
    const char *key, *plain;
} not_done[] = {
    {"timm_model_name", NULL}, {"hf_model_name", NULL},       {"attentional_pool", NULL},
    {"no_ln_pre", NULL},       {"final_ln_after_pool", NULL}, {"pos_embed_type", "learnable"},
    {"pool_type", "tok"},      {"pool_type", "argmax"},       {"embed_cls", NULL},
    {"no_causal_mask", NULL},  {"proj_type", "linear"},       {"proj_bias", NULL},
    {"act_kwargs", NULL},      {"norm_kwargs", NULL},         {"block_type", "default"},
    {"qk_norm", NULL},         {"scaled_cosine_attn", NULL},  {"scale_heads", NULL},
    {"scale_attn", NULL},      {"scale_attn_inner", NULL},    {"scale_fc", NULL},
};

static bool is_plain(const json_t *value, const char *key) {
    if (!value || json_is_null(value) || json_is_false(value))
        return true;
    for (size_t i = 0; i < sizeof not_done / sizeof not_done[0]; i++)
        if (strcmp(not_done[i].key, key) == 0 && not_done[i].plain && json_is_string(value) &&
            strcmp(json_string_value(value), not_done[i].plain) == 0)
            return true;
    return false;
}

static vt_status refuse_others(const json_t *tower, const char *where, vt_error *err) {
    for (size_t i = 0; i < sizeof not_done / sizeof not_done[0]; i++)
        if (!is_plain(json_object_get(tower, not_done[i].key), not_done[i].key))
            return vt_fail(err, VT_ERR_UNSUPPORTED, "%s: \"%s\" is not supported", where,
                           not_done[i].key);
    return VT_OK;
}

static void configure_encoder(vt_encoder_config *out, vt_json_reader *r, size_t default_width,
                              size_t default_heads, vt_activation activation) {
    out->width = vt_json_size(r, "width", default_width);
    out->depth = vt_json_size(r, "layers", 12);
    out->mlp_dim = (size_t)((double)out->width * vt_json_real(r, "mlp_ratio", 4.0));
    size_t head_dim = vt_json_size(r, "head_width", 64);
    size_t num_heads = vt_json_size(r, "heads",
                                    default_heads ? default_heads
                                    : head_dim    ? out->width / head_dim
                                                  : 0);
    if (!r->status && (num_heads == 0 || out->width % num_heads != 0))
        r->status = vt_fail(r->err, VT_ERR_UNSUPPORTED, "%s: width %zu is no multiple of %zu heads",
                            r->where, out->width, num_heads);
    if (r->status)
        return;
    out->attention = vt_attention_shape_of(num_heads, out->width / num_heads);
    out->norm = VT_NORM_LAYER;
    out->norm_eps = 1e-5f;
    out->activation = activation;
}

static void configure_vision(vt_vision_config *out, vt_json_reader *r, vt_activation activation) {
    configure_encoder(&out->encoder, r, 768, 0, activation);
    out->image_height = out->image_width = 224;
    vt_json_size_pair(r, "image_size", &out->image_height, &out->image_width);
    out->patch_size = vt_json_size(r, "patch_size", 16);
    out->num_class_tokens = out->num_pos_prefix = 1;
    out->has_pos_embed = true;
    out->pos_resize = VT_POS_RESIZE_BICUBIC_ANTIALIAS; /* open_clip/model.py, resize_pos_embed */
    out->pre_norm = true;
    out->pool_norm = true;
    out->pooling = VT_POOL_TOKEN;
}

static void configure_text(vt_text_config *out, vt_json_reader *r, vt_activation activation) {
    configure_encoder(&out->encoder, r, 512, 8, activation);
    out->encoder.causal = true;
    out->vocab_size = vt_json_size(r, "vocab_size", 49408);
    out->max_positions = vt_json_size(r, "context_length", 77);
    out->has_pos_embed = true;
    out->final_norm = true;
    out->pooling = VT_TEXT_POOL_ARGMAX;
}

static vt_status configure(vt_config *out, const vt_checkpoint *checkpoint, vt_error *err) {
    const json_t *config = vt_checkpoint_config(checkpoint), *model = model_cfg(config);
    const char *where = vt_checkpoint_config_path(checkpoint);
    const json_t *vision_cfg = json_object_get(model, "vision_cfg");
    const json_t *text_cfg = json_object_get(model, "text_cfg");
    vt_json_reader r = vt_json_reader_of(model, where, err);
    vt_json_reader vision = vt_json_reader_of(vision_cfg, where, err);
    vt_json_reader text = vt_json_reader_of(text_cfg, where, err);
    vt_status status = refuse_others(vision_cfg, where, err);
    if (!status)
        status = refuse_others(text_cfg, where, err);
    if (!status && !is_plain(json_object_get(model, "multimodal_cfg"), "multimodal_cfg"))
        status = vt_fail(err, VT_ERR_UNSUPPORTED, "%s: \"multimodal_cfg\" is not supported", where);
    if (status)
        return status;
    vt_activation activation =
        vt_json_bool(&r, "quick_gelu", false) ? VT_ACT_GELU_QUICK : VT_ACT_GELU_ERF;
    out->architecture = "OpenCLIP";
    out->has_vision = out->has_text = true;
    configure_vision(&out->vision, &vision, activation);
    configure_text(&out->text, &text, activation);
    out->embed_dim = vt_json_size(&r, "embed_dim", 512);
    out->vision_projection = out->text_projection = true;
    out->has_logit_bias = vt_checkpoint_find(checkpoint, "logit_bias") != NULL;
    if (r.status || vision.status || text.status)
        return r.status ? r.status : vision.status ? vision.status : text.status;
    return vt_open_clip_preprocess(&out->preprocess, json_object_get(config, "preprocess_cfg"),
                                   out->vision.image_height, out->vision.image_width, where, err);
}

static const vt_tensor_name vision_names[] = {
    {VT_PART_CLASS_TOKEN, "visual.class_embedding"},
    {VT_PART_POS_EMBED, "visual.positional_embedding"},
    {VT_PART_PATCH, "visual.conv1"},
    {VT_PART_PRE_NORM, "visual.ln_pre"},
    {VT_PART_NORM1, "visual.transformer.resblocks.#.ln_1"},
    {VT_PART_QKV, "visual.transformer.resblocks.#.attn.in_proj_"},
    {VT_PART_PROJ, "visual.transformer.resblocks.#.attn.out_proj"},
    {VT_PART_SCALE1, "visual.transformer.resblocks.#.ls_1.gamma"},
    {VT_PART_NORM2, "visual.transformer.resblocks.#.ln_2"},
    {VT_PART_FC1, "visual.transformer.resblocks.#.mlp.c_fc"},
    {VT_PART_FC2, "visual.transformer.resblocks.#.mlp.c_proj"},
    {VT_PART_SCALE2, "visual.transformer.resblocks.#.ls_2.gamma"},
    {VT_PART_POOL_NORM, "visual.ln_post"},
    {VT_PART_PROJECTION_MATRIX, "visual.proj"},
    {VT_PART_NONE, NULL},
};

static const vt_tensor_name text_names[] = {
    {VT_PART_TOKEN_EMBED, "@token_embedding.weight"},
    {VT_PART_POS_EMBED, "@positional_embedding"},
    {VT_PART_NORM1, "@transformer.resblocks.#.ln_1"},
    {VT_PART_QKV, "@transformer.resblocks.#.attn.in_proj_"},
    {VT_PART_PROJ, "@transformer.resblocks.#.attn.out_proj"},
    {VT_PART_SCALE1, "@transformer.resblocks.#.ls_1.gamma"},
    {VT_PART_NORM2, "@transformer.resblocks.#.ln_2"},
    {VT_PART_FC1, "@transformer.resblocks.#.mlp.c_fc"},
    {VT_PART_FC2, "@transformer.resblocks.#.mlp.c_proj"},
    {VT_PART_SCALE2, "@transformer.resblocks.#.ls_2.gamma"},
    {VT_PART_NORM, "@ln_final"},
    {VT_PART_PROJECTION_MATRIX, "@text_projection"},
    {VT_PART_LOGIT_SCALE, "logit_scale"},
    {VT_PART_LOGIT_BIAS, "logit_bias"},
    {VT_PART_NONE, NULL},
};

/* "text." where the text tower is an object of its own (custom_text). */
static const char *const prefixes[] = {"text.", "", NULL};

const vt_family vt_family_open_clip = {
    .name = "OpenCLIP",
    .matches = matches,
    .configure = configure,
    .vision_names = vision_names,
    .text_names = text_names,
    .prefixes = prefixes,
};
