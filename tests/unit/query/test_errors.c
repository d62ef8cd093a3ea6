/* Limits and errors, as data: a request and the words it is refused with. Then broken requests at
 * random: none may crash, each is answered or refused with a text. */
#include "support.h"

#include "base/text.h"

static struct fixture fixture;

static const char *const mapping =
    "{\"mappings\":{\"properties\":{"
    "\"name\":{\"type\":\"text\"},\"breed\":{\"type\":\"keyword\"},\"age\":{\"type\":\"integer\"},"
    "\"price\":{\"type\":\"double\"},\"ok\":{\"type\":\"boolean\"},\"born\":{\"type\":\"date\"},"
    "\"at\":{\"type\":\"geo_point\"},\"pop\":{\"type\":\"rank_feature\"},"
    "\"vec\":{\"type\":\"dense_vector\",\"dims\":3,\"similarity\":\"cosine\"},"
    "\"dot\":{\"type\":\"dense_vector\",\"dims\":2,\"similarity\":\"dot_product\"},"
    "\"kept\":{\"type\":\"dense_vector\",\"dims\":2,\"index\":false}}}}";

static int setup(void **state)
{
    fixture_open(&fixture);
    struct vz_index *index = fixture_create(&fixture, "dogs", mapping);
    put_doc(index, "1",
            "{\"name\":\"Luigi\",\"breed\":\"jack\",\"age\":3,\"price\":1.5,\"ok\":true,"
            "\"born\":\"2020-02-03\",\"pop\":7,\"at\":{\"lat\":47.5,\"lon\":19.0},\"vec\":[1,0,0],"
            "\"dot\":[1,"
            "0]}");
    put_doc(index, "2", "{\"name\":\"Rex\",\"breed\":\"puli\",\"age\":5,\"vec\":[0,1,0]}");
    refresh(index);
    return 0;
}

static int teardown(void **state)
{
    fixture_close(&fixture);
    return 0;
}

struct refused {
    const char *body; /* single quotes stand for double ones */
    enum vz_status status;
    const char *text; /* what the text contains */
};

