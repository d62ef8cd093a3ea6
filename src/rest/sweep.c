/* Sweeps: all matches of a query, batch by batch. See by_query.h.
 *
 * With several slices, document d of an index belongs to slice d mod n of the pinned snapshot, and
 * at most MAX_THREADS of them run at a time. A slice that the client names itself ("slice") goes by
 * the hash of the id instead, as two requests do not share a snapshot.
 *
 * Every write names the sequence number that the document had, so what changed meanwhile stays and
 * is a version conflict. A batch ends at its count of documents or at MAX_BATCH_BYTES.
 *
 * Locks: run->lock guards failures, the problem and which slice is next; the tasks' lock guards the
 * progress. Neither is held while a batch runs. */
#include "rest/by_query.h"
#include "rest/scripts.h"

#include <stdlib.h>

#define MAX_THREADS 8
#define MAX_BATCH_BYTES ((size_t)32 << 20)
#define SLICE_SEED 0x51CEull

struct part {
    struct vz_snapshot *snap;
    struct vz_bitset matches; /* bits 0: every live document */
};

struct failure {
    struct failure *next;
    struct vz_slice index, id;
    struct vz_problem problem;
};

struct vz_sweep_run {
    pthread_mutex_t lock;
    struct part *parts;
    struct vz_progress *progress; /* of each slice */
    struct failure *failures, **last_failure;
    struct vz_problem problem; /* status 0: none */
    unsigned next_slice;
    atomic_bool stopped; /* relaxed: a flag that is looked at between batches */
    /* Something was written to sweep->dest: who deletes it now wants it gone. Relaxed, the same. */
    atomic_bool dest_seen;
};

/* One slice at work. */
struct worker {
    struct vz_sweep *sweep;
    struct vz_progress *progress;
    struct vz_running *task; /* that is cancelled and throttled */
    struct vz_arena arena;   /* of one batch */
    size_t at_part;
    uint32_t at;
    unsigned slice;
};

/* ---- parameters ------------------------------------------------------------------------------ */

bool vz_sweep_conflicts(struct vz_call *call, struct vz_sweep *sweep, struct vz_slice value)
{
    sweep->proceed = vz_slice_is(value, "proceed");
    return sweep->proceed || vz_slice_is(value, "abort") ||
           vz_call_fail(call, 400, "illegal_argument_exception",
                        "conflicts may only be \"proceed\" or \"abort\" but was [%.*s]",
                        VZ_S(value));
}

static bool set_max_docs(struct vz_call *call, struct vz_sweep *sweep, int64_t value)
{
    if (value < 0)
        return vz_call_fail(call, 400, "illegal_argument_exception",
                            "[max_docs] parameter cannot be negative, found [%lld]",
                            (long long)value);
    if (sweep->max_docs != UINT64_MAX && sweep->max_docs != (uint64_t)value)
        return vz_call_fail(call, 400, "illegal_argument_exception",
                            "[max_docs] set to two different values [%lld] and [%lld]",
                            (long long)value, (long long)sweep->max_docs);
    sweep->max_docs = (uint64_t)value;
    return true;
}

bool vz_sweep_max_docs(struct vz_call *call, struct vz_sweep *sweep, struct vz_json value)
{
    int64_t number;
    if (!vz_json_as_int(value, &number))
        return vz_call_fail(call, 400, "illegal_argument_exception", "[max_docs] must be a number");
    return set_max_docs(call, sweep, number);
}

