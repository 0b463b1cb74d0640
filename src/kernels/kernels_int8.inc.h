/* SPDX-License-Identifier: MIT
 *
 * int8.h's functions in terms of a vec header, included by one file an instruction set, which first
 * defines
 *
 *     enum { INT8_ROWS = ..., INT8_VECS = ..., INT8_DEPTH = ..., INT8_PAIRS = ... };
 *
 * the micro-tile, INT8_ROWS <= 8, INT8_VECS <= 3; INT8_DEPTH groups of k, up to 4, are multiplied
 * between two tests of the loop, two at once with INT8_PAIRS.
 */
#include "kernels/tile.h"

enum { INT8_NR = INT8_VECS * VEC_WIDTH, INT8_ROW = INT8_NR * VT_INT8_GROUP /* bytes of B */ };

typedef struct int8_operands {
    const uint8_t *a; /* [rows][groups][4] */
    size_t lda;
    const int8_t *b; /* [groups][INT8_NR][4] */
    int32_t *c;      /* [rows][cols] */
    size_t ldc;
    size_t cols, groups;
    bool accumulate;
    const unsigned char *next; /* what to fetch of the next panel; or NULL */
    size_t fetch_every;        /* groups */
} int8_operands;

static inline void store_int8_sum(int32_t *c, veci sum, size_t cols, bool accumulate) {
    if (cols >= VEC_WIDTH)
        veci_store(c, accumulate ? veci_add(sum, veci_load(c)) : sum);
    else
        veci_store_first(c, accumulate ? veci_add(sum, veci_load_first(c, cols)) : sum, cols);
}

/* acc += A[rows][one group] B[one group] */
static inline __attribute__((always_inline)) void add_group(const size_t rows,
                                                            veci acc[INT8_ROWS][INT8_VECS],
                                                            const uint8_t *a, size_t lda,
                                                            const int8_t *b) {
    veci bv[INT8_VECS];
#pragma GCC unroll 3
    for (size_t v = 0; v < INT8_VECS; v++)
        bv[v] = veci_load(b + v * sizeof(veci));
#pragma GCC unroll 8
    for (size_t r = 0; r < rows; r++) {
        veci u = veci_broadcast_group(a + r * lda);
#pragma GCC unroll 3
        for (size_t v = 0; v < INT8_VECS; v++)
            acc[r][v] = veci_dot4(acc[r][v], u, bv[v]);
    }
}

/* The same for two groups. B is read from the first-level cache for each row of A: there are not
 * registers enough for it. */
static inline __attribute__((always_inline)) void add_pair(const size_t rows,
                                                           veci acc[INT8_ROWS][INT8_VECS],
                                                           const uint8_t *a, size_t lda,
                                                           const int8_t *b) {
#pragma GCC unroll 8
    for (size_t r = 0; r < rows; r++) {
        veci first = veci_broadcast_group(a + r * lda);
        veci second = veci_broadcast_group(a + r * lda + VT_INT8_GROUP);
        b = forget_origin(b);
#pragma GCC unroll 3
        for (size_t v = 0; v < INT8_VECS; v++)
            acc[r][v] = veci_dot8(acc[r][v], first, veci_load(b + v * sizeof(veci)), second,
                                  veci_load(b + INT8_ROW + v * sizeof(veci)));
    }
}

/* One micro-tile. Inlined with constant `rows`, so that `acc` lives in registers. */
static inline __attribute__((always_inline)) void int8_tile(const size_t rows,
                                                            const int8_operands *in) {
    veci acc[INT8_ROWS][INT8_VECS];
    const uint8_t *a = in->a;
    const int8_t *b = in->b;
    const unsigned char *next = in->next;
    const size_t lda = in->lda;
#pragma GCC unroll 8
    for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 3
        for (size_t v = 0; v < INT8_VECS; v++)
            acc[r][v] = veci_zero();

    for (size_t g = 0; g < in->groups;) {
        size_t stop = in->groups - g < in->fetch_every ? in->groups : g + in->fetch_every;
        if (next) {
            fetch(next, FETCHED * INT8_ROW);
            next += FETCHED * INT8_ROW;
        }
        for (; g + INT8_DEPTH <= stop; g += INT8_DEPTH) {
#pragma GCC unroll 4
            for (size_t i = 0; i < INT8_DEPTH; i += INT8_PAIRS ? 2 : 1)
                if (INT8_PAIRS)
                    add_pair(rows, acc, a + i * VT_INT8_GROUP, lda, b + i * INT8_ROW);
                else
                    add_group(rows, acc, a + i * VT_INT8_GROUP, lda, b + i * INT8_ROW);
            a += INT8_DEPTH * VT_INT8_GROUP;
            b += INT8_DEPTH * INT8_ROW;
        }
        for (; g < stop; g++, a += VT_INT8_GROUP, b += INT8_ROW)
            add_group(rows, acc, a, lda, b);
    }

#pragma GCC unroll 8
    for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 3
        for (size_t v = 0; v < INT8_VECS; v++)
            if (v * VEC_WIDTH < in->cols)
                store_int8_sum(in->c + r * in->ldc + v * VEC_WIDTH, acc[r][v],
                               in->cols - v * VEC_WIDTH, in->accumulate);
}

