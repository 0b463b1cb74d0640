/* SPDX-License-Identifier: MIT
 *
 * The charts of a sweep, as a script for gnuplot: what pictures tell, and what it costs.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose.h"
#include "paths.h"
#include "sweep.h"

/* Neighbouring rows that differ in size alone. */
typedef struct curve {
    size_t first, count;
    bool effect, cost; /* which panels it is in */
} curve;

typedef struct chart {
    const sweep_table *table;
    curve *curves;
    size_t num_curves;
    FILE *out;
} chart;

/* Columns of the data blocks. */
enum { EDGE = 1, TOKENS, GFLOP, MEDIAN, P95, MEMORY, RATE, TOP1, TOP5, AGREEMENT, KL, COSINE };

static double value_of(const sweep_row *row, int column) {
    switch (column) {
    case EDGE:
        return sqrt((double)row->height * (double)row->width);
    case TOKENS:
        return (double)row->tokens;
    case GFLOP:
        return (double)row->flops * 1e-9;
    case MEDIAN:
        return row->forward_median_ms;
    case P95:
        return row->forward_p95_ms;
    case MEMORY:
        return row->peak_rss_mb;
    case RATE:
        return row->images_per_s;
    case TOP1:
        return 100 * row->top1;
    case TOP5:
        return 100 * row->top5;
    case AGREEMENT:
        return 100 * row->agreement;
    case KL:
        return row->kl;
    default:
        return row->cosine;
    }
}

static bool is_known(const chart *c, int column) {
    for (size_t i = 0; i < c->table->count; i++)
        if (isfinite(value_of(&c->table->rows[i], column)))
            return true;
    return false;
}

/* ---- curves ------------------------------------------------------------------------------------
 */

static bool same_curve(const sweep_row *a, const sweep_row *b) {
    sweep_row other = *b;
    other.size = a->size;
    return sweep_same(a, &other);
}

/* What an answer is does not depend on the threads, nor what a pass costs on rule and group: one
 * curve of each is shown. Where there are groups, all of them together are nothing to look at. */
static void choose_panels(const chart *c, curve *of, unsigned which) {
    const sweep_row *row = &c->table->rows[of->first], *first = &c->table->rows[0];
    bool everything = strcmp(row->group, sweep_everything) == 0;
    of->effect = row->threads == first->threads && everything == !(which & BY_GROUP);
    of->cost = everything && strcmp(row->pos_resize, first->pos_resize) == 0;
}

static void find_curves(chart *c) {
    const sweep_row *rows = c->table->rows;
    unsigned which = sweep_varying(c->table);
    c->curves = allocate(c->table->count, sizeof *c->curves);
    for (size_t i = 0; i < c->table->count; i++) {
        if (i > 0 && same_curve(&rows[i - 1], &rows[i])) {
            c->curves[c->num_curves - 1].count++;
            continue;
        }
        curve *new = &c->curves[c->num_curves++];
        *new = (curve){.first = i, .count = 1};
        choose_panels(c, new, which);
    }
}

/* ---- the script --------------------------------------------------------------------------------
 */

static void put_number(FILE *out, double value, char after) {
    if (isfinite(value))
        fprintf(out, "%.9g%c", value, after);
    else
        fprintf(out, "NaN%c", after);
}

static void put_data(const chart *c) {
    for (size_t i = 0; i < c->num_curves; i++) {
        fprintf(c->out, "$curve%zu << END\n", i);
        for (size_t j = 0; j < c->curves[i].count; j++)
            for (int column = EDGE; column <= COSINE; column++) {
                double value = value_of(&c->table->rows[c->curves[i].first + j], column);
                put_number(c->out, value, column < COSINE ? ' ' : '\n');
            }
        fprintf(c->out, "END\n");
    }
}

/* One plot; the curves' colours are their own in all panels of a kind. */
typedef struct panel {
    const char *title, *x_label, *y_label;
    int x, y, dashed; /* columns; the last is drawn beside the other, 0: none */
    const char *solid_name, *dashed_name;
    bool cost, straight;  /* cost: what no answer has to do with; straight: with lines to compare */
    const char *settings; /* of the axes */
} panel;

/* The straight line that a panel is held against: time in proportion to arithmetic at the best rate
 * of the curve, or memory from its first to its last size. */
static void put_straight(const chart *c, const panel *p, const curve *of, size_t colour) {
    const sweep_row *first = &c->table->rows[of->first], *last = first + of->count - 1;
    double x0 = 0, y0 = 0, x1 = value_of(last, p->x), slope = INFINITY;
    if (p->y == MEMORY) {
        x0 = value_of(first, p->x);
        y0 = value_of(first, p->y);
        slope = x1 > x0 ? (value_of(last, p->y) - y0) / (x1 - x0) : 0;
    } else {
        for (const sweep_row *row = first; row <= last; row++)
            slope = fmin(slope, value_of(row, p->y) / value_of(row, p->x));
        x0 = value_of(first, p->x);
        y0 = slope * x0;
    }
    fprintf(c->out, ", [%.9g:%.9g] %.9g + %.9g * (x - %.9g) lt %zu lw 1 dt 3 notitle", x0, x1, y0,
            slope, x0, colour);
}

