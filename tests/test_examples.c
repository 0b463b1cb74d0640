/* SPDX-License-Identifier: MIT
 *
 * The programs of examples/ say what the library says of the same pixels. camera runs with a camera
 * that is not there (fake_v4l2.c), threads with passes that do not end by themselves (fake_slow.c).
 * vitrine.py has a test of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <linux/videodev2.h>
#include <vitrine.h>

#include "command.h"

#define EMOJI VT_SOURCE_DIR "/images/emoji/"

static command_result ran;
static vt_model *model;
static vt_session *session;

/* ---- pictures, and what the library says of them ------------------------------------------ */

static vt_prediction best_of(const char *path) {
    vt_image image = {0};
    vt_prediction best;
    assert_int_equal(vt_image_read(&image, path, NULL, NULL), VT_OK);
    assert_int_equal(vt_classify_image(session, &image, &best, 1, NULL), VT_OK);
    vt_image_free(&image);
    return best;
}

/* "98.7% rainbow", valid until the next call but three. */
static const char *answer(const char *path) {
    static char lines[4][128];
    static size_t next;
    const vt_prediction best = best_of(path);
    char *line = lines[next++ % 4];
    snprintf(line, sizeof lines[0], "%.1f%% %s", 100.0 * best.score,
             vt_model_label(model, best.index));
    return line;
}

/* A picture of `width` x `height` pixels in a PPM file; rgb[height][width][3]. */
static void write_ppm(const char *path, const uint8_t *rgb, size_t width, size_t height) {
    char head[64];
    const size_t length = (size_t)snprintf(head, sizeof head, "P6 %zu %zu 255\n", width, height);
    char *bytes = malloc(length + 3 * width * height);
    assert_non_null(bytes);
    memcpy(bytes, head, length);
    memcpy(bytes + length, rgb, 3 * width * height);
    write_file(path, bytes, length + 3 * width * height);
    free(bytes);
}

/* The picture on a ground of stripes, `left` and `top` pixels from its corner, each of its pixels
 * drawn `scale` x `scale` times. */
static void place_picture(const char *path, const char *picture, size_t left, size_t top,
                          size_t scale) {
    vt_image image = {0};
    assert_int_equal(vt_image_read(&image, picture, NULL, NULL), VT_OK);
    const size_t width = scale * image.width + 2 * left, height = scale * image.height + 2 * top;
    uint8_t *rgb = malloc(3 * width * height);
    assert_non_null(rgb);
    for (size_t i = 0; i < 3 * width * height; i++)
        rgb[i] = i / 7 % 2 ? 255 : 0;
    for (size_t y = 0; y < scale * image.height; y++)
        for (size_t x = 0; x < scale * image.width; x++)
            memcpy(rgb + 3 * ((top + y) * width + left + x),
                   image.pixels + y / scale * image.stride + 3 * (x / scale), 3);
    write_ppm(path, rgb, width, height);
    free(rgb);
    vt_image_free(&image);
}

/* The camera's picture: chroma is the same in each 2 x 2 pixels, so that what YUV keeps of it does
 * not matter. */
static int set_up(void **state) {
    if (command_workspace(state) || vt_model_open(&model, "bundled", NULL, NULL) ||
        vt_session_create(&session, model, NULL, NULL))
        return -1;
    place_picture("picture.ppm", EMOJI "crayon_emojione_128.webp", 0, 0, 2);
    return 0;
}

static int tear_down(void **state) {
    vt_session_destroy(session);
    vt_model_close(model);
    command_free(&ran);
    return command_cleanup(state);
}

/* ---- classify ----------------------------------------------------------------------------- */

static void test_classify(void **state) {
    char expected[128];
    (void)state;
    snprintf(expected, sizeof expected, "%s\n", answer("rainbow.png"));
    command_run_program(&ran, VT_EXAMPLE_CLASSIFY, "bundled", "rainbow.png", NULL);
    assert_ran(&ran, 0, expected, "");
    command_run_program(&ran, VT_EXAMPLE_CLASSIFY, "bundled", NULL);
    assert_ran(&ran, 1, "", "usage: classify MODEL IMAGE\n");
    command_run_program(&ran, VT_EXAMPLE_CLASSIFY, "bundled", "none.png", NULL);
    assert_ran(&ran, 1, "", "none.png: No such file or directory\n");
}

