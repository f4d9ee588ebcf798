/* What the events of an answer become, for answers that the demo model does not give: several
 * calls, text beside them, failures in the middle. The engine is one of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../tools/wyoming/server.h"

struct serve_task {
    void *user;
};

static struct {
    serve_task task;
    serve_event events[16];
    size_t n_events;
    int is_full, n_cancelled, n_freed;
} engine;

int serve_engine_submit(serve_engine *e, serve_want *wants, size_t n, void *user,
                        serve_task **out) {
    (void)e;
    assert_int_equal(n, 1);
    serve_want_free(wants);
    engine.task.user = user;
    *out = &engine.task;
    return !engine.is_full;
}

serve_event *serve_engine_events(serve_engine *e) {
    (void)e;
    for (size_t i = 0; i < engine.n_events; i++) {
        engine.events[i].task = &engine.task;
        engine.events[i].next = i + 1 < engine.n_events ? &engine.events[i + 1] : NULL;
    }
    serve_event *first = engine.n_events ? engine.events : NULL;
    engine.n_events = 0;
    return first;
}

void serve_engine_cancel(serve_engine *e, serve_task *task) {
    (void)e;
    assert_ptr_equal(task, &engine.task);
    engine.n_cancelled++;
}

int serve_engine_fd(const serve_engine *e) {
    (void)e;
    return -1;
}

void serve_want_free(serve_want *want) {
    free(want->ids);
    free(want->guide.text);
}

void *serve_task_user(const serve_task *task) { return task->user; }

void serve_task_free(serve_task *task) {
    assert_ptr_equal(task, &engine.task);
    engine.n_freed++;
}

void serve_event_free(serve_event *event) { (void)event; }

static void made(serve_event_type type, const char *text) {
    engine.events[engine.n_events++] =
        (serve_event){.type = type, .text = text, .text_len = strlen(text)};
}

static void call(const char *name, const char *begin, const char *end) {
    made(SERVE_CALL_BEGIN, name);
    made(SERVE_ARGUMENTS, begin);
    made(SERVE_ARGUMENTS, end);
    made(SERVE_CALL_END, "");
}

static serve_log silent = {.quiet = 1};
static const wyoming_options options = {.max_tokens = 16};
static wyoming_server server;
static wyoming_client client;
static wyoming_reader replies;

static int open_server(void **state) {
    (void)state;
    const slm_model_options vocabulary = {.struct_size = sizeof vocabulary,
                                          .flags = SLM_MODEL_VOCAB_ONLY};
    server = (wyoming_server){.options = &options, .log = &silent};
    server.tools = strdup("[]");
    server.conversations.max = 4;
    if (slm_model_open(SLM_SOURCE_DIR "/examples/models/hearth.gguf", &vocabulary, &server.model,
                       NULL) != SLM_OK)
        return -1;
    server.conversations.setting = (wyoming_setting){.model = server.model, .n_ctx = 200,
                                                     .reserve = 16};
    return 0;
}

static int close_server(void **state) {
    (void)state;
    slm_model_close(&server.model);
    free(server.tools);
    return 0;
}

static int before(void **state) {
    (void)state;
    memset(&engine, 0, sizeof engine);
    client = (wyoming_client){.in = -1};
    return 0;
}

static int after(void **state) {
    (void)state;
    wyoming_conversations_free(&server.conversations);
    wyoming_reader_free(&replies);
    serve_out_free(&client.reply);
    return client.turn || server.turns ? -1 : 0;
}

static void ask(const char *type, const char *text) {
    wyoming_event event = {.type = type, .data = json_pack("{s:s, s:{s:s}}", "text", text,
                                                           "context", "conversation_id", "c")};
    wyoming_turn_begin(&server, &client, &event);
    json_decref(event.data);
}

/* The next reply is of this type, with these data but for its context. */
static void expect(const char *type, const char *data) {
    wyoming_event event;
    wyoming_fault fault = {0};
    wyoming_feed(&replies, client.reply.data ? client.reply.data : "", client.reply.len);
    client.reply.len = 0;
    assert_int_equal(wyoming_next(&replies, &event, &fault), 1);
    assert_string_equal(event.type, type);
    json_object_del(event.data, "context");
    json_t *wanted = json_loads(data, 0, NULL);
    assert_true(json_equal(event.data, wanted));
    json_decref(wanted);
    wyoming_event_free(&event);
}

static void expect_nothing(void) {
    wyoming_event event;
    wyoming_fault fault = {0};
    wyoming_feed(&replies, client.reply.data ? client.reply.data : "", client.reply.len);
    client.reply.len = 0;
    assert_int_equal(wyoming_next(&replies, &event, &fault), 0);
    assert_false(wyoming_has_begun(&replies));
}

