/* SPDX-License-Identifier: MIT
 *
 * Writing to the cache of hub_cache.h, so that whoever reads it at any moment, and whenever this
 * process ends, finds it whole: contents get their name when all of them are there, a snapshot's
 * links follow, and a branch points to the snapshot last.
 *
 * Functions that return bool or a descriptor have complained when they return false or -1.
 */
#ifndef CLI_HUB_STORE_H
#define CLI_HUB_STORE_H

#include <stdbool.h>
#include <stddef.h>

#include "hub_cache.h"

typedef struct hub_store {
    char *cache, *repository, *locks; /* directories */
} hub_store;

/* Makes what is missing of the directories. */
bool hub_store_open(hub_store *store, const char *name);
void hub_store_close(hub_store *store);

/* Where a blob is, or will be; and where it grows. Freed by the caller. */
char *hub_store_blob(const hub_store *store, const char *etag);
char *hub_store_incomplete(const hub_store *store, const char *etag);

/* The size of the file at `path`, links followed; false when there is none. */
bool hub_store_size(const char *path, size_t *size);

/* Whether a blob is there with all its bytes. */
bool hub_store_has(const hub_store *store, const char *etag, size_t size);

/* The lock of a blob, which the official tools take too. Waits while another process has it, and
 * calls `waiting` (may be NULL) before it does. -1 also when interrupted. */
int hub_store_lock(const hub_store *store, const char *etag, void (*waiting)(void *), void *user);
void hub_store_unlock(int lock);

/* The finished file becomes the blob. */
bool hub_store_place(const hub_store *store, const char *etag);

/* snapshots/COMMIT/FILE: a link to the blob, unless it stands for those bytes already. Where there
 * are no links (HF_HUB_DISABLE_SYMLINKS, or a file system without) the blob itself moves there. */
bool hub_store_link(const hub_store *store, const char *commit, const char *file, const char *etag,
                    size_t size);
/* The path of that; of the directory where `file` is NULL. */
char *hub_store_snapshot(const hub_store *store, const char *commit, const char *file);

/* refs/REVISION says COMMIT; nothing to do where the revision is the commit itself. */
bool hub_store_refer(const hub_store *store, const char *revision, const char *commit);

#endif
