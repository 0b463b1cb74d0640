/* SPDX-License-Identifier: MIT
 *
 * Files that the command writes: under a temporary name beside their own, PATH.part, and under
 * their own once they are whole. However the command ends, by Ctrl-C or for want of memory, no
 * temporary file stays.
 *
 *     outfile out;
 *     if (!outfile_open(&out, path))
 *         return EXIT_SOME_FAILED;
 *     fprintf(out.stream, …);
 *     return outfile_close(&out, true) ? EXIT_DONE : EXIT_SOME_FAILED;
 */
#ifndef CLI_OUTFILE_H
#define CLI_OUTFILE_H

#include <stdbool.h>
#include <stdio.h>
#include <vitrine.h>

typedef struct outfile {
    FILE *stream;
    const char *path;
    char *temporary; /* NULL: a pipe or a device is written as it is */
} outfile;

/* False, having complained. `path` must live until it is closed. */
bool outfile_open(outfile *out, const char *path);

/* Puts it in place if it is `whole` and no write failed, and else removes it. False when it is not
 * in place; what the system says is complained about, and the caller's own reason (not `whole`) is
 * not. */
bool outfile_close(outfile *out, bool whole);

/* What the library writes, which does the same. EXIT_DONE, or EXIT_SOME_FAILED, having complained.
 */
int outfile_write_npy(const char *path, const vt_tensor *tensor);
int outfile_write_tensors(const char *path, const vt_tensor *tensors, size_t count);
int outfile_write_packed(const char *path, const vt_model *model);

/* Removes what is unfinished. At the end, and from a signal's handler. */
void outfile_abandon(void);

#endif
