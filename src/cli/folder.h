/* SPDX-License-Identifier: MIT
 *
 * What is in a folder.
 */
#ifndef CLI_FOLDER_H
#define CLI_FOLDER_H

#include <stdbool.h>

/* Called with each name in a folder, in order by bytes, hidden ones left out; `path` is that of the
 * entry. False, with errno, when the folder can't be read. */
typedef void (*folder_fn)(void *user, const char *path, const char *name);
bool folder_each(const char *folder, folder_fn visit, void *user);

#endif
