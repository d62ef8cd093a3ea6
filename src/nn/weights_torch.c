/* nn/weights_torch.c - files of torch.save: the zip of torch 1.6 and later, and the older stream.
 *
 * Zip: every record is STORED, so a tensor is a view of the mapped file. ARCHIVE/data.pkl is a
 * pickle of the state dictionary, ARCHIVE/data/KEY a storage's bytes, ARCHIVE/byteorder "little".
 * Older: five pickles one behind another (magic number, version, machine, state dictionary, keys)
 * and then for each key a count of elements (i64) and the elements.
 * Sources: APPNOTE.TXT 6.3.10 (zip, zip64); torch/serialization.py and caffe2's inline_container.cc
 * for the names of records.
 *
 * A tensor that is not contiguous in its storage (a transposed one) is put in order once, in memory
 * of our own. One that shows an element twice (an expanded one) is refused: nothing in a model file
 * needs it, and a small file could ask for any amount of memory with it. Together the copies may
 * take no more than the file.
 * The records' CRCs are not looked at: that would read the whole file before the first answer;
 * downloads are checked where they arrive.
 */
#include "nn/weights_parts.h"

#include <stdlib.h>

#include "base/text.h"

#define MAX_PICKLE_BYTES (16u << 20)
#define MAX_RECORDS (1u << 20)

struct torch_file {
    struct vz_weights *weights;
    const struct nn_weights_file *file;
    struct vz_error *err;
    struct vz_arena arena;    /* the pickle's values; gone when the file is read */
    struct vz_slice archive;  /* zip: the folder that all records lie in */
    const char *storages;     /* zip: the folder in it of the tensors' bytes, "data/" */
    struct nn_traced_text *traced; /* NULL: code is refused */
    struct vz_strmap records; /* name (zip) or key (older) -> position in spans */
    struct vz_slice *spans;   /* bytes of each record */
    size_t span_count;
    uint64_t copied_bytes;
};

static enum vz_status corrupt(struct torch_file *t, const char *what)
{
    return vz_fail(t->err, VZ_CORRUPT, "%s: %s", t->file->path, what);
}

static uint64_t get_natural(const unsigned char *at, unsigned bytes)
{
    uint64_t n = 0;
    memcpy(&n, at, bytes);
    return n;
}

static struct vz_slice span_of(const struct torch_file *t, uint64_t at, uint64_t len)
{
    return (struct vz_slice){(const char *)t->file->bytes + at, (size_t)len};
}

/* ---- zip ----------------------------------------------------------------------------------- */

struct directory {
    uint64_t at, bytes, count;
};

bool nn_weights_is_torch_zip(const struct nn_weights_file *file)
{
    return memcmp(file->bytes, "PK\3\4", 4) == 0;
}

/* The record at the end of the file, behind which lies only a comment. */
static bool end_find(const struct nn_weights_file *file, size_t *at)
{
    if (file->size < 22)
        return false;
    size_t last = file->size - 22, lowest = last > 0xFFFF ? last - 0xFFFF : 0;
    for (size_t i = last + 1; i-- > lowest;)
        if (memcmp(file->bytes + i, "PK\5\6", 4) == 0 &&
            i + 22 + get_natural(file->bytes + i + 20, 2) == file->size) {
            *at = i;
            return true;
        }
    return false;
}

static enum vz_status directory_find(struct torch_file *t, struct directory *out)
{
    const unsigned char *bytes = t->file->bytes;
    size_t end;
    if (!end_find(t->file, &end))
        return corrupt(t, "the zip's directory is missing (is the file cut?)");
    out->count = get_natural(bytes + end + 10, 2);
    out->bytes = get_natural(bytes + end + 12, 4);
    out->at = get_natural(bytes + end + 16, 4);
    if (end >= 20 && memcmp(bytes + end - 20, "PK\6\7", 4) == 0) {
        uint64_t end64 = get_natural(bytes + end - 12, 8);
        if (end < 20 + 56 || end64 > end - 20 - 56 || memcmp(bytes + end64, "PK\6\6", 4) != 0)
            return corrupt(t, "the zip's 64-bit directory is missing");
        out->count = get_natural(bytes + end64 + 32, 8);
        out->bytes = get_natural(bytes + end64 + 40, 8);
        out->at = get_natural(bytes + end64 + 48, 8);
    }
    if (out->at > end || out->bytes > end - out->at)
        return corrupt(t, "the zip's directory lies outside the file");
    if (out->count > MAX_RECORDS)
        return vz_fail(t->err, VZ_LIMIT, "%s: more than %u records", t->file->path, MAX_RECORDS);
    if (out->count > out->bytes / 46)
        return corrupt(t, "the zip's directory is too short");
    return VZ_OK;
}

