/* SPDX-License-Identifier: MIT
 *
 * timm's VisionTransformer: ViT, DeiT, DeiT III, AugReg, DINOv2, CLIP and SigLIP image towers, and the
 * plain rest of models/vision_transformer.py and models/deit.py. The hub's config.json names an
 * architecture and the arguments that differ from it; what the name leaves open is read off the tensors.
 * Source: timm 1.0.28.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "formats/json.h"
#include "models/family.h"
#include "models/hub.h"

/* Architectures of vision_transformer.py that compute something else than this file describes. */
static const char *const other_blocks[] = {"_rpn_", "_18x2_", "_xp_", "_dwee", "_pwee", "_dpwee",
                                           "_dlittle", "vit_pe_", "_dinov3", "_rope", "vitamin",
                                           "vit_relpos", "vit_srelpos", "vit_sam"};

static bool starts_with(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool matches(const json_t *config) {
    const char *name = json_string_value(json_object_get(config, "architecture"));
    if (!name)
        return false;
    for (size_t i = 0; i < sizeof other_blocks / sizeof other_blocks[0]; i++)
        if (strstr(name, other_blocks[i]))
            return false;
    return starts_with(name, "vit_") || starts_with(name, "deit") || starts_with(name, "flexivit") ||
           starts_with(name, "test_vit") || starts_with(name, "eva_large_patch14") ||
           starts_with(name, "beit3_");
}

/* Heads are 64 wide but in these; the first part of a name that fits counts. */
static size_t default_num_heads(const char *name, size_t width) {
    static const struct {
        const char *part;
        size_t num_heads;
    } exceptions[] = {
        {"giant_patch14_dinov2", 24}, {"giant_patch14_reg", 24}, {"test_vit3", 3}, {"test_vit4", 3},
        {"test_vit", 2}, {"huge", 16}, {"giant", 16}, {"gigantic", 16}, {"so400m", 16},
    };
    for (size_t i = 0; i < sizeof exceptions / sizeof exceptions[0]; i++)
        if (strstr(name, exceptions[i].part))
            return exceptions[i].num_heads;
    return width / 64;
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
    return strstr(name, "_clip_") || starts_with(name, "beit3_") ? 1e-5 : 1e-6;
}

static vt_status parse_pooling(vt_vision_config *out, const char *pooling, const char *where, vt_error *err) {
    static const struct {
        const char *name;
        vt_pooling_kind kind;
    } kinds[] = {
        {"token", VT_POOL_TOKEN}, {"avg", VT_POOL_AVG}, {"max", VT_POOL_MAX},
        {"avgmax", VT_POOL_AVG_MAX}, {"map", VT_POOL_MAP},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(pooling, kinds[i].name) == 0) {
            out->pooling = kinds[i].kind;
            return VT_OK;
        }
    }
    return vt_fail(err, VT_ERR_UNSUPPORTED, "%s: \"global_pool\": \"%s\" is not supported", where,
                   pooling);
}

/* Which pooling: an argument of the model, else what the hub's file says of it, else what the tensors
 * show. */
static const char *find_pooling(vt_json_reader *config, vt_json_reader *args,
                                const vt_checkpoint *checkpoint) {
    const char *fallback = vt_checkpoint_find(checkpoint, "attn_pool.latent") ? "map"
                           : vt_checkpoint_find(checkpoint, "cls_token")      ? "token"
                                                                              : "avg";
    return vt_json_string(args, "global_pool", vt_json_string(config, "global_pool", fallback));
}

