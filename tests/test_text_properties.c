/* SPDX-License-Identifier: MIT
 *
 * What must hold of positions, masks and caches whatever the weights: relative schemes see
 * differences alone, steps with a cache equal one pass, a window is a window, memory stays flat.
 */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocations.h"
#include "nn/bias.h"
#include "nn/kv_cache.h"
#include "nn/rope.h"

enum { MAX_TOKENS = 512, VOCAB = 61 };

static const char *directory; /* of the group: models that the tests write */

static float *make_floats(size_t n) {
    float *out = malloc(n * sizeof *out);
    assert_non_null(out);
    return out;
}

static float *random_values(uint64_t seed, size_t n) {
    test_random random = {seed};
    float *out = make_floats(n);
    random_floats(&random, out, n);
    return out;
}

static double largest_of(const float *x, size_t n) {
    double largest = 0;
    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, fabs((double)x[i]));
    return largest;
}

/* ---- attention against its definition ----------------------------------------------------------
 */

typedef struct attention_case {
    size_t batch, q_tokens, kv_tokens, q_position, kv_position;
    size_t num_heads, num_kv_heads, head_dim, window;
    bool causal, mask, bias;
} attention_case;

static bool sees(const attention_case *c, const uint8_t *mask, size_t item, size_t query,
                 size_t key) {
    size_t i = c->q_position + query, j = c->kv_position + key;
    if (c->mask && !mask[item * c->kv_tokens + key])
        return false;
    return !(c->causal && j > i) && !(c->window && (i > j ? i - j : j - i) >= c->window);
}

/* One query of one head in double. */
static void attend_naively(const attention_case *c, const float *q, const float *k, const float *v,
                           const uint8_t *mask, const float *slopes, size_t item, size_t head,
                           size_t query, double *out) {
    size_t n = c->head_dim, q_width = c->num_heads * n, kv_width = c->num_kv_heads * n;
    size_t kv_head = head / (c->num_heads / c->num_kv_heads);
    double scores[MAX_TOKENS], largest = -INFINITY, sum = 0;
    const float *q_row = q + (item * c->q_tokens + query) * q_width + head * n;
    for (size_t j = 0; j < c->kv_tokens; j++) {
        const float *k_row = k + (item * c->kv_tokens + j) * kv_width + kv_head * n;
        scores[j] = 0;
        for (size_t i = 0; i < n; i++)
            scores[j] += (double)q_row[i] * (double)k_row[i] / sqrt((double)n);
        double distance = (double)(c->q_position + query) - (double)(c->kv_position + j);
        if (c->bias)
            scores[j] -= (double)slopes[head] * fabs(distance);
        if (!sees(c, mask, item, query, j))
            scores[j] = -INFINITY;
        largest = fmax(largest, scores[j]);
    }
    memset(out, 0, n * sizeof *out);
    for (size_t j = 0; largest > -INFINITY && j < c->kv_tokens; j++) {
        double weight = exp(scores[j] - largest);
        sum += weight;
        for (size_t i = 0; i < n; i++)
            out[i] += weight * (double)v[(item * c->kv_tokens + j) * kv_width + kv_head * n + i];
    }
    for (size_t i = 0; sum > 0 && i < n; i++)
        out[i] /= sum;
}

static void run_attention(const attention_case *c, const vt_kernels *kernels, const float *q,
                          const float *k, const float *v, const uint8_t *mask,
                          const vt_attention_bias *bias, float *out) {
    const vt_attention_shape shape = {c->num_heads, c->num_kv_heads, c->head_dim,
                                      1.0f / sqrtf((float)c->head_dim)};
    const vt_compute compute = {.kernels = kernels};
    size_t floats = 0;
    assert_true(vt_attention_scratch_size(kernels, &shape, 1, &floats));
    float *scratch = aligned_alloc(64, (floats * sizeof *scratch + 63) / 64 * 64);
    assert_non_null(scratch);
    const vt_attention_args args = {
        .q = q,
        .k = k,
        .v = v,
        .q_ld = c->num_heads * c->head_dim,
        .kv_ld = c->num_kv_heads * c->head_dim,
        .out = out,
        .out_ld = c->num_heads * c->head_dim,
        .batch = c->batch,
        .q_tokens = c->q_tokens,
        .kv_tokens = c->kv_tokens,
        .q_position = c->q_position,
        .kv_position = c->kv_position,
        .causal = c->causal,
        .window = c->window,
        .key_mask = c->mask ? mask : NULL,
        .bias = c->bias ? bias : NULL,
    };
    vt_attention(&compute, &shape, &args, scratch);
    free(scratch);
}

