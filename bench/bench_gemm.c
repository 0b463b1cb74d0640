/* SPDX-License-Identifier: MIT
 *
 * The linear layers of vision transformers: vt_linear against OpenBLAS, which computes the product
 * alone. Weights are packed beforehand for vt_linear, as a model's are; OpenBLAS has no such call.
 *
 *     bench_gemm [threads [kernels [runs]]]
 *     OPENBLAS_CORETYPE=SkylakeX bench_gemm 2 avx512
 *
 * The contenders take turns; a figure is the median of its runs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cblas.h>

#include "base/memory.h"
#include "base/threads.h"
#include "kernels/linear.h"

typedef struct shape {
    size_t m, n, k;
} shape;

static const shape shapes[] = {
    /* ViT-B/16 at 224: 197 tokens */
    {197, 2304, 768},
    {197, 768, 768},
    {197, 3072, 768},
    {197, 768, 3072},
    /* ViT-B/16 at 384: 577 tokens */
    {577, 2304, 768},
    {577, 768, 768},
    {577, 3072, 768},
    {577, 768, 3072},
    /* a batch of 8 */
    {8 * 197, 2304, 768},
    {8 * 197, 768, 3072},
    /* ViT-Ti/16 and its classifier */
    {197, 576, 192},
    {197, 192, 192},
    {197, 768, 192},
    {197, 192, 768},
    {1, 1000, 768},
    /* ViT-L: k is a multiple of 1024 */
    {197, 4096, 1024},
    {197, 1024, 4096},
    /* 64 patches and a class token */
    {65, 576, 192},
    {65, 2304, 768},
    {65, 768, 3072},
    /* one token at a time */
    {1, 2304, 768},
    {1, 3072, 768},
    {1, 768, 3072},
};

enum { NUM_SHAPES = sizeof shapes / sizeof shapes[0], MAX_RUNS = 1001 };

enum contender { PLAIN, GELU, LAYER_SCALE, OPENBLAS, NUM_CONTENDERS };

typedef struct bench {
    const vt_kernels *kernels;
    vt_pool *pool;
    size_t num_threads, runs;
    shape s;
    float *x, *weight, *y, *vector;
    vt_packed packed;
} bench;

/* With one thread its processor time, which leaves out when others had the processor. */
static double now(const bench *b) {
    struct timespec t;
    clock_gettime(b->num_threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t count) {
    qsort(values, count, sizeof *values, compare);
    return values[count / 2];
}

static void compute(const bench *b, enum contender who) {
    const shape *s = &b->s;
    vt_epilogue plain = {.bias = b->vector};
    vt_epilogue gelu = {.bias = b->vector, .act = VT_ACT_GELU_ERF};
    vt_epilogue scaled = {.bias = b->vector, .scale = b->vector, .residual = b->y};
    if (who == OPENBLAS) {
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)s->m, (int)s->n, (int)s->k, 1,
                    b->x, (int)s->k, b->weight, (int)s->k, 0, b->y, (int)s->n);
        return;
    }
    const vt_linear_args args = {.y = b->y, .ldy = s->n, .x = b->x, .ldx = s->k, .m = s->m};
    vt_linear(b->kernels, b->pool, &b->packed, &args,
              who == GELU          ? &gelu
              : who == LAYER_SCALE ? &scaled
                                   : &plain);
}

/* The mean of enough repetitions to take about 10 ms; as many before, untimed, bring the threads
 * onto their processors. */
static double time_run(const bench *b, enum contender who) {
    double flops = 2.0 * (double)b->s.m * (double)b->s.n * (double)b->s.k;
    size_t repeats = 1 + (size_t)(1e9 / flops);
    double start = 0;
    for (size_t i = 0; i < 2 * repeats; i++) {
        if (i == repeats)
            start = now(b);
        compute(b, who);
    }
    return (now(b) - start) / (double)repeats;
}

/* OpenBLAS' workers spin for 2^26 cycles after their last product and would take a processor from
 * the next contender. */
