/* SPDX-License-Identifier: MIT
 *
 * Attention against its definition in double precision: head widths and numbers of tokens around
 * every block size, grouped heads, rows with gaps between them, each table of kernels, one to three
 * threads.
 */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/attention.h"

/* Scores of order 1 and values in [-1, 1): a float product of head_dim terms, an exponential within
 * 1e-7 and a weighted mean keep about six digits. */
static const double TOLERANCE = 2e-6;

typedef struct setting {
    size_t num_heads, num_kv_heads, head_dim;
    size_t batch, q_tokens, kv_tokens;
    size_t gap;      /* floats between the rows that belong to neither */
    float magnitude; /* of q and k */
    size_t threads;
    const vt_kernels *kernels;
    bool key_bias; /* d->key_bias is added to the scores of each key */
    bool causal;
} setting;

typedef struct data {
    size_t q_ld, kv_ld, out_ld;
    float *q, *k, *v, *out;
    float *key_bias; /* [batch][kv_tokens] */
} data;

static float *random_rows(test_random *random, size_t n, float magnitude) {
    float *values = malloc(n * sizeof *values);
    assert_non_null(values);
    random_floats(random, values, n);
    for (size_t i = 0; i < n; i++)
        values[i] *= magnitude;
    return values;
}

static data make_data(const setting *s, uint64_t seed) {
    test_random random = {seed};
    size_t q_width = s->num_heads * s->head_dim, kv_width = s->num_kv_heads * s->head_dim;
    data d = {.q_ld = q_width + s->gap, .kv_ld = kv_width + 2 * s->gap, .out_ld = q_width + s->gap};
    d.q = random_rows(&random, s->batch * s->q_tokens * d.q_ld, s->magnitude);
    d.k = random_rows(&random, s->batch * s->kv_tokens * d.kv_ld, s->magnitude);
    d.v = random_rows(&random, s->batch * s->kv_tokens * d.kv_ld, 1);
    d.out = random_rows(&random, s->batch * s->q_tokens * d.out_ld, 1);
    d.key_bias = random_rows(&random, s->batch * s->kv_tokens, 3);
    return d;
}

static void free_data(data *d) {
    free(d->q);
    free(d->k);
    free(d->v);
    free(d->out);
    free(d->key_bias);
}

static vt_attention_shape shape_of(const setting *s) {
    return (vt_attention_shape){.num_heads = s->num_heads,
                                .num_kv_heads = s->num_kv_heads,
                                .head_dim = s->head_dim,
                                .scale = 1.0f / sqrtf((float)s->head_dim)};
}

static void run(const setting *s, data *d) {
    vt_pool *pool;
    vt_error err = {0};
    size_t floats = 0;
    const vt_attention_shape shape = shape_of(s);
    expect_ok(vt_pool_create(&pool, s->threads, &err), &err);
    assert_true(vt_attention_scratch_size(s->kernels, &shape, s->threads, &floats));
    float *scratch = aligned_alloc(64, (floats * sizeof *scratch + 63) / 64 * 64);
    assert_non_null(scratch);
    for (size_t i = 0; i < floats; i++) /* what an earlier call left there must not matter */
        scratch[i] = NAN;
    const vt_compute compute = {.kernels = s->kernels, .pool = pool};
    const vt_attention_args args = {
        .q = d->q,
        .k = d->k,
        .v = d->v,
        .q_ld = d->q_ld,
        .kv_ld = d->kv_ld,
        .out = d->out,
        .out_ld = d->out_ld,
        .batch = s->batch,
        .q_tokens = s->q_tokens,
        .kv_tokens = s->kv_tokens,
        .key_bias = s->key_bias ? d->key_bias : NULL,
        .causal = s->causal,
    };
    vt_attention(&compute, &shape, &args, scratch);
    free(scratch);
    vt_pool_destroy(pool);
}

/* One query of one head, in double. `weights` holds kv_tokens. */
static void attend_naively(const setting *s, const data *d, size_t item, size_t head, size_t query,
                           double *weights, double *out) {
    size_t n = s->head_dim, kv_head = head / (s->num_heads / s->num_kv_heads);
    const float *q = d->q + (item * s->q_tokens + query) * d->q_ld + head * n;
    size_t kv = item * s->kv_tokens * d->kv_ld + kv_head * n;
    double largest = -INFINITY, sum = 0;
    for (size_t t = 0; t < s->kv_tokens; t++) {
        double score = 0;
        for (size_t i = 0; i < n; i++)
            score += (double)q[i] * (double)d->k[kv + t * d->kv_ld + i];
        weights[t] = score / sqrt((double)n);
        if (s->key_bias)
            weights[t] += (double)d->key_bias[item * s->kv_tokens + t];
        largest = fmax(largest, weights[t]);
    }
    memset(out, 0, n * sizeof *out);
    for (size_t t = 0; t < s->kv_tokens; t++) {
        double weight = exp(weights[t] - largest);
        sum += weight;
        for (size_t i = 0; i < n; i++)
            out[i] += weight * (double)d->v[kv + t * d->kv_ld + i];
    }
    for (size_t i = 0; i < n; i++)
        out[i] /= sum;
}

