/* embed/tokenizer.c - opening a tokenizer; one text, or two, to ids.
 *
 * The order of things is tokenizers': added tokens that are not normalized are cut out of the raw
 * text; what is left is normalized, and cut at the other added tokens; the pieces go through the
 * splitters to the model. Then the ids are cut to fit and put into the template.
 */
#include "embed/tokenizer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "embed/tokenizer_parts.h"

#define MAX_FILE_BYTES (128u << 20)
/* Some configurations say 10^30 for "no limit". */
#define MAX_LIMIT (1 << 20)
#define CLIP_TOKENS 77
#define OTHER_TOKENS 512

/* ---- a run
 * --------------------------------------------------------------------------------------- */

void tok_run_add(struct tok_run *run, uint32_t id)
{
    if (run->count == run->capacity) {
        size_t capacity = run->capacity ? run->capacity * 2 : 64;
        uint32_t *grown = realloc(run->ids, capacity * sizeof *grown);
        if (!grown) {
            run->is_broke = true;
            return;
        }
        run->ids = grown;
        run->capacity = capacity;
    }
    run->ids[run->count++] = id;
}

void tok_run_append(struct tok_run *run, struct vz_buf *out, const char *text, size_t len)
{
    if (len > TOK_MAX_WORK_BYTES - VZ_MIN(out->len, TOK_MAX_WORK_BYTES))
        run->is_cut = true;
    else
        vz_buf_append(out, text, len);
}

void *tok_run_scratch(struct tok_run *run, size_t count, size_t bytes)
{
    size_t need;
    if (vz_mul_overflow(count, bytes, &need)) {
        run->is_broke = true;
        return NULL;
    }
    if (need > run->scratch_bytes) {
        free(run->scratch);
        run->scratch = vz_try_alloc(need, 2);
        run->scratch_bytes = run->scratch ? need * 2 : 0;
        run->is_broke |= !run->scratch;
    }
    return run->scratch;
}

void tok_run_deinit(struct tok_run *run)
{
    free(run->ids);
    free(run->scratch);
    for (size_t i = 0; i < VZ_COUNT_OF(run->work); i++)
        vz_buf_deinit(&run->work[i]);
    for (size_t i = 0; i < TOK_MAX_STAGES; i++) {
        vz_buf_deinit(&run->rewritten[i]);
        free(run->spans[i]);
    }
    vz_buf_deinit(&run->mended);
}

/* ---- added tokens
 * -------------------------------------------------------------------------------- */

static size_t spaces_before(struct vz_slice text, size_t end)
{
    while (end > 0 && tok_class_of(tok_before(text.ptr, end)) & TOK_SPACE) {
        end--;
        while (((unsigned char)text.ptr[end] & 0xC0) == 0x80)
            end--;
    }
    return end;
}

static size_t spaces_behind(struct vz_slice text, size_t at)
{
    for (size_t next = at; at < text.len; at = next)
        if (!(tok_class_of(tok_next(text.ptr, &next)) & TOK_SPACE))
            break;
    return at;
}

static bool stands_alone(struct vz_slice text, size_t start, size_t end)
{
    size_t at = end;
    return (start == 0 || !(tok_class_of(tok_before(text.ptr, start)) & TOK_WORD)) &&
           (end == text.len || !(tok_class_of(tok_next(text.ptr, &at)) & TOK_WORD));
}

/* The leftmost added token at or after `from`, the longest there. */
static const struct tok_added *added_find(const struct vz_tokenizer *t, const struct tok_trie *trie,
                                          struct vz_slice text, size_t from, size_t *start,
                                          size_t *end)
{
    for (*start = from; trie->slots && *start < text.len; ++*start) {
        uint32_t node = TOK_TRIE_ROOT, found = TOK_NONE;
        for (size_t i = *start; i < text.len;) {
            node = tok_trie_step(trie, node, (unsigned char)text.ptr[i++]);
            if (node == TOK_NONE)
                break;
            if (trie->values[node] != TOK_NONE) {
                found = trie->values[node];
                *end = i;
            }
        }
        if (found != TOK_NONE)
            return &t->added[found];
    }
    return NULL;
}

