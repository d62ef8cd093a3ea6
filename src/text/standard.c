/* The standard tokenizer: words by UAX #29, as Lucene's StandardTokenizer cuts them.
 *
 * Source: Unicode Standard Annex #29 (word boundary rules WB4 to WB13b), UTS #51 (emoji
 * sequences), and the token types Lucene gives. Departures that Lucene makes and this follows:
 *  1. Only runs with a letter, digit or Katakana are tokens; so are single Han and Hiragana
 *     characters, runs of South East Asian scripts (line break class SA), and emoji.
 *  2. A token longer than max_token_length (UTF-16 units) is cut there and goes on as the next.
 *  3. U+FE0E and U+FE0F are not skipped inside emoji.
 * ICU's own break iterator is not used: it cuts Chinese, Japanese and Thai by dictionaries.
 *
 * A character's class is found in a table made once from ICU's properties: one byte for each
 * character of the basic plane, a call for the others. */
#include "text/analysis_parts.h"

#include <pthread.h>
#include <unicode/uscript.h>

enum wb {
    WB_OTHER,
    WB_LETTER, /* ALetter */
    WB_HEBREW,
    WB_HANGUL, /* ALetter of that script */
    WB_NUMERIC,
    WB_KATAKANA,
    WB_UNDERSCORE, /* ExtendNumLet */
    WB_MID_LETTER,
    WB_MID_NUM,
    WB_MID_BOTH, /* MidNumLet */
    WB_SINGLE_QUOTE,
    WB_DOUBLE_QUOTE,
    WB_EXTEND, /* Extend, Format, ZWJ */
    WB_SOUTHEAST_ASIAN,
    WB_HAN,
    WB_HIRAGANA,
    WB_REGIONAL,
    WB_MASK = 31,
    WB_EMOJI = 32,   /* may start or be an emoji */
    WB_KEYCAP = 64,  /* 0-9 # * */
    WB_COMPLEX = 128 /* SA that has another class, too */
};

static unsigned char bmp[65536];
static pthread_once_t bmp_once = PTHREAD_ONCE_INIT;

static bool is_emoji_char(UChar32 c)
{
    if (u_hasBinaryProperty(c, UCHAR_EXTENDED_PICTOGRAPHIC))
        return true;
    if (!u_hasBinaryProperty(c, UCHAR_EMOJI) || u_hasBinaryProperty(c, UCHAR_EMOJI_MODIFIER) ||
        u_hasBinaryProperty(c, UCHAR_REGIONAL_INDICATOR))
        return false;
    return c > 0x7F && c != 0xA9 && c != 0xAE && c != 0x2122 && c != 0x3030 && c != 0x303D;
}

/* Tone bars and Armenian signs: letters of words for Unicode 13 and newer, not for Lucene's 12.1. */
static bool is_letter_since_13(UChar32 c)
{
    return (c >= 0x2E5 && c <= 0x2EB) || c == 0x55A || c == 0x55F || c == 0x58A ||
           (c >= 0xA708 && c <= 0xA716);
}

static unsigned char classify(UChar32 c)
{
    unsigned char flags =
        is_emoji_char(c) || u_hasBinaryProperty(c, UCHAR_EMOJI_MODIFIER) ? WB_EMOJI : 0;
    if ((c >= '0' && c <= '9') || c == '#' || c == '*')
        flags |= WB_KEYCAP;
    UErrorCode code = U_ZERO_ERROR;
    UScriptCode script = uscript_getScript(c, &code);
    bool complex = u_getIntPropertyValue(c, UCHAR_LINE_BREAK) == U_LB_COMPLEX_CONTEXT;
    if (complex)
        flags |= WB_COMPLEX;
    if (is_letter_since_13(c))
        return flags;
    switch (u_getIntPropertyValue(c, UCHAR_WORD_BREAK)) {
    case U_WB_ALETTER:
        return flags | (script == USCRIPT_HANGUL ? WB_HANGUL : WB_LETTER);
    case U_WB_HEBREW_LETTER:
        return flags | WB_HEBREW;
    case U_WB_NUMERIC:
        return flags | WB_NUMERIC;
    case U_WB_KATAKANA:
        return flags | WB_KATAKANA;
    case U_WB_EXTENDNUMLET:
        return flags | WB_UNDERSCORE;
    case U_WB_MIDLETTER:
        return flags | WB_MID_LETTER;
    case U_WB_MIDNUM:
        return flags | WB_MID_NUM;
    case U_WB_MIDNUMLET:
        return flags | WB_MID_BOTH;
    case U_WB_SINGLE_QUOTE:
        return flags | WB_SINGLE_QUOTE;
    case U_WB_DOUBLE_QUOTE:
        return flags | WB_DOUBLE_QUOTE;
    case U_WB_EXTEND:
    case U_WB_FORMAT:
    case U_WB_ZWJ:
        return flags | (complex ? WB_SOUTHEAST_ASIAN : WB_EXTEND);
    case U_WB_REGIONAL_INDICATOR:
        return flags | WB_REGIONAL;
    default:
        break;
    }
    if (complex)
        return flags | WB_SOUTHEAST_ASIAN;
    if (c >= 0xFF10 && c <= 0xFF19) /* fullwidth digits */
        return flags | WB_NUMERIC;
    if (script == USCRIPT_HAN)
        return flags | WB_HAN;
    if (script == USCRIPT_HIRAGANA)
        return flags | WB_HIRAGANA;
    return flags;
}