static void describe(const setting *s, char *text, size_t size) {
    snprintf(text, size, "%s, %zu threads, %zux%zu heads of %zu, batch %zu, %zu x %zu tokens",
             s->kernels->name, s->threads, s->num_heads, s->num_kv_heads, s->head_dim, s->batch,
             s->q_tokens, s->kv_tokens);
}

/* Compares some queries: the first, the last and one in every `step`. */
static void compare(const setting *s, const data *d, size_t step, double tolerance) {
    double *weights = malloc((s->kv_tokens + s->head_dim) * sizeof *weights);
    assert_non_null(weights);
    double *expected = weights + s->kv_tokens, worst = 0;
    for (size_t row = 0; row < s->batch * s->q_tokens; row++) {
        size_t query = row % s->q_tokens;
        if (query % step != 0 && query + 1 != s->q_tokens)
            continue;
        for (size_t head = 0; head < s->num_heads; head++) {
            const float *found = d->out + row * d->out_ld + head * s->head_dim;
            attend_naively(s, d, row / s->q_tokens, head, query, weights, expected);
            for (size_t i = 0; i < s->head_dim; i++) {
                double difference = fabs((double)found[i] - expected[i]);
                worst = difference <= worst ? worst : isnan(difference) ? INFINITY : difference;
            }
        }
    }
    free(weights);
    if (!(worst <= tolerance)) {
        char text[160];
        describe(s, text, sizeof text);
        fail_msg("%s: largest difference %.3g, tolerance %.3g", text, worst, tolerance);
    }
}

/* Runs, compares, and sees that what lies between the rows of `out` is as it was. */
static void check(const setting *s, size_t step, double tolerance) {
    data d = make_data(s, 1 + s->head_dim * 4096 + s->q_tokens), before = make_data(s, 1);
    size_t width = s->num_heads * s->head_dim, floats = s->batch * s->q_tokens * d.out_ld;
    memcpy(before.out, d.out, floats * sizeof *d.out);
    run(s, &d);
    compare(s, &d, step, tolerance);
    for (size_t row = 0; row < s->batch * s->q_tokens && s->gap; row++)
        assert_memory_equal(d.out + row * d.out_ld + width, before.out + row * d.out_ld + width,
                            s->gap * sizeof *d.out);
    free_data(&before);
    free_data(&d);
}

static void test_head_widths_and_tokens(void **state) {
    (void)state;
    static const size_t head_dims[] = {1, 12, 24, 64, 80, 128};
    static const size_t tokens[] = {1, 2, 23, 24, 25, 50, 255, 256, 257, 288, 289, 545, 1025};
    const vt_kernels *kernels;
    for (size_t k = 0; (kernels = vt_kernels_at(k)) != NULL; k++) {
        for (size_t h = 0; h < sizeof head_dims / sizeof head_dims[0]; h++) {
            for (size_t t = 0; t < sizeof tokens / sizeof tokens[0]; t++) {
                const setting s = {.num_heads = 1,
                                   .num_kv_heads = 1,
                                   .head_dim = head_dims[h],
                                   .batch = 1,
                                   .q_tokens = tokens[t],
                                   .kv_tokens = tokens[t],
                                   .magnitude = 1,
                                   .threads = 1,
                                   .kernels = kernels};
                check(&s, 1 + tokens[t] / 16, TOLERANCE);
            }
        }
    }
}

/* Several of everything, rows with gaps, more threads than one. */
static void test_heads_batches_strides_and_threads(void **state) {
    (void)state;
    static const size_t heads[][2] = {{1, 1}, {3, 3}, {8, 2}, {6, 1}};
    static const size_t tokens[] = {1, 50, 257};
    const vt_kernels *kernels;
    for (size_t k = 0; (kernels = vt_kernels_at(k)) != NULL; k++) {
        for (size_t i = 0; i < 3 * 4 * 3; i++) {
            size_t h = i % 4, t = i / 4 % 3, threads = 1 + i / 12;
            const setting s = {.num_heads = heads[h][0],
                               .num_kv_heads = heads[h][1],
                               .head_dim = 20,
                               .batch = 2,
                               .q_tokens = tokens[t],
                               .kv_tokens = tokens[t],
                               .gap = 13,
                               .magnitude = 1,
                               .threads = threads,
                               .kernels = kernels};
            check(&s, 9, TOLERANCE);
        }
    }
}

