/* embed/tokenizer_pipeline.c - tokenizer.json's normalizer, pre_tokenizer and post_processor.
 *
 * Sequences are flattened, composite parts become the few primitive ones of tokenizer_parts.h. What
 * is not done is refused by its name when the file is opened; nothing is left out silently.
 */
#include "base/text.h"
#include "embed/tokenizer_parts.h"

/* A replacement is at most this long, so that no text explodes. */
#define MAX_CONTENT_BYTES 64

static struct vz_slice text_of(struct vz_json entry, const char *key)
{
    struct vz_json value;
    return vz_json_get(entry, key, &value) ? vz_json_string(value) : (struct vz_slice){NULL, 0};
}

/* null and absent are the default. */
static bool flag_of(struct vz_json entry, const char *key, bool otherwise)
{
    struct vz_json value;
    return vz_json_get(entry, key, &value) && vz_json_type(value) == VZ_JSON_BOOL
               ? vz_json_bool(value)
               : otherwise;
}

static enum vz_status unsupported(const char *part, struct vz_slice name, struct vz_error *err)
{
    return vz_fail(err, VZ_UNSUPPORTED, "%s [%.*s] is not done", part, (int)VZ_MIN(name.len, 200),
                   name.ptr);
}

/* ---- patterns
 * ------------------------------------------------------------------------------------ */

#define CLIP_WORDS "'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+"

static const struct {
    const char *regex;
    struct tok_matcher matcher;
} known_patterns[] = {
    {"\\s", {.pattern = TOK_PAT_SPACE}},
    {"\\s+", {.pattern = TOK_PAT_SPACES}},
    {" {2,}", {.pattern = TOK_PAT_BLANKS}},
    {"\\w+|[^\\w\\s]+", {.pattern = TOK_PAT_WORDS}},
    {"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
     {.pattern = TOK_PAT_GPT2}},
    {CLIP_WORDS, {.pattern = TOK_PAT_CLIP}},
    {"<\\|startoftext\\|>|<\\|endoftext\\|>|" CLIP_WORDS,
     {.pattern = TOK_PAT_CLIP, .has_marks = true}},
};

static enum vz_status pattern_read(struct vz_tokenizer *t, struct vz_json entry,
                                   struct tok_matcher *out, struct vz_error *err)
{
    struct vz_json pattern = {0};
    vz_json_get(entry, "pattern", &pattern);
    struct vz_slice regex = text_of(pattern, "Regex"), text = text_of(pattern, "String");
    if (text.len) {
        *out =
            (struct tok_matcher){.pattern = TOK_PAT_TEXT, .text = vz_arena_copy(&t->arena, text)};
        return VZ_OK;
    }
    for (size_t i = 0; i < VZ_COUNT_OF(known_patterns); i++)
        if (regex.len && vz_slice_is(regex, known_patterns[i].regex)) {
            *out = known_patterns[i].matcher;
            return VZ_OK;
        }
    return regex.len ? unsupported("the regular expression", regex, err)
                     : vz_fail(err, VZ_CORRUPT, "a pattern is empty");
}

static enum vz_status content_read(struct vz_tokenizer *t, struct vz_json entry, const char *key,
                                   struct vz_slice *out, struct vz_error *err)
{
    struct vz_slice text = text_of(entry, key);
    if (text.len > MAX_CONTENT_BYTES)
        return vz_fail(err, VZ_LIMIT, "a normalizer's text is longer than %d bytes",
                       MAX_CONTENT_BYTES);
    *out = vz_arena_copy(&t->arena, text);
    return VZ_OK;
}

/* ---- normalizers
 * --------------------------------------------------------------------------------- */

static enum vz_status normalizer_add(struct vz_tokenizer *t, struct tok_normalizer normalizer,
                                     struct vz_error *err)
{
    if (t->normalizer_count == TOK_MAX_STAGES)
        return vz_fail(err, VZ_UNSUPPORTED, "more than %d normalizers", TOK_MAX_STAGES);
    t->normalizers[t->normalizer_count++] = normalizer;
    return VZ_OK;
}

