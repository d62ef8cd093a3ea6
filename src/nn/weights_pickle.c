/* nn/weights_pickle.c - a pickle machine that can build tensors and nothing else.
 *
 * A pickle is a program; Python's own machine imports and calls whatever it names. This one has no
 * import: a GLOBAL is looked up in a list of a dozen names and anything else is refused by its name
 * before it could be called. What it builds are values of enum nn_pickle_kind; nothing runs.
 *
 * The opcodes are those that Python's picklers of protocol 2 to 5 write for state dictionaries.
 * Source: pickletools.py's documentation of each opcode; torch/serialization.py for persistent ids.
 *
 * Invariants:
 *  1. Every value is made by one opcode, so memory is bounded by the pickle's length times a
 *     constant, and MAX_VALUES bounds that; tuples take their items off the stack.
 *  2. Values may point to each other in circles (a list appended to itself). Whoever walks them
 *     must do so to a fixed depth.
 */
#include "nn/weights_parts.h"

#include <inttypes.h>

#define MAX_VALUES (4u << 20)
#define MAX_MEMO (4u << 20)
#define MAX_STACK (1u << 20)
#define MAX_KEY_BYTES 256

enum allowed {
    NEW_ORDERED_DICT,
    REBUILD_TENSOR, /* (storage, offset, size, stride) */
    REBUILD_TENSOR_V2,
    REBUILD_PARAMETER,
    STORAGE_TYPE
};

static const struct {
    const char *module, *name;
    enum allowed what;
    enum vz_dtype dtype; /* STORAGE_TYPE */
} globals[] = {
    {"collections", "OrderedDict", NEW_ORDERED_DICT, VZ_F32},
    {"torch._utils", "_rebuild_tensor", REBUILD_TENSOR, VZ_F32},
    {"torch._utils", "_rebuild_tensor_v2", REBUILD_TENSOR_V2, VZ_F32},
    {"torch._utils", "_rebuild_parameter", REBUILD_PARAMETER, VZ_F32},
    {"torch", "FloatStorage", STORAGE_TYPE, VZ_F32},
    {"torch", "HalfStorage", STORAGE_TYPE, VZ_F16},
    {"torch", "BFloat16Storage", STORAGE_TYPE, VZ_BF16},
    {"torch", "DoubleStorage", STORAGE_TYPE, VZ_F64},
    {"torch", "LongStorage", STORAGE_TYPE, VZ_I64},
    {"torch", "IntStorage", STORAGE_TYPE, VZ_I32},
    {"torch", "ShortStorage", STORAGE_TYPE, VZ_I16},
    {"torch", "CharStorage", STORAGE_TYPE, VZ_I8},
    {"torch", "ByteStorage", STORAGE_TYPE, VZ_U8},
    {"torch", "BoolStorage", STORAGE_TYPE, VZ_BOOL},
};

struct machine {
    const unsigned char *code;
    size_t len, at;
    const char *path;
    struct vz_arena *arena;
    struct vz_error *err;
    struct nn_pickle_items stack, memo;
    size_t values;
    size_t *marks; /* heights of the stack */
    size_t mark_count, mark_capacity;
};

static enum vz_status corrupt(struct machine *m, const char *what)
{
    return vz_fail_at(m->err, VZ_CORRUPT, m->at, "%s: pickle, byte %zu: %s", m->path, m->at, what);
}

/* ---- values -------------------------------------------------------------------------------- */

/* NULL at the limit. */
static struct nn_pickle_value *value_new(struct machine *m, enum nn_pickle_kind kind)
{
    if (++m->values > MAX_VALUES)
        return NULL;
    struct nn_pickle_value *v = vz_arena_zalloc(m->arena, sizeof *v);
    v->kind = kind;
    return v;
}

/* Old arrays stay in the arena: a doubling wastes at most what it holds. */
static void items_push(struct machine *m, struct nn_pickle_items *items, struct nn_pickle_value *v)
{
    if (items->count == items->capacity) {
        size_t capacity = items->capacity ? items->capacity * 2 : 8;
        struct nn_pickle_value **grown = vz_arena_alloc(m->arena, capacity * sizeof(*grown));
        if (items->count)
            memcpy(grown, items->at, items->count * sizeof(*grown));
        items->at = grown;
        items->capacity = capacity;
    }
    items->at[items->count++] = v;
}

