/* SPDX-License-Identifier: MIT */
#include "text/charsmap.h"

#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "text/unicode.h"

static int base64_digit(char c) {
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static bool decode_base64(vt_bytes *out, const char *text) {
    uint32_t bits = 0;
    int count = 0;
    size_t size = strlen(text);
    while (size > 0 && text[size - 1] == '=')
        size--;
    for (size_t i = 0; i < size; i++) {
        int digit = base64_digit(text[i]);
        if (digit < 0)
            return false;
        bits = bits << 6 | (uint32_t)digit;
        count += 6;
        if (count >= 8) {
            count -= 8;
            char byte = (char)(bits >> count & 0xFF);
            vt_bytes_append(out, &byte, 1);
        }
    }
    return true;
}

static uint32_t read_u32(const char *bytes) {
    const unsigned char *b = (const unsigned char *)bytes;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static vt_status parse(vt_charsmap *map, const vt_bytes *blob, const char *where, vt_error *err) {
    if (blob->size < 4)
        return blob->size == 0 ? VT_OK : vt_fail(err, VT_ERR_FORMAT, "%s: cut off", where);
    size_t trie_bytes = read_u32(blob->data), rest = blob->size - 4;
    if (trie_bytes > rest || trie_bytes % 4)
        return vt_fail(err, VT_ERR_FORMAT, "%s: a trie of %zu bytes in a map of %zu", where,
                       trie_bytes, blob->size);
    const char *replacements = blob->data + 4 + trie_bytes;
    if (!vt_utf8_is_valid(replacements, rest - trie_bytes))
        return vt_fail(err, VT_ERR_FORMAT, "%s: the replacements are not UTF-8", where);
    map->num_units = trie_bytes / 4;
    map->units = vt_malloc(map->num_units, sizeof *map->units);
    vt_bytes_append(&map->replacements, replacements, rest - trie_bytes);
    if (!map->units || map->replacements.failed)
        return vt_fail_memory(err, "a character map", blob->size);
    for (size_t i = 0; i < map->num_units; i++)
        map->units[i] = read_u32(blob->data + 4 + 4 * i);
    return VT_OK;
}

vt_status vt_charsmap_create(vt_charsmap **out, const char *base64, const char *where,
                             vt_error *err) {
    vt_bytes blob = {0};
    vt_status status;
    *out = vt_calloc(1, sizeof **out);
    if (!*out)
        return vt_fail_memory(err, "a character map", sizeof **out);
    if (!decode_base64(&blob, base64))
        status = vt_fail(err, VT_ERR_FORMAT, "%s: not base64", where);
    else if (blob.failed)
        status = vt_fail_memory(err, "a character map", strlen(base64));
    else
        status = parse(*out, &blob, where, err);
    vt_bytes_free(&blob);
    if (status) {
        vt_charsmap_destroy(*out);
        *out = NULL;
    }
    return status;
}

void vt_charsmap_destroy(vt_charsmap *map) {
    if (!map)
        return;
    vt_free(map->units);
    vt_bytes_free(&map->replacements);
    vt_free(map);
}

/* The layout of Darts-clone's units (s-yata/darts-clone, include/darts.h). */
static uint32_t unit_offset(uint32_t unit) {
    return unit >> 10 << ((unit & 1u << 9) >> 6);
}

static bool unit_has_leaf(uint32_t unit) {
    return unit >> 8 & 1;
}

static uint32_t unit_label(uint32_t unit) {
    return unit & (1u << 31 | 0xFF);
}

/* Where the replacement of the shortest key that begins `text` lies, SIZE_MAX when there is none.
 * The shortest and not the longest: the reference takes the first result of its prefix search
 * (huggingface/spm_precompiled, src/lib.rs, Precompiled::transform). */
static size_t lookup(const vt_charsmap *map, const char *text, size_t size) {
    if (map->num_units == 0)
        return SIZE_MAX;
    size_t node = unit_offset(map->units[0]);
    for (size_t i = 0; i < size && text[i]; i++) {
        node ^= (unsigned char)text[i];
        if (node >= map->num_units || unit_label(map->units[node]) != (unsigned char)text[i])
            return SIZE_MAX;
        uint32_t unit = map->units[node];
        node ^= unit_offset(unit);
        if (unit_has_leaf(unit) && node < map->num_units)
            return map->units[node] & ~(1u << 31);
    }
    return SIZE_MAX;
}

/* False when `part` has no replacement. One that begins in the middle of a character, or outside,
 * is none. */
static bool replace(vt_bytes *out, const vt_charsmap *map, const char *part, size_t size) {
    size_t begin = lookup(map, part, size);
    if (begin >= map->replacements.size)
        return false;
    const char *replacement = map->replacements.data + begin;
    if (((unsigned char)replacement[0] & 0xC0) == 0x80)
        return false;
    const char *end = memchr(replacement, 0, map->replacements.size - begin);
    vt_bytes_append(out, replacement,
                    end ? (size_t)(end - replacement) : map->replacements.size - begin);
    return true;
}

/* Grapheme by grapheme when it is short, and otherwise character by character
 * (huggingface/tokenizers, normalizers/precompiled.rs). */
void vt_charsmap_apply(vt_bytes *out, const vt_charsmap *map, const char *text, size_t size) {
    enum { SHORT = 6 };
    size_t grapheme;
    for (size_t i = 0; i < size; i += grapheme) {
        grapheme = vt_utf8_grapheme(text + i, size - i);
        if (grapheme < SHORT && replace(out, map, text + i, grapheme))
            continue;
        size_t length;
        for (size_t j = i; j < i + grapheme; j += length) {
            vt_utf8_decode(text + j, i + grapheme - j, &length);
            if (!replace(out, map, text + j, length))
                vt_bytes_append(out, text + j, length);
        }
    }
}
