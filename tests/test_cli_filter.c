/* SPDX-License-Identifier: MIT
 *
 * The command as a filter: names that come one by one, lists that end names with NUL, results that
 * arrive at once and whole, runs that go on where another was killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "command.h"

static command_result ran;

static void wait_a_little(void) {
    nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
}

/* ---- lines of JSON -----------------------------------------------------------------------------
 */

/* A line without what differs from run to run. */
static json_t *parse(const char *line) {
    json_error_t error;
    json_t *object = json_loads(line, JSON_DISABLE_EOF_CHECK, &error);
    if (!object)
        fail_msg("not JSON: %s: %s", error.text, line);
    json_object_del(object, "ms");
    return object;
}

static const char *image_of(const json_t *object) {
    return json_string_value(json_object_get(object, "image"));
}

static bool is_failure(const json_t *object) {
    return json_object_get(object, "error") != NULL;
}

/* All lines, each whole, in their order. */
static json_t *parse_lines(const char *text) {
    json_t *all = json_array();
    for (const char *end; *text; text = end + 1) {
        end = strchr(text, '\n');
        assert_non_null(end);
        json_array_append_new(all, parse(text));
    }
    return all;
}

static json_t *parse_file(const char *path) {
    char *text = read_text_file(path);
    json_t *all = parse_lines(text);
    free(text);
    return all;
}

static void assert_same(const json_t *found, const json_t *expected) {
    if (json_equal(found, expected))
        return;
    fail_msg("found %s\nexpected %s", json_dumps(found, JSON_COMPACT),
             json_dumps(expected, JSON_COMPACT));
}

/* The command has answered for this picture. */
static void expect_answer(command_process *p, const char *image, bool failed) {
    char *line = command_receive(p);
    assert_non_null(line);
    json_t *object = parse(line);
    assert_string_equal(image_of(object), image);
    assert_int_equal(is_failure(object), failed);
    json_decref(object);
    free(line);
}

/* ---- names that come one by one ----------------------------------------------------------------
 */

/* Whoever waits for an answer before the next name gets one, whatever the batch and the threads. */
static void test_answers_at_once(void **state) {
    static const char *const ways[][2] = {
        {"--batch=1", "-t1"}, {"--batch=1", "-t8"}, {"--batch=5", "-t1"}, {"--batch=5", "-t8"}};
    static const char *const commands[] = {"classify", "embed"};
    (void)state;
    for (size_t i = 0; i < 8; i++) {
        command_process p;
        command_open(&p, NULL, commands[i / 4], "-mmodel", "--format=json", "--files-from=-",
                     ways[i % 4][0], ways[i % 4][1], NULL);
        command_send(&p, "cat.png\n");
        expect_answer(&p, "cat.png", false);
        command_send(&p, "none.png\nrocket.jpg\n");
        expect_answer(&p, "none.png", true);
        expect_answer(&p, "rocket.jpg", false);
        command_send(&p, "rain");
        wait_a_little();
        command_send(&p, "bow.png\r\n\ncat.png"); /* and no line break at the end */
        expect_answer(&p, "rainbow.png", false);
        close(p.in);
        p.in = open("/dev/null", O_RDONLY);
        expect_answer(&p, "cat.png", false);
        assert_null(command_receive(&p));
        assert_int_equal(command_close(&ran, &p), 0);
        assert_ran(&ran, 1, NULL, "vitrine: none.png: No such file or directory\n");
    }
}

