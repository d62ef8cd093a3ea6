/* ingest/parts.h - what the files of this room share. Private to the room.
 *
 * pipeline.c compiles and keeps pipelines; config.c reads a processor's properties; run.c runs;
 * path.c reads and writes fields of a document; template.c is {{field}}; regex.c is PCRE2 with
 * limits; one file a family of processors. A processor is a `struct vz_processor_kind` in the table
 * of kinds.c, and a `struct vz_processor` for each use of it in a pipeline.
 */
#ifndef VZ_INGEST_PARTS_H
#define VZ_INGEST_PARTS_H

#include "ingest/ingest.h"
#include "script/mustache.h"
#include "script/script.h"

#include "base/clock.h"
#include "base/text.h"
#include "base/zone.h"

#define VZ_S(slice) (int)(slice).len, (slice).ptr ? (slice).ptr : ""

struct vz_processor;
struct vz_run;

struct vz_processors {
    struct vz_processor *items;
    size_t count;
};

struct vz_processor_kind;
struct vz_processor {
    const struct vz_processor_kind *kind;
    struct vz_slice tag, description, condition_text;
    struct vz_script *condition; /* NULL: always */
    bool ignore_failure;
    struct vz_processors on_failure;
    void *config; /* the kind's own, in the pipeline's arena */
};

struct vz_regex;
struct vz_pipeline {
    _Atomic unsigned references; /* acq_rel on the last release: then the arena is freed */
    struct vz_ingest *ingest;    /* borrowed; outlives the pipeline's users */
    struct vz_slice id, description, source;
    bool has_version;
    int64_t version;
    struct vz_processors processors, on_failure;
    struct vz_arena arena;
    struct vz_regex *regexes; /* to be freed */
};

/* ---- compiling (config.c, pipeline.c) ------------------------------------------------------- */

#define VZ_CONFIG_MAX 64 /* properties of one processor */

/* One processor's properties while they are read. */
struct vz_config {
    struct vz_pipeline *pipeline;
    struct vz_arena *arena; /* the pipeline's */
    const char *type;       /* "set"; NULL: the pipeline itself */
    struct vz_slice tag;
    struct vz_json object;
    uint64_t used; /* a bit a property, by position */
    unsigned depth;
    size_t *processor_count;
    struct vz_ingest_fault *fault;
    struct vz_error *err;
    enum vz_status status; /* the first failure; readers do nothing after it */
};

/* All readers copy what they give into the arena. On a missing required property or one of a wrong
 * type they leave a status in the config, so that a compile function may check once at its end. */
bool vz_config_has(struct vz_config *c, const char *name, struct vz_json *value);
struct vz_slice vz_config_text(struct vz_config *c, const char *name);
/* `otherwise` may be NULL: then the empty slice when absent. */
struct vz_slice vz_config_text_or(struct vz_config *c, const char *name, const char *otherwise);
bool vz_config_bool(struct vz_config *c, const char *name, bool otherwise);
int64_t vz_config_int(struct vz_config *c, const char *name, int64_t otherwise);
/* A list of strings; a single string when `single`. Count 0 when absent and not required. */
size_t vz_config_list(struct vz_config *c, const char *name, bool required, bool single,
                      struct vz_slice **out);
enum vz_status vz_config_fail(struct vz_config *c, const char *property, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
enum vz_status vz_config_unsupported(struct vz_config *c, const char *property, const char *format,
                                     ...) __attribute__((format(printf, 3, 4)));
/* Complains about properties that nobody read. */
enum vz_status vz_config_finish(struct vz_config *c);
const char *vz_java_type_of_json(struct vz_json value);

/* A list of {"type": {...}} objects. */
enum vz_status vz_processors_compile(struct vz_config *parent, struct vz_json list,
                                     const char *property, struct vz_processors *out);
/* {"set": {...}} */
enum vz_status vz_processor_compile(struct vz_config *parent, struct vz_json object,
                                    struct vz_processor *out);
/* "source" and its like as a string or {"source", "lang", "params"}. */
struct vz_script *vz_config_script(struct vz_config *c, struct vz_json script, const char *property,
                                   struct vz_slice *source);

/* ---- kinds (kinds.c) ------------------------------------------------------------------------ */

struct vz_processor_kind {
    const char *name;
    /* Reads the properties; sets processor->config. */
    void (*compile)(struct vz_config *c, struct vz_processor *processor);
    /* On one document. The error is the document's. */
    enum vz_status (*run)(const struct vz_processor *processor, struct vz_run *run,
                          struct vz_ingest_doc *doc, struct vz_error *err);
    /* On many at once, instead of run: leaves each document's outcome in it. */
    void (*run_many)(const struct vz_processor *processor, struct vz_run *run,
                     struct vz_ingest_doc **docs, size_t count);
    bool traces_itself; /* run_many tells the trace of all but skipped documents */
};
/* NULL when there is none. *is_known: Elasticsearch has one of that name. */
const struct vz_processor_kind *vz_processor_kind_find(struct vz_slice name, bool *is_known);

#define VZ_KIND_COMPILE(name)                                                                      \
    void vz_##name##_compile(struct vz_config *c, struct vz_processor *processor)
#define VZ_KIND_RUN(name)                                                                          \
    enum vz_status vz_##name##_run(const struct vz_processor *processor, struct vz_run *run,       \
                                   struct vz_ingest_doc *doc, struct vz_error *err)
