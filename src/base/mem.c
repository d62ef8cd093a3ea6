#include "base/mem.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define ARENA_BLOCK_BYTES (16u << 10)

struct vz_arena_block {
    struct vz_arena_block *next;
    size_t capacity;
    _Alignas(16) char bytes[];
};

static void *checked(void *memory, size_t bytes)
{
    if (memory || bytes == 0)
        return memory;
    fprintf(stderr, "vizsla: out of memory (%zu bytes asked)\n", bytes);
    abort();
}

void *vz_alloc(size_t bytes)
{
    return checked(malloc(bytes), bytes);
}

void *vz_calloc(size_t count, size_t bytes)
{
    return checked(calloc(count, bytes), count ? bytes : 0);
}

void *vz_realloc(void *old, size_t bytes)
{
    return checked(realloc(old, bytes), bytes);
}

char *vz_strndup(const char *text, size_t len)
{
    char *copy = vz_alloc(len + 1);
    if (len)
        memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

char *vz_strdup(const char *text)
{
    return vz_strndup(text, strlen(text));
}

void *vz_try_alloc(size_t count, size_t bytes)
{
    size_t total;
    if (vz_mul_overflow(count, bytes, &total))
        return NULL;
    return malloc(total ? total : 1);
}

void *vz_try_alloc_aligned(size_t count, size_t bytes)
{
    size_t total;
    if (vz_mul_overflow(count, bytes, &total) || total > SIZE_MAX - 64)
        return NULL;
    total = (total + 63) & ~(size_t)63;
    void *memory = aligned_alloc(64, total ? total : 64);
    if (memory)
        memset(memory, 0, total ? total : 64);
    return memory;
}

int vz_slice_cmp(struct vz_slice a, struct vz_slice b)
{
    size_t len = VZ_MIN(a.len, b.len);
    int order = len ? memcmp(a.ptr, b.ptr, len) : 0;
    if (order)
        return order;
    return a.len < b.len ? -1 : a.len > b.len;
}

void *vz_arena_alloc(struct vz_arena *arena, size_t bytes)
{
    bytes = (bytes + 15) & ~(size_t)15;
    if (!arena->blocks || arena->capacity - arena->used < bytes) {
        size_t capacity = VZ_MAX(bytes, ARENA_BLOCK_BYTES);
        struct vz_arena_block *block = vz_alloc(sizeof *block + capacity);
        block->next = arena->blocks;
        block->capacity = capacity;
        arena->blocks = block;
        arena->capacity = capacity;
        arena->used = 0;
    }
    void *memory = arena->blocks->bytes + arena->used;
    arena->used += bytes;
    arena->total_bytes += bytes;
    return memory;
}

void *vz_arena_zalloc(struct vz_arena *arena, size_t bytes)
{
    return memset(vz_arena_alloc(arena, bytes), 0, bytes);
}

char *vz_arena_strdup(struct vz_arena *arena, struct vz_slice text)
{
    char *copy = vz_arena_alloc(arena, text.len + 1);
    if (text.len)
        memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return copy;
}

struct vz_slice vz_arena_copy(struct vz_arena *arena, struct vz_slice text)
{
    return (struct vz_slice){vz_arena_strdup(arena, text), text.len};
}

char *vz_arena_printf(struct vz_arena *arena, const char *format, ...)
{
    va_list args, again;
    assert(format); /* also for GCC, which sees a NULL here when UBSan is on */
    va_start(args, format);
    va_copy(again, args);
    char nothing[1];
    int len = vsnprintf(nothing, sizeof nothing, format, args);
    va_end(args);
    char *text = vz_arena_alloc(arena, (size_t)(len < 0 ? 0 : len) + 1);
    text[0] = '\0';
    if (len > 0)
        vsnprintf(text, (size_t)len + 1, format, again);
    va_end(again);
    return text;
}

static void arena_free_from(struct vz_arena_block *block)
{
    while (block) {
        struct vz_arena_block *next = block->next;
        free(block);
        block = next;
    }
}

void vz_arena_reset(struct vz_arena *arena)
{
    if (arena->blocks) {
        arena_free_from(arena->blocks->next);
        arena->blocks->next = NULL;
        arena->capacity = arena->blocks->capacity;
    }
    arena->used = 0;
    arena->total_bytes = 0;
}

void vz_arena_deinit(struct vz_arena *arena)
{
    arena_free_from(arena->blocks);
    *arena = (struct vz_arena){0};
}

void vz_buf_reserve(struct vz_buf *buf, size_t extra)
{
    size_t need = buf->len + extra + 1;
    if (need <= buf->capacity)
        return;
    size_t capacity = VZ_MAX(need, buf->capacity + buf->capacity / 2);
    capacity = VZ_MAX(capacity, (size_t)64);
    buf->data = vz_realloc(buf->data, capacity);
    buf->capacity = capacity;
}

void vz_buf_append(struct vz_buf *buf, const void *bytes, size_t len)
{
    vz_buf_reserve(buf, len);
    if (len)
        memcpy(buf->data + buf->len, bytes, len);
    buf->len += len;
    buf->data[buf->len] = '\0';
}

void vz_buf_append_slice(struct vz_buf *buf, struct vz_slice slice)
{
    vz_buf_append(buf, slice.ptr, slice.len);
}

void vz_buf_append_str(struct vz_buf *buf, const char *text)
{
    vz_buf_append(buf, text, strlen(text));
}

void vz_buf_append_char(struct vz_buf *buf, char c)
{
    if (buf->len + 2 > buf->capacity)
        vz_buf_reserve(buf, 1);
    buf->data[buf->len++] = c;
    buf->data[buf->len] = '\0';
}

void vz_buf_vprintf(struct vz_buf *buf, const char *format, va_list args)
{
    va_list again;
    assert(format); /* also for GCC, which sees a NULL here when UBSan is on */
    va_copy(again, args);
    char nothing[1];
    int len = vsnprintf(nothing, sizeof nothing, format, args);
    if (len > 0) {
        vz_buf_reserve(buf, (size_t)len);
        vsnprintf(buf->data + buf->len, (size_t)len + 1, format, again);
        buf->len += (size_t)len;
    }
    va_end(again);
}

void vz_buf_printf(struct vz_buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vz_buf_vprintf(buf, format, args);
    va_end(args);
}

char *vz_buf_take(struct vz_buf *buf)
{
    vz_buf_reserve(buf, 0);
    buf->data[buf->len] = '\0';
    char *data = buf->data;
    *buf = (struct vz_buf){0};
    return data;
}

void vz_buf_deinit(struct vz_buf *buf)
{
    free(buf->data);
    *buf = (struct vz_buf){0};
}
