/* SPDX-License-Identifier: MIT
 *
 * The models in the cache (hub_cache.h), whichever program downloaded them.
 */
#ifndef CLI_HUB_CACHED_H
#define CLI_HUB_CACHED_H

#include <stdbool.h>

/* Lent to the visitor. */
typedef struct hub_snapshot {
    const char *model; /* what -m takes */
    const char *name;
    const char *revision; /* the branch or tag; NULL: nothing names the commit */
    const char *commit, *path;
} hub_snapshot;

typedef void (*hub_cached_fn)(void *user, const hub_snapshot *found);

/* Each snapshot, in the order of their names. False, with errno, when the cache can't be read;
 * ENOENT: there is none. */
bool hub_cached_each(hub_cached_fn visit, void *user);

#endif
