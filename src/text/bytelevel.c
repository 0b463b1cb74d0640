/* SPDX-License-Identifier: MIT */
#include "text/bytelevel.h"

#include "text/unicode.h"

/* Bytes 0x00-0x20, 0x7F-0xA0 and 0xAD have stand-ins: 33 + 34 + 1. */
enum { FIRST_STAND_IN = 0x100, CONTROLS = 0x21, UPPER = 0x22, NUM_STAND_INS = 0x44 };

static int32_t char_of(unsigned char byte) {
    if (byte <= 0x20)
        return FIRST_STAND_IN + byte;
    if (byte >= 0x7F && byte <= 0xA0)
        return FIRST_STAND_IN + CONTROLS + (byte - 0x7F);
    if (byte == 0xAD)
        return FIRST_STAND_IN + CONTROLS + UPPER;
    return byte;
}

/* -1 when the character stands for none. */
static int byte_of(int32_t c) {
    if (c >= FIRST_STAND_IN && c < FIRST_STAND_IN + NUM_STAND_INS) {
        int32_t n = c - FIRST_STAND_IN;
        return n < CONTROLS ? n : n < CONTROLS + UPPER ? n - CONTROLS + 0x7F : 0xAD;
    }
    return c < FIRST_STAND_IN && char_of((unsigned char)c) == c ? c : -1;
}

void vt_bytelevel_encode(vt_bytes *out, const char *text, size_t size) {
    for (size_t i = 0; i < size; i++) {
        int32_t c = char_of((unsigned char)text[i]);
        char utf8[2] = {(char)c};
        if (c >= 0x80) {
            utf8[0] = (char)(0xC0 | c >> 6);
            utf8[1] = (char)(0x80 | (c & 0x3F));
        }
        vt_bytes_append(out, utf8, c >= 0x80 ? 2 : 1);
    }
}

void vt_bytelevel_decode(vt_bytes *out, const char *text, size_t size) {
    size_t kept = out->size, length;
    for (size_t i = 0; i < size; i += length) {
        int byte = byte_of(vt_utf8_decode(text + i, size - i, &length));
        if (byte < 0) {
            out->size = kept;
            vt_bytes_append(out, text, size);
            return;
        }
        char c = (char)byte;
        vt_bytes_append(out, &c, 1);
    }
}