static void compare_attention(const attention_case *c, const vt_kernels *kernels) {
    size_t q_width = c->num_heads * c->head_dim, kv_width = c->num_kv_heads * c->head_dim;
    size_t q_rows = c->batch * c->q_tokens, kv_rows = c->batch * c->kv_tokens;
    float *q = random_values(1, q_rows * q_width), *k = random_values(2, kv_rows * kv_width);
    float *v = random_values(3, kv_rows * kv_width), *out = make_floats(q_rows * q_width);
    uint8_t mask[4 * MAX_TOKENS];
    float slopes[16];
    test_random random = {4};
    assert_true(kv_rows <= sizeof mask && c->kv_tokens <= MAX_TOKENS && c->num_heads <= 16);
    for (size_t i = 0; i < kv_rows; i++)
        mask[i] = random_below(&random, 4) != 0;
    vt_alibi_slopes(slopes, c->num_heads, VT_ALIBI_BLOOM, 8);
    const vt_alibi alibi = vt_alibi_make(slopes);
    run_attention(c, kernels, q, k, v, mask, &alibi.base, out);
    double worst = 0, expected[128];
    assert_true(c->head_dim <= 128);
    for (size_t item = 0; item < c->batch; item++) {
        for (size_t query = 0; query < c->q_tokens; query++) {
            for (size_t head = 0; head < c->num_heads; head++) {
                const float *found =
                    out + (item * c->q_tokens + query) * q_width + head * c->head_dim;
                attend_naively(c, q, k, v, mask, slopes, item, head, query, expected);
                for (size_t i = 0; i < c->head_dim; i++)
                    worst = fmax(worst, fabs((double)found[i] - expected[i]));
            }
        }
    }
    if (!(worst <= 2e-6))
        fail_msg(
            "%s: %zu x %zu tokens from %zu, %zu, window %zu, causal %d, mask %d, bias %d: %.3g",
            kernels->name, c->q_tokens, c->kv_tokens, c->q_position, c->kv_position, c->window,
            c->causal, c->mask, c->bias, worst);
    free(q);
    free(k);
    free(v);
    free(out);
}

/* Every combination, with sizes on both sides of a tile and a block, with and without rows in a
 * cache. */
static void test_attention_equals_naive(void **state) {
    (void)state;
    static const size_t sizes[][4] = {{1, 1, 0, 0},     {3, 3, 0, 0},     {50, 50, 0, 0},
                                      {300, 300, 0, 0}, {1, 290, 289, 0}, {7, 300, 413, 120}};
    static const size_t windows[] = {0, 1, 5, 64, 1000};
    const vt_kernels *kernels;
    for (size_t table = 0; (kernels = vt_kernels_at(table)) != NULL; table++) {
        for (size_t i = 0; i < 6 * 5 * 8; i++) {
            const size_t *size = sizes[i % 6];
            size_t flags = i / 30;
            const attention_case c = {
                .batch = 2,
                .q_tokens = size[0],
                .kv_tokens = size[1],
                .q_position = size[2],
                .kv_position = size[3],
                .num_heads = 4,
                .num_kv_heads = 2,
                .head_dim = 12,
                .window = windows[i / 6 % 5],
                .causal = flags & 1,
                .mask = flags & 2,
                .bias = flags & 4,
            };
            compare_attention(&c, kernels);
        }
    }
}

/* ---- relative positions ------------------------------------------------------------------------
 */

static void test_alibi_depends_on_the_difference(void **state) {
    (void)state;
    attention_case c = {.batch = 1,
                        .q_tokens = 40,
                        .kv_tokens = 40,
                        .num_heads = 4,
                        .num_kv_heads = 4,
                        .head_dim = 16,
                        .causal = true,
                        .bias = true};
    size_t n = 40 * 64;
    float *q = random_values(1, n), *k = random_values(2, n), *v = random_values(3, n);
    float *here = make_floats(n), *there = make_floats(n), slopes[4];
    vt_alibi_slopes(slopes, 4, VT_ALIBI_BLOOM, 8);
    const vt_alibi alibi = vt_alibi_make(slopes);
    run_attention(&c, vt_kernels_at(0), q, k, v, NULL, &alibi.base, here);
    c.q_position = c.kv_position = 12345;
    run_attention(&c, vt_kernels_at(0), q, k, v, NULL, &alibi.base, there);
    expect_close("ALiBi, shifted", there, here, n, 0);
    free(q);
    free(k);
    free(v);
    free(here);
    free(there);
}

