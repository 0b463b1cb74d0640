/* SPDX-License-Identifier: MIT
 *
 * Token merging: one merge against its definition in double precision; whole models against what a
 * float64 torch implementation and the authors' own code answered (tools/golden/merge.py); and what
 * a session promises with and without it.
 */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocations.h"
#include "nn/merge.h"

/* ---- one merge against its definition ---------------------------------------------------------
 */

enum { MAX_TOKENS = 300, HEADS = 3, HEAD_DIM = 20, WIDTH = 17, KEYS_LD = HEADS * HEAD_DIM + 5 };

/* What a merge is given and what it makes of it. */
typedef struct fixture {
    size_t batch, tokens;
    float *keys, *x, *size;
} fixture;

static float *random_rows(test_random *random, size_t n) {
    float *values = malloc(n * sizeof *values);
    assert_non_null(values);
    random_floats(random, values, n);
    return values;
}

static fixture make_fixture(size_t batch, size_t tokens, uint64_t seed) {
    test_random random = {seed};
    size_t rows = batch * tokens;
    fixture f = {batch, tokens, random_rows(&random, rows * KEYS_LD),
                 random_rows(&random, rows * WIDTH), random_rows(&random, rows)};
    for (size_t i = 0; i < rows; i++)
        f.size[i] = (float)(1 + random_below(&random, 5));
    return f;
}

static void free_fixture(fixture *f) {
    free(f->keys);
    free(f->x);
    free(f->size);
}

/* The cosine of two tokens' mean keys. */
static double similarity(const float *keys, size_t a, size_t b) {
    double dot = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < HEAD_DIM; i++) {
        double x = 0, y = 0;
        for (size_t head = 0; head < HEADS; head++) {
            x += (double)keys[a * KEYS_LD + head * HEAD_DIM + i] / HEADS;
            y += (double)keys[b * KEYS_LD + head * HEAD_DIM + i] / HEADS;
        }
        dot += x * y;
        aa += x * x;
        bb += y * y;
    }
    return dot / sqrt(aa * bb);
}

/* Where the rows of one item go by the definition: group[token] is the row of the result. */
static size_t merge_naively(const float *keys, size_t tokens, size_t pairs, size_t prefix,
                            size_t *group) {
    double best[MAX_TOKENS];
    size_t partner[MAX_TOKENS] = {0}, next = 0;
    bool gone[MAX_TOKENS] = {false};
    size_t left_in_order[MAX_TOKENS], left = 0;
    for (size_t a = 0; a < tokens; a += 2) {
        best[a] = -INFINITY;
        for (size_t b = 1; b < tokens && a >= prefix; b += 2) {
            if (b < prefix || !(similarity(keys, a, b) > best[a]))
                continue;
            best[a] = similarity(keys, a, b);
            partner[a] = b;
        }
    }
    size_t most = tokens > prefix ? (tokens - prefix) / 2 : 0, count = pairs < most ? pairs : most;
    bool ranked[MAX_TOKENS] = {false};
    for (size_t i = 0;; i++) { /* the next most similar, the first of equals */
        size_t winner = tokens;
        for (size_t a = prefix + prefix % 2; a < tokens; a += 2)
            if (!ranked[a] && (winner == tokens || best[a] > best[winner]))
                winner = a;
        if (winner == tokens)
            break;
        ranked[winner] = true;
        gone[winner] = i < count;
        if (i >= count)
            left_in_order[left++] = winner;
    }
    for (size_t token = 0; token < prefix; token++)
        group[token] = next++;
    for (size_t a = prefix + prefix % 2; prefix && count && a < tokens; a += 2)
        if (!gone[a])
            group[a] = next++;
    for (size_t i = 0; !prefix && i < left; i++)
        group[left_in_order[i]] = next++;
    for (size_t b = prefix + 1 - prefix % 2; b < tokens; b += 2)
        group[b] = next++;
    for (size_t a = 0; a < tokens; a += 2)
        if (gone[a])
            group[a] = group[partner[a]];
    return next;
}

static vt_merge make_merge(void **block, size_t pairs, size_t prefix, size_t rows) {
    vt_merge merge = {.pairs = pairs, .prefix = prefix};
    vt_arena arena = {0};
    vt_merge_carve(&merge, &arena, rows, HEAD_DIM);
    assert_false(arena.overflow);
    *block = aligned_alloc(VT_ALIGNMENT, arena.used);
    assert_non_null(*block);
    memset(*block, 0xff, arena.used); /* NaN: what was there must not matter */
    arena = (vt_arena){.base = *block};
    vt_merge_carve(&merge, &arena, rows, HEAD_DIM);
    return merge;
}

