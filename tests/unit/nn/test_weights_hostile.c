/* Model files that somebody broke or made to harm: each is refused with its reason, and random
 * damage is refused or read within bounds (run it under AddressSanitizer). The seed is printed;
 * VIZSLA_SEED sets it, VIZSLA_FUZZ_ROUNDS how long. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/text.h"
#include "nn/golden_path.h"
#include "nn/weights_parts.h"

static char folder[] = "/tmp/vz-weights-XXXXXX";
static char path[sizeof folder + 64];

static enum vz_status open_bytes(const void *bytes, size_t len, struct vz_weights **out,
                                 struct vz_error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), (ssize_t)len);
    close(fd);
    *err = (struct vz_error){0};
    return vz_weights_open(path, out, err);
}

static void expect(const struct vz_buf *file, enum vz_status status, const char *text)
{
    struct vz_weights *weights;
    struct vz_error err;
    enum vz_status got = open_bytes(file->data, file->len, &weights, &err);
    if (got != status || (text && !strstr(err.text, text)))
        fail_msg("expected %s [%s], got %s: %s", vz_status_name(status), text ? text : "",
                 vz_status_name(got), err.text);
    vz_weights_close(weights);
}

/* ---- safetensors ----------------------------------------------------------------------------- */

static void put_u(struct vz_buf *buf, uint64_t number, unsigned bytes)
{
    vz_buf_append(buf, &number, bytes);
}

static void safetensors(enum vz_status status, const char *text, const char *header,
                        size_t data_bytes)
{
    struct vz_buf file = {0};
    put_u(&file, strlen(header), 8);
    vz_buf_append_str(&file, header);
    for (size_t i = 0; i < data_bytes; i++)
        vz_buf_append_char(&file, (char)i);
    expect(&file, status, text);
    vz_buf_deinit(&file);
}

#define A(shape, offsets)                                                                          \
    "\"a\":{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":" offsets "}"
#define B(shape, offsets)                                                                          \
    "\"b\":{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static void checks_safetensors(void **state)
{
    const enum vz_status bad = VZ_CORRUPT;
    safetensors(VZ_OK, NULL, "{" A("[2]", "[0,8]") "}", 8);
    safetensors(VZ_OK, NULL, "{" B("[2]", "[4,12]") "," A("[]", "[0,4]") "}   ", 12);
    safetensors(VZ_OK, NULL, "{\"__metadata__\":{\"a\":\"b\"}}", 0);
    safetensors(VZ_OK, NULL, "{" A("[0,4294967296]", "[0,0]") "," B("[1]", "[0,4]") "}", 4);
    safetensors(bad, "do not fit", "{" A("[2]", "[0,4]") "}", 4);
    safetensors(bad, "outside", "{" A("[2]", "[0,8]") "}", 7);
    safetensors(bad, "outside", "{" A("[2]", "[8,0]") "}", 8);
    safetensors(bad, "belong to none", "{" A("[2]", "[0,8]") "}", 9);
    safetensors(bad, "overlaps", "{" A("[2]", "[0,8]") "," B("[2]", "[4,12]") "}", 12);
    safetensors(bad, "overlaps", "{" A("[2]", "[0,8]") "," B("[2]", "[0,8]") "}", 8);
    safetensors(bad, "gap", "{" A("[2]", "[0,8]") "," B("[1]", "[12,16]") "}", 16);
    safetensors(bad, "gap", "{" A("[2]", "[4,12]") "}", 12);
    safetensors(bad, "two members [a]", "{" A("[1]", "[0,4]") "," A("[1]", "[4,8]") "}", 8);
    safetensors(bad, "counted", "{" A("[4294967296,4294967296]", "[0,0]") "}", 0);
    safetensors(bad, "do not fit", "{" A("[4611686018427387904]", "[0,0]") "}", 0);
    safetensors(bad, "natural", "{" A("[-1]", "[0,4]") "}", 4);
    safetensors(bad, "natural", "{" A("[1.0]", "[0,4]") "}", 4);
    safetensors(bad, "natural", "{" A("[1]", "[0,-4]") "}", 4);
    safetensors(bad, "natural", "{" A("[1]", "[0,4,8]") "}", 4);
    safetensors(bad, "natural", "{" A("[1]", "4") "}", 4);
    safetensors(bad, "no shape", "{" A("4", "[0,4]") "}", 4);
    safetensors(bad, "object", "{\"a\":[]}", 4);
    safetensors(bad, "no dtype", "{\"a\":{\"shape\":[],\"data_offsets\":[0,4]}}", 4);
    safetensors(bad, "header", "{" A("[1]", "[0,4]") "", 4);
    safetensors(bad, "header", "{" A("[1]", "[0,4]") "}}", 4);
    safetensors(bad, "neither", "[1,2,3,4,5]", 4);
    safetensors(VZ_UNSUPPORTED, "[F8_E4M3]",
                "{\"a\":{\"dtype\":\"F8_E4M3\",\"shape\":[4],\"data_offsets\":[0,4]}}", 4);
    safetensors(VZ_UNSUPPORTED, "dimensions", "{" A("[1,1,1,1,1,1,1,1,1]", "[0,4]") "}", 4);
}