static const struct refused refusals[] = {
    {"{'foo':{}}", VZ_BAD_QUERY, "Unknown key for a START_OBJECT in [foo]."},
    {"{'foo':1}", VZ_BAD_QUERY, "Unknown key for a VALUE_NUMBER in [foo]."},
    {"{'foo':[]}", VZ_BAD_QUERY, "Unknown key for a START_ARRAY in [foo]."},
    {"{'query':'x'}", VZ_BAD_QUERY, "Unknown key for a VALUE_STRING in [query]."},
    {"{'aggs':{'a':{'composite':{}}}}", VZ_BAD_ARGUMENT, "Required [sources]"},
    {"{'size':-1}", VZ_BAD_QUERY, "[size] parameter cannot be negative, found [-1]"},
    {"{'from':-3}", VZ_BAD_QUERY, "[from] parameter cannot be negative but was [-3]"},
    {"{'from':9991}", VZ_LIMIT,
     "Result window is too large, from + size must be less than or equal "
     "to: [10000] but was [10001]"},
    {"{'size':10001}", VZ_LIMIT, "but was [10001]"},
    {"{'track_total_hits':-5}", VZ_BAD_QUERY,
     "[track_total_hits] parameter must be positive or "
     "equals to -1, got -5"},
    {"{'timeout':'5x'}", VZ_BAD_QUERY, "[timeout]"},
    /* several lists, or another order of one */
    {"{'retriever':{}}", VZ_BAD_QUERY, "retriever malformed, empty clause found"},
    {"{'retriever':[]}", VZ_BAD_QUERY, "retriever malformed, must start with [START_OBJECT]"},
    {"{'retriever':{'rrf':[]}}", VZ_BAD_QUERY, "[rrf] retriever malformed, no [START_OBJECT]"},
    {"{'retriever':{'standard':{},'knn':{}}}", VZ_BAD_QUERY, "[standard] malformed retriever"},
    {"{'retriever':{'rule':{}}}", VZ_UNSUPPORTED, "[rule] retriever is not supported"},
    {"{'retriever':{'rrf':{'retrievers':[1]}}}", VZ_BAD_QUERY, "[rrf] retrievers doesn't support"},
    {"{'retriever':{'linear':{'retrievers':[{'weight':1}]}}}", VZ_BAD_QUERY,
     "Required [retriever]"},
    {"{'retriever':{'rrf':{'rank_window_size':-1,'retrievers':[{'standard':{}}]}}}", VZ_BAD_QUERY,
     "[rank_window_size] parameter cannot be negative, found [-1]"},
    {"{'retriever':{'rrf':{'rank_window_size':99999999999}}}", VZ_BAD_QUERY, "out of range of int"},
    {"{'retriever':{'rrf':{'rank_constant':0,'retrievers':[{'standard':{}}]}}}", VZ_BAD_ARGUMENT,
     "[rank_constant] must be greater or equal to [1] for [rrf]"},
    {"{'retriever':{'text_similarity_reranker':{'field':'x','inference_text':'y',"
     "'retriever':{'standard':{}}}}}",
     VZ_UNSUPPORTED, "[text_similarity_reranker] is not supported here"},
    {"{'rescore':1}", VZ_BAD_QUERY, "unexpected token [VALUE_NUMBER] after [rescore]"},
    {"{'rescore':{'window_size':-1,'query':{'rescore_query':{'match_all':{}}}}}", VZ_BAD_QUERY,
     "[window_size] must be zero or more"},
    {"{'rank':{'rrf':{'foo':1}}}", VZ_BAD_QUERY, "[rrf] unknown field [foo]"},
    {"{'collapse':1}", VZ_BAD_QUERY, "[collapse]"},
    {"{'slice':{'id':-1,'max':2}}", VZ_BAD_QUERY, "id must be greater than or equal to 0"},
    {"{'indices_boost':[{'a':-1}]}", VZ_BAD_QUERY, "[indices_boost]"},
    /* queries */
    {"{'query':{}}", VZ_BAD_QUERY, "query malformed, empty clause found"},
    {"{'query':{'foo':{}}}", VZ_BAD_QUERY, "unknown query [foo]"},
    {"{'query':{'match_all':{},'term':{}}}", VZ_BAD_QUERY,
     "[match_all] malformed query, expected [END_OBJECT] but found [FIELD_NAME]"},
    {"{'query':{'term':'x'}}", VZ_BAD_QUERY,
     "[term] query malformed, no start_object after query name"},
    {"{'query':{'term':{'a':1,'b':2}}}", VZ_BAD_QUERY,
     "[term] query doesn't support multiple fields, found [a] and [b]"},
    {"{'query':{'term':{'breed':['a']}}}", VZ_BAD_QUERY,
     "[term] query does not support array of values"},
    {"{'query':{'term':{'breed':{'value':'a','foo':1}}}}", VZ_BAD_QUERY,
     "[term] query does not support [foo]"},
    {"{'query':{'term':{'breed':{'value':'a','boost':-1}}}}", VZ_BAD_QUERY,
     "negative [boost] are not allowed in [term], use a value between 0 and 1 to deboost"},
    {"{'query':{'match_all':{'_name':['x']}}}", VZ_BAD_QUERY, "[_name] must be a string"},
    {"{'query':{'match_all':{'foo':1}}}", VZ_BAD_QUERY, "[match_all] query does not support [foo]"},
    {"{'query':{'match':{'name':{'query':'luigi','analyzer':'nope'}}}}", VZ_BAD_QUERY,
     "[match] analyzer [nope] not found"},
    {"{'query':{'multi_match':{'query':'x','fields':['a'],'type':'cross_fields','fuzziness':1}}}",
     VZ_BAD_QUERY, "Fuzziness not allowed for type [cross_fields]"},
    {"{'stored_fields':'_none_','_source':['age']}", VZ_BAD_QUERY,
     "[stored_fields] cannot be disabled if [_source] is requested"},
    {"{'query':{'query_string':{'query':'x','fuzzy_rewrite':'top_terms_5'}}}", VZ_UNSUPPORTED,
     "[top_terms_5]"},
    {"{'query':{'query_string':{'query':'x','default_operator':'xor'}}}", VZ_BAD_QUERY,
     "No enum constant"},
    {"{'query':{'query_string':{'query':'x','default_field':'a','fields':['b']}}}", VZ_BAD_QUERY,
     "cannot use [fields] parameter in conjunction with [default_field]"},
    {"{'query':{'simple_query_string':{'query':'x','foo':1}}}", VZ_BAD_QUERY,
     "[simple_query_string] unsupported field [foo]"},
    {"{'query':{'combined_fields':{'query':'x','fields':['a^0.5']}}}", VZ_BAD_QUERY,
     "[combined_fields] requires field boosts to be 1.0 or greater"},
    {"{'query':{'more_like_this':{'like':[[]]}}}", VZ_BAD_QUERY,
     "Content of 'like' parameter should either be a string or an object"},
    {"{'query':{'nested':{'path':'a','query':{'match_all':{}}}}}", VZ_BAD_QUERY,
     "failed to create query: [nested] failed to find nested object under path [a]"},
    {"{'query':{'nested':{'path':'age','query':{'match_all':{}}}}}", VZ_BAD_QUERY,
     "[nested] nested object under path [age] is not of nested type"},
    {"{'query':{'nested':{'query':{'match_all':{}}}}}", VZ_BAD_QUERY,
     "[nested] requires 'path' field"},
    {"{'query':{'nested':{'path':'a'}}}", VZ_BAD_QUERY, "[nested] requires 'query' field"},
    {"{'query':{'nested':{'path':'a','score_mode':'best','query':{'match_all':{}}}}}", VZ_BAD_QUERY,
     "No score mode for child query [best] found"},
    {"{'query':{'nested':{'path':'a','foo':1,'query':{'match_all':{}}}}}", VZ_BAD_QUERY,
     "[nested] query does not support [foo]"},
    {"{'query':{'nested':{'path':'a','query':{'match_all':{}},'inner_hits':{'foo':1}}}}",
     VZ_BAD_QUERY, "[inner_hits] unknown field [foo]"},
    {"{'query':{'nested':{'path':'a','query':{'match_all':{}},'inner_hits':{'size':101}}}}",
     VZ_LIMIT, "Inner result window is too large"},
    {"{'query':{'script_score':{}}}", VZ_BAD_QUERY, "Required [query]"},
    {"{'query':{'term':{'age':'abc'}}}", VZ_BAD_QUERY,
     "failed to create query: For input string: \"abc\""},
    {"{'query':{'term':{'ok':'maybe'}}}", VZ_BAD_QUERY,
     "Can't parse boolean value [maybe], expected [true] or [false]"},
    {"{'query':{'term':{'at':'x'}}}", VZ_BAD_QUERY,
     "Geometry fields do not support exact searching"},
    {"{'query':{'term':{'vec':1}}}", VZ_BAD_QUERY, "Field [vec] of type [dense_vector]"},
    {"{'query':{'terms':{'a':['x'],'b':['y']}}}", VZ_BAD_QUERY,
     "[terms] query does not support multiple fields"},
    {"{'query':{'terms':{'a':{'index':'i','id':'1','path':'p'}}}}", VZ_UNSUPPORTED,
     "[terms] lookup"},
    {"{'query':{'terms':{}}}", VZ_BAD_QUERY, "[terms] query requires a field name"},
    {"{'query':{'range':{'age':{'foo':1}}}}", VZ_BAD_QUERY, "[range] query does not support [foo]"},
    {"{'query':{'range':{'age':{'gt':'x'}}}}", VZ_BAD_QUERY, "For input string: \"x\""},
    {"{'query':{'range':{'born':{'gt':'never'}}}}", VZ_BAD_QUERY, "never"},
    {"{'query':{'exists':{}}}", VZ_BAD_QUERY, "[exists] must be provided with a [field]"},
    {"{'query':{'ids':{'foo':1}}}", VZ_BAD_QUERY, "[ids] query does not support [foo]"},
    {"{'query':{'bool':{'foo':[]}}}", VZ_BAD_QUERY, "[bool] query does not support [foo]"},
    {"{'query':{'bool':{'must':[{'bogus':{}}]}}}", VZ_BAD_QUERY, "unknown query [bogus]"},
    {"{'query':{'bool':{'minimum_should_match':'x%'}}}", VZ_BAD_QUERY, "[minimum_should_match]"},
    {"{'query':{'constant_score':{}}}", VZ_BAD_QUERY,
     "[constant_score] requires a 'filter' element"},
    {"{'query':{'dis_max':{}}}", VZ_BAD_QUERY, "[dis_max] requires 'queries' field"},
    {"{'query':{'boosting':{'positive':{'match_all':{}}}}}", VZ_BAD_QUERY, "'negative' query"},
    {"{'query':{'prefix':{'age':'1'}}}", VZ_BAD_QUERY, "Can only use prefix queries on keyword"},
    {"{'query':{'geo_distance':{'at':'1,2'}}}", VZ_BAD_QUERY, "requires 'distance'"},
    {"{'query':{'geo_distance':{'distance':'1km','breed':'1,2'}}}", VZ_BAD_QUERY,
     "unsupported type [keyword]"},
    {"{'query':{'geo_distance':{'distance':'1km','nowhere':'1,2'}}}", VZ_BAD_QUERY,
     "failed to find geo field [nowhere]"},
    /* knn */
    {"{'knn':{'field':'vec','query_vector':[1,0],'k':1,'num_candidates':5}}", VZ_BAD_QUERY,
     "the query vector has a different dimension [2] than the index vectors [3]"},
    {"{'knn':{'field':'breed','query_vector':[1,0]}}", VZ_BAD_QUERY,
     "failed to create query: [knn] queries are only supported on [dense_vector] fields"},
    {"{'knn':{'field':'kept','query_vector':[1,0]}}", VZ_BAD_QUERY,
     "to perform knn search on field [kept], its mapping must have [index] set to [true]"},
    {"{'knn':{'field':'vec','query_vector':[0,0,0]}}", VZ_BAD_QUERY,
     "The [cosine] similarity does not support vectors with zero magnitude. Preview of invalid "
     "vector: [0.0, 0.0, 0.0]"},
    {"{'knn':{'field':'dot','query_vector':[1,1]}}", VZ_BAD_QUERY,
     "The [dot_product] similarity can only be used with unit-length vectors. Preview of invalid "
     "vector: [1.0, 1.0]"},
    {"{'knn':{'field':'vec','query_vector':[1,0,0],'k':0}}", VZ_BAD_QUERY,
     "[k] must be greater than 0"},
    {"{'knn':{'field':'vec','query_vector':[1,0,0],'k':10,'num_candidates':5}}", VZ_BAD_QUERY,
     "[num_candidates] cannot be less than [k]"},
    {"{'knn':{'field':'vec','query_vector':[1,0,0],'k':10,'num_candidates':10001}}", VZ_BAD_QUERY,
     "[num_candidates] cannot exceed [10000]"},
    {"{'query':{'knn':{'field':'vec','query_vector':[1,0,0],'num_candidates':0}}}", VZ_BAD_QUERY,
     "[num_candidates] must be greater than 0"},
    {"{'knn':{'field':'vec'}}", VZ_BAD_QUERY,
     "either [query_vector_builder] or [query_vector] must be provided"},
    {"{'knn':{'query_vector':[1]}}", VZ_BAD_QUERY, "Required [field]"},
    {"{'knn':{'field':'vec','query_vector':[1,0,0],'foo':1}}", VZ_BAD_QUERY,
     "[knn] unknown field [foo]"},
    {"{'knn':{'field':'vec','query_vector':[1,'a',0]}}", VZ_BAD_QUERY, "[query_vector]"},
    {"{'knn':{'field':'vec','query_vector':[1,1e300,0]}}", VZ_BAD_QUERY, "[query_vector]"},
    {"{'knn':{'field':'vec','query_vector':'0a%f'}}", VZ_BAD_QUERY,
     "failed to create query: failed to parse field [query_vector]: [query_vector] must be a valid "
     "base64 or hex string"},
    {"{'knn':{'field':'vec','query_vector':'0aff'}}", VZ_BAD_QUERY,
     "the query vector has a different dimension [2] than the index vectors [3]"},
    {"{'knn':{'field':'vec','query_vector':'AAAAAAAA'}}", VZ_BAD_QUERY,
     "the query vector has a different dimension [4] than the index vectors [3]"},
    {"{'knn':{'field':'vec','query_vector':'////'}}", VZ_BAD_QUERY,
     "[query_vector] must contain a valid Base64-encoded float vector, but the decoded bytes "
     "length "
     "[3] is not compatible with the expected vector length"},
    {"{'knn':{'field':'vec','query_vector':''}}", VZ_BAD_QUERY, "must be a valid base64 or hex"},
    {"{'knn':{'field':'vec','query_vector_builder':{'text_embedding':{}}}}", VZ_UNSUPPORTED,
     "query_vector_builder"},
    {"{'knn':{'field':'vec','query_vector':[1,0,0],'inner_hits':{}}}", VZ_BAD_QUERY,
     "[knn] [inner_hits] needs a field below a [nested] object, [vec] is none"},
    {"{'knn':{'field':'vec','query_vector':[1,0,0],'inner_hits':7}}", VZ_BAD_QUERY,
     "[inner_hits] expected an object"},
    {"{'knn':{'field':'vec','query_vector':[1,0,0],'rescore_vector':{'oversample':0.5}}}",
     VZ_BAD_QUERY, "[oversample]"},
    {"{'knn':{'field':'vec','query_vector':[1,0,0],'filter':{'bogus':{}}}}", VZ_BAD_QUERY,
     "unknown query [bogus]"},
    /* sort, fields */
    {"{'sort':'nothing'}", VZ_BAD_QUERY, "No mapping found for [nothing] in order to sort on"},
    {"{'sort':'name'}", VZ_BAD_QUERY, "Fielddata is disabled on [name] in [dogs]"},
    {"{'sort':{'age':'up'}}", VZ_BAD_QUERY, "Unknown SortOrder [up]"},
    {"{'sort':{'age':{'foo':1}}}", VZ_BAD_QUERY, "[field_sort] unknown field [foo]"},
    {"{'sort':'at'}", VZ_BAD_QUERY, "can't sort on [geo_point] field"},
    {"{'sort':{'_script':{}}}", VZ_BAD_QUERY, "[_script] needs a [script]"},
    {"{'search_after':[1]}", VZ_BAD_QUERY, "Sort must contain at least one field."},
    {"{'sort':'age','search_after':[1,2]}", VZ_BAD_QUERY,
     "search_after has 2 value(s) but sort has 1."},
    {"{'sort':'age','from':1,'search_after':[1]}", VZ_BAD_QUERY,
     "`from` parameter must be set to 0 when `search_after` is used"},
    {"{'sort':'age','search_after':['x']}", VZ_BAD_QUERY, "Failed to parse search_after value"},
    {"{'_source':5}", VZ_BAD_QUERY, "Expected one of [VALUE_BOOLEAN, START_OBJECT]"},
    {"{'_source':{'foo':1}}", VZ_BAD_QUERY, "Unknown key for a VALUE_NUMBER in [foo]."},
    {"{'fields':[{'field':'breed','format':'x'}]}", VZ_BAD_QUERY,
     "Field [breed] of type [keyword] doesn't support formats."},
    {"{'docvalue_fields':['name']}", VZ_BAD_QUERY, "fielddata is unsupported"},
};