/* Runs a merge on copies of the fixture's rows and sizes; returns the tokens left. */
static size_t run_merge(const fixture *f, const vt_kernels *kernels, size_t threads, size_t pairs,
                        size_t prefix, float *x, float *size) {
    const vt_attention_shape heads = {HEADS, HEADS, HEAD_DIM, 1};
    size_t rows = f->batch * f->tokens;
    vt_pool *pool;
    vt_error err = {0};
    void *block;
    vt_merge merge = make_merge(&block, pairs, prefix, rows);
    float *spare = malloc(rows * WIDTH * sizeof *spare);
    assert_non_null(spare);
    expect_ok(vt_pool_create(&pool, threads, &err), &err);
    const vt_compute compute = {.kernels = kernels, .pool = pool};
    vt_merge_begin(&merge, rows);
    memcpy(merge.size, f->size, rows * sizeof *f->size);
    memcpy(x, f->x, rows * WIDTH * sizeof *x);
    size_t left = vt_merge_tokens(&compute, &merge, &heads, f->keys, KEYS_LD, x, spare, f->batch,
                                  f->tokens, WIDTH);
    memcpy(size, merge.size, f->batch * left * sizeof *size);
    for (size_t i = 0; left < f->tokens && i < f->batch * left; i++)
        assert_true(fabs((double)merge.log_size[i] - log((double)size[i])) < 1e-6);
    vt_pool_destroy(pool);
    free(spare);
    free(block);
    return left;
}

/* One item's rows against the size-weighted means of what went into them. */
static void compare_item(const fixture *f, size_t item, const size_t *group, size_t left,
                         const float *x, const float *size) {
    double mean[MAX_TOKENS][WIDTH] = {{0}}, sum[MAX_TOKENS] = {0};
    for (size_t token = 0; token < f->tokens; token++) {
        double weight = (double)f->size[item * f->tokens + token];
        sum[group[token]] += weight;
        for (size_t i = 0; i < WIDTH; i++)
            mean[group[token]][i] += weight * (double)f->x[(item * f->tokens + token) * WIDTH + i];
    }
    for (size_t row = 0; row < left; row++) {
        if ((double)size[item * left + row] != sum[row])
            fail_msg("token %zu of %zu: size %g, expected %g", row, left,
                     (double)size[item * left + row], sum[row]);
        for (size_t i = 0; i < WIDTH; i++)
            if (!(fabs((double)x[(item * left + row) * WIDTH + i] - mean[row][i] / sum[row]) <
                  1e-6))
                fail_msg("token %zu of %zu: not the mean of what was merged into it", row, left);
    }
}

static void check_merge(const vt_kernels *kernels, size_t tokens, size_t pairs, size_t prefix) {
    enum { BATCH = 2 };
    fixture f = make_fixture(BATCH, tokens, 1 + tokens * 131 + pairs * 7 + prefix);
    float *x = malloc(BATCH * tokens * WIDTH * sizeof *x),
          *size = malloc(BATCH * tokens * sizeof *size);
    assert_true(x && size);
    size_t left = run_merge(&f, kernels, 1, pairs, prefix, x, size), group[MAX_TOKENS];
    assert_int_equal(left, tokens - vt_merge_count(pairs, prefix, tokens));
    for (size_t item = 0; left < tokens && item < BATCH; item++) {
        const float *keys = f.keys + item * tokens * KEYS_LD;
        assert_int_equal(merge_naively(keys, tokens, pairs, prefix, group), left);
        compare_item(&f, item, group, left, x, size);
    }
    if (left == tokens) { /* nothing to merge: nothing moves either */
        assert_memory_equal(x, f.x, BATCH * tokens * WIDTH * sizeof *x);
        assert_memory_equal(size, f.size, BATCH * tokens * sizeof *size);
    }
    free(x);
    free(size);
    free_fixture(&f);
}

/* Without a class token, with one, with a distillation token, with registers; from no pair to all.
 */
