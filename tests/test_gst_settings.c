/* SPDX-License-Identifier: MIT
 *
 * The properties of the GStreamer element: models, what is told of those that can't be used, and
 * the overlay.
 */
#include "support.h"

#include <gst/pbutils/pbutils.h>

#include "gst_support.h"

enum { SIDE = 96 };

static GstVideoInfo info;

static GstHarness *frames(const char *line) {
    GstHarness *harness = harness_new(line);
    gst_harness_set_src_caps(harness, frame_caps(&info, GST_VIDEO_FORMAT_RGB, SIDE, SIDE, NULL));
    return harness;
}

static GstBuffer *analyse(GstHarness *harness) {
    return gst_harness_push_and_pull(harness, noise_frame(&info, 4, 0));
}

/* Down to READY and up again, and on with the same kind of frames. */
static void restart(GstHarness *harness) {
    GstSegment segment;
    gst_element_set_state(harness->element, GST_STATE_READY);
    assert_int_equal(gst_element_set_state(harness->element, GST_STATE_PLAYING),
                     GST_STATE_CHANGE_SUCCESS);
    gst_segment_init(&segment, GST_FORMAT_TIME);
    gst_harness_push_event(harness, gst_event_new_stream_start("again"));
    gst_harness_set_src_caps(harness, frame_caps(&info, GST_VIDEO_FORMAT_RGB, SIDE, SIDE, NULL));
    gst_harness_push_event(harness, gst_event_new_segment(&segment));
}

/* ---- models ------------------------------------------------------------------------------- */

static void expect_options(vt_prediction *out, size_t count, const char *path,
                           const vt_model_options *model_options, size_t height, size_t width) {
    vt_error err = {0};
    vt_model *model;
    vt_session *session;
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    vt_frame frame = VT_FRAME_INIT;
    vt_result result = VT_RESULT_INIT;
    GstMapInfo map;
    GstBuffer *buffer = noise_frame(&info, 4, 0);
    options.height = height;
    options.width = width;
    result.predictions = out;
    result.top_k = count;
    expect_ok(vt_model_open(&model, path, model_options, &err), &err);
    expect_ok(vt_session_create(&session, model, &options, &err), &err);
    assert_true(gst_buffer_map(buffer, &map, GST_MAP_READ));
    expect_ok(vt_frame_set_packed(&frame, VT_PIXEL_RGB24, SIDE, SIDE, map.data, map.size, &err),
              &err);
    expect_ok(vt_session_run(session, &result, &frame, 1, &err), &err);
    gst_buffer_unmap(buffer, &map);
    gst_buffer_unref(buffer);
    vt_session_destroy(session);
    vt_model_close(model);
}

static void assert_scores(const GstVitrineMeta *meta, const vt_prediction *expected, size_t count) {
    assert_non_null(meta);
    assert_int_equal(meta->n_predictions, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(meta->predictions[i].index, expected[i].index);
        assert_true(meta->predictions[i].score == expected[i].score);
    }
}

static void check_options(const char *line, size_t count, const char *path,
                          const vt_model_options *options, size_t height, size_t width) {
    vt_prediction expected[8];
    GstHarness *harness = frames(line);
    GstBuffer *out = analyse(harness);
    expect_options(expected, count, path, options, height, width);
    assert_scores(gst_buffer_get_vitrine_meta(out), expected, count);
    gst_buffer_unref(out);
    harness_free(harness);
}

static void test_options(void **state) {
    (void)state;
    vt_model_options plain = VT_MODEL_OPTIONS_INIT, int8 = VT_MODEL_OPTIONS_INIT;
    int8.precision = "int8";
    check_options("vitrine", 5, bundled_model(), &plain, 0, 0);
    check_options("vitrine threads=1 top-k=8", 8, bundled_model(), &plain, 0, 0);
    check_options("vitrine size=96", 5, bundled_model(), &plain, 96, 96);
    check_options("vitrine size=160x96", 5, bundled_model(), &plain, 160, 96);
    check_options("vitrine precision=int8", 5, bundled_model(), &int8, 0, 0);
}

