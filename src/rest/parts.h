/* rest/parts.h - what the files of the rest room share. Private to the room and its tests.
 *
 * The model. A request becomes a `struct vz_call` on the worker's stack. router.c finds its route
 * in one table, checks the URL parameters against that table and calls the handler. The handler
 * either writes compact JSON (or plain text) into the answer, or leaves a problem; answer.c then
 * applies filter_path and pretty, or prints the problem as Elasticsearch would. A handler never
 * writes a status line or an error body by hand.
 *
 * Threads: a call belongs to one worker. `struct vz_rest` is shared; what changes in it is atomic
 * or guarded by the lock named beside it.
 */
#ifndef VZ_REST_PARTS_H
#define VZ_REST_PARTS_H

#include "rest/rest.h"

#include "base/clock.h"
#include "base/strmap.h"
#include "base/text.h"
#include "base/thread.h"
#include "query/search.h"
#include "json/filter.h"
#include "json/json.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

/* What we say we are: the API we speak and the program that speaks it. */
#define VZ_ES_VERSION "8.19.0"
#define VZ_VERSION "0.1.0"
#define VZ_BUILD_HASH "0000000000000000000000000000000000000000"
#define VZ_BUILD_DATE "2026-11-20T00:00:00.000000000Z"

/* ---- problems (error.c) ------------------------------------------------------------------- */

/* An error as Elasticsearch tells it. status 0: none. Texts live in the call's arena or are static.
 */
struct vz_problem {
    int status;
    const char *type;
    struct vz_slice reason;
    const char *cause_type; /* NULL: no caused_by */
    struct vz_slice cause_reason;
    struct vz_slice index; /* empty: no index, index_uuid */
    const char *index_uuid;
    bool with_shard; /* "shard": "0" */
    const char *resource_type;
    struct vz_slice resource_id;
    unsigned line, column; /* 0: not printed as members */
    bool is_circuit;       /* bytes_wanted and friends */
    const char *property_name, *processor_type, *processor_tag; /* of a pipeline; or NULL */
    bool is_simple;        /* {"error": "text", "status": n}: what the router itself says */
    bool without_status;   /* and not even the status */
    bool is_script;            /* script_stack, script, lang, position */
    struct vz_slice script;    /* an excerpt of it */
    const char *script_lang;   /* NULL: painless; others have no stack and no position */
    unsigned script_at;        /* where in it */
    /* NULL, or the reason of an illegal_argument_exception around all the others. */
    const char *wrapped_in;
    bool is_shard_failure; /* to be told inside search_phase_execution_exception */
};

/* Where a store or query error came up decides how Elasticsearch words it. */
enum vz_place {
    VZ_AT_REQUEST,  /* parameters, anything else */
    VZ_AT_BODY,     /* a body read by a stream parser: x_content_parse_exception */
    VZ_AT_MAP_BODY, /* a body read as a map first: parse_exception around it */
    VZ_AT_DOCUMENT, /* a document being indexed */
    VZ_AT_MAPPING,  /* mappings of a new index */
    VZ_AT_PUT_MAPPING,
    VZ_AT_SETTINGS,
    VZ_AT_SEARCH, /* a search body being read */
    VZ_AT_SHARD   /* a search running on an index */
};

struct vz_call;

/* Fills *problem from a room's error. `text` is what err->offset counts in (may be empty); `index`
 * may be NULL, `index_name` empty. */
void vz_problem_from(struct vz_arena *arena, const struct vz_error *err, enum vz_place place,
                     struct vz_slice text, struct vz_slice index_name, const char *index_uuid,
                     struct vz_problem *problem);
/* A deep copy whose texts are in the arena. */
void vz_problem_copy(struct vz_arena *arena, const struct vz_problem *from,
                     struct vz_problem *to);
/* The inner object {"type","reason",...}, without root_cause: for items of bulk, mget, msearch. */
void vz_problem_print(const struct vz_problem *problem, struct vz_json_writer *w);
/* The value of "error" with root_cause. `trace` adds stack_trace. */
void vz_problem_print_full(const struct vz_problem *problem, bool trace, struct vz_json_writer *w);
/* 1-based line and column of a byte offset. */
void vz_place_of(struct vz_slice text, size_t offset, unsigned *line, unsigned *column);

/* ---- routes (router.c) --------------------------------------------------------------------- */

