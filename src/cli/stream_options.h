/* SPDX-License-Identifier: MIT
 *
 * The options that only `stream` has, and what they stand for.
 */
#ifndef CLI_STREAM_OPTIONS_H
#define CLI_STREAM_OPTIONS_H

#include "settings.h"

extern const option_group stream_options, view_options;

/* The value of --format that is no vt_pixel_format. */
extern const char stream_format_y4m[];

/* Frames that may wait, at most. */
enum { STREAM_MOST_WAITING = 1000 };

vt_yuv_matrix stream_matrix(const settings *s);
unsigned stream_rotation(const settings *s); /* degrees */

/* --smooth: a number above 0, and 1 at most. */
const char *parse_share(void *field, const char *text);

#endif
