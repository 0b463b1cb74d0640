/* SPDX-License-Identifier: MIT */
#include "frame_source.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "diagnose.h"
#include "stream_options.h"
#include "y4m.h"

static source_status fail(frame_source *source, const char *format, ...) CLI_PRINTF(2, 3);

static source_status fail(frame_source *source, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(source->error.message, sizeof source->error.message, format, args);
    va_end(args);
    source->error.code = VT_ERR_FORMAT;
    return SOURCE_FAILED;
}

const char source_no_frame[] = "no frame in it";

/* ---- what kind of frames ------------------------------------------------------------------- */

/* The name that --format would have, by the first bytes; NULL where they are of raw frames, if of
 * any. A multipart stream begins with a boundary. */
static const char *tell_format(frame_source *source) {
    static const char magic[] = Y4M_MAGIC " ";
    const unsigned char *first;
    size_t size = bytes_peek(&source->bytes, &first, sizeof magic - 1);
    if (size == sizeof magic - 1 && memcmp(first, magic, size) == 0)
        return stream_format_y4m;
    if (size >= 3 && memcmp(first, "\xFF\xD8\xFF", 3) == 0)
        return vt_pixel_format_name(VT_PIXEL_MJPEG);
    if (size >= 4 && (memcmp(first, "--", 2) == 0 || memcmp(first, "\r\n--", 4) == 0))
        return vt_pixel_format_name(VT_PIXEL_MJPEG);
    return NULL;
}

/* A line of Y4M without its line break. False where it does not end, or not soon. */
static bool read_line(byte_stream *b, char line[Y4M_LONGEST_LINE]) {
    int byte = 0;
    for (size_t used = 0; byte != '\n' && used < Y4M_LONGEST_LINE; used++) {
        byte = bytes_next(b);
        line[used] = byte < 0 || byte == '\n' ? '\0' : (char)byte;
        if (byte < 0)
            return false;
    }
    line[Y4M_LONGEST_LINE - 1] = '\0';
    return byte == '\n';
}

static vt_status begin_y4m(frame_source *source, vt_error *err) {
    char line[Y4M_LONGEST_LINE];
    y4m_header header;
    bool is_line = read_line(&source->bytes, line);
    if (y4m_parse(&header, line, is_line, err))
        return err->code;
    source->is_y4m = true;
    source->kind.format = header.format;
    source->kind.width = header.width;
    source->kind.height = header.height;
    source->kind.full_range |= header.full_range;
    if (!source->fps)
        source->fps = header.fps;
    return VT_OK;
}

static bool is_yuv(vt_pixel_format format) {
    return format == VT_PIXEL_NV12 || format == VT_PIXEL_I420 || format == VT_PIXEL_YUYV ||
           format == VT_PIXEL_UYVY;
}

/* The name of the kind of frames: "nv12". */
static const char *source_format(const frame_source *source) {
    return source->is_y4m ? stream_format_y4m : vt_pixel_format_name(source->kind.format);
}

/* Options that the kind of frames has no use for would otherwise be obeyed only seemingly. */
static int check_options(const frame_source *source, const settings *s, const char *command) {
    const char *name = source_format(source);
    bool is_raw = !source->is_y4m && source->kind.format != VT_PIXEL_MJPEG;
    if (is_raw && !s->frame_size[0])
        return complain_usage(command, "--format %s needs --size WxH: raw frames don't say it",
                              name);
    if (!is_raw && s->frame_size[0])
        return complain_usage(command, "--size is that of raw frames; %s frames say theirs", name);
    if ((s->matrix || s->full_range) && !is_yuv(source->kind.format))
        return complain_usage(command, "--%s is for frames of Y, U and V, and not for %s",
                              s->matrix ? "matrix" : "full-range", name);
    if (s->realtime && !source->fps)
        return complain_usage(command, "--realtime needs --fps: the stream does not say its rate");
    return EXIT_DONE;
}

static int check_size(frame_source *source, const char *subject) {
    enum { MOST_PIXELS = 1 << 28 }; /* as of pictures */
    vt_frame *kind = &source->kind;
    char message[96];
    if (kind->format == VT_PIXEL_MJPEG)
        return EXIT_DONE;
    source->frame_bytes = vt_frame_bytes(kind->format, kind->width, kind->height);
    if (source->frame_bytes && kind->height <= MOST_PIXELS / kind->width)
        return EXIT_DONE;
    snprintf(message, sizeof message, "frames of %zux%zu pixels: over the limit of %d", kind->width,
             kind->height, MOST_PIXELS);
    complain(subject, message);
    return EXIT_SOME_FAILED;
}

/* As the options say, before the stream says more. */
static void set_kind(frame_source *source, const settings *s) {
    source->kind = (vt_frame)VT_FRAME_INIT;
    source->kind.matrix = stream_matrix(s);
    source->kind.full_range = s->full_range;
    source->kind.width = s->frame_size[0];
    source->kind.height = s->frame_size[1];
    source->kind.crop_width = s->crop[0];
    source->kind.crop_height = s->crop[1];
    source->kind.crop_left = s->crop[2];
    source->kind.crop_top = s->crop[3];
    source->kind.rotate = stream_rotation(s);
    source->kind.mirror = s->mirror;
    source->fps = s->fps;
}