static void make_bmp(void)
{
    for (UChar32 c = 0; c < 65536; c++)
        bmp[c] = classify(c);
}

/* Reading one character with its class. */
struct reader {
    struct vz_slice text;
    size_t at;   /* the byte behind what was read */
    size_t unit; /* the same in UTF-16 */
};

static inline bool read_char(struct reader *r, UChar32 *c, unsigned char *class)
{
    if (r->at >= r->text.len)
        return false;
    unsigned char byte = (unsigned char)r->text.ptr[r->at];
    if (byte < 0x80) {
        *c = byte;
        r->at++;
        r->unit++;
    } else {
        *c = vz_next_char(r->text, &r->at);
        r->unit += *c > 0xFFFF ? 2 : 1;
    }
    *class = *c < 65536 ? bmp[*c] : classify(*c);
    return true;
}

static bool extends(UChar32 c, unsigned char class)
{
    return (class & WB_MASK) == WB_EXTEND ||
           /* marks of South East Asian scripts are Extend, too */
           ((class & WB_MASK) == WB_SOUTHEAST_ASIAN &&
            u_getIntPropertyValue(c, UCHAR_WORD_BREAK) == U_WB_EXTEND);
}

static void skip_extends(struct reader *r, bool sans_selectors)
{
    for (;;) {
        struct reader next = *r;
        UChar32 c;
        unsigned char class;
        if (!read_char(&next, &c, &class) || !extends(c, class) ||
            (sans_selectors && (c == 0xFE0E || c == 0xFE0F)))
            return;
        *r = next;
    }
}

/* ---- emoji ------------------------------------------------------------------------------------
 */

static bool take(struct reader *r, UChar32 want)
{
    struct reader next = *r;
    UChar32 c;
    unsigned char class;
    if (!read_char(&next, &c, &class) || c != want)
        return false;
    *r = next;
    return true;
}

/* One emoji with its modifier or presentation selector. */
static bool emoji_element(struct reader *r)
{
    struct reader next = *r;
    UChar32 c;
    unsigned char class;
    while (take(&next, 0x200D))
        continue;
    if (!read_char(&next, &c, &class) || !(class & WB_EMOJI))
        return false;
    bool modifier = u_hasBinaryProperty(c, UCHAR_EMOJI_MODIFIER);
    bool base = u_hasBinaryProperty(c, UCHAR_EMOJI_MODIFIER_BASE);
    skip_extends(&next, true);
    if (!modifier) {
        struct reader after = next;
        if (base && read_char(&after, &c, &class) && u_hasBinaryProperty(c, UCHAR_EMOJI_MODIFIER)) {
            next = after;
            skip_extends(&next, true);
        } else {
            take(&next, 0xFE0F);
        }
    }
    *r = next;
    return true;
}

static bool emoji_tags(struct reader *r)
{
    struct reader next = *r;
    UChar32 c;
    unsigned char class;
    size_t specs = 0;
    for (;;) {
        struct reader here = next;
        if (!read_char(&next, &c, &class))
            return false;
        if (c == 0xE007F && specs) {
            *r = next;
            return true;
        }
        if (c < 0xE0020 || c > 0xE007E) {
            next = here;
            return false;
        }
        specs++;
    }
}

