/* SPDX-License-Identifier: MIT
 *
 * What the GStreamer element says of frames is what vt_session_run says of the same pixels, and it
 * leaves these as they are.
 */
#include "support.h"

#include "gst_support.h"

enum { WIDTH = 163, HEIGHT = 121, TOP = 5 };

/* GStreamer's format, vitrine's, and the component that each of vitrine's planes begins with. */
static const struct {
    GstVideoFormat gst;
    vt_pixel_format vitrine;
    size_t num_planes;
    guint component[3];
} FORMATS[] = {
    {GST_VIDEO_FORMAT_RGB, VT_PIXEL_RGB24, 1, {0}},
    {GST_VIDEO_FORMAT_BGR, VT_PIXEL_BGR24, 1, {0}},
    {GST_VIDEO_FORMAT_RGBA, VT_PIXEL_RGBA, 1, {0}},
    {GST_VIDEO_FORMAT_RGBx, VT_PIXEL_RGBA, 1, {0}},
    {GST_VIDEO_FORMAT_BGRA, VT_PIXEL_BGRA, 1, {0}},
    {GST_VIDEO_FORMAT_BGRx, VT_PIXEL_BGRA, 1, {0}},
    {GST_VIDEO_FORMAT_GRAY8, VT_PIXEL_GRAY8, 1, {0}},
    {GST_VIDEO_FORMAT_NV12, VT_PIXEL_NV12, 2, {0, 1}},
    {GST_VIDEO_FORMAT_I420, VT_PIXEL_I420, 3, {0, 1, 2}},
    {GST_VIDEO_FORMAT_YV12, VT_PIXEL_I420, 3, {0, 1, 2}},
    {GST_VIDEO_FORMAT_YUY2, VT_PIXEL_YUYV, 1, {0}},
    {GST_VIDEO_FORMAT_UYVY, VT_PIXEL_UYVY, 1, {0}},
};

/* ---- expected ----------------------------------------------------------------------------- */

/* The pixels of a buffer, rows without gaps, as vt_frame_set_packed wants them; g_free. */
static uint8_t *pack(vt_frame *frame, const GstVideoInfo *info, GstBuffer *buffer, size_t format) {
    const size_t width = (size_t)info->width, height = (size_t)info->height;
    const size_t size = vt_frame_bytes(FORMATS[format].vitrine, width, height);
    vt_error err = {0};
    GstVideoFrame mapped;
    uint8_t *bytes = g_malloc(size);
    *frame = (vt_frame)VT_FRAME_INIT;
    expect_ok(vt_frame_set_packed(frame, FORMATS[format].vitrine, width, height, bytes, size, &err),
              &err);
    assert_true(gst_video_frame_map(&mapped, info, buffer, GST_MAP_READ));
    for (size_t i = 0; i < FORMATS[format].num_planes; i++) {
        const int plane = GST_VIDEO_FRAME_COMP_PLANE(&mapped, FORMATS[format].component[i]);
        const uint8_t *from = GST_VIDEO_FRAME_PLANE_DATA(&mapped, plane);
        const size_t stride = (size_t)GST_VIDEO_FRAME_PLANE_STRIDE(&mapped, plane);
        const size_t rows = i ? (height + 1) / 2 : height;
        for (size_t y = 0; y < rows; y++)
            memcpy((uint8_t *)frame->planes[i] + y * frame->strides[i], from + y * stride,
                   frame->strides[i]);
    }
    gst_video_frame_unmap(&mapped);
    return bytes;
}

/* Pushes the buffer, which stays the caller's, and checks what comes out against `frame`. */
static void check(GstHarness *harness, GstBuffer *buffer, const vt_frame *frame) {
    vt_prediction expected[TOP];
    char *before = checksum(buffer);
    GstBuffer *out = gst_harness_push_and_pull(harness, gst_buffer_ref(buffer));
    char *after = checksum(out);
    expect_frame(expected, TOP, frame);
    assert_meta(out, expected, TOP);
    assert_string_equal(before, after);
    assert_ptr_equal(gst_buffer_peek_memory(out, 0), gst_buffer_peek_memory(buffer, 0));
    assert_int_equal(GST_BUFFER_PTS(out), GST_BUFFER_PTS(buffer));
    assert_null(gst_buffer_get_vitrine_meta(buffer)); /* that is not for us to write */
    g_free(before);
    g_free(after);
    gst_buffer_unref(out);
}

