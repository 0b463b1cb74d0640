/* SPDX-License-Identifier: MIT
 *
 * The pieces that positions are made of against transformers and timm: ALiBi's slopes, T5's
 * buckets, rotary tables of text under every scaling and of pictures
 * (tests/data/golden/primitives).
 */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"
#include "models/rope_config.h"
#include "nn/bias.h"

/* One file of primitives. */
typedef struct primitives {
    vt_tensor_file *file;
    json_t *index, *entry;
    double tolerance;
} primitives;

static primitives open_primitives(const char *name) {
    primitives p;
    vt_error err = {0};
    expect_ok(vt_tensor_file_open(&p.file, data_path("golden", "primitives", name, NULL), &err),
              &err);
    p.index = load_json(data_path("golden", "primitives", "index.json", NULL));
    p.entry = json_object_get(p.index, name);
    assert_non_null(p.entry);
    p.tolerance = json_number_value(json_object_get(p.entry, "suggested_atol"));
    return p;
}

static void close_primitives(primitives *p) {
    vt_tensor_file_close(p->file);
    json_decref(p->index);
}

static void expect_tensor(const primitives *p, const char *name, const float *found, size_t n) {
    const vt_tensor *expected = f32_tensor(p->file, name);
    assert_int_equal(tensor_elements(expected), n);
    expect_close(name, found, expected->data, n, p->tolerance);
}

/* ---- ALiBi -------------------------------------------------------------------------------------
 */

/* The references add one row to all queries: slope * key, or slope * (key - last). Ours depends on
 * the query, and is another constant away in each row, which the softmax does not see: it is theirs
 * at the last query, and at the first with its sign turned. */
static void expect_bias(const primitives *p, const char *name, const float *slopes,
                        size_t num_heads, bool from_last) {
    const vt_tensor *expected = f32_tensor(p->file, name);
    const vt_alibi alibi = vt_alibi_make(slopes);
    size_t keys = expected->shape[1];
    assert_int_equal(expected->shape[0], num_heads);
    for (size_t head = 0; head < num_heads; head++) {
        const float *row = (const float *)expected->data + head * keys;
        float found[8] = {0};
        assert_int_equal(keys, 8);
        alibi.base.add(&alibi.base, found, head, from_last ? keys - 1 : 0, 0, keys);
        for (size_t j = 0; j < keys; j++)
            found[j] = from_last ? found[j] : -found[j];
        expect_close(name, found, row, keys, p->tolerance);
    }
}

static void test_alibi(void **state) {
    (void)state;
    primitives p = open_primitives("alibi.safetensors");
    for (size_t n = 1; n <= 16; n++) {
        char name[32];
        float slopes[16];
        vt_alibi_slopes(slopes, n, VT_ALIBI_BLOOM, 8);
        snprintf(name, sizeof name, "bloom_slopes.%zu", n);
        expect_tensor(&p, name, slopes, n);
        snprintf(name, sizeof name, "bloom_bias.%zu", n);
        expect_bias(&p, name, slopes, n, false);
        vt_alibi_slopes(slopes, n, VT_ALIBI_MPT, 8);
        snprintf(name, sizeof name, "mpt_bias.%zu", n);
        expect_bias(&p, name, slopes, n, true);
    }
    close_primitives(&p);
}

/* A later key is as far away as an earlier one. */
static void test_alibi_symmetric(void **state) {
    (void)state;
    const float slopes[] = {0.5f, 0.25f};
    const vt_alibi alibi = vt_alibi_make(slopes);
    float scores[5] = {0};
    alibi.base.add(&alibi.base, scores, 1, 102, 100, 5);
    const float expected[] = {-0.5f, -0.25f, 0, -0.25f, -0.5f};
    expect_close("-m |i - j|", scores, expected, 5, 0);
}

/* ---- T5 ----------------------------------------------------------------------------------------
 */