static enum vz_status push(struct machine *m, struct nn_pickle_value *v)
{
    if (m->stack.count == MAX_STACK)
        return vz_fail(m->err, VZ_LIMIT, "%s: the pickle stacks more than %u values", m->path,
                       MAX_STACK);
    if (!v)
        return vz_fail(m->err, VZ_LIMIT, "%s: the pickle builds more than %u values", m->path,
                       MAX_VALUES);
    items_push(m, &m->stack, v);
    return VZ_OK;
}

/* The lowest height that may be popped: what lies under the last mark belongs to others. */
static size_t floor_of(const struct machine *m)
{
    return m->mark_count ? m->marks[m->mark_count - 1] : 0;
}

static struct nn_pickle_value *pop(struct machine *m)
{
    return m->stack.count > floor_of(m) ? m->stack.at[--m->stack.count] : NULL;
}

static struct nn_pickle_value *top(struct machine *m)
{
    return m->stack.count > floor_of(m) ? m->stack.at[m->stack.count - 1] : NULL;
}

/* Takes the last mark off; the items above it are at[height..stack.count). */
static bool mark_pop(struct machine *m, size_t *height)
{
    if (!m->mark_count)
        return false;
    *height = m->marks[--m->mark_count];
    return true;
}

static void mark_push(struct machine *m)
{
    if (m->mark_count == m->mark_capacity) {
        size_t capacity = m->mark_capacity ? m->mark_capacity * 2 : 16;
        size_t *grown = vz_arena_alloc(m->arena, capacity * sizeof *grown);
        if (m->mark_count)
            memcpy(grown, m->marks, m->mark_count * sizeof *grown);
        m->marks = grown;
        m->mark_capacity = capacity;
    }
    m->marks[m->mark_count++] = m->stack.count;
}

static enum vz_status push_integer(struct machine *m, int64_t number)
{
    struct nn_pickle_value *v = value_new(m, NN_PICKLE_INT);
    if (v)
        v->integer = number;
    return push(m, v);
}

static enum vz_status push_bool(struct machine *m, bool truth)
{
    struct nn_pickle_value *v = value_new(m, NN_PICKLE_BOOL);
    if (v)
        v->truth = truth;
    return push(m, v);
}

/* ---- arguments of opcodes ------------------------------------------------------------------ */

/* A little-endian number of 1, 2, 4 or 8 bytes behind the opcode. */
static bool read_natural(struct machine *m, unsigned bytes, uint64_t *out)
{
    *out = 0;
    if (m->len - m->at < bytes)
        return false;
    memcpy(out, m->code + m->at, bytes);
    m->at += bytes;
    return true;
}

static enum vz_status push_text(struct machine *m, unsigned length_bytes, enum nn_pickle_kind kind)
{
    uint64_t len;
    if (!read_natural(m, length_bytes, &len) || len > m->len - m->at)
        return corrupt(m, "a text is cut");
    struct nn_pickle_value *v = value_new(m, kind);
    if (v)
        v->text = (struct vz_slice){(const char *)m->code + m->at, (size_t)len};
    m->at += (size_t)len;
    return push(m, v);
}

static enum vz_status push_long(struct machine *m)
{
    uint64_t len, bits = 0;
    if (!read_natural(m, 1, &len) || len > m->len - m->at)
        return corrupt(m, "a number is cut");
    if (len > 8)
        return corrupt(m, "a number has more than 64 bits");
    memcpy(&bits, m->code + m->at, (size_t)len);
    if (len && len < 8 && m->code[m->at + len - 1] & 0x80)
        bits |= ~0ull << (8 * len); /* two's complement */
    m->at += (size_t)len;
    return push_integer(m, (int64_t)bits);
}

static enum vz_status push_float(struct machine *m)
{
    uint64_t bits;
    if (!read_natural(m, 8, &bits))
        return corrupt(m, "a number is cut");
    bits = __builtin_bswap64(bits); /* the one big-endian thing in a pickle */
    struct nn_pickle_value *v = value_new(m, NN_PICKLE_FLOAT);
    if (v)
        memcpy(&v->number, &bits, sizeof bits);
    return push(m, v);
}

