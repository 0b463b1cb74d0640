/* SPDX-License-Identifier: MIT
 *
 * The table that `sweep` fills: a row for every combination of patch size, precision, position
 * rule, threads, group of pictures and input size.
 */
#ifndef CLI_SWEEP_H
#define CLI_SWEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gnuplot.h"

/* The group of all pictures. */
extern const char sweep_everything[];

/* A number that is not known is NaN, or 0 where it counts something. */
typedef struct sweep_row {
    /* which: texts are the row's own */
    char *model, *kernels, *precision;
    int64_t patch_size;
    char *pos_resize;
    int64_t threads;
    char *group;
    char *size;            /* as asked for: "224x320", height first */
    int64_t height, width; /* after rounding to whole patches */
    /* what it costs; latencies are of one picture, over all groups */
    int64_t tokens, flops, images;
    double preprocess_median_ms, preprocess_p95_ms, forward_median_ms, forward_p95_ms;
    double images_per_s, peak_rss_mb, workspace_mb;
    /* what it changes: shares of the group's pictures, and means over them */
    double top1, top5, agreement, kl, cosine;
    char *pictures; /* a checksum of the list of pictures and labels */
} sweep_row;

typedef struct sweep_table {
    sweep_row *rows;
    size_t count, capacity;
} sweep_table;

/* Adds a copy of the row, whose texts are copied too. */
void sweep_add(sweep_table *table, const sweep_row *row);
void sweep_free(sweep_table *table);

/* Whether a row differs from another in nothing that says which it is. */
bool sweep_same(const sweep_row *a, const sweep_row *b);

/* The table in the order of its curves: by size within everything else. */
void sweep_sort(sweep_table *table);

/* Reads what sweep_write_csv wrote. False, having complained, where the file is not such a one;
 * a file that does not exist has no rows. */
bool sweep_read_csv(sweep_table *table, const char *path);

/* Both replace the file only when all is written. False, having complained, when that fails. */
bool sweep_write_csv(const sweep_table *table, const char *path);
bool sweep_write_json(const sweep_table *table, const char *path);

/* The table for people, on standard output: without the columns in which all rows are alike. */
void sweep_print(const sweep_table *table);

/* sweep.png and sweep.svg in `directory`. */
gnuplot_result sweep_draw(const sweep_table *table, const char *directory);

/* What tells a row's curve from the others', such as "int8, held-in": of its patch size, precision,
 * rule, threads and group those in which the table's rows differ. `which` says what to look at. */
enum { BY_PATCH = 1, BY_PRECISION = 2, BY_RULE = 4, BY_THREADS = 8, BY_GROUP = 16 };
unsigned sweep_varying(const sweep_table *table);
const char *sweep_curve_name(char text[256], const sweep_row *row, unsigned which);

#endif
