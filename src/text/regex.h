/* SPDX-License-Identifier: MIT
 *
 * The regular expressions of tokenizer.json. They are written for Oniguruma with Ruby's syntax,
 * which the reference uses; they are translated where PCRE2 would read them otherwise
 * (docs/TOKENIZERS.md).
 */
#ifndef VT_TEXT_REGEX_H
#define VT_TEXT_REGEX_H

#include "text/buffer.h"

typedef struct vt_regex vt_regex;

/* The class \w of Rust's regex crate (UTS #18, annex C), which the reference uses for its own
 * needs. */
#define VT_RUST_WORD "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{200C}\\x{200D}"

/* `where` begins the error line. */
vt_status vt_regex_create(vt_regex **out, const char *pattern, const char *where, vt_error *err);
void vt_regex_destroy(vt_regex *regex);

/* PCRE2's form of an Oniguruma pattern; *reason says what can't be translated, NULL when all was.
 * Public for its tests. */
void vt_regex_translate(vt_bytes *out, const char *pattern, const char **reason);

/* Matching one text after another. A matcher belongs to one thread. */
typedef struct vt_matcher vt_matcher;
vt_status vt_matcher_create(vt_matcher **out, const vt_regex *regex, vt_error *err);
void vt_matcher_destroy(vt_matcher *matcher);
void vt_matcher_start(vt_matcher *matcher, const char *text, size_t size);

/* The next match that does not overlap those before: *found false at the end. VT_ERR_LIMIT when the
 * expression backtracks without end. */
vt_status vt_matcher_next(vt_matcher *matcher, bool *found, size_t *begin, size_t *end,
                          vt_error *err);

#endif