static void checks_header_length(void **state)
{
    static const uint64_t lengths[] = {1000, UINT64_MAX, UINT64_MAX - 7, 1ull << 63, 17};
    for (size_t i = 0; i < VZ_COUNT_OF(lengths); i++) {
        struct vz_buf file = {0};
        put_u(&file, lengths[i], 8);
        vz_buf_append_str(&file, "{}              ");
        expect(&file, VZ_CORRUPT, "longer than the file");
        vz_buf_deinit(&file);
    }
    struct vz_buf file = {0};
    expect(&file, VZ_CORRUPT, "0 bytes");
    vz_buf_deinit(&file);
}

static void write_text(const char *name, const char *text)
{
    char where[sizeof path];
    snprintf(where, sizeof where, "%s/%s", folder, name);
    assert_int_equal(vz_file_write_atomic(where, text, strlen(text), NULL), VZ_OK);
}

static void checks_shards(void **state)
{
    static const struct {
        enum vz_status status;
        const char *text, *index;
    } cases[] = {
        {VZ_CORRUPT, "in no file of this folder",
         "{\"weight_map\":{\"a\":\"../model.safetensors\"}}"},
        {VZ_CORRUPT, "in no file of this folder", "{\"weight_map\":{\"a\":\"/etc/passwd\"}}"},
        {VZ_CORRUPT, "in no file of this folder", "{\"weight_map\":{\"a\":\"..\"}}"},
        {VZ_CORRUPT, "in no file of this folder", "{\"weight_map\":{\"a\":7}}"},
        {VZ_CORRUPT, "in no file of this folder", "{\"weight_map\":{\"a\":\"x\\u0000y\"}}"},
        {VZ_CORRUPT, "no weight_map", "{\"weight_map\":{}}"},
        {VZ_CORRUPT, "no weight_map", "[]"},
        {VZ_CORRUPT, "index.json", "{\"weight_map\":"},
        {VZ_NOT_FOUND, "absent", "{\"weight_map\":{\"a\":\"absent\"}}"},
        {VZ_CORRUPT, "neither", "{\"weight_map\":{\"a\":\"model.safetensors.index.json\"}}"},
    };
    for (size_t i = 0; i < VZ_COUNT_OF(cases); i++) {
        write_text("model.safetensors.index.json", cases[i].index);
        struct vz_weights *weights;
        struct vz_error err = {0};
        enum vz_status got = vz_weights_open(folder, &weights, &err);
        if (got != cases[i].status || !strstr(err.text, cases[i].text))
            fail_msg("case %d: %s: %s", (int)i, vz_status_name(got), err.text);
    }
    /* Tensors that the index names and no file holds; the same tensor in two files. */
    char one[] = "\x3A\0\0\0\0\0\0\0{" A("[1]", "[0,4]") "}         1234";
    static const char *const maps[] = {
        "{\"weight_map\":{\"a\":\"one\",\"b\":\"one\"}}",
        "{\"weight_map\":{\"a\":\"one\",\"b\":\"two\"}}",
    };
    static const char *const texts[] = {"[b], which no file holds", "two tensors are named [a]"};
    size_t len = sizeof one - 1;
    one[0] = (char)(len - 12);
    for (int i = 0; i < 2; i++) {
        char where[sizeof path];
        snprintf(where, sizeof where, "%s/%s", folder, i ? "two" : "one");
        assert_int_equal(vz_file_write_atomic(where, one, len, NULL), VZ_OK);
    }
    for (int i = 0; i < 2; i++) {
        write_text("model.safetensors.index.json", maps[i]);
        struct vz_weights *weights;
        struct vz_error err = {0};
        assert_int_equal(vz_weights_open(folder, &weights, &err), VZ_CORRUPT);
        assert_non_null(strstr(err.text, texts[i]));
    }
}

