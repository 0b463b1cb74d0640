/* SPDX-License-Identifier: MIT */
#include "outfile.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "text.h"

/* The one temporary file there is at a time; a signal's handler reads it. */
static char *volatile unfinished;

static void set_unfinished(char *temporary) {
    static bool at_end;
    if (!at_end)
        atexit(outfile_abandon);
    at_end = true;
    unfinished = temporary;
}

/* Async-signal-safe. What `unfinished` points at belongs to who set it, also at the end. */
void outfile_abandon(void) {
    if (unfinished)
        unlink(unfinished);
}

/* What is not a regular file can't be replaced by one: /dev/stdout stays what it is. */
static bool is_replaceable(const char *path) {
    struct stat info;
    return stat(path, &info) != 0 || S_ISREG(info.st_mode);
}

static bool fail(const char *path, int reason) {
    complain(path, strerror(reason ? reason : EIO));
    return false;
}

bool outfile_open(outfile *out, const char *path) {
    *out = (outfile){.path = path};
    if (is_replaceable(path)) {
        out->temporary = text_format("%s.part", path);
        set_unfinished(out->temporary); /* before it is there: a signal may come at any time */
    }
    out->stream = fopen(out->temporary ? out->temporary : path, "w");
    if (out->stream)
        return true;
    int reason = errno;
    unfinished = NULL;
    free(out->temporary);
    return fail(path, reason);
}

bool outfile_close(outfile *out, bool whole) {
    bool failed = ferror(out->stream);
    int reason = errno; /* of the write that failed, most likely */
    if (!failed && fflush(out->stream) != 0) {
        failed = true;
        reason = errno;
    }
    if (fclose(out->stream) != 0 && !failed) {
        failed = true;
        reason = errno;
    }
    bool placed = whole && !failed;
    if (placed && out->temporary && rename(out->temporary, out->path) != 0) {
        failed = true;
        placed = false;
        reason = errno;
    }
    if (!placed)
        outfile_abandon();
    unfinished = NULL;
    free(out->temporary);
    return placed || (failed && fail(out->path, reason));
}

/* ---- by the library ------------------------------------------------------------------------ */

/* Around its calls: its PATH.part is to go too. */
static void guard(const char *path) {
    if (is_replaceable(path))
        set_unfinished(text_format("%s.part", path));
}

static int unguard(const char *path, vt_status status, const vt_error *err) {
    char *temporary = unfinished;
    unfinished = NULL;
    free(temporary);
    if (status)
        complain(path, err->message);
    return status ? EXIT_SOME_FAILED : EXIT_DONE;
}

int outfile_write_npy(const char *path, const vt_tensor *tensor) {
    vt_error err = {0};
    guard(path);
    return unguard(path, vt_npy_write(path, tensor, &err), &err);
}

int outfile_write_tensors(const char *path, const vt_tensor *tensors, size_t count) {
    vt_error err = {0};
    guard(path);
    return unguard(path, vt_tensor_file_write(path, tensors, count, &err), &err);
}

int outfile_write_packed(const char *path, const vt_model *model) {
    vt_error err = {0};
    guard(path);
    return unguard(path, vt_model_pack(model, path, &err), &err);
}
