/* text/view.h - what a view is; private to the room. */
#ifndef VZ_TEXT_VIEW_H
#define VZ_TEXT_VIEW_H

#include "text/postings_parts.h"

struct vz_text_view {
    _Atomic uint32_t references; /* release/acquire with itself */
    size_t count;
    struct vz_segment *segments[];
};

#endif
