/* SPDX-License-Identifier: MIT
 *
 * timm's Eva: EVA-01, EVA-02, the image towers of EVA-CLIP, timm's own ViTs with rotary
 * positions, RoPE-ViT, the Perception Encoder, and DINOv3. One class makes them all; what an
 * architecture's name stands for is in the table below, what is in a block shows in its tensors.
 * Source: timm 1.0.28, models/eva.py.
 */
#include <string.h>

#include "base/error.h"
#include "models/family.h"
#include "models/timm.h"

/* The arguments that an architecture's function gives the class. */
typedef struct eva_rope {
    const char *type;
    double theta;
    size_t ref_grid; /* ref_feat_shape: the grid that coordinates are scaled to */
    double offset;
    const char *indexing; /* "xy": the column first */
} eva_rope;

typedef struct eva_variant {
    const char *part; /* of the name; the first variant that fits counts */
    const char *pooling;
    double eps;
    unsigned parts;
    const eva_rope *rope; /* NULL: no rotary positions */
} eva_variant;

enum {
    TABLE = 1,        /* use_abs_pos_emb */
    CLASS = 2,        /* class_token */
    PATCHES_ONLY = 4, /* no_embed_class: the table has no row for it */
    PRE_NORM = 8,     /* use_pre_transformer_norm */
    NO_FC_NORM = 16,  /* use_fc_norm=False, whatever the pooling */
    NO_NORM = 32,     /* nor a final one: use_post_transformer_norm=False */
    BRANCH_NORM = 64  /* use_post_norm: EvaBlockPostNorm */
};

static const eva_rope rope_dinov3 = {"dinov3", 100, 0, 0, "ij"};
static const eva_rope rope_eva02 = {"cat", 10000, 16, 0, "ij"};
static const eva_rope rope_axial = {"cat", 100, 0, 0, "xy"}; /* RoPE-ViT */
static const eva_rope rope_mixed = {"mixed", 10, 0, 0, "xy"};
static const eva_rope rope_pe_base = {"cat", 10000, 14, 1, "xy"};
static const eva_rope rope_pe_core = {"cat", 10000, 24, 1, "xy"};
static const eva_rope rope_pe = {"cat", 10000, 32, 1, "xy"};
static const eva_rope rope_pe_gigantic = {"cat", 10000, 32, 0, "xy"};

static const eva_variant variants[] = {
    {"_dinov3", "avg", 1e-5, CLASS | NO_FC_NORM, &rope_dinov3},
    {"_rope_reg", "avg", 1e-6, 0, &rope_eva02},
    {"_rope_mixed_ape", "token", 1e-6, TABLE | CLASS | PATCHES_ONLY, &rope_mixed},
    {"_rope_mixed", "token", 1e-6, CLASS, &rope_mixed},
    {"_rope_ape", "token", 1e-6, TABLE | CLASS | PATCHES_ONLY, &rope_axial},
    {"_rope_", "token", 1e-6, CLASS, &rope_axial},
    {"vit_pe_core_gigantic", "map", 1e-5, TABLE | PRE_NORM, &rope_pe_gigantic},
    {"vit_pe_core_base", "map", 1e-5, TABLE | CLASS | PRE_NORM, &rope_pe_base},
    {"vit_pe_core", "map", 1e-5, TABLE | CLASS | PRE_NORM, &rope_pe_core},
    {"vit_pe_lang_gigantic", "avg", 1e-5, TABLE | PRE_NORM | NO_NORM, &rope_pe_gigantic},
    {"vit_pe_spatial_gigantic", "avg", 1e-5, TABLE | PRE_NORM | NO_NORM, &rope_pe_gigantic},
    {"vit_pe_", "avg", 1e-5, TABLE | CLASS | PRE_NORM | NO_NORM, &rope_pe},
    {"eva02_enormous", "token", 1e-6, TABLE | CLASS | BRANCH_NORM, NULL},
    {"eva02_base_patch16_clip", "token", 1e-6, TABLE | CLASS, &rope_eva02},
    {"eva02_large_patch14_clip", "token", 1e-6, TABLE | CLASS, &rope_eva02},
    {"eva02_", "avg", 1e-6, TABLE | CLASS, &rope_eva02},
    {"eva_giant_patch14_clip", "token", 1e-6, TABLE | CLASS, NULL},
    {"eva_giant", "avg", 1e-6, TABLE | CLASS, NULL},
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
    if (strstr(name, "_giant") || strstr(name, "_enormous") || strstr(name, "_gigantic"))
        return 16;
    return width / (strstr(name, "vit_7b_") ? 128 : 64);
}

