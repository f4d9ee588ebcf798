/* A turn of `slm chat`: the message, its answer as it comes, calls of tools and their results. */
#define _POSIX_C_SOURCE 200809L

#include "talk.h"

#include <stdlib.h>
#include <string.h>

/* What an answer left behind. */
typedef struct reply {
    char **names; /* of the tools it called */
    slm_cli_text name, arguments; /* of the call that is being written */
    size_t n_calls, n_text;
    slm_end_reason reason;
} reply;

static void forget_calls(reply *r) {
    while (r->n_calls > 0)
        free(r->names[--r->n_calls]);
    free(r->names);
    free(r->name.data);
    free(r->arguments.data);
    r->names = NULL;
    r->name = r->arguments = (slm_cli_text){0};
}

/* A call has no line of its own before it is complete. */
static int gather(const slm_talk *t, slm_cli_text *text, const slm_answer_event *ev) {
    return slm_cli_text_add(text, ev->text, ev->text_len)
               ? 0
               : slm_cli_fail("%s: got no memory for the answer", t->path);
}

static int note_call(const slm_talk *t, reply *r) {
    char **larger = realloc(r->names, (r->n_calls + 1) * sizeof *larger);
    char *copy = strndup(r->name.data, r->name.len);
    if (larger)
        r->names = larger;
    if (!larger || !copy) {
        free(copy);
        return slm_cli_fail("%s: got no memory for the answer", t->path);
    }
    r->names[r->n_calls++] = copy;
    return 0;
}

/* Writes one event; *at_line tells whether the output stands at the beginning of a line. */
static int show(const slm_talk *t, const slm_answer_event *ev, reply *r, int *at_line) {
    int status = 0;
    switch (ev->type) {
    case SLM_ANSWER_TEXT:
        slm_cli_write(ev->text, ev->text_len);
        r->n_text += ev->text_len;
        *at_line = ev->text[ev->text_len - 1] == '\n';
        break;
    case SLM_ANSWER_THINKING_TEXT:
        slm_cli_write(ev->text, ev->text_len);
        *at_line = ev->text[ev->text_len - 1] == '\n';
        break;
    case SLM_ANSWER_CALL_BEGIN:
        r->name.len = r->arguments.len = 0;
        status = gather(t, &r->name, ev);
        break;
    case SLM_ANSWER_ARGUMENTS:
        status = gather(t, &r->arguments, ev);
        break;
    case SLM_ANSWER_CALL_END:
        status = note_call(t, r);
        if (!*at_line)
            slm_cli_write("\n", 1);
        slm_cli_print("{\"name\":");
        slm_cli_print_json_text(r->name.data, r->name.len);
        slm_cli_print(",\"arguments\":");
        slm_cli_print_json(r->arguments.data, r->arguments.len);
        slm_cli_write("}\n", 2);
        *at_line = 1;
        break;
    default:
        return 0;
    }
    int output = slm_cli_flush();
    return status ? status : output;
}

/* Lets the answer come. *at_line begins as 1. */
static int stream(slm_talk *t, slm_answer *answer, double started, reply *r, int *at_line) {
    slm_error error = SLM_ERROR_INIT;
    slm_answer_event ev = {.struct_size = sizeof ev};
    slm_status status = SLM_OK;
    double begun = slm_cli_now(), first = 0, last = 0;
    uint64_t tokens = 0;
    int thinking = 0, exit_status = 0;
    while (exit_status == 0 && ev.type != SLM_ANSWER_END) {
        if ((status = slm_answer_next(answer, &ev, &error)) != SLM_OK)
            break;
        if (ev.type != SLM_ANSWER_REEVALUATED && ev.count > tokens) {
            last = slm_cli_now();
            if (tokens == 0)
                first = last;
            tokens = ev.count;
        }
        if (t->options->show_thinking && thinking && ev.type != SLM_ANSWER_THINKING_TEXT &&
            !ev.thinking) {
            slm_cli_print(*at_line ? "\n" : "\n\n");
            *at_line = 1;
            thinking = 0;
        }
        thinking |= ev.type == SLM_ANSWER_THINKING_TEXT;
        exit_status = show(t, &ev, r, at_line);
    }
    r->reason = ev.reason;
    if (tokens > 0 && t->stats.tokens == 0)
        t->stats.first_token_ms = (first - started) * 1e3;
    t->stats.tokens += tokens;
    t->stats.n_timed += tokens > 1 ? tokens - 1 : tokens;
    t->stats.generate_s += tokens > 1 ? last - first : tokens == 1 ? first - begun : 0;
    return status != SLM_OK ? slm_cli_fail_error(t->path, &error) : exit_status;
}

/* A cancellation that came just after the last answer ended is not meant for this one. */
static slm_status begin_answer(slm_talk *t, const slm_answer_options *options, slm_answer **answer,
                               slm_chat_report *report, slm_error *error) {
    slm_cli_bar_begin("prompt");
    slm_status s = slm_chat_answer(t->chat, options, answer, report, error);
    if (s == SLM_ERR_CANCEL && !slm_cli_interrupted())
        s = slm_chat_answer(t->chat, options, answer, report, error);
    slm_cli_bar_end();
    return s;
}

