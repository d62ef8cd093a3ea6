/* date: a text or number in one of several formats to ISO 8601. */
#include "ingest/parts.h"

struct date {
    struct vz_template *field, *timezone, *locale;
    struct vz_slice target;
    struct vz_template **formats;     /* as given, may name fields */
    struct vz_date_format **compiled; /* NULL where the format is a template */
    size_t count;
    struct vz_date_format *output;
};

static struct vz_date_format *compile_format(struct vz_config *c, struct vz_slice text,
                                             const char *property)
{
    struct vz_date_format *format = NULL;
    struct vz_error err = {.offset = VZ_NO_OFFSET};
    if (c->status == VZ_OK && vz_date_format_compile(text, c->arena, &format, &err) != VZ_OK)
        vz_config_fail(c, property, "%s", err.text);
    return format;
}

void vz_date_compile(struct vz_config *c, struct vz_processor *processor)
{
    struct date *date = processor->config = vz_arena_zalloc(c->arena, sizeof *date);
    struct vz_slice *formats;
    date->field = vz_config_template(c, "field", true);
    date->target = vz_config_text_or(c, "target_field", "@timestamp");
    date->timezone = vz_config_template(c, "timezone", false);
    date->locale = vz_config_template(c, "locale", false);
    date->count = vz_config_list(c, "formats", true, false, &formats);
    date->formats = vz_arena_alloc(c->arena, (date->count + 1) * sizeof *date->formats);
    date->compiled = vz_arena_zalloc(c->arena, (date->count + 1) * sizeof *date->compiled);
    for (size_t i = 0; c->status == VZ_OK && i < date->count; i++) {
        date->formats[i] = vz_template_compile(c, formats[i], "formats");
        if (c->status == VZ_OK && vz_template_is_constant(date->formats[i]))
            date->compiled[i] = compile_format(c, formats[i], "formats");
    }
    struct vz_slice output = vz_config_text_or(c, "output_format", "yyyy-MM-dd'T'HH:mm:ss.SSSXXX");
    date->output = compile_format(c, output, "output_format");
}

static bool is_english(struct vz_slice locale)
{
    static const char *const names[] = {"",      "ENGLISH", "ROOT",  "en",
                                        "en-US", "en_US",   "en-GB", "en_GB"};
    for (size_t i = 0; i < VZ_COUNT_OF(names); i++)
        if (locale.len == strlen(names[i]) && strncasecmp(locale.ptr, names[i], locale.len) == 0)
            return true;
    return false;
}

static enum vz_status zone_and_locale(const struct date *date, struct vz_ingest_doc *doc,
                                      const struct vz_zone **zone, struct vz_error *err)
{
    struct vz_slice name = VZ_SLICE("UTC"), locale = VZ_SLICE("");
    enum vz_status status = VZ_OK;
    if (date->timezone)
        status = vz_template_render(date->timezone, doc, &name, err);
    if (status == VZ_OK && date->locale)
        status = vz_template_render(date->locale, doc, &locale, err);
    if (status != VZ_OK)
        return status;
    if (name.len == 0)
        name = VZ_SLICE("UTC");
    *zone = vz_zone_find(name);
    if (!*zone)
        return vz_fail(err, VZ_BAD_ARGUMENT, "Unknown time-zone ID: %.*s", VZ_S(name));
    if (!is_english(locale))
        return vz_fail(err, VZ_UNSUPPORTED, "the locale [%.*s] is not supported; English is",
                       VZ_S(locale));
    return VZ_OK;
}

VZ_KIND_RUN(date)
{
    const struct date *date = processor->config;
    const struct vz_zone *zone;
    struct vz_slice path;
    struct vz_value *value;
    struct vz_buf buf = {0};
    enum vz_status status = vz_template_render(date->field, doc, &path, err);
    if (status == VZ_OK)
        status = vz_path_get(doc, path, &value, err);
    if (status == VZ_OK)
        status = zone_and_locale(date, doc, &zone, err);
    if (status != VZ_OK)
        return status;
    vz_value_display(value, &buf);
    struct vz_slice text = vz_arena_copy(doc->arena, vz_buf_slice(&buf));
    vz_buf_clear(&buf);
    struct vz_instant instant;
    bool parsed = false;
    for (size_t i = 0; !parsed && i < date->count; i++) {
        struct vz_date_format *format = date->compiled[i];
        struct vz_slice given;
        if (!format) {
            status = vz_template_render(date->formats[i], doc, &given, err);
            if (status != VZ_OK)
                break;
            if (vz_date_format_compile(given, doc->arena, &format, NULL) != VZ_OK)
                continue;
        }
        parsed = vz_date_format_parse(format, text, zone, vz_wall_ms(), &instant, NULL) == VZ_OK;
    }
    if (status == VZ_OK && !parsed)
        status = vz_fail(err, VZ_BAD_ARGUMENT, "unable to parse date [%.*s]",
                         (int)VZ_MIN(text.len, 200), text.ptr);
    if (status == VZ_OK)
        status = vz_date_format_print(date->output, &instant, zone, &buf, err);
    if (status == VZ_OK)
        status =
            vz_path_set(doc, date->target, vz_value_string(doc->arena, vz_buf_slice(&buf)), err);
    vz_buf_deinit(&buf);
    return status;
}
