/* SPDX-License-Identifier: MIT
 *
 * What `inspect` found, and its two ways of printing it.
 */
#ifndef CLI_INSPECT_H
#define CLI_INSPECT_H

#include <vitrine.h>

#include "advice.h"

typedef struct inspection {
    const vt_model *model;
    vt_model_info info;
    vt_model_plan plan;
    size_t batch, num_tensors, num_used;
    size_t context; /* asked for; 0: none was */
    bool takes_pictures, list_tensors;
    bool has_angles; /* a picture was given, and the model adds a table */
    orthogonality angles;
} inspection;

void inspect_print_text(const inspection *seen);
void inspect_print_json(const inspection *seen);

#endif
