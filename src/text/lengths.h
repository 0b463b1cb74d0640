/* SPDX-License-Identifier: MIT
 *
 * Cutting ids to a length and filling them up to one: "truncation" and "padding" of tokenizer.json.
 */
#ifndef VT_TEXT_LENGTHS_H
#define VT_TEXT_LENGTHS_H

#include "text/buffer.h"
#include "text/config.h"

/* `where` is the file's path. */
vt_status vt_lengths_parse(vt_token_lengths *out, const json_t *tokenizer, const char *where,
                           vt_error *err);

/* Cuts a text's ids so that with `added` special tokens they fit. */
void vt_lengths_truncate(const vt_token_lengths *lengths, vt_ids *ids, size_t added);

void vt_lengths_pad(const vt_token_lengths *lengths, vt_ids *ids);

#endif
