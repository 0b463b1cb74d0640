/* SPDX-License-Identifier: MIT */
#include "hash.h"

#include <stdio.h>
#include <stdlib.h>

#define XXH_INLINE_ALL /* no library to load at the start of every command */
#include <xxhash.h>

#include "diagnose.h"

static hash from(XXH128_hash_t h) {
    return (hash){h.low64, h.high64};
}

hash hash_bytes(const void *bytes, size_t size) {
    return from(XXH3_128bits(bytes, size));
}

bool hash_file(hash *out, const char *path) {
    enum { CHUNK = 1 << 16 };
    FILE *file = fopen(path, "rb");
    if (!file)
        return false;
    XXH3_state_t *state = aligned_alloc(64, sizeof *state);
    unsigned char *chunk = allocate(CHUNK, 1);
    bool good = state != NULL;
    if (good)
        XXH3_128bits_reset(state);
    for (size_t got; good && (got = fread(chunk, 1, CHUNK, file)) > 0;)
        XXH3_128bits_update(state, chunk, got);
    good = good && !ferror(file);
    if (good)
        *out = from(XXH3_128bits_digest(state));
    free(chunk);
    free(state);
    fclose(file);
    return good;
}

hash hash_pair(hash a, hash b) {
    const hash both[] = {a, b};
    return hash_bytes(both, sizeof both);
}

hash hash_add(hash set, hash member) {
    return (hash){set.low + member.low, set.high + member.high};
}

bool hash_equal(hash a, hash b) {
    return a.low == b.low && a.high == b.high;
}

void hash_text(char text[HASH_TEXT], hash h) {
    snprintf(text, HASH_TEXT, "%016llx%016llx", (unsigned long long)h.high,
             (unsigned long long)h.low);
}
