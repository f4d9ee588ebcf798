/* The template interpreter against renderings of real templates, and its bounds. */
#define _POSIX_C_SOURCE 200809L
#include "jinja_cases.h"
#include "support/fail_alloc.h"
#include "text/chat.h"
#include "vocab_files.h"

#include <pthread.h>
#include <time.h>


/* ---- the golden renderings ---- */

typedef struct golden {
    slm_host host;
    slm_arena arena;
    char *source;
    size_t source_len;
    slm_chat_names names;
    const char *name;
    size_t n_texts, n_errors, n_spans;
} golden;

static char *read_whole(const char *path, size_t *len) {
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("cannot open %s", path);
    fseek(f, 0, SEEK_END);
    *len = (size_t)ftell(f);
    rewind(f);
    char *text = malloc(*len + 1);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, *len, f), *len);
    text[*len] = 0;
    fclose(f);
    return text;
}

static const slm_json *parse(slm_arena *arena, const char *text, size_t len) {
    const slm_json *v;
    slm_error error = SLM_ERROR_INIT;
    if (slm_json_parse(arena, text, len, 0, "test data", &v, &error) != SLM_OK)
        fail_msg("%s", error.message);
    return v;
}

static slm_str member(const slm_json *v, const char *name) {
    const slm_json *m = slm_json_get(v, name);
    return m && m->type == SLM_JSON_STRING ? m->text : (slm_str){NULL, 0};
}

/* Qwen 3 takes the thoughts out of an answer and writes them again between tags of its own; the spans
 * were found by an answer in which it finds no thoughts. Bytes of such a tag at text[at]. */
static size_t think_tag(const slm_buffer *text, size_t at) {
    static const char *const TAGS[] = {"<think>", "</think>"};
    for (int i = 0; i < 2; i++) {
        size_t n = strlen(TAGS[i]);
        if (text->len - at >= n && memcmp(text->ptr + at, TAGS[i], n) == 0)
            return n;
    }
    return 0;
}

/* Every byte within a span was marked as data, but white space. */
static void check_spans(golden *g, const slm_json *spans, const slm_chat_prompt *p, slm_str name) {
    for (uint32_t i = 0; spans && i < spans->n_items; i++) {
        int64_t from, to;
        assert_true(slm_json_int64(&spans->items[i].items[0], &from));
        assert_true(slm_json_int64(&spans->items[i].items[1], &to));
        for (size_t k = (size_t)from; k < (size_t)to; k++) {
            if (slm_j_marks(&p->j.marks)[k] != SLM_MARK_TEMPLATE ||
                strchr(" \n\t\r", p->j.text.ptr[k]))
                continue;
            size_t tag = think_tag(&p->j.text, k);
            if (tag == 0)
                fail_msg("%s: %.*s: byte %zu is not marked as data: %.20s", g->name, (int)name.len,
                         name.ptr, k, p->j.text.ptr + k);
            k += tag - 1;
        }
        g->n_spans++;
    }
}

static void check_rendering(golden *g, const char *line, size_t len) {
    slm_arena arena = {.host = &g->host};
    const slm_json *v = parse(&arena, line, len);
    slm_str name = member(v, "name"), want = member(v, "rendered"), failure = member(v, "error");
    slm_chat_input input = {.struct_size = sizeof input, .conversation = line,
                            .conversation_len = len, .now = 1721997296}; /* 2024-07-26 12:34:56 */
    slm_chat_prompt p = {.spells_bos = 0};
    slm_error error = SLM_ERROR_INIT;
    slm_status status =
        slm_chat_render_template(&p, &g->host, (slm_str){g->source, g->source_len}, NULL, &g->names,
                                 &input, &error);
    static const char OWN[] = "TemplateError: ";
    if (want.ptr) {
        if (status != SLM_OK)
            fail_msg("%s: %.*s: %s", g->name, (int)name.len, name.ptr, error.message);
        if (p.j.text.len != want.len || (want.len > 0 && memcmp(p.j.text.ptr, want.ptr, want.len) != 0))
            fail_msg("%s: %.*s:\n got  \"%.*s\"\n want \"%.*s\"", g->name, (int)name.len, name.ptr,
                     (int)p.j.text.len, p.j.text.ptr, (int)want.len, want.ptr);
        assert_int_equal(p.j.marks.len, want.len * sizeof(slm_jmark));
        check_spans(g, slm_json_get(v, "spans"), &p, name);
        g->n_texts++;
    } else {
        if (status != SLM_ERR_TEMPLATE)
            fail_msg("%s: %.*s: status %d, wanted %.*s", g->name, (int)name.len, name.ptr, status,
                     (int)failure.len, failure.ptr);
        if (memcmp(failure.ptr, OWN, sizeof OWN - 1) == 0) {
            char message[256];
            snprintf(message, sizeof message, "%.*s", (int)(failure.len - sizeof OWN + 1),
                     failure.ptr + sizeof OWN - 1);
            if (!strstr(error.message, message) || !strstr(error.message, "line "))
                fail_msg("%s: %.*s: \"%s\" does not say \"%s\"", g->name, (int)name.len, name.ptr,
                         error.message, message);
        }
        g->n_errors++;
    }
    slm_chat_prompt_close(&p);
    slm_arena_free(&arena);
}

