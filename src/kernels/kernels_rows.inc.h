/* SPDX-License-Identifier: MIT
 *
 * The kernels that go along one row (norms, softmax's parts, activations, conversions), in terms of
 * a vec header: included by one file an instruction set, after it.
 */

/* Four sums at a time: enough independent additions to hide their latency, and a row of 768 is
 * summed as 64 short sums (AVX-512), which rounds about as well as pairwise summation. */
enum { SUMS = 4, BLOCK = SUMS * VEC_WIDTH };

/* A polynomial is a chain of multiply-adds, each of which waits four cycles for the last. So it is
 * evaluated for so many vectors at once, step by step: a processor does not look far enough ahead
 * to find the next vector's chain by itself, least of all when it shares its core. */
enum { TOGETHER = SUMS };

static inline float add_up(const vec sums[SUMS]) {
    return vec_sum(vec_add(vec_add(sums[0], sums[1]), vec_add(sums[2], sums[3])));
}

/* ---- sums ---------------------------------------------------------------------------------- */

/* x . y */
static float dot_f32(const float *x, const float *y, size_t n) {
    vec sums[SUMS] = {vec_set(0), vec_set(0), vec_set(0), vec_set(0)};
    size_t i = 0;
    for (; i + BLOCK <= n; i += BLOCK)
        for (size_t s = 0; s < SUMS; s++) {
            size_t at = i + s * VEC_WIDTH;
            sums[s] = vec_fma(vec_load(x + at), vec_load(y + at), sums[s]);
        }
    for (; i + VEC_WIDTH <= n; i += VEC_WIDTH)
        sums[0] = vec_fma(vec_load(x + i), vec_load(y + i), sums[0]);
    if (i < n)
        sums[1] = vec_fma(vec_load_first(x + i, n - i), vec_load_first(y + i, n - i), sums[1]);
    return add_up(sums);
}

/* sum x */
static float sum_f32(const float *x, size_t n) {
    vec sums[SUMS] = {vec_set(0), vec_set(0), vec_set(0), vec_set(0)};
    size_t i = 0;
    for (; i + BLOCK <= n; i += BLOCK)
        for (size_t s = 0; s < SUMS; s++)
            sums[s] = vec_add(vec_load(x + i + s * VEC_WIDTH), sums[s]);
    for (; i + VEC_WIDTH <= n; i += VEC_WIDTH)
        sums[0] = vec_add(vec_load(x + i), sums[0]);
    if (i < n)
        sums[1] = vec_add(vec_load_first(x + i, n - i), sums[1]);
    return add_up(sums);
}

/* y += alpha x */
static void axpy_f32(float *y, const float *x, float alpha, size_t n) {
    const vec a = vec_set(alpha);
    size_t i = 0;
    for (; i + VEC_WIDTH <= n; i += VEC_WIDTH)
        vec_store(y + i, vec_fma(a, vec_load(x + i), vec_load(y + i)));
    if (i < n) {
        vec sum = vec_fma(a, vec_load_first(x + i, n - i), vec_load_first(y + i, n - i));
        vec_store_first(y + i, sum, n - i);
    }
}

/* x *= alpha */
static void scale_f32(float *x, float alpha, size_t n) {
    const vec a = vec_set(alpha);
    size_t i = 0;
    for (; i + VEC_WIDTH <= n; i += VEC_WIDTH)
        vec_store(x + i, vec_mul(a, vec_load(x + i)));
    if (i < n)
        vec_store_first(x + i, vec_mul(a, vec_load_first(x + i, n - i)), n - i);
}

/* ---- softmax ------------------------------------------------------------------------------- */

/* The last vector overlaps the one before: a maximum doesn't mind seeing a value twice. */
static float max_f32(const float *x, size_t n) {
    if (n < VEC_WIDTH) {
        float largest = x[0];
        for (size_t i = 1; i < n; i++)
            largest = x[i] > largest ? x[i] : largest;
        return largest;
    }
    vec largest = vec_load(x + n - VEC_WIDTH);
    for (size_t i = 0; i + VEC_WIDTH <= n; i += VEC_WIDTH)
        largest = vec_max(largest, vec_load(x + i));
    return vec_largest(largest);
}

