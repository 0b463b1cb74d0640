/* SPDX-License-Identifier: MIT
 *
 * WordPiece: the longest token that begins the word, then the longest that continues it, and so on;
 * a word that cannot be covered is one unknown token (huggingface/tokenizers,
 * models/wordpiece/mod.rs).
 */
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "text/model.h"
#include "text/unicode.h"

typedef struct wordpiece {
    char *prefix; /* of tokens that continue a word: "##" */
    size_t max_chars;
    int32_t unknown;
} wordpiece;

static void free_state(void *state) {
    wordpiece *wp = state;
    if (wp)
        vt_free(wp->prefix);
    vt_free(wp);
}

static vt_status parse(vt_text_model *model, const json_t *config, const char *where,
                       vt_error *err) {
    wordpiece *wp = model->state = vt_calloc(1, sizeof *wp);
    if (!wp)
        return vt_fail_memory(err, "a model", sizeof *wp);
    vt_json_reader reader = vt_json_reader_of(config, where, err);
    const char *unknown = vt_json_string(&reader, "unk_token", "[UNK]");
    wp->max_chars = vt_json_size(&reader, "max_input_chars_per_word", 100);
    wp->prefix = vt_config_string_copy(&reader, "continuing_subword_prefix", "##");
    if (reader.status)
        return reader.status;
    vt_status status = vt_text_model_parse_vocab(model, config, err);
    if (status)
        return status;
    wp->unknown = vt_vocab_find(&model->vocab, unknown, strlen(unknown));
    if (wp->unknown == VT_NO_ID)
        return vt_fail(err, VT_ERR_MISSING, "%s: \"unk_token\": \"%.64s\" is not in the vocabulary",
                       where, unknown);
    return VT_OK;
}

static vt_status encode(const vt_text_model *model, vt_ids *out, const char *word, size_t size,
                        vt_error *err) {
    const wordpiece *wp = model->state;
    size_t kept = out->size, length = 0;
    (void)err;
    bool known = vt_utf8_count(word, size) <= wp->max_chars;
    for (size_t i = 0; known && i < size; i += length) {
        const char *prefix = i ? wp->prefix : "";
        int32_t id =
            vt_vocab_longest(&model->vocab, prefix, strlen(prefix), word + i, size - i, &length);
        known = id != VT_NO_ID;
        if (known)
            vt_ids_append(out, id);
    }
    if (!known) {
        out->size = kept;
        vt_ids_append(out, wp->unknown);
    }
    return VT_OK;
}

const vt_text_model_kind vt_wordpiece = {"WordPiece", parse, free_state, encode};
