#include "nn/source.h"

#include <stdarg.h>
#include <stdio.h>

#define NAME_MAX_BYTES 256

static const struct vz_tensor_view *find(const struct vz_tensor_source *source,
                                         char name[NAME_MAX_BYTES], const char *format,
                                         va_list args)
{
    int len = vsnprintf(name, NAME_MAX_BYTES, format, args);
    return len > 0 && len < NAME_MAX_BYTES ? source->find(source->context, name) : NULL;
}

const struct vz_tensor_view *vz_source_find(const struct vz_tensor_source *source,
                                            const char *format, ...)
{
    char name[NAME_MAX_BYTES];
    va_list args;
    va_start(args, format);
    const struct vz_tensor_view *view = find(source, name, format, args);
    va_end(args);
    return view;
}

enum vz_status vz_source_need(const struct vz_tensor_source *source, uint64_t count,
                              const struct vz_tensor_view **view, struct vz_error *err,
                              const char *format, ...)
{
    char name[NAME_MAX_BYTES];
    va_list args;
    va_start(args, format);
    *view = find(source, name, format, args);
    va_end(args);
    if (!*view)
        return vz_fail(err, VZ_CORRUPT, "tensor [%s] is missing", name);
    if (count && (*view)->count != count)
        return vz_fail(err, VZ_CORRUPT, "tensor [%s]: expected %llu numbers, got %llu", name,
                       (unsigned long long)count, (unsigned long long)(*view)->count);
    return VZ_OK;
}
