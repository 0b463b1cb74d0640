/* SPDX-License-Identifier: MIT
 *
 * vitrine COMMAND [OPTION]... [OPERAND]...
 */
#include <jansson.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "complete.h"
#include "interrupt.h"
#include "lines.h"
#include "mapped.h"
#include "text.h"

static const command *const commands[] = {
    &classify_command,   &stream_command,   &fit_command,   &attention_command, &similar_command,
    &cluster_command,    &zeroshot_command, &embed_command, &inspect_command,   &dump_command,
    &perplexity_command, &generate_command, &bench_command, &sweep_command,     &pack_command,
    &pull_command,       &models_command,   &help_command,
};

const command *command_at(size_t index) {
    return index < sizeof commands / sizeof *commands ? commands[index] : NULL;
}

const char *topic_title(command_topic topic) {
    static const char *const titles[] = {
        [TOPIC_PICTURES] = "Pictures",   [TOPIC_TEXTS] = "Texts", [TOPIC_MODELS] = "Models",
        [TOPIC_MEASURING] = "Measuring", [TOPIC_HELP] = "Help",
    };
    return titles[topic];
}

const command *command_find(const char *name) {
    for (size_t i = 0; command_at(i); i++)
        if (strcmp(command_at(i)->name, name) == 0)
            return command_at(i);
    return NULL;
}

int command_unknown(const char *name) {
    nearest guess = {.wanted = name};
    for (size_t i = 0; command_at(i); i++)
        nearest_offer(&guess, command_at(i)->name);
    if (guess.word)
        return complain_usage(NULL, "unknown command '%s', did you mean '%s'?", name, guess.word);
    return complain_usage(NULL, "unknown command '%s'", name);
}

/* Which of the library's the options change; these are all within what it takes. */
static void set_limits(const settings *s) {
    vt_limits limits = VT_LIMITS_INIT;
    limits.follow_links = s->follow_links;
    vt_set_limits(&limits, NULL);
}

static int run_command(const command *chosen, int argc, char **argv) {
    settings s = {.image = VT_IMAGE_OPTIONS_INIT, .operands = argv};
    option_error error;
    bool understood = options_parse(chosen->groups, argc, argv, &s, &s.num_operands, &error);
    if (s.help) { /* the better answer to what comes after it, too */
        help_print_command(stdout, chosen);
        return EXIT_DONE;
    }
    if (!understood)
        return complain_usage(chosen->name, "%s", error.message);
    set_limits(&s);
    return chosen->run(&s);
}

static int dispatch(int argc, char **argv) {
    if (argc < 2) {
        help_print_overview(stderr);
        return EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--version") == 0) {
        printf("vitrine %s\n", vt_version());
        return EXIT_DONE;
    }
    if (strcmp(name, "--complete") == 0) {
        complete_print(stdout, argc - 2, argv + 2);
        return EXIT_DONE;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        name = help_command.name;
    else if (name[0] == '-')
        return complain_usage(NULL, "unknown option '%s' before a command", name);
    const command *chosen = command_find(name);
    return chosen ? run_command(chosen, argc - 2, argv + 2) : command_unknown(name);
}

/* Jansson leaves out what it finds no memory for, and says so in ways that nobody looks at. */
static void *allocate_json(size_t size) {
    return allocate(size, 1);
}

int main(int argc, char **argv) {
    json_set_alloc_funcs(allocate_json, free);
    setlocale(LC_CTYPE, "");  /* whether the terminal shows UTF-8; numbers keep their full stop */
    signal(SIGPIPE, SIG_IGN); /* a write to a closed pipe fails, and output_flush sees it */
    watch_mapped_files();
    lines_prepare();
    int code = dispatch(argc, argv);
    if (!output_flush() && code == EXIT_DONE)
        code = EXIT_SOME_FAILED;
    if (code == EXIT_INTERRUPTED)
        end_by_signal(interrupted);
    return code;
}
