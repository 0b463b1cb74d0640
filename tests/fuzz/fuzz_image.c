/* SPDX-License-Identifier: MIT
 *
 * A picture's file, of any type: as it is, and shrunk on load.
 */
#include "fuzz.h"

static void decode(const uint8_t *data, size_t size, const vt_image_options *options) {
    vt_error err = {0};
    vt_image image;
    if (!fuzz_ok(vt_image_decode(&image, data, size, options, &err), &err)) {
        fuzz_check(!image.pixels, "a failure leaves no pixels");
        return;
    }
    fuzz_check(image.width && image.height && image.stride >= 3 * image.width, "an image's rows");
    fuzz_check(image.full_width >= image.width && image.full_height >= image.height,
               "an image is no larger than its file says");
    fuzz_check(image.full_width <= options->max_pixels / image.full_height, "the limit of pixels");
    for (size_t y = 0; y < image.height; y++)
        fuzz_touch(image.pixels + y * image.stride, 3 * image.width);
    vt_image_free(&image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    vt_image_options options = VT_IMAGE_OPTIONS_INIT;
    options.max_pixels = 1 << 16; /* a picture has to take less than a second on a busy machine */
    decode(data, size, &options);
    options.min_width = options.min_height = 3;
    options.drop_alpha = options.ignore_orientation = true;
    decode(data, size, &options);
    return 0;
}
