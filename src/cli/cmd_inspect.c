/* SPDX-License-Identifier: MIT
 *
 * vitrine inspect: what a checkpoint is, how it wants its pictures, and what a forward pass costs.
 */
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "inspect.h"
#include "model.h"
#include "pos_map.h"

static const char *format_name(size_t index) {
    static const char *const names[] = {"text", "json"};
    return index < sizeof names / sizeof *names ? names[index] : NULL;
}

static void count_tensors(inspection *seen) {
    bool used;
    for (size_t i = 0; vt_model_tensor(seen->model, i, &used); i++) {
        seen->num_tensors++;
        seen->num_used += used;
    }
}

static bool plan(inspection *seen, const settings *s, vt_error *err) {
    size_t height = s->height ? s->height : seen->info.image_height;
    size_t width = s->width ? s->width : seen->info.image_width;
    return vt_model_plan_forward(&seen->plan, seen->model, s->batch, height, width, s->threads,
                                 err) == VT_OK;
}

/* A picture, run once: how the positions that are added lie to what they are added to. */
static int look_at_picture(inspection *seen, const settings *s) {
    vt_error err = {0};
    vt_session *session = NULL;
    vt_image image = {0};
    int code = open_session(&session, seen->model, s, inspect_command.name);
    if (code != EXIT_DONE)
        return code;
    size_t height, width;
    vt_session_input_size(session, &height, &width);
    float *pixels = allocate(vt_session_picture_floats(session), sizeof *pixels);
    vt_status status = vt_image_read(&image, s->operands[0], &s->image, &err);
    if (!status)
        status = vt_session_preprocess_to(session, pixels, &image, height, width, &err);
    if (!status && !seen->info.embed_norm) /* a norm hides what was added */
        seen->has_angles = measure_orthogonality(&seen->angles, session, &seen->info, pixels, &err);
    if (status)
        complain(s->operands[0], err.message);
    vt_image_free(&image);
    free(pixels);
    vt_session_destroy(session);
    return status ? EXIT_SOME_FAILED : EXIT_DONE;
}

static int draw_positions(const settings *s, const inspection *seen) {
    if (seen->takes_pictures && !vt_model_is_naflex(seen->model))
        return write_pos_map(s, seen->model);
    complain(seen->info.path, "this model adds no table of positions that could be shown");
    return EXIT_MODEL;
}

static int inspect_model(const settings *s, const vt_model *model) {
    vt_error err = {0};
    inspection seen = {
        .model = model, .batch = s->batch, .list_tensors = s->tensors, .context = s->context};
    vt_model_describe(&seen.info, model);
    seen.takes_pictures = seen.info.image_height > 0;
    if (seen.takes_pictures && !plan(&seen, s, &err))
        return model_failed(model, &err, inspect_command.name);
    count_tensors(&seen);
    int code = s->num_operands && seen.takes_pictures ? look_at_picture(&seen, s) : EXIT_DONE;
    if (code == EXIT_DONE && s->pos_map)
        code = draw_positions(s, &seen);
    if (code != EXIT_DONE)
        return code;
    if (s->format)
        inspect_print_json(&seen);
    else
        inspect_print_text(&seen);
    return EXIT_DONE;
}

static int run(const settings *s) {
    vt_model *model = NULL;
    if (s->num_operands > 1)
        return complain_usage(inspect_command.name,
                              "unexpected '%s': one picture at most; a model is named with -m",
                              s->operands[1]);
    if (s->pos_map && !pos_map_can_write(s->pos_map))
        return complain_usage(
            inspect_command.name,
            "--pos-map: expected a name ending with .png, .svg or .npy; found '%s'", s->pos_map);
    int code = open_model(&model, s, inspect_command.name);
    if (code == EXIT_DONE)
        code = inspect_model(s, model);
    vt_model_close(model);
    return code;
}

static const option inspect_rows[] = {
    {0, "format", "FORMAT", "one of", .initial = "text", .choice = format_name, FIELD(format)},
    {0, "tensors", NULL, "list every tensor of the checkpoint (JSON always does)", FIELD(tensors)},
    {0, "context", "N", "length of text, in tokens, to say what to expect of", .parse = parse_count,
     FIELD(context)},
    {0, "pos-map", "OUT",
     "draw the table of positions (.png or .svg, by gnuplot): the cosine similarity of each place "
     "of "
     "the grid to all others, at the native and the given size; or write that (.npy)",
     .parse = parse_text, FIELD(pos_map)},
    OPTION_SIZE,
    OPTION_BATCH,
    OPTION_THREADS,
    {0},
};

static const option_group inspect_options = {"What is shown", inspect_rows};

const command inspect_command = {
    .name = "inspect",
    .topic = TOPIC_MODELS,
    .summary = "what a model is, and what it costs to run",
    .operands = "[IMAGE]",
    .about =
        "Shows a checkpoint's architecture, its preprocessing, its positions and the rule that "
        "resizes them, and the arithmetic and memory of one forward pass at a given size. "
        "A size or context beyond what the model was trained on is met with the rule that "
        "stretches its "
        "positions, what published experience expects of it, and the option to set. With a picture "
        "it "
        "also says how nearly orthogonal positions and content are; without one, nothing is run.",
    .groups =
        (const option_group *const[]){&inspect_options, &model_options, &general_options, NULL},
    .examples = "  vitrine inspect\n"
                "  vitrine inspect images/emoji/lion_noto-v1_160.jpg\n"
                "  vitrine inspect --size 224 --pos-map positions.png\n"
                "  vitrine inspect -m weights/positions/rope --context 4096\n"
                "  vitrine inspect -m vit_base_patch16_224 --size 384 --batch 8\n"
                "  vitrine inspect -m model.safetensors --format=json | jq .cost\n",
    .run = run,
};
