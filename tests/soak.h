/* SPDX-License-Identifier: MIT
 *
 * What scripts/soak runs, and how what was run is looked at.
 */
#ifndef TESTS_SOAK_H
#define TESTS_SOAK_H

#include <stdbool.h>
#include <stddef.h>

enum { MOST_WORDS = 24, LONGEST = 512 };

/* Files are relative to the folder that the command runs in. */
typedef struct plan {
    char words[MOST_WORDS][LONGEST];
    char *argv[MOST_WORDS + 1];
    size_t count;
    const char *input;   /* its standard input; NULL: nothing */
    bool piped;          /* which comes in pieces, through a pipe */
    const char *appends; /* what its standard output is appended to; NULL: it goes to a pipe */
    bool json, flows;    /* it prints lines of JSON; or words, as they come */
    const char *made, *expected; /* with code 0 these two have the same bytes */
} plan;

/* Makes what plans need, in the current folder, which is empty. */
void plans_prepare(const char *command);

/* What is run next there; files are damaged anew for it. */
void plan_draw(plan *p);

/* How a run ended. */
typedef struct ending {
    int status;
    bool interrupted; /* by us: with that signal, or, 0, by closing its pipe */
    int number;
} ending;

/* NULL, or what is wrong; the text is valid until the next call. `folder` has `stdout` and `stderr`
 * beside what the command wrote. What SIGKILL left behind is removed. */
const char *soak_check(const plan *p, const ending *end, const char *folder);

/* The list of pictures of plans that append: each has a line in the file when all is done. */
extern const char list_name[], results_name[], shared_name[];

/* Whole lines of the file, and others in it. */
void count_lines(const char *path, size_t *whole, size_t *broken);

#endif
