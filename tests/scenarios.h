/* SPDX-License-Identifier: MIT
 *
 * One run of each command and of each way out of it, in the folder of command_workspace: what tests
 * of faults go through. A new command gets its rows in scenarios.c.
 */
#ifndef TESTS_SCENARIOS_H
#define TESTS_SCENARIOS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct scenario {
    const char *name;
    const char *argv[16]; /* from "vitrine" on, up to NULL */
    const char *output;   /* the file that it writes; NULL: none */
    bool prints;          /* something on standard output */
    bool varies;          /* and not the same each time */
    bool flows;           /* that is a text which comes as it is made, not lines */
    bool draws;           /* runs gnuplot */
} scenario;

/* NULL past the last. */
const scenario *scenario_at(size_t index);

/* Makes what they read, in the folder of command_workspace. */
void scenarios_prepare(void);

#endif
