/* SPDX-License-Identifier: MIT
 *
 * Pictures and text side by side on one page, pixel for pixel; gnuplot puts them together, which
 * has the letters, the colour bar and the file formats. Coordinates are pixels from the upper left
 * corner.
 *
 *     canvas c = {.width = 640, .height = 480};
 *     canvas_picture(&c, raster, 10, 10);
 *     canvas_text(&c, 10, 470, CANVAS_LEFT, "a cat");
 *     code = canvas_write(&c, "out.png");
 *     canvas_free(&c);
 */
#ifndef CLI_CANVAS_H
#define CLI_CANVAS_H

#include <stdbool.h>
#include <stddef.h>

#include "raster.h"

typedef enum canvas_align { CANVAS_LEFT, CANVAS_CENTRE } canvas_align;

/* Values as colours (palette.h), with their numbers beside them. */
typedef struct canvas_bar {
    size_t x, y, height;
    double least, most;
    const char *label; /* NULL: there is no bar */
} canvas_bar;

typedef struct canvas {
    size_t width, height;
    canvas_bar bar;
    struct canvas_item *items;
    size_t count;
} canvas;

/* Whether a name tells a format that can be drawn: .png or .svg. */
bool canvas_can_write(const char *path);

/* The picture is the canvas's from here on. */
void canvas_picture(canvas *c, raster picture, size_t x, size_t y);

/* A line whose middle is at that height; a long one is cut to some 'most' letters. */
void canvas_text(canvas *c, size_t x, size_t y, canvas_align align, const char *text, size_t most);

/* The file is replaced when all is drawn. Returns an exit code, having complained. */
int canvas_write(const canvas *c, const char *path);

void canvas_free(canvas *c);

#endif