/* q . k of rotated rows i and j, for all i and j. The angle's own rounding, an F32 number of size
 * p, is what the tolerance allows for: 300 * 2^-24 rad a position. */
static void rope_scores(float *out, const vt_rope_config *config, size_t first, size_t tokens) {
    size_t n = 2 * config->pairs;
    float *x = random_values(7, 2 * tokens * n), *cosines = make_floats(tokens * config->pairs);
    float *sines = make_floats(tokens * config->pairs), *k = x + tokens * n;
    const vt_compute compute = {.kernels = vt_kernels_at(0)};
    vt_rope_fill(cosines, sines, config, 1000, first, tokens);
    const vt_rope rope = {
        .cos = cosines, .sin = sines, .pairs = config->pairs, .layout = config->layout};
    vt_rope_apply(&compute, &rope, x, n, 2, tokens, 1, n);
    for (size_t i = 0; i < tokens * tokens; i++)
        out[i] = compute.kernels->dot(x + i / tokens * n, k + i % tokens * n, n);
    free(x);
    free(cosines);
    free(sines);
}

static void test_rope_depends_on_the_difference(void **state) {
    (void)state;
    float here[20 * 20], there[20 * 20];
    for (size_t i = 0; i < 2 * 5; i++) { /* rules that need no more than a factor */
        const vt_rope_config config = {.theta = 10000,
                                       .pairs = 16,
                                       .max_positions = 64,
                                       .factor = 4,
                                       .scaling = (vt_rope_scaling_kind)(i / 2),
                                       .layout = i % 2 ? VT_ROPE_INTERLEAVED : VT_ROPE_HALVES};
        rope_scores(here, &config, 0, 20);
        rope_scores(there, &config, 300, 20);
        expect_close(vt_rope_scaling_name(config.scaling), there, here, 20 * 20, 1e-4);
    }
}

/* ---- models that the tests write ---------------------------------------------------------------
 */

typedef struct byte_model {
    vt_tensor tensors[64];
    char names[64][48];
    size_t count;
    test_random random;
} byte_model;

static void add_tensor(byte_model *m, const char *name, size_t rows, size_t columns, float scale,
                       float offset) {
    size_t n = rows * (columns ? columns : 1);
    float *data = make_floats(n);
    assert_true(m->count < 64);
    random_floats(&m->random, data, n);
    for (size_t i = 0; i < n; i++)
        data[i] = data[i] * scale + offset;
    snprintf(m->names[m->count], sizeof m->names[0], "%s", name);
    m->tensors[m->count] = (vt_tensor){.name = m->names[m->count],
                                       .dtype = VT_DTYPE_F32,
                                       .ndim = columns ? 2 : 1,
                                       .shape = {rows, columns},
                                       .data = data,
                                       .size = n * sizeof *data};
    m->count++;
}

static void add_layer(byte_model *m, size_t block, const char *layer, size_t rows, size_t columns) {
    char name[48];
    bool norm = columns == 0;
    snprintf(name, sizeof name, "blocks.%zu.%s.weight", block, layer);
    add_tensor(m, name, rows, columns, norm ? 0.3f : 1.7f / sqrtf((float)columns), norm ? 1 : 0);
    snprintf(name, sizeof name, "blocks.%zu.%s.bias", block, layer);
    add_tensor(m, name, rows, 0, 0.2f, 0);
}

