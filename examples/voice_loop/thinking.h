/* The stage that answers: the model's conversation, and the household that its calls act on. */
#ifndef SLM_VOICE_THINKING_H
#define SLM_VOICE_THINKING_H

#include "household.h"
#include "stage.h"

#include <slm.h>
#include <stdatomic.h>

/* Commands; the id of a commit is that of the events that it leads to. */
enum {
    THINK_DRAFT,  /* text: what was understood so far, to be evaluated ahead */
    THINK_COMMIT, /* text: what was said; from now on the model answers and tools act. value: line's
                     clock in ms */
    THINK_CANCEL, /* the answer was interrupted; end: bytes of it that were heard */
    THINK_UNDO,   /* the commit came too early: what was said never was. Not after an effect */
    THINK_FORGET, /* the draft never was */
    THINK_ACT,    /* the call that THOUGHT_CALL told of may happen */
    THINK_RING    /* value: the clock in ms. Whatever rings by then */
};
/* Events. */
enum {
    THOUGHT_FIRST,    /* the first token; begin: tokens of the prompt kept, end: evaluated now,
                         value: evaluated ahead while it was said. measured_ms since the commit */
    THOUGHT_TEXT,     /* text: a piece of the answer */
    THOUGHT_CLAUSE,   /* text: to be spoken; begin, end: bytes of the answer; value: ends a sentence */
    THOUGHT_CALL,     /* text: a tool is called; it waits for THINK_ACT */
    THOUGHT_RESULT,   /* text: what came of it; value: there was an effect */
    THOUGHT_QUESTION, /* text: a risky call waits for the answer to this */
    THOUGHT_END,      /* nothing more comes */
    THOUGHT_FAILED,   /* text: why; nothing more comes */
    THOUGHT_RANG,     /* text: to be spoken; not of a turn */
    THOUGHT_HOME      /* value: when the next thing rings, in ms, -1 for nothing; end: volume */
};

typedef struct thinking_options {
    const char *system;     /* the system message; NULL: none */
    const char *tools;      /* JSON; NULL: none, and no household is asked */
    uint32_t n_ctx;         /* 0: the library's default */
    uint32_t n_threads;     /* 0: the library's default */
    uint32_t max_tokens;    /* of an answer */
    uint32_t n_draft;       /* tokens of an answer that are tried together with each, 0: none */
    bool no_ahead;          /* nothing is evaluated before the commit */
    bool no_reuse;          /* every prompt is evaluated from its first token */
    bool no_clauses;        /* the answer is spoken when all of it is there */
    double prompt_ms;       /* charged for a token of a prompt, and for one that is tried, */
    double token_ms;        /* for each step of an answer, and at least for each prompt, */
    double tool_ms;         /* and for a call */
} thinking_options;

enum { MAX_CALLS = 8 };

typedef struct tool_call {
    char name[64];
    char arguments[2048];
} tool_call;

typedef struct thinking {
    stage stage;
    const thinking_options *options;
    household *home;
    slm_model *model;
    slm_session *session;
    slm_chat *chat;
    slm_answer *answer; /* open while the model writes */
    atomic_bool stopped; /* by thinking_stop */
    uint32_t id;
    enum {
        THINK_IDLE,
        THINK_DRAFTING,
        THINK_ANSWER,  /* to be begun */
        THINK_WRITING,
        THINK_CALLING, /* calls[next_call] */
        THINK_WAITING, /* for THINK_ACT */
        THINK_STOPPED, /* the answer; the line says how to go on */
        THINK_AHEAD    /* what is certain of the next prompt */
    } doing;
    char *text;         /* of the draft, or of the message to be answered */
    int64_t now_ms;     /* the line's clock at the last command, for the home's */
    int64_t begun_ms;   /* of the commit, as it really was */
    uint64_t n_before;  /* messages before the turn */
    uint64_t base;      /* bytes of the answer before the present message */
    uint64_t n_bytes;   /* of the answer */
    uint64_t n_tokens, n_steps, n_drafted; /* of the present message */
    uint64_t ahead, reused, evaluated;
    bool is_first;      /* no token of the turn was there yet */
    bool had_effect;
    char *whole;        /* no_clauses: what is to be spoken, from byte 0 to whole_end */
    uint64_t whole_end;
    tool_call calls[MAX_CALLS];
    size_t n_calls, next_call; /* of the present message */
    int n_rounds;
    bool may_act;       /* calls[next_call] may happen */
    bool asking;        /* and waits for a yes */
} thinking;

/* The model and the household stay the caller's. False: why. The session is opened and what is the same
 * in all prompts evaluated. */
bool thinking_open(thinking *t, slm_model *model, household *home, const thinking_options *options,
                   bool is_virtual, char *why, size_t why_size);
void thinking_close(thinking *t);
/* By the line, before it sends THINK_CANCEL or THINK_UNDO: an evaluation that is under way stops within
 * one step of it. */
void thinking_stop(thinking *t);

#endif
