/* SPDX-License-Identifier: MIT
 *
 * The names of the classes.
 */
#ifndef VT_MODELS_LABELS_H
#define VT_MODELS_LABELS_H

#include <jansson.h>

#include "vitrine.h"

typedef struct vt_labels {
    char **names; /* [count], each owned */
    size_t count;
} vt_labels;

/* One label for each of `num_classes` classes. From the text file at `path`, one a line, if that is
 * not NULL: it must have as many lines. Else from the configuration: timm's label_names, with
 * label_descriptions where given, or Hugging Face's id2label; a class that neither names is "class
 * N". */
vt_status vt_labels_load(vt_labels *out, const char *path, const json_t *config, size_t num_classes,
                         vt_error *err);
void vt_labels_free(vt_labels *labels);

#endif
