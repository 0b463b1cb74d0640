/* SPDX-License-Identifier: MIT
 *
 * JPEG pictures one after another, found by their markers: whatever lies in them and between them,
 * wherever a read ends, and after a broken one.
 */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/mjpeg.h"

enum { SOI = 0xD8, EOI = 0xD9, SOS = 0xDA, APP1 = 0xE1 };

/* What a read gives at most; and copies of a small picture that take more than a segment may. */
enum { READ_AT_ONCE = 1 << 16, COPIES = 60 };

/* Bytes that grow. */
typedef struct bytes {
    unsigned char *data;
    size_t size;
} bytes;

static void add(bytes *b, const void *data, size_t size) {
    b->data = realloc(b->data, b->size + size + 1);
    assert_non_null(b->data);
    memcpy(b->data + b->size, data, size);
    b->size += size;
}

static void add_text(bytes *b, const char *text) {
    add(b, text, strlen(text));
}

static void add_zeros(bytes *b, size_t count) {
    unsigned char *zeros = calloc(count + 1, 1);
    assert_non_null(zeros);
    add(b, zeros, count);
    free(zeros);
}

static bytes picture(const char *name) {
    bytes b;
    b.data = read_bytes(data_path("images", name, NULL), &b.size);
    return b;
}

/* ---- reading ------------------------------------------------------------------------------- */

typedef struct reading {
    FILE *file;
    int never[2]; /* a pipe that nothing is written to */
    byte_stream in;
    mjpeg_reader reader;
    frame_buffer frame;
} reading;

static reading *read_from(const bytes *b) {
    reading *r = calloc(1, sizeof *r);
    assert_non_null(r);
    r->file = tmpfile();
    assert_true(r->file && fwrite(b->data, 1, b->size, r->file) == b->size);
    rewind(r->file);
    assert_int_equal(pipe(r->never), 0);
    bytes_begin(&r->in, fileno(r->file), r->never[0]);
    r->reader.in = &r->in;
    return r;
}

static void end_reading(reading *r) {
    fclose(r->file);
    close(r->never[0]);
    close(r->never[1]);
    free(r->frame.bytes);
    free(r);
}

static void expect_frame(reading *r, const bytes *whole, size_t width, size_t height) {
    assert_int_equal(mjpeg_next(&r->reader, &r->frame), MJPEG_FRAME);
    if (r->frame.fault)
        fail_msg("%s", r->frame.fault);
    assert_int_equal(r->frame.size, whole->size);
    assert_memory_equal(r->frame.bytes, whole->data, whole->size);
    assert_int_equal(r->frame.width, width);
    assert_int_equal(r->frame.height, height);
}

static void expect_end(reading *r) {
    assert_int_equal(mjpeg_next(&r->reader, &r->frame), MJPEG_END);
}

/* ---- whole pictures ------------------------------------------------------------------------ */

/* Each byte of a picture is once the first that a read gives. */
static void test_every_split(void **state) {
    bytes jpeg = picture("progressive.jpg");
    (void)state;
    for (size_t at = 0; at <= jpeg.size; at++) {
        bytes stream = {0};
        add_zeros(&stream, READ_AT_ONCE - at);
        add(&stream, jpeg.data, jpeg.size);
        add(&stream, jpeg.data, jpeg.size);
        reading *r = read_from(&stream);
        expect_frame(r, &jpeg, 67, 45);
        expect_frame(r, &jpeg, 67, 45);
        expect_end(r);
        end_reading(r);
        free(stream.data);
    }
    free(jpeg.data);
}

/* A picture that has another one inside, as cameras put thumbnails. */
static void test_thumbnail(void **state) {
    bytes jpeg = picture("baseline420.jpg"), thumbnail = picture("gray.jpg"), both = {0};
    size_t length = thumbnail.size + 8;
    (void)state;
    add(&both, jpeg.data, 2);
    add(&both, (unsigned char[]){0xFF, APP1, (unsigned char)(length >> 8), (unsigned char)length},
        4);
    add(&both, "Exif\0\0", 6);
    add(&both, thumbnail.data, thumbnail.size);
    add(&both, jpeg.data + 2, jpeg.size - 2);
    bytes stream = {0};
    add(&stream, both.data, both.size);
    add(&stream, jpeg.data, jpeg.size);
    reading *r = read_from(&stream);
    expect_frame(r, &both, 67, 45);
    expect_frame(r, &jpeg, 67, 45);
    expect_end(r);
    end_reading(r);
    free(stream.data);
    free(both.data);
    free(thumbnail.data);
    free(jpeg.data);
}

