/* SPDX-License-Identifier: MIT
 *
 * gemm in terms of a vec header, included by one file an instruction set, which first defines
 *
 *     enum { TILE_ROWS = ..., TILE_VECS = ... };
 *
 * the micro-tile: TILE_ROWS x TILE_VECS accumulators, and TILE_VECS vectors of B and one broadcast
 * of A beside them, must fit the register file. TILE_ROWS <= 14, TILE_VECS <= 4.
 *
 *     C[m][n] = A[m][k] B[k][n]  (+ C)
 *
 * B comes in panels [k][NR] and is read in order. A is read in place, one float at a time: the rows
 * of a tile stay in the first-level cache while the panels go by. B may be stored in 16 bits, which
 * are widened as they are loaded.
 */

/* What B is stored as. */
typedef enum panel_type { PANEL_F32, PANEL_F16, PANEL_BF16 } panel_type;

enum {
    NR = TILE_VECS * VEC_WIDTH,
    LINE = 64, /* bytes of a cache line */
    AHEAD = 32 /* rows of B between the one in use and the one being fetched */
};

typedef struct tile_operands {
    const float *a; /* [rows][k] */
    size_t lda;
    const void *b; /* [k][NR] */
    float *c;      /* [rows][cols] */
    size_t ldc;
    size_t cols, k;
    bool accumulate;
} tile_operands;

static inline size_t panel_element(panel_type type) {
    return type == PANEL_F32 ? sizeof(float) : sizeof(uint16_t);
}

static inline vec load_panel(const panel_type type, const unsigned char *b) {
    return type == PANEL_F32   ? vec_load((const float *)(const void *)b)
           : type == PANEL_F16 ? vec_load_f16((const uint16_t *)(const void *)b)
                               : vec_load_bf16((const uint16_t *)(const void *)b);
}

/* Sets, or adds to, one vector of C, as many of it as are C's own. */
static inline void store_sum(float *c, vec sum, size_t cols, bool accumulate) {
    if (cols >= VEC_WIDTH)
        vec_store(c, accumulate ? vec_add(sum, vec_load(c)) : sum);
    else
        vec_store_first(c, accumulate ? vec_add(sum, vec_load_first(c, cols)) : sum, cols);
}

/* One micro-tile. Inlined with constant `type`, `rows` and `vecs`, so that the loops over them
 * unroll and `acc` lives in registers. */
static inline __attribute__((always_inline)) void tile(const panel_type type, const size_t rows,
                                                       const size_t vecs, const tile_operands *in) {
    vec acc[TILE_ROWS][TILE_VECS];
    /* One pointer for three rows, which x86 reaches as [p], [p + lda] and [p + 2 lda]: a pointer a
     * row would not leave enough registers. */
    const float *a[(TILE_ROWS + 2) / 3];
    const unsigned char *b = in->b;
    const size_t lda = in->lda, element = panel_element(type);
#pragma GCC unroll 8
    for (size_t g = 0; g < (rows + 2) / 3; g++)
        a[g] = in->a + 3 * g * lda;
#pragma GCC unroll 16
    for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (size_t v = 0; v < vecs; v++)
            acc[r][v] = vec_set(0);

    for (size_t p = 0; p < in->k; p++) {
        vec bv[TILE_VECS];
#pragma GCC unroll 4
        for (size_t v = 0; v < vecs; v++)
            bv[v] = load_panel(type, b + v * VEC_WIDTH * element);
        for (size_t line = 0; rows > 3 && line < NR * element;
             line += LINE) /* fewer only wait for B */
            __builtin_prefetch(b + AHEAD * NR * element + line);
        b += NR * element;
#pragma GCC unroll 16
        for (size_t r = 0; r < rows; r++) {
            vec x = vec_set(a[r / 3][r % 3 * lda]);
#pragma GCC unroll 4
            for (size_t v = 0; v < vecs; v++)
                acc[r][v] = vec_fma(x, bv[v], acc[r][v]);
        }
#pragma GCC unroll 8
        for (size_t g = 0; g < (rows + 2) / 3; g++)
            a[g]++;
    }

#pragma GCC unroll 16
    for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (size_t v = 0; v < vecs; v++)
            if (v * VEC_WIDTH < in->cols)
                store_sum(in->c + r * in->ldc + v * VEC_WIDTH, acc[r][v], in->cols - v * VEC_WIDTH,
                          in->accumulate);
}

