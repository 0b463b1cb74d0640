/* SPDX-License-Identifier: MIT
 *
 * One file of a hub's brought into the cache: what an earlier try left is gone on from, and the
 * hash of all is taken as it comes in. It gets its place when it is whole and right.
 */
#ifndef CLI_DOWNLOAD_H
#define CLI_DOWNLOAD_H

#include "hub_client.h"
#include "hub_store.h"

/* The bytes that are there of a file that is not whole yet. */
size_t download_begun(const hub_store *store, const hub_file *file);

/* `before`: what the bar has counted of other files. Returns an exit code, having complained unless
 * it was interrupted. */
int download(hub *h, const hub_store *store, const hub_listing *listing, const hub_file *file,
             size_t before);

#endif
