/* Statements of a template as trees. */
#include "text/jinja_parse.h"

static slm_status body(slm_jparser *p, const char *const *ends, slm_jnode **out);

static slm_status want_tag_end(slm_jparser *p) {
    if (p->t->kind != SLM_T_TAG_END)
        return slm_p_unexpected(p, "the end of the tag");
    p->t++;
    return SLM_OK;
}

/* A name, ns.name, or several names with commas between them, as a LIST of NAMEs. */
static slm_status target(slm_jparser *p, int with_members, slm_jnode **out) {
    slm_jnode *first = NULL, **next = &first;
    uint32_t pos = p->t->pos;
    int parentheses_ = slm_p_take_op(p, SLM_OP1('(')), comma = 0;
    do {
        if (comma && p->t->kind != SLM_T_NAME)
            break;
        slm_str what;
        uint32_t at = p->t->pos;
        SLM_TRY(slm_p_want_name(p, "the name of a variable", &what));
        SLM_TRY(slm_p_make(p, SLM_N_NAME, at, next));
        (*next)->name = what;
        if (with_members && slm_p_take_op(p, SLM_OP1('.'))) {
            SLM_TRY(slm_p_want_name(p, "the name of a member", &what));
            SLM_TRY(slm_p_wrap(p, SLM_N_ATTR, at, next, NULL, NULL));
            (*next)->name = what;
        }
        next = &(*next)->next;
    } while (slm_p_take_op(p, SLM_OP1(',')) && (comma = 1));
    if (parentheses_)
        SLM_TRY(slm_p_want_op(p, ')'));
    *out = first;
    if (!comma)
        return SLM_OK;
    SLM_TRY(slm_p_make(p, SLM_N_LIST, pos, out));
    return slm_p_below(p, *out, first, NULL, NULL);
}

/* "... %} body {% end %}" */
static slm_status block(slm_jparser *p, const char *end, slm_jnode **out) {
    const char *const ends[] = {end, NULL};
    SLM_TRY(want_tag_end(p));
    SLM_TRY(body(p, ends, out));
    p->t++;
    return want_tag_end(p);
}

static slm_status if_(slm_jparser *p, uint32_t pos, slm_jnode **out) {
    static const char *const ENDS[] = {"elif", "else", "endif", NULL};
    slm_jnode *condition, *then, *otherwise = NULL;
    SLM_TRY(slm_p_tuple(p, 0, &condition));
    SLM_TRY(want_tag_end(p));
    SLM_TRY(body(p, ENDS, &then));
    SLM_TRY(slm_p_make(p, SLM_N_IF, pos, out));
    if (slm_p_is_word(p, "elif")) {
        uint32_t at = p->t++->pos;
        SLM_TRY(slm_p_enter(p));
        SLM_TRY(if_(p, at, &otherwise));
        p->depth--;
    } else if (slm_p_take_word(p, "else")) {
        SLM_TRY(block(p, "endif", &otherwise));
    } else {
        p->t++;
        SLM_TRY(want_tag_end(p));
    }
    return slm_p_below(p, *out, condition, then, otherwise);
}

static slm_status for_(slm_jparser *p, uint32_t pos, slm_jnode **out) {
    static const char *const ENDS[] = {"else", "endfor", NULL};
    slm_jnode *variable, *in, *each, *otherwise = NULL;
    SLM_TRY(target(p, 0, &variable));
    if (!slm_p_take_word(p, "in"))
        return slm_p_unexpected(p, "\"in\"");
    SLM_TRY(slm_p_tuple(p, 0, &in));
    if (slm_p_take_word(p, "if"))
        SLM_TRY(slm_p_expression(p, &in->next));
    if (slm_p_is_word(p, "recursive"))
        return slm_j_fail_at(p->j, p->t->pos, "recursive loops are not supported");
    SLM_TRY(want_tag_end(p));
    p->n_loops++;
    SLM_TRY(body(p, ENDS, &each));
    p->n_loops--;
    if (slm_p_take_word(p, "else")) {
        SLM_TRY(block(p, "endfor", &otherwise));
    } else {
        p->t++;
        SLM_TRY(want_tag_end(p));
    }
    SLM_TRY(slm_p_make(p, SLM_N_FOR, pos, out));
    SLM_TRY(slm_p_below(p, *out, otherwise, NULL, NULL));
    (*out)->d = otherwise;
    return slm_p_below(p, *out, variable, in, each);
}

/* "| name(...) | name": the filters of a block, the innermost on nothing. */
static slm_status block_filters(slm_jparser *p, slm_jnode **out) {
    *out = NULL;
    do
        SLM_TRY(slm_p_filter(p, out));
    while (slm_p_take_op(p, SLM_OP1('|')));
    return SLM_OK;
}