/* Any number of 0xFF before each marker, restart markers, and end markers' codes as plain data. */
static void test_odd_codes(void **state) {
    static const unsigned char odd[] = {
        0xFF, SOI,  0xFF, 0xFF, 0xFF, 0xC0, 0,    11, 8,    0,    5,    1,    4,    1,   1, 0x11,
        0,    0xFF, 0xFF, SOS,  0,    8,    1,    1,  0,    0,    63,   0,    EOI,  SOI, 7, 0xFF,
        0,    EOI,  0xFF, 0xD0, 9,    0xFF, 0xFF, 0,  0xFF, 0xD7, 0xFF, 0xFF, 0xFF, EOI};
    bytes picture = {(unsigned char *)odd, sizeof odd}, stream = {0};
    (void)state;
    add(&stream, odd, sizeof odd);
    add(&stream, odd, sizeof odd);
    reading *r = read_from(&stream);
    expect_frame(r, &picture, 260, 5);
    expect_frame(r, &picture, 260, 5);
    expect_end(r);
    end_reading(r);
    free(stream.data);
}

/* What lies between pictures: nothing, padding, markers of no picture, HTTP's multipart. */
static void test_between(void **state) {
    static const char boundary[] =
        "--frame\r\nContent-Type: image/jpeg\r\nContent-Length: 719\r\n\r\n";
    bytes jpeg = picture("gray.jpg"), stream = {0};
    (void)state;
    add_text(&stream, boundary);
    add(&stream, jpeg.data, jpeg.size);
    add_text(&stream, "\r\n");
    add_text(&stream, boundary);
    add(&stream, jpeg.data, jpeg.size);
    add_zeros(&stream, 3 * READ_AT_ONCE);
    add(&stream, jpeg.data, jpeg.size);
    add(&stream, "\xFF\xD9\xFF\xFF\xFF\xD9\xFF\xD8\xD8\xFF\x00\xFF\xD8\x00", 14);
    add(&stream, jpeg.data, jpeg.size);
    add_text(&stream, "\r\n--frame--\r\n");
    reading *r = read_from(&stream);
    for (size_t i = 0; i < 4; i++)
        expect_frame(r, &jpeg, 67, 45);
    expect_end(r);
    end_reading(r);
    free(stream.data);
    free(jpeg.data);
}

/* ---- broken ones --------------------------------------------------------------------------- */

/* The stream ends anywhere. */
static void test_cut(void **state) {
    bytes jpeg = picture("baseline444.jpg");
    (void)state;
    for (size_t left = 0; left < jpeg.size; left++) {
        bytes stream = {0};
        add(&stream, jpeg.data, jpeg.size);
        add(&stream, jpeg.data, left);
        reading *r = read_from(&stream);
        expect_frame(r, &jpeg, 67, 45);
        assert_int_equal(mjpeg_next(&r->reader, &r->frame), left < 3 ? MJPEG_END : MJPEG_CUT);
        assert_true(left < 3 || r->frame.size == left);
        end_reading(r);
        free(stream.data);
    }
    free(jpeg.data);
}

/* Frames to the end: each whole or with a fault, the last one whole. Returns how many were whole.
 */
static size_t read_damaged(const bytes *stream, const bytes *jpeg) {
    size_t num_whole = 0;
    bool last_whole = false;
    reading *r = read_from(stream);
    while (mjpeg_next(&r->reader, &r->frame) == MJPEG_FRAME) {
        last_whole = !r->frame.fault && r->frame.size == jpeg->size &&
                     memcmp(r->frame.bytes, jpeg->data, jpeg->size) == 0;
        num_whole += last_whole;
    }
    end_reading(r);
    assert_true(last_whole);
    return num_whole;
}

/* A picture that lost its end: in coded data the next one's beginning is noticed; in a segment
 * that, or the whole picture and the 64 KiB after it, is taken for a part of the segment. */
