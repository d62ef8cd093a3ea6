/* libFuzzer entry for src/image: own parsers (format, EXIF, SVG check, JPEG scans) on every input,
 * and the whole decode with small limits. Build with clang, from the repository's root:
 *
 *     clang -std=gnu17 -D_GNU_SOURCE -g -O1 -fsanitize=fuzzer,address,undefined -I src \
 *         tests/fuzz/image_fuzz.c src/image/[a-z]*.c src/base/[a-z]*.c \
 *         $(pkg-config --cflags --libs vips chafa libxxhash) -lm -lpthread -o /tmp/image_fuzz
 *     /tmp/image_fuzz -max_len=20000 -timeout=20 CORPUS_FOLDER
 */
#include "image/parts.h"

#include <stdlib.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct vz_error err = {0};
    return vz_image_start(&err) == VZ_OK ? 0 : -1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct vz_slice bytes = {(const char *)data, size};
    struct vz_exif exif;
    vz_exif_read(bytes, &exif);
    if (exif.orientation < 1 || exif.orientation > 8 || exif.has_date != (exif.date_iso[0] != 0))
        abort();
    if (exif.has_location &&
        !(exif.lat >= -90 && exif.lat <= 90 && exif.lon >= -180 && exif.lon <= 180))
        abort();
    vz_svg_objection(bytes);
    vz_jpeg_scan_count(bytes);

    struct vz_image image;
    struct vz_error err = {0};
    struct vz_image_limits limits = {.max_bytes = 1 << 20, .max_megapixels = 1};
    enum vz_status status = vz_image_decode(bytes, &limits, 16, &image, &err);
    if ((status == VZ_OK) != (image.rgb != NULL) || (status != VZ_OK && !err.text[0]))
        abort();
    vz_image_deinit(&image);
    return 0;
}
