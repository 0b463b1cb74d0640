/* SPDX-License-Identifier: MIT
 *
 * The decoder: from tokens back to text. Each step takes the list of strings that the one before
 * gave; at the end they are joined.
 */
#ifndef VT_TEXT_DECODER_H
#define VT_TEXT_DECODER_H

#include "text/config.h"
#include "text/pattern.h"

struct vt_decoder_kind;

typedef struct vt_decoder_step {
    const struct vt_decoder_kind *kind;
    char *text;         /* WordPiece's prefix, BPEDecoder's suffix, Replace's content */
    vt_pattern pattern; /* Replace */
    bool cleanup;       /* WordPiece */
    int32_t character;  /* Metaspace, Strip */
    bool drop_first;    /* Metaspace: the first token's replacement stands for nothing */
    size_t start, stop; /* Strip: how many at most */
} vt_decoder_step;

typedef struct vt_decoder {
    vt_decoder_step steps[VT_MAX_STEPS];
    size_t count;
} vt_decoder;

/* NULL and null join the tokens with spaces. Free it in any case. */
vt_status vt_decoder_parse(vt_decoder *out, const json_t *config, const char *where, vt_error *err);
void vt_decoder_free(vt_decoder *decoder);

/* Appends the text to `out`. The tokens are used up. */
vt_status vt_decoder_run(const vt_decoder *decoder, vt_bytes *out, vt_pieces *tokens,
                         vt_error *err);

#endif