static slm_status set(slm_jparser *p, uint32_t pos, slm_jnode **out) {
    slm_jnode *variable, *value, *filtered = NULL;
    SLM_TRY(target(p, 1, &variable));
    if (slm_p_take_op(p, SLM_OP1('='))) {
        SLM_TRY(slm_p_tuple(p, 1, &value));
        SLM_TRY(want_tag_end(p));
        SLM_TRY(slm_p_make(p, SLM_N_SET, pos, out));
        return slm_p_below(p, *out, variable, value, NULL);
    }
    if (slm_p_take_op(p, SLM_OP1('|')))
        SLM_TRY(block_filters(p, &filtered));
    SLM_TRY(block(p, "endset", &value));
    SLM_TRY(slm_p_make(p, SLM_N_SET_BLOCK, pos, out));
    return slm_p_below(p, *out, variable, value, filtered);
}

/* Parameters behind "(", up to and with ")". */
static slm_status parameters(slm_jparser *p, slm_jnode **first) {
    slm_jnode **next = first;
    *first = NULL;
    while (!slm_p_take_op(p, SLM_OP1(')'))) {
        slm_jnode *arg, *otherwise = NULL;
        SLM_TRY(slm_p_make(p, SLM_N_ARG, p->t->pos, &arg));
        SLM_TRY(slm_p_want_name(p, "the name of a parameter", &arg->name));
        if (slm_p_take_op(p, SLM_OP1('=')))
            SLM_TRY(slm_p_expression(p, &otherwise));
        SLM_TRY(slm_p_below(p, arg, otherwise, NULL, NULL));
        *next = arg;
        next = &arg->next;
        if (!slm_p_is_op(p, SLM_OP1(')')))
            SLM_TRY(slm_p_want_op(p, ','));
    }
    return SLM_OK;
}

/* A macro's parameters and body, behind its name. */
static slm_status macro_rest(slm_jparser *p, const char *end, slm_jnode *m) {
    slm_jnode *params = NULL, *content;
    uint32_t loops = p->n_loops;
    if (slm_p_take_op(p, SLM_OP1('(')))
        SLM_TRY(parameters(p, &params));
    p->n_loops = 0;
    SLM_TRY(block(p, end, &content));
    p->n_loops = loops;
    return slm_p_below(p, m, params, content, NULL);
}

static slm_status macro(slm_jparser *p, uint32_t pos, slm_jnode **out) {
    SLM_TRY(slm_p_make(p, SLM_N_MACRO, pos, out));
    SLM_TRY(slm_p_want_name(p, "the name of a macro", &(*out)->name));
    if (!slm_p_is_op(p, SLM_OP1('(')))
        return slm_p_unexpected(p, "\"(\"");
    return macro_rest(p, "endmacro", *out);
}

static slm_status call_block(slm_jparser *p, uint32_t pos, slm_jnode **out) {
    slm_jnode *caller, *calls, *params = NULL;
    SLM_TRY(slm_p_make(p, SLM_N_MACRO, pos, &caller));
    caller->name = (slm_str){"caller", 6};
    if (slm_p_take_op(p, SLM_OP1('(')))
        SLM_TRY(parameters(p, &params));
    SLM_TRY(slm_p_expression(p, &calls));
    if (calls->kind != SLM_N_CALL)
        return slm_j_fail_at(p->j, pos, "got no call in a call block, wanted one");
    SLM_TRY(macro_rest(p, "endcall", caller));
    SLM_TRY(slm_p_below(p, caller, params, caller->b, NULL));
    SLM_TRY(slm_p_make(p, SLM_N_CALL_BLOCK, pos, out));
    return slm_p_below(p, *out, calls, caller, NULL);
}

static slm_status filter_block(slm_jparser *p, uint32_t pos, slm_jnode **out) {
    slm_jnode *filtered, *content;
    SLM_TRY(block_filters(p, &filtered));
    SLM_TRY(block(p, "endfilter", &content));
    SLM_TRY(slm_p_make(p, SLM_N_FILTER_BLOCK, pos, out));
    return slm_p_below(p, *out, filtered, content, NULL);
}

