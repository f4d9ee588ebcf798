/* slm chat: a conversation. Every turn renders the whole conversation again and hands it to the
 * session, which evaluates only what it does not hold yet. */
#define _POSIX_C_SOURCE 200809L

#include "cli.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct chat {
    const char *path, *system;
    slm_model *model;
    slm_session *session;
    slm_model_info info;
    uint32_t n_ctx;
    slm_message *messages; /* contents are malloc'ed, but for that of the system message */
    size_t n_messages, n_fixed;
    slm_cli_sampling *sampling;
    slm_cli_stats stats;
    int interactive; /* a person types */
    int raw;         /* no chat format */
} chat;

static int no_memory(const chat *c) {
    return slm_cli_fail("%s: got no memory for the conversation", c->path);
}

static void forget_from(chat *c, size_t n) {
    while (c->n_messages > n) {
        c->n_messages--;
        if (c->n_messages >= c->n_fixed)
            free((char *)(uintptr_t)c->messages[c->n_messages].content);
    }
}

/* Takes over content, which it frees when it fails. */
static int add_message(chat *c, const char *role, char *content, size_t len) {
    slm_message *larger = realloc(c->messages, (c->n_messages + 1) * sizeof *larger);
    if (!larger || !content) {
        if (larger)
            c->messages = larger;
        free(content);
        return no_memory(c);
    }
    larger[c->n_messages++] = (slm_message){sizeof *larger, role, SLM_NTS, content, len};
    c->messages = larger;
    return 0;
}

/* Without a chat format: what was said so far, a line each, is the text to go on from. */
static int raw_ids(const chat *c, size_t n_messages, int32_t **ids, size_t *n) {
    size_t len = 0;
    for (size_t i = 0; i < n_messages; i++)
        len += c->messages[i].content_len + 1;
    char *text = malloc(len + 1), *at = text;
    if (!text)
        return no_memory(c);
    for (size_t i = 0; i < n_messages; i++) {
        memcpy(at, c->messages[i].content, c->messages[i].content_len);
        at += c->messages[i].content_len;
        *at++ = '\n';
    }
    slm_span span = {.text = text, .len = len};
    int status = slm_cli_text_ids(c->model, c->path, &span, SLM_BOS_DEFAULT, ids, n);
    free(text);
    return status;
}

static int conversation_ids(const chat *c, size_t n_messages, int32_t **ids, size_t *n) {
    if (c->raw)
        return raw_ids(c, n_messages, ids, n);
    return slm_cli_chat_ids(c->model, c->path, c->messages, n_messages,
                            "; --raw does without one", ids, n);
}

/* Puts the system message in place and finds out whether the model can converse at all. */
static int begin(chat *c) {
    c->messages = malloc(2 * sizeof *c->messages);
    if (!c->messages)
        return no_memory(c);
    size_t n = 0;
    if (c->system)
        c->messages[n++] =
            (slm_message){sizeof *c->messages, "system", SLM_NTS, c->system, SLM_NTS};
    c->messages[n] = (slm_message){sizeof *c->messages, "user", SLM_NTS, "", 0};
    c->n_messages = c->n_fixed = n;
    int32_t *ids = NULL;
    size_t n_ids;
    int status = conversation_ids(c, n + 1, &ids, &n_ids);
    free(ids);
    return status;
}

/* A cancellation that came just after the last answer ended is not meant for this prompt. */
static slm_status prompt(chat *c, const int32_t *ids, size_t n, slm_error *error) {
    slm_status s = slm_cli_prompt(c->session, &c->info, ids, n, error);
    if (s == SLM_ERR_CANCEL && !slm_cli_interrupted())
        s = slm_cli_prompt(c->session, &c->info, ids, n, error);
    return s;
}

static uint64_t evaluated(const chat *c) {
    slm_session_info info = {.struct_size = sizeof info};
    slm_session_get_info(c->session, &info, NULL);
    return info.n_evaluated;
}

