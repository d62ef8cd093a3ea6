/* store/date_parts.h - what the files date*.c share: formats taken apart, the calendar, date math.
 */
#ifndef VZ_STORE_DATE_PARTS_H
#define VZ_STORE_DATE_PARTS_H

#include "store/mapping_parts.h"

#define VZ_DAY_MS ((int64_t)86400000)
#define VZ_MAX_YEAR 292278993 /* what 64 bits of milliseconds hold */
/* A search's format comes unchecked: a longer one is none, or work would be a client's to choose.
 */
#define VZ_MAX_FORMAT_BYTES 512

/* ---- date.c: reading ---------------------------------------------------------------------- */

struct vz_date_reader {
    const char *at, *end;
};
/* Between min and max digits, at most 18; more than that in the text are left to whoever is next,
 * who will not want them. */
bool vz_date_digits(struct vz_date_reader *in, int min, int max, int64_t *out);

enum vz_date_kind {
    VZ_DATE_PATTERN,
    VZ_DATE_ISO,
    VZ_DATE_ISO_LENIENT,
    VZ_DATE_MILLIS,
    VZ_DATE_SECONDS
};
struct vz_date_format {
    enum vz_date_kind kind;
    struct vz_slice pattern;
    bool lenient; /* one digit will do where the pattern asks for two */
};
/* One alternative: a name, or else a pattern. */
struct vz_date_format vz_date_format_find(struct vz_slice alternative);
/* The alternatives of a format, one a call. */
bool vz_date_next_alternative(struct vz_slice *rest, struct vz_slice *alternative);
/* An empty format is the default of a date field. */
struct vz_slice vz_date_format_or_default(struct vz_slice format);

extern const char *const vz_month_names[12];
extern const char *const vz_day_names[7]; /* Monday first */

static inline bool vz_is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
/* The next character of the quoted literal that begins at `open` (two quotes in a row are one, also
 * as the whole literal), or 0 at its end; *p moves along and ends behind the closing quote. */
char vz_date_literal_char(const char *open, const char **p, const char *end);

/* ---- date_math.c --------------------------------------------------------------------------- */

bool vz_is_leap_year(int64_t year);
int vz_month_days(int64_t year, int month);
/* The date of a moment, and the milliseconds since its midnight. */
void vz_date_split(int64_t ms, int *year, int *month, int *day, int64_t *in_day);
/* Applies "+1M-2d/d" to *ms. round_up: "/" goes to the last moment of the unit. VZ_BAD_ARGUMENT. */
enum vz_status vz_date_math(struct vz_slice math, bool round_up, int64_t *ms, struct vz_error *err);

#endif
