/* Scrolls: all matches of a search, page by page, as they were when it began.
 *
 * A scroll pins a snapshot of each index. In the order of documents (no query or match_all without
 * a sort, or sort by _doc) it keeps the matching docnos, four bytes a match, or none at all when
 * every live document matches; this is what dumps use and has no limit. Any other order is found by
 * one search over the first max_result_window matches, whose ids and sort values are kept; more
 * matches than that are refused aloud. Sources are read from the pinned snapshots a page at a time.
 *
 * One lock guards the table; a scroll being served is marked busy and touched by its request alone.
 * At most MAX_OPEN are open, each until its keep-alive ends; expiry is looked at with every
 * request.
 */
#include "rest/parts.h"

#include <stdlib.h>

#define MAX_OPEN 500
#define MAX_KEEP_ALIVE_MS (24 * 3600 * 1000LL)
#define MAX_MATERIALIZED 10000
#define MAX_KEPT_BYTES ((size_t)1 << 30)

struct scroll_part {
    struct vz_index *index;
    struct vz_snapshot *snap;
    uint32_t *docnos; /* NULL: every live document */
    size_t count, capacity;
};

struct scroll {
    struct scroll *next;
    char id[33];
    bool busy, doomed; /* guarded by the table's lock */
    uint64_t expires_ns;
    /* The rest belongs to the request that marked it busy. */
    struct vz_arena arena;
    struct scroll_part *parts;
    size_t part_count;
    size_t at_part, at;         /* where the next page begins */
    struct vz_search_hit *hits; /* of another order than documents' */
    size_t hit_count;
    bool is_ordered;   /* `hits` rather than `parts` are walked */
    bool sorts_by_doc; /* sort values printed, no scores */
    bool with_version, with_seq_no;
    bool has_max_score;
    float max_score;
    struct vz_source_choice choice;
    size_t page;
    uint64_t total;
    size_t kept_bytes; /* docnos and hits: what it holds beside the snapshots */
};

struct vz_scrolls {
    pthread_mutex_t lock;
    struct scroll *list;
    unsigned count;
    size_t kept_bytes;               /* of all in the list */
    _Atomic uint64_t next_expiry_ns; /* relaxed: a late look only delays */
};

/* ---- the table ----------------------------------------------------------------------------- */

struct vz_scrolls *vz_scrolls_new(void)
{
    struct vz_scrolls *scrolls = vz_calloc(1, sizeof *scrolls);
    pthread_mutex_init(&scrolls->lock, NULL);
    atomic_store_explicit(&scrolls->next_expiry_ns, UINT64_MAX, memory_order_relaxed);
    return scrolls;
}

static void free_scroll(struct scroll *scroll)
{
    for (size_t i = 0; i < scroll->part_count; i++) {
        free(scroll->parts[i].docnos);
        vz_snapshot_release(scroll->parts[i].snap);
        vz_index_release(scroll->parts[i].index);
    }
    vz_arena_deinit(&scroll->arena);
    free(scroll);
}

void vz_scrolls_free(struct vz_scrolls *scrolls)
{
    while (scrolls->list) {
        struct scroll *next = scrolls->list->next;
        free_scroll(scrolls->list);
        scrolls->list = next;
    }
    pthread_mutex_destroy(&scrolls->lock);
    free(scrolls);
}

unsigned vz_scrolls_open(struct vz_scrolls *scrolls)
{
    pthread_mutex_lock(&scrolls->lock);
    unsigned count = scrolls->count;
    pthread_mutex_unlock(&scrolls->lock);
    return count;
}

/* Takes out what `pick` chooses and is not busy (a busy one goes when its request ends); returns
 * the chain for freeing outside the lock. */
static struct scroll *take_locked(struct vz_scrolls *scrolls,
                                  bool (*pick)(const struct scroll *, const void *),
                                  const void *context, unsigned *picked)
{
    struct scroll *taken = NULL;
    uint64_t next = UINT64_MAX;
    for (struct scroll **link = &scrolls->list; *link;) {
        struct scroll *scroll = *link;
        bool chosen = !scroll->doomed && pick(scroll, context);
        *picked += chosen;
        if (chosen && scroll->busy)
            scroll->doomed = true;
        if (chosen && !scroll->busy) {
            *link = scroll->next;
            scroll->next = taken;
            taken = scroll;
            scrolls->count--;
            scrolls->kept_bytes -= scroll->kept_bytes;
            continue;
        }
        next = VZ_MIN(next, scroll->expires_ns);
        link = &scroll->next;
    }
    atomic_store_explicit(&scrolls->next_expiry_ns, next, memory_order_relaxed);
    return taken;
}

