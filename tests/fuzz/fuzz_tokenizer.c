/* SPDX-License-Identifier: MIT
 *
 * A tokenizer.json and, after a NUL, a text for it. What is encoded is decoded again.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

static void round_trip(const vt_tokenizer *tokenizer, const char *text, size_t size, bool special) {
    vt_error err = {0};
    int64_t *ids;
    size_t count, length;
    char *back;
    if (!fuzz_ok(vt_tokenizer_encode(tokenizer, text, size, special, &ids, &count, &err), &err))
        return;
    for (int skip = 0; skip < 2; skip++) {
        if (!fuzz_ok(vt_tokenizer_decode(tokenizer, ids, count, skip, &back, &length, &err), &err))
            continue;
        fuzz_check(back[length] == '\0', "a NUL follows the text");
        fuzz_touch(back, length);
        vt_text_free(back);
    }
    vt_ids_free(ids);
}

/* Without special tokens and padding, every id is a token's. */
static void check_ids(const vt_tokenizer *tokenizer, const char *text, size_t size) {
    const vt_token_lengths all = {0};
    vt_error err = {0};
    int64_t *ids;
    size_t count;
    if (!fuzz_ok(vt_tokenizer_encode_to(tokenizer, text, size, false, &all, &ids, &count, &err),
                 &err))
        return;
    for (size_t i = 0; i < count; i++) {
        size_t length;
        const char *token = vt_tokenizer_token(tokenizer, ids[i], &length);
        fuzz_check(ids[i] >= 0 && (size_t)ids[i] < vt_tokenizer_vocab_size(tokenizer),
                   "an id is within the vocabulary");
        fuzz_check(token && token[length] == '\0', "an id has a token");
        fuzz_touch(token, length);
    }
    vt_ids_free(ids);
}

/* A file in memory is a link out of its directory. */
static void follow_links(void) {
    vt_limits limits = VT_LIMITS_INIT;
    limits.follow_links = true;
    fuzz_check(vt_set_limits(&limits, NULL) == VT_OK, "links are followed");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    vt_error err = {0};
    vt_tokenizer *tokenizer;
    fuzz_input input = {data, size};
    const fuzz_input json = fuzz_part(&input);
    follow_links();
    if (!fuzz_ok(vt_tokenizer_open(&tokenizer, fuzz_file(json.data, json.size), &err), &err))
        return 0;
    char *text = fuzz_copy(input.data, input.size, false);
    check_ids(tokenizer, text, input.size);
    round_trip(tokenizer, text, input.size, false);
    round_trip(tokenizer, text, input.size, true);
    free(text);
    vt_tokenizer_close(tokenizer);
    return 0;
}
