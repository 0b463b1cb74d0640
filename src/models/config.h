/* SPDX-License-Identifier: MIT
 *
 * What a model is, once its configuration has been understood: plain numbers and choices, no names
 * of tensors and no weights. A family (models/family.h) fills it in, the rest of the library reads
 * it.
 */
#ifndef VT_MODELS_CONFIG_H
#define VT_MODELS_CONFIG_H

#include "nn/bias.h"
#include "nn/encoder.h"
#include "nn/pooling.h"
#include "vision/preprocess.h"

/* A tower that takes pictures. */
typedef struct vt_vision_config {
    vt_encoder_config encoder;

    /* Input, as trained. The grid is image / patch_size, rounded down. */
    size_t image_height, image_width;
    size_t input_height,
        input_width; /* what its own preprocessing makes, where that differs (DINOv2) */
    size_t patch_size;
    size_t run_patch_size; /* as run: patch_size, or what the caller wants (FlexiViT) */
    bool patch_bias;
    bool patch_channels_last; /* the patch layer is a linear one over [row][column][channel] */
    bool patch_is_linear;     /* or over [channel][row][column], as the convolution's */
    bool naflex; /* each picture keeps its aspect, within a budget of patches (SigLIP 2) */

    /* Prefix tokens, in this order; the first num_pos_prefix have a row in the position table. */
    size_t num_class_tokens, num_distill_tokens, num_registers;
    size_t num_pos_prefix;

    /* Positions; a model may have several kinds at once, or none. */
    bool has_pos_embed;
    bool pos_is_sincos;       /* MAE's: computed, as the checkpoint has no table */
    vt_pos_resize pos_resize; /* the family's own rule, never AUTO */
    bool has_rope;
    vt_rope2d_config rope;
    bool has_grid_bias;             /* BEiT's table of relative positions, in each block */
    vt_pos_resize grid_bias_resize; /* the family's own rule for that, never AUTO */

    bool patch_norm; /* a norm between the patch layer and the positions (AIMv2) */
    bool pre_norm;   /* a norm between the embeddings and the first block */
    bool final_norm; /* a norm after the last block */
    bool pool_norm;  /* a norm after pooling (timm's fc_norm, CLIP's post_layernorm) */

    vt_pooling_kind pooling;
    size_t pool_heads;      /* of the attention pooling; 0: as many as a block has */
    bool pool_prefix;       /* all tokens are pooled, not the patches alone */
    bool map_adds_to_token; /* attention pooling adds to the class token (nomic-embed-vision) */
    bool tanh_pooler;       /* ViTModel's dense + tanh after pooling */
} vt_vision_config;

/* Low-rank updates beside a tower's weights (Hu et al. 2022, "LoRA"), of which one is in force. */
typedef struct vt_lora {
    bool enabled;
    size_t count, adapter; /* of those that are stacked in each tensor, and which of them */
    size_t rank;
    float scale; /* alpha / rank */
} vt_lora;

/* What stands for a whole text. */
typedef enum vt_text_pooling {
    VT_TEXT_POOL_NONE = 0,
    VT_TEXT_POOL_FIRST, /* BERT's [CLS] */
    VT_TEXT_POOL_MEAN,  /* of the tokens that are no padding */
    VT_TEXT_POOL_LAST,  /* SigLIP */
    VT_TEXT_POOL_EOS,   /* the first end-of-text token (CLIP) */
    VT_TEXT_POOL_ARGMAX /* the token of the largest id (CLIP as first published) */
} vt_text_pooling;

/* A tower that takes tokens: a text encoder, or a language model. */
typedef struct vt_text_config {
    vt_encoder_config encoder;

    size_t vocab_size, max_positions;
    size_t num_token_types; /* a learned vector a type; 0: none */
    float embed_scale;      /* of token embeddings; 0 means 1 */

    bool has_pos_embed; /* a learned table of max_positions rows */
    bool has_sinusoids; /* Vaswani et al. 2017, computed */
    bool has_rope;
    vt_rope_config rope;
    double local_rope_theta; /* of the blocks with a window, where it differs; 0: the same */
    bool has_alibi;
    vt_alibi_order alibi_order;
    double alibi_max_bias;
    bool has_t5_bias;
    size_t t5_buckets, t5_max_distance;

    bool embed_norm;
    bool final_norm;

    vt_lora lora;

    vt_text_pooling pooling;
    int64_t eos_token; /* -1: none is named */
    size_t pad_length; /* texts are padded to it, without a mask (SigLIP); 0: they are not */
    int64_t pad_token;
    size_t pooler_width; /* of a linear layer after pooling (BERT, SigLIP); 0: there is none */
    vt_activation pooler_act;

    bool has_lm_head;
    bool tied_lm_head; /* logits from the token embeddings themselves */
} vt_text_config;

typedef struct vt_config {
    const char *architecture; /* as the configuration names it; lives as long as its JSON */

    bool has_vision, has_text;
    vt_vision_config vision;
    vt_text_config text;

    size_t num_classes; /* 0: no classifier */
    bool distill_head;  /* logits: the mean of two heads, on the class and distillation tokens */
    size_t head_blocks; /* the head takes the class tokens of the last so many blocks and the
                         * mean of the patch tokens (DINOv2); 0: the pooled vector */
    bool multi_label;   /* scores are sigmoids */

    size_t embed_dim; /* of the space that pictures and text share; 0: there is none */
    bool vision_projection, text_projection;
    bool vision_projection_bias, text_projection_bias;
    bool has_logit_bias; /* SigLIP: and scores of pairs are sigmoids */

    vt_preprocess preprocess;
} vt_config;

/* Of what stands for a whole text. */
size_t vt_config_pooled_width(const vt_text_config *config);

size_t vt_config_num_prefix(const vt_vision_config *config);

/* The size of a picture that nobody gives another: input_height x input_width, else the native one.
 */
void vt_config_input_size(const vt_vision_config *config, size_t *height, size_t *width);

/* Rows and columns of patches at the native size, and their product. */
void vt_config_native_grid(const vt_vision_config *config, size_t *grid_h, size_t *grid_w);
size_t vt_config_num_patches(const vt_vision_config *config);

/* Every size is in range and fits with the others, so that the layers need not check: at least 1,
 * at most what a size_t can index once multiplied. `where` is the configuration's path. */
vt_status vt_config_check(const vt_config *config, const char *where, vt_error *err);

#endif
