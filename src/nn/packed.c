/* Packed weights in a file.
 *
 * Packing writes into slabs (context.c), every block under a name that says all that its bytes
 * depend on: the tensors, sizes, precision, oneDNN's layout. A file is the slabs behind one
 * another, each at a multiple of 2 MB, and a list of names with their places. When it is written
 * its parts are mapped over the slabs: no pointer changes, and the memory becomes the page cache's.
 *
 * 2 MB because file systems that keep large folios (ext4 since Linux 6.16, XFS) then map them as
 * huge pages, which a short text needs (it reads all weights once and does little else).
 *
 * Invariants:
 * 1. A file is never changed after its rename; processes that map an older one keep that.
 * 2. Nothing of a file is used before its length, checksum, key and list have been checked.
 * 3. The numbers are those that packing gives; with and without a file answers are the same bits.
 */
#include "nn/packed.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/cpu.h"
#include "base/file.h"
#include "base/log.h"
#include "base/strmap.h"
#include "base/thread.h"
#include "nn/parts.h"
#include "nn/weights_parts.h"

#define PACKED_VERSION 1
#define UNIT ((size_t)2 << 20) /* a huge page; the header's room, too */
#define SAMPLES 16
#define SAMPLE_BYTES ((size_t)4096)
#define SPARE_BYTES ((uint64_t)256 << 20) /* of disk, left to others */
#define MAX_BLOCKS 65536
#define TEMP_PREFIX "new-"

static const char magic[8] = "VZPACK\r\n";

struct header { /* little-endian, like all of nn */
    char magic[8];
    uint32_t version;
    uint32_t header_bytes; /* this and the list */
    uint64_t file_bytes;
    unsigned char key[16];
    uint64_t checksum; /* XXH3 of header_bytes with zeros here */
    uint32_t block_count;
    uint32_t reserved;
};
struct entry { /* followed by the name, filled up to a multiple of 8 */
    uint64_t offset, bytes;
    uint32_t name_len, reserved;
};

struct block {
    char *name;
    const char *at;
    size_t bytes;
    bool twice; /* two different blocks have the name: neither is found by it */
};

/* What a context knows of its file; the lists are guarded by the context's lock. */
struct nn_packed {
    char *folder, *path;
    unsigned char key[16];
    struct vz_weights *const *weights; /* until vz_packed_end */
    size_t weights_count;
    struct vz_strmap index; /* name -> block */
    struct block *blocks;
    size_t count, capacity;
    bool writing; /* blocks are being packed; else they lie in the file */
    char *reserved, *map;
    size_t reserved_bytes, map_bytes;
    bool shared;
    pthread_t finisher; /* makes a written file durable and gives it its name */
    bool finishing;
    int fd;     /* the finisher's */
    char *temp; /* the file's name until then */
};

/* ---- the key ---- */

static void add_sample(XXH3_state_t *state, const struct nn_weights_file *file, size_t at)
{
    at = VZ_MIN(at, file->size);
    XXH3_128bits_update(state, file->bytes + at, VZ_MIN(file->size - at, SAMPLE_BYTES));
}

/* Reading all of a model to know it again would cost more than packing it. */
static void add_file(XXH3_state_t *state, const struct nn_weights_file *file)
{
    uint64_t numbers[2] = {file->size, (uint64_t)file->changed_ns};
    XXH3_128bits_update(state, numbers, sizeof numbers);
    madvise((void *)(uintptr_t)file->bytes, file->size, MADV_RANDOM); /* the pages and no more */
    for (size_t i = 0; i <= SAMPLES; i++)
        add_sample(state, file, file->size / SAMPLES * i / SAMPLE_BYTES * SAMPLE_BYTES);
    add_sample(state, file, file->size - VZ_MIN(file->size, SAMPLE_BYTES));
    madvise((void *)(uintptr_t)file->bytes, file->size, MADV_NORMAL);
}

static bool make_key(struct nn_packed *p, const struct vz_nn *nn)
{
    const dnnl_version_t *v = dnnl_version();
    XXH3_state_t *state = XXH3_createState();
    if (!state)
        return false;
    char about[256];
    int len =
        snprintf(about, sizeof about, "%d|%s|%s|%x|%d.%d.%d %s", PACKED_VERSION,
                 vz_precision_name(nn->precision), vz_cpu_describe(),
                 (unsigned)dnnl_get_effective_cpu_isa(), v->major, v->minor, v->patch, v->hash);
    XXH3_128bits_reset(state);
    XXH3_128bits_update(state, about, (size_t)VZ_MIN(len, (int)sizeof about - 1));
    for (size_t i = 0; i < p->weights_count; i++)
        for (size_t k = 0; k < p->weights[i]->file_count; k++)
            add_file(state, &p->weights[i]->files[k]);
    XXH128_canonical_t out;
    XXH128_canonicalFromHash(&out, XXH3_128bits_digest(state));
    memcpy(p->key, out.digest, sizeof p->key);
    XXH3_freeState(state);
    return true;
}