static void expect_buckets(const primitives *p, size_t buckets, size_t reach, bool bidirectional) {
    const vt_tensor *positions = vt_tensor_file_find(p->file, "relative_position");
    char name[48];
    snprintf(name, sizeof name, "bucket.%zu.%zu.%s", buckets, reach,
             bidirectional ? "bi" : "causal");
    const vt_tensor *expected = vt_tensor_file_find(p->file, name);
    assert_non_null(positions);
    assert_non_null(expected);
    float *table = malloc(buckets * sizeof *table);
    uint16_t *lookup = malloc((reach + 1) * sizeof *lookup);
    assert_true(table && lookup);
    for (size_t i = 0; i < buckets; i++)
        table[i] = (float)i;
    const vt_t5_bias bias = vt_t5_bias_make(table, lookup, 1, buckets, reach, bidirectional);
    for (size_t i = 0; i < tensor_elements(expected); i++) {
        int64_t relative = ((const int64_t *)positions->data)[i];
        int64_t bucket = ((const int64_t *)expected->data)[i];
        float found = 0;
        assert_int_equal(vt_t5_bucket(relative, bidirectional, buckets, reach), bucket);
        bias.base.add(&bias.base, &found, 0, 1000, (size_t)(1000 + relative), 1);
        assert_int_equal((int64_t)found, bucket); /* the lookup agrees with the formula */
    }
    free(lookup);
    free(table);
}

static void test_t5_buckets(void **state) {
    (void)state;
    static const size_t sizes[][2] = {{32, 128}, {16, 40}, {12, 30}, {64, 256}};
    primitives p = open_primitives("t5_buckets.safetensors");
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        expect_buckets(&p, sizes[i][0], sizes[i][1], true);
        expect_buckets(&p, sizes[i][0], sizes[i][1], false);
    }
    close_primitives(&p);
}

/* The bias that a T5 checkpoint adds, [1][heads][tokens][tokens]. */
static void expect_position_bias(const char *name, size_t tokens, size_t buckets, size_t reach) {
    vt_tensor_file *weights, *golden;
    vt_error err = {0};
    char stage[32];
    uint16_t lookup[256];
    float row[64] = {0};
    expect_ok(
        vt_tensor_file_open(&weights, data_path("golden", name, "model.safetensors", NULL), &err),
        &err);
    expect_ok(
        vt_tensor_file_open(&golden, data_path("golden", name, "expected.safetensors", NULL), &err),
        &err);
    snprintf(stage, sizeof stage, "position_bias.%zu", tokens);
    const vt_tensor *expected = f32_tensor(golden, stage);
    const vt_tensor *table =
        f32_tensor(weights, "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight");
    size_t num_heads = table->shape[1];
    const vt_t5_bias bias = vt_t5_bias_make(table->data, lookup, num_heads, buckets, reach, true);
    assert_int_equal(tensor_elements(expected), num_heads * tokens * tokens);
    for (size_t head = 0; head < num_heads; head++) {
        for (size_t query = 0; query < tokens; query++) {
            memset(row, 0, sizeof row);
            bias.base.add(&bias.base, row, head, query, 0, tokens);
            expect_close(stage, row,
                         (const float *)expected->data + (head * tokens + query) * tokens, tokens,
                         1e-5);
        }
    }
    vt_tensor_file_close(golden);
    vt_tensor_file_close(weights);
}

static void test_t5_position_bias(void **state) {
    (void)state;
    expect_position_bias("text_t5_encoder", 9, 32, 128);
    expect_position_bias("text_t5_encoder", 60, 32, 128);
    expect_position_bias("text_t5v11_encoder", 9, 16, 40);
    expect_position_bias("text_t5v11_encoder", 60, 16, 40);
}

/* ---- rotary positions of text ------------------------------------------------------------------
 */

enum { PAIRS = 16, HEAD_DIM = 2 * PAIRS, ROWS = 80, HEADS = 2 };

/* q of the file is [1][heads][tokens][head_dim], ours [tokens][heads][head_dim]. */
static void swap_axes(float *out, const float *in, size_t a, size_t b, size_t n) {
    for (size_t i = 0; i < a; i++)
        for (size_t j = 0; j < b; j++)
            memcpy(out + (j * a + i) * n, in + (i * b + j) * n, n * sizeof *out);
}

