/* SPDX-License-Identifier: MIT */
#include "text/unicode.h"

#include <string.h>
#include <utf8proc.h>

#include "base/memory.h"

static bool is_continuation(char byte) {
    return ((unsigned char)byte & 0xC0) == 0x80;
}

int32_t vt_utf8_decode(const char *text, size_t size, size_t *length) {
    unsigned char first = (unsigned char)text[0];
    if (first < 0x80) {
        *length = 1;
        return first;
    }
    utf8proc_int32_t character;
    utf8proc_ssize_t used = utf8proc_iterate((const utf8proc_uint8_t *)text,
                                             (utf8proc_ssize_t)(size < 4 ? size : 4), &character);
    *length = used > 0 ? (size_t)used : 1;
    return used > 0 ? character : 0xFFFD;
}

int32_t vt_utf8_decode_last(const char *text, size_t size, size_t *length) {
    size_t begin = size - 1;
    while (begin > 0 && size - begin < 4 && is_continuation(text[begin]))
        begin--;
    return vt_utf8_decode(text + begin, size - begin, length);
}

size_t vt_utf8_count(const char *text, size_t size) {
    size_t count = 0;
    for (size_t i = 0; i < size; i++)
        count += !is_continuation(text[i]);
    return count;
}

/* Bytes of the well-formed sequence that begins `text`, or 0 and in *bad the bytes that one U+FFFD
 * stands for: the longest beginning of some well-formed sequence (Unicode, section 3.9, table 3-7).
 */
static size_t well_formed(const unsigned char *text, size_t size, size_t *bad) {
    unsigned char first = text[0], low = 0x80, high = 0xBF;
    *bad = 1;
    if (first < 0x80)
        return 1;
    if (first < 0xC2 || first > 0xF4)
        return 0;
    size_t length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if (first == 0xE0)
        low = 0xA0;
    else if (first == 0xED)
        high = 0x9F;
    else if (first == 0xF0)
        low = 0x90;
    else if (first == 0xF4)
        high = 0x8F;
    for (size_t i = 1; i < length; i++) {
        if (i >= size || text[i] < low || text[i] > high) {
            *bad = i;
            return 0;
        }
        low = 0x80;
        high = 0xBF;
    }
    return length;
}

bool vt_utf8_is_valid(const char *text, size_t size) {
    size_t bad, length;
    for (size_t i = 0; i < size; i += length) {
        length = well_formed((const unsigned char *)text + i, size - i, &bad);
        if (!length)
            return false;
    }
    return true;
}

void vt_utf8_repair(vt_bytes *out, const char *text, size_t size) {
    size_t good = 0, i = 0;
    while (i < size) {
        size_t bad, length = well_formed((const unsigned char *)text + i, size - i, &bad);
        if (length) {
            i += length;
            continue;
        }
        vt_bytes_append(out, text + good, i - good);
        vt_bytes_append_char(out, 0xFFFD);
        i += bad;
        good = i;
    }
    if (good < size) /* of no bytes `text` may be NULL */
        vt_bytes_append(out, text + good, size - good);
}

void vt_bytes_append_char(vt_bytes *out, int32_t character) {
    utf8proc_uint8_t bytes[4];
    utf8proc_ssize_t length = utf8proc_encode_char(character, bytes);
    vt_bytes_append(out, (const char *)bytes, (size_t)length);
}

bool vt_char_is_space(int32_t c) {
    if (c < 0x80)
        return c == ' ' || (c >= '\t' && c <= '\r');
    if (c == 0x85)
        return true;
    utf8proc_category_t category = utf8proc_category(c);
    return category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL ||
           category == UTF8PROC_CATEGORY_ZP;
}

bool vt_char_is_punctuation(int32_t c) {
    if (c < 0x80)
        return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
               (c >= '{' && c <= '~');
    utf8proc_category_t category = utf8proc_category(c);
    return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
}

bool vt_char_is_number(int32_t c) {
    utf8proc_category_t category = utf8proc_category(c);
    return category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO;
}

bool vt_char_is_mark(int32_t c) {
    utf8proc_category_t category = utf8proc_category(c);
    return category >= UTF8PROC_CATEGORY_MN && category <= UTF8PROC_CATEGORY_ME;
}

bool vt_char_is_nonspacing_mark(int32_t c) {
    return utf8proc_category(c) == UTF8PROC_CATEGORY_MN;
}

bool vt_char_is_other(int32_t c) {
    utf8proc_category_t category = utf8proc_category(c);
    return category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_CF ||
           category == UTF8PROC_CATEGORY_CO;
}

