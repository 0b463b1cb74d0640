/* SPDX-License-Identifier: MIT
 *
 * The linear layers of ViT-B/16 and ViT-Ti/16 by each backend that is compiled in, in each type
 * that it multiplies, all with bias and GELU: GFLOP/s, medians.
 *
 *     bench_backends [threads [runs]]
 *
 * With one thread its processor time counts, which leaves out when others had the processor; with
 * more, the clock.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/memory.h"
#include "kernels/backend.h"

typedef struct shape {
    size_t m, n, k;
} shape;

static const shape shapes[] = {
    {197, 2304, 768},  {197, 768, 768},   {197, 3072, 768}, {197, 768, 3072},
    {1576, 3072, 768}, {1576, 768, 3072}, {197, 576, 192},  {197, 768, 192},
    {197, 192, 768},   {1, 3072, 768},    {1, 768, 3072},
};

enum { NUM_SHAPES = sizeof shapes / sizeof shapes[0], MAX_RUNS = 1001, MAX_CONTENDERS = 16 };

typedef struct contender {
    const char *name;
    const vt_backend *backend; /* NULL: native */
    vt_storage storage;
    vt_packed packed;
    double times[MAX_RUNS];
} contender;

typedef struct bench {
    const vt_kernels *kernels;
    vt_pool *pool;
    size_t runs, count;
    contender contenders[MAX_CONTENDERS];
    shape s;
    float *x, *weight, *y, *bias;
    void *scratch;
} bench;

static double now(const bench *b) {
    struct timespec t;
    clock_gettime(vt_pool_size(b->pool) == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void compute(const bench *b, const contender *c) {
    const vt_epilogue gelu = {.bias = b->bias, .act = VT_ACT_GELU_ERF};
    const vt_linear_args args = {
        .y = b->y, .ldy = b->s.n, .x = b->x, .ldx = b->s.k, .m = b->s.m, .scratch = b->scratch};
    if (vt_linear(b->kernels, b->pool, &c->packed, &args, &gelu)) {
        fprintf(stderr, "bench_backends: %s failed\n", c->name);
        exit(1);
    }
}

/* The mean of enough repetitions to take some milliseconds, after as many untimed. */
static double time_run(const bench *b, const contender *c) {
    size_t repeats = 1 + (size_t)(5e8 / (2.0 * (double)b->s.m * (double)b->s.n * (double)b->s.k));
    double start = 0;
    for (size_t i = 0; i < 2 * repeats; i++) {
        if (i == repeats)
            start = now(b);
        compute(b, c);
    }
    return (now(b) - start) / (double)repeats;
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

static bool pack(bench *b) {
    size_t scratch = 1;
    for (size_t i = 0; i < b->count; i++) {
        contender *c = &b->contenders[i];
        const vt_matrix_spec spec = {c->storage, b->s.n, b->s.k, 0};
        vt_error err = {0};
        if (vt_backend_create(&c->packed, c->backend, b->kernels, &spec, &err)) {
            fprintf(stderr, "bench_backends: %s: %s\n", c->name, err.message);
            return false;
        }
        vt_pack_rows(b->kernels, &c->packed, 0, b->weight, b->s.n);
        if (vt_backend_finish(&c->packed, &err))
            return false;
        size_t row = vt_linear_row_scratch(&c->packed);
        scratch = row > scratch ? row : scratch;
    }
    b->scratch = vt_malloc(b->s.m, scratch);
    return b->scratch != NULL;
}

/* The contenders take turns. */
static void report(bench *b) {
    double flops = 2.0 * (double)b->s.m * (double)b->s.n * (double)b->s.k;
    for (size_t run = 0; run < b->runs + 1; run++)
        for (size_t i = 0; i < b->count; i++) {
            double seconds = time_run(b, &b->contenders[i]);
            if (run > 0) /* the first warms up */
                b->contenders[i].times[run - 1] = seconds;
        }
    printf("| %4zu | %4zu | %4zu |", b->s.m, b->s.n, b->s.k);
    for (size_t i = 0; i < b->count; i++) {
        qsort(b->contenders[i].times, b->runs, sizeof(double), compare);
        printf(" %11.1f |", 1e-9 * flops / b->contenders[i].times[b->runs / 2]);
    }
    puts("");
    fflush(stdout);
}

static bool run_shape(bench *b, const shape *s) {
    b->s = *s;
    b->x = random_floats(s->m * s->k);
    b->weight = random_floats(s->n * s->k);
    b->y = random_floats(s->m * s->n);
    b->bias = random_floats(s->n);
    bool ready = b->x && b->weight && b->y && b->bias && pack(b);
    if (ready)
        report(b);
    for (size_t i = 0; i < b->count; i++)
        vt_packed_free(&b->contenders[i].packed);
    vt_free(b->scratch);
    vt_free(b->x);
    vt_free(b->weight);
    vt_free(b->y);
    vt_free(b->bias);
    return ready;
}

static void add_contenders(bench *b, const vt_backend *backend) {
    static const char *const names[][3] = {
        [VT_STORE_F32] = {"native f32", "blas f32", "onednn f32"},
        [VT_STORE_BF16] = {"native bf16", "", "onednn bf16"},
        [VT_STORE_INT8] = {"native int8", "", "onednn int8"},
    };
    size_t column = !backend ? 0 : backend->name[0] == 'b' ? 1 : 2;
    for (int s = VT_STORE_F32; s <= VT_STORE_INT8; s++)
        if (s != VT_STORE_F16 && (!backend || backend->takes((vt_storage)s)))
            b->contenders[b->count++] =
                (contender){.name = names[s][column], .backend = backend, .storage = (vt_storage)s};
}

int main(int argc, char **argv) {
    static bench b = {.runs = 11};
    vt_error err = {0};
    const vt_backend *backend;
    size_t threads = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;
    if (argc > 2)
        b.runs = strtoul(argv[2], NULL, 10);
    if (b.runs < 1 || b.runs > MAX_RUNS || vt_kernels_select(&b.kernels, NULL, &err) ||
        vt_pool_create(&b.pool, threads, &err)) {
        fprintf(stderr, "bench_backends: %s\n", err.message[0] ? err.message : "runs: 1 to 1001");
        return 1;
    }
    add_contenders(&b, NULL);
    for (size_t i = 0; (backend = vt_backend_at(i)) != NULL; i++)
        add_contenders(&b, backend);
    printf("%zu threads, %s kernels; GFLOP/s, median of %zu\n\n|    m |    n |    k |",
           vt_pool_size(b.pool), b.kernels->name, b.runs);
    for (size_t i = 0; i < b.count; i++)
        printf(" %11s |", b.contenders[i].name);
    printf("\n|-----:|-----:|-----:|");
    for (size_t i = 0; i < b.count; i++)
        printf("------------:|");
    puts("");
    int failed = 0;
    for (size_t i = 0; i < NUM_SHAPES && !failed; i++)
        failed = !run_shape(&b, &shapes[i]);
    vt_pool_destroy(b.pool);
    return failed;
}
