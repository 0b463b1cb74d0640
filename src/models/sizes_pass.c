/* SPDX-License-Identifier: MIT
 *
 * A forward pass over pictures of several sizes. All linear layers see one run of tokens; only the
 * attention and the pooling know where a picture ends.
 */
#include "base/error.h"
#include "models/session.h"

static vt_status check_model(const vt_session *session, vt_error *err) {
    const vt_config *config = &session->model->config;
    const vt_vision_config *vision = &config->vision;
    if (!config->has_vision)
        return vt_fail(err, VT_ERR_UNSUPPORTED, "this model takes no pictures");
    if (vision->naflex || vision->has_rope || vision->has_grid_bias || config->head_blocks)
        return vt_fail(err, VT_ERR_UNSUPPORTED,
                       "pictures of several sizes in one pass: not with %s",
                       vision->naflex          ? "a NaFlex model"
                       : vision->has_rope      ? "rotary positions"
                       : vision->has_grid_bias ? "relative position biases"
                                               : "a head that reads several blocks");
    if (session->vision.features || session->vision.shape.merge)
        return vt_fail(err, VT_ERR_UNSUPPORTED,
                       "pictures of several sizes in one pass: not in a session with %s",
                       session->vision.features ? "features" : "merge");
    return VT_OK;
}

/* x from row `first` on = the embeddings of one picture; how many they are goes to item_tokens. */
static vt_status embed_picture(vt_session *session, const vt_compute *compute, size_t item,
                               size_t first, const float *pixels, size_t height, size_t width,
                               vt_error *err) {
    const vt_model *model = session->model;
    const vt_vision_config *config = &model->config.vision;
    vt_vision_pass *pass = &session->vision;
    size_t grid_h = height / config->run_patch_size, grid_w = width / config->run_patch_size;
    const float *pos = NULL;
    if (model->positions) {
        vt_status status = vt_pos_cache_get(model->positions, &pos, grid_h, grid_w, err);
        if (status)
            return status;
    }
    vt_patch_embed_forward(compute, &model->weights.vision.embed,
                           pass->buffers.x + first * config->encoder.width, pixels, 1, grid_h,
                           grid_w, pos, pass->buffers.columns);
    pass->item_tokens[item] = vt_config_num_prefix(config) + grid_h * grid_w;
    return VT_OK;
}

static vt_status forward(vt_session *session, const float *const *pixels, const size_t *heights,
                         const size_t *widths, size_t count, vt_error *err) {
    const vt_vision_weights *weights = &session->model->weights.vision;
    const vt_compute compute = vt_session_compute(session, session->vision.buffers.rounded);
    vt_vision_pass *pass = &session->vision;
    size_t width = session->model->config.vision.encoder.width, rows = 0;
    vt_status status = check_model(session, err);
    if (!status)
        status = vt_vision_check_sizes(session, heights, widths, count, err);
    for (size_t i = 0; i < count && !status; i++) {
        status = embed_picture(session, &compute, i, rows, pixels[i], heights[i], widths[i], err);
        rows += status ? 0 : pass->item_tokens[i];
    }
    if (status)
        return status;
    float *x = pass->buffers.x;
    vt_norm_forward(&compute, &weights->pre_norm, x, width, x, width, rows, width);
    pass->count = count;
    pass->mask = NULL;
    pass->lengths = pass->item_tokens;
    vt_vision_finish(session);
    return VT_OK;
}

vt_status vt_session_forward_sizes(vt_session *session, const float *const *pixels,
                                   const size_t *heights, const size_t *widths, size_t count,
                                   vt_error *err) {
    vt_session_enter(session);
    return vt_session_leave(session, forward(session, pixels, heights, widths, count, err), err);
}