enum {
    VZ_GET = 1, /* HEAD too */
    VZ_POST = 2,
    VZ_PUT = 4,
    VZ_DELETE = 8,
    VZ_HEAD = 16, /* only where there is no GET */
    VZ_ANY = 15
};

struct vz_route {
    unsigned methods;
    /* "/{index}/_doc/{id}"; "**" at the end takes any rest. */
    const char *path;
    void (*handle)(struct vz_call *call); /* NULL: known to Elasticsearch, refused aloud */
    /* URL parameters separated by spaces: "name", "name:bool", "name:int", "name:time"; "!name" is
     * known and refused aloud. Those of every route are in router.c. */
    const char *params;
    const char *doc;
};

extern const struct vz_route vz_routes[];
extern const size_t vz_route_count;

#define VZ_MAX_SEGMENTS 12

/* The best route for a decoded path, literal names before placeholders. Fills args (the
 * placeholders' values in order). NULL when none fits the method; *allowed then has the methods
 * that would fit (0: no such path). */
const struct vz_route *vz_route_find(unsigned method, const struct vz_slice *segments, size_t count,
                                     struct vz_slice args[VZ_MAX_SEGMENTS], unsigned *allowed);
/* Refuses URL parameters that the route does not list, and values of the wrong type. */
bool vz_params_check(struct vz_call *call);
/* "GET" -> VZ_GET; 0 for others. */
unsigned vz_method_bit(const char *method);

/* ---- one request (answer.c) ---------------------------------------------------------------- */

/* What a call's lookups of terms took so far (lookups.c). */
struct vz_lookups {
    size_t held_bytes;   /* terms of the search at hand; of an _msearch each is let go by itself */
    size_t term_bytes;   /* of all of its searches */
    size_t source_bytes; /* of the documents that were read for them */
    unsigned count;      /* in the search at hand */
};

struct vz_call {
    struct vz_rest *rest;
    struct vz_store *store;
    const struct vz_http_request *request;
    struct vz_http_response *response;
    struct vz_arena *arena; /* the response's */
    const struct vz_route *route;
    struct vz_slice args[VZ_MAX_SEGMENTS]; /* placeholders of the path, decoded, in order */
    struct vz_json_writer w;               /* on the response's body */
    struct vz_problem problem;
    struct vz_json_doc *doc; /* of vz_call_body; freed at the end */
    struct vz_running *task;    /* tasks.h; its action is NULL when it is not listed */
    uint64_t start_ns;
    int accept_version; /* compatible-with of Accept; 0: none */
    bool wants_json;    /* Accept named JSON */
    bool is_head;
    bool is_text; /* the body is plain text: no filter_path, no pretty */
    struct vz_lookups lookups;
    bool gone;    /* watch.c: the client closed its connection */
    uint64_t look_ns; /* watch.c: when to look next */
};

/* Leave a problem; the first one stays. Return false so that a check can read
 * `return vz_call_fail(...)`. */
