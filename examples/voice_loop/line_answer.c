/* The line's other half: the turn, what is spoken, what was played, and what an interruption leaves. */
#include "line.h"
#include "stream.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CLAUSE_PAUSE_MS = 60, SENTENCE_PAUSE_MS = 220 };
/* With so much to be played the voice has time. */
enum { ENOUGH_MS = 3000 };
/* At which a voice is played as it comes. */
static const double USUAL_VOLUME = 60;
enum { LONGEST_THOUGHT_MS = 60000, LONGEST_SILENT_VOICE_MS = 15000, AWAKE_MS = 8000 };

static const char NO_ANSWER[] = "Sorry, I have no answer to that.";
static const char NOT_HEARD[] = "Sorry, I could not hear that. Please say it again.";
static const char NOT_UNDERSTOOD[] = "Sorry, I did not understand that.";
static const char NOT_THOUGHT[] = "Sorry, something went wrong. Please ask me again.";
static const char VOICE_LOST[] = "Sorry, my voice failed.";
static const char FILLER[] = "One moment.";

/* ---- what is to be spoken ---- */

static void push(line *l, message *text, say_kind kind, bool ends_sentence) {
    clause *c = text ? calloc(1, sizeof *c) : NULL;
    if (!c) {
        free(text);
        l->skipped_some = true;
        return;
    }
    *c = (clause){.text = text, .kind = kind, .ends_sentence = ends_sentence};
    if (l->last_clause)
        l->last_clause->next = c;
    else
        l->first = c;
    l->last_clause = c;
}

static void push_words(line *l, const char *words, say_kind kind) {
    push(l, message_text(0, 0, words, strlen(words)), kind, true);
    if (!l->answering)
        return;
    text_add(&l->turn.also_said, words, strlen(words));
    text_add(&l->turn.also_said, "\n", 1);
    l->said_some = l->said_some || kind != SAY_FILLER;
}

static void pop(line *l) {
    clause *c = l->first;
    l->saying = false;
    l->after_sentence = c->ends_sentence;
    l->first = c->next;
    if (!l->first)
        l->last_clause = NULL;
    free(c->text);
    free(c);
}

void line_silence(line *l) {
    if (l->saying)
        stage_send(&l->talk->stage, message_text(TALK_STOP, 0, NULL, 0), line_us(l));
    while (l->first)
        pop(l);
    playout_clear(&l->playout);
    l->after_sentence = false;
}

bool line_is_playing(const line *l) {
    return l->first || !playout_is_empty(&l->playout);
}

void line_hold(line *l) {
    if (!l->playout.held)
        l->held_at = line_ms(l);
    l->playout.held = true;
}

void line_resume(line *l) {
    if (l->playout.held && l->turn.first_audio >= 0)
        l->turn.resumed++;
    l->playout.held = false;
}

static void say_next(line *l) {
    clause *c = l->first;
    if (l->saying || !c || playout_ms(&l->playout) > ENOUGH_MS)
        return;
    const message *m = c->text;
    int pause = l->after_sentence ? SENTENCE_PAUSE_MS : CLAUSE_PAUSE_MS;
    bool is_answer = c->kind == SAY_ANSWER || c->kind == SAY_INSTEAD;
    if (!playout_mark(&l->playout, m->begin, m->end, is_answer, pause))
        return; /* no memory now; the next step tries again */
    l->saying = true;
    l->say_since = line_ms(l);
    stage_send(&l->talk->stage, message_text(TALK_SAY, ++l->say_id, m->data.text, m->n), line_us(l));
}

