/* SPDX-License-Identifier: MIT
 *
 * Tokenizers: the reference's ids and texts for tokenizers of every published kind
 * (tools/golden/tokenizers.py), round trips, random and hostile input.
 */
#include "support.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "text/charsmap.h"
#include "text/regex.h"
#include "text/unicode.h"

static const char *const names[] = {
    "bert-uncased",    "bert-cased",  "bert-chinese",
    "modernbert",      "gpt2",        "roberta",
    "gpt-neox",        "llama2",      "llama2-metaspace",
    "llama3",          "qwen3",       "mistral-tekken",
    "bloom",           "clip",        "t5",
    "siglip",          "xlm-roberta", "unigram-bytes",
    "misc-whitespace", "misc-lower",  "misc-splits",
    "misc-no-decoder",
};
enum { NUM_NAMES = sizeof names / sizeof names[0] };

/* Sanitizers slow it down tenfold. */
#if defined(__SANITIZE_ADDRESS__)
enum { RANDOM_BYTES = 1 << 17 };
#else
enum { RANDOM_BYTES = 1 << 20 };
#endif

static vt_tokenizer *open_golden(const char *name) {
    char file[64];
    vt_error err = {0};
    vt_tokenizer *tok;
    snprintf(file, sizeof file, "%s.json", name);
    expect_ok(vt_tokenizer_open(&tok, data_path("tokenizers", file, NULL), &err), &err);
    return tok;
}

