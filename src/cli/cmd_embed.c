/* SPDX-License-Identifier: MIT
 *
 * vitrine embed: pictures or texts as vectors.
 */
#include <stdlib.h>
#include <string.h>

#include "canvas.h"
#include "command.h"
#include "embed_pca.h"
#include "json.h"
#include "model.h"
#include "outfile.h"
#include "pictures.h"
#include "progress.h"
#include "tokens.h"
#include "vectors.h"

enum pool { POOL_MODEL, POOL_CLS, POOL_MEAN, POOL_MAP, POOL_TOKENS };
static const char *const pools[] = {"model", "cls", "mean", "map", "tokens", NULL};
static const char *pool_name(size_t index) {
    return pools[index];
}

static const char *const formats[] = {"npy", "json", NULL};
static const char *format_name(size_t index) {
    return formats[index];
}
enum { FORMAT_NPY, FORMAT_JSON };

/* Rows as they are made: kept for the .npy file, or printed at once as JSON lines. */
typedef struct output {
    const settings *settings;
    float *rows;
    size_t count, row_floats; /* rows are [row_tokens][width], or [width] when row_tokens is 0 */
    size_t row_tokens, width;
} output;

static const char result_key[] = "embedding";

/* `path` is a picture's, or NULL, and then `text` is what was embedded. */
static void print_row(const char *path, const char *text, const float *row, size_t n) {
    json_t *line = json_object(), *numbers = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(numbers, json_number((double)row[i]));
    if (path)
        json_set_path(line, path);
    else
        json_object_set_new(line, "text", json_text(text));
    json_object_set_new(line, result_key, numbers);
    json_print(line);
}

static void add_row(output *out, const char *path, const char *text, const float *row) {
    size_t n = out->row_floats;
    float *copy = allocate(n, sizeof *copy);
    memcpy(copy, row, n * sizeof *copy);
    for (size_t at = 0; out->settings->normalize && at < n; at += out->width)
        scale_to_unit(copy + at, out->width);
    if (out->settings->format == FORMAT_JSON) {
        print_row(path, text, copy, n);
    } else {
        out->rows = reallocate(out->rows, (out->count + 1) * n, sizeof *out->rows);
        memcpy(out->rows + out->count * n, copy, n * sizeof *copy);
    }
    out->count++;
    free(copy);
}

static int write_rows(const output *out) {
    const char *path = out->settings->output;
    vt_tensor tensor = {.name = "embeddings",
                        .dtype = VT_DTYPE_F32,
                        .data = out->rows,
                        .size = out->count * out->row_floats * sizeof(float)};
    if (out->settings->format == FORMAT_JSON)
        return output_flush() ? EXIT_DONE : EXIT_SOME_FAILED;
    tensor.shape[tensor.ndim++] = out->count;
    if (out->row_tokens)
        tensor.shape[tensor.ndim++] = out->row_tokens;
    tensor.shape[tensor.ndim++] = out->width;
    return outfile_write_npy(path, &tensor);
}

/* ---- pictures ----------------------------------------------------------------------------------
 */

typedef struct picture_work {
    output *out;
    vt_session *session;
    size_t num_prefix;
} picture_work;

/* The mean of the patch tokens, each weighing what it stands for (`sizes` may be NULL). */
static void mean_of_patches(float *out, const float *tokens, const float *sizes, size_t count,
                            size_t num_prefix, size_t width) {
    for (size_t i = 0; i < width; i++) {
        double sum = 0, weights = 0;
        for (size_t t = num_prefix; t < count; t++) {
            double weight = sizes ? (double)sizes[t] : 1;
            sum += weight * (double)tokens[t * width + i];
            weights += weight;
        }
        out[i] = (float)(sum / weights);
    }
}

static void on_picture(void *user, const picture *p, size_t row) {
    picture_work *w = user;
    const char *path = p->path;
    output *out = w->out;
    size_t tokens = vt_session_num_tokens(w->session), width = vt_session_pooled_width(w->session);
    const float *features = vt_session_features(w->session); /* NULL for pools that need none */
    const float *sizes = vt_session_token_sizes(w->session); /* NULL where none are merged */
    const float *embeds = vt_session_image_embeds(w->session);
    switch ((enum pool)out->settings->pool) {
    case POOL_MODEL:
        add_row(out, path, NULL,
                (embeds ? embeds : vt_session_pooled(w->session)) + row * out->width);
        break;
    case POOL_MAP:
        add_row(out, path, NULL, vt_session_pooled(w->session) + row * width);
        break;
    case POOL_CLS:
    case POOL_TOKENS:
        add_row(out, path, NULL, features + row * tokens * width);
        break;
    case POOL_MEAN: {
        float *mean = allocate(width, sizeof *mean);
        mean_of_patches(mean, features + row * tokens * width, sizes ? sizes + row * tokens : NULL,
                        tokens, w->num_prefix, width);
        add_row(out, path, NULL, mean);
        free(mean);
        break;
    }
    }
}