static bool read_line(struct machine *m, struct vz_slice *out)
{
    const unsigned char *start = m->code + m->at;
    const unsigned char *end = memchr(start, '\n', m->len - m->at);
    if (!end)
        return false;
    *out = (struct vz_slice){(const char *)start, (size_t)(end - start)};
    m->at += out->len + 1;
    return true;
}

/* ---- containers ---------------------------------------------------------------------------- */

static enum vz_status push_tuple(struct machine *m, enum nn_pickle_kind kind, size_t height)
{
    struct nn_pickle_value *v = value_new(m, kind);
    if (v)
        for (size_t i = height; i < m->stack.count; i++)
            items_push(m, &v->items, m->stack.at[i]);
    m->stack.count = height;
    return push(m, v);
}

static enum vz_status tuple_of(struct machine *m, size_t count)
{
    if (m->stack.count - floor_of(m) < count)
        return corrupt(m, "the stack is empty");
    return push_tuple(m, NN_PICKLE_TUPLE, m->stack.count - count);
}

static enum vz_status marked(struct machine *m, enum nn_pickle_kind kind)
{
    size_t height;
    if (!mark_pop(m, &height))
        return corrupt(m, "no mark");
    if (kind == NN_PICKLE_DICT && (m->stack.count - height) % 2)
        return corrupt(m, "a key without a value");
    return push_tuple(m, kind, height);
}

/* Moves the items above `height` into the container under them. */
static enum vz_status append(struct machine *m, enum nn_pickle_kind kind, size_t height)
{
    if (height <= floor_of(m) || m->stack.at[height - 1]->kind != kind)
        return corrupt(m, "items for something that is no list or dictionary");
    struct nn_pickle_value *container = m->stack.at[height - 1];
    if (kind == NN_PICKLE_DICT && (m->stack.count - height) % 2)
        return corrupt(m, "a key without a value");
    for (size_t i = height; i < m->stack.count; i++)
        items_push(m, &container->items, m->stack.at[i]);
    m->stack.count = height;
    return VZ_OK;
}

static enum vz_status append_few(struct machine *m, enum nn_pickle_kind kind, size_t count)
{
    if (m->stack.count - floor_of(m) <= count)
        return corrupt(m, "the stack is empty");
    return append(m, kind, m->stack.count - count);
}

static enum vz_status append_marked(struct machine *m, enum nn_pickle_kind kind)
{
    size_t height;
    return mark_pop(m, &height) ? append(m, kind, height) : corrupt(m, "no mark");
}

struct nn_pickle_value *nn_pickle_member(const struct nn_pickle_value *dict, const char *key)
{
    if (dict->kind != NN_PICKLE_DICT)
        return NULL;
    for (size_t i = 0; i + 1 < dict->items.count; i += 2) {
        struct nn_pickle_value *k = dict->items.at[i];
        if (k->kind == NN_PICKLE_TEXT && vz_slice_is(k->text, key))
            return dict->items.at[i + 1];
    }
    return NULL;
}

/* ---- the memo ------------------------------------------------------------------------------ */

static enum vz_status memo_put(struct machine *m, uint64_t at)
{
    struct nn_pickle_value *v = top(m);
    if (!v)
        return corrupt(m, "the stack is empty");
    /* Picklers number what they put from zero up; a gap is allowed, a jump over the limit not. */
    if (at >= MAX_MEMO || at > m->values * 2 + 64)
        return corrupt(m, "a memo number is out of range");
    while (m->memo.count <= at)
        items_push(m, &m->memo, NULL);
    m->memo.at[at] = v;
    return VZ_OK;
}

static enum vz_status memo_get(struct machine *m, unsigned bytes)
{
    uint64_t at;
    if (!read_natural(m, bytes, &at) || at >= m->memo.count || !m->memo.at[at])
        return corrupt(m, "nothing is remembered under this number");
    return push(m, m->memo.at[at]);
}

static enum vz_status memo_put_read(struct machine *m, unsigned bytes)
{
    uint64_t at;
    return read_natural(m, bytes, &at) ? memo_put(m, at) : corrupt(m, "cut");
}

/* ---- globals, calls, tensors --------------------------------------------------------------- */

