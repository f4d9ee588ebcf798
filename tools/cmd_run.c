/* slm run: one answer to one prompt. */
#define _POSIX_C_SOURCE 200809L

#include "cli.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct request {
    const char *path, *system, *grammar, *schema, *tools_path, *tool_choice;
    char *prompt, *tools;
    size_t prompt_len, tools_len;
    int raw, special;
} request;

static int prompt_ids(const request *r, const slm_model *model, int32_t **ids, size_t *n) {
    if (r->raw) {
        slm_span span = {.text = r->prompt, .len = r->prompt_len, .trusted = (uint32_t)r->special};
        return slm_cli_text_ids(model, r->path, &span, SLM_BOS_DEFAULT, ids, n);
    }
    slm_message messages[2] = {{0}};
    size_t count = 0;
    if (r->system)
        messages[count++] = (slm_message){sizeof *messages, "system", SLM_NTS, r->system, SLM_NTS};
    messages[count++] =
        (slm_message){sizeof *messages, "user", SLM_NTS, r->prompt, r->prompt_len};
    return slm_cli_chat_ids(model, r->path, messages, count, r->tools, r->tools_len,
                            "; --raw gives it the prompt as it is", ids, n);
}

/* Holds calls to the tools; "auto", "none", "required" are choices, anything else names a tool. */
static int compile_tools(const request *r, slm_model *model, slm_guide **guide) {
    static const char *const names[] = {"auto", "none", "required"};
    slm_error error = SLM_ERROR_INIT;
    const char *choice = r->tool_choice ? r->tool_choice : names[0];
    slm_tools_options options = {
        .struct_size = sizeof options, .choice = SLM_TOOL_CHOICE_NAMED, .name = choice,
        .name_len = SLM_NTS};
    for (int32_t i = 0; i < 3; i++) {
        if (strcmp(choice, names[i]) != 0)
            continue;
        options.choice = SLM_TOOL_CHOICE_AUTO + i;
        options.name = NULL;
    }
    if (slm_guide_compile_tools(model, r->tools, r->tools_len, &options, NULL, guide, &error) !=
        SLM_OK)
        return slm_cli_fail_error(r->tools_path, &error);
    return 0;
}

/* Evaluates the prompt and streams the answer. */
static int answer(const request *r, const slm_model *model, slm_session *session, uint32_t n_ctx,
                  const int32_t *ids, size_t n, slm_guide *guide, slm_cli_sampling *sampling,
                  slm_cli_stats *stats) {
    slm_error error = SLM_ERROR_INIT;
    slm_model_info info = {.struct_size = sizeof info};
    slm_generate_options generate;
    slm_end_reason reason = SLM_END_NONE;
    if (n == 0)
        return slm_cli_fail("%s: got an empty prompt, wanted at least one token", r->path);
    if (n > n_ctx)
        return slm_cli_fail("%s: got a prompt of %zu tokens, wanted at most %u, the context (-c)",
                            r->path, n, n_ctx);
    slm_model_get_info(model, &info, NULL);
    double started = slm_cli_now();
    slm_status s = slm_cli_prompt(session, &info, ids, n, &error);
    stats->prompt_tokens = n;
    stats->prompt_ms = (slm_cli_now() - started) * 1e3;
    if (s != SLM_OK)
        return slm_cli_fail_error(r->path, &error);
    slm_cli_generate_options(sampling, &generate);
    generate.guide = guide;
    if (r->tools) /* calls as the model writes them, for parse-tools */
        generate.flags |= SLM_GENERATE_SPECIAL;
    int status = slm_cli_answer(r->path, session, &generate, started, NULL, &reason, stats);
    if (status == 0)
        slm_cli_write("\n", 1);
    if (status == 0 && reason == SLM_END_CONTEXT)
        slm_cli_warn("the answer stops at the end of the context, %u tokens (-c)", n_ctx);
    if (status == 0 && reason == SLM_END_STUCK)
        slm_cli_warn("the answer stops where the grammar wants what no token of the model begins with");
    return status;
}

static int run(const request *r, const slm_cli_common *common, slm_cli_sampling *sampling,
               int want_stats, slm_model *model, double begun) {
    slm_session *session = NULL;
    slm_guide *guide = NULL;
    slm_error error = SLM_ERROR_INIT;
    slm_cache_options cache;
    slm_cli_stats stats = {0};
    int32_t *ids = NULL;
    size_t n = 0;
    int status = prompt_ids(r, model, &ids, &n);
    if (status == 0 && r->tools)
        status = compile_tools(r, model, &guide);
    if (status == 0 && (r->grammar || r->schema))
        status = slm_cli_compile_guide(model, r->grammar, r->schema, 0, &guide);
    slm_cli_cache_options(model, common, &cache);
    cache.max_logits = sampling->n_draft; /* 0: the default */
    if (status == 0 && slm_session_open(model, &cache, &session, &error) != SLM_OK)
        status = slm_cli_fail_error(r->path, &error);
    stats.load_ms = (slm_cli_now() - begun) * 1e3;
    if (status == 0) {
        slm_cli_on_interrupt_cancel(session, 1);
        status = answer(r, model, session, cache.n_ctx, ids, n, guide, sampling, &stats);
        slm_cli_on_interrupt_exit();
        if (status == 0 && slm_cli_interrupted())
            status = SLM_EXIT_INTERRUPTED;
    }
    status = slm_cli_finish(status);
    if (want_stats && (status == SLM_EXIT_DONE || status == SLM_EXIT_INTERRUPTED))
        slm_cli_print_stats(&stats);
    slm_session_close(&session);
    slm_guide_close(&guide);
    free(ids);
    return status;
}

