#include "base/hash.h"

#include "base/text.h"

struct vz_hash_seed vz_hash_seed;

void vz_hash_reseed(uint64_t number)
{
    if (number == 0)
        vz_random_bytes(&vz_hash_seed, sizeof vz_hash_seed);
    else
        vz_hash_seed =
            (struct vz_hash_seed){vz_rng_next(&number), vz_rng_next(&number), vz_rng_next(&number)};
    vz_hash_seed.c |= 1;
}

/* Before main and any thread: a seed that came later would move what tables hold already. */
__attribute__((constructor)) static void draw(void)
{
    vz_hash_reseed(0);
}
