/* SPDX-License-Identifier: MIT
 *
 * What `stream` reads: every pixel format, Y4M and MJPEG, and what is refused. Each frame's classes
 * must be those that the library tells of it.
 */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "frames.h"
#include "stream_lines.h"

enum { WIDTH = 37, HEIGHT = 29, FRAMES = 3, TOP = 3 };

static command_result ran;
static vt_model *model;
static vt_session *session;
static stream_line lines[64];

static int open_all(void **state) {
    return command_workspace(state) || vt_model_open(&model, "model", NULL, NULL) ||
           vt_session_create(&session, model, NULL, NULL);
}

static int close_all(void **state) {
    vt_session_destroy(session);
    vt_model_close(model);
    command_free(&ran);
    return command_cleanup(state);
}

static void classify(const vt_frame *frame, vt_prediction best[TOP]) {
    vt_error err = {0};
    vt_result result = VT_RESULT_INIT;
    result.predictions = best;
    result.top_k = TOP;
    expect_ok(vt_session_run(session, &result, frame, 1, &err), &err);
}

/* ---- streams ------------------------------------------------------------------------------- */

static void append(FILE *file, const void *bytes, size_t size) {
    assert_int_equal(fwrite(bytes, 1, size, file), size);
}

static FILE *create(const char *path) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    return file;
}

/* The planes of frames that make_frame made without gaps. */
static void append_frame(FILE *file, const test_frame *made) {
    const vt_frame *f = &made->frame;
    bool halved = f->format == VT_PIXEL_NV12 || f->format == VT_PIXEL_I420;
    for (size_t i = 0; i < 3 && f->planes[i]; i++)
        append(file, f->planes[i], f->strides[i] * (i && halved ? (f->height + 1) / 2 : f->height));
}

/* FRAMES random ones in a file of that name. */
static void make_stream(test_frame frames[FRAMES], vt_pixel_format format, const char *path,
                        const char *header, const char *frame_header) {
    test_random random = {17 + (uint64_t)format};
    FILE *file = create(path);
    append(file, header, strlen(header));
    for (size_t i = 0; i < FRAMES; i++) {
        frames[i] = make_frame(format, WIDTH, HEIGHT, 0, &random);
        append(file, frame_header, strlen(frame_header));
        append_frame(file, &frames[i]);
    }
    assert_int_equal(fclose(file), 0);
}

static void free_frames(test_frame frames[FRAMES]) {
    for (size_t i = 0; i < FRAMES; i++)
        free_frame(&frames[i]);
}

/* The command has just been run over them. */
static void expect_frames(const test_frame frames[FRAMES]) {
    assert_ran(&ran, 0, NULL, "");
    assert_int_equal(read_stream_lines(lines, FRAMES + 1, ran.out), FRAMES);
    for (size_t i = 0; i < FRAMES; i++) {
        vt_prediction best[TOP];
        classify(&frames[i].frame, best);
        expect_predictions(&lines[i], best, TOP);
        assert_int_equal(lines[i].frame, i);
        assert_int_equal(lines[i].dropped, 0);
        assert_int_equal(lines[i].width, frames[i].frame.width);
        assert_int_equal(lines[i].height, frames[i].frame.height);
        assert_true(lines[i].input[0] == 48 && lines[i].input[1] == 48);
    }
}

/* ---- raw ----------------------------------------------------------------------------------- */

static void test_raw(void **state) {
    static const char *const names[] = {
        [VT_PIXEL_RGB24] = "rgb24", [VT_PIXEL_BGR24] = "bgr24",
        [VT_PIXEL_RGBA] = "rgba",   [VT_PIXEL_BGRA] = "bgra",
        [VT_PIXEL_GRAY8] = "gray",  [VT_PIXEL_RGB_PLANAR_F32] = "rgb-planar-f32",
        [VT_PIXEL_NV12] = "nv12",   [VT_PIXEL_I420] = "i420",
        [VT_PIXEL_YUYV] = "yuy2",   [VT_PIXEL_UYVY] = "uyvy",
    };
    (void)state;
    for (unsigned format = 0; format < VT_PIXEL_MJPEG; format++) {
        test_frame frames[FRAMES];
        make_stream(frames, (vt_pixel_format)format, "raw", "", "");
        command_run(&ran, NULL, "stream", "-mmodel", "-qk3", "--format", names[format], "--size",
                    "37x29", "raw", NULL);
        expect_frames(frames);
        assert_int_equal(lines[2].pts_us, -1);
        free_frames(frames);
    }
}

