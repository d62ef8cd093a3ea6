/* Methods of strings. Java counts UTF-16 units, strings here are UTF-8: pure ASCII, which is most,
 * needs no counting; other text is walked. A position inside a pair of units is moved to the pair's
 * beginning.
 */
#include "script/parts.h"

#include "base/text.h"

#include <locale.h>
#include <pthread.h>
#include <wctype.h>

#define TEXT VZ_MASK(VZ_CELL_STRING)

static bool is_ascii(struct vz_slice text)
{
    uint64_t word;
    size_t i = 0;
    for (; i + 8 <= text.len; i += 8) {
        memcpy(&word, text.ptr + i, 8);
        if (word & 0x8080808080808080ull)
            return false;
    }
    for (; i < text.len; i++)
        if (text.ptr[i] & 0x80)
            return false;
    return true;
}

/* Bytes of the character that starts with `c`; its UTF-16 units are 2 for 4 bytes, else 1. */
static size_t width(char c)
{
    unsigned char lead = (unsigned char)c;
    return lead < 0xC0 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

size_t vz_utf16_length(struct vz_slice text)
{
    size_t units = 0;
    if (is_ascii(text))
        return text.len;
    for (size_t i = 0; i < text.len;) {
        size_t bytes = width(text.ptr[i]);
        units += bytes == 4 ? 2 : 1;
        i += bytes;
    }
    return units;
}

/* The byte at which a unit begins; the length for one past the end. */
static size_t byte_of(struct vz_slice text, size_t unit)
{
    size_t at = 0;
    if (is_ascii(text))
        return VZ_MIN(unit, text.len);
    for (size_t units = 0; at < text.len;) {
        size_t bytes = width(text.ptr[at]);
        units += bytes == 4 ? 2 : 1;
        if (units > unit)
            return at;
        at += bytes;
    }
    return text.len;
}

static size_t unit_of(struct vz_slice text, size_t byte)
{
    return vz_utf16_length((struct vz_slice){text.ptr, byte});
}

static uint32_t code_point(const char *p, size_t bytes)
{
    const unsigned char *u = (const unsigned char *)p;
    if (bytes == 1)
        return u[0];
    uint32_t code = u[0] & (0x7Fu >> bytes);
    for (size_t i = 1; i < bytes; i++)
        code = code << 6 | (u[i] & 0x3F);
    return code;
}

static void put_code_point(uint32_t c, struct vz_buf *out)
{
    char bytes[4];
    size_t len = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char leads[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = len; i-- > 1; c >>= 6)
        bytes[i] = (char)(0x80 | (c & 0x3F));
    bytes[0] = (char)(leads[len] | c);
    vz_buf_append(out, bytes, len);
}

/* ---- arguments ------------------------------------------------------------------------------- */

static bool want_text(struct vz_machine *vm, const struct vz_cell *cell, struct vz_slice *out)
{
    if (cell->tag == VZ_CELL_NULL)
        return vz_machine_fail(vm, "null_pointer_exception", "a string is null");
    if (cell->tag != VZ_CELL_STRING)
        return vz_machine_fail(vm, "class_cast_exception",
                               "Cannot cast from [%s] to [java.lang.String].",
                               vz_cell_type_name(cell));
    *out = cell->value->string;
    return vz_machine_work(vm, out->len / 64);
}

/* The text of a string or char. */
static bool want_part(struct vz_machine *vm, struct vz_cell *cell, struct vz_slice *out)
{
    if (cell->tag == VZ_CELL_CHAR && !vz_convert(vm, VZ_TYPE_STRING, true, cell))
        return false;
    return want_text(vm, cell, out);
}

static bool want_int(struct vz_machine *vm, struct vz_cell *cell, int64_t *out)
{
    if (!vz_convert(vm, VZ_TYPE_INT, false, cell))
        return false;
    *out = cell->integer;
    return true;
}

static bool give(struct vz_machine *vm, struct vz_slice text, struct vz_cell *out)
{
    *out = vz_machine_string(vm, text);
    return true;
}

static bool give_copy(struct vz_machine *vm, struct vz_buf *text, struct vz_cell *out)
{
    bool fine = vz_machine_bytes(vm, text->len) && vz_machine_work(vm, text->len / 64);
    if (fine)
        *out = vz_machine_string(vm, vz_arena_copy(vm->arena, vz_buf_slice(text)));
    vz_buf_deinit(text);
    return fine;
}

static struct vz_slice cut(struct vz_slice text, size_t from, size_t to)
{
    return (struct vz_slice){text.ptr + from, to - from};
}

static const char *find(struct vz_slice text, struct vz_slice part)
{
    if (part.len == 0)
        return text.ptr;
    return text.len ? memmem(text.ptr, text.len, part.ptr, part.len) : NULL;
}

/* ---- the methods ----------------------------------------------------------------------------- */

#define METHOD(name)                                                                               \
    static bool name(struct vz_machine *vm, struct vz_cell *args, unsigned argc,                   \
                     struct vz_cell *out)
#define SELF                                                                                       \
    struct vz_slice self = {0};                                                                    \
    (void)argc;                                                                                    \
    if (!want_text(vm, &args[0], &self))                                                           \
    return false

METHOD(length)
{
    SELF;
    *out = vz_cell_int((int64_t)vz_utf16_length(self));
    return true;
}

METHOD(is_empty)
{
    SELF;
    *out = vz_cell_bool(self.len == 0);
    return true;
}

static bool out_of_range(struct vz_machine *vm, int64_t at, struct vz_slice text)
{
    return vz_machine_fail(vm, "string_index_out_of_bounds_exception", "index %lld, length %zu",
                           (long long)at, vz_utf16_length(text));
}

METHOD(char_at)
{
    SELF;
    int64_t at = 0;
    if (!want_int(vm, &args[1], &at))
        return false;
    if (at < 0 || (uint64_t)at >= vz_utf16_length(self))
        return out_of_range(vm, at, self);
    size_t byte = byte_of(self, (size_t)at), bytes = width(self.ptr[byte]);
    uint32_t code = code_point(self.ptr + byte, VZ_MIN(bytes, self.len - byte));
    if (code >= 0x10000) {
        bool second = unit_of(self, byte) != (size_t)at;
        code -= 0x10000;
        code = second ? 0xDC00 | (code & 0x3FF) : 0xD800 | code >> 10;
    }
    *out = (struct vz_cell){.tag = VZ_CELL_CHAR, .integer = code};
    return true;
}

METHOD(substring)
{
    SELF;
    int64_t from, to = (int64_t)vz_utf16_length(self), end = to;
    if (!want_int(vm, &args[1], &from) || (argc > 1 && !want_int(vm, &args[2], &to)))
        return false;
    if (from < 0 || to > end || from > to)
        return vz_machine_fail(vm, "string_index_out_of_bounds_exception",
                               "begin %lld, end %lld, length %lld", (long long)from, (long long)to,
                               (long long)end);
    return give(vm, cut(self, byte_of(self, (size_t)from), byte_of(self, (size_t)to)), out);
}

METHOD(index_of)
{
    SELF;
    struct vz_slice part = {0};
    int64_t from = 0;
    if (!want_part(vm, &args[1], &part) || (argc > 1 && !want_int(vm, &args[2], &from)))
        return false;
    size_t start = byte_of(self, (size_t)VZ_MAX(from, 0));
    const char *at = find(cut(self, start, self.len), part);
    *out = vz_cell_int(at ? (int64_t)unit_of(self, (size_t)(at - self.ptr)) : -1);
    return true;
}

METHOD(last_index_of)
{
    SELF;
    struct vz_slice part = {0};
    if (!want_part(vm, &args[1], &part))
        return false;
    *out = vz_cell_int(-1);
    if (part.len > self.len)
        return true;
    for (size_t at = self.len - part.len + 1; at-- > 0;) {
        if (part.len && memcmp(self.ptr + at, part.ptr, part.len) != 0)
            continue;
        *out = vz_cell_int((int64_t)unit_of(self, at));
        break;
    }
    return vz_machine_work(vm, self.len / 8);
}

METHOD(contains)
{
    SELF;
    struct vz_slice part = {0};
    if (!want_part(vm, &args[1], &part))
        return false;
    *out = vz_cell_bool(find(self, part) != NULL);
    return true;
}

METHOD(starts_with)
{
    SELF;
    struct vz_slice part = {0};
    if (!want_text(vm, &args[1], &part))
        return false;
    *out = vz_cell_bool(self.len >= part.len && vz_slice_eq(cut(self, 0, part.len), part));
    return true;
}

METHOD(ends_with)
{
    SELF;
    struct vz_slice part = {0};
    if (!want_text(vm, &args[1], &part))
        return false;
    *out = vz_cell_bool(self.len >= part.len &&
                        vz_slice_eq(cut(self, self.len - part.len, self.len), part));
    return true;
}

/* By UTF-16 units; UTF-8's order differs only beyond U+FFFF. */
static int compare(struct vz_slice a, struct vz_slice b)
{
    size_t at = 0, common = VZ_MIN(a.len, b.len);
    while (at < common && a.ptr[at] == b.ptr[at])
        at++;
    while (at && at < common && (a.ptr[at] & 0xC0) == 0x80)
        at--; /* to the beginning of the character */
    if (at == common)
        return (int)vz_utf16_length(cut(a, common, a.len)) -
               (int)vz_utf16_length(cut(b, common, b.len));
    uint32_t x = code_point(a.ptr + at, VZ_MIN(width(a.ptr[at]), a.len - at));
    uint32_t y = code_point(b.ptr + at, VZ_MIN(width(b.ptr[at]), b.len - at));
    if (x >= 0x10000 && y >= 0x10000 && (x - 0x10000) >> 10 == (y - 0x10000) >> 10)
        return (int)x - (int)y;
    x = x >= 0x10000 ? 0xD800 + ((x - 0x10000) >> 10) : x;
    y = y >= 0x10000 ? 0xD800 + ((y - 0x10000) >> 10) : y;
    return (int)x - (int)y;
}

METHOD(compare_to)
{
    SELF;
    struct vz_slice other = {0};
    if (!want_text(vm, &args[1], &other))
        return false;
    *out = vz_cell_int(compare(self, other));
    return true;
}

/* ---- case ------------------------------------------------------------------------------------ */

static locale_t utf8_locale;

static void make_locale(void)
{
    utf8_locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

static void change_case(struct vz_slice text, bool upper, struct vz_buf *out)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_locale);
    for (size_t i = 0; i < text.len;) {
        size_t bytes = VZ_MIN(width(text.ptr[i]), text.len - i);
        uint32_t c = code_point(text.ptr + i, bytes);
        if (c < 0x80)
            c = upper ? (c >= 'a' && c <= 'z' ? c - 32 : c) : (c >= 'A' && c <= 'Z' ? c + 32 : c);
        else if (upper && c == 0xDF) { /* sharp s */
            vz_buf_append_char(out, 'S');
            c = 'S';
        } else if (utf8_locale)
            c = (uint32_t)(upper ? towupper_l((wint_t)c, utf8_locale)
                                 : towlower_l((wint_t)c, utf8_locale));
        put_code_point(c, out);
        i += bytes;
    }
}

