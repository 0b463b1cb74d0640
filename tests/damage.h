/* SPDX-License-Identifier: MIT
 *
 * Files that are damaged by lot: the same lots are drawn again after the same seed.
 *
 *     lot_seed(17);
 *     blob b = blob_read("config.json");
 *     damage_json(&b);
 *     blob_write("damaged.json", &b);
 *     blob_free(&b);
 *
 * What can't be read or written ends the program with code 2.
 */
#ifndef TESTS_DAMAGE_H
#define TESTS_DAMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

_Noreturn void die(const char *what);

void lot_seed(uint64_t seed);

/* From 0 to `limit` - 1, or 0. */
size_t lot(size_t limit);

typedef struct blob {
    unsigned char *bytes;
    size_t size;
} blob;

blob blob_read(const char *path);
void blob_write(const char *path, const blob *b);
void blob_free(blob *b);

/* One injury to the first `limit` bytes (0: to any): bits, bytes, integers, what is cut out, put in
 * twice or missing at the end. */
void damage_bytes(blob *b, size_t limit);

/* A number is replaced by another one, without regard to what else there is. */
void damage_number(blob *b);

/* A value is replaced, removed, or put in another place. It remains JSON, unless it was none, when
 * it is damaged as bytes are. */
void damage_json(blob *b);

/* The same in the header of a safetensors file, whose length is then right. */
void damage_safetensors(blob *b);

/* Gives the chunks of a PNG the checksums of what is in them. */
void mend_png(blob *b);

#endif
