/* SPDX-License-Identifier: MIT
 *
 * What holds for all commands: how they are called, how they end, which variables of the
 * environment and which files they heed. `vitrine help` and the man pages print these.
 */
#ifndef CLI_MANUAL_H
#define CLI_MANUAL_H

#include <stdbool.h>

#include "command.h"

typedef struct manual_row {
    const char *name;
    const char *meaning; /* a sentence without a capital and a full stop */
    const char *option;  /* concerns the commands that have it; NULL: all of them */
} manual_row;

extern const char manual_title[];    /* one line, lower case, no full stop */
extern const char manual_about[];    /* one paragraph */
extern const char manual_examples[]; /* as a command's */

/* End with {0}. */
extern const manual_row manual_exit_codes[], manual_variables[], manual_files[];

/* Whether a row concerns a command; NULL: vitrine as a whole. */
bool manual_concerns(const manual_row *row, const command *about);

#endif