METHOD(to_lower)
{
    SELF;
    struct vz_buf text = {0};
    change_case(self, false, &text);
    return give_copy(vm, &text, out);
}

METHOD(to_upper)
{
    SELF;
    struct vz_buf text = {0};
    change_case(self, true, &text);
    return give_copy(vm, &text, out);
}

static int compare_folded(struct vz_slice a, struct vz_slice b)
{
    struct vz_buf x = {0}, y = {0}, up = {0};
    change_case(a, true, &up);
    change_case(vz_buf_slice(&up), false, &x);
    vz_buf_clear(&up);
    change_case(b, true, &up);
    change_case(vz_buf_slice(&up), false, &y);
    int order = compare(vz_buf_slice(&x), vz_buf_slice(&y));
    vz_buf_deinit(&x);
    vz_buf_deinit(&y);
    vz_buf_deinit(&up);
    return order;
}

METHOD(equals_ignore_case)
{
    SELF;
    struct vz_slice other = {0};
    *out = vz_cell_bool(false);
    if (args[1].tag == VZ_CELL_NULL)
        return true;
    if (!want_text(vm, &args[1], &other))
        return false;
    *out = vz_cell_bool(compare_folded(self, other) == 0);
    return true;
}

METHOD(compare_to_ignore_case)
{
    SELF;
    struct vz_slice other = {0};
    if (!want_text(vm, &args[1], &other))
        return false;
    *out = vz_cell_int(compare_folded(self, other));
    return true;
}

