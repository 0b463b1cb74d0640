/* SPDX-License-Identifier: MIT
 *
 * vitrine help: the overview, each command's help made from its tables, and what holds for all.
 */
#include <string.h>

#include "command.h"
#include "man.h"
#include "manual.h"
#include "text.h"

enum { WIDTH = 80 };
static const char environment[] = "environment";

const char *help_subject(size_t index) {
    return index == 0 ? environment : NULL;
}

static void print_exit_codes(FILE *out) {
    fputs("\nExit codes:\n", out);
    for (const manual_row *row = manual_exit_codes; row->name; row++)
        fprintf(out, "  %s  %s\n", row->name, row->meaning);
}

static void print_topic(FILE *out, command_topic topic) {
    fprintf(out, "\n%s:\n", topic_title(topic));
    for (size_t i = 0; command_at(i); i++)
        if (command_at(i)->topic == topic)
            fprintf(out, "  %-12s%s\n", command_at(i)->name, command_at(i)->summary);
}

void help_print_overview(FILE *out) {
    fprintf(out, "vitrine: %s\n\nUsage: vitrine COMMAND [OPTION]... [OPERAND]...\n\n",
            manual_title);
    text_wrap(out, manual_about, 0, 0, WIDTH);
    for (command_topic topic = 0; topic < TOPIC_COUNT; topic++)
        print_topic(out, topic);
    fprintf(out, "\nExamples:\n%s", manual_examples);
    print_exit_codes(out);
    fputs("\n'vitrine COMMAND --help' says more, 'vitrine help environment' has variables, and\n"
          "'vitrine --version' prints the version.\n",
          out);
}

void help_print_command(FILE *out, const command *about) {
    fprintf(out, "vitrine %s: %s\n\n", about->name, about->summary);
    fprintf(out, "Usage: vitrine %s [OPTION]...%s%s\n\n", about->name, *about->operands ? " " : "",
            about->operands);
    text_wrap(out, about->about, 0, 0, WIDTH);
    options_print(out, about->groups);
    fprintf(out, "\nExamples:\n%s", about->examples);
    print_exit_codes(out);
}

static void print_environment(FILE *out) {
    enum { INDENT = 8 };
    fputs("Variables of the environment that vitrine heeds:\n\n", out);
    for (const manual_row *row = manual_variables; row->name; row++) {
        fprintf(out, "  %s\n%*s", row->name, INDENT, "");
        text_wrap(out, row->meaning, INDENT, INDENT, WIDTH);
    }
}

static int explain(const char *subject, bool man) {
    const command *about = command_find(subject);
    if (about && man)
        man_print(stdout, about);
    else if (about)
        help_print_command(stdout, about);
    else if (strcmp(subject, environment) != 0)
        return command_unknown(subject);
    else if (man)
        return complain_usage(help_command.name, "'%s' is in the page of vitrine itself", subject);
    else
        print_environment(stdout);
    return EXIT_DONE;
}

static int run(const settings *s) {
    if (s->num_operands > 1)
        return complain_usage(help_command.name, "unexpected '%s'", s->operands[1]);
    if (s->num_operands)
        return explain(s->operands[0], s->man);
    if (s->man)
        man_print(stdout, NULL);
    else
        help_print_overview(stdout);
    return EXIT_DONE;
}

static const option help_rows[] = {
    {0, "man", NULL, "as the source of a man page, for 'man -l -'", FIELD(man)},
    {0},
};

static const option_group help_options = {"What is printed", help_rows};

const command help_command = {
    .name = "help",
    .topic = TOPIC_HELP,
    .summary = "this overview, or the help of one command",
    .operands = "[COMMAND | environment]",
    .about = "Explains vitrine's commands, and the variables of the environment that they heed.",
    .groups = (const option_group *const[]){&help_options, &general_options, NULL},
    .examples = "  vitrine help classify\n"
                "  vitrine help --man classify | man -l -\n",
    .run = run,
};
