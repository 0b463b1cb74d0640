/* SPDX-License-Identifier: MIT
 *
 * gemm in terms of a vec header, included by one file an instruction set, which first defines
 *
 *     enum { TILE_ROWS = ..., TILE_VECS = ..., TILE_DEPTH = ... };
 *
 * the micro-tile: TILE_ROWS x TILE_VECS accumulators, and TILE_VECS vectors of B and one broadcast
 * of A beside them, must fit the register file. TILE_ROWS <= 14, TILE_VECS <= 4. TILE_DEPTH <= 8
 * rows of B are multiplied between two tests of the loop.
 *
 *     C[m][n] = A[m][k] B[k][n]  (+ C)
 *
 * B comes in panels [k][NR] and is read in order. A is read in place, one float at a time: the rows
 * of a tile stay in the first-level cache while the panels go by. B may be stored in 16 bits, which
 * are widened as they are loaded.
 */
#include "kernels/tile.h"

/* What B is stored as. */
typedef enum panel_type { PANEL_F32, PANEL_F16, PANEL_BF16 } panel_type;

enum { NR = TILE_VECS * VEC_WIDTH };

typedef struct tile_operands {
    const float *a; /* [rows][k] */
    size_t lda;
    const void *b; /* [k][NR] */
    float *c;      /* [rows][cols] */
    size_t ldc;
    size_t cols, k;
    bool accumulate;
    const unsigned char *next; /* what to fetch of the next panel; or NULL */
    size_t fetch_every;        /* rows of B */
} tile_operands;

static inline size_t panel_element(panel_type type) {
    return type == PANEL_F32 ? sizeof(float) : sizeof(uint16_t);
}

static inline vec load_panel(const panel_type type, const unsigned char *b) {
    return type == PANEL_F32   ? vec_load((const float *)(const void *)b)
           : type == PANEL_F16 ? vec_load_f16((const uint16_t *)(const void *)b)
                               : vec_load_bf16((const uint16_t *)(const void *)b);
}

/* Sets, or adds to, the first columns of one vector of C. */
static inline void store_columns(float *c, vec sum, size_t cols, bool accumulate) {
    if (cols >= VEC_WIDTH)
        vec_store(c, accumulate ? vec_add(sum, vec_load(c)) : sum);
    else
        vec_store_first(c, accumulate ? vec_add(sum, vec_load_first(c, cols)) : sum, cols);
}

/* acc += A[rows][i] B[i], for the i-th row of B from b on. One pointer for three rows of A, which
 * x86 reaches as [p], [p + lda] and [p + 2 lda]: a pointer a row would not leave enough registers.
 */
static inline __attribute__((always_inline)) void
add_product(const panel_type type, const size_t rows, const size_t vecs,
            vec acc[TILE_ROWS][TILE_VECS], const float *const *a, size_t lda,
            const unsigned char *b, const size_t i) {
    vec bv[TILE_VECS];
#pragma GCC unroll 4
    for (size_t v = 0; v < vecs; v++)
        bv[v] = load_panel(type, b + (i * NR + v * VEC_WIDTH) * panel_element(type));
#pragma GCC unroll 16
    for (size_t r = 0; r < rows; r++) {
        vec x = vec_set(a[r / 3][r % 3 * lda + i]);
#pragma GCC unroll 4
        for (size_t v = 0; v < vecs; v++)
            acc[r][v] = vec_accumulate(acc[r][v], x, bv[v]);
    }
}

/* C, or what C has of the tile's columns, from the sums. */
static inline __attribute__((always_inline)) void store_tile(const size_t rows, const size_t vecs,
                                                             vec acc[TILE_ROWS][TILE_VECS],
                                                             const tile_operands *in) {
    const bool whole = in->cols >= vecs * VEC_WIDTH;
    if (whole && !in->accumulate) {
#pragma GCC unroll 16
        for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 4
            for (size_t v = 0; v < vecs; v++)
                vec_store(in->c + r * in->ldc + v * VEC_WIDTH, acc[r][v]);
        return;
    }
#pragma GCC unroll 16
    for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (size_t v = 0; v < vecs; v++) {
            float *c = in->c + r * in->ldc + v * VEC_WIDTH;
            if (whole)
                vec_store(c, vec_add(acc[r][v], vec_load(c)));
            else if (in->cols > v * VEC_WIDTH)
                store_columns(c, acc[r][v], in->cols - v * VEC_WIDTH, in->accumulate);
        }
}

/* One micro-tile. Inlined with constant `type`, `rows` and `vecs`, so that the loops over them
 * unroll and `acc` lives in registers. */
static inline __attribute__((always_inline)) void tile(const panel_type type, const size_t rows,
                                                       const size_t vecs, const tile_operands *in) {
    vec acc[TILE_ROWS][TILE_VECS];
    const float *a[(TILE_ROWS + 2) / 3];
    const unsigned char *b = in->b, *next = in->next;
    const size_t lda = in->lda, groups = (rows + 2) / 3, row_bytes = NR * panel_element(type);
#pragma GCC unroll 8
    for (size_t g = 0; g < groups; g++)
        a[g] = in->a + 3 * g * lda;
#pragma GCC unroll 16
    for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (size_t v = 0; v < vecs; v++)
            acc[r][v] = vec_set(0);

    for (size_t p = 0; p < in->k;) {
        size_t stop = in->k - p < in->fetch_every ? in->k : p + in->fetch_every;
        if (next) {
            fetch(next, FETCHED * row_bytes);
            next += FETCHED * row_bytes;
        }
        for (; p + TILE_DEPTH <= stop; p += TILE_DEPTH, b += TILE_DEPTH * row_bytes) {
#pragma GCC unroll 8
            for (size_t g = 0; g < groups; g++)
                a[g] = forget_origin(a[g]);
#pragma GCC unroll 8
            for (size_t i = 0; i < TILE_DEPTH; i++)
                add_product(type, rows, vecs, acc, a, lda, b, i);
#pragma GCC unroll 8
            for (size_t g = 0; g < groups; g++)
                a[g] += TILE_DEPTH;
        }
        for (; p < stop; p++, b += row_bytes) {
            add_product(type, rows, vecs, acc, a, lda, b, 0);
#pragma GCC unroll 8
            for (size_t g = 0; g < groups; g++)
                a[g]++;
        }
    }

    store_tile(rows, vecs, acc, in);
}

