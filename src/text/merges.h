/* SPDX-License-Identifier: MIT
 *
 * The merges of a byte-pair encoding, and a word that they are applied to.
 */
#ifndef VT_TEXT_MERGES_H
#define VT_TEXT_MERGES_H

#include "text/buffer.h"

typedef struct vt_merge {
    int32_t left, right; /* VT_NO_ID: a free slot */
    uint32_t rank;
    int32_t id; /* of the two together */
} vt_merge;

/* By (left, right), open addressing. */
typedef struct vt_merges {
    vt_merge *slots; /* [num_slots], a power of two */
    size_t num_slots, count;
} vt_merges;

/* A pair that is there already gets the new rank. False when out of memory. */
bool vt_merges_add(vt_merges *merges, int32_t left, int32_t right, uint32_t rank, int32_t id);
void vt_merges_free(vt_merges *merges);

/* NULL when there is none. */
const vt_merge *vt_merges_find(const vt_merges *merges, int32_t left, int32_t right);

typedef struct vt_symbol {
    int32_t id;             /* VT_NO_ID: merged into one to its left */
    int32_t previous, next; /* -1 at the ends */
} vt_symbol;

typedef struct vt_candidate {
    uint32_t rank, position; /* of its left symbol */
    int32_t id;
} vt_candidate;

enum { VT_SHORT_WORD = 64 };

/* Most words are short: those need no allocation. */
typedef struct vt_word {
    vt_symbol *symbols;
    uint32_t count, capacity;
    vt_candidate *heap;
    size_t heap_count, heap_capacity;
    bool failed;
    vt_symbol short_symbols[VT_SHORT_WORD];
    vt_candidate short_heap[3 * VT_SHORT_WORD];
} vt_word;

void vt_word_init(vt_word *word);
void vt_word_free(vt_word *word);
void vt_word_append(vt_word *word, int32_t id);

/* Appends the ids of the bytes, if there is one for all of them. */
bool vt_word_append_bytes(vt_word *word, const int32_t ids[256], const char *text, size_t size);

/* Merges until no merge applies. False when out of memory. */
bool vt_word_merge(vt_word *word, const vt_merges *merges);

#endif
