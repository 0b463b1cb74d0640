/* SPDX-License-Identifier: MIT
 *
 * vitrine as one of the contenders of compare.py, which says what peer.py does:
 *
 *     vitrine_peer PRECISION FOLDER THREADS
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vitrine.h"

typedef struct peer {
    vt_model *model;
    vt_session *session;
    vt_tensor_file *input;
    const vt_tensor *pixels;
} peer;

static void die(const char *message) {
    fprintf(stderr, "vitrine_peer: %s\n", message);
    exit(1);
}

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

static void open_model(peer *p, const char *precision, const char *folder) {
    vt_error err = {0};
    vt_model_options options = VT_MODEL_OPTIONS_INIT;
    options.precision = precision;
    if (vt_model_open(&p->model, folder, &options, &err))
        die(err.message);
}

static void open_input(peer *p, const char *folder) {
    char path[4096];
    vt_error err = {0};
    snprintf(path, sizeof path, "%s/pixels.safetensors", folder);
    if (vt_tensor_file_open(&p->input, path, &err))
        die(err.message);
    p->pixels = vt_tensor_file_find(p->input, "pixels");
    if (!p->pixels || p->pixels->ndim != 4 || p->pixels->dtype != VT_DTYPE_F32)
        die("expected a tensor pixels, F32 [N, 3, H, W]");
}

static void open_session(peer *p, size_t threads) {
    vt_error err = {0};
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    options.batch = p->pixels->shape[0];
    options.height = p->pixels->shape[2];
    options.width = p->pixels->shape[3];
    options.num_threads = threads;
    if (vt_session_create(&p->session, p->model, &options, &err))
        die(err.message);
}

static void run(const peer *p) {
    vt_error err = {0};
    if (vt_session_forward(p->session, p->pixels->data, p->pixels->shape[0], &err))
        die(err.message);
}

/* The logits, or what a model without a classifier ends with. */
static void write_scores(const peer *p, const char *path) {
    vt_error err = {0};
    vt_model_info info;
    run(p);
    vt_model_describe(&info, p->model);
    const float *logits = vt_session_logits(p->session);
    size_t width = logits ? info.num_classes : vt_session_pooled_width(p->session);
    vt_tensor scores = {.dtype = VT_DTYPE_F32,
                        .ndim = 2,
                        .shape = {p->pixels->shape[0], width},
                        .data = logits ? logits : vt_session_pooled(p->session),
                        .size = p->pixels->shape[0] * width * sizeof(float)};
    if (vt_npy_write(path, &scores, &err))
        die(err.message);
}

int main(int argc, char **argv) {
    char line[4096 + 16];
    peer p = {0};
    if (argc != 4)
        die("usage: vitrine_peer f32 FOLDER THREADS");
    open_model(&p, argv[1], argv[2]);
    open_input(&p, argv[2]);
    open_session(&p, strtoul(argv[3], NULL, 10));
    run(&p);
    printf("ready %s\n", vt_version());
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = '\0';
        if (strcmp(line, "run") == 0) {
            double start = now_ms();
            run(&p);
            printf("%.6f\n", now_ms() - start);
        } else if (strncmp(line, "scores ", 7) == 0) {
            write_scores(&p, line + 7);
            puts("done");
        } else {
            die("expected run or scores FILE");
        }
        fflush(stdout);
    }
    vt_session_destroy(p.session);
    vt_tensor_file_close(p.input);
    vt_model_close(p.model);
    return 0;
}
