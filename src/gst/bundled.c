/* SPDX-License-Identifier: MIT */
#include "bundled.h"

#define MODEL "emoji-vit"

static gchar *found;

static gboolean find_from(const gchar *folder, const gchar *path) {
    gchar *joined = g_build_filename(folder, path, MODEL, NULL);
    gchar *model = g_canonicalize_filename(joined, NULL);
    g_free(joined);
    if (g_file_test(model, G_FILE_TEST_IS_DIR))
        found = model;
    else
        g_free(model);
    return found != NULL;
}

void gst_vitrine_bundled_find(GstPlugin *plugin) {
    const gchar *file = gst_plugin_get_filename(plugin);
    gchar *folder = g_path_get_dirname(file ? file : "");
    /* Up from src/gst/ in the build folder, up from lib/gstreamer-1.0/ where it is installed. */
    if (!find_from(folder, DATA_FROM_PLUGIN))
        find_from(folder, "../../share/vitrine");
    g_free(folder);
}

const gchar *gst_vitrine_bundled_model(void) {
    return found ? found : DATA_DIR "/" MODEL;
}
