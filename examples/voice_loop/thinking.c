#define _POSIX_C_SOURCE 200809L

#include "thinking.h"

#include "phrases.h"
#include "stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Told to the model behind what was heard of an answer that was interrupted. */
static const char CUT_OFF[] = " [interrupted]";
enum { MAX_ROUNDS = 4, RESULT_SIZE = 4096 };

static void post(thinking *t, int type, const char *text, size_t n, uint64_t begin, uint64_t end,
                 int64_t value) {
    message *m = message_text(type, t->id, text, n);
    if (m) {
        m->begin = begin;
        m->end = end;
        m->value = value;
        m->measured_ms = (double)(clock_ms() - t->begun_ms);
    }
    stage_post(&t->stage, m);
}

/* Between two steps of an evaluation. */
static int32_t keep_on(void *user, uint64_t done, uint64_t total) {
    thinking *t = user;
    (void)done;
    (void)total;
    return atomic_load(&t->stopped);
}

void thinking_stop(thinking *t) {
    atomic_store(&t->stopped, true);
}

static void failed(thinking *t, const char *why) {
    t->doing = THINK_IDLE;
    t->n_calls = t->next_call = 0;
    slm_answer_end(&t->answer);
    post(t, THOUGHT_FAILED, why, strlen(why), 0, 0, 0);
}

static void tell_home(thinking *t) {
    if (t->home)
        post(t, THOUGHT_HOME, NULL, 0, 0, (uint64_t)household_volume(t->home),
             household_next_ms(t->home));
}

static slm_status add(thinking *t, const char *role, const char *text, slm_error *err) {
    slm_message m = {sizeof m, role, SLM_NTS, text, SLM_NTS};
    return slm_chat_add(t->chat, &m, 0, err);
}

/* An evaluation reads all weights at least once, as for a token of an answer. */
static void charge_prompt(thinking *t, uint64_t n_tokens) {
    double ms = t->options->prompt_ms * (double)n_tokens;
    if (n_tokens > 0)
        stage_charge(&t->stage, ms > t->options->token_ms ? ms : t->options->token_ms);
}

/* ---- before the commit ---- */

static void draft(thinking *t) {
    slm_chat_report report = {.struct_size = sizeof report};
    slm_error err = SLM_ERROR_INIT;
    t->doing = THINK_IDLE;
    /* Where it fails, the commit evaluates the same, and tells. */
    if (slm_chat_draft(t->chat, t->text, strlen(t->text), &report, &err) == SLM_OK) {
        t->ahead += report.n_evaluated;
        charge_prompt(t, report.n_evaluated);
    }
}

static void prepare(thinking *t) {
    slm_chat_report report = {.struct_size = sizeof report};
    slm_error err = SLM_ERROR_INIT;
    t->doing = THINK_IDLE;
    if (slm_chat_prepare(t->chat, &report, &err) == SLM_OK)
        charge_prompt(t, report.n_evaluated);
}

/* ---- the answer ---- */

static void set_tail(thinking *t) {
    char tail[512] = "\n";
    slm_error err = SLM_ERROR_INIT;
    if (!t->home)
        return;
    household_tail(t->home, t->now_ms, tail + 1, sizeof tail - 1);
    slm_chat_set_tail(t->chat, tail, SLM_NTS, &err); /* a prompt without it is as good as it can be */
}

static void begin_answer(thinking *t) {
    const thinking_options *o = t->options;
    slm_error err = SLM_ERROR_INIT;
    slm_chat_report report = {.struct_size = sizeof report};
    slm_sampling sampling = {.struct_size = sizeof sampling};
    slm_speech_options speech = {.struct_size = sizeof speech, .min_first = 1};
    slm_sampling_init(&sampling);
    sampling.temperature = 0;
    slm_generate_options generate = {
        .struct_size = sizeof generate, .max_tokens = o->max_tokens, .sampling = &sampling,
        .n_draft = o->n_draft};
    slm_answer_options options = {
        .struct_size = sizeof options, .generate = &generate, .speech = &speech};
    slm_status status = SLM_OK;
    if (o->no_reuse)
        status = slm_session_truncate(t->session, 0, &err);
    if (status == SLM_OK)
        status = slm_chat_answer(t->chat, &options, &t->answer, &report, &err);
    if (status == SLM_ERR_CANCEL && atomic_load(&t->stopped)) {
        t->doing = THINK_STOPPED;
        return;
    }
    if (status != SLM_OK) {
        failed(t, err.message);
        return;
    }
    if (t->is_first) {
        t->reused = report.n_reused;
        t->evaluated = report.n_evaluated;
    }
    charge_prompt(t, report.n_evaluated);
    t->doing = THINK_WRITING;
    t->base = t->n_bytes;
    t->n_tokens = t->n_steps = t->n_drafted = 0;
    t->n_calls = t->next_call = 0;
}