static void on_failure(void *user, const char *path, const char *reason) {
    const picture_work *w = user;
    if (w->out->settings->format == FORMAT_JSON)
        json_print_failure(path, reason);
}

static int check_pool(const vt_model_info *info, const settings *s) {
    if (s->pool == POOL_CLS && info->num_prefix_tokens == 0)
        return complain_usage(embed_command.name, "--pool=cls: the model has no class token");
    if (s->pool == POOL_MAP && strncmp(info->pooling, "attention", 9) != 0)
        return complain_usage(embed_command.name, "--pool=map: the model pools by %s",
                              info->pooling);
    return EXIT_DONE;
}

static int embed_pictures(output *out, const vt_model *model, const settings *s) {
    vt_model_info info;
    vt_model_describe(&info, model);
    settings sized = *s;
    int code = check_pool(&info, s);
    vt_session *session = NULL;
    sized.batch = useful_batch(s);
    if (code == EXIT_DONE)
        code = (s->pool == POOL_MODEL || s->pool == POOL_MAP
                    ? open_session
                    : open_session_with_features)(&session, model, &sized, embed_command.name);
    if (code != EXIT_DONE)
        return code;
    picture_work w = {out, session, info.num_prefix_tokens};
    bool joint = s->pool == POOL_MODEL && vt_model_embed_dim(model);
    out->width = joint ? vt_model_embed_dim(model) : vt_session_pooled_width(session);
    out->row_tokens = s->pool == POOL_TOKENS ? vt_session_num_tokens(session) : 0;
    out->row_floats = out->width * (out->row_tokens ? out->row_tokens : 1);
    const picture_sink sink = {.found = on_picture,
                               .failed = on_failure,
                               .is_printed = s->format == FORMAT_JSON,
                               .result_key = result_key};
    code = each_picture(session, model, &sized, &sink, &w);
    vt_session_destroy(session);
    return code;
}

/* ---- texts -------------------------------------------------------------------------------------
 */

/* The vector of one text: the joint space, the model's own pooling, or the mean of its tokens. */
static void add_text(output *out, const vt_session *session, const vt_model *model,
                     const char *text, size_t tokens) {
    const float *row = vt_session_text_embeds(session);
    if (!row)
        row = vt_session_text_pooled(session);
    float *mean = NULL;
    if (!row || out->settings->pool == POOL_MEAN) {
        size_t width = vt_model_text_width(model);
        mean = allocate(width, sizeof *mean);
        mean_of_patches(mean, vt_session_hidden(session), NULL, tokens, 0, width);
        row = mean;
    }
    add_row(out, NULL, text, row);
    free(mean);
}

static int embed_one_text(output *out, vt_session *session, const vt_tokenizer *tokenizer,
                          const vt_model *model, const char *text) {
    vt_error err = {0};
    int64_t *ids = NULL;
    size_t count;
    vt_status status = text_to_ids(&ids, &count, tokenizer, model, text, &err);
    if (!status && count == 0) {
        complain(*text ? text : "an empty line", "no token to embed");
        vt_ids_free(ids);
        return EXIT_SOME_FAILED;
    }
    if (!status)
        status = vt_session_forward_text(session, ids, NULL, 1, count, &err);
    if (!status)
        add_text(out, session, model, text, count);
    else
        complain(text, err.message);
    vt_ids_free(ids);
    return status ? EXIT_SOME_FAILED : EXIT_DONE;
}

static int embed_texts(output *out, const vt_model *model, const settings *s) {
    vt_tokenizer *tokenizer = NULL;
    vt_session *session = NULL;
    text_list texts = {0};
    bool is_bytes;
    if (!vt_model_vocab_size(model))
        return complain_usage(embed_command.name, "the model takes no text");
    int code = open_tokenizer(&tokenizer, model, &is_bytes);
    if (code == EXIT_DONE)
        code = open_text_session(&session, model, s, 1, embed_command.name);
    if (code == EXIT_DONE && !texts_read(&texts, s))
        code = EXIT_SOME_FAILED;
    bool mean = s->pool == POOL_MEAN;
    out->width = !mean && vt_model_embed_dim(model) ? vt_model_embed_dim(model)
                 : mean                             ? vt_model_text_width(model)
                                                    : vt_model_text_pooled_width(model);
    out->row_floats = out->width;
    for (size_t i = 0; i < texts.count && code != EXIT_MODEL && code != EXIT_USAGE; i++) {
        int one = embed_one_text(out, session, tokenizer, model, texts.texts[i]);
        code = one ? one : code;
    }
    texts_free(&texts);
    vt_session_destroy(session);
    vt_tokenizer_close(tokenizer);
    return code;
}

/* ---- the command -------------------------------------------------------------------------------
 */

