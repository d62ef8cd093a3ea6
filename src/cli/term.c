#include "cli/cli.h"

#include "base/clock.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

int vz_complain(const struct vz_error *err)
{
    fprintf(stderr, "vizsla: %s%s%s\n", err->text, err->cause[0] ? ": " : "", err->cause);
    return VZ_EXIT_FAILED;
}

#define DRAW_EVERY_NS 100000000ull
#define BAR_CELLS 30

void vz_progress_start(struct vz_progress *progress, const char *label, size_t total)
{
    *progress = (struct vz_progress){.label = label, .total = total, .start_ns = vz_now_ns()};
    progress->on = isatty(STDERR_FILENO) && total > 1;
}

static void draw(const struct vz_progress *progress, uint64_t now)
{
    double seconds = (double)(now - progress->start_ns) / 1e9;
    double rate = seconds > 0 ? (double)progress->done / seconds : 0;
    double left = rate > 0 ? (double)(progress->total - progress->done) / rate : 0;
    int filled = (int)(progress->done * BAR_CELLS / progress->total);
    char bar[BAR_CELLS * 3 + 1];
    size_t at = 0;
    for (int i = 0; i < BAR_CELLS; i++) {
        memcpy(bar + at, i < filled ? "█" : "░", 3);
        at += 3;
    }
    bar[at] = '\0';
    fprintf(stderr, "\r%s %s %zu/%zu  %.1f/s  %d:%02d left \033[K", progress->label, bar,
            progress->done, progress->total, rate, (int)left / 60, (int)left % 60);
    fflush(stderr);
}

void vz_progress_step(struct vz_progress *progress, size_t done)
{
    progress->done += done;
    uint64_t now = vz_now_ns();
    if (!progress->on || now - progress->drawn_ns < DRAW_EVERY_NS)
        return;
    progress->drawn_ns = now;
    draw(progress, now);
}

void vz_progress_end(struct vz_progress *progress)
{
    if (progress->on)
        fprintf(stderr, "\r\033[K");
    progress->on = false;
}

int vz_term_columns(void)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    const char *columns = getenv("COLUMNS");
    int value = columns ? atoi(columns) : 0;
    return value > 0 && value < 1000 ? value : 80;
}

bool vz_term_is_terminal(void)
{
    return isatty(STDOUT_FILENO);
}

void vz_term_cell(struct vz_buf *out, struct vz_slice text, int cells)
{
    int used = 0;
    for (size_t i = 0; i < text.len;) {
        size_t len = 1;
        while (i + len < text.len && ((unsigned char)text.ptr[i + len] & 0xC0) == 0x80)
            len++;
        bool printable = (unsigned char)text.ptr[i] >= 0x20 && text.ptr[i] != 0x7F &&
                         vz_utf8_valid_prefix(text.ptr + i, len) == len;
        wchar_t wide = 0;
        int width = 1;
        if (printable && len > 1 && mbtowc(&wide, text.ptr + i, len) > 0)
            width = wcwidth(wide);
        if (width < 0) {
            printable = false;
            width = 1;
        }
        if (used + width > cells)
            break;
        vz_buf_append(out, printable ? text.ptr + i : "?", printable ? len : 1);
        used += width;
        i += len;
    }
    while (used++ < cells)
        vz_buf_append_char(out, ' ');
}
