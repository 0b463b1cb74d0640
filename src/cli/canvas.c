/* SPDX-License-Identifier: MIT */
#include "canvas.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose.h"
#include "gnuplot.h"
#include "palette.h"
#include "paths.h"
#include "text.h"

typedef struct canvas_item {
    size_t x, y;
    raster picture; /* or else a text */
    char *text;
    canvas_align align;
} canvas_item;

bool canvas_can_write(const char *path) {
    return path_ends_with(path, ".png") || path_ends_with(path, ".svg");
}

static canvas_item *add_item(canvas *c) {
    c->items = reallocate(c->items, c->count + 1, sizeof *c->items);
    return &c->items[c->count++];
}

void canvas_picture(canvas *c, raster picture, size_t x, size_t y) {
    *add_item(c) = (canvas_item){.x = x, .y = y, .picture = picture};
}

/* Letters of UTF-8 begin with a byte that goes on nothing. */
static bool begins_letter(char byte) {
    return ((unsigned char)byte & 0xC0) != 0x80;
}

static char *shorten(const char *text, size_t most) {
    size_t letters = 0, cut = 0;
    char *clean = text_clean(text, TEXT_UTF8);
    for (size_t i = 0; clean[i]; i++) {
        if (begins_letter(clean[i]) && ++letters == most)
            cut = i;
    }
    if (letters <= most)
        return clean;
    char *shortened = text_format("%.*s…", (int)cut, clean);
    free(clean);
    return shortened;
}

void canvas_text(canvas *c, size_t x, size_t y, canvas_align align, const char *text, size_t most) {
    *add_item(c) = (canvas_item){.x = x, .y = y, .text = shorten(text, most), .align = align};
}

static void put_page(FILE *out, const canvas *c, bool svg) {
    fprintf(out, "set terminal %s size %zu,%zu font \"sans,10\" background \"#ffffff\"\n",
            svg ? "svg" : "pngcairo", c->width, c->height);
    fprintf(out,
            "set lmargin at screen 0\nset rmargin at screen 1\nset tmargin at screen 1\n"
            "set bmargin at screen 0\nunset border\nunset xtics\nunset ytics\nunset key\n"
            "set xrange [0:%zu]\nset yrange [%zu:0]\n",
            c->width, c->height);
}

static void put_texts(FILE *out, const canvas *c) {
    for (size_t i = 0; i < c->count; i++) {
        const canvas_item *item = &c->items[i];
        if (!item->text)
            continue;
        fprintf(out, "set label ");
        gnuplot_text(out, item->text);
        fprintf(out, " at %zu,%zu %s noenhanced front\n", item->x, item->y,
                item->align == CANVAS_LEFT ? "left" : "center");
    }
}

static void put_bar(FILE *out, const canvas *c) {
    enum { STEPS = 64, THICKNESS = 14 };
    const canvas_bar *bar = &c->bar;
    double w = (double)c->width, h = (double)c->height;
    fprintf(out, "set palette maxcolors 0 defined (");
    for (size_t i = 0; i <= STEPS; i++) {
        uint8_t rgb[3];
        double at = (double)i / STEPS;
        palette_colour(rgb, at);
        fprintf(out, "%s%.6f \"#%02x%02x%02x\"", i ? ", " : "", at, rgb[0], rgb[1], rgb[2]);
    }
    fprintf(out, ")\nset cbrange [%.9g:%.9g]\nset cbtics format \"%%g\"\nset cblabel ", bar->least,
            bar->most);
    gnuplot_text(out, bar->label);
    fprintf(out, " offset 1.5,0\nset colorbox user origin screen %.6f,%.6f size screen %.6f,%.6f\n",
            (double)bar->x / w, 1 - (double)(bar->y + bar->height) / h, THICKNESS / w,
            (double)bar->height / h);
}

/* Pixels are centred half a pixel from their corners. Their bytes follow the plot's line. */
static void put_pictures(FILE *out, const canvas *c) {
    fprintf(out, "plot ");
    for (size_t i = 0; i < c->count; i++) {
        const canvas_item *item = &c->items[i];
        if (item->picture.pixels)
            fprintf(out,
                    "\"-\" binary array=(%zu,%zu) origin=(%zu.5,%zu.5) format=\"%%uchar\" with "
                    "rgbimage, ",
                    item->picture.width, item->picture.height, item->x, item->y);
    }
    fprintf(out, "NaN with points%s\n", c->bar.label ? " palette" : "");
    for (size_t i = 0; i < c->count; i++) {
        const raster *picture = &c->items[i].picture;
        if (picture->pixels)
            fwrite(picture->pixels, 3 * picture->width, picture->height, out);
    }
}

int canvas_write(const canvas *c, const char *path) {
    gnuplot g;
    if (!gnuplot_draw(&g, path))
        return EXIT_SOME_FAILED;
    put_page(g.script, c, path_ends_with(path, ".svg"));
    put_texts(g.script, c);
    if (c->bar.label)
        put_bar(g.script, c);
    put_pictures(g.script, c);
    return gnuplot_draw_end(&g);
}

void canvas_free(canvas *c) {
    for (size_t i = 0; i < c->count; i++) {
        raster_free(&c->items[i].picture);
        free(c->items[i].text);
    }
    free(c->items);
    *c = (canvas){0};
}
