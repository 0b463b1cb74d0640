/* SPDX-License-Identifier: MIT
 *
 * A pass of which the first tokens of each item are wanted, against the same pass of all tokens:
 * last blocks that need keys and values of the others, and such that absorb them.
 */
#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/absorbed.h"
#include "nn/encoder.h"

/* Heads that begin amid panels of 8, 16 and 32 columns, and are wider together than a token. */
enum { DEPTH = 2, WIDTH = 40, HEADS = 5, HEAD_DIM = 12, Q_WIDTH = HEADS * HEAD_DIM, HIDDEN = 52 };
enum { BATCH = 3, TOKENS = 270, MOST_ROWS = BATCH * TOKENS };

typedef struct encoder {
    const vt_kernels *kernels;
    vt_encoder_config config;
    vt_block blocks[DEPTH];
    float vectors[DEPTH][8][3 * Q_WIDTH]; /* biases and norms */
} encoder;

static vt_dense make_dense(encoder *e, test_random *random, vt_storage storage, const float *bias,
                           size_t n, size_t k) {
    vt_dense dense = {.bias = bias};
    vt_error err = {0};
    float *weight = malloc(n * k * sizeof *weight);
    assert_non_null(weight);
    random_floats(random, weight, n * k);
    for (size_t i = 0; i < n * k; i++)
        weight[i] *= 0.3f;
    expect_ok(vt_packed_create(&dense.weight, e->kernels, storage, n, k, &err), &err);
    vt_pack_rows(e->kernels, &dense.weight, 0, weight, n);
    free(weight);
    return dense;
}

static vt_norm make_norm(const float *weight, const float *bias) {
    return (vt_norm){.weight = weight, .bias = bias, .kind = VT_NORM_LAYER, .eps = 1e-6f};
}

static void make_encoder(encoder *e, const vt_kernels *kernels, vt_storage storage,
                         vt_norm_order order) {
    test_random random = {7};
    *e = (encoder){.kernels = kernels,
                   .config = {.depth = DEPTH,
                              .width = WIDTH,
                              .mlp_dim = HIDDEN,
                              .order = order,
                              .attention = vt_attention_shape_of(HEADS, HEAD_DIM)}};
    for (size_t i = 0; i < DEPTH; i++) {
        float(*v)[3 * Q_WIDTH] = e->vectors[i];
        random_floats(&random, v[0], sizeof e->vectors[i] / sizeof(float));
        e->blocks[i] = (vt_block){
            .norm1 = make_norm(v[0], v[1]),
            .qkv = make_dense(e, &random, storage, v[2], 3 * Q_WIDTH, WIDTH),
            .proj = make_dense(e, &random, storage, v[3], WIDTH, Q_WIDTH),
            .norm2 = make_norm(v[4], v[5]),
            .mlp = {.fc1 = make_dense(e, &random, storage, v[6], HIDDEN, WIDTH),
                    .fc2 = make_dense(e, &random, storage, v[7], WIDTH, HIDDEN),
                    .activation = VT_ACT_GELU_ERF},
        };
    }
}

static void free_encoder(encoder *e) {
    for (size_t i = 0; i < DEPTH; i++) {
        vt_packed_free(&e->blocks[i].qkv.weight);
        vt_packed_free(&e->blocks[i].proj.weight);
        vt_packed_free(&e->blocks[i].mlp.fc1.weight);
        vt_packed_free(&e->blocks[i].mlp.fc2.weight);
    }
}

/* x through all blocks, in place, in memory that holds no numbers before. */
static size_t run(const encoder *e, const vt_encoder_pass *pass, size_t threads, size_t rows,
                  float *x) {
    vt_encoder_workspace workspace;
    vt_arena measure = {0};
    vt_pool *pool;
    vt_error err = {0};
    expect_ok(vt_pool_create(&pool, threads, &err), &err);
    vt_encoder_workspace_carve(&workspace, &measure, &e->config, e->kernels, rows, threads);
    float *memory = vt_malloc(measure.used, 1);
    assert_non_null(memory);
    for (size_t i = 0; i < measure.used / sizeof *memory; i++)
        memory[i] = NAN;
    vt_arena arena = {.base = (unsigned char *)memory};
    vt_encoder_workspace_carve(&workspace, &arena, &e->config, e->kernels, rows, threads);
    const vt_compute compute = {.kernels = e->kernels, .pool = pool};
    size_t left = vt_encoder_forward(&compute, &e->config, e->blocks, &workspace, x, pass);
    vt_free(memory);
    vt_pool_destroy(pool);
    return left;
}

static size_t length_of(const vt_encoder_pass *pass, size_t item) {
    return pass->lengths ? pass->lengths[item] : pass->tokens;
}

/* The pass of all tokens, that of `keep`, and each item of it alone, which must have its very bits.
 */
