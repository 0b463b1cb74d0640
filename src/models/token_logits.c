/* SPDX-License-Identifier: MIT
 *
 * The classifier at each token, in the place of the pooled vector.
 */
#include "base/error.h"
#include "models/session.h"

static vt_status check(const vt_session *session, size_t index, vt_error *err) {
    const vt_config *config = &session->model->config;
    const vt_pooler *pooler = &session->model->weights.vision.pooler;
    if (!config->has_vision || !config->num_classes)
        return vt_fail(err, VT_ERR_UNSUPPORTED, "the model has no classifier");
    if (config->head_blocks)
        return vt_fail(err, VT_ERR_UNSUPPORTED,
                       "the classifier reads several blocks: no token alone has logits");
    if (pooler->kind == VT_POOL_MAP || pooler->dense.weight.panels)
        return vt_fail(err, VT_ERR_UNSUPPORTED,
                       "the classifier reads no mean or choice of tokens: none alone has logits");
    if (!session->vision.features)
        return vt_fail(err, VT_ERR_UNSUPPORTED, "the session was created without `features`");
    if (index >= session->vision.count)
        return vt_fail(err, VT_ERR_ARGUMENT, "picture %zu of a pass of %zu", index,
                       session->vision.count);
    return VT_OK;
}

static vt_status classify_tokens(vt_session *session, float *logits, size_t index, vt_error *err) {
    vt_status status = check(session, index, err);
    if (status)
        return status;
    const vt_weights *weights = &session->model->weights;
    const vt_vision_buffers *b = &session->vision.buffers;
    const vt_compute compute = vt_session_compute(session, b->rounded);
    size_t width = session->model->config.vision.encoder.width;
    size_t n = session->model->config.num_classes, tokens = session->vision.tokens;
    const vt_norm *norm = &weights->vision.pooler.norm;
    float *normed = b->encoder.normed;
    vt_norm_forward(&compute, norm, normed, width, b->x + index * tokens * width, width, tokens,
                    width);
    vt_dense_forward(&compute, &weights->head, logits, n, normed, width, tokens, (vt_epilogue){0});
    if (session->model->config.distill_head) {
        vt_dense_forward(&compute, &weights->head_distill, logits, n, normed, width, tokens,
                         (vt_epilogue){.residual = logits});
        compute.kernels->scale(logits, 0.5f, tokens * n);
    }
    return VT_OK;
}

vt_status vt_session_token_logits(vt_session *session, float *logits, size_t index, vt_error *err) {
    vt_session_enter(session);
    return vt_session_leave(session, classify_tokens(session, logits, index, err), err);
}
