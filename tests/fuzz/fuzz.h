/* SPDX-License-Identifier: MIT
 *
 * What fuzz targets share. A target is one file, fuzz_TARGET.c, that defines
 * LLVMFuzzerTestOneInput; it is linked with libFuzzer (scripts/fuzz) or with replay.c, which runs
 * it on stored inputs.
 *
 *     int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
 *         vt_error err = {0};
 *         vt_tensor_file *file;
 *         if (fuzz_ok(vt_tensor_file_open(&file, fuzz_file(data, size), &err), &err))
 *             ...
 */
#ifndef VT_FUZZ_H
#define VT_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vitrine.h"

/* libFuzzer's entry. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Aborts, which is a finding, unless the condition holds. */
void fuzz_check(bool condition, const char *what);

/* Whether a call went well. Otherwise its error must say so, in one line. */
bool fuzz_ok(vt_status status, const vt_error *err);

/* Reads every byte, so that a sanitizer sees memory that is not there. */
void fuzz_touch(const void *data, size_t size);

/* The path of a file in memory that has these bytes. Good until the next call. */
const char *fuzz_file(const void *bytes, size_t size);

/* A folder of the process's own below $TMPDIR, or /tmp; it goes with all in it when the process
 * ends. */
const char *fuzz_directory(void);

/* The path of a file of that folder. Good until the fourth call after this one. */
const char *fuzz_path(const char *name);

/* Writes a file of that folder, or, with NULL, takes it away. */
void fuzz_write(const char *name, const void *bytes, size_t size);

/* An input is read from its front: numbers first, then texts with a NUL between them. */
typedef struct fuzz_input {
    const uint8_t *data;
    size_t size;
} fuzz_input;

uint8_t fuzz_byte(fuzz_input *input);               /* 0 at the end */
size_t fuzz_below(fuzz_input *input, size_t limit); /* limit: 1 to 65536 */
fuzz_input fuzz_part(fuzz_input *input);            /* up to the next NUL, or the end */

/* A block of exactly these bytes, to be freed; NUL follows them where `terminated`. */
char *fuzz_copy(const void *data, size_t size, bool terminated);

/* Runs what can be run with a model, on one thread, if that takes neither long nor much memory. */
void fuzz_run_model(const vt_model *model);

#endif
