/* store/mapping.h - what fields an index has and how each is kept.
 *
 * A mapping is immutable and reference counted: whoever reads holds a reference; a change makes a
 * new mapping with all old fields at the same ids (ids are never reused or reordered) and the index
 * swaps it in. Field ids are what columns, vectors and documents are keyed by on disk.
 *
 * Threads: an acquired mapping may be read from any thread.
 */
#ifndef VZ_STORE_MAPPING_H
#define VZ_STORE_MAPPING_H

#include "base/mem.h"
#include "base/status.h"
#include "vector/distance.h"
#include "json/json.h"

enum vz_field_type {
    VZ_FIELD_OBJECT, /* also the root's children that hold properties; no values of its own */
    VZ_FIELD_NESTED, /* properties below are kept in _source; their vectors are indexed */
    VZ_FIELD_TEXT,   /* analysed: its tokens are in the index's postings */
    VZ_FIELD_KEYWORD,
    VZ_FIELD_LONG,
    VZ_FIELD_INTEGER,
    VZ_FIELD_SHORT,
    VZ_FIELD_BYTE,
    VZ_FIELD_UNSIGNED_LONG,
    VZ_FIELD_DOUBLE,
    VZ_FIELD_FLOAT,
    VZ_FIELD_HALF_FLOAT,
    VZ_FIELD_BOOLEAN,
    VZ_FIELD_DATE, /* milliseconds since 1970 UTC */
    VZ_FIELD_GEO_POINT,
    VZ_FIELD_DENSE_VECTOR,
    VZ_FIELD_BINARY,           /* kept only */
    VZ_FIELD_ALIAS,            /* another name of a field */
    VZ_FIELD_CONSTANT_KEYWORD, /* one value for the whole index */
    VZ_FIELD_WILDCARD,         /* a keyword without a limit of length */
    VZ_FIELD_IP,               /* kept as text in its one canonical form, see store/ip.h */
    VZ_FIELD_SCALED_FLOAT,     /* rounded to multiples of 1 / scaling_factor */
    VZ_FIELD_FLATTENED,        /* an object as one field: all values of its leaves */
    VZ_FIELD_FLATTENED_KEYED,  /* hidden child of FLATTENED: "key\0value" of its leaves */
    VZ_FIELD_SEMANTIC_TEXT,    /* its vectors are made by a model, in hidden fields */
    VZ_FIELD_COMPLETION,       /* inputs with weights, as terms: text/completion.h */
    VZ_FIELD_RANK_FEATURE,     /* a positive float that scores, see query/rank_feature.c */
    VZ_FIELD_AS_YOU_TYPE       /* only while a mapping is read: such a field is a TEXT then, see
                                * as_you_type */
};

/* How a field's values are kept in its column; see store.h. */
enum vz_column_kind {
    VZ_COLUMN_NONE,     /* object, binary, disabled */
    VZ_COLUMN_PRESENCE, /* only which documents have it: text, vectors, not indexed */
    VZ_COLUMN_I64,      /* long .. byte, date, boolean (0/1), unsigned_long (as u64 bits ^ 2^63) */
    VZ_COLUMN_F64,      /* double, float, half_float */
    VZ_COLUMN_ORDINAL,  /* keyword: u32 into the index's dictionary */
    VZ_COLUMN_GEO       /* double lat, double lon */
};

/* How a field's matches are scored: BM25 with its constants, or boolean (the boost of each term).
 */
struct vz_similarity_rule {
    char name[64];
    bool is_boolean;
    float k1, b;
};
enum vz_dynamic { VZ_DYNAMIC_TRUE, VZ_DYNAMIC_FALSE, VZ_DYNAMIC_STRICT, VZ_DYNAMIC_RUNTIME };

enum { VZ_VECTOR_TERMS = 1, VZ_VECTOR_POSITIONS = 2, VZ_VECTOR_OFFSETS = 4 };

