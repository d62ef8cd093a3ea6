/* app/dogs.h - the lost-dog application, in the words of its tutorial: Dog, DogRepository,
 * DogService.
 *
 * The repository speaks the Elasticsearch REST API through a `struct vz_transport`: the same
 * program in the same process, a server of ours, or any Elasticsearch. So the command line behaves
 * the same with and without a server, and nothing here knows where the documents live.
 *
 * Index `dog-image-index`: dog_id, image_path, breed, owner_name (keyword), image_sha256 (keyword),
 * exif.date (date), exif.location (geo_point), image_embedding (dense_vector 512 cosine).
 * Threads: one at a time per service.
 */
#ifndef VZ_APP_DOGS_H
#define VZ_APP_DOGS_H

#include "embed/eye.h"
#include "image/image.h"
#include "json/json.h"

#define VZ_DOG_INDEX "dog-image-index"

/* Sends one request; fills status and body (appended). VZ_IO when the other side is not there. */
struct vz_transport {
    enum vz_status (*call)(void *context, const char *method, const char *path,
                           struct vz_slice body, int *http_status, struct vz_buf *answer,
                           struct vz_error *err);
    void *context;
};

struct vz_dog {
    struct vz_slice dog_id, image_path, breed, owner_name;
    struct vz_exif exif;
    char image_sha256[65];
    float image_embedding[VZ_EYE_DIMS];
};

struct vz_dog_match {
    struct vz_dog dog;     /* without embedding */
    float score;           /* Elasticsearch's (1 + cos) / 2 */
    double probability;    /* vz_eye_probability */
    enum vz_match match;
};

#endif
