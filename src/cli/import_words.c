/* The words of a model's tokenizer, out of its files, as the API takes them. */
#include "cli/import_words.h"

#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>

struct source {
    const char *base;     /* the folder with the tokenizer */
    struct vz_slice type; /* config.json's model_type */
};

/* base/name as JSON; false when it is not there or no JSON. Free *doc. */
bool vz_import_json(const char *folder, const char *name, struct vz_json_doc **doc,
                    struct vz_json *root)
{
    struct vz_buf path = {0}, text = {0};
    *doc = NULL;
    vz_buf_printf(&path, "%s/%s", folder, name);
    bool good = vz_file_read(path.data, (size_t)256 << 20, &text, NULL) == VZ_OK &&
                vz_json_parse(vz_buf_slice(&text), doc, root, NULL) == VZ_OK;
    vz_buf_deinit(&path);
    vz_buf_deinit(&text);
    return good;
}

/* {"word": id} into a list by id; holes become words that no text has. */
static bool put_words(struct vz_json_writer *w, struct vz_json vocab, struct vz_json added)
{
    size_t most = 0;
    struct vz_json_iter it = vz_json_iterate(vocab);
    struct vz_slice key, *words;
    struct vz_json value, content;
    while (vz_json_next(&it, &key, &value))
        most = VZ_MAX(most, (size_t)vz_json_int(value) + 1);
    it = vz_json_iterate(added);
    while (vz_json_next(&it, NULL, &value))
        if (vz_json_get(value, "id", &content))
            most = VZ_MAX(most, (size_t)vz_json_int(content) + 1);
    if (!most || most > ((size_t)1 << 22))
        return false;
    words = vz_calloc(most, sizeof *words);
    it = vz_json_iterate(vocab);
    while (vz_json_next(&it, &key, &value))
        if (vz_json_int(value) >= 0)
            words[vz_json_int(value)] = key;
    it = vz_json_iterate(added);
    while (vz_json_next(&it, NULL, &value)) {
        struct vz_json id;
        if (vz_json_get(value, "id", &id) && vz_json_get(value, "content", &content) &&
            vz_json_int(id) >= 0)
            words[vz_json_int(id)] = vz_json_string(content);
    }
    vz_json_key(w, "vocabulary");
    vz_json_begin_array(w);
    for (size_t i = 0; i < most; i++) {
        char hole[32];
        snprintf(hole, sizeof hole, "[hole%zu]", i);
        vz_json_put_string(w, words[i].ptr ? words[i] : vz_slice_from(hole));
    }
    vz_json_end_array(w);
    free(words);
    return true;
}

static void put_merges(struct vz_json_writer *w, struct vz_json merges)
{
    struct vz_json_iter it = vz_json_iterate(merges);
    struct vz_json merge;
    vz_json_key(w, "merges");
    vz_json_begin_array(w);
    while (vz_json_next(&it, NULL, &merge)) {
        if (vz_json_type(merge) == VZ_JSON_STRING) {
            vz_json_put_value(w, merge);
            continue;
        }
        struct vz_buf pair = {0}; /* newer files have ["a", "b"] */
        struct vz_json_iter parts = vz_json_iterate(merge);
        struct vz_json part;
        while (vz_json_next(&parts, NULL, &part)) {
            if (pair.len)
                vz_buf_append_char(&pair, ' ');
            vz_buf_append_slice(&pair, vz_json_string(part));
        }
        vz_json_put_string(w, vz_buf_slice(&pair));
        vz_buf_deinit(&pair);
    }
    vz_json_end_array(w);
}

/* Unigram: [["word", score], ...] */
static void put_pieces(struct vz_json_writer *w, struct vz_json vocab)
{
    for (int scores = 0; scores < 2; scores++) {
        struct vz_json_iter it = vz_json_iterate(vocab);
        struct vz_json pair, part;
        vz_json_key(w, scores ? "scores" : "vocabulary");
        vz_json_begin_array(w);
        while (vz_json_next(&it, NULL, &pair)) {
            struct vz_json_iter parts = vz_json_iterate(pair);
            vz_json_next(&parts, NULL, &part);
            if (scores)
                vz_json_next(&parts, NULL, &part);
            vz_json_put_value(w, part);
        }
        vz_json_end_array(w);
    }
}