/* A directory that is named in a list, and what is found in it, come in their order. */
static void test_directories_in_lists(void **state) {
    (void)state;
    assert_int_equal(mkdir("tree", 0700), 0);
    assert_int_equal(mkdir("tree/deep", 0700), 0);
    assert_int_equal(mkdir("tree/deep/bare", 0700), 0);
    assert_int_equal(mkdir("bare", 0700), 0);
    assert_int_equal(symlink("../../cat.png", "tree/deep/b.png"), 0);
    assert_int_equal(symlink("../cat.png", "tree/z.png"), 0);
    command_run(&ran, "tree\nrocket.jpg\nbare\ncat.png\n", "classify", "-mmodel", "-q",
                "--format=json", "--files-from=-", "rainbow.png", NULL);
    assert_ran(&ran, 1, NULL, "vitrine: bare: no picture in this directory\n");
    static const char *const expected[] = {
        "rainbow.png", "tree/deep/b.png", "tree/z.png", "rocket.jpg", "bare", "cat.png"};
    json_t *all = parse_lines(ran.out);
    assert_int_equal(json_array_size(all), 6);
    for (size_t i = 0; i < 6; i++)
        assert_string_equal(image_of(json_array_get(all, i)), expected[i]);
    assert_string_equal(json_string_value(json_object_get(json_array_get(all, 4), "error")),
                        "no picture in this directory");
    json_decref(all);
}

/* Names may have anything in them but NUL. */
static void test_null(void **state) {
    static const char list[] = "two\nlines.png\0 spaces .png\0\0return.png\r\0cat.png";
    static const char *const names[] = {"two\nlines.png", " spaces .png", "return.png\r"};
    (void)state;
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(symlink("cat.png", names[i]), 0);
    write_file("list0", list, sizeof list - 1);
    command_run(&ran, NULL, "classify", "-mmodel", "-0", "--format=json", "--files-from=list0",
                NULL);
    assert_ran(&ran, 0, NULL, "");
    json_t *all = parse_lines(ran.out);
    assert_int_equal(json_array_size(all), 4);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(image_of(json_array_get(all, i)), names[i]);
    json_decref(all);
    command_run(&ran, NULL, "sweep", "-mmodel", "-s48", "-t1", "--null", "--files-from=list0",
                "-osweep", "-q", NULL);
    assert_int_equal(ran.code, 0);

    command_run(&ran, NULL, "classify", "-mmodel", "--format=json", "--files-from=list0", NULL);
    assert_ran(&ran, 1, NULL, NULL);
    assert_non_null(strstr(ran.err, "vitrine: list0: a NUL byte in a name: for names that end with "
                                    "NUL, give --null (-0)\n"));
    assert_null(strstr(ran.out, "list0")); /* it is no picture */
    command_run(&ran, NULL, "classify", "-mmodel", "-0", "cat.png", NULL);
    assert_ran(&ran, 2, "",
               "vitrine: --null is about the names of --files-from\n"
               "Try 'vitrine classify --help'.\n");
}

/* One name that is none does not end the list. */
static void test_bad_lists(void **state) {
    enum { LONG = 200000 };
    char *list = malloc(LONG + 64);
    (void)state;
    size_t used = (size_t)sprintf(list, "cat.png\n");
    memset(list + used, 'x', LONG);
    sprintf(list + used + LONG, "\nrocket.jpg\n");
    command_run(&ran, list, "classify", "-mmodel", "-k1", "--format=csv", "--files-from=-", NULL);
    assert_ran(&ran, 1, NULL,
               "vitrine: standard input: a name longer than any path: expected one a line, or, "
               "with --null (-0), each ended by NUL\n");
    assert_non_null(strstr(ran.out, "\ncat.png,"));
    assert_non_null(strstr(ran.out, "\nrocket.jpg,"));
    free(list);
    command_run(&ran, NULL, "classify", "-mmodel", "--files-from=.", NULL);
    assert_ran(&ran, 1, "", "vitrine: .: Is a directory\n");
    command_run(&ran, "cat.png\n-\nrocket.jpg\n", "classify", "-mmodel", "-k1", "--format=csv",
                "--files-from=-", NULL);
    assert_ran(&ran, 1, NULL,
               "vitrine: standard input: it is the list of pictures, and can't be one as well\n");
    assert_non_null(strstr(ran.out, "\nrocket.jpg,"));
}

