/* SPDX-License-Identifier: MIT */
#include "sheet.h"

#include <math.h>

enum { MARGIN = 10, LINE = 16, LETTER = 8, MOST_WIDTH = 1000 };

static size_t cell_width(const sheet *s) {
    return s->across * s->edge + (s->across - 1) * MARGIN / 2;
}

static size_t cell_height(const sheet *s) {
    return s->edge + s->lines * LINE + MARGIN / 2;
}

static size_t left_of(const sheet *s) {
    return MARGIN + s->cell % s->columns * (cell_width(s) + MARGIN);
}

static size_t top_of(const sheet *s) {
    return MARGIN + s->cell / s->columns * (cell_height(s) + MARGIN);
}

/* As many columns as make the sheet about as high as wide, and fit. */
sheet sheet_make(size_t count, size_t across, size_t edge, size_t lines) {
    sheet s = {.across = across, .edge = edge, .lines = lines, .columns = 1};
    double ratio = (double)cell_height(&s) / (double)cell_width(&s);
    size_t fitting = MOST_WIDTH / (cell_width(&s) + MARGIN);
    s.columns = (size_t)ceil(sqrt((double)count * ratio * 1.5));
    s.columns = s.columns > fitting ? fitting : s.columns;
    s.columns = s.columns > count ? count : s.columns;
    s.columns = s.columns ? s.columns : 1;
    size_t rows = (count + s.columns - 1) / s.columns;
    s.canvas.width = MARGIN + s.columns * (cell_width(&s) + MARGIN);
    s.canvas.height = MARGIN + rows * (cell_height(&s) + MARGIN);
    return s;
}

void sheet_picture(sheet *s, raster picture, size_t place) {
    size_t x = left_of(s) + place * (s->edge + MARGIN / 2) + (s->edge - picture.width) / 2;
    canvas_picture(&s->canvas, picture, x, top_of(s) + (s->edge - picture.height) / 2);
}

void sheet_text(sheet *s, const char *text, size_t line) {
    canvas_text(&s->canvas, left_of(s) + cell_width(s) / 2,
                top_of(s) + s->edge + LINE * line + LINE / 2 + 2, CANVAS_CENTRE, text,
                cell_width(s) / LETTER);
}

void sheet_next(sheet *s) {
    s->cell++;
}

int sheet_write(const sheet *s, const char *path) {
    return canvas_write(&s->canvas, path);
}

void sheet_free(sheet *s) {
    canvas_free(&s->canvas);
}
