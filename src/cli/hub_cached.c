/* SPDX-License-Identifier: MIT */
#include "hub_cached.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "diagnose.h"
#include "folder.h"
#include "hub_cache.h"
#include "text.h"

static bool is_directory(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* The branch or tag of a commit: main, or else the first by name. */
typedef struct search {
    const char *commit;
    size_t prefix; /* of the path, up to the revision's name */
    char *revision;
} search;

static void match_ref(void *user, const char *path, const char *name) {
    search *s = user;
    char commit[HUB_COMMIT_SIZE];
    const char *revision = path + s->prefix;
    (void)name;
    if (is_directory(path)) {
        if (strlen(revision) < HUB_REVISION_SIZE)
            folder_each(path, match_ref, s);
    } else if (hub_ref_read(commit, path) && strcmp(commit, s->commit) == 0 &&
               (!s->revision || strcmp(revision, "main") == 0)) {
        free(s->revision);
        s->revision = duplicate(revision);
    }
}

static char *find_revision(const char *repository, const char *commit) {
    char *refs = text_format("%s/refs", repository);
    search s = {.commit = commit, .prefix = strlen(refs) + 1};
    folder_each(refs, match_ref, &s);
    free(refs);
    return s.revision;
}

typedef struct listing {
    hub_cached_fn visit;
    void *user;
    const char *path; /* of the repository */
    char *name;
} listing;

static void list_snapshot(void *user, const char *path, const char *commit) {
    const listing *l = user;
    if (!hub_is_commit(commit) || !is_directory(path))
        return;
    char *revision = find_revision(l->path, commit);
    bool is_main = revision && strcmp(revision, "main") == 0;
    char *model =
        is_main ? duplicate(l->name) : text_format("%s@%s", l->name, revision ? revision : commit);
    l->visit(l->user, &(hub_snapshot){model, l->name, revision, commit, path});
    free(model);
    free(revision);
}

/* "models--ORG--NAME" */
static void list_repository(void *user, const char *path, const char *folder) {
    static const char prefix[] = "models--";
    listing *l = user;
    hub_model model;
    if (strncmp(folder, prefix, sizeof prefix - 1) != 0)
        return;
    l->path = path;
    l->name = duplicate(folder + sizeof prefix - 1);
    char *dashes = strstr(l->name, "--");
    if (dashes) {
        *dashes = '/';
        memmove(dashes + 1, dashes + 2, strlen(dashes + 2) + 1);
    }
    char *snapshots = text_format("%s/snapshots", path);
    if (hub_model_parse(&model, l->name))
        folder_each(snapshots, list_snapshot, l);
    free(snapshots);
    free(l->name);
}

bool hub_cached_each(hub_cached_fn visit, void *user) {
    listing l = {.visit = visit, .user = user};
    char *cache = hub_cache_directory();
    bool read = folder_each(cache, list_repository, &l);
    int reason = errno;
    free(cache);
    errno = reason;
    return read;
}