/* ---- memory ------------------------------------------------------------------------------------
 */

static long peak_kilobytes(int process) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/status", process);
    char *status = read_text_file(path);
    const char *line = strstr(status, "VmHWM:");
    assert_non_null(line);
    long peak = strtol(line + strlen("VmHWM:"), NULL, 10);
    free(status);
    return peak;
}

/* Names of 500 bytes, from another process, so that the answers can be read meanwhile. */
static int send_many(const command_process *p, size_t count) {
    int child = fork();
    assert_true(child >= 0);
    if (child)
        return child;
    static char names[1 << 16];
    for (size_t sent = 0; sent < count;) {
        size_t used = 0;
        for (size_t i = 0; i < 100 && sent < count; i++)
            used += (size_t)snprintf(names + used, sizeof names - used, "none/%0494zu\n", sent++);
        if (write(p->in, names, used) != (ssize_t)used)
            _exit(1);
    }
    _exit(0);
}

/* 20 MB of names leave no trace in memory. */
static void test_bounded_memory(void **state) {
    enum { NAMES = 40000 };
    command_process p;
    int status;
    (void)state;
    setenv("ASAN_OPTIONS", "quarantine_size_mb=0:thread_local_quarantine_size_kb=0", 1);
    command_open(&p, NULL, "classify", "-mmodel", "--format=json", "--files-from=-", NULL);
    unsetenv("ASAN_OPTIONS");
    command_send(&p, "cat.png\n");
    expect_answer(&p, "cat.png", false);
    int sender = send_many(&p, 2000);
    for (size_t i = 0; i < 2000; i++)
        free(command_receive(&p));
    assert_int_equal(waitpid(sender, &status, 0), sender);
    long before = peak_kilobytes(p.id);
    sender = send_many(&p, NAMES);
    for (size_t i = 0; i < NAMES; i++) {
        char *line = command_receive(&p);
        assert_non_null(line);
        assert_int_equal(strtol(line + strlen("{\"image\": \"none/"), NULL, 10), i);
        free(line);
    }
    assert_int_equal(waitpid(sender, &status, 0), sender);
    long grown = peak_kilobytes(p.id) - before;
    if (grown > 4096)
        fail_msg("%ld KiB for 20 MB of names", grown);
    assert_int_equal(command_close(&ran, &p), 0);
    assert_int_equal(ran.code, 1);
}

/* ---- the end -----------------------------------------------------------------------------------
 */

/* A reader that goes away ends the command, which waits for a name meanwhile. */
static void test_closed_output(void **state) {
    static const char *const threads[] = {"-t1", "-t4"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        command_process p;
        command_open(&p, NULL, "classify", "-mmodel", "--format=json", "--files-from=-", threads[i],
                     NULL);
        command_send(&p, "cat.png\n");
        expect_answer(&p, "cat.png", false);
        close(p.out);
        p.out = -1;
        int in = p.in; /* stays open */
        p.in = open("/dev/null", O_RDONLY);
        assert_int_equal(command_close(&ran, &p), 0);
        assert_ran(&ran, 1, NULL, "");
        close(in);
    }
}

/* As does a full disk. */
static void test_full_disk(void **state) {
    command_process p;
    (void)state;
    command_open(&p, "/dev/full", "classify", "-mmodel", "-t4", "--files-from=-", NULL);
    command_send(&p, "cat.png\n");
    int in = p.in;
    p.in = open("/dev/null", O_RDONLY);
    assert_int_equal(command_close(&ran, &p), 0);
    assert_ran(&ran, 1, NULL, "vitrine: standard output: No space left on device\n");
    close(in);
}

/* A file of vectors is no output that somebody reads. */
static void test_closed_output_of_a_file(void **state) {
    command_process p;
    (void)state;
    command_open(&p, NULL, "embed", "-mmodel", "-orows.npy", "--files-from=-", NULL);
    close(p.out);
    p.out = -1;
    for (size_t i = 0; i < 30; i++)
        wait_a_little(); /* as it does for a name */
    command_send(&p, "cat.png\n");
    assert_int_equal(command_close(&ran, &p), 0);
    assert_ran(&ran, 0, NULL, "");
    assert_int_equal(access("rows.npy", R_OK), 0);
}