static enum vz_status bert_read(struct vz_tokenizer *t, struct vz_json entry, struct vz_error *err)
{
    bool lower = flag_of(entry, "lowercase", true);
    bool accents = flag_of(entry, "strip_accents", lower);
    struct tok_normalizer clean = {.kind = TOK_NORM_CLEAN,
                                   .clean = flag_of(entry, "clean_text", true),
                                   .chinese = flag_of(entry, "handle_chinese_chars", true)};
    struct tok_normalizer apart = {.kind = TOK_NORM_UNICODE, .form = TOK_NFD};
    struct tok_normalizer without = {.kind = TOK_NORM_WITHOUT, .classes = TOK_NONSPACING};
    struct tok_normalizer small = {.kind = TOK_NORM_LOWER};
    enum vz_status status = VZ_OK;
    if (clean.clean || clean.chinese)
        status = normalizer_add(t, clean, err);
    if (status == VZ_OK && accents)
        status = normalizer_add(t, apart, err);
    if (status == VZ_OK && accents)
        status = normalizer_add(t, without, err);
    if (status == VZ_OK && lower)
        status = normalizer_add(t, small, err);
    return status;
}

static enum vz_status charsmap_read(struct vz_tokenizer *t, struct vz_json entry,
                                    struct tok_normalizer *out, struct vz_error *err)
{
    struct vz_buf blob = {0};
    enum vz_status status = VZ_CORRUPT;
    if (vz_base64_decode(text_of(entry, "precompiled_charsmap"), &blob))
        status =
            tok_charsmap_init(&out->charsmap, vz_arena_copy(&t->arena, vz_buf_slice(&blob)), err);
    else
        vz_fail(err, VZ_CORRUPT, "precompiled_charsmap is no base64");
    vz_buf_deinit(&blob);
    return status;
}

static enum vz_status sequence_read(struct vz_tokenizer *t, struct vz_json entry, const char *key,
                                    enum vz_status (*read)(struct vz_tokenizer *, struct vz_json,
                                                           struct vz_error *),
                                    struct vz_error *err)
{
    struct vz_json list = {0}, member;
    vz_json_get(entry, key, &list);
    struct vz_json_iter it = vz_json_iterate(list);
    enum vz_status status = VZ_OK;
    while (status == VZ_OK && vz_json_next(&it, NULL, &member))
        status = read(t, member, err);
    return status;
}

enum vz_status tok_normalizers_read(struct vz_tokenizer *t, struct vz_json entry,
                                    struct vz_error *err)
{
    static const struct {
        const char *type;
        struct tok_normalizer normalizer;
    } plain[] = {
        {"Lowercase", {.kind = TOK_NORM_LOWER}},
        {"NFC", {.kind = TOK_NORM_UNICODE, .form = TOK_NFC}},
        {"NFD", {.kind = TOK_NORM_UNICODE, .form = TOK_NFD}},
        {"NFKC", {.kind = TOK_NORM_UNICODE, .form = TOK_NFKC}},
        {"NFKD", {.kind = TOK_NORM_UNICODE, .form = TOK_NFKD}},
        {"StripAccents", {.kind = TOK_NORM_WITHOUT, .classes = TOK_MARK}},
        {"Nmt", {.kind = TOK_NORM_NMT}},
        {"ByteLevel", {.kind = TOK_NORM_BYTES}},
    };
    if (vz_json_type(entry) == VZ_JSON_NULL || vz_json_type(entry) == VZ_JSON_MISSING)
        return VZ_OK;
    struct vz_slice type = text_of(entry, "type");
    for (size_t i = 0; i < VZ_COUNT_OF(plain); i++)
        if (vz_slice_is(type, plain[i].type))
            return normalizer_add(t, plain[i].normalizer, err);
    struct tok_normalizer n = {0};
    enum vz_status status = VZ_OK;
    if (vz_slice_is(type, "Sequence"))
        return sequence_read(t, entry, "normalizers", tok_normalizers_read, err);
    if (vz_slice_is(type, "BertNormalizer"))
        return bert_read(t, entry, err);
    if (vz_slice_is(type, "Strip")) {
        n.kind = TOK_NORM_STRIP;
        n.left = flag_of(entry, "strip_left", true);
        n.right = flag_of(entry, "strip_right", true);
    } else if (vz_slice_is(type, "Prepend")) {
        n.kind = TOK_NORM_PREPEND;
        status = content_read(t, entry, "prepend", &n.text, err);
    } else if (vz_slice_is(type, "Replace")) {
        n.kind = TOK_NORM_REPLACE;
        status = pattern_read(t, entry, &n.find, err);
        if (status == VZ_OK)
            status = content_read(t, entry, "content", &n.text, err);
    } else if (vz_slice_is(type, "Precompiled")) {
        n.kind = TOK_NORM_CHARSMAP;
        status = charsmap_read(t, entry, &n, err);
    } else {
        return unsupported("normalizer", type, err);
    }
    return status == VZ_OK ? normalizer_add(t, n, err) : status;
}

