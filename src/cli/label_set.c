/* SPDX-License-Identifier: MIT */
#include "label_set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vitrine.h>

#include "diagnose.h"
#include "outfile.h"
#include "tokens.h"
#include "vectors.h"

void labels_free(label_set *set) {
    for (size_t i = 0; i < set->count; i++)
        free(set->names[i]);
    free(set->names);
    free(set->vectors);
}

static void add_name(label_set *set, const char *text, size_t length) {
    char *copy = allocate(length + 1, 1);
    memcpy(copy, text, length);
    copy[length] = '\0';
    set->names = reallocate(set->names, set->count + 1, sizeof *set->names);
    set->names[set->count++] = copy;
}

bool labels_read(label_set *set, const char *list) {
    bool is_file = access(list, R_OK) == 0;
    size_t size = strlen(list);
    char *text = is_file ? read_file(list, &size) : duplicate(list);
    for (size_t begin = 0; text && begin < size;) {
        size_t length = strcspn(text + begin, is_file ? "\r\n" : ","), end = begin + length;
        while (length && text[begin] == ' ') {
            begin++;
            length--;
        }
        while (length && text[begin + length - 1] == ' ')
            length--;
        if (length)
            add_name(set, text + begin, length);
        begin = end + 1;
    }
    free(text);
    return set->count > 0;
}

/* ---- the file ----------------------------------------------------------------------------------
 */

int labels_save(const label_set *set, const char *path) {
    size_t size = 0, used = 0;
    for (size_t i = 0; i < set->count; i++)
        size += strlen(set->names[i]) + 1;
    char *names = allocate(size + 1, 1);
    for (size_t i = 0; i < set->count; i++)
        used += (size_t)snprintf(names + used, size + 1 - used, "%s\n", set->names[i]);
    const vt_tensor tensors[] = {
        {.name = "vectors",
         .dtype = VT_DTYPE_F32,
         .ndim = 2,
         .shape = {set->count, set->width},
         .data = set->vectors,
         .size = set->count * set->width * sizeof(float)},
        {.name = "names",
         .dtype = VT_DTYPE_U8,
         .ndim = 1,
         .shape = {size},
         .data = names,
         .size = size},
    };
    int code = outfile_write_tensors(path, tensors, 2);
    free(names);
    return code;
}

static void take_names(label_set *set, const vt_tensor *names) {
    const char *text = names->data;
    for (size_t begin = 0, i = 0; i < names->size; i++)
        if (text[i] == '\n') {
            add_name(set, text + begin, i - begin);
            begin = i + 1;
        }
}

/* NULL, or what is wrong. Vectors are of length 1, whoever wrote them: a score then is a number. */
static const char *take_labels(label_set *set, const vt_tensor_file *file) {
    static const char other[] = "expected what --save-labels wrote with this model: 'vectors' of "
                                "its width, all of them numbers, and as many 'names'";
    const vt_tensor *vectors = vt_tensor_file_find(file, "vectors");
    const vt_tensor *names = vt_tensor_file_find(file, "names");
    if (!vectors || !names || vectors->dtype != VT_DTYPE_F32 || vectors->ndim != 2 ||
        vectors->shape[1] != set->width || names->dtype != VT_DTYPE_U8)
        return other;
    take_names(set, names);
    if (set->count != vectors->shape[0] || set->count == 0)
        return other;
    set->vectors = allocate(set->count * set->width, sizeof *set->vectors);
    memcpy(set->vectors, vectors->data, vectors->size);
    if (!all_finite(set->vectors, set->count * set->width))
        return other;
    for (size_t i = 0; i < set->count; i++)
        scale_to_unit(set->vectors + i * set->width, set->width);
    return NULL;
}

int labels_load(label_set *set, const char *path) {
    vt_error err = {0};
    vt_tensor_file *file = NULL;
    const char *wrong =
        vt_tensor_file_open(&file, path, &err) ? err.message : take_labels(set, file);
    if (wrong)
        complain(path, wrong);
    vt_tensor_file_close(file);
    return wrong ? EXIT_SOME_FAILED : EXIT_DONE;
}
