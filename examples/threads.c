/* SPDX-License-Identifier: MIT
 *
 * Names what is in several pictures at once, in a given time: threads MODEL MILLISECONDS IMAGE...
 *
 * One model; for each picture a thread and a session; worker threads that all sessions share. What
 * has not ended when the time is up is cancelled.
 *
 *     cc threads.c -o threads $(pkg-config --cflags --libs vitrine) -pthread
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <vitrine.h>

enum { MOST = 64 };

typedef struct job {
    pthread_t thread;
    vt_session *session;
    const char *path;
    vt_prediction best;
    vt_error err;
} job;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t one_ended;
static size_t running;

static void *work(void *argument) {
    job *j = argument;
    vt_image image = {0};
    if (!vt_image_read(&image, j->path, NULL, &j->err))
        vt_classify_image(j->session, &image, &j->best, 1, &j->err);
    vt_image_free(&image);
    pthread_mutex_lock(&mutex);
    running--;
    pthread_cond_signal(&one_ended);
    pthread_mutex_unlock(&mutex);
    return NULL;
}

static void add_milliseconds(struct timespec *time, long milliseconds) {
    time->tv_nsec += milliseconds % 1000 * 1000000;
    time->tv_sec += milliseconds / 1000 + time->tv_nsec / 1000000000;
    time->tv_nsec %= 1000000000;
}

/* A session whose thread still reads its picture runs nothing yet, so that vt_session_cancel does
 * nothing to it: it is called again until all threads have ended. */
static void wait_and_cancel(const job *jobs, size_t count, long milliseconds) {
    struct timespec deadline;
    clock_gettime(CLOCK_MONOTONIC, &deadline);
    add_milliseconds(&deadline, milliseconds);
    pthread_mutex_lock(&mutex);
    while (running) {
        if (pthread_cond_timedwait(&one_ended, &mutex, &deadline) == 0)
            continue;
        for (size_t i = 0; i < count; i++)
            vt_session_cancel(jobs[i].session);
        add_milliseconds(&deadline, 1);
    }
    pthread_mutex_unlock(&mutex);
}

/* Whether there is an answer. */
static bool report(const job *j, const vt_model *model) {
    if (j->err.code == VT_ERR_CANCELLED)
        fprintf(stderr, "%s: out of time\n", j->path);
    else if (j->err.code)
        fprintf(stderr, "%s\n", j->err.message);
    else
        printf("%s: %.1f%% %s\n", j->path, 100 * j->best.score,
               vt_model_label(model, j->best.index));
    return !j->err.code;
}

/* Whether all have an answer. */
static bool run(job *jobs, size_t count, const vt_model *model, long milliseconds) {
    pthread_condattr_t clock;
    size_t started = 0;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&one_ended, &clock);
    running = count;
    while (started < count &&
           pthread_create(&jobs[started].thread, NULL, work, &jobs[started]) == 0)
        started++;
    pthread_mutex_lock(&mutex);
    running -= count - started;
    pthread_mutex_unlock(&mutex);
    wait_and_cancel(jobs, started, milliseconds);
    bool all = started == count;
    for (size_t i = 0; i < started; i++) {
        pthread_join(jobs[i].thread, NULL);
        all = report(&jobs[i], model) && all;
    }
    if (started < count)
        fprintf(stderr, "%s: no thread to be had\n", jobs[started].path);
    pthread_cond_destroy(&one_ended);
    pthread_condattr_destroy(&clock);
    return all;
}

int main(int argc, char **argv) {
    vt_error err = {VT_OK, "usage: threads MODEL MILLISECONDS IMAGE... (64 at most)"};
    vt_model *model = NULL;
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    job jobs[MOST] = {0};
    const size_t count = argc > 3 ? (size_t)argc - 3 : 0;
    const long milliseconds = count ? strtol(argv[2], NULL, 10) : 0;
    bool failed = milliseconds < 1 || count > MOST || vt_model_open(&model, argv[1], NULL, &err) ||
                  vt_threads_create(&options.threads, 0, &err);
    for (size_t i = 0; i < count && !failed; i++) {
        jobs[i].path = argv[3 + i];
        failed = vt_session_create(&jobs[i].session, model, &options, &err);
    }
    if (failed)
        fprintf(stderr, "%s\n", err.message);
    else
        failed = !run(jobs, count, model, milliseconds);
    for (size_t i = 0; i < MOST; i++)
        vt_session_destroy(jobs[i].session);
    vt_threads_destroy(options.threads);
    vt_model_close(model);
    return failed;
}