static enum vz_status push_global(struct machine *m, struct vz_slice module, struct vz_slice name)
{
    for (size_t i = 0; i < VZ_COUNT_OF(globals); i++) {
        if (!vz_slice_is(module, globals[i].module) || !vz_slice_is(name, globals[i].name))
            continue;
        struct nn_pickle_value *v = value_new(m, NN_PICKLE_GLOBAL);
        if (v)
            v->global = (int)i;
        return push(m, v);
    }
    return vz_fail_at(m->err, VZ_UNSUPPORTED, m->at,
                      "%s wants Python's [%.*s.%.*s]; only tensors are read from such files",
                      m->path, (int)VZ_MIN(module.len, 100), module.ptr, (int)VZ_MIN(name.len, 100),
                      name.ptr);
}

static enum vz_status global_line(struct machine *m)
{
    struct vz_slice module, name;
    if (!read_line(m, &module) || !read_line(m, &name))
        return corrupt(m, "a global's name is cut");
    return push_global(m, module, name);
}

static enum vz_status global_stack(struct machine *m)
{
    struct nn_pickle_value *name = pop(m), *module = pop(m);
    if (!name || !module || name->kind != NN_PICKLE_TEXT || module->kind != NN_PICKLE_TEXT)
        return corrupt(m, "a global's name is no text");
    return push_global(m, module->text, name->text);
}

static bool is_global(const struct nn_pickle_value *v, enum allowed what)
{
    return v->kind == NN_PICKLE_GLOBAL && globals[v->global].what == what;
}

/* ("storage", torch.FloatStorage, key, device, elements[, None]) */
static enum vz_status push_storage(struct machine *m)
{
    struct nn_pickle_value *id = pop(m);
    if (!id || id->kind != NN_PICKLE_TUPLE || id->items.count < 5 || id->items.count > 6)
        return corrupt(m, "a persistent id is no storage");
    struct nn_pickle_value **item = id->items.at;
    if (item[0]->kind != NN_PICKLE_TEXT || !vz_slice_is(item[0]->text, "storage") ||
        !is_global(item[1], STORAGE_TYPE) || item[2]->kind != NN_PICKLE_TEXT ||
        item[2]->text.len > MAX_KEY_BYTES || item[4]->kind != NN_PICKLE_INT || item[4]->integer < 0)
        return corrupt(m, "a persistent id is no storage");
    if (id->items.count == 6 && item[5]->kind != NN_PICKLE_NONE)
        return vz_fail(m->err, VZ_UNSUPPORTED, "%s holds views of storages", m->path);
    struct nn_pickle_value *v = value_new(m, NN_PICKLE_STORAGE);
    if (v)
        v->storage = (struct nn_pickle_storage){globals[item[1]->global].dtype, item[2]->text,
                                                (uint64_t)item[4]->integer};
    return push(m, v);
}

/* Dimensions and strides into `t`, and that its last element lies in the storage. */
static enum vz_status tensor_shape(struct machine *m, struct nn_pickle_tensor *t,
                                   const struct nn_pickle_items *size,
                                   const struct nn_pickle_items *stride)
{
    if (size->count != stride->count)
        return corrupt(m, "a tensor has as many strides as dimensions");
    if (size->count > VZ_TENSOR_MAX_RANK)
        return vz_fail(m->err, VZ_UNSUPPORTED, "%s: a tensor has more than %d dimensions", m->path,
                       VZ_TENSOR_MAX_RANK);
    t->rank = (unsigned)size->count;
    t->count = 1;
    uint64_t last = t->offset, step;
    for (unsigned i = 0; i < t->rank; i++) {
        const struct nn_pickle_value *n = size->at[i], *s = stride->at[i];
        if (n->kind != NN_PICKLE_INT || s->kind != NN_PICKLE_INT || n->integer < 0 ||
            s->integer < 0)
            return corrupt(m, "a tensor's shape is no list of natural numbers");
        t->dims[i] = (uint64_t)n->integer;
        t->strides[i] = (uint64_t)s->integer;
        if (__builtin_mul_overflow(t->count, t->dims[i], &t->count))
            return corrupt(m, "a tensor has more elements than can be counted");
        if (t->dims[i] && (__builtin_mul_overflow(t->dims[i] - 1, t->strides[i], &step) ||
                           __builtin_add_overflow(last, step, &last)))
            return corrupt(m, "a tensor reaches past its storage");
    }
    if (t->count && last >= t->storage->count)
        return corrupt(m, "a tensor reaches past its storage");
    return VZ_OK;
}

