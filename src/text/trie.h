/* SPDX-License-Identifier: MIT
 *
 * A trie of byte strings, for the longest or for every key that begins a text. Nodes lie in
 * breadth-first order, so that the children of one are neighbours, sorted by their byte.
 */
#ifndef VT_TEXT_TRIE_H
#define VT_TEXT_TRIE_H

#include "text/buffer.h"

typedef struct vt_trie_key {
    const char *text;
    size_t size;
    int32_t value; /* >= 0 */
} vt_trie_key;

typedef struct vt_trie_node {
    uint32_t first_child;
    int32_t value; /* VT_NO_ID: no key ends here */
    uint16_t num_children;
    unsigned char byte;
} vt_trie_node;

typedef struct vt_trie {
    vt_trie_node *nodes; /* NULL: no keys */
    size_t num_nodes;
    uint32_t root[256]; /* the root's children by byte, 0 where there is none */
} vt_trie;

/* Sorts `keys`. Empty keys are left out; of equal ones that of the largest value stays. */
vt_status vt_trie_create(vt_trie *out, vt_trie_key *keys, size_t count, vt_error *err);
void vt_trie_free(vt_trie *trie);

/* The child of `node` (0: the root) for a byte, or 0. */
uint32_t vt_trie_child(const vt_trie *trie, uint32_t node, unsigned char byte);

/* The longest key that begins `text`: its value and in *length its size, or VT_NO_ID. */
int32_t vt_trie_longest(const vt_trie *trie, const char *text, size_t size, size_t *length);

#endif
