/* SPDX-License-Identifier: MIT
 *
 * vitrine dump: one forward pass, its stages written to a safetensors file.
 */
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "model.h"
#include "outfile.h"
#include "text.h"

/* The inputs, and copies of the stages as the session hands them out. */
typedef struct stages {
    vt_tensor *tensors; /* each owns its name and data */
    size_t count, capacity;
    bool all_blocks;
    bool odd; /* results were not finite */
} stages;

static void stages_add(stages *list, const vt_tensor *tensor) {
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? 2 * list->capacity : 16;
        list->tensors = reallocate(list->tensors, list->capacity, sizeof *list->tensors);
    }
    vt_tensor *copy = &list->tensors[list->count++];
    void *data = allocate(tensor->size, 1);
    memcpy(data, tensor->data, tensor->size);
    *copy = *tensor;
    copy->name = duplicate(tensor->name);
    copy->data = data;
}

static void stages_free(stages *list) {
    for (size_t i = 0; i < list->count; i++) {
        free((void *)list->tensors[i].name);
        free((void *)list->tensors[i].data);
    }
    free(list->tensors);
}

/* Where results are not finite, the stages are written all the same: they show where that begins.
 */
static int pass_ended(stages *list, const char *input, vt_status status, const vt_error *err) {
    if (status)
        complain(input, err->message);
    list->odd |= status == VT_ERR_NOT_FINITE;
    return status && status != VT_ERR_NOT_FINITE ? EXIT_SOME_FAILED : EXIT_DONE;
}

static void keep_stage(void *user, const vt_tensor *stage) {
    stages *list = user;
    const char *block = strstr(stage->name, "block");
    bool later_block = block && strcmp(block, "block0") != 0;
    if (!later_block || list->all_blocks)
        stages_add(list, stage);
}

/* ---- where the input comes from ----------------------------------------------------------------
 */

static void add_pixels(stages *list, size_t count, size_t height, size_t width, const void *data) {
    vt_tensor pixels = {
        .name = "pixels",
        .dtype = VT_DTYPE_F32,
        .ndim = 4,
        .shape = {count, 3, height, width},
        .data = data,
        .size = count * 3 * height * width * sizeof(float),
    };
    stages_add(list, &pixels);
}

static bool is_input(const vt_tensor *t) {
    return t->dtype == VT_DTYPE_F32 && t->ndim == 4 && t->size > 0 && t->shape[1] == 3;
}

/* "pixels: expected F32 [N,3,H,W], found F16 [1,4,32,32]" */
static void complain_input(const char *path, const vt_tensor *t) {
    char message[512];
    int used = snprintf(message, sizeof message, "%s: expected F32 [N,3,H,W], found %s [", t->name,
                        vt_dtype_name(t->dtype));
    for (size_t i = 0; i < t->ndim && used < (int)sizeof message; i++)
        used += snprintf(message + used, sizeof message - (size_t)used, "%s%zu", i ? "," : "",
                         t->shape[i]);
    if (used < (int)sizeof message)
        snprintf(message + used, sizeof message - (size_t)used, "]");
    complain(path, message);
}

/* ---- text: input_ids and attention_mask, as transformers' tokenizers give them ------------------
 */

static bool is_ids(const vt_tensor *t) {
    return t->dtype == VT_DTYPE_I64 && t->ndim == 2 && t->size > 0;
}

/* A tensor of the ids' shape; NULL when the file has none. */
static const vt_tensor *find_beside(const vt_tensor_file *file, const char *name,
                                    const vt_tensor *ids) {
    const vt_tensor *found = vt_tensor_file_find(file, name);
    bool fits = found && is_ids(found) && found->shape[0] == ids->shape[0] &&
                found->shape[1] == ids->shape[1];
    return fits ? found : NULL;
}