static bool read_slices(struct vz_call *call, struct vz_sweep *sweep)
{
    struct vz_slice text;
    sweep->slices = 1;
    if (!vz_call_param(call, "slices", &text) || vz_slice_is(text, "auto"))
        return true; /* auto is one for each shard, and an index is one */
    char digits[8] = "", *end;
    if (text.len && text.len < sizeof digits)
        memcpy(digits, text.ptr, text.len);
    long number = strtol(digits, &end, 10);
    if (number < 1 || *end || digits[0] < '0' || digits[0] > '9')
        return vz_call_fail(call, 400, "illegal_argument_exception",
                            "[slices] must be a positive integer or the string \"auto\", but was "
                            "[%.*s]",
                            VZ_S(text));
    if (number > VZ_SWEEP_MAX_SLICES)
        return vz_call_fail(call, 400, "illegal_argument_exception",
                            "The number of slices [%ld] is too large. It must be less than [%d]. "
                            "This limit can be set by changing the [index.max_slices_per_scroll] "
                            "index level setting.",
                            number, VZ_SWEEP_MAX_SLICES);
    sweep->slices = (unsigned)number;
    sweep->is_sliced = number > 1;
    return true;
}

bool vz_sweep_params(struct vz_call *call, struct vz_sweep *sweep)
{
    struct vz_slice value;
    int64_t batch = vz_call_int(call, "scroll_size", 1000);
    sweep->max_docs = UINT64_MAX;
    if (vz_call_param(call, "conflicts", &value) && !vz_sweep_conflicts(call, sweep, value))
        return false;
    if (vz_call_param(call, "max_docs", &value) &&
        !set_max_docs(call, sweep, vz_call_int(call, "max_docs", -1)))
        return false;
    if (batch < 1 || batch > VZ_SWEEP_MAX_BATCH)
        return vz_call_fail(call, 400, "illegal_argument_exception",
                            "Batch size is %s, size must be %s [%d] but was [%lld].",
                            batch < 1 ? "too small" : "too large",
                            batch < 1 ? "at least" : "less than or equal to:",
                            batch < 1 ? 1 : VZ_SWEEP_MAX_BATCH, (long long)batch);
    sweep->batch = (size_t)batch;
    sweep->refresh = vz_call_bool(call, "refresh", false);
    sweep->with_version = vz_call_bool(call, "version", false);
    if (vz_call_param(call, "pipeline", &value))
        sweep->pipeline = value;
    return read_slices(call, sweep) && vz_call_per_second(call, false, &sweep->per_second);
}

bool vz_sweep_check(struct vz_call *call, const struct vz_sweep *sweep)
{
    if (sweep->max_docs < sweep->slices)
        return vz_call_fail(call, 400, "illegal_argument_exception",
                            "[max_docs] should be >= [slices]");
    if (sweep->is_sliced && sweep->slice_max)
        return vz_call_fail(call, 400, "action_request_validation_exception",
                            "Validation Failed: 1: can't specify both manual and automatic slicing "
                            "at the same time;");
    if (sweep->is_sliced && sweep->remote)
        return vz_call_fail(call, 400, "action_request_validation_exception",
                            "Validation Failed: 1: reindex from remote sources doesn't support "
                            "slices > 1 but was [%u];",
                            sweep->slices);
    return true;
}

bool vz_sweep_slice(struct vz_call *call, struct vz_sweep *sweep, struct vz_json value)
{
    struct vz_json id = {0}, max = {0};
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    while (vz_json_next(&it, &key, &member)) {
        if (vz_slice_is(key, "field"))
            return vz_call_unsupported(call, "[slice] by a [field] is");
        if (!vz_slice_is(key, "id") && !vz_slice_is(key, "max"))
            return vz_call_fail(call, 400, "x_content_parse_exception",
                                "[slice] unknown field [%.*s]", VZ_S(key));
    }
    vz_json_get(value, "id", &id);
    vz_json_get(value, "max", &max);
    int64_t at = vz_json_int(id), of = vz_json_int(max);
    if (vz_json_type(id) != VZ_JSON_INT || at < 0)
        return vz_call_fail(call, 400, "illegal_argument_exception",
                            "id must be greater than or equal to 0");
    if (of <= 1)
        return vz_call_fail(call, 400, "illegal_argument_exception", "max must be greater than 1");
    if (of > VZ_SWEEP_MAX_SLICES || at >= of)
        return vz_call_fail(call, 400, "illegal_argument_exception", "max must be greater than id");
    sweep->slice_id = (unsigned)at;
    sweep->slice_max = (unsigned)of;
    return true;
}

