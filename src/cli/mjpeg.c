/* SPDX-License-Identifier: MIT */
#include "mjpeg.h"

#include <stdint.h>
#include <string.h>

#include "diagnose.h"

/* Markers: 0xFF and one of these. */
enum {
    STUFFED = 0x00, /* no marker: 0xFF among coded data */
    SOF0 = 0xC0,
    DHT = 0xC4,
    JPG = 0xC8,
    DAC = 0xCC,
    SOF15 = 0xCF,
    RST0 = 0xD0,
    RST7 = 0xD7,
    SOI = 0xD8,
    EOI = 0xD9,
    SOS = 0xDA,
    DHP = 0xDE,
    APP0 = 0xE0,
    APP15 = 0xEF,
    COM = 0xFE
};

/* How one step ended. */
typedef enum step {
    STEP_ON,
    STEP_CUT,   /* the bytes ended */
    STEP_BROKEN /* out->fault says why */
} step;

static step broken(frame_buffer *out, const char *fault) {
    out->fault = fault;
    return STEP_BROKEN;
}

static step append(frame_buffer *out, const unsigned char *bytes, size_t size) {
    if (size > MJPEG_MOST_BYTES - out->size)
        return broken(out, "JPEG: no end within 64 MiB");
    while (out->capacity - out->size < size) {
        out->capacity = out->capacity ? 2 * out->capacity : 1 << 16;
        out->bytes = reallocate(out->bytes, out->capacity, 1);
    }
    memcpy(out->bytes + out->size, bytes, size);
    out->size += size;
    return STEP_ON;
}

static step copy_byte(mjpeg_reader *r, frame_buffer *out, int *byte) {
    *byte = bytes_next(r->in);
    return *byte < 0 ? STEP_CUT : append(out, &(unsigned char){(unsigned char)*byte}, 1);
}

/* Appends what there is in the buffer, `size` bytes at most and nothing after an 0xFF where
 * `to_marker`. */
static step copy_some(mjpeg_reader *r, frame_buffer *out, size_t size, bool to_marker) {
    if (!bytes_fill(r->in))
        return STEP_CUT;
    const unsigned char *at = r->in->buffer + r->in->at;
    size_t there = r->in->end - r->in->at, count = there < size ? there : size;
    const unsigned char *found = to_marker ? memchr(at, 0xFF, count) : NULL;
    count = found ? (size_t)(found - at) + 1 : count;
    step s = append(out, at, count);
    r->in->at += s == STEP_ON ? count : 0; /* else the next picture may begin there */
    return s;
}

/* Any number of 0xFF may stand before a marker's code; the first of them has been copied. */
static step copy_code(mjpeg_reader *r, frame_buffer *out, int *code) {
    step s = STEP_ON;
    do
        s = copy_byte(r, out, code);
    while (s == STEP_ON && *code == 0xFF);
    return s;
}

/* Coded data, to the marker after it, whose code is returned. */
static step copy_coded_data(mjpeg_reader *r, frame_buffer *out, int *code) {
    step s = STEP_ON;
    do {
        do
            s = copy_some(r, out, SIZE_MAX, true);
        while (s == STEP_ON && out->bytes[out->size - 1] != 0xFF);
        if (s == STEP_ON)
            s = copy_code(r, out, code);
    } while (s == STEP_ON && (*code == STUFFED || (*code >= RST0 && *code <= RST7)));
    return s;
}

static bool is_frame_header(int code) {
    return code >= SOF0 && code <= SOF15 && code != DHT && code != JPG && code != DAC;
}

static bool has_segment(int code) {
    return (code >= SOF0 && code <= SOF15 && code != JPG) || (code >= SOS && code <= DHP) ||
           (code >= APP0 && code <= APP15) || code == COM;
}

/* Length, parameters: what follows the code of such a marker. */
static step copy_segment(mjpeg_reader *r, frame_buffer *out, int code) {
    int high, low;
    step s = copy_byte(r, out, &high);
    if (s == STEP_ON)
        s = copy_byte(r, out, &low);
    if (s != STEP_ON)
        return s;
    size_t length = (size_t)high << 8 | (size_t)low, begin = out->size;
    if (length < 2)
        return broken(out, "JPEG: damaged: a segment without its length");
    for (size_t end = begin + length - 2; s == STEP_ON && out->size < end;)
        s = copy_some(r, out, end - out->size, false);
    if (s == STEP_ON && is_frame_header(code) && length >= 7) {
        const unsigned char *size = out->bytes + begin + 1; /* after the bits of a sample */
        out->height = (size_t)size[0] << 8 | size[1];
        out->width = (size_t)size[2] << 8 | size[3];
    }
    return s;
}

/* From a marker's code to that of the next marker. */
static step copy_marker(mjpeg_reader *r, frame_buffer *out, int *code) {
    if (*code == SOI) {
        r->begun = true;
        return broken(out, "JPEG: the next picture begins before the end of this one");
    }
    if (!has_segment(*code))
        return broken(out, "JPEG: damaged: an unknown marker");
    step s = copy_segment(r, out, *code);
    if (s == STEP_ON && *code == SOS)
        return copy_coded_data(r, out, code);
    int byte = 0;
    if (s == STEP_ON)
        s = copy_byte(r, out, &byte);
    if (s != STEP_ON)
        return s;
    return byte == 0xFF ? copy_code(r, out, code)
                        : broken(out, "JPEG: damaged: a segment of another length than it says");
}

/* The next 0xFF, what precedes it passed over; -1 at the end. */
static int find_ff(byte_stream *in) {
    while (bytes_fill(in)) {
        const unsigned char *found = memchr(in->buffer + in->at, 0xFF, in->end - in->at);
        in->at = found ? (size_t)(found - in->buffer) + 1 : in->end;
        if (found)
            return 0xFF;
    }
    return -1;
}

/* Reads on to a start marker, and to the 0xFF of another marker right behind it. */
static bool find_start(mjpeg_reader *r) {
    bool begun = r->begun;
    r->begun = false;
    for (int byte = 0; byte >= 0;) {
        byte = begun ? bytes_next(r->in) : find_ff(r->in);
        if (begun && byte == 0xFF)
            return true;
        bool is_marker = !begun && byte == 0xFF;
        while (is_marker && byte == 0xFF)
            byte = bytes_next(r->in);
        begun = is_marker && byte == SOI;
    }
    return false;
}

mjpeg_status mjpeg_next(mjpeg_reader *r, frame_buffer *out) {
    static const unsigned char start[] = {0xFF, SOI, 0xFF};
    int code = 0;
    out->size = out->width = out->height = 0;
    out->fault = NULL;
    if (!find_start(r))
        return MJPEG_END;
    append(out, start, sizeof start);
    step s = copy_code(r, out, &code);
    while (s == STEP_ON && code != EOI)
        s = copy_marker(r, out, &code);
    return s == STEP_CUT ? MJPEG_CUT : MJPEG_FRAME;
}
