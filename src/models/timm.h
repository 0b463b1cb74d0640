/* SPDX-License-Identifier: MIT
 *
 * What the configurations of timm on the hub have in common: config.json names an architecture
 * and the arguments that differ from it (timm 1.0.28, models/_hub.py:
 * load_model_config_from_hf); what neither says is read off the tensors. /
 */
#ifndef VT_MODELS_TIMM_H
#define VT_MODELS_TIMM_H

#include "formats/checkpoint.h"
#include "formats/json.h"
#include "models/config.h"
#include "models/family.h"

typedef struct vt_timm {
    const vt_checkpoint *checkpoint;
    const char *prefix; /* of the tensors: "" but where the model is inside another */
    const char *architecture;
    vt_json_reader config;     /* the file itself */
    vt_json_reader args;       /* its "model_args" */
    vt_json_reader pretrained; /* its "pretrained_cfg"; an old file has the two side by side */
} vt_timm;

/* The architecture that a configuration names; "" when it names none. */
const char *vt_timm_architecture(const json_t *config);

vt_timm vt_timm_of(const vt_checkpoint *checkpoint, vt_error *err);

/* Size of a tensor along one axis; 0 when there is no such tensor or axis. */
size_t vt_timm_dim(const vt_timm *timm, const char *name, size_t axis);
bool vt_timm_has_tensor(const vt_timm *timm, const char *name);

/* The image size: img_size, an argument; else the pretrained input_size. And the patch size. */
void vt_timm_image(vt_vision_config *out, vt_timm *timm);

/* Channels of a token. */
size_t vt_timm_width(vt_timm *timm);

/* All of the encoder but the norm's epsilon. Width, depth and the kind of MLP are the tensors'
 * to tell; heads and activation are not: `num_heads` and `activation` are the architecture's. */
void vt_timm_encoder(vt_encoder_config *out, vt_timm *timm, size_t num_heads,
                     const char *activation);

/* "global_pool", an argument; else the architecture's. */
void vt_timm_pooling(vt_vision_config *out, vt_timm *timm, const char *fallback);

/* Classes and preprocessing; then the first error of all the readers. */
vt_status vt_timm_finish(vt_config *out, vt_timm *timm, vt_error *err);

/* The two classes that OpenCLIP has inside (family_timm_vit.c, family_timm_eva.c): whether an
 * architecture is of that class, its tower without classes and preprocessing, and the names of its
 * tensors. */
bool vt_timm_is_vit(const char *architecture);
void vt_timm_vit_tower(vt_config *out, vt_timm *timm);
extern const vt_tensor_name vt_timm_vit_names[];
bool vt_timm_is_eva(const char *architecture);
void vt_timm_eva_tower(vt_config *out, vt_timm *timm);
extern const vt_tensor_name vt_timm_eva_names[];

#endif
