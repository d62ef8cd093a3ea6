/* _analyze: what an analyzer, a field's or one put together in the request, makes of a text. */
#include "rest/parts.h"
#include "text/analysis.h"

#define MAX_TOKENS 10000 /* index.analyze.max_token_count */
#define MAX_STAGES 128
#define MAX_TEXTS 1024

/* One stage of explain: what it made of each text, gathered over all texts. */
struct stage {
    enum vz_analysis_stage kind;
    struct vz_slice name;
    struct vz_buf texts;  /* JSON values, commas between */
    struct vz_buf tokens; /* the same */
};

struct analyze {
    struct vz_call *call;
    const struct vz_analyzer *analyzer;
    bool explain;
    struct vz_json attributes; /* or missing */
    int64_t position, offset;  /* where the current text starts */
    size_t token_count;
    struct stage stages[MAX_STAGES];
    size_t stage_count, at_stage;
};

/* ---- which analyzer ----------------------------------------------------------------------------
 */

/* The index's analysis settings, compiled; built-in ones alone without an index. */
static bool open_analysis(struct vz_call *call, struct vz_index *index,
                          struct vz_analysis **analysis)
{
    struct vz_error err = {0};
    struct vz_buf text = {0};
    struct vz_json_doc *doc = NULL;
    struct vz_json root, settings = {0};
    struct vz_analysis_options options = {0};
    int64_t number;
    if (index) {
        vz_index_print_settings(index, &text);
        if (vz_json_parse(vz_buf_slice(&text), &doc, &root, NULL) == VZ_OK) {
            struct vz_json value;
            vz_json_get_path(root, "index.analysis", &settings);
            if (vz_json_get_path(root, "index.max_ngram_diff", &value) &&
                vz_json_as_int(value, &number))
                options.max_ngram_diff = (unsigned)number;
            if (vz_json_get_path(root, "index.max_shingle_diff", &value) &&
                vz_json_as_int(value, &number))
                options.max_shingle_diff = (unsigned)number;
        }
    }
    enum vz_status status = vz_analysis_new(settings, &options, analysis, &err);
    vz_json_free(doc);
    vz_buf_deinit(&text);
    return status == VZ_OK || vz_call_fail_error(call, &err, VZ_AT_SETTINGS);
}

static bool bad(struct vz_call *call, const char *format, struct vz_slice name)
{
    struct vz_slice text = vz_call_format(call, format, VZ_S(name));
    return vz_call_fail(call, 400, "illegal_argument_exception", "%.*s", VZ_S(text));
}

/* The analyzer of a mapped field; others take the index's default. */
static bool analyzer_of_field(struct vz_call *call, struct vz_index *index,
                              struct vz_analysis *analysis, struct vz_slice name,
                              const struct vz_analyzer **analyzer)
{
    if (!index)
        return vz_call_fail(call, 400, "illegal_argument_exception",
                            "analysis based on a specific field requires an index");
    struct vz_mapping *mapping = vz_index_mapping(index);
    const struct vz_field *field = vz_mapping_find(mapping, name);
    bool is_text = !field || field->type == VZ_FIELD_TEXT;
    bool is_keyword = field && field->type == VZ_FIELD_KEYWORD;
    /* By name in the analysis at hand: the mapping's own goes with it. */
    struct vz_slice found = VZ_SLICE("default");
    if (is_keyword)
        found = field->normalizer ? vz_analyzer_name(field->normalizer) : VZ_SLICE("keyword");
    else if (field && field->analyzer)
        found = vz_analyzer_name(field->analyzer);
    found = vz_arena_copy(call->arena, found);
    bool normalizes = is_keyword && field->normalizer;
    vz_mapping_release(mapping);
    if (!is_text && !is_keyword)
        return bad(call,
                   "Can't process field [%.*s], Analysis requests are only supported on tokenized "
                   "fields",
                   name);
    *analyzer = normalizes ? vz_analysis_normalizer(analysis, found)
                           : vz_analysis_analyzer(analysis, found);
    if (!*analyzer)
        *analyzer = vz_analysis_analyzer(analysis, VZ_SLICE("default"));
    return true;
}

static bool has(struct vz_json body, const char *key, struct vz_json *value)
{
    return vz_json_get(body, key, value) && vz_json_type(*value) != VZ_JSON_NULL;
}

