/* /v1/responses, in the part that clients use for conversations and tools: a request is made into one
 * for /v1/chat/completions, and its answer into items. Nothing is stored between requests. */
#include "conversation.h"
#include "job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ITEMS = 4096 };

static const char *const known[] = {
    "model", "input", "instructions", "temperature", "top_p", "max_output_tokens", "stream", "store",
    "tools", "tool_choice", "parallel_tool_calls", "text", "metadata", "previous_response_id",
    "truncation", "background", NULL};

/* Where a stream is. */
typedef struct place {
    uint64_t sequence;
    size_t n_items;     /* that were begun */
    int message_open;   /* the last one is a message, and goes on */
    int call_open;      /* the last one is a call, and goes on */
} place;

/* ---- writing ---------------------------------------------------------------------------------- */

static void write_json(serve_out *out, const json_t *value) {
    char *text = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    if (value && !text)
        out->failed = 1;
    serve_out_text(out, text ? text : "null");
    free(text);
}

static void write_message(const serve_job *job, serve_out *out, const serve_choice *c, size_t index,
                          const char *status) {
    serve_out_format(out, "{\"type\":\"message\",\"id\":\"msg_%s_%zu\",\"status\":\"%s\",\"role\":"
                     "\"assistant\",\"content\":[", job->id, index, status);
    if (strcmp(status, "in_progress") != 0) {
        serve_out_text(out, "{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[],"
                            "\"text\":");
        serve_out_string(out, c->text.data, c->text.len);
        serve_out_text(out, "}");
    }
    serve_out_text(out, "]}");
}

static void write_call(const serve_job *job, serve_out *out, const serve_call *call, size_t index,
                       const char *status) {
    serve_out_format(out, "{\"type\":\"function_call\",\"id\":\"fc_%s_%zu\",\"call_id\":\"%s\","
                     "\"status\":\"%s\",\"name\":", job->id, index, call->id, status);
    serve_out_string(out, call->name.data, call->name.len);
    serve_out_text(out, ",\"arguments\":");
    if (strcmp(status, "in_progress") == 0)
        serve_out_text(out, "\"\"");
    else
        serve_out_string(out, call->arguments.data, call->arguments.len);
    serve_out_text(out, "}");
}

/* The whole response; items and usage where it is over. */
static void write_response(const serve_job *job, serve_out *out, const char *status,
                           const serve_fault *fault) {
    const serve_choice *c = &job->choices[0];
    const json_t *request = job->request;
    int over = strcmp(status, "completed") == 0 || strcmp(status, "incomplete") == 0;
    serve_usage u;
    serve_out_format(out, "{\"id\":\"resp_%s\",\"object\":\"response\",\"created_at\":%lld,"
                     "\"status\":\"%s\",\"error\":", job->id, (long long)job->created, status);
    if (fault) {
        serve_out_format(out, "{\"code\":\"%s\",\"message\":", fault->code ? fault->code
                                                                           : "server_error");
        serve_out_string(out, fault->message, strlen(fault->message));
        serve_out_text(out, "}");
    } else {
        serve_out_text(out, "null");
    }
    serve_out_text(out, strcmp(status, "incomplete") == 0
                            ? ",\"incomplete_details\":{\"reason\":\"max_output_tokens\"}"
                            : ",\"incomplete_details\":null");
    serve_out_text(out, ",\"model\":");
    serve_out_string(out, job->server->model_id, strlen(job->server->model_id));
    static const struct {
        const char *name, *otherwise;
    } repeated[] = {{"instructions", "null"}, {"max_output_tokens", "null"}, {"metadata", "{}"},
                    {"parallel_tool_calls", "true"}, {"temperature", "null"}, {"text",
                    "{\"format\":{\"type\":\"text\"}}"}, {"tool_choice", "\"auto\""}, {"tools", "[]"},
                    {"top_p", "null"}, {"truncation", "\"disabled\""}};
    for (size_t i = 0; i < sizeof repeated / sizeof *repeated; i++) {
        const json_t *value = json_object_get(request, repeated[i].name);
        serve_out_format(out, ",\"%s\":", repeated[i].name);
        if (value && !json_is_null(value))
            write_json(out, value);
        else
            serve_out_text(out, repeated[i].otherwise);
    }
    serve_out_text(out, ",\"previous_response_id\":null,\"store\":false,\"output\":[");
    size_t index = 0;
    if (over && (c->text.len > 0 || c->n_calls == 0))
        write_message(job, out, c, index++, strcmp(status, "incomplete") == 0 ? "incomplete"
                                                                              : "completed");
    for (size_t i = 0; over && i < c->n_calls; i++, index++) {
        if (index)
            serve_out_text(out, ",");
        write_call(job, out, &c->calls[i], index, c->calls[i].is_whole ? "completed" : "incomplete");
    }
    serve_job_usage(job, &u);
    if (over)
        serve_out_format(out,
                         "],\"usage\":{\"input_tokens\":%llu,\"input_tokens_details\":"
                         "{\"cached_tokens\":%llu},\"output_tokens\":%llu,"
                         "\"output_tokens_details\":{\"reasoning_tokens\":0},\"total_tokens\":"
                         "%llu}}",
                         (unsigned long long)u.prompt, (unsigned long long)u.reused,
                         (unsigned long long)u.completion,
                         (unsigned long long)(u.prompt + u.completion));
    else
        serve_out_text(out, "],\"usage\":null}");
}

