/* Pipelines and models between reading a write request and grouping it by index; see ingest.h.
 *
 * The items of a request are cut into slices of SLICE documents. The request's thread and workers
 * of rest->ingest_pool take slices until there are none; within a slice every pipeline and model
 * sees all its documents at once. The request waits for workers that have begun, not for those that
 * still run other requests: they find the crew disbanded when they come.
 *
 * Locks: work->mutex guards the plans (what an index wants done) and work->arena; it is held for
 * lookups of an index's settings, never while a pipeline runs. crew->mutex guards the crew. Neither
 * is taken under the other. */
#include "rest/semantic.h"
#include "store/templates.h"

#include <stdlib.h>

#define SLICE 32
#define MAX_HELPERS 16
#define QUEUE 256
#define MAX_NEW_BYTES ((size_t)1 << 30) /* of all documents of a request */
#define PADDING 64
#define MAX_ID 512

/* What one index (or alias, or name of none yet) wants done. */
struct plan {
    struct vz_slice name;
    bool require_alias;
    struct vz_slice default_name, final_name; /* empty: none */
    struct vz_ingest_vector *vectors;
    size_t vector_count;
    struct vz_ingest_semantic *semantics;
    size_t semantic_count;
    uint64_t seen;         /* vz_mapping_semantics of the mapping that this was made from */
    enum vz_status status; /* of what could not be planned: its documents fail with it */
    struct vz_error error;
    struct plan *next;
};

struct slice {
    struct vz_buf text;    /* the new documents, one behind the other, each padded */
    struct vz_arena arena; /* ids, names, marks, problems */
};

struct vz_ingest_work {
    struct vz_call *call;
    pthread_mutex_t mutex;
    pthread_cond_t done;
    struct vz_arena arena;    /* plans */
    struct vz_strmap plan_of; /* name to struct plan */
    struct plan *plans;
    struct plan *last; /* the one found last: names come in runs */
    unsigned helpers;         /* pushed and not finished */
    struct vz_ingest_item *items;
    size_t count;
    struct slice *slices;
    size_t slice_count;
    atomic_size_t next;      /* relaxed: slices are apart; the crew's mutex orders their ends */
    atomic_size_t new_bytes; /* relaxed: a limit */
};

struct vz_ingest_work *vz_ingest_work_new(struct vz_call *call)
{
    struct vz_ingest_work *work = vz_calloc(1, sizeof *work);
    work->call = call;
    pthread_mutex_init(&work->mutex, NULL);
    return work;
}

void vz_ingest_work_free(struct vz_ingest_work *work)
{
    if (!work)
        return;
    for (size_t i = 0; i < work->slice_count; i++) {
        vz_buf_deinit(&work->slices[i].text);
        vz_arena_deinit(&work->slices[i].arena);
    }
    free(work->slices);
    for (struct plan *plan = work->plans; plan; plan = plan->next)
        vz_semantic_plan_deinit(plan->semantics, plan->semantic_count);
    vz_strmap_deinit(&work->plan_of);
    vz_arena_deinit(&work->arena);
    pthread_mutex_destroy(&work->mutex);
    free(work);
}

/* ---- plans ----------------------------------------------------------------------------------- */

static void plan_vectors(struct vz_ingest_work *work, struct plan *plan, struct vz_index *index)
{
    struct vz_mapping *mapping = vz_index_mapping(index);
    size_t count = vz_mapping_count(mapping), found = 0;
    for (size_t i = 0; i < count; i++) {
        const struct vz_field *field = vz_mapping_field(mapping, (uint16_t)i);
        found += field->type == VZ_FIELD_DENSE_VECTOR && field->model.len && !vz_field_is_hidden(field);
    }
    plan->vectors = found ? vz_arena_alloc(&work->arena, found * sizeof *plan->vectors) : NULL;
    for (size_t i = 0; found && i < count; i++) {
        const struct vz_field *field = vz_mapping_field(mapping, (uint16_t)i);
        if (field->type != VZ_FIELD_DENSE_VECTOR || !field->model.len || vz_field_is_hidden(field))
            continue;
        plan->vectors[plan->vector_count++] = (struct vz_ingest_vector){
            vz_arena_copy(&work->arena, field->path), vz_arena_copy(&work->arena, field->model),
            vz_arena_copy(&work->arena, field->model_digest)};
    }
    vz_mapping_release(mapping);
}