/* ---- splitters
 * ----------------------------------------------------------------------------------- */

static enum vz_status splitter_add(struct vz_tokenizer *t, struct tok_splitter splitter,
                                   struct vz_error *err)
{
    if (t->splitter_count == TOK_MAX_STAGES)
        return vz_fail(err, VZ_UNSUPPORTED, "more than %d pre-tokenizers", TOK_MAX_STAGES);
    /* Those that make texts longer may be there once, or texts would grow without bound. */
    for (size_t i = 0; i < t->splitter_count; i++)
        if (splitter.kind != TOK_SPLIT_MATCHER && t->splitters[i].kind == splitter.kind)
            return vz_fail(err, VZ_UNSUPPORTED, "the same pre-tokenizer twice");
    t->splitters[t->splitter_count++] = splitter;
    return VZ_OK;
}

static enum vz_status class_add(struct vz_tokenizer *t, unsigned classes,
                                enum tok_behavior behavior, struct vz_error *err)
{
    struct tok_splitter splitter = {.find = {.pattern = TOK_PAT_CLASS, .classes = classes},
                                    .behavior = behavior};
    return splitter_add(t, splitter, err);
}

static enum vz_status behavior_read(struct vz_json entry, enum tok_behavior *out,
                                    struct vz_error *err)
{
    static const char *const names[] = {[TOK_REMOVED] = "Removed",
                                        [TOK_ISOLATED] = "Isolated",
                                        [TOK_WITH_PREVIOUS] = "MergedWithPrevious",
                                        [TOK_WITH_NEXT] = "MergedWithNext",
                                        [TOK_CONTIGUOUS] = "Contiguous"};
    struct vz_slice name = text_of(entry, "behavior");
    *out = TOK_ISOLATED;
    for (size_t i = 0; i < VZ_COUNT_OF(names); i++)
        if (vz_slice_is(name, names[i])) {
            *out = (enum tok_behavior)i;
            return VZ_OK;
        }
    return name.len ? unsupported("the split behavior", name, err) : VZ_OK;
}

static enum vz_status metaspace_read(struct vz_tokenizer *t, struct vz_json entry,
                                     struct vz_error *err)
{
    struct vz_slice mark = text_of(entry, "replacement"), scheme = text_of(entry, "prepend_scheme");
    if (!mark.len)
        mark = VZ_SLICE("\xE2\x96\x81");
    if (mark.len > 4)
        return unsupported("the Metaspace replacement", mark, err);
    struct tok_splitter splitter = {
        .kind = TOK_SPLIT_METASPACE,
        .find = {.pattern = TOK_PAT_TEXT, .text = vz_arena_copy(&t->arena, mark)},
        .behavior = TOK_WITH_NEXT,
        .prefix = flag_of(entry, "add_prefix_space", true) && !vz_slice_is(scheme, "never"),
        .first = vz_slice_is(scheme, "first"),
        .split = flag_of(entry, "split", true)};
    return splitter_add(t, splitter, err);
}

static enum vz_status split_read(struct vz_tokenizer *t, struct vz_json entry, struct vz_error *err)
{
    struct tok_splitter splitter = {.invert = flag_of(entry, "invert", false)};
    enum vz_status status = pattern_read(t, entry, &splitter.find, err);
    if (status == VZ_OK)
        status = behavior_read(entry, &splitter.behavior, err);
    return status == VZ_OK ? splitter_add(t, splitter, err) : status;
}

