/* SPDX-License-Identifier: MIT
 *
 * Decodes and preprocesses pictures ahead of the forward pass, on threads of its own, and hands
 * them out in order.
 */
#ifndef CLI_LOADER_H
#define CLI_LOADER_H

#include <vitrine.h>

typedef struct picture {
    const char *path;
    vt_error error;       /* code VT_OK: it could be read */
    size_t width, height; /* of the picture in the file, upright */
    double decode_ms, preprocess_ms;
} picture;

typedef struct loader loader;

/* `paths` and `options` must outlive the loader. With num_threads 0 pictures are loaded when asked
 * for. */
loader *loader_start(const vt_session *session, const vt_image_options *options, char *const *paths,
                     size_t count, size_t num_threads);

/* Waits for the next picture and copies out what is known of it, and its pixels[3][H][W] in the
 * session's input size. Call at most `count` times. */
void loader_next(loader *l, picture *out, float *pixels);

/* May be called before all pictures are handed out. */
void loader_stop(loader *l);

#endif
