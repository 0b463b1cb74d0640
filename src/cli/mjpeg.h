/* SPDX-License-Identifier: MIT
 *
 * JPEG pictures one after another, found by walking their markers (ITU-T T.81, annex B): a picture
 * ends at its own end marker, and not at that of a thumbnail inside it. What lies between them is
 * passed over: padding, or the boundaries and headers of multipart/x-mixed-replace.
 */
#ifndef CLI_MJPEG_H
#define CLI_MJPEG_H

#include "byte_stream.h"
#include "frame_buffer.h"

/* A frame's bytes at most. */
enum { MJPEG_MOST_BYTES = 1 << 26 };

typedef struct mjpeg_reader {
    byte_stream *in;
    bool begun; /* the start marker of the next picture has been read */
} mjpeg_reader;

typedef enum mjpeg_status {
    MJPEG_FRAME, /* a picture, or what there is of a broken one, which then has a fault */
    MJPEG_CUT,   /* the bytes ended in the midst of a picture */
    MJPEG_END    /* there is none any more */
} mjpeg_status;

/* Grows out->bytes where a picture is larger than any before it. After a broken picture the next
 * one is searched for. */
mjpeg_status mjpeg_next(mjpeg_reader *r, frame_buffer *out);

#endif
