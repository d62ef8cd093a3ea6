/* Indices of nested objects: made, brought up to date, asked. See objects.h.
 *
 * One is known by its index, generation (docnos change with it), path and analysis. Documents are
 * only ever added, so the object at number n stays there, and a snapshot older than the last one
 * that asked finds its objects below a mark; whoever asks leaves out the dead by the document's own
 * snapshot. At most MAX_INDICES are kept, the oldest without users goes first.
 *
 * Lock order: a cache's lock is never held while an index is filled; an object index's lock is, and
 * below it those of the store. */
#include "query/objects.h"

#include "base/clock.h"
#include "query/fusion.h"
#include "query/inner.h"
#include "query/nested.h"
#include "text/analysis.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#define MAX_INDICES 64
#define PAGE_BITS 16
#define PAGE_OBJECTS ((uint32_t)1 << PAGE_BITS)
#define PAGES ((uint32_t)1 << 14) /* a billion objects */
#define BATCH_OBJECTS 4096
#define BATCH_BYTES ((size_t)4 << 20)

struct vz_object_index {
    /* immutable */
    char uuid[24];
    uint64_t generation;
    char *path, *settings, *name;
    /* guarded by the cache's lock */
    struct vz_object_index *next;
    struct vz_store *store;
    unsigned users;
    uint64_t used_ns;
    atomic_bool broken; /* written with the index locked, read with the cache locked */

    pthread_mutex_t lock; /* of filling */
    /* guarded by it; pages below a published count are read without */
    struct vz_index *index;
    struct vz_analysis *analysis; /* a reference: the analyzers that the documents' index has */
    char *mapping;
    uint32_t filled, count;
    struct vz_object_place *pages[PAGES];
};

struct vz_object_cache {
    pthread_mutex_t lock;
    struct vz_object_index *list;
    uint64_t made;
};

/* ---- the cache ------------------------------------------------------------------------------- */

static void *make_cache(void)
{
    struct vz_object_cache *cache = vz_calloc(1, sizeof *cache);
    pthread_mutex_init(&cache->lock, NULL);
    return cache;
}

static void free_index(struct vz_object_index *index)
{
    if (index->index) {
        vz_index_release(index->index);
        vz_store_delete_index(index->store, vz_slice_from(index->name), NULL);
    }
    vz_analysis_release(index->analysis);
    for (uint32_t i = 0; i < PAGES && index->pages[i]; i++)
        free(index->pages[i]);
    pthread_mutex_destroy(&index->lock);
    free(index->path);
    free(index->settings);
    free(index->name);
    free(index->mapping);
    free(index);
}

