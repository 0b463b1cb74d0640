/* SPDX-License-Identifier: MIT
 *
 * Words and lines: untrusted bytes made printable, the nearest known word, wrapped paragraphs,
 * numbers for people.
 */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "diagnose.h"

/* With all of them, every byte that is not part of valid UTF-8 becomes U+FFFD. */
enum text_rule {
    TEXT_UTF8,
    TEXT_LINES,   /* control characters become '?', but for tabs and the ends of lines */
    TEXT_ONE_LINE /* those too, and what turns a line's direction: nothing moves the cursor */
};

/* A copy, to be freed by the caller. */
char *text_clean(const char *text, enum text_rule rule);

/* What printf would print, to be freed by the caller. */
char *text_format(const char *format, ...) CLI_PRINTF(1, 2);

/* The bytes of a text in base64 (RFC 4648), and back: NULL where it is not base64, or has a NUL in
 * it. Copies, to be freed by the caller. */
char *text_to_base64(const char *text);
char *text_from_base64(const char *encoded);

/* The known word that was probably meant. Offer all of them, then read `word`: NULL when none is
 * near.
 *
 *     nearest guess = {.wanted = "clasify"};
 *     nearest_offer(&guess, "classify");
 */
typedef struct nearest {
    const char *wanted;
    const char *word;
    size_t distance;
} nearest;
void nearest_offer(nearest *guess, const char *candidate);

/* Prints a paragraph wrapped to `width` columns, its first line starting at column `column` and the
 * others at `indent`. Ends with a newline. */
void text_wrap(FILE *out, const char *paragraph, size_t column, size_t indent, size_t width);

/* "2,934,410" */
const char *text_grouped(char buffer[32], size_t number);
/* "11.2 MiB" */
const char *text_bytes(char buffer[32], size_t bytes);
/* "353 MFLOP", "960 FLOP" */
const char *text_metric(char buffer[32], double number, const char *unit);

/* Prints a field of CSV. RFC 4180: one with a comma, quote or line break is quoted, a quote in it
 * doubled. Control characters become '?'. Before what a spreadsheet would take for a formula stands
 * an apostrophe, as OWASP has it ("CSV injection"). */
void text_csv_field(const char *field);
void text_csv_field_to(FILE *out, const char *field);

/* Whether a spreadsheet would: a text that begins with = + - @, a tab or a carriage return, and
 * goes on. */
bool text_is_formula(const char *field);

#endif