/* A byte_lm of random weights: 2 blocks, 4 heads of 6. */
static const char *write_byte_lm(const char *extra) {
    enum { WIDTH = 24, MLP = 40 };
    byte_model m = {.random = {99}};
    char config[1024];
    vt_error err = {0};
    add_tensor(&m, "embed.weight", VOCAB, WIDTH, 1, 0);
    add_tensor(&m, "pos_embed.weight", 256, WIDTH, 1, 0);
    add_tensor(&m, "rel_bias.weight", 32, 4, 2, 0);
    for (size_t block = 0; block < 2; block++) {
        add_layer(&m, block, "norm1", WIDTH, 0);
        add_layer(&m, block, "attn.qkv", 3 * WIDTH, WIDTH);
        add_layer(&m, block, "attn.proj", WIDTH, WIDTH);
        add_layer(&m, block, "norm2", WIDTH, 0);
        add_layer(&m, block, "mlp.fc1", MLP, WIDTH);
        add_layer(&m, block, "mlp.fc2", WIDTH, MLP);
    }
    add_tensor(&m, "norm.weight", WIDTH, 0, 0.3f, 1);
    add_tensor(&m, "norm.bias", WIDTH, 0, 0.2f, 0);
    snprintf(config, sizeof config,
             "{\"model_type\": \"byte_lm\", \"vocab_size\": %d, \"hidden_size\": %d, "
             "\"num_hidden_layers\": 2, \"num_attention_heads\": 4, \"intermediate_size\": %d, "
             "\"hidden_act\": \"gelu\", \"max_position_embeddings\": 256, %s}",
             VOCAB, WIDTH, MLP, extra);
    write_text(path_in(directory, "config.json"), config);
    remove(path_in(directory, "model.safetensors"));
    expect_ok(
        vt_tensor_file_write(path_in(directory, "model.safetensors"), m.tensors, m.count, &err),
        &err);
    for (size_t i = 0; i < m.count; i++)
        free((void *)(uintptr_t)m.tensors[i].data);
    return directory;
}

static vt_model *open_model(const char *path) {
    vt_model *model;
    vt_error err = {0};
    expect_ok(vt_model_open(&model, path, NULL, &err), &err);
    return model;
}

static vt_session *open_session(const vt_model *model, size_t tokens, size_t cache,
                                size_t rope_length) {
    vt_session *session;
    vt_error err = {0};
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    options.text_tokens = tokens;
    options.cache_tokens = cache;
    options.rope_length = rope_length;
    options.num_threads = 2;
    expect_ok(vt_session_create(&session, model, &options, &err), &err);
    return session;
}

static void random_ids(int64_t *ids, size_t n, size_t vocab) {
    test_random random = {5};
    for (size_t i = 0; i < n; i++)
        ids[i] = (int64_t)random_below(&random, vocab);
}

/* Logits of one whole pass, [tokens][vocab], the caller's. */
static float *whole_pass(const vt_model *model, const int64_t *ids, const uint8_t *mask,
                         size_t tokens) {
    vt_error err = {0};
    vt_session *session = open_session(model, tokens, 0, 0);
    bool has_logits = vt_session_text_logits(session) != NULL;
    size_t n = tokens * (has_logits ? vt_model_vocab_size(model) : vt_model_text_width(model));
    float *out = make_floats(n);
    expect_ok(vt_session_forward_text(session, ids, mask, 1, tokens, &err), &err);
    memcpy(out, has_logits ? vt_session_text_logits(session) : vt_session_hidden(session),
           n * sizeof *out);
    vt_session_destroy(session);
    return out;
}

/* ---- caches ------------------------------------------------------------------------------------
 */

static void expect_steps(const char *what, const vt_model *model, size_t tokens, size_t step) {
    int64_t ids[MAX_TOKENS];
    size_t vocab = vt_model_vocab_size(model);
    vt_error err = {0};
    random_ids(ids, tokens, vocab);
    float *expected = whole_pass(model, ids, NULL, tokens);
    double tolerance = 1e-5 * largest_of(expected, tokens * vocab);
    vt_session *session = open_session(model, step, tokens, tokens);
    for (size_t turn = 0; turn < 2; turn++) { /* the second after a reset */
        for (size_t at = 0; at < tokens; at += step) {
            size_t count = tokens - at < step ? tokens - at : step;
            expect_ok(vt_session_step(session, ids + at, count, &err), &err);
            expect_close(what, vt_session_text_logits(session), expected + at * vocab,
                         count * vocab, tolerance);
        }
        vt_session_reset(session);
    }
    vt_session_destroy(session);
    free(expected);
}

static void expect_all_steps(const char *what, const char *path, size_t tokens) {
    vt_model *model = open_model(path);
    static const size_t steps[] = {1, 3, 7};
    for (size_t i = 0; i < 3; i++)
        expect_steps(what, model, tokens, steps[i]);
    vt_model_close(model);
}

