#define _POSIX_C_SOURCE 200809L

#include "line.h"
#include "stream.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Of the last blocks so many must be loud for speech to begin, and for it to go on. */
enum { ONSET_BLOCKS = 8, ONSET_LOUD = 6, LASTING_BLOCKS = 5, LASTING_LOUD = 3 };
/* With fewer voiced blocks it was a noise, about which no recogniser is asked. */
enum { LEAST_VOICED = 4, NOISE_WAIT_MS = 200, BACKCHANNEL_WAIT_MS = 300 };
enum { PARTIAL_EVERY_MS = 200, LONGEST_MS = 30000, LONGEST_FINISH_MS = 10000 };
/* What begins so long after the speaker was last heard, and is so much quieter, is somebody else, or
 * music. */
enum { TRAILS_MS = 150 };
static const double QUIETER_DB = 12;
/* What goes on for so long without a pause may be the room. */
enum { LEARNS_AFTER_MS = 8000 };
/* An answer is given up before all of what was said is there, when that much speaks for it. */
enum { CLEAR_WORDS = 2, CLEAR_VOICED = 25 };
/* A pause after which what was understood may be all: longer than those within words. */
enum { GUESS_AFTER_MS = 160 };
/* An engine that does not stream needs longer than that, and is asked before: for who goes on the words so far
 * are a draft. But it cannot give up what it is at, and the last words wait for that: where the last time took
 * longer than QUICK_MS, it is asked when the pause looks like the end. */
enum { WHOLE_AFTER_MS = 80, WHOLE_EVERY_MS = 400, QUICK_MS = 400 };
/* An engine that takes longer is not asked in pauses any more: the final transcript would wait for it. */
enum { SLOW_PARTIAL_MS = 1000 };
/* Shorter than that, one word is more often misheard attention than meant. */
enum { SHORT_MS = 500 };
/* After so many things in a row that were not understood it is not this loop that is spoken to, and it
 * says so no more for a while. */
enum { MOST_REFUSED = 3, REFUSED_AGAIN_MS = 60000 };

double line_ms(const line *l) {
    return (double)l->n_blocks * 10;
}

int64_t line_us(const line *l) {
    return l->n_blocks * 10000;
}

void line_warn(line *l, const char *what, const char *why) {
    char text[600];
    fail(text, sizeof text, "%s: %s", what, why);
    if (l->options->warn)
        l->options->warn(l->options->warn_user, text);
}

void line_init(line *l, const line_options *options, hearing *hear, thinking *think, talking *talk,
               turn_ledger *ledger) {
    *l = (line){.options = options,
                .hear = hear,
                .think = think,
                .talk = talk,
                .ledger = ledger,
                .call_since = -1,
                .awake_until = -1,
                .next_ring = -1};
    activity_init(&l->activity);
    endpoint_init(&l->endpoint);
    playout_init(&l->playout);
    stage_send(&think->stage, message_text(THINK_RING, 0, NULL, 0), 0); /* what the home has */
}

void line_close(line *l) {
    line_silence(l);
    if (l->answering)
        turn_free(&l->turn);
    playout_free(&l->playout);
}

void line_press(line *l, bool pressed) {
    l->pressed = pressed;
}

/* ---- what was said ---- */

static void drop(line *l) {
    line_take_back(l);
    l->n_guesses = 0;
    if (l->answering && !l->speaking)
        line_resume(l);
    else if (!l->answering)
        stage_send(&l->think->stage, message_text(THINK_FORGET, 0, NULL, 0), line_us(l));
}

/* Behind the wake phrase, where one is needed; NULL where it is missing. */
static const char *behind_wake(const line *l, const utterance *u, const char *text) {
    const char *wake = l->options->wake;
    if (!wake || l->answering || u->start < l->awake_until)
        return text;
    size_t n = strlen(wake);
    if (strncasecmp(text, wake, n) != 0)
        return NULL;
    return text + n + strspn(text + n, " ,.!");
}

static bool only_shows_attention(const line *l, const utterance *u, const char *text) {
    if (l->asking && (is_yes(text) || is_no(text)))
        return false;
    bool is_short = u->end - u->start < SHORT_MS && words_in(text) < CLEAR_WORDS;
    return u->during_answer && (is_backchannel(text) || (is_short && !is_order(text)));
}

static void refuse(line *l, const char *text, const message *m) {
    bool again = l->n_refused < MOST_REFUSED || line_ms(l) - l->refused_at > REFUSED_AGAIN_MS;
    int n_guesses = l->n_guesses;
    drop(l);
    l->n_refused = again ? l->n_refused % MOST_REFUSED + 1 : l->n_refused;
    l->refused_at = line_ms(l);
    if (!again || l->answering)
        return;
    l->n_guesses = n_guesses;
    line_refuse(l, &l->last, text, (double)m->due_us / 1000, m->measured_ms);
}

