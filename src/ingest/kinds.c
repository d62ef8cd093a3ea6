/* The processors there are, and those of Elasticsearch that are refused by name. */
#include "ingest/parts.h"

#define KIND(name)                                                                                 \
    {                                                                                              \
#name, vz_##name##_compile, vz_##name##_run, NULL, false                                   \
    }
#define STRING_KIND(name)                                                                          \
    {                                                                                              \
#name, vz_##name##_compile, vz_string_run, NULL, false                                     \
    }

static const struct vz_processor_kind kinds[] = {
    KIND(append),
    STRING_KIND(bytes),
    KIND(convert),
    KIND(csv),
    KIND(date),
    KIND(dissect),
    KIND(dot_expander),
    KIND(drop),
    KIND(fail),
    KIND(fingerprint),
    KIND(foreach),
    KIND(grok),
    STRING_KIND(gsub),
    STRING_KIND(html_strip),
    {"image", vz_image_compile, NULL, vz_image_run_many, false},
    {"inference", vz_inference_compile, NULL, vz_inference_run_many, false},
    KIND(join),
    KIND(json),
    KIND(kv),
    STRING_KIND(lowercase),
    {"pipeline", vz_pipeline_processor_compile, NULL, vz_pipeline_processor_run_many, true},
    KIND(remove),
    KIND(rename),
    {"script", vz_script_processor_compile, vz_script_processor_run, NULL, false},
    KIND(set),
    KIND(sort),
    KIND(split),
    STRING_KIND(trim),
    STRING_KIND(uppercase),
    STRING_KIND(urldecode),
};

static const char *const refused[] = {
    "attachment",        "circle",  "community_id",      "date_index_name",   "enrich",
    "geo_grid",          "geoip",   "ip_location",       "network_direction", "redact",
    "registered_domain", "reroute", "set_security_user", "terminate",         "uri_parts",
    "user_agent",
};

const struct vz_processor_kind *vz_processor_kind_find(struct vz_slice name, bool *is_known)
{
    *is_known = true;
    for (size_t i = 0; i < VZ_COUNT_OF(kinds); i++)
        if (vz_slice_is(name, kinds[i].name))
            return &kinds[i];
    for (size_t i = 0; i < VZ_COUNT_OF(refused); i++)
        if (vz_slice_is(name, refused[i]))
            return NULL;
    *is_known = false;
    return NULL;
}
