/* SPDX-License-Identifier: MIT
 *
 * Sessions: what a picture gives does not depend on what else is in its batch, on the number of
 * threads or on what ran before; nothing is allocated while running; and the memory is what the
 * plan says.
 */
#include "support.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "allocations.h"

static const char *const cases[] = {"timm_vit_token",      "hf_vit_nobias",
                                    "timm_vit_siglip_map", "timm_deit_distilled",
                                    "timm_vit_rope_mixed", "meta_dinov2_lc4"};
enum { NUM_CASES = sizeof cases / sizeof cases[0], CLASSES = 10, BATCH = 3 };

static vt_model *open_case(const char *name) {
    vt_model *model;
    vt_error err = {0};
    expect_ok(vt_model_open(&model, data_path("golden", name, NULL), NULL, &err), &err);
    return model;
}

static vt_session *create(const vt_model *model, size_t batch, size_t side, size_t threads) {
    vt_session *session;
    vt_error err = {0};
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    options.batch = batch;
    options.height = options.width = side;
    options.num_threads = threads;
    expect_ok(vt_session_create(&session, model, &options, &err), &err);
    return session;
}

static size_t input_floats(const vt_session *session) {
    size_t height, width;
    vt_session_input_size(session, &height, &width);
    return 3 * height * width;
}

static float *random_pixels(size_t floats, uint64_t seed) {
    test_random random = {seed};
    float *pixels = malloc(floats * sizeof *pixels);
    assert_non_null(pixels);
    random_floats(&random, pixels, floats);
    return pixels;
}

static void forward(vt_session *session, const float *pixels, size_t count, float *logits) {
    vt_error err = {0};
    expect_ok(vt_session_forward(session, pixels, count, &err), &err);
    memcpy(logits, vt_session_logits(session), count * CLASSES * sizeof *logits);
}

static void expect_identical(const char *what, const float *a, const float *b, size_t n) {
    if (memcmp(a, b, n * sizeof *a) != 0)
        fail_msg("%s: not the same bits: largest difference %.3g", what, max_difference(a, b, n));
    for (size_t i = 0; i < n; i++)
        assert_true(isfinite(a[i]));
}

/* ---- the same, whatever is around it --------------------------------------------------------- */

static void test_batch_equals_one_by_one(void **state) {
    (void)state;
    for (size_t c = 0; c < NUM_CASES; c++) {
        vt_model *model = open_case(cases[c]);
        vt_session *three = create(model, BATCH, 56, 2), *one = create(model, 1, 56, 1);
        size_t floats = input_floats(one);
        float *pixels = random_pixels(BATCH * floats, 3 + c);
        float batch[BATCH * CLASSES], single[BATCH * CLASSES];
        forward(three, pixels, BATCH, batch);
        for (size_t i = 0; i < BATCH; i++)
            forward(one, pixels + i * floats, 1, single + i * CLASSES);
        expect_identical(cases[c], batch, single, BATCH * CLASSES);
        assert_true(max_difference(single, single + CLASSES, CLASSES) > 1e-3); /* they do differ */
        forward(three, pixels + floats, 2, batch); /* fewer than it was made for */
        expect_identical(cases[c], batch, single + CLASSES, 2 * CLASSES);
        free(pixels);
        vt_session_destroy(one);
        vt_session_destroy(three);
        vt_model_close(model);
    }
}

static void test_threads_and_repetition_do_not_change_a_bit(void **state) {
    (void)state;
    for (size_t c = 0; c < NUM_CASES; c++) {
        vt_model *model = open_case(cases[c]);
        float *pixels = NULL, first[BATCH * CLASSES], other[BATCH * CLASSES];
        for (size_t threads = 1; threads <= 3; threads++) {
            vt_session *session = create(model, BATCH, 64, threads);
            if (!pixels)
                pixels = random_pixels(BATCH * input_floats(session), 5);
            forward(session, pixels, BATCH, threads == 1 ? first : other);
            forward(session, pixels, BATCH, other);
            expect_identical(cases[c], other, first, BATCH * CLASSES);
            vt_session_destroy(session);
        }
        free(pixels);
        vt_model_close(model);
    }
}

