/* Running: documents through processors, many at a time.
 *
 * A list of processors runs on a group of documents processor by processor. For documents, which
 * know nothing of one another, that is the same as one after the other; for a model it means that
 * it sees the inputs of the whole group at once. A document that fails or is dropped leaves the
 * group; what has an on_failure gets it run on those documents alone, and if that succeeds they
 * come back.
 *
 * Invariants:
 * 1. a document's status is VZ_OK while it is in a group;
 * 2. a kind's run or run_many leaves every document it was given with an outcome in it;
 * 3. doc->frame names the pipelines around what runs now, innermost first. */
#include "ingest/parts.h"

#include <stdlib.h>

#define MAX_VALUES 5000000
#define STEPS_A_CHECK 256

/* ---- documents ------------------------------------------------------------------------------- */

static void put_text(struct vz_ingest_doc *doc, const char *name, struct vz_slice text)
{
    if (text.ptr && text.len)
        vz_value_put(doc->ctx, vz_slice_from(name), vz_value_string(doc->arena, text));
}

void vz_ingest_doc_init(struct vz_ingest_doc *doc, struct vz_arena *arena, struct vz_value *source,
                        const struct vz_ingest_meta *meta)
{
    char now[32];
    *doc = (struct vz_ingest_doc){.arena = arena,
                                  .ctx = source,
                                  .meta = *meta,
                                  .error = {.offset = VZ_NO_OFFSET},
                                  .bytes_before = arena->total_bytes};
    doc->ingest = vz_value_object(arena);
    vz_format_iso_ms(vz_wall_ms(), now, sizeof now);
    vz_value_put(doc->ingest, VZ_SLICE("timestamp"), vz_value_string(arena, vz_slice_from(now)));
    put_text(doc, "_index", meta->index);
    put_text(doc, "_id", meta->id);
    put_text(doc, "_routing", meta->routing);
    put_text(doc, "_version_type", meta->version_type);
    if (meta->has_version)
        vz_value_put(doc->ctx, VZ_SLICE("_version"), vz_value_int(arena, meta->version));
}

static enum vz_status take_text(struct vz_ingest_doc *doc, const char *name, struct vz_slice *text)
{
    struct vz_value *value = vz_value_remove(doc->ctx, vz_slice_from(name));
    *text = (struct vz_slice){NULL, 0};
    if (!value || value->type == VZ_VALUE_NULL)
        return VZ_OK;
    if (value->type != VZ_VALUE_STRING)
        return vz_fail(&doc->error, VZ_BAD_ARGUMENT, "%s must be null or a String but was [%s]",
                       name, vz_java_type(value));
    *text = value->string;
    return VZ_OK;
}

enum vz_status vz_ingest_doc_finish(struct vz_ingest_doc *doc)
{
    struct vz_ingest_meta *meta = &doc->meta;
    enum vz_status status = vz_doc_check(doc, &doc->error);
    if (status == VZ_OK)
        status = take_text(doc, "_index", &meta->index);
    if (status == VZ_OK)
        status = take_text(doc, "_id", &meta->id);
    if (status == VZ_OK)
        status = take_text(doc, "_routing", &meta->routing);
    if (status == VZ_OK)
        status = take_text(doc, "_version_type", &meta->version_type);
    struct vz_value *version = vz_value_remove(doc->ctx, VZ_SLICE("_version"));
    if (status == VZ_OK && version) {
        meta->has_version = version->type == VZ_VALUE_INT;
        meta->version = meta->has_version ? version->integer : 0;
        if (!meta->has_version && version->type != VZ_VALUE_NULL)
            status = vz_fail(&doc->error, VZ_BAD_ARGUMENT,
                             "_version may only be set to an int or a long but was [%s]",
                             vz_java_type(version));
    }
    /* What the store would not take from a client either. */
    vz_value_remove(doc->ctx, VZ_SLICE("_if_seq_no"));
    vz_value_remove(doc->ctx, VZ_SLICE("_if_primary_term"));
    return doc->status = status;
}

enum vz_status vz_doc_check(const struct vz_ingest_doc *doc, struct vz_error *err)
{
    /* One level less than the writer's: an empty innermost one is not counted here. */
    if (vz_value_within(doc->ctx, VZ_JSON_MAX_DEPTH - 1, MAX_VALUES) &&
        vz_value_within(doc->ingest, VZ_JSON_MAX_DEPTH - 1, MAX_VALUES))
        return VZ_OK;
    return vz_fail(err, VZ_LIMIT,
                   "the document holds itself, is nested deeper than [%d] levels, or has more than "
                   "[%d] values",
                   VZ_JSON_MAX_DEPTH - 1, MAX_VALUES);
}

