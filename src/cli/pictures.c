/* SPDX-License-Identifier: MIT */
#include "pictures.h"

#include <stdlib.h>
#include <string.h>

#include "diagnose.h"
#include "files.h"
#include "loader.h"
#include "model.h"
#include "progress.h"

typedef struct work {
    vt_image_options decoding;
    vt_session *session;
    const file_list *files;
    loader *loader; /* NULL: each picture has a size of its own */
    progress progress;
    size_t batch, floats; /* of one picture, at most */
    float *pixels;        /* [batch][floats] */
    picture *pictures;    /* [batch], those that could be read */
    size_t *heights, *widths;
    const float **starts;
    size_t num_failed;
    bool quiet;
    picture_fn fn;
    void *user;
} work;

static void fail_picture(work *w, const char *path, const char *message) {
    progress_hide(&w->progress);
    complain(strcmp(path, "-") == 0 ? "standard input" : path, message);
    w->num_failed++;
}

/* A picture at the size that its aspect calls for, into row `row`. */
static void load_any_size(work *w, picture *p, size_t row) {
    vt_image image = {0};
    float *pixels = w->pixels + row * w->floats;
    double start = clock_ms();
    vt_status status = vt_image_read(&image, p->path, &w->decoding, &p->error);
    p->decode_ms = clock_ms() - start;
    p->width = image.full_width;
    p->height = image.full_height;
    if (!status)
        status =
            vt_session_fit_size(w->session, &image, &w->heights[row], &w->widths[row], &p->error);
    if (!status)
        status = vt_session_preprocess_to(w->session, pixels, &image, w->heights[row],
                                          w->widths[row], &p->error);
    p->preprocess_ms = clock_ms() - start - p->decode_ms;
    vt_image_free(&image);
    w->starts[row] = pixels;
}

/* Reads the next picture into row `row`; false, having complained, when that can't be done. */
static bool load(work *w, const char *path, size_t row) {
    picture *p = &w->pictures[row];
    *p = (picture){.path = path};
    if (w->loader)
        loader_next(w->loader, p, w->pixels + row * w->floats);
    else
        load_any_size(w, p, row);
    if (p->error.code)
        fail_picture(w, path, p->error.message);
    return p->error.code == VT_OK;
}

static void run_batch(work *w, size_t first, size_t count) {
    vt_error err = {0};
    vt_status status = VT_OK;
    size_t rows = 0;
    for (size_t i = 0; i < count; i++)
        rows += load(w, w->files->paths[first + i], rows);
    if (rows && w->loader)
        status = vt_session_forward(w->session, w->pixels, rows, &err);
    else if (rows)
        status =
            vt_session_forward_naflex(w->session, w->starts, w->heights, w->widths, rows, &err);
    progress_hide(&w->progress);
    for (size_t row = 0; row < rows; row++) {
        if (status)
            fail_picture(w, w->pictures[row].path, err.message);
        else
            w->fn(w->user, &w->pictures[row], row);
    }
}

static int run_all(work *w) {
    bool arrived = true;
    progress_begin(&w->progress, w->files->count, w->quiet);
    for (size_t done = 0; done < w->files->count && arrived; done += w->batch) {
        size_t left = w->files->count - done;
        progress_show(&w->progress, done);
        run_batch(w, done, left < w->batch ? left : w->batch);
        arrived = output_flush();
    }
    progress_hide(&w->progress);
    return !arrived || w->num_failed || w->files->num_failed ? EXIT_SOME_FAILED : EXIT_DONE;
}

int each_picture(vt_session *session, const vt_model *model, const settings *s, picture_fn fn,
                 void *user) {
    file_list files = {0};
    for (size_t i = 0; i < s->num_operands; i++)
        files_add(&files, s->operands[i]);
    if (s->files_from)
        files_add_from(&files, s->files_from);
    work w = {.decoding = decoding_options(s, session),
              .session = session,
              .files = &files,
              .batch = s->batch,
              .quiet = s->quiet,
              .fn = fn,
              .user = user,
              .floats = vt_session_picture_floats(session)};
    w.pixels = allocate(w.batch * w.floats, sizeof *w.pixels);
    w.pictures = allocate(w.batch, sizeof *w.pictures);
    w.heights = allocate(w.batch, sizeof *w.heights);
    w.widths = allocate(w.batch, sizeof *w.widths);
    w.starts = allocate(w.batch, sizeof *w.starts);
    if (!vt_model_is_naflex(model))
        w.loader = loader_start(session, &w.decoding, files.paths, files.count, files.count > 1);
    int code = run_all(&w);
    if (w.loader)
        loader_stop(w.loader);
    free(w.starts);
    free(w.widths);
    free(w.heights);
    free(w.pictures);
    free(w.pixels);
    files_free(&files);
    return code;
}