/* Groups that eight pictures or texts are run in. */
static const size_t groupings[][8] = {{1, 1, 1, 1, 1, 1, 1, 1}, {8}, {3, 5}, {2, 2, 1, 3}};
enum { EIGHT = 8, NUM_GROUPINGS = sizeof groupings / sizeof groupings[0] };

static void forward_in_groups(vt_session *session, const size_t *groups, const float *pixels,
                              size_t classes, float *logits) {
    const size_t floats = input_floats(session);
    vt_error err = {0};
    for (size_t done = 0; done < EIGHT; done += *groups++) {
        expect_ok(vt_session_forward(session, pixels + done * floats, *groups, &err), &err);
        memcpy(logits + done * classes, vt_session_logits(session),
               *groups * classes * sizeof *logits);
    }
}

static void check_groups_and_threads(const char *path, size_t side) {
    vt_model *model;
    vt_model_info info;
    vt_error err = {0};
    expect_ok(vt_model_open(&model, path, NULL, &err), &err);
    vt_model_describe(&info, model);
    const size_t n = EIGHT * info.num_classes;
    float *pixels = NULL, *first = malloc(n * sizeof *first), *other = malloc(n * sizeof *other);
    assert_true(first && other && n > 0);
    for (size_t threads = 1; threads <= 8; threads++) {
        vt_session *session = create(model, EIGHT, side, threads);
        if (!pixels) {
            pixels = random_pixels(EIGHT * input_floats(session), 11);
            forward_in_groups(session, groupings[0], pixels, info.num_classes, first);
        }
        const size_t step = threads <= 2 ? 1 : 2; /* the last ones are slow, and much alike */
        for (size_t g = threads % step; g < NUM_GROUPINGS; g += step) {
            forward_in_groups(session, groupings[g], pixels, info.num_classes, other);
            expect_identical(path, other, first, n);
        }
        vt_session_destroy(session);
    }
    assert_true(max_difference(first, first + info.num_classes, info.num_classes) > 1e-3);
    free(other);
    free(first);
    free(pixels);
    vt_model_close(model);
}

/* Every kind of encoder, at a size with more tokens than any tile, and widths of more than one
 * piece. */
static void test_logits_have_the_same_bits(void **state) {
    (void)state;
    static const char *const kinds[] = {"timm_vit_token",
                                        "timm_vit_siglip_map",
                                        "timm_vit_qknorm",
                                        "timm_beit",
                                        "timm_eva02_base",
                                        "timm_dinov3",
                                        "hf_beit",
                                        "hf_dinov2_registers_swiglu",
                                        "timm_deit_distilled"};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        check_groups_and_threads(data_path("golden", kinds[i], NULL), 136);
    check_groups_and_threads(VT_SOURCE_DIR "/weights/emoji-vit", 0);
}

static void text_in_groups(vt_session *session, const size_t *groups, const int64_t *ids,
                           size_t tokens, size_t width, float *hidden) {
    vt_error err = {0};
    for (size_t done = 0; done < EIGHT; done += *groups++) {
        expect_ok(
            vt_session_forward_text(session, ids + done * tokens, NULL, *groups, tokens, &err),
            &err);
        memcpy(hidden + done * tokens * width, vt_session_hidden(session),
               *groups * tokens * width * sizeof *hidden);
    }
}