static void plan_semantics(struct vz_ingest_work *work, struct plan *plan,
                           const struct vz_mapping *mapping)
{
    plan->seen = vz_mapping_semantics(mapping);
    plan->status = vz_semantic_plan(work->call->rest, mapping, &work->arena, &plan->semantics,
                                    &plan->semantic_count, &plan->error);
}

/* An index that the write will make has the fields of its templates. */
static void plan_templates(struct vz_ingest_work *work, struct plan *plan)
{
    struct vz_composed composed;
    struct vz_json_doc *doc;
    struct vz_json root;
    struct vz_mapping *mapping = NULL;
    bool any = false;
    if (vz_templates_apply(work->call->store, plan->name, (struct vz_json){0}, &composed, &any,
                           NULL) != VZ_OK)
        return;
    if (any && memmem(composed.mappings.data, composed.mappings.len, "\"semantic", 9) &&
        vz_json_parse(vz_buf_slice(&composed.mappings), &doc, &root, NULL) == VZ_OK) {
        if (vz_mapping_merge(NULL, root, &mapping, NULL) == VZ_OK)
            plan_semantics(work, plan, mapping);
        vz_mapping_release(mapping);
        vz_json_free(doc);
    }
    vz_composed_deinit(&composed);
}

static struct vz_slice pipeline_name(struct vz_slice setting)
{
    return vz_slice_is(setting, "_none") ? (struct vz_slice){NULL, 0} : setting;
}

/* An index that the write will make has the pipelines of its templates. */
static struct vz_slice template_setting(struct vz_ingest_work *work, struct vz_slice name,
                                        const char *key)
{
    struct vz_buf value = {0};
    struct vz_slice copy = {NULL, 0};
    if (vz_templates_setting(work->call->store, name, key, &value))
        copy = vz_arena_copy(&work->arena, vz_buf_slice(&value));
    vz_buf_deinit(&value);
    return copy;
}

static struct plan *find_plan_locked(struct vz_ingest_work *work, struct vz_slice name,
                                     bool require_alias)
{
    uint64_t found;
    if (work->last && work->last->require_alias == require_alias &&
        vz_slice_eq(work->last->name, name))
        return work->last;
    struct vz_buf key = {0};
    vz_buf_append_char(&key, require_alias ? '1' : '0');
    vz_buf_append_slice(&key, name);
    if (vz_strmap_get(&work->plan_of, vz_buf_slice(&key), &found)) {
        vz_buf_deinit(&key);
        return work->last = (struct plan *)(uintptr_t)found;
    }
    struct plan *plan = work->last = vz_arena_zalloc(&work->arena, sizeof *plan);
    plan->next = work->plans;
    work->plans = plan;
    struct vz_problem problem = {0};
    vz_strmap_put(&work->plan_of, vz_buf_slice(&key), (uint64_t)(uintptr_t)plan);
    vz_buf_deinit(&key);
    plan->name = vz_arena_copy(&work->arena, name);
    plan->require_alias = require_alias;
    struct vz_index *index =
        vz_resolve_write(work->call->store, &work->arena, name, false, require_alias, &problem);
    if (!index) { /* what that means is said when the write comes to it */
        if (!require_alias && problem.status == 404) {
            plan->default_name =
                pipeline_name(template_setting(work, name, "index.default_pipeline"));
            plan->final_name = pipeline_name(template_setting(work, name, "index.final_pipeline"));
            plan_templates(work, plan);
        }
        return plan;
    }
    vz_ingest_settings(index, &work->arena, &plan->default_name, &plan->final_name);
    plan->default_name = pipeline_name(plan->default_name);
    plan->final_name = pipeline_name(plan->final_name);
    plan_vectors(work, plan, index);
    struct vz_mapping *mapping = vz_index_mapping(index);
    plan_semantics(work, plan, mapping);
    vz_mapping_release(mapping);
    vz_index_release(index);
    return plan;
}

