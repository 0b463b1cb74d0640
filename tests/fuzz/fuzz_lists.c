/* SPDX-License-Identifier: MIT
 *
 * Text files that the commands read. The first byte chooses the reader ('a' is the first of READERS
 * below), the rest is the file, or what is written to one and must be read again.
 */
#include "fuzz.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/csv.h"
#include "cli/done.h"
#include "cli/json.h"
#include "cli/label_set.h"
#include "cli/labelled.h"
#include "cli/names.h"
#include "cli/sweep.h"
#include "cli/text.h"
#include "listener.h"

static size_t count_bytes(fuzz_input text, char wanted) {
    size_t count = 0;
    for (size_t i = 0; i < text.size; i++)
        count += text.data[i] == (uint8_t)wanted;
    return count;
}

/* ---- --skip-done ------------------------------------------------------------------------------
 */

static const char result_key[] = "predictions";

/* The path of a line that has a result, as docs/CLI.md says; NULL for any other. */
static char *path_of_result(const char *line, size_t size) {
    json_t *object = json_loadb(line, size, 0, NULL);
    char *path = json_object_get(object, result_key) ? json_get_path(object) : NULL;
    json_decref(object);
    return path;
}

static void check_lines(const done_set *set, fuzz_input text) {
    const uint8_t *end;
    size_t num_results = 0;
    for (; text.size && (end = memchr(text.data, '\n', text.size));) {
        const size_t taken = (size_t)(end - text.data) + 1;
        char *path = path_of_result((const char *)text.data, taken);
        fuzz_check(!path || done_has(set, path), "what has a result is done");
        num_results += path != NULL;
        free(path);
        text.data += taken;
        text.size -= taken;
    }
    fuzz_check(done_count(set) <= num_results, "nothing else is done");
}

static void read_done(fuzz_input text) {
    done_set *set = done_read(fuzz_file(text.data, text.size), result_key, false);
    fuzz_check(set != NULL, "any file can be read");
    fuzz_check(listener_lines() <= 2, "two notes at most");
    check_lines(set, text);
    done_free(set);
}

/* Any path is found again. */
static void find_done(fuzz_input text) {
    char *path = fuzz_copy(text.data, text.size, true);
    json_t *object = json_object();
    json_set_path(object, path);
    json_object_set_new(object, result_key, json_array());
    char *line = json_dumps(object, JSON_COMPACT);
    fuzz_check(line != NULL, "a path can be written");
    line[strlen(line)] = '\n'; /* in the place of the NUL */
    done_set *set = done_read(fuzz_file(line, json_dumpb(object, NULL, 0, JSON_COMPACT) + 1),
                              result_key, false);
    fuzz_check(set && done_has(set, path) && done_count(set) == 1, "a path is found again");
    fuzz_check(listener_lines() == 0, "without a note");
    done_free(set);
    free(line);
    json_decref(object);
    free(path);
}

/* ---- --files-from -----------------------------------------------------------------------------
 */

/* The next part of a list, without its separator; false at the end. */
static bool next_part(fuzz_input *text, char separator, fuzz_input *part) {
    if (text->size == 0)
        return false;
    const uint8_t *end = memchr(text->data, separator, text->size);
    *part = (fuzz_input){text->data, end ? (size_t)(end - text->data) : text->size};
    const size_t taken = part->size + (end != NULL);
    text->data += taken;
    text->size -= taken;
    while (separator == '\n' && part->size && part->data[part->size - 1] == '\r')
        part->size--;
    return true;
}

static void check_name(names_status status, const char *name, const vt_error *err,
                       fuzz_input part) {
    if (memchr(part.data, '\0', part.size)) {
        fuzz_check(status == NAMES_BAD, "a NUL in a name is an error");
        fuzz_ok(err->code, err);
        return;
    }
    fuzz_check(status == NAMES_FOUND, "a name is found");
    fuzz_check(strlen(name) == part.size && memcmp(name, part.data, part.size) == 0,
               "as it was given");
}

static void read_names(fuzz_input text, char separator) {
    vt_error err = {0};
    char *name = NULL;
    fuzz_input part;
    name_reader *reader = names_open(fuzz_file(text.data, text.size), separator, false);
    fuzz_check(reader != NULL, "a list opens");
    while (next_part(&text, separator, &part))
        if (part.size) {
            const names_status status = names_next(reader, &name, &err);
            check_name(status, name, &err, part);
        }
    fuzz_check(names_next(reader, &name, &err) == NAMES_END, "a list ends");
    names_close(reader);
}

static void read_lines(fuzz_input text) {
    read_names(text, '\n');
}

static void read_null(fuzz_input text) {
    read_names(text, '\0');
}

/* ---- labels -----------------------------------------------------------------------------------
 */

static const vt_model *classes(void) {
    static vt_model *model;
    vt_error err = {0};
    if (!model)
        fuzz_check(vt_model_open(&model, VT_TEST_DATA "/golden/timm_vit_token", NULL, &err) ==
                       VT_OK,
                   "a golden model");
    return model;
}