/* Without clause streaming: what is to be spoken is gathered. */
static void gather(thinking *t, const slm_answer_event *ev) {
    size_t n = t->whole ? strlen(t->whole) : 0;
    char *grown = realloc(t->whole, n + ev->text_len + 2);
    if (!grown)
        return;
    t->whole = grown;
    if (n > 0)
        grown[n++] = ' ';
    memcpy(grown + n, ev->text, ev->text_len);
    grown[n + ev->text_len] = '\0';
    t->whole_end = t->base + ev->end;
}

static void end_turn(thinking *t) {
    t->doing = t->options->no_ahead ? THINK_IDLE : THINK_AHEAD;
    if (t->whole)
        post(t, THOUGHT_CLAUSE, t->whole, strlen(t->whole), 0, t->whole_end, 1);
    free(t->whole);
    t->whole = NULL;
    tell_home(t);
    post(t, THOUGHT_END, NULL, 0, 0, t->n_bytes, 0);
}

static void end_message(thinking *t) {
    slm_answer_end(&t->answer);
    if (t->n_calls == 0)
        end_turn(t);
    else if (++t->n_rounds > MAX_ROUNDS)
        failed(t, "the model goes on calling tools");
    else
        t->doing = THINK_CALLING;
}

static void note_call(thinking *t, const slm_answer_event *ev) {
    if (ev->call >= MAX_CALLS)
        return;
    tool_call *c = &t->calls[ev->call];
    if (ev->type == SLM_ANSWER_CALL_BEGIN) {
        snprintf(c->name, sizeof c->name, "%.*s", (int)ev->text_len, ev->text);
        c->arguments[0] = '\0';
        t->n_calls = ev->call + 1;
    } else {
        size_t n = strlen(c->arguments);
        snprintf(c->arguments + n, sizeof c->arguments - n, "%.*s", (int)ev->text_len, ev->text);
    }
}

/* One event of the answer, which is at most one token. */
static void write_on(thinking *t) {
    slm_error err = SLM_ERROR_INIT;
    slm_answer_event ev = {.struct_size = sizeof ev};
    slm_status status = slm_answer_next(t->answer, &ev, &err);
    if (status == SLM_ERR_CANCEL && atomic_load(&t->stopped)) {
        t->doing = THINK_STOPPED;
        return;
    }
    if (status != SLM_OK) {
        failed(t, err.message);
        return;
    }
    stage_charge(&t->stage, t->options->token_ms * (double)(ev.steps - t->n_steps) +
                                t->options->prompt_ms * (double)(ev.drafted - t->n_drafted));
    t->n_steps = ev.steps;
    t->n_drafted = ev.drafted;
    if (ev.count > t->n_tokens && ev.type != SLM_ANSWER_REEVALUATED) {
        t->n_tokens = ev.count;
        if (t->is_first)
            post(t, THOUGHT_FIRST, NULL, 0, t->reused, t->evaluated, (int64_t)t->ahead);
        t->ahead = t->is_first ? 0 : t->ahead;
        t->is_first = false;
    }
    switch (ev.type) {
    case SLM_ANSWER_TEXT:
        t->n_bytes += ev.text_len;
        post(t, THOUGHT_TEXT, ev.text, ev.text_len, 0, 0, 0);
        break;
    case SLM_ANSWER_CLAUSE:
    case SLM_ANSWER_SENTENCE:
        if (t->options->no_clauses)
            gather(t, &ev);
        else
            post(t, THOUGHT_CLAUSE, ev.text, ev.text_len, t->base + ev.begin, t->base + ev.end,
                 ev.type == SLM_ANSWER_SENTENCE);
        break;
    case SLM_ANSWER_CALL_BEGIN:
    case SLM_ANSWER_ARGUMENTS:
        note_call(t, &ev);
        break;
    case SLM_ANSWER_END:
        end_message(t);
        break;
    default:
        break;
    }
}

