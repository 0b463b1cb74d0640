/* SPDX-License-Identifier: MIT
 *
 * Unigram: of all ways to cover a word with tokens, the one of the highest sum of scores, found by
 * Viterbi's algorithm in one pass (huggingface/tokenizers, models/unigram/model.rs,
 * encode_optimized). Unknown characters in a row are one unknown token.
 */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "text/model.h"
#include "text/trie.h"
#include "text/unicode.h"

static const double UNKNOWN_PENALTY = 10; /* kUnkPenalty of SentencePiece */

typedef struct unigram {
    vt_trie trie;
    double *scores; /* [num_ids] */
    double unknown_score;
    int32_t unknown; /* VT_NO_ID: an unknown character is an error */
    bool byte_fallback;
    int32_t byte_ids[256];
} unigram;

/* The best way to cover the text up to some place. */
typedef struct best {
    double score;
    size_t from; /* where its last token begins; SIZE_MAX: no way known */
    int32_t id;  /* of the last token */
} best;

static void free_state(void *state) {
    unigram *u = state;
    if (!u)
        return;
    vt_trie_free(&u->trie);
    vt_free(u->scores);
    vt_free(u);
}

/* ---- reading -----------------------------------------------------------------------------------
 */

static vt_status parse_vocab(vt_text_model *model, const json_t *vocab, vt_error *err) {
    unigram *u = model->state;
    size_t count = json_array_size(vocab);
    double lowest = INFINITY;
    u->scores = vt_malloc(count, sizeof *u->scores);
    if (!u->scores)
        return vt_fail_memory(err, "the scores", count * sizeof *u->scores);
    for (size_t i = 0; i < count; i++) {
        const json_t *entry = json_array_get(vocab, i), *score = json_array_get(entry, 1);
        const char *token = json_string_value(json_array_get(entry, 0));
        if (!token || !json_is_number(score) || json_array_size(entry) != 2)
            return vt_fail(err, VT_ERR_FORMAT, "%s: vocab[%zu]: expected [\"token\", score]",
                           model->where, i);
        vt_status status =
            vt_vocab_add(&model->vocab, token, strlen(token), (int64_t)i, true, model->where, err);
        if (status)
            return status;
        u->scores[i] = json_number_value(score);
        if (u->scores[i] < lowest)
            lowest = u->scores[i];
    }
    u->unknown_score = lowest - UNKNOWN_PENALTY;
    return VT_OK;
}

static vt_status build_trie(vt_text_model *model, vt_error *err) {
    unigram *u = model->state;
    size_t count = model->vocab.num_ids;
    vt_trie_key *keys = vt_malloc(count, sizeof *keys);
    if (!keys)
        return vt_fail_memory(err, "the vocabulary", count * sizeof *keys);
    for (size_t i = 0; i < count; i++) {
        keys[i].text = vt_vocab_string(&model->vocab, (int64_t)i, &keys[i].size);
        keys[i].value = (int32_t)i;
    }
    vt_status status = vt_trie_create(&u->trie, keys, count, err);
    vt_free(keys);
    return status;
}

static vt_status parse(vt_text_model *model, const json_t *config, const char *where,
                       vt_error *err) {
    unigram *u = model->state = vt_calloc(1, sizeof *u);
    if (!u)
        return vt_fail_memory(err, "a model", sizeof *u);
    vt_json_reader reader = vt_json_reader_of(config, where, err);
    size_t unknown = vt_json_size(&reader, "unk_id", SIZE_MAX);
    const json_t *vocab = json_object_get(config, "vocab");
    u->byte_fallback = vt_json_bool(&reader, "byte_fallback", false);
    if (!json_is_array(vocab))
        vt_config_fail(&reader, vocab ? VT_ERR_FORMAT : VT_ERR_MISSING, "vocab",
                       "expected an array");
    else if (unknown != SIZE_MAX && unknown >= json_array_size(vocab))
        vt_config_fail(&reader, VT_ERR_FORMAT, "unk_id", "is not in the vocabulary");
    if (reader.status)
        return reader.status;
    u->unknown = unknown == SIZE_MAX ? VT_NO_ID : (int32_t)unknown;
    vt_status status = parse_vocab(model, vocab, err);
    if (!status)
        status = build_trie(model, err);
    vt_text_model_byte_ids(model, u->byte_ids);
    return status;
}

