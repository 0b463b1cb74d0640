/* SPDX-License-Identifier: MIT
 *
 * What the hub says: a model's commit, its files, their hashes and sizes, and their bytes. A hub
 * that is busy, or a connection that breaks, is tried again, a little later each time.
 *
 * Functions return an exit code and have complained when it is not EXIT_DONE, unless they were
 * interrupted.
 */
#ifndef CLI_HUB_CLIENT_H
#define CLI_HUB_CLIENT_H

#include <jansson.h>

#include "diagnose.h"
#include "digest.h"
#include "hub_cache.h"
#include "progress.h"

typedef struct hub hub;

/* $HF_ENDPOINT, with $HF_TOKEN or the token that the official tools keep in a file. */
int hub_connect(hub **out, size_t retries, bool quiet, const char *command);
void hub_disconnect(hub *h);

/* The bar to take away where a note is printed. */
progress *hub_bar(hub *h);

/* A model at one commit. */
typedef struct hub_listing {
    hub_model model;
    char commit[HUB_COMMIT_SIZE];
    json_t *files; /* an object whose keys are their names, which nobody has checked */
} hub_listing;

int hub_list(hub *h, const hub_model *model, hub_listing *out);

/* The part of it that follows the answer, whose JSON this is: fills in all but the model. */
int hub_read_listing(hub *h, hub_listing *out, const char *answer, size_t size);
void hub_listing_free(hub_listing *listing);
bool hub_listing_has(const hub_listing *listing, const char *name);

typedef struct hub_file {
    char *name;
    char etag[DIGEST_TEXT_SIZE]; /* its hash */
    digest_kind kind;
    size_t size;
} hub_file;

/* Fills in all but the name. */
int hub_ask(hub *h, const hub_listing *listing, hub_file *file);

/* Where the bytes of a file go. */
typedef struct hub_sink {
    const size_t *offset; /* how many there are: the next one to ask for. `receive` moves it. */
    /* Takes the file's bytes from number `first` on: the next ones, or again from 0. False, having
     * complained, ends the download. */
    bool (*receive)(void *user, size_t first, const void *bytes, size_t count);
    void *user;
} hub_sink;

/* Brings the bytes that are not there yet. */
int hub_fetch(hub *h, const hub_listing *listing, const hub_file *file, const hub_sink *sink);

/* "vitrine: NAME: FILE: MESSAGE"; `file` may be NULL. Returns EXIT_SOME_FAILED. */
int hub_complain(hub *h, const hub_model *model, const char *file, const char *format, ...)
    CLI_PRINTF(4, 5);

/* "vitrine: note: NAME: FILE: MESSAGE", unless it should be quiet. */
void hub_note(hub *h, const hub_model *model, const char *file, const char *format, ...)
    CLI_PRINTF(4, 5);

#endif
