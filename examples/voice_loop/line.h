/* The line: from the microphone to the loudspeaker, 10 ms at a step. Who speaks, when somebody is done,
 * what an interruption is, what is played: all of that is decided here, by one thread and by the clock
 * that the samples make, so that it is the same from a file and from a device. The stages do the work
 * (hearing.h, thinking.h, talking.h); what they send is looked at once a step. */
#ifndef SLM_VOICE_LINE_H
#define SLM_VOICE_LINE_H

#include "activity.h"
#include "endpoint.h"
#include "hearing.h"
#include "ledger.h"
#include "playout.h"
#include "thinking.h"

typedef struct line_options {
    const char *wake;     /* what is said has to begin with it; NULL: no such phrase */
    bool push_to_talk;    /* listens while line_press says so */
    bool no_early;        /* no answer is begun before the final transcript */
    int filler_ms;        /* a tool that takes longer is spoken over; 0: never */
    /* A line for whoever runs the program: a stage failed, a text that could not be spoken. */
    void (*warn)(void *user, const char *text);
    void *warn_user;
} line_options;

/* 300 ms from before the first loud sample go to recognition. */
enum { PREROLL_BLOCKS = 38, PARTIAL_SIZE = 1024 };

typedef struct utterance {
    uint32_t id;
    double start, end, vad_end; /* ms */
    double asked;               /* for a partial, ms */
    double ask_after;           /* so much silence, ms */
    double heard_to;            /* up to when the partial heard, ms; -1: there was none */
    int n_voiced;               /* blocks with a pitch */
    double power;               /* of these, summed */
    bool during_answer;
    bool settles; /* its partial was asked for in the present pause */
    bool failed; /* nobody recognises it */
    bool doubted; /* the partial, by who heard it */
    char partial[PARTIAL_SIZE];
} utterance;

/* A piece of text to be spoken. */
typedef enum { SAY_ANSWER, SAY_INSTEAD /* of an answer */, SAY_FILLER, SAY_RING } say_kind;
typedef struct clause {
    struct clause *next;
    message *text; /* with the bytes of the answer that it speaks */
    say_kind kind;
    bool ends_sentence, retried;
} clause;

typedef struct line {
    const line_options *options;
    hearing *hear;
    thinking *think;
    talking *talk;
    turn_ledger *ledger;
    activity activity;
    endpoint endpoint;
    playout playout;
    int64_t n_blocks; /* the clock */

    int16_t preroll[PREROLL_BLOCKS][LINE_BLOCK];
    int n_preroll;    /* blocks since the last utterance, up to all */
    bool pressed;
    bool speaking;    /* somebody does */
    utterance now;
    bool finishing;   /* the final transcript of `last` is awaited */
    utterance last;
    uint32_t n_utterances;
    int n_refused;     /* in a row */
    double refused_at; /* the last of them, ms */
    double partial_ms, partial_at; /* what the last partial took, and when it came */
    bool slow_partials;
    bool guessing; /* the model answers `guess`, of which it is not known yet whether it is all */
    double guessed_at; /* ms */
    int n_guesses; /* about what will be the next turn */
    char guess[PARTIAL_SIZE];

    bool answering;   /* `turn` is not over */
    turn turn;
    uint32_t n_turns, n_commits; /* events of the model carry the commit's number */
    bool thought_out; /* the model has said all of it */
    bool asking;      /* a risky call waits for a yes */
    bool said_some, skipped_some; /* clauses of the turn */
    double heard_of_model;        /* when its last event came, ms */
    bool call_waits;              /* until nobody speaks */
    double call_since;            /* ms; -1: no tool runs */
    double held_at;               /* playback, ms */
    double awake_until;           /* no wake phrase is needed before, ms */

    clause *first, *last_clause; /* to be spoken; the first may be with the voice */
    bool saying;
    uint32_t say_id;
    double say_since;
    bool after_sentence;

    int64_t next_ring; /* ms; -1: nothing */
} line;

void line_init(line *l, const line_options *options, hearing *hear, thinking *think, talking *talk,
               turn_ledger *ledger);
void line_close(line *l);
/* Gives the loudspeaker's next 10 ms, then takes the microphone's. at_least_db: what is below is echo;
 * 0: nothing can be heard now. */
void line_step(line *l, const int16_t mic[LINE_BLOCK], double at_least_db, int16_t out[LINE_BLOCK]);
/* Nobody speaks, no turn is under way, nothing waits to be played. */
bool line_is_idle(const line *l);
void line_press(line *l, bool pressed);

/* Between line.c (listening) and line_answer.c (answering). */
double line_ms(const line *l);
int64_t line_us(const line *l);
void line_warn(line *l, const char *what, const char *why);
bool line_is_playing(const line *l);
void line_hold(line *l);
void line_resume(line *l);
/* Somebody pauses and may be done: the model begins to answer what was understood. Nothing of it is
 * heard and no tool acts before line_accept has the same words; whoever goes on speaking, or a final
 * transcript with others, takes it back. */
void line_guess(line *l, const char *text);
void line_take_back(line *l);
/* What was said is accepted: a turn begins. */
void line_accept(line *l, const utterance *u, const char *text, double asr_ms, double measured_ms);
/* The answer was interrupted by speech that began then. */
void line_interrupt(line *l, double barge_in_ms);
/* What was heard makes no sense: the speaker is told, and nothing is done. */
void line_refuse(line *l, const utterance *u, const char *said, double asr_ms, double measured_ms);
/* Recognition failed: says so. */
void line_excuse(line *l, const utterance *u);
void line_silence(line *l); /* whatever is to be spoken is given up */
void line_answer_step(line *l);
void line_note_played(line *l, const int16_t out[LINE_BLOCK]);

#endif