static json_t *load_expected(const char *name) {
    char file[64];
    snprintf(file, sizeof file, "%s.expected.json", name);
    return load_json(data_path("tokenizers", file, NULL));
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ---- the reference's results -------------------------------------------------------------------
 */

static bool same_ids(const json_t *expected, const int64_t *ids, size_t count) {
    bool same = json_array_size(expected) == count;
    for (size_t i = 0; same && i < count; i++)
        same = json_integer_value(json_array_get(expected, i)) == ids[i];
    return same;
}

static void expect_ids(const vt_tokenizer *tok, const char *name, const char *text, bool special,
                       const json_t *expected) {
    int64_t *ids;
    size_t count;
    vt_error err = {0};
    expect_ok(vt_tokenizer_encode(tok, text, strlen(text), special, &ids, &count, &err), &err);
    if (!same_ids(expected, ids, count)) {
        char *wanted = json_dumps(expected, JSON_COMPACT);
        print_error("%s: \"%s\": expected %s, found [", name, text, wanted);
        for (size_t i = 0; i < count; i++)
            print_error("%s%lld", i ? "," : "", (long long)ids[i]);
        print_error("]\n");
        fail();
    }
    vt_ids_free(ids);
}

/* null: the reference itself fails on these ids (its Strip and BPEDecoder, on too few characters).
 */
static void expect_text(const vt_tokenizer *tok, const char *name, const json_t *ids, bool skip,
                        const json_t *expected) {
    size_t count = json_array_size(ids), size;
    int64_t *list = malloc((count + 1) * sizeof *list);
    char *text;
    vt_error err = {0};
    for (size_t i = 0; i < count; i++)
        list[i] = json_integer_value(json_array_get(ids, i));
    expect_ok(vt_tokenizer_decode(tok, list, count, skip, &text, &size, &err), &err);
    if (!json_is_null(expected) && strcmp(text, json_string_value(expected)) != 0) {
        print_error("%s: expected \"%s\", found \"%s\"\n", name, json_string_value(expected), text);
        fail();
    }
    assert_int_equal(size, strlen(text));
    vt_text_free(text);
    free(list);
}

static void check_golden(const vt_tokenizer *tok, const char *name, const json_t *texts) {
    json_t *expected = load_expected(name);
    const json_t *ids = json_object_get(expected, "ids"),
                 *special = json_object_get(expected, "special");
    assert_true(json_array_size(texts) > 200);
    assert_int_equal(json_array_size(ids), json_array_size(texts));
    assert_true(json_array_size(special) > 60);
    for (size_t i = 0; i < json_array_size(texts); i++) {
        const char *text = json_string_value(json_array_get(texts, i));
        expect_ids(tok, name, text, false, json_array_get(ids, i));
        expect_text(tok, name, json_array_get(ids, i), false,
                    json_array_get(json_object_get(expected, "decoded"), i));
        if (i >= json_array_size(special))
            continue;
        expect_ids(tok, name, text, true, json_array_get(special, i));
        expect_text(tok, name, json_array_get(special, i), true,
                    json_array_get(json_object_get(expected, "skipped"), i));
    }
    json_decref(expected);
}

static void test_goldens(void **state) {
    json_t *texts = load_json(data_path("tokenizers", "texts.json", NULL));
    (void)state;
    for (size_t i = 0; i < NUM_NAMES; i++) {
        vt_tokenizer *tok = open_golden(names[i]);
        check_golden(tok, names[i], texts);
        vt_tokenizer_close(tok);
    }
    json_decref(texts);
}

/* ---- random texts ------------------------------------------------------------------------------
 */

static uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13; /* xorshift64 */
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static char *random_bytes(uint64_t *state, size_t size) {
    char *bytes = malloc(size + 1);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(next_random(state) >> 32);
    return bytes;
}

/* Half ASCII, the rest from all planes that have characters. */
static char *random_utf8(uint64_t *state, size_t size) {
    vt_bytes out = {0};
    while (out.size < size) {
        uint64_t r = next_random(state) >> 16;
        static const int32_t limits[] = {0x80,   0x80,   0x80,    0x250,
                                         0x3000, 0xFFFF, 0x1FFFF, 0x10FFFF};
        int32_t c = (int32_t)((r >> 8) % (uint64_t)limits[r % 8]);
        if (c < 0xD800 || c > 0xDFFF)
            vt_bytes_append_char(&out, c);
    }
    size_t length;
    while (out.size > size) {
        vt_utf8_decode_last(out.data, out.size, &length);
        out.size -= length;
    }
    char *text = malloc(size + 1);
    memset(text, ' ', size);
    if (out.size > 0)
        memcpy(text, out.data, out.size);
    vt_bytes_free(&out);
    return text;
}

static void expect_round_trip(const vt_tokenizer *tok, const char *text, size_t size) {
    int64_t *ids;
    size_t count, length;
    char *back;
    vt_error err = {0};
    expect_ok(vt_tokenizer_encode(tok, text, size, false, &ids, &count, &err), &err);
    expect_ok(vt_tokenizer_decode(tok, ids, count, false, &back, &length, &err), &err);
    assert_int_equal(length, size);
    assert_memory_equal(back, text, size);
    assert_int_equal(back[length], 0);
    vt_ids_free(ids);
    vt_text_free(back);
}

static void test_round_trips(void **state) {
    static const char *const lossless[] = {"gpt2", "llama3", "mistral-tekken", "bloom"};
    uint64_t random = 11;
    (void)state;
    for (size_t i = 0; i < sizeof lossless / sizeof lossless[0]; i++) {
        vt_tokenizer *tok = open_golden(lossless[i]);
        for (size_t n = 0; n < 300; n++) {
            char *text = random_utf8(&random, n);
            expect_round_trip(tok, text, n);
            free(text);
        }
        vt_tokenizer_close(tok);
    }
}

static void test_plain_bytes(void **state) {
    vt_tokenizer *tok;
    vt_error err = {0};
    uint64_t random = 12;
    size_t size;
    (void)state;
    expect_ok(vt_tokenizer_bytes(&tok, &err), &err);
    char *bytes = random_bytes(&random, 70000);
    expect_round_trip(tok, bytes, 70000);
    expect_round_trip(tok, bytes, 0);
    free(bytes);
    assert_int_equal(vt_tokenizer_vocab_size(tok), 256);
    assert_int_equal(vt_tokenizer_id(tok, "\xFF", 1), 255);
    assert_int_equal(vt_tokenizer_id(tok, "ab", 2), -1);
    assert_string_equal(vt_tokenizer_token(tok, 0, &size), "");
    assert_int_equal(size, 1);
    assert_null(vt_tokenizer_token(tok, 256, NULL));

    int64_t *ids;
    size_t count;
    expect_ok(vt_tokenizer_encode(tok, "\0a\xE9", 3, true, &ids, &count, &err), &err);
    assert_int_equal(count, 3);
    assert_int_equal(ids[0], 0);
    assert_int_equal(ids[2], 0xE9);
    vt_ids_free(ids);
    vt_tokenizer_close(tok);
}

/* What one thread does with a tokenizer that it shares. cmocka's checks are for the main thread
 * only. */
typedef struct job {
    const vt_tokenizer *tok;
    const char *text;
    size_t size, count;
    int64_t *ids;
    vt_status status;
} job;

static void *run_job(void *context) {
    job *j = context;
    char *text;
    j->status = vt_tokenizer_encode(j->tok, j->text, j->size, true, &j->ids, &j->count, NULL);
    if (!j->status)
        j->status = vt_tokenizer_decode(j->tok, j->ids, j->count, true, &text, NULL, NULL);
    if (!j->status)
        vt_text_free(text);
    return NULL;
}

static void check_id_range(const vt_tokenizer *tok, const job *j) {
    for (size_t i = 0; i < j->count; i++)
        assert_non_null(vt_tokenizer_token(tok, j->ids[i], NULL));
}

/* Random bytes and random UTF-8 at once, in two threads. */
static void test_random_input(void **state) {
    uint64_t random = 13;
    char *bytes = random_bytes(&random, RANDOM_BYTES), *utf8 = random_utf8(&random, RANDOM_BYTES);
    (void)state;
    for (size_t i = 0; i < NUM_NAMES; i++) {
        vt_tokenizer *tok = open_golden(names[i]);
        job jobs[2] = {{.tok = tok, .text = bytes, .size = RANDOM_BYTES},
                       {.tok = tok, .text = utf8, .size = RANDOM_BYTES}};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, run_job, &jobs[0]), 0);
        run_job(&jobs[1]);
        pthread_join(thread, NULL);
        for (size_t k = 0; k < 2; k++) {
            assert_int_equal(jobs[k].status, VT_OK);
            check_id_range(tok, &jobs[k]);
            vt_ids_free(jobs[k].ids);
        }
        vt_tokenizer_close(tok);
    }
    free(bytes);
    free(utf8);
}

