/* SPDX-License-Identifier: MIT
 *
 * The weights of a model, bound from a checkpoint's tensors: vectors and tables in F32, matrices
 * packed for gemm.
 */
#ifndef VT_MODELS_WEIGHTS_H
#define VT_MODELS_WEIGHTS_H

#include "kernels/backend.h"
#include "models/family.h"
#include "nn/patch_embed.h"

typedef struct vt_vision_weights {
    vt_patch_embed embed;
    const float *pos_embed;        /* [num_pos_prefix + patches][width], or NULL */
    const float *rope_frequencies; /* RoPE-mixed: [x, y][depth][num_heads][pairs], or NULL */
    const float **grid_biases; /* [depth][(2 grid_h - 1)(2 grid_w - 1) + 3][num_heads], or NULL */
    vt_norm pre_norm;
    vt_block *blocks; /* [depth] */
    vt_norm norm;
    vt_pooler pooler;
    vt_dense projection; /* [embed_dim][width], or no weight */
} vt_vision_weights;

typedef struct vt_text_weights {
    const float *tokens;       /* [vocab_size][width] */
    const float *token_types;  /* [num_token_types][width], or NULL */
    const float *pos_embed;    /* [max_positions][width], or NULL */
    const float *alibi_slopes; /* [num_heads], or NULL */
    const float *t5_bias;      /* [buckets][num_heads], or NULL */
    vt_norm embed_norm;
    vt_block *blocks; /* [depth] */
    vt_norm norm;
    vt_dense pooler;     /* [width][width], or no weight */
    vt_dense projection; /* [embed_dim][width], or no weight */
    vt_dense lm_head;    /* [vocab_size][width], or no weight */
} vt_text_weights;

/* What matrices are kept as: the caller's wish. */
typedef enum vt_precision {
    VT_PRECISION_STORED, /* as the checkpoint has them */
    VT_PRECISION_F32,
    VT_PRECISION_F16,
    VT_PRECISION_BF16,
    VT_PRECISION_INT8 /* those of the blocks; the others as the checkpoint has them */
} vt_precision;

/* "int8" and its like; NULL is VT_PRECISION_STORED. VT_ERR_ARGUMENT for anything else. */
vt_status vt_precision_parse(vt_precision *out, const char *name, vt_error *err);
const char *vt_precision_name(vt_precision precision); /* NULL for VT_PRECISION_STORED */
const char *vt_storage_name(vt_storage storage);

/* A matrix: a copy of what a layer has, for whoever frees or packs it. */
typedef struct vt_matrix {
    vt_packed packed;
    bool owned; /* false: part of a packed file */
} vt_matrix;

typedef struct vt_weights {
    vt_vision_weights vision;
    vt_text_weights text;
    vt_dense head; /* [num_classes][width]; no weight: no classifier */
    vt_dense head_distill;
    float logit_scale; /* logits of pairs = exp(logit_scale) cos + logit_bias */
    float logit_bias;

    /* What is owned, and what became of the checkpoint. */
    void **owned;
    size_t num_owned, owned_capacity;
    size_t bytes;          /* of all of the above and below */
    size_t row_scratch;    /* the most that vt_linear wants for a row of X */
    size_t num_parameters; /* elements of the tensors that were bound */
    bool *used;            /* [tensors of the checkpoint] */
    bool *loaded;          /* likewise: its values were read, not only packed */
    vt_matrix *matrices;   /* in the order of binding */
    size_t num_matrices, matrix_capacity;
    vt_dtype dtype;            /* of a block's matrix in the checkpoint */
    vt_storage storage;        /* what it is kept as */
    const vt_backend *backend; /* who multiplies it */
} vt_weights;

/* Binds every part that the configuration calls for, packing over the pool; a backend is for the
 * matrices of blocks. A missing tensor, a
 * wrong shape or a type that is not float is an error that names file and tensor. On failure *out
 * holds nothing. */
vt_status vt_weights_bind(vt_weights *out, const vt_config *config, const vt_family *family,
                          const vt_checkpoint *checkpoint, const vt_kernels *kernels,
                          vt_precision precision, const vt_backend_choice *backend, vt_pool *pool,
                          vt_error *err);
void vt_weights_free(vt_weights *weights);

/* Tells `log` of each tensor that the family does not know. */
void vt_weights_report_unused(const vt_weights *weights, const vt_family *family,
                              const vt_checkpoint *checkpoint, vt_log_fn log, void *log_user);

#endif
