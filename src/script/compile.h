/* script/compile.h - the compiler's own: what compile*.c share. Private to them.
 *
 *   compile.c             a whole program
 *   compile_statement.c   declarations, branches, loops
 *   compile_expression.c  literals, operators, and who compiles the other expressions
 *   compile_assign.c      =, +=, ++
 *   compile_name.c        variables, a document's fields, members
 *   compile_call.c        functions, methods, new objects
 *   compile_fold.c        what is known before any run
 *   compile_type.c        types, as far as they are declared
 *   compile_emit.c        instructions, jumps, constants
 *
 * One thread compiles one program with a `struct vz_compiler`. The first complaint is kept in it
 * (`status`); whoever goes on after it changes nothing that is used.
 */
#ifndef VZ_SCRIPT_COMPILE_H
#define VZ_SCRIPT_COMPILE_H

#include "script/parts.h"

#define VZ_COMPILE_MAX_LOCALS 250

struct vz_local {
    struct vz_slice name;
    enum vz_type type;
};

struct vz_loop {
    struct vz_loop *outer;
    int32_t breaks, continues; /* chains of jumps, linked through their c; -1 ends */
};

/* A growing array in the arena. */
struct vz_table {
    void *items;
    size_t count, capacity;
};

struct vz_compiler {
    struct vz_arena *arena;
    const struct vz_script_host *host;
    struct vz_value *params;
    struct vz_table code, places, constants, names, doc_fields, calls, statics;
    struct vz_local locals[VZ_COMPILE_MAX_LOCALS];
    unsigned local_count, most_locals;
    int height, most_height; /* of the stack */
    struct vz_loop *loop;
    bool uses_score, has_result;
    bool met_params; /* while folding: their types are not known to who reads the source */
    enum vz_status status;
    struct vz_error *err;
};

/* For "%.*s": a name as it was written, cut. */
#define VZ_NAME(slice) (int)VZ_MIN((slice).len, (size_t)100), (slice).ptr

/* The first complaint stays, with its place in the source. */
void vz_compile_fail(struct vz_compiler *c, enum vz_status status, const struct vz_ast *node,
                     const char *format, ...) __attribute__((format(printf, 4, 5)));

/* ---- compile_statement.c, compile_expression.c ----------------------------------------------- */

void vz_compile_statement(struct vz_compiler *c, const struct vz_ast *node);
/* Leaves the value on the stack when it is wanted. The type is DEF where it is not known, and
 * after a complaint. */
enum vz_type vz_compile_expression(struct vz_compiler *c, const struct vz_ast *node, bool want);
/* A boolean on the stack. */
void vz_compile_condition(struct vz_compiler *c, const struct vz_ast *node);

/* ---- the kinds of expressions ---------------------------------------------------------------- */

enum vz_type vz_compile_assign(struct vz_compiler *c, const struct vz_ast *node, bool want);
enum vz_type vz_compile_variable(struct vz_compiler *c, const struct vz_ast *node);
enum vz_type vz_compile_member(struct vz_compiler *c, const struct vz_ast *node);
enum vz_type vz_compile_index(struct vz_compiler *c, const struct vz_ast *node);
enum vz_type vz_compile_call(struct vz_compiler *c, const struct vz_ast *node);
enum vz_type vz_compile_method(struct vz_compiler *c, const struct vz_ast *node);
enum vz_type vz_compile_new(struct vz_compiler *c, const struct vz_ast *node);

/* ---- compile_name.c -------------------------------------------------------------------------- */

/* NULL for what is no variable. Until the next one is declared. */
struct vz_local *vz_compile_local(struct vz_compiler *c, struct vz_slice name);
/* The slot of a document's field, new or known; 0 with a complaint past the limit. */
unsigned vz_compile_doc_slot(struct vz_compiler *c, const struct vz_ast *node,
                             struct vz_slice name);
/* Whether it is `doc` itself. */
bool vz_compile_is_doc(struct vz_compiler *c, const struct vz_ast *node);
/* doc['x'], doc.x, doc.get('x'): the name, when it is known. */
bool vz_compile_doc_name(struct vz_compiler *c, const struct vz_ast *node, struct vz_slice *name);
/* The place in `names` of a member that is read or written. */
size_t vz_compile_getter(struct vz_compiler *c, struct vz_slice text);

/* ---- compile_fold.c -------------------------------------------------------------------------- */

/* Whether the node's value is known now. Lists and maps come from params only, and are frozen. */
bool vz_fold(struct vz_compiler *c, const struct vz_ast *node, struct vz_cell *out);
/* An argument of a host's function; also [1.0, 2.0]. NULL when it is not known. */
struct vz_value *vz_fold_argument(struct vz_compiler *c, const struct vz_ast *node);

/* ---- compile_type.c -------------------------------------------------------------------------- */

static inline bool vz_type_is_number(enum vz_type type)
{
    return type >= VZ_TYPE_CHAR && type <= VZ_TYPE_DOUBLE;
}
enum vz_type vz_type_of(const struct vz_cell *cell);
/* Of `a op b`, with the complaint about two that do not go together. */
enum vz_type vz_type_of_binary(struct vz_compiler *c, const struct vz_ast *node, enum vz_type a,
                               enum vz_type b);
/* What is on the stack becomes a `to`, as a declaration does it. */
void vz_compile_convert(struct vz_compiler *c, const struct vz_ast *node, enum vz_type from,
                        enum vz_type to);

/* ---- compile_emit.c -------------------------------------------------------------------------- */

/* The item, of `bytes`, is copied; its place. */
size_t vz_emit_item(struct vz_compiler *c, struct vz_table *table, const void *item, size_t bytes);
/* An instruction; its place. a, b and arg as in vz_instruction. */
int32_t vz_emit_with(struct vz_compiler *c, const struct vz_ast *node, enum vz_code code,
                     unsigned a, unsigned b, int64_t arg);
int32_t vz_emit(struct vz_compiler *c, const struct vz_ast *node, enum vz_code code);
/* Until the next one is made. */
struct vz_instruction *vz_emit_at(struct vz_compiler *c, int32_t at);
/* A jump goes to the next instruction; all of a chain go to `target`. */
void vz_emit_land(struct vz_compiler *c, int32_t jump);
void vz_emit_land_chain(struct vz_compiler *c, int32_t chain, int32_t target);
void vz_emit_constant(struct vz_compiler *c, const struct vz_ast *node, struct vz_cell cell);
size_t vz_emit_name(struct vz_compiler *c, struct vz_slice text, unsigned argc);

#endif
