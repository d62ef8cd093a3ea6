/* The API in one table: method, path, handler, URL parameters, a line of documentation.
 *
 * docs/compatibility.md is made from this table by tools/compat.py. A parameter that is not listed
 * is refused as Elasticsearch refuses it; one marked '!' is known to Elasticsearch and refused
 * aloud ("!x:bool" only when it is not false), so nothing that would change an answer is ignored. A
 * route without a handler is known to Elasticsearch and refused aloud. */
#include "rest/parts.h"

#include <pthread.h>
#include <stdlib.h>

#define INDICES "ignore_unavailable:bool allow_no_indices:bool expand_wildcards "
#define MASTER "timeout:time master_timeout:time "
#define LOCAL "local:bool master_timeout:time "
#define SOURCE "_source _source_includes _source_excludes "
#define WRITE "refresh routing timeout:time wait_for_active_shards "
#define VERSIONS "version:int version_type if_seq_no:int if_primary_term:int "
#define INDEX_DOC WRITE VERSIONS "op_type require_alias:bool !require_data_stream:bool pipeline"
#define GET_DOC                                                                                    \
    SOURCE "preference realtime:bool refresh routing version:int version_type !stored_fields "     \
           "!_source_exclude_vectors:bool !force_synthetic_source:bool"
#define QUERY_STRING "q df default_operator analyzer analyze_wildcard:bool lenient:bool "
#define SEARCH                                                                                     \
    INDICES SOURCE QUERY_STRING                                                                    \
        "ignore_throttled:bool allow_partial_search_results:bool batched_reduce_size:int "         \
        "ccs_minimize_roundtrips:bool !docvalue_fields explain:bool from:int size:int sort "       \
        "max_concurrent_shard_requests:int pre_filter_shard_size:int preference "                  \
        "request_cache:bool rest_total_hits_as_int:bool routing scroll:time search_type "          \
        "seq_no_primary_term:bool !stats !stored_fields suggest_field suggest_mode "               \
        "suggest_size:int suggest_text !terminate_after:int timeout:time !track_scores:bool "        \
        "track_total_hits typed_keys:bool version:bool include_named_queries_score:bool "          \
        "!force_synthetic_source:bool !_source_exclude_vectors:bool"
#define EXPLAIN                                                                                    \
    QUERY_STRING "preference routing !stored_fields !_source !_source_includes "                   \
                 "!_source_excludes"
#define VALIDATE INDICES QUERY_STRING "explain:bool rewrite:bool all_shards:bool"
#define COUNT                                                                                      \
    INDICES QUERY_STRING "ignore_throttled:bool min_score preference routing "                     \
                         "terminate_after:int"
#define MSEARCH                                                                                    \
    INDICES "ccs_minimize_roundtrips:bool ignore_throttled:bool max_concurrent_searches:int "      \
            "max_concurrent_shard_requests:int pre_filter_shard_size:int "                         \
            "rest_total_hits_as_int:bool routing search_type typed_keys:bool "                     \
            "include_named_queries_score:bool"
#define BULK                                                                                       \
    WRITE SOURCE "require_alias:bool !require_data_stream:bool pipeline "                         \
                 "!list_executed_pipelines:bool include_source_on_error:bool"
#define VECTORS                                                                                    \
    "fields field_statistics:bool offsets:bool payloads:bool positions:bool preference "           \
    "realtime:bool routing term_statistics:bool version:int version_type"
#define MGET SOURCE "preference realtime:bool refresh:bool routing !stored_fields"
#define UPDATE                                                                                     \
    WRITE SOURCE "if_seq_no:int if_primary_term:int retry_on_conflict:int require_alias:bool "     \
                 "!lang include_source_on_error:bool"
#define CREATE_INDEX MASTER "wait_for_active_shards !include_type_name:bool"
#define GET_INDEX                                                                                  \
    INDICES LOCAL "flat_settings:bool include_defaults:bool features !include_type_name:bool"
#define GET_MAPPING INDICES LOCAL "!include_type_name:bool"
#define GET_FIELD_MAPPING INDICES LOCAL "include_defaults:bool !include_type_name:bool"
#define FIELD_CAPS INDICES "fields include_unmapped:bool filters types include_empty_fields:bool"
#define PUT_MAPPING INDICES MASTER "!write_index_only:bool !include_type_name:bool"
#define GET_SETTINGS INDICES LOCAL "flat_settings:bool include_defaults:bool"
#define PUT_SETTINGS INDICES MASTER "flat_settings:bool preserve_existing:bool !reopen:bool"
#define FORCEMERGE                                                                                 \
    INDICES "max_num_segments:int only_expunge_deletes:bool flush:bool "                           \
            "wait_for_completion:bool"
#define FLUSH INDICES "force:bool wait_if_ongoing:bool"
#define STATS                                                                                      \
    INDICES "completion_fields fielddata_fields fields forbid_closed_indices:bool groups level "   \
            "include_segment_file_sizes:bool include_unloaded_segments:bool types"
#define GET_ALIAS INDICES LOCAL
#define PUT_ALIAS MASTER
#define BY_QUERY                                                                                   \
    INDICES QUERY_STRING "conflicts !from:int max_docs:int preference refresh:bool "               \
                         "request_cache:bool requests_per_second routing scroll:time "             \
                         "scroll_size:int search_timeout:time search_type slices !sort !stats "    \
                         "!terminate_after:int timeout:time version:bool wait_for_active_shards "  \
                         "wait_for_completion:bool "
#define DELETE_BY_QUERY BY_QUERY SOURCE
#define UPDATE_BY_QUERY BY_QUERY "pipeline"
#define REINDEX                                                                                    \
    "max_docs:int refresh:bool requests_per_second scroll:time slices timeout:time "               \
    "wait_for_active_shards wait_for_completion:bool require_alias:bool"
#define RETHROTTLE "requests_per_second group_by nodes"
#define TEMPLATE                                                                                   \
    INDICES "allow_partial_search_results:bool ccs_minimize_roundtrips:bool explain:bool "         \
            "ignore_throttled:bool preference profile:bool rest_total_hits_as_int:bool routing "   \
            "scroll:time search_type typed_keys:bool"
#define SCROLL "scroll scroll_id rest_total_hits_as_int:bool"
#define PIT                                                                                        \
    INDICES "keep_alive preference routing allow_partial_search_results:bool "                     \
            "max_concurrent_shard_requests:int"
