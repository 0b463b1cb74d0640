/* SPDX-License-Identifier: MIT
 *
 * A family of models is one const descriptor: how its configuration is recognised and read, and
 * what its tensors are called. Nothing else in the library knows of families.
 */
#ifndef VT_MODELS_FAMILY_H
#define VT_MODELS_FAMILY_H

#include "formats/checkpoint.h"
#include "models/config.h"

/* The parts of a model that tensors are bound to. Of a linear layer or norm the table has the NAME
 * that NAME.weight and NAME.bias begin with (or NAME_ of NAME_weight and NAME_bias); of a bare
 * parameter the whole name. */
typedef enum vt_part {
    VT_PART_NONE = 0, /* ends a table */
    /* bare parameters */
    VT_PART_CLASS_TOKEN,
    VT_PART_DISTILL_TOKEN,
    VT_PART_REGISTERS,
    VT_PART_POS_EMBED,
    VT_PART_TOKEN_EMBED,
    VT_PART_TOKEN_TYPES,
    VT_PART_T5_BIAS,
    VT_PART_ROPE_FREQUENCIES, /* RoPE-mixed's, of all blocks */
    VT_PART_GRID_BIAS,
    VT_PART_GRID_BIAS_SHARED, /* one table for all blocks, added to their own where they have any */
    VT_PART_Q_BIAS,           /* of a fused qkv whose key has none (BEiT, EVA-02) */
    VT_PART_V_BIAS,
    VT_PART_SCALE1,
    VT_PART_SCALE2,
    VT_PART_MAP_PROBE,
    VT_PART_PROJECTION_MATRIX, /* VT_PART_PROJECTION, stored [in][out] */
    VT_PART_LOGIT_SCALE,
    VT_PART_LOGIT_BIAS,
    /* linear layers */
    VT_PART_PATCH,
    VT_PART_QKV,
    VT_PART_Q,
    VT_PART_K,
    VT_PART_V,
    VT_PART_PROJ,
    VT_PART_FC1,
    VT_PART_FC1_GATE, /* a gated MLP's first layer, as two tensors */
    VT_PART_FC1_VALUE,
    VT_PART_FC2,
    VT_PART_MAP_QKV, /* fused: its first third makes the query */
    VT_PART_MAP_Q,
    VT_PART_MAP_KV,
    VT_PART_MAP_PROJ,
    VT_PART_MAP_FC1,
    VT_PART_MAP_FC1_GATE,
    VT_PART_MAP_FC1_VALUE,
    VT_PART_MAP_FC2,
    VT_PART_POOLER,
    VT_PART_PROJECTION, /* into the space that pictures and text share */
    VT_PART_HEAD,
    VT_PART_HEAD_DISTILL,
    VT_PART_LM_HEAD,
    /* norms; all that follows is one */
    VT_PART_PRE_NORM,
    VT_PART_PATCH_NORM,
    VT_PART_NORM1,
    VT_PART_Q_NORM,
    VT_PART_K_NORM,
    VT_PART_ATTN_NORM,
    VT_PART_NORM2,
    VT_PART_MLP_NORM,
    VT_PART_NORM,
    VT_PART_POOL_NORM,
    VT_PART_MAP_NORM
} vt_part;

/* '#' in a name stands for the number of the block, '@' for the family's prefix ("vit." in a model
 * with a head, nothing in a bare one). A part may have several names; the first that the checkpoint
 * has counts. */
typedef struct vt_tensor_name {
    vt_part part;
    const char *name;
} vt_tensor_name;

/* How a fused qkv's rows lie. */
typedef enum vt_qkv_layout {
    VT_QKV_BY_KIND = 0, /* all of q, all of k, all of v */
    VT_QKV_BY_HEAD      /* q, k and v of head 0, of head 1, … (BLOOM, GPT-NeoX) */
} vt_qkv_layout;

typedef struct vt_family {
    const char *name; /* for people: "timm VisionTransformer" */

    /* Is this configuration of this family? */
    bool (*matches)(const json_t *config);

    /* Reads config.json, and the checkpoint's tensors where the configuration leaves something to
     * them. The preprocessing may be read from other files of the checkpoint. */
    vt_status (*configure)(vt_config *out, const vt_checkpoint *checkpoint, vt_error *err);

    const vt_tensor_name *vision_names; /* ends with VT_PART_NONE; NULL: no vision tower */
    const vt_tensor_name *text_names;   /* likewise */
    const char *const *prefixes;        /* what '@' may stand for, ends with NULL; or NULL */
    const char *const *ignored; /* what tensors that inference does not need begin with, or end
                                 * with after a "*"; ends with NULL; or NULL */
    vt_qkv_layout qkv_layout;
    bool conv1d_weights; /* linear layers are stored [in][out] (GPT-2) */
} vt_family;

/* The family of a configuration; VT_ERR_UNSUPPORTED says what was found and what is supported. */
vt_status vt_family_find(const vt_family **out, const vt_checkpoint *checkpoint, vt_error *err);

/* Size of the tensor of that exact name along one axis; 0 when there is no such tensor or axis. */
size_t vt_checkpoint_dim(const vt_checkpoint *checkpoint, const char *name, size_t axis);

extern const vt_family vt_family_timm_vit;
extern const vt_family vt_family_timm_eva;
extern const vt_family vt_family_timm_beit;
extern const vt_family vt_family_hf_vit;
extern const vt_family vt_family_hf_dinov2;
extern const vt_family vt_family_meta_dinov2;
extern const vt_family vt_family_hf_dinov3;
extern const vt_family vt_family_hf_beit;
extern const vt_family vt_family_clip;
extern const vt_family vt_family_siglip;
extern const vt_family vt_family_open_clip;
extern const vt_family vt_family_open_clip_timm_vit;
extern const vt_family vt_family_open_clip_timm_eva;
extern const vt_family vt_family_jina_clip;
extern const vt_family vt_family_nomic_vision;
extern const vt_family vt_family_bert;
extern const vt_family vt_family_jina_bert;
extern const vt_family vt_family_nomic_bert;
extern const vt_family vt_family_modernbert;
extern const vt_family vt_family_t5;
extern const vt_family vt_family_gpt2;
extern const vt_family vt_family_llama;
extern const vt_family vt_family_gpt_neox;
extern const vt_family vt_family_bloom;
extern const vt_family vt_family_mpt;
extern const vt_family vt_family_byte_lm;

#endif
