/* store/packing.h - documents' sources, compressed.
 *
 * A document alone gives a compressor little to go by: it spends its time on tables of its own, and
 * finds nothing said before. So a generation has a packer, once there were documents enough to make
 * one of (a request's in write.c, those of the index in repack.c): zstd's dictionary of what they
 * have in common, kept in `state`/"packer". Sources compressed with it are marked in their records;
 * it never changes while there are any. The next generation has its own.
 *
 * A packer may be used by any number of threads at once. */
#ifndef VZ_STORE_PACKING_H
#define VZ_STORE_PACKING_H

#include "base/mem.h"
#include "base/status.h"
#include "base/text.h"

/* Smaller sources are stored as they are; fewer samples make no packer. */
#define VZ_PACKED_FROM_BYTES 96
#define VZ_PACKER_SAMPLES 256
/* No program makes one so large; one that lies on disk is damaged. */
#define VZ_PACKER_MAX_BYTES ((size_t)1 << 20)

struct vz_packer;

/* Copies the bytes. What compression needs is made by the first use. Of no bytes: a packer that
 * packs nothing and unpacks nothing. */
struct vz_packer *vz_packer_new(struct vz_slice bytes);
/* NULL: nothing. */
void vz_packer_free(struct vz_packer *packer);
/* One that no other packer of the process has or had; of NULL 0. */
uint64_t vz_packer_serial(const struct vz_packer *packer);
/* What vz_packer_new was given. Borrowed. */
struct vz_slice vz_packer_bytes(const struct vz_packer *packer);
/* Makes one of what sources have in common: some tens of milliseconds. NULL: too few, too small, or
 * too different for it to be worth it. */
struct vz_packer *vz_packer_train(const struct vz_slice *sources, size_t count);

/* Compresses when it helps, with the packer if there is one; borrows `source` otherwise. */
struct vz_slice vz_source_pack(struct vz_packer *packer, struct vz_slice source,
                               struct vz_arena *arena, bool *compressed, bool *shared);
/* Into source_len bytes and a NUL in the arena. packer: NULL, or the one it was packed with.
 * False: it is not that. */
bool vz_source_unpack(struct vz_packer *packer, struct vz_slice stored, size_t source_len,
                      struct vz_arena *arena, struct vz_slice *out);

#endif
