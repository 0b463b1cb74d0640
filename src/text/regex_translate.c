/* SPDX-License-Identifier: MIT
 *
 * Oniguruma's Ruby syntax to PCRE2's. What differs, and occurs in tokenizers or easily might:
 *
 *     \s     White_Space; PCRE2's has U+180E besides
 *     \w     Alphabetic, M, Nd, Pc; PCRE2's is L, N and _
 *     \h     a hexadecimal digit; PCRE2's is horizontal space
 *     \v     U+000B; PCRE2's is vertical space
 *     \uHHHH a character
 *     [a[b]] a union of classes; in PCRE2 the inner [ is a plain character (BLOOM's pattern has
 * this)
 *     (?m)   lets . match newlines; in PCRE2 that is s, and m is always on in Ruby
 */
#include <string.h>

#include "text/regex.h"

static const char space_class[] = "\\p{Z}\\t-\\r\\x{85}";
static const char word_class[] = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}";
/* Oniguruma has another table for Latin-1, which it uses outside of classes only. */
static const char lone_word_class[] =
    "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\xB2\\xB3\\xB9\\xBC-\\xBE";
static const char hex_class[] = "0-9a-fA-F";

typedef struct translator {
    const char *at;
    vt_bytes *out;
    const char *reason;
    size_t depth; /* of character classes */
} translator;

static void emit(translator *t, const char *text) {
    vt_bytes_append(t->out, text, strlen(text));
}

/* A class escape, in a class or on its own; `negated` can't be put into another class. */
static void emit_class(translator *t, const char *class, bool negated) {
    if (t->depth) {
        if (negated)
            t->reason = "a negated class escape in a class";
        emit(t, class);
        return;
    }
    emit(t, negated ? "[^" : "[");
    emit(t, class);
    emit(t, "]");
}

static void unicode_escape(translator *t) {
    size_t digits = strspn(t->at, "0123456789abcdefABCDEF");
    if (digits < 4) {
        t->reason = "\\u without four digits";
        return;
    }
    emit(t, "\\x{");
    vt_bytes_append(t->out, t->at, 4);
    emit(t, "}");
    t->at += 4;
}

/* t->at is behind the backslash. */
static void escape(translator *t) {
    char c = *t->at;
    if (c == '\0') {
        emit(t, "\\"); /* PCRE2's own error tells */
        return;
    }
    t->at++;
    switch (c) {
    case 's':
    case 'S':
        emit_class(t, space_class, c == 'S');
        break;
    case 'w':
    case 'W':
        emit_class(t, t->depth ? word_class : lone_word_class, c == 'W');
        break;
    case 'h':
    case 'H':
        emit_class(t, hex_class, c == 'H');
        break;
    case 'v':
        emit(t, "\\x{B}");
        break;
    case 'u':
        unicode_escape(t);
        break;
    case 'Q':
    case 'E':
        vt_bytes_append(t->out, &c, 1); /* no quoting in Ruby: the letter */
        break;
    default:
        emit(t, "\\");
        vt_bytes_append(t->out, &c, 1);
    }
}

/* "[:alpha:]" inside a class, copied as it is. */
static bool posix_class(translator *t) {
    const char *end = t->at[1] == ':' ? strstr(t->at + 2, ":]") : NULL;
    if (!end || strcspn(t->at + 2, "[]") < (size_t)(end - t->at - 2))
        return false;
    vt_bytes_append(t->out, t->at, (size_t)(end + 2 - t->at));
    t->at = end + 2;
    return true;
}

static void open_class(translator *t) {
    if (t->depth && posix_class(t))
        return;
    bool negated = t->at[1] == '^';
    if (t->depth && negated)
        t->reason = "a negated class in a class";
    if (!t->depth)
        emit(t, negated ? "[^" : "[");
    t->at += negated ? 2 : 1;
    if (*t->at == ']') { /* first of its class, it is a plain character */
        emit(t, "\\]");
        t->at++;
    }
    t->depth++;
}

static void in_class(translator *t) {
    if (*t->at == '[') {
        open_class(t);
    } else if (*t->at == ']') {
        t->at++;
        if (--t->depth == 0)
            emit(t, "]");
    } else if (t->at[0] == '&' && t->at[1] == '&') {
        t->reason = "an intersection of classes";
        t->at += 2;
    } else {
        vt_bytes_append(t->out, t->at++, 1);
    }
}

/* "(?imx-imx" with m as s. */
static void group(translator *t) {
    size_t flags = t->at[1] == '?' ? strspn(t->at + 2, "imx-") : 0;
    char end = t->at[1] == '?' ? t->at[2 + flags] : '\0';
    if (!flags || (end != ')' && end != ':')) {
        vt_bytes_append(t->out, t->at++, 1);
        return;
    }
    emit(t, "(?");
    for (size_t i = 0; i < flags; i++) {
        char flag = t->at[2 + i] == 'm' ? 's' : t->at[2 + i];
        vt_bytes_append(t->out, &flag, 1);
    }
    t->at += 2 + flags;
}

void vt_regex_translate(vt_bytes *out, const char *pattern, const char **reason) {
    translator t = {.at = pattern, .out = out};
    while (*t.at && !t.reason) {
        if (*t.at == '\\') {
            t.at++;
            escape(&t);
        } else if (t.depth) {
            in_class(&t);
        } else if (*t.at == '[') {
            open_class(&t);
        } else if (*t.at == '(') {
            group(&t);
        } else {
            vt_bytes_append(out, t.at++, 1);
        }
    }
    vt_bytes_append(out, "", 1);
    *reason = t.reason;
}