static const char *const colours[] = {"0072b2", "d55e00", "009e73", "cc79a7",
                                      "e69f00", "56b4e9", "000000", "999999"};
enum { NUM_COLOURS = sizeof colours / sizeof *colours };

/* Discs; squares and triangles where the colours come round again. */
static const int points[] = {7, 5, 9};

static void put_curve(const chart *c, const panel *p, size_t i, size_t colour, const char *name) {
    fprintf(c->out, "%s$curve%zu using %d:%d with linespoints lt %zu lw 2 pt %d ps 0.7 title ",
            colour > 1 ? ", " : "", i, p->x, p->y, colour, points[(colour - 1) / NUM_COLOURS % 3]);
    gnuplot_text(c->out, *name ? name : p->solid_name);
    if (p->dashed)
        fprintf(c->out, ", $curve%zu using %d:%d with lines lt %zu lw 1 dt 2 notitle", i, p->x,
                p->dashed, colour);
    if (p->straight)
        put_straight(c, p, &c->curves[i], colour);
}

static unsigned names_of(const chart *c, const panel *p) {
    unsigned kinds = p->cost ? BY_PATCH | BY_PRECISION | BY_THREADS
                             : BY_PATCH | BY_PRECISION | BY_RULE | BY_GROUP;
    return sweep_varying(c->table) & kinds;
}

static void put_panel(const chart *c, const panel *p) {
    char name[256];
    unsigned which = names_of(c, p);
    fprintf(c->out, "set title \"%s\"\nset xlabel \"%s\"\nset ylabel \"%s\"\n%s\nplot ", p->title,
            p->x_label, p->y_label, p->settings);
    size_t colour = 0;
    for (size_t i = 0; i < c->num_curves; i++)
        if (p->cost ? c->curves[i].cost : c->curves[i].effect)
            put_curve(c, p, i, ++colour,
                      sweep_curve_name(name, &c->table->rows[c->curves[i].first], which));
    if (p->dashed_name)
        fprintf(c->out, ", NaN with lines lw 1 dt 2 lc rgb \"#666666\" title \"%s\"",
                p->dashed_name);
    if (p->straight)
        fprintf(c->out, ", NaN with lines lw 1 dt 3 lc rgb \"#666666\" title \"%s\"",
                p->y == MEMORY ? "straight" : "in proportion");
    fprintf(c->out, "\nunset logscale\nset autoscale\n");
}

static const char edge_label[] = "input size (px)";
static const panel accuracy = {
    .title = "accuracy",
    .x_label = edge_label,
    .y_label = "pictures (%)",
    .x = EDGE,
    .y = TOP1,
    .solid_name = "top-1",
    .dashed = TOP5,
    .dashed_name = "top-5",
    .settings = "set yrange [0:100]",
};
static const panel agreement = {
    .title = "same best class as at the native size",
    .x_label = edge_label,
    .y_label = "pictures (%)",
    .x = EDGE,
    .y = AGREEMENT,
    .solid_name = "agreement",
    .settings = "set yrange [*:100]",
};
static const panel divergence = {
    .title = "probabilities, from those at the native size",
    .x_label = edge_label,
    .y_label = "mean KL divergence (nats)",
    .x = EDGE,
    .y = KL,
    .solid_name = "KL",
    .settings = "set yrange [0:*]",
};
static const panel features = {
    .title = "pooled features, to those at the native size",
    .x_label = edge_label,
    .y_label = "mean cosine",
    .x = EDGE,
    .y = COSINE,
    .solid_name = "cosine",
    .settings = "set yrange [*:1]",
};
static const panel rate = {
    .title = "preprocessing and forward pass",
    .x_label = edge_label,
    .y_label = "images/s",
    .x = EDGE,
    .y = RATE,
    .solid_name = "images/s",
    .cost = true,
    .settings = "set yrange [0:*]",
};
static const panel latency = {
    .title = "forward pass",
    .x_label = edge_label,
    .y_label = "latency (ms)",
    .x = EDGE,
    .y = MEDIAN,
    .solid_name = "median",
    .dashed = P95,
    .dashed_name = "95th percentile",
    .cost = true,
    .settings = "set yrange [0:*]",
};
static const panel memory = {
    .title = "memory",
    .x_label = edge_label,
    .y_label = "peak resident set (MB)",
    .x = EDGE,
    .y = MEMORY,
    .solid_name = "peak",
    .cost = true,
    .settings = "set yrange [0:*]",
};
static const panel time_by_arithmetic = {
    .title = "forward pass, against arithmetic",
    .x_label = "arithmetic (GFLOP)",
    .y_label = "latency (ms)",
    .x = GFLOP,
    .y = MEDIAN,
    .solid_name = "median",
    .dashed = P95,
    .dashed_name = "95th percentile",
    .cost = true,
    .straight = true,
    .settings = "set xrange [0:*]\nset yrange [0:*]",
};
static const panel memory_by_tokens = {
    .title = "memory, against tokens",
    .x_label = "tokens",
    .y_label = "peak resident set (MB)",
    .x = TOKENS,
    .y = MEMORY,
    .solid_name = "peak",
    .cost = true,
    .straight = true,
    .settings = "set xrange [0:*]\nset yrange [0:*]",
};