#define CAT "h help:bool s v:bool bytes time size ts:bool " LOCAL
#define CAT_INDICES CAT INDICES "health pri:bool include_unloaded_segments:bool"
#define STATE "flat_settings:bool wait_for_metadata_version:int wait_for_timeout:time"
#define HEALTH                                                                                     \
    "expand_wildcards level local:bool master_timeout:time timeout:time wait_for_active_shards "   \
    "wait_for_events wait_for_no_initializing_shards:bool wait_for_no_relocating_shards:bool "     \
    "wait_for_nodes wait_for_status"
#define NODES "flat_settings:bool timeout:time"
#define NODES_STATS                                                                                \
    NODES " completion_fields fielddata_fields fields groups level types "                         \
          "include_segment_file_sizes:bool include_unloaded_segments:bool"
#define TASKS                                                                                      \
    "actions detailed:bool group_by nodes parent_task_id timeout:time wait_for_completion:bool "   \
    "master_timeout:time"
#define CANCEL "actions group_by nodes parent_task_id wait_for_completion:bool"

#define ML_LIST "allow_no_match:bool from:int size:int tags "
#define ML_START                                                                                   \
    "cache_size deployment_id number_of_allocations:int priority queue_capacity:int "              \
    "threads_per_allocation:int timeout:time wait_for"

/* Accepted on every route. */
static const char common_params[] =
    "pretty:bool human:bool error_trace:bool filter_path format !source !source_content_type";

#define PUT_TEMPLATE "create:bool cause " MASTER
#define GET_TEMPLATE "flat_settings:bool !include_defaults:bool " LOCAL

#define POST_PUT (VZ_POST | VZ_PUT)
#define GET_POST (VZ_GET | VZ_POST)

