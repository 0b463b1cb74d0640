/* SPDX-License-Identifier: MIT
 *
 * Blocks whose norms stand at the end of each branch (EVA-02-CLIP-E), put together from blocks
 * without norms and the norm itself. /
 */
#include "support.h"

#include <stdlib.h>
#include <string.h>

#include "nn/encoder.h"

enum { ROWS = 5, WIDTH = 8, HEADS = 2, HIDDEN = 12 };

typedef struct parts {
    const vt_kernels *kernels;
    vt_packed qkv, proj, fc1, fc2;
    float qkv_bias[3 * WIDTH], proj_bias[WIDTH], fc1_bias[HIDDEN], fc2_bias[WIDTH];
    float norm_weight[2][WIDTH], norm_bias[2][WIDTH];
    float x[ROWS * WIDTH];
} parts;

static void make_packed(parts *p, vt_packed *out, test_random *random, size_t n, size_t k) {
    float weight[3 * WIDTH * HIDDEN];
    vt_error err = {0};
    random_floats(random, weight, n * k);
    expect_ok(vt_packed_create(out, p->kernels, VT_STORE_F32, n, k, &err), &err);
    vt_pack_rows(p->kernels, out, 0, weight, n);
}

static void make_parts(parts *p, const vt_kernels *kernels) {
    test_random random = {11};
    *p = (parts){.kernels = kernels};
    make_packed(p, &p->qkv, &random, 3 * WIDTH, WIDTH);
    make_packed(p, &p->proj, &random, WIDTH, WIDTH);
    make_packed(p, &p->fc1, &random, HIDDEN, WIDTH);
    make_packed(p, &p->fc2, &random, WIDTH, HIDDEN);
    random_floats(&random, p->qkv_bias, 3 * WIDTH);
    random_floats(&random, p->proj_bias, WIDTH);
    random_floats(&random, p->fc1_bias, HIDDEN);
    random_floats(&random, p->fc2_bias, WIDTH);
    random_floats(&random, p->norm_weight[0], 2 * WIDTH);
    random_floats(&random, p->norm_bias[0], 2 * WIDTH);
    random_floats(&random, p->x, ROWS * WIDTH);
}

static void free_parts(parts *p) {
    vt_packed_free(&p->qkv);
    vt_packed_free(&p->proj);
    vt_packed_free(&p->fc1);
    vt_packed_free(&p->fc2);
}

static vt_block make_block(const parts *p) {
    return (vt_block){
        .qkv = {p->qkv, p->qkv_bias},
        .proj = {p->proj, p->proj_bias},
        .mlp = {.fc1 = {p->fc1, p->fc1_bias},
                .fc2 = {p->fc2, p->fc2_bias},
                .activation = VT_ACT_GELU_ERF},
    };
}

static vt_norm make_norm(const parts *p, size_t i) {
    return (vt_norm){
        .weight = p->norm_weight[i], .bias = p->norm_bias[i], .kind = VT_NORM_LAYER, .eps = 1e-6f};
}

/* x through one block, in place. */
static void run_block(const parts *p, const vt_block *block, vt_norm_order order, float *x) {
    const vt_encoder_config config = {
        .depth = 1,
        .width = WIDTH,
        .mlp_dim = HIDDEN,
        .order = order,
        .attention = {.num_heads = HEADS,
                      .num_kv_heads = HEADS,
                      .head_dim = WIDTH / HEADS,
                      .scale = 0.5f},
    };
    const vt_encoder_pass pass = {.batch = 1, .tokens = ROWS};
    const vt_compute compute = {.kernels = p->kernels};
    vt_encoder_workspace workspace;
    vt_arena measure = {0};
    vt_encoder_workspace_carve(&workspace, &measure, &config, p->kernels, ROWS, 1);
    void *memory = vt_malloc(measure.used, 1);
    assert_non_null(memory);
    vt_arena arena = {.base = memory};
    vt_encoder_workspace_carve(&workspace, &arena, &config, p->kernels, ROWS, 1);
    vt_encoder_forward(&compute, &config, block, &workspace, x, &pass);
    vt_free(memory);
}

/* x = x + norm(branch), where the branch is what a block without norms adds to x by one of its
 * halves: LayerScale turns the other off. */
static void add_branch(const parts *p, float *x, size_t half) {
    static const float zeros[WIDTH];
    const vt_compute compute = {.kernels = p->kernels};
    float branch[ROWS * WIDTH];
    vt_block block = make_block(p);
    vt_norm norm = make_norm(p, half);
    block.scale1 = half == 1 ? zeros : NULL;
    block.scale2 = half == 0 ? zeros : NULL;
    memcpy(branch, x, sizeof branch);
    run_block(p, &block, VT_NORM_FIRST, branch);
    for (size_t i = 0; i < ROWS * WIDTH; i++)
        branch[i] -= x[i];
    vt_norm_forward(&compute, &norm, branch, WIDTH, branch, WIDTH, ROWS, WIDTH);
    for (size_t i = 0; i < ROWS * WIDTH; i++)
        x[i] += branch[i];
}

static void test_norm_at_the_end_of_branches(void **state) {
    (void)state;
    const vt_kernels *kernels;
    for (size_t i = 0; (kernels = vt_kernels_at(i)) != NULL; i++) {
        parts p;
        float expected[ROWS * WIDTH];
        make_parts(&p, kernels);
        memcpy(expected, p.x, sizeof expected);
        add_branch(&p, expected, 0);
        add_branch(&p, expected, 1);
        vt_block block = make_block(&p);
        block.norm1 = make_norm(&p, 0);
        block.norm2 = make_norm(&p, 1);
        run_block(&p, &block, VT_NORM_BRANCH, p.x);
        expect_close(kernels->name, p.x, expected, ROWS * WIDTH, 2e-5);
        free_parts(&p);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_norm_at_the_end_of_branches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