static void check(const encoder *e, vt_encoder_pass pass, size_t keep, size_t threads) {
    static float all[MOST_ROWS * WIDTH], few[MOST_ROWS * WIDTH], alone[TOKENS * WIDTH];
    size_t rows = 0, first = 0;
    test_random random = {31};
    for (size_t item = 0; item < pass.batch; item++)
        rows += length_of(&pass, item);
    random_floats(&random, all, rows * WIDTH);
    memcpy(few, all, rows * WIDTH * sizeof *all);
    const vt_encoder_pass whole = pass;
    pass.keep = keep;
    assert_int_equal(run(e, &pass, threads, rows, few), pass.batch * keep);
    for (size_t item = 0; item < pass.batch; item++) {
        size_t tokens = length_of(&pass, item);
        vt_encoder_pass one = {.batch = 1, .tokens = tokens, .keep = keep, .biases = pass.biases};
        one.key_mask = pass.key_mask ? pass.key_mask + first : NULL;
        memcpy(alone, all + first * WIDTH, tokens * WIDTH * sizeof *alone);
        run(e, &one, 1, tokens, alone);
        assert_memory_equal(alone, few + item * keep * WIDTH, keep * WIDTH * sizeof *alone);
        first += tokens;
    }
    assert_int_equal(run(e, &whole, 1, rows, all), rows);
    for (size_t item = 0, row = 0; item < pass.batch; row += length_of(&pass, item++))
        expect_close(e->kernels->name, few + item * keep * WIDTH, all + row * WIDTH, keep * WIDTH,
                     4e-6);
}

typedef struct slope {
    vt_attention_bias base;
} slope;

static void add_slope(const vt_attention_bias *self, float *scores, size_t head, size_t query,
                      size_t key, size_t count) {
    (void)self;
    for (size_t j = 0; j < count; j++)
        scores[j] -= 0.01f * (float)(head + 1) * fabsf((float)(key + j) - (float)query);
}

static void check_passes(const encoder *e, size_t keep, size_t threads) {
    static const size_t lengths[BATCH] = {TOKENS, 3, 40};
    static uint8_t mask[MOST_ROWS];
    const slope bias = {{add_slope}};
    const vt_attention_bias *biases[DEPTH] = {&bias.base, &bias.base};
    for (size_t i = 0; i < MOST_ROWS; i++)
        mask[i] = i % 7 != 3;
    check(e, (vt_encoder_pass){.batch = BATCH, .tokens = TOKENS}, keep, threads);
    check(e, (vt_encoder_pass){.batch = 2, .tokens = 4}, keep, threads);
    check(e, (vt_encoder_pass){.batch = BATCH, .tokens = TOKENS, .lengths = lengths}, keep,
          threads);
    check(e,
          (vt_encoder_pass){.batch = BATCH, .tokens = TOKENS, .key_mask = mask, .biases = biases},
          keep, threads);
}

static void check_encoder(const vt_kernels *kernels, vt_storage storage, vt_norm_order order) {
    encoder e;
    make_encoder(&e, kernels, storage, order);
    for (size_t keep = 1; keep <= 3; keep++) {
        assert_true(vt_block_can_absorb(&e.config, e.blocks, keep) ==
                    (keep <= VT_ABSORBED_QUERIES));
        check_passes(&e, keep, keep);
    }
    free_encoder(&e);
}

static void test_few_tokens(void **state) {
    (void)state;
    const vt_kernels *kernels;
    for (size_t i = 0; (kernels = vt_kernels_at(i)) != NULL; i++) {
        check_encoder(kernels, VT_STORE_F32, VT_NORM_FIRST);
        check_encoder(kernels, VT_STORE_F32, VT_NORM_LAST);
        check_encoder(kernels, VT_STORE_F32, VT_NORM_BRANCH);
        check_encoder(kernels, VT_STORE_F16, VT_NORM_FIRST);
        check_encoder(kernels, VT_STORE_BF16, VT_NORM_FIRST);
    }
}

/* What makes a key of more than its token's product with the weight. */
static void test_not_absorbed(void **state) {
    (void)state;
    const vt_kernels *kernels = vt_kernels_at(0);
    encoder e;
    make_encoder(&e, kernels, VT_STORE_F32, VT_NORM_FIRST);
    for (size_t i = 0; i < DEPTH; i++)
        e.blocks[i].q_norm = e.blocks[i].k_norm = make_norm(e.vectors[i][0], NULL);
    assert_false(vt_block_can_absorb(&e.config, e.blocks, 1));
    check_passes(&e, 1, 2);
    for (size_t i = 0; i < DEPTH; i++)
        e.blocks[i].q_norm = e.blocks[i].k_norm = (vt_norm){0};
    assert_true(vt_block_can_absorb(&e.config, e.blocks, 1));
    e.config.causal = true;
    assert_false(vt_block_can_absorb(&e.config, e.blocks, 1));
    free_encoder(&e);
    make_encoder(&e, kernels, VT_STORE_INT8, VT_NORM_FIRST);
    assert_false(vt_block_can_absorb(&e.config, e.blocks, 1));
    free_encoder(&e);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_few_tokens),
        cmocka_unit_test(test_not_absorbed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
