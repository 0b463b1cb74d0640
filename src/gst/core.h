/* SPDX-License-Identifier: MIT
 *
 * The part of the element that frames pass through: analyses them and attaches what it found.
 */
#ifndef GST_VITRINE_CORE_H
#define GST_VITRINE_CORE_H

#include <gst/base/gstbasetransform.h>

#include "frame.h"
#include "meta.h"
#include "settings.h"

G_BEGIN_DECLS

#define GST_TYPE_VITRINE_CORE (gst_vitrine_core_get_type())
G_DECLARE_FINAL_TYPE(GstVitrineCore, gst_vitrine_core, GST, VITRINE_CORE, GstBaseTransform)

/* Caps of its pads, and of the pads of the element around it. */
#define GST_VITRINE_CAPS                                                                           \
    GST_VIDEO_CAPS_MAKE(GST_VITRINE_FORMATS)                                                       \
    ";" GST_VIDEO_CAPS_MAKE_WITH_FEATURES(GST_CAPS_FEATURE_MEMORY_SYSTEM_MEMORY                    \
                                          "," GST_CAPS_FEATURE_META_GST_VIDEO_OVERLAY_COMPOSITION, \
                                          GST_VITRINE_FORMATS)

/* Told of each result in the streaming thread, before the frame goes on. */
typedef void (*GstVitrineResultFunc)(gpointer user, const GstVitrineMeta *meta,
                                     const GstBuffer *buffer, const GstSegment *segment);

void gst_vitrine_core_on_result(GstVitrineCore *core, GstVitrineResultFunc fn, gpointer user);

/* Frames are analysed as these say from the next on; the model and the session are as they say from
 * the next start on. */
void gst_vitrine_core_configure(GstVitrineCore *core, const GstVitrineSettings *settings);

/* Gives up the frame at hand, and those that come before the next start: so that stopping need not
 * wait for it. */
void gst_vitrine_core_interrupt(GstVitrineCore *core);

/* "vitrine-stats": what became of the frames since the last start. */
GstStructure *gst_vitrine_core_stats(GstVitrineCore *core);

G_END_DECLS

#endif