/* *custom: to be freed. */
static bool choose(struct vz_call *call, struct vz_index *index, struct vz_analysis *analysis,
                   struct vz_json body, const struct vz_analyzer **analyzer,
                   struct vz_analyzer **custom)
{
    struct vz_json value, ignored;
    struct vz_error err = {0};
    bool parts = has(body, "tokenizer", &ignored) || has(body, "filter", &ignored) ||
                 has(body, "char_filter", &ignored);
    if (has(body, "analyzer", &value)) {
        struct vz_slice name = vz_json_string(value);
        if (parts)
            return vz_call_fail(call, 400, "illegal_argument_exception",
                                "cannot define extra components on a named analyzer");
        *analyzer = vz_analysis_analyzer(analysis, name);
        return *analyzer || bad(call,
                                index ? "failed to find analyzer [%.*s]"
                                      : "failed to find global analyzer [%.*s]",
                                name);
    }
    if (has(body, "normalizer", &value)) {
        struct vz_slice name = vz_json_string(value);
        if (parts)
            return vz_call_fail(call, 400, "illegal_argument_exception",
                                "cannot define extra components on a named normalizer");
        if (!index)
            return vz_call_fail(call, 400, "illegal_argument_exception",
                                "analysis based on a normalizer requires an index");
        *analyzer = vz_analysis_normalizer(analysis, name);
        return *analyzer || bad(call, "failed to find normalizer under [%.*s]", name);
    }
    if (parts) {
        if (vz_analyzer_custom(analysis, body, custom, &err) != VZ_OK)
            return vz_call_fail_error(call, &err, VZ_AT_REQUEST);
        *analyzer = *custom;
        return true;
    }
    if (has(body, "field", &value))
        return analyzer_of_field(call, index, analysis, vz_json_string(value), analyzer);
    *analyzer = vz_analysis_analyzer(analysis, VZ_SLICE("default"));
    return true;
}

/* ---- printing ----------------------------------------------------------------------------------
 */

static bool wants(const struct analyze *a, const char *name)
{
    if (vz_json_type(a->attributes) != VZ_JSON_ARRAY)
        return strcmp(name, "keyword") != 0; /* shown when asked for */
    struct vz_json_iter it = vz_json_iterate(a->attributes);
    struct vz_json item;
    while (vz_json_next(&it, NULL, &item))
        if (vz_slice_is(vz_json_string(item), name))
            return true;
    return false;
}

static void print_extended(const struct analyze *a, const struct vz_token *token,
                           struct vz_json_writer *w)
{
    if (wants(a, "keyword"))
        vz_json_field_bool(w, "keyword", token->keyword);
    if (wants(a, "bytes")) {
        struct vz_buf bytes = {0};
        vz_buf_append_char(&bytes, '[');
        for (size_t i = 0; i < token->text.len; i++)
            vz_buf_printf(&bytes, "%s%x", i ? " " : "", (unsigned char)token->text.ptr[i]);
        vz_buf_append_char(&bytes, ']');
        vz_json_field_string(w, "bytes", vz_buf_slice(&bytes));
        vz_buf_deinit(&bytes);
    }
    if (wants(a, "positionLength"))
        vz_json_field_int(w, "positionLength", token->position_length);
    if (wants(a, "termFrequency"))
        vz_json_field_int(w, "termFrequency", 1);
}

static void print_token(const struct analyze *a, const struct vz_token *token, bool extended,
                        struct vz_json_writer *w)
{
    vz_json_begin_object(w);
    vz_json_field_string(w, "token", token->text);
    vz_json_field_int(w, "start_offset", a->offset + token->start);
    vz_json_field_int(w, "end_offset", a->offset + token->end);
    vz_json_field_str(w, "type", vz_token_type_name(token->type));
    vz_json_field_int(w, "position", a->position + token->position);
    if (extended)
        print_extended(a, token, w);
    else if (token->position_length > 1)
        vz_json_field_int(w, "positionLength", token->position_length);
    vz_json_end_object(w);
}

