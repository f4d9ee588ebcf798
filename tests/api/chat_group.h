/* A conversation over a tiny model, and what the tests of conversations do with it. */
#ifndef TESTS_API_CHAT_GROUP_H
#define TESTS_API_CHAT_GROUP_H

#include "api/chat_expect.h"
#include "support/fail_alloc.h"

#define TEMPLATE                                                                                   \
    "{% if tools %}<s>tools {{ tools | tojson }}</s>{% endif %}"                                   \
    "{% for m in messages %}<s>{{ m.role }}\n"                                                     \
    "{% if m.content is string or m.content is none %}{{ m.content or '' }}{% else %}"             \
    "{% for p in m.content %}{{ p.text }}{% endfor %}{% endif %}"                                  \
    "{% for c in m.tool_calls or [] %}!{{ c.function.name }}{% endfor %}</s>{% endfor %}"          \
    "{% if add_generation_prompt %}<s>assistant\n{% endif %}"
#define TOOLS                                                                                      \
    "[{\"type\":\"function\",\"function\":{\"name\":\"bell\","                                     \
    "\"parameters\":{\"type\":\"object\",\"properties\":{}}}}]"

static chat_setup setup = {NULL, TEMPLATE, NULL};
static slm_cache *cache;
static slm_session *session;
static slm_chat *chat;
static fail_alloc memory = FAIL_ALLOC_INIT;

static inline void long_context(gb *b) { gb_kv_u32(b, "llama.context_length", 4096); }

static inline slm_chat_options plain(void) {
    return (slm_chat_options){.struct_size = sizeof(slm_chat_options), .reserve = 32,
                              .chat_template = TEMPLATE, .chat_template_len = SLM_NTS};
}

static inline void open_cache(const slm_cache_options *o) {
    static const tiny_tweak tweak = {.name = "llama.context_length", .emit = long_context};
    memory.outstanding = 0; /* a test before may have failed */
    slm_allocator a = fail_alloc_start(&memory);
    slm_model_options mo = {.struct_size = sizeof mo, .allocator = &a};
    setup.model = tiny_open(&tweak, &mo);
    setup.tools = NULL;
    OK(slm_cache_open(setup.model, o, &cache, &golden_err));
    OK(slm_session_open_on(cache, NULL, &session, &golden_err));
}

static inline void open_chat(uint32_t n_ctx, const slm_chat_options *options) {
    slm_cache_options o = {.struct_size = sizeof o, .n_ctx = n_ctx, .max_sessions = 2,
                           .n_threads = 1, .max_rows = 16};
    open_cache(&o);
    OK(slm_chat_open(session, options, &chat, &golden_err));
}

static inline int open_plain(void **state) {
    (void)state;
    slm_chat_options o = plain();
    open_chat(1024, &o);
    return 0;
}

/* Whatever a test did, nothing is left. */
static inline int close_all(void **state) {
    (void)state;
    slm_chat_close(&chat);
    assert_null(chat);
    slm_session_close(&session);
    slm_cache_close(&cache);
    slm_model_close(&setup.model);
    assert_int_equal(memory.outstanding, 0);
    return 0;
}

static inline void add(const char *role, const char *content) {
    slm_message m = {sizeof m, role, SLM_NTS, content, SLM_NTS};
    OK(slm_chat_add(chat, &m, 0, &golden_err));
}

/* An answer that a grammar leaves no choice about. */
typedef struct forced {
    slm_guide *guide;
    slm_generate_options generate;
    slm_answer_options options;
} forced;

static inline void force(forced *f, const char *text) {
    char gbnf[512];
    *f = (forced){.guide = NULL};
    snprintf(gbnf, sizeof gbnf, "root ::= \"%s\"", text);
    OK(slm_guide_compile_gbnf(setup.model, gbnf, SLM_NTS, NULL, &f->guide, &golden_err));
    f->generate = (slm_generate_options){.struct_size = sizeof f->generate, .guide = f->guide};
    f->options = (slm_answer_options){.struct_size = sizeof f->options, .generate = &f->generate};
}

static inline slm_end_reason finish(slm_answer **answer) {
    slm_answer_event ev = {.struct_size = sizeof ev};
    do
        OK(slm_answer_next(*answer, &ev, &golden_err));
    while (ev.type != SLM_ANSWER_END);
    slm_answer_end(answer);
    assert_null(*answer);
    return ev.reason;
}

static inline slm_chat_report say(const char *text) {
    slm_chat_report r = {.struct_size = sizeof r};
    slm_answer *answer = NULL;
    forced f;
    force(&f, text);
    OK(slm_chat_answer(chat, &f.options, &answer, &r, &golden_err));
    assert_int_equal(finish(&answer), SLM_END_GUIDE);
    slm_guide_close(&f.guide);
    return r;
}

static inline slm_chat_report prepared(void) {
    slm_chat_report r = {.struct_size = sizeof r};
    OK(slm_chat_prepare(chat, &r, &golden_err));
    return r;
}

static inline slm_chat_report drafted(const char *text) {
    slm_chat_report r = {.struct_size = sizeof r};
    OK(slm_chat_draft(chat, text, SLM_NTS, &r, &golden_err));
    return r;
}

static inline void content_is(size_t index, const char *want) {
    json_t *m = chat_message(chat, index), *content = json_object_get(m, "content");
    if (want == NULL)
        assert_true(json_is_null(content));
    else
        assert_string_equal(json_string_value(content), want);
    json_decref(m);
}

static inline void member_is(size_t index, const char *name, const char *want) {
    json_t *m = chat_message(chat, index), *v = json_object_get(m, name);
    if (want == NULL)
        assert_null(v);
    else
        assert_string_equal(json_string_value(v), want);
    json_decref(m);
}

/* The session holds what is rendered, and its logits are those of a fresh one. */
static inline void right(uint32_t flags, const char *role, const char *content) {
    size_t n;
    int32_t *ids = chat_ids(&setup, chat, flags, role, content, &n);
    holds(session, ids, n);
    as_fresh(session, cache, TINY_VOCAB);
}

#endif