int slm_cmd_run(int argc, char **argv) {
    static const char *const arg_names[] = {"MODEL.gguf", "PROMPT"};
    static const slm_cli_command command = {
        .name = "run",
        .synopsis = "MODEL.gguf [PROMPT] [options]",
        .purpose = "Answers one prompt: the answer and a newline on standard output, as they come.",
        .notes = "Without PROMPT, or when it is -, standard input is the prompt, all of it; on a\n"
                 "terminal a conversation begins instead (slm chat --help).\n",
        .min_args = 1,
        .max_args = 2,
        .arg_names = arg_names,
    };
    enum { OWN = 8 };
    slm_cli_common common = {0};
    slm_cli_sampling sampling;
    request r = {0};
    int want_stats = 0;
    const char *args[2];
    slm_cli_sampling_init(&sampling);
    slm_opt options[OWN + SLM_CLI_COMMON_OPTIONS + SLM_CLI_PROMPT_OPTIONS +
                    SLM_CLI_SAMPLING_OPTIONS] = {
        {.name = "raw", .kind = SLM_OPT_FLAG, .target = &r.raw,
         .help = "continue the prompt as it is, without the chat format"},
        {.name = "special", .kind = SLM_OPT_FLAG, .target = &r.special,
         .help = "with --raw: spellings of control tokens become control tokens"},
        {.name = "system", .kind = SLM_OPT_TEXT, .target = &r.system, .arg = "TEXT",
         .help = "the system message"},
        {.name = "grammar", .kind = SLM_OPT_TEXT, .target = &r.grammar, .arg = "FILE",
         .help = "the answer is a text of this grammar, in GBNF"},
        {.name = "json-schema", .kind = SLM_OPT_TEXT, .target = &r.schema, .arg = "FILE",
         .help = "the answer is JSON that satisfies this schema"},
        {.name = "tools", .kind = SLM_OPT_TEXT, .target = &r.tools_path, .arg = "FILE",
         .help = "tools that the model may call, a JSON array; calls come as it writes them"},
        {.name = "tool-choice", .kind = SLM_OPT_TEXT, .target = &r.tool_choice, .arg = "CHOICE",
         .help = "auto, none, required, or the name of the tool to call (auto)"},
        {.name = "stats", .kind = SLM_OPT_FLAG, .target = &want_stats,
         .help = "timings as a line of JSON on standard error"},
    };
    size_t n_options = OWN + slm_cli_common_options(options + OWN, &common);
    n_options += slm_cli_prompt_options(options + n_options, &common);
    n_options += slm_cli_sampling_options(options + n_options, &sampling);
    int status = slm_cli_parse(&command, options, n_options, argc, argv, args);
    if (status < 0 && r.raw && r.system)
        status = slm_cli_usage("run: got --system with --raw, wanted one of them");
    if (status < 0 && r.special && !r.raw)
        status = slm_cli_usage("run: got --special without --raw, wanted both or none");
    if (status < 0 && (r.grammar != NULL) + (r.schema != NULL) + (r.tools_path != NULL) > 1)
        status = slm_cli_usage("run: got more than one of --grammar, --json-schema and --tools, "
                               "wanted one of them");
    if (status < 0 && r.tool_choice && !r.tools_path)
        status = slm_cli_usage("run: got --tool-choice without --tools, wanted both or none");
    if (status < 0 && r.tools_path && r.raw)
        status = slm_cli_usage("run: got --tools with --raw, wanted one of them");
    int talk = !args[1] && isatty(STDIN_FILENO);
    if (status < 0 && talk && (r.raw || r.tool_choice))
        status = slm_cli_usage("run: got no PROMPT, wanted one with --%s",
                               r.raw ? "raw" : "tool-choice");
    if (status >= 0) {
        slm_cli_sampling_free(&sampling);
        return status;
    }
    r.path = args[0];
    if (talk) {
        const slm_cli_talk_options o = {.system = r.system, .tools = r.tools_path,
                                        .grammar = r.grammar, .schema = r.schema,
                                        .want_stats = want_stats};
        status = slm_cli_converse(r.path, &common, &sampling, &o);
        slm_cli_sampling_free(&sampling);
        return status;
    }

    slm_model *model = NULL;
    double begun = slm_cli_now(), waited = 0;
    status = slm_cli_open_model(r.path, &common, 0, &model);
    if (status == 0)
        status = slm_cli_sampling_settle(&sampling, r.path, model);
    if (status == 0 && r.tools_path)
        status = slm_cli_read_all(r.tools_path, &r.tools, &r.tools_len);
    if (status == 0 && args[1] && strcmp(args[1], "-") != 0) {
        r.prompt_len = strlen(args[1]);
        r.prompt = strdup(args[1]);
        if (!r.prompt)
            status = slm_cli_fail("%s: got no memory for the prompt", r.path);
    } else if (status == 0) {
        double before = slm_cli_now();
        status = slm_cli_read_all("-", &r.prompt, &r.prompt_len);
        waited = slm_cli_now() - before;
    }
    if (status == 0)
        status = run(&r, &common, &sampling, want_stats, model, begun + waited);
    free(r.prompt);
    free(r.tools);
    slm_model_close(&model);
    slm_cli_sampling_free(&sampling);
    return status;
}
