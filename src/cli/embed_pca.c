/* SPDX-License-Identifier: MIT
 *
 * The first three principal components of the patches' features as red, green and blue, as Oquab et
 * al. (2023, DINOv2) show them; those of all pictures together, so that what is alike has one
 * colour in all of them.
 */
#include "embed_pca.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose.h"
#include "model.h"
#include "paths.h"
#include "pictures.h"
#include "principal.h"
#include "sheet.h"

enum { EDGE = 220, COLOURS = 3 };

typedef struct work {
    const settings *settings;
    vt_model_info info;
    vt_session *session;
    size_t height, width;              /* of the input */
    size_t rows, columns, num_patches; /* of the grid */
    size_t feature_width;
    char **paths;
    float *features; /* [count][num_patches][feature_width] */
    float *colours;  /* [count][num_patches][COLOURS], 0 to 1 */
    size_t count, capacity;
} work;

static void on_picture(void *user, const picture *p, size_t row) {
    work *w = user;
    size_t tokens = vt_session_num_tokens(w->session), floats = w->num_patches * w->feature_width;
    const float *features = vt_session_features(w->session);
    if (w->count == w->capacity) {
        w->capacity = w->capacity ? 2 * w->capacity : 16;
        w->paths = reallocate(w->paths, w->capacity, sizeof *w->paths);
        w->features = reallocate(w->features, w->capacity * floats, sizeof *w->features);
    }
    memcpy(w->features + w->count * floats,
           features + (row * tokens + w->info.num_prefix_tokens) * w->feature_width,
           floats * sizeof *features);
    w->paths[w->count++] = duplicate(p->path);
}

static const picture_sink sink = {.found = on_picture};

/* ---- colours -----------------------------------------------------------------------------------
 */

static int compare_floats(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

/* Spreads a component over the whole range, but for a hundredth of the patches at each end. */
static void spread(float *colours, size_t component, size_t patches) {
    float *sorted = allocate(patches, sizeof *sorted);
    for (size_t i = 0; i < patches; i++)
        sorted[i] = colours[i * COLOURS + component];
    qsort(sorted, patches, sizeof *sorted, compare_floats);
    float least = sorted[patches / 100], most = sorted[patches - 1 - patches / 100];
    for (size_t i = 0; i < patches; i++) {
        float *value = &colours[i * COLOURS + component];
        *value = most > least ? fminf(fmaxf((*value - least) / (most - least), 0), 1) : 0.5f;
    }
    free(sorted);
}

static int find_colours(work *w, const lapack *la, const char *command) {
    size_t patches = w->count * w->num_patches;
    w->colours = allocate(patches * COLOURS, sizeof *w->colours);
    if (w->feature_width > INT_MAX ||
        !principal_components(la, w->colours, COLOURS, w->features, patches, w->feature_width)) {
        complain(command, "the features have no principal components: numbers that are none?");
        return EXIT_SOME_FAILED;
    }
    for (size_t c = 0; c < COLOURS; c++)
        spread(w->colours, c, patches);
    return EXIT_DONE;
}

/* ---- the sheet ---------------------------------------------------------------------------------
 */

/* As the model gets it: read again, as there may be many. */
static bool add_input(const work *w, sheet *page, const char *path, size_t height, size_t width) {
    vt_error err = {0};
    vt_image image = {0};
    const vt_image_options how = decoding_options(w->settings, w->session);
    float *pixels = allocate(3 * w->height * w->width, sizeof *pixels);
    vt_status status = vt_image_read(&image, path, &how, &err);
    if (!status)
        status = vt_session_preprocess(w->session, pixels, &image, &err);
    if (status)
        complain(path, err.message);
    else
        sheet_picture(page, raster_of_input(pixels, w->height, w->width, &w->info, height, width),
                      0);
    vt_image_free(&image);
    free(pixels);
    return !status;
}

static int draw(const work *w) {
    size_t longer = w->height > w->width ? w->height : w->width;
    size_t height = w->height * EDGE / longer, width = w->width * EDGE / longer;
    sheet page = sheet_make(w->count, 2, EDGE, 1);
    bool good = true;
    for (size_t i = 0; i < w->count; i++) {
        const float *colours = w->colours + i * w->num_patches * COLOURS;
        good = add_input(w, &page, w->paths[i], height, width) && good;
        sheet_picture(&page, raster_of_values(colours, w->rows, w->columns, height, width), 1);
        sheet_text(&page, path_base(w->paths[i]), 0);
        sheet_next(&page);
    }
    int code = sheet_write(&page, w->settings->pca);
    sheet_free(&page);
    return code == EXIT_DONE && !good ? EXIT_SOME_FAILED : code;
}

/* ------------------------------------------------------------------------------------------------
 */

static int colour_pictures(work *w, const vt_model *model, const lapack *la, const char *command) {
    vt_session_input_size(w->session, &w->height, &w->width);
    w->rows = w->height / w->info.patch_size;
    w->columns = w->width / w->info.patch_size;
    w->num_patches = w->rows * w->columns;
    w->feature_width = vt_session_pooled_width(w->session);
    int code = each_picture(w->session, model, w->settings, &sink, w);
    if (!w->count)
        return code;
    int drawn = find_colours(w, la, command);
    return exit_worse(code, drawn == EXIT_DONE ? draw(w) : drawn);
}

static void free_work(work *w) {
    for (size_t i = 0; i < w->count; i++)
        free(w->paths[i]);
    free(w->paths);
    free(w->features);
    free(w->colours);
    vt_session_destroy(w->session);
}

int embed_pca(const vt_model *model, const settings *s, const char *command) {
    lapack la;
    settings sized = *s;
    work w = {.settings = &sized};
    int code = check_takes_pictures(model);
    if (code != EXIT_DONE)
        return code;
    if (vt_model_is_naflex(model))
        return complain_usage(command, "--pca: this model gives each picture a grid of its own");
    vt_model_describe(&w.info, model);
    sized.batch = useful_batch(s);
    code = lapack_load(&la, command);
    if (code == EXIT_DONE)
        code = open_session_with_features(&w.session, model, &sized, command);
    if (code == EXIT_DONE)
        code = colour_pictures(&w, model, &la, command);
    free_work(&w);
    return code;
}
