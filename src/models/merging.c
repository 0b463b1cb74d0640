/* SPDX-License-Identifier: MIT
 *
 * Which models' tokens can be merged, and how many are left.
 */
#include "base/error.h"
#include "models/session.h"

/* What of a model stands against merging its tokens, or NULL. A merged token stands in no one
 * place, so that nothing behind the embeddings may depend on places; and it stands for several
 * tokens, which a maximum does not weigh. */
static const char *obstacle(const vt_config *config) {
    const vt_vision_config *vision = &config->vision;
    if (!config->has_vision)
        return "it takes no pictures";
    if (vision->has_rope)
        return "its positions are rotary";
    if (vision->has_grid_bias)
        return "its attention depends on relative positions";
    if (vision->naflex)
        return "its pictures are padded to one length (NaFlex)";
    if (vision->encoder.window || vision->encoder.causal)
        return "its tokens do not all see one another";
    if (vision->encoder.order != VT_NORM_FIRST)
        return "its blocks do not begin with their norms";
    if (vision->pooling == VT_POOL_MAX || vision->pooling == VT_POOL_AVG_MAX)
        return "its pooling takes a maximum";
    return NULL;
}

vt_status vt_vision_check_merge(const vt_config *config, size_t pairs, vt_error *err) {
    const char *why = pairs ? obstacle(config) : NULL;
    return why ? vt_fail(err, VT_ERR_UNSUPPORTED, "this model's tokens can't be merged: %s", why)
               : VT_OK;
}

size_t vt_vision_tokens_after(const vt_config *config, const vt_vision_shape *shape,
                              size_t blocks) {
    size_t tokens = shape->num_tokens;
    for (size_t i = 0; i < blocks; i++)
        tokens -= vt_merge_count(shape->merge, vt_config_num_prefix(&config->vision), tokens);
    return tokens;
}