static void test_merge_is_its_definition(void **state) {
    (void)state;
    static const size_t tokens[] = {1, 2, 3, 4, 5, 6, 7, 8, 37, 64, 65, 66, 131, 197, 289};
    static const size_t pairs[] = {0, 1, 2, 5, 16, 95, SIZE_MAX};
    const vt_kernels *kernels;
    for (size_t k = 0; (kernels = vt_kernels_at(k)) != NULL; k++)
        for (size_t t = 0; t < sizeof tokens / sizeof tokens[0]; t++)
            for (size_t p = 0; p < sizeof pairs / sizeof pairs[0]; p++)
                for (size_t prefix = 0; prefix <= 5 && prefix <= tokens[t]; prefix++)
                    check_merge(kernels, tokens[t], pairs[p], prefix);
}

/* Equal keys are equally similar: of a the first is merged, into the first of b. */
static void test_ties_go_to_the_first(void **state) {
    (void)state;
    enum { TOKENS = 9 };
    fixture f = make_fixture(1, TOKENS, 4);
    float x[TOKENS * WIDTH], size[TOKENS];
    for (size_t i = 0; i < TOKENS * KEYS_LD; i++)
        f.keys[i] = f.keys[i % KEYS_LD];
    for (size_t i = 0; i < TOKENS; i++)
        f.size[i] = (float)(1 << i);
    /* class 0 | a: 2 4 6 8 | b: 1 3 5 7; 2 and 4 go into 1 */
    static const float expected[] = {1,      1 << 6, 1 << 8, 1 << 1 | 1 << 2 | 1 << 4,
                                     1 << 3, 1 << 5, 1 << 7};
    assert_int_equal(run_merge(&f, vt_kernels_at(0), 2, 2, 1, x, size), 7);
    assert_memory_equal(size, expected, sizeof expected);
    free_fixture(&f);
}

/* Keys of length 0, infinities and NaN: a result of no meaning, in the memory that there is. */
static void test_keys_without_a_direction(void **state) {
    (void)state;
    static const float values[] = {0, INFINITY, NAN};
    enum { TOKENS = 31 };
    for (size_t v = 0; v < 3; v++) {
        for (size_t prefix = 0; prefix < 3; prefix++) {
            fixture f = make_fixture(1, TOKENS, 4);
            float x[TOKENS * WIDTH], size[TOKENS], sum = 0, expected = 0;
            for (size_t i = 0; i < TOKENS * KEYS_LD; i++)
                f.keys[i] = values[v];
            size_t left = run_merge(&f, vt_kernels_at(0), 2, 7, prefix, x, size);
            assert_int_equal(left, TOKENS - 7);
            for (size_t i = 0; i < TOKENS; i++)
                expected += f.size[i];
            for (size_t i = 0; i < left; i++)
                sum += size[i];
            assert_true(sum == expected);
            free_fixture(&f);
        }
    }
}

static void test_merge_is_the_same_for_any_threads(void **state) {
    (void)state;
    enum { BATCH = 3, TOKENS = 197 };
    const vt_kernels *kernels;
    for (size_t k = 0; (kernels = vt_kernels_at(k)) != NULL; k++) {
        fixture f = make_fixture(BATCH, TOKENS, 12);
        static float x[3][BATCH * TOKENS * WIDTH], size[3][BATCH * TOKENS];
        for (size_t run = 0; run < 30; run++) { /* on a busy machine one thread may do it all */
            size_t threads = 1 + run % 3;
            size_t left = run_merge(&f, kernels, threads, 20, 1, x[threads - 1], size[threads - 1]);
            assert_int_equal(left, TOKENS - 20);
            assert_memory_equal(x[threads - 1], x[0], BATCH * left * WIDTH * sizeof(float));
            assert_memory_equal(size[threads - 1], size[0], BATCH * left * sizeof(float));
        }
        free_fixture(&f);
    }
}

/* ---- whole models -----------------------------------------------------------------------------
 */

enum { CLASSES = 10, BATCH = 3 };
static const char *const cases[] = {"timm_vit_token", "timm_deit_distilled", "timm_vit_avg_fcnorm",
                                    "timm_vit_siglip_map", "hf_dinov2_registers"};
enum { NUM_CASES = sizeof cases / sizeof cases[0] };

static vt_model *open_case(const char *name, const char *kernels) {
    vt_model *model = NULL;
    vt_error err = {0};
    vt_model_options options = VT_MODEL_OPTIONS_INIT;
    options.kernels = kernels;
    expect_ok(vt_model_open(&model, data_path("golden", name, NULL), &options, &err), &err);
    return model;
}

