/* SPDX-License-Identifier: MIT
 *
 * One model, many threads, each with a session of its own: the bits are those of one thread alone;
 * and a session that another thread stops. Also built with -fsanitize=thread (scripts/test).
 */
#include "support.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "frames.h"

enum { THREADS = 8, FRAMES = 4, ROUNDS = 3, CLASSES = 10 };

typedef struct worker {
    const vt_model *model;
    vt_threads *shared; /* NULL: threads of its own */
    size_t side;        /* of the input: another one for some, so that tables are made at once */
    const vt_frame *frames;
    float logits[FRAMES][CLASSES];
    vt_error err;
} worker;

/* Without assertions, which are for the main thread. */
static void *run_all(void *user) {
    worker *w = user;
    vt_session *session = NULL;
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    options.height = options.width = w->side;
    options.num_threads = 2;
    options.threads = w->shared;
    vt_status status = vt_session_create(&session, w->model, &options, &w->err);
    for (size_t i = 0; i < ROUNDS * FRAMES && !status; i++) {
        vt_result result = VT_RESULT_INIT;
        result.logits = w->logits[i % FRAMES];
        status = vt_session_run(session, &result, &w->frames[i % FRAMES], 1, &w->err);
    }
    vt_session_destroy(session);
    return NULL;
}

static void check(const vt_model *model, vt_threads *shared, const vt_frame *frames) {
    static worker workers[THREADS], alone;
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        workers[i] =
            (worker){.model = model, .shared = shared, .side = 48 + 16 * (i % 3), .frames = frames};
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_all, &workers[i]), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (size_t i = 0; i < THREADS; i++) {
        expect_ok(workers[i].err.code, &workers[i].err);
        alone = (worker){.model = model, .side = workers[i].side, .frames = frames};
        run_all(&alone);
        expect_ok(alone.err.code, &alone.err);
        assert_memory_equal(workers[i].logits, alone.logits, sizeof alone.logits);
    }
}

static void test_eight_threads_give_the_bits_of_one(void **state) {
    (void)state;
    static const char *const cases[] = {"timm_vit_token", "hf_deit_distilled"};
    static const vt_pixel_format formats[FRAMES] = {VT_PIXEL_RGB24, VT_PIXEL_NV12, VT_PIXEL_YUYV,
                                                    VT_PIXEL_I420};
    test_random random = {99};
    test_frame made[FRAMES];
    vt_frame frames[FRAMES];
    for (size_t i = 0; i < FRAMES; i++) {
        made[i] = make_frame(formats[i], 50 + 13 * i, 40 + 7 * i, i, &random);
        frames[i] = made[i].frame;
    }
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        vt_model *model;
        vt_threads *shared;
        vt_error err = {0};
        expect_ok(vt_model_open(&model, data_path("golden", cases[c], NULL), NULL, &err), &err);
        check(model, NULL, frames);
        expect_ok(vt_threads_create(&shared, 3, &err), &err);
        check(model, shared, frames);
        vt_threads_destroy(shared);
        vt_model_close(model);
    }
    for (size_t i = 0; i < FRAMES; i++)
        free_frame(&made[i]);
}

typedef struct impatient {
    vt_session *session;
    atomic_bool done;
} impatient;

static void *cancel_again_and_again(void *user) {
    impatient *i = user;
    while (!atomic_load(&i->done))
        vt_session_cancel(i->session);
    return NULL;
}

/* Each call ends one way or the other, and those that end well have all bits right. */
static void test_stopping_from_another_thread(void **state) {
    (void)state;
    enum { CALLS = 300 };
    test_random random = {13};
    test_frame made = make_frame(VT_PIXEL_I420, 50, 50, 0, &random);
    vt_model *model;
    vt_session *session;
    vt_error err = {0};
    float expected[CLASSES], logits[CLASSES];
    vt_result result = VT_RESULT_INIT;
    expect_ok(vt_model_open(&model, data_path("golden", "timm_vit_token", NULL), NULL, &err), &err);
    expect_ok(vt_session_create(&session, model, NULL, &err), &err);
    result.logits = expected;
    expect_ok(vt_session_run(session, &result, &made.frame, 1, &err), &err);
    result.logits = logits;
    impatient other = {.session = session};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, cancel_again_and_again, &other), 0);
    size_t stopped = 0;
    for (size_t i = 0; i < CALLS; i++) {
        const vt_status status = vt_session_run(session, &result, &made.frame, 1, &err);
        if (status == VT_OK)
            assert_memory_equal(logits, expected, sizeof expected);
        else
            assert_int_equal(status, VT_ERR_CANCELLED);
        stopped += status != VT_OK;
    }
    atomic_store(&other.done, true);
    pthread_join(thread, NULL);
    assert_true(stopped > 0);
    expect_ok(vt_session_run(session, &result, &made.frame, 1, &err), &err);
    assert_memory_equal(logits, expected, sizeof expected);
    vt_session_destroy(session);
    vt_model_close(model);
    free_frame(&made);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_eight_threads_give_the_bits_of_one),
        cmocka_unit_test(test_stopping_from_another_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
