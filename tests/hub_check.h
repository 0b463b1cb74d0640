/* SPDX-License-Identifier: MIT
 *
 * The Hugging Face cache, held against what its official readers expect, and what tests of it
 * share.
 */
#ifndef TESTS_HUB_CHECK_H
#define TESTS_HUB_CHECK_H

#include <stdbool.h>
#include <stddef.h>

/* Fixtures: a workspace (command.h) with a hub, and the environment that leads to both. */
int hub_workspace(void **state);
int hub_cleanup(void **state);
/* Before each test: an empty cache, and a hub that has forgotten all. */
int hub_fresh(void **state);

/* The cache in the workspace, an absolute path. */
const char *hub_cache(void);

/* Fails the test unless the cache is whole: each repository has snapshots/; what lies in it are
 * links to blobs of the same repository; a blob has the hash that is its name; each reference names
 * a snapshot that is there; and there is nothing else but *.incomplete and lock files. */
void expect_whole_cache(void);

/* "CACHE/models--ORG--NAME/REST"; valid until the third call after this one. */
const char *cache_path(const char *model, const char *rest);
bool is_there(const char *path);

/* The size of the one *.incomplete file of a model; SIZE_MAX when there is none. */
size_t incomplete_size(const char *model);

/* A golden case as a model of the hub: its configuration, preprocessing and weights. */
void serve_case(const char *model, const char *golden_case);
/* The same with its weights in two shards and an index. */
void serve_case_in_shards(const char *model, const char *golden_case);

/* Fails the test unless `vitrine classify -m MODEL` prints what it prints with the golden case. */
void expect_same_classes(const char *model, const char *golden_case);

#endif
