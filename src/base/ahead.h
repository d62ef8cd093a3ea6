/* base/ahead.h - reading mapped files that memory does not hold.
 *
 * A page of a mapped file that is not in memory is read when it is touched, by the thread that
 * touches it, one at a time, and by default with megabytes around it. Whoever knows which pages
 * come next asks for all of them before it touches the first: the disk then works on many at once.
 *
 * Measured on a disk of 50 us a read, 8 MiB of read-ahead, 100 pages here and there: touched one by
 * one 192 ms; without the surroundings 5.2 ms; asked for together 1.3 ms; asked for although they
 * are in memory 0.03 ms (bench/vectors: `bench_vectors .. cold`, ADR 5).
 */
#ifndef VZ_BASE_AHEAD_H
#define VZ_BASE_AHEAD_H

#include <stddef.h>
#include <sys/uio.h>

/* Starts reading the pages of `count` pieces of mapped files; does not wait for them. Pieces need
 * no alignment and are overwritten; at most VZ_AHEAD_MOST of them. Advice: a kernel that does not
 * take it changes nothing but the time. */
enum { VZ_AHEAD_MOST = 64 };
void vz_ahead(struct iovec *pieces, size_t count);

/* Touched pages of [base, base + bytes) come alone from now on: for files that are read here and
 * there and are larger than memory. `base` is the start of a page. */
void vz_ahead_alone(void *base, size_t bytes);

#endif