enum vz_status tok_splitters_read(struct vz_tokenizer *t, struct vz_json entry,
                                  struct vz_error *err)
{
    if (vz_json_type(entry) == VZ_JSON_NULL || vz_json_type(entry) == VZ_JSON_MISSING)
        return VZ_OK;
    struct vz_slice type = text_of(entry, "type");
    enum vz_status status;
    if (vz_slice_is(type, "Sequence"))
        return sequence_read(t, entry, "pretokenizers", tok_splitters_read, err);
    if (vz_slice_is(type, "BertPreTokenizer")) {
        status = class_add(t, TOK_SPACE, TOK_REMOVED, err);
        return status == VZ_OK ? class_add(t, TOK_PUNCT, TOK_ISOLATED, err) : status;
    }
    if (vz_slice_is(type, "WhitespaceSplit"))
        return class_add(t, TOK_SPACE, TOK_REMOVED, err);
    if (vz_slice_is(type, "Punctuation")) {
        enum tok_behavior behavior;
        status = behavior_read(entry, &behavior, err);
        return status == VZ_OK ? class_add(t, TOK_PUNCT, behavior, err) : status;
    }
    if (vz_slice_is(type, "Digits"))
        return class_add(t, TOK_NUMERIC,
                         flag_of(entry, "individual_digits", false) ? TOK_ISOLATED : TOK_CONTIGUOUS,
                         err);
    if (vz_slice_is(type, "Whitespace")) {
        struct tok_splitter words = {
            .find = {.pattern = TOK_PAT_WORDS}, .behavior = TOK_REMOVED, .invert = true};
        return splitter_add(t, words, err);
    }
    if (vz_slice_is(type, "CharDelimiterSplit")) {
        struct vz_slice delimiter = text_of(entry, "delimiter");
        struct tok_splitter at = {
            .find = {.pattern = TOK_PAT_TEXT, .text = vz_arena_copy(&t->arena, delimiter)},
            .behavior = TOK_REMOVED};
        return delimiter.len ? splitter_add(t, at, err)
                             : vz_fail(err, VZ_CORRUPT, "CharDelimiterSplit without a delimiter");
    }
    if (vz_slice_is(type, "ByteLevel")) {
        struct tok_splitter bytes = {.kind = TOK_SPLIT_BYTES,
                                     .prefix = flag_of(entry, "add_prefix_space", true),
                                     .split = flag_of(entry, "use_regex", true)};
        return splitter_add(t, bytes, err);
    }
    if (vz_slice_is(type, "Metaspace"))
        return metaspace_read(t, entry, err);
    return vz_slice_is(type, "Split") ? split_read(t, entry, err)
                                      : unsupported("pre-tokenizer", type, err);
}

/* ---- templates
 * ----------------------------------------------------------------------------------- */

static enum vz_status item_add(struct tok_template *to, enum tok_item_kind kind, int64_t type,
                               uint32_t id, struct vz_error *err)
{
    if (to->count == TOK_MAX_ITEMS || type < 0 || type > 255)
        return vz_fail(err, VZ_UNSUPPORTED, "a template of more than %d tokens or 255 types",
                       TOK_MAX_ITEMS);
    to->items[to->count++] = (struct tok_item){kind, (uint8_t)type, id};
    to->specials += kind == TOK_ITEM_SPECIAL;
    return VZ_OK;
}

/* All ids that the template's special token stands for. */
static enum vz_status special_add(struct tok_template *to, struct vz_json tokens,
                                  struct vz_slice name, int64_t type, struct vz_error *err)
{
    struct vz_slice key;
    struct vz_json token, ids, id;
    struct vz_json_iter it = vz_json_iterate(tokens);
    while (vz_json_next(&it, &key, &token)) {
        if (!vz_slice_eq(key, name) || !vz_json_get(token, "ids", &ids))
            continue;
        struct vz_json_iter each = vz_json_iterate(ids);
        while (vz_json_next(&each, NULL, &id)) {
            int64_t number = vz_json_int(id);
            if (vz_json_type(id) != VZ_JSON_INT || number < 0 || number >= TOK_NONE)
                return vz_fail(err, VZ_CORRUPT, "the template's token [%.*s] has no id",
                               (int)VZ_MIN(name.len, 100), name.ptr);
            enum vz_status status = item_add(to, TOK_ITEM_SPECIAL, type, (uint32_t)number, err);
            if (status != VZ_OK)
                return status;
        }
        return VZ_OK;
    }
    return vz_fail(err, VZ_CORRUPT, "the template's token [%.*s] is not described",
                   (int)VZ_MIN(name.len, 100), name.ptr);
}

