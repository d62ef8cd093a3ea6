/* store/names.h - which names an index or an alias may have. Thread-safe, no allocation. */
#ifndef VZ_STORE_NAMES_H
#define VZ_STORE_NAMES_H

#include "base/mem.h"
#include "base/status.h"

#define VZ_MAX_INDEX_NAME_BYTES 255

/* VZ_BAD_NAME with Elasticsearch's words ("Invalid index name [X], must be lowercase"): lower case,
 * none of \ / * ? " < > | space , # :, not starting with _ - +, not . or .., 1 to 255 bytes of
 * UTF-8 without control characters. */
enum vz_status vz_index_name_check(struct vz_slice name, struct vz_error *err);
/* The same for aliases, which may have upper case ("Invalid alias name [X], ..."). */
enum vz_status vz_alias_name_check(struct vz_slice name, struct vz_error *err);

#endif
