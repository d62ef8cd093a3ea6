/* `vizsla search`: pictures and texts in, added and subtracted, the nearest pictures of an index
 * out. */
#include "cli/cli.h"
#include "cli/lens.h"

#include "app/pictures.h"
#include "base/file.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_TERMS 32

/* One word of the question. */
struct term {
    const char *word; /* without sign and weight */
    double weight;
    bool is_text;
};

struct hit {
    struct vz_slice path, source; /* source: JSON without the vector */
    float score;
    struct vz_verdict verdict;
};

struct search_options {
    const char *index, *url;
    struct vz_lens_want want;
    struct vz_image_limits limits;
    struct vz_arg_list filters;
    long top;
    bool json, draw, as_text;
};

struct search {
    const struct search_options *options;
    struct term terms[MAX_TERMS];
    size_t term_count;
    struct vz_api_about about;
    struct vz_lens lens;
    struct vz_arena arena;
    char hash[33]; /* of the one picture asked for; "" else */
    struct hit *hits;
    size_t hit_count;
    uint64_t total; /* documents in the index */
};

/* ---- the question -------------------------------------------------------------------------- */

/* "+in red", "-grass", "-0.5*grass", "photo.jpg" */
static bool read_term(const char *word, bool as_text, struct term *term)
{
    *term = (struct term){.word = word, .weight = 1};
    if (word[0] == '+' || word[0] == '-') {
        char *end;
        term->weight = word[0] == '-' ? -1 : 1;
        term->word = ++word;
        if ((word[0] >= '0' && word[0] <= '9') || word[0] == '.') {
            double weight = strtod(word, &end);
            if (*end == '*' && weight <= 100) {
                term->weight *= weight;
                term->word = end + 1;
            }
        }
    }
    while (*term->word == ' ')
        term->word++;
    term->is_text = as_text || !vz_lens_is_picture(term->word);
    return *term->word && term->weight != 0;
}

static enum vz_status picture_vector(struct search *search, const struct term *term, float *vector,
                                     struct vz_error *err)
{
    struct vz_buf bytes = {0};
    enum vz_status status = vz_file_read(term->word, (size_t)100 << 20, &bytes, err);
    if (status == VZ_OK)
        status = vz_lens_picture(&search->lens, vz_buf_slice(&bytes), &search->options->limits,
                                 vector, err);
    if (status != VZ_OK) {
        char reason[sizeof err->text];
        memcpy(reason, err->text, sizeof reason);
        vz_fail(err, status, "%s: %s", term->word, reason);
    } else if (search->term_count == 1) {
        vz_dog_hash(vz_buf_slice(&bytes), search->hash);
    }
    vz_buf_deinit(&bytes);
    return status;
}

/* The weighted sum of the terms' unit vectors, of unit length itself. */
static enum vz_status compose(struct search *search, float *out, struct vz_error *err)
{
    size_t dims = search->lens.model.dims;
    float *one = vz_arena_zalloc(&search->arena, dims * sizeof *one);
    double *sum = vz_arena_zalloc(&search->arena, dims * sizeof *sum), length = 0;
    for (size_t t = 0; t < search->term_count; t++) {
        const struct term *term = &search->terms[t];
        enum vz_status status = term->is_text ? vz_lens_text(&search->lens, term->word, one, err)
                                              : picture_vector(search, term, one, err);
        if (status == VZ_UNSUPPORTED && term->is_text)
            vz_fail(err, status,
                    "there is no file '%.200s', and %s, which made the index %s, reads no texts: "
                    "vizsla models pull " VZ_LENS_DEFAULT
                    ", then vizsla reindex --model " VZ_LENS_DEFAULT " --index %s",
                    term->word, search->lens.model.name, search->options->index,
                    search->options->index);
        if (status != VZ_OK)
            return status;
        for (size_t i = 0; i < dims; i++)
            sum[i] += term->weight * (double)one[i];
    }
    for (size_t i = 0; i < dims; i++)
        length += sum[i] * sum[i];
    length = sqrt(length);
    if (!(length > 1e-4))
        return vz_fail(err, VZ_BAD_ARGUMENT, "the words cancel each other out");
    for (size_t i = 0; i < dims; i++)
        out[i] = (float)(sum[i] / length);
    return VZ_OK;
}