static const struct plan *find_plan(struct vz_ingest_work *work, struct vz_slice name,
                                    bool require_alias)
{
    pthread_mutex_lock(&work->mutex);
    const struct plan *plan = find_plan_locked(work, name, require_alias);
    pthread_mutex_unlock(&work->mutex);
    return plan;
}

const uint64_t *vz_ingest_work_semantics(struct vz_ingest_work *work, struct vz_slice name,
                                         bool require_alias)
{
    return work ? &find_plan(work, name, require_alias)->seen : NULL;
}

bool vz_ingest_work_needs(struct vz_ingest_work *work, const struct vz_ingest_item *item)
{
    if (item->verb == VZ_WRITE_DELETE)
        return false;
    /* Only the request's own thread is here: nothing runs yet. */
    const struct plan *plan = find_plan_locked(work, item->index, item->require_alias);
    bool named = item->pipeline.ptr && !vz_slice_is(item->pipeline, "_none");
    return named || (plan->default_name.len && !item->pipeline.ptr) || plan->final_name.len ||
           plan->semantic_count || plan->status != VZ_OK ||
           (plan->vector_count &&
            vz_ingest_may_embed(plan->vectors, plan->vector_count, item->source));
}

/* ---- one document ---------------------------------------------------------------------------- */

struct job {
    struct vz_ingest_item *item;
    struct vz_arena arena;
    struct vz_ingest_doc doc;
    struct vz_value *body; /* of an update: {"doc", "upsert", ...}; the document is within */
    struct vz_value *twin; /* the other of "doc" and "upsert" */
    const struct plan *plan;
    bool skipped;             /* the store judges it as it is */
    bool runs;                /* pipelines run on it */
    struct vz_slice pipeline; /* the next one to run; empty: none */
};

/* An update's document for pipelines is what would be created: "doc" with doc_as_upsert, else
 * "upsert". Models see both. */
static struct vz_value *updated_document(struct job *job)
{
    struct vz_value *doc = vz_value_get(job->body, VZ_SLICE("doc")),
                    *upsert = vz_value_get(job->body, VZ_SLICE("upsert")),
                    *as_upsert = vz_value_get(job->body, VZ_SLICE("doc_as_upsert"));
    bool whole = as_upsert && as_upsert->type == VZ_VALUE_BOOL && as_upsert->boolean;
    bool has_upsert = upsert && upsert->type == VZ_VALUE_OBJECT;
    bool has_doc = doc && doc->type == VZ_VALUE_OBJECT;
    if (whole || !has_upsert) {
        job->runs = whole;
        return has_doc ? doc : NULL;
    }
    job->twin = has_doc ? doc : NULL;
    return upsert;
}

static void read_source(struct job *job)
{
    struct vz_ingest_item *item = job->item;
    struct vz_json_doc *parsed;
    struct vz_json root;
    struct vz_slice twice;
    job->skipped = true;
    job->runs = true;
    if (vz_json_parse_padded(item->source, &parsed, &root, NULL) != VZ_OK)
        return; /* the store words it better */
    if (vz_json_type(root) == VZ_JSON_OBJECT && !vz_json_find_duplicate(root, &twice)) {
        struct vz_value *document = job->body = vz_value_from(&job->arena, root);
        if (item->verb == VZ_WRITE_UPDATE)
            document = updated_document(job);
        else
            job->body = NULL;
        const struct vz_ingest_meta meta = {
            .index = item->index, .id = item->id, .routing = item->routing};
        if (document) {
            job->skipped = false;
            vz_ingest_doc_init(&job->doc, &job->arena, document, &meta);
        }
    }
    vz_json_free(parsed);
}

static struct vz_slice ctx_index(struct job *job)
{
    const struct vz_value *value = vz_value_get(job->doc.ctx, VZ_SLICE("_index"));
    return value && value->type == VZ_VALUE_STRING ? value->string : job->item->index;
}

static bool alive(const struct job *job)
{
    return !job->skipped && job->doc.status == VZ_OK && !job->doc.dropped;
}

