/* Sequences of edits drawn at random, of conversations and of sessions, over a tiny model of every
 * family: whatever came before, logits are bit for bit those of a fresh session on the same tokens.
 *
 *   test_api_chat_edits [PART [FIRST [COUNT]]]   COUNT sequences of a part, from number FIRST on
 *
 * A failure names the model and the number of its sequence, which depends on nothing before it. */
#include "api/chat_expect.h"
#include "api/chat_families.h"
#include "base/rng.h"

/* Of each family; n_long of its sequences are long enough for pages to leave a window. 10,000 in
 * all. */
static const struct {
    uint32_t n_sequences, n_long;
} amounts[N_FAMILIES] = {{1200, 0}, {900, 0},  {1100, 275}, {1100, 0}, {1200, 0},
                         {1200, 0}, {1200, 0}, {1100, 0},   {700, 0},  {300, 0}};
enum { N_PARTS = 5, MAX_CTX = 448 };

static const chat_family *family;
static uint32_t n_sequences, n_long;
static chat_setup setup;
static slm_cache *cache;
static slm_session *session;
static size_t n_vocab, n_ctx;
static slm_rng rng;
static uint64_t n_done, n_chat, n_refused, n_gone;
static int is_long; /* the sequence is to fill the context */

/* Below n, which is at least 1. */
static uint32_t draw(uint32_t n) { return (uint32_t)(slm_rng_double(&rng) * n); }

/* ---------------------------------------------------------------- the model ------------------ */

static void open_family(uint32_t which) {
    family = &chat_families[which];
    n_sequences = amounts[which].n_sequences;
    n_long = amounts[which].n_long;
    n_ctx = n_long > 0 ? MAX_CTX : MAX_CTX / 2;
    slm_cache_options o = {.struct_size = sizeof o, .n_ctx = (uint32_t)n_ctx,
                           .max_sessions = 3, .n_threads = 1, .page_tokens = 16, .max_rows = 64,
                           .kv_type = SLM_KV_F16};
    setup = (chat_setup){golden_open(family->dir, family->gguf, 0), chat_family_template(family),
                         NULL};
    slm_model_info info = {.struct_size = sizeof info};
    OK(slm_model_get_info(setup.model, &info, &golden_err));
    n_vocab = info.n_vocab;
    OK(slm_cache_open(setup.model, &o, &cache, &golden_err));
}

static void close_family(void) {
    slm_cache_close(&cache);
    slm_model_close(&setup.model);
}

/* A call that may also fail in one of the ways that are in order. */
static int went(slm_status status) {
    if (status == SLM_OK)
        return 1;
    if (status != SLM_ERR_CTX && status != SLM_ERR_CANCEL && status != SLM_ERR_TEMPLATE &&
        status != SLM_ERR_ARG)
        fail_msg("%s: %s", slm_status_name(status), golden_err.message);
    n_refused++;
    return 0;
}

/* A cancel that found nothing to stop would stop the next evaluation. */
static void use_up_cancel(void) {
    const int32_t id = 1;
    size_t n = held(session);
    if (n == n_ctx)
        OK(slm_session_truncate(session, --n, &golden_err));
    if (went(slm_session_eval(session, &id, 1, SLM_LOGITS_NONE, &golden_err)))
        OK(slm_session_truncate(session, n, &golden_err));
}

static void check(void) {
    slm_session_info info = {.struct_size = sizeof info};
    OK(slm_session_get_info(session, &info, &golden_err));
    n_gone += info.n_pages < info.n_tokens / 16; /* some have left the window */
    as_fresh(session, cache, n_vocab);
}

/* ---------------------------------------------------------------- conversations -------------- */

/* Words that share beginnings, in several scripts, with blanks at either end and marks. */
static const char *some_text(uint32_t most) {
    static const char *const words[] = {"the", " the", " river", " rive", "r", "children", " ",
                                        ".", "\n", " caf\xc3\xa9", "\xe2\x82\xac", " \xe6\xb2\xb3",
                                        "\xf0\x9f\x98\x80", "<|end|>", "7", " had one"};
    static char text[1024];
    size_t len = 0;
    for (uint32_t n = draw(is_long ? 6 * most : most) + 1; n > 0; n--) {
        const char *word = words[draw(sizeof words / sizeof words[0])];
        memcpy(text + len, word, strlen(word));
        len += strlen(word);
    }
    text[len] = 0;
    return text;
}

static void add(slm_chat *chat, const char *role, const char *text) {
    slm_message m = {sizeof m, role, SLM_NTS, text, SLM_NTS};
    OK(slm_chat_add(chat, &m, 0, &golden_err));
}

/* Runs some of an answer: to its end, until it is cancelled, or until it is given up. */
static void run_answer(slm_answer *answer) {
    slm_answer_event ev = {.struct_size = sizeof ev};
    for (uint32_t steps = draw(12); steps > 0 && ev.type != SLM_ANSWER_END; steps--) {
        if (draw(16) == 0)
            slm_session_cancel(session);
        if (!went(slm_answer_next(answer, &ev, &golden_err)))
            break;
    }
    slm_answer_end(&answer);
}