static enum vz_status template_read(struct tok_template *to, struct vz_json list,
                                    struct vz_json tokens, struct vz_error *err)
{
    struct vz_json piece, inner, type = {0};
    struct vz_json_iter it = vz_json_iterate(list);
    enum vz_status status = VZ_OK;
    while (status == VZ_OK && vz_json_next(&it, NULL, &piece)) {
        if (vz_json_get(piece, "SpecialToken", &inner)) {
            vz_json_get(inner, "type_id", &type);
            status = special_add(to, tokens, text_of(inner, "id"), vz_json_int(type), err);
        } else if (vz_json_get(piece, "Sequence", &inner)) {
            vz_json_get(inner, "type_id", &type);
            bool is_b = vz_slice_is(text_of(inner, "id"), "B");
            status = item_add(to, is_b ? TOK_ITEM_B : TOK_ITEM_A, vz_json_int(type), 0, err);
        } else {
            status = vz_fail(err, VZ_CORRUPT, "a template's piece is neither text nor token");
        }
    }
    return status;
}

/* ["[SEP]", 102] */
static bool token_pair(struct vz_json entry, const char *key, uint32_t *id)
{
    struct vz_json pair, text, number;
    if (!vz_json_get(entry, key, &pair))
        return false;
    struct vz_json_iter it = vz_json_iterate(pair);
    if (!vz_json_next(&it, NULL, &text) || !vz_json_next(&it, NULL, &number) ||
        vz_json_type(number) != VZ_JSON_INT)
        return false;
    int64_t value = vz_json_int(number);
    *id = (uint32_t)value;
    return value >= 0 && value < TOK_NONE;
}

/* [CLS] A [SEP] B [SEP] with types 0 and 1; RoBERTa has two [SEP] between and no types. */
static enum vz_status classic_read(struct vz_tokenizer *t, struct vz_json entry, bool is_roberta,
                                   struct vz_error *err)
{
    uint32_t cls, sep;
    if (!token_pair(entry, "cls", &cls) || !token_pair(entry, "sep", &sep))
        return vz_fail(err, VZ_CORRUPT, "the post-processor has no cls and sep");
    uint8_t second = !is_roberta;
    t->single = (struct tok_template){
        {{TOK_ITEM_SPECIAL, 0, cls}, {TOK_ITEM_A, 0, 0}, {TOK_ITEM_SPECIAL, 0, sep}}, 3, 2};
    t->pair = t->single;
    t->pair.specials = 3;
    if (is_roberta) {
        t->pair.items[t->pair.count++] = (struct tok_item){TOK_ITEM_SPECIAL, 0, sep};
        t->pair.specials++;
    }
    t->pair.items[t->pair.count++] = (struct tok_item){TOK_ITEM_B, second, 0};
    t->pair.items[t->pair.count++] = (struct tok_item){TOK_ITEM_SPECIAL, second, sep};
    return VZ_OK;
}

enum vz_status tok_templates_read(struct vz_tokenizer *t, struct vz_json entry,
                                  struct vz_error *err)
{
    if (!t->single.count) { /* as without a post-processor */
        item_add(&t->single, TOK_ITEM_A, 0, 0, err);
        item_add(&t->pair, TOK_ITEM_A, 0, 0, err);
        item_add(&t->pair, TOK_ITEM_B, 1, 0, err);
    }
    if (vz_json_type(entry) == VZ_JSON_NULL || vz_json_type(entry) == VZ_JSON_MISSING)
        return VZ_OK;
    struct vz_slice type = text_of(entry, "type");
    if (vz_slice_is(type, "ByteLevel")) /* offsets only */
        return VZ_OK;
    if (vz_slice_is(type, "Sequence"))
        return sequence_read(t, entry, "processors", tok_templates_read, err);
    if (t->single.specials)
        return vz_fail(err, VZ_UNSUPPORTED, "two post-processors that add tokens");
    if (vz_slice_is(type, "RobertaProcessing") || vz_slice_is(type, "BertProcessing"))
        return classic_read(t, entry, vz_slice_is(type, "RobertaProcessing"), err);
    if (!vz_slice_is(type, "TemplateProcessing"))
        return unsupported("post-processor", type, err);
    struct vz_json single = {0}, pair = {0}, tokens = {0};
    vz_json_get(entry, "single", &single);
    vz_json_get(entry, "pair", &pair);
    vz_json_get(entry, "special_tokens", &tokens);
    t->single = t->pair = (struct tok_template){0};
    enum vz_status status = template_read(&t->single, single, tokens, err);
    return status == VZ_OK ? template_read(&t->pair, pair, tokens, err) : status;
}
