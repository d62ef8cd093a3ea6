/* base/zone.h - time zones: fixed offsets and the system's zoneinfo files.
 *
 * Threads: any. A zone lives as long as the process.
 */
#ifndef VZ_BASE_ZONE_H
#define VZ_BASE_ZONE_H

#include "base/mem.h"

struct vz_zone;
/* "UTC", "Z", "+02:00", "GMT+2", "Europe/Amsterdam". Kept for the process. NULL: none of that name.
 */
const struct vz_zone *vz_zone_find(struct vz_slice name);
/* Seconds east of UTC at that time. */
int32_t vz_zone_offset(const struct vz_zone *zone, int64_t utc_s);
/* For a local time: the offset that holds then (the earlier where two do). */
int32_t vz_zone_offset_local(const struct vz_zone *zone, int64_t local_s);
/* The next moment (UTC seconds) after utc_s at which the offset may be another; INT64_MAX: there is
 * none within the next two years. */
int64_t vz_zone_next_change(const struct vz_zone *zone, int64_t utc_s);
/* When no moment has another offset: *offset_s is it. */
bool vz_zone_is_fixed(const struct vz_zone *zone, int32_t *offset_s);

#endif