/* The part of a JSON line that names classes. */
static char *predictions_in(const char *line) {
    const char *begin = strstr(line, "\"predictions\": ["), *end = strchr(begin, ']');
    return strndup(begin, (size_t)(end - begin));
}

/* To the letter. */
static void test_as_classify_prints_them(void **state) {
    test_frame frames[FRAMES];
    (void)state;
    make_stream(frames, VT_PIXEL_RGB24, "raw", "", "");
    command_run(&ran, NULL, "stream", "-mmodel", "-q", "--format=rgb24", "-s37x29", "raw", NULL);
    char *streamed = predictions_in(ran.out);
    FILE *picture = create("frame.ppm");
    append(picture, "P6 37 29 255\n", 13);
    append_frame(picture, &frames[0]);
    assert_int_equal(fclose(picture), 0);
    command_run(&ran, NULL, "classify", "-mmodel", "--format=json", "frame.ppm", NULL);
    char *classified = predictions_in(ran.out);
    assert_string_equal(streamed, classified);
    free(streamed);
    free(classified);
    free_frames(frames);
}

static void test_views(void **state) {
    static const struct {
        char *matrix, *range, *rotate, *mirror;
        vt_yuv_matrix as_matrix;
        unsigned as_rotate;
    } cases[] = {
        {"--matrix=bt601", "-q", "--rotate=0", "-q", VT_YUV_BT601, 0},
        {"--matrix=bt709", "-q", "--rotate=90", "-q", VT_YUV_BT709, 90},
        {"--matrix=bt709", "--full-range", "--rotate=180", "-q", VT_YUV_BT709, 180},
        {"--matrix=bt601", "--full-range", "--rotate=270", "--mirror", VT_YUV_BT601, 270},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        test_frame frames[FRAMES];
        make_stream(frames, VT_PIXEL_NV12, "raw", "", "");
        for (size_t f = 0; f < FRAMES; f++) {
            vt_frame *frame = &frames[f].frame;
            frame->matrix = cases[i].as_matrix;
            frame->full_range = strcmp(cases[i].range, "-q") != 0;
            frame->rotate = cases[i].as_rotate;
            frame->mirror = strcmp(cases[i].mirror, "-q") != 0;
            frame->crop_width = 20;
            frame->crop_height = 11;
            frame->crop_left = 5;
            frame->crop_top = 18;
        }
        command_run(&ran, NULL, "stream", "-mmodel", "-qk3", "--format=nv12", "--size=37x29",
                    "--crop=20x11+5+18", cases[i].matrix, cases[i].range, cases[i].rotate,
                    cases[i].mirror, "raw", NULL);
        expect_frames(frames);
        free_frames(frames);
    }
}

/* ---- Y4M ----------------------------------------------------------------------------------- */

static void test_y4m(void **state) {
    static const struct {
        const char *header, *frame;
        vt_pixel_format format;
        bool full_range;
        long last_pts_us;
    } cases[] = {
        {"YUV4MPEG2 W37 H29 F25:1 Ip A1:1 C420jpeg XYSCSS=420JPEG XCOLORRANGE=LIMITED\n", "FRAME\n",
         VT_PIXEL_I420, false, 80000},
        {"YUV4MPEG2 W37 H29 F30000:1001 C420mpeg2 XCOLORRANGE=FULL\n", "FRAME Ip XB=1\n",
         VT_PIXEL_I420, true, 66733},
        {"YUV4MPEG2 H29 W37\n", "FRAME\n", VT_PIXEL_I420, false, -1},
        {"YUV4MPEG2 W37 H29 F0:0 C420\n", "FRAME\n", VT_PIXEL_I420, false, -1},
        {"YUV4MPEG2 W37 H29 F1:1 XYSCSS=420PALDV\n", "FRAME\n", VT_PIXEL_I420, false, 2000000},
        {"YUV4MPEG2 W37 H29 F50:1 XYSCSS=444 C420paldv\n", "FRAME\n", VT_PIXEL_I420, false, 40000},
        {"YUV4MPEG2 W37 H29 F10:1 Cmono XCOLORRANGE=FULL\n", "FRAME\n", VT_PIXEL_GRAY8, false,
         200000},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        test_frame frames[FRAMES];
        make_stream(frames, cases[i].format, "video", cases[i].header, cases[i].frame);
        for (size_t f = 0; f < FRAMES; f++)
            frames[f].frame.full_range = cases[i].full_range;
        command_run(&ran, NULL, "stream", "-mmodel", "-qk3", "video", NULL);
        expect_frames(frames);
        assert_int_equal(lines[2].pts_us, cases[i].last_pts_us);
        command_run(&ran, NULL, "stream", "-mmodel", "-qk3", "--format=y4m", "--fps=30000/1001",
                    "video", NULL);
        expect_frames(frames);
        assert_int_equal(lines[2].pts_us, 66733);
        free_frames(frames);
    }
}

