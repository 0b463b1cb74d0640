/* SPDX-License-Identifier: MIT
 *
 * A file is a heading, the vector, and the hash of both, as they lie in memory: on a machine of the
 * other byte order it is a damaged one.
 */
#include "feature_cache.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "diagnose.h"
#include "paths.h"

typedef struct heading {
    char magic[8];
    uint64_t width;
    hash picture;
} heading;

static heading heading_of(const feature_cache *cache, hash picture) {
    heading h = {.magic = "vtfeat1", .width = cache->width, .picture = picture};
    return h;
}

static size_t body_size(const feature_cache *cache) {
    return sizeof(heading) + cache->width * sizeof(float);
}

/* A relative path is to be ignored (XDG Base Directory Specification). */
static char *caches_home(void) {
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (cache && *cache == '/')
        return duplicate(cache);
    return home && *home == '/' ? path_join(home, ".cache") : NULL;
}

/* Makes a folder and those above it. */
static bool make_folders(char *path) {
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        bool there = mkdir(path, 0700) == 0 || errno == EEXIST;
        *slash = '/';
        if (!there)
            return false;
    }
    return mkdir(path, 0700) == 0 || errno == EEXIST;
}

void cache_open(feature_cache *out, hash how, size_t width) {
    char name[HASH_TEXT], *home = caches_home();
    *out = (feature_cache){.width = width};
    if (!home)
        return;
    char *all = path_join(home, "vitrine/features");
    hash_text(name, how);
    out->folder = path_join(all, name);
    if (!make_folders(out->folder)) {
        free(out->folder);
        out->folder = NULL;
    }
    free(all);
    free(home);
}

void cache_close(feature_cache *cache) {
    free(cache->folder);
}

static char *path_of(const feature_cache *cache, hash picture) {
    char name[HASH_TEXT];
    hash_text(name, picture);
    return path_join(cache->folder, name);
}

/* The whole file, which must have that size. */
static bool read_exactly(const char *path, unsigned char *bytes, size_t size) {
    FILE *file = fopen(path, "rb");
    bool good = file && fread(bytes, 1, size, file) == size && getc(file) == EOF;
    if (file)
        fclose(file);
    return good;
}

bool cache_get(const feature_cache *cache, hash picture, float *vector) {
    if (!cache->folder)
        return false;
    size_t size = body_size(cache);
    heading expected = heading_of(cache, picture);
    unsigned char *bytes = allocate(size + sizeof(hash), 1);
    char *path = path_of(cache, picture);
    bool good = read_exactly(path, bytes, size + sizeof(hash));
    hash sum = hash_bytes(bytes, size);
    good = good && memcmp(bytes, &expected, sizeof expected) == 0 &&
           memcmp(bytes + size, &sum, sizeof sum) == 0;
    if (good)
        memcpy(vector, bytes + sizeof expected, cache->width * sizeof *vector);
    free(path);
    free(bytes);
    return good;
}

static bool write_all(int descriptor, const unsigned char *bytes, size_t size) {
    FILE *file = fdopen(descriptor, "wb");
    if (!file) {
        close(descriptor);
        return false;
    }
    bool written = fwrite(bytes, 1, size, file) == size;
    return fclose(file) == 0 && written;
}

void cache_put(const feature_cache *cache, hash picture, const float *vector) {
    if (!cache->folder)
        return;
    size_t size = body_size(cache);
    heading start = heading_of(cache, picture);
    unsigned char *bytes = allocate(size + sizeof(hash), 1);
    memcpy(bytes, &start, sizeof start);
    memcpy(bytes + sizeof start, vector, cache->width * sizeof *vector);
    hash sum = hash_bytes(bytes, size);
    memcpy(bytes + size, &sum, sizeof sum);
    char *path = path_of(cache, picture), *temporary = path_join(cache->folder, ".new-XXXXXX");
    int descriptor = mkstemp(temporary);
    if (descriptor >= 0 &&
        (!write_all(descriptor, bytes, size + sizeof sum) || rename(temporary, path) != 0))
        unlink(temporary);
    free(temporary);
    free(path);
    free(bytes);
}