static void let_spinners_sleep(void) {
    nanosleep(&(struct timespec){.tv_nsec = 40000000}, NULL);
}

static void report(const bench *b) {
    static double times[NUM_CONTENDERS][MAX_RUNS];
    double rate[NUM_CONTENDERS];
    for (size_t run = 0; run < b->runs + 1; run++)
        for (size_t who = 0; who < NUM_CONTENDERS; who++) {
            double seconds = time_run(b, (enum contender)who);
            if (run > 0) /* the first warms up */
                times[who][run - 1] = seconds;
            if (who == OPENBLAS && b->num_threads > 1)
                let_spinners_sleep();
        }
    for (size_t who = 0; who < NUM_CONTENDERS; who++)
        rate[who] =
            2e-9 * (double)b->s.m * (double)b->s.n * (double)b->s.k / median(times[who], b->runs);
    printf("| %4zu | %4zu | %4zu | %7.1f | %7.1f | %7.1f | %7.1f | %5.2f |\n", b->s.m, b->s.n,
           b->s.k, rate[PLAIN], rate[GELU], rate[LAYER_SCALE], rate[OPENBLAS],
           rate[PLAIN] / rate[OPENBLAS]);
    fflush(stdout);
}

static float *random_floats(size_t count) {
    float *x = vt_malloc(count, sizeof *x);
    uint32_t state = 1;
    for (size_t i = 0; x && i < count; i++) {
        state = state * 1664525 + 1013904223;
        x[i] = (float)(state >> 8) / (1 << 24) - 0.5f;
    }
    return x;
}

static bool run_shape(bench *b, const shape *s) {
    b->s = *s;
    b->x = random_floats(s->m * s->k);
    b->weight = random_floats(s->n * s->k);
    b->y = random_floats(s->m * s->n);
    b->vector = random_floats(s->n);
    bool ready = b->x && b->weight && b->y && b->vector &&
                 vt_packed_create(&b->packed, b->kernels, VT_STORE_F32, s->n, s->k, NULL) == VT_OK;
    if (ready) {
        vt_pack_rows(b->kernels, &b->packed, 0, b->weight, s->n);
        report(b);
        vt_packed_free(&b->packed);
    }
    vt_free(b->x);
    vt_free(b->weight);
    vt_free(b->y);
    vt_free(b->vector);
    return ready;
}

int main(int argc, char **argv) {
    bench b = {.runs = 15};
    vt_error err = {0};
    if (argc > 1)
        b.num_threads = strtoul(argv[1], NULL, 10);
    if (argc > 3)
        b.runs = strtoul(argv[3], NULL, 10);
    if (b.runs < 1 || b.runs > MAX_RUNS) {
        fprintf(stderr, "bench_gemm: runs must be 1 to %d\n", MAX_RUNS);
        return 1;
    }
    if (vt_kernels_select(&b.kernels, argc > 2 ? argv[2] : NULL, &err) ||
        vt_pool_create(&b.pool, b.num_threads, &err)) {
        fprintf(stderr, "bench_gemm: %s\n", err.message);
        return 1;
    }
    b.num_threads = vt_pool_size(b.pool);
    openblas_set_num_threads((int)b.num_threads);
    printf("%zu threads, %s kernels, OpenBLAS core %s; GFLOP/s, median of %zu\n\n", b.num_threads,
           b.kernels->name, openblas_get_corename(), b.runs);
    puts("|    m |    n |    k |  linear |  + GELU | + scale | OpenBLAS | ratio |");
    puts("|-----:|-----:|-----:|--------:|--------:|--------:|--------:|------:|");
    int failed = 0;
    for (size_t i = 0; i < NUM_SHAPES && !failed; i++)
        failed = !run_shape(&b, &shapes[i]);
    vt_pool_destroy(b.pool);
    if (failed)
        fputs("bench_gemm: out of memory\n", stderr);
    return failed;
}