static const char *golden_model(void) {
    return data_path("golden", "timm_vit_token", NULL);
}

static void test_named_model(void **state) {
    (void)state;
    vt_model_options plain = VT_MODEL_OPTIONS_INIT;
    char *line = g_strdup_printf("vitrine top-k=3 model=%s", golden_model());
    check_options(line, 3, golden_model(), &plain, 0, 0);
    g_free(line);

    line = g_strdup_printf("vitrine top-k=1000 model=%s", golden_model()); /* has ten classes */
    GstHarness *harness = frames(line);
    GstBuffer *out = analyse(harness);
    assert_int_equal(gst_buffer_get_vitrine_meta(out)->n_predictions, 10);
    assert_memory_equal(gst_buffer_get_vitrine_meta(out)->predictions[9].label, "class ", 6);
    gst_buffer_unref(out);
    harness_free(harness);
    g_free(line);
}

/* A property that is set in READY holds from there on; one that is set while frames flow, from the
 * next READY. */
static void test_model_changes(void **state) {
    (void)state;
    GstHarness *harness = frames("vitrine name=v top-k=10");
    GstElement *vitrine = harness_find(harness, "v");
    GstBuffer *first = analyse(harness);
    g_object_set(vitrine, "model", golden_model(), NULL);
    GstBuffer *second = analyse(harness);
    assert_string_equal(gst_buffer_get_vitrine_meta(second)->predictions[0].label,
                        gst_buffer_get_vitrine_meta(first)->predictions[0].label);
    restart(harness);
    GstBuffer *third = analyse(harness);
    assert_memory_equal(gst_buffer_get_vitrine_meta(third)->predictions[0].label, "class ", 6);
    assert_int_equal(stat_of(vitrine, "frames"), 1);
    gst_buffer_unref(first);
    gst_buffer_unref(second);
    gst_buffer_unref(third);
    harness_free(harness);
}

static void test_properties(void **state) {
    (void)state;
    gchar *model, *labels, *size;
    gint precision;
    guint top_k, threads, interval;
    gboolean overlay, post_messages, qos;
    GstElement *element = gst_element_factory_make("vitrine", NULL);
    g_object_set(element, "model", "/a", "labels", "/b", "size", "1x2", "top-k", 3, "threads", 4,
                 "interval", 5, "post-messages", FALSE, "qos", FALSE, NULL);
    gst_util_set_object_arg(G_OBJECT(element), "precision", "bf16");
    g_object_get(element, "model", &model, "labels", &labels, "size", &size, "top-k", &top_k,
                 "threads", &threads, "interval", &interval, "overlay", &overlay, "post-messages",
                 &post_messages, "qos", &qos, "precision", &precision, NULL);
    assert_string_equal(model, "/a");
    assert_string_equal(labels, "/b");
    assert_string_equal(size, "1x2");
    assert_int_equal(top_k, 3);
    assert_int_equal(threads, 4);
    assert_int_equal(interval, 5);
    assert_int_equal(precision, 3);
    assert_false(overlay || post_messages || qos);
    g_free(model);
    g_free(labels);
    g_free(size);
    gst_object_unref(element);
}

/* ---- what can't be used ------------------------------------------------------------------- */

