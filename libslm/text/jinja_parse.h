/* The parser of templates: jinja_parse.c reads statements, jinja_expr.c what stands in them. Each
 * function takes the tokens of what it reads; those that return a node make a new one. */
#ifndef SLM_TEXT_JINJA_PARSE_H
#define SLM_TEXT_JINJA_PARSE_H

#include "text/jinja_impl.h"

typedef struct slm_jparser {
    slm_jinja *j;
    const slm_jtoken *t; /* the token at hand                        */
    uint32_t depth;
    uint32_t n_loops;    /* around the statement being read          */
} slm_jparser;

int slm_p_is_op(const slm_jparser *p, uint16_t op);
int slm_p_is_word(const slm_jparser *p, const char *word);
int slm_p_take_op(slm_jparser *p, uint16_t op); /* whether it was there; then it is taken */
int slm_p_take_word(slm_jparser *p, const char *word);
slm_status slm_p_want_op(slm_jparser *p, char c);
slm_status slm_p_want_name(slm_jparser *p, const char *what, slm_str *out);
slm_status slm_p_unexpected(slm_jparser *p, const char *wanted); /* fails: got the token at hand */

/* Depth of what is read recursively; fails beyond the bound. p->depth-- at the end. */
slm_status slm_p_enter(slm_jparser *p);

slm_status slm_p_make(slm_jparser *p, slm_jnode_kind kind, uint32_t pos, slm_jnode **out);
/* Puts nodes, each with those that its next leads to, below n. Evaluation goes as deep as the tree is
 * high, so its height has a bound. */
slm_status slm_p_below(slm_jparser *p, slm_jnode *n, slm_jnode *a, slm_jnode *b, slm_jnode *c);
/* *n = kind(*n, b, c) */
slm_status slm_p_wrap(slm_jparser *p, slm_jnode_kind kind, uint32_t pos, slm_jnode **n, slm_jnode *b,
                      slm_jnode *c);

slm_status slm_p_expression(slm_jparser *p, slm_jnode **out);
/* Expressions with commas between them, which make a tuple; without "if" where one may follow. */
slm_status slm_p_tuple(slm_jparser *p, int with_if, slm_jnode **out);
/* "name(...)" behind "|": *n, which may be NULL, goes through it. */
slm_status slm_p_filter(slm_jparser *p, slm_jnode **n);

#endif