/* The emoji sequence at `r`, if there is one. */
static bool emoji(struct reader *r)
{
    struct reader next = *r;
    UChar32 c;
    unsigned char class;
    if (!read_char(&next, &c, &class))
        return false;
    if (class & WB_KEYCAP) {
        skip_extends(&next, true);
        take(&next, 0xFE0F);
        if (take(&next, 0x20E3)) {
            skip_extends(&next, true);
            *r = next;
            return true;
        }
        return false;
    }
    if ((class & WB_MASK) == WB_REGIONAL) {
        skip_extends(&next, false);
        if (!read_char(&next, &c, &class) || (class & WB_MASK) != WB_REGIONAL)
            return false;
        skip_extends(&next, false);
        *r = next;
        return true;
    }
    next = *r;
    if (!emoji_element(&next))
        return false;
    if (!emoji_tags(&next))
        for (;;) {
            struct reader more = next;
            /* The joiner may have been skipped as an Extend already. */
            bool joined =
                take(&more, 0x200D) ||
                (next.at >= 3 && memcmp(next.text.ptr + next.at - 3, "\xE2\x80\x8D", 3) == 0);
            if (!joined || !emoji_element(&more))
                break;
            next = more;
        }
    *r = next;
    return true;
}

/* ---- words ------------------------------------------------------------------------------------
 */

static bool is_letter(unsigned class)
{
    return class == WB_LETTER || class == WB_HEBREW || class == WB_HANGUL;
}

/* Whether `next` may stand directly behind `last` (both with what extends them). */
static bool joins(unsigned last, unsigned next)
{
    if (is_letter(next) || next == WB_NUMERIC)
        return is_letter(last) || last == WB_NUMERIC || last == WB_UNDERSCORE;
    if (next == WB_KATAKANA)
        return last == WB_KATAKANA || last == WB_UNDERSCORE;
    return next == WB_UNDERSCORE;
}

/* Whether `middle` joins `last` to `next`. */
static bool bridges(unsigned last, unsigned middle, unsigned next)
{
    if (is_letter(last) && is_letter(next)) {
        if (middle == WB_DOUBLE_QUOTE)
            return last == WB_HEBREW && next == WB_HEBREW;
        return middle == WB_MID_LETTER || middle == WB_MID_BOTH || middle == WB_SINGLE_QUOTE;
    }
    return last == WB_NUMERIC && next == WB_NUMERIC &&
           (middle == WB_MID_NUM || middle == WB_MID_BOTH || middle == WB_SINGLE_QUOTE);
}

struct word {
    struct reader end;
    bool letter, numeric, katakana, hangul_only, katakana_only;
};

static void note(struct word *word, unsigned class)
{
    word->letter |= is_letter(class);
    word->numeric |= class == WB_NUMERIC;
    word->katakana |= class == WB_KATAKANA;
    word->hangul_only &= class == WB_HANGUL;
    word->katakana_only &= class == WB_KATAKANA;
}

/* The word that starts with class `first` before `r`, no longer than `limit` units; false when
 * there is none (underscores alone). `r` stands behind the first character. */
static bool word_at(struct reader *r, unsigned first, size_t limit, struct word *word)
{
    struct reader at = *r;
    unsigned last = first;
    *word = (struct word){.hangul_only = true, .katakana_only = true};
    note(word, first);
    for (;;) {
        struct reader next = at;
        UChar32 c;
        unsigned char raw;
        if (at.unit >= limit || !read_char(&next, &c, &raw) || next.unit > limit)
            break;
        unsigned class = raw & WB_MASK;
        if (extends(c, raw)) {
            at = next;
            continue;
        }
        if (class == WB_SOUTHEAST_ASIAN)
            class = WB_OTHER;
        if (joins(last, class)) {
            at = next;
            last = class;
            note(word, class);
            continue;
        }
        if (class < WB_MID_LETTER || class > WB_DOUBLE_QUOTE)
            break;
        struct reader after = next;
        skip_extends(&after, false);
        struct reader behind = after;
        unsigned char follow;
        if (read_char(&after, &c, &follow) && after.unit <= limit &&
            bridges(last, class, follow & WB_MASK)) {
            at = after;
            last = follow & WB_MASK;
            note(word, class);
            note(word, last);
            continue;
        }
        if (class == WB_SINGLE_QUOTE && last == WB_HEBREW && behind.unit <= limit) {
            at = behind;
            note(word, class);
            /* A letter may follow the quote directly; nothing else may. */
            last = WB_HEBREW;
            continue;
        }
        break;
    }
    word->end = at;
    return word->letter || word->numeric || word->katakana;
}

