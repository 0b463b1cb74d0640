/* SPDX-License-Identifier: MIT */
#include "nn/patch_resize.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "nn/interpolate.h"

/* The resize is separable, B = A (x) A with A[to][from] along one axis, and so is its
 * pseudo-inverse: pinv(B^T) = P (x) P with P = pinv(A^T), [to][from]. With full rank, P = A (A^T
 * A)^-1 when enlarging and (A A^T)^-1 A when shrinking: a small symmetric positive definite system.
 */

/* The matrix A of one axis, row-major [to][from]. */
static vt_status axis_matrix(double *a, size_t to, size_t from, vt_error *err) {
    vt_resample_axis axis;
    vt_status status =
        vt_resample_axis_create(&axis, from, to, VT_POS_RESIZE_BICUBIC_ANTIALIAS, err);
    if (status)
        return status;
    memset(a, 0, to * from * sizeof *a);
    for (size_t i = 0; i < to; i++)
        for (size_t t = 0; t < axis.taps[i]; t++)
            a[i * from + axis.first[i] + t] = axis.weights[i * axis.max_taps + t];
    vt_resample_axis_free(&axis);
    return VT_OK;
}

/* g[n][n] = the inner products of A's columns (enlarging, n = from) or rows (shrinking, n = to). */
static void gram_matrix(double *g, const double *a, size_t to, size_t from) {
    bool columns = to >= from;
    size_t n = columns ? from : to, terms = columns ? to : from;
    size_t along = columns ? from : 1, across = columns ? 1 : from;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) {
            double sum = 0;
            for (size_t t = 0; t < terms; t++)
                sum += a[t * along + i * across] * a[t * along + j * across];
            g[i * n + j] = sum;
        }
    }
}

/* g = L L^T in place, its lower half; false when g is not positive definite. */
static bool cholesky(double *g, size_t n) {
    for (size_t j = 0; j < n; j++) {
        for (size_t i = j; i < n; i++) {
            double sum = g[i * n + j];
            for (size_t k = 0; k < j; k++)
                sum -= g[i * n + k] * g[j * n + k];
            if (i == j && sum <= 0)
                return false;
            g[i * n + j] = i == j ? sqrt(sum) : sum / g[j * n + j];
        }
    }
    return true;
}

/* x[n], with the given stride, = (L L^T)^-1 x. */
static void solve(const double *l, double *x, size_t n, size_t stride) {
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < i; k++)
            x[i * stride] -= l[i * n + k] * x[k * stride];
        x[i * stride] /= l[i * n + i];
    }
    for (size_t i = n; i-- > 0;) {
        for (size_t k = i + 1; k < n; k++)
            x[i * stride] -= l[k * n + i] * x[k * stride];
        x[i * stride] /= l[i * n + i];
    }
}

/* A becomes P. */
static vt_status invert(double *a, double *gram, size_t to, size_t from, vt_error *err) {
    gram_matrix(gram, a, to, from);
    size_t n = to >= from ? from : to;
    if (!cholesky(gram, n))
        return vt_fail(err, VT_ERR_UNSUPPORTED, "patches of %zu cannot be resized to %zu", from,
                       to);
    if (to >= from) /* each row of P is (A^T A)^-1 times a row of A */
        for (size_t i = 0; i < to; i++)
            solve(gram, a + i * from, n, 1);
    else /* each column is (A A^T)^-1 times a column of A */
        for (size_t j = 0; j < from; j++)
            solve(gram, a + j, n, from);
    return VT_OK;
}

/* out[to][to] = P in[from][from] P^T; `half` holds [to][from]. */
static void apply(float *out, const float *in, const double *p, double *half, size_t to,
                  size_t from) {
    for (size_t i = 0; i < to; i++) {
        for (size_t x = 0; x < from; x++) {
            double sum = 0;
            for (size_t y = 0; y < from; y++)
                sum += p[i * from + y] * (double)in[y * from + x];
            half[i * from + x] = sum;
        }
    }
    for (size_t i = 0; i < to; i++) {
        for (size_t j = 0; j < to; j++) {
            double sum = 0;
            for (size_t x = 0; x < from; x++)
                sum += half[i * from + x] * p[j * from + x];
            out[i * to + j] = (float)sum;
        }
    }
}

vt_status vt_patch_resize(float *out, size_t to, const float *in, size_t from, size_t count,
                          vt_error *err) {
    if (to == from) {
        memcpy(out, in, count * from * from * sizeof *out);
        return VT_OK;
    }
    size_t n = to > from ? from : to;
    double *p = vt_malloc(to * from, sizeof *p), *half = vt_malloc(to * from, sizeof *half);
    double *gram = vt_malloc(n * n, sizeof *gram);
    vt_status status = p && half && gram ? axis_matrix(p, to, from, err)
                                         : vt_fail_memory(err, "a patch resize", to * from);
    if (!status)
        status = invert(p, gram, to, from, err);
    for (size_t i = 0; i < count && !status; i++)
        apply(out + i * to * to, in + i * from * from, p, half, to, from);
    vt_free(gram);
    vt_free(half);
    vt_free(p);
    return status;
}
