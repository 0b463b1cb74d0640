/* SPDX-License-Identifier: MIT
 *
 * A ring of slots. Threads claim the next picture and prepare it in slot number (index %
 * num_slots), which is free once the picture num_slots before it was handed out.
 */
#include "loader.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose.h"
#include "progress.h"

typedef struct slot {
    picture picture;
    float *pixels;
    bool ready;
} slot;

struct loader {
    const vt_session *session;
    const vt_image_options *options;
    char *const *paths;
    size_t count, num_values; /* of one picture's pixels */
    slot *slots;
    pthread_t *threads;
    size_t num_slots, num_threads;
    pthread_mutex_t lock; /* of what follows, and of the slots' `ready` */
    pthread_cond_t changed;
    size_t claimed, handed_out;
    bool stopping;
};

static void prepare(const loader *l, size_t index, picture *p, float *pixels) {
    vt_image image = {0};
    double start = clock_ms();
    *p = (picture){.path = l->paths[index]};
    if (vt_image_read(&image, p->path, l->options, &p->error))
        return;
    double decoded = clock_ms();
    p->width = image.full_width;
    p->height = image.full_height;
    p->decode_ms = decoded - start;
    if (vt_session_preprocess(l->session, pixels, &image, &p->error) == VT_OK)
        p->preprocess_ms = clock_ms() - decoded;
    vt_image_free(&image);
}

/* The next picture to prepare; false when there is none left. Called with the lock held. */
static bool claim(loader *l, size_t *index) {
    while (!l->stopping && l->claimed < l->count && l->claimed - l->handed_out >= l->num_slots)
        pthread_cond_wait(&l->changed, &l->lock);
    if (l->stopping || l->claimed == l->count)
        return false;
    *index = l->claimed++;
    return true;
}

static void *work(void *context) {
    loader *l = context;
    size_t index;
    pthread_mutex_lock(&l->lock);
    while (claim(l, &index)) {
        slot *s = &l->slots[index % l->num_slots];
        pthread_mutex_unlock(&l->lock);
        prepare(l, index, &s->picture, s->pixels);
        pthread_mutex_lock(&l->lock);
        s->ready = true;
        pthread_cond_broadcast(&l->changed);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

static void start_threads(loader *l, size_t wanted) {
    l->num_slots = 2 * wanted;
    l->slots = allocate(l->num_slots, sizeof *l->slots);
    l->threads = allocate(wanted, sizeof *l->threads);
    for (size_t i = 0; i < l->num_slots; i++)
        l->slots[i].pixels = allocate(l->num_values, sizeof(float));
    /* Fewer threads than wanted are slower; none at all means loading when asked. */
    while (l->num_threads < wanted &&
           pthread_create(&l->threads[l->num_threads], NULL, work, l) == 0)
        l->num_threads++;
}

loader *loader_start(const vt_session *session, const vt_image_options *options, char *const *paths,
                     size_t count, size_t num_threads) {
    loader *l = allocate(1, sizeof *l);
    size_t height, width;
    vt_session_input_size(session, &height, &width);
    l->session = session;
    l->options = options;
    l->paths = paths;
    l->count = count;
    l->num_values = 3 * height * width;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->changed, NULL);
    if (num_threads)
        start_threads(l, num_threads);
    return l;
}

void loader_next(loader *l, picture *out, float *pixels) {
    if (!l->num_threads) {
        prepare(l, l->handed_out++, out, pixels);
        return;
    }
    slot *s = &l->slots[l->handed_out % l->num_slots];
    pthread_mutex_lock(&l->lock);
    while (!s->ready)
        pthread_cond_wait(&l->changed, &l->lock);
    *out = s->picture;
    if (out->error.code == VT_OK)
        memcpy(pixels, s->pixels, l->num_values * sizeof *pixels);
    s->ready = false;
    l->handed_out++;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
}

void loader_stop(loader *l) {
    pthread_mutex_lock(&l->lock);
    l->stopping = true;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
    for (size_t i = 0; i < l->num_threads; i++)
        pthread_join(l->threads[i], NULL);
    for (size_t i = 0; i < l->num_slots; i++)
        free(l->slots[i].pixels);
    pthread_cond_destroy(&l->changed);
    pthread_mutex_destroy(&l->lock);
    free(l->threads);
    free(l->slots);
    free(l);
}
