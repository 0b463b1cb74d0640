/* SPDX-License-Identifier: MIT
 *
 * `--help`, man pages and completions say the same of every command, whichever there are; and what
 * completion offers at each place of the command line. tests/test_completion.sh has the shells.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "command.h"

static command_result ran;

enum { MOST = 128, LONGEST = 4096 };

/* An entry of help: "-k, --top=N" or "classify", and the text beside it. */
typedef struct entry {
    char tag[128], text[LONGEST];
} entry;

typedef struct entries {
    entry items[MOST];
    size_t count;
} entries;

static entry *add(entries *list, const char *tag, size_t length) {
    assert_true(list->count < MOST && length < sizeof list->items->tag);
    entry *e = &list->items[list->count++];
    snprintf(e->tag, sizeof e->tag, "%.*s", (int)length, tag);
    e->text[0] = '\0';
    return e;
}

static void extend(entry *e, const char *text, size_t length) {
    size_t used = strlen(e->text);
    assert_true(used + length + 1 < sizeof e->text);
    snprintf(e->text + used, sizeof e->text - used, "%s%.*s", used ? " " : "", (int)length, text);
}

static const char *next_line(const char *line) {
    const char *end = strchr(line, '\n');
    return end ? end + 1 : line + strlen(line);
}

/* ---- the three of them -------------------------------------------------------------------------
 */

/* Lines of two or six blanks, or two and a letter, before a tag, and of many before the text. */
static void read_help(entries *out, const char *text) {
    out->count = 0;
    const char *end = strstr(text, "\nExamples:\n");
    assert_non_null(end);
    for (const char *line = text; line < end; line = next_line(line)) {
        size_t blanks = strspn(line, " "), length = strcspn(line, "\n");
        const char *tag = line + blanks;
        if (!blanks || blanks == length)
            continue;
        if (blanks > 6) {
            assert_true(out->count > 0);
            extend(&out->items[out->count - 1], tag, length - blanks);
            continue;
        }
        /* "-k, --top=N" has a blank in it. */
        const char *name = *tag == '-' ? strstr(tag, "--") : tag;
        assert_true(name && name < line + length);
        size_t size = (size_t)(name - tag) + strcspn(name, " \n");
        entry *e = add(out, tag, size);
        const char *rest = tag + size + strspn(tag + size, " ");
        if (rest < line + length)
            extend(e, rest, (size_t)(line + length - rest));
    }
}

/* Fonts go, characters come back. */
static void unescape(char *text) {
    static const struct {
        const char *escaped;
        char plain;
    } escapes[] = {{"\\-", '-'},   {"\\(aq", '\''}, {"\\(ga", '`'}, {"\\(dq", '"'},
                   {"\\(ti", '~'}, {"\\(ha", '^'},  {"\\(rs", '\\'}};
    char *out = text;
    while (*text) {
        size_t i = 0, count = sizeof escapes / sizeof *escapes;
        for (; i < count; i++)
            if (strncmp(text, escapes[i].escaped, strlen(escapes[i].escaped)) == 0)
                break;
        if (strncmp(text, "\\f", 2) == 0) {
            text += 3;
        } else if (strncmp(text, "\\&", 2) == 0) {
            text += 2;
        } else if (i < count) {
            *out++ = escapes[i].plain;
            text += strlen(escapes[i].escaped);
        } else {
            if (*text == '\\')
                fail_msg("unknown escape: %.20s", text);
            *out++ = *text++;
        }
    }
    *out = '\0';
}

/* The entries of one section of a page. */
static void read_man(entries *out, const char *page, const char *section) {
    char title[64];
    out->count = 0;
    snprintf(title, sizeof title, ".SH %s\n", section);
    const char *line = strstr(page, title);
    assert_non_null(line);
    for (line = next_line(line); *line && strncmp(line, ".SH ", 4) != 0; line = next_line(line)) {
        if (strncmp(line, ".TP\n", 4) == 0) {
            line = next_line(line);
            add(out, line, strcspn(line, "\n"));
        } else if (strncmp(line, ".SS ", 4) != 0) {
            assert_true(out->count > 0);
            extend(&out->items[out->count - 1], line, strcspn(line, "\n"));
        }
    }
    for (size_t i = 0; i < out->count; i++) {
        unescape(out->items[i].tag);
        unescape(out->items[i].text);
    }
}

/* `line` begins the lines behind the first one. */
static void read_completion(entries *out, const char *text) {
    out->count = 0;
    for (const char *line = next_line(text); *line; line = next_line(line)) {
        entry *e = add(out, line, strcspn(line, "\t\n"));
        const char *tab = line + strlen(e->tag);
        if (*tab == '\t')
            extend(e, tab + 1, strcspn(tab + 1, "\n"));
    }
}

