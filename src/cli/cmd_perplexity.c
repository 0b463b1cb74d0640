/* SPDX-License-Identifier: MIT
 *
 * vitrine perplexity: how well a language model predicts a text, at several lengths of context and
 * with several ways to stretch its positions.
 *
 * The text is cut into windows of the context's length that do not overlap; every token of a window
 * but its first is predicted from those before it.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "json.h"
#include "model.h"
#include "outfile.h"
#include "progress.h"
#include "text.h"
#include "tokens.h"

enum { MAX_CONTEXTS = 32, CHUNK = 256 };

/* One cell of the table: a context length with a scaling. */
typedef struct cell {
    size_t context, tokens; /* predicted */
    double bits;            /* their total cost */
    bool possible;          /* false: the model has fewer positions */
    double *by_position;    /* [context], of position 1 and on: total bits */
    size_t *predicted;      /* [context] */
} cell;

typedef struct work {
    const settings *settings;
    const int64_t *ids;
    size_t num_ids, num_bytes;
    size_t contexts[MAX_CONTEXTS], num_contexts;
    bool is_bytes;
    progress progress;
    size_t done, total; /* tokens */
} work;

/* -log2 of the softmax's entry for `target`. */
static double cost_in_bits(const float *logits, size_t n, size_t target) {
    double max = (double)logits[0], sum = 0;
    for (size_t i = 1; i < n; i++)
        max = fmax(max, (double)logits[i]);
    for (size_t i = 0; i < n; i++)
        sum += exp((double)logits[i] - max);
    return (max + log(sum) - (double)logits[target]) / log(2.0);
}

/* Adds the cost of ids[1..count) of one window, each predicted from those before it. */
static vt_status add_window(work *w, cell *c, vt_session *session, const int64_t *ids, size_t count,
                            size_t vocab_size, vt_error *err) {
    vt_session_reset(session);
    for (size_t first = 0; first + 1 < count; first += CHUNK) {
        size_t tokens = count - 1 - first < CHUNK ? count - 1 - first : CHUNK;
        vt_status status = vt_session_step(session, ids + first, tokens, err);
        if (status)
            return status;
        const float *logits = vt_session_text_logits(session);
        for (size_t i = 0; i < tokens; i++) {
            size_t position = first + i + 1;
            double bits = cost_in_bits(logits + i * vocab_size, vocab_size, (size_t)ids[position]);
            c->bits += bits;
            c->by_position[position] += bits;
            c->predicted[position]++;
            c->tokens++;
        }
        progress_show(&w->progress, w->done += tokens);
    }
    return VT_OK;
}

static int measure_context(work *w, cell *c, const vt_model *model) {
    vt_error err = {0};
    vt_session *session = NULL;
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    size_t vocab_size = vt_model_vocab_size(model);
    options.num_threads = w->settings->threads;
    options.text_tokens = CHUNK;
    options.cache_tokens = options.rope_length = c->context;
    vt_status status = vt_session_create(&session, model, &options, &err);
    c->possible = true;
    for (size_t at = 0; !status && at + c->context <= w->num_ids; at += c->context)
        status = add_window(w, c, session, w->ids + at, c->context, vocab_size, &err);
    vt_session_destroy(session);
    if (status == VT_ERR_LIMIT) { /* a learned table ends: that is a result, not a failure */
        c->possible = false;
        return EXIT_DONE;
    }
    return status ? model_failed(model, &err, perplexity_command.name) : EXIT_DONE;
}

/* ---- results -----------------------------------------------------------------------------------
 */

/* Bits per byte where a token is a byte, else perplexity per token. */
static double figure(const work *w, const cell *c) {
    double bits = c->bits / (double)c->tokens;
    return w->is_bytes ? bits : exp2(bits);
}

static const char *scaling_name(const work *w, size_t column) {
    return w->settings->rope_scalings.count ? w->settings->rope_scalings.items[column]
                                            : "as trained";
}

static void print_table(const work *w, const cell *cells, size_t columns) {
    printf("%s\n%10s", w->is_bytes ? "bits per byte" : "perplexity per token", "context");
    for (size_t column = 0; column < columns; column++)
        printf("  %12s", scaling_name(w, column));
    putchar('\n');
    for (size_t row = 0; row < w->num_contexts; row++) {
        printf("%10zu", w->contexts[row]);
        for (size_t column = 0; column < columns; column++) {
            const cell *c = &cells[column * w->num_contexts + row];
            if (c->possible && c->tokens)
                printf("  %12.4f", figure(w, c));
            else
                printf("  %12s", "-");
        }
        putchar('\n');
    }
}