static void test_texts_have_the_same_bits(void **state) {
    (void)state;
    static const char *const kinds[] = {"text_bert", "text_llama", "text_modernbert",
                                        "text_t5_encoder", "text_mpt"};
    enum { TOKENS = 40 };
    test_random random = {9};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        vt_model *model = open_case(kinds[i]);
        const size_t width = vt_model_text_width(model), n = EIGHT * TOKENS * width;
        float *first = malloc(n * sizeof *first), *other = malloc(n * sizeof *other);
        int64_t ids[EIGHT * TOKENS];
        assert_true(first && other);
        for (size_t t = 0; t < EIGHT * TOKENS; t++)
            ids[t] = (int64_t)random_below(&random, vt_model_vocab_size(model));
        for (size_t threads = 1; threads <= 8; threads++) {
            vt_session *session;
            vt_error err = {0};
            vt_session_options options = VT_SESSION_OPTIONS_INIT;
            options.text_batch = EIGHT;
            options.text_tokens = TOKENS;
            options.num_threads = threads;
            expect_ok(vt_session_create(&session, model, &options, &err), &err);
            if (threads == 1)
                text_in_groups(session, groupings[0], ids, TOKENS, width, first);
            text_in_groups(session, groupings[threads % NUM_GROUPINGS], ids, TOKENS, width, other);
            expect_identical(kinds[i], other, first, n);
            vt_session_destroy(session);
        }
        free(other);
        free(first);
        vt_model_close(model);
    }
}

/* What another picture left in the buffers does not show. */
static void test_what_ran_before_does_not_matter(void **state) {
    (void)state;
    vt_model *model = open_case("timm_vit_siglip_map");
    vt_session *session = create(model, 1, 0, 2);
    size_t floats = input_floats(session);
    float *a = random_pixels(floats, 1), *b = random_pixels(floats, 2);
    float first[CLASSES], other[CLASSES], again[CLASSES];
    forward(session, a, 1, first);
    for (size_t i = 0; i < floats; i++)
        b[i] *= 100;
    forward(session, b, 1, other);
    forward(session, a, 1, again);
    expect_identical("again", again, first, CLASSES);
    assert_true(max_difference(first, other, CLASSES) > 1e-3);
    free(a);
    free(b);
    vt_session_destroy(session);
    vt_model_close(model);
}

typedef struct runner {
    const vt_model *model;
    const float *pixels;
    size_t side, repeats, failures;
    float logits[CLASSES];
} runner;

/* No assertions here: cmocka's are for the main thread. */
static void *run_session(void *argument) {
    runner *self = argument;
    vt_session *session;
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    options.height = options.width = self->side;
    options.num_threads = 2;
    for (size_t i = 0; i < self->repeats; i++) {
        if (vt_session_create(&session, self->model, &options, NULL) != VT_OK) {
            self->failures++;
            continue;
        }
        self->failures += vt_session_forward(session, self->pixels, 1, NULL) != VT_OK;
        memcpy(self->logits, vt_session_logits(session), sizeof self->logits);
        vt_session_destroy(session);
    }
    return NULL;
}

/* Both ask for a position table that the model does not have yet. */
static void test_two_sessions_of_one_model_at_once(void **state) {
    (void)state;
    vt_model *shared = open_case("hf_vit_nobias"), *alone = open_case("hf_vit_nobias");
    float *pixels = random_pixels(3 * 72 * 72, 8), expected[CLASSES];
    runner runners[2];
    pthread_t threads[2];
    for (size_t i = 0; i < 2; i++) {
        runners[i] = (runner){.model = shared, .pixels = pixels, .side = 72, .repeats = 10};
        assert_int_equal(pthread_create(&threads[i], NULL, run_session, &runners[i]), 0);
    }
    for (size_t i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    vt_session *session = create(alone, 1, 72, 1);
    forward(session, pixels, 1, expected);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(runners[i].failures, 0);
        expect_identical("at once", runners[i].logits, expected, CLASSES);
    }
    vt_session_destroy(session);
    free(pixels);
    vt_model_close(alone);
    vt_model_close(shared);
}

/* ---- threads --------------------------------------------------------------------------------- */

typedef struct sharer {
    const vt_model *model;
    vt_threads *threads;
    const float *pixels;
    size_t failures;
    float expected[CLASSES];
} sharer;

