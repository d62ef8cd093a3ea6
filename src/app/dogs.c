#include "app/dogs.h"

#include "base/strmap.h"
#include "json/json.h"

#include <stdio.h>
#include <stdlib.h>

/* Every picture of one dog may come before the next dog's best one; ask for more than `top`. */
#define PICTURES_PER_DOG 4

void vz_dog_hash(struct vz_slice bytes, char out[33])
{
    snprintf(out, 33, "%016llx%016llx", (unsigned long long)vz_hash(bytes, 0),
             (unsigned long long)vz_hash(bytes, 0x76697A736C61u));
}

enum vz_status vz_dog_look(struct vz_slice bytes, const struct vz_image_limits *limits,
                           const struct vz_opened_model *model, struct vz_dog *dog, float *vector,
                           struct vz_error *err)
{
    struct vz_image image = {0};
    enum vz_status status = vz_image_decode(bytes, limits, vz_model_image_side(model), &image, err);
    if (status != VZ_OK)
        return status;
    status = vz_model_embed_image(model, &image, vector, err);
    dog->image_embedding = vector;
    dog->dims = vz_model_dims(model);
    dog->exif = image.exif;
    vz_dog_hash(bytes, dog->image_hash);
    vz_image_deinit(&image);
    return status;
}

static const char INDEX_HEAD[] =
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
    "\"image_embedding\":{\"type\":\"dense_vector\",\"index\":true,\"similarity\":\"cosine\"";

static void put_index(void *context, bool with_digest, struct vz_buf *out)
{
    const struct vz_app_model *model = context;
    vz_buf_printf(out, "%s,\"dims\":%u,\"meta\":", INDEX_HEAD, model->dims);
    struct vz_json_writer w = vz_json_writer_on(out);
    vz_app_model_put_meta(&w, model, with_digest);
    vz_buf_append_str(out, "}}}}");
}

/* The vectors of one index come from one model: comparing across models finds nonsense. An index
 * without a model's name (made by another program) is trusted as far as the lengths agree. */
enum vz_status vz_dog_repository_check_model(const char *index,
                                             const struct vz_app_model *made_with,
                                             const struct vz_app_model *model, struct vz_error *err)
{
    if (made_with->name[0] && !vz_app_model_same(made_with, model)) {
        bool same_name = strcmp(made_with->name, model->name) == 0;
        return vz_fail(err, VZ_CONFLICT,
                       "the vectors of index [%s] were made by [%s]%s, which cannot be compared "
                       "with those of [%s]%s; to change the index's model: vizsla reindex --model "
                       "%s --index %s",
                       index, made_with->name, same_name ? " with other weights" : "", model->name,
                       same_name ? " installed here" : "", model->name, index);
    }
    if (made_with->dims && model->dims && made_with->dims != model->dims)
        return vz_fail(err, VZ_CONFLICT,
                       "the vectors of index [%s] have %u numbers, those of [%s] %u: another model "
                       "made them",
                       index, made_with->dims, model->name, model->dims);
    return VZ_OK;
}

static enum vz_status check_index(const struct vz_transport *transport,
                                  const struct vz_app_model *model, struct vz_error *err)
{
    struct vz_api_about about;
    enum vz_status status = vz_api_about(transport, VZ_DOG_INDEX, &about, err);
    if (status != VZ_OK)
        return status;
    status = vz_dog_repository_check_model(VZ_DOG_INDEX, &about.model, model, err);
    vz_api_about_deinit(&about);
    return status;
}

enum vz_status vz_dog_repository_create_index(const struct vz_transport *transport,
                                              const struct vz_app_model *model, bool *is_new,
                                              struct vz_error *err)
{
    struct vz_app_model copy = *model;
    enum vz_status status = check_index(transport, model, err);
    *is_new = false;
    if (status != VZ_NO_INDEX)
        return status;
    status = vz_api_create(transport, VZ_DOG_INDEX, put_index, &copy, err);
    *is_new = status == VZ_OK;
    return status == VZ_EXISTS ? check_index(transport, model, err) : status;
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
    vz_json_append_floats(&vector, dog->image_embedding, dog->dims);
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
    vz_dog_hash(vz_buf_slice(&key), out);
    vz_buf_deinit(&key);
}

static void report_one(void *context, size_t i, const struct vz_api_written *written)
{
    struct vz_dog_report *reports = context;
    reports[i] = (struct vz_dog_report){.outcome = written->failure   ? VZ_DOG_FAILED
                                                   : written->created ? VZ_DOG_REGISTERED
                                                                      : VZ_DOG_UPDATED};
    if (written->failure)
        reports[i].error = *written->failure;
}