#define VZ_KIND_RUN_MANY(name)                                                                     \
    void vz_##name##_run_many(const struct vz_processor *processor, struct vz_run *run,            \
                              struct vz_ingest_doc **docs, size_t count)
#define VZ_KIND(name)                                                                              \
    VZ_KIND_COMPILE(name);                                                                         \
    VZ_KIND_RUN(name)

VZ_KIND(set);
VZ_KIND(append);
VZ_KIND(remove);
VZ_KIND(rename);
VZ_KIND(convert);
VZ_KIND(dot_expander);
VZ_KIND_COMPILE(lowercase);
VZ_KIND_COMPILE(uppercase);
VZ_KIND_COMPILE(trim);
VZ_KIND_COMPILE(html_strip);
VZ_KIND_COMPILE(urldecode);
VZ_KIND_COMPILE(bytes);
VZ_KIND(string);
VZ_KIND_COMPILE(gsub);
VZ_KIND(split);
VZ_KIND(join);
VZ_KIND(sort);
VZ_KIND(grok);
VZ_KIND(dissect);
VZ_KIND(date);
VZ_KIND(csv);
VZ_KIND(json);
VZ_KIND(kv);
VZ_KIND(fingerprint);
VZ_KIND(script_processor);
VZ_KIND(foreach);
VZ_KIND(fail);
VZ_KIND(drop);
VZ_KIND_COMPILE(pipeline_processor);
VZ_KIND_RUN_MANY(pipeline_processor);
VZ_KIND_COMPILE(inference);
VZ_KIND_RUN_MANY(inference);
VZ_KIND_COMPILE(image);
VZ_KIND_RUN_MANY(image);

/* ---- running (run.c) ------------------------------------------------------------------------ */

/* The pipelines that a document is in, innermost first; on the stack. */
struct vz_pipeline_frame {
    const struct vz_pipeline *pipeline;
    const struct vz_pipeline_frame *outer;
};

struct vz_run {
    struct vz_ingest *ingest;
    const struct vz_ingest_trace *trace;
    struct vz_arena scratch; /* of one step of the run; reset between */
};

void vz_processors_run(const struct vz_processors *list, struct vz_run *run,
                       struct vz_ingest_doc **docs, size_t count);
/* A pipeline within a pipeline, or the outermost. Refuses cycles per document. */
void vz_pipeline_run_within(struct vz_pipeline *pipeline, struct vz_run *run,
                            struct vz_ingest_doc **docs, size_t count);
const struct vz_ingest_options *vz_ingest_options_of(const struct vz_ingest *ingest);
struct vz_infer *vz_ingest_infer(struct vz_ingest *ingest);
/* The model behind a name. */
struct vz_slice vz_ingest_model(struct vz_ingest *ingest, struct vz_slice name,
                                struct vz_arena *arena);
/* VZ_LIMIT for a document that is nested deeper than the store takes, larger than any, or that a
 * script has made hold itself. */
enum vz_status vz_doc_check(const struct vz_ingest_doc *doc, struct vz_error *err);
/* Leaves an error in the document. */
enum vz_status vz_doc_fail(struct vz_ingest_doc *doc, const struct vz_error *err);

/* ---- fields of a document (path.c) ---------------------------------------------------------- */

/* Paths are Elasticsearch's: "a.b.0.c", "_ingest.timestamp", "_source.a", "_id". Errors are its
 * words: "field [b] not present as part of path [a.b]". */
enum vz_status vz_path_get(struct vz_ingest_doc *doc, struct vz_slice path, struct vz_value **value,
                           struct vz_error *err);
/* NULL when there is no such place. */
struct vz_value *vz_path_find(struct vz_ingest_doc *doc, struct vz_slice path);
enum vz_status vz_path_set(struct vz_ingest_doc *doc, struct vz_slice path, struct vz_value *value,
                           struct vz_error *err);
enum vz_status vz_path_remove(struct vz_ingest_doc *doc, struct vz_slice path,
                              struct vz_error *err);
/* Makes a list of what is there. `value` may be a list: all of its values. */
enum vz_status vz_path_append(struct vz_ingest_doc *doc, struct vz_slice path,
                              struct vz_value *value, bool allow_duplicates, struct vz_error *err);
/* A string field. *found is false, without an error, for a missing or null one when
 * `ignore_missing`. */
enum vz_status vz_path_text(struct vz_ingest_doc *doc, struct vz_slice path, bool ignore_missing,
                            struct vz_slice *text, bool *found, struct vz_error *err);
const char *vz_java_type(const struct vz_value *value);
/* A number with the shortest digits of a float, as the store keeps vectors. */
struct vz_value *vz_value_of_float(struct vz_arena *arena, float value);

/* ---- templates (template.c) ----------------------------------------------------------------- */