static void drop_cache(void *cache_void)
{
    struct vz_object_cache *cache = cache_void;
    while (cache->list) {
        struct vz_object_index *next = cache->list->next;
        free_index(cache->list);
        cache->list = next;
    }
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

/* Cache locked. Takes out one that nobody uses: a broken one, one of an older generation of the
 * same index and path, or, when there are too many, the one that was used longest ago. */
static struct vz_object_index *take_idle(struct vz_object_cache *cache,
                                         const struct vz_object_index *newest)
{
    struct vz_object_index **oldest = NULL;
    size_t count = 0;
    for (struct vz_object_index **at = &cache->list; *at; at = &(*at)->next, count++) {
        bool stale = (*at)->broken || (newest && strcmp((*at)->uuid, newest->uuid) == 0 &&
                                       strcmp((*at)->path, newest->path) == 0 &&
                                       (*at)->generation < newest->generation);
        if ((*at)->users)
            continue;
        if (!oldest || stale || (*at)->used_ns < (*oldest)->used_ns)
            oldest = at;
        if (stale) {
            count = MAX_INDICES + 1;
            break;
        }
    }
    if (!oldest || count <= MAX_INDICES)
        return NULL;
    struct vz_object_index *idle = *oldest;
    *oldest = idle->next;
    return idle;
}

static struct vz_object_index *find_index(struct vz_object_cache *cache, struct vz_store *store,
                                          const struct vz_snapshot *snap, struct vz_slice path,
                                          const char *settings)
{
    const char *uuid = vz_index_uuid(vz_snapshot_index(snap));
    uint64_t generation = vz_snapshot_generation(snap);
    struct vz_object_index *found, *idle = NULL;
    pthread_mutex_lock(&cache->lock);
    for (found = cache->list; found; found = found->next)
        if (!found->broken && found->generation == generation && strcmp(found->uuid, uuid) == 0 &&
            vz_slice_is(path, found->path) && strcmp(found->settings, settings) == 0)
            break;
    if (!found) {
        struct vz_buf name = {0};
        vz_buf_printf(&name, "o%llu", (unsigned long long)++cache->made);
        found = vz_calloc(1, sizeof *found);
        memcpy(found->uuid, uuid, sizeof found->uuid);
        found->generation = generation;
        found->path = vz_strndup(path.ptr, path.len);
        found->settings = vz_strdup(settings);
        found->name = vz_buf_take(&name);
        found->store = store;
        pthread_mutex_init(&found->lock, NULL);
        found->next = cache->list;
        cache->list = found;
        found->users = 1;
        idle = take_idle(cache, found);
    } else {
        found->users++;
    }
    found->used_ns = vz_now_ns();
    pthread_mutex_unlock(&cache->lock);
    if (idle)
        free_index(idle);
    return found;
}

static void leave_index(struct vz_object_cache *cache, struct vz_object_index *index)
{
    struct vz_object_index *idle = NULL;
    pthread_mutex_lock(&cache->lock);
    if (--index->users == 0 && index->broken)
        idle = take_idle(cache, NULL);
    pthread_mutex_unlock(&cache->lock);
    if (idle)
        free_index(idle);
}

/* ---- the mapping of objects ------------------------------------------------------------------ */

static bool is_below(struct vz_slice path, struct vz_slice scope)
{
    return path.len > scope.len && memcmp(path.ptr, scope.ptr, scope.len) == 0 &&
           path.ptr[scope.len] == '.';
}

/* copy_to: the targets among the object's own fields; others are the document's. */
static void put_targets(struct vz_json value, struct vz_slice scope, struct vz_json_writer *w)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json target;
    vz_json_key(w, "copy_to");
    vz_json_begin_array(w);
    if (vz_json_type(value) == VZ_JSON_STRING && is_below(vz_json_string(value), scope))
        vz_json_put_string(w, vz_json_string(value));
    while (vz_json_type(value) == VZ_JSON_ARRAY && vz_json_next(&it, NULL, &target))
        if (is_below(vz_json_string(target), scope))
            vz_json_put_string(w, vz_json_string(target));
    vz_json_end_array(w);
}

static bool is_type(struct vz_json field, const char *name)
{
    struct vz_json type;
    return vz_json_get(field, "type", &type) && vz_slice_is(vz_json_string(type), name);
}

static bool is_left_out(struct vz_json field, struct vz_slice scope)
{
    struct vz_json path;
    return is_type(field, "dense_vector") ||
           (is_type(field, "alias") && vz_json_get(field, "path", &path) &&
            !is_below(vz_json_string(path), scope));
}

/* A definition as GET _mapping prints it, at `path`, as the objects' index has it: the nested
 * fields down to the scope are plain objects, beside that way lies nothing, vectors stay where they
 * are. */
