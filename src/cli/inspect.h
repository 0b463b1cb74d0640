/* SPDX-License-Identifier: MIT
 *
 * What `inspect` found, and its two ways of printing it.
 */
#ifndef CLI_INSPECT_H
#define CLI_INSPECT_H

#include <vitrine.h>

typedef struct inspection {
    const vt_model *model;
    vt_model_info info;
    vt_model_plan plan;
    size_t batch, num_tensors, num_used;
    bool takes_pictures, list_tensors;
} inspection;

void inspect_print_text(const inspection *seen);
void inspect_print_json(const inspection *seen);

#endif
