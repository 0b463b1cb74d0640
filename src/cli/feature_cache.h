/* SPDX-License-Identifier: MIT
 *
 * Vectors of pictures that were computed before, by the pictures' content: one small file each, in
 * a folder of $XDG_CACHE_HOME/vitrine/features (else ~/.cache) for each way of computing them. A
 * file that is damaged, or that can't be read or written, is as good as none.
 */
#ifndef CLI_FEATURE_CACHE_H
#define CLI_FEATURE_CACHE_H

#include <stdbool.h>
#include <stddef.h>

#include "hash.h"

typedef struct feature_cache {
    char *folder; /* NULL: there is none, nothing is found and nothing kept */
    size_t width; /* floats of a vector */
} feature_cache;

/* `how` stands for all that a vector depends on besides the picture. */
void cache_open(feature_cache *out, hash how, size_t width);
void cache_close(feature_cache *cache);

bool cache_get(const feature_cache *cache, hash picture, float *vector);

/* In one piece or not at all, also where another process does the same. */
void cache_put(const feature_cache *cache, hash picture, const float *vector);

#endif