/* ---- new strings ----------------------------------------------------------------------------- */

METHOD(trim)
{
    SELF;
    while (self.len && (unsigned char)self.ptr[0] <= ' ') {
        self.ptr++;
        self.len--;
    }
    while (self.len && (unsigned char)self.ptr[self.len - 1] <= ' ')
        self.len--;
    return give(vm, self, out);
}

METHOD(concat)
{
    SELF;
    struct vz_slice other = {0};
    struct vz_buf text = {0};
    if (!want_text(vm, &args[1], &other) || !vz_machine_bytes(vm, self.len + other.len))
        return false;
    vz_buf_append_slice(&text, self);
    vz_buf_append_slice(&text, other);
    return give_copy(vm, &text, out);
}

METHOD(replace)
{
    SELF;
    struct vz_slice from = {0}, to = {0};
    struct vz_buf text = {0};
    if (!want_part(vm, &args[1], &from) || !want_part(vm, &args[2], &to))
        return false;
    if (from.len == 0)
        return vz_machine_fail(vm, "illegal_argument_exception", "replace of an empty string");
    /* Not longer than this: checked before it is made. */
    if (to.len > from.len &&
        !vz_machine_bytes(vm, self.len / from.len * (to.len - from.len) + self.len))
        return false;
    const char *at;
    while ((at = find(self, from))) {
        size_t before = (size_t)(at - self.ptr);
        vz_buf_append(&text, self.ptr, before);
        vz_buf_append_slice(&text, to);
        self = cut(self, before + from.len, self.len);
        if (self.len == 0)
            break;
    }
    vz_buf_append_slice(&text, self);
    return give_copy(vm, &text, out);
}

