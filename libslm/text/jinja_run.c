/* Statements of templates, and a rendering as a whole. */
#include "text/detok.h"
#include "text/jinja_impl.h"

#include <stdarg.h>
#include <stdio.h>

static slm_status run(slm_jinja *j, slm_jframe *f, const slm_jnode *first);

/* What j->leaving says. */
enum { STAY = 0, BREAK = 1, CONTINUE = 2 };

/* ---- errors ---- */

static slm_status fail_at(slm_jinja *j, slm_status status, uint32_t pos, const char *message) {
    size_t line, column;
    size_t at = pos < j->source.len ? pos : j->source.len;
    slm_json_place(j->source.ptr, at, &line, &column);
    return slm_fail(j->error, status, "chat template", pos,
                    "chat template, line %zu, column %zu: %s", line, column, message);
}

slm_status slm_j_fail(slm_jinja *j, const char *format, ...) {
    char message[512];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return fail_at(j, SLM_ERR_TEMPLATE, j->pos, message);
}

slm_status slm_j_fail_at(slm_jinja *j, uint32_t pos, const char *format, ...) {
    char message[512];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return fail_at(j, SLM_ERR_TEMPLATE, pos, message);
}

slm_status slm_j_fail_depth(slm_jinja *j) {
    return slm_j_fail(j, "it runs or nests more than %d deep", SLM_JINJA_MAX_DEPTH);
}

slm_status slm_j_fail_limit(slm_jinja *j, const char *what) {
    char message[80];
    snprintf(message, sizeof message, "it takes more %s than a template may", what);
    return fail_at(j, SLM_ERR_LIMIT, j->pos, message);
}

/* ---- output ---- */

/* Runs statements with an output of their own, which becomes a string. */
static slm_status capture(slm_jinja *j, slm_jframe *f, const slm_jnode *first, slm_jvalue *out) {
    slm_buffer text = j->text, marks = j->marks;
    j->text = (slm_buffer){.host = j->arena.host};
    j->marks = j->text;
    slm_status status = run(j, f, first);
    slm_buffer own = j->text, own_marks = j->marks;
    j->text = text;
    j->marks = marks;
    if (status == SLM_OK)
        return slm_j_take(j, &own, &own_marks, out);
    slm_buffer_free(&own);
    slm_buffer_free(&own_marks);
    return status;
}

/* ---- scopes ---- */

/* In the arena: a macro that was defined in a scope can be called when the scope has been left. */
static slm_status scope(slm_jinja *j, slm_jframe *parent, slm_jframe **out) {
    SLM_TRY(slm_j_alloc(j, sizeof **out, out));
    **out = (slm_jframe){.parent = parent};
    return SLM_OK;
}

/* Runs statements in a scope of their own, to a string. */
static slm_status capture_inside(slm_jinja *j, slm_jframe *f, const slm_jnode *first,
                                 slm_jvalue *out) {
    slm_jframe *inner;
    SLM_TRY(scope(j, f, &inner));
    return capture(j, inner, first, out);
}

/* ---- assignment ---- */

static slm_status assign(slm_jinja *j, slm_jframe *f, const slm_jnode *target, slm_jvalue v) {
    if (target->kind == SLM_N_NAME)
        return slm_j_set_var(j, f, target->name, v);
    j->pos = target->pos;
    if (target->kind == SLM_N_ATTR) {
        const slm_jvalue *ns = slm_j_find_var(j, f, target->a->name);
        slm_jvalue key;
        if (!ns || ns->type != SLM_J_NAMESPACE)
            return slm_j_fail(j, "\"%.*s\" is %s, wanted a namespace to set a member of",
                              (int)(target->a->name.len < 40 ? target->a->name.len : 40),
                              target->a->name.ptr, ns ? slm_j_type_name(*ns) : "undefined");
        SLM_TRY(slm_j_string(j, target->name.ptr, target->name.len, SLM_MARK_TEMPLATE, &key));
        return slm_j_put_value(j, ns->u.dict, key, v);
    }
    slm_jlist *items;
    size_t n = 0, i = 0;
    SLM_TRY(slm_j_items(j, v, &items));
    for (const slm_jnode *t = target->a; t; t = t->next)
        n++;
    if (n != items->n)
        return slm_j_fail(j, "%zu values for %zu names", items->n, n);
    for (const slm_jnode *t = target->a; t; t = t->next)
        SLM_TRY(assign(j, f, t, items->items[i++]));
    return SLM_OK;
}

/* ---- loops ---- */

/* The items for which the condition holds. */
static slm_status select_items(slm_jinja *j, slm_jframe *f, const slm_jnode *n,
                               const slm_jnode *condition, slm_jlist **items) {
    slm_jvalue kept, yes;
    slm_jframe *inner;
    SLM_TRY(scope(j, f, &inner));
    SLM_TRY(slm_j_list(j, 0, &kept));
    for (size_t i = 0; i < (*items)->n; i++) {
        SLM_TRY(assign(j, inner, n->a, (*items)->items[i]));
        SLM_TRY(slm_j_eval(j, inner, condition, &yes));
        if (slm_j_truth(yes))
            SLM_TRY(slm_j_append(j, kept, (*items)->items[i]));
    }
    *items = kept.u.list;
    return SLM_OK;
}

