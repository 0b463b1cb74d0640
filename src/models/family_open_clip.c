/* SPDX-License-Identifier: MIT
 *
 * CLIP as OpenCLIP saves it: open_clip_config.json and open_clip_model.safetensors, with OpenAI's
 * names. The same computation as family_clip.c, but for GELU, which is exact unless the
 * configuration says quick_gelu. Source: open_clip 3.3, src/open_clip/model.py and transformer.py.
 */
#include "base/error.h"
#include "models/open_clip.h"

static bool matches(const json_t *config) {
    return vt_open_clip_vision(config) != NULL;
}

/* Another model inside (those of timm's that are known have matched before), a pooling or norm that
 * CLIP's tower of pictures does not have. */
static void refuse_others(vt_json_reader *r) {
    static const char *const keys[] = {"timm_model_name", "attentional_pool", "no_ln_pre",
                                       "final_ln_after_pool"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        vt_open_clip_refuse(r, keys[i], NULL);
    vt_open_clip_refuse(r, "pool_type", "tok");
    vt_open_clip_refuse_blocks(r);
}

static void configure_vision(vt_vision_config *out, vt_json_reader *r, vt_activation activation) {
    refuse_others(r);
    vt_open_clip_encoder(&out->encoder, r, 768, 0, activation);
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

static vt_status configure(vt_config *out, const vt_checkpoint *checkpoint, vt_error *err) {
    const json_t *config = vt_checkpoint_config(checkpoint);
    const char *where = vt_checkpoint_config_path(checkpoint);
    vt_json_reader vision = vt_json_reader_of(vt_open_clip_vision(config), where, err);
    out->architecture = "OpenCLIP";
    out->has_vision = true;
    configure_vision(&out->vision, &vision, vt_open_clip_activation(config));
    out->vision_projection = true;
    return vision.status ? vision.status : vt_open_clip_finish(out, checkpoint, err);
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

/* "text." where the text tower is an object of its own (custom_text). */
static const char *const prefixes[] = {"text.", "", NULL};

const vt_family vt_family_open_clip = {
    .name = "OpenCLIP",
    .matches = matches,
    .configure = configure,
    .vision_names = vision_names,
    .text_names = vt_open_clip_text_names,
    .prefixes = prefixes,
    .ignored = vt_open_clip_ignored,
};