/* Width, depth and the kind of MLP are the tensors' to tell; heads and activation are not. */
static void configure_encoder(vt_vision_config *out, const char *name, const vt_checkpoint *checkpoint,
                              vt_json_reader *args) {
    vt_encoder_config *encoder = &out->encoder;
    encoder->width = vt_json_size(args, "embed_dim",
                                  vt_checkpoint_dim(checkpoint, "patch_embed.proj.weight", 0));
    size_t depth = 0;
    char tensor[64];
    do
        snprintf(tensor, sizeof tensor, "blocks.%zu.norm1.weight", depth);
    while (vt_checkpoint_find(checkpoint, tensor) && ++depth);
    encoder->depth = vt_json_size(args, "depth", depth);

    size_t num_heads = vt_json_size(args, "num_heads", default_num_heads(name, encoder->width));
    size_t head_dim = num_heads ? encoder->width / num_heads : 0;
    if (!args->status && (num_heads == 0 || encoder->width % num_heads != 0))
        args->status = vt_fail(args->err, VT_ERR_UNSUPPORTED,
                               "%s: embed_dim %zu is no multiple of num_heads %zu", args->where,
                               encoder->width, num_heads);
    encoder->attention = (vt_attention_shape){.num_heads = num_heads, .num_kv_heads = num_heads,
                                              .head_dim = head_dim,
                                              .scale = 1.0f / sqrtf((float)head_dim)};
    encoder->norm = vt_checkpoint_find(checkpoint, "blocks.0.norm1.bias") ? VT_NORM_LAYER : VT_NORM_RMS;
    encoder->norm_eps = (float)default_norm_eps(name);

    /* SwiGLUPacked: fc1 makes gate and value, fc2 takes their product. */
    size_t fc1_out = vt_checkpoint_dim(checkpoint, "blocks.0.mlp.fc1.weight", 0);
    encoder->mlp_dim = vt_checkpoint_dim(checkpoint, "blocks.0.mlp.fc2.weight", 1);
    encoder->gated_mlp = encoder->mlp_dim && fc1_out == 2 * encoder->mlp_dim;
    encoder->activation = vt_hub_activation(args, "act_layer",
                                           encoder->gated_mlp ? "silu" : default_activation(name));
}

/* The class token and registers, and how many of them the position table covers: all (the first ViT),
 * or none (no_embed_class). */
static void configure_tokens(vt_vision_config *out, const vt_checkpoint *checkpoint, vt_json_reader *args,
                             const char *name) {
    const char *reg = strstr(name, "_reg");
    size_t named_registers = reg && reg[4] >= '0' && reg[4] <= '9' ? (size_t)(reg[4] - '0') : 0;
    bool class_token = vt_checkpoint_find(checkpoint, "cls_token") || out->pooling == VT_POOL_TOKEN;
    out->num_class_tokens = vt_json_bool(args, "class_token", class_token) ? 1 : 0;
    out->num_distill_tokens = strstr(name, "distilled") ? 1 : 0;
    size_t stored = vt_checkpoint_dim(checkpoint, "reg_token", 1);
    out->num_registers = vt_json_size(args, "reg_tokens", stored ? stored : named_registers);

    const char *pos_embed = vt_json_string(args, "pos_embed", "learn");
    out->has_pos_embed = strcmp(pos_embed, "learn") == 0;
    bool covers_patches_only = vt_checkpoint_dim(checkpoint, "pos_embed", 1) == vt_config_num_patches(out);
    bool no_embed_class = vt_json_bool(args, "no_embed_class", covers_patches_only);
    out->num_pos_prefix = no_embed_class ? 0 : vt_config_num_prefix(out);
}

/* How the reference pipeline finds the input size: img_size, an argument; else the pretrained one. */
static void configure_image(vt_vision_config *out, const vt_checkpoint *checkpoint, vt_json_reader *args,
                            const json_t *pretrained) {
    const json_t *input = json_object_get(pretrained, "input_size");
    size_t side = 224;
    json_int_t height = json_integer_value(json_array_get(input, 1));
    json_int_t width = json_integer_value(json_array_get(input, 2));
    out->image_height = height > 0 ? (size_t)height : side;
    out->image_width = width > 0 ? (size_t)width : side;
    vt_json_size_pair(args, "img_size", &out->image_height, &out->image_width);
    size_t stored = vt_checkpoint_dim(checkpoint, "patch_embed.proj.weight", 2);
    out->patch_size = vt_json_size(args, "patch_size", stored ? stored : 16);
}