static int held_bytes(int pipe) {
    int count = 0;
    assert_int_equal(ioctl(pipe, FIONREAD, &count), 0);
    return count;
}

/* A signal amid a line, which here is longer than what the pipe holds, ends the command behind it;
 * one between lines at once. */
static void test_signals(void **state) {
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        command_process p;
        char *line;
        command_open(&p, NULL, "embed", "-mmodel", "--pool=tokens", "--format=json",
                     "--files-from=-", NULL);
        int size = fcntl(p.out, F_SETPIPE_SZ, 4096);
        assert_true(size > 0 && size < 10000);
        command_send(&p, "cat.png\nrocket.jpg\ncat.png\n");
        while (held_bytes(p.out) < size)
            wait_a_little();
        kill(p.id, signals[i]);
        wait_a_little();
        line = command_receive(&p);
        assert_non_null(line);
        assert_true(strlen(line) > (size_t)size);
        json_decref(parse(line));
        free(line);
        assert_null(command_receive(&p)); /* nor a part of the next */
        assert_int_equal(command_close(&ran, &p), signals[i]);

        command_open(&p, NULL, "embed", "-mmodel", "--format=json", "--files-from=-", NULL);
        command_send(&p, "cat.png\n");
        expect_answer(&p, "cat.png", false);
        kill(p.id, signals[i]);
        assert_null(command_receive(&p));
        assert_int_equal(command_close(&ran, &p), signals[i]);
    }
}

/* The second one does not wait for a reader. */
static void test_second_signal(void **state) {
    command_process p;
    (void)state;
    command_open(&p, NULL, "embed", "-mmodel", "--pool=tokens", "--format=json", "cat.png", NULL);
    int size = fcntl(p.out, F_SETPIPE_SZ, 4096);
    while (held_bytes(p.out) < size)
        wait_a_little();
    kill(p.id, SIGTERM);
    wait_a_little();
    assert_int_equal(waitpid(p.id, NULL, WNOHANG), 0);
    kill(p.id, SIGTERM);
    assert_int_equal(command_close(&ran, &p), SIGTERM);
}

/* ---- going on ----------------------------------------------------------------------------------
 */

enum { PICTURES = 24 };

/* p00 to p23, of three pictures in turn, and one that is none; what a run that is not disturbed
 * says of them. */
static char *make_pictures(json_t **expected) {
    static const char *const targets[] = {"cat.png", "rocket.jpg", "rainbow.png"};
    char *list = calloc(PICTURES + 1, 16), name[16];
    for (int i = 0; i < PICTURES; i++) {
        sprintf(name, "p%02d", i);
        if (i == PICTURES - 2)
            write_file(name, "no picture", 10);
        else if (symlink(targets[i % 3], name) != 0)
            assert_int_equal(errno, EEXIST);
        strcat(strcat(list, name), "\n");
    }
    command_run(&ran, list, "classify", "-mmodel", "--format=json", "--files-from=-", NULL);
    assert_int_equal(ran.code, 1);
    *expected = parse_lines(ran.out);
    assert_int_equal(json_array_size(*expected), PICTURES);
    write_file("all.jsonl", ran.out, strlen(ran.out));
    return list;
}

/* `vitrine classify … --skip-done FILE >> FILE` */
static void run_on(const char *list, const char *path) {
    char option[64];
    command_process p;
    snprintf(option, sizeof option, "--skip-done=%s", path);
    command_open(&p, path, "classify", "-mmodel", "--format=json", "--files-from=-", option, NULL);
    command_send(&p, list);
    assert_int_equal(command_close(&ran, &p), 0);
}

