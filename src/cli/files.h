/* SPDX-License-Identifier: MIT
 *
 * The pictures to work on: operands, lists of files, and the pictures inside directories.
 */
#ifndef CLI_FILES_H
#define CLI_FILES_H

#include <stdbool.h>
#include <stddef.h>

typedef struct file_list {
    char **paths; /* in the order given, directories sorted */
    size_t count, capacity;
    size_t num_failed; /* directories and lists that could not be read, already complained about */
} file_list;

/* Adds a path. A directory stands for the pictures in it and below, told by their extensions;
 * hidden files and a link back to a directory on the way are skipped. Anything else is taken at its
 * word. */
void files_add(file_list *list, const char *path);

/* files_add for each line of a file, "-" being standard input. Empty lines are skipped. */
void files_add_from(file_list *list, const char *path);

void files_free(file_list *list);

#endif