static void *run_shared(void *argument) {
    sharer *self = argument;
    vt_session *session;
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    options.height = options.width = 64;
    options.threads = self->threads;
    if (vt_session_create(&session, self->model, &options, NULL)) {
        self->failures++;
        return NULL;
    }
    for (size_t i = 0; i < 50; i++) {
        self->failures +=
            vt_session_forward(session, self->pixels, 1, NULL) != VT_OK ||
            memcmp(vt_session_logits(session), self->expected, sizeof self->expected) != 0;
    }
    vt_session_destroy(session);
    return NULL;
}

/* Four sessions at once, each on a thread of the caller's, over three threads that they share. */
static void test_sessions_share_threads(void **state) {
    (void)state;
    enum { SHARERS = 4 };
    vt_model *model = open_case("timm_vit_token");
    vt_threads *shared;
    vt_error err = {0};
    sharer sharers[SHARERS];
    pthread_t handles[SHARERS];
    expect_ok(vt_threads_create(&shared, 3, &err), &err);
    vt_session *alone = create(model, 1, 64, 1);
    for (size_t i = 0; i < SHARERS; i++) {
        float *pixels = random_pixels(input_floats(alone), 20 + i);
        sharers[i] = (sharer){.model = model, .threads = shared, .pixels = pixels};
        forward(alone, pixels, 1, sharers[i].expected);
    }
    for (size_t i = 0; i < SHARERS; i++)
        assert_int_equal(pthread_create(&handles[i], NULL, run_shared, &sharers[i]), 0);
    for (size_t i = 0; i < SHARERS; i++) {
        pthread_join(handles[i], NULL);
        assert_int_equal(sharers[i].failures, 0);
        free((void *)sharers[i].pixels);
    }
    vt_session_destroy(alone);
    vt_threads_destroy(shared);
    vt_threads_destroy(NULL);
    vt_model_close(model);
}

/* The child of a fork: the same bits, and what it destroys is its own. */
static bool child_agrees(vt_session *session, const vt_model *model, const float *pixels,
                         const float expected[CLASSES]) {
    bool agrees = vt_session_forward(session, pixels, 1, NULL) == VT_OK &&
                  memcmp(vt_session_logits(session), expected, CLASSES * sizeof *expected) == 0;
    vt_session_destroy(session);
#if !defined(__SANITIZE_THREAD__) /* it does not allow new threads there */
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    options.height = options.width = 64;
    options.num_threads = 3;
    agrees = agrees && vt_session_create(&session, model, &options, NULL) == VT_OK &&
             vt_session_forward(session, pixels, 1, NULL) == VT_OK &&
             memcmp(vt_session_logits(session), expected, CLASSES * sizeof *expected) == 0;
    if (agrees)
        vt_session_destroy(session);
#else
    (void)model;
#endif
    return agrees;
}

