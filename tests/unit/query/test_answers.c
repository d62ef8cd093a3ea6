/* Answers to the letter, over a handful of documents: scores, _source, fields, sort values, dates
 * and zones, places, edges of numbers. Single quotes in bodies stand for double ones. */
#include "support.h"

#include <math.h>

static struct fixture fixture;
static struct vz_index *dogs;

static const char *const mapping =
    "{'mappings':{'properties':{"
    "'name':{'type':'text','fields':{'raw':{'type':'keyword','ignore_above':6}}},"
    "'breed':{'type':'keyword'},'kind':{'type':'alias','path':'breed'},"
    "'age':{'type':'integer'},'weight':{'type':'float'},'price':{'type':'double'},"
    "'chip':{'type':'unsigned_long'},'ok':{'type':'boolean'},"
    "'exif':{'properties':{'date':{'type':'date'},'location':{'type':'geo_point'}}},"
    "'seen':{'type':'date','format':'yyyy/MM/dd'},"
    "'photos':{'type':'nested','properties':{'url':{'type':'keyword'},'taken':{'type':'date'}}},"
    "'vec':{'type':'dense_vector','dims':2,'similarity':'cosine'}}}}";

static char *quoted(const char *text)
{
    char *copy = vz_strdup(text);
    for (char *c = copy; *c; c++)
        if (*c == '\'')
            *c = '"';
    return copy;
}

static void put(const char *id, const char *source)
{
    char *text = quoted(source);
    put_doc(dogs, id, text);
    free(text);
}

static int setup(void **state)
{
    fixture_open(&fixture);
    char *body = quoted(mapping);
    dogs = fixture_create(&fixture, "dogs", body);
    free(body);
    put("1", "{'name':'Luigi','breed':'jack russel','age':3,'weight':6.1,'price':10.5,'chip':1,"
             "'ok':true,'exif':{'date':'2020-02-03T10:00:00Z','location':{'lat':47.5,'lon':19.0}},"
             "'seen':'2021/05/06','photos':[{'url':'a.png','taken':'2020-01-01'},{'url':'b.png'}],"
             "'vec':[1,0],'other':{'x':1}}");
    put("2", "{'name':'Maximilian','breed':['puli','mudi'],'age':[5,1],'weight':-2.5,'price':10.5,"
             "'chip':18446744073709551615,'ok':false,'exif':{'date':'2020-02-03T23:30:00Z',"
             "'location':[16.37,48.21]},'vec':[0,1]}");
    put("3", "{'name':'Rex','breed':'puli','age':7,'weight':0.1,'chip':9223372036854775808,"
             "'exif.date':1580774400000,'vec':[0.6,0.8]}");
    put("4", "{'name':'gone','breed':'puli','age':4,'vec':[1,0]}");
    put("5", "{'name':'Fido','breed':'Puli','weight':20,'exif':{'location':'40.71, -74.00'}}");
    put_doc(dogs, "4", NULL);
    refresh(dogs);
    return 0;
}

static int teardown(void **state)
{
    fixture_close(&fixture);
    return 0;
}

static void ask(const char *body, struct answer *answer)
{
    char *text = quoted(body);
    search_index(dogs, text, answer);
    free(text);
}

/* A query (or a whole body when it starts with '{') and the ids it gives, in order. */
static void expect_ids(const char *query, const char *ids)
{
    struct answer answer;
    struct vz_buf body = {0};
    if (strncmp(query, "{{", 2) == 0)
        vz_buf_append_str(&body, query + 1);
    else
        vz_buf_printf(&body, "{'query':%s}", query);
    ask(body.data, &answer);
    if (strcmp(ids_of(&answer), ids) != 0)
        fail_msg("%s\n  gives %s, expected %s", body.data, ids_of(&answer), ids);
    vz_buf_deinit(&body);
    answer_deinit(&answer);
}

