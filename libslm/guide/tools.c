/* An answer with calls of tools as a grammar.
 *
 * Free text is an automaton that looks for the markers of calls (Aho and Corasick 1975): its states
 * are the beginnings of markers, and the state after a byte is the longest beginning that the text now
 * ends with. Where a marker is complete a call begins, or, where none may, no text goes on like this.
 * The beginning of an answer has states of its own, since calls without a marker and thinking can only
 * stand there. */
#include "guide/tools.h"

#include "base/utf8.h"
#include "guide/schema.h"
#include "text/markers.h"

#include <stdio.h>
#include <string.h>

#define NOWHERE UINT32_MAX

enum { MAX_MARKERS = SLM_CALL_MARKERS, MAX_MARKER = 32 /* bytes */ };

/* What free text looks for, and where it leads. */
typedef struct search {
    const char *text[MAX_MARKERS];
    uint32_t found[MAX_MARKERS];  /* node behind it, or NOWHERE: it must not come               */
    uint32_t n;
    uint32_t root;                /* node: no beginning of a marker has come                    */
    uint32_t state[MAX_MARKERS][MAX_MARKER]; /* node by the marker and how much of it has come  */
} search;

typedef struct builder {
    slm_grammar *g;
    const slm_tool_rules *rules;
    uint32_t call;    /* rule: one call                                                         */
    uint32_t text;    /* rule: what may stand in place of calls, where that has a schema        */
    uint32_t end;     /* node                                                                   */
    int may_end;      /* free text may end anywhere                                             */
    int forbids;      /* no call may begin                                                      */
    int is_last;      /* at most one call, and the answer ends behind it                        */
    search calls;     /* markers of calls, in free text                                         */
    search thinking;  /* its end                                                                */
} builder;

/* ---- free text -------------------------------------------------------------------------------- */

/* The first marker that begins with the first n bytes of marker m. */
static uint32_t first_alike(const search *s, uint32_t m, size_t n) {
    uint32_t first = 0;
    while (strncmp(s->text[first], s->text[m], n) != 0)
        first++;
    return first;
}

static void make_states(slm_grammar *g, search *s) {
    s->root = slm_grammar_node(g);
    for (uint32_t m = 0; m < s->n; m++)
        for (size_t n = 1; n < strlen(s->text[m]); n++) {
            uint32_t first = first_alike(s, m, n);
            s->state[m][n] = first < m ? s->state[first][n] : slm_grammar_node(g);
        }
}

/* The node after a byte that follows text[0..n), with which the text began or came to root. */
static uint32_t next_state(const search *s, const char *text, size_t n, uint8_t byte) {
    for (size_t from = 0; from <= n; from++) {
        size_t kept = n - from; /* bytes of text that still count */
        for (uint32_t m = 0; m < s->n; m++) {
            size_t len = strlen(s->text[m]);
            if (kept >= len || memcmp(s->text[m], text + from, kept) != 0 ||
                (uint8_t)s->text[m][kept] != byte)
                continue;
            return kept + 1 == len ? s->found[m] : s->state[m][kept + 1];
        }
    }
    return s->root;
}

/* Edges for 256 bytes. */
static void add_bytes(slm_grammar *g, uint32_t from, const uint32_t to[256]) {
    for (uint32_t lo = 0, hi; lo < 256; lo = hi + 1) {
        for (hi = lo; hi < 255 && to[hi + 1] == to[lo];)
            hi++;
        if (to[lo] != NOWHERE)
            slm_grammar_bytes(g, from, (uint8_t)lo, (uint8_t)hi, to[lo]);
    }
}

/* The bytes that follow text[0..n) in free text. */
static void free_bytes(const search *s, const char *text, size_t n, uint32_t to[256]) {
    for (uint32_t byte = 0; byte < 256; byte++)
        to[byte] = next_state(s, text, n, (uint8_t)byte);
}

static void connect_state(builder *b, const search *s, const char *text, size_t n, uint32_t state) {
    uint32_t to[256];
    free_bytes(s, text, n, to);
    add_bytes(b->g, state, to);
    if (b->may_end)
        slm_grammar_empty(b->g, state, b->end);
}

