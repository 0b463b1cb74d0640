/* SPDX-License-Identifier: MIT
 *
 * vitrine generate: continues a text, token by token.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "model.h"
#include "text.h"
#include "tokens.h"

enum { PREFILL = 64 };

/* A small generator with one 64-bit word of state (splitmix64: Steele, Lea & Flood 2014), so that a
 * seed gives the same choices everywhere. */
static double next_random(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)((z ^ (z >> 31)) >> 11) / 9007199254740992.0;
}

static size_t most_likely(const float *logits, size_t n) {
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        best = logits[i] > logits[best] ? i : best;
    return best;
}

/* Draws from softmax(logits / temperature); temperature 0 takes the most likely. */
static size_t sample(const float *logits, size_t n, double temperature, uint64_t *state) {
    double max = (double)logits[most_likely(logits, n)], sum = 0;
    if (temperature <= 0)
        return most_likely(logits, n);
    for (size_t i = 0; i < n; i++)
        sum += exp(((double)logits[i] - max) / temperature);
    double left = next_random(state) * sum;
    for (size_t i = 0; i < n; i++) {
        left -= exp(((double)logits[i] - max) / temperature);
        if (left <= 0)
            return i;
    }
    return most_likely(logits, n);
}

/* ---- printing ----------------------------------------------------------------------------------
 */

/* The ids so far and how much of their text is printed: a token may hold half a character, which
 * waits for its other half. */
typedef struct transcript {
    const vt_tokenizer *tokenizer;
    int64_t *ids;
    size_t count, printed;
} transcript;

/* Bytes at the end of a text that are the replacement character: a character still to be completed.
 */
static size_t incomplete_tail(const char *text, size_t size) {
    static const char replacement[] = "\xef\xbf\xbd";
    size_t tail = 0;
    while (size - tail >= 3 && memcmp(text + size - tail - 3, replacement, 3) == 0)
        tail += 3;
    return tail;
}

/* As it is to a program; a terminal gets nothing that it would act on. */
static void print_text(const char *text, size_t size) {
    if (!isatty(STDOUT_FILENO)) {
        fwrite(text, 1, size, stdout);
        return;
    }
    char *copy = allocate(size + 1, 1);
    for (size_t i = 0; i < size; i++)
        copy[i] = text[i] ? text[i] : '?';
    char *clean = text_clean(copy, TEXT_LINES);
    fputs(clean, stdout);
    free(clean);
    free(copy);
}

static void print_new(transcript *t, bool all) {
    vt_error err = {0};
    char *text;
    size_t size;
    if (vt_tokenizer_decode(t->tokenizer, t->ids, t->count, true, &text, &size, &err))
        return;
    size_t ready = all ? size : size - incomplete_tail(text, size);
    if (ready > t->printed) {
        print_text(text + t->printed, ready - t->printed);
        t->printed = ready;
    }
    vt_text_free(text);
}

/* ---- the command -------------------------------------------------------------------------------
 */

/* Reads the prompt in chunks, then one token after another. */
static int continue_text(transcript *t, vt_session *session, const vt_model *model,
                         const settings *s) {
    vt_error err = {0};
    vt_status status = VT_OK;
    size_t n = vt_model_vocab_size(model), last = 0;
    uint64_t state = s->seed;
    for (size_t at = 0; at < t->count && !status; at += last) {
        last = t->count - at < PREFILL ? t->count - at : PREFILL;
        status = vt_session_step(session, t->ids + at, last, &err);
    }
    print_new(t, false);
    for (size_t i = 0; i < s->max_tokens && !status && output_flush(); i++) {
        const float *logits = vt_session_text_logits(session) + (last - 1) * n;
        size_t id = sample(logits, n, s->temperature, &state);
        t->ids[t->count++] = (int64_t)id;
        if ((int64_t)id == vt_model_eos_token(model))
            break;
        print_new(t, false);
        last = 1;
        if (i + 1 < s->max_tokens)
            status = vt_session_step(session, &t->ids[t->count - 1], 1, &err);
    }
    print_new(t, true);
    putchar('\n');
    if (status)
        return model_failed(model, &err, generate_command.name);
    return output_flush() ? EXIT_DONE : EXIT_SOME_FAILED;
}

static int generate(const vt_model *model, const vt_tokenizer *tokenizer, const settings *s) {
    vt_error err = {0};
    vt_session *session = NULL;
    int64_t *prompt = NULL;
    const char *text = s->operands[0];
    transcript t = {.tokenizer = tokenizer};
    if (vt_tokenizer_encode(tokenizer, text, strlen(text), true, &prompt, &t.count, &err)) {
        complain("the prompt", err.message);
        return EXIT_SOME_FAILED;
    }
    if (t.count == 0) {
        vt_ids_free(prompt);
        return complain_usage(generate_command.name, "the prompt is empty");
    }
    t.ids = allocate(t.count + s->max_tokens, sizeof *t.ids);
    memcpy(t.ids, prompt, t.count * sizeof *t.ids);
    vt_ids_free(prompt);
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    options.num_threads = s->threads;
    options.text_tokens = PREFILL;
    options.cache_tokens = t.count + s->max_tokens;
    int code;
    if (vt_session_create(&session, model, &options, &err))
        code = model_failed(model, &err, generate_command.name);
    else
        code = continue_text(&t, session, model, s);
    vt_session_destroy(session);
    free(t.ids);
    return code;
}

static int run(const settings *s) {
    vt_model *model = NULL;
    vt_tokenizer *tokenizer = NULL;
    bool is_bytes;
    if (s->num_operands != 1)
        return complain_usage(generate_command.name, "expected one prompt, found %zu (quote it)",
                              s->num_operands);
    int code = open_model(&model, s, generate_command.name);
    if (code == EXIT_DONE && !vt_model_vocab_size(model))
        code = complain_usage(generate_command.name, "the model takes no text");
    if (code == EXIT_DONE)
        code = open_tokenizer(&tokenizer, model, &is_bytes);
    if (code == EXIT_DONE)
        code = generate(model, tokenizer, s);
    vt_tokenizer_close(tokenizer);
    vt_model_close(model);
    return code;
}

static const option generate_rows[] = {
    {'n', "max-tokens", "N", "tokens to add at most", .initial = "200", .parse = parse_count,
     FIELD(max_tokens)},
    {0, "temperature", "T", "how freely to choose: 0 always takes the most likely token",
     .initial = "0.8", .parse = parse_real, FIELD(temperature)},
    {0, "seed", "N", "the same seed gives the same text", .initial = "1", .parse = parse_count,
     FIELD(seed)},
    OPTION_ROPE_SCALING,
    OPTION_THREADS,
    {0},
};

static const option_group generate_options = {"Text", generate_rows};

const command generate_command = {
    .name = "generate",
    .topic = TOPIC_TEXTS,
    .summary = "continue a text",
    .operands = "PROMPT",
    .about =
        "Prints the prompt and what the language model adds to it, as it is made. A model with a "
        "sliding window goes on for ever in the same memory; another ends at --max-tokens.",
    .groups = (const option_group *const[]){&generate_options, &text_model_options,
                                            &general_options, NULL},
    .examples = "  vitrine generate -m weights/positions/rope-window 'In the beginning'\n"
                "  vitrine generate -m MODEL --temperature 0 -n 50 'The capital of France is'\n",
    .run = run,
};
