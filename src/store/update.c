/* store/update.c - a partial update: the newest document's text and the patch become a new text.
 *
 * Texts are merged as texts, member by member, so that what the patch does not touch keeps its
 * exact bytes. Objects are merged deeply, everything else is replaced (arrays too), as
 * Elasticsearch does. Whether something changed is asked of values, not of bytes: 1.0 and 1.00 are
 * the same number, 1 and 1.0 are not the same value (Elasticsearch compares Java's Integer and
 * Double), {"a":1,"b":2} and {"b":2,"a":1} are the same object.
 */
#include "store/index.h"

#include <stdlib.h>

/* ---- comparing values ---------------------------------------------------------------------- */

static bool same_value(struct vz_json a, struct vz_json b);

static bool same_object(struct vz_json a, struct vz_json b)
{
    struct vz_json_iter it = vz_json_iterate(a);
    struct vz_slice key;
    struct vz_json value, other;
    if (vz_json_count(a) != vz_json_count(b))
        return false;
    while (vz_json_next(&it, &key, &value)) {
        char *name = vz_strndup(key.ptr, key.len);
        bool same = vz_json_get(b, name, &other) && same_value(value, other);
        free(name);
        if (!same)
            return false;
    }
    return true;
}

static bool same_array(struct vz_json a, struct vz_json b)
{
    struct vz_json_iter left = vz_json_iterate(a), right = vz_json_iterate(b);
    struct vz_json x, y;
    if (vz_json_count(a) != vz_json_count(b))
        return false;
    while (vz_json_next(&left, NULL, &x) && vz_json_next(&right, NULL, &y))
        if (!same_value(x, y))
            return false;
    return true;
}

static bool same_value(struct vz_json a, struct vz_json b)
{
    if (vz_json_type(a) != vz_json_type(b))
        return false;
    switch (vz_json_type(a)) {
    case VZ_JSON_BOOL:
        return vz_json_bool(a) == vz_json_bool(b);
    case VZ_JSON_INT:
        return vz_json_int(a) == vz_json_int(b);
    case VZ_JSON_UINT:
    case VZ_JSON_DOUBLE:
        return vz_json_double(a) == vz_json_double(b);
    case VZ_JSON_STRING:
        return vz_slice_eq(vz_json_string(a), vz_json_string(b));
    case VZ_JSON_ARRAY:
        return same_array(a, b);
    case VZ_JSON_OBJECT:
        return same_object(a, b);
    case VZ_JSON_MISSING:
    case VZ_JSON_NULL:
        break;
    }
    return true;
}

static bool same_text(struct vz_slice a, struct vz_slice b)
{
    if (vz_slice_eq(a, b))
        return true;
    struct vz_json_doc *left, *right;
    struct vz_json x, y;
    if (vz_json_parse(a, &left, &x, NULL) != VZ_OK)
        return false;
    bool same = false;
    if (vz_json_parse(b, &right, &y, NULL) == VZ_OK) {
        same = same_value(x, y);
        vz_json_free(right);
    }
    vz_json_free(left);
    return same;
}

/* ---- merging texts ------------------------------------------------------------------------- */

static bool has_escape(struct vz_slice key)
{
    return key.len && memchr(key.ptr, '\\', key.len);
}

/* Raw keys are equal when their texts are; "\u0061" and "a" need a parse. */
static bool same_key(struct vz_slice a, struct vz_slice b)
{
    if (vz_slice_eq(a, b))
        return true;
    if (!has_escape(a) && !has_escape(b))
        return false;
    struct vz_buf left = {0}, right = {0};
    vz_buf_printf(&left, "\"%.*s\"", (int)a.len, a.ptr);
    vz_buf_printf(&right, "\"%.*s\"", (int)b.len, b.ptr);
    bool same = same_text(vz_buf_slice(&left), vz_buf_slice(&right));
    vz_buf_deinit(&left);
    vz_buf_deinit(&right);
    return same;
}

static bool find_member(struct vz_slice object, struct vz_slice key, struct vz_slice *value)
{
    struct vz_slice found;
    while (vz_json_raw_next(&object, &found, value))
        if (same_key(found, key))
            return true;
    return false;
}

static bool is_object(struct vz_slice text)
{
    return text.len && text.ptr[0] == '{';
}

static void append_member(struct vz_buf *out, bool *first, struct vz_slice key)
{
    if (!*first)
        vz_buf_append_char(out, ',');
    *first = false;
    vz_buf_append_char(out, '"');
    vz_buf_append_slice(out, key);
    vz_buf_append_str(out, "\":");
}

