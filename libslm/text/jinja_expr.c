/* Expressions of a template as trees, by the grammar of Jinja 3.1's parser. */
#include "text/jinja_parse.h"

static slm_status unary(slm_jparser *p, int with_filters, slm_jnode **out);

/* ---- tokens ---- */

int slm_p_is_op(const slm_jparser *p, uint16_t op) {
    return p->t->kind == SLM_T_OP && p->t->op == op;
}
int slm_p_is_word(const slm_jparser *p, const char *word) {
    return p->t->kind == SLM_T_NAME && slm_str_is(p->t->text, word);
}
int slm_p_take_op(slm_jparser *p, uint16_t op) {
    int yes = slm_p_is_op(p, op);
    p->t += yes;
    return yes;
}
int slm_p_take_word(slm_jparser *p, const char *word) {
    int yes = slm_p_is_word(p, word);
    p->t += yes;
    return yes;
}

slm_status slm_p_unexpected(slm_jparser *p, const char *wanted) {
    const slm_jtoken *t = p->t;
    char op[3] = {(char)(t->op & 0xFF), (char)(t->op >> 8), 0};
    switch (t->kind) {
    case SLM_T_OP:
        return slm_j_fail_at(p->j, t->pos, "got \"%s\", wanted %s", op, wanted);
    case SLM_T_PRINT_END:
    case SLM_T_TAG_END:
        return slm_j_fail_at(p->j, t->pos, "got the end of the tag, wanted %s", wanted);
    case SLM_T_EOF:
        return slm_j_fail_at(p->j, t->pos, "got the end of the template, wanted %s", wanted);
    case SLM_T_STRING:
        return slm_j_fail_at(p->j, t->pos, "got a string, wanted %s", wanted);
    default:
        return slm_j_fail_at(p->j, t->pos, "got \"%.*s\", wanted %s",
                             (int)(t->text.len < 40 ? t->text.len : 40), t->text.ptr, wanted);
    }
}

slm_status slm_p_want_op(slm_jparser *p, char c) {
    char wanted[4] = {'"', c, '"', 0};
    return slm_p_take_op(p, SLM_OP1(c)) ? SLM_OK : slm_p_unexpected(p, wanted);
}

slm_status slm_p_want_name(slm_jparser *p, const char *what, slm_str *out) {
    if (p->t->kind != SLM_T_NAME)
        return slm_p_unexpected(p, what);
    *out = p->t++->text;
    return SLM_OK;
}

/* ---- nodes ---- */

slm_status slm_p_make(slm_jparser *p, slm_jnode_kind kind, uint32_t pos, slm_jnode **out) {
    SLM_TRY(slm_j_alloc(p->j, sizeof **out, out));
    **out = (slm_jnode){.kind = (uint8_t)kind, .pos = pos, .height = 1};
    return SLM_OK;
}

static int is_too_high(slm_jnode *n, const slm_jnode *below) {
    if (below && below->height >= n->height)
        n->height = (uint16_t)(below->height + 1);
    return n->height > SLM_JINJA_MAX_NESTING;
}

slm_status slm_p_below(slm_jparser *p, slm_jnode *n, slm_jnode *a, slm_jnode *b, slm_jnode *c) {
    n->a = a;
    n->b = b;
    n->c = c;
    int high = 0;
    for (const slm_jnode *list[] = {a, b, c}, **i = list; i < list + 3; i++)
        for (const slm_jnode *k = *i; k; k = k->next)
            high |= is_too_high(n, k);
    return high ? slm_j_fail_at(p->j, n->pos, "nested more than %d deep", SLM_JINJA_MAX_NESTING)
                : SLM_OK;
}

slm_status slm_p_enter(slm_jparser *p) {
    if (++p->depth > SLM_JINJA_MAX_NESTING)
        return slm_j_fail_at(p->j, p->t->pos, "nested more than %d deep", SLM_JINJA_MAX_NESTING);
    return SLM_OK;
}

slm_status slm_p_wrap(slm_jparser *p, slm_jnode_kind kind, uint32_t pos, slm_jnode **n,
                      slm_jnode *b, slm_jnode *c) {
    slm_jnode *outer;
    SLM_TRY(slm_p_make(p, kind, pos, &outer));
    SLM_TRY(slm_p_below(p, outer, *n, b, c));
    *n = outer;
    return SLM_OK;
}

