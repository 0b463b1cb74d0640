/* SPDX-License-Identifier: MIT */
#include "text/buffer.h"

#include <stdint.h>
#include <string.h>

#include "base/memory.h"

/* Makes room for `extra` more elements; false, the block untouched, when there is none. */
static bool grow(void **data, size_t used, size_t *capacity, size_t extra, size_t size) {
    size_t needed;
    if (!vt_add_size(used, extra, &needed))
        return false;
    if (needed <= *capacity)
        return true;
    size_t wanted = *capacity < SIZE_MAX / 2 ? *capacity * 2 : needed;
    if (wanted < needed)
        wanted = needed;
    if (wanted < 64)
        wanted = 64;
    void *grown = vt_realloc(*data, used, wanted, size);
    if (!grown)
        return false;
    *data = grown;
    *capacity = wanted;
    return true;
}

void vt_bytes_append(vt_bytes *bytes, const char *data, size_t size) {
    if (size == 0 || bytes->failed)
        return;
    void *block = bytes->data;
    if (!grow(&block, bytes->size, &bytes->capacity, size, 1)) {
        bytes->failed = true;
        return;
    }
    bytes->data = block;
    memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
}

void vt_bytes_free(vt_bytes *bytes) {
    vt_free(bytes->data);
    *bytes = (vt_bytes){0};
}

void vt_bytes_swap(vt_bytes *a, vt_bytes *b) {
    vt_bytes held = *a;
    *a = *b;
    *b = held;
}

void vt_bytes_clear(vt_bytes *bytes) {
    bytes->size = 0;
}

void vt_ids_append(vt_ids *ids, int64_t id) {
    void *block = ids->data;
    if (ids->failed || !grow(&block, ids->size, &ids->capacity, 1, sizeof *ids->data)) {
        ids->failed = true;
        return;
    }
    ids->data = block;
    ids->data[ids->size++] = id;
}

void vt_pieces_append(vt_pieces *pieces, vt_piece piece) {
    if (piece.begin == piece.end && piece.id == VT_NO_ID)
        return;
    void *block = pieces->items;
    if (pieces->failed ||
        !grow(&block, pieces->count, &pieces->capacity, 1, sizeof *pieces->items)) {
        pieces->failed = true;
        return;
    }
    pieces->items = block;
    pieces->items[pieces->count++] = piece;
}

void vt_pieces_clear(vt_pieces *pieces) {
    vt_bytes_clear(&pieces->text);
    pieces->count = 0;
}

void vt_pieces_free(vt_pieces *pieces) {
    vt_bytes_free(&pieces->text);
    vt_free(pieces->items);
    *pieces = (vt_pieces){0};
}

void vt_pieces_swap(vt_pieces *a, vt_pieces *b) {
    vt_pieces held = *a;
    *a = *b;
    *b = held;
}

bool vt_pieces_failed(const vt_pieces *pieces) {
    return pieces->failed || pieces->text.failed;
}
