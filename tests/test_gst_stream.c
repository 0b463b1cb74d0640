/* SPDX-License-Identifier: MIT
 *
 * The GStreamer element in time: which frames it analyses, other caps on the way, flushes, states,
 * lateness and latency.
 */
#include "support.h"

#include "gst/latency.h"
#include "gst_support.h"

/* ---- frames through a harness ------------------------------------------------------------- */

static GstVideoInfo info;

static GstHarness *small_frames(const char *line) {
    GstHarness *harness = harness_new(line);
    gst_harness_set_src_caps(harness, frame_caps(&info, GST_VIDEO_FORMAT_RGB, 64, 48, NULL));
    return harness;
}

/* Whether the nth frame comes out with a result. */
static gboolean analysed(GstHarness *harness, unsigned n) {
    GstBuffer *out = gst_harness_push_and_pull(harness, noise_frame(&info, 1, n));
    const gboolean found = gst_buffer_get_vitrine_meta(out) != NULL;
    assert_int_equal(GST_BUFFER_PTS(out), n * 40 * GST_MSECOND);
    gst_buffer_unref(out);
    return found;
}

static void flush(GstHarness *harness) {
    GstSegment segment;
    gst_segment_init(&segment, GST_FORMAT_TIME);
    gst_harness_push_event(harness, gst_event_new_flush_start());
    gst_harness_push_event(harness, gst_event_new_flush_stop(TRUE));
    gst_harness_push_event(harness, gst_event_new_segment(&segment));
}

/* ---- which frames ------------------------------------------------------------------------- */

static void test_interval(void **state) {
    (void)state;
    GstHarness *harness = small_frames("vitrine name=v interval=3");
    GstElement *vitrine = harness_find(harness, "v");
    for (unsigned n = 0; n < 8; n++)
        assert_int_equal(analysed(harness, n), n % 3 == 0);
    assert_int_equal(stat_of(vitrine, "frames"), 8);
    assert_int_equal(stat_of(vitrine, "analysed"), 3);
    assert_int_equal(stat_of(vitrine, "skipped"), 5);
    assert_int_equal(stat_of(vitrine, "late"), 0);

    flush(harness); /* what comes next is another picture */
    assert_true(analysed(harness, 20));
    assert_false(analysed(harness, 21));
    gst_harness_set_src_caps(harness, frame_caps(&info, GST_VIDEO_FORMAT_BGR, 48, 48, NULL));
    assert_true(analysed(harness, 22));
    assert_false(analysed(harness, 23));
    g_object_set(vitrine, "interval", 1, NULL);
    assert_true(analysed(harness, 24));
    assert_true(analysed(harness, 25));
    harness_free(harness);
}

static void test_gap(void **state) {
    (void)state;
    GstHarness *harness = small_frames("vitrine");
    GstBuffer *buffer = noise_frame(&info, 1, 0);
    GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_GAP);
    GstBuffer *out = gst_harness_push_and_pull(harness, buffer);
    assert_null(gst_buffer_get_vitrine_meta(out));
    gst_buffer_unref(out);
    harness_free(harness);
}

static void send_qos(GstHarness *harness, GstQOSType type, GstClockTimeDiff diff_ms, guint at_ms) {
    gst_harness_push_upstream_event(
        harness,
        gst_event_new_qos(type, 1.5, diff_ms * (GstClockTimeDiff)GST_MSECOND, at_ms * GST_MSECOND));
}

static void assert_qos_message(GstHarness *harness, guint64 processed, guint64 dropped) {
    GstFormat format;
    guint64 found_processed, found_dropped, running_time, timestamp;
    GstMessage *message = harness_message(harness, GST_MESSAGE_QOS);
    assert_non_null(message);
    gst_message_parse_qos_stats(message, &format, &found_processed, &found_dropped);
    gst_message_parse_qos(message, NULL, &running_time, NULL, &timestamp, NULL);
    assert_int_equal(format, GST_FORMAT_BUFFERS);
    assert_int_equal(found_processed, processed);
    assert_int_equal(found_dropped, dropped);
    assert_int_equal(running_time, timestamp);
    gst_message_unref(message);
}