/* ---- formats ------------------------------------------------------------------------------ */

/* 10 more bytes before each plane and 6 after each row than GStreamer's own layout has. */
static GstBuffer *spread(const GstVideoInfo *info, GstBuffer *from, GstVideoInfo *wide) {
    GstVideoFrame in, out;
    GstBuffer *buffer = gst_buffer_new_allocate(NULL, wide->size, NULL);
    gst_buffer_memset(buffer, 0, 0xa5, wide->size);
    gst_buffer_add_video_meta_full(buffer, GST_VIDEO_FRAME_FLAG_NONE, info->finfo->format,
                                   (guint)info->width, (guint)info->height, info->finfo->n_planes,
                                   wide->offset, wide->stride);
    assert_true(gst_video_frame_map(&in, info, from, GST_MAP_READ));
    assert_true(gst_video_frame_map(&out, info, buffer, GST_MAP_WRITE));
    assert_int_equal(GST_VIDEO_FRAME_PLANE_STRIDE(&out, 0), wide->stride[0]);
    assert_true(gst_video_frame_copy(&out, &in));
    gst_video_frame_unmap(&in);
    gst_video_frame_unmap(&out);
    return buffer;
}

static GstVideoInfo widen(const GstVideoInfo *info) {
    GstVideoInfo wide = *info;
    for (guint i = 0; i < info->finfo->n_planes; i++) {
        wide.offset[i] += (i + 1) * (10 + 6 * (gsize)info->height);
        wide.stride[i] += 6;
    }
    wide.size += 4 * (10 + 6 * (gsize)info->height);
    return wide;
}

static void check_format(GstHarness *harness, size_t format, const char *colorimetry) {
    GstVideoInfo info;
    vt_frame frame;
    GstCaps *caps = frame_caps(&info, FORMATS[format].gst, WIDTH, HEIGHT, colorimetry);
    GstBuffer *buffer = noise_frame(&info, 100 + (guint32)format, 1);
    uint8_t *bytes = pack(&frame, &info, buffer, format);
    GstVideoInfo wide = widen(&info);
    GstBuffer *spread_out = spread(&info, buffer, &wide);
    if (colorimetry) {
        frame.matrix = strstr(colorimetry, ":3:") ? VT_YUV_BT709 : VT_YUV_BT601;
        frame.full_range = colorimetry[0] == '1';
    }
    gst_harness_set_src_caps(harness, caps);
    check(harness, buffer, &frame);
    check(harness, spread_out, &frame);
    gst_buffer_unref(buffer);
    gst_buffer_unref(spread_out);
    g_free(bytes);
}

static void test_formats(void **state) {
    (void)state;
    GstHarness *harness = harness_new("vitrine");
    for (size_t i = 0; i < G_N_ELEMENTS(FORMATS); i++)
        check_format(harness, i, NULL);
    harness_free(harness);
}

/* RANGE:MATRIX:TRANSFER:PRIMARIES, as numbers of GStreamer's. */
static void test_colorimetry(void **state) {
    static const char *const colorimetries[] = {"2:4:0:0", "1:4:0:0", "2:3:0:0", "1:3:0:0"};
    (void)state;
    GstHarness *harness = harness_new("vitrine");
    for (size_t i = 0; i < G_N_ELEMENTS(FORMATS); i++)
        for (size_t j = 0; FORMATS[i].vitrine >= VT_PIXEL_NV12 && j < 4; j++)
            check_format(harness, i, colorimetries[j]);
    harness_free(harness);
}

static void test_crop_meta(void **state) {
    (void)state;
    GstVideoInfo info;
    vt_frame frame;
    GstHarness *harness = harness_new("vitrine");
    gst_harness_set_src_caps(harness,
                             frame_caps(&info, GST_VIDEO_FORMAT_NV12, WIDTH, HEIGHT, "2:4:0:0"));
    GstBuffer *buffer = noise_frame(&info, 7, 0);
    GstVideoCropMeta *crop = gst_buffer_add_video_crop_meta(buffer);
    crop->x = 31, crop->y = 12, crop->width = 80, crop->height = 60;
    uint8_t *bytes = pack(&frame, &info, buffer, 7);
    frame.crop_left = 31, frame.crop_top = 12, frame.crop_width = 80, frame.crop_height = 60;
    check(harness, buffer, &frame);
    crop->width = crop->height = 1000; /* to the edges */
    frame.crop_width = frame.crop_height = 0;
    check(harness, buffer, &frame);
    gst_buffer_unref(buffer);
    g_free(bytes);
    harness_free(harness);
}

