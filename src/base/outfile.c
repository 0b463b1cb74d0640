/* SPDX-License-Identifier: MIT */
#include "base/outfile.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"

/* /dev/stdout is to stay what it is. */
static bool is_replaceable(const char *path) {
    struct stat info;
    return stat(path, &info) != 0 || S_ISREG(info.st_mode);
}

static vt_status fail(vt_error *err, const char *path, int reason) {
    return vt_fail(err, VT_ERR_IO, "%s: %s", path, strerror(reason));
}

vt_status vt_outfile_open(vt_outfile *out, const char *path, vt_error *err) {
    *out = (vt_outfile){.path = path};
    if (is_replaceable(path)) {
        size_t size = strlen(path) + sizeof ".part";
        out->temporary = vt_malloc(size, 1);
        if (!out->temporary)
            return vt_fail_memory(err, path, size);
        snprintf(out->temporary, size, "%s.part", path);
    }
    out->stream = fopen(out->temporary ? out->temporary : path, "wb");
    if (out->stream)
        return VT_OK;
    int reason = errno;
    vt_free(out->temporary);
    return reason == ENOMEM ? vt_fail_memory(err, path, BUFSIZ) : fail(err, path, reason);
}

static void note_reason(vt_outfile *out, bool done) {
    if (!done && !out->reason)
        out->reason = errno ? errno : EIO;
}

void vt_outfile_write(vt_outfile *out, const void *bytes, size_t size) {
    errno = 0;
    if (!out->reason)
        note_reason(out, fwrite(bytes, 1, size, out->stream) == size);
}

vt_status vt_outfile_close(vt_outfile *out, vt_error *err) {
    errno = 0;
    note_reason(out, fclose(out->stream) == 0);
    if (!out->reason && out->temporary)
        note_reason(out, rename(out->temporary, out->path) == 0);
    if (out->reason && out->temporary)
        unlink(out->temporary);
    vt_free(out->temporary);
    return out->reason ? fail(err, out->path, out->reason) : VT_OK;
}