static void free_chain(struct scroll *chain)
{
    while (chain) {
        struct scroll *next = chain->next;
        free_scroll(chain);
        chain = next;
    }
}

static bool is_due(const struct scroll *scroll, const void *now_ns)
{
    return !scroll->busy && scroll->expires_ns <= *(const uint64_t *)now_ns;
}

void vz_scrolls_expire(struct vz_scrolls *scrolls, uint64_t now_ns)
{
    if (atomic_load_explicit(&scrolls->next_expiry_ns, memory_order_relaxed) > now_ns)
        return;
    unsigned picked = 0;
    pthread_mutex_lock(&scrolls->lock);
    struct scroll *due = take_locked(scrolls, is_due, &now_ns, &picked);
    pthread_mutex_unlock(&scrolls->lock);
    free_chain(due);
}

static void touch(struct vz_scrolls *scrolls, struct scroll *scroll, int64_t keep_ms)
{
    scroll->expires_ns = vz_now_ns() + (uint64_t)keep_ms * 1000000u;
    uint64_t next = atomic_load_explicit(&scrolls->next_expiry_ns, memory_order_relaxed);
    if (scroll->expires_ns < next)
        atomic_store_explicit(&scrolls->next_expiry_ns, scroll->expires_ns, memory_order_relaxed);
}

/* Gives a busy scroll back to the table, or ends it when it was cleared meanwhile. */
static void let_go(struct vz_scrolls *scrolls, struct scroll *scroll)
{
    pthread_mutex_lock(&scrolls->lock);
    bool doomed = scroll->doomed;
    scroll->busy = false;
    if (doomed) {
        struct scroll **link = &scrolls->list;
        while (*link != scroll)
            link = &(*link)->next;
        *link = scroll->next;
        scrolls->count--;
        scrolls->kept_bytes -= scroll->kept_bytes;
    }
    pthread_mutex_unlock(&scrolls->lock);
    if (doomed)
        free_scroll(scroll);
}

/* ---- starting ------------------------------------------------------------------------------ */

static bool read_keep_alive(struct vz_call *call, struct vz_slice text, int64_t *keep_ms)
{
    if (!vz_time_parse(text, keep_ms) || *keep_ms <= 0)
        return vz_call_fail(call, 400, "illegal_argument_exception",
                            "failed to parse setting [scroll] with value [%.*s] as a time value: "
                            "unit is missing or unrecognized",
                            VZ_S(text));
    if (*keep_ms > MAX_KEEP_ALIVE_MS)
        return vz_call_fail(call, 400, "illegal_argument_exception",
                            "Keep alive for request (%.*s) is too large. It must be less than "
                            "(1d). This limit can be set by changing the [search.max_keep_alive] "
                            "cluster level setting.",
                            VZ_S(text));
    return true;
}

static bool is_doc_sort(struct vz_json sort, struct vz_slice param)
{
    if (param.len)
        return vz_slice_is(param, "_doc") || vz_slice_is(param, "_doc:asc");
    struct vz_json item = sort;
    if (vz_json_type(sort) == VZ_JSON_ARRAY) {
        struct vz_json_iter it = vz_json_iterate(sort);
        if (vz_json_count(sort) != 1 || !vz_json_next(&it, NULL, &item))
            return false;
    }
    if (vz_json_type(item) == VZ_JSON_STRING)
        return vz_slice_is(vz_json_string(item), "_doc");
    struct vz_json order;
    if (vz_json_count(item) != 1 || !vz_json_get(item, "_doc", &order))
        return false;
    if (vz_json_type(order) == VZ_JSON_OBJECT && !vz_json_get(order, "order", &order))
        return true;
    return vz_slice_is(vz_json_string(order), "asc");
}

static bool matches_all(struct vz_json body)
{
    struct vz_json query, match_all;
    if (!vz_json_get(body, "query", &query))
        return true;
    return vz_json_count(query) == 1 && vz_json_get(query, "match_all", &match_all) &&
           vz_json_count(match_all) == 0;
}

