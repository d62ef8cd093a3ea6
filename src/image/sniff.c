/* image/sniff.c - which format some bytes are, and what in them the decoders behind libvips would
 * not refuse themselves: SVGs that reach out or filter without end, JPEGs of a thousand scans. */
#include "image/parts.h"

#include <stdlib.h>
#include <strings.h>

/* Steps times mentions: a drop shadow of five steps on a hundred shapes passes. */
enum { MAX_FILTER_WORK = 1000 };

static bool has_at(struct vz_slice bytes, size_t at, const char *magic, size_t len)
{
    return bytes.len >= at + len && memcmp(bytes.ptr + at, magic, len) == 0;
}

#define HAS_AT(bytes, at, literal) has_at(bytes, at, literal, sizeof(literal) - 1)

/* ISO base media: a box "ftyp" with a major brand and compatible brands of four bytes each. AVIF
 * files often say "mif1" first and "avif" among the compatible ones. */
static enum vz_image_format sniff_ftyp(struct vz_slice bytes)
{
    static const char heif[][5] = {"heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1"};
    if (!HAS_AT(bytes, 4, "ftyp") || bytes.len < 16)
        return VZ_FORMAT_NONE;
    const unsigned char *p = (const unsigned char *)bytes.ptr;
    size_t box = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
    size_t end = VZ_MIN(VZ_MIN(box, bytes.len), (size_t)256);
    enum vz_image_format found = VZ_FORMAT_NONE;
    for (size_t at = 8; at + 4 <= end; at += 4) {
        if (at == 12) /* the minor version */
            continue;
        if (HAS_AT(bytes, at, "avif") || HAS_AT(bytes, at, "avis"))
            return VZ_FORMAT_AVIF;
        for (size_t i = 0; i < VZ_COUNT_OF(heif); i++)
            if (has_at(bytes, at, heif[i], 4))
                found = VZ_FORMAT_HEIF;
    }
    return found;
}

/* Text that starts with '<' (after a byte order mark and white space) and has an svg element near
 * its beginning. UTF-16 is not read. */
static bool looks_like_svg(struct vz_slice bytes)
{
    size_t at = HAS_AT(bytes, 0, "\xEF\xBB\xBF") ? 3 : 0;
    while (at < bytes.len && at < 256 && strchr(" \t\r\n", bytes.ptr[at]) && bytes.ptr[at])
        at++;
    if (at >= bytes.len || bytes.ptr[at] != '<')
        return false;
    size_t end = VZ_MIN(bytes.len, (size_t)4096);
    return memmem(bytes.ptr + at, end - at, "<svg", 4) ||
           memmem(bytes.ptr + at, end - at, "<svg:svg", 8);
}

enum vz_image_format vz_image_sniff(struct vz_slice bytes)
{
    if (HAS_AT(bytes, 0, "\xFF\xD8\xFF"))
        return VZ_FORMAT_JPEG;
    if (HAS_AT(bytes, 0, "\x89PNG\r\n\x1A\n"))
        return VZ_FORMAT_PNG;
    if (HAS_AT(bytes, 0, "RIFF") && HAS_AT(bytes, 8, "WEBP"))
        return VZ_FORMAT_WEBP;
    if (HAS_AT(bytes, 0, "GIF87a") || HAS_AT(bytes, 0, "GIF89a"))
        return VZ_FORMAT_GIF;
    if (HAS_AT(bytes, 0, "II\x2A\x00") || HAS_AT(bytes, 0, "MM\x00\x2A") ||
        HAS_AT(bytes, 0, "II\x2B\x00") || HAS_AT(bytes, 0, "MM\x00\x2B"))
        return VZ_FORMAT_TIFF;
    enum vz_image_format media = sniff_ftyp(bytes);
    if (media != VZ_FORMAT_NONE)
        return media;
    return looks_like_svg(bytes) ? VZ_FORMAT_SVG : VZ_FORMAT_NONE;
}

const char *vz_image_format_name(enum vz_image_format format)
{
    static const char *const names[] = {"",     "jpeg", "png",  "webp", "gif",
                                        "tiff", "heif", "avif", "svg"};
    return names[format];
}

