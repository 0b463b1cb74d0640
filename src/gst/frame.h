/* SPDX-License-Identifier: MIT
 *
 * GStreamer's frames as vitrine's: the same memory, described otherwise.
 */
#ifndef GST_VITRINE_FRAME_H
#define GST_VITRINE_FRAME_H

#include <gst/video/video.h>

#include "vitrine.h"

/* The formats of GstVideoFormat that a vt_frame can be, those of cameras first. */
#define GST_VITRINE_FORMATS                                                                        \
    "{ NV12, I420, YV12, YUY2, UYVY, RGB, BGR, RGBx, BGRx, RGBA, BGRA, GRAY8 }"

/* Describes a mapped frame, of one of these formats, less what GstVideoCropMeta cuts off. */
void gst_vitrine_frame_describe(vt_frame *out, const GstVideoFrame *frame);

#endif
