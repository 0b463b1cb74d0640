/* SPDX-License-Identifier: MIT
 *
 * From text to ids: added tokens are cut out and the rest is normalized, split into words, and each
 * word is tokenized by the model; the post-processor puts special tokens around
 * (huggingface/tokenizers, tokenizer/mod.rs). Here are the calls of vitrine.h, the stages are in
 * the other files.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/memory.h"
#include "text/added.h"
#include "text/decoder.h"
#include "text/lengths.h"
#include "text/model.h"
#include "text/normalizer.h"
#include "text/postprocess.h"
#include "text/pretokenizer.h"
#include "text/unicode.h"

struct vt_tokenizer {
    bool bytes; /* an id is a byte; of the others only model.vocab is used */
    vt_added added;
    vt_normalizer normalizer;
    vt_pretokenizer pretokenizer;
    vt_text_model model;
    vt_postprocess post;
    vt_decoder decoder;
    vt_token_lengths lengths;
};

/* ---- opening -----------------------------------------------------------------------------------
 */

/* "path: key", in `where`. */
static const char *part_of(char where[VT_WHERE_BYTES], const char *path, const char *key) {
    snprintf(where, VT_WHERE_BYTES, "%.*s: %s", VT_WHERE_BYTES - 32, path, key);
    return where;
}

static vt_status parse_stages(vt_tokenizer *tok, const json_t *json, const char *path,
                              vt_error *err) {
    char where[VT_WHERE_BYTES];
    vt_status status = vt_text_model_parse(&tok->model, json_object_get(json, "model"),
                                           part_of(where, path, "model"), err);
    if (!status)
        status = vt_normalizer_parse(&tok->normalizer, json_object_get(json, "normalizer"),
                                     part_of(where, path, "normalizer"), err);
    if (!status)
        status = vt_pretokenizer_parse(&tok->pretokenizer, json_object_get(json, "pre_tokenizer"),
                                       part_of(where, path, "pre_tokenizer"), err);
    if (!status)
        status = vt_postprocess_parse(&tok->post, json_object_get(json, "post_processor"),
                                      part_of(where, path, "post_processor"), err);
    if (!status)
        status = vt_decoder_parse(&tok->decoder, json_object_get(json, "decoder"),
                                  part_of(where, path, "decoder"), err);
    if (!status)
        status =
            vt_added_parse(&tok->added, json_object_get(json, "added_tokens"), &tok->model.vocab,
                           &tok->normalizer, part_of(where, path, "added_tokens"), err);
    return status ? status : vt_lengths_parse(&tok->lengths, json, path, err);
}

static vt_status parse_tokenizer(vt_tokenizer *tok, const json_t *json, const char *path,
                                 vt_error *err) {
    if (!json_is_object(json))
        return vt_fail(err, VT_ERR_FORMAT, "%s: expected an object", path);
    vt_json_reader reader = vt_json_reader_of(json, path, err);
    const char *version = vt_json_string(&reader, "version", "1.0");
    if (reader.status)
        return reader.status;
    if (strcmp(version, "1.0") != 0)
        return vt_fail(err, VT_ERR_UNSUPPORTED, "%s: version \"%.32s\" is not known", path,
                       version);
    return parse_stages(tok, json, path, err);
}

/* The path itself, or of the tokenizer.json in that directory. */
static char *file_path(const char *path) {
    static const char name[] = "/tokenizer.json";
    struct stat info;
    size_t size = strlen(path);
    char *full = vt_malloc(size + sizeof name, 1);
    if (!full)
        return NULL;
    memcpy(full, path, size + 1);
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        memcpy(full + size, name, sizeof name);
    return full;
}

static vt_status create(vt_tokenizer **out, vt_error *err) {
    *out = vt_calloc(1, sizeof **out);
    return *out ? VT_OK : vt_fail_memory(err, "a tokenizer", sizeof **out);
}