static void run(const char *a, const char *b, const char *c) {
    command_run(&ran, NULL, a, b, c, NULL);
    assert_ran(&ran, 0, NULL, "");
}

static void list_commands(entries *out) {
    run("--complete", "", NULL);
    read_completion(out, ran.out);
    assert_true(out->count > 10);
}

/* ---- they agree --------------------------------------------------------------------------------
 */

static void expect_same(const char *command, const entries *help, const entries *man) {
    for (size_t i = 0; i < help->count && i < man->count; i++) {
        const entry *a = &help->items[i], *b = &man->items[i];
        if (strcmp(a->tag, b->tag) != 0 || strcmp(a->text, b->text) != 0)
            fail_msg("%s: help has\n%s: %s\nand the man page\n%s: %s", command, a->tag, a->text,
                     b->tag, b->text);
    }
    if (help->count != man->count)
        fail_msg("%s: %zu options in help, %zu in the man page", command, help->count, man->count);
}

/* "-k, --top=N" is completed as "-k" and "--top=", in that order. */
static void expect_completed(const char *command, const entries *help, const entries *offered) {
    size_t next = 0;
    for (size_t i = 0; i < help->count; i++) {
        const char *tag = help->items[i].tag, *name = strstr(tag, "--"), *equals;
        char wanted[2][128] = {"", ""};
        assert_non_null(name);
        equals = strchr(name, '=');
        if (name > tag)
            snprintf(wanted[0], sizeof wanted[0], "%.2s", tag);
        snprintf(wanted[1], sizeof wanted[1], "%.*s",
                 equals ? (int)(equals + 1 - name) : (int)strlen(name), name);
        for (size_t j = wanted[0][0] ? 0 : 1; j < 2; j++, next++) {
            if (next == offered->count || strcmp(offered->items[next].tag, wanted[j]) != 0)
                fail_msg("%s: completion has '%s' where help has '%s'", command,
                         next < offered->count ? offered->items[next].tag : "nothing", wanted[j]);
            size_t length = strlen(offered->items[next].text);
            if (!length || strncmp(help->items[i].text, offered->items[next].text, length) != 0)
                fail_msg("%s: %s is said to be '%s'", command, wanted[j],
                         offered->items[next].text);
        }
    }
    if (next != offered->count)
        fail_msg("%s: completion has '%s', help has not", command, offered->items[next].tag);
}

/* The words that are offered for its value are those that help has. */
static size_t expect_words(const char *command, const entry *option, const char *name) {
    char words[LONGEST] = "";
    static entries offered;
    run("--complete", command, name);
    read_completion(&offered, ran.out);
    for (size_t i = 0; i < offered.count; i++)
        snprintf(words + strlen(words), sizeof words - strlen(words), "%s%s", i ? ", " : "",
                 offered.items[i].tag);
    if (!strstr(option->text, words))
        fail_msg("%s: help of %s lacks: %s", command, name, words);
    return offered.count;
}

static void test_options_agree(void **state) {
    static entries commands, help, man, offered;
    size_t choices = 0;
    (void)state;
    list_commands(&commands);
    for (size_t i = 0; i < commands.count; i++) {
        const char *name = commands.items[i].tag;
        run("help", name, NULL);
        read_help(&help, ran.out);
        assert_true(help.count >= 3); /* the general ones */
        run("help", "--man", name);
        read_man(&man, ran.out, "OPTIONS");
        expect_same(name, &help, &man);
        run("--complete", name, "-");
        assert_int_equal(strncmp(ran.out, "words\t\n", 7), 0);
        read_completion(&offered, ran.out);
        expect_completed(name, &help, &offered);
        for (size_t j = 0, k = 0; j < offered.count; j++)
            if (strncmp(offered.items[j].tag, "--", 2) == 0) {
                if (strchr(offered.items[j].tag, '='))
                    choices += expect_words(name, &help.items[k], offered.items[j].tag) > 0;
                k++;
            }
    }
    assert_true(choices > 20);
}

