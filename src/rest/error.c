/* What went wrong in a room below, told the way Elasticsearch 8.19 tells it: HTTP status, error
 * type, reason, cause. This file is the one table of it. The rooms' own texts already use
 * Elasticsearch's words where it has words; here they only get the wrapping that each API puts
 * around them. */
#include "rest/parts.h"

#include <stdlib.h>

void vz_place_of(struct vz_slice text, size_t offset, unsigned *line, unsigned *column)
{
    *line = 1;
    size_t end = VZ_MIN(offset, text.len), start = 0;
    for (size_t i = 0; i < end; i++) {
        if (text.ptr[i] == '\n') {
            (*line)++;
            start = i + 1;
        }
    }
    *column = (unsigned)(end - start + 1);
}

static struct vz_slice text_of(struct vz_arena *arena, const char *prefix, const char *text)
{
    return vz_slice_from(vz_arena_printf(arena, "%s%s", prefix, text));
}

/* "[3:14] " when the place is known and the text does not begin with one already. */
static const char *place_prefix(struct vz_arena *arena, const struct vz_error *err,
                                struct vz_slice text, struct vz_problem *problem)
{
    bool has_prefix = err->text[0] == '[' && err->text[1] >= '0' && err->text[1] <= '9' &&
                      strchr(err->text, ':') && strchr(err->text, ':') < strchr(err->text, ']');
    if (err->offset == VZ_NO_OFFSET || !text.ptr || has_prefix)
        return "";
    vz_place_of(text, err->offset, &problem->line, &problem->column);
    return vz_arena_printf(arena, "[%u:%u] ", problem->line, problem->column);
}

static const char *json_exception(const struct vz_error *err, struct vz_slice text)
{
    bool at_end = err->offset != VZ_NO_OFFSET && text.len && err->offset >= text.len;
    return at_end ? "x_content_e_o_f_exception" : "x_content_parse_exception";
}

static void malformed_json(struct vz_arena *arena, const struct vz_error *err, enum vz_place place,
                           struct vz_slice text, struct vz_problem *p)
{
    const char *prefix = place_prefix(arena, err, text, p);
    struct vz_slice reason = text_of(arena, prefix, err->text);
    p->status = 400;
    switch (place) {
    case VZ_AT_DOCUMENT:
        p->type = "document_parsing_exception";
        p->reason = text_of(arena, prefix, "failed to parse");
        break;
    case VZ_AT_MAP_BODY:
    case VZ_AT_MAPPING:
    case VZ_AT_PUT_MAPPING:
    case VZ_AT_SETTINGS:
        p->type = "parse_exception";
        p->reason = VZ_SLICE("Failed to parse content to map");
        break;
    default:
        p->type = json_exception(err, text);
        p->reason = reason;
        p->line = p->column = 0;
        return;
    }
    p->cause_type = json_exception(err, text);
    p->cause_reason = reason;
    p->line = p->column = 0;
}

/* A search body that makes no sense. The streaming parser's own complaints ("[knn] unknown field
 * [x]") are x_content_parse_exception; what the query registry says is parsing_exception. */
static void bad_query(struct vz_arena *arena, const struct vz_error *err, struct vz_slice text,
                      struct vz_problem *p)
{
    const char *prefix = place_prefix(arena, err, text, p);
    p->status = 400;
    p->reason = vz_slice_from(vz_arena_printf(arena, "%s", err->text));
    bool wraps = strstr(err->text, "] failed to parse field [") && err->cause[0];
    if (err->text[0] == '[' && (wraps || strstr(err->text, "] unknown field ["))) {
        p->type = "x_content_parse_exception";
        p->reason = text_of(arena, prefix, err->text);
        p->line = p->column = 0;
    } else if (strncmp(err->text, "unknown query [", 15) == 0) {
        p->type = "parsing_exception";
        size_t name = strcspn(err->text + 15, "]");
        p->cause_type = "named_object_not_found_exception";
        p->cause_reason = vz_slice_from(
            vz_arena_printf(arena, "%sunknown field [%.*s]", prefix, (int)name, err->text + 15));
    } else if (strncmp(err->text, "Validation Failed: ", 19) == 0) {
        p->type = "action_request_validation_exception";
        p->line = p->column = 0;
    } else if (err->cause[0] && strstr(err->text, "] failed to parse field [")) {
        p->type = "x_content_parse_exception";
        p->reason = text_of(arena, prefix, err->text);
        p->line = p->column = 0;
    } else if (strncmp(err->text, "[from] parameter", 16) == 0 ||
               strncmp(err->text, "Required [", 10) == 0 ||
               strncmp(err->text, "[size] parameter", 16) == 0 ||
               (strstr(err->text, "must be") && !strstr(err->text, "must be provided with"))) {
        p->type = "illegal_argument_exception";
        p->line = p->column = 0;
    } else {
        p->type = "parsing_exception";
    }
}