enum vz_status vz_dog_repository_bulk_insert(const struct vz_transport *transport,
                                             const struct vz_dog *dogs, size_t count,
                                             struct vz_dog_report *reports, struct vz_error *err)
{
    struct vz_buf body = {0};
    for (size_t i = 0; i < count; i++) {
        char id[33];
        document_id(&dogs[i], id);
        vz_buf_printf(&body, "{\"update\":{\"_id\":\"%s\"}}\n{\"doc\":", id);
        struct vz_json_writer w = vz_json_writer_on(&body);
        put_dog(&w, &dogs[i]);
        vz_buf_append_str(&body, ",\"doc_as_upsert\":true}\n");
    }
    enum vz_status status = vz_api_bulk(transport, VZ_DOG_INDEX, vz_buf_slice(&body), count, true,
                                        report_one, reports, err);
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

static bool read_hit(struct vz_json hit, const struct vz_dog_question *question,
                     struct vz_arena *arena, struct vz_dog_match *match)
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
    bool same_bytes = question->image_hash && vz_json_get(source, "image_hash", &value) &&
                      vz_slice_is(vz_json_string(value), question->image_hash);
    match->verdict =
        vz_verdict_of(question->model, 2 * match->score - 1, same_bytes, !question->image_hash);
    return true;
}

/* Keeps the best picture of each dog; hits come nearest first. */
static void keep_distinct(struct vz_json hits, const struct vz_dog_question *question, size_t top,
                          struct vz_arena *arena, struct vz_dog_matches *matches)
{
    struct vz_json hit;
    struct vz_json_iter it = vz_json_iterate(hits);
    matches->items = vz_arena_zalloc(arena, top * sizeof *matches->items);
    while (matches->count < top && vz_json_next(&it, NULL, &hit)) {
        struct vz_dog_match *match = &matches->items[matches->count];
        if (!read_hit(hit, question, arena, match))
            continue;
        size_t i = 0;
        while (i < matches->count && !vz_slice_eq(matches->items[i].dog_id, match->dog_id))
            i++;
        matches->count += i == matches->count;
    }
}

static enum vz_status no_dog_yet(enum vz_status status, struct vz_error *err)
{
    if (status == VZ_NO_INDEX)
        vz_fail(err, VZ_NO_INDEX,
                "no dog is registered yet; register one first: vizsla register --name Luigi "
                "photo.jpg");
    return status;
}

static void put_search(struct vz_buf *body, const struct vz_dog_question *question, size_t k)
{
    vz_buf_append_str(body, "{\"knn\":{\"field\":\"image_embedding\",\"query_vector\":");
    vz_json_append_floats(body, question->vector, question->model->dims);
    vz_buf_printf(body,
                  ",\"k\":%zu,\"num_candidates\":%zu},\"size\":%zu,"
                  "\"_source\":{\"excludes\":[\"image_embedding\"]}}",
                  k, VZ_MIN(VZ_MAX(k * 2, (size_t)100), (size_t)10000), k);
}

enum vz_status vz_dog_repository_search(const struct vz_transport *transport,
                                        const struct vz_dog_question *question, size_t top,
                                        struct vz_arena *arena, struct vz_dog_matches *matches,
                                        struct vz_error *err)
{
    struct vz_buf body = {0};
    struct vz_json_doc *doc = NULL;
    struct vz_json root, hits;
    *matches = (struct vz_dog_matches){0};
    put_search(&body, question, VZ_MIN(top * PICTURES_PER_DOG, (size_t)10000));
    enum vz_status status =
        no_dog_yet(vz_api_count(transport, VZ_DOG_INDEX, &matches->registered, err), err);
    if (status == VZ_OK)
        status = check_index(transport, question->model, err);
    if (status == VZ_OK)
        status = vz_api_ask(transport, "POST", "/" VZ_DOG_INDEX "/_search", vz_buf_slice(&body),
                            "searching", &doc, &root, err);
    if (status == VZ_OK &&
        (!vz_json_get_path(root, "hits.hits", &hits) || vz_json_type(hits) != VZ_JSON_ARRAY))
        status = vz_api_strange("searching", err);
    if (status == VZ_OK)
        keep_distinct(hits, question, top, arena, matches);
    vz_json_free(doc);
    vz_buf_deinit(&body);
    return status;
}

/* ---- the list ------------------------------------------------------------------------------ */

struct listing {
    struct vz_arena *arena;
    struct vz_strmap at; /* dog_id -> place in dogs + 1 */
    struct vz_dog_entry *dogs;
    size_t count, capacity;
};

static struct vz_dog_entry *entry_of(struct listing *listing, struct vz_slice dog_id)
{
    uint64_t at;
    if (vz_strmap_get(&listing->at, dog_id, &at))
        return &listing->dogs[at];
    if (listing->count == listing->capacity) {
        listing->capacity = VZ_MAX((size_t)16, listing->capacity * 2);
        listing->dogs = vz_realloc(listing->dogs, listing->capacity * sizeof *listing->dogs);
    }
    vz_strmap_put(&listing->at, dog_id, listing->count);
    struct vz_dog_entry *entry = &listing->dogs[listing->count++];
    *entry = (struct vz_dog_entry){.dog_id = vz_arena_copy(listing->arena, dog_id)};
    return entry;
}

static void add_picture(struct vz_arena *arena, struct vz_dog_entry *entry, struct vz_slice path)
{
    size_t count = entry->picture_count;
    if ((count & (count - 1)) == 0) { /* full at 0, 1, 2, 4, ...: twice as many */
        struct vz_slice *more = vz_arena_alloc(arena, VZ_MAX(count * 2, (size_t)1) * sizeof *more);
        if (count)
            memcpy(more, entry->pictures, count * sizeof *more);
        entry->pictures = more;
    }
    entry->pictures[entry->picture_count++] = path;
}

