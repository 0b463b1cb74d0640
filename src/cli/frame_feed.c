/* SPDX-License-Identifier: MIT
 *
 * A slot is free, being filled, waiting, or with the caller. The reader never waits for a free one
 * where frames are dropped: there are as many slots as may wait, and two more.
 */
#include "frame_feed.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "diagnose.h"
#include "progress.h"

struct frame_feed {
    frame_source *source;
    bool drops, realtime;
    feed_frame *slots;
    size_t num_slots, most_waiting;
    pthread_t thread;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    feed_frame **free, **waiting; /* [num_slots]; those that wait, the oldest first */
    size_t num_free, num_waiting;
    feed_frame *taken; /* with the caller; NULL: none */
    bool ended, stopping;
    feed_outcome outcome;
};

/* ---- the reader's side --------------------------------------------------------------------- */

/* NULL when reading shall stop. */
static feed_frame *take_free(frame_feed *f) {
    feed_frame *slot = NULL;
    pthread_mutex_lock(&f->lock);
    while (!f->num_free && !f->stopping)
        pthread_cond_wait(&f->changed, &f->lock);
    if (!f->stopping)
        slot = f->free[--f->num_free];
    pthread_mutex_unlock(&f->lock);
    return slot;
}

/* Called with the lock held. */
static feed_frame *oldest_waiting(frame_feed *f) {
    feed_frame *oldest = f->waiting[0];
    memmove(f->waiting, f->waiting + 1, --f->num_waiting * sizeof *f->waiting);
    return oldest;
}

static void put_waiting(frame_feed *f, feed_frame *slot) {
    pthread_mutex_lock(&f->lock);
    if (f->drops && f->num_waiting == f->most_waiting) {
        f->free[f->num_free++] = oldest_waiting(f);
        f->outcome.num_dropped++;
    }
    f->waiting[f->num_waiting++] = slot;
    f->outcome.num_read++;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
}

static void end_reading(frame_feed *f, source_status status) {
    pthread_mutex_lock(&f->lock);
    f->ended = true;
    if (status == SOURCE_FAILED)
        f->outcome.error = f->source->error;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
}

/* Until frame `number` is due, or reading shall stop. */
static void wait_until_due(const frame_feed *f, double begun_ms, uint64_t number) {
    struct pollfd stop = {.fd = f->source->bytes.stop, .events = POLLIN};
    double due = begun_ms + 1e3 * (double)number / f->source->fps;
    for (double left = due - clock_ms(); left > 0 && !stop.revents; left = due - clock_ms())
        poll(&stop, 1, left < 1e3 ? (int)left + 1 : 1000);
}

static int64_t now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void *read_frames(void *context) {
    frame_feed *f = context;
    source_status status = SOURCE_FRAME;
    double begun_ms = clock_ms();
    for (uint64_t number = 0; status == SOURCE_FRAME; number++) {
        feed_frame *slot = take_free(f);
        if (!slot)
            break;
        if (f->realtime)
            wait_until_due(f, begun_ms, number);
        status = source_next(f->source, &slot->data);
        if (status != SOURCE_FRAME)
            break;
        slot->number = number;
        slot->arrived_ms = clock_ms();
        slot->arrived_us = now_us();
        put_waiting(f, slot);
    }
    end_reading(f, status);
    return NULL;
}

/* ---- the caller's side --------------------------------------------------------------------- */

const feed_frame *feed_next(frame_feed *f) {
    pthread_mutex_lock(&f->lock);
    if (f->taken)
        f->free[f->num_free++] = f->taken;
    f->taken = NULL;
    pthread_cond_broadcast(&f->changed);
    while (!f->num_waiting && !f->ended)
        pthread_cond_wait(&f->changed, &f->lock);
    if (f->num_waiting) {
        f->taken = oldest_waiting(f);
        f->taken->dropped = f->outcome.num_dropped;
    }
    pthread_mutex_unlock(&f->lock);
    return f->taken;
}

static void make_slots(frame_feed *f) {
    f->slots = allocate(f->num_slots, sizeof *f->slots);
    f->free = allocate(f->num_slots, sizeof *f->free);
    f->waiting = allocate(f->num_slots, sizeof *f->waiting);
    for (size_t i = 0; i < f->num_slots; i++) {
        source_reserve(f->source, &f->slots[i].data);
        f->free[f->num_free++] = &f->slots[i];
    }
}

static void destroy(frame_feed *f) {
    for (size_t i = 0; i < f->num_slots; i++)
        free(f->slots[i].data.bytes);
    pthread_cond_destroy(&f->changed);
    pthread_mutex_destroy(&f->lock);
    free(f->waiting);
    free(f->free);
    free(f->slots);
    free(f);
}

frame_feed *feed_start(frame_source *source, const drop_policy *drop, bool realtime) {
    frame_feed *f = allocate(1, sizeof *f);
    f->source = source;
    f->realtime = realtime;
    f->drops = drop->rule == DROP_OLDEST;
    f->most_waiting = drop->most;
    f->num_slots = f->drops ? drop->most + 2 : 2;
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->changed, NULL);
    make_slots(f);
    int error = pthread_create(&f->thread, NULL, read_frames, f);
    if (!error)
        return f;
    complain("no thread to read with", strerror(error));
    destroy(f);
    return NULL;
}

feed_outcome feed_stop(frame_feed *f) {
    pthread_mutex_lock(&f->lock);
    f->stopping = true;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
    pthread_join(f->thread, NULL);
    feed_outcome outcome = f->outcome;
    outcome.num_dropped += f->num_waiting;
    destroy(f);
    return outcome;
}