static void bad_document(struct vz_arena *arena, const struct vz_error *err, struct vz_slice text,
                         struct vz_problem *p)
{
    p->status = 400;
    p->type = err->status == VZ_STRICT_MAPPING ? "strict_dynamic_mapping_exception"
                                               : "document_parsing_exception";
    p->reason = text_of(arena, place_prefix(arena, err, text, p), err->text);
    p->line = p->column = 0;
}

static void bad_mapping(struct vz_arena *arena, const struct vz_error *err, enum vz_place place,
                        struct vz_problem *p)
{
    p->status = 400;
    p->reason = text_of(arena, "", err->text);
    bool is_mapper = place == VZ_AT_MAPPING || place == VZ_AT_PUT_MAPPING ||
                     (place == VZ_AT_SEARCH && strstr(err->text, "runtime field"));
    if (is_mapper && !strstr(err->text, "cannot be changed from type") &&
        !strstr(err->text, "unknown setting") && !strstr(err->text, "Cannot update parameter")) {
        p->type = "mapper_parsing_exception";
        if (place == VZ_AT_MAPPING && !strstr(err->text, "Failed to parse mapping")) {
            p->reason = text_of(arena, "Failed to parse mapping: ", err->text);
            p->cause_type = "mapper_parsing_exception";
            p->cause_reason = text_of(arena, "", err->text);
        }
    } else {
        p->type = "illegal_argument_exception";
    }
}

static void blocked(struct vz_arena *arena, const struct vz_error *err, struct vz_slice index,
                    struct vz_problem *p)
{
    p->type = "cluster_block_exception";
    if (strncmp(err->text, "index [", 7) == 0 && strstr(err->text, "blocked by")) {
        p->status = strstr(err->text, "TOO_MANY_REQUESTS") ? 429 : 403;
        p->reason = text_of(arena, "", err->text);
        return;
    }
    const char *what;
    if (err->status == VZ_DISK_FULL) {
        p->status = 429;
        what = "[TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, index has "
               "read-only-allow-delete block; for more information, see docs/limits.md];";
    } else {
        p->status = 503;
        what = "[SERVICE_UNAVAILABLE/2/the data folder cannot be written];";
    }
    if (index.len)
        p->reason =
            vz_slice_from(vz_arena_printf(arena, "index [%.*s] blocked by: %s", VZ_S(index), what));
    else
        p->reason = vz_slice_from(vz_arena_printf(arena, "blocked by: %s", what));
    p->cause_type = "i_o_exception";
    p->cause_reason = text_of(arena, "", err->text);
}

/* The first bracketed word of a text: "no such index [dogs]" -> dogs. */
static struct vz_slice bracketed(struct vz_arena *arena, const char *text)
{
    const char *open = strchr(text, '[');
    const char *close = open ? strchr(open, ']') : NULL;
    if (!close)
        return (struct vz_slice){NULL, 0};
    return vz_arena_copy(arena, (struct vz_slice){open + 1, (size_t)(close - open - 1)});
}

void vz_problem_no_index(struct vz_arena *arena, struct vz_slice name, struct vz_problem *p)
{
    name = vz_arena_copy(arena, name);
    *p = (struct vz_problem){
        .status = 404,
        .type = "index_not_found_exception",
        .reason = vz_slice_from(vz_arena_printf(arena, "no such index [%.*s]", VZ_S(name))),
        .index = name,
        .index_uuid = "_na_",
        .resource_type = "index_or_alias",
        .resource_id = name,
    };
}