static slm_str copy_name(const slm_json *meta, const char *what) { return member(meta, what); }

static void renderings(void **state) {
    (void)state;
    need_shared();
    golden g = {.n_texts = 0};
    slm_host_init(&g.host, NULL, NULL, NULL, SLM_LOG_NONE);
    g.arena.host = &g.host;
    size_t len;
    char *index = read_whole(shared_path("chat/templates/%s.json", "index"), &len);
    const slm_json *all = parse(&g.arena, index, len);
    for (uint32_t i = 0; i < all->n_items; i++) {
        char name[100];
        snprintf(name, sizeof name, "%.*s", (int)all->items[i].name.len, all->items[i].name.ptr);
        g.name = name;
        g.source = read_whole(shared_path("chat/templates/%s.jinja", name), &g.source_len);
        g.names = (slm_chat_names){copy_name(&all->items[i], "bos_token"),
                                   copy_name(&all->items[i], "eos_token"),
                                   {NULL, 0}};
        char *lines = read_whole(shared_path("chat/rendered/%s.jsonl", name), &len);
        for (char *line = lines, *end; (end = strchr(line, '\n')); line = end + 1)
            check_rendering(&g, line, (size_t)(end - line));
        free(lines);
        free(g.source);
    }
    free(index);
    slm_arena_free(&g.arena);
    assert_int_equal(g.n_texts, 2163);
    assert_int_equal(g.n_errors, 192);
    assert_true(g.n_spans > 4000);
    assert_int_equal(atomic_load(&g.host.bytes), 0);
}

/* ---- short templates ---- */

typedef struct rendering {
    slm_host host;
    slm_jinja j;
    slm_error error;
    slm_status status;
} rendering;

/* Renders with the members of a JSON object as variables. */
static void render_with(rendering *r, const char *source, size_t len, const char *variables) {
    memset(r, 0, sizeof *r);
    slm_host_init(&r->host, NULL, NULL, NULL, SLM_LOG_NONE);
    r->error = (slm_error)SLM_ERROR_INIT;
    slm_jinja_begin(&r->j, &r->host, &r->error);
    r->j.clock = (slm_jclock){1, 1721997296};
    r->j.input_bytes = strlen(variables);
    const slm_json *v = parse(&r->j.arena, variables, strlen(variables));
    for (uint32_t i = 0; i < v->n_items; i++) {
        slm_jvalue value;
        char *name = slm_arena_alloc(&r->j.arena, v->items[i].name.len + 1);
        assert_non_null(name);
        memcpy(name, v->items[i].name.ptr, v->items[i].name.len);
        name[v->items[i].name.len] = 0;
        assert_int_equal(slm_j_from_json(&r->j, &v->items[i], &value), SLM_OK);
        assert_int_equal(slm_jinja_set(&r->j, name, value), SLM_OK);
    }
    r->status = slm_jinja_render(&r->j, (slm_str){source, len});
}

static void end_rendering(rendering *r) {
    slm_jinja_end(&r->j);
    assert_int_equal(atomic_load(&r->host.bytes), 0);
}

static void cases(void **state) {
    (void)state;
    rendering r;
    for (size_t i = 0; i < COUNT(CASES); i++) {
        size_t want = strlen(CASES[i].want);
        render_with(&r, CASES[i].source, strlen(CASES[i].source), CASE_VARIABLES);
        if (r.status != SLM_OK)
            fail_msg("%s: %s", CASES[i].source, r.error.message);
        if (r.j.text.len != want || (want > 0 && memcmp(r.j.text.ptr, CASES[i].want, want) != 0))
            fail_msg("%s:\n got  \"%.*s\"\n want \"%s\"", CASES[i].source, (int)r.j.text.len,
                     r.j.text.ptr, CASES[i].want);
        assert_int_equal(r.j.marks.len, want * sizeof(slm_jmark));
        end_rendering(&r);
    }
}

static void failures(void **state) {
    (void)state;
    static const char FRONT[] = "chat template, ";
    rendering r;
    for (size_t i = 0; i < COUNT(FAILURES); i++) {
        render_with(&r, FAILURES[i].source, strlen(FAILURES[i].source), CASE_VARIABLES);
        assert_int_equal(r.status, SLM_ERR_TEMPLATE);
        assert_memory_equal(r.error.message, FRONT, sizeof FRONT - 1);
        assert_string_equal(r.error.message + sizeof FRONT - 1, FAILURES[i].message);
        assert_true(r.error.offset <= strlen(FAILURES[i].source));
        end_rendering(&r);
    }
}

