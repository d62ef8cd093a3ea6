/* Running a chain: char filters, the tokenizer, token filters; offsets and positions. */
#include "text/analysis_parts.h"

#include <stdlib.h>

/* What any text may give, and what more a longer one. */
#define SOME_TOKENS ((size_t)1 << 20)
#define TOKENS_PER_BYTE 32
#define SOME_TOKEN_BYTES ((size_t)64 << 20)
#define BYTES_PER_BYTE 64

static const char *const type_names[] = {
    [VZ_TOKEN_WORD] = "word",
    [VZ_TOKEN_ALPHANUM] = "<ALPHANUM>",
    [VZ_TOKEN_NUM] = "<NUM>",
    [VZ_TOKEN_SOUTHEAST_ASIAN] = "<SOUTHEAST_ASIAN>",
    [VZ_TOKEN_IDEOGRAPHIC] = "<IDEOGRAPHIC>",
    [VZ_TOKEN_HIRAGANA] = "<HIRAGANA>",
    [VZ_TOKEN_KATAKANA] = "<KATAKANA>",
    [VZ_TOKEN_HANGUL] = "<HANGUL>",
    [VZ_TOKEN_EMOJI] = "<EMOJI>",
    [VZ_TOKEN_URL] = "<URL>",
    [VZ_TOKEN_EMAIL] = "<EMAIL>",
    [VZ_TOKEN_SYNONYM] = "SYNONYM",
    [VZ_TOKEN_SHINGLE] = "shingle",
    [VZ_TOKEN_FINGERPRINT] = "fingerprint",
    [VZ_TOKEN_SINGLE] = "<SINGLE>",
    [VZ_TOKEN_DOUBLE] = "<DOUBLE>",
};

const char *vz_token_type_name(enum vz_token_type type)
{
    return (size_t)type < VZ_COUNT_OF(type_names) ? type_names[type] : "word";
}

/* ---- tokens -----------------------------------------------------------------------------------
 */

void vz_tokens_deinit(struct vz_tokens *tokens)
{
    free(tokens->items);
    vz_arena_deinit(&tokens->arena);
    *tokens = (struct vz_tokens){0};
}

struct vz_token *vz_tokens_push(struct vz_tokens *tokens)
{
    if (tokens->count == tokens->capacity) {
        tokens->capacity = tokens->capacity ? tokens->capacity * 2 : 64;
        tokens->items = vz_realloc(tokens->items, tokens->capacity * sizeof *tokens->items);
    }
    struct vz_token *token = &tokens->items[tokens->count++];
    *token = (struct vz_token){.increment = 1, .position_length = 1};
    return token;
}

enum vz_status vz_tokens_check(const struct vz_tokens *tokens, struct vz_error *err)
{
    size_t bytes = tokens->max_bytes ? tokens->max_bytes : VZ_MAX_TOKEN_BYTES;
    if (tokens->count > vz_tokens_limit(tokens))
        return vz_fail(err, VZ_LIMIT, "the text gives more than [%zu] tokens",
                       vz_tokens_limit(tokens));
    if (tokens->arena.total_bytes > bytes)
        return vz_fail(err, VZ_LIMIT, "the tokens of the text need more than [%zu] bytes", bytes);
    return VZ_OK;
}

void vz_tokens_swap_items(struct vz_tokens *tokens, struct vz_tokens *scratch)
{
    struct vz_token *items = tokens->items;
    size_t capacity = tokens->capacity;
    tokens->items = scratch->items;
    tokens->count = scratch->count;
    tokens->capacity = scratch->capacity;
    scratch->items = items;
    scratch->count = 0;
    scratch->capacity = capacity;
}

void vz_tokens_keep(struct vz_tokens *tokens, vz_token_test *keep, const void *config)
{
    size_t kept = 0;
    uint32_t skipped = 0;
    for (size_t i = 0; i < tokens->count; i++) {
        struct vz_token *token = &tokens->items[i];
        if (!keep(config, token)) {
            skipped += token->increment;
            continue;
        }
        token->increment += skipped;
        skipped = 0;
        if (kept != i)
            tokens->items[kept] = *token;
        kept++;
    }
    tokens->count = kept;
    tokens->end_increment += skipped;
}

/* ---- characters and offsets -------------------------------------------------------------------
 */

