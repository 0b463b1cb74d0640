/* SPDX-License-Identifier: MIT
 *
 * Characters and their properties, through utf8proc: no tables of our own. All text is valid UTF-8,
 * vt_utf8_repair seeing to that where it comes in.
 */
#ifndef VT_TEXT_UNICODE_H
#define VT_TEXT_UNICODE_H

#include "text/buffer.h"

/* The character that begins `text`, and its bytes; size > 0. */
int32_t vt_utf8_decode(const char *text, size_t size, size_t *length);

/* The character that ends `text`, and its bytes; size > 0. */
int32_t vt_utf8_decode_last(const char *text, size_t size, size_t *length);

size_t vt_utf8_count(const char *text, size_t size);
bool vt_utf8_is_valid(const char *text, size_t size);

/* Appends `text`, each maximal part of an ill-formed sequence replaced by one U+FFFD: what Rust's
 * String::from_utf8_lossy and Python's errors="replace" do. */
void vt_utf8_repair(vt_bytes *out, const char *text, size_t size);

void vt_bytes_append_char(vt_bytes *out, int32_t character);

/* Classes, as the reference defines them. */
bool vt_char_is_space(int32_t character);           /* White_Space */
bool vt_char_is_punctuation(int32_t character);     /* P*, and all of ASCII's */
bool vt_char_is_number(int32_t character);          /* N* */
bool vt_char_is_mark(int32_t character);            /* M* */
bool vt_char_is_nonspacing_mark(int32_t character); /* Mn */
bool vt_char_is_other(int32_t character);           /* Cc, Cf and Co */

void vt_utf8_lowercase(vt_bytes *out, const char *text, size_t size);

typedef enum vt_unicode_form { VT_NFC, VT_NFD, VT_NFKC, VT_NFKD } vt_unicode_form;

/* Linear in the size, also for long runs of combining marks. Sets out->failed when out of memory.
 */
void vt_utf8_normalize(vt_bytes *out, const char *text, size_t size, vt_unicode_form form);

/* Bytes of the extended grapheme cluster that begins `text`; size > 0. */
size_t vt_utf8_grapheme(const char *text, size_t size);

#endif