vt_status vt_tokenizer_open(vt_tokenizer **out, const char *path, vt_error *err) {
    json_t *json = NULL;
    char *full = file_path(path);
    *out = NULL;
    vt_status status = full ? create(out, err) : vt_fail_memory(err, "a path", strlen(path));
    if (!status)
        status = vt_json_load(&json, full, err);
    if (!status)
        status = parse_tokenizer(*out, json, full, err);
    json_decref(json);
    vt_free(full);
    if (status) {
        vt_tokenizer_close(*out);
        *out = NULL;
    }
    return status;
}

vt_status vt_tokenizer_bytes(vt_tokenizer **out, vt_error *err) {
    vt_status status = create(out, err);
    for (int byte = 0; !status && byte < 256; byte++) {
        char c = (char)byte;
        status = vt_vocab_add(&(*out)->model.vocab, &c, 1, byte, false, "bytes", err);
    }
    if (status) {
        vt_tokenizer_close(*out);
        *out = NULL;
        return status;
    }
    (*out)->bytes = true;
    return VT_OK;
}

void vt_tokenizer_close(vt_tokenizer *tok) {
    if (!tok)
        return;
    vt_added_free(&tok->added);
    vt_normalizer_free(&tok->normalizer);
    vt_pretokenizer_free(&tok->pretokenizer);
    vt_text_model_free(&tok->model);
    vt_postprocess_free(&tok->post);
    vt_decoder_free(&tok->decoder);
    vt_free(tok);
}

/* ---- encoding ----------------------------------------------------------------------------------
 */

static vt_status encode_pieces(const vt_tokenizer *tok, vt_ids *ids, const char *text, size_t size,
                               vt_error *err) {
    vt_pieces pieces = {0};
    vt_status status = vt_added_split(&tok->added, &tok->normalizer, &pieces, text, size, err);
    if (!status)
        status = vt_pretokenizer_run(&tok->pretokenizer, &pieces, err);
    for (size_t i = 0; !status && i < pieces.count; i++) {
        const vt_piece *piece = &pieces.items[i];
        if (piece->id != VT_NO_ID)
            vt_ids_append(ids, piece->id);
        else
            status = tok->model.kind->encode(&tok->model, ids, pieces.text.data + piece->begin,
                                             piece->end - piece->begin, err);
    }
    vt_pieces_free(&pieces);
    return status;
}

static vt_status encode_text(const vt_tokenizer *tok, vt_ids *ids, const char *text, size_t size,
                             vt_error *err) {
    vt_bytes repaired = {0};
    vt_status status = VT_OK;
    if (tok->bytes) {
        for (size_t i = 0; i < size && !ids->failed; i++)
            vt_ids_append(ids, (unsigned char)text[i]);
        return VT_OK;
    }
    if (vt_utf8_is_valid(text, size))
        return encode_pieces(tok, ids, text, size, err);
    vt_utf8_repair(&repaired, text, size);
    if (repaired.failed)
        status = vt_fail_memory(err, "the text", size);
    else
        status = encode_pieces(tok, ids, repaired.data, repaired.size, err);
    vt_bytes_free(&repaired);
    return status;
}

/* Special tokens, the text's ids cut to fit, special tokens, padding. */
static void assemble(const vt_tokenizer *tok, vt_ids *out, vt_ids *text, bool special,
                     const vt_token_lengths *lengths) {
    const vt_postprocess *post = &tok->post;
    vt_lengths_truncate(lengths, text, special ? post->before.size + post->after.size : 0);
    for (size_t i = 0; special && i < post->before.size; i++)
        vt_ids_append(out, post->before.data[i]);
    for (size_t i = 0; i < text->size; i++)
        vt_ids_append(out, text->data[i]);
    for (size_t i = 0; special && i < post->after.size; i++)
        vt_ids_append(out, post->after.data[i]);
    vt_lengths_pad(lengths, out);
}

vt_status vt_tokenizer_encode_to(const vt_tokenizer *tok, const char *text, size_t size,
                                 bool add_special_tokens, const vt_token_lengths *lengths,
                                 int64_t **ids, size_t *count, vt_error *err) {
    vt_ids found = {0}, all = {0};
    *ids = NULL;
    *count = 0;
    vt_status status = encode_text(tok, &found, size ? text : "", size, err);
    if (!status)
        assemble(tok, &all, &found, add_special_tokens, lengths);
    if (!status && (found.failed || all.failed))
        status = vt_fail_memory(err, "the ids", found.size * sizeof *found.data);
    vt_free(found.data);
    if (status) {
        vt_free(all.data);
        return status;
    }
    *ids = all.data;
    *count = all.size;
    return VT_OK;
}

