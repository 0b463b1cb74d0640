/* SPDX-License-Identifier: MIT
 *
 * What the system does to the command: full disks, closed pipes, files that are cut short, go away
 * or come slowly, signals at any moment. It ends with a line and a code, lines that are printed are
 * whole, and no temporary file stays.
 */
#include "support.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "scenarios.h"

static command_result ran;

static bool exists(const char *path) {
    return access(path, F_OK) == 0;
}

static void check_no_leftovers(const char *what, const char *folder) {
    DIR *directory = opendir(folder);
    if (!directory)
        return;
    for (const struct dirent *e; (e = readdir(directory));)
        if (strstr(e->d_name, ".part") || strstr(e->d_name, ".tmp") || strstr(e->d_name, ".new-"))
            fail_msg("%s: %s/%s is left behind", what, folder, e->d_name);
    closedir(directory);
}

static void check_folders(const char *what) {
    check_no_leftovers(what, ".");
    check_no_leftovers(what, "out.packed");
    check_no_leftovers(what, "swept");
}

/* ---- outputs ------------------------------------------------------------------------------- */

static void test_full_standard_output(void **state) {
    (void)state;
    for (size_t i = 0; scenario_at(i); i++) {
        const scenario *s = scenario_at(i);
        if (!s->prints)
            continue;
        command_wait(&ran, command_start_list(s->argv, "/dev/full", ".err"), "/dev/null", ".err");
        if (ran.code != 1 ||
            strcmp(ran.err, "vitrine: standard output: No space left on device\n") != 0)
            fail_msg("%s: code %d: %s", s->name, ran.code, ran.err);
        check_folders(s->name);
    }
}

static void test_closed_standard_output(void **state) {
    (void)state;
    for (size_t i = 0; scenario_at(i); i++) {
        const scenario *s = scenario_at(i);
        int ends[2];
        char path[32];
        if (!s->prints)
            continue;
        assert_int_equal(pipe(ends), 0);
        snprintf(path, sizeof path, "/dev/fd/%d", ends[1]);
        pid_t child = command_start_list(s->argv, path, ".err");
        close(ends[1]);
        close(ends[0]);
        command_wait(&ran, child, "/dev/null", ".err");
        if (*ran.err || ran.code > 1) /* 0: it had ended before the pipe was closed */
            fail_msg("%s: code %d: %s", s->name, ran.code, ran.err);
        check_folders(s->name);
    }
}

/* No file may grow past so many bytes, as on a full disk; what was there before stays. */
static void run_on_full_disk(const scenario *s, rlim_t bytes) {
    const struct rlimit full = {bytes, RLIM_INFINITY}, none = {RLIM_INFINITY, RLIM_INFINITY};
    command_wait(&ran, command_start_list(s->argv, "/dev/null", ".err"), "/dev/null", ".err");
    assert_int_equal(ran.code, 0);
    remove(s->output);
    write_file(s->output, "old", 3);
    signal(SIGXFSZ, SIG_IGN); /* the command inherits both */
    setrlimit(RLIMIT_FSIZE, &full);
    pid_t child = command_start_list(s->argv, "/dev/null", ".err");
    command_wait(&ran, child, "/dev/null", ".err");
    setrlimit(RLIMIT_FSIZE, &none);
    signal(SIGXFSZ, SIG_DFL);
    bool said = strstr(ran.err, "File too large") || strstr(ran.err, "no room in the temporary") ||
                strstr(ran.err, "gnuplot could not draw");
    if (ran.code != 1 || !said)
        fail_msg("%s: %zu bytes: code %d: %s", s->name, (size_t)bytes, ran.code, ran.err);
    assert_null(strchr(ran.err, '\n')[1] ? ran.err : NULL);
    char *kept = read_text_file(s->output);
    if (strcmp(kept, "old") != 0)
        fail_msg("%s: another file is in place of the one before", s->name);
    free(kept);
    remove(s->output);
    check_folders(s->name);
}

static void test_full_disk(void **state) {
    (void)state;
    for (size_t i = 0; scenario_at(i); i++) {
        const scenario *s = scenario_at(i);
        if (s->output && !(s->draws && !exists("/usr/bin/gnuplot"))) {
            run_on_full_disk(s, 200);
            if (strstr(s->output, "out.packed"))
                run_on_full_disk(s, 4096);
        }
    }
}

/* What is no regular file is written, not replaced. */
static void test_devices(void **state) {
    struct stat before, after;
    (void)state;
    assert_int_equal(stat("/dev/full", &before), 0);
    command_run(&ran, NULL, "embed", "-m", "model", "-o", "/dev/full", "cat.png", NULL);
    assert_ran(&ran, 1, "", "vitrine: /dev/full: No space left on device\n");
    command_run(&ran, NULL, "dump", "-q", "-m", "model", "-o", "/dev/full", "cat.png", NULL);
    assert_ran(&ran, 1, "", "vitrine: /dev/full: No space left on device\n");
    assert_int_equal(stat("/dev/full", &after), 0);
    assert_true(before.st_ino == after.st_ino && S_ISCHR(after.st_mode));
    assert_false(exists("/dev/full.part"));
}

