/* SPDX-License-Identifier: MIT
 *
 * A forward pass is about a hundred parallel calls of 0.05 to 5 ms each, so what matters is that a
 * worker takes up the next call at once: it spins for SPIN_NS before it sleeps, and takes tasks
 * from one atomic word without a lock.
 *
 * That word, the ticket, holds a call's number in its upper half and how many of its tasks nobody
 * has taken in its lower half. A task is taken by decrementing it with compare-and-swap. As long as
 * the lower half is not zero the caller cannot have left that call, so what a thread reads of the
 * job between loading the ticket and swapping it belongs to that ticket; a worker that wakes up
 * late finds zero, or the next call, and never a finished one.
 *
 * Which task that is, is another question: each thread has an even share of the numbers, and takes
 * from another's only when its own are gone. Layers number their tasks by rows, so that what a
 * thread wrote in one layer it reads in the next, out of its own caches.
 *
 * Several threads may call at once, as sessions that share a pool do. One of them has the workers;
 * the others do their tasks themselves rather than wait, because a call is short and waking up is
 * not, and look after each task whether the workers are free now. So nothing here can deadlock, and
 * in the child of a fork, where no worker is, callers are simply on their own.
 */
#include "base/threads.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/processors.h"

enum {
    SPIN_NS = 30000,       /* a sleeping thread takes about as long to wake */
    STAY_NS = 1000000,     /* between two moves of the workers to other processors */
    SPINS_PER_CLOCK = 32,  /* pauses between two looks at the clock */
    STACK_BYTES = 2 << 20, /* tasks keep tiles on it; musl's default is 128 KiB */
    MAX_THREADS = 4096
};

typedef struct worker {
    vt_pool *pool;
    size_t thread; /* 1.. */
    pthread_t handle;
    int kept_off; /* a processor, by leave_processor_to_caller; -1: none */
} worker;

/* How many of a thread's own tasks, a run of numbers, have been taken; and maybe a few more. On a
 * cache line of its own. */
typedef struct own_tasks {
    _Alignas(VT_ALIGNMENT) atomic_size_t taken;
} own_tasks;

struct vt_threads {
    /* The job: written by the caller before it sets the ticket. */
    _Atomic(vt_task_fn) task;
    _Atomic(void *) context;
    atomic_size_t first, count; /* the tasks' numbers begin there; how many */
    own_tasks *own;             /* [num_workers + 1] */

    /* Each on its own cache line: all threads write the first two while they work. */
    _Alignas(VT_ALIGNMENT) _Atomic uint64_t ticket;
    _Alignas(VT_ALIGNMENT) atomic_size_t unfinished; /* tasks taken or not, but not done */
    _Alignas(VT_ALIGNMENT) atomic_size_t sleepers;   /* changed with the mutex held */
    atomic_bool stop;

    atomic_bool busy; /* some caller has the workers */

    pthread_mutex_t mutex;
    pthread_cond_t work;     /* the ticket has tasks, or stop */
    pthread_cond_t finished; /* unfinished is 0 */

    vt_processors allowed; /* to whoever created the pool */
    int left_to_caller;    /* the processor that workers were last to stay off; -1: none */
    uint64_t left_at;      /* by vt_clock_ns */

    unsigned forks; /* num_forks when the workers were started */
    size_t num_workers;
    worker workers[];
};

static uint64_t untaken(uint64_t ticket) {
    return ticket & UINT32_MAX;
}