static void test_steps_of_goldens(void **state) {
    (void)state;
    static const char *const names[] = {
        "text_gpt2",         "text_bloom",          "text_bloom_6heads",  "text_gptneox",
        "text_llama",        "text_llama_bias_hd",  "text_llama_dynamic", "text_llama_linear",
        "text_llama_llama3", "text_llama_longrope", "text_llama_yarn",    "text_mistral_swa",
        "text_mpt",          "text_qwen3"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        expect_all_steps(names[i], data_path("golden", names[i], NULL), 61);
}

static const char *const schemes[] = {
    "\"position_embedding_type\": \"none\"",
    "\"position_embedding_type\": \"learned\"",
    "\"position_embedding_type\": \"sinusoidal\"",
    "\"position_embedding_type\": \"t5\"",
    "\"position_embedding_type\": \"alibi\"",
    "\"position_embedding_type\": \"rope\"",
    "\"position_embedding_type\": \"rope\", \"norm_first\": false",
    "\"position_embedding_type\": \"rope\", \"sliding_window\": 9",
    "\"position_embedding_type\": \"alibi\", \"sliding_window\": 9",
    "\"position_embedding_type\": \"t5\", \"sliding_window\": 9",
    "\"position_embedding_type\": \"rope\", \"rope_scaling\": {\"type\": \"ntk\", \"factor\": 2.0}",
};
enum { NUM_SCHEMES = sizeof schemes / sizeof schemes[0] };

static void test_steps_of_schemes(void **state) {
    (void)state;
    for (size_t i = 0; i < NUM_SCHEMES; i++)
        expect_all_steps(schemes[i], write_byte_lm(schemes[i]), 150);
}

/* Rows are dropped only when no window reaches them, and what is kept stays in order. */
static void test_cache_keeps_the_window(void **state) {
    (void)state;
    enum { WINDOW = 10, STEP = 4, WIDTH = 3 };
    vt_kv_cache cache;
    vt_arena arena = {0};
    vt_kv_cache_carve(&cache, &arena, 2, WIDTH, WINDOW, STEP, 100000);
    assert_int_equal(cache.capacity, 2 * WINDOW + STEP);
    unsigned char *block = aligned_alloc(64, arena.used);
    assert_non_null(block);
    arena = (vt_arena){.base = block};
    vt_kv_cache_carve(&cache, &arena, 2, WIDTH, WINDOW, STEP, 100000);
    size_t position = 0;
    for (size_t turn = 0; turn < 400; turn++) {
        size_t count = 1 + turn % STEP;
        assert_true(vt_kv_cache_reserve(&cache, count));
        for (size_t b = 0; b < 2; b++)
            for (size_t i = 0; i < count * WIDTH; i++)
                vt_kv_cache_keys(&cache, b)[cache.length * WIDTH + i] =
                    vt_kv_cache_values(&cache, b)[cache.length * WIDTH + i] =
                        (float)(b * 10000 + position + i / WIDTH);
        vt_kv_cache_advance(&cache, count);
        position += count;
        assert_int_equal(cache.position + cache.length, position);
        assert_true(cache.length <= cache.capacity);
        assert_true(cache.length >= (position < WINDOW ? position : WINDOW));
        for (size_t row = 0; row < cache.length; row++) {
            assert_true(vt_kv_cache_keys(&cache, 1)[row * WIDTH] ==
                        (float)(10000 + cache.position + row));
            assert_true(vt_kv_cache_values(&cache, 0)[row * WIDTH + 2] ==
                        (float)(cache.position + row));
        }
    }
    assert_false(vt_kv_cache_reserve(&cache, cache.capacity + 1));
    free(block);
}

/* More than ten windows: the cache has turned over many times, the whole pass holds every key. */
static void test_sliding_cache_equals_all(void **state) {
    (void)state;
    vt_model *model = open_model(data_path("golden", "text_mistral_swa", NULL)); /* window 8 */
    static const size_t steps[] = {1, 3, 7, 40};
    for (size_t i = 0; i < 4; i++)
        expect_steps("sliding cache", model, 130, steps[i]);
    vt_model_close(model);
}

/* Without a window a full cache says so, and the session goes on after a reset. */
static void test_full_cache(void **state) {
    (void)state;
    int64_t ids[8];
    vt_error err = {0};
    vt_model *model = open_model(data_path("golden", "text_llama", NULL));
    vt_session *session = open_session(model, 4, 6, 0), *none = open_session(model, 4, 0, 0);
    random_ids(ids, 8, vt_model_vocab_size(model));
    expect_ok(vt_session_step(session, ids, 4, &err), &err);
    assert_int_equal(vt_session_step(session, ids + 4, 4, &err), VT_ERR_LIMIT);
    expect_ok(vt_session_step(session, ids + 4, 2, &err), &err);
    vt_session_reset(session);
    expect_ok(vt_session_step(session, ids, 4, &err), &err);
    assert_int_equal(vt_session_step(session, ids, 5, &err), VT_ERR_ARGUMENT);
    assert_int_equal(vt_session_step(none, ids, 1, &err), VT_ERR_UNSUPPORTED);
    vt_session_destroy(session);
    vt_session_destroy(none);
    vt_model_close(model);
    model = open_model(data_path("golden", "text_bert", NULL));
    session = open_session(model, 4, 6, 0);
    assert_int_equal(vt_session_step(session, ids, 1, &err), VT_ERR_UNSUPPORTED);
    vt_session_destroy(session);
    vt_model_close(model);
}

/* ---- windows -----------------------------------------------------------------------------------
 */

static void test_wide_window_is_full_attention(void **state) {
    (void)state;
    int64_t ids[60];
    random_ids(ids, 60, VOCAB);
    const char *full = "\"position_embedding_type\": \"rope\"";
    vt_model *model = open_model(write_byte_lm(full));
    float *expected = whole_pass(model, ids, NULL, 60);
    vt_model_close(model);
    for (size_t window = 59; window <= 61; window++) {
        char extra[96];
        snprintf(extra, sizeof extra, "%s, \"sliding_window\": %zu", full, window);
        model = open_model(write_byte_lm(extra));
        float *found = whole_pass(model, ids, NULL, 60);
        if (window >= 60)
            expect_close(extra, found, expected, 60 * VOCAB, 0);
        else /* the last token no longer sees the first */
            assert_true(max_difference(found, expected, 60 * VOCAB) > 1e-4);
        free(found);
        vt_model_close(model);
    }
    free(expected);
}

/* ---- permutations, padding ---------------------------------------------------------------------
 */

/* T5's encoder with its biases set to zero has no idea of order. */
static void test_no_positions_no_order(void **state) {
    (void)state;
    enum { TOKENS = 23 };
    static const float zeros[32 * 4];
    int64_t ids[TOKENS], shuffled[TOKENS];
    test_model changed;
    load_test_model(&changed, "text_t5_encoder");
    for (size_t i = 0; i < changed.count; i++)
        if (strstr(changed.tensors[i].name, "relative_attention_bias"))
            changed.tensors[i].data = zeros;
    write_test_model(&changed, directory);
    free_test_model(&changed);
    random_ids(ids, TOKENS, 97);
    for (size_t i = 0; i < TOKENS; i++)
        shuffled[i * 7 % TOKENS] = ids[i];
    for (size_t with = 0; with < 2; with++) { /* the control: with its biases order does matter */
        vt_model *model =
            open_model(with ? data_path("golden", "text_t5_encoder", NULL) : directory);
        float *straight = whole_pass(model, ids, NULL, TOKENS);
        float *turned = whole_pass(model, shuffled, NULL, TOKENS);
        size_t width = vt_model_text_width(model);
        double difference = 0;
        for (size_t i = 0; i < TOKENS; i++)
            difference = fmax(difference, max_difference(turned + i * 7 % TOKENS * width,
                                                         straight + i * width, width));
        assert_true(with ? difference > 1e-2 : difference < 2e-5);
        free(straight);
        free(turned);
        vt_model_close(model);
    }
}

/* Real tokens of a padded text are as without the padding. */
static void expect_padding(const char *what, const vt_model *model, size_t left, size_t right) {
    enum { TOKENS = 20 };
    int64_t ids[64] = {0};
    uint8_t mask[64] = {0};
    size_t padded = left + TOKENS + right;
    random_ids(ids + left, TOKENS, vt_model_vocab_size(model));
    memset(mask + left, 1, TOKENS);
    float *expected = whole_pass(model, ids + left, NULL, TOKENS);
    float *found = whole_pass(model, ids, mask, padded);
    vt_session *session = open_session(model, 1, 0, 0);
    size_t width =
        vt_session_text_logits(session) ? vt_model_vocab_size(model) : vt_model_text_width(model);
    vt_session_destroy(session);
    expect_close(what, found + left * width, expected, TOKENS * width,
                 1e-5 * fmax(largest_of(expected, TOKENS * width), 1));
    free(expected);
    free(found);
}

static void test_padding(void **state) {
    (void)state;
    static const char *const names[] = {
        "text_llama", "text_llama_yarn", "text_mistral_swa", "text_qwen3",      "text_gptneox",
        "text_bloom", "text_mpt",        "text_t5_encoder",  "text_nomic_bert", "text_modernbert"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        vt_model *model = open_model(data_path("golden", names[i], NULL));
        expect_padding(names[i], model, 0, 11);
        expect_padding(names[i], model, 11, 0);
        vt_model_close(model);
    }
    /* Learned positions: padding on the right alone leaves the others where they are. */
    vt_model *model = open_model(data_path("golden", "text_gpt2", NULL));
    expect_padding("text_gpt2", model, 0, 11);
    vt_model_close(model);
}

/* ---- names -------------------------------------------------------------------------------------
 */

/* Replaces the end of a name, where it is that. */
static void rename_end(char *name, const char *end, const char *other) {
    size_t n = strlen(name), m = strlen(end);
    if (n >= m && strcmp(name + n - m, end) == 0)
        strcpy(name + n - m, other);
}

/* bert-base-uncased as it is on the hub: all below "bert.", norms named as TensorFlow names them.
 */
static void test_bert_as_published(void **state) {
    (void)state;
    static char names[MAX_TEST_TENSORS][128];
    test_model changed;
    int64_t ids[20];
    load_test_model(&changed, "text_bert");
    for (size_t i = 0; i < changed.count; i++) {
        snprintf(names[i], sizeof names[0], "bert.%s", changed.tensors[i].name);
        rename_end(names[i], "LayerNorm.weight", "LayerNorm.gamma");
        rename_end(names[i], "LayerNorm.bias", "LayerNorm.beta");
        changed.tensors[i].name = names[i];
    }
    write_test_model(&changed, directory);
    free_test_model(&changed);
    random_ids(ids, 20, 97);
    vt_model *plain = open_model(data_path("golden", "text_bert", NULL)),
             *named = open_model(directory);
    float *expected = whole_pass(plain, ids, NULL, 20), *found = whole_pass(named, ids, NULL, 20);
    expect_close("bert.", found, expected, 20 * vt_model_text_width(plain), 0);
    free(expected);
    free(found);
    vt_model_close(plain);
    vt_model_close(named);
}

static void test_described(void **state) {
    (void)state;
    static const char *const expected[][4] = {
        {"text_bert", "learned table", "full", "first token"},
        {"text_llama_yarn", "rotary, YaRN scaling", "causal", "none"},
        {"text_mistral_swa", "rotary", "causal, sliding window", "none"},
        {"text_modernbert", "rotary", "full, a window in most blocks", "first token"},
        {"text_t5_encoder", "T5 relative bias", "full", "mean"},
        {"text_mpt", "ALiBi", "causal", "none"},
    };
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        vt_model *model = open_model(data_path("golden", expected[i][0], NULL));
        vt_model_info info;
        vt_model_describe(&info, model);
        assert_string_equal(info.positions, expected[i][1]);
        assert_string_equal(info.attention, expected[i][2]);
        assert_string_equal(info.pooling, expected[i][3]);
        vt_model_close(model);
    }
}