/* ---- streams ---------------------------------------------------------------------------------- */

static void begin_event(serve_job *job, const char *type) {
    place *p = job->state;
    serve_out_format(&job->x->out, "event: %s\ndata: {\"type\":\"%s\",\"sequence_number\":%llu",
                     type, type, (unsigned long long)p->sequence++);
}

static void end_event(serve_job *job) { serve_out_text(&job->x->out, "}\n\n"); }

static void response_event(serve_job *job, const char *type, const char *status,
                           const serve_fault *fault) {
    begin_event(job, type);
    serve_out_text(&job->x->out, ",\"response\":");
    write_response(job, &job->x->out, status, fault);
    end_event(job);
}

/* ,"item_id":...,"output_index":... of the last item */
static void write_item_place(serve_job *job, const char *prefix) {
    place *p = job->state;
    serve_out_format(&job->x->out, ",\"item_id\":\"%s_%s_%zu\",\"output_index\":%zu", prefix,
                     job->id, p->n_items - 1, p->n_items - 1);
}

static void item_event(serve_job *job, serve_choice *c, const char *type, const char *status) {
    place *p = job->state;
    serve_out *out = &job->x->out;
    begin_event(job, type);
    serve_out_format(out, ",\"output_index\":%zu,\"item\":", p->n_items - 1);
    if (p->call_open)
        write_call(job, out, &c->calls[c->n_calls - 1], p->n_items - 1, status);
    else
        write_message(job, out, c, p->n_items - 1, status);
    end_event(job);
}

static void part_event(serve_job *job, serve_choice *c, const char *type, int whole) {
    serve_out *out = &job->x->out;
    begin_event(job, type);
    write_item_place(job, "msg");
    serve_out_text(out, ",\"content_index\":0,\"part\":{\"type\":\"output_text\",\"annotations\":[],"
                        "\"logprobs\":[],\"text\":");
    serve_out_string(out, c->text.data, whole ? c->text.len : 0);
    serve_out_text(out, "}");
    end_event(job);
}

static void open_message(serve_job *job, serve_choice *c) {
    place *p = job->state;
    p->n_items++;
    p->message_open = 1;
    item_event(job, c, "response.output_item.added", "in_progress");
    part_event(job, c, "response.content_part.added", 0);
}

static void close_message(serve_job *job, serve_choice *c, const char *status) {
    place *p = job->state;
    serve_out *out = &job->x->out;
    if (!p->message_open)
        return;
    begin_event(job, "response.output_text.done");
    write_item_place(job, "msg");
    serve_out_text(out, ",\"content_index\":0,\"logprobs\":[],\"text\":");
    serve_out_string(out, c->text.data, c->text.len);
    end_event(job);
    part_event(job, c, "response.content_part.done", 1);
    item_event(job, c, "response.output_item.done", status);
    p->message_open = 0;
}

static void delta_event(serve_job *job, const char *type, const char *prefix,
                        const serve_event *e) {
    serve_out *out = &job->x->out;
    begin_event(job, type);
    write_item_place(job, prefix);
    if (e->type == SERVE_TEXT)
        serve_out_text(out, ",\"content_index\":0,\"logprobs\":[]");
    serve_out_text(out, ",\"delta\":");
    serve_out_string(out, e->text, e->text_len);
    end_event(job);
}

static void close_call(serve_job *job, serve_choice *c) {
    place *p = job->state;
    serve_out *out = &job->x->out;
    const serve_call *call = &c->calls[c->n_calls - 1];
    begin_event(job, "response.function_call_arguments.done");
    write_item_place(job, "fc");
    serve_out_text(out, ",\"name\":");
    serve_out_string(out, call->name.data, call->name.len);
    serve_out_text(out, ",\"arguments\":");
    serve_out_string(out, call->arguments.data, call->arguments.len);
    end_event(job);
    item_event(job, c, "response.output_item.done", "completed");
    p->call_open = 0;
}

