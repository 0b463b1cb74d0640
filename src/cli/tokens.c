/* SPDX-License-Identifier: MIT */
#include "tokens.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "diagnose.h"

/* The directory of the model: its path, or where its file lies. */
static char *model_directory(const vt_model *model) {
    vt_model_info info;
    struct stat about;
    vt_model_describe(&info, model);
    char *path = duplicate(info.path);
    if (stat(path, &about) == 0 && S_ISDIR(about.st_mode))
        return path;
    char *slash = strrchr(path, '/');
    if (slash)
        *slash = '\0';
    else
        strcpy(path, ".");
    return path;
}

int open_tokenizer(vt_tokenizer **out, const vt_model *model, bool *is_bytes) {
    vt_error err = {0};
    char *directory = model_directory(model);
    vt_status status = vt_tokenizer_open(out, directory, &err);
    *is_bytes = status == VT_ERR_MISSING && vt_model_vocab_size(model) == 256;
    if (*is_bytes)
        status = vt_tokenizer_bytes(out, &err);
    if (status)
        complain(directory, err.message);
    free(directory);
    return status ? EXIT_MODEL : EXIT_DONE;
}

vt_status text_to_ids(int64_t **ids, size_t *count, const vt_tokenizer *tokenizer,
                      const vt_model *model, const char *text, vt_error *err) {
    vt_token_lengths lengths;
    size_t positions = vt_model_max_positions(model);
    vt_tokenizer_lengths(tokenizer, &lengths);
    if (positions && (!lengths.max_length || lengths.max_length > positions))
        lengths.max_length = positions;
    lengths.pad_multiple = 0;
    lengths.pad_length = vt_model_text_padding(model, &lengths.pad_id);
    return vt_tokenizer_encode_to(tokenizer, text, strlen(text), true, &lengths, ids, count, err);
}

char *read_file(const char *path, size_t *size) {
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    size_t used = 0, room = 1 << 16;
    char *text = allocate(room, 1);
    while (file) {
        used += fread(text + used, 1, room - 1 - used, file);
        if (used < room - 1)
            break;
        room *= 2;
        text = reallocate(text, room, 1);
    }
    if (!file || ferror(file)) {
        complain(path, strerror(errno));
        free(text);
        text = NULL;
    } else {
        text[used] = '\0';
        *size = used;
    }
    if (file && file != stdin)
        fclose(file);
    return text;
}

static void add(text_list *list, const char *text, size_t length) {
    char *copy = allocate(length + 1, 1);
    memcpy(copy, text, length);
    copy[length] = '\0';
    list->texts = reallocate(list->texts, list->count + 1, sizeof *list->texts);
    list->texts[list->count++] = copy;
}

bool texts_read(text_list *out, const settings *s) {
    size_t size = 0;
    if (s->text)
        add(out, s->text, strlen(s->text));
    if (!s->text_from)
        return true;
    char *lines = read_file(s->text_from, &size);
    for (size_t begin = 0; lines && begin < size;) {
        const char *newline = memchr(lines + begin, '\n', size - begin);
        size_t end = newline ? (size_t)(newline - lines) : size;
        size_t length = end - begin;
        if (length && lines[end - 1] == '\r')
            length--;
        add(out, lines + begin, length);
        begin = end + 1;
    }
    free(lines);
    return lines != NULL;
}

void texts_free(text_list *list) {
    for (size_t i = 0; i < list->count; i++)
        free(list->texts[i]);
    free(list->texts);
    *list = (text_list){0};
}