static void print_csv(const work *w, const cell *cells, size_t columns) {
    printf("context,scaling,tokens,bits_per_token,perplexity\n");
    for (size_t i = 0; i < columns * w->num_contexts; i++) {
        const cell *c = &cells[i];
        printf("%zu,", c->context);
        text_csv_field(scaling_name(w, i / w->num_contexts));
        printf(",%zu,", c->tokens);
        if (c->possible && c->tokens)
            printf("%.6f,%.6f\n", c->bits / (double)c->tokens, exp2(c->bits / (double)c->tokens));
        else
            printf(",\n");
    }
}

static void print_json(const work *w, const cell *cells, size_t columns) {
    for (size_t i = 0; i < columns * w->num_contexts; i++) {
        const cell *c = &cells[i];
        double bits = c->possible && c->tokens ? c->bits / (double)c->tokens : NAN;
        json_print(json_pack("{s:I, s:o, s:I, s:o, s:o}", "context", (json_int_t)c->context,
                             "scaling", json_text(scaling_name(w, i / w->num_contexts)), "tokens",
                             (json_int_t)c->tokens, "bits_per_token", json_number(bits),
                             "perplexity", json_number(exp2(bits))));
    }
}

/* context,scaling,position,bits: what a user sees as "it forgets the beginning". */
static int write_by_position(const work *w, const cell *cells, size_t columns, const char *path) {
    outfile out;
    if (!outfile_open(&out, path))
        return EXIT_SOME_FAILED;
    fprintf(out.stream, "context,scaling,position,bits\n");
    for (size_t i = 0; i < columns * w->num_contexts; i++) {
        const cell *c = &cells[i];
        for (size_t p = 1; c->possible && p < c->context; p++)
            if (c->predicted[p])
                fprintf(out.stream, "%zu,%s,%zu,%.6f\n", c->context,
                        scaling_name(w, i / w->num_contexts), p,
                        c->by_position[p] / (double)c->predicted[p]);
    }
    return outfile_close(&out, true) ? EXIT_DONE : EXIT_SOME_FAILED;
}

static const char *const formats[] = {"text", "csv", "json", NULL};
static const char *format_name(size_t index) {
    return formats[index];
}

static int print_results(const work *w, const cell *cells, size_t columns) {
    static void (*const printers[])(const work *, const cell *, size_t) = {print_table, print_csv,
                                                                           print_json};
    printers[w->settings->format](w, cells, columns);
    int code = EXIT_DONE;
    if (w->settings->by_position)
        code = write_by_position(w, cells, columns, w->settings->by_position);
    return output_flush() ? code : EXIT_SOME_FAILED;
}

/* ---- the command -------------------------------------------------------------------------------
 */

static bool parse_contexts(work *w, const char *list) {
    for (const char *at = list; *at;) {
        char *end;
        unsigned long length = strtoul(at, &end, 10);
        if (end == at || length < 2 || length > 1 << 24 || (*end && *end != ',') ||
            w->num_contexts == MAX_CONTEXTS)
            return false;
        w->contexts[w->num_contexts++] = length;
        at = *end ? end + 1 : end;
    }
    return w->num_contexts > 0;
}

/* All lengths of one scaling: a model is opened for each. */
static int measure_column(work *w, cell *cells, const char *scaling) {
    settings s = *w->settings;
    vt_model *model = NULL;
    s.rope_scaling = scaling;
    int code = open_model(&model, &s, perplexity_command.name);
    for (size_t row = 0; row < w->num_contexts && code == EXIT_DONE; row++)
        code = measure_context(w, &cells[row], model);
    vt_model_close(model);
    return code;
}

