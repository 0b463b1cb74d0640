/* SPDX-License-Identifier: MIT
 *
 * The tokenizer of a model, and texts as ids.
 */
#ifndef CLI_TOKENS_H
#define CLI_TOKENS_H

#include "settings.h"

/* The tokenizer.json beside the model's weights; plain bytes where there is none and the vocabulary
 * is of 256 tokens. Returns an exit code, having complained when it is not EXIT_DONE. */
int open_tokenizer(vt_tokenizer **out, const vt_model *model, bool *is_bytes);

/* One text as the model wants it: with its special tokens, cut to its positions, padded where it
 * was trained on padded texts. Release with vt_ids_free. */
vt_status text_to_ids(int64_t **ids, size_t *count, const vt_tokenizer *tokenizer,
                      const vt_model *model, const char *text, vt_error *err);

/* The whole of a file, "-" being standard input, with a NUL behind its *size bytes; NULL, having
 * complained, when it can't be read. Freed by the caller. */
char *read_file(const char *path, size_t *size);

/* Texts to work on: --text, then the lines of --text-from. Each is freed by texts_free. */
typedef struct text_list {
    char **texts;
    size_t count;
} text_list;

bool texts_read(text_list *out, const settings *s);
void texts_free(text_list *list);

#endif
