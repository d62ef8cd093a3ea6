/* embed/tokenizer_legacy.c - folders from before tokenizer.json: vocab.json + merges.txt (CLIP,
 * RoBERTa, GPT-2) and vocab.txt (BERT, MPNet), written as the tokenizer.json that transformers'
 * converters make of them.
 *
 * Which family it is shows in the vocabulary itself: CLIP's has <|startoftext|>, RoBERTa's <s>,
 * GPT-2's only <|endoftext|>; BERT's has [CLS], MPNet's <s>.
 */
#include <inttypes.h>
#include <unistd.h>

#include "base/file.h"
#include "base/strmap.h"
#include "embed/tokenizer_parts.h"

#define MAX_FILE_BYTES (64u << 20)

#define GPT2_SPLIT "{\"type\":\"ByteLevel\",\"add_prefix_space\":%s,\"use_regex\":true}"
#define CLIP_SPLIT                                                                                 \
    "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":"        \
    "\"'s|'t|'re|'ve|'m|'ll|'d|[\\\\p{L}]+|[\\\\p{N}]|[^\\\\s\\\\p{L}\\\\p{N}]+\"},"               \
    "\"behavior\":\"Removed\",\"invert\":true},"                                                   \
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true}]}"
#define CLIP_NORMALIZER                                                                            \
    "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"},{\"type\":\"Replace\","            \
    "\"pattern\":{\"Regex\":\"\\\\s+\"},\"content\":\" \"},{\"type\":\"Lowercase\"}]}"

/* What differs between the families. */
struct family {
    const char *mark; /* a token that only this family's vocabulary has */
    const char *cls, *sep, *unk, *suffix;
    const char *specials[6];
    bool two_seps; /* between a pair */
};

static const struct family bpe_families[] = {
    {"<|startoftext|>",
     "<|startoftext|>",
     "<|endoftext|>",
     "<|endoftext|>",
     "</w>",
     {"<|startoftext|>", "<|endoftext|>"},
     true},
    {"<s>", "<s>", "</s>", NULL, NULL, {"<s>", "<pad>", "</s>", "<unk>", "<mask>"}, true},
    {"<|endoftext|>", NULL, NULL, NULL, NULL, {"<|endoftext|>"}, false},
};

static const struct family word_families[] = {
    {"[CLS]",
     "[CLS]",
     "[SEP]",
     "[UNK]",
     NULL,
     {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"},
     false},
    {"<s>",
     "<s>",
     "</s>",
     "[UNK]",
     NULL,
     {"<s>", "<pad>", "</s>", "[UNK]", "<unk>", "<mask>"},
     true},
};

static const struct family *family_find(const struct family *families, size_t count,
                                        const struct vz_strmap *ids)
{
    uint64_t id;
    for (size_t i = 0; i < count; i++)
        if (vz_strmap_get(ids, vz_slice_from(families[i].mark), &id))
            return &families[i];
    return NULL;
}

static bool flag_of(struct vz_json config, const char *key, bool otherwise)
{
    struct vz_json value;
    return vz_json_get(config, key, &value) && vz_json_type(value) == VZ_JSON_BOOL
               ? vz_json_bool(value)
               : otherwise;
}

static void write_specials(struct vz_json_writer *w, const struct family *family,
                           const struct vz_strmap *ids)
{
    vz_json_key(w, "added_tokens");
    vz_json_begin_array(w);
    for (size_t i = 0; i < VZ_COUNT_OF(family->specials) && family->specials[i]; i++) {
        uint64_t id;
        const char *token = family->specials[i];
        if (!vz_strmap_get(ids, vz_slice_from(token), &id))
            continue;
        vz_json_begin_object(w);
        vz_json_field_int(w, "id", (int64_t)id);
        vz_json_field_str(w, "content", token);
        vz_json_field_bool(w, "lstrip", strcmp(token, "<mask>") == 0);
        vz_json_field_bool(w, "normalized", strcmp(token, "<|startoftext|>") == 0);
        vz_json_end_object(w);
    }
    vz_json_end_array(w);
}

static void write_token_pair(struct vz_json_writer *w, const char *key, const char *token,
                             const struct vz_strmap *ids)
{
    uint64_t id = 0;
    vz_strmap_get(ids, vz_slice_from(token), &id);
    vz_json_key(w, key);
    vz_json_begin_array(w);
    vz_json_put_str(w, token);
    vz_json_put_int(w, (int64_t)id);
    vz_json_end_array(w);
}

static enum vz_status write_processor(struct vz_json_writer *w, const struct family *family,
                                      const struct vz_strmap *ids, struct vz_error *err)
{
    uint64_t id;
    if (!family->cls)
        return VZ_OK;
    if (!vz_strmap_get(ids, vz_slice_from(family->cls), &id) ||
        !vz_strmap_get(ids, vz_slice_from(family->sep), &id))
        return vz_fail(err, VZ_CORRUPT, "the vocabulary lacks %s or %s", family->cls, family->sep);
    vz_json_key(w, "post_processor");
    vz_json_begin_object(w);
    vz_json_field_str(w, "type", family->two_seps ? "RobertaProcessing" : "BertProcessing");
    write_token_pair(w, "cls", family->cls, ids);
    write_token_pair(w, "sep", family->sep, ids);
    vz_json_end_object(w);
    return VZ_OK;
}

/* The line without its end at *rest, which moves on; false behind the last. */
static bool line_next(struct vz_slice *rest, struct vz_slice *line)
{
    if (!rest->len)
        return false;
    const char *end = memchr(rest->ptr, '\n', rest->len);
    size_t len = end ? (size_t)(end - rest->ptr) : rest->len;
    *line = (struct vz_slice){rest->ptr, len};
    rest->ptr += end ? len + 1 : len;
    rest->len -= end ? len + 1 : len;
    if (line->len && line->ptr[line->len - 1] == '\r')
        line->len--;
    return true;
}

static enum vz_status file_read(const char *folder, const char *name, struct vz_buf *out,
                                struct vz_error *err)
{
    struct vz_buf path = {0};
    vz_buf_printf(&path, "%s/%s", folder, name);
    enum vz_status status = vz_file_read(path.data, MAX_FILE_BYTES, out, err);
    vz_buf_deinit(&path);
    return status;
}

/* ---- vocab.json + merges.txt
 * --------------------------------------------------------------------- */

static void write_merges(struct vz_json_writer *w, struct vz_slice merges)
{
    struct vz_slice line;
    bool is_first = true;
    vz_json_key(w, "merges");
    vz_json_begin_array(w);
    for (; line_next(&merges, &line); is_first = false)
        if (line.len && !(is_first && vz_slice_starts(line, "#version")))
            vz_json_put_string(w, line);
    vz_json_end_array(w);
}

static enum vz_status write_bpe(struct vz_json_writer *w, struct vz_json vocab,
                                struct vz_slice merges, struct vz_json config,
                                const struct vz_strmap *ids, struct vz_error *err)
{
    const struct family *family = family_find(bpe_families, VZ_COUNT_OF(bpe_families), ids);
    if (!family)
        return vz_fail(err, VZ_UNSUPPORTED,
                       "a vocabulary without <|startoftext|>, <s> or <|endoftext|>: which "
                       "family of tokenizers it is cannot be told");
    vz_json_begin_object(w);
    if (family->suffix) {
        vz_json_key(w, "normalizer");
        vz_json_put_raw(w, VZ_SLICE(CLIP_NORMALIZER));
    }
    struct vz_buf split = {0};
    vz_buf_printf(&split, GPT2_SPLIT,
                  flag_of(config, "add_prefix_space", false) ? "true" : "false");
    vz_json_key(w, "pre_tokenizer");
    vz_json_put_raw(w, family->suffix ? VZ_SLICE(CLIP_SPLIT) : vz_buf_slice(&split));
    vz_buf_deinit(&split);
    write_specials(w, family, ids);
    enum vz_status status = write_processor(w, family, ids, err);
    if (status != VZ_OK)
        return status;
    vz_json_key(w, "model");
    vz_json_begin_object(w);
    vz_json_field_str(w, "type", "BPE");
    vz_json_field_str(w, "unk_token", family->unk);
    vz_json_field_str(w, "end_of_word_suffix", family->suffix);
    vz_json_key(w, "vocab");
    vz_json_put_value(w, vocab);
    write_merges(w, merges);
    vz_json_end_object(w);
    vz_json_end_object(w);
    return VZ_OK;
}

static enum vz_status bpe_folder(const char *folder, struct vz_json config,
                                 struct vz_json_writer *w, struct vz_error *err)
{
    struct vz_buf vocab_text = {0}, merges = {0};
    struct vz_json_doc *doc = NULL;
    struct vz_json vocab = {0}, value;
    struct vz_strmap ids = {0};
    struct vz_slice token;
    struct vz_error why = {0};
    enum vz_status status = file_read(folder, "vocab.json", &vocab_text, err);
    if (status == VZ_OK)
        status = file_read(folder, "merges.txt", &merges, err);
    if (status == VZ_OK && vz_json_parse(vz_buf_slice(&vocab_text), &doc, &vocab, &why) != VZ_OK)
        status = vz_fail(err, VZ_CORRUPT, "%s/vocab.json: %s", folder, why.text);
    if (status == VZ_OK && vz_json_type(vocab) != VZ_JSON_OBJECT)
        status = vz_fail(err, VZ_CORRUPT, "%s/vocab.json is no object", folder);
    if (status == VZ_OK) {
        struct vz_json_iter it = vz_json_iterate(vocab);
        while (vz_json_next(&it, &token, &value))
            vz_strmap_put(&ids, token, (uint64_t)vz_json_int(value));
        status = write_bpe(w, vocab, vz_buf_slice(&merges), config, &ids, err);
    }
    vz_strmap_deinit(&ids);
    vz_json_free(doc);
    vz_buf_deinit(&vocab_text);
    vz_buf_deinit(&merges);
    return status;
}

/* ---- vocab.txt
 * ------------------------------------------------------------------------------------ */

static void write_bert_normalizer(struct vz_json_writer *w, struct vz_json config)
{
    struct vz_json accents;
    vz_json_key(w, "normalizer");
    vz_json_begin_object(w);
    vz_json_field_str(w, "type", "BertNormalizer");
    vz_json_field_bool(w, "clean_text", true);
    vz_json_field_bool(w, "handle_chinese_chars", flag_of(config, "tokenize_chinese_chars", true));
    if (vz_json_get(config, "strip_accents", &accents) && vz_json_type(accents) == VZ_JSON_BOOL)
        vz_json_field_bool(w, "strip_accents", vz_json_bool(accents));
    vz_json_field_bool(w, "lowercase", flag_of(config, "do_lower_case", true));
    vz_json_end_object(w);
}

static enum vz_status write_words(struct vz_json_writer *w, struct vz_slice lines,
                                  struct vz_json config, const struct vz_strmap *ids,
                                  struct vz_error *err)
{
    const struct family *family = family_find(word_families, VZ_COUNT_OF(word_families), ids);
    if (!family)
        return vz_fail(err, VZ_UNSUPPORTED, "vocab.txt has neither [CLS] nor <s>");
    vz_json_begin_object(w);
    write_bert_normalizer(w, config);
    vz_json_key(w, "pre_tokenizer");
    vz_json_put_raw(w, VZ_SLICE("{\"type\":\"BertPreTokenizer\"}"));
    write_specials(w, family, ids);
    enum vz_status status = write_processor(w, family, ids, err);
    if (status != VZ_OK)
        return status;
    vz_json_key(w, "model");
    vz_json_begin_object(w);
    vz_json_field_str(w, "type", "WordPiece");
    vz_json_field_str(w, "unk_token", family->unk);
    vz_json_field_str(w, "continuing_subword_prefix", "##");
    vz_json_key(w, "vocab");
    vz_json_begin_object(w);
    struct vz_slice line;
    for (int64_t id = 0; line_next(&lines, &line); id++) {
        vz_json_key_slice(w, line);
        vz_json_put_int(w, id);
    }
    vz_json_end_object(w);
    vz_json_end_object(w);
    vz_json_end_object(w);
    return VZ_OK;
}

static enum vz_status words_folder(const char *folder, struct vz_json config,
                                   struct vz_json_writer *w, struct vz_error *err)
{
    struct vz_buf text = {0};
    struct vz_strmap ids = {0};
    enum vz_status status = file_read(folder, "vocab.txt", &text, err);
    struct vz_slice rest = vz_buf_slice(&text), line;
    for (uint64_t id = 0; status == VZ_OK && line_next(&rest, &line); id++)
        vz_strmap_put(&ids, line, id);
    if (status == VZ_OK)
        status = write_words(w, vz_buf_slice(&text), config, &ids, err);
    vz_strmap_deinit(&ids);
    vz_buf_deinit(&text);
    return status;
}

enum vz_status tok_legacy_write(const char *folder, struct vz_json config, struct vz_buf *out,
                                struct vz_error *err)
{
    struct vz_json_writer w = vz_json_writer_on(out);
    struct vz_buf path = {0};
    vz_buf_printf(&path, "%s/vocab.json", folder);
    bool has_json = access(path.data, F_OK) == 0;
    vz_buf_clear(&path);
    vz_buf_printf(&path, "%s/vocab.txt", folder);
    bool has_text = access(path.data, F_OK) == 0;
    vz_buf_deinit(&path);
    if (has_json)
        return bpe_folder(folder, config, &w, err);
    if (has_text)
        return words_folder(folder, config, &w, err);
    return vz_fail(err, VZ_NOT_FOUND,
                   "%s holds no tokenizer.json, vocab.json with merges.txt, or vocab.txt", folder);
}
