/* SPDX-License-Identifier: MIT */
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { MOST_ARGUMENTS = 40 };

static char workspace[] = "/tmp/vitrine-cli-XXXXXX";

static void link_to(const char *target, const char *name) {
    assert_int_equal(symlink(target, name), 0);
}

int command_workspace(void **state) {
    (void)state;
    unsetenv("VITRINE_MODEL");
    if (!mkdtemp(workspace) || chdir(workspace) != 0)
        return -1;
    link_to(VT_TEST_DATA "/golden/timm_vit_token", "model");
    link_to(VT_SOURCE_DIR "/weights/emoji-vit", "bundled");
    link_to(VT_SOURCE_DIR "/images/photos/chelsea.png", "cat.png");
    link_to(VT_SOURCE_DIR "/images/photos/rocket.jpg", "rocket.jpg");
    link_to(VT_SOURCE_DIR "/images/emoji/rainbow_noto_224.png", "rainbow.png");
    return 0;
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *walk) {
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

int command_cleanup(void **state) {
    (void)state;
    return chdir("/") || nftw(workspace, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

void write_file(const char *path, const void *bytes, size_t size) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

char *read_text_file(const char *path) {
    FILE *file = fopen(path, "rb");
    size_t used = 0, capacity = 1 << 16;
    char *text = malloc(capacity);
    assert_non_null(file);
    for (size_t got; (got = fread(text + used, 1, capacity - used - 1, file)) > 0;) {
        used += got;
        if (used + 1 == capacity) {
            text = realloc(text, capacity *= 2);
            assert_non_null(text);
        }
    }
    fclose(file);
    text[used] = '\0';
    return text;
}

/* "NAME=value" of the caller's variable, appended to a list of which the last is NULL. */
static void pass_on(const char *name, char *text, size_t size, char **environment) {
    const char *value = getenv(name);
    while (*environment)
        environment++;
    if (value) {
        snprintf(text, size, "%s=%s", name, value);
        *environment = text;
    }
}

/* Nothing of the caller's terminal, language or settings reaches the command, but these three. */
static pid_t start(char **argv, const char *in, const char *out) {
    char asan[512], model[512], gnuplot[512];
    char *environment[] = {"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", NULL, NULL, NULL, NULL};
    posix_spawn_file_actions_t files;
    pid_t child;
    pass_on("ASAN_OPTIONS", asan, sizeof asan, environment);
    pass_on("VITRINE_MODEL", model, sizeof model, environment);
    pass_on("VITRINE_GNUPLOT", gnuplot, sizeof gnuplot, environment);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, in, O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, 1, out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_addopen(&files, 2, ".stderr", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(posix_spawn(&child, VT_COMMAND, &files, NULL, argv, environment), 0);
    posix_spawn_file_actions_destroy(&files);
    return child;
}

static int wait_for(pid_t child) {
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        assert_int_equal(errno, EINTR);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void spawn(command_result *ran, char **argv, const char *in, const char *out) {
    ran->code = wait_for(start(argv, in, out));
}

static void collect(char *argv[MOST_ARGUMENTS], va_list arguments) {
    size_t count = 0;
    argv[count++] = "vitrine";
    do {
        assert_true(count < MOST_ARGUMENTS);
        argv[count] = va_arg(arguments, char *);
    } while (argv[count++]);
}

void command_free(command_result *ran) {
    free(ran->out);
    free(ran->err);
    ran->out = ran->err = NULL;
}

void command_run(command_result *ran, const char *input, ...) {
    char *argv[MOST_ARGUMENTS];
    va_list arguments;
    va_start(arguments, input);
    collect(argv, arguments);
    va_end(arguments);
    command_free(ran);
    if (input)
        write_file(".stdin", input, strlen(input));
    spawn(ran, argv, input ? ".stdin" : "/dev/null", ".stdout");
    ran->out = read_text_file(".stdout");
    ran->err = read_text_file(".stderr");
}

void command_interrupt(command_result *ran, int number, bool (*ready)(void), ...) {
    char *argv[MOST_ARGUMENTS];
    va_list arguments;
    va_start(arguments, ready);
    collect(argv, arguments);
    va_end(arguments);
    command_free(ran);
    pid_t child = start(argv, "/dev/null", ".stdout");
    while (!ready() && waitpid(child, NULL, WNOHANG) == 0)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    kill(child, number);
    ran->code = wait_for(child);
    ran->out = read_text_file(".stdout");
    ran->err = read_text_file(".stderr");
}

void command_run_to(command_result *ran, const char *path, ...) {
    char *argv[MOST_ARGUMENTS];
    va_list arguments;
    va_start(arguments, path);
    collect(argv, arguments);
    va_end(arguments);
    command_free(ran);
    spawn(ran, argv, "/dev/null", path);
    ran->out = strdup("");
    ran->err = read_text_file(".stderr");
}

void assert_ran(const command_result *ran, int code, const char *out, const char *err) {
    if (err)
        assert_string_equal(ran->err, err);
    if (out)
        assert_string_equal(ran->out, out);
    assert_int_equal(ran->code, code);
}
