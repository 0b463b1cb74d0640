/* SPDX-License-Identifier: MIT */
#include "text/trie.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

/* A node that is still to get its children: the keys that pass through it, `depth` bytes long so
 * far. */
typedef struct span {
    size_t begin, end, depth;
} span;

static int compare_keys(const void *a, const void *b) {
    const vt_trie_key *x = a, *y = b;
    size_t common = x->size < y->size ? x->size : y->size;
    int order = memcmp(x->text, y->text, common);
    if (order)
        return order;
    if (x->size != y->size)
        return x->size < y->size ? -1 : 1;
    return x->value < y->value ? -1 : x->value > y->value;
}

/* Adds the children of one node. spans[i] belongs to nodes[i]. */
static void expand(vt_trie *trie, span *spans, size_t node, const vt_trie_key *keys) {
    span s = spans[node];
    size_t i = s.begin;
    for (; i < s.end && keys[i].size == s.depth; i++) /* they sort before the longer ones */
        if (s.depth)
            trie->nodes[node].value = keys[i].value;
    trie->nodes[node].first_child = (uint32_t)trie->num_nodes;
    while (i < s.end) {
        unsigned char byte = (unsigned char)keys[i].text[s.depth];
        size_t begin = i;
        while (i < s.end && (unsigned char)keys[i].text[s.depth] == byte)
            i++;
        if (node == 0)
            trie->root[byte] = (uint32_t)trie->num_nodes;
        trie->nodes[node].num_children++;
        spans[trie->num_nodes] = (span){begin, i, s.depth + 1};
        trie->nodes[trie->num_nodes++] = (vt_trie_node){.value = VT_NO_ID, .byte = byte};
    }
}

vt_status vt_trie_create(vt_trie *out, vt_trie_key *keys, size_t count, vt_error *err) {
    *out = (vt_trie){0};
    size_t bound = 1; /* as many nodes as bytes, at most */
    for (size_t i = 0; i < count; i++)
        if (!vt_add_size(bound, keys[i].size, &bound))
            return vt_fail_memory(err, "a trie", bound);
    if (count == 0)
        return VT_OK;
    qsort(keys, count, sizeof *keys, compare_keys);
    span *spans = vt_malloc(bound, sizeof *spans);
    out->nodes = vt_malloc(bound, sizeof *out->nodes);
    if (!spans || !out->nodes || bound > UINT32_MAX) {
        vt_free(spans);
        vt_trie_free(out);
        return vt_fail_memory(err, "a trie", bound);
    }
    out->nodes[0] = (vt_trie_node){.value = VT_NO_ID};
    out->num_nodes = 1;
    spans[0] = (span){0, count, 0};
    for (size_t node = 0; node < out->num_nodes; node++)
        expand(out, spans, node, keys);
    vt_free(spans);
    vt_trie_node *fitted = vt_realloc(out->nodes, out->num_nodes, out->num_nodes, sizeof *fitted);
    if (fitted)
        out->nodes = fitted;
    return VT_OK;
}

void vt_trie_free(vt_trie *trie) {
    vt_free(trie->nodes);
    *trie = (vt_trie){0};
}

uint32_t vt_trie_child(const vt_trie *trie, uint32_t node, unsigned char byte) {
    if (node == 0)
        return trie->root[byte];
    uint32_t low = trie->nodes[node].first_child, high = low + trie->nodes[node].num_children;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (trie->nodes[middle].byte < byte)
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < trie->nodes[node].first_child + trie->nodes[node].num_children &&
                 trie->nodes[low].byte == byte;
    return found ? low : 0;
}

int32_t vt_trie_longest(const vt_trie *trie, const char *text, size_t size, size_t *length) {
    int32_t value = VT_NO_ID;
    uint32_t node = 0;
    for (size_t i = 0; i < size; i++) {
        node = vt_trie_child(trie, node, (unsigned char)text[i]);
        if (node == 0)
            break;
        if (trie->nodes[node].value != VT_NO_ID) {
            value = trie->nodes[node].value;
            *length = i + 1;
        }
    }
    return value;
}