/* 0 where a token is padding; NULL when the file has no mask. */
static uint8_t *read_mask(const vt_tensor_file *file, const vt_tensor *ids) {
    const vt_tensor *found = find_beside(file, "attention_mask", ids);
    size_t count = ids->shape[0] * ids->shape[1];
    if (!found)
        return NULL;
    uint8_t *mask = allocate(count, 1);
    for (size_t i = 0; i < count; i++)
        mask[i] = ((const int64_t *)found->data)[i] != 0;
    return mask;
}

static int dump_ids(stages *list, const vt_model *model, const vt_tensor_file *file,
                    const vt_tensor *ids, const settings *s) {
    vt_error err = {0};
    vt_session *session = NULL;
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    options.num_threads = s->threads;
    options.text_batch = ids->shape[0];
    options.text_tokens = ids->shape[1];
    if (vt_session_create(&session, model, &options, &err))
        return model_failed(model, &err, dump_command.name);
    uint8_t *mask = read_mask(file, ids);
    const vt_tensor *types = find_beside(file, "token_type_ids", ids);
    if (types)
        vt_session_set_token_types(session, types->data);
    vt_session_on_stage(session, keep_stage, list);
    vt_status status =
        vt_session_forward_text(session, ids->data, mask, ids->shape[0], ids->shape[1], &err);
    free(mask);
    vt_session_destroy(session);
    return pass_ended(list, s->input, status, &err);
}

/* The cosines' logits, where the file had both pictures and texts: [pictures][texts]. */
static void add_pair_logits(stages *list, const vt_model *model) {
    const vt_tensor *image = NULL, *text = NULL;
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->tensors[i].name, "image_embeds") == 0)
            image = &list->tensors[i];
        if (strcmp(list->tensors[i].name, "text_embeds") == 0)
            text = &list->tensors[i];
    }
    if (!image || !text)
        return;
    size_t rows = image->shape[0], columns = text->shape[0], n = image->shape[1];
    float *logits = allocate(rows * columns, sizeof *logits);
    const float *x = image->data, *y = text->data;
    for (size_t i = 0; i < rows * columns; i++) {
        float cosine = 0;
        for (size_t c = 0; c < n; c++)
            cosine += x[i / columns * n + c] * y[i % columns * n + c];
        logits[i] = vt_model_pair_logit(model, cosine);
    }
    vt_tensor pairs = {.name = "logits_per_image",
                       .dtype = VT_DTYPE_F32,
                       .ndim = 2,
                       .shape = {rows, columns},
                       .data = logits,
                       .size = rows * columns * sizeof *logits};
    stages_add(list, &pairs);
    free(logits);
}

/* ---- pictures -----------------------------------------------------------------------------------
 */

static int input_from_file(stages *list, const char *path) {
    vt_error err = {0};
    vt_tensor_file *file = NULL;
    if (vt_tensor_file_open(&file, path, &err)) {
        complain(path, err.message);
        return EXIT_SOME_FAILED;
    }
    const vt_tensor *found = vt_tensor_file_find(file, "pixels");
    if (!found)
        found = vt_tensor_file_find(file, "input");
    int code = EXIT_SOME_FAILED;
    if (!found)
        complain(path, "expected a tensor 'pixels' or 'input_ids', found neither");
    else if (!is_input(found))
        complain_input(path, found);
    else
        code = EXIT_DONE;
    if (code == EXIT_DONE)
        add_pixels(list, found->shape[0], found->shape[2], found->shape[3], found->data);
    vt_tensor_file_close(file);
    return code;
}

static int input_from_image(stages *list, const vt_session *session, const vt_image *image,
                            const char *path) {
    vt_error err = {0};
    size_t height, width;
    vt_session_input_size(session, &height, &width);
    float *pixels = allocate(3 * height * width, sizeof *pixels);
    vt_status status = vt_session_preprocess(session, pixels, image, &err);
    if (status)
        complain(path, err.message);
    else
        add_pixels(list, 1, height, width, pixels);
    free(pixels);
    return status ? EXIT_SOME_FAILED : EXIT_DONE;
}

/* ---- the forward pass --------------------------------------------------------------------------
 */

