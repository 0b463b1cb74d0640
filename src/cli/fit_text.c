/* SPDX-License-Identifier: MIT
 *
 * The outcome for people. Numbers stand before names, so that no name's width has to be guessed.
 */
#include <stdlib.h>

#include "diagnose.h"
#include "fit_outcome.h"
#include "terminal.h"
#include "text.h"

static void print_clean(const char *before, const char *name, const char *after) {
    char *clean = text_clean(name, TEXT_ONE_LINE);
    printf("%s%s%s", before, clean, after);
    free(clean);
}

static int digits(size_t number) {
    int count = 1;
    for (; number >= 10; number /= 10)
        count++;
    return count;
}

static void print_heading(const fit_outcome *o) {
    char count[32], computed[32];
    print_clean("", o->album->folder, "");
    printf(": %zu classes, %s pictures; vectors of %zu at %zux%zu, %s of them computed now\n",
           o->album->num_classes, text_grouped(count, o->album->count), o->features->width,
           o->input_height, o->input_width, text_grouped(computed, o->features->num_computed));
}

static void print_accuracy(const fit_outcome *o) {
    printf("\n  %5.1f%%  right, each left out of the fit that is asked (%.1f%% of a class, on "
           "average)\n",
           100 * o->left_out_accuracy, 100 * o->class_accuracy);
    if (o->num_parts)
        printf("  %5.1f%%  right, in %zu-fold cross-validation\n", 100 * o->parts_accuracy,
               o->num_parts);
    printf("  strength %.3g, of %.0e to %.0e; outputs scaled by %.3g\n",
           o->fit->strength[o->fit->chosen], o->fit->strength[0],
           o->fit->strength[RIDGE_STRENGTHS - 1], o->fit->scale);
}

/* ---- confusion ----------------------------------------------------------------------------------
 */

static int cell_width(const fit_outcome *o) {
    size_t classes = o->album->num_classes, most = classes;
    for (size_t i = 0; i < classes * classes; i++)
        most = o->confusion[i] > most ? o->confusion[i] : most;
    return digits(most) + 2;
}

static void print_matrix(const fit_outcome *o, int cell) {
    size_t classes = o->album->num_classes;
    int number = digits(classes);
    printf("\nRow: the folder. Column: what its pictures are taken for.\n%*s", number + 2, "");
    for (size_t k = 0; k < classes; k++)
        printf("%*zu", cell, k + 1);
    putchar('\n');
    for (size_t k = 0; k < classes; k++) {
        printf("  %*zu", number, k + 1);
        for (size_t j = 0; j < classes; j++)
            if (o->confusion[k * classes + j])
                printf("%*zu", cell, o->confusion[k * classes + j]);
            else
                printf("%*s", cell, ".");
        print_clean("   ", o->album->classes[k], "\n");
    }
}

typedef struct mistake {
    size_t count, folder, taken_for;
} mistake;

static int compare_mistakes(const void *a, const void *b) {
    const mistake *x = a, *y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    if (x->folder != y->folder)
        return x->folder < y->folder ? -1 : 1;
    return x->taken_for < y->taken_for ? -1 : x->taken_for > y->taken_for;
}

static void print_mistakes(const fit_outcome *o) {
    enum { MOST = 10 };
    size_t classes = o->album->num_classes, count = 0;
    mistake *all = allocate(o->album->count, sizeof *all);
    for (size_t k = 0; k < classes; k++)
        for (size_t j = 0; j < classes; j++)
            if (j != k && o->confusion[k * classes + j])
                all[count++] = (mistake){o->confusion[k * classes + j], k, j};
    qsort(all, count, sizeof *all, compare_mistakes);
    if (count)
        printf("\nTaken for another most often:\n");
    for (size_t i = 0; i < count && i < MOST; i++) {
        printf("  %5zu", all[i].count);
        print_clean("  ", o->album->classes[all[i].folder], ", taken for ");
        print_clean("", o->album->classes[all[i].taken_for], "\n");
    }
    free(all);
}

static void print_confusion(const fit_outcome *o) {
    terminal screen = terminal_of(stdout);
    enum { NAME = 16, MOST = 40 };
    size_t classes = o->album->num_classes;
    int cell = classes <= MOST ? cell_width(o) : 0;
    if (classes <= MOST && 7 + classes * (size_t)cell + NAME <= screen.columns)
        print_matrix(o, cell);
    else
        print_mistakes(o);
}

/* ------------------------------------------------------------------------------------------------
 */

static void print_unsure(const fit_outcome *o) {
    size_t count = o->num_unsure < o->album->count ? o->num_unsure : o->album->count;
    if (count)
        printf("\nLeast sure of (score of the folder; of the best other class):\n");
    for (size_t i = 0; i < count; i++) {
        const left_out_picture *p = &o->unsure[i];
        printf("  %5.1f%%  %5.1f%%", 100 * p->own_score, 100 * p->other_score);
        print_clean(" ", o->album->classes[p->other], "  ");
        print_clean("", o->album->pictures[p->index].path, "\n");
    }
}

void fit_print_text(const fit_outcome *o) {
    print_heading(o);
    print_accuracy(o);
    print_confusion(o);
    print_unsure(o);
}