/* ---- torch ----------------------------------------------------------------------------------- */

struct record {
    const char *name;
    const void *bytes;
    size_t len;
    unsigned method;
};

static void zip(struct vz_buf *file, const struct record *records, size_t count, bool wide)
{
    size_t *at = calloc(count, sizeof *at);
    for (size_t i = 0; i < count; i++) {
        at[i] = file->len;
        vz_buf_append(file, "PK\3\4", 4);
        put_u(file, 0, 4);
        put_u(file, records[i].method, 2);
        put_u(file, 0, 8);
        put_u(file, records[i].len, 4);
        put_u(file, records[i].len, 4);
        put_u(file, strlen(records[i].name), 2);
        put_u(file, 3, 2);
        vz_buf_append_str(file, records[i].name);
        vz_buf_append(file, "FB\0", 3); /* padding, which readers skip */
        vz_buf_append(file, records[i].bytes, records[i].len);
    }
    size_t directory = file->len;
    for (size_t i = 0; i < count; i++) {
        vz_buf_append(file, "PK\1\2", 4);
        put_u(file, 0, 4);
        put_u(file, 0, 2);
        put_u(file, records[i].method, 2);
        put_u(file, 0, 8);
        put_u(file, wide ? 0xFFFFFFFF : records[i].len, 4);
        put_u(file, wide ? 0xFFFFFFFF : records[i].len, 4);
        put_u(file, strlen(records[i].name), 2);
        put_u(file, wide ? 28 : 0, 2);
        put_u(file, 0, 8); /* comment, disk, attributes of a text */
        put_u(file, 0, 2);
        put_u(file, wide ? 0xFFFFFFFF : at[i], 4);
        vz_buf_append_str(file, records[i].name);
        if (wide) {
            put_u(file, 1, 2);
            put_u(file, 24, 2);
            put_u(file, records[i].len, 8);
            put_u(file, records[i].len, 8);
            put_u(file, at[i], 8);
        }
    }
    size_t end = file->len;
    if (wide) {
        vz_buf_append(file, "PK\6\6", 4);
        put_u(file, 44, 8);
        put_u(file, 0, 8);
        put_u(file, 0, 4);
        put_u(file, count, 8);
        put_u(file, count, 8);
        put_u(file, end - directory, 8);
        put_u(file, directory, 8);
        vz_buf_append(file, "PK\6\7", 4);
        put_u(file, 0, 4);
        put_u(file, end, 8);
        put_u(file, 1, 4);
    }
    vz_buf_append(file, "PK\5\6", 4);
    put_u(file, 0, 4);
    put_u(file, wide ? 0xFFFF : count, 2);
    put_u(file, wide ? 0xFFFF : count, 2);
    put_u(file, wide ? 0xFFFFFFFF : end - directory, 4);
    put_u(file, wide ? 0xFFFFFFFF : directory, 4);
    put_u(file, 0, 2);
    free(at);
}

