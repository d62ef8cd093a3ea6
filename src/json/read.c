/* read.c - walking a parsed document: members, iteration, conversions, floats. */
#include "base/strmap.h"
#include "json/doc.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

enum vz_json_type vz_json_type(struct vz_json value)
{
    if (!value.doc)
        return VZ_JSON_MISSING;
    switch (vz_tape_tag(value.doc, value.at)) {
    case 'n':
        return VZ_JSON_NULL;
    case 't':
    case 'f':
        return VZ_JSON_BOOL;
    case 'l':
        return VZ_JSON_INT;
    case 'u':
        return VZ_JSON_UINT;
    case 'd':
        return VZ_JSON_DOUBLE;
    case '"':
        return VZ_JSON_STRING;
    case '[':
        return VZ_JSON_ARRAY;
    case '{':
        return VZ_JSON_OBJECT;
    }
    return VZ_JSON_MISSING;
}

const char *vz_json_type_name(struct vz_json value)
{
    switch (vz_json_type(value)) {
    case VZ_JSON_NULL:
        return "null";
    case VZ_JSON_BOOL:
        return "boolean";
    case VZ_JSON_INT:
    case VZ_JSON_UINT:
    case VZ_JSON_DOUBLE:
        return "number";
    case VZ_JSON_STRING:
        return "string";
    case VZ_JSON_ARRAY:
        return "array";
    case VZ_JSON_OBJECT:
        return "object";
    case VZ_JSON_MISSING:
        break;
    }
    return "nothing";
}

static bool get_member(struct vz_json object, struct vz_slice key, struct vz_json *value)
{
    if (vz_json_type(object) != VZ_JSON_OBJECT)
        return false;
    const struct vz_json_doc *doc = object.doc;
    size_t end = (uint32_t)doc->tape[object.at] - 1; /* the closing word */
    for (size_t at = object.at + 1; at < end; at = vz_tape_after(doc, at + 1)) {
        if (vz_slice_eq(vz_tape_string(doc, at), key)) {
            *value = (struct vz_json){doc, at + 1};
            return true;
        }
    }
    return false;
}

bool vz_json_get(struct vz_json object, const char *key, struct vz_json *value)
{
    return get_member(object, vz_slice_from(key), value);
}

/* Every split of the path is tried, longest key first: {"a.b": {"c": 1}} answers "a.b.c" too. Each
 * level consumes at least one name, and a path comes from our own code, so the tries are few. */
static bool get_path(struct vz_json object, struct vz_slice path, struct vz_json *value)
{
    if (get_member(object, path, value))
        return true;
    for (size_t i = path.len; i-- > 0;) {
        struct vz_json inner;
        if (path.ptr[i] == '.' && get_member(object, (struct vz_slice){path.ptr, i}, &inner) &&
            get_path(inner, (struct vz_slice){path.ptr + i + 1, path.len - i - 1}, value))
            return true;
    }
    return false;
}

bool vz_json_get_path(struct vz_json object, const char *path, struct vz_json *value)
{
    return get_path(object, vz_slice_from(path), value);
}

size_t vz_json_count(struct vz_json container)
{
    enum vz_json_type type = vz_json_type(container);
    if (type != VZ_JSON_OBJECT && type != VZ_JSON_ARRAY)
        return 0;
    size_t count = vz_tape_payload(container.doc, container.at) >> 32;
    if (count < 0xFFFFFF) /* the tape's count saturates there */
        return count;
    count = 0;
    struct vz_json_iter it = vz_json_iterate(container);
    struct vz_json member;
    while (vz_json_next(&it, NULL, &member))
        count++;
    return count;
}

struct vz_json_iter vz_json_iterate(struct vz_json container)
{
    enum vz_json_type type = vz_json_type(container);
    if (type != VZ_JSON_OBJECT && type != VZ_JSON_ARRAY)
        return (struct vz_json_iter){0};
    return (struct vz_json_iter){.container = container,
                                 .at = container.at + 1,
                                 .end = (uint32_t)container.doc->tape[container.at] - 1,
                                 .is_object = type == VZ_JSON_OBJECT};
}

bool vz_json_next(struct vz_json_iter *it, struct vz_slice *key, struct vz_json *value)
{
    if (it->at >= it->end)
        return false;
    const struct vz_json_doc *doc = it->container.doc;
    if (it->is_object) {
        if (key)
            *key = vz_tape_string(doc, it->at);
        it->at++;
    } else if (key) {
        *key = (struct vz_slice){"", 0};
    }
    *value = (struct vz_json){doc, it->at};
    it->at = vz_tape_after(doc, it->at);
    return true;
}

