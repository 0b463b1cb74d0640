/* SPDX-License-Identifier: MIT
 *
 * The command's surface: help, options, usage errors, exit codes, and its streams.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <vitrine.h>

#include "command.h"

static command_result ran;

static void test_version(void **state) {
    char expected[64];
    (void)state;
    snprintf(expected, sizeof expected, "vitrine %s\n", vt_version());
    command_run(&ran, NULL, "--version", NULL);
    assert_ran(&ran, 0, expected, "");
}

static const char overview[] =
    "vitrine: what is in a picture, by vision transformers\n"
    "\n"
    "Usage: vitrine COMMAND [OPTION]... [OPERAND]...\n"
    "\n"
    "Opens a checkpoint as it was published, prepares a picture exactly as the\n"
    "model's own pipeline does, and runs it at whatever resolution it is given.\n"
    "Without -m MODEL the bundled model answers, which knows 650 everyday things as\n"
    "emoji draw them. Options are written --name=value, --name value, -n value or\n"
    "-nvalue, before or after operands; -- ends them.\n"
    "\n"
    "Pictures:\n"
    "  classify    name what is in pictures\n"
    "  stream      name what is in the frames of a camera or a video\n"
    "  fit         make a classifier of your own classes\n"
    "  attention   show where in a picture a model looks\n"
    "  similar     find the pictures nearest to one\n"
    "  cluster     sort pictures into groups that look alike\n"
    "  zeroshot    name what is in pictures, out of labels given as text\n"
    "  embed       turn pictures or texts into vectors\n"
    "\n"
    "Texts:\n"
    "  perplexity  measure how well a language model predicts a text\n"
    "  generate    continue a text\n"
    "\n"
    "Models:\n"
    "  inspect     what a model is, and what it costs to run\n"
    "  dump        write the stages of one forward pass to a file\n"
    "  pack        lay a model out for this processor, so that it opens at once\n"
    "  pull        download a model from a hub, to be used by its name\n"
    "  models      the models that are here: pulled ones and the bundled one\n"
    "\n"
    "Measuring:\n"
    "  bench       measure how fast a model runs, and in how much memory\n"
    "  sweep       what an input size costs, and what it changes\n"
    "\n"
    "Help:\n"
    "  help        this overview, or the help of one command\n"
    "\n"
    "Examples:\n"
    "  vitrine classify cat.png             name what is in a picture\n"
    "  vitrine classify --format=csv album  a table of a folder of pictures\n"
    "  vitrine inspect -m MODEL             what a checkpoint is, and what it costs\n"
    "\n"
    "Exit codes:\n"
    "  0  all done\n"
    "  1  some inputs failed, each named on standard error; the others were processed\n"
    "  2  the command line is wrong\n"
    "  3  the model can't be used\n"
    "\n"
    "'vitrine COMMAND --help' says more, 'vitrine help environment' has variables, and\n"
    "'vitrine --version' prints the version.\n";

static void test_overview(void **state) {
    (void)state;
    command_run(&ran, NULL, "help", NULL);
    assert_ran(&ran, 0, overview, "");
    command_run(&ran, NULL, "--help", NULL);
    assert_ran(&ran, 0, overview, "");
    command_run(&ran, NULL, "-h", NULL);
    assert_ran(&ran, 0, overview, "");
    command_run(&ran, NULL, NULL); /* not asked for: an error */
    assert_ran(&ran, 2, "", overview);
}

/* An option's line begins with six columns for its letter and "--name". */
static void expect_no_option_twice(const char *help) {
    for (const char *line = help; (line = strstr(line, "\n  ")); line++) {
        const char *name = line + 7;
        if (strncmp(name, "--", 2) != 0)
            continue;
        int length = (int)strcspn(name, "= \n");
        for (const char *other = name; (other = strstr(other, "\n  ")); other++)
            if (strncmp(other + 7, name, (size_t)length + 1) == 0)
                fail_msg("%.*s is there twice", length, name);
    }
}

/* Each option is named in its command's help, with its default; no line is wider than a terminal.
 */
