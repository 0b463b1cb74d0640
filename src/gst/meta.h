/* SPDX-License-Identifier: MIT
 *
 * The plugin's side of gstvitrinemeta.h.
 */
#ifndef GST_VITRINE_META_PRIVATE_H
#define GST_VITRINE_META_PRIVATE_H

#include "gstvitrinemeta.h"
#include "vitrine.h"

/* Has the types ready, so that applications find them by name. */
void gst_vitrine_meta_register(void);

/* Adds what `result` says to a writable buffer. */
GstVitrineMeta *gst_vitrine_meta_add(GstBuffer *buffer, const gchar *element, const vt_model *model,
                                     const vt_result *result);

/* The structure of an element message: when the frame is, and the predictions. */
GstStructure *gst_vitrine_meta_to_structure(const GstVitrineMeta *meta, const GstBuffer *buffer,
                                            const GstSegment *segment);

/* "83.2%  cat face", a line a prediction, in Pango's markup. */
gchar *gst_vitrine_meta_to_markup(const GstVitrineMeta *meta);

#endif
