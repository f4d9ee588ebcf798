/* slm-wyoming: a model as a conversation and intent service of the Wyoming protocol, for Home
 * Assistant and the like. What it does is in wyoming/; here is its command line. */
#define _POSIX_C_SOURCE 200809L

#include "cli.h"
#include "serve/conversation.h"
#include "wyoming/server.h"

#include <stdlib.h>
#include <string.h>

typedef struct arguments {
    wyoming_options options;
    serve_engine_options engine;
    slm_cli_common common;
    const char *model, *system, *tools;
    uint32_t max_conversations, conversation_timeout;
    int log;
} arguments;

static int is_utf8(const char *text) {
    size_t n = 1;
    for (size_t len = strlen(text); len > 0 && n > 0; text += n, len -= n)
        n = slm_cli_utf8(text, len);
    return n > 0;
}

/* Text that goes to clients or to the model. */
static int take_text(const slm_opt *option, const char *value) {
    if (!is_utf8(value))
        return slm_cli_opt_bad(option, value, "UTF-8");
    *(const char **)option->target = value;
    return 0;
}

static int add_language(const slm_opt *option, const char *value) {
    wyoming_options *o = option->target;
    if (*value == '\0' || !is_utf8(value) || o->n_languages == WYOMING_MAX_LANGUAGES)
        return slm_cli_opt_bad(option, value, "a language such as en, at most 32 times");
    o->languages[o->n_languages++] = value;
    return 0;
}

/* Tools as the template and the guide want them: a JSON array. */
static int read_tools(wyoming_server *server, const char *path) {
    char *text = NULL;
    size_t len = 0;
    json_error_t why;
    slm_error error = SLM_ERROR_INIT;
    slm_guide *guide = NULL;
    int status = slm_cli_read_all(path, &text, &len);
    if (status != 0)
        return status;
    json_t *tools = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
    if (!json_is_array(tools))
        status = slm_cli_fail("%s: line %d: got %s, wanted a JSON array of tools", path,
                              tools ? 1 : why.line, tools ? "other JSON" : why.text);
    else if (slm_guide_compile_tools(server->model, text, len, NULL, NULL, &guide, &error) !=
             SLM_OK)
        status = slm_cli_fail_error(path, &error);
    slm_guide_close(&guide);
    if (status == 0 && json_array_size(tools) > 0) {
        server->conversations.setting.tools = json_incref(tools);
        server->tools = json_dumps(tools, JSON_COMPACT);
        if (!server->tools)
            status = slm_cli_fail("%s: got no memory for the tools", path);
    }
    json_decref(tools);
    free(text);
    return status;
}

static int open_all(wyoming_server *server, arguments *a) {
    slm_error error = SLM_ERROR_INIT;
    wyoming_setting *setting = &server->conversations.setting;
    int status = slm_cli_open_model(a->model, &a->common, 0, &server->model);
    if (status == 0 && a->tools)
        status = read_tools(server, a->tools);
    if (status != 0)
        return status;
    slm_cli_cache_options(server->model, &a->common, &a->engine.cache);
    if (a->engine.cache.chunk_ms == 0) /* a client that goes away waits for the end of a step */
        a->engine.cache.chunk_ms = a->engine.stall_ms;
    setting->model = server->model;
    setting->system = a->system;
    setting->n_ctx = a->engine.cache.n_ctx;
    setting->reserve = a->options.max_tokens < setting->n_ctx / 2 ? a->options.max_tokens
                                                                  : setting->n_ctx / 2;
    setting->arguments_as_text = serve_arguments_as_text(server->model);
    server->info = wyoming_describe(server);
    if (!server->info)
        return slm_cli_fail("%s: got no memory to describe it", a->model);
    status = wyoming_listen(&a->options, &server->listener); /* an address may be taken */
    slm_cli_name_temporary(*server->listener.path ? server->listener.path : NULL);
    if (status == 0 &&
        serve_engine_open(server->model, &a->engine, &server->engine, &error) != SLM_OK)
        status = slm_cli_fail_error(a->model, &error);
    return status ? status : wyoming_warm_up(server, a->model);
}

static int serve(arguments *a) {
    serve_log log = {.quiet = !a->log || slm_cli_quiet()};
    wyoming_server server = {.options = &a->options,
                             .log = &log,
                             .conversations = {.max = a->max_conversations,
                                               .timeout = a->conversation_timeout},
                             .listener = {.fd = -1}};
    int status = open_all(&server, a);
    if (status == 0) {
        slm_cli_on_interrupt_note();
        slm_cli_note("listening on %s, %u tokens of context, %u at a time", server.listener.uri,
                     server.conversations.setting.n_ctx, a->engine.n_running);
        status = wyoming_loop(&server);
        slm_cli_on_interrupt_exit();
    }
    wyoming_listener_close(&server.listener);
    slm_cli_name_temporary(NULL);
    serve_engine_close(&server.engine);
    wyoming_conversations_free(&server.conversations);
    json_decref(server.conversations.setting.tools);
    json_decref(server.info);
    free(server.tools);
    slm_model_close(&server.model);
    return slm_cli_finish(status);
}