static void test_help_of_commands(void **state) {
    static const struct {
        const char *command, *wanted[10];
    } cases[] = {
        {"classify",
         {"Usage: vitrine classify [OPTION]... IMAGE...\n", "\n  -k, --top=N ", "(default 5)",
          "\n      --format=FORMAT     one of: text, json, csv (default text)\n",
          "\n      --files-from=FILE ", "\n  -s, --size=N|HxW ", "\n      --batch=N ",
          "\n      --head=HEAD ", "\n  -t, --threads=N ", "bicubic-antialias"}},
        {"classify", {"\n  -0, --null ", "\n      --skip-done=FILE "}},
        {"classify",
         {"\n  -m, --model=MODEL ", "\n      --labels=FILE ", "\n      --pos-resize=RULE ",
          "\n      --kernels=NAME ", "\n      --background=RRGGBB ", "\n      --drop-alpha ",
          "\n      --max-pixels=N ", "\n  -q, --quiet ", "\nExamples:\n", "\nExit codes:\n"}},
        {"inspect",
         {"Usage: vitrine inspect [OPTION]... [IMAGE]\n", "--format=", "--tensors ", "--size="}},
        {"dump", {"-i, --input=FILE", "-o, --output=FILE", "--blocks", "--model="}},
        {"embed",
         {"--shrink-on-load ", "--pool=", "one of: model, cls",
          "--text=", "--text-from=", "--normalize", "-0, --null ", "--skip-done="}},
        {"zeroshot",
         {"--labels=", "--template=", "--save-labels=", "--load-labels=", "--top=", "-0, --null ",
          "--skip-done="}},
        {"perplexity", {"--context=", "--rope-scaling=", "--by-position=", "--max-bytes="}},
        {"generate", {"-n, --max-tokens=N", "--temperature=", "--seed=", "--rope-scaling="}},
        {"bench",
         {"-s, --sizes=LIST", "-t, --threads=LIST", "--batch=LIST", "--precision=LIST",
          "-n, --runs=N", "--warmups=N", "--format=", "--arch=NAME",
          "vit_base_patch16_siglip_224"}},
        {"sweep",
         {"-s, --sizes=LIST", "--labels=CSV", "--resume", "-o, --output=DIR", "--arch=NAME",
          "--precision=LIST", "--pos-resize=LIST", "--patch-sizes=LIST", "bilinear-corners"}},
        {"fit",
         {"Usage: vitrine fit [OPTION]... FOLDER\n", "-o, --output=HEAD", "--folds=K", "--unsure=N",
          "--confusion=OUT", "--format=", "--no-cache ", "-s, --size=", "--model="}},
        {"pack", {"-o, --output=DIR", "--precision=TYPE", "-v, --verbose"}},
        {"pull",
         {"Usage: vitrine pull [OPTION]... NAME[@REVISION]...\n", "--revision=R", "--retries=N"}},
        {"models", {"Usage: vitrine models [OPTION]...\n", "--format="}},
        {"help", {"Usage: vitrine help [OPTION]... [COMMAND | environment]\n", "--man "}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        command_run(&ran, NULL, "help", cases[i].command, NULL);
        assert_ran(&ran, 0, NULL, "");
        for (size_t j = 0; j < 10 && cases[i].wanted[j]; j++)
            if (!strstr(ran.out, cases[i].wanted[j]))
                fail_msg("help %s lacks \"%s\"", cases[i].command, cases[i].wanted[j]);
        for (const char *line = ran.out, *end; (end = strchr(line, '\n')); line = end + 1)
            if (end - line > 80)
                fail_msg("too wide: %.*s", (int)(end - line), line);
        expect_no_option_twice(ran.out);
        char *help = strdup(ran.out);
        command_run(&ran, NULL, cases[i].command, "--quiet", "-h", NULL);
        assert_ran(&ran, 0, help, "");
        free(help);
    }
}

/* docs/CLI.md knows each option that the help has. */
static void test_manual(void **state) {
    static const struct {
        const char *name;
        size_t least; /* options it must be seen to have */
    } commands[] = {{"classify", 9}, {"inspect", 9}, {"dump", 9},   {"bench", 9},
                    {"sweep", 9},    {"pull", 5},    {"models", 4}, {"fit", 9}};
    char *manual = read_text_file(VT_SOURCE_DIR "/docs/CLI.md");
    (void)state;
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        command_run(&ran, NULL, "help", commands[i].name, NULL);
        size_t options = 0;
        for (const char *at = ran.out; (at = strstr(at, "--")); at += 2, options++) {
            char name[64];
            snprintf(name, sizeof name, "%.*s", (int)strcspn(at, "=\n [,"), at);
            if (!strstr(manual, name) && strcmp(name, "--help") != 0)
                fail_msg("docs/CLI.md lacks %s of %s", name, commands[i].name);
        }
        assert_true(options >= commands[i].least);
    }
    free(manual);
}

