/* SPDX-License-Identifier: MIT
 *
 * Byte-pair encoding: a word begins as its characters, and of the adjacent pairs that have a merge,
 * the one of the lowest rank, leftmost first, is joined until none is left (huggingface/tokenizers,
 * models/bpe/model.rs and word.rs). A heap of pairs over a linked list: O(n log n) for any word.
 */
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "text/merges.h"
#include "text/model.h"
#include "text/unicode.h"

typedef struct bpe {
    vt_merges merges;
    char *prefix;         /* of characters that continue a word, or "" */
    char *suffix;         /* of the last character of a word, or "" */
    int32_t unknown;      /* VT_NO_ID: unknown characters are left out */
    bool unknown_missing; /* named, but not in the vocabulary: an error once it is needed */
    bool fuse_unknown, byte_fallback, ignore_merges;
    int32_t byte_ids[256];
} bpe;

static void free_state(void *state) {
    bpe *b = state;
    if (!b)
        return;
    vt_merges_free(&b->merges);
    vt_free(b->prefix);
    vt_free(b->suffix);
    vt_free(b);
}

/* ---- reading -----------------------------------------------------------------------------------
 */

/* ["a", "b"], or "a b" as before tokenizers 0.20. */
static bool split_merge(const json_t *merge, const char **left, size_t *left_size,
                        const char **right) {
    const char *line = json_string_value(merge);
    if (!line) {
        *left = json_string_value(json_array_get(merge, 0));
        *right = json_string_value(json_array_get(merge, 1));
        *left_size = *left ? strlen(*left) : 0;
        return *left && *right && json_array_size(merge) == 2;
    }
    const char *space = strchr(line, ' ');
    if (!space || strchr(space + 1, ' '))
        return false;
    *left = line;
    *left_size = (size_t)(space - line);
    *right = space + 1;
    return true;
}

static vt_status add_merge(vt_text_model *model, const json_t *merge, size_t rank, vt_bytes *joined,
                           vt_error *err) {
    bpe *b = model->state;
    const char *left, *right;
    size_t left_size, prefix_size = strlen(b->prefix);
    if (!split_merge(merge, &left, &left_size, &right))
        return vt_fail(err, VT_ERR_FORMAT, "%s: merges[%zu]: expected two tokens", model->where,
                       rank);
    size_t right_size = strlen(right);
    int32_t left_id = vt_vocab_find(&model->vocab, left, left_size);
    int32_t right_id = vt_vocab_find(&model->vocab, right, right_size);
    if (left_id == VT_NO_ID || right_id == VT_NO_ID)
        return vt_fail(err, VT_ERR_FORMAT, "%s: merges[%zu]: \"%.64s\" is not in the vocabulary",
                       model->where, rank, left_id == VT_NO_ID ? left : right);
    vt_bytes_clear(joined);
    vt_bytes_append(joined, left, left_size);
    if (right_size > prefix_size)
        vt_bytes_append(joined, right + prefix_size, right_size - prefix_size);
    if (joined->failed)
        return vt_fail_memory(err, "the merges", left_size + right_size);
    int32_t id = vt_vocab_find(&model->vocab, joined->data, joined->size);
    if (id == VT_NO_ID)
        return vt_fail(err, VT_ERR_FORMAT, "%s: merges[%zu]: \"%.*s\" is not in the vocabulary",
                       model->where, rank, (int)(joined->size < 64 ? joined->size : 64),
                       joined->data);
    return vt_merges_add(&b->merges, left_id, right_id, (uint32_t)rank, id)
               ? VT_OK
               : vt_fail_memory(err, "the merges", rank);
}

static vt_status parse_merges(vt_text_model *model, const json_t *config, vt_error *err) {
    const json_t *merges = json_object_get(config, "merges");
    vt_bytes joined = {0};
    vt_status status = VT_OK;
    size_t rank = 0;
    if (!json_is_array(merges))
        return vt_fail(err, merges ? VT_ERR_FORMAT : VT_ERR_MISSING,
                       "%s: \"merges\": expected an array", model->where);
    for (size_t i = 0; !status && i < json_array_size(merges); i++) {
        const json_t *merge = json_array_get(merges, i);
        const char *line = json_string_value(merge);
        if (line && strncmp(line, "#version", 8) == 0)
            continue;
        status = add_merge(model, merge, rank++, &joined, err);
    }
    vt_bytes_free(&joined);
    return status;
}

