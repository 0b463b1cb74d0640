/* SPDX-License-Identifier: MIT
 *
 * What a forward pass needs is measured, allocated as one block and carved when the session is
 * created; running allocates nothing.
 */
#include "models/session.h"

#include <math.h>

#include "base/error.h"
#include "base/options.h"

static vt_status create_vision(vt_session *session, const vt_session_options *options,
                               vt_error *err) {
    vt_vision_shape shape;
    vt_status status = vt_vision_find_shape(&shape, session->model, options, err);
    if (!status)
        status = vt_vision_create(&session->vision, session->model, &shape,
                                  vt_pool_size(session->pool), err);
    session->vision.features = options->features;
    return status;
}

static vt_status create(vt_session *session, const vt_session_options *options, vt_error *err) {
    const vt_config *config = &session->model->config;
    bool wants_text = options->text_tokens || options->text_batch || !config->has_vision;
    vt_status status = VT_OK;
    session->pool = options->threads;
    session->owns_pool = !options->threads;
    if (session->owns_pool)
        status = vt_pool_create(&session->pool, options->num_threads, err);
    if (!status && !config->has_vision)
        status = vt_vision_check_merge(config, options->merge, err);
    if (!status && config->has_vision)
        status = create_vision(session, options, err);
    if (!status && config->has_text && wants_text)
        status = vt_text_create(&session->text, session->model, options,
                                vt_pool_size(session->pool), err);
    return status;
}

vt_status vt_session_create(vt_session **out, const vt_model *model,
                            const vt_session_options *options, vt_error *err) {
    vt_session_options full;
    *out = NULL;
    vt_status status = vt_options_take(&full, sizeof full, options, "vt_session_options", err);
    if (status)
        return status;
    vt_session *session = vt_calloc(1, sizeof *session);
    if (!session)
        return vt_fail_memory(err, "a session", sizeof *session);
    session->model = model;
    status = create(session, &full, err);
    if (status) {
        vt_session_destroy(session);
        return status;
    }
    *out = session;
    return VT_OK;
}

void vt_session_destroy(vt_session *session) {
    if (!session)
        return;
    vt_text_destroy(&session->text);
    vt_frame_run_destroy(session->frames);
    vt_vision_destroy(&session->vision);
    if (session->owns_pool)
        vt_pool_destroy(session->pool);
    vt_free(session);
}

/* ---- stages ------------------------------------------------------------------------------------
 */

void vt_session_on_stage(vt_session *session, vt_stage_fn fn, void *user) {
    session->on_stage = fn;
    session->stage_user = user;
}

void vt_session_tell(const vt_session *session, const char *name, const float *data, size_t count,
                     size_t rows, size_t columns) {
    if (!session->on_stage)
        return;
    vt_tensor stage = {.name = name, .dtype = VT_DTYPE_F32, .data = data};
    stage.shape[stage.ndim++] = count;
    if (rows)
        stage.shape[stage.ndim++] = rows;
    stage.shape[stage.ndim++] = columns;
    stage.size = count * (rows ? rows : 1) * columns * sizeof(float);
    session->on_stage(session->stage_user, &stage);
}

/* ---- shared by both passes ---------------------------------------------------------------------
 */

float *vt_take_floats(vt_arena *arena, size_t rows, size_t columns) {
    size_t floats = 0;
    if (!vt_mul_size(rows, columns, &floats))
        arena->overflow = true;
    return vt_arena_take(arena, floats, sizeof(float));
}

void *vt_take_rounded(vt_arena *arena, const vt_weights *weights, size_t rows) {
    size_t bytes = 0;
    if (!vt_mul_size(rows, weights->row_scratch, &bytes))
        arena->overflow = true;
    return vt_arena_take(arena, bytes, 1);
}

vt_compute vt_session_compute(vt_session *session, void *scratch) {
    return (vt_compute){session->model->kernels, session->pool, scratch, &session->status};
}

void vt_session_enter(vt_session *session) {
    if (session->entered++ == 0)
        vt_cancel_begin(&session->cancel);
    session->status = VT_OK;
}

vt_status vt_session_leave(vt_session *session, vt_status status, vt_error *err) {
    if (--session->entered == 0)
        vt_cancel_end(&session->cancel);
    if (status || !session->status)
        return status;
    if (session->status == VT_ERR_CANCELLED)
        return vt_fail(err, VT_ERR_CANCELLED, "cancelled");
    if (session->status == VT_ERR_NOT_FINITE)
        return vt_fail(err, VT_ERR_NOT_FINITE,
                       "the model's %s of input %zu is NaN or infinite: so is a weight (the option "
                       "check_finite tells which), an input, or a sum on the way",
                       session->odd.what, session->odd.item);
    return vt_fail(err, session->status, "%s could not multiply: out of memory, most likely",
                   vt_backend_name(session->model->weights.backend));
}

void vt_session_cancel(vt_session *session) {
    vt_cancel_request(&session->cancel);
}

void vt_normalize_rows(const vt_kernels *kernels, float *rows, size_t count, size_t n) {
    for (size_t i = 0; i < count; i++, rows += n) {
        float length = sqrtf(kernels->dot(rows, rows, n));
        if (length > 0)
            kernels->scale(rows, 1.0f / length, n);
    }
}