/* Frames up to twice the lateness after the late one, or for as long as the sink throttles, pass
 * by. */
static void test_qos(void **state) {
    (void)state;
    GstHarness *harness = small_frames("vitrine name=v");
    GstElement *vitrine = harness_find(harness, "v");
    assert_true(analysed(harness, 0));
    send_qos(harness, GST_QOS_TYPE_UNDERFLOW, 60, 0); /* up to 120 ms */
    assert_false(analysed(harness, 1));
    assert_qos_message(harness, 1, 1);
    assert_false(analysed(harness, 2));
    assert_false(analysed(harness, 3));
    assert_true(analysed(harness, 4));
    assert_int_equal(stat_of(vitrine, "late"), 3);
    assert_int_equal(stat_of(vitrine, "analysed"), 2);

    send_qos(harness, GST_QOS_TYPE_OVERFLOW, -90, 200); /* early */
    assert_true(analysed(harness, 5));
    assert_true(analysed(harness, 6));
    send_qos(harness, GST_QOS_TYPE_THROTTLE, 60, 240); /* up to 300 ms */
    assert_false(analysed(harness, 7));
    assert_true(analysed(harness, 8));

    send_qos(harness, GST_QOS_TYPE_UNDERFLOW, 1000, 320);
    assert_false(analysed(harness, 9));
    g_object_set(vitrine, "qos", FALSE, NULL);
    assert_true(analysed(harness, 10));
    g_object_set(vitrine, "qos", TRUE, NULL);
    assert_false(analysed(harness, 11));
    flush(harness);
    assert_true(analysed(harness, 1));
    harness_free(harness);
}

/* ---- caps --------------------------------------------------------------------------------- */

/* The best class's score for a frame of that kind. */
static float score_of(GstHarness *harness, GstVideoFormat format, int width, int height) {
    GstVideoInfo kind;
    gst_harness_set_src_caps(harness, frame_caps(&kind, format, width, height, NULL));
    GstBuffer *out = gst_harness_push_and_pull(harness, noise_frame(&kind, 2, 0));
    const float score = gst_buffer_get_vitrine_meta(out)->predictions[0].score;
    gst_buffer_unref(out);
    return score;
}

/* In turns through one element, and each through one of its own. */
static void test_renegotiation(void **state) {
    static const struct {
        GstVideoFormat format;
        int width, height;
    } kinds[] = {{GST_VIDEO_FORMAT_RGB, 64, 48},
                 {GST_VIDEO_FORMAT_NV12, 320, 240},
                 {GST_VIDEO_FORMAT_GRAY8, 31, 200},
                 {GST_VIDEO_FORMAT_RGB, 200, 30}};
    (void)state;
    GstHarness *all = harness_new("vitrine");
    for (size_t turn = 0; turn < 2 * G_N_ELEMENTS(kinds); turn++) {
        const size_t i = turn % G_N_ELEMENTS(kinds);
        GstHarness *one = harness_new("vitrine");
        const float expected = score_of(one, kinds[i].format, kinds[i].width, kinds[i].height);
        assert_true(score_of(all, kinds[i].format, kinds[i].width, kinds[i].height) == expected);
        harness_free(one);
    }
    harness_free(all);
}

/* ---- pipelines ---------------------------------------------------------------------------- */

static GstElement *pipeline_new(const char *line) {
    GError *error = NULL;
    GstElement *pipeline = gst_parse_launch(line, &error);
    if (error)
        fail_msg("%s", error->message);
    return pipeline;
}

static void pipeline_free(GstElement *pipeline) {
    assert_int_equal(gst_element_set_state(pipeline, GST_STATE_NULL), GST_STATE_CHANGE_SUCCESS);
    gst_object_unref(pipeline);
}