/* The engine is started again by the next text: an excuse, then the clause once more. */
static void voice_failed(line *l, const char *why) {
    clause *c = l->first;
    line_warn(l, "the voice failed", why);
    if (l->answering && l->turn.error.n == 0)
        text_add(&l->turn.error, why, strlen(why));
    l->saying = false;
    playout_spoil(&l->playout);
    if (c->retried || c->kind != SAY_ANSWER) {
        line_warn(l, "not spoken", c->text->data.text);
        l->skipped_some = true;
        pop(l);
        return;
    }
    c->retried = true;
    clause *rest = l->first, *last = l->last_clause;
    l->first = l->last_clause = NULL;
    push_words(l, VOICE_LOST, SAY_FILLER);
    if (l->first) {
        l->first->next = rest;
        l->last_clause = last;
    } else {
        l->first = rest;
        l->last_clause = last;
    }
}

static void take_sound(line *l, const message *m) {
    say_kind kind = l->first->kind;
    l->say_since = line_ms(l);
    if (!playout_add(&l->playout, m->data.samples, m->n))
        l->skipped_some = true;
    if (l->answering && l->turn.synthesis < 0 && (kind == SAY_ANSWER || kind == SAY_INSTEAD)) {
        l->turn.synthesis = (double)m->due_us / 1000;
        l->turn.measured.first_audio = m->measured_ms;
    }
}

static void take_talked(line *l) {
    message *m;
    while ((m = stage_receive(&l->talk->stage, line_us(l)))) {
        if (l->saying && m->id == l->say_id) {
            if (m->type == TALKED_SOUND)
                take_sound(l, m);
            else if (m->type == TALKED_END)
                pop(l);
            else
                voice_failed(l, m->data.text);
        }
        free(m);
    }
    if (l->saying && line_ms(l) - l->say_since > LONGEST_SILENT_VOICE_MS) {
        l->say_id++; /* whatever still comes of it is too late */
        voice_failed(l, "no sound came");
    }
}

/* ---- the turn ---- */

static void add_line(long_text *t, const message *m) {
    text_add(t, m->data.text, m->n);
    text_add(t, "\n", 1);
}

static void end_turn(line *l) {
    l->answering = l->call_waits = false;
    l->awake_until = line_ms(l) + AWAKE_MS;
    playout_clear(&l->playout);
    ledger_add(l->ledger, &l->turn);
}

static void begin_turn(line *l, const utterance *u) {
    turn_init(&l->turn, ++l->n_turns);
    l->turn.speech_start = u->start;
    l->turn.speech_end = u->end;
    l->turn.vad_end = u->vad_end;
    l->turn.guesses = l->n_guesses;
    l->n_guesses = 0;
    l->answering = true;
    l->thought_out = l->said_some = l->skipped_some = l->call_waits = false;
    l->heard_of_model = line_ms(l);
    l->call_since = -1;
}

/* The model has the turn, which it does not where recognition failed or nothing was understood. */
static bool was_committed(const line *l) {
    return l->turn.begun >= 0;
}

/* Nothing of the answer was heard yet and nothing was done: what is said now belongs to it. */
static bool goes_on(const line *l) {
    return l->answering && was_committed(l) && l->turn.first_audio < 0 && !l->turn.had_effect;
}

static void commit(line *l, const char *text, size_t n) {
    message *m = message_text(THINK_COMMIT, ++l->n_commits, text, n);
    if (m)
        m->value = (int64_t)line_ms(l);
    stage_send(&l->think->stage, m, line_us(l));
}

static void undo(line *l) {
    thinking_stop(l->think);
    stage_send(&l->think->stage, message_text(THINK_UNDO, 0, NULL, 0), line_us(l));
}

void line_guess(line *l, const char *text) {
    fail(l->guess, sizeof l->guess, "%s", text);
    l->guessing = true;
    l->guessed_at = line_ms(l);
    l->n_guesses++;
    commit(l, l->guess, strlen(l->guess));
}

void line_take_back(line *l) {
    if (l->guessing)
        undo(l);
    l->guessing = false;
}

/* Somebody may have gone on already: then a turn begins as one that is spoken into. */
static void go_on_listening(line *l) {
    if (l->speaking) {
        l->now.during_answer = true;
        line_hold(l);
    }
}