static void put_field(struct vz_json field, struct vz_slice path, struct vz_slice scope,
                      struct vz_arena *arena, struct vz_json_writer *w)
{
    struct vz_json_iter it = vz_json_iterate(field);
    struct vz_slice key, name;
    struct vz_json member, child;
    bool on_way = path.len <= scope.len;
    vz_json_begin_object(w);
    while (vz_json_next(&it, &key, &member)) {
        if ((on_way && vz_slice_is(key, "type")) || vz_slice_is(key, "include_in_root") ||
            (on_way && vz_slice_is(key, "include_in_parent")) ||
            (on_way && vz_slice_is(key, "dynamic")))
            continue;
        if (vz_slice_is(key, "copy_to")) {
            put_targets(member, scope, w);
            continue;
        }
        vz_json_key_slice(w, key);
        if (!vz_slice_is(key, "properties")) {
            vz_json_put_value(w, member);
            continue;
        }
        struct vz_json_iter children = vz_json_iterate(member);
        vz_json_begin_object(w);
        while (vz_json_next(&children, &name, &child)) {
            struct vz_slice whole = name;
            if (path.len)
                whole =
                    vz_slice_from(vz_arena_printf(arena, "%.*s.%.*s", VZ_ARG(path), VZ_ARG(name)));
            bool leads = vz_slice_eq(whole, scope) || is_below(scope, whole);
            if (is_left_out(child, scope) || !(leads || is_below(whole, scope)))
                continue;
            vz_json_key_slice(w, name);
            put_field(child, whole, scope, arena, w);
        }
        vz_json_end_object(w);
    }
    vz_json_end_object(w);
}

static enum vz_status print_mapping(struct vz_eval *eval, const struct vz_field *scope, char **out,
                                    struct vz_error *err)
{
    struct vz_buf whole = {0}, text = {0};
    struct vz_json_doc *doc = NULL;
    struct vz_json root, properties;
    struct vz_json_writer w = vz_json_writer_on(&text);
    vz_mapping_print(eval->mapping, &whole);
    enum vz_status status = vz_json_parse(vz_buf_slice(&whole), &doc, &root, err);
    if (status == VZ_OK && vz_json_get(root, "properties", &properties)) {
        struct vz_buf alone = {0};
        struct vz_json_doc *inner = NULL;
        struct vz_json_writer a = vz_json_writer_on(&alone);
        vz_json_begin_object(&a);
        vz_json_key(&a, "properties");
        vz_json_put_value(&a, properties);
        vz_json_end_object(&a);
        status = vz_json_parse(vz_buf_slice(&alone), &inner, &root, err);
        if (status == VZ_OK)
            put_field(root, (struct vz_slice){0}, scope->path, eval->arena, &w);
        if (inner)
            vz_json_free(inner);
        vz_buf_deinit(&alone);
    }
    if (doc)
        vz_json_free(doc);
    vz_buf_deinit(&whole);
    *out = NULL;
    if (status == VZ_OK) { /* {"properties":...} */
        struct vz_buf body = {0};
        vz_buf_append_str(&body, "{\"dynamic\":false,");
        vz_buf_append(&body, text.data + 1, text.len - 1);
        *out = vz_buf_take(&body);
    }
    vz_buf_deinit(&text);
    return status;
}

/* What of the index's settings says how values are read. Analyzers are in it to tell one index from
 * another; an index is made without them and given the documents' own, see settle_analysis. */
static enum vz_status print_settings(struct vz_eval *eval, bool with_analysis, char **out,
                                     struct vz_error *err)
{
    static const char *const kept[] = {"similarity", "mapping", "max_ngram_diff",
                                       "max_shingle_diff", "query", "analysis"};
    struct vz_buf whole = {0}, text = {0};
    struct vz_json_doc *doc = NULL;
    struct vz_json root, index, value;
    struct vz_json_writer w = vz_json_writer_on(&text);
    vz_index_print_settings(vz_snapshot_index(eval->snap), &whole);
    enum vz_status status = vz_json_parse(vz_buf_slice(&whole), &doc, &root, err);
    vz_json_begin_object(&w);
    for (size_t i = 0; i < VZ_COUNT_OF(kept) - !with_analysis && status == VZ_OK; i++)
        if (vz_json_get(root, "index", &index) && vz_json_get(index, kept[i], &value)) {
            vz_json_key(&w, kept[i]);
            vz_json_put_value(&w, value);
        }
    vz_json_field_str(&w, "refresh_interval", "-1");
    vz_json_key(&w, "translog");
    vz_json_put_raw(&w, VZ_SLICE("{\"durability\":\"async\"}"));
    vz_json_end_object(&w);
    if (doc)
        vz_json_free(doc);
    vz_buf_deinit(&whole);
    *out = vz_buf_take(&text);
    return status;
}