static vt_session *create(const vt_model *model, vt_session_options options) {
    vt_session *session;
    vt_error err = {0};
    options.struct_size = sizeof options;
    expect_ok(vt_session_create(&session, model, &options, &err), &err);
    return session;
}

static float *random_pixels(const vt_session *session, size_t count) {
    test_random random = {7};
    size_t height, width;
    vt_session_input_size(session, &height, &width);
    return random_rows(&random, count * 3 * height * width);
}

static void forward(vt_session *session, const float *pixels, size_t count, float *logits) {
    vt_error err = {0};
    expect_ok(vt_session_forward(session, pixels, count, &err), &err);
    memcpy(logits, vt_session_logits(session), count * CLASSES * sizeof *logits);
}

/* Logits of one golden, with and without asking for the features, which also merges in the last
 * block; and the sizes, which tell that the same tokens were merged. */
static void check_golden(const vt_model *model, const vt_tensor *logits, const vt_tensor *sizes,
                         const vt_tensor *input, size_t pairs) {
    size_t count = input->shape[0];
    for (size_t features = 0; features < 2; features++) {
        float found[2 * CLASSES];
        vt_session *session = create(model, (vt_session_options){.batch = count,
                                                                 .height = input->shape[2],
                                                                 .width = input->shape[3],
                                                                 .features = features,
                                                                 .num_threads = 1 + features,
                                                                 .merge = pairs});
        forward(session, input->data, count, found);
        expect_close(logits->name, found, logits->data, count * CLASSES, 2e-6);
        assert_int_equal(vt_session_num_tokens(session), sizes->shape[1]);
        if (features)
            expect_close(sizes->name, vt_session_token_sizes(session), sizes->data,
                         tensor_elements(sizes), 0);
        else
            assert_null(vt_session_token_sizes(session));
        vt_session_destroy(session);
    }
}

/* "case.HxW.pairs.logits" */
static void check_tensor(const vt_tensor_file *file, const vt_tensor *logits, const char *kernels) {
    char name[64], size[16], input[64], sizes[96];
    size_t pairs;
    if (sscanf(logits->name, "%63[^.].%15[^.].%zu.logits", name, size, &pairs) != 3 ||
        !strstr(logits->name, ".logits"))
        return;
    snprintf(input, sizeof input, "input.%s", size);
    snprintf(sizes, sizeof sizes, "%s.%s.%zu.sizes", name, size, pairs);
    vt_tensor_file *known;
    vt_error err = {0};
    expect_ok(
        vt_tensor_file_open(&known, data_path("golden", name, "expected.safetensors", NULL), &err),
        &err);
    vt_model *model = open_case(name, kernels);
    check_golden(model, logits, f32_tensor(file, sizes), f32_tensor(known, input), pairs);
    vt_model_close(model);
    vt_tensor_file_close(known);
}

static void test_models_as_the_reference(void **state) {
    (void)state;
    vt_tensor_file *file;
    vt_error err = {0};
    const vt_kernels *kernels;
    expect_ok(vt_tensor_file_open(&file, data_path("merge.safetensors", NULL), &err), &err);
    assert_int_equal(vt_tensor_file_count(file), 36);
    for (size_t k = 0; (kernels = vt_kernels_at(k)) != NULL; k++)
        for (size_t i = 0; i < vt_tensor_file_count(file); i++)
            check_tensor(file, vt_tensor_file_at(file, i), kernels->name);
    vt_tensor_file_close(file);
}

/* DINOv2's head takes the class token and the mean of the patches, side by side: here from the
 * tokens that are left, each weighing its size. The registers between them are neither merged nor
 * pooled. */
