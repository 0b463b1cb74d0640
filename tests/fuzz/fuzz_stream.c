/* SPDX-License-Identifier: MIT
 *
 * What `vitrine stream` reads. The first bytes say what the options would (a format, and a size of
 * raw frames; or none of both), then how many bytes arrive at once; the rest is the stream: raw
 * frames, Y4M, JPEG pictures, multipart. It is read twice, all at once and in pieces: the frames
 * must be the same.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/frame_source.h"
#include "listener.h"

enum { MOST_BYTES = 1 << 20, MOST_FRAMES = 64 };

/* ---- a stream that arrives in pieces ----------------------------------------------------------
 */

static size_t most_at_once = SIZE_MAX;

/* The linker puts the second in the place of the first. */
ssize_t __real_read(int file, void *out, size_t size);
ssize_t __wrap_read(int file, void *out, size_t size);

ssize_t __wrap_read(int file, void *out, size_t size) {
    return __real_read(file, out, size < most_at_once ? size : most_at_once);
}

/* ---- options ----------------------------------------------------------------------------------
 */

/* 's' and above: nothing is given, as with streams that say themselves what they are. */
static settings choose(fuzz_input *input) {
    settings s = {.image = VT_IMAGE_OPTIONS_INIT};
    const size_t format = (size_t)fuzz_byte(input) - 'a';
    if (format >= VT_PIXEL_COUNT)
        return s;
    s.pixel_format = vt_pixel_format_name((vt_pixel_format)format);
    if (format != VT_PIXEL_MJPEG) {
        s.frame_size[0] = 1 + fuzz_below(input, 40);
        s.frame_size[1] = 1 + fuzz_below(input, 40);
    }
    return s;
}

/* ---- frames -----------------------------------------------------------------------------------
 */

/* What came of a stream: equal where all frames and the end are. */
typedef struct outcome {
    int code;
    source_status status;
    size_t num_frames, num_lines;
    uint64_t sum; /* of what the frames are */
    char message[sizeof((vt_error *)0)->message];
} outcome;

/* FNV-1a. */
static void add_bytes(uint64_t *sum, const void *bytes, size_t size) {
    for (size_t i = 0; i < size; i++)
        *sum = (*sum ^ ((const unsigned char *)bytes)[i]) * 1099511628211u;
}

static void check_raw(const frame_source *source, const frame_buffer *buffer) {
    vt_error err = {0};
    vt_frame frame = source->kind;
    fuzz_check(!buffer->fault, "raw frames have no fault");
    fuzz_check(vt_frame_set_packed(&frame, source->kind.format, buffer->width, buffer->height,
                                   buffer->bytes, buffer->size, &err) == VT_OK,
               "a frame has the bytes of its size");
    fuzz_check(buffer->size == source->frame_bytes, "and no more");
}

static void check_jpeg(const frame_buffer *buffer) {
    const unsigned char *bytes = buffer->bytes;
    const size_t size = buffer->size;
    fuzz_check(size >= 3 && memcmp(bytes, "\xFF\xD8\xFF", 3) == 0, "a JPEG has its beginning");
    if (!buffer->fault)
        fuzz_check(size >= 4 && memcmp(bytes + size - 2, "\xFF\xD9", 2) == 0, "and its end");
}

static void add_frame(outcome *out, const frame_source *source, const frame_buffer *buffer) {
    fuzz_check(buffer->size <= buffer->capacity, "a frame is within its buffer");
    if (source->frame_bytes)
        check_raw(source, buffer);
    else
        check_jpeg(buffer);
    add_bytes(&out->sum, buffer->bytes, buffer->size);
    add_bytes(&out->sum, &buffer->size, sizeof buffer->size);
    add_bytes(&out->sum, &buffer->width, sizeof buffer->width);
    add_bytes(&out->sum, &buffer->height, sizeof buffer->height);
    if (buffer->fault)
        add_bytes(&out->sum, buffer->fault, strlen(buffer->fault));
    out->num_frames++;
}

static void read_frames(outcome *out, frame_source *source) {
    frame_buffer buffer = {0};
    source_reserve(source, &buffer);
    do {
        buffer.fault = NULL;
        out->status = source_next(source, &buffer);
        if (out->status == SOURCE_FRAME)
            add_frame(out, source, &buffer);
    } while (out->status == SOURCE_FRAME && out->num_frames < MOST_FRAMES);
    if (out->status == SOURCE_FAILED) {
        fuzz_ok(source->error.code, &source->error);
        memcpy(out->message, source->error.message, sizeof out->message);
    }
    free(buffer.bytes);
}

static outcome read_stream(const char *path, const settings *s, size_t at_once) {
    static frame_source source; /* its buffer is large */
    outcome out = {.status = SOURCE_END};
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    fuzz_check(file >= 0, "a file in memory");
    most_at_once = at_once;
    source = (frame_source){0};
    out.code = source_begin(&source, file, -1, s, "stream", "stream");
    out.num_lines = listener_lines();
    fuzz_check((out.code != 0) == (out.num_lines > 0), "a failure is told");
    if (out.code == 0 && source.frame_bytes <= MOST_BYTES)
        read_frames(&out, &source);
    most_at_once = SIZE_MAX;
    close(file);
    return out;
}

static void check_same(const outcome *a, const outcome *b) {
    fuzz_check(a->code == b->code && a->num_lines == b->num_lines, "streams begin the same");
    fuzz_check(a->num_frames == b->num_frames && a->sum == b->sum, "frames are the same");
    fuzz_check(a->status == b->status && strcmp(a->message, b->message) == 0,
               "streams end the same");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input input = {data, size};
    stderr = listener_stream();
    const settings s = choose(&input);
    const size_t at_once = 1 + fuzz_below(&input, 64);
    const char *path = fuzz_file(input.data, input.size);
    const outcome whole = read_stream(path, &s, SIZE_MAX);
    const outcome pieces = read_stream(path, &s, at_once);
    check_same(&whole, &pieces);
    return 0;
}