static void print_stage(const vt_tensor *stage) {
    printf("%-12s %s ", stage->name, vt_dtype_name(stage->dtype));
    for (size_t i = 0; i < stage->ndim; i++)
        printf("%s%zu", i ? " x " : " ", stage->shape[i]);
    putchar('\n');
}

static int write_stages(const stages *list, const settings *s) {
    int code = outfile_write_tensors(s->output, list->tensors, list->count);
    if (code != EXIT_DONE)
        return code;
    for (size_t i = 0; i < list->count && !s->quiet; i++)
        print_stage(&list->tensors[i]);
    return list->odd ? EXIT_SOME_FAILED : EXIT_DONE;
}

static int run_stages(stages *list, vt_session *session, const settings *s) {
    vt_error err = {0};
    const vt_tensor *input = &list->tensors[list->count - 1];
    const float *pixels = input->data;
    size_t count = input->shape[0];
    vt_session_on_stage(session, keep_stage, list);
    vt_status status = vt_session_forward(session, pixels, count, &err);
    return pass_ended(list, s->input ? s->input : s->operands[0], status, &err);
}

/* The session takes the input as it is: nothing is resized or rounded here. */
static int check_size(const vt_session *session, const vt_tensor *pixels, const char *path) {
    size_t height, width;
    vt_session_input_size(session, &height, &width);
    if (height == pixels->shape[2] && width == pixels->shape[3])
        return EXIT_DONE;
    char message[256];
    snprintf(message, sizeof message,
             "expected a size in whole patches such as %zux%zu (height x width), found %zux%zu",
             height, width, pixels->shape[2], pixels->shape[3]);
    complain(path, message);
    return EXIT_SOME_FAILED;
}

static int dump_pixels(stages *list, const vt_model *model, const settings *s) {
    vt_session *session = NULL;
    settings sized = *s;
    int code = input_from_file(list, s->input);
    if (code != EXIT_DONE)
        return code;
    const vt_tensor *pixels = &list->tensors[list->count - 1];
    sized.batch = pixels->shape[0];
    sized.height = pixels->shape[2];
    sized.width = pixels->shape[3];
    sized.quiet = true; /* check_size says more than a note */
    code = open_session(&session, model, &sized, dump_command.name);
    if (code == EXIT_DONE)
        code = check_size(session, pixels, s->input);
    if (code == EXIT_DONE)
        code = run_stages(list, session, s);
    vt_session_destroy(session);
    return code;
}

/* Texts first, then pictures, as far as the file has them. */
static int dump_tensors(stages *list, const vt_model *model, const settings *s) {
    vt_error err = {0};
    vt_tensor_file *file = NULL;
    int code = EXIT_DONE;
    if (vt_tensor_file_open(&file, s->input, &err)) {
        complain(s->input, err.message);
        return EXIT_SOME_FAILED;
    }
    const vt_tensor *ids = vt_tensor_file_find(file, "input_ids");
    bool has_pixels = vt_tensor_file_find(file, "pixels") || vt_tensor_file_find(file, "input");
    if (ids && !is_ids(ids)) {
        complain(s->input, "input_ids: expected I64 [N,T]");
        code = EXIT_SOME_FAILED;
    } else if (ids) {
        code = dump_ids(list, model, file, ids, s);
    }
    vt_tensor_file_close(file);
    if (code == EXIT_DONE && (has_pixels || !ids))
        code = dump_pixels(list, model, s);
    if (code == EXIT_DONE)
        add_pair_logits(list, model);
    return code == EXIT_DONE ? write_stages(list, s) : code;
}

/* The size that a picture's aspect calls for, where the model keeps it (NaFlex) and nobody gives
 * another: the pass is then one of that size, without padding. */
static int fit_size(settings *sized, const vt_model *model, const vt_image *image) {
    vt_session *session = NULL;
    vt_error err = {0};
    if (!vt_model_is_naflex(model) || sized->height)
        return EXIT_DONE;
    int code = open_session(&session, model, sized, dump_command.name);
    if (code == EXIT_DONE &&
        vt_session_fit_size(session, image, &sized->height, &sized->width, &err)) {
        complain(sized->operands[0], err.message);
        code = EXIT_SOME_FAILED;
    }
    vt_session_destroy(session);
    return code;
}