/* Hands the text between added tokens to `plain`, and the tokens' ids to the run. */
static void added_split(struct tok_run *run, const struct tok_trie *trie, struct vz_slice text,
                        bool is_first,
                        void (*plain)(struct tok_run *run, struct vz_slice part, bool is_first))
{
    const struct tok_added *added;
    size_t done = 0, from = 0, start, end;
    while (!tok_run_full(run) &&
           (added = added_find(run->tokenizer, trie, text, from, &start, &end))) {
        from = end;
        if (added->single_word && !stands_alone(text, start, end))
            continue;
        if (added->lstrip)
            start = VZ_MAX(spaces_before(text, start), done);
        if (added->rstrip)
            end = spaces_behind(text, end);
        if (done < start)
            plain(run, (struct vz_slice){text.ptr + done, start - done}, is_first && done == 0);
        tok_run_add(run, added->id);
        done = end;
    }
    if (done < text.len && !tok_run_full(run))
        plain(run, (struct vz_slice){text.ptr + done, text.len - done}, is_first && done == 0);
}

static void split_plain(struct tok_run *run, struct vz_slice part, bool is_first)
{
    tok_split(run, 0, part, is_first);
}

static void normalize_plain(struct tok_run *run, struct vz_slice part, bool is_first)
{
    part = tok_normalize(run, part);
    added_split(run, &run->tokenizer->added_normalized, part, is_first && !run->starts_late,
                split_plain);
}

/* ---- a text
 * -------------------------------------------------------------------------------------- */

/* All ids of the text without special tokens; may stop when there are `enough`. */
static void run_text(struct tok_run *run, struct vz_slice text, size_t enough)
{
    size_t most = VZ_MAX((size_t)TOK_MAX_TEXT_BYTES, run->tokenizer->max_tokens * 64);
    run->enough = enough;
    if (text.len > most) {
        text.len = most;
        run->is_cut = true;
    }
    if (vz_utf8_valid_prefix(text.ptr, text.len) != text.len) {
        tok_utf8_mend(text, &run->mended);
        text = vz_buf_slice(&run->mended);
    }
    if (text.len)
        added_split(run, &run->tokenizer->added_raw, text, true, normalize_plain);
}

/* The template with the first a_count and b_count ids of the two texts. */
static void template_fill(const struct tok_template *template, const struct tok_run *a,
                          size_t a_count, const struct tok_run *b, size_t b_count,
                          struct vz_arena *arena, struct vz_tokens *tokens, uint8_t **types)
{
    size_t most = template->specials, count = 0;
    for (size_t i = 0; i < template->count; i++) {
        most += template->items[i].kind == TOK_ITEM_A ? a_count : 0;
        most += template->items[i].kind == TOK_ITEM_B ? b_count : 0;
    }
    tokens->ids = vz_arena_alloc(arena, (most + 1) * sizeof *tokens->ids);
    uint8_t *type = vz_arena_alloc(arena, most + 1);
    for (size_t i = 0; i < template->count; i++) {
        const struct tok_item *item = &template->items[i];
        const uint32_t *ids = item->kind == TOK_ITEM_SPECIAL ? &item->id
                              : item->kind == TOK_ITEM_A     ? a->ids
                                                             : b->ids;
        size_t len = item->kind == TOK_ITEM_SPECIAL ? 1
                     : item->kind == TOK_ITEM_A     ? a_count
                                                    : b_count;
        if (len)
            memcpy(tokens->ids + count, ids, len * sizeof *ids);
        memset(type + count, item->type, len);
        count += len;
    }
    tokens->count = count;
    if (types)
        *types = type;
}

enum vz_status vz_tokenize(const struct vz_tokenizer *tokenizer, struct vz_slice text,
                           struct vz_arena *arena, struct vz_tokens *tokens, struct vz_error *err)
{
    struct tok_run run = {.tokenizer = tokenizer};
    size_t room = tokenizer->max_tokens - tokenizer->single.specials;
    run_text(&run, text, room + 1);
    bool is_broke = run.is_broke;
    if (!is_broke) {
        tokens->is_truncated = run.is_cut || run.count > room;
        template_fill(&tokenizer->single, &run, VZ_MIN(run.count, room), NULL, 0, arena, tokens,
                      NULL);
    }
    tok_run_deinit(&run);
    return is_broke ? vz_fail(err, VZ_BUDGET, "out of memory for a text of %zu bytes", text.len)
                    : VZ_OK;
}