struct vz_derived;
struct vz_field {
    uint16_t id;
    enum vz_field_type type;
    enum vz_column_kind column;
    struct vz_slice path; /* "exif.date", "breed.keyword" */
    struct vz_slice name; /* the last part */
    uint16_t parent;      /* id of the enclosing object, VZ_NO_FIELD at the root */
    bool is_multi_field;  /* under another field's "fields": fed from that field's value */
    bool under_nested;    /* below a nested object: not in top-level columns */
    bool in_root;         /* nested: its values are in top-level columns, too (include_in_root) */
    bool indexed;         /* false refuses queries: neither "index" nor "doc_values" */
    bool doc_values;      /* false refuses sorting, aggregations and scripts */
    bool enabled;         /* objects: "enabled": false keeps only _source */
    bool ignore_malformed;
    uint32_t ignore_above; /* keyword, in characters; 0: no limit */
    bool has_null_value;
    struct vz_slice null_value; /* text of the JSON value */
    struct vz_slice format;     /* date; empty: strict_date_optional_time||epoch_millis */
    enum vz_dynamic dynamic;    /* objects */
    uint16_t alias_of;          /* VZ_FIELD_ALIAS */
    double scaling_factor;      /* scaled_float */
    struct vz_slice value;      /* constant_keyword; has_value: it has one */
    bool has_value;
    uint32_t depth_limit; /* flattened: objects within objects, 20 */
    uint16_t keyed;       /* flattened: the id of its FLATTENED_KEYED */
    /* flattened: set in copies of the keyed field that stand for one key of it, see
     * vz_mapping_find_key. */
    struct vz_slice key;
    /* dense_vector */
    uint32_t dims; /* 0 until the first vector sets it */
    enum vz_similarity similarity;
    enum vz_element element;     /* element_type */
    uint32_t m, ef_construction; /* 16, 100 */
    bool flat;                   /* index_options.type flat kinds: no graph */
    uint32_t quantize;           /* enum vz_quantize of the kind, see vector/hnsw.h */
    float oversample;            /* rescore_vector.oversample: 1..10; 0: none asked for */
    struct vz_slice index_type;  /* as asked: "hnsw", "int8_hnsw", ... ; kept for GET _mapping */
    struct vz_slice model;       /* meta.model: which model made the vectors, empty when unknown */
    struct vz_slice model_digest; /* meta.model_digest: of that model's weights, likewise */
    /* text: what makes tokens of a value, of a query, of a quoted query. They live as long as the
     * mapping. keyword: `normalizer`, or NULL. */
    const struct vz_analyzer *analyzer, *search_analyzer, *search_quote_analyzer, *normalizer;
    uint32_t gap;        /* position_increment_gap */
    struct vz_similarity_rule scoring; /* text, keyword: `similarity`, else the index's default */
    uint8_t vector_parts; /* text: what term_vector keeps, VZ_VECTOR_...; 0: nothing */
    uint8_t text_flags;  /* enum vz_text_flags: what its postings hold */
    /* text that is a search_as_you_type: max_shingle_size, 2..4; else 0. Its hidden multi-fields
     * _2gram .. and _index_prefix have `shingles`: the words of one term; is_prefix: of its
     * beginnings. */
    uint8_t as_you_type, shingles;
    bool is_prefix;
    uint16_t prefix_field; /* as_you_type and shingles: id of _index_prefix */
    uint32_t source_len;   /* of `path`: the part that is where the value stands in documents */
    bool no_separators, no_gaps; /* completion: preserve_* is false */
    uint32_t max_input_length;   /* completion, UTF-16 units */
    bool has_offsets;        /* text: index_options or term_vector ask for offsets; highlighting */
    bool has_vector_offsets; /* analyses the source anyway, but limits and refuses by them */
    /* semantic_text: `dims`, `model` and `model_digest` above too, 0 and empty before the first use */
    bool any_input; /* it was called `semantic`, not `semantic_text` */
    struct vz_slice inference_id, search_inference_id; /* empty: not given */
    struct vz_slice chunking; /* chunking_settings, JSON; empty: those of the endpoint */
    uint16_t vectors;         /* its hidden dense_vector field, VZ_NO_FIELD before the first use */
    /* A field of one request, of no mapping: the query room's, see query/runtime.c. Else NULL. */
    const struct vz_derived *derived;
    bool negative_impact; /* rank_feature: "positive_score_impact": false */
};

