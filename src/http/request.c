#include "http/request.h"
#include "base/text.h"

#include <strings.h>

static bool decode(struct vz_slice text, bool plus_is_space, struct vz_arena *arena,
                   struct vz_slice *out)
{
    char *copy = vz_arena_alloc(arena, text.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '%') {
            int high = i + 2 < text.len ? vz_hex_digit(text.ptr[i + 1]) : -1;
            int low = i + 2 < text.len ? vz_hex_digit(text.ptr[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        if (c == 0)
            return false;
        copy[len++] = c;
    }
    copy[len] = 0;
    *out = (struct vz_slice){copy, len};
    return true;
}

bool vz_http_decode(struct vz_slice text, struct vz_arena *arena, struct vz_slice *out)
{
    return decode(text, false, arena, out);
}

bool vz_http_param(const struct vz_http_request *request, const char *name, struct vz_slice *value)
{
    for (size_t i = 0; i < request->param_count; i++) {
        if (vz_slice_is(request->params[i].name, name)) {
            *value = request->params[i].value;
            return true;
        }
    }
    return false;
}

/* RFC 9112, 3.2.2: a server must accept the absolute form, as sent to a proxy. */
static struct vz_slice skip_authority(struct vz_slice target)
{
    size_t skip = target.len >= 7 && strncasecmp(target.ptr, "http://", 7) == 0    ? 7
                  : target.len >= 8 && strncasecmp(target.ptr, "https://", 8) == 0 ? 8
                                                                                   : 0;
    if (skip == 0)
        return target;
    while (skip < target.len && target.ptr[skip] != '/' && target.ptr[skip] != '?')
        skip++;
    return (struct vz_slice){target.ptr + skip, target.len - skip};
}

bool vz_http_split_target(struct vz_slice target, struct vz_arena *arena, struct vz_slice *path,
                          struct vz_http_param **params, size_t *param_count)
{
    target = skip_authority(target);
    const char *mark = target.len ? memchr(target.ptr, '?', target.len) : NULL;
    *path = (struct vz_slice){target.ptr, mark ? (size_t)(mark - target.ptr) : target.len};
    if (path->len == 0)
        *path = VZ_SLICE("/");
    *params = NULL;
    *param_count = 0;
    if (!mark)
        return true;
    struct vz_slice query = {mark + 1, target.len - (size_t)(mark + 1 - target.ptr)};
    size_t most = 1;
    for (size_t i = 0; i < query.len; i++)
        most += query.ptr[i] == '&';
    *params = vz_arena_alloc(arena, most * sizeof **params);
    for (size_t start = 0; start < query.len;) {
        const char *amp = memchr(query.ptr + start, '&', query.len - start);
        struct vz_slice one = {query.ptr + start,
                               amp ? (size_t)(amp - query.ptr) - start : query.len - start};
        start += one.len + 1;
        if (one.len == 0)
            continue;
        const char *equals = memchr(one.ptr, '=', one.len);
        size_t name_len = equals ? (size_t)(equals - one.ptr) : one.len;
        struct vz_slice value = equals ? (struct vz_slice){equals + 1, one.len - name_len - 1}
                                       : (struct vz_slice){"", 0};
        struct vz_http_param *p = &(*params)[*param_count];
        if (!decode((struct vz_slice){one.ptr, name_len}, true, arena, &p->name) ||
            !decode(value, true, arena, &p->value))
            return false;
        ++*param_count;
    }
    return true;
}