static void answer(slm_chat *chat, int continues) {
    slm_answer *a = NULL;
    slm_sampling sampling = {.struct_size = sizeof sampling};
    OK(slm_sampling_init(&sampling));
    sampling.seed = draw(1u << 30) + 1;
    sampling.temperature = 2;
    slm_generate_options g = {.struct_size = sizeof g, .sampling = &sampling,
                              .max_tokens = draw(10) + 1};
    slm_answer_options o = {.struct_size = sizeof o, .generate = &g, .flags = SLM_ANSWER_CALLS};
    if (draw(24) == 0)
        slm_session_cancel(session);
    if (went(continues ? slm_chat_continue(chat, &o, &a, NULL, &golden_err)
                       : slm_chat_answer(chat, &o, &a, NULL, &golden_err)))
        run_answer(a);
}

static const char TOOLS[] = "[{\"name\":\"f\"}]";

static void edit_chat(slm_chat *chat) {
    size_t n = (size_t)chat_info(chat).n_messages;
    switch (draw(16)) {
    case 0:
        if (n == 0)
            add(chat, "system", some_text(6));
        break;
    case 1:
    case 2:
        add(chat, "user", some_text(8));
        answer(chat, 0);
        break;
    case 3:
        add(chat, "user", some_text(8));
        break;
    case 4:
        add(chat, draw(3) ? "assistant" : "tool", some_text(8));
        break;
    case 5:
        OK(slm_chat_set_tail(chat, draw(4) ? some_text(3) : NULL, SLM_NTS, &golden_err));
        break;
    case 6:
    case 7:
        (void)went(slm_chat_draft(chat, some_text(8), SLM_NTS, NULL, &golden_err));
        break;
    case 8:
        OK(slm_chat_rollback(chat, &golden_err));
        break;
    case 9:
        (void)went(slm_chat_prepare(chat, NULL, &golden_err));
        break;
    case 10:
        answer(chat, 0);
        break;
    case 11:
    case 12:
        (void)went(slm_chat_keep(chat, draw(24), draw(3) ? NULL : some_text(2), SLM_NTS,
                                 &golden_err));
        break;
    case 13:
        answer(chat, 1);
        break;
    case 14:
        OK(slm_chat_cut(chat, n - (n > 0 ? draw((uint32_t)(n < 4 ? n : 4)) : 0), &golden_err));
        break;
    default:
        if (draw(3) == 0) {
            setup.tools = setup.tools == NULL ? TOOLS : NULL;
            OK(slm_chat_set_tools(chat, setup.tools, SLM_NTS, &golden_err));
        }
        break;
    }
}

/* Brings the session to one of the prompts that are known to be right, and compares. */
static void check_chat(slm_chat *chat) {
    slm_chat_info info = chat_info(chat);
    int is_open = 1; /* the user speaks next */
    int32_t *ids;
    size_t n;
    OK(slm_chat_set_tail(chat, NULL, 0, &golden_err));
    if (info.n_messages > 0) {
        json_t *last = chat_message(chat, (size_t)info.n_messages - 1);
        const char *role = json_string_value(json_object_get(last, "role"));
        is_open = strcmp(role, "assistant") == 0 || strcmp(role, "system") == 0;
        json_decref(last);
    }
    if (is_open && draw(2)) {
        OK(slm_chat_draft(chat, "the end", SLM_NTS, NULL, &golden_err));
        ids = chat_ids(&setup, chat, SLM_CHAT_CONTINUE, "user", "the end", &n);
    } else {
        OK(slm_chat_prepare(chat, NULL, &golden_err));
        ids = is_open
                  ? chat_ids(&setup, chat, SLM_CHAT_CONTINUE, "user", "", &n)
                  : chat_ids(&setup, chat, SLM_CHAT_GENERATION_PROMPT, NULL, NULL, &n);
    }
    holds(session, ids, n);
    check();
}

static void chat_sequence(void) {
    slm_chat *chat = NULL;
    slm_chat_options o = {.struct_size = sizeof o, .when_full = SLM_CHAT_FULL_DROP, .reserve = 24,
                          .chat_template = setup.chat_template, .chat_template_len = SLM_NTS};
    setup.tools = NULL;
    OK(slm_chat_open(session, &o, &chat, &golden_err));
    for (uint32_t n = is_long ? 24 + draw(8) : 3 + draw(8); n > 0; n--) {
        edit_chat(chat);
        if (draw(24) == 0) /* somebody else uses the session */
            OK(slm_session_truncate(session, draw((uint32_t)held(session) + 1), &golden_err));
    }
    use_up_cancel();
    /* a message that never fits ends the sequence as the report says: make room and go on */
    if (slm_chat_prepare(chat, NULL, &golden_err) != SLM_OK)
        OK(slm_chat_cut(chat, 0, &golden_err));
    check_chat(chat);
    slm_chat_close(&chat);
    n_chat++;
}

/* ---------------------------------------------------------------- sessions ------------------- */

