/* The thai tokenizer: words by ICU's dictionary. Lucene uses Java's, whose dictionary is older: now
 * and then the two cut a compound differently. */
#include "text/analysis_parts.h"

#include <unicode/ubrk.h>
#include <unicode/utext.h>

static enum vz_status run_thai(const struct vz_tokenizer *tokenizer, const struct vz_source *source,
                               struct vz_tokens *tokens, struct vz_error *err)
{
    struct vz_utf16 cursor = {.source = source};
    struct vz_slice text = source->text;
    UErrorCode code = U_ZERO_ERROR;
    UText utext = UTEXT_INITIALIZER;
    enum vz_status status = VZ_OK;
    utext_openUTF8(&utext, text.ptr ? text.ptr : "", (int64_t)text.len, &code);
    UBreakIterator *words = ubrk_open(UBRK_WORD, "th", NULL, 0, &code);
    if (U_SUCCESS(code))
        ubrk_setUText(words, &utext, &code);
    if (U_FAILURE(code))
        status = vz_fail(err, VZ_UNSUPPORTED, "no Thai words in this ICU: %s", u_errorName(code));
    int32_t from = 0;
    while (status == VZ_OK) {
        int32_t to = ubrk_next(words);
        if (to == UBRK_DONE)
            break;
        size_t at = (size_t)from;
        if (u_isalnum(vz_next_char(text, &at))) {
            struct vz_token *token = vz_tokens_push(tokens);
            token->text = (struct vz_slice){text.ptr + from, (size_t)(to - from)};
            token->start = vz_offset_at(&cursor, (size_t)from);
            token->end = vz_offset_at(&cursor, (size_t)to);
            if (tokens->count % 1024 == 0)
                status = vz_tokens_check(tokens, err);
        }
        from = to;
    }
    if (words)
        ubrk_close(words);
    utext_close(&utext);
    tokens->end_offset = vz_offset_at(&cursor, text.len);
    return status == VZ_OK ? vz_tokens_check(tokens, err) : status;
}

enum vz_status vz_thai_make(const struct vz_making *making, struct vz_tokenizer *out,
                            struct vz_error *err)
{
    out->run = run_thai;
    return vz_making_check(making, "", err);
}