/* Answers the conversation as it stands; what was said comes to *answer even when it is cut. */
static int answer(chat *c, slm_cli_text *said) {
    slm_error error = SLM_ERROR_INIT;
    slm_generate_options generate;
    slm_end_reason reason = SLM_END_NONE;
    int32_t *ids = NULL;
    size_t n = 0;
    int status = conversation_ids(c, c->n_messages, &ids, &n);
    if (status)
        return status;
    if (n > c->n_ctx) {
        free(ids);
        return slm_cli_fail("%s: got a conversation of %zu tokens, wanted at most %u, the context "
                            "(-c)%s",
                            c->path, n, c->n_ctx, c->interactive ? "; /reset begins anew" : "");
    }
    double started = slm_cli_now();
    uint64_t before = evaluated(c);
    slm_status s = prompt(c, ids, n, &error);
    free(ids);
    c->stats.prompt_tokens += evaluated(c) - before;
    c->stats.prompt_ms += (slm_cli_now() - started) * 1e3;
    if (s != SLM_OK)
        return slm_cli_fail_error(c->path, &error);
    slm_cli_generate_options(c->sampling, &generate);
    status = slm_cli_answer(c->path, c->session, &generate, started, said, &reason, &c->stats);
    if (reason == SLM_END_CONTEXT)
        slm_cli_warn("the answer stops at the end of the context, %u tokens (-c)", c->n_ctx);
    return status;
}

static int end_line(void) {
    slm_cli_write("\n", 1);
    return slm_cli_flush();
}

/* One turn. 0 goes on with the conversation. */
static int turn(chat *c, const char *line, size_t len) {
    size_t before = c->n_messages;
    char *content = malloc(len + 1);
    if (content)
        memcpy(content, line, len);
    int status = add_message(c, "user", content, len);
    slm_cli_text said = {0};
    if (status == 0) {
        slm_cli_forget_interrupt();
        slm_cli_on_interrupt_cancel(c->session, 0);
        status = answer(c, &said);
        slm_cli_on_interrupt_note();
    }
    if (status == 0)
        status = end_line();
    if (status == SLM_EXIT_INTERRUPTED && c->interactive) {
        slm_cli_forget_interrupt();
        slm_cli_resume_output(); /* a terminal that was held had to be written to */
        status = end_line();
        slm_cli_note("(stopped)");
    } else if (c->interactive && !slm_cli_flush()) {
        status = 0; /* said on standard error; the conversation goes on without this turn */
    }
    if (said.len > 0 && status == 0)
        return add_message(c, "assistant", said.data, said.len);
    forget_from(c, before);
    free(said.data);
    return status;
}

/* "/exit" and the like. 1 when it was one; *leave is set to leave. Other words with a slash are a
 * slip of a person, but text in a pipe. */
static int command(chat *c, const slm_cli_text *line, int *leave) {
    static const char *const names[] = {"/exit", "/quit", "/reset", "/help"};
    size_t which = 0, len = line->len;
    while (which < 4 && (strlen(names[which]) != len || memcmp(names[which], line->data, len) != 0))
        which++;
    if (which <= 1) {
        *leave = 1;
    } else if (which == 2) {
        forget_from(c, c->n_fixed);
        slm_cli_note("(the conversation begins anew)");
    } else if (which == 3) {
        slm_cli_note("/reset forgets what was said, /exit or Ctrl-D ends, Ctrl-C stops an answer");
    } else if (c->interactive && line->data[0] == '/' && !memchr(line->data, ' ', len)) {
        slm_cli_note("%.*s is not a command; /help lists them", (int)len, line->data);
    } else {
        return 0;
    }
    return 1;
}

static int converse(chat *c, slm_cli_lines *lines) {
    slm_cli_text line = {0};
    int status = 0, leave = 0, asked = 0;
    while (status == 0 && !leave) {
        slm_cli_on_interrupt_note();
        int got = slm_cli_lines_next(lines, &line);
        if (got == SLM_LINE_END)
            break;
        if (got == SLM_LINE_FAILED) {
            status = SLM_EXIT_FAILED;
        } else if (got == SLM_LINE_INTERRUPTED) {
            if (!c->interactive || (line.len == 0 && asked))
                status = SLM_EXIT_INTERRUPTED;
            else if (line.len == 0)
                slm_cli_note("(Ctrl-C again or Ctrl-D ends)");
            asked = line.len == 0;
            slm_cli_forget_interrupt();
        } else {
            asked = 0;
            if (line.len > 0 && !command(c, &line, &leave))
                status = turn(c, line.data, line.len);
        }
    }
    free(line.data);
    return status;
}