static void unquote(char *text)
{
    for (; *text; text++)
        if (*text == '\'')
            *text = '"';
}

static void expect_refusal(const char *body, enum vz_status status, const char *text)
{
    struct vz_search_target target = {.index = fixture.index[0]};
    struct answer answer;
    search_targets(&target, 1, body, NULL, &answer);
    if (answer.status != status || !strstr(answer.err.text, text))
        fail_msg("%.300s\n  expected %s: %s\n  but got  %s: %s", body, vz_status_name(status), text,
                 vz_status_name(answer.status), answer.err.text);
    answer_deinit(&answer);
}

static void test_refusals(void **state)
{
    for (size_t i = 0; i < VZ_COUNT_OF(refusals); i++) {
        char *body = vz_strdup(refusals[i].body);
        unquote(body);
        expect_refusal(body, refusals[i].status, refusals[i].text);
        free(body);
    }
}

static void test_params(void **state)
{
    struct vz_search_target target = {.index = fixture.index[0]};
    struct answer answer;
    assert_int_equal(search_targets(&target, 1, NULL,
                                    &(struct vz_search_params){.uri = {.q = VZ_SLICE("a:(b")}},
                                    &answer),
                     VZ_BAD_QUERY);
    assert_string_equal(answer.err.text, "Failed to parse query [a:(b]");
    answer_deinit(&answer);
    assert_int_equal(search_targets(&target, 1, NULL,
                                    &(struct vz_search_params){.sort = VZ_SLICE("age:desc,_score"),
                                                               .has_size = true,
                                                               .size = 1,
                                                               .source = VZ_SLICE("breed"),
                                                               .has_track_total_hits = true,
                                                               .track_total_hits = VZ_SLICE("1"),
                                                               .version = true},
                                    &answer),
                     VZ_OK);
    assert_int_equal(answer.result.hit_count, 1);
    assert_slice(answer.result.hits[0].source, "{\"breed\":\"puli\"}");
    assert_slice(answer.result.hits[0].sort, "[5,1.0]");
    assert_int_equal(answer.result.total, 1);
    assert_true(answer.result.total_is_lower_bound);
    assert_true(answer.result.with_version);
    answer_deinit(&answer);
    assert_int_equal(search_targets(&target, 1, "{\"size\":5}",
                                    &(struct vz_search_params){.sort = VZ_SLICE("age:up")},
                                    &answer),
                     VZ_BAD_QUERY);
    answer_deinit(&answer);
    assert_int_equal(search_targets(&target, 1, "{\"size\":5}",
                                    &(struct vz_search_params){.has_size = true, .size = -4},
                                    &answer),
                     VZ_BAD_QUERY);
    answer_deinit(&answer);
}