static void connect_states(builder *b, const search *s) {
    connect_state(b, s, "", 0, s->root);
    for (uint32_t m = 0; m < s->n; m++)
        for (size_t n = 1; n < strlen(s->text[m]); n++)
            if (first_alike(s, m, n) == m)
                connect_state(b, s, s->text[m], n, s->state[m][n]);
}

/* ---- calls ------------------------------------------------------------------------------------ */

static uint32_t add_text(slm_grammar *g, uint32_t from, const char *text) {
    uint32_t to = slm_grammar_node(g);
    slm_grammar_text(g, from, text, strlen(text), to);
    return to;
}

/* A comma or colon with the blank that may follow it. */
static uint32_t add_mark(slm_grammar *g, uint32_t from, const char *mark) {
    uint32_t to = add_text(g, from, mark), blank = slm_grammar_node(g);
    slm_grammar_empty(g, to, blank);
    slm_grammar_bytes(g, to, ' ', ' ', blank);
    return blank;
}

/* One string of JSON, as it has to be written. */
static uint32_t add_string(slm_grammar *g, uint32_t from, slm_str text) {
    uint32_t at = add_text(g, from, "\"");
    for (size_t i = 0; i < text.len;) {
        slm_cp_range c = {0, 0};
        uint32_t next = slm_grammar_node(g);
        i += slm_utf8_next((const uint8_t *)text.ptr + i, text.len - i, &c.lo);
        c.hi = c.lo;
        slm_grammar_class(g, at, &c, 1, SLM_SPELL_JSON, next);
        at = next;
    }
    return add_text(g, at, "\"");
}

static int is_python(const builder *b) {
    return ((b->rules->format->bare | b->rules->format->markers[0].shapes) & SLM_CALL_PYTHON) != 0;
}

static void add_call(builder *b, slm_str name, uint32_t arguments) {
    slm_grammar *g = b->g;
    slm_grammar_rule r = g->rules[b->call];
    if (is_python(b)) {
        uint32_t named = slm_grammar_node(g);
        slm_grammar_text(g, r.start, name.ptr, name.len, named);
        slm_grammar_call(g, named, arguments, r.end);
        return;
    }
    const char *of_arguments = b->rules->format->arguments;
    uint32_t at = add_mark(g, add_text(g, r.start, "{\"name\""), ":");
    at = add_mark(g, add_string(g, add_mark(g, add_string(g, at, name), ","),
                               (slm_str){of_arguments, strlen(of_arguments)}), ":");
    uint32_t done = slm_grammar_node(g);
    slm_grammar_call(g, at, arguments, done);
    slm_grammar_text(g, done, "}", 1, r.end);
}

/* At most one line break. */
static uint32_t add_break(slm_grammar *g, uint32_t from) {
    uint32_t to = slm_grammar_node(g);
    slm_grammar_empty(g, from, to);
    slm_grammar_bytes(g, from, '\n', '\n', to);
    return to;
}

/* From behind the bracket of a list. */
static void add_list(builder *b, uint32_t from, uint32_t to) {
    uint32_t done = slm_grammar_node(b->g);
    slm_grammar_call(b->g, from, b->call, done);
    slm_grammar_text(b->g, done, "]", 1, to);
    if (!b->is_last)
        slm_grammar_empty(b->g, add_mark(b->g, done, ","), from);
}

static void add_value(builder *b, uint32_t from, unsigned shapes, uint32_t to) {
    if (shapes & SLM_CALL_OBJECT)
        slm_grammar_call(b->g, from, b->call, to);
    if (shapes & (SLM_CALL_LIST | SLM_CALL_PYTHON))
        add_list(b, add_text(b->g, from, "["), to);
}

/* What stands behind a marker. */
static void add_block(builder *b, const slm_call_marker *m, uint32_t from, uint32_t to) {
    slm_grammar *g = b->g;
    if (m->text[m->n_own] == '[') { /* which is the list's already */
        add_list(b, from, to);
    } else if (m->close == NULL) {
        add_value(b, from, m->shapes, to);
    } else {
        uint32_t done = slm_grammar_node(g);
        add_value(b, add_break(g, from), m->shapes, done);
        slm_grammar_text(g, add_break(g, done), m->close, strlen(m->close), to);
    }
}