static slm_status constant(slm_jparser *p, uint32_t pos, slm_jvalue value, slm_jnode **out) {
    SLM_TRY(slm_p_make(p, SLM_N_CONST, pos, out));
    (*out)->value = value;
    return SLM_OK;
}

/* ---- expressions ---- */

/* Items up to the closing bracket; a list of them, or of keys and values. */
static slm_status items(slm_jparser *p, char close, int pairs, slm_jnode **first) {
    slm_jnode **next = first;
    *first = NULL;
    while (!slm_p_take_op(p, SLM_OP1(close))) {
        SLM_TRY(slm_p_expression(p, next));
        next = &(*next)->next;
        if (pairs) {
            SLM_TRY(slm_p_want_op(p, ':'));
            SLM_TRY(slm_p_expression(p, next));
            next = &(*next)->next;
        }
        if (!slm_p_is_op(p, SLM_OP1(close)))
            SLM_TRY(slm_p_want_op(p, ','));
    }
    return SLM_OK;
}

/* "(a)", "(a, b)", "()" */
static slm_status parentheses(slm_jparser *p, slm_jnode **out) {
    uint32_t pos = p->t++->pos;
    slm_jnode *first = NULL;
    int comma = 0;
    if (!slm_p_is_op(p, SLM_OP1(')'))) {
        SLM_TRY(slm_p_expression(p, &first));
        comma = slm_p_take_op(p, SLM_OP1(','));
    }
    if (first && !comma) {
        *out = first;
        return slm_p_want_op(p, ')');
    }
    slm_jnode *rest;
    SLM_TRY(items(p, ')', 0, &rest));
    if (first)
        first->next = rest;
    SLM_TRY(slm_p_make(p, SLM_N_LIST, pos, out));
    (*out)->value.tuple = 1;
    return slm_p_below(p, *out, first, NULL, NULL);
}

static slm_status integer(slm_jparser *p, slm_jnode **out) {
    const slm_jtoken *t = p->t++;
    slm_json spelt = {.type = SLM_JSON_NUMBER, .text = t->text};
    int64_t i;
    if (!slm_json_int64(&spelt, &i))
        return slm_j_fail_at(p->j, t->pos, "an integer beyond 64 bits");
    return constant(p, t->pos, slm_j_int(i), out);
}

static slm_status string(slm_jparser *p, slm_jnode **out) {
    const slm_jtoken *t = p->t++;
    slm_jvalue s;
    SLM_TRY(slm_j_string(p->j, t->text.ptr, t->text.len, SLM_MARK_TEMPLATE, &s));
    for (; p->t->kind == SLM_T_STRING; p->t++) { /* strings side by side are one */
        slm_jvalue more;
        SLM_TRY(slm_j_string(p->j, p->t->text.ptr, p->t->text.len, SLM_MARK_TEMPLATE, &more));
        SLM_TRY(slm_j_concat(p->j, s, more, &s));
    }
    return constant(p, t->pos, s, out);
}

static slm_status name(slm_jparser *p, slm_jnode **out) {
    const slm_jtoken *t = p->t++;
    static const char *const WORDS[] = {"true", "True", "false", "False", "none", "None"};
    for (size_t i = 0; i < 6; i++)
        if (slm_str_is(t->text, WORDS[i]))
            return constant(p, t->pos, i < 4 ? slm_j_bool(i < 2) : slm_j_none(), out);
    SLM_TRY(slm_p_make(p, SLM_N_NAME, t->pos, out));
    (*out)->name = t->text;
    return SLM_OK;
}

static slm_status primary(slm_jparser *p, slm_jnode **out) {
    const slm_jtoken *t = p->t;
    if (t->kind == SLM_T_NAME)
        return name(p, out);
    if (t->kind == SLM_T_STRING)
        return string(p, out);
    if (t->kind == SLM_T_INT)
        return integer(p, out);
    if (t->kind == SLM_T_FLOAT) {
        p->t++;
        return constant(p, t->pos, slm_j_float(slm_json_number(t->text)), out);
    }
    if (slm_p_is_op(p, SLM_OP1('(')))
        return parentheses(p, out);
    if (slm_p_is_op(p, SLM_OP1('[')) || slm_p_is_op(p, SLM_OP1('{'))) {
        int dict = slm_p_is_op(p, SLM_OP1('{'));
        p->t++;
        slm_jnode *first;
        SLM_TRY(items(p, dict ? '}' : ']', dict, &first));
        SLM_TRY(slm_p_make(p, dict ? SLM_N_DICT : SLM_N_LIST, t->pos, out));
        return slm_p_below(p, *out, first, NULL, NULL);
    }
    return slm_p_unexpected(p, "an expression");
}