/* Whether the pages can be walked in the order of documents. */
static bool in_doc_order(struct vz_json body, struct vz_slice text,
                         const struct vz_search_params *params, struct scroll *scroll)
{
    static const char inner[] = "\"inner_hits\""; /* only a whole search finds them */
    static const char *const others[] = {"knn",    "min_score",       "search_after",
                                         "fields", "docvalue_fields", "post_filter"};
    struct vz_json value = {0};
    for (size_t i = 0; i < VZ_COUNT_OF(others); i++)
        if (vz_json_get(body, others[i], &value))
            return false;
    if (text.len && memmem(text.ptr, text.len, inner, sizeof inner - 1))
        return false;
    bool has_sort = params->sort.len || vz_json_get(body, "sort", &value);
    scroll->sorts_by_doc = has_sort && is_doc_sort(value, params->sort);
    return has_sort ? scroll->sorts_by_doc : matches_all(body);
}

static bool collect(void *part_void, const struct vz_snapshot *snap, uint32_t docno)
{
    struct scroll_part *part = part_void;
    if (part->count == part->capacity) {
        part->capacity = part->capacity ? part->capacity * 2 : 1024;
        part->docnos = vz_realloc(part->docnos, part->capacity * sizeof *part->docnos);
    }
    part->docnos[part->count++] = docno;
    return true;
}

static bool collect_part(struct vz_call *call, struct scroll_part *part,
                         const struct vz_search_target *target, const struct vz_search *search)
{
    struct vz_error err = {.offset = VZ_NO_OFFSET};
    bool ok = vz_search_each(target, search, collect, part, &err) == VZ_OK;
    if (!ok)
        vz_call_fail_index(call, &err, VZ_AT_SHARD, target->index);
    if (!part->docnos)
        part->docnos = vz_alloc(sizeof *part->docnos); /* not NULL: that would mean all */
    return ok;
}

static bool collect_parts(struct vz_call *call, struct scroll *scroll, struct vz_json body,
                          const struct vz_search_target *targets, const struct vz_search *search)
{
    bool all = matches_all(body);
    for (size_t i = 0; i < scroll->part_count; i++) {
        struct scroll_part *part = &scroll->parts[i];
        if (all && targets[i].alias_filter.len == 0) {
            scroll->total += vz_snapshot_doc_count(part->snap);
            continue;
        }
        if (!collect_part(call, part, &targets[i], search))
            return false;
        scroll->kept_bytes += part->capacity * sizeof *part->docnos;
        scroll->total += part->count;
    }
    return true;
}

static void keep_hit(struct scroll *scroll, const struct vz_search_hit *from,
                     struct vz_search_hit *to)
{
    *to = *from;
    to->index = vz_arena_copy(&scroll->arena, from->index);
    to->id = vz_arena_copy(&scroll->arena, from->id);
    to->fields = vz_arena_copy(&scroll->arena, from->fields);
    to->sort = vz_arena_copy(&scroll->arena, from->sort);
    to->inner_hits = vz_arena_copy(&scroll->arena, from->inner_hits);
    to->explanation = vz_arena_copy(&scroll->arena, from->explanation);
    to->source = (struct vz_slice){NULL, 0};
    scroll->kept_bytes += sizeof *to + to->index.len + to->id.len + to->fields.len + to->sort.len +
                          to->inner_hits.len + to->explanation.len;
}

/* One search for everything, without sources. */
static bool materialize(struct vz_call *call, struct scroll *scroll, struct vz_json body,
                        const struct vz_search_params *given,
                        const struct vz_search_target *targets, size_t count)
{
    struct vz_search *search;
    struct vz_search_result result = {.track_total = true};
    struct vz_error err = {.offset = VZ_NO_OFFSET};
    struct vz_search_params params = *given;
    params.has_size = params.has_source = params.has_track_total_hits = true;
    params.size = MAX_MATERIALIZED;
    params.source = VZ_SLICE("false");
    params.source_includes = params.source_excludes = (struct vz_slice){"", 0};
    params.track_total_hits = VZ_SLICE("true");
    if (vz_search_parse(body, &params, call->arena, &search, &err) != VZ_OK)
        return vz_call_fail_error(call, &err, VZ_AT_SEARCH);
    if (count && vz_search_run(targets, count, search, call->arena, &result, &err) != VZ_OK)
        return vz_call_fail_index(call, &err, VZ_AT_SHARD, targets[0].index);
    if (result.total > result.hit_count && result.hit_count == MAX_MATERIALIZED)
        return vz_call_unsupported(
            call, "a scroll over more than [%d] matches in another order than [_doc] is",
            MAX_MATERIALIZED);
    scroll->is_ordered = true;
    scroll->total = result.total;
    scroll->has_max_score = result.has_max_score;
    scroll->max_score = result.max_score;
    scroll->with_version = result.with_version;
    scroll->with_seq_no = result.with_seq_no;
    scroll->hit_count = result.hit_count;
    scroll->hits = vz_arena_alloc(&scroll->arena, (result.hit_count + 1) * sizeof *scroll->hits);
    for (size_t i = 0; i < result.hit_count; i++)
        keep_hit(scroll, &result.hits[i], &scroll->hits[i]);
    return true;
}