/* clang-format off */
const struct vz_route vz_routes[] = {
    /* Who answers */
    {VZ_GET, "/", vz_rest_root, "", "Name, cluster, version: 8.19.0, or 9.0.0 to a client that asks for compatibility with 9"},
    {VZ_GET, "/_license", vz_rest_license, LOCAL "accept_enterprise:bool", "A basic licence, always active"},
    {VZ_GET, "/_xpack", vz_rest_xpack, "categories accept_enterprise:bool master_timeout:time", "No features of the paid tiers"},

    /* Indices */
    {VZ_PUT, "/{index}", vz_rest_index_create, CREATE_INDEX, "Create, with settings, mappings and aliases"},
    {VZ_GET, "/{index}", vz_rest_index_get, GET_INDEX, "Aliases, mappings and settings; HEAD asks whether it exists"},
    {VZ_DELETE, "/{index}", vz_rest_index_delete, INDICES MASTER, "Delete; wildcards where action.destructive_requires_name is false"},
    {GET_POST, "/_refresh", vz_rest_index_refresh, INDICES, "Make writes visible to searches"},
    {GET_POST, "/{index}/_refresh", vz_rest_index_refresh, INDICES, "Make writes visible to searches"},
    {GET_POST, "/_flush", vz_rest_index_flush, FLUSH, "Nothing to do: acknowledged means on disk"},
    {GET_POST, "/{index}/_flush", vz_rest_index_flush, FLUSH, "Nothing to do: acknowledged means on disk"},
    {VZ_POST, "/_forcemerge", vz_rest_index_forcemerge, FORCEMERGE, "Finish the graphs and rewrite without deleted documents"},
    {VZ_POST, "/{index}/_forcemerge", vz_rest_index_forcemerge, FORCEMERGE, "Finish the graphs and rewrite without deleted documents"},
    {VZ_POST, "/_cache/clear", vz_rest_index_clear_cache, INDICES "fielddata:bool fields query:bool request:bool", "Nothing to do: what is remembered of filters is never out of date"},
    {VZ_POST, "/{index}/_cache/clear", vz_rest_index_clear_cache, INDICES "fielddata:bool fields query:bool request:bool", "Nothing to do: what is remembered of filters is never out of date"},
    {VZ_GET, "/_stats", vz_rest_index_stats, STATS, "Documents, sizes, counts of operations"},
    {VZ_GET, "/_stats/{metric}", vz_rest_index_stats, STATS, "Documents, sizes, counts of operations"},
    {VZ_GET, "/{index}/_stats", vz_rest_index_stats, STATS, "Documents, sizes, counts of operations"},
    {VZ_GET, "/{index}/_stats/{metric}", vz_rest_index_stats, STATS, "Documents, sizes, counts of operations"},
    {VZ_GET, "/_segments", vz_rest_segments, INDICES "verbose:bool", "One segment an index: its generation"},
    {VZ_GET, "/{index}/_segments", vz_rest_segments, INDICES "verbose:bool", "One segment an index: its generation"},
    {VZ_GET, "/_recovery", vz_rest_recovery, INDICES "active_only:bool detailed:bool", "Where shards came from: their own files"},
    {VZ_GET, "/{index}/_recovery", vz_rest_recovery, INDICES "active_only:bool detailed:bool", "Where shards came from: their own files"},
    {VZ_GET, "/_shard_stores", vz_rest_shard_stores, INDICES "status", "Where shards lie"},
    {VZ_GET, "/{index}/_shard_stores", vz_rest_shard_stores, INDICES "status", "Where shards lie"},
    {VZ_POST, "/{index}/_disk_usage", vz_rest_disk_usage, INDICES "flush:bool run_expensive_tasks:bool", "Measured bytes of files by field and part"},
    {VZ_GET, "/_resolve/index/{index}", vz_rest_index_resolve, INDICES, "Indices and aliases behind an expression"},

    {VZ_POST, "/{index}/_close", vz_rest_index_close, INDICES MASTER "wait_for_active_shards", "Close: no reads, no writes, no memory; files stay"},
    {VZ_POST, "/{index}/_open", vz_rest_index_open, INDICES MASTER "wait_for_active_shards", "Open what was closed"},
    {VZ_POST, "/{index}/_rollover", vz_rest_rollover, CREATE_INDEX " dry_run:bool !lazy:bool", "Another index takes an alias's writes, on conditions"},
    {VZ_POST, "/{index}/_rollover/{new_index}", vz_rest_rollover, CREATE_INDEX " dry_run:bool !lazy:bool", "Another index takes an alias's writes, on conditions"},
    {VZ_PUT, "/{index}/_block/{block}", vz_rest_index_block, INDICES MASTER, "Block write, read, read_only or metadata"},
    {POST_PUT, "/{index}/_clone/{target}", vz_rest_index_copy, CREATE_INDEX, "Copy an index that blocks writes: documents, versions, settings; files of its own"},
    {POST_PUT, "/{index}/_shrink/{target}", vz_rest_index_copy, CREATE_INDEX, "The same copy where number_of_shards allows it: an index is one shard"},
    {POST_PUT, "/{index}/_split/{target}", vz_rest_index_copy, CREATE_INDEX, "The same copy where number_of_shards allows it: an index is one shard"},

    /* Mappings and settings */
    {VZ_GET, "/_mapping", vz_rest_mapping_get, GET_MAPPING, "Mappings of all indices"},
    {VZ_GET, "/{index}/_mapping", vz_rest_mapping_get, GET_MAPPING, "Mappings"},
    {VZ_GET, "/_mapping/field/{fields}", vz_rest_mapping_get_field, GET_FIELD_MAPPING, "Mappings of single fields"},
    {VZ_GET, "/{index}/_mapping/field/{fields}", vz_rest_mapping_get_field, GET_FIELD_MAPPING, "Mappings of single fields"},
    {GET_POST, "/{index}/_termvectors", vz_rest_termvectors, VECTORS, "Terms of a document that is given"},
    {GET_POST, "/{index}/_termvectors/{id}", vz_rest_termvectors, VECTORS, "Terms of a document: positions, offsets, statistics; real-time"},
    {GET_POST, "/_mtermvectors", vz_rest_mtermvectors, "ids " VECTORS, "Terms of several documents"},
    {GET_POST, "/{index}/_mtermvectors", vz_rest_mtermvectors, "ids " VECTORS, "Terms of several documents"},
    {GET_POST, "/{index}/_terms_enum", vz_rest_terms_enum, INDICES, "Terms that begin with a text"},
    {GET_POST, "/_field_caps", vz_rest_field_caps, FIELD_CAPS, "What can be done with which fields"},
    {GET_POST, "/{index}/_field_caps", vz_rest_field_caps, FIELD_CAPS, "What can be done with which fields"},
    {POST_PUT, "/{index}/_mapping", vz_rest_mapping_put, PUT_MAPPING, "Add fields"},
    {VZ_GET, "/_settings", vz_rest_settings_get, GET_SETTINGS, "Settings of all indices"},
    {VZ_GET, "/_settings/{name}", vz_rest_settings_get, GET_SETTINGS, "Single settings of all indices"},
    {VZ_GET, "/{index}/_settings", vz_rest_settings_get, GET_SETTINGS, "Settings"},
    {VZ_GET, "/{index}/_settings/{name}", vz_rest_settings_get, GET_SETTINGS, "Single settings"},
    {VZ_PUT, "/_settings", vz_rest_settings_put, PUT_SETTINGS, "Change dynamic settings of all indices"},
    {VZ_PUT, "/{index}/_settings", vz_rest_settings_put, PUT_SETTINGS, "Change dynamic settings"},

    /* Templates */
    {POST_PUT, "/_index_template/{name}", vz_rest_template_put, PUT_TEMPLATE, "Put a template: patterns, priority, components, settings, mappings, aliases; no data streams"},
    {VZ_GET, "/_index_template", vz_rest_template_get, GET_TEMPLATE, "All templates"},
    {VZ_GET, "/_index_template/{name}", vz_rest_template_get, GET_TEMPLATE, "Templates by name; wildcards; HEAD asks whether one exists"},
    {VZ_DELETE, "/_index_template/{name}", vz_rest_template_delete, MASTER, "Delete templates"},
    {VZ_POST, "/_index_template/_simulate", vz_rest_template_simulate, PUT_TEMPLATE " !include_defaults:bool", "What a template would make"},
    {VZ_POST, "/_index_template/_simulate/{name}", vz_rest_template_simulate, PUT_TEMPLATE " !include_defaults:bool", "What a template makes"},
    {VZ_POST, "/_index_template/_simulate_index/{name}", vz_rest_template_simulate_index, PUT_TEMPLATE " !include_defaults:bool", "What an index of that name would get"},
    {POST_PUT, "/_component_template/{name}", vz_rest_component_put, PUT_TEMPLATE, "Put a part of templates"},
    {VZ_GET, "/_component_template", vz_rest_component_get, GET_TEMPLATE, "All parts"},
    {VZ_GET, "/_component_template/{name}", vz_rest_component_get, GET_TEMPLATE, "Parts by name; wildcards; HEAD asks whether one exists"},
    {VZ_DELETE, "/_component_template/{name}", vz_rest_component_delete, MASTER, "Delete parts that no template uses"},
    {POST_PUT, "/_template/{name}", vz_rest_legacy_put, PUT_TEMPLATE " order:int !include_type_name:bool", "Put a legacy template"},
    {VZ_GET, "/_template", vz_rest_legacy_get, GET_TEMPLATE " !include_type_name:bool", "All legacy templates"},
    {VZ_GET, "/_template/{name}", vz_rest_legacy_get, GET_TEMPLATE " !include_type_name:bool", "Legacy templates by name; HEAD asks whether one exists"},
    {VZ_DELETE, "/_template/{name}", vz_rest_legacy_delete, MASTER, "Delete legacy templates"},

    /* Aliases */
    {VZ_GET, "/_alias", vz_rest_alias_get, GET_ALIAS, "All aliases"},
    {VZ_GET, "/_aliases", vz_rest_alias_get, GET_ALIAS, "All aliases"},
    {VZ_GET, "/_alias/{name}", vz_rest_alias_get, GET_ALIAS, "Aliases by name"},
    {VZ_GET, "/{index}/_alias", vz_rest_alias_get, GET_ALIAS, "Aliases of an index"},
    {VZ_GET, "/{index}/_alias/{name}", vz_rest_alias_get, GET_ALIAS, "Aliases of an index by name; HEAD asks whether they exist"},
    {POST_PUT, "/{index}/_alias/{name}", vz_rest_alias_put, PUT_ALIAS, "Add an alias"},
    {POST_PUT, "/{index}/_aliases/{name}", vz_rest_alias_put, PUT_ALIAS, "Add an alias"},
    {VZ_DELETE, "/{index}/_alias/{name}", vz_rest_alias_delete, PUT_ALIAS, "Remove an alias"},
    {VZ_DELETE, "/{index}/_aliases/{name}", vz_rest_alias_delete, PUT_ALIAS, "Remove an alias"},
    {VZ_POST, "/_aliases", vz_rest_alias_update, PUT_ALIAS, "Add and remove several, all or nothing"},

    /* Documents */
    {POST_PUT, "/{index}/_doc/{id}", vz_rest_doc_put, INDEX_DOC, "Index a document"},
    {VZ_POST, "/{index}/_doc", vz_rest_doc_put, INDEX_DOC, "Index a document under a new id"},
    {POST_PUT, "/{index}/_create/{id}", vz_rest_doc_put, INDEX_DOC, "Index a document that must not exist"},
    {VZ_GET, "/{index}/_doc/{id}", vz_rest_doc_get, GET_DOC, "A document, real-time; HEAD asks whether it exists"},
    {VZ_GET, "/{index}/_source/{id}", vz_rest_doc_get_source, GET_DOC, "Only its source"},
    {VZ_DELETE, "/{index}/_doc/{id}", vz_rest_doc_delete, WRITE VERSIONS, "Delete a document"},
    {VZ_POST, "/{index}/_update/{id}", vz_rest_doc_update, UPDATE, "Merge a partial document, or run a script on it; upsert"},
    {GET_POST, "/_mget", vz_rest_doc_mget, MGET, "Several documents"},
    {GET_POST, "/{index}/_mget", vz_rest_doc_mget, MGET, "Several documents of one index"},
    {POST_PUT, "/_bulk", vz_rest_bulk, BULK, "Many writes in one request"},
    {POST_PUT, "/{index}/_bulk", vz_rest_bulk, BULK, "Many writes in one request"},
    {VZ_POST, "/{index}/_delete_by_query", vz_rest_delete_by_query, DELETE_BY_QUERY, "Delete what a query matches"},
    {VZ_POST, "/{index}/_update_by_query", vz_rest_update_by_query, UPDATE_BY_QUERY, "Write what a query matches again, changed by a script or a pipeline"},
    {VZ_POST, "/_reindex", vz_rest_reindex, REINDEX, "Copy documents of some indices, or of another server, into one"},
    {VZ_POST, "/_delete_by_query/{task_id}/_rethrottle", vz_rest_rethrottle, RETHROTTLE, "Another speed for one that runs"},
    {VZ_POST, "/_update_by_query/{task_id}/_rethrottle", vz_rest_rethrottle, RETHROTTLE, "Another speed for one that runs"},
    {VZ_POST, "/_reindex/{task_id}/_rethrottle", vz_rest_rethrottle, RETHROTTLE, "Another speed for one that runs"},

    /* Data streams */
    {VZ_GET, "/_data_stream", vz_rest_data_streams, "expand_wildcards include_defaults:bool master_timeout:time verbose:bool", "There are none"},
    {VZ_GET, "/_data_stream/{name}", vz_rest_data_streams, "expand_wildcards include_defaults:bool master_timeout:time verbose:bool", "There are none; 404 for a name"},

    /* Scripts and templates */
    {POST_PUT, "/_scripts/{id}", vz_rest_script_put, MASTER "context", "Store a script or a template"},
    {POST_PUT, "/_scripts/{id}/{context}", vz_rest_script_put, MASTER "context", "Store a script or a template"},
    {GET_POST, "/_scripts/painless/_execute", NULL, "", ""},
    {VZ_GET, "/_scripts/{id}", vz_rest_script_get, "master_timeout:time", "A stored script"},
    {VZ_DELETE, "/_scripts/{id}", vz_rest_script_delete, MASTER, "Delete a stored script"},
    {GET_POST, "/_search/template", vz_rest_search_template, TEMPLATE, "Search all indices by a Mustache template"},
    {GET_POST, "/{index}/_search/template", vz_rest_search_template, TEMPLATE, "Search by a Mustache template"},
    {GET_POST, "/_msearch/template", vz_rest_msearch_template, MSEARCH, "Several searches by templates in one request"},
    {GET_POST, "/{index}/_msearch/template", vz_rest_msearch_template, MSEARCH, "Several searches by templates in one request"},
    {GET_POST, "/_render/template", vz_rest_render_template, "", "What a template becomes"},
    {GET_POST, "/_render/template/{id}", vz_rest_render_template, "", "What a stored template becomes"},

    /* Ingest */
    {VZ_PUT, "/_ingest/pipeline/{id}", vz_rest_ingest_put, MASTER "if_version:int", "Put a pipeline"},
    {VZ_GET, "/_ingest/pipeline", vz_rest_ingest_get, "master_timeout:time summary:bool", "All pipelines"},
    {VZ_GET, "/_ingest/pipeline/{id}", vz_rest_ingest_get, "master_timeout:time summary:bool", "Pipelines by id; wildcards and commas"},
    {VZ_DELETE, "/_ingest/pipeline/{id}", vz_rest_ingest_delete, MASTER, "Delete pipelines that no index names"},
    {GET_POST, "/_ingest/pipeline/_simulate", vz_rest_ingest_simulate, "verbose:bool", "Try a pipeline on documents"},
    {GET_POST, "/_ingest/pipeline/{id}/_simulate", vz_rest_ingest_simulate, "verbose:bool", "Try a pipeline on documents"},
    {VZ_GET, "/_ingest/processor/grok", vz_rest_ingest_grok, "s:bool ecs_compatibility", "The patterns that grok knows"},

    /* Search */
    {GET_POST, "/_search", vz_rest_search, SEARCH, "Search all indices: query, knn, sort, _source, fields"},
    {GET_POST, "/{index}/_search", vz_rest_search, SEARCH, "Search: query, knn, retriever, sort, _source, fields"},
    {VZ_POST, "/{index}/_pit", vz_rest_pit_open, PIT, "Open a point in time: searches name it in `pit` and see these indices as they are now"},
    {VZ_POST, "/_pit", vz_rest_pit_open, PIT, "Open a point in time, refused without an index"},
    {VZ_DELETE, "/_pit", vz_rest_pit_close, "", "Close a point in time"},
    {GET_POST, "/_count", vz_rest_count, COUNT, "Count matches in all indices"},
    {GET_POST, "/{index}/_count", vz_rest_count, COUNT, "Count matches"},
    {GET_POST, "/_validate/query", vz_rest_validate, VALIDATE, "Whether a query can be asked of all indices"},
    {GET_POST, "/{index}/_validate/query", vz_rest_validate, VALIDATE, "Whether a query can be asked, and as what"},
    {GET_POST, "/{index}/_explain/{id}", vz_rest_explain, EXPLAIN, "How a document scores by a query"},
    {GET_POST, "/_search_shards", vz_rest_search_shards, INDICES LOCAL "preference routing", "The shards that a search would ask"},
    {GET_POST, "/{index}/_search_shards", vz_rest_search_shards, INDICES LOCAL "preference routing", "The shards that a search would ask"},
    {GET_POST, "/_msearch", vz_rest_msearch, MSEARCH, "Several searches in one request"},
    {GET_POST, "/{index}/_msearch", vz_rest_msearch, MSEARCH, "Several searches in one request"},
    {GET_POST, "/_rank_eval", vz_rest_rank_eval, INDICES "search_type", "How good searches' first hits are, by rated documents"},
    {GET_POST, "/{index}/_rank_eval", vz_rest_rank_eval, INDICES "search_type", "How good searches' first hits are, by rated documents"},
    {GET_POST, "/_search/scroll", vz_rest_scroll_next, SCROLL, "The next page of a scroll"},
    {GET_POST, "/_search/scroll/{scroll_id}", vz_rest_scroll_next, SCROLL, "The next page of a scroll"},
    {VZ_DELETE, "/_search/scroll", vz_rest_scroll_clear, "", "End scrolls"},
    {VZ_DELETE, "/_search/scroll/{scroll_id}", vz_rest_scroll_clear, "", "End scrolls"},

    /* Compact tables */
    {VZ_GET, "/_cat", vz_rest_cat, "help:bool", "The tables there are"},
    {VZ_GET, "/_cat/indices", vz_rest_cat_indices, CAT_INDICES, "Indices"},
    {VZ_GET, "/_cat/indices/{index}", vz_rest_cat_indices, CAT_INDICES, "Indices"},
    {VZ_GET, "/_cat/count", vz_rest_cat_count, CAT, "Documents"},
    {VZ_GET, "/_cat/count/{index}", vz_rest_cat_count, CAT, "Documents"},
    {VZ_GET, "/_cat/health", vz_rest_cat_health, CAT, "Health"},
    {VZ_GET, "/_cat/aliases", vz_rest_cat_aliases, CAT "expand_wildcards", "Aliases"},
    {VZ_GET, "/_cat/aliases/{name}", vz_rest_cat_aliases, CAT "expand_wildcards", "Aliases"},
    {VZ_GET, "/_cat/nodes", vz_rest_cat_nodes, CAT "full_id include_unloaded_segments:bool", "The one node"},
    {VZ_GET, "/_cat/shards", vz_rest_cat_shards, CAT, "One shard an index"},
    {VZ_GET, "/_cat/shards/{index}", vz_rest_cat_shards, CAT, "One shard an index"},
    {VZ_GET, "/_cat/segments", vz_rest_cat_segments, CAT, "One segment an index: its generation"},
    {VZ_GET, "/_cat/segments/{index}", vz_rest_cat_segments, CAT, "One segment an index: its generation"},
    {VZ_GET, "/_cat/recovery", vz_rest_cat_recovery, CAT "active_only:bool detailed:bool", "Where shards came from: their own files"},
    {VZ_GET, "/_cat/recovery/{index}", vz_rest_cat_recovery, CAT "active_only:bool detailed:bool", "Where shards came from: their own files"},
    {VZ_GET, "/_cat/templates", vz_rest_cat_templates, CAT, "Index templates, composable and legacy"},
    {VZ_GET, "/_cat/templates/{name}", vz_rest_cat_templates, CAT, "Index templates, composable and legacy"},
    {VZ_GET, "/_cat/component_templates", vz_rest_cat_components, CAT, "Component templates"},
    {VZ_GET, "/_cat/component_templates/{name}", vz_rest_cat_components, CAT, "Component templates"},
    {VZ_GET, "/_cat/allocation", vz_rest_cat_allocation, CAT, "Disk space of the one node"},
    {VZ_GET, "/_cat/allocation/{node}", vz_rest_cat_allocation, CAT, "Disk space of the one node"},
    {VZ_GET, "/_cat/thread_pool", vz_rest_cat_thread_pool, CAT, "The one pool that requests run in"},
    {VZ_GET, "/_cat/thread_pool/{pools}", vz_rest_cat_thread_pool, CAT, "The one pool that requests run in"},
    {VZ_GET, "/_cat/tasks", vz_rest_cat_tasks, CAT "detailed:bool", "Requests that run"},
    {VZ_GET, "/_cat/master", vz_rest_cat_master, CAT, "The one node"},
    {VZ_GET, "/_cat/plugins", vz_rest_cat_plugins, CAT "include_bootstrap:bool", "None"},
    {VZ_GET, "/_cat/pending_tasks", vz_rest_cat_pending_tasks, CAT, "None"},

    /* Text analysis */
    {GET_POST, "/_analyze", vz_rest_analyze, "", "What an analyzer makes of a text; explain"},
    {GET_POST, "/{index}/_analyze", vz_rest_analyze, "", "The same with an index's analyzers and fields"},

    {VZ_GET, "/_synonyms", vz_rest_synonyms_list, "from:int size:int", "Synonyms sets"},
    {VZ_PUT, "/_synonyms/{id}", vz_rest_synonyms_put, "refresh:bool", "Put a set of rules; search analyzers that use it follow"},
    {VZ_GET, "/_synonyms/{id}", vz_rest_synonyms_get, "from:int size:int", "The rules of a set"},
    {VZ_DELETE, "/_synonyms/{id}", vz_rest_synonyms_delete, "", "Delete a set that no index uses"},
    {VZ_PUT, "/_synonyms/{id}/{rule}", vz_rest_synonym_rule_put, "refresh:bool", "Put one rule"},
    {VZ_GET, "/_synonyms/{id}/{rule}", vz_rest_synonym_rule_get, "", "One rule"},
    {VZ_DELETE, "/_synonyms/{id}/{rule}", vz_rest_synonym_rule_delete, "refresh:bool", "Delete one rule"},
    {GET_POST, "/{index}/_reload_search_analyzers", vz_rest_reload_analyzers, INDICES "resource", "Compile analyzers with updateable synonyms anew"},

    /* Cluster and nodes */
    {VZ_GET, "/_cluster/health", vz_rest_cluster_health, HEALTH, "Health; waits are answered at once"},
    {VZ_GET, "/_cluster/health/{index}", vz_rest_cluster_health, HEALTH, "Health of indices"},
    {VZ_GET, "/_cluster/stats", vz_rest_cluster_stats, "include_remotes:bool timeout:time", "Sums over all indices"},
    {VZ_GET, "/_cluster/stats/nodes/{node}", vz_rest_cluster_stats, "include_remotes:bool timeout:time", "Sums over all indices"},
    {VZ_GET, "/_cluster/settings", vz_rest_cluster_settings, MASTER "flat_settings:bool include_defaults:bool local:bool", "Persistent and transient settings"},
    {VZ_PUT, "/_cluster/settings", vz_rest_cluster_settings_put, MASTER "flat_settings:bool", "Change them: action.auto_create_index, action.destructive_requires_name; those of allocation are kept without effect"},
    {VZ_GET, "/_cluster/state", vz_rest_cluster_state, INDICES LOCAL STATE, "Nodes, metadata, routing"},
    {VZ_GET, "/_cluster/state/{metric}", vz_rest_cluster_state, INDICES LOCAL STATE, "Parts of it: version, master_node, nodes, metadata, routing_table"},
    {VZ_GET, "/_cluster/state/{metric}/{index}", vz_rest_cluster_state, INDICES LOCAL STATE, "Parts of it, of some indices"},
    {VZ_GET, "/_cluster/pending_tasks", vz_rest_pending_tasks, LOCAL, "None: changes are done when they are answered"},
    {VZ_GET, "/_features", vz_rest_features, "master_timeout:time", "None"},
    {VZ_GET, "/_health_report", vz_rest_health_report, "timeout:time verbose:bool size:int", "Copies of shards, the disk"},
    {VZ_GET, "/_health_report/{feature}", vz_rest_health_report, "timeout:time verbose:bool size:int", "One of shards_availability, disk, master_is_stable"},
    {VZ_GET, "/_nodes", vz_rest_nodes_info, NODES, "The one node"},
    {VZ_GET, "/_nodes/{node}", vz_rest_nodes_info, NODES, "The one node, or its http part"},
    {VZ_GET, "/_nodes/{node}/{metric}", vz_rest_nodes_info, NODES, "Parts of it"},
    {VZ_GET, "/_nodes/stats", vz_rest_nodes_stats, NODES_STATS, "Its counters"},
    {VZ_GET, "/_nodes/stats/{metric}", vz_rest_nodes_stats, NODES_STATS, "Its counters"},
    {VZ_GET, "/_nodes/{node}/stats", vz_rest_nodes_stats, NODES_STATS, "Its counters"},
    {VZ_GET, "/_nodes/{node}/stats/{metric}", vz_rest_nodes_stats, NODES_STATS, "Its counters"},
    {VZ_GET, "/_tasks", vz_rest_tasks, TASKS, "Requests that run"},
    {VZ_GET, "/_tasks/{task_id}", vz_rest_task_get, "timeout:time wait_for_completion:bool", "One request that runs, or what became of work behind its answer"},
    {VZ_POST, "/_tasks/_cancel", vz_rest_tasks_cancel, CANCEL, "Cancel long requests"},
    {VZ_POST, "/_tasks/{task_id}/_cancel", vz_rest_tasks_cancel, CANCEL, "Cancel a long request"},
    {VZ_GET, "/metrics", vz_rest_metrics, "", "Counters as Prometheus text"},

    /* Models */
    {VZ_GET, "/_ml/info", vz_rest_ml_info, "", "Memory and processors that models may use"},
    {VZ_GET, "/_ml/trained_models", vz_rest_ml_get, ML_LIST "decompress_definition:bool exclude_generated:bool include", "Installed models and those that were put"},
    {VZ_GET, "/_ml/trained_models/{model_id}", vz_rest_ml_get, ML_LIST "decompress_definition:bool exclude_generated:bool include", "By id, alias, hub id or short name; wildcards"},
    {VZ_GET, "/_ml/trained_models/_stats", vz_rest_ml_stats, ML_LIST, "Deployments: counts, times, queues, memory"},
    {VZ_GET, "/_ml/trained_models/{model_id}/_stats", vz_rest_ml_stats, ML_LIST, "Deployments: counts, times, queues, memory"},
    {VZ_PUT, "/_ml/trained_models/{model_id}", vz_rest_ml_put, "defer_definition_decompression:bool wait_for_completion:bool", "Put a model's configuration, as eland does"},
    {VZ_PUT, "/_ml/trained_models/{model_id}/definition/{part}", vz_rest_ml_put_part, "", "A part of its definition; tensors are run, TorchScript is kept"},
    {VZ_PUT, "/_ml/trained_models/{model_id}/vocabulary", vz_rest_ml_put_vocabulary, "", "Its vocabulary"},
    {VZ_DELETE, "/_ml/trained_models/{model_id}", vz_rest_ml_delete, "force:bool timeout:time", "Delete a model, its files and aliases"},
    {VZ_PUT, "/_ml/trained_models/{model_id}/model_aliases/{model_alias}", vz_rest_ml_alias_put, "reassign:bool", "Another name for a model"},
    {VZ_DELETE, "/_ml/trained_models/{model_id}/model_aliases/{model_alias}", vz_rest_ml_alias_delete, "", "Remove that name"},
    {VZ_POST, "/_ml/trained_models/{model_id}/deployment/_start", vz_rest_ml_start, ML_START, "Open a model and keep it open, over restarts too"},
    {VZ_POST, "/_ml/trained_models/{model_id}/deployment/_stop", vz_rest_ml_stop, "allow_no_match:bool force:bool finish_pending_work:bool timeout:time", "Close it; wildcards"},
    {VZ_POST, "/_ml/trained_models/{model_id}/deployment/_update", vz_rest_ml_update, "number_of_allocations:int timeout:time", "Change how many requests compute at a time"},
    {VZ_POST, "/_ml/trained_models/{model_id}/deployment/cache/_clear", vz_rest_ml_clear_cache, "timeout:time", "Forget the vectors of texts asked before"},
    {VZ_POST, "/_ml/trained_models/{model_id}/_infer", vz_rest_ml_infer, "timeout:time", "Vectors, labels, zero-shot labels, similarity of docs, pictures among them"},
    {VZ_POST, "/_ml/trained_models/{model_id}/deployment/_infer", vz_rest_ml_infer, "timeout:time", "The same, as clients of 8.0 say it"},
    {VZ_GET, "/_inference", vz_rest_inference_get, "", "All inference endpoints; each installed model has one"},
    {VZ_GET, "/_inference/{inference_id}", vz_rest_inference_get, "", "Inference endpoints by id"},
    {VZ_GET, "/_inference/{task_type}/{inference_id}", vz_rest_inference_get, "", "Inference endpoints by task and id"},
    {VZ_PUT, "/_inference/{inference_id}", vz_rest_inference_put, "timeout:time", "Name an installed model as an endpoint"},
    {VZ_PUT, "/_inference/{task_type}/{inference_id}", vz_rest_inference_put, "timeout:time", "Name an installed model as an endpoint"},
    {VZ_PUT, "/_inference/{inference_id}/_update", vz_rest_inference_update, "", "Other settings for an endpoint that was put"},
    {VZ_PUT, "/_inference/{task_type}/{inference_id}/_update", vz_rest_inference_update, "", "Other settings for an endpoint that was put"},
    {VZ_POST, "/_inference/{inference_id}", vz_rest_inference_run, "timeout:time", "Vectors of texts and pictures, documents ranked; JSON or form upload"},
    {VZ_POST, "/_inference/{task_type}/{inference_id}", vz_rest_inference_run, "timeout:time", "text_embedding, embedding, rerank; JSON or form upload"},
    {VZ_DELETE, "/_inference/{inference_id}", vz_rest_inference_delete, "dry_run:bool force:bool", "Delete an endpoint that was put"},
    {VZ_DELETE, "/_inference/{task_type}/{inference_id}", vz_rest_inference_delete, "dry_run:bool force:bool", "Delete an endpoint that was put"},

    /* Known, not served yet */
    {GET_POST, "/{index}/_knn_search", NULL, "", ""},
    {GET_POST, "/{index}/_mvt/**", NULL, "", ""},
    {GET_POST, "/{index}/_graph/explore", NULL, "", ""},
    {VZ_ANY, "/_async_search", NULL, "", ""},
    {VZ_ANY, "/_async_search/**", NULL, "", ""},
    {VZ_ANY, "/{index}/_async_search", NULL, "", ""},
    {VZ_ANY, "/{index}/_eql/search", NULL, "", ""},
    {VZ_ANY, "/_eql/**", NULL, "", ""},
    {VZ_ANY, "/_sql", NULL, "", ""},
    {VZ_ANY, "/_sql/**", NULL, "", ""},
    {VZ_ANY, "/_query", NULL, "", ""},
    {VZ_ANY, "/_query/**", NULL, "", ""},
    {VZ_GET, "/{index}/_field_usage_stats", NULL, "", ""},
    {VZ_PUT, "/_mapping", NULL, "", ""},
    {VZ_ANY, "/_data_stream/**", NULL, "", ""},
    {VZ_ANY, "/_ingest/**", NULL, "", ""},
    {VZ_POST, "/_inference/chat_completion/**", NULL, "", ""},
    {VZ_POST, "/_inference/completion/**", NULL, "", ""},
    {VZ_ANY, "/_ml/**", NULL, "", ""},
    {VZ_ANY, "/_security/**", NULL, "", ""},
    {VZ_ANY, "/_snapshot", NULL, "", ""},
    {VZ_ANY, "/_snapshot/**", NULL, "", ""},
    {VZ_ANY, "/_ilm/**", NULL, "", ""},
    {VZ_ANY, "/_slm/**", NULL, "", ""},
    {VZ_ANY, "/_watcher/**", NULL, "", ""},
    {VZ_ANY, "/_transform", NULL, "", ""},
    {VZ_ANY, "/_transform/**", NULL, "", ""},
    {VZ_ANY, "/_enrich/**", NULL, "", ""},
    {VZ_ANY, "/_query_rules/**", NULL, "", ""},
    {VZ_ANY, "/_application/**", NULL, "", ""},
    {VZ_ANY, "/_ccr/**", NULL, "", ""},
    {VZ_GET, "/_remote/info", NULL, "", ""},
    {VZ_ANY, "/_license/**", NULL, "", ""},
    {VZ_POST, "/_cluster/reroute", NULL, "", ""},
    {VZ_ANY, "/_cluster/allocation/explain", NULL, "", ""},
    {VZ_GET, "/_nodes/hot_threads", NULL, "", ""},
    {VZ_GET, "/_nodes/{node}/hot_threads", NULL, "", ""},
    {VZ_GET, "/_nodes/usage", NULL, "", ""},
    {VZ_GET, "/_cat/{table}", NULL, "", ""},
    {VZ_GET, "/_cat/{table}/**", NULL, "", ""},
};
/* clang-format on */
const size_t vz_route_count = VZ_COUNT_OF(vz_routes);