/* p[v] = the polynomial of `terms` coefficients, the highest power's first, at x[v]. */
static inline __attribute__((always_inline)) void
evaluate(vec *p, const vec *x, const size_t count, const float *coefficients, const size_t terms) {
#pragma GCC unroll 4
    for (size_t v = 0; v < count; v++)
        p[v] = vec_set(coefficients[0]);
#pragma GCC unroll 16
    for (size_t c = 1; c < terms; c++)
#pragma GCC unroll 4
        for (size_t v = 0; v < count; v++)
            p[v] = vec_fma(p[v], x[v], vec_set(coefficients[c]));
}

/* e^r for |r| <= ln 2 / 2, fitted to a relative error of 3e-9 and exact at 0; in F32 0.7 ulp. */
enum { EXP_TERMS = 7 };
static const float exp_terms[EXP_TERMS] = {
    0.00138145383f, 0.00836874545f, 0.041668389f, 0.166665211f, 0.49999994f, 1, 1};

static inline vec log2_e(void) {
    return vec_set(1.44269504f);
}

/* x - n ln 2. The first part of ln 2 has 9 bits: n times it is exact. */
static inline vec minus_ln2(vec x, vec n) {
    return vec_fma(n, vec_set(2.12194440e-4f), vec_fma(n, vec_set(-0.693359375f), x));
}

/* e^x = 2^n e^r, n = round(x / ln 2). About 1 ulp. Zero from -104 down, infinity from 88.73 up. */
static inline vec exp_vec(vec x) {
    x = vec_min(vec_set(89), vec_max(vec_set(-105), x));
    vec n = vec_round(vec_mul(x, log2_e())), r = minus_ln2(x, n), p;
    evaluate(&p, &r, 1, exp_terms, EXP_TERMS);
    return vec_scale_by_power(p, n);
}

/* x[v] = e^x[v] for x <= 0; 0 below -87, where it is about to be subnormal. n is what is left in
 * the low bits of t, which is so large that its step is 1. */
static inline __attribute__((always_inline)) void exp_below(vec *x, const size_t count) {
    const vec large = vec_set(12582912), least = vec_set(12582912 - 125); /* 3 2^22 */
    vec t[TOGETHER], r[TOGETHER];
#pragma GCC unroll 4
    for (size_t v = 0; v < count; v++)
        t[v] = vec_fma(x[v], log2_e(), large);
#pragma GCC unroll 4
    for (size_t v = 0; v < count; v++)
        r[v] = minus_ln2(x[v], vec_sub(t[v], large));
    evaluate(x, r, count, exp_terms, EXP_TERMS);
#pragma GCC unroll 4
    for (size_t v = 0; v < count; v++)
        x[v] = vec_select(vec_less(t[v], least), vec_set(0), vec_scale_by_low_bits(x[v], t[v]));
}

/* x = exp(x - shift); returns their sum. */
static float exp_sum_f32(float *x, float shift, size_t n) {
    const vec s = vec_set(shift);
    vec sums[SUMS] = {vec_set(0), vec_set(0), vec_set(0), vec_set(0)};
    size_t i = 0;
    for (; i + BLOCK <= n; i += BLOCK) {
        vec e[TOGETHER];
#pragma GCC unroll 4
        for (size_t v = 0; v < TOGETHER; v++)
            e[v] = vec_sub(vec_load(x + i + v * VEC_WIDTH), s);
        exp_below(e, TOGETHER);
#pragma GCC unroll 4
        for (size_t v = 0; v < TOGETHER; v++) {
            vec_store(x + i + v * VEC_WIDTH, e[v]);
            sums[v] = vec_add(sums[v], e[v]);
        }
    }
    for (; i + VEC_WIDTH <= n; i += VEC_WIDTH) {
        vec e = vec_sub(vec_load(x + i), s);
        exp_below(&e, 1);
        vec_store(x + i, e);
        sums[0] = vec_add(sums[0], e);
    }
    if (i < n) {
        vec e = vec_sub(vec_load_first(x + i, n - i), s);
        exp_below(&e, 1);
        vec_store_first(x + i, e, n - i);
        sums[1] = vec_add(sums[1], vec_keep_first(e, n - i));
    }
    return add_up(sums);
}

/* ---- norms --------------------------------------------------------------------------------- */