/* Pieces of a pickle of protocol 2. */
#define P "\x80\x02"
#define STORAGE(count)                                                                             \
    "(\x8c\x07storage"                                                                             \
    "ctorch\nFloatStorage\n"                                                                       \
    "\x8c\x01"                                                                                     \
    "0"                                                                                            \
    "\x8c\x03"                                                                                     \
    "cpu"                                                                                          \
    "K" count "tQ"
#define TENSOR(count, offset, size, stride)                                                        \
    "ctorch._utils\n_rebuild_tensor_v2\n(" STORAGE(count) "K" offset size stride "\x89"            \
                                                          "ccollections\nOrderedDict\n)RtR"
#define STATE(tensor)                                                                              \
    P "}\x8c\x01"                                                                                  \
      "a" tensor "s."

static void torch_bytes(enum vz_status status, const char *text, const char *pickle, size_t len)
{
    static const float data[4] = {1, 2, 3, 4};
    const struct record records[] = {
        {"m/data.pkl", pickle, len, 0}, {"m/byteorder", "little", 6, 0}, {"m/data/0", data, 16, 0}};
    for (int wide = 0; wide < 2; wide++) {
        struct vz_buf file = {0};
        zip(&file, records, 3, wide);
        expect(&file, status, text);
        vz_buf_deinit(&file);
    }
}
#define torch(status, text, pickle) torch_bytes(status, text, pickle, sizeof(pickle) - 1)

#define ONE(n) "K" n "\x85"
#define TWO(a, b) "K" a "K" b "\x86"

static void reads_pickles(void **state)
{
    torch(VZ_OK, NULL, STATE(TENSOR("\4", "\0", ONE("\4"), ONE("\1"))));
    torch(VZ_OK, NULL, STATE(TENSOR("\4", "\1", ONE("\3"), ONE("\1"))));
    torch(VZ_OK, NULL, STATE(TENSOR("\4", "\0", TWO("\2", "\2"), TWO("\1", "\2"))));
    torch(VZ_OK, NULL, STATE(TENSOR("\4", "\0", ")", ")")));
    torch(VZ_OK, NULL, STATE(TENSOR("\4", "\0", ONE("\2"), ONE("\3"))));
    torch(VZ_CORRUPT, "past its storage", STATE(TENSOR("\4", "\0", ONE("\5"), ONE("\1"))));
    torch(VZ_CORRUPT, "past its storage", STATE(TENSOR("\4", "\4", ONE("\1"), ONE("\1"))));
    torch(VZ_CORRUPT, "past its storage", STATE(TENSOR("\4", "\0", ONE("\3"), ONE("\2"))));
    torch(VZ_CORRUPT, "past its storage",
          STATE(TENSOR("\4", "\0", TWO("\2", "\2"),
                       "\x8a\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F"
                       "K\1\x86")));
    torch(VZ_CORRUPT, "counted",
          STATE(TENSOR("\4", "\0",
                       "\x8a\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F"
                       "\x8a\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F\x86",
                       TWO("\0", "\0"))));
    torch(VZ_CORRUPT, "natural", STATE(TENSOR("\4", "\0", "J\xFF\xFF\xFF\xFF\x85", ONE("\1"))));
    torch(VZ_CORRUPT, "natural", STATE(TENSOR("\4", "\0", ONE("\1"), "J\xFF\xFF\xFF\xFF\x85")));
    torch(VZ_CORRUPT, "strides", STATE(TENSOR("\4", "\0", TWO("\1", "\1"), ONE("\1"))));
    torch(VZ_CORRUPT, "missing or cut", STATE(TENSOR("\5", "\0", ONE("\4"), ONE("\1"))));
    torch(VZ_UNSUPPORTED, "twice", STATE(TENSOR("\4", "\0", TWO("\2", "\2"), TWO("\0", "\1"))));
    torch(VZ_UNSUPPORTED, "twice", STATE(TENSOR("\4", "\0", TWO("\2", "\3"), TWO("\1", "\1"))));
    torch(VZ_UNSUPPORTED, "no dictionary of tensors", P "}.");
    torch(VZ_UNSUPPORTED, "no dictionary of tensors", P "K\1.");
    /* A list within itself, and a dictionary: walked to a fixed depth. */
    torch(VZ_UNSUPPORTED, "no dictionary of tensors", P "]q\0h\0a.");
    torch(VZ_UNSUPPORTED, "no dictionary of tensors", P "}q\0\x8c\x0astate_dicth\0s.");
}