/* Arguments behind "(", up to and with ")". */
static slm_status arguments(slm_jparser *p, slm_jnode **first) {
    slm_jnode **next = first;
    *first = NULL;
    while (!slm_p_take_op(p, SLM_OP1(')'))) {
        slm_jnode *arg;
        SLM_TRY(slm_p_make(p, SLM_N_ARG, p->t->pos, &arg));
        if (p->t->kind == SLM_T_NAME && p->t[1].kind == SLM_T_OP && p->t[1].op == SLM_OP1('=')) {
            arg->name = p->t->text;
            p->t += 2;
        }
        if (slm_p_is_op(p, SLM_OP1('*')) || slm_p_is_op(p, SLM_OP2('*', '*')))
            return slm_j_fail_at(p->j, p->t->pos, "unpacked arguments are not supported");
        slm_jnode *value;
        SLM_TRY(slm_p_expression(p, &value));
        SLM_TRY(slm_p_below(p, arg, value, NULL, NULL));
        *next = arg;
        next = &arg->next;
        if (!slm_p_is_op(p, SLM_OP1(')')))
            SLM_TRY(slm_p_want_op(p, ','));
    }
    return SLM_OK;
}

/* What stands between the brackets of a[...]: an index, or a slice's three parts as a list. */
static slm_status subscript(slm_jparser *p, slm_jnode **n) {
    uint32_t pos = p->t++->pos;
    slm_jnode *part[3] = {NULL, NULL, NULL};
    int i = 0, slice = 0;
    while (i < 3 && !slm_p_is_op(p, SLM_OP1(']'))) {
        if (slm_p_take_op(p, SLM_OP1(':'))) {
            slice = 1;
            i++;
            continue;
        }
        if (part[i])
            return slm_p_unexpected(p, "\":\" or \"]\"");
        SLM_TRY(slm_p_expression(p, &part[i]));
    }
    SLM_TRY(slm_p_want_op(p, ']'));
    if (!slice)
        return part[0] ? slm_p_wrap(p, SLM_N_ITEM, pos, n, part[0], NULL)
                       : slm_j_fail_at(p->j, pos, "got nothing in brackets, wanted an index");
    for (i = 0; i < 3; i++)
        if (!part[i])
            SLM_TRY(constant(p, pos, slm_j_none(), &part[i]));
    part[0]->next = part[1];
    part[1]->next = part[2];
    return slm_p_wrap(p, SLM_N_SLICE, pos, n, part[0], NULL);
}

static slm_status call(slm_jparser *p, slm_jnode **n) {
    uint32_t pos = p->t++->pos;
    slm_jnode *args;
    SLM_TRY(arguments(p, &args));
    return slm_p_wrap(p, SLM_N_CALL, pos, n, args, NULL);
}

static slm_status postfix(slm_jparser *p, slm_jnode **n) {
    for (;;) {
        if (slm_p_is_op(p, SLM_OP1('.'))) {
            uint32_t pos = p->t++->pos;
            if (p->t->kind == SLM_T_INT) {
                slm_jnode *index;
                SLM_TRY(integer(p, &index));
                SLM_TRY(slm_p_wrap(p, SLM_N_ITEM, pos, n, index, NULL));
                continue;
            }
            slm_str attribute;
            SLM_TRY(slm_p_want_name(p, "the name of a member", &attribute));
            SLM_TRY(slm_p_wrap(p, SLM_N_ATTR, pos, n, NULL, NULL));
            (*n)->name = attribute;
        } else if (slm_p_is_op(p, SLM_OP1('['))) {
            SLM_TRY(subscript(p, n));
        } else if (slm_p_is_op(p, SLM_OP1('('))) {
            SLM_TRY(call(p, n));
        } else {
            return SLM_OK;
        }
    }
}

