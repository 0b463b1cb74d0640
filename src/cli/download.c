/* SPDX-License-Identifier: MIT */
#include "download.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "interrupt.h"
#include "text.h"

typedef struct transfer {
    hub *hub;
    const hub_listing *listing;
    const hub_file *file;
    char *path; /* of the file that grows */
    int out;
    digest *digest;
    size_t offset; /* bytes that are written, and in the digest */
    size_t before; /* of other files, in the bar */
} transfer;

size_t download_begun(const hub_store *store, const hub_file *file) {
    size_t size;
    char *path = hub_store_incomplete(store, file->etag);
    bool begun = hub_store_size(path, &size) && size <= file->size;
    free(path);
    return begun ? size : 0;
}

static bool fail(const transfer *t) {
    int reason = errno;
    progress_hide(hub_bar(t->hub));
    complain(t->path, strerror(reason));
    return false;
}

/* ---- bytes -------------------------------------------------------------------------------------
 */

static bool restart(transfer *t) {
    t->offset = 0;
    digest_reset(t->digest);
    return ftruncate(t->out, 0) == 0 || fail(t);
}

/* At their own place, so that two processes that write the same file write the same bytes. */
static bool write_at(transfer *t, const char *bytes, size_t count) {
    for (size_t done = 0; done < count;) {
        ssize_t written = pwrite(t->out, bytes + done, count - done, (off_t)(t->offset + done));
        if (written < 0 && errno != EINTR)
            return fail(t);
        done += written > 0 ? (size_t)written : 0;
    }
    return true;
}

static bool receive(void *user, size_t first, const void *bytes, size_t count) {
    transfer *t = user;
    const hub_model *model = &t->listing->model;
    if (first == 0 && t->offset && !restart(t))
        return false;
    if (first != t->offset) {
        hub_complain(t->hub, model, t->file->name, "other bytes came than those from %zu on",
                     t->offset);
        return false;
    }
    if (count > t->file->size - t->offset) {
        hub_complain(t->hub, model, t->file->name, "more came than the %zu bytes it should have",
                     t->file->size);
        return false;
    }
    if (!write_at(t, bytes, count))
        return false;
    digest_add(t->digest, bytes, count);
    t->offset += count;
    progress_show(hub_bar(t->hub), t->before + t->offset);
    return true;
}

/* Takes what an earlier try left into the digest. False when interrupted, or it can't be read. */
static bool take_up(transfer *t) {
    enum { CHUNK = 1 << 20 };
    off_t end = lseek(t->out, 0, SEEK_END);
    if (end < 0 || (size_t)end > t->file->size)
        return restart(t);
    char *chunk = allocate(CHUNK, 1);
    ssize_t got = 1;
    while (got > 0 && t->offset < (size_t)end && !interrupted) {
        size_t rest = (size_t)end - t->offset;
        got = pread(t->out, chunk, rest < CHUNK ? rest : CHUNK, (off_t)t->offset);
        digest_add(t->digest, chunk, got > 0 ? (size_t)got : 0);
        t->offset += got > 0 ? (size_t)got : 0;
    }
    free(chunk);
    return got < 0 ? fail(t) : !interrupted;
}

/* ---- one file ----------------------------------------------------------------------------------
 */

static int bring(transfer *t) {
    const hub_sink sink = {.offset = &t->offset, .receive = receive, .user = t};
    return t->offset < t->file->size ? hub_fetch(t->hub, t->listing, t->file, &sink) : EXIT_DONE;
}

static int tell_difference(transfer *t, const char *found) {
    static const char *const names[] = {
        [DIGEST_SHA256] = "SHA-256", [DIGEST_GIT_BLOB] = "git hash"};
    unlink(t->path);
    return hub_complain(t->hub, &t->listing->model, t->file->name,
                        "damaged on the way: its %s is %s, the hub says %s", names[t->file->kind],
                        found, t->file->etag);
}

/* What an earlier try left may be damaged: then all is brought again, once. */
static int bring_right(transfer *t) {
    for (bool resumed = t->offset > 0;; resumed = false) {
        char found[DIGEST_TEXT_SIZE];
        int code = bring(t);
        if (code != EXIT_DONE)
            return code;
        digest_text(t->digest, found);
        if (strcmp(found, t->file->etag) == 0)
            return EXIT_DONE;
        if (!resumed)
            return tell_difference(t, found);
        if (!restart(t))
            return EXIT_SOME_FAILED;
    }
}

/* The blob's name will vouch for its contents: they must be on the disk first. Some file systems
 * can't tell. */
static bool settle(const transfer *t) {
    return fdatasync(t->out) == 0 || errno == EINVAL || errno == ENOSYS || fail(t);
}

/* The lock is held. */
static int bring_and_place(transfer *t, const hub_store *store) {
    t->path = hub_store_incomplete(store, t->file->etag);
    t->out = open(t->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    t->digest = digest_create(t->file->kind, t->file->size);
    bool placed = false;
    if (t->out < 0)
        fail(t);
    else if (take_up(t) && bring_right(t) == EXIT_DONE)
        placed = settle(t) && hub_store_place(store, t->file->etag);
    digest_destroy(t->digest);
    if (t->out >= 0)
        close(t->out);
    free(t->path);
    return placed ? EXIT_DONE : EXIT_SOME_FAILED;
}

static void tell_waiting(void *user) {
    const transfer *t = user;
    hub_note(t->hub, &t->listing->model, t->file->name, "another process brings it: waiting");
}

int download(hub *h, const hub_store *store, const hub_listing *listing, const hub_file *file,
             size_t before) {
    transfer t = {.hub = h, .listing = listing, .file = file, .before = before};
    int lock = hub_store_lock(store, file->etag, tell_waiting, &t);
    if (lock < 0)
        return EXIT_SOME_FAILED;
    int code =
        hub_store_has(store, file->etag, file->size) ? EXIT_DONE : bring_and_place(&t, store);
    hub_store_unlock(lock);
    return code;
}