static void expect_rotated(const primitives *p, const char *name, const vt_rope *rope) {
    static float q[ROWS * HEADS * HEAD_DIM], back[ROWS * HEADS * HEAD_DIM];
    const vt_compute compute = {.kernels = vt_kernels_at(0)};
    swap_axes(q, f32_tensor(p->file, "q")->data, HEADS, ROWS, HEAD_DIM);
    vt_rope_apply(&compute, rope, q, HEADS * HEAD_DIM, 1, ROWS, HEADS, HEAD_DIM);
    swap_axes(back, q, ROWS, HEADS, HEAD_DIM);
    expect_tensor(p, name, back, ROWS * HEADS * HEAD_DIM);
}

static void expect_rule(const primitives *p, const char *rule, const vt_rope_config *config,
                        size_t length) {
    static float cosines[ROWS * PAIRS], sines[ROWS * PAIRS];
    float frequencies[VT_ROPE_MAX_PAIRS];
    char name[64];
    float factor = (float)vt_rope_frequencies(frequencies, config, length);
    snprintf(name, sizeof name, "inv_freq.%s.%zu", rule, length);
    expect_tensor(p, name, frequencies, PAIRS);
    snprintf(name, sizeof name, "attention_scaling.%s.%zu", rule, length);
    expect_tensor(p, name, &factor, 1);
    vt_rope_fill(cosines, sines, config, length, 0, length);
    snprintf(name, sizeof name, "cos.%s.%zu", rule, length);
    expect_tensor(p, name, cosines, length * PAIRS);
    snprintf(name, sizeof name, "sin.%s.%zu", rule, length);
    expect_tensor(p, name, sines, length * PAIRS);
    snprintf(name, sizeof name, "q_rotated.%s.%zu", rule, length);
    const vt_rope rope = {.cos = cosines, .sin = sines, .pairs = PAIRS, .layout = VT_ROPE_HALVES};
    if (vt_tensor_file_find(p->file, name))
        expect_rotated(p, name, &rope);
}

static vt_status read_rope(vt_rope_config *out, const json_t *config, vt_error *err) {
    static const vt_rope_defaults defaults = {.theta = 10000};
    vt_json_reader reader = vt_json_reader_of(config, "config.json", err);
    size_t head_dim = vt_json_size(&reader, "head_dim", HEAD_DIM);
    vt_rope_config_read(out, &reader, head_dim, &defaults);
    return reader.status;
}

static void test_rope(void **state) {
    (void)state;
    primitives p = open_primitives("rope.safetensors");
    const char *rule;
    json_t *value;
    size_t count = 0;
    json_object_foreach(json_object_get(p.entry, "rules"), rule, value) {
        vt_rope_config config;
        vt_error err = {0};
        expect_ok(read_rope(&config, value, &err), &err);
        expect_rule(&p, rule, &config, 24);
        expect_rule(&p, rule, &config, ROWS);
        count++;
    }
    assert_int_equal(count, 11);
    close_primitives(&p);
}

/* A window of the table is what the whole table has there. */
static void test_rope_from_the_middle(void **state) {
    (void)state;
    vt_rope_config config = {.theta = 10000,
                             .pairs = PAIRS,
                             .max_positions = 64,
                             .factor = 4,
                             .scaling = VT_ROPE_SCALING_YARN};
    float whole[2][ROWS * PAIRS], part[2][7 * PAIRS];
    vt_rope_fill(whole[0], whole[1], &config, ROWS, 0, ROWS);
    vt_rope_fill(part[0], part[1], &config, ROWS, 41, 7);
    for (size_t i = 0; i < 2; i++)
        expect_close("rows 41 to 47", part[i], whole[i] + 41 * PAIRS, 7 * PAIRS, 0);
}

/* ---- what a configuration or a user says -------------------------------------------------------
 */

static vt_rope_config parse(const char *text) {
    vt_rope_config config = {0};
    vt_error err = {0};
    json_t *json = json_loads(text, 0, NULL);
    assert_non_null(json);
    expect_ok(read_rope(&config, json, &err), &err);
    json_decref(json);
    return config;
}