bool vz_text_is_ascii(struct vz_slice text)
{
    size_t i = 0;
    uint64_t any = 0;
    for (; i + 8 <= text.len; i += 8) {
        uint64_t word;
        memcpy(&word, text.ptr + i, 8);
        any |= word;
    }
    for (; i < text.len; i++)
        any |= (uint64_t)(unsigned char)text.ptr[i] << 56;
    return (any & 0x8080808080808080ull) == 0;
}

size_t vz_char_count(struct vz_slice text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += ((unsigned char)text.ptr[i] & 0xC0) != 0x80;
    return count;
}

size_t vz_unit_count(struct vz_slice text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        count += (c & 0xC0) != 0x80;
        count += c >= 0xF0;
    }
    return count;
}

size_t vz_char_offset(struct vz_slice text, size_t chars)
{
    size_t at = 0;
    for (; at < text.len && chars; chars--) {
        at++;
        while (at < text.len && ((unsigned char)text.ptr[at] & 0xC0) == 0x80)
            at++;
    }
    return at;
}

size_t vz_utf16_at(struct vz_utf16 *cursor, size_t byte)
{
    if (cursor->source->ascii)
        return byte;
    if (byte < cursor->byte)
        cursor->byte = cursor->unit = 0;
    const char *text = cursor->source->text.ptr;
    cursor->unit += vz_unit_count((struct vz_slice){text + cursor->byte, byte - cursor->byte});
    cursor->byte = byte;
    return cursor->unit;
}

void vz_offset_map_add(struct vz_offset_map *map, struct vz_arena *arena, size_t at, int64_t more)
{
    if (map->count && map->steps[map->count - 1].at == (uint32_t)at) {
        map->steps[map->count - 1].more = (int32_t)more;
        return;
    }
    if (map->count == map->capacity) {
        size_t capacity = map->capacity ? map->capacity * 2 : 16;
        struct offset_step *grown = vz_arena_alloc(arena, capacity * sizeof *grown);
        if (map->count)
            memcpy(grown, map->steps, map->count * sizeof *grown);
        map->steps = grown;
        map->capacity = capacity;
    }
    map->steps[map->count++] = (struct offset_step){(uint32_t)at, (int32_t)more};
}

uint32_t vz_offset_correct(const struct vz_source *source, size_t unit)
{
    for (unsigned m = source->map_count; m > 0; m--) {
        const struct vz_offset_map *map = &source->maps[m - 1];
        size_t low = 0, high = map->count;
        while (low < high) { /* the first step behind `unit` */
            size_t middle = low + (high - low) / 2;
            if (map->steps[middle].at <= unit)
                low = middle + 1;
            else
                high = middle;
        }
        if (low)
            unit = (size_t)((int64_t)unit + map->steps[low - 1].more);
    }
    return (uint32_t)unit;
}

uint32_t vz_offset_at(struct vz_utf16 *cursor, size_t byte)
{
    size_t unit = vz_utf16_at(cursor, byte);
    return cursor->source->map_count ? vz_offset_correct(cursor->source, unit) : (uint32_t)unit;
}

/* ---- chains -----------------------------------------------------------------------------------
 */

/* Increments to positions. The first token of a text is never before position 0. */
static void place(struct vz_tokens *tokens)
{
    uint32_t position = UINT32_MAX;
    for (size_t i = 0; i < tokens->count; i++) {
        struct vz_token *token = &tokens->items[i];
        position += token->increment;
        if (i == 0 && token->increment == 0)
            position = 0;
        token->position = position;
    }
    tokens->end_position = position + 1 + tokens->end_increment;
}

static void keyword_token(const struct vz_source *source, struct vz_tokens *tokens)
{
    struct vz_utf16 cursor = {source, 0, 0};
    tokens->end_offset = vz_offset_at(&cursor, source->text.len);
    struct vz_token *token = vz_tokens_push(tokens);
    token->text = source->text;
    token->end = tokens->end_offset;
}

/* Filters that make several of one do so again and again in a chain: a few characters would be as
 * much as a text may ever be. */
static void limit(struct vz_tokens *tokens, size_t len)
{
    tokens->max_count = VZ_MIN(VZ_MAX_TOKENS, SOME_TOKENS + len * TOKENS_PER_BYTE);
    tokens->max_bytes = VZ_MIN(VZ_MAX_TOKEN_BYTES, SOME_TOKEN_BYTES + len * BYTES_PER_BYTE);
}