/* Appends to a list under construction. */
static void append_tokens(const struct analyze *a, const struct vz_tokens *tokens, bool extended,
                          struct vz_buf *out)
{
    for (size_t i = 0; i < tokens->count; i++) {
        if (out->len)
            vz_buf_append_char(out, ',');
        struct vz_json_writer w = vz_json_writer_on(out);
        print_token(a, &tokens->items[i], extended, &w);
    }
}

/* Called after each stage of one text. */
static void watch(void *context, enum vz_analysis_stage kind, struct vz_slice name,
                  struct vz_slice text, const struct vz_tokens *tokens)
{
    struct analyze *a = context;
    if (a->at_stage == MAX_STAGES)
        return;
    struct stage *stage = &a->stages[a->at_stage++];
    if (a->at_stage > a->stage_count) {
        a->stage_count = a->at_stage;
        *stage = (struct stage){.kind = kind, .name = name};
    }
    if (kind == VZ_STAGE_CHAR_FILTER) {
        if (stage->texts.len)
            vz_buf_append_char(&stage->texts, ',');
        struct vz_json_writer w = vz_json_writer_on(&stage->texts);
        vz_json_put_string(&w, text);
    } else {
        append_tokens(a, tokens, true, &stage->tokens);
    }
}

static void print_list(struct vz_json_writer *w, const char *key, const struct vz_buf *items)
{
    vz_json_key(w, key);
    vz_json_begin_array(w);
    if (items->len)
        vz_json_put_raw(w, vz_buf_slice(items));
    vz_json_end_array(w);
}

static void print_stages(struct analyze *a, struct vz_json_writer *w, enum vz_analysis_stage kind,
                         const char *key)
{
    bool any = false;
    for (size_t i = 0; i < a->stage_count; i++)
        any |= a->stages[i].kind == kind;
    if (!any)
        return;
    vz_json_key(w, key);
    if (kind != VZ_STAGE_TOKENIZER)
        vz_json_begin_array(w);
    for (size_t i = 0; i < a->stage_count; i++) {
        struct stage *stage = &a->stages[i];
        if (stage->kind != kind)
            continue;
        vz_json_begin_object(w);
        vz_json_field_string(w, "name", stage->name);
        if (kind == VZ_STAGE_CHAR_FILTER)
            print_list(w, "filtered_text", &stage->texts);
        else
            print_list(w, "tokens", &stage->tokens);
        vz_json_end_object(w);
    }
    if (kind != VZ_STAGE_TOKENIZER)
        vz_json_end_array(w);
}

static void print_answer(struct analyze *a, const struct vz_buf *tokens)
{
    struct vz_json_writer *w = &a->call->w;
    bool custom = vz_analyzer_is_custom(a->analyzer);
    vz_json_begin_object(w);
    if (!a->explain) {
        print_list(w, "tokens", tokens);
    } else {
        vz_json_key(w, "detail");
        vz_json_begin_object(w);
        vz_json_field_bool(w, "custom_analyzer", custom);
        if (custom) {
            print_stages(a, w, VZ_STAGE_CHAR_FILTER, "charfilters");
            print_stages(a, w, VZ_STAGE_TOKENIZER, "tokenizer");
            print_stages(a, w, VZ_STAGE_FILTER, "tokenfilters");
        } else {
            vz_json_key(w, "analyzer");
            vz_json_begin_object(w);
            vz_json_field_string(w, "name", vz_analyzer_name(a->analyzer));
            print_list(w, "tokens", tokens);
            vz_json_end_object(w);
        }
        vz_json_end_object(w);
    }
    vz_json_end_object(w);
}

/* ---- the request -------------------------------------------------------------------------------
 */

static bool analyze_text(struct analyze *a, struct vz_slice text, struct vz_tokens *tokens,
                         struct vz_buf *out)
{
    struct vz_error err = {0};
    bool stages = a->explain && vz_analyzer_is_custom(a->analyzer);
    a->at_stage = 0;
    enum vz_status status =
        vz_analyze_watched(a->analyzer, text, tokens, stages ? watch : NULL, a, &err);
    if (status != VZ_OK)
        return vz_call_fail_error(a->call, &err, VZ_AT_REQUEST);
    a->token_count += tokens->count;
    if (a->token_count > MAX_TOKENS)
        return vz_call_fail(a->call, 500, "illegal_state_exception",
                            "The number of tokens produced by calling _analyze has exceeded the "
                            "allowed maximum of [%d]. This limit can be set by changing the "
                            "[index.analyze.max_token_count] index level setting.",
                            MAX_TOKENS);
    append_tokens(a, tokens, a->explain, out);
    a->position += tokens->end_position + vz_analyzer_gap(a->analyzer);
    a->offset += tokens->end_offset + 1;
    return true;
}