/* transformers 5 has all in one object; what it says is what version 4 said. */
static void test_rope_parameters(void **state) {
    (void)state;
    vt_rope_config new = parse("{\"rope_parameters\": {\"rope_type\": \"yarn\", \"factor\": 4.0, "
                               "\"rope_theta\": 500000.0, \"partial_rotary_factor\": 0.5, "
                               "\"original_max_position_embeddings\": 32}}");
    vt_rope_config old =
        parse("{\"rope_scaling\": {\"type\": \"yarn\", \"factor\": 4.0, "
              "\"original_max_position_embeddings\": 32}, \"rope_theta\": 500000.0, "
              "\"partial_rotary_factor\": 0.5}");
    assert_int_equal(new.scaling, VT_ROPE_SCALING_YARN);
    assert_int_equal(new.pairs, PAIRS / 2);
    assert_true(new.theta == 500000 && new.original_positions == 32 && new.factor == 4);
    assert_memory_equal(&new, &old, sizeof new);
    vt_rope_config plain = parse("{\"rope_parameters\": {\"rope_type\": \"default\"}}");
    assert_int_equal(plain.scaling, VT_ROPE_SCALING_NONE);
}

static void test_rope_refusals(void **state) {
    (void)state;
    static const char *const wrong[] = {
        "{\"rope_theta\": 0}",
        "{\"rope_theta\": -5.0}",
        "{\"rope_theta\": \"10000\"}",
        "{\"rope_scaling\": 4}",
        "{\"rope_scaling\": {\"rope_type\": \"nosuch\", \"factor\": 2.0}}",
        "{\"rope_scaling\": {\"rope_type\": \"linear\", \"factor\": 0.0}}",
        "{\"rope_scaling\": {\"rope_type\": \"linear\", \"factor\": -1.0}}",
        "{\"rope_scaling\": {\"rope_type\": \"yarn\", \"factor\": 4.0, \"beta_fast\": -1}}",
        "{\"rope_scaling\": {\"rope_type\": \"longrope\", \"factor\": 4.0}}",
        "{\"rope_scaling\": {\"rope_type\": \"longrope\", \"factor\": 4.0, \"short_factor\": [1], "
        "\"long_factor\": [1]}}",
        "{\"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 8.0, \"low_freq_factor\": 4.0, "
        "\"high_freq_factor\": 4.0}}",
        "{\"partial_rotary_factor\": 0.0}",
        "{\"partial_rotary_factor\": 1.5}",
        "{\"max_position_embeddings\": 1}",
        "{\"head_dim\": 1}",
        "{\"head_dim\": 100000}",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        vt_rope_config config;
        vt_error err = {0};
        json_t *json = json_loads(wrong[i], 0, NULL);
        assert_non_null(json);
        if (read_rope(&config, json, &err) == VT_OK)
            fail_msg("%s was taken", wrong[i]);
        assert_true(strlen(err.message) > 0);
        json_decref(json);
    }
}

static void test_rope_override(void **state) {
    (void)state;
    static const struct {
        const char *text;
        vt_rope_scaling_kind kind;
        double factor;
    } right[] = {{"none", VT_ROPE_SCALING_NONE, 1},
                 {"linear:4", VT_ROPE_SCALING_LINEAR, 4},
                 {"ntk:2", VT_ROPE_SCALING_NTK, 2},
                 {"dynamic:4", VT_ROPE_SCALING_DYNAMIC, 4},
                 {"yarn:2.5", VT_ROPE_SCALING_YARN, 2.5}};
    static const char *const wrong[] = {"",
                                        "yarn",
                                        "yarn:",
                                        "yarn:x",
                                        "yarn:4x",
                                        "yarn:0",
                                        "yarn:-4",
                                        "yarn:nan",
                                        "yarn:1e9",
                                        ":4",
                                        "none:4",
                                        "llama3:8",
                                        "longrope:4",
                                        "default",
                                        "default:1",
                                        "nosuch:4",
                                        "linearlinearlinearlinearlinear:4"};
    vt_error err = {0};
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        vt_rope_config config = {.theta = 500,
                                 .pairs = 8,
                                 .max_positions = 128,
                                 .factor = 8,
                                 .original_positions = 32,
                                 .scaling = VT_ROPE_SCALING_LLAMA3};
        expect_ok(vt_rope_config_override(&config, right[i].text, &err), &err);
        assert_int_equal(config.scaling, right[i].kind);
        assert_true(config.factor == right[i].factor && config.theta == 500 && config.pairs == 8);
        assert_int_equal(config.max_positions, 32); /* what it was trained on */
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        vt_rope_config config = {.theta = 500, .pairs = 8, .max_positions = 128};
        if (vt_rope_config_override(&config, wrong[i], &err) != VT_ERR_ARGUMENT)
            fail_msg("\"%s\" was taken", wrong[i]);
    }
}