/* ---- the list of blocks ---- */

static void block_add(struct nn_packed *p, const char *name, size_t len, const char *at,
                      size_t bytes)
{
    struct vz_slice key = {name, len};
    uint64_t before;
    if (vz_strmap_get(&p->index, key, &before)) {
        p->blocks[before].twice = true;
        return;
    }
    vz_strmap_put(&p->index, key, p->count);
    if (p->count == p->capacity) {
        p->capacity = p->capacity ? p->capacity * 2 : 128;
        p->blocks = vz_realloc(p->blocks, p->capacity * sizeof *p->blocks);
    }
    p->blocks[p->count++] = (struct block){vz_strndup(name, len), at, bytes, false};
}

static void blocks_clear(struct nn_packed *p)
{
    for (size_t i = 0; i < p->count; i++)
        free(p->blocks[i].name);
    free(p->blocks);
    p->blocks = NULL;
    p->count = p->capacity = 0;
    vz_strmap_deinit(&p->index);
    p->index = (struct vz_strmap){0};
}

void *nn_packed_take(struct vz_nn *nn, const char *name, size_t bytes, bool *found)
{
    struct nn_packed *p = nn->packed;
    uint64_t at;
    *found = false;
    if (p && !p->writing && *name && vz_strmap_get(&p->index, vz_slice_from(name), &at) &&
        p->blocks[at].bytes == bytes) {
        *found = true;
        return (void *)(uintptr_t)p->blocks[at].at;
    }
    void *block = nn_weights_take(nn, bytes);
    if (block && p && p->writing && *name) {
        pthread_mutex_lock(&nn->lock);
        block_add(p, name, strlen(name), block, bytes);
        pthread_mutex_unlock(&nn->lock);
    }
    return block;
}

/* ---- reading ---- */

static bool list_read(struct nn_packed *p, const char *bytes, const struct header *h)
{
    size_t at = sizeof *h;
    for (uint32_t i = 0; i < h->block_count; i++) {
        struct entry e;
        if (h->header_bytes - at < sizeof e)
            return false;
        memcpy(&e, bytes + at, sizeof e);
        at += sizeof e;
        size_t room = ((size_t)e.name_len + 7) & ~(size_t)7;
        if (h->header_bytes - at < room || e.offset < UNIT || e.offset % 64 ||
            e.offset > h->file_bytes || e.bytes > h->file_bytes - e.offset)
            return false;
        block_add(p, bytes + at, e.name_len, bytes + e.offset, e.bytes);
        at += room;
    }
    return p->count == h->block_count;
}

static uint64_t checksum_of(const char *bytes, const struct header *h)
{
    struct header zeroed = *h;
    XXH3_state_t *state = XXH3_createState();
    if (!state)
        return ~h->checksum;
    zeroed.checksum = 0;
    XXH3_64bits_reset(state);
    XXH3_64bits_update(state, &zeroed, sizeof zeroed);
    XXH3_64bits_update(state, bytes + sizeof zeroed, h->header_bytes - sizeof zeroed);
    uint64_t sum = XXH3_64bits_digest(state);
    XXH3_freeState(state);
    return sum;
}

/* Says why not, or NULL. */
static const char *check(struct nn_packed *p, const char *bytes, size_t size)
{
    struct header h;
    memcpy(&h, bytes, sizeof h);
    if (memcmp(h.magic, magic, sizeof magic) != 0 || h.version != PACKED_VERSION)
        return "of another kind";
    if (h.header_bytes < sizeof h || h.header_bytes > UNIT || h.file_bytes != size)
        return "cut short";
    if (h.checksum != checksum_of(bytes, &h))
        return "damaged";
    if (memcmp(h.key, p->key, sizeof h.key) != 0)
        return "made of other weights or for another processor";
    return list_read(p, bytes, &h) ? NULL : "damaged";
}