static void refuse_y4m(const char *header, const char *reason) {
    char expected[512];
    write_file("video", header, strlen(header));
    command_run(&ran, NULL, "stream", "-mmodel", "video", NULL);
    snprintf(expected, sizeof expected, "vitrine: video: %s\n", reason);
    assert_ran(&ran, 1, "", expected);
}

static void test_y4m_refusals(void **state) {
    static const char *const colours[] = {"444", "422", "420p10", "444alpha", "mono12", "411"};
    char header[3000], reason[256];
    (void)state;
    for (size_t i = 0; i < sizeof colours / sizeof *colours; i++) {
        snprintf(header, sizeof header, "YUV4MPEG2 W4 H4 F25:1 C%s\nFRAME\n", colours[i]);
        snprintf(reason, sizeof reason,
                 "Y4M: colour space %s; expected 420, 420jpeg, 420mpeg2, 420paldv or mono (ffmpeg: "
                 "-pix_fmt yuv420p)",
                 colours[i]);
        refuse_y4m(header, reason);
    }
    refuse_y4m("YUV4MPEG2 W4 H4 Cmono XCOLORRANGE=LIMITED\n",
               "Y4M: mono of limited range; expected the full one (ffmpeg: -color_range pc)");
    refuse_y4m("YUV4MPEG2 W4 F25:1\n", "Y4M: a header without width and height");
    refuse_y4m("YUV4MPEG2 W0 H4\n", "Y4M: a width or height of '0'");
    refuse_y4m("YUV4MPEG2 W4 H-4\n", "Y4M: a width or height of '-4'");
    refuse_y4m("YUV4MPEG2 W4 H4x\n", "Y4M: a width or height of '4x'");
    refuse_y4m("YUV4MPEG2 W4 H99999999999999999999\n",
               "Y4M: a width or height of '99999999999999999999'");
    refuse_y4m("YUV4MPEG2 W4 H4 F25\n", "Y4M: a frame rate of '25'");
    refuse_y4m("YUV4MPEG2 W4 H4 F25:1", "Y4M: a header without an end");
    refuse_y4m("YUV4MPEG2 W16777216 H16777216\n",
               "frames of 16777216x16777216 pixels: over the limit of 268435456");
    refuse_y4m("YUV4MPEG2 W4 H4\nFRAMES\n", "Y4M: no FRAME where the next frame should begin");
    refuse_y4m("YUV4MPEG2 W4 H4\nFRAME",
               "the last frame is cut: it has 0 of the 24 bytes of yuv420p at 4x4");
    refuse_y4m("YUV4MPEG2 W4 H4\nFRAME\n0123456789",
               "the last frame is cut: it has 10 of the 24 bytes of yuv420p at 4x4");
    memset(header, 'X', sizeof header);
    memcpy(header, "YUV4MPEG2 W4 H4 ", 16);
    header[2999] = '\0';
    refuse_y4m(header, "Y4M: a header without an end");
    write_file("video", "none", 4);
    command_run(&ran, NULL, "stream", "-mmodel", "--format=y4m", "video", NULL);
    assert_ran(&ran, 1, "", "vitrine: video: not a Y4M stream: it does not begin with YUV4MPEG2\n");
}

