/* `vizsla dedupe`: which pictures of an index are the same one. It shows, and removes nothing.
 *
 * The index is read once: hashes into memory (some 150 bytes a picture), and each picture's vector
 * is asked for its nearest, a page of them in one _msearch. What people decided ("these are no
 * duplicates") is kept in an index of its own by the pictures' contents, so that it holds when
 * files move and for every index.
 */
#include "cli/cli.h"

#include "app/duplicates.h"
#include "app/pictures.h"
#include "base/file.h"
#include "base/strmap.h"
#include "image/phash.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#define DECISIONS "vizsla-decisions"
#define NEIGHBOURS 8 /* of each picture, asked for */
#define PAGE 100

/* Where two pictures of one subject become likely: for the eye no two photos of different pets came
 * there (docs/adr/0004); for other models nothing was measured, and this is a guess on the safe
 * side. */
#define SIMILAR_EYE 0.85
#define SIMILAR_OTHER 0.95

struct dedupe_options {
    const char *index, *url, *data, *only;
    long near_bits;
    double similar;
    bool json, draw, not_duplicates, duplicates;
};

struct dedupe {
    const struct dedupe_options *options;
    const struct vz_transport *transport;
    struct vz_api_about about;
    struct vz_arena arena;
    const char *path_field, *hash_field;
    struct vz_buf query; /* which documents; "" for all */
    struct vz_strmap at; /* id -> place */
    struct vz_dup_picture *pictures;
    size_t count, capacity;
    struct vz_strmap apart; /* "hash hash" of decided pairs */
    size_t decided_count;   /* links and pairs that a decision took out */
    struct vz_dup_link *links;
    size_t link_count, link_capacity;
    struct vz_buf searches; /* the page's _msearch */
    uint32_t asked[PAGE];
    size_t asked_count;
    double similar;
    struct vz_progress progress;
};

/* ---- decisions ----------------------------------------------------------------------------- */

static void put_pair(struct vz_buf *out, struct vz_slice a, struct vz_slice b)
{
    bool swap = vz_slice_cmp(a, b) > 0;
    vz_buf_append_slice(out, swap ? b : a);
    vz_buf_append_char(out, ' ');
    vz_buf_append_slice(out, swap ? a : b);
}

static bool is_apart(void *context, size_t a, size_t b)
{
    struct dedupe *d = context;
    uint64_t value;
    if (!d->apart.count || !d->pictures[a].content_hash.len || !d->pictures[b].content_hash.len)
        return false;
    struct vz_buf pair = {0};
    put_pair(&pair, d->pictures[a].content_hash, d->pictures[b].content_hash);
    bool apart = vz_strmap_get(&d->apart, vz_buf_slice(&pair), &value);
    vz_buf_deinit(&pair);
    d->decided_count += apart;
    return apart;
}

static enum vz_status note_decision(void *context, const struct vz_api_hit *hit,
                                    struct vz_error *err)
{
    struct dedupe *d = context;
    struct vz_json a, b;
    struct vz_buf pair = {0};
    (void)err;
    if (!vz_json_get(hit->source, "a", &a) || !vz_json_get(hit->source, "b", &b))
        return VZ_OK;
    put_pair(&pair, vz_json_string(a), vz_json_string(b));
    vz_strmap_put(&d->apart, vz_buf_slice(&pair), 1);
    vz_buf_deinit(&pair);
    return VZ_OK;
}

static enum vz_status read_decisions(struct dedupe *d, struct vz_error *err)
{
    enum vz_status status =
        vz_api_scan(d->transport, DECISIONS, &(struct vz_api_scan){0}, note_decision, d, err);
    return status == VZ_NO_INDEX ? VZ_OK : status;
}

static void put_decisions_index(void *context, bool with_digest, struct vz_buf *out)
{
    (void)context;
    (void)with_digest;
    vz_buf_append_str(out, "{\"settings\":{\"number_of_shards\":1,\"number_of_replicas\":0},"
                           "\"mappings\":{\"properties\":{\"a\":{\"type\":\"keyword\"},"
                           "\"b\":{\"type\":\"keyword\"},\"decision\":{\"type\":\"keyword\"},"
                           "\"paths\":{\"type\":\"keyword\"}}}}");
}

