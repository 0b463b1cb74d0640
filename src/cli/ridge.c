/* SPDX-License-Identifier: MIT
 *
 * With Z the rows sqrt(v_i) (x_i - mean), Y the like of the indicators, and s the eigenvalues of
 * Z'Z or of ZZ', whichever is smaller (the others are 0), and r = 1 / (s + lambda):
 *
 *     Z'Z = V s V':   fitted = (Z V) r (Z V)' Y     W' = V r (Z V)' Y
 *     ZZ' = U s U':   fitted = U (s r) U' Y         W' = Z' U r U' Y
 *
 * so that both are: fitted = A g B and W' = M r B, with B = A'Y and g = r or s r. What the
 * intercept adds to the diagonal of H is v_i / n.
 */
#include "ridge.h"

#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "calibrate.h"
#include "diagnose.h"

enum { STEPS_PER_DECADE = 3, LOWEST_DECADE = -6 }; /* up to 10^3 */

typedef struct work {
    const ridge_data *data;
    const lapack *la;
    double *v;          /* [n], sums to n */
    double *evidence;   /* [n]: v, but 0 where the sample is all of its class */
    size_t *sizes;      /* [K]: samples of the classes */
    double *mean;       /* [width], of x */
    double *class_mean; /* [K], of the indicators */
    double *z;          /* [n][width] */
    size_t rank;        /* min(n, width) */
    bool dual;
    double *s;      /* [rank] */
    double *r, *g;  /* [rank], at one strength */
    double *a;      /* [n][rank] */
    double *m;      /* [rank][width] */
    double *b;      /* [rank][K] */
    double *scaled; /* [rank][K] */
} work;

/* C (m rows, n columns, Fortran's way) = op(A) op(B), k being what is summed over; `ops` are the
 * two letters. */
static void multiply(const lapack *la, const char *ops, size_t m, size_t n, size_t k,
                     const double *a, size_t lda, const double *b, size_t ldb, double *c) {
    const double one = 1, zero = 0;
    int im = (int)m, in = (int)n, ik = (int)k, ia = (int)lda, ib = (int)ldb;
    la->dgemm(&ops[0], &ops[1], &im, &in, &ik, &one, a, &ia, b, &ib, &zero, c, &im, 1, 1);
}

/* ---- the samples --------------------------------------------------------------------------------
 */

static void weigh_classes(work *w) {
    const ridge_data *data = w->data;
    size_t present = 0;
    for (size_t i = 0; i < data->count; i++)
        present += w->sizes[data->class_of[i]]++ == 0;
    for (size_t i = 0; i < data->count; i++) {
        size_t size = w->sizes[data->class_of[i]];
        w->v[i] = (double)data->count / ((double)present * (double)size);
        w->evidence[i] = size > 1 ? w->v[i] : 0;
    }
}

/* Means, and the rows of z. */
static void centre(work *w) {
    const ridge_data *data = w->data;
    size_t n = data->count, width = data->width;
    for (size_t i = 0; i < n; i++) {
        w->class_mean[data->class_of[i]] += w->v[i] / (double)n;
        for (size_t j = 0; j < width; j++)
            w->mean[j] += w->v[i] * (double)data->x[i * width + j];
    }
    for (size_t j = 0; j < width; j++)
        w->mean[j] /= (double)n;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < width; j++)
            w->z[i * width + j] = sqrt(w->v[i]) * ((double)data->x[i * width + j] - w->mean[j]);
}

/* ---- the eigenvectors ---------------------------------------------------------------------------
 */

/* `vectors` are those of ZZ', a row each. */
static void keep_dual(work *w, const double *vectors) {
    size_t n = w->data->count, width = w->data->width;
    multiply(w->la, "NN", width, n, n, w->z, width, vectors, n, w->m);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            w->a[i * n + j] = vectors[j * n + i];
}

/* `vectors` are those of Z'Z. */
static void keep_primal(work *w, const double *vectors) {
    size_t n = w->data->count, width = w->data->width;
    multiply(w->la, "TN", width, n, width, vectors, width, w->z, width, w->a);
    memcpy(w->m, vectors, width * width * sizeof *vectors);
}

