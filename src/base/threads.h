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

typedef struct vt_pool vt_pool;

/* Does task number `task`; `thread` in [0, vt_pool_size) says whose scratch memory it may use. */
typedef void (*vt_task_fn)(void *context, size_t task, size_t thread);

/* `num_threads` counts the caller: n - 1 workers are started. 0 means vt_num_processors(). */
vt_status vt_pool_create(vt_pool **out, size_t num_threads, vt_error *err);
void vt_pool_destroy(vt_pool *pool);

/* 1 for NULL, which runs everything on the caller's thread. */
size_t vt_pool_size(const vt_pool *pool);

/* Runs tasks 0..count-1, each once, in any order on any thread, and returns when all are done.
 * Tasks are handed out one by one, so uneven ones balance. Does not allocate. One call at a time.
 */
void vt_pool_run(vt_pool *pool, vt_task_fn task, void *context, size_t count);

#endif