static bool is_meta(struct vz_slice key)
{
    static const char *const names[] = {
        "_index", "_id", "_routing", "_version", "_version_type", "_if_seq_no", "_if_primary_term"};
    for (size_t i = 0; i < VZ_COUNT_OF(names); i++)
        if (vz_slice_is(key, names[i]))
            return true;
    return false;
}

static void print_meta(const struct vz_ingest_doc *doc, const char *name, struct vz_json_writer *w)
{
    const struct vz_value *value = vz_value_get(doc->ctx, vz_slice_from(name));
    struct vz_buf text = {0};
    if (!value || value->type == VZ_VALUE_NULL)
        return;
    vz_value_display(value, &text);
    vz_json_field_string(w, name, vz_buf_slice(&text));
    vz_buf_deinit(&text);
}

/* On a writer of its own: the answer around it is not counted against the document's depth. */
static void put_member(const struct vz_value_member *member, struct vz_json_writer *w)
{
    struct vz_buf text = {0};
    vz_value_print(member->value, &text);
    vz_json_key_slice(w, member->key);
    vz_json_put_raw(w, vz_buf_slice(&text));
    vz_buf_deinit(&text);
}

void vz_ingest_doc_print(const struct vz_ingest_doc *doc, bool with_pipeline,
                         struct vz_json_writer *w)
{
    vz_json_begin_object(w);
    print_meta(doc, "_index", w);
    print_meta(doc, "_id", w);
    print_meta(doc, "_routing", w);
    print_meta(doc, "_version", w);
    print_meta(doc, "_version_type", w);
    vz_json_key(w, "_source");
    vz_json_begin_object(w);
    bool printable = vz_doc_check(doc, NULL) == VZ_OK; /* if not, the run ends with that error */
    for (size_t i = 0; printable && i < doc->ctx->object.count; i++) {
        const struct vz_value_member *member = &doc->ctx->object.members[i];
        if (is_meta(member->key))
            continue;
        put_member(member, w);
    }
    vz_json_end_object(w);
    vz_json_key(w, "_ingest");
    vz_json_begin_object(w);
    for (size_t i = 0; printable && i < doc->ingest->object.count; i++) {
        const struct vz_value_member *member = &doc->ingest->object.members[i];
        if (!with_pipeline && vz_slice_is(member->key, "pipeline"))
            continue;
        put_member(member, w);
    }
    vz_json_end_object(w);
    vz_json_end_object(w);
}

enum vz_status vz_doc_fail(struct vz_ingest_doc *doc, const struct vz_error *err)
{
    doc->status = err->status;
    if (&doc->error != err)
        doc->error = *err;
    return doc->status;
}

void vz_doc_mark(struct vz_ingest_doc *doc, struct vz_slice path, const struct vz_ask_about *about)
{
    if (vz_slice_starts(path, "_source."))
        path = (struct vz_slice){path.ptr + 8, path.len - 8};
    struct vz_ingest_mark *mark = doc->marks;
    while (mark && !vz_slice_eq(mark->path, path))
        mark = mark->next;
    if (!mark) {
        mark = vz_arena_zalloc(doc->arena, sizeof *mark);
        mark->path = vz_arena_copy(doc->arena, path);
        mark->next = doc->marks;
        doc->marks = mark;
    }
    mark->model = vz_arena_copy(doc->arena, about->model);
    mark->dims = about->dims;
    memcpy(mark->digest, about->digest, sizeof mark->digest);
}

/* ---- one processor --------------------------------------------------------------------------- */

static void trace(struct vz_run *run, const struct vz_processor *processor,
                  const struct vz_ingest_doc *doc, enum vz_ingest_outcome outcome, bool condition,
                  const struct vz_error *error)
{
    if (!run->trace || (processor->kind->traces_itself && outcome != VZ_OUTCOME_SKIPPED))
        return;
    const struct vz_ingest_step step = {.processor = processor->kind->name,
                                        .tag = processor->tag,
                                        .description = processor->description,
                                        .condition = processor->condition_text,
                                        .condition_result = condition,
                                        .outcome = outcome,
                                        .error = error,
                                        .kind = doc->kind};
    run->trace->step(run->trace->context, &step, doc);
}

/* Whether the document may go on: steps, memory, and now and then its depth: each step adds at most
 * the levels of one path, and what is walked recursively must stay far from the stack's end. */
static bool within_limits(struct vz_ingest_doc *doc)
{
    if (++doc->steps > VZ_INGEST_MAX_STEPS)
        doc->status =
            vz_fail(&doc->error, VZ_LIMIT, "more than [%d] processors were run for one document",
                    VZ_INGEST_MAX_STEPS);
    else if (doc->arena->total_bytes - doc->bytes_before > VZ_INGEST_MAX_BYTES)
        doc->status =
            vz_fail(&doc->error, VZ_LIMIT, "a pipeline took more than [%zu] bytes for one document",
                    VZ_INGEST_MAX_BYTES);
    else if (doc->steps % STEPS_A_CHECK == 0)
        doc->status = vz_doc_check(doc, &doc->error);
    return doc->status == VZ_OK;
}

