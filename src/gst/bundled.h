/* SPDX-License-Identifier: MIT
 *
 * The model that vitrine comes with.
 */
#ifndef GST_VITRINE_BUNDLED_H
#define GST_VITRINE_BUNDLED_H

#include <gst/gst.h>

/* Once, as the plugin is loaded: looks for the model as seen from the plugin's file. */
void gst_vitrine_bundled_find(GstPlugin *plugin);

/* Its path, there or not. */
const gchar *gst_vitrine_bundled_model(void);

#endif
