/* SPDX-License-Identifier: MIT
 *
 * The pool: every task once, for any number of tasks and threads, whether workers spin or sleep.
 * Also meant to be built with -fsanitize=thread.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/threads.h"

enum { MAX_TASKS = 1000 };

typedef struct tally {
    size_t pool_size;
    atomic_size_t times[MAX_TASKS]; /* each task was done */
    size_t plain[MAX_TASKS];        /* not atomic: the caller must see it after the call */
    atomic_size_t on_wrong_thread;
    atomic_bool in_use[64]; /* a thread number, by a task at this moment */
} tally;

static void count_task(void *context, size_t task, size_t thread) {
    tally *t = context;
    if (thread >= t->pool_size || atomic_exchange(&t->in_use[thread], true))
        atomic_fetch_add(&t->on_wrong_thread, 1);
    atomic_fetch_add(&t->times[task], 1);
    t->plain[task] += task + 1;
    atomic_store(&t->in_use[thread], false);
}

/* Without assertions, which are for the main thread of the parent. */
static bool runs_well(vt_pool *pool, tally *t, size_t count) {
    *t = (tally){.pool_size = vt_pool_size(pool)};
    vt_pool_run(pool, count_task, t, count);
    bool well = atomic_load(&t->on_wrong_thread) == 0;
    for (size_t i = 0; i < MAX_TASKS; i++)
        well = well && atomic_load(&t->times[i]) == (i < count) &&
               t->plain[i] == (i < count ? i + 1 : 0);
    return well;
}

static void check_run(vt_pool *pool, size_t count) {
    static tally t;
    assert_true(runs_well(pool, &t, count));
}

static void test_every_task_once(void **state) {
    (void)state;
    static const size_t counts[] = {0, 1, 2, 3, 7, 64, MAX_TASKS};
    for (size_t threads = 1; threads <= 8; threads++) {
        vt_pool *pool;
        assert_int_equal(vt_pool_create(&pool, threads, NULL), VT_OK);
        assert_int_equal(vt_pool_size(pool), threads);
        for (size_t repeat = 0; repeat < 20; repeat++)
            for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
                check_run(pool, counts[i]);
        vt_pool_destroy(pool);
    }
}

static void test_no_pool(void **state) {
    (void)state;
    assert_int_equal(vt_pool_size(NULL), 1);
    check_run(NULL, 0);
    check_run(NULL, 5);
    vt_pool_destroy(NULL);
}

static void add_one(void *context, size_t task, size_t thread) {
    (void)task;
    (void)thread;
    atomic_fetch_add((atomic_size_t *)context, 1);
}

/* Tasks so short that threads are forever taking them at the same moment. */
static void test_contended(void **state) {
    (void)state;
    vt_pool *pool;
    assert_int_equal(vt_pool_create(&pool, vt_num_processors(), NULL), VT_OK);
    for (size_t call = 0; call < 6000; call++) {
        atomic_size_t done = 0;
        vt_pool_run(pool, add_one, &done, 1000);
        assert_int_equal(atomic_load(&done), 1000);
    }
    vt_pool_destroy(pool);
}

/* Calls in quick succession, each with another context on the stack: a worker that is late for one
 * must not run it with the next one's. */
static void test_calls_do_not_mix(void **state) {
    (void)state;
    vt_pool *pool;
    assert_int_equal(vt_pool_create(&pool, 4, NULL), VT_OK);
    for (size_t call = 0; call < 20000; call++) {
        atomic_size_t done = 0;
        size_t count = 2 + call % 5;
        vt_pool_run(pool, add_one, &done, count);
        assert_int_equal(atomic_load(&done), count);
    }
    vt_pool_destroy(pool);
}

