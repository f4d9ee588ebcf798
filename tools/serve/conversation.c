#define _POSIX_C_SOURCE 200809L

#include "conversation.h"

#include "../cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_MESSAGES = 4096, MAX_PARTS = 1024, MAX_CALLS = 128, MAX_TOOLS = 128, MAX_SCHEMA = 65536 };

/* ---- messages --------------------------------------------------------------------------------- */

/* Content as one text: a string, an array of parts that are text, or null where none is needed. NULL
 * after a fault. */
static json_t *read_content(const serve_object *message, int needed, serve_fault *fault) {
    const json_t *content = json_object_get(message->json, "content"), *parts = NULL;
    char path[96];
    serve_path(message, "content", path, sizeof path);
    if (json_is_string(content))
        return json_incref((json_t *)content);
    if (!content || json_is_null(content)) {
        if (!needed)
            return json_string("");
        serve_refuse_field(fault, path, "%s: got none, wanted a string", path);
        return NULL;
    }
    if (!json_is_array(content)) {
        serve_refuse_field(fault, path, "%s: got %s, wanted a string or an array of parts", path,
                           serve_kind(content));
        return NULL;
    }
    if (!serve_get_array(message, "content", MAX_PARTS, &parts, fault))
        return NULL;
    serve_out text = {0};
    for (size_t i = 0; i < json_array_size(parts); i++) {
        serve_object part;
        const char *type = "text", *piece = NULL;
        if (!serve_get_item(message, "content", parts, i, &part, fault) ||
            !serve_get_text(&part, "type", 0, SIZE_MAX, &type, fault))
            break;
        if (strcmp(type, "text") != 0 && strcmp(type, "input_text") != 0 &&
            strcmp(type, "output_text") != 0) {
            serve_path(&part, "type", path, sizeof path);
            serve_refuse_field(fault, path, "%s: got another kind of part, wanted text", path);
            break;
        }
        if (!serve_get_text(&part, "text", 0, SIZE_MAX, &piece, fault))
            break;
        serve_out_text(&text, piece ? piece : "");
    }
    json_t *joined = fault->status ? NULL : json_stringn(text.data ? text.data : "", text.len);
    serve_out_free(&text);
    return joined;
}

/* {"id", "type", "function": {"name", "arguments": text}} with arguments as the template wants them. */
static json_t *read_call(const serve_server *server, const serve_object *call, serve_fault *fault) {
    serve_object function;
    const char *name = NULL, *arguments = "{}", *id = NULL;
    char path[96];
    if (!serve_get_object(call, "function", &function, fault))
        return NULL;
    if (!function.json) {
        serve_refuse_field(fault, function.path, "%s: got none, wanted an object", function.path);
        return NULL;
    }
    if (!serve_get_text(&function, "name", 1, 256, &name, fault) ||
        !serve_get_text(&function, "arguments", 0, SIZE_MAX, &arguments, fault) ||
        !serve_get_text(call, "id", 0, 256, &id, fault))
        return NULL;
    if (!name) {
        serve_path(&function, "name", path, sizeof path);
        serve_refuse_field(fault, path, "%s: got none, wanted a string", path);
        return NULL;
    }
    json_t *value = server->arguments_as_text
                        ? json_string(arguments)
                        : json_loads(*arguments ? arguments : "{}", JSON_REJECT_DUPLICATES, NULL);
    if (!server->arguments_as_text && !json_is_object(value)) {
        json_decref(value);
        serve_path(&function, "arguments", path, sizeof path);
        serve_refuse_field(fault, path, "%s: wanted the text of a JSON object", path);
        return NULL;
    }
    return json_pack("{s:s*, s:s, s:{s:s, s:o}}", "id", id, "type", "function", "function", "name",
                     name, "arguments", value);
}

/* names: of tools, by the ids of the calls to them; of equal ids the last counts. */
static int read_calls(const serve_server *server, const serve_object *message, json_t *out,
                      json_t *names, serve_fault *fault) {
    const json_t *calls = NULL;
    if (!serve_get_array(message, "tool_calls", MAX_CALLS, &calls, fault))
        return 0;
    if (!calls || json_array_size(calls) == 0)
        return 1;
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(calls); i++) {
        serve_object item;
        json_t *call = NULL;
        if (serve_get_item(message, "tool_calls", calls, i, &item, fault))
            call = read_call(server, &item, fault);
        if (!call)
            break;
        json_array_append_new(list, call);
        const char *id = json_string_value(json_object_get(call, "id"));
        if (id)
            json_object_set(names, id, json_object_get(json_object_get(call, "function"), "name"));
    }
    json_object_set_new(out, "tool_calls", list);
    return fault->status == 0;
}

/* names has those of the tools that were called before: templates may want one beside a result, and the
 * API gives the id of the call alone. */
