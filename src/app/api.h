/* app/api.h - what the applications ask of a REST API: one request, every document of an index,
 * many writes at once, and what an index remembers about the model that made its vectors.
 *
 * Everything goes through a `struct vz_transport`, so it works the same in this process, against a
 * server of ours and against any Elasticsearch. Not for: what the documents mean (dogs.h,
 * pictures.h). Threads: those of the transport: one call at a time.
 *
 *     vz_api_about(&transport, "pictures", &about, &err);
 *     vz_api_scan(&transport, "pictures", &(struct vz_api_scan){0}, see, me, &err);
 *     vz_api_about_deinit(&about);
 */
#ifndef VZ_APP_API_H
#define VZ_APP_API_H

#include "app/transport.h"
#include "json/json.h"

#define VZ_INDEX_NAME_MAX 256 /* with its NUL */

/* One request whose answer must be a success, parsed. `doing` stands before the reason of a
 * refusal. Free *doc, also after an error. */
enum vz_status vz_api_ask(const struct vz_transport *transport, const char *method,
                          const char *path, struct vz_slice body, const char *doing,
                          struct vz_json_doc **doc, struct vz_json *root, struct vz_error *err);
/* The error for a success whose body is not what the API answers. */
enum vz_status vz_api_strange(const char *doing, struct vz_error *err);
/* Appends `text` percent-encoded as one part of a path. */
void vz_api_escape(struct vz_buf *out, const char *text);

/* ---- models -------------------------------------------------------------------------------- */

/* What made the vectors of an index: `meta.model` and `meta.model_digest` of its vector field. */
struct vz_app_model {
    char name[256];
    char digest[65]; /* embed/registry.h; "" for the built-in eye and where nobody wrote it */
    uint32_t dims;   /* 0: not known */
};
/* The same weights: by digest where both have one, else by name. */
bool vz_app_model_same(const struct vz_app_model *a, const struct vz_app_model *b);
/* "{"model":...,"model_digest":...}" into `w`. */
void vz_app_model_put_meta(struct vz_json_writer *w, const struct vz_app_model *model,
                           bool with_digest);

/* ---- an index ------------------------------------------------------------------------------ */

struct vz_api_about {
    char name[VZ_INDEX_NAME_MAX]; /* of the index itself, also when it was asked for by an alias */
    bool is_alias;
    char vector_field[64];     /* the one dense_vector field at the top; "" without one */
    struct vz_app_model model; /* name "": it remembers none */
    struct vz_json mappings;
    struct vz_json_doc *doc;
};
/* Errors: VZ_NO_INDEX; VZ_BAD_ARGUMENT when an alias stands for several. deinit after VZ_OK only.
 */
enum vz_status vz_api_about(const struct vz_transport *transport, const char *index,
                            struct vz_api_about *about, struct vz_error *err);
void vz_api_about_deinit(struct vz_api_about *about);

/* PUT /index. VZ_EXISTS when it is there already. A `meta` that the other side finds too long
 * (Elasticsearch allows 50 characters) is sent again without the digest: `body` is called twice
 * then. */
enum vz_status vz_api_create(const struct vz_transport *transport, const char *index,
                             void (*body)(void *context, bool with_digest, struct vz_buf *out),
                             void *context, struct vz_error *err);
enum vz_status vz_api_count(const struct vz_transport *transport, const char *index,
                            uint64_t *count, struct vz_error *err);
enum vz_status vz_api_refresh(const struct vz_transport *transport, const char *index,
                              struct vz_error *err);

/* ---- every document ------------------------------------------------------------------------ */

struct vz_api_hit {
    struct vz_slice id;
    struct vz_json source;       /* missing when `source` was "false" */
    struct vz_slice source_text; /* exactly as answered */
    uint64_t seq_no;
};
struct vz_api_scan {
    const char *query;  /* JSON; NULL: all */
    const char *source; /* JSON of _source; NULL: whole */
    size_t page;        /* documents a request; 0: 1,000 */
};
/* Visits every document of one snapshot, in the index's order; borrowed during the visit. A visit
 * that fails ends the scan. */
enum vz_status vz_api_scan(const struct vz_transport *transport, const char *index,
                           const struct vz_api_scan *scan,
                           enum vz_status (*visit)(void *context, const struct vz_api_hit *hit,
                                                   struct vz_error *err),
                           void *context, struct vz_error *err);

/* ---- many writes --------------------------------------------------------------------------- */

struct vz_api_written {
    bool created;                   /* else changed, deleted, or gone already */
    const struct vz_error *failure; /* NULL: written */
};
/* One _bulk of `count` actions; `visit` is told of each, in order. VZ_OK also when single ones
 * failed; VZ_BUSY answers (429) are tried again for a minute. */
enum vz_status vz_api_bulk(const struct vz_transport *transport, const char *index,
                           struct vz_slice body, size_t count, bool refresh,
                           void (*visit)(void *context, size_t i,
                                         const struct vz_api_written *written),
                           void *context, struct vz_error *err);

#endif
