/* SPDX-License-Identifier: MIT
 *
 * Which files of a repository the engine reads: its configuration, what prepares pictures and
 * texts, and its weights as safetensors. Never pickles, which can run code.
 */
#ifndef CLI_HUB_FILES_H
#define CLI_HUB_FILES_H

#include "hub_client.h"

typedef struct hub_files {
    hub_file *items;
    size_t count;
    bool sharded; /* the last one is an index, which names the rest */
} hub_files;

/* Returns an exit code: EXIT_MODEL, having complained, when there is nothing that the engine can
 * open. */
int hub_files_choose(hub *h, const hub_listing *listing, hub_files *out);
void hub_files_free(hub_files *files);

/* Adds the shards that the index at `path` names. Its names come from outside: they must be those
 * of files beside it. */
int hub_files_add_shards(hub *h, const hub_listing *listing, hub_files *files, const char *path);

/* JSON may be as large as the engine reads it: EXIT_MODEL, having complained, when it is larger. */
int hub_files_check_size(hub *h, const hub_listing *listing, const hub_file *file);

#endif