enum vz_status vz_analyzer_run(const struct vz_analyzer *analyzer, struct vz_slice text,
                               struct vz_tokens *tokens, vz_analyze_watch *watch, void *context,
                               struct vz_error *err)
{
    struct vz_source source = {.text = text};
    enum vz_status status = VZ_OK;
    if (text.len > UINT32_MAX / 4)
        return vz_fail(err, VZ_LIMIT, "a text of [%zu] bytes is too long to analyze", text.len);
    tokens->count = 0;
    tokens->end_increment = 0;
    tokens->end_position = 0;
    tokens->overlaps = false;
    vz_arena_reset(&tokens->arena);
    tokens->arena.total_bytes = 0;
    limit(tokens, text.len);
    source.max_bytes = tokens->max_bytes;
    if (analyzer->fast && !watch && vz_text_is_ascii(text)) {
        status = vz_standard_fast(text, analyzer->max_token_length, tokens, err);
        place(tokens);
        return status;
    }
    for (unsigned i = 0; i < analyzer->char_filter_count && status == VZ_OK; i++) {
        status =
            analyzer->char_filters[i]->run(analyzer->char_filters[i], &source, &tokens->arena, err);
        if (status == VZ_OK && source.text.len > UINT32_MAX / 4)
            status = vz_fail(err, VZ_LIMIT, "char filters made the text too long");
        if (status == VZ_OK && watch)
            watch(context, VZ_STAGE_CHAR_FILTER, analyzer->char_filters[i]->name, source.text,
                  NULL);
    }
    if (status != VZ_OK)
        return status;
    source.ascii = vz_text_is_ascii(source.text);
    if (analyzer->tokenizer)
        status = analyzer->tokenizer->run(analyzer->tokenizer, &source, tokens, err);
    else
        keyword_token(&source, tokens);
    if (status == VZ_OK)
        status = vz_tokens_check(tokens, err);
    if (status == VZ_OK && watch && analyzer->tokenizer) {
        place(tokens);
        watch(context, VZ_STAGE_TOKENIZER, analyzer->tokenizer->name, source.text, tokens);
    }
    for (unsigned i = 0; i < analyzer->filter_count && status == VZ_OK; i++) {
        status = analyzer->filters[i]->run(analyzer->filters[i], tokens, err);
        if (status == VZ_OK)
            status = vz_tokens_check(tokens, err);
        if (status == VZ_OK && watch) {
            place(tokens);
            watch(context, VZ_STAGE_FILTER, analyzer->filters[i]->name, source.text, tokens);
        }
    }
    place(tokens);
    return status;
}

enum vz_status vz_analyze(const struct vz_analyzer *analyzer, struct vz_slice text,
                          struct vz_tokens *tokens, struct vz_error *err)
{
    return vz_analyzer_run(analyzer, text, tokens, NULL, NULL, err);
}

enum vz_status vz_analyze_query(const struct vz_analyzer *analyzer, struct vz_slice text,
                                struct vz_tokens *tokens, struct vz_error *err)
{
    enum vz_status status = vz_analyze(analyzer, text, tokens, err);
    for (size_t i = 0; tokens->overlaps && i < tokens->count; i++)
        tokens->items[i].position_length = 1;
    return status;
}

enum vz_status vz_analyze_watched(const struct vz_analyzer *analyzer, struct vz_slice text,
                                  struct vz_tokens *tokens, vz_analyze_watch *watch, void *context,
                                  struct vz_error *err)
{
    return vz_analyzer_run(analyzer, text, tokens, watch, context, err);
}

enum vz_status vz_normalize(const struct vz_analyzer *analyzer, struct vz_slice text,
                            struct vz_arena *arena, struct vz_slice *out, struct vz_error *err)
{
    struct vz_analyzer only = {0};
    struct vz_tokens tokens = {0};
    memcpy(only.char_filters, analyzer->char_filters, sizeof only.char_filters);
    only.char_filter_count = analyzer->char_filter_count;
    for (unsigned i = 0; i < analyzer->filter_count; i++)
        if (analyzer->filters[i]->normalizes)
            only.filters[only.filter_count++] = analyzer->filters[i];
    enum vz_status status = vz_analyzer_run(&only, text, &tokens, NULL, NULL, err);
    if (status == VZ_OK)
        *out = tokens.count ? vz_arena_copy(arena, tokens.items[0].text) : (struct vz_slice){"", 0};
    vz_tokens_deinit(&tokens);
    return status;
}
