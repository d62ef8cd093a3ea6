/* script/parts.h - what the files of this room share. Private to the room and its tests.
 *
 *   lex.c       source to tokens
 *   parse.c     tokens to a tree
 *   compile*.c  the tree to instructions; constants are folded, names resolved (compile.h)
 *   run.c       the machine
 *   number.c    arithmetic, comparison and conversion as Java does them
 *   static.c    Math.max(), Integer.parseInt() and others of a class
 *   method.c    methods of values: lists, maps, numbers, doc values; text.c strings, date.c dates
 */
#ifndef VZ_SCRIPT_PARTS_H
#define VZ_SCRIPT_PARTS_H

#include "script/script.h"

#define VZ_SCRIPT_MAX_DEPTH 300 /* of the tree */
#define VZ_SCRIPT_MAX_STACK 512 /* cells: locals and what is being computed */
#define VZ_SCRIPT_MAX_DOC_FIELDS 64
#define VZ_SCRIPT_MAX_ARGS 16

/* ---- cells: what the machine computes with --------------------------------------------------- */

/* The order of the numbers is Java's promotion order. */
enum vz_cell_tag {
    VZ_CELL_NULL,
    VZ_CELL_BOOL,
    VZ_CELL_CHAR, /* a UTF-16 unit */
    VZ_CELL_INT,
    VZ_CELL_LONG,
    VZ_CELL_FLOAT,
    VZ_CELL_DOUBLE,
    VZ_CELL_STRING,
    VZ_CELL_LIST,
    VZ_CELL_MAP,
    VZ_CELL_FIELD, /* doc['x'] */
    VZ_CELL_DATE,  /* milliseconds since 1970 UTC */
    VZ_CELL_GEO,
    VZ_CELL_WEEKDAY, /* 1 Monday .. 7 */
    VZ_CELL_MONTH,   /* 1 .. 12 */
    VZ_CELL_UNIT,    /* ChronoUnit */
    VZ_CELL_DOC      /* doc itself */
};
#define VZ_CELL_COUNT (VZ_CELL_DOC + 1)
#define VZ_MASK(tag) (1u << (tag))
#define VZ_MASK_NUMBERS                                                                            \
    (VZ_MASK(VZ_CELL_INT) | VZ_MASK(VZ_CELL_LONG) | VZ_MASK(VZ_CELL_FLOAT) |                       \
     VZ_MASK(VZ_CELL_DOUBLE))

struct vz_cell {
    enum vz_cell_tag tag;
    union {
        bool boolean;
        int64_t integer;        /* CHAR, INT, LONG, DATE, WEEKDAY, MONTH, UNIT */
        double number;          /* FLOAT, DOUBLE */
        struct vz_value *value; /* STRING, LIST, MAP */
        const struct vz_script_field *field;
        const struct vz_script_geo *geo;
    };
};

static inline bool vz_cell_is_number(const struct vz_cell *cell)
{
    return cell->tag >= VZ_CELL_CHAR && cell->tag <= VZ_CELL_DOUBLE;
}
static inline struct vz_cell vz_cell_int(int64_t value)
{
    return (struct vz_cell){.tag = VZ_CELL_INT, .integer = (int32_t)value};
}
static inline struct vz_cell vz_cell_long(int64_t value)
{
    return (struct vz_cell){.tag = VZ_CELL_LONG, .integer = value};
}
static inline struct vz_cell vz_cell_double(double value)
{
    return (struct vz_cell){.tag = VZ_CELL_DOUBLE, .number = value};
}
static inline struct vz_cell vz_cell_bool(bool value)
{
    return (struct vz_cell){.tag = VZ_CELL_BOOL, .boolean = value};
}
static inline double vz_cell_as_double(const struct vz_cell *cell)
{
    return cell->tag >= VZ_CELL_FLOAT ? cell->number : (double)cell->integer;
}

/* In vz_value.java of lists and maps that belong to the program: they cannot be changed. */
#define VZ_FROZEN 255

/* "java.lang.Integer", "null" ... */
const char *vz_cell_type_name(const struct vz_cell *cell);
/* A tree's value as a cell; nothing is copied. */
struct vz_cell vz_cell_from(struct vz_value *value);
/* The other way; allocates in the arena for what is not a tree value already. */
struct vz_value *vz_cell_value(const struct vz_cell *cell, struct vz_arena *arena);

/* ---- one run --------------------------------------------------------------------------------- */

struct vz_machine {
    const struct vz_script *script;
    const struct vz_script_run *run;
    struct vz_arena *arena;
    struct vz_error *err;
    enum vz_status status;
    uint32_t place; /* offset into the source of what is being done */
    uint64_t steps;
    size_t first_byte; /* the arena's total when the run began */
};