METHOD(repeat)
{
    SELF;
    int64_t times = 0;
    struct vz_buf text = {0};
    if (!want_int(vm, &args[1], &times))
        return false;
    if (times < 0)
        return vz_machine_fail(vm, "illegal_argument_exception", "count is negative: %lld",
                               (long long)times);
    if (self.len && (uint64_t)times > VZ_SCRIPT_MAX_BYTES / self.len)
        return vz_machine_limit(vm, "a script makes more than [%u] bytes", VZ_SCRIPT_MAX_BYTES);
    vz_buf_reserve(&text, self.len * (size_t)times + 1);
    for (int64_t i = 0; self.len && i < times; i++)
        vz_buf_append_slice(&text, self);
    return give_copy(vm, &text, out);
}

static bool add_piece(struct vz_machine *vm, struct vz_value *list, struct vz_slice piece)
{
    struct vz_cell cell = vz_machine_string(vm, piece);
    return vz_machine_append(vm, list, &cell);
}

METHOD(split_on_token)
{
    SELF;
    struct vz_slice token = {0};
    int64_t limit = 0;
    if (!want_text(vm, &args[1], &token) || (argc > 1 && !want_int(vm, &args[2], &limit)))
        return false;
    struct vz_value *list = vz_machine_list(vm);
    const char *at;
    *out = (struct vz_cell){.tag = VZ_CELL_LIST, .value = list};
    while (token.len && (limit <= 0 || (int64_t)list->array.count + 1 < limit) &&
           (at = find(self, token))) {
        size_t before = (size_t)(at - self.ptr);
        if (!add_piece(vm, list, cut(self, 0, before)))
            return false;
        self = cut(self, before + token.len, self.len);
        if (self.len == 0)
            break;
    }
    return add_piece(vm, list, self);
}

METHOD(encode_base64)
{
    SELF;
    struct vz_buf text = {0};
    vz_base64_encode(self.ptr, self.len, &text);
    return give_copy(vm, &text, out);
}

METHOD(decode_base64)
{
    SELF;
    struct vz_buf text = {0};
    if (!vz_base64_decode(self, &text)) {
        vz_buf_deinit(&text);
        return vz_machine_fail(vm, "illegal_argument_exception", "Illegal base64 character");
    }
    text.len = vz_utf8_valid_prefix(text.data, text.len);
    return give_copy(vm, &text, out);
}

const struct vz_method vz_methods_text[] = {
    {"length", TEXT, 0, 0, length},
    {"getLength", TEXT, 0, 0, length},
    {"isEmpty", TEXT, 0, 0, is_empty},
    {"charAt", TEXT, 1, 1, char_at},
    {"substring", TEXT, 1, 2, substring},
    {"subSequence", TEXT, 2, 2, substring},
    {"indexOf", TEXT, 1, 2, index_of},
    {"lastIndexOf", TEXT, 1, 1, last_index_of},
    {"contains", TEXT, 1, 1, contains},
    {"startsWith", TEXT, 1, 1, starts_with},
    {"endsWith", TEXT, 1, 1, ends_with},
    {"compareTo", TEXT, 1, 1, compare_to},
    {"equalsIgnoreCase", TEXT, 1, 1, equals_ignore_case},
    {"compareToIgnoreCase", TEXT, 1, 1, compare_to_ignore_case},
    {"toLowerCase", TEXT, 0, 0, to_lower},
    {"toUpperCase", TEXT, 0, 0, to_upper},
    {"trim", TEXT, 0, 0, trim},
    {"strip", TEXT, 0, 0, trim},
    {"concat", TEXT, 1, 1, concat},
    {"replace", TEXT, 2, 2, replace},
    {"repeat", TEXT, 1, 1, repeat},
    {"splitOnToken", TEXT, 1, 2, split_on_token},
    {"encodeBase64", TEXT, 0, 0, encode_base64},
    {"decodeBase64", TEXT, 0, 0, decode_base64},
};
const size_t vz_methods_text_count = VZ_COUNT_OF(vz_methods_text);
