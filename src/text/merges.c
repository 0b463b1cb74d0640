/* SPDX-License-Identifier: MIT */
#include "text/merges.h"

#include <string.h>

#include "base/memory.h"

/* ---- the table ---------------------------------------------------------------------------------
 */

static size_t slot_of(const vt_merges *merges, int32_t left, int32_t right) {
    uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    key *= 0x9E3779B97F4A7C15u; /* 2^64 / golden ratio: the high bits depend on all */
    return (size_t)(key >> 32) & (merges->num_slots - 1);
}

static vt_merge *find_slot(const vt_merges *merges, int32_t left, int32_t right) {
    size_t i = slot_of(merges, left, right);
    while (merges->slots[i].left != VT_NO_ID &&
           (merges->slots[i].left != left || merges->slots[i].right != right))
        i = (i + 1) & (merges->num_slots - 1);
    return &merges->slots[i];
}

static bool rehash(vt_merges *merges, size_t num_slots) {
    vt_merges grown = {.num_slots = num_slots, .count = merges->count};
    grown.slots = vt_malloc(num_slots, sizeof *grown.slots);
    if (!grown.slots)
        return false;
    for (size_t i = 0; i < num_slots; i++)
        grown.slots[i] = (vt_merge){.left = VT_NO_ID};
    for (size_t i = 0; i < merges->num_slots; i++)
        if (merges->slots[i].left != VT_NO_ID)
            *find_slot(&grown, merges->slots[i].left, merges->slots[i].right) = merges->slots[i];
    vt_free(merges->slots);
    *merges = grown;
    return true;
}

bool vt_merges_add(vt_merges *merges, int32_t left, int32_t right, uint32_t rank, int32_t id) {
    if (merges->num_slots < 2 * (merges->count + 1) &&
        !rehash(merges, merges->num_slots ? 2 * merges->num_slots : 256))
        return false;
    vt_merge *slot = find_slot(merges, left, right);
    merges->count += slot->left == VT_NO_ID;
    *slot = (vt_merge){left, right, rank, id};
    return true;
}

void vt_merges_free(vt_merges *merges) {
    vt_free(merges->slots);
    *merges = (vt_merges){0};
}

const vt_merge *vt_merges_find(const vt_merges *merges, int32_t left, int32_t right) {
    if (!merges->count)
        return NULL;
    const vt_merge *slot = find_slot(merges, left, right);
    return slot->left == VT_NO_ID ? NULL : slot;
}

/* ---- a word ------------------------------------------------------------------------------------
 */

void vt_word_init(vt_word *word) {
    word->symbols = word->short_symbols;
    word->heap = word->short_heap;
    word->count = 0;
    word->capacity = VT_SHORT_WORD;
    word->heap_count = 0;
    word->heap_capacity = sizeof word->short_heap / sizeof word->short_heap[0];
    word->failed = false;
}

void vt_word_free(vt_word *word) {
    if (word->symbols != word->short_symbols)
        vt_free(word->symbols);
    if (word->heap != word->short_heap)
        vt_free(word->heap);
}

/* A block of twice the capacity, the old one freed unless it is `inside` the struct. */
static void *doubled(void *block, const void *inside, size_t count, size_t size) {
    void *grown = vt_malloc(2 * count, size);
    if (!grown)
        return NULL;
    memcpy(grown, block, count * size);
    if (block != inside)
        vt_free(block);
    return grown;
}

void vt_word_append(vt_word *word, int32_t id) {
    if (word->count == word->capacity) {
        void *grown =
            word->capacity < INT32_MAX / 2
                ? doubled(word->symbols, word->short_symbols, word->capacity, sizeof *word->symbols)
                : NULL;
        word->failed |= !grown;
        if (!grown)
            return;
        word->symbols = grown;
        word->capacity *= 2;
    }
    int32_t at = (int32_t)word->count++;
    word->symbols[at] = (vt_symbol){.id = id, .previous = at - 1, .next = -1};
    if (at > 0)
        word->symbols[at - 1].next = at;
}

bool vt_word_append_bytes(vt_word *word, const int32_t ids[256], const char *text, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (ids[(unsigned char)text[i]] == VT_NO_ID)
            return false;
    for (size_t i = 0; i < size; i++)
        vt_word_append(word, ids[(unsigned char)text[i]]);
    return true;
}

static bool comes_before(const vt_candidate *a, const vt_candidate *b) {
    return a->rank != b->rank ? a->rank < b->rank : a->position < b->position;
}

static bool push(vt_word *word, vt_candidate candidate) {
    if (word->heap_count == word->heap_capacity) {
        void *grown = doubled(word->heap, word->short_heap, word->heap_capacity, sizeof candidate);
        if (!grown)
            return false;
        word->heap = grown;
        word->heap_capacity *= 2;
    }
    size_t i = word->heap_count++;
    for (; i > 0 && comes_before(&candidate, &word->heap[(i - 1) / 2]); i = (i - 1) / 2)
        word->heap[i] = word->heap[(i - 1) / 2];
    word->heap[i] = candidate;
    return true;
}

static vt_candidate pop(vt_word *word) {
    vt_candidate top = word->heap[0], last = word->heap[--word->heap_count];
    size_t i = 0, child;
    while ((child = 2 * i + 1) < word->heap_count) {
        if (child + 1 < word->heap_count &&
            comes_before(&word->heap[child + 1], &word->heap[child]))
            child++;
        if (!comes_before(&word->heap[child], &last))
            break;
        word->heap[i] = word->heap[child];
        i = child;
    }
    word->heap[i] = last;
    return top;
}

/* Queues the merge of a symbol with the next one, if there is one. */
static bool consider(vt_word *word, const vt_merges *merges, int32_t position) {
    if (position < 0 || word->symbols[position].next < 0)
        return true;
    const vt_symbol *left = &word->symbols[position];
    const vt_merge *merge = vt_merges_find(merges, left->id, word->symbols[left->next].id);
    return !merge || push(word, (vt_candidate){merge->rank, (uint32_t)position, merge->id});
}

bool vt_word_merge(vt_word *word, const vt_merges *merges) {
    for (uint32_t i = 0; i + 1 < word->count; i++)
        if (!consider(word, merges, (int32_t)i))
            return false;
    while (word->heap_count > 0) {
        vt_candidate top = pop(word);
        vt_symbol *left = &word->symbols[top.position];
        if (left->id == VT_NO_ID || left->next < 0)
            continue;
        vt_symbol *right = &word->symbols[left->next];
        const vt_merge *merge = vt_merges_find(merges, left->id, right->id);
        if (!merge || merge->id != top.id) /* what was queued here has been merged otherwise */
            continue;
        left->id = top.id;
        left->next = right->next;
        right->id = VT_NO_ID;
        if (left->next >= 0)
            word->symbols[left->next].previous = (int32_t)top.position;
        if (!consider(word, merges, left->previous) ||
            !consider(word, merges, (int32_t)top.position))
            return false;
    }
    return true;
}