static void test_threads_agree(void **state) {
    enum { THREADS = 4, SIZE = 20000 };
    uint64_t random = 14;
    char *text = random_utf8(&random, SIZE);
    vt_tokenizer *tok = open_golden("qwen3");
    job jobs[THREADS];
    pthread_t threads[THREADS];
    (void)state;
    for (size_t i = 0; i < THREADS; i++) {
        jobs[i] = (job){.tok = tok, .text = text, .size = SIZE};
        assert_int_equal(pthread_create(&threads[i], NULL, run_job, &jobs[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(jobs[i].status, VT_OK);
        assert_int_equal(jobs[i].count, jobs[0].count);
        assert_memory_equal(jobs[i].ids, jobs[0].ids, jobs[0].count * sizeof(int64_t));
    }
    for (size_t i = 0; i < THREADS; i++)
        vt_ids_free(jobs[i].ids);
    vt_tokenizer_close(tok);
    free(text);
}

/* One word of the whole text, and one run of combining marks: quadratic code would take minutes. */
static void test_long_words(void **state) {
    static const char *const unsplit[] = {"llama2", "gpt2",         "clip",
                                          "t5",     "bert-uncased", "misc-lower"};
    char *text = malloc(RANDOM_BYTES);
    double start = seconds();
    (void)state;
    for (size_t i = 0; i < sizeof unsplit / sizeof unsplit[0]; i++) {
        vt_tokenizer *tok = open_golden(unsplit[i]);
        for (int kind = 0; kind < 3; kind++) {
            int64_t *ids;
            size_t count;
            vt_error err = {0};
            for (size_t k = 0; k + 4 <= RANDOM_BYTES; k += 4) /* a, spaces, U+0301 U+0323 */
                memcpy(text + k, kind == 0 ? "eeee" : kind == 1 ? "    " : "\xCC\x81\xCC\xA3", 4);
            expect_ok(vt_tokenizer_encode(tok, text, RANDOM_BYTES, true, &ids, &count, &err), &err);
            vt_ids_free(ids);
        }
        vt_tokenizer_close(tok);
    }
    assert_true(seconds() - start < 60);
    free(text);
}

/* ---- ill-formed UTF-8 --------------------------------------------------------------------------
 */

static void test_repair(void **state) {
    static const struct {
        const char *bytes, *expected; /* from Rust's String::from_utf8_lossy */
    } cases[] = {
        {"plain \xC3\xA9", "plain \xC3\xA9"},
        {"a\xFF"
         "b",
         "a\xEF\xBF\xBD"
         "b"},
        {"\xE2\x82", "\xEF\xBF\xBD"},
        {"\xF0\x9F\x92"
         "x",
         "\xEF\xBF\xBD"
         "x"},
        {"\xC0\xAF", "\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\xF4\x90\x80\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\xE0\x9F\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\xE2\x82\xE2\x82\xAC", "\xEF\xBF\xBD\xE2\x82\xAC"},
        {"\x80\xC3", "\xEF\xBF\xBD\xEF\xBF\xBD"},
    };
    vt_tokenizer *tok = open_golden("gpt2");
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t *ids;
        size_t count, size;
        char *text;
        vt_error err = {0};
        expect_ok(vt_tokenizer_encode(tok, cases[i].bytes, strlen(cases[i].bytes), false, &ids,
                                      &count, &err),
                  &err);
        expect_ok(vt_tokenizer_decode(tok, ids, count, false, &text, &size, &err), &err);
        assert_string_equal(text, cases[i].expected);
        vt_ids_free(ids);
        vt_text_free(text);
    }
    vt_tokenizer_close(tok);
}

/* ---- SentencePiece's character map -------------------------------------------------------------
 */

/* Short graphemes are replaced as a whole, by what their shortest beginning becomes. */
static void test_charsmap(void **state) {
    static const struct {
        const char *text, *expected; /* from the reference's Precompiled */
    } cases[] = {
        {"a\r\nb", "a b"},
        {"\xEF\xBC\xA1\xCC\x81x", "Ax"}, /* U+FF21 U+0301 */
        {"e\xCC\x81", "\xC3\xA9"},
        {"\xEF\xBD\xB6\xEF\xBE\x9E", "\xE3\x82\xAB\xE3\x82\x99"}, /* U+FF76 U+FF9E: six bytes */
    };
    json_t *root = load_json(data_path("tokenizers", "xlm-roberta.json", NULL));
    const json_t *normalizer = json_object_get(root, "normalizer");
    const char *base64 = json_string_value(json_object_get(normalizer, "precompiled_charsmap"));
    vt_charsmap *map;
    vt_error err = {0};
    (void)state;
    expect_ok(vt_charsmap_create(&map, base64, "test", &err), &err);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        vt_bytes out = {0};
        vt_charsmap_apply(&out, map, cases[i].text, strlen(cases[i].text));
        vt_bytes_append(&out, "", 1);
        assert_string_equal(out.data, cases[i].expected);
        vt_bytes_free(&out);
    }
    vt_charsmap_destroy(map);
    json_decref(root);
}

/* A map of 256 units, in which 'a' leads to `unit` and unit 98 is `value`, and the replacement "x".
 */
static vt_charsmap *crafted_map(uint32_t root, uint32_t unit, uint32_t value) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned char blob[4 + 4 * 256 + 2] = {0, 4}; /* the trie has 1024 bytes */
    const uint32_t units[][2] = {{0, root}, {'a', unit}, {'b', value}};
    char base64[2048] = "";
    vt_charsmap *map;
    vt_error err = {0};
    for (size_t i = 0; i < 3; i++)
        for (size_t k = 0; k < 4; k++)
            blob[4 + 4 * units[i][0] + k] = (unsigned char)(units[i][1] >> 8 * k);
    blob[4 + 4 * 256] = 'x';
    for (size_t bit = 0; bit + 6 <= 8 * sizeof blob; bit += 6) {
        unsigned two =
            (unsigned)blob[bit / 8] << 8 | (bit / 8 + 1 < sizeof blob ? blob[bit / 8 + 1] : 0);
        base64[bit / 6] = digits[two >> (10 - bit % 8) & 63];
    }
    expect_ok(vt_charsmap_create(&map, base64, "test", &err), &err);
    return map;
}