static enum vz_status hash_file(const char *path, char out[33], struct vz_error *err)
{
    struct vz_buf bytes = {0};
    enum vz_status status = vz_file_read(path, (size_t)100 << 20, &bytes, err);
    if (status == VZ_OK)
        vz_dog_hash(vz_buf_slice(&bytes), out);
    vz_buf_deinit(&bytes);
    return status;
}

/* One line or two of _bulk for one pair. */
static void put_decision(struct vz_buf *body, bool apart, const char *a, const char *b,
                         const char *path_a, const char *path_b)
{
    struct vz_buf pair = {0};
    char id[33];
    put_pair(&pair, vz_slice_from(a), vz_slice_from(b));
    vz_dog_hash(vz_buf_slice(&pair), id);
    vz_buf_deinit(&pair);
    vz_buf_printf(body, "{\"%s\":{\"_id\":\"%s\"}}\n", apart ? "index" : "delete", id);
    if (!apart)
        return;
    struct vz_json_writer w = vz_json_writer_on(body);
    vz_json_begin_object(&w);
    vz_json_field_str(&w, "a", a);
    vz_json_field_str(&w, "b", b);
    vz_json_field_str(&w, "decision", "no duplicates");
    vz_json_key(&w, "paths");
    vz_json_begin_array(&w);
    vz_json_put_str(&w, path_a);
    vz_json_put_str(&w, path_b);
    vz_json_end_array(&w);
    vz_json_end_object(&w);
    vz_buf_append_char(body, '\n');
}

static void note_written(void *context, size_t i, const struct vz_api_written *written)
{
    size_t *failed = context;
    (void)i;
    *failed += written->failure != NULL;
}

/* All pairs of the files. */
static enum vz_status decide(struct dedupe *d, char **files, size_t count, struct vz_error *err)
{
    char(*hashes)[33] = vz_calloc(count, sizeof *hashes);
    struct vz_buf body = {0};
    size_t pairs = 0, failed = 0;
    bool apart = d->options->not_duplicates;
    enum vz_status status = VZ_OK;
    for (size_t i = 0; i < count && status == VZ_OK; i++)
        status = hash_file(files[i], hashes[i], err);
    for (size_t i = 0; i < count && status == VZ_OK; i++) {
        for (size_t j = i + 1; j < count; j++) {
            if (strcmp(hashes[i], hashes[j]) == 0) {
                status = vz_fail(err, VZ_BAD_ARGUMENT,
                                 "%s and %s are the same, byte for byte: nothing to decide",
                                 files[i], files[j]);
                break;
            }
            put_decision(&body, apart, hashes[i], hashes[j], files[i], files[j]);
            pairs++;
        }
    }
    if (status == VZ_OK)
        status = vz_api_create(d->transport, DECISIONS, put_decisions_index, NULL, err);
    if (status == VZ_OK || status == VZ_EXISTS)
        status = vz_api_bulk(d->transport, DECISIONS, vz_buf_slice(&body), pairs, true,
                             note_written, &failed, err);
    if (status == VZ_OK && failed)
        status = vz_fail(err, VZ_IO, "%zu of %zu decisions were not written", failed, pairs);
    if (status == VZ_OK)
        printf(apart ? "%zu pair%s will not be shown as duplicates again.\n"
                     : "%zu pair%s may be shown as duplicates again.\n",
               pairs, pairs == 1 ? "" : "s");
    free(hashes);
    vz_buf_deinit(&body);
    return status;
}

/* ---- reading the index --------------------------------------------------------------------- */

static struct vz_slice text_of(struct dedupe *d, struct vz_json source, const char *field)
{
    struct vz_json value;
    return vz_json_get(source, field, &value) ? vz_arena_copy(&d->arena, vz_json_string(value))
                                              : (struct vz_slice){0};
}