static struct vz_json_patterns keep_patterns(struct scroll *scroll, struct vz_json_patterns from)
{
    struct vz_slice *items = vz_arena_alloc(&scroll->arena, (from.count + 1) * sizeof *items);
    for (size_t i = 0; i < from.count; i++)
        items[i] = vz_arena_copy(&scroll->arena, from.items[i]);
    return (struct vz_json_patterns){items, from.count};
}

static bool choose_source(struct vz_call *call, struct scroll *scroll, struct vz_json body)
{
    struct vz_json value;
    struct vz_slice param;
    struct vz_source_choice choice;
    vz_source_of_params(call, &choice);
    bool in_url =
        vz_call_param(call, "_source", &param) || choice.includes.count || choice.excludes.count;
    if (!in_url && vz_json_get(body, "_source", &value)) {
        if (!vz_source_of_json(call->arena, value, &choice))
            return vz_call_fail(call, 400, "parsing_exception", "[_source] has an unknown form");
    } else if (!in_url && vz_json_get(body, "stored_fields", &value)) {
        choice.off = true;
    }
    scroll->choice.off = choice.off;
    scroll->choice.includes = keep_patterns(scroll, choice.includes);
    scroll->choice.excludes = keep_patterns(scroll, choice.excludes);
    return true;
}

static bool choose_page(struct vz_call *call, struct scroll *scroll, struct vz_json body,
                        const struct vz_search_params *params)
{
    struct vz_json value;
    int64_t size = params->size, from = params->from;
    if (!params->has_size && vz_json_get(body, "size", &value))
        vz_json_as_int(value, &size);
    if (!params->has_from && vz_json_get(body, "from", &value))
        vz_json_as_int(value, &from);
    if (size == 0)
        return vz_call_fail(call, 400, "action_request_validation_exception",
                            "Validation Failed: 1: [size] cannot be [0] in a scroll context;");
    if (from > 0)
        return vz_call_fail(
            call, 400, "action_request_validation_exception",
            "Validation Failed: 1: using [from] is not allowed in a scroll context;");
    if (size > MAX_MATERIALIZED)
        return vz_call_fail(call, 400, "illegal_argument_exception",
                            "Batch size is too large, size must be less than or equal to: [%d] "
                            "but was [%lld]. Scroll batch sizes cost as much memory as result "
                            "windows so they are controlled by the [index.max_result_window] index "
                            "level setting.",
                            MAX_MATERIALIZED, (long long)size);
    scroll->page = size < 0 ? 10 : (size_t)size;
    return true;
}

static bool fill(struct vz_call *call, struct scroll *scroll, struct vz_json body,
                 const struct vz_search_params *params, const struct vz_resolved *resolved)
{
    struct vz_search *search;
    struct vz_error err = {.offset = VZ_NO_OFFSET};
    struct vz_search_target *targets = vz_search_targets(call->arena, resolved);
    scroll->parts = vz_arena_zalloc(&scroll->arena, (resolved->count + 1) * sizeof *scroll->parts);
    for (size_t i = 0; i < resolved->count; i++) {
        scroll->parts[scroll->part_count++] =
            (struct scroll_part){.index = vz_index_acquire(resolved->indices[i]),
                                 .snap = vz_index_snapshot(resolved->indices[i])};
        targets[i].snap = scroll->parts[i].snap; /* whatever is refreshed meanwhile */
    }
    if (vz_search_parse(body, params, call->arena, &search, &err) != VZ_OK)
        return vz_call_fail_error(call, &err, VZ_AT_SEARCH);
    if (!choose_page(call, scroll, body, params) || !choose_source(call, scroll, body))
        return false;
    struct vz_json value;
    scroll->with_version =
        params->version || (vz_json_get(body, "version", &value) && vz_json_bool(value));
    scroll->with_seq_no = params->seq_no_primary_term ||
                          (vz_json_get(body, "seq_no_primary_term", &value) && vz_json_bool(value));
    if (!in_doc_order(body, call->request->body, params, scroll))
        return materialize(call, scroll, body, params, targets, resolved->count);
    scroll->has_max_score = !scroll->sorts_by_doc;
    scroll->max_score = 1.0f;
    return collect_parts(call, scroll, body, targets, search);
}

