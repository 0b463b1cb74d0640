/* SPDX-License-Identifier: MIT
 *
 * What the element `vitrine` attaches to the frames that it has analysed. For applications;
 * docs/GSTREAMER.md has an example. Nothing needs to be linked beside GStreamer itself: the plugin
 * registers the types when it is loaded, and they are looked up by name.
 */
#ifndef GST_VITRINE_META_H
#define GST_VITRINE_META_H

#include <gst/gst.h>

G_BEGIN_DECLS

#define GST_VITRINE_META_API_NAME "GstVitrineMetaAPI"
#define GST_VITRINE_META_NAME "GstVitrineMeta"

typedef struct _GstVitrinePrediction GstVitrinePrediction;
typedef struct _GstVitrineMeta GstVitrineMeta;

struct _GstVitrinePrediction {
    guint index;  /* of the class in the model, from 0 */
    gfloat score; /* 0 to 1: a softmax, or a sigmoid for a model of many labels */
    gchar *label; /* UTF-8, never NULL */
};

/* All that it points to belongs to the meta, and so to the buffer: copy what is to outlive that. It
 * goes with copies of the buffer, and through elements that scale or convert the picture. Frames
 * that were not analysed have none. Where several elements `vitrine` follow each other a buffer has
 * one of each: `element` tells them apart, and gst_buffer_iterate_meta_filtered finds all. */
struct _GstVitrineMeta {
    GstMeta meta;
    gchar *element;                    /* the name of the element that made it: "vitrine0" */
    GstVitrinePrediction *predictions; /* [n_predictions], best first */
    guint n_predictions;
    GstClockTime preprocess_time; /* that colours, crop, resize and normalisation took */
    GstClockTime forward_time;    /* that the model took */
};

/* The first of a buffer's; NULL where there is none. */
static inline GstVitrineMeta *gst_buffer_get_vitrine_meta(GstBuffer *buffer) {
    const GType api = g_type_from_name(GST_VITRINE_META_API_NAME);
    return api ? (GstVitrineMeta *)gst_buffer_get_meta(buffer, api) : NULL;
}

G_END_DECLS

#endif