static enum vz_token_type word_type(const struct word *word)
{
    if (word->hangul_only)
        return VZ_TOKEN_HANGUL;
    if (word->katakana_only)
        return VZ_TOKEN_KATAKANA;
    return word->letter || word->katakana ? VZ_TOKEN_ALPHANUM : VZ_TOKEN_NUM;
}

/* ---- e-mail addresses and URLs (uax_url_email) -------------------------------------------------
 */

static bool label_char(unsigned char c)
{
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '-';
}

/* The length of a host name with at least one dot and a last label of letters; 0: none. */
static size_t host_length(struct vz_slice text)
{
    size_t at = 0, good = 0;
    for (;;) {
        size_t start = at;
        while (at < text.len && label_char((unsigned char)text.ptr[at]))
            at++;
        size_t end = at;
        while (end > start && text.ptr[end - 1] == '-')
            end--;
        if (end == start || text.ptr[start] == '-')
            return good;
        bool letters = end - start >= 2;
        for (size_t i = start; i < end; i++)
            letters &= ((unsigned char)text.ptr[i] | 32) >= 'a' &&
                       ((unsigned char)text.ptr[i] | 32) <= 'z';
        if (start && letters)
            good = end;
        if (end != at || at >= text.len || text.ptr[at] != '.')
            return good;
        at++;
    }
}

static size_t ipv4_length(struct vz_slice text)
{
    size_t at = 0;
    for (int part = 0; part < 4; part++) {
        unsigned value = 0;
        size_t start = at;
        while (at < text.len && at - start < 3 && text.ptr[at] >= '0' && text.ptr[at] <= '9')
            value = value * 10 + (unsigned)(text.ptr[at++] - '0');
        if (at == start || value > 255)
            return 0;
        if (part < 3) {
            if (at >= text.len || text.ptr[at] != '.')
                return 0;
            at++;
        }
    }
    return at;
}

static bool url_char(unsigned char c, const char *more)
{
    return c && (label_char(c) || strchr("._~%", c) || strchr(more, c));
}

/* The path, query and fragment at the text's start. */
static size_t path_length(struct vz_slice text)
{
    static const char query_chars[] = "!$&'()*+,;=:@/?";
    size_t at = 0;
    while (at < text.len && text.ptr[at] == '/')
        do
            at++;
        while (at < text.len && url_char((unsigned char)text.ptr[at], ";:@&="));
    for (int part = 0; part < 2; part++)
        if (at < text.len && text.ptr[at] == "?#"[part])
            do
                at++;
            while (at < text.len && url_char((unsigned char)text.ptr[at], query_chars));
    return at;
}

static size_t url_length(struct vz_slice text)
{
    static const char *const schemes[] = {"http://", "https://", "ftp://", "file://", "ftps://"};
    size_t at = 0;
    for (size_t i = 0; i < VZ_COUNT_OF(schemes); i++) {
        size_t len = strlen(schemes[i]);
        if (text.len > len && strncasecmp(text.ptr, schemes[i], len) == 0)
            at = len;
    }
    bool scheme = at > 0;
    struct vz_slice rest = {text.ptr + at, text.len - at};
    size_t host = ipv4_length(rest);
    if (!host)
        host = host_length(rest);
    if (!host && scheme) /* a loose host: localhost */
        while (host < rest.len && label_char((unsigned char)rest.ptr[host]))
            host++;
    if (!host)
        return 0;
    at += host;
    if (!scheme && at < text.len &&
        (label_char((unsigned char)text.ptr[at]) || text.ptr[at] == '_'))
        return 0;
    if (at < text.len && text.ptr[at] == ':') {
        size_t digits = at + 1;
        while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9')
            digits++;
        if (digits > at + 1)
            at = digits;
    }
    return at + path_length((struct vz_slice){text.ptr + at, text.len - at});
}

