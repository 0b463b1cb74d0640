/* SPDX-License-Identifier: MIT
 *
 * A checkpoint's JSON, over the weights of a golden case: the first byte says which ('a' is the
 * first), then come config.json, a NUL, preprocessor_config.json, a NUL, and the labels. What opens
 * is run.
 */
#include "fuzz.h"

#include <stdio.h>
#include <unistd.h>

static const char *const CASES[] = {
    "golden/timm_vit_token",
    "golden/timm_vit_reg4_gap",
    "golden/timm_vit_siglip_map",
    "golden/timm_eva02_tiny",
    "golden/timm_dinov3",
    "golden/timm_beit",
    "golden/timm_flexivit",
    "golden/timm_vit_rope_mixed",
    "golden/hf_vit",
    "golden/hf_dinov2",
    "golden/hf_dinov3",
    "golden/hf_beit",
    "golden/hf_clip",
    "golden/hf_siglip",
    "golden/hf_siglip2_naflex",
    "golden/open_clip_quickgelu",
    "golden/meta_dinov2_lc4",
    "golden-pairs/jina_clip_v2",
    "golden-pairs/nomic_vision",
    "golden/text_bert",
    "golden/text_gpt2",
    "golden/text_llama_yarn",
    "golden/text_llama_longrope",
    "golden/text_modernbert",
    "golden/text_t5_encoder",
    "golden/text_bloom",
    "golden/text_mpt",
    "golden/text_nomic_bert",
    "text/byte_lm_rope_window",
    "golden/text_gptneox",
};
enum { NUM_CASES = sizeof CASES / sizeof CASES[0] };

static void link_weights(const char *name) {
    vt_limits limits = VT_LIMITS_INIT;
    limits.follow_links = true;
    fuzz_check(vt_set_limits(&limits, NULL) == VT_OK, "links are followed");
    static const char *const files[] = {"model.safetensors", "open_clip_model.safetensors"};
    for (size_t i = 0; i < 2; i++) {
        char target[1024];
        snprintf(target, sizeof target, "%s/%s/%s", VT_TEST_DATA, name, files[i]);
        unlink(fuzz_path(files[i]));
        if (access(target, F_OK) == 0)
            fuzz_check(symlink(target, fuzz_path(files[i])) == 0, "a link to weights");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    vt_error err = {0};
    vt_model *model;
    vt_model_options options = VT_MODEL_OPTIONS_INIT;
    fuzz_input input = {data, size};
    link_weights(CASES[(uint8_t)(fuzz_byte(&input) - 'a') % NUM_CASES]);
    const fuzz_input config = fuzz_part(&input), preprocessor = fuzz_part(&input);
    fuzz_write("config.json", config.data, config.size);
    fuzz_write("preprocessor_config.json", preprocessor.size ? preprocessor.data : NULL,
               preprocessor.size);
    fuzz_write("labels.txt", input.size ? input.data : NULL, input.size);
    options.labels_path = input.size ? fuzz_path("labels.txt") : NULL;
    options.num_threads = 1;
    const bool known = fuzz_ok(vt_model_check(fuzz_directory(), &err), &err);
    if (!fuzz_ok(vt_model_open(&model, fuzz_directory(), &options, &err), &err))
        return 0;
    fuzz_check(known, "what opens was known before");
    fuzz_run_model(model);
    vt_model_close(model);
    return 0;
}