bool vz_call_fail(struct vz_call *call, int status, const char *type, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
bool vz_call_fail_simple(struct vz_call *call, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The error; of a request whose task was cancelled, in Elasticsearch's words for that. */
const struct vz_error *vz_call_cancelled(struct vz_call *call, struct vz_error *err);
bool vz_call_fail_error(struct vz_call *call, const struct vz_error *err, enum vz_place place);
/* About one index: names it and its uuid. */
bool vz_call_fail_index(struct vz_call *call, const struct vz_error *err, enum vz_place place,
                        struct vz_index *index);
bool vz_call_unsupported(struct vz_call *call, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void vz_problem_no_index(struct vz_arena *arena, struct vz_slice name, struct vz_problem *problem);

bool vz_call_param(const struct vz_call *call, const char *name, struct vz_slice *value);
/* The value, or empty. */
struct vz_slice vz_call_text(const struct vz_call *call, const char *name);
/* Checked by the router already when the table types the parameter; "" is true. */
bool vz_call_bool(const struct vz_call *call, const char *name, bool otherwise);
int64_t vz_call_int(const struct vz_call *call, const char *name, int64_t otherwise);
/* "10m", "500ms", "-1" to milliseconds. */
bool vz_time_parse(struct vz_slice text, int64_t *ms);
bool vz_call_refresh(struct vz_call *call, enum vz_refresh *refresh);
/* Parses the request's body once. False with a problem when malformed, or when it is empty and
 * `required`; an empty body otherwise leaves *body missing. Freed with the call. */
bool vz_call_body(struct vz_call *call, enum vz_place place, bool required, struct vz_json *body);
unsigned vz_call_took_ms(const struct vz_call *call);
/* {"acknowledged":true} */
void vz_call_acknowledge(struct vz_call *call);
/* Whether an answer of `bytes` may be given; otherwise 429 circuit_breaking_exception. A client
 * chooses how many documents it asks for, and how often for the same one. */
bool vz_call_fits(struct vz_call *call, size_t bytes);
/* "_shards":{"total":n,"successful":n,"failed":0}; skipped when with_skipped. */
void vz_call_shards(struct vz_json_writer *w, unsigned total, unsigned successful,
                    bool with_skipped);
/* Splits a comma-separated list into the arena; empty parts are dropped. */
size_t vz_split(struct vz_arena *arena, struct vz_slice text, struct vz_slice **parts);
/* A string as it is, or a number as it is written (some clients send ids so), in the arena. False for
 * anything else, without a problem. */
bool vz_call_scalar(struct vz_call *call, struct vz_json value, struct vz_slice *text);
struct vz_slice vz_call_format(struct vz_call *call, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
#define VZ_S(slice) (int)(slice).len, (slice).ptr ? (slice).ptr : ""

/* ---- index expressions (resolve.c) --------------------------------------------------------- */

struct vz_resolved {
    struct vz_index **indices; /* references; vz_resolved_release */
    struct vz_slice *filters;  /* of the aliases that led there; empty: none */
    size_t count;
};
enum vz_resolve_flags {
    VZ_RESOLVE_ALIASES = 1,     /* aliases may be named */
    VZ_RESOLVE_LENIENT = 2,     /* default ignore_unavailable=true */
    VZ_RESOLVE_SOME = 4,        /* default allow_no_indices=false */
    VZ_RESOLVE_NO_WILDCARDS = 8, /* default expand_wildcards=none */
    VZ_RESOLVE_EVERY = 16,       /* default expand_wildcards=all */
    VZ_RESOLVE_CLOSED = 32,      /* closed indices may be named; only for what needs no documents */
    /* index.blocks.* that forbid it are a problem then */
    VZ_RESOLVE_READ = 64,
    VZ_RESOLVE_METADATA_READ = 128,
    VZ_RESOLVE_METADATA_WRITE = 256,
    VZ_RESOLVE_DELETE = 512,
    VZ_RESOLVE_AND_CLOSED = 1024 /* default expand_wildcards=open,closed */
};
/* Reads ignore_unavailable, allow_no_indices, expand_wildcards from the URL over the defaults in
 * `flags`. An empty expression means all indices. False with a problem. */
bool vz_resolve(struct vz_call *call, struct vz_slice expression, unsigned flags,
                struct vz_resolved *resolved);
/* As above without a call's problem: for msearch. `ignore_unavailable` etc. as given. */
enum { VZ_EXPAND_OPEN = 1, VZ_EXPAND_CLOSED = 2, VZ_EXPAND_HIDDEN = 4, VZ_EXPAND_ALL = 7 };
struct vz_resolve_options {
    bool aliases, ignore_unavailable, allow_no_indices;
    unsigned expand; /* VZ_EXPAND_...; 0: wildcards match nothing */
    unsigned flags;  /* VZ_RESOLVE_CLOSED and those of blocks */
};
/* expand_wildcards of a URL or a header, over what is in *expand. False: an unknown word, *wrong. */
bool vz_expand_parse(struct vz_arena *arena, struct vz_slice text, unsigned *expand,
                     struct vz_slice *wrong);
bool vz_resolve_with(struct vz_store *store, struct vz_arena *arena, struct vz_slice expression,
                     const struct vz_resolve_options *options, struct vz_resolved *resolved,
                     struct vz_problem *problem);
void vz_resolved_release(struct vz_resolved *resolved);
/* One index to read a document from: a name or an alias of exactly one. NULL with a problem. */
struct vz_index *vz_resolve_one(struct vz_store *store, struct vz_arena *arena,
                                struct vz_slice name, struct vz_problem *problem);
/* One index to write to; makes it when absent and `create`. NULL with a problem. */
struct vz_index *vz_resolve_write(struct vz_store *store, struct vz_arena *arena,
                                  struct vz_slice name, bool create, bool require_alias,
                                  struct vz_problem *problem);
/* True for names that no index can have and that Elasticsearch refuses even for reading; fills the
 * problem then. */
bool vz_name_refused(struct vz_arena *arena, struct vz_slice name, struct vz_problem *problem);

/* Whether each dense_vector of a mappings body that names an installed model (meta.model) has its
 * dimensions. False with a problem. */
bool vz_mapping_models_fit(struct vz_call *call, struct vz_json mappings);

/* number_of_replicas of an index, as its settings say. */
unsigned vz_index_replicas(struct vz_index *index);

/* ---- shared by the groups ------------------------------------------------------------------ */

/* _source, _source_includes, _source_excludes of the URL. */
struct vz_source_choice {
    bool off;
    struct vz_json_patterns includes, excludes;
};
void vz_source_of_params(struct vz_call *call, struct vz_source_choice *choice);
/* The "_source" member of a body: true, false, "a", ["a"], {"includes","excludes"}. False when it
 * is none of these. Borrows the document. */
bool vz_source_of_json(struct vz_arena *arena, struct vz_json value,
                       struct vz_source_choice *choice);
/* Appends the source, filtered when asked. */
void vz_source_print(const struct vz_source_choice *choice, struct vz_slice source,
                     struct vz_json_writer *w);

/* Reads a version_type: true for the external kinds (version_gte set for external_gte). */
bool vz_version_type(struct vz_slice type, struct vz_write *op, bool *known);
/* HTTP status and the word of "result" for a write that succeeded. */
int vz_write_status(enum vz_write_result result, const char **word);
/* Whether an index may be made with this alias: its name, its members, its filter. */
bool vz_alias_check(struct vz_call *call, struct vz_slice name, struct vz_json body);
/* {"filter":..., "index_routing":...} of one alias. */
void vz_alias_print(const struct vz_alias *alias, struct vz_json_writer *w);
/* Flattens {"index":{"a":{"b":1}}} into {"index.a.b":1}; `names`: patterns to keep, or none. */
void vz_settings_flatten(struct vz_json settings, struct vz_json_patterns names,
                         struct vz_json_writer *w);

/* Counters for /metrics and _nodes/stats. */
#define VZ_LATENCY_BUCKETS 14
extern const double vz_latency_bounds_s[VZ_LATENCY_BUCKETS];

struct vz_scrolls; /* scroll.c */
struct vz_tasks;   /* tasks.h */
struct vz_running;

struct vz_rest {
    struct vz_store *store;
    struct vz_infer *infer; /* NULL: no models */
    bool has_places;
    unsigned place_count;
    sem_t places; /* of requests that run, see vz_rest_options.concurrency */
    struct vz_ingest *ingest;       /* pipelines; locks itself */
    pthread_mutex_t templates_mutex; /* one change of templates at a time: they are checked against
                                      * each other */
    pthread_mutex_t ingest_mutex;   /* ingest_pool; changes of which model made a field */
    struct vz_pool *ingest_pool;    /* NULL until a large request needs it */
    char *node_name, *cluster_name;
    const char *reindex_remotes; /* or NULL; immutable */
    char node_id[23];
    uint64_t started_ns;
    int64_t started_ms;
    /* Set once by vz_rest_attach_server while requests may already run. */
    _Atomic(const struct vz_http_server *) server; /* release/acquire: publish_address first */
    char *publish_address;
    struct vz_scrolls *scrolls; /* locks itself */
    struct vz_tasks *tasks;     /* locks itself */
    const char **route_actions; /* of each route, or NULL; immutable */
    struct vz_pits *pits;       /* pit.h; locks itself */
    size_t max_answer_bytes;    /* more is 429; immutable, tests make it small */
    /* Until when searches go to workers, see vz_rest_quick. Relaxed: a hint. */
    _Atomic uint64_t searches_slow_until_ns;
    /* Relaxed counters: nothing is ordered by them. */
    _Atomic uint64_t requests_by_class[6];
    _Atomic uint64_t latency[VZ_LATENCY_BUCKETS + 1];
    _Atomic uint64_t latency_sum_ns;
    _Atomic uint64_t *route_requests; /* vz_route_count + 1; the last: no route */
    _Atomic uint64_t bulk_items, bulk_failed;
    _Atomic uint64_t auto_ids;
};

struct vz_scrolls *vz_scrolls_new(void);
void vz_scrolls_free(struct vz_scrolls *scrolls);
unsigned vz_scrolls_open(struct vz_scrolls *scrolls);
/* Ends what nobody asked for in time. Cheap when nothing is due. */
void vz_scrolls_expire(struct vz_scrolls *scrolls, uint64_t now_ns);

/* Prints a search answer's members (took .. hits) without the outer braces. */
struct vz_search_answer_options {
    bool total_as_int;
    unsigned shards;
    unsigned took_ms;
    struct vz_slice scroll_id, pit_id; /* or empty */
};
void vz_search_print(struct vz_json_writer *w, const struct vz_search_result *result,
                     const struct vz_search_answer_options *options);
/* watch.c. A search with these parameters stops when its task is cancelled and, with `connection`,
 * when the client has closed its connection. Valid as long as the call. */
void vz_call_watch(struct vz_call *call, bool connection, struct vz_search_params *params);
/* URL parameters of a search into the query room's struct. */
void vz_rest_validate(struct vz_call *call);
void vz_uri_query_of(struct vz_call *call, struct vz_uri_query *uri);
void vz_search_params_of(struct vz_call *call, struct vz_search_params *params);
/* The resolved indices as targets, in the call's arena. */
/* field_caps.c: an index_filter as a search of its own, whose JSON lives as long as *doc, which the
 * caller frees. NULL with a problem. */
struct vz_search *vz_index_filter(struct vz_call *call, struct vz_json filter,
                                  struct vz_json_doc **doc);
struct vz_search_target *vz_search_targets(struct vz_arena *arena,
                                           const struct vz_resolved *resolved);
/* Starts a scroll for a checked body and answers its first page. */
void vz_scroll_start(struct vz_call *call, struct vz_json body,
                     const struct vz_search_params *params, const struct vz_resolved *resolved);

/* Bytes; 0 where unknown. */
struct vz_memory {
    uint64_t resident, total, available; /* of this process; of the machine */
};
struct vz_memory vz_memory_read(void);

/* One shard an index; replicas are never assigned on one node, so an index with some is yellow. */
struct vz_health {
    size_t indices;
    uint64_t unassigned;
    double active_percent;
};
void vz_health_of(struct vz_store *store, struct vz_arena *arena, struct vz_health *health);

/* "127.0.0.1:9200", or "" before a server is attached. */
const char *vz_publish_address(const struct vz_rest *rest);
struct vz_slice vz_publish_ip(struct vz_call *call);
/* A member named by the node's id: its name, address, attributes and roles (nodes.c). */
void vz_call_node(struct vz_call *call);

/* ---- the handlers, by file ----------------------------------------------------------------- */

#define VZ_HANDLER(name) void vz_rest_##name(struct vz_call *call)
VZ_HANDLER(root);
VZ_HANDLER(license);
VZ_HANDLER(xpack);
VZ_HANDLER(index_create);
VZ_HANDLER(index_get);
VZ_HANDLER(index_exists);
VZ_HANDLER(index_delete);
VZ_HANDLER(index_close);
VZ_HANDLER(index_open);
VZ_HANDLER(index_block);
VZ_HANDLER(index_copy);
VZ_HANDLER(rollover);
VZ_HANDLER(index_refresh);
VZ_HANDLER(index_flush);
VZ_HANDLER(index_forcemerge);
VZ_HANDLER(index_stats);
VZ_HANDLER(index_resolve);
VZ_HANDLER(index_clear_cache);
VZ_HANDLER(mapping_get);
VZ_HANDLER(mapping_get_field);
VZ_HANDLER(mapping_put);
VZ_HANDLER(field_caps);
VZ_HANDLER(terms_enum);
VZ_HANDLER(termvectors);
VZ_HANDLER(mtermvectors);
VZ_HANDLER(settings_get);
VZ_HANDLER(settings_put);
VZ_HANDLER(alias_get);
VZ_HANDLER(alias_put);
VZ_HANDLER(alias_delete);
VZ_HANDLER(alias_update);
VZ_HANDLER(synonyms_put);
VZ_HANDLER(synonyms_get);
VZ_HANDLER(synonyms_list);
VZ_HANDLER(synonyms_delete);
VZ_HANDLER(synonym_rule_get);
VZ_HANDLER(synonym_rule_put);
VZ_HANDLER(synonym_rule_delete);
VZ_HANDLER(reload_analyzers);
VZ_HANDLER(template_put);
VZ_HANDLER(template_get);
VZ_HANDLER(template_delete);
VZ_HANDLER(template_simulate);
VZ_HANDLER(template_simulate_index);
VZ_HANDLER(component_put);
VZ_HANDLER(component_get);
VZ_HANDLER(component_delete);
VZ_HANDLER(legacy_put);
VZ_HANDLER(legacy_get);
VZ_HANDLER(legacy_delete);
VZ_HANDLER(doc_put);
VZ_HANDLER(doc_get);
VZ_HANDLER(doc_get_source);
VZ_HANDLER(doc_delete);
VZ_HANDLER(doc_update);
VZ_HANDLER(doc_mget);
VZ_HANDLER(bulk);
VZ_HANDLER(search);
VZ_HANDLER(count);
VZ_HANDLER(analyze);
VZ_HANDLER(explain);
VZ_HANDLER(msearch);
VZ_HANDLER(delete_by_query);
VZ_HANDLER(pit_open);
VZ_HANDLER(pit_close);
VZ_HANDLER(scroll_next);
VZ_HANDLER(scroll_clear);
VZ_HANDLER(cat);
VZ_HANDLER(cat_indices);
VZ_HANDLER(cat_count);
VZ_HANDLER(cat_health);
VZ_HANDLER(cat_aliases);
VZ_HANDLER(cat_nodes);
VZ_HANDLER(cat_shards);
VZ_HANDLER(cat_templates);
VZ_HANDLER(cat_components);
VZ_HANDLER(cat_master);
VZ_HANDLER(cat_plugins);
VZ_HANDLER(cat_tasks);
VZ_HANDLER(cat_pending_tasks);
VZ_HANDLER(cat_allocation);
VZ_HANDLER(cat_thread_pool);
VZ_HANDLER(cat_segments);
VZ_HANDLER(cat_recovery);
VZ_HANDLER(segments);
VZ_HANDLER(recovery);
VZ_HANDLER(shard_stores);
VZ_HANDLER(search_shards);
VZ_HANDLER(disk_usage);
VZ_HANDLER(cluster_state);
VZ_HANDLER(pending_tasks);
VZ_HANDLER(features);
VZ_HANDLER(health_report);
VZ_HANDLER(cluster_health);
VZ_HANDLER(cluster_stats);
VZ_HANDLER(cluster_settings);
VZ_HANDLER(cluster_settings_put);
VZ_HANDLER(nodes_info);
VZ_HANDLER(nodes_stats);
VZ_HANDLER(tasks);
VZ_HANDLER(task_get);
VZ_HANDLER(tasks_cancel);
VZ_HANDLER(rethrottle);
VZ_HANDLER(update_by_query);
VZ_HANDLER(reindex);
VZ_HANDLER(script_put);
VZ_HANDLER(script_get);
VZ_HANDLER(script_delete);
VZ_HANDLER(search_template);
VZ_HANDLER(msearch_template);
VZ_HANDLER(render_template);
VZ_HANDLER(rank_eval);
VZ_HANDLER(data_streams);
VZ_HANDLER(metrics);
VZ_HANDLER(ingest_put);
VZ_HANDLER(ingest_get);
VZ_HANDLER(ingest_delete);
VZ_HANDLER(ingest_simulate);
VZ_HANDLER(ingest_grok);
VZ_HANDLER(ml_info);
VZ_HANDLER(ml_get);
VZ_HANDLER(ml_put);
VZ_HANDLER(ml_put_part);
VZ_HANDLER(ml_put_vocabulary);
VZ_HANDLER(ml_delete);
VZ_HANDLER(ml_stats);
VZ_HANDLER(ml_alias_put);
VZ_HANDLER(ml_alias_delete);
VZ_HANDLER(ml_start);
VZ_HANDLER(ml_stop);
VZ_HANDLER(ml_update);
VZ_HANDLER(ml_clear_cache);
VZ_HANDLER(ml_infer);
VZ_HANDLER(inference_put);
VZ_HANDLER(inference_update);
VZ_HANDLER(inference_get);
VZ_HANDLER(inference_delete);
VZ_HANDLER(inference_run);

#endif