static void test_lost_end(void **state) {
    bytes jpeg = picture("baseline420.jpg"), stream = {0};
    size_t coded = 0;
    (void)state;
    while (jpeg.data[coded] != 0xFF || jpeg.data[coded + 1] != SOS)
        coded++;
    coded += 2 + 12;
    for (size_t left = 3; left < jpeg.size - 1; left++) {
        stream.size = 0;
        add(&stream, jpeg.data, left);
        for (size_t i = 0; i < COPIES; i++)
            add(&stream, jpeg.data, jpeg.size);
        assert_in_range(read_damaged(&stream, &jpeg), left < coded ? 1 : COPIES, COPIES);
    }
    free(stream.data);
    free(jpeg.data);
}

static void test_faults(void **state) {
    static const struct {
        const char *bytes;
        size_t size;
        const char *fault;
    } cases[] = {
        {"\xFF\xD8\xFF\xDB\x00\x01", 6, "JPEG: damaged: a segment without its length"},
        {"\xFF\xD8\xFF\xDB\x00\x03zz", 8,
         "JPEG: damaged: a segment of another length than it says"},
        {"\xFF\xD8\xFF\x02", 4, "JPEG: damaged: an unknown marker"},
        {"\xFF\xD8\xFF\xD8", 4, "JPEG: the next picture begins before the end of this one"},
        {"\xFF\xD8\xFF\xDA\x00\x02zzz\xFF\x00zz\xFF\xD8", 15,
         "JPEG: the next picture begins before the end of this one"},
    };
    bytes jpeg = picture("gray.jpg");
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bytes stream = {0};
        bool overlaps = cases[i].bytes[cases[i].size - 1] == (char)SOI;
        add(&stream, cases[i].bytes, cases[i].size);
        add(&stream, jpeg.data + (overlaps ? 2 : 0), jpeg.size - (overlaps ? 2 : 0));
        reading *r = read_from(&stream);
        assert_int_equal(mjpeg_next(&r->reader, &r->frame), MJPEG_FRAME);
        assert_non_null(r->frame.fault);
        assert_string_equal(r->frame.fault, cases[i].fault);
        expect_frame(r, &jpeg, 67, 45);
        expect_end(r);
        end_reading(r);
        free(stream.data);
    }
    free(jpeg.data);
}

/* One byte of the first picture is another. A length that was hit may swallow 64 KiB, but not all
 * that comes. */
static void test_damage(void **state) {
    enum { TRIES = 400 };
    bytes jpeg = picture("baseline420.jpg"), stream = {0};
    test_random random = {11};
    (void)state;
    for (size_t i = 0; i < COPIES; i++)
        add(&stream, jpeg.data, jpeg.size);
    assert_true(stream.size > READ_AT_ONCE + 2 * jpeg.size);
    for (size_t i = 0; i < TRIES; i++) {
        size_t at = random_below(&random, jpeg.size);
        stream.data[at] ^= (unsigned char)(1 + random_below(&random, 255));
        assert_in_range(read_damaged(&stream, &jpeg), 1, COPIES);
        stream.data[at] = jpeg.data[at];
    }
    assert_int_equal(read_damaged(&stream, &jpeg), COPIES);
    free(stream.data);
    free(jpeg.data);
}

/* Coded data without end fills no more than the limit. */
static void test_no_end(void **state) {
    bytes jpeg = picture("gray.jpg"), stream = {0};
    (void)state;
    add(&stream, jpeg.data, jpeg.size - 2);
    add_zeros(&stream, MJPEG_MOST_BYTES);
    add(&stream, jpeg.data, jpeg.size);
    reading *r = read_from(&stream);
    assert_int_equal(mjpeg_next(&r->reader, &r->frame), MJPEG_FRAME);
    assert_string_equal(r->frame.fault, "JPEG: no end within 64 MiB");
    assert_true(r->frame.capacity <= MJPEG_MOST_BYTES);
    expect_frame(r, &jpeg, 67, 45);
    end_reading(r);
    free(stream.data);
    free(jpeg.data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_split), cmocka_unit_test(test_thumbnail),
        cmocka_unit_test(test_odd_codes),   cmocka_unit_test(test_between),
        cmocka_unit_test(test_cut),         cmocka_unit_test(test_lost_end),
        cmocka_unit_test(test_faults),      cmocka_unit_test(test_damage),
        cmocka_unit_test(test_no_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