static size_t n_markers(const slm_call_format *f) {
    size_t n = 0;
    while (n < SLM_CALL_MARKERS && f->markers[n].text != NULL)
        n++;
    return n;
}

/* ---- answers ---------------------------------------------------------------------------------- */

/* Calls or a text of the schema, where there is one, and nothing else; thinking before them where the
 * model thinks. */
static void build_held(builder *b, uint32_t from) {
    slm_grammar *g = b->g;
    const slm_call_format *f = b->rules->format;
    uint32_t first = slm_grammar_node(g), begin = slm_grammar_node(g), done = slm_grammar_node(g);
    slm_grammar_empty(g, from, first);
    if (!b->forbids)
        slm_grammar_empty(g, first, begin);
    if (slm_tools_hold_text(b->rules))
        slm_grammar_call(g, first, b->text, b->end);
    if (b->rules->thinks) {
        uint32_t closed = slm_grammar_node(g);
        b->thinking = (search){.text = {SLM_THINKING_CLOSE}, .found = {closed}, .n = 1};
        make_states(g, &b->thinking);
        connect_states(b, &b->thinking);
        slm_grammar_text(g, from, SLM_THINKING_OPEN, strlen(SLM_THINKING_OPEN),
                         b->thinking.root);
        slm_grammar_empty(g, add_break(g, add_break(g, closed)), first);
    }
    if (f->bare)
        add_value(b, begin, f->bare, done);
    for (size_t i = 0; i < n_markers(f); i++)
        add_block(b, &f->markers[i], add_text(g, begin, f->markers[i].text), done);
    slm_grammar_empty(g, done, b->end);
    if (b->is_last || is_python(b))
        return;
    if (f->separator != ' ') {
        char separator[2] = {f->separator, 0};
        slm_grammar_empty(g, add_mark(g, done, separator), begin);
    }
    slm_grammar_bytes(g, done, '\n', '\n', begin);
}

/* A place where a call may come without its marker: nothing but white space, and separators behind a
 * call, stands before it. to[] has the edges of free text. */
static void add_bare(builder *b, uint32_t from, int after_call, uint32_t done, uint32_t to[256]) {
    static const char spaces[] = " \t\r\n";
    const slm_call_format *f = b->rules->format;
    for (const char *c = spaces; *c != 0; c++)
        to[(uint8_t)*c] = from;
    if (after_call)
        to[(uint8_t)f->separator] = from;
    if (f->bare & SLM_CALL_OBJECT)
        to['{'] = NOWHERE;
    if (f->bare & (SLM_CALL_LIST | SLM_CALL_PYTHON))
        to['['] = NOWHERE;
    if (f->bare && !b->forbids)
        add_value(b, from, f->bare, done);
}

/* The beginning of an answer, where white space, thinking and bare calls may come before free text:
 * a state for each beginning of the thinking's marker. */
static void build_beginning(builder *b, uint32_t from, uint32_t done) {
    static const char open[] = SLM_THINKING_OPEN;
    uint32_t to[256], state = from;
    b->thinking = (search){.text = {SLM_THINKING_CLOSE}, .found = {from}, .n = 1};
    make_states(b->g, &b->thinking);
    connect_states(b, &b->thinking);
    for (size_t n = 0; open[n] != 0; n++) {
        uint32_t next = open[n + 1] != 0 ? slm_grammar_node(b->g) : b->thinking.root;
        free_bytes(&b->calls, open, n, to);
        to[(uint8_t)open[n]] = next;
        if (n == 0)
            add_bare(b, state, 0, done, to);
        add_bytes(b->g, state, to);
        slm_grammar_empty(b->g, state, b->end);
        state = next;
    }
}

