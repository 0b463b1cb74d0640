/* SPDX-License-Identifier: MIT */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* What base/error.h tells the analyzer is of their callers. */
#undef vt_fail
#undef vt_fail_memory

/* One line, whatever a file's own words in it are: line breaks become question marks. Where
 * the buffer was too short, a last character of several bytes goes: its end may be missing. */
static void make_line(char message[sizeof((vt_error *)0)->message], size_t wanted) {
    const size_t size = sizeof((vt_error *)0)->message;
    for (char *c = message; *c; c++)
        if (*c == '\n' || *c == '\r')
            *c = '?';
    if (wanted < size)
        return;
    size_t end = size - 1, lead = end;
    while (lead > 0 && ((unsigned char)message[lead - 1] & 0xC0) == 0x80)
        lead--;
    if (lead > 0 && (unsigned char)message[lead - 1] >= 0xC0)
        message[lead - 1] = '\0';
}

vt_status vt_fail(vt_error *err, vt_status code, const char *format, ...) {
    if (err) {
        va_list args;
        va_start(args, format);
        const int wanted = vsnprintf(err->message, sizeof err->message, format, args);
        va_end(args);
        make_line(err->message, wanted > 0 ? (size_t)wanted : 0);
        err->code = code;
    }
    return code;
}

vt_status vt_fail_within(vt_error *err, vt_status code, const char *prefix) {
    if (err) {
        /* A long path loses its end rather than pushing the reason out of the line. */
        size_t room = sizeof err->message - 1, reason = strlen(err->message);
        size_t lead = strlen(prefix) + 2;
        if (reason + lead > room)
            lead = reason < room ? room - reason : 0;
        memmove(err->message + lead, err->message, reason + 1);
        if (lead >= 2) {
            memcpy(err->message, prefix, lead - 2);
            memcpy(err->message + lead - 2, ": ", 2);
        }
        err->code = code;
    }
    return code;
}

vt_status vt_fail_memory(vt_error *err, const char *what, size_t bytes) {
    return vt_fail(err, VT_ERR_MEMORY, "out of memory: %s needs %zu bytes", what, bytes);
}

const char *vt_status_name(vt_status status) {
    switch (status) {
    case VT_OK:
        return "ok";
    case VT_ERR_ARGUMENT:
        return "bad argument";
    case VT_ERR_MEMORY:
        return "out of memory";
    case VT_ERR_IO:
        return "input/output error";
    case VT_ERR_FORMAT:
        return "malformed input";
    case VT_ERR_UNSUPPORTED:
        return "not supported";
    case VT_ERR_LIMIT:
        return "over a limit";
    case VT_ERR_MISSING:
        return "something is missing";
    case VT_ERR_SHAPE:
        return "shapes disagree";
    case VT_ERR_INTERNAL:
        return "internal error";
    case VT_ERR_CANCELLED:
        return "cancelled";
    case VT_ERR_NOT_FINITE:
        return "not a finite number";
    }
    return "unknown status";
}
