/* store/completion.c - values of completion fields: a string, {"input", "weight"}, lists of both.
 *
 * Each input is noted as a text of the field, eight hex digits of its weight in front;
 * vz_texts_analyze makes the term of it (text/completion.h). An input that a document gives twice
 * counts once, with its larger weight. Multi-fields get the inputs as strings.
 */
#include "store/completion.h"

#include "text/completion.h"

#include <stdio.h>

#define MANY_TEXTS 1000

/* UTF-16 units: an input is cut behind so many, not through a character. */
static struct vz_slice cut_input(struct vz_slice input, uint32_t most)
{
    uint32_t units = 0;
    for (size_t i = 0; i < input.len;) {
        unsigned char c = (unsigned char)input.ptr[i];
        if (units >= most)
            return (struct vz_slice){input.ptr, i};
        units += c >= 0xF0 ? 2 : 1;
        i += c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
    }
    return input;
}

static bool is_blank(struct vz_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] > ' ')
            return false;
    return true;
}

enum vz_status vz_completion_add(struct vz_doc_reader *reader, const struct vz_field *field,
                                 struct vz_slice input, uint32_t weight, struct vz_error *err)
{
    char digits[9];
    if (is_blank(input) || field->under_nested)
        return VZ_OK;
    for (size_t i = 0; i < input.len; i++)
        if (input.ptr[i] == 0 || input.ptr[i] == 0x1E || input.ptr[i] == 0x1F)
            return vz_fail(err, VZ_BAD_ARGUMENT,
                           "Illegal input [%.*s] UTF-16 codepoint [0x%x] at position %zu is a "
                           "reserved character",
                           (int)VZ_MIN(input.len, (size_t)100), input.ptr,
                           (unsigned)(unsigned char)input.ptr[i], i);
    input = cut_input(input, field->max_input_length);
    struct vz_typed_value value = {.field = field->id, .kind = VZ_COLUMN_PRESENCE};
    vz_doc_add_value(reader, &value);
    snprintf(digits, sizeof digits, "%08x", weight);
    /* Many inputs are not compared with each other: a second weight is then a second completion. */
    for (size_t i = 0; i < reader->text_count && reader->text_count < MANY_TEXTS; i++) {
        struct vz_doc_text *text = &reader->texts[i];
        if (text->field != field->id || text->text.len != input.len + 8 ||
            memcmp(text->text.ptr + 8, input.ptr, input.len) != 0)
            continue;
        if (memcmp(text->text.ptr, digits, 8) >= 0)
            return VZ_OK;
        char *better = vz_arena_strdup(reader->arena, text->text);
        memcpy(better, digits, 8);
        text->text.ptr = better;
        return VZ_OK;
    }
    char *bytes = vz_arena_alloc(reader->arena, input.len + 9);
    memcpy(bytes, digits, 8);
    memcpy(bytes + 8, input.ptr, input.len);
    reader->texts = vz_doc_grow(reader, reader->texts, reader->text_count, &reader->text_capacity,
                                sizeof *reader->texts);
    reader->texts[reader->text_count++] = (struct vz_doc_text){field->id, {bytes, input.len + 8}};
    return VZ_OK;
}

static enum vz_status read_weight(struct vz_json value, uint32_t *weight, struct vz_error *err)
{
    int64_t number = 0;
    enum vz_json_type type = vz_json_type(value);
    struct vz_buf shown = {0};
    enum vz_status status = VZ_OK;
    bool whole = type == VZ_JSON_INT || type == VZ_JSON_UINT || type == VZ_JSON_STRING;
    vz_json_print(value, &shown);
    if (type != VZ_JSON_STRING && !vz_json_is_number(value))
        status = vz_fail(err, VZ_BAD_ARGUMENT, "weight must be a number or string, but was [%s]",
                         vz_json_type_name(value));
    else if (!whole || (type == VZ_JSON_STRING && !vz_text_to_i64(vz_json_string(value), &number)))
        status = vz_fail(err, VZ_BAD_ARGUMENT, "weight must be an integer, but was [%.*s]",
                         (int)VZ_MIN(shown.len, (size_t)50), shown.data);
    else {
        if (type == VZ_JSON_INT)
            number = vz_json_int(value);
        if (type == VZ_JSON_UINT || number < 0 || number > INT32_MAX)
            status = vz_fail(err, VZ_BAD_ARGUMENT,
                             "weight must be in the interval [0..2147483647], but was [%.*s]",
                             (int)VZ_MIN(shown.len, (size_t)50), shown.data);
    }
    vz_buf_deinit(&shown);
    *weight = (uint32_t)number;
    return status;
}