static uint64_t number_of(struct vz_json source, const char *field)
{
    struct vz_json value;
    return vz_json_get(source, field, &value) ? (uint64_t)vz_json_int(value) : 0;
}

static enum vz_status note_picture(void *context, const struct vz_api_hit *hit,
                                   struct vz_error *err)
{
    struct dedupe *d = context;
    struct vz_json value;
    (void)err;
    if (d->count == d->capacity) {
        d->capacity = VZ_MAX((size_t)1024, d->capacity * 2);
        d->pictures = vz_realloc(d->pictures, d->capacity * sizeof *d->pictures);
    }
    struct vz_dup_picture *picture = &d->pictures[d->count];
    *picture = (struct vz_dup_picture){.path = text_of(d, hit->source, d->path_field)};
    if (!picture->path.len)
        return VZ_OK;
    picture->content_hash = text_of(d, hit->source, d->hash_field);
    picture->pixel_hash = text_of(d, hit->source, "pixel_hash");
    picture->pixels = number_of(hit->source, "width") * number_of(hit->source, "height");
    picture->size = number_of(hit->source, "size");
    if (vz_json_get(hit->source, "perceptual_hash", &value) && vz_json_string(value).len == 16) {
        picture->perceptual_hash = strtoull(vz_json_string(value).ptr, NULL, 16);
        picture->has_perceptual_hash = true;
    }
    vz_strmap_put(&d->at, hit->id, d->count++);
    return VZ_OK;
}

static enum vz_status read_pictures(struct dedupe *d, struct vz_error *err)
{
    struct vz_buf fields = {0};
    vz_buf_printf(
        &fields, "[\"%s\",\"%s\",\"pixel_hash\",\"perceptual_hash\",\"width\",\"height\",\"size\"]",
        d->path_field, d->hash_field);
    const struct vz_api_scan scan = {
        .source = fields.data, .query = d->query.len ? d->query.data : NULL, .page = 2000};
    enum vz_status status =
        vz_api_scan(d->transport, d->options->index, &scan, note_picture, d, err);
    vz_buf_deinit(&fields);
    return status;
}

/* ---- neighbours by vector ------------------------------------------------------------------ */

static void add_link(struct dedupe *d, uint32_t a, uint32_t b, float cosine)
{
    if (d->link_count == d->link_capacity) {
        d->link_capacity = VZ_MAX((size_t)1024, d->link_capacity * 2);
        d->links = vz_realloc(d->links, d->link_capacity * sizeof *d->links);
    }
    d->links[d->link_count++] = (struct vz_dup_link){a, b, cosine};
}

static void read_neighbours(struct dedupe *d, struct vz_json answer, uint32_t place)
{
    struct vz_json hits, hit, value;
    uint64_t other;
    if (!vz_json_get_path(answer, "hits.hits", &hits))
        return;
    struct vz_json_iter it = vz_json_iterate(hits);
    while (vz_json_next(&it, NULL, &hit)) {
        if (!vz_json_get(hit, "_id", &value) ||
            !vz_strmap_get(&d->at, vz_json_string(value), &other) || other == place ||
            !vz_json_get(hit, "_score", &value))
            continue;
        float cosine = (float)(2 * vz_json_double(value) - 1);
        if (cosine >= (float)d->similar)
            add_link(d, place, (uint32_t)other, cosine);
    }
}

static enum vz_status ask_page(struct dedupe *d, struct vz_error *err)
{
    struct vz_json_doc *doc = NULL;
    struct vz_json root, answers, answer;
    struct vz_buf path = {0};
    if (!d->asked_count)
        return VZ_OK;
    vz_buf_append_char(&path, '/');
    vz_api_escape(&path, d->options->index);
    vz_buf_append_str(&path, "/_msearch");
    enum vz_status status = vz_api_ask(d->transport, "POST", path.data, vz_buf_slice(&d->searches),
                                       "searching", &doc, &root, err);
    if (status == VZ_OK &&
        (!vz_json_get(root, "responses", &answers) || vz_json_count(answers) != d->asked_count))
        status = vz_api_strange("searching", err);
    if (status == VZ_OK) {
        struct vz_json_iter it = vz_json_iterate(answers);
        for (size_t i = 0; vz_json_next(&it, NULL, &answer); i++)
            read_neighbours(d, answer, d->asked[i]);
        vz_progress_step(&d->progress, d->asked_count);
    }
    d->asked_count = 0;
    vz_buf_clear(&d->searches);
    vz_json_free(doc);
    vz_buf_deinit(&path);
    if (status == VZ_OK && vz_stop_asked())
        status = vz_fail(err, VZ_CANCELLED, "stopped");
    return status;
}

