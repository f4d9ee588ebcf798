/* Which kinds of characters make no difference to a text that is followed: all of them lead from one
 * config to one other, as inside of names, lists of any characters and comments. Where all that lies
 * below a node of the vocabulary is of such kinds, its tokens may come without being looked at. */
#ifndef SLM_GUIDE_KINDS_H
#define SLM_GUIDE_KINDS_H

#include "guide/automaton.h"
#include "text/trie.h"

/* Whether a config takes every text of these kinds of up to height bytes. With whole, the frame at
 * the bottom must not be able to end within the text. 0 is also given for a failure, which is in
 * a->status. */
int slm_takes_kinds(slm_automaton *a, uint32_t config, uint64_t kinds, uint32_t height, int whole);

#endif
