/* Turns: what a user says goes to the engine, and what the model answers becomes events. */
#define _GNU_SOURCE

#include "server.h"

#include "../cli.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* ---- replies --------------------------------------------------------------------------------- */

void wyoming_refuse(wyoming_client *client, const wyoming_fault *fault) {
    wyoming_write(&client->reply, "error", json_pack("{s:s, s:s}", "text", fault->message, "code",
                                                     fault->code));
}

/* "text" and "context", as most replies have them. Takes text, which may be NULL: none. */
static json_t *reply_data(const wyoming_turn *turn, json_t *text) {
    return json_pack("{s:o*, s:O}", "text", text, "context", turn->context);
}

/* Text that came from the model while it is being made; the first piece opens the stream. */
static void send_chunk(wyoming_turn *turn, const char *text, size_t len) {
    serve_out *out = &turn->client->reply;
    if (!turn->streams)
        wyoming_write(out, "handled-start", reply_data(turn, NULL));
    turn->streams = 1;
    wyoming_write(out, "handled-chunk", json_pack("{s:o}", "text", json_stringn(text, len)));
}

/* Home Assistant renders what looks like a template in the text of an intent: nothing that a model
 * wrote is to be rendered. */
static int is_template(const serve_out *text) {
    for (size_t i = 1; i < text->len; i++)
        if (text->data[i - 1] == '{' && strchr("{%#", text->data[i]) && text->data[i])
            return 1;
    return 0;
}

static json_t *entities(const json_t *arguments) {
    const char *name;
    json_t *value, *list = json_array();
    json_object_foreach((json_t *)arguments, name, value)
        json_array_append_new(list, json_pack("{s:s, s:O}", "name", name, "value", value));
    return list;
}

static void send_intents(wyoming_turn *turn) {
    serve_out *out = &turn->client->reply;
    size_t i, n = json_array_size(turn->calls);
    json_t *call;
    if (n > 1)
        wyoming_write(out, "intents-start", reply_data(turn, NULL));
    json_array_foreach(turn->calls, i, call) {
        /* What was said beside the calls goes with the first. */
        int has_text = i == 0 && turn->text.len > 0 && !is_template(&turn->text);
        json_t *data = reply_data(turn, has_text ? json_stringn(turn->text.data, turn->text.len)
                                                 : NULL);
        json_object_set(data, "name", json_object_get(call, "name"));
        json_object_set_new(data, "entities", entities(json_object_get(call, "arguments")));
        wyoming_write(out, "intent", data);
    }
    if (n > 1)
        wyoming_write(out, "intents-stop", reply_data(turn, NULL));
}

static int is_blank(const serve_out *text) {
    size_t i = 0;
    while (i < text->len && strchr(" \t\r\n", text->data[i]) && text->data[i])
        i++;
    return i == text->len;
}

/* All of the reply but what was streamed. Returns its name, for the log. */
static const char *send_reply(wyoming_turn *turn, json_t *text) {
    serve_out *out = &turn->client->reply;
    int calls = json_array_size(turn->calls) > 0, blank = is_blank(&turn->text);
    const char *name = calls               ? "intent"
                       : turn->recognizes  ? "not-recognized"
                       : blank             ? "not-handled"
                                           : "handled";
    if (calls)
        send_intents(turn);
    else
        wyoming_write(out, name, reply_data(turn, blank ? NULL : json_incref(text)));
    if (turn->streams)
        wyoming_write(out, "handled-stop", json_object());
    return name;
}

/* ---- the end of a turn ----------------------------------------------------------------------- */

static void log_end(const wyoming_server *server, const wyoming_turn *turn, const char *reply) {
    char line[120];
    int n = snprintf(line, sizeof line, "%s: %s %.3f s\n",
                     turn->recognizes ? "recognize" : "transcript", reply,
                     slm_cli_now() - turn->started);
    serve_log_line(server->log, line, (size_t)n);
}

