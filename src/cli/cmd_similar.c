/* SPDX-License-Identifier: MIT
 *
 * vitrine similar: the pictures nearest to one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "canvas.h"
#include "command.h"
#include "embeddings.h"
#include "json.h"
#include "model.h"
#include "paths.h"
#include "pictures.h"
#include "sheet.h"
#include "text.h"

static const char *const formats[] = {"text", "json", "csv", NULL};
static const char *format_name(size_t index) {
    return formats[index];
}
enum { FORMAT_TEXT, FORMAT_JSON, FORMAT_CSV };

typedef struct neighbour {
    size_t index; /* of the picture */
    double cosine;
} neighbour;

typedef struct work {
    const settings *settings;
    embeddings query, others;
    neighbour *found; /* nearest first */
    size_t count;
} work;

/* ---- finding -----------------------------------------------------------------------------------
 */

static int nearest_first(const void *a, const void *b) {
    const neighbour *x = a, *y = b;
    if (x->cosine != y->cosine)
        return x->cosine > y->cosine ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static bool same_file(const char *a, const char *b) {
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* The -k nearest that are near enough; the query is no neighbour of its own. */
static void find_nearest(work *w) {
    const settings *s = w->settings;
    w->found = allocate(w->others.count, sizeof *w->found);
    for (size_t i = 0; i < w->others.count; i++) {
        const neighbour one = {i, embeddings_cosine(&w->query, 0, &w->others, i)};
        bool near = !(s->threshold > 0) || one.cosine >= s->threshold;
        if (near && !same_file(w->query.paths[0], w->others.paths[i]))
            w->found[w->count++] = one;
    }
    qsort(w->found, w->count, sizeof *w->found, nearest_first);
    w->count = w->count < s->top ? w->count : s->top;
}

/* ---- telling -----------------------------------------------------------------------------------
 */

static void print_text(const work *w, size_t rank) {
    char *clean = text_clean(w->others.paths[w->found[rank].index], TEXT_ONE_LINE);
    printf("%6.3f  %s\n", w->found[rank].cosine, clean);
    free(clean);
}

static void print_csv(const work *w, size_t rank) {
    text_csv_field(w->query.paths[0]);
    printf(",%zu,", rank + 1);
    text_csv_field(w->others.paths[w->found[rank].index]);
    printf(",%.6f\n", w->found[rank].cosine);
}

static void print_json(const work *w, size_t rank) {
    json_t *line = json_object();
    json_object_set_new(line, "query", json_text(w->query.paths[0]));
    json_object_set_new(line, "rank", json_integer((json_int_t)rank + 1));
    json_set_path(line, w->others.paths[w->found[rank].index]);
    json_object_set_new(line, "cosine", json_number(w->found[rank].cosine));
    json_print(line);
}

static void print(const work *w) {
    static void (*const printers[])(const work *, size_t) = {print_text, print_json, print_csv};
    if (w->settings->format == FORMAT_CSV)
        printf("query,rank,image,cosine\n");
    for (size_t i = 0; i < w->count; i++)
        printers[w->settings->format](w, i);
}

/* Read again, as no more than the nearest are shown. */
static void add_to_sheet(sheet *page, const settings *s, const char *path, const char *what) {
    vt_error err = {0};
    vt_image image = {0};
    vt_image_options how = s->image;
    how.min_width = how.min_height = 2 * page->edge;
    if (vt_image_read(&image, path, &how, &err))
        complain(path, err.message);
    else
        sheet_picture(page, raster_of_image(&image, page->edge), 0);
    vt_image_free(&image);
    sheet_text(page, path_base(path), 0);
    sheet_text(page, what, 1);
    sheet_next(page);
}

static int draw(const work *w) {
    const settings *s = w->settings;
    sheet page = sheet_make(w->count + 1, 1, 150, 2);
    add_to_sheet(&page, s, w->query.paths[0], "(the query)");
    for (size_t i = 0; i < w->count; i++) {
        char cosine[32];
        snprintf(cosine, sizeof cosine, "%.3f", w->found[i].cosine);
        add_to_sheet(&page, s, w->others.paths[w->found[i].index], cosine);
    }
    int code = sheet_write(&page, s->grid);
    sheet_free(&page);
    return code;
}

/* ------------------------------------------------------------------------------------------------
 */

static int embed(work *w, vt_session *session, const vt_model *model, const settings *sized) {
    settings first = *sized, rest = first;
    first.num_operands = 1;
    first.files_from = NULL;
    rest.operands++;
    rest.num_operands--;
    int code = embeddings_add(&w->query, session, model, &first);
    return w->query.count ? embeddings_add(&w->others, session, model, &rest) : code;
}

static int find(work *w, const vt_model *model) {
    vt_session *session = NULL;
    settings sized = *w->settings;
    sized.batch = useful_batch(w->settings);
    int code = open_session(&session, model, &sized, similar_command.name);
    if (code == EXIT_DONE)
        code = embed(w, session, model, &sized);
    vt_session_destroy(session);
    if ((code != EXIT_DONE && code != EXIT_SOME_FAILED) || !w->query.count)
        return code;
    find_nearest(w);
    print(w);
    return w->settings->grid ? exit_worse(code, draw(w)) : code;
}

static int check_usage(const settings *s) {
    const char *name = similar_command.name;
    struct stat info;
    if (s->num_operands == 0)
        return complain_usage(name, "no picture given");
    if (s->num_operands == 1 && !s->files_from)
        return complain_usage(name, "no pictures given to compare it with");
    if (stat(s->operands[0], &info) == 0 && S_ISDIR(info.st_mode))
        return complain_usage(name,
                              "the first operand is the picture to compare with; '%s' is a "
                              "directory",
                              s->operands[0]);
    if (s->grid && !canvas_can_write(s->grid))
        return complain_usage(name, "--grid: expected a name ending with .png or .svg; found '%s'",
                              s->grid);
    return check_pictures(s, false, name);
}

static int run(const settings *s) {
    vt_model *model = NULL;
    work w = {.settings = s};
    int code = check_usage(s);
    if (code == EXIT_DONE)
        code = open_model(&model, s, similar_command.name);
    if (code == EXIT_DONE)
        code = check_takes_pictures(model);
    if (code == EXIT_DONE)
        code = find(&w, model);
    free(w.found);
    embeddings_free(&w.others);
    embeddings_free(&w.query);
    vt_model_close(model);
    return code;
}

static const option result_rows[] = {
    {'k', "top", "N", "pictures shown, nearest first", .initial = "10", .parse = parse_count,
     FIELD(top)},
    {0, "threshold", "COSINE", "leave out what is less alike; copies are near 1",
     .parse = parse_real, FIELD(threshold)},
    {0, "grid", "OUT", "draw them beside the query: a name ending with .png or .svg",
     .parse = parse_text, FIELD(grid)},
    {0, "format", "FORMAT", "one of", .initial = "text", .choice = format_name, FIELD(format)},
    {0},
};

static const option_group result_options = {"Results", result_rows};

const command similar_command = {
    .name = "similar",
    .summary = "find the pictures nearest to one",
    .operands = "QUERY IMAGE...",
    .about = "Compares QUERY with each IMAGE (a directory stands for the pictures in it) and lists "
             "the nearest with the cosine of their vectors: 1 for the same picture, less the less "
             "they are alike. What counts as alike is the model's to say: one trained to tell "
             "breeds of dogs apart sees other things than one trained on drawings.",
    .groups = (const option_group *const[]){&result_options, &many_pictures_options, &model_options,
                                            &picture_options, &general_options, NULL},
    .examples = "  vitrine similar cat.jpg album\n"
                "  vitrine similar cat.jpg album -k 20 --grid cats.png\n"
                "  vitrine similar cat.jpg album --threshold 0.98 --format json\n",
    .run = run,
};
