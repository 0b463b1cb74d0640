/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose.h"
#include "text.h"

/* Where one parse stands. */
typedef struct parser {
    const option_group *const *groups;
    char **argv;
    int argc, next; /* argv[next] is the next word */
    unsigned char *settings;
    option_error *error;
    const option *wrong; /* one whose variable has a wrong value, until the command line has one */
    option_error wrong_error;
} parser;

static bool fail(option_error *error, const char *format, ...) CLI_PRINTF(2, 3);

static bool fail(option_error *error, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(error->message, sizeof error->message, format, args);
    va_end(args);
    return false;
}

static const option *find_long(const option_group *const *groups, const char *name, size_t length) {
    for (const option_group *const *group = groups; *group; group++)
        for (const option *o = (*group)->options; o->name; o++)
            if (strlen(o->name) == length && memcmp(o->name, name, length) == 0)
                return o;
    return NULL;
}

static const option *find_letter(const option_group *const *groups, char letter) {
    for (const option_group *const *group = groups; *group; group++)
        for (const option *o = (*group)->options; o->name; o++)
            if (o->letter == letter)
                return o;
    return NULL;
}

static bool fail_unknown(const parser *p, const char *name, size_t length) {
    char wanted[64];
    snprintf(wanted, sizeof wanted, "%.*s", (int)length, name);
    nearest guess = {.wanted = wanted};
    for (const option_group *const *group = p->groups; *group; group++)
        for (const option *o = (*group)->options; o->name; o++)
            nearest_offer(&guess, o->name);
    if (guess.word)
        return fail(p->error, "unknown option '--%s', did you mean '--%s'?", wanted, guess.word);
    return fail(p->error, "unknown option '--%s'", wanted);
}