/* ---- the meta ----------------------------------------------------------------------------- */

/* A result outlives the element, and goes with copies and with other sizes and formats. */
static void test_meta_travels(void **state) {
    (void)state;
    GstVideoInfo info;
    vt_frame frame;
    vt_prediction expected[TOP];
    GstHarness *harness = harness_new("vitrine ! videoconvert ! videoscale ! capsfilter "
                                      "caps=video/x-raw,format=I420,width=64,height=64");
    gst_harness_set_src_caps(harness, frame_caps(&info, GST_VIDEO_FORMAT_RGB, WIDTH, HEIGHT, NULL));
    GstBuffer *buffer = noise_frame(&info, 9, 0);
    uint8_t *bytes = pack(&frame, &info, buffer, 0);
    expect_frame(expected, TOP, &frame);
    GstBuffer *out = gst_harness_push_and_pull(harness, buffer);
    harness_free(harness);
    assert_int_equal(gst_buffer_get_size(out), 64 * 64 * 3 / 2);
    GstBuffer *copy = gst_buffer_copy_deep(out);
    assert_meta(out, expected, TOP);
    gst_buffer_unref(out);
    assert_meta(copy, expected, TOP);
    assert_true(GST_CLOCK_TIME_IS_VALID(gst_buffer_get_vitrine_meta(copy)->forward_time));
    gst_buffer_unref(copy);
    g_free(bytes);
}

static void test_meta_through_an_encoder(void **state) {
    (void)state;
    GstVideoInfo info;
    GstHarness *harness = harness_new("vitrine ! jpegenc");
    gst_harness_set_src_caps(harness, frame_caps(&info, GST_VIDEO_FORMAT_I420, 64, 64, NULL));
    GstBuffer *out = gst_harness_push_and_pull(harness, noise_frame(&info, 1, 0));
    assert_non_null(gst_buffer_get_vitrine_meta(out));
    gst_buffer_unref(out);
    harness_free(harness);
}

/* What the next element offers to write into, and asks for, reaches the one before. */
static void test_allocation(void **state) {
    (void)state;
    GstVideoInfo info;
    GstHarness *harness = harness_new("vitrine");
    GstCaps *caps = frame_caps(&info, GST_VIDEO_FORMAT_I420, 64, 64, NULL);
    GstQuery *query = gst_query_new_allocation(caps, TRUE);
    gst_harness_add_propose_allocation_meta(harness, GST_VIDEO_CROP_META_API_TYPE, NULL);
    gst_harness_set_src_caps(harness, caps);
    assert_true(gst_pad_peer_query(harness->srcpad, query));
    assert_true(gst_query_find_allocation_meta(query, GST_VIDEO_CROP_META_API_TYPE, NULL));
    gst_query_unref(query);
    harness_free(harness);
}

/* A buffer that is ours alone is not even copied as a header. */
static void test_writable_buffer(void **state) {
    (void)state;
    GstVideoInfo info;
    GstHarness *harness = harness_new("vitrine");
    gst_harness_set_src_caps(harness, frame_caps(&info, GST_VIDEO_FORMAT_I420, 64, 64, NULL));
    GstBuffer *buffer = noise_frame(&info, 1, 0);
    GstBuffer *out = gst_harness_push_and_pull(harness, buffer);
    assert_ptr_equal(out, buffer);
    assert_non_null(gst_buffer_get_vitrine_meta(out));
    gst_buffer_unref(out);
    harness_free(harness);
}

static void test_two_elements(void **state) {
    (void)state;
    GstVideoInfo info;
    gpointer at = NULL;
    guint count = 0;
    GstHarness *harness = harness_new("vitrine name=near top-k=1 ! vitrine name=far top-k=3");
    gst_harness_set_src_caps(harness, frame_caps(&info, GST_VIDEO_FORMAT_I420, 64, 64, NULL));
    GstBuffer *out = gst_harness_push_and_pull(harness, noise_frame(&info, 1, 0));
    const GType api = g_type_from_name(GST_VITRINE_META_API_NAME);
    for (GstMeta *meta; (meta = gst_buffer_iterate_meta_filtered(out, &at, api)); count++) {
        const GstVitrineMeta *found = (GstVitrineMeta *)meta;
        assert_string_equal(found->element, found->n_predictions == 1 ? "near" : "far");
    }
    assert_int_equal(count, 2);
    gst_buffer_unref(out);
    harness_free(harness);
}