/* tokenizers' "longest first": the shorter text keeps all it has unless it is over half. */
static void pair_cut(size_t room, enum vz_cut cut, size_t *a, size_t *b)
{
    if (*a + *b <= room)
        return;
    if (cut != VZ_CUT_LONGER) {
        size_t *kept = cut == VZ_CUT_FIRST ? b : a, *short_one = cut == VZ_CUT_FIRST ? a : b;
        *kept = VZ_MIN(*kept, room);
        *short_one = room - *kept;
        return;
    }
    size_t *shorter = *a <= *b ? a : b, *longer = *a <= *b ? b : a;
    *longer = *shorter > room ? *shorter : VZ_MAX(*shorter, room - *shorter);
    if (*a + *b > room) {
        *shorter = room / 2;
        *longer = room / 2 + room % 2;
    }
}

enum vz_status vz_tokenize_pair(const struct vz_tokenizer *tokenizer, struct vz_slice a,
                                struct vz_slice b, enum vz_cut cut, struct vz_arena *arena,
                                struct vz_tokens *tokens, uint8_t **type_ids, struct vz_error *err)
{
    struct tok_run run_a = {.tokenizer = tokenizer}, run_b = {.tokenizer = tokenizer};
    size_t room = tokenizer->max_tokens - tokenizer->pair.specials;
    /* Which text is the longer one shows only when both are done. */
    run_text(&run_a, a, SIZE_MAX);
    run_text(&run_b, b, SIZE_MAX);
    bool is_broke = run_a.is_broke || run_b.is_broke;
    if (!is_broke) {
        size_t a_count = run_a.count, b_count = run_b.count;
        pair_cut(room, cut, &a_count, &b_count);
        tokens->is_truncated =
            run_a.is_cut || run_b.is_cut || a_count < run_a.count || b_count < run_b.count;
        template_fill(&tokenizer->pair, &run_a, a_count, &run_b, b_count, arena, tokens, type_ids);
    }
    tok_run_deinit(&run_a);
    tok_run_deinit(&run_b);
    return is_broke ? vz_fail(err, VZ_BUDGET, "out of memory for texts of %zu and %zu bytes", a.len,
                              b.len)
                    : VZ_OK;
}

/* ---- opening
 * ------------------------------------------------------------------------------------- */

static enum vz_status pipeline_read(struct vz_tokenizer *t, struct vz_json root,
                                    struct vz_error *err)
{
    struct vz_json normalizer = {0}, splitter = {0}, processor = {0}, model = {0}, added = {0};
    vz_json_get(root, "normalizer", &normalizer);
    vz_json_get(root, "pre_tokenizer", &splitter);
    vz_json_get(root, "post_processor", &processor);
    vz_json_get(root, "model", &model);
    vz_json_get(root, "added_tokens", &added);
    enum vz_status status = tok_normalizers_read(t, normalizer, err);
    if (status == VZ_OK)
        status = tok_splitters_read(t, splitter, err);
    if (status == VZ_OK)
        status = tok_templates_read(t, processor, err);
    if (status == VZ_OK)
        status = tok_model_read(t, model, err);
    return status == VZ_OK ? tok_added_read(t, added, err) : status;
}

static int64_t number_of(struct vz_json object, const char *path)
{
    struct vz_json value;
    if (!vz_json_get_path(object, path, &value) || !vz_json_is_number(value))
        return 0;
    int64_t number = vz_json_int(value);
    return number > 0 && number <= MAX_LIMIT ? number : 0;
}

static enum vz_status limit_set(struct vz_tokenizer *t, size_t wanted, struct vz_json root,
                                struct vz_json config, struct vz_error *err)
{
    struct vz_json direction;
    if (vz_json_get_path(root, "truncation.direction", &direction) &&
        vz_slice_is(vz_json_string(direction), "Left"))
        return vz_fail(err, VZ_UNSUPPORTED, "truncation from the left");
    int64_t limit = (int64_t)VZ_MIN(wanted, (size_t)MAX_LIMIT);
    if (!limit)
        limit = number_of(config, "model_max_length");
    if (!limit)
        limit = number_of(root, "truncation.max_length");
    if (!limit)
        limit = t->model.suffix.len ? CLIP_TOKENS : OTHER_TOKENS;
    size_t specials = VZ_MAX(t->single.specials, t->pair.specials);
    if ((size_t)limit <= specials)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "%" PRId64 " tokens leave no room for a text beside "
                       "%zu special ones",
                       limit, specials);
    t->max_tokens = (size_t)limit;
    return VZ_OK;
}

