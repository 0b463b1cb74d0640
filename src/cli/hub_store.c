/* SPDX-License-Identifier: MIT */
#include "hub_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "interrupt.h"
#include "text.h"

static bool fail(const char *path) {
    complain(path, strerror(errno));
    return false;
}

/* ---- directories -------------------------------------------------------------------------------
 */

static bool make_directory(const char *path) {
    struct stat info;
    if (mkdir(path, 0777) == 0)
        return true;
    int reason = errno;
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        return true;
    errno = reason == EEXIST ? ENOTDIR : reason;
    return fail(path);
}

/* The directory and all above it. */
static bool make_directories(const char *path) {
    char *part = duplicate(path);
    bool made = true;
    for (char *slash = part + 1; made && (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        made = make_directory(part);
        *slash = '/';
    }
    made = made && make_directory(part);
    free(part);
    return made;
}

static bool make_parent(const char *path) {
    char *parent = duplicate(path);
    *strrchr(parent, '/') = '\0';
    bool made = make_directories(parent);
    free(parent);
    return made;
}

/* Readers take a repository without snapshots/ for a broken one, so that comes first. */
static bool make_parts(const hub_store *store) {
    static const char *const parts[] = {"snapshots", "refs", "blobs"};
    bool made = make_directories(store->repository);
    for (size_t i = 0; made && i < sizeof parts / sizeof *parts; i++) {
        char *path = text_format("%s/%s", store->repository, parts[i]);
        made = make_directory(path);
        free(path);
    }
    return made && make_directories(store->locks);
}

bool hub_store_open(hub_store *store, const char *name) {
    store->cache = hub_cache_directory();
    store->repository = hub_cache_repository(name);
    store->locks = text_format("%s/.locks/%s", store->cache, strrchr(store->repository, '/') + 1);
    return make_parts(store);
}

void hub_store_close(hub_store *store) {
    free(store->cache);
    free(store->repository);
    free(store->locks);
}

/* ---- blobs -------------------------------------------------------------------------------------
 */

char *hub_store_blob(const hub_store *store, const char *etag) {
    return text_format("%s/blobs/%s", store->repository, etag);
}

char *hub_store_incomplete(const hub_store *store, const char *etag) {
    return text_format("%s/blobs/%s.incomplete", store->repository, etag);
}

bool hub_store_size(const char *path, size_t *size) {
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode))
        return false;
    *size = (size_t)info.st_size;
    return true;
}

bool hub_store_has(const hub_store *store, const char *etag, size_t size) {
    size_t found;
    char *path = hub_store_blob(store, etag);
    bool there = hub_store_size(path, &found) && found == size;
    free(path);
    return there;
}

/* Waits, if need be, for the lock on an open file. */
static bool lock_file(int file, void (*waiting)(void *), void *user) {
    if (flock(file, LOCK_EX | LOCK_NB) == 0)
        return true;
    if (errno != EWOULDBLOCK)
        return errno == ENOSYS || errno == ENOTSUP || errno == ENOLCK; /* without: see place */
    if (waiting)
        waiting(user);
    while (flock(file, LOCK_EX) != 0)
        if (errno != EINTR || interrupted)
            return false;
    return true;
}

int hub_store_lock(const hub_store *store, const char *etag, void (*waiting)(void *), void *user) {
    struct stat info;
    char *path = text_format("%s/%s.lock", store->locks, etag);
    int file;
    for (;;) {
        file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0664);
        bool locked = file >= 0 && lock_file(file, waiting, user) && fstat(file, &info) == 0;
        if (locked && info.st_nlink > 0)
            break;
        if (file >= 0)
            close(file);
        if (!locked) {
            if (!interrupted)
                fail(path);
            file = -1;
            break;
        } /* else its last owner removed it: lock the file that is there now */
    }
    free(path);
    return file;
}

void hub_store_unlock(int lock) {
    if (lock >= 0)
        close(lock);
}

/* Where locks do nothing (some network file systems), another process may have placed the same
 * bytes meanwhile. */
bool hub_store_place(const hub_store *store, const char *etag) {
    char *from = hub_store_incomplete(store, etag), *to = hub_store_blob(store, etag);
    bool placed = rename(from, to) == 0 || (errno == ENOENT && access(to, F_OK) == 0);
    if (!placed)
        fail(to);
    free(from);
    free(to);
    return placed;
}

/* ---- snapshots and references ------------------------------------------------------------------
 */

/* A name beside `path` that is nobody else's. */
static char *temporary_name(const char *path) {
    return text_format("%s.%ld.tmp", path, (long)getpid());
}

static bool replace(const char *temporary, const char *path) {
    if (rename(temporary, path) == 0)
        return true;
    fail(path);
    unlink(temporary);
    return false;
}

char *hub_store_snapshot(const hub_store *store, const char *commit, const char *file) {
    return text_format("%s/snapshots/%s%s%s", store->repository, commit, file ? "/" : "",
                       file ? file : "");
}

static bool move_blob(const hub_store *store, const char *etag, const char *path) {
    char *blob = hub_store_blob(store, etag);
    bool moved = rename(blob, path) == 0 || fail(path);
    free(blob);
    return moved;
}

static bool make_link(const hub_store *store, const char *etag, const char *path) {
    if (hub_is_set("HF_HUB_DISABLE_SYMLINKS"))
        return move_blob(store, etag, path);
    char *target = text_format("../../blobs/%s", etag), *temporary = temporary_name(path);
    unlink(temporary);
    bool made = symlink(target, temporary) == 0;
    int reason = errno;
    if (made)
        made = replace(temporary, path);
    else if (reason == EPERM || reason == ENOTSUP)
        made = move_blob(store, etag, path);
    else
        complain(path, strerror(reason));
    free(target);
    free(temporary);
    return made;
}

bool hub_store_link(const hub_store *store, const char *commit, const char *file, const char *etag,
                    size_t size) {
    size_t found;
    char *path = hub_store_snapshot(store, commit, file);
    bool there = hub_store_size(path, &found) && found == size;
    bool made = there || (make_parent(path) && make_link(store, etag, path));
    free(path);
    return made;
}

static bool write_ref(const char *path, const char *commit) {
    char *temporary = temporary_name(path);
    FILE *file = fopen(temporary, "w");
    bool written = file && fputs(commit, file) >= 0;
    if (file && fclose(file) != 0)
        written = false;
    if (written)
        written = replace(temporary, path);
    else
        fail(path);
    free(temporary);
    return written;
}

bool hub_store_refer(const hub_store *store, const char *revision, const char *commit) {
    char known[HUB_COMMIT_SIZE];
    if (strcmp(revision, commit) == 0)
        return true;
    char *path = text_format("%s/refs/%s", store->repository, revision);
    bool right = hub_ref_read(known, path) && strcmp(known, commit) == 0;
    right = right || (make_parent(path) && write_ref(path, commit));
    free(path);
    return right;
}
