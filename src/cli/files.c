/* SPDX-License-Identifier: MIT */
#include "files.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "diagnose.h"

/* A directory on the way to the one being read. */
typedef struct visit {
    const struct visit *parent;
    dev_t device;
    ino_t inode;
} visit;

static const char *const extensions[] = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tga",
                                         ".psd", ".ppm", ".pgm",  ".pnm",  ".hdr", NULL};

static void walk(file_list *list, const char *path, const visit *here);

static void append(file_list *list, char *path) {
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? 2 * list->capacity : 64;
        list->paths = reallocate(list->paths, list->capacity, sizeof *list->paths);
    }
    list->paths[list->count++] = path;
}

static bool is_picture(const char *name) {
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && extensions[i]; i++)
        if (strcasecmp(dot, extensions[i]) == 0)
            return true;
    return false;
}

static char *join(const char *directory, const char *name) {
    size_t length = strlen(directory);
    size_t size = length + strlen(name) + 2;
    char *path = allocate(size, 1);
    bool slash = length && directory[length - 1] == '/';
    snprintf(path, size, "%s%s%s", directory, slash ? "" : "/", name);
    return path;
}

static bool on_the_way(const visit *here, const struct stat *info) {
    for (; here; here = here->parent)
        if (here->device == info->st_dev && here->inode == info->st_ino)
            return true;
    return false;
}

/* Takes over `path`. A link to nowhere that is named like a picture is kept: reading it will say
 * so. */
static void add_entry(file_list *list, char *path, const visit *here) {
    struct stat info;
    bool exists = stat(path, &info) == 0;
    if (exists && S_ISDIR(info.st_mode)) {
        visit below = {here, info.st_dev, info.st_ino};
        if (!on_the_way(here, &info))
            walk(list, path, &below);
    } else if (is_picture(path) && (!exists || S_ISREG(info.st_mode))) {
        append(list, path);
        return;
    }
    free(path);
}

static int not_hidden(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

/* By bytes: the same order in every locale. */
static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void walk(file_list *list, const char *path, const visit *here) {
    struct dirent **entries;
    int count = scandir(path, &entries, not_hidden, by_name);
    if (count < 0) {
        complain(path, strerror(errno));
        list->num_failed++;
        return;
    }
    for (int i = 0; i < count; i++) {
        add_entry(list, join(path, entries[i]->d_name), here);
        free(entries[i]);
    }
    free(entries);
}

void files_add(file_list *list, const char *path) {
    struct stat info;
    if (strcmp(path, "-") == 0 || stat(path, &info) != 0 || !S_ISDIR(info.st_mode)) {
        append(list, duplicate(path));
        return;
    }
    size_t before = list->count + list->num_failed;
    visit here = {NULL, info.st_dev, info.st_ino};
    walk(list, path, &here);
    if (list->count + list->num_failed == before) {
        complain(path, "no picture in this directory");
        list->num_failed++;
    }
}

static void add_lines(file_list *list, FILE *lines) {
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    while ((length = getline(&line, &capacity, lines)) > 0) {
        while (length && (line[length - 1] == '\n' || line[length - 1] == '\r'))
            line[--length] = '\0';
        if (length)
            files_add(list, line);
    }
    free(line);
}

void files_add_from(file_list *list, const char *path) {
    bool standard = strcmp(path, "-") == 0;
    FILE *lines = standard ? stdin : fopen(path, "r");
    if (lines) {
        errno = 0;
        add_lines(list, lines);
    }
    if (!lines || ferror(lines)) {
        complain(standard ? "standard input" : path, strerror(errno));
        list->num_failed++;
    }
    if (lines && !standard)
        fclose(lines);
}

void files_free(file_list *list) {
    for (size_t i = 0; i < list->count; i++)
        free(list->paths[i]);
    free(list->paths);
}