/* ---- camera ------------------------------------------------------------------------------- */

/* Runs it over a fake camera that has these settings. */
static void watch(const char *settings, const char *frames) {
    char device[256];
    snprintf(device, sizeof device, "fake:%s:picture.ppm", settings);
    command_run_program(&ran, VT_EXAMPLE_CAMERA_FAKE, "bundled", device, frames, NULL);
}

/* A line of the output: this frame's, with the label of the picture, and its score within 0.8%, as
 * rounded YUV gives; another matrix gives 2.3% at least, another range 1.6%. Returns the next line.
 */
static const char *check_line(const char *line, unsigned frame, const vt_prediction *best) {
    unsigned found;
    double score, milliseconds;
    char label[64];
    assert_int_equal(
        sscanf(line, "frame %u: %lf%% %63[^(](%lf ms)", &found, &score, label, &milliseconds), 4);
    assert_int_equal(found, frame);
    label[strlen(label) - 1] = '\0';
    assert_string_equal(label, vt_model_label(model, best->index));
    if (score < 100 * best->score - 0.8 || score > 100 * best->score + 0.8)
        fail_msg("%.1f%% expected, not %s", 100 * best->score, line);
    assert_non_null(strchr(line, '\n'));
    return strchr(line, '\n') + 1;
}

