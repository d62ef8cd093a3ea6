/* image: what a picture in a document says of itself: size, format, EXIF date and place, a
 * perceptual hash, a thumbnail, an embedding. Ours; Elasticsearch has none.
 *
 *     {"image": {"field": "photo", "target_field": "image",
 *                "properties": ["size", "format", "exif", "phash", "thumbnail"],
 *                "thumbnail_side": 128, "model_id": "eye", "output_field": "image_embedding",
 *                "remove_field": true}}
 *
 * A thumbnail is a JPEG of at most MAX_SIDE pixels a side, without metadata, as a data URI. */
#include "ingest/parts.h"

#include "image/image.h"
#include "image/phash.h"

#include <stdio.h>
#include <stdlib.h>

#define DEFAULT_SIDE 128
#define MIN_SIDE 16
#define MAX_SIDE 512
#define HASH_SIDE 64 /* decoding shrinks to this when nothing needs more */

enum { SIZE = 1, FORMAT = 2, EXIF = 4, PHASH = 8, THUMBNAIL = 16 };

struct image {
    struct vz_slice field, target, model, output;
    unsigned properties;
    int side;
    bool add_to_root, ignore_missing, remove;
};

void vz_image_compile(struct vz_config *c, struct vz_processor *processor)
{
    static const char *const names[] = {"size", "format", "exif", "phash", "thumbnail"};
    struct image *image = processor->config = vz_arena_zalloc(c->arena, sizeof *image);
    struct vz_slice *list;
    struct vz_json value;
    image->field = vz_config_text(c, "field");
    image->target = vz_config_text_or(c, "target_field", "image");
    image->add_to_root = vz_config_bool(c, "add_to_root", false);
    image->ignore_missing = vz_config_bool(c, "ignore_missing", false);
    image->remove = vz_config_bool(c, "remove_field", false);
    image->model = vz_config_text_or(c, "model_id", NULL);
    image->output = vz_config_text_or(c, "output_field", "image_embedding");
    image->properties = SIZE | FORMAT | EXIF | PHASH;
    bool has_list = c->status == VZ_OK && vz_config_has(c, "properties", &value);
    size_t count = vz_config_list(c, "properties", false, false, &list);
    if (has_list)
        image->properties = 0;
    for (size_t i = 0; i < count; i++) {
        size_t n = 0;
        while (n < VZ_COUNT_OF(names) && !vz_slice_is(list[i], names[n]))
            n++;
        if (n == VZ_COUNT_OF(names))
            vz_config_fail(c, "properties",
                           "illegal value [%.*s]. valid values are [size, format, "
                           "exif, phash, thumbnail]",
                           VZ_S(list[i]));
        else
            image->properties |= 1u << n;
    }
    int64_t side = vz_config_int(c, "thumbnail_side", DEFAULT_SIDE);
    if (side < MIN_SIDE || side > MAX_SIDE)
        vz_config_fail(c, "thumbnail_side", "must be in the range [%d, %d], but is [%lld]",
                       MIN_SIDE, MAX_SIDE, (long long)side);
    image->side = (int)side;
    if (c->status == VZ_OK && image->add_to_root && vz_config_has(c, "target_field", &value))
        vz_config_fail(c, "target_field",
                       "Cannot set a target field while also setting `add_to_root` to true");
}

static void put(struct vz_value *object, struct vz_arena *arena, const char *name,
                struct vz_value *value)
{
    vz_value_put(object, vz_slice_from(name), value);
}

static struct vz_value *exif_of(struct vz_arena *arena, const struct vz_exif *exif)
{
    struct vz_value *out = vz_value_object(arena);
    if (exif->has_date)
        put(out, arena, "date", vz_value_string(arena, vz_slice_from(exif->date_iso)));
    if (exif->has_location) {
        struct vz_value *place = vz_value_object(arena);
        put(place, arena, "lat", vz_value_double(arena, exif->lat));
        put(place, arena, "lon", vz_value_double(arena, exif->lon));
        put(out, arena, "location", place);
    }
    return out;
}

static enum vz_status thumbnail_of(const struct image *config, const struct vz_image *picture,
                                   struct vz_arena *arena, struct vz_value **out,
                                   struct vz_error *err)
{
    int longest = VZ_MAX(picture->width, picture->height), side = VZ_MIN(config->side, longest);
    int width = VZ_MAX(1, (int)((int64_t)picture->width * side / longest));
    int height = VZ_MAX(1, (int)((int64_t)picture->height * side / longest));
    struct vz_image small;
    struct vz_buf jpeg = {0}, uri = {0};
    enum vz_status status = vz_image_resize(picture, width, height, &small, err);
    if (status != VZ_OK)
        return status;
    status = vz_image_encode(&small, "jpeg", 80, &jpeg, err);
    if (status == VZ_OK) {
        vz_buf_append_str(&uri, "data:image/jpeg;base64,");
        vz_base64_encode(jpeg.data, jpeg.len, &uri);
        *out = vz_value_string(arena, vz_buf_slice(&uri));
    }
    vz_image_deinit(&small);
    vz_buf_deinit(&jpeg);
    vz_buf_deinit(&uri);
    return status;
}