int slm_cli_converse(const char *path, const slm_cli_common *common, slm_cli_sampling *sampling,
                     const char *system, int raw, int want_stats) {
    chat c = {.path = path, .system = system, .sampling = sampling, .raw = raw,
              .info = {.struct_size = sizeof c.info},
              .interactive = isatty(STDIN_FILENO)};
    slm_error error = SLM_ERROR_INIT;
    slm_cache_options cache;
    slm_cli_lines *lines = NULL;
    double begun = slm_cli_now();
    int status = slm_cli_open_model(path, common, 0, &c.model);
    if (status == 0) {
        slm_model_get_info(c.model, &c.info, NULL);
        slm_cli_cache_options(c.model, common, &cache);
        c.n_ctx = cache.n_ctx;
        if (slm_session_open(c.model, &cache, &c.session, &error) != SLM_OK)
            status = slm_cli_fail_error(path, &error);
    }
    c.stats.load_ms = (slm_cli_now() - begun) * 1e3;
    if (status == 0)
        status = begin(&c);
    if (status == 0 && !(lines = slm_cli_lines_open()))
        status = no_memory(&c);
    if (status == 0) {
        if (c.interactive)
            slm_cli_note("%s; /help lists commands", c.info.name[0] ? c.info.name : path);
        status = converse(&c, lines);
    }
    slm_cli_on_interrupt_exit();
    slm_cli_lines_close(lines);
    status = slm_cli_finish(status);
    if (want_stats && (status == SLM_EXIT_DONE || status == SLM_EXIT_INTERRUPTED))
        slm_cli_print_stats(&c.stats);
    forget_from(&c, 0);
    free(c.messages);
    slm_session_close(&c.session);
    slm_model_close(&c.model);
    return status;
}

int slm_cmd_chat(int argc, char **argv) {
    static const char *const arg_names[] = {"MODEL.gguf"};
    static const slm_cli_command chat_command = {
        .name = "chat",
        .synopsis = "MODEL.gguf [options]",
        .purpose = "A conversation: each line of standard input is answered in turn.",
        .notes = "On a terminal lines can be edited and called back, Ctrl-C stops an answer and\n"
                 "keeps what was said, /reset forgets, /help helps, and /exit or Ctrl-D ends.\n",
        .min_args = 1,
        .max_args = 1,
        .arg_names = arg_names,
    };
    enum { OWN = 3 };
    slm_cli_common common = {0};
    slm_cli_sampling sampling;
    const char *system = NULL, *path;
    int raw = 0, want_stats = 0;
    slm_cli_sampling_init(&sampling);
    slm_opt options[OWN + SLM_CLI_COMMON_OPTIONS + SLM_CLI_SAMPLING_OPTIONS] = {
        {.name = "system", .kind = SLM_OPT_TEXT, .target = &system, .arg = "TEXT",
         .help = "the system message"},
        {.name = "raw", .kind = SLM_OPT_FLAG, .target = &raw,
         .help = "no chat format: the model goes on from what was said, a line each"},
        {.name = "stats", .kind = SLM_OPT_FLAG, .target = &want_stats,
         .help = "timings as a line of JSON on standard error"},
    };
    size_t n_options = OWN + slm_cli_common_options(options + OWN, &common);
    n_options += slm_cli_sampling_options(options + n_options, &sampling);
    int status = slm_cli_parse(&chat_command, options, n_options, argc, argv, &path);
    if (status < 0 && raw && system)
        status = slm_cli_usage("chat: got --system with --raw, wanted one of them");
    if (status < 0)
        status = slm_cli_converse(path, &common, &sampling, system, raw, want_stats);
    slm_cli_sampling_free(&sampling);
    return status;
}