/* Text and, unless none may begin, calls. */
static void build_free(builder *b, uint32_t from) {
    slm_grammar *g = b->g;
    const slm_call_format *f = b->rules->format;
    uint32_t done = slm_grammar_node(g), to[256];
    search *s = &b->calls;
    b->may_end = 1;
    s->n = (uint32_t)n_markers(f);
    for (uint32_t i = 0; i < s->n; i++) {
        s->text[i] = f->markers[i].text;
        s->found[i] = b->forbids ? NOWHERE : slm_grammar_node(g);
    }
    make_states(g, s);
    connect_states(b, s);
    build_beginning(b, from, done);
    for (size_t i = 0; i < n_markers(f) && !b->forbids; i++)
        add_block(b, &f->markers[i], s->found[i], done);
    slm_grammar_empty(g, done, b->end);
    if (b->forbids || b->is_last || is_python(b))
        return;
    if (!f->bare) {
        slm_grammar_empty(g, done, s->root);
        return;
    }
    free_bytes(s, "", 0, to);
    add_bare(b, done, 1, done, to);
    add_bytes(g, done, to);
}

/* ---- tools ------------------------------------------------------------------------------------ */

typedef struct tools { /* that may be called */
    const slm_json **schemas; /* of their arguments   */
    slm_str *names;
    uint32_t *places;         /* in the array of all  */
    uint32_t *arguments;      /* rules                */
    uint32_t n;
} tools;

static slm_status fail_tool(slm_error *error, slm_status status, uint32_t index, slm_str name,
                            size_t offset, const char *what) {
    return slm_fail(error, status, "tools", offset, "tools[%u]%s%.*s%s: %s", index,
                    name.len > 0 ? " (" : "", (int)(name.len < 60 ? name.len : 60), name.ptr,
                    name.len > 0 ? ")" : "", what);
}

/* Letters of ASCII, digits and _, no digit first. */
static int is_identifier(slm_str name) {
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i], lower = (char)(c | 0x20);
        if (!(c == '_' || (lower >= 'a' && lower <= 'z') || (i > 0 && c >= '0' && c <= '9')))
            return 0;
    }
    return name.len > 0;
}

static slm_status read_tool(const builder *b, const slm_json *v, uint32_t index,
                            const slm_json *no_arguments, tools *t, slm_error *error) {
    const slm_json *function = slm_json_get(v, "function"), *type = slm_json_get(v, "type");
    const slm_json *inner = function != NULL ? function : v;
    const slm_json *name = slm_json_get(inner, "name");
    const slm_json *schema = slm_json_get(inner, "parameters");
    slm_str nameless = {"", 0};
    if (v->type != SLM_JSON_OBJECT || inner->type != SLM_JSON_OBJECT)
        return fail_tool(error, SLM_ERR_GRAMMAR, index, nameless, v->offset,
                         "wanted an object with a name and parameters, or one as its function");
    if (function != NULL && type != NULL && !slm_json_is(type, "function"))
        return fail_tool(error, SLM_ERR_UNSUP, index, nameless, type->offset,
                         "type: wanted \"function\"");
    if (name == NULL || name->type != SLM_JSON_STRING || name->text.len == 0)
        return fail_tool(error, SLM_ERR_GRAMMAR, index, nameless, inner->offset,
                         "name: wanted a text that is not empty");
    for (uint32_t i = 0; i < t->n; i++)
        if (slm_str_equal(t->names[i], name->text))
            return fail_tool(error, SLM_ERR_DUP, index, name->text, name->offset,
                             "another tool has the same name");
    if (is_python(b) && !is_identifier(name->text))
        return fail_tool(error, SLM_ERR_UNSUP, index, name->text, name->offset,
                         "name: calls in Python's syntax have names of letters, digits and _");
    if (b->rules->choice == SLM_TOOL_CHOICE_NAMED && !slm_str_equal(name->text, b->rules->name))
        return SLM_OK;
    t->places[t->n] = index;
    t->schemas[t->n] = schema != NULL && schema->type != SLM_JSON_NULL ? schema : no_arguments;
    t->names[t->n++] = name->text;
    return SLM_OK;
}

/* The schemas of all tools become rules. */
static slm_status compile_schemas(slm_grammar *g, const builder *b, tools *t, uint32_t *free_string,
                                  slm_error *error) {
    const slm_json *failed = NULL;
    slm_error why = SLM_ERROR_INIT;
    slm_status status = slm_schema_arguments(g, is_python(b), t->schemas, t->n, t->arguments,
                                             free_string, &failed, &why);
    for (uint32_t i = 0; status != SLM_OK && i < t->n; i++)
        if (t->schemas[i] == failed)
            return fail_tool(error, status, t->places[i], t->names[i], why.offset, why.message);
    return status == SLM_OK ? SLM_OK
                            : slm_fail(error, status, why.subject, why.offset, "%s", why.message);
}

