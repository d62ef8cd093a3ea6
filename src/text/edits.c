#include "text/edits.h"

#include "base/mem.h"

const unsigned *vz_edits(const uint32_t *a, size_t n, const uint32_t *b, size_t m, bool swaps,
                         unsigned *rows)
{
    unsigned *before = rows, *last = rows + m + 1, *now = rows + 2 * (m + 1);
    for (size_t j = 0; j <= m; j++)
        last[j] = (unsigned)j;
    for (size_t i = 1; i <= n; i++) {
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= m; j++) {
            unsigned cost = a[i - 1] != b[j - 1];
            now[j] = VZ_MIN(VZ_MIN(now[j - 1], last[j]) + 1, last[j - 1] + cost);
            if (swaps && i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = VZ_MIN(now[j], before[j - 2] + cost);
        }
        unsigned *oldest = before;
        before = last;
        last = now;
        now = oldest;
    }
    return last;
}
