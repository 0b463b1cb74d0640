/* SPDX-License-Identifier: MIT */
#include "damage.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

_Noreturn void die(const char *what) {
    perror(what);
    exit(2);
}

static void *allocate(size_t size) {
    void *memory = malloc(size ? size : 1);
    if (!memory)
        die("malloc");
    return memory;
}

/* ---- lots: splitmix64 (Steele, Lea & Flood 2014) ------------------------------------------- */

static uint64_t state;

void lot_seed(uint64_t seed) {
    state = seed;
}

size_t lot(size_t limit) {
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return limit ? (size_t)((z ^ (z >> 31)) % limit) : 0;
}

/* ---- files --------------------------------------------------------------------------------- */

blob blob_read(const char *path) {
    struct stat info;
    FILE *file = fopen(path, "rb");
    if (!file || fstat(fileno(file), &info) != 0)
        die(path);
    blob b = {allocate((size_t)info.st_size), (size_t)info.st_size};
    if (fread(b.bytes, 1, b.size, file) != b.size)
        die(path);
    fclose(file);
    return b;
}

void blob_write(const char *path, const blob *b) {
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(b->bytes, 1, b->size, file) != b->size || fclose(file) != 0)
        die(path);
}

void blob_free(blob *b) {
    free(b->bytes);
    *b = (blob){NULL, 0};
}

/* Bytes [from, to) make way for others. */
static void splice(blob *b, size_t from, size_t to, const void *bytes, size_t size) {
    blob made = {allocate(from + size + b->size - to), from + size + b->size - to};
    memcpy(made.bytes, b->bytes, from);
    memcpy(made.bytes + from, bytes, size);
    memcpy(made.bytes + from + size, b->bytes + to, b->size - to);
    free(b->bytes);
    *b = made;
}

/* ---- bytes --------------------------------------------------------------------------------- */

static void set_integer(blob *b, size_t at, size_t width, bool big_endian) {
    static const uint64_t odd[] = {0,           1,          0x7f,           0x80,       0xff,
                                   0x7fff,      0x8000,     0xffff,         0x7fffffff, 0x80000000u,
                                   0xffffffffu, UINT64_MAX, UINT64_MAX / 2, 20000,      1u << 28};
    uint64_t value = odd[lot(sizeof odd / sizeof *odd)];
    for (size_t i = 0; i < width && at + i < b->size; i++)
        b->bytes[at + i] = (unsigned char)(value >> 8 * (big_endian ? width - 1 - i : i));
}

static void put_in_again(blob *b, size_t from, size_t count, size_t to) {
    unsigned char *copy = allocate(count);
    memcpy(copy, b->bytes + from, count);
    splice(b, to, to, copy, count);
    free(copy);
}

void damage_bytes(blob *b, size_t limit) {
    if (!b->size)
        return;
    limit = limit && limit < b->size ? limit : b->size;
    size_t at = lot(limit), left = limit - at, count = 1 + lot(left < 64 ? left : 64);
    switch (lot(8)) {
    case 0:
        b->bytes[at] ^= (unsigned char)(1u << lot(8));
        break;
    case 1:
        b->bytes[at] = (unsigned char)lot(256);
        break;
    case 2:
        set_integer(b, at, (size_t)1 << lot(4), lot(2));
        break;
    case 3:
        b->size = at;
        break;
    case 4:
        splice(b, at, at + count, "", 0);
        break;
    case 5:
        put_in_again(b, at, count, lot(limit));
        break;
    case 6:
        memset(b->bytes + at, (int)lot(256), count);
        break;
    default:
        set_integer(b, at, 4, lot(2));
    }
}

/* ---- JSON ---------------------------------------------------------------------------------- */

void damage_number(blob *b) {
    static const char *const odd[] = {"1e999", "18446744073709551616", "1e-999", "-0", "00", "0x7"};
    const char *other = odd[lot(sizeof odd / sizeof *odd)];
    size_t at = lot(b->size);
    while (at < b->size && !(b->bytes[at] >= '0' && b->bytes[at] <= '9'))
        at++;
    size_t end = at;
    while (end < b->size && b->bytes[end] && strchr("0123456789.eE+-", b->bytes[end]))
        end++;
    splice(b, at, end, other, strlen(other));
}

/* Where a value is: under a key of an object, or at a place of an array. */
typedef struct slot {
    json_t *within;
    const char *key; /* NULL: of an array */
    size_t index;
} slot;

/* Counts the values below one, and finds the one of number `wanted`. */
static void walk(json_t *value, size_t wanted, size_t *count, slot *found) {
    const char *key;
    size_t index;
    json_t *each;
    json_object_foreach(value, key, each) {
        if ((*count)++ == wanted)
            *found = (slot){value, key, 0};
        walk(each, wanted, count, found);
    }
    json_array_foreach(value, index, each) {
        if ((*count)++ == wanted)
            *found = (slot){value, NULL, index};
        walk(each, wanted, count, found);
    }
}

