/* SPDX-License-Identifier: MIT
 *
 * A file that is written under a temporary name beside its own, PATH.part, and gets its own when it
 * is whole.
 *
 *     vt_outfile out;
 *     vt_status status = vt_outfile_open(&out, path, err);
 *     if (status)
 *         return status;
 *     vt_outfile_write(&out, bytes, size);
 *     return vt_outfile_close(&out, err);
 */
#ifndef VT_BASE_OUTFILE_H
#define VT_BASE_OUTFILE_H

#include <stdio.h>

#include "vitrine.h"

typedef struct vt_outfile {
    FILE *stream;
    const char *path;
    int reason;      /* errno of the first write that failed, or 0 */
    char *temporary; /* NULL: what is there is no regular file, and is written as it is */
} vt_outfile;

/* `path` must live until it is closed. */
vt_status vt_outfile_open(vt_outfile *out, const char *path, vt_error *err);

/* After a write that failed the others do nothing, and closing says why. */
void vt_outfile_write(vt_outfile *out, const void *bytes, size_t size);

/* Puts the file in place, unless a write failed: then it is removed. */
vt_status vt_outfile_close(vt_outfile *out, vt_error *err);

#endif
