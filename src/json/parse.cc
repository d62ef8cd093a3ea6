/* parse.cc - the room's one C++ file: simdjson's DOM parser and the library's number printing,
 * given a C face. No exception leaves it: the calls used report errors by value and allocate
 * without throwing, and the faces are noexcept.
 *
 * Pooling. A parser (scratch for stage one) lives per thread. Documents must outlive the call, may
 * be freed by another thread, and are recycled through a small list of the thread that frees them;
 * a list is touched by its own thread alone, so there is no lock. What grew past POOLED_BYTES is
 * given back to the system at once, because simdjson sizes a tape for the worst case: eight bytes
 * for each byte of text, of which only what is written is ever resident.
 */
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

#include <simdjson.h>

extern "C" {
#include "json/doc.h"
}

namespace
{

constexpr size_t POOLED_BYTES = 1 << 20; /* text bytes a recycled document or parser is kept for */
constexpr size_t POOLED_DOCS = 4;
constexpr size_t SMALLEST = 4096;

struct document : vz_json_doc {
    simdjson::dom::document dom;
    document *next = nullptr;
};

struct scratch {
    simdjson::dom::parser parser{0xFFFFFFFFu};
    document *free_docs = nullptr;
    size_t free_count = 0;
    ~scratch()
    {
        while (free_docs) {
            document *next = free_docs->next;
            delete free_docs;
            free_docs = next;
        }
    }
};

/* Made on a thread's first parse, gone with the thread. A document freed while a thread's other
 * destructors run, after this one, finds `gone` and is simply deleted. */
thread_local bool gone = false;
struct holder {
    scratch *held = nullptr;
    ~holder()
    {
        delete held;
        held = nullptr;
        gone = true;
    }
};
thread_local holder mine;

scratch *thread_scratch() noexcept
{
    if (gone)
        return nullptr;
    if (!mine.held)
        mine.held = new (std::nothrow) scratch;
    return mine.held;
}

document *take_document(scratch *s) noexcept
{
    document *doc = s->free_docs;
    if (!doc)
        return new (std::nothrow) document;
    s->free_docs = doc->next;
    s->free_count--;
    return doc;
}

/* Powers of two up to the pooled size, so that a thread's parser settles after a few texts. */
size_t round_capacity(size_t len) noexcept
{
    size_t capacity = SMALLEST;
    while (capacity < len && capacity < POOLED_BYTES)
        capacity *= 2;
    return capacity < len ? len : capacity;
}

simdjson::error_code run(scratch *s, document *doc, const char *text, size_t len,
                         bool padded) noexcept
{
    size_t capacity = round_capacity(len);
    if (s->parser.capacity() < capacity) {
        /* One level more than is allowed: simdjson counts the document itself. */
        simdjson::error_code error = s->parser.allocate(capacity, VZ_JSON_MAX_DEPTH + 1);
        if (error)
            return error;
    }
    if (doc->dom.capacity() < capacity) {
        simdjson::error_code error = doc->dom.allocate(capacity);
        if (error)
            return error;
    }
    return s->parser.parse_into_document(doc->dom, text, len, !padded).error();
}

enum vz_status parse(struct vz_slice text, bool padded, vz_json_doc **out, vz_json *root,
                     vz_error *err) noexcept
{
    *out = nullptr;
    *root = vz_json{nullptr, 0};
    if (text.len > 0xFFFFFFF0u)
        return vz_fail(err, VZ_LIMIT, "JSON text of %zu bytes is over the limit of 4 GiB",
                       text.len);
    scratch *s = thread_scratch();
    document *doc = s ? take_document(s) : nullptr;
    if (!doc)
        return vz_fail(err, VZ_BUDGET, "no memory to parse %zu bytes of JSON", text.len);
    static const char nothing[simdjson::SIMDJSON_PADDING + 1] = {0};
    simdjson::error_code error =
        text.len ? run(s, doc, text.ptr, text.len, padded) : run(s, doc, nothing, 0, true);
    enum vz_status status = VZ_OK;
    if (error == simdjson::MEMALLOC) {
        status = vz_fail(err, VZ_BUDGET, "no memory to parse %zu bytes of JSON", text.len);
    } else if (error) {
        bool big_integers = false;
        status = vz_json_scan(text, &big_integers, err);
        if (status == VZ_OK && big_integers) {
            /* Two bytes more for each integer of nineteen digits or more: a ninth is enough. */
            size_t capacity = text.len + text.len / 9 + 16;
            vz_buf wide = {static_cast<char *>(vz_try_alloc(capacity, 1)), 0, capacity};
            if (!wide.data)
                status = vz_fail(err, VZ_BUDGET, "no memory to parse %zu bytes of JSON", text.len);
            else
                vz_json_widen_integers(text, &wide);
            error = wide.data ? run(s, doc, wide.data, wide.len, false) : simdjson::MEMALLOC;
            vz_buf_deinit(&wide);
        }
        if (status == VZ_OK && error)
            status = vz_fail_at(err, VZ_BAD_JSON, 0, "%s", simdjson::error_message(error));
    }
    if (s->parser.capacity() > POOLED_BYTES) {
        s->parser.~parser();
        new (&s->parser) simdjson::dom::parser(0xFFFFFFFFu);
    }
    if (status != VZ_OK) {
        vz_json_free(doc);
        return status;
    }
    doc->tape = doc->dom.tape.get();
    doc->strings = doc->dom.string_buf.get();
    *out = doc;
    *root = vz_json{doc, 1};
    return VZ_OK;
}

template <typename T> size_t shortest(T value, bool scientific, char *out) noexcept
{
    std::to_chars_result r =
        scientific ? std::to_chars(out, out + 32, value, std::chars_format::scientific)
                   : std::to_chars(out, out + 32, value);
    return static_cast<size_t>(r.ptr - out);
}

} // namespace

extern "C" {

enum vz_status vz_json_parse(struct vz_slice text, struct vz_json_doc **doc, struct vz_json *root,
                             struct vz_error *err)
{
    return parse(text, false, doc, root, err);
}

enum vz_status vz_json_parse_padded(struct vz_slice text, struct vz_json_doc **doc,
                                    struct vz_json *root, struct vz_error *err)
{
    return parse(text, true, doc, root, err);
}

void vz_json_free(struct vz_json_doc *freed)
{
    if (!freed)
        return;
    document *doc = static_cast<document *>(freed);
    scratch *s = doc->dom.capacity() <= POOLED_BYTES ? thread_scratch() : nullptr;
    if (!s || s->free_count >= POOLED_DOCS) {
        delete doc;
        return;
    }
    doc->next = s->free_docs;
    s->free_docs = doc;
    s->free_count++;
}

size_t vz_json_shortest_double(double value, bool scientific, char *out)
{
    return shortest(value, scientific, out);
}

size_t vz_json_shortest_float(float value, bool scientific, char *out)
{
    return shortest(value, scientific, out);
}
}