vt_status vt_tokenizer_encode(const vt_tokenizer *tok, const char *text, size_t size,
                              bool add_special_tokens, int64_t **ids, size_t *count,
                              vt_error *err) {
    return vt_tokenizer_encode_to(tok, text, size, add_special_tokens, &tok->lengths, ids, count,
                                  err);
}

void vt_ids_free(int64_t *ids) {
    vt_free(ids);
}

void vt_tokenizer_lengths(const vt_tokenizer *tok, vt_token_lengths *out) {
    *out = tok->lengths;
}

/* ---- decoding ----------------------------------------------------------------------------------
 */

/* What decode shows for an id: of an added token its normalized form, for the decoder to undo. */
static const char *shown(const vt_tokenizer *tok, int64_t id, size_t *size) {
    const vt_added_token *token = vt_added_by_id(&tok->added, id);
    if (!token)
        return vt_vocab_string(&tok->model.vocab, id, size);
    *size = token->pattern_size;
    return token->pattern;
}

static void collect(const vt_tokenizer *tok, vt_pieces *tokens, const int64_t *ids, size_t count,
                    bool skip_special) {
    for (size_t i = 0; i < count; i++) {
        size_t size, begin = tokens->text.size;
        const char *text = shown(tok, ids[i], &size);
        if (!text || (skip_special && vt_added_is_special(&tok->added, text, size)))
            continue;
        vt_bytes_append(&tokens->text, text, size);
        vt_pieces_append(tokens, (vt_piece){.begin = begin, .end = tokens->text.size});
    }
}

static vt_status decode_tokens(const vt_tokenizer *tok, vt_bytes *out, vt_pieces *tokens,
                               vt_error *err) {
    if (vt_pieces_failed(tokens))
        return vt_fail_memory(err, "the tokens", tokens->text.size);
    if (!tok->bytes)
        return vt_decoder_run(&tok->decoder, out, tokens, err);
    vt_bytes_append(out, tokens->text.data, tokens->text.size);
    return VT_OK;
}

vt_status vt_tokenizer_decode(const vt_tokenizer *tok, const int64_t *ids, size_t count,
                              bool skip_special_tokens, char **text, size_t *size, vt_error *err) {
    vt_pieces tokens = {0};
    vt_bytes out = {0};
    *text = NULL;
    collect(tok, &tokens, ids, count, skip_special_tokens);
    vt_status status = decode_tokens(tok, &out, &tokens, err);
    size_t length = out.size;
    vt_bytes_append(&out, "", 1);
    if (!status && out.failed)
        status = vt_fail_memory(err, "the decoded text", length);
    vt_pieces_free(&tokens);
    if (status) {
        vt_bytes_free(&out);
        return status;
    }
    *text = out.data;
    if (size)
        *size = length;
    return VT_OK;
}

void vt_text_free(char *text) {
    vt_free(text);
}

/* ---- the vocabulary ----------------------------------------------------------------------------
 */

size_t vt_tokenizer_vocab_size(const vt_tokenizer *tok) {
    size_t model = tok->model.vocab.num_ids, added = tok->added.num_ids;
    return model > added ? model : added;
}

const char *vt_tokenizer_token(const vt_tokenizer *tok, int64_t id, size_t *size) {
    const vt_added_token *token = vt_added_by_id(&tok->added, id);
    if (!token)
        return vt_vocab_string(&tok->model.vocab, id, size);
    if (size)
        *size = token->content_size;
    return token->content;
}

int64_t vt_tokenizer_id(const vt_tokenizer *tok, const char *token, size_t size) {
    const vt_added_token *added = vt_added_by_content(&tok->added, token, size);
    return added ? added->id : vt_vocab_find(&tok->model.vocab, token, size);
}