/* ---- limits ------------------------------------------------------------------------------------
 */

static void test_wrong_calls(void **state) {
    (void)state;
    int64_t ids[49] = {0}, types[2] = {0, 2};
    vt_error err = {0};
    vt_model *model =
        open_model(data_path("golden", "text_bert", NULL)); /* 48 positions, 2 types */
    vt_session *session = open_session(model, 49, 0, 0);
    assert_int_equal(vt_session_forward_text(session, ids, NULL, 1, 49, &err), VT_ERR_LIMIT);
    assert_int_equal(vt_session_forward_text(session, ids, NULL, 2, 4, &err), VT_ERR_ARGUMENT);
    vt_session_set_token_types(session, types);
    assert_int_equal(vt_session_forward_text(session, ids, NULL, 1, 2, &err), VT_ERR_ARGUMENT);
    vt_session_set_token_types(session, NULL);
    expect_ok(vt_session_forward_text(session, ids, NULL, 1, 2, &err), &err);
    ids[1] = 97;
    assert_int_equal(vt_session_forward_text(session, ids, NULL, 1, 2, &err), VT_ERR_ARGUMENT);
    ids[1] = -1;
    assert_int_equal(vt_session_forward_text(session, ids, NULL, 1, 2, &err), VT_ERR_ARGUMENT);
    vt_session_destroy(session);
    vt_model_close(model);
}