static void pause_ms(long ms) {
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

static void nap(void *context, size_t task, size_t thread) {
    (void)task;
    (void)thread;
    pause_ms(2);
    atomic_fetch_add((atomic_size_t *)context, 1);
}

/* Both sides fall asleep: workers between the calls, the caller while the last task lasts. */
static void test_sleep_and_wake(void **state) {
    (void)state;
    vt_pool *pool;
    assert_int_equal(vt_pool_create(&pool, 3, NULL), VT_OK);
    for (size_t call = 0; call < 20; call++) {
        atomic_size_t done = 0;
        pause_ms(2);
        vt_pool_run(pool, nap, &done, 2 + call % 3);
        assert_int_equal(atomic_load(&done), 2 + call % 3);
    }
    vt_pool_destroy(pool);
}

/* Tasks that wait for one another: a pool of n threads runs n of them at once. */
static void meet(void *context, size_t task, size_t thread) {
    (void)task;
    (void)thread;
    pthread_barrier_wait((pthread_barrier_t *)context);
}

static void test_runs_in_parallel(void **state) {
    (void)state;
    vt_pool *pool;
    pthread_barrier_t barrier;
    assert_int_equal(vt_pool_create(&pool, 4, NULL), VT_OK);
    assert_int_equal(pthread_barrier_init(&barrier, NULL, 4), 0);
    for (int call = 0; call < 50; call++)
        vt_pool_run(pool, meet, &barrier, 4);
    pthread_barrier_destroy(&barrier);
    vt_pool_destroy(pool);
}

/* A signal to the process must not be delivered to a worker. */
static void note_mask(void *context, size_t task, size_t thread) {
    (void)task;
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    if (thread > 0 && !sigismember(&mask, SIGINT))
        atomic_fetch_add((atomic_size_t *)context, 1);
    pause_ms(1);
}

static void test_workers_block_signals(void **state) {
    (void)state;
    vt_pool *pool;
    atomic_size_t open_threads = 0;
    sigset_t mask;
    assert_int_equal(vt_pool_create(&pool, 3, NULL), VT_OK);
    vt_pool_run(pool, note_mask, &open_threads, 12);
    assert_int_equal(atomic_load(&open_threads), 0);
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    assert_false(sigismember(&mask, SIGINT)); /* the caller's is as before */
    vt_pool_destroy(pool);
}

/* An idle pool sleeps: processor time of the process stays well under the time that passes. */
static void test_idle_pool_sleeps(void **state) {
    (void)state;
    vt_pool *pool;
    struct timespec before, after;
    assert_int_equal(vt_pool_create(&pool, 4, NULL), VT_OK);
    check_run(pool, 100);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    pause_ms(100);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    double used =
        (double)(after.tv_sec - before.tv_sec) + 1e-9 * (double)(after.tv_nsec - before.tv_nsec);
    assert_true(used < 0.02);
    vt_pool_destroy(pool);
}

/* ---- several callers ------------------------------------------------------------------------- */

typedef struct caller {
    vt_pool *pool;
    tally tally;
    size_t calls, failures;
    pthread_t handle;
} caller;

static void *call_often(void *argument) {
    caller *self = argument;
    for (size_t i = 0; i < self->calls; i++)
        self->failures += !runs_well(self->pool, &self->tally, i % 40);
    return NULL;
}

/* Sessions that share a pool: each call is whole, whoever has the workers. */
static void test_several_callers(void **state) {
    (void)state;
    enum { CALLERS = 4 };
    static caller callers[CALLERS];
    vt_pool *pool;
    assert_int_equal(vt_pool_create(&pool, 3, NULL), VT_OK);
    for (size_t i = 0; i < CALLERS; i++) {
        callers[i] = (caller){.pool = pool, .calls = 1500};
        assert_int_equal(pthread_create(&callers[i].handle, NULL, call_often, &callers[i]), 0);
    }
    for (size_t i = 0; i < CALLERS; i++) {
        pthread_join(callers[i].handle, NULL);
        assert_int_equal(callers[i].failures, 0);
    }
    check_run(pool, 100);
    vt_pool_destroy(pool);
}

typedef struct gate {
    atomic_bool entered, open;
} gate;

static void wait_at_gate(void *context, size_t task, size_t thread) {
    gate *g = context;
    (void)task;
    (void)thread;
    atomic_store(&g->entered, true);
    while (!atomic_load(&g->open))
        pause_ms(1);
}

typedef struct gated_call {
    vt_pool *pool;
    gate gate;
} gated_call;

static void *run_gated(void *argument) {
    gated_call *call = argument;
    vt_pool_run(call->pool, wait_at_gate, &call->gate, 4);
    return NULL;
}

/* A caller does not wait for another's call to end. */
static void test_busy_pool_is_not_waited_for(void **state) {
    (void)state;
    gated_call call = {0};
    pthread_t handle;
    assert_int_equal(vt_pool_create(&call.pool, 2, NULL), VT_OK);
    assert_int_equal(pthread_create(&handle, NULL, run_gated, &call), 0);
    while (!atomic_load(&call.gate.entered))
        pause_ms(1);
    check_run(call.pool, 100);
    atomic_store(&call.gate.open, true);
    pthread_join(handle, NULL);
    check_run(call.pool, 100);
    vt_pool_destroy(call.pool);
}

/* ---- forks ----------------------------------------------------------------------------------- */

/* In the child: tasks are done, the pool can be destroyed, and a new one has workers. */
static bool child_can_go_on(vt_pool *pool) {
    static tally t;
    bool well = runs_well(pool, &t, 0) && runs_well(pool, &t, 1) && runs_well(pool, &t, 100);
    vt_pool_destroy(pool);
#if !defined(__SANITIZE_THREAD__) /* it does not allow new threads there */
    well = well && vt_pool_create(&pool, 3, NULL) == VT_OK && runs_well(pool, &t, 100);
    if (well)
        vt_pool_destroy(pool);
#endif
    return well;
}

static void check_fork(vt_pool *pool) {
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        alarm(30); /* a child that hangs is ended */
        _exit(child_can_go_on(pool) ? 0 : 1);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_fork(void **state) {
    (void)state;
    vt_pool *pool;
    assert_int_equal(vt_pool_create(&pool, 4, NULL), VT_OK);
    check_fork(pool); /* workers that still spin */
    check_run(pool, 100);
    pause_ms(5);
    check_fork(pool); /* that sleep */
    check_run(pool, 100);
    vt_pool_destroy(pool);
}

/* Another thread is amid a call, which the child does not have. */
static void test_fork_of_a_busy_pool(void **state) {
    (void)state;
    gated_call call = {0};
    pthread_t handle;
    assert_int_equal(vt_pool_create(&call.pool, 3, NULL), VT_OK);
    assert_int_equal(pthread_create(&handle, NULL, run_gated, &call), 0);
    while (!atomic_load(&call.gate.entered))
        pause_ms(1);
    check_fork(call.pool);
    atomic_store(&call.gate.open, true);
    pthread_join(handle, NULL);
    check_run(call.pool, 100);
    vt_pool_destroy(call.pool);
}

static void test_sizes(void **state) {
    (void)state;
    vt_pool *pool;
    vt_error err = {0};
    assert_true(vt_num_processors() >= 1);
    assert_int_equal(vt_pool_create(&pool, 0, &err), VT_OK);
    assert_int_equal(vt_pool_size(pool), vt_num_processors());
    vt_pool_destroy(pool);
    assert_int_equal(vt_pool_create(&pool, SIZE_MAX, &err), VT_ERR_ARGUMENT);
    assert_null(pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_task_once),
        cmocka_unit_test(test_no_pool),
        cmocka_unit_test(test_contended),
        cmocka_unit_test(test_calls_do_not_mix),
        cmocka_unit_test(test_sleep_and_wake),
        cmocka_unit_test(test_runs_in_parallel),
        cmocka_unit_test(test_workers_block_signals),
        cmocka_unit_test(test_idle_pool_sleeps),
        cmocka_unit_test(test_several_callers),
        cmocka_unit_test(test_busy_pool_is_not_waited_for),
        cmocka_unit_test(test_fork),
        cmocka_unit_test(test_fork_of_a_busy_pool),
        cmocka_unit_test(test_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