static void pause_briefly(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Spins until `ready` or for SPIN_NS, whichever comes first. */
static void spin(vt_pool *pool, bool (*ready)(vt_pool *)) {
    uint64_t start = vt_clock_ns();
    do {
        for (int i = 0; i < SPINS_PER_CLOCK; i++) {
            if (ready(pool))
                return;
            pause_briefly();
        }
    } while (vt_clock_ns() - start < SPIN_NS);
}

static bool has_work(vt_pool *pool) {
    return untaken(atomic_load(&pool->ticket)) != 0 || atomic_load(&pool->stop);
}

static bool is_finished(vt_pool *pool) {
    return atomic_load(&pool->unfinished) == 0;
}

size_t vt_share(size_t count, size_t parts, size_t part, size_t *begin) {
    *begin = count * part / parts;
    return count * (part + 1) / parts;
}

/* The number of a task for a thread that has been granted one: of its own, or if those are gone, of
 * the next thread's that has some. As many are granted as there are. */
static size_t take_number(vt_pool *pool, size_t thread) {
    size_t num_threads = pool->num_workers + 1;
    size_t first = atomic_load_explicit(&pool->first, memory_order_relaxed);
    size_t count = atomic_load_explicit(&pool->count, memory_order_relaxed);
    for (size_t owner = thread;; owner = (owner + 1) % num_threads) {
        size_t begin, end = vt_share(count, num_threads, owner, &begin);
        if (begin + atomic_load(&pool->own[owner].taken) >= end)
            continue;
        size_t number = begin + atomic_fetch_add(&pool->own[owner].taken, 1);
        if (number < end)
            return first + number;
    }
}

/* Does tasks until all are taken. */
static void take_tasks(vt_pool *pool, size_t thread) {
    size_t done = 0;
    uint64_t ticket = atomic_load(&pool->ticket);
    while (untaken(ticket) != 0) {
        vt_task_fn task = atomic_load_explicit(&pool->task, memory_order_relaxed);
        void *context = atomic_load_explicit(&pool->context, memory_order_relaxed);
        if (!atomic_compare_exchange_weak(&pool->ticket, &ticket, ticket - 1))
            continue;
        task(context, take_number(pool, thread), thread);
        done++;
        ticket = atomic_load(&pool->ticket);
    }
    /* Nothing of the pool is read after the last one but the mutex, which vt_pool_destroy leaves
     * alone until this thread has ended. */
    if (done && atomic_fetch_sub(&pool->unfinished, done) == done) {
        pthread_mutex_lock(&pool->mutex);
        pthread_cond_signal(&pool->finished);
        pthread_mutex_unlock(&pool->mutex);
    }
}

static void sleep_until_work(vt_pool *pool) {
    pthread_mutex_lock(&pool->mutex);
    /* Before the look at the ticket: a caller that sets it later sees this and signals. */
    atomic_fetch_add(&pool->sleepers, 1);
    while (!has_work(pool))
        pthread_cond_wait(&pool->work, &pool->mutex);
    atomic_fetch_sub(&pool->sleepers, 1);
    pthread_mutex_unlock(&pool->mutex);
}

static void *worker_main(void *argument) {
    worker *self = argument;
    vt_pool *pool = self->pool;
    while (!atomic_load(&pool->stop)) {
        take_tasks(pool, self->thread);
        spin(pool, has_work);
        if (!has_work(pool))
            sleep_until_work(pool);
    }
    return NULL;
}

static void wake_workers(vt_pool *pool, size_t wanted) {
    if (atomic_load(&pool->sleepers) == 0)
        return;
    pthread_mutex_lock(&pool->mutex);
    if (wanted >= pool->num_workers)
        pthread_cond_broadcast(&pool->work);
    else
        for (size_t i = 0; i < wanted; i++)
            pthread_cond_signal(&pool->work);
    pthread_mutex_unlock(&pool->mutex);
}

static void wait_until_finished(vt_pool *pool) {
    spin(pool, is_finished);
    if (is_finished(pool))
        return;
    pthread_mutex_lock(&pool->mutex);
    while (!is_finished(pool))
        pthread_cond_wait(&pool->finished, &pool->mutex);
    pthread_mutex_unlock(&pool->mutex);
}

/* ---- forks -------------------------------------------------------------------------------- */

/* How many forks this process is away from the one that loaded the library: a pool of another
 * number was inherited, and its workers were not. */
static atomic_uint num_forks;

static int handler_failure;

static void count_fork(void) {
    atomic_fetch_add(&num_forks, 1);
}

static void install_handler(void) {
    handler_failure = pthread_atfork(NULL, NULL, count_fork);
}

static vt_status watch_forks(vt_error *err) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, install_handler);
    return handler_failure ? vt_fail_memory(err, "a handler of forks", 0) : VT_OK;
}

static bool is_inherited(const vt_pool *pool) {
    return pool->forks != atomic_load_explicit(&num_forks, memory_order_relaxed);
}

/* ---- calls -------------------------------------------------------------------------------- */

static bool try_acquire(vt_pool *pool) {
    return !atomic_load_explicit(&pool->busy, memory_order_relaxed) &&
           !atomic_exchange(&pool->busy, true);
}

/* Has the workers stay off the processor that the caller is on, if there are enough others. Linux
 * often wakes a worker right there, or the caller where a worker is, on virtual machines above all,
 * and the two share it for pass after pass, too short for the scheduler to even them out. Callers
 * that take turns at a pool do not have its workers moved each time. */
static void leave_processor_to_caller(vt_pool *pool) {
    int here = vt_processor_here();
    if (here < 0 || here == pool->left_to_caller || pool->allowed.count <= pool->num_workers)
        return;
    uint64_t now = vt_clock_ns();
    if (now - pool->left_at < STAY_NS)
        return;
    for (worker *w = pool->workers; w < pool->workers + pool->num_workers; w++)
        vt_thread_keep_off(w->handle, &pool->allowed, &w->kept_off, here);
    pool->left_to_caller = here;
    pool->left_at = now;
}

