/* embed/tokenizer_classes.c - characters: classes, small letters, UTF-8.
 *
 * The table is what `tokenizers` itself answered (tools/make_tokenizer_classes.py). ICU's classes
 * were tried first: its Unicode 15 differs from the library's mixture in 421 marks, 129 punctuation
 * characters and some thousand rare letters.
 */
#include <pthread.h>
#include <stdlib.h>

#include "base/text.h"
#include "embed/tokenizer_parts.h"
#include "embed/tokenizer_table.h"

#define PAGE 128
#define MAX_PAGES 1024

uint16_t tok_class_pages[0x110000 >> 7];
uint16_t tok_class_flags[MAX_PAGES * PAGE];

/* GPT-2: visible bytes stand for themselves, the others for U+0100 and on. */
const uint16_t tok_byte_char[256] = {
    0x100, 0x101, 0x102, 0x103, 0x104, 0x105, 0x106, 0x107, 0x108, 0x109, 0x10A, 0x10B, 0x10C,
    0x10D, 0x10E, 0x10F, 0x110, 0x111, 0x112, 0x113, 0x114, 0x115, 0x116, 0x117, 0x118, 0x119,
    0x11A, 0x11B, 0x11C, 0x11D, 0x11E, 0x11F, 0x120, 0x21,  0x22,  0x23,  0x24,  0x25,  0x26,
    0x27,  0x28,  0x29,  0x2A,  0x2B,  0x2C,  0x2D,  0x2E,  0x2F,  0x30,  0x31,  0x32,  0x33,
    0x34,  0x35,  0x36,  0x37,  0x38,  0x39,  0x3A,  0x3B,  0x3C,  0x3D,  0x3E,  0x3F,  0x40,
    0x41,  0x42,  0x43,  0x44,  0x45,  0x46,  0x47,  0x48,  0x49,  0x4A,  0x4B,  0x4C,  0x4D,
    0x4E,  0x4F,  0x50,  0x51,  0x52,  0x53,  0x54,  0x55,  0x56,  0x57,  0x58,  0x59,  0x5A,
    0x5B,  0x5C,  0x5D,  0x5E,  0x5F,  0x60,  0x61,  0x62,  0x63,  0x64,  0x65,  0x66,  0x67,
    0x68,  0x69,  0x6A,  0x6B,  0x6C,  0x6D,  0x6E,  0x6F,  0x70,  0x71,  0x72,  0x73,  0x74,
    0x75,  0x76,  0x77,  0x78,  0x79,  0x7A,  0x7B,  0x7C,  0x7D,  0x7E,  0x121, 0x122, 0x123,
    0x124, 0x125, 0x126, 0x127, 0x128, 0x129, 0x12A, 0x12B, 0x12C, 0x12D, 0x12E, 0x12F, 0x130,
    0x131, 0x132, 0x133, 0x134, 0x135, 0x136, 0x137, 0x138, 0x139, 0x13A, 0x13B, 0x13C, 0x13D,
    0x13E, 0x13F, 0x140, 0x141, 0x142, 0xA1,  0xA2,  0xA3,  0xA4,  0xA5,  0xA6,  0xA7,  0xA8,
    0xA9,  0xAA,  0xAB,  0xAC,  0x143, 0xAE,  0xAF,  0xB0,  0xB1,  0xB2,  0xB3,  0xB4,  0xB5,
    0xB6,  0xB7,  0xB8,  0xB9,  0xBA,  0xBB,  0xBC,  0xBD,  0xBE,  0xBF,  0xC0,  0xC1,  0xC2,
    0xC3,  0xC4,  0xC5,  0xC6,  0xC7,  0xC8,  0xC9,  0xCA,  0xCB,  0xCC,  0xCD,  0xCE,  0xCF,
    0xD0,  0xD1,  0xD2,  0xD3,  0xD4,  0xD5,  0xD6,  0xD7,  0xD8,  0xD9,  0xDA,  0xDB,  0xDC,
    0xDD,  0xDE,  0xDF,  0xE0,  0xE1,  0xE2,  0xE3,  0xE4,  0xE5,  0xE6,  0xE7,  0xE8,  0xE9,
    0xEA,  0xEB,  0xEC,  0xED,  0xEE,  0xEF,  0xF0,  0xF1,  0xF2,  0xF3,  0xF4,  0xF5,  0xF6,
    0xF7,  0xF8,  0xF9,  0xFA,  0xFB,  0xFC,  0xFD,  0xFE,  0xFF,
};

