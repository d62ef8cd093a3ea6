/* rest/cat.h - the tables of _cat: begin one with its columns, add cells row by row, print it. Cells
 * live in the call's arena. Private to the room. */
#ifndef VZ_REST_CAT_H
#define VZ_REST_CAT_H

#include "rest/parts.h"

struct vz_cat_column {
    const char *name, *aliases, *description; /* aliases: comma-separated, or "" */
    bool hidden;                              /* shown only when asked for */
    bool right;
};

enum vz_cell_kind { CELL_TEXT, CELL_NUMBER, CELL_BYTES, CELL_NULL };
struct vz_cat_cell {
    enum vz_cell_kind kind;
    struct vz_slice text;
    double number;
};

#define VZ_CAT_MAX_COLUMNS 48

struct vz_cat_table {
    struct vz_call *call;
    const struct vz_cat_column *columns;
    size_t column_count;
    struct vz_cat_cell *cells; /* rows of column_count, in the arena */
    size_t row_count, capacity;
    size_t filled; /* of the row being added */
};

/* False when the request was for help, or has a problem. */
bool vz_cat_begin(struct vz_cat_table *t, struct vz_call *call, const struct vz_cat_column *columns, size_t count);
void vz_cat_text(struct vz_cat_table *t, struct vz_slice text);
void vz_cat_str(struct vz_cat_table *t, const char *text);
void vz_cat_number(struct vz_cat_table *t, uint64_t number);
void vz_cat_bytes(struct vz_cat_table *t, uint64_t bytes);
void vz_cat_null(struct vz_cat_table *t);
void vz_cat_print(struct vz_cat_table *t);

#endif
