/* SPDX-License-Identifier: MIT
 *
 * Names of files.
 */
#ifndef CLI_PATHS_H
#define CLI_PATHS_H

#include <stdbool.h>

/* "FOLDER/NAME", the caller's to free; no second slash where FOLDER ends with one. */
char *path_join(const char *folder, const char *name);

/* What follows the last slash. */
const char *path_base(const char *path);

/* Whether there is something before `end`, in capitals or not: "map.PNG" for ".png". */
bool path_ends_with(const char *path, const char *end);

#endif