const char *vz_image_sniff_other(struct vz_slice bytes)
{
    if (HAS_AT(bytes, 0, "BM") && bytes.len >= 26)
        return "BMP";
    if (HAS_AT(bytes, 0, "%PDF"))
        return "PDF";
    if (HAS_AT(bytes, 0, "8BPS"))
        return "Photoshop";
    if (HAS_AT(bytes, 0, "\xFF\x0A") || HAS_AT(bytes, 4, "JXL \r\n"))
        return "JPEG XL";
    if (HAS_AT(bytes, 4, "jP  \r\n"))
        return "JPEG 2000";
    if (HAS_AT(bytes, 0, "\x1F\x8B"))
        return "gzip (a compressed SVG must be unpacked first)";
    if (HAS_AT(bytes, 4, "ftyp"))
        return "video";
    if (HAS_AT(bytes, 0, "PK\x03\x04"))
        return "zip";
    return NULL;
}

/* A progressive JPEG is decoded by going over the whole picture once a scan, and a scan can be a
 * few bytes long: a megabyte can hold days of work. Walks markers as libjpeg does: searches for FF
 * and a code, skips segments by their length and entropy-coded data up to the next real marker. */
int vz_jpeg_scan_count(struct vz_slice bytes)
{
    const unsigned char *p = (const unsigned char *)bytes.ptr;
    int scans = 0;
    for (size_t at = 2; at + 3 < bytes.len;) {
        const unsigned char *mark = memchr(p + at, 0xFF, bytes.len - at - 1);
        if (!mark)
            break;
        at = (size_t)(mark - p) + 1;
        unsigned code = p[at];
        if (code == 0xFF) /* fill byte: the next one may be the code */
            continue;
        at++;
        if (code == 0xD9)
            break;
        /* A stuffed FF, a restart, or a marker without a segment. */
        if (code <= 0x01 || (code >= 0xD0 && code <= 0xD8) || at + 2 > bytes.len)
            continue;
        scans += code == 0xDA;
        size_t segment = (size_t)p[at] << 8 | p[at + 1];
        at += VZ_MAX(segment, (size_t)2);
    }
    return scans;
}

/* Inside a tag that starts at `at`: does it hold a data: address, or a reference that could spell
 * one? Quotes are honoured, so a '>' inside a value does not end the tag early. */
static bool tag_may_embed(struct vz_slice bytes, size_t at)
{
    char quote = 0;
    for (; at < bytes.len; at++) {
        char c = bytes.ptr[at];
        if (quote ? c == quote : (c == '"' || c == '\''))
            quote = quote ? 0 : c;
        else if (!quote && c == '>')
            return false;
        if (c == '&' || (bytes.len - at >= 5 && strncasecmp(bytes.ptr + at, "data:", 5) == 0))
            return true;
    }
    return false;
}

/* Where the local name of the element that starts at `at` ('<') begins: past a prefix. */
static size_t local_name(struct vz_slice bytes, size_t at)
{
    size_t start = at + 1;
    for (size_t i = start; i < bytes.len && i < start + 64; i++) {
        if (bytes.ptr[i] == ':')
            return i + 1;
        if (strchr(" \t\r\n/><", bytes.ptr[i]))
            break;
    }
    return start;
}

/* How often a word in small letters stands in the text, whatever the case. */
static size_t count_word(struct vz_slice bytes, const char *word)
{
    size_t count = 0, len = strlen(word);
    for (size_t at = 0; at + len <= bytes.len; at++) {
        if ((bytes.ptr[at] | 32) == *word && strncasecmp(bytes.ptr + at, word, len) == 0) {
            count++;
            at += len - 1;
        }
    }
    return count;
}

/* Places where a letter may be spelled otherwise: CSS's backslash, XML's number of an ASCII
 * character. Each could be in a filter's name. */
static size_t count_spelled(struct vz_slice bytes)
{
    size_t count = 0;
    for (size_t at = 0; at < bytes.len; at++) {
        count += bytes.ptr[at] == '\\';
        if (!HAS_AT(bytes, at, "&#") || at + 3 >= bytes.len)
            continue;
        bool hex = bytes.ptr[at + 2] == 'x';
        char digits[8] = "";
        memcpy(digits, bytes.ptr + at + 2 + hex,
               VZ_MIN(sizeof digits - 1, bytes.len - at - 2 - hex));
        count += strtoul(digits, NULL, hex ? 16 : 10) < 128;
    }
    return count;
}