bool vz_json_bool(struct vz_json value)
{
    return value.doc && vz_tape_tag(value.doc, value.at) == 't';
}

struct vz_slice vz_json_string(struct vz_json value)
{
    if (vz_json_type(value) != VZ_JSON_STRING)
        return (struct vz_slice){NULL, 0};
    return vz_tape_string(value.doc, value.at);
}

static double word_as_double(uint64_t word)
{
    double number;
    memcpy(&number, &word, sizeof number);
    return number;
}

double vz_json_double(struct vz_json value)
{
    switch (vz_json_type(value)) {
    case VZ_JSON_INT:
        return (double)(int64_t)value.doc->tape[value.at + 1];
    case VZ_JSON_UINT:
        return (double)value.doc->tape[value.at + 1];
    case VZ_JSON_DOUBLE:
        return word_as_double(value.doc->tape[value.at + 1]);
    default:
        return 0;
    }
}

static int64_t clamp_to_int(double number)
{
    if (number != number)
        return 0;
    if (number >= 0x1p63)
        return INT64_MAX;
    if (number <= -0x1p63)
        return INT64_MIN;
    return (int64_t)number;
}

int64_t vz_json_int(struct vz_json value)
{
    switch (vz_json_type(value)) {
    case VZ_JSON_INT:
        return (int64_t)value.doc->tape[value.at + 1];
    case VZ_JSON_UINT:
        return INT64_MAX;
    case VZ_JSON_DOUBLE:
        return clamp_to_int(word_as_double(value.doc->tape[value.at + 1]));
    default:
        return 0;
    }
}

bool vz_json_as_bool(struct vz_json value, bool *out)
{
    if (vz_json_type(value) == VZ_JSON_BOOL) {
        *out = vz_json_bool(value);
        return true;
    }
    if (vz_json_type(value) != VZ_JSON_STRING)
        return false;
    struct vz_slice text = vz_json_string(value);
    if (!vz_slice_is(text, "true") && !vz_slice_is(text, "false") && text.len > 0)
        return false;
    *out = vz_slice_is(text, "true");
    return true;
}

/* A decimal number held in a string and nothing else ("0x10", "inf", " 1" are none; "+1" and ".5",
 * which JSON has not, are, as for Java): strtod is only asked about what can be such a number. */
static bool string_as_number(struct vz_json value, double *number, bool *whole, int64_t *integer,
                             bool *fits)
{
    struct vz_slice text = vz_json_string(value);
    char copy[64];
    if (text.len == 0 || text.len >= sizeof copy)
        return false;
    *whole = true;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '.' || c == 'e' || c == 'E')
            *whole = false;
        else if (!(c >= '0' && c <= '9') && c != '-' && c != '+')
            return false;
    }
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = 0;
    char *end;
    *number = strtod(copy, &end);
    if (*end || !isfinite(*number))
        return false;
    *integer = clamp_to_int(*number);
    errno = 0;
    if (*whole)
        *integer = strtoll(copy, NULL, 10); /* exact where the double is not */
    *fits = errno == 0 && *number >= -0x1p63 && (*whole || *number < 0x1p63);
    return true;
}

bool vz_json_as_int(struct vz_json value, int64_t *out)
{
    enum vz_json_type type = vz_json_type(value);
    if (type == VZ_JSON_INT) {
        *out = vz_json_int(value);
        return true;
    }
    double number = 0;
    int64_t integer = 0;
    bool whole = false, fits;
    if (type == VZ_JSON_STRING) {
        if (!string_as_number(value, &number, &whole, &integer, &fits))
            return false;
    } else if (type == VZ_JSON_DOUBLE) {
        number = vz_json_double(value);
        integer = clamp_to_int(number);
        fits = number >= -0x1p63 && number < 0x1p63;
    } else {
        return false;
    }
    if (!fits || (!whole && number != trunc(number)))
        return false;
    *out = integer;
    return true;
}

bool vz_json_as_double(struct vz_json value, double *out)
{
    if (vz_json_is_number(value)) {
        *out = vz_json_double(value);
        return true;
    }
    bool whole, fits;
    int64_t integer;
    return vz_json_type(value) == VZ_JSON_STRING &&
           string_as_number(value, out, &whole, &integer, &fits);
}

