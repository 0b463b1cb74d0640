/* SPDX-License-Identifier: MIT */
#include "text.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of the UTF-8 sequence at `s`, 0 when it is malformed: stray, cut, overlong, a surrogate or
 * past U+10FFFF. The terminating NUL is never a continuation byte, so nothing is read beyond it. */
static size_t utf8_length(const unsigned char *s) {
    static const unsigned long smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = s[0] < 0x80                   ? 1
                    : s[0] >= 0xC2 && s[0] < 0xE0 ? 2
                    : s[0] >= 0xE0 && s[0] < 0xF0 ? 3
                    : s[0] >= 0xF0 && s[0] < 0xF5 ? 4
                                                  : 0;
    if (length < 2)
        return length;
    unsigned long code = s[0] & (0x7FU >> length);
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xC0) != 0x80)
            return 0;
        code = code << 6 | (s[i] & 0x3F);
    }
    bool surrogate = code >= 0xD800 && code < 0xE000;
    return code < smallest[length] || surrogate || code > 0x10FFFF ? 0 : length;
}

static bool is_control(const unsigned char *s, size_t length) {
    bool c1 = length == 2 && s[0] == 0xC2 && s[1] < 0xA0;
    return (length == 1 && (*s < 0x20 || *s == 0x7F)) || c1;
}

/* Line separators, and what turns the direction of the text behind it: U+2028 to 202E, U+2066 to
 * 2069. */
static bool turns_line(const unsigned char *s, size_t length) {
    return length == 3 && s[0] == 0xE2 &&
           ((s[1] == 0x80 && s[2] >= 0xA8 && s[2] <= 0xAE) ||
            (s[1] == 0x81 && s[2] >= 0xA6 && s[2] <= 0xA9));
}

/* What stands for the character at `s`, of `length` bytes (0: an invalid one); NULL: itself. */
static const char *replacement(const unsigned char *s, size_t length, enum text_rule rule) {
    static const char unknown[] = "\xEF\xBF\xBD";
    if (!length)
        return unknown;
    if (rule == TEXT_ONE_LINE && (is_control(s, length) || turns_line(s, length)))
        return "?";
    if (rule == TEXT_LINES && is_control(s, length) && !strchr("\t\r\n", *s))
        return "?";
    return NULL;
}

char *text_clean(const char *text, enum text_rule rule) {
    const unsigned char *in = (const unsigned char *)text;
    char *clean = allocate(strlen(text) + 1, 3);
    char *out = clean;
    while (*in) {
        size_t length = utf8_length(in), taken = length ? length : 1;
        const char *other = replacement(in, length, rule);
        size_t put = other ? strlen(other) : taken;
        memcpy(out, other ? other : (const char *)in, put);
        out += put;
        in += taken;
    }
    *out = '\0';
    return clean;
}

char *text_format(const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    size_t size = (length > 0 ? (size_t)length : 0) + 1;
    char *text = allocate(size, 1);
    vsnprintf(text, size, format, again);
    va_end(again);
    va_end(args);
    return text;
}

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *text_to_base64(const char *text) {
    size_t size = strlen(text);
    char *encoded = allocate(size / 3 + 1, 4 + 1), *out = encoded;
    for (size_t at = 0; at < size; at += 3) {
        size_t count = size - at < 3 ? size - at : 3;
        unsigned long bits = 0;
        for (size_t i = 0; i < 3; i++)
            bits = bits << 8 | (i < count ? (unsigned char)text[at + i] : 0);
        for (size_t i = 0; i < 4; i++)
            *out++ = i <= count ? base64_digits[bits >> (18 - 6 * i) & 63] : '=';
    }
    return encoded;
}

char *text_from_base64(const char *encoded) {
    size_t size = strlen(encoded), digits = strcspn(encoded, "=");
    char *text = allocate(size / 4 + 1, 3 + 1), *out = text;
    unsigned long bits = 0;
    bool good =
        size % 4 == 0 && size - digits < 3 && strspn(encoded + digits, "=") == size - digits;
    for (size_t i = 0; i < digits && good; i++) {
        const char *digit = strchr(base64_digits, encoded[i]);
        good = digit != NULL;
        bits = bits << 6 | (good ? (unsigned long)(digit - base64_digits) : 0);
        if (i % 4) /* the first digit of four ends no byte */
            *out++ = (char)(bits >> (6 - 2 * (i % 4)) & 0xFF);
    }
    if (good && !memchr(text, '\0', (size_t)(out - text)))
        return text;
    free(text);
    return NULL;
}

