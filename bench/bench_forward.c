/* SPDX-License-Identifier: MIT
 *
 * A whole forward pass of a ViT with random weights, against the time that OpenBLAS takes for the
 * matrix products of that pass and nothing else: no softmax, norm, GELU, bias or memory traffic
 * between them.
 *
 *     bench_forward [model [side [batch [threads [runs [kernels]]]]]]
 *     bench_forward b16 224 1 2 21
 *
 * model: ti16, s16, b16, l16. The two take turns; figures are medians of the runs, in milliseconds.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cblas.h>

#include "vitrine.h"

typedef struct vit {
    const char *name;
    size_t width, depth, num_heads, patch;
} vit;

static const vit models[] = {
    {"ti16", 192, 12, 3, 16},
    {"s16", 384, 12, 6, 16},
    {"b16", 768, 12, 12, 16},
    {"l16", 1024, 24, 16, 16},
};

enum { MAX_TENSORS = 512, MAX_RUNS = 1001, NUM_CLASSES = 1000 };

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

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* ---- a checkpoint ------------------------------------------------------------------------------
 */

typedef struct checkpoint {
    vt_tensor tensors[MAX_TENSORS];
    char names[MAX_TENSORS][64];
    size_t count;
} checkpoint;

/* Values of a size that a trained model's have, so that nothing overflows or goes denormal. */
static void add(checkpoint *c, const char *name, size_t a, size_t b) {
    size_t n = a * (b ? b : 1);
    float *data = allocate(n);
    unsigned state = 1 + (unsigned)c->count;
    for (size_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        data[i] = ((float)(state >> 8) / 16777216.0f - 0.5f) * (b ? 0.06f : 2.0f);
    }
    vt_tensor *tensor = &c->tensors[c->count];
    snprintf(c->names[c->count], sizeof c->names[0], "%s", name);
    *tensor = (vt_tensor){.name = c->names[c->count],
                          .dtype = VT_DTYPE_F32,
                          .ndim = b ? 2 : 1,
                          .shape = {a, b},
                          .data = data,
                          .size = n * sizeof(float)};
    c->count++;
}

static void add_layer(checkpoint *c, const char *prefix, const char *layer, size_t n, size_t k) {
    char name[64];
    snprintf(name, sizeof name, "%s%s.weight", prefix, layer);
    add(c, name, n, k);
    snprintf(name, sizeof name, "%s%s.bias", prefix, layer);
    add(c, name, n, 0);
}

static void make_tensors(checkpoint *c, const vit *model, size_t grid) {
    size_t d = model->width;
    add(c, "cls_token", 1, d);
    add(c, "pos_embed", grid * grid + 1, d);
    add_layer(c, "", "patch_embed.proj", d, 3 * model->patch * model->patch);
    vt_tensor *kernel = &c->tensors[c->count - 2];
    *kernel = (vt_tensor){.name = kernel->name,
                          .ndim = 4,
                          .data = kernel->data,
                          .size = kernel->size,
                          .dtype = VT_DTYPE_F32,
                          .shape = {d, 3, model->patch, model->patch}};
    for (size_t block = 0; block < model->depth; block++) {
        char prefix[32];
        snprintf(prefix, sizeof prefix, "blocks.%zu.", block);
        add_layer(c, prefix, "norm1", d, 0);
        add_layer(c, prefix, "attn.qkv", 3 * d, d);
        add_layer(c, prefix, "attn.proj", d, d);
        add_layer(c, prefix, "norm2", d, 0);
        add_layer(c, prefix, "mlp.fc1", 4 * d, d);
        add_layer(c, prefix, "mlp.fc2", d, 4 * d);
    }
    add_layer(c, "", "norm", d, 0);
    add_layer(c, "", "head", NUM_CLASSES, d);
}

/* Opens the model from files that are gone again afterwards. */
static vt_model *open_model(const vit *model, size_t side, const char *kernels) {
    static checkpoint c;
    char folder[] = "/tmp/bench_forward.XXXXXX", config[64], weights[64];
    if (!mkdtemp(folder))
        die("no temporary folder");
    snprintf(config, sizeof config, "%s/config.json", folder);
    snprintf(weights, sizeof weights, "%s/model.safetensors", folder);
    make_tensors(&c, model, side / model->patch);
    FILE *file = fopen(config, "w");
    if (!file)
        die("cannot write the configuration");
    fprintf(file,
            "{\"architecture\": \"vit_base_patch16_224\", \"num_classes\": %d, \"model_args\": "
            "{\"img_size\": %zu, \"num_heads\": %zu}, \"pretrained_cfg\": {}}",
            NUM_CLASSES, side, model->num_heads);
    fclose(file);
    vt_error err = {0};
    vt_model *out = NULL;
    vt_model_options options = VT_MODEL_OPTIONS_INIT;
    options.kernels = kernels;
    vt_status status = vt_tensor_file_write(weights, c.tensors, c.count, &err);
    double start = now_ms();
    if (!status)
        status = vt_model_open(&out, folder, &options, &err);
    printf("opened and packed in %.0f ms\n", now_ms() - start);
    remove(weights);
    remove(config);
    rmdir(folder);
    if (status)
        die(err.message);
    for (size_t i = 0; i < c.count; i++)
        free((void *)c.tensors[i].data);
    return out;
}

/* ---- the products alone ------------------------------------------------------------------------
 */

typedef struct products {
    size_t rows, tokens, batch, patches;
    float *x, *y, *weights, *scores;
} products;