/* d = x - centre: the means of d and of d^2. */
static void centred_means(const float *x, float centre, size_t n, float *mean, float *mean_square) {
    const vec c = vec_set(centre);
    vec sums[SUMS] = {vec_set(0), vec_set(0), vec_set(0), vec_set(0)};
    vec squares[SUMS] = {vec_set(0), vec_set(0), vec_set(0), vec_set(0)};
    size_t i = 0;
    for (; i + BLOCK <= n; i += BLOCK)
        for (size_t s = 0; s < SUMS; s++) {
            vec d = vec_sub(vec_load(x + i + s * VEC_WIDTH), c);
            sums[s] = vec_add(sums[s], d);
            squares[s] = vec_fma(d, d, squares[s]);
        }
    for (; i < n; i += VEC_WIDTH) {
        size_t rest = n - i;
        vec d = rest < VEC_WIDTH ? vec_keep_first(vec_sub(vec_load_first(x + i, rest), c), rest)
                                 : vec_sub(vec_load(x + i), c);
        sums[0] = vec_add(sums[0], d);
        squares[0] = vec_fma(d, d, squares[0]);
    }
    *mean = add_up(sums) / (float)n;
    *mean_square = add_up(squares) / (float)n;
}

/* y = (x - mean) / sqrt(var + eps) * weight + bias. A first sum gives a centre, which is the mean
 * but for rounding; what it lacks comes out of the centred row, so that a row of 10000 +- 5 loses
 * nothing. */
static void layer_norm_f32(float *y, const float *x, const float *weight, const float *bias,
                           size_t n, float eps) {
    float centre = sum_f32(x, n) / (float)n, mean, mean_square;
    centred_means(x, centre, n, &mean, &mean_square);
    const vec c = vec_set(centre), m = vec_set(mean);
    const vec inverse = vec_set(1 / sqrtf(fmaxf(mean_square - mean * mean, 0) + eps));
    size_t i = 0;
    for (; i + VEC_WIDTH <= n; i += VEC_WIDTH) {
        vec v = vec_mul(vec_sub(vec_sub(vec_load(x + i), c), m), inverse);
        vec b = bias ? vec_load(bias + i) : vec_set(0);
        vec_store(y + i, vec_fma(v, vec_load(weight + i), b));
    }
    if (i < n) {
        size_t rest = n - i;
        vec v = vec_mul(vec_sub(vec_sub(vec_load_first(x + i, rest), c), m), inverse);
        vec b = bias ? vec_load_first(bias + i, rest) : vec_set(0);
        vec_store_first(y + i, vec_fma(v, vec_load_first(weight + i, rest), b), rest);
    }
}

/* y = x / sqrt(mean(x^2) + eps) * weight */
static void rms_norm_f32(float *y, const float *x, const float *weight, size_t n, float eps) {
    float mean_square = dot_f32(x, x, n) / (float)n;
    const vec inverse = vec_set(1 / sqrtf(mean_square + eps));
    size_t i = 0;
    for (; i + VEC_WIDTH <= n; i += VEC_WIDTH)
        vec_store(y + i, vec_mul(vec_mul(vec_load(x + i), inverse), vec_load(weight + i)));
    if (i < n) {
        vec v = vec_mul(vec_load_first(x + i, n - i), inverse);
        vec_store_first(y + i, vec_mul(v, vec_load_first(weight + i, n - i)), n - i);
    }
}

/* ---- activations --------------------------------------------------------------------------- */

/* 1 / (1 + e^-x) */
static inline vec sigmoid_vec(vec x) {
    vec e = exp_vec(vec_sub(vec_set(0), x));
    return vec_div(vec_set(1), vec_add(vec_set(1), e));
}

/* x Phi(x). Phi(x) - 1/2 is odd, so it is x P(t) with t = 2 (x / 5.5)^2 - 1 in [-1, 1], where P's
 * coefficients add up without cancellation; beyond |x| = 5.5 Phi is 0 or 1 to 2e-8. The fit (a
 * linear programme, docs/SPEED.md) minimises the largest error relative to max(1, |x|), 4e-8, and
 * puts Phi(-5.5) at or below zero, so that the clamp makes it exactly that. */