/* ---- pages --------------------------------------------------------------------------------- */

static bool load_hit(struct vz_call *call, struct scroll *scroll, struct scroll_part *part,
                     uint32_t docno, struct vz_search_hit *hit)
{
    struct vz_stored_doc doc;
    struct vz_error err = {0};
    enum vz_doc_parts parts = scroll->choice.off ? VZ_DOC_META : VZ_DOC_SOURCE;
    bool whole = scroll->choice.includes.count == 0 && scroll->choice.excludes.count == 0;
    struct vz_arena scratch = {0}; /* for the whole document while a part of it is kept */
    if (vz_snapshot_doc(part->snap, docno, parts, whole ? call->arena : &scratch, &doc, &err) !=
        VZ_OK) {
        vz_arena_deinit(&scratch);
        return vz_call_fail_index(call, &err, VZ_AT_REQUEST, part->index);
    }
    hit->index = vz_index_name(part->index);
    hit->id = whole ? doc.id : vz_arena_copy(call->arena, doc.id);
    hit->version = doc.version;
    hit->seq_no = doc.seq_no;
    if (!scroll->choice.off && whole)
        hit->source = doc.source;
    if (!scroll->choice.off && !whole) {
        struct vz_buf text = {0};
        struct vz_json_writer w = vz_json_writer_on(&text);
        vz_source_print(&scroll->choice, doc.source, &w);
        hit->source = vz_arena_copy(call->arena, vz_buf_slice(&text));
        vz_buf_deinit(&text);
    }
    vz_arena_deinit(&scratch);
    return true;
}

/* The next document in order, or false when there is none. */
static bool next_doc(struct scroll *scroll, struct scroll_part **part, uint32_t *docno)
{
    for (; scroll->at_part < scroll->part_count; scroll->at_part++, scroll->at = 0) {
        *part = &scroll->parts[scroll->at_part];
        size_t end = (*part)->docnos ? (*part)->count : vz_snapshot_doc_limit((*part)->snap);
        while (scroll->at < end) {
            size_t at = scroll->at++;
            *docno = (*part)->docnos ? (*part)->docnos[at] : (uint32_t)at;
            if ((*part)->docnos || vz_snapshot_live((*part)->snap, *docno))
                return true;
        }
    }
    return false;
}

static bool page_in_doc_order(struct vz_call *call, struct scroll *scroll,
                              struct vz_search_result *page)
{
    struct scroll_part *part;
    uint32_t docno;
    size_t bytes = 0;
    while (page->hit_count < scroll->page && next_doc(scroll, &part, &docno)) {
        struct vz_search_hit *hit = &page->hits[page->hit_count++];
        *hit = (struct vz_search_hit){.has_score = !scroll->sorts_by_doc, .score = 1.0f};
        if (!load_hit(call, scroll, part, docno, hit) ||
            !vz_call_fits(call, bytes += hit->source.len))
            return false;
        if (scroll->sorts_by_doc)
            hit->sort = vz_call_format(call, "[%u]", docno);
    }
    return true;
}

static bool page_of_hits(struct vz_call *call, struct scroll *scroll, struct vz_search_result *page)
{
    size_t bytes = 0;
    while (page->hit_count < scroll->page && scroll->at < scroll->hit_count) {
        struct vz_search_hit *hit = &page->hits[page->hit_count++];
        *hit = scroll->hits[scroll->at++];
        for (size_t i = 0; i < scroll->part_count; i++) {
            struct scroll_part *part = &scroll->parts[i];
            struct vz_search_hit loaded = *hit;
            uint32_t docno;
            if (!vz_slice_eq(vz_index_name(part->index), hit->index) ||
                vz_snapshot_find(part->snap, hit->id, &docno, NULL) != VZ_OK)
                continue;
            if (!load_hit(call, scroll, part, docno, &loaded) ||
                !vz_call_fits(call, bytes += loaded.source.len))
                return false;
            hit->source = loaded.source;
        }
    }
    return true;
}