/* ---- filters ------------------------------------------------------------------------------- */

/* Whether the mapping has the field: "exif.date" is exif's property date. */
static bool has_field(struct vz_json mappings, const char *field)
{
    struct vz_json at = mappings, properties;
    const char *part = field;
    for (;;) {
        size_t len = strcspn(part, ".");
        char name[128];
        snprintf(name, sizeof name, "%.*s", (int)VZ_MIN(len, sizeof name - 1), part);
        if (!vz_json_get(at, "properties", &properties) || !vz_json_get(properties, name, &at))
            return false;
        if (!part[len])
            return true;
        part += len + 1;
    }
}

static void list_fields(struct vz_json mappings, const char *before, struct vz_buf *out)
{
    struct vz_json properties, field, type;
    struct vz_slice key;
    if (!vz_json_get(mappings, "properties", &properties))
        return;
    struct vz_json_iter it = vz_json_iterate(properties);
    while (vz_json_next(&it, &key, &field)) {
        char name[256];
        snprintf(name, sizeof name, "%s%.*s", before, (int)VZ_MIN(key.len, (size_t)100), key.ptr);
        if (vz_json_get(field, "type", &type) && !vz_slice_is(vz_json_string(type), "dense_vector"))
            vz_buf_printf(out, "%s%s", out->len ? ", " : "", name);
        strncat(name, ".", sizeof name - strlen(name) - 1);
        list_fields(field, name, out);
    }
}

/* "folder=/a", "name=*.png", "exif.date>=2024-01-01" as a query clause. */
static enum vz_status put_filter(const struct search *search, const char *text,
                                 struct vz_json_writer *w, struct vz_error *err)
{
    static const struct {
        const char *sign, *range;
    } signs[] = {{">=", "gte"}, {"<=", "lte"}, {"=", NULL}, {">", "gt"}, {"<", "lt"}};
    size_t len = strcspn(text, "=<>"), s = 0;
    char field[128];
    while (s < VZ_COUNT_OF(signs) && strncmp(text + len, signs[s].sign, strlen(signs[s].sign)) != 0)
        s++;
    if (!len || len >= sizeof field || s == VZ_COUNT_OF(signs))
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "--filter %s: expected FIELD=VALUE, or >=, <=, >, < instead of =", text);
    snprintf(field, sizeof field, "%.*s", (int)len, text);
    const char *value = text + len + strlen(signs[s].sign);
    if (!has_field(search->about.mappings, field)) {
        struct vz_buf fields = {0};
        list_fields(search->about.mappings, "", &fields);
        vz_fail(err, VZ_BAD_ARGUMENT, "--filter %s: the index %s has no field %s; it has %.300s",
                text, search->options->index, field, fields.len ? fields.data : "none");
        vz_buf_deinit(&fields);
        return VZ_BAD_ARGUMENT;
    }
    vz_json_begin_object(w);
    vz_json_key(w, signs[s].range ? "range" : strchr(value, '*') ? "wildcard" : "term");
    vz_json_begin_object(w);
    if (signs[s].range) {
        vz_json_key(w, field);
        vz_json_begin_object(w);
        vz_json_field_str(w, signs[s].range, value);
        vz_json_end_object(w);
    } else {
        vz_json_field_str(w, field, value);
    }
    vz_json_end_object(w);
    vz_json_end_object(w);
    return VZ_OK;
}

/* ---- the search ---------------------------------------------------------------------------- */