/* Wherever the file was cut, the run that goes on makes it what it would have been. */
static void test_skip_done_behind_a_cut(void **state) {
    json_t *expected;
    char *list = make_pictures(&expected), *whole = read_text_file("all.jsonl");
    size_t first_lines = 0;
    (void)state;
    for (size_t i = 0; i < 4; i++)
        first_lines += strcspn(whole + first_lines, "\n") + 1;
    for (size_t cut = 0; cut <= first_lines + 1; cut += first_lines / 8) {
        bool is_cut = cut && whole[cut - 1] != '\n';
        write_file("out.jsonl", whole, cut);
        run_on(list, "out.jsonl");
        assert_int_equal(ran.code, 1); /* p22 */
        assert_int_equal(
            strstr(ran.err, "out.jsonl: its last line was cut off, and was removed\n") != NULL,
            is_cut);
        json_t *found = parse_file("out.jsonl");
        assert_same(found, expected);
        json_decref(found);
    }
    free(whole);
    free(list);
    json_decref(expected);
}

static size_t count_lines(const char *path) {
    size_t count = 0;
    char *text = read_text_file(path);
    for (const char *at = text; (at = strchr(at, '\n')); at++)
        count++;
    free(text);
    return count;
}

/* Killed without warning. The other names are sent to the run that goes on alone, so that it has
 * something left to do. */
static void test_skip_done_behind_a_kill(void **state) {
    json_t *expected;
    char *list = make_pictures(&expected), *first = strdup(list);
    (void)state;
    strstr(first, "p09")[0] = '\0';
    for (size_t run = 1; run < 9; run++) {
        command_process p;
        write_file("out.jsonl", "", 0);
        command_open(&p, "out.jsonl", "classify", "-mmodel", "--format=json", "--files-from=-",
                     run % 2 ? "--batch=1" : "--batch=2", NULL);
        command_send(&p, first);
        while (count_lines("out.jsonl") < run)
            wait_a_little();
        kill(p.id, SIGKILL);
        assert_int_equal(command_close(&ran, &p), SIGKILL);
        size_t kept = count_lines("out.jsonl");
        assert_true(kept >= run && kept <= 9);
        run_on(list, "out.jsonl");
        json_t *found = parse_file("out.jsonl");
        assert_same(found, expected);
        json_decref(found);
    }
    free(first);
    free(list);
    json_decref(expected);
}

/* Those that failed are tried again; what has a result is not, however it came about. */
static void test_skip_done_of_failures(void **state) {
    (void)state;
    command_run(&ran, NULL, "classify", "-mmodel", "--format=json", "cat.png", "later.png", NULL);
    assert_int_equal(ran.code, 1);
    write_file("later.jsonl", ran.out, strlen(ran.out));
    assert_int_equal(symlink("rocket.jpg", "later.png"), 0);
    command_run(&ran, NULL, "classify", "-mmodel", "--format=json", "--skip-done=later.jsonl",
                "--batch=3", "cat.png", "later.png", "cat.png", NULL);
    assert_ran(&ran, 0, NULL, "");
    json_t *all = parse_lines(ran.out);
    assert_int_equal(json_array_size(all), 1);
    assert_string_equal(image_of(json_array_get(all, 0)), "later.png");
    assert_false(is_failure(json_array_get(all, 0)));
    json_decref(all);
    /* of embed there is nothing in it */
    command_run(&ran, NULL, "embed", "-mmodel", "--format=json", "--skip-done=later.jsonl",
                "cat.png", NULL);
    assert_ran(&ran, 0, NULL, "");
    assert_non_null(strstr(ran.out, "{\"image\": \"cat.png\", \"embedding\": ["));
    write_file("vectors.jsonl", ran.out, strlen(ran.out));
    command_run(&ran, NULL, "embed", "-mmodel", "--format=json", "--skip-done=vectors.jsonl",
                "cat.png", NULL);
    assert_ran(&ran, 0, "", "");
    /* standard input is another picture each time */
    write_file("dash.jsonl", "{\"image\": \"-\", \"predictions\": []}\n", 34);
    command_run(&ran, "P6 2 1 255 ABCdef", "classify", "-mmodel", "-k1", "--format=json",
                "--skip-done=dash.jsonl", "-", NULL);
    assert_ran(&ran, 0, NULL, "");
    assert_non_null(strstr(ran.out, "{\"image\": \"-\", \"width\": 2,"));
}

