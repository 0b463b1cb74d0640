/* SPDX-License-Identifier: MIT
 *
 * vitrine attention: where in a picture a model looks.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attention_map.h"
#include "canvas.h"
#include "command.h"
#include "json.h"
#include "model.h"
#include "outfile.h"
#include "palette.h"
#include "paths.h"
#include "text.h"

static const char *const formats[] = {"picture", "json", NULL};
static const char *format_name(size_t index) {
    return formats[index];
}
enum { FORMAT_PICTURE, FORMAT_JSON };

typedef struct work {
    const settings *settings;
    const vt_model *model;
    vt_model_info info;
    vt_session *session;
    map_method method;
    float *pixels; /* [3][height][width], as the model takes them */
    size_t height, width;
    bool has_class; /* the class that is asked for, or the best one */
    size_t class_index;
    float score; /* of the best class */
    attention_map map;
} work;

/* ---- the pass ----------------------------------------------------------------------------------
 */

static vt_status load(work *w, vt_error *err) {
    vt_image image = {0};
    const vt_image_options how = decoding_options(w->settings, w->session);
    vt_status status = vt_image_read(&image, w->settings->operands[0], &how, err);
    if (!status)
        status = vt_session_fit_size(w->session, &image, &w->height, &w->width, err);
    if (!status) {
        w->pixels = allocate(3 * w->height * w->width, sizeof *w->pixels);
        status = vt_session_preprocess_to(w->session, w->pixels, &image, w->height, w->width, err);
    }
    vt_image_free(&image);
    return status;
}

static vt_status forward(work *w, vt_error *err) {
    const float *pixels = w->pixels;
    if (vt_model_is_naflex(w->model))
        return vt_session_forward_naflex(w->session, &pixels, &w->height, &w->width, 1, err);
    return vt_session_forward(w->session, pixels, 1, err);
}

/* --class, or else the best one. */
static int find_class(work *w) {
    const char *wanted = w->settings->class_name;
    vt_prediction best;
    const float *logits = vt_session_logits(w->session);
    if (logits && vt_model_top_k(w->model, logits, &best, 1)) {
        w->has_class = true;
        w->class_index = best.index;
        w->score = best.score;
    }
    if (wanted && !model_find_class(&w->class_index, w->model, wanted))
        return complain_usage(attention_command.name, "--class: the model knows no '%s'", wanted);
    return EXIT_DONE;
}

static int make_map(work *w) {
    vt_error err = {0};
    size_t rows = w->height / w->info.patch_size, columns = w->width / w->info.patch_size;
    attention_record *record = NULL;
    if (w->method.kind != MAP_CAM)
        record = attention_record_begin(w->session, &w->info, w->method,
                                        w->info.num_prefix_tokens + rows * columns);
    vt_status status = forward(w, &err);
    int code = status ? EXIT_SOME_FAILED : find_class(w);
    if (code == EXIT_DONE && record)
        map_of_attention(&w->map, record, rows, columns);
    else if (code == EXIT_DONE)
        status = map_of_class(&w->map, w->session, &w->info, w->class_index, rows, columns, &err);
    attention_record_free(record);
    if (!status)
        return code;
    complain(w->info.path, err.message);
    return status == VT_ERR_UNSUPPORTED ? EXIT_MODEL : EXIT_SOME_FAILED;
}

/* ---- the picture -------------------------------------------------------------------------------
 */

/* The picture on the left, and on the right the map over it. */
enum { EDGE = 420, MARGIN = 12, CAPTION = 26, BAR_ROOM = 120 };

static void find_range(const attention_map *map, double *least, double *most) {
    *least = INFINITY;
    *most = -INFINITY;
    for (size_t i = 0; i < map->rows * map->columns; i++) {
        *least = fmin(*least, (double)map->values[i]);
        *most = fmax(*most, (double)map->values[i]);
    }
    if (!(*most > *least))
        *most = *least + fmax(fabs(*least), 1) * 1e-6;
}

/* Grey where little is seen, the colour where much is. */
static void blend(uint8_t *pixel, double value) {
    uint8_t colour[3];
    value = fmin(fmax(value, 0), 1);
    palette_colour(colour, value);
    double opacity = 0.45 + 0.3 * value;
    double grey = 0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2];
    for (size_t c = 0; c < 3; c++)
        pixel[c] = (uint8_t)lrint((1 - opacity) * grey + opacity * colour[c]);
}