static enum vz_status put_body(struct search *search, const float *vector, struct vz_buf *body,
                               struct vz_error *err)
{
    const char *field = search->about.vector_field;
    long top = search->options->top;
    enum vz_status status = VZ_OK;
    vz_buf_printf(body, "{\"knn\":{\"field\":\"%s\",\"query_vector\":", field);
    vz_json_append_floats(body, vector, search->lens.model.dims);
    vz_buf_printf(body, ",\"k\":%ld,\"num_candidates\":%ld,\"filter\":", top,
                  VZ_MIN(VZ_MAX(top * 2, 100L), 10000L));
    struct vz_json_writer w = vz_json_writer_on(body);
    vz_json_begin_array(&w);
    for (size_t i = 0; i < search->options->filters.count && status == VZ_OK; i++)
        status = put_filter(search, search->options->filters.items[i], &w, err);
    vz_json_end_array(&w);
    vz_buf_printf(body, "},\"size\":%ld,\"_source\":{\"excludes\":[\"%s\"]}}", top, field);
    return status;
}

static void read_hits(struct search *search, struct vz_json hits)
{
    struct vz_json_iter it = vz_json_iterate(hits);
    struct vz_json hit, source, value;
    search->hits =
        vz_arena_zalloc(&search->arena, (vz_json_count(hits) + 1) * sizeof *search->hits);
    while (vz_json_next(&it, NULL, &hit)) {
        struct hit *one = &search->hits[search->hit_count];
        struct vz_buf text = {0};
        if (!vz_json_get(hit, "_source", &source) || !vz_json_get(hit, "_score", &value))
            continue;
        one->score = (float)vz_json_double(value);
        if (vz_json_get(source, "path", &value) || vz_json_get(source, "image_path", &value))
            one->path = vz_arena_copy(&search->arena, vz_json_string(value));
        bool same = search->hash[0] &&
                    (vz_json_get(source, "content_hash", &value) ||
                     vz_json_get(source, "image_hash", &value)) &&
                    vz_slice_is(vz_json_string(value), search->hash);
        one->verdict =
            vz_verdict_of(&search->lens.model, 2 * one->score - 1, same, !search->hash[0]);
        vz_json_print(source, &text);
        one->source = vz_arena_copy(&search->arena, vz_buf_slice(&text));
        vz_buf_deinit(&text);
        search->hit_count++;
    }
}

static enum vz_status ask(struct search *search, const struct vz_transport *transport,
                          struct vz_error *err)
{
    struct vz_buf path = {0}, body = {0};
    struct vz_json_doc *doc = NULL;
    struct vz_json root, hits;
    float *vector = vz_arena_zalloc(&search->arena, search->lens.model.dims * sizeof *vector);
    enum vz_status status = compose(search, vector, err);
    if (status == VZ_OK)
        status = put_body(search, vector, &body, err);
    if (status == VZ_OK)
        status = vz_api_count(transport, search->options->index, &search->total, err);
    if (status == VZ_OK) {
        vz_buf_append_char(&path, '/');
        vz_api_escape(&path, search->options->index);
        vz_buf_append_str(&path, "/_search");
        status = vz_api_ask(transport, "POST", path.data, vz_buf_slice(&body), "searching", &doc,
                            &root, err);
    }
    if (status == VZ_OK &&
        (!vz_json_get_path(root, "hits.hits", &hits) || vz_json_type(hits) != VZ_JSON_ARRAY))
        status = vz_api_strange("searching", err);
    if (status == VZ_OK)
        read_hits(search, hits);
    vz_json_free(doc);
    vz_buf_deinit(&body);
    vz_buf_deinit(&path);
    return status;
}

/* ---- telling ------------------------------------------------------------------------------- */