/* An element with that property does not reach PAUSED, and says why; put right, it does. */
static void check_refused(const char *property, const char *value, gint code, const char *reason) {
    GError *error = NULL;
    gchar *debug = NULL;
    GstElement *pipeline = gst_parse_launch("videotestsrc ! vitrine name=v ! fakesink", NULL);
    GstElement *vitrine = gst_bin_get_by_name(GST_BIN(pipeline), "v");
    GstBus *bus = gst_element_get_bus(pipeline);
    g_object_set(vitrine, property, value, NULL);
    assert_int_equal(gst_element_set_state(pipeline, GST_STATE_PAUSED), GST_STATE_CHANGE_FAILURE);
    GstMessage *message = gst_bus_pop_filtered(bus, GST_MESSAGE_ERROR);
    assert_non_null(message);
    gst_message_parse_error(message, &error, &debug);
    assert_true(g_error_matches(error, GST_RESOURCE_ERROR, code));
    if (!strstr(error->message, reason))
        fail_msg("\"%s\" does not say \"%s\"", error->message, reason);
    assert_null(gst_bus_pop_filtered(bus, GST_MESSAGE_ERROR));
    gst_element_set_state(pipeline, GST_STATE_NULL);

    g_object_set(vitrine, property, NULL, NULL);
    assert_int_not_equal(gst_element_set_state(pipeline, GST_STATE_PAUSED),
                         GST_STATE_CHANGE_FAILURE);
    assert_int_equal(gst_element_get_state(pipeline, NULL, NULL, GST_CLOCK_TIME_NONE),
                     GST_STATE_CHANGE_SUCCESS);
    gst_element_set_state(pipeline, GST_STATE_NULL);
    g_error_free(error);
    g_free(debug);
    gst_message_unref(message);
    gst_object_unref(bus);
    gst_object_unref(vitrine);
    gst_object_unref(pipeline);
}

static void test_refusals(void **state) {
    static const char *const sizes[] = {"0",  "224x", "x224", "224x0",     "12px",
                                        "-5", " 5",   "",     "9999999999"};
    (void)state;
    check_refused("model", "/no/such/model", GST_RESOURCE_ERROR_NOT_FOUND,
                  "/no/such/model: no such file or directory");
    check_refused("model", VT_SOURCE_DIR "/docs", GST_RESOURCE_ERROR_NOT_FOUND,
                  "docs/config.json: no such file");
    check_refused("model", VT_SOURCE_DIR "/weights/positions/rope", GST_RESOURCE_ERROR_SETTINGS,
                  "no classifier");
    check_refused("labels", "/no/such/labels", GST_RESOURCE_ERROR_OPEN_READ, "/no/such/labels");
    check_refused("labels", VT_SOURCE_DIR "/LICENSE", GST_RESOURCE_ERROR_OPEN_READ, "LICENSE");
    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++)
        check_refused("size", sizes[i], GST_RESOURCE_ERROR_SETTINGS, "224x320 (height x width)");
}

/* The default model's place, in the environment. */
static void test_environment(void **state) {
    (void)state;
    g_setenv("VITRINE_MODEL", golden_model(), TRUE);
    GstHarness *harness = frames("vitrine");
    GstBuffer *out = analyse(harness);
    assert_memory_equal(gst_buffer_get_vitrine_meta(out)->predictions[0].label, "class ", 6);
    gst_buffer_unref(out);
    harness_free(harness);
    g_unsetenv("VITRINE_MODEL");
}

/* ---- labels and the overlay --------------------------------------------------------------- */

/* A file of so many equal lines. */
static char *write_labels(const char *directory, const char *label, size_t count) {
    GString *text = g_string_new(NULL);
    for (size_t i = 0; i < count; i++)
        g_string_append_printf(text, "%s\n", label);
    char *path = g_build_filename(directory, "labels.txt", NULL);
    write_text(path, text->str);
    g_string_free(text, TRUE);
    return path;
}

/* How many of the pixels' bytes differ from those that analyse() pushes, in the rows from..to. */
static size_t count_changed(GstBuffer *out, size_t from, size_t to) {
    GstMapInfo a, b;
    size_t changed = 0;
    GstBuffer *in = noise_frame(&info, 4, 0);
    assert_true(gst_buffer_map(in, &a, GST_MAP_READ));
    assert_true(gst_buffer_map(out, &b, GST_MAP_READ));
    assert_int_equal(a.size, b.size);
    for (size_t i = from * SIDE * 3; i < to * SIDE * 3; i++)
        changed += a.data[i] != b.data[i];
    gst_buffer_unmap(in, &a);
    gst_buffer_unmap(out, &b);
    gst_buffer_unref(in);
    return changed;
}