/* The instances of `tile`; those of more than TILE_ROWS rows are never called, nor compiled. */
static inline __attribute__((always_inline)) void
tile_of_rows(const panel_type type, size_t rows, const size_t vecs, const tile_operands *in) {
    const size_t most = TILE_ROWS;
    switch (rows) {
    case 1:
        tile(type, 1, vecs, in);
        break;
    case 2:
        tile(type, 2, vecs, in);
        break;
    case 3:
        tile(type, 3, vecs, in);
        break;
    case 4:
        tile(type, 4, vecs, in);
        break;
    case 5:
        tile(type, 5, vecs, in);
        break;
    case 6:
        tile(type, 6, vecs, in);
        break;
    case 7:
        tile(type, most < 7 ? most : 7, vecs, in);
        break;
    case 8:
        tile(type, most < 8 ? most : 8, vecs, in);
        break;
    case 9:
        tile(type, most < 9 ? most : 9, vecs, in);
        break;
    case 10:
        tile(type, most < 10 ? most : 10, vecs, in);
        break;
    case 11:
        tile(type, most < 11 ? most : 11, vecs, in);
        break;
    case 12:
        tile(type, most < 12 ? most : 12, vecs, in);
        break;
    case 13:
        tile(type, most < 13 ? most : 13, vecs, in);
        break;
    default:
        tile(type, most, vecs, in);
    }
}

/* A last panel of few columns is computed by half. */
static inline __attribute__((always_inline)) void tile_any(const panel_type type, size_t rows,
                                                           const tile_operands *in) {
    if (in->cols <= NR / 2)
        tile_of_rows(type, rows, TILE_VECS / 2, in);
    else
        tile_of_rows(type, rows, TILE_VECS, in);
}

/* The rows are split evenly: 197 as one tile of 14 and 14 of 13 or so, not 14 of 14 and one of 1,
 * which would take as long as one of 4. */
static inline __attribute__((always_inline)) void
gemm_tiles(const panel_type type, size_t m, size_t n, size_t k, const float *a, size_t lda,
           const unsigned char *b, float *c, size_t ldc, bool accumulate) {
    size_t num_tiles = (m + TILE_ROWS - 1) / TILE_ROWS;
    for (size_t col = 0; col < n; col += NR, b += k * NR * panel_element(type)) {
        size_t row = 0;
        for (size_t t = num_tiles; t > 0; t--) {
            size_t rows = (m - row + t - 1) / t;
            tile_operands in = {
                .a = a + row * lda,
                .lda = lda,
                .b = b,
                .c = c + row * ldc + col,
                .ldc = ldc,
                .cols = n - col < NR ? n - col : NR,
                .k = k,
                .accumulate = accumulate,
            };
            tile_any(type, rows, &in);
            row += rows;
        }
    }
}

static void gemm_f32(size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b,
                     float *c, size_t ldc, bool accumulate) {
    gemm_tiles(PANEL_F32, m, n, k, a, lda, (const unsigned char *)b, c, ldc, accumulate);
}

static void gemm_f16(size_t m, size_t n, size_t k, const float *a, size_t lda, const uint16_t *b,
                     float *c, size_t ldc, bool accumulate) {
    gemm_tiles(PANEL_F16, m, n, k, a, lda, (const unsigned char *)b, c, ldc, accumulate);
}

static void gemm_bf16(size_t m, size_t n, size_t k, const float *a, size_t lda, const uint16_t *b,
                      float *c, size_t ldc, bool accumulate) {
    gemm_tiles(PANEL_BF16, m, n, k, a, lda, (const unsigned char *)b, c, ldc, accumulate);
}
