/* SPDX-License-Identifier: MIT
 *
 * model.safetensors.index.json, beside two shards, and a file outside of the model's folder that no
 * index may reach.
 */
#include "fuzz.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "formats/checkpoint.h"

static void write_shard(const char *name, const char *const *tensors, size_t count) {
    static const float values[2] = {1, 2};
    vt_error err = {0};
    vt_tensor list[2];
    for (size_t i = 0; i < count; i++)
        list[i] = (vt_tensor){tensors[i], VT_DTYPE_F32, 1, {2}, values, sizeof values};
    fuzz_check(vt_tensor_file_write(fuzz_path(name), list, count, &err) == VT_OK, "a shard");
}

static const char *prepare(void) {
    static char folder[1024];
    if (folder[0])
        return folder;
    snprintf(folder, sizeof folder, "%s", fuzz_path("model"));
    fuzz_check(mkdir(folder, 0700) == 0, "a folder");
    write_shard("outside.safetensors", (const char *const[]){"outside"}, 1);
    write_shard("model/1.safetensors", (const char *const[]){"a", "b"}, 2);
    write_shard("model/2.safetensors", (const char *const[]){"c"}, 1);
    fuzz_write("model/config.json", "{}", 2);
    return folder;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    vt_error err = {0};
    vt_checkpoint *checkpoint;
    const char *folder = prepare();
    fuzz_write("model/model.safetensors.index.json", data ? data : (const uint8_t *)"", size);
    if (!fuzz_ok(vt_checkpoint_open(&checkpoint, folder, &err), &err))
        return 0;
    const vt_tensor *tensor;
    for (size_t i = 0; (tensor = vt_checkpoint_at(checkpoint, i)) != NULL; i++) {
        fuzz_check(strcmp(tensor->name, "outside") != 0, "no file outside of the folder is read");
        fuzz_touch(tensor->data, tensor->size);
    }
    vt_checkpoint_close(checkpoint);
    return 0;
}