unsigned vz_method_bit(const char *method)
{
    static const struct {
        const char *name;
        unsigned bits;
    } methods[] = {{"GET", VZ_GET},
                   {"HEAD", VZ_GET | VZ_HEAD},
                   {"POST", VZ_POST},
                   {"PUT", VZ_PUT},
                   {"DELETE", VZ_DELETE}};
    for (size_t i = 0; i < VZ_COUNT_OF(methods); i++)
        if (strcmp(method, methods[i].name) == 0)
            return methods[i].bits;
    return 0;
}

/* ---- finding a route ----------------------------------------------------------------------- */

/* Matches one template. The rank orders templates that match the same path: a bit for each literal
 * name, the leftmost the highest. */
static bool match_path(const char *path, const struct vz_slice *segments, size_t count,
                       struct vz_slice *args, unsigned *rank)
{
    size_t arg = 0;
    *rank = 0;
    const char *at = path + 1;
    for (size_t i = 0;; i++) {
        if (*at == '\0')
            return i == count;
        size_t len = strcspn(at, "/");
        if (len == 2 && at[0] == '*')
            return i < count; /* "**": one or more of anything */
        if (i == count)
            return false;
        if (at[0] == '{') {
            if (segments[i].len == 0)
                return false;
            args[arg++] = segments[i];
        } else {
            if (segments[i].len != len || memcmp(segments[i].ptr, at, len) != 0)
                return false;
            *rank |= 1u << (VZ_MAX_SEGMENTS - i);
        }
        at += len;
        if (*at == '/')
            at++;
    }
}

