/* SPDX-License-Identifier: MIT
 *
 * What the configurations on the Hugging Face hub have in common, those of transformers above all.
 */
#ifndef VT_MODELS_HUB_H
#define VT_MODELS_HUB_H

#include "formats/checkpoint.h"
#include "formats/json.h"
#include "models/config.h"

/* The first of "architectures", or "model_type". */
const char *vt_hub_architecture(const json_t *config);
bool vt_hub_is_architecture(const json_t *config, const char *name);

/* "num_labels", or the entries of "id2label", or transformers' default of 2. */
size_t vt_hub_num_labels(const json_t *config);
/* "eos_token_id", the first where there are several; -1 where it is not named. */
int64_t vt_hub_eos_token(const json_t *config);

bool vt_hub_is_multi_label(const json_t *config);

/* Whether the checkpoint holds a language model with its head, not the bare trunk. */
bool vt_hub_has_lm_head(const vt_checkpoint *checkpoint);

/* What a configuration class has where a file leaves a key out. */
typedef struct vt_hub_defaults {
    size_t width, depth, num_heads, mlp_dim; /* mlp_dim 0: 4 * width */
    const char *activation;
    double norm_eps;
} vt_hub_defaults;

/* What a family calls them. NULL: it has no such key. */
typedef struct vt_hub_keys {
    const char *width, *depth, *num_heads, *mlp_dim, *activation, *norm_eps;
    const char *head_dim; /* NULL or absent: width / num_heads */
} vt_hub_keys;

/* hidden_size, num_hidden_layers, num_attention_heads, intermediate_size, hidden_act and
 * layer_norm_eps; LayerNorm, norm first. */
void vt_hub_encoder_config(vt_encoder_config *out, vt_json_reader *reader,
                           const vt_hub_defaults *defaults);

/* The same under other names. Without a key for it the activation is left to the caller. */
void vt_hub_encoder_config_named(vt_encoder_config *out, vt_json_reader *reader,
                                 const vt_hub_keys *keys, const vt_hub_defaults *defaults);

/* image_size and patch_size; the patch layer has a bias. */
void vt_hub_image_config(vt_vision_config *out, vt_json_reader *reader, size_t image_size,
                         size_t patch_size);

/* The activation of that name in transformers (ACT2FN) or timm; an error names `key`. */
vt_activation vt_hub_activation(vt_json_reader *reader, const char *key, const char *fallback);

/* preprocessor_config.json; where there is none, the defaults of the family's image processor. */
vt_status vt_hub_preprocess(vt_preprocess *out, const vt_checkpoint *checkpoint,
                            const char *default_processor, vt_error *err);

#endif