static slm_status with(slm_jparser *p, uint32_t pos, slm_jnode **out) {
    slm_jnode *first = NULL, **next = &first, *content;
    while (p->t->kind != SLM_T_TAG_END) {
        slm_jnode *variable, *value;
        if (first)
            SLM_TRY(slm_p_want_op(p, ','));
        uint32_t at = p->t->pos;
        slm_str what;
        SLM_TRY(slm_p_want_name(p, "the name of a variable", &what));
        SLM_TRY(slm_p_want_op(p, '='));
        SLM_TRY(slm_p_expression(p, &value));
        SLM_TRY(slm_p_make(p, SLM_N_ARG, at, &variable));
        SLM_TRY(slm_p_below(p, variable, value, NULL, NULL));
        variable->name = what;
        *next = variable;
        next = &variable->next;
    }
    SLM_TRY(block(p, "endwith", &content));
    SLM_TRY(slm_p_make(p, SLM_N_WITH, pos, out));
    return slm_p_below(p, *out, first, content, NULL);
}

static slm_status leave(slm_jparser *p, slm_jnode_kind kind, uint32_t pos, slm_jnode **out) {
    if (p->n_loops == 0)
        return slm_j_fail_at(p->j, pos, "got %s outside of a loop",
                             kind == SLM_N_BREAK ? "break" : "continue");
    SLM_TRY(slm_p_make(p, kind, pos, out));
    return want_tag_end(p);
}

/* The statement behind a tag's opening. */
static slm_status statement(slm_jparser *p, slm_jnode **out) {
    static const struct {
        const char *name;
        slm_status (*parse)(slm_jparser *p, uint32_t pos, slm_jnode **out);
    } STATEMENTS[] = {{"if", if_},      {"for", for_},        {"set", set},
                      {"macro", macro}, {"call", call_block}, {"filter", filter_block},
                      {"with", with}};
    const slm_jtoken *t = p->t;
    if (t->kind != SLM_T_NAME)
        return slm_p_unexpected(p, "a statement");
    p->t++;
    for (size_t i = 0; i < sizeof STATEMENTS / sizeof *STATEMENTS; i++)
        if (slm_str_is(t->text, STATEMENTS[i].name))
            return STATEMENTS[i].parse(p, t->pos, out);
    if (slm_str_is(t->text, "break"))
        return leave(p, SLM_N_BREAK, t->pos, out);
    if (slm_str_is(t->text, "continue"))
        return leave(p, SLM_N_CONTINUE, t->pos, out);
    if (slm_str_is(t->text, "generation")) { /* marks answers for training: the body stays */
        slm_jnode *content;
        SLM_TRY(block(p, "endgeneration", &content));
        SLM_TRY(slm_p_make(p, SLM_N_GROUP, t->pos, out));
        return slm_p_below(p, *out, content, NULL, NULL);
    }
    p->t = t;
    return slm_j_fail_at(p->j, t->pos,
                         "got the statement \"%.*s\", wanted for, if, set, macro, call, "
                         "filter, with, break, continue, raw or generation, or the end of one",
                         (int)(t->text.len < 40 ? t->text.len : 40), t->text.ptr);
}

static int is_end(const slm_jparser *p, const char *const *ends) {
    for (; ends && *ends; ends++)
        if (slm_p_is_word(p, *ends))
            return 1;
    return 0;
}

/* Statements up to a tag with one of the names of ends, at which the parser stands then; up to the
 * end of the template where ends is NULL. */
static slm_status body(slm_jparser *p, const char *const *ends, slm_jnode **out) {
    slm_jnode **next = out;
    *out = NULL;
    SLM_TRY(slm_p_enter(p));
    for (;; next = &(*next)->next) {
        const slm_jtoken *t = p->t;
        if (t->kind == SLM_T_EOF)
            break;
        p->t++;
        if (t->kind == SLM_T_DATA) {
            SLM_TRY(slm_p_make(p, SLM_N_TEXT, t->pos, next));
            SLM_TRY(
                slm_j_string(p->j, t->text.ptr, t->text.len, SLM_MARK_TEMPLATE, &(*next)->value));
        } else if (t->kind == SLM_T_PRINT) {
            slm_jnode *value;
            SLM_TRY(slm_p_tuple(p, 1, &value));
            if (p->t->kind != SLM_T_PRINT_END)
                return slm_p_unexpected(p, "the end of the tag");
            p->t++;
            SLM_TRY(slm_p_make(p, SLM_N_PRINT, t->pos, next));
            SLM_TRY(slm_p_below(p, *next, value, NULL, NULL));
        } else if (is_end(p, ends)) {
            p->depth--;
            return SLM_OK;
        } else {
            SLM_TRY(statement(p, next));
        }
    }
    p->depth--;
    return ends ? slm_p_unexpected(p, ends[1] && ends[2] ? "endif"
                                      : ends[1]          ? ends[1]
                                                         : ends[0])
                : SLM_OK;
}

slm_status slm_j_parse(slm_jinja *j, const slm_jtoken *tokens, slm_jnode **out) {
    slm_jparser p = {.j = j, .t = tokens};
    return body(&p, NULL, out);
}
