/* SPDX-License-Identifier: MIT
 *
 * What `bench` found, and the ways to print it.
 */
#ifndef CLI_BENCH_H
#define CLI_BENCH_H

#include <vitrine.h>

/* One configuration. */
typedef struct bench_result {
    size_t height, width, threads, batch; /* the size after rounding to whole patches */
    const char *precision;
    vt_model_plan plan;
    size_t runs;
    double min_ms, p5_ms, median_ms, p95_ms; /* of one forward pass */
    double peak_gflops;                      /* what the processor reaches with as many threads */
    size_t peak_rss;                         /* bytes */
} bench_result;

typedef struct bench_report {
    const char *arch;   /* NULL: a model's files were named */
    vt_model_info info; /* of the first precision */
} bench_report;

/* The floating-point operations of a pass; their rate at the median. */
double bench_flops(const bench_result *found);
double bench_gflops(const bench_result *found);

/* The names that --format accepts, NULL past the last. */
const char *bench_format_name(size_t index);

void bench_print(unsigned format, const bench_report *report, const bench_result *results,
                 size_t count);

#endif
