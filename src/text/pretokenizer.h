/* SPDX-License-Identifier: MIT
 *
 * The pre-tokenizer: splits the normalized text into the words that the model tokenizes one by one.
 */
#ifndef VT_TEXT_PRETOKENIZER_H
#define VT_TEXT_PRETOKENIZER_H

#include "text/config.h"
#include "text/pattern.h"

struct vt_pretokenizer_kind;

typedef enum vt_prepend { VT_PREPEND_ALWAYS, VT_PREPEND_FIRST, VT_PREPEND_NEVER } vt_prepend;

typedef struct vt_pretokenizer_step {
    const struct vt_pretokenizer_kind *kind;
    vt_pattern pattern; /* Split, and what the others split at */
    vt_split behavior;
    bool invert;
    bool add_prefix_space; /* ByteLevel */
    char replacement[8];   /* Metaspace, CharDelimiterSplit: one character */
    vt_prepend prepend;    /* Metaspace */
    bool splits;           /* Metaspace, ByteLevel */
    size_t length;         /* FixedLength */
} vt_pretokenizer_step;

typedef struct vt_pretokenizer {
    vt_pretokenizer_step steps[VT_MAX_STEPS];
    size_t count;
} vt_pretokenizer;

/* NULL and null make one that splits nothing. Free it in any case. */
vt_status vt_pretokenizer_parse(vt_pretokenizer *out, const json_t *config, const char *where,
                                vt_error *err);
void vt_pretokenizer_free(vt_pretokenizer *pretokenizer);

vt_status vt_pretokenizer_run(const vt_pretokenizer *pretokenizer, vt_pieces *pieces,
                              vt_error *err);

/* What Metaspace's settings say, also for its decoder. */
void vt_metaspace_parse(vt_json_reader *reader, int32_t *replacement, vt_prepend *prepend,
                        bool *splits);

#endif