static void print_json(const struct search *search, const char *where)
{
    struct vz_buf out = {0};
    struct vz_json_writer w = vz_json_writer_on(&out);
    vz_json_begin_object(&w);
    vz_json_field_str(&w, "where", where);
    vz_json_field_str(&w, "index", search->options->index);
    vz_json_field_str(&w, "model", search->lens.model.name);
    vz_json_field_int(&w, "pictures", (int64_t)search->total);
    vz_json_key(&w, "query");
    vz_json_begin_array(&w);
    for (size_t i = 0; i < search->term_count; i++) {
        vz_json_begin_object(&w);
        vz_json_field_str(&w, search->terms[i].is_text ? "text" : "picture", search->terms[i].word);
        vz_json_field_double(&w, "weight", search->terms[i].weight);
        vz_json_end_object(&w);
    }
    vz_json_end_array(&w);
    vz_json_key(&w, "hits");
    vz_json_begin_array(&w);
    for (size_t i = 0; i < search->hit_count; i++) {
        const struct hit *hit = &search->hits[i];
        vz_json_begin_object(&w);
        vz_json_field_string(&w, "path", hit->path);
        vz_json_key(&w, "score");
        vz_json_put_float(&w, hit->score);
        if (hit->verdict.is_measured)
            vz_json_field_str(&w, "match", vz_verdict_word(&hit->verdict));
        vz_json_key(&w, "source");
        vz_json_put_raw(&w, hit->source);
        vz_json_end_object(&w);
    }
    vz_json_end_array(&w);
    vz_json_end_object(&w);
    puts(out.data);
    vz_buf_deinit(&out);
}

static void draw(const struct search *search)
{
    struct vz_slice *paths = vz_alloc(VZ_MAX(search->hit_count, (size_t)1) * sizeof *paths);
    for (size_t i = 0; i < search->hit_count; i++)
        paths[i] = search->hits[i].path;
    vz_draw_pictures(paths, VZ_MIN(search->hit_count, (size_t)12), 24, 8);
    free(paths);
}

static void print_text(const struct search *search)
{
    struct vz_buf out = {0};
    if (!search->hit_count)
        vz_buf_printf(&out, "Nothing found among %llu pictures%s.\n",
                      (unsigned long long)search->total,
                      search->options->filters.count ? ": none passes the filters" : "");
    for (size_t i = 0; i < search->hit_count; i++) {
        const struct hit *hit = &search->hits[i];
        vz_buf_printf(&out, "%3zu  %.4f  ", i + 1, (double)hit->score);
        if (search->hash[0])
            vz_buf_printf(&out, "%-14s  ",
                          hit->verdict.is_measured ? vz_verdict_word(&hit->verdict) : "");
        vz_term_text(&out, hit->path, INT_MAX);
        vz_buf_append_char(&out, '\n');
    }
    fputs(out.data, stdout);
    vz_buf_deinit(&out);
}

/* ---- the command --------------------------------------------------------------------------- */

static enum vz_status open_index(struct search *search, const struct vz_transport *transport,
                                 const struct vz_transport *server, struct vz_error *err)
{
    const struct search_options *options = search->options;
    enum vz_status status = vz_api_about(transport, options->index, &search->about, err);
    if (status == VZ_NO_INDEX)
        return vz_fail(err, status,
                       "there is no index %s yet; make it with: vizsla index FOLDER%s%s",
                       options->index, strcmp(options->index, VZ_PICTURE_INDEX) ? " --index " : "",
                       strcmp(options->index, VZ_PICTURE_INDEX) ? options->index : "");
    if (status != VZ_OK)
        return status;
    if (!search->about.vector_field[0])
        return vz_fail(err, VZ_BAD_ARGUMENT, "the index %s has no vectors", options->index);
    struct vz_lens_want want = options->want;
    want.server = server;
    return vz_lens_open(&want, &search->about.model, options->index, &search->lens, err);
}

static int do_search(struct search *search)
{
    const struct search_options *options = search->options;
    struct vz_error err = {0};
    struct vz_reach *reach = NULL;
    int code = VZ_EXIT_FAILED;
    if (vz_image_start(&err) != VZ_OK ||
        vz_reach_new(options->url, options->want.data, false, &reach, &err) != VZ_OK ||
        open_index(search, vz_reach_transport(reach), vz_lens_server(reach), &err) != VZ_OK ||
        ask(search, vz_reach_transport(reach), &err) != VZ_OK) {
        vz_complain(&err);
    } else {
        if (options->json) {
            print_json(search, vz_reach_where(reach));
        } else {
            if (options->draw)
                draw(search);
            print_text(search);
        }
        code = search->hit_count ? VZ_EXIT_OK : VZ_EXIT_PARTLY;
    }
    vz_lens_close(&search->lens);
    vz_api_about_deinit(&search->about);
    vz_reach_free(reach);
    vz_arena_deinit(&search->arena);
    return code;
}

