/* SPDX-License-Identifier: MIT */
#include "labelled.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "csv.h"
#include "diagnose.h"
#include "files.h"
#include "model.h"
#include "paths.h"
#include "sweep.h"
#include "tokens.h"

/* ---- the file of labels ------------------------------------------------------------------------
 */

typedef struct label_row {
    char *file, *group; /* in the text of the file; group is "" where there is none */
    const char *base;   /* the file without its directories */
    size_t label;
} label_row;

typedef struct label_file {
    const char *path;
    char *text;
    label_row *rows;
    size_t count, capacity;
} label_file;

static bool fail_record(const char *path, size_t record, const char *what, const char *found) {
    char message[400];
    snprintf(message, sizeof message, "record %zu: %s; found '%.200s'", record, what, found);
    complain(path, message);
    return false;
}

static bool add_row(label_file *labels, const vt_model *model, char **fields, size_t count,
                    size_t record) {
    label_row row = {.file = fields[0], .group = count > 2 ? fields[2] : ""};
    if (count < 2 || count > 3 || !*fields[0])
        return fail_record(labels->path, record, "expected file,label or file,label,group",
                           fields[0]);
    if (!model_find_class(&row.label, model, fields[1]))
        return fail_record(labels->path, record, "expected the number or the name of a class",
                           fields[1]);
    if (strcmp(row.group, sweep_everything) == 0)
        return fail_record(labels->path, record,
                           "expected another name: this is that of all groups", row.group);
    row.base = path_base(row.file);
    if (labels->count == labels->capacity) {
        labels->capacity = labels->capacity ? 2 * labels->capacity : 256;
        labels->rows = reallocate(labels->rows, labels->capacity, sizeof row);
    }
    labels->rows[labels->count++] = row;
    return true;
}

static bool read_labels(label_file *labels, const char *path, const vt_model *model) {
    vt_model_info info;
    size_t size, record = 1;
    char *fields[3] = {0};
    vt_model_describe(&info, model);
    labels->path = path;
    labels->text = read_file(path, &size);
    if (!labels->text)
        return false;
    char *at = labels->text;
    for (size_t count; (count = csv_next(&at, fields, 3)) > 0; record++) {
        bool names = record == 1 && count > 1 && strcmp(fields[0], "file") == 0 &&
                     strcmp(fields[1], "label") == 0;
        if (!names && !add_row(labels, model, fields, count, record))
            return false;
    }
    if (labels->count == 0)
        complain(path, "no picture in it");
    return labels->count > 0;
}

/* ---- the set -----------------------------------------------------------------------------------
 */

static size_t find_group(picture_set *set, const char *name) {
    size_t i = 0;
    while (i < set->num_groups && strcmp(set->groups[i], name) != 0)
        i++;
    if (i == set->num_groups) {
        set->groups = reallocate(set->groups, i + 1, sizeof *set->groups);
        set->groups[set->num_groups++] = duplicate(name);
    }
    return i;
}

/* Takes over `path`. */
static void add_picture(picture_set *set, char *path, const label_row *row) {
    if (set->count == set->capacity) {
        set->capacity = set->capacity ? 2 * set->capacity : 256;
        set->items = reallocate(set->items, set->capacity, sizeof *set->items);
    }
    labelled_picture *p = &set->items[set->count++];
    *p = (labelled_picture){.path = path};
    if (row) {
        p->label = row->label;
        p->group = find_group(set, row->group);
    }
}

/* A file of the list lies where the list lies. */
static char *beside(const char *list, const char *file) {
    size_t directory = (size_t)(path_base(list) - list);
    size_t size = directory + strlen(file) + 1;
    char *path = allocate(size, 1);
    snprintf(path, size, "%.*s%s", *file == '/' ? 0 : (int)directory, list, file);
    return path;
}

static int compare_bases(const void *a, const void *b) {
    return strcmp(((const label_row *)a)->base, ((const label_row *)b)->base);
}

