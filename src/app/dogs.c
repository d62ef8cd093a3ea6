#include "app/dogs.h"

#include "base/strmap.h"
#include "json/json.h"

#include <stdio.h>
#include <stdlib.h>

/* Every picture of one dog may come before the next dog's best one; ask for more than `top`. */
#define PICTURES_PER_DOG 4

static void hash_hex(struct vz_slice bytes, char out[33])
{
    snprintf(out, 33, "%016llx%016llx", (unsigned long long)vz_hash(bytes, 0),
             (unsigned long long)vz_hash(bytes, 0x76697A736C61u));
}

enum vz_status vz_dog_look(struct vz_slice bytes, const struct vz_image_limits *limits,
                           struct vz_dog *dog, struct vz_image *seen, struct vz_error *err)
{
    struct vz_image image = {0};
    enum vz_status status = vz_image_decode(bytes, limits, VZ_EYE_SIDE, &image, err);
    if (status != VZ_OK)
        return status;
    status = vz_eye_embed(&image, dog->image_embedding, err);
    dog->exif = image.exif;
    hash_hex(bytes, dog->image_hash);
    if (status == VZ_OK && seen)
        *seen = image;
    else
        vz_image_deinit(&image);
    return status;
}

static const char INDEX_BODY[] =
    "{\"settings\":{\"number_of_shards\":1,\"number_of_replicas\":0},"
    "\"mappings\":{\"properties\":{"
    "\"dog_id\":{\"type\":\"keyword\"},"
    "\"image_path\":{\"type\":\"keyword\"},"
    "\"image_hash\":{\"type\":\"keyword\"},"
    "\"breed\":{\"type\":\"keyword\"},"
    "\"owner_name\":{\"type\":\"keyword\"},"
    "\"exif\":{\"properties\":{"
    "\"date\":{\"type\":\"date\"},"
    "\"location\":{\"type\":\"geo_point\"}}},"
    "\"image_embedding\":{\"type\":\"dense_vector\",\"dims\":512,\"index\":true,"
    "\"similarity\":\"cosine\",\"meta\":{\"model\":\"" VZ_EYE_ID "\"}}}}}";

/* A success whose body is not what the API answers. */
static enum vz_status no_such_api(const char *doing, struct vz_error *err)
{
    return vz_fail(err, VZ_IO,
                   "%s: the answer is not one of Elasticsearch's API; is another server there?",
                   doing);
}

/* One request whose answer must be a success; parses it. Free *doc, also after an error. */
static enum vz_status ask(const struct vz_transport *transport, const char *method,
                          const char *path, struct vz_slice body, const char *doing,
                          struct vz_json_doc **doc, struct vz_json *root, struct vz_error *err)
{
    struct vz_buf answer = {0};
    int http_status = 0;
    const char *type = strstr(path, "/_bulk") ? "application/x-ndjson" : NULL;
    *doc = NULL;
    enum vz_status status =
        transport->call(transport->context, method, path, body, type, &http_status, &answer, err);
    if (status == VZ_OK)
        status = vz_transport_check(http_status, vz_buf_slice(&answer), doing, err);
    if (status == VZ_OK && vz_json_parse(vz_buf_slice(&answer), doc, root, NULL) != VZ_OK)
        status = no_such_api(doing, err);
    vz_buf_deinit(&answer);
    return status;
}

/* The vectors of one index come from one model: comparing across models finds nonsense. An index
 * without a model's name (made by another program) is trusted. */
static enum vz_status check_model(const struct vz_transport *transport, struct vz_error *err)
{
    struct vz_json_doc *doc;
    struct vz_json root, model;
    enum vz_status status = ask(transport, "GET", "/" VZ_DOG_INDEX "/_mapping", (struct vz_slice){0},
                                "reading the mapping", &doc, &root, err);
    if (status == VZ_OK && vz_json_get(root, VZ_DOG_INDEX, &root) &&
        vz_json_get_path(root, "mappings.properties.image_embedding.meta.model", &model)) {
        struct vz_slice name = vz_json_string(model);
        if (!vz_slice_is(name, VZ_EYE_ID))
            status = vz_fail(err, VZ_CONFLICT,
                             "the vectors of index [" VZ_DOG_INDEX "] were made by [%.*s], this "
                             "picture's by [" VZ_EYE_ID "]: they cannot be compared",
                             (int)name.len, name.ptr);
    }
    vz_json_free(doc);
    return status;
}