/* Units that point out of the trie, or out of the replacements, replace nothing. */
static void test_hostile_charsmap(void **state) {
    enum { LEAF = 1 << 8, TO_B = 3 << 10 };
    static const struct {
        uint32_t root, unit, value;
        const char *expected;
    } cases[] = {
        {0, 'a' | LEAF | TO_B, 1u << 31, "xc"},
        {0, 'a' | LEAF | TO_B, 1u << 31 | 1000, "ac"},
        {0, 'a' | LEAF | TO_B, ~0u, "ac"},
        {0, 'a' | LEAF | 0x7FFFFC00u, 1u << 31, "ac"},
        {0xFFFFFC00u, 'a' | LEAF | TO_B, 1u << 31, "ac"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        vt_charsmap *map = crafted_map(cases[i].root, cases[i].unit, cases[i].value);
        vt_bytes out = {0};
        vt_charsmap_apply(&out, map, "ac", 2);
        vt_bytes_append(&out, "", 1);
        assert_string_equal(out.data, cases[i].expected);
        vt_bytes_free(&out);
        vt_charsmap_destroy(map);
    }
}

/* ---- the rest of the calls ---------------------------------------------------------------------
 */

static void test_vocabulary(void **state) {
    vt_tokenizer *tok = open_golden("bert-uncased");
    size_t size;
    (void)state;
    assert_int_equal(vt_tokenizer_id(tok, "[CLS]", 5), 2);
    assert_string_equal(vt_tokenizer_token(tok, 2, &size), "[CLS]");
    assert_int_equal(size, 5);
    assert_int_equal(vt_tokenizer_id(tok, "[CLS", 4), -1);
    assert_null(vt_tokenizer_token(tok, -1, NULL));
    assert_null(vt_tokenizer_token(tok, (int64_t)1 << 40, NULL));
    size_t count = vt_tokenizer_vocab_size(tok);
    assert_null(vt_tokenizer_token(tok, (int64_t)count, NULL));
    for (size_t id = 0; id < count; id++) {
        const char *token = vt_tokenizer_token(tok, (int64_t)id, &size);
        assert_non_null(token);
        assert_int_equal(vt_tokenizer_id(tok, token, size), id);
    }
    vt_tokenizer_close(tok);

    tok = open_golden("modernbert"); /* its special tokens come after the model's vocabulary */
    int64_t cls = vt_tokenizer_id(tok, "[CLS]", 5);
    assert_int_equal(vt_tokenizer_vocab_size(tok), vt_tokenizer_id(tok, "[MASK]", 6) + 1);
    const int64_t ids[] = {cls, -5, 99999999, cls};
    char *text;
    vt_error err = {0};
    expect_ok(vt_tokenizer_decode(tok, ids, 4, false, &text, NULL, &err), &err);
    assert_string_equal(text, "[CLS][CLS]"); /* unknown ids are left out */
    vt_text_free(text);
    vt_tokenizer_close(tok);
}

static void expect_encoded(const vt_tokenizer *tok, const vt_token_lengths *lengths, bool special,
                           const int64_t *expected, size_t expected_count) {
    int64_t *ids;
    size_t count;
    vt_error err = {0};
    expect_ok(vt_tokenizer_encode_to(tok, "abcde", 5, special, lengths, &ids, &count, &err), &err);
    assert_int_equal(count, expected_count);
    assert_memory_equal(ids, expected, count * sizeof *ids);
    vt_ids_free(ids);
}

/* A directory or file with the given tokenizer.json, removed again at once. */
static vt_status open_text(vt_tokenizer **out, const char *json, size_t size, vt_error *err) {
    char path[] = "/tmp/vitrine-tokenizer-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, json, size), size);
    close(file);
    vt_status status = vt_tokenizer_open(out, path, err);
    unlink(path);
    return status;
}

#define LETTERS "\"a\":0,\"b\":1,\"c\":2,\"d\":3,\"e\":4,\"<s>\":5,\"</s>\":6"
#define MODEL "\"model\":{\"type\":\"BPE\",\"vocab\":{" LETTERS "},\"merges\":[]}"

static void test_lengths(void **state) {
    static const char json[] =
        "{" MODEL ",\"post_processor\":{\"type\":\"BertProcessing\",\"cls\":[\"<s>\",5],"
        "\"sep\":[\"</s>\",6]},\"truncation\":{\"max_length\":4,\"strategy\":\"LongestFirst\","
        "\"stride\":0,\"direction\":\"Left\"},\"padding\":{\"strategy\":{\"Fixed\":6},"
        "\"direction\":\"Left\",\"pad_id\":9,\"pad_type_id\":0,\"pad_token\":\"x\","
        "\"pad_to_multiple_of\":4}}";
    vt_tokenizer *tok;
    vt_error err = {0};
    vt_token_lengths lengths;
    (void)state;
    expect_ok(open_text(&tok, json, sizeof json - 1, &err), &err);
    vt_tokenizer_lengths(tok, &lengths);
    assert_int_equal(lengths.max_length, 4);
    assert_int_equal(lengths.pad_length, 6);
    assert_int_equal(lengths.pad_multiple, 4);
    assert_int_equal(lengths.pad_id, 9);
    assert_true(lengths.truncate_left && lengths.pad_left);
    expect_encoded(tok, &lengths, true, (int64_t[]){9, 9, 9, 9, 5, 3, 4, 6}, 8);
    expect_encoded(tok, &lengths, false, (int64_t[]){9, 9, 9, 9, 1, 2, 3, 4}, 8);
    lengths = (vt_token_lengths){.max_length = 3, .pad_length = 5, .pad_id = 7};
    expect_encoded(tok, &lengths, true, (int64_t[]){5, 0, 6, 7, 7}, 5);
    lengths = (vt_token_lengths){.max_length = 1};
    expect_encoded(tok, &lengths, true, (int64_t[]){5, 6}, 2);
    lengths = (vt_token_lengths){.pad_multiple = 4};
    expect_encoded(tok, &lengths, false, (int64_t[]){0, 1, 2, 3, 4, 0, 0, 0}, 8);
    lengths = (vt_token_lengths){0};
    expect_encoded(tok, &lengths, false, (int64_t[]){0, 1, 2, 3, 4}, 5);
    vt_tokenizer_close(tok);
}

/* Several tokens on each side, one of two ids, and a step around another. */
static void test_template(void **state) {
    static const char json[] =
        "{" MODEL ",\"post_processor\":{\"type\":\"Sequence\",\"processors\":["
        "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"x\"}},"
        "{\"SpecialToken\":{\"id\":\"y\"}},{\"Sequence\":{\"id\":\"A\"}},{\"SpecialToken\":"
        "{\"id\":\"x\"}},{\"SpecialToken\":{\"id\":\"y\"}}],\"special_tokens\":{\"x\":"
        "{\"ids\":[11,12]},\"y\":{\"ids\":[13]}}},"
        "{\"type\":\"RobertaProcessing\",\"cls\":[\"<s>\",5],\"sep\":[\"</s>\",6]}]}}";
    static const int64_t expected[] = {5, 11, 12, 13, 0, 1, 2, 3, 4, 11, 12, 13, 6};
    const vt_token_lengths lengths = {0};
    vt_tokenizer *tok;
    vt_error err = {0};
    (void)state;
    expect_ok(open_text(&tok, json, sizeof json - 1, &err), &err);
    expect_encoded(tok, &lengths, true, expected, sizeof expected / sizeof expected[0]);
    expect_encoded(tok, &lengths, false, expected + 4, 5);
    vt_tokenizer_close(tok);
}

static void test_open_directory(void **state) {
    char dir[] = "/tmp/vitrine-tokenizer-XXXXXX", path[64];
    vt_tokenizer *tok;
    vt_error err = {0};
    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(vt_tokenizer_open(&tok, dir, &err), VT_ERR_MISSING);
    assert_non_null(strstr(err.message, "tokenizer.json"));
    assert_null(tok);
    snprintf(path, sizeof path, "%s/tokenizer.json", dir);
    FILE *file = fopen(path, "w");
    fputs("{" MODEL "}", file);
    fclose(file);
    expect_ok(vt_tokenizer_open(&tok, dir, &err), &err);
    vt_tokenizer_close(tok);
    unlink(path);
    rmdir(dir);
}

/* ---- expressions -------------------------------------------------------------------------------
 */

static void test_translation(void **state) {
    static const struct {
        const char *from, *to; /* `to` NULL: refused */
    } cases[] = {
        {"\\s+(?!\\S)", "[\\p{Z}\\t-\\r\\x{85}]+(?![^\\p{Z}\\t-\\r\\x{85}])"},
        {"[^\\s\\p{L}]", "[^\\p{Z}\\t-\\r\\x{85}\\p{L}]"},
        {" ?[^(\\s|[.,]।)]+", " ?[^(\\p{Z}\\t-\\r\\x{85}|.,।)]+"},
        {"[[:alpha:]a]", "[[:alpha:]a]"},
        {"[]a]", "[\\]a]"},
        {"[\\]\\[]", "[\\]\\[]"},
        {"\\h\\v\\u00E9", "[0-9a-fA-F]\\x{B}\\x{00E9}"},
        {"(?mi:.)(?i)(?=a)", "(?si:.)(?i)(?=a)"},
        {"[a&&b]", NULL},
        {"[a[^b]]", NULL},
        {"[a\\S]", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        vt_bytes out = {0};
        const char *reason;
        vt_regex_translate(&out, cases[i].from, &reason);
        if (cases[i].to) {
            assert_null(reason);
            assert_string_equal(out.data, cases[i].to);
        } else {
            assert_non_null(reason);
        }
        vt_bytes_free(&out);
    }
}

static size_t count_matches(const char *pattern, const char *text) {
    vt_regex *regex;
    vt_matcher *matcher;
    vt_error err = {0};
    size_t count = 0, begin, end;
    bool found = true;
    expect_ok(vt_regex_create(&regex, pattern, "test", &err), &err);
    expect_ok(vt_matcher_create(&matcher, regex, &err), &err);
    vt_matcher_start(matcher, text, strlen(text));
    while (!vt_matcher_next(matcher, &found, &begin, &end, NULL) && found)
        count++;
    vt_matcher_destroy(matcher);
    vt_regex_destroy(regex);
    return count;
}

/* Where Oniguruma and PCRE2 would part. */
static void test_matching(void **state) {
    (void)state;
    assert_int_equal(count_matches("\\s", "\xE1\xA0\x8E"), 0); /* U+180E is no space */
    assert_int_equal(count_matches("\\s", "\xC2\x85\x0B "), 3);
    assert_int_equal(count_matches("\\w", "\xCC\x81_\xC2\xB2"), 3); /* a mark, _, superscript 2 */
    assert_int_equal(count_matches("[\\w]", "\xC2\xB2"), 0);        /* as Oniguruma has it */
    assert_int_equal(count_matches("^a$", "a\na"), 2);              /* always by lines */
    assert_int_equal(count_matches("a.b", "a\nb"), 0);
    assert_int_equal(count_matches("(?m)a.b", "a\nb"), 1);
    assert_int_equal(count_matches("", "\xC3\xA9"
                                       "a"),
                     3);                             /* not inside a character */
    assert_int_equal(count_matches("x*", "axb"), 3); /* none that touches the one before */
}

/* ---- hostile files -----------------------------------------------------------------------------
 */

static void expect_refused(const char *json, vt_status status, const char *part) {
    vt_tokenizer *tok;
    vt_error err = {0};
    vt_status found = open_text(&tok, json, strlen(json), &err);
    if (found != status || !strstr(err.message, part) || strchr(err.message, '\n')) {
        print_error("%s\nexpected status %d with \"%s\", found %d: %s\n", json, status, part, found,
                    err.message);
        fail();
    }
    assert_non_null(strstr(err.message, "/tmp/vitrine-tokenizer-"));
    assert_null(tok);
}

#define WITH(part) "{" MODEL "," part "}"
#define BPE(vocab, merges)                                                                         \
    "{\"model\":{\"type\":\"BPE\",\"vocab\":{" vocab "},\"merges\":[" merges "]}}"
#define NESTED "{\"type\":\"Sequence\",\"normalizers\":["
#define ADDED(fields) WITH("\"added_tokens\":[{" fields "}]")

static void test_refused(void **state) {
    (void)state;
    expect_refused("", VT_ERR_FORMAT, "line");
    expect_refused("[]", VT_ERR_FORMAT, "expected an object");
    expect_refused("{}", VT_ERR_MISSING, "model");
    expect_refused("{\"version\":\"2.0\"," MODEL "}", VT_ERR_UNSUPPORTED, "version \"2.0\"");
    expect_refused("{\"model\":{\"type\":\"WordLevel\"}}", VT_ERR_UNSUPPORTED,
                   "model \"WordLevel\"");
    expect_refused("{\"model\":{\"vocab\":{}}}", VT_ERR_UNSUPPORTED, "(no type)");
    expect_refused(BPE("\"a\":0,\"b\":0", ""), VT_ERR_FORMAT, "id 0 is taken");
    expect_refused(BPE("\"a\":-1", ""), VT_ERR_FORMAT, "id -1 is out of range");
    expect_refused(BPE("\"a\":4294967296", ""), VT_ERR_LIMIT, "out of range");
    expect_refused(BPE("\"a\":\"0\"", ""), VT_ERR_FORMAT, "expected an id");
    expect_refused(BPE("\"a\":0", "\"a b\""), VT_ERR_FORMAT,
                   "merges[0]: \"b\" is not in the vocabulary");
    expect_refused(BPE("\"a\":0,\"b\":1", "\"a b\""), VT_ERR_FORMAT,
                   "\"ab\" is not in the vocabulary");
    expect_refused(BPE("\"a\":0", "\"a\""), VT_ERR_FORMAT, "merges[0]: expected two tokens");
    expect_refused(BPE("\"a\":0", "[\"a\"]"), VT_ERR_FORMAT, "merges[0]: expected two tokens");
    expect_refused(BPE("\"a\":0", "7"), VT_ERR_FORMAT, "merges[0]: expected two tokens");
    expect_refused("{\"model\":{\"type\":\"WordPiece\",\"vocab\":{\"a\":0}}}", VT_ERR_MISSING,
                   "[UNK]");
    expect_refused("{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",0]],\"unk_id\":1}}",
                   VT_ERR_FORMAT, "unk_id");
    expect_refused("{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\"]]}}", VT_ERR_FORMAT,
                   "vocab[0]");
    expect_refused(ADDED("\"id\":9"), VT_ERR_MISSING, "content");
    expect_refused(ADDED("\"content\":\"x\""), VT_ERR_MISSING, "\"id\"");
    expect_refused(ADDED("\"content\":\"x\",\"id\":99999999"), VT_ERR_LIMIT, "out of range");
    expect_refused(ADDED("\"content\":\"x\",\"id\":1"), VT_ERR_FORMAT, "id 1 is \"b\"");
    expect_refused(ADDED("\"content\":\"a\",\"id\":9"), VT_ERR_FORMAT, "but 0 in the vocabulary");
    expect_refused(ADDED("\"content\":\"x\",\"id\":9},{\"content\":\"y\",\"id\":9"), VT_ERR_FORMAT,
                   "taken by \"x\"");
    expect_refused(ADDED("\"content\":\"x\",\"id\":9},{\"content\":\"x\",\"id\":8"), VT_ERR_FORMAT,
                   "twice");
    expect_refused(WITH("\"normalizer\":{\"type\":\"Rot13\"}"), VT_ERR_UNSUPPORTED,
                   "normalizer \"Rot13\"");
    expect_refused(WITH("\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"*\"}"),
                   VT_ERR_FORMAT, "base64");
    expect_refused(
        WITH("\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"/////w==\"}"),
        VT_ERR_FORMAT, "trie");
    expect_refused(
        WITH(
            "\"normalizer\":{\"type\":\"Replace\",\"content\":\"\",\"pattern\":{\"Regex\":\"(\"}}"),
        VT_ERR_FORMAT, "does not compile");
    expect_refused(WITH("\"normalizer\":{\"type\":\"Replace\",\"content\":\"\",\"pattern\":{"
                        "\"Regex\":\"[a&&b]\"}}"),
                   VT_ERR_UNSUPPORTED, "intersection");
    expect_refused(WITH("\"normalizer\":{\"type\":\"Sequence\"}"), VT_ERR_FORMAT, "normalizers");
    expect_refused(
        WITH("\"normalizer\":" NESTED NESTED NESTED NESTED NESTED NESTED NESTED NESTED NESTED
             "{\"type\":\"NFC\"}]}]}]}]}]}]}]}]}]}"),
        VT_ERR_LIMIT, "nested too deep");
    expect_refused(WITH("\"pre_tokenizer\":{\"type\":\"UnicodeScripts\"}"), VT_ERR_UNSUPPORTED,
                   "UnicodeScripts");
    expect_refused(WITH("\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{}]}"),
                   VT_ERR_MISSING, "pre_tokenizer.pretokenizers[0]: \"type\"");
    expect_refused(WITH("\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"ab\"}"),
                   VT_ERR_FORMAT, "one character");
    expect_refused(WITH("\"pre_tokenizer\":{\"type\":\"FixedLength\",\"length\":0}"), VT_ERR_FORMAT,
                   "length");
    expect_refused(
        WITH("\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":"
             "{\"id\":\"x\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],"
             "\"special_tokens\":{}}"),
        VT_ERR_MISSING, "special_tokens");
    expect_refused(WITH("\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[]}"),
                   VT_ERR_UNSUPPORTED, "one sequence");
    expect_refused(WITH("\"decoder\":{\"type\":\"CTC\"}"), VT_ERR_UNSUPPORTED, "decoder \"CTC\"");
    expect_refused(WITH("\"truncation\":7"), VT_ERR_FORMAT, "truncation");
    expect_refused(WITH("\"padding\":{\"strategy\":{\"Fixed\":999999999}}"), VT_ERR_LIMIT,
                   "padding");
}

/* An expression that backtracks without end is an error, soon. */
static void test_catastrophic_regex(void **state) {
    static const char json[] = WITH("\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":"
                                    "\"(a|aa)+$\"},\"behavior\":\"Isolated\",\"invert\":false}");
    vt_tokenizer *tok;
    vt_error err = {0};
    int64_t *ids;
    size_t count;
    char text[5000];
    (void)state;
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = 'b';
    expect_ok(open_text(&tok, json, sizeof json - 1, &err), &err);
    double start = seconds();
    assert_int_equal(vt_tokenizer_encode(tok, text, sizeof text, true, &ids, &count, &err),
                     VT_ERR_LIMIT);
    assert_non_null(strstr(err.message, "pre_tokenizer: the regular expression backtracks"));
    assert_true(seconds() - start < 10);
    assert_null(ids);
    vt_tokenizer_close(tok);
}

static char *read_golden(const char *name, size_t *size) {
    FILE *file = fopen(data_path("tokenizers", name, NULL), "rb");
    assert_non_null(file);
    char *text = malloc(1 << 20);
    *size = fread(text, 1, 1 << 20, file);
    fclose(file);
    return text;
}

static void test_cut_files(void **state) {
    static const char *const files[] = {"llama3.json", "bert-uncased.json", "misc-lower.json"};
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        size_t size;
        char *text = read_golden(files[i], &size);
        for (size_t cut = 0; cut + 2 < size; cut += 1 + cut / 40) {
            vt_tokenizer *tok;
            vt_error err = {0};
            assert_int_equal(open_text(&tok, text, cut, &err), VT_ERR_FORMAT);
            assert_null(tok);
        }
        free(text);
    }
}

