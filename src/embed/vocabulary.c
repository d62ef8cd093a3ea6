/* embed/vocabulary.c - see vocabulary.h. One function a kind of tokenization. */
#include "embed/vocabulary.h"

#include "base/file.h"

struct writer {
    const char *folder;
    struct vz_json tokenization; /* options */
    struct vz_json vocabulary;
    struct vz_error *err;
};

static enum vz_status write_buffer(struct writer *u, const char *name, struct vz_buf *text)
{
    struct vz_buf path = {0};
    vz_buf_printf(&path, "%s/%s", u->folder, name);
    enum vz_status status = vz_file_write_atomic(path.data, text->data, text->len, u->err);
    vz_buf_deinit(&path);
    vz_buf_deinit(text);
    return status;
}

static bool flag(struct vz_json object, const char *key, bool otherwise)
{
    struct vz_json value;
    bool is;
    return vz_json_get(object, key, &value) && vz_json_as_bool(value, &is) ? is : otherwise;
}

static enum vz_status write_tokenizer_config(struct writer *u)
{
    struct vz_buf text = {0};
    vz_buf_printf(&text, "{\"do_lower_case\":%s,\"add_prefix_space\":%s}",
                  flag(u->tokenization, "do_lower_case", false) ? "true" : "false",
                  flag(u->tokenization, "add_prefix_space", false) ? "true" : "false");
    return write_buffer(u, "tokenizer_config.json", &text);
}

/* Lines of vocab.txt or merges.txt. */
static enum vz_status write_lines(struct writer *u, const char *file, struct vz_json list)
{
    struct vz_buf text = {0};
    struct vz_json word;
    struct vz_json_iter it = vz_json_iterate(list);
    while (vz_json_next(&it, NULL, &word)) {
        struct vz_slice line = vz_json_string(word);
        if (memchr(line.ptr ? line.ptr : "", '\n', line.len)) {
            vz_buf_deinit(&text);
            return vz_fail(u->err, VZ_CORRUPT, "a word of the vocabulary holds a line end");
        }
        vz_buf_append(&text, line.ptr, line.len);
        vz_buf_append_str(&text, "\n");
    }
    return write_buffer(u, file, &text);
}

/* BERT and MPNet. */
static enum vz_status write_words(struct writer *u, struct vz_json words)
{
    enum vz_status status = write_tokenizer_config(u);
    return status == VZ_OK ? write_lines(u, "vocab.txt", words) : status;
}

/* RoBERTa: vocab.json gives each token its number. */
static enum vz_status write_bytes_bpe(struct writer *u, struct vz_json words)
{
    struct vz_json merges, word;
    struct vz_buf text = {0};
    struct vz_json_writer w = vz_json_writer_on(&text);
    if (!vz_json_get(u->vocabulary, "merges", &merges))
        return vz_fail(u->err, VZ_CORRUPT, "the vocabulary has no [merges]");
    vz_json_begin_object(&w);
    struct vz_json_iter it = vz_json_iterate(words);
    for (int64_t id = 0; vz_json_next(&it, NULL, &word); id++) {
        vz_json_key_slice(&w, vz_json_string(word));
        vz_json_put_int(&w, id);
    }
    vz_json_end_object(&w);
    enum vz_status status = write_buffer(u, "vocab.json", &text);
    if (status == VZ_OK)
        status = write_lines(u, "merges.txt", merges);
    return status == VZ_OK ? write_tokenizer_config(u) : status;
}

/* XLM-R: pieces with scores. The normaliser that SentencePiece compiles into its model is not
 * uploaded; NFKC is what it is made from. */