static size_t n_messages(void) {
    return json_array_size(server.conversations.first->messages);
}

static void several_calls(void **state) {
    (void)state;
    ask("transcript", "both lights");
    made(SERVE_THINKING, "hm");
    call("light", "{\"place\":\"kit", "chen\",\"level\":[1,null]}");
    call("light", "{", "}");
    made(SERVE_END, "");
    wyoming_turns_deliver(&server);
    expect("intents-start", "{}");
    expect("intent", "{\"name\": \"light\", \"entities\": [{\"name\": \"place\", \"value\": "
                     "\"kitchen\"}, {\"name\": \"level\", \"value\": [1, null]}]}");
    expect("intent", "{\"name\": \"light\", \"entities\": []}");
    expect("intents-stop", "{}");
    expect_nothing();
    assert_int_equal(n_messages(), 4); /* with a result of each */
    assert_int_equal(engine.n_freed, 1);
}

static void text_beside_a_call(void **state) {
    (void)state;
    ask("transcript", "light");
    made(SERVE_TEXT, "On ");
    made(SERVE_TEXT, "it.");
    call("light", "{}", "");
    made(SERVE_END, "");
    wyoming_turns_deliver(&server);
    expect("handled-start", "{}");
    expect("handled-chunk", "{\"text\": \"On \"}");
    expect("handled-chunk", "{\"text\": \"it.\"}");
    expect("intent", "{\"name\": \"light\", \"entities\": [], \"text\": \"On it.\"}");
    expect("handled-stop", "{}");
    expect_nothing();
}

/* Home Assistant would render it. */
static void text_that_is_a_template(void **state) {
    static const char *const texts[] = {"{{ states }}", "a {% b", "{#", "{"};
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        ask("recognize", "light");
        made(SERVE_TEXT, texts[i]);
        call("light", "{}", "");
        made(SERVE_END, "");
        wyoming_turns_deliver(&server);
        expect("intent", i < 3 ? "{\"name\": \"light\", \"entities\": []}"
                               : "{\"name\": \"light\", \"entities\": [], \"text\": \"{\"}");
        expect_nothing();
    }
}

static void nothing_came(void **state) {
    (void)state;
    ask("transcript", "light");
    made(SERVE_END, "");
    wyoming_turns_deliver(&server);
    expect("not-handled", "{}");
    expect_nothing();
}

static void failure_in_the_middle(void **state) {
    (void)state;
    ask("transcript", "light");
    made(SERVE_TEXT, "On");
    made(SERVE_FAILED, "the device is gone");
    engine.events[1].status = SLM_ERR_DEVICE;
    wyoming_turns_deliver(&server);
    expect("handled-start", "{}");
    expect("handled-chunk", "{\"text\": \"On\"}");
    expect("error", "{\"text\": \"the device is gone\", \"code\": \"model\"}");
    expect_nothing();
    assert_int_equal(n_messages(), 0);
}

static void stopped_and_abandoned(void **state) {
    (void)state;
    ask("transcript", "light");
    for (int i = 0; i < 2; i++)
        wyoming_turn_stop(&server, client.turn, "timeout", "too slow");
    assert_int_equal(engine.n_cancelled, 1);
    made(SERVE_FAILED, "cancelled");
    wyoming_turns_deliver(&server);
    expect("error", "{\"text\": \"too slow\", \"code\": \"timeout\"}");
    ask("transcript", "light");
    wyoming_turn_abandon(&server, client.turn);
    made(SERVE_TEXT, "On");
    made(SERVE_END, ""); /* it had ended already */
    wyoming_turns_deliver(&server);
    expect_nothing();
    assert_int_equal(n_messages(), 0);
}

static void no_place(void **state) {
    (void)state;
    engine.is_full = 1;
    ask("transcript", "light");
    wyoming_feed(&replies, client.reply.data, client.reply.len);
    client.reply.len = 0;
    wyoming_event event;
    wyoming_fault fault = {0};
    assert_int_equal(wyoming_next(&replies, &event, &fault), 1);
    assert_string_equal(json_string_value(json_object_get(event.data, "code")), "overloaded");
    wyoming_event_free(&event);
    assert_int_equal(n_messages(), 0);
    assert_false(server.conversations.first->in_use);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(several_calls, before, after),
        cmocka_unit_test_setup_teardown(text_beside_a_call, before, after),
        cmocka_unit_test_setup_teardown(text_that_is_a_template, before, after),
        cmocka_unit_test_setup_teardown(nothing_came, before, after),
        cmocka_unit_test_setup_teardown(failure_in_the_middle, before, after),
        cmocka_unit_test_setup_teardown(stopped_and_abandoned, before, after),
        cmocka_unit_test_setup_teardown(no_place, before, after),
    };
    return cmocka_run_group_tests(tests, open_server, close_server);
}