/* Index locked. An index of that name, still without fields and analyzers. */
static enum vz_status make_index(struct vz_object_index *at, struct vz_eval *eval,
                                 struct vz_error *err)
{
    struct vz_buf body = {0};
    struct vz_json_doc *doc = NULL;
    struct vz_json root;
    char *settings = NULL;
    enum vz_status status = print_settings(eval, false, &settings, err);
    if (status == VZ_OK) {
        vz_buf_printf(&body, "{\"settings\":{\"index\":%s}}", settings);
        status = vz_json_parse(vz_buf_slice(&body), &doc, &root, err);
    }
    if (status == VZ_OK)
        status = vz_store_create_index(at->store, vz_slice_from(at->name), root, err);
    if (status == VZ_OK)
        at->index = vz_store_index(at->store, vz_slice_from(at->name));
    if (status == VZ_OK && !at->index)
        status = vz_fail(err, VZ_INTERNAL, "an index of nested objects did not open");
    vz_json_free(doc);
    vz_buf_deinit(&body);
    free(settings);
    return status;
}

/* Index locked. The analyzers are the documents' own, not made anew: rules of synonyms sets are
 * asked of the documents' store, and are those that this snapshot's mapping has. */
static enum vz_status settle_analysis(struct vz_object_index *at, struct vz_eval *eval,
                                      struct vz_error *err)
{
    struct vz_analysis *analysis = vz_mapping_analysis(eval->mapping);
    if (!analysis || at->analysis == analysis)
        return VZ_OK;
    enum vz_status status = vz_index_adopt_analysis(at->index, analysis, err);
    if (status == VZ_OK) {
        vz_analysis_release(at->analysis);
        at->analysis = vz_analysis_acquire(analysis);
    }
    return status;
}

/* Index locked. Takes `mapping` over. */
static enum vz_status settle_mapping(struct vz_object_index *at, struct vz_eval *eval,
                                     char *mapping, struct vz_error *err)
{
    struct vz_json_doc *doc = NULL;
    struct vz_json root;
    enum vz_status status = at->index ? VZ_OK : make_index(at, eval, err);
    if (status == VZ_OK)
        status = settle_analysis(at, eval, err);
    if (status != VZ_OK || (at->mapping && strcmp(at->mapping, mapping) == 0)) {
        free(mapping);
        return status;
    }
    status = vz_json_parse(vz_slice_from(mapping), &doc, &root, err);
    if (status == VZ_OK)
        status = vz_index_put_mapping(at->index, root, err);
    if (status == VZ_OK) {
        free(at->mapping);
        at->mapping = mapping;
    } else {
        free(mapping);
    }
    vz_json_free(doc);
    return status;
}

/* ---- filling --------------------------------------------------------------------------------- */

struct feed {
    struct vz_object_index *at;
    const struct vz_field *scope;
    struct vz_write *ops;
    struct vz_object_place *places;
    size_t count, capacity, bytes;
    uint32_t docno, number;
    struct vz_arena arena;
};

static bool feed_object(void *feed_void, const struct vz_nest_place *place, struct vz_json object)
{
    struct feed *feed = feed_void;
    if (feed->count == feed->capacity) {
        feed->capacity = VZ_MAX(feed->capacity * 2, (size_t)256);
        feed->ops = vz_realloc(feed->ops, feed->capacity * sizeof *feed->ops);
        feed->places = vz_realloc(feed->places, feed->capacity * sizeof *feed->places);
    }
    struct vz_write *op = &feed->ops[feed->count];
    *op = (struct vz_write){.verb = VZ_WRITE_INDEX};
    op->id = vz_slice_from(vz_arena_printf(&feed->arena, "%u.%u", feed->docno, feed->number));
    op->source = vz_nest_wrap(feed->scope, object, &feed->arena);
    feed->places[feed->count++] = (struct vz_object_place){feed->docno, feed->number++};
    feed->bytes += op->source.len;
    return true;
}