static void test_camera_formats(void **state) {
    const vt_prediction best = best_of("picture.ppm");
    const struct {
        const char *format;
        int colorspace, matrix, range;
    } cases[] = {
        {"YUYV", V4L2_COLORSPACE_SRGB, 0, 0}, /* BT.601, limited */
        {"YUYV", V4L2_COLORSPACE_REC709, 0, 0},
        {"YUYV", V4L2_COLORSPACE_JPEG, 0, 0}, /* BT.601, full */
        {"YUYV", V4L2_COLORSPACE_SRGB, V4L2_YCBCR_ENC_709, V4L2_QUANTIZATION_FULL_RANGE},
        {"YUYV", V4L2_COLORSPACE_REC709, V4L2_YCBCR_ENC_601, V4L2_QUANTIZATION_LIM_RANGE},
        {"NV12", V4L2_COLORSPACE_REC709, 0, 0},
        {"MJPG", V4L2_COLORSPACE_JPEG, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char settings[128];
        snprintf(settings, sizeof settings, "format=%s,colorspace=%d,matrix=%d,range=%d",
                 cases[i].format, cases[i].colorspace, cases[i].matrix, cases[i].range);
        watch(settings, "3");
        assert_ran(&ran, 0, NULL, "");
        const char *line = ran.out;
        for (unsigned frame = 0; frame < 3; frame++)
            line = check_line(line, frame, &best);
        assert_string_equal(line, "");
    }
}

/* Of frames that come at once the newest is looked at; what the camera itself calls damaged is
 * not. */
static void test_camera_newest(void **state) {
    const vt_prediction best = best_of("picture.ppm");
    (void)state;
    watch("format=YUYV,burst=3", "2");
    assert_ran(&ran, 0, NULL, "");
    assert_string_equal(check_line(check_line(ran.out, 2, &best), 5, &best), "");
    watch("format=YUYV,burst=3,damaged=2", "1");
    assert_ran(&ran, 0, NULL, "");
    assert_string_equal(check_line(ran.out, 1, &best), "");
    watch("format=NV12,damaged=0", "1");
    assert_ran(&ran, 0, NULL, "");
    assert_string_equal(check_line(ran.out, 1, &best), "");
}

/* A JPEG that was damaged on the way is said, and the next one looked at. */
static void test_camera_cut(void **state) {
    const vt_prediction best = best_of("picture.ppm");
    (void)state;
    watch("format=MJPG,cut=1", "3");
    assert_ran(&ran, 0, NULL, NULL);
    assert_string_equal(check_line(check_line(ran.out, 0, &best), 2, &best), "");
    const char *said = "frame 1: JPEG: truncated after ";
    assert_int_equal(strncmp(ran.err, said, strlen(said)), 0);
}

static void test_camera_failures(void **state) {
    const vt_prediction best = best_of("picture.ppm");
    (void)state;
    watch("format=YUYV,unplug=1", "3");
    assert_ran(&ran, 1, NULL, "VIDIOC_DQBUF: No such device\n");
    watch("format=YUYV,unplug=2", "0");
    assert_ran(&ran, 1, NULL, "VIDIOC_DQBUF: No such device\n");
    assert_string_equal(check_line(ran.out, 0, &best), "");
    watch("format=YUYV,silent=1", "3");
    assert_ran(&ran, 1, "", "no frame in 2 s\n");
    watch("format=GREY", "3");
    assert_ran(&ran, 1, "", "the camera has none of NV12, YUYV, UYVY and MJPEG\n");
    watch("format=YUYV,still=1", "3");
    assert_ran(&ran, 1, "", "fake:format=YUYV,still=1:picture.ppm: Fake camera streams no video\n");
    command_run_program(&ran, VT_EXAMPLE_CAMERA, "bundled", "rainbow.png", NULL);
    assert_ran(&ran, 1, "", "rainbow.png: Inappropriate ioctl for device\n");
    command_run_program(&ran, VT_EXAMPLE_CAMERA, "nowhere", NULL);
    assert_ran(&ran, 1, "", NULL);
    assert_int_equal(strncmp(ran.err, "nowhere: ", 9), 0);
    command_run_program(&ran, VT_EXAMPLE_CAMERA, NULL);
    assert_ran(&ran, 1, "", "usage: camera MODEL [DEVICE [FRAMES]]\n");
}

/* ---- threads ------------------------------------------------------------------------------ */

static void test_threads(void **state) {
    char expected[512];
    (void)state;
    snprintf(expected, sizeof expected, "rainbow.png: %s\ncat.png: %s\nrainbow.png: %s\n",
             answer("rainbow.png"), answer("cat.png"), answer("rainbow.png"));
    command_run_program(&ran, VT_EXAMPLE_THREADS, "bundled", "600000", "rainbow.png", "cat.png",
                        "rainbow.png", NULL);
    assert_ran(&ran, 0, expected, "");
    snprintf(expected, sizeof expected, "rainbow.png: %s\n", answer("rainbow.png"));
    command_run_program(&ran, VT_EXAMPLE_THREADS, "bundled", "600000", "none.png", "rainbow.png",
                        NULL);
    assert_ran(&ran, 1, expected, "none.png: No such file or directory\n");
    command_run_program(&ran, VT_EXAMPLE_THREADS, "bundled", "soon", "rainbow.png", NULL);
    assert_ran(&ran, 1, "", "usage: threads MODEL MILLISECONDS IMAGE... (64 at most)\n");
}

static void test_threads_out_of_time(void **state) {
    (void)state;
    command_run_program(&ran, VT_EXAMPLE_THREADS_SLOW, "bundled", "1", "rainbow.png", "cat.png",
                        NULL);
    assert_ran(&ran, 1, "", "rainbow.png: out of time\ncat.png: out of time\n");
}

/* ---- opencv ------------------------------------------------------------------------------- */

#ifdef VT_EXAMPLE_OPENCV
static void test_opencv(void **state) {
    char expected[128];
    (void)state;
    snprintf(expected, sizeof expected, "%s\n", answer("cat.png"));
    command_run_program(&ran, VT_EXAMPLE_OPENCV, "bundled", "cat.png", NULL);
    assert_ran(&ran, 0, expected, "");
    place_picture("placed.ppm", "rainbow.png", 31, 17, 1);
    snprintf(expected, sizeof expected, "%s\n", answer("rainbow.png"));
    command_run_program(&ran, VT_EXAMPLE_OPENCV, "bundled", "placed.ppm", "31", "17", "224", "224",
                        NULL);
    assert_ran(&ran, 0, expected, "");
    command_run_program(&ran, VT_EXAMPLE_OPENCV, "bundled", "placed.ppm", "63", "17", "224", "224",
                        NULL);
    assert_ran(&ran, 1, "", "the part is not within the picture\n");
    command_run_program(&ran, VT_EXAMPLE_OPENCV, "bundled", "none.png", NULL);
    assert_ran(&ran, 1, "", "none.png: No such file or directory\n");
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classify),
        cmocka_unit_test(test_camera_formats),
        cmocka_unit_test(test_camera_newest),
        cmocka_unit_test(test_camera_cut),
        cmocka_unit_test(test_camera_failures),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_threads_out_of_time),
#ifdef VT_EXAMPLE_OPENCV
        cmocka_unit_test(test_opencv),
#endif
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
