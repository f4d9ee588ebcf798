#include "conversations.h"

#include "../cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void forget(wyoming_conversations *all, wyoming_conversation **at) {
    wyoming_conversation *c = *at;
    *at = c->next;
    all->n--;
    json_decref(c->messages);
    free(c);
}

void wyoming_conversations_free(wyoming_conversations *all) {
    while (all->first)
        forget(all, &all->first);
}

void wyoming_conversations_age(wyoming_conversations *all, double now) {
    for (wyoming_conversation **at = &all->first; *at;)
        if (!(*at)->in_use && now - (*at)->used > all->timeout)
            forget(all, at);
        else
            at = &(*at)->next;
}

wyoming_conversation *wyoming_conversation_get(wyoming_conversations *all, const char *id,
                                               double now) {
    wyoming_conversation **oldest = NULL;
    for (wyoming_conversation **at = &all->first; *at; at = &(*at)->next) {
        if (strcmp((*at)->id, id) == 0)
            return *at;
        if (!(*at)->in_use && (!oldest || (*at)->used < (*oldest)->used))
            oldest = at;
    }
    if (all->n == all->max) {
        if (!oldest)
            return NULL;
        forget(all, oldest);
    }
    wyoming_conversation *c = calloc(1, sizeof *c);
    json_t *messages = json_array();
    if (!c || !messages) {
        free(c);
        json_decref(messages);
        return NULL;
    }
    snprintf(c->id, sizeof c->id, "%s", id);
    c->messages = messages;
    c->used = now;
    c->next = all->first;
    all->first = c;
    all->n++;
    return c;
}

int wyoming_conversation_ask(wyoming_conversation *c, const char *text, size_t len) {
    json_t *message = json_pack("{s:s, s:o}", "role", "user", "content", json_stringn(text, len));
    return json_array_append_new(c->messages, message) == 0;
}

void wyoming_conversation_take_back(wyoming_conversation *c) {
    json_array_remove(c->messages, json_array_size(c->messages) - 1);
}

/* The client carries a call out, and says itself where it cannot: what came of it is not told. */
static int add_result(json_t *messages, const char *name) {
    json_t *message = json_pack("{s:s, s:s, s:s}", "role", "tool", "name", name, "content",
                                "{\"ok\": true}");
    return json_array_append_new(messages, message) == 0;
}

static json_t *as_tool_call(const json_t *call, int arguments_as_text) {
    json_t *arguments = json_object_get(call, "arguments");
    char *text = arguments_as_text ? json_dumps(arguments, JSON_COMPACT) : NULL;
    json_t *value = arguments_as_text ? json_string(text ? text : "") : json_incref(arguments);
    free(text);
    return json_pack("{s:s, s:{s:O, s:o}}", "type", "function", "function", "name",
                     json_object_get(call, "name"), "arguments", value);
}

int wyoming_conversation_answer(wyoming_conversation *c, const wyoming_setting *setting,
                                json_t *text, const json_t *calls) {
    size_t i, before = json_array_size(c->messages);
    json_t *call, *list = json_array_size(calls) > 0 ? json_array() : NULL;
    int good = 1;
    json_array_foreach(calls, i, call)
        good &= json_array_append_new(list, as_tool_call(call, setting->arguments_as_text)) == 0;
    json_t *message = json_pack("{s:s, s:O, s:o*}", "role", "assistant", "content", text,
                                "tool_calls", list);
    good &= json_array_append_new(c->messages, message) == 0;
    json_array_foreach(calls, i, call)
        good &= add_result(c->messages, json_string_value(json_object_get(call, "name")));
    while (!good && json_array_size(c->messages) > before)
        json_array_remove(c->messages, json_array_size(c->messages) - 1);
    return good;
}

/* ---- prompts --------------------------------------------------------------------------------- */

static slm_status no_memory(slm_error *error) {
    error->status = SLM_ERR_NOMEM;
    strcpy(error->message, "got no memory for the conversation");
    return SLM_ERR_NOMEM;
}

static slm_status render(const wyoming_conversation *c, const wyoming_setting *setting,
                         int32_t **ids, size_t *n_ids, slm_error *error) {
    json_t *messages = json_array();
    if (setting->system)
        json_array_append_new(messages, json_pack("{s:s, s:s}", "role", "system", "content",
                                                  setting->system));
    json_array_extend(messages, c->messages);
    json_t *all = json_pack("{s:o, s:O*, s:b}", "messages", messages, "tools", setting->tools,
                            "add_generation_prompt", 1);
    char *text = all ? json_dumps(all, JSON_COMPACT) : NULL;
    json_decref(all);
    *ids = NULL;
    if (!text)
        return no_memory(error);
    const slm_chat_input input = {.struct_size = sizeof input, .conversation = text,
                                  .conversation_len = SLM_NTS, .now = slm_cli_wall_clock()};
    slm_status s = slm_chat_tokenize_input(setting->model, &input, NULL, 0, n_ids, error);
    if (s == SLM_OK && !(*ids = malloc((*n_ids + 1) * sizeof **ids)))
        s = no_memory(error);
    else if (s == SLM_OK)
        s = slm_chat_tokenize_input(setting->model, &input, *ids, *n_ids, n_ids, error);
    free(text);
    if (s == SLM_OK)
        return s;
    free(*ids);
    *ids = NULL;
    return s;
}

/* A turn is a message of the user with what follows it. Returns 0 where there is only one. */
static int drop_oldest_turn(wyoming_conversation *c) {
    size_t n = json_array_size(c->messages), end = 1;
    while (end < n && strcmp(json_string_value(json_object_get(json_array_get(c->messages, end),
                                                               "role")), "user") != 0)
        end++;
    if (end >= n)
        return 0;
    for (size_t i = 0; i < end; i++)
        json_array_remove(c->messages, 0);
    return 1;
}

/* Whether the newest message alone fits; else all before it would be dropped in vain. */
static slm_status check_alone(const wyoming_conversation *c, const wyoming_setting *setting,
                              slm_error *error) {
    size_t n_ids, n = json_array_size(c->messages);
    int32_t *ids;
    wyoming_conversation alone = {.messages = json_array()};
    if (!alone.messages || json_array_append(alone.messages, json_array_get(c->messages, n - 1)) != 0) {
        json_decref(alone.messages);
        return no_memory(error);
    }
    slm_status s = render(&alone, setting, &ids, &n_ids, error);
    json_decref(alone.messages);
    free(ids);
    if (s != SLM_OK || n_ids < setting->n_ctx)
        return s;
    error->status = SLM_ERR_CTX;
    snprintf(error->message, sizeof error->message,
             "text: got a prompt of %zu tokens, wanted less than %u, the context", n_ids,
             setting->n_ctx);
    return SLM_ERR_CTX;
}

slm_status wyoming_conversation_prompt(wyoming_conversation *c, const wyoming_setting *setting,
                                       int32_t **ids, size_t *n_ids, slm_error *error) {
    /* Each prompt is tokenized whole, so ever more turns go at a time. */
    for (int n_drop = 1;; n_drop *= 2) {
        slm_status s = render(c, setting, ids, n_ids, error);
        if (s != SLM_OK || *n_ids + setting->reserve <= setting->n_ctx)
            return s;
        if (n_drop == 1 && (s = check_alone(c, setting, error)) != SLM_OK) {
            free(*ids);
            *ids = NULL;
            return s;
        }
        int dropped = 0;
        while (dropped < n_drop && drop_oldest_turn(c))
            dropped++;
        if (dropped == 0)
            return SLM_OK; /* it alone, with less room than reserved */
        free(*ids);
        *ids = NULL;
    }
}