static void test_matches(void **state)
{
    static const struct {
        const char *query, *ids;
    } cases[] = {
        {"{'match_all':{}}", "1,2,3,5"},
        {"{'match_none':{}}", ""},
        {"{'term':{'kind':'puli'}}", "2,3"},
        {"{'term':{'breed':{'value':'PULI','case_insensitive':true}}}", "2,3,5"},
        {"{'term':{'_id':'3'}}", "3"},
        {"{'terms':{'_id':['5','1','4','9']}}", "1,5"},
        {"{'term':{'_index':'dogs'}}", "1,2,3,5"},
        {"{'term':{'_index':'cats'}}", ""},
        {"{'term':{'nothing':1}}", ""},
        {"{'term':{'name.raw':'Luigi'}}", "1"},
        {"{'term':{'name.raw':'Maximilian'}}", ""}, /* longer than ignore_above */
        {"{'exists':{'field':'name.raw'}}", "1,3,5"},
        {"{'exists':{'field':'name'}}", "1,2,3,5"},
        {"{'exists':{'field':'exif'}}", "1,2,3,5"},
        {"{'exists':{'field':'exif.d*'}}", "1,2,3"},
        {"{'exists':{'field':'vec'}}", "1,2,3"},
        {"{'exists':{'field':'photos'}}", ""}, /* nested documents are not this document */
        {"{'term':{'photos.url':'a.png'}}", ""},
        {"{'term':{'age':'3'}}", "1"},
        {"{'term':{'age':3.0}}", "1"},
        {"{'term':{'age':3.5}}", ""},
        {"{'term':{'age':99999999999}}", ""},
        {"{'terms':{'age':[1,7,3.5]}}", "2,3"},
        {"{'range':{'age':{'gt':3.5}}}", "2,3"},
        {"{'range':{'age':{'lt':3.5}}}", "1,2"},
        {"{'range':{'age':{'gte':3,'lt':5}}}", "1"},
        {"{'range':{'age':{'gt':9223372036854775807}}}", ""},
        {"{'range':{'age':{'lte':1e30}}}", "1,2,3"},
        {"{'range':{'age':{'gte':-1e30,'lt':null}}}", "1,2,3"},
        {"{'range':{'weight':{'gte':0.1,'lte':0.1}}}", "3"}, /* 0.1 as a float */
        {"{'term':{'weight':0.1}}", "3"},
        {"{'range':{'weight':{'gt':0.1}}}", "1,5"},
        {"{'range':{'weight':{'lt':0}}}", "2"},
        {"{'term':{'chip':18446744073709551615}}", "2"},
        {"{'term':{'chip':'18446744073709551615'}}", "2"},
        {"{'range':{'chip':{'gte':9223372036854775808}}}", "2,3"},
        {"{'range':{'chip':{'gt':-5,'lt':2}}}", "1"},
        {"{'range':{'chip':{'lt':-5}}}", ""},
        {"{'term':{'ok':'true'}}", "1"},
        {"{'terms':{'ok':[true,false]}}", "1,2"},
        {"{'match':{'breed':'jack russel'}}", "1"},
        {"{'match':{'age':{'query':'x','lenient':true}}}", ""},
        {"{'prefix':{'breed':'pu'}}", "2,3"},
        {"{'prefix':{'breed':{'value':'PU','case_insensitive':true}}}", "2,3,5"},
        {"{'wildcard':{'breed':'*u?i'}}", "2,3,5"},
        {"{'wildcard':{'breed':{'wildcard':'j*l'}}}", "1"},
        {"{'wildcard':{'breed':'jack\\\\ *'}}", "1"},
        {"{'wildcard':{'breed':'puli\\\\*'}}", ""},
        {"{'range':{'breed':{'gte':'mudi','lt':'puli'}}}", "2"},
        /* dates */
        {"{'term':{'exif.date':'2020-02-03'}}", "1,2"},
        {"{'range':{'exif.date':{'gt':'2020-02-03'}}}", "3"},
        {"{'range':{'exif.date':{'gte':'2020-02-03||/d','lt':'2020-02-03||+1d'}}}", "1,2"},
        {"{'range':{'exif.date':{'gte':'2020-02-04','time_zone':'+01:00'}}}", "2,3"},
        {"{'range':{'exif.date':{'gte':'2020-02-04T00:00:00Z','time_zone':'+01:00'}}}", "3"},
        {"{'range':{'exif.date':{'gte':1580774400000,'time_zone':'+01:00'}}}", "3"},
        {"{'range':{'exif.date':{'lte':'03/02/2020','format':'dd/MM/yyyy'}}}", "1,2"},
        {"{'range':{'exif.date':{'lt':'now','gt':'now-1000y'}}}", "1,2,3"},
        {"{'term':{'seen':'2021/05/06'}}", "1"},
        /* places */
        {"{'geo_distance':{'distance':'250km','exif.location':{'lat':47.5,'lon':19.0}}}", "1,2"},
        {"{'geo_distance':{'distance':'200km','exif.location':'47.5,19.0'}}", "1"},
        {"{'geo_bounding_box':{'exif.location':{'top_left':{'lat':60,'lon':10},"
         "'bottom_right':{'lat':40,'lon':30}}}}",
         "1,2"},
        {"{'geo_bounding_box':{'exif.location':{'top':41,'left':-80,'bottom':40,'right':-70}}}",
         "5"},
        {"{'geo_distance':{'distance':'1km','none':[0,0],'ignore_unmapped':true}}", ""},
        /* compounds; ids come by score, then as they were written */
        {"{'bool':{}}", "1,2,3,5"},
        {"{'bool':{'must_not':{'term':{'breed':'puli'}}}}", "1,5"},
        {"{'bool':{'should':[{'term':{'age':3}},{'term':{'age':7}}],'minimum_should_match':2}}",
         ""},
        {"{'bool':{'should':[{'term':{'age':3}},{'term':{'age':7}}],'minimum_should_match':'-1'}}",
         "1,3"},
        {"{'bool':{'should':[{'term':{'age':3}},{'exists':{'field':'ok'}},{'match_all':{}}],"
         "'minimum_should_match':'67%'}}",
         "1,2"},
        {"{'bool':{'filter':{'match_all':{}},'minimum_should_match':1}}", ""},
        {"{'boosting':{'positive':{'match_all':{}},'negative':{'term':{'age':3}},"
         "'negative_boost':0.5}}",
         "2,3,5,1"},
        {"{'bool':{'must':{'match_all':{}},'should':{'ids':{'values':['5']}}}}", "5,1,2,3"},
    };
    for (size_t i = 0; i < VZ_COUNT_OF(cases); i++)
        expect_ids(cases[i].query, cases[i].ids);
}

