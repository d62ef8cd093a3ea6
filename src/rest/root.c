/* GET /, and the two questions about licences that clients ask before they start. */
#include "rest/parts.h"

void vz_rest_root(struct vz_call *call)
{
    struct vz_json_writer *w = &call->w;
    vz_json_begin_object(w);
    vz_json_field_str(w, "name", call->rest->node_name);
    vz_json_field_str(w, "cluster_name", call->rest->cluster_name);
    vz_json_field_str(w, "cluster_uuid", vz_store_cluster_uuid(call->store));
    vz_json_key(w, "version");
    vz_json_begin_object(w);
    /* Tools of major 9 that look at the number (eland) refuse an older server outright, though what
     * they call is the same. A client that asks for compatibility with 9 is told what it gets. */
    vz_json_field_str(w, "number", call->accept_version == 9 ? "9.0.0" : VZ_ES_VERSION);
    vz_json_field_str(w, "build_flavor", "default");
    vz_json_field_str(w, "build_type", "deb");
    vz_json_field_str(w, "build_hash", VZ_BUILD_HASH);
    vz_json_field_str(w, "build_date", VZ_BUILD_DATE);
    vz_json_field_bool(w, "build_snapshot", false);
    vz_json_field_str(w, "lucene_version", "9.12.2");
    vz_json_field_str(w, "minimum_wire_compatibility_version", "7.17.0");
    vz_json_field_str(w, "minimum_index_compatibility_version", "7.0.0");
    /* An extra member, so that whoever needs to know can tell us from Elasticsearch. */
    vz_json_field_str(w, "vizsla", VZ_VERSION);
    vz_json_end_object(w);
    vz_json_field_str(w, "tagline", "You Know, for Search");
    vz_json_end_object(w);
}

void vz_rest_license(struct vz_call *call)
{
    char started[32];
    struct vz_json_writer *w = &call->w;
    vz_format_iso_ms(call->rest->started_ms, started, sizeof started);
    vz_json_begin_object(w);
    vz_json_key(w, "license");
    vz_json_begin_object(w);
    vz_json_field_str(w, "status", "active");
    vz_json_field_str(w, "uid", vz_store_cluster_uuid(call->store));
    vz_json_field_str(w, "type", "basic");
    vz_json_field_str(w, "issue_date", started);
    vz_json_field_int(w, "issue_date_in_millis", call->rest->started_ms);
    vz_json_field_int(w, "max_nodes", 1000);
    vz_json_key(w, "max_resource_units");
    vz_json_put_null(w);
    vz_json_field_str(w, "issued_to", call->rest->cluster_name);
    vz_json_field_str(w, "issuer", "vizsla");
    vz_json_field_int(w, "start_date_in_millis", -1);
    vz_json_end_object(w);
    vz_json_end_object(w);
}

void vz_rest_xpack(struct vz_call *call)
{
    static const char *const features[] = {"ilm", "ml", "security", "sql", "transform", "watcher"};
    struct vz_json_writer *w = &call->w;
    vz_json_begin_object(w);
    vz_json_key(w, "build");
    vz_json_begin_object(w);
    vz_json_field_str(w, "hash", VZ_BUILD_HASH);
    vz_json_field_str(w, "date", VZ_BUILD_DATE);
    vz_json_end_object(w);
    vz_json_key(w, "license");
    vz_json_begin_object(w);
    vz_json_field_str(w, "uid", vz_store_cluster_uuid(call->store));
    vz_json_field_str(w, "type", "basic");
    vz_json_field_str(w, "mode", "basic");
    vz_json_field_str(w, "status", "active");
    vz_json_end_object(w);
    vz_json_key(w, "features");
    vz_json_begin_object(w);
    for (size_t i = 0; i < VZ_COUNT_OF(features); i++) {
        vz_json_key(w, features[i]);
        vz_json_begin_object(w);
        vz_json_field_bool(w, "available", false);
        vz_json_field_bool(w, "enabled", false);
        vz_json_end_object(w);
    }
    vz_json_end_object(w);
    vz_json_field_str(w, "tagline", "You know, for X");
    vz_json_end_object(w);
}
