/* Tokens to a tree: recursive descent, precedence climbing for binary operators.
 *
 * The first error stops everything: it is kept, and the current token becomes the end, so that
 * every loop comes to its own. A node knows its height, which is limited, because the compiler
 * walks the tree by recursion.
 */
#include "script/parts.h"

#include <stdio.h>

struct parser {
    struct vz_lexer lexer;
    struct vz_arena *arena;
    struct vz_token token; /* the current one */
    unsigned depth;
    enum vz_status status;
    struct vz_error *err;
};

static struct vz_ast *parse_expression(struct parser *p);
static struct vz_ast *parse_statement(struct parser *p);
static struct vz_ast *parse_unary(struct parser *p);

/* ---- tokens ---------------------------------------------------------------------------------- */

static void stop(struct parser *p, enum vz_status status)
{
    p->status = status;
    p->token = (struct vz_token){.kind = VZ_TOKEN_END, .offset = p->token.offset};
    p->lexer.at = (uint32_t)p->lexer.source.len;
}

__attribute__((format(printf, 4, 5))) static void fail(struct parser *p, enum vz_status status,
                                                       uint32_t offset, const char *format, ...)
{
    char text[300];
    if (p->status != VZ_OK)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    stop(p, vz_fail_at(p->err, status, offset, "%s", text));
}

static void unexpected(struct parser *p)
{
    if (p->token.kind == VZ_TOKEN_END)
        fail(p, VZ_BAD_ARGUMENT, p->token.offset, "unexpected end of script.");
    else
        fail(p, VZ_BAD_ARGUMENT, p->token.offset, "unexpected token ['%.*s'].",
             (int)VZ_MIN(p->token.text.len, (size_t)60), p->token.text.ptr);
}

static void advance(struct parser *p)
{
    if (p->status != VZ_OK)
        return;
    enum vz_status status = vz_lex(&p->lexer, &p->token, p->err);
    if (status != VZ_OK)
        stop(p, status);
}

static bool is_sign(const struct parser *p, const char *text)
{
    return p->token.kind == VZ_TOKEN_SIGN && vz_slice_is(p->token.text, text);
}

static bool is_word(const struct parser *p, const char *text)
{
    return p->token.kind == VZ_TOKEN_NAME && vz_slice_is(p->token.text, text);
}

static bool take_sign(struct parser *p, const char *text)
{
    if (!is_sign(p, text))
        return false;
    advance(p);
    return true;
}

static bool take_word(struct parser *p, const char *text)
{
    if (!is_word(p, text))
        return false;
    advance(p);
    return true;
}

static void expect(struct parser *p, const char *text)
{
    if (!take_sign(p, text) && p->status == VZ_OK) {
        if (p->token.kind == VZ_TOKEN_END)
            fail(p, VZ_BAD_ARGUMENT, p->token.offset,
                 "unexpected end of script, was expecting one of ['%s'].", text);
        else
            fail(p, VZ_BAD_ARGUMENT, p->token.offset,
                 "unexpected token ['%.*s'] was expecting one of ['%s'].",
                 (int)VZ_MIN(p->token.text.len, (size_t)60), p->token.text.ptr, text);
    }
}

/* The token behind the current one. */
static struct vz_token look_ahead(struct parser *p, unsigned more)
{
    struct vz_lexer lexer = p->lexer;
    struct vz_token token = {.kind = VZ_TOKEN_END};
    for (unsigned i = 0; i <= more; i++)
        if (vz_lex(&lexer, &token, NULL) != VZ_OK)
            return (struct vz_token){.kind = VZ_TOKEN_END};
    return token;
}

static bool token_is(const struct vz_token *token, const char *text)
{
    return token->kind == VZ_TOKEN_SIGN && vz_slice_is(token->text, text);
}

