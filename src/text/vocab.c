/* SPDX-License-Identifier: MIT */
#include "text/vocab.h"

#include <string.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/memory.h"

/* FNV-1a, which can be continued byte by byte. */
static const uint32_t HASH_BASIS = 0x811C9DC5u, HASH_PRIME = 0x01000193u;

static uint32_t hash_more(uint32_t hash, const char *text, size_t size) {
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)text[i]) * HASH_PRIME;
    return hash;
}

/* FNV's low bits alone are poor for short strings: mixes the high ones in. */
static size_t slot_of(const vt_vocab *vocab, uint32_t hash) {
    return (hash ^ hash >> 15) & (vocab->num_slots - 1);
}

/* The slot of prefix + text, or the free one where it belongs. */
static size_t find_slot(const vt_vocab *vocab, uint32_t hash, const char *prefix,
                        size_t prefix_size, const char *text, size_t size) {
    size_t i = slot_of(vocab, hash);
    for (;; i = (i + 1) & (vocab->num_slots - 1)) {
        const vt_vocab_slot *slot = &vocab->slots[i];
        if (slot->id == VT_NO_ID)
            return i;
        if (slot->hash != hash)
            continue;
        const vt_vocab_token *token = &vocab->tokens[slot->id];
        const char *string = vocab->strings.data + token->offset;
        if (token->size == prefix_size + size && memcmp(string, prefix, prefix_size) == 0 &&
            memcmp(string + prefix_size, text, size) == 0)
            return i;
    }
}

static bool rehash(vt_vocab *vocab, size_t num_slots) {
    vt_vocab_slot *slots = vt_malloc(num_slots, sizeof *slots), *old = vocab->slots;
    if (!slots)
        return false;
    for (size_t i = 0; i < num_slots; i++)
        slots[i] = (vt_vocab_slot){.id = VT_NO_ID};
    size_t old_count = vocab->num_slots;
    vocab->slots = slots;
    vocab->num_slots = num_slots;
    for (size_t i = 0; i < old_count; i++) {
        if (old[i].id == VT_NO_ID)
            continue;
        size_t j = slot_of(vocab, old[i].hash);
        while (slots[j].id != VT_NO_ID)
            j = (j + 1) & (num_slots - 1);
        slots[j] = old[i];
    }
    vt_free(old);
    return true;
}

/* Room for one more token, and for an id. */
static bool reserve(vt_vocab *vocab, size_t id) {
    if (vocab->num_slots < 2 * (vocab->count + 1) &&
        !rehash(vocab, vocab->num_slots ? 2 * vocab->num_slots : 256))
        return false;
    if (id >= vocab->capacity) {
        size_t capacity = vocab->capacity * 2 > id ? vocab->capacity * 2 : id + 64;
        vt_vocab_token *grown =
            vt_realloc(vocab->tokens, vocab->num_ids, capacity, sizeof *vocab->tokens);
        if (!grown)
            return false;
        vocab->tokens = grown;
        vocab->capacity = capacity;
    }
    for (; vocab->num_ids <= id; vocab->num_ids++)
        vocab->tokens[vocab->num_ids] = (vt_vocab_token){0};
    return true;
}

vt_status vt_vocab_add(vt_vocab *vocab, const char *token, size_t size, int64_t id, bool replace,
                       const char *where, vt_error *err) {
    if (size > VT_MAX_TOKEN_BYTES)
        return vt_fail(err, VT_ERR_LIMIT, "%s: a token of %zu bytes; at most %d are read", where,
                       size, VT_MAX_TOKEN_BYTES);
    if (id < 0)
        return vt_fail(err, VT_ERR_FORMAT, "%s: \"%.*s\": id %lld is out of range", where,
                       (int)(size < 64 ? size : 64), token, (long long)id);
    if ((uint64_t)id >= vt_limits_now()->vocabulary)
        return vt_fail(err, VT_ERR_LIMIT, "%s: \"%.*s\": id %lld is out of range: at most %zu ids",
                       where, (int)(size < 64 ? size : 64), token, (long long)id,
                       vt_limits_now()->vocabulary);
    if (vt_vocab_string(vocab, id, NULL))
        return vt_fail(err, VT_ERR_FORMAT, "%s: \"%.*s\": id %lld is taken by \"%.64s\"", where,
                       (int)(size < 64 ? size : 64), token, (long long)id,
                       vt_vocab_string(vocab, id, NULL));
    size_t offset = vocab->strings.size;
    vt_bytes_append(&vocab->strings, token, size);
    vt_bytes_append(&vocab->strings, "", 1);
    if (vocab->strings.failed || !reserve(vocab, (size_t)id))
        return vt_fail_memory(err, "the vocabulary", vocab->strings.size);
    uint32_t hash = hash_more(HASH_BASIS, token, size);
    vt_vocab_slot *slot = &vocab->slots[find_slot(vocab, hash, "", 0, token, size)];
    if (slot->id != VT_NO_ID && !replace)
        return vt_fail(err, VT_ERR_FORMAT, "%s: \"%.*s\" is there twice", where,
                       (int)(size < 64 ? size : 64), token);
    vocab->count += slot->id == VT_NO_ID;
    *slot = (vt_vocab_slot){.hash = hash, .id = (int32_t)id};
    vocab->tokens[id] = (vt_vocab_token){.offset = offset, .size = size, .present = true};
    if (size > vocab->max_bytes)
        vocab->max_bytes = size;
    return VT_OK;
}

void vt_vocab_free(vt_vocab *vocab) {
    vt_bytes_free(&vocab->strings);
    vt_free(vocab->tokens);
    vt_free(vocab->slots);
    *vocab = (vt_vocab){0};
}

int32_t vt_vocab_find(const vt_vocab *vocab, const char *token, size_t size) {
    if (size > vocab->max_bytes || !vocab->count)
        return VT_NO_ID;
    uint32_t hash = hash_more(HASH_BASIS, token, size);
    return vocab->slots[find_slot(vocab, hash, "", 0, token, size)].id;
}

const char *vt_vocab_string(const vt_vocab *vocab, int64_t id, size_t *size) {
    if (id < 0 || (uint64_t)id >= vocab->num_ids || !vocab->tokens[id].present)
        return NULL;
    if (size)
        *size = vocab->tokens[id].size;
    return vocab->strings.data + vocab->tokens[id].offset;
}

int32_t vt_vocab_longest(const vt_vocab *vocab, const char *prefix, size_t prefix_size,
                         const char *text, size_t size, size_t *length) {
    uint32_t hashes[VT_MAX_TOKEN_BYTES + 1]; /* of prefix + text[0..i) */
    if (!vocab->count || prefix_size > vocab->max_bytes)
        return VT_NO_ID;
    if (size > vocab->max_bytes - prefix_size)
        size = vocab->max_bytes - prefix_size;
    hashes[0] = hash_more(HASH_BASIS, prefix, prefix_size);
    for (size_t i = 0; i < size; i++)
        hashes[i + 1] = hash_more(hashes[i], text + i, 1);
    for (size_t n = size; n > 0; n--) {
        int32_t id = vocab->slots[find_slot(vocab, hashes[n], prefix, prefix_size, text, n)].id;
        if (id != VT_NO_ID) {
            *length = n;
            return id;
        }
    }
    return VT_NO_ID;
}
