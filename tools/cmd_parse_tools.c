/* slm parse-tools: an assistant's text to its content and the calls of tools in it. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

/* What the text came to. Names and arguments stand in `bytes`, one behind the other. */
typedef struct call {
    size_t name_len, arguments_len;
} call;
typedef struct parsed {
    slm_cli_text content, bytes, calls; /* calls: an array of call */
} parsed;

static int take(parsed *p, const slm_tool_event *e) {
    static const call none;
    if (e->type == SLM_TOOL_TEXT)
        return slm_cli_text_add(&p->content, e->text, e->text_len);
    if (e->type != SLM_TOOL_CALL_BEGIN && e->type != SLM_TOOL_ARGUMENTS)
        return 1;
    if (e->type == SLM_TOOL_CALL_BEGIN &&
        !slm_cli_text_add(&p->calls, (const char *)&none, sizeof none))
        return 0;
    call *last = (call *)(void *)(p->calls.data + p->calls.len) - 1;
    *(e->type == SLM_TOOL_CALL_BEGIN ? &last->name_len : &last->arguments_len) += e->text_len;
    return slm_cli_text_add(&p->bytes, e->text, e->text_len);
}

static int parse(const char *path, slm_tool_parser *parser, const char *text, size_t size,
                 parsed *p) {
    slm_error error = SLM_ERROR_INIT;
    slm_tool_event e = {.struct_size = sizeof e};
    slm_status status = slm_tool_parser_feed(parser, text, size, &error);
    if (status == SLM_OK)
        status = slm_tool_parser_finish(parser, &error);
    while (status == SLM_OK && e.type != SLM_TOOL_END) {
        status = slm_tool_parser_next(parser, &e, &error);
        if (status == SLM_OK && !take(p, &e))
            return slm_cli_fail("got no memory for the calls");
    }
    return status == SLM_OK ? SLM_EXIT_DONE : slm_cli_fail_error(path, &error);
}

static void print(const parsed *p) {
    const char *bytes = p->bytes.data;
    const call *calls = (const call *)(const void *)p->calls.data;
    slm_cli_print("{\"content\": ");
    slm_cli_print_json_text(p->content.data, p->content.len);
    slm_cli_print(", \"tool_calls\": [");
    for (size_t i = 0; i < p->calls.len / sizeof *calls; i++) {
        slm_cli_print(i > 0 ? ", {\"name\": " : "{\"name\": ");
        slm_cli_print_json_text(bytes, calls[i].name_len);
        bytes += calls[i].name_len;
        slm_cli_print(", \"arguments\": ");
        slm_cli_print_json(bytes, calls[i].arguments_len);
        bytes += calls[i].arguments_len;
        slm_cli_print("}");
    }
    slm_cli_print("]}\n");
}

int slm_cmd_parse_tools(int argc, char **argv) {
    static const char *const arg_names[] = {"MODEL.gguf"};
    static const slm_cli_command command = {
        .name = "parse-tools",
        .synopsis = "MODEL.gguf [options] < TEXT",
        .purpose = "Finds the calls of tools in an assistant's text, which is standard input.",
        .notes = "Prints one line of JSON: {\"content\": ..., \"tool_calls\": [{\"name\": ...,\n"
                 "\"arguments\": {...}}, ...]}. What is no call is content, byte for byte.\n",
        .min_args = 1,
        .max_args = 1,
        .arg_names = arg_names,
    };
    static const int32_t formats[] = {SLM_TOOLS_AUTO, SLM_TOOLS_HERMES, SLM_TOOLS_PHI4_MINI,
                                      SLM_TOOLS_LLAMA3_JSON, SLM_TOOLS_LLAMA32_PYTHONIC,
                                      SLM_TOOLS_JSON};
    slm_cli_common common = {0};
    slm_tool_parser_options o = {.struct_size = sizeof o};
    slm_opt options[1 + SLM_CLI_COMMON_OPTIONS] = {
        {.name = "format", .kind = SLM_OPT_CHOICE, .target = &o.format, .choices = formats,
         .arg = "auto|hermes|phi4_mini|llama3_json|llama32_pythonic|json",
         .help = "how calls are written (default: as the model's template tells)"},
    };
    const char *path;
    size_t n_options = 1 + slm_cli_hidden_options(options + 1, &common);
    int status = slm_cli_parse(&command, options, n_options, argc, argv, &path);
    if (status >= 0)
        return status;

    slm_model *model = NULL;
    slm_tool_parser *parser = NULL;
    slm_error error = SLM_ERROR_INIT;
    parsed p = {{0}, {0}, {0}};
    char *text = NULL;
    size_t size = 0;
    status = slm_cli_open_model(path, NULL, SLM_MODEL_VOCAB_ONLY, &model);
    if (status == 0)
        status = slm_cli_read_all("-", &text, &size);
    o.max_call_bytes = size; /* all of it is in memory anyhow */
    if (status == 0 && slm_tool_parser_open(model, &o, &parser, &error) != SLM_OK)
        status = slm_cli_fail_error(path, &error);
    if (status == 0)
        status = parse(path, parser, text, size, &p);
    if (status == 0)
        print(&p);
    free(p.content.data);
    free(p.bytes.data);
    free(p.calls.data);
    free(text);
    slm_tool_parser_close(&parser);
    slm_model_close(&model);
    return slm_cli_finish(status);
}