/* The functions of CSS that are filters without an element. */
static size_t count_filter_functions(struct vz_slice bytes)
{
    static const char *const names[] = {"blur(",      "brightness(", "contrast(", "drop-shadow(",
                                        "grayscale(", "hue-rotate(", "invert(",   "opacity(",
                                        "saturate(",  "sepia("};
    size_t count = 0;
    for (size_t i = 0; i < VZ_COUNT_OF(names); i++)
        count += count_word(bytes, names[i]);
    return count;
}

/* What lies between the first `open` and the last `close`; empty when they are not there. */
static struct vz_slice between(struct vz_slice bytes, const char *open, const char *close)
{
    const char *from = memmem(bytes.ptr, bytes.len, open, strlen(open)), *to = from, *next;
    const char *end = bytes.ptr + bytes.len;
    while (to && (next = memmem(to + 1, (size_t)(end - to) - 1, close, strlen(close))))
        to = next;
    return (struct vz_slice){from, from ? (size_t)(to - from) : 0};
}

static bool mentions_filter(struct vz_slice part)
{
    return part.len && (count_word(part, "filter") || count_spelled(part));
}

/* The cost of filters is steps times the times they are run. A mention runs them once; one in a
 * style sheet for as many elements as there are; one inside what is used, for each use, and uses of
 * uses multiply (most of all, for n, when three each are nested: 3^(n/3)); one inside a mask or a
 * pattern, for each reference; one inside a marker, for each corner of a path. */
static bool filters_too_much(struct vz_slice bytes, size_t elements, size_t steps, size_t uses)
{
    size_t spelled = count_spelled(bytes);
    size_t mentions = count_word(bytes, "filter") + spelled;
    steps += count_filter_functions(bytes) + spelled;
    if (steps == 0 || mentions == 0)
        return false;
    bool styled = mentions_filter(between(bytes, "<style", "</style"));
    double work = (double)steps * (double)(mentions + (styled ? elements : 0));
    if (memmem(bytes.ptr, bytes.len, "<!ENTITY", 8))
        work *= (double)count_word(bytes, "&") + 1;
    if (mentions_filter(between(bytes, "<mask", "</mask")) ||
        mentions_filter(between(bytes, "<pattern", "</pattern")))
        work *= (double)count_word(bytes, "url(");
    if (mentions_filter(between(bytes, "<marker", "</marker")))
        return true;
    for (size_t i = 0; i + 3 <= uses && work <= MAX_FILTER_WORK; i += 3)
        work *= 3;
    return work > MAX_FILTER_WORK;
}

/* librsvg is given bytes without a base address, so files and hosts are out of its reach. What is
 * left is pictures inside data: addresses, which it hands to gdk-pixbuf: every loader on the
 * machine, without our limits. Elements can be spelled only literally unless a DTD brings
 * entities with markup or default attributes, so those are refused as well. Filters cost time by
 * the pixel, the step and the use, with no limit in librsvg (10 steps of turbulence: 2.4 s at
 * 256 x 256; 200 blurs in one attribute: 2 s), so their product is limited here. */
const char *vz_svg_objection(struct vz_slice bytes)
{
    size_t elements = 0, filter_steps = 0, uses = 0;
    if (memchr(bytes.ptr, 0, bytes.len))
        return "a NUL byte";
    for (size_t at = 0; at < bytes.len; at++) {
        const char *next = memchr(bytes.ptr + at, '<', bytes.len - at);
        if (!next)
            break;
        at = (size_t)(next - bytes.ptr);
        if (HAS_AT(bytes, at, "<!ATTLIST"))
            return "default attributes (<!ATTLIST>)";
        if (HAS_AT(bytes, at, "<!ENTITY")) {
            const char *end = memchr(next, '>', bytes.len - at);
            size_t len = end ? (size_t)(end - next) : bytes.len - at;
            if (memchr(next + 1, '<', len - 1) || memchr(next, '&', len) ||
                memchr(next, '%', len) || memmem(next, len, "SYSTEM", 6) ||
                memmem(next, len, "PUBLIC", 6))
                return "an entity that is more than plain text";
            continue;
        }
        size_t name = local_name(bytes, at);
        elements++;
        filter_steps += HAS_AT(bytes, name, "fe");
        uses += HAS_AT(bytes, name, "use");
        if (HAS_AT(bytes, name, "include"))
            return "an included document";
        if ((HAS_AT(bytes, name, "image") || HAS_AT(bytes, name, "feImage")) &&
            tag_may_embed(bytes, name))
            return "an embedded picture";
    }
    return filters_too_much(bytes, elements, filter_steps, uses) ? "too many filters" : NULL;
}