/* "name(...)" behind "|" */
slm_status slm_p_filter(slm_jparser *p, slm_jnode **n) {
    slm_str what;
    uint32_t pos = p->t->pos;
    slm_jnode *args = NULL;
    SLM_TRY(slm_p_want_name(p, "the name of a filter", &what));
    if (slm_p_take_op(p, SLM_OP1('(')))
        SLM_TRY(arguments(p, &args));
    SLM_TRY(slm_p_wrap(p, SLM_N_FILTER, pos, n, args, NULL));
    (*n)->name = what;
    return SLM_OK;
}

static int begins_argument(const slm_jparser *p) {
    static const char *const NONE[] = {"else", "or", "and", "is", "if", "not", "in"};
    switch (p->t->kind) {
    case SLM_T_STRING:
    case SLM_T_INT:
    case SLM_T_FLOAT:
        return 1;
    case SLM_T_OP:
        return p->t->op == SLM_OP1('[') || p->t->op == SLM_OP1('{');
    case SLM_T_NAME:
        for (size_t i = 0; i < sizeof NONE / sizeof *NONE; i++)
            if (slm_p_is_word(p, NONE[i]))
                return 0;
        return 1;
    default:
        return 0;
    }
}

/* "name", "name(...)", "name argument" behind "is" */
static slm_status test(slm_jparser *p, slm_jnode **n) {
    uint32_t pos = p->t->pos;
    int negated = slm_p_take_word(p, "not");
    slm_str what;
    slm_jnode *args = NULL;
    SLM_TRY(slm_p_want_name(p, "the name of a test", &what));
    if (slm_p_take_op(p, SLM_OP1('('))) {
        SLM_TRY(arguments(p, &args));
    } else if (begins_argument(p)) {
        slm_jnode *value;
        SLM_TRY(slm_p_make(p, SLM_N_ARG, p->t->pos, &args));
        SLM_TRY(primary(p, &value));
        SLM_TRY(postfix(p, &value));
        SLM_TRY(slm_p_below(p, args, value, NULL, NULL));
    }
    SLM_TRY(slm_p_wrap(p, SLM_N_TEST, pos, n, args, NULL));
    (*n)->name = what;
    (*n)->op = (uint16_t)negated;
    return SLM_OK;
}

static slm_status filters(slm_jparser *p, slm_jnode **n) {
    for (;;) {
        if (slm_p_take_op(p, SLM_OP1('|')))
            SLM_TRY(slm_p_filter(p, n));
        else if (slm_p_take_word(p, "is"))
            SLM_TRY(test(p, n));
        else if (slm_p_is_op(p, SLM_OP1('(')))
            SLM_TRY(call(p, n));
        else
            return SLM_OK;
    }
}

static slm_status unary(slm_jparser *p, int with_filters, slm_jnode **out) {
    SLM_TRY(slm_p_enter(p));
    if (slm_p_is_op(p, SLM_OP1('-')) || slm_p_is_op(p, SLM_OP1('+'))) {
        slm_jnode_kind kind = slm_p_is_op(p, SLM_OP1('-')) ? SLM_N_NEG : SLM_N_POS;
        uint32_t pos = p->t++->pos;
        SLM_TRY(unary(p, 0, out));
        SLM_TRY(slm_p_wrap(p, kind, pos, out, NULL, NULL));
    } else {
        SLM_TRY(primary(p, out));
    }
    SLM_TRY(postfix(p, out));
    p->depth--;
    return with_filters ? filters(p, out) : SLM_OK;
}

/* Binary operators from the loosest to the tightest; all of them lean left. */
static int level_of(const slm_jparser *p) {
    if (p->t->kind != SLM_T_OP)
        return -1;
    switch (p->t->op) {
    case SLM_OP1('+'):
    case SLM_OP1('-'):
        return 0;
    case SLM_OP1('~'):
        return 1;
    case SLM_OP1('*'):
    case SLM_OP1('/'):
    case SLM_OP1('%'):
    case SLM_OP2('/', '/'):
        return 2;
    case SLM_OP2('*', '*'):
        return 3;
    default:
        return -1;
    }
}

/* Operands and operators of at least this level. */
static slm_status binary(slm_jparser *p, int least, slm_jnode **out) {
    SLM_TRY(unary(p, 1, out));
    for (int level; (level = level_of(p)) >= least;) {
        const slm_jtoken *t = p->t++;
        slm_jnode *right;
        SLM_TRY(binary(p, level + 1, &right));
        SLM_TRY(slm_p_wrap(p, SLM_N_BINARY, t->pos, out, right, NULL));
        (*out)->op = t->op;
    }
    return SLM_OK;
}