void line_accept(line *l, const utterance *u, const char *said, double asr_ms, double measured_ms) {
    utterance whole = *u;
    long_text before = {0};
    bool was_guessed = l->guessing && strcmp(said, l->guess) == 0;
    if (!was_guessed)
        line_take_back(l);
    l->guessing = false;
    if (goes_on(l)) {
        whole.start = l->turn.speech_start;
        l->n_guesses += l->turn.guesses;
        before = l->turn.transcript;
        l->turn.transcript = (long_text){0};
        turn_free(&l->turn);
        l->n_turns--;
        line_silence(l);
        undo(l);
    } else if (l->answering) {
        line_interrupt(l, u->start);
    }
    begin_turn(l, &whole);
    l->turn.transcript = before;
    if (before.n > 0)
        text_add(&l->turn.transcript, " ", 1);
    text_add(&l->turn.transcript, said, strlen(said));
    l->turn.asr = asr_ms;
    l->turn.measured.asr = measured_ms;
    l->asking = false;
    l->turn.begun = was_guessed ? l->guessed_at : line_ms(l);
    if (!was_guessed)
        commit(l, text_get(&l->turn.transcript), l->turn.transcript.n);
    go_on_listening(l);
}

void line_interrupt(line *l, double barge_in_ms) {
    l->turn.spoken = playout_heard(&l->playout, text_get(&l->turn.answer));
    l->turn.interrupted = true;
    l->turn.barge_in = barge_in_ms;
    l->turn.silent = fmax(l->held_at, ceil(l->turn.last_audio + 1000.0 / LINE_RATE));
    if (was_committed(l)) {
        message *m = message_text(THINK_CANCEL, 0, NULL, 0);
        if (m)
            m->end = l->turn.spoken;
        thinking_stop(l->think);
        stage_send(&l->think->stage, m, line_us(l));
    }
    line_silence(l);
    end_turn(l);
}

void line_excuse(line *l, const utterance *u) {
    static const char why[] = "recognition failed";
    begin_turn(l, u);
    go_on_listening(l);
    text_add(&l->turn.error, why, sizeof why - 1);
    l->thought_out = true;
    push_words(l, NOT_HEARD, SAY_INSTEAD);
}

void line_refuse(line *l, const utterance *u, const char *said, double asr_ms, double measured_ms) {
    begin_turn(l, u);
    go_on_listening(l);
    text_add(&l->turn.transcript, said, strlen(said));
    l->turn.asr = asr_ms;
    l->turn.measured.asr = measured_ms;
    l->thought_out = true;
    push_words(l, NOT_UNDERSTOOD, SAY_INSTEAD);
}

/* ---- the model ---- */

static void model_failed(line *l, const char *why) {
    line_warn(l, "the model failed", why);
    if (l->turn.error.n == 0)
        text_add(&l->turn.error, why, strlen(why));
    l->thought_out = true;
    l->call_since = -1;
    push_words(l, NOT_THOUGHT, SAY_INSTEAD);
}

static void take_first(line *l, const message *m) {
    turn *t = &l->turn;
    t->first_token = fmax((double)m->due_us / 1000, t->asr); /* what was guessed counts from then */
    t->measured.first_token = m->measured_ms;
    t->reused = (int64_t)m->begin;
    t->evaluated = (int64_t)m->end;
    t->ahead = m->value;
}

static void take_clause(line *l, message *m) {
    if (l->turn.first_clause < 0) {
        l->turn.first_clause = fmax((double)m->due_us / 1000, l->turn.asr);
        l->turn.measured.first_clause = m->measured_ms;
    }
    l->said_some = true;
    push(l, m, SAY_ANSWER, m->value != 0);
}