/* Runs each job's next pipeline; those with the same together. */
static void run_pipelines(struct vz_ingest_work *work, struct job *jobs, size_t count)
{
    struct vz_ingest_doc *docs[SLICE];
    for (size_t i = 0; i < count; i++) {
        struct vz_slice name = jobs[i].pipeline;
        size_t group = 0;
        if (!name.len)
            continue;
        struct vz_pipeline *pipeline = vz_ingest_get(work->call->rest->ingest, name);
        for (size_t k = i; k < count; k++) {
            struct job *job = &jobs[k];
            if (!job->pipeline.len || !vz_slice_eq(job->pipeline, name))
                continue;
            job->pipeline.len = 0;
            if (!alive(job))
                continue;
            if (pipeline)
                docs[group++] = &job->doc;
            else
                job->doc.status = vz_fail(&job->doc.error, VZ_BAD_ARGUMENT,
                                          "pipeline with id [%.*s] does not exist", VZ_S(name));
        }
        if (group)
            vz_pipeline_apply(pipeline, docs, group, NULL);
        vz_pipeline_release(pipeline);
    }
}

static void run_first(struct vz_ingest_work *work, struct job *jobs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct job *job = &jobs[i];
        if (!alive(job) || !job->runs)
            continue;
        job->pipeline =
            job->item->pipeline.ptr ? pipeline_name(job->item->pipeline) : job->plan->default_name;
    }
    run_pipelines(work, jobs, count);
}

/* The final pipeline of the index that the document goes to now. */
static void run_final(struct vz_ingest_work *work, struct job *jobs, size_t count)
{
    struct vz_slice before[SLICE];
    for (size_t i = 0; i < count; i++) {
        struct job *job = &jobs[i];
        if (!alive(job))
            continue;
        before[i] = ctx_index(job);
        if (!vz_slice_eq(before[i], job->plan->name))
            job->plan = find_plan(work, before[i], job->item->require_alias);
        if (job->runs)
            job->pipeline = job->plan->final_name;
    }
    run_pipelines(work, jobs, count);
    for (size_t i = 0; i < count; i++) {
        struct job *job = &jobs[i];
        if (alive(job) && !vz_slice_eq(ctx_index(job), before[i]))
            job->doc.status =
                vz_fail(&job->doc.error, VZ_BAD_ARGUMENT,
                        "final pipeline [%.*s] can't change the target index (from [%.*s] to "
                        "[%.*s]) for document [%.*s]",
                        VZ_S(job->plan->final_name), VZ_S(before[i]), VZ_S(ctx_index(job)),
                        VZ_S(job->item->id));
    }
}

/* The documents of the jobs that have the same plan as jobs[first]; an update's other document too.
 * docs, twins and twin_of have room for 2, 1 and 1 of each job. */
struct group {
    struct vz_ingest_doc *docs[SLICE * 2], twins[SLICE];
    struct job *twin_of[SLICE];
    bool is_update[SLICE * 2];
    size_t count, twin_count;
};

static void gather_group(struct group *g, struct job *jobs, size_t first, size_t count, bool *seen)
{
    g->count = g->twin_count = 0;
    for (size_t k = first; k < count; k++) {
        struct job *job = &jobs[k];
        if (job->plan != jobs[first].plan)
            continue;
        seen[k] = true;
        if (!alive(job))
            continue;
        g->is_update[g->count] = job->body && vz_value_get(job->body, VZ_SLICE("doc")) &&
                                 job->doc.ctx == vz_value_get(job->body, VZ_SLICE("doc"));
        g->docs[g->count++] = &job->doc;
        if (job->twin) {
            const struct vz_ingest_meta none = {0};
            vz_ingest_doc_init(&g->twins[g->twin_count], &job->arena, job->twin, &none);
            g->twin_of[g->twin_count] = job;
            g->is_update[g->count] = true; /* the twin is what the newest document gets */
            g->docs[g->count++] = &g->twins[g->twin_count++];
        }
    }
}

static void settle_twins(struct group *g)
{
    for (size_t t = 0; t < g->twin_count; t++) {
        struct job *job = g->twin_of[t];
        if (g->twins[t].status != VZ_OK && job->doc.status == VZ_OK) {
            job->doc.error = g->twins[t].error;
            job->doc.status = g->twins[t].status;
        }
        if (!job->doc.marks)
            job->doc.marks = g->twins[t].marks;
    }
}

