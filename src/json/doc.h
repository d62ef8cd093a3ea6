/* json/doc.h - inside the room: what a parsed document is made of, and what C++ lends to C.
 *
 * A document is simdjson's tape, read directly: 64-bit words with a type letter in the top byte and
 * a payload below. One C++ file (parse.cc) fills it; everything else walks it in C without a call
 * across the languages.
 *
 *     word        payload                                   words
 *     'r'         (first and last word)                     1
 *     '{' '['     low 32: index behind the matching close;  1
 *                 next 24: count of members, saturated
 *     '}' ']'     index of the opening word                 1
 *     '"'         offset into `strings`: u32 length, bytes  1
 *     'l' 'u' 'd' none; the next word is i64, u64, f64      2
 *     't' 'f' 'n' none                                      1
 */
#ifndef VZ_JSON_DOC_H
#define VZ_JSON_DOC_H

#include "json/json.h"

#ifdef __cplusplus
extern "C" {
#endif

struct vz_json_doc {
    const uint64_t *tape;   /* the root value is at index 1 */
    const uint8_t *strings; /* lengths in the machine's byte order */
};

static inline char vz_tape_tag(const struct vz_json_doc *doc, size_t at)
{
    return (char)(doc->tape[at] >> 56);
}
static inline uint64_t vz_tape_payload(const struct vz_json_doc *doc, size_t at)
{
    return doc->tape[at] & 0x00FFFFFFFFFFFFFFull;
}
/* The index behind the value at `at`. */
static inline size_t vz_tape_after(const struct vz_json_doc *doc, size_t at)
{
    switch (vz_tape_tag(doc, at)) {
    case '{':
    case '[':
        return (uint32_t)doc->tape[at];
    case 'l':
    case 'u':
    case 'd':
        return at + 2;
    default:
        return at + 1;
    }
}
static inline struct vz_slice vz_tape_string(const struct vz_json_doc *doc, size_t at)
{
    const uint8_t *s = doc->strings + vz_tape_payload(doc, at);
    uint32_t len;
    memcpy(&len, s, sizeof len);
    struct vz_slice text = {(const char *)s + sizeof len, len};
    return text;
}

/* Where and why `text` is no JSON (RFC 8259, depth, numbers that no double holds), for the error
 * message; the parser itself gives no offset. VZ_OK when this slower reader finds nothing wrong:
 * then `big_integers` says whether an integer was seen that does not fit 64 bits. */
enum vz_status vz_json_scan(struct vz_slice text, bool *big_integers, struct vz_error *err);
/* A copy of valid `text` in which every integer beyond 64 bits reads as a double ("e0" appended).
 */
void vz_json_widen_integers(struct vz_slice text, struct vz_buf *out);

/* Shortest digits that read back to the same value, as C++17 prints them; no NUL; at most 32 bytes.
 * `scientific` forces d.ddde+XX. The value must be finite. */
size_t vz_json_shortest_double(double value, bool scientific, char *out);
size_t vz_json_shortest_float(float value, bool scientific, char *out);

#ifdef __cplusplus
}
#endif

#endif