static enum vz_status push_tensor(struct machine *m, const struct nn_pickle_items *args)
{
    struct nn_pickle_value **arg = args->at;
    if (args->count < 4 || arg[0]->kind != NN_PICKLE_STORAGE || arg[1]->kind != NN_PICKLE_INT ||
        arg[1]->integer < 0 || arg[2]->kind != NN_PICKLE_TUPLE || arg[3]->kind != NN_PICKLE_TUPLE)
        return corrupt(m, "a tensor is not made of a storage, an offset, a shape and strides");
    struct nn_pickle_value *v = value_new(m, NN_PICKLE_TENSOR);
    if (!v)
        return push(m, v);
    v->tensor.storage = &arg[0]->storage;
    v->tensor.offset = (uint64_t)arg[1]->integer;
    enum vz_status status = tensor_shape(m, &v->tensor, &arg[2]->items, &arg[3]->items);
    return status == VZ_OK ? push(m, v) : status;
}

static enum vz_status reduce(struct machine *m)
{
    struct nn_pickle_value *args = pop(m), *callable = pop(m);
    if (!args || !callable || args->kind != NN_PICKLE_TUPLE || callable->kind != NN_PICKLE_GLOBAL)
        return corrupt(m, "a call of something that cannot be called");
    switch (globals[callable->global].what) {
    case NEW_ORDERED_DICT:
        if (args->items.count)
            return corrupt(m, "an OrderedDict made of something");
        return push(m, value_new(m, NN_PICKLE_DICT));
    case REBUILD_TENSOR:
    case REBUILD_TENSOR_V2:
        return push_tensor(m, &args->items);
    case REBUILD_PARAMETER:
        if (!args->items.count || args->items.at[0]->kind != NN_PICKLE_TENSOR)
            return corrupt(m, "a parameter that is no tensor");
        return push(m, args->items.at[0]);
    default:
        return corrupt(m, "a call of a storage type");
    }
}

/* State beside the items: a state dictionary's _metadata. Nothing that we read. */
static enum vz_status build(struct machine *m)
{
    struct nn_pickle_value *state = pop(m), *object = top(m);
    if (!state || !object || (object->kind != NN_PICKLE_DICT && object->kind != NN_PICKLE_TENSOR))
        return corrupt(m, "state for something that has none");
    return VZ_OK;
}

/* ---- the opcodes --------------------------------------------------------------------------- */

static enum vz_status refuse(struct machine *m, unsigned char op)
{
    static const struct {
        unsigned char op;
        const char *name;
    } known[] = {
        {'I', "INT"},
        {'L', "LONG"},
        {'F', "FLOAT"},
        {'S', "STRING"},
        {'T', "BINSTRING"},
        {'U', "SHORT_BINSTRING"},
        {'V', "UNICODE"},
        {'P', "PERSID"},
        {'g', "GET"},
        {'p', "PUT"},
        {'i', "INST"},
        {'o', "OBJ"},
        {0x81, "NEWOBJ"},
        {0x82, "EXT1"},
        {0x83, "EXT2"},
        {0x84, "EXT4"},
        {0x8b, "LONG4"},
        {0x8e, "BINBYTES8"},
        {0x8f, "EMPTY_SET"},
        {0x90, "ADDITEMS"},
        {0x91, "FROZENSET"},
        {0x92, "NEWOBJ_EX"},
        {0x96, "BYTEARRAY8"},
        {0x97, "NEXT_BUFFER"},
        {0x98, "READONLY_BUFFER"},
    };
    for (size_t i = 0; i < VZ_COUNT_OF(known); i++)
        if (known[i].op == op)
            return vz_fail_at(m->err, VZ_UNSUPPORTED, m->at,
                              "%s: pickle, byte %zu: opcode %s is refused; only tensors are read "
                              "from such files",
                              m->path, m->at, known[i].name);
    return corrupt(m, "no opcode of a pickle");
}