bool vz_sweep_query(struct vz_call *call, struct vz_sweep *sweep, struct vz_json query)
{
    struct vz_json body = {0};
    struct vz_error err = {.offset = VZ_NO_OFFSET};
    struct vz_search_params params;
    struct vz_slice ready;
    vz_search_params_of(call, &params);
    vz_call_watch(call, false, &params);
    params.has_size = params.has_from = params.has_source = params.has_track_total_hits = false;
    params.version = params.seq_no_primary_term = params.explain = false;
    params.source_includes = params.source_excludes = params.sort = (struct vz_slice){"", 0};
    if (vz_json_type(query) != VZ_JSON_MISSING) {
        struct vz_buf text = {0};
        vz_buf_append_str(&text, "{\"query\":");
        vz_json_print(query, &text);
        vz_buf_append_char(&text, '}');
        struct vz_slice kept = vz_arena_copy(call->arena, vz_buf_slice(&text));
        vz_buf_deinit(&text);
        if (!vz_scripts_may_be_named(kept))
            ready = kept;
        else if (!vz_scripts_inline(call, call->arena, kept, &ready, &call->problem))
            return false;
        if (vz_json_parse(ready, &sweep->query_doc, &body, &err) != VZ_OK)
            return vz_call_fail_error(call, &err, VZ_AT_SEARCH);
    }
    if (vz_search_parse(body, &params, call->arena, &sweep->search, &err) != VZ_OK)
        return vz_call_fail_error(call, &err, VZ_AT_SEARCH);
    return true;
}

void vz_sweep_deinit(struct vz_sweep *sweep)
{
    if (sweep->query_doc)
        vz_json_free(sweep->query_doc);
    sweep->query_doc = NULL;
    vz_resolved_release(&sweep->resolved);
    sweep->resolved = (struct vz_resolved){0};
}

/* ---- which documents ------------------------------------------------------------------------- */

struct marking {
    struct vz_sweep *sweep;
    struct part *part;
    uint64_t left;
    int64_t *totals;       /* of each slice */
    struct vz_arena arena; /* ids, where slices go by them */
    bool failed;
};

static bool mark(void *marking_void, const struct vz_snapshot *snap, uint32_t docno)
{
    struct marking *m = marking_void;
    const struct vz_sweep *sweep = m->sweep;
    struct vz_stored_doc doc;
    if (!m->left || atomic_load_explicit(&sweep->run->stopped, memory_order_relaxed) ||
        vz_task_cancelled(sweep->call->task))
        return false;
    if (sweep->slice_max) {
        vz_arena_reset(&m->arena);
        m->failed = vz_snapshot_doc(snap, docno, VZ_DOC_META, &m->arena, &doc, NULL) != VZ_OK;
        if (m->failed)
            return false;
        if (vz_hash(doc.id, SLICE_SEED) % sweep->slice_max != sweep->slice_id)
            return true;
    }
    m->left--;
    vz_bitset_set(&m->part->matches, docno);
    m->totals[docno % sweep->slices]++;
    return true;
}

