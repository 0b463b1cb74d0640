/* SPDX-License-Identifier: MIT */
#include "base/options.h"

#include <stdbool.h>
#include <string.h>

#include "base/error.h"

static bool is_zero(const unsigned char *bytes, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (bytes[i])
            return false;
    return true;
}

vt_status vt_options_take(void *full, size_t size, const void *options, const char *type,
                          vt_error *err) {
    size_t given = size;
    memset(full, 0, size);
    if (options) {
        memcpy(&given, options, sizeof given);
        if (given < sizeof given)
            return vt_fail(err, VT_ERR_ARGUMENT, "%s are not initialised: struct_size is %zu", type,
                           given);
        if (given > size && !is_zero((const unsigned char *)options + size, given - size))
            return vt_fail(err, VT_ERR_ARGUMENT,
                           "%s have a field set that this libvitrine does not know: it is older "
                           "than the vitrine.h that the program was compiled with",
                           type);
        memcpy(full, options, given < size ? given : size);
    }
    memcpy(full, &size, sizeof size);
    return VT_OK;
}

const void *vt_options_at(const void *array, size_t index) {
    size_t size;
    memcpy(&size, array, sizeof size);
    return (const unsigned char *)array + index * size;
}