/* Tasks `next` to `count` - 1 on all threads. */
static void run_shared(vt_pool *pool, vt_task_fn task, void *context, size_t next, size_t count) {
    const size_t untaken_tasks = count - next;
    leave_processor_to_caller(pool);
    for (size_t thread = 0; thread <= pool->num_workers; thread++)
        atomic_store_explicit(&pool->own[thread].taken, 0, memory_order_relaxed);
    uint64_t call = (atomic_load_explicit(&pool->ticket, memory_order_relaxed) >> 32) + 1;
    atomic_store_explicit(&pool->task, task, memory_order_relaxed);
    atomic_store_explicit(&pool->context, context, memory_order_relaxed);
    atomic_store_explicit(&pool->first, next, memory_order_relaxed);
    atomic_store_explicit(&pool->count, untaken_tasks, memory_order_relaxed);
    atomic_store(&pool->unfinished, untaken_tasks);
    atomic_store(&pool->ticket, call << 32 | untaken_tasks);
    wake_workers(pool, untaken_tasks - 1);
    take_tasks(pool, 0);
    wait_until_finished(pool);
}

void vt_pool_run(vt_pool *pool, vt_task_fn task, void *context, size_t count) {
    const bool has_workers = vt_pool_size(pool) > 1 && count <= UINT32_MAX && !is_inherited(pool);
    for (size_t next = 0; next < count; next++) {
        if (has_workers && count - next > 1 && try_acquire(pool)) {
            run_shared(pool, task, context, next, count);
            atomic_store(&pool->busy, false);
            return;
        }
        task(context, next, 0);
    }
}

size_t vt_pool_size(const vt_pool *pool) {
    return pool ? pool->num_workers + 1 : 1;
}

/* Starts one worker that handles no signals: those are the program's own threads' business. */
static int start_worker(worker *self) {
    pthread_attr_t attributes;
    sigset_t all, before;
    int failed = pthread_attr_init(&attributes);
    if (failed)
        return failed;
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(&self->handle, &attributes, worker_main, self);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return failed;
}

vt_status vt_pool_create(vt_pool **out, size_t num_threads, vt_error *err) {
    *out = NULL;
    vt_status status = watch_forks(err);
    if (status)
        return status;
    if (num_threads == 0)
        num_threads = vt_num_processors();
    if (num_threads > MAX_THREADS)
        return vt_fail(err, VT_ERR_ARGUMENT, "%zu threads: at most %d", num_threads, MAX_THREADS);
    size_t bytes = sizeof(vt_pool) + (num_threads - 1) * sizeof(worker);
    vt_pool *pool = vt_calloc(bytes, 1);
    if (!pool)
        return vt_fail_memory(err, "thread pool", bytes);
    pool->own = vt_calloc(num_threads, sizeof *pool->own);
    if (!pool->own) {
        vt_free(pool);
        return vt_fail_memory(err, "thread pool", num_threads * sizeof *pool->own);
    }
    pool->allowed = vt_processors_allowed();
    pool->left_to_caller = -1;
    pool->forks = atomic_load(&num_forks);
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->finished, NULL);
    for (size_t i = 0; i + 1 < num_threads; i++) {
        worker *next = &pool->workers[i];
        *next = (worker){.pool = pool, .thread = i + 1, .kept_off = -1};
        int failed = start_worker(next);
        if (failed) {
            vt_pool_destroy(pool);
            return vt_fail(err, VT_ERR_MEMORY, "thread %zu of %zu can't be started: %s", i + 2,
                           num_threads, failed == EAGAIN ? "too many threads" : "pthread_create");
        }
        pool->num_workers = i + 1;
    }
    *out = pool;
    return VT_OK;
}

void vt_pool_destroy(vt_pool *pool) {
    if (!pool)
        return;
    if (is_inherited(pool)) { /* its mutex may be held, by a thread that is not here */
        vt_free(pool->own);
        vt_free(pool);
        return;
    }
    pthread_mutex_lock(&pool->mutex);
    atomic_store(&pool->stop, true);
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->mutex);
    for (size_t i = 0; i < pool->num_workers; i++)
        pthread_join(pool->workers[i].handle, NULL);
    pthread_cond_destroy(&pool->finished);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->mutex);
    vt_free(pool->own);
    vt_free(pool);
}

vt_status vt_threads_create(vt_threads **out, size_t num_threads, vt_error *err) {
    return vt_pool_create(out, num_threads, err);
}

void vt_threads_destroy(vt_threads *threads) {
    vt_pool_destroy(threads);
}