static void close_turn(wyoming_server *server, wyoming_turn *turn) {
    double now = slm_cli_now();
    wyoming_turn **at = &server->turns;
    while (*at && *at != turn)
        at = &(*at)->next;
    if (*at)
        *at = turn->next;
    turn->conversation->in_use = 0;
    turn->conversation->used = now;
    if (turn->client) {
        turn->client->turn = NULL;
        turn->client->since = now;
        turn->client->begun = 0; /* the next event has its time from now on */
    }
    json_decref(turn->context);
    json_decref(turn->calls);
    serve_out_free(&turn->text);
    serve_out_free(&turn->name);
    serve_out_free(&turn->arguments);
    free(turn);
}

/* An answer that nobody heard was not given. */
static void fail(wyoming_server *server, wyoming_turn *turn, const char *code,
                 const char *message, size_t len) {
    wyoming_fail(&turn->fault, code, "%.*s", (int)len, message);
    wyoming_conversation_take_back(turn->conversation);
    if (turn->client)
        wyoming_refuse(turn->client, &turn->fault);
    log_end(server, turn, turn->client ? turn->fault.code : "dropped");
    close_turn(server, turn);
}

static void finish(wyoming_server *server, wyoming_turn *turn) {
    static const char no_memory[] = "got no memory for the answer";
    json_t *text = json_stringn(turn->text.data ? turn->text.data : "", turn->text.len);
    int failed = !text || turn->text.failed || turn->name.failed || turn->arguments.failed;
    if (!turn->client || failed ||
        !wyoming_conversation_answer(turn->conversation, &server->conversations.setting, text,
                                     turn->calls))
        fail(server, turn, "overloaded", no_memory, sizeof no_memory - 1);
    else {
        log_end(server, turn, send_reply(turn, text));
        close_turn(server, turn);
    }
    json_decref(text);
}

/* ---- events of the engine -------------------------------------------------------------------- */

static void end_call(wyoming_turn *turn) {
    json_t *arguments = json_loadb(turn->arguments.data ? turn->arguments.data : "{}",
                                   turn->arguments.data ? turn->arguments.len : 2, 0, NULL);
    json_t *name = json_stringn(turn->name.data ? turn->name.data : "", turn->name.len);
    if (json_array_append_new(turn->calls, json_pack("{s:o, s:o}", "name", name, "arguments",
                                                     arguments)) != 0)
        turn->arguments.failed = 1;
}

static const char *code_of(slm_status status) {
    return status == SLM_ERR_NOMEM || status == SLM_ERR_LIMIT ? "overloaded" : "model";
}

static void take_event(wyoming_server *server, wyoming_turn *turn, const serve_event *e) {
    switch (e->type) {
    case SERVE_TEXT:
        serve_out_add(&turn->text, e->text, e->text_len);
        if (turn->client && !turn->recognizes)
            send_chunk(turn, e->text, e->text_len);
        break;
    case SERVE_CALL_BEGIN:
        turn->name.len = turn->arguments.len = 0;
        serve_out_add(&turn->name, e->text, e->text_len);
        break;
    case SERVE_ARGUMENTS:
        serve_out_add(&turn->arguments, e->text, e->text_len);
        break;
    case SERVE_CALL_END:
        end_call(turn);
        break;
    case SERVE_END:
        finish(server, turn);
        break;
    case SERVE_FAILED:
        fail(server, turn, code_of(e->status), e->text, e->text_len);
        break;
    default:
        break;
    }
}

void wyoming_turns_deliver(wyoming_server *server) {
    for (serve_event *e = serve_engine_events(server->engine), *next; e; e = next) {
        serve_task *task = e->task;
        int is_last = e->type == SERVE_END || e->type == SERVE_FAILED;
        next = e->next;
        take_event(server, serve_task_user(task), e);
        serve_event_free(e);
        if (is_last)
            serve_task_free(task);
    }
}

void wyoming_turn_abandon(wyoming_server *server, wyoming_turn *turn) {
    turn->client->turn = NULL;
    turn->client = NULL;
    serve_engine_cancel(server->engine, turn->task);
}