static int dump_picture(stages *list, const vt_model *model, const settings *s,
                        const vt_image *image) {
    vt_session *session = NULL;
    settings sized = *s;
    int code = fit_size(&sized, model, image);
    if (code == EXIT_DONE)
        code = open_session(&session, model, &sized, dump_command.name);
    if (code == EXIT_DONE)
        code = input_from_image(list, session, image, s->operands[0]);
    if (code == EXIT_DONE)
        code = run_stages(list, session, s);
    if (code == EXIT_DONE)
        code = write_stages(list, s);
    vt_session_destroy(session);
    return code;
}

static int dump_image(stages *list, const vt_model *model, const settings *s) {
    vt_error err = {0};
    vt_image image = {0};
    if (vt_image_read(&image, s->operands[0], &s->image, &err)) {
        complain(s->operands[0], err.message);
        return EXIT_SOME_FAILED;
    }
    int code = dump_picture(list, model, s, &image);
    vt_image_free(&image);
    return code;
}

static int check_usage(const settings *s) {
    const char *name = dump_command.name;
    if (!s->output)
        return complain_usage(name, "no output given: --output OUT.safetensors");
    if (s->num_operands > 1)
        return complain_usage(name, "one picture at a time: unexpected '%s'", s->operands[1]);
    if (s->input && s->num_operands)
        return complain_usage(name, "both --input and a picture given");
    if (!s->input && !s->num_operands)
        return complain_usage(name, "no input given: --input IN.safetensors, or a picture");
    if (s->input && s->height)
        return complain_usage(name, "--size can't change the size of --input");
    return EXIT_DONE;
}

static int run(const settings *s) {
    vt_model *model = NULL;
    stages list = {.all_blocks = s->blocks};
    int code = check_usage(s);
    if (code == EXIT_DONE)
        code = open_model(&model, s, dump_command.name);
    if (code == EXIT_DONE)
        code = s->input ? dump_tensors(&list, model, s) : dump_image(&list, model, s);
    stages_free(&list);
    vt_model_close(model);
    return code;
}

static const option dump_rows[] = {
    {'i', "input", "FILE",
     "a safetensors file with 'pixels' (or 'input'), F32 [N,3,H,W], "
     "normalised as the model wants it, or 'input_ids' and 'attention_mask', I64 [N,T], or both",
     .parse = parse_text, FIELD(input)},
    {'o', "output", "FILE", "the safetensors file to write", .parse = parse_text, FIELD(output)},
    {0, "blocks", NULL, "write what each block gives, not only block0", FIELD(blocks)},
    OPTION_SIZE,
    OPTION_THREADS,
    {0},
};

static const option_group dump_options = {"Input and output", dump_rows};

const command dump_command = {
    .name = "dump",
    .topic = TOPIC_MODELS,
    .summary = "write the stages of one forward pass to a file",
    .operands = "{--input=FILE | IMAGE} --output=FILE",
    .about =
        "Runs one forward pass, over tensors that are already normalised or over a picture, and "
        "writes its stages as F32: pixels (the input), pos (the positions as added), embeddings "
        "(what enters the first block), block0, features (after the last norm), pooled and "
        "logits, as far as the model has them; of text hidden, pooled and logits; of both "
        "image_embeds, "
        "text_embeds and logits_per_image. The input's size is the size of the pass, so "
        "that another implementation's numbers can be compared at any resolution.",
    .groups = (const option_group *const[]){&dump_options, &model_options, &picture_options,
                                            &general_options, NULL},
    .examples = "  vitrine dump -m MODEL --input in.safetensors --output out.safetensors\n"
                "  vitrine dump -m MODEL --size 384 --blocks cat.png -o out.safetensors\n",
    .run = run,
};
