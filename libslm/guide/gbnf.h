/* GBNF, the grammar notation of llama.cpp (grammars/README.md there), into a grammar over bytes. */
#ifndef SLM_GUIDE_GBNF_H
#define SLM_GUIDE_GBNF_H

#include "guide/grammar.h"

enum {
    SLM_GBNF_MAX_BYTES = 1 << 20,
    SLM_GBNF_MAX_DEPTH = 200,    /* of groups                                   */
    SLM_GBNF_MAX_COUNT = 2000    /* of a repetition                             */
};

/* Builds all rules, g->root being the one named root. SLM_ERR_GRAMMAR with line and column. */
slm_status slm_gbnf_compile(slm_grammar *g, const char *text, size_t len, slm_error *error);

#endif
