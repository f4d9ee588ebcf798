/* JSON Schema (draft 2020-12, and what earlier drafts share with it) into a grammar over bytes.
 * docs/FORMATS.md lists the keywords; what is not among them is refused, never passed over. */
#ifndef SLM_GUIDE_SCHEMA_H
#define SLM_GUIDE_SCHEMA_H

#include "base/json.h"
#include "guide/grammar.h"

enum { SLM_SCHEMA_MAX_BYTES = 1 << 20 };

/* Builds all rules.
 *   lenient      for checking texts of others: white space wherever JSON allows it, and undeclared
 *                members where the schema does not forbid them; else at most one blank after ':' and
 *                ',', and undeclared members only where the schema asks for them
 *   free_string  receives the counted rule of any string, plus 1
 * SLM_ERR_GRAMMAR for what is no schema or what no text satisfies, SLM_ERR_UNSUP for what is not
 * supported, both with a JSON pointer and the keyword. */
slm_status slm_schema_compile(slm_grammar *g, const char *text, size_t len, int lenient,
                              uint32_t *free_string, slm_error *error);

/* Rules for the arguments of calls: for each of n schemas, the objects that satisfy it. A schema is a
 * root: its references lead into itself.
 *   python  as in a call of Python's syntax, from "(" to ")"; else JSON
 *   failed  receives the schema that a failure is about */
slm_status slm_schema_arguments(slm_grammar *g, int python, const slm_json *const *schemas,
                                uint32_t n, uint32_t *rules, uint32_t *free_string,
                                const slm_json **failed, slm_error *error);

#endif
