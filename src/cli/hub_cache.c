/* SPDX-License-Identifier: MIT */
#include "hub_cache.h"

#include <ctype.h>
#include <dirent.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "text.h"

/* ---- names -------------------------------------------------------------------------------------
 */

static bool ends_with(const char *text, size_t length, const char *end) {
    size_t n = strlen(end);
    return length >= n && memcmp(text + length - n, end, n) == 0;
}

/* One part of a name: letters, digits, '_', '-' and '.', the last two not at its ends and neither
 * doubled, since "--" stands for the '/' in the cache. */
static bool is_part(const char *text, size_t length) {
    if (length == 0 || length > 96)
        return false;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        bool mark = c == '-' || c == '.';
        bool lone = i > 0 && i + 1 < length && text[i + 1] != (char)c;
        if (mark ? !lone : !(isalnum(c) && c < 0x80) && c != '_')
            return false;
    }
    return true;
}

static bool is_name(const char *text, size_t length) {
    const char *slash = memchr(text, '/', length);
    size_t organisation = slash ? (size_t)(slash - text) : 0;
    const char *name = slash ? slash + 1 : text;
    size_t rest = length - (size_t)(name - text);
    return (!slash || is_part(text, organisation)) && is_part(name, rest) &&
           !ends_with(text, length, ".git") && !ends_with(text, length, ".safetensors");
}

/* What git allows in a reference, and less: each part is a file's name below refs/. */
static bool is_revision(const char *text) {
    if (strlen(text) >= HUB_REVISION_SIZE)
        return false;
    for (const char *part = text;; part++) {
        size_t length = strcspn(part, "/");
        if (length == 0 || part[0] == '.' || ends_with(part, length, "."))
            return false;
        for (size_t i = 0; i < length; i++)
            if ((unsigned char)part[i] <= ' ' || part[i] == 0x7F || strchr("~^:?*[\\", part[i]))
                return false;
        part += length;
        if (!*part)
            return true;
    }
}

bool hub_revision_set(hub_model *model, const char *revision) {
    if (!is_revision(revision))
        return false;
    snprintf(model->revision, sizeof model->revision, "%s", revision);
    model->pinned = true;
    return true;
}

bool hub_model_parse(hub_model *out, const char *text) {
    size_t length = strcspn(text, "@");
    *out = (hub_model){.revision = "main"};
    if (length >= sizeof out->name || !is_name(text, length))
        return false;
    memcpy(out->name, text, length);
    return !text[length] || hub_revision_set(out, text + length + 1);
}

char *hub_model_text(const hub_model *model) {
    return text_format("%s%s%s", model->name, model->pinned ? "@" : "",
                       model->pinned ? model->revision : "");
}

bool hub_is_commit(const char *text) {
    return strlen(text) == HUB_COMMIT_SIZE - 1 &&
           strspn(text, "0123456789abcdef") == HUB_COMMIT_SIZE - 1;
}

/* ---- places ------------------------------------------------------------------------------------
 */

static const char *user_home(void) {
    const char *home = getenv("HOME");
    const struct passwd *user = home && *home ? NULL : getpwuid(getuid());
    return user ? user->pw_dir : home && *home ? home : "/";
}

char *hub_path_from(const char *variable) {
    const char *value = getenv(variable);
    if (!value || !*value)
        return NULL;
    if (value[0] == '~' && (value[1] == '/' || !value[1]))
        return text_format("%s%s", user_home(), value + 1);
    return duplicate(value);
}

bool hub_is_set(const char *variable) {
    static const char *const words[] = {"1", "on", "yes", "true"};
    const char *value = getenv(variable);
    for (size_t i = 0; value && i < sizeof words / sizeof *words; i++)
        if (strcasecmp(value, words[i]) == 0)
            return true;
    return false;
}

/* directory + "/" + name; frees `directory`. */
static char *below(char *directory, const char *name) {
    char *path = text_format("%s/%s", directory, name);
    free(directory);
    return path;
}

char *hub_home(void) {
    char *home = hub_path_from("HF_HOME"), *caches = home ? NULL : hub_path_from("XDG_CACHE_HOME");
    if (home)
        return home;
    return below(caches ? caches : text_format("%s/.cache", user_home()), "huggingface");
}

char *hub_cache_directory(void) {
    char *cache = hub_path_from("HF_HUB_CACHE");
    if (!cache)
        cache = hub_path_from("HUGGINGFACE_HUB_CACHE"); /* its older name */
    return cache ? cache : below(hub_home(), "hub");
}

char *hub_cache_repository(const char *name) {
    const char *slash = strchr(name, '/');
    int organisation = slash ? (int)(slash - name) : 0;
    char *cache = hub_cache_directory();
    char *path = text_format("%s/models--%.*s%s%s", cache, organisation, name, slash ? "--" : "",
                             slash ? slash + 1 : name);
    free(cache);
    return path;
}

/* ---- reading -----------------------------------------------------------------------------------
 */

bool hub_ref_read(char commit[HUB_COMMIT_SIZE], const char *path) {
    char text[64] = "";
    FILE *file = fopen(path, "r");
    if (!file)
        return false;
    size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    while (length && isspace((unsigned char)text[length - 1]))
        text[--length] = '\0';
    if (!hub_is_commit(text))
        return false;
    memcpy(commit, text, HUB_COMMIT_SIZE);
    return true;
}

char *hub_cache_find(const hub_model *model) {
    char commit[HUB_COMMIT_SIZE];
    struct stat info;
    char *repository = hub_cache_repository(model->name);
    char *ref = text_format("%s/refs/%s", repository, model->revision), *snapshot = NULL;
    if (hub_ref_read(commit, ref))
        snapshot = text_format("%s/snapshots/%s", repository, commit);
    else if (hub_is_commit(model->revision))
        snapshot = text_format("%s/snapshots/%s", repository, model->revision);
    if (snapshot && (stat(snapshot, &info) != 0 || !S_ISDIR(info.st_mode))) {
        free(snapshot);
        snapshot = NULL;
    }
    free(ref);
    free(repository);
    return snapshot;
}

bool hub_cache_has_weights(const char *snapshot) {
    bool found = false;
    DIR *directory = opendir(snapshot);
    const struct dirent *entry;
    while (directory && !found && (entry = readdir(directory)))
        if (ends_with(entry->d_name, strlen(entry->d_name), ".safetensors")) {
            char *path = text_format("%s/%s", snapshot, entry->d_name);
            found = access(path, F_OK) == 0; /* the link may lead nowhere */
            free(path);
        }
    if (directory)
        closedir(directory);
    return found;
}
