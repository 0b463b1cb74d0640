/* SPDX-License-Identifier: MIT
 *
 * Fingerprints of 128 bits (XXH3), which tell contents apart that nobody made to be mistaken for
 * each other.
 */
#ifndef CLI_HASH_H
#define CLI_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct hash {
    uint64_t low, high;
} hash;

enum { HASH_TEXT = 33 };

hash hash_bytes(const void *bytes, size_t size);

/* Of a file's bytes. False when it can't be read. */
bool hash_file(hash *out, const char *path);

/* Of two in that order, and of a set of them in any order: begin with {0}. */
hash hash_pair(hash a, hash b);
hash hash_add(hash set, hash member);

bool hash_equal(hash a, hash b);

/* 32 hexadecimal digits. */
void hash_text(char text[HASH_TEXT], hash h);

#endif