/* What rounding left of eigenvalues that are 0, of which ZZ' has one at least: beside a weak
 * strength it would be something. */
static void drop_rounding(double *ascending, size_t count) {
    double least = ascending[count - 1] * (double)count * DBL_EPSILON;
    for (size_t j = 0; j < count; j++)
        if (ascending[j] < least || ascending[j] < 0)
            ascending[j] = 0;
}

static bool decompose(work *w) {
    const double one = 1, zero = 0;
    int rank = (int)w->rank, width = (int)w->data->width;
    int other = (int)(w->dual ? w->data->width : w->data->count);
    double *gram = allocate(w->rank * w->rank, sizeof *gram);
    w->la->dsyrk("U", w->dual ? "T" : "N", &rank, &other, &one, w->z, &width, &zero, gram, &rank, 1,
                 1);
    bool found = lapack_eigenvectors(w->la, gram, w->s, w->rank);
    drop_rounding(w->s, w->rank);
    if (found && w->dual)
        keep_dual(w, gram);
    else if (found)
        keep_primal(w, gram);
    free(gram);
    return found;
}

/* B = A'Y, without Y: a row of it is sqrt(v) times the class's indicator less the classes' means.
 */
static void project_classes(work *w) {
    size_t classes = w->data->num_classes, rank = w->rank;
    double *all = allocate(rank, sizeof *all);
    for (size_t i = 0; i < w->data->count; i++)
        for (size_t j = 0; j < rank; j++) {
            double value = sqrt(w->v[i]) * w->a[i * rank + j];
            w->b[j * classes + w->data->class_of[i]] += value;
            all[j] += value;
        }
    for (size_t j = 0; j < rank; j++)
        for (size_t k = 0; k < classes; k++)
            w->b[j * classes + k] -= w->class_mean[k] * all[j];
    free(all);
}

/* ---- one strength -------------------------------------------------------------------------------
 */

static void set_strength(const work *w, double lambda) {
    for (size_t j = 0; j < w->rank; j++) {
        w->r[j] = 1 / (w->s[j] + lambda);
        w->g[j] = w->dual ? w->s[j] * w->r[j] : w->r[j];
    }
}

/* diag(by) B, into `scaled`. */
static void scale_classes(const work *w, const double *by) {
    size_t classes = w->data->num_classes;
    for (size_t j = 0; j < w->rank; j++)
        for (size_t k = 0; k < classes; k++)
            w->scaled[j * classes + k] = by[j] * w->b[j * classes + k];
}

/* The diagonal of H. */
static double leverage(const work *w, size_t i) {
    double sum = w->v[i] / (double)w->data->count;
    for (size_t j = 0; j < w->rank; j++) {
        double a = w->a[i * w->rank + j];
        sum += a * a * w->g[j];
    }
    return sum;
}

/* In place: a sample's fitted values, in the scale of Y, to what is predicted of it when it is left
 * out, its class keeping its part. */
static void leave_out(const work *w, size_t i, double *row) {
    size_t own = w->data->class_of[i], size = w->sizes[own];
    double root = sqrt(w->v[i]), others = 1 - leverage(w, i);
    for (size_t k = 0; k < w->data->num_classes; k++) {
        double y = k == own, residual = (y - w->class_mean[k] - row[k] / root) / others;
        row[k] = y - residual;
    }
    row[own] = size > 1 ? row[own] * (double)size / (double)(size - 1) : 0;
}

static void leave_each_out(const work *w, double lambda, double *left_out) {
    size_t classes = w->data->num_classes, count = w->data->count;
    set_strength(w, lambda);
    scale_classes(w, w->g);
    multiply(w->la, "NN", classes, count, w->rank, w->scaled, classes, w->a, w->rank, left_out);
    for (size_t i = 0; i < count; i++)
        leave_out(w, i, left_out + i * classes);
}

/* ---- the fit ------------------------------------------------------------------------------------
 */

