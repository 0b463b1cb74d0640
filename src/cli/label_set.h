/* SPDX-License-Identifier: MIT
 *
 * Labels of zeroshot and the vectors of their texts: a list of names, and a file that keeps both
 * for another time. A safetensors file:
 *
 *     vectors  F32 [count][width]
 *     names    U8, one a line
 */
#ifndef CLI_LABEL_SET_H
#define CLI_LABEL_SET_H

#include <stdbool.h>
#include <stddef.h>

typedef struct label_set {
    char **names;   /* [count] */
    float *vectors; /* [count][width] */
    size_t count, width;
} label_set;

/* "a,b,c", or the lines of a file of that name. Spaces around a label are not part of it. False
 * where there is none. */
bool labels_read(label_set *set, const char *list);

/* Both return an exit code, having complained. labels_load takes vectors of set->width alone. */
int labels_save(const label_set *set, const char *path);
int labels_load(label_set *set, const char *path);

/* Also what a failure left. */
void labels_free(label_set *set);

#endif
