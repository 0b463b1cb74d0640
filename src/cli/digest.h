/* SPDX-License-Identifier: MIT
 *
 * Hashes that name a hub's files: SHA-256 of large ones, git's name of a blob of the others. By
 * OpenSSL's libcrypto, loaded when it is first needed: libcurl brings it along in most cases.
 *
 *     digest *d = digest_create(DIGEST_SHA256, size);
 *     digest_add(d, bytes, count);
 *     digest_text(d, text);
 *     digest_destroy(d);
 */
#ifndef CLI_DIGEST_H
#define CLI_DIGEST_H

#include <stddef.h>

enum { DIGEST_TEXT_SIZE = 65 };

typedef enum digest_kind {
    DIGEST_SHA256,  /* 64 hexadecimal digits */
    DIGEST_GIT_BLOB /* 40: SHA-1 of "blob SIZE", a NUL, and the contents */
} digest_kind;

typedef struct digest digest;

/* Before all others: returns an exit code, having complained in the name of `command`. */
int digest_load(const char *command);

/* `size`: of all that will be added. */
digest *digest_create(digest_kind kind, size_t size);
void digest_destroy(digest *d);

/* Begins again. */
void digest_reset(digest *d);
void digest_add(digest *d, const void *bytes, size_t count);

/* Ends it; only a reset may follow. */
void digest_text(digest *d, char text[DIGEST_TEXT_SIZE]);

#endif