enum vz_status vz_dog_repository_create_index(const struct vz_transport *transport,
                                              struct vz_error *err)
{
    struct vz_buf answer = {0};
    int http_status = 0;
    enum vz_status status =
        transport->call(transport->context, "PUT", "/" VZ_DOG_INDEX, VZ_SLICE(INDEX_BODY), NULL,
                        &http_status, &answer, err);
    if (status == VZ_OK && http_status == 400 && answer.data &&
        strstr(answer.data, "resource_already_exists_exception"))
        status = check_model(transport, err);
    else if (status == VZ_OK)
        status = vz_transport_check(http_status, vz_buf_slice(&answer),
                                    "creating the index " VZ_DOG_INDEX, err);
    vz_buf_deinit(&answer);
    return status;
}

/* What is not known is left out, so that an update leaves it as it is. */
static void put_dog(struct vz_json_writer *w, const struct vz_dog *dog)
{
    vz_json_begin_object(w);
    vz_json_field_string(w, "dog_id", dog->dog_id);
    vz_json_field_string(w, "image_path", dog->image_path);
    vz_json_field_str(w, "image_hash", dog->image_hash);
    if (dog->breed.len)
        vz_json_field_string(w, "breed", dog->breed);
    if (dog->owner_name.len)
        vz_json_field_string(w, "owner_name", dog->owner_name);
    if (dog->exif.has_date || dog->exif.has_location) {
        vz_json_key(w, "exif");
        vz_json_begin_object(w);
        if (dog->exif.has_date)
            vz_json_field_str(w, "date", dog->exif.date_iso);
        if (dog->exif.has_location) {
            vz_json_key(w, "location");
            vz_json_begin_object(w);
            vz_json_field_double(w, "lat", dog->exif.lat);
            vz_json_field_double(w, "lon", dog->exif.lon);
            vz_json_end_object(w);
        }
        vz_json_end_object(w);
    }
    vz_json_key(w, "image_embedding");
    struct vz_buf vector = {0};
    vz_json_append_floats(&vector, dog->image_embedding, VZ_EYE_DIMS);
    vz_json_put_raw(w, vz_buf_slice(&vector));
    vz_buf_deinit(&vector);
    vz_json_end_object(w);
}

/* The same picture of the same dog always gets the same _id. */
static void document_id(const struct vz_dog *dog, char out[33])
{
    struct vz_buf key = {0};
    vz_buf_append_slice(&key, dog->dog_id);
    vz_buf_append_char(&key, '\n');
    vz_buf_append_str(&key, dog->image_hash);
    hash_hex(vz_buf_slice(&key), out);
    vz_buf_deinit(&key);
}

static void report_item(struct vz_json item, struct vz_dog_report *report)
{
    struct vz_json value;
    *report = (struct vz_dog_report){.outcome = VZ_DOG_FAILED};
    if (vz_json_get(item, "update", &item) && vz_json_get(item, "result", &value)) {
        report->outcome = vz_slice_is(vz_json_string(value), "created") ? VZ_DOG_REGISTERED
                                                                         : VZ_DOG_UPDATED;
        return;
    }
    struct vz_slice reason = VZ_SLICE("the server gave no reason");
    if (vz_json_get_path(item, "error.reason", &value))
        reason = vz_json_string(value);
    vz_fail(&report->error, VZ_BAD_DOCUMENT, "%.*s", (int)VZ_MIN(reason.len, (size_t)400),
            reason.ptr);
}

static enum vz_status read_bulk_answer(struct vz_json root, size_t count,
                                       struct vz_dog_report *reports, struct vz_error *err)
{
    struct vz_json items = {0}, item;
    if (!vz_json_get(root, "items", &items) || vz_json_count(items) != count)
        return vz_fail(err, VZ_IO,
                       "the server answered a bulk request of %zu dogs with %zu items", count,
                       vz_json_count(items));
    struct vz_json_iter it = vz_json_iterate(items);
    for (size_t i = 0; i < count && vz_json_next(&it, NULL, &item); i++)
        report_item(item, &reports[i]);
    return VZ_OK;
}

enum vz_status vz_dog_repository_bulk_insert(const struct vz_transport *transport,
                                             const struct vz_dog *dogs, size_t count,
                                             struct vz_dog_report *reports, struct vz_error *err)
{
    struct vz_buf body = {0};
    struct vz_json_doc *doc;
    struct vz_json root;
    for (size_t i = 0; i < count; i++) {
        char id[33];
        document_id(&dogs[i], id);
        vz_buf_printf(&body, "{\"update\":{\"_id\":\"%s\"}}\n{\"doc\":", id);
        struct vz_json_writer w = vz_json_writer_on(&body);
        put_dog(&w, &dogs[i]);
        vz_buf_append_str(&body, ",\"doc_as_upsert\":true}\n");
    }
    enum vz_status status = ask(transport, "POST", "/" VZ_DOG_INDEX "/_bulk?refresh=true",
                                vz_buf_slice(&body), "registering", &doc, &root, err);
    if (status == VZ_OK)
        status = read_bulk_answer(root, count, reports, err);
    vz_json_free(doc);
    vz_buf_deinit(&body);
    return status;
}

