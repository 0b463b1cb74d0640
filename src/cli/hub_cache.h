/* SPDX-License-Identifier: MIT
 *
 * The cache of models from a hub, as huggingface_hub lays it out and shares it between programs:
 *
 *     CACHE/models--ORG--NAME/refs/REVISION          the commit that a branch or tag stands for
 *                             blobs/ETAG             contents, named by their hash
 *                             snapshots/COMMIT/FILE  links to ../../blobs/ETAG
 *     CACHE/.locks/models--ORG--NAME/ETAG.lock       held while a blob is written
 *
 *     hub_model model;
 *     char *directory = hub_model_parse(&model, "org/name@v2") ? hub_cache_find(&model) : NULL;
 */
#ifndef CLI_HUB_CACHE_H
#define CLI_HUB_CACHE_H

#include <stdbool.h>

enum { HUB_NAME_SIZE = 200, HUB_REVISION_SIZE = 200, HUB_COMMIT_SIZE = 41 };

typedef struct hub_model {
    char name[HUB_NAME_SIZE];         /* "google/vit-base-patch16-224", or "gpt2" */
    char revision[HUB_REVISION_SIZE]; /* a branch, a tag or a commit; "main" where none is named */
    bool pinned;                      /* a revision was named */
} hub_model;

/* Reads "ORG/NAME" or "NAME", and "@REVISION" behind it. False when that can't be a model's name:
 * then it may still be a path. */
bool hub_model_parse(hub_model *out, const char *text);

/* False for what can't be a branch, a tag or a commit, or would lead out of refs/. */
bool hub_revision_set(hub_model *model, const char *revision);

/* "NAME", or "NAME@REVISION" where one was named: what -m takes. Freed by the caller, as are all
 * paths below. */
char *hub_model_text(const hub_model *model);

/* A whole commit's name: 40 hexadecimal digits. */
bool hub_is_commit(const char *text);

/* $HF_HUB_CACHE, or hub/ in $HF_HOME, or in huggingface/ of $XDG_CACHE_HOME or ~/.cache. */
char *hub_cache_directory(void);

/* $HF_HOME or what stands for it: the token lies there. */
char *hub_home(void);

/* The value of a variable as a path, "~" being the home directory; NULL where it is not set. */
char *hub_path_from(const char *variable);

/* Whether a variable says yes, as the official tools read it. */
bool hub_is_set(const char *variable);

/* CACHE/models--ORG--NAME, whether it is there or not. */
char *hub_cache_repository(const char *name);

/* The commit in a file below refs/. False when there is none. */
bool hub_ref_read(char commit[HUB_COMMIT_SIZE], const char *path);

/* The model's snapshot. NULL when it is not in the cache. */
char *hub_cache_find(const hub_model *model);

/* Whether a snapshot has any safetensors: other programs may have left its configuration alone. */
bool hub_cache_has_weights(const char *snapshot);

#endif
