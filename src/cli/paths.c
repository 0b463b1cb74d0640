/* SPDX-License-Identifier: MIT */
#include "paths.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "diagnose.h"

char *path_join(const char *folder, const char *name) {
    size_t length = strlen(folder), size = length + strlen(name) + 2;
    bool slash = length && folder[length - 1] == '/';
    char *path = allocate(size, 1);
    snprintf(path, size, "%s%s%s", folder, slash ? "" : "/", name);
    return path;
}

bool path_ends_with(const char *path, const char *end) {
    size_t length = strlen(path), size = strlen(end);
    return length > size && strcasecmp(path + length - size, end) == 0;
}

const char *path_base(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}
