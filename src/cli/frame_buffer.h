/* SPDX-License-Identifier: MIT
 *
 * The bytes of one frame, in memory that is used for one frame after another.
 */
#ifndef CLI_FRAME_BUFFER_H
#define CLI_FRAME_BUFFER_H

#include <stddef.h>

typedef struct frame_buffer {
    unsigned char *bytes;
    size_t size, capacity;
    size_t width, height; /* as stored; 0: not known */
    const char *fault;    /* why these bytes are no frame; NULL: they seem to be one */
} frame_buffer;

#endif