static json_t *value_at(slot s) {
    return s.key ? json_object_get(s.within, s.key) : json_array_get(s.within, s.index);
}

static json_t *nest(size_t depth) {
    json_t *value = json_array();
    for (; depth > 0; depth--)
        value = json_pack("[o]", value);
    return value;
}

static json_t *odd_value(json_t *other) {
    static const json_int_t integers[] = {0,  1,     -1,      2,         3,         5,
                                          16, 65536, 1 << 20, INT32_MAX, INT64_MAX, INT64_MIN};
    static const double reals[] = {0.5, -0.0, 1e308, -1e308, 1e-45, 1e-320, 3.0000001, 1e30};
    static const char *const strings[] = {"", "7", "../x", "a\nb", "gelu", "F64", "cls", "\x1b[2J"};
    char longer[3000];
    switch (lot(10)) {
    case 0:
    case 1:
    case 2:
        return json_integer(integers[lot(sizeof integers / sizeof *integers)]);
    case 3:
        return json_real(reals[lot(sizeof reals / sizeof *reals)]);
    case 4:
        return json_string(strings[lot(sizeof strings / sizeof *strings)]);
    case 5:
        memset(longer, 'x', sizeof longer - 1);
        longer[sizeof longer - 1] = '\0';
        return json_string(longer);
    case 6:
        return lot(2) ? json_boolean(lot(2)) : json_null();
    case 7:
        return lot(2) ? json_object() : nest(lot(3) ? lot(4) : lot(3000));
    default:
        return json_deep_copy(other);
    }
}

static void change(json_t *root) {
    slot one = {0}, other = {0};
    size_t total = 0, count = 0;
    walk(root, SIZE_MAX, &total, &one);
    if (!total)
        return;
    walk(root, lot(total), &count, &one);
    count = 0;
    walk(root, lot(total), &count, &other);
    bool removed = lot(5) == 0;
    if (one.key && removed)
        json_object_del(one.within, one.key);
    else if (one.key)
        json_object_set_new(one.within, one.key, odd_value(value_at(other)));
    else if (removed)
        json_array_remove(one.within, one.index);
    else if (lot(4) == 0)
        json_array_insert_new(one.within, one.index, odd_value(value_at(other)));
    else
        json_array_set_new(one.within, one.index, odd_value(value_at(other)));
}

/* The changed text of bytes [from, to), or NULL if they are no JSON. */
static char *changed_text(const blob *b, size_t from, size_t to) {
    json_t *root = json_loadb((const char *)b->bytes + from, to - from, 0, NULL);
    if (!root)
        return NULL;
    change(root);
    char *text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    return text;
}

void damage_json(blob *b) {
    char *text = changed_text(b, 0, b->size);
    if (!text) {
        damage_bytes(b, 0);
        return;
    }
    splice(b, 0, b->size, text, strlen(text));
    free(text);
}

void damage_safetensors(blob *b) {
    uint64_t length = 0;
    for (size_t i = 0; b->size >= 8 && i < 8; i++)
        length |= (uint64_t)b->bytes[i] << 8 * i;
    char *text = b->size >= 8 && length <= b->size - 8 ? changed_text(b, 8, 8 + length) : NULL;
    if (!text) {
        damage_bytes(b, 4096);
        return;
    }
    splice(b, 8, 8 + length, text, strlen(text));
    length = strlen(text);
    for (size_t i = 0; i < 8; i++)
        b->bytes[i] = (unsigned char)(length >> 8 * i);
    free(text);
}

/* ---- PNG ----------------------------------------------------------------------------------- */

/* CRC-32, as zlib has it. */
static uint32_t checksum(const unsigned char *bytes, size_t size) {
    uint32_t sum = 0xffffffffu;
    for (size_t i = 0; i < size; i++) {
        sum ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            sum = sum >> 1 ^ (sum & 1 ? 0xedb88320u : 0);
    }
    return ~sum;
}

/* A chunk is a length, big-endian, a name of four bytes, the content, and the checksum of both. */
void mend_png(blob *b) {
    for (size_t at = 8; at < b->size && b->size - at >= 12;) {
        const unsigned char *n = b->bytes + at;
        size_t length = (size_t)n[0] << 24 | (size_t)n[1] << 16 | (size_t)n[2] << 8 | n[3];
        if (length > b->size - at - 12)
            return;
        uint32_t sum = checksum(n + 4, 4 + length);
        for (size_t i = 0; i < 4; i++)
            b->bytes[at + 8 + length + i] = (unsigned char)(sum >> 8 * (3 - i));
        at += 12 + length;
    }
}
