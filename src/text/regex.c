/* SPDX-License-Identifier: MIT */
#include "text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "text/unicode.h"

enum {
    MATCH_STEPS = 4 << 20, /* that one match may take, besides some for each byte of the text */
    MATCH_HEAP_KIB = 64 << 10
};

struct vt_regex {
    pcre2_code *code; /* not changed after it is compiled: shared by threads */
    char where[256];
};

struct vt_matcher {
    const vt_regex *regex;
    pcre2_match_data *data;
    pcre2_match_context *context;
    const char *text;
    size_t size, position;
    size_t last_end; /* of the match before, SIZE_MAX when there was none */
};

static void *allocate(PCRE2_SIZE size, void *unused) {
    (void)unused;
    return vt_malloc(size, 1);
}

static void release(void *memory, void *unused) {
    (void)unused;
    vt_free(memory);
}

static vt_status compile(vt_regex *regex, const char *pattern, pcre2_general_context *general,
                         vt_error *err) {
    int code;
    PCRE2_SIZE offset;
    pcre2_compile_context *context = pcre2_compile_context_create(general);
    if (!context)
        return vt_fail_memory(err, "a regular expression", strlen(pattern));
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    regex->code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
                                PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C,
                                &code, &offset, context);
    pcre2_compile_context_free(context);
    if (!regex->code && code == PCRE2_ERROR_HEAP_FAILED)
        return vt_fail_memory(err, "a regular expression", strlen(pattern));
    if (!regex->code) {
        char message[160];
        pcre2_get_error_message(code, (PCRE2_UCHAR *)message, sizeof message);
        return vt_fail(err, VT_ERR_FORMAT, "%s: the regular expression does not compile: %s",
                       regex->where, message);
    }
    return VT_OK; /* interpreted: PCRE2's JIT wants memory that is both writable and executable */
}

static vt_status translate_and_compile(vt_regex *regex, const char *pattern, vt_error *err) {
    vt_bytes translated = {0};
    const char *reason;
    vt_status status = VT_OK;
    vt_regex_translate(&translated, pattern, &reason);
    pcre2_general_context *general = pcre2_general_context_create(allocate, release, NULL);
    if (reason)
        status = vt_fail(err, VT_ERR_UNSUPPORTED, "%s: the regular expression has %s", regex->where,
                         reason);
    else if (translated.failed || !general)
        status = vt_fail_memory(err, "a regular expression", strlen(pattern));
    else
        status = compile(regex, translated.data, general, err);
    pcre2_general_context_free(general);
    vt_bytes_free(&translated);
    return status;
}

vt_status vt_regex_create(vt_regex **out, const char *pattern, const char *where, vt_error *err) {
    *out = NULL;
    vt_regex *regex = vt_calloc(1, sizeof *regex);
    if (!regex)
        return vt_fail_memory(err, "a regular expression", sizeof *regex);
    strncpy(regex->where, where, sizeof regex->where - 1);
    vt_status status = translate_and_compile(regex, pattern, err);
    if (status) {
        vt_regex_destroy(regex);
        return status;
    }
    *out = regex;
    return VT_OK;
}

void vt_regex_destroy(vt_regex *regex) {
    if (!regex)
        return;
    pcre2_code_free(regex->code);
    vt_free(regex);
}

vt_status vt_matcher_create(vt_matcher **out, const vt_regex *regex, vt_error *err) {
    vt_matcher *matcher = vt_calloc(1, sizeof *matcher);
    pcre2_general_context *general = pcre2_general_context_create(allocate, release, NULL);
    *out = matcher;
    if (matcher && general) {
        matcher->regex = regex;
        matcher->data = pcre2_match_data_create(1, general); /* the whole match only */
        matcher->context = pcre2_match_context_create(general);
    }
    pcre2_general_context_free(general);
    if (matcher && matcher->data && matcher->context) {
        pcre2_set_heap_limit(matcher->context, MATCH_HEAP_KIB);
        return VT_OK;
    }
    vt_matcher_destroy(matcher);
    *out = NULL;
    return vt_fail_memory(err, "a regular expression's match", sizeof *matcher);
}

void vt_matcher_destroy(vt_matcher *matcher) {
    if (!matcher)
        return;
    pcre2_match_data_free(matcher->data);
    pcre2_match_context_free(matcher->context);
    vt_free(matcher);
}

void vt_matcher_start(vt_matcher *matcher, const char *text, size_t size) {
    matcher->text = text;
    matcher->size = size;
    matcher->position = 0;
    matcher->last_end = SIZE_MAX;
    uint32_t steps = size < (1u << 28) ? (uint32_t)(MATCH_STEPS + 8 * size) : UINT32_MAX;
    pcre2_set_match_limit(matcher->context, steps);
}

static int search(vt_matcher *matcher) {
    return pcre2_match(matcher->regex->code, (PCRE2_SPTR)matcher->text, matcher->size,
                       matcher->position, PCRE2_NO_UTF_CHECK, matcher->data, matcher->context);
}

static vt_status search_failed(const vt_matcher *matcher, int rc, vt_error *err) {
    const char *where = matcher->regex->where;
    if (rc == PCRE2_ERROR_MATCHLIMIT || rc == PCRE2_ERROR_HEAPLIMIT || rc == PCRE2_ERROR_DEPTHLIMIT)
        return vt_fail(err, VT_ERR_LIMIT,
                       "%s: the regular expression backtracks too much on this text", where);
    if (rc == PCRE2_ERROR_NOMEMORY)
        return vt_fail_memory(err, "a regular expression's match", matcher->size);
    return vt_fail(err, VT_ERR_INTERNAL, "%s: the regular expression failed (PCRE2: %d)", where,
                   rc);
}

/* As onig's FindMatches: an empty match that touches the match before is passed over. */
vt_status vt_matcher_next(vt_matcher *matcher, bool *found, size_t *begin, size_t *end,
                          vt_error *err) {
    *found = false;
    while (matcher->position <= matcher->size) {
        int rc = search(matcher);
        if (rc == PCRE2_ERROR_NOMATCH)
            return VT_OK;
        if (rc < 0)
            return search_failed(matcher, rc, err);
        const PCRE2_SIZE *range = pcre2_get_ovector_pointer(matcher->data);
        *begin = range[0];
        *end = range[1] < range[0] ? range[0] : range[1]; /* \K in a lookahead may end before */
        if (*begin < matcher->position && matcher->last_end != SIZE_MAX)
            *begin = matcher->position; /* and begin before, in a lookbehind */
        if (*end < *begin)
            *end = *begin;
        if (*begin == *end && *end == matcher->last_end) {
            size_t length = 1;
            if (matcher->position < matcher->size)
                vt_utf8_decode(matcher->text + matcher->position, matcher->size - matcher->position,
                               &length);
            matcher->position += length;
            continue;
        }
        matcher->position = matcher->last_end = *end;
        *found = true;
        return VT_OK;
    }
    return VT_OK;
}