static vt_status parse_settings(vt_text_model *model, vt_json_reader *reader) {
    bpe *b = model->state;
    if (vt_json_real(reader, "dropout", 0) != 0)
        vt_config_fail(reader, VT_ERR_UNSUPPORTED, "dropout", "only 0 is supported");
    b->prefix = vt_config_string_copy(reader, "continuing_subword_prefix", "");
    b->suffix = vt_config_string_copy(reader, "end_of_word_suffix", "");
    b->fuse_unknown = vt_json_bool(reader, "fuse_unk", false);
    b->byte_fallback = vt_json_bool(reader, "byte_fallback", false);
    b->ignore_merges = vt_json_bool(reader, "ignore_merges", false);
    return reader->status;
}

static vt_status parse(vt_text_model *model, const json_t *config, const char *where,
                       vt_error *err) {
    bpe *b = model->state = vt_calloc(1, sizeof *b);
    if (!b)
        return vt_fail_memory(err, "a model", sizeof *b);
    vt_json_reader reader = vt_json_reader_of(config, where, err);
    const char *unknown = vt_json_string(&reader, "unk_token", NULL);
    vt_status status = parse_settings(model, &reader);
    if (!status)
        status = vt_text_model_parse_vocab(model, config, err);
    if (!status)
        status = parse_merges(model, config, err);
    if (status)
        return status;
    vt_text_model_byte_ids(model, b->byte_ids);
    b->unknown = unknown ? vt_vocab_find(&model->vocab, unknown, strlen(unknown)) : VT_NO_ID;
    b->unknown_missing = unknown && b->unknown == VT_NO_ID;
    return VT_OK;
}

/* ---- encoding ----------------------------------------------------------------------------------
 */

/* The id of a character with what its place in the word adds to it. */
static int32_t find_char(const vt_text_model *model, vt_bytes *scratch, const char *character,
                         size_t size, bool first, bool last) {
    const bpe *b = model->state;
    bool prefixed = !first && b->prefix[0], suffixed = last && b->suffix[0];
    vt_bytes_clear(scratch);
    if (prefixed)
        vt_bytes_append(scratch, b->prefix, strlen(b->prefix));
    vt_bytes_append(scratch, character, size);
    if (suffixed)
        vt_bytes_append(scratch, b->suffix, strlen(b->suffix));
    return scratch->failed ? VT_NO_ID : vt_vocab_find(&model->vocab, scratch->data, scratch->size);
}

/* The symbols that a word begins as. An unknown character waits for those after it, to be fused
 * with them, or until a known one comes; bytes do not end its wait (as BPE::merge_word has it). */
static vt_status split_word(const vt_text_model *model, vt_word *word, const char *text,
                            size_t size, vt_error *err) {
    const bpe *b = model->state;
    vt_bytes scratch = {0};
    bool pending = false, missing = false;
    size_t length;
    for (size_t i = 0; i < size && !missing; i += length) {
        vt_utf8_decode(text + i, size - i, &length);
        int32_t id = find_char(model, &scratch, text + i, length, i == 0, i + length == size);
        if (id != VT_NO_ID) {
            if (pending)
                vt_word_append(word, b->unknown);
            pending = false;
            vt_word_append(word, id);
            continue;
        }
        if (b->byte_fallback && vt_word_append_bytes(word, b->byte_ids, scratch.data, scratch.size))
            continue;
        if (pending && !b->fuse_unknown)
            vt_word_append(word, b->unknown);
        pending = b->unknown != VT_NO_ID;
        missing = b->unknown_missing;
    }
    if (pending)
        vt_word_append(word, b->unknown);
    bool failed = scratch.failed || word->failed;
    vt_bytes_free(&scratch);
    if (missing)
        return vt_fail(err, VT_ERR_MISSING,
                       "%s: \"unk_token\" is needed, but not in the vocabulary", model->where);
    return failed ? vt_fail_memory(err, "a word's symbols", size) : VT_OK;
}

static vt_status encode(const vt_text_model *model, vt_ids *out, const char *text, size_t size,
                        vt_error *err) {
    const bpe *b = model->state;
    int32_t whole = b->ignore_merges ? vt_vocab_find(&model->vocab, text, size) : VT_NO_ID;
    if (whole != VT_NO_ID) {
        vt_ids_append(out, whole);
        return VT_OK;
    }
    vt_word word;
    vt_word_init(&word);
    vt_status status = split_word(model, &word, text, size, err);
    if (!status && !vt_word_merge(&word, &b->merges))
        status = vt_fail_memory(err, "a word's symbols", size);
    for (uint32_t i = 0; !status && i < word.count; i++)
        if (word.symbols[i].id != VT_NO_ID)
            vt_ids_append(out, word.symbols[i].id);
    vt_word_free(&word);
    return status;
}

const vt_text_model_kind vt_bpe = {"BPE", parse, free_state, encode};