/* The comparison at hand, which is taken; 0 when there is none. "in" is 'i', "not in" is 'n'. */
static uint16_t take_comparison(slm_jparser *p) {
    static const uint16_t OPS[] = {SLM_OP2('=', '='), SLM_OP2('!', '='), SLM_OP2('<', '='),
                                   SLM_OP2('>', '='), SLM_OP1('<'),      SLM_OP1('>')};
    for (size_t i = 0; i < sizeof OPS / sizeof *OPS; i++)
        if (slm_p_take_op(p, OPS[i]))
            return OPS[i];
    if (slm_p_take_word(p, "in"))
        return SLM_OP1('i');
    if (slm_p_is_word(p, "not") && p->t[1].kind == SLM_T_NAME && slm_str_is(p->t[1].text, "in")) {
        p->t += 2;
        return SLM_OP1('n');
    }
    return 0;
}

static slm_status comparison(slm_jparser *p, slm_jnode **out) {
    SLM_TRY(binary(p, 0, out));
    slm_jnode *first = NULL, **next = &first;
    uint32_t pos = p->t->pos;
    for (uint16_t op; (op = take_comparison(p)) != 0; next = &(*next)->next) {
        slm_jnode *to, *value;
        SLM_TRY(slm_p_make(p, SLM_N_COMPARE_TO, pos, &to));
        SLM_TRY(binary(p, 0, &value));
        SLM_TRY(slm_p_below(p, to, value, NULL, NULL));
        to->op = op;
        *next = to;
    }
    return first ? slm_p_wrap(p, SLM_N_COMPARE, pos, out, first, NULL) : SLM_OK;
}

static slm_status negation(slm_jparser *p, slm_jnode **out) {
    if (!slm_p_is_word(p, "not"))
        return comparison(p, out);
    uint32_t pos = p->t++->pos;
    SLM_TRY(slm_p_enter(p));
    SLM_TRY(negation(p, out));
    p->depth--;
    return slm_p_wrap(p, SLM_N_NOT, pos, out, NULL, NULL);
}

static slm_status conjunction(slm_jparser *p, int is_or, slm_jnode **out) {
    SLM_TRY(is_or ? conjunction(p, 0, out) : negation(p, out));
    while (slm_p_is_word(p, is_or ? "or" : "and")) {
        uint32_t pos = p->t++->pos;
        slm_jnode *right;
        SLM_TRY(is_or ? conjunction(p, 0, &right) : negation(p, &right));
        SLM_TRY(slm_p_wrap(p, is_or ? SLM_N_OR : SLM_N_AND, pos, out, right, NULL));
    }
    return SLM_OK;
}

slm_status slm_p_expression(slm_jparser *p, slm_jnode **out) {
    SLM_TRY(slm_p_enter(p));
    SLM_TRY(conjunction(p, 1, out));
    while (slm_p_is_word(p, "if")) {
        uint32_t pos = p->t++->pos;
        slm_jnode *condition, *otherwise = NULL;
        SLM_TRY(conjunction(p, 1, &condition));
        if (slm_p_take_word(p, "else"))
            SLM_TRY(slm_p_expression(p, &otherwise));
        SLM_TRY(slm_p_wrap(p, SLM_N_IF_EXPR, pos, out, condition, otherwise));
    }
    p->depth--;
    return SLM_OK;
}

slm_status slm_p_tuple(slm_jparser *p, int with_if, slm_jnode **out) {
    slm_jnode **next = out, *first;
    int comma = 0;
    do {
        if (comma && (p->t->kind == SLM_T_TAG_END || p->t->kind == SLM_T_PRINT_END))
            break;
        SLM_TRY(with_if ? slm_p_expression(p, next) : conjunction(p, 1, next));
        next = &(*next)->next;
    } while (slm_p_take_op(p, SLM_OP1(',')) && (comma = 1));
    if (!comma)
        return SLM_OK;
    first = *out;
    SLM_TRY(slm_p_make(p, SLM_N_LIST, first->pos, out));
    (*out)->value.tuple = 1;
    return slm_p_below(p, *out, first, NULL, NULL);
}