static enum vz_status ask_neighbours(void *context, const struct vz_api_hit *hit,
                                     struct vz_error *err)
{
    struct dedupe *d = context;
    struct vz_json vector;
    uint64_t place;
    if (!vz_strmap_get(&d->at, hit->id, &place) ||
        !vz_json_get(hit->source, d->about.vector_field, &vector) ||
        vz_json_type(vector) != VZ_JSON_ARRAY)
        return VZ_OK;
    vz_buf_printf(&d->searches, "{}\n{\"knn\":{\"field\":\"%s\",\"k\":%d,\"num_candidates\":100",
                  d->about.vector_field, NEIGHBOURS + 1);
    if (d->query.len)
        vz_buf_printf(&d->searches, ",\"filter\":%s", d->query.data);
    vz_buf_append_str(&d->searches, ",\"query_vector\":");
    vz_json_print(vector, &d->searches);
    vz_buf_printf(&d->searches, "},\"size\":%d,\"_source\":false}\n", NEIGHBOURS + 1);
    d->asked[d->asked_count++] = (uint32_t)place;
    return d->asked_count == PAGE ? ask_page(d, err) : VZ_OK;
}

static enum vz_status find_neighbours(struct dedupe *d, struct vz_error *err)
{
    struct vz_buf fields = {0};
    vz_buf_printf(&fields, "[\"%s\"]", d->about.vector_field);
    const struct vz_api_scan scan = {
        .source = fields.data, .query = d->query.len ? d->query.data : NULL, .page = PAGE};
    vz_progress_start(&d->progress, "comparing", d->count);
    enum vz_status status =
        vz_api_scan(d->transport, d->options->index, &scan, ask_neighbours, d, err);
    if (status == VZ_OK)
        status = ask_page(d, err);
    vz_progress_end(&d->progress);
    vz_buf_deinit(&fields);
    return status;
}

/* ---- telling ------------------------------------------------------------------------------- */

static const char *const kind_names[] = {"exact", "near", "similar"};

/* What removing all but the first of each group would free. */
static uint64_t spare_bytes(const struct dedupe *d, const struct vz_dup_group *groups, size_t count)
{
    uint64_t bytes = 0;
    for (size_t g = 0; g < count; g++)
        for (size_t m = 1; m < groups[g].count; m++)
            bytes += d->pictures[groups[g].members[m].at].size;
    return bytes;
}

static void put_member(struct vz_json_writer *w, const struct dedupe *d, enum vz_dup_kind kind,
                       const struct vz_dup_member *member, bool is_centre)
{
    const struct vz_dup_picture *picture = &d->pictures[member->at];
    vz_json_begin_object(w);
    vz_json_field_string(w, "path", picture->path);
    if (picture->size)
        vz_json_field_int(w, "size", (int64_t)picture->size);
    if (picture->pixels)
        vz_json_field_int(w, "pixels", (int64_t)picture->pixels);
    if (!is_centre && kind == VZ_DUP_EXACT)
        vz_json_field_str(w, "same", member->same_bytes ? "bytes" : "pixels");
    if (!is_centre && kind == VZ_DUP_NEAR)
        vz_json_field_int(w, "bits", member->bits);
    if (!is_centre && kind == VZ_DUP_SIMILAR) {
        vz_json_key(w, "cosine");
        vz_json_put_float(w, member->cosine);
    }
    vz_json_end_object(w);
}