/* ---- inputs -------------------------------------------------------------------------------- */

/* Writes a file into a FIFO, a few bytes at a time; opening it waits for the reader. */
static void write_slowly(const char *fifo, const char *file) {
    size_t size;
    unsigned char *bytes = read_bytes(file, &size);
    int out = open(fifo, O_WRONLY);
    assert_true(out >= 0);
    for (size_t at = 0, piece = 1; at < size; at += piece, piece = piece * 3 % 4099 + 1) {
        piece = piece < size - at ? piece : size - at;
        assert_int_equal(write(out, bytes + at, piece), piece);
    }
    close(out);
    free(bytes);
}

static void test_short_reads(void **state) {
    (void)state;
    command_run(&ran, NULL, "classify", "-m", "model", "--format=csv", "rainbow.png", NULL);
    char *expected = strdup(strchr(ran.out, '\n') + 1 + strlen("rainbow.png"));
    assert_int_equal(mkfifo("slow", 0600), 0);
    pid_t child =
        command_start(".out", ".err", "classify", "-m", "model", "--format=csv", "slow", NULL);
    write_slowly("slow", "rainbow.png");
    command_wait(&ran, child, ".out", ".err");
    assert_ran(&ran, 0, NULL, "");
    const char *row = strchr(ran.out, '\n') + 1;
    assert_memory_equal(row, "slow", 4);
    assert_int_equal(strncmp(row + 4, expected, strcspn(expected, "\n")), 0);
    free(expected);
    remove("slow");
}

/* A directory is read when it is come to, its files one after another. The command can't come to
 * the last of these while it can't print: a line has 18 KB, and a pipe holds 64. */
static void test_file_removed_amid_a_walk(void **state) {
    enum { PICTURES = 40 };
    char path[32];
    command_process p;
    size_t lines = 0;
    (void)state;
    assert_int_equal(mkdir("going", 0700), 0);
    for (int i = 0; i < PICTURES; i++) {
        snprintf(path, sizeof path, "going/%02d.png", i);
        copy_file("rainbow.png", path);
    }
    command_open(&p, NULL, "embed", "-m", "model", "--pool=tokens", "--format=json", "going", NULL);
    for (char *line; (line = command_receive(&p)); free(line))
        if (lines++ == 0)
            remove(path);
        else if (lines == PICTURES)
            assert_non_null(strstr(line, "No such file or directory"));
    assert_int_equal(command_close(&ran, &p), 0);
    assert_int_equal(ran.code, 1);
    assert_string_equal(ran.err, "vitrine: going/39.png: No such file or directory\n");
    assert_int_equal(lines, PICTURES);
}

/* Not the effective user alone, which makes a process that LeakSanitizer may not look at. gcov
 * writes that user's counts here. */
static void run_as_somebody_else(bool root) {
    if (!root)
        return;
    setenv("GCOV_PREFIX", ".", 1);
    assert_int_equal(setresuid(65534, 65534, 0), 0);
}

static void run_as_oneself(bool root) {
    if (!root)
        return;
    assert_int_equal(setresuid(0, 0, 0), 0);
    unsetenv("GCOV_PREFIX");
}

/* Root reads everything: the command runs as somebody else then. */
static void test_unreadable_entries(void **state) {
    bool root = geteuid() == 0;
    (void)state;
    assert_int_equal(mkdir("locked", 0755), 0);
    assert_int_equal(mkdir("locked/b", 0), 0);
    copy_file("cat.png", "locked/a.png");
    copy_file("cat.png", "locked/c.png");
    assert_int_equal(chmod("locked/c.png", 0), 0);
    assert_int_equal(chmod(".", 0777), 0);
    run_as_somebody_else(root);
    if (access(VT_SOURCE_DIR "/images", R_OK) == 0 || !root)
        command_wait(
            &ran, command_start(".out2", ".err2", "classify", "-k1", "-m", "model", "locked", NULL),
            ".out2", ".err2");
    run_as_oneself(root);
    assert_int_equal(chmod("locked/b", 0700), 0);
    assert_int_equal(chmod(".", 0700), 0);
    if (!ran.err)
        skip(); /* the checkout is closed to others */
    assert_int_equal(ran.code, 1);
    assert_string_equal(ran.err, "vitrine: locked/b: Permission denied\n"
                                 "vitrine: locked/c.png: Permission denied\n");
    assert_non_null(strstr(ran.out, "locked/a.png"));
}