static void set_state(GstElement *pipeline, GstState wanted) {
    assert_int_not_equal(gst_element_set_state(pipeline, wanted), GST_STATE_CHANGE_FAILURE);
    assert_int_not_equal(gst_element_get_state(pipeline, NULL, NULL, GST_CLOCK_TIME_NONE),
                         GST_STATE_CHANGE_FAILURE);
}

/* Runs to the end; the results' timestamps are appended, after those of earlier results are dropped
 * whenever the first frame comes again. */
static void run_to_end(GstElement *pipeline, GArray *timestamps) {
    GstBus *bus = gst_element_get_bus(pipeline);
    for (gboolean ended = FALSE; !ended;) {
        guint64 timestamp;
        GstMessage *message = gst_bus_timed_pop_filtered(
            bus, 60 * GST_SECOND, GST_MESSAGE_EOS | GST_MESSAGE_ERROR | GST_MESSAGE_ELEMENT);
        assert_non_null(message);
        assert_int_not_equal(GST_MESSAGE_TYPE(message), GST_MESSAGE_ERROR);
        ended = GST_MESSAGE_TYPE(message) == GST_MESSAGE_EOS;
        if (!ended &&
            gst_structure_get_uint64(gst_message_get_structure(message), "timestamp", &timestamp)) {
            if (timestamp == 0)
                g_array_set_size(timestamps, 0);
            g_array_append_val(timestamps, timestamp);
        }
        gst_message_unref(message);
    }
    gst_object_unref(bus);
}

/* Two sources, one after the other, of different caps. */
static void test_caps_in_a_pipeline(void **state) {
    (void)state;
    GArray *timestamps = g_array_new(FALSE, FALSE, sizeof(guint64));
    GstElement *pipeline = pipeline_new(
        "concat name=c ! vitrine name=v ! fakesink "
        "videotestsrc num-buffers=5 ! video/x-raw,format=NV12,width=320,height=240 ! c. "
        "videotestsrc num-buffers=6 ! video/x-raw,format=RGB,width=64,height=48 ! c.");
    GstElement *vitrine = gst_bin_get_by_name(GST_BIN(pipeline), "v");
    set_state(pipeline, GST_STATE_PLAYING);
    run_to_end(pipeline, timestamps);
    assert_int_equal(stat_of(vitrine, "frames"), 11);
    assert_int_equal(stat_of(vitrine, "analysed"), 11);
    gst_object_unref(vitrine);
    g_array_unref(timestamps);
    pipeline_free(pipeline);
}

static void wait_for_frames(GstElement *vitrine, guint64 count) {
    while (stat_of(vitrine, "analysed") < count)
        g_usleep(1000);
}

static void test_flushing_seeks(void **state) {
    (void)state;
    GArray *timestamps = g_array_new(FALSE, FALSE, sizeof(guint64));
    GstElement *pipeline = pipeline_new("videotestsrc ! video/x-raw,framerate=10/1 ! queue ! "
                                        "vitrine name=v ! queue ! fakesink");
    GstElement *vitrine = gst_bin_get_by_name(GST_BIN(pipeline), "v");
    set_state(pipeline, GST_STATE_PLAYING);
    for (int i = 0; i < 20; i++) {
        wait_for_frames(vitrine, stat_of(vitrine, "analysed") + (i % 3));
        assert_true(gst_element_seek(pipeline, 1, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH,
                                     GST_SEEK_TYPE_SET, 0, GST_SEEK_TYPE_SET, 2 * GST_SECOND));
    }
    run_to_end(pipeline, timestamps);
    assert_int_equal(timestamps->len, 20);
    for (guint i = 0; i < timestamps->len; i++)
        assert_int_equal(g_array_index(timestamps, guint64, i), i * 100 * GST_MSECOND);
    gst_object_unref(vitrine);
    g_array_unref(timestamps);
    pipeline_free(pipeline);
}