/* Where the bytes come from: "t" for the template, "d" for data. */
static void marks(void **state) {
    (void)state;
    static const char VARIABLES[] = "{\"d\": \"data\", \"D\": \"x y\", \"n\": 12, \"b\": true, "
                                    "\"l\": [\"p\", 3], \"o\": {\"key\": \"a\\\"b\"}}";
    static const struct {
        const char *source, *text, *marks;
    } table[] = {
        {"a{{ d }}b", "adatab", "tddddt"},
        {"{{ 'x' + d + 'y' }}", "xdatay", "tddddt"},
        {"{{ d[1:3] }}{{ d[::-1] }}{{ d[0] }}", "atatadd", "ddddddd"},
        {"{{ ('<' ~ d ~ '>')[::-1] }}", ">atad<", "tddddt"},
        {"{{ ('<' ~ d ~ '>') | upper }}", "<DATA>", "tddddt"},
        {"{{ ('<' ~ d) | capitalize }}{{ d | title }}", "<dataData", "tdddddddd"},
        {"{{ d | replace('a', 'T') }}", "dTtT", "dtdt"},
        {"{{ 'aXb' | replace('X', d) }}", "adatab", "tddddt"},
        {"{{ D.split(' ') | join('-') }}", "x-y", "dtd"},
        {"{{ (' ' ~ d ~ ' ') | trim }}", "data", "dddd"},
        {"{{ n }}{{ n + 1 }}{{ 7 }}{{ b }}", "12137True", "ddddtdddd"},
        {"{{ n | string ~ 'x' }}{{ '5' | int }}{{ -n }}", "12x5-12", "ddtdddd"},
        {"{{ l | tojson }}", "[\"p\", 3]", "ttdtttdt"},
        {"{{ o | tojson }}", "{\"key\": \"a\\\"b\"}", "ttdddttttddddtt"},
        {"{{ o }}", "{'key': 'a\"b'}", "ttdddttttdddtt"},
        {"{{ l }}", "['p', 3]", "ttdtttdt"},
        {"{% set x %}a{{ d }}{% endset %}{{ x }}", "adata", "tdddd"},
        {"{% macro m(v) %}<{{ v }}>{% endmacro %}{{ m(d) }}", "<data>", "tddddt"},
        {"{% for c in d %}{{ c }}.{% endfor %}", "d.a.t.a.", "dtdtdtdt"},
        {"{% for k, v in o.items() %}{{ k }}={{ v }}{% endfor %}", "key=a\"b", "dddtddd"},
        {"{{ '%s|%s' | format(d, 'x') }}", "data|x", "ddddtt"},
        {"{{ (d ~ '\\nx') | indent(2) }}", "data\n  x", "ddddtttt"},
        {"{{ d * 2 }}{{ [d] | first }}", "datadatadata", "dddddddddddd"},
        {"{{ 'data' == d }}{{ d | length }}", "True4", "ttttt"},
        {"{{ ['b', d] | sort | join }}", "bdata", "tdddd"},
        {"{{ d.startswith('d') ~ d.upper().lower() }}", "Truedata", "ttttdddd"},
    };
    rendering r;
    for (size_t i = 0; i < COUNT(table); i++) {
        render_with(&r, table[i].source, strlen(table[i].source), VARIABLES);
        if (r.status != SLM_OK)
            fail_msg("%s: %s", table[i].source, r.error.message);
        assert_int_equal(r.j.text.len, strlen(table[i].text));
        assert_memory_equal(r.j.text.ptr, table[i].text, r.j.text.len);
        for (size_t k = 0; k < r.j.text.len; k++)
            if (slm_j_marks(&r.j.marks)[k] != (table[i].marks[k] == 'd'))
                fail_msg("%s: byte %zu of %s", table[i].source, k, table[i].text);
        end_rendering(&r);
    }
}

/* ---- bounds ---- */