static void expect_score(const char *body, double expected)
{
    struct answer answer;
    ask(body, &answer);
    assert_true(answer.result.hit_count >= 1);
    assert_true(answer.result.hits[0].has_score);
    if (fabs((double)answer.result.hits[0].score - expected) > 1e-6)
        fail_msg("%s\n  scores %.9g, expected %.9g", body, (double)answer.result.hits[0].score,
                 expected);
    assert_true(answer.result.has_max_score);
    assert_true(answer.result.max_score == answer.result.hits[0].score);
    answer_deinit(&answer);
}

static void test_scores(void **state)
{
    /* 4 live documents have a breed, 5 of them together, 2 are puli */
    double tf = 2.2 / (1 + 1.2 * (0.25 + 0.75 / (5.0 / 4)));
    double puli = tf * log(1 + (4 - 2 + 0.5) / (2 + 0.5));
    double jack = tf * log(1 + (4 - 1 + 0.5) / (1 + 0.5));
    expect_score("{}", 1);
    expect_score("{'query':{'match_all':{'boost':2.5}}}", 2.5);
    expect_score("{'query':{'term':{'breed':'puli'}}}", puli);
    expect_score("{'query':{'match':{'breed':{'query':'jack russel','boost':2}}}}", 2 * jack);
    expect_score("{'query':{'terms':{'breed':['puli']}}}", 1);
    expect_score("{'query':{'term':{'age':3}}}", 1);
    expect_score("{'query':{'bool':{'filter':{'term':{'breed':'puli'}}}}}", 0);
    expect_score("{'query':{'constant_score':{'filter':{'term':{'breed':'puli'}},'boost':1.5}}}",
                 1.5);
    expect_score("{'query':{'bool':{'must':[{'term':{'breed':'jack russel'}},{'match_all':{}}],"
                 "'should':[{'term':{'age':3}}],'boost':2}}}",
                 2 * (jack + 1 + 1));
    expect_score("{'query':{'dis_max':{'queries':[{'term':{'breed':'jack russel'}},"
                 "{'term':{'age':3}}],'tie_breaker':0.5}}}",
                 jack + 0.5);
    expect_score("{'knn':{'field':'vec','query_vector':[2,0],'k':1,'num_candidates':10}}", 1);
    expect_score("{'knn':{'field':'vec','query_vector':[3,4],'k':1,'num_candidates':10,"
                 "'boost':0.5}}",
                 0.5);
    expect_score(
        "{'knn':{'field':'vec','query_vector':[1,0],'k':3,'num_candidates':10,"
        "'boost':0.5,'filter':{'ids':{'values':['3']}}},'query':{'term':{'breed':'puli'}}}",
        puli + 0.5 * 0.8);
    expect_score("{'query':{'knn':{'field':'vec','query_vector':[1,0],'boost':3}}}", 3);
    expect_score("{'sort':'age','track_scores':true}", 1);
}