static void test_head_that_takes_the_mean(void **state) {
    (void)state;
    enum { DIM = 36, PREFIX = 5 };
    vt_model *model = open_case("hf_dinov2_registers", NULL);
    vt_session *session = create(
        model, (vt_session_options){.height = 98, .width = 98, .features = true, .merge = 5});
    float *pixels = random_pixels(session, 1), logits[CLASSES], expected[CLASSES];
    vt_tensor_file *file;
    vt_error err = {0};
    const char *path = data_path("golden", "hf_dinov2_registers", "model.safetensors", NULL);
    expect_ok(vt_tensor_file_open(&file, path, &err), &err);
    forward(session, pixels, 1, logits);
    const float *weight = f32_tensor(file, "classifier.weight")->data;
    const float *bias = f32_tensor(file, "classifier.bias")->data;
    const float *x = vt_session_features(session), *size = vt_session_token_sizes(session);
    size_t tokens = vt_session_num_tokens(session);
    double patches = 0;
    for (size_t t = 0; t < tokens; t++) {
        assert_true(t >= PREFIX || (double)size[t] == 1);
        patches += t < PREFIX ? 0 : (double)size[t];
    }
    assert_int_equal(tokens, PREFIX + 49 - 2 * 5);
    assert_true(patches == 49);
    for (size_t c = 0; c < CLASSES; c++) {
        double sum = (double)bias[c];
        for (size_t i = 0; i < DIM; i++) {
            sum += (double)weight[c * 2 * DIM + i] * (double)x[i];
            for (size_t t = PREFIX; t < tokens; t++)
                sum += (double)weight[c * 2 * DIM + DIM + i] * (double)x[t * DIM + i] *
                       (double)size[t] / patches;
        }
        expected[c] = (float)sum;
    }
    expect_close("logits", logits, expected, CLASSES, 1e-5);
    free(pixels);
    vt_tensor_file_close(file);
    vt_session_destroy(session);
    vt_model_close(model);
}

static void test_batch_and_threads_do_not_change_a_bit(void **state) {
    (void)state;
    for (size_t c = 0; c < NUM_CASES; c++) {
        vt_model *model = open_case(cases[c], NULL);
        vt_session *one =
            create(model, (vt_session_options){.height = 96, .num_threads = 1, .merge = 5});
        float *pixels = random_pixels(one, BATCH), expected[BATCH * CLASSES];
        size_t floats = vt_session_picture_floats(one);
        for (size_t i = 0; i < BATCH; i++)
            forward(one, pixels + i * floats, 1, expected + i * CLASSES);
        for (size_t threads = 1; threads <= 3; threads++) {
            float found[BATCH * CLASSES];
            vt_session *three = create(
                model, (vt_session_options){
                           .batch = BATCH, .height = 96, .num_threads = threads, .merge = 5});
            for (size_t again = 0; again < 2; again++) {
                forward(three, pixels, BATCH, found);
                assert_memory_equal(found, expected, sizeof found);
            }
            vt_session_destroy(three);
        }
        free(pixels);
        vt_session_destroy(one);
        vt_model_close(model);
    }
}

static void test_running_allocates_nothing(void **state) {
    (void)state;
    for (size_t c = 0; c < NUM_CASES; c++) {
        vt_model *model = open_case(cases[c], NULL);
        const vt_session_options options = {.struct_size = sizeof options,
                                            .batch = BATCH,
                                            .height = 64,
                                            .num_threads = 2,
                                            .merge = 4};
        vt_session_destroy(create(model, options)); /* leaves the position table */
        vt_model_plan plan;
        vt_error err = {0};
        float logits[BATCH * CLASSES];
        expect_ok(vt_model_plan_session(&plan, model, &options, &err), &err);
        allocations_watch(0);
        vt_session *session = create(model, options);
        assert_int_equal(allocations_largest(), plan.workspace_bytes);
        float *pixels = random_pixels(session, BATCH);
        allocations_watch(0);
        forward(session, pixels, BATCH, logits);
        assert_int_equal(allocations_seen(), 0);
        free(pixels);
        vt_session_destroy(session);
        vt_model_close(model);
    }
}

/* 0 pairs are no option, and more tokens than there are is no more than half of them. */
static void test_no_pairs_are_no_option(void **state) {
    (void)state;
    for (size_t c = 0; c < NUM_CASES; c++) {
        vt_model *model = open_case(cases[c], NULL);
        vt_session *plain = create(model, (vt_session_options)VT_SESSION_OPTIONS_INIT);
        vt_session *zero = create(model, (vt_session_options){.merge = 0});
        vt_session *some = create(model, (vt_session_options){.merge = 3});
        float *pixels = random_pixels(plain, 1), expected[CLASSES], found[CLASSES];
        forward(plain, pixels, 1, expected);
        forward(zero, pixels, 1, found);
        assert_memory_equal(found, expected, sizeof found);
        assert_null(vt_session_token_sizes(zero));
        forward(some, pixels, 1, found);
        assert_true(max_difference(found, expected, CLASSES) > 1e-4);
        free(pixels);
        vt_session_destroy(some);
        vt_session_destroy(zero);
        vt_session_destroy(plain);
        vt_model_close(model);
    }
}

