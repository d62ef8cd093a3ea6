#include "app/reindex.h"

#include "app/dogs.h"

#include <stdio.h>
#include <stdlib.h>

#define MARK "vizsla_reindex"
#define MOST_NUMBERS 999998

static enum vz_status ask(const struct vz_transport *transport, const char *method,
                          const char *index, const char *rest, struct vz_slice body,
                          const char *doing, struct vz_json_doc **doc, struct vz_json *root,
                          struct vz_error *err)
{
    struct vz_buf path = {0};
    vz_buf_append_char(&path, '/');
    vz_api_escape(&path, index);
    vz_buf_append_str(&path, rest);
    enum vz_status status = vz_api_ask(transport, method, path.data, body, doing, doc, root, err);
    vz_buf_deinit(&path);
    return status;
}

/* The same when only success counts. */
static enum vz_status tell(const struct vz_transport *transport, const char *method,
                           const char *index, const char *rest, struct vz_slice body,
                           const char *doing, struct vz_error *err)
{
    struct vz_json_doc *doc;
    struct vz_json root;
    enum vz_status status = ask(transport, method, index, rest, body, doing, &doc, &root, err);
    vz_json_free(doc);
    return status;
}

static enum vz_status remove_index(const struct vz_transport *transport, const char *index,
                                   struct vz_error *err)
{
    enum vz_status status = tell(transport, "DELETE", index, "", (struct vz_slice){0},
                                 "removing a half-made index", err);
    return status == VZ_NO_INDEX ? VZ_OK : status;
}

/* ---- the plan ------------------------------------------------------------------------------ */

static bool find_field(struct vz_json mappings, const char *const *names, char out[32])
{
    struct vz_json properties, field;
    if (!vz_json_get(mappings, "properties", &properties))
        return false;
    for (; *names; names++)
        if (vz_json_get(properties, *names, &field)) {
            snprintf(out, 32, "%s", *names);
            return true;
        }
    return false;
}

/* NAME-000007 -> 7; 0 for others. */
static unsigned long number_of(const char *name, struct vz_slice index)
{
    size_t len = strlen(name);
    if (index.len != len + 7 || memcmp(index.ptr, name, len) != 0 || index.ptr[len] != '-')
        return 0;
    char digits[7];
    memcpy(digits, index.ptr + len + 1, 6);
    digits[6] = '\0';
    return strspn(digits, "0123456789") == 6 ? strtoul(digits, NULL, 10) : 0;
}

static void number_name(const char *name, unsigned long number, char out[VZ_INDEX_NAME_MAX])
{
    snprintf(out, VZ_INDEX_NAME_MAX, "%.240s-%06u", name, (unsigned)(number % 1000000));
}

/* One index of the family NAME-*: half-made ones are taken up or removed, the largest number noted.
 */
static enum vz_status see_relative(struct vz_reindex *plan, struct vz_slice index,
                                   struct vz_json about, bool resume, unsigned long *largest,
                                   bool *first_taken, struct vz_error *err)
{
    struct vz_json mark, value;
    struct vz_app_model model = {0};
    unsigned long number = number_of(plan->name, index);
    char name[VZ_INDEX_NAME_MAX];
    if (!number || index.len >= sizeof name)
        return VZ_OK;
    snprintf(name, sizeof name, "%.*s", (int)index.len, index.ptr);
    if (!vz_json_get_path(about, "mappings._meta." MARK, &mark) ||
        strcmp(name, plan->old_index) == 0) {
        *largest = VZ_MAX(*largest, number);
        *first_taken |= number == 1;
        return VZ_OK;
    }
    if (vz_json_get(mark, "model", &value))
        snprintf(model.name, sizeof model.name, "%.*s", (int)vz_json_string(value).len,
                 vz_json_string(value).ptr);
    if (vz_json_get(mark, "model_digest", &value))
        snprintf(model.digest, sizeof model.digest, "%.*s",
                 (int)VZ_MIN(vz_json_string(value).len, (size_t)64), vz_json_string(value).ptr);
    vz_reindex_block(plan, false, NULL); /* a crash may have come in the moment of the swap */
    bool same = vz_json_get(mark, "from", &value) &&
                vz_slice_is(vz_json_string(value), plan->old_index) &&
                vz_app_model_same(&model, &plan->model);
    bool is_copy = !model.name[0];
    if (resume && same && !is_copy) {
        plan->resumes = true;
        snprintf(plan->new_index, sizeof plan->new_index, "%s", name);
        if (vz_json_get(mark, "seq_no", &value))
            plan->from_seq_no = (uint64_t)vz_json_int(value);
        *largest = VZ_MAX(*largest, number);
        return VZ_OK;
    }
    return remove_index(plan->transport, name, err);
}