/* Leaves an error in the document when the condition throws. */
static bool condition_holds(const struct vz_processor *processor, struct vz_run *run,
                            struct vz_ingest_doc *doc)
{
    bool holds = true;
    if (!processor->condition)
        return true;
    const struct vz_script_run one = {.arena = &run->scratch, .ctx = doc->ctx};
    struct vz_error err = {.offset = VZ_NO_OFFSET};
    enum vz_status status = vz_script_run_bool(processor->condition, &one, &holds, &err);
    vz_arena_reset(&run->scratch);
    if (status == VZ_OK)
        return holds;
    doc->kind = VZ_INGEST_SCRIPT;
    vz_doc_fail(doc, &err);
    return false;
}

static void put_failure(struct vz_ingest_doc *doc, const char *name, struct vz_slice text)
{
    if (text.ptr)
        vz_value_put(doc->ingest, vz_slice_from(name), vz_value_string(doc->arena, text));
    else
        vz_value_put(doc->ingest, vz_slice_from(name), vz_value_null(doc->arena));
}

static const char *const failure_names[] = {"on_failure_message", "on_failure_processor_type",
                                            "on_failure_processor_tag", "on_failure_pipeline"};

/* Runs what is to be done about a failure. The document is well again when that succeeds. */
static void recover(const struct vz_processors *list, const char *type, struct vz_slice tag,
                    struct vz_run *run, struct vz_ingest_doc *doc)
{
    put_failure(doc, failure_names[0], vz_slice_from(doc->error.text));
    put_failure(doc, failure_names[1], vz_slice_from(type));
    put_failure(doc, failure_names[2], tag);
    put_failure(doc, failure_names[3],
                doc->frame ? doc->frame->pipeline->id : (struct vz_slice){NULL, 0});
    doc->status = VZ_OK;
    doc->kind = VZ_INGEST_PLAIN;
    vz_processors_run(list, run, &doc, 1);
    for (size_t i = 0; i < VZ_COUNT_OF(failure_names); i++)
        vz_value_remove(doc->ingest, vz_slice_from(failure_names[i]));
}

/* The pipeline's own on_failure, further out, tells of the processor that failed first. */
static void note_failed(struct vz_ingest_doc *doc, const struct vz_processor *processor)
{
    doc->failed_type = processor->kind->name;
    /* A copy: a pipeline within may be replaced before the one around it tells of the failure. */
    doc->failed_tag =
        processor->tag.ptr ? vz_arena_copy(doc->arena, processor->tag) : processor->tag;
}

static void settle(const struct vz_processor *processor, struct vz_run *run,
                   struct vz_ingest_doc *doc)
{
    if (doc->status == VZ_OK) {
        trace(run, processor, doc, doc->dropped ? VZ_OUTCOME_DROPPED : VZ_OUTCOME_SUCCESS, true,
              NULL);
        return;
    }
    trace(run, processor, doc,
          processor->ignore_failure ? VZ_OUTCOME_ERROR_IGNORED : VZ_OUTCOME_ERROR, true,
          &doc->error);
    if (doc->status == VZ_LIMIT && doc->steps > VZ_INGEST_MAX_STEPS)
        return; /* no failure handler may go on counting */
    if (processor->ignore_failure) {
        doc->status = VZ_OK;
        doc->kind = VZ_INGEST_PLAIN;
    } else if (processor->on_failure.count) {
        recover(&processor->on_failure, processor->kind->name, processor->tag, run, doc);
        if (doc->status != VZ_OK)
            note_failed(doc, processor);
    } else if (!processor->kind->traces_itself || !doc->failed_type) {
        note_failed(doc, processor); /* a pipeline's failure is that of its processor */
    }
}

/* active[] is room for `count`. Gives how many of docs may run this processor now. */
static size_t choose(const struct vz_processor *processor, struct vz_run *run,
                     struct vz_ingest_doc **docs, size_t count, struct vz_ingest_doc **active)
{
    size_t chosen = 0;
    for (size_t i = 0; i < count; i++) {
        struct vz_ingest_doc *doc = docs[i];
        if (doc->status != VZ_OK || doc->dropped)
            continue;
        if (within_limits(doc) && condition_holds(processor, run, doc))
            active[chosen++] = doc;
        else if (doc->status != VZ_OK)
            settle(processor, run, doc);
        else
            trace(run, processor, doc, VZ_OUTCOME_SKIPPED, false, NULL);
    }
    return chosen;
}