void wyoming_turn_stop(wyoming_server *server, wyoming_turn *turn, const char *code,
                       const char *message) {
    if (turn->fault.code)
        return;
    wyoming_fail(&turn->fault, code, "%s", message);
    serve_engine_cancel(server->engine, turn->task);
}

/* ---- the beginning of a turn ----------------------------------------------------------------- */

/* Nobody can guess it, and go on with what somebody else has said. */
static void new_id(char id[33]) {
    unsigned char bytes[16];
    while (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        ;
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(id + 2 * i, 3, "%02x", bytes[i]);
}

/* The context of the event, with the id of the connection's conversation where it has none. */
static json_t *read_context(wyoming_client *client, const json_t *data, const char **id,
                            wyoming_fault *fault) {
    json_t *given = json_object_get(data, "context");
    if (given && !json_is_object(given) && !json_is_null(given)) {
        wyoming_fail(fault, "bad-field", "context: got another kind of value, wanted an object");
        return NULL;
    }
    json_t *context = json_is_object(given) ? json_copy(given) : json_object();
    json_t *named = json_object_get(context, "conversation_id");
    size_t len = json_string_length(named);
    if (!named || json_is_null(named)) {
        if (!*client->id)
            new_id(client->id);
        json_object_set_new(context, "conversation_id", json_string(client->id));
    } else if (!json_is_string(named) || len == 0 || len > WYOMING_MAX_ID) {
        wyoming_fail(fault, "bad-field", "context.conversation_id: got %s, wanted a string of 1 to "
                     "%d bytes", json_is_string(named) ? "another length" : "another kind of value",
                     WYOMING_MAX_ID);
    }
    *id = json_string_value(json_object_get(context, "conversation_id"));
    if (!*id)
        wyoming_fail(fault, "overloaded", "got no memory for the context");
    if (!fault->code)
        return context;
    json_decref(context);
    return NULL;
}

static int read_text(const json_t *data, const char **text, size_t *len, wyoming_fault *fault) {
    const json_t *value = json_object_get(data, "text");
    *text = json_string_value(value);
    *len = json_string_length(value);
    if (*text)
        return 1;
    return wyoming_fail(fault, "bad-field", "text: got %s, wanted a string",
                        value ? "another kind of value" : "none");
}

/* What is to be done with a prompt, which it takes. 0: no memory. */
static int make_want(const wyoming_server *server, int32_t *ids, size_t n_ids, uint64_t max_tokens,
                     serve_want *want) {
    const wyoming_options *o = server->options;
    *want = (serve_want){.kind = SLM_REQUEST_ANSWER, .ids = ids, .n_ids = n_ids,
                         .sampling = o->sampling, .max_tokens = max_tokens};
    if (server->tools) {
        want->guide.kind = SERVE_TOOLS;
        want->guide.choice = SLM_TOOL_CHOICE_AUTO;
        want->guide.text = strdup(server->tools);
    }
    if (server->tools && !want->guide.text) {
        serve_want_free(want);
        return 0;
    }
    return 1;
}

/* Hands the prompt of a conversation that has been asked to the engine. */
static int submit(wyoming_server *server, wyoming_turn *turn, wyoming_fault *fault) {
    slm_error error = SLM_ERROR_INIT;
    int32_t *ids = NULL;
    size_t n_ids = 0;
    serve_want want;
    slm_status s = wyoming_conversation_prompt(
        turn->conversation, &server->conversations.setting, &ids, &n_ids, &error);
    if (s != SLM_OK)
        return wyoming_fail(fault, s == SLM_ERR_CTX ? "too-long" : code_of(s), "%.190s",
                            error.message);
    if (!make_want(server, ids, n_ids, server->options->max_tokens, &want))
        return wyoming_fail(fault, "overloaded", "got no memory for the turn");
    if (!serve_engine_submit(server->engine, &want, 1, turn, &turn->task))
        return wyoming_fail(fault, "overloaded", "got more texts than can wait for their answers");
    return 1;
}

/* The turn with its place in a conversation. NULL after a fault. */
static wyoming_turn *open_turn(wyoming_server *server, wyoming_client *client,
                               const wyoming_event *event, wyoming_fault *fault) {
    const char *text, *id;
    size_t len;
    double now = slm_cli_now();
    json_t *context = NULL;
    wyoming_turn *turn = calloc(1, sizeof *turn);
    json_t *calls = json_array();
    wyoming_conversation *c = NULL;
    if (!turn || !calls)
        wyoming_fail(fault, "overloaded", "got no memory for the turn");
    else if (read_text(event->data, &text, &len, fault) &&
             (context = read_context(client, event->data, &id, fault))) {
        c = wyoming_conversation_get(&server->conversations, id, now);
        if (!c)
            wyoming_fail(fault, "overloaded", "got more conversations at a time than %u",
                         server->conversations.max);
        else if (c->in_use)
            wyoming_fail(fault, "busy", "got a text while one of the same conversation is "
                         "answered");
        else if (!wyoming_conversation_ask(c, text, len))
            wyoming_fail(fault, "overloaded", "got no memory for the conversation");
    }
    if (fault->code) {
        json_decref(context);
        json_decref(calls);
        free(turn);
        return NULL;
    }
    *turn = (wyoming_turn){.client = client, .conversation = c, .context = context, .calls = calls,
                           .recognizes = strcmp(event->type, "recognize") == 0, .started = now};
    c->in_use = 1;
    turn->next = server->turns;
    server->turns = turn;
    client->turn = turn;
    return turn;
}

void wyoming_turn_begin(wyoming_server *server, wyoming_client *client,
                        const wyoming_event *event) {
    wyoming_fault fault = {0};
    wyoming_turn *turn = open_turn(server, client, event, &fault);
    if (!turn) {
        wyoming_refuse(client, &fault);
        return;
    }
    /* Silence, or words that cannot become an intent, need no model. */
    size_t n = json_array_size(turn->conversation->messages);
    const char *text = json_string_value(
        json_object_get(json_array_get(turn->conversation->messages, n - 1), "content"));
    if (text[strspn(text, " \t\r\n")] == '\0' || (turn->recognizes && !server->tools)) {
        wyoming_conversation_take_back(turn->conversation);
        log_end(server, turn, send_reply(turn, NULL));
        close_turn(server, turn);
    } else if (!submit(server, turn, &fault)) {
        fail(server, turn, fault.code, fault.message, strlen(fault.message));
    }
}

/* ---- before the first turn ------------------------------------------------------------------- */

int wyoming_warm_up(wyoming_server *server, const char *path) {
    slm_error error = SLM_ERROR_INIT;
    wyoming_conversation probe = {.messages = json_array()};
    int32_t *ids = NULL;
    size_t n_ids = 0;
    serve_want want;
    serve_task *task = NULL;
    slm_status s = wyoming_conversation_ask(&probe, "?", 1) ? SLM_OK : SLM_ERR_NOMEM;
    if (s == SLM_OK)
        s = wyoming_conversation_prompt(&probe, &server->conversations.setting, &ids, &n_ids,
                                        &error);
    json_decref(probe.messages);
    if (s != SLM_OK)
        return slm_cli_fail_error(path, &error);
    if (!make_want(server, ids, n_ids, 1, &want) ||
        !serve_engine_submit(server->engine, &want, 1, NULL, &task))
        return slm_cli_fail("%s: got no memory for a turn", path);
    for (int ended = 0; !ended;) {
        struct pollfd fd = {.fd = serve_engine_fd(server->engine), .events = POLLIN};
        poll(&fd, 1, 200);
        for (serve_event *e = serve_engine_events(server->engine), *next; e; e = next) {
            next = e->next;
            if (e->type == SERVE_FAILED) {
                s = error.status = e->status;
                snprintf(error.message, sizeof error.message, "%.*s", (int)e->text_len, e->text);
            }
            ended |= e->type == SERVE_END || e->type == SERVE_FAILED;
            serve_event_free(e);
        }
    }
    serve_task_free(task);
    return s == SLM_OK ? 0 : slm_cli_fail_error(path, &error);
}