static void test_rope_option(void **state) {
    (void)state;
    vt_model_options options = VT_MODEL_OPTIONS_INIT;
    vt_error err = {0};
    vt_model *model;
    options.rope_scaling = "yarn:4";
    expect_ok(vt_model_open(&model, data_path("golden", "text_llama", NULL), &options, &err), &err);
    vt_model_close(model);
    assert_int_equal(vt_model_open(&model, data_path("golden", "text_gpt2", NULL), &options, &err),
                     VT_ERR_UNSUPPORTED);
    options.rope_scaling = "faster";
    assert_int_equal(vt_model_open(&model, data_path("golden", "text_llama", NULL), &options, &err),
                     VT_ERR_ARGUMENT);
    assert_non_null(strstr(err.message, "yarn:F"));
}

/* ---- rotary positions of pictures --------------------------------------------------------------
 */

/* A row of the golden is sines, then cosines, each of head_dim = 2 pairs: a pair's twice in a row,
 * or the pairs once and again. */
static void expect_rope2d(const primitives *p, const char *name, const vt_rope2d_config *config,
                          size_t grid_h, size_t grid_w) {
    static float cosines[63 * 8], sines[63 * 8], row[32];
    const vt_tensor *expected = f32_tensor(p->file, name);
    size_t pairs = config->pairs;
    assert_int_equal(tensor_elements(expected), grid_h * grid_w * 4 * pairs);
    vt_rope2d_fill(cosines, sines, config, grid_h, grid_w);
    for (size_t at = 0; at < grid_h * grid_w; at++) {
        for (size_t i = 0; i < 2 * pairs; i++) {
            size_t pair = at * pairs + (config->layout == VT_ROPE_HALVES ? i % pairs : i / 2);
            row[i] = sines[pair];
            row[2 * pairs + i] = cosines[pair];
        }
        expect_close(name, row, (const float *)expected->data + at * 4 * pairs, 4 * pairs,
                     p->tolerance);
    }
}

static void test_rope2d(void **state) {
    (void)state;
    static const size_t grids[][2] = {{4, 4}, {5, 3}, {7, 9}};
    primitives p = open_primitives("rope2d.safetensors");
    vt_rope2d_config eva = {
        .kind = VT_ROPE2D_EVA, .theta = 10000, .pairs = 8, .layout = VT_ROPE_INTERLEAVED};
    vt_rope2d_config referred = eva;
    vt_rope2d_config dinov3 = {
        .kind = VT_ROPE2D_DINOV3, .theta = 100, .pairs = 8, .layout = VT_ROPE_HALVES};
    referred.ref_h = referred.ref_w = 4;
    for (size_t i = 0; i < 3; i++) {
        char name[48];
        snprintf(name, sizeof name, "eva02_cat.ref4x4.%zux%zu", grids[i][0], grids[i][1]);
        expect_rope2d(&p, name, &referred, grids[i][0], grids[i][1]);
        snprintf(name, sizeof name, "eva02_cat.noref.%zux%zu", grids[i][0], grids[i][1]);
        expect_rope2d(&p, name, &eva, grids[i][0], grids[i][1]);
        snprintf(name, sizeof name, "dinov3_cat.%zux%zu", grids[i][0], grids[i][1]);
        expect_rope2d(&p, name, &dinov3, grids[i][0], grids[i][1]);
    }
    close_primitives(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alibi),
        cmocka_unit_test(test_alibi_symmetric),
        cmocka_unit_test(test_t5_buckets),
        cmocka_unit_test(test_t5_position_bias),
        cmocka_unit_test(test_rope),
        cmocka_unit_test(test_rope_from_the_middle),
        cmocka_unit_test(test_rope_parameters),
        cmocka_unit_test(test_rope_refusals),
        cmocka_unit_test(test_rope_override),
        cmocka_unit_test(test_rope_option),
        cmocka_unit_test(test_rope2d),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