static enum vz_status see_family(struct vz_reindex *plan, bool keep, bool resume,
                                 struct vz_error *err)
{
    struct vz_buf pattern = {0};
    struct vz_json_doc *doc;
    struct vz_json root, about;
    struct vz_slice index;
    unsigned long largest = 0;
    bool first_taken = false;
    vz_buf_printf(&pattern, "/%s-*/_mapping", plan->name);
    enum vz_status status = vz_api_ask(plan->transport, "GET", pattern.data, (struct vz_slice){0},
                                       "looking for other indices", &doc, &root, err);
    if (status == VZ_OK) {
        struct vz_json_iter it = vz_json_iterate(root);
        while (status == VZ_OK && vz_json_next(&it, &index, &about))
            status = see_relative(plan, index, about, resume, &largest, &first_taken, err);
    }
    vz_json_free(doc);
    vz_buf_deinit(&pattern);
    if (status != VZ_OK)
        return status;
    bool copy = keep && !plan->about.is_alias;
    if (copy)
        number_name(plan->name, first_taken ? ++largest : 1, plan->kept_index);
    if (!plan->resumes)
        number_name(plan->name, VZ_MAX(largest + 1, 2ul), plan->new_index);
    return largest < MOST_NUMBERS
               ? VZ_OK
               : vz_fail(err, VZ_LIMIT, "there are no numbers left for indices of %s", plan->name);
}

enum vz_status vz_reindex_plan(const struct vz_transport *transport, const char *name,
                               const struct vz_app_model *model, bool keep, bool resume,
                               struct vz_reindex *plan, struct vz_error *err)
{
    static const char *const paths[] = {"path", "image_path", NULL};
    static const char *const hashes[] = {"content_hash", "image_hash", NULL};
    *plan = (struct vz_reindex){.transport = transport, .model = *model};
    enum vz_status status = vz_api_about(transport, name, &plan->about, err);
    if (status != VZ_OK)
        return status;
    snprintf(plan->name, sizeof plan->name, "%s", name);
    snprintf(plan->old_index, sizeof plan->old_index, "%s", plan->about.name);
    find_field(plan->about.mappings, hashes, plan->hash_field);
    if (!plan->about.vector_field[0] || !find_field(plan->about.mappings, paths, plan->path_field))
        status = vz_fail(err, VZ_UNSUPPORTED,
                         "the index %s has no vectors, or no field path or image_path that says "
                         "where its pictures are: they cannot be looked at again",
                         name);
    else if (plan->about.model.name[0] && vz_app_model_same(&plan->about.model, model))
        status =
            vz_fail(err, VZ_EXISTS, "the index %s was made with %s already", name, model->name);
    else if (strlen(name) > 240)
        status =
            vz_fail(err, VZ_BAD_NAME, "the name %s is too long to number its successors", name);
    if (status == VZ_OK)
        status = see_family(plan, keep, resume, err);
    if (status != VZ_OK)
        vz_api_about_deinit(&plan->about);
    return status;
}

void vz_reindex_deinit(struct vz_reindex *plan)
{
    vz_api_about_deinit(&plan->about);
}

/* ---- the new index ------------------------------------------------------------------------- */

struct making {
    const struct vz_reindex *plan;
    struct vz_json settings; /* the old index's "index" */
    uint64_t seq_no;
    bool is_copy; /* of the old one, model and all */
};

static void put_settings(struct vz_json_writer *w, struct vz_json settings)
{
    /* What the server gave the old index and must give the new one itself. */
    static const char *const own[] = {"creation_date", "uuid",    "provided_name", "version",
                                      "blocks",        "routing", "resize",        "history"};
    struct vz_json_iter it = vz_json_iterate(settings);
    struct vz_slice key;
    struct vz_json value;
    vz_json_key(w, "settings");
    vz_json_begin_object(w);
    vz_json_key(w, "index");
    vz_json_begin_object(w);
    while (vz_json_next(&it, &key, &value)) {
        size_t i = 0;
        while (i < VZ_COUNT_OF(own) && !vz_slice_is(key, own[i]))
            i++;
        if (i < VZ_COUNT_OF(own))
            continue;
        vz_json_key_slice(w, key);
        vz_json_put_value(w, value);
    }
    vz_json_end_object(w);
    vz_json_end_object(w);
}

