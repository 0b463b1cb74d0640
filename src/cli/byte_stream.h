/* SPDX-License-Identifier: MIT
 *
 * Bytes as they arrive from a file, a pipe or a device, until they end or somebody says stop.
 */
#ifndef CLI_BYTE_STREAM_H
#define CLI_BYTE_STREAM_H

#include <stdbool.h>
#include <stddef.h>

typedef struct byte_stream {
    int file;
    int stop;     /* a descriptor that becomes readable when reading shall stop */
    bool stopped; /* that is why the bytes end */
    int error;    /* or an errno is; else 0 */
    size_t at, end;
    unsigned char buffer[1 << 16]; /* what was read and not taken: from `at` to `end` */
} byte_stream;

void bytes_begin(byte_stream *b, int file, int stop);

/* All four wait for what is not there yet, and give less where the bytes end. */

/* Reads on when nothing is left in the buffer. False at the end. */
bool bytes_fill(byte_stream *b);

/* The next byte; -1 at the end. */
static inline int bytes_next(byte_stream *b) {
    return b->at < b->end || bytes_fill(b) ? b->buffer[b->at++] : -1;
}

/* Returns how many were there; less than `size` only at the end. */
size_t bytes_read(byte_stream *b, void *out, size_t size);

/* The same, with the bytes left to be read; `size` may be as much as the buffer. */
size_t bytes_peek(byte_stream *b, const unsigned char **out, size_t size);

#endif