/* The functions for 1 to INT8_ROWS rows of A, as in kernels_gemm.inc.h. */
#define INT8_TILE(rows)                                                                            \
    static __attribute__((noinline)) void int8_tile_##rows(const int8_operands *in) {              \
        if (rows <= INT8_ROWS)                                                                     \
            int8_tile(rows < INT8_ROWS ? rows : INT8_ROWS, in);                                    \
    }
INT8_TILE(1)
INT8_TILE(2)
INT8_TILE(3)
INT8_TILE(4)
INT8_TILE(5)
INT8_TILE(6)
INT8_TILE(7)
INT8_TILE(8)

static void (*const int8_tiles[])(const int8_operands *in) = {
    NULL,        int8_tile_1, int8_tile_2, int8_tile_3, int8_tile_4,
    int8_tile_5, int8_tile_6, int8_tile_7, int8_tile_8,
};

static void int8_gemm(size_t m, size_t n, size_t groups, const uint8_t *a, size_t lda,
                      const int8_t *b, int32_t *c, size_t ldc, bool accumulate, const void *next) {
    const size_t num_tiles = (m + INT8_ROWS - 1) / INT8_ROWS;
    const size_t fewest = m / num_tiles, larger = m % num_tiles; /* rows; tiles of one more */
    if (m <= FEW_ROWS)
        next = NULL;
    const size_t fetched = rows_fetched(num_tiles, groups) * INT8_ROW;
    for (size_t col = 0; col < n; col += INT8_NR, b += groups * INT8_ROW) {
        int8_operands in = {
            .a = a,
            .lda = lda,
            .b = b,
            .c = c + col,
            .ldc = ldc,
            .cols = n - col < INT8_NR ? n - col : INT8_NR,
            .groups = groups,
            .accumulate = accumulate,
            .next = n - col > INT8_NR ? NULL : next,
            .fetch_every = fetch_every(num_tiles, groups, next),
        };
        for (size_t t = 0; t < num_tiles; t++) {
            size_t rows = t < larger ? fewest + 1 : fewest;
            int8_tiles[rows](&in);
            in.a += rows * lda;
            in.c += rows * ldc;
            in.next = in.next ? in.next + fetched : NULL;
        }
    }
}

/* The smallest and the largest of x[n] and 0. */
static void range_with_zero(const float *x, size_t n, float *least, float *most) {
    vec low = vec_set(0), high = vec_set(0);
    size_t i = 0;
    for (; i + VEC_WIDTH <= n; i += VEC_WIDTH) {
        low = vec_min(low, vec_load(x + i));
        high = vec_max(high, vec_load(x + i));
    }
    if (i < n) { /* zeros beyond n change nothing */
        low = vec_min(low, vec_load_first(x + i, n - i));
        high = vec_max(high, vec_load_first(x + i, n - i));
    }
    *least = -vec_largest(vec_sub(vec_set(0), low));
    *most = vec_largest(high);
}

static inline veci round_to_u8(vec x, vec inverse, vec zero) {
    vec u = vec_add(vec_round(vec_mul(x, inverse)), zero);
    return veci_from_vec(vec_min(vec_max(u, vec_set(0)), vec_set(255)));
}

static vt_int8_row int8_quantize(uint8_t *u, const float *x, size_t n) {
    float least, most;
    range_with_zero(x, n, &least, &most);
    vt_int8_row row = {.scale = (most - least) / 255};
    float inverse = row.scale > 0 ? 1 / row.scale : 0;
    float zero = rintf(-least * inverse);
    const vec inverses = vec_set(inverse), zeros = vec_set(zero);
    row.zero = (int32_t)zero;
    size_t i = 0;
    for (; i + VEC_WIDTH <= n; i += VEC_WIDTH)
        veci_store_u8(u + i, round_to_u8(vec_load(x + i), inverses, zeros));
    if (i < n) {
        uint8_t rest[VEC_WIDTH];
        size_t padded = (n - i + VT_INT8_GROUP - 1) / VT_INT8_GROUP * VT_INT8_GROUP;
        veci_store_u8(rest, round_to_u8(vec_load_first(x + i, n - i), inverses, zeros));
        memcpy(u + i, rest, padded);
    }
    return row;
}

static void int8_dequantize(float *out, const int32_t *acc, vt_int8_row x, const float *w_scales,
                            const int32_t *w_sums, size_t n) {
    const veci zero = veci_set(x.zero);
    const vec scale = vec_set(x.scale);
    size_t i = 0;
    for (; i + VEC_WIDTH <= n; i += VEC_WIDTH) {
        veci exact = veci_sub(veci_load(acc + i), veci_mul(zero, veci_load(w_sums + i)));
        vec_store(out + i, vec_mul(vec_from_veci(exact), vec_mul(scale, vec_load(w_scales + i))));
    }
    for (; i < n; i++)
        out[i] = (float)(acc[i] - x.zero * w_sums[i]) * (x.scale * w_scales[i]);
}