/* ---- messages ----------------------------------------------------------------------------- */

static guint64 uint64_of(const GstStructure *structure, const char *field) {
    guint64 value = 0;
    assert_true(gst_structure_get_uint64(structure, field, &value));
    return value;
}

static void assert_message(const GstStructure *structure, const vt_prediction *expected,
                           size_t count) {
    const GValue *predictions = gst_structure_get_value(structure, "predictions");
    assert_int_equal(gst_value_array_get_size(predictions), count);
    for (size_t i = 0; i < count; i++) {
        const GstStructure *prediction =
            gst_value_get_structure(gst_value_array_get_value(predictions, (guint)i));
        guint index;
        double score;
        assert_true(gst_structure_get_uint(prediction, "index", &index));
        assert_true(gst_structure_get_double(prediction, "score", &score));
        assert_int_equal(index, expected[i].index);
        assert_true(score == expected[i].score);
        assert_string_equal(gst_structure_get_string(prediction, "label"),
                            vt_model_label(expected_model(), index));
    }
}

static void test_message(void **state) {
    (void)state;
    GstVideoInfo info;
    vt_frame frame;
    vt_prediction expected[2];
    GstSegment segment;
    GstHarness *harness = harness_new("vitrine name=v top-k=2");
    gst_harness_set_src_caps(harness, frame_caps(&info, GST_VIDEO_FORMAT_RGB, WIDTH, HEIGHT, NULL));
    gst_segment_init(&segment, GST_FORMAT_TIME);
    segment.start = 40 * GST_MSECOND;
    segment.time = 5 * GST_SECOND;
    segment.base = 7 * GST_SECOND;
    gst_harness_push_event(harness, gst_event_new_segment(&segment));
    GstBuffer *buffer = noise_frame(&info, 5, 2);
    uint8_t *bytes = pack(&frame, &info, buffer, 0);
    expect_frame(expected, 2, &frame);
    gst_buffer_unref(gst_harness_push_and_pull(harness, buffer));

    GstMessage *message = harness_message(harness, GST_MESSAGE_ELEMENT);
    assert_non_null(message);
    assert_string_equal(GST_MESSAGE_SRC_NAME(message), "v");
    const GstStructure *structure = gst_message_get_structure(message);
    assert_true(gst_structure_has_name(structure, "vitrine"));
    assert_int_equal(uint64_of(structure, "timestamp"), 80 * GST_MSECOND);
    assert_int_equal(uint64_of(structure, "stream-time"), 5040 * GST_MSECOND);
    assert_int_equal(uint64_of(structure, "running-time"), 7040 * GST_MSECOND);
    assert_int_equal(uint64_of(structure, "duration"), 40 * GST_MSECOND);
    assert_true(uint64_of(structure, "forward-time") < 3600 * GST_SECOND);
    assert_true(uint64_of(structure, "preprocess-time") < 3600 * GST_SECOND);
    assert_message(structure, expected, 2);
    gst_message_unref(message);
    assert_null(harness_message(harness, GST_MESSAGE_ELEMENT));

    g_object_set(harness_find(harness, "v"), "post-messages", FALSE, NULL);
    gst_buffer_unref(gst_harness_push_and_pull(harness, noise_frame(&info, 5, 3)));
    assert_null(harness_message(harness, GST_MESSAGE_ELEMENT));
    g_free(bytes);
    harness_free(harness);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_colorimetry),
        cmocka_unit_test(test_crop_meta),
        cmocka_unit_test(test_meta_travels),
        cmocka_unit_test(test_meta_through_an_encoder),
        cmocka_unit_test(test_allocation),
        cmocka_unit_test(test_writable_buffer),
        cmocka_unit_test(test_two_elements),
        cmocka_unit_test(test_message),
    };
    return cmocka_run_group_tests(tests, gst_group_setup, gst_group_teardown);
}
