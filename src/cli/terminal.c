/* SPDX-License-Identifier: MIT */
#include "terminal.h"

#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

terminal terminal_of(FILE *stream) {
    terminal t = {.columns = 80};
    const char *type = getenv("TERM"), *no_colour = getenv("NO_COLOR");
    struct winsize size;
    if (!isatty(fileno(stream)) || !type || strcmp(type, "dumb") == 0)
        return t;
    t.present = true;
    t.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    t.colour = !no_colour || !*no_colour;
    if (ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        t.columns = size.ws_col;
    return t;
}

static char *append(char *end, const char *text) {
    size_t length = strlen(text);
    memcpy(end, text, length + 1);
    return end + length;
}

void terminal_bar(char *text, size_t cells, double fraction, bool utf8, const char *rest) {
    static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    double clamped = fraction < 0 ? 0 : fraction > 1 ? 1 : fraction;
    size_t filled = (size_t)(clamped * (double)cells * 8 + 0.5), cell = 0;
    *text = '\0';
    for (; cell < filled / 8; cell++)
        text = append(text, utf8 ? "█" : "#");
    if (utf8 && filled % 8 && cell < cells) {
        text = append(text, eighths[filled % 8]);
        cell++;
    }
    for (; cell < cells; cell++)
        text = append(text, rest);
}