/* As in attention pooling (one query) and with a cache (few queries, many keys). */
static void test_more_keys_than_queries_and_fewer(void **state) {
    (void)state;
    static const size_t tokens[][2] = {{1, 1}, {1, 577}, {3, 300}, {600, 1}, {530, 7}, {49, 256}};
    const vt_kernels *kernels;
    for (size_t k = 0; (kernels = vt_kernels_at(k)) != NULL; k++) {
        for (size_t t = 0; t < sizeof tokens / sizeof tokens[0]; t++) {
            const setting s = {.num_heads = 4,
                               .num_kv_heads = 2,
                               .head_dim = 16,
                               .batch = 2,
                               .q_tokens = tokens[t][0],
                               .kv_tokens = tokens[t][1],
                               .gap = 3,
                               .magnitude = 1,
                               .threads = 2,
                               .kernels = kernels};
            check(&s, 7, TOLERANCE);
        }
    }
}

/* As merged tokens have: each item of a batch its own, over several blocks of keys. */
static void test_key_bias(void **state) {
    (void)state;
    static const size_t tokens[][2] = {{1, 300}, {50, 50}, {300, 600}};
    const vt_kernels *kernels;
    for (size_t k = 0; (kernels = vt_kernels_at(k)) != NULL; k++) {
        for (size_t t = 0; t < sizeof tokens / sizeof tokens[0]; t++) {
            const setting s = {.num_heads = 4,
                               .num_kv_heads = 2,
                               .head_dim = 16,
                               .batch = 2,
                               .q_tokens = tokens[t][0],
                               .kv_tokens = tokens[t][1],
                               .magnitude = 1,
                               .threads = 2,
                               .kernels = kernels,
                               .key_bias = true};
            check(&s, 7, TOLERANCE);
        }
    }
}

/* Scores of some thousands: exp overflows beyond 88 unless the maximum is taken off first, and the
 * maximum grows from block to block. A float score near 2^11 is rounded to a multiple of 2^-13,
 * which the exponential turns into a relative error of as much: hence the tolerance, 4 x 2^-13, for
 * any implementation in float. */
static void test_large_scores(void **state) {
    (void)state;
    const vt_kernels *kernels;
    for (size_t k = 0; (kernels = vt_kernels_at(k)) != NULL; k++) {
        const setting s = {.num_heads = 2,
                           .num_kv_heads = 2,
                           .head_dim = 64,
                           .batch = 1,
                           .q_tokens = 300,
                           .kv_tokens = 700,
                           .magnitude = 40,
                           .threads = 1,
                           .kernels = kernels};
        check(&s, 7, ldexp(1, -11));
    }
}

/* The largest key comes last, so that every block scales down all that came before it; and first,
 * so that later blocks add nothing. */
static void test_growing_and_falling_scores(void **state) {
    (void)state;
    const vt_kernels *kernels;
    for (size_t k = 0; (kernels = vt_kernels_at(k)) != NULL; k++) {
        for (size_t falling = 0; falling < 2; falling++) {
            const setting s = {.num_heads = 1,
                               .num_kv_heads = 1,
                               .head_dim = 1,
                               .batch = 1,
                               .q_tokens = 3,
                               .kv_tokens = 1025,
                               .magnitude = 1,
                               .threads = 1,
                               .kernels = kernels};
            data d = make_data(&s, 5);
            for (size_t i = 0; i < 3; i++)
                d.q[i] = (float)i + 1;
            for (size_t t = 0; t < s.kv_tokens; t++)
                d.k[t] = 0.25f * (float)(falling ? s.kv_tokens - t : t);
            run(&s, &d);
            compare(&s, &d, 1, TOLERANCE);
            free_data(&d);
        }
    }
}

/* Into how many pieces the queries are cut depends on the number of threads. */
static void check_threads(setting s) {
    s.threads = 1;
    data one = make_data(&s, 3);
    run(&s, &one);
    for (s.threads = 2; s.threads <= 5; s.threads++) {
        data more = make_data(&s, 3);
        run(&s, &more);
        if (memcmp(more.out, one.out, s.batch * s.q_tokens * one.out_ld * sizeof *one.out) != 0) {
            char text[160];
            describe(&s, text, sizeof text);
            fail_msg("%s%s: not the bits of one thread", text, s.causal ? ", causal" : "");
        }
        free_data(&more);
    }
    free_data(&one);
}

