/* SPDX-License-Identifier: MIT
 *
 * A whole forward pass of a ViT with random weights, against the time that OpenBLAS takes for the
 * matrix products of that pass and nothing else: no softmax, norm, GELU, bias or memory traffic
 * between them.
 *
 *     bench_forward [arch [side [batch [threads [runs [kernels [merge]]]]]]]
 *     bench_forward vit_base_patch16_224 224 1 2 21
 *
 * arch: one of vit_{tiny,small,base,large}_patch16_224, or any other that `vitrine bench --help`
 * lists and that pools by its class token. kernels: - for the fastest. merge: pairs of tokens that
 * a block of ours merges. The two take turns; figures are medians of the runs, in milliseconds: of
 * the processor's time where there is one thread, so that a busy machine may be measured on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cblas.h>

#include "vitrine.h"

enum { MAX_RUNS = 1001 };

static void die(const char *message) {
    fprintf(stderr, "bench_forward: %s\n", message);
    exit(1);
}

static void *allocate(size_t floats) {
    void *memory = aligned_alloc(64, (floats * sizeof(float) + 63) / 64 * 64);
    if (!memory)
        die("out of memory");
    return memory;
}

static clockid_t bench_clock = CLOCK_MONOTONIC;

static double now_ms(void) {
    struct timespec t;
    clock_gettime(bench_clock, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* ---- the products alone ------------------------------------------------------------------------
 */

typedef struct products {
    vt_model_info model;
    size_t rows, tokens, batch, patches;
    float *x, *y, *weights, *scores;
} products;

/* Y[m][n] = X[m][k] W[n][k]^T, as torch's Linear has it. */
static void blas_linear(const products *p, size_t m, size_t n, size_t k) {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)m, (blasint)n, (blasint)k, 1.0f,
                p->x, (blasint)k, p->weights, (blasint)k, 0.0f, p->y, (blasint)n);
}

static void blas_attention(const products *p) {
    size_t d = p->model.head_dim;
    blasint t = (blasint)p->tokens, ld = (blasint)(3 * p->model.width);
    for (size_t i = 0; i < p->batch * p->model.num_heads; i++) {
        const float *head = p->x + i % p->model.num_heads * d;
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, t, t, (blasint)d, 1.0f, head, ld, head,
                    ld, 0.0f, p->scores, t);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, t, (blasint)d, t, 1.0f, p->scores, t,
                    head, ld, 0.0f, p->y, (blasint)d);
    }
}

static void run_products(const products *p) {
    const vt_model_info *model = &p->model;
    size_t d = model->width, mlp = model->mlp_dim;
    blas_linear(p, p->batch * p->patches, d, 3 * model->patch_size * model->patch_size);
    for (size_t block = 0; block < model->depth; block++) {
        blas_linear(p, p->rows, 3 * d, d);
        blas_attention(p);
        blas_linear(p, p->rows, d, d);
        blas_linear(p, p->rows, mlp, d);
        blas_linear(p, p->rows, d, mlp);
    }
    if (model->num_classes)
        blas_linear(p, p->batch, model->num_classes, d);
}

static products make_products(const vt_model_info *model, const vt_model_plan *plan, size_t batch) {
    size_t d = model->width, mlp = model->mlp_dim, classes = model->num_classes;
    products p = {.model = *model, .tokens = plan->num_tokens, .batch = batch};
    p.patches = plan->grid_height * plan->grid_width;
    p.rows = batch * p.tokens;
    p.x = allocate(p.rows * mlp);
    p.y = allocate(p.rows * mlp + classes * batch);
    p.weights = allocate(mlp * d + classes * d);
    p.scores = allocate(p.tokens * p.tokens);
    for (size_t i = 0; i < p.rows * mlp; i++)
        p.x[i] = (float)(i % 97) * 0.01f;
    for (size_t i = 0; i < mlp * d + classes * d; i++)
        p.weights[i] = (float)(i % 89) * 0.01f;
    return p;
}

/* ---- turns -------------------------------------------------------------------------------------
 */

