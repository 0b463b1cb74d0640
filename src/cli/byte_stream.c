/* SPDX-License-Identifier: MIT */
#include "byte_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

/* Of itself a pipe holds 64 KiB, and writer and reader take turns over a frame of a megabyte twenty
 * times. As much as anybody may ask for; a file, or a system that gives less, is as good. */
static void widen_pipe(int file) {
    enum { PIPE_BYTES = 1 << 20 };
    fcntl(file, F_SETPIPE_SZ, PIPE_BYTES);
}

void bytes_begin(byte_stream *b, int file, int stop) {
    b->file = file;
    b->stop = stop;
    b->stopped = false;
    b->error = 0;
    b->at = b->end = 0;
    widen_pipe(file);
}

/* False when reading shall stop. */
static bool wait_for_bytes(byte_stream *b) {
    struct pollfd both[] = {{.fd = b->file, .events = POLLIN}, {.fd = b->stop, .events = POLLIN}};
    while (poll(both, 2, -1) < 0)
        if (errno != EINTR) {
            b->error = errno;
            return false;
        }
    b->stopped = both[1].revents != 0;
    return !b->stopped;
}

/* What one call gives; 0 at the end. */
static size_t read_some(byte_stream *b, void *out, size_t size) {
    ssize_t got = -1;
    while (got < 0) {
        if (b->stopped || b->error || !wait_for_bytes(b))
            return 0;
        got = read(b->file, out, size);
        if (got < 0 && errno != EINTR && errno != EAGAIN)
            b->error = errno;
    }
    return (size_t)got;
}

bool bytes_fill(byte_stream *b) {
    if (b->at == b->end) {
        b->at = 0;
        b->end = read_some(b, b->buffer, sizeof b->buffer);
    }
    return b->at < b->end;
}

size_t bytes_read(byte_stream *b, void *out, size_t size) {
    size_t got = b->end - b->at < size ? b->end - b->at : size;
    memcpy(out, b->buffer + b->at, got);
    b->at += got;
    for (size_t more = 1; got < size && more > 0; got += more)
        more = read_some(b, (unsigned char *)out + got, size - got);
    return got;
}

size_t bytes_peek(byte_stream *b, const unsigned char **out, size_t size) {
    memmove(b->buffer, b->buffer + b->at, b->end - b->at);
    b->end -= b->at;
    b->at = 0;
    for (size_t more = 1; b->end < size && more > 0; b->end += more)
        more = read_some(b, b->buffer + b->end, sizeof b->buffer - b->end);
    *out = b->buffer;
    return b->end < size ? b->end : size;
}
