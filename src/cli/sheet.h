/* SPDX-License-Identifier: MIT
 *
 * A contact sheet: cells in rows, each of one picture or several side by side, with lines of text
 * below.
 */
#ifndef CLI_SHEET_H
#define CLI_SHEET_H

#include "canvas.h"

typedef struct sheet {
    canvas canvas;
    size_t across, edge;  /* of a cell: pictures, and the square that each lies in */
    size_t lines;         /* of text below */
    size_t columns, cell; /* cells in a row; the one that is filled */
} sheet;

/* For `count` cells. */
sheet sheet_make(size_t count, size_t across, size_t edge, size_t lines);

/* The picture is the sheet's from here on: number `place` of the cell, amid its square. */
void sheet_picture(sheet *s, raster picture, size_t place);
void sheet_text(sheet *s, const char *text, size_t line);
void sheet_next(sheet *s);

/* Returns an exit code, having complained. */
int sheet_write(const sheet *s, const char *path);
void sheet_free(sheet *s);

#endif