/* The panels that the table has figures for; returns how many. */
static size_t choose(const chart *c, const panel *panels[4]) {
    size_t count = 0;
    if (!is_known(c, COSINE)) {
        panels[count++] = &time_by_arithmetic;
        panels[count++] = &memory_by_tokens;
        return count;
    }
    if (is_known(c, TOP1))
        panels[count++] = &accuracy;
    panels[count++] = is_known(c, AGREEMENT) ? &agreement : &features;
    if (count < 2)
        panels[count++] = is_known(c, KL) ? &divergence : &rate;
    panels[count++] = &latency;
    panels[count++] = &memory;
    return count;
}

/* Lines of the legend below a panel: of two entries, or of one where names are long. */
static int legend_lines(const chart *c, const panel *p) {
    enum { LONG = 20 };
    char name[256];
    size_t entries = (p->dashed ? 1 : 0) + (p->straight ? 1 : 0), longest = 0;
    for (size_t i = 0; i < c->num_curves; i++) {
        const curve *of = &c->curves[i];
        if (!(p->cost ? of->cost : of->effect))
            continue;
        size_t length = strlen(sweep_curve_name(name, &c->table->rows[of->first], names_of(c, p)));
        longest = length > longest ? length : longest;
        entries++;
    }
    return (int)(longest > LONG ? entries : (entries + 1) / 2);
}

/* As many as the longest legend of all panels needs. */
static int most_legend_lines(const chart *c, const panel *const *panels, size_t count) {
    int most = 1;
    for (size_t i = 0; i < count; i++) {
        int lines = legend_lines(c, panels[i]);
        most = lines > most ? lines : most;
    }
    return most;
}

static void put_style(FILE *out) {
    for (size_t i = 0; i < NUM_COLOURS; i++)
        fprintf(out, "set linetype %zu lc rgb \"#%s\"\n", i + 1, colours[i]);
    fprintf(out, "set linetype cycle %d\n", NUM_COLOURS);
    fprintf(out, "set grid ytics lc rgb \"#cccccc\" lw 1\nset border 3\nset tics nomirror out\n"
                 "set key bmargin center horizontal maxcols 2 samplen 2\nset "
                 "samples 2\nset termoption noenhanced\n");
}

static void put_page(const chart *c, const char *terminal) {
    const panel *panels[4];
    size_t count = choose(c, panels);
    int rows = count > 2 ? 2 : 1, lines = most_legend_lines(c, panels, count);
    fprintf(c->out, "set terminal %s size 1200,%d font \"sans,11\" background \"#ffffff\"\n",
            terminal, 30 + rows * (436 + 19 * lines));
    put_style(c->out);
    const char *slash = strrchr(c->table->rows[0].model, '/');
    fprintf(c->out, "set multiplot layout %d,2 title ", rows);
    gnuplot_text(c->out, slash && slash[1] ? slash + 1 : c->table->rows[0].model);
    fputc('\n', c->out);
    for (size_t i = 0; i < count; i++) {
        size_t row = i / 2 * 2; /* both panels of a row have the height of one */
        size_t in_row = count - row < 2 ? count - row : 2;
        fprintf(c->out, "set bmargin %d\n", 5 + most_legend_lines(c, panels + row, in_row));
        put_panel(c, panels[i]);
    }
    fprintf(c->out, "unset multiplot\n");
}

static gnuplot_result draw_page(chart *c, const char *directory, const char *terminal,
                                const char *name) {
    gnuplot g;
    char *path = path_join(directory, name);
    gnuplot_result result = gnuplot_start(&g, path);
    if (result == GNUPLOT_DONE) {
        c->out = g.script;
        put_data(c);
        put_page(c, terminal);
        result = gnuplot_finish(&g);
    }
    free(path);
    return result;
}

gnuplot_result sweep_draw(const sweep_table *table, const char *directory) {
    chart c = {.table = table};
    if (!is_known(&c, MEDIAN)) /* no picture could be read */
        return GNUPLOT_DONE;
    find_curves(&c);
    gnuplot_result result = draw_page(&c, directory, "pngcairo", "sweep.png");
    if (result == GNUPLOT_DONE)
        result = draw_page(&c, directory, "svg", "sweep.svg");
    free(c.curves);
    return result;
}