struct entry {
    struct vz_slice name;
    uint64_t packed, bytes, local; /* local: where its own header lies */
    unsigned flags, method;
};

/* Numbers that do not fit 32 bits are 0xFFFFFFFF and stand in the extra field 1, in this order. */
static bool entry_zip64(struct entry *e, const unsigned char *extra, size_t len)
{
    uint64_t *wide[] = {&e->bytes, &e->packed, &e->local};
    while (len >= 4) {
        size_t id = get_natural(extra, 2), field = get_natural(extra + 2, 2);
        if (field > len - 4)
            return false;
        if (id == 1) {
            const unsigned char *at = extra + 4;
            for (size_t i = 0; i < VZ_COUNT_OF(wide); i++) {
                if (*wide[i] != 0xFFFFFFFF)
                    continue;
                if ((size_t)(extra + 4 + field - at) < 8)
                    return false;
                *wide[i] = get_natural(at, 8);
                at += 8;
            }
            return true;
        }
        extra += 4 + field;
        len -= 4 + field;
    }
    return true;
}

/* The entry at *at of the directory, which ends at `end`; *at moves behind it. */
static bool entry_read(const struct nn_weights_file *file, uint64_t *at, uint64_t end,
                       struct entry *e)
{
    const unsigned char *p = file->bytes + *at;
    if (end - *at < 46 || memcmp(p, "PK\1\2", 4) != 0)
        return false;
    size_t name = get_natural(p + 28, 2), extra = get_natural(p + 30, 2);
    size_t comment = get_natural(p + 32, 2);
    if (name + extra + comment > end - *at - 46)
        return false;
    *e = (struct entry){.name = {(const char *)p + 46, name},
                        .packed = get_natural(p + 20, 4),
                        .bytes = get_natural(p + 24, 4),
                        .local = get_natural(p + 42, 4),
                        .flags = (unsigned)get_natural(p + 8, 2),
                        .method = (unsigned)get_natural(p + 10, 2)};
    *at += 46 + name + extra + comment;
    return entry_zip64(e, p + 46 + name, extra);
}

/* Where its bytes lie. */
static enum vz_status record_span(struct torch_file *t, const struct entry *e, uint64_t limit,
                                  struct vz_slice *out)
{
    const unsigned char *bytes = t->file->bytes;
    int name_len = (int)VZ_MIN(e->name.len, 200);
    if (e->local > limit || limit - e->local < 30 || memcmp(bytes + e->local, "PK\3\4", 4) != 0)
        return vz_fail(t->err, VZ_CORRUPT, "%s: record [%.*s] is not where the directory says",
                       t->file->path, name_len, e->name.ptr);
    uint64_t head =
        30 + get_natural(bytes + e->local + 26, 2) + get_natural(bytes + e->local + 28, 2);
    if (head > limit - e->local || e->packed > limit - e->local - head)
        return vz_fail(t->err, VZ_CORRUPT, "%s: record [%.*s] reaches past the end", t->file->path,
                       name_len, e->name.ptr);
    *out = span_of(t, e->local + head, e->packed);
    return VZ_OK;
}

static bool slice_ends(struct vz_slice text, const char *end)
{
    size_t len = strlen(end);
    return text.len >= len && memcmp(text.ptr + text.len - len, end, len) == 0;
}

/* ARCHIVE/code/...: the program of a traced module. It is one file when everything was inlined. */
static bool is_code(struct vz_slice name)
{
    const char *slash = memchr(name.ptr, '/', name.len);
    return slash && vz_slice_starts((struct vz_slice){slash, name.len - (size_t)(slash - name.ptr)},
                                    "/code/");
}

static enum vz_status code_add(struct torch_file *t, const struct entry *e, uint64_t limit)
{
    if (!slice_ends(e->name, ".py"))
        return VZ_OK; /* what a debugger wants to know */
    if (t->traced->packed.ptr || (e->method != 0 && e->method != 8) || e->flags & 1)
        return vz_fail(t->err, VZ_UNSUPPORTED,
                       "%s is a TorchScript module with several parts: trace and freeze it, as "
                       "eland does",
                       t->file->path);
    t->traced->is_deflated = e->method == 8;
    t->traced->bytes = e->bytes;
    return record_span(t, e, limit, &t->traced->packed);
}