static json_t *read_message(const serve_server *server, const serve_object *message, json_t *names,
                            serve_fault *fault) {
    static const char *const roles[] = {"system", "developer", "user", "assistant", "tool"};
    const char *role = NULL, *name = NULL, *id = NULL, *thinking = NULL;
    size_t r = 0;
    char path[96];
    if (!serve_get_text(message, "role", 0, 64, &role, fault))
        return NULL;
    while (r < 5 && (!role || strcmp(role, roles[r]) != 0))
        r++;
    if (r == 5) {
        serve_path(message, "role", path, sizeof path);
        serve_refuse_field(fault, path, "%s: got %s, wanted system, developer, user, assistant or "
                           "tool", path, role ? "another" : "none");
        return NULL;
    }
    int is_assistant = r == 3;
    if (!serve_get_text(message, "name", 0, 256, &name, fault) ||
        !serve_get_text(message, "tool_call_id", 0, 256, &id, fault) ||
        !serve_get_text(message, "reasoning_content", 0, SIZE_MAX, &thinking, fault))
        return NULL;
    json_t *content = read_content(message, !is_assistant, fault);
    if (!content)
        return NULL;
    if (r == 4 && !name && id)
        name = json_string_value(json_object_get(names, id));
    /* Templates know one role for who runs the program. */
    json_t *out = json_pack("{s:s, s:o, s:s*, s:s*, s:s*}", "role", r == 1 ? "system" : role,
                            "content", content, "name", name, "tool_call_id", id,
                            "reasoning_content", is_assistant ? thinking : NULL);
    if (out && is_assistant && !read_calls(server, message, out, names, fault)) {
        json_decref(out);
        return NULL;
    }
    return out;
}

/* The messages as a new array. */
static json_t *read_all(const serve_server *server, const serve_object *request,
                        serve_fault *fault) {
    const json_t *messages = NULL;
    if (!serve_get_array(request, "messages", MAX_MESSAGES, &messages, fault))
        return NULL;
    if (!messages || json_array_size(messages) == 0) {
        serve_refuse_field(fault, "messages", "messages: got none, wanted at least one");
        return NULL;
    }
    json_t *list = json_array(), *names = json_object();
    for (size_t i = 0; list && i < json_array_size(messages); i++) {
        serve_object item;
        json_t *message = NULL;
        if (serve_get_item(request, "messages", messages, i, &item, fault))
            message = read_message(server, &item, names, fault);
        if (!message || json_array_append_new(list, message) != 0) {
            json_decref(list);
            list = NULL;
        }
    }
    json_decref(names);
    if (!list)
        serve_refuse(fault, 503, "overloaded", "messages", "messages: got no memory");
    return list;
}

typedef struct chat_source {
    const serve_server *server;
    const slm_chat_input *input;
} chat_source;

static slm_status tokenize_chat(const void *source, int32_t *ids, size_t cap, size_t *n,
                                slm_error *error) {
    const chat_source *s = source;
    return slm_chat_tokenize_input(s->server->model, s->input, ids, cap, n, error);
}

static int tokenize(const serve_server *server, const json_t *conversation, int32_t **ids,
                    size_t *n_ids, serve_fault *fault) {
    char *text = json_dumps(conversation, JSON_COMPACT);
    *ids = NULL;
    if (!text)
        return serve_refuse(fault, 503, "overloaded", "messages", "messages: got no memory");
    const slm_chat_input input = {.struct_size = sizeof input, .conversation = text,
                                  .conversation_len = SLM_NTS, .now = slm_cli_wall_clock()};
    const chat_source source = {.server = server, .input = &input};
    int good = serve_make_ids(tokenize_chat, &source, strlen(text), ids, n_ids, "messages", fault);
    free(text);
    return good;
}

int serve_read_messages(const serve_server *server, const serve_object *request, int32_t **ids,
                        size_t *n_ids, serve_fault *fault) {
    json_t *messages = read_all(server, request, fault);
    if (!messages)
        return 0;
    json_t *conversation = json_pack("{s:o, s:b}", "messages", messages, "add_generation_prompt",
                                     1);
    int good = tokenize(server, conversation, ids, n_ids, fault);
    json_decref(conversation);
    return good;
}

/* ---- tools ------------------------------------------------------------------------------------ */

