/* SPDX-License-Identifier: MIT */
#include "text/normalizer.h"

#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "text/bytelevel.h"
#include "text/charsmap.h"
#include "text/unicode.h"

/* What a step works on: it appends its output to `out`. */
typedef struct work {
    vt_bytes *out;
    const char *text;
    size_t size;
    bool front_lost; /* the first character was removed */
    vt_error *err;
} work;

typedef struct vt_normalizer_kind {
    const char *type;
    void (*parse)(vt_normalizer_step *step, vt_json_reader *reader); /* NULL: no settings */
    vt_status (*run)(const vt_normalizer_step *step, work *w);
} vt_normalizer_kind;

static void copy(work *w, size_t begin, size_t end) {
    vt_bytes_append(w->out, w->text + begin, end - begin);
}

/* Keeps the characters that `is_dropped` is false for. */
static void drop(work *w, vt_char_class is_dropped) {
    size_t length;
    for (size_t i = 0; i < w->size; i += length) {
        if (!is_dropped(vt_utf8_decode(w->text + i, w->size - i, &length)))
            copy(w, i, i + length);
        else if (i == 0)
            w->front_lost = true;
    }
}

/* ---- Unicode forms and case --------------------------------------------------------------------
 */

static vt_status run_nfc(const vt_normalizer_step *step, work *w) {
    (void)step;
    vt_utf8_normalize(w->out, w->text, w->size, VT_NFC);
    return VT_OK;
}

static vt_status run_nfd(const vt_normalizer_step *step, work *w) {
    (void)step;
    vt_utf8_normalize(w->out, w->text, w->size, VT_NFD);
    return VT_OK;
}

static vt_status run_nfkc(const vt_normalizer_step *step, work *w) {
    (void)step;
    vt_utf8_normalize(w->out, w->text, w->size, VT_NFKC);
    return VT_OK;
}

static vt_status run_nfkd(const vt_normalizer_step *step, work *w) {
    (void)step;
    vt_utf8_normalize(w->out, w->text, w->size, VT_NFKD);
    return VT_OK;
}

static vt_status run_lowercase(const vt_normalizer_step *step, work *w) {
    (void)step;
    vt_utf8_lowercase(w->out, w->text, w->size);
    return VT_OK;
}

static vt_status run_strip_accents(const vt_normalizer_step *step, work *w) {
    (void)step;
    drop(w, vt_char_is_mark);
    return VT_OK;
}

/* ---- BertNormalizer ----------------------------------------------------------------------------
 */

/* The blocks that normalizers/bert.rs names; U+2B820 to U+2B91F are not among them. */
static bool is_chinese(int32_t c) {
    return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) ||
           (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B81F) ||
           (c >= 0x2B920 && c <= 0x2CEAF) || (c >= 0xF900 && c <= 0xFAFF) ||
           (c >= 0x2F800 && c <= 0x2FA1F);
}

static bool is_control(int32_t c) {
    if (c == '\t' || c == '\n' || c == '\r')
        return false;
    return c == 0xFFFD || vt_char_is_other(c);
}

static void clean_text(work *w) {
    size_t length;
    for (size_t i = 0; i < w->size; i += length) {
        int32_t c = vt_utf8_decode(w->text + i, w->size - i, &length);
        if (is_control(c))
            w->front_lost |= i == 0;
        else if (vt_char_is_space(c))
            vt_bytes_append(w->out, " ", 1);
        else
            copy(w, i, i + length);
    }
}

static void space_chinese(work *w) {
    size_t length;
    for (size_t i = 0; i < w->size; i += length) {
        bool chinese = is_chinese(vt_utf8_decode(w->text + i, w->size - i, &length));
        vt_bytes_append(w->out, " ", chinese);
        copy(w, i, i + length);
        vt_bytes_append(w->out, " ", chinese);
    }
}

static void decompose_text(work *w) {
    vt_utf8_normalize(w->out, w->text, w->size, VT_NFD);
}

static void drop_nonspacing(work *w) {
    drop(w, vt_char_is_nonspacing_mark);
}

