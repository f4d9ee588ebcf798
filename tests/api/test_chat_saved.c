/* Conversations in files: saved and loaded they go on as if nothing had happened; what is no
 * conversation is refused and leaves the session alone. */
#include "api/chat_group.h"
#include "support/temp_folder.h"

static void talk(void) {
    add("system", "be brief");
    OK(slm_chat_set_tail(chat, " (noon)", SLM_NTS, &golden_err));
    add("user", "one");
    say("1, abab");
    add("user", "two");
    say("2");
    OK(slm_chat_keep(chat, 1, " [cut]", SLM_NTS, &golden_err));
}

/* Another conversation with the same model, on a cache of another shape. */
typedef struct other {
    slm_cache *cache;
    slm_session *session;
    slm_chat *chat;
} other;

static other open_other(void) {
    slm_cache_options o = {.struct_size = sizeof o, .n_ctx = 512, .n_threads = 1,
                           .max_sessions = 2, .page_tokens = 16};
    other x = {NULL, NULL, NULL};
    OK(slm_cache_open(setup.model, &o, &x.cache, &golden_err));
    OK(slm_session_open_on(x.cache, NULL, &x.session, &golden_err));
    return x;
}

static void close_other(other *x) {
    slm_chat_close(&x->chat);
    slm_session_close(&x->session);
    slm_cache_close(&x->cache);
}

static void goes_on(void **state) {
    (void)state;
    const char *path = temp_path("talk");
    slm_chat_options o = plain();
    OK(slm_chat_set_tools(chat, TOOLS, SLM_NTS, &golden_err));
    setup.tools = TOOLS;
    talk();
    prepared();
    OK(slm_chat_save(chat, path, &golden_err));
    other x = open_other();
    OK(slm_chat_load(x.session, &o, path, &x.chat, &golden_err));
    slm_chat_info a = chat_info(chat), b = chat_info(x.chat);
    assert_int_equal(b.n_messages, a.n_messages);
    assert_int_equal(b.n_pinned, a.n_pinned);
    assert_int_equal(b.n_tokens, a.n_tokens);
    for (size_t i = 0; i < a.n_messages; i++) {
        const char *first, *second;
        size_t n_first, n_second;
        OK(slm_chat_get_message(chat, i, &first, &n_first, &golden_err));
        OK(slm_chat_get_message(x.chat, i, &second, &n_second, &golden_err));
        assert_int_equal(n_second, n_first);
        assert_memory_equal(second, first, n_first);
    }
    slm_chat_report r = {.struct_size = sizeof r};
    OK(slm_chat_prepare(x.chat, &r, &golden_err));
    assert_int_equal(r.reuse_stop, SLM_REUSE_ALL);
    assert_true(r.n_evaluated <= 1);
    slm_message m = {sizeof m, "user", SLM_NTS, "three", SLM_NTS};
    OK(slm_chat_add(x.chat, &m, 0, &golden_err));
    OK(slm_chat_prepare(x.chat, &r, &golden_err));
    assert_int_equal(r.reuse_stop, SLM_REUSE_ALL);
    size_t n;
    int32_t *ids = chat_ids(&setup, x.chat, SLM_CHAT_GENERATION_PROMPT, NULL, NULL, &n);
    holds(x.session, ids, n);
    as_fresh(x.session, x.cache, TINY_VOCAB);
    /* other tools than those of the file */
    slm_chat_close(&x.chat);
    o.tools = "[]";
    o.tools_len = 2;
    OK(slm_chat_load(x.session, &o, path, &x.chat, &golden_err));
    setup.tools = "[]";
    OK(slm_chat_prepare(x.chat, &r, &golden_err));
    ids = chat_ids(&setup, x.chat, SLM_CHAT_CONTINUE, "user", "", &n);
    holds(x.session, ids, n);
    close_other(&x);
}