/* Words that are no names of anything. */
static bool is_reserved(struct vz_slice name)
{
    static const char *const words[] = {
        "if",  "else", "while", "do",    "for",  "in",         "continue", "break", "return",
        "new", "try",  "catch", "throw", "this", "instanceof", "true",     "false", "null",
    };
    for (size_t i = 0; i < VZ_COUNT_OF(words); i++)
        if (vz_slice_is(name, words[i]))
            return true;
    return false;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static void raise_depth(struct parser *p, struct vz_ast *node, const struct vz_ast *child)
{
    if (!child || child->depth < node->depth)
        return;
    node->depth = (uint16_t)(child->depth + 1);
    if (node->depth > VZ_SCRIPT_MAX_DEPTH)
        fail(p, VZ_LIMIT, node->offset, "the script is nested deeper than [%d] levels",
             VZ_SCRIPT_MAX_DEPTH);
}

static struct vz_ast *node_at(struct parser *p, enum vz_ast_kind kind, uint32_t offset,
                              struct vz_ast *a, struct vz_ast *b)
{
    struct vz_ast *node = vz_arena_zalloc(p->arena, sizeof *node);
    node->kind = kind;
    node->offset = offset;
    node->a = a;
    node->b = b;
    raise_depth(p, node, a);
    raise_depth(p, node, b);
    return node;
}

static struct vz_ast *new_node(struct parser *p, enum vz_ast_kind kind)
{
    return node_at(p, kind, p->token.offset, NULL, NULL);
}

/* Appends a child; `tail` points at where the next one goes. */
static void add_child(struct parser *p, struct vz_ast *node, struct vz_ast ***tail,
                      struct vz_ast *child)
{
    **tail = child;
    *tail = &child->next;
    node->count++;
    raise_depth(p, node, child);
}

static bool enter(struct parser *p)
{
    if (++p->depth <= VZ_SCRIPT_MAX_DEPTH)
        return true;
    fail(p, VZ_LIMIT, p->token.offset, "the script is nested deeper than [%d] levels",
         VZ_SCRIPT_MAX_DEPTH);
    return false;
}

/* ---- expressions ----------------------------------------------------------------------------- */

static void parse_arguments(struct parser *p, struct vz_ast *node)
{
    struct vz_ast **tail = &node->list;
    expect(p, "(");
    if (take_sign(p, ")"))
        return;
    do {
        if (node->count == VZ_SCRIPT_MAX_ARGS)
            fail(p, VZ_LIMIT, p->token.offset, "more than [%d] arguments", VZ_SCRIPT_MAX_ARGS);
        add_child(p, node, &tail, parse_expression(p));
    } while (p->status == VZ_OK && take_sign(p, ","));
    if (is_sign(p, "->"))
        fail(p, VZ_UNSUPPORTED, p->token.offset,
             "lambda expressions in scripts are not supported by vizsla");
    expect(p, ")");
}

/* [1, 2], ['a': 1], [:] */
static struct vz_ast *parse_brackets(struct parser *p)
{
    struct vz_ast *node = new_node(p, VZ_AST_LIST);
    struct vz_ast **tail = &node->list;
    advance(p);
    if (take_sign(p, "]"))
        return node;
    if (take_sign(p, ":")) {
        node->kind = VZ_AST_MAP;
        expect(p, "]");
        return node;
    }
    bool first = true;
    do {
        add_child(p, node, &tail, parse_expression(p));
        if (first && is_sign(p, ":"))
            node->kind = VZ_AST_MAP;
        first = false;
        if (node->kind == VZ_AST_MAP) {
            expect(p, ":");
            add_child(p, node, &tail, parse_expression(p));
        }
    } while (p->status == VZ_OK && take_sign(p, ","));
    expect(p, "]");
    return node;
}

static struct vz_ast *parse_new(struct parser *p)
{
    struct vz_ast *node = new_node(p, VZ_AST_NEW);
    advance(p);
    if (p->token.kind != VZ_TOKEN_NAME) {
        unexpected(p);
        return node;
    }
    node->name = p->token.text;
    advance(p);
    if (is_sign(p, "["))
        fail(p, VZ_UNSUPPORTED, node->offset,
             "arrays in scripts are not supported by vizsla, use a list");
    parse_arguments(p, node);
    return node;
}

static struct vz_ast *constant(struct parser *p, struct vz_cell cell)
{
    struct vz_ast *node = new_node(p, VZ_AST_CONST);
    node->constant = cell;
    advance(p);
    return node;
}

static struct vz_ast *parse_name(struct parser *p)
{
    if (is_word(p, "true") || is_word(p, "false"))
        return constant(p, vz_cell_bool(is_word(p, "true")));
    if (is_word(p, "null"))
        return constant(p, (struct vz_cell){.tag = VZ_CELL_NULL});
    if (is_word(p, "new"))
        return parse_new(p);
    struct vz_ast *node = new_node(p, VZ_AST_NAME);
    if (is_reserved(p->token.text)) {
        unexpected(p);
        return node;
    }
    node->name = p->token.text;
    advance(p);
    if (is_sign(p, "(")) {
        node->kind = VZ_AST_CALL;
        parse_arguments(p, node);
    } else if (is_sign(p, "->") || is_sign(p, "::")) {
        fail(p, VZ_UNSUPPORTED, node->offset,
             "lambda expressions in scripts are not supported by vizsla");
    }
    return node;
}

static struct vz_ast *parse_primary(struct parser *p)
{
    switch (p->token.kind) {
    case VZ_TOKEN_NUMBER: {
        struct vz_ast *node = constant(p, p->token.constant);
        if (node->constant.tag == VZ_CELL_INT && p->lexer.source.ptr[node->offset] != '0' &&
            node->constant.integer == INT32_MIN)
            fail(p, VZ_BAD_ARGUMENT, node->offset, "Invalid int constant [2147483648].");
        return node;
    }
    case VZ_TOKEN_STRING:
        return constant(p, (struct vz_cell){.tag = VZ_CELL_STRING,
                                            .value = vz_value_string(p->arena, p->token.text)});
    case VZ_TOKEN_NAME:
        return parse_name(p);
    case VZ_TOKEN_SIGN:
        if (is_sign(p, "["))
            return parse_brackets(p);
        if (is_sign(p, "(")) {
            advance(p);
            if (is_sign(p, ")"))
                fail(p, VZ_UNSUPPORTED, p->token.offset,
                     "lambda expressions in scripts are not supported by vizsla");
            struct vz_ast *inner = parse_expression(p);
            expect(p, ")");
            return inner;
        }
        break;
    case VZ_TOKEN_END:
        break;
    }
    struct vz_ast *node = new_node(p, VZ_AST_CONST);
    unexpected(p);
    return node;
}

static struct vz_ast *parse_member(struct parser *p, struct vz_ast *object)
{
    bool null_safe = is_sign(p, "?.");
    advance(p);
    struct vz_ast *node = node_at(p, VZ_AST_MEMBER, p->token.offset, object, NULL);
    node->null_safe = null_safe;
    if (p->token.kind == VZ_TOKEN_NUMBER && p->token.constant.tag == VZ_CELL_INT) {
        node->kind = VZ_AST_INDEX; /* list.0 */
        node->b = constant(p, p->token.constant);
        return node;
    }
    if (p->token.kind != VZ_TOKEN_NAME) {
        unexpected(p);
        return node;
    }
    node->name = p->token.text;
    advance(p);
    if (is_sign(p, "(")) {
        node->kind = VZ_AST_METHOD;
        parse_arguments(p, node);
    }
    return node;
}

static struct vz_ast *parse_postfix(struct parser *p)
{
    struct vz_ast *node = parse_primary(p);
    while (p->status == VZ_OK) {
        uint32_t offset = p->token.offset;
        if (is_sign(p, ".") || is_sign(p, "?.")) {
            node = parse_member(p, node);
        } else if (is_sign(p, "[")) {
            advance(p);
            node = node_at(p, VZ_AST_INDEX, offset, node, parse_expression(p));
            expect(p, "]");
        } else if (is_sign(p, "++") || is_sign(p, "--")) {
            node = node_at(p, VZ_AST_STEP, offset, node, NULL);
            node->op = is_sign(p, "++") ? VZ_OP_ADD : VZ_OP_SUB;
            node->postfix = true;
            p->lexer.after_operand = true;
            advance(p);
        } else {
            break;
        }
    }
    return node;
}

/* "(int) x", "(String) x": what stands behind tells a cast from a name in brackets. */
static bool is_cast(struct parser *p, enum vz_type *type)
{
    if (!is_sign(p, "("))
        return false;
    struct vz_token name = look_ahead(p, 0), close = look_ahead(p, 1), next = look_ahead(p, 2);
    if (name.kind != VZ_TOKEN_NAME || !vz_type_find(name.text, type) || !token_is(&close, ")"))
        return false;
    bool primitive = *type >= VZ_TYPE_BOOL && *type <= VZ_TYPE_DOUBLE;
    if (next.kind == VZ_TOKEN_SIGN)
        return token_is(&next, "(") || token_is(&next, "[") || token_is(&next, "!") ||
               token_is(&next, "~") ||
               (primitive && (token_is(&next, "-") || token_is(&next, "+")));
    return next.kind != VZ_TOKEN_END &&
           !(next.kind == VZ_TOKEN_NAME && vz_slice_is(next.text, "instanceof"));
}

static struct vz_ast *parse_cast(struct parser *p, enum vz_type type)
{
    uint32_t offset = p->token.offset;
    for (int i = 0; i < 3; i++) /* ( name ) */
        advance(p);
    struct vz_ast *node = node_at(p, VZ_AST_CAST, offset, parse_unary(p), NULL);
    node->type = (uint8_t)type;
    return node;
}

static bool is_constant(const struct vz_ast *node, enum vz_cell_tag tag, int64_t value)
{
    return node->kind == VZ_AST_CONST && node->constant.tag == tag &&
           node->constant.integer == value;
}

/* A minus and the number behind it are one constant, so that -2147483648 can be written. */
static struct vz_ast *parse_minus(struct parser *p, uint32_t offset)
{
    if (p->token.kind == VZ_TOKEN_NUMBER) {
        struct vz_cell *cell = &p->token.constant;
        if (cell->tag == VZ_CELL_INT && cell->integer == INT32_MIN) {
            struct vz_ast *node = constant(p, *cell);
            return node; /* -2^31 is itself */
        }
    }
    struct vz_ast *operand = parse_unary(p);
    if (is_constant(operand, VZ_CELL_LONG, INT64_MIN))
        return operand;
    struct vz_ast *node = node_at(p, VZ_AST_UNARY, offset, operand, NULL);
    node->op = VZ_OP_NEG;
    return node;
}

static struct vz_ast *parse_unary(struct parser *p)
{
    static const struct {
        const char *text;
        enum vz_op op;
    } table[] = {{"!", VZ_OP_NOT}, {"~", VZ_OP_INVERT}, {"+", VZ_OP_PLUS}};
    enum vz_type type;
    struct vz_ast *node;
    uint32_t offset = p->token.offset;
    if (!enter(p))
        return new_node(p, VZ_AST_CONST);
    for (size_t i = 0; i < VZ_COUNT_OF(table); i++) {
        if (take_sign(p, table[i].text)) {
            node = node_at(p, VZ_AST_UNARY, offset, parse_unary(p), NULL);
            node->op = (uint8_t)table[i].op;
            goto out;
        }
    }
    if (take_sign(p, "-")) {
        node = parse_minus(p, offset);
    } else if (is_sign(p, "++") || is_sign(p, "--")) {
        enum vz_op op = is_sign(p, "++") ? VZ_OP_ADD : VZ_OP_SUB;
        advance(p);
        node = node_at(p, VZ_AST_STEP, offset, parse_unary(p), NULL);
        node->op = (uint8_t)op;
    } else if (is_cast(p, &type)) {
        node = parse_cast(p, type);
    } else {
        node = parse_postfix(p);
    }
out:
    p->depth--;
    return node;
}

struct level {
    const char *text;
    int level;
    enum vz_ast_kind kind;
    enum vz_op op;
};
static const struct level levels[] = {
    {"||", 1, VZ_AST_EITHER, 0},
    {"&&", 2, VZ_AST_BOTH, 0},
    {"|", 3, VZ_AST_BINARY, VZ_OP_OR},
    {"^", 4, VZ_AST_BINARY, VZ_OP_XOR},
    {"&", 5, VZ_AST_BINARY, VZ_OP_AND},
    {"==", 6, VZ_AST_BINARY, VZ_OP_EQ},
    {"!=", 6, VZ_AST_BINARY, VZ_OP_NE},
    {"===", 6, VZ_AST_BINARY, VZ_OP_SAME},
    {"!==", 6, VZ_AST_BINARY, VZ_OP_NOT_SAME},
    {"<", 7, VZ_AST_BINARY, VZ_OP_LT},
    {"<=", 7, VZ_AST_BINARY, VZ_OP_LE},
    {">", 7, VZ_AST_BINARY, VZ_OP_GT},
    {">=", 7, VZ_AST_BINARY, VZ_OP_GE},
    {"<<", 8, VZ_AST_BINARY, VZ_OP_SHL},
    {">>", 8, VZ_AST_BINARY, VZ_OP_SHR},
    {">>>", 8, VZ_AST_BINARY, VZ_OP_USHR},
    {"+", 9, VZ_AST_BINARY, VZ_OP_ADD},
    {"-", 9, VZ_AST_BINARY, VZ_OP_SUB},
    {"*", 10, VZ_AST_BINARY, VZ_OP_MUL},
    {"/", 10, VZ_AST_BINARY, VZ_OP_DIV},
    {"%", 10, VZ_AST_BINARY, VZ_OP_REM},
};

static const struct level *level_of(const struct parser *p)
{
    if (p->token.kind != VZ_TOKEN_SIGN)
        return NULL;
    for (size_t i = 0; i < VZ_COUNT_OF(levels); i++)
        if (vz_slice_is(p->token.text, levels[i].text))
            return &levels[i];
    return NULL;
}

static struct vz_ast *parse_instance(struct parser *p, struct vz_ast *left)
{
    enum vz_type type = VZ_TYPE_DEF;
    struct vz_ast *node = node_at(p, VZ_AST_INSTANCE, p->token.offset, left, NULL);
    advance(p);
    if (p->token.kind != VZ_TOKEN_NAME)
        unexpected(p);
    else if (!vz_type_find(p->token.text, &type))
        fail(p, VZ_BAD_ARGUMENT, p->token.offset, "Not a type [%.*s].", (int)p->token.text.len,
             p->token.text.ptr);
    node->type = (uint8_t)type;
    advance(p);
    return node;
}

static struct vz_ast *parse_binary(struct parser *p, int lowest)
{
    struct vz_ast *left = parse_unary(p);
    while (p->status == VZ_OK) {
        if (is_word(p, "instanceof") && lowest <= 7) {
            left = parse_instance(p, left);
            continue;
        }
        if (is_sign(p, "=~") || is_sign(p, "==~"))
            fail(p, VZ_UNSUPPORTED, p->token.offset,
                 "regular expressions in scripts are not supported by vizsla");
        const struct level *level = level_of(p);
        if (!level || level->level < lowest)
            break;
        uint32_t offset = p->token.offset;
        advance(p);
        struct vz_ast *right = parse_binary(p, level->level + 1);
        left = node_at(p, level->kind, offset, left, right);
        left->op = (uint8_t)level->op;
    }
    return left;
}

static bool take_assignment(struct parser *p, bool *computes, enum vz_op *op)
{
    static const struct {
        const char *text;
        enum vz_op op;
    } table[] = {{"+=", VZ_OP_ADD},  {"-=", VZ_OP_SUB},  {"*=", VZ_OP_MUL},   {"/=", VZ_OP_DIV},
                 {"%=", VZ_OP_REM},  {"&=", VZ_OP_AND},  {"|=", VZ_OP_OR},    {"^=", VZ_OP_XOR},
                 {"<<=", VZ_OP_SHL}, {">>=", VZ_OP_SHR}, {">>>=", VZ_OP_USHR}};
    *computes = false;
    if (take_sign(p, "="))
        return true;
    *computes = true;
    for (size_t i = 0; i < VZ_COUNT_OF(table); i++) {
        if (take_sign(p, table[i].text)) {
            *op = table[i].op;
            return true;
        }
    }
    return false;
}

static struct vz_ast *parse_expression(struct parser *p)
{
    if (!enter(p))
        return new_node(p, VZ_AST_CONST);
    struct vz_ast *node = parse_binary(p, 1);
    uint32_t offset = p->token.offset;
    enum vz_op op = VZ_OP_ADD;
    bool computes;
    if (take_sign(p, "?")) {
        struct vz_ast *yes = parse_expression(p);
        expect(p, ":");
        node = node_at(p, VZ_AST_CHOICE, offset, node, yes);
        node->c = parse_expression(p);
        raise_depth(p, node, node->c);
    } else if (take_sign(p, "?:")) {
        node = node_at(p, VZ_AST_ELVIS, offset, node, parse_expression(p));
    } else if (take_assignment(p, &computes, &op)) {
        if (node->kind != VZ_AST_NAME && node->kind != VZ_AST_MEMBER && node->kind != VZ_AST_INDEX)
            fail(p, VZ_BAD_ARGUMENT, offset,
                 "invalid assignment: cannot assign a value to a "
                 "non-reference expression");
        node = node_at(p, computes ? VZ_AST_COMPUTE : VZ_AST_ASSIGN, offset, node,
                       parse_expression(p));
        node->op = (uint8_t)op;
    }
    p->depth--;
    return node;
}

/* ---- statements ------------------------------------------------------------------------------ */

static bool is_declaration(struct parser *p, enum vz_type *type)
{
    if (p->token.kind != VZ_TOKEN_NAME || !vz_type_find(p->token.text, type))
        return false;
    struct vz_token next = look_ahead(p, 0), third = look_ahead(p, 1);
    if (token_is(&next, "[") && token_is(&third, "]"))
        fail(p, VZ_UNSUPPORTED, p->token.offset,
             "arrays in scripts are not supported by vizsla, use a list");
    return next.kind == VZ_TOKEN_NAME && !vz_slice_is(next.text, "instanceof");
}

/* "int a = 1, b": several become a block without a scope of its own (name "," marks it). */
static struct vz_ast *parse_declaration(struct parser *p, enum vz_type type)
{
    struct vz_ast *all = new_node(p, VZ_AST_BLOCK);
    struct vz_ast **tail = &all->list;
    all->name = VZ_SLICE(",");
    advance(p);
    do {
        struct vz_ast *node = new_node(p, VZ_AST_DECLARE);
        node->type = (uint8_t)type;
        if (p->token.kind != VZ_TOKEN_NAME || is_reserved(p->token.text)) {
            unexpected(p);
            return node;
        }
        node->name = p->token.text;
        advance(p);
        if (is_sign(p, "("))
            fail(p, VZ_UNSUPPORTED, node->offset,
                 "functions in scripts are not supported by vizsla");
        if (take_sign(p, "="))
            node->a = parse_expression(p);
        raise_depth(p, node, node->a);
        add_child(p, all, &tail, node);
    } while (p->status == VZ_OK && take_sign(p, ","));
    return all->count == 1 ? all->list : all;
}

static struct vz_ast *parse_body(struct parser *p)
{
    if (take_sign(p, ";"))
        return node_at(p, VZ_AST_BLOCK, p->token.offset, NULL, NULL);
    return parse_statement(p);
}

static struct vz_ast *parse_block(struct parser *p)
{
    struct vz_ast *node = new_node(p, VZ_AST_BLOCK);
    struct vz_ast **tail = &node->list;
    expect(p, "{");
    while (p->status == VZ_OK && !is_sign(p, "}")) {
        if (p->token.kind == VZ_TOKEN_END)
            unexpected(p);
        else
            add_child(p, node, &tail, parse_statement(p));
    }
    expect(p, "}");
    return node;
}

static struct vz_ast *parse_if(struct parser *p)
{
    struct vz_ast *node = new_node(p, VZ_AST_IF);
    advance(p);
    expect(p, "(");
    node->a = parse_expression(p);
    expect(p, ")");
    node->b = parse_body(p);
    if (take_word(p, "else"))
        node->c = parse_body(p);
    raise_depth(p, node, node->a);
    raise_depth(p, node, node->b);
    raise_depth(p, node, node->c);
    return node;
}

static struct vz_ast *parse_while(struct parser *p)
{
    struct vz_ast *node = new_node(p, VZ_AST_WHILE);
    advance(p);
    expect(p, "(");
    node->a = parse_expression(p);
    expect(p, ")");
    node->b = parse_body(p);
    raise_depth(p, node, node->a);
    raise_depth(p, node, node->b);
    return node;
}

static struct vz_ast *parse_do(struct parser *p)
{
    struct vz_ast *node = new_node(p, VZ_AST_DO);
    advance(p);
    node->b = parse_block(p);
    if (!take_word(p, "while"))
        unexpected(p);
    expect(p, "(");
    node->a = parse_expression(p);
    expect(p, ")");
    raise_depth(p, node, node->a);
    raise_depth(p, node, node->b);
    return node;
}

static struct vz_ast *each_of(struct parser *p, struct vz_ast *node)
{
    node->kind = VZ_AST_EACH;
    node->a = parse_expression(p);
    expect(p, ")");
    node->b = parse_body(p);
    raise_depth(p, node, node->a);
    raise_depth(p, node, node->b);
    return node;
}

static struct vz_ast *parse_for(struct parser *p)
{
    struct vz_ast *node = new_node(p, VZ_AST_FOR);
    enum vz_type type = VZ_TYPE_DEF;
    advance(p);
    expect(p, "(");
    struct vz_token second = look_ahead(p, 0), third = look_ahead(p, 1);
    bool in = second.kind == VZ_TOKEN_NAME && vz_slice_is(second.text, "in");
    if (p->token.kind == VZ_TOKEN_NAME && (in || token_is(&third, ":"))) {
        if (!in) { /* for (def x : list) */
            if (!vz_type_find(p->token.text, &type))
                unexpected(p);
            advance(p);
        }
        node->type = (uint8_t)type;
        node->name = p->token.text;
        advance(p);
        advance(p);
        return each_of(p, node);
    }
    if (!take_sign(p, ";")) {
        struct vz_ast **tail = &node->list;
        if (is_declaration(p, &type))
            add_child(p, node, &tail, parse_declaration(p, type));
        else
            add_child(p, node, &tail, parse_expression(p));
        expect(p, ";");
    }
    if (!take_sign(p, ";")) {
        node->a = parse_expression(p);
        expect(p, ";");
    }
    if (!take_sign(p, ")")) {
        node->c = parse_expression(p);
        expect(p, ")");
    }
    node->b = parse_body(p);
    raise_depth(p, node, node->a);
    raise_depth(p, node, node->b);
    raise_depth(p, node, node->c);
    return node;
}

static struct vz_ast *parse_throw(struct parser *p)
{
    struct vz_ast *node = new_node(p, VZ_AST_THROW);
    advance(p);
    struct vz_ast *made = parse_expression(p);
    if (p->status == VZ_OK && (made->kind != VZ_AST_NEW || made->count > 1))
        fail(p, VZ_UNSUPPORTED, node->offset,
             "vizsla supports throw only as [throw new SomeException(text)]");
    node->name = made->name;
    node->a = made->list;
    raise_depth(p, node, node->a);
    return node;
}

static struct vz_ast *parse_simple(struct parser *p)
{
    enum vz_type type;
    struct vz_ast *node;
    if (is_word(p, "return")) {
        node = new_node(p, VZ_AST_RETURN);
        advance(p);
        if (!is_sign(p, ";") && !is_sign(p, "}") && p->token.kind != VZ_TOKEN_END)
            node->a = parse_expression(p);
        raise_depth(p, node, node->a);
        return node;
    }
    if (is_word(p, "break") || is_word(p, "continue")) {
        node = new_node(p, is_word(p, "break") ? VZ_AST_BREAK : VZ_AST_CONTINUE);
        advance(p);
        return node;
    }
    if (is_word(p, "throw"))
        return parse_throw(p);
    if (is_word(p, "do"))
        return parse_do(p);
    if (is_declaration(p, &type))
        return parse_declaration(p, type);
    uint32_t offset = p->token.offset;
    return node_at(p, VZ_AST_EXPRESSION, offset, parse_expression(p), NULL);
}

static struct vz_ast *parse_statement(struct parser *p)
{
    struct vz_ast *node;
    if (!enter(p))
        return new_node(p, VZ_AST_BLOCK);
    if (is_sign(p, "{")) {
        node = parse_block(p);
    } else if (is_word(p, "if")) {
        node = parse_if(p);
    } else if (is_word(p, "while")) {
        node = parse_while(p);
    } else if (is_word(p, "for")) {
        node = parse_for(p);
    } else if (is_word(p, "try")) {
        node = new_node(p, VZ_AST_BLOCK);
        fail(p, VZ_UNSUPPORTED, node->offset, "[try] in scripts is not supported by vizsla");
    } else {
        node = parse_simple(p);
        if (!is_sign(p, "}") && p->token.kind != VZ_TOKEN_END)
            expect(p, ";");
        else if (p->token.kind != VZ_TOKEN_END && p->depth == 1)
            unexpected(p);
    }
    p->depth--;
    return node;
}

enum vz_status vz_parse(struct vz_slice source, struct vz_arena *arena, struct vz_ast **out,
                        struct vz_error *err)
{
    struct parser parser = {
        .lexer = {.source = source, .arena = arena}, .arena = arena, .err = err};
    struct parser *p = &parser;
    advance(p);
    struct vz_ast *program = new_node(p, VZ_AST_BLOCK);
    struct vz_ast **tail = &program->list;
    while (p->status == VZ_OK && p->token.kind != VZ_TOKEN_END) {
        if (take_sign(p, ";"))
            continue;
        add_child(p, program, &tail, parse_statement(p));
    }
    *out = program;
    return p->status;
}
