/* SPDX-License-Identifier: MIT */
#include "listener.h"

#include <sys/types.h>

#include "fuzz.h"

static size_t lines;
static bool in_line;

static ssize_t hear(void *user, const char *bytes, size_t size) {
    (void)user;
    for (size_t i = 0; i < size; i++) {
        const unsigned char byte = (unsigned char)bytes[i];
        fuzz_check(byte == '\n' || (byte >= ' ' && byte != 0x7F), "what is printed is printable");
        in_line = byte != '\n';
        lines += !in_line;
    }
    return (ssize_t)size;
}

FILE *listener_stream(void) {
    static FILE *stream;
    if (!stream) {
        stream = fopencookie(NULL, "w", (cookie_io_functions_t){.write = hear});
        fuzz_check(stream && setvbuf(stream, NULL, _IONBF, 0) == 0, "a stream");
    }
    return stream;
}

size_t listener_lines(void) {
    const size_t heard = lines;
    fuzz_check(!in_line, "lines end");
    lines = 0;
    return heard;
}
