/* SPDX-License-Identifier: MIT */
#include "text/decoder.h"

#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "text/bytelevel.h"
#include "text/pretokenizer.h"
#include "text/unicode.h"

/* `in` is the list so far; a step appends its list to `out`. Strings may be empty. */
typedef struct work {
    const vt_pieces *in;
    vt_pieces *out;
    vt_error *err;
} work;

typedef struct vt_decoder_kind {
    const char *type;
    void (*parse)(vt_decoder_step *step, vt_json_reader *reader); /* NULL: no settings */
    vt_status (*run)(const vt_decoder_step *step, work *w);
} vt_decoder_kind;

static const char *token_at(const vt_pieces *tokens, size_t i, size_t *size) {
    *size = tokens->items[i].end - tokens->items[i].begin;
    return *size ? tokens->text.data + tokens->items[i].begin : "";
}

/* Ends the string that began at `begin` of out's text. */
static void end_token(vt_pieces *out, size_t begin) {
    /* The id keeps vt_pieces_append from dropping an empty one. */
    vt_pieces_append(out, (vt_piece){.begin = begin, .end = out->text.size, .id = 0});
}

/* Copies `text`, each `from` become `to`. */
static void replace_all(vt_bytes *out, const char *text, size_t size, const char *from,
                        const char *to) {
    size_t length = strlen(from), begin = 0;
    const char *found;
    while (length > 0 && begin < size &&
           (found = memmem(text + begin, size - begin, from, length))) {
        vt_bytes_append(out, text + begin, (size_t)(found - text) - begin);
        vt_bytes_append(out, to, strlen(to));
        begin = (size_t)(found - text) + length;
    }
    vt_bytes_append(out, text + begin, size - begin);
}

/* ---- WordPiece ---------------------------------------------------------------------------------
 */

static void parse_wordpiece(vt_decoder_step *step, vt_json_reader *reader) {
    step->text = vt_config_string_copy(reader, "prefix", "##");
    step->cleanup = vt_json_bool(reader, "cleanup", true);
}

/* decoders/wordpiece.rs, cleanup. */
static void clean_up(vt_bytes *text) {
    static const char *const rules[][2] = {
        {" .", "."},   {" ?", "?"},     {" !", "!"},     {" ,", ","},
        {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},   {" do not", " don't"},
        {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
    };
    vt_bytes next = {0};
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        vt_bytes_clear(&next);
        replace_all(&next, text->data, text->size, rules[i][0], rules[i][1]);
        vt_bytes_swap(text, &next);
    }
    text->failed |= next.failed;
    vt_bytes_free(&next);
}

static vt_status run_wordpiece(const vt_decoder_step *step, work *w) {
    size_t prefix = strlen(step->text), size;
    vt_bytes token = {0};
    for (size_t i = 0; i < w->in->count; i++) {
        const char *text = token_at(w->in, i, &size);
        size_t begin = w->out->text.size;
        bool continues = i > 0 && size >= prefix && memcmp(text, step->text, prefix) == 0;
        vt_bytes_clear(&token);
        if (i > 0 && !continues)
            vt_bytes_append(&token, " ", 1);
        vt_bytes_append(&token, text + (continues ? prefix : 0), size - (continues ? prefix : 0));
        if (step->cleanup && token.size > 0)
            clean_up(&token);
        vt_bytes_append(&w->out->text, token.data, token.size);
        end_token(w->out, begin);
    }
    w->out->failed |= token.failed;
    vt_bytes_free(&token);
    return VT_OK;
}

/* ---- bytes -------------------------------------------------------------------------------------
 */