static enum vz_status list_one(void *context, const struct vz_api_hit *hit, struct vz_error *err)
{
    struct listing *listing = context;
    struct vz_json value;
    (void)err;
    if (!vz_json_get(hit->source, "dog_id", &value))
        return VZ_OK; /* another program's document */
    struct vz_dog_entry *entry = entry_of(listing, vz_json_string(value));
    if (!entry->breed.len)
        entry->breed = source_text(hit->source, "breed", listing->arena);
    if (!entry->owner_name.len)
        entry->owner_name = source_text(hit->source, "owner_name", listing->arena);
    add_picture(listing->arena, entry, source_text(hit->source, "image_path", listing->arena));
    return VZ_OK;
}

static int by_name(const void *a, const void *b)
{
    const struct vz_dog_entry *x = a, *y = b;
    return vz_slice_cmp(x->dog_id, y->dog_id);
}

static void put_name_query(struct vz_buf *out, const char *name)
{
    struct vz_json_writer w = vz_json_writer_on(out);
    vz_json_begin_object(&w);
    vz_json_key(&w, "term");
    vz_json_begin_object(&w);
    vz_json_field_str(&w, "dog_id", name);
    vz_json_end_object(&w);
    vz_json_end_object(&w);
}

enum vz_status vz_dog_repository_list(const struct vz_transport *transport, const char *name,
                                      struct vz_arena *arena, struct vz_dog_entry **dogs,
                                      size_t *count, struct vz_error *err)
{
    struct listing listing = {.arena = arena};
    struct vz_buf query = {0};
    struct vz_api_scan scan = {.source = "[\"dog_id\",\"breed\",\"owner_name\",\"image_path\"]"};
    if (name) {
        put_name_query(&query, name);
        scan.query = query.data;
    }
    enum vz_status status =
        no_dog_yet(vz_api_scan(transport, VZ_DOG_INDEX, &scan, list_one, &listing, err), err);
    *count = status == VZ_OK ? listing.count : 0;
    *dogs = vz_arena_alloc(arena, VZ_MAX(*count, (size_t)1) * sizeof **dogs);
    if (*count) {
        qsort(listing.dogs, *count, sizeof *listing.dogs, by_name);
        memcpy(*dogs, listing.dogs, *count * sizeof **dogs);
    }
    free(listing.dogs);
    vz_strmap_deinit(&listing.at);
    vz_buf_deinit(&query);
    return status;
}

struct removal {
    const char *image_path;
    struct vz_buf body;
    size_t count, failed;
    struct vz_error failure;
};

static enum vz_status mark_one(void *context, const struct vz_api_hit *hit, struct vz_error *err)
{
    struct removal *removal = context;
    struct vz_json value;
    (void)err;
    if (removal->image_path && !(vz_json_get(hit->source, "image_path", &value) &&
                                 vz_slice_is(vz_json_string(value), removal->image_path)))
        return VZ_OK;
    vz_buf_append_str(&removal->body, "{\"delete\":{\"_id\":");
    struct vz_json_writer w = vz_json_writer_on(&removal->body);
    vz_json_put_string(&w, hit->id);
    vz_buf_append_str(&removal->body, "}}\n");
    removal->count++;
    return VZ_OK;
}

static void note_removed(void *context, size_t i, const struct vz_api_written *written)
{
    struct removal *removal = context;
    (void)i;
    if (written->failure && !removal->failed++)
        removal->failure = *written->failure;
}

enum vz_status vz_dog_repository_remove(const struct vz_transport *transport, const char *name,
                                        const char *image_path, size_t *removed,
                                        struct vz_error *err)
{
    struct removal removal = {.image_path = image_path};
    struct vz_buf query = {0};
    put_name_query(&query, name);
    const struct vz_api_scan scan = {.query = query.data, .source = "[\"image_path\"]"};
    enum vz_status status =
        no_dog_yet(vz_api_scan(transport, VZ_DOG_INDEX, &scan, mark_one, &removal, err), err);
    *removed = 0;
    if (status == VZ_OK && !removal.count)
        status =
            vz_fail(err, VZ_NOT_FOUND,
                    image_path ? "%s has no picture %s registered; `vizsla dogs list %s` shows "
                                 "which it has"
                               : "no dog is registered as %s; `vizsla dogs list` shows all",
                    name, image_path ? image_path : "", name);
    if (status == VZ_OK)
        status = vz_api_bulk(transport, VZ_DOG_INDEX, vz_buf_slice(&removal.body), removal.count,
                             true, note_removed, &removal, err);
    if (status == VZ_OK && removal.failed)
        status = vz_fail(err, VZ_IO, "%zu of %zu pictures of %s were not removed: %s",
                         removal.failed, removal.count, name, removal.failure.text);
    if (status == VZ_OK)
        *removed = removal.count;
    vz_buf_deinit(&removal.body);
    vz_buf_deinit(&query);
    return status;
}