/* Y[m][n] = X[m][k] W[n][k]^T, as torch's Linear has it. */
static void blas_linear(const products *p, size_t m, size_t n, size_t k) {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)m, (blasint)n, (blasint)k, 1.0f,
                p->x, (blasint)k, p->weights, (blasint)k, 0.0f, p->y, (blasint)n);
}

static void blas_attention(const products *p, size_t num_heads, size_t head_dim) {
    blasint t = (blasint)p->tokens, d = (blasint)head_dim, ld = (blasint)(3 * num_heads * head_dim);
    for (size_t i = 0; i < p->batch * num_heads; i++) {
        const float *head = p->x + i % num_heads * head_dim;
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, t, t, d, 1.0f, head, ld, head, ld,
                    0.0f, p->scores, t);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, t, d, t, 1.0f, p->scores, t, head,
                    ld, 0.0f, p->y, d);
    }
}

static void run_products(const products *p, const vit *model) {
    size_t d = model->width;
    blas_linear(p, p->batch * p->patches, d, 3 * model->patch * model->patch);
    for (size_t block = 0; block < model->depth; block++) {
        blas_linear(p, p->rows, 3 * d, d);
        blas_attention(p, model->num_heads, d / model->num_heads);
        blas_linear(p, p->rows, d, d);
        blas_linear(p, p->rows, 4 * d, d);
        blas_linear(p, p->rows, d, 4 * d);
    }
    blas_linear(p, p->batch, NUM_CLASSES, d);
}

static products make_products(const vit *model, size_t side, size_t batch) {
    size_t d = model->width, patches = (side / model->patch) * (side / model->patch);
    products p = {.tokens = patches + 1, .batch = batch, .patches = patches};
    p.rows = batch * p.tokens;
    p.x = allocate(p.rows * 4 * d);
    p.y = allocate(p.rows * 4 * d + NUM_CLASSES * batch);
    p.weights = allocate(4 * d * d + NUM_CLASSES * d);
    p.scores = allocate(p.tokens * p.tokens);
    for (size_t i = 0; i < p.rows * 4 * d; i++)
        p.x[i] = (float)(i % 97) * 0.01f;
    for (size_t i = 0; i < 4 * d * d + NUM_CLASSES * d; i++)
        p.weights[i] = (float)(i % 89) * 0.01f;
    return p;
}

/* ---- turns -------------------------------------------------------------------------------------
 */

int main(int argc, char **argv) {
    const vit *model = &models[2];
    for (size_t i = 0; argc > 1 && i < sizeof models / sizeof models[0]; i++)
        if (strcmp(argv[1], models[i].name) == 0)
            model = &models[i];
    size_t side = argc > 2 ? strtoul(argv[2], NULL, 10) : 224;
    size_t batch = argc > 3 ? strtoul(argv[3], NULL, 10) : 1;
    size_t threads = argc > 4 ? strtoul(argv[4], NULL, 10) : 2;
    size_t runs = argc > 5 ? strtoul(argv[5], NULL, 10) : 21;
    if (side < model->patch || batch == 0 || runs == 0 || runs > MAX_RUNS)
        die("usage: bench_forward [model [side [batch [threads [runs [kernels]]]]]]");

    vt_model *vitrine = open_model(model, side, argc > 6 ? argv[6] : NULL);
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    options.batch = batch;
    options.num_threads = threads;
    vt_error err = {0};
    vt_session *session = NULL;
    if (vt_session_create(&session, vitrine, &options, &err))
        die(err.message);
    openblas_set_num_threads((int)threads);

    size_t floats = batch * 3 * side * side;
    float *pixels = allocate(floats);
    for (size_t i = 0; i < floats; i++)
        pixels[i] = (float)(i % 255) / 127.5f - 1.0f;
    products p = make_products(model, side, batch);

    static double ours[MAX_RUNS], blas[MAX_RUNS], ratios[MAX_RUNS];
    for (size_t run = 0; run <= runs; run++) { /* the first is a warm-up */
        double start = now_ms();
        if (vt_session_forward(session, pixels, batch, &err))
            die(err.message);
        double middle = now_ms();
        run_products(&p, model);
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

    vt_model_info info;
    vt_model_plan plan;
    vt_model_describe(&info, vitrine);
    vt_model_plan_forward(&plan, vitrine, batch, side, side, threads, &err);
    double gflop = plan.flops * (double)batch / 1e9;
    printf("%s at %zu, batch %zu, %zu threads, kernels %s, OpenBLAS %s; %.1f GFLOP, workspace %.1f "
           "MiB\n",
           model->name, side, batch, threads, info.kernels, openblas_get_corename(), gflop,
           (double)plan.workspace_bytes / 1048576);
    printf("%-22s %9s %9s %9s %10s\n", "", "min ms", "median", "max", "GFLOP/s");
    printf("%-22s %9.2f %9.2f %9.2f %10.1f\n", "vitrine, forward pass", ours[0], ours[runs / 2],
           ours[runs - 1], gflop / ours[runs / 2] * 1e3);
    printf("%-22s %9.2f %9.2f %9.2f %10.1f\n", "OpenBLAS, products", blas[0], blas[runs / 2],
           blas[runs - 1], gflop / blas[runs / 2] * 1e3);
    printf("%-22s %9.3f %9.3f %9.3f\n", "ratio, run by run", ratios[0], ratios[runs / 2],
           ratios[runs - 1]);
    vt_session_destroy(session);
    vt_model_close(vitrine);
    free(pixels);
    free(p.x);
    free(p.y);
    free(p.weights);
    free(p.scores);
    return 0;
}