/* Files that something else wrote, too. */
static void test_skip_done_of_strange_files(void **state) {
    static const char lines[] = "{\"image\":\"cat.png\",\"predictions\":null}\n"
                                "\n"
                                "[1, 2]\n"
                                "{\"image\": \"rock{\"image\": \"x\", \"predictions\": []}\n"
                                "{\"image\": 5, \"predictions\": []}\n"
                                "{\"predictions\": [], \"image\": \"rainbow.png\", \"x\": {}}\r\n"
                                "{\"image\": \"rocket.jpg\", \"predictions\": []}";
    (void)state;
    write_file("strange.jsonl", lines, sizeof lines - 1);
    command_run(&ran, NULL, "classify", "-mmodel", "--format=json", "--skip-done=strange.jsonl",
                "cat.png", "rocket.jpg", "rainbow.png", NULL);
    assert_ran(&ran, 0, NULL,
               "vitrine: note: strange.jsonl: 2 of its lines are not JSON objects, and were passed "
               "over\n"
               "vitrine: note: strange.jsonl: its last line was cut off, and does not count; what "
               "is appended would stand behind it\n");
    json_t *all = parse_lines(ran.out);
    assert_int_equal(json_array_size(all), 1);
    assert_string_equal(image_of(json_array_get(all, 0)), "rocket.jpg");
    json_decref(all);
    char *left = read_text_file("strange.jsonl");
    assert_string_equal(left, lines); /* it is not touched */
    free(left);
    command_run(&ran, NULL, "classify", "-mmodel", "-v", "--format=json", "--skip-done=new.jsonl",
                "cat.png", NULL);
    assert_int_equal(ran.code, 0);
    assert_non_null(strstr(ran.err, "note: new.jsonl is not there: nothing is done yet\n"));
    assert_non_null(strstr(ran.err, "note: new.jsonl has the results of 0 pictures\n"));
    command_run(&ran, NULL, "classify", "-mmodel", "--format=json", "--skip-done=.", "cat.png",
                NULL);
    assert_ran(&ran, 1, "", "vitrine: .: Is a directory\n");
    command_run(&ran, NULL, "classify", "-mmodel", "--skip-done=new.jsonl", "cat.png", NULL);
    assert_ran(&ran, 2, "",
               "vitrine: --skip-done continues JSON lines: it needs --format=json\n"
               "Try 'vitrine classify --help'.\n");
    command_run(&ran, NULL, "embed", "-mmodel", "--skip-done=new.jsonl", "--format=json",
                "--text=x", NULL);
    assert_int_equal(ran.code, 2);
    assert_non_null(strstr(ran.err, "--skip-done is for pictures"));
}