static size_t email_length(struct vz_slice text)
{
    size_t at = 0;
    while (at < text.len && at < 64) {
        unsigned char c = (unsigned char)text.ptr[at];
        if (!label_char(c) && (c == 0 || !strchr("!#$%&'*+/=?^_`{|}~.", c)))
            break;
        at++;
    }
    if (at == 0 || at >= text.len || text.ptr[at] != '@' || text.ptr[0] == '.' ||
        text.ptr[at - 1] == '.')
        return 0;
    size_t host = host_length((struct vz_slice){text.ptr + at + 1, text.len - at - 1});
    return host ? at + 1 + host : 0;
}

/* ---- the tokenizer ----------------------------------------------------------------------------
 */

static void add(struct vz_tokens *tokens, const struct vz_source *source, const struct reader *from,
                const struct reader *to, enum vz_token_type type)
{
    struct vz_token *token = vz_tokens_push(tokens);
    token->text = (struct vz_slice){from->text.ptr + from->at, to->at - from->at};
    token->start = (uint32_t)from->unit;
    token->end = (uint32_t)to->unit;
    if (source && source->map_count) {
        token->start = vz_offset_correct(source, from->unit);
        token->end = vz_offset_correct(source, to->unit);
    }
    token->type = (uint8_t)type;
}

static bool take_address(struct reader *r, size_t max_units, struct reader *end,
                         enum vz_token_type *type)
{
    struct vz_slice rest = {r->text.ptr + r->at, r->text.len - r->at};
    size_t mail = email_length(rest), url = url_length(rest);
    size_t len = VZ_MAX(mail, url);
    if (!len || len > max_units)
        return false;
    *type = mail >= url ? VZ_TOKEN_EMAIL : VZ_TOKEN_URL;
    *end = *r;
    end->at += len;
    end->unit += len;
    return true;
}

/* What starts at `r` (`*end` behind it), or false when it is no token; then `*end` is behind the
 * one character that is skipped. */
static bool token_at(struct reader *r, size_t max_units, bool urls, struct reader *end,
                     enum vz_token_type *type)
{
    UChar32 c = 0;
    unsigned char raw = 0;
    struct reader next = *r;
    *end = *r;
    if (urls && take_address(r, max_units, end, type))
        return true;
    read_char(&next, &c, &raw);
    unsigned class = raw & WB_MASK;
    size_t limit = r->unit + max_units;
    struct reader picture = *r;
    bool has_emoji = (raw & (WB_EMOJI | WB_KEYCAP) || class == WB_REGIONAL || c == 0x200D) &&
                     emoji(&picture) && picture.unit <= limit;
    struct word word;
    bool has_word = (is_letter(class) || class == WB_NUMERIC || class == WB_KATAKANA ||
                     class == WB_UNDERSCORE) &&
                    word_at(&next, class, limit, &word);
    if (has_emoji && (!has_word || picture.unit >= word.end.unit)) {
        *end = picture;
        *type = VZ_TOKEN_EMOJI;
        return true;
    }
    *end = next;
    if (has_word) {
        *end = word.end;
        *type = word_type(&word);
        return true;
    }
    if (class == WB_SOUTHEAST_ASIAN || raw & WB_COMPLEX) {
        for (;;) {
            struct reader more = *end;
            if (!read_char(&more, &c, &raw) || more.unit > limit ||
                !(raw & WB_COMPLEX || extends(c, raw)))
                break;
            *end = more;
        }
        *type = VZ_TOKEN_SOUTHEAST_ASIAN;
        return true;
    }
    if (class == WB_HAN || class == WB_HIRAGANA) {
        skip_extends(end, false);
        *type = class == WB_HAN ? VZ_TOKEN_IDEOGRAPHIC : VZ_TOKEN_HIRAGANA;
        return true;
    }
    return false;
}

enum vz_status vz_standard_run(struct vz_slice text, const struct vz_source *source,
                               unsigned max_token_length, bool urls, struct vz_tokens *tokens,
                               struct vz_error *err)
{
    pthread_once(&bmp_once, make_bmp);
    struct reader r = {text, 0, 0};
    while (r.at < text.len) {
        struct reader end;
        enum vz_token_type type;
        if (token_at(&r, max_token_length, urls, &end, &type)) {
            add(tokens, source, &r, &end, type);
            if (tokens->count > vz_tokens_limit(tokens))
                return vz_tokens_check(tokens, err);
        }
        r = end;
    }
    tokens->end_offset =
        source && source->map_count ? vz_offset_correct(source, r.unit) : (uint32_t)r.unit;
    return VZ_OK;
}

/* ---- the short way ----------------------------------------------------------------------------
 */

