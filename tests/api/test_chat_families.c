/* Conversations saved, loaded and undone over a tiny model of every family, with recurrent state
 * and windows too: the file goes on as the conversation itself does, in a cache of another shape,
 * and what was undone leaves nothing behind. */
#include "api/chat_expect.h"
#include "api/chat_families.h"
#include "support/temp_folder.h"

enum { N_CTX = 384, PAGE = 16 };

static chat_setup setup;
static size_t n_vocab;

typedef struct talk {
    slm_cache *cache;
    slm_session *session;
    slm_chat *chat;
} talk;

static slm_chat_options chat_options(void) {
    return (slm_chat_options){.struct_size = sizeof(slm_chat_options), .reserve = 16,
                              .when_full = SLM_CHAT_FULL_DROP,
                              .chat_template = setup.chat_template,
                              .chat_template_len = SLM_NTS};
}

static talk open_session(uint32_t page_tokens, uint32_t n_threads) {
    slm_cache_options o = {.struct_size = sizeof o, .n_ctx = N_CTX, .n_threads = n_threads,
                           .max_sessions = 2, .page_tokens = page_tokens, .max_rows = 32,
                           .kv_type = SLM_KV_F16};
    talk t = {NULL, NULL, NULL};
    OK(slm_cache_open(setup.model, &o, &t.cache, &golden_err));
    OK(slm_session_open_on(t.cache, NULL, &t.session, &golden_err));
    return t;
}

static void close_talk(talk *t) {
    slm_chat_close(&t->chat);
    slm_session_close(&t->session);
    slm_cache_close(&t->cache);
}

static void add(const talk *t, const char *role, const char *text) {
    slm_message m = {sizeof m, role, SLM_NTS, text, SLM_NTS};
    OK(slm_chat_add(t->chat, &m, 0, &golden_err));
}

/* What the model says to a message, with a seed: a copy of the answer, malloc'ed. */
static char *ask(const talk *t, const char *text, uint64_t seed) {
    slm_sampling sampling = {.struct_size = sizeof sampling};
    OK(slm_sampling_init(&sampling));
    sampling.seed = seed;
    sampling.temperature = 1;
    slm_generate_options g = {.struct_size = sizeof g, .sampling = &sampling, .max_tokens = 8};
    slm_answer_options o = {.struct_size = sizeof o, .generate = &g};
    slm_answer_event ev = {.struct_size = sizeof ev};
    slm_answer *answer = NULL;
    add(t, "user", text);
    OK(slm_chat_answer(t->chat, &o, &answer, NULL, &golden_err));
    while (ev.type != SLM_ANSWER_END)
        OK(slm_answer_next(answer, &ev, &golden_err));
    slm_answer_end(&answer);
    json_t *m = chat_message(t->chat, (size_t)chat_info(t->chat).n_messages - 1);
    char *said = strdup(json_string_value(json_object_get(m, "content")));
    json_decref(m);
    assert_non_null(said);
    return said;
}

/* The session holds what the transcript renders to, and its logits are those of a fresh one. */
static void right(const talk *t) {
    size_t n;
    OK(slm_chat_prepare(t->chat, NULL, &golden_err));
    int32_t *ids = chat_ids(&setup, t->chat, SLM_CHAT_CONTINUE, "user", "", &n);
    holds(t->session, ids, n);
    as_fresh(t->session, t->cache, n_vocab);
}

static void same_messages(const talk *a, const talk *b) {
    slm_chat_info x = chat_info(a->chat), y = chat_info(b->chat);
    assert_int_equal(y.n_messages, x.n_messages);
    assert_int_equal(y.n_dropped, x.n_dropped);
    assert_int_equal(y.n_tokens, x.n_tokens);
    for (size_t i = 0; i < x.n_messages; i++) {
        json_t *first = chat_message(a->chat, i), *second = chat_message(b->chat, i);
        assert_true(json_equal(first, second));
        json_decref(first);
        json_decref(second);
    }
}

static talk begin(void) {
    slm_chat_options o = chat_options();
    talk t = open_session(PAGE, 1);
    OK(slm_chat_open(t.session, &o, &t.chat, &golden_err));
    add(&t, "system", "The river is green.");
    free(ask(&t, "Where do the children play?", 1));
    free(ask(&t, "And the dog? It had one ball, and it lost it in the river", 2));
    return t;
}