static void test_counts(void **state)
{
    static const struct {
        const char *body;
        unsigned total, hits;
        bool tracked, more;
    } cases[] = {
        {"{}", 4, 4, true, false},
        {"{'size':2}", 4, 2, true, false},
        {"{'size':0}", 4, 0, true, false},
        {"{'from':3}", 4, 1, true, false},
        {"{'from':30}", 4, 0, true, false},
        {"{'track_total_hits':2}", 2, 4, true, true},
        {"{'track_total_hits':4}", 4, 4, true, false},
        {"{'track_total_hits':false}", 4, 4, false, false},
        {"{'knn':{'field':'vec','query_vector':[1,0],'k':2,'num_candidates':5}}", 2, 2, true,
         false},
        {"{'knn':{'field':'vec','query_vector':[1,0]},'size':1}", 1, 1, true, false},
        {"{'knn':{'field':'vec','query_vector':[1,0],'similarity':0.5}}", 2, 2, true, false},
        {"{'knn':{'field':'none','query_vector':[1,0]}}", 0, 0, true, false},
        {"{'knn':{'field':'vec','query_vector':[1,0],'k':1,'num_candidates':5},"
         "'query':{'ids':{'values':['1','2']}}}",
         2, 2, true, false},
        {"{'terminate_after':3}", 3, 3, true, false},
        {"{'terminate_after':2,'knn':{'field':'vec','query_vector':[1,0]}}", 2, 2, true, false},
        {"{'min_score':1.5}", 0, 0, true, false},
        {"{'timeout':'10s','stored_fields':'_none_','stats':['x'],'aggs':{}}", 4, 4, true, false},
    };
    for (size_t i = 0; i < VZ_COUNT_OF(cases); i++) {
        struct answer answer;
        ask(cases[i].body, &answer);
        const struct vz_search_result *result = &answer.result;
        if (result->hit_count != cases[i].hits || result->track_total != cases[i].tracked ||
            (result->track_total &&
             (result->total != cases[i].total || result->total_is_lower_bound != cases[i].more)))
            fail_msg("%s: %zu hits, total %llu", cases[i].body, result->hit_count,
                     (unsigned long long)result->total);
        assert_false(result->timed_out);
        answer_deinit(&answer);
    }
}

/* What document 1 (or the first hit) shows. */
static void expect_source(const char *options, const char *expected)
{
    struct answer answer;
    struct vz_buf body = {0};
    vz_buf_printf(&body, "{'query':{'ids':{'values':['3']}}%s%s}", *options ? "," : "", options);
    ask(body.data, &answer);
    char *wanted = quoted(expected);
    assert_slice(answer.result.hits[0].source, wanted);
    free(wanted);
    vz_buf_deinit(&body);
    answer_deinit(&answer);
}