static void reject(vt_timm *timm, const char *key) {
    if (!timm->args.status)
        timm->args.status = vt_fail(timm->args.err, VT_ERR_UNSUPPORTED,
                                    "%s: \"%s\" differs from what %s is known to have",
                                    timm->args.where, key, timm->architecture);
}

static vt_rope2d_kind rope_kind(const char *type) {
    if (strcmp(type, "dinov3") == 0)
        return VT_ROPE2D_DINOV3;
    return strcmp(type, "mixed") == 0 ? VT_ROPE2D_MIXED : VT_ROPE2D_EVA;
}

static void configure_rope(vt_vision_config *out, vt_timm *timm, const eva_variant *variant) {
    vt_json_reader *args = &timm->args;
    const eva_rope *rope = variant->rope;
    out->has_rope = vt_json_bool(args, "use_rot_pos_emb", rope != NULL);
    if (out->has_rope != (rope != NULL))
        reject(timm, "use_rot_pos_emb");
    if (!out->has_rope || !rope)
        return;
    vt_rope2d_kind kind = rope_kind(rope->type);
    bool halves = kind == VT_ROPE2D_DINOV3;
    if (strcmp(vt_json_string(args, "rope_type", rope->type), rope->type) != 0)
        reject(timm, "rope_type");
    if (strcmp(vt_json_string(args, "rope_grid_indexing", rope->indexing), rope->indexing) != 0)
        reject(timm, "rope_grid_indexing");
    if (vt_json_bool(args, "rope_rotate_half", halves) != halves)
        reject(timm, "rope_rotate_half");
    out->rope = (vt_rope2d_config){
        .kind = kind,
        .layout = halves ? VT_ROPE_HALVES : VT_ROPE_INTERLEAVED,
        .theta = vt_json_real(args, "rope_temperature", rope->theta),
        .pairs = out->encoder.attention.head_dim / 2,
        .ref_h = rope->ref_grid,
        .ref_w = rope->ref_grid,
        .offset = vt_json_real(args, "rope_grid_offset", rope->offset),
        .column_first = strcmp(rope->indexing, "xy") == 0,
    };
    vt_json_size_pair(args, "ref_feat_shape", &out->rope.ref_h, &out->rope.ref_w);
}

static void configure_tokens(vt_vision_config *out, vt_timm *timm, const eva_variant *variant) {
    vt_json_reader *args = &timm->args;
    size_t registers = vt_timm_dim(timm, "reg_token", 1);
    out->num_class_tokens = vt_json_bool(args, "class_token", variant->parts & CLASS) ? 1 : 0;
    out->num_registers = vt_json_size(args, "num_reg_tokens", registers);
    out->has_pos_embed = vt_json_bool(args, "use_abs_pos_emb", variant->parts & TABLE);
    bool no_embed_class = vt_json_bool(args, "no_embed_class", variant->parts & PATCHES_ONLY);
    out->num_pos_prefix = no_embed_class || !out->has_pos_embed ? 0 : vt_config_num_prefix(out);
    out->pos_resize = VT_POS_RESIZE_BICUBIC_ANTIALIAS;
}

/* The Perception Encoder's attention pooling looks at the class token too, with 8 heads in all
 * sizes. */
static void configure_pooling(vt_vision_config *out, vt_timm *timm, const eva_variant *variant) {
    vt_timm_pooling(out, timm, variant->pooling);
    if (out->pooling == VT_POOL_MAP) {
        out->pool_heads = vt_json_size(&timm->args, "attn_pool_num_heads", 8);
        out->pool_prefix = true;
    }
}

/* The final norm moves behind the pooling where that is a mean, unless the arguments say otherwise.
 */
static void configure_norms(vt_vision_config *out, vt_timm *timm, const eva_variant *variant) {
    vt_json_reader *args = &timm->args;
    bool fc_norm = !(variant->parts & (NO_FC_NORM | NO_NORM)) && out->pooling == VT_POOL_AVG;
    out->pool_norm = vt_json_bool(args, "use_fc_norm", fc_norm);
    out->final_norm = vt_json_bool(args, "use_post_transformer_norm",
                                   !out->pool_norm && !(variant->parts & NO_NORM));
    out->pre_norm = vt_json_bool(args, "use_pre_transformer_norm", variant->parts & PRE_NORM);
    out->patch_bias = !out->pre_norm;
    if (vt_json_bool(args, "use_post_norm", variant->parts & BRANCH_NORM))
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
    configure_pooling(vision, timm, variant);
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
    {VT_PART_ROPE_FREQUENCIES, "@rope.freqs"},
    {VT_PART_PRE_NORM, "@norm_pre"},
    {VT_PART_NORM1, "@blocks.#.norm1"},
    /* its bias: attn_type "rope"; else none, or the next two */
    {VT_PART_QKV, "@blocks.#.attn.qkv"},
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