/* A session whose stages are listened to tells as many tokens as there are. */
typedef struct listener {
    size_t tokens[8], count;
} listener;

static void on_stage(void *user, const vt_tensor *stage) {
    listener *seen = user;
    if (strncmp(stage->name, "block", 5) == 0 || strcmp(stage->name, "features") == 0)
        seen->tokens[seen->count++] = stage->shape[1];
}

static void test_stages_and_plan_know_the_tokens(void **state) {
    (void)state;
    static const size_t expected[] = {32, 27, 22, 22}; /* of 37 */
    vt_model *model = open_case("timm_vit_token", NULL);
    const vt_session_options options = {.struct_size = sizeof options, .merge = 5};
    const vt_session_options all = {.struct_size = sizeof options, .merge = 5, .features = true};
    vt_session *session = create(model, options);
    float *pixels = random_pixels(session, 1), plain[CLASSES], told[CLASSES];
    listener seen = {.count = 0};
    vt_model_plan plan, without, full;
    vt_error err = {0};
    forward(session, pixels, 1, plain);
    vt_session_on_stage(session, on_stage, &seen);
    forward(session, pixels, 1, told);
    assert_int_equal(seen.count, 4);
    assert_memory_equal(seen.tokens, expected, sizeof expected);
    expect_close("listened to", told, plain, CLASSES, 1e-6);

    expect_ok(vt_model_plan_session(&plan, model, &options, &err), &err);
    expect_ok(vt_model_plan_session(&full, model, &all, &err), &err);
    expect_ok(vt_model_plan_forward(&without, model, 1, 0, 0, 0, &err), &err);
    assert_int_equal(plan.num_tokens, 37);
    assert_int_equal(plan.tokens_left, 22);
    assert_int_equal(without.tokens_left, 37);
    /* width 48, MLP 192: queries and keys of each block, and the tokens that its MLP sees */
    assert_true(plan.flops_attention == 4 * 48 * (37 * 37 + 32 * 32 + 1 * 27.0));
    assert_true(full.flops_attention == 4 * 48 * (37 * 37 + 32 * 32 + 27 * 27.0));
    assert_true(plan.flops_linear ==
                2 * 48.0 * (2 * 48 * (37 + 32 + 1) + 96 * (37 + 32 + 27) + 384 * (32 + 27 + 1)));
    assert_true(full.flops_linear ==
                2 * 48.0 * (2 * 48 * (37 + 32 + 27) + 96 * (37 + 32 + 27) + 384 * (32 + 27 + 22)));
    free(pixels);
    vt_session_destroy(session);
    vt_model_close(model);
}

static void test_models_that_cannot(void **state) {
    (void)state;
    static const char *const refused[][2] = {{"timm_eva02_tiny", "rotary"},
                                             {"timm_dinov3", "rotary"},
                                             {"hf_beit", "relative"},
                                             {"hf_siglip2_naflex", "NaFlex"},
                                             {"text_bert", "no pictures"}};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        vt_model *model = open_case(refused[i][0], NULL);
        vt_session *session;
        vt_error err = {0};
        vt_model_plan plan;
        const vt_session_options options = {.struct_size = sizeof options, .merge = 2};
        assert_int_equal(vt_session_create(&session, model, &options, &err), VT_ERR_UNSUPPORTED);
        assert_null(session);
        assert_non_null(strstr(err.message, refused[i][1]));
        assert_int_equal(vt_model_plan_session(&plan, model, &options, NULL), VT_ERR_UNSUPPORTED);
        vt_model_close(model);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merge_is_its_definition),
        cmocka_unit_test(test_ties_go_to_the_first),
        cmocka_unit_test(test_keys_without_a_direction),
        cmocka_unit_test(test_merge_is_the_same_for_any_threads),
        cmocka_unit_test(test_models_as_the_reference),
        cmocka_unit_test(test_head_that_takes_the_mean),
        cmocka_unit_test(test_batch_and_threads_do_not_change_a_bit),
        cmocka_unit_test(test_running_allocates_nothing),
        cmocka_unit_test(test_no_pairs_are_no_option),
        cmocka_unit_test(test_stages_and_plan_know_the_tokens),
        cmocka_unit_test(test_models_that_cannot),
    };
    return cmocka_run_group_tests_name("token merging", tests, NULL, NULL);
}