/* Also what the page says beside options. */
static void test_pages(void **state) {
    static entries commands, codes, variables;
    (void)state;
    static const char examples_heading[] = ".SH EXAMPLES\n.nf\n";
    list_commands(&commands);
    for (size_t i = 0; i < commands.count; i++) {
        char wanted[LONGEST + 256];
        run("help", "--man", commands.items[i].tag);
        unescape(ran.out);
        snprintf(wanted, sizeof wanted, ".SH NAME\nvitrine-%s - ", commands.items[i].tag);
        assert_non_null(strstr(ran.out, wanted));
        snprintf(wanted, sizeof wanted, ".SH SYNOPSIS\nvitrine %s [OPTION]...",
                 commands.items[i].tag);
        assert_non_null(strstr(ran.out, wanted));
        const char *examples = strstr(ran.out, examples_heading);
        assert_non_null(examples);
        assert_true(examples[strlen(examples_heading)] != ' '); /* help indents them */
        assert_non_null(strstr(examples, "vitrine "));
        read_man(&codes, ran.out, "EXIT STATUS");
        assert_int_equal(codes.count, 4);
        read_man(&variables, ran.out, "ENVIRONMENT");
        assert_true(variables.count >= 4);
    }
    run("help", "--man", "classify");
    assert_non_null(strstr(ran.out, "VITRINE_MODEL"));
    assert_null(strstr(ran.out, "HF_TOKEN"));
    run("help", "--man", "pull");
    assert_null(strstr(ran.out, "VITRINE_MODEL"));
    assert_non_null(strstr(ran.out, "HF_TOKEN"));
    command_run(&ran, NULL, "help", "--man", "environment", NULL);
    assert_ran(&ran, 2, "", NULL);
}

/* The overview, vitrine.1 and completion have the same commands, with the same words. */
static void test_commands_agree(void **state) {
    static entries offered, overview, man;
    char tag[160];
    (void)state;
    list_commands(&offered);
    run("help", NULL, NULL);
    read_help(&overview, ran.out);
    run("help", "--man", NULL);
    read_man(&man, ran.out, "COMMANDS");
    assert_int_equal(overview.count, offered.count);
    assert_int_equal(man.count, offered.count);
    for (size_t i = 0; i < man.count; i++) {
        size_t j = 0;
        while (j < offered.count && strcmp(offered.items[j].tag, overview.items[i].tag) != 0)
            j++;
        assert_true(j < offered.count);
        assert_string_equal(offered.items[j].text, overview.items[i].text);
        snprintf(tag, sizeof tag, ".BR vitrine-%s (1)", overview.items[i].tag);
        assert_string_equal(man.items[i].tag, tag);
        assert_string_equal(man.items[i].text, overview.items[i].text);
    }
}

/* ---- the environment ---------------------------------------------------------------------------
 */

