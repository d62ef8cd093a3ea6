/* _data_stream: there are none here, and that is what is said. Clients ask before they copy
 * (helpers.reindex of the Python client). */
#include "rest/parts.h"

void vz_rest_data_streams(struct vz_call *call)
{
    struct vz_slice *names;
    size_t count = vz_split(call->arena, call->args[0], &names);
    for (size_t i = 0; i < count; i++) {
        bool is_pattern = vz_slice_is(names[i], "_all") ||
                          (names[i].len && memchr(names[i].ptr, '*', names[i].len));
        if (!is_pattern) {
            vz_problem_no_index(call->arena, names[i], &call->problem);
            return;
        }
    }
    vz_buf_append_str(&call->response->body, "{\"data_streams\":[]}");
}