static void take_final(line *l, const message *m) {
    const char *text = behind_wake(l, &l->last, m->data.text);
    l->finishing = false;
    if (!text || words_in(text) == 0 || only_shows_attention(l, &l->last, text)) {
        drop(l);
    } else if (m->end && !is_yes(text) && !is_no(text) && !is_order(text)) {
        refuse(l, text, m);
    } else {
        l->n_refused = 0;
        line_accept(l, &l->last, text, (double)m->due_us / 1000, m->measured_ms);
    }
}

static void take_partial(line *l, const message *m) {
    utterance *u = &l->now;
    u->heard_to = (double)m->value;
    if (strcmp(u->partial, m->data.text) == 0) {
        u->doubted |= m->end != 0; /* only a pause lets it be asked */
        return;
    }
    u->doubted = m->end != 0;
    line_take_back(l);
    fail(u->partial, sizeof u->partial, "%s", m->data.text);
    bool clear = u->n_voiced >= CLEAR_VOICED && words_in(u->partial) >= CLEAR_WORDS &&
                 !is_backchannel(u->partial);
    if (l->answering && clear && l->turn.first_audio >= 0)
        line_interrupt(l, u->start);
    if (u->partial[0] && !l->answering && !l->finishing &&
        (!l->options->wake || u->start < l->awake_until))
        stage_send(&l->think->stage,
                   message_text(THINK_DRAFT, u->id, u->partial, strlen(u->partial)), line_us(l));
}

/* Of an utterance that is over: the speaker is told. */
static void excuse(line *l, const utterance *u) {
    line_take_back(l);
    if (l->answering)
        drop(l);
    else
        line_excuse(l, u);
}

/* Somebody who still speaks is heard out, though nobody recognises it. */
static void take_failure(line *l, bool of_last, const char *why) {
    line_warn(l, "recognition failed", why);
    if (!of_last) {
        l->now.failed = true;
        return;
    }
    l->finishing = false;
    excuse(l, &l->last);
}

static void take_heard(line *l) {
    message *m;
    while ((m = stage_receive(&l->hear->stage, line_us(l)))) {
        bool of_last = l->finishing && m->id == l->last.id;
        bool of_now = l->speaking && m->id == l->now.id;
        if (m->type == HEARD_PARTIAL || m->type == HEARD_NOTHING) { /* it did one after the other */
            double due = (double)m->due_us / 1000, asked = (double)m->value;
            l->partial_ms = due - (asked > l->partial_at ? asked : l->partial_at);
            l->partial_at = due;
            l->slow_partials |= l->partial_ms > SLOW_PARTIAL_MS;
        }
        if (m->type == HEARD_FINAL && of_last)
            take_final(l, m);
        else if (m->type == HEARD_PARTIAL && of_now)
            take_partial(l, m);
        else if (m->type == HEARD_FAILED && (of_last || of_now))
            take_failure(l, of_last, m->data.text);
        free(m);
    }
    if (l->finishing && line_ms(l) - l->last.vad_end > LONGEST_FINISH_MS)
        take_failure(l, true, "no transcript came");
}

/* ---- the microphone ---- */

static void keep_preroll(line *l, const int16_t *mic) {
    memmove(l->preroll, l->preroll + 1, sizeof l->preroll - sizeof *l->preroll);
    memcpy(l->preroll[PREROLL_BLOCKS - 1], mic, sizeof *l->preroll);
    if (l->n_preroll < PREROLL_BLOCKS)
        l->n_preroll++;
}

static void feed(line *l, const int16_t *x, size_t n) {
    message *m = message_samples(HEAR_FEED, l->now.id, n);
    if (m)
        memcpy(m->data.samples, x, n * sizeof *x);
    if (!stage_send(&l->hear->stage, m, line_us(l)))
        take_failure(l, false, "it does not keep up");
}

static void begin_utterance(line *l, int first_loud) {
    l->speaking = true;
    bool early = !l->hear->recognizer->streams && l->partial_ms <= QUICK_MS;
    l->now = (utterance){.id = ++l->n_utterances,
                         .ask_after = early ? WHOLE_AFTER_MS : GUESS_AFTER_MS,
                         .start = line_ms(l) - 10 * first_loud,
                         .end = line_ms(l),
                         .asked = line_ms(l),
                         .heard_to = -1,
                         .during_answer = l->answering};
    if (l->answering)
        line_hold(l);
    else
        line_silence(l); /* what rings stops when somebody speaks */
    stage_send(&l->hear->stage, message_text(HEAR_BEGIN, l->now.id, NULL, 0), line_us(l));
    feed(l, l->preroll[PREROLL_BLOCKS - l->n_preroll], (size_t)l->n_preroll * LINE_BLOCK);
}

static void end_utterance(line *l, bool was_noise) {
    message *m = message_text(was_noise ? HEAR_CANCEL : HEAR_FINISH, l->now.id, NULL, 0);
    if (m)
        m->value = (int64_t)l->now.end;
    stage_send(&l->hear->stage, m, line_us(l));
    l->now.vad_end = line_ms(l);
    l->speaking = false;
    l->n_preroll = 0;
    if (was_noise) {
        drop(l);
    } else if (l->now.failed) {
        excuse(l, &l->now);
    } else {
        l->last = l->now;
        l->finishing = true;
    }
}

