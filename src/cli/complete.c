/* SPDX-License-Identifier: MIT */
#include "complete.h"

#include <string.h>

#include "command.h"
#include "hub_cache.h"
#include "hub_cached.h"

typedef enum value_kind {
    KIND_WORDS,
    KIND_FILES,
    KIND_DIRECTORIES,
    KIND_MODEL,
    KIND_COMMAND
} value_kind;

static value_kind kind_of_word(const char *word, size_t length) {
    static const struct {
        const char *word;
        value_kind kind;
    } known[] = {
        {"FILE", KIND_FILES},  {"IMAGE", KIND_FILES},        {"OUT", KIND_FILES},
        {"CSV", KIND_FILES},   {"HEAD", KIND_FILES},         {"DIR", KIND_DIRECTORIES},
        {"MODEL", KIND_MODEL}, {"FOLDER", KIND_DIRECTORIES}, {"COMMAND", KIND_COMMAND},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strlen(known[i].word) == length && memcmp(known[i].word, word, length) == 0)
            return known[i].kind;
    return KIND_WORDS;
}

/* Of "LIST|FILE" or "[IMAGE...]": its first word that is known. Words that belong to an option,
 * "--output=FILE", are not the operand's. */
static value_kind kind_of(const char *meaning) {
    static const char capitals[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    for (const char *at = meaning; *(at += strcspn(at, capitals));) {
        size_t length = strspn(at, capitals);
        value_kind found = kind_of_word(at, length);
        if (found != KIND_WORDS && (at == meaning || at[-1] != '='))
            return found;
        at += length;
    }
    return KIND_WORDS;
}

/* ---- lines -------------------------------------------------------------------------------------
 */

/* `prefix` is as much of `word` as comes before its value. */
static void print_kind(FILE *out, value_kind kind, const char *word, size_t prefix) {
    static const char *const names[] = {
        [KIND_WORDS] = "words", [KIND_FILES] = "files",   [KIND_DIRECTORIES] = "directories",
        [KIND_MODEL] = "files", [KIND_COMMAND] = "words",
    };
    fprintf(out, "%s\t%.*s\n", names[kind], (int)prefix, word);
}

static void print_cached(void *user, const hub_snapshot *found) {
    if (hub_cache_has_weights(found->path))
        fprintf(user, "%s\tin the cache\n", found->model);
}

static void print_commands(FILE *out) {
    for (size_t i = 0; command_at(i); i++)
        fprintf(out, "%s\t%s\n", command_at(i)->name, command_at(i)->summary);
}

static void print_meant(FILE *out, const char *meaning, const char *word, size_t prefix) {
    value_kind kind = kind_of(meaning);
    print_kind(out, kind, word, prefix);
    if (kind == KIND_MODEL)
        hub_cached_each(print_cached, out);
    if (kind == KIND_COMMAND) {
        print_commands(out);
        for (size_t i = 0; help_subject(i); i++)
            fprintf(out, "%s\twhat variables do\n", help_subject(i));
    }
}

static void print_value(FILE *out, const option *o, const char *word, size_t prefix) {
    if (!o->choice) {
        print_meant(out, o->value, word, prefix);
        return;
    }
    print_kind(out, KIND_WORDS, word, prefix);
    for (size_t i = 0; o->choice(i); i++)
        fprintf(out, "%s\n", o->choice(i));
}

/* What --help says, up to the first semicolon. */
static void print_option(FILE *out, const char *name, const option *o) {
    char text[1024];
    options_describe(o, text, sizeof text);
    fprintf(out, "%s\t%.*s\n", name, (int)strcspn(text, ";"), text);
}

/* Those with a value end with '='. */
static void print_options(FILE *out, const option_group *const *groups) {
    print_kind(out, KIND_WORDS, "", 0);
    for (; *groups; groups++)
        for (const option *o = (*groups)->options; o->name; o++) {
            char letter[] = {'-', o->letter, '\0'}, name[72];
            if (o->letter)
                print_option(out, letter, o);
            snprintf(name, sizeof name, "--%s%s", o->name, o->value ? "=" : "");
            print_option(out, name, o);
        }
}

/* ---- places ------------------------------------------------------------------------------------
 */

static void complete_command(FILE *out, const char *word) {
    print_kind(out, KIND_WORDS, "", 0);
    if (*word == '-')
        fputs("--help\tthis overview\n-h\tthis overview\n--version\tthe version\n", out);
    else
        print_commands(out);
}

/* The words before the last are read as options_parse does. */
static void complete_argument(FILE *out, const command *about, int count, char **words) {
    const char *attached, *word = words[count - 1];
    const option *awaited = NULL; /* has its value in the next word */
    bool only_operands = false;
    for (int i = 0; i + 1 < count; i++) {
        if (awaited)
            awaited = NULL;
        else if (strcmp(words[i], "--") == 0)
            only_operands = true;
        else if (!only_operands) {
            awaited = options_valued(about->groups, words[i], &attached);
            awaited = attached ? NULL : awaited;
        }
    }
    const option *here = only_operands ? NULL : options_valued(about->groups, word, &attached);
    if (awaited)
        print_value(out, awaited, word, 0);
    else if (here && attached)
        print_value(out, here, word, (size_t)(attached - word));
    else if (*word == '-' && !only_operands)
        print_options(out, about->groups);
    else
        print_meant(out, about->operands, word, 0);
}

void complete_print(FILE *out, int count, char **words) {
    const command *about = count > 1 ? command_find(words[0]) : NULL;
    if (count == 1)
        complete_command(out, words[0]);
    else if (about)
        complete_argument(out, about, count - 1, words + 1);
    else
        print_kind(out, KIND_WORDS, "", 0);
}