/* "auto", "none", "required", or {"type": "function", "function": {"name": ...}}. */
static int read_choice(const serve_object *request, serve_guide_want *guide, serve_fault *fault) {
    static const char *const names[] = {"auto", "none", "required"};
    static const slm_tool_choice values[] = {SLM_TOOL_CHOICE_AUTO, SLM_TOOL_CHOICE_NONE,
                                             SLM_TOOL_CHOICE_REQUIRED};
    const json_t *choice = json_object_get(request->json, "tool_choice");
    serve_object object, function;
    const char *name = NULL;
    guide->choice = SLM_TOOL_CHOICE_AUTO;
    if (!choice || json_is_null(choice))
        return 1;
    if (json_is_string(choice)) {
        for (size_t i = 0; i < 3; i++)
            if (strcmp(json_string_value(choice), names[i]) == 0) {
                guide->choice = values[i];
                return 1;
            }
        return serve_refuse_field(fault, "tool_choice", "tool_choice: got another word, wanted "
                                  "auto, none, required or an object that names a tool");
    }
    if (!serve_get_object(request, "tool_choice", &object, fault) ||
        !serve_get_object(&object, "function", &function, fault) ||
        !serve_get_text(function.json ? &function : &object, "name", 1, sizeof guide->tool - 1,
                        &name, fault))
        return 0;
    if (!name)
        return serve_refuse_field(fault, "tool_choice", "tool_choice: got an object that names no "
                                  "tool, wanted {\"type\": \"function\", \"function\": "
                                  "{\"name\": ...}}");
    guide->choice = SLM_TOOL_CHOICE_NAMED;
    snprintf(guide->tool, sizeof guide->tool, "%s", name);
    return 1;
}

static int has_tool(const json_t *tools, const char *name) {
    size_t i;
    json_t *tool;
    json_array_foreach(tools, i, tool) {
        const char *other =
            json_string_value(json_object_get(json_object_get(tool, "function"), "name"));
        if (other && strcmp(other, name) == 0)
            return 1;
    }
    return 0;
}

static int check_tool(const serve_object *tool, serve_fault *fault) {
    serve_object function, parameters;
    const char *type = NULL, *name = NULL, *description = NULL;
    char path[96];
    if (!serve_get_text(tool, "type", 0, 64, &type, fault) ||
        !serve_get_object(tool, "function", &function, fault))
        return 0;
    if (type && strcmp(type, "function") != 0) {
        serve_path(tool, "type", path, sizeof path);
        return serve_refuse_field(fault, path, "%s: got another, wanted function", path);
    }
    if (!function.json)
        return serve_refuse_field(fault, function.path, "%s: got none, wanted an object",
                                  function.path);
    if (!serve_get_text(&function, "name", 1, 64, &name, fault) ||
        !serve_get_text(&function, "description", 0, SIZE_MAX, &description, fault) ||
        !serve_get_object(&function, "parameters", &parameters, fault))
        return 0;
    serve_path(&function, "name", path, sizeof path);
    return name || serve_refuse_field(fault, path, "%s: got none, wanted a string", path);
}

/* The tools that the template is given, and the guide that holds calls to them. */
static int read_tools(const serve_object *request, serve_generation *g, const json_t **tools,
                      serve_fault *fault) {
    int parallel = 1;
    if (!serve_get_array(request, "tools", MAX_TOOLS, tools, fault) ||
        !read_choice(request, &g->guide, fault) ||
        !serve_get_flag(request, "parallel_tool_calls", &parallel, fault))
        return 0;
    for (size_t i = 0; i < json_array_size(*tools); i++) {
        serve_object tool;
        if (!serve_get_item(request, "tools", *tools, i, &tool, fault) || !check_tool(&tool, fault))
            return 0;
    }
    if (json_array_size(*tools) == 0) {
        *tools = NULL;
        if (g->guide.choice == SLM_TOOL_CHOICE_REQUIRED || g->guide.choice == SLM_TOOL_CHOICE_NAMED)
            return serve_refuse_field(fault, "tool_choice", "tool_choice: wanted tools with it");
        return 1;
    }
    if (*g->guide.tool && !has_tool(*tools, g->guide.tool))
        return serve_refuse_field(fault, "tool_choice", "tool_choice: names a tool that is not "
                                  "among the tools");
    g->guide.kind = SERVE_TOOLS;
    g->guide.one_call = !parallel;
    g->guide.text = json_dumps(*tools, JSON_COMPACT);
    g->guide_param = "tools";
    if (!g->guide.text)
        return serve_refuse(fault, 503, "overloaded", "tools", "tools: got no memory");
    if (strlen(g->guide.text) > MAX_SCHEMA)
        return serve_refuse_field(fault, "tools", "tools: got %zu bytes, wanted at most %d",
                                  strlen(g->guide.text), MAX_SCHEMA);
    return 1;
}

/* ---- response_format -------------------------------------------------------------------------- */

