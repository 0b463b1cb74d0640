/* SPDX-License-Identifier: MIT
 *
 * A whole file as one read-only block: mapped where the system can, read where it cannot.
 *
 *     vt_mapfile file;
 *     if (vt_mapfile_open(&file, path, 0, err))
 *         return err->code;
 *     ... file.data[0] to file.data[file.size - 1] ...
 *     vt_mapfile_close(&file);
 */
#ifndef VT_BASE_MAPFILE_H
#define VT_BASE_MAPFILE_H

#include "vitrine.h"

typedef struct vt_mapfile {
    const unsigned char *data; /* never NULL while open, also when size is 0 */
    size_t size;
    bool mapped; /* munmap, not vt_free */
} vt_mapfile;

/* Opens the file at `path`; "-" is standard input. Pipes, devices and sockets are read to their
 * end. More than `max_bytes` is VT_ERR_LIMIT, 0 meaning no limit. An empty file opens, with size 0.
 * The message names the path. On failure *out is zero. */
vt_status vt_mapfile_open(vt_mapfile *out, const char *path, uint64_t max_bytes, vt_error *err);

/* The same, always read: a file that is mapped and then cut short ends the process (SIGBUS) where
 * its pages are looked at. For what is small, or written by others as it is read: pictures, JSON.
 */
vt_status vt_mapfile_read(vt_mapfile *out, const char *path, uint64_t max_bytes, vt_error *err);

/* Both for a file that a model's directory has: a pipe or a device there, which would be waited
 * for or read without end, is VT_ERR_IO, and so is what vt_limits_check_link refuses. */
vt_status vt_mapfile_open_stored(vt_mapfile *out, const char *path, uint64_t max_bytes,
                                 vt_error *err);
vt_status vt_mapfile_read_stored(vt_mapfile *out, const char *path, uint64_t max_bytes,
                                 vt_error *err);

/* Bytes [data, data + size) of the file will not be needed soon: their pages, as far as they are
 * whole, go back to the system, which reads them again if they are. */
void vt_mapfile_release(const vt_mapfile *file, const void *data, size_t size);

/* Releases the block and zeroes the struct; a zero struct is left as it is. */
void vt_mapfile_close(vt_mapfile *file);

#endif
