/* query/suggest.c - suggestions of a search: run one by one, printed as the answer has them. */
#include "query/suggest.h"

#include <stdlib.h>

enum vz_status vz_suggest_field(const struct vz_suggestion *s, struct vz_eval *eval,
                                const struct vz_field **field, const struct vz_analyzer **analyzer,
                                struct vz_error *err)
{
    *field = vz_mapping_find(eval->mapping, s->field);
    if (!*field)
        return vz_fail(err, VZ_BAD_ARGUMENT, "no mapping found for field [%.*s]", VZ_ARG(s->field));
    *analyzer = (*field)->search_analyzer;
    if (s->analyzer.len == 0)
        return VZ_OK;
    *analyzer = vz_analysis_analyzer(vz_mapping_analysis(eval->mapping), s->analyzer);
    if (*analyzer)
        return VZ_OK;
    return vz_fail(err, VZ_BAD_ARGUMENT, "analyzer [%.*s] doesn't exists", VZ_ARG(s->analyzer));
}

uint32_t vz_suggest_units(struct vz_slice text)
{
    uint32_t units = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        units += (c & 0xC0) != 0x80;
        units += c >= 0xF0; /* two units */
    }
    return units;
}

void vz_suggest_begin_entry(struct vz_json_writer *w, struct vz_slice text, uint32_t offset,
                            uint32_t length)
{
    vz_json_begin_object(w);
    vz_json_field_string(w, "text", text);
    vz_json_field_int(w, "offset", offset);
    vz_json_field_int(w, "length", length);
    vz_json_key(w, "options");
    vz_json_begin_array(w);
}

static void put_name(const struct vz_run *run, const struct vz_suggestion *s,
                     struct vz_json_writer *w)
{
    static const char *const kinds[] = {"term", "phrase", "completion"};
    struct vz_buf name = {0};
    if (run->search->typed_keys)
        vz_buf_printf(&name, "%s#", kinds[s->kind]);
    vz_buf_append_slice(&name, s->name);
    vz_json_key_slice(w, vz_buf_slice(&name));
    vz_buf_deinit(&name);
}

enum vz_status vz_suggest_run(struct vz_run *run, struct vz_slice *out, struct vz_error *err)
{
    const struct vz_suggest *suggest = run->search->suggest;
    struct vz_buf text = {0};
    struct vz_json_writer w = vz_json_writer_on(&text);
    enum vz_status status = VZ_OK;
    vz_json_begin_object(&w);
    for (size_t i = 0; status == VZ_OK && i < suggest->count; i++) {
        const struct vz_suggestion *s = &suggest->items[i];
        put_name(run, s, &w);
        vz_json_begin_array(&w);
        if (!s->text.ptr)
            status = vz_fail(err, VZ_BAD_ARGUMENT, "The required text option is missing");
        else if (s->kind == VZ_SUGGEST_TERM)
            status = vz_suggest_term(run, s, &w, err);
        else
            status = vz_suggest_completion(run, s, &w, err);
        vz_json_end_array(&w);
        if (text.len > run->search->max_bytes)
            status = vz_fail(err, VZ_BUDGET,
                             "[request] Data too large, the suggestions are [%zu] bytes, which is "
                             "larger than the limit of [%zu]",
                             text.len, run->search->max_bytes);
    }
    vz_json_end_object(&w);
    if (status == VZ_OK)
        *out = vz_arena_copy(run->arena, vz_buf_slice(&text));
    vz_buf_deinit(&text);
    return status;
}
