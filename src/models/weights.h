/* SPDX-License-Identifier: MIT
 *
 * The weights of a model, bound from a checkpoint's tensors: converted to F32, matrices packed for gemm.
 */
#ifndef VT_MODELS_WEIGHTS_H
#define VT_MODELS_WEIGHTS_H

#include "models/family.h"
#include "nn/patch_embed.h"

typedef struct vt_weights {
    vt_patch_embed embed;
    const float *pos_embed; /* [num_pos_prefix + patches][width], or NULL */
    vt_norm pre_norm;
    vt_block *blocks;       /* [depth] */
    vt_norm norm;
    vt_pooler pooler;
    vt_dense head;          /* [num_classes][width]; no weight: no classifier */
    vt_dense head_distill;

    /* What is owned, and what became of the checkpoint. */
    void **owned;
    size_t num_owned, owned_capacity;
    size_t num_blocks;
    size_t bytes;           /* of all of the above */
    size_t num_parameters;  /* elements of the tensors that were bound */
    bool *used;             /* [tensors of the checkpoint] */
    vt_dtype dtype;         /* of the first block's first matrix */
} vt_weights;

/* Binds every part that the configuration calls for. A missing tensor, a wrong shape or a type that is not
 * float is an error that names file and tensor. On failure *out holds nothing. */
vt_status vt_weights_bind(vt_weights *out, const vt_config *config, const vt_family *family,
                          const vt_checkpoint *checkpoint, const vt_kernels *kernels, vt_error *err);
void vt_weights_free(vt_weights *weights);

/* Tells `log` of each tensor that the family does not know. */
void vt_weights_report_unused(const vt_weights *weights, const vt_family *family,
                              const vt_checkpoint *checkpoint, vt_log_fn log, void *log_user);

#endif
