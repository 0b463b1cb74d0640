/* SPDX-License-Identifier: MIT
 *
 * Command line options, described once: parsing and help are both made from these tables.
 *
 * Accepted: --name=value, --name value, -n value, -nvalue, flags in one word (-qh), options after
 * operands; "--" ends the options and "-" is an operand.
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Writes the field from the text. Returns NULL, or what was expected: "a whole number from 1 to 9".
 */
typedef const char *(*option_parse_fn)(void *field, const char *text);

/* The words that a choice accepts, NULL past the last. The field, an unsigned, gets the index; with
 * a `parse` beside it that stores the word. */
typedef const char *(*option_choice_fn)(size_t index);

typedef struct option {
    char letter; /* 0: long only */
    const char *name;
    const char *value;       /* what help calls the value, which tells a shell what may stand
                                there (complete.h); NULL: a flag, its field a bool */
    const char *help;        /* one sentence, no full stop; the default is added */
    const char *initial;     /* parsed before the command line; NULL: the field stays zero */
    option_choice_fn choice; /* this or `parse`, none for a flag */
    option_parse_fn parse;
    size_t offset;        /* of the field in the settings */
    const char *variable; /* of the environment: the value where the command line has none */
} option;

typedef struct option_group {
    const char *title;
    const option *options; /* ends with {0} */
} option_group;

typedef struct option_error {
    char message[1024]; /* one line */
} option_error;

/* Fills `settings` (zeroed by the caller) from argv[0..argc-1], which hold no program name, and
 * moves the operands to the front of argv. `groups` ends with NULL. */
bool options_parse(const option_group *const *groups, int argc, char **argv, void *settings,
                   size_t *num_operands, option_error *error);

/* The option that takes a value in a word, or from the word after it: "--top=5", "--top", "-qk5".
 * *attached is what stands in the word itself, NULL where there is nothing. NULL when the word is
 * no option, or none with a value. */
const option *options_valued(const option_group *const *groups, const char *word,
                             const char **attached);

/* What --help says of the option: its help, the words of its choice, its default. */
void options_describe(const option *o, char *text, size_t size);

/* The options as --help shows them. */
void options_print(FILE *out, const option_group *const *groups);

#endif
