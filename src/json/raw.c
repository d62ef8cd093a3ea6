/* raw.c - walking the exact bytes of JSON text that was checked before, and printing it indented.
 *
 * The text is trusted to be valid but not trusted with memory: on anything else the walk ends early
 * and never reads outside the slice.
 */
#include "json/bytes.h"
#include "json/json.h"

/* Behind the container that opens at `p`. */
static const char *skip_container(const char *p, const char *end)
{
    size_t depth = 0;
    while ((p = vz_find_bracket(p, end)) < end) {
        if (*p == '"') {
            p = vz_skip_string(p, end);
            continue;
        }
        if (*p == '{' || *p == '[') {
            depth++;
        } else if (*p == '}' || *p == ']') {
            if (depth <= 1)
                return p + 1;
            depth--;
        }
        p++;
    }
    return end;
}

static const char *skip_value(const char *p, const char *end)
{
    if (*p == '"')
        return vz_skip_string(p, end);
    if (*p == '{' || *p == '[')
        return skip_container(p, end);
    while (p < end && *p != ',' && *p != '}' && *p != ']' && *p != ' ' && *p != '\n' &&
           *p != '\r' && *p != '\t')
        p++;
    return p;
}

/* `rest` stands at the opening bracket, or at the comma or closing bracket behind a value. Whether
 * the container is an object need not be remembered: only in one is a string followed by ':'. */
bool vz_json_raw_next(struct vz_slice *rest, struct vz_slice *key, struct vz_slice *value)
{
    const char *end = rest->ptr + rest->len;
    const char *p = vz_skip_space(rest->ptr, end);
    if (p >= end || (*p != '{' && *p != '[' && *p != ','))
        return false;
    p = vz_skip_space(p + 1, end);
    if (p >= end || *p == '}' || *p == ']')
        return false;
    struct vz_slice name = {"", 0};
    const char *start = p;
    p = skip_value(p, end);
    const char *behind = vz_skip_space(p, end);
    if (*start == '"' && behind < end && *behind == ':') {
        name = (struct vz_slice){start + 1, (size_t)(p - start) - 2};
        start = vz_skip_space(behind + 1, end);
        if (start >= end)
            return false;
        p = skip_value(start, end);
        behind = vz_skip_space(p, end);
    }
    if (p == start)
        return false;
    if (key)
        *key = name;
    *value = (struct vz_slice){start, (size_t)(p - start)};
    *rest = (struct vz_slice){behind, (size_t)(end - behind)};
    return true;
}

static void new_line(struct vz_buf *out, size_t depth)
{
    vz_buf_append_char(out, '\n');
    for (size_t i = 0; i < depth; i++)
        vz_buf_append(out, "  ", 2);
}

void vz_json_pretty(struct vz_slice json, struct vz_buf *out)
{
    const char *p = json.ptr, *end = json.ptr + json.len;
    size_t depth = 0;
    while ((p = vz_skip_space(p, end)) < end) {
        char c = *p;
        if (c == '{' || c == '[') {
            const char *inner = vz_skip_space(p + 1, end);
            vz_buf_append_char(out, c);
            if (inner < end && (*inner == '}' || *inner == ']')) {
                vz_buf_append_char(out, ' ');
                vz_buf_append_char(out, *inner);
                p = inner + 1;
                continue;
            }
            new_line(out, ++depth);
            p++;
        } else if (c == '}' || c == ']') {
            new_line(out, depth > 0 ? --depth : 0);
            vz_buf_append_char(out, c);
            p++;
        } else if (c == ',') {
            vz_buf_append_char(out, ',');
            new_line(out, depth);
            p++;
        } else if (c == ':') {
            vz_buf_append(out, " : ", 3);
            p++;
        } else {
            const char *start = p;
            if (c == '"')
                p = vz_skip_string(p, end);
            else
                while (p < end && !strchr(",:]} \n\r\t", *p))
                    p++;
            if (p == start) /* a stray byte of invalid text: step over it all the same */
                p++;
            vz_buf_append(out, start, (size_t)(p - start));
        }
    }
    vz_buf_append_char(out, '\n');
}
