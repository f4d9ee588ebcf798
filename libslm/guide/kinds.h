/* Which kinds of characters make no difference to a text that is followed: all of them lead from
 * one config to one other, as inside of names, lists of any characters and comments. Where all that
 * lies below a node of the vocabulary is of such kinds, its tokens may come without being looked
 * at. */
#ifndef SLM_GUIDE_KINDS_H
#define SLM_GUIDE_KINDS_H

#include "guide/automaton.h"
#include "guide/follow.h"
#include "text/trie.h"

enum {
    SLM_KINDS_HEIGHT = 32, /* characters; longer texts are few, and looked at */
    SLM_KINDS_RUNS = 128
};

/* What may come after one config: characters of kinds[0], then kinds[1], and then up to n - 2 of
 * kinds[n - 1]. */
typedef struct slm_kinds_run {
    uint64_t kinds[SLM_KINDS_HEIGHT]; /* [n], as far as was asked; of the first three those that are
                                         not known yet are all                                   */
    uint32_t config;                  /* 0: the run is free                                      */
    uint32_t n;
    uint32_t last;                    /* the config behind n characters                          */
    uint8_t endless;                  /* what takes n characters takes any number                */
    uint8_t has_wide;                 /* SLM_KIND_WIDE has been looked at, too                   */
} slm_kinds_run;

/* The runs of one walk over a vocabulary, which comes to the same configs again and again. */
typedef struct slm_kinds_runs {
    slm_automaton *automaton;
    uint64_t follow; /* kinds that may come behind the frame at the bottom                        */
    slm_kinds_run at[SLM_KINDS_RUNS];
} slm_kinds_runs;

/* Before a walk on frames that these bytes may follow. */
void slm_kinds_begin(slm_kinds_runs *r, slm_automaton *a, const slm_byte_set *follow);
/* Whether all that lies below a branch may come after a config, the last characters being whole or
 * not; and where the frame at the bottom may end within such a text, the text does not go on with
 * what may follow it. 0 is also given for a failure, which is in the automaton's status. */
int slm_kinds_take_longer(slm_kinds_runs *r, uint32_t config, const slm_trie_branch *b);

/* What is known of a run to rule a branch out. */
static inline uint64_t slm_kinds_barred(const slm_kinds_run *run, const slm_trie_branch *b) {
    uint32_t n = b->height < run->n ? b->height : run->n;
    return (b->kinds[0] & ~run->kinds[0]) | (b->kinds[1] & ~run->kinds[1]) |
           (b->kinds[2] & ~run->kinds[n < 3 ? 2 : n - 1]);
}

static inline int slm_kinds_take(slm_kinds_runs *r, uint32_t config, const slm_trie_branch *b) {
    const slm_kinds_run *run = &r->at[config % SLM_KINDS_RUNS];
    if (run->config == config) {
        uint64_t barred = slm_kinds_barred(run, b);
        if (barred & ~SLM_KIND_WIDE)
            return 0;
        if (barred == 0 && b->height <= run->n)
            return 1;
    }
    return slm_kinds_take_longer(r, config, b);
}

#endif
