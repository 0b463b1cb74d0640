/* SPDX-License-Identifier: MIT */
#include "kmeans.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose.h"
#include "progress.h"

enum { NUM_RUNS = 10, MOST_STEPS = 300 };

typedef struct run {
    const embeddings *e;
    size_t k;
    embeddings centres; /* without paths */
    size_t *cluster;    /* [count] */
    double *cosine;     /* [count] */
    double *sums;       /* [k][width] */
    uint64_t random;
} run;

/* SplitMix64 (Steele, Lea & Flood 2014); a number from 0 to below 1. */
static double next_random(uint64_t *state) {
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return (double)(z >> 11) / 9007199254740992.0;
}

static void set_centre(run *r, size_t cluster, size_t index) {
    size_t width = r->e->width;
    memcpy(r->centres.x + cluster * width, r->e->x + index * width, width * sizeof(float));
}

/* Which vector is as far along a line of all distances to the nearest centre; one that is no centre
 * itself where there is any such. */
static size_t draw_by_distance(run *r, const double *distance) {
    double total = 0, at;
    size_t last = 0;
    for (size_t i = 0; i < r->e->count; i++)
        total += distance[i];
    at = next_random(&r->random) * total;
    for (size_t i = 0; i < r->e->count; i++) {
        if (distance[i] > 0)
            last = i;
        at -= distance[i];
        if (at < 0)
            return i;
    }
    return last;
}

/* The squared distance of vectors of length 1 is 2 - 2 cosine. */
static void choose_centres(run *r) {
    double *distance = allocate(r->e->count, sizeof *distance);
    size_t first = (size_t)(next_random(&r->random) * (double)r->e->count);
    set_centre(r, 0, first);
    for (size_t i = 0; i < r->e->count; i++)
        distance[i] = INFINITY;
    for (size_t c = 1; c < r->k; c++) {
        for (size_t i = 0; i < r->e->count; i++)
            distance[i] =
                fmin(distance[i], fmax(0, 1 - embeddings_cosine(r->e, i, &r->centres, c - 1)));
        set_centre(r, c, draw_by_distance(r, distance));
    }
    free(distance);
}

/* Each to its nearest centre, the first of equals. */
static void assign(run *r) {
    for (size_t i = 0; i < r->e->count; i++) {
        size_t best = 0;
        double most = -INFINITY;
        for (size_t c = 0; c < r->k; c++) {
            double cosine = embeddings_cosine(r->e, i, &r->centres, c);
            if (cosine > most) {
                most = cosine;
                best = c;
            }
        }
        r->cluster[i] = best;
        r->cosine[i] = most;
    }
}

static size_t *count_sizes(const run *r) {
    size_t *sizes = allocate(r->k, sizeof *sizes);
    for (size_t i = 0; i < r->e->count; i++)
        sizes[r->cluster[i]]++;
    return sizes;
}

/* A cluster that lost all its vectors takes the one that is farthest from its centre, out of those
 * that are not alone. */
static void fill_empty(run *r) {
    size_t *sizes = count_sizes(r);
    for (size_t c = 0; c < r->k; c++) {
        size_t farthest = SIZE_MAX;
        for (size_t i = 0; i < r->e->count && !sizes[c]; i++)
            if (sizes[r->cluster[i]] > 1 &&
                (farthest == SIZE_MAX || r->cosine[i] < r->cosine[farthest]))
                farthest = i;
        if (farthest == SIZE_MAX)
            continue;
        sizes[r->cluster[farthest]]--;
        sizes[c]++;
        r->cluster[farthest] = c;
        r->cosine[farthest] = 1;
        set_centre(r, c, farthest);
    }
    free(sizes);
}

/* The means, scaled to length 1. Vectors that cancel one another leave the centre where it was. */
static void move_centres(run *r) {
    size_t width = r->e->width;
    memset(r->sums, 0, r->k * width * sizeof *r->sums);
    for (size_t i = 0; i < r->e->count; i++)
        for (size_t j = 0; j < width; j++)
            r->sums[r->cluster[i] * width + j] += (double)r->e->x[i * width + j];
    for (size_t c = 0; c < r->k; c++) {
        double length = 0;
        for (size_t j = 0; j < width; j++)
            length += r->sums[c * width + j] * r->sums[c * width + j];
        for (size_t j = 0; j < width && length > 0; j++)
            r->centres.x[c * width + j] = (float)(r->sums[c * width + j] / sqrt(length));
    }
}

