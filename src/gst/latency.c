/* SPDX-License-Identifier: MIT */
#include "latency.h"

/* Each change makes every sink wait anew, which shows: so more is told at once, and less only where
 * no frame of so many took half of it. */
enum { LOOK_BACK = 128 };

/* An eighth more than was seen, so that the next such frame is not late. */
static GstClockTime with_reserve(GstClockTime time) {
    return time + time / 8;
}

void gst_vitrine_latency_init(GstVitrineLatency *latency, GstClockTime first) {
    *latency = (GstVitrineLatency){.told = with_reserve(first)};
}

static gboolean tell(GstVitrineLatency *latency, GstClockTime time) {
    latency->told = with_reserve(time);
    latency->longest = 0;
    latency->count = 0;
    return TRUE;
}

gboolean gst_vitrine_latency_update(GstVitrineLatency *latency, GstClockTime time) {
    const GstClockTime both = MIN(time, latency->previous);
    latency->previous = time;
    latency->longest = MAX(latency->longest, time);
    if (both > latency->told)
        return tell(latency, both);
    if (++latency->count < LOOK_BACK)
        return FALSE;
    if (latency->longest < latency->told / 2)
        return tell(latency, latency->longest);
    latency->longest = 0;
    latency->count = 0;
    return FALSE;
}
