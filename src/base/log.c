#include "base/log.h"

#include "base/clock.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

static enum vz_log_level minimum_level = VZ_LOG_WARN;
static bool as_json;

void vz_log_setup(enum vz_log_level minimum, bool json)
{
    minimum_level = minimum;
    as_json = json;
}

bool vz_log_enabled(enum vz_log_level level)
{
    return level >= minimum_level;
}

static size_t escape(const char *text, char *out, size_t capacity)
{
    size_t len = 0;
    for (; *text && len + 8 < capacity; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            out[len++] = '\\';
            out[len++] = (char)c;
        } else if (c < 0x20 || c == 0x7F) {
            len += (size_t)snprintf(out + len, capacity - len, "\\u%04x", c);
        } else {
            out[len++] = (char)c;
        }
    }
    out[len] = '\0';
    return len;
}

void vz_log(enum vz_log_level level, const char *room, const char *format, ...)
{
    static const char *const names[] = {"debug", "info", "warn", "error", "off"};
    if (!vz_log_enabled(level))
        return;
    char message[3000], escaped[3800], line[4200], when[32];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    escape(message, escaped, sizeof escaped);
    vz_format_iso_ms(vz_wall_ms(), when, sizeof when);
    int len = as_json ? snprintf(line, sizeof line,
                                 "{\"@timestamp\":\"%s\",\"level\":\"%s\",\"room\":\"%s\","
                                 "\"msg\":\"%s\"}\n",
                                 when, names[level], room, escaped)
                      : snprintf(line, sizeof line, "%s %-5s %-6s %s\n", when, names[level], room,
                                 escaped);
    ssize_t written = write(STDERR_FILENO, line, (size_t)len);
    (void)written; /* nowhere left to complain */
}