/* Statuses that need no thought: status, type. */
static bool plain(enum vz_status status, struct vz_problem *p)
{
    static const struct {
        enum vz_status status;
        int http;
        const char *type;
    } table[] = {
        {VZ_BAD_ARGUMENT, 400, "illegal_argument_exception"},
        {VZ_BAD_IMAGE, 400, "illegal_argument_exception"},
        {VZ_BAD_NAME, 400, "invalid_index_name_exception"},
        {VZ_UNSUPPORTED, 400, "unsupported_operation_exception"},
        {VZ_CLOSED, 400, "index_closed_exception"},
        {VZ_NOT_FOUND, 404, "resource_not_found_exception"},
        {VZ_EXISTS, 400, "resource_already_exists_exception"},
        {VZ_CONFLICT, 409, "version_conflict_engine_exception"},
        {VZ_LIMIT, 400, "illegal_argument_exception"},
        {VZ_BUDGET, 429, "circuit_breaking_exception"},
        {VZ_BUSY, 429, "es_rejected_execution_exception"},
        {VZ_CANCELLED, 400, "task_cancelled_exception"},
        {VZ_IO, 500, "i_o_exception"},
        {VZ_CORRUPT, 500, "corrupt_index_exception"},
        {VZ_INTERNAL, 500, "illegal_state_exception"},
    };
    for (size_t i = 0; i < VZ_COUNT_OF(table); i++) {
        if (table[i].status == status) {
            p->status = table[i].http;
            p->type = table[i].type;
            return true;
        }
    }
    return false;
}

static void named_index(struct vz_arena *arena, struct vz_slice name, const char *uuid,
                        struct vz_problem *p)
{
    p->index = vz_arena_copy(arena, name);
    p->index_uuid = uuid ? vz_arena_strdup(arena, vz_slice_from(uuid)) : "_na_";
}

/* A script's error as query/scripting.h puts it together: false when it is none. */
static bool script_problem(struct vz_arena *arena, const struct vz_error *err, struct vz_problem *p)
{
    char *end;
    const char *newline = strchr(err->text, '\n'), *cause = strchr(err->cause, '\n');
    if (!newline || !cause || (strncmp(err->text, "runtime error\n", 14) != 0 &&
                               strncmp(err->text, "compile error\n", 14) != 0))
        return false;
    p->status = 400;
    p->type = "script_exception";
    p->reason = vz_arena_copy(arena, (struct vz_slice){err->text, (size_t)(newline - err->text)});
    p->is_script = true;
    p->script_at = (unsigned)strtoul(newline + 1, &end, 10);
    p->script = vz_arena_copy(arena, vz_slice_from(*end ? end + 1 : end));
    p->cause_type = vz_arena_printf(arena, "%.*s", (int)(cause - err->cause), err->cause);
    p->cause_reason = vz_arena_copy(arena, vz_slice_from(cause + 1));
    return true;
}

void vz_problem_from(struct vz_arena *arena, const struct vz_error *err, enum vz_place place,
                     struct vz_slice text, struct vz_slice index_name, const char *index_uuid,
                     struct vz_problem *p)
{
    *p = (struct vz_problem){0};
    bool at_shard = place == VZ_AT_SHARD;
    switch (err->status) {
    case VZ_BAD_JSON:
        malformed_json(arena, err, place, text, p);
        break;
    case VZ_BAD_QUERY:
        if (script_problem(arena, err, p))
            break;
        if (at_shard) {
            p->status = 400;
            p->type = "query_shard_exception";
            p->reason = text_of(arena, "", err->text);
            named_index(arena, index_name, index_uuid, p);
        } else {
            bad_query(arena, err, text, p);
        }
        break;
    case VZ_BAD_DOCUMENT:
    case VZ_STRICT_MAPPING:
        bad_document(arena, err, text, p);
        break;
    case VZ_BAD_MAPPING:
        bad_mapping(arena, err, place, p);
        break;
    case VZ_DISK_FULL:
    case VZ_READ_ONLY:
        blocked(arena, err, index_name, p);
        break;
    case VZ_NO_INDEX: {
        struct vz_slice name = index_name.len ? index_name : bracketed(arena, err->text);
        vz_problem_no_index(arena, name, p);
        break;
    }
    default:
        if (!plain(err->status, p)) {
            p->status = 500;
            p->type = "exception";
        }
        p->reason = text_of(arena, "", err->text);
    }
    if (err->status == VZ_LIMIT && strncmp(err->text, "Trying to create too many buckets", 33) == 0)
        p->type = "too_many_buckets_exception";
    if (err->status == VZ_BAD_ARGUMENT && strstr(err->text, "] search failed - retrievers '"))
        p->type = "status_exception";
    if (err->status == VZ_BAD_ARGUMENT && place == VZ_AT_DOCUMENT)
        p->type = "illegal_argument_exception";
    if (err->status == VZ_NOT_FOUND && place == VZ_AT_DOCUMENT)
        p->type = "document_missing_exception";
    if (err->status == VZ_CONFLICT || (err->status == VZ_NOT_FOUND && place == VZ_AT_DOCUMENT)) {
        named_index(arena, index_name, index_uuid, p);
        p->with_shard = true;
    }
    if (err->status == VZ_CLOSED)
        named_index(arena, index_name, index_uuid, p);
    if (err->status == VZ_EXISTS || err->status == VZ_BAD_NAME)
        named_index(arena, index_name.len ? index_name : bracketed(arena, err->text), index_uuid,
                    p);
    p->is_circuit = err->status == VZ_BUDGET;
    p->is_shard_failure = at_shard && strcmp(p->type, "status_exception") != 0 && (err->status == VZ_BAD_QUERY || err->status == VZ_LIMIT ||
                                       err->status == VZ_BAD_ARGUMENT);
    if (p->is_shard_failure && !p->index.len)
        named_index(arena, index_name, index_uuid, p);
    if (strstr(err->text, "maxClauseCount is set to")) {
        p->type = "too_many_nested_clauses";
        p->line = p->column = 0;
    }
    if (err->cause[0] && !p->cause_type) {
        p->cause_type = strncmp(err->text, "Failed to parse query [", 23) == 0
                            ? "parse_exception"
                            : "illegal_argument_exception";
        p->cause_reason = text_of(arena, "", err->cause);
    }
}