static enum vz_status write_pieces(struct writer *u, struct vz_json words)
{
    static const char *const specials[] = {"<s>", "<pad>", "</s>", "<unk>", "<mask>"};
    struct vz_json scores, word, score;
    struct vz_buf text = {0};
    struct vz_json_writer w = vz_json_writer_on(&text);
    int64_t ids[VZ_COUNT_OF(specials)], id = 0;
    if (!vz_json_get(u->vocabulary, "scores", &scores) ||
        vz_json_count(scores) != vz_json_count(words))
        return vz_fail(u->err, VZ_CORRUPT, "the vocabulary needs a score for each of its pieces");
    memset(ids, -1, sizeof ids);
    vz_buf_append_str(&text, "{\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":"
                             "\"NFKC\"},{\"type\":\"Replace\",\"pattern\":{\"Regex\":\" {2,}\"},"
                             "\"content\":\" \"}]},\"pre_tokenizer\":{\"type\":\"Metaspace\","
                             "\"replacement\":\"\xE2\x96\x81\",\"prepend_scheme\":\"always\","
                             "\"split\":true},\"model\":");
    vz_json_begin_object(&w);
    vz_json_field_str(&w, "type", "Unigram");
    vz_json_field_int(&w, "unk_id", 3);
    vz_json_key(&w, "vocab");
    vz_json_begin_array(&w);
    struct vz_json_iter it = vz_json_iterate(words), its = vz_json_iterate(scores);
    for (; vz_json_next(&it, NULL, &word) && vz_json_next(&its, NULL, &score); id++) {
        for (size_t i = 0; i < VZ_COUNT_OF(specials); i++)
            if (vz_slice_is(vz_json_string(word), specials[i]))
                ids[i] = id;
        vz_json_begin_array(&w);
        vz_json_put_string(&w, vz_json_string(word));
        vz_json_put_double(&w, vz_json_double(score));
        vz_json_end_array(&w);
    }
    vz_json_end_array(&w);
    vz_json_end_object(&w);
    if (ids[0] < 0 || ids[2] < 0 || ids[3] != 3) {
        vz_buf_deinit(&text);
        return vz_fail(u->err, VZ_UNSUPPORTED,
                       "the vocabulary has no <s>, no </s>, or its <unk> is not piece 3");
    }
    vz_buf_append_str(&text, ",\"added_tokens\":[");
    for (size_t i = 0, some = 0; i < VZ_COUNT_OF(specials); i++)
        if (ids[i] >= 0)
            vz_buf_printf(&text, "%s{\"id\":%lld,\"content\":\"%s\",\"normalized\":false}",
                          some++ ? "," : "", (long long)ids[i], specials[i]);
    vz_buf_printf(&text,
                  "],\"post_processor\":{\"type\":\"RobertaProcessing\",\"cls\":[\"<s>\",%lld],"
                  "\"sep\":[\"</s>\",%lld]}}",
                  (long long)ids[0], (long long)ids[2]);
    return write_buffer(u, "tokenizer.json", &text);
}

static const struct {
    const char *name;
    enum vz_status (*write)(struct writer *u, struct vz_json words);
} kinds[] = {{"bert", write_words},
             {"mpnet", write_words},
             {"roberta", write_bytes_bpe},
             {"xlm_roberta", write_pieces}};

static enum vz_status write_max_length(struct writer *u)
{
    struct vz_json value;
    struct vz_buf text = {0};
    if (!vz_json_get(u->tokenization, "max_sequence_length", &value) || vz_json_int(value) < 1)
        return VZ_OK;
    vz_buf_printf(&text, "{\"max_seq_length\":%lld,\"do_lower_case\":false}",
                  (long long)vz_json_int(value));
    return write_buffer(u, "sentence_bert_config.json", &text);
}

/* The kind of tokenization and its options. */
static bool find_tokenization(struct vz_json config, struct vz_slice *kind, struct vz_json *options)
{
    struct vz_json inference, task, tokenization;
    if (!vz_json_get(config, "inference_config", &inference))
        return false;
    struct vz_json_iter it = vz_json_iterate(inference);
    if (!vz_json_next(&it, NULL, &task) || !vz_json_get(task, "tokenization", &tokenization))
        return false;
    it = vz_json_iterate(tokenization);
    return vz_json_next(&it, kind, options);
}

enum vz_status vz_vocabulary_write(const char *folder, struct vz_json config,
                                   struct vz_json vocabulary, size_t most, struct vz_error *err)
{
    struct writer u = {.folder = folder, .vocabulary = vocabulary, .err = err};
    struct vz_slice kind;
    struct vz_json words;
    if (!find_tokenization(config, &kind, &u.tokenization))
        return vz_fail(err, VZ_CORRUPT, "the configuration has no [tokenization]");
    if (!vz_json_get(vocabulary, "vocabulary", &words) || vz_json_count(words) == 0)
        return vz_fail(err, VZ_CORRUPT, "the vocabulary is empty");
    if (most && vz_json_count(words) > most)
        return vz_fail(err, VZ_CORRUPT, "a vocabulary of %zu words, the model knows %zu",
                       vz_json_count(words), most);
    for (size_t i = 0; i < VZ_COUNT_OF(kinds); i++)
        if (vz_slice_is(kind, kinds[i].name)) {
            enum vz_status status = kinds[i].write(&u, words);
            return status == VZ_OK ? write_max_length(&u) : status;
        }
    return vz_fail(err, VZ_UNSUPPORTED,
                   "tokenization [%.*s] is not done here; bert, mpnet, roberta and xlm_roberta are",
                   (int)VZ_MIN(kind.len, 60), kind.ptr);
}
