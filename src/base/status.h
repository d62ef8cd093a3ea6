/* base/status.h - how every room says that something went wrong.
 *
 * A function that can fail for a reason other than a caller's bug returns an `enum vz_status` and
 * takes an optional last argument `struct vz_error *`. Who detects fills it; who receives passes
 * it up unchanged. Statuses name what happened, not how HTTP would say it: only src/rest knows
 * that. Thread-safe: an error belongs to the caller's stack.
 *
 *     struct vz_error err = {0};
 *     if (vz_image_open(bytes, &limits, &img, &err) != VZ_OK)
 *         fprintf(stderr, "%s\n", err.text);
 */
#ifndef VZ_BASE_STATUS_H
#define VZ_BASE_STATUS_H

#include <stddef.h>

enum vz_status {
    VZ_OK = 0,
    VZ_BAD_ARGUMENT,   /* a parameter is out of range or of the wrong kind */
    VZ_BAD_JSON,       /* malformed JSON; `offset` is the byte where it went wrong */
    VZ_BAD_DOCUMENT,   /* a document does not fit its mapping (field and place in the text) */
    VZ_BAD_MAPPING,    /* a mapping or setting that makes no sense */
    VZ_BAD_QUERY,      /* a search body that makes no sense */
    VZ_BAD_IMAGE,      /* bytes that are no picture, or a broken one */
    VZ_BAD_NAME,       /* an index, alias or model name that is not allowed */
    VZ_UNSUPPORTED,    /* well-formed, known to Elasticsearch, not done here (yet) */
    VZ_STRICT_MAPPING, /* a new field where the mapping says "dynamic": "strict" */
    VZ_NOT_FOUND,      /* no such document, field, file, route */
    VZ_NO_INDEX,       /* no such index or alias */
    VZ_CLOSED,         /* the index is closed */
    VZ_EXISTS,         /* an index or alias of that name is there already */
    VZ_CONFLICT,       /* version conflict */
    VZ_LIMIT,          /* larger than a limit allows (the text names the limit) */
    VZ_BUDGET,         /* would break the memory budget */
    VZ_BUSY,           /* a queue is full, or another process holds the folder */
    VZ_CANCELLED,      /* stopped on request or timed out */
    VZ_IO,             /* the operating system failed to read or write */
    VZ_DISK_FULL,      /* no space left on the device */
    VZ_READ_ONLY,      /* the folder or file cannot be written */
    VZ_CORRUPT,        /* a file of ours does not hold what it must */
    VZ_INTERNAL        /* a bug of ours, reported instead of aborting */
};

/* Zero-initialise before use. `text` is a sentence without a final full stop and names what and
 * where ("field [image_embedding]: expected 512 dimensions, got 3"). `cause` is a deeper reason,
 * empty when there is none. `offset` is a byte offset into the input, or VZ_NO_OFFSET. */
struct vz_error {
    enum vz_status status;
    size_t offset;
    char text[480];
    char cause[240];
};

#define VZ_NO_OFFSET ((size_t)-1)

/* Fills *err (NULL is allowed: then nothing is written) and returns `status`, so that a failing
 * line reads `return vz_fail(err, VZ_BAD_QUERY, "unknown query [%s]", name);`. Long texts are cut
 * at a UTF-8 boundary. Keeps no pointer. */
enum vz_status vz_fail(struct vz_error *err, enum vz_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As vz_fail, with the byte offset of the offending input. */
enum vz_status vz_fail_at(struct vz_error *err, enum vz_status status, size_t offset,
                          const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Adds the deeper reason to an error already filled. NULL err is allowed. */
void vz_fail_cause(struct vz_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Fills *err from an errno value: ENOSPC and EDQUOT become VZ_DISK_FULL, EROFS, EACCES and EPERM
 * VZ_READ_ONLY, ENOENT VZ_NOT_FOUND, everything else VZ_IO. `what` says what was being done to
 * which file. Returns the status. */
enum vz_status vz_fail_errno(struct vz_error *err, int errno_value, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The status's name in lower case ("bad_query"), for logs and tests. Static storage. */
const char *vz_status_name(enum vz_status status);

#endif
