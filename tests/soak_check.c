/* SPDX-License-Identifier: MIT */
#include "soak.h"

#include <dirent.h>
#include <jansson.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "damage.h"
#include "vitrine.h"

static char wrong_text[2 * LONGEST];

__attribute__((format(printf, 1, 2))) static const char *wrong(const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(wrong_text, sizeof wrong_text, format, args);
    va_end(args);
    return wrong_text;
}

static void path_in(char *path, const char *folder, const char *name) {
    if (snprintf(path, LONGEST, "%s/%s", folder, name) >= LONGEST)
        die(name);
}

/* A file's text; it is empty where there is none. */
static char *read_text(const char *folder, const char *name) {
    char path[LONGEST];
    path_in(path, folder, name);
    blob b = access(path, F_OK) == 0 ? blob_read(path) : (blob){NULL, 0};
    char *text = calloc(b.size + 1, 1);
    if (!text)
        die("calloc");
    if (b.size)
        memcpy(text, b.bytes, b.size);
    blob_free(&b);
    return text;
}

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static bool is_object(const char *line, size_t length) {
    json_t *object = json_loadb(line, length, 0, NULL);
    bool good = json_is_object(object);
    json_decref(object);
    return good;
}

/* ---- files that are whole ------------------------------------------------------------------ */

/* Of version 1: a header that tells the shape, and floats. */
static bool is_whole_npy(const blob *b) {
    char header[512] = "";
    if (b->size < 10 || memcmp(b->bytes, "\x93NUMPY", 6) != 0)
        return false;
    size_t length = b->bytes[8] | (size_t)b->bytes[9] << 8, floats = 1;
    if (length >= sizeof header || 10 + length > b->size)
        return false;
    memcpy(header, b->bytes + 10, length);
    const char *at = strstr(header, "'shape': (");
    if (!at)
        return false;
    for (at = strchr(at, '(') + 1; *at && *at != ')'; at += strspn(at, ", ")) {
        char *end;
        floats *= strtoul(at, &end, 10);
        if (end == at)
            return false;
        at = end;
    }
    return b->size == 10 + length + floats * sizeof(float);
}

static bool is_whole_tensors(const char *path) {
    vt_tensor_file *file;
    bool whole = vt_tensor_file_open(&file, path, NULL) == VT_OK;
    if (whole)
        vt_tensor_file_close(file);
    return whole;
}

static bool has_end(const blob *b, const char *end, size_t size) {
    return b->size >= size && memcmp(b->bytes + b->size - size, end, size) == 0;
}

static bool is_whole(const char *path) {
    blob b = blob_read(path);
    bool whole = true;
    if (ends_with(path, ".npy"))
        whole = is_whole_npy(&b);
    else if (ends_with(path, ".safetensors"))
        whole = is_whole_tensors(path);
    else if (ends_with(path, ".png"))
        whole = has_end(&b, "IEND\xae\x42\x60\x82", 8);
    else if (ends_with(path, ".svg"))
        whole = has_end(&b, "</svg>\n", 7) || has_end(&b, "</svg>\n\n", 8);
    else if (ends_with(path, ".csv"))
        whole = has_end(&b, "\n", 1);
    else if (ends_with(path, ".json"))
        whole = is_object((const char *)b.bytes, b.size);
    blob_free(&b);
    return whole;
}

/* What is broken on purpose. */
static bool is_ours(const char *name) {
    return strcmp(name, "broken") == 0 || strncmp(name, "damaged", 7) == 0 || name[0] == '.';
}

static bool is_temporary(const char *name) {
    return strstr(name, ".part") || strstr(name, ".new-") || strstr(name, ".tmp");
}

static const char *check_entry(const char *path, const struct dirent *e, bool killed) {
    if (e->d_type == DT_REG && is_temporary(e->d_name)) {
        remove(path); /* so that the next one is seen */
        return killed ? NULL : wrong("%s is left behind", path);
    }
    return e->d_type == DT_REG && !is_ours(e->d_name) && !is_whole(path)
               ? wrong("%s is not whole", path)
               : NULL;
}

/* Files anywhere below are whole, and none of them temporary. */
static const char *check_files(const char *folder, bool killed) {
    DIR *directory = opendir(folder);
    const char *found = NULL;
    if (!directory)
        return NULL;
    for (const struct dirent *e; !found && (e = readdir(directory));) {
        char path[LONGEST];
        path_in(path, folder, e->d_name);
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            strcmp(e->d_name, "broken") == 0 || strcmp(e->d_name, "album") == 0)
            continue;
        found = e->d_type == DT_DIR ? check_files(path, killed) : check_entry(path, e, killed);
    }
    closedir(directory);
    return found;
}

/* The folder of temporary files is empty; what SIGKILL left there is removed. */
static const char *check_temporary(const char *folder, bool killed) {
    char path[LONGEST], file[LONGEST];
    const char *found = NULL;
    path_in(path, folder, "tmp");
    DIR *directory = opendir(path);
    if (!directory)
        die(path);
    for (const struct dirent *e; (e = readdir(directory));) {
        if (e->d_name[0] == '.')
            continue;
        path_in(file, path, e->d_name);
        remove(file);
        found = killed ? NULL : wrong("%s is left behind", file);
    }
    closedir(directory);
    return found;
}

