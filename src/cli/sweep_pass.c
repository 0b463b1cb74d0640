/* SPDX-License-Identifier: MIT */
#include "sweep_pass.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "diagnose.h"
#include "progress.h"

void *shared_memory(size_t bytes) {
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

void shared_memory_free(void *memory, size_t bytes) {
    if (memory)
        munmap(memory, bytes);
}

/* ---- one against the reference -----------------------------------------------------------------
 */

static size_t row_floats(const sweep_pass *p) {
    return p->num_classes + vt_session_pooled_width(p->session);
}

static off_t row_offset(const sweep_pass *p) {
    return (off_t)(p->next * row_floats(p) * sizeof(float));
}

static size_t best_of(const float *logits, size_t n) {
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (logits[i] > logits[best])
            best = i;
    return best;
}

/* log p of a softmax. */
static void log_softmax(double *out, const float *logits, size_t n) {
    double most = (double)logits[best_of(logits, n)], sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += exp((double)logits[i] - most);
    for (size_t i = 0; i < n; i++)
        out[i] = (double)logits[i] - most - log(sum);
}

/* KL(from || to) = sum p log(p / q), in nats. */
static double divergence(sweep_pass *p, const float *from, const float *to) {
    double sum = 0;
    log_softmax(p->from, from, p->num_classes);
    log_softmax(p->to, to, p->num_classes);
    for (size_t i = 0; i < p->num_classes; i++)
        sum += exp(p->from[i]) * (p->from[i] - p->to[i]);
    return sum > 0 ? sum : 0; /* what is left of equal ones is rounding */
}

static double cosine(const float *a, const float *b, size_t n) {
    double dot = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < n; i++) {
        dot += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return dot / sqrt(aa * bb);
}

static void compare_with_reference(sweep_pass *p, outcome *o) {
    size_t bytes = row_floats(p) * sizeof(float), n = p->num_classes;
    if (p->native.file < 0 || !p->native.outcomes[p->next].done ||
        pread(p->native.file, p->row, bytes, row_offset(p)) != (ssize_t)bytes)
        return;
    o->compared = true;
    o->cosine =
        cosine(p->row + n, vt_session_pooled(p->session), vt_session_pooled_width(p->session));
    if (n == 0)
        return;
    const float *logits = vt_session_logits(p->session);
    o->agrees = best_of(p->row, n) == best_of(logits, n);
    o->kl = divergence(p, p->row, logits);
}

static vt_status keep_as_reference(sweep_pass *p, vt_error *err) {
    size_t n = p->num_classes, bytes = row_floats(p) * sizeof(float);
    if (n)
        memcpy(p->row, vt_session_logits(p->session), n * sizeof(float));
    memcpy(p->row + n, vt_session_pooled(p->session), bytes - n * sizeof(float));
    if (pwrite(p->write_to, p->row, bytes, row_offset(p)) == (ssize_t)bytes)
        return VT_OK;
    snprintf(err->message, sizeof err->message, "no room in the temporary folder");
    return VT_ERR_IO;
}

/* ---- one picture -------------------------------------------------------------------------------
 */

static void hold_against_label(const sweep_pass *p, outcome *o) {
    vt_prediction best[5];
    size_t label = p->set->items[p->next].label;
    size_t count = vt_model_top_k(p->model, vt_session_logits(p->session), best, 5);
    o->top1 = count > 0 && best[0].index == label;
    for (size_t i = 0; i < count; i++)
        o->top5 |= best[i].index == label;
}

static vt_status read_picture(sweep_pass *p, outcome *o, vt_error *err) {
    vt_image image = {0};
    char *path = picture_file(&p->set->items[p->next], p->asked_height, p->asked_width);
    vt_status status = vt_image_read(&image, path, p->image, err);
    double start = clock_ms();
    if (!status)
        status = vt_session_preprocess(p->session, p->pixels, &image, err);
    o->preprocess_ms = clock_ms() - start;
    vt_image_free(&image);
    free(path);
    return status;
}

static vt_status forward(sweep_pass *p, outcome *o, vt_error *err) {
    double start = clock_ms();
    vt_status status = vt_session_forward(p->session, p->pixels, 1, err);
    o->forward_ms = clock_ms() - start;
    return status;
}

/* A picture that can't be read is told of and left out; the others are still run. */
static vt_status run_picture(void *context, double *figures, vt_error *err) {
    sweep_pass *p = context;
    outcome *o = &p->outcomes[p->next];
    (void)figures;
    if (p->set->count && (p->failure->code = read_picture(p, o, p->failure)) != VT_OK) {
        p->next++;
        return VT_OK;
    }
    vt_status status = forward(p, o, err);
    if (!status && p->set->labelled)
        hold_against_label(p, o);
    if (!status && p->write_to >= 0)
        status = keep_as_reference(p, err);
    if (!status && p->set->count)
        compare_with_reference(p, o);
    o->done = status == VT_OK;
    p->next++;
    return status;
}

/* ---- the beginning -----------------------------------------------------------------------------
 */

/* Two passes for nothing: what is touched for the first time is slow. */
static vt_status warm_up(sweep_pass *p, vt_error *err) {
    vt_status status = vt_session_forward(p->session, p->pixels, 1, err);
    return status ? status : vt_session_forward(p->session, p->pixels, 1, err);
}

static vt_status begin(void *context, vt_error *err) {
    sweep_pass *p = context;
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    options.height = p->height;
    options.width = p->width;
    options.num_threads = p->threads;
    forget_peak();
    vt_status status = vt_session_create(&p->session, p->model, &options, err);
    if (status)
        return status;
    size_t floats = 3 * p->height * p->width;
    p->pixels = allocate(floats, sizeof *p->pixels);
    p->row = allocate(row_floats(p), sizeof *p->row);
    p->from = allocate(p->num_classes + 1, sizeof *p->from);
    p->to = allocate(p->num_classes + 1, sizeof *p->to);
    for (size_t i = 0; i < floats; i++) /* what pictures are after normalisation: -1 to 1 */
        p->pixels[i] = (float)(i * 2654435761u >> 8 & 255) / 127.5f - 1.0f;
    return warm_up(p, err);
}

const measured sweep_over_pictures = {begin, run_picture, 0};

/* ---- all of them -------------------------------------------------------------------------------
 */

static bool in_group(const sweep_pass *p, size_t picture, size_t group) {
    return group == p->set->num_groups || p->set->items[picture].group == group;
}

static double share(size_t part, size_t all) {
    return all ? (double)part / (double)all : (double)NAN;
}

void sweep_fill_effect(sweep_row *row, const sweep_pass *p, size_t group) {
    size_t done = 0, top1 = 0, top5 = 0, compared = 0, agreed = 0;
    double kl = 0, cosine = 0;
    for (size_t i = 0; i < p->num_runs; i++) {
        const outcome *o = &p->outcomes[i];
        if (!o->done || !in_group(p, i, group))
            continue;
        done++;
        top1 += o->top1;
        top5 += o->top5;
        compared += o->compared;
        agreed += o->agrees;
        kl += o->kl;
        cosine += o->cosine;
    }
    bool classes = p->num_classes > 0;
    row->images = (int64_t)done;
    row->top1 = share(top1, p->set->labelled ? done : 0);
    row->top5 = share(top5, p->set->labelled ? done : 0);
    row->agreement = share(agreed, classes ? compared : 0);
    row->kl = classes && compared ? kl / (double)compared : (double)NAN;
    row->cosine = compared ? cosine / (double)compared : (double)NAN;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void sweep_fill_latencies(sweep_row *row, const sweep_pass *p) {
    double *preprocess = allocate(p->num_runs, sizeof *preprocess), sum = 0;
    double *forward = allocate(p->num_runs, sizeof *forward);
    size_t count = 0;
    for (size_t i = 0; i < p->num_runs; i++)
        if (p->outcomes[i].done) {
            preprocess[count] = p->outcomes[i].preprocess_ms;
            forward[count] = p->outcomes[i].forward_ms;
            sum += preprocess[count] + forward[count];
            count++;
        }
    qsort(preprocess, count, sizeof *preprocess, ascending);
    qsort(forward, count, sizeof *forward, ascending);
    size_t pictures = p->set->count ? count : 0; /* noise needs no preprocessing */
    row->preprocess_median_ms = percentile(preprocess, pictures, 50);
    row->preprocess_p95_ms = percentile(preprocess, pictures, 95);
    row->forward_median_ms = percentile(forward, count, 50);
    row->forward_p95_ms = percentile(forward, count, 95);
    row->images_per_s = count ? 1e3 * (double)count / sum : (double)NAN;
    free(preprocess);
    free(forward);
}