static void print_json(const struct dedupe *d, const struct vz_dup_found *found, const char *where)
{
    struct vz_buf out = {0};
    struct vz_json_writer w = vz_json_writer_on(&out);
    vz_json_begin_object(&w);
    vz_json_field_str(&w, "where", where);
    vz_json_field_str(&w, "index", d->options->index);
    vz_json_field_int(&w, "pictures", (int64_t)d->count);
    vz_json_field_int(&w, "decisions", (int64_t)d->apart.count);
    for (int kind = 0; kind < VZ_DUP_KINDS; kind++) {
        vz_json_key(&w, kind_names[kind]);
        vz_json_begin_array(&w);
        for (size_t g = 0; g < found->counts[kind]; g++) {
            const struct vz_dup_group *group = &found->groups[kind][g];
            vz_json_begin_array(&w);
            for (size_t m = 0; m < group->count; m++)
                put_member(&w, d, (enum vz_dup_kind)kind, &group->members[m], m == 0);
            vz_json_end_array(&w);
        }
        vz_json_end_array(&w);
    }
    vz_json_end_object(&w);
    puts(out.data);
    vz_buf_deinit(&out);
}

static void print_group(const struct dedupe *d, enum vz_dup_kind kind,
                        const struct vz_dup_group *group)
{
    struct vz_buf out = {0};
    if (d->options->draw) {
        struct vz_slice paths[4];
        size_t shown = VZ_MIN(group->count, VZ_COUNT_OF(paths));
        for (size_t m = 0; m < shown; m++)
            paths[m] = d->pictures[group->members[m].at].path;
        vz_draw_pictures(paths, shown, 24, 8);
    }
    for (size_t m = 0; m < group->count; m++) {
        const struct vz_dup_member *member = &group->members[m];
        const struct vz_dup_picture *picture = &d->pictures[member->at];
        char how[32] = "";
        if (m && kind == VZ_DUP_EXACT)
            snprintf(how, sizeof how, "same %s", member->same_bytes ? "bytes" : "pixels");
        else if (m && kind == VZ_DUP_NEAR)
            snprintf(how, sizeof how, "%u bits", member->bits);
        else if (m)
            snprintf(how, sizeof how, "cosine %.3f", (double)member->cosine);
        vz_buf_printf(&out, "  %-12s %8.1f kB  ", how, (double)picture->size / 1e3);
        vz_term_text(&out, picture->path, INT_MAX);
        vz_buf_append_char(&out, '\n');
    }
    vz_buf_append_char(&out, '\n');
    fputs(out.data, stdout);
    vz_buf_deinit(&out);
}

static void print_text(const struct dedupe *d, const struct vz_dup_found *found)
{
    static const char *const titles[] = {"Copies: the same bytes or the same pixels",
                                         "Versions: the same picture by its looks",
                                         "Look-alikes: close vectors, perhaps the same scene"};
    size_t total = 0;
    for (int kind = 0; kind < VZ_DUP_KINDS; kind++) {
        size_t count = found->counts[kind];
        if (!count)
            continue;
        total += count;
        printf("%s: %zu group%s", titles[kind], count, count == 1 ? "" : "s");
        if (kind == VZ_DUP_EXACT)
            printf(", %.1f MB more than once",
                   (double)spare_bytes(d, found->groups[kind], count) / 1e6);
        printf("\n");
        for (size_t g = 0; g < count; g++)
            print_group(d, (enum vz_dup_kind)kind, &found->groups[kind][g]);
    }
    if (!total)
        printf("No duplicates among %zu pictures.\n", d->count);
    else
        printf(
            "The largest of each group stands first; nothing was removed. Not duplicates? vizsla "
            "dedupe --not-duplicates FILE FILE\n");
}

/* ---- the command --------------------------------------------------------------------------- */