static double sum_cosines(run *r) {
    double sum = 0;
    for (size_t i = 0; i < r->e->count; i++) {
        r->cosine[i] = embeddings_cosine(r->e, i, &r->centres, r->cluster[i]);
        sum += r->cosine[i];
    }
    return sum;
}

/* Until nothing gets better. Returns the sum of cosines. */
static double run_once(run *r) {
    double sum = -INFINITY, last;
    size_t step = 0;
    choose_centres(r);
    do {
        last = sum;
        assign(r);
        fill_empty(r);
        move_centres(r);
        sum = sum_cosines(r);
    } while (sum > last && ++step < MOST_STEPS);
    return sum;
}

/* ---- the result --------------------------------------------------------------------------------
 */

typedef struct rank {
    size_t cluster, size, first;
} rank;

static int by_size(const void *a, const void *b) {
    const rank *x = a, *y = b;
    if (x->size != y->size)
        return x->size > y->size ? -1 : 1;
    return x->first < y->first ? -1 : 1;
}

/* The largest first; of equals that with the first vector. */
static void number_clusters(kmeans *out, size_t count) {
    rank *ranks = allocate(out->k, sizeof *ranks);
    size_t *number = allocate(out->k, sizeof *number);
    for (size_t c = 0; c < out->k; c++)
        ranks[c].cluster = c;
    for (size_t i = count; i-- > 0;) {
        ranks[out->cluster[i]].size++;
        ranks[out->cluster[i]].first = i;
    }
    qsort(ranks, out->k, sizeof *ranks, by_size);
    for (size_t c = 0; c < out->k; c++)
        number[ranks[c].cluster] = c;
    for (size_t i = 0; i < count; i++)
        out->cluster[i] = number[out->cluster[i]];
    free(number);
    free(ranks);
}

static void find_medoids(kmeans *out, size_t count) {
    out->sizes = allocate(out->k, sizeof *out->sizes);
    out->medoids = allocate(out->k, sizeof *out->medoids);
    for (size_t i = 0; i < count; i++) {
        size_t c = out->cluster[i];
        if (out->sizes[c]++ == 0 || out->cosine[i] > out->cosine[out->medoids[c]])
            out->medoids[c] = i;
    }
}

void kmeans_run(kmeans *out, const embeddings *e, size_t k, uint64_t seed, bool quiet) {
    progress bar;
    run r = {.e = e, .k = k, .centres = {.width = e->width, .count = k}, .random = seed};
    double most = -INFINITY;
    *out = (kmeans){.k = k};
    out->cluster = allocate(e->count, sizeof *out->cluster);
    out->cosine = allocate(e->count, sizeof *out->cosine);
    r.cluster = allocate(e->count, sizeof *r.cluster);
    r.cosine = allocate(e->count, sizeof *r.cosine);
    r.centres.x = allocate(k * e->width, sizeof *r.centres.x);
    r.sums = allocate(k * e->width, sizeof *r.sums);
    progress_begin(&bar, NUM_RUNS * e->count, quiet);
    bar.label = "of the groups";
    for (size_t i = 0; i < NUM_RUNS; i++) {
        progress_show(&bar, i * e->count);
        double sum = run_once(&r);
        if (sum > most) {
            most = sum;
            memcpy(out->cluster, r.cluster, e->count * sizeof *r.cluster);
            memcpy(out->cosine, r.cosine, e->count * sizeof *r.cosine);
        }
    }
    progress_hide(&bar);
    number_clusters(out, e->count);
    find_medoids(out, e->count);
    free(r.sums);
    free(r.centres.x);
    free(r.cosine);
    free(r.cluster);
}

void kmeans_free(kmeans *k) {
    free(k->cluster);
    free(k->cosine);
    free(k->sizes);
    free(k->medoids);
    *k = (kmeans){0};
}