int main(int argc, char **argv) {
    const char *arch = argc > 1 ? argv[1] : "vit_base_patch16_224";
    size_t side = argc > 2 ? strtoul(argv[2], NULL, 10) : 224;
    size_t batch = argc > 3 ? strtoul(argv[3], NULL, 10) : 1;
    size_t threads = argc > 4 ? strtoul(argv[4], NULL, 10) : 2;
    size_t runs = argc > 5 ? strtoul(argv[5], NULL, 10) : 21;
    if (side == 0 || batch == 0 || runs == 0 || runs > MAX_RUNS)
        die("usage: bench_forward [arch [side [batch [threads [runs [kernels [merge]]]]]]]");
    if (threads == 1)
        bench_clock = CLOCK_THREAD_CPUTIME_ID;

    vt_error err = {0};
    vt_model *model = NULL;
    vt_session *session = NULL;
    vt_model_info info;
    vt_model_plan plan;
    vt_model_options model_options = VT_MODEL_OPTIONS_INIT;
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    model_options.kernels = argc > 6 && strcmp(argv[6], "-") != 0 ? argv[6] : NULL;
    options.height = options.width = side;
    options.batch = batch;
    options.num_threads = threads;
    options.merge = argc > 7 ? strtoul(argv[7], NULL, 10) : 0;
    double start = now_ms();
    if (vt_model_create_random(&model, arch, &model_options, &err))
        die(err.message);
    printf("made and packed in %.0f ms\n", now_ms() - start);
    if (vt_session_create(&session, model, &options, &err) ||
        vt_model_plan_session(&plan, model, &options, &err))
        die(err.message);
    vt_model_describe(&info, model);
    openblas_set_num_threads((int)threads);

    size_t floats = batch * vt_session_picture_floats(session);
    float *pixels = allocate(floats);
    for (size_t i = 0; i < floats; i++)
        pixels[i] = (float)(i % 255) / 127.5f - 1.0f;
    products p = make_products(&info, &plan, batch);

    static double ours[MAX_RUNS], blas[MAX_RUNS], ratios[MAX_RUNS];
    for (size_t run = 0; run <= runs; run++) { /* the first is a warm-up */
        start = now_ms();
        if (vt_session_forward(session, pixels, batch, &err))
            die(err.message);
        double middle = now_ms();
        run_products(&p);
        double end = now_ms();
        if (run == 0)
            continue;
        ours[run - 1] = middle - start;
        blas[run - 1] = end - middle;
        ratios[run - 1] = ours[run - 1] / blas[run - 1];
    }
    qsort(ours, runs, sizeof *ours, compare_doubles);
    qsort(blas, runs, sizeof *blas, compare_doubles);
    qsort(ratios, runs, sizeof *ratios, compare_doubles);

    double gflop = plan.flops * (double)batch / 1e9;
    printf("%s at %zu, batch %zu, %zu threads, kernels %s, OpenBLAS %s; %.1f GFLOP, workspace %.1f "
           "MiB\n",
           arch, side, batch, threads, info.kernels, openblas_get_corename(), gflop,
           (double)plan.workspace_bytes / 1048576);
    printf("%-22s %9s %9s %9s %10s\n", "", "min ms", "median", "max", "GFLOP/s");
    printf("%-22s %9.2f %9.2f %9.2f %10.1f\n", "vitrine, forward pass", ours[0], ours[runs / 2],
           ours[runs - 1], gflop / ours[runs / 2] * 1e3);
    printf("%-22s %9.2f %9.2f %9.2f %10.1f\n", "OpenBLAS, products", blas[0], blas[runs / 2],
           blas[runs - 1], gflop / blas[runs / 2] * 1e3);
    printf("%-22s %9.3f %9.3f %9.3f\n", "ratio, run by run", ratios[0], ratios[runs / 2],
           ratios[runs - 1]);
    vt_session_destroy(session);
    vt_model_close(model);
    free(pixels);
    free(p.x);
    free(p.y);
    free(p.weights);
    free(p.scores);
    return 0;
}
