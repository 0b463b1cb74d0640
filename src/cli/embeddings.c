/* SPDX-License-Identifier: MIT */
#include "embeddings.h"

#include <stdlib.h>
#include <string.h>

#include "diagnose.h"
#include "pictures.h"
#include "vectors.h"

typedef struct work {
    embeddings *out;
    const vt_session *session;
} work;

static void on_picture(void *user, const picture *p, size_t row) {
    const work *w = user;
    embeddings *e = w->out;
    const float *vectors = vt_session_image_embeds(w->session);
    if (!vectors)
        vectors = vt_session_pooled(w->session);
    if (e->count == e->capacity) {
        e->capacity = e->capacity ? 2 * e->capacity : 256;
        e->paths = reallocate(e->paths, e->capacity, sizeof *e->paths);
        e->x = reallocate(e->x, e->capacity * e->width, sizeof *e->x);
    }
    float *vector = e->x + e->count * e->width;
    memcpy(vector, vectors + row * e->width, e->width * sizeof *vector);
    scale_to_unit(vector, e->width);
    e->paths[e->count++] = duplicate(p->path);
}

static const picture_sink sink = {.found = on_picture};

int embeddings_add(embeddings *e, vt_session *session, const vt_model *model, const settings *s) {
    work w = {e, session};
    size_t joint = vt_model_embed_dim(model);
    e->width = joint ? joint : vt_session_pooled_width(session);
    return each_picture(session, model, s, &sink, &w);
}

double embeddings_cosine(const embeddings *a, size_t i, const embeddings *b, size_t j) {
    enum { SUMS = 4 }; /* side by side: none waits for the one before */
    const float *x = a->x + i * a->width, *y = b->x + j * b->width;
    double sums[SUMS] = {0};
    size_t c = 0;
    for (; c + SUMS <= a->width; c += SUMS)
        for (size_t s = 0; s < SUMS; s++)
            sums[s] += (double)x[c + s] * (double)y[c + s];
    for (; c < a->width; c++)
        sums[0] += (double)x[c] * (double)y[c];
    return sums[0] + sums[1] + sums[2] + sums[3];
}

void embeddings_free(embeddings *e) {
    for (size_t i = 0; i < e->count; i++)
        free(e->paths[i]);
    free(e->paths);
    free(e->x);
    *e = (embeddings){0};
}