static void run_models(struct vz_ingest_work *work, struct job *jobs, size_t count)
{
    struct group *g = vz_alloc(sizeof *g);
    bool seen[SLICE] = {false};
    for (size_t i = 0; i < count; i++) {
        const struct plan *plan = jobs[i].plan;
        if (seen[i] || (!plan->vector_count && !plan->semantic_count && plan->status == VZ_OK))
            continue;
        gather_group(g, jobs, i, count, seen);
        for (size_t k = 0; plan->status != VZ_OK && k < g->count; k++) {
            g->docs[k]->status = plan->status;
            g->docs[k]->error = plan->error;
        }
        if (plan->vector_count)
            vz_ingest_embed(work->call->rest->ingest, plan->vectors, plan->vector_count, g->docs,
                            g->count);
        if (plan->semantic_count)
            vz_ingest_semantic(work->call->rest->ingest, plan->semantics, plan->semantic_count,
                               g->docs, g->is_update, g->count);
        settle_twins(g);
    }
    free(g);
}

/* ---- results --------------------------------------------------------------------------------- */

static void keep_marks(struct slice *slice, struct job *job)
{
    for (const struct vz_ingest_mark *mark = job->doc.marks; mark; mark = mark->next) {
        struct vz_ingest_mark *copy = vz_arena_alloc(&slice->arena, sizeof *copy);
        *copy = *mark;
        copy->path = vz_arena_copy(&slice->arena, mark->path);
        copy->model = vz_arena_copy(&slice->arena, mark->model);
        copy->next = job->item->marks;
        job->item->marks = copy;
    }
}

static void fail_item(struct slice *slice, struct job *job)
{
    struct vz_problem *problem = vz_arena_alloc(&slice->arena, sizeof *problem);
    vz_ingest_problem(&slice->arena, &job->doc.error, job->doc.kind, problem);
    job->item->problem = problem;
}

/* The text's place is an offset until the slice is done: the buffer moves while it grows. */
static size_t finish(struct vz_ingest_work *work, struct slice *slice, struct job *job)
{
    struct vz_ingest_item *item = job->item;
    size_t start = slice->text.len;
    if (job->skipped)
        return start;
    item->dropped = job->doc.status == VZ_OK && job->doc.dropped;
    if (item->dropped)
        return start;
    if (job->doc.status == VZ_OK)
        vz_ingest_doc_finish(&job->doc);
    if (job->doc.status != VZ_OK) {
        fail_item(slice, job);
        return start;
    }
    const struct vz_ingest_meta *meta = &job->doc.meta;
    if (meta->id.len > MAX_ID || !meta->index.len) {
        job->doc.status = vz_fail(&job->doc.error, VZ_BAD_ARGUMENT,
                                  meta->index.len ? "id is too long, must be no longer than 512 "
                                                    "bytes but was: %zu"
                                                  : "a pipeline took the index's name away",
                                  meta->id.len);
        fail_item(slice, job);
        return start;
    }
    /* An update goes to the document that it names. */
    bool moves = item->verb != VZ_WRITE_UPDATE;
    if (moves && !vz_slice_eq(meta->index, item->index))
        item->index = vz_arena_copy(&slice->arena, meta->index);
    if (moves && !vz_slice_eq(meta->id, item->id))
        item->id = vz_arena_copy(&slice->arena, meta->id);
    vz_value_print(job->body ? job->body : job->doc.ctx, &slice->text);
    size_t len = slice->text.len - start;
    vz_buf_append(&slice->text, "                                                                ",
                  PADDING);
    item->source = (struct vz_slice){NULL, len};
    keep_marks(slice, job);
    if (atomic_fetch_add_explicit(&work->new_bytes, len, memory_order_relaxed) > MAX_NEW_BYTES) {
        job->doc.status = vz_fail(&job->doc.error, VZ_BUDGET,
                                  "[request] Data too large: the pipelines of one request may make "
                                  "[%zu] bytes",
                                  MAX_NEW_BYTES);
        fail_item(slice, job);
    }
    return start;
}