/* Writes what was gathered; every document below `docno` is in then. */
static enum vz_status flush(struct feed *feed, uint32_t docno, struct vz_error *err)
{
    struct vz_object_index *at = feed->at;
    struct vz_write_options options = {.refresh = VZ_REFRESH_NONE, .arena = &feed->arena};
    enum vz_status status = VZ_OK;
    if ((uint64_t)at->count + feed->count > (uint64_t)PAGES * PAGE_OBJECTS)
        return vz_fail(err, VZ_LIMIT, "too many nested objects");
    if (feed->count)
        status = vz_index_write(at->index, feed->ops, feed->count, &options, err);
    for (size_t i = 0; i < feed->count && status == VZ_OK; i++) {
        status = feed->ops[i].status;
        if (status != VZ_OK && err)
            *err = feed->ops[i].error;
        struct vz_object_place **page = &at->pages[at->count >> PAGE_BITS];
        if (!*page)
            *page = vz_alloc(PAGE_OBJECTS * sizeof **page);
        (*page)[at->count++ & (PAGE_OBJECTS - 1)] = feed->places[i];
    }
    if (status == VZ_OK)
        at->filled = docno;
    else
        at->broken = true;
    feed->count = feed->bytes = 0;
    vz_arena_reset(&feed->arena);
    return status;
}

static enum vz_status feed_document(struct feed *feed, struct vz_eval *eval, uint32_t docno,
                                    struct vz_arena *scratch, struct vz_error *err)
{
    struct vz_stored_doc doc;
    struct vz_json_doc *parsed = NULL;
    struct vz_json source;
    feed->docno = docno;
    feed->number = 0;
    vz_arena_reset(scratch);
    enum vz_status status =
        vz_snapshot_any_doc(eval->snap, docno, VZ_DOC_CUT_SOURCE, scratch, &doc, err);
    if (status == VZ_OK)
        status = vz_json_parse(doc.source, &parsed, &source, err);
    if (status == VZ_OK)
        vz_nest_each(eval->mapping, feed->scope, source, feed_object, feed);
    if (parsed)
        vz_json_free(parsed);
    return status;
}

/* Index locked. */
static enum vz_status fill(struct vz_object_index *at, struct vz_eval *eval,
                           const struct vz_field *scope, struct vz_error *err)
{
    struct feed feed = {.at = at, .scope = scope};
    struct vz_arena scratch = {0};
    enum vz_status status = VZ_OK;
    bool late = false;
    uint32_t docno = at->filled;
    for (; docno < eval->limit && status == VZ_OK && !late; docno++) {
        status = feed_document(&feed, eval, docno, &scratch, err);
        if (status == VZ_OK && (feed.count >= BATCH_OBJECTS || feed.bytes >= BATCH_BYTES))
            status = flush(&feed, docno + 1, err);
        late = docno % 64 == 0 && vz_eval_late(eval);
    }
    if (status == VZ_OK)
        status = flush(&feed, docno, err);
    if (status == VZ_OK && late)
        status = vz_fail(err, VZ_CANCELLED, "the search took too long");
    if (status == VZ_OK)
        status = vz_index_refresh(at->index, err);
    free(feed.ops);
    free(feed.places);
    vz_arena_deinit(&feed.arena);
    vz_arena_deinit(&scratch);
    return status;
}

static enum vz_status lock_index(struct vz_object_index *at, uint64_t deadline_ns,
                                 struct vz_error *err)
{
    struct timespec until = {(time_t)(deadline_ns / 1000000000u),
                             (long)(deadline_ns % 1000000000u)};
    int failed = deadline_ns ? pthread_mutex_clocklock(&at->lock, CLOCK_MONOTONIC, &until)
                             : pthread_mutex_lock(&at->lock);
    return failed ? vz_fail(err, VZ_CANCELLED, "the search took too long") : VZ_OK;
}