/* ---- tools ---- */

static void give_result(thinking *t, const char *result) {
    slm_error err = SLM_ERROR_INIT;
    if (add(t, "tool", result, &err) != SLM_OK)
        failed(t, err.message);
    else if (++t->next_call == t->n_calls)
        t->doing = THINK_ANSWER;
}

/* The calls that are left will not happen; the model is told, so that each has its result. */
static void refuse_calls(thinking *t, const char *result) {
    t->asking = t->may_act = false;
    for (t->doing = THINK_CALLING; t->doing == THINK_CALLING;)
        give_result(t, result);
}

static void act(thinking *t, const tool_call *c) {
    char result[RESULT_SIZE] = "";
    bool effect = household_call(t->home, t->now_ms, c->name, c->arguments, result, sizeof result);
    t->had_effect = t->had_effect || effect;
    stage_charge(&t->stage, t->options->tool_ms);
    post(t, THOUGHT_RESULT, result, strlen(result), 0, 0, effect);
    tell_home(t);
    give_result(t, result);
}

/* A call is told of, and happens when the line allows it: not while somebody goes on speaking. */
static void call_next(thinking *t) {
    const tool_call *c = &t->calls[t->next_call];
    char text[sizeof c->name + sizeof c->arguments + 2], question[400] = "";
    if (!t->home) {
        give_result(t, "{\"ok\": false, \"error\": \"no such tool\"}");
    } else if (!t->asking && household_is_risky(t->home, c->name, c->arguments, question,
                                                sizeof question)) {
        t->asking = true;
        t->doing = THINK_IDLE;
        post(t, THOUGHT_QUESTION, question, strlen(question), 0, 0, 0);
        post(t, THOUGHT_END, NULL, 0, 0, t->n_bytes, 0);
    } else if (!t->may_act) {
        t->doing = THINK_WAITING;
        snprintf(text, sizeof text, "%s %s", c->name, c->arguments);
        post(t, THOUGHT_CALL, text, strlen(text), 0, 0, 0);
    } else {
        t->may_act = t->asking = false;
        act(t, c);
    }
}

/* What was said after the question about a risky call: only a yes lets it happen. True where that was
 * all that was said. */
static bool decide_risky(thinking *t, const char *said) {
    if (is_yes(said)) {
        t->doing = THINK_CALLING;
        return true;
    }
    refuse_calls(t, "{\"ok\": false, \"error\": \"not confirmed\"}");
    return is_no(said);
}

/* ---- commands ---- */

static void commit(thinking *t, const message *m) {
    slm_error err = SLM_ERROR_INIT;
    slm_chat_info info = {.struct_size = sizeof info};
    slm_answer_end(&t->answer);
    t->begun_ms = clock_ms();
    t->is_first = true;
    t->had_effect = false;
    t->n_rounds = 0;
    t->n_bytes = t->base = 0;
    t->reused = t->evaluated = 0;
    slm_chat_get_info(t->chat, &info, NULL);
    t->n_before = info.n_messages;
    set_tail(t);
    if (t->asking && decide_risky(t, m->data.text))
        return;
    if (add(t, "user", m->data.text, &err) != SLM_OK)
        failed(t, err.message);
    else
        t->doing = THINK_ANSWER;
}

/* The conversation keeps what was heard. Where a question waits for its answer, that is what comes. */
static void cancel(thinking *t, uint64_t heard) {
    slm_error err = SLM_ERROR_INIT;
    if (t->asking)
        return;
    if (t->doing == THINK_CALLING || t->doing == THINK_WAITING)
        refuse_calls(t, "{\"ok\": false, \"error\": \"interrupted\"}");
    else if (t->answer || t->doing == THINK_IDLE || t->doing == THINK_AHEAD) {
        /* the last message is the model's */
        slm_answer_end(&t->answer);
        slm_chat_keep(t->chat, heard > t->base ? heard - t->base : 0, CUT_OFF, SLM_NTS, &err);
    }
    t->doing = THINK_IDLE;
    free(t->whole);
    t->whole = NULL;
}