/* Says which element of an array that failed the fast loop is to blame. */
static enum vz_status blame_element(struct vz_json array, struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(array);
    struct vz_json element;
    for (size_t i = 0; vz_json_next(&it, NULL, &element); i++) {
        if (!vz_json_is_number(element))
            return vz_fail(err, VZ_BAD_ARGUMENT, "element %zu: expected a number, got %s", i,
                           vz_json_type_name(element));
        if (!(fabs(vz_json_double(element)) <= FLT_MAX) &&
            !isfinite((float)vz_json_double(element)))
            return vz_fail(err, VZ_BAD_ARGUMENT, "element %zu: %g is not finite as a 32-bit float",
                           i, vz_json_double(element));
    }
    return vz_fail(err, VZ_INTERNAL, "an array of numbers was refused without a reason");
}

enum vz_status vz_json_floats(struct vz_json array, float *out, size_t max, size_t *count,
                              struct vz_error *err)
{
    *count = 0;
    if (vz_json_type(array) != VZ_JSON_ARRAY)
        return vz_fail(err, VZ_BAD_ARGUMENT, "expected an array of numbers, got %s",
                       vz_json_type_name(array));
    const uint64_t *tape = array.doc->tape;
    size_t end = (uint32_t)tape[array.at] - 1;
    size_t n = 0;
    bool finite = true;
    for (size_t at = array.at + 1; at < end; at += 2, n++) {
        float number;
        switch ((char)(tape[at] >> 56)) {
        case 'd':
            number = (float)word_as_double(tape[at + 1]);
            break;
        case 'l':
            number = (float)(int64_t)tape[at + 1];
            break;
        case 'u':
            number = (float)tape[at + 1];
            break;
        default:
            return blame_element(array, err);
        }
        finite &= fabsf(number) <= FLT_MAX;
        if (n < max)
            out[n] = number;
    }
    if (!finite)
        return blame_element(array, err);
    *count = n;
    return VZ_OK;
}

/* ---- duplicate keys -------------------------------------------------------------------------- */

/* Quadratic on (length, bytes) while an object is small, a hash map above; an object a client made
 * of a million keys must not cost a million squared. */
enum { FEW_MEMBERS = 16 };

static bool few_have_duplicate(struct vz_json object, struct vz_slice *key)
{
    struct vz_slice seen[FEW_MEMBERS];
    size_t count = 0;
    struct vz_json_iter it = vz_json_iterate(object);
    struct vz_json member;
    while (vz_json_next(&it, key, &member)) {
        for (size_t i = 0; i < count; i++) {
            if (vz_slice_eq(seen[i], *key))
                return true;
        }
        seen[count++] = *key;
    }
    return false;
}

static bool many_have_duplicate(struct vz_json object, struct vz_slice *key)
{
    struct vz_strmap seen = {0};
    struct vz_json_iter it = vz_json_iterate(object);
    struct vz_json member;
    bool found = false;
    while (!found && vz_json_next(&it, key, &member))
        found = !vz_strmap_put(&seen, *key, 0);
    vz_strmap_deinit(&seen);
    return found;
}

/* Elements of an array; numbers, which vectors are made of, are stepped over without a call. */
static bool elements_have_duplicate(struct vz_json array, struct vz_slice *key)
{
    const struct vz_json_doc *doc = array.doc;
    size_t end = (uint32_t)doc->tape[array.at] - 1;
    for (size_t at = array.at + 1; at < end;) {
        char tag = vz_tape_tag(doc, at);
        if (tag == 'd' || tag == 'l' || tag == 'u') {
            at += 2;
            continue;
        }
        if (vz_json_find_duplicate((struct vz_json){doc, at}, key))
            return true;
        at = vz_tape_after(doc, at);
    }
    return false;
}

bool vz_json_find_duplicate(struct vz_json value, struct vz_slice *key)
{
    enum vz_json_type type = vz_json_type(value);
    if (type == VZ_JSON_ARRAY)
        return elements_have_duplicate(value, key);
    if (type != VZ_JSON_OBJECT)
        return false;
    size_t count = vz_json_count(value);
    if (count > FEW_MEMBERS ? many_have_duplicate(value, key) : few_have_duplicate(value, key))
        return true;
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json member;
    while (vz_json_next(&it, NULL, &member)) {
        if (vz_json_find_duplicate(member, key))
            return true;
    }
    return false;
}