static int32_t *some_ids(size_t n) {
    static int32_t ids[MAX_CTX];
    for (size_t i = 0; i < n; i++)
        ids[i] = (int32_t)draw((uint32_t)n_vocab);
    return ids;
}

/* The tokens held, with a stretch of them exchanged and the rest cut off or gone on with. */
static void prompt_near(void) {
    static int32_t ids[MAX_CTX];
    const int32_t *now;
    size_t n;
    OK(slm_session_get_tokens(session, &now, &n, &golden_err));
    memcpy(ids, now, n * sizeof *ids);
    size_t from = draw((uint32_t)n + 1), more = draw(12) + 1;
    if (from + more > MAX_CTX)
        more = MAX_CTX - from;
    memcpy(ids + from, some_ids(more), more * sizeof *ids);
    if (from + more > 0)
        (void)went(slm_session_prompt(session, ids, from + more, NULL, &golden_err));
}

static void generate(void) {
    slm_generator *g = NULL;
    slm_event ev = {.struct_size = sizeof ev};
    slm_generate_options o = {.struct_size = sizeof o, .max_tokens = draw(8) + 1,
                              .flags = SLM_GENERATE_IGNORE_END};
    if (held(session) == 0)
        return;
    OK(slm_generate_begin(session, &o, &g, &golden_err));
    for (uint32_t n = draw(10); n > 0 && ev.type != SLM_EVENT_END; n--) {
        if (draw(16) == 0)
            slm_session_cancel(session);
        if (!went(slm_generate_next(g, &ev, &golden_err)))
            break;
    }
    slm_generate_end(&g);
}

/* A fork takes the place of the first, or goes its own way and is closed. */
static void fork_session(void) {
    slm_session *other = NULL;
    OK(slm_session_fork(session, &other, &golden_err));
    if (draw(2)) {
        slm_session *first = session;
        session = other;
        other = first;
    }
    (void)went(slm_session_eval(other, some_ids(5), 5, SLM_LOGITS_LAST, &golden_err));
    slm_session_close(&other);
}

static void edit_session(void) {
    size_t n = draw(is_long ? 120 : 40);
    switch (draw(8)) {
    case 0:
    case 1:
    case 2:
        if (draw(16) == 0)
            slm_session_cancel(session);
        (void)went(slm_session_eval(session, some_ids(n), n, (int32_t)draw(2), &golden_err));
        break;
    case 3:
    case 4:
        n = held(session);
        n = is_long && draw(2) ? n - n / 8 : draw((uint32_t)n + 1);
        OK(slm_session_truncate(session, n, &golden_err));
        break;
    case 5:
        prompt_near();
        break;
    case 6:
        generate();
        break;
    default:
        fork_session();
        break;
    }
}

static void session_sequence(void) {
    for (uint32_t n = is_long ? 8 + draw(8) : 3 + draw(8); n > 0; n--)
        edit_session();
    use_up_cancel();
    OK(slm_session_eval(session, some_ids(1), held(session) == 0, SLM_LOGITS_LAST, &golden_err));
    check();
}

/* ---------------------------------------------------------------- all of them ---------------- */

static uint32_t part, first, count = UINT32_MAX, running;
static int is_running;

static void sequence(uint32_t number) {
    is_long = n_long > 0 && number % (n_sequences / n_long) == 0;
    running = number;
    slm_rng_seed(&rng, 1 + number);
    OK(slm_session_open_on(cache, NULL, &session, &golden_err));
    if (number % 4 == 3)
        session_sequence();
    else
        chat_sequence();
    slm_session_close(&session);
    n_done++;
}

static void sequences(void **state) {
    (void)state;
    uint64_t wanted = 0;
    for (uint32_t i = part; i < N_FAMILIES; i += N_PARTS) {
        open_family(i);
        uint32_t end = n_sequences;
#ifdef SLM_SLOW
        end /= 20;
#endif
        uint64_t gone = n_gone;
        is_running = 1;
        for (uint32_t n = first; n < end && n - first < count; n++, wanted++)
            sequence(n);
        is_running = 0;
        if (count == UINT32_MAX)
            assert_true((n_gone > gone) == (n_long > 0));
        close_family();
    }
    print_message("part %u: %llu sequences, %llu of them of conversations; %llu calls refused; "
                  "%llu ended with keys out of their window\n",
                  part, (unsigned long long)n_done, (unsigned long long)n_chat,
                  (unsigned long long)n_refused, (unsigned long long)n_gone);
    assert_int_equal(n_done, wanted);
    assert_true(2 * n_chat >= n_done);
}

static int name_failure(void **state) {
    (void)state;
    if (is_running)
        print_error("%s: sequence %u; to see it again: %u %u 1\n", family->gguf, running, part,
                    running);
    return 0;
}

int main(int argc, char **argv) {
    part = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0;
    first = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0;
    count = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : UINT32_MAX;
    if (part >= N_PARTS)
        return 2;
    golden_need_data();
    const struct CMUnitTest tests[] = {cmocka_unit_test_teardown(sequences, name_failure)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