/* The limits that need a long request. */
static void test_limits(void **state)
{
    struct vz_buf body = {0};
    vz_buf_append_str(&body, "{\"query\":{\"terms\":{\"age\":[");
    for (int i = 0; i < 65537; i++)
        vz_buf_printf(&body, "%s%d", i ? "," : "", i);
    vz_buf_append_str(&body, "]}}}");
    expect_refusal(body.data, VZ_BAD_QUERY,
                   "The number of terms [65537] used in the Terms Query "
                   "request has exceeded the allowed maximum of [65536]");
    vz_buf_clear(&body);
    vz_buf_append_str(&body, "{\"query\":{\"bool\":{\"should\":[");
    for (int i = 0; i < 4096; i++)
        vz_buf_printf(&body, "%s{\"match_all\":{}}", i ? "," : "");
    vz_buf_append_str(&body, "]}}}");
    expect_refusal(body.data, VZ_BAD_QUERY,
                   "Query contains too many nested clauses; maxClauseCount is set to 4096");
    vz_buf_clear(&body);
    vz_buf_append_str(&body, "{\"query\":");
    for (int i = 0; i < 25; i++)
        vz_buf_append_str(&body,
                          i % 2 ? "{\"constant_score\":{\"filter\":" : "{\"bool\":{\"must\":");
    vz_buf_append_str(&body, "{\"match_all\":{}}");
    for (int i = 0; i < 25; i++)
        vz_buf_append_str(&body, "}}");
    vz_buf_append_str(&body, "}");
    struct answer answer;
    search_index(fixture.index[0], body.data, &answer); /* 26 deep is fine */
    assert_int_equal(answer.result.total, 2);
    answer_deinit(&answer);
    vz_buf_clear(&body);
    vz_buf_append_str(&body, "{\"query\":");
    for (int i = 0; i < 30; i++)
        vz_buf_append_str(&body, "{\"bool\":{\"must\":");
    vz_buf_append_str(&body, "{\"match_all\":{}}");
    for (int i = 0; i < 30; i++)
        vz_buf_append_str(&body, "}}");
    vz_buf_append_str(&body, "}");
    expect_refusal(body.data, VZ_BAD_QUERY, "The nested depth of the query exceeds the maximum");
    vz_buf_clear(&body);
    vz_buf_append_str(&body, "{\"sort\":[");
    for (int i = 0; i < 65; i++)
        vz_buf_printf(&body, "%s\"age\"", i ? "," : "");
    vz_buf_append_str(&body, "]}");
    expect_refusal(body.data, VZ_BAD_QUERY, "[sort] has [65] keys, at most [64] are allowed");
    vz_buf_clear(&body);
    vz_buf_append_str(&body, "{\"knn\":[");
    for (int i = 0; i < 257; i++)
        vz_buf_printf(&body, "%s{\"field\":\"v\",\"query_vector\":[1,0],\"k\":1}", i ? "," : "");
    vz_buf_append_str(&body, "]}");
    expect_refusal(body.data, VZ_BAD_QUERY, "[knn] has [257] clauses, at most [256] are allowed");
    vz_buf_deinit(&body);
}