static vt_status run_bytelevel(const vt_decoder_step *step, work *w) {
    vt_bytes bytes = {0};
    (void)step;
    for (size_t i = 0; i < w->in->count; i++) {
        size_t size;
        const char *text = token_at(w->in, i, &size);
        vt_bytelevel_decode(&bytes, text, size);
    }
    vt_utf8_repair(&w->out->text, bytes.data, bytes.size);
    w->out->failed |= bytes.failed;
    vt_bytes_free(&bytes);
    end_token(w->out, 0);
    return VT_OK;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The byte that "<0x41>" stands for, or -1. */
static int fallback_byte(const char *text, size_t size) {
    if (size != 6 || memcmp(text, "<0x", 3) != 0 || text[5] != '>')
        return -1;
    int high = hex_digit(text[3]), low = hex_digit(text[4]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* Bytes in a row become one string, or U+FFFD each when they are not UTF-8. */
static void end_bytes(vt_pieces *out, vt_bytes *bytes) {
    size_t begin = out->text.size;
    if (bytes->size == 0)
        return;
    if (vt_utf8_is_valid(bytes->data, bytes->size))
        vt_bytes_append(&out->text, bytes->data, bytes->size);
    else
        for (size_t i = 0; i < bytes->size; i++)
            vt_bytes_append_char(&out->text, 0xFFFD);
    end_token(out, begin);
    vt_bytes_clear(bytes);
}

static vt_status run_byte_fallback(const vt_decoder_step *step, work *w) {
    vt_bytes bytes = {0};
    (void)step;
    for (size_t i = 0; i < w->in->count; i++) {
        size_t size;
        const char *text = token_at(w->in, i, &size);
        int byte = fallback_byte(text, size);
        if (byte >= 0) {
            char c = (char)byte;
            vt_bytes_append(&bytes, &c, 1);
            continue;
        }
        end_bytes(w->out, &bytes);
        size_t begin = w->out->text.size;
        vt_bytes_append(&w->out->text, text, size);
        end_token(w->out, begin);
    }
    end_bytes(w->out, &bytes);
    w->out->failed |= bytes.failed;
    vt_bytes_free(&bytes);
    return VT_OK;
}

/* ---- the others --------------------------------------------------------------------------------
 */

static void parse_metaspace(vt_decoder_step *step, vt_json_reader *reader) {
    vt_prepend prepend;
    bool splits;
    vt_metaspace_parse(reader, &step->character, &prepend, &splits);
    step->drop_first = prepend != VT_PREPEND_NEVER;
}

static vt_status run_metaspace(const vt_decoder_step *step, work *w) {
    for (size_t i = 0; i < w->in->count; i++) {
        size_t size, length, begin = w->out->text.size;
        const char *text = token_at(w->in, i, &size);
        for (size_t j = 0; j < size; j += length) {
            if (vt_utf8_decode(text + j, size - j, &length) != step->character)
                vt_bytes_append(&w->out->text, text + j, length);
            else if (i > 0 || !step->drop_first)
                vt_bytes_append(&w->out->text, " ", 1);
        }
        end_token(w->out, begin);
    }
    return VT_OK;
}

static void parse_bpe(vt_decoder_step *step, vt_json_reader *reader) {
    step->text = vt_config_string_copy(reader, "suffix", "</w>");
}

static vt_status run_bpe(const vt_decoder_step *step, work *w) {
    for (size_t i = 0; i < w->in->count; i++) {
        size_t size, begin = w->out->text.size;
        const char *text = token_at(w->in, i, &size);
        replace_all(&w->out->text, text, size, step->text, i + 1 == w->in->count ? "" : " ");
        end_token(w->out, begin);
    }
    return VT_OK;
}

static vt_status run_fuse(const vt_decoder_step *step, work *w) {
    (void)step;
    for (size_t i = 0; i < w->in->count; i++) {
        size_t size;
        const char *text = token_at(w->in, i, &size);
        vt_bytes_append(&w->out->text, text, size);
    }
    end_token(w->out, 0);
    return VT_OK;
}

static void parse_strip(vt_decoder_step *step, vt_json_reader *reader) {
    step->character = vt_config_char(reader, "content");
    step->start = vt_json_size(reader, "start", 0);
    step->stop = vt_json_size(reader, "stop", 0);
}

static vt_status run_strip(const vt_decoder_step *step, work *w) {
    for (size_t i = 0; i < w->in->count; i++) {
        size_t size, length, first = 0, begin = w->out->text.size;
        const char *text = token_at(w->in, i, &size);
        size_t last = size;
        for (size_t n = 0; n < step->start && first < last; n++, first += length)
            if (vt_utf8_decode(text + first, last - first, &length) != step->character)
                break;
        for (size_t n = 0; n < step->stop && last > first; n++, last -= length)
            if (vt_utf8_decode_last(text + first, last - first, &length) != step->character)
                break;
        vt_bytes_append(&w->out->text, text + first, last - first);
        end_token(w->out, begin);
    }
    return VT_OK;
}

static void parse_replace(vt_decoder_step *step, vt_json_reader *reader) {
    if (vt_config_string(reader, "content"))
        step->text = vt_config_string_copy(reader, "content", NULL);
    if (!reader->status)
        vt_pattern_parse(&step->pattern, reader, "pattern");
}

static vt_status run_replace(const vt_decoder_step *step, work *w) {
    vt_finder finder;
    bool front_lost;
    vt_status status = vt_finder_open(&finder, &step->pattern, w->err);
    for (size_t i = 0; !status && i < w->in->count; i++) {
        size_t size, begin = w->out->text.size;
        const char *text = token_at(w->in, i, &size);
        status = vt_replace(&w->out->text, &finder, text, size, step->text, &front_lost, w->err);
        end_token(w->out, begin);
    }
    vt_finder_close(&finder);
    return status;
}

static const vt_decoder_kind kinds[] = {
    {"BPEDecoder", parse_bpe, run_bpe},
    {"ByteFallback", NULL, run_byte_fallback},
    {"ByteLevel", NULL, run_bytelevel},
    {"Fuse", NULL, run_fuse},
    {"Metaspace", parse_metaspace, run_metaspace},
    {"Replace", parse_replace, run_replace},
    {"Strip", parse_strip, run_strip},
    {"WordPiece", parse_wordpiece, run_wordpiece},
};

static vt_status parse_step(void *context, const json_t *config, const char *type,
                            const char *where, vt_error *err) {
    vt_decoder *decoder = context;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(type, kinds[i].type) != 0)
            continue;
        vt_decoder_step *step = &decoder->steps[decoder->count++];
        vt_json_reader reader = vt_json_reader_of(config, where, err);
        step->kind = &kinds[i];
        if (kinds[i].parse)
            kinds[i].parse(step, &reader);
        return reader.status;
    }
    return vt_fail(err, VT_ERR_UNSUPPORTED, "%s: decoder \"%s\" is not known", where, type);
}

vt_status vt_decoder_parse(vt_decoder *out, const json_t *config, const char *where,
                           vt_error *err) {
    *out = (vt_decoder){0};
    return vt_config_each_step(config, "decoders", where, parse_step, out, err);
}

void vt_decoder_free(vt_decoder *decoder) {
    for (size_t i = 0; i < decoder->count; i++) {
        vt_free(decoder->steps[i].text);
        vt_pattern_free(&decoder->steps[i].pattern);
    }
    decoder->count = 0;
}

vt_status vt_decoder_run(const vt_decoder *decoder, vt_bytes *out, vt_pieces *tokens,
                         vt_error *err) {
    vt_pieces next = {0};
    vt_status status = VT_OK;
    for (size_t i = 0; !status && i < decoder->count; i++) {
        work w = {.in = tokens, .out = &next, .err = err};
        vt_pieces_clear(&next);
        status = decoder->steps[i].kind->run(&decoder->steps[i], &w);
        vt_pieces_swap(tokens, &next);
    }
    for (size_t i = 0; !status && i < tokens->count; i++) {
        size_t size;
        const char *text = token_at(tokens, i, &size);
        if (i > 0 && decoder->count == 0)
            vt_bytes_append(out, " ", 1);
        vt_bytes_append(out, text, size);
    }
    if (!status && (vt_pieces_failed(tokens) || vt_pieces_failed(&next) || out->failed))
        status = vt_fail_memory(err, "the decoded text", out->size);
    vt_pieces_free(&next);
    return status;
}