static void blend_map(raster *r, const attention_map *map, double least, double most) {
    float *values = allocate(r->width * r->height, sizeof *values);
    resample(values, r->height, r->width, map->values, map->rows, map->columns, 1);
    for (size_t i = 0; i < r->width * r->height; i++)
        blend(r->pixels + 3 * i, ((double)values[i] - least) / (most - least));
    free(values);
}

/* "cat.png: cat face 83.2%", or the name alone. */
static char *describe_picture(const work *w) {
    const char *name = path_base(w->settings->operands[0]);
    if (!w->has_class || w->settings->class_name)
        return duplicate(name);
    return text_format("%s: %s, %.1f%%", name, vt_model_label(w->model, w->class_index),
                       100 * (double)w->score);
}

static char *describe_map(const work *w) {
    switch (w->method.kind) {
    case MAP_ROLLOUT:
        return text_format("attention rollout over %zu blocks", w->info.depth);
    case MAP_LAST:
        return text_format("attention in the last block, mean of %zu heads", w->info.num_heads);
    case MAP_HEAD:
        return text_format("attention in the last block, head %zu", w->method.head);
    case MAP_CAM:
        break;
    }
    return text_format("class activation: %s", vt_model_label(w->model, w->class_index));
}

static int draw(const work *w, const char *path) {
    double least, most, unit = w->method.kind == MAP_CAM ? 1 : 100;
    size_t longer = w->height > w->width ? w->height : w->width;
    size_t height = w->height * EDGE / longer, width = w->width * EDGE / longer;
    find_range(&w->map, &least, &most);
    size_t right = 2 * MARGIN + width, bottom = MARGIN + height + CAPTION / 2;
    canvas c = {.width = right + width + MARGIN + BAR_ROOM, .height = MARGIN + height + CAPTION};
    raster plain = raster_of_input(w->pixels, w->height, w->width, &w->info, height, width);
    raster mapped = raster_of_input(w->pixels, w->height, w->width, &w->info, height, width);
    blend_map(&mapped, &w->map, least, most);
    canvas_picture(&c, plain, MARGIN, MARGIN);
    canvas_picture(&c, mapped, right, MARGIN);
    char *left_text = describe_picture(w), *right_text = describe_map(w);
    canvas_text(&c, MARGIN, bottom, CANVAS_LEFT, left_text, width / 7);
    canvas_text(&c, right, bottom, CANVAS_LEFT, right_text, width / 6);
    c.bar = (canvas_bar){.x = right + width + MARGIN,
                         .y = MARGIN,
                         .height = height,
                         .least = least * unit,
                         .most = most * unit,
                         .label = w->method.kind == MAP_CAM ? "logit at a patch"
                                                            : "attention to a patch (%)"};
    int code = canvas_write(&c, path);
    free(left_text);
    free(right_text);
    canvas_free(&c);
    return code;
}

/* ---- numbers -----------------------------------------------------------------------------------
 */

static int write_npy(const work *w, const char *path) {
    const vt_tensor tensor = {.name = "map",
                              .dtype = VT_DTYPE_F32,
                              .ndim = 2,
                              .shape = {w->map.rows, w->map.columns},
                              .data = w->map.values,
                              .size = w->map.rows * w->map.columns * sizeof(float)};
    return outfile_write_npy(path, &tensor);
}

static void print_json(const work *w) {
    json_t *line = json_object();
    json_set_path(line, w->settings->operands[0]);
    json_object_set_new(line, "method", json_text(w->settings->method));
    json_object_set_new(line, "input", json_sizes((const size_t[]){w->height, w->width}, 2));
    json_object_set_new(line, "grid", json_sizes((const size_t[]){w->map.rows, w->map.columns}, 2));
    json_t *map = json_array();
    for (size_t y = 0; y < w->map.rows; y++) {
        json_t *row = json_array();
        for (size_t x = 0; x < w->map.columns; x++)
            json_array_append_new(row, json_number((double)w->map.values[y * w->map.columns + x]));
        json_array_append_new(map, row);
    }
    if (w->method.kind == MAP_CAM) {
        json_object_set_new(line, "index", json_integer((json_int_t)w->class_index));
        json_object_set_new(line, "label", json_text(vt_model_label(w->model, w->class_index)));
    } else {
        json_object_set_new(line, "outside", json_number(w->map.outside));
    }
    json_object_set_new(line, "map", map);
    json_print(line);
}

