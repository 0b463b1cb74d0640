/* SPDX-License-Identifier: MIT
 *
 * Standard output a line, or a block of lines, at a time: it arrives at once, and whole even where
 * SIGINT, SIGTERM or SIGHUP ends the command meanwhile.
 *
 *     lines_begin();
 *     printf(…);
 *     arrived = lines_end();
 */
#ifndef CLI_LINES_H
#define CLI_LINES_H

#include <stdbool.h>

/* Before anything is printed, on the thread that will print. */
void lines_prepare(void);

/* What is printed between these two belongs together. A signal that came in between ends the
 * command at lines_end; a second one does so at once. */
void lines_begin(void);
bool lines_end(void); /* output_flush's answer */

#endif
