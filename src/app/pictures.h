/* app/pictures.h - any folder's pictures in an index: one document a file.
 *
 * The document (_id is made from the path, so a file has one document):
 *   path, name, folder      keyword; the absolute path and its two parts
 *   size, modified          long (bytes), date (milliseconds): what the file system says
 *   width, height, format   integer, integer, keyword; upright
 *   exif.date, exif.location  date, geo_point; where the camera wrote them
 *   content_hash            keyword; 128 bits of XXH3 of the file's bytes
 *   pixel_hash              keyword; of the decoded pixels: equal for one picture with two EXIFs
 *   perceptual_hash         keyword; 16 hex digits, image/phash.h
 *   indexed                 date
 *   embedding               dense_vector, cosine; meta says which model made it
 * Not for: going through folders (walk.h), dogs (dogs.h).
 * Threads: vz_picture_look from any number; the rest by its transport.
 *
 *     vz_picture_look(bytes, NULL, model, &picture, vector, &err);
 *     vz_picture_put(&writer, &picture);
 */
#ifndef VZ_APP_PICTURES_H
#define VZ_APP_PICTURES_H

#include "app/api.h"
#include "embed/model.h"

#define VZ_PICTURE_INDEX "pictures"
#define VZ_PICTURE_VECTOR "embedding"

struct vz_picture {
    const char *path; /* borrowed */
    uint64_t size;
    int64_t modified_ms;
    char content_hash[33], pixel_hash[33];
    uint64_t perceptual_hash;
    int width, height;
    char format[12];
    struct vz_exif exif;
    const float *vector; /* [dims]; borrowed; NULL: not known */
    size_t dims;
};

/* Fills everything but path, size, modified_ms and content_hash. vector[vz_model_dims(model)] is
 * the caller's. Errors: those of vz_image_decode and vz_model_embed_image. */
enum vz_status vz_picture_look(struct vz_slice bytes, const struct vz_image_limits *limits,
                               const struct vz_opened_model *model, struct vz_picture *picture,
                               float *vector, struct vz_error *err);
/* The document as JSON. */
void vz_picture_put(struct vz_json_writer *w, const struct vz_picture *picture);
void vz_picture_id(const char *path, char out[33]);

/* As vz_dog_repository_create_index. */
enum vz_status vz_picture_create_index(const struct vz_transport *transport, const char *index,
                                       const struct vz_app_model *model, bool *is_new,
                                       struct vz_error *err);

#endif
