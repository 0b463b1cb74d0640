/* SPDX-License-Identifier: MIT
 *
 * Rotary positions as configurations of transformers describe them, and as a user asks for them.
 */
#ifndef VT_MODELS_ROPE_CONFIG_H
#define VT_MODELS_ROPE_CONFIG_H

#include "formats/json.h"
#include "nn/rope.h"

/* What a configuration class has where a file leaves a key out. */
typedef struct vt_rope_defaults {
    double theta;
    double partial_factor; /* of a head's channels that are rotated; 0: all */
    size_t max_positions;  /* 0: 2048 */
} vt_rope_defaults;

/* Reads max_position_embeddings, and rope_theta, partial_rotary_factor and the scaling from
 * "rope_scaling" and the configuration's root (transformers 4; the rule is "rope_type", "type" in
 * older files) or from "rope_parameters" (transformers 5). Pairs are of halves. Numbers that a rule
 * can't work with are errors. */
void vt_rope_config_read(vt_rope_config *out, vt_json_reader *reader, size_t head_dim,
                         const vt_rope_defaults *defaults);

/* Replaces the scaling by one that a user wrote: "none", "linear:4", "ntk:2", "dynamic:4" or
 * "yarn:4". VT_ERR_ARGUMENT says what was expected. */
vt_status vt_rope_config_override(vt_rope_config *config, const char *text, vt_error *err);

#endif
