/* SPDX-License-Identifier: MIT
 *
 * timm's VisionTransformer: ViT, DeiT, DeiT III, AugReg, DINOv2, AIMv2, CLIP and SigLIP image
 * towers, and the plain rest of models/vision_transformer.py and models/deit.py. The hub's
 * config.json names an architecture and the arguments that differ from it; what the name leaves
 * open is read off the tensors. Source: timm 1.0.28.
 */
#include <string.h>

#include "models/family.h"
#include "models/timm.h"

/* Architectures of vision_transformer.py that compute something else than this file describes. */
static const char *const other_blocks[] = {
    "_18x2_",  "_xp_",  "_dwee",   "_pwee",      "_dpwee",      "_dlittle", "vit_pe_",
    "_dinov3", "_rope", "vitamin", "vit_relpos", "vit_srelpos", "vit_sam"};

static bool starts_with(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool vt_timm_is_vit(const char *name) {
    for (size_t i = 0; i < sizeof other_blocks / sizeof other_blocks[0]; i++)
        if (strstr(name, other_blocks[i]))
            return false;
    return starts_with(name, "vit_") || starts_with(name, "deit") ||
           starts_with(name, "flexivit") || starts_with(name, "test_vit") ||
           starts_with(name, "eva_large_patch14") || starts_with(name, "beit3_") ||
           starts_with(name, "aimv2_");
}

static bool matches(const json_t *config) {
    return vt_timm_is_vit(vt_timm_architecture(config));
}

/* Heads are 64 wide but in these; the first part of a name that fits counts. */
static size_t default_num_heads(const char *name, size_t width) {
    static const struct {
        const char *part;
        size_t num_heads;
    } exceptions[] = {
        {"giant_patch14_dinov2", 24},
        {"giant_patch14_reg", 24},
        {"base_patch16_gap_224", 16},
        {"aimv2_huge", 12},
        {"test_vit3", 3},
        {"test_vit4", 3},
        {"test_vit", 2},
        {"huge", 16},
        {"giant", 16},
        {"gigantic", 16},
        {"so400m", 16},
    };
    for (size_t i = 0; i < sizeof exceptions / sizeof exceptions[0]; i++)
        if (strstr(name, exceptions[i].part))
            return exceptions[i].num_heads;
    return width / (starts_with(name, "aimv2_") ? 128 : 64);
}

/* SigLIP's larger and later models have the tanh form of GELU, its first ones the exact one. */
static const char *default_activation(const char *name) {
    static const char *const tanh_parts[] = {"base_patch32_siglip", "siglip_512", "siglip_gap_512",
                                             "so400m_patch16_siglip", "giantopt"};
    if (strstr(name, "quickgelu"))
        return "quick_gelu";
    for (size_t i = 0; i < sizeof tanh_parts / sizeof tanh_parts[0]; i++)
        if (strstr(name, tanh_parts[i]) && !strstr(name, "base_patch16_siglip"))
            return "gelu_tanh";
    return "gelu";
}

static double default_norm_eps(const char *name) {
    return strstr(name, "_clip_") || starts_with(name, "beit3_") || starts_with(name, "aimv2_")
               ? 1e-5
               : 1e-6;
}

/* Which pooling: an argument of the model, else what the hub's file says of it, else what the
 * tensors show. */
static void configure_pooling(vt_vision_config *out, vt_timm *timm) {
    const char *fallback = vt_timm_has_tensor(timm, "attn_pool.latent") ? "map"
                           : vt_timm_has_tensor(timm, "cls_token")      ? "token"
                                                                        : "avg";
    vt_timm_pooling(out, timm, vt_json_string(&timm->config, "global_pool", fallback));
}

/* The class token and registers, and how many of them the position table covers: all (the first
 * ViT), or none (no_embed_class). */
static void configure_tokens(vt_vision_config *out, vt_timm *timm) {
    const char *name = timm->architecture;
    vt_json_reader *args = &timm->args;
    const char *reg = strstr(name, "_reg");
    size_t named_registers = reg && reg[4] >= '0' && reg[4] <= '9' ? (size_t)(reg[4] - '0') : 0;
    bool class_token = vt_timm_has_tensor(timm, "cls_token") || out->pooling == VT_POOL_TOKEN;
    out->num_class_tokens = vt_json_bool(args, "class_token", class_token) ? 1 : 0;
    out->num_distill_tokens = strstr(name, "distilled") ? 1 : 0;
    size_t stored = vt_timm_dim(timm, "reg_token", 1);
    out->num_registers = vt_json_size(args, "reg_tokens", stored ? stored : named_registers);

    const char *pos_embed = vt_json_string(args, "pos_embed", "learn");
    out->has_pos_embed = strcmp(pos_embed, "learn") == 0;
    bool covers_patches_only = vt_timm_dim(timm, "pos_embed", 1) == vt_config_num_patches(out);
    bool no_embed_class = vt_json_bool(args, "no_embed_class", covers_patches_only);
    out->num_pos_prefix = no_embed_class ? 0 : vt_config_num_prefix(out);
    out->pos_resize = VT_POS_RESIZE_BICUBIC_ANTIALIAS;
}

/* Before the first block, after the last, and after pooling. */
static void configure_norms(vt_vision_config *out, vt_timm *timm) {
    vt_json_reader *args = &timm->args;
    out->pre_norm = vt_json_bool(args, "pre_norm", vt_timm_has_tensor(timm, "norm_pre.weight"));
    out->patch_bias = !out->pre_norm;
    out->patch_norm = vt_timm_has_tensor(timm, "patch_embed.norm.weight");
    bool pools_tokens = out->pooling == VT_POOL_TOKEN || out->pooling == VT_POOL_TOKEN_PAIR ||
                        out->pooling == VT_POOL_MAP;
    bool has_fc_norm = vt_timm_has_tensor(timm, "fc_norm.weight");
    bool has_norm = vt_timm_has_tensor(timm, "norm.weight");
    bool fc_norm = vt_json_bool(args, "fc_norm", has_fc_norm || (!pools_tokens && !has_norm));
    bool final_norm = vt_json_bool(args, "final_norm", !strstr(timm->architecture, "_intern300m"));
    out->final_norm = final_norm && !fc_norm;
    out->pool_norm = final_norm && fc_norm;
    out->pool_prefix =
        vt_json_bool(args, "pool_include_prefix", starts_with(timm->architecture, "test_vit3"));
}

void vt_timm_vit_tower(vt_config *out, vt_timm *timm) {
    vt_vision_config *vision = &out->vision;
    const char *name = out->architecture = timm->architecture;
    out->has_vision = true;
    vt_timm_image(vision, timm);
    vt_timm_encoder(&vision->encoder, timm, default_num_heads(name, vt_timm_width(timm)),
                    default_activation(name));
    vision->encoder.norm_eps = (float)default_norm_eps(name);
    configure_pooling(vision, timm);
    configure_tokens(vision, timm);
    if (vision->num_distill_tokens) {
        vision->pooling = VT_POOL_TOKEN_PAIR;
        out->distill_head = true;
    }
    configure_norms(vision, timm);
    if (strstr(name, "_rpn_"))
        vision->encoder.order = VT_NORM_BRANCH; /* ResPostBlock */
}

static vt_status configure(vt_config *out, const vt_checkpoint *checkpoint, vt_error *err) {
    vt_timm timm = vt_timm_of(checkpoint, err);
    vt_timm_vit_tower(out, &timm);
    return vt_timm_finish(out, &timm, err);
}

const vt_tensor_name vt_timm_vit_names[] = {
    {VT_PART_CLASS_TOKEN, "@cls_token"},
    {VT_PART_DISTILL_TOKEN, "@dist_token"},
    {VT_PART_REGISTERS, "@reg_token"},
    {VT_PART_POS_EMBED, "@pos_embed"},
    {VT_PART_PATCH, "@patch_embed.proj"},
    {VT_PART_PATCH_NORM, "@patch_embed.norm"},
    {VT_PART_PRE_NORM, "@norm_pre"},
    {VT_PART_NORM1, "@blocks.#.norm1"},
    {VT_PART_QKV, "@blocks.#.attn.qkv"},
    {VT_PART_Q_NORM, "@blocks.#.attn.q_norm"},
    {VT_PART_K_NORM, "@blocks.#.attn.k_norm"},
    {VT_PART_ATTN_NORM, "@blocks.#.attn.norm"},
    {VT_PART_PROJ, "@blocks.#.attn.proj"},
    {VT_PART_SCALE1, "@blocks.#.ls1.gamma"},
    {VT_PART_NORM2, "@blocks.#.norm2"},
    {VT_PART_FC1, "@blocks.#.mlp.fc1"},
    {VT_PART_FC1_GATE, "@blocks.#.mlp.fc1_g"}, /* AIMv2 */
    {VT_PART_FC1_VALUE, "@blocks.#.mlp.fc1_x"},
    {VT_PART_MLP_NORM, "@blocks.#.mlp.norm"},
    {VT_PART_FC2, "@blocks.#.mlp.fc2"},
    {VT_PART_SCALE2, "@blocks.#.ls2.gamma"},
    {VT_PART_NORM, "@norm"},
    {VT_PART_MAP_PROBE, "@attn_pool.latent"},
    {VT_PART_MAP_Q, "@attn_pool.q"},
    {VT_PART_MAP_KV, "@attn_pool.kv"},
    {VT_PART_MAP_PROJ, "@attn_pool.proj"},
    {VT_PART_MAP_NORM, "@attn_pool.norm"},
    {VT_PART_MAP_FC1, "@attn_pool.mlp.fc1"},
    {VT_PART_MAP_FC2, "@attn_pool.mlp.fc2"},
    {VT_PART_POOL_NORM, "@fc_norm"},
    {VT_PART_HEAD, "@head"},
    {VT_PART_PROJECTION, "@head"}, /* what OpenCLIP makes of it */
    {VT_PART_HEAD_DISTILL, "@head_dist"},
    {VT_PART_NONE, NULL},
};

const vt_family vt_family_timm_vit = {
    .name = "timm VisionTransformer",
    .matches = matches,
    .configure = configure,
    .vision_names = vt_timm_vit_names,
};
