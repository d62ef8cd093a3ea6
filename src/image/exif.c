/* image/exif.c - the few EXIF facts vizsla keeps: when, where, which way up.
 *
 * A reader of our own over the raw block rather than libvips' "exif-ifd" strings: those are
 * libexif's rendering for people (localised, cut to fit, "Unknown" where odd) that would have to be
 * parsed back, and libvips gives none for TIFF. Here every offset is checked against the block
 * before a byte is read. Source: CIPA DC-008 (Exif 2.32), TIFF 6.0.
 *
 * 1. Only IFD 0 and the Exif and GPS directories it names are read, each once and in one pass over
 *    its entries, and "next IFD" is never followed: no cycle can be entered, and time is linear in
 *    the block's size.
 * 2. A value that does not lie wholly inside the block is absent.
 */
#include "base/clock.h"
#include "image/parts.h"

#include <ctype.h>
#include <math.h>

enum { TYPE_ASCII = 2, TYPE_SHORT = 3, TYPE_LONG = 4, TYPE_RATIONAL = 5 };

enum {
    TAG_ORIENTATION = 0x0112,
    TAG_DATE_TIME = 0x0132,
    TAG_EXIF_IFD = 0x8769,
    TAG_GPS_IFD = 0x8825,
    TAG_DATE_ORIGINAL = 0x9003,
    TAG_DATE_DIGITIZED = 0x9004,
    TAG_OFFSET = 0x9010,
    TAG_OFFSET_ORIGINAL = 0x9011,
    TAG_OFFSET_DIGITIZED = 0x9012,
    TAG_SUBSEC = 0x9290,
    TAG_SUBSEC_ORIGINAL = 0x9291,
    TAG_SUBSEC_DIGITIZED = 0x9292,
    GPS_LAT_REF = 1,
    GPS_LAT = 2,
    GPS_LON_REF = 3,
    GPS_LON = 4
};

struct reader {
    const uint8_t *bytes;
    size_t len;
    bool big_endian;
};

/* A directory entry whose value lies inside the block. */
struct entry {
    unsigned type;
    size_t count;
    size_t at;
};

static bool get_u16(const struct reader *in, size_t at, unsigned *out)
{
    if (in->len < 2 || at > in->len - 2)
        return false;
    const uint8_t *p = in->bytes + at;
    *out = in->big_endian ? (unsigned)p[0] << 8 | p[1] : (unsigned)p[1] << 8 | p[0];
    return true;
}

static bool get_u32(const struct reader *in, size_t at, uint32_t *out)
{
    unsigned a, b;
    if (!get_u16(in, at, &a) || !get_u16(in, at + 2, &b))
        return false;
    *out = in->big_endian ? (uint32_t)a << 16 | b : (uint32_t)b << 16 | a;
    return true;
}

static size_t type_bytes(unsigned type)
{
    switch (type) {
    case TYPE_ASCII:
        return 1;
    case TYPE_SHORT:
        return 2;
    case TYPE_LONG:
        return 4;
    case TYPE_RATIONAL:
        return 8;
    default:
        return 0;
    }
}

/* The first entry with `tag` in the directory at `ifd`. */
static bool find_entry(const struct reader *in, size_t ifd, unsigned tag, struct entry *out)
{
    unsigned count, seen;
    if (ifd == 0 || !get_u16(in, ifd, &count))
        return false;
    for (unsigned i = 0; i < count; i++) {
        size_t at = ifd + 2 + (size_t)i * 12;
        uint32_t values, offset;
        if (!get_u16(in, at, &seen))
            return false; /* past the end: so is every later one */
        if (seen != tag)
            continue;
        if (!get_u16(in, at + 2, &out->type) || !get_u32(in, at + 4, &values) ||
            !get_u32(in, at + 8, &offset))
            return false;
        size_t unit = type_bytes(out->type), bytes = unit * (size_t)values;
        if (unit == 0 || values == 0)
            return false;
        out->count = values;
        out->at = bytes <= 4 ? at + 8 : offset;
        return bytes <= in->len && out->at <= in->len - bytes;
    }
    return false;
}