static size_t min_size(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Insertions, deletions, replacements and swaps of neighbours that turn one word into the other. */
static size_t edit_distance(const char *a, const char *b) {
    enum { LONGEST = 40 };
    size_t rows[3][LONGEST + 1], m = strlen(a), n = strlen(b);
    if (m > LONGEST || n > LONGEST)
        return m > n ? m : n;
    size_t *before = rows[0], *last = rows[1], *row = rows[2];
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 1; i <= m; i++) {
        size_t *spare = before;
        before = last;
        last = row;
        row = spare;
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t replaced = last[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = min_size(replaced, 1 + min_size(last[j], row[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = min_size(row[j], before[j - 2] + 1);
        }
    }
    return row[n];
}

void nearest_offer(nearest *guess, const char *candidate) {
    size_t length = strlen(guess->wanted);
    size_t distance = edit_distance(guess->wanted, candidate);
    if (length >= 2 && strncmp(guess->wanted, candidate, length) == 0)
        distance = 1; /* cut short */
    size_t tolerated = length < 4 ? 1 : 2;
    if (distance <= tolerated && (!guess->word || distance < guess->distance)) {
        guess->word = candidate;
        guess->distance = distance;
    }
}

void text_wrap(FILE *out, const char *paragraph, size_t column, size_t indent, size_t width) {
    bool first = true;
    while (*paragraph) {
        size_t length = strcspn(paragraph, " ");
        if (!first && column + 1 + length > width) {
            fprintf(out, "\n%*s", (int)indent, "");
            column = indent;
        } else if (!first) {
            fputc(' ', out);
            column++;
        }
        fwrite(paragraph, 1, length, out);
        column += length;
        paragraph += length;
        paragraph += strspn(paragraph, " ");
        first = false;
    }
    fputc('\n', out);
}

const char *text_grouped(char buffer[32], size_t number) {
    char *end = buffer + 31;
    *end = '\0';
    for (size_t digits = 0; number || !digits; digits++, number /= 10) {
        if (digits && digits % 3 == 0)
            *--end = ',';
        *--end = (char)('0' + number % 10);
    }
    return end;
}

const char *text_bytes(char buffer[32], size_t bytes) {
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    if (bytes < 1024) {
        snprintf(buffer, 32, "%zu bytes", bytes);
        return buffer;
    }
    double amount = (double)bytes / 1024;
    size_t unit = 0;
    for (; amount >= 1024 && unit < 3; unit++)
        amount /= 1024;
    snprintf(buffer, 32, amount < 100 ? "%.1f %s" : "%.0f %s", amount, units[unit]);
    return buffer;
}

const char *text_metric(char buffer[32], double number, const char *unit) {
    static const char *const prefixes[] = {"", "k", "M", "G", "T", "P"};
    size_t prefix = 0;
    for (; number >= 999.5 && prefix < 5; prefix++)
        number /= 1000;
    snprintf(buffer, 32, "%.3g %s%s", number, prefixes[prefix], unit);
    return buffer;
}

bool text_is_formula(const char *field) {
    return *field && strchr("=+-@\t\r", *field) && field[1];
}

void text_csv_field_to(FILE *out, const char *field) {
    char *clean = text_clean(field, TEXT_LINES);
    bool quoted = clean[strcspn(clean, ",\"\r\n")];
    if (quoted)
        putc('"', out);
    if (text_is_formula(clean))
        putc('\'', out);
    for (const char *at = clean; *at; at++) {
        if (*at == '"')
            putc('"', out);
        putc(*at, out);
    }
    if (quoted)
        putc('"', out);
    free(clean);
}

void text_csv_field(const char *field) {
    text_csv_field_to(stdout, field);
}