typedef void tile_fn(const tile_operands *in);

/* Defines name_tiles, the functions for 1 to TILE_ROWS rows of A; those of more are empty. They are
 * not inlined, because gcc 12 keeps the accumulators in registers in small functions only. Of the
 * last panel as many vectors are computed as hold columns of C. */
#define TILE_OF(name, type, rows)                                                                  \
    static __attribute__((noinline)) void name##_tile_##rows(const tile_operands *in) {            \
        const size_t within = rows < TILE_ROWS ? rows : TILE_ROWS;                                 \
        if (rows > TILE_ROWS)                                                                      \
            return;                                                                                \
        if (in->cols <= VEC_WIDTH)                                                                 \
            tile(type, within, 1, in);                                                             \
        else if (TILE_VECS > 2 && in->cols <= 2 * VEC_WIDTH)                                       \
            tile(type, within, 2, in);                                                             \
        else if (TILE_VECS > 3 && in->cols <= 3 * VEC_WIDTH)                                       \
            tile(type, within, TILE_VECS < 3 ? TILE_VECS : 3, in);                                 \
        else                                                                                       \
            tile(type, within, TILE_VECS, in);                                                     \
    }
#define TILES_OF(name, type)                                                                       \
    TILE_OF(name, type, 1)                                                                         \
    TILE_OF(name, type, 2)                                                                         \
    TILE_OF(name, type, 3)                                                                         \
    TILE_OF(name, type, 4)                                                                         \
    TILE_OF(name, type, 5)                                                                         \
    TILE_OF(name, type, 6)                                                                         \
    TILE_OF(name, type, 7)                                                                         \
    TILE_OF(name, type, 8)                                                                         \
    TILE_OF(name, type, 9)                                                                         \
    TILE_OF(name, type, 10)                                                                        \
    TILE_OF(name, type, 11)                                                                        \
    TILE_OF(name, type, 12)                                                                        \
    TILE_OF(name, type, 13)                                                                        \
    TILE_OF(name, type, 14)                                                                        \
    static tile_fn *const name##_tiles[] = {                                                       \
        NULL,           name##_tile_1,  name##_tile_2,  name##_tile_3,  name##_tile_4,             \
        name##_tile_5,  name##_tile_6,  name##_tile_7,  name##_tile_8,  name##_tile_9,             \
        name##_tile_10, name##_tile_11, name##_tile_12, name##_tile_13, name##_tile_14,            \
    };

TILES_OF(f32, PANEL_F32)
TILES_OF(f16, PANEL_F16)
TILES_OF(bf16, PANEL_BF16)

/* The rows are split evenly: 197 as 15 tiles of 13 or 14, not 14 of 14 and one of 1, which would
 * take as long as one of 4. */
static void gemm_tiles(tile_fn *const *tiles, size_t row_bytes, size_t m, size_t n, size_t k,
                       const float *a, size_t lda, const unsigned char *b, float *c, size_t ldc,
                       bool accumulate, const unsigned char *next) {
    const size_t num_tiles = (m + TILE_ROWS - 1) / TILE_ROWS;
    const size_t fewest = m / num_tiles, larger = m % num_tiles; /* rows; tiles of one more */
    if (m <= FEW_ROWS)
        next = NULL;
    const size_t fetched = rows_fetched(num_tiles, k) * row_bytes;
    for (size_t col = 0; col < n; col += NR, b += k * row_bytes) {
        tile_operands in = {
            .a = a,
            .lda = lda,
            .b = b,
            .c = c + col,
            .ldc = ldc,
            .cols = n - col < NR ? n - col : NR,
            .k = k,
            .accumulate = accumulate,
            .next = n - col > NR ? NULL : next,
            .fetch_every = fetch_every(num_tiles, k, next),
        };
        for (size_t t = 0; t < num_tiles; t++) {
            size_t rows = t < larger ? fewest + 1 : fewest;
            tiles[rows](&in);
            in.a += rows * lda;
            in.c += rows * ldc;
            in.next = in.next ? in.next + fetched : NULL;
        }
    }
}

static void gemm_f32(size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b,
                     float *c, size_t ldc, bool accumulate, const void *next) {
    gemm_tiles(f32_tiles, NR * panel_element(PANEL_F32), m, n, k, a, lda, (const unsigned char *)b,
               c, ldc, accumulate, next);
}

static void gemm_f16(size_t m, size_t n, size_t k, const float *a, size_t lda, const uint16_t *b,
                     float *c, size_t ldc, bool accumulate, const void *next) {
    gemm_tiles(f16_tiles, NR * panel_element(PANEL_F16), m, n, k, a, lda, (const unsigned char *)b,
               c, ldc, accumulate, next);
}

static void gemm_bf16(size_t m, size_t n, size_t k, const float *a, size_t lda, const uint16_t *b,
                      float *c, size_t ldc, bool accumulate, const void *next) {
    gemm_tiles(bf16_tiles, NR * panel_element(PANEL_BF16), m, n, k, a, lda,
               (const unsigned char *)b, c, ldc, accumulate, next);
}