static bool mark_matches(struct vz_sweep *sweep)
{
    struct vz_call *call = sweep->call;
    struct marking m = {.sweep = sweep, .left = sweep->max_docs};
    struct vz_search_target *targets = vz_search_targets(call->arena, &sweep->resolved);
    struct vz_error err = {.offset = VZ_NO_OFFSET};
    bool ok = true;
    m.totals = vz_arena_zalloc(call->arena, sweep->slices * sizeof *m.totals);
    for (size_t i = 0; i < sweep->resolved.count && ok; i++) {
        struct part *part = m.part = &sweep->run->parts[i];
        part->snap = targets[i].snap = vz_index_snapshot(sweep->resolved.indices[i]);
        vz_bitset_init(&part->matches, vz_snapshot_doc_limit(part->snap));
        enum vz_status status =
            m.left ? vz_search_each(&targets[i], sweep->search, mark, &m, &err) : VZ_OK;
        if (status == VZ_CANCELLED && vz_task_cancelled(call->task))
            break; /* the answer says so */
        if (status != VZ_OK)
            ok = vz_call_fail_index(call, &err, VZ_AT_SHARD, targets[i].index);
        else if (m.failed)
            ok = vz_call_fail(call, 500, "i_o_exception", "a matching document could not be read");
    }
    vz_tasks_lock(call->rest->tasks);
    for (unsigned i = 0; i < sweep->slices; i++)
        sweep->run->progress[i].total = m.totals[i];
    vz_tasks_unlock(call->rest->tasks);
    vz_arena_deinit(&m.arena);
    return ok;
}

/* ---- a batch --------------------------------------------------------------------------------- */

static bool next_match(struct worker *w, size_t *part_at, uint32_t *docno)
{
    const struct vz_sweep *sweep = w->sweep;
    for (; w->at_part < sweep->resolved.count; w->at_part++, w->at = 0) {
        const struct vz_bitset *matches = &sweep->run->parts[w->at_part].matches;
        size_t at;
        while ((at = vz_bitset_next(matches, w->at)) < matches->bits) {
            w->at = (uint32_t)at + 1;
            if (at % sweep->slices != w->slice)
                continue;
            *part_at = w->at_part;
            *docno = (uint32_t)at;
            return true;
        }
    }
    return false;
}

static bool load(struct worker *w, size_t part_at, uint32_t docno, struct vz_sweep_doc *out,
                 struct vz_problem *problem)
{
    struct vz_sweep *sweep = w->sweep;
    struct vz_index *index = sweep->resolved.indices[part_at];
    struct vz_stored_doc doc;
    struct vz_error err = {0};
    struct vz_slice none = {NULL, 0};
    enum vz_doc_parts parts = sweep->kind == VZ_SWEEP_DELETE ? VZ_DOC_META : VZ_DOC_SOURCE;
    if (vz_snapshot_doc(sweep->run->parts[part_at].snap, docno, parts, &w->arena, &doc, &err) !=
        VZ_OK) {
        vz_problem_from(&w->arena, &err, VZ_AT_REQUEST, none, vz_index_name(index),
                        vz_index_uuid(index), problem);
        return false;
    }
    *out = (struct vz_sweep_doc){.index = vz_index_name(index),
                                 .id = doc.id,
                                 .source = parts == VZ_DOC_META ? none : doc.source,
                                 .version = doc.version,
                                 .seq_no = doc.seq_no,
                                 .has_seq_no = true};
    return true;
}

/* Up to a batch of documents, in the worker's arena. False with a problem. */
static bool read_batch(struct worker *w, struct vz_sweep_doc **docs, size_t *count,
                       struct vz_problem *problem)
{
    struct vz_sweep *sweep = w->sweep;
    size_t bytes = 0, part_at;
    uint32_t docno;
    *count = 0;
    if (sweep->remote) {
        uint64_t total = 0;
        if (!vz_remote_next(sweep->remote, &w->arena, docs, count, &total, problem))
            return false;
        vz_tasks_lock(sweep->call->rest->tasks);
        w->progress->total = (int64_t)VZ_MIN(total, sweep->max_docs);
        vz_tasks_unlock(sweep->call->rest->tasks);
        return true;
    }
    *docs = vz_arena_alloc(&w->arena, sweep->batch * sizeof **docs);
    while (*count < sweep->batch && bytes < MAX_BATCH_BYTES && next_match(w, &part_at, &docno)) {
        if (!load(w, part_at, docno, &(*docs)[*count], problem))
            return false;
        bytes += (*docs)[(*count)++].source.len;
    }
    return true;
}