static void refuses_programs(void **state)
{
    torch(VZ_UNSUPPORTED, "[os.system]",
          P "cos\nsystem\n(X\4\0\0\0true"
            "tR.");
    torch(VZ_UNSUPPORTED, "[posix.system]", "\x80\4\x8c\5posix\x8c\6system\x93\x8c\4true\x85R.");
    torch(VZ_UNSUPPORTED, "[builtins.eval]", P "cbuiltins\neval\n(X\1\0\0\0001tR.");
    torch(VZ_UNSUPPORTED, "[__builtin__.getattr]", P "c__builtin__\ngetattr\n.");
    torch(VZ_UNSUPPORTED, "[torch.storage._load_from_bytes]",
          P "ctorch.storage\n_load_from_bytes\n.");
    torch(VZ_UNSUPPORTED, "[collections.OrderedDict.__class__]",
          P "ccollections\nOrderedDict.__class__\n.");
    torch(VZ_UNSUPPORTED, "opcode INST", P "(ios\nsystem\n.");
    torch(VZ_UNSUPPORTED, "opcode OBJ", P "(ccollections\nOrderedDict\no.");
    torch(VZ_UNSUPPORTED, "opcode NEWOBJ", P "ccollections\nOrderedDict\n)\x81.");
    torch(VZ_UNSUPPORTED, "opcode EXT1", P "\x82\1.");
    torch(VZ_CORRUPT, "call of a storage type", P "ctorch\nFloatStorage\n)R.");
    torch(VZ_CORRUPT, "cannot be called",
          P "}"
            ")R.");
    torch(VZ_CORRUPT, "OrderedDict made of something", P "ccollections\nOrderedDict\nK\1\x85R.");
    torch(VZ_CORRUPT, "no storage", P "X\4\0\0\0pathQ.");
    torch(VZ_CORRUPT, "no storage", P "(X\7\0\0\0storageK\1K\2K\3K\4tQ.");
}

static void refuses_broken_pickles(void **state)
{
    torch(VZ_CORRUPT, "before its STOP", P "}");
    torch(VZ_CORRUPT, "nothing made", P ".");
    torch(VZ_CORRUPT, "nothing made", P "}(.");
    torch(VZ_CORRUPT, "cut",
          P "X\xFF\xFF\xFF\xFF"
            "a.");
    torch(VZ_CORRUPT, "cut",
          P "\x8d\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"
            "a.");
    torch(VZ_CORRUPT, "cut", P "\x8a\x05\1.");
    torch(VZ_CORRUPT, "64 bits", P "\x8a\x09\1\1\1\1\1\1\1\1\1.");
    torch(VZ_CORRUPT, "cut", P "ccollections\nOrderedDict");
    torch(VZ_CORRUPT, "stack is empty", P "0.");
    torch(VZ_CORRUPT, "stack is empty", P "}(0.");
    torch(VZ_CORRUPT, "stack is empty", P "K\1\x86.");
    torch(VZ_CORRUPT, "no mark", P "K\1t.");
    torch(VZ_CORRUPT, "no mark", P "}u.");
    torch(VZ_CORRUPT, "key without", P "}(K\1u.");
    torch(VZ_CORRUPT, "no list or dictionary", P "]K\1K\2s.");
    torch(VZ_CORRUPT, "no list or dictionary", P "}K\1a.");
    torch(VZ_CORRUPT, "no list or dictionary", P "(K\1u.");
    torch(VZ_CORRUPT, "remembered", P "h\0.");
    torch(VZ_CORRUPT, "remembered", P "j\xFF\xFF\xFF\xFF.");
    torch(VZ_CORRUPT, "out of range", P "}r\xFF\xFF\xFF\xFF.");
    torch(VZ_CORRUPT, "out of range", P "}r\xFF\xFF\x3F\0.");
    torch(VZ_CORRUPT, "frame", "\x80\4\x95\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF}.");
    torch(VZ_CORRUPT, "protocol", "\x80\x09}.");
    torch(VZ_CORRUPT, "state for", P "K\1}b.");
    torch(VZ_CORRUPT, "no opcode", P "\xFF.");
}

