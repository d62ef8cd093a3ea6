/* base/mem.h - memory: slices, checked sizes, an arena per request, a growable byte buffer.
 *
 * Small allocations that fail abort through one handler (there is nothing sensible left to do);
 * sizes that a client chose go through the checked arithmetic and the vz_try_alloc functions and
 * come back as NULL instead. No function here locks; an arena or buffer belongs to one thread at a
 * time.
 *
 *     struct vz_arena arena = {0};
 *     char *name = vz_arena_strdup(&arena, slice);
 *     vz_arena_deinit(&arena);
 */
#ifndef VZ_BASE_MEM_H
#define VZ_BASE_MEM_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Borrowed bytes: not NUL-terminated, never owned through this struct. */
struct vz_slice {
    const char *ptr;
    size_t len;
};

#define VZ_SLICE(literal) ((struct vz_slice){(literal), sizeof(literal) - 1})

static inline struct vz_slice vz_slice_from(const char *text)
{
    return (struct vz_slice){text, text ? strlen(text) : 0};
}
static inline bool vz_slice_eq(struct vz_slice a, struct vz_slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}
static inline bool vz_slice_is(struct vz_slice a, const char *text)
{
    return vz_slice_eq(a, vz_slice_from(text));
}
static inline bool vz_slice_starts(struct vz_slice a, const char *prefix)
{
    size_t len = strlen(prefix);
    return a.len >= len && memcmp(a.ptr, prefix, len) == 0;
}
/* memcmp order, shorter first on a tie. */
int vz_slice_cmp(struct vz_slice a, struct vz_slice b);

/* Like malloc and friends, but abort with a message when memory is gone. Free with free(). */
void *vz_alloc(size_t bytes);
void *vz_calloc(size_t count, size_t bytes);
void *vz_realloc(void *old, size_t bytes);
char *vz_strdup(const char *text);
char *vz_strndup(const char *text, size_t len);

/* For sizes a client chose: count * bytes with an overflow check; NULL when it does not fit. */
void *vz_try_alloc(size_t count, size_t bytes);
/* 64-byte aligned, zeroed, rounded up to 64 bytes; NULL when it does not fit. Free with free(). */
void *vz_try_alloc_aligned(size_t count, size_t bytes);
static inline bool vz_mul_overflow(size_t a, size_t b, size_t *out)
{
    return __builtin_mul_overflow(a, b, out);
}

#define VZ_MIN(a, b) ((a) < (b) ? (a) : (b))
#define VZ_MAX(a, b) ((a) > (b) ? (a) : (b))
#define VZ_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* An arena: many small things that die together. Zero-initialised is ready to use. */
struct vz_arena_block;
struct vz_arena {
    struct vz_arena_block *blocks;
    size_t used;       /* bytes used in the newest block */
    size_t capacity;   /* bytes in the newest block */
    size_t total_bytes; /* handed out since init; for limits */
};
/* 16-byte aligned, not zeroed; lives until vz_arena_reset or _deinit. */
void *vz_arena_alloc(struct vz_arena *arena, size_t bytes);
void *vz_arena_zalloc(struct vz_arena *arena, size_t bytes);
/* A NUL-terminated copy. */
char *vz_arena_strdup(struct vz_arena *arena, struct vz_slice text);
struct vz_slice vz_arena_copy(struct vz_arena *arena, struct vz_slice text);
char *vz_arena_printf(struct vz_arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Forgets everything handed out, keeps one block for reuse. */
void vz_arena_reset(struct vz_arena *arena);
void vz_arena_deinit(struct vz_arena *arena);

/* A growable byte buffer. Zero-initialised is empty and ready. `data` is NUL-terminated after any
 * append, at data[len], which `len` does not count. */
struct vz_buf {
    char *data;
    size_t len;
    size_t capacity;
};
void vz_buf_reserve(struct vz_buf *buf, size_t extra);
void vz_buf_append(struct vz_buf *buf, const void *bytes, size_t len);
void vz_buf_append_slice(struct vz_buf *buf, struct vz_slice slice);
void vz_buf_append_str(struct vz_buf *buf, const char *text);
void vz_buf_append_char(struct vz_buf *buf, char c);
void vz_buf_printf(struct vz_buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void vz_buf_vprintf(struct vz_buf *buf, const char *format, va_list args);
static inline struct vz_slice vz_buf_slice(const struct vz_buf *buf)
{
    return (struct vz_slice){buf->data, buf->len};
}
static inline void vz_buf_clear(struct vz_buf *buf)
{
    buf->len = 0;
}
/* Hands the bytes over (NUL-terminated, free() them) and leaves the buffer empty. */
char *vz_buf_take(struct vz_buf *buf);
void vz_buf_deinit(struct vz_buf *buf);

#endif