static slm_status loop(slm_jinja *j, slm_jframe *f, const slm_jnode *n) {
    slm_jvalue in;
    slm_jlist *items;
    SLM_TRY(slm_j_eval(j, f, n->b, &in));
    j->pos = n->b->pos;
    SLM_TRY(slm_j_items(j, in, &items));
    if (n->b->next)
        SLM_TRY(select_items(j, f, n, n->b->next, &items));
    slm_jloop *state;
    slm_jframe *inner;
    SLM_TRY(scope(j, f, &inner));
    SLM_TRY(slm_j_alloc(j, sizeof *state, &state));
    *state = (slm_jloop){.items = items};
    for (; state->index < items->n; state->index++) {
        SLM_TRY(slm_j_charge(j, 1));
        inner->n = 0; /* what a round sets is gone after it */
        SLM_TRY(slm_j_set_var(j, inner, (slm_str){"loop", 4},
                              (slm_jvalue){.type = SLM_J_LOOP, .u.loop = state}));
        SLM_TRY(assign(j, inner, n->a, items->items[state->index]));
        SLM_TRY(run(j, inner, n->c));
        int leaves = j->leaving == BREAK;
        j->leaving = STAY;
        if (leaves)
            break;
    }
    return items->n == 0 && n->d ? run(j, f, n->d) : SLM_OK;
}

/* ---- macros ---- */

static slm_status define(slm_jinja *j, slm_jframe *f, const slm_jnode *n, slm_jvalue *out) {
    slm_jmacro *m;
    SLM_TRY(slm_j_alloc(j, sizeof *m, &m));
    *m = (slm_jmacro){n, f, slm_j_nothing()};
    *out = (slm_jvalue){.type = SLM_J_MACRO, .u.macro = m};
    return SLM_OK;
}

slm_status slm_j_call_macro(slm_jinja *j, const slm_jmacro *m, const slm_jargs *args,
                            slm_jvalue *out) {
    slm_jframe *inner;
    size_t at = 0, n_used = args->n;
    SLM_TRY(scope(j, m->frame, &inner));
    for (const slm_jnode *p = m->node->a; p; p = p->next, at++) {
        const slm_jvalue *given = at < args->n ? &args->v[at] : NULL;
        for (size_t i = args->n; !given && i < args->n_all; i++) {
            if (slm_str_equal(args->names[i], p->name)) {
                given = &args->v[i];
                n_used++;
            }
        }
        slm_jvalue v;
        if (given)
            v = *given;
        else if (p->a)
            SLM_TRY(slm_j_eval(j, inner, p->a, &v));
        else
            SLM_TRY(slm_j_undefined(j, p->name, &v));
        SLM_TRY(slm_j_set_var(j, inner, p->name, v));
    }
    if (args->n > at || n_used < args->n_all)
        return slm_j_fail(j, "the macro \"%.*s\" takes %zu arguments, got others or more",
                          (int)(m->node->name.len < 40 ? m->node->name.len : 40), m->node->name.ptr,
                          at);
    if (m->caller.type == SLM_J_MACRO)
        SLM_TRY(slm_j_set_var(j, inner, (slm_str){"caller", 6}, m->caller));
    return capture(j, inner, m->node->b, out);
}

static slm_status call_block(slm_jinja *j, slm_jframe *f, const slm_jnode *n) {
    slm_jvalue what, caller, text;
    slm_jargs args;
    SLM_TRY(slm_j_eval(j, f, n->a->a, &what));
    SLM_TRY(slm_j_call_args(j, f, n->a->b, &args));
    j->pos = n->pos;
    if (what.type != SLM_J_MACRO)
        return slm_j_fail(j, "%s in a call block, wanted a macro", slm_j_type_name(what));
    SLM_TRY(define(j, f, n->b, &caller));
    slm_jmacro with = *what.u.macro;
    with.caller = caller;
    SLM_TRY(slm_j_call_macro(j, &with, &args, &text));
    return slm_j_write(j, &j->text, &j->marks, text, 0);
}

/* ---- statements ---- */

static slm_status print(slm_jinja *j, slm_jframe *f, const slm_jnode *n) {
    slm_jvalue v;
    SLM_TRY(slm_j_eval(j, f, n->a, &v));
    j->pos = n->pos;
    return slm_j_write(j, &j->text, &j->marks, v, 0);
}

