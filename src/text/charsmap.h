/* SPDX-License-Identifier: MIT
 *
 * SentencePiece's compiled character map ("precompiled_charsmap"): the size of a double-array trie,
 * the trie, and the replacements, NUL-terminated, all in base64.
 */
#ifndef VT_TEXT_CHARSMAP_H
#define VT_TEXT_CHARSMAP_H

#include "text/buffer.h"

typedef struct vt_charsmap {
    uint32_t *units; /* [num_units] */
    size_t num_units;
    vt_bytes replacements;
} vt_charsmap;

/* An empty map is one that replaces nothing. */
vt_status vt_charsmap_create(vt_charsmap **out, const char *base64, const char *where,
                             vt_error *err);
void vt_charsmap_destroy(vt_charsmap *map);

void vt_charsmap_apply(vt_bytes *out, const vt_charsmap *map, const char *text, size_t size);

#endif
