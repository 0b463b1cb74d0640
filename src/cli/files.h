/* SPDX-License-Identifier: MIT
 *
 * Where pictures come from: the operands, then what --files-from lists. They are found as they are
 * asked for: no more of a list is held than its next names, and of directories the names in those
 * on the way to the picture.
 *
 *     file_source *files = files_open(settings, NULL, true);
 *     for (found_file found; files_take(files, &found); free(found.path))
 *         …
 *     files_close(files);
 */
#ifndef CLI_FILES_H
#define CLI_FILES_H

#include <stdbool.h>
#include <stddef.h>

#include "done.h"
#include "settings.h"

typedef struct found_file {
    char *path;     /* the caller frees it */
    vt_error error; /* VT_OK, or why the directory or the list of that path gives no pictures */
    bool is_list;   /* the path is that of --files-from */
} found_file;

typedef struct file_source file_source;

typedef enum files_status {
    FILES_FOUND,
    FILES_NOT_YET, /* the list is a pipe that has nothing in it now */
    FILES_END
} files_status;

/* A directory stands for the pictures in it and below, sorted by name and told by their extensions;
 * hidden files and a link back to a directory on the way are skipped. Anything else is taken at its
 * word. Paths in `skip` (may be NULL) are passed over. With `watch_output`, waiting for the list
 * ends when nobody reads standard output any more. */
file_source *files_open(const settings *s, const done_set *skip, bool watch_output);
void files_close(file_source *source);

/* One thread at a time calls these. files_next does not wait; files_wait returns when it is worth
 * another try; files_take waits for the next one, and returns false when there is none. */
files_status files_next(file_source *source, found_file *out);
void files_wait(file_source *source);
bool files_take(file_source *source, found_file *out);

/* From any thread: ends the wait, and the list. */
void files_interrupt(file_source *source);

/* Whether the list ended because nobody reads standard output any more. */
bool files_abandoned(const file_source *source);

/* What a complaint about a path calls it. */
const char *files_subject(const char *path);

/* How many there are. `most` where there are as many or more, or where that can't be told soon. */
size_t files_count(const settings *s, const done_set *skip, size_t most);

#endif