static void filter_source(const struct vz_sweep *sweep, struct vz_arena *arena,
                          struct vz_slice *source)
{
    struct vz_buf text = {0};
    struct vz_json_writer w = vz_json_writer_on(&text);
    vz_source_print(&sweep->choice, *source, &w);
    *source = vz_arena_copy(arena, vz_buf_slice(&text));
    vz_buf_deinit(&text);
}

static void address(const struct vz_sweep *sweep, const struct vz_sweep_doc *doc,
                    struct vz_bulk_item *item)
{
    if (sweep->kind == VZ_SWEEP_REINDEX) {
        item->index = sweep->dest;
        item->verb = sweep->creates ? VZ_WRITE_CREATE : VZ_WRITE_INDEX;
        item->is_external = item->has_version = sweep->is_external;
        item->version_gte = sweep->version_gte;
        item->version = doc->version;
        return;
    }
    item->index = doc->index;
    item->no_create = true; /* it was there when this began */
    item->verb = sweep->kind == VZ_SWEEP_DELETE ? VZ_WRITE_DELETE : VZ_WRITE_INDEX;
    item->has_if_seq_no = doc->has_seq_no;
    item->if_seq_no = doc->seq_no;
    item->if_primary_term = 1;
}

/* *keep false: the script wants nothing written. */
static bool apply_script(struct worker *w, const struct vz_sweep_doc *doc,
                         struct vz_bulk_item *item, bool *keep, struct vz_problem *problem)
{
    struct vz_sweep *sweep = w->sweep;
    bool reindexes = sweep->kind == VZ_SWEEP_REINDEX;
    struct vz_ctx_doc ctx = {
        .index = item->index,
        .id = doc->id,
        .routing = doc->routing,
        .source = item->source,
        .version = sweep->with_version || sweep->is_external ? (int64_t)doc->version : -1};
    const int64_t version = ctx.version;
    if (!vz_ctx_script_run(sweep->script, reindexes ? VZ_CTX_REINDEX : VZ_CTX_BY_QUERY, &ctx,
                           &w->arena, problem))
        return false;
    *keep = ctx.op != VZ_CTX_NOOP;
    item->index = ctx.index;
    item->id = ctx.id.ptr ? ctx.id : (struct vz_slice){"", 0};
    item->has_id = ctx.id.ptr != NULL;
    item->source = ctx.source;
    if (ctx.version != version) { /* null: overwrite whatever is there; a number: this one */
        item->is_external = item->has_version = ctx.version != INT64_MIN;
        item->version = ctx.version != INT64_MIN ? (uint64_t)ctx.version : 0;
    }
    if (ctx.op == VZ_CTX_DELETE) {
        item->verb = VZ_WRITE_DELETE;
        item->is_external &= reindexes;
    }
    if (!item->has_id) /* a new id has no version to hold against */
        item->is_external = item->has_version = false;
    return true;
}

static bool add_doc(struct worker *w, struct vz_bulk *b, const struct vz_sweep_doc *doc,
                    uint64_t *noops, struct vz_problem *problem)
{
    struct vz_sweep *sweep = w->sweep;
    struct vz_bulk_item *item = vz_bulk_add(b);
    bool keep = true;
    struct vz_slice source = doc->source;
    item->id = doc->id;
    item->has_id = true;
    address(sweep, doc, item);
    if (sweep->has_choice)
        filter_source(sweep, &w->arena, &source);
    item->source = source;
    if (sweep->script && !apply_script(w, doc, item, &keep, problem))
        return false;
    if (sweep->kind == VZ_SWEEP_REINDEX && vz_slice_eq(item->index, sweep->dest))
        item->no_create = atomic_load_explicit(&sweep->run->dest_seen, memory_order_relaxed);
    if (!keep) {
        b->count--;
        (*noops)++;
        return true;
    }
    if (!sweep->script && sweep->kind != VZ_SWEEP_DELETE)
        item->source = vz_padded_copy(&w->arena, source);
    if (sweep->pipeline.ptr && item->verb != VZ_WRITE_DELETE)
        item->pipeline = vz_bulk_pipeline(b, sweep->pipeline);
    return true;
}

