/* SPDX-License-Identifier: MIT */
#include "text/added.h"

#include <string.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/memory.h"
#include "text/unicode.h"

/* ---- reading -----------------------------------------------------------------------------------
 */

static vt_status parse_id(vt_added_token *token, vt_json_reader *reader, const vt_vocab *vocab) {
    size_t id = vt_json_size(reader, "id", SIZE_MAX);
    if (reader->status)
        return reader->status;
    if (id == SIZE_MAX)
        return vt_fail(reader->err, VT_ERR_MISSING, "%s: \"id\": is missing", reader->where);
    if (id >= vt_limits_now()->vocabulary)
        return vt_fail(reader->err, VT_ERR_LIMIT, "%s: id %zu is out of range: at most %zu ids",
                       reader->where, id, vt_limits_now()->vocabulary);
    token->id = (int32_t)id;
    int32_t known = vt_vocab_find(vocab, token->content, token->content_size);
    const char *other = vt_vocab_string(vocab, token->id, NULL);
    if (known != VT_NO_ID && known != token->id)
        return vt_fail(reader->err, VT_ERR_FORMAT, "%s: \"%.64s\": id %d, but %d in the vocabulary",
                       reader->where, token->content, (int)token->id, (int)known);
    if (known == VT_NO_ID && other)
        return vt_fail(reader->err, VT_ERR_FORMAT,
                       "%s: \"%.64s\": id %d is \"%.64s\" in the vocabulary", reader->where,
                       token->content, (int)token->id, other);
    return VT_OK;
}

static vt_status normalize(vt_added_token *token, const vt_normalizer *normalizer, vt_error *err) {
    vt_bytes form = {0};
    bool front_lost;
    vt_status status = VT_OK;
    if (token->normalized)
        status = vt_normalizer_run(normalizer, &form, token->content, token->content_size,
                                   &front_lost, err);
    else
        vt_bytes_append(&form, token->content, token->content_size);
    token->pattern_size = form.size;
    vt_bytes_append(&form, "", 1);
    if (!status && form.failed)
        status = vt_fail_memory(err, "an added token", token->content_size);
    token->pattern = form.data;
    return status;
}

static vt_status parse_token(vt_added *added, const json_t *config, const vt_vocab *vocab,
                             const vt_normalizer *normalizer, const char *where, vt_error *err) {
    vt_added_token *token = &added->tokens[added->count++];
    vt_json_reader reader = vt_json_reader_of(config, where, err);
    if (!json_is_object(config))
        return vt_fail(err, VT_ERR_FORMAT, "%s: expected an object", where);
    if (vt_config_string(&reader, "content"))
        token->content = vt_config_string_copy(&reader, "content", NULL);
    token->single_word = vt_json_bool(&reader, "single_word", false);
    token->lstrip = vt_json_bool(&reader, "lstrip", false);
    token->rstrip = vt_json_bool(&reader, "rstrip", false);
    token->special = vt_json_bool(&reader, "special", false);
    token->normalized = vt_json_bool(&reader, "normalized", !token->special);
    if (reader.status)
        return reader.status;
    token->content_size = strlen(token->content);
    vt_status status = parse_id(token, &reader, vocab);
    return status ? status : normalize(token, normalizer, err);
}

/* Finding by id and by content; both refuse duplicates. */
static vt_status index_tokens(vt_added *added, const char *where, vt_error *err) {
    for (size_t i = 0; i < added->count; i++)
        if ((size_t)added->tokens[i].id >= added->num_ids)
            added->num_ids = (size_t)added->tokens[i].id + 1;
    added->by_id = vt_malloc(added->num_ids, sizeof *added->by_id);
    if (!added->by_id)
        return vt_fail_memory(err, "the added tokens", added->num_ids * sizeof *added->by_id);
    for (size_t i = 0; i < added->num_ids; i++)
        added->by_id[i] = VT_NO_ID;
    for (size_t i = 0; i < added->count; i++) {
        const vt_added_token *token = &added->tokens[i];
        vt_status status = vt_vocab_add(&added->by_content, token->content, token->content_size,
                                        (int64_t)i, false, where, err);
        if (status)
            return status;
        if (added->by_id[token->id] != VT_NO_ID)
            return vt_fail(err, VT_ERR_FORMAT, "%s: \"%.64s\": id %d is taken by \"%.64s\"", where,
                           token->content, (int)token->id,
                           added->tokens[added->by_id[token->id]].content);
        added->by_id[token->id] = (int32_t)i;
    }
    return VT_OK;
}