/* ---- MJPEG --------------------------------------------------------------------------------- */

typedef struct jpeg {
    unsigned char *bytes;
    size_t size;
} jpeg;

static jpeg read_jpeg(const char *name) {
    jpeg j;
    j.bytes = read_bytes(data_path("images", name, NULL), &j.size);
    return j;
}

static void expect_jpeg(const stream_line *line, const jpeg *j, int width, int height) {
    vt_error err = {0};
    vt_frame frame = VT_FRAME_INIT;
    vt_prediction best[TOP];
    expect_ok(vt_frame_set_packed(&frame, VT_PIXEL_MJPEG, 0, 0, j->bytes, j->size, &err), &err);
    classify(&frame, best);
    expect_predictions(line, best, TOP);
    assert_int_equal(line->width, width);
    assert_int_equal(line->height, height);
}

/* As ffmpeg and libcamera-vid write them; as HTTP cameras do; and as webcams do, which leave out
 * the tables that everyone has. */
static void test_mjpeg(void **state) {
    static const char boundary[] = "--b\r\nContent-Type: image/jpeg\r\n\r\n";
    jpeg j[] = {read_jpeg("baseline420.jpg"), read_jpeg("progressive.jpg"), read_jpeg("gray.jpg")};
    (void)state;
    for (int multipart = 0; multipart < 2; multipart++) {
        FILE *file = create("stream.mjpeg");
        for (size_t i = 0; i < 3; i++) {
            append(file, boundary, multipart ? sizeof boundary - 1 : 0);
            append(file, j[i].bytes, j[i].size);
        }
        assert_int_equal(fclose(file), 0);
        command_run(&ran, NULL, "stream", "-mmodel", "-qk3", "--fps=10", "stream.mjpeg", NULL);
        assert_ran(&ran, 0, NULL, "");
        assert_int_equal(read_stream_lines(lines, 64, ran.out), 3);
        for (size_t i = 0; i < 3; i++) {
            expect_jpeg(&lines[i], &j[i], 67, 45);
            assert_int_equal(lines[i].pts_us, 100000 * (long)i);
        }
    }
    for (size_t i = 0; i < 3; i++)
        free(j[i].bytes);
}

static size_t find_marker(const jpeg *j, unsigned char code, size_t from) {
    while (from + 1 < j->size && (j->bytes[from] != 0xFF || j->bytes[from + 1] != code))
        from++;
    return from;
}

static void test_no_tables(void **state) {
    enum { DHT = 0xC4, SOS = 0xDA };
    jpeg j = read_jpeg("baseline444.jpg");
    size_t tables = find_marker(&j, DHT, 0), scan = find_marker(&j, SOS, tables);
    FILE *file = create("stream.mjpeg");
    (void)state;
    append(file, j.bytes, tables);
    append(file, j.bytes + scan, j.size - scan);
    assert_int_equal(fclose(file), 0);
    command_run(&ran, NULL, "stream", "-mmodel", "-qk3", "stream.mjpeg", NULL);
    assert_ran(&ran, 0, NULL, "");
    assert_int_equal(read_stream_lines(lines, 64, ran.out), 1);
    expect_jpeg(&lines[0], &j, 67, 45);
    free(j.bytes);
}

/* A line each, and the next one is read. */
static void test_broken_mjpeg(void **state) {
    jpeg j = read_jpeg("baseline420.jpg");
    FILE *file = create("stream.mjpeg");
    (void)state;
    append(file, j.bytes, j.size);
    append(file, j.bytes, j.size - 100);
    append(file, j.bytes, j.size);
    append(file, "\xFF\xD8\xFF\xD9", 4); /* well-formed, and no picture */
    append(file, j.bytes, j.size - 1);
    assert_int_equal(fclose(file), 0);
    command_run(&ran, NULL, "stream", "-mmodel", "-qk3", "stream.mjpeg", NULL);
    assert_int_equal(read_stream_lines(lines, 64, ran.out), 4);
    char expected[512];
    snprintf(expected, sizeof expected,
             "vitrine: stream.mjpeg: frame 1: JPEG: the next picture begins before the end of this "
             "one\nvitrine: stream.mjpeg: frame 3: %s\nvitrine: stream.mjpeg: the last frame is "
             "cut after 1369 bytes\n",
             lines[3].error);
    assert_ran(&ran, 1, NULL, expected);
    expect_jpeg(&lines[0], &j, 67, 45);
    assert_string_equal(lines[1].error, "JPEG: the next picture begins before the end of this one");
    expect_jpeg(&lines[2], &j, 67, 45);
    assert_int_equal(strncmp(lines[3].error, "JPEG: ", 6), 0);
    free(j.bytes);
}