void vz_processors_run(const struct vz_processors *list, struct vz_run *run,
                       struct vz_ingest_doc **docs, size_t count)
{
    struct vz_ingest_doc *one[1];
    struct vz_ingest_doc **active = count == 1 ? one : vz_alloc(count * sizeof *active);
    for (size_t p = 0; p < list->count; p++) {
        const struct vz_processor *processor = &list->items[p];
        size_t chosen = choose(processor, run, docs, count, active);
        if (chosen && processor->kind->run_many) {
            processor->kind->run_many(processor, run, active, chosen);
        } else {
            for (size_t i = 0; i < chosen; i++) {
                struct vz_error err = {.offset = VZ_NO_OFFSET};
                if (processor->kind->run(processor, run, active[i], &err) != VZ_OK)
                    vz_doc_fail(active[i], &err);
            }
        }
        for (size_t i = 0; i < chosen; i++)
            settle(processor, run, active[i]);
    }
    if (active != one)
        free(active);
}

/* ---- one pipeline ---------------------------------------------------------------------------- */

static void set_pipeline_name(struct vz_ingest_doc *doc)
{
    if (doc->frame)
        vz_value_put(doc->ingest, VZ_SLICE("pipeline"),
                     vz_value_string(doc->arena, doc->frame->pipeline->id));
    else
        vz_value_remove(doc->ingest, VZ_SLICE("pipeline"));
}

/* False with an error in the document. */
static bool may_enter(struct vz_ingest_doc *doc, const struct vz_pipeline *pipeline)
{
    struct vz_error err = {.offset = VZ_NO_OFFSET};
    for (const struct vz_pipeline_frame *at = doc->frame; at; at = at->outer)
        if (vz_slice_eq(at->pipeline->id, pipeline->id))
            vz_fail(&err, VZ_BAD_ARGUMENT, "Cycle detected for pipeline: %.*s", VZ_S(pipeline->id));
    if (err.status == VZ_OK && doc->depth >= VZ_INGEST_MAX_NESTING)
        vz_fail(&err, VZ_BAD_ARGUMENT,
                "Too many nested pipelines. Cannot have more than %d nested pipelines per "
                "document",
                VZ_INGEST_MAX_NESTING);
    if (err.status == VZ_OK)
        return true;
    doc->kind = VZ_INGEST_GRAPH;
    vz_doc_fail(doc, &err);
    return false;
}

static void fail_over(struct vz_pipeline *pipeline, struct vz_run *run, struct vz_ingest_doc *doc)
{
    if (pipeline->on_failure.count && doc->steps <= VZ_INGEST_MAX_STEPS)
        recover(&pipeline->on_failure, doc->failed_type ? doc->failed_type : "unknown",
                doc->failed_tag, run, doc);
}

void vz_pipeline_run_within(struct vz_pipeline *pipeline, struct vz_run *run,
                            struct vz_ingest_doc **docs, size_t count)
{
    /* Documents may come from different pipelines: a frame each. */
    struct vz_pipeline_frame *frames = vz_alloc((count + 1) * sizeof *frames);
    struct vz_ingest_doc **entered = vz_alloc((count + 1) * sizeof *entered);
    size_t inside = 0;
    for (size_t i = 0; i < count; i++) {
        struct vz_ingest_doc *doc = docs[i];
        if (doc->status != VZ_OK || doc->dropped || !may_enter(doc, pipeline))
            continue;
        frames[inside] = (struct vz_pipeline_frame){pipeline, doc->frame};
        doc->frame = &frames[inside];
        doc->depth++;
        set_pipeline_name(doc);
        entered[inside++] = doc;
    }
    vz_processors_run(&pipeline->processors, run, entered, inside);
    for (size_t i = 0; i < inside; i++) {
        struct vz_ingest_doc *doc = entered[i];
        if (doc->status != VZ_OK)
            fail_over(pipeline, run, doc);
        doc->frame = frames[i].outer;
        doc->depth--;
        set_pipeline_name(doc);
    }
    free(frames);
    free(entered);
}

void vz_pipeline_apply(struct vz_pipeline *pipeline, struct vz_ingest_doc **docs, size_t count,
                       const struct vz_ingest_trace *trace)
{
    struct vz_run run = {.ingest = pipeline->ingest, .trace = trace};
    vz_pipeline_run_within(pipeline, &run, docs, count);
    for (size_t i = 0; i < count; i++)
        if (docs[i]->status == VZ_OK && !docs[i]->dropped)
            docs[i]->status = vz_doc_check(docs[i], &docs[i]->error);
    vz_arena_deinit(&run.scratch);
}
