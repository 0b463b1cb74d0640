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

enum { THREADS = 2 };

/* A call of two tasks that wait for one another, so that the worker has one. */
typedef struct call {
    pthread_barrier_t both;
    cpu_set_t workers;    /* where the worker may run */
    const cpu_set_t *put; /* where it puts itself, or NULL */
    int failed;           /* assertions are for the main thread */
} call;

static void look(void *context, size_t task, size_t thread) {
    call *c = context;
    (void)task;
    if (thread > 0) {
        c->failed = sched_getaffinity(0, sizeof c->workers, &c->workers);
        if (c->put)
            c->failed |= sched_setaffinity(0, sizeof *c->put, c->put);
    }
    pthread_barrier_wait(&c->both);
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

/* A call from processor `here`, after a pause: workers are moved once a millisecond at most. Where
 * the worker may run then. */
static cpu_set_t run_from(vt_pool *pool, int here, const cpu_set_t *put) {
    call c = {.put = put};
    move_to(here);
    assert_int_equal(vt_processor_here(), here);
    nanosleep(&(struct timespec){.tv_nsec = 50 * 1000 * 1000}, NULL);
    pthread_barrier_init(&c.both, NULL, THREADS);
    vt_pool_run(pool, look, &c, THREADS);
    pthread_barrier_destroy(&c.both);
    assert_int_equal(c.failed, 0);
    return c.workers;
}

static vt_pool *create_pool(void) {
    vt_pool *pool;
    vt_error err = {0};
    expect_ok(vt_pool_create(&pool, THREADS, &err), &err);
    return pool;
}

/* And the test's thread may run anywhere again. */
static void destroy_pool(vt_pool *pool, const vt_processors *all) {
    assert_int_equal(sched_setaffinity(0, sizeof all->set, &all->set), 0);
    vt_pool_destroy(pool);
}

static void test_workers_stay_off(void **state) {
    (void)state;
    const vt_processors all = vt_processors_allowed();
    if (all.count < 2)
        skip();
    vt_pool *pool = create_pool();
    for (size_t i = 0; i < 6; i++) {
        int here = processor_at(&all, i % all.count);
        cpu_set_t others = all.set, found = run_from(pool, here, NULL);
        CPU_CLR((size_t)here, &others);
        assert_true(CPU_EQUAL(&found, &others));
    }
    destroy_pool(pool, &all);
}

/* A worker that was put somewhere stays there. */
static void test_others_have_a_say(void **state) {
    (void)state;
    const vt_processors all = vt_processors_allowed();
    if (all.count < 2)
        skip();
    vt_pool *pool = create_pool();
    cpu_set_t first;
    CPU_ZERO(&first);
    CPU_SET((size_t)processor_at(&all, 0), &first);
    run_from(pool, processor_at(&all, 0), &first);
    for (size_t i = 0; i < 4; i++) {
        cpu_set_t found = run_from(pool, processor_at(&all, i % all.count), NULL);
        assert_true(CPU_EQUAL(&found, &first));
    }
    destroy_pool(pool, &all);
}

/* Two threads of whoever may use one processor alone. */
static void test_too_few_processors(void **state) {
    (void)state;
    const vt_processors all = vt_processors_allowed();
    int here = processor_at(&all, 0);
    move_to(here);
    vt_pool *pool = create_pool();
    const vt_processors one = vt_processors_allowed();
    assert_int_equal(one.count, 1);
    assert_int_equal(vt_num_processors(), 1);
    cpu_set_t found = run_from(pool, here, NULL);
    assert_true(CPU_EQUAL(&found, &one.set));
    destroy_pool(pool, &all);
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
