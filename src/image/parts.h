/* image/parts.h - what the files of this room share; not for other rooms.
 *
 * decode.c opens, checks, decodes; sniff.c names the format and judges SVG text; exif.c reads EXIF;
 * resample.c turns and resizes packed RGB; encode.c and terminal.c write; gate.c bounds the memory
 * of decoding on all cores at once.
 */
#ifndef VZ_IMAGE_PARTS_H
#define VZ_IMAGE_PARTS_H

#include "image/image.h"

#include <pthread.h>

enum vz_image_format {
    VZ_FORMAT_NONE,
    VZ_FORMAT_JPEG,
    VZ_FORMAT_PNG,
    VZ_FORMAT_WEBP,
    VZ_FORMAT_GIF,
    VZ_FORMAT_TIFF,
    VZ_FORMAT_HEIF,
    VZ_FORMAT_AVIF,
    VZ_FORMAT_SVG
};

/* Lets threads in while their weights together are at most `most`; one that is heavier than that
 * goes in alone. Thread-safe; enter blocks. */
struct vz_gate {
    pthread_mutex_t entry, mutex;
    pthread_cond_t left;
    double most;     /* set before use */
    unsigned inside; /* guarded by mutex, as is weight */
    double weight;
};
#define VZ_GATE_INIT(most_weight)                                                                  \
    {                                                                                              \
        .entry = PTHREAD_MUTEX_INITIALIZER, .mutex = PTHREAD_MUTEX_INITIALIZER,                    \
        .left = PTHREAD_COND_INITIALIZER, .most = (most_weight)                                    \
    }
void vz_gate_enter(struct vz_gate *gate, double weight);
void vz_gate_leave(struct vz_gate *gate, double weight);

/* The format by its first bytes, never by a name or a client's word. */
enum vz_image_format vz_image_sniff(struct vz_slice bytes);
/* "jpeg", ...; "" for NONE. Static storage. */
const char *vz_image_format_name(enum vz_image_format format);
/* A word for bytes that are a known file of a kind not read here ("BMP", "PDF"), or NULL. */
const char *vz_image_sniff_other(struct vz_slice bytes);
/* Scans in a JPEG, up to the end of the first image. */
int vz_jpeg_scan_count(struct vz_slice bytes);
/* NULL when librsvg may have the text, otherwise what is not allowed in it. */
const char *vz_svg_objection(struct vz_slice bytes);

/* Reads a TIFF structure: the body of an EXIF block ("Exif\0\0" in front is skipped) or a whole
 * TIFF file. Never fails: what is broken or out of range is absent in *out. */
void vz_exif_read(struct vz_slice block, struct vz_exif *out);

/* Makes packed RGB upright by EXIF orientation 1..8. Takes `rgb` (malloc) and returns the upright
 * bytes, which may be the same; NULL (and `rgb` freed) when memory is short. Swaps *width and
 * *height where the turn does. */
uint8_t *vz_rgb_orient(uint8_t *rgb, int *width, int *height, int orientation);
/* Antialiased bicubic to exactly out_width x out_height, malloc; NULL when memory is short. The
 * result equals Pillow's Image.resize(..., BICUBIC) byte for byte on every machine. */
uint8_t *vz_rgb_resize(const uint8_t *rgb, int width, int height, int out_width, int out_height);

#endif
