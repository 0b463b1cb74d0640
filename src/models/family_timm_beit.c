/* SPDX-License-Identifier: MIT
 *
 * BEiT and BEiT v2 as timm saves them: a table of relative positions in each block, no bias of
 * the key. Source: timm 1.0.28, models/beit.py. /
 */
#include <string.h>

#include "models/family.h"
#include "models/timm.h"

static bool matches(const json_t *config) {
    const char *name = vt_timm_architecture(config);
    return strncmp(name, "beit_", 5) == 0 || strncmp(name, "beitv2_", 7) == 0;
}

static vt_status configure(vt_config *out, const vt_checkpoint *checkpoint, vt_error *err) {
    vt_timm timm = vt_timm_of(checkpoint, err);
    vt_vision_config *vision = &out->vision;
    out->has_vision = true;
    out->architecture = timm.architecture;
    vt_timm_image(vision, &timm);
    vt_timm_encoder(&vision->encoder, &timm, vt_timm_width(&timm) / 64, "gelu");
    vision->encoder.norm_eps = 1e-6f;
    vision->patch_bias = true;
    vision->num_class_tokens = 1;
    vision->has_pos_embed = vt_json_bool(&timm.args, "use_abs_pos_emb", false);
    vision->num_pos_prefix = vision->has_pos_embed ? 1 : 0;
    vision->pos_resize = VT_POS_RESIZE_BICUBIC_ANTIALIAS;
    vision->has_grid_bias = vt_json_bool(&timm.args, "use_rel_pos_bias", true) ||
                            vt_json_bool(&timm.args, "use_shared_rel_pos_bias", false);
    /* The class takes one size alone; this is transformers' rule for the same tables
     * (docs/MODELS.md). */
    vision->grid_bias_resize = VT_POS_RESIZE_BILINEAR;
    if (!vision->has_pos_embed)
        vision->pos_resize = vision->grid_bias_resize;
    vt_timm_pooling(vision, &timm, "avg");
    vision->pool_norm = vision->pooling == VT_POOL_AVG;
    vision->final_norm = !vision->pool_norm;
    return vt_timm_finish(out, &timm, err);
}

static const vt_tensor_name vision_names[] = {
    {VT_PART_CLASS_TOKEN, "cls_token"},
    {VT_PART_POS_EMBED, "pos_embed"},
    {VT_PART_PATCH, "patch_embed.proj"},
    {VT_PART_GRID_BIAS, "blocks.#.attn.relative_position_bias_table"},
    {VT_PART_GRID_BIAS_SHARED, "rel_pos_bias.relative_position_bias_table"},
    {VT_PART_NORM1, "blocks.#.norm1"},
    {VT_PART_QKV, "blocks.#.attn.qkv"},
    {VT_PART_Q_BIAS, "blocks.#.attn.q_bias"},
    {VT_PART_V_BIAS, "blocks.#.attn.v_bias"},
    {VT_PART_PROJ, "blocks.#.attn.proj"},
    {VT_PART_SCALE1, "blocks.#.gamma_1"},
    {VT_PART_NORM2, "blocks.#.norm2"},
    {VT_PART_FC1, "blocks.#.mlp.fc1"},
    {VT_PART_FC1_GATE, "blocks.#.mlp.fc1_g"},
    {VT_PART_FC1_VALUE, "blocks.#.mlp.fc1_x"},
    {VT_PART_MLP_NORM, "blocks.#.mlp.norm"},
    {VT_PART_FC2, "blocks.#.mlp.fc2"},
    {VT_PART_SCALE2, "blocks.#.gamma_2"},
    {VT_PART_NORM, "norm"},
    {VT_PART_POOL_NORM, "fc_norm"},
    {VT_PART_HEAD, "head"},
    {VT_PART_NONE, NULL},
};

static const char *const ignored[] = {"*relative_position_index", "mask_token", NULL};

const vt_family vt_family_timm_beit = {
    .name = "timm BEiT",
    .matches = matches,
    .configure = configure,
    .vision_names = vision_names,
    .ignored = ignored,
};
