/* SPDX-License-Identifier: MIT
 *
 * A packed model: the JSON that describes it, and after a NUL, bytes in threes that change the size
 * of a panel (which, and by how much). All else is as `vitrine pack` has it for plain kernels,
 * which every processor has.
 */
#include "fuzz.h"

#include <stdio.h>
#include <string.h>

static const char ABOUT[] = "vitrine.packed";
static const char CASE[] = VT_TEST_DATA "/golden/timm_vit_token";
enum { MAX_TENSORS = 256 };

/* The packed file, made once. */
static const vt_tensor_file *pack(bool int8) {
    static vt_tensor_file *files[2];
    vt_tensor_file **file = &files[int8];
    vt_error err = {0};
    vt_model *model;
    vt_model_options options = VT_MODEL_OPTIONS_INIT;
    const char *path = fuzz_path(int8 ? "int8.safetensors" : "f32.safetensors");
    if (*file)
        return *file;
    options.kernels = "scalar";
    options.precision = int8 ? "int8" : NULL;
    fuzz_check(vt_model_open(&model, CASE, &options, &err) == VT_OK, err.message);
    fuzz_check(vt_model_pack(model, path, &err) == VT_OK, err.message);
    vt_model_close(model);
    fuzz_check(vt_tensor_file_open(file, path, &err) == VT_OK, err.message);
    return *file;
}

static void write_config(void) {
    static char text[4096];
    static size_t size;
    if (size)
        return;
    FILE *file = fopen(VT_TEST_DATA "/golden/timm_vit_token/config.json", "rb");
    fuzz_check(file != NULL, "config.json");
    size = fread(text, 1, sizeof text, file);
    fclose(file);
    fuzz_write("config.json", text, size);
}

/* The size of panel number `which` changes: a few bytes more or less, or much less. */
static void resize_panels(vt_tensor *tensors, size_t count, fuzz_input *input) {
    while (input->size >= 3) {
        vt_tensor *tensor = &tensors[fuzz_byte(input) % count];
        const unsigned by = fuzz_byte(input) << 8 | fuzz_byte(input);
        if (strncmp(tensor->name, "vitrine.panels.", 15) != 0)
            continue;
        tensor->size = by < tensor->size ? tensor->size - by : by % (tensor->size + 1);
        tensor->shape[0] = tensor->size;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input input = {data, size};
    const fuzz_input about = fuzz_part(&input);
    const vt_tensor_file *packed = pack(about.size && fuzz_byte(&input) & 1);
    vt_tensor tensors[MAX_TENSORS];
    vt_error err = {0};
    vt_model *model;
    vt_model_options options = VT_MODEL_OPTIONS_INIT;
    const size_t count = vt_tensor_file_count(packed);
    fuzz_check(count <= MAX_TENSORS, "room for the tensors");
    for (size_t i = 0; i < count; i++) {
        tensors[i] = *vt_tensor_file_at(packed, i);
        if (strcmp(tensors[i].name, ABOUT) == 0)
            tensors[i] = (vt_tensor){ABOUT, VT_DTYPE_U8, 1, {about.size}, about.data, about.size};
    }
    resize_panels(tensors, count, &input);
    write_config();
    fuzz_check(vt_tensor_file_write(fuzz_path("packed.safetensors"), tensors, count, &err) == VT_OK,
               err.message);
    options.num_threads = 1;
    if (!fuzz_ok(vt_model_open(&model, fuzz_directory(), &options, &err), &err))
        return 0;
    fuzz_run_model(model);
    vt_model_close(model);
    return 0;
}
