/* SPDX-License-Identifier: MIT */
#include "engine.h"

#include "debug.h"

void gst_vitrine_engine_init(GstVitrineEngine *engine) {
    *engine = (GstVitrineEngine){0};
    g_mutex_init(&engine->lock);
    g_cond_init(&engine->idle);
}

void gst_vitrine_engine_clear(GstVitrineEngine *engine) {
    gst_vitrine_engine_close(engine);
    g_mutex_clear(&engine->lock);
    g_cond_clear(&engine->idle);
}

/* ---- model and session -------------------------------------------------------------------- */

static void log_line(void *element, const char *line) {
    GST_WARNING_OBJECT(element, "%s", line);
}

vt_status gst_vitrine_engine_open(GstVitrineEngine *engine, const GstVitrineSettings *settings,
                                  GstObject *element, vt_error *err) {
    vt_model_info info;
    vt_model_options options = VT_MODEL_OPTIONS_INIT;
    options.labels_path = settings->labels;
    options.precision = gst_vitrine_settings_precision(settings);
    options.num_threads = settings->threads;
    options.log = log_line;
    options.log_user = element;
    const vt_status status =
        vt_model_open(&engine->model, gst_vitrine_settings_model(settings), &options, err);
    if (status)
        return status;
    vt_model_describe(&info, engine->model);
    engine->num_classes = info.num_classes;
    engine->predictions = g_new(vt_prediction, info.num_classes);
    GST_INFO_OBJECT(element, "opened %s: %s, %zu classes, %s kernels", info.path, info.family,
                    info.num_classes, info.kernels);
    return VT_OK;
}

void gst_vitrine_engine_close(GstVitrineEngine *engine) {
    gst_vitrine_engine_stop(engine);
    g_clear_pointer(&engine->model, vt_model_close);
    g_clear_pointer(&engine->predictions, g_free);
}

static vt_status run_grey(GstVitrineEngine *engine, GstClockTime *time, vt_error *err) {
    static const guint8 grey[32 * 32];
    vt_frame frame = VT_FRAME_INIT;
    vt_result result;
    const gint64 start = g_get_monotonic_time();
    vt_status status = vt_frame_set_packed(&frame, VT_PIXEL_GRAY8, 32, 32, grey, sizeof grey, err);
    if (!status)
        status = gst_vitrine_engine_run(engine, &result, &frame, 1, err);
    *time = (GstClockTime)(g_get_monotonic_time() - start) * GST_USECOND;
    return status;
}

static vt_status check_settings(const GstVitrineEngine *engine, const GstVitrineSettings *settings,
                                vt_session_options *options, vt_error *err) {
    options->num_threads = settings->threads;
    if (!engine->num_classes) {
        *err = (vt_error){VT_ERR_UNSUPPORTED, "this model has no classifier"};
        return err->code;
    }
    if (gst_vitrine_settings_size(settings, &options->height, &options->width))
        return VT_OK;
    err->code = VT_ERR_ARGUMENT;
    g_snprintf(err->message, sizeof err->message,
               "size is \"%s\", not pixels such as 224 or 224x320 (height x width)",
               settings->size);
    return err->code;
}

vt_status gst_vitrine_engine_start(GstVitrineEngine *engine, const GstVitrineSettings *settings,
                                   GstClockTime *first, vt_error *err) {
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    vt_status status = check_settings(engine, settings, &options, err);
    if (!status)
        status = vt_session_create(&engine->session, engine->model, &options, err);
    if (status)
        return status;
    gst_vitrine_engine_resume(engine);
    status = run_grey(engine, first, err);
    if (status)
        gst_vitrine_engine_stop(engine);
    return status;
}

void gst_vitrine_engine_stop(GstVitrineEngine *engine) {
    g_clear_pointer(&engine->session, vt_session_destroy);
}

/* ---- running ------------------------------------------------------------------------------ */

static gboolean begin(GstVitrineEngine *engine) {
    g_mutex_lock(&engine->lock);
    engine->running = !engine->interrupted;
    const gboolean running = engine->running;
    g_mutex_unlock(&engine->lock);
    return running;
}

static void end(GstVitrineEngine *engine) {
    g_mutex_lock(&engine->lock);
    engine->running = FALSE;
    g_cond_broadcast(&engine->idle);
    g_mutex_unlock(&engine->lock);
}

vt_status gst_vitrine_engine_run(GstVitrineEngine *engine, vt_result *result, const vt_frame *frame,
                                 guint top_k, vt_error *err) {
    *result = (vt_result)VT_RESULT_INIT;
    result->predictions = engine->predictions;
    result->top_k = MIN(top_k, engine->num_classes);
    if (!begin(engine))
        return VT_ERR_CANCELLED;
    const vt_status status = vt_session_run(engine->session, result, frame, 1, err);
    end(engine);
    return status;
}

/* A cancellation reaches what runs, and `running` is set a moment before that: so it is repeated
 * until nothing runs. */
void gst_vitrine_engine_interrupt(GstVitrineEngine *engine) {
    g_mutex_lock(&engine->lock);
    engine->interrupted = TRUE;
    while (engine->running) {
        vt_session_cancel(engine->session);
        g_cond_wait_until(&engine->idle, &engine->lock,
                          g_get_monotonic_time() + 5 * G_TIME_SPAN_MILLISECOND);
    }
    g_mutex_unlock(&engine->lock);
}

void gst_vitrine_engine_resume(GstVitrineEngine *engine) {
    g_mutex_lock(&engine->lock);
    engine->interrupted = FALSE;
    g_mutex_unlock(&engine->lock);
}