static void test_fork(void **state) {
    (void)state;
    vt_model *model = open_case("timm_vit_token");
    vt_session *session = create(model, 1, 64, 4);
    float *pixels = random_pixels(input_floats(session), 31);
    float expected[CLASSES], after[CLASSES];
    int status = -1;
    forward(session, pixels, 1, expected);
    pid_t child = fork();
    if (child == 0) {
        alarm(30); /* a child that hangs is ended */
        _exit(child_agrees(session, model, pixels, expected) ? 0 : 1);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    forward(session, pixels, 1, after);
    expect_identical("the parent", after, expected, CLASSES);
    free(pixels);
    vt_session_destroy(session);
    vt_model_close(model);
}

static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Processor time, which other programs do not add to, of one session's threads and another's. */
static void test_idle_sessions_use_no_processor(void **state) {
    (void)state;
    vt_model *model = open_case("timm_vit_token");
    vt_session *a = create(model, 1, 64, 4), *b = create(model, 1, 64, 2);
    float *pixels = random_pixels(input_floats(a), 3), logits[CLASSES];
    forward(a, pixels, 1, logits);
    forward(b, pixels, 1, logits);
    double before = cpu_seconds();
    nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    assert_true(cpu_seconds() - before < 0.02);
    free(pixels);
    vt_session_destroy(b);
    vt_session_destroy(a);
    vt_model_close(model);
}

/* ---- sizes ----------------------------------------------------------------------------------- */

/* Patches of 8: to the nearest, at least one; 0 is the model's own. */
static void test_input_is_rounded_to_patches(void **state) {
    (void)state;
    static const size_t sizes[][2] = {{0, 48},  {1, 8},   {3, 8},   {8, 8},   {11, 8},  {12, 16},
                                      {15, 16}, {16, 16}, {50, 48}, {51, 48}, {52, 56}, {96, 96}};
    vt_model *model = open_case("timm_vit_token");
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t height, width;
        vt_session *session;
        vt_error err = {0};
        vt_model_plan plan;
        vt_session_options options = VT_SESSION_OPTIONS_INIT;
        options.height = sizes[i][0];
        options.width = 24;
        options.num_threads = 1;
        expect_ok(vt_session_create(&session, model, &options, &err), &err);
        vt_session_input_size(session, &height, &width);
        assert_int_equal(height, sizes[i][1]);
        assert_int_equal(width, 24);
        expect_ok(vt_model_plan_forward(&plan, model, 1, sizes[i][0], 24, 1, &err), &err);
        assert_int_equal(plan.input_height, height);
        assert_int_equal(plan.grid_height * plan.grid_width, height / 8 * 3);
        assert_int_equal(plan.num_tokens, 1 + height / 8 * 3);
        vt_session_destroy(session);
    }
    vt_model_close(model);
}

static void test_counts_out_of_range(void **state) {
    (void)state;
    static const size_t counts[] = {0, BATCH + 1, SIZE_MAX};
    vt_model *model = open_case("timm_vit_token");
    vt_session *session = create(model, BATCH, 0, 1);
    float *pixels = random_pixels(input_floats(session), 1);
    for (size_t i = 0; i < 3; i++) {
        vt_error err = {0};
        assert_int_equal(vt_session_forward(session, pixels, counts[i], &err), VT_ERR_ARGUMENT);
        assert_int_equal(err.code, VT_ERR_ARGUMENT);
        assert_true(err.message[0] != '\0');
        assert_int_equal(vt_session_forward(session, pixels, counts[i], NULL), VT_ERR_ARGUMENT);
    }
    free(pixels);
    vt_session_destroy(session);
    vt_model_close(model);
}

static void test_options_out_of_range(void **state) {
    (void)state;
    static const vt_session_options bad[] = {
        {.struct_size = sizeof(vt_session_options), .height = SIZE_MAX},
        {.struct_size = sizeof(vt_session_options), .width = (size_t)1 << 40},
        {.struct_size = sizeof(vt_session_options), .batch = SIZE_MAX},
        {.struct_size = sizeof(vt_session_options), .num_threads = 1000000},
        {.height = 48},
    };
    vt_model *model = open_case("timm_vit_token");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        vt_session *session = (vt_session *)(uintptr_t)1;
        vt_error err = {0};
        vt_status status = vt_session_create(&session, model, &bad[i], &err);
        assert_true(status == VT_ERR_LIMIT || status == VT_ERR_ARGUMENT);
        assert_null(session);
        assert_true(err.message[0] != '\0');
    }
    vt_session_destroy(NULL);
    vt_model_close(model);
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void test_running_allocates_nothing(void **state) {
    (void)state;
    for (size_t c = 0; c < NUM_CASES; c++) {
        vt_model *model = open_case(cases[c]);
        vt_session *session = create(model, BATCH, 64, 2);
        float *pixels = random_pixels(BATCH * input_floats(session), 6);
        vt_prediction best[CLASSES];
        vt_error err = {0};
        allocations_watch(0);
        expect_ok(vt_session_forward(session, pixels, BATCH, &err), &err);
        vt_model_top_k(model, vt_session_logits(session), best, CLASSES);
        assert_int_equal(allocations_seen(), 0);
        free(pixels);
        vt_session_destroy(session);
        vt_model_close(model);
    }
}

