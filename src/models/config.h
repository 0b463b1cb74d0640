/* SPDX-License-Identifier: MIT
 *
 * What a model is, once its configuration has been understood: plain numbers and choices, no names of
 * tensors and no weights. A family (models/family.h) fills it in, the rest of the library reads it.
 */
#ifndef VT_MODELS_CONFIG_H
#define VT_MODELS_CONFIG_H

#include "nn/encoder.h"
#include "nn/pooling.h"
#include "vision/preprocess.h"

typedef struct vt_config {
    const char *architecture; /* as the configuration names it; lives as long as its JSON */

    vt_encoder_config encoder;

    /* Input. The grid is image / patch_size, rounded down. */
    size_t image_height, image_width;
    size_t patch_size;
    bool patch_bias;

    /* Prefix tokens, in this order; the first num_pos_prefix have a row in the position table. */
    size_t num_class_tokens, num_distill_tokens, num_registers;
    size_t num_pos_prefix;
    bool has_pos_embed;
    vt_pos_resize pos_resize; /* the family's own rule, never AUTO */

    bool pre_norm;   /* a norm between the embeddings and the first block */
    bool final_norm; /* a norm after the last block */
    bool pool_norm;  /* a norm after pooling (timm's fc_norm) */

    vt_pooling_kind pooling;
    bool pool_prefix; /* means and maxima include the prefix tokens */
    bool tanh_pooler; /* ViTModel's dense + tanh after pooling */

    size_t num_classes; /* 0: no classifier */
    bool distill_head;  /* logits: the mean of two heads, on the class and the distillation token */
    bool multi_label;   /* scores are sigmoids */

    vt_preprocess preprocess;
} vt_config;

size_t vt_config_num_prefix(const vt_config *config);
size_t vt_config_num_patches(const vt_config *config); /* at the native size */

/* Every size is in range and fits with the others, so that the layers need not check: at least 1, at most
 * what a size_t can index once multiplied. `where` is the configuration's path. */
vt_status vt_config_check(const vt_config *config, const char *where, vt_error *err);

#endif
