/* SPDX-License-Identifier: MIT
 *
 * A vocabulary: the tokens' strings, from string to id by open addressing, from id to string by
 * index.
 */
#ifndef VT_TEXT_VOCAB_H
#define VT_TEXT_VOCAB_H

#include "text/buffer.h"

/* Longer tokens are refused: with this bound, longest-match searches are linear in the text. */
enum { VT_MAX_TOKEN_BYTES = 4096 };

typedef struct vt_vocab_slot {
    uint32_t hash;
    int32_t id; /* VT_NO_ID: free */
} vt_vocab_slot;

typedef struct vt_vocab_token {
    size_t offset; /* into strings, each with a NUL after it */
    size_t size;
    bool present;
} vt_vocab_token;

typedef struct vt_vocab {
    vt_bytes strings;
    vt_vocab_token *tokens; /* [num_ids], by id; holes are not present */
    size_t num_ids, capacity;
    vt_vocab_slot *slots; /* [num_slots], a power of two */
    size_t num_slots, count;
    size_t max_bytes; /* of the longest token */
} vt_vocab;

/* Adds a token. `where` and the token's string begin the error line. An id that is taken is an
 * error; a string that is taken gets the new id when `replace` is set and is an error otherwise. */
vt_status vt_vocab_add(vt_vocab *vocab, const char *token, size_t size, int64_t id, bool replace,
                       const char *where, vt_error *err);
void vt_vocab_free(vt_vocab *vocab);

/* VT_NO_ID when there is none. */
int32_t vt_vocab_find(const vt_vocab *vocab, const char *token, size_t size);

/* NULL when there is none of that id. */
const char *vt_vocab_string(const vt_vocab *vocab, int64_t id, size_t *size);

/* The longest token that is `prefix` and then a beginning of `text`: its id, and in *length how
 * much of `text` it covers. */
int32_t vt_vocab_longest(const vt_vocab *vocab, const char *prefix, size_t prefix_size,
                         const char *text, size_t size, size_t *length);

#endif