/* "keyword", "long", ... ; of both flattened kinds "flattened". */
const char *vz_field_type_name(enum vz_field_type type);
bool vz_field_type_find(struct vz_slice name, enum vz_field_type *type);
/* The JSON of its parameter "meta", empty without one. Only for fields of a mapping, no copies. */
struct vz_slice vz_field_meta(const struct vz_field *field);
/* Where its values stand in documents: of a multi-field the field that it belongs to. */
static inline struct vz_slice vz_field_source_path(const struct vz_field *field)
{
    return (struct vz_slice){field->path.ptr,
                             field->is_multi_field ? field->source_len : field->path.len};
}
/* As a mapping declares it: of a search_as_you_type VZ_FIELD_AS_YOU_TYPE, not what it is kept as. */
static inline enum vz_field_type vz_field_declared(const struct vz_field *field)
{
    return field->as_you_type || field->shingles ? VZ_FIELD_AS_YOU_TYPE : field->type;
}
/* Kept in a dictionary of texts, asked as a keyword is. */
static inline bool vz_field_is_keyword(const struct vz_field *field)
{
    return field->type == VZ_FIELD_KEYWORD || field->type == VZ_FIELD_CONSTANT_KEYWORD ||
           field->type == VZ_FIELD_WILDCARD || field->type == VZ_FIELD_FLATTENED ||
           field->type == VZ_FIELD_FLATTENED_KEYED;
}

#define VZ_NO_FIELD ((uint16_t)0xFFFF)
/* The root of the hidden fields and, in a document, of what models made of its semantic fields. */
#define VZ_INFERENCE_FIELDS "_inference_fields"
#define VZ_MAX_FIELDS 1000 /* index.mapping.total_fields.limit */

struct vz_mapping;
struct vz_analysis;
struct vz_analyzer;

#define VZ_MAX_SIMILARITIES 32

/* What the index's settings say about its mapping: index.mapping.*, index.similarity.*. */
struct vz_mapping_rules {
    uint32_t total_fields, depth, nested_fields, nested_objects;
    uint32_t name_length;          /* characters of one name */
    bool ignore_beyond;            /* dynamic fields over total_fields are left out */
    bool ignore_malformed, coerce; /* of fields that do not say */
    struct vz_similarity_rule similarities[VZ_MAX_SIMILARITIES];
    size_t similarity_count;
};
/* Before the mapping is shared; merges keep them. A new mapping has Elasticsearch's defaults. */
void vz_mapping_set_rules(struct vz_mapping *mapping, const struct vz_mapping_rules *rules);
/* A copy with other rules; limits are not checked, they count for what comes next. */
enum vz_status vz_mapping_with_rules(const struct vz_mapping *base,
                                     const struct vz_mapping_rules *rules, struct vz_mapping **out,
                                     struct vz_error *err);
const struct vz_mapping_rules *vz_mapping_get_rules(const struct vz_mapping *mapping);

/* An empty mapping (dynamic: true). One reference. */
struct vz_mapping *vz_mapping_new(void);
/* The same with an index's own analyzers (NULL: the built-in ones); the mapping takes a reference,
 * and so does every one that is merged into it. */
struct vz_mapping *vz_mapping_new_with(struct vz_analysis *analysis);
struct vz_analysis *vz_mapping_analysis(const struct vz_mapping *mapping); /* borrowed */
struct vz_mapping *vz_mapping_acquire(struct vz_mapping *mapping);
void vz_mapping_release(struct vz_mapping *mapping);

/* Merges a mappings body ({"properties": {...}, "dynamic": ..., "_meta": ..., "_source": ...})
 * into `base` and gives a new mapping. Elasticsearch's rules: types cannot change; dims, similarity
 * and index_options of an existing vector cannot change (flat -> hnsw kinds upgrades excepted).
 * Errors: VZ_BAD_MAPPING, worded as Elasticsearch does: what cannot be read is "Failed to parse
 * mapping: The mapper type [foo] declared on field [bar] does not exist. ..." (unknown parameters,
 * dims out of 1..4096, ...) with the part behind the colon as the cause: a
 * mapper_parsing_exception; what cannot be changed has no such beginning ("mapper [breed] cannot be
 * changed from type [keyword] to [long]"): an illegal_argument_exception. VZ_LIMIT (field count,
 * depth), VZ_UNSUPPORTED (known to Elasticsearch, not done here). *out is NULL then; `base` (NULL:
 * an empty mapping) is never touched. Names with dots make objects. */
enum vz_status vz_mapping_merge(const struct vz_mapping *base, struct vz_json body,
                                struct vz_mapping **out, struct vz_error *err);

size_t vz_mapping_count(const struct vz_mapping *mapping);
const struct vz_field *vz_mapping_field(const struct vz_mapping *mapping, uint16_t id);
/* By full path; aliases are resolved. NULL when there is none. */
const struct vz_field *vz_mapping_find(const struct vz_mapping *mapping, struct vz_slice path);
/* Whether "_source" of the mapping leaves something out of what is shown; it is kept all the same,
 * as all derived data is made from it. */