/* ---- encoding ----------------------------------------------------------------------------------
 */

static void offer(best *at, double score, size_t from, int32_t id) {
    if (at->from == SIZE_MAX || score > at->score)
        *at = (best){score, from, id};
}

/* ways[i] becomes the best way to cover text[0..i). False: an unknown character, and no token for
 * it. */
static bool forward(const unigram *u, best *ways, const char *text, size_t size) {
    size_t length;
    for (size_t i = 0; i <= size; i++)
        ways[i] = (best){.from = SIZE_MAX};
    for (size_t i = 0; i < size; i += length) {
        bool single = false; /* a token of just this character */
        uint32_t node = 0;
        vt_utf8_decode(text + i, size - i, &length);
        for (size_t end = i; end < size;) {
            node = vt_trie_child(&u->trie, node, (unsigned char)text[end++]);
            if (node == 0)
                break;
            int32_t id = u->trie.nodes[node].value;
            if (id == VT_NO_ID)
                continue;
            offer(&ways[end], u->scores[id] + ways[i].score, i, id);
            single |= end == i + length;
        }
        if (single)
            continue;
        if (u->unknown == VT_NO_ID)
            return false;
        offer(&ways[i + length], u->unknown_score + ways[i].score, i, u->unknown);
    }
    return true;
}

/* Turns the links around: ways[i].from becomes the end of the token that begins at i. */
static void turn(best *ways, size_t size) {
    size_t end = size;
    int32_t id = ways[size].id;
    size_t from = ways[size].from;
    while (end > 0) {
        best before = ways[from];
        ways[from].from = end;
        ways[from].id = id;
        end = from;
        id = before.id;
        from = before.from;
    }
}

static void emit(const vt_text_model *model, vt_ids *out, const char *piece, size_t size) {
    const unigram *u = model->state;
    int32_t id = vt_vocab_find(&model->vocab, piece, size);
    if (id != VT_NO_ID)
        vt_ids_append(out, id);
    else if (!u->byte_fallback || !vt_text_model_append_bytes(u->byte_ids, out, piece, size))
        vt_ids_append(out, u->unknown);
}

static void backward(const vt_text_model *model, vt_ids *out, best *ways, const char *text,
                     size_t size) {
    const unigram *u = model->state;
    turn(ways, size);
    for (size_t begin = 0; begin < size;) {
        size_t end = ways[begin].from;
        if (ways[begin].id == u->unknown)
            while (end < size && ways[end].id == u->unknown)
                end = ways[end].from;
        emit(model, out, text + begin, end - begin);
        begin = end;
    }
}

static vt_status encode(const vt_text_model *model, vt_ids *out, const char *word, size_t size,
                        vt_error *err) {
    enum { SHORT = 256 };
    best few[SHORT + 1], *ways = size > SHORT ? vt_malloc(size + 1, sizeof *ways) : few;
    vt_status status = VT_OK;
    if (!ways)
        return vt_fail_memory(err, "the ways to cover a word", size * sizeof *ways);
    if (forward(model->state, ways, word, size))
        backward(model, out, ways, word, size);
    else
        status =
            vt_fail(err, VT_ERR_UNSUPPORTED,
                    "%s: the text has a character that no token covers, and \"unk_id\" is missing",
                    model->where);
    if (ways != few)
        vt_free(ways);
    return status;
}

const vt_text_model_kind vt_unigram = {"Unigram", parse, free_state, encode};
