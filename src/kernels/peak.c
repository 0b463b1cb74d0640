/* SPDX-License-Identifier: MIT */
#include "kernels/peak.h"

#include <sched.h>
#include <stdatomic.h>

#include "base/clock.h"

/* One run of all threads. Each takes one task: nobody leaves his before all have begun. */
typedef struct peak_run {
    const vt_kernels *kernels;
    size_t rounds, num_threads;
    atomic_size_t arrived, operations;
    _Atomic double start; /* seconds: when the last thread arrived */
} peak_run;

static double now(void) {
    return 1e-9 * (double)vt_clock_ns();
}

static void wait_for_all(peak_run *run) {
    if (atomic_fetch_add(&run->arrived, 1) + 1 == run->num_threads)
        atomic_store(&run->start, now());
    while (atomic_load(&run->start) == 0)
        sched_yield(); /* there may be more threads than processors */
}

static void multiply_add(void *context, size_t task, size_t thread) {
    peak_run *run = context;
    float sum;
    (void)task;
    (void)thread;
    wait_for_all(run);
    atomic_fetch_add(&run->operations, run->kernels->multiply_add(&sum, run->rounds));
}

/* Operations a second, of `rounds` by each thread; *seconds is how long they took. */
static double measure(const vt_kernels *kernels, vt_pool *pool, size_t rounds, double *seconds) {
    peak_run run = {.kernels = kernels, .rounds = rounds, .num_threads = vt_pool_size(pool)};
    vt_pool_run(pool, multiply_add, &run, run.num_threads);
    *seconds = now() - atomic_load(&run.start);
    return (double)atomic_load(&run.operations) / *seconds;
}

double vt_kernels_peak(const vt_kernels *kernels, vt_pool *pool) {
    enum { REPEATS = 3 };
    double best = 0, seconds = 0;
    size_t rounds = 1 << 10;
    for (measure(kernels, pool, rounds, &seconds); seconds < 4e-3; rounds *= 2)
        measure(kernels, pool, rounds, &seconds); /* warms up, too */
    for (size_t i = 0; i < REPEATS; i++) {
        double rate = measure(kernels, pool, rounds, &seconds);
        best = rate > best ? rate : best;
    }
    return best * 1e-9;
}