static slm_status compile(builder *b, slm_arena *arena, const char *text, size_t len,
                          uint32_t *free_string, slm_error *error) {
    static const char none[] = "{\"type\":\"object\",\"properties\":{}}";
    const slm_json *root, *no_arguments;
    slm_grammar *g = b->g;
    const slm_tool_rules *rules = b->rules;
    SLM_TRY(slm_json_parse(arena, text, len, 0, "tools", &root, error));
    SLM_TRY(slm_json_parse(arena, none, sizeof none - 1, 0, "tools", &no_arguments, error));
    if (root->type != SLM_JSON_ARRAY)
        return slm_fail(error, SLM_ERR_GRAMMAR, "tools", root->offset,
                        "tools: wanted an array of tools");
    if (root->n_items > SLM_TOOLS_MAX)
        return slm_fail(error, SLM_ERR_LIMIT, "tools", root->offset,
                        "tools: got %u, wanted at most %d", root->n_items, SLM_TOOLS_MAX);
    size_t n = root->n_items + 1u;
    tools t = {.schemas = slm_arena_alloc(arena, n * sizeof *t.schemas),
               .names = slm_arena_alloc(arena, n * sizeof *t.names),
               .places = slm_arena_alloc(arena, n * sizeof *t.places),
               .arguments = slm_arena_alloc(arena, n * sizeof *t.arguments)};
    if (t.schemas == NULL || t.names == NULL || t.places == NULL || t.arguments == NULL)
        return slm_fail_nomem(error, n * sizeof *t.names, "tools");
    for (uint32_t i = 0; i < root->n_items; i++)
        SLM_TRY(read_tool(b, &root->items[i], i, no_arguments, &t, error));
    int required = rules->choice >= SLM_TOOL_CHOICE_REQUIRED;
    if (rules->choice == SLM_TOOL_CHOICE_NAMED && t.n == 0)
        return slm_fail(error, SLM_ERR_MISSING, "name", SLM_NO_OFFSET,
                        "slm_tools_options.name: got \"%.*s\", which is no name of a tool",
                        (int)(rules->name.len < 60 ? rules->name.len : 60), rules->name.ptr);
    if (required && t.n == 0)
        return slm_fail(error, SLM_ERR_MISSING, "tools", SLM_NO_OFFSET,
                        "tools: a call is required, but there is no tool");
    SLM_TRY(compile_schemas(g, b, &t, free_string, error));
    if (slm_tools_hold_text(rules)) {
        SLM_TRY(slm_schema_compile(g, rules->schema.ptr, rules->schema.len, 0, free_string, error));
        b->text = g->root;
    }
    uint32_t root_rule = slm_grammar_rule_new(g);
    b->call = slm_grammar_rule_new(g);
    SLM_TRY(slm_grammar_check(g, error));
    for (uint32_t i = 0; i < t.n; i++)
        add_call(b, t.names[i], t.arguments[i]);
    slm_grammar_rule r = g->rules[root_rule];
    b->end = r.end;
    g->root = root_rule;
    b->forbids = t.n == 0 || rules->choice == SLM_TOOL_CHOICE_NONE;
    if (required || slm_tools_hold_text(rules))
        build_held(b, r.start);
    else
        build_free(b, r.start);
    return slm_grammar_check(g, error);
}

slm_status slm_tools_compile(slm_grammar *g, const char *text, size_t len,
                             const slm_tool_rules *rules, int one_call, uint32_t *free_string,
                             slm_error *error) {
    slm_arena arena = {.host = g->host};
    builder b = {.g = g,
                 .rules = rules,
                 .is_last = one_call || rules->choice == SLM_TOOL_CHOICE_NAMED};
    if (len > SLM_TOOLS_MAX_BYTES)
        return slm_fail(error, SLM_ERR_LIMIT, "tools", SLM_NO_OFFSET,
                        "tools: got %zu bytes, wanted at most %d", len, SLM_TOOLS_MAX_BYTES);
    slm_status status = compile(&b, &arena, text, len, free_string, error);
    slm_arena_free(&arena);
    return status;
}