int vz_cli_search(int argc, char **argv)
{
    struct search_options options = {.index = VZ_PICTURE_INDEX, .top = 10};
    bool picture = false, no_picture = false;
    const struct vz_arg args[] = {
        {"-k", VZ_ARG_NUMBER, &options.top, "N", "how many to show (default 10)", 1, 10000},
        {"--index", VZ_ARG_TEXT, &options.index, "NAME",
         "the index (default: " VZ_PICTURE_INDEX ")", 0, 0},
        {"--filter", VZ_ARG_LIST, &options.filters, "FIELD=VALUE",
         "only such pictures; also >=, <=, >, < and * (may be repeated)", 0, 0},
        {"--model", VZ_ARG_TEXT, &options.want.model, "NAME",
         "the model the index was made with (default: found by its name)", 0, 0},
        {"--text-model", VZ_ARG_TEXT, &options.want.text_model, "NAME",
         "reads the texts instead, such as clip-ViT-B-32-multilingual-v1", 0, 0},
        {"--text", VZ_ARG_FLAG, &options.as_text, NULL,
         "the words are texts, even if files are called so", 0, 0},
        {"--data", VZ_ARG_TEXT, &options.want.data, "DIR",
         "data folder (default: $VIZSLA_DATA or ~/.local/share/vizsla)", 0, 0},
        {"--url", VZ_ARG_TEXT, &options.url, "URL", "a server, here or on another machine", 0, 0},
        {"--json", VZ_ARG_FLAG, &options.json, NULL, "print JSON", 0, 0},
        {"--picture", VZ_ARG_FLAG, &picture, NULL, "draw the pictures even when not on a terminal",
         0, 0},
        {"--no-picture", VZ_ARG_FLAG, &no_picture, NULL, "draw no pictures", 0, 0},
        {0},
    };
    const struct vz_command command = {
        .name = "search",
        .usage = "vizsla search TEXT|FILE [+TEXT|+FILE|-TEXT|-FILE]... [options]",
        .summary =
            "Finds the pictures of an index that are nearest to a picture, a text, or several.",
        .details =
            "A word that names no file is a text; texts need an index made with a model that "
            "reads.\n"
            "Words are added, those with a '-' in front subtracted: each becomes a vector of "
            "length\n"
            "one, and the sum is what is looked for. A weight may stand before a '*': "
            "'-0.5*grass'.\n"
            "The score is (1 + cos) / 2. What a score means depends on the model: scores of texts "
            "are\n"
            "lower than those of pictures, and only their order counts (vizsla find --help).\n"
            "Fields of --filter: path, name, folder, format, size, width, height, modified,\n"
            "exif.date, and what else the index has.\n"
            "Exit code: 0 found, 1 nothing, 2 the search could not be done.",
        .examples = "  vizsla search \"a dog on a beach\" -k 5\n"
                    "  vizsla search photo.jpg '+in red' '-grass'\n"
                    "  vizsla search sunset --filter 'exif.date>=2024-01-01' --filter 'name=*.jpg'",
        .args = args,
        .signed_words = true,
    };
    struct search *search = vz_calloc(1, sizeof *search);
    int rest, code = vz_args_parse(&command, argc, argv, &rest);
    bool good = code < 0 && rest > 0 && rest <= MAX_TERMS;
    search->options = &options;
    for (int i = 1; good && i <= rest; i++)
        good = read_term(argv[i], options.as_text, &search->terms[search->term_count++]);
    if (code < 0 && !good) {
        fprintf(stderr,
                "vizsla search: expected 1 to %d pictures or texts; see `vizsla search --help`\n",
                MAX_TERMS);
        code = VZ_EXIT_FAILED;
    }
    options.draw = !no_picture && (picture || vz_term_is_terminal());
    if (code < 0)
        code = do_search(search);
    free(search);
    return code;
}
