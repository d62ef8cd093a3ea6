/* query/scripting.h - scripts over documents: what a body says, bound to one snapshot and run.
 *
 * Private to the room. A script is compiled for every target, because what it names (fields, their
 * vectors) is looked up then and not for every document. Documents are best asked for in ascending
 * order: columns are walked with cursors.
 *
 * Errors of scripts are VZ_BAD_QUERY whose text is "runtime error" or "compile error", a line feed,
 * the place in the excerpt, a line feed and the excerpt of the source; the cause is Elasticsearch's
 * name of the exception, a line feed and what it says. src/rest makes a script_exception of that.
 */
#ifndef VZ_QUERY_SCRIPTING_H
#define VZ_QUERY_SCRIPTING_H

#include "query/parts.h"
#include "script/script.h"

/* "script": what a body says. */
struct vz_script_text {
    struct vz_slice source;
    struct vz_json params; /* an object or MISSING */
    bool has_num_terms;    /* terms_set: one more parameter */
    int64_t num_terms;
};
/* A string or {"source", "params", "lang"}. `where` names the part of the body in errors. */
enum vz_status vz_script_text_parse(const char *where, struct vz_json value,
                                    struct vz_script_text *out, struct vz_error *err);

struct vz_doc_script;
/* Compiles for a snapshot. `with_score`: _score and the functions of script_score may be used. */
enum vz_status vz_doc_script_open(struct vz_eval *eval, const struct vz_script_text *text,
                                  bool with_score, struct vz_doc_script **out,
                                  struct vz_error *err);
/* The same with functions of the caller's, whose context is the doc_script, instead of a score. */
enum vz_status vz_doc_script_open_with(struct vz_eval *eval, const struct vz_script_text *text,
                                       const struct vz_script_function *functions, size_t count,
                                       struct vz_doc_script **out, struct vz_error *err);
void vz_doc_script_close(struct vz_doc_script *script);
bool vz_doc_script_uses_score(const struct vz_doc_script *script);
enum vz_status vz_doc_script_number(struct vz_doc_script *script, uint32_t docno, double score,
                                    double *out, struct vz_error *err);
/* *out lives until the next run. */
enum vz_status vz_doc_script_value(struct vz_doc_script *script, uint32_t docno, double score,
                                   struct vz_value **out, struct vz_error *err);
/* When the script is a vector function, times a factor, plus a summand: all documents of `bits` at
 * the speed of memory into scores[]. False when it is not; nothing was done then. Stops at what
 * cannot be scored (*status), or when the search is late. */
bool vz_doc_script_scan(struct vz_doc_script *script, const struct vz_bitset *bits, float *scores,
                        enum vz_status *status, struct vz_error *err);

/* ---- inside -------------------------------------------------------------------------------- */

/* A field's column with a cursor. */
struct vz_doc_field {
    struct vz_slice name;
    const struct vz_field *field;
    struct vz_column column;
    size_t at;
    struct vz_slice *terms; /* by ordinal, read when first met */
    void *scratch;          /* of one document's values */
    size_t scratch_bytes;
    struct vz_vector_rows rows;
};

struct vz_doc_script {
    struct vz_eval *eval;
    struct vz_script_text text;
    struct vz_script *script;
    struct vz_arena program, scratch; /* scratch: of one run */
    struct vz_script_run run;
    struct vz_script_watch watch; /* the eval's deadline and its stop */
    uint32_t docno;
    struct vz_doc_field **fields;
    size_t field_count, field_capacity;
    struct vz_error refused;        /* why a field could not be read */
    struct vz_vector_call *vectors; /* all prepared ones, linked */
    void *emits;                    /* runtime.c's own */
};

/* The functions of script_score; context of calls and prepares is the doc_script. */
extern const struct vz_script_function vz_score_functions[];
extern const size_t vz_score_function_count;

/* script_vector.c */
enum vz_vector_measure {
    VZ_MEASURE_COSINE,
    VZ_MEASURE_DOT,
    VZ_MEASURE_L1,
    VZ_MEASURE_L2,
    VZ_MEASURE_HAMMING
};
struct vz_vector_call {
    struct vz_vector_call *next;
    enum vz_vector_measure measure;
    const struct vz_field *field;
    struct vz_vector_rows rows;
    uint32_t row; /* cursor */
    size_t dims;
    float *query;  /* aligned, of unit length for the cosine; owned */
    int8_t *bytes; /* of byte and bit fields; owned */
    double length; /* of the query as given */
    float *raw;    /* a row as it was given; owned */
    bool needs_raw;
};
void vz_vector_calls_free(struct vz_vector_call *calls);
/* script_vector.c: prepared for the table above. */
enum vz_status vz_vector_prepare(struct vz_doc_script *script, enum vz_vector_measure measure,
                                 const struct vz_value *const *constant, void **prepared,
                                 struct vz_error *err);
enum vz_status vz_vector_measure(struct vz_doc_script *script, struct vz_vector_call *call,
                                 double *out, struct vz_error *err);
/* The same for several documents, ascending: floats without detours are read in one go. */
enum vz_status vz_vector_measure_block(struct vz_doc_script *script, struct vz_vector_call *call,
                                       const uint32_t *docs, size_t count, double *out,
                                       struct vz_error *err);
/* Whether a prepared call of function number `function` is one of vectors. */
bool vz_score_function_is_vector(unsigned function);

/* ---- decays: also function_score's ------------------------------------------------------------
 */

enum vz_decay_shape { VZ_DECAY_LINEAR, VZ_DECAY_EXP, VZ_DECAY_GAUSS };
struct vz_decay {
    enum vz_decay_shape shape;
    double offset, scale; /* the scale as the formula wants it */
};
void vz_decay_init(struct vz_decay *decay, enum vz_decay_shape shape, double scale, double offset,
                   double at_scale);
double vz_decay_at(const struct vz_decay *decay, double distance);
/* "10d", "1.5h", "500ms", "0" -> milliseconds */
bool vz_query_duration(struct vz_slice text, double *ms);
/* [0, 1), the same for the same two numbers. */
double vz_query_random(uint64_t seed, uint64_t what);

#endif
