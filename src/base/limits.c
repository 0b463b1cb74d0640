/* SPDX-License-Identifier: MIT */
#include "base/limits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/options.h"

/* docs/RELIABILITY.md says why each is what it is. */
#define DEFAULTS                                                                                   \
    {                                                                                              \
        .struct_size = sizeof(vt_limits), .image_pixels = UINT64_C(1) << 28,                       \
        .image_bytes = UINT64_C(1) << 30, .weights_bytes = UINT64_C(1) << 40,                      \
        .header_bytes = 100000000, .json_bytes = UINT64_C(1) << 26, .json_depth = 128,             \
        .tensors = 1 << 20, .vocabulary = 1 << 22, .tokens = 1 << 24,                              \
    }

static const vt_limits defaults = DEFAULTS;

/* Set before anything else happens, and only read from then on. */
static vt_limits limits = DEFAULTS;

/* Jansson's own depth; ids are 32 bits wide. */
enum { MOST_JSON_DEPTH = 2048, MOST_IDS = 1 << 30 };

const vt_limits *vt_limits_now(void) {
    return &limits;
}

static uint64_t or_default(uint64_t value, uint64_t fallback) {
    return value ? value : fallback;
}

vt_status vt_set_limits(const vt_limits *wanted, vt_error *err) {
    vt_limits full;
    vt_status status = vt_options_take(&full, sizeof full, wanted, "vt_limits", err);
    if (status)
        return status;
    if (full.json_depth > MOST_JSON_DEPTH || full.vocabulary > MOST_IDS || full.tokens > MOST_IDS)
        return vt_fail(err, VT_ERR_ARGUMENT,
                       "vt_limits: json_depth is at most %d, vocabulary and tokens are at most %d",
                       MOST_JSON_DEPTH, MOST_IDS);
    full.image_pixels = or_default(full.image_pixels, defaults.image_pixels);
    full.image_bytes = or_default(full.image_bytes, defaults.image_bytes);
    full.weights_bytes = or_default(full.weights_bytes, defaults.weights_bytes);
    full.header_bytes = or_default(full.header_bytes, defaults.header_bytes);
    full.json_bytes = or_default(full.json_bytes, defaults.json_bytes);
    full.json_depth = (size_t)or_default(full.json_depth, defaults.json_depth);
    full.tensors = (size_t)or_default(full.tensors, defaults.tensors);
    full.vocabulary = (size_t)or_default(full.vocabulary, defaults.vocabulary);
    full.tokens = (size_t)or_default(full.tokens, defaults.tokens);
    limits = full;
    return VT_OK;
}

/* ---- links -------------------------------------------------------------------------------------
 */

/* Whether `path` begins with root[0..length), a slash and `folder`. */
static bool lies_below(const char *path, const char *root, size_t length, const char *folder) {
    return strncmp(path, root, length) == 0 && path[length] == '/' &&
           strncmp(path + length + 1, folder, strlen(folder)) == 0;
}

/* The real path of the directory that the file lies in, from malloc; NULL with errno set. */
static char *real_directory(const char *path) {
    const char *slash = strrchr(path, '/');
    if (!slash)
        return realpath(".", NULL);
    char *name = vt_strdup(path);
    if (!name) {
        errno = ENOMEM;
        return NULL;
    }
    name[slash == path ? 1 : slash - path] = '\0';
    char *real = realpath(name, NULL);
    vt_free(name);
    return real;
}

/* The length of "ROOT" in "ROOT/snapshots/REVISION"; 0: it is no such path. */
static size_t repository_length(const char *directory) {
    static const char parent[] = "/snapshots";
    const char *revision = strrchr(directory, '/');
    const size_t length = revision ? (size_t)(revision - directory) : 0, size = sizeof parent - 1;
    return length > size && memcmp(revision - size, parent, size) == 0 ? length - size : 0;
}

vt_status vt_limits_check_link(const char *path, vt_error *err) {
    if (limits.follow_links)
        return VT_OK;
    char *root = real_directory(path), *target = root ? realpath(path, NULL) : NULL;
    vt_status status = VT_OK;
    if (!root || !target) {
        status = errno == ENOMEM ? vt_fail_memory(err, path, strlen(path))
                                 : vt_fail(err, VT_ERR_IO, "%s: %s", path, strerror(errno));
    } else if (!lies_below(target, root, strcmp(root, "/") == 0 ? 0 : strlen(root), "")) {
        const size_t repository = repository_length(root);
        if (!repository || !lies_below(target, root, repository, "blobs/"))
            status = vt_fail(err, VT_ERR_LIMIT,
                             "%s: leads out of the model's directory, to %s: see follow_links",
                             path, target);
    }
    free(root);
    free(target);
    return status;
}
