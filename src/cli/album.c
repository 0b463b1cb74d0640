/* SPDX-License-Identifier: MIT */
#include "album.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "diagnose.h"
#include "files.h"
#include "paths.h"

static int not_hidden(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* Takes over `path`. */
static void add_picture(album *a, char *path) {
    a->pictures = reallocate(a->pictures, a->count + 1, sizeof *a->pictures);
    a->pictures[a->count++] = (album_picture){path, a->num_classes};
}

/* A class without pictures is none. */
static void add_class(album *a, const char *name, char *path) {
    const settings folder = {.operands = &path, .num_operands = 1};
    file_source *files = files_open(&folder, NULL, false);
    size_t before = a->count;
    for (found_file found; files_take(files, &found);) {
        if (found.error.code) {
            complain(found.path, found.error.message);
            a->num_failed++;
            free(found.path);
        } else {
            add_picture(a, found.path);
        }
    }
    files_close(files);
    if (a->count > before) {
        a->classes = reallocate(a->classes, a->num_classes + 1, sizeof *a->classes);
        a->classes[a->num_classes++] = duplicate(name);
    }
}

/* Returns how many entries of the folder are no folders. */
static size_t add_entries(album *a, struct dirent **entries, int count) {
    size_t others = 0;
    for (int i = 0; i < count; i++) {
        struct stat info;
        char *path = path_join(a->folder, entries[i]->d_name);
        if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
            add_class(a, entries[i]->d_name, path);
        else
            others++;
        free(path);
        free(entries[i]);
    }
    return others;
}

bool album_read(album *out, const char *folder, bool quiet) {
    struct dirent **entries;
    char message[160];
    *out = (album){.folder = folder};
    int count = scandir(folder, &entries, not_hidden, by_name);
    if (count < 0) {
        complain(folder, strerror(errno));
        return false;
    }
    size_t others = add_entries(out, entries, count);
    free(entries);
    if (others && !quiet)
        note("%s: %zu file%s beside the classes' folders, left out", folder, others,
             others == 1 ? "" : "s");
    if (out->num_classes >= 2)
        return true;
    snprintf(message, sizeof message,
             "expected a folder of pictures for each class, two at least; found %s%s%s",
             out->num_classes ? "only '" : "none", out->num_classes ? out->classes[0] : "",
             out->num_classes ? "'" : "");
    complain(folder, message);
    return false;
}

/* Numbers the classes that are left anew. */
static void drop_empty_classes(album *a) {
    size_t *number = allocate(a->num_classes, sizeof *number), left = 0;
    for (size_t i = 0; i < a->count; i++)
        number[a->pictures[i].class_of] = 1;
    for (size_t k = 0; k < a->num_classes; k++) {
        if (number[k])
            a->classes[left] = a->classes[k];
        else
            free(a->classes[k]);
        left += number[k];
        number[k] = left - 1;
    }
    a->num_classes = left;
    for (size_t i = 0; i < a->count; i++)
        a->pictures[i].class_of = number[a->pictures[i].class_of];
    free(number);
}

void album_keep(album *a, const bool *keep) {
    size_t left = 0;
    for (size_t i = 0; i < a->count; i++) {
        if (keep[i])
            a->pictures[left++] = a->pictures[i];
        else
            free(a->pictures[i].path);
    }
    a->count = left;
    drop_empty_classes(a);
}

void album_free(album *a) {
    for (size_t i = 0; i < a->count; i++)
        free(a->pictures[i].path);
    for (size_t k = 0; k < a->num_classes; k++)
        free(a->classes[k]);
    free(a->pictures);
    free(a->classes);
}
