/* SPDX-License-Identifier: MIT */
#include "progress.h"

#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "text.h"

enum { MANY = 8, LABEL_COLUMNS = 44, WIDEST = 60 };

const size_t progress_unknown = SIZE_MAX;

double clock_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

void progress_begin(progress *bar, size_t total, bool quiet) {
    *bar = (progress){.screen = terminal_of(stderr), .total = total, .started = clock_ms()};
    bar->enabled =
        !quiet && bar->screen.present && total >= MANY && bar->screen.columns > LABEL_COLUMNS + 8;
}

void progress_hide(progress *bar) {
    if (bar->visible)
        fputs("\r\033[K", stderr);
    bar->visible = false;
}

static void print_count(const progress *bar, size_t done) {
    char part[32], whole[32];
    if (bar->label)
        fprintf(stderr, "%3.0f%% %s", 100 * (double)done / (double)bar->total, bar->label);
    else if (bar->bytes)
        fprintf(stderr, "%s/%s", text_bytes(part, done), text_bytes(whole, bar->total));
    else
        fprintf(stderr, "%zu/%zu", done, bar->total);
}

static void print_rate(const progress *bar, size_t done) {
    char amount[32];
    double elapsed = (clock_ms() - bar->started) / 1e3;
    double rate = elapsed > 0 && done > bar->before ? (double)(done - bar->before) / elapsed : 0;
    if (rate > 0 && bar->bytes)
        fprintf(stderr, " %s/s", text_bytes(amount, (size_t)rate));
    else if (rate > 0 && !bar->label)
        fprintf(stderr, " %.3g/s", rate);
    if (rate > 0 && elapsed > 1 && bar->total != progress_unknown) {
        unsigned long left = (unsigned long)((double)(bar->total - done) / rate + 0.5);
        fprintf(stderr, ", %lu:%02lu left", left / 60, left % 60);
    }
}

static void print_bar(const progress *bar, size_t done) {
    char text[3 * WIDEST + 1];
    size_t cells = bar->screen.columns - LABEL_COLUMNS;
    cells = cells > WIDEST ? WIDEST : cells;
    terminal_bar(text, cells, (double)done / (double)bar->total, bar->screen.utf8,
                 bar->screen.utf8 ? "░" : ".");
    fprintf(stderr, "%s ", text);
    print_count(bar, done);
}

bool progress_is_due(const progress *bar) {
    return bar->enabled && (!bar->visible || clock_ms() - bar->drawn >= 100);
}

static void end_drawing(progress *bar) {
    fflush(stderr);
    bar->drawn = clock_ms();
    bar->visible = true;
}

void progress_show(progress *bar, size_t done) {
    bool is_open = bar->total == progress_unknown;
    if (!progress_is_due(bar) || (is_open && done < MANY))
        return;
    fputs("\r\033[K", stderr);
    if (is_open)
        fprintf(stderr, "%zu", done);
    else
        print_bar(bar, done);
    print_rate(bar, done);
    end_drawing(bar);
}

void progress_begin_text(progress *bar, bool quiet) {
    *bar = (progress){.screen = terminal_of(stderr)};
    bar->enabled = !quiet && bar->screen.present;
}

/* Bytes of the text that fit into so many columns, if none of its characters is wider than one. */
static size_t fitting(const char *text, size_t columns) {
    size_t length = 0;
    for (; text[length] && columns > 0; columns--)
        do
            length++;
        while (((unsigned char)text[length] & 0xC0) == 0x80); /* the rest of a character */
    return length;
}

void progress_draw_text(progress *bar, const char *text) {
    char *clean = text_clean(text, TEXT_ONE_LINE);
    fprintf(stderr, "\r\033[K%.*s", (int)fitting(clean, bar->screen.columns - 1), clean);
    free(clean);
    end_drawing(bar);
}