/* Ids of the templates must be ids at all: what comes out is an index into an embedding table. */
static enum vz_status templates_check(const struct vz_tokenizer *t, struct vz_error *err)
{
    const struct tok_template *both[] = {&t->single, &t->pair};
    for (size_t k = 0; k < VZ_COUNT_OF(both); k++)
        for (size_t i = 0; i < both[k]->count; i++)
            if (both[k]->items[i].kind == TOK_ITEM_SPECIAL &&
                both[k]->items[i].id >= t->vocab_count)
                return vz_fail(err, VZ_CORRUPT, "the template's id %" PRIu32 " is no token's",
                               both[k]->items[i].id);
    return VZ_OK;
}

/* Parses FOLDER/NAME if it is there; *doc is NULL when it is not. */
static enum vz_status json_open(const char *folder, const char *name, struct vz_json_doc **doc,
                                struct vz_json *root, struct vz_error *err)
{
    struct vz_buf path = {0}, text = {0};
    struct vz_error why = {0};
    enum vz_status status = VZ_OK;
    vz_buf_printf(&path, "%s/%s", folder, name);
    if (access(path.data, F_OK) == 0) {
        status = vz_file_read(path.data, MAX_FILE_BYTES, &text, err);
        if (status == VZ_OK && vz_json_parse(vz_buf_slice(&text), doc, root, &why) != VZ_OK)
            status = vz_fail(err, why.status == VZ_BUDGET ? VZ_BUDGET : VZ_CORRUPT, "%s: %s",
                             path.data, why.text);
    }
    vz_buf_deinit(&path);
    vz_buf_deinit(&text);
    return status;
}

enum vz_status tok_open_json(struct vz_json root, struct vz_json config, const char *folder,
                             size_t max_tokens, struct vz_tokenizer **out, struct vz_error *err)
{
    struct vz_error why = {0};
    struct vz_tokenizer *t = vz_calloc(1, sizeof *t);
    tok_classes_init();
    enum vz_status status = pipeline_read(t, root, &why);
    if (status == VZ_OK)
        status = templates_check(t, &why);
    if (status == VZ_OK)
        status = limit_set(t, max_tokens, root, config, &why);
    if (status != VZ_OK) {
        vz_tokenizer_free(t);
        return vz_fail(err, status, "the tokenizer in %s: %s", folder, why.text);
    }
    *out = t;
    return VZ_OK;
}

enum vz_status vz_tokenizer_open(const char *folder, size_t max_tokens, struct vz_tokenizer **out,
                                 struct vz_error *err)
{
    struct vz_json_doc *config_doc = NULL, *doc = NULL;
    struct vz_json config = {0}, root = {0};
    struct vz_buf written = {0};
    struct vz_error why = {0};
    *out = NULL;
    enum vz_status status = json_open(folder, "tokenizer_config.json", &config_doc, &config, err);
    if (status == VZ_OK)
        status = json_open(folder, "tokenizer.json", &doc, &root, err);
    if (status == VZ_OK && !doc) {
        status = tok_legacy_write(folder, config, &written, err);
        if (status == VZ_OK && vz_json_parse(vz_buf_slice(&written), &doc, &root, &why) != VZ_OK)
            status = vz_fail(err, VZ_CORRUPT, "the vocabulary in %s: %s", folder, why.text);
    }
    if (status == VZ_OK)
        status = tok_open_json(root, config, folder, max_tokens, out, err);
    vz_json_free(doc);
    vz_json_free(config_doc);
    vz_buf_deinit(&written);
    return status;
}

void vz_tokenizer_free(struct vz_tokenizer *tokenizer)
{
    if (!tokenizer)
        return;
    tok_model_deinit(&tokenizer->model);
    tok_trie_deinit(&tokenizer->added_raw);
    tok_trie_deinit(&tokenizer->added_normalized);
    free(tokenizer->texts);
    free(tokenizer->added);
    vz_arena_deinit(&tokenizer->arena);
    free(tokenizer);
}

size_t vz_tokenizer_max_tokens(const struct vz_tokenizer *tokenizer)
{
    return tokenizer->max_tokens;
}

uint32_t vz_tokenizer_vocab_count(const struct vz_tokenizer *tokenizer)
{
    return tokenizer->vocab_count;
}

struct vz_slice vz_token_text(const struct vz_tokenizer *tokenizer, uint32_t id)
{
    return id < tokenizer->vocab_count ? tokenizer->texts[id] : (struct vz_slice){NULL, 0};
}