/* The plan's bytes are those of the session's one block of buffers. The rest is the session itself
 * and its pool; a position table of a new size is the model's, and kept. */
static void test_the_plan_is_what_is_allocated(void **state) {
    (void)state;
    enum { SMALL = 4096 };
    for (size_t c = 0; c < NUM_CASES; c++) {
        vt_model *model = open_case(cases[c]);
        for (size_t batch = 1; batch <= BATCH; batch++) {
            for (size_t threads = 1; threads <= 3; threads++) {
                vt_error err = {0};
                vt_model_plan plan;
                vt_session_destroy(create(model, batch, 64, threads)); /* leaves the table */
                allocations_watch(0);
                vt_session *session = create(model, batch, 64, threads);
                size_t total = allocations_total();
                expect_ok(vt_model_plan_forward(&plan, model, batch, 64, 64, threads, &err), &err);
                assert_int_equal(allocations_largest(), plan.workspace_bytes);
                assert_true(total >= plan.workspace_bytes && total < plan.workspace_bytes + SMALL);
                vt_session_destroy(session);
            }
        }
        vt_model_close(model);
    }
}

static void test_all_memory_is_given_back(void **state) {
    (void)state;
    for (size_t c = 0; c < NUM_CASES; c++) {
        size_t before = allocations_live();
        vt_model *model = open_case(cases[c]);
        vt_session *session = create(model, BATCH, 72, 3);
        assert_true(allocations_live() > before);
        vt_session_destroy(session);
        vt_model_close(model);
        assert_int_equal(allocations_live(), before);
    }
}

/* ---- predictions ----------------------------------------------------------------------------- */

static void test_top_k_is_in_order(void **state) {
    (void)state;
    static const float logits[CLASSES] = {0, 3, -1, 3, 2, -50, 1, 3, 2, -1};
    /* Ties: the lower index first. */
    static const size_t order[CLASSES] = {1, 3, 7, 4, 8, 6, 0, 2, 9, 5};
    vt_model *model = open_case("timm_vit_token");
    double sum = 0;
    for (size_t i = 0; i < CLASSES; i++)
        sum += exp((double)logits[i]);
    for (size_t k = 0; k <= CLASSES + 2; k++) {
        vt_prediction best[CLASSES + 2] = {{0}};
        size_t count = vt_model_top_k(model, logits, best, k);
        assert_int_equal(count, k < CLASSES ? k : CLASSES);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(best[i].index, order[i]);
            assert_true(fabs((double)best[i].score - exp((double)logits[order[i]]) / sum) < 1e-7);
        }
    }
    vt_model_close(model);
}

/* exp(1000) overflows even a double. */
static void test_softmax_of_large_logits(void **state) {
    (void)state;
    static const float logits[CLASSES] = {-1000, 1000, 999, -1000, 0, 0, 0, 0, 0, 0};
    vt_prediction best[CLASSES];
    vt_model *model = open_case("timm_vit_token");
    vt_model_top_k(model, logits, best, CLASSES);
    assert_int_equal(best[0].index, 1);
    assert_true(fabs((double)best[0].score - 1 / (1 + exp(-1))) < 1e-7);
    assert_true(fabs((double)best[1].score - 1 / (1 + exp(1))) < 1e-7);
    assert_true(best[CLASSES - 1].score == 0);
    vt_model_close(model);
}

/* Scores of a multi-label model do not sum to 1: each is its own sigmoid. */
static void test_multi_label_scores_are_sigmoids(void **state) {
    static const float logits[CLASSES] = {0, 2, -3, 100, -100, 1, 0, 0, 0, 0};
    vt_prediction best[CLASSES];
    test_model changed;
    vt_model *model;
    vt_model_info info;
    vt_error err = {0};
    load_test_model(&changed, "hf_vit_nobias");
    json_object_set_new(changed.config, "problem_type", json_string("multi_label_classification"));
    write_test_model(&changed, *state);
    expect_ok(vt_model_open(&model, *state, NULL, &err), &err);
    vt_model_describe(&info, model);
    assert_true(info.multi_label);
    assert_int_equal(vt_model_top_k(model, logits, best, CLASSES), CLASSES);
    assert_int_equal(best[0].index, 3);
    for (size_t i = 0; i < CLASSES; i++) {
        double expected = 1 / (1 + exp(-(double)logits[best[i].index]));
        assert_true(fabs((double)best[i].score - expected) < 1e-7);
    }
    vt_model_close(model);
    free_test_model(&changed);
}

