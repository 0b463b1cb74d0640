/* SPDX-License-Identifier: MIT
 *
 * vitrine help: the overview, and each command's help made from its tables.
 */
#include "command.h"
#include "text.h"

static const char exit_codes[] =
    "\nExit codes:\n"
    "  0  all done\n"
    "  1  some inputs failed, each named on standard error; the others were processed\n"
    "  2  the command line is wrong\n"
    "  3  the model can't be used\n";

void help_print_overview(FILE *out) {
    fputs("vitrine: what is in a picture, by vision transformers\n\n"
          "Usage: vitrine COMMAND [OPTION]... [OPERAND]...\n\nCommands:\n",
          out);
    for (size_t i = 0; command_at(i); i++)
        fprintf(out, "  %-12s%s\n", command_at(i)->name, command_at(i)->summary);
    fputs("\nExamples:\n"
          "  vitrine classify cat.png             name what is in a picture\n"
          "  vitrine classify --format=csv album  a table of a folder of pictures\n"
          "  vitrine inspect -m MODEL             what a checkpoint is, and what it costs\n"
          "\n'vitrine COMMAND --help' says more; 'vitrine --version' prints the version.\n",
          out);
    fputs(exit_codes, out);
}

void help_print_command(FILE *out, const command *about) {
    enum { WIDTH = 80 };
    fprintf(out, "vitrine %s: %s\n\n", about->name, about->summary);
    fprintf(out, "Usage: vitrine %s [OPTION]...%s%s\n\n", about->name, *about->operands ? " " : "",
            about->operands);
    text_wrap(out, about->about, 0, 0, WIDTH);
    options_print(out, about->groups);
    fprintf(out, "\nExamples:\n%s", about->examples);
    fputs(exit_codes, out);
}

static int run(const settings *s) {
    if (s->num_operands == 0) {
        help_print_overview(stdout);
        return EXIT_DONE;
    }
    const command *about = command_find(s->operands[0]);
    if (!about)
        return command_unknown(s->operands[0]);
    help_print_command(stdout, about);
    return EXIT_DONE;
}

const command help_command = {
    .name = "help",
    .summary = "this overview, or the help of one command",
    .operands = "[COMMAND]",
    .about = "Explains vitrine's commands.",
    .groups = (const option_group *const[]){&general_options, NULL},
    .examples = "  vitrine help classify\n",
    .run = run,
};
