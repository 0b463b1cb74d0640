/* SPDX-License-Identifier: MIT
 *
 * EXIF is a TIFF file without pixels; the orientation stands in its first directory.
 * TIFF 6.0, section 2; CIPA DC-008 (Exif 2.32), 4.6.4.
 */
#include "formats/decoders.h"

#include <string.h>

enum { TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3, ENTRY_SIZE = 12 };

typedef struct tiff {
    const uint8_t *bytes;
    size_t size;
    bool big_endian;
} tiff;

/* The caller has checked that the bytes are there. */
static unsigned get16(const tiff *t, size_t at) {
    const uint8_t *b = t->bytes + at;
    return t->big_endian ? (unsigned)b[0] << 8 | b[1] : (unsigned)b[1] << 8 | b[0];
}

static uint32_t get32(const tiff *t, size_t at) {
    const uint32_t first = get16(t, at), second = get16(t, at + 2);
    return t->big_endian ? first << 16 | second : second << 16 | first;
}

int vt_exif_orientation(const uint8_t *bytes, size_t size) {
    if (size >= 6 && memcmp(bytes, "Exif", 5) == 0) {
        bytes += 6;
        size -= 6;
    }
    if (size < 8 || (memcmp(bytes, "II*\0", 4) != 0 && memcmp(bytes, "MM\0*", 4) != 0))
        return 1;
    const tiff t = {bytes, size, bytes[0] == 'M'};
    const size_t directory = get32(&t, 4);
    if (directory > size - 2)
        return 1;
    const size_t count = get16(&t, directory);
    for (size_t i = 0, at = directory + 2; i < count && size - at >= ENTRY_SIZE; i++) {
        if (get16(&t, at) == TAG_ORIENTATION && get16(&t, at + 2) == TYPE_SHORT) {
            const unsigned orientation = get16(&t, at + 8);
            return orientation >= 1 && orientation <= 8 ? (int)orientation : 1;
        }
        at += ENTRY_SIZE;
    }
    return 1;
}
