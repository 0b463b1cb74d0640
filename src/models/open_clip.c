/* SPDX-License-Identifier: MIT */
#include "models/open_clip.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

static const json_t *model_cfg(const json_t *config) {
    return json_object_get(config, "model_cfg");
}

const json_t *vt_open_clip_vision(const json_t *config) {
    const json_t *vision = json_object_get(model_cfg(config), "vision_cfg");
    const json_t *text = json_object_get(model_cfg(config), "text_cfg");
    return json_is_object(vision) && json_is_object(text) ? vision : NULL;
}

vt_activation vt_open_clip_activation(const json_t *config) {
    return json_is_true(json_object_get(model_cfg(config), "quick_gelu")) ? VT_ACT_GELU_QUICK
                                                                          : VT_ACT_GELU_ERF;
}

static bool is_plain(const json_t *value, const char *plain) {
    if (!value || json_is_null(value) || json_is_false(value))
        return true;
    return plain && json_is_string(value) && strcmp(json_string_value(value), plain) == 0;
}

void vt_open_clip_refuse(vt_json_reader *r, const char *key, const char *plain) {
    if (!r->status && !is_plain(json_object_get(r->object, key), plain))
        r->status =
            vt_fail(r->err, VT_ERR_UNSUPPORTED, "%s: \"%s\" is not supported", r->where, key);
}

void vt_open_clip_refuse_blocks(vt_json_reader *r) {
    static const char *const keys[] = {"hf_model_name", "qk_norm",    "scaled_cosine_attn",
                                       "scale_heads",   "scale_attn", "scale_attn_inner",
                                       "scale_fc"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        vt_open_clip_refuse(r, keys[i], NULL);
    vt_open_clip_refuse(r, "block_type", "default");
    vt_open_clip_refuse(r, "pos_embed_type", "learnable");
}

static void read_heads(vt_encoder_config *out, vt_json_reader *r, size_t default_heads) {
    size_t head_dim = vt_json_size(r, "head_width", 64);
    size_t derived = head_dim ? out->width / head_dim : 0;
    size_t num_heads = vt_json_size(r, "heads", default_heads ? default_heads : derived);
    if (!r->status && (num_heads == 0 || out->width % num_heads != 0))
        r->status = vt_fail(r->err, VT_ERR_UNSUPPORTED, "%s: width %zu is no multiple of %zu heads",
                            r->where, out->width, num_heads);
    if (r->status)
        return;
    out->attention = vt_attention_shape_of(num_heads, out->width / num_heads);
}

/* The arguments of torch's LayerNorm and GELU. */
static void read_kwargs(vt_encoder_config *out, vt_json_reader *r) {
    vt_json_reader norm =
        vt_json_reader_of(json_object_get(r->object, "norm_kwargs"), r->where, r->err);
    vt_json_reader act =
        vt_json_reader_of(json_object_get(r->object, "act_kwargs"), r->where, r->err);
    out->norm_eps = (float)vt_json_real(&norm, "eps", 1e-5);
    if (strcmp(vt_json_string(&act, "approximate", "none"), "tanh") == 0)
        out->activation = VT_ACT_GELU_TANH;
    if (!r->status)
        r->status = norm.status ? norm.status : act.status;
}

void vt_open_clip_encoder(vt_encoder_config *out, vt_json_reader *r, size_t default_width,
                          size_t default_heads, vt_activation activation) {
    out->width = vt_json_size(r, "width", default_width);
    out->depth = vt_json_size(r, "layers", 12);
    out->mlp_dim = (size_t)((double)out->width * vt_json_real(r, "mlp_ratio", 4.0));
    out->norm = VT_NORM_LAYER;
    out->activation = activation;
    read_heads(out, r, default_heads);
    read_kwargs(out, r);
}

/* ---- texts -------------------------------------------------------------------------------------
 */

static void read_pooling(vt_text_config *text, vt_json_reader *r) {
    static const struct {
        const char *name;
        vt_text_pooling pooling;
    } kinds[] = {{"argmax", VT_TEXT_POOL_ARGMAX},
                 {"first", VT_TEXT_POOL_FIRST},
                 {"last", VT_TEXT_POOL_LAST},
                 {"eos", VT_TEXT_POOL_EOS}};
    const char *name = vt_json_string(r, "pool_type", "argmax");
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(name, kinds[i].name) == 0)
            text->pooling = kinds[i].pooling;
    if (text->pooling == VT_TEXT_POOL_NONE)
        vt_open_clip_refuse(r, "pool_type", NULL);
    text->eos_token = (int64_t)vt_json_size(r, "eos_id", 2);
}

/* The id of "pad_token" in tokenizer_config.json; 0 where nothing says. */
static vt_status find_pad_token(int64_t *out, const vt_checkpoint *checkpoint, vt_error *err) {
    json_t *json = NULL;
    vt_status status = vt_checkpoint_load_json(&json, checkpoint, "tokenizer_config.json", err);
    const json_t *pad = json_object_get(json, "pad_token");
    const char *wanted =
        json_string_value(json_is_object(pad) ? json_object_get(pad, "content") : pad);
    const char *id;
    json_t *token;
    *out = 0;
    json_object_foreach(json_object_get(json, "added_tokens_decoder"), id, token) {
        const char *content = json_string_value(json_object_get(token, "content"));
        if (wanted && content && strcmp(content, wanted) == 0)
            *out = strtoll(id, NULL, 10);
    }
    json_decref(json);
    return status;
}

