/* SPDX-License-Identifier: MIT */
#include "bundled.h"
#include "core.h"
#include "debug.h"
#include "gstvitrine.h"

GstDebugCategory *gst_vitrine_debug;

static gboolean init_plugin(GstPlugin *plugin) {
    GST_DEBUG_CATEGORY_INIT(gst_vitrine_debug, "vitrine", 0, "vision transformers");
    gst_vitrine_bundled_find(plugin);
    gst_vitrine_meta_register();
    return gst_element_register(plugin, "vitrine", GST_RANK_NONE, GST_TYPE_VITRINE);
}

GST_PLUGIN_DEFINE(GST_VERSION_MAJOR, GST_VERSION_MINOR, vitrine, "Vision transformer inference",
                  init_plugin, VERSION, "MIT/X11", PACKAGE, "Unknown package origin")
