/* SPDX-License-Identifier: MIT
 *
 * Added tokens: strings that are tokens wherever they stand in a text, found before the model sees
 * it (huggingface/tokenizers, tokenizer/added_vocabulary.rs). Those with `normalized` are looked
 * for in their normalized form after normalization, the others before it.
 */
#ifndef VT_TEXT_ADDED_H
#define VT_TEXT_ADDED_H

#include "text/normalizer.h"
#include "text/trie.h"
#include "text/vocab.h"

typedef struct vt_added_token {
    char *content;
    char *pattern; /* what is looked for, and shown by decode: the normalized content */
    size_t content_size, pattern_size;
    int32_t id;
    bool single_word, lstrip, rstrip, normalized, special;
} vt_added_token;

typedef struct vt_added {
    vt_added_token *tokens; /* [count] */
    size_t count;
    vt_trie raw, normalized;
    vt_vocab by_content; /* the id is the index into tokens */
    int32_t *by_id;      /* [num_ids] index into tokens, or VT_NO_ID */
    size_t num_ids;
    vt_regex *word; /* one word character */
} vt_added;

/* The array `added_tokens`. A token that the model's vocabulary has must have its id. Free it in
 * any case. */
vt_status vt_added_parse(vt_added *out, const json_t *config, const vt_vocab *vocab,
                         const vt_normalizer *normalizer, const char *where, vt_error *err);
void vt_added_free(vt_added *added);

/* NULL when there is none. */
const vt_added_token *vt_added_by_id(const vt_added *added, int64_t id);
const vt_added_token *vt_added_by_content(const vt_added *added, const char *text, size_t size);

/* Whether decode leaves out a token of that string. */
bool vt_added_is_special(const vt_added *added, const char *text, size_t size);

/* The pieces of a text: added tokens, and normalized text between them. */
vt_status vt_added_split(const vt_added *added, const vt_normalizer *normalizer, vt_pieces *out,
                         const char *text, size_t size, vt_error *err);

#endif
