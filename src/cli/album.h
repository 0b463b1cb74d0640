/* SPDX-License-Identifier: MIT
 *
 * A folder of pictures sorted by hand: FOLDER/CLASS/PICTURE, each folder in it being a class.
 */
#ifndef CLI_ALBUM_H
#define CLI_ALBUM_H

#include <stdbool.h>
#include <stddef.h>

typedef struct album_picture {
    char *path;
    size_t class_of;
} album_picture;

typedef struct album {
    const char *folder;
    char **classes; /* their names, sorted by bytes */
    size_t num_classes;
    album_picture *pictures; /* class by class, sorted by path */
    size_t count;
    size_t num_failed; /* folders that could not be read or are empty, already complained about */
} album;

/* The classes are all folders in FOLDER, links among them, but hidden ones; a class's pictures are
 * those in its folder and below, as in files.h. False, having complained, when there are not
 * two classes at least. Files in FOLDER itself are told of in a note unless `quiet`. */
bool album_read(album *out, const char *folder, bool quiet);

/* Takes out the pictures that are not to be kept, and classes that have none left. */
void album_keep(album *a, const bool *keep);

void album_free(album *a);

#endif
