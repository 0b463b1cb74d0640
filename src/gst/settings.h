/* SPDX-License-Identifier: MIT
 *
 * What the element's properties set.
 */
#ifndef GST_VITRINE_SETTINGS_H
#define GST_VITRINE_SETTINGS_H

#include <gst/gst.h>

typedef enum GstVitrinePrecision {
    GST_VITRINE_PRECISION_AUTO = 0,
    GST_VITRINE_PRECISION_F32,
    GST_VITRINE_PRECISION_F16,
    GST_VITRINE_PRECISION_BF16,
    GST_VITRINE_PRECISION_INT8
} GstVitrinePrecision;

typedef struct GstVitrineSettings {
    gchar *model, *labels, *size; /* NULL: not set */
    GstVitrinePrecision precision;
    guint top_k, threads, interval;
    gboolean overlay, post_messages, qos;
} GstVitrineSettings;

void gst_vitrine_settings_init(GstVitrineSettings *settings);
void gst_vitrine_settings_clear(GstVitrineSettings *settings);
/* `out` is one that was initialised, or zeroed. */
void gst_vitrine_settings_copy(GstVitrineSettings *out, const GstVitrineSettings *settings);

/* Whether the same model would be opened. */
gboolean gst_vitrine_settings_same_model(const GstVitrineSettings *a, const GstVitrineSettings *b);

/* The path to open: the property, $VITRINE_MODEL, or the bundled model. */
const gchar *gst_vitrine_settings_model(const GstVitrineSettings *settings);

/* "f16"; NULL: as the checkpoint has them. */
const gchar *gst_vitrine_settings_precision(const GstVitrineSettings *settings);

/* Height and width, 0 where none are set; FALSE where `size` is neither N nor HxW. */
gboolean gst_vitrine_settings_size(const GstVitrineSettings *settings, size_t *height,
                                   size_t *width);

/* ---- as properties of a class ---- */

/* Their ids. */
enum {
    GST_VITRINE_SETTING_MODEL = 1,
    GST_VITRINE_SETTING_LABELS,
    GST_VITRINE_SETTING_TOP_K,
    GST_VITRINE_SETTING_SIZE,
    GST_VITRINE_SETTING_THREADS,
    GST_VITRINE_SETTING_PRECISION,
    GST_VITRINE_SETTING_INTERVAL,
    GST_VITRINE_SETTING_OVERLAY,
    GST_VITRINE_SETTING_POST_MESSAGES,
    GST_VITRINE_SETTING_QOS,
    GST_VITRINE_NUM_SETTINGS
};

void gst_vitrine_settings_install(GObjectClass *klass);
void gst_vitrine_settings_set(GstVitrineSettings *settings, guint id, const GValue *value);
void gst_vitrine_settings_get(const GstVitrineSettings *settings, guint id, GValue *value);

#endif
