/* SPDX-License-Identifier: MIT
 *
 * A linear classifier by regularised least squares (ridge regression) on indicators of the classes:
 *
 *     minimise  sum_i v_i |y_i - W x_i - b|^2  +  lambda |W|^2
 *
 * y_i is 1 at the sample's class and 0 elsewhere; b is not regularised. v_i makes all classes weigh
 * the same, however many samples they have, and sums to n. What the fit to all other samples says
 * of one takes no further fit: the residual is e_i / (1 - h_ii), H being the matrix that takes y to
 * its fitted values (Allen 1974; Hastie, Tibshirani and Friedman, The Elements of Statistical
 * Learning, 3.4 and 7.10). The strength is the one whose scores lose least on samples that are left
 * out. docs/FIT.md derives it all.
 */
#ifndef CLI_RIDGE_H
#define CLI_RIDGE_H

#include <stddef.h>

#include "lapack.h"

enum { RIDGE_STRENGTHS = 28 };

typedef struct ridge_data {
    const float *x;         /* [count][width] */
    const size_t *class_of; /* [count], each less than num_classes */
    size_t count, width, num_classes;
    void (*step)(void *user); /* called RIDGE_STRENGTHS times in a fit; NULL: nobody asks */
    void *user;
} ridge_data;

typedef struct ridge {
    double *weight; /* [num_classes][width] */
    double *bias;   /* [num_classes] */
    /* [count][num_classes]: each sample's outputs by the fit to the others, in which its class
     * keeps its part, the indicators of those left being n_c / (n_c - 1). Left as they are, the
     * class of the sample in question alone would be the weaker, and with few samples a class never
     * win. */
    double *left_out;
    double scale; /* softmax(scale * outputs) are probabilities */
    size_t width, num_classes;
    double lambda;
    /* All strengths that were tried, ascending, and what scores then lose on samples that are left
     * out (calibrate.h; those that are all of their class do not count). Strengths are in units of
     * the mean variance of a column of x, times n, so that they do not depend on the scale of x:
     * lambda = strength * unit. */
    double strength[RIDGE_STRENGTHS], loss[RIDGE_STRENGTHS];
    double unit;
    size_t chosen; /* the index of the least loss; of equals, the strongest */
} ridge;

/* Fits. NULL, or the reason why it could not be done: a line, without the subject. Values of x must
 * be finite. A class without samples has outputs of 0; as all outputs sum to 1, another's is more.
 */
const char *ridge_fit(ridge *out, const ridge_data *data, const lapack *la);
void ridge_free(ridge *fit);

/* The outputs [num_classes] for one vector. */
void ridge_apply(const ridge *fit, double *outputs, const float *x);

#endif