void vt_utf8_lowercase(vt_bytes *out, const char *text, size_t size) {
    size_t length;
    for (size_t i = 0; i < size; i += length) {
        int32_t c = vt_utf8_decode(text + i, size - i, &length);
        if (c < 0x80) {
            char lower = (char)(c >= 'A' && c <= 'Z' ? c + 'a' - 'A' : c);
            vt_bytes_append(out, &lower, 1);
        } else if (c == 0x130) {
            /* The one lowercase of two characters (SpecialCasing.txt), which utf8proc's simple
             * mapping does not give. */
            vt_bytes_append(out, "i\xCC\x87", 3);
        } else {
            vt_bytes_append_char(out, utf8proc_tolower(c));
        }
    }
}

/* ---- normalization forms -----------------------------------------------------------------------
 */

static int combining_class(int32_t c) {
    return c < 0x300 ? 0 : utf8proc_get_property(c)->combining_class;
}

/* Sorts a run of marks by class, equal ones in their order. utf8proc's own reordering is quadratic
 * in the length of the run, which a hostile text could use: long runs are sorted by counting. */
static void sort_marks(int32_t *run, size_t count, int32_t *scratch) {
    if (count <= 16) {
        for (size_t i = 1; i < count; i++) {
            int32_t c = run[i];
            size_t j = i;
            for (; j > 0 && combining_class(run[j - 1]) > combining_class(c); j--)
                run[j] = run[j - 1];
            run[j] = c;
        }
        return;
    }
    size_t begin[257] = {0};
    for (size_t i = 0; i < count; i++)
        begin[combining_class(run[i]) + 1]++;
    for (size_t k = 1; k < 257; k++)
        begin[k] += begin[k - 1];
    for (size_t i = 0; i < count; i++)
        scratch[begin[combining_class(run[i])]++] = run[i];
    memcpy(run, scratch, count * sizeof *run);
}

static void order_marks(int32_t *text, size_t count, int32_t *scratch) {
    for (size_t i = 0; i < count;) {
        size_t begin = i;
        while (i < count && combining_class(text[i]) > 0)
            i++;
        if (i - begin > 1)
            sort_marks(text + begin, i - begin, scratch);
        if (i == begin)
            i++;
    }
}

/* No character becomes more than 18 (U+FDFA, UAX #15). */
enum { MAX_DECOMPOSED = 18 };

/* The number of characters; with `out` NULL, only counts them. */
static size_t decompose(int32_t *out, const char *text, size_t size, utf8proc_option_t options) {
    size_t count = 0, length;
    int32_t scratch[MAX_DECOMPOSED];
    for (size_t i = 0; i < size; i += length) {
        int boundary = 0; /* only UTF8PROC_CHARBOUND uses it */
        int32_t c = vt_utf8_decode(text + i, size - i, &length);
        utf8proc_ssize_t n =
            utf8proc_decompose_char(c, scratch, MAX_DECOMPOSED, options, &boundary);
        if (n <= 0 || n > MAX_DECOMPOSED) {
            scratch[0] = c;
            n = 1;
        }
        if (out)
            memcpy(out + count, scratch, (size_t)n * sizeof *out);
        count += (size_t)n;
    }
    return count;
}

static bool is_ascii(const char *text, size_t size) {
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)text[i] >= 0x80)
            return false;
    return true;
}

void vt_utf8_normalize(vt_bytes *out, const char *text, size_t size, vt_unicode_form form) {
    if (is_ascii(text, size)) {
        vt_bytes_append(out, text, size);
        return;
    }
    bool compose = form == VT_NFC || form == VT_NFKC, compat = form == VT_NFKC || form == VT_NFKD;
    utf8proc_option_t options = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE;
    if (compat)
        options |= UTF8PROC_COMPAT;
    size_t count = decompose(NULL, text, size, options);
    int32_t *characters = vt_malloc(count, 2 * sizeof *characters); /* the second half is scratch */
    if (!characters) {
        out->failed = true;
        return;
    }
    decompose(characters, text, size, options);
    order_marks(characters, count, characters + count);
    if (compose)
        count = (size_t)utf8proc_normalize_utf32(characters, (utf8proc_ssize_t)count,
                                                 UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    for (size_t i = 0; i < count; i++)
        vt_bytes_append_char(out, characters[i]);
    vt_free(characters);
}

size_t vt_utf8_grapheme(const char *text, size_t size) {
    size_t length;
    utf8proc_int32_t state = 0;
    int32_t c = vt_utf8_decode(text, size, &length);
    for (size_t end = length; end < size; end += length) {
        if (c < 0x80 && (unsigned char)text[end] < 0x80 && c != '\r')
            return end;
        int32_t next = vt_utf8_decode(text + end, size - end, &length);
        if (utf8proc_grapheme_break_stateful(c, next, &state))
            return end;
        c = next;
    }
    return size;
}
