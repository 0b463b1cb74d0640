/* SPDX-License-Identifier: MIT
 *
 * What a text is while it is being tokenized: growing bytes, and pieces of them. An append that
 * runs out of memory sets `failed` and the buffer takes nothing more, so that a stage checks once,
 * at its end.
 */
#ifndef VT_TEXT_BUFFER_H
#define VT_TEXT_BUFFER_H

#include "vitrine.h"

typedef struct vt_bytes {
    char *data;
    size_t size, capacity;
    bool failed;
} vt_bytes;

void vt_bytes_append(vt_bytes *bytes, const char *data, size_t size);
void vt_bytes_free(vt_bytes *bytes);
void vt_bytes_swap(vt_bytes *a, vt_bytes *b);

/* Drops the content and keeps the memory. */
void vt_bytes_clear(vt_bytes *bytes);

typedef struct vt_ids {
    int64_t *data;
    size_t size, capacity;
    bool failed;
} vt_ids;

void vt_ids_append(vt_ids *ids, int64_t id);

enum { VT_NO_ID = -1 };

typedef struct vt_piece {
    size_t begin, end; /* of pieces->text.data */
    int32_t id;        /* an added token, or VT_NO_ID: text that the model is to tokenize */
    bool at_start;     /* begins with the first character of the whole input */
} vt_piece;

/* The text of all pieces in one block. Stages that only split leave the block as it is. */
typedef struct vt_pieces {
    vt_bytes text;
    vt_piece *items;
    size_t count, capacity;
    bool failed;
} vt_pieces;

/* Empty pieces are dropped, as PreTokenizedString::split does, unless they are tokens. */
void vt_pieces_append(vt_pieces *pieces, vt_piece piece);
void vt_pieces_clear(vt_pieces *pieces);
void vt_pieces_free(vt_pieces *pieces);
void vt_pieces_swap(vt_pieces *a, vt_pieces *b);
bool vt_pieces_failed(const vt_pieces *pieces);

#endif