/* Opens a changed file; when that is taken, it must still work, whatever it gives. */
static void try_changed(const json_t *root) {
    vt_tokenizer *tok;
    vt_error err = {0};
    char *text = json_dumps(root, JSON_COMPACT);
    vt_status status = open_text(&tok, text, strlen(text), &err);
    free(text);
    if (status) {
        assert_true(err.message[0] != '\0' && err.code == status);
        return;
    }
    static const char sample[] =
        " Hello  \xC3\xA9\xE4\xB8\xAD\xF0\x9F\x90\xB1 [CLS]12 don't\n</s> the  Day";
    int64_t *ids;
    size_t count;
    if (vt_tokenizer_encode(tok, sample, sizeof sample - 1, true, &ids, &count, &err) == VT_OK) {
        expect_ok(vt_tokenizer_decode(tok, ids, count, true, &text, NULL, &err), &err);
        vt_text_free(text);
        vt_ids_free(ids);
    }
    vt_tokenizer_close(tok);
}

/* Puts other values in the place of each value in `node`, one at a time. Of long lists only the
 * beginning. */
static size_t change_each(const json_t *root, json_t *node) {
    static const char *const others[] = {"null", "-1", "0.5",  "\"x\"",
                                         "[]",   "{}", "true", "1000000000000"};
    size_t tried = 0, index;
    const char *key;
    json_t *value;
    void *next;
    json_object_foreach_safe(node, next, key, value) {
        if (++tried > 40)
            break;
        json_incref(value);
        for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
            json_object_set_new(node, key, json_loads(others[i], JSON_DECODE_ANY, NULL));
            try_changed(root);
        }
        json_object_set_new(node, key, value);
        tried += change_each(root, value);
    }
    json_array_foreach(node, index, value) {
        if (index >= 3)
            break;
        json_incref(value);
        for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
            json_array_set_new(node, index, json_loads(others[i], JSON_DECODE_ANY, NULL));
            try_changed(root);
        }
        json_array_set_new(node, index, value);
        tried += change_each(root, value);
    }
    return tried;
}