static enum vz_status open_index(struct dedupe *d, const char *folder, struct vz_error *err)
{
    struct vz_json properties, field;
    const char *index = d->options->index;
    enum vz_status status = vz_api_about(d->transport, index, &d->about, err);
    if (status == VZ_NO_INDEX)
        return vz_fail(err, status, "there is no index %s yet; make it with: vizsla index %s",
                       index, folder ? folder : "FOLDER");
    if (status != VZ_OK)
        return status;
    bool is_dogs = vz_json_get(d->about.mappings, "properties", &properties) &&
                   vz_json_get(properties, "image_path", &field);
    d->path_field = is_dogs ? "image_path" : "path";
    d->hash_field = is_dogs ? "image_hash" : "content_hash";
    if (!is_dogs && !vz_json_get(properties, "path", &field))
        return vz_fail(err, VZ_UNSUPPORTED, "the index %s has no pictures: no field path", index);
    if (folder) {
        char resolved[PATH_MAX];
        struct vz_json_writer w = vz_json_writer_on(&d->query);
        struct vz_buf below = {0};
        vz_buf_printf(&below, "%s/", realpath(folder, resolved) ? resolved : folder);
        vz_json_begin_object(&w);
        vz_json_key(&w, "prefix");
        vz_json_begin_object(&w);
        vz_json_field_str(&w, d->path_field, below.data);
        vz_json_end_object(&w);
        vz_json_end_object(&w);
        vz_buf_deinit(&below);
    }
    d->similar = d->options->similar > 0                       ? d->options->similar
                 : strcmp(d->about.model.name, VZ_EYE_ID) == 0 ? SIMILAR_EYE
                                                               : SIMILAR_OTHER;
    return VZ_OK;
}

static bool wants(const struct dedupe *d, enum vz_dup_kind kind)
{
    return !d->options->only || strcmp(d->options->only, kind_names[kind]) == 0;
}

static enum vz_status find(struct dedupe *d, const char *folder, struct vz_dup_found *found,
                           struct vz_error *err)
{
    enum vz_status status = open_index(d, folder, err);
    if (status == VZ_OK)
        status = read_decisions(d, err);
    if (status == VZ_OK)
        status = read_pictures(d, err);
    if (status == VZ_OK && !d->count && folder)
        status =
            vz_fail(err, VZ_NOT_FOUND,
                    "no picture below %s is in the index %s; put them in with: vizsla index %s",
                    folder, d->options->index, folder);
    if (status == VZ_OK && wants(d, VZ_DUP_SIMILAR) && d->about.vector_field[0])
        status = find_neighbours(d, err);
    if (status != VZ_OK)
        return status;
    const struct vz_dup_options options = {
        .near_bits = wants(d, VZ_DUP_NEAR) ? (int)d->options->near_bits : -1,
        .links = d->links,
        .link_count = d->link_count,
        .similar_cosine = (float)d->similar,
        .is_apart = is_apart,
        .context = d};
    vz_duplicates_find(d->pictures, d->count, &options, &d->arena, found);
    if (!wants(d, VZ_DUP_EXACT))
        found->counts[VZ_DUP_EXACT] = 0;
    return VZ_OK;
}

static void free_dedupe(struct dedupe *d)
{
    vz_api_about_deinit(&d->about);
    vz_strmap_deinit(&d->at);
    vz_strmap_deinit(&d->apart);
    vz_buf_deinit(&d->query);
    vz_buf_deinit(&d->searches);
    vz_arena_deinit(&d->arena);
    free(d->pictures);
    free(d->links);
    free(d);
}

static int do_dedupe(const struct dedupe_options *options, char **words, size_t count)
{
    struct vz_error err = {0};
    struct vz_reach *reach = NULL;
    struct vz_dup_found found = {0};
    struct dedupe *d = vz_calloc(1, sizeof *d);
    bool decides = options->not_duplicates || options->duplicates;
    int code = VZ_EXIT_OK;
    d->options = options;
    vz_stop_watch();
    enum vz_status status = vz_image_start(&err);
    if (status == VZ_OK)
        status = vz_reach_new(options->url, options->data, false, &reach, &err);
    if (status == VZ_OK) {
        d->transport = vz_reach_transport(reach);
        status = decides ? decide(d, words, count, &err)
                         : find(d, count ? words[0] : NULL, &found, &err);
    }
    if (status != VZ_OK)
        code = vz_complain(&err);
    else if (!decides && options->json)
        print_json(d, &found, vz_reach_where(reach));
    else if (!decides)
        print_text(d, &found);
    free_dedupe(d);
    vz_reach_free(reach);
    return code;
}

