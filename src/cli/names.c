/* SPDX-License-Identifier: MIT */
#include "names.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "diagnose.h"

enum { LONGEST = 1 << 16 }; /* many times what a system takes for a path */

struct name_reader {
    int descriptor;
    int wake[2]; /* a pipe: a byte in it ends the wait */
    char separator;
    bool watch_output;
    bool at_end, skipping; /* skipping: what follows up to the next separator is no name */
    bool abandoned;
    char *bytes;       /* [LONGEST + 1] */
    size_t begin, end; /* of those that were read and not handed out */
};

name_reader *names_open(const char *path, char separator, bool watch_output) {
    bool standard = strcmp(path, "-") == 0;
    int descriptor = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return NULL;
    name_reader *r = allocate(1, sizeof *r);
    *r = (name_reader){
        .descriptor = descriptor, .separator = separator, .watch_output = watch_output};
    if (pipe2(r->wake, O_CLOEXEC) != 0) {
        int reason = errno;
        if (!standard)
            close(descriptor);
        free(r);
        errno = reason;
        return NULL;
    }
    r->bytes = allocate(LONGEST + 1, 1);
    return r;
}

void names_close(name_reader *r) {
    if (r->descriptor != STDIN_FILENO)
        close(r->descriptor);
    close(r->wake[0]);
    close(r->wake[1]);
    free(r->bytes);
    free(r);
}

static names_status bad(vt_error *err, const char *message) {
    err->code = VT_ERR_IO;
    snprintf(err->message, sizeof err->message, "%s", message);
    return NAMES_BAD;
}

/* Nothing more is handed out. */
static void end_list(name_reader *r) {
    r->at_end = true;
    r->begin = r->end = 0;
}

/* Where the next name ends, NULL when that has not been read. */
static char *find_end(const name_reader *r) {
    char *stop = memchr(r->bytes + r->begin, r->separator, r->end - r->begin);
    bool last = !stop && r->at_end && r->begin < r->end;
    return last ? r->bytes + r->end : stop;
}

/* Cuts the next name off what was read. NAMES_NOT_YET: it has no end there. */
static names_status cut_name(name_reader *r, char **name, vt_error *err) {
    for (char *stop; (stop = find_end(r));) {
        bool skipped = r->skipping;
        *name = r->bytes + r->begin;
        r->begin = (size_t)(stop - r->bytes) + (stop < r->bytes + r->end);
        r->skipping = false;
        if (skipped)
            continue;
        while (r->separator == '\n' && stop > *name && stop[-1] == '\r')
            stop--;
        *stop = '\0';
        if (memchr(*name, '\0', (size_t)(stop - *name)))
            return bad(err, "a NUL byte in a name: for names that end with NUL, give --null (-0)");
        if (**name)
            return NAMES_FOUND;
    }
    return NAMES_NOT_YET;
}

static bool readable(const name_reader *r) {
    struct pollfd list = {.fd = r->descriptor, .events = POLLIN};
    return poll(&list, 1, 0) > 0;
}

/* Reads what there is. NAMES_NOT_YET: there was nothing; NAMES_FOUND: something or the end. */
static names_status fill(name_reader *r, vt_error *err) {
    memmove(r->bytes, r->bytes + r->begin, r->end - r->begin);
    r->end -= r->begin;
    r->begin = 0;
    if (r->end == LONGEST) {
        bool told = r->skipping;
        r->skipping = true;
        r->end = 0;
        if (!told)
            return bad(err, "a name longer than any path: expected one a line, or, with --null "
                            "(-0), each ended by NUL");
    }
    ssize_t got = read(r->descriptor, r->bytes + r->end, LONGEST - r->end);
    if (got < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK))
        return NAMES_NOT_YET;
    if (got < 0) {
        end_list(r);
        return bad(err, strerror(errno));
    }
    r->end += (size_t)got;
    r->at_end = got == 0;
    return NAMES_FOUND;
}

names_status names_next(name_reader *r, char **name, vt_error *err) {
    for (;;) {
        names_status status = cut_name(r, name, err);
        if (status != NAMES_NOT_YET)
            return status;
        if (r->at_end)
            return NAMES_END;
        if (!readable(r))
            return NAMES_NOT_YET;
        status = fill(r, err);
        if (status != NAMES_FOUND)
            return status;
    }
}

void names_wait(name_reader *r) {
    struct pollfd watched[] = {
        {.fd = r->descriptor, .events = POLLIN},
        {.fd = r->wake[0], .events = POLLIN},
        {.fd = r->watch_output ? STDOUT_FILENO : -1},
    };
    int ready;
    while (!r->at_end && (ready = poll(watched, 3, -1)) != 0) {
        r->abandoned = ready > 0 && (watched[2].revents & (POLLERR | POLLHUP));
        if (ready > 0 && (watched[1].revents || r->abandoned))
            end_list(r);
        else if (ready > 0 && watched[0].revents)
            return;
        else if (ready > 0)
            watched[2].fd = -1; /* it is closed: writing to it will say so */
        else if (errno != EINTR)
            return;
    }
}

void names_interrupt(name_reader *r) {
    ssize_t sent;
    do
        sent = write(r->wake[1], "", 1);
    while (sent < 0 && errno == EINTR);
}

bool names_abandoned(const name_reader *r) {
    return r->abandoned;
}