/* At an address of 2 MB's multiple, so that the kernel can map huge pages. */
static bool file_map(struct nn_packed *p, int fd, size_t size)
{
    p->reserved_bytes = size + UNIT;
    p->reserved = mmap(NULL, p->reserved_bytes, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p->reserved == MAP_FAILED) {
        p->reserved = NULL;
        return false;
    }
    char *at = p->reserved + (UNIT - (uintptr_t)p->reserved % UNIT) % UNIT;
    if (mmap(at, size, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
        return false;
    madvise(at, size, MADV_HUGEPAGE); /* a wish; refused is fine */
    p->map = at;
    p->map_bytes = size;
    return true;
}

static void file_unmap(struct nn_packed *p)
{
    if (p->reserved)
        munmap(p->reserved, p->reserved_bytes);
    p->reserved = p->map = NULL;
}

static bool file_open(struct nn_packed *p)
{
    int fd = open(p->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat info;
    const char *why = NULL;
    if (fd < 0)
        return false;
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || (size_t)info.st_size < UNIT)
        why = "cut short";
    else if (!file_map(p, fd, (size_t)info.st_size))
        why = "not mapped";
    else
        why = check(p, p->map, p->map_bytes);
    close(fd);
    if (!why)
        return true;
    vz_log(VZ_LOG_INFO, "nn", "%s is %s: packing again", p->path, why);
    blocks_clear(p);
    file_unmap(p);
    return false;
}

/* ---- writing ---- */

/* Where in the file a block of memory goes: its slab's place, and the same distance from there. */
static uint64_t place_of(const struct vz_nn *nn, const char *at)
{
    uint64_t offset = UNIT;
    for (const struct weights_slab *slab = nn->slabs; slab; slab = slab->older) {
        const char *first = slab->base + slab->first;
        if (at >= first && at < slab->base + slab->used)
            return offset + (uint64_t)(at - first);
        offset += (slab->used - slab->first + UNIT - 1) / UNIT * UNIT;
    }
    return 0;
}

static void header_make(const struct vz_nn *nn, uint64_t file_bytes, struct vz_buf *out)
{
    const struct nn_packed *p = nn->packed;
    struct header h = {.version = PACKED_VERSION, .file_bytes = file_bytes};
    memcpy(h.magic, magic, sizeof magic);
    memcpy(h.key, p->key, sizeof h.key);
    vz_buf_append(out, &h, sizeof h);
    for (size_t i = 0; i < p->count; i++) {
        const struct block *b = &p->blocks[i];
        struct entry e = {.offset = place_of(nn, b->at), .bytes = b->bytes};
        e.name_len = (uint32_t)strlen(b->name);
        if (b->twice)
            continue;
        vz_buf_append(out, &e, sizeof e);
        vz_buf_append(out, b->name, e.name_len);
        vz_buf_append(out, "\0\0\0\0\0\0\0", (8 - e.name_len % 8) % 8);
        h.block_count++;
    }
    h.header_bytes = (uint32_t)VZ_MIN(out->len, UINT32_MAX);
    memcpy(out->data, &h, sizeof h);
    if (out->len <= UNIT)
        h.checksum = checksum_of(out->data, &h);
    memcpy(out->data, &h, sizeof h);
}

static bool write_at(int fd, const char *bytes, size_t len, uint64_t offset)
{
    while (len) {
        ssize_t done = pwrite(fd, bytes, VZ_MIN(len, 4 * UNIT), (off_t)offset);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        bytes += done;
        offset += (uint64_t)done;
        len -= (size_t)done;
    }
    return true;
}

static bool slabs_write(const struct vz_nn *nn, int fd)
{
    for (const struct weights_slab *slab = nn->slabs; slab; slab = slab->older) {
        const char *first = slab->base + slab->first;
        if (!write_at(fd, first, slab->used - slab->first, place_of(nn, first)))
            return false;
    }
    return true;
}

/* The file's pages in place of our own. One that cannot be mapped stays as it is. */
static bool slabs_map(struct vz_nn *nn, int fd)
{
    bool all = true;
    for (struct weights_slab *slab = nn->slabs; slab; slab = slab->older) {
        char *first = slab->base + slab->first;
        size_t bytes = (slab->used - slab->first + 4095) & ~(size_t)4095;
        if (mmap(first, bytes, PROT_READ, MAP_SHARED | MAP_FIXED, fd, (off_t)place_of(nn, first)) ==
            MAP_FAILED)
            all = false;
        else
            madvise(first, bytes, MADV_HUGEPAGE);
    }
    /* What is taken later must not fall into pages that cannot be written. */
    for (struct weights_slab *slab = nn->slabs; slab; slab = slab->older)
        slab->used = slab->mapped;
    return all;
}

/* Files that processes left when they were killed while writing. */
static void sweep(const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    struct stat info;
    while (dir && (entry = readdir(dir)))
        if (strncmp(entry->d_name, TEMP_PREFIX, strlen(TEMP_PREFIX)) == 0 &&
            fstatat(dirfd(dir), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(info.st_mode) && info.st_mtime < time(NULL) - 3600)
            unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir)
        closedir(dir);
}

static uint64_t file_bytes_of(const struct vz_nn *nn)
{
    uint64_t bytes = UNIT;
    for (const struct weights_slab *slab = nn->slabs; slab; slab = slab->older)
        bytes += (slab->used - slab->first + UNIT - 1) / UNIT * UNIT;
    return bytes;
}

/* The disk takes a second or two for what packing made in 0.2: the model need not wait for it. */
static void *finish(void *arg)
{
    struct nn_packed *p = arg;
    struct vz_buf folder = {0};
    if (p->finishing)
        vz_thread_name("packed");
    vz_buf_printf(&folder, "%s/" VZ_PACKED_FOLDER, p->folder);
    if (fsync(p->fd) == 0 && rename(p->temp, p->path) == 0)
        vz_sync_dir(folder.data, NULL);
    else
        unlink(p->temp);
    close(p->fd);
    vz_buf_deinit(&folder);
    return NULL;
}

static void finish_begin(struct nn_packed *p, int fd, char *temp)
{
    sigset_t all, before;
    p->fd = fd;
    p->temp = temp;
    sigfillset(&all); /* signals are for others */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    p->finishing = true; /* before the thread looks */
    if (pthread_create(&p->finisher, NULL, finish, p) != 0) {
        p->finishing = false;
        finish(p);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static bool file_write(struct vz_nn *nn, int fd, uint64_t bytes)
{
    struct vz_buf head = {0};
    header_make(nn, bytes, &head);
    bool written = head.len <= UNIT && ftruncate(fd, (off_t)bytes) == 0 &&
                   write_at(fd, head.data, head.len, 0) && slabs_write(nn, fd) &&
                   fchmod(fd, 0644) == 0;
    vz_buf_deinit(&head);
    return written;
}

static void file_make(struct vz_nn *nn)
{
    struct nn_packed *p = nn->packed;
    struct vz_buf folder = {0}, temp = {0};
    uint64_t bytes = file_bytes_of(nn);
    int fd = -1;
    vz_buf_printf(&folder, "%s/" VZ_PACKED_FOLDER, p->folder);
    vz_buf_printf(&temp, "%s/" TEMP_PREFIX "XXXXXX", folder.data);
    if (p->count && p->count <= MAX_BLOCKS &&
        vz_disk_free_bytes(p->folder) >= bytes + SPARE_BYTES &&
        (mkdir(folder.data, 0777) == 0 || errno == EEXIST)) {
        sweep(folder.data);
        fd = mkostemp(temp.data, O_CLOEXEC);
    }
    if (fd >= 0 && file_write(nn, fd, bytes)) {
        p->shared = slabs_map(nn, fd);
        vz_log(VZ_LOG_INFO, "nn", "packed weights are kept in %s (%llu MB)", p->path,
               (unsigned long long)(bytes >> 20));
        finish_begin(p, fd, vz_buf_take(&temp));
    } else {
        vz_log(VZ_LOG_INFO, "nn", "packed weights are not kept in %s", p->path);
        if (fd >= 0) {
            unlink(temp.data);
            close(fd);
        }
    }
    vz_buf_deinit(&folder);
    vz_buf_deinit(&temp);
}

/* ---- begin and end ---- */

void vz_packed_begin(struct vz_nn *nn, const char *folder, struct vz_weights *const *weights,
                     size_t count)
{
    if (nn->no_packed_file || nn->packed || nn->slabs)
        return;
    struct nn_packed *p = vz_calloc(1, sizeof *p);
    struct vz_buf path = {0};
    p->weights = weights;
    p->weights_count = count;
    p->folder = vz_strdup(folder);
    vz_buf_printf(&path, "%s/" VZ_PACKED_FOLDER "/%s-%x.vzp", folder,
                  vz_precision_name(nn->precision), (unsigned)dnnl_get_effective_cpu_isa());
    p->path = vz_buf_take(&path);
    nn->packed = p;
    if (!make_key(p, nn))
        nn_packed_free(nn);
    else
        p->shared = file_open(p);
    if (nn->packed)
        p->writing = !p->shared;
}

void vz_packed_end(struct vz_nn *nn, bool made)
{
    struct nn_packed *p = nn->packed;
    if (!p)
        return;
    for (size_t i = 0; i < p->weights_count; i++)
        nn_weights_drop_pages(p->weights[i]);
    if (made && p->writing)
        file_make(nn);
    p->writing = false;
    p->weights = NULL;
    p->weights_count = 0;
    blocks_clear(p);
}

bool vz_packed_shared(const struct vz_nn *nn)
{
    return nn->packed && nn->packed->shared;
}

void nn_packed_free(struct vz_nn *nn)
{
    struct nn_packed *p = nn->packed;
    if (!p)
        return;
    if (p->finishing)
        pthread_join(p->finisher, NULL);
    blocks_clear(p);
    file_unmap(p);
    free(p->temp);
    free(p->folder);
    free(p->path);
    free(p);
    nn->packed = NULL;
}
