/* embed/tokenizer_normalize.c - text to text: case, accents, normal forms, replacements.
 *
 * Each step is tokenizers' normalizer of the same name. The normal forms are ICU's, restricted to
 * the characters of Unicode 9.0, because the library's own tables are of that age: a newer
 * character is left alone and divides what is left and right of it, as it does there (measured for
 * all characters, single and in pairs with marks).
 */
#include <pthread.h>
#include <stdlib.h>
#include <unicode/unorm2.h>
#include <unicode/uset.h>
#include <unicode/ustring.h>

#include "embed/tokenizer_parts.h"

/* ---- normal forms ------------------------------------------------------------------------------
 */

static const UNormalizer2 *forms[4];
static pthread_once_t forms_once = PTHREAD_ONCE_INIT;

/* Lives as long as the process, as ICU's own instances do. */
static void forms_make(void)
{
    static const UChar age[] = u"[:age=9.0:]";
    UErrorCode code = U_ZERO_ERROR;
    USet *known = uset_openPattern(age, (int32_t)VZ_COUNT_OF(age) - 1, &code);
    const UNormalizer2 *whole[4] = {unorm2_getNFCInstance(&code), unorm2_getNFDInstance(&code),
                                    unorm2_getNFKCInstance(&code), unorm2_getNFKDInstance(&code)};
    for (int i = 0; i < 4 && U_SUCCESS(code); i++)
        forms[i] = unorm2_openFiltered(whole[i], known, &code);
    if (U_FAILURE(code))
        memset(forms, 0, sizeof forms);
}

/* ASCII is in every form; below U+0300 everything is in NFC. */
static bool is_formed(struct vz_slice text, enum tok_form form)
{
    unsigned char limit = form == TOK_NFC ? 0xCC : 0x80;
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] >= limit)
            return false;
    return true;
}

static void form_apply(struct tok_run *run, enum tok_form form, struct vz_slice text,
                       struct vz_buf *out)
{
    /* UTF-16 has no more units than UTF-8 has bytes. */
    pthread_once(&forms_once, forms_make);
    UErrorCode code = U_ZERO_ERROR;
    int32_t length = 0, formed = 0, bytes = 0;
    UChar *wide = vz_try_alloc(text.len + 1, sizeof *wide), *made = NULL;
    if (wide && forms[form])
        u_strFromUTF8(wide, (int32_t)text.len + 1, &length, text.ptr, (int32_t)text.len, &code);
    else
        code = U_MEMORY_ALLOCATION_ERROR;
    int32_t capacity = length + length / 2 + 64;
    for (int tries = 0; tries < 2 && U_SUCCESS(code); tries++) {
        free(made);
        made = vz_try_alloc((size_t)capacity, sizeof *made);
        formed = made ? unorm2_normalize(forms[form], wide, length, made, capacity, &code) : 0;
        if (!made)
            code = U_MEMORY_ALLOCATION_ERROR;
        if (code != U_BUFFER_OVERFLOW_ERROR || tries)
            break;
        code = U_ZERO_ERROR;
        capacity = formed + 1;
    }
    char *utf8 = U_SUCCESS(code) ? vz_try_alloc((size_t)formed * 3 + 1, 1) : NULL;
    if (utf8)
        u_strToUTF8(utf8, formed * 3 + 1, &bytes, made, formed, &code);
    if (utf8 && U_SUCCESS(code))
        tok_run_append(run, out, utf8, (size_t)bytes);
    else
        run->is_broke = true;
    free(utf8);
    free(made);
    free(wide);
}

/* ---- characters --------------------------------------------------------------------------------
 */

/* Room for text of which no character grows to more than twice its bytes. */
static char *room(struct vz_buf *out, struct vz_slice text)
{
    vz_buf_reserve(out, text.len * 2 + 8);
    return out->data;
}

static void lower_apply(struct vz_slice text, struct vz_buf *out)
{
    char *to = room(out, text);
    for (size_t at = 0; at < text.len;) {
        unsigned char byte = (unsigned char)text.ptr[at];
        if (byte < 0x80) {
            *to++ = (char)(byte >= 'A' && byte <= 'Z' ? byte + 32 : byte);
            at++;
            continue;
        }
        uint32_t c = tok_next(text.ptr, &at);
        to += tok_put(c == 0x130 ? 'i' : tok_lower(c), to);
        if (c == 0x130) /* the one capital with two small characters */
            to += tok_put(0x307, to);
    }
    out->len = (size_t)(to - out->data);
}

static void without(struct tok_run *run, unsigned classes, struct vz_slice text, struct vz_buf *out)
{
    char *to = room(out, text);
    for (size_t at = 0; at < text.len;) {
        uint32_t c = tok_next(text.ptr, &at);
        if (!(tok_class_of(c) & classes))
            to += tok_put(c, to);
        else
            run->starts_late |= to == out->data;
    }
    out->len = (size_t)(to - out->data);
}