static enum vz_status read_tokenizer_json(const struct source *m, struct vz_json root,
                                          struct vz_import_words *v, struct vz_error *err)
{
    struct vz_json model, type, vocab, merges, added = {0}, value;
    struct vz_json_writer w = vz_json_writer_on(&v->body);
    bool good = vz_json_get(root, "model", &model) && vz_json_get(model, "vocab", &vocab);
    struct vz_slice kind =
        good && vz_json_get(model, "type", &type) ? vz_json_string(type) : (struct vz_slice){0};
    vz_json_get(root, "added_tokens", &added);
    v->lower_case = vz_json_get_path(root, "normalizer.lowercase", &value) && vz_json_bool(value);
    v->prefix_space =
        vz_json_get_path(root, "pre_tokenizer.add_prefix_space", &value) && vz_json_bool(value);
    vz_json_begin_object(&w);
    if (good && vz_slice_is(kind, "WordPiece")) {
        v->kind = vz_slice_is(m->type, "mpnet") ? "mpnet" : "bert";
        good = put_words(&w, vocab, added);
    } else if (good && vz_slice_is(kind, "BPE") && vz_json_get(model, "merges", &merges)) {
        v->kind = "roberta";
        good = put_words(&w, vocab, added);
        put_merges(&w, merges);
    } else if (good && vz_slice_is(kind, "Unigram")) {
        v->kind = "xlm_roberta";
        put_pieces(&w, vocab);
    } else {
        good = false;
    }
    vz_json_end_object(&w);
    return good ? VZ_OK
                : vz_fail(err, VZ_UNSUPPORTED,
                          "its tokenizer.json has no vocabulary that can be "
                          "sent (WordPiece, BPE, Unigram)");
}

/* Lines of a file as a JSON list. */
static void put_lines(struct vz_json_writer *w, const char *key, struct vz_slice text, bool merges)
{
    vz_json_key(w, key);
    vz_json_begin_array(w);
    for (bool first = true; text.len; first = false) {
        const char *end = memchr(text.ptr, '\n', text.len);
        size_t len = end ? (size_t)(end - text.ptr) : text.len, cut = end ? len + 1 : len;
        if (len && text.ptr[len - 1] == '\r')
            len--;
        struct vz_slice line = {text.ptr, len};
        if (!merges || (len && !(first && vz_slice_starts(line, "#version"))))
            vz_json_put_string(w, line);
        text = (struct vz_slice){text.ptr + cut, text.len - cut};
    }
    vz_json_end_array(w);
}

static enum vz_status read_plain_files(const struct source *m, struct vz_import_words *v,
                                       struct vz_error *err)
{
    struct vz_json_writer w = vz_json_writer_on(&v->body);
    struct vz_buf path = {0}, text = {0};
    struct vz_json_doc *doc;
    struct vz_json vocab, value;
    bool good = false;
    vz_json_begin_object(&w);
    if (vz_import_json(m->base, "vocab.json", &doc, &vocab)) {
        v->kind = "roberta";
        good = put_words(&w, vocab, (struct vz_json){0});
        vz_buf_printf(&path, "%s/merges.txt", m->base);
        good &= vz_file_read(path.data, (size_t)64 << 20, &text, NULL) == VZ_OK;
        put_lines(&w, "merges", vz_buf_slice(&text), true);
    } else {
        v->kind = vz_slice_is(m->type, "mpnet") ? "mpnet" : "bert";
        vz_buf_printf(&path, "%s/vocab.txt", m->base);
        good = vz_file_read(path.data, (size_t)64 << 20, &text, NULL) == VZ_OK;
        put_lines(&w, "vocabulary", vz_buf_slice(&text), false);
    }
    vz_json_free(doc);
    vz_json_end_object(&w);
    v->lower_case = true;
    if (vz_import_json(m->base, "tokenizer_config.json", &doc, &vocab) &&
        vz_json_get(vocab, "do_lower_case", &value))
        v->lower_case = vz_json_bool(value);
    vz_json_free(doc);
    vz_buf_deinit(&path);
    vz_buf_deinit(&text);
    return good ? VZ_OK
                : vz_fail(err, VZ_NOT_FOUND,
                          "%s holds no tokenizer.json, vocab.json with "
                          "merges.txt, or vocab.txt",
                          m->base);
}

enum vz_status vz_import_words_read(const char *base, struct vz_slice type,
                                    struct vz_import_words *v, struct vz_error *err)
{
    const struct source source = {base, type}, *m = &source;
    struct vz_json_doc *doc;
    struct vz_json root;
    if (!vz_import_json(m->base, "tokenizer.json", &doc, &root)) {
        vz_json_free(doc);
        return read_plain_files(m, v, err);
    }
    enum vz_status status = read_tokenizer_json(m, root, v, err);
    vz_json_free(doc);
    return status;
}