/* The request's arena outlives the batch's; run->lock guards it, too, while slices run. */
static void fail_locked(struct vz_sweep *sweep, const struct vz_bulk_item *item)
{
    struct vz_arena *arena = sweep->call->arena;
    struct failure *failure = vz_arena_zalloc(arena, sizeof *failure);
    failure->index = vz_arena_copy(arena, item->index);
    failure->id = vz_arena_copy(arena, item->id);
    vz_problem_copy(arena, item->problem, &failure->problem);
    *sweep->run->last_failure = failure;
    sweep->run->last_failure = &failure->next;
}

static void note_dest(struct vz_sweep *sweep, const struct vz_bulk_item *item)
{
    if (!item->problem && !item->dropped && sweep->kind == VZ_SWEEP_REINDEX &&
        vz_slice_eq(item->index, sweep->dest))
        atomic_store_explicit(&sweep->run->dest_seen, true, memory_order_relaxed);
}

/* What became of a batch; false when it ends the sweep. */
static bool settle(struct worker *w, const struct vz_bulk *b, uint64_t noops)
{
    struct vz_sweep *sweep = w->sweep;
    struct vz_progress sum = {.noops = (int64_t)noops};
    bool goes_on = true;
    for (size_t i = 0; i < b->count; i++) {
        const struct vz_bulk_item *item = &b->items[i];
        bool conflict = item->problem && item->problem->status == 409;
        note_dest(sweep, item);
        sum.conflicts += conflict;
        if (item->problem && !(conflict && sweep->proceed)) {
            goes_on = false;
            pthread_mutex_lock(&sweep->run->lock);
            fail_locked(sweep, item);
            pthread_mutex_unlock(&sweep->run->lock);
        } else if (item->problem) {
            continue;
        } else if (item->dropped) {
            sum.noops++;
        } else if (item->verb == VZ_WRITE_DELETE) {
            sum.deleted++;
        } else if (item->result == VZ_RESULT_CREATED) {
            sum.created++;
        } else {
            sum.updated++;
        }
    }
    vz_tasks_lock(sweep->call->rest->tasks);
    struct vz_progress *p = w->progress;
    p->batches++;
    p->noops += sum.noops;
    p->conflicts += sum.conflicts;
    p->deleted += sum.deleted;
    p->created += sum.created;
    p->updated += sum.updated;
    vz_tasks_unlock(sweep->call->rest->tasks);
    return goes_on;
}

static bool stopped(const struct worker *w)
{
    return atomic_load_explicit(&w->sweep->run->stopped, memory_order_relaxed) ||
           vz_task_cancelled(w->task);
}

/* False with a problem, or when the sweep ends; a batch of slow scripts is given up unwritten. */
static bool write_batch(struct worker *w, const struct vz_sweep_doc *docs, size_t count,
                        struct vz_problem *problem)
{
    struct vz_call call = *w->sweep->call;
    struct vz_bulk b;
    uint64_t noops = 0;
    bool ok = true;
    call.arena = &w->arena;
    call.problem = (struct vz_problem){0};
    vz_bulk_init(&b, &call);
    for (size_t i = 0; i < count && ok; i++)
        ok = !stopped(w) && add_doc(w, &b, &docs[i], &noops, problem);
    if (ok) {
        vz_bulk_apply(&b);
        ok = settle(w, &b, noops);
    }
    vz_bulk_deinit(&b);
    return ok;
}

/* ---- slices ---------------------------------------------------------------------------------- */

