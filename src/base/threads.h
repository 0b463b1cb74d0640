/* SPDX-License-Identifier: MIT
 *
 * A pool of worker threads that splits one call's work into tasks.
 *
 *     static void square(void *context, size_t task, size_t thread) {
 *         float *x = context;
 *         x[task] *= x[task];
 *     }
 *     vt_pool_run(pool, square, x, count);
 */
#ifndef VT_BASE_THREADS_H
#define VT_BASE_THREADS_H

#include "vitrine.h"

/* What vitrine.h calls vt_threads. */
typedef vt_threads vt_pool;

/* Does task number `task`; `thread` in [0, vt_pool_size) says whose scratch memory it may use. */
typedef void (*vt_task_fn)(void *context, size_t task, size_t thread);

/* `num_threads` counts the caller: n - 1 workers are started. 0 means vt_num_processors(). In the
 * child of a fork vt_pool_destroy frees a pool of the parent's, whose workers are not there. */
vt_status vt_pool_create(vt_pool **out, size_t num_threads, vt_error *err);
void vt_pool_destroy(vt_pool *pool);

/* 1 for NULL, which runs everything on the caller's thread. */
size_t vt_pool_size(const vt_pool *pool);

/* The `part`th of `parts` even shares of `count`: from *begin to the returned end. */
size_t vt_share(size_t count, size_t parts, size_t part, size_t *begin);

/* Runs tasks 0..count-1, each once, in any order on any thread, and returns when all are done.
 * Tasks are handed out one by one, so uneven ones balance; a thread does those of its own even
 * share of 0..count-1 first, so that tasks of the same numbers, call after call, find their data in
 * its caches. Does not allocate. Of several callers at once one has the workers, and the others run
 * their tasks on their own threads, as all do in the child of a fork. A task must not call it for
 * the same pool. */
void vt_pool_run(vt_pool *pool, vt_task_fn task, void *context, size_t count);

#endif