/* Names that are not UTF-8 keep all their bytes: two that look the same are two. */
static void test_skip_done_of_any_name(void **state) {
    static const char *const names[] = {"\xff.png", "\xfe.png", "a\xff.png", "ab\xff.png",
                                        "q\"\\\n\xc3\xa9.png"};
    static const char *const encoded[] = {"/y5wbmc=", "/i5wbmc=", "Yf8ucG5n", "YWL/LnBuZw==", NULL};
    (void)state;
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(symlink("cat.png", names[i]), 0);
    command_run(&ran, NULL, "classify", "-mmodel", "--format=json", names[0], names[2], names[3],
                names[4], NULL);
    assert_ran(&ran, 0, NULL, "");
    write_file("odd.jsonl", ran.out, strlen(ran.out));
    command_run(&ran, NULL, "classify", "-mmodel", "--format=json", "--skip-done=odd.jsonl",
                names[0], names[1], names[2], names[3], names[4], NULL);
    assert_ran(&ran, 0, NULL, "");
    json_t *first = parse_file("odd.jsonl"), *second = parse_lines(ran.out);
    assert_int_equal(json_array_size(first), 4);
    assert_int_equal(json_array_size(second), 1);
    json_array_insert(first, 1, json_array_get(second, 0));
    for (size_t i = 0; i < 5; i++) {
        const char *found =
            json_string_value(json_object_get(json_array_get(first, i), "image_base64"));
        if (encoded[i])
            assert_string_equal(found, encoded[i]);
        else
            assert_null(found);
    }
    assert_string_equal(image_of(json_array_get(first, 4)), names[4]);
    json_decref(first);
    json_decref(second);

    /* what is no base64 of a path names none: a digit behind the end, a NUL, too long an end */
    static const char broken[] =
        "{\"image\": \"cat.png\", \"image_base64\": \"Y=Q=\", \"predictions\": []}\n"
        "{\"image\": \"cat.png\", \"image_base64\": \"Y2F0LnBuZwB4\", \"predictions\": []}\n"
        "{\"image\": \"ab.png\", \"image_base64\": \"YWIucG5n====\", \"predictions\": []}\n";
    write_file("broken.jsonl", broken, sizeof broken - 1);
    assert_int_equal(symlink("cat.png", "ab.png"), 0);
    command_run(&ran, NULL, "classify", "-mmodel", "--format=json", "--skip-done=broken.jsonl",
                "cat.png", "ab.png", NULL);
    assert_ran(&ran, 0, NULL, "");
    assert_non_null(strstr(ran.out, "\"cat.png\""));
    assert_non_null(strstr(ran.out, "\"ab.png\""));
}

/* More paths than the set first has room for. */
static void test_skip_done_of_many(void **state) {
    enum { MANY = 5000 };
    FILE *done = fopen("many.jsonl", "w"), *list = fopen("many.list", "w");
    (void)state;
    for (int i = 0; i < MANY; i++) {
        if (i % 1000)
            fprintf(done, "{\"image\": \"none/%d.png\", \"predictions\": []}\n", i);
        fprintf(list, "none/%d.png\n", i);
    }
    fclose(done);
    fclose(list);
    command_run(&ran, NULL, "classify", "-mmodel", "--format=json", "--skip-done=many.jsonl",
                "--files-from=many.list", NULL);
    assert_int_equal(ran.code, 1);
    json_t *all = parse_lines(ran.out);
    assert_int_equal(json_array_size(all), MANY / 1000);
    for (size_t i = 0; i < MANY / 1000; i++) {
        char name[32];
        sprintf(name, "none/%zu.png", 1000 * i);
        assert_string_equal(image_of(json_array_get(all, i)), name);
    }
    json_decref(all);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_at_once),
        cmocka_unit_test(test_directories_in_lists),
        cmocka_unit_test(test_null),
        cmocka_unit_test(test_bad_lists),
        cmocka_unit_test(test_bounded_memory),
        cmocka_unit_test(test_closed_output),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_closed_output_of_a_file),
        cmocka_unit_test(test_signals),
        cmocka_unit_test(test_second_signal),
        cmocka_unit_test(test_skip_done_behind_a_cut),
        cmocka_unit_test(test_skip_done_behind_a_kill),
        cmocka_unit_test(test_skip_done_of_failures),
        cmocka_unit_test(test_skip_done_of_strange_files),
        cmocka_unit_test(test_skip_done_of_any_name),
        cmocka_unit_test(test_skip_done_of_many),
    };
    signal(SIGPIPE, SIG_IGN); /* a command that ended too early fails its test alone */
    int failed = cmocka_run_group_tests(tests, command_workspace, command_cleanup);
    command_free(&ran);
    return failed;
}
