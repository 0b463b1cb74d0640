/* SPDX-License-Identifier: MIT */
#include "text/pretokenizer.h"

#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "text/bytelevel.h"
#include "text/unicode.h"

typedef struct vt_pretokenizer_kind {
    const char *type;
    void (*parse)(vt_pretokenizer_step *step, vt_json_reader *reader); /* NULL: no settings */
    vt_status (*run)(const vt_pretokenizer_step *step, vt_pieces *pieces, vt_error *err);
} vt_pretokenizer_kind;

/* GPT-2's (openai/gpt-2, src/encoder.py), built into ByteLevel. */
static const char gpt2_regex[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/* ---- steps that rewrite the text of each piece --------------------------------------------------
 */

typedef void (*rewrite_fn)(vt_bytes *out, const vt_pretokenizer_step *step, const char *text,
                           size_t size, bool at_start);

static vt_status rewrite(vt_pieces *pieces, const vt_pretokenizer_step *step, rewrite_fn fn,
                         vt_error *err) {
    vt_bytes out = {0};
    for (size_t i = 0; i < pieces->count; i++) {
        vt_piece *piece = &pieces->items[i];
        size_t begin = out.size;
        if (piece->id == VT_NO_ID)
            fn(&out, step, pieces->text.data + piece->begin, piece->end - piece->begin,
               piece->at_start);
        piece->begin = begin;
        piece->end = out.size;
    }
    bool failed = out.failed;
    vt_bytes_swap(&pieces->text, &out);
    vt_bytes_free(&out);
    return failed ? vt_fail_memory(err, "the pieces of a text", pieces->text.size) : VT_OK;
}

/* ---- splits ------------------------------------------------------------------------------------
 */

static vt_status run_split(const vt_pretokenizer_step *step, vt_pieces *pieces, vt_error *err) {
    return vt_split_pieces(pieces, &step->pattern, step->behavior, step->invert, err);
}

static void parse_split(vt_pretokenizer_step *step, vt_json_reader *reader) {
    vt_pattern_parse(&step->pattern, reader, "pattern");
    step->invert = vt_json_bool(reader, "invert", false);
    if (!reader->status)
        vt_split_parse(&step->behavior, reader, "behavior");
}

static void parse_whitespace_split(vt_pretokenizer_step *step, vt_json_reader *reader) {
    (void)reader;
    step->pattern.is_match = vt_char_is_space;
    step->behavior = VT_SPLIT_REMOVED;
}

static void parse_punctuation(vt_pretokenizer_step *step, vt_json_reader *reader) {
    step->pattern.is_match = vt_char_is_punctuation;
    step->behavior = VT_SPLIT_ISOLATED;
    if (json_object_get(reader->object, "behavior"))
        vt_split_parse(&step->behavior, reader, "behavior");
}

static void parse_digits(vt_pretokenizer_step *step, vt_json_reader *reader) {
    bool individual = vt_json_bool(reader, "individual_digits", false);
    step->pattern.is_match = vt_char_is_number;
    step->behavior = individual ? VT_SPLIT_ISOLATED : VT_SPLIT_CONTIGUOUS;
}

static void parse_delimiter(vt_pretokenizer_step *step, vt_json_reader *reader) {
    vt_config_char(reader, "delimiter");
    step->pattern.string = vt_config_string_copy(reader, "delimiter", NULL);
    step->behavior = VT_SPLIT_REMOVED;
}

static void parse_whitespace(vt_pretokenizer_step *step, vt_json_reader *reader) {
    if (!reader->status)
        reader->status =
            vt_regex_create(&step->pattern.regex, "[" VT_RUST_WORD "]+|[^" VT_RUST_WORD "\\s]+",
                            reader->where, reader->err);
    step->behavior = VT_SPLIT_REMOVED;
    step->invert = true;
}

static vt_status run_bert(const vt_pretokenizer_step *step, vt_pieces *pieces, vt_error *err) {
    static const vt_pattern space = {.is_match = vt_char_is_space},
                            punctuation = {.is_match = vt_char_is_punctuation};
    (void)step;
    vt_status status = vt_split_pieces(pieces, &space, VT_SPLIT_REMOVED, false, err);
    return status ? status : vt_split_pieces(pieces, &punctuation, VT_SPLIT_ISOLATED, false, err);
}

static void parse_fixed_length(vt_pretokenizer_step *step, vt_json_reader *reader) {
    step->length = vt_json_size(reader, "length", 5);
    if (step->length == 0)
        vt_config_fail(reader, VT_ERR_FORMAT, "length", "is 0");
}

static vt_status run_fixed_length(const vt_pretokenizer_step *step, vt_pieces *pieces,
                                  vt_error *err) {
    vt_pieces out = {0};
    for (size_t i = 0; i < pieces->count; i++) {
        vt_piece piece = pieces->items[i];
        size_t end = piece.end, length;
        while (piece.id == VT_NO_ID && piece.begin < end) {
            piece.end = piece.begin;
            for (size_t n = 0; n < step->length && piece.end < end; n++, piece.end += length)
                vt_utf8_decode(pieces->text.data + piece.end, end - piece.end, &length);
            vt_pieces_append(&out, piece);
            piece.begin = piece.end;
            piece.at_start = false;
        }
        if (piece.id != VT_NO_ID)
            vt_pieces_append(&out, piece);
    }
    vt_bytes_swap(&pieces->text, &out.text);
    vt_pieces_swap(pieces, &out);
    vt_pieces_free(&out);
    return vt_pieces_failed(pieces) ? vt_fail_memory(err, "the pieces of a text", pieces->text.size)
                                    : VT_OK;
}

/* ---- ByteLevel ---------------------------------------------------------------------------------
 */

static void parse_bytelevel(vt_pretokenizer_step *step, vt_json_reader *reader) {
    step->add_prefix_space = vt_json_bool(reader, "add_prefix_space", true);
    step->splits = vt_json_bool(reader, "use_regex", true);
    step->behavior = VT_SPLIT_ISOLATED;
    if (step->splits && !reader->status)
        reader->status =
            vt_regex_create(&step->pattern.regex, gpt2_regex, reader->where, reader->err);
}

static void prefix_space(vt_bytes *out, const vt_pretokenizer_step *step, const char *text,
                         size_t size, bool at_start) {
    (void)step;
    (void)at_start;
    if (size > 0 && text[0] != ' ')
        vt_bytes_append(out, " ", 1);
    vt_bytes_append(out, text, size);
}

static void to_bytelevel(vt_bytes *out, const vt_pretokenizer_step *step, const char *text,
                         size_t size, bool at_start) {
    (void)step;
    (void)at_start;
    vt_bytelevel_encode(out, text, size);
}

static vt_status run_bytelevel(const vt_pretokenizer_step *step, vt_pieces *pieces, vt_error *err) {
    vt_status status = VT_OK;
    if (step->add_prefix_space)
        status = rewrite(pieces, step, prefix_space, err);
    if (!status && step->splits)
        status = run_split(step, pieces, err);
    return status ? status : rewrite(pieces, step, to_bytelevel, err);
}

/* ---- Metaspace ---------------------------------------------------------------------------------
 */

void vt_metaspace_parse(vt_json_reader *reader, int32_t *replacement, vt_prepend *prepend,
                        bool *splits) {
    static const char *const names[] = {"always", "first", "never", NULL};
    size_t scheme = 0;
    *replacement = vt_config_char(reader, "replacement");
    const char *name = vt_json_string(reader, "prepend_scheme", "always");
    bool add = vt_json_bool(reader, "add_prefix_space", true); /* before there were schemes */
    *splits = vt_json_bool(reader, "split", true);
    if (!reader->status)
        reader->status = vt_config_choice(&scheme, name, names, reader->where, reader->err);
    if (!add && json_object_get(reader->object, "prepend_scheme") && scheme != VT_PREPEND_NEVER)
        vt_config_fail(reader, VT_ERR_FORMAT, "add_prefix_space",
                       "does not agree with \"prepend_scheme\"");
    *prepend = add ? (vt_prepend)scheme : VT_PREPEND_NEVER;
}

static void parse_metaspace(vt_pretokenizer_step *step, vt_json_reader *reader) {
    vt_bytes text = {0};
    int32_t character;
    vt_metaspace_parse(reader, &character, &step->prepend, &step->splits);
    vt_bytes_append_char(&text, character);
    if (!text.failed && !reader->status)
        memcpy(step->replacement, text.data, text.size);
    if (text.failed)
        reader->status = vt_fail_memory(reader->err, "a character", 4);
    vt_bytes_free(&text);
    step->pattern.string = vt_config_string_copy(reader, "replacement", NULL);
    step->behavior = VT_SPLIT_MERGED_WITH_NEXT;
}

static void to_metaspace(vt_bytes *out, const vt_pretokenizer_step *step, const char *text,
                         size_t size, bool at_start) {
    size_t length = strlen(step->replacement), begin = 0;
    bool prepend =
        step->prepend == VT_PREPEND_ALWAYS || (step->prepend == VT_PREPEND_FIRST && at_start);
    bool there = size > 0 && (text[0] == ' ' ||
                              (size >= length && memcmp(text, step->replacement, length) == 0));
    if (prepend && size > 0 && !there)
        vt_bytes_append(out, step->replacement, length);
    for (size_t i = 0; i < size; i++) {
        if (text[i] != ' ')
            continue;
        vt_bytes_append(out, text + begin, i - begin);
        vt_bytes_append(out, step->replacement, length);
        begin = i + 1;
    }
    vt_bytes_append(out, text + begin, size - begin);
}

static vt_status run_metaspace(const vt_pretokenizer_step *step, vt_pieces *pieces, vt_error *err) {
    vt_status status = rewrite(pieces, step, to_metaspace, err);
    return status || !step->splits ? status : run_split(step, pieces, err);
}

static const vt_pretokenizer_kind kinds[] = {
    {"BertPreTokenizer", NULL, run_bert},
    {"ByteLevel", parse_bytelevel, run_bytelevel},
    {"CharDelimiterSplit", parse_delimiter, run_split},
    {"Digits", parse_digits, run_split},
    {"FixedLength", parse_fixed_length, run_fixed_length},
    {"Metaspace", parse_metaspace, run_metaspace},
    {"Punctuation", parse_punctuation, run_split},
    {"Split", parse_split, run_split},
    {"Whitespace", parse_whitespace, run_split},
    {"WhitespaceSplit", parse_whitespace_split, run_split},
};

static vt_status parse_step(void *context, const json_t *config, const char *type,
                            const char *where, vt_error *err) {
    vt_pretokenizer *pretokenizer = context;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(type, kinds[i].type) != 0)
            continue;
        vt_pretokenizer_step *step = &pretokenizer->steps[pretokenizer->count++];
        vt_json_reader reader = vt_json_reader_of(config, where, err);
        step->kind = &kinds[i];
        if (kinds[i].parse)
            kinds[i].parse(step, &reader);
        return reader.status;
    }
    return vt_fail(err, VT_ERR_UNSUPPORTED, "%s: pre-tokenizer \"%s\" is not known", where, type);
}

vt_status vt_pretokenizer_parse(vt_pretokenizer *out, const json_t *config, const char *where,
                                vt_error *err) {
    *out = (vt_pretokenizer){0};
    return vt_config_each_step(config, "pretokenizers", where, parse_step, out, err);
}

void vt_pretokenizer_free(vt_pretokenizer *pretokenizer) {
    for (size_t i = 0; i < pretokenizer->count; i++)
        vt_pattern_free(&pretokenizer->steps[i].pattern);
    pretokenizer->count = 0;
}

vt_status vt_pretokenizer_run(const vt_pretokenizer *pretokenizer, vt_pieces *pieces,
                              vt_error *err) {
    vt_status status = VT_OK;
    for (size_t i = 0; !status && i < pretokenizer->count; i++)
        status = pretokenizer->steps[i].kind->run(&pretokenizer->steps[i], pieces, err);
    return status;
}
