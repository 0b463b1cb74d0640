/* SPDX-License-Identifier: MIT
 *
 * A hash set by open addressing, of fingerprints of the paths: 16 bytes each, so that ten million
 * take 256 MiB however long they are. They have 128 bits: that any two of ten million paths have
 * the same one has a chance of 10^-25.
 */
#include "done.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "diagnose.h"
#include "hash.h"
#include "json.h"

struct done_set {
    hash *slots;            /* all zero: an empty one */
    size_t count, capacity; /* a power of two */
};

/* ---- the set -----------------------------------------------------------------------------------
 */

static bool is_empty(const hash *slot) {
    return !slot->high && !slot->low;
}

static hash fingerprint_of(const char *path) {
    return hash_bytes(path, strlen(path));
}

/* Its slot, or the empty one where it would be. */
static hash *find(const done_set *set, hash wanted) {
    size_t at = (size_t)(wanted.high ^ wanted.low);
    for (;; at++) {
        hash *slot = &set->slots[at & (set->capacity - 1)];
        if (is_empty(slot) || hash_equal(*slot, wanted))
            return slot;
    }
}

static void insert(done_set *set, hash f) {
    hash *slot = find(set, f);
    set->count += is_empty(slot);
    *slot = f;
}

/* At most two thirds of the slots are taken. */
static void grow(done_set *set) {
    done_set larger = {.capacity = set->capacity ? 2 * set->capacity : 1024};
    larger.slots = allocate(larger.capacity, sizeof *larger.slots);
    for (size_t i = 0; i < set->capacity; i++)
        if (!is_empty(&set->slots[i]))
            insert(&larger, set->slots[i]);
    free(set->slots);
    *set = larger;
}

static void add(done_set *set, const char *path) {
    if (3 * (set->count + 1) > 2 * set->capacity)
        grow(set);
    insert(set, fingerprint_of(path));
}

bool done_has(const done_set *set, const char *path) {
    if (!set->count)
        return false;
    return !is_empty(find(set, fingerprint_of(path)));
}

size_t done_count(const done_set *set) {
    return set->count;
}

void done_free(done_set *set) {
    if (set)
        free(set->slots);
    free(set);
}

/* ---- the file ----------------------------------------------------------------------------------
 */

/* What a file holds beside results. */
typedef struct remains {
    size_t num_strange; /* lines that are no JSON objects */
    off_t whole;        /* bytes of all lines that have an end */
    bool is_cut;        /* there are bytes behind them */
} remains;

static void add_line(done_set *set, remains *rest, const char *line, size_t length,
                     const char *result_key) {
    json_t *object = json_loadb(line, length, 0, NULL);
    char *path = json_get_path(object);
    if (!json_is_object(object))
        rest->num_strange += length > 1; /* an empty line is no harm */
    else if (path && json_object_get(object, result_key))
        add(set, path);
    free(path);
    json_decref(object);
}

static remains read_lines(done_set *set, FILE *file, const char *result_key) {
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    remains rest = {0};
    while ((length = getline(&line, &capacity, file)) > 0) {
        rest.is_cut = line[length - 1] != '\n';
        if (rest.is_cut)
            break;
        rest.whole += length;
        add_line(set, &rest, line, (size_t)length, result_key);
    }
    free(line);
    return rest;
}

static bool is_standard_output(FILE *file) {
    struct stat one, other;
    return fstat(fileno(file), &one) == 0 && fstat(STDOUT_FILENO, &other) == 0 &&
           S_ISREG(one.st_mode) && one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

/* Standard output goes on behind the whole lines. */
static bool remove_cut_line(const remains *rest) {
    return ftruncate(STDOUT_FILENO, rest->whole) == 0 && lseek(STDOUT_FILENO, 0, SEEK_END) >= 0;
}

static void note_remains(const char *path, const remains *rest, bool removed) {
    if (rest->num_strange)
        note("%s: %zu of its lines are not JSON objects, and were passed over", path,
             rest->num_strange);
    if (rest->is_cut)
        note("%s: its last line was cut off, and %s", path,
             removed ? "was removed" : "does not count; what is appended would stand behind it");
}

/* False: `errno` says why. */
static bool read_results(done_set *set, FILE *file, const char *path, const char *result_key,
                         bool quiet) {
    bool same = is_standard_output(file);
    remains rest = read_lines(set, file, result_key);
    if (ferror(file) || (same && rest.is_cut && !remove_cut_line(&rest)))
        return false;
    if (!quiet)
        note_remains(path, &rest, same);
    return true;
}

done_set *done_read(const char *path, const char *result_key, bool quiet) {
    done_set *set = allocate(1, sizeof *set);
    FILE *file = fopen(path, "r");
    bool is_missing = !file && errno == ENOENT;
    if (is_missing && !quiet)
        note("%s is not there: nothing is done yet", path);
    if (!is_missing && (!file || !read_results(set, file, path, result_key, quiet))) {
        complain(path, strerror(errno));
        done_free(set);
        set = NULL;
    }
    if (file)
        fclose(file);
    return set;
}
