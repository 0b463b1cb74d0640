/* SPDX-License-Identifier: MIT
 *
 * The element `vitrine`: a bin of the core and, where an overlay is wanted, a textoverlay behind
 * it.
 */
#ifndef GST_VITRINE_H
#define GST_VITRINE_H

#include <gst/gst.h>

G_BEGIN_DECLS

#define GST_TYPE_VITRINE (gst_vitrine_get_type())
G_DECLARE_FINAL_TYPE(GstVitrine, gst_vitrine, GST, VITRINE, GstBin)

G_END_DECLS

#endif