/* ---- broken at random ------------------------------------------------------------------------ */

static const char *const seeds[] = {
    "{'query':{'bool':{'must':[{'term':{'breed':{'value':'jack','boost':2}}}],'filter':[{'range':"
    "{'age':{'gte':1,'lt':9}}}],'should':[{'exists':{'field':'ok'}},{'terms':{'age':[3,5]}}],"
    "'must_not':{'ids':{'values':['2']}},'minimum_should_match':'50%'}},'size':3,'from':0}",
    "{'knn':[{'field':'vec','query_vector':[1,0.5,0],'k':2,'num_candidates':5,'boost':0.5,"
    "'filter':{'term':{'ok':true}},'similarity':0.1}],'query':{'match':{'breed':'puli'}},"
    "'min_score':0.1,'track_total_hits':true}",
    "{'sort':[{'age':{'order':'desc','missing':'_first','mode':'avg','unmapped_type':'long'}},"
    "{'breed':'asc'},'_score',{'_geo_distance':{'at':{'lat':1,'lon':2},'unit':'km'}}],"
    "'search_after':[5,'puli',1.0,3],'_source':{'includes':['b*'],'excludes':['vec']},"
    "'fields':['*',{'field':'born','format':'epoch_millis'}],'docvalue_fields':['age']}",
    "{'query':{'dis_max':{'queries':[{'prefix':{'breed':'j'}},{'wildcard':{'breed':'*u?i'}}],"
    "'tie_breaker':0.3}},'post_filter':{'range':{'born':{'gte':'2019-01-01||/M','time_zone':"
    "'+02:00'}}},'timeout':'1s','terminate_after':1,'version':true,'stored_fields':'_none_'}",
    "{'query':{'boosting':{'positive':{'geo_bounding_box':{'at':{'top_left':'50,10','bottom_right':"
    "'40,20'}}},'negative':{'geo_distance':{'distance':'5km','at':[19,47.5]}},'negative_boost':0.2"
    "}}}",
    "{'runtime_mappings':{'rt':{'type':'long','on_script_error':'continue','script':{'source':"
    "'emit(params.f); "
    "emit(2)','params':{'f':3}}},'rk':{'type':'keyword','script':'emit(\\\"a\\\")'}},"
    "'query':{'bool':{'filter':[{'range':{'rt':{'from':1,'to':3,'include_upper':true}}},{'script':{"
    "'script':'params.size() == 0'}}],'must':{'term':{'rk':'a'}}}},'sort':['rt'],'fields':['r*'],"
    "'aggs':{'k':{'terms':{'field':'rk','include':'~b&.'}}}}",
    "{'query':{'bool':{'should':[{'terms_set':{'breed':{'terms':['jack','puli'],"
    "'minimum_should_match_field':'age'}}},{'terms_set':{'name':{'terms':['luigi'],"
    "'minimum_should_match_script':{'source':'params.num_terms'}}}},{'distance_feature':{'field':"
    "'born','origin':'2020-01-01','pivot':'7d'}},{'distance_feature':{'field':'at','origin':[19,47]"
    ","
    "'pivot':'1km'}},{'rank_feature':{'field':'pop','sigmoid':{'pivot':7,'exponent':0.6}}},"
    "{'rank_feature':{'field':'pop','saturation':{}}}]}},'explain':true}",
    "{'query':{'bool':{'should':[{'regexp':{'breed':{'value':'~(j.*)|<1-30>&[^p]','flags':"
    "'COMPLEMENT|INTERVAL','max_determinized_states':100}}},{'regexp':{'name':'l~x&.*'}},"
    "{'geo_bounding_box':{'at':{'wkt':'BBOX (10, 20, 50, 40)'},'validation_method':'COERCE'}},"
    "{'geo_distance':{'distance':'5km','distance_type':'plane','validation_method':'COERCE','at':"
    "[379,47.5]}}]}}}",
};

