/* SPDX-License-Identifier: MIT */
#include "features.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "diagnose.h"
#include "feature_cache.h"
#include "pictures.h"
#include "progress.h"

/* To be raised when decoding, preprocessing or a forward pass come to give another vector of the
 * same picture: what was kept is then not found any more. */
enum { FEATURES_VERSION = 1 };

/* A picture, as it was when its content was looked at. */
typedef struct source {
    hash content;
    struct stat info;
    bool hashed; /* false: it can't be read, which decoding will say */
    bool known;  /* its vector is there */
} source;

typedef struct work {
    features *out;
    album *album;
    vt_session *session;
    const settings *settings;
    feature_cache cache;
    source *sources; /* [count] */
    size_t next;     /* where the pictures that are computed are looked for */
} work;

/* ---- what the vectors depend on ----------------------------------------------------------------
 */

static hash way_of_computing(const work *w, const vt_model *model, const identity *of) {
    const settings *s = w->settings;
    const vt_image_options *i = &s->image;
    vt_model_info info;
    size_t height, width;
    char text[768];
    vt_model_describe(&info, model);
    vt_session_input_size(w->session, &height, &width);
    int length = snprintf(
        text, sizeof text, "%d|%s|%s %s|%s %s %s|%s %zu|%zux%zu|%d %d %02x%02x%02x %d",
        FEATURES_VERSION, vt_version(), of->outline, of->matrices, info.kernels, info.backend,
        info.precision, info.pos_resize, info.patch_size, height, width, s->shrink_on_load,
        i->use_background, i->background[0], i->background[1], i->background[2], i->drop_alpha);
    return hash_bytes(text, (size_t)length < sizeof text ? (size_t)length : sizeof text - 1);
}

/* ---- what is known ------------------------------------------------------------------------------
 */

/* Reads all files once. */
static void look_at_files(work *w) {
    progress bar;
    progress_begin(&bar, w->album->count, w->settings->quiet);
    for (size_t i = 0; i < w->album->count; i++) {
        source *from = &w->sources[i];
        const char *path = w->album->pictures[i].path;
        progress_show(&bar, i);
        from->hashed = stat(path, &from->info) == 0 && hash_file(&from->content, path);
    }
    progress_hide(&bar);
}

static void look_into_cache(work *w) {
    for (size_t i = 0; i < w->album->count; i++) {
        source *from = &w->sources[i];
        from->known =
            from->hashed && cache_get(&w->cache, from->content, w->out->x + i * w->out->width);
        w->out->num_cached += from->known;
    }
}

/* ---- copies -------------------------------------------------------------------------------------
 */

typedef struct entry {
    hash content;
    size_t index;
} entry;

static int compare_entries(const void *a, const void *b) {
    const entry *x = a, *y = b;
    if (x->content.high != y->content.high)
        return x->content.high < y->content.high ? -1 : 1;
    if (x->content.low != y->content.low)
        return x->content.low < y->content.low ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* `b` has the content of `a`, which comes before it. */
static void meet_copy(work *w, size_t a, size_t b, bool *keep) {
    const album_picture *first = &w->album->pictures[a], *second = &w->album->pictures[b];
    if (first->class_of == second->class_of) {
        keep[b] = false;
        w->out->num_copies++;
    } else if (!w->settings->quiet) {
        note("the same picture in two classes: %s, %s", first->path, second->path);
    }
}

/* A copy in the same class would vouch for its original when that is left out. */
static void drop_copies(work *w) {
    size_t count = w->album->count, used = 0, left = 0;
    entry *entries = allocate(count, sizeof *entries);
    bool *keep = allocate(count, sizeof *keep);
    for (size_t i = 0; i < count; i++) {
        keep[i] = true;
        if (w->sources[i].hashed)
            entries[used++] = (entry){w->sources[i].content, i};
    }
    qsort(entries, used, sizeof *entries, compare_entries);
    for (size_t i = 1; i < used; i++)
        if (hash_equal(entries[i - 1].content, entries[i].content))
            meet_copy(w, entries[i - 1].index, entries[i].index, keep);
    for (size_t i = 0; i < count; i++)
        if (keep[i])
            w->sources[left++] = w->sources[i];
    album_keep(w->album, keep);
    free(keep);
    free(entries);
}

/* ---- the others ---------------------------------------------------------------------------------
 */

static bool unchanged(const source *from, const char *path) {
    struct stat now;
    return from->hashed && stat(path, &now) == 0 && now.st_size == from->info.st_size &&
           now.st_mtim.tv_sec == from->info.st_mtim.tv_sec &&
           now.st_mtim.tv_nsec == from->info.st_mtim.tv_nsec;
}

/* Pictures come in the order of the album; those in between could not be read. */
static void on_picture(void *user, const picture *p, size_t row) {
    work *w = user;
    size_t width = w->out->width;
    const float *vector = vt_session_pooled(w->session) + row * width;
    while (strcmp(w->album->pictures[w->next].path, p->path) != 0)
        w->next++;
    source *from = &w->sources[w->next];
    memcpy(w->out->x + w->next * width, vector, width * sizeof *vector);
    from->known = true;
    w->out->num_computed++;
    if (unchanged(from, p->path))
        cache_put(&w->cache, from->content, vector);
}

static const picture_sink sink = {.found = on_picture};

static int compute_missing(work *w, const vt_model *model) {
    settings missing = *w->settings;
    missing.operands = allocate(w->album->count, sizeof *missing.operands);
    missing.num_operands = 0;
    missing.files_from = NULL;
    for (size_t i = 0; i < w->album->count; i++)
        if (!w->sources[i].known)
            missing.operands[missing.num_operands++] = w->album->pictures[i].path;
    int code =
        missing.num_operands ? each_picture(w->session, model, &missing, &sink, w) : EXIT_DONE;
    free(missing.operands);
    return code;
}

static void drop_unknown(work *w) {
    size_t width = w->out->width, left = 0;
    bool *keep = allocate(w->album->count, sizeof *keep);
    for (size_t i = 0; i < w->album->count; i++) {
        keep[i] = w->sources[i].known;
        if (keep[i])
            memmove(w->out->x + left++ * width, w->out->x + i * width, width * sizeof(float));
    }
    album_keep(w->album, keep);
    free(keep);
}

int features_compute(features *out, album *a, vt_session *session, const vt_model *model,
                     const identity *of, const settings *s) {
    *out = (features){.width = vt_session_pooled_width(session)};
    work w = {.out = out, .album = a, .session = session, .settings = s};
    w.sources = allocate(a->count, sizeof *w.sources);
    look_at_files(&w);
    drop_copies(&w);
    out->x = allocate(a->count * out->width, sizeof *out->x);
    if (!s->no_cache)
        cache_open(&w.cache, way_of_computing(&w, model, of), out->width);
    look_into_cache(&w);
    int code = compute_missing(&w, model);
    drop_unknown(&w);
    cache_close(&w.cache);
    free(w.sources);
    return code;
}

void features_free(features *f) {
    free(f->x);
}