static void test_source(void **state)
{
    expect_source("", "{'name':'Rex','breed':'puli','age':7,'weight':0.1,"
                      "'chip':9223372036854775808,'exif.date':1580774400000,'vec':[0.6,0.8]}");
    expect_source("'_source':false", "");
    expect_source("'stored_fields':['_none_']", "");
    expect_source("'stored_fields':['name'],'_source':['age']", "{'age':7}");
    expect_source(
        "'_source':true,'fields':['age']",
        "{'name':'Rex','breed':'puli','age':7,"
        "'weight':0.1,'chip':9223372036854775808,'exif.date':1580774400000,'vec':[0.6,0.8]}");
    expect_source("'_source':'breed'", "{'breed':'puli'}");
    expect_source("'_source':['age','v*']", "{'age':7,'vec':[0.6,0.8]}");
    expect_source("'_source':{'includes':['a*','vec'],'excludes':['vec']}", "{'age':7}");
    expect_source("'_source':{'excludes':['vec','ch*','exif*','name','weight']}",
                  "{'breed':'puli','age':7}");
    expect_source("'_source':{'includes':['vec','age'],'exclude_vectors':true}", "{'age':7}");
    expect_source("'_source':{'includes':['nothing']}", "{}");
    /* never a null where a vector was */
    struct answer answer;
    ask("{'_source':{'excludes':['vec']},'fields':['vec']}", &answer);
    for (size_t i = 0; i < answer.result.hit_count; i++)
        assert_null(
            memmem(answer.result.hits[i].source.ptr, answer.result.hits[i].source.len, "null", 4));
    assert_slice(answer.result.hits[0].fields, "{\"vec\":[1.0,0.0]}");
    assert_slice(answer.result.hits[3].fields, "");
    answer_deinit(&answer);
}

static void expect_fields(const char *id, const char *options, const char *expected)
{
    struct answer answer;
    struct vz_buf body = {0};
    vz_buf_printf(&body, "{'query':{'ids':{'values':['%s']}},'_source':false,%s}", id, options);
    ask(body.data, &answer);
    char *wanted = quoted(expected);
    assert_slice(answer.result.hits[0].fields, wanted);
    assert_int_equal(answer.result.hits[0].source.len, 0);
    free(wanted);
    vz_buf_deinit(&body);
    answer_deinit(&answer);
}

static void test_fields(void **state)
{
    expect_fields("1", "'fields':['age','br*','nothing']", "{'breed':['jack russel'],'age':[3]}");
    expect_fields("1", "'fields':['kind']", "{'kind':['jack russel']}");
    expect_fields("1", "'fields':['name*']", "{'name':['Luigi'],'name.raw':['Luigi']}");
    expect_fields("2", "'fields':['name*']", "{'name':['Maximilian']}");
    expect_fields("2", "'fields':['age','breed','ok','weight']",
                  "{'breed':['puli','mudi'],'age':[5,1],'weight':[-2.5],'ok':[false]}");
    expect_fields("1", "'fields':['exif.*']",
                  "{'exif.date':['2020-02-03T10:00:00.000Z'],"
                  "'exif.location':[{'coordinates':[19.0,47.5],'type':'Point'}]}");
    expect_fields("2", "'fields':['exif.location']",
                  "{'exif.location':[{'coordinates':[16.37,48.21],'type':'Point'}]}");
    expect_fields("3", "'fields':[{'field':'exif.date','format':'epoch_millis'}]",
                  "{'exif.date':['1580774400000']}");
    expect_fields("3", "'fields':['exif.date']", "{'exif.date':['2020-02-04T00:00:00.000Z']}");
    expect_fields("1", "'fields':['seen']", "{'seen':['2021/05/06']}");
    expect_fields("1", "'fields':['photos.*']",
                  "{'photos':[{'url':['a.png'],"
                  "'taken':['2020-01-01T00:00:00.000Z']},{'url':['b.png']}]}");
    expect_fields("2",
                  "'docvalue_fields':['age','breed','ok',{'field':'exif.date','format':"
                  "'yyyy'},'chip']",
                  "{'breed':['mudi','puli'],'age':[1,5],'chip':[18446744073709551615],"
                  "'ok':[false],'exif.date':['2020']}");
    expect_fields("1", "'docvalue_fields':['exif.location','price']",
                  "{'price':[10.5],'exif.location':['47.5, 19.0']}");
}