static char *repeated(const char *before, const char *part, size_t n, const char *after) {
    size_t len = strlen(part);
    char *text = malloc(strlen(before) + n * len + strlen(after) + 1);
    assert_non_null(text);
    char *p = text + sprintf(text, "%s", before);
    for (size_t i = 0; i < n; i++, p += len)
        memcpy(p, part, len);
    strcpy(p, after);
    return text;
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void expect_refused(const char *source, slm_status status, const char *says) {
    rendering r;
    double before = seconds();
    render_with(&r, source, strlen(source), "{\"x\": [1], \"s\": \"abc\"}");
    double took = seconds() - before;
    if (r.status != status || !strstr(r.error.message, says))
        fail_msg("%.60s: status %d, %s", source, r.status, r.error.message);
#ifndef SLM_SLOW
    if (took > 1)
        fail_msg("%.60s: took %.2f s", source, took);
#else
    (void)took;
#endif
    end_rendering(&r);
}

static void deep_templates(void **state) {
    (void)state;
    static const struct {
        const char *before, *part, *after, *says;
        size_t n;
    } table[] = {
        {"{{ ", "(", "1", "brackets", 100000},
        {"{{ ", "[", "1", "brackets", 100000},
        {"{{ ", "{1:", "1", "brackets", 100000},
        {"{{ x", "[0", "", "brackets", 100000},
        {"{{ ", "-", "1 }}", "deep", 100000},
        {"{{ ", "not ", "1 }}", "deep", 100000},
        {"{{ 1", " + 1", " }}", "deep", 100000},
        {"{{ 1", " ** 1", " }}", "deep", 100000},
        {"{{ 1", " and 1", " }}", "deep", 100000},
        {"{{ 1", " ~ 1", " }}", "deep", 100000},
        {"{{ 1", " if 1 else 1", " }}", "deep", 10000},
        {"{{ 1", " if 1", " }}", "deep", 10000},
        {"{{ x", ".a", " }}", "deep", 100000},
        {"{{ x", "[0]", " }}", "deep", 100000},
        {"{{ x", "()", " }}", "deep", 100000},
        {"{{ x", "|f", " }}", "deep", 100000},
        {"{{ x", " is a", " }}", "deep", 100000},
        {"", "{% if 1 %}", "", "deep", 10000},
        {"", "{% for a in x %}", "", "deep", 10000},
        {"", "{% filter upper %}", "", "deep", 10000},
        {"", "{% set a %}", "", "deep", 10000},
        {"", "{% macro m() %}", "", "deep", 10000},
        {"{% if 0 %}", "{% elif 0 %}", "{% endif %}", "deep", 10000},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        char *source = repeated(table[i].before, table[i].part, table[i].n, table[i].after);
        expect_refused(source, SLM_ERR_TEMPLATE, table[i].says);
        free(source);
    }
    /* Half of the bound is fine. */
    char *source = repeated("{{ 1", " + 1", 90, " }}");
    rendering r;
    render_with(&r, source, strlen(source), "{}");
    assert_int_equal(r.status, SLM_OK);
    assert_int_equal(r.j.text.len, 2);
    end_rendering(&r);
    free(source);
}

static void large_templates(void **state) {
    (void)state;
    char *source = repeated("", "x", 10 << 20, "");
    expect_refused(source, SLM_ERR_LIMIT, "wanted at most 1048576");
    source[1 << 20] = 0;
    rendering r;
    render_with(&r, source, 1 << 20, "{}");
    assert_int_equal(r.status, SLM_OK);
    assert_int_equal(r.j.text.len, 1 << 20);
    end_rendering(&r);
    render_with(&r, "a\xff", 2, "{}");
    assert_int_equal(r.status, SLM_ERR_UTF8);
    end_rendering(&r);
    free(source);
}

static void endless_templates(void **state) {
    (void)state;
    static const struct {
        const char *source;
        slm_status status;
        const char *says;
    } table[] = {
        {"{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", SLM_ERR_TEMPLATE, "deep"},
        {"{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}",
         SLM_ERR_TEMPLATE, "deep"},
        {"{% macro m() %}{% call m() %}{% endcall %}{% endmacro %}{{ m() }}", SLM_ERR_TEMPLATE,
         "deep"},
        {"{% for i in range(1000000000) %}{% endfor %}", SLM_ERR_LIMIT, "it takes more"},
        {"{{ 'x' * 1000000000 }}", SLM_ERR_LIMIT, "it takes more"},
        {"{{ 'xx' * 9223372036854775807 }}", SLM_ERR_LIMIT, "it takes more"},
        {"{{ [1] * 1000000000 }}", SLM_ERR_LIMIT, "it takes more"},
        {"{% set ns = namespace(s='x') %}{% for i in range(64) %}{% set ns.s = ns.s + ns.s %}"
         "{% endfor %}", SLM_ERR_LIMIT, "it takes more"},
        {"{% set ns = namespace(s=[1]) %}{% for i in range(64) %}{% set ns.s = ns.s + ns.s %}"
         "{% endfor %}", SLM_ERR_LIMIT, "it takes more"},
        {"{% for a in range(10000) %}{% for b in range(10000) %}{% for c in range(10000) %}x"
         "{% endfor %}{% endfor %}{% endfor %}", SLM_ERR_LIMIT, "it takes more"},
        {"{% for a in range(1000000) %}{{ 'x' * 1000 }}{% endfor %}", SLM_ERR_LIMIT, "it takes more"},
        {"{% set l = range(100000) | list %}{% for a in l %}{{ l[1:] | length }}{% endfor %}",
         SLM_ERR_LIMIT, "it takes more"},
        {"{% set l = range(100000) | list %}{% for a in l %}{{ -1 in l }}{% endfor %}",
         SLM_ERR_LIMIT, "it takes more"},
        {"{% set s = 'ab' * 1000000 %}{% for a in range(100000) %}{{ s | length }}{% endfor %}",
         SLM_ERR_LIMIT, "it takes more"},
        {"{% set s = 'ab' * 1000000 %}{% for a in range(100000) %}{{ 'c' in s }}{% endfor %}",
         SLM_ERR_LIMIT, "it takes more"},
        {"{% set s = 'ab' * 1000000 %}{% for a in range(100000) %}{{ s == s ~ '' }}{% endfor %}",
         SLM_ERR_LIMIT, "it takes more"},
        {"{% set s = 'a' * 100000 %}{{ s.replace('', s) }}", SLM_ERR_LIMIT, "it takes more"},
        {"{% set s = 'ab' * 100000 %}{{ s.split('a') | join(s) }}", SLM_ERR_LIMIT, "it takes more"},
        {"{% set s = 'aB' * 500000 %}{% for a in range(100000) %}{{ (s | upper)[0] }}{% endfor %}",
         SLM_ERR_LIMIT, "it takes more"},
        {"{% set s = 'a' * 1000000 %}{% set w = 'a' * 500000 ~ 'b' %}{{ w in s }}", SLM_ERR_LIMIT,
         "it takes more"},
        {"{% set s = 'a' * 1000000 %}{% set w = 'a' * 500000 ~ 'b' %}{{ s.rfind(w) }}",
         SLM_ERR_LIMIT, "it takes more"},
        {"{% set s = 'a' * 1000000 %}{% set w = 'b' * 500000 ~ 'a' %}{{ s.strip(w) }}",
         SLM_ERR_LIMIT, "it takes more"},
        {"{% set s = 'a ' * 500000 %}{% for a in range(100000) %}{{ s.split(none, 1)[0] }}"
         "{{ s.splitlines() | length }}{% endfor %}", SLM_ERR_LIMIT, "it takes more"},
        {"{% set s = 'a' * 1000000 %}{% for a in range(100000) %}{{ (s | tojson)[0] }}{% endfor %}",
         SLM_ERR_LIMIT, "it takes more"},
        {"{% set s = 'a' * 1000000 %}{% for a in range(100000) %}{{ s[500000] }}{{ s is lower }}"
         "{{ s.isalpha() }}{% endfor %}", SLM_ERR_LIMIT, "it takes more"},
        {"{% set k = 'a' * 100000 %}{% set d = {k ~ 1: 1, k ~ 2: 2, k ~ 3: 3, k ~ 4: 4, k ~ 5: 5} %}"
         "{% for a in range(1000000) %}{{ d[k ~ 5] }}{% endfor %}", SLM_ERR_LIMIT, "it takes more"},
        {"{{ 2 ** 1000000000000 }}", SLM_ERR_TEMPLATE, "64 bits"},
        {"{{ 1 ** 1000000000000 }}", SLM_ERR_LIMIT, "steps"},
        {"{% set ns = namespace(l=[]) %}{% for a in range(100000) %}{% set ns.l = [ns.l] %}"
         "{% endfor %}{{ ns.l }}", SLM_ERR_TEMPLATE, "deep"},
        {"{% set ns = namespace(l=[]) %}{% for a in range(100000) %}{% set ns.l = [ns.l] %}"
         "{% endfor %}{{ ns.l | tojson }}", SLM_ERR_TEMPLATE, "deep"},
        {"{% set ns = namespace(l=[], m=[]) %}{% for a in range(100000) %}{% set ns.l = [ns.l] %}"
         "{% set ns.m = [ns.m] %}{% endfor %}{{ ns.l == ns.m }}", SLM_ERR_LIMIT, "it takes more"},
        {"{% set ns = namespace(l=[], m=[]) %}{% for a in range(100000) %}{% set ns.l = [ns.l] %}"
         "{% set ns.m = [ns.m] %}{% endfor %}{{ ns.l < ns.m }}", SLM_ERR_TEMPLATE, ""},
        {"{{ s.__class__.mro() }}", SLM_ERR_TEMPLATE, "\"__class__\" is undefined"},
        {"{{ self.__init__.__globals__ }}", SLM_ERR_TEMPLATE, "undefined"},
        {"{% import 'os' as os %}", SLM_ERR_TEMPLATE, "the statement \"import\""},
        {"{% extends 'x' %}", SLM_ERR_TEMPLATE, "the statement \"extends\""},
        {"{{ lipsum() }}", SLM_ERR_TEMPLATE, "\"lipsum\" is undefined"},
        {"{{ x[99999999999999999999] }}", SLM_ERR_TEMPLATE, "64 bits"},
    };
    for (size_t i = 0; i < COUNT(table); i++)
        expect_refused(table[i].source, table[i].status, table[i].says);
    /* Filters that call filters, for items that have themselves as items. */
    char *source = repeated("{{ 's' | map(", "'map', ", 50000, "'upper') | list }}");
    expect_refused(source, SLM_ERR_TEMPLATE, "deep");
    free(source);
    /* A macro from a scope that was left still finds its variables. */
    static const char ESCAPED[] =
        "{% set ns = namespace() %}{% for i in [1, 2] %}{% set v = i * 10 %}"
        "{% macro m() %}{{ v }}{{ i }}{% endmacro %}{% set ns.m = m %}{% endfor %}{{ ns.m() }}";
    rendering r;
    render_with(&r, ESCAPED, sizeof ESCAPED - 1, "{}");
    assert_int_equal(r.status, SLM_OK);
    assert_memory_equal(r.j.text.ptr, "202", 3);
    end_rendering(&r);
}

#ifndef SLM_SLOW
/* What goes deepest fits a thread with 256 KiB of stack. Sanitizers need more. */
static void *on_small_stack(void *status) {
    static const char DEEP[] =
        "{% macro m(n) %}{% for a in [n] %}{% if a %}{{ [{'k': (m(n + 1) ~ 'x') | upper}] | map('list') "
        "| list }}{% endif %}{% endfor %}{% endmacro %}{{ m(1) }}";
    slm_jinja j;
    slm_host host;
    slm_host_init(&host, NULL, NULL, NULL, SLM_LOG_NONE);
    slm_jinja_begin(&j, &host, NULL);
    *(slm_status *)status = slm_jinja_render(&j, (slm_str){DEEP, sizeof DEEP - 1});
    slm_jinja_end(&j);
    return NULL;
}

static void small_stack(void **state) {
    (void)state;
    pthread_t thread;
    pthread_attr_t attributes;
    slm_status status = SLM_OK;
    assert_int_equal(pthread_attr_init(&attributes), 0);
    assert_int_equal(pthread_attr_setstacksize(&attributes, 256 << 10), 0);
    assert_int_equal(pthread_create(&thread, &attributes, on_small_stack, &status), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    pthread_attr_destroy(&attributes);
    assert_int_equal(status, SLM_ERR_TEMPLATE);
}
#endif

/* Text that grows by a little for each of many messages costs its length, not its square. */
static void many_messages(void **state) {
    (void)state;
    static const char SOURCE[] =
        "{% set ns = namespace(text='', n=0) %}{% for m in messages %}"
        "{% set ns.text = ns.text + '<|' + m.role + '|>' + m['content'] + '<|end|>\n' %}"
        "{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.text }}{{ ns.n }}";
    static const slm_chat_names names = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
    for (size_t n = 3000; n <= 100000; n = n == 3000 ? 100000 : 100001) {
        slm_host host;
        slm_error error = SLM_ERROR_INIT;
        slm_host_init(&host, NULL, NULL, NULL, SLM_LOG_NONE);
        slm_message *m = calloc(n, sizeof *m);
        assert_non_null(m);
        for (size_t i = 0; i < n; i++)
            m[i] = (slm_message){sizeof *m, i % 2 ? "assistant" : "user", SLM_NTS,
                                 "a few words of some length", SLM_NTS};
        slm_chat_input in = {.struct_size = sizeof in, .messages = m, .n_messages = n};
        slm_chat_prompt p = {.spells_bos = 0};
        double before = seconds();
        slm_status status = slm_chat_render_template(&p, &host, (slm_str){SOURCE, sizeof SOURCE - 1},
                                                     NULL, &names, &in, &error);
        if (status != SLM_OK)
            fail_msg("%s", error.message);
        assert_true(p.j.text.len > n * 40);
#ifndef SLM_SLOW
        assert_true(seconds() - before < 1);
#else
        (void)before;
#endif
        slm_chat_prompt_close(&p);
        free(m);
    }
}

/* ---- conversations ---- */

static const char PLAIN[] = "{% for m in messages %}[{{ m.role }}:{{ m.content }}"
                            "{% if m.tool_calls %}{{ m.tool_calls | tojson }}{% endif %}]{% endfor %}"
                            "{% if tools %}{{ tools | tojson }}{% endif %}{{ flavour }}"
                            "{% if add_generation_prompt %}>{% endif %}";

static slm_status converse(const slm_chat_input *in, slm_chat_prompt *p, slm_error *error) {
    static slm_host host;
    static const slm_chat_names names = {{"<s>", 3}, {"</s>", 4}, {NULL, 0}};
    slm_host_init(&host, NULL, NULL, NULL, SLM_LOG_NONE);
    *error = (slm_error)SLM_ERROR_INIT;
    *p = (slm_chat_prompt){.spells_bos = 0};
    return slm_chat_render_template(p, &host, (slm_str){PLAIN, sizeof PLAIN - 1}, NULL, &names, in,
                                    error);
}

static void inputs(void **state) {
    (void)state;
    slm_message m[3] = {{sizeof *m, "system", SLM_NTS, "s", SLM_NTS},
                        {sizeof *m, NULL, 0, "{\"role\": \"assistant\", \"content\": null, "
                                             "\"tool_calls\": [{\"a\": 1.0}]}", SLM_NTS},
                        {sizeof *m, "tool", SLM_NTS, "21", SLM_NTS}};
    slm_chat_input in = {.struct_size = sizeof in, .messages = m, .n_messages = 3,
                         .flags = SLM_CHAT_GENERATION_PROMPT, .tools = "[{\"name\": \"f\"}]",
                         .tools_len = SLM_NTS, .extra = "{\"flavour\": \"sweet\"}",
                         .extra_len = SLM_NTS};
    slm_chat_prompt p;
    slm_error error;
    static const char WANT[] = "[system:s][assistant:[{\"a\": 1.0}]][tool:21][{\"name\": \"f\"}]"
                               "sweet>";
    assert_int_equal(converse(&in, &p, &error), SLM_OK);
    assert_int_equal(p.j.text.len, sizeof WANT - 1);
    assert_memory_equal(p.j.text.ptr, WANT, sizeof WANT - 1);
    slm_chat_prompt_close(&p);

    /* The same in one text, which wins over what stands beside it. */
    slm_chat_input whole = {.struct_size = sizeof whole, .extra = "{\"flavour\": \"sour\"}",
                            .extra_len = SLM_NTS, .tools = "[{\"name\": \"g\"}]",
                            .tools_len = SLM_NTS, .conversation_len = SLM_NTS,
                            .conversation =
        "{\"messages\": [{\"role\": \"system\", \"content\": \"s\"}, {\"role\": \"assistant\", "
        "\"tool_calls\": [{\"a\": 1.0}]}, {\"role\": \"tool\", \"content\": \"21\"}], \"tools\": "
        "[{\"name\": \"f\"}], \"add_generation_prompt\": true, \"extra\": {\"flavour\": \"sweet\"}}"};
    assert_int_equal(converse(&whole, &p, &error), SLM_OK);
    assert_int_equal(p.j.text.len, sizeof WANT - 1);
    assert_memory_equal(p.j.text.ptr, WANT, sizeof WANT - 1);
    slm_chat_prompt_close(&p);

    /* Going on with the last message. */
    in.n_messages = 1;
    in.tools = in.extra = NULL;
    in.flags = SLM_CHAT_CONTINUE;
    m[0].content = "to be  ";
    assert_int_equal(converse(&in, &p, &error), SLM_OK);
    assert_int_equal(p.j.text.len, strlen("[system:to be  "));
    assert_memory_equal(p.j.text.ptr, "[system:to be  ", p.j.text.len);
    slm_chat_prompt_close(&p);
}

static void bad_inputs(void **state) {
    (void)state;
    static const struct {
        const char *conversation, *says;
        slm_status status;
    } table[] = {
        {"[]", "the conversation is an array, wanted an object", SLM_ERR_TEMPLATE},
        {"{}", "messages is missing, wanted an array", SLM_ERR_TEMPLATE},
        {"{\"messages\": {}}", "messages is an object", SLM_ERR_TEMPLATE},
        {"{\"messages\": [1]}", "messages[0] is a number, wanted an object", SLM_ERR_TEMPLATE},
        {"{\"messages\": [{}]}", "messages[0].role is missing, wanted a string", SLM_ERR_TEMPLATE},
        {"{\"messages\": [{\"role\": 3}]}", "messages[0].role is a number", SLM_ERR_TEMPLATE},
        {"{\"messages\": [{\"role\": \"user\"}, {\"role\": \"admin\"}]}",
         "message 1 has the role \"admin\"", SLM_ERR_TEMPLATE},
        {"{\"messages\": [{\"role\": \"user\", \"content\": 5}]}",
         "messages[0].content is a number, wanted a string", SLM_ERR_TEMPLATE},
        {"{\"messages\": [{\"role\": \"user\", \"content\": true}]}",
         "messages[0].content is a boolean", SLM_ERR_TEMPLATE},
        {"{\"messages\": [{\"role\": \"user\", \"tool_calls\": {}}]}",
         "messages[0].tool_calls is an object, wanted an array", SLM_ERR_TEMPLATE},
        {"{\"messages\": [{\"role\": \"user\", \"tool_calls\": [{}, \"x\"]}]}",
         "messages[0].tool_calls[1] is a string, wanted an object", SLM_ERR_TEMPLATE},
        {"{\"messages\": [], \"tools\": 5}", "tools is a number", SLM_ERR_TEMPLATE},
        {"{\"messages\": [], \"tools\": [5]}", "tools[0] is a number", SLM_ERR_TEMPLATE},
        {"{\"messages\": [], \"extra\": []}", "extra is an array", SLM_ERR_TEMPLATE},
        {"{\"messages\": [", "conversation is not JSON at line 1, column 15", SLM_ERR_FORMAT},
        {"{\"messages\": [], \"messages\": []}", "has the member \"messages\" twice", SLM_ERR_DUP},
        {"{\"messages\": [], \"extra\": {\"continue_final_message\": true}}",
         "no text that could be continued", SLM_ERR_TEMPLATE},
        {"{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}], \"add_generation_prompt\": true,"
         " \"extra\": {\"continue_final_message\": true}}", "wanted one of them", SLM_ERR_ARG},
    };
    slm_chat_prompt p;
    slm_error error;
    for (size_t i = 0; i < COUNT(table); i++) {
        slm_chat_input in = {.struct_size = sizeof in, .conversation = table[i].conversation,
                             .conversation_len = SLM_NTS};
        slm_status status = converse(&in, &p, &error);
        if (status != table[i].status || !strstr(error.message, table[i].says))
            fail_msg("%s: status %d, %s", table[i].conversation, status, error.message);
        slm_chat_prompt_close(&p);
    }
    slm_message m = {sizeof m, NULL, 0, NULL, 0};
    slm_chat_input in = {.struct_size = sizeof in};
    assert_int_equal(converse(&in, &p, &error), SLM_ERR_ARG);
    assert_non_null(strstr(error.message, "no messages"));
    slm_chat_prompt_close(&p);
    in.messages = &m;
    in.n_messages = 1;
    assert_int_equal(converse(&in, &p, &error), SLM_ERR_ARG);
    assert_non_null(strstr(error.message, "role is NULL"));
    slm_chat_prompt_close(&p);
    m = (slm_message){sizeof m, "user", SLM_NTS, "x", SLM_NTS};
    in.conversation = "{\"messages\": []}";
    in.conversation_len = SLM_NTS;
    assert_int_equal(converse(&in, &p, &error), SLM_ERR_ARG);
    slm_chat_prompt_close(&p);
    in = (slm_chat_input){.struct_size = sizeof in, .messages = &m, .n_messages = 1, .tools = "{",
                          .tools_len = SLM_NTS};
    assert_int_equal(converse(&in, &p, &error), SLM_ERR_FORMAT);
    assert_non_null(strstr(error.message, "tools is not JSON"));
    slm_chat_prompt_close(&p);
}

/* Every allocation that can fail, failing. */
static void no_memory(void **state) {
    (void)state;
    static const char SOURCE[] =
        "{% macro m(a) %}{{ a | upper }}{% endmacro %}{% set ns = namespace(s='') %}"
        "{% for m_ in messages %}{% set ns.s = ns.s ~ m(m_.content) ~ m_.content.split(' ') | join %}"
        "{% endfor %}{{ ns.s | replace('A', 'bb') }}{{ messages | tojson(indent=2) }}{{ messages }}"
        "{{ messages | map(attribute='content') | sort | list }}{{ strftime_now('%d %b') }}";
    static const slm_chat_names names = {{"<s>", 3}, {NULL, 0}, {NULL, 0}};
    slm_chat_input in = {.struct_size = sizeof in, .now = 5,
                         .conversation = "{\"messages\": [{\"role\": \"user\", \"content\": "
                                         "\"a b\\n\"}], \"tools\": [{}]}",
                         .conversation_len = SLM_NTS};
    fail_alloc fa = FAIL_ALLOC_INIT;
    for (fa.fail_at = 1;; fa.fail_at++) {
        slm_allocator allocator = fail_alloc_start(&fa);
        slm_host host;
        slm_chat_prompt p = {.spells_bos = 0};
        slm_host_init(&host, &allocator, NULL, NULL, SLM_LOG_NONE);
        slm_status status = slm_chat_render_template(&p, &host, (slm_str){SOURCE, sizeof SOURCE - 1},
                                                     NULL, &names, &in, NULL);
        slm_chat_prompt_close(&p);
        assert_int_equal(fa.outstanding, 0);
        if (fa.calls < fa.fail_at) {
            assert_int_equal(status, SLM_OK);
            break;
        }
        assert_int_equal(status, SLM_ERR_NOMEM);
    }
    assert_true(fa.fail_at > 10);
}

/* Real templates without renderings: they read, and render a plain conversation. */
static void more_templates(void **state) {
    (void)state;
    need_shared();
    size_t len, n = 0;
    slm_host host;
    slm_host_init(&host, NULL, NULL, NULL, SLM_LOG_NONE);
    slm_arena arena = {.host = &host};
    char *index = read_whole(shared_path("chat/templates-more/%s.json", "index"), &len);
    const slm_json *all = parse(&arena, index, len);
    static const slm_chat_names names = {{"<s>", 3}, {"</s>", 4}, {NULL, 0}};
    slm_message m = {sizeof m, "user", SLM_NTS, "What is the weather in Oslo?", SLM_NTS};
    slm_chat_input in = {.struct_size = sizeof in, .messages = &m, .n_messages = 1, .now = 1721997296,
                         .flags = SLM_CHAT_GENERATION_PROMPT};
    for (uint32_t i = 0; i < all->n_items; i++) {
        char name[100];
        size_t source_len;
        snprintf(name, sizeof name, "%.*s", (int)all->items[i].name.len, all->items[i].name.ptr);
        char *source = read_whole(shared_path("chat/templates-more/%s.jinja", name), &source_len);
        slm_chat_prompt p = {.spells_bos = 0};
        slm_error error = SLM_ERROR_INIT;
        if (slm_chat_render_template(&p, &host, (slm_str){source, source_len}, NULL, &names, &in,
                                     &error) != SLM_OK)
            fail_msg("%s: %s", name, error.message);
        slm_str text = {p.j.text.ptr, p.j.text.len};
        char *whole = calloc(text.len + 1, 1);
        assert_non_null(whole);
        memcpy(whole, text.ptr, text.len);
        assert_non_null(strstr(whole, m.content));
        free(whole);
        slm_chat_prompt_close(&p);
        free(source);
        n++;
    }
    free(index);
    slm_arena_free(&arena);
    assert_int_equal(n, 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(renderings),      cmocka_unit_test(more_templates),
        cmocka_unit_test(cases),           cmocka_unit_test(failures),
        cmocka_unit_test(marks),           cmocka_unit_test(deep_templates),
        cmocka_unit_test(large_templates), cmocka_unit_test(endless_templates),
        cmocka_unit_test(many_messages),   cmocka_unit_test(inputs),
        cmocka_unit_test(bad_inputs),      cmocka_unit_test(no_memory),
#ifndef SLM_SLOW
        cmocka_unit_test(small_stack),
#endif
    };
    return cmocka_run_group_tests_name("jinja", tests, NULL, NULL);
}
