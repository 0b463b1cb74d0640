/* SPDX-License-Identifier: MIT
 *
 * The header of a YUV4MPEG2 stream, as mjpegtools define it (yuv4mpeg(5)) and ffmpeg extends it.
 */
#ifndef CLI_Y4M_H
#define CLI_Y4M_H

#include <vitrine.h>

#define Y4M_MAGIC "YUV4MPEG2"
#define Y4M_FRAME "FRAME"

/* Of a header, or of a frame's, at most. */
enum { Y4M_LONGEST_LINE = 1024 };

typedef struct y4m_header {
    size_t width, height;
    vt_pixel_format format;
    double fps;      /* 0: it does not say */
    bool full_range; /* of Y, U and V */
} y4m_header;

/* From the first line, without its line break; `whole`: it had one. */
vt_status y4m_parse(y4m_header *out, const char *line, bool whole, vt_error *err);

#endif