/* Numbers, texts and the memo. */
static enum vz_status step_simple(struct machine *m, unsigned char op)
{
    uint64_t n;
    switch (op) {
    case 'N':
        return push(m, value_new(m, NN_PICKLE_NONE));
    case 0x88:
    case 0x89:
        return push_bool(m, op == 0x88);
    case 'J':
        return read_natural(m, 4, &n) ? push_integer(m, (int32_t)n) : corrupt(m, "cut");
    case 'K':
        return read_natural(m, 1, &n) ? push_integer(m, (int64_t)n) : corrupt(m, "cut");
    case 'M':
        return read_natural(m, 2, &n) ? push_integer(m, (int64_t)n) : corrupt(m, "cut");
    case 0x8a:
        return push_long(m);
    case 'G':
        return push_float(m);
    case 0x8c:
        return push_text(m, 1, NN_PICKLE_TEXT);
    case 'X':
        return push_text(m, 4, NN_PICKLE_TEXT);
    case 0x8d:
        return push_text(m, 8, NN_PICKLE_TEXT);
    case 'C':
        return push_text(m, 1, NN_PICKLE_BYTES);
    case 'B':
        return push_text(m, 4, NN_PICKLE_BYTES);
    case 'h':
        return memo_get(m, 1);
    case 'j':
        return memo_get(m, 4);
    case 'q':
        return memo_put_read(m, 1);
    case 'r':
        return memo_put_read(m, 4);
    case 0x94:
        return memo_put(m, m->memo.count);
    default:
        return refuse(m, op);
    }
}

/* The stack, containers and calls. */
static enum vz_status step(struct machine *m, unsigned char op)
{
    uint64_t n;
    size_t height;
    switch (op) {
    case 0x80:
        return read_natural(m, 1, &n) && n >= 2 && n <= 5 ? VZ_OK : corrupt(m, "protocol unknown");
    case 0x95:
        return read_natural(m, 8, &n) && n <= m->len - m->at ? VZ_OK : corrupt(m, "a frame is cut");
    case '(':
        mark_push(m);
        return VZ_OK;
    case '0':
        return pop(m) ? VZ_OK : corrupt(m, "the stack is empty");
    case '1':
        if (!mark_pop(m, &height))
            return corrupt(m, "no mark");
        m->stack.count = height;
        return VZ_OK;
    case '2':
        return top(m) ? push(m, top(m)) : corrupt(m, "the stack is empty");
    case ')':
        return push(m, value_new(m, NN_PICKLE_TUPLE));
    case 't':
        return marked(m, NN_PICKLE_TUPLE);
    case 0x85:
    case 0x86:
    case 0x87:
        return tuple_of(m, op - 0x84u);
    case ']':
        return push(m, value_new(m, NN_PICKLE_LIST));
    case 'l':
        return marked(m, NN_PICKLE_LIST);
    case 'a':
        return append_few(m, NN_PICKLE_LIST, 1);
    case 'e':
        return append_marked(m, NN_PICKLE_LIST);
    case '}':
        return push(m, value_new(m, NN_PICKLE_DICT));
    case 'd':
        return marked(m, NN_PICKLE_DICT);
    case 's':
        return append_few(m, NN_PICKLE_DICT, 2);
    case 'u':
        return append_marked(m, NN_PICKLE_DICT);
    case 'c':
        return global_line(m);
    case 0x93:
        return global_stack(m);
    case 'Q':
        return push_storage(m);
    case 'R':
        return reduce(m);
    case 'b':
        return build(m);
    default:
        return step_simple(m, op);
    }
}

enum vz_status nn_pickle_run(struct vz_slice code, const char *path, struct vz_arena *arena,
                             struct nn_pickle_value **result, size_t *used, struct vz_error *err)
{
    struct machine m = {.code = (const unsigned char *)code.ptr,
                        .len = code.len,
                        .path = path,
                        .arena = arena,
                        .err = err};
    while (m.at < m.len) {
        unsigned char op = m.code[m.at++];
        if (op == '.') {
            *result = pop(&m);
            *used = m.at;
            return *result && !m.mark_count ? VZ_OK : corrupt(&m, "it ends with nothing made");
        }
        enum vz_status status = step(&m, op);
        if (status != VZ_OK)
            return status;
    }
    return corrupt(&m, "it ends before its STOP");
}