static int check_pca(const settings *s, bool has_text) {
    const char *name = embed_command.name;
    if (has_text)
        return complain_usage(name, "--pca is for pictures");
    if (!canvas_can_write(s->pca))
        return complain_usage(name, "--pca: expected a name ending with .png or .svg; found '%s'",
                              s->pca);
    if (s->output || s->format == FORMAT_JSON || s->pool != POOL_MODEL || s->normalize || s->merge)
        return complain_usage(name, "--pca draws patches and writes no vectors: not with --output, "
                                    "--format, --pool, --normalize or --merge");
    return check_pictures(s, false, name);
}

static int check_usage(const settings *s) {
    const char *name = embed_command.name;
    bool has_text = s->text || s->text_from, has_pictures = s->num_operands || s->files_from;
    if (has_text == has_pictures)
        return complain_usage(name, has_text ? "both pictures and text given"
                                             : "no picture given, and no --text");
    if (has_text && s->pool != POOL_MODEL && s->pool != POOL_MEAN)
        return complain_usage(name, "--pool=%s is for pictures", pools[s->pool]);
    if (has_text && s->skip_done)
        return complain_usage(name, "--skip-done is for pictures");
    if (has_text && s->merge)
        return complain_usage(name, "--merge is for pictures");
    if (s->pool == POOL_TOKENS && s->merge)
        return complain_usage(name, "--pool=tokens writes each patch's token: not with --merge");
    if (s->pca)
        return check_pca(s, has_text);
    if (s->format == FORMAT_NPY && !s->output)
        return complain_usage(name, "no output given: --output OUT.npy, or --format json");
    return check_pictures(s, s->format == FORMAT_JSON, name);
}

static int run(const settings *s) {
    vt_model *model = NULL;
    output out = {.settings = s};
    int code = check_usage(s);
    if (code == EXIT_DONE)
        code = open_model(&model, s, embed_command.name);
    if (code == EXIT_DONE && s->pca)
        code = embed_pca(model, s, embed_command.name);
    else if (code == EXIT_DONE)
        code =
            s->text || s->text_from ? embed_texts(&out, model, s) : embed_pictures(&out, model, s);
    if (code == EXIT_DONE || code == EXIT_SOME_FAILED) {
        int written = out.count ? write_rows(&out) : EXIT_DONE;
        code = written ? written : code;
    }
    free(out.rows);
    vt_model_close(model);
    return code;
}

static const option result_rows[] = {
    {'o', "output", "FILE.npy", "the NumPy file to write, a row each", .parse = parse_text,
     FIELD(output)},
    {0, "format", "FORMAT", "one of", .initial = "npy", .choice = format_name, FIELD(format)},
    {0, "pool", "KIND", "what stands for a picture, one of", .initial = "model",
     .choice = pool_name, FIELD(pool)},
    {0, "pca", "OUT",
     "instead, draw the patches of all pictures in false colour: a name ending with .png or .svg",
     .parse = parse_text, FIELD(pca)},
    {0, "normalize", NULL, "scale each vector to length 1", FIELD(normalize)},
    OPTION_SKIP_DONE,
    {0},
};

static const option input_rows[] = {
    {0, "text", "TEXT", "embed a text", .parse = parse_text, FIELD(text)},
    {0, "text-from", "FILE", "embed each line of FILE; - is standard input", .parse = parse_text,
     FIELD(text_from)},
    OPTION_FILES_FROM,
    OPTION_NULL,
    OPTION_SIZE,
    OPTION_BATCH,
    OPTION_SHRINK_ON_LOAD,
    OPTION_MERGE,
    OPTION_THREADS,
    {0},
};

static const option_group result_options = {"Results", result_rows};
static const option_group input_options = {"Input and speed", input_rows};

const command embed_command = {
    .name = "embed",
    .summary = "turn pictures or texts into vectors",
    .operands = "{IMAGE... | --text=TEXT}",
    .about = "Writes one vector for each picture or text. Without --pool it is the model's own: "
             "the space "
             "that pictures and texts share in CLIP and SigLIP (of length 1), else what its "
             "pooling gives. "
             "cls is the class token, mean the mean of the patch tokens, map the attention "
             "pooling, tokens "
             "all tokens one below the other. --pca draws the patches instead: red, green and blue "
             "are the three directions in which their features differ most, over all pictures "
             "together, so that what is alike to the model has one colour.",
    .groups = (const option_group *const[]){&result_options, &input_options, &model_options,
                                            &picture_options, &general_options, NULL},
    .examples = "  vitrine embed -m MODEL -o album.npy album\n"
                "  vitrine embed -m MODEL --pool mean --normalize --format json cat.png\n"
                "  vitrine embed -m CLIP --text 'a photo of a cat' --format json\n"
                "  vitrine embed -m DINOV2 --pca colours.png --size 518 *.jpg\n",
    .run = run,
};