static void expect_sort(const char *sort, const char *ids, const char *first, const char *last)
{
    struct answer answer;
    struct vz_buf body = {0};
    vz_buf_printf(&body, "{'sort':%s}", sort);
    ask(body.data, &answer);
    if (strcmp(ids_of(&answer), ids) != 0)
        fail_msg("%s gives %s, expected %s", sort, ids_of(&answer), ids);
    char *wanted = quoted(first);
    assert_slice(answer.result.hits[0].sort, wanted);
    free(wanted);
    wanted = quoted(last);
    assert_slice(answer.result.hits[answer.result.hit_count - 1].sort, wanted);
    free(wanted);
    vz_buf_deinit(&body);
    answer_deinit(&answer);
}

static void test_sort_values(void **state)
{
    expect_sort("'age'", "2,1,3,5", "[1]", "[9223372036854775807]");
    expect_sort("{'age':'desc'}", "3,2,1,5", "[7]", "[-9223372036854775808]");
    expect_sort("{'age':{'order':'desc','missing':'_first'}}", "5,3,2,1", "[9223372036854775807]",
                "[3]");
    expect_sort("{'age':{'order':'asc','mode':'max','missing':4}}", "1,5,2,3", "[3]", "[7]");
    expect_sort("['price','_doc']", "1,2,3,5", "[10.5,0]", "['Infinity',4]");
    expect_sort("{'weight':'desc'}", "5,1,3,2", "[20.0]", "[-2.5]");
    expect_sort("['breed']", "5,1,2,3", "['Puli']", "['puli']");
    expect_sort("{'name.raw':{'missing':'Fz'}}", "5,2,1,3", "['Fido']", "['Rex']");
    expect_sort("{'name.raw':'desc'}", "3,1,5,2", "['Rex']", "[null]");
    expect_sort("{'ok':'asc'}", "2,1,3,5", "[0]", "[9223372036854775807]");
    expect_sort("{'chip':'desc'}", "2,3,1,5", "[18446744073709551615]", "[0]");
    expect_sort("{'exif.date':'asc'}", "1,2,3,5", "[1580724000000]", "[9223372036854775807]");
    expect_sort("[{'exif.date':{'order':'desc','format':'yyyy-MM-dd','missing':'_last'}}]",
                "3,2,1,5", "['2020-02-04']", "[-9223372036854775808]");
    expect_sort("[{'nothing':{'unmapped_type':'long'}},{'age':'desc'}]", "3,2,1,5",
                "[9223372036854775807,7]", "[9223372036854775807,-9223372036854775808]");
    expect_sort("['_score','_doc']", "1,2,3,5", "[1.0,0]", "[1.0,4]");
    expect_sort("{'_geo_distance':{'exif.location':'47.5,19.0','unit':'km','order':'desc'}}",
                "3,5,2,1", "['Infinity']", "[0.0]");
    struct answer answer;
    ask("{'sort':[{'_score':'desc'}]}", &answer); /* no sort at all */
    assert_true(answer.result.hits[0].has_score);
    assert_int_equal(answer.result.hits[0].sort.len, 0);
    answer_deinit(&answer);
    ask("{'sort':['age']}", &answer);
    assert_false(answer.result.hits[0].has_score);
    assert_false(answer.result.has_max_score);
    answer_deinit(&answer);
    ask("{'sort':['age','_score']}", &answer); /* shown, but no largest one is known */
    assert_true(answer.result.hits[0].has_score);
    assert_false(answer.result.has_max_score);
    answer_deinit(&answer);
    ask("{'sort':[{'exif.date':{'order':'asc','format':'yyyy-MM-dd'}}],"
        "'search_after':['2020-02-03']}",
        &answer);
    assert_string_equal(ids_of(&answer), "1,2,3,5");
    answer_deinit(&answer);
    ask("{'sort':['name.raw'],'search_after':['Luigi']}", &answer);
    assert_string_equal(ids_of(&answer), "3,2");
    answer_deinit(&answer);
}