/* classify is preprocess, forward and top k. */
static void test_classify_is_its_three_steps(void **state) {
    (void)state;
    vt_error err = {0};
    vt_image image;
    vt_model *model = open_case("timm_vit_token");
    vt_session *session = create(model, 1, 0, 1);
    float *pixels = malloc(input_floats(session) * sizeof *pixels);
    vt_prediction whole[CLASSES], steps[CLASSES];
    assert_non_null(pixels);
    const char *path = data_path("golden", "primitives", "decode", "rgb444_q90.jpg", NULL);
    expect_ok(vt_image_read(&image, path, NULL, &err), &err);
    expect_ok(vt_classify_image(session, &image, whole, CLASSES, &err), &err);
    expect_ok(vt_session_preprocess(session, pixels, &image, &err), &err);
    expect_ok(vt_session_forward(session, pixels, 1, &err), &err);
    assert_int_equal(vt_model_top_k(model, vt_session_logits(session), steps, CLASSES), CLASSES);
    for (size_t i = 0; i < CLASSES; i++) {
        assert_int_equal(whole[i].index, steps[i].index);
        assert_true(whole[i].score == steps[i].score);
    }
    vt_image_free(&image);
    free(pixels);
    vt_session_destroy(session);
    vt_model_close(model);
}

/* Twice the size of the resize; a photograph decoded so gives about the input that the whole one
 * does. */
static void test_shrink_on_load(void **state) {
    (void)state;
    vt_error err = {0};
    vt_image whole, shrunk;
    vt_image_options options = VT_IMAGE_OPTIONS_INIT;
    vt_model *model = open_case("timm_vit_token");
    vt_session *session = create(model, 1, 96, 1);
    size_t floats = input_floats(session);
    float *expected = malloc(floats * sizeof *expected), *found = malloc(floats * sizeof *found);
    assert_true(expected && found);
    vt_session_shrink_size(session, &options.min_height, &options.min_width);
    assert_true(options.min_height >= 2 * 96 && options.min_height <= 3 * 96);
    assert_int_equal(options.min_width, options.min_height);
    const char *path = VT_SOURCE_DIR "/images/photos/hubble_deep_field.jpg"; /* 1000x872 */
    expect_ok(vt_image_read(&whole, path, NULL, &err), &err);
    expect_ok(vt_image_read(&shrunk, path, &options, &err), &err);
    assert_int_equal(shrunk.width, 250);
    assert_int_equal(shrunk.full_width, whole.width);
    expect_ok(vt_session_preprocess(session, expected, &whole, &err), &err);
    expect_ok(vt_session_preprocess(session, found, &shrunk, &err), &err);
    double sum = 0;
    for (size_t i = 0; i < floats; i++)
        sum += fabs((double)found[i] - (double)expected[i]);
    assert_true(sum / (double)floats < 0.02 && sum > 0);
    free(found);
    free(expected);
    vt_image_free(&shrunk);
    vt_image_free(&whole);
    vt_session_destroy(session);
    vt_model_close(model);
}

static void test_no_classifier(void **state) {
    (void)state;
    uint8_t bytes[12] = {0};
    const vt_image image = {.width = 2, .height = 2, .stride = 6, .pixels = bytes};
    vt_prediction best;
    vt_error err = {0};
    vt_model *model = open_case("hf_vit_pooler");
    vt_session *session = create(model, 1, 0, 1);
    assert_null(vt_session_logits(session));
    assert_non_null(vt_session_pooled(session));
    assert_int_equal(vt_classify_image(session, &image, &best, 1, &err), VT_ERR_UNSUPPORTED);
    assert_true(err.message[0] != '\0');
    vt_session_destroy(session);
    vt_model_close(model);
}