bool vz_source_merge(struct vz_slice base, struct vz_slice patch, struct vz_buf *out)
{
    struct vz_slice rest = base, key, value, other;
    bool first = true, changed = false;
    vz_buf_append_char(out, '{');
    while (vz_json_raw_next(&rest, &key, &value)) {
        append_member(out, &first, key);
        if (!find_member(patch, key, &other)) {
            vz_buf_append_slice(out, value);
        } else if (is_object(value) && is_object(other)) {
            changed |= vz_source_merge(value, other, out);
        } else {
            changed |= !same_text(value, other);
            vz_buf_append_slice(out, other);
        }
    }
    rest = patch;
    while (vz_json_raw_next(&rest, &key, &value)) {
        if (find_member(base, key, &other))
            continue;
        append_member(out, &first, key);
        vz_buf_append_slice(out, value);
        changed = true;
    }
    vz_buf_append_char(out, '}');
    return changed;
}

/* ---- the request --------------------------------------------------------------------------- */

struct update {
    struct vz_slice doc, upsert; /* raw texts, empty when absent */
    bool doc_as_upsert, detect_noop;
};

static enum vz_status read_member(struct update *update, struct vz_slice key, struct vz_slice raw,
                                  struct vz_json value, struct vz_error *err)
{
    bool flag = false;
    if (vz_slice_is(key, "doc") || vz_slice_is(key, "upsert")) {
        if (!is_object(raw))
            return vz_fail(err, VZ_BAD_ARGUMENT, "[UpdateRequest] [%.*s] must be an object",
                           (int)key.len, key.ptr);
        *(vz_slice_is(key, "doc") ? &update->doc : &update->upsert) = raw;
    } else if (vz_slice_is(key, "doc_as_upsert") || vz_slice_is(key, "detect_noop") ||
               vz_slice_is(key, "scripted_upsert")) {
        if (!vz_json_as_bool(value, &flag))
            return vz_fail(err, VZ_BAD_ARGUMENT, "[UpdateRequest] [%.*s] must be a boolean",
                           (int)key.len, key.ptr);
        if (vz_slice_is(key, "doc_as_upsert"))
            update->doc_as_upsert = flag;
        else if (vz_slice_is(key, "detect_noop"))
            update->detect_noop = flag;
        else if (flag)
            return vz_fail(err, VZ_UNSUPPORTED, "[scripted_upsert] is not supported");
    } else if (vz_slice_is(key, "script")) {
        return vz_fail(err, VZ_UNSUPPORTED, "scripts are not supported: send [doc] instead");
    } else if (!vz_slice_is(key, "_source") && !vz_slice_is(key, "lang") &&
               !vz_slice_is(key, "if_seq_no") && !vz_slice_is(key, "if_primary_term")) {
        return vz_fail(err, VZ_BAD_ARGUMENT, "[UpdateRequest] unknown field [%.*s]", (int)key.len,
                       key.ptr);
    }
    return VZ_OK;
}

static enum vz_status read_update(struct vz_slice body, struct update *update, struct vz_error *err)
{
    struct vz_json_doc *doc;
    struct vz_json root, value;
    struct vz_slice rest = body, raw_key, raw, key;
    *update = (struct update){.detect_noop = true};
    enum vz_status status = vz_json_parse(body, &doc, &root, err);
    if (status != VZ_OK)
        return status;
    if (vz_json_type(root) != VZ_JSON_OBJECT)
        status = vz_fail(err, VZ_BAD_ARGUMENT, "an update request must be an object");
    struct vz_json_iter it = vz_json_iterate(root);
    while (status == VZ_OK && vz_json_next(&it, &key, &value) &&
           vz_json_raw_next(&rest, &raw_key, &raw))
        status = read_member(update, key, raw, value, err);
    vz_json_free(doc);
    if (status == VZ_OK && !update->doc.ptr)
        status = vz_fail(err, VZ_BAD_ARGUMENT, "Validation Failed: 1: script or doc is missing;");
    return status;
}

enum vz_status vz_update_source(struct vz_generation *gen, const struct vz_write *op,
                                const struct vz_id_entry *current, struct vz_arena *arena,
                                struct vz_slice *source, bool *noop, struct vz_error *err)
{
    struct update update;
    *noop = false;
    enum vz_status status = read_update(op->source, &update, err);
    if (status != VZ_OK)
        return status;
    if (!current) {
        if (!update.upsert.ptr && !update.doc_as_upsert)
            return vz_fail(err, VZ_NOT_FOUND, "[%.*s]: document missing", (int)op->id.len,
                           op->id.ptr);
        *source = vz_arena_copy(arena, update.doc_as_upsert ? update.doc : update.upsert);
        return VZ_OK;
    }
    struct vz_stored_doc stored;
    status = vz_generation_doc(gen, gen->txn, current->docno, VZ_DOC_WHOLE_SOURCE, arena, &stored, err);
    if (status != VZ_OK)
        return status;
    struct vz_buf merged = {0};
    bool changed = vz_source_merge(stored.source, update.doc, &merged);
    *noop = update.detect_noop && !changed;
    if (!*noop)
        *source = vz_arena_copy(arena, vz_buf_slice(&merged));
    vz_buf_deinit(&merged);
    return VZ_OK;
}
