/* SPDX-License-Identifier: MIT
 *
 * What vt_model is made of. Only this folder looks inside.
 */
#ifndef VT_MODELS_MODEL_H
#define VT_MODELS_MODEL_H

#include "models/labels.h"
#include "models/weights.h"
#include "nn/position.h"

struct vt_model {
    char *path;
    vt_checkpoint *checkpoint;
    const vt_family *family;
    const vt_kernels *kernels;
    vt_precision precision; /* that was asked for */
    vt_config config;
    vt_weights weights;
    vt_labels labels;
    vt_pos_resize pos_resize;       /* in force: the caller's, else the family's */
    vt_pos_resize grid_bias_resize; /* likewise */
    vt_pos_cache *positions; /* NULL: no learned table. The one thing that fills up in use. */
};

/* The nearest whole number of patches, at least one. */
size_t vt_model_round_to_patches(const vt_model *model, size_t pixels);

#endif