static int is_cut(const serve_choice *c) { return strcmp(serve_finish_reason(c), "length") == 0; }

static void piece(serve_job *job, serve_choice *c, const serve_event *e) {
    place *p = job->state;
    switch (e->type) {
    case SERVE_BEGIN:
        response_event(job, "response.created", "in_progress", NULL);
        response_event(job, "response.in_progress", "in_progress", NULL);
        break;
    case SERVE_TEXT:
        if (!p->message_open && c->n_calls == 0)
            open_message(job, c);
        if (p->message_open) /* text behind calls is in the whole, at its end */
            delta_event(job, "response.output_text.delta", "msg", e);
        break;
    case SERVE_CALL_BEGIN:
        close_message(job, c, "completed");
        p->n_items++;
        p->call_open = 1;
        item_event(job, c, "response.output_item.added", "in_progress");
        break;
    case SERVE_ARGUMENTS:
        delta_event(job, "response.function_call_arguments.delta", "fc", e);
        break;
    case SERVE_CALL_END:
        close_call(job, c);
        break;
    case SERVE_END:
        if (p->call_open) /* the answer ended in it */
            item_event(job, c, "response.output_item.done", "incomplete");
        p->call_open = 0;
        if (p->n_items == 0)
            open_message(job, c);
        close_message(job, c, is_cut(c) ? "incomplete" : "completed");
        break;
    default:
        break;
    }
}

static void finish(serve_job *job) {
    const char *status = is_cut(&job->choices[0]) ? "incomplete" : "completed";
    if (job->stream)
        response_event(job, is_cut(&job->choices[0]) ? "response.incomplete" : "response.completed",
                       status, NULL);
    else
        write_response(job, &job->x->out, status, NULL);
}

static void fail(serve_job *job, const serve_fault *fault) {
    response_event(job, "response.failed", "failed", fault);
}

/* ---- requests --------------------------------------------------------------------------------- */

/* An item of "input": a message, a call, or the result of one. Returns a message of a chat, or NULL
 * after a fault; a call goes into the message before it where that is the assistant's. */
static json_t *read_item(const serve_object *item, json_t *messages, serve_fault *fault) {
    const char *type = "message", *role = NULL, *id = NULL, *name = NULL, *text = "";
    char path[96];
    if (!serve_get_text(item, "type", 0, 64, &type, fault) ||
        !serve_get_text(item, "role", 0, 64, &role, fault) ||
        !serve_get_text(item, "call_id", 0, 256, &id, fault) ||
        !serve_get_text(item, "name", 0, 256, &name, fault))
        return NULL;
    if (strcmp(type, "message") == 0)
        return json_pack("{s:s*, s:O*}", "role", role, "content",
                         json_object_get(item->json, "content"));
    if (strcmp(type, "function_call_output") == 0)
        return json_pack("{s:s, s:s*, s:O*}", "role", "tool", "tool_call_id", id, "content",
                         json_object_get(item->json, "output"));
    if (strcmp(type, "function_call") != 0) {
        serve_path(item, "type", path, sizeof path);
        serve_refuse_field(fault, path, "%s: got another, wanted message, function_call or "
                           "function_call_output", path);
        return NULL;
    }
    if (!serve_get_text(item, "arguments", 0, SIZE_MAX, &text, fault))
        return NULL;
    json_t *call = json_pack("{s:s*, s:s, s:{s:s*, s:s}}", "id", id, "type", "function", "function",
                             "name", name, "arguments", text);
    json_t *last = json_array_get(messages, json_array_size(messages) - 1);
    const char *last_role = json_string_value(json_object_get(last, "role"));
    if (!last || !last_role || strcmp(last_role, "assistant") != 0)
        return json_pack("{s:s, s:[o]}", "role", "assistant", "tool_calls", call);
    json_t *calls = json_object_get(last, "tool_calls");
    if (!calls)
        json_object_set_new(last, "tool_calls", calls = json_array());
    json_array_append_new(calls, call);
    return json_incref(last); /* it is in the list */
}