static void put_vector_field(struct vz_json_writer *w, struct vz_json field,
                             const struct vz_app_model *model, bool with_digest)
{
    struct vz_json_iter it = vz_json_iterate(field);
    struct vz_slice key;
    struct vz_json value;
    vz_json_begin_object(w);
    while (vz_json_next(&it, &key, &value)) {
        if (vz_slice_is(key, "dims") || vz_slice_is(key, "meta"))
            continue;
        vz_json_key_slice(w, key);
        vz_json_put_value(w, value);
    }
    vz_json_field_int(w, "dims", model->dims);
    vz_json_key(w, "meta");
    vz_app_model_put_meta(w, model, with_digest);
    vz_json_end_object(w);
}

static void put_properties(struct vz_json_writer *w, struct vz_json properties,
                           const struct making *making, bool with_digest)
{
    struct vz_json_iter it = vz_json_iterate(properties);
    struct vz_slice key;
    struct vz_json value;
    vz_json_begin_object(w);
    while (vz_json_next(&it, &key, &value)) {
        vz_json_key_slice(w, key);
        if (!making->is_copy && vz_slice_is(key, making->plan->about.vector_field))
            put_vector_field(w, value, &making->plan->model, with_digest);
        else
            vz_json_put_value(w, value);
    }
    vz_json_end_object(w);
}

/* The old index's own `_meta`, with or without the mark. */
static void put_meta(struct vz_json_writer *w, const struct making *making, bool marked)
{
    struct vz_json meta, value;
    struct vz_slice key;
    vz_json_key(w, "_meta");
    vz_json_begin_object(w);
    if (vz_json_get(making->plan->about.mappings, "_meta", &meta)) {
        struct vz_json_iter it = vz_json_iterate(meta);
        while (vz_json_next(&it, &key, &value)) {
            if (vz_slice_is(key, MARK))
                continue;
            vz_json_key_slice(w, key);
            vz_json_put_value(w, value);
        }
    }
    if (marked) {
        vz_json_key(w, MARK);
        vz_json_begin_object(w);
        vz_json_field_str(w, "from", making->plan->old_index);
        vz_json_field_int(w, "seq_no", (int64_t)making->seq_no);
        if (!making->is_copy) {
            vz_json_field_str(w, "model", making->plan->model.name);
            vz_json_field_str(w, "model_digest", making->plan->model.digest);
        }
        vz_json_end_object(w);
    }
    vz_json_end_object(w);
}

static void put_index(void *context, bool with_digest, struct vz_buf *out)
{
    const struct making *making = context;
    struct vz_json_writer w = vz_json_writer_on(out);
    struct vz_json_iter it = vz_json_iterate(making->plan->about.mappings);
    struct vz_slice key;
    struct vz_json value;
    vz_json_begin_object(&w);
    put_settings(&w, making->settings);
    vz_json_key(&w, "mappings");
    vz_json_begin_object(&w);
    while (vz_json_next(&it, &key, &value)) {
        if (vz_slice_is(key, "_meta"))
            continue;
        vz_json_key_slice(&w, key);
        if (vz_slice_is(key, "properties"))
            put_properties(&w, value, making, with_digest);
        else
            vz_json_put_value(&w, value);
    }
    put_meta(&w, making, true);
    vz_json_end_object(&w);
    vz_json_end_object(&w);
}

enum vz_status vz_reindex_begin(struct vz_reindex *plan, uint64_t seq_no, struct vz_error *err)
{
    struct making making = {.plan = plan, .seq_no = seq_no};
    struct vz_json_doc *doc;
    struct vz_json root, one;
    enum vz_status status = ask(plan->transport, "GET", plan->old_index, "/_settings",
                                (struct vz_slice){0}, "reading the settings", &doc, &root, err);
    if (status == VZ_OK && vz_json_get(root, plan->old_index, &one))
        vz_json_get_path(one, "settings.index", &making.settings);
    if (status == VZ_OK && !plan->resumes) {
        plan->from_seq_no = seq_no;
        status = vz_api_create(plan->transport, plan->new_index, put_index, &making, err);
    }
    making.is_copy = true;
    if (status == VZ_OK && plan->kept_index[0])
        status = vz_api_create(plan->transport, plan->kept_index, put_index, &making, err);
    vz_json_free(doc);
    return status;
}