/* Two million times "what is on top again": the stack has a limit. */
static void bounds_the_stack(void **state)
{
    struct vz_buf pickle = {0};
    vz_buf_append(&pickle, P "}", 3);
    for (int i = 0; i < 2 << 20; i++)
        vz_buf_append_char(&pickle, '2');
    torch_bytes(VZ_LIMIT, "stacks more", pickle.data, pickle.len);
    vz_buf_deinit(&pickle);
}

static void checks_zips(void **state)
{
    static const char pickle[] = STATE(TENSOR("\4", "\0", ONE("\4"), ONE("\1")));
    static const float data[4] = {1, 2, 3, 4};
    const struct {
        struct record records[3];
        enum vz_status status;
        const char *text;
    } cases[] = {
        {{{"m/data.pkl", pickle, sizeof pickle - 1, 0},
          {"m/x", "", 0, 0},
          {"m/data/0", data, 16, 0}},
         VZ_OK,
         NULL},
        {{{"m/data.pkl", pickle, sizeof pickle - 1, 0},
          {"m/x", "", 0, 0},
          {"m/data/0", data, 15, 0}},
         VZ_CORRUPT,
         "missing or cut"},
        {{{"m/data.pkl", pickle, sizeof pickle - 1, 0},
          {"m/x", "", 0, 0},
          {"m/data/1", data, 16, 0}},
         VZ_CORRUPT,
         "missing or cut"},
        {{{"m/data.pkl", pickle, sizeof pickle - 1, 8},
          {"m/x", "", 0, 0},
          {"m/data/0", data, 16, 0}},
         VZ_UNSUPPORTED,
         "compressed"},
        {{{"m/data.pkl", pickle, sizeof pickle - 1, 0},
          {"n/data.pkl", "", 0, 0},
          {"m/data/0", data, 16, 0}},
         VZ_CORRUPT,
         "data.pkl"},
        {{{"m/data.pkl", pickle, sizeof pickle - 1, 0},
          {"m/data/0", data, 16, 0},
          {"m/data/0", data, 16, 0}},
         VZ_CORRUPT,
         "two records"},
        {{{"m/data.pkl", pickle, sizeof pickle - 1, 0},
          {"m/byteorder", "big", 3, 0},
          {"m/data/0", data, 16, 0}},
         VZ_UNSUPPORTED,
         "big-endian"},
        {{{"a/b/data.pkl", pickle, sizeof pickle - 1, 0},
          {"m/x", "", 0, 0},
          {"m/data/0", data, 16, 0}},
         VZ_UNSUPPORTED,
         "not one of torch.save"},
    };
    for (size_t i = 0; i < VZ_COUNT_OF(cases); i++) {
        struct vz_buf file = {0};
        zip(&file, cases[i].records, 3, i % 2);
        expect(&file, cases[i].status, cases[i].text);
        file.len -= 1;
        expect(&file, VZ_CORRUPT, "directory is missing");
        vz_buf_deinit(&file);
    }
}

/* ---- random damage --------------------------------------------------------------------------- */

static uint64_t rng;

/* Reads all of every tensor: a wrong view is caught by the sanitizer or by a fault. */
static double sum_all(const struct vz_weights *weights)
{
    double sum = 0;
    for (size_t i = 0; i < vz_weights_count(weights); i++) {
        const struct vz_tensor_view *view = vz_weights_at(weights, i);
        float part[64];
        for (uint64_t at = 0; at < view->count; at += 64) {
            uint64_t count = VZ_MIN(64, view->count - at);
            vz_tensor_read_f32(view, at, count, part);
            sum += part[0] + part[count - 1];
        }
    }
    return sum;
}