static const char capitals[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_";

/* Whether the list has the variable: a line may name several. */
static bool has_variable(const char *list, const char *name) {
    size_t length = strlen(name);
    for (const char *at = list; (at = strstr(at, name)); at += length)
        if ((at == list || !strchr(capitals, at[-1])) &&
            !strchr(capitals, at[length] ? at[length] : ' '))
            return true;
    return false;
}

/* Variables that the source reads by name are in `help environment`. */
static size_t expect_listed(const char *path, const char *list) {
    static const char *const readers[] = {"getenv(\"", "hub_path_from(\"", "hub_is_set(\"",
                                          "_VARIABLE \""};
    char *source = read_text_file(path), name[64];
    size_t found = 0;
    for (size_t i = 0; i < sizeof readers / sizeof *readers; i++)
        for (const char *at = source; (at = strstr(at, readers[i])); found++) {
            at += strlen(readers[i]);
            snprintf(name, sizeof name, "%.*s", (int)strcspn(at, "\""), at);
            bool is_name = *name && strspn(name, capitals) == strlen(name);
            if (is_name && strcmp(name, "HOME") != 0 && !has_variable(list, name))
                fail_msg("%s reads %s, which 'help environment' lacks", path, name);
        }
    free(source);
    return found;
}

static void test_variables(void **state) {
    static entries man;
    char *manual = read_text_file(VT_SOURCE_DIR "/docs/CLI.md");
    size_t found = 0;
    (void)state;
    run("help", "environment", NULL);
    DIR *sources = opendir(VT_SOURCE_DIR "/src/cli");
    assert_non_null(sources);
    for (const struct dirent *file; (file = readdir(sources));) {
        char path[1024];
        snprintf(path, sizeof path, VT_SOURCE_DIR "/src/cli/%s", file->d_name);
        if (strstr(file->d_name, ".c") || strstr(file->d_name, ".h"))
            found += expect_listed(path, ran.out);
    }
    closedir(sources);
    assert_true(found > 10);

    char *list = strdup(ran.out);
    run("help", "--man", NULL);
    read_man(&man, ran.out, "ENVIRONMENT");
    assert_true(man.count > 10);
    for (size_t i = 0; i < man.count; i++) {
        char *rest = man.items[i].tag;
        assert_non_null(strstr(list, rest));
        for (char *name; (name = strtok_r(rest, ", ", &rest));) {
            char quoted[64];
            snprintf(quoted, sizeof quoted, "`%s`", name);
            if (!strstr(manual, quoted))
                fail_msg("docs/CLI.md lacks %s", name);
        }
    }
    free(list);
    free(manual);
}

/* ---- places ------------------------------------------------------------------------------------
 */

static void test_places(void **state) {
    static const struct {
        const char *words[6], *out; /* the beginning of it, up to a '|' where that ends it */
    } cases[] = {
        {{""}, "words\t\nclassify\tname what is in pictures\n"},
        {{"-"}, "words\t\n--help\t"},
        {{"clas", ""}, "words\t\n|"},
        {{"classify", ""}, "files\t\n|"},
        {{"classify", "im"}, "files\t\n|"},
        {{"classify", "--format", ""}, "words\t\ntext\njson\ncsv\n|"},
        {{"classify", "--format=j"}, "words\t--format=\ntext\njson\ncsv\n|"},
        {{"classify", "--format", "csv", ""}, "files\t\n|"},
        {{"classify", "--format=csv", ""}, "files\t\n|"},
        {{"classify", "-k", ""}, "words\t\n|"},
        {{"classify", "-k", "--", "-"}, "words\t\n--head=\t"}, /* that was the value */
        {{"classify", "-k5", ""}, "files\t\n|"},
        {{"classify", "-qk", ""}, "words\t\n|"},
        {{"classify", "-qk5", ""}, "files\t\n|"},
        {{"classify", "--", "-"}, "files\t\n|"},
        {{"classify", "--quiet", "--"}, "words\t\n--head=\t"},
        {{"classify", "--nonsense=", ""}, "files\t\n|"},
        {{"classify", "-m", ""}, "files\t\norg/m\tin the cache\norg/n@v2\tin the cache\n|"},
        {{"classify", "-mo"}, "files\t-m\norg/m\tin the cache\norg/n@v2\tin the cache\n|"},
        {{"classify", "--model="}, "files\t--model=\norg/m\tin the cache\n"},
        {{"classify", "--labels", ""}, "files\t\n|"},
        {{"zeroshot", "--labels="}, "files\t--labels=\n|"},
        {{"embed", "-o"}, "words\t\n-o\t"},
        {{"embed", "-o", ""}, "files\t\n|"},
        {{"embed", ""}, "files\t\n|"},
        {{"pack", "--output="}, "directories\t--output=\n|"},
        {{"pack", ""}, "words\t\n|"},
        {{"fit", ""}, "directories\t\n|"},
        {{"generate", ""}, "words\t\n|"},
        {{"bench", "--arch", ""}, "words\t\nvit_tiny_patch16_224\n"},
        {{"bench", "--kernels", ""}, "words\t\navx512\navx2\nneon\nscalar\n|"},
        {{"help", ""}, "words\t\nclassify\tname what is in pictures\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *const *w = cases[i].words, *end = strchr(cases[i].out, '|');
        size_t length = end ? (size_t)(end - cases[i].out) : strlen(cases[i].out);
        command_run(&ran, NULL, "--complete", w[0], w[1], w[2], w[3], w[4], NULL);
        assert_ran(&ran, 0, NULL, "");
        bool whole = end && end > cases[i].out && end[-1] == '\n';
        if (strncmp(ran.out, cases[i].out, length) != 0 || (whole && ran.out[length]))
            fail_msg("%s %s %s: %s", w[0], w[1] ? w[1] : "", w[2] ? w[2] : "", ran.out);
    }
}

/* A cache with org/m and org/n, of which v2 was pulled, and one without weights. */
static int make_cache(void **state) {
    static const char commit[] = "0123456789012345678901234567890123456789";
    static const char *const models[][2] = {{"org--m", "main"}, {"org--n", "v2"}, {"org--o", NULL}};
    int code = command_workspace(state);
    mkdir("cache", 0700);
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        char path[256], *end = path + snprintf(path, 200, "cache/models--%s", models[i][0]);
        static const char *const folders[] = {"", "/refs", "/snapshots", "/snapshots/"};
        for (size_t j = 0; j < 4; j++) {
            sprintf(end, "%s%s", folders[j], j == 3 ? commit : "");
            mkdir(path, 0700);
        }
        strcat(path, "/model.safetensors");
        if (models[i][1]) {
            write_file(path, "", 0);
            sprintf(end, "/refs/%s", models[i][1]);
            write_file(path, commit, strlen(commit));
        }
    }
    setenv("HF_HUB_CACHE", "cache", 1);
    return code;
}

static int use_cache(void **state) {
    (void)state;
    return setenv("HF_HUB_CACHE", "cache", 1);
}

static int use_none(void **state) {
    (void)state;
    return setenv("HF_HUB_CACHE", "nowhere", 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_options_agree, use_none),
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_commands_agree),
        cmocka_unit_test(test_variables),
        cmocka_unit_test_setup(test_places, use_cache),
    };
    int failed = cmocka_run_group_tests(tests, make_cache, command_cleanup);
    command_free(&ran);
    return failed;
}