/* The ranges are BERT's, with its gap before U+2B920. */
static bool is_chinese(uint32_t c)
{
    return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) ||
           (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B73F) ||
           (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
           (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

static void clean_apply(struct tok_run *run, const struct tok_normalizer *n, struct vz_slice text,
                        struct vz_buf *out)
{
    char *to = room(out, text);
    for (size_t at = 0; at < text.len;) {
        uint32_t c = tok_next(text.ptr, &at);
        unsigned classes = n->clean ? tok_class_of(c) : 0;
        bool apart = n->chinese && c >= 0x3400 && is_chinese(c);
        if (classes & TOK_DROP) {
            run->starts_late |= to == out->data;
            continue;
        }
        if (apart)
            *to++ = ' ';
        to += tok_put(classes & TOK_SPACE ? ' ' : c, to);
        if (apart)
            *to++ = ' ';
    }
    out->len = (size_t)(to - out->data);
}

static void nmt_apply(struct tok_run *run, struct vz_slice text, struct vz_buf *out)
{
    char *to = room(out, text);
    for (size_t at = 0; at < text.len;) {
        uint32_t c = tok_next(text.ptr, &at);
        if ((c >= 1 && c <= 8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F || c == 0x8F ||
            c == 0x9F) {
            run->starts_late |= to == out->data;
            continue;
        }
        bool is_blank = c == 9 || c == 0xA || c == 0xC || c == 0xD || c == 0x1680 ||
                        (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 || c == 0x2581 ||
                        c == 0xFEFF || c == 0xFFFD;
        to += tok_put(is_blank ? ' ' : c, to);
    }
    out->len = (size_t)(to - out->data);
}

static void bytes_apply(struct vz_slice text, struct vz_buf *out)
{
    char *to = room(out, text);
    for (size_t i = 0; i < text.len; i++)
        to += tok_put(tok_byte_char[(unsigned char)text.ptr[i]], to);
    out->len = (size_t)(to - out->data);
}

/* ---- the other steps ---------------------------------------------------------------------------
 */

static void replace_apply(struct tok_run *run, const struct tok_normalizer *n, struct vz_slice text,
                          struct vz_buf *out)
{
    size_t done = 0, start, end;
    while (tok_match(&n->find, text, done, &start, &end)) {
        tok_run_append(run, out, text.ptr + done, start - done);
        tok_run_append(run, out, n->text.ptr, n->text.len);
        run->starts_late |= !out->len;
        done = end;
    }
    tok_run_append(run, out, text.ptr + done, text.len - done);
}

static struct vz_slice strip(struct tok_run *run, const struct tok_normalizer *n,
                             struct vz_slice text)
{
    size_t start = 0, end = text.len;
    while (n->left && start < end) {
        size_t at = start;
        if (!(tok_class_of(tok_next(text.ptr, &at)) & TOK_SPACE))
            break;
        start = at;
    }
    while (n->right && end > start && tok_class_of(tok_before(text.ptr, end)) & TOK_SPACE) {
        end--;
        while (((unsigned char)text.ptr[end] & 0xC0) == 0x80)
            end--;
    }
    run->starts_late |= start > 0;
    return (struct vz_slice){text.ptr + start, end - start};
}

/* One step from `text` to the empty `out`; what it gives lies in `out` or in `text`. */
static struct vz_slice step(struct tok_run *run, const struct tok_normalizer *n,
                            struct vz_slice text, struct vz_buf *out)
{
    switch (n->kind) {
    case TOK_NORM_CLEAN:
        clean_apply(run, n, text, out);
        break;
    case TOK_NORM_LOWER:
        lower_apply(text, out);
        break;
    case TOK_NORM_UNICODE:
        if (is_formed(text, n->form))
            return text;
        form_apply(run, n->form, text, out);
        break;
    case TOK_NORM_WITHOUT:
        without(run, n->classes, text, out);
        break;
    case TOK_NORM_REPLACE:
        replace_apply(run, n, text, out);
        break;
    case TOK_NORM_PREPEND:
        if (text.len)
            vz_buf_append_slice(out, n->text);
        vz_buf_append_slice(out, text);
        break;
    case TOK_NORM_STRIP:
        return strip(run, n, text);
    case TOK_NORM_NMT:
        nmt_apply(run, text, out);
        break;
    case TOK_NORM_BYTES:
        bytes_apply(text, out);
        break;
    case TOK_NORM_CHARSMAP:
        tok_charsmap_apply(run, &n->charsmap, text, out);
        break;
    }
    return vz_buf_slice(out);
}

struct vz_slice tok_normalize(struct tok_run *run, struct vz_slice text)
{
    const struct vz_tokenizer *tokenizer = run->tokenizer;
    run->starts_late = false;
    unsigned free_one = 0; /* the work buffer that `text` does not lie in */
    for (size_t i = 0; i < tokenizer->normalizer_count; i++) {
        struct vz_buf *out = &run->work[free_one];
        vz_buf_clear(out);
        text = step(run, &tokenizer->normalizers[i], text, out);
        if (text.ptr == out->data)
            free_one = !free_one;
        if (text.len > TOK_MAX_WORK_BYTES) {
            text.len = TOK_MAX_WORK_BYTES;
            while (((unsigned char)text.ptr[text.len] & 0xC0) == 0x80)
                text.len--;
            run->is_cut = true;
        }
    }
    return text;
}