/* Beside tools the answer is a call or a text of the schema; where a call is required it is a call. */
static int set_schema(serve_generation *g, const json_t *schema, serve_fault *fault) {
    static const char param[] = "response_format";
    char *text = json_dumps(schema, JSON_COMPACT | JSON_ENCODE_ANY);
    if (!text)
        return serve_refuse(fault, 503, "overloaded", param, "%s: got no memory", param);
    size_t len = strlen(text);
    if (g->guide.kind == SERVE_TOOLS && g->guide.choice != SLM_TOOL_CHOICE_NONE) {
        g->guide.schema = text;
        g->guide_param = NULL; /* it may come from either */
    } else {
        free(g->guide.text);
        g->guide = (serve_guide_want){.kind = SERVE_SCHEMA, .text = text};
        g->guide_param = param;
    }
    return len <= MAX_SCHEMA || serve_refuse_field(fault, param, "%s: got %zu bytes, wanted at most "
                                                   "%d", param, len, MAX_SCHEMA);
}

/* {"type": "text"}, {"type": "json_object"}, {"type": "json_schema", "json_schema": {"schema": ...}} */
static int read_format(const serve_object *request, serve_generation *g, serve_fault *fault) {
    serve_object format, inner;
    const char *type = NULL;
    if (!serve_get_object(request, "response_format", &format, fault) || !format.json)
        return fault->status == 0;
    if (!serve_get_text(&format, "type", 0, 64, &type, fault))
        return 0;
    if (type && strcmp(type, "text") == 0)
        return 1;
    if (type && strcmp(type, "json_object") == 0) {
        json_t *schema = json_pack("{s:s}", "type", "object");
        int good = set_schema(g, schema, fault);
        json_decref(schema);
        return good;
    }
    if (!type || strcmp(type, "json_schema") != 0)
        return serve_refuse_field(fault, "response_format.type", "response_format.type: got %s, "
                                  "wanted text, json_object or json_schema",
                                  type ? "another" : "none");
    if (!serve_get_object(&format, "json_schema", &inner, fault))
        return 0;
    const json_t *schema = json_object_get(inner.json, "schema");
    if (!json_is_object(schema) && !json_is_boolean(schema))
        return serve_refuse_field(fault, "response_format.json_schema.schema",
                                  "response_format.json_schema.schema: got %s, wanted an object",
                                  serve_kind(schema));
    return set_schema(g, schema, fault);
}

/* ---- all of it -------------------------------------------------------------------------------- */

/* Whether the prompt ends in what opens the thinking, so that a schema holds only what is behind it. */
static int ends_thinking(const serve_server *server, const int32_t *ids, size_t n) {
    static const char open[] = "<think>";
    char text[256];
    size_t len = 0, from = n < 8 ? 0 : n - 8;
    if (slm_detokenize(server->model, ids + from, n - from, SLM_DETOKENIZE_SPECIAL, text,
                       sizeof text, &len, NULL) != SLM_OK)
        return 0;
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == ' '))
        len--;
    return len >= sizeof open - 1 &&
           memcmp(text + len - (sizeof open - 1), open, sizeof open - 1) == 0;
}

int serve_read_conversation(const serve_server *server, const serve_object *request,
                            serve_generation *g, int32_t **ids, size_t *n_ids, serve_fault *fault) {
    const json_t *tools = NULL;
    serve_object extra;
    *ids = NULL;
    if (json_object_get(request->json, "functions"))
        return serve_refuse_field(fault, "functions", "functions: are no longer known, wanted "
                                  "tools");
    if (!read_tools(request, g, &tools, fault) || !read_format(request, g, fault) ||
        !serve_get_object(request, "chat_template_kwargs", &extra, fault))
        return 0;
    json_t *messages = read_all(server, request, fault);
    if (!messages)
        return 0;
    json_t *conversation = json_pack("{s:o, s:O*, s:O*, s:b}", "messages", messages, "tools", tools,
                                     "extra", extra.json, "add_generation_prompt", 1);
    int good = tokenize(server, conversation, ids, n_ids, fault) &&
               serve_check_room(server, *n_ids, "messages", fault);
    json_decref(conversation);
    if (good && g->guide.kind == SERVE_SCHEMA)
        g->guide.after_thinking = ends_thinking(server, *ids, *n_ids);
    if (!good) {
        free(*ids);
        *ids = NULL;
    }
    return good;
}

/* A template that prints text where it was given an object would write Python's quotes. */
int serve_arguments_as_text(const slm_model *model) {
    static const char conversation[] =
        "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"assistant\",\"content\":"
        "\"\",\"tool_calls\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":"
        "{\"probe\":1}}}]}]}";
    const slm_chat_input input = {.struct_size = sizeof input, .conversation = conversation,
                                  .conversation_len = SLM_NTS};
    char text[8192];
    size_t len = 0;
    if (slm_chat_render_input(model, &input, text, sizeof text - 1, &len, NULL) != SLM_OK)
        return 0;
    text[len] = '\0';
    return strstr(text, "'probe'") != NULL;
}