static void check_pictures(const picture_set *set) {
    vt_model_info info;
    vt_model_describe(&info, classes());
    fuzz_check(set->count > 0 && set->num_groups != 1, "one group is none");
    for (size_t i = 0; i < set->count; i++) {
        const labelled_picture *p = &set->items[i];
        fuzz_check(p->label < info.num_classes, "a label is one of the model's");
        fuzz_check(set->num_groups == 0 || p->group < set->num_groups, "a group is there");
        char *file = picture_file(p, 224, 320);
        fuzz_check(strlen(file) <= strlen(p->path) + strlen("224x320"), "a name with its size");
        free(file);
    }
    pictures_checksum(set);
}

static void read_labels(fuzz_input text) {
    picture_set set = {0};
    settings s = {.image = VT_IMAGE_OPTIONS_INIT,
                  .picture_labels = fuzz_file(text.data, text.size)};
    const bool good = pictures_list(&set, &s, classes());
    fuzz_check(listener_lines() == !good, "a failure is told, in one line");
    if (good)
        check_pictures(&set);
    pictures_free(&set);
}

static void read_candidates(fuzz_input text) {
    label_set set = {0};
    const bool some = labels_read(&set, fuzz_file(text.data, text.size));
    fuzz_check(some == (set.count > 0), "there is one, or none");
    for (size_t i = 0; i < set.count; i++) {
        const char *name = set.names[i];
        const size_t length = strlen(name);
        fuzz_check(length && !strpbrk(name, "\r\n"), "a label is a line");
        fuzz_check(name[0] != ' ' && name[length - 1] != ' ', "without the spaces around it");
    }
    labels_free(&set);
}

/* ---- tables -----------------------------------------------------------------------------------
 */

enum { MOST_FIELDS = 64 };

/* A field as docs/CLI.md says that it is written: no formula, nothing that a terminal obeys. */
static char *field_of(fuzz_input text) {
    char *given = fuzz_copy(text.data, text.size, true);
    char *clean = text_clean(given, TEXT_LINES);
    char *field = text_format("%s%s", text_is_formula(clean) ? "'" : "", clean);
    free(given);
    free(clean);
    return field;
}

/* Fields with NUL between them: written as a record, they are the same when they are read. */
static void write_record(fuzz_input text) {
    char *fields[MOST_FIELDS], *found[MOST_FIELDS], *record = NULL;
    size_t count = 0, size;
    FILE *file = open_memstream(&record, &size);
    fuzz_check(file != NULL, "a stream");
    for (; (text.size || count == 0) && count < MOST_FIELDS; count++) {
        const fuzz_input field = fuzz_part(&text);
        char *given = fuzz_copy(field.data, field.size, true);
        fields[count] = field_of(field);
        fputs(count ? "," : "", file);
        text_csv_field_to(file, given);
        free(given);
    }
    fputs("\nnext", file);
    fclose(file);
    char *at = record;
    const bool bare = count == 1 && !*fields[0]; /* a line of nothing, which is passed over */
    fuzz_check(bare || csv_next(&at, found, MOST_FIELDS) == count, "as many fields");
    for (size_t i = 0; i < count; i++) {
        fuzz_check(bare || strcmp(found[i], fields[i]) == 0, "the same fields");
        free(fields[i]);
    }
    fuzz_check(csv_next(&at, found, MOST_FIELDS) == 1 && strcmp(found[0], "next") == 0,
               "and the next record");
    free(record);
}

static void print_table(const sweep_table *table) {
    FILE *before = stdout;
    stdout = listener_stream();
    sweep_print(table);
    stdout = before;
    const size_t lines = listener_lines();
    fuzz_check(lines == (table->count ? table->count + 1 : 0), "a line for each row");
}

static sweep_table write_and_read(const sweep_table *table) {
    sweep_table again = {0};
    const char *path = fuzz_path("sweep.csv");
    fuzz_check(sweep_write_csv(table, path) && sweep_read_csv(&again, path), "a table is written");
    fuzz_check(again.count == table->count, "and read again, all of it");
    return again;
}

/* What is written may have '?' for control characters; from then on it stays as it is. */
static void read_table(fuzz_input text) {
    sweep_table table = {0};
    const bool good = sweep_read_csv(&table, fuzz_file(text.data, text.size));
    fuzz_check(listener_lines() == !good, "a failure is told, in one line");
    fuzz_check(table.count <= count_bytes(text, '\n') + count_bytes(text, '\r'), "rows are lines");
    sweep_sort(&table);
    print_table(&table);
    sweep_table once = write_and_read(&table), twice = write_and_read(&once);
    for (size_t i = 0; i < table.count; i++)
        fuzz_check(sweep_same(&once.rows[i], &twice.rows[i]), "the same rows");
    fuzz_check(sweep_write_json(&table, fuzz_path("sweep.json")), "and written as JSON");
    sweep_free(&table);
    sweep_free(&once);
    sweep_free(&twice);
}

/* -----------------------------------------------------------------------------------------------
 */

static void (*const READERS[])(fuzz_input text) = {
    read_done,   find_done,       read_lines,   read_null,
    read_labels, read_candidates, write_record, read_table,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input input = {data, size};
    stderr = listener_stream();
    READERS[(uint8_t)(fuzz_byte(&input) - 'a') % (sizeof READERS / sizeof *READERS)](input);
    listener_lines();
    return 0;
}
