/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "json.h"
#include "text.h"

static const double MEGABYTE = 1e6;

double bench_flops(const bench_result *found) {
    return found->plan.flops * (double)found->batch;
}

double bench_gflops(const bench_result *found) {
    return bench_flops(found) / found->median_ms * 1e-6;
}

static double peak_share(const bench_result *found) {
    return bench_gflops(found) / found->peak_gflops;
}

static const char *size_text(char text[48], const bench_result *found) {
    snprintf(text, 48, "%zux%zu", found->height, found->width);
    return text;
}

static const char *subject(const bench_report *report) {
    return report->arch ? report->arch : report->info.path;
}

/* ---- text --------------------------------------------------------------------------------------
 */

/* "… in GFLOP/s: 117.4 with 1 thread, 235.0 with 2." */
static void print_peaks(const bench_result *results, size_t count) {
    printf("\nThe peak is what multiply-adds in registers alone reach, in GFLOP/s:");
    for (size_t i = 0; i < count; i++) {
        bool told = false;
        for (size_t j = 0; j < i; j++)
            told |= results[j].threads == results[i].threads;
        if (!told)
            printf("%s %.1f with %zu thread%s", i ? "," : "", results[i].peak_gflops,
                   results[i].threads, results[i].threads == 1 ? "" : "s");
    }
    printf(".\n");
}

static void print_text(const bench_report *report, const bench_result *results, size_t count) {
    char size[48], spread[64], number[32];
    bool many = false; /* precisions */
    if (count == 0)
        return;
    for (size_t i = 1; i < count; i++)
        many |= strcmp(results[i].precision, results[0].precision) != 0;
    char *name = text_clean(subject(report), TEXT_ONE_LINE);
    printf("%s: %s parameters, %s kernels%s%s\n\n", name,
           text_grouped(number, report->info.num_parameters), report->info.kernels,
           many ? "" : ", ", many ? "" : results[0].precision);
    free(name);
    printf("%s%11s %8s %6s %10s %20s %8s %7s %8s\n", many ? "precision" : "", "size", "threads",
           "batch", "median ms", "p5..p95 ms", "GFLOP/s", "of peak", "peak MB");
    for (size_t i = 0; i < count; i++) {
        const bench_result *r = &results[i];
        snprintf(spread, sizeof spread, "%.2f..%.2f", r->p5_ms, r->p95_ms);
        printf("%*s%11s %8zu %6zu %10.2f %20s %8.1f %6.0f%% %8.1f\n", many ? 9 : 0,
               many ? r->precision : "", size_text(size, r), r->threads, r->batch, r->median_ms,
               spread, bench_gflops(r), 100 * peak_share(r), (double)r->peak_rss / MEGABYTE);
    }
    print_peaks(results, count);
}

/* ---- JSON --------------------------------------------------------------------------------------
 */

static void set_count(json_t *line, const char *key, double number) {
    json_object_set_new(line, key, json_integer((json_int_t)number));
}

static void set_number(json_t *line, const char *key, double number) {
    json_object_set_new(line, key, json_number(number));
}

static json_t *json_result(const bench_report *report, const bench_result *r) {
    json_t *line = json_object();
    char size[48];
    json_object_set_new(line, report->arch ? "arch" : "model", json_text(subject(report)));
    json_object_set_new(line, "size", json_string(size_text(size, r)));
    set_count(line, "threads", (double)r->threads);
    set_count(line, "batch", (double)r->batch);
    json_object_set_new(line, "precision", json_string(r->precision));
    json_object_set_new(line, "kernels", json_string(report->info.kernels));
    set_number(line, "median_ms", r->median_ms);
    set_number(line, "p95_ms", r->p95_ms);
    set_number(line, "p5_ms", r->p5_ms);
    set_number(line, "min_ms", r->min_ms);
    set_count(line, "runs", (double)r->runs);
    set_number(line, "gflops", bench_gflops(r));
    set_number(line, "peak_gflops", r->peak_gflops);
    set_number(line, "peak_share", peak_share(r));
    set_number(line, "peak_rss_mb", (double)r->peak_rss / MEGABYTE);
    set_number(line, "workspace_mb", (double)r->plan.workspace_bytes / MEGABYTE);
    set_count(line, "tokens", (double)r->plan.num_tokens);
    set_count(line, "flops", bench_flops(r));
    return line;
}

static void print_json(const bench_report *report, const bench_result *results, size_t count) {
    for (size_t i = 0; i < count; i++)
        json_print(json_result(report, &results[i]));
}

/* ---- CSV ---------------------------------------------------------------------------------------
 */

/* A column for each key of a JSON line; the first is `model`, whichever it is. */
static void print_csv_names(json_t *line) {
    const char *key;
    json_t *value;
    bool first = true;
    json_object_foreach(line, key, value) {
        printf("%s%s", first ? "" : ",", first ? "model" : key);
        first = false;
    }
    putchar('\n');
}

static void print_csv_values(json_t *line) {
    const char *key;
    json_t *value;
    bool first = true;
    json_object_foreach(line, key, value) {
        if (!first)
            putchar(',');
        if (json_is_string(value))
            text_csv_field(json_string_value(value));
        else if (json_is_integer(value))
            printf("%lld", (long long)json_integer_value(value));
        else if (json_is_real(value))
            printf("%.6g", json_real_value(value));
        first = false;
    }
    putchar('\n');
}

static void print_csv(const bench_report *report, const bench_result *results, size_t count) {
    for (size_t i = 0; i < count; i++) {
        json_t *line = json_result(report, &results[i]);
        if (i == 0)
            print_csv_names(line);
        print_csv_values(line);
        json_decref(line);
    }
}

/* ------------------------------------------------------------------------------------------------
 */

static const struct {
    const char *name;
    void (*print)(const bench_report *, const bench_result *, size_t);
} formats[] = {{"text", print_text}, {"json", print_json}, {"csv", print_csv}};

const char *bench_format_name(size_t index) {
    return index < sizeof formats / sizeof *formats ? formats[index].name : NULL;
}

void bench_print(unsigned format, const bench_report *report, const bench_result *results,
                 size_t count) {
    formats[format].print(report, results, count);
}
