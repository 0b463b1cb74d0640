/* SPDX-License-Identifier: MIT
 *
 * timm's Eva: EVA-01, EVA-02, the image towers of EVA-CLIP, timm's own ViTs with rotary
 * positions, and DINOv3. One class makes them all; what an architecture's name stands for is in
 * the table below, what is in a block shows in its tensors. Source: timm 1.0.28, models/eva.py.
 * /
 */
#include <string.h>

#include "base/error.h"
#include "models/family.h"
#include "models/timm.h"

/* The arguments that an architecture's function gives the class. */
typedef struct eva_variant {
    const char *part;      /* of the name; the first variant that fits counts */
    const char *rope_type; /* NULL: no rotary positions */
    double theta;
    size_t ref_grid; /* ref_feat_shape: the grid that coordinates are scaled to */
    bool pos_embed, class_token;
    bool no_fc_norm; /* use_fc_norm=False, whatever the pooling */
    bool post_norm;  /* use_post_norm: EvaBlockPostNorm */
    double eps;
} eva_variant;

static const eva_variant variants[] = {
    {"_dinov3", "dinov3", 100, 0, false, true, true, false, 1e-5},
    {"_patch16_rope_reg", "cat", 10000, 16, false, false, false, false, 1e-6},
    {"eva02_enormous", NULL, 0, 0, true, true, false, true, 1e-6},
    {"eva02_", "cat", 10000, 16, true, true, false, false, 1e-6},
    {"eva_giant", NULL, 0, 0, true, true, false, false, 1e-6},
};

static const eva_variant *find_variant(const char *name) {
    for (size_t i = 0; i < sizeof variants / sizeof variants[0]; i++)
        if (strstr(name, variants[i].part))
            return &variants[i];
    return NULL;
}

bool vt_timm_is_eva(const char *name) {
    return find_variant(name) != NULL;
}

static bool matches(const json_t *config) {
    return vt_timm_is_eva(vt_timm_architecture(config));
}

static size_t default_num_heads(const char *name, size_t width) {
    if (strstr(name, "_giant") || strstr(name, "_enormous"))
        return 16;
    return width / (strstr(name, "vit_7b_") ? 128 : 64);
}

static void reject(vt_timm *timm, const char *key) {
    if (!timm->args.status)
        timm->args.status = vt_fail(timm->args.err, VT_ERR_UNSUPPORTED,
                                    "%s: \"%s\" differs from what %s is known to have",
                                    timm->args.where, key, timm->architecture);
}

static void configure_rope(vt_vision_config *out, vt_timm *timm, const eva_variant *variant) {
    vt_json_reader *args = &timm->args;
    bool dinov3 = variant->rope_type && strcmp(variant->rope_type, "dinov3") == 0;
    const char *type =
        vt_json_string(args, "rope_type", variant->rope_type ? variant->rope_type : "cat");
    out->has_rope = vt_json_bool(args, "use_rot_pos_emb", variant->rope_type != NULL);
    if (out->has_rope != (variant->rope_type != NULL))
        reject(timm, "use_rot_pos_emb");
    if (!out->has_rope || !variant->rope_type)
        return;
    if (strcmp(type, variant->rope_type) != 0)
        reject(timm, "rope_type");
    if (strcmp(vt_json_string(args, "rope_grid_indexing", "ij"), "ij") != 0)
        reject(timm, "rope_grid_indexing");
    if (vt_json_real(args, "rope_grid_offset", 0) != 0)
        reject(timm, "rope_grid_offset");
    if (vt_json_bool(args, "rope_rotate_half", dinov3) != dinov3)
        reject(timm, "rope_rotate_half");
    out->rope = (vt_rope2d_config){
        .kind = dinov3 ? VT_ROPE2D_DINOV3 : VT_ROPE2D_EVA,
        .layout = dinov3 ? VT_ROPE_HALVES : VT_ROPE_INTERLEAVED,
        .theta = vt_json_real(args, "rope_temperature", variant->theta),
        .pairs = out->encoder.attention.head_dim / 2,
        .ref_h = variant->ref_grid,
        .ref_w = variant->ref_grid,
    };
    vt_json_size_pair(args, "ref_feat_shape", &out->rope.ref_h, &out->rope.ref_w);
}

static void configure_tokens(vt_vision_config *out, vt_timm *timm, const eva_variant *variant) {
    vt_json_reader *args = &timm->args;
    size_t registers = vt_timm_dim(timm, "reg_token", 1);
    out->num_class_tokens = vt_json_bool(args, "class_token", variant->class_token) ? 1 : 0;
    out->num_registers = vt_json_size(args, "num_reg_tokens", registers);
    out->has_pos_embed = vt_json_bool(args, "use_abs_pos_emb", variant->pos_embed);
    bool no_embed_class = vt_json_bool(args, "no_embed_class", false);
    out->num_pos_prefix = no_embed_class || !out->has_pos_embed ? 0 : vt_config_num_prefix(out);
    out->pos_resize = VT_POS_RESIZE_BICUBIC_ANTIALIAS;
}