/* What a path must have to match a template, looked at before it is matched name by name: of some
 * four hundred templates, a handful are left. Made once; read by all threads. */
#define SKETCHED 3
static struct sketch {
    uint8_t names;           /* of the template */
    bool open;               /* it ends in "**": as many more as there are */
    char begin[SKETCHED][2]; /* of each name; 0: anything */
} sketches[VZ_COUNT_OF(vz_routes)];
static pthread_once_t sketched = PTHREAD_ONCE_INIT;

static void sketch_routes(void)
{
    for (size_t i = 0; i < vz_route_count; i++) {
        struct sketch *sketch = &sketches[i];
        for (const char *at = vz_routes[i].path; *at && at[1]; at += 1 + strcspn(at + 1, "/")) {
            if (strcmp(at, "/**") == 0) {
                sketch->open = true;
                break;
            }
            if (sketch->names < SKETCHED && at[1] != '{' && at[2] != '/')
                memcpy(sketch->begin[sketch->names], at + 1, 2);
            sketch->names++;
        }
    }
}

static bool may_match(const struct sketch *sketch, const struct vz_slice *segments, size_t count)
{
    if (sketch->open ? count <= sketch->names : count != sketch->names)
        return false;
    for (size_t i = 0; i < SKETCHED && i < sketch->names; i++)
        if (sketch->begin[i][0] &&
            (segments[i].len == 0 || segments[i].ptr[0] != sketch->begin[i][0] ||
             (segments[i].len > 1 && segments[i].ptr[1] != sketch->begin[i][1])))
            return false;
    return true;
}