/* Partials come from engines that tell something before the end, and, of all engines, where somebody
 * pauses. What was settled then is not asked again before somebody goes on: it is the final text, and
 * what streams may differ. */
static void ask_partial(line *l) {
    utterance *u = &l->now;
    double now = line_ms(l), after = u->ask_after;
    bool streams = l->hear->recognizer->streams;
    bool pauses = now - u->end >= after && u->asked - u->end < after &&
                  (streams || now - u->asked >= WHOLE_EVERY_MS) &&
                  u->n_voiced >= LEAST_VOICED && !l->options->no_early && !l->slow_partials;
    bool goes_on = streams && !(u->settles && l->hear->recognizer->settle);
    if (u->failed || !(pauses || (goes_on && now - u->asked >= PARTIAL_EVERY_MS)))
        return;
    u->settles = pauses;
    message *m = message_text(HEAR_PARTIAL, u->id, NULL, 0);
    if (m) {
        m->value = (int64_t)now;
        m->begin = pauses;
    }
    u->asked = now;
    stage_send(&l->hear->stage, m, line_us(l));
}

static void guess(line *l) {
    const utterance *u = &l->now;
    bool may = !l->guessing && !l->answering && !l->finishing && !l->asking &&
               !l->options->no_early && !u->failed && u->n_voiced >= LEAST_VOICED;
    if (!may || u->doubted)
        return;
    if (line_ms(l) - u->end < GUESS_AFTER_MS || u->heard_to - u->end < u->ask_after ||
        how_complete(u->partial) == SOUNDS_OPEN)
        return;
    const char *text = behind_wake(l, u, u->partial);
    if (text && words_in(text) > 0)
        line_guess(l, text);
}

/* Whether what is loud now can be of who speaks in this utterance; before the first voice, anybody. */
static bool is_of_speaker(const line *l, utterance *u) {
    double power = pow(10, l->activity.level_db / 10);
    if (u->n_voiced > 0 && line_ms(l) - u->end >= TRAILS_MS &&
        power * u->n_voiced <= u->power * pow(10, -QUIETER_DB / 10))
        return false;
    if (l->activity.is_voiced) {
        u->n_voiced++;
        u->power += power;
    }
    return true;
}

static void go_on(line *l, const int16_t *mic) {
    utterance *u = &l->now;
    double now = line_ms(l), silence;
    if (!u->failed)
        feed(l, mic, LINE_BLOCK);
    if (is_of_speaker(l, u) && l->activity.is_loud &&
        activity_count(&l->activity, LASTING_BLOCKS) >= LASTING_LOUD) {
        endpoint_note_pause(&l->endpoint, now - 10 - u->end);
        u->end = now;
        u->settles = false;
        line_take_back(l);
    }
    ask_partial(l);
    guess(l);
    silence = now - u->end;
    if (l->finishing) /* one at a time */
        return;
    bool is_noise = u->n_voiced < LEAST_VOICED;
    bool known = u->partial[0] && (l->hear->recognizer->streams || u->heard_to > u->end);
    double wait = endpoint_wait_ms(&l->endpoint, known ? u->partial : NULL);
    if (known && u->during_answer && is_backchannel(u->partial) && !l->asking)
        wait = BACKCHANNEL_WAIT_MS;
    if (is_noise)
        wait = NOISE_WAIT_MS;
    if (l->options->push_to_talk)
        wait = l->pressed ? LONGEST_MS : 0;
    if (silence >= wait || now - u->start >= LONGEST_MS)
        end_utterance(l, is_noise);
}

static void listen(line *l, const int16_t *mic, double at_least_db) {
    l->activity.holds = l->speaking && line_ms(l) - l->now.start < LEARNS_AFTER_MS;
    activity_step(&l->activity, mic, at_least_db);
    keep_preroll(l, mic);
    if (l->speaking) {
        go_on(l, mic);
        return;
    }
    if (l->options->push_to_talk && !l->pressed)
        return;
    if (!l->activity.is_loud || activity_count(&l->activity, ONSET_BLOCKS) < ONSET_LOUD)
        return;
    int first = ONSET_BLOCKS;
    while (!(l->activity.loud_bits >> (first - 1) & 1))
        first--;
    begin_utterance(l, first);
}

void line_step(line *l, const int16_t mic[LINE_BLOCK], double at_least_db,
               int16_t out[LINE_BLOCK]) {
    playout_render(&l->playout, out);
    line_note_played(l, out);
    l->n_blocks++;
    stage_run(&l->hear->stage, line_us(l));
    stage_run(&l->think->stage, line_us(l));
    stage_run(&l->talk->stage, line_us(l));
    take_heard(l);
    listen(l, mic, at_least_db);
    line_answer_step(l);
}

bool line_is_idle(const line *l) {
    return !l->speaking && !l->finishing && !l->answering && !line_is_playing(l);
}
