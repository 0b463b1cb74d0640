/* SPDX-License-Identifier: MIT
 *
 * Frames out of a stream of bytes: raw ones, Y4M, or JPEG pictures one after another.
 */
#ifndef CLI_FRAME_SOURCE_H
#define CLI_FRAME_SOURCE_H

#include <stdint.h>

#include "byte_stream.h"
#include "frame_buffer.h"
#include "mjpeg.h"
#include "settings.h"

typedef enum source_status {
    SOURCE_FRAME, /* which may have a fault */
    SOURCE_END,
    SOURCE_FAILED /* `error` says why there are no more; what arrived before was good */
} source_status;

typedef struct frame_source {
    byte_stream bytes;
    mjpeg_reader jpegs; /* of `bytes` */
    bool is_y4m;
    vt_frame kind;      /* what all frames have in common: no planes, and no size of MJPEG */
    size_t frame_bytes; /* of one; 0: each has its own size */
    double fps;         /* 0: not known */
    vt_error error;
} frame_source;

/* Reads so much as says what kind of frames there are. Returns an exit code, having complained of
 * `subject` or of the options. */
int source_begin(frame_source *source, int file, int stop, const settings *s, const char *subject,
                 const char *command);

/* Memory for a frame, all of it where its size is known. */
void source_reserve(const frame_source *source, frame_buffer *out);

/* Waits for the last byte of the next frame. `out` is a buffer that was reserved. */
source_status source_next(frame_source *source, frame_buffer *out);

/* What is wrong with a stream that ends before its first frame. */
extern const char source_no_frame[];

#endif
