/* SPDX-License-Identifier: MIT
 *
 * Charts, drawn by gnuplot: a program of the distribution's that is run as a child, with a script
 * on its standard input. $VITRINE_GNUPLOT names another one.
 */
#ifndef CLI_GNUPLOT_H
#define CLI_GNUPLOT_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "outfile.h"

typedef struct gnuplot {
    FILE
        *script; /* print the commands here: what they draw, without `set output`, is the picture */
    outfile picture; /* in place once it is drawn */
    pid_t process;
} gnuplot;

typedef enum gnuplot_result {
    GNUPLOT_DONE,
    GNUPLOT_MISSING, /* it is not installed, which nobody has complained about */
    GNUPLOT_FAILED   /* and that has been complained about */
} gnuplot_result;

/* Starts it, to draw one picture. `path` must live until gnuplot_finish. */
gnuplot_result gnuplot_start(gnuplot *g, const char *path);

/* Waits until all is drawn. */
gnuplot_result gnuplot_finish(gnuplot *g);

/* The same where a missing gnuplot is a failure too. gnuplot_draw_end returns an exit code. */
bool gnuplot_draw(gnuplot *g, const char *path);
int gnuplot_draw_end(gnuplot *g);

/* A text as gnuplot reads one, with nothing in it that gnuplot would act on. */
void gnuplot_text(FILE *script, const char *text);

#endif