static enum vz_status check_keys(const struct vz_field *field, struct vz_json object,
                                 struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(object);
    struct vz_slice key;
    struct vz_json value;
    while (vz_json_next(&it, &key, &value)) {
        if (vz_slice_is(key, "contexts"))
            return vz_fail(err, VZ_BAD_ARGUMENT,
                           "contexts field is not supported for field: [%.*s]",
                           (int)field->path.len, field->path.ptr);
        if (!vz_slice_is(key, "input") && !vz_slice_is(key, "weight"))
            return vz_fail(err, VZ_BAD_ARGUMENT,
                           "unknown field name [%.*s], must be one of [input, weight, contexts]",
                           (int)VZ_MIN(key.len, (size_t)100), key.ptr);
    }
    return VZ_OK;
}

enum vz_status vz_completion_read_object(
    const struct vz_field *field, struct vz_json object, uint32_t *weight,
    enum vz_status (*each)(void *context, struct vz_slice input, uint32_t weight), void *context,
    struct vz_error *err)
{
    struct vz_json input, value;
    enum vz_status status = check_keys(field, object, err);
    *weight = 1;
    if (status == VZ_OK && vz_json_get(object, "weight", &value))
        status = read_weight(value, weight, err);
    if (status != VZ_OK || !vz_json_get(object, "input", &input))
        return status;
    if (vz_json_type(input) == VZ_JSON_STRING)
        return each(context, vz_json_string(input), *weight);
    if (vz_json_type(input) != VZ_JSON_ARRAY)
        return vz_fail(err, VZ_BAD_ARGUMENT, "input must be a string or array, but was [%s]",
                       vz_json_type_name(input));
    struct vz_json_iter it = vz_json_iterate(input);
    while (status == VZ_OK && vz_json_next(&it, NULL, &value)) {
        if (vz_json_type(value) != VZ_JSON_STRING)
            return vz_fail(err, VZ_BAD_ARGUMENT,
                           "input array must have string values, but was [%s]",
                           vz_json_type_name(value));
        status = each(context, vz_json_string(value), *weight);
    }
    return status;
}

enum vz_status vz_completion_tokens(const struct vz_field *field, struct vz_slice noted,
                                    struct vz_tokens *scratch, struct vz_arena *arena,
                                    struct vz_tokens *out, struct vz_error *err)
{
    struct vz_buf form = {0}, term = {0};
    struct vz_completion_form how = {field->analyzer, field->no_separators, field->no_gaps};
    struct vz_slice input = {noted.ptr + 8, noted.len - 8};
    uint32_t weight = 0;
    for (size_t i = 0; i < 8; i++)
        weight = weight << 4 |
                 (uint32_t)(noted.ptr[i] <= '9' ? noted.ptr[i] - '0' : noted.ptr[i] - 'a' + 10);
    *out = (struct vz_tokens){0};
    enum vz_status status = vz_completion_analyze(&how, input, scratch, &form, err);
    if (status == VZ_OK && form.len) {
        vz_completion_put(vz_buf_slice(&form), weight, input, &term);
        out->items = vz_arena_zalloc(arena, sizeof *out->items);
        out->items[0] = (struct vz_token){.text = vz_arena_copy(arena, vz_buf_slice(&term)),
                                          .increment = 1,
                                          .position_length = 1};
        out->count = out->capacity = 1;
        out->end_position = 1;
    }
    vz_buf_deinit(&form);
    vz_buf_deinit(&term);
    return status;
}
