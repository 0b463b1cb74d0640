/* SPDX-License-Identifier: MIT */
#include "meta.h"

#include <gst/video/video.h>

/* ---- the type ----------------------------------------------------------------------------- */

static gboolean init_meta(GstMeta *base, gpointer params, GstBuffer *buffer) {
    GstVitrineMeta *meta = (GstVitrineMeta *)base;
    (void)params, (void)buffer;
    meta->element = NULL;
    meta->predictions = NULL;
    meta->n_predictions = 0;
    meta->preprocess_time = meta->forward_time = GST_CLOCK_TIME_NONE;
    return TRUE;
}

static void free_meta(GstMeta *base, GstBuffer *buffer) {
    GstVitrineMeta *meta = (GstVitrineMeta *)base;
    (void)buffer;
    for (guint i = 0; i < meta->n_predictions; i++)
        g_free(meta->predictions[i].label);
    g_free(meta->predictions);
    g_free(meta->element);
}

static GType meta_api(void) {
    /* Dropped where a picture becomes something else; neither size nor colours matter to it. */
    static const gchar *tags[] = {GST_META_TAG_VIDEO_STR, NULL};
    static gsize type = 0;
    if (g_once_init_enter(&type))
        g_once_init_leave(&type, gst_meta_api_type_register(GST_VITRINE_META_API_NAME, tags));
    return type;
}

static const GstMetaInfo *meta_info(void);

static GstVitrineMeta *add_empty(GstBuffer *buffer, const gchar *element, guint n_predictions) {
    GstVitrineMeta *meta = (GstVitrineMeta *)gst_buffer_add_meta(buffer, meta_info(), NULL);
    meta->element = g_strdup(element);
    meta->predictions = g_new0(GstVitrinePrediction, n_predictions);
    meta->n_predictions = n_predictions;
    return meta;
}

static gboolean transform_meta(GstBuffer *to, GstMeta *base, GstBuffer *from, GQuark type,
                               gpointer data) {
    const GstVitrineMeta *meta = (const GstVitrineMeta *)base;
    (void)from, (void)data;
    if (!GST_META_TRANSFORM_IS_COPY(type) && !GST_VIDEO_META_TRANSFORM_IS_SCALE(type))
        return FALSE;
    GstVitrineMeta *copy = add_empty(to, meta->element, meta->n_predictions);
    for (guint i = 0; i < meta->n_predictions; i++) {
        copy->predictions[i] = meta->predictions[i];
        copy->predictions[i].label = g_strdup(meta->predictions[i].label);
    }
    copy->preprocess_time = meta->preprocess_time;
    copy->forward_time = meta->forward_time;
    return TRUE;
}

static const GstMetaInfo *meta_info(void) {
    static gsize info = 0;
    if (g_once_init_enter(&info))
        g_once_init_leave(&info, (gsize)gst_meta_register(meta_api(), GST_VITRINE_META_NAME,
                                                          sizeof(GstVitrineMeta), init_meta,
                                                          free_meta, transform_meta));
    return (const GstMetaInfo *)info;
}

void gst_vitrine_meta_register(void) {
    meta_info();
}

/* ---- from results, and to what is told ---------------------------------------------------- */

static GstClockTime from_ms(double ms) {
    return (GstClockTime)(ms * GST_MSECOND);
}

/* Labels come from files. */
static gchar *valid_label(const gchar *label) {
    return g_utf8_make_valid(label, -1);
}

GstVitrineMeta *gst_vitrine_meta_add(GstBuffer *buffer, const gchar *element, const vt_model *model,
                                     const vt_result *result) {
    GstVitrineMeta *meta = add_empty(buffer, element, (guint)result->num_predictions);
    for (guint i = 0; i < meta->n_predictions; i++) {
        const vt_prediction *from = &result->predictions[i];
        meta->predictions[i] =
            (GstVitrinePrediction){.index = (guint)from->index,
                                   .score = from->score,
                                   .label = valid_label(vt_model_label(model, from->index))};
    }
    meta->preprocess_time = from_ms(result->preprocess_ms);
    meta->forward_time = from_ms(result->forward_ms);
    return meta;
}

static void append_prediction(GValue *array, const GstVitrinePrediction *prediction) {
    GValue value = G_VALUE_INIT;
    g_value_init(&value, GST_TYPE_STRUCTURE);
    g_value_take_boxed(&value,
                       gst_structure_new("prediction", "index", G_TYPE_UINT, prediction->index,
                                         "label", G_TYPE_STRING, prediction->label, "score",
                                         G_TYPE_DOUBLE, (gdouble)prediction->score, NULL));
    gst_value_array_append_and_take_value(array, &value);
}

GstStructure *gst_vitrine_meta_to_structure(const GstVitrineMeta *meta, const GstBuffer *buffer,
                                            const GstSegment *segment) {
    const GstClockTime timestamp = GST_BUFFER_PTS(buffer);
    GValue predictions = G_VALUE_INIT;
    g_value_init(&predictions, GST_TYPE_ARRAY);
    for (guint i = 0; i < meta->n_predictions; i++)
        append_prediction(&predictions, &meta->predictions[i]);
    GstStructure *structure = gst_structure_new(
        "vitrine", "timestamp", G_TYPE_UINT64, timestamp, "stream-time", G_TYPE_UINT64,
        gst_segment_to_stream_time(segment, GST_FORMAT_TIME, timestamp), "running-time",
        G_TYPE_UINT64, gst_segment_to_running_time(segment, GST_FORMAT_TIME, timestamp), "duration",
        G_TYPE_UINT64, GST_BUFFER_DURATION(buffer), "preprocess-time", G_TYPE_UINT64,
        meta->preprocess_time, "forward-time", G_TYPE_UINT64, meta->forward_time, NULL);
    gst_structure_take_value(structure, "predictions", &predictions);
    return structure;
}

gchar *gst_vitrine_meta_to_markup(const GstVitrineMeta *meta) {
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < meta->n_predictions; i++) {
        gchar *label = g_markup_escape_text(meta->predictions[i].label, -1);
        g_string_append_printf(text, "%s%.1f%%  %s", i ? "\n" : "",
                               100 * meta->predictions[i].score, label);
        g_free(label);
    }
    return g_string_free(text, FALSE);
}