static int report(const work *w) {
    const char *path = w->settings->output;
    int code = EXIT_DONE;
    if (w->settings->format == FORMAT_JSON)
        print_json(w);
    if (path)
        code = path_ends_with(path, ".npy") ? write_npy(w, path) : draw(w, path);
    return code;
}

/* ------------------------------------------------------------------------------------------------
 */

static int check_usage(work *w) {
    const char *name = attention_command.name;
    const settings *s = w->settings;
    if (s->num_operands != 1)
        return complain_usage(name, "expected one picture");
    if (!map_method_parse(&w->method, s->method))
        return complain_usage(name, "--method: expected rollout, last, head:N or cam; found '%s'",
                              s->method);
    if (!s->output && s->format != FORMAT_JSON)
        return complain_usage(name, "no output given: --output OUT.png, or --format json");
    if (s->output && !canvas_can_write(s->output) && !path_ends_with(s->output, ".npy"))
        return complain_usage(
            name, "--output: expected a name ending with .png, .svg or .npy; found '%s'",
            s->output);
    if (s->class_name && w->method.kind != MAP_CAM)
        return complain_usage(name, "--class is for --method=cam");
    return EXIT_DONE;
}

static int check_model(const work *w) {
    const char *name = attention_command.name;
    if (w->method.kind == MAP_HEAD && w->method.head >= w->info.num_heads)
        return complain_usage(name, "--method=head:%zu: the model has heads 0 to %zu",
                              w->method.head, w->info.num_heads - 1);
    return EXIT_DONE;
}

static int look(work *w) {
    vt_error err = {0};
    int code =
        (w->method.kind == MAP_CAM ? open_session_with_features : open_session_with_attention)(
            &w->session, w->model, w->settings, attention_command.name);
    if (code != EXIT_DONE)
        return code;
    if (load(w, &err)) {
        complain(w->settings->operands[0], err.message);
        return EXIT_SOME_FAILED;
    }
    code = make_map(w);
    return code == EXIT_DONE ? report(w) : code;
}

static int run(const settings *s) {
    vt_model *model = NULL;
    work w = {.settings = s};
    int code = check_usage(&w);
    if (code == EXIT_DONE)
        code = open_model(&model, s, attention_command.name);
    if (code == EXIT_DONE)
        code = check_takes_pictures(model);
    if (code == EXIT_DONE) {
        w.model = model;
        vt_model_describe(&w.info, model);
        code = check_model(&w);
    }
    if (code == EXIT_DONE)
        code = look(&w);
    attention_map_free(&w.map);
    free(w.pixels);
    vt_session_destroy(w.session);
    vt_model_close(model);
    return code;
}

static const option result_rows[] = {
    {'o', "output", "OUT",
     "the picture with the map over it, a name ending with .png or .svg; or the map, .npy",
     .parse = parse_text, FIELD(output)},
    {0, "method", "METHOD", "rollout, last, head:N or cam, see above", .initial = "rollout",
     .parse = parse_text, FIELD(method)},
    {0, "class", "CLASS", "with cam: the class, by its name or number; without it, the best one",
     .parse = parse_text, FIELD(class_name)},
    {0, "format", "FORMAT", "one of", .initial = "picture", .choice = format_name, FIELD(format)},
    {0},
};

static const option input_rows[] = {
    OPTION_SIZE,
    OPTION_SHRINK_ON_LOAD,
    OPTION_THREADS,
    {0},
};

static const option_group result_options = {"Results", result_rows};
static const option_group input_options = {"Input and speed", input_rows};

const command attention_command = {
    .name = "attention",
    .summary = "show where in a picture a model looks",
    .operands = "IMAGE -o OUT.png",
    .about =
        "Draws the picture as the model gets it and, over it, a number for each patch. rollout "
        "follows attention through all blocks, with what passes by them; last is the last block's, "
        "the mean of its heads; head:N is one of these, from 0. All three are what the class token "
        "takes from each patch, or the mean of all patches where the model has no such token. cam "
        "is no attention: the classifier is put at each patch, which shows what speaks for a "
        "class. A larger --size gives a finer map.",
    .groups = (const option_group *const[]){&result_options, &input_options, &model_options,
                                            &picture_options, &general_options, NULL},
    .examples = "  vitrine attention cat.png -o map.png\n"
                "  vitrine attention --method cam --class dog -m MODEL --size 448 park.jpg -o "
                "dog.png\n"
                "  vitrine attention --method head:3 --format json cat.png\n",
    .run = run,
};
