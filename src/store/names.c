/* store/names.c - the rules for names of indices and aliases. */
#include "store/names.h"

#include "base/text.h"

/* Elasticsearch lower-cases by Unicode; the scripts with upper case that matter in practice are
 * Latin-1, Greek and Cyrillic. */
static bool is_upper(uint32_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 0xC0 && c <= 0xDE && c != 0xD7) ||
           (c >= 0x391 && c <= 0x3AB) || (c >= 0x400 && c <= 0x42F);
}

static bool has_upper(struct vz_slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        uint32_t c = (unsigned char)name.ptr[i];
        if (c >= 0xC0 && c < 0xE0 && i + 1 < name.len)
            c = (c & 31) << 6 | ((unsigned char)name.ptr[++i] & 63);
        if (is_upper(c))
            return true;
    }
    return false;
}

static bool has_any(struct vz_slice name, const char *bytes)
{
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] && strchr(bytes, name.ptr[i]))
            return true;
    }
    return false;
}

static bool has_control(struct vz_slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        if ((unsigned char)name.ptr[i] < 0x20 || name.ptr[i] == 0x7F)
            return true;
    }
    return false;
}

/* What is wrong with the name, or NULL. `room` holds a text that needs a number. */
static const char *name_fault(struct vz_slice name, bool lower_case, char *room, size_t room_bytes)
{
    if (name.len == 0)
        return "must not be empty";
    if (has_any(name, "\\/*?\"<>| ,"))
        return "must not contain the following characters "
               "['\\','/','*','?','\"','<','>','|',' ',',']";
    if (has_any(name, "#"))
        return "must not contain '#'";
    if (has_any(name, ":"))
        return "must not contain ':'";
    if (strchr("_-+", name.ptr[0]))
        return "must not start with '_', '-', or '+'";
    if (name.len > VZ_MAX_INDEX_NAME_BYTES) {
        struct vz_buf text = {0};
        vz_buf_printf(&text, "index name is too long, (%zu > %d)", name.len,
                      VZ_MAX_INDEX_NAME_BYTES);
        size_t len = VZ_MIN(text.len, room_bytes - 1);
        memcpy(room, text.data, len);
        room[len] = 0;
        vz_buf_deinit(&text);
        return room;
    }
    if (vz_slice_is(name, ".") || vz_slice_is(name, ".."))
        return "must not be '.' or '..'";
    if (has_control(name) || vz_utf8_valid_prefix(name.ptr, name.len) != name.len)
        return "must not contain control characters or broken UTF-8";
    if (lower_case && has_upper(name))
        return "must be lowercase";
    return NULL;
}

static enum vz_status check(struct vz_slice name, const char *kind, bool lower_case,
                            struct vz_error *err)
{
    char room[64];
    const char *fault = name_fault(name, lower_case, room, sizeof room);
    if (!fault)
        return VZ_OK;
    /* A name of a megabyte shall not push the reason out of the text. */
    int shown = (int)VZ_MIN(name.len, (size_t)300);
    return vz_fail(err, VZ_BAD_NAME, "Invalid %s name [%.*s], %s", kind, shown, name.ptr, fault);
}

enum vz_status vz_index_name_check(struct vz_slice name, struct vz_error *err)
{
    return check(name, "index", true, err);
}

enum vz_status vz_alias_name_check(struct vz_slice name, struct vz_error *err)
{
    return check(name, "alias", false, err);
}
