#include "cli/cli.h"

#include "base/clock.h"
#include "base/text.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

int vz_complain(const struct vz_error *err)
{
    struct vz_buf line = {0};
    vz_term_text(&line, vz_slice_from(err->text), INT_MAX);
    if (err->cause[0]) {
        vz_buf_append_str(&line, ": ");
        vz_term_text(&line, vz_slice_from(err->cause), INT_MAX);
    }
    fprintf(stderr, "vizsla: %s\n", line.data);
    vz_buf_deinit(&line);
    return VZ_EXIT_FAILED;
}

static volatile sig_atomic_t stop_asked;

static void note_stop(int number)
{
    (void)number;
    stop_asked = 1;
}

void vz_stop_watch(void)
{
    struct sigaction action = {.sa_handler = note_stop,
                               .sa_flags = (int)(SA_RESETHAND | SA_RESTART)};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool vz_stop_asked(void)
{
    return stop_asked;
}

#define DRAW_EVERY_NS 100000000ull
#define BAR_CELLS 30
#define BESIDE_BAR_CELLS 52 /* a line that wraps leaves a trail */

void vz_progress_start(struct vz_progress *progress, const char *label, size_t total)
{
    *progress = (struct vz_progress){.label = label, .total = total, .start_ns = vz_now_ns()};
    progress->on = isatty(STDERR_FILENO) && total > 1;
}

static void draw(const struct vz_progress *progress, uint64_t now)
{
    double seconds = (double)(now - progress->start_ns) / 1e9;
    size_t done = VZ_MIN(progress->done, progress->total);
    size_t fresh = done - VZ_MIN(done, progress->first);
    double rate = seconds > 0 ? (double)fresh / seconds : 0;
    double left = rate > 0 ? VZ_MIN((double)(progress->total - done) / rate, 359999.0) : 0;
    int cells = VZ_MAX(0, VZ_MIN(BAR_CELLS, vz_term_columns() - BESIDE_BAR_CELLS));
    int filled = (int)((double)done / (double)progress->total * cells);
    char bar[BAR_CELLS * 3 + 1];
    size_t at = 0;
    for (int i = 0; i < cells; i++) {
        memcpy(bar + at, i < filled ? "█" : "░", 3);
        at += 3;
    }
    bar[at] = '\0';
    if (progress->bytes)
        fprintf(stderr, "\r%s %s %.1f/%.1f MB  %.1f MB/s  %d:%02d left \033[K", progress->label,
                bar, (double)done / 1e6, (double)progress->total / 1e6, rate / 1e6, (int)left / 60,
                (int)left % 60);
    else
        fprintf(stderr, "\r%s %s %zu/%zu  %.1f/s  %d:%02d left \033[K", progress->label, bar, done,
                progress->total, rate, (int)left / 60, (int)left % 60);
    fflush(stderr);
}

void vz_progress_start_bytes(struct vz_progress *progress, const char *label, size_t done,
                             size_t total)
{
    vz_progress_start(progress, label, total);
    progress->done = progress->first = done;
    progress->bytes = true;
}

void vz_progress_at(struct vz_progress *progress, size_t done, size_t total)
{
    progress->total = VZ_MAX(total, (size_t)1);
    progress->done = 0;
    progress->first = VZ_MIN(progress->first, done);
    vz_progress_step(progress, done);
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

/* The character at text.ptr: its bytes, the cells it takes, and whether a terminal shows it and
 * does nothing else. */
static size_t next_character(struct vz_slice text, int *width, bool *printable)
{
    size_t len = 1;
    wchar_t wide = 0;
    while (len < text.len && ((unsigned char)text.ptr[len] & 0xC0) == 0x80)
        len++;
    *printable = (unsigned char)text.ptr[0] >= 0x20 && text.ptr[0] != 0x7F &&
                 vz_utf8_valid_prefix(text.ptr, len) == len;
    *width = 1;
    if (*printable && len > 1 && mbtowc(&wide, text.ptr, len) > 0)
        *width = wcwidth(wide);
    if (*width < 0) { /* control characters beyond ASCII */
        *printable = false;
        *width = 1;
    }
    return len;
}

int vz_term_text(struct vz_buf *out, struct vz_slice text, int most)
{
    int used = 0, width;
    bool printable;
    vz_buf_reserve(out, text.len);
    out->data[out->len] = '\0';
    for (size_t i = 0, len; i < text.len; i += len, used += width) {
        len = next_character((struct vz_slice){text.ptr + i, text.len - i}, &width, &printable);
        if (width > most - used)
            break;
        if (printable)
            vz_buf_append(out, text.ptr + i, len);
        else
            vz_buf_append_char(out, text.ptr[i] == '\n' || text.ptr[i] == '\t' ? ' ' : '?');
    }
    return used;
}

void vz_term_cell(struct vz_buf *out, struct vz_slice text, int cells)
{
    for (int used = vz_term_text(out, text, cells); used < cells; used++)
        vz_buf_append_char(out, ' ');
}

int vz_term_width(struct vz_slice text)
{
    struct vz_buf shown = {0};
    int cells = vz_term_text(&shown, text, INT_MAX);
    vz_buf_deinit(&shown);
    return cells;
}
