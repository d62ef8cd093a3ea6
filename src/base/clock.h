/* base/clock.h - time. Thread-safe. */
#ifndef VZ_BASE_CLOCK_H
#define VZ_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/* Nanoseconds since an arbitrary start, never going back. */
uint64_t vz_now_ns(void);
/* Milliseconds since 1970-01-01T00:00:00Z. */
int64_t vz_wall_ms(void);
/* "2026-11-20T12:34:56.789Z" into at least 25 bytes; years 0 to 9999, others clamped. */
void vz_format_iso_ms(int64_t wall_ms, char *out, size_t capacity);
/* Days since 1970-01-01 of a proleptic Gregorian date, and back. month 1..12, day 1..31. */
int64_t vz_days_from_civil(int year, int month, int day);
void vz_civil_from_days(int64_t days, int *year, int *month, int *day);

#endif
