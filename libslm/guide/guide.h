/* Guided generation: a grammar or schema compiled, and texts that are followed through it. */
#ifndef SLM_GUIDE_GUIDE_H
#define SLM_GUIDE_GUIDE_H

#include "base/str.h"
#include "guide/automaton.h"
#include "guide/mask.h"
#include "guide/tools.h"
#include "text/markers.h"

typedef struct slm_guide_lazy { /* the numbers of a grammar's nodes while it sleeps: [begin, end) */
    uint32_t begin, end;
    uint32_t woken; /* node at which the grammar begins */
} slm_guide_lazy;

struct slm_guide {
    slm_host host;           /* of its own, with the memory limit; takes from the host below       */
    slm_host *below;         /* where its memory comes from                                        */
    slm_host plain;          /* the host below of a guide without a model                          */
    uint32_t n_refs;
    slm_grammar grammar;
    slm_automaton automaton;
    slm_masker masker;
    slm_trie *trie;          /* NULL: without a vocabulary                                         */
    void (*release)(void *owner); /* called at the end with what keeps the trie alive              */
    void *owner;
    slm_matcher *matchers;   /* all that are open                                                  */
    slm_guide_lazy lazy;
    int is_lazy;
    int has_calls;           /* compiled from tools: a call that begins can only become one        */
    int32_t *triggers;       /* tokens that wake it                                                */
    uint32_t n_triggers;
    int32_t spelled[SLM_MARKERS_MAX]; /* control tokens that stand for their spelling */
    size_t n_spelled;
    uint64_t forget_at;      /* bytes held at which configs are dropped                            */
};

struct slm_matcher {
    slm_guide *guide;
    slm_matcher *next, **link;
    uint32_t config;
    uint32_t before;         /* the config before the call in hand */
    uint64_t *bits;          /* [n_words] the mask while it sleeps, or with control tokens */
    char *forced;            /* buffer of slm_matcher_forced */
    size_t cap_forced;
    char *token_bytes;
};

/* What a guide is compiled from. */
typedef struct slm_guide_source {
    const char *text;
    size_t len;
    int is_schema;
} slm_guide_source;

/* below: where memory comes from; NULL: from the allocator in the options. trie may be NULL.
 * tools: the source is tools, to be called by these rules; NULL: it is none.
 * options: slm_guide_options of full size. The guide takes over release and owner when it succeeds. */
slm_status slm_guide_create(slm_host *below, const slm_guide_source *source,
                            const slm_tool_rules *tools, const slm_guide_options *options,
                            slm_trie *trie,
                            void (*release)(void *), void *owner, slm_guide **out,
                            slm_error *error);
void slm_guide_retain(slm_guide *g);
void slm_guide_release(slm_guide *g); /* NULL is fine */

slm_status slm_matcher_create(slm_guide *g, slm_matcher **out, slm_error *error);
void slm_matcher_destroy(slm_matcher *m); /* NULL is fine */
slm_status slm_matcher_restart(slm_matcher *m, slm_error *error);
/* 1 while a lazy guide waits for its trigger. */
int slm_matcher_sleeps(const slm_matcher *m);
/* SLM_ERR_RANGE for bytes or a token that leave the grammar; the matcher then stays where it was. */
slm_status slm_matcher_take_bytes(slm_matcher *m, const char *bytes, size_t n, slm_error *error);
slm_status slm_matcher_take(slm_matcher *m, int32_t token, slm_error *error);
/* Whether a control token stands for its spelling. */
int slm_guide_spells(const slm_guide *g, int32_t token);
/* Whether a token stands for bytes of the text: no control token and no end. */
int slm_matcher_knows(const slm_matcher *m, int32_t token);
slm_status slm_matcher_state(slm_matcher *m, int *can_end, int *must_end, slm_error *error);
slm_status slm_matcher_find(slm_matcher *m, const uint64_t **bits, size_t *n_words,
                            slm_error *error);
slm_status slm_matcher_find_forced(slm_matcher *m, const char **bytes, size_t *n,
                                   slm_error *error);

#endif
