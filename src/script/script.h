/* script/script.h - a small safe language: the common part of Elasticsearch's Painless.
 *
 * Compiled once, run often; no loops without end, no memory without bound, nothing reachable but
 * what the host gives. For script_score, script sorts and fields, aggregations' bucket scripts,
 * ingest conditions and the script processor, updates.
 * Not for: where values come from (the host says), JSON (json/value.h).
 *
 * The language: literals, `params.x`, `doc['f'].value` and its like, `ctx.a.b`, `_score`, local
 * variables (def, int, long, double, float, boolean, String, List, Map), arithmetic as Java does
 * it (integers divide whole, int64; division by zero is an error), comparison, && || !, ?: ?. ?:
 * (elvis), assignment, if/else, for, for each, while, return, `new ArrayList()`, `new HashMap()`,
 * list and map literals, the methods of String, List, Map, Math, and functions of the host
 * (cosineSimilarity and others). What Painless has beyond that is refused by name when compiled.
 *
 * Threads: a program may be run by any number of threads at once, each with its own arena.
 *
 *     vz_script_compile(VZ_SLICE("doc['price'].value * params.f"), &host, &arena, &program, &err);
 *     vz_script_run_number(program, &run, &score, &err);
 */
#ifndef VZ_SCRIPT_SCRIPT_H
#define VZ_SCRIPT_SCRIPT_H

#include "json/value.h"

/* At most so many characters of source, and so many steps (an operation or a pass of a loop) and
 * bytes in one run. */
#define VZ_SCRIPT_MAX_SOURCE 16384
#define VZ_SCRIPT_MAX_STEPS 1000000
#define VZ_SCRIPT_WATCHED_STEPS 65536
#define VZ_SCRIPT_MAX_BYTES (16u << 20)

struct vz_script; /* lives in the arena that it was compiled into */

/* A field of the document at hand, for doc['name']. Multi-valued fields are sorted ascending as
 * doc values are. */
struct vz_script_field {
    enum {
        VZ_SCRIPT_ABSENT, /* no such field in the mapping */
        VZ_SCRIPT_INTS,   /* and dates as milliseconds, booleans as 0 and 1 */
        VZ_SCRIPT_DATES,
        VZ_SCRIPT_BOOLS,
        VZ_SCRIPT_DOUBLES,
        VZ_SCRIPT_STRINGS,
        VZ_SCRIPT_GEO,
        VZ_SCRIPT_VECTOR /* a dense_vector: count is its dims */
    } kind;
    size_t count; /* 0: the document has no value; .value is then an error as in Painless */
    union {
        const int64_t *ints;
        const double *doubles;
        const struct vz_slice *strings; /* kept by pointer into what the script makes */
        const float *floats;
        const struct vz_script_geo {
            double lat, lon;
        } * geo;
    };
};

/* A function of the host, such as cosineSimilarity(params.v, 'field'). */
struct vz_script_function {
    const char *name;
    unsigned min_args, max_args;
    /* Called when compiling with the arguments that are constant (params and literals) in
     * constant[i], NULL for others: may check them and prepare something (kept in *prepared). NULL:
     * nothing to prepare. `context` is the host's. */
    enum vz_status (*prepare)(void *context, const struct vz_value *const *constant, size_t count,
                              void **prepared, struct vz_error *err);
    enum vz_status (*call)(void *run_context, void *prepared, const struct vz_value *const *args,
                           size_t count, double *out, struct vz_error *err);
};

/* What scripts of one kind may use. Names not in here do not compile. */
struct vz_script_host {
    bool has_doc, has_score, has_ctx; /* doc[...], _score, ctx */
    const struct vz_value *params;    /* an object or NULL: constants of the program */
    const struct vz_script_function *functions;
    size_t function_count;
    void *context; /* for prepare */
    /* Other top-level names that each run gives as values ("buckets", "state"); NULL-ended. */
    const char *const *variables;
};

/* The program and what it needs live in the arena; `source` and params are copied. Errors:
 * VZ_BAD_ARGUMENT with the offset into the source and a sentence ("unexpected token ['}']",
 * "unknown variable [foo]"), VZ_UNSUPPORTED for what Painless has and this has not, VZ_LIMIT. */
enum vz_status vz_script_compile(struct vz_slice source, const struct vz_script_host *host,
                                 struct vz_arena *arena, struct vz_script **out,
                                 struct vz_error *err);

/* Whoever waits for scripts may stop waiting: asked about every VZ_SCRIPT_WATCHED_STEPS steps of all
 * runs that share it, however little each does. */
struct vz_script_watch {
    bool (*stopped)(void *context);
    void *context;
    uint64_t steps; /* since it was asked */
};

/* One run. */
struct vz_script_run {
    struct vz_arena *arena; /* for values made on the way; the caller may reset it between runs */
    void *context;          /* given to `field` and to functions */
    /* Fills *field; asked once a place in the program and run. */
    void (*field)(void *context, struct vz_slice name, struct vz_script_field *field);
    double score;                /* _score */
    struct vz_value *ctx;        /* may be changed by the script */
    struct vz_value **variables; /* as the host named them */
    struct vz_script_watch *watch; /* or NULL */
};

/* Whether _score is read: a search may skip scoring otherwise. */
bool vz_script_uses_score(const struct vz_script *script);
/* Whether the program is a call of a host's function with constant arguments only, times a factor,
 * plus a summand ("cosineSimilarity(params.v, 'f') + 1.0"): a host may then compute many at once.
 * *function is the index among the host's. */
bool vz_script_is_linear(const struct vz_script *script, unsigned *function, void **prepared,
                         double *factor, double *summand);

/* Errors: VZ_BAD_ARGUMENT (what Painless would throw: division by zero, a missing value, a wrong
 * type, an index out of bounds) with the offset into the source and, as the cause, Elasticsearch's
 * name of the exception ("arithmetic_exception"), VZ_LIMIT (steps, bytes), VZ_CANCELLED (by the
 * watch). *out is null for a
 * script without a result; a tree that holds itself or is too large to be JSON is an error. */
enum vz_status vz_script_run(const struct vz_script *script, const struct vz_script_run *run,
                             struct vz_value **out, struct vz_error *err);
/* The result as a number (booleans are errors); allocates nothing for programs that compute with
 * numbers only: the fast path of script_score. */
enum vz_status vz_script_run_number(const struct vz_script *script, const struct vz_script_run *run,
                                    double *out, struct vz_error *err);
/* The result must be a boolean. */
enum vz_status vz_script_run_bool(const struct vz_script *script, const struct vz_script_run *run,
                                  bool *out, struct vz_error *err);

#endif