void vz_problem_copy(struct vz_arena *arena, const struct vz_problem *from,
                     struct vz_problem *to)
{
    *to = *from;
    to->reason = vz_arena_copy(arena, from->reason);
    to->cause_reason = vz_arena_copy(arena, from->cause_reason);
    to->index = vz_arena_copy(arena, from->index);
    to->resource_id = vz_arena_copy(arena, from->resource_id);
    to->script = vz_arena_copy(arena, from->script);
    const char **const texts[] = {&to->type,          &to->cause_type,     &to->index_uuid,
                                  &to->property_name, &to->processor_type, &to->processor_tag};
    for (size_t i = 0; i < VZ_COUNT_OF(texts); i++)
        if (*texts[i])
            *texts[i] = vz_arena_strdup(arena, vz_slice_from(*texts[i]));
}

/* ---- printing ------------------------------------------------------------------------------ */

/* The piece of the script and an arrow below the place, as Painless shows it. */
static void print_script(const struct vz_problem *p, struct vz_json_writer *w)
{
    struct vz_buf arrow = {0};
    if (p->script_lang) {
        vz_json_key(w, "script_stack");
        vz_json_put_raw(w, VZ_SLICE("[]"));
        vz_json_field_string(w, "script", p->script);
        vz_json_field_str(w, "lang", p->script_lang);
        return;
    }
    for (unsigned i = 0; i < p->script_at; i++)
        vz_buf_append_char(&arrow, ' ');
    vz_buf_append_str(&arrow, "^---- HERE");
    vz_json_key(w, "script_stack");
    vz_json_begin_array(w);
    vz_json_put_string(w, p->script);
    vz_json_put_string(w, vz_buf_slice(&arrow));
    vz_json_end_array(w);
    vz_json_field_string(w, "script", p->script);
    vz_json_field_str(w, "lang", "painless");
    vz_json_key(w, "position");
    vz_json_begin_object(w);
    vz_json_field_int(w, "offset", p->script_at);
    vz_json_field_int(w, "start", 0);
    vz_json_field_int(w, "end", (int64_t)p->script.len);
    vz_json_end_object(w);
    vz_buf_deinit(&arrow);
}

/* The bytes in "... would be [12] bytes, which is larger than the limit of [10]". Where a text
 * tells the limit alone, what was wanted is more than that. */
static void circuit_bytes(struct vz_slice reason, uint64_t *wanted, uint64_t *limit)
{
    uint64_t number = 0;
    bool digits = false;
    *wanted = *limit = 0;
    for (size_t i = 0; i < reason.len; i++) {
        char c = reason.ptr[i];
        struct vz_slice rest = {reason.ptr + i, reason.len - i};
        if (c == '[') {
            number = 0;
            digits = true;
        } else if (c >= '0' && c <= '9' && number < UINT64_MAX / 16) {
            number = number * 10 + (uint64_t)(c - '0');
        } else if (c != ']') {
            digits = false;
        } else if (digits && vz_slice_starts(rest, "] bytes, which")) {
            *wanted = number;
        } else if (digits && vz_slice_starts(rest, "], which is larger")) {
            *wanted = number;
        } else if (digits && (vz_slice_starts(rest, "] bytes") || rest.len == 1)) {
            *limit = number;
        }
    }
    if (*limit && *wanted <= *limit)
        *wanted = *limit + 1;
}