static void run_slice(struct vz_ingest_work *work, size_t at)
{
    struct slice *slice = &work->slices[at];
    size_t first = at * SLICE, count = VZ_MIN(work->count - first, SLICE), starts[SLICE];
    struct job *jobs = vz_calloc(count, sizeof *jobs);
    for (size_t i = 0; i < count; i++) {
        jobs[i].item = &work->items[first + i];
        jobs[i].plan = find_plan(work, jobs[i].item->index, jobs[i].item->require_alias);
        read_source(&jobs[i]);
    }
    run_first(work, jobs, count);
    run_final(work, jobs, count);
    run_models(work, jobs, count);
    for (size_t i = 0; i < count; i++) {
        starts[i] = finish(work, slice, &jobs[i]);
        vz_arena_deinit(&jobs[i].arena);
    }
    for (size_t i = 0; i < count; i++)
        if (!jobs[i].item->source.ptr)
            jobs[i].item->source.ptr = slice->text.data + starts[i];
    free(jobs);
}

/* ---- all of them ----------------------------------------------------------------------------- */

static void run_slices(struct vz_ingest_work *work)
{
    size_t at;
    while ((at = atomic_fetch_add_explicit(&work->next, 1, memory_order_relaxed)) <
           work->slice_count)
        run_slice(work, at);
}

/* The workers that a request asked for; outlives it until the last of them has come. */
struct crew {
    pthread_mutex_t mutex;
    pthread_cond_t left;
    struct vz_ingest_work *work; /* NULL: disbanded */
    unsigned running, references;
};

static void crew_release(struct crew *crew)
{
    pthread_mutex_lock(&crew->mutex);
    bool last = --crew->references == 0;
    pthread_mutex_unlock(&crew->mutex);
    if (!last)
        return;
    pthread_cond_destroy(&crew->left);
    pthread_mutex_destroy(&crew->mutex);
    free(crew);
}

static void help(void *context)
{
    struct crew *crew = context;
    pthread_mutex_lock(&crew->mutex);
    struct vz_ingest_work *work = crew->work;
    crew->running += work != NULL;
    pthread_mutex_unlock(&crew->mutex);
    if (work) {
        run_slices(work);
        pthread_mutex_lock(&crew->mutex);
        crew->running--;
        pthread_cond_signal(&crew->left);
        pthread_mutex_unlock(&crew->mutex);
    }
    crew_release(crew);
}

/* Made when the first request needs it. */
static struct vz_pool *pool_of(struct vz_rest *rest)
{
    pthread_mutex_lock(&rest->ingest_mutex);
    if (!rest->ingest_pool)
        rest->ingest_pool = vz_pool_new("ingest", vz_cpu_count(), QUEUE);
    struct vz_pool *pool = rest->ingest_pool;
    pthread_mutex_unlock(&rest->ingest_mutex);
    return pool;
}

static struct crew *hire(struct vz_ingest_work *work)
{
    struct vz_pool *pool = pool_of(work->call->rest);
    struct crew *crew = vz_calloc(1, sizeof *crew);
    size_t wanted = VZ_MIN(VZ_MIN(vz_cpu_count(), MAX_HELPERS), work->slice_count) - 1;
    pthread_mutex_init(&crew->mutex, NULL);
    pthread_cond_init(&crew->left, NULL);
    crew->work = work;
    crew->references = 1;
    for (size_t i = 0; i < wanted; i++) {
        pthread_mutex_lock(&crew->mutex);
        crew->references++;
        pthread_mutex_unlock(&crew->mutex);
        if (vz_pool_push(pool, help, crew) != VZ_OK) {
            crew_release(crew); /* the queue is full: this thread does it all */
            break;
        }
    }
    return crew;
}

static void disband(struct crew *crew)
{
    pthread_mutex_lock(&crew->mutex);
    crew->work = NULL;
    while (crew->running)
        pthread_cond_wait(&crew->left, &crew->mutex);
    pthread_mutex_unlock(&crew->mutex);
    crew_release(crew);
}

void vz_ingest_work_run(struct vz_ingest_work *work, struct vz_ingest_item *items, size_t count)
{
    work->items = items;
    work->count = count;
    work->slice_count = (count + SLICE - 1) / SLICE;
    work->slices = vz_calloc(work->slice_count + 1, sizeof *work->slices);
    struct crew *crew = work->slice_count > 1 ? hire(work) : NULL;
    run_slices(work);
    if (crew)
        disband(crew);
}