static void test_overlay(void **state) {
    char *labels = write_labels(*state, "ham & <eggs>", 650), *text, *expected;
    char *line = g_strdup_printf("vitrine name=v overlay=true top-k=1 labels=%s", labels);
    GstHarness *harness = frames(line);
    GstElement *vitrine = harness_find(harness, "v"), *drawn = harness_find(harness, "textoverlay");
    GstBuffer *out = analyse(harness);
    const GstVitrineMeta *meta = gst_buffer_get_vitrine_meta(out);
    assert_string_equal(meta->predictions[0].label, "ham & <eggs>");
    expected = g_strdup_printf("%.1f%%  ham &amp; &lt;eggs&gt;", 100 * meta->predictions[0].score);
    g_object_get(drawn, "text", &text, NULL);
    assert_string_equal(text, expected);
    assert_true(count_changed(out, 0, SIDE / 2) > 100);
    assert_int_equal(count_changed(out, SIDE * 3 / 4, SIDE), 0);
    gst_buffer_unref(out);
    g_free(text);
    g_free(expected);

    g_object_set(vitrine, "overlay", FALSE, NULL); /* not before the next start */
    out = analyse(harness);
    assert_true(count_changed(out, 0, SIDE / 2) > 100);
    gst_buffer_unref(out);
    restart(harness);
    assert_null(gst_bin_get_by_name(GST_BIN(harness->element), "textoverlay"));
    out = analyse(harness);
    assert_int_equal(count_changed(out, 0, SIDE), 0);
    gst_buffer_unref(out);
    g_object_set(vitrine, "overlay", TRUE, NULL);
    restart(harness);
    out = analyse(harness);
    assert_true(count_changed(out, 0, SIDE / 2) > 100);
    gst_buffer_unref(out);
    harness_free(harness);
    g_free(line);
    g_free(labels);
}

/* Labels are what files have in them. */
static void test_bad_labels(void **state) {
    char *labels = write_labels(*state, "caf\xe9", 650), *text;
    char *line = g_strdup_printf("vitrine overlay=true top-k=1 labels=%s", labels);
    GstHarness *harness = frames(line);
    GstBuffer *out = analyse(harness);
    assert_string_equal(gst_buffer_get_vitrine_meta(out)->predictions[0].label, "caf\xef\xbf\xbd");
    g_object_get(harness_find(harness, "textoverlay"), "text", &text, NULL);
    assert_non_null(strstr(text, "caf\xef\xbf\xbd"));
    g_free(text);
    gst_buffer_unref(out);
    harness_free(harness);
    g_free(line);
    g_free(labels);
}

/* The last test: it takes textoverlay away. */
static void test_missing_textoverlay(void **state) {
    (void)state;
    GError *error = NULL;
    GstRegistry *registry = gst_registry_get();
    GstPluginFeature *feature = gst_registry_lookup_feature(registry, "textoverlay");
    gst_registry_remove_feature(registry, feature);
    gst_object_unref(feature);
    GstElement *pipeline = gst_parse_launch("videotestsrc ! vitrine overlay=true ! fakesink", NULL);
    GstBus *bus = gst_element_get_bus(pipeline);
    assert_int_equal(gst_element_set_state(pipeline, GST_STATE_PAUSED), GST_STATE_CHANGE_FAILURE);
    GstMessage *message = gst_bus_pop_filtered(bus, GST_MESSAGE_ELEMENT);
    assert_true(message && gst_is_missing_plugin_message(message));
    gst_message_unref(message);
    message = gst_bus_pop_filtered(bus, GST_MESSAGE_ERROR);
    gst_message_parse_error(message, &error, NULL);
    assert_true(g_error_matches(error, GST_CORE_ERROR, GST_CORE_ERROR_MISSING_PLUGIN));
    g_error_free(error);
    gst_message_unref(message);
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(bus);
    gst_object_unref(pipeline);
}

static int group_setup(void **state) {
    return gst_group_setup(state) || create_temp_dir(state);
}

static int group_teardown(void **state) {
    return remove_temp_dir(state) || gst_group_teardown(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_named_model),
        cmocka_unit_test(test_model_changes),
        cmocka_unit_test(test_properties),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_overlay),
        cmocka_unit_test(test_bad_labels),
        cmocka_unit_test(test_missing_textoverlay),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
