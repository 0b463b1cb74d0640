/* SPDX-License-Identifier: MIT */
#include "support.h"

#include "gst_support.h"

/* What fontconfig, which textoverlay draws with, leaves behind is not ours. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:libfontconfig";
}

static vt_model *model;
static vt_session *session;

/* ---- set-up ------------------------------------------------------------------------------- */

/* One registry for all runs in this build: looking at every plugin of the system takes seconds. */
int gst_group_setup(void **state) {
    GError *error = NULL;
    vt_error err = {0};
    (void)state;
    g_setenv("GST_REGISTRY", VT_GST_REGISTRY, TRUE);
    g_unsetenv("VITRINE_MODEL");
    g_log_set_always_fatal(G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_WARNING);
    gst_init(NULL, NULL);
    GstPlugin *plugin = gst_plugin_load_file(VT_GST_PLUGIN, &error);
    if (!plugin)
        fail_msg("%s", error->message);
    assert_true(gst_registry_add_plugin(gst_registry_get(), plugin));
    gst_object_unref(plugin);
    expect_ok(vt_model_open(&model, bundled_model(), NULL, &err), &err);
    expect_ok(vt_session_create(&session, model, NULL, &err), &err);
    return 0;
}

int gst_group_teardown(void **state) {
    (void)state;
    vt_session_destroy(session);
    vt_model_close(model);
    gst_deinit();
    return 0;
}

/* ---- what is expected --------------------------------------------------------------------- */

const char *bundled_model(void) {
    return VT_SOURCE_DIR "/weights/emoji-vit";
}

const vt_model *expected_model(void) {
    return model;
}

void expect_frame(vt_prediction *out, size_t count, const vt_frame *frame) {
    vt_error err = {0};
    vt_result result = VT_RESULT_INIT;
    result.predictions = out;
    result.top_k = count;
    expect_ok(vt_session_run(session, &result, frame, 1, &err), &err);
    assert_int_equal(result.num_predictions, count);
}

void assert_meta(GstBuffer *buffer, const vt_prediction *expected, size_t count) {
    GstVitrineMeta *meta = gst_buffer_get_vitrine_meta(buffer);
    assert_non_null(meta);
    assert_int_equal(gst_buffer_get_n_meta(buffer, meta->meta.info->api), 1);
    assert_int_equal(meta->n_predictions, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(meta->predictions[i].index, expected[i].index);
        assert_memory_equal(&meta->predictions[i].score, &expected[i].score, sizeof(float));
        assert_string_equal(meta->predictions[i].label, vt_model_label(model, expected[i].index));
    }
}

/* ---- harnesses ---------------------------------------------------------------------------- */

GstHarness *harness_new(const char *line) {
    GstBus *bus = gst_bus_new();
    GstHarness *harness = gst_harness_new_parse(line);
    gst_element_set_bus(harness->element, bus);
    gst_object_unref(bus);
    return harness;
}

void harness_free(GstHarness *harness) {
    gst_element_set_bus(harness->element, NULL);
    gst_harness_teardown(harness);
}

GstElement *harness_find(GstHarness *harness, const char *name) {
    GstElement *element = gst_bin_get_by_name(GST_BIN(harness->element), name);
    assert_non_null(element);
    gst_object_unref(element); /* the harness has it */
    return element;
}

GstMessage *harness_message(GstHarness *harness, GstMessageType type) {
    GstBus *bus = gst_element_get_bus(harness->element);
    GstMessage *message = gst_bus_pop_filtered(bus, type);
    gst_object_unref(bus);
    return message;
}

/* ---- frames ------------------------------------------------------------------------------- */

GstCaps *frame_caps(GstVideoInfo *info, GstVideoFormat format, int width, int height,
                    const char *colorimetry) {
    assert_true(gst_video_info_set_format(info, format, (guint)width, (guint)height));
    info->fps_n = 25;
    if (colorimetry)
        assert_true(gst_video_colorimetry_from_string(&info->colorimetry, colorimetry));
    return gst_video_info_to_caps(info);
}

GstBuffer *noise_frame(const GstVideoInfo *info, guint32 seed, unsigned n) {
    GstMapInfo map;
    GRand *random = g_rand_new_with_seed(seed);
    GstBuffer *buffer = gst_buffer_new_allocate(NULL, GST_VIDEO_INFO_SIZE(info), NULL);
    assert_true(gst_buffer_map(buffer, &map, GST_MAP_WRITE));
    for (gsize i = 0; i < map.size; i++)
        map.data[i] = (guint8)g_rand_int_range(random, 0, 256);
    gst_buffer_unmap(buffer, &map);
    g_rand_free(random);
    GST_BUFFER_PTS(buffer) = n * 40 * GST_MSECOND;
    GST_BUFFER_DURATION(buffer) = 40 * GST_MSECOND;
    return buffer;
}

char *checksum(GstBuffer *buffer) {
    GstMapInfo map;
    assert_true(gst_buffer_map(buffer, &map, GST_MAP_READ));
    char *sum = g_compute_checksum_for_data(G_CHECKSUM_SHA256, map.data, map.size);
    gst_buffer_unmap(buffer, &map);
    return sum;
}

guint64 stat_of(GstElement *vitrine, const char *field) {
    guint64 value = 0;
    GstStructure *stats = NULL;
    g_object_get(vitrine, "stats", &stats, NULL);
    assert_true(gst_structure_get_uint64(stats, field, &value));
    gst_structure_free(stats);
    return value;
}