/* True: the message was kept. */
static bool take_thought(line *l, message *m) {
    turn *t = &l->turn;
    l->heard_of_model = line_ms(l);
    switch (m->type) {
    case THOUGHT_FIRST:
        take_first(l, m);
        break;
    case THOUGHT_TEXT:
        text_add(&t->answer, m->data.text, m->n);
        break;
    case THOUGHT_CLAUSE:
        take_clause(l, m);
        return true;
    case THOUGHT_CALL:
        add_line(&t->calls, m);
        l->call_waits = true;
        break;
    case THOUGHT_RESULT:
        t->had_effect = t->had_effect || m->value != 0;
        add_line(&t->calls, m);
        l->call_since = -1;
        break;
    case THOUGHT_QUESTION:
        l->asking = true;
        push_words(l, m->data.text, SAY_INSTEAD);
        break;
    case THOUGHT_END:
        l->thought_out = true;
        if (!l->said_some)
            push_words(l, NO_ANSWER, SAY_INSTEAD);
        break;
    default:
        model_failed(l, m->data.text);
        break;
    }
    return false;
}

static void take_thoughts(line *l) {
    message *m;
    if (l->guessing) /* they wait */
        return;
    while ((m = stage_receive(&l->think->stage, line_us(l)))) {
        bool kept = false;
        if (m->type == THOUGHT_RANG) {
            push_words(l, m->data.text, SAY_RING);
        } else if (m->type == THOUGHT_HOME) {
            l->next_ring = m->value;
            l->playout.gain = (double)m->end / USUAL_VOLUME;
        } else if (l->answering && !l->thought_out && m->id == l->n_commits) {
            kept = take_thought(l, m);
        }
        if (!kept)
            free(m);
    }
    if (l->answering && !l->thought_out &&
        line_ms(l) - l->heard_of_model > LONGEST_THOUGHT_MS) {
        thinking_stop(l->think);
        stage_send(&l->think->stage, message_text(THINK_CANCEL, 0, NULL, 0), line_us(l));
        model_failed(l, "no answer came");
    }
}

static void ask_what_rings(line *l) {
    if (l->next_ring < 0 || line_ms(l) < (double)l->next_ring)
        return;
    message *m = message_text(THINK_RING, 0, NULL, 0);
    if (m)
        m->value = (int64_t)line_ms(l);
    if (stage_send(&l->think->stage, m, line_us(l)))
        l->next_ring = -1; /* until the home has told of the next */
}

/* What somebody is saying may be a part of what is being acted on. */
static void allow_call(line *l) {
    if (!l->call_waits || l->speaking || l->finishing)
        return;
    if (!stage_send(&l->think->stage, message_text(THINK_ACT, 0, NULL, 0), line_us(l)))
        return;
    l->call_waits = false;
    l->call_since = line_ms(l);
}

static void fill(line *l) {
    int after = l->options->filler_ms;
    if (after <= 0 || l->call_since < 0 || line_ms(l) - l->call_since < after ||
        line_is_playing(l))
        return;
    l->call_since = -1; /* once a call */
    push_words(l, FILLER, SAY_FILLER);
}

void line_answer_step(line *l) {
    take_thoughts(l);
    take_talked(l);
    ask_what_rings(l);
    allow_call(l);
    fill(l);
    say_next(l);
    if (!l->answering || !l->thought_out || line_is_playing(l))
        return;
    l->turn.spoken = l->skipped_some ? playout_heard(&l->playout, text_get(&l->turn.answer))
                                     : l->turn.answer.n;
    end_turn(l);
}

void line_note_played(line *l, const int16_t out[LINE_BLOCK]) {
    if (!l->answering || !playout_answers(&l->playout))
        return;
    for (int i = 0; i < LINE_BLOCK; i++) {
        double at = ((double)l->n_blocks * LINE_BLOCK + i) * 1000 / LINE_RATE;
        if (out[i] == 0)
            continue;
        if (l->turn.first_audio < 0)
            l->turn.first_audio = at;
        l->turn.last_audio = at;
    }
}