enum vz_status vz_reindex_block(const struct vz_reindex *plan, bool on, struct vz_error *err)
{
    return tell(plan->transport, "PUT", plan->old_index, "/_settings",
                on ? VZ_SLICE("{\"index.blocks.write\":true}")
                   : VZ_SLICE("{\"index.blocks.write\":null}"),
                "holding up writes", err);
}

/* ---- the swap ------------------------------------------------------------------------------ */

static enum vz_status take_mark_off(const struct vz_reindex *plan, const char *index,
                                    struct vz_error *err)
{
    const struct making making = {.plan = plan};
    struct vz_buf body = {0};
    struct vz_json_writer w = vz_json_writer_on(&body);
    vz_json_begin_object(&w);
    put_meta(&w, &making, false);
    vz_json_end_object(&w);
    enum vz_status status = tell(plan->transport, "PUT", index, "/_mapping", vz_buf_slice(&body),
                                 "finishing the new index", err);
    vz_buf_deinit(&body);
    return status;
}

static void put_action(struct vz_json_writer *w, const char *verb, const char *index,
                       struct vz_slice alias, struct vz_json like)
{
    struct vz_json_iter it = vz_json_iterate(like);
    struct vz_slice key;
    struct vz_json value;
    vz_json_begin_object(w);
    vz_json_key(w, verb);
    vz_json_begin_object(w);
    vz_json_field_str(w, "index", index);
    if (alias.len)
        vz_json_field_string(w, "alias", alias);
    while (vz_json_next(&it, &key, &value)) { /* filter, routing, is_write_index */
        vz_json_key_slice(w, key);
        vz_json_put_value(w, value);
    }
    vz_json_end_object(w);
    vz_json_end_object(w);
}

static void put_actions(struct vz_buf *body, const struct vz_reindex *plan, struct vz_json aliases,
                        bool drop)
{
    struct vz_json_writer w = vz_json_writer_on(body);
    struct vz_json_iter it = vz_json_iterate(aliases);
    const struct vz_json nothing = {0};
    struct vz_slice alias;
    struct vz_json like;
    vz_json_begin_object(&w);
    vz_json_key(&w, "actions");
    vz_json_begin_array(&w);
    while (vz_json_next(&it, &alias, &like)) {
        put_action(&w, "add", plan->new_index, alias, like);
        if (!drop)
            put_action(&w, "remove", plan->old_index, alias, nothing);
    }
    if (!plan->about.is_alias)
        put_action(&w, "add", plan->new_index, vz_slice_from(plan->name), nothing);
    if (drop)
        put_action(&w, "remove_index", plan->old_index, (struct vz_slice){0}, nothing);
    vz_json_end_array(&w);
    vz_json_end_object(&w);
}

enum vz_status vz_reindex_swap(const struct vz_reindex *plan, bool drop, struct vz_error *err)
{
    struct vz_json_doc *doc, *done = NULL;
    struct vz_json root, aliases = {0}, one;
    struct vz_buf body = {0};
    drop |= !plan->about.is_alias; /* its name is needed; a copy was kept */
    enum vz_status status = take_mark_off(plan, plan->new_index, err);
    if (status == VZ_OK && plan->kept_index[0])
        status = take_mark_off(plan, plan->kept_index, err);
    if (status != VZ_OK)
        return status;
    status = ask(plan->transport, "GET", plan->old_index, "/_alias", (struct vz_slice){0},
                 "reading the aliases", &doc, &root, err);
    if (status == VZ_OK && vz_json_get(root, plan->old_index, &one))
        vz_json_get(one, "aliases", &aliases);
    if (status == VZ_OK) {
        put_actions(&body, plan, aliases, drop);
        status = vz_api_ask(plan->transport, "POST", "/_aliases", vz_buf_slice(&body),
                            "putting the new index in the old one's place", &done, &root, err);
    }
    vz_json_free(doc);
    vz_json_free(done);
    vz_buf_deinit(&body);
    return status;
}

void vz_reindex_abort(const struct vz_reindex *plan)
{
    remove_index(plan->transport, plan->new_index, NULL);
    if (plan->kept_index[0])
        remove_index(plan->transport, plan->kept_index, NULL);
}
