/* SPDX-License-Identifier: MIT */
#include "man.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "manual.h"

/* ---- roff --------------------------------------------------------------------------------------
 */

/* A character as itself: roff would make typographic ones of some. */
static void put_character(FILE *out, char c) {
    static const struct {
        char plain;
        const char *escaped;
    } escapes[] = {
        {'\\', "\\(rs"}, {'-', "\\-"},   {'\'', "\\(aq"}, {'`', "\\(ga"},
        {'"', "\\(dq"},  {'~', "\\(ti"}, {'^', "\\(ha"},
    };
    for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++)
        if (escapes[i].plain == c) {
            fputs(escapes[i].escaped, out);
            return;
        }
    fputc(c, out);
}

/* Anywhere in a line: what begins one is kept from being a request. */
static void put_text(FILE *out, const char *text, size_t length) {
    if (length && *text == '.')
        fputs("\\&", out);
    for (size_t i = 0; i < length; i++)
        put_character(out, text[i]);
}

static void put_font(FILE *out, char font, const char *text, size_t length) {
    fprintf(out, "\\f%c", font);
    put_text(out, text, length);
    fputs("\\fR", out);
}

static void put_bold(FILE *out, const char *text) {
    put_font(out, 'B', text, strlen(text));
}

/* Words in capitals stand for something, those that begin with "--" are typed. */
static void put_synopsis(FILE *out, const char *text) {
    while (*text) {
        size_t name = strspn(text, "-abcdefghijklmnopqrstuvwxyz");
        size_t value = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
        if (name)
            put_font(out, 'B', text, name);
        else if (value)
            put_font(out, 'I', text, value);
        else
            put_character(out, *text);
        text += name ? name : value ? value : 1;
    }
}

/* On several lines: mandoc's lint does not like long ones. */
static void put_paragraph(FILE *out, const char *text) {
    enum { WIDTH = 60 }; /* escapes make them longer */
    size_t column = 0;
    while (*text) {
        size_t length = strcspn(text, " ");
        bool wrapped = column && column + 1 + length > WIDTH;
        if (column)
            fputc(wrapped ? '\n' : ' ', out);
        put_text(out, text, length);
        column = wrapped ? length : column + 1 + length;
        text += length;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

/* A tag is begun, its text to follow. */
static void put_tagged(FILE *out, const char *tag, const char *text) {
    fputs(".TP\n", out);
    put_bold(out, tag);
    fputc('\n', out);
    put_paragraph(out, text);
}

/* ---- sections ----------------------------------------------------------------------------------
 */

static void put_date(FILE *out) {
    const char *set = getenv("SOURCE_DATE_EPOCH");
    time_t now = set && *set ? (time_t)strtoll(set, NULL, 10) : time(NULL);
    struct tm date;
    char text[32];
    if (gmtime_r(&now, &date) && strftime(text, sizeof text, "%Y-%m-%d", &date))
        fputs(text, out);
}

/* "VITRINE-CLASSIFY" */
static void put_name(FILE *out, const command *about, bool capitals) {
    const char *parts[] = {"vitrine", about ? "-" : "", about ? about->name : ""};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        for (const char *c = parts[i]; *c; c++)
            put_character(out, capitals ? (char)toupper((unsigned char)*c) : *c);
}

static void put_reference(FILE *out, const command *about) {
    fputs(".BR ", out);
    put_name(out, about, false);
    fputs(" (1)", out);
}

static void put_options(FILE *out, const option_group *const *groups) {
    fputs(".SH OPTIONS\n", out);
    for (; *groups; groups++) {
        fprintf(out, ".SS %s\n", (*groups)->title);
        for (const option *o = (*groups)->options; o->name; o++) {
            char name[72], letter[] = {'-', o->letter, '\0'}, text[1024];
            snprintf(name, sizeof name, "--%s", o->name);
            options_describe(o, text, sizeof text);
            fputs(".TP\n", out);
            if (o->letter)
                put_bold(out, letter);
            fputs(o->letter ? ", " : "", out);
            put_bold(out, name);
            if (o->value) {
                fputc('=', out);
                put_font(out, 'I', o->value, strlen(o->value));
            }
            fputc('\n', out);
            put_paragraph(out, text);
        }
    }
}

static void put_commands(FILE *out) {
    fputs(".SH COMMANDS\n", out);
    for (command_topic topic = 0; topic < TOPIC_COUNT; topic++) {
        fprintf(out, ".SS %s\n", topic_title(topic));
        for (size_t i = 0; command_at(i); i++)
            if (command_at(i)->topic == topic) {
                fputs(".TP\n", out);
                put_reference(out, command_at(i));
                fputc('\n', out);
                put_paragraph(out, command_at(i)->summary);
            }
    }
}

/* Lines as they are, without their indentation. */
static void put_examples(FILE *out, const char *lines) {
    fputs(".SH EXAMPLES\n.nf\n", out);
    while (*lines) {
        lines += strspn(lines, " ");
        size_t length = strcspn(lines, "\n");
        put_text(out, lines, length);
        fputc('\n', out);
        lines += length + (lines[length] == '\n');
    }
    fputs(".fi\n", out);
}

static void put_rows(FILE *out, const char *title, const manual_row *rows, const command *about) {
    fprintf(out, ".SH %s\n", title);
    for (; rows->name; rows++)
        if (manual_concerns(rows, about))
            put_tagged(out, rows->name, rows->meaning);
}

/* The page of a command names vitrine's, and that one all of them. */
static void put_see_also(FILE *out, const command *about) {
    fputs(".SH SEE ALSO\n", out);
    if (about)
        put_reference(out, NULL);
    for (size_t i = 0; !about && command_at(i); i++) {
        fputs(i ? ",\n" : "", out);
        put_reference(out, command_at(i));
    }
    fputs("\n", out);
}

void man_print(FILE *out, const command *about) {
    fputs(".TH ", out);
    put_name(out, about, true);
    fputs(" 1 ", out);
    put_date(out);
    fprintf(out, " \"vitrine %s\" \"User Commands\"\n", vt_version());
    fputs(".nh\n.ad l\n.SH NAME\n", out); /* names must stay whole */
    put_name(out, about, false);
    fputs(" \\- ", out);
    put_paragraph(out, about ? about->summary : manual_title);
    fputs(".SH SYNOPSIS\n", out);
    put_bold(out, "vitrine");
    fputc(' ', out);
    if (about)
        put_bold(out, about->name);
    put_synopsis(out, about ? " [OPTION]..." : "COMMAND [OPTION]... [OPERAND]...");
    if (about && *about->operands) {
        fputc(' ', out);
        put_synopsis(out, about->operands);
    }
    fputs("\n.SH DESCRIPTION\n", out);
    put_paragraph(out, about ? about->about : manual_about);
    if (about)
        put_options(out, about->groups);
    else
        put_commands(out);
    put_examples(out, about ? about->examples : manual_examples);
    put_rows(out, "EXIT STATUS", manual_exit_codes, about);
    put_rows(out, "ENVIRONMENT", manual_variables, about);
    put_rows(out, "FILES", manual_files, about);
    put_see_also(out, about);
}