static void lower_text(work *w) {
    vt_utf8_lowercase(w->out, w->text, w->size);
}

static vt_status run_bert(const vt_normalizer_step *step, work *w) {
    const struct {
        bool wanted;
        void (*run)(work *w);
    } passes[] = {{step->clean_text, clean_text},
                  {step->chinese_chars, space_chinese},
                  {step->strip_accents, decompose_text},
                  {step->strip_accents, drop_nonspacing},
                  {step->lowercase, lower_text}};
    vt_bytes in = {0}, out = {0};
    work pass = {.out = &out, .front_lost = w->front_lost};
    vt_bytes_append(&in, w->text, w->size);
    for (size_t i = 0; i < sizeof passes / sizeof passes[0]; i++) {
        if (!passes[i].wanted)
            continue;
        pass.text = in.data;
        pass.size = in.size;
        vt_bytes_clear(&out);
        passes[i].run(&pass);
        vt_bytes_swap(&in, &out);
    }
    vt_bytes_append(w->out, in.data, in.size);
    w->out->failed |= in.failed || out.failed;
    w->front_lost = pass.front_lost;
    vt_bytes_free(&in);
    vt_bytes_free(&out);
    return VT_OK;
}

static void parse_bert(vt_normalizer_step *step, vt_json_reader *reader) {
    step->clean_text = vt_json_bool(reader, "clean_text", true);
    step->chinese_chars = vt_json_bool(reader, "handle_chinese_chars", true);
    step->lowercase = vt_json_bool(reader, "lowercase", true);
    step->strip_accents = vt_json_bool(reader, "strip_accents", step->lowercase);
}

/* ---- Nmt: SentencePiece's rules without the form -----------------------------------------------
 */

static bool nmt_drops(int32_t c) {
    return (c >= 0x01 && c <= 0x08) || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F ||
           c == 0x8F || c == 0x9F;
}

