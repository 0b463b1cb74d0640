/* SPDX-License-Identifier: MIT
 *
 * A model and a session of it, which turn frames into results, and can be interrupted.
 */
#ifndef GST_VITRINE_ENGINE_H
#define GST_VITRINE_ENGINE_H

#include "settings.h"
#include "vitrine.h"

typedef struct GstVitrineEngine {
    vt_model *model;
    vt_session *session;
    size_t num_classes;
    vt_prediction *predictions; /* [num_classes] */
    GMutex lock;                /* of what follows */
    GCond idle;                 /* `running` ended */
    gboolean running;
    gboolean interrupted; /* runs end at once, and none begins */
} GstVitrineEngine;

void gst_vitrine_engine_init(GstVitrineEngine *engine);
void gst_vitrine_engine_clear(GstVitrineEngine *engine);

/* The model. Warnings go to the debug log, in the name of `element`. */
vt_status gst_vitrine_engine_open(GstVitrineEngine *engine, const GstVitrineSettings *settings,
                                  GstObject *element, vt_error *err);
void gst_vitrine_engine_close(GstVitrineEngine *engine);

/* The session, which is run once: so that the first frame finds all memory in place, and that
 * *first is about what a frame will take. */
vt_status gst_vitrine_engine_start(GstVitrineEngine *engine, const GstVitrineSettings *settings,
                                   GstClockTime *first, vt_error *err);
void gst_vitrine_engine_stop(GstVitrineEngine *engine);

/* The top_k best, as far as there are so many, in the engine's memory until the next run.
 * VT_ERR_CANCELLED once it is interrupted. */
vt_status gst_vitrine_engine_run(GstVitrineEngine *engine, vt_result *result, const vt_frame *frame,
                                 guint top_k, vt_error *err);

/* From any thread: has a run end before its next block, waits until it has, and lets none begin
 * until `resume`. */
void gst_vitrine_engine_interrupt(GstVitrineEngine *engine);
void gst_vitrine_engine_resume(GstVitrineEngine *engine);

#endif
