/* SPDX-License-Identifier: MIT
 *
 * The post-processor: the special tokens around a text. For a single text each kind comes to the
 * same: ids before it, and ids after it.
 */
#ifndef VT_TEXT_POSTPROCESS_H
#define VT_TEXT_POSTPROCESS_H

#include "text/buffer.h"
#include "text/config.h"

/* With several steps, the later ones go outside. */
typedef struct vt_postprocess {
    vt_ids before, after; /* `before` in reverse order while it is read */
} vt_postprocess;

/* NULL and null add nothing. Free it in any case. */
vt_status vt_postprocess_parse(vt_postprocess *out, const json_t *config, const char *where,
                               vt_error *err);
void vt_postprocess_free(vt_postprocess *post);

#endif