static vt_status configure(vt_config *out, const vt_checkpoint *checkpoint, vt_error *err) {
    const json_t *config = vt_checkpoint_config(checkpoint);
    const char *where = vt_checkpoint_config_path(checkpoint);
    const json_t *pretrained = json_object_get(config, "pretrained_cfg");
    if (!pretrained)
        pretrained = config; /* an old hub file has them side by side */
    vt_json_reader r = vt_json_reader_of(config, where, err);
    vt_json_reader args = vt_json_reader_of(json_object_get(config, "model_args"), where, err);
    vt_json_reader pre = vt_json_reader_of(pretrained, where, err);

    vt_vision_config *vision = &out->vision;
    out->has_vision = true;
    const char *name = out->architecture = vt_json_string(&r, "architecture", "");
    configure_image(vision, checkpoint, &args, pretrained);
    if (vision->patch_size == 0)
        return vt_fail(err, VT_ERR_FORMAT, "%s: patch_size is 0", where);
    configure_encoder(vision, name, checkpoint, &args);
    vt_status status = parse_pooling(vision, find_pooling(&r, &args, checkpoint), where, err);
    if (status)
        return status;
    configure_tokens(vision, checkpoint, &args, name);
    if (vision->num_distill_tokens) {
        vision->pooling = VT_POOL_TOKEN_PAIR;
        out->distill_head = true;
    }
    vision->pos_resize = VT_POS_RESIZE_BICUBIC_ANTIALIAS;

    vision->pre_norm = vt_json_bool(&args, "pre_norm", vt_checkpoint_find(checkpoint, "norm_pre.weight"));
    vision->patch_bias = !vision->pre_norm;
    bool pools_tokens = vision->pooling == VT_POOL_TOKEN || vision->pooling == VT_POOL_TOKEN_PAIR ||
                        vision->pooling == VT_POOL_MAP;
    bool has_fc_norm = vt_checkpoint_find(checkpoint, "fc_norm.weight");
    bool has_norm = vt_checkpoint_find(checkpoint, "norm.weight");
    bool fc_norm = vt_json_bool(&args, "fc_norm", has_fc_norm || (!pools_tokens && !has_norm));
    bool final_norm = vt_json_bool(&args, "final_norm", true);
    vision->final_norm = final_norm && !fc_norm;
    vision->pool_norm = final_norm && fc_norm;
    vision->pool_prefix = vt_json_bool(&args, "pool_include_prefix", false);

    size_t num_classes = vt_json_size(&r, "num_classes", vt_json_size(&pre, "num_classes", 1000));
    out->num_classes = vt_json_size(&args, "num_classes", num_classes);
    out->multi_label = vt_hub_is_multi_label(config) || vt_hub_is_multi_label(pretrained);
    if (r.status || args.status || pre.status)
        return r.status ? r.status : args.status ? args.status : pre.status;
    return vt_preprocess_from_timm(&out->preprocess, pretrained, err);
}

static const vt_tensor_name vision_names[] = {
    {VT_PART_CLASS_TOKEN, "cls_token"},
    {VT_PART_DISTILL_TOKEN, "dist_token"},
    {VT_PART_REGISTERS, "reg_token"},
    {VT_PART_POS_EMBED, "pos_embed"},
    {VT_PART_PATCH, "patch_embed.proj"},
    {VT_PART_PRE_NORM, "norm_pre"},
    {VT_PART_NORM1, "blocks.#.norm1"},
    {VT_PART_QKV, "blocks.#.attn.qkv"},
    {VT_PART_Q_NORM, "blocks.#.attn.q_norm"},
    {VT_PART_K_NORM, "blocks.#.attn.k_norm"},
    {VT_PART_ATTN_NORM, "blocks.#.attn.norm"},
    {VT_PART_PROJ, "blocks.#.attn.proj"},
    {VT_PART_SCALE1, "blocks.#.ls1.gamma"},
    {VT_PART_NORM2, "blocks.#.norm2"},
    {VT_PART_FC1, "blocks.#.mlp.fc1"},
    {VT_PART_MLP_NORM, "blocks.#.mlp.norm"},
    {VT_PART_FC2, "blocks.#.mlp.fc2"},
    {VT_PART_SCALE2, "blocks.#.ls2.gamma"},
    {VT_PART_NORM, "norm"},
    {VT_PART_MAP_PROBE, "attn_pool.latent"},
    {VT_PART_MAP_Q, "attn_pool.q"},
    {VT_PART_MAP_KV, "attn_pool.kv"},
    {VT_PART_MAP_PROJ, "attn_pool.proj"},
    {VT_PART_MAP_NORM, "attn_pool.norm"},
    {VT_PART_MAP_FC1, "attn_pool.mlp.fc1"},
    {VT_PART_MAP_FC2, "attn_pool.mlp.fc2"},
    {VT_PART_POOL_NORM, "fc_norm"},
    {VT_PART_HEAD, "head"},
    {VT_PART_HEAD_DISTILL, "head_dist"},
    {VT_PART_NONE, NULL},
};

const vt_family vt_family_timm_vit = {
    .name = "timm VisionTransformer",
    .matches = matches,
    .configure = configure,
    .vision_names = vision_names,
};
