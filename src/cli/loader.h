/* SPDX-License-Identifier: MIT
 *
 * Decodes and preprocesses pictures ahead of the forward pass, on threads of its own, and hands
 * them out in order.
 */
#ifndef CLI_LOADER_H
#define CLI_LOADER_H

#include <vitrine.h>

#include "files.h"

typedef struct picture {
    char *path;           /* the caller's of loader_next, who frees it */
    vt_error error;       /* code VT_OK: it could be read */
    bool is_list;         /* no picture, but the list of pictures: it could not be read */
    size_t width, height; /* of the picture in the file, upright */
    size_t input_width, input_height; /* of its pixels */
    double decode_ms, preprocess_ms;
    double forward_ms; /* its share of its batch's; set by who runs that */
} picture;

typedef struct loader loader;

/* All three must outlive the loader, which alone asks for files meanwhile. With num_threads 0
 * pictures are loaded when asked for. */
loader *loader_start(const vt_session *session, const vt_image_options *options, file_source *files,
                     size_t num_threads);

/* Copies out what is known of the next picture, and its pixels[3][input_height][input_width]: of
 * vt_session_picture_floats at most. Without `wait` it does not wait for a list that has no name
 * ready, though for pictures whose names are known. False: there is no next picture, or none yet.
 */
bool loader_next(loader *l, picture *out, float *pixels, bool wait);

/* May be called before all pictures are handed out. */
void loader_stop(loader *l);

#endif