static void test_meta(void **state)
{
    struct answer answer;
    put("6", "{'age':1}");
    put("6", "{'age':2}");
    refresh(dogs);
    ask("{'query':{'ids':{'values':['6']}},'version':true,'seq_no_primary_term':true}", &answer);
    assert_true(answer.result.with_version && answer.result.with_seq_no);
    assert_int_equal(answer.result.hits[0].version, 2);
    assert_int_equal(answer.result.hits[0].seq_no, 7);
    assert_slice(answer.result.hits[0].index, "dogs");
    answer_deinit(&answer);
    put_doc(dogs, "6", NULL);
    refresh(dogs);
}

/* No index, an empty index, an index without vectors yet. */
static void test_empty(void **state)
{
    struct answer answer;
    assert_int_equal(
        search_targets(NULL, 0, "{\"knn\":{\"field\":\"v\",\"query_vector\":[1]}}", NULL, &answer),
        VZ_OK);
    assert_int_equal(answer.result.total, 0);
    assert_int_equal(answer.result.hit_count, 0);
    answer_deinit(&answer);
    struct vz_index *empty =
        fixture_create(&fixture, "empty",
                       "{\"mappings\":{\"properties\":{\"v\":{\"type\":\"dense_vector\"},"
                       "\"b\":{\"type\":\"keyword\"}}}}");
    struct vz_search_target targets[2] = {{.index = empty}, {.index = dogs}};
    static const char *const bodies[] = {
        "{}",
        "{\"knn\":{\"field\":\"v\",\"query_vector\":[1,2,3]}}",
        "{\"query\":{\"term\":{\"b\":\"x\"}},\"sort\":\"b\"}",
        "{\"query\":{\"bool\":{\"must_not\":{\"exists\":{\"field\":\"b\"}},"
        "\"should\":[{\"knn\":{\"field\":\"v\",\"query_vector\":[1]}}]}}}",
    };
    for (size_t i = 0; i < VZ_COUNT_OF(bodies); i++) {
        assert_int_equal(search_targets(targets, 1, bodies[i], NULL, &answer), VZ_OK);
        assert_int_equal(answer.result.total, 0);
        assert_false(answer.result.has_max_score);
        answer_deinit(&answer);
    }
    assert_int_equal(search_targets(targets, 2,
                                    "{\"sort\":[{\"b\":{\"unmapped_type\":\"keyword\"}}]}", NULL,
                                    &answer),
                     VZ_OK);
    assert_int_equal(answer.result.total, 4);
    answer_deinit(&answer);
}