static bool nmt_is_space(int32_t c) {
    return c == 0x09 || c == 0x0A || c == 0x0C || c == 0x0D || c == 0x1680 ||
           (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 || c == 0x2581 ||
           c == 0xFEFF || c == 0xFFFD;
}

static vt_status run_nmt(const vt_normalizer_step *step, work *w) {
    size_t length;
    (void)step;
    for (size_t i = 0; i < w->size; i += length) {
        int32_t c = vt_utf8_decode(w->text + i, w->size - i, &length);
        if (nmt_drops(c))
            w->front_lost |= i == 0;
        else if (nmt_is_space(c))
            vt_bytes_append(w->out, " ", 1);
        else
            copy(w, i, i + length);
    }
    return VT_OK;
}

/* ---- the others --------------------------------------------------------------------------------
 */

static void parse_strip(vt_normalizer_step *step, vt_json_reader *reader) {
    step->strip_left = vt_json_bool(reader, "strip_left", false);
    step->strip_right = vt_json_bool(reader, "strip_right", false);
}

static vt_status run_strip(const vt_normalizer_step *step, work *w) {
    size_t begin = 0, end = w->size, length;
    while (step->strip_left && begin < end &&
           vt_char_is_space(vt_utf8_decode(w->text + begin, end - begin, &length)))
        begin += length;
    while (step->strip_right && end > begin &&
           vt_char_is_space(vt_utf8_decode_last(w->text + begin, end - begin, &length)))
        end -= length;
    copy(w, begin, end);
    w->front_lost |= begin > 0;
    return VT_OK;
}

static void parse_prepend(vt_normalizer_step *step, vt_json_reader *reader) {
    if (vt_config_string(reader, "prepend"))
        step->text = vt_config_string_copy(reader, "prepend", NULL);
}

static vt_status run_prepend(const vt_normalizer_step *step, work *w) {
    if (w->size > 0)
        vt_bytes_append(w->out, step->text, strlen(step->text));
    copy(w, 0, w->size);
    return VT_OK;
}

static void parse_replace(vt_normalizer_step *step, vt_json_reader *reader) {
    if (vt_config_string(reader, "content"))
        step->text = vt_config_string_copy(reader, "content", NULL);
    if (!reader->status)
        vt_pattern_parse(&step->pattern, reader, "pattern");
}

static vt_status run_replace(const vt_normalizer_step *step, work *w) {
    vt_finder finder;
    vt_status status = vt_finder_open(&finder, &step->pattern, w->err);
    if (!status)
        status = vt_replace(w->out, &finder, w->text, w->size, step->text, &w->front_lost, w->err);
    vt_finder_close(&finder);
    return status;
}

static void parse_precompiled(vt_normalizer_step *step, vt_json_reader *reader) {
    const char *base64 = vt_config_string(reader, "precompiled_charsmap");
    char where[VT_WHERE_BYTES + 32] = "";
    strncat(where, reader->where, VT_WHERE_BYTES);
    strcat(where, ".precompiled_charsmap");
    if (base64)
        reader->status = vt_charsmap_create(&step->charsmap, base64, where, reader->err);
}

static vt_status run_precompiled(const vt_normalizer_step *step, work *w) {
    vt_charsmap_apply(w->out, step->charsmap, w->text, w->size);
    return VT_OK;
}

static vt_status run_bytelevel(const vt_normalizer_step *step, work *w) {
    (void)step;
    vt_bytelevel_encode(w->out, w->text, w->size);
    return VT_OK;
}

static const vt_normalizer_kind kinds[] = {
    {"BertNormalizer", parse_bert, run_bert},
    {"Strip", parse_strip, run_strip},
    {"StripAccents", NULL, run_strip_accents},
    {"NFC", NULL, run_nfc},
    {"NFD", NULL, run_nfd},
    {"NFKC", NULL, run_nfkc},
    {"NFKD", NULL, run_nfkd},
    {"Lowercase", NULL, run_lowercase},
    {"Nmt", NULL, run_nmt},
    {"Precompiled", parse_precompiled, run_precompiled},
    {"Replace", parse_replace, run_replace},
    {"Prepend", parse_prepend, run_prepend},
    {"ByteLevel", NULL, run_bytelevel},
};

static vt_status parse_step(void *context, const json_t *config, const char *type,
                            const char *where, vt_error *err) {
    vt_normalizer *normalizer = context;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(type, kinds[i].type) != 0)
            continue;
        vt_normalizer_step *step = &normalizer->steps[normalizer->count++];
        vt_json_reader reader = vt_json_reader_of(config, where, err);
        step->kind = &kinds[i];
        if (kinds[i].parse)
            kinds[i].parse(step, &reader);
        return reader.status;
    }
    return vt_fail(err, VT_ERR_UNSUPPORTED, "%s: normalizer \"%s\" is not known", where, type);
}

vt_status vt_normalizer_parse(vt_normalizer *out, const json_t *config, const char *where,
                              vt_error *err) {
    *out = (vt_normalizer){0};
    return vt_config_each_step(config, "normalizers", where, parse_step, out, err);
}

void vt_normalizer_free(vt_normalizer *normalizer) {
    for (size_t i = 0; i < normalizer->count; i++) {
        vt_free(normalizer->steps[i].text);
        vt_pattern_free(&normalizer->steps[i].pattern);
        vt_charsmap_destroy(normalizer->steps[i].charsmap);
    }
    normalizer->count = 0;
}

vt_status vt_normalizer_run(const vt_normalizer *normalizer, vt_bytes *out, const char *text,
                            size_t size, bool *front_lost, vt_error *err) {
    vt_bytes in = {0}, next = {0};
    work w = {.out = &next, .text = text, .size = size, .err = err};
    vt_status status = VT_OK;
    for (size_t i = 0; !status && i < normalizer->count; i++) {
        vt_bytes_clear(&next);
        status = normalizer->steps[i].kind->run(&normalizer->steps[i], &w);
        vt_bytes_swap(&in, &next);
        w.text = in.data;
        w.size = in.size;
    }
    vt_bytes_append(out, w.text, w.size);
    *front_lost = w.front_lost;
    if (!status && (in.failed || next.failed || out->failed))
        status = vt_fail_memory(err, "the normalized text", size);
    vt_bytes_free(&in);
    vt_bytes_free(&next);
    return status;
}
