/* slm chat: a conversation. */
#define _POSIX_C_SOURCE 200809L

#include "talk.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int no_memory(const char *path) {
    return slm_cli_fail("%s: got no memory for the conversation", path);
}

/* Adds the lines of a message that goes on: behind a backslash (a person's), or from """ to """.
 * Returns what slm_cli_lines_next returned last. */
static int read_on(slm_talk *t, slm_cli_text *line) {
    static const char QUOTES[] = "\"\"\"";
    int quoted = line->len >= 3 && memcmp(line->data, QUOTES, 3) == 0;
    int got = SLM_LINE_READ;
    slm_cli_text more = {0};
    if (quoted) {
        memmove(line->data, line->data + 3, line->len -= 3);
    } else if (!t->interactive) {
        return got;
    }
    slm_cli_lines_prompt(t->lines, "...");
    for (;;) {
        if (quoted && line->len >= 3 && memcmp(line->data + line->len - 3, QUOTES, 3) == 0) {
            line->len -= 3;
            break;
        }
        if (!quoted && (line->len == 0 || line->data[line->len - 1] != '\\'))
            break;
        line->len -= !quoted;
        if ((got = slm_cli_lines_next(t->lines, &more)) != SLM_LINE_READ)
            break;
        if (!slm_cli_text_add(line, "\n", 1) ||
            (more.len > 0 && !slm_cli_text_add(line, more.data, more.len))) {
            no_memory(t->path);
            got = SLM_LINE_FAILED;
            break;
        }
    }
    slm_cli_lines_prompt(t->lines, NULL);
    free(more.data);
    return got == SLM_LINE_END && line->len > 0 ? SLM_LINE_READ : got;
}

static int converse(slm_talk *t) {
    slm_cli_text line = {0};
    int status = 0, leave = 0, asked = 0;
    while (status == 0 && !leave) {
        slm_cli_on_interrupt_note();
        int got = slm_cli_lines_next(t->lines, &line);
        if (got == SLM_LINE_READ && line.len > 0)
            got = read_on(t, &line);
        if (got == SLM_LINE_END)
            break;
        if (got == SLM_LINE_FAILED) {
            status = SLM_EXIT_FAILED;
        } else if (got == SLM_LINE_INTERRUPTED) {
            if (!t->interactive || (line.len == 0 && asked))
                status = SLM_EXIT_INTERRUPTED;
            else if (line.len == 0)
                slm_cli_note("(Ctrl-C again or Ctrl-D ends)");
            asked = line.len == 0;
            slm_cli_forget_interrupt();
        } else {
            asked = 0;
            if (line.len > 0 && !slm_talk_command(t, &line, &leave, &status))
                status = slm_talk_turn(t, line.data, line.len, &leave);
        }
    }
    free(line.data);
    return status;
}

/* Shows a long prompt going in. */
static int32_t show_progress(void *user, uint64_t done, uint64_t total) {
    (void)user;
    slm_cli_bar(done, total);
    return 0;
}

/* The model, its session, and what the options name. */
static int open_all(slm_talk *t, const slm_cli_common *common) {
    const slm_cli_talk_options *o = t->options;
    slm_error error = SLM_ERROR_INIT;
    slm_cache_options cache;
    int status = slm_cli_open_model(t->path, common, 0, &t->model);
    if (status == 0)
        status = slm_cli_sampling_settle(t->sampling, t->path, t->model);
    if (status)
        return status;
    slm_cli_cache_options(t->model, common, &cache);
    cache.max_logits = t->sampling->n_draft; /* 0: the default */
    cache.yield = show_progress;
    t->n_ctx = cache.n_ctx;
    if (slm_session_open(t->model, &cache, &t->session, &error) != SLM_OK)
        return slm_cli_fail_error(t->path, &error);
    if (o->system && !(t->system = strdup(o->system)))
        return no_memory(t->path);
    if (o->tools)
        status = slm_cli_read_all(o->tools, &t->tools, &t->tools_len);
    if (status == 0 && (o->grammar || o->schema))
        status = slm_cli_compile_guide(t->model, o->grammar, o->schema, 0, &t->guide);
    if (status == 0)
        status = slm_talk_begin(t);
    if (status == 0 && o->resume)
        status = slm_talk_load(t, o->resume);
    return status;
}