/* Whether a path ends with all of the parts that `file` has. */
static bool ends_with(const char *path, const char *file) {
    size_t length = strlen(path), end = strlen(file);
    return length >= end && strcmp(path + length - end, file) == 0 &&
           (length == end || *file == '/' || path[length - end - 1] == '/');
}

static const label_row *find_row(const label_file *labels, const char *path) {
    label_row wanted = {.base = path_base(path)};
    const label_row *found =
        bsearch(&wanted, labels->rows, labels->count, sizeof wanted, compare_bases);
    const label_row *past = labels->rows + labels->count;
    if (!found)
        return NULL;
    while (found > labels->rows && strcmp(found[-1].base, wanted.base) == 0)
        found--;
    for (; found < past && strcmp(found->base, wanted.base) == 0; found++)
        if (ends_with(path, found->file))
            return found;
    return NULL;
}

/* False, having complained, when there are labels and none for it. */
static bool add_file(picture_set *set, const char *path, const label_file *labels) {
    char message[300];
    const label_row *row = labels ? find_row(labels, path) : NULL;
    if (labels && !row) {
        snprintf(message, sizeof message, "no label for it in %.200s", labels->path);
        complain(path, message);
        return false;
    }
    add_picture(set, duplicate(path), row);
    return true;
}

static bool add_all(picture_set *set, const settings *s, label_file *labels) {
    if (labels && labels->count)
        qsort(labels->rows, labels->count, sizeof *labels->rows, compare_bases);
    bool good = true;
    file_source *files = files_open(s, NULL, false);
    for (found_file found; good && files_take(files, &found); free(found.path)) {
        if (found.error.code) {
            complain(files_subject(found.path), found.error.message);
            set->num_failed++;
        } else {
            good = add_file(set, found.path, labels);
        }
    }
    files_close(files);
    return good;
}

/* One group is none. */
static void drop_single_group(picture_set *set) {
    if (set->num_groups != 1)
        return;
    free(set->groups[0]);
    set->num_groups = 0;
}

bool pictures_list(picture_set *out, const settings *s, const vt_model *model) {
    label_file labels = {0};
    bool good = !s->picture_labels || read_labels(&labels, s->picture_labels, model);
    out->labelled = s->picture_labels != NULL;
    if (good && (s->num_operands || s->files_from))
        good = add_all(out, s, out->labelled ? &labels : NULL);
    else if (good)
        for (size_t i = 0; i < labels.count; i++)
            add_picture(out, beside(labels.path, labels.rows[i].file), &labels.rows[i]);
    drop_single_group(out);
    free(labels.rows);
    free(labels.text);
    return good;
}

void pictures_free(picture_set *set) {
    for (size_t i = 0; i < set->count; i++)
        free(set->items[i].path);
    for (size_t i = 0; i < set->num_groups; i++)
        free(set->groups[i]);
    free(set->items);
    free(set->groups);
}

char *picture_file(const labelled_picture *p, size_t height, size_t width) {
    static const char mark[] = "{size}";
    char number[48];
    const char *at = strstr(p->path, mark);
    if (!at)
        return duplicate(p->path);
    if (height == width)
        snprintf(number, sizeof number, "%zu", height);
    else
        snprintf(number, sizeof number, "%zux%zu", height, width);
    size_t size = strlen(p->path) + sizeof number;
    char *path = allocate(size, 1);
    snprintf(path, size, "%.*s%s%s", (int)(at - p->path), p->path, number, at + strlen(mark));
    return path;
}

/* FNV-1a. */
static uint64_t add_text(uint64_t sum, const char *text) {
    do
        sum = (sum ^ (unsigned char)*text) * 1099511628211u;
    while (*text++);
    return sum;
}

uint64_t pictures_checksum(const picture_set *set) {
    uint64_t sum = 14695981039346656037u;
    char label[32];
    for (size_t i = 0; i < set->count; i++) {
        const labelled_picture *p = &set->items[i];
        label[0] = '\0';
        if (set->labelled)
            snprintf(label, sizeof label, "%zu", p->label);
        sum = add_text(add_text(sum, p->path), label);
        sum = add_text(sum, set->num_groups ? set->groups[p->group] : "");
    }
    return sum;
}
