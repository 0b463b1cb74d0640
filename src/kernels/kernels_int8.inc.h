/* SPDX-License-Identifier: MIT
 *
 * int8.h's functions in terms of a vec header, included by one file an instruction set, which first
 * defines
 *
 *     enum { INT8_ROWS = ..., INT8_VECS = ... };
 *
 * the micro-tile, INT8_ROWS <= 8, INT8_VECS <= 3.
 */

enum { INT8_NR = INT8_VECS * VEC_WIDTH };

typedef struct int8_operands {
    const uint8_t *a; /* [rows][groups][4] */
    size_t lda;
    const int8_t *b; /* [groups][INT8_NR][4] */
    int32_t *c;      /* [rows][cols] */
    size_t ldc;
    size_t cols, groups;
    bool accumulate;
} int8_operands;

static inline void store_int8_sum(int32_t *c, veci sum, size_t cols, bool accumulate) {
    if (cols >= VEC_WIDTH)
        veci_store(c, accumulate ? veci_add(sum, veci_load(c)) : sum);
    else
        veci_store_first(c, accumulate ? veci_add(sum, veci_load_first(c, cols)) : sum, cols);
}

/* One micro-tile. Inlined with constant `rows`, so that `acc` lives in registers. */
static inline __attribute__((always_inline)) void int8_tile(const size_t rows,
                                                            const int8_operands *in) {
    veci acc[INT8_ROWS][INT8_VECS];
    const uint8_t *a = in->a;
    const int8_t *b = in->b;
    const size_t lda = in->lda;
#pragma GCC unroll 8
    for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 3
        for (size_t v = 0; v < INT8_VECS; v++)
            acc[r][v] = veci_zero();

    for (size_t g = 0; g < in->groups; g++, a += VT_INT8_GROUP, b += INT8_NR * VT_INT8_GROUP) {
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

#pragma GCC unroll 8
    for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 3
        for (size_t v = 0; v < INT8_VECS; v++)
            if (v * VEC_WIDTH < in->cols)
                store_int8_sum(in->c + r * in->ldc + v * VEC_WIDTH, acc[r][v],
                               in->cols - v * VEC_WIDTH, in->accumulate);
}

/* The instances of int8_tile; those of more than INT8_ROWS rows are never called. */
static void int8_tile_of_rows(size_t rows, const int8_operands *in) {
    const size_t most = INT8_ROWS;
    switch (rows) {
    case 1:
        int8_tile(1, in);
        break;
    case 2:
        int8_tile(2, in);
        break;
    case 3:
        int8_tile(3, in);
        break;
    case 4:
        int8_tile(4, in);
        break;
    case 5:
        int8_tile(most < 5 ? most : 5, in);
        break;
    case 6:
        int8_tile(most < 6 ? most : 6, in);
        break;
    case 7:
        int8_tile(most < 7 ? most : 7, in);
        break;
    default:
        int8_tile(most, in);
    }
}

static void int8_gemm(size_t m, size_t n, size_t groups, const uint8_t *a, size_t lda,
                      const int8_t *b, int32_t *c, size_t ldc, bool accumulate) {
    size_t num_tiles = (m + INT8_ROWS - 1) / INT8_ROWS;
    for (size_t col = 0; col < n; col += INT8_NR, b += groups * INT8_NR * VT_INT8_GROUP) {
        size_t row = 0;
        for (size_t t = num_tiles; t > 0; t--) {
            size_t rows = (m - row + t - 1) / t;
            int8_operands in = {
                .a = a + row * lda,
                .lda = lda,
                .b = b,
                .c = c + row * ldc + col,
                .ldc = ldc,
                .cols = n - col < INT8_NR ? n - col : INT8_NR,
                .groups = groups,
                .accumulate = accumulate,
            };
            int8_tile_of_rows(rows, &in);
            row += rows;
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
