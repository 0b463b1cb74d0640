/* SPDX-License-Identifier: MIT
 *
 * GPT-2's printable stand-ins for bytes (openai/gpt-2, src/encoder.py, bytes_to_unicode): a byte
 * that is a visible character of Latin-1 is itself, the 68 others are U+0100 and up, in order.
 */
#ifndef VT_TEXT_BYTELEVEL_H
#define VT_TEXT_BYTELEVEL_H

#include "text/buffer.h"

/* Appends the characters that stand for the bytes of `text`. */
void vt_bytelevel_encode(vt_bytes *out, const char *text, size_t size);

/* Appends the bytes, if all characters of `text` stand for one, and `text` as it is otherwise. */
void vt_bytelevel_decode(vt_bytes *out, const char *text, size_t size);

#endif
