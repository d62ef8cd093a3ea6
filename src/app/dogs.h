/* app/dogs.h - the lost-dog application, in the words of its tutorial: Dog, DogRepository,
 * DogService (the last is the register, find and dogs commands in src/cli).
 *
 * The repository speaks the Elasticsearch REST API through a `struct vz_transport`: the same
 * program in the same process, a server of ours, or any Elasticsearch. So the command line behaves
 * the same with and without a server, and nothing here knows where the documents live.
 *
 * Index `dog-image-index`, one document a picture: dog_id, image_path, image_hash, breed,
 * owner_name (keyword), exif.date (date), exif.location (geo_point), image_embedding (dense_vector,
 * cosine; its length is the model's, and meta.model and meta.model_digest say which model made it).
 * A document's _id is made from dog_id and the picture's bytes, so registering the same picture of
 * the same dog again brings the fields that are given up to date instead of adding a second one.
 *
 * Threads: a transport and what is called with it belong to one thread at a time; vz_dog_look may
 * be called from any number of threads.
 *
 *     vz_dog_look(bytes, &limits, model, &dog, vector, &err);   // picture -> embedding, EXIF, hash
 *     vz_dog_repository_bulk_insert(&transport, &dog, 1, &report, &err);
 *     vz_dog_repository_search(&transport, &question, 5, &arena, &found, &err);
 */
#ifndef VZ_APP_DOGS_H
#define VZ_APP_DOGS_H

#include "app/verdict.h"
#include "embed/model.h"

#define VZ_DOG_INDEX "dog-image-index"

/* Slices are borrowed from the caller. */
struct vz_dog {
    struct vz_slice dog_id, image_path, breed, owner_name; /* dog_id must not be empty */
    struct vz_exif exif;
    char image_hash[33];          /* 128 bits of XXH3 over the file's bytes, hexadecimal */
    const float *image_embedding; /* [dims]; borrowed */
    size_t dims;
};

/* What is looked for. */
struct vz_dog_question {
    const float *vector; /* [model->dims] */
    const struct vz_app_model *model;
    const char *image_hash; /* of the picture; NULL when the question is a text */
};

/* A dog found, best picture first. Slices live in the arena given to find. */
struct vz_dog_match {
    struct vz_slice dog_id, image_path, breed, owner_name;
    struct vz_slice exif_date; /* ISO text or empty */
    bool has_location;
    double lat, lon;
    float score; /* Elasticsearch's (1 + cos) / 2 */
    struct vz_verdict verdict;
};

struct vz_dog_matches {
    struct vz_dog_match *items; /* distinct dogs, nearest first */
    size_t count;
    uint64_t registered; /* pictures in the index */
};

/* What became of each dog in a registration. */
enum vz_dog_outcome { VZ_DOG_REGISTERED, VZ_DOG_UPDATED, VZ_DOG_FAILED };
struct vz_dog_report {
    enum vz_dog_outcome outcome;
    struct vz_error error; /* when it failed */
};

/* 128 bits of XXH3 of some bytes, hexadecimal. */
void vz_dog_hash(struct vz_slice bytes, char out[33]);

/* Fills dog->exif, image_hash, image_embedding (= vector), dims from a picture's bytes; leaves the
 * names. vector[vz_model_dims(model)] is the caller's. Errors: those of vz_image_decode and
 * vz_model_embed_image. */
enum vz_status vz_dog_look(struct vz_slice bytes, const struct vz_image_limits *limits,
                           const struct vz_opened_model *model, struct vz_dog *dog, float *vector,
                           struct vz_error *err);

/* DogRepository. create_index: *is_new says whether it made one; an index that is there must have
 * been made with the same model (VZ_CONFLICT says what to do). */
enum vz_status vz_dog_repository_create_index(const struct vz_transport *transport,
                                              const struct vz_app_model *model, bool *is_new,
                                              struct vz_error *err);
/* VZ_CONFLICT, with what to do, when `index` remembers another model than `model`. */
enum vz_status vz_dog_repository_check_model(const char *index,
                                             const struct vz_app_model *made_with,
                                             const struct vz_app_model *model,
                                             struct vz_error *err);
/* One _bulk; one report a dog. VZ_OK also when single dogs failed. */
enum vz_status vz_dog_repository_bulk_insert(const struct vz_transport *transport,
                                             const struct vz_dog *dogs, size_t count,
                                             struct vz_dog_report *reports, struct vz_error *err);
/* The `top` nearest distinct dogs. No index yet is VZ_NO_INDEX with a text that says what to do. */
enum vz_status vz_dog_repository_search(const struct vz_transport *transport,
                                        const struct vz_dog_question *question, size_t top,
                                        struct vz_arena *arena, struct vz_dog_matches *matches,
                                        struct vz_error *err);

/* ---- the list ---- */

/* One dog and how many pictures it has. Slices live in the arena. */
struct vz_dog_entry {
    struct vz_slice dog_id, breed, owner_name; /* of its first picture that has them */
    struct vz_slice *pictures;                 /* image_path of each */
    size_t picture_count;
};
/* All dogs by name; name != NULL: only that one. VZ_NO_INDEX as in search. */
enum vz_status vz_dog_repository_list(const struct vz_transport *transport, const char *name,
                                      struct vz_arena *arena, struct vz_dog_entry **dogs,
                                      size_t *count, struct vz_error *err);
/* Removes a dog's pictures from the index (never a file): all, or that of one image_path. *removed
 * says how many. VZ_NOT_FOUND when there is none. */
enum vz_status vz_dog_repository_remove(const struct vz_transport *transport, const char *name,
                                        const char *image_path, size_t *removed,
                                        struct vz_error *err);

#endif