/* Index locked. The snapshot of the objects has exactly those whose places are known. */
static enum vz_status publish(struct vz_object_index *at, struct vz_objects *out,
                              struct vz_error *err)
{
    struct vz_snapshot *snap = vz_index_snapshot(at->index);
    if (vz_snapshot_doc_limit(snap) != at->count || vz_snapshot_generation(snap) != 1) {
        at->broken = true;
        vz_snapshot_release(snap);
        return vz_fail(err, VZ_INTERNAL, "the index of nested objects does not fit them");
    }
    out->snap = snap;
    out->limit = at->count;
    return VZ_OK;
}

enum vz_status vz_objects_open(struct vz_eval *eval, const struct vz_field *scope,
                               struct vz_objects *out, struct vz_error *err)
{
    static const struct vz_scratch_owner owner = {make_cache, drop_cache};
    struct vz_store *store;
    void *cache;
    char *settings = NULL, *mapping = NULL;
    *out = (struct vz_objects){0};
    enum vz_status status = vz_snapshot_scratch(eval->snap, &owner, &store, &cache, err);
    if (status == VZ_OK)
        status = print_settings(eval, true, &settings, err);
    if (status == VZ_OK)
        status = print_mapping(eval, scope, &mapping, err);
    if (status != VZ_OK) {
        free(settings);
        return status;
    }
    out->cache = cache;
    out->index = find_index(out->cache, store, eval->snap, scope->path, settings);
    free(settings);
    status = lock_index(out->index, eval->deadline_ns, err);
    if (status == VZ_OK) {
        status = settle_mapping(out->index, eval, mapping, err);
        if (status == VZ_OK && out->index->filled < eval->limit)
            status = fill(out->index, eval, scope, err);
        if (status == VZ_OK)
            status = publish(out->index, out, err);
        pthread_mutex_unlock(&out->index->lock);
    } else {
        free(mapping);
    }
    if (status != VZ_OK)
        vz_objects_close(out);
    return status;
}

void vz_objects_close(struct vz_objects *objects)
{
    if (objects->snap)
        vz_snapshot_release((struct vz_snapshot *)(uintptr_t)objects->snap);
    if (objects->index)
        leave_index(objects->cache, objects->index);
    *objects = (struct vz_objects){0};
}

/* ---- asking ---------------------------------------------------------------------------------- */

struct vz_object_place vz_objects_place(const struct vz_objects *objects, uint32_t object)
{
    return objects->index->pages[object >> PAGE_BITS][object & (PAGE_OBJECTS - 1)];
}