static uint16_t small[0x23A]; /* most texts are of these */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static uint32_t lower_find(uint32_t c)
{
    size_t low = 0, high = VZ_COUNT_OF(lowers);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (lowers[middle].last < c)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == VZ_COUNT_OF(lowers) || c < lowers[low].first ||
        (c - lowers[low].first) % lowers[low].step)
        return c;
    return c + (uint32_t)lowers[low].distance;
}

/* Equal pages are kept once: 8,704 become fewer than 300. */
static void pages_make(void)
{
    size_t run = 0, pages = 0;
    for (uint32_t first = 0; first < 0x110000; first += PAGE) {
        uint16_t flags[PAGE];
        for (uint32_t i = 0; i < PAGE; i++) {
            while (run + 1 < VZ_COUNT_OF(runs) && runs[run + 1] >> 11 <= first + i)
                run++;
            flags[i] = runs[run] & 0x7FF;
        }
        size_t page = 0;
        while (page < pages && memcmp(tok_class_flags + page * PAGE, flags, sizeof flags) != 0)
            page++;
        if (page == pages) {
            if (pages == MAX_PAGES)
                abort(); /* the table is ours: a test would not have passed */
            memcpy(tok_class_flags + pages++ * PAGE, flags, sizeof flags);
        }
        tok_class_pages[first / PAGE] = (uint16_t)page;
    }
    for (uint32_t c = 0; c < VZ_COUNT_OF(small); c++)
        small[c] = (uint16_t)lower_find(c);
}

void tok_classes_init(void)
{
    pthread_once(&once, pages_make);
}

uint32_t tok_lower(uint32_t c)
{
    return c < VZ_COUNT_OF(small) ? small[c] : lower_find(c);
}

uint32_t tok_before(const char *text, size_t end)
{
    size_t at = end - 1;
    while (at > 0 && ((unsigned char)text[at] & 0xC0) == 0x80)
        at--;
    return tok_next(text, &at);
}

size_t tok_put(uint32_t c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 63));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 63));
        out[2] = (char)(0x80 | (c & 63));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 63));
    out[2] = (char)(0x80 | (c >> 6 & 63));
    out[3] = (char)(0x80 | (c & 63));
    return 4;
}

/* Length of the maximal malformed part at p: the longest start of some character, at least 1. */
static size_t malformed_length(const unsigned char *p, size_t left)
{
    unsigned low = 0x80, high = 0xBF;
    size_t want = p[0] >= 0xC2 && p[0] <= 0xDF   ? 2
                  : p[0] >= 0xE0 && p[0] <= 0xEF ? 3
                  : p[0] >= 0xF0 && p[0] <= 0xF4 ? 4
                                                 : 1;
    if (p[0] == 0xE0)
        low = 0xA0;
    if (p[0] == 0xED)
        high = 0x9F;
    if (p[0] == 0xF0)
        low = 0x90;
    if (p[0] == 0xF4)
        high = 0x8F;
    size_t len = 1;
    while (len < want && len < left && p[len] >= low && p[len] <= high) {
        low = 0x80;
        high = 0xBF;
        len++;
    }
    return len;
}

void tok_utf8_mend(struct vz_slice text, struct vz_buf *out)
{
    while (text.len) {
        size_t valid = vz_utf8_valid_prefix(text.ptr, text.len);
        vz_buf_append(out, text.ptr, valid);
        text.ptr += valid;
        text.len -= valid;
        if (text.len) {
            size_t bad = malformed_length((const unsigned char *)text.ptr, text.len);
            vz_buf_append(out, "\xEF\xBF\xBD", 3);
            text.ptr += bad;
            text.len -= bad;
        }
    }
}