/* The name that the options give, or the first bytes; none where reading was stopped before. */
static int find_format(frame_source *source, const settings *s, const char *subject,
                       const char *command, const char **format) {
    const unsigned char *first;
    const char *told = tell_format(source);
    *format = s->pixel_format ? s->pixel_format : told;
    if (source->bytes.stopped)
        return EXIT_DONE;
    if (source->bytes.error || (!*format && bytes_peek(&source->bytes, &first, 1) == 0)) {
        complain(subject, source->bytes.error ? strerror(source->bytes.error) : source_no_frame);
        return EXIT_SOME_FAILED;
    }
    if (!*format)
        return complain_usage(command,
                              "%s begins neither as Y4M nor as JPEG: raw frames need --format and "
                              "--size",
                              subject);
    if (told == stream_format_y4m && strcmp(*format, told) != 0)
        return complain_usage(command, "--format %s: %s is a Y4M stream", *format, subject);
    return EXIT_DONE;
}

int source_begin(frame_source *source, int file, int stop, const settings *s, const char *subject,
                 const char *command) {
    vt_error err = {0};
    const char *format;
    bytes_begin(&source->bytes, file, stop);
    source->jpegs = (mjpeg_reader){.in = &source->bytes};
    set_kind(source, s);
    int code = find_format(source, s, subject, command, &format);
    if (code != EXIT_DONE || source->bytes.stopped)
        return code;
    source->kind.format = vt_pixel_format_from_name(format);
    if (source->kind.format == VT_PIXEL_COUNT && begin_y4m(source, &err)) {
        complain(subject, err.message);
        return EXIT_SOME_FAILED;
    }
    code = check_options(source, s, command);
    return code == EXIT_DONE ? check_size(source, subject) : code;
}

/* ---- frames -------------------------------------------------------------------------------- */

void source_reserve(const frame_source *source, frame_buffer *out) {
    enum { FIRST_JPEG = 1 << 18 };
    out->capacity = source->frame_bytes ? source->frame_bytes : FIRST_JPEG;
    out->bytes = allocate(out->capacity, 1);
}

/* The bytes ended: before a frame began, or with `got` bytes of one. */
static source_status end_of(frame_source *source, bool begun, size_t got) {
    const vt_frame *kind = &source->kind;
    if (source->bytes.stopped)
        return SOURCE_END;
    if (source->bytes.error)
        return fail(source, "%s", strerror(source->bytes.error));
    if (!begun)
        return SOURCE_END;
    if (!source->frame_bytes)
        return fail(source, "the last frame is cut after %zu bytes", got);
    return fail(source, "the last frame is cut: it has %zu of the %zu bytes of %s at %zux%zu%s",
                got, source->frame_bytes, vt_pixel_format_name(kind->format), kind->width,
                kind->height, source->is_y4m ? "" : "; are --format and --size right?");
}

static bool read_pixels(frame_source *source, frame_buffer *out) {
    out->size = bytes_read(&source->bytes, out->bytes, source->frame_bytes);
    out->width = source->kind.width;
    out->height = source->kind.height;
    return out->size == source->frame_bytes;
}

static source_status next_raw(frame_source *source, frame_buffer *out) {
    return read_pixels(source, out) ? SOURCE_FRAME : end_of(source, out->size > 0, out->size);
}

static source_status next_y4m(frame_source *source, frame_buffer *out) {
    static const size_t length = sizeof Y4M_FRAME - 1;
    const unsigned char *next;
    char line[Y4M_LONGEST_LINE] = "";
    if (bytes_peek(&source->bytes, &next, 1) == 0)
        return end_of(source, false, 0);
    bool is_line = read_line(&source->bytes, line);
    if (!is_line && bytes_peek(&source->bytes, &next, 1) == 0)
        return end_of(source, true, 0);
    if (!is_line || strncmp(line, Y4M_FRAME, length) != 0 || (line[length] && line[length] != ' '))
        return fail(source, "Y4M: no " Y4M_FRAME " where the next frame should begin");
    return read_pixels(source, out) ? SOURCE_FRAME : end_of(source, true, out->size);
}

static source_status next_jpeg(frame_source *source, frame_buffer *out) {
    mjpeg_status status = mjpeg_next(&source->jpegs, out);
    return status == MJPEG_FRAME ? SOURCE_FRAME : end_of(source, status == MJPEG_CUT, out->size);
}

source_status source_next(frame_source *source, frame_buffer *out) {
    if (source->bytes.stopped)
        return SOURCE_END;
    return source->is_y4m        ? next_y4m(source, out)
           : source->frame_bytes ? next_raw(source, out)
                                 : next_jpeg(source, out);
}