/* A call that the model has no part for, or of a session that was made without that part. */
static void expect_unsupported(vt_status status, const vt_error *err, const char *message) {
    assert_int_equal(status, VT_ERR_UNSUPPORTED);
    assert_string_equal(err->message, message);
}

static void test_pictures_for_a_text_model(void **state) {
    (void)state;
    static const char none[] = "this model takes no pictures";
    static float floats[3 * 16 * 16];
    const float *pictures[] = {floats};
    const vt_frame frame = {.format = VT_PIXEL_GRAY8,
                            .width = 4,
                            .height = 4,
                            .planes = {(const uint8_t *)floats},
                            .strides = {4}};
    uint8_t bytes[12] = {0};
    const vt_image image = {.width = 2, .height = 2, .stride = 6, .pixels = bytes};
    size_t size = 16, height, width;
    vt_result result = {.struct_size = sizeof result};
    vt_error err = {0};
    vt_model *model = open_case("text_bert");
    vt_session *session = create(model, 1, 0, 1);
    expect_unsupported(vt_session_preprocess(session, floats, &image, &err), &err, none);
    expect_unsupported(vt_session_forward(session, floats, 1, &err), &err, none);
    expect_unsupported(vt_session_run(session, &result, &frame, 1, &err), &err, none);
    expect_unsupported(vt_session_fit_size(session, &image, &height, &width, &err), &err, none);
    expect_unsupported(vt_session_forward_sizes(session, pictures, &size, &size, 1, &err), &err,
                       none);
    expect_unsupported(vt_session_forward_naflex(session, pictures, &size, &size, 1, &err), &err,
                       "this model takes pictures of one size");
    vt_session_destroy(session);
    vt_model_close(model);
}

static void test_text_for_a_picture_model(void **state) {
    (void)state;
    static const int64_t ids[] = {1, 2};
    vt_error err = {0};
    vt_model *model = open_case("timm_vit_token");
    vt_session *session = create(model, 1, 0, 1);
    expect_unsupported(vt_session_forward_text(session, ids, NULL, 1, 2, &err), &err,
                       "this session has no text: the model takes none, or text_tokens was 0");
    vt_session_destroy(session);
    vt_model_close(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batch_equals_one_by_one),
        cmocka_unit_test(test_threads_and_repetition_do_not_change_a_bit),
        cmocka_unit_test(test_logits_have_the_same_bits),
        cmocka_unit_test(test_texts_have_the_same_bits),
        cmocka_unit_test(test_what_ran_before_does_not_matter),
        cmocka_unit_test(test_two_sessions_of_one_model_at_once),
        cmocka_unit_test(test_sessions_share_threads),
        cmocka_unit_test(test_fork),
        cmocka_unit_test(test_idle_sessions_use_no_processor),
        cmocka_unit_test(test_input_is_rounded_to_patches),
        cmocka_unit_test(test_counts_out_of_range),
        cmocka_unit_test(test_options_out_of_range),
        cmocka_unit_test(test_running_allocates_nothing),
        cmocka_unit_test(test_the_plan_is_what_is_allocated),
        cmocka_unit_test(test_all_memory_is_given_back),
        cmocka_unit_test(test_top_k_is_in_order),
        cmocka_unit_test(test_softmax_of_large_logits),
        cmocka_unit_test(test_multi_label_scores_are_sigmoids),
        cmocka_unit_test(test_classify_is_its_three_steps),
        cmocka_unit_test(test_shrink_on_load),
        cmocka_unit_test(test_no_classifier),
        cmocka_unit_test(test_pictures_for_a_text_model),
        cmocka_unit_test(test_text_for_a_picture_model),
    };
    return cmocka_run_group_tests_name("sessions", tests, create_temp_dir, remove_temp_dir);
}