/* Pictures of other sizes than the first, and a part that not all of them have. */
static void test_changing_sizes(void **state) {
    jpeg small = read_jpeg("gray.jpg"), turned = read_jpeg("orientation6.jpg");
    FILE *file = create("stream.mjpeg");
    size_t size;
    unsigned char *rocket = read_bytes("rocket.jpg", &size);
    jpeg large = {rocket, size};
    (void)state;
    append(file, large.bytes, large.size);
    append(file, small.bytes, small.size);
    append(file, turned.bytes, turned.size);
    assert_int_equal(fclose(file), 0);
    command_run(&ran, NULL, "stream", "-mmodel", "-qk3", "stream.mjpeg", NULL);
    assert_ran(&ran, 0, NULL, "");
    assert_int_equal(read_stream_lines(lines, 64, ran.out), 3);
    expect_jpeg(&lines[0], &large, 640, 427);
    expect_jpeg(&lines[1], &small, 67, 45);
    expect_jpeg(&lines[2], &turned, lines[2].width, lines[2].height);
    command_run(&ran, NULL, "stream", "-mmodel", "-qk3", "--crop=100x100+0+0", "stream.mjpeg",
                NULL);
    assert_ran(&ran, 2, NULL,
               "vitrine: --crop 100x100+0+0 reaches beyond a frame of 67x45\n"
               "Try 'vitrine stream --help'.\n");
    assert_int_equal(read_stream_lines(lines, 64, ran.out), 1);
    free(small.bytes);
    free(turned.bytes);
    free(rocket);
}

/* ---- what does not go together ------------------------------------------------------------- */

#define TRY "Try 'vitrine stream --help'.\n"

static void test_refusals(void **state) {
    static const struct {
        char *arguments[4]; /* the last ones may be NULL */
        int code;
        const char *err;
    } cases[] = {
        {{"raw"},
         2,
         "vitrine: raw begins neither as Y4M nor as JPEG: raw frames need --format and "
         "--size\n" TRY},
        {{"none"}, 1, "vitrine: none: No such file or directory\n"},
        {{"."}, 1, "vitrine: .: Is a directory\n"},
        {{"empty"}, 1, "vitrine: empty: no frame in it\n"},
        {{"--format=gray", "--size=9x9", "empty"}, 1, "vitrine: empty: no frame in it\n"},
        {{"--format=mjpeg", "raw"}, 1, "vitrine: raw: no frame in it\n"},
        {{"--format=nv12", "raw"},
         2,
         "vitrine: --format nv12 needs --size WxH: raw frames don't say it\n" TRY},
        {{"--format=nv12", "--size=4x4", "video"},
         2,
         "vitrine: --format nv12: video is a Y4M stream\n" TRY},
        {{"--format=mjpeg", "video"}, 2, "vitrine: --format mjpeg: video is a Y4M stream\n" TRY},
        {{"--size=4x4", "video"},
         2,
         "vitrine: --size is that of raw frames; y4m frames say theirs\n" TRY},
        {{"--size=4x4", "rocket.jpg"},
         2,
         "vitrine: --size is that of raw frames; mjpeg frames say theirs\n" TRY},
        {{"--matrix=bt709", "rocket.jpg"},
         2,
         "vitrine: --matrix is for frames of Y, U and V, and not for mjpeg\n" TRY},
        {{"--full-range", "--format=rgb", "--size=4x4", "raw"},
         2,
         "vitrine: --format: unknown value 'rgb', did you mean 'rgb24'?\n" TRY},
        {{"--full-range", "--format=rgb24", "--size=4x4", "raw"},
         2,
         "vitrine: --full-range is for frames of Y, U and V, and not for rgb24\n" TRY},
        {{"--realtime", "rocket.jpg"},
         2,
         "vitrine: --realtime needs --fps: the stream does not say its rate\n" TRY},
        {{"--crop=4x4+1+0", "video"},
         2,
         "vitrine: --crop 4x4+1+0 reaches beyond a frame of 4x4\n" TRY},
        {{"--format=gray", "--size=30000x30000", "raw"},
         1,
         "vitrine: raw: frames of 30000x30000 pixels: over the limit of 268435456\n"},
        {{"--format=gray", "--size=8x8", "raw"},
         1,
         "vitrine: raw: the last frame is cut: it has 36 of the 64 bytes of gray at 8x8; are "
         "--format and --size right?\n"},
        {{NULL}, 2, "vitrine: expected one stream: a file, or - for standard input\n" TRY},
        {{"video", "video"},
         2,
         "vitrine: expected one stream: a file, or - for standard input\n" TRY},
    };
    char zeros[100] = "";
    (void)state;
    write_file("raw", zeros, sizeof zeros);
    write_file("empty", "", 0);
    write_file("video", "YUV4MPEG2 W4 H4\nFRAME\n0123456789ABCDEF01234567", 46);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *const *a = cases[i].arguments;
        command_run(&ran, NULL, "stream", "-mmodel", "-q", a[0], a[1], a[2], a[3], NULL);
        assert_ran(&ran, cases[i].code, NULL, cases[i].err);
    }
}