static void dropped_turns_stay_dropped(void **state) {
    (void)state;
    const char *path = temp_path("dropped");
    slm_chat_options o = plain();
    o.when_full = SLM_CHAT_FULL_DROP;
    open_chat(256, &o);
    add("system", "be brief");
    for (int i = 0; i < 9; i++) {
        add("user", "say something");
        say("something");
    }
    assert_true(chat_info(chat).n_dropped > 0);
    OK(slm_chat_save(chat, path, &golden_err));
    other x = open_other();
    OK(slm_chat_load(x.session, &o, path, &x.chat, &golden_err));
    assert_int_equal(chat_info(x.chat).n_dropped, chat_info(chat).n_dropped);
    slm_chat_report r = {.struct_size = sizeof r};
    OK(slm_chat_prepare(x.chat, &r, &golden_err));
    assert_int_equal(r.reuse_stop, SLM_REUSE_ALL);
    close_other(&x);
    close_all(state);
}

static int has(const void *data, size_t size, const void *part, size_t n) {
    for (size_t i = 0; i + n <= size; i++)
        if (memcmp((const char *)data + i, part, n) == 0)
            return 1;
    return 0;
}

/* Neither as text nor as tokens. */
static void what_was_undone_is_not_saved(void **state) {
    (void)state;
    const char *path = temp_path("undone");
    int32_t ids[8];
    size_t size, n;
    slm_span secret = {"sesame", SLM_NTS, 0};
    OK(slm_tokenize(setup.model, &secret, 1, SLM_BOS_NONE, ids, 8, &n, &golden_err));
    for (int undone = 0; undone < 2; undone++) {
        add("user", "open sesame");
        say("no");
        if (undone)
            OK(slm_chat_cut(chat, 0, &golden_err));
        add("user", "hi");
        OK(slm_chat_save(chat, path, &golden_err));
        void *file = temp_read(path, &size);
        assert_int_equal(has(file, size, "sesame", 6), !undone);
        assert_int_equal(has(file, size, ids + 1, (n - 1) * sizeof *ids), !undone);
        free(file);
        OK(slm_chat_cut(chat, 0, &golden_err));
    }
}

/* A template that refuses what is left must not keep in the session what is gone. */
static void undone_and_refused(void **state) {
    (void)state;
    static const char strict[] =
        "{% for m in messages %}<s>{{ m.role }}\n{{ m.content }}</s>{% endfor %}"
        "{% if messages | length == 1 %}{{ raise_exception('too few') }}{% endif %}"
        "{% if add_generation_prompt %}<s>assistant\n{% endif %}";
    const char *path = temp_path("refused");
    int32_t ids[8];
    size_t size, n;
    slm_span secret = {"sesame", SLM_NTS, 0};
    slm_chat_options o = plain();
    o.chat_template = strict;
    slm_chat_close(&chat);
    OK(slm_chat_open(session, &o, &chat, &golden_err));
    OK(slm_tokenize(setup.model, &secret, 1, SLM_BOS_NONE, ids, 8, &n, &golden_err));
    add("system", "be brief");
    add("user", "open sesame");
    say("no");
    OK(slm_chat_cut(chat, 0, &golden_err));
    OK(slm_chat_save(chat, path, &golden_err));
    void *file = temp_read(path, &size);
    assert_false(has(file, size, ids + 1, (n - 1) * sizeof *ids));
    free(file);
}

static void attach(const char *path, const char *text) {
    slm_snapshot_options o = {.struct_size = sizeof o, .attachment = text,
                              .attachment_len = text == NULL ? 0 : strlen(text)};
    OK(slm_session_save(session, path, &o, &golden_err));
}