static void answer_page(struct vz_call *call, struct scroll *scroll)
{
    struct vz_search_result page = {.total = scroll->total,
                                    .track_total = true,
                                    .has_max_score = scroll->has_max_score && scroll->total > 0,
                                    .max_score = scroll->max_score,
                                    .with_version = scroll->with_version,
                                    .with_seq_no = scroll->with_seq_no};
    page.hits = vz_arena_alloc(call->arena, scroll->page * sizeof *page.hits);
    size_t at_part = scroll->at_part, at = scroll->at;
    bool ok = scroll->is_ordered ? page_of_hits(call, scroll, &page)
                                 : page_in_doc_order(call, scroll, &page);
    if (!ok) { /* the page was not given: it is still to come */
        scroll->at_part = at_part;
        scroll->at = at;
        return;
    }
    struct vz_search_answer_options options = {
        .total_as_int = vz_call_bool(call, "rest_total_hits_as_int", false),
        .shards = (unsigned)scroll->part_count,
        .took_ms = vz_call_took_ms(call),
        .scroll_id = vz_slice_from(scroll->id)};
    vz_json_begin_object(&call->w);
    vz_search_print(&call->w, &page, &options);
    vz_json_end_object(&call->w);
}

void vz_scroll_start(struct vz_call *call, struct vz_json body,
                     const struct vz_search_params *params, const struct vz_resolved *resolved)
{
    struct vz_scrolls *scrolls = call->rest->scrolls;
    int64_t keep_ms;
    if (!read_keep_alive(call, vz_call_text(call, "scroll"), &keep_ms))
        return;
    struct scroll *scroll = vz_calloc(1, sizeof *scroll);
    scroll->busy = true;
    strcpy(scroll->id, "vizscroll1");
    vz_new_uuid(scroll->id + 10);
    if (!fill(call, scroll, body, params, resolved)) {
        free_scroll(scroll);
        return;
    }
    pthread_mutex_lock(&scrolls->lock);
    bool full = scrolls->count >= MAX_OPEN;
    bool fat = scroll->kept_bytes > MAX_KEPT_BYTES - VZ_MIN(scrolls->kept_bytes, MAX_KEPT_BYTES);
    if (!full && !fat) {
        touch(scrolls, scroll, keep_ms);
        scroll->next = scrolls->list;
        scrolls->list = scroll;
        scrolls->count++;
        scrolls->kept_bytes += scroll->kept_bytes;
    }
    pthread_mutex_unlock(&scrolls->lock);
    if (fat && !full) {
        free_scroll(scroll);
        vz_call_fail(call, 429, "circuit_breaking_exception",
                     "[request] Data too large: open scrolls may hold [%zu] bytes, clear some",
                     MAX_KEPT_BYTES);
        call->problem.is_circuit = true;
        return;
    }
    if (full) {
        free_scroll(scroll);
        vz_call_fail(call, 429, "too_many_scroll_contexts_exception",
                     "Trying to create too many scroll contexts. Must be less than or equal to: "
                     "[%d]. This limit can be set by changing the "
                     "[search.max_open_scroll_context] setting.",
                     MAX_OPEN);
        return;
    }
    answer_page(call, scroll);
    if (call->problem.status) { /* its id was not given: nobody could go on */
        pthread_mutex_lock(&scrolls->lock);
        scroll->doomed = true;
        pthread_mutex_unlock(&scrolls->lock);
    }
    let_go(scrolls, scroll);
}

/* ---- continuing and ending ----------------------------------------------------------------- */

static bool check_scroll_id(struct vz_call *call, struct vz_slice id)
{
    if (id.len == 32 && vz_slice_starts(id, "vizscroll1"))
        return true;
    if (id.len == 0)
        return vz_call_fail(call, 400, "action_request_validation_exception",
                            "Validation Failed: 1: scrollId is missing;");
    return vz_call_fail(call, 400, "illegal_argument_exception", "Cannot parse scroll id");
}

