/* SPDX-License-Identifier: MIT
 *
 * Who is reading: a terminal or a pipe, how wide, and whether it shows UTF-8.
 */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

typedef struct terminal {
    bool present; /* false: a pipe, a file, or TERM=dumb */
    bool utf8;
    bool colour; /* NO_COLOR is not set */
    size_t columns;
} terminal;

terminal terminal_of(FILE *stream);

/* Draws `fraction` (0 to 1) of a bar of `cells` columns: eighths of a block where UTF-8 is shown,
 * '#' elsewhere. `text` must hold 3 * cells + 1 bytes. The rest of the bar is filled with `rest`.
 */
void terminal_bar(char *text, size_t cells, double fraction, bool utf8, const char *rest);

#endif