static void damage(struct vz_buf *file)
{
    static const uint64_t odd[] = {
        0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, UINT64_MAX, 1ull << 63, 1ull << 62};
    for (uint64_t n = 1 + vz_rng_next(&rng) % 4; n--;) {
        size_t at = vz_rng_next(&rng) % file->len;
        switch (vz_rng_next(&rng) % 6) {
        case 0:
            file->data[at] = (char)vz_rng_next(&rng);
            break;
        case 1:
            file->data[at] ^= (char)(1 << vz_rng_next(&rng) % 8);
            break;
        case 2: { /* a number of a nasty size */
            size_t len = (size_t)1 << vz_rng_next(&rng) % 4;
            memcpy(file->data + at, &odd[vz_rng_next(&rng) % VZ_COUNT_OF(odd)],
                   VZ_MIN(len, file->len - at));
            break;
        }
        case 3: { /* a piece over another */
            size_t from = vz_rng_next(&rng) % file->len;
            size_t len = vz_rng_next(&rng) % 32;
            memmove(file->data + at, file->data + from, VZ_MIN(len, file->len - VZ_MAX(at, from)));
            break;
        }
        case 4: /* another digit: headers stay JSON */
            if (file->data[at] >= '0' && file->data[at] <= '9')
                file->data[at] = (char)('0' + vz_rng_next(&rng) % 10);
            break;
        default:
            if (vz_rng_next(&rng) % 8 == 0 && file->len > 32)
                file->len -= vz_rng_next(&rng) % (file->len / 2);
        }
    }
}

static void survives_damage(void **state)
{
    static const char *const files[] = {"model.safetensors", "zip.bin", "protocol4.bin",
                                        "legacy.bin", "checkpoint.pt"};
    const char *rounds_text = getenv("VIZSLA_FUZZ_ROUNDS");
    long rounds = rounds_text ? atol(rounds_text) : 4000, opened = 0;
    for (long i = 0; i < rounds; i++) {
        char source[4096];
        snprintf(source, sizeof source, "%s/weights/%s", VZ_GOLDEN_DIR,
                 files[(size_t)i % VZ_COUNT_OF(files)]);
        struct vz_buf file = {0};
        assert_int_equal(vz_file_read(source, 0, &file, NULL), VZ_OK);
        damage(&file);
        /* In a block of exactly its size, not a mapping: no rounding up to pages. */
        void *exact = malloc(file.len);
        memcpy(exact, file.data, file.len);
        struct nn_weights_file memory = {.path = path, .bytes = exact, .size = file.len};
        struct vz_weights *weights = calloc(1, sizeof *weights);
        struct vz_error err = {0};
        enum vz_status status = nn_weights_read(weights, &memory, &err);
        if (status == VZ_OK) {
            opened++;
            volatile double sum = sum_all(weights);
            (void)sum;
        } else if (status != VZ_CORRUPT && status != VZ_UNSUPPORTED && status != VZ_LIMIT) {
            fail_msg("round %ld: %s: %s", i, vz_status_name(status), err.text);
        }
        vz_weights_close(weights);
        free(exact);
        vz_buf_deinit(&file);
    }
    print_message("%ld of %ld damaged files still opened\n", opened, rounds);
    assert_true(opened > 0 && opened < rounds);
}

static int set_up(void **state)
{
    const char *seed = getenv("VIZSLA_SEED");
    rng = seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL);
    print_message("VIZSLA_SEED=%llu\n", (unsigned long long)rng);
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/weights.bin", folder);
    return 0;
}

static int tear_down(void **state)
{
    return vz_remove_all(folder, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checks_safetensors), cmocka_unit_test(checks_header_length),
        cmocka_unit_test(checks_shards),      cmocka_unit_test(reads_pickles),
        cmocka_unit_test(refuses_programs),   cmocka_unit_test(refuses_broken_pickles),
        cmocka_unit_test(bounds_the_stack),   cmocka_unit_test(checks_zips),
        cmocka_unit_test(survives_damage),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