static struct vz_slice source_text(struct vz_json source, const char *path, struct vz_arena *arena)
{
    struct vz_json value;
    if (!vz_json_get_path(source, path, &value))
        return (struct vz_slice){0};
    return vz_arena_copy(arena, vz_json_string(value));
}

static bool read_hit(struct vz_json hit, struct vz_arena *arena, struct vz_dog_match *match)
{
    struct vz_json source, value;
    if (!vz_json_get(hit, "_source", &source) || !vz_json_get(hit, "_score", &value))
        return false;
    *match = (struct vz_dog_match){.score = (float)vz_json_double(value)};
    match->dog_id = source_text(source, "dog_id", arena);
    match->image_path = source_text(source, "image_path", arena);
    match->breed = source_text(source, "breed", arena);
    match->owner_name = source_text(source, "owner_name", arena);
    match->exif_date = source_text(source, "exif.date", arena);
    struct vz_json lat, lon;
    if (vz_json_get_path(source, "exif.location.lat", &lat) &&
        vz_json_get_path(source, "exif.location.lon", &lon)) {
        match->has_location = true;
        match->lat = vz_json_double(lat);
        match->lon = vz_json_double(lon);
    }
    float cosine = 2 * match->score - 1;
    match->probability = vz_eye_probability(cosine);
    match->match = vz_eye_match(cosine);
    return true;
}

/* Keeps the best picture of each dog; hits come nearest first. */
static void keep_distinct(struct vz_json hits, size_t top, struct vz_arena *arena,
                          struct vz_dog_matches *matches)
{
    struct vz_json hit;
    struct vz_json_iter it = vz_json_iterate(hits);
    matches->items = vz_arena_zalloc(arena, top * sizeof *matches->items);
    while (matches->count < top && vz_json_next(&it, NULL, &hit)) {
        struct vz_dog_match *match = &matches->items[matches->count];
        if (!read_hit(hit, arena, match))
            continue;
        size_t i = 0;
        while (i < matches->count && !vz_slice_eq(matches->items[i].dog_id, match->dog_id))
            i++;
        matches->count += i == matches->count;
    }
}

static enum vz_status count_registered(const struct vz_transport *transport, uint64_t *count,
                                       struct vz_error *err)
{
    struct vz_json_doc *doc;
    struct vz_json root, value;
    enum vz_status status = ask(transport, "GET", "/" VZ_DOG_INDEX "/_count", (struct vz_slice){0},
                                "counting the dogs", &doc, &root, err);
    if (status == VZ_NO_INDEX)
        vz_fail(err, VZ_NO_INDEX,
                "no dog is registered yet; register one first: vizsla register --name Luigi "
                "photo.jpg");
    if (status == VZ_OK &&
        (!vz_json_get(root, "count", &value) || vz_json_type(value) != VZ_JSON_INT))
        status = no_such_api("counting the dogs", err);
    if (status == VZ_OK)
        *count = (uint64_t)vz_json_int(value);
    vz_json_free(doc);
    return status;
}

enum vz_status vz_dog_repository_search_by_image(const struct vz_transport *transport,
                                                 const float embedding[VZ_EYE_DIMS], size_t top,
                                                 struct vz_arena *arena,
                                                 struct vz_dog_matches *matches,
                                                 struct vz_error *err)
{
    struct vz_buf body = {0};
    struct vz_json_doc *doc = NULL;
    struct vz_json root, hits;
    *matches = (struct vz_dog_matches){0};
    size_t k = VZ_MIN(top * PICTURES_PER_DOG, (size_t)10000);
    vz_buf_append_str(&body, "{\"knn\":{\"field\":\"image_embedding\",\"query_vector\":");
    vz_json_append_floats(&body, embedding, VZ_EYE_DIMS);
    vz_buf_printf(&body,
                  ",\"k\":%zu,\"num_candidates\":%zu},\"size\":%zu,"
                  "\"_source\":{\"excludes\":[\"image_embedding\"]}}",
                  k, VZ_MIN(VZ_MAX(k * 2, (size_t)100), (size_t)10000), k);
    enum vz_status status = count_registered(transport, &matches->registered, err);
    if (status == VZ_OK)
        status = check_model(transport, err);
    if (status == VZ_OK)
        status = ask(transport, "POST", "/" VZ_DOG_INDEX "/_search", vz_buf_slice(&body),
                     "searching", &doc, &root, err);
    if (status == VZ_OK && (!vz_json_get_path(root, "hits.hits", &hits) ||
                            vz_json_type(hits) != VZ_JSON_ARRAY))
        status = no_such_api("searching", err);
    if (status == VZ_OK)
        keep_distinct(hits, top, arena, matches);
    vz_json_free(doc);
    vz_buf_deinit(&body);
    return status;
}