/* Into a session that holds something else. */
static talk load(const char *path, uint32_t page_tokens, uint32_t n_threads) {
    slm_chat_options o = chat_options();
    talk t = open_session(page_tokens, n_threads);
    OK(slm_session_eval(t.session, (int32_t[]){1, 70, 71}, 3, SLM_LOGITS_LAST, &golden_err));
    OK(slm_chat_load(t.session, &o, path, &t.chat, &golden_err));
    return t;
}

static void goes_on(const talk *t, const char *path) {
    for (uint32_t page = PAGE; page <= 4 * PAGE; page *= 4) {
        slm_chat_report ours = {.struct_size = sizeof ours}, theirs = ours;
        OK(slm_chat_save(t->chat, path, &golden_err));
        talk other = load(path, page, page / PAGE % 2 + 1);
        same_messages(t, &other);
        OK(slm_chat_prepare(t->chat, &ours, &golden_err));
        OK(slm_chat_prepare(other.chat, &theirs, &golden_err));
        if (page == PAGE) /* others may be begun by less than a window wants: then more is new */
            assert_memory_equal(&theirs, &ours, sizeof ours);
        right(&other);
        char *here = ask(t, "And then?", page), *there = ask(&other, "And then?", page);
        assert_string_equal(there, here);
        right(&other);
        free(here);
        free(there);
        close_talk(&other);
    }
}

/* As if it had not been said, here and in what is loaded. */
static void undone(const talk *t, const char *path) {
    size_t n = (size_t)chat_info(t->chat).n_messages;
    char *first = ask(t, "Who has seen it?", 7), *again;
    free(ask(t, "I have.", 8));
    OK(slm_chat_save(t->chat, path, &golden_err));
    talk other = load(path, 32, 1);
    const talk *both[] = {t, &other};
    for (size_t i = 0; i < 2; i++) {
        OK(slm_chat_cut(both[i]->chat, n, &golden_err));
        right(both[i]);
        again = ask(both[i], "Who has seen it?", 7);
        assert_string_equal(again, first);
        free(again);
    }
    same_messages(t, &other);
    right(&other);
    close_talk(&other);
    free(first);
}

/* A damaged file changes nothing in the session that was to hold it. */
static void damaged(const talk *t, const char *path) {
    slm_chat_options o = chat_options();
    talk other = open_session(16, 1);
    size_t size;
    OK(slm_chat_save(t->chat, path, &golden_err));
    uint8_t *file = temp_read(path, &size);
    OK(slm_session_eval(other.session, (int32_t[]){1, 70, 71}, 3, SLM_LOGITS_LAST, &golden_err));
    for (size_t at = 0; at < size; at += size / 16 + 1) {
        file[at] ^= 4;
        temp_write(path, file, size);
        file[at] ^= 4;
        assert_int_not_equal(slm_chat_load(other.session, &o, path, &other.chat, NULL), SLM_OK);
        assert_null(other.chat);
        as_fresh(other.session, other.cache, n_vocab);
    }
    free(file);
    close_talk(&other);
}

/* Until the oldest turns have gone. */
static void full(const talk *t, const char *path) {
    for (uint64_t turn = 0; chat_info(t->chat).n_dropped == 0; turn++) {
        assert_true(turn < 100);
        free(ask(t, "And the children, did they see how the river took the ball?", turn));
    }
    right(t);
    OK(slm_chat_save(t->chat, path, &golden_err));
    talk other = load(path, 64, 2);
    same_messages(t, &other);
    right(&other);
    close_talk(&other);
}

static void family(void **state) {
    const chat_family *f = *state;
    const char *path = temp_path("talk");
    slm_model_info info = {.struct_size = sizeof info};
    setup = (chat_setup){golden_open(f->dir, f->gguf, 0), chat_family_template(f), NULL};
    OK(slm_model_get_info(setup.model, &info, &golden_err));
    n_vocab = info.n_vocab;
    talk t = begin();
    goes_on(&t, path);
    undone(&t, path);
    damaged(&t, path);
    full(&t, path);
    close_talk(&t);
    slm_model_close(&setup.model);
    temp_clear();
}

int main(void) {
    struct CMUnitTest tests[N_FAMILIES];
    golden_need_data();
    for (size_t i = 0; i < N_FAMILIES; i++)
        tests[i] = (struct CMUnitTest){.name = chat_families[i].gguf, .test_func = family,
                                       .initial_state = (void *)&chat_families[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