static size_t find_ifd(const struct reader *in, size_t ifd, unsigned tag)
{
    struct entry entry;
    uint32_t at;
    if (!find_entry(in, ifd, tag, &entry) || entry.type != TYPE_LONG || !get_u32(in, entry.at, &at))
        return 0;
    return at;
}

/* An ASCII value, cut to fit, without what follows its first NUL. False when absent. */
static bool find_text(const struct reader *in, size_t ifd, unsigned tag, char *out, size_t capacity)
{
    struct entry entry;
    if (!find_entry(in, ifd, tag, &entry) || entry.type != TYPE_ASCII)
        return false;
    size_t len = VZ_MIN(entry.count, capacity - 1);
    memcpy(out, in->bytes + entry.at, len);
    out[len] = 0;
    return true;
}

/* Exactly `digits` decimal digits at *text, which moves past them; -1 when there are not. */
static int take_number(const char **text, int digits)
{
    int value = 0;
    for (int i = 0; i < digits; i++, (*text)++) {
        if (!isdigit((unsigned char)**text))
            return -1;
        value = value * 10 + (**text - '0');
    }
    return value;
}

static bool skip_one_of(const char **text, const char *allowed)
{
    if (!**text || !strchr(allowed, **text))
        return false;
    (*text)++;
    return true;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

/* "2024:05:01 10:11:12"; some writers use '-' or '/' and 'T'. Blank and zero dates, which cameras
 * without a set clock write, are no dates. */
static bool parse_date(const char *text, int64_t *ms)
{
    int year = take_number(&text, 4);
    if (year < 1800 || !skip_one_of(&text, ":-/"))
        return false;
    int month = take_number(&text, 2);
    if (month < 1 || month > 12 || !skip_one_of(&text, ":-/"))
        return false;
    int day = take_number(&text, 2);
    if (day < 1 || day > days_in_month(year, month) || !skip_one_of(&text, " T"))
        return false;
    int hour = take_number(&text, 2);
    if (hour < 0 || hour > 23 || !skip_one_of(&text, ":"))
        return false;
    int minute = take_number(&text, 2);
    if (minute < 0 || minute > 59 || !skip_one_of(&text, ":"))
        return false;
    int second = take_number(&text, 2);
    if (second < 0 || second > 60)
        return false;
    int64_t seconds = vz_days_from_civil(year, month, day) * 86400;
    *ms = (seconds + hour * 3600 + minute * 60 + second) * 1000;
    return true;
}

/* "+02:00", "-05:30", "Z" to milliseconds east of UTC; 0 when it is none of these. */
static int64_t parse_offset_ms(const char *text)
{
    int sign = *text == '-' ? -1 : 1;
    if (!skip_one_of(&text, "+-"))
        return 0;
    int hours = take_number(&text, 2);
    if (hours < 0 || hours > 14 || !skip_one_of(&text, ":"))
        return 0;
    int minutes = take_number(&text, 2);
    if (minutes < 0 || minutes > 59)
        return 0;
    return (int64_t)sign * (hours * 60 + minutes) * 60000;
}

/* "5", "52", "528374": the digits after the decimal point. */
static int parse_subsec_ms(const char *text)
{
    int ms = 0;
    for (int unit = 100; unit > 0 && isdigit((unsigned char)*text); unit /= 10, text++)
        ms += (*text - '0') * unit;
    return ms;
}

static void read_date(const struct reader *in, size_t ifd0, size_t exif, struct vz_exif *out)
{
    static const struct {
        unsigned date, offset, subsec;
    } tries[] = {{TAG_DATE_ORIGINAL, TAG_OFFSET_ORIGINAL, TAG_SUBSEC_ORIGINAL},
                 {TAG_DATE_DIGITIZED, TAG_OFFSET_DIGITIZED, TAG_SUBSEC_DIGITIZED},
                 {TAG_DATE_TIME, TAG_OFFSET, TAG_SUBSEC}};
    char text[40];
    for (size_t i = 0; i < VZ_COUNT_OF(tries); i++) {
        size_t ifd = tries[i].date == TAG_DATE_TIME ? ifd0 : exif;
        int64_t ms;
        if (!find_text(in, ifd, tries[i].date, text, sizeof text) || !parse_date(text, &ms))
            continue;
        if (find_text(in, exif, tries[i].subsec, text, sizeof text))
            ms += parse_subsec_ms(text);
        if (find_text(in, exif, tries[i].offset, text, sizeof text))
            ms -= parse_offset_ms(text);
        out->has_date = true;
        out->date_ms = ms;
        vz_format_iso_ms(ms, out->date_iso, sizeof out->date_iso);
        return;
    }
}

/* Degrees, minutes, seconds as rationals, with the hemisphere's letter. */
static bool read_angle(const struct reader *in, size_t gps, unsigned ref_tag, unsigned tag,
                       const char *letters, double limit, double *out)
{
    struct entry entry;
    char ref[4];
    double parts[3] = {0};
    if (!find_text(in, gps, ref_tag, ref, sizeof ref) || !find_entry(in, gps, tag, &entry) ||
        entry.type != TYPE_RATIONAL)
        return false;
    for (size_t i = 0; i < 3 && i < entry.count; i++) {
        uint32_t above, below;
        if (!get_u32(in, entry.at + i * 8, &above) || !get_u32(in, entry.at + i * 8 + 4, &below) ||
            below == 0)
            return false;
        parts[i] = (double)above / (double)below;
    }
    char letter = (char)toupper((unsigned char)ref[0]);
    if (letter != letters[0] && letter != letters[1])
        return false;
    double angle = parts[0] + parts[1] / 60 + parts[2] / 3600;
    if (parts[1] > 60 || parts[2] > 60 || !(angle <= limit))
        return false;
    *out = letter == letters[1] ? -angle : angle;
    return true;
}

static void read_location(const struct reader *in, size_t gps, struct vz_exif *out)
{
    double lat, lon;
    if (!read_angle(in, gps, GPS_LAT_REF, GPS_LAT, "NS", 90, &lat) ||
        !read_angle(in, gps, GPS_LON_REF, GPS_LON, "EW", 180, &lon))
        return;
    /* A receiver without a fix writes zeros; nobody photographs a dog at 0, 0 in the Atlantic. */
    if (lat == 0 && lon == 0)
        return;
    out->has_location = true;
    out->lat = lat;
    out->lon = lon;
}

void vz_exif_read(struct vz_slice block, struct vz_exif *out)
{
    *out = (struct vz_exif){.orientation = 1};
    if (block.len >= 6 && memcmp(block.ptr, "Exif\0\0", 6) == 0)
        block = (struct vz_slice){block.ptr + 6, block.len - 6};
    if (block.len < 8)
        return;
    struct reader in = {(const uint8_t *)block.ptr, block.len, block.ptr[0] == 'M'};
    if (memcmp(block.ptr, "II\x2A\x00", 4) != 0 && memcmp(block.ptr, "MM\x00\x2A", 4) != 0)
        return;
    uint32_t ifd0;
    struct entry entry;
    unsigned orientation;
    if (!get_u32(&in, 4, &ifd0))
        return;
    if (find_entry(&in, ifd0, TAG_ORIENTATION, &entry) && entry.type == TYPE_SHORT &&
        get_u16(&in, entry.at, &orientation) && orientation >= 1 && orientation <= 8)
        out->orientation = (int)orientation;
    read_date(&in, ifd0, find_ifd(&in, ifd0, TAG_EXIF_IFD), out);
    size_t gps = find_ifd(&in, ifd0, TAG_GPS_IFD);
    if (gps)
        read_location(&in, gps, out);
}
