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
#include "names.h"
#include "paths.h"
#include "progress.h"

/* A directory that is being read; `parent` is the one that it was found in. */
typedef struct directory {
    struct directory *parent;
    char *path;
    dev_t device;
    ino_t inode;
    struct dirent **entries; /* sorted */
    int count, next;
    bool has_any; /* a picture, here or below, or a complaint */
} directory;

struct file_source {
    const settings *settings;
    const done_set *skip;
    size_t num_operands; /* that were taken */
    name_reader *list;   /* NULL: there is none */
    int list_errno;      /* why it could not be opened */
    directory *here;     /* NULL: none is being read */
};

static const char *const extensions[] = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tga",
                                         ".psd", ".ppm", ".pgm",  ".pnm",  ".hdr", NULL};

static bool is_standard_input(const char *path) {
    return strcmp(path, "-") == 0;
}

const char *files_subject(const char *path) {
    return is_standard_input(path) ? "standard input" : path;
}

file_source *files_open(const settings *s, const done_set *skip, bool watch_output) {
    file_source *source = allocate(1, sizeof *source);
    *source = (file_source){.settings = s, .skip = skip};
    if (s->files_from)
        source->list = names_open(s->files_from, s->null ? '\0' : '\n', watch_output);
    if (s->files_from && !source->list)
        source->list_errno = errno;
    return source;
}

/* ---- what is found -----------------------------------------------------------------------------
 */

static bool found_picture(found_file *out, char *path) {
    *out = (found_file){.path = path};
    return true;
}

static bool found_problem(found_file *out, const char *path, const char *message) {
    *out = (found_file){.path = duplicate(path), .error = {.code = VT_ERR_IO}};
    snprintf(out->error.message, sizeof out->error.message, "%s", message);
    return true;
}

/* Standard input is another picture each time. */
static bool is_done(const file_source *source, const char *path) {
    return source->skip && !is_standard_input(path) && done_has(source->skip, path);
}

/* ---- directories -------------------------------------------------------------------------------
 */

static bool is_picture(const char *name) {
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && extensions[i]; i++)
        if (strcasecmp(dot, extensions[i]) == 0)
            return true;
    return false;
}

static bool on_the_way(const directory *here, const struct stat *info) {
    for (; here; here = here->parent)
        if (here->device == info->st_dev && here->inode == info->st_ino)
            return true;
    return false;
}

