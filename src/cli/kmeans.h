/* SPDX-License-Identifier: MIT
 *
 * Spherical k-means (Dhillon & Modha 2001): vectors of length 1 in k groups, each vector in that
 * whose centre, the mean scaled to length 1, it has the largest cosine with.
 */
#ifndef CLI_KMEANS_H
#define CLI_KMEANS_H

#include "embeddings.h"

typedef struct kmeans {
    size_t k;
    size_t *cluster; /* [count], 0 to k - 1: the largest is 0 */
    double *cosine;  /* [count], to the cluster's centre */
    size_t *sizes;   /* [k] */
    size_t *medoids; /* [k]: the vector with the largest cosine, which has the least sum of
                      * distances (1 - cosine) to all of its cluster, too */
} kmeans;

/* The best of some runs, whose first centres are chosen as in k-means++ (Arthur & Vassilvitskii
 * 2007). `k` is 1 to the number of vectors. The same seed gives the same clusters. Shows a
 * bar unless `quiet`. */
void kmeans_run(kmeans *out, const embeddings *e, size_t k, uint64_t seed, bool quiet);
void kmeans_free(kmeans *k);

#endif