static enum vz_status describe(const struct image *config, struct vz_slice bytes,
                               struct vz_ingest_doc *doc, struct vz_value *out,
                               struct vz_error *err)
{
    struct vz_arena *arena = doc->arena;
    struct vz_image picture;
    struct vz_value *value;
    /* The shorter side: a very long picture's thumbnail is still not cut from too few pixels. */
    int side = config->properties & THUMBNAIL ? VZ_MAX(config->side, HASH_SIDE) : HASH_SIDE;
    enum vz_status status = vz_image_decode(bytes, NULL, side, &picture, err);
    if (status != VZ_OK)
        return status;
    if (config->properties & SIZE) {
        put(out, arena, "width", vz_value_int(arena, picture.file_width));
        put(out, arena, "height", vz_value_int(arena, picture.file_height));
        put(out, arena, "bytes", vz_value_int(arena, (int64_t)bytes.len));
    }
    if (config->properties & FORMAT)
        put(out, arena, "format", vz_value_string(arena, vz_slice_from(picture.format)));
    if (config->properties & EXIF) {
        value = exif_of(arena, &picture.exif);
        if (value->object.count)
            put(out, arena, "exif", value);
    }
    if (config->properties & PHASH) {
        char hex[17];
        snprintf(hex, sizeof hex, "%016llx", (unsigned long long)vz_image_phash(&picture));
        put(out, arena, "phash", vz_value_string(arena, vz_slice_from(hex)));
    }
    if (config->properties & THUMBNAIL) {
        status = thumbnail_of(config, &picture, arena, &value, err);
        if (status == VZ_OK)
            put(out, arena, "thumbnail", value);
    }
    vz_image_deinit(&picture);
    return status;
}

static enum vz_status put_description(const struct image *config, struct vz_ingest_doc *doc,
                                      struct vz_value *out, struct vz_error *err)
{
    if (!config->add_to_root)
        return out->object.count ? vz_path_set(doc, config->target, out, err) : VZ_OK;
    for (size_t i = 0; i < out->object.count; i++)
        vz_value_put(doc->ctx, out->object.members[i].key, out->object.members[i].value);
    return VZ_OK;
}

/* Reads one document's picture and describes it; *has tells whether there was one. */
static enum vz_status look(const struct image *config, struct vz_run *run,
                           struct vz_ingest_doc *doc, struct vz_infer_input *input, bool *has,
                           struct vz_error *err)
{
    struct vz_value *value;
    bool usable = false;
    *has = false;
    enum vz_status status = vz_path_get(doc, config->field, &value, err);
    if (config->ignore_missing &&
        (status == VZ_BAD_ARGUMENT || (status == VZ_OK && value->type == VZ_VALUE_NULL)))
        return VZ_OK;
    if (status == VZ_OK)
        status = vz_ask_input(run->ingest, value, true, doc->arena, input, &usable, err);
    if (status == VZ_OK && (!usable || !input->is_image))
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "field [%.*s] holds no picture: it must be a data "
                       "URI, base64, or {\"type\": \"image\", \"value\": ...}",
                       VZ_S(config->field));
    if (status == VZ_OK && config->properties) {
        struct vz_value *out = vz_value_object(doc->arena);
        status = describe(config, input->bytes, doc, out, err);
        if (status == VZ_OK)
            status = put_description(config, doc, out, err);
    }
    *has = status == VZ_OK;
    return status;
}

static void embed(const struct image *config, struct vz_run *run, struct vz_ask *asks, size_t count)
{
    struct vz_arena scratch = {0};
    struct vz_ask_about about;
    const struct vz_infer_request request = {.model = config->model, .task = VZ_TASK_EMBED};
    vz_ask_all(run->ingest, &request, asks, count, &scratch, &about);
    for (size_t i = 0; i < count; i++) {
        struct vz_ask *ask = &asks[i];
        struct vz_error err = {.offset = VZ_NO_OFFSET};
        if (ask->status != VZ_OK) {
            vz_doc_fail(ask->doc, &ask->error);
            continue;
        }
        struct vz_value *vector = vz_ask_vector(ask->doc->arena, ask->one.vector, about.dims);
        if (vz_path_set(ask->doc, config->output, vector, &err) != VZ_OK)
            vz_doc_fail(ask->doc, &err);
        else
            vz_doc_mark(ask->doc, config->output, &about);
    }
    vz_arena_deinit(&scratch);
}

VZ_KIND_RUN_MANY(image)
{
    const struct image *config = processor->config;
    struct vz_ask *asks = vz_calloc(count + 1, sizeof *asks);
    size_t asked = 0;
    for (size_t i = 0; i < count; i++) {
        struct vz_error err = {.offset = VZ_NO_OFFSET};
        struct vz_infer_input input;
        bool has;
        if (look(config, run, docs[i], &input, &has, &err) != VZ_OK)
            vz_doc_fail(docs[i], &err);
        else if (has)
            asks[asked++] = (struct vz_ask){.doc = docs[i], .input = input};
    }
    if (config->model.ptr)
        embed(config, run, asks, asked);
    for (size_t i = 0; config->remove && i < asked; i++)
        if (asks[i].doc->status == VZ_OK)
            vz_path_remove(asks[i].doc, config->field, NULL);
    free(asks);
}