/* `type` is Elasticsearch's name of the exception, the error's cause. Returns false. */
bool vz_machine_fail(struct vz_machine *vm, const char *type, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool vz_machine_limit(struct vz_machine *vm, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* So much work was done, so many bytes are about to be taken: false past the limits. */
bool vz_machine_work(struct vz_machine *vm, size_t steps);
bool vz_machine_bytes(struct vz_machine *vm, size_t bytes);
/* A string cell; `text` is kept, not copied. */
struct vz_cell vz_machine_string(struct vz_machine *vm, struct vz_slice text);
/* A list in the run's arena. */
struct vz_value *vz_machine_list(struct vz_machine *vm);
bool vz_machine_append(struct vz_machine *vm, struct vz_value *list, const struct vz_cell *cell);
/* False, with the error, for what belongs to the program: params. */
bool vz_machine_may_change(struct vz_machine *vm, const struct vz_value *container);
/* Refuses trees that hold themselves or are too large to walk. */
bool vz_machine_may_walk(struct vz_machine *vm, const struct vz_value *value);

/* What a field holds at `at`, as a cell. */
struct vz_cell vz_machine_field_at(struct vz_machine *vm, const struct vz_script_field *field,
                                   size_t at);
/* doc['x'].value, with Painless's complaint about a missing one. */
bool vz_machine_field_value(struct vz_machine *vm, const struct vz_script_field *field,
                            struct vz_cell *out);

/* ---- number.c -------------------------------------------------------------------------------- */

enum vz_op {
    VZ_OP_MUL,
    VZ_OP_DIV,
    VZ_OP_REM,
    VZ_OP_ADD,
    VZ_OP_SUB,
    VZ_OP_SHL,
    VZ_OP_SHR,
    VZ_OP_USHR,
    VZ_OP_LT,
    VZ_OP_LE,
    VZ_OP_GT,
    VZ_OP_GE,
    VZ_OP_EQ,
    VZ_OP_NE,
    VZ_OP_SAME,
    VZ_OP_NOT_SAME,
    VZ_OP_AND,
    VZ_OP_XOR,
    VZ_OP_OR,
    VZ_OP_NEG,
    VZ_OP_PLUS,
    VZ_OP_INVERT,
    VZ_OP_NOT
};
const char *vz_op_text(enum vz_op op);
/* a op b into *out. False with the machine's error. `out` may be `a`. */
bool vz_binary(struct vz_machine *vm, enum vz_op op, const struct vz_cell *a,
               const struct vz_cell *b, struct vz_cell *out);
bool vz_unary(struct vz_machine *vm, enum vz_op op, const struct vz_cell *a, struct vz_cell *out);
/* Java's equals with Painless's numbers: 1 == 1.0. False when a tree was refused, too. */
bool vz_cells_equal(struct vz_machine *vm, const struct vz_cell *a, const struct vz_cell *b);

/* What a cell is turned into, by a declaration (implicit) or by a cast. */
enum vz_type {
    VZ_TYPE_DEF,
    VZ_TYPE_BOOL,
    VZ_TYPE_CHAR,
    VZ_TYPE_BYTE,
    VZ_TYPE_SHORT,
    VZ_TYPE_INT,
    VZ_TYPE_LONG,
    VZ_TYPE_FLOAT,
    VZ_TYPE_DOUBLE,
    VZ_TYPE_STRING,
    VZ_TYPE_LIST,
    VZ_TYPE_MAP,
    VZ_TYPE_BOXED_BOOL,
    VZ_TYPE_BOXED_INT,
    VZ_TYPE_BOXED_LONG,
    VZ_TYPE_BOXED_FLOAT,
    VZ_TYPE_BOXED_DOUBLE,
    VZ_TYPE_NUMBER,
    VZ_TYPE_DATE
};
const char *vz_type_name(enum vz_type type);
/* False for what is no type's name. */
bool vz_type_find(struct vz_slice name, enum vz_type *type);
bool vz_convert(struct vz_machine *vm, enum vz_type type, bool is_cast, struct vz_cell *cell);
bool vz_is_instance(const struct vz_cell *cell, enum vz_type type);
/* Java's (int), (long) of a double: saturates, NaN is 0. */
int64_t vz_double_to_long(double value);
int32_t vz_double_to_int(double value);

/* Java's String.valueOf, appended. */
bool vz_cell_print(struct vz_machine *vm, const struct vz_cell *cell, struct vz_buf *out);

/* ---- methods and functions of classes -------------------------------------------------------- */

/* args[0] is the receiver, argc counts the others. */
typedef bool vz_method_call(struct vz_machine *vm, struct vz_cell *args, unsigned argc,
                            struct vz_cell *out);
struct vz_method {
    const char *name;
    uint32_t receivers; /* VZ_MASK of tags */
    uint8_t min_args, max_args;
    vz_method_call *call;
};
extern const struct vz_method vz_methods_values[], vz_methods_text[], vz_methods_date[];
extern const size_t vz_methods_values_count, vz_methods_text_count, vz_methods_date_count;
/* Whether any receiver has it; `any_args` then tells of the name alone. */
bool vz_method_exists(struct vz_slice name, unsigned argc, bool *any_args);
/* NULL when this receiver has none. */
const struct vz_method *vz_method_find(struct vz_slice name, enum vz_cell_tag receiver,
                                       unsigned argc);
/* Names that Painless has and this room does not. */
bool vz_method_is_elsewhere(struct vz_slice name);

struct vz_static {
    const char *class_name, *name;
    uint8_t min_args, max_args;
    vz_method_call *call; /* args[0] is the first argument */
    bool pure;            /* the same answer for the same numbers: may be done when compiling */
};
bool vz_static_class(struct vz_slice name);
const struct vz_static *vz_static_find(struct vz_slice class_name, struct vz_slice name,
                                       unsigned argc);
bool vz_static_constant(struct vz_slice class_name, struct vz_slice name, struct vz_cell *out);

/* text.c: positions in Java's strings are UTF-16 units. */
size_t vz_utf16_length(struct vz_slice text);
/* date.c */
void vz_date_text(int64_t ms, struct vz_buf *out); /* "2024-05-06T07:08:09.123Z" */
bool vz_date_read(struct vz_slice text, int64_t *ms);
bool vz_unit_find(struct vz_slice name, int64_t *unit);
const char *vz_unit_name(int64_t unit);
const char *vz_weekday_name(int64_t day);
const char *vz_month_name(int64_t month);

/* ---- the tree -------------------------------------------------------------------------------- */

enum vz_token_kind {
    VZ_TOKEN_END,
    VZ_TOKEN_NAME,
    VZ_TOKEN_NUMBER, /* constant */
    VZ_TOKEN_STRING, /* text */
    VZ_TOKEN_SIGN    /* text: an operator or bracket */
};
struct vz_token {
    enum vz_token_kind kind;
    uint32_t offset;
    struct vz_slice text; /* as written; of a string: its value */
    struct vz_cell constant;
};
struct vz_lexer {
    struct vz_slice source;
    struct vz_arena *arena;
    uint32_t at;
    bool after_operand; /* a '/' divides; otherwise it would start a regular expression */
};
enum vz_status vz_lex(struct vz_lexer *lexer, struct vz_token *token, struct vz_error *err);

enum vz_ast_kind {
    VZ_AST_CONST,
    VZ_AST_NAME,
    VZ_AST_MEMBER, /* a.name; null_safe */
    VZ_AST_INDEX,  /* a[b] */
    VZ_AST_CALL,   /* name(list) */
    VZ_AST_METHOD, /* a.name(list); null_safe */
    VZ_AST_NEW,    /* new name(list) */
    VZ_AST_LIST,   /* [list] */
    VZ_AST_MAP,    /* [list: key, value, key, value ...] */
    VZ_AST_UNARY,
    VZ_AST_BINARY,
    VZ_AST_BOTH,   /* && */
    VZ_AST_EITHER, /* || */
    VZ_AST_CHOICE, /* a ? b : c */
    VZ_AST_ELVIS,  /* a ?: b */
    VZ_AST_CAST,
    VZ_AST_INSTANCE,
    VZ_AST_ASSIGN,  /* a = b */
    VZ_AST_COMPUTE, /* a op= b */
    VZ_AST_STEP,    /* ++a, a++ (postfix); op is ADD or SUB */
    /* statements */
    VZ_AST_BLOCK,   /* list */
    VZ_AST_DECLARE, /* type name = a (or NULL) */
    VZ_AST_EXPRESSION,
    VZ_AST_IF,    /* a, b, c (or NULL) */
    VZ_AST_WHILE, /* a (NULL: true), b; c the update of a for */
    VZ_AST_DO,    /* b while a */
    VZ_AST_FOR,   /* list: the initialiser; a, b, c as WHILE */
    VZ_AST_EACH,  /* type name : a, b */
    VZ_AST_BREAK,
    VZ_AST_CONTINUE,
    VZ_AST_RETURN, /* a or NULL */
    VZ_AST_THROW   /* a: the text; name: the exception */
};
struct vz_ast {
    enum vz_ast_kind kind;
    uint8_t op;   /* enum vz_op */
    uint8_t type; /* enum vz_type */
    bool null_safe, postfix;
    uint16_t depth;
    uint32_t offset;
    struct vz_slice name;
    struct vz_cell constant;
    struct vz_ast *a, *b, *c;
    struct vz_ast *list, *next; /* children, and the place in the parent's list */
    unsigned count;             /* of list */
};
/* The whole program as a block. */
enum vz_status vz_parse(struct vz_slice source, struct vz_arena *arena, struct vz_ast **out,
                        struct vz_error *err);

/* ---- the program ----------------------------------------------------------------------------- */

enum vz_code {
    VZ_CODE_CONST, /* push constants[c] */
    VZ_CODE_NULL,
    VZ_CODE_LOCAL, /* push local b */
    VZ_CODE_STORE, /* pop into local b */
    VZ_CODE_STORE_KEEP,
    VZ_CODE_ADD_LOCAL, /* an int local b += c; a: the local is a long */
    VZ_CODE_POP,
    VZ_CODE_DUP,
    VZ_CODE_DUP2,
    VZ_CODE_UNDER,  /* x y z -> z x y z: the value of an assignment to x[y] */
    VZ_CODE_UNDER1, /* x z -> z x z: of an assignment to x.name */
    VZ_CODE_SCORE,
    VZ_CODE_CTX,
    VZ_CODE_VARIABLE,  /* the host's b-th */
    VZ_CODE_DOC_FIELD, /* push the field of slot b; a: also one that the mapping has not */
    VZ_CODE_DOC_VALUE, /* push its value */
    VZ_CODE_DOC_NAMED, /* pop a name, push the field */
    VZ_CODE_DOC_HAS,   /* pop a name, push whether the mapping has it */
    VZ_CODE_GET,       /* pop x, push x.names[c] */
    VZ_CODE_SET,       /* pop z x, x.names[c] = z */
    VZ_CODE_AT,        /* pop y x, push x[y] */
    VZ_CODE_PUT,       /* pop z y x, x[y] = z */
    VZ_CODE_BINARY,    /* a: the operation */
    VZ_CODE_UNARY,
    VZ_CODE_CAST, /* a: the type */
    VZ_CODE_CONVERT,
    VZ_CODE_INSTANCE,
    VZ_CODE_JUMP,     /* to c */
    VZ_CODE_LOOP,     /* back to c */
    VZ_CODE_IF_FALSE, /* pop, jump */
    VZ_CODE_IF_TRUE,
    VZ_CODE_IF_NULL,   /* jump and keep it; else keep it, too */
    VZ_CODE_IF_SET,    /* not null: jump and keep it; else pop it */
    VZ_CODE_METHOD,    /* a arguments, names[c] */
    VZ_CODE_STATIC,    /* a arguments, statics[c] */
    VZ_CODE_HOST,      /* a arguments, b of them on the stack; calls[c] */
    VZ_CODE_FIELD_GET, /* field('x').get(default): pop default and field */
    VZ_CODE_LIST,      /* push an empty list; b: copy the list on the stack */
    VZ_CODE_APPEND,    /* x y -> x with y added */
    VZ_CODE_MAP,
    VZ_CODE_MAP_PUT,    /* x key value -> x */
    VZ_CODE_EACH_START, /* pop what is walked into local b, its position into b + 1 */
    VZ_CODE_EACH,       /* push the next one or jump to c */
    VZ_CODE_RETURN,
    VZ_CODE_END,  /* without a value */
    VZ_CODE_THROW /* pop the text; names[c] is the exception's */
};
struct vz_instruction {
    uint8_t code, a;
    uint16_t b;
    int32_t c;
};

struct vz_host_call {
    unsigned function;
    void *prepared;
    struct vz_value *constant[VZ_SCRIPT_MAX_ARGS]; /* NULL: on the stack */
};

/* A member's or method's name, with the method that each kind of receiver has for it: getX or isX
 * of a member x. */
struct vz_name {
    struct vz_slice text;
    unsigned argc;
    const struct vz_method *methods[VZ_CELL_COUNT];
};

struct vz_script {
    struct vz_slice source;
    struct vz_instruction *code;
    uint32_t *places;
    size_t code_count;
    struct vz_cell *constants;
    struct vz_name *names;
    struct vz_slice *doc_fields;
    unsigned doc_field_count;
    struct vz_host_call *calls;
    const struct vz_static **statics;
    struct vz_script_function *functions; /* the host's, copied */
    unsigned local_count;                 /* the stack begins behind them */
    bool has_result;
    bool uses_score;
    /* The program is nothing but call 0, then factor * x + summand of it. */
    bool is_linear;
    double factor, summand;
};

#endif
