/* SPDX-License-Identifier: MIT
 *
 * Where the workers of a pool may run: anywhere but on their caller's processor, unless there are
 * too few, or somebody else has decided otherwise.
 */
#include "support.h"

#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "base/processors.h"
#include "base/threads.h"

enum { TWO = 2 };

/* A call of two tasks that wait for one another, so that the worker has one. */
typedef struct call {
    pthread_barrier_t both;
    cpu_set_t workers;    /* where the worker may run */
    const cpu_set_t *put; /* where it puts itself, or NULL */
} call;

static void look(void *context, size_t task, size_t thread) {
    call *c = context;
    (void)task;
    if (thread > 0) {
        assert_int_equal(sched_getaffinity(0, sizeof c->workers, &c->workers), 0);
        if (c->put)
            assert_int_equal(sched_setaffinity(0, sizeof *c->put, c->put), 0);
    }
    pthread_barrier_wait(&c->both);
}

static cpu_set_t run(vt_pool *pool, const cpu_set_t *put) {
    call c = {.put = put};
    pthread_barrier_init(&c.both, NULL, TWO);
    vt_pool_run(pool, look, &c, TWO);
    pthread_barrier_destroy(&c.both);
    return c.workers;
}

/* The same once the worker has gone to sleep, which takes it 30 us. */
static cpu_set_t run_after_a_pause(vt_pool *pool, const cpu_set_t *put) {
    nanosleep(&(struct timespec){.tv_nsec = 50 * 1000 * 1000}, NULL);
    return run(pool, put);
}

static void move_to(int processor) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET((size_t)processor, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
}

/* The `n`th that this process may run on. */
static int processor_at(const vt_processors *all, size_t n) {
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET((size_t)i, &all->set) && n-- == 0)
            return i;
    return -1;
}

static void assert_same_set(const cpu_set_t *found, const cpu_set_t *expected) {
    assert_true(CPU_EQUAL(found, expected));
}

static void test_workers_stay_off(void **state) {
    (void)state;
    vt_pool *pool;
    vt_error err = {0};
    const vt_processors all = vt_processors_allowed();
    if (all.count < 2)
        skip();
    expect_ok(vt_pool_create(&pool, TWO, &err), &err);
    for (size_t i = 0; i < 6; i++) {
        int here = processor_at(&all, i % all.count);
        cpu_set_t others = all.set;
        CPU_CLR((size_t)here, &others);
        move_to(here);
        assert_int_equal(vt_processor_here(), here);
        cpu_set_t found = run_after_a_pause(pool, NULL);
        assert_same_set(&found, &others);
    }
    assert_int_equal(sched_setaffinity(0, sizeof all.set, &all.set), 0);
    vt_pool_destroy(pool);
}

/* A worker that was put somewhere stays there. */
static void test_others_have_a_say(void **state) {
    (void)state;
    vt_pool *pool;
    vt_error err = {0};
    const vt_processors all = vt_processors_allowed();
    if (all.count < 2)
        skip();
    expect_ok(vt_pool_create(&pool, TWO, &err), &err);
    cpu_set_t first;
    CPU_ZERO(&first);
    CPU_SET((size_t)processor_at(&all, 0), &first);
    move_to(processor_at(&all, 0));
    run_after_a_pause(pool, &first);
    for (size_t i = 0; i < 4; i++) {
        move_to(processor_at(&all, i % all.count));
        cpu_set_t found = run_after_a_pause(pool, NULL);
        assert_same_set(&found, &first);
    }
    assert_int_equal(sched_setaffinity(0, sizeof all.set, &all.set), 0);
    vt_pool_destroy(pool);
}

/* Two threads of whoever may use one processor alone. */
static void test_too_few_processors(void **state) {
    (void)state;
    vt_pool *pool;
    vt_error err = {0};
    const vt_processors all = vt_processors_allowed();
    move_to(processor_at(&all, 0));
    expect_ok(vt_pool_create(&pool, TWO, &err), &err);
    const vt_processors one = vt_processors_allowed();
    assert_int_equal(one.count, 1);
    assert_int_equal(vt_num_processors(), 1);
    cpu_set_t found = run_after_a_pause(pool, NULL);
    assert_same_set(&found, &one.set);
    vt_pool_destroy(pool);
    assert_int_equal(sched_setaffinity(0, sizeof all.set, &all.set), 0);
    assert_int_equal(vt_num_processors(), all.count);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_workers_stay_off),
        cmocka_unit_test(test_others_have_a_say),
        cmocka_unit_test(test_too_few_processors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