/* ---- memory ------------------------------------------------------------------------------------
 */

/* What one call takes beyond its inputs and output has nothing to do with the number of tokens;
 * 32,768 of them, 8 heads of 64, on 64 threads. */
static void test_attention_memory(void **state) {
    (void)state;
    const vt_attention_shape shape = {8, 8, 64, 0.125f};
    const vt_kernels *kernels;
    for (size_t table = 0; (kernels = vt_kernels_at(table)) != NULL; table++) {
        size_t floats = 0;
        assert_true(vt_attention_scratch_size(kernels, &shape, 64, &floats));
        assert_true(floats * sizeof(float) < (size_t)64 << 20);
        print_message("%s: attention needs %zu KiB a thread\n", kernels->name,
                      floats / 64 * 4 / 1024);
    }
}

static size_t resident_kib(void) {
    size_t kib = 0;
    char line[256];
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "VmRSS: %zu kB", &kib) == 1)
            break;
    if (file)
        fclose(file);
    return kib;
}

/* VT_STREAM_TOKENS=100000 makes it as long as one likes. The last logits depend on the last tokens
 * alone, as many as the windows of all blocks reach; far out the angles of F32 positions are a
 * little coarser. */
static void test_endless_stream(void **state) {
    (void)state;
    const char *asked = getenv("VT_STREAM_TOKENS");
    size_t tokens = asked ? strtoul(asked, NULL, 10) : 20000, reach = 2 * 8;
    vt_model *model = open_model(data_path("golden", "text_mistral_swa", NULL));
    vt_session *session = open_session(model, 1, tokens, 0);
    size_t vocab = vt_model_vocab_size(model), early = 0;
    int64_t last[16];
    test_random random = {6};
    vt_error err = {0};
    assert_true(tokens > 1000);
    allocations_watch(0);
    for (size_t i = 0; i < tokens; i++) {
        int64_t id = last[i % reach] = (int64_t)random_below(&random, vocab);
        expect_ok(vt_session_step(session, &id, 1, &err), &err);
        early = i == 1000 ? resident_kib() : early;
    }
    assert_int_equal(allocations_seen(), 0);
    size_t late = resident_kib();
    print_message("%zu tokens: %zu KiB resident after 1000, %zu at the end\n", tokens, early, late);
#ifndef __SANITIZE_ADDRESS__ /* which keeps books of its own */
    assert_true(late <= early + 64);
#endif
    int64_t ids[16];
    for (size_t i = 0; i < reach; i++)
        ids[i] = last[(tokens + i) % reach];
    float *expected = whole_pass(model, ids, NULL, reach);
    expect_close("the end of the stream", vt_session_text_logits(session),
                 expected + (reach - 1) * vocab, vocab, 2e-7 * (double)tokens + 1e-4);
    free(expected);
    vt_session_destroy(session);
    vt_model_close(model);
}

static int open_directory(void **state) {
    int failed = create_temp_dir(state);
    directory = *state;
    return failed;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attention_equals_naive),
        cmocka_unit_test(test_alibi_depends_on_the_difference),
        cmocka_unit_test(test_rope_depends_on_the_difference),
        cmocka_unit_test(test_steps_of_goldens),
        cmocka_unit_test(test_steps_of_schemes),
        cmocka_unit_test(test_cache_keeps_the_window),
        cmocka_unit_test(test_sliding_cache_equals_all),
        cmocka_unit_test(test_full_cache),
        cmocka_unit_test(test_wide_window_is_full_attention),
        cmocka_unit_test(test_no_positions_no_order),
        cmocka_unit_test(test_padding),
        cmocka_unit_test(test_bert_as_published),
        cmocka_unit_test(test_described),
        cmocka_unit_test(test_wrong_calls),
        cmocka_unit_test(test_attention_memory),
        cmocka_unit_test(test_endless_stream),
    };
    return cmocka_run_group_tests(tests, open_directory, remove_temp_dir);
}
