/* SPDX-License-Identifier: MIT
 *
 * A family of models is one const descriptor: how its configuration is recognised and read, and what its
 * tensors are called. Nothing else in the library knows of families.
 */
#ifndef VT_MODELS_FAMILY_H
#define VT_MODELS_FAMILY_H

#include "formats/checkpoint.h"
#include "models/config.h"

/* The parts of a model that tensors are bound to. A linear layer or norm owns NAME.weight and NAME.bias,
 * a bare parameter is NAME itself. */
typedef enum vt_part {
    VT_PART_NONE = 0, /* ends a table */
    /* bare parameters */
    VT_PART_CLASS_TOKEN,
    VT_PART_DISTILL_TOKEN,
    VT_PART_REGISTERS,
    VT_PART_POS_EMBED,
    VT_PART_SCALE1,
    VT_PART_SCALE2,
    VT_PART_MAP_PROBE,
    /* linear layers */
    VT_PART_PATCH,
    VT_PART_QKV,
    VT_PART_Q,
    VT_PART_K,
    VT_PART_V,
    VT_PART_PROJ,
    VT_PART_FC1,
    VT_PART_FC2,
    VT_PART_MAP_Q,
    VT_PART_MAP_KV,
    VT_PART_MAP_PROJ,
    VT_PART_MAP_FC1,
    VT_PART_MAP_FC2,
    VT_PART_POOLER,
    VT_PART_HEAD,
    VT_PART_HEAD_DISTILL,
    /* norms */
    VT_PART_PRE_NORM,
    VT_PART_NORM1,
    VT_PART_Q_NORM,
    VT_PART_K_NORM,
    VT_PART_ATTN_NORM,
    VT_PART_NORM2,
    VT_PART_MLP_NORM,
    VT_PART_NORM,
    VT_PART_POOL_NORM,
    VT_PART_MAP_K_NORM,
    VT_PART_MAP_NORM,
    VT_PART_COUNT
} vt_part;

/* '#' in a name stands for the number of the block, '@' for the family's prefix ("vit." in a model with a
 * head, nothing in a bare one). A part may have several names; the first that the checkpoint has counts. */
typedef struct vt_tensor_name {
    vt_part part;
    const char *name;
} vt_tensor_name;

typedef struct vt_family {
    const char *name; /* for people: "timm VisionTransformer" */

    /* Is this configuration of this family? */
    bool (*matches)(const json_t *config);

    /* Reads config.json, and the checkpoint's tensors where the configuration leaves something to them.
     * The preprocessing may be read from other files of the checkpoint. */
    vt_status (*configure)(vt_config *out, const vt_checkpoint *checkpoint, vt_error *err);

    const vt_tensor_name *tensor_names; /* ends with VT_PART_NONE */
    const char *const *prefixes;        /* what '@' may stand for, ends with NULL; or NULL */
    const char *const *ignored;         /* prefixes of tensors that inference does not need, or NULL */
} vt_family;

/* The family of a configuration; VT_ERR_UNSUPPORTED says what was found and what is supported. */
vt_status vt_family_find(const vt_family **out, const vt_checkpoint *checkpoint, vt_error *err);

/* Whether the checkpoint has a tensor of that exact name, and its size along one axis (0: no such). */
size_t vt_checkpoint_dim(const vt_checkpoint *checkpoint, const char *name, size_t axis);

extern const vt_family vt_family_timm_vit;
extern const vt_family vt_family_hf_vit;

#endif
