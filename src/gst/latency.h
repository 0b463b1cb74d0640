/* SPDX-License-Identifier: MIT
 *
 * How much later a frame leaves than it came, as sinks of a live pipeline are told.
 */
#ifndef GST_VITRINE_LATENCY_H
#define GST_VITRINE_LATENCY_H

#include <gst/gst.h>

typedef struct GstVitrineLatency {
    GstClockTime told;     /* what a LATENCY query is answered with */
    GstClockTime previous; /* that the frame before took */
    GstClockTime longest;  /* of the frames since the last look back */
    guint count;           /* of these */
} GstVitrineLatency;

/* `first`: what the first pass took. */
void gst_vitrine_latency_init(GstVitrineLatency *latency, GstClockTime first);

/* What another frame took; TRUE where `told` changed, so that the pipeline must ask again. One slow
 * frame among others changes nothing: it comes late, once. */
gboolean gst_vitrine_latency_update(GstVitrineLatency *latency, GstClockTime time);

#endif
