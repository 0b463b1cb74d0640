/* SPDX-License-Identifier: MIT
 *
 * What the micro-tiles of kernels_gemm.inc.h and kernels_int8.inc.h share.
 *
 * Both multiply rows of A by a panel of B. The first tile of rows would wait for the panel to come
 * from memory. So all tiles of a panel fetch their share of the next one, a few lines at a time:
 * memory then has the time of a whole panel.
 */
#ifndef VT_KERNELS_TILE_H
#define VT_KERNELS_TILE_H

#include <stddef.h>

enum {
    LINE = 64,   /* bytes of a cache line */
    FETCHED = 4, /* rows of the next panel at a time */
    FEW_ROWS = 3 /* of A wait for B all the time: fetching more would not help */
};

/* How `tiles` tiles of a panel of k rows share in fetching the next: FETCHED rows each time that so
 * many rows of their own have been multiplied. A multiple of FETCHED, or all. */
static inline size_t fetch_every(size_t tiles, size_t k, const void *next) {
    return next ? tiles * FETCHED : k;
}

/* And how many rows of it that is for a tile. */
static inline size_t rows_fetched(size_t tiles, size_t k) {
    return (k + tiles * FETCHED - 1) / (tiles * FETCHED) * FETCHED;
}

/* Brings what is at p into the second-level cache. */
static inline void fetch(const unsigned char *p, size_t bytes) {
    for (size_t at = 0; at < bytes; at += LINE)
        __builtin_prefetch(p + at, 0, 2);
}

/* The same address, of which gcc no longer knows how it came about. It would keep a pointer for
 * each displacement, or what is at it in a register, and run out of them. */
static inline const void *forget_origin(const void *p) {
    __asm__("" : "+r"(p));
    return p;
}

#endif
