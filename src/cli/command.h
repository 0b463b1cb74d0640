/* SPDX-License-Identifier: MIT
 *
 * A command: its help, its options and its function. main.c lists them. Help, man pages and
 * completions are made from these tables, and from manual.h.
 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <stdio.h>

#include "diagnose.h"
#include "settings.h"

/* Under which heading of `vitrine help` a command stands. */
typedef enum command_topic {
    TOPIC_PICTURES,
    TOPIC_TEXTS,
    TOPIC_MODELS,
    TOPIC_MEASURING,
    TOPIC_HELP,
    TOPIC_COUNT
} command_topic;

typedef struct command {
    const char *name;
    command_topic topic;
    const char *summary;               /* one line, lower case, no full stop */
    const char *operands;              /* in the synopsis: "IMAGE..."; complete.h reads it too */
    const char *about;                 /* one paragraph */
    const option_group *const *groups; /* ends with NULL */
    const char *examples;              /* lines of help, each "  vitrine …\n" */
    int (*run)(const settings *);      /* an exit code */
} command;

extern const command classify_command, embed_command, zeroshot_command, inspect_command,
    dump_command, perplexity_command, generate_command, bench_command, sweep_command, pack_command,
    pull_command, models_command, fit_command, attention_command, similar_command, cluster_command,
    stream_command, help_command;

/* In the order of `vitrine help`. NULL past the last. */
const command *command_at(size_t index);
const command *command_find(const char *name);
const char *topic_title(command_topic topic);

/* "unknown command 'clasify', did you mean 'classify'?" Returns EXIT_USAGE. */
int command_unknown(const char *name);

/* What `vitrine help` explains beside the commands: "environment". NULL past the last. */
const char *help_subject(size_t index);

/* `vitrine help` and `vitrine COMMAND --help`. */
void help_print_overview(FILE *out);
void help_print_command(FILE *out, const command *about);

#endif
