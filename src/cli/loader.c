/* SPDX-License-Identifier: MIT
 *
 * A ring of slots. Threads take the next file, one of them at a time, and prepare it in slot number
 * (index % num_slots), which is free once the picture num_slots before it was handed out.
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
    file_source *files;
    size_t num_values; /* of one picture's pixels, at most */
    slot *slots;
    pthread_t *threads;
    size_t num_slots, num_threads;
    pthread_mutex_t lock; /* of what follows, and of the slots' `ready` */
    pthread_cond_t changed;
    size_t claimed, handed_out;
    bool taking;   /* a thread is asking for the next file */
    bool waiting;  /* and there is none yet */
    bool ended;    /* there will be none */
    bool stopping; /* nobody wants one */
};

static void prepare(const loader *l, picture *p, float *pixels) {
    vt_image image = {0};
    double start = clock_ms();
    if (p->error.code || vt_image_read(&image, p->path, l->options, &p->error))
        return;
    double decoded = clock_ms();
    p->width = image.full_width;
    p->height = image.full_height;
    p->decode_ms = decoded - start;
    if (vt_session_fit_size(l->session, &image, &p->input_height, &p->input_width, &p->error) ==
            VT_OK &&
        vt_session_preprocess_to(l->session, pixels, &image, p->input_height, p->input_width,
                                 &p->error) == VT_OK)
        p->preprocess_ms = clock_ms() - decoded;
    vt_image_free(&image);
}

static picture picture_of(const found_file *found) {
    return (picture){.path = found->path, .error = found->error, .is_list = found->is_list};
}

/* ---- on the threads ----------------------------------------------------------------------------
 */

static void set_waiting(loader *l, bool waiting) {
    pthread_mutex_lock(&l->lock);
    l->waiting = waiting;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
}

/* Waits for the next file, and says so meanwhile. */
static bool take_file(loader *l, found_file *out) {
    files_status status;
    while ((status = files_next(l->files, out)) == FILES_NOT_YET) {
        set_waiting(l, true);
        files_wait(l->files);
        set_waiting(l, false);
    }
    return status == FILES_FOUND;
}

/* The slot with the next file in it, NULL when there is none. Called with the lock held, which is
 * let go meanwhile. */
static slot *claim(loader *l) {
    found_file found;
    while (!l->stopping && !l->ended && (l->taking || l->claimed - l->handed_out == l->num_slots))
        pthread_cond_wait(&l->changed, &l->lock);
    if (l->stopping || l->ended)
        return NULL;
    l->taking = true;
    pthread_mutex_unlock(&l->lock);
    bool is_file = take_file(l, &found);
    pthread_mutex_lock(&l->lock);
    l->taking = false;
    l->ended = !is_file;
    pthread_cond_broadcast(&l->changed);
    if (!is_file)
        return NULL;
    slot *s = &l->slots[l->claimed++ % l->num_slots];
    s->picture = picture_of(&found);
    return l->stopping ? NULL : s;
}

static void *work(void *context) {
    loader *l = context;
    slot *s;
    pthread_mutex_lock(&l->lock);
    while ((s = claim(l)) != NULL) {
        pthread_mutex_unlock(&l->lock);
        prepare(l, &s->picture, s->pixels);
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

/* ---- on the caller's thread --------------------------------------------------------------------
 */

loader *loader_start(const vt_session *session, const vt_image_options *options, file_source *files,
                     size_t num_threads) {
    loader *l = allocate(1, sizeof *l);
    l->session = session;
    l->options = options;
    l->files = files;
    l->num_values = vt_session_picture_floats(session);
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->changed, NULL);
    if (num_threads)
        start_threads(l, num_threads);
    return l;
}

static bool load_now(loader *l, picture *out, float *pixels, bool wait) {
    found_file found;
    files_status status;
    while ((status = files_next(l->files, &found)) == FILES_NOT_YET && wait)
        files_wait(l->files);
    if (status != FILES_FOUND)
        return false;
    *out = picture_of(&found);
    prepare(l, out, pixels);
    return true;
}

/* Called with the lock held. */
static bool has_none(const loader *l, bool wait) {
    return l->claimed == l->handed_out && (l->ended || (!wait && l->waiting));
}

bool loader_next(loader *l, picture *out, float *pixels, bool wait) {
    if (!l->num_threads)
        return load_now(l, out, pixels, wait);
    slot *s = &l->slots[l->handed_out % l->num_slots];
    pthread_mutex_lock(&l->lock);
    while (!s->ready && !has_none(l, wait))
        pthread_cond_wait(&l->changed, &l->lock);
    bool found = s->ready;
    if (found) {
        *out = s->picture;
        s->picture.path = NULL;
        if (out->error.code == VT_OK)
            memcpy(pixels, s->pixels, 3 * out->input_height * out->input_width * sizeof *pixels);
        s->ready = false;
        l->handed_out++;
        pthread_cond_broadcast(&l->changed);
    }
    pthread_mutex_unlock(&l->lock);
    return found;
}

void loader_stop(loader *l) {
    pthread_mutex_lock(&l->lock);
    l->stopping = true;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
    files_interrupt(l->files);
    for (size_t i = 0; i < l->num_threads; i++)
        pthread_join(l->threads[i], NULL);
    for (size_t i = 0; i < l->num_slots; i++) {
        free(l->slots[i].picture.path);
        free(l->slots[i].pixels);
    }
    pthread_cond_destroy(&l->changed);
    pthread_mutex_destroy(&l->lock);
    free(l->threads);
    free(l->slots);
    free(l);
}
