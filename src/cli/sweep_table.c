/* SPDX-License-Identifier: MIT */
#include "sweep.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "csv.h"
#include "diagnose.h"
#include "json.h"
#include "outfile.h"
#include "text.h"
#include "tokens.h"

const char sweep_everything[] = "all";

/* ---- columns: of the CSV file, and keys of the JSON file ---------------------------------------
 */

enum kind { TEXT, COUNT, NUMBER };

typedef struct column {
    const char *name;
    enum kind kind;
    size_t offset;
} column;

#define COLUMN(kind, name)                                                                         \
    { #name, kind, offsetof(sweep_row, name) }

static const column columns[] = {
    COLUMN(TEXT, model),
    COLUMN(TEXT, kernels),
    COLUMN(TEXT, precision),
    COLUMN(COUNT, patch_size),
    COLUMN(TEXT, pos_resize),
    COLUMN(COUNT, threads),
    COLUMN(TEXT, group),
    COLUMN(TEXT, size),
    COLUMN(COUNT, height),
    COLUMN(COUNT, width),
    COLUMN(COUNT, tokens),
    COLUMN(COUNT, flops),
    COLUMN(COUNT, images),
    COLUMN(NUMBER, preprocess_median_ms),
    COLUMN(NUMBER, preprocess_p95_ms),
    COLUMN(NUMBER, forward_median_ms),
    COLUMN(NUMBER, forward_p95_ms),
    COLUMN(NUMBER, images_per_s),
    COLUMN(NUMBER, peak_rss_mb),
    COLUMN(NUMBER, workspace_mb),
    COLUMN(NUMBER, top1),
    COLUMN(NUMBER, top5),
    COLUMN(NUMBER, agreement),
    COLUMN(NUMBER, kl),
    COLUMN(NUMBER, cosine),
    COLUMN(TEXT, pictures),
};
enum { NUM_COLUMNS = sizeof columns / sizeof *columns };

static void *field_of(const sweep_row *row, const column *c) {
    return (char *)row + c->offset;
}

static char **text_of(const sweep_row *row, const column *c) {
    return field_of(row, c);
}

/* ---- rows --------------------------------------------------------------------------------------
 */

void sweep_add(sweep_table *table, const sweep_row *row) {
    if (table->count == table->capacity) {
        table->capacity = table->capacity ? 2 * table->capacity : 64;
        table->rows = reallocate(table->rows, table->capacity, sizeof *table->rows);
    }
    sweep_row *copy = &table->rows[table->count++];
    *copy = *row;
    for (size_t i = 0; i < NUM_COLUMNS; i++)
        if (columns[i].kind == TEXT)
            *text_of(copy, &columns[i]) = duplicate(*text_of(row, &columns[i]));
}

void sweep_free(sweep_table *table) {
    for (size_t i = 0; i < table->count; i++)
        for (size_t j = 0; j < NUM_COLUMNS; j++)
            if (columns[j].kind == TEXT)
                free(*text_of(&table->rows[i], &columns[j]));
    free(table->rows);
    *table = (sweep_table){0};
}

bool sweep_same(const sweep_row *a, const sweep_row *b) {
    return strcmp(a->size, b->size) == 0 && a->threads == b->threads &&
           a->patch_size == b->patch_size && strcmp(a->group, b->group) == 0 &&
           strcmp(a->pos_resize, b->pos_resize) == 0 && strcmp(a->precision, b->precision) == 0;
}

static int compare_counts(int64_t a, int64_t b) {
    return (a > b) - (a < b);
}

/* Those of a row that was read may be any: a product of integers could overflow. */
static int compare_areas(const sweep_row *a, const sweep_row *b) {
    const double first = (double)a->height * (double)a->width;
    const double second = (double)b->height * (double)b->width;
    return (first > second) - (first < second);
}

/* Everything comes before the groups. */
static int compare_groups(const char *a, const char *b) {
    bool first = strcmp(a, sweep_everything) == 0, second = strcmp(b, sweep_everything) == 0;
    return first || second ? second - first : strcmp(a, b);
}

static int compare_rows(const void *left, const void *right) {
    const sweep_row *a = left, *b = right;
    int order = compare_counts(a->patch_size, b->patch_size);
    order = order ? order : strcmp(a->precision, b->precision);
    order = order ? order : strcmp(a->pos_resize, b->pos_resize);
    order = order ? order : compare_counts(a->threads, b->threads);
    order = order ? order : compare_groups(a->group, b->group);
    order = order ? order : compare_areas(a, b);
    order = order ? order : compare_counts(a->height, b->height);
    return order ? order : strcmp(a->size, b->size);
}

void sweep_sort(sweep_table *table) {
    if (table->count)
        qsort(table->rows, table->count, sizeof *table->rows, compare_rows);
}

/* ---- the CSV file ------------------------------------------------------------------------------
 */

static void put_names(FILE *file) {
    for (size_t i = 0; i < NUM_COLUMNS; i++)
        fprintf(file, "%s%s", i ? "," : "", columns[i].name);
    putc('\n', file);
}

static void put_value(FILE *file, const sweep_row *row, const column *c) {
    double number = c->kind == NUMBER ? *(double *)field_of(row, c) : 0;
    if (c->kind == TEXT)
        text_csv_field_to(file, *text_of(row, c));
    else if (c->kind == COUNT)
        fprintf(file, "%lld", (long long)*(int64_t *)field_of(row, c));
    else if (!isnan(number))
        fprintf(file, "%.9g", number);
}

static void put_rows(FILE *file, const sweep_table *table) {
    put_names(file);
    for (size_t i = 0; i < table->count; i++)
        for (size_t j = 0; j < NUM_COLUMNS; j++) {
            put_value(file, &table->rows[i], &columns[j]);
            putc(j + 1 < NUM_COLUMNS ? ',' : '\n', file);
        }
}

/* Reads a value; false where it is not one of that kind. */
static bool take_value(sweep_row *row, const column *c, char *text) {
    char *end = text;
    if (c->kind == TEXT) /* without the apostrophe that text_csv_field_to puts */
        *text_of(row, c) = *text == '\'' && text_is_formula(text + 1) ? text + 1 : text;
    else if (c->kind == COUNT)
        *(int64_t *)field_of(row, c) = strtoll(text, &end, 10);
    else
        *(double *)field_of(row, c) = *text ? strtod(text, &end) : (double)NAN;
    return c->kind == TEXT || (*end == '\0' && (c->kind == NUMBER || end > text));
}

static bool names_agree(char **fields, size_t count) {
    bool agree = count == NUM_COLUMNS;
    for (size_t i = 0; i < NUM_COLUMNS && agree; i++)
        agree = strcmp(fields[i], columns[i].name) == 0;
    return agree;
}

static bool take_rows(sweep_table *table, const char *path, char *text) {
    char *fields[NUM_COLUMNS], *at = text, message[128];
    if (!names_agree(fields, csv_next(&at, fields, NUM_COLUMNS))) {
        complain(path, "not a table that sweep wrote: its first line is not the names of the "
                       "columns that docs/CLI.md lists");
        return false;
    }
    for (size_t line = 2, count; (count = csv_next(&at, fields, NUM_COLUMNS)) > 0; line++) {
        sweep_row row;
        bool good = count == NUM_COLUMNS;
        for (size_t i = 0; i < NUM_COLUMNS && good; i++)
            good = take_value(&row, &columns[i], fields[i]);
        if (!good) {
            snprintf(message, sizeof message, "line %zu is not a row of the table", line);
            complain(path, message);
            return false;
        }
        sweep_add(table, &row);
    }
    return true;
}

bool sweep_read_csv(sweep_table *table, const char *path) {
    size_t size;
    if (access(path, F_OK) != 0)
        return true;
    char *text = read_file(path, &size);
    if (!text)
        return false;
    bool taken = take_rows(table, path, text);
    free(text);
    return taken;
}

/* ---- the JSON file -----------------------------------------------------------------------------
 */

static json_t *json_row(const sweep_row *row) {
    json_t *object = json_object();
    for (size_t i = 0; i < NUM_COLUMNS; i++) {
        const column *c = &columns[i];
        json_t *value = c->kind == TEXT    ? json_text(*text_of(row, c))
                        : c->kind == COUNT ? json_integer(*(int64_t *)field_of(row, c))
                                           : json_number(*(double *)field_of(row, c));
        json_object_set_new(object, c->name, value);
    }
    return object;
}

static void put_json(FILE *file, const sweep_table *table) {
    json_t *rows = json_array();
    for (size_t i = 0; i < table->count; i++)
        json_array_append_new(rows, json_row(&table->rows[i]));
    json_t *all = json_pack("{s:i, s:s, s:o}", "version", 1, "vitrine", vt_version(), "rows", rows);
    json_dumpf(all, file, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    putc('\n', file);
    json_decref(all);
}

/* ---- files -------------------------------------------------------------------------------------
 */

static bool write_by(void (*put)(FILE *, const sweep_table *), const sweep_table *table,
                     const char *path) {
    outfile out;
    if (!outfile_open(&out, path))
        return false;
    put(out.stream, table);
    return outfile_close(&out, true);
}

bool sweep_write_csv(const sweep_table *table, const char *path) {
    return write_by(put_rows, table, path);
}

bool sweep_write_json(const sweep_table *table, const char *path) {
    return write_by(put_json, table, path);
}

/* ---- the table for people ----------------------------------------------------------------------
 */

unsigned sweep_varying(const sweep_table *table) {
    unsigned which = 0;
    const sweep_row *first = table->rows;
    for (size_t i = 1; i < table->count; i++) {
        const sweep_row *row = &table->rows[i];
        which |= row->patch_size != first->patch_size ? BY_PATCH : 0;
        which |= strcmp(row->precision, first->precision) != 0 ? BY_PRECISION : 0;
        which |= strcmp(row->pos_resize, first->pos_resize) != 0 ? BY_RULE : 0;
        which |= row->threads != first->threads ? BY_THREADS : 0;
        which |= strcmp(row->group, first->group) != 0 ? BY_GROUP : 0;
    }
    return which;
}

static void join(char text[256], const char *piece) {
    size_t used = strlen(text);
    snprintf(text + used, 256 - used, "%s%s", used ? ", " : "", piece);
}

const char *sweep_curve_name(char text[256], const sweep_row *row, unsigned which) {
    char number[64];
    *text = '\0';
    snprintf(number, sizeof number, "patch %lld", (long long)row->patch_size);
    if (which & BY_PATCH)
        join(text, number);
    if (which & BY_PRECISION)
        join(text, row->precision);
    if (which & BY_RULE)
        join(text, row->pos_resize);
    snprintf(number, sizeof number, "%lld thread%s", (long long)row->threads,
             row->threads == 1 ? "" : "s");
    if (which & BY_THREADS)
        join(text, number);
    if (which & BY_GROUP)
        join(text, row->group);
    return text;
}

typedef struct shown {
    const char *title;
    int width, decimals;
    size_t offset;
    double factor;
} shown;

static const shown shown_columns[] = {
    {"pre ms", 8, 2, offsetof(sweep_row, preprocess_median_ms), 1},
    {"fwd ms", 9, 2, offsetof(sweep_row, forward_median_ms), 1},
    {"p95", 9, 2, offsetof(sweep_row, forward_p95_ms), 1},
    {"img/s", 8, 1, offsetof(sweep_row, images_per_s), 1},
    {"MB", 8, 1, offsetof(sweep_row, peak_rss_mb), 1},
    {"top-1", 7, 1, offsetof(sweep_row, top1), 100},
    {"top-5", 7, 1, offsetof(sweep_row, top5), 100},
    {"agree", 7, 1, offsetof(sweep_row, agreement), 100},
    {"KL", 7, 3, offsetof(sweep_row, kl), 1},
    {"cosine", 7, 3, offsetof(sweep_row, cosine), 1},
};

static double shown_value(const sweep_row *row, const shown *s) {
    return *(const double *)((const char *)row + s->offset) * s->factor;
}

static bool is_known(const sweep_table *table, const shown *s) {
    for (size_t i = 0; i < table->count; i++)
        if (!isnan(shown_value(&table->rows[i], s)))
            return true;
    return false;
}

static void print_line(const sweep_table *table, const sweep_row *row) {
    enum { NUM_SHOWN = sizeof shown_columns / sizeof *shown_columns };
    for (size_t i = 0; i < NUM_SHOWN; i++) {
        const shown *s = &shown_columns[i];
        if (!is_known(table, s))
            continue;
        if (!row)
            printf(" %*s", s->width, s->title);
        else if (isnan(shown_value(row, s)))
            printf(" %*s", s->width, "-");
        else
            printf(" %*.*f", s->width, s->decimals, shown_value(row, s));
    }
    putchar('\n');
}

void sweep_print(const sweep_table *table) {
    char name[256];
    unsigned which = sweep_varying(table);
    size_t widest = 0;
    for (size_t i = 0; i < table->count; i++) {
        size_t length = strlen(sweep_curve_name(name, &table->rows[i], which));
        widest = length > widest ? length : widest;
    }
    if (table->count == 0)
        return;
    printf("%*s %9s %6s %8s", (int)widest, "", "size", "tokens", "GFLOP");
    print_line(table, NULL);
    for (size_t i = 0; i < table->count; i++) {
        const sweep_row *row = &table->rows[i];
        char *clean = text_clean(sweep_curve_name(name, row, which), TEXT_ONE_LINE);
        char *size = text_clean(row->size, TEXT_ONE_LINE);
        printf("%*s %9s %6lld %8.3f", (int)widest, clean, size, (long long)row->tokens,
               (double)row->flops * 1e-9);
        print_line(table, row);
        free(clean);
        free(size);
    }
}
