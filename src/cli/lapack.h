/* SPDX-License-Identifier: MIT
 *
 * Linear algebra in double precision, by OpenBLAS or any other LAPACK that is installed: loaded
 * when a command needs it, as linking it would cost every command 4 ms. It works on one thread, so
 * that the bits of a result do not depend on how many there are.
 *
 * Matrices are Fortran's, column by column: one of [n][m] floats, row by row, is its own transpose
 * of m rows and n columns here. Arguments are those of the reference (netlib.org/lapack), with the
 * lengths of the strings behind them, as Fortran passes these.
 */
#ifndef CLI_LAPACK_H
#define CLI_LAPACK_H

#include <stdbool.h>
#include <stddef.h>

typedef struct lapack {
    /* C = alpha op(A) op(B) + beta C */
    void (*dgemm)(const char *op_a, const char *op_b, const int *m, const int *n, const int *k,
                  const double *alpha, const double *a, const int *lda, const double *b,
                  const int *ldb, const double *beta, double *c, const int *ldc, size_t, size_t);
    /* One triangle of C = alpha A A' + beta C, or of A' A */
    void (*dsyrk)(const char *triangle, const char *op, const int *n, const int *k,
                  const double *alpha, const double *a, const int *lda, const double *beta,
                  double *c, const int *ldc, size_t, size_t);
    /* All eigenvalues, ascending, and eigenvectors of a symmetric matrix, in its place */
    void (*dsyevd)(const char *job, const char *triangle, const int *n, double *a, const int *lda,
                   double *values, double *work, const int *work_size, int *int_work,
                   const int *int_work_size, int *info, size_t, size_t);
} lapack;

/* Returns an exit code, having complained in the name of `command`. */
int lapack_load(lapack *out, const char *command);

/* Of a symmetric matrix [n][n], of which the upper triangle (Fortran's) is looked at: its
 * eigenvalues, ascending, and in its place its eigenvectors, a row each. False when there are none
 * to be found. */
bool lapack_eigenvectors(const lapack *la, double *matrix, double *values, size_t n);

#endif
