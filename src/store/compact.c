#include "store/index.h"
enum vz_status vz_index_compact(struct vz_index *index, struct vz_error *err)
{
    return vz_fail(err, VZ_UNSUPPORTED, "compaction is not written yet");
}