/* Weights that are cut to a page once they are mapped: an error, not a bus error. */
static void test_weights_cut_while_mapped(void **state) {
    (void)state;
#ifdef VT_FAIL_ALLOC
    static const char *const files[] = {"config.json", "model.safetensors"};
    static const char *const packed[] = {"config.json", "packed.safetensors"};
    const char *const *const sets[] = {files, packed};
    static const char *const from[] = {"model", "packed"};
    for (size_t i = 0; i < 2; i++) {
        assert_true(mkdir("cut", 0700) == 0 || exists("cut"));
        for (size_t f = 0; f < 2; f++) {
            char source[64], target[64];
            snprintf(source, sizeof source, "%s/%s", from[i], sets[i][f]);
            snprintf(target, sizeof target, "cut/%s", sets[i][f]);
            copy_file(source, target);
        }
        setenv("LD_PRELOAD", VT_FAIL_ALLOC, 1);
        setenv("VT_CUT_MAPPED", "1", 1);
        command_run(&ran, NULL, "classify", "-m", "cut", "cat.png", NULL);
        unsetenv("VT_CUT_MAPPED");
        unsetenv("LD_PRELOAD");
        assert_ran(&ran, 3, "",
                   "vitrine: a file was cut short while it was in use (replace files by renaming "
                   "others)\n");
        remove("cut/model.safetensors");
    }
#else
    skip();
#endif
}

/* ---- signals ------------------------------------------------------------------------------- */

static void wait_ms(long ms) {
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

/* A whole file, whatever the moment, or none. */
static void check_output(const scenario *s, int number, long ms, off_t whole) {
    struct stat info;
    if (stat(s->output, &info) == 0 && info.st_size != whole)
        fail_msg("%s: signal %d after %ld ms: %s has %lld bytes, not %lld", s->name, number, ms,
                 s->output, (long long)info.st_size, (long long)whole);
}

static void interrupt_scenario(const scenario *s, int number, long ms, off_t whole) {
    if (s->output)
        remove(s->output);
    pid_t child = command_start_list(s->argv, ".out", ".err");
    wait_ms(ms);
    kill(child, number);
    command_wait(&ran, child, ".out", ".err");
    if (ran.code != 0 && ran.code != 128 + number)
        fail_msg("%s: signal %d after %ld ms: code %d: %s", s->name, number, ms, ran.code, ran.err);
    size_t printed = strlen(ran.out);
    if (printed && !s->flows && ran.out[printed - 1] != '\n')
        fail_msg("%s: signal %d after %ld ms: the last line is cut: %s", s->name, number, ms,
                 ran.out);
    if (s->output && !s->draws)
        check_output(s, number, ms, whole);
    check_folders(s->name);
}

static void test_signals_at_any_moment(void **state) {
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    static const long moments[] = {0, 2, 5, 9, 14, 20, 40};
    (void)state;
    for (size_t i = 0, n = 0; scenario_at(i); i++) {
        const scenario *s = scenario_at(i);
        struct stat info = {0};
        command_wait(&ran, command_start_list(s->argv, ".out", ".err"), ".out", ".err");
        assert_int_equal(ran.code, 0);
        if (s->output)
            assert_int_equal(stat(s->output, &info), 0);
        for (size_t m = 0; m < sizeof moments / sizeof *moments; m++, n++)
            interrupt_scenario(s, numbers[n % 3], moments[m], info.st_size);
    }
}

/* Held up by a FIFO, the command is amid its first picture: nothing of it is printed. */
static void interrupt_amid_a_picture(const char *command, const char *option) {
    assert_int_equal(mkfifo("hold", 0600), 0);
    pid_t child = command_start(".out", ".err", command, option, "-t1", "-m", "model", "hold",
                                "cat.png", NULL);
    int out = open("hold", O_WRONLY); /* returns once the command has opened it, too */
    assert_true(out >= 0);
    kill(child, SIGINT);
    command_wait(&ran, child, ".out", ".err");
    close(out);
    assert_ran(&ran, 128 + SIGINT, "", "");
    remove("hold");
}

static void test_signals_amid_a_picture(void **state) {
    (void)state;
    interrupt_amid_a_picture("classify", "--format=json");
    interrupt_amid_a_picture("embed", "--format=json");
    interrupt_amid_a_picture("embed", "--output=rows.npy");
    assert_false(exists("rows.npy") || exists("rows.npy.part"));
}

static int set_up(void **state) {
    if (command_workspace(state) != 0)
        return -1;
    scenarios_prepare();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_standard_output),
        cmocka_unit_test(test_closed_standard_output),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_devices),
        cmocka_unit_test(test_short_reads),
        cmocka_unit_test(test_file_removed_amid_a_walk),
        cmocka_unit_test(test_unreadable_entries),
        cmocka_unit_test(test_weights_cut_while_mapped),
        cmocka_unit_test(test_signals_at_any_moment),
        cmocka_unit_test(test_signals_amid_a_picture),
    };
    return cmocka_run_group_tests_name("faults of the system", tests, set_up, command_cleanup);
}