static void test_values(void **state) {
    static const struct {
        char *argument;
        const char *expected;
    } cases[] = {
        {"--size=37", "a size in pixels such as 1280x720 (width x height)"},
        {"--size=0x29", "a size in pixels such as 1280x720 (width x height)"},
        {"--size=37x29x", "a size in pixels such as 1280x720 (width x height)"},
        {"--crop=4x4", "a part such as 640x480+320+120 (width x height + left + top)"},
        {"--crop=4x0+1+1", "a part such as 640x480+320+120 (width x height + left + top)"},
        {"--crop=4x4+1+-1", "a part such as 640x480+320+120 (width x height + left + top)"},
        {"--crop=4x4+1+1+", "a part such as 640x480+320+120 (width x height + left + top)"},
        {"--fps=0", "frames in a second, such as 30, 29.97 or 30000/1001"},
        {"--fps=30/0", "frames in a second, such as 30, 29.97 or 30000/1001"},
        {"--fps=30/1/", "frames in a second, such as 30, 29.97 or 30000/1001"},
        {"--fps=-30", "frames in a second, such as 30, 29.97 or 30000/1001"},
        {"--drop=all", "none, latest, or queue:N with N from 1 to 1000"},
        {"--drop=queue", "none, latest, or queue:N with N from 1 to 1000"},
        {"--drop=queue:0", "none, latest, or queue:N with N from 1 to 1000"},
        {"--drop=queue:1001", "none, latest, or queue:N with N from 1 to 1000"},
        {"--drop=queue:5s", "none, latest, or queue:N with N from 1 to 1000"},
        {"--smooth=0", "a number above 0, and 1 at most"},
        {"--smooth=1.01", "a number above 0, and 1 at most"},
        {"--smooth=x", "a number above 0, and 1 at most"},
        {"--rotate=45", "one of 0, 90, 180, 270"},
        {"--matrix=bt2020", "one of bt601, bt709"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char expected[256];
        const char *equals = strchr(cases[i].argument, '=');
        snprintf(expected, sizeof expected, "vitrine: %.*s: expected %s; found '%s'\n" TRY,
                 (int)(equals - cases[i].argument), cases[i].argument, cases[i].expected,
                 equals + 1);
        command_run(&ran, NULL, "stream", "-mmodel", cases[i].argument, "-", NULL);
        assert_ran(&ran, 2, "", expected);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_raw),
        cmocka_unit_test(test_as_classify_prints_them),
        cmocka_unit_test(test_views),
        cmocka_unit_test(test_y4m),
        cmocka_unit_test(test_y4m_refusals),
        cmocka_unit_test(test_mjpeg),
        cmocka_unit_test(test_no_tables),
        cmocka_unit_test(test_broken_mjpeg),
        cmocka_unit_test(test_changing_sizes),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_values),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