static slm_status statement(slm_jinja *j, slm_jframe *f, const slm_jnode *n) {
    slm_jvalue v;
    slm_jframe *inner;
    switch (n->kind) {
    case SLM_N_TEXT:
        return slm_j_write(j, &j->text, &j->marks, n->value, 0);
    case SLM_N_PRINT:
        return print(j, f, n);
    case SLM_N_IF:
        SLM_TRY(slm_j_eval(j, f, n->a, &v));
        return run(j, f, slm_j_truth(v) ? n->b : n->c);
    case SLM_N_FOR:
        return loop(j, f, n);
    case SLM_N_SET:
        SLM_TRY(slm_j_eval(j, f, n->b, &v));
        return assign(j, f, n->a, v);
    case SLM_N_SET_BLOCK:
        SLM_TRY(capture_inside(j, f, n->b, &v));
        if (n->c)
            SLM_TRY(slm_j_apply_filters(j, f, n->c, v, &v));
        return assign(j, f, n->a, v);
    case SLM_N_MACRO:
        SLM_TRY(define(j, f, n, &v));
        return slm_j_set_var(j, f, n->name, v);
    case SLM_N_CALL_BLOCK:
        return call_block(j, f, n);
    case SLM_N_FILTER_BLOCK:
        SLM_TRY(capture_inside(j, f, n->b, &v));
        SLM_TRY(slm_j_apply_filters(j, f, n->a, v, &v));
        return slm_j_write(j, &j->text, &j->marks, v, 0);
    case SLM_N_WITH:
        SLM_TRY(scope(j, f, &inner));
        for (const slm_jnode *a = n->a; a; a = a->next) {
            SLM_TRY(slm_j_eval(j, f, a->a, &v));
            SLM_TRY(slm_j_set_var(j, inner, a->name, v));
        }
        return run(j, inner, n->b);
    case SLM_N_GROUP:
        return run(j, f, n->a);
    default: /* BREAK, CONTINUE */
        j->leaving = n->kind == SLM_N_BREAK ? BREAK : CONTINUE;
        return SLM_OK;
    }
}

static slm_status run(slm_jinja *j, slm_jframe *f, const slm_jnode *first) {
    if (++j->depth > SLM_JINJA_MAX_DEPTH)
        return slm_j_fail_depth(j);
    for (const slm_jnode *n = first; n && j->leaving == STAY; n = n->next) {
        j->pos = n->pos;
        SLM_TRY(slm_j_charge(j, 1));
        SLM_TRY(statement(j, f, n));
    }
    j->depth--;
    return SLM_OK;
}

/* ---- a rendering ---- */

void slm_jinja_begin(slm_jinja *j, slm_host *host, slm_error *error) {
    *j = (slm_jinja){
        .arena = {.host = host}, .error = error, .text = {.host = host}, .marks = {.host = host},
        .data_mark = SLM_MARK_DATA};
}

void slm_jinja_end(slm_jinja *j) {
    slm_buffer_free(&j->text);
    slm_buffer_free(&j->marks);
    slm_arena_free(&j->arena);
}

slm_status slm_jinja_set(slm_jinja *j, const char *name, slm_jvalue value) {
    if (!j->globals) {
        SLM_TRY(slm_j_alloc(j, sizeof *j->globals, &j->globals));
        *j->globals = (slm_jframe){.parent = NULL};
    }
    return slm_j_set_var(j, j->globals, (slm_str){name, strlen(name)}, value);
}

/* The source as Jinja reads it: lines end in "\n" alone, and one at the end goes. */
static slm_status take_source(slm_jinja *j, slm_str source) {
    if (source.len > SLM_JINJA_MAX_TEMPLATE)
        return slm_fail(j->error, SLM_ERR_LIMIT, "chat template", SLM_NO_OFFSET,
                        "the chat template has %zu bytes, wanted at most %d", source.len,
                        SLM_JINJA_MAX_TEMPLATE);
    size_t valid = slm_utf8_valid_prefix(source.ptr, source.len), n = 0;
    if (valid < source.len)
        return slm_fail(j->error, SLM_ERR_UTF8, "chat template", valid,
                        "the chat template is not UTF-8 at byte %zu", valid);
    char *copy;
    SLM_TRY(slm_j_alloc(j, source.len + 1, &copy));
    for (size_t i = 0; i < source.len; i++) {
        int cr = source.ptr[i] == '\r';
        copy[n++] = cr ? '\n' : source.ptr[i];
        i += cr && i + 1 < source.len && source.ptr[i + 1] == '\n';
    }
    n -= n > 0 && copy[n - 1] == '\n';
    j->source = (slm_str){copy, n};
    return SLM_OK;
}

slm_status slm_jinja_render(slm_jinja *j, slm_str source) {
    SLM_TRY(take_source(j, source));
    slm_buffer tokens = {.host = j->arena.host};
    slm_jnode *first = NULL;
    slm_status status = slm_j_lex(j, &tokens);
    if (status == SLM_OK)
        status = slm_j_parse(j, (const slm_jtoken *)(const void *)tokens.ptr, &first);
    slm_buffer_free(&tokens);
    SLM_TRY(status);
    SLM_TRY(slm_j_define_functions(j));
    slm_jframe *top;
    SLM_TRY(scope(j, j->globals, &top));
    return run(j, top, first);
}