struct vz_template;
/* NULL with a status in the config when it does not compile. */
struct vz_template *vz_template_compile(struct vz_config *c, struct vz_slice text,
                                        const char *property);
/* A required or optional property as a template; NULL when absent. */
struct vz_template *vz_config_template(struct vz_config *c, const char *name, bool required);
enum vz_status vz_template_render(const struct vz_template *t, struct vz_ingest_doc *doc,
                                  struct vz_slice *out, struct vz_error *err);
bool vz_template_is_constant(const struct vz_template *t);

/* A JSON value with templates in its strings. */
struct vz_source_value;
struct vz_source_value *vz_source_value_compile(struct vz_config *c, struct vz_json value,
                                                const char *property);
enum vz_status vz_source_value_make(const struct vz_source_value *source, struct vz_ingest_doc *doc,
                                    struct vz_value **out, struct vz_error *err);

/* ---- regular expressions (regex.c) ---------------------------------------------------------- */

/* Compiles into the pipeline. Errors are left in the config. NULL then. */
struct vz_regex *vz_regex_compile(struct vz_config *c, struct vz_slice pattern,
                                  const char *property);
void vz_regex_free_all(struct vz_regex *first);
/* One subject being matched. */
struct vz_match {
    const struct vz_regex *regex;
    struct vz_ingest_doc *doc;
    struct vz_slice subject;
    bool is_utf8; /* of the subject; PCRE2 reads beyond the end of what is not */
    void *data;
    const size_t *ovector; /* start, end of each group; ~0: not matched */
    unsigned groups;       /* valid pairs in ovector, group 0 among them */
};
void vz_match_init(struct vz_match *match, const struct vz_regex *regex, struct vz_ingest_doc *doc,
                   struct vz_slice subject);
void vz_match_deinit(struct vz_match *match);
/* Finds the next match at or behind `from`. VZ_LIMIT when it would take too long. */
enum vz_status vz_match_next(struct vz_match *match, size_t from, bool *found,
                             struct vz_error *err);
/* The number of a named group, or 0. */
unsigned vz_regex_group(const struct vz_regex *regex, const char *name);
/* Java's String.split. Parts are slices of the subject. limit 0: all, without empty ones at the
 * end unless `keep_trailing`. */
enum vz_status vz_regex_split(const struct vz_regex *regex, struct vz_ingest_doc *doc,
                              struct vz_slice text, size_t limit, bool keep_trailing,
                              struct vz_slice **parts, size_t *count, struct vz_error *err);
/* Java's replaceAll with $1, ${name} and backslashes. */
enum vz_status vz_regex_replace(const struct vz_regex *regex, struct vz_ingest_doc *doc,
                                struct vz_slice text, struct vz_slice replacement,
                                struct vz_slice *out, struct vz_error *err);

/* ---- dates (date_format.c) ------------------------------------------------------------------ */

struct vz_instant {
    int64_t seconds; /* since 1970 UTC */
    int32_t nanos;
    int32_t offset_s; /* of the zone it is told in */
};
struct vz_date_format;
/* "ISO8601", "UNIX", "UNIX_MS", "TAI64N", or a Java pattern. Errors: VZ_BAD_ARGUMENT. */
enum vz_status vz_date_format_compile(struct vz_slice text, struct vz_arena *arena,
                                      struct vz_date_format **out, struct vz_error *err);
enum vz_status vz_date_format_parse(const struct vz_date_format *format, struct vz_slice text,
                                    const struct vz_zone *zone, int64_t now_ms,
                                    struct vz_instant *out, struct vz_error *err);
enum vz_status vz_date_format_print(const struct vz_date_format *format,
                                    const struct vz_instant *instant, const struct vz_zone *zone,
                                    struct vz_buf *out, struct vz_error *err);

/* ---- models (inference.c) ------------------------------------------------------------------- */

/* One input to a model, and whose it is. */
struct vz_ask {
    struct vz_ingest_doc *doc;
    struct vz_infer_input input;
    struct vz_infer_one one; /* the answer, in the document's arena */
    enum vz_status status;
    struct vz_error error;
    void *context; /* the asker's */
};
struct vz_ask_about {
    enum vz_task task;
    uint32_t dims;
    struct vz_slice model;
    char digest[65];
};
/* Asks in batches; an input that the model refuses fails alone. `request` has model, task and
 * options. */
void vz_ask_all(struct vz_ingest *ingest, const struct vz_infer_request *request,
                struct vz_ask *asks, size_t count, struct vz_arena *scratch,
                struct vz_ask_about *about);
/* What a value says to a model: a string (`as_image`: base64 of a picture, otherwise a text unless
 * it is a data URI of one), or {"type","format","value"}. *usable is false for anything else.
 * Errors: what reading the picture gives. */
enum vz_status vz_ask_input(struct vz_ingest *ingest, const struct vz_value *value, bool as_image,
                            struct vz_arena *arena, struct vz_infer_input *input, bool *usable,
                            struct vz_error *err);
struct vz_value *vz_ask_vector(struct vz_arena *arena, const float *vector, uint32_t dims);
void vz_doc_mark(struct vz_ingest_doc *doc, struct vz_slice path, const struct vz_ask_about *about);

#endif
