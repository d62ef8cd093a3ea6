/* base/log.h - structured log lines on standard error, one JSON object a line or plain text.
 *
 *     {"@timestamp":"2026-11-20T12:34:56.789Z","level":"info","room":"store","msg":"opened ..."}
 *
 * Thread-safe: a line is written with one write(2).
 */
#ifndef VZ_BASE_LOG_H
#define VZ_BASE_LOG_H

#include <stdbool.h>

enum vz_log_level { VZ_LOG_DEBUG, VZ_LOG_INFO, VZ_LOG_WARN, VZ_LOG_ERROR, VZ_LOG_OFF };

/* Default: VZ_LOG_WARN, text. Call before starting threads. */
void vz_log_setup(enum vz_log_level minimum, bool json);
bool vz_log_enabled(enum vz_log_level level);
/* `room` is the source folder's name. Lines are cut at 4,000 bytes. Control characters and quotes
 * are escaped, so text from a client cannot forge a line. */
void vz_log(enum vz_log_level level, const char *room, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
