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

typedef struct gnuplot {
    FILE *script; /* print the commands here; NULL: there is no gnuplot */
    pid_t process;
} gnuplot;

/* Starts it; `script` is NULL where it is not installed. */
gnuplot gnuplot_start(void);

/* Waits until all is drawn. False when something went wrong. */
bool gnuplot_finish(gnuplot *g);

/* The same for one picture at `path`; what goes wrong is complained about. gnuplot_draw_end returns
 * an exit code. */
gnuplot gnuplot_draw(const char *path);
int gnuplot_draw_end(gnuplot *g, const char *path);

/* A text between quotes, as gnuplot reads it: nothing in it is run or taken for mark-up. */
void gnuplot_text(FILE *script, const char *text);

#endif