static void test_states(void **state) {
    static const GstState states[] = {GST_STATE_PLAYING, GST_STATE_NULL,    GST_STATE_READY,
                                      GST_STATE_PAUSED,  GST_STATE_READY,   GST_STATE_PLAYING,
                                      GST_STATE_PAUSED,  GST_STATE_PLAYING, GST_STATE_READY,
                                      GST_STATE_NULL,    GST_STATE_PAUSED,  GST_STATE_NULL};
    (void)state;
    GstElement *pipeline = pipeline_new("videotestsrc ! vitrine name=v overlay=true ! fakesink");
    GstElement *vitrine = gst_bin_get_by_name(GST_BIN(pipeline), "v");
    for (size_t i = 0; i < 5 * G_N_ELEMENTS(states); i++) {
        const GstState wanted = states[i % G_N_ELEMENTS(states)];
        set_state(pipeline, wanted);
        if (wanted == GST_STATE_PLAYING)
            wait_for_frames(vitrine, 2);
    }
    gst_object_unref(vitrine);
    pipeline_free(pipeline);
}

/* ---- stopping amid a frame ---------------------------------------------------------------- */

typedef struct Push {
    GstHarness *harness;
    GstFlowReturn flow;
    GThread *thread;
} Push;

static gpointer push_frame(gpointer data) {
    Push *push = data;
    push->flow = gst_harness_push(push->harness, noise_frame(&info, 1, 0));
    return NULL;
}

static GstPadProbeReturn on_arrival(GstPad *pad, GstPadProbeInfo *probe, gpointer data) {
    (void)pad, (void)probe;
    g_atomic_int_set((gint *)data, 1);
    return GST_PAD_PROBE_REMOVE;
}

/* Has another thread push a frame, and returns some time after the element got it. */
static void begin_frame(Push *push) {
    gint arrived = 0;
    GstPad *pad = gst_element_get_static_pad(harness_find(push->harness, "core"), "sink");
    gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, on_arrival, &arrived, NULL);
    gst_object_unref(pad);
    push->flow = GST_FLOW_OK;
    push->thread = g_thread_new("push", push_frame, push);
    while (!g_atomic_int_get(&arrived))
        g_usleep(100);
    g_usleep(10000); /* it runs by now, or is about to: what is asserted holds for both */
}

/* A pass of this size takes seconds: who flushes, or stops, does not wait for its end. */
static void test_interruption(void **state) {
    (void)state;
    Push push = {.harness = small_frames("vitrine name=v size=768")};
    GstElement *vitrine = harness_find(push.harness, "v");

    begin_frame(&push);
    gst_harness_push_event(push.harness, gst_event_new_flush_start());
    g_thread_join(push.thread);
    assert_int_equal(push.flow, GST_FLOW_FLUSHING);
    assert_int_equal(stat_of(vitrine, "frames"), 1);
    assert_int_equal(stat_of(vitrine, "analysed"), 0);

    flush(push.harness);
    assert_true(analysed(push.harness, 1));

    begin_frame(&push);
    gst_element_set_state(push.harness->element, GST_STATE_NULL);
    g_thread_join(push.thread);
    assert_int_equal(push.flow, GST_FLOW_FLUSHING);
    assert_int_equal(stat_of(vitrine, "analysed"), 1);
    harness_free(push.harness);
}

/* ---- latency ------------------------------------------------------------------------------ */

static void query_latency(GstHarness *harness, GstClockTime *least, GstClockTime *most) {
    gboolean live;
    GstQuery *query = gst_query_new_latency();
    assert_true(gst_pad_peer_query(harness->sinkpad, query));
    gst_query_parse_latency(query, &live, least, most);
    assert_true(live);
    gst_query_unref(query);
}

static gboolean answer(GstPad *pad, GstObject *parent, GstQuery *query) {
    if (GST_QUERY_TYPE(query) != GST_QUERY_LATENCY)
        return gst_pad_query_default(pad, parent, query);
    gst_query_set_latency(query, TRUE, 20 * GST_MSECOND, 70 * GST_MSECOND);
    return TRUE;
}