static int measure_all(work *w) {
    size_t columns = w->settings->rope_scalings.count ? w->settings->rope_scalings.count : 1;
    size_t count = columns * w->num_contexts;
    cell *cells = allocate(count, sizeof *cells);
    for (size_t i = 0; i < count; i++) {
        size_t context = w->contexts[i % w->num_contexts];
        cells[i] = (cell){.context = context,
                          .by_position = allocate(context, sizeof(double)),
                          .predicted = allocate(context, sizeof(size_t))};
        w->total += w->num_ids / context * (context - 1);
    }
    progress_begin(&w->progress, w->total, w->settings->quiet);
    int code = EXIT_DONE;
    for (size_t column = 0; column < columns && code == EXIT_DONE; column++)
        code = measure_column(
            w, cells + column * w->num_contexts,
            w->settings->rope_scalings.count ? w->settings->rope_scalings.items[column] : NULL);
    progress_hide(&w->progress);
    if (code == EXIT_DONE)
        code = print_results(w, cells, columns);
    for (size_t i = 0; i < count; i++) {
        free(cells[i].by_position);
        free(cells[i].predicted);
    }
    free(cells);
    return code;
}

/* Ids of the text, with the model's own tokenizer. */
static int read_ids(work *w, int64_t **ids, const char *path) {
    vt_error err = {0};
    vt_model *model = NULL;
    vt_tokenizer *tokenizer = NULL;
    char *text = read_file(path, &w->num_bytes);
    if (!text)
        return EXIT_SOME_FAILED;
    int code = open_model(&model, w->settings, perplexity_command.name);
    if (code == EXIT_DONE && !vt_model_vocab_size(model))
        code = complain_usage(perplexity_command.name, "the model takes no text");
    if (code == EXIT_DONE)
        code = open_tokenizer(&tokenizer, model, &w->is_bytes);
    if (w->settings->max_bytes && w->num_bytes > w->settings->max_bytes)
        w->num_bytes = w->settings->max_bytes;
    if (code == EXIT_DONE &&
        vt_tokenizer_encode(tokenizer, text, w->num_bytes, false, ids, &w->num_ids, &err)) {
        complain(path, err.message);
        code = EXIT_SOME_FAILED;
    }
    vt_tokenizer_close(tokenizer);
    vt_model_close(model);
    free(text);
    return code;
}

static int run(const settings *s) {
    work w = {.settings = s};
    int64_t *ids = NULL;
    if (s->num_operands != 1)
        return complain_usage(perplexity_command.name, "expected one file of text, found %zu",
                              s->num_operands);
    if (!parse_contexts(&w, s->contexts))
        return complain_usage(
            perplexity_command.name,
            "--context: expected lengths of at least 2 tokens, such as 256,512, found '%s'",
            s->contexts);
    int code = read_ids(&w, &ids, s->operands[0]);
    w.ids = ids;
    if (code == EXIT_DONE)
        code = measure_all(&w);
    vt_ids_free(ids);
    return code;
}

static const option perplexity_rows[] = {
    {0, "context", "N,N,...", "lengths of context, in tokens", .initial = "256,512,1024,2048",
     .parse = parse_text, FIELD(contexts)},
    OPTION_ROPE_SCALINGS,
    {0, "max-bytes", "N", "read only so much of the text", .parse = parse_count, FIELD(max_bytes)},
    {0, "by-position", "FILE", "also write the mean cost at each position, as CSV",
     .parse = parse_text, FIELD(by_position)},
    {0, "format", "FORMAT", "one of", .initial = "text", .choice = format_name, FIELD(format)},
    OPTION_THREADS,
    {0},
};

static const option_group perplexity_options = {"Measurement", perplexity_rows};

const command perplexity_command = {
    .name = "perplexity",
    .topic = TOPIC_TEXTS,
    .summary = "measure how well a language model predicts a text",
    .operands = "FILE",
    .about = "Cuts the text into windows of each context length and prints what predicting it "
             "costs: bits "
             "per byte for a model of bytes, else perplexity per token. Windows do not overlap, "
             "and every "
             "token of a window but the first is predicted. With --rope-scaling the same is done "
             "for each "
             "way to stretch rotary positions beyond the length that the model was trained on.",
    .groups = (const option_group *const[]){&perplexity_options, &text_model_options,
                                            &general_options, NULL},
    .examples = "  vitrine perplexity -m weights/positions/rope weights/positions/heldout.txt\n"
                "  vitrine perplexity -m MODEL --context 256,4096 --rope-scaling none \\\n"
                "      --rope-scaling yarn:16 --by-position loss.csv book.txt\n",
    .run = run,
};
