/* app/dogs.h - the lost-dog application, in the words of its tutorial: Dog, DogRepository,
 * DogService (the last is the register and find commands in src/cli).
 *
 * The repository speaks the Elasticsearch REST API through a `struct vz_transport`: the same
 * program in the same process, a server of ours, or any Elasticsearch. So the command line behaves
 * the same with and without a server, and nothing here knows where the documents live.
 *
 * Index `dog-image-index`, one document a picture: dog_id, image_path, image_hash, breed,
 * owner_name (keyword), exif.date (date), exif.location (geo_point), image_embedding (dense_vector,
 * 512, cosine; meta.model says which model made it). A document's _id is made from dog_id and the
 * picture's bytes, so registering the same picture of the same dog again brings the fields that are
 * given up to date instead of adding a second one.
 *
 * Threads: a transport and what is called with it belong to one thread at a time.
 *
 *     vz_dog_look(bytes, &limits, &dog, &err);              // picture -> embedding, EXIF, hash
 *     vz_dog_repository_bulk_insert(&transport, &dog, 1, &report, &err);
 *     vz_dog_repository_search_by_image(&transport, dog.image_embedding, 5, &arena, &found, &err);
 */
#ifndef VZ_APP_DOGS_H
#define VZ_APP_DOGS_H

#include "app/transport.h"
#include "embed/eye.h"
#include "image/image.h"

#define VZ_DOG_INDEX "dog-image-index"

/* Slices are borrowed from the caller. */
struct vz_dog {
    struct vz_slice dog_id, image_path, breed, owner_name; /* dog_id must not be empty */
    struct vz_exif exif;
    char image_hash[33];  /* 128 bits of XXH3 over the file's bytes, hexadecimal */
    float image_embedding[VZ_EYE_DIMS];
};

/* A dog found, best picture first. Slices live in the arena given to find. */
struct vz_dog_match {
    struct vz_slice dog_id, image_path, breed, owner_name;
    struct vz_slice exif_date;  /* ISO text or empty */
    bool has_location;
    double lat, lon;
    float score;           /* Elasticsearch's (1 + cos) / 2 */
    double probability;    /* vz_eye_probability of the cosine */
    enum vz_match match;
};

struct vz_dog_matches {
    struct vz_dog_match *items; /* distinct dogs, nearest first */
    size_t count;
    uint64_t registered;        /* pictures in the index */
};

/* What became of each dog in a registration. */
enum vz_dog_outcome { VZ_DOG_REGISTERED, VZ_DOG_UPDATED, VZ_DOG_FAILED };
struct vz_dog_report {
    enum vz_dog_outcome outcome;
    struct vz_error error; /* when it failed */
};

/* Fills dog->exif, image_hash and image_embedding from a picture's bytes; leaves the names. When
 * `seen` is not NULL the decoded picture is moved there (deinit it). Errors: those of
 * vz_image_decode. */
enum vz_status vz_dog_look(struct vz_slice bytes, const struct vz_image_limits *limits,
                           struct vz_dog *dog, struct vz_image *seen, struct vz_error *err);

/* DogRepository. create_index is harmless when the index is there; it refuses (VZ_CONFLICT) an
 * index whose vectors another model made. */
enum vz_status vz_dog_repository_create_index(const struct vz_transport *transport,
                                              struct vz_error *err);
/* One _bulk; one report a dog. VZ_OK also when single dogs failed. */
enum vz_status vz_dog_repository_bulk_insert(const struct vz_transport *transport,
                                             const struct vz_dog *dogs, size_t count,
                                             struct vz_dog_report *reports, struct vz_error *err);
/* The `top` nearest distinct dogs. No index yet is VZ_NO_INDEX with a text that says what to do. */
enum vz_status vz_dog_repository_search_by_image(const struct vz_transport *transport,
                                                 const float embedding[VZ_EYE_DIMS], size_t top,
                                                 struct vz_arena *arena,
                                                 struct vz_dog_matches *matches,
                                                 struct vz_error *err);

#endif
