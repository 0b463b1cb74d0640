/* SPDX-License-Identifier: MIT */
#include "digest.h"

#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose.h"
#include "dynamic.h"

static struct {
    EVP_MD_CTX *(*create)(void);
    void (*destroy)(EVP_MD_CTX *);
    int (*begin)(EVP_MD_CTX *, const EVP_MD *, ENGINE *);
    int (*add)(EVP_MD_CTX *, const void *, size_t);
    int (*end)(EVP_MD_CTX *, unsigned char *, unsigned *);
    const EVP_MD *(*sha1)(void);
    const EVP_MD *(*sha256)(void);
} crypto;

struct digest {
    EVP_MD_CTX *context;
    digest_kind kind;
    size_t size;
    bool failed; /* a libcrypto whose policy forbids the hash: then no text is right */
};

int digest_load(const char *command) {
    const dynamic_symbol symbols[] = {
        {"EVP_MD_CTX_new", &crypto.create},   {"EVP_MD_CTX_free", &crypto.destroy},
        {"EVP_DigestInit_ex", &crypto.begin}, {"EVP_DigestUpdate", &crypto.add},
        {"EVP_DigestFinal_ex", &crypto.end},  {"EVP_sha1", &crypto.sha1},
        {"EVP_sha256", &crypto.sha256},
    };
    return dynamic_load("libcrypto.so.3", "libssl3", command, symbols,
                        sizeof symbols / sizeof *symbols);
}

digest *digest_create(digest_kind kind, size_t size) {
    digest *d = allocate(1, sizeof *d);
    *d = (digest){.context = crypto.create(), .kind = kind, .size = size};
    digest_reset(d);
    return d;
}

void digest_destroy(digest *d) {
    if (d)
        crypto.destroy(d->context);
    free(d);
}

void digest_reset(digest *d) {
    const EVP_MD *hash = d->kind == DIGEST_SHA256 ? crypto.sha256() : crypto.sha1();
    d->failed = !d->context || !crypto.begin(d->context, hash, NULL);
    if (d->kind == DIGEST_GIT_BLOB) {
        char header[32];
        int length = snprintf(header, sizeof header, "blob %zu", d->size);
        digest_add(d, header, (size_t)length + 1);
    }
}

void digest_add(digest *d, const void *bytes, size_t count) {
    if (!d->failed)
        d->failed = !crypto.add(d->context, bytes, count);
}

void digest_text(digest *d, char text[DIGEST_TEXT_SIZE]) {
    unsigned char value[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    *text = '\0';
    if (d->failed || !crypto.end(d->context, value, &length) || 2 * length >= DIGEST_TEXT_SIZE)
        return;
    for (unsigned i = 0; i < length; i++)
        snprintf(text + 2 * i, 3, "%02x", value[i]);
}