static inline vec gelu_erf_vec(vec x) {
    const float edge = 5.5f;
    vec near = vec_min(vec_set(edge), vec_max(vec_set(-edge), x));
    vec t = vec_fma(vec_mul(near, near), vec_set(2 / (edge * edge)), vec_set(-1));
    vec t2 = vec_mul(t, t); /* two chains of multiply-adds, even and odd powers, half as long */
    vec even = vec_set(0.000499734242f), odd = vec_set(-0.00134061944f);
    even = vec_fma(even, t2, vec_set(0.00114195243f));
    odd = vec_fma(odd, t2, vec_set(-0.00130719451f));
    even = vec_fma(even, t2, vec_set(0.00409265429f));
    odd = vec_fma(odd, t2, vec_set(-0.00759387861f));
    even = vec_fma(even, t2, vec_set(0.0105561112f));
    odd = vec_fma(odd, t2, vec_set(-0.0147104746f));
    even = vec_fma(even, t2, vec_set(0.0202604094f));
    odd = vec_fma(odd, t2, vec_set(-0.0261036333f));
    even = vec_fma(even, t2, vec_set(0.0320858697f));
    odd = vec_fma(odd, t2, vec_set(-0.038788082f));
    even = vec_fma(even, t2, vec_set(0.0477367619f));
    odd = vec_fma(odd, t2, vec_set(-0.0641724547f));
    even = vec_fma(even, t2, vec_set(0.128551939f));
    vec p = vec_fma(odd, t, even);
    vec phi = vec_fma(near, p, vec_set(0.5f));
    return vec_mul(x, vec_max(vec_set(0), phi));
}

/* x/2 (1 + tanh(z)) = x sigmoid(2z), z = sqrt(2/pi) (x + 0.044715 x^3) */
static inline vec gelu_tanh_vec(vec x) {
    const float two_root = 1.59576912f; /* 2 sqrt(2/pi) */
    vec cubic = vec_fma(vec_mul(x, x), vec_set(0.044715f * two_root), vec_set(two_root));
    return vec_mul(x, sigmoid_vec(vec_mul(x, cubic)));
}

static inline vec gelu_quick_vec(vec x) {
    return vec_mul(x, sigmoid_vec(vec_mul(x, vec_set(1.702f))));
}

static inline vec silu_vec(vec x) {
    return vec_mul(x, sigmoid_vec(x));
}

static inline vec relu_vec(vec x) {
    return vec_max(vec_set(0), x);
}

/* 1 - 2 / (e^2|x| + 1) with x's sign; near zero, where that cancels, Cephes' odd polynomial. */
static inline vec tanh_vec(vec x) {
    vec magnitude = vec_abs(x);
    vec e = exp_vec(vec_add(magnitude, magnitude));
    vec large = vec_sub(vec_set(1), vec_div(vec_set(2), vec_add(e, vec_set(1))));
    vec u = vec_mul(x, x);
    vec p = vec_set(-5.70498872745e-3f);
    p = vec_fma(p, u, vec_set(2.06390887954e-2f));
    p = vec_fma(p, u, vec_set(-5.37397155531e-2f));
    p = vec_fma(p, u, vec_set(1.33314422036e-1f));
    p = vec_fma(p, u, vec_set(-3.33332819422e-1f));
    vec small = vec_fma(vec_mul(p, u), x, x);
    return vec_select(vec_less(magnitude, vec_set(0.625f)), small, vec_copysign(large, x));
}

static inline vec identity_vec(vec x) {
    return x;
}

/* What a row goes through besides its activation; NULL where it does not. */
typedef struct row_operands {
    float *y;
    const float *x;
    size_t n;
    const float *bias, *factor, *addend;
} row_operands;

/* y = fn(x + bias) * factor + addend. `fn` is a constant, and inlined. */
static inline __attribute__((always_inline)) void map(const row_operands *row,
                                                      vec (*const fn)(vec)) {
    const float *bias = row->bias, *factor = row->factor, *addend = row->addend;
    size_t i = 0, n = row->n;
    for (; i + VEC_WIDTH <= n; i += VEC_WIDTH) {
        vec v = vec_load(row->x + i);
        v = fn(bias ? vec_add(v, vec_load(bias + i)) : v);
        v = factor ? vec_mul(v, vec_load(factor + i)) : v;
        vec_store(row->y + i, addend ? vec_add(v, vec_load(addend + i)) : v);
    }
    if (i < n) {
        size_t rest = n - i;
        vec v = vec_load_first(row->x + i, rest);
        v = fn(bias ? vec_add(v, vec_load_first(bias + i, rest)) : v);
        v = factor ? vec_mul(v, vec_load_first(factor + i, rest)) : v;
        v = addend ? vec_add(v, vec_load_first(addend + i, rest)) : v;
        vec_store_first(row->y + i, v, rest);
    }
}

