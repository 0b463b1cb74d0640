/* SPDX-License-Identifier: MIT
 *
 * Pictures with what is in them: a CSV file with the columns file, label and, perhaps, group.
 */
#ifndef CLI_LABELLED_H
#define CLI_LABELLED_H

#include <stdbool.h>
#include <stdint.h>

#include <vitrine.h>

#include "settings.h"

typedef struct labelled_picture {
    char *path;   /* with {size} where there is a file for each input size */
    size_t label; /* a class, where the set is labelled */
    size_t group;
} labelled_picture;

typedef struct picture_set {
    labelled_picture *items;
    size_t count, capacity;
    bool labelled;
    char **
        groups; /* their names, in the order of their first picture; none: pictures have no group */
    size_t num_groups;
    size_t num_failed; /* directories and lists that could not be read, already complained about */
} picture_set;

/* The pictures of the operands and of --files-from; each has a label where --labels names a file.
 * With that file alone, its pictures. False, having complained. */
bool pictures_list(picture_set *out, const settings *s, const vt_model *model);
void pictures_free(picture_set *set);

/* The picture's file for inputs of that height and width; the caller frees it. */
char *picture_file(const labelled_picture *p, size_t height, size_t width);

/* Of all paths, labels and groups: tells one set from another. */
uint64_t pictures_checksum(const picture_set *set);

#endif