static struct scroll *find_scroll(struct vz_call *call, struct vz_slice id, int64_t keep_ms)
{
    struct vz_scrolls *scrolls = call->rest->scrolls;
    bool busy = false;
    pthread_mutex_lock(&scrolls->lock);
    struct scroll *scroll = scrolls->list;
    while (scroll && !vz_slice_is(id, scroll->id))
        scroll = scroll->next;
    if (scroll && scroll->doomed)
        scroll = NULL;
    if (scroll && scroll->busy) {
        busy = true;
        scroll = NULL;
    }
    if (scroll) {
        scroll->busy = true;
        if (keep_ms > 0)
            touch(scrolls, scroll, keep_ms);
    }
    pthread_mutex_unlock(&scrolls->lock);
    if (busy)
        vz_call_fail(call, 429, "es_rejected_execution_exception",
                     "another request is reading this scroll");
    else if (!scroll)
        vz_call_fail(call, 404, "search_context_missing_exception",
                     "No search context found for id [%.*s]", VZ_S(id));
    return scroll;
}

void vz_rest_scroll_next(struct vz_call *call)
{
    struct vz_json body, value;
    struct vz_slice id = call->args[0].len ? call->args[0] : vz_call_text(call, "scroll_id");
    struct vz_slice keep = vz_call_text(call, "scroll");
    int64_t keep_ms = 0;
    if (!vz_call_body(call, VZ_AT_BODY, false, &body))
        return;
    struct vz_json_iter it = vz_json_iterate(body);
    struct vz_slice key;
    while (vz_json_next(&it, &key, &value)) {
        if (vz_slice_is(key, "scroll_id")) {
            id = vz_json_string(value);
        } else if (vz_slice_is(key, "scroll")) {
            keep = vz_json_string(value);
        } else {
            vz_call_fail(call, 400, "illegal_argument_exception",
                         "Unknown parameter [%.*s] in request body or parameter is of the wrong "
                         "type[VALUE_STRING] ",
                         VZ_S(key));
            return;
        }
    }
    if (!check_scroll_id(call, id) || (keep.len && !read_keep_alive(call, keep, &keep_ms)))
        return;
    struct scroll *scroll = find_scroll(call, id, keep_ms);
    if (!scroll)
        return;
    answer_page(call, scroll);
    let_go(call->rest->scrolls, scroll);
}

struct wanted_ids {
    const struct vz_slice *ids;
    size_t count;
    bool all;
};

static bool is_wanted(const struct scroll *scroll, const void *context)
{
    const struct wanted_ids *wanted = context;
    for (size_t i = 0; i < wanted->count; i++)
        if (vz_slice_is(wanted->ids[i], scroll->id))
            return true;
    return wanted->all;
}

static bool read_cleared(struct vz_call *call, struct wanted_ids *wanted)
{
    struct vz_json body, value, item;
    struct vz_slice *ids;
    if (!vz_call_body(call, VZ_AT_BODY, false, &body))
        return false;
    if (vz_json_get(body, "scroll_id", &value)) {
        if (vz_json_type(value) == VZ_JSON_ARRAY) {
            ids = vz_arena_alloc(call->arena, (vz_json_count(value) + 1) * sizeof *ids);
            struct vz_json_iter it = vz_json_iterate(value);
            while (vz_json_next(&it, NULL, &item))
                ids[wanted->count++] = vz_json_string(item);
        } else {
            wanted->count = vz_split(call->arena, vz_json_string(value), &ids);
        }
    } else {
        wanted->count = vz_split(call->arena, call->args[0], &ids);
    }
    wanted->ids = ids;
    for (size_t i = 0; i < wanted->count; i++) {
        if (vz_slice_is(ids[i], "_all"))
            wanted->all = true;
        else if (!check_scroll_id(call, ids[i]))
            return false;
    }
    if (wanted->count == 0)
        return vz_call_fail(call, 400, "action_request_validation_exception",
                            "Validation Failed: 1: no scroll ids specified;");
    return true;
}

void vz_rest_scroll_clear(struct vz_call *call)
{
    struct wanted_ids wanted = {0};
    struct vz_scrolls *scrolls = call->rest->scrolls;
    unsigned freed = 0;
    if (!read_cleared(call, &wanted))
        return;
    pthread_mutex_lock(&scrolls->lock);
    struct scroll *taken = take_locked(scrolls, is_wanted, &wanted, &freed);
    pthread_mutex_unlock(&scrolls->lock);
    free_chain(taken);
    vz_json_begin_object(&call->w);
    vz_json_field_bool(&call->w, "succeeded", true);
    vz_json_field_int(&call->w, "num_freed", freed);
    vz_json_end_object(&call->w);
    if (freed == 0 && !wanted.all)
        call->response->status = 404;
}
