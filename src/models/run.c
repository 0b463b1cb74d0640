/* SPDX-License-Identifier: MIT
 *
 * From frames, or pictures, to results: preprocessing, the forward pass, and what was asked for.
 */
#include "models/run.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/options.h"
#include "formats/image.h"
#include "models/session.h"

static double now_ms(void) {
    return 1e-6 * (double)vt_clock_ns();
}

/* ---- memory ------------------------------------------------------------------------------- */

void vt_frame_run_destroy(vt_frame_run *run) {
    if (!run)
        return;
    vt_preprocess_free(&run->plan);
    vt_free(run->raster.pixels);
    vt_scratch_free(&run->memory);
    vt_free(run);
}

static void carve(vt_frame_run *run, vt_arena *arena, size_t batch, size_t picture_floats) {
    size_t floats = 0;
    if (!vt_mul_size(batch, picture_floats, &floats))
        arena->overflow = true;
    float *pixels = vt_arena_take(arena, floats, sizeof *pixels);
    run->inputs = vt_arena_take(arena, batch, sizeof *run->inputs);
    run->pixels = vt_arena_take(arena, batch, sizeof *run->pixels);
    run->heights = vt_arena_take(arena, batch, sizeof *run->heights);
    run->widths = vt_arena_take(arena, batch, sizeof *run->widths);
    for (size_t i = 0; arena->base && i < batch; i++)
        run->inputs[i] = (vt_run_input){.pixels = pixels + i * picture_floats};
}

static vt_status prepare_memory(vt_session *session, vt_error *err) {
    if (!session->frames)
        session->frames = vt_calloc(1, sizeof *session->frames);
    vt_frame_run *run = session->frames;
    const size_t batch = session->vision.shape.batch;
    const size_t floats = vt_session_picture_floats(session);
    vt_arena arena = {0};
    if (!run)
        return vt_fail_memory(err, "frames", sizeof *run);
    if (run->memory.data)
        return VT_OK;
    carve(run, &arena, batch, floats);
    if (arena.overflow || !vt_scratch_reserve(&run->memory, arena.used))
        return vt_fail_memory(err, "inputs", arena.used);
    arena = (vt_arena){.base = run->memory.data};
    carve(run, &arena, batch, floats);
    return VT_OK;
}

/* ---- preprocessing ------------------------------------------------------------------------ */

/* A picture of height x width pixels, full_height x full_width in the file, into an input. */
static vt_status preprocess(vt_session *session, vt_run_input *input, const vt_rows *rows,
                            size_t full_height, size_t full_width, vt_error *err) {
    vt_preprocess_plan *plan = &session->frames->plan;
    struct vt_preprocess_sizes sizes = {
        .picture_height = rows->height,
        .picture_width = rows->width,
        .full_height = full_height,
        .full_width = full_width,
    };
    const double start = now_ms();
    vt_vision_fit_size(session, full_height, full_width, &sizes.height, &sizes.width);
    const vt_status status = vt_preprocess_prepare(plan, &session->model->config.preprocess, &sizes,
                                                   vt_pool_size(session->pool), err);
    if (status)
        return status;
    vt_preprocess_rows(plan, input->pixels, rows, session->model->kernels, session->pool);
    input->height = sizes.height;
    input->width = sizes.width;
    input->preprocess_ms = now_ms() - start;
    return VT_OK;
}

static vt_status preprocess_frame(vt_session *session, vt_run_input *input, const vt_frame *callers,
                                  vt_error *err) {
    vt_frame frame, decoded;
    vt_frame_view view;
    const double start = now_ms();
    vt_status status = vt_options_take(&frame, sizeof frame, callers, "vt_frames", err);
    if (!status)
        status = vt_frame_decode(&decoded, &frame, &session->frames->raster, err);
    input->decode_ms = frame.format == VT_PIXEL_MJPEG ? now_ms() - start : 0;
    if (!status)
        status = vt_frame_open(&view, &decoded, session->model->kernels, err);
    if (!status)
        status = preprocess(session, input, &view.rows, view.rows.height, view.rows.width, err);
    return status;
}

static vt_status preprocess_frames(vt_session *session, const vt_frame *frames, size_t count,
                                   vt_error *err) {
    for (size_t i = 0; i < count && !vt_cancel_wanted(&session->cancel); i++) {
        const vt_status status =
            preprocess_frame(session, &session->frames->inputs[i], vt_options_at(frames, i), err);
        if (status && count == 1)
            return status;
        if (status) {
            char where[32];
            snprintf(where, sizeof where, "frame %zu", i);
            return vt_fail_within(err, status, where);
        }
    }
    return VT_OK;
}

/* ---- passes and results ------------------------------------------------------------------- */

static vt_status forward(vt_session *session, size_t count, vt_error *err) {
    vt_frame_run *run = session->frames;
    if (!session->model->config.vision.naflex)
        return vt_session_forward(session, run->inputs[0].pixels, count, err);
    for (size_t i = 0; i < count; i++) {
        run->pixels[i] = run->inputs[i].pixels;
        run->heights[i] = run->inputs[i].height;
        run->widths[i] = run->inputs[i].width;
    }
    return vt_session_forward_naflex(session, run->pixels, run->heights, run->widths, count, err);
}