static void test_changed_files(void **state) {
    static const char *const files[] = {
        "clip.json",        "llama2.json",          "misc-lower.json",
        "misc-splits.json", "misc-whitespace.json", "unigram-bytes.json",
        "bert-uncased.json"};
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        json_t *root = load_json(data_path("tokenizers", files[i], NULL));
        assert_true(change_each(root, root) > 20);
        json_decref(root);
    }
}

/* The character map is binary, and its offsets may point anywhere. */
static void test_changed_charsmap(void **state) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    json_t *root = load_json(data_path("tokenizers", "xlm-roberta.json", NULL));
    json_t *normalizer = json_object_get(root, "normalizer");
    const char *map = json_string_value(json_object_get(normalizer, "precompiled_charsmap"));
    char *changed = strdup(map);
    size_t size = strlen(map);
    uint64_t random = 15;
    (void)state;
    json_object_del(json_object_get(root, "model"), "vocab"); /* small, to be quick */
    json_object_set_new(json_object_get(root, "model"), "vocab",
                        json_loads("[[\"a\",0],[\"b\",0],[\"c\",0],[\"<unk>\",0]]", 0, NULL));
    json_object_del(root, "added_tokens");
    for (int round = 0; round < 8; round++) {
        for (int n = 0; n < 3000; n++) /* the size, and the replacements' end, stay */
            changed[8 + next_random(&random) % (size / 2)] = digits[next_random(&random) % 64];
        json_object_set_new(normalizer, "precompiled_charsmap", json_string(changed));
        try_changed(root);
    }
    free(changed);
    json_decref(root);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goldens),
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_plain_bytes),
        cmocka_unit_test(test_random_input),
        cmocka_unit_test(test_threads_agree),
        cmocka_unit_test(test_long_words),
        cmocka_unit_test(test_repair),
        cmocka_unit_test(test_vocabulary),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_template),
        cmocka_unit_test(test_charsmap),
        cmocka_unit_test(test_hostile_charsmap),
        cmocka_unit_test(test_open_directory),
        cmocka_unit_test(test_translation),
        cmocka_unit_test(test_matching),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_catastrophic_regex),
        cmocka_unit_test(test_cut_files),
        cmocka_unit_test(test_changed_files),
        cmocka_unit_test(test_changed_charsmap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