static void stop_with(struct vz_sweep *sweep, const struct vz_problem *problem)
{
    pthread_mutex_lock(&sweep->run->lock);
    if (problem->status && !sweep->run->problem.status)
        vz_problem_copy(sweep->call->arena, problem, &sweep->run->problem);
    pthread_mutex_unlock(&sweep->run->lock);
    atomic_store_explicit(&sweep->run->stopped, true, memory_order_relaxed);
}

/* True while there is another batch. */
static bool run_batch(struct worker *w, uint64_t *done, uint64_t *start_ns, size_t *count)
{
    struct vz_sweep *sweep = w->sweep;
    struct vz_problem problem = {0};
    struct vz_sweep_doc *docs = NULL;
    vz_arena_reset(&w->arena);
    /* Another server is asked without a place: it may take its time. */
    bool aside = sweep->remote != NULL;
    if (!aside)
        vz_rest_place_take(sweep->call->rest);
    *start_ns = vz_now_ns();
    bool ok = read_batch(w, &docs, count, &problem);
    if (aside)
        vz_rest_place_take(sweep->call->rest);
    *count = (size_t)VZ_MIN(*count, sweep->max_docs - *done);
    if (ok && *count)
        ok = write_batch(w, docs, *count, &problem);
    vz_rest_place_leave(sweep->call->rest);
    *done += *count;
    if (!ok)
        stop_with(sweep, &problem);
    return ok && *count && *done < sweep->max_docs;
}

static bool has_more(struct worker *w)
{
    size_t at_part = w->at_part, part;
    uint32_t at = w->at, docno;
    bool more = w->sweep->remote || next_match(w, &part, &docno);
    w->at_part = at_part;
    w->at = at;
    return more;
}

static void run_slice(struct vz_sweep *sweep, unsigned slice, struct vz_running *task)
{
    struct worker w = {
        .sweep = sweep, .progress = &sweep->run->progress[slice], .task = task, .slice = slice};
    uint64_t done = 0, start_ns = 0;
    size_t count = 0;
    while (!stopped(&w) && has_more(&w) && run_batch(&w, &done, &start_ns, &count) && has_more(&w))
        vz_task_throttle(sweep->call->rest->tasks, task, w.progress, start_ns, count);
    vz_tasks_lock(sweep->call->rest->tasks);
    w.progress->done = true;
    vz_tasks_unlock(sweep->call->rest->tasks);
    vz_arena_deinit(&w.arena);
}

/* Each slice is a child of the request's task. */
static void *run_slices(void *sweep_void)
{
    struct vz_sweep *sweep = sweep_void;
    struct vz_tasks *tasks = sweep->call->rest->tasks;
    for (;;) {
        pthread_mutex_lock(&sweep->run->lock);
        unsigned slice = sweep->run->next_slice++;
        pthread_mutex_unlock(&sweep->run->lock);
        if (slice >= sweep->slices)
            return NULL;
        const struct vz_running *parent = sweep->call->task;
        struct vz_running task = {.action = parent->action,
                                  .parent = parent->number,
                                  .description = parent->description,
                                  .opaque_id = parent->opaque_id,
                                  .cancellable = true,
                                  .progress = &sweep->run->progress[slice],
                                  .progress_count = 1};
        vz_task_begin(tasks, &task);
        run_slice(sweep, slice, &task);
        vz_task_end(tasks, &task);
    }
}