static const char *check_same(const char *folder, const char *made, const char *expected) {
    char one[LONGEST], other[LONGEST];
    path_in(one, folder, made);
    path_in(other, folder, expected);
    if (access(one, F_OK) != 0)
        return wrong("code 0 without %s", one);
    blob a = blob_read(one), b = blob_read(other);
    bool same = a.size == b.size && memcmp(a.bytes, b.bytes, a.size) == 0;
    blob_free(&a);
    blob_free(&b);
    return same ? NULL : wrong("%s is not as %s", one, other);
}

/* ---- what is said -------------------------------------------------------------------------- */

/* Lines of the command's own; where it ended by itself, a message if it failed, and none if not. */
static const char *check_messages(const char *text, bool by_itself, int code) {
    size_t count = 0;
    while (*text) {
        const char *end = strchr(text, '\n');
        if (!end)
            return "a message without an end";
        for (const char *c = text; c < end; c++)
            if ((unsigned char)*c < 0x20 || *c == 0x7f)
                return "a control character in a message";
        if (strncmp(text, "vitrine: ", 9) != 0 && strncmp(text, "Try 'vitrine ", 13) != 0)
            return "a message that is not the command's";
        count += strncmp(text, "vitrine: note: ", 15) != 0;
        text = end + 1;
    }
    if (by_itself && code == 0 && count)
        return "a message, and code 0";
    return by_itself && code != 0 && !count ? "no message" : NULL;
}

static const char *check_lines(const char *text, bool json) {
    while (*text) {
        const char *end = strchr(text, '\n');
        if (!end)
            return "the last line of standard output is cut";
        if (json && !is_object(text, (size_t)(end - text)))
            return "a line of standard output is no object";
        text = end + 1;
    }
    return NULL;
}

/* ---- what is appended ---------------------------------------------------------------------- */

void count_lines(const char *path, size_t *whole, size_t *broken) {
    FILE *file = fopen(path, "rb");
    char *line = NULL;
    size_t capacity = 0;
    *whole = *broken = 0;
    for (ssize_t length; file && (length = getline(&line, &capacity, file)) > 0;)
        ++*(line[length - 1] == '\n' && is_object(line, (size_t)length) ? whole : broken);
    free(line);
    if (file)
        fclose(file);
}

/* How many results, and failures, a file has of a picture. */
static void count_of(const char *results, const char *name, size_t length, size_t *found,
                     size_t *failed) {
    char begin[LONGEST];
    int size = snprintf(begin, sizeof begin, "{\"image\": \"%.*s\", ", (int)length, name);
    *found = *failed = 0;
    for (const char *line = results; *line;) {
        const char *end = strchr(line, '\n');
        if (strncmp(line, begin, (size_t)size) == 0)
            ++*(strncmp(line + size, "\"error\"", 7) == 0 ? failed : found);
        line = end ? end + 1 : line + strlen(line);
    }
}

/* Results are objects, each whole but for the last one after SIGKILL; no picture has two; and once
 * all is done each has one, or a failure. */
static const char *check_results(const char *folder, bool killed, bool all) {
    char *results = read_text(folder, results_name), *list = read_text(folder, list_name);
    char *cut = strrchr(results, '\n');
    const char *found = NULL;
    cut = cut ? cut + 1 : results;
    if (*cut && !killed)
        found = wrong("the last line of %s is cut", results_name);
    *cut = '\0';
    if (!found)
        found = check_lines(results, true);
    for (const char *name = list; *name && !found; name = strchr(name, '\n') + 1) {
        size_t length = strcspn(name, "\n"), done, failed;
        count_of(results, name, length, &done, &failed);
        if (done > 1 || (all && !done && !failed))
            found = wrong("%zu results of %.*s", done, (int)length, name);
    }
    free(results);
    free(list);
    return found;
}

/* ---- all ----------------------------------------------------------------------------------- */

static const char *check_status(const ending *end) {
    if (WIFSIGNALED(end->status) && !(end->interrupted && WTERMSIG(end->status) == end->number))
        return wrong("ended by signal %d", WTERMSIG(end->status));
    if (WIFEXITED(end->status) && WEXITSTATUS(end->status) > 3)
        return wrong("code %d", WEXITSTATUS(end->status));
    return NULL;
}

static const char *check_output(const plan *p, const ending *end, const char *folder) {
    bool by_itself = !end->interrupted;
    bool closed = end->interrupted && end->number == 0;
    int code = WIFEXITED(end->status) ? WEXITSTATUS(end->status) : -1;
    char *out = read_text(folder, "stdout"), *err = read_text(folder, "stderr");
    const char *found = check_messages(err, by_itself, code);
    if (!found && !closed && !(p->flows && end->interrupted))
        found = check_lines(out, p->json);
    free(out);
    free(err);
    return found;
}

const char *soak_check(const plan *p, const ending *end, const char *folder) {
    bool killed = end->interrupted && end->number == SIGKILL;
    bool good = WIFEXITED(end->status) && WEXITSTATUS(end->status) == 0;
    bool ended = WIFEXITED(end->status) && WEXITSTATUS(end->status) < 2;
    const char *found = check_status(end);
    if (!found)
        found = check_files(folder, killed);
    if (!found)
        found = check_temporary(folder, killed);
    if (!found && !killed)
        found = check_output(p, end, folder);
    if (!found && p->made && good)
        found = check_same(folder, p->made, p->expected);
    if (!found && p->appends == results_name)
        found = check_results(folder, killed, ended);
    return found;
}