static void test_threads_do_not_change_a_bit(void **state) {
    (void)state;
    static const size_t tokens[][2] = {{600, 300}, {130, 130}, {197, 197},  {300, 300},
                                       {800, 280}, {544, 544}, {1025, 1025}};
    const vt_kernels *kernels;
    for (size_t k = 0; (kernels = vt_kernels_at(k)) != NULL; k++)
        for (size_t i = 0; i < 2 * sizeof tokens / sizeof tokens[0]; i++)
            check_threads((setting){.num_heads = 3,
                                    .num_kv_heads = 3,
                                    .head_dim = 24,
                                    .batch = 1 + i % 3 % 2,
                                    .q_tokens = tokens[i / 2][0],
                                    .kv_tokens = tokens[i / 2][1],
                                    .magnitude = 2,
                                    .kernels = kernels,
                                    .causal = i % 2});
}

static void test_scratch_does_not_grow_with_tokens(void **state) {
    (void)state;
    const vt_kernels *kernels = vt_kernels_at(0);
    const setting s = {.num_heads = 16, .num_kv_heads = 16, .head_dim = 128};
    const vt_attention_shape shape = shape_of(&s);
    size_t one = 0, three = 0, floats = 0;
    /* Tokens are no argument of it; that it is enough for 1025 of them, the address sanitizer sees.
     * */
    assert_true(vt_attention_scratch_size(kernels, &shape, 1, &one));
    assert_true(vt_attention_scratch_size(kernels, &shape, 3, &three));
    assert_true(one > 0 && one * sizeof(float) < 1 << 20);
    assert_int_equal(three, 3 * one);
    assert_false(vt_attention_scratch_size(kernels, &shape, SIZE_MAX / 2, &floats));
}

/* Without positions a token is told from another by its content alone. */
static void test_permuting_tokens_permutes_the_output(void **state) {
    (void)state;
    const setting s = {.num_heads = 2,
                       .num_kv_heads = 2,
                       .head_dim = 32,
                       .batch = 1,
                       .q_tokens = 301,
                       .kv_tokens = 301,
                       .magnitude = 1,
                       .threads = 2,
                       .kernels = vt_kernels_at(0)};
    data straight = make_data(&s, 11), permuted = make_data(&s, 11);
    size_t ld = straight.q_ld, row_bytes = ld * sizeof(float);
    for (size_t t = 0; t < s.q_tokens; t++) { /* 100 and 301 have no common factor */
        size_t from = t * 100 % s.q_tokens;
        memcpy(permuted.q + t * ld, straight.q + from * ld, row_bytes);
        memcpy(permuted.k + t * ld, straight.k + from * ld, row_bytes);
        memcpy(permuted.v + t * ld, straight.v + from * ld, row_bytes);
    }
    run(&s, &straight);
    run(&s, &permuted);
    for (size_t t = 0; t < s.q_tokens; t++)
        expect_close("a permuted token", permuted.out + t * ld,
                     straight.out + t * 100 % s.q_tokens * ld, ld, TOLERANCE);
    free_data(&permuted);
    free_data(&straight);
}

/* With all scores equal the output is the mean of the values. */
static void test_equal_scores_give_the_mean(void **state) {
    (void)state;
    const setting s = {.num_heads = 1,
                       .num_kv_heads = 1,
                       .head_dim = 8,
                       .batch = 1,
                       .q_tokens = 2,
                       .kv_tokens = 1000,
                       .magnitude = 0,
                       .threads = 1,
                       .kernels = vt_kernels_at(0)};
    data d = make_data(&s, 2);
    double mean = 0;
    run(&s, &d);
    for (size_t t = 0; t < s.kv_tokens; t++)
        mean += (double)d.v[t * d.kv_ld] / (double)s.kv_tokens;
    assert_true(fabs((double)d.out[0] - mean) < TOLERANCE);
    free_data(&d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_head_widths_and_tokens),
        cmocka_unit_test(test_heads_batches_strides_and_threads),
        cmocka_unit_test(test_more_keys_than_queries_and_fewer),
        cmocka_unit_test(test_key_bias),
        cmocka_unit_test(test_large_scores),
        cmocka_unit_test(test_growing_and_falling_scores),
        cmocka_unit_test(test_threads_do_not_change_a_bit),
        cmocka_unit_test(test_scratch_does_not_grow_with_tokens),
        cmocka_unit_test(test_permuting_tokens_permutes_the_output),
        cmocka_unit_test(test_equal_scores_give_the_mean),
    };
    return cmocka_run_group_tests_name("attention", tests, NULL, NULL);
}