/* The final norm moves behind the pooling where that is a mean, unless the arguments say otherwise.
 */
static void configure_norms(vt_vision_config *out, vt_timm *timm, const eva_variant *variant) {
    vt_json_reader *args = &timm->args;
    bool fc_norm = !variant->no_fc_norm && out->pooling == VT_POOL_AVG;
    out->pool_norm = vt_json_bool(args, "use_fc_norm", fc_norm);
    out->final_norm = vt_json_bool(args, "use_post_transformer_norm", !out->pool_norm);
    out->pre_norm = vt_json_bool(args, "use_pre_transformer_norm", false);
    out->patch_bias = !out->pre_norm;
    if (vt_json_bool(args, "use_post_norm", variant->post_norm))
        out->encoder.order = VT_NORM_BRANCH;
}

void vt_timm_eva_tower(vt_config *out, vt_timm *timm) {
    vt_vision_config *vision = &out->vision;
    const char *name = out->architecture = timm->architecture;
    const eva_variant *variant = find_variant(name);
    out->has_vision = true;
    vt_timm_image(vision, timm);
    vt_timm_encoder(&vision->encoder, timm, default_num_heads(name, vt_timm_width(timm)), "gelu");
    vision->encoder.norm_eps = (float)variant->eps;
    vt_timm_pooling(vision, timm, strstr(name, "_clip_") ? "token" : "avg");
    configure_tokens(vision, timm, variant);
    configure_rope(vision, timm, variant);
    configure_norms(vision, timm, variant);
}

static vt_status configure(vt_config *out, const vt_checkpoint *checkpoint, vt_error *err) {
    vt_timm timm = vt_timm_of(checkpoint, err);
    vt_timm_eva_tower(out, &timm);
    return vt_timm_finish(out, &timm, err);
}

const vt_tensor_name vt_timm_eva_names[] = {
    {VT_PART_CLASS_TOKEN, "@cls_token"},
    {VT_PART_REGISTERS, "@reg_token"},
    {VT_PART_POS_EMBED, "@pos_embed"},
    {VT_PART_PATCH, "@patch_embed.proj"},
    {VT_PART_PRE_NORM, "@norm_pre"},
    {VT_PART_NORM1, "@blocks.#.norm1"},
    {VT_PART_QKV, "@blocks.#.attn.qkv"}, /* tiny, small, giant: without a bias */
    {VT_PART_Q_BIAS, "@blocks.#.attn.q_bias"},
    {VT_PART_V_BIAS, "@blocks.#.attn.v_bias"},
    {VT_PART_Q, "@blocks.#.attn.q_proj"}, /* base and large EVA-02 */
    {VT_PART_K, "@blocks.#.attn.k_proj"},
    {VT_PART_V, "@blocks.#.attn.v_proj"},
    {VT_PART_Q_NORM, "@blocks.#.attn.q_norm"},
    {VT_PART_K_NORM, "@blocks.#.attn.k_norm"},
    {VT_PART_ATTN_NORM, "@blocks.#.attn.norm"}, /* scale_attn_inner: EVA-02-CLIP */
    {VT_PART_PROJ, "@blocks.#.attn.proj"},
    {VT_PART_SCALE1, "@blocks.#.gamma_1"},
    {VT_PART_NORM2, "@blocks.#.norm2"},
    {VT_PART_FC1, "@blocks.#.mlp.fc1"}, /* GluMlp: gate rows, then value rows */
    {VT_PART_FC1_GATE, "@blocks.#.mlp.fc1_g"},
    {VT_PART_FC1_VALUE, "@blocks.#.mlp.fc1_x"},
    {VT_PART_MLP_NORM, "@blocks.#.mlp.norm"}, /* scale_mlp */
    {VT_PART_FC2, "@blocks.#.mlp.fc2"},
    {VT_PART_SCALE2, "@blocks.#.gamma_2"},
    {VT_PART_NORM, "@norm"},
    {VT_PART_POOL_NORM, "@fc_norm"},
    {VT_PART_HEAD, "@head"},
    {VT_PART_PROJECTION, "@head"}, /* what OpenCLIP makes of it */
    {VT_PART_NONE, NULL},
};

/* What a checkpoint of masked image modelling keeps beside the encoder. */
static const char *const ignored[] = {"mask_token", "lm_head.", NULL};

const vt_family vt_family_timm_eva = {
    .name = "timm EVA / DINOv3",
    .matches = matches,
    .configure = configure,
    .vision_names = vt_timm_eva_names,
    .ignored = ignored,
};