bool vz_mapping_filters_source(const struct vz_mapping *mapping);
/* The source without that, in the arena. */
struct vz_slice vz_mapping_filter_source(const struct vz_mapping *mapping, struct vz_slice source,
                                         struct vz_arena *arena);
/* A key within a flattened field ("labels.priority"): fills *field with a copy of the hidden field
 * whose terms are "key\0value", its path as asked, its `key` set (both borrow `path`). False when
 * the path is not below a flattened field, or is a field of its own. */
bool vz_mapping_find_key(const struct vz_mapping *mapping, struct vz_slice path,
                         struct vz_field *field);
/* Whether the values of `from` are copied to the field of that path (copy_to). */
bool vz_field_copies_to(const struct vz_field *from, struct vz_slice path);
enum vz_dynamic vz_mapping_root_dynamic(const struct vz_mapping *mapping);

/* "cosine", "l2_norm" ... */
const char *vz_similarity_name(enum vz_similarity similarity);
/* Whether a field is one of those that hold a semantic field's vectors: no client sees them. */
bool vz_field_is_hidden(const struct vz_field *field);
/* "store": true: stored_fields shows it. */
bool vz_field_is_stored(const struct vz_field *field);
/* The vectors of a semantic field; NULL when it is none or has none yet. */
const struct vz_field *vz_mapping_vectors(const struct vz_mapping *mapping,
                                          const struct vz_field *field);
/* Which texts of a document have to go to which models before it is written, as a number: of
 * another mapping it is the same when that asks for the same. 0: none. */
uint64_t vz_mapping_semantics(const struct vz_mapping *mapping);
/* The fields whose values a semantic field gets: itself or the field it is a multi-field of, and
 * those that are copied to it. At most `max` paths; how many. */
size_t vz_mapping_semantic_sources(const struct vz_mapping *mapping, const struct vz_field *field,
                                   struct vz_slice *out, size_t max);
/* chunking_settings as a mapping or an endpoint gives them. VZ_BAD_MAPPING. */
enum vz_status vz_chunking_check(struct vz_json settings, struct vz_error *err);

/* Appends {"properties":{...}} as GET _mapping prints it ("mappings" body). */
void vz_mapping_print(const struct vz_mapping *mapping, struct vz_buf *out);
/* For disk: JSON that vz_mapping_load reads back with the same field ids. */
void vz_mapping_save(const struct vz_mapping *mapping, struct vz_buf *out);
enum vz_status vz_mapping_load(struct vz_slice json, struct vz_mapping **out, struct vz_error *err);
/* With an index's own analyzers. A name that they do not have is the default analyzer here: an
 * index must open. */
enum vz_status vz_mapping_load_with(struct vz_slice json, struct vz_analysis *analysis,
                                    struct vz_mapping **out, struct vz_error *err);

/* Parses a date by the field's format (strict_date_optional_time, epoch_millis, epoch_second,
 * date, basic_date, yyyy-MM-dd and other Java patterns of y M d H m s S X, `||` alternatives).
 * Date math ("now-1d/d", "2024-01-01||+1M") when allow_math; round_up rounds to the end of the
 * unit, as gt and lte need. VZ_BAD_ARGUMENT with Elasticsearch's words. */
enum vz_status vz_date_parse(struct vz_slice format, struct vz_slice text, bool allow_math,
                             bool round_up, int64_t now_ms, int64_t *out_ms, struct vz_error *err);
/* Prints milliseconds in the first alternative of `format`, in UTC; strict_date_optional_time
 * ("2024-05-06T07:08:09.123Z") when it is empty. For another format than the field's, pass that. */
/* Checks a date format: names and patterns known. VZ_BAD_MAPPING. */
enum vz_status vz_date_format_check(struct vz_slice format, struct vz_error *err);
void vz_date_print(struct vz_slice format, int64_t ms, struct vz_buf *out);
/* {"lat","lon"}, [lon, lat], "lat,lon", "POINT (lon lat)", GeoJSON point, geohash. */
/* The same without a look at whether there is such a place on earth. */
enum vz_status vz_geo_parse_any(struct vz_json value, double *lat, double *lon,
                                struct vz_error *err);
enum vz_status vz_geo_parse(struct vz_json value, double *lat, double *lon, struct vz_error *err);

#endif
