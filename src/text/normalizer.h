/* SPDX-License-Identifier: MIT
 *
 * The normalizer of a tokenizer: what is done to the text before it is split.
 */
#ifndef VT_TEXT_NORMALIZER_H
#define VT_TEXT_NORMALIZER_H

#include "text/config.h"
#include "text/pattern.h"

struct vt_charsmap;
struct vt_normalizer_kind;

typedef struct vt_normalizer_step {
    const struct vt_normalizer_kind *kind;
    bool clean_text, chinese_chars, strip_accents, lowercase; /* BertNormalizer */
    bool strip_left, strip_right;                             /* Strip */
    char *text;                                               /* Prepend, Replace */
    vt_pattern pattern;                                       /* Replace */
    struct vt_charsmap *charsmap;                             /* Precompiled */
} vt_normalizer_step;

typedef struct vt_normalizer {
    vt_normalizer_step steps[VT_MAX_STEPS];
    size_t count;
} vt_normalizer;

/* NULL and null make one that changes nothing. Free it in any case. */
vt_status vt_normalizer_parse(vt_normalizer *out, const json_t *config, const char *where,
                              vt_error *err);
void vt_normalizer_free(vt_normalizer *normalizer);

/* Appends the normalized `text` to `out`; *front_lost tells that the first character has gone. */
vt_status vt_normalizer_run(const vt_normalizer *normalizer, vt_bytes *out, const char *text,
                            size_t size, bool *front_lost, vt_error *err);

#endif