const struct vz_route *vz_route_find(unsigned method, const struct vz_slice *segments, size_t count,
                                     struct vz_slice args[VZ_MAX_SEGMENTS], unsigned *allowed)
{
    const struct vz_route *best = NULL;
    unsigned best_rank = 0;
    *allowed = 0;
    pthread_once(&sketched, sketch_routes);
    for (size_t i = 0; i < vz_route_count; i++) {
        struct vz_slice found[VZ_MAX_SEGMENTS];
        unsigned rank;
        if (!may_match(&sketches[i], segments, count))
            continue;
        memset(found, 0, sizeof found);
        if (!match_path(vz_routes[i].path, segments, count, found, &rank))
            continue;
        *allowed |= vz_routes[i].methods;
        if (!(vz_routes[i].methods & method) || (best && rank <= best_rank))
            continue;
        best = &vz_routes[i];
        best_rank = rank;
        memcpy(args, found, sizeof found);
    }
    return best;
}

/* ---- URL parameters ------------------------------------------------------------------------ */

/* Finds `name` in a list such as "a:bool !b c". *type is the text behind ':' (empty: text). */
static bool find_param(const char *list, struct vz_slice name, struct vz_slice *type, bool *refused)
{
    for (const char *at = list; *at;) {
        size_t len = strcspn(at, " ");
        struct vz_slice item = {at, len};
        *refused = len && item.ptr[0] == '!';
        if (*refused) {
            item.ptr++;
            item.len--;
        }
        const char *colon = memchr(item.ptr, ':', item.len);
        size_t name_len = colon ? (size_t)(colon - item.ptr) : item.len;
        if (name_len == name.len && memcmp(item.ptr, name.ptr, name_len) == 0) {
            *type = (struct vz_slice){colon ? colon + 1 : "", colon ? item.len - name_len - 1 : 0};
            return true;
        }
        at += len;
        at += strspn(at, " ");
    }
    return false;
}