int slm_cli_converse(const char *path, const slm_cli_common *common, slm_cli_sampling *sampling,
                     const slm_cli_talk_options *options) {
    slm_talk t = {.path = path, .options = options, .sampling = sampling,
                  .interactive = isatty(STDIN_FILENO)};
    double begun = slm_cli_now();
    int status = open_all(&t, common);
    t.stats.load_ms = (slm_cli_now() - begun) * 1e3;
    if (status == 0 && !(t.lines = slm_cli_lines_open(options->no_history ? NULL : "chat_history")))
        status = no_memory(path);
    if (status == 0) {
        slm_model_info info = {.struct_size = sizeof info};
        slm_model_get_info(t.model, &info, NULL);
        if (t.interactive)
            slm_cli_note("%s; /help lists commands", info.name[0] ? info.name : path);
        status = converse(&t);
    }
    slm_cli_on_interrupt_exit();
    slm_cli_lines_close(t.lines);
    status = slm_cli_finish(status);
    if (options->want_stats && (status == SLM_EXIT_DONE || status == SLM_EXIT_INTERRUPTED))
        slm_cli_print_stats(&t.stats);
    slm_chat_close(&t.chat);
    slm_session_close(&t.session);
    slm_guide_close(&t.guide);
    slm_model_close(&t.model);
    free(t.tools);
    free(t.system);
    return status;
}

int slm_cmd_chat(int argc, char **argv) {
    static const char *const arg_names[] = {"MODEL.gguf"};
    static const slm_cli_command chat_command = {
        .name = "chat",
        .synopsis = "MODEL.gguf [options]",
        .purpose = "A conversation: each line of standard input is answered in turn.",
        .notes = "On a terminal lines can be edited and called back, Ctrl-C stops an answer and\n"
                 "keeps what was said, /help lists commands, and /exit or Ctrl-D ends.\n",
        .min_args = 1,
        .max_args = 1,
        .arg_names = arg_names,
    };
    static const int32_t full[] = {SLM_CHAT_FULL_STOP, SLM_CHAT_FULL_DROP};
    enum { OWN = 11 };
    slm_cli_common common = {0};
    slm_cli_sampling sampling;
    slm_cli_talk_options o = {0};
    const char *path;
    slm_cli_sampling_init(&sampling);
    slm_opt options[OWN + SLM_CLI_COMMON_OPTIONS + SLM_CLI_PROMPT_OPTIONS +
                    SLM_CLI_SAMPLING_OPTIONS] = {
        {.name = "system", .kind = SLM_OPT_TEXT, .target = &o.system, .arg = "TEXT",
         .help = "the system message"},
        {.name = "tools", .kind = SLM_OPT_TEXT, .target = &o.tools, .arg = "FILE",
         .help = "tools that the model may call, a JSON array; you say what they give"},
        {.name = "resume", .kind = SLM_OPT_TEXT, .target = &o.resume, .arg = "FILE",
         .help = "go on with a conversation that /save wrote"},
        {.name = "grammar", .kind = SLM_OPT_TEXT, .target = &o.grammar, .arg = "FILE",
         .help = "each answer is a text of this grammar, in GBNF"},
        {.name = "json-schema", .kind = SLM_OPT_TEXT, .target = &o.schema, .arg = "FILE",
         .help = "each answer is JSON that satisfies this schema"},
        {.name = "when-full", .kind = SLM_OPT_CHOICE, .target = &o.when_full, .arg = "stop|drop",
         .choices = full, .help = "the context is full: end, or drop the oldest turns (stop)"},
        {.name = "show-thinking", .kind = SLM_OPT_FLAG, .target = &o.show_thinking,
         .help = "print what the model thinks before it answers"},
        {.name = "thinking-budget", .kind = SLM_OPT_U32, .target = &o.thinking_budget, .arg = "N",
         .min = 1, .max = UINT32_MAX, .help = "tokens after which the thinking is closed"},
        {.name = "no-history", .kind = SLM_OPT_FLAG, .target = &o.no_history,
         .help = "neither read nor write the file of earlier lines"},
        {.name = "raw", .kind = SLM_OPT_FLAG, .target = &o.raw,
         .help = "no chat format: the model goes on from what was said, a line each"},
        {.name = "stats", .kind = SLM_OPT_FLAG, .target = &o.want_stats,
         .help = "timings as a line of JSON on standard error"},
    };
    size_t n_options = OWN + slm_cli_common_options(options + OWN, &common);
    n_options += slm_cli_prompt_options(options + n_options, &common);
    n_options += slm_cli_sampling_options(options + n_options, &sampling);
    int status = slm_cli_parse(&chat_command, options, n_options, argc, argv, &path);
    if (status < 0 && o.raw && (o.system || o.tools))
        status = slm_cli_usage("chat: got --%s with --raw, wanted one of them",
                               o.system ? "system" : "tools");
    if (status < 0 && (o.tools != NULL) + (o.grammar != NULL) + (o.schema != NULL) > 1)
        status = slm_cli_usage("chat: got more than one of --tools, --grammar and --json-schema, "
                               "wanted one");
    if (status < 0)
        status = slm_cli_converse(path, &common, &sampling, &o);
    slm_cli_sampling_free(&sampling);
    return status;
}