/* Known before the first frame, and on top of what comes from upstream. */
static void test_latency(void **state) {
    (void)state;
    GstClockTime least, most;
    GstHarness *harness = small_frames("vitrine name=v");
    GstElement *vitrine = harness_find(harness, "v");
    gst_harness_set_upstream_latency(harness, 20 * GST_MSECOND);
    query_latency(harness, &least, &most);
    assert_true(stat_of(vitrine, "latency") > 0);
    assert_int_equal(least, 20 * GST_MSECOND + stat_of(vitrine, "latency"));
    assert_false(GST_CLOCK_TIME_IS_VALID(most));
    gst_pad_set_query_function(harness->srcpad, answer); /* a source that holds some frames */
    query_latency(harness, &least, &most);
    assert_int_equal(least, 20 * GST_MSECOND + stat_of(vitrine, "latency"));
    assert_int_equal(most, 70 * GST_MSECOND + stat_of(vitrine, "latency"));
    harness_free(harness);
}

static void test_live_pipeline(void **state) {
    (void)state;
    gboolean live;
    GstClockTime before_least, least, most;
    GArray *timestamps = g_array_new(FALSE, FALSE, sizeof(guint64));
    GstElement *pipeline =
        pipeline_new("videotestsrc is-live=true num-buffers=10 ! "
                     "queue max-size-buffers=3 max-size-bytes=0 max-size-time=0 ! "
                     "vitrine name=v ! fakesink sync=true");
    GstElement *vitrine = gst_bin_get_by_name(GST_BIN(pipeline), "v");
    GstPad *sink = gst_element_get_static_pad(vitrine, "sink");
    GstPad *src = gst_element_get_static_pad(vitrine, "src");
    GstQuery *query = gst_query_new_latency();
    set_state(pipeline, GST_STATE_PLAYING);
    run_to_end(pipeline, timestamps);
    assert_true(gst_pad_peer_query(sink, query));
    gst_query_parse_latency(query, &live, &before_least, &most);
    assert_true(gst_pad_query(src, query));
    gst_query_parse_latency(query, &live, &least, &most);
    assert_true(live);
    assert_int_equal(least, before_least + stat_of(vitrine, "latency"));
    gst_query_unref(query);
    gst_object_unref(sink);
    gst_object_unref(src);
    gst_object_unref(vitrine);
    g_array_unref(timestamps);
    pipeline_free(pipeline);
}

static void test_latency_told(void **state) {
    (void)state;
    GstVitrineLatency latency;
    gst_vitrine_latency_init(&latency, 800);
    assert_int_equal(latency.told, 900);
    assert_false(gst_vitrine_latency_update(&latency, 900));
    assert_false(gst_vitrine_latency_update(&latency, 5000)); /* one of them */
    assert_false(gst_vitrine_latency_update(&latency, 800));
    assert_false(gst_vitrine_latency_update(&latency, 5000));
    assert_true(gst_vitrine_latency_update(&latency, 1600)); /* two in a row */
    assert_int_equal(latency.told, 1800);
    for (int i = 0; i < 127; i++)
        assert_false(gst_vitrine_latency_update(&latency, 80));
    assert_true(gst_vitrine_latency_update(&latency, 160)); /* none for long */
    assert_int_equal(latency.told, 180);
    for (int i = 0; i < 1000; i++)
        assert_false(gst_vitrine_latency_update(&latency, i % 100 ? 40 : 90)); /* half is enough */
    assert_int_equal(latency.told, 180);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_interval),
        cmocka_unit_test(test_gap),
        cmocka_unit_test(test_qos),
        cmocka_unit_test(test_renegotiation),
        cmocka_unit_test(test_caps_in_a_pipeline),
        cmocka_unit_test(test_flushing_seeks),
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_interruption),
        cmocka_unit_test(test_latency),
        cmocka_unit_test(test_live_pipeline),
        cmocka_unit_test(test_latency_told),
    };
    return cmocka_run_group_tests(tests, gst_group_setup, gst_group_teardown);
}
