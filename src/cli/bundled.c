/* SPDX-License-Identifier: MIT */
#include "bundled.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MODEL "/emoji-vit"

/* The folder that the running program is in. */
static bool find_own_folder(char folder[PATH_MAX]) {
    ssize_t length = readlink("/proc/self/exe", folder, PATH_MAX - 1);
    if (length <= 0)
        return false;
    folder[length] = '\0';
    *strrchr(folder, '/') = '\0';
    return true;
}

static bool find_from(char found[PATH_MAX], const char *folder, const char *path) {
    char joined[PATH_MAX];
    int length = snprintf(joined, sizeof joined, "%s/%s" MODEL, folder, path);
    return length > 0 && (size_t)length < sizeof joined && realpath(joined, found);
}

const char *bundled_model(void) {
    static char found[PATH_MAX];
    char folder[PATH_MAX];
    /* Beside the program in the build folder, up from bin/ where it is installed. */
    if (find_own_folder(folder) &&
        (find_from(found, folder, "share/vitrine") || find_from(found, folder, DATA_FROM_BIN)))
        return found;
    return DATA_DIR MODEL;
}