/* Puts one value or key in another's place, so that most of it is still JSON; now and then changes
 * a byte, drops or doubles a stretch. */
static void mutate(struct vz_buf *text, uint64_t *rng)
{
    static const char *const values[] = {"null",
                                         "[]",
                                         "{}",
                                         "-1",
                                         "1e400",
                                         "\"\"",
                                         "true",
                                         "0.5",
                                         "99999999999",
                                         "\"_score\"",
                                         "[1,2,3]",
                                         "{\"a\":1}",
                                         "[{\"match_all\":{}}]",
                                         "\"50%\"",
                                         "{\"match_all\":{}}",
                                         "\"vec\"",
                                         "\"born\"",
                                         "\"name\"",
                                         "[null]",
                                         "10000",
                                         "0"};
    static const char *const keys[] = {
        "\"knn\"",  "\"bool\"",  "\"age\"",    "\"vec\"",   "\"at\"",  "\"field\"", "\"boost\"",
        "\"\"",     "\"term\"",  "\"filter\"", "\"size\"",  "\"_id\"", "\"gt\"",    "\"sort\"",
        "\"name\"", "\"query\"", "\"value\"",  "\"breed\"", "\"born\""};
    struct vz_buf out = {0};
    size_t at = vz_rng_next(rng) % text->len, len = 1 + vz_rng_next(rng) % 12;
    unsigned kind = vz_rng_next(rng) % 32;
    const char *piece = "";
    if (kind > 2) {
        do
            at = vz_rng_next(rng) % text->len;
        while (!strchr("\"0123456789tf", text->data[at]) ||
               (at && !strchr("{[,:", text->data[at - 1])));
        const char *end = text->data[at] == '"' ? strchr(text->data + at + 1, '"') : NULL;
        len = end ? (size_t)(end - text->data) + 1 - at : strcspn(text->data + at, "{}[],:");
        piece = text->data[at + len] == ':' ? keys[vz_rng_next(rng) % VZ_COUNT_OF(keys)]
                                            : values[vz_rng_next(rng) % VZ_COUNT_OF(values)];
    }
    len = VZ_MIN(len, text->len - at);
    vz_buf_append(&out, text->data, at);
    if (kind == 0)
        vz_buf_append_char(&out, (char)(32 + vz_rng_next(rng) % 95));
    if (kind == 1)
        vz_buf_append(&out, text->data + at, len);
    vz_buf_append_str(&out, piece);
    size_t rest = kind == 0 ? at + 1 : kind == 1 ? at : at + len;
    vz_buf_append(&out, text->data + rest, text->len - rest);
    vz_buf_deinit(text);
    *text = out;
}

