/* SPDX-License-Identifier: MIT
 *
 * Pictures that keep their aspect (NaFlex: Dehghani et al. 2023, "Patch n' Pack"; SigLIP 2): each
 * has a grid of its own within a budget of patches, its own resized position table, and is padded
 * to the budget with patches that no token sees. Source: transformers 4.57,
 * models/siglip2/modeling_siglip2.py.
 */
#include <string.h>

#include "base/error.h"
#include "formats/image.h"
#include "models/session.h"
#include "vision/naflex.h"

bool vt_model_is_naflex(const vt_model *model) {
    return model->config.vision.naflex;
}

void vt_vision_fit_size(const vt_session *session, size_t full_height, size_t full_width,
                        size_t *height, size_t *width) {
    const vt_vision_config *config = &session->model->config.vision;
    vt_session_input_size(session, height, width);
    if (config->naflex)
        vt_naflex_size(height, width, full_height, full_width, config->run_patch_size,
                       session->vision.shape.num_patches);
}

vt_status vt_session_fit_size(const vt_session *session, const vt_image *image, size_t *height,
                              size_t *width, vt_error *err) {
    size_t full_height, full_width;
    if (!session->model->config.has_vision)
        return vt_fail(err, VT_ERR_UNSUPPORTED, "this model takes no pictures");
    vt_image_full_size(image, &full_height, &full_width);
    vt_vision_fit_size(session, full_height, full_width, height, width);
    return VT_OK;
}

vt_status vt_session_preprocess_to(const vt_session *session, float *pixels, const vt_image *image,
                                   size_t height, size_t width, vt_error *err) {
    return vt_preprocess_run(&session->model->config.preprocess, pixels, image, height, width,
                             session->model->kernels, err);
}

size_t vt_session_picture_floats(const vt_session *session) {
    size_t patch = session->model->config.vision.run_patch_size;
    return session->vision.shape.num_patches * 3 * patch * patch;
}

/* The table of a picture's grid, padded with its first row, as the reference pads it. */
static vt_status fill_positions(vt_session *session, size_t item, size_t grid_h, size_t grid_w,
                                vt_error *err) {
    size_t width = session->model->config.vision.encoder.width, real = grid_h * grid_w;
    size_t budget = session->vision.shape.num_patches;
    float *out = session->vision.item_pos + item * budget * width;
    const float *table = NULL;
    vt_status status = vt_pos_cache_get(session->model->positions, &table, grid_h, grid_w, err);
    if (status)
        return status;
    memcpy(out, table, real * width * sizeof *out);
    for (size_t row = real; row < budget; row++)
        memcpy(out + row * width, table, width * sizeof *out);
    memset(session->vision.item_mask + item * budget, 1, real);
    memset(session->vision.item_mask + item * budget + real, 0, budget - real);
    return VT_OK;
}

static vt_status forward(vt_session *session, const float *const *pixels, const size_t *heights,
                         const size_t *widths, size_t count, vt_error *err) {
    const vt_model *model = session->model;
    const vt_compute compute = vt_session_compute(session, session->vision.buffers.rounded);
    vt_vision_pass *pass = &session->vision;
    size_t width = model->config.vision.encoder.width, patch = model->config.vision.run_patch_size;
    size_t budget = pass->shape.num_patches;
    vt_status status = VT_OK;
    if (!model->config.vision.naflex)
        status = vt_fail(err, VT_ERR_UNSUPPORTED, "this model takes pictures of one size");
    if (!status)
        status = vt_vision_check_sizes(session, heights, widths, count, err);
    for (size_t i = 0; i < count && !status; i++)
        status = fill_positions(session, i, heights[i] / patch, widths[i] / patch, err);
    if (status)
        return status;
    pass->count = count;
    pass->mask = pass->item_mask;
    pass->lengths = NULL;
    vt_session_tell(session, "pos", pass->item_pos, count, budget, width);
    for (size_t i = 0; i < count; i++)
        vt_patch_embed_padded(&compute, &model->weights.vision.embed,
                              pass->buffers.x + i * budget * width, pixels[i], heights[i] / patch,
                              widths[i] / patch, budget, pass->item_pos + i * budget * width,
                              pass->buffers.columns);
    vt_vision_tell_tokens(session, "embeddings", pass->buffers.x, budget);
    vt_vision_finish(session);
    return VT_OK;
}

vt_status vt_session_forward_naflex(vt_session *session, const float *const *pixels,
                                    const size_t *heights, const size_t *widths, size_t count,
                                    vt_error *err) {
    vt_session_enter(session);
    return vt_session_leave(session, forward(session, pixels, heights, widths, count, err), err);
}