static bool analyze_all(struct analyze *a, struct vz_json texts, struct vz_buf *out)
{
    struct vz_tokens tokens = {0};
    bool ok = true;
    if (vz_json_type(texts) == VZ_JSON_ARRAY) {
        struct vz_json_iter it = vz_json_iterate(texts);
        struct vz_json item;
        size_t count = 0;
        while (ok && vz_json_next(&it, NULL, &item)) {
            if (++count > MAX_TEXTS)
                ok = vz_call_fail(a->call, 400, "illegal_argument_exception",
                                  "more than [%d] texts", MAX_TEXTS);
            else if (vz_json_type(item) == VZ_JSON_STRING)
                ok = analyze_text(a, vz_json_string(item), &tokens, out);
            else
                ok = vz_call_fail(a->call, 400, "illegal_argument_exception",
                                  "text should be array elements of string");
        }
    } else {
        ok = analyze_text(a, vz_json_string(texts), &tokens, out);
    }
    vz_tokens_deinit(&tokens);
    return ok;
}

static bool check_body(struct vz_call *call, struct vz_json body, struct vz_json *texts)
{
    static const char known[] = " analyzer normalizer field tokenizer filter char_filter text "
                                "explain attributes ";
    struct vz_json_iter it = vz_json_iterate(body);
    struct vz_slice key;
    struct vz_json value;
    while (vz_json_next(&it, &key, &value)) {
        struct vz_slice padded = vz_call_format(call, " %.*s ", VZ_S(key));
        if (!memmem(known, sizeof known - 1, padded.ptr, padded.len))
            return vz_call_fail(call, 400, "x_content_parse_exception",
                                "[analyze_request] unknown field [%.*s]", VZ_S(key));
    }
    if (!has(body, "text", texts) ||
        (vz_json_type(*texts) == VZ_JSON_ARRAY && vz_json_count(*texts) == 0))
        return vz_call_fail(call, 400, "action_request_validation_exception",
                            "Validation Failed: 1: text is missing;");
    enum vz_json_type type = vz_json_type(*texts);
    return type == VZ_JSON_STRING || type == VZ_JSON_ARRAY ||
           vz_call_fail(call, 400, "illegal_argument_exception",
                        "text should be a string or an array of strings");
}

static void run(struct vz_call *call, struct vz_index *index, struct vz_json body,
                struct vz_json texts)
{
    struct vz_analysis *analysis;
    struct vz_analyzer *custom = NULL;
    struct vz_json value;
    struct vz_buf tokens = {0};
    struct analyze *a = vz_arena_zalloc(call->arena, sizeof *a);
    if (!open_analysis(call, index, &analysis))
        return;
    a->call = call;
    if (choose(call, index, analysis, body, &a->analyzer, &custom)) {
        if (has(body, "explain", &value))
            vz_json_as_bool(value, &a->explain);
        vz_json_get(body, "attributes", &a->attributes);
        if (analyze_all(a, texts, &tokens))
            print_answer(a, &tokens);
    }
    for (size_t i = 0; i < a->stage_count; i++) {
        vz_buf_deinit(&a->stages[i].texts);
        vz_buf_deinit(&a->stages[i].tokens);
    }
    vz_buf_deinit(&tokens);
    vz_analyzer_free(custom);
    vz_analysis_release(analysis);
}

void vz_rest_analyze(struct vz_call *call)
{
    struct vz_json body, texts;
    struct vz_index *index = NULL;
    if (!vz_call_body(call, VZ_AT_BODY, true, &body) || !check_body(call, body, &texts))
        return;
    if (strncmp(call->route->path, "/{index}", 8) == 0) {
        index = vz_resolve_one(call->store, call->arena, call->args[0], &call->problem);
        if (!index)
            return;
    }
    run(call, index, body, texts);
    if (index)
        vz_index_release(index);
}
