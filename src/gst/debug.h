/* SPDX-License-Identifier: MIT
 *
 * The debug category "vitrine" (GST_DEBUG=vitrine:5).
 */
#ifndef GST_VITRINE_DEBUG_H
#define GST_VITRINE_DEBUG_H

#include <gst/gst.h>

extern GstDebugCategory *gst_vitrine_debug;
#define GST_CAT_DEFAULT gst_vitrine_debug

#endif