static int run(int argc, char **argv) {
    static const char *const arg_names[] = {"MODEL.gguf"};
    static const slm_cli_command command = {
        .name = "slm-wyoming",
        .is_program = 1,
        .synopsis = "MODEL.gguf [options]",
        .purpose = "Serves a model as a conversation and intent service of the Wyoming protocol.",
        .notes = "The end of it is SIGTERM or SIGINT: running answers may end first (--drain).\n",
        .min_args = 1,
        .max_args = 1,
        .arg_names = arg_names,
    };
    enum { OWN = 22 };
    const uint32_t no_port = UINT32_MAX;
    arguments a = {.options = {.port = no_port, .name = "libslm", .max_tokens = 256,
                               .max_clients = 32, .read_timeout = 10, .write_timeout = 30,
                               .idle_timeout = 600, .request_timeout = 60, .drain = 5},
                   .engine = {.n_running = 2, .n_waiting = 16, .stall_ms = 200},
                   .max_conversations = 64,
                   .conversation_timeout = 300};
    wyoming_options *o = &a.options;
    o->sampling.struct_size = sizeof o->sampling;
    slm_sampling_init(&o->sampling);
    o->sampling.temperature = 0;
    slm_opt options[OWN + SLM_CLI_COMMON_OPTIONS + SLM_CLI_PROMPT_OPTIONS] = {
        {.name = "uri", .kind = SLM_OPT_TEXT, .target = &o->uri, .arg = "URI",
         .help = "where to listen: tcp://HOST:PORT, unix:///PATH, or stdio://"},
        {.name = "host", .kind = SLM_OPT_TEXT, .target = &o->host, .arg = "ADDRESS",
         .help = "the same for TCP (127.0.0.1)"},
        {.name = "port", .kind = SLM_OPT_U32, .target = &o->port, .arg = "N",
         .help = "0: any that is free (10500)", .max = 65535},
        {.name = "tools", .kind = SLM_OPT_TEXT, .target = &a.tools, .arg = "FILE",
         .help = "tools that the model may call, a JSON array; calls become intents"},
        {.name = "system", .kind = SLM_OPT_CALL, .target = &a.system, .arg = "TEXT",
         .help = "the system message", .call = take_text},
        {.name = "name", .kind = SLM_OPT_CALL, .target = &o->name, .arg = "TEXT",
         .help = "what the service calls itself (libslm)", .call = take_text},
        {.name = "language", .kind = SLM_OPT_CALL, .target = o, .arg = "CODE",
         .help = "that the model knows (as the file says, or any); repeatable",
         .call = add_language},
        {.letter = 'n', .name = "max-tokens", .kind = SLM_OPT_U32, .target = &o->max_tokens,
         .arg = "N", .help = "tokens of an answer (256)", .min = 1, .max = INT32_MAX},
        {.name = "temp", .kind = SLM_OPT_F32, .target = &o->sampling.temperature, .arg = "X",
         .help = "temperature; 0 takes the most likely token (0)", .max = 100},
        {.name = "seed", .kind = SLM_OPT_U64, .target = &o->sampling.seed, .arg = "N",
         .help = "the same seed gives the same answer (0: a fixed one)"},
        {.name = "parallel", .kind = SLM_OPT_U32, .target = &a.engine.n_running, .arg = "N",
         .help = "answers that are made together (2)", .min = 1, .max = 256},
        {.name = "queue", .kind = SLM_OPT_U32, .target = &a.engine.n_waiting, .arg = "N",
         .help = "answers that may wait for that (16)", .max = 4096},
        {.name = "max-clients", .kind = SLM_OPT_U32, .target = &o->max_clients, .arg = "N",
         .help = "connections (32)", .min = 1, .max = 4096},
        {.name = "max-conversations", .kind = SLM_OPT_U32, .target = &a.max_conversations,
         .arg = "N", .help = "that can be gone on with (64)", .min = 1, .max = 65536},
        {.name = "conversation-timeout", .kind = SLM_OPT_U32, .target = &a.conversation_timeout,
         .arg = "S", .help = "seconds after which one is forgotten (300)", .min = 1, .max = 86400},
        {.name = "read-timeout", .kind = SLM_OPT_U32, .target = &o->read_timeout, .arg = "S",
         .help = "seconds for one event of a client (10)", .min = 1, .max = 86400},
        {.name = "write-timeout", .kind = SLM_OPT_U32, .target = &o->write_timeout, .arg = "S",
         .help = "seconds that a reader may stand still (30)", .min = 1, .max = 86400},
        {.name = "idle-timeout", .kind = SLM_OPT_U32, .target = &o->idle_timeout, .arg = "S",
         .help = "seconds that a connection may be quiet (600)", .min = 1, .max = 86400},
        {.name = "request-timeout", .kind = SLM_OPT_U32, .target = &o->request_timeout, .arg = "S",
         .help = "seconds that an answer may take (60; 0: any)", .max = 86400},
        {.name = "drain", .kind = SLM_OPT_U32, .target = &o->drain, .arg = "S",
         .help = "seconds that running answers have at the end (5)", .max = 3600},
        {.name = "log", .kind = SLM_OPT_FLAG, .target = &a.log,
         .help = "a line on standard error for each answer, without texts"},
        {.name = "stall-ms", .kind = SLM_OPT_U32, .target = &a.engine.stall_ms, .arg = "N",
         .help = "how long prompts of others may keep up an answer (200)", .min = 1, .max = 60000},
    };
    size_t n_options = OWN + slm_cli_common_options(options + OWN, &a.common);
    n_options += slm_cli_prompt_options(options + n_options, &a.common);
    int status = slm_cli_parse(&command, options, n_options, argc, argv, &a.model);
    if (status >= 0)
        return status;
    if (o->uri && (o->host || o->port != no_port))
        return slm_cli_usage("slm-wyoming: got --uri with --%s, wanted one of them",
                             o->host ? "host" : "port");
    o->host = o->host ? o->host : "127.0.0.1";
    o->port = o->port != no_port ? o->port : 10500;
    return serve(&a);
}

int main(int argc, char **argv) {
    slm_cli_occupy_streams();
    slm_cli_signals();
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        slm_cli_print("slm-wyoming %s\n", slm_version());
        return slm_cli_finish(SLM_EXIT_DONE);
    }
    return run(argc, argv);
}