static bool check_value(struct vz_call *call, const struct vz_http_param *param,
                        struct vz_slice type)
{
    struct vz_slice value = param->value;
    int64_t number;
    if (vz_slice_is(type, "bool")) {
        if (value.len == 0 || vz_slice_is(value, "true") || vz_slice_is(value, "false"))
            return true;
        return vz_call_fail(call, 400, "illegal_argument_exception",
                            "Failed to parse value [%.*s] as only [true] or [false] are allowed.",
                            VZ_S(value));
    }
    if (vz_slice_is(type, "int")) {
        char digits[24] = "";
        if (value.len && value.len < sizeof digits)
            memcpy(digits, value.ptr, value.len);
        char *end;
        number = strtoll(digits, &end, 10);
        (void)number;
        if (digits[0] && *end == '\0' && digits[0] != ' ')
            return true;
        vz_call_fail(call, 400, "illegal_argument_exception",
                     "Failed to parse int parameter [%.*s] with value [%.*s]", VZ_S(param->name),
                     VZ_S(value));
        call->problem.cause_type = "number_format_exception";
        call->problem.cause_reason =
            vz_call_format(call, "For input string: \"%.*s\"", VZ_S(value));
        return false;
    }
    if (vz_slice_is(type, "time") && !vz_time_parse(value, &number))
        return vz_call_fail(call, 400, "illegal_argument_exception",
                            "failed to parse setting [%.*s] with value [%.*s] as a time value: "
                            "unit is missing or unrecognized",
                            VZ_S(param->name), VZ_S(value));
    return true;
}