int vz_cli_dedupe(int argc, char **argv)
{
    struct dedupe_options options = {.index = VZ_PICTURE_INDEX, .near_bits = VZ_PHASH_SAME};
    bool picture = false, no_picture = false;
    const struct vz_arg args[] = {
        {"--index", VZ_ARG_TEXT, &options.index, "NAME",
         "the index (default: " VZ_PICTURE_INDEX ")", 0, 0},
        {"--only", VZ_ARG_TEXT, &options.only, "KIND", "exact, near or similar", 0, 0},
        {"--near", VZ_ARG_NUMBER, &options.near_bits, "BITS",
         "hashes of versions differ in at most so many of 64 bits (default 4)", 0,
         VZ_NEAR_MOST_BITS},
        {"--similar", VZ_ARG_REAL, &options.similar, "COSINE",
         "vectors of look-alikes are at least so close (default 0.85 for the eye, else 0.95)", 100,
         1000},
        {"--not-duplicates", VZ_ARG_FLAG, &options.not_duplicates, NULL,
         "remember that the files named are different pictures", 0, 0},
        {"--duplicates", VZ_ARG_FLAG, &options.duplicates, NULL, "forget that again", 0, 0},
        {"--data", VZ_ARG_TEXT, &options.data, "DIR",
         "data folder (default: $VIZSLA_DATA or ~/.local/share/vizsla)", 0, 0},
        {"--url", VZ_ARG_TEXT, &options.url, "URL", "a server, here or on another machine", 0, 0},
        {"--json", VZ_ARG_FLAG, &options.json, NULL, "print JSON", 0, 0},
        {"--picture", VZ_ARG_FLAG, &picture, NULL, "draw the pictures even when not on a terminal",
         0, 0},
        {"--no-picture", VZ_ARG_FLAG, &no_picture, NULL, "draw no pictures", 0, 0},
        {0},
    };
    const struct vz_command command = {
        .name = "dedupe",
        .usage = "vizsla dedupe [FOLDER] [options]\n"
                 "       vizsla dedupe --not-duplicates FILE FILE...",
        .summary = "Shows which pictures of an index are the same one. Removes nothing.",
        .details =
            "Three kinds, kept apart: copies have the same bytes, or the same pixels with other\n"
            "metadata; versions look the same (another size, quality, a little brighter), told by\n"
            "a perceptual hash; look-alikes have close vectors: the same scene, perhaps the same\n"
            "subject. Each group has its largest picture first and what is near that one.\n"
            "With FOLDER only pictures below it. What you say with --not-duplicates is kept in "
            "the\n"
            "index " DECISIONS " by the pictures' contents, so it holds when files move.\n"
            "Exit code: 0 done, 2 it could not be done.",
        .examples = "  vizsla index ~/Pictures && vizsla dedupe\n"
                    "  vizsla dedupe ~/Pictures/2024 --only near\n"
                    "  vizsla dedupe --json | jq -r '.exact[][1:][].path'",
        .args = args,
    };
    int rest, leave = vz_args_parse(&command, argc, argv, &rest);
    if (leave >= 0)
        return leave;
    bool decides = options.not_duplicates || options.duplicates;
    bool known = !options.only || strcmp(options.only, "exact") == 0 ||
                 strcmp(options.only, "near") == 0 || strcmp(options.only, "similar") == 0;
    if ((decides ? rest < 2 : rest > 1) || !known ||
        (options.not_duplicates && options.duplicates)) {
        fprintf(stderr, "vizsla dedupe: expected at most one folder, or --not-duplicates with two "
                        "or more files; see `vizsla dedupe --help`\n");
        return VZ_EXIT_FAILED;
    }
    options.draw = !no_picture && (picture || vz_term_is_terminal());
    return do_dedupe(&options, argv + 1, (size_t)rest);
}
