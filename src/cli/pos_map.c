/* SPDX-License-Identifier: MIT */
#include "pos_map.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose.h"
#include "gnuplot.h"
#include "outfile.h"
#include "paths.h"

/* The similarities of all pairs of places at one input size. */
typedef struct pos_map {
    size_t height, width; /* of the input */
    size_t rows, columns; /* of the grid */
    float *cosines;       /* [places][places]; NULL: the model adds no table */
} pos_map;

static size_t num_places(const pos_map *m) {
    return m->rows * m->columns;
}

/* ---- the table, as the model adds it -----------------------------------------------------------
 */

static double dot(const float *a, const float *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

static void fill_cosines(pos_map *m, const float *table, size_t width) {
    size_t n = num_places(m);
    double *lengths = allocate(n, sizeof *lengths);
    m->cosines = allocate(n * n, sizeof *m->cosines);
    for (size_t i = 0; i < n; i++)
        lengths[i] = sqrt(dot(table + i * width, table + i * width, width));
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            m->cosines[i * n + j] = (float)(dot(table + i * width, table + j * width, width) /
                                            (lengths[i] * lengths[j]));
    free(lengths);
}

/* The stage "pos" of a pass: [1][tokens][width], perhaps with rows of prefix tokens before the
 * grid's. */
static void on_stage(void *user, const vt_tensor *stage) {
    pos_map *m = user;
    if (strcmp(stage->name, "pos") != 0 || stage->shape[1] < num_places(m) || m->cosines)
        return;
    size_t width = stage->shape[2], prefix = stage->shape[1] - num_places(m);
    fill_cosines(m, (const float *)stage->data + prefix * width, width);
}

/* A pass over nothing, for the sake of the table that it adds. */
static vt_status find_map(pos_map *m, const vt_model *model, const settings *s, vt_error *err) {
    vt_session *session = NULL;
    vt_model_plan plan;
    vt_session_options options = VT_SESSION_OPTIONS_INIT;
    options.height = m->height;
    options.width = m->width;
    options.num_threads = s->threads;
    vt_status status = vt_model_plan_forward(&plan, model, 1, m->height, m->width, s->threads, err);
    if (!status)
        status = vt_session_create(&session, model, &options, err);
    if (status)
        return status;
    m->height = plan.input_height;
    m->width = plan.input_width;
    m->rows = plan.grid_height;
    m->columns = plan.grid_width;
    float *pixels = allocate(vt_session_picture_floats(session), sizeof *pixels);
    vt_session_on_stage(session, on_stage, m);
    status = vt_session_forward(session, pixels, 1, err);
    free(pixels);
    vt_session_destroy(session);
    return status;
}

/* ---- the picture -------------------------------------------------------------------------------
 */

/* Larger grids have a map at every second place, or third…: more can't be told apart. */
static size_t step_of(const pos_map *m) {
    enum { MOST = 20 };
    size_t larger = m->rows > m->columns ? m->rows : m->columns;
    return (larger + MOST - 1) / MOST;
}

/* A line of the picture: of all maps in a row of maps, the line `y`; a gap between two maps. */
static void put_line(FILE *out, const pos_map *m, size_t row, size_t y) {
    for (size_t column = 0; column < m->columns; column += step_of(m)) {
        const float *map = m->cosines + (row * m->columns + column) * num_places(m);
        for (size_t x = 0; x < m->columns; x++)
            fprintf(out, "%.3f ", (double)map[y * m->columns + x]);
        fputs("NaN ", out);
    }
    fputc('\n', out);
}

static void put_matrix(FILE *out, const pos_map *m, const char *name) {
    fprintf(out, "$%s << END\n", name);
    for (size_t row = 0; row < m->rows; row += step_of(m)) {
        for (size_t y = 0; y < m->rows; y++)
            put_line(out, m, row, y);
        for (size_t column = 0; column < m->columns; column += step_of(m))
            for (size_t x = 0; x <= m->columns; x++)
                fputs("NaN ", out);
        fputc('\n', out);
    }
    fprintf(out, "END\n");
}

/* Names each map by its place in the grid: about eight to an axis. */
static void put_ticks(FILE *out, char axis, size_t places, size_t step) {
    size_t maps = (places + step - 1) / step, skip = (maps + 7) / 8;
    fprintf(out, "set %ctics (", axis);
    for (size_t i = 0; i < maps; i += skip)
        fprintf(out, "%s\"%zu\" %.1f", i ? ", " : "", i * step + 1,
                (double)(i * (places + 1)) + (double)(places - 1) / 2);
    fprintf(out, ") scale 0\n");
}

static void put_panel(FILE *out, const pos_map *m, const char *name, const char *what) {
    fprintf(out, "set title \"%zu x %zu places, input %zux%zu%s\"\n", m->rows, m->columns,
            m->height, m->width, what);
    put_ticks(out, 'x', m->columns, step_of(m));
    put_ticks(out, 'y', m->rows, step_of(m));
    fprintf(out, "plot $%s matrix with image notitle\n", name);
}

static double least(const pos_map *m) {
    double found = 1;
    for (size_t i = 0; i < num_places(m) * num_places(m); i++)
        found = fmin(found, (double)m->cosines[i]);
    return found;
}

static void put_script(FILE *out, const char *path, const vt_model_info *info,
                       const pos_map *native, const pos_map *asked) {
    char what[64];
    put_matrix(out, native, "native");
    put_matrix(out, asked, "asked");
    fprintf(out, "set terminal %s size 1200,640 font \"sans,11\" background \"#ffffff\"\n",
            path_ends_with(path, ".svg") ? "svg" : "pngcairo");
    fprintf(out,
            "set multiplot layout 1,2 title \"each place's position, its cosine similarity "
            "to all others'\"\n"
            "set size ratio -1\nset yrange [*:*] reverse\nset autoscale fix\nunset border\n"
            "set xlabel \"column\"\nset ylabel \"row\"\nset cblabel \"cosine similarity\"\n"
            "set palette defined (0 '#440154', 1 '#3b528b', 2 '#21918c', 3 '#5ec962', "
            "4 '#fde725')\nset cbrange [%.3f:1]\n",
            fmin(least(native), least(asked)));
    snprintf(what, sizeof what, ", %s", info->pos_resize);
    put_panel(out, native, "native", ", as trained");
    put_panel(out, asked, "asked", what);
    fprintf(out, "unset multiplot\n");
}

static int draw(const char *path, const vt_model_info *info, const pos_map *native,
                const pos_map *asked) {
    gnuplot g;
    if (!gnuplot_draw(&g, path))
        return EXIT_SOME_FAILED;
    put_script(g.script, path, info, native, asked);
    return gnuplot_draw_end(&g);
}

static int save(const char *path, const pos_map *m) {
    size_t n = num_places(m);
    vt_tensor tensor = {.name = "cosine",
                        .dtype = VT_DTYPE_F32,
                        .ndim = 2,
                        .shape = {n, n},
                        .data = m->cosines,
                        .size = n * n * sizeof(float)};
    return outfile_write_npy(path, &tensor);
}

/* ------------------------------------------------------------------------------------------------
 */

bool pos_map_can_write(const char *path) {
    return path_ends_with(path, ".png") || path_ends_with(path, ".svg") ||
           path_ends_with(path, ".npy");
}

int write_pos_map(const settings *s, const vt_model *model) {
    vt_error err = {0};
    vt_model_info info;
    vt_model_describe(&info, model);
    pos_map native = {.height = info.image_height, .width = info.image_width}, asked = native;
    if (s->height) {
        asked.height = s->height;
        asked.width = s->width;
    }
    int code = EXIT_MODEL;
    if (find_map(&native, model, s, &err) || find_map(&asked, model, s, &err))
        complain(info.path, err.message);
    else if (!native.cosines || !asked.cosines)
        complain(info.path, "this model adds no table of positions that could be shown");
    else
        code = path_ends_with(s->pos_map, ".npy") ? save(s->pos_map, &asked)
                                                  : draw(s->pos_map, &info, &native, &asked);
    free(native.cosines);
    free(asked.cosines);
    return code;
}