static vt_status build_trie(vt_trie *out, const vt_added *added, bool normalized, vt_error *err) {
    vt_trie_key *keys = vt_malloc(added->count, sizeof *keys);
    size_t count = 0;
    if (!keys)
        return vt_fail_memory(err, "the added tokens", added->count * sizeof *keys);
    for (size_t i = 0; i < added->count; i++) {
        const vt_added_token *token = &added->tokens[i];
        if (token->normalized == normalized && token->pattern_size > 0 &&
            token->pattern_size <= VT_MAX_TOKEN_BYTES)
            keys[count++] = (vt_trie_key){token->pattern, token->pattern_size, (int32_t)i};
    }
    vt_status status = vt_trie_create(out, keys, count, err);
    vt_free(keys);
    return status;
}

static vt_status parse_tokens(vt_added *out, const json_t *config, const vt_vocab *vocab,
                              const vt_normalizer *normalizer, const char *where, vt_error *err) {
    size_t count = json_array_size(config);
    vt_status status = VT_OK;
    out->tokens = vt_calloc(count, sizeof *out->tokens);
    if (!out->tokens)
        return vt_fail_memory(err, "the added tokens", count * sizeof *out->tokens);
    for (size_t i = 0; !status && i < count; i++)
        status = parse_token(out, json_array_get(config, i), vocab, normalizer, where, err);
    return status;
}

vt_status vt_added_parse(vt_added *out, const json_t *config, const vt_vocab *vocab,
                         const vt_normalizer *normalizer, const char *where, vt_error *err) {
    *out = (vt_added){0};
    if (!config || json_is_null(config))
        return VT_OK;
    if (!json_is_array(config))
        return vt_fail(err, VT_ERR_FORMAT, "%s: expected an array", where);
    vt_status status = parse_tokens(out, config, vocab, normalizer, where, err);
    if (!status)
        status = index_tokens(out, where, err);
    if (!status)
        status = build_trie(&out->raw, out, false, err);
    if (!status)
        status = build_trie(&out->normalized, out, true, err);
    if (!status)
        status = vt_regex_create(&out->word, "[" VT_RUST_WORD "]", where, err);
    return status;
}

void vt_added_free(vt_added *added) {
    for (size_t i = 0; i < added->count; i++) {
        vt_free(added->tokens[i].content);
        vt_free(added->tokens[i].pattern);
    }
    vt_free(added->tokens);
    vt_trie_free(&added->raw);
    vt_trie_free(&added->normalized);
    vt_vocab_free(&added->by_content);
    vt_free(added->by_id);
    vt_regex_destroy(added->word);
    *added = (vt_added){0};
}

const vt_added_token *vt_added_by_id(const vt_added *added, int64_t id) {
    if (id < 0 || (uint64_t)id >= added->num_ids || added->by_id[id] == VT_NO_ID)
        return NULL;
    return &added->tokens[added->by_id[id]];
}

const vt_added_token *vt_added_by_content(const vt_added *added, const char *text, size_t size) {
    int32_t index = vt_vocab_find(&added->by_content, text, size);
    return index == VT_NO_ID ? NULL : &added->tokens[index];
}

bool vt_added_is_special(const vt_added *added, const char *text, size_t size) {
    const vt_added_token *token = vt_added_by_content(added, text, size);
    return token && token->special;
}

/* ---- finding -----------------------------------------------------------------------------------
 */

typedef struct finder {
    const vt_added *added;
    vt_matcher *word;
    const char *text;
    size_t size;
    size_t last; /* where the token before ended, spaces included */
    vt_error *err;
    vt_status status;
} finder;

static bool is_word(finder *f, const char *character, size_t length) {
    size_t begin, end;
    bool found = false;
    if (!f->status && !f->word)
        f->status = vt_matcher_create(&f->word, f->added->word, f->err);
    if (f->status)
        return false;
    vt_matcher_start(f->word, character, length);
    f->status = vt_matcher_next(f->word, &found, &begin, &end, f->err);
    return found;
}

