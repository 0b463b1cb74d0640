/* SPDX-License-Identifier: MIT
 *
 * More of what a tokenizer.json may say that is not read, in a line that names the place; and of
 * what older or rarer files say that is.
 */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LETTERS "\"vocab\":{\"a\":0,\"b\":1,\"Q\":2}"
#define MODEL "\"model\":{\"type\":\"BPE\"," LETTERS ",\"merges\":[]}"
#define WITH(part) "{" MODEL "," part "}"
#define BPE(part) "{\"model\":{\"type\":\"BPE\"," part "}}"
#define REPLACE(regex)                                                                             \
    WITH("\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"" regex "\"},"             \
         "\"content\":\"b\"}")

static const char *directory;

static vt_status open_json(vt_tokenizer **out, const char *json, vt_error *err) {
    write_text(path_in(directory, "tokenizer.json"), json);
    *out = NULL;
    *err = (vt_error){0};
    return vt_tokenizer_open(out, directory, err);
}

static void test_refused(void **state) {
    static const struct {
        const char *json;
        vt_status status;
        const char *part;
    } cases[] = {
        {BPE("\"merges\":[]"), VT_ERR_MISSING, "\"vocab\": expected an object"},
        {BPE("\"vocab\":7,\"merges\":[]"), VT_ERR_FORMAT, "\"vocab\": expected an object"},
        {BPE(LETTERS), VT_ERR_MISSING, "\"merges\": expected an array"},
        {BPE(LETTERS ",\"merges\":7"), VT_ERR_FORMAT, "\"merges\": expected an array"},
        {BPE(LETTERS ",\"merges\":[],\"dropout\":0.5"), VT_ERR_UNSUPPORTED, "only 0 is supported"},
        {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",0],[\"a\",0]],\"unk_id\":0},"
         "\"added_tokens\":7}",
         VT_ERR_FORMAT, ""},
        {WITH("\"truncation\":{\"max_length\":0}"), VT_ERR_FORMAT, "\"max_length\": is 0"},
        {WITH("\"padding\":{\"strategy\":\"Longest\"}"), VT_ERR_UNSUPPORTED, "\"strategy\""},
        {WITH("\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"_\","
              "\"prepend_scheme\":\"always\",\"add_prefix_space\":false}"),
         VT_ERR_FORMAT, "does not agree with \"prepend_scheme\""},
        {WITH("\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"AAA=\"}"),
         VT_ERR_FORMAT, "cut off"},
        {WITH("\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"AAAAAP8=\"}"),
         VT_ERR_FORMAT, "the replacements are not UTF-8"},
        {REPLACE("\\\\u12"), VT_ERR_UNSUPPORTED, "\\u without four digits"},
        {REPLACE("a\\\\"), VT_ERR_FORMAT, "does not compile"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        vt_tokenizer *tokenizer;
        vt_error err;
        vt_status status = open_json(&tokenizer, cases[i].json, &err);
        if (status != cases[i].status || !strstr(err.message, cases[i].part))
            fail_msg("%s\nexpected %s: \"%s\", found %s: %s", cases[i].json,
                     vt_status_name(cases[i].status), cases[i].part, vt_status_name(status),
                     err.message);
        assert_null(tokenizer);
    }
}

static void append(char *text, size_t size, const char *what) {
    size_t used = strlen(text);
    snprintf(text + used, size - used, "%s", what);
}

/* 32 steps, and a token of 4096 bytes, are the most; see docs/RELIABILITY.md. */
static void test_edges(void **state) {
    static char json[1 << 14];
    (void)state;
    for (int steps = 32; steps <= 33; steps++) {
        vt_tokenizer *tokenizer;
        vt_error err;
        strcpy(json, "{" MODEL ",\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[");
        for (int i = 0; i < steps; i++)
            append(json, sizeof json, i ? ",{\"type\":\"NFC\"}" : "{\"type\":\"NFC\"}");
        append(json, sizeof json, "]}}");
        vt_status status = open_json(&tokenizer, json, &err);
        assert_int_equal(status, steps == 32 ? VT_OK : VT_ERR_LIMIT);
        if (status)
            assert_non_null(strstr(err.message, "more than 32 steps"));
        vt_tokenizer_close(tokenizer);
    }
    for (int length = 4096; length <= 4097; length++) {
        vt_tokenizer *tokenizer;
        vt_error err;
        snprintf(json, sizeof json, BPE("\"vocab\":{\"%0*d\":0},\"merges\":[]"), length, 0);
        vt_status status = open_json(&tokenizer, json, &err);
        assert_int_equal(status, length == 4096 ? VT_OK : VT_ERR_LIMIT);
        if (status)
            assert_non_null(strstr(err.message, "a token of 4097 bytes; at most 4096 are read"));
        vt_tokenizer_close(tokenizer);
    }
}

static void expect_ids(const char *json, const char *text, const int64_t *expected, size_t count) {
    vt_tokenizer *tokenizer;
    vt_error err;
    int64_t *ids;
    size_t found;
    expect_ok(open_json(&tokenizer, json, &err), &err);
    expect_ok(vt_tokenizer_encode(tokenizer, text, strlen(text), false, &ids, &found, &err), &err);
    assert_int_equal(found, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(ids[i], expected[i]);
    vt_ids_free(ids);
    vt_tokenizer_close(tokenizer);
}

static void test_read(void **state) {
    (void)state;
    /* Ruby's expressions have no quoting: \Q is the letter. */
    expect_ids(REPLACE("\\\\Q"), "Qa", (int64_t[]){1, 0}, 2);
    /* merges.txt begins with its version, and some files have kept that line. */
    expect_ids(BPE("\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"#version: 0.2\",\"a b\"]"),
               "aba", (int64_t[]){2, 0}, 2);
    /* There is no second text that this could cut. */
    expect_ids(WITH("\"truncation\":{\"max_length\":1,\"strategy\":\"OnlySecond\"}"), "aba",
               (int64_t[]){0, 1, 0}, 3);
    /* A WordPiece without a type is known by its limit. */
    expect_ids("{\"model\":{\"unk_token\":\"b\",\"max_input_chars_per_word\":9,"
               "\"continuing_subword_prefix\":\"##\",\"vocab\":{\"a\":0,\"b\":1,\"##a\":2}}}",
               "aa", (int64_t[]){0, 2}, 2);
}

/* The model names a token for what it does not know, and has none of that name. */
static void test_unknown_token_is_missing(void **state) {
    vt_tokenizer *tokenizer;
    vt_error err;
    int64_t *ids = NULL;
    size_t count = 0;
    (void)state;
    expect_ok(open_json(&tokenizer, BPE(LETTERS ",\"merges\":[],\"unk_token\":\"<unk>\""), &err),
              &err);
    expect_ok(vt_tokenizer_encode(tokenizer, "ab", 2, false, &ids, &count, &err), &err);
    vt_ids_free(ids);
    assert_int_equal(vt_tokenizer_encode(tokenizer, "axb", 3, false, &ids, &count, &err),
                     VT_ERR_MISSING);
    assert_non_null(strstr(err.message, "\"unk_token\" is needed, but not in the vocabulary"));
    vt_tokenizer_close(tokenizer);
}

/* "<0xe2>" is the byte that "<0xE2>" is. */
static void test_bytes_in_small_letters(void **state) {
    static const char json[] =
        "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"<0xe2>\":0,\"<0x82>\":1,\"<0xaC>\":2},"
        "\"merges\":[]},\"decoder\":{\"type\":\"ByteFallback\"}}";
    static const int64_t ids[] = {0, 1, 2};
    vt_tokenizer *tokenizer;
    vt_error err;
    char *text;
    size_t size;
    (void)state;
    expect_ok(open_json(&tokenizer, json, &err), &err);
    expect_ok(vt_tokenizer_decode(tokenizer, ids, 3, false, &text, &size, &err), &err);
    assert_int_equal(size, 3);
    assert_memory_equal(text, "\xe2\x82\xac", 3);
    vt_text_free(text);
    vt_tokenizer_close(tokenizer);
}

static int set_up(void **state) {
    int failed = create_temp_dir(state);
    directory = *state;
    return failed;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_unknown_token_is_missing),
        cmocka_unit_test(test_bytes_in_small_letters),
    };
    return cmocka_run_group_tests_name("rare tokenizers", tests, set_up, remove_temp_dir);
}