static void test_usage_errors(void **state) {
    static const struct {
        const char *arguments[5], *message, *help;
    } cases[] = {
        {{"clasify"}, "unknown command 'clasify', did you mean 'classify'?", "help"},
        {{"frobnicate"}, "unknown command 'frobnicate'", "help"},
        {{"help", "dumb"}, "unknown command 'dumb', did you mean 'dump'?", "help"},
        {{"--foo"}, "unknown option '--foo' before a command", "help"},
        {{"classify"}, "no picture given", "classify --help"},
        {{"classify", "--formt=csv", "x"},
         "unknown option '--formt', did you mean '--format'?",
         "classify --help"},
        {{"classify", "--form", "x"},
         "unknown option '--form', did you mean '--format'?",
         "classify --help"},
        {{"classify", "--elephant", "x"}, "unknown option '--elephant'", "classify --help"},
        {{"classify", "--tensors", "x"}, "unknown option '--tensors'", "classify --help"},
        {{"classify", "-z", "x"}, "unknown option '-z'", "classify --help"},
        {{"classify", "-qz", "x"}, "unknown option '-z' in -qz", "classify --help"},
        {{"classify", "--quiet=1", "x"}, "option '--quiet' takes no value", "classify --help"},
        {{"classify", "x", "--top"}, "option '--top' needs a value: --top N", "classify --help"},
        {{"classify", "x", "-qk"}, "option '--top' needs a value: --top N", "classify --help"},
        {{"classify", "--format", "xml", "x"},
         "--format: expected one of text, json, csv; found 'xml'",
         "classify --help"},
        {{"inspect", "--format", "csv"},
         "--format: expected one of text, json; found 'csv'",
         "inspect --help"},
        {{"classify", "--format=jsn", "x"},
         "--format: unknown value 'jsn', did you mean 'json'?",
         "classify --help"},
        {{"classify", "-k0", "x"},
         "--top: expected a whole number from 1 to 2147483647; found '0'",
         "classify --help"},
        {{"classify", "-k", "-5", "x"},
         "--top: expected a whole number from 1 to 2147483647; found '-5'",
         "classify --help"},
        {{"classify", "--batch=5x", "x"},
         "--batch: expected a whole number from 1 to 2147483647; found '5x'",
         "classify --help"},
        {{"classify", "--batch=2147483648", "x"},
         "--batch: expected a whole number from 1 to 2147483647; found '2147483648'",
         "classify --help"},
        {{"classify", "-t99999999999999999999", "x"},
         "--threads: expected a whole number from 1 to 2147483647; found '99999999999999999999'",
         "classify --help"},
        {{"classify", "--size=224x", "x"},
         "--size: expected a size in pixels such as 224 or 224x320 (height x width); found '224x'",
         "classify --help"},
        {{"classify", "-s0x32", "x"},
         "--size: expected a size in pixels such as 224 or 224x320 (height x width); found '0x32'",
         "classify --help"},
        {{"classify", "--pos-resize=bicubi", "x"},
         "--pos-resize: unknown value 'bicubi', did you mean 'bicubic'?",
         "classify --help"},
        {{"classify", "--background=12345", "x"},
         "--background: expected a colour of six hexadecimal digits such as ff8000; found '12345'",
         "classify --help"},
        {{"classify", "--background=12345g", "x"},
         "--background: expected a colour of six hexadecimal digits such as ff8000; found '12345g'",
         "classify --help"},
        {{"inspect", "cat.png", "model"},
         "unexpected 'model': one picture at most; a model is named with -m",
         "inspect --help"},
        {{"dump", "cat.png"}, "no output given: --output OUT.safetensors", "dump --help"},
        {{"dump", "-oout"}, "no input given: --input IN.safetensors, or a picture", "dump --help"},
        {{"dump", "-oout", "a.png", "b.png"},
         "one picture at a time: unexpected 'b.png'",
         "dump --help"},
        {{"dump", "-oout", "-iin", "a.png"}, "both --input and a picture given", "dump --help"},
        {{"dump", "-oout", "-iin", "-s64"},
         "--size can't change the size of --input",
         "dump --help"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *const *a = cases[i].arguments;
        char expected[512];
        snprintf(expected, sizeof expected, "vitrine: %s\nTry 'vitrine %s'.\n", cases[i].message,
                 cases[i].help);
        command_run(&ran, NULL, a[0], a[1], a[2], a[3], a[4], NULL);
        assert_ran(&ran, 2, "", expected);
    }
}

/* -t wins over $VITRINE_THREADS; a wrong one is an error where its value is wanted. */
static void test_threads_variable(void **state) {
    static const struct {
        const char *variable, *arguments[4], *err; /* NULL: it works */
    } cases[] = {
        {"1", {"inspect", "-mmodel"}, NULL},
        {"", {"inspect", "-mmodel"}, NULL},
        {"0",
         {"inspect", "-mmodel"},
         "vitrine: $VITRINE_THREADS: expected a whole number from 1 to 2147483647; found '0'\n"
         "Try 'vitrine inspect --help'.\n"},
        {"many",
         {"bench", "-mmodel"},
         "vitrine: $VITRINE_THREADS: expected at most 32 whole numbers of 1 or more, such as "
         "1,2,4; "
         "found 'many'\nTry 'vitrine bench --help'.\n"},
        {"many", {"inspect", "-mmodel", "-t1"}, NULL},
        {"many", {"inspect", "-mmodel", "--threads=2"}, NULL},
        {"many", {"inspect", "--help"}, NULL},
        {"many", {"help", "inspect"}, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *const *a = cases[i].arguments;
        setenv("VITRINE_THREADS", cases[i].variable, 1);
        command_run(&ran, NULL, a[0], a[1], a[2], a[3], NULL);
        assert_ran(&ran, cases[i].err ? 2 : 0, cases[i].err ? "" : NULL,
                   cases[i].err ? cases[i].err : "");
    }
    setenv("VITRINE_THREADS", "2", 1);
    command_run(&ran, NULL, "bench", "-mmodel", "-s48", "-n1", "--format=json", NULL);
    assert_ran(&ran, 0, NULL, "");
    assert_non_null(strstr(ran.out, "\"threads\": 2,"));
    command_run(&ran, NULL, "bench", "-mmodel", "-s48", "-n1", "-t1", "--format=json", NULL);
    assert_ran(&ran, 0, NULL, "");
    assert_non_null(strstr(ran.out, "\"threads\": 1,"));
    unsetenv("VITRINE_THREADS");
}

/* Every way to write an option gives the same result. */
static void test_option_forms(void **state) {
    (void)state;
    command_run(&ran, NULL, "classify", "--model=model", "--top=2", "--format=csv", "cat.png",
                NULL);
    assert_ran(&ran, 0, NULL, "");
    char *expected = strdup(ran.out);
    assert_non_null(strchr(expected, '\n'));
    command_run(&ran, NULL, "classify", "--model", "model", "--top", "2", "--format", "csv",
                "cat.png", NULL);
    assert_ran(&ran, 0, expected, "");
    command_run(&ran, NULL, "classify", "cat.png", "-mmodel", "-qk2", "--format=csv", NULL);
    assert_ran(&ran, 0, expected, "");
    command_run(&ran, NULL, "classify", "-m", "model", "-k", "7", "-k", "2", "--format=csv", "--",
                "cat.png", NULL);
    assert_ran(&ran, 0, expected, "");
    free(expected);
    command_run(&ran, NULL, "classify", "-mmodel", "--", "-k2", NULL);
    assert_ran(&ran, 1, "", "vitrine: -k2: No such file or directory\n");
}

/* A full disk is reported, with any output; what was processed does not count as done. */
static void test_full_disk(void **state) {
    static const char expected[] = "vitrine: standard output: No space left on device\n";
    (void)state;
    command_run_to(&ran, "/dev/full", "help", NULL);
    assert_ran(&ran, 1, NULL, expected);
    command_run_to(&ran, "/dev/full", "classify", "-mmodel", "cat.png", "rocket.jpg", NULL);
    assert_ran(&ran, 1, NULL, expected);
    command_run_to(&ran, "/dev/full", "inspect", "-mmodel", "--format=json", NULL);
    assert_ran(&ran, 1, NULL, expected);
}

/* `vitrine … | head`: ends by itself, not by SIGPIPE, and says nothing. */
static void test_closed_pipe(void **state) {
    char *argv[] = {"vitrine", "classify", "-mmodel", "cat.png", "rocket.jpg", NULL};
    int ends[2], status, descriptor;
    pid_t child;
    char text[64] = "";
    posix_spawn_file_actions_t files;
    (void)state;
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, ends[1], 1);
    posix_spawn_file_actions_addopen(&files, 2, ".stderr", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(posix_spawn(&child, VT_COMMAND, &files, NULL, argv, (char *[]){NULL}), 0);
    posix_spawn_file_actions_destroy(&files);
    close(ends[1]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    descriptor = open(".stderr", O_RDONLY);
    assert_int_equal(read(descriptor, text, sizeof text - 1), 0);
    close(descriptor);
}

static void test_progress(void **state) {
    char *many[] = {"vitrine", "classify", "-mmodel", "cat.png", "cat.png", "cat.png", "cat.png",
                    "cat.png", "cat.png",  "cat.png", "cat.png", NULL,      NULL};
    (void)state;
    char *drawn = command_draw(many, "xterm");
    assert_non_null(strstr(drawn, "\r\033[K░"));
    assert_non_null(strstr(drawn, " 0/8"));
    assert_string_equal(drawn + strlen(drawn) - 4, "\r\033[K"); /* it leaves nothing behind */
    free(drawn);
    drawn = command_draw(many, "dumb");
    assert_string_equal(drawn, "");
    free(drawn);
    many[11] = "--quiet";
    drawn = command_draw(many, "xterm");
    assert_string_equal(drawn, "");
    free(drawn);
    many[10] = NULL; /* seven pictures are not many */
    drawn = command_draw(many, "xterm");
    assert_string_equal(drawn, "");
    free(drawn);
    /* of names that come through a pipe nobody knows how many there will be */
    assert_int_equal(mkfifo("names", 0600), 0);
    pid_t sender = fork();
    if (sender == 0) {
        int names = open("names", O_WRONLY);
        for (size_t i = 0; i < 10; i++)
            if (write(names, "cat.png\n", 8) != 8)
                _exit(1);
        _exit(0);
    }
    drawn = command_draw((char *[]){"vitrine", "classify", "-mmodel", "--files-from=names", NULL},
                         "xterm");
    assert_int_equal(waitpid(sender, NULL, 0), sender);
    assert_memory_equal(drawn, "\r\033[K8 ", 6);
    assert_non_null(strstr(drawn, "/s"));
    assert_null(strstr(drawn, "left"));
    assert_string_equal(drawn + strlen(drawn) - 4, "\r\033[K");
    free(drawn);
    drawn = command_draw((char *[]){"vitrine", "bench", "-mmodel", "-n3", "-t1", NULL}, "xterm");
    assert_non_null(strstr(drawn, " 0/10")); /* 2 to warm up and 3, of the passes and of the peak */
    assert_string_equal(drawn + strlen(drawn) - 4, "\r\033[K");
    free(drawn);
    drawn = command_draw((char *[]){"vitrine", "sweep", "--arch=vit_tiny_patch16_224", "-s64",
                                    "-n2", "-t1", "-osweep", NULL},
                         "xterm");
    assert_non_null(strstr(drawn, "░   0% 64x64"));
    free(drawn);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_version),          cmocka_unit_test(test_overview),
        cmocka_unit_test(test_help_of_commands), cmocka_unit_test(test_manual),
        cmocka_unit_test(test_usage_errors),     cmocka_unit_test(test_threads_variable),
        cmocka_unit_test(test_option_forms),     cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_closed_pipe),      cmocka_unit_test(test_progress),
    };
    int failed = cmocka_run_group_tests(tests, command_workspace, command_cleanup);
    command_free(&ran);
    return failed;
}