/* Lucene's measure: 1 - edit distance / longer length. */
static double likeness(struct vz_slice a, struct vz_slice b)
{
    unsigned row[64];
    if (a.len == 0 || b.len == 0 || b.len >= VZ_COUNT_OF(row))
        return 0;
    for (size_t j = 0; j <= b.len; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= a.len; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b.len; j++) {
            unsigned above = row[j];
            unsigned change = diagonal + (a.ptr[i - 1] != b.ptr[j - 1]);
            row[j] = VZ_MIN(VZ_MIN(row[j - 1], above) + 1, change);
            diagonal = above;
        }
    }
    return 1.0 - (double)row[b.len] / (double)VZ_MAX(a.len, b.len);
}

static void suggest(struct vz_slice name, const char *list, struct vz_slice *best, double *likest)
{
    for (const char *at = list; *at;) {
        size_t len = strcspn(at, " ");
        bool refused = at[0] == '!';
        struct vz_slice item = {at + refused, strcspn(at + refused, " :")};
        double like = likeness(name, item);
        if (like > 0.5 && like > *likest) {
            *likest = like;
            *best = item;
        }
        at += len;
        at += strspn(at, " ");
    }
}

static bool unrecognized(struct vz_call *call, struct vz_slice *names, size_t count)
{
    struct vz_buf text = {0};
    vz_buf_printf(&text,
                  "request [%.*s] contains unrecognized parameter%s: ", VZ_S(call->request->path),
                  count > 1 ? "s" : "");
    for (size_t i = 0; i < count; i++) {
        struct vz_slice best = {NULL, 0};
        double likest = 0;
        suggest(names[i], call->route->params, &best, &likest);
        suggest(names[i], common_params, &best, &likest);
        vz_buf_printf(&text, "%s[%.*s]", i ? ", " : "", VZ_S(names[i]));
        if (best.len)
            vz_buf_printf(&text, " -> did you mean [%.*s]?", VZ_S(best));
    }
    vz_call_fail(call, 400, "illegal_argument_exception", "%.*s", (int)text.len, text.data);
    vz_buf_deinit(&text);
    return false;
}

bool vz_params_check(struct vz_call *call)
{
    const struct vz_http_request *request = call->request;
    struct vz_slice unknown[16];
    size_t unknown_count = 0;
    for (size_t i = 0; i < request->param_count; i++) {
        const struct vz_http_param *param = &request->params[i];
        struct vz_slice type;
        bool refused;
        if (!find_param(call->route->params, param->name, &type, &refused) &&
            !find_param(common_params, param->name, &type, &refused)) {
            if (unknown_count < VZ_COUNT_OF(unknown))
                unknown[unknown_count++] = param->name;
            continue;
        }
        if (refused && !(type.len && vz_slice_is(param->value, "false")))
            return vz_call_unsupported(call, "URL parameter [%.*s] of [%s %.*s] is",
                                       VZ_S(param->name), request->method, VZ_S(request->path));
        if (!check_value(call, param, type))
            return false;
    }
    if (unknown_count)
        return unrecognized(call, unknown, unknown_count);
    struct vz_slice format;
    if (vz_call_param(call, "format", &format) && !vz_slice_is(format, "json") &&
        !(vz_slice_is(format, "text") && strncmp(call->route->path, "/_cat", 5) == 0))
        return vz_call_unsupported(call, "format [%.*s] is", VZ_S(format));
    return true;
}
