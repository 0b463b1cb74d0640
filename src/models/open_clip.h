/* SPDX-License-Identifier: MIT
 *
 * What OpenCLIP's models have in common, whichever tower of pictures they have: its own
 * (family_open_clip.c) or one of timm's (family_open_clip_timm.c). Source: open_clip 3.3,
 * src/open_clip/model.py, transformer.py, transform.py, tokenizer.py.
 */
#ifndef VT_MODELS_OPEN_CLIP_H
#define VT_MODELS_OPEN_CLIP_H

#include "formats/json.h"
#include "models/family.h"

/* "vision_cfg" of open_clip_config.json; NULL where that is no such file. */
const json_t *vt_open_clip_vision(const json_t *config);

/* The activation of both towers: exact GELU unless "quick_gelu" is set. */
vt_activation vt_open_clip_activation(const json_t *config);

/* Sets the status where a key is there and says neither null, false nor `plain`, CLIP's own value
 * where that is a string. */
void vt_open_clip_refuse(vt_json_reader *r, const char *key, const char *plain);
/* The same for all that makes a block another than CLIP's. */
void vt_open_clip_refuse_blocks(vt_json_reader *r);

/* width, layers, mlp_ratio, heads or head_width, norm_kwargs, act_kwargs. */
void vt_open_clip_encoder(vt_encoder_config *out, vt_json_reader *r, size_t default_width,
                          size_t default_heads, vt_activation activation);

/* The tower of texts, the space that both share, and the preprocessing, for a configuration whose
 * tower of pictures is there. */
vt_status vt_open_clip_finish(vt_config *out, const vt_checkpoint *checkpoint, vt_error *err);

/* Of the tower of texts, and of the logits of pairs. */
extern const vt_tensor_name vt_open_clip_text_names[];
extern const char *const vt_open_clip_ignored[];

/* OpenCLIP's evaluation transform: resize_mode, interpolation, mean and std of `cfg`, which may be
 * NULL. `where` is the configuration's path. */
vt_status vt_open_clip_preprocess(vt_preprocess *out, const json_t *cfg, size_t height,
                                  size_t width, const char *where, vt_error *err);

#endif