static int not_hidden(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

/* By bytes: the same order in every locale. */
static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* The directories on the way hold something that will be told. */
static void mark_any(directory *here) {
    for (; here && !here->has_any; here = here->parent)
        here->has_any = true;
}

/* Goes into a directory. True when there is something to tell instead: it can't be read. */
static bool enter(file_source *source, found_file *out, const char *path, const struct stat *info) {
    struct dirent **entries;
    int count = scandir(path, &entries, not_hidden, by_name);
    if (count < 0) {
        int reason = errno;
        mark_any(source->here);
        return found_problem(out, path, strerror(reason));
    }
    directory *entered = allocate(1, sizeof *entered);
    *entered = (directory){.parent = source->here,
                           .path = duplicate(path),
                           .device = info->st_dev,
                           .inode = info->st_ino,
                           .entries = entries,
                           .count = count};
    source->here = entered;
    return false;
}

static void leave(file_source *source) {
    directory *left = source->here;
    source->here = left->parent;
    for (int i = left->next; i < left->count; i++)
        free(left->entries[i]);
    free(left->entries);
    free(left->path);
    free(left);
}

/* The directory has been read to its end. True when there was nothing in it. */
static bool finish_directory(file_source *source, found_file *out) {
    const directory *here = source->here;
    bool is_bare = !here->parent && !here->has_any;
    if (is_bare)
        found_problem(out, here->path, "no picture in this directory");
    leave(source);
    return is_bare;
}

/* Takes the next entry of the directory. A link to nowhere that is named like a picture is one:
 * reading it will say so. */
static bool take_entry(file_source *source, found_file *out) {
    directory *here = source->here;
    if (here->next == here->count)
        return finish_directory(source, out);
    struct dirent *entry = here->entries[here->next++];
    char *path = path_join(here->path, entry->d_name);
    struct stat info;
    bool exists = stat(path, &info) == 0, found = false;
    free(entry);
    if (exists && S_ISDIR(info.st_mode)) {
        if (!on_the_way(here, &info))
            found = enter(source, out, path, &info);
    } else if (is_picture(path) && (!exists || S_ISREG(info.st_mode))) {
        mark_any(here);
        if (!is_done(source, path))
            return found_picture(out, path);
    }
    free(path);
    return found;
}

/* ---- operands and the list ---------------------------------------------------------------------
 */

/* False when there is nothing to tell: a directory, which is gone into, or one that is done. */
static bool take_path(file_source *source, found_file *out, const char *path) {
    struct stat info;
    const char *list = source->settings->files_from;
    if (is_standard_input(path) && list && is_standard_input(list))
        return found_problem(out, path, "it is the list of pictures, and can't be one as well");
    if (is_done(source, path)) /* before it is looked for on the disk */
        return false;
    if (!is_standard_input(path) && stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        return enter(source, out, path, &info);
    return found_picture(out, duplicate(path));
}

static bool found_bad_list(file_source *source, found_file *out, const char *message) {
    found_problem(out, source->settings->files_from, message);
    out->is_list = true;
    return true;
}

/* Takes what comes next. FILES_NOT_YET and FILES_END: nothing does; else `found` says whether there
 * is something to tell. */
static files_status step(file_source *source, found_file *out, bool *found) {
    const settings *s = source->settings;
    vt_error err = {0};
    char *name = NULL;
    names_status status = NAMES_FOUND;
    if (source->here) {
        *found = take_entry(source, out);
    } else if (source->num_operands < s->num_operands) {
        *found = take_path(source, out, s->operands[source->num_operands++]);
    } else if (source->list_errno) {
        *found = found_bad_list(source, out, strerror(source->list_errno));
        source->list_errno = 0;
    } else {
        status = source->list ? names_next(source->list, &name, &err) : NAMES_END;
        if (status == NAMES_FOUND)
            *found = take_path(source, out, name);
        else if (status == NAMES_BAD)
            *found = found_bad_list(source, out, err.message);
    }
    return status == NAMES_NOT_YET ? FILES_NOT_YET : status == NAMES_END ? FILES_END : FILES_FOUND;
}

files_status files_next(file_source *source, found_file *out) {
    files_status status;
    bool found = false;
    do
        status = step(source, out, &found);
    while (status == FILES_FOUND && !found);
    return status;
}

void files_wait(file_source *source) {
    if (source->list)
        names_wait(source->list);
}

bool files_take(file_source *source, found_file *out) {
    files_status status;
    while ((status = files_next(source, out)) == FILES_NOT_YET)
        files_wait(source);
    return status == FILES_FOUND;
}

void files_interrupt(file_source *source) {
    if (source->list)
        names_interrupt(source->list);
}

bool files_abandoned(const file_source *source) {
    return source->list && names_abandoned(source->list);
}

void files_close(file_source *source) {
    while (source->here)
        leave(source);
    if (source->list)
        names_close(source->list);
    free(source);
}

/* What can be read twice. */
static bool is_regular(const char *path) {
    struct stat info;
    return !is_standard_input(path) && stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

size_t files_count(const settings *s, const done_set *skip, size_t most) {
    enum { LONGEST_MS = 500 }; /* nobody waits longer to know how long it takes */
    if (s->files_from && !is_regular(s->files_from))
        return most;
    double started = clock_ms();
    size_t count = 0;
    file_source *source = files_open(s, skip, false);
    for (found_file found; count < most && files_take(source, &found); free(found.path)) {
        count++;
        if (clock_ms() - started > LONGEST_MS)
            count = most;
    }
    files_close(source);
    return count;
}
