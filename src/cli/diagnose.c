/* SPDX-License-Identifier: MIT */
#include "diagnose.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

static void print_line(const char *kind, const char *subject, const char *message) {
    char *clean_subject = text_clean(subject ? subject : "", TEXT_ONE_LINE);
    char *clean_message = text_clean(message, TEXT_ONE_LINE);
    fprintf(stderr, "vitrine: %s%s%s%s\n", kind, clean_subject, subject ? ": " : "", clean_message);
    free(clean_subject);
    free(clean_message);
}

bool message_names(const char *message, const char *path) {
    for (; *path; path++, message++)
        if (*message != (*path == '\n' || *path == '\r' ? '?' : *path))
            return false;
    return true;
}

const char *reason_of(const char *subject, const char *message) {
    size_t length = strlen(subject);
    bool named = message_names(message, subject) && strncmp(message + length, ": ", 2) == 0;
    return named ? message + length + 2 : message;
}

static bool is_below(const char *path, const char *directory) {
    size_t length = strlen(directory);
    return length && message_names(path, directory) &&
           (path[length] == '/' || directory[length - 1] == '/');
}

int exit_worse(int a, int b) {
    return a > b ? a : b;
}

void complain(const char *subject, const char *message) {
    if (is_below(message, subject))
        print_line("", NULL, message);
    else
        print_line("", subject, reason_of(subject, message));
}

int complain_usage(const char *command, const char *format, ...) {
    char message[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    print_line("", NULL, message);
    if (command)
        fprintf(stderr, "Try 'vitrine %s --help'.\n", command);
    else
        fputs("Try 'vitrine help'.\n", stderr);
    return EXIT_USAGE;
}

void note(const char *format, ...) {
    char message[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    print_line("note: ", NULL, message);
}

bool output_flush(void) {
    static bool reported;
    errno = 0;
    bool arrived = fflush(stdout) == 0;
    int reason = errno;
    if (arrived && !ferror(stdout))
        return true;
    if (reason != EPIPE && !reported)
        complain("standard output", reason ? strerror(reason) : "can't write");
    reported = true;
    return false;
}

void out_of_memory(void) {
    fputs("vitrine: out of memory\n", stderr);
    exit(EXIT_SOME_FAILED);
}

static void *or_die(void *memory) {
    if (!memory)
        out_of_memory();
    return memory;
}

void *allocate(size_t count, size_t size) {
    return or_die(calloc(count ? count : 1, size));
}

void *reallocate(void *memory, size_t count, size_t size) {
    if (size && count > SIZE_MAX / size)
        return or_die(NULL);
    return or_die(realloc(memory, count * size));
}

char *duplicate(const char *text) {
    return or_die(strdup(text));
}