/* Letters and digits lower-cased, '_' itself, 0 for what ends a word or may join one. */
static const unsigned char plain[256] = {
    ['0'] = '0', ['1'] = '1', ['2'] = '2', ['3'] = '3', ['4'] = '4', ['5'] = '5', ['6'] = '6',
    ['7'] = '7', ['8'] = '8', ['9'] = '9', ['_'] = '_', ['a'] = 'a', ['b'] = 'b', ['c'] = 'c',
    ['d'] = 'd', ['e'] = 'e', ['f'] = 'f', ['g'] = 'g', ['h'] = 'h', ['i'] = 'i', ['j'] = 'j',
    ['k'] = 'k', ['l'] = 'l', ['m'] = 'm', ['n'] = 'n', ['o'] = 'o', ['p'] = 'p', ['q'] = 'q',
    ['r'] = 'r', ['s'] = 's', ['t'] = 't', ['u'] = 'u', ['v'] = 'v', ['w'] = 'w', ['x'] = 'x',
    ['y'] = 'y', ['z'] = 'z', ['A'] = 'a', ['B'] = 'b', ['C'] = 'c', ['D'] = 'd', ['E'] = 'e',
    ['F'] = 'f', ['G'] = 'g', ['H'] = 'h', ['I'] = 'i', ['J'] = 'j', ['K'] = 'k', ['L'] = 'l',
    ['M'] = 'm', ['N'] = 'n', ['O'] = 'o', ['P'] = 'p', ['Q'] = 'q', ['R'] = 'r', ['S'] = 's',
    ['T'] = 't', ['U'] = 'u', ['V'] = 'v', ['W'] = 'w', ['X'] = 'x', ['Y'] = 'y', ['Z'] = 'z',
};

static bool ascii_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}
static bool ascii_letter(unsigned char c)
{
    return (c | 32) >= 'a' && (c | 32) <= 'z';
}

/* The end of the word that starts at `at`, and whether it has a letter or a digit. Where the word
 * meets one of ' . , : ; the character behind decides. */
static size_t ascii_word(struct vz_slice text, size_t at, size_t limit, bool *letter, bool *digit)
{
    const unsigned char *p = (const unsigned char *)text.ptr;
    size_t end = VZ_MIN(text.len, limit);
    *letter = *digit = false;
    for (; at < end; at++) {
        unsigned char c = p[at];
        if (plain[c]) {
            *letter |= ascii_letter(c);
            *digit |= ascii_digit(c);
            continue;
        }
        if (at + 1 >= end)
            break;
        unsigned char last = p[at - 1], next = p[at + 1];
        bool joins_letters = c == '.' || c == '\'' || c == ':';
        bool joins_digits = c == '.' || c == '\'' || c == ',' || c == ';';
        if (!(joins_letters && ascii_letter(last) && ascii_letter(next)) &&
            !(joins_digits && ascii_digit(last) && ascii_digit(next)))
            break;
    }
    return at;
}

enum vz_status vz_standard_fast(struct vz_slice text, unsigned max_token_length,
                                struct vz_tokens *tokens, struct vz_error *err)
{
    const unsigned char *p = (const unsigned char *)text.ptr;
    char *lower = NULL;
    for (size_t at = 0; at < text.len;) {
        if (!plain[p[at]]) {
            at++;
            continue;
        }
        size_t start = at;
        bool letter, digit;
        at = ascii_word(text, start, start + max_token_length, &letter, &digit);
        if (!letter && !digit)
            continue; /* underscores alone */
        bool changes = false;
        for (size_t i = start; i < at; i++)
            changes |= p[i] >= 'A' && p[i] <= 'Z';
        struct vz_token *token = vz_tokens_push(tokens);
        token->text = (struct vz_slice){text.ptr + start, at - start};
        if (changes) {
            if (!lower)
                lower = vz_arena_alloc(&tokens->arena, text.len);
            for (size_t i = start; i < at; i++)
                lower[i] = (char)(plain[p[i]] ? plain[p[i]] : p[i]);
            token->text.ptr = lower + start;
        }
        token->start = (uint32_t)start;
        token->end = (uint32_t)at;
        token->type = letter ? VZ_TOKEN_ALPHANUM : VZ_TOKEN_NUM;
    }
    tokens->end_offset = (uint32_t)text.len;
    return vz_tokens_check(tokens, err);
}
