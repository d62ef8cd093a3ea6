#include "app/pictures.h"

#include "app/dogs.h"
#include "base/clock.h"
#include "image/phash.h"

#include <stdio.h>

/* Width and height are part of it: one row of six pixels is not two rows of three. */
static void hash_pixels(const struct vz_image *image, char out[33])
{
    char whole[33];
    struct vz_buf key = {0};
    vz_dog_hash((struct vz_slice){(const char *)image->rgb,
                                  (size_t)image->width * (size_t)image->height * 3},
                whole);
    vz_buf_printf(&key, "%d %d %s", image->file_width, image->file_height, whole);
    vz_dog_hash(vz_buf_slice(&key), out);
    vz_buf_deinit(&key);
}

enum vz_status vz_picture_look(struct vz_slice bytes, const struct vz_image_limits *limits,
                               const struct vz_opened_model *model, struct vz_picture *picture,
                               float *vector, struct vz_error *err)
{
    struct vz_image image = {0};
    enum vz_status status = vz_image_decode(bytes, limits, vz_model_image_side(model), &image, err);
    if (status != VZ_OK)
        return status;
    picture->width = image.file_width;
    picture->height = image.file_height;
    picture->exif = image.exif;
    memcpy(picture->format, image.format, sizeof picture->format);
    picture->perceptual_hash = vz_image_phash(&image);
    hash_pixels(&image, picture->pixel_hash);
    status = vz_model_embed_image(model, &image, vector, err);
    picture->vector = vector;
    picture->dims = vz_model_dims(model);
    vz_image_deinit(&image);
    return status;
}

static void put_exif(struct vz_json_writer *w, const struct vz_exif *exif)
{
    if (!exif->has_date && !exif->has_location)
        return;
    vz_json_key(w, "exif");
    vz_json_begin_object(w);
    if (exif->has_date)
        vz_json_field_str(w, "date", exif->date_iso);
    if (exif->has_location) {
        vz_json_key(w, "location");
        vz_json_begin_object(w);
        vz_json_field_double(w, "lat", exif->lat);
        vz_json_field_double(w, "lon", exif->lon);
        vz_json_end_object(w);
    }
    vz_json_end_object(w);
}

void vz_picture_put(struct vz_json_writer *w, const struct vz_picture *picture)
{
    const char *slash = strrchr(picture->path, '/');
    size_t folder = slash ? (size_t)(slash - picture->path) : 0;
    char text[32];
    vz_json_begin_object(w);
    vz_json_field_str(w, "path", picture->path);
    vz_json_field_str(w, "name", slash ? slash + 1 : picture->path);
    vz_json_field_string(w, "folder",
                         folder ? (struct vz_slice){picture->path, folder} : VZ_SLICE("/"));
    vz_json_field_int(w, "size", (int64_t)picture->size);
    vz_json_field_int(w, "modified", picture->modified_ms);
    vz_json_field_int(w, "width", picture->width);
    vz_json_field_int(w, "height", picture->height);
    vz_json_field_str(w, "format", picture->format);
    put_exif(w, &picture->exif);
    vz_json_field_str(w, "content_hash", picture->content_hash);
    vz_json_field_str(w, "pixel_hash", picture->pixel_hash);
    snprintf(text, sizeof text, "%016llx", (unsigned long long)picture->perceptual_hash);
    vz_json_field_str(w, "perceptual_hash", text);
    vz_json_field_int(w, "indexed", vz_wall_ms());
    if (picture->vector) {
        struct vz_buf vector = {0};
        vz_json_append_floats(&vector, picture->vector, picture->dims);
        vz_json_key(w, VZ_PICTURE_VECTOR);
        vz_json_put_raw(w, vz_buf_slice(&vector));
        vz_buf_deinit(&vector);
    }
    vz_json_end_object(w);
}

void vz_picture_id(const char *path, char out[33])
{
    vz_dog_hash(vz_slice_from(path), out);
}

static void put_index(void *context, bool with_digest, struct vz_buf *out)
{
    const struct vz_app_model *model = context;
    vz_buf_append_str(out, "{\"settings\":{\"number_of_shards\":1,\"number_of_replicas\":0},"
                           "\"mappings\":{\"properties\":{");
    static const char *const keywords[] = {"path",         "name",       "folder",         "format",
                                           "content_hash", "pixel_hash", "perceptual_hash"};
    for (size_t i = 0; i < VZ_COUNT_OF(keywords); i++)
        vz_buf_printf(out, "\"%s\":{\"type\":\"keyword\"},", keywords[i]);
    vz_buf_printf(out,
                  "\"size\":{\"type\":\"long\"},\"modified\":{\"type\":\"date\"},"
                  "\"width\":{\"type\":\"integer\"},\"height\":{\"type\":\"integer\"},"
                  "\"indexed\":{\"type\":\"date\"},"
                  "\"exif\":{\"properties\":{\"date\":{\"type\":\"date\"},"
                  "\"location\":{\"type\":\"geo_point\"}}},"
                  "\"" VZ_PICTURE_VECTOR "\":{\"type\":\"dense_vector\",\"index\":true,"
                  "\"similarity\":\"cosine\",\"dims\":%u,\"meta\":",
                  model->dims);
    struct vz_json_writer w = vz_json_writer_on(out);
    vz_app_model_put_meta(&w, model, with_digest);
    vz_buf_append_str(out, "}}}}");
}

static enum vz_status check_index(const struct vz_transport *transport, const char *index,
                                  const struct vz_app_model *model, struct vz_error *err)
{
    struct vz_api_about about;
    enum vz_status status = vz_api_about(transport, index, &about, err);
    if (status != VZ_OK)
        return status;
    if (strcmp(about.vector_field, VZ_PICTURE_VECTOR) != 0)
        status = vz_fail(err, VZ_CONFLICT,
                         "the index [%s] was not made by `vizsla index`: it has no field "
                         "[" VZ_PICTURE_VECTOR "]; choose another with --index",
                         index);
    else
        status = vz_dog_repository_check_model(index, &about.model, model, err);
    vz_api_about_deinit(&about);
    return status;
}

enum vz_status vz_picture_create_index(const struct vz_transport *transport, const char *index,
                                       const struct vz_app_model *model, bool *is_new,
                                       struct vz_error *err)
{
    struct vz_app_model copy = *model;
    enum vz_status status = check_index(transport, index, model, err);
    *is_new = false;
    if (status != VZ_NO_INDEX)
        return status;
    status = vz_api_create(transport, index, put_index, &copy, err);
    *is_new = status == VZ_OK;
    return status == VZ_EXISTS ? check_index(transport, index, model, err) : status;
}