uint32_t vz_objects_first(const struct vz_objects *objects, uint32_t docno)
{
    uint32_t low = 0, high = objects->limit;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (vz_objects_place(objects, mid).docno < docno)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

void vz_objects_of_id(const struct vz_eval *eval, struct vz_slice id, uint32_t *from, uint32_t *to)
{
    *from = *to = 0;
    if (eval->outer) {
        uint32_t first, last;
        vz_objects_of_id(eval->outer, id, &first, &last);
        if (first == last)
            return;
        *from = vz_objects_first(eval->among, first);
        *to = vz_objects_first(eval->among, last);
    } else if (vz_snapshot_find(eval->snap, id, from, NULL) == VZ_OK && *from < eval->limit) {
        *to = *from + 1;
    } else {
        *from = 0;
    }
}

struct vz_slice vz_objects_index_name(const struct vz_eval *eval)
{
    while (eval->outer)
        eval = eval->outer;
    return vz_index_name(vz_snapshot_index(eval->snap));
}

static enum vz_status answer(struct vz_eval *eval, const void *key, const struct vz_node *query,
                             const struct vz_field *scope, struct vz_object_answer **out,
                             struct vz_error *err)
{
    for (*out = eval->objects; *out; *out = (*out)->next)
        if ((*out)->key == key && (*out)->scope == scope)
            return VZ_OK;
    struct vz_object_answer *made = vz_calloc(1, sizeof *made);
    enum vz_status status = vz_objects_open(eval, scope, &made->objects, err);
    if (status != VZ_OK) {
        free(made);
        return status;
    }
    vz_eval_init(&made->eval, made->objects.snap, eval->arena, eval->now_ms, eval->deadline_ns);
    made->eval.outer = eval;
    made->eval.among = &made->objects;
    made->eval.stop = eval->stop;
    made->eval.spent = eval->spent;
    if (query)
        status = vz_node_eval(&made->eval, query, true, &made->set, err);
    if (status == VZ_OK && query) {
        vz_docset_materialize(&made->set, &made->eval);
        vz_docset_settle(&made->set, &made->eval);
    }
    if (status != VZ_OK) {
        vz_eval_deinit(&made->eval);
        vz_objects_close(&made->objects);
        free(made);
        return status;
    }
    made->key = key;
    made->scope = scope;
    made->next = eval->objects;
    *out = eval->objects = made;
    return VZ_OK;
}

enum vz_status vz_objects_answer(struct vz_eval *eval, const struct vz_node *query,
                                 const struct vz_field *scope, struct vz_object_answer **out,
                                 struct vz_error *err)
{
    return answer(eval, query, query, scope, out, err);
}

enum vz_status vz_objects_hold(struct vz_eval *eval, const void *key, const struct vz_field *scope,
                               struct vz_object_answer **out, struct vz_error *err)
{
    return answer(eval, key, NULL, scope, out, err);
}

void vz_objects_forget(struct vz_eval *eval)
{
    while (eval->objects) {
        struct vz_object_answer *gone = eval->objects;
        eval->objects = gone->next;
        vz_inner_view_free(gone->view);
        vz_docset_deinit(&gone->set);
        vz_eval_deinit(&gone->eval);
        vz_objects_close(&gone->objects);
        free(gone);
    }
}

/* ---- what can be asked ----------------------------------------------------------------------- */

static enum vz_status serve_list(const struct vz_mapping *mapping, struct vz_node_list list,
                                 bool *served, struct vz_error *err)
{
    enum vz_status status = VZ_OK;
    for (size_t i = 0; i < list.count && status == VZ_OK; i++)
        status = vz_objects_serve(mapping, list.items[i], served, err);
    return status;
}

static enum vz_status refuse(const char *query, struct vz_error *err)
{
    return vz_fail(err, VZ_UNSUPPORTED,
                   "[%s] inside of a [nested] query is not supported yet by vizsla", query);
}

static enum vz_status serve_bool(const struct vz_mapping *mapping, const struct vz_node *node,
                                 bool *served, struct vz_error *err)
{
    const struct vz_node_list *lists[] = {&node->boolean.must, &node->boolean.filter,
                                          &node->boolean.should, &node->boolean.must_not};
    enum vz_status status = VZ_OK;
    for (size_t i = 0; i < VZ_COUNT_OF(lists) && status == VZ_OK; i++)
        status = serve_list(mapping, *lists[i], served, err);
    return status;
}

enum vz_status vz_objects_serve(const struct vz_mapping *mapping, const struct vz_node *node,
                                bool *served, struct vz_error *err)
{
    const struct vz_node *inner = NULL;
    const struct vz_field *field;
    switch (node->kind) {
    case VZ_NODE_EXISTS:
        field = vz_mapping_find(mapping, node->field);
        if (field && field->type == VZ_FIELD_DENSE_VECTOR)
            *served = false;
        break;
    case VZ_NODE_BOOL:
        return serve_bool(mapping, node, served, err);
    case VZ_NODE_CONSTANT:
    case VZ_NODE_DIS_MAX:
    case VZ_NODE_BOOSTING:
        return serve_list(mapping, node->parts, served, err);
    case VZ_NODE_KNN:
        return refuse("knn", err);
    case VZ_NODE_PINNED:
        inner = node->pinned->organic;
        break;
    case VZ_NODE_MORE_LIKE_THIS:
        if (vz_like_names_documents(node))
            return refuse("more_like_this] of documents [like", err);
        break;
    case VZ_NODE_SCRIPT_SCORE:
        inner = vz_script_score_query(node);
        break;
    case VZ_NODE_FUNCTION_SCORE:
        inner = vz_function_score_query(node);
        break;
    default:
        break;
    }
    return inner ? vz_objects_serve(mapping, inner, served, err) : VZ_OK;
}