static void other_files(void **state) {
    (void)state;
    static const struct {
        const char *attachment;
        slm_status status;
        const char *part;
    } cases[] = {
        {NULL, SLM_ERR_MISSING, "without a conversation"},
        {"", SLM_ERR_FORMAT, "attachment"},
        {"my own bytes", SLM_ERR_FORMAT, "attachment"},
        {"[]", SLM_ERR_FORMAT, "messages"},
        {"{\"messages\":[]}", SLM_ERR_FORMAT, "n_dropped"},
        {"{\"messages\":[],\"n_dropped\":1}", SLM_ERR_FORMAT, "n_dropped"},
        {"{\"messages\":[{\"role\":\"system\",\"content\":\"\"}],\"n_dropped\":1}",
         SLM_ERR_FORMAT, "n_dropped"},
        {"{\"messages\":[{}],\"n_dropped\":0}", SLM_ERR_TEMPLATE, "role"},
        {"{\"messages\":[],\"n_dropped\":0,\"tools\":1}", SLM_ERR_TEMPLATE, "tools"},
    };
    const char *path = temp_path("foreign");
    slm_chat_options o = plain();
    talk();
    other x = open_other();
    OK(slm_session_eval(x.session, (int32_t[]){1, 70, 71}, 3, SLM_LOGITS_LAST, &golden_err));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        attach(path, cases[i].attachment);
        REFUSED(slm_chat_load(x.session, &o, path, &x.chat, &golden_err), cases[i].status,
                cases[i].part);
        assert_null(x.chat);
        assert_int_equal(held(x.session), 3);
        as_fresh(x.session, x.cache, TINY_VOCAB);
    }
    attach(path, "{\"messages\":[],\"n_dropped\":0}");
    OK(slm_chat_load(x.session, &o, path, &x.chat, &golden_err));
    assert_int_equal(held(x.session), held(session));
    slm_chat_close(&x.chat);
    temp_write(path, "junk", 4);
    REFUSED(slm_chat_load(x.session, &o, path, &x.chat, &golden_err), SLM_ERR_FORMAT, "foreign");
    REFUSED(slm_chat_load(x.session, &o, temp_path("absent"), &x.chat, &golden_err), SLM_ERR_IO,
            "absent");
    REFUSED(slm_chat_load(x.session, &o, NULL, &x.chat, &golden_err), SLM_ERR_ARG, "path");
    REFUSED(slm_chat_load(NULL, &o, path, &x.chat, &golden_err), SLM_ERR_ARG, "session");
    REFUSED(slm_chat_load(x.session, &o, path, NULL, &golden_err), SLM_ERR_ARG, "out");
    REFUSED(slm_chat_load(x.session, NULL, path, &x.chat, &golden_err), SLM_ERR_MISSING,
            "template");
    REFUSED(slm_chat_save(chat, NULL, &golden_err), SLM_ERR_ARG, "path");
    REFUSED(slm_chat_save(NULL, path, &golden_err), SLM_ERR_ARG, "chat");
    slm_answer *answer = NULL;
    add("user", "x");
    OK(slm_chat_answer(chat, NULL, &answer, NULL, &golden_err));
    REFUSED(slm_chat_save(chat, path, &golden_err), SLM_ERR_BUSY, "generator open");
    REFUSED(slm_chat_load(session, &o, path, &x.chat, &golden_err), SLM_ERR_BUSY, "generator");
    slm_answer_end(&answer);
    close_other(&x);
}

static void memory_refused(void **state) {
    (void)state;
    const char *path = temp_path("talk");
    slm_chat_options o = plain();
    uint64_t at;
    OK(slm_chat_set_tools(chat, TOOLS, SLM_NTS, &golden_err));
    talk();
    prepared();
    other x = open_other();
    int64_t before = memory.outstanding;
    for (int loads = 0; loads < 2; loads++) {
        for (at = 1;; at++) {
            memory.calls = 0;
            memory.fail_at = at;
            slm_status status = loads ? slm_chat_load(x.session, &o, path, &x.chat, &golden_err)
                                      : slm_chat_save(chat, path, &golden_err);
            int reached = memory.calls >= at;
            memory.fail_at = 0;
            slm_chat_close(&x.chat);
            assert_int_equal(memory.outstanding, before);
            assert_true(status == SLM_OK || (reached && status == SLM_ERR_NOMEM));
            if (!reached)
                break;
        }
        assert_true(at > 10);
    }
    assert_int_equal(held(x.session), held(session));
    close_other(&x);
}

int main(void) {
#define PLAIN(test) cmocka_unit_test_setup_teardown(test, open_plain, close_all)
    const struct CMUnitTest tests[] = {
        PLAIN(goes_on),
        cmocka_unit_test(dropped_turns_stay_dropped),
        PLAIN(what_was_undone_is_not_saved),
        PLAIN(undone_and_refused),
        PLAIN(other_files),
        PLAIN(memory_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