static vt_status check_result(const vt_session *session, const vt_result *callers, vt_error *err) {
    const vt_config *config = &session->model->config;
    vt_result wanted;
    const vt_status status = vt_options_take(&wanted, sizeof wanted, callers, "vt_results", err);
    if (status)
        return status;
    if ((wanted.logits || wanted.predictions) && !config->num_classes)
        return vt_fail(err, VT_ERR_UNSUPPORTED, "this model has no classifier");
    if (wanted.image_embeds && !config->embed_dim)
        return vt_fail(err, VT_ERR_UNSUPPORTED, "this model has no space that texts share");
    if (wanted.features && !session->vision.features)
        return vt_fail(err, VT_ERR_UNSUPPORTED, "the session was created without `features`");
    return VT_OK;
}

static void copy_row(float *out, const float *rows, size_t row, size_t n) {
    if (out)
        memcpy(out, rows + row * n, n * sizeof *out);
}

static void write_result(const vt_session *session, vt_result *out, size_t row, double forward_ms) {
    const vt_config *config = &session->model->config;
    const vt_run_input *input = &session->frames->inputs[row];
    const size_t width = vt_session_pooled_width(session);
    copy_row(out->logits, vt_session_logits(session), row, config->num_classes);
    copy_row(out->pooled, vt_session_pooled(session), row, width);
    copy_row(out->image_embeds, vt_session_image_embeds(session), row, config->embed_dim);
    copy_row(out->features, vt_session_features(session), row,
             vt_session_num_tokens(session) * width);
    out->num_predictions = 0;
    if (out->predictions)
        out->num_predictions =
            vt_model_top_k(session->model, vt_session_logits(session) + row * config->num_classes,
                           out->predictions, out->top_k);
    out->decode_ms = input->decode_ms;
    out->preprocess_ms = input->preprocess_ms;
    out->forward_ms = forward_ms;
    out->input_height = input->height;
    out->input_width = input->width;
}

/* To the caller's struct, which may be shorter or longer than ours. */
static void give_result(const vt_session *session, vt_result *callers, size_t row,
                        double forward_ms) {
    vt_result full;
    const size_t given = callers->struct_size;
    vt_options_take(&full, sizeof full, callers, "vt_result", NULL); /* checked before */
    write_result(session, &full, row, forward_ms);
    memcpy(callers, &full, given < sizeof full ? given : sizeof full);
    callers->struct_size = given;
}

static vt_status check_call(const vt_session *session, const vt_result *results, size_t count,
                            vt_error *err) {
    if (!session->model->config.has_vision)
        return vt_fail(err, VT_ERR_UNSUPPORTED, "this model takes no pictures");
    if (count == 0 || count > session->vision.shape.batch)
        return vt_fail(err, VT_ERR_ARGUMENT, "a session for %zu pictures was given %zu",
                       session->vision.shape.batch, count);
    vt_status status = VT_OK;
    for (size_t i = 0; i < count && !status; i++)
        status = check_result(session, vt_options_at(results, i), err);
    return status;
}

static vt_status run(vt_session *session, vt_result *results, const vt_frame *frames, size_t count,
                     vt_error *err) {
    vt_status status = check_call(session, results, count, err);
    if (!status)
        status = prepare_memory(session, err);
    if (!status)
        status = preprocess_frames(session, frames, count, err);
    if (vt_cancel_wanted(&session->cancel)) {
        session->status = VT_ERR_CANCELLED;
        return status;
    }
    const double start = now_ms();
    if (!status)
        status = forward(session, count, err);
    const double forward_ms = now_ms() - start;
    for (size_t i = 0; i < count && !status; i++)
        give_result(session, (vt_result *)vt_options_at(results, i), i, forward_ms);
    return status;
}

vt_status vt_session_run(vt_session *session, vt_result *results, const vt_frame *frames,
                         size_t count, vt_error *err) {
    vt_session_enter(session);
    return vt_session_leave(session, run(session, results, frames, count, err), err);
}

/* ---- one picture -------------------------------------------------------------------------- */

static vt_status run_image(vt_session *session, const vt_image *image, vt_error *err) {
    vt_rows rows;
    size_t full_height, full_width;
    vt_status status = vt_rows_of_image(&rows, image, err);
    vt_image_full_size(image, &full_height, &full_width);
    if (!status)
        status = prepare_memory(session, err);
    if (!status)
        status =
            preprocess(session, &session->frames->inputs[0], &rows, full_height, full_width, err);
    return status ? status : forward(session, 1, err);
}

vt_status vt_classify_image(vt_session *session, const vt_image *image, vt_prediction *out,
                            size_t k, vt_error *err) {
    if (!session->model->config.num_classes)
        return vt_fail(err, VT_ERR_UNSUPPORTED, "this model has no classifier");
    vt_session_enter(session);
    const vt_status status = vt_session_leave(session, run_image(session, image, err), err);
    if (!status)
        vt_model_top_k(session->model, vt_session_logits(session), out, k);
    return status;
}
