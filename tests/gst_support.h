/* SPDX-License-Identifier: MIT
 *
 * What the tests of the GStreamer element need. Include after support.h.
 */
#ifndef VT_TESTS_GST_SUPPORT_H
#define VT_TESTS_GST_SUPPORT_H

#include <gst/check/gstharness.h>
#include <gst/gst.h>
#include <gst/video/video.h>

#include "gst/gstvitrinemeta.h"
#include "vitrine.h"

/* cmocka group set-up and tear-down: GStreamer with the plugin of this build, any critical or
 * warning of GLib's being fatal, and a session of the bundled model for what is expected. */
int gst_group_setup(void **state);
int gst_group_teardown(void **state);

/* The bundled model, and what it says of a frame: `count` predictions. */
const char *bundled_model(void);
const vt_model *expected_model(void);
void expect_frame(vt_prediction *out, size_t count, const vt_frame *frame);

/* Fails unless the buffer has one result, that of these predictions: classes, bits of the scores,
 * labels. */
void assert_meta(GstBuffer *buffer, const vt_prediction *expected, size_t count);

/* A harness of the elements that `line` describes, with a bus; and its end. */
GstHarness *harness_new(const char *line);
void harness_free(GstHarness *harness);
GstElement *harness_find(GstHarness *harness, const char *name);

/* The next message of that kind, taken off the bus together with those before it; NULL when there
 * is none. */
GstMessage *harness_message(GstHarness *harness, GstMessageType type);

/* Caps of frames, and one frame of noise in its default layout, at `n` frames of 40 ms. */
GstCaps *frame_caps(GstVideoInfo *info, GstVideoFormat format, int width, int height,
                    const char *colorimetry);
GstBuffer *noise_frame(const GstVideoInfo *info, guint32 seed, unsigned n);

/* The SHA-256 of a buffer's bytes; g_free. */
char *checksum(GstBuffer *buffer);

/* A field of the property `stats`. */
guint64 stat_of(GstElement *vitrine, const char *field);

#endif