static void undo(thinking *t) {
    slm_error err = SLM_ERROR_INIT;
    if (t->had_effect) {
        cancel(t, 0);
        return;
    }
    slm_answer_end(&t->answer);
    slm_chat_cut(t->chat, t->n_before, &err);
    t->asking = t->may_act = false;
    t->doing = THINK_IDLE;
    free(t->whole);
    t->whole = NULL;
}

static bool set_text(thinking *t, const message *m) {
    free(t->text);
    t->text = strdup(m->data.text);
    return t->text != NULL;
}

static void ring(thinking *t) {
    char sentence[400];
    while (t->home && household_rings(t->home, t->now_ms, sentence, sizeof sentence))
        post(t, THOUGHT_RANG, sentence, strlen(sentence), 0, 0, 0);
    tell_home(t);
}

static void command(void *self, const message *m) {
    thinking *t = self;
    bool answering = t->doing == THINK_ANSWER || t->doing == THINK_WRITING ||
                     t->doing == THINK_CALLING || t->doing == THINK_WAITING ||
                     t->doing == THINK_STOPPED;
    switch (m->type) {
    case THINK_DRAFT:
        if (answering || t->asking || t->options->no_ahead || !set_text(t, m))
            return;
        t->doing = THINK_DRAFTING;
        break;
    case THINK_COMMIT:
        t->id = m->id;
        t->now_ms = m->value;
        commit(t, m);
        break;
    case THINK_CANCEL:
        atomic_store(&t->stopped, false);
        cancel(t, m->end);
        break;
    case THINK_UNDO:
        atomic_store(&t->stopped, false);
        undo(t);
        break;
    case THINK_FORGET:
        if (!answering && slm_chat_rollback(t->chat, NULL) == SLM_OK)
            t->doing = THINK_IDLE;
        t->ahead = 0;
        break;
    case THINK_ACT:
        if (t->doing == THINK_WAITING) {
            t->doing = THINK_CALLING;
            t->may_act = true;
        }
        break;
    case THINK_RING:
        t->now_ms = m->value;
        ring(t);
        break;
    default:
        break;
    }
}

static bool work(void *self) {
    thinking *t = self;
    switch (t->doing) {
    case THINK_DRAFTING:
        draft(t);
        return true;
    case THINK_ANSWER:
        begin_answer(t);
        return true;
    case THINK_WRITING:
        write_on(t);
        return true;
    case THINK_CALLING:
        call_next(t);
        return true;
    case THINK_AHEAD:
        prepare(t);
        return true;
    default:
        return false;
    }
}

bool thinking_open(thinking *t, slm_model *model, household *home, const thinking_options *options,
                   bool is_virtual, char *why, size_t why_size) {
    static const stage_ops ops = {command, work};
    slm_error err = SLM_ERROR_INIT;
    slm_cache_options cache = {
        .struct_size = sizeof cache, .n_ctx = options->n_ctx, .n_threads = options->n_threads,
        .max_logits = options->n_draft,
        .yield = keep_on, .yield_user = t};
    slm_chat_options chat = {.struct_size = sizeof chat,
                             .when_full = SLM_CHAT_FULL_DROP, /* it talks all day */
                             .tools = options->tools,
                             .tools_len = SLM_NTS};
    *t = (thinking){.options = options, .home = home, .model = model};
    slm_status status = slm_session_open(model, &cache, &t->session, &err);
    if (status == SLM_OK)
        status = slm_chat_open(t->session, &chat, &t->chat, &err);
    if (status == SLM_OK && options->system)
        status = add(t, "system", options->system, &err);
    if (status == SLM_OK && !options->no_ahead)
        status = slm_chat_prepare(t->chat, NULL, &err);
    if (status == SLM_OK) {
        if (stage_open(&t->stage, "model", &ops, t, is_virtual))
            return true;
        snprintf(err.message, sizeof err.message, "no memory for the stage");
    }
    fail(why, why_size, "%s", err.message);
    slm_chat_close(&t->chat);
    slm_session_close(&t->session);
    return false;
}

void thinking_close(thinking *t) {
    if (!t->chat)
        return;
    slm_session_cancel(t->session);
    stage_close(&t->stage);
    slm_answer_end(&t->answer);
    slm_chat_close(&t->chat);
    slm_session_close(&t->session);
    free(t->text);
    free(t->whole);
    *t = (thinking){0};
}