static void tell_end(const slm_talk *t, slm_end_reason reason) {
    if (reason == SLM_END_CONTEXT)
        slm_cli_warn("the answer stops at the end of the context, %u tokens (-c)", t->n_ctx);
    if (reason == SLM_END_STUCK)
        slm_cli_warn("the answer stops where the grammar wants what no token begins with");
}

/* One answer to the transcript as it stands. */
static int answer(slm_talk *t, reply *r) {
    slm_error error = SLM_ERROR_INIT;
    slm_generate_options generate;
    slm_chat_report report = {.struct_size = sizeof report};
    slm_answer *a = NULL;
    slm_cli_generate_options(t->sampling, &generate);
    generate.guide = t->guide;
    slm_answer_options options = {
        .struct_size = sizeof options,
        .flags = t->options->show_thinking ? SLM_ANSWER_THINKING : 0,
        .generate = &generate,
        .thinking_budget = t->options->thinking_budget,
    };
    double started = slm_cli_now();
    slm_status s = begin_answer(t, &options, &a, &report, &error);
    t->stats.prompt_ms += (slm_cli_now() - started) * 1e3;
    if (s == SLM_ERR_CTX)
        return slm_cli_fail("%s: %s%s", t->path, error.message,
                            t->interactive ? "; /reset begins anew" : "");
    if (s != SLM_OK)
        return slm_cli_fail_error(t->path, &error);
    t->stats.prompt_tokens += report.n_evaluated;
    if (report.n_dropped > 0)
        slm_cli_note("(the context was full: the first %u messages are no longer in it)",
                     report.n_dropped);
    int at_line = 1;
    int status = stream(t, a, started, r, &at_line);
    slm_answer_end(&a);
    tell_end(t, r->reason);
    if (status == 0 && (r->n_calls == 0 || !at_line))
        slm_cli_write("\n", 1);
    int output = slm_cli_flush();
    return status ? status : output;
}

/* Reads what each called tool gave and adds it. An empty line stands for null. */
static int results(slm_talk *t, const reply *r, int *leave) {
    slm_cli_text line = {0};
    int status = 0;
    for (size_t i = 0; status == 0 && !*leave && i < r->n_calls; i++) {
        slm_cli_lines_prompt(t->lines, r->names[i]);
        int got = slm_cli_lines_next(t->lines, &line);
        slm_error error = SLM_ERROR_INIT;
        slm_message message = {sizeof message, "tool", SLM_NTS, line.data, line.len};
        if (got == SLM_LINE_READ && line.len == 0) {
            message.content = "null";
            message.content_len = 4;
        }
        if (got == SLM_LINE_FAILED)
            status = SLM_EXIT_FAILED;
        else if (got == SLM_LINE_INTERRUPTED)
            status = SLM_EXIT_INTERRUPTED;
        else if (got == SLM_LINE_END)
            *leave = 1;
        else if (slm_chat_add(t->chat, &message, 0, &error) != SLM_OK)
            status = slm_cli_fail_error(t->path, &error);
    }
    slm_cli_lines_prompt(t->lines, NULL);
    free(line.data);
    return status;
}

static size_t n_messages(const slm_talk *t) {
    slm_chat_info info = {.struct_size = sizeof info};
    slm_chat_get_info(t->chat, &info, NULL);
    return (size_t)info.n_messages;
}

int slm_talk_turn(slm_talk *t, const char *text, size_t len, int *leave) {
    slm_error error = SLM_ERROR_INIT;
    size_t before = n_messages(t);
    slm_message message = {sizeof message, "user", SLM_NTS, text, len};
    if (slm_chat_add(t->chat, &message, 0, &error) != SLM_OK) {
        int status = slm_cli_fail_error(t->path, &error);
        return t->interactive ? 0 : status;
    }
    int status = 0, called;
    size_t said = 0;
    do {
        reply r = {0};
        slm_cli_forget_interrupt();
        slm_cli_on_interrupt_cancel(t->session, 0);
        status = answer(t, &r);
        slm_cli_on_interrupt_note();
        said += r.n_text + r.n_calls;
        called = status == 0 && r.n_calls > 0;
        if (called)
            status = results(t, &r, leave);
        forget_calls(&r);
    } while (called && status == 0 && !*leave);
    if (status == SLM_EXIT_INTERRUPTED && t->interactive) {
        slm_cli_forget_interrupt();
        slm_cli_resume_output(); /* a terminal that was held had to be written to */
        slm_cli_write("\n", 1);
        status = slm_cli_flush();
        slm_cli_note("(stopped)");
    } else if (status != 0) {
        said = 0;
        if (t->interactive && !slm_cli_flush())
            status = 0; /* said on standard error; the conversation goes on without this turn */
    }
    if (said == 0)
        slm_chat_cut(t->chat, before, NULL);
    return status;
}