static json_t *read_input(const serve_object *request, serve_fault *fault) {
    const json_t *input = json_object_get(request->json, "input"), *items = NULL;
    const char *instructions = NULL;
    if (!serve_get_text(request, "instructions", 0, SIZE_MAX, &instructions, fault))
        return NULL;
    json_t *messages = json_array();
    if (instructions)
        json_array_append_new(messages, json_pack("{s:s, s:s}", "role", "system", "content",
                                                  instructions));
    if (json_is_string(input)) {
        json_array_append_new(messages, json_pack("{s:s, s:O}", "role", "user", "content", input));
        return messages;
    }
    if (!json_is_array(input))
        serve_refuse_field(fault, "input", "input: got %s, wanted a string or an array of items",
                           serve_kind(input));
    else
        serve_get_array(request, "input", MAX_ITEMS, &items, fault);
    for (size_t i = 0; !fault->status && i < json_array_size(items); i++) {
        serve_object item;
        json_t *message = NULL;
        if (serve_get_item(request, "input", items, i, &item, fault))
            message = read_item(&item, messages, fault);
        size_t n = json_array_size(messages);
        if (message && message == json_array_get(messages, n - 1))
            json_decref(message);
        else if (message)
            json_array_append_new(messages, message);
    }
    if (fault->status) {
        json_decref(messages);
        return NULL;
    }
    return messages;
}

/* Tools and formats stand one level higher here than in chats. */
static json_t *wrap_tools(const json_t *tools) {
    size_t i;
    json_t *tool, *list = json_array();
    json_array_foreach(tools, i, tool) {
        json_t *function = json_is_object(tool) ? json_copy(tool) : json_incref(tool);
        const json_t *type = json_object_get(tool, "type");
        if (json_is_object(function))
            json_object_del(function, "type");
        json_array_append_new(list, json_pack("{s:O*, s:o}", "type", type, "function", function));
    }
    return list;
}

static json_t *wrap_format(const json_t *format) {
    const char *type = json_string_value(json_object_get(format, "type"));
    if (type && strcmp(type, "json_schema") == 0)
        return json_pack("{s:s, s:O}", "type", type, "json_schema", format);
    return json_incref((json_t *)format);
}

/* The same request, for serve_read_conversation. NULL after a fault. */
static json_t *as_chat(const serve_object *request, serve_fault *fault) {
    static const char *const same[] = {"temperature", "top_p", "stream", "tool_choice",
                                       "parallel_tool_calls"};
    const json_t *tools = NULL;
    serve_object text;
    int background = 0;
    const char *previous = NULL;
    if (!serve_get_array(request, "tools", 128, &tools, fault) ||
        !serve_get_object(request, "text", &text, fault) ||
        !serve_get_flag(request, "background", &background, fault) ||
        !serve_get_text(request, "previous_response_id", 0, 256, &previous, fault))
        return NULL;
    if (previous || background) {
        const char *name = previous ? "previous_response_id" : "background";
        serve_refuse_field(fault, name, "%s: responses are not stored here, wanted none", name);
        return NULL;
    }
    json_t *messages = read_input(request, fault);
    if (!messages)
        return NULL;
    json_t *chat = json_pack("{s:o}", "messages", messages);
    const json_t *format = json_object_get(text.json, "format");
    if (tools)
        json_object_set_new(chat, "tools", wrap_tools(tools));
    if (format)
        json_object_set_new(chat, "response_format", wrap_format(format));
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        json_t *value = json_object_get(request->json, same[i]);
        if (value)
            json_object_set(chat, same[i], value);
    }
    return chat;
}

void serve_responses(serve_exchange *x, const json_t *body) {
    static const serve_format format = {.piece = piece, .finish = finish, .fail = fail};
    serve_fault fault = {0};
    serve_generation g = {0};
    const serve_object request = {.json = body};
    int32_t *ids = NULL;
    size_t n_ids = 0;
    x->server->metrics.n_ignored += serve_count_unknown(body, known);
    json_t *chat = serve_read_model(x->server, &request, &fault) ? as_chat(&request, &fault) : NULL;
    const serve_object inner = {.json = chat};
    if (chat && serve_read_generation(x->server, &inner, &g, &fault) &&
        serve_read_max_tokens(&request, "max_output_tokens", &g, &fault) &&
        serve_read_conversation(x->server, &inner, &g, &ids, &n_ids, &fault)) {
        const serve_job as = {.format = &format, .request = (json_t *)body,
                              .state = calloc(1, sizeof(place))};
        if (as.state)
            serve_answer(x, &as, &g, SLM_REQUEST_ANSWER, &ids, &n_ids, 1);
        else
            serve_refuse(&fault, 503, "overloaded", NULL, "got no memory for the request");
    }
    json_decref(chat);
    free(ids);
    serve_generation_free(&g);
    if (fault.status)
        serve_reply_fault(x, &fault);
}