static void configure_text(vt_text_config *text, vt_json_reader *r, vt_activation activation) {
    static const char *const keys[] = {"embed_cls", "final_ln_after_pool", "use_pad_mask"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        vt_open_clip_refuse(r, keys[i], NULL);
    vt_open_clip_refuse_blocks(r);
    vt_open_clip_refuse(r, "proj_type", "linear");
    vt_open_clip_encoder(&text->encoder, r, 512, 8, activation);
    text->encoder.causal = !vt_json_bool(r, "no_causal_mask", false);
    text->vocab_size = vt_json_size(r, "vocab_size", 49408);
    text->max_positions = vt_json_size(r, "context_length", 77);
    text->has_pos_embed = true;
    text->final_norm = true;
    read_pooling(text, r);
    if (!text->encoder.causal) /* padding is seen: texts are padded to one length (SigLIP) */
        text->pad_length = text->max_positions;
}

vt_status vt_open_clip_finish(vt_config *out, const vt_checkpoint *checkpoint, vt_error *err) {
    const json_t *config = vt_checkpoint_config(checkpoint), *model = model_cfg(config);
    const char *where = vt_checkpoint_config_path(checkpoint);
    vt_json_reader r = vt_json_reader_of(model, where, err);
    vt_json_reader text = vt_json_reader_of(json_object_get(model, "text_cfg"), where, err);
    vt_open_clip_refuse(&r, "multimodal_cfg", NULL); /* CoCa */
    out->has_text = true;
    configure_text(&out->text, &text, vt_open_clip_activation(config));
    out->embed_dim = vt_json_size(&r, "embed_dim", 512);
    out->text_projection = true;
    out->text_projection_bias = vt_json_bool(&text, "proj_bias", false);
    out->has_logit_bias = vt_checkpoint_find(checkpoint, "logit_bias") != NULL;
    if (r.status || text.status)
        return r.status ? r.status : text.status;
    vt_status status = VT_OK;
    if (out->text.pad_length)
        status = find_pad_token(&out->text.pad_token, checkpoint, err);
    if (status)
        return status;
    return vt_open_clip_preprocess(&out->preprocess, json_object_get(config, "preprocess_cfg"),
                                   out->vision.image_height, out->vision.image_width, where, err);
}

const vt_tensor_name vt_open_clip_text_names[] = {
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
    {VT_PART_PROJECTION, "@text_projection"}, /* with proj_bias */
    {VT_PART_LOGIT_SCALE, "logit_scale"},
    {VT_PART_LOGIT_BIAS, "logit_bias"},
    {VT_PART_NONE, NULL},
};

/* Masks, which are computed. */
const char *const vt_open_clip_ignored[] = {"attn_mask", "text.attn_mask", NULL};

/* ---- pictures ----------------------------------------------------------------------------------
 */

/* open_clip/transform.py's evaluation transform is torchvision's, as timm's is: only the keys
 * differ. */
vt_status vt_open_clip_preprocess(vt_preprocess *out, const json_t *cfg, size_t height,
                                  size_t width, const char *where, vt_error *err) {
    static const struct {
        const char *open_clip, *timm;
    } modes[] = {{"shortest", "center"}, {"squash", "squash"}, {"longest", "border"}};
    vt_json_reader r = vt_json_reader_of(cfg, where, err);
    const char *mode = vt_json_string(&r, "resize_mode", "shortest"), *crop_mode = NULL;
    const char *interpolation = vt_json_string(&r, "interpolation", "bicubic");
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (strcmp(mode, modes[i].open_clip) == 0)
            crop_mode = modes[i].timm;
    if (!r.status && !crop_mode)
        return vt_fail(err, VT_ERR_UNSUPPORTED, "%s: \"resize_mode\": \"%s\" is not supported",
                       where, mode);
    if (r.status)
        return r.status;
    json_t *timm =
        json_pack("{s:[i, I, I], s:s, s:f, s:s, s:[f, f, f], s:[f, f, f]}", "input_size", 3,
                  (json_int_t)height, (json_int_t)width, "interpolation", interpolation, "crop_pct",
                  1.0, "crop_mode", crop_mode, "mean", 0.48145466, 0.4578275, 0.40821073, "std",
                  0.26862954, 0.26130258, 0.27577711);
    if (!timm)
        return vt_fail_memory(err, "a configuration", 0);
    if (json_object_get(cfg, "mean"))
        json_object_set(timm, "mean", json_object_get(cfg, "mean"));
    if (json_object_get(cfg, "std"))
        json_object_set(timm, "std", json_object_get(cfg, "std"));
    vt_status status = vt_preprocess_from_timm(out, timm, err);
    json_decref(timm);
    return status;
}