static enum vz_status record_add(struct torch_file *t, const struct entry *e, uint64_t limit)
{
    int name_len = (int)VZ_MIN(e->name.len, 200);
    if (is_code(e->name)) {
        if (t->traced)
            return code_add(t, e, limit);
        return vz_fail(t->err, VZ_UNSUPPORTED,
                       "%s is a TorchScript program (it holds [%.*s]), not a state dictionary",
                       t->file->path, name_len, e->name.ptr);
    }
    if (e->method != 0 || e->flags & 1 || e->packed != e->bytes)
        return vz_fail(t->err, VZ_UNSUPPORTED, "%s: record [%.*s] is compressed or encrypted",
                       t->file->path, name_len, e->name.ptr);
    struct vz_slice span;
    enum vz_status status = record_span(t, e, limit, &span);
    if (status != VZ_OK)
        return status;
    if (!vz_strmap_put(&t->records, e->name, t->span_count))
        return vz_fail(t->err, VZ_CORRUPT, "%s: two records are named [%.*s]", t->file->path,
                       name_len, e->name.ptr);
    t->spans[t->span_count++] = span;
    return VZ_OK;
}

static bool is_root_pickle(struct vz_slice name)
{
    static const struct vz_slice end = {"/data.pkl", 9};
    return name.len > end.len && memcmp(name.ptr + name.len - end.len, end.ptr, end.len) == 0 &&
           memchr(name.ptr, '/', name.len) == name.ptr + name.len - end.len;
}

static enum vz_status records_read(struct torch_file *t)
{
    struct directory directory = {0};
    enum vz_status status = directory_find(t, &directory);
    if (status != VZ_OK)
        return status;
    t->spans = vz_try_alloc((size_t)directory.count + 1, sizeof *t->spans);
    if (!t->spans)
        return vz_fail(t->err, VZ_BUDGET, "%s: out of memory", t->file->path);
    uint64_t at = directory.at, end = directory.at + directory.bytes;
    for (uint64_t i = 0; i < directory.count && status == VZ_OK; i++) {
        struct entry e;
        if (!entry_read(t->file, &at, end, &e))
            return corrupt(t, "the zip's directory is broken");
        if (is_root_pickle(e.name)) {
            if (t->archive.ptr)
                return corrupt(t, "two records are named data.pkl");
            t->archive = (struct vz_slice){e.name.ptr, e.name.len - strlen("/data.pkl")};
        }
        status = record_add(t, &e, directory.at);
    }
    return status;
}

static bool span_get(const struct torch_file *t, struct vz_slice name, struct vz_slice *out)
{
    uint64_t at;
    if (!vz_strmap_get(&t->records, name, &at))
        return false;
    *out = t->spans[at];
    return true;
}

static bool record_get(struct torch_file *t, const char *folder, struct vz_slice key,
                       struct vz_slice *out)
{
    if (!t->archive.ptr)
        return span_get(t, key, out);
    struct vz_slice name =
        vz_slice_from(vz_arena_printf(&t->arena, "%.*s/%s%.*s", (int)t->archive.len, t->archive.ptr,
                                      folder, (int)key.len, key.ptr));
    return span_get(t, name, out);
}

/* ---- tensors ------------------------------------------------------------------------------- */

/* Row-major without gaps; strides of dimensions of one element do not matter. */
static bool is_contiguous(const struct nn_pickle_tensor *tensor)
{
    uint64_t expected = 1;
    for (unsigned i = tensor->rank; i-- > 0;) {
        if (tensor->dims[i] != 1 && tensor->strides[i] != expected)
            return false;
        expected *= tensor->dims[i];
    }
    return true;
}

/* Whether two places of the tensor are one place of the storage. Sorted by stride, each dimension
 * must step over everything that the smaller ones reach. (Odd overlaps that are none would be
 * refused too; no operation of torch on a whole tensor makes them.) */
