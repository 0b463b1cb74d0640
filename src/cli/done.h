/* SPDX-License-Identifier: MIT
 *
 * The pictures that an earlier run has results of, out of the JSON lines that it wrote.
 */
#ifndef CLI_DONE_H
#define CLI_DONE_H

#include <stdbool.h>
#include <stddef.h>

typedef struct done_set done_set;

/* Reads the paths of the lines of a file that have `result_key`; those of pictures that failed do
 * not, and so are tried again. A file that is not there has none. Lines that are no JSON objects
 * are passed over, as is a last one without its line break: what was writing it was killed. Where
 * standard output appends to that same file, such a last line is removed, so that what is printed
 * continues the file. NULL, having complained, when the file can't be read. */
done_set *done_read(const char *path, const char *result_key, bool quiet);

bool done_has(const done_set *set, const char *path);
size_t done_count(const done_set *set);
void done_free(done_set *set);

#endif