/* `source` is what has the value: "--format". */
static bool fail_choice(const option *o, const char *source, const char *text,
                        option_error *error) {
    char list[900] = "";
    nearest guess = {.wanted = text};
    for (size_t i = 0, used = 0; o->choice(i) && used < sizeof list; i++) {
        nearest_offer(&guess, o->choice(i));
        used +=
            (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", o->choice(i));
    }
    if (guess.word)
        return fail(error, "%s: unknown value '%s', did you mean '%s'?", source, text, guess.word);
    return fail(error, "%s: expected one of %s; found '%s'", source, list, text);
}

/* Writes one option's field; `text` is NULL for a flag. */
static bool set_from(const char *source, const option *o, const char *text, unsigned char *settings,
                     option_error *error) {
    void *field = settings + o->offset;
    if (!o->value) {
        *(bool *)field = true;
        return true;
    }
    if (o->choice) {
        for (unsigned i = 0; o->choice(i); i++)
            if (strcmp(o->choice(i), text) == 0) {
                if (!o->parse)
                    *(unsigned *)field = i;
                return !o->parse || !o->parse(field, o->choice(i));
            }
        return fail_choice(o, source, text, error);
    }
    const char *expected = o->parse(field, text);
    return expected ? fail(error, "%s: expected %s; found '%s'", source, expected, text) : true;
}

static bool set(const option *o, const char *text, unsigned char *settings, option_error *error) {
    char source[64];
    snprintf(source, sizeof source, "--%s", o->name);
    return set_from(source, o, text, settings, error);
}

static bool set_initial(const parser *p) {
    for (const option_group *const *group = p->groups; *group; group++)
        for (const option *o = (*group)->options; o->name; o++)
            if (o->initial && !set(o, o->initial, p->settings, p->error))
                return false;
    return true;
}

/* A wrong value matters only where the command line has none: it is kept for the end. */
static void set_from_environment(parser *p) {
    for (const option_group *const *group = p->groups; *group; group++)
        for (const option *o = (*group)->options; o->name; o++) {
            const char *text = o->variable ? getenv(o->variable) : NULL;
            char source[64];
            snprintf(source, sizeof source, "$%s", o->variable ? o->variable : "");
            if (text && *text && !set_from(source, o, text, p->settings, &p->wrong_error))
                p->wrong = o;
        }
}

/* The value is what stands in the same word, or the next word. */
static bool set_valued(parser *p, const option *o, const char *attached) {
    if (!attached && p->next == p->argc)
        return fail(p->error, "option '--%s' needs a value: --%s %s", o->name, o->name, o->value);
    if (o == p->wrong)
        p->wrong = NULL;
    return set(o, attached ? attached : p->argv[p->next++], p->settings, p->error);
}

static bool parse_long(parser *p, const char *word) {
    const char *name = word + 2, *equals = strchr(name, '=');
    size_t length = equals ? (size_t)(equals - name) : strlen(name);
    const option *o = find_long(p->groups, name, length);
    if (!o)
        return fail_unknown(p, name, length);
    if (o->value)
        return set_valued(p, o, equals ? equals + 1 : NULL);
    if (equals)
        return fail(p->error, "option '--%s' takes no value", o->name);
    return set(o, NULL, p->settings, p->error);
}

static bool parse_letters(parser *p, const char *word) {
    for (const char *letter = word + 1; *letter; letter++) {
        const option *o = find_letter(p->groups, *letter);
        if (!o)
            return fail(p->error, "unknown option '-%c'%s%s", *letter,
                        letter > word + 1 ? " in " : "", letter > word + 1 ? word : "");
        if (o->value)
            return set_valued(p, o, letter[1] ? letter + 1 : NULL);
        if (!set(o, NULL, p->settings, p->error))
            return false;
    }
    return true;
}

bool options_parse(const option_group *const *groups, int argc, char **argv, void *settings,
                   size_t *num_operands, option_error *error) {
    parser p = {groups, argv, argc, 0, settings, error, NULL, {""}};
    bool only_operands = false;
    *num_operands = 0;
    if (!set_initial(&p))
        return false;
    set_from_environment(&p);
    while (p.next < argc) {
        char *word = argv[p.next++];
        if (only_operands || word[0] != '-' || !word[1])
            argv[(*num_operands)++] = word; /* never past the word just read */
        else if (strcmp(word, "--") == 0)
            only_operands = true;
        else if (word[1] == '-' ? !parse_long(&p, word) : !parse_letters(&p, word))
            return false;
    }
    if (p.wrong)
        *error = p.wrong_error;
    return !p.wrong;
}

static const option *valued_letter(const option_group *const *groups, const char *word,
                                   const char **attached) {
    for (const char *letter = word + 1; *letter; letter++) {
        const option *o = find_letter(groups, *letter);
        if (!o)
            return NULL;
        *attached = letter[1] ? letter + 1 : NULL;
        if (o->value)
            return o;
    }
    return NULL;
}

const option *options_valued(const option_group *const *groups, const char *word,
                             const char **attached) {
    *attached = NULL;
    if (word[0] != '-')
        return NULL;
    if (word[1] != '-')
        return valued_letter(groups, word, attached);
    const char *name = word + 2, *equals = strchr(name, '=');
    const option *o = find_long(groups, name, equals ? (size_t)(equals - name) : strlen(name));
    *attached = equals ? equals + 1 : NULL;
    return o && o->value ? o : NULL;
}

/* "-k, --top=N" */
static size_t print_names(FILE *out, const option *o) {
    int printed = o->letter ? fprintf(out, "  -%c, ", o->letter) : fprintf(out, "      ");
    printed += fprintf(out, "--%s%s%s", o->name, o->value ? "=" : "", o->value ? o->value : "");
    return (size_t)printed;
}

void options_describe(const option *o, char *text, size_t size) {
    size_t used = (size_t)snprintf(text, size, "%s", o->help);
    for (size_t i = 0; o->choice && o->choice(i) && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : ": ", o->choice(i));
    if (o->initial && used < size)
        snprintf(text + used, size - used, " (default %s)", o->initial);
}

void options_print(FILE *out, const option_group *const *groups) {
    enum { INDENT = 26, WIDTH = 80 };
    for (; *groups; groups++) {
        fprintf(out, "\n%s:\n", (*groups)->title);
        for (const option *o = (*groups)->options; o->name; o++) {
            char text[1024];
            options_describe(o, text, sizeof text);
            size_t column = print_names(out, o);
            if (column >= INDENT) {
                fputc('\n', out);
                column = 0;
            }
            fprintf(out, "%*s", (int)(INDENT - column), "");
            text_wrap(out, text, INDENT, INDENT, WIDTH);
        }
    }
}