static void map_activation(const row_operands *row, vt_activation act) {
    switch (act) {
    case VT_ACT_GELU_ERF:
        map(row, gelu_erf_vec);
        break;
    case VT_ACT_GELU_TANH:
        map(row, gelu_tanh_vec);
        break;
    case VT_ACT_GELU_QUICK:
        map(row, gelu_quick_vec);
        break;
    case VT_ACT_SILU:
        map(row, silu_vec);
        break;
    case VT_ACT_RELU:
        map(row, relu_vec);
        break;
    case VT_ACT_TANH:
        map(row, tanh_vec);
        break;
    case VT_ACT_NONE:
    case VT_ACT_COUNT:
        map(row, identity_vec);
    }
}

static void activate_f32(float *x, size_t n, vt_activation act) {
    map_activation(&(row_operands){.y = x, .x = x, .n = n}, act);
}

static void activate_mul_f32(float *x, const float *y, size_t n, vt_activation act) {
    map_activation(&(row_operands){.y = x, .x = x, .n = n, .factor = y}, act);
}

static void epilogue_f32(float *y, const float *x, size_t n, const float *bias, vt_activation act,
                         const float *scale, const float *residual) {
    map_activation(&(row_operands){y, x, n, bias, scale, residual}, act);
}

/* ---- transposition ------------------------------------------------------------------------- */

/* A square of VEC_WIDTH. */
static inline void transpose_square(float *out, size_t ldo, const float *in, size_t ldi) {
    vec rows[VEC_WIDTH];
    for (size_t j = 0; j < VEC_WIDTH; j++)
        rows[j] = vec_load(in + j * ldi);
    vec_transpose(rows);
    for (size_t p = 0; p < VEC_WIDTH; p++)
        vec_store(out + p * ldo, rows[p]);
}

static void transpose_f32(float *out, size_t ldo, const float *in, size_t ldi, size_t n, size_t k) {
    size_t p = 0;
    for (; p + VEC_WIDTH <= k; p += VEC_WIDTH) {
        size_t j = 0;
        for (; j + VEC_WIDTH <= n; j += VEC_WIDTH)
            transpose_square(out + p * ldo + j, ldo, in + j * ldi + p, ldi);
        for (; j < n; j++)
            for (size_t i = p; i < p + VEC_WIDTH; i++)
                out[i * ldo + j] = in[j * ldi + i];
    }
    for (; p < k; p++)
        for (size_t j = 0; j < n; j++)
            out[p * ldo + j] = in[j * ldi + p];
}

/* ---- conversions --------------------------------------------------------------------------- */

static void f16_to_f32(float *out, const uint16_t *in, size_t n) {
    size_t i = 0;
    for (; i + VEC_WIDTH <= n; i += VEC_WIDTH)
        vec_store(out + i, vec_load_f16(in + i));
    if (i < n) {
        uint16_t rest[VEC_WIDTH] = {0};
        memcpy(rest, in + i, (n - i) * sizeof *in);
        vec_store_first(out + i, vec_load_f16(rest), n - i);
    }
}

static void bf16_to_f32(float *out, const uint16_t *in, size_t n) {
    size_t i = 0;
    for (; i + VEC_WIDTH <= n; i += VEC_WIDTH)
        vec_store(out + i, vec_load_bf16(in + i));
    if (i < n) {
        uint16_t rest[VEC_WIDTH] = {0};
        memcpy(rest, in + i, (n - i) * sizeof *in);
        vec_store_first(out + i, vec_load_bf16(rest), n - i);
    }
}

static void f32_to_f16(uint16_t *out, const float *in, size_t n) {
    size_t i = 0;
    for (; i + VEC_WIDTH <= n; i += VEC_WIDTH)
        vec_store_f16(out + i, vec_load(in + i));
    if (i < n) {
        uint16_t rest[VEC_WIDTH];
        vec_store_f16(rest, vec_load_first(in + i, n - i));
        memcpy(out + i, rest, (n - i) * sizeof *out);
    }
}

static void f32_to_bf16(uint16_t *out, const float *in, size_t n) {
    for (size_t i = 0; i < n; i++)
        out[i] = vt_bf16_of(in[i]);
}