static bool overlaps(const struct nn_pickle_tensor *tensor)
{
    unsigned order[VZ_TENSOR_MAX_RANK];
    for (unsigned i = 0; i < tensor->rank; i++) {
        unsigned at = i;
        for (; at > 0 && tensor->strides[order[at - 1]] > tensor->strides[i]; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
    uint64_t reach = 0; /* the last element of the dimensions so far; fits, see tensor_shape */
    for (unsigned i = 0; i < tensor->rank; i++) {
        unsigned d = order[i];
        if (tensor->dims[d] <= 1)
            continue;
        if (tensor->strides[d] <= reach)
            return true;
        reach += (tensor->dims[d] - 1) * tensor->strides[d];
    }
    return false;
}

static void copy_in_order(const struct nn_pickle_tensor *tensor, const char *storage,
                          size_t element, char *out)
{
    uint64_t at[VZ_TENSOR_MAX_RANK] = {0};
    uint64_t from = tensor->offset;
    for (uint64_t n = 0; n < tensor->count; n++) {
        memcpy(out + n * element, storage + from * element, element);
        for (unsigned d = tensor->rank; d-- > 0;) {
            from += tensor->strides[d];
            if (++at[d] < tensor->dims[d])
                break;
            from -= tensor->strides[d] * tensor->dims[d];
            at[d] = 0;
        }
    }
}

static enum vz_status tensor_order(struct torch_file *t, const struct nn_pickle_tensor *tensor,
                                   const char *storage, struct vz_tensor_view *view)
{
    size_t element = vz_dtype_bytes(view->dtype);
    if (overlaps(tensor))
        return vz_fail(t->err, VZ_UNSUPPORTED,
                       "%s: tensor [%.*s] shows elements of its storage twice", t->file->path,
                       (int)VZ_MIN(view->name.len, 200), view->name.ptr);
    t->copied_bytes += view->count * element; /* each at most its storage, so at most the file */
    if (t->copied_bytes > t->file->size)
        return vz_fail(t->err, VZ_LIMIT, "%s: its transposed tensors take more than the file",
                       t->file->path);
    char *copy = vz_try_alloc((size_t)view->count, element);
    if (!copy)
        return vz_fail(t->err, VZ_BUDGET, "%s: out of memory", t->file->path);
    copy_in_order(tensor, storage, element, copy);
    nn_weights_keep(t->weights, copy);
    view->data = copy;
    return VZ_OK;
}

static enum vz_status tensor_add(struct torch_file *t, struct vz_slice name,
                                 const struct nn_pickle_tensor *tensor)
{
    struct vz_tensor_view view = {.name = name,
                                  .dtype = tensor->storage->dtype,
                                  .rank = tensor->rank,
                                  .count = tensor->count};
    memcpy(view.dims, tensor->dims, sizeof view.dims);
    struct vz_slice storage;
    size_t element = vz_dtype_bytes(view.dtype);
    if (vz_utf8_valid_prefix(name.ptr, name.len) != name.len)
        return corrupt(t, "a tensor's name is no UTF-8");
    if (!record_get(t, t->storages, tensor->storage->key, &storage) ||
        tensor->storage->count > storage.len / element)
        return vz_fail(t->err, VZ_CORRUPT, "%s: tensor [%.*s]: its storage is missing or cut",
                       t->file->path, (int)VZ_MIN(name.len, 200), name.ptr);
    view.data = storage.ptr;
    if (tensor->count && is_contiguous(tensor)) {
        view.data = storage.ptr + tensor->offset * element;
    } else if (tensor->count) {
        enum vz_status status = tensor_order(t, tensor, storage.ptr, &view);
        if (status != VZ_OK)
            return status;
    }
    return nn_weights_add(t->weights, t->file, &view, t->err);
}

/* The state dictionary itself, or the one that a training checkpoint keeps in a member. */
static const struct nn_pickle_value *state_find(const struct nn_pickle_value *root)
{
    static const char *const members[] = {"state_dict", "model_state_dict", "model"};
    for (size_t i = 0; i < VZ_COUNT_OF(members); i++) {
        const struct nn_pickle_value *inner = nn_pickle_member(root, members[i]);
        if (inner && inner->kind == NN_PICKLE_DICT)
            return inner;
    }
    return root;
}

static enum vz_status state_add(struct torch_file *t, const struct nn_pickle_value *root)
{
    const struct nn_pickle_value *state = state_find(root);
    size_t before = t->weights->count;
    if (state->kind == NN_PICKLE_DICT)
        for (size_t i = 0; i + 1 < state->items.count; i += 2) {
            const struct nn_pickle_value *key = state->items.at[i], *v = state->items.at[i + 1];
            if (key->kind != NN_PICKLE_TEXT || v->kind != NN_PICKLE_TENSOR)
                continue; /* numbers and texts beside the tensors */
            enum vz_status status = tensor_add(t, key->text, &v->tensor);
            if (status != VZ_OK)
                return status;
        }
    if (t->weights->count == before)
        return vz_fail(t->err, VZ_UNSUPPORTED, "%s holds no dictionary of tensors", t->file->path);
    return VZ_OK;
}

static void torch_done(struct torch_file *t)
{
    vz_strmap_deinit(&t->records);
    vz_arena_deinit(&t->arena);
    free(t->spans);
}

/* The zip's records, and the values of the pickle in one of them. */
static enum vz_status zip_read(struct torch_file *t, struct vz_slice name,
                               struct nn_pickle_value **root)
{
    enum vz_status status = records_read(t);
    if (status != VZ_OK)
        return status;
    struct vz_slice pickle, order;
    if (!t->archive.ptr || !record_get(t, "", name, &pickle))
        return vz_fail(t->err, VZ_UNSUPPORTED, "%s is a zip, but not one of torch.save",
                       t->file->path);
    if (record_get(t, "", VZ_SLICE("byteorder"), &order) && !vz_slice_is(order, "little"))
        return vz_fail(t->err, VZ_UNSUPPORTED, "%s was saved on a big-endian machine",
                       t->file->path);
    if (pickle.len > MAX_PICKLE_BYTES)
        return vz_fail(t->err, VZ_LIMIT, "%s: a pickle of %zu bytes, more than the limit of %u",
                       t->file->path, pickle.len, MAX_PICKLE_BYTES);
    for (size_t i = 0; i < t->span_count; i++)
        t->weights->bytes += t->spans[i].len;
    size_t used;
    return nn_pickle_run(pickle, t->file->path, &t->arena, root, &used, t->err);
}

/* The tensors of a traced module, in the order in which its program names them. */
static enum vz_status constants_add(struct torch_file *t, const struct nn_pickle_value *root)
{
    enum vz_status status = VZ_OK;
    if (root->kind != NN_PICKLE_TUPLE || !t->traced->packed.ptr)
        return vz_fail(t->err, VZ_UNSUPPORTED, "%s is no traced and frozen TorchScript module",
                       t->file->path);
    for (size_t i = 0; i < root->items.count && status == VZ_OK; i++) {
        const struct nn_pickle_value *v = root->items.at[i];
        if (v->kind != NN_PICKLE_TENSOR)
            return vz_fail(t->err, VZ_UNSUPPORTED,
                           "%s: constant %zu is no tensor (quantised models are not run here)",
                           t->file->path, i);
        status = tensor_add(t, vz_slice_from(vz_arena_printf(&t->arena, "c%zu", i)), &v->tensor);
    }
    return status;
}

enum vz_status nn_weights_read_torch_zip(struct vz_weights *weights,
                                         const struct nn_weights_file *file, struct vz_error *err)
{
    struct torch_file t = {.weights = weights, .file = file, .err = err, .storages = "data/"};
    struct nn_pickle_value *root;
    enum vz_status status = zip_read(&t, VZ_SLICE("data.pkl"), &root);
    if (status == VZ_OK)
        status = state_add(&t, root);
    torch_done(&t);
    return status;
}

enum vz_status nn_weights_read_traced(struct vz_weights *weights,
                                      const struct nn_weights_file *file,
                                      struct nn_traced_text *text, struct vz_error *err)
{
    *text = (struct nn_traced_text){0};
    if (!nn_weights_is_torch_zip(file))
        return vz_fail(err, VZ_UNSUPPORTED, "%s is no TorchScript module", file->path);
    struct torch_file t = {
        .weights = weights, .file = file, .err = err, .storages = "constants/", .traced = text};
    struct nn_pickle_value *root;
    enum vz_status status = zip_read(&t, VZ_SLICE("constants.pkl"), &root);
    if (status == VZ_OK)
        status = constants_add(&t, root);
    torch_done(&t);
    return status;
}

/* ---- the older stream ---------------------------------------------------------------------- */

/* Pickles of the magic number 0x1950a86a20f9469cfc6c and of the version 1001. */
static const unsigned char legacy_head[] = {0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c,
                                            0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19,
                                            '.',  0x80, 0x02, 'M',  0xe9, 0x03, '.'};

bool nn_weights_is_torch_legacy(const struct nn_weights_file *file)
{
    return file->size > sizeof legacy_head &&
           memcmp(file->bytes, legacy_head, sizeof legacy_head) == 0;
}

static enum vz_status pickle_at(struct torch_file *t, size_t *at, struct nn_pickle_value **out)
{
    size_t used, left = t->file->size - *at;
    struct vz_slice code = span_of(t, *at, VZ_MIN(left, MAX_PICKLE_BYTES));
    enum vz_status status = nn_pickle_run(code, t->file->path, &t->arena, out, &used, t->err);
    if (status == VZ_OK)
        *at += used;
    return status;
}

/* The older stream does not say how long an element is; only the tensors do. */
static void element_sizes(const struct nn_pickle_value *state, struct vz_strmap *sizes)
{
    for (size_t i = 1; state->kind == NN_PICKLE_DICT && i < state->items.count; i += 2) {
        const struct nn_pickle_value *v = state->items.at[i];
        if (v->kind == NN_PICKLE_TENSOR)
            vz_strmap_put(sizes, v->tensor.storage->key, vz_dtype_bytes(v->tensor.storage->dtype));
    }
}

static enum vz_status legacy_storage(struct torch_file *t, const struct vz_strmap *sizes,
                                     const struct nn_pickle_value *key, size_t *at)
{
    size_t left = t->file->size - *at;
    if (key->kind != NN_PICKLE_TEXT || left < 8)
        return corrupt(t, "its storages are cut");
    uint64_t count = get_natural(t->file->bytes + *at, 8), element, bytes;
    if (!vz_strmap_get(sizes, key->text, &element))
        return vz_fail(t->err, VZ_UNSUPPORTED, "%s: a storage belongs to no named tensor",
                       t->file->path);
    if (__builtin_mul_overflow(count, element, &bytes) || bytes > left - 8)
        return corrupt(t, "its storages are cut");
    if (!vz_strmap_put(&t->records, key->text, t->span_count))
        return corrupt(t, "two storages have the same key");
    t->spans[t->span_count++] = span_of(t, *at + 8, bytes);
    t->weights->bytes += bytes;
    *at += 8 + (size_t)bytes;
    return VZ_OK;
}

static enum vz_status legacy_storages(struct torch_file *t, const struct nn_pickle_value *state,
                                      const struct nn_pickle_items *keys, size_t at)
{
    t->spans = vz_try_alloc(keys->count + 1, sizeof *t->spans);
    if (!t->spans)
        return vz_fail(t->err, VZ_BUDGET, "%s: out of memory", t->file->path);
    struct vz_strmap sizes = {0};
    element_sizes(state, &sizes);
    enum vz_status status = VZ_OK;
    for (size_t i = 0; i < keys->count && status == VZ_OK; i++)
        status = legacy_storage(t, &sizes, keys->at[i], &at);
    vz_strmap_deinit(&sizes);
    return status;
}

static enum vz_status legacy_read(struct torch_file *t)
{
    size_t at = sizeof legacy_head;
    struct nn_pickle_value *machine, *root, *keys;
    enum vz_status status = pickle_at(t, &at, &machine);
    if (status != VZ_OK)
        return status;
    const struct nn_pickle_value *little = nn_pickle_member(machine, "little_endian");
    if (!little || little->kind != NN_PICKLE_BOOL || !little->truth)
        return vz_fail(t->err, VZ_UNSUPPORTED, "%s was saved on a big-endian machine",
                       t->file->path);
    if ((status = pickle_at(t, &at, &root)) != VZ_OK ||
        (status = pickle_at(t, &at, &keys)) != VZ_OK)
        return status;
    if (keys->kind != NN_PICKLE_LIST)
        return corrupt(t, "its storages have no keys");
    status = legacy_storages(t, state_find(root), &keys->items, at);
    return status == VZ_OK ? state_add(t, root) : status;
}

enum vz_status nn_weights_read_torch_legacy(struct vz_weights *weights,
                                            const struct nn_weights_file *file,
                                            struct vz_error *err)
{
    struct torch_file t = {.weights = weights, .file = file, .err = err};
    enum vz_status status = legacy_read(&t);
    torch_done(&t);
    return status;
}