static void choose_strength(ridge *out, const work *w) {
    double trace = 0;
    for (size_t j = 0; j < w->rank; j++)
        trace += w->s[j];
    out->unit = trace > 0 ? trace / (double)w->data->width : 1; /* all samples alike: any will do */
    const held_out samples = {out->left_out, w->data->class_of, w->evidence, w->data->count,
                              w->data->num_classes};
    calibration found = {.scale = LEAST_SCALE};
    for (size_t i = 0; i < RIDGE_STRENGTHS; i++) {
        out->strength[i] = pow(10, LOWEST_DECADE + (double)i / STEPS_PER_DECADE);
        leave_each_out(w, out->strength[i] * out->unit, out->left_out);
        found = calibrate(&samples, found.scale, 1e-3);
        out->loss[i] = found.loss;
        if (found.loss <= out->loss[out->chosen])
            out->chosen = i;
        if (w->data->step)
            w->data->step(w->data->user);
    }
    out->lambda = out->strength[out->chosen] * out->unit;
    leave_each_out(w, out->lambda, out->left_out);
    out->scale = calibrate(&samples, found.scale, 1e-9).scale;
}

/* W and b at the chosen strength. */
static void solve(ridge *out, const work *w) {
    size_t classes = out->num_classes, width = out->width;
    set_strength(w, out->lambda);
    scale_classes(w, w->r);
    multiply(w->la, "NT", width, classes, w->rank, w->m, width, w->scaled, classes, out->weight);
    for (size_t k = 0; k < classes; k++) {
        double sum = w->class_mean[k];
        for (size_t j = 0; j < width; j++)
            sum -= out->weight[k * width + j] * w->mean[j];
        out->bias[k] = sum;
    }
}

static void work_allocate(work *w) {
    const ridge_data *data = w->data;
    w->v = allocate(data->count, sizeof *w->v);
    w->evidence = allocate(data->count, sizeof *w->evidence);
    w->sizes = allocate(data->num_classes, sizeof *w->sizes);
    w->mean = allocate(data->width, sizeof *w->mean);
    w->class_mean = allocate(data->num_classes, sizeof *w->class_mean);
    w->z = allocate(data->count * data->width, sizeof *w->z);
    w->s = allocate(w->rank, sizeof *w->s);
    w->r = allocate(w->rank, sizeof *w->r);
    w->g = allocate(w->rank, sizeof *w->g);
    w->a = allocate(data->count * w->rank, sizeof *w->a);
    w->m = allocate(w->rank * data->width, sizeof *w->m);
    w->b = allocate(w->rank * data->num_classes, sizeof *w->b);
    w->scaled = allocate(w->rank * data->num_classes, sizeof *w->scaled);
}

static void work_free(work *w) {
    free(w->scaled);
    free(w->b);
    free(w->m);
    free(w->a);
    free(w->g);
    free(w->r);
    free(w->s);
    free(w->z);
    free(w->class_mean);
    free(w->mean);
    free(w->sizes);
    free(w->evidence);
    free(w->v);
}

const char *ridge_fit(ridge *out, const ridge_data *data, const lapack *la) {
    size_t n = data->count, classes = data->num_classes;
    *out = (ridge){.width = data->width, .num_classes = classes};
    if (!n || n > INT_MAX || data->width > INT_MAX || classes > INT_MAX)
        return "no samples, or more than LAPACK can count";
    out->weight = allocate(classes * data->width, sizeof *out->weight);
    out->bias = allocate(classes, sizeof *out->bias);
    out->left_out = allocate(n * classes, sizeof *out->left_out);
    work w = {
        .data = data, .la = la, .dual = n < data->width, .rank = n < data->width ? n : data->width};
    work_allocate(&w);
    weigh_classes(&w);
    centre(&w);
    bool found = decompose(&w);
    if (found) {
        project_classes(&w);
        choose_strength(out, &w);
        solve(out, &w);
    }
    work_free(&w);
    return found ? NULL : "LAPACK found no eigenvectors of the pictures' vectors";
}

void ridge_free(ridge *fit) {
    free(fit->left_out);
    free(fit->bias);
    free(fit->weight);
}

void ridge_apply(const ridge *fit, double *outputs, const float *x) {
    for (size_t k = 0; k < fit->num_classes; k++) {
        double sum = fit->bias[k];
        for (size_t j = 0; j < fit->width; j++)
            sum += fit->weight[k * fit->width + j] * (double)x[j];
        outputs[k] = sum;
    }
}