static void run_side_by_side(struct vz_sweep *sweep)
{
    pthread_t threads[MAX_THREADS];
    /* Not by the number of processors: a throttled slice waits most of the time, and would keep the
     * next one from beginning. */
    unsigned started = 0, wanted = VZ_MIN(sweep->slices, MAX_THREADS);
    while (started + 1 < wanted && pthread_create(&threads[started], NULL, run_slices, sweep) == 0)
        started++;
    run_slices(sweep);
    for (unsigned i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void refresh(struct vz_sweep *sweep)
{
    struct vz_call *call = sweep->call;
    struct vz_error err = {0};
    struct vz_problem problem = {0};
    if (sweep->kind != VZ_SWEEP_REINDEX) {
        for (size_t i = 0; i < sweep->resolved.count; i++)
            if (vz_index_refresh(sweep->resolved.indices[i], &err) != VZ_OK)
                vz_call_fail_index(call, &err, VZ_AT_REQUEST, sweep->resolved.indices[i]);
        return;
    }
    struct vz_index *index =
        vz_resolve_write(call->store, call->arena, sweep->dest, false, false, &problem);
    if (!index)
        return; /* nothing was written there */
    if (vz_index_refresh(index, &err) != VZ_OK)
        vz_call_fail_index(call, &err, VZ_AT_REQUEST, index);
    vz_index_release(index);
}

static void answer(struct vz_sweep *sweep)
{
    struct vz_call *call = sweep->call;
    struct vz_json_writer *w = &call->w;
    int status = 200;
    vz_json_begin_object(w);
    vz_json_field_int(w, "took", vz_call_took_ms(call));
    vz_json_field_bool(w, "timed_out", false);
    /* Behind an answer everything is told, as Elasticsearch keeps it. */
    bool all = !vz_call_bool(call, "wait_for_completion", true);
    vz_task_print_progress(call->rest->tasks, call->task, all || sweep->kind == VZ_SWEEP_REINDEX,
                           all || sweep->kind != VZ_SWEEP_DELETE, w);
    vz_json_key(w, "failures");
    vz_json_begin_array(w);
    for (const struct failure *f = sweep->run->failures; f; f = f->next) {
        vz_json_begin_object(w);
        vz_json_field_string(w, "index", f->index);
        vz_json_field_string(w, "id", f->id);
        vz_json_key(w, "cause");
        vz_problem_print(&f->problem, w);
        vz_json_field_int(w, "status", f->problem.status);
        vz_json_end_object(w);
        status = VZ_MAX(status, f->problem.status);
    }
    vz_json_end_array(w);
    vz_json_end_object(w);
    call->response->status = status;
}

static void begin(struct vz_sweep *sweep, struct vz_sweep_run *run)
{
    struct vz_call *call = sweep->call;
    pthread_mutex_init(&run->lock, NULL);
    run->last_failure = &run->failures;
    run->parts = vz_arena_zalloc(call->arena, (sweep->resolved.count + 1) * sizeof *run->parts);
    run->progress = vz_arena_zalloc(call->arena, sweep->slices * sizeof *run->progress);
    sweep->run = run;
    vz_tasks_lock(call->rest->tasks);
    if (call->task->is_rethrottled)
        sweep->per_second = call->task->rethrottled;
    for (unsigned i = 0; i < sweep->slices; i++) {
        run->progress[i].slice = sweep->is_sliced ? (int)i : -1;
        run->progress[i].per_second = sweep->per_second / sweep->slices;
    }
    call->task->progress = run->progress;
    call->task->progress_count = sweep->slices;
    call->task->is_sliced = sweep->is_sliced;
    vz_tasks_unlock(call->rest->tasks);
}

void vz_sweep_run(struct vz_sweep *sweep)
{
    struct vz_call *call = sweep->call;
    struct vz_sweep_run run = {0};
    begin(sweep, &run);
    vz_rest_place_take(call->rest);
    bool ok = mark_matches(sweep);
    vz_rest_place_leave(call->rest);
    if (ok && sweep->slices > 1)
        run_side_by_side(sweep);
    else if (ok)
        run_slice(sweep, 0, call->task);
    if (run.problem.status && !call->problem.status)
        call->problem = run.problem;
    if (ok && sweep->refresh && !call->problem.status)
        refresh(sweep);
    if (!call->problem.status)
        answer(sweep);
    for (size_t i = 0; i < sweep->resolved.count; i++) {
        vz_bitset_deinit(&run.parts[i].matches);
        if (run.parts[i].snap)
            vz_snapshot_release(run.parts[i].snap);
    }
    pthread_mutex_destroy(&run.lock);
    sweep->run = NULL;
}