static bool inside_word(finder *f, size_t begin, size_t end) {
    size_t length;
    if (begin > 0) {
        vt_utf8_decode_last(f->text, begin, &length);
        if (is_word(f, f->text + begin - length, length))
            return true;
    }
    if (end < f->size) {
        vt_utf8_decode(f->text + end, f->size - end, &length);
        return is_word(f, f->text + end, length);
    }
    return false;
}

static size_t strip_left(const finder *f, size_t begin) {
    size_t length;
    while (begin > f->last && vt_char_is_space(vt_utf8_decode_last(f->text, begin, &length)))
        begin -= length;
    return begin < f->last ? f->last : begin; /* the token before may have taken the spaces */
}

static size_t strip_right(const finder *f, size_t end) {
    size_t length;
    while (end < f->size && vt_char_is_space(vt_utf8_decode(f->text + end, f->size - end, &length)))
        end += length;
    return end;
}

/* The next match at or behind *at: the leftmost, and of those the longest. */
static const vt_added_token *next_match(const finder *f, const vt_trie *trie, size_t *at,
                                        size_t *end) {
    for (; *at < f->size; ++*at) {
        size_t length;
        int32_t index = vt_trie_longest(trie, f->text + *at, f->size - *at, &length);
        if (index != VT_NO_ID) {
            *end = *at + length;
            return &f->added->tokens[index];
        }
    }
    return NULL;
}

/* Appends the pieces of one text; `base` is where it lies in the block of `out`. */
static void find_tokens(finder *f, const vt_trie *trie, vt_pieces *out, size_t base,
                        bool at_start) {
    size_t begin = 0, end = 0;
    const vt_added_token *token;
    while (trie->nodes && !f->status && (token = next_match(f, trie, &begin, &end))) {
        size_t from = begin, to = end;
        begin = end; /* where the search goes on, taken or not */
        if (token->single_word && inside_word(f, from, to))
            continue;
        if (token->lstrip)
            from = strip_left(f, from);
        if (token->rstrip)
            to = strip_right(f, to);
        if (f->last < from)
            vt_pieces_append(
                out, (vt_piece){base + f->last, base + from, VT_NO_ID, at_start && f->last == 0});
        vt_pieces_append(out, (vt_piece){base + from, base + to, token->id, false});
        f->last = to;
    }
    vt_pieces_append(
        out, (vt_piece){base + f->last, base + f->size, VT_NO_ID, at_start && f->last == 0});
}

static vt_status split_normalized(const vt_added *added, const vt_normalizer *normalizer,
                                  vt_pieces *out, finder *f, const char *text, size_t size,
                                  bool at_start) {
    bool front_lost;
    size_t base = out->text.size;
    vt_status status = vt_normalizer_run(normalizer, &out->text, text, size, &front_lost, f->err);
    if (status)
        return status;
    if (out->text.size == base) /* nothing is left, and there may be no buffer */
        return VT_OK;
    f->text = out->text.data + base;
    f->size = out->text.size - base;
    f->last = 0;
    find_tokens(f, &added->normalized, out, base, at_start && !front_lost);
    return f->status;
}

vt_status vt_added_split(const vt_added *added, const vt_normalizer *normalizer, vt_pieces *out,
                         const char *text, size_t size, vt_error *err) {
    vt_pieces raw = {0};
    finder f = {.added = added, .text = text, .size = size, .err = err};
    if (size > 0)
        find_tokens(&f, &added->raw, &raw, 0, true);
    vt_status status = f.status;
    for (size_t i = 0; !status && i < raw.count; i++) {
        vt_piece piece = raw.items[i];
        if (piece.id == VT_NO_ID)
            status = split_normalized(added, normalizer, out, &f, text + piece.begin,
                                      piece.end - piece.begin, piece.at_start);
        else
            vt_pieces_append(out, (vt_piece){0, 0, piece.id, false});
    }
    if (!status && (raw.failed || vt_pieces_failed(out)))
        status = vt_fail_memory(err, "the pieces of a text", size);
    vt_pieces_free(&raw);
    vt_matcher_destroy(f.word);
    return status;
}