static void test_mutations(void **state)
{
    uint64_t seed = getenv("VIZSLA_SEED") ? strtoull(getenv("VIZSLA_SEED"), NULL, 10) : 20261120;
    uint64_t rng = seed;
    unsigned rounds = 20000, parsed = 0, served = 0;
    print_message("seed %llu\n", (unsigned long long)seed);
    struct vz_search_target target = {.index = fixture.index[0]};
    for (unsigned i = 0; i < rounds; i++) {
        struct vz_buf text = {0};
        char *copy = vz_strdup(seeds[i % VZ_COUNT_OF(seeds)]);
        unquote(copy);
        vz_buf_append_str(&text, copy);
        free(copy);
        for (unsigned m = 1 + vz_rng_next(&rng) % 3; m; m--)
            mutate(&text, &rng);
        struct vz_error err = {0};
        struct vz_arena arena = {0};
        struct vz_json_doc *doc;
        struct vz_json value;
        struct vz_search *search;
        struct vz_search_result result;
        if (vz_json_parse(vz_buf_slice(&text), &doc, &value, &err) == VZ_OK) {
            parsed++;
            enum vz_status status = vz_search_parse(value, NULL, &arena, &search, &err);
            if (status == VZ_OK)
                status = vz_search_run(&target, 1, search, &arena, &result, &err);
            served += status == VZ_OK;
            if (status != VZ_OK && status != VZ_BAD_QUERY && status != VZ_UNSUPPORTED &&
                status != VZ_LIMIT && status != VZ_BAD_JSON && status != VZ_BAD_ARGUMENT &&
                status != VZ_BAD_MAPPING) /* of a runtime field */
                fail_msg("%s -> %s: %s", text.data, vz_status_name(status), err.text);
            if (status != VZ_OK && !err.text[0])
                fail_msg("%s -> refused silently", text.data);
            vz_json_free(doc);
        }
        vz_arena_deinit(&arena);
        vz_buf_deinit(&text);
    }
    print_message("%u requests, %u of them JSON, %u answered\n", rounds, parsed, served);
    assert_true(parsed > rounds / 4 && served > rounds / 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_params),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_mutations),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