/* An alias shows part of an index; knn looks for its k among that part, whatever its own filter. */
static void test_alias(void **state)
{
    static const struct {
        const char *filter, *body, *ids;
    } cases[] = {
        {"{'ids':{'values':['2','3']}}", "{}", "2,3"},
        {"{'ids':{'values':['2','3']}}",
         "{'query':{'match_all':{}},'post_filter':{'term':{'age':7}}}", "3"},
        {"{'ids':{'values':['2','3']}}",
         "{'knn':{'field':'vec','query_vector':[1,0],'k':1,'num_candidates':9}}", "3"},
        {"{'ids':{'values':['2','3']}}",
         "{'knn':{'field':'vec','query_vector':[1,0],'k':2,'num_candidates':9,"
         "'filter':{'range':{'age':{'lte':5}}}}}",
         "2"},
        {"{'ids':{'values':['2','3']}}",
         "{'query':{'bool':{'should':{'knn':{'field':'vec','query_vector':[1,0],"
         "'filter':{'exists':{'field':'ok'}}}}}}}",
         "2"},
        {"{'match_none':{}}", "{'knn':{'field':'vec','query_vector':[1,0]}}", ""},
        {"{'term':{'kind':'jack russel'}}", "{'sort':'age'}", "1"},
    };
    for (size_t i = 0; i < VZ_COUNT_OF(cases); i++) {
        char *filter = quoted(cases[i].filter), *body = quoted(cases[i].body);
        struct vz_search_target target = {.index = dogs, .alias_filter = vz_slice_from(filter)};
        struct answer answer;
        search_targets(&target, 1, body, NULL, &answer);
        must(answer.status, &answer.err);
        if (strcmp(ids_of(&answer), cases[i].ids) != 0)
            fail_msg("%s through %s gives %s", body, filter, ids_of(&answer));
        answer_deinit(&answer);
        free(filter);
        free(body);
    }
    struct vz_search_target broken = {.index = dogs, .alias_filter = VZ_SLICE("{\"bogus\":{}}")};
    struct answer answer;
    assert_int_equal(search_targets(&broken, 1, "{}", NULL, &answer), VZ_BAD_QUERY);
    answer_deinit(&answer);
}

/* Past its time a search says so and gives what it has. */
static void test_timeout(void **state)
{
    struct answer answer;
    ask("{'timeout':'0nanos','query':{'bool':{'must':[{'term':{'breed':'puli'}}]}}}", &answer);
    assert_true(answer.result.timed_out);
    assert_int_equal(answer.result.hit_count, 0);
    answer_deinit(&answer);
}

/* Scripts work for long: over every document before anything is looked for, and within one. */
static void test_timeout_of_scripts(void **state)
{
    static const char *const bodies[] = {
        "{'timeout':'1nanos','runtime_mappings':{'x':{'type':'long','script':'emit(1)'}},"
        "'aggs':{'m':{'max':{'field':'x'}},'t':{'terms':{'field':'breed'}}},'explain':true}",
        "{'timeout':'1nanos','runtime_mappings':{'x':{'type':'long','on_script_error':'continue',"
        "'script':'int x = 0; for (int i = 0; i < 30000; i++) { x += i } emit(x)'}},"
        "'retriever':{'rrf':{'retrievers':[{'standard':{'query':{'match_all':{}}}},"
        "{'standard':{'query':{'range':{'x':{'gte':0}}}}}]}}}",
        "{'timeout':'1nanos','runtime_mappings':{'x':{'type':'keyword','script':'emit(String."
        "valueOf(7))'}},"
        "'query':{'term':{'x':'7'}},'collapse':{'field':'breed'},'profile':true}",
        "{'timeout':'1nanos','sort':{'_script':{'type':'number','script':'int x = 0; for (int i = "
        "0; i < 30000; i++) { x += i } return 0'}}}",
        "{'timeout':'1nanos','sort':{'_script':{'type':'string','script':'int x = 0; for (int i = "
        "0; i < 30000; i++) { x += i } return String.valueOf(7)'}},'collapse':{'field':'breed'}}",
        "{'timeout':'1nanos','query':{'script_score':{'query':{'match_all':{}},'script':'int x = "
        "0; for (int i = 0; i < 30000; i++) { x += i } return 1'}}}",
        "{'timeout':'1nanos','query':{'script':{'script':'int x = 0; for (int i = 0; i < 30000; "
        "i++) { x += i } return true'}}}",
    };
    for (size_t i = 0; i < VZ_COUNT_OF(bodies); i++) {
        struct answer answer;
        ask(bodies[i], &answer);
        if (answer.status != VZ_OK || !answer.result.timed_out || answer.result.hit_count)
            fail_msg("%s: %s, %zu hits", bodies[i], answer.err.text, answer.result.hit_count);
        answer_deinit(&answer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matches),
        cmocka_unit_test(test_scores),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_source),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_sort_values),
        cmocka_unit_test(test_meta),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_alias),
        cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_timeout_of_scripts),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
