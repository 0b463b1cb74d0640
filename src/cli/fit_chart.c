/* SPDX-License-Identifier: MIT
 *
 * The confusion of classes as a picture.
 */
#include <string.h>

#include "diagnose.h"
#include "fit_outcome.h"
#include "gnuplot.h"
#include "paths.h"

/* Up to so many classes are named, and cells have their counts in them. */
enum { MOST_NAMED = 60, MOST_COUNTED = 25, MOST_NAME = 40 };

bool fit_can_draw(const char *path) {
    return path_ends_with(path, ".png") || path_ends_with(path, ".svg");
}

/* Columns: predicted, folder, share of the folder, count. */
static void put_cells(FILE *out, const fit_outcome *o) {
    size_t classes = o->album->num_classes;
    fprintf(out, "$cells << END\n");
    for (size_t k = 0; k < classes; k++)
        for (size_t j = 0; j < classes; j++) {
            size_t count = o->confusion[k * classes + j];
            fprintf(out, "%zu %zu %.6g %zu\n", j, k, 100 * (double)count / (double)o->sizes[k],
                    count);
        }
    fprintf(out, "END\n");
}

/* A long name is cut, not amid a character of UTF-8. */
static void put_name(FILE *out, const char *name) {
    char cut[MOST_NAME + 8];
    size_t length = strlen(name);
    if (length > MOST_NAME) {
        length = MOST_NAME;
        while (length && ((unsigned char)name[length] & 0xC0) == 0x80)
            length--;
    }
    snprintf(cut, sizeof cut, "%.*s%s", (int)length, name, name[length] ? "…" : "");
    gnuplot_text(out, cut);
}

static void put_tics(FILE *out, const fit_outcome *o, char axis) {
    fprintf(out, "set %ctics %s(", axis, axis == 'x' ? "rotate by -55 " : "");
    for (size_t k = 0; k < o->album->num_classes; k++) {
        fputs(k ? ", " : "", out);
        put_name(out, o->album->classes[k]);
        fprintf(out, " %zu", k);
    }
    fprintf(out, ") scale 0 textcolor rgb \"#000000\"\n");
}

static void put_page(FILE *out, const fit_outcome *o, const char *path) {
    size_t classes = o->album->num_classes;
    bool named = classes <= MOST_NAMED;
    size_t edge = 24 * (named ? classes : 0);
    edge = edge < 300 ? 300 : edge;
    edge = named ? edge : 700;
    fprintf(out, "set terminal %s size %zu,%zu font \"sans,11\" background \"#ffffff\"\n",
            path_ends_with(path, ".svg") ? "svg" : "pngcairo", edge + 330, edge + 210);
    fprintf(out,
            "set termoption noenhanced\nset title \"%.1f%% of %zu pictures right, each left "
            "out of the fit\"\n",
            100 * o->left_out_accuracy, o->album->count);
    fprintf(out,
            "set xlabel \"taken for\"\nset ylabel \"folder\"\nset size ratio -1\n"
            "set xrange [-0.5:%zu.5]\nset yrange [%zu.5:-0.5]\nset border lc rgb \"#999999\"\n"
            "set palette defined (0 '#ffffff', 1 '#08519c')\nset cbrange [0:100]\n"
            "set cblabel \"of the folder (%%)\"\nset cbtics textcolor rgb \"#000000\"\n",
            classes - 1, classes - 1);
    if (named) {
        put_tics(out, o, 'x');
        put_tics(out, o, 'y');
    } else {
        fprintf(out, "unset xtics\nunset ytics\n");
    }
}

static void put_plot(FILE *out, const fit_outcome *o) {
    fprintf(out, "plot $cells using 1:2:3 with image notitle");
    if (o->album->num_classes <= MOST_COUNTED)
        fprintf(out, ", $cells using 1:2:($4 > 0 ? sprintf(\"%%d\", $4) : \"\"):($3 > 50 ? "
                     "0xffffff : 0x333333) with labels font \"sans,9\" tc rgb variable notitle");
    fprintf(out, "\n");
}

int fit_draw_confusion(const fit_outcome *o, const char *path) {
    gnuplot g;
    if (!gnuplot_draw(&g, path))
        return EXIT_SOME_FAILED;
    put_cells(g.script, o);
    put_page(g.script, o, path);
    put_plot(g.script, o);
    return gnuplot_draw_end(&g);
}