static void print_members(const struct vz_problem *p, struct vz_json_writer *w)
{
    if (p->wrapped_in) {
        vz_json_field_str(w, "type", "illegal_argument_exception");
        vz_json_field_str(w, "reason", p->wrapped_in);
        return;
    }
    vz_json_field_str(w, "type", p->type);
    vz_json_field_string(w, "reason", p->reason);
    if (p->is_script) {
        print_script(p, w);
        return;
    }
    if (p->property_name)
        vz_json_field_str(w, "property_name", p->property_name);
    if (p->processor_type)
        vz_json_field_str(w, "processor_type", p->processor_type);
    if (p->processor_tag)
        vz_json_field_str(w, "processor_tag", p->processor_tag);
    if (p->resource_type) {
        vz_json_field_str(w, "resource.type", p->resource_type);
        vz_json_field_string(w, "resource.id", p->resource_id);
    }
    if (p->line) {
        vz_json_field_int(w, "line", p->line);
        vz_json_field_int(w, "col", p->column);
    }
    if (p->is_circuit) {
        uint64_t wanted, limit;
        circuit_bytes(p->reason, &wanted, &limit);
        vz_json_key(w, "bytes_wanted");
        vz_json_put_uint(w, wanted);
        vz_json_key(w, "bytes_limit");
        vz_json_put_uint(w, limit);
        vz_json_field_str(w, "durability", "TRANSIENT");
    }
    if (p->index_uuid && p->type && strcmp(p->type, "illegal_argument_exception") != 0) {
        vz_json_field_str(w, "index_uuid", p->index_uuid);
        if (p->with_shard)
            vz_json_field_str(w, "shard", "0");
        vz_json_field_string(w, "index", p->index);
    }
}

static void print_cause(const struct vz_problem *p, struct vz_json_writer *w)
{
    if (p->wrapped_in) {
        struct vz_problem inner = *p;
        inner.wrapped_in = NULL;
        vz_json_key(w, "caused_by");
        vz_problem_print(&inner, w);
        return;
    }
    if (!p->cause_type)
        return;
    vz_json_key(w, "caused_by");
    vz_json_begin_object(w);
    vz_json_field_str(w, "type", p->cause_type);
    vz_json_field_string(w, "reason", p->cause_reason);
    vz_json_end_object(w);
}

void vz_problem_print(const struct vz_problem *p, struct vz_json_writer *w)
{
    vz_json_begin_object(w);
    print_members(p, w);
    print_cause(p, w);
    vz_json_end_object(w);
}

/* No JVM, no Java stack; whoever asks for a trace gets the text where the trace would begin. */
static void print_trace(const struct vz_problem *p, struct vz_json_writer *w)
{
    struct vz_buf text = {0};
    vz_buf_printf(&text, "%s: %.*s\n\tat vizsla %s", p->type, VZ_S(p->reason), VZ_VERSION);
    if (p->cause_type)
        vz_buf_printf(&text, "\nCaused by: %s: %.*s", p->cause_type, VZ_S(p->cause_reason));
    vz_json_field_string(w, "stack_trace", vz_buf_slice(&text));
    vz_buf_deinit(&text);
}

static void print_shard_failure(const struct vz_problem *p, struct vz_json_writer *w)
{
    vz_json_field_str(w, "type", "search_phase_execution_exception");
    vz_json_field_str(w, "reason", "all shards failed");
    vz_json_field_str(w, "phase", "query");
    vz_json_field_bool(w, "grouped", true);
    vz_json_key(w, "failed_shards");
    vz_json_begin_array(w);
    vz_json_begin_object(w);
    vz_json_field_int(w, "shard", 0);
    vz_json_field_string(w, "index", p->index);
    vz_json_key(w, "reason");
    vz_problem_print(p, w);
    vz_json_end_object(w);
    vz_json_end_array(w);
    vz_json_key(w, "caused_by");
    vz_problem_print(p, w);
}

void vz_problem_print_full(const struct vz_problem *p, bool trace, struct vz_json_writer *w)
{
    vz_json_begin_object(w);
    vz_json_key(w, "root_cause");
    vz_json_begin_array(w);
    vz_json_begin_object(w);
    print_members(p, w);
    if (trace)
        print_trace(p, w);
    vz_json_end_object(w);
    vz_json_end_array(w);
    if (p->is_shard_failure) {
        print_shard_failure(p, w);
    } else {
        print_members(p, w);
        print_cause(p, w);
    }
    if (trace)
        print_trace(p, w);
    vz_json_end_object(w);
}
