/* Tools into a grammar: free text in which calls, once they begin, follow the schema of their tool. */
#ifndef SLM_GUIDE_TOOLS_H
#define SLM_GUIDE_TOOLS_H

#include "guide/grammar.h"
#include "text/toolcall.h"

enum { SLM_TOOLS_MAX_BYTES = 1 << 20, SLM_TOOLS_MAX = 1024 };

typedef struct slm_tool_rules {
    const slm_call_format *format;
    slm_tool_choice choice;
    slm_str name; /* of NAMED                                                        */
    slm_str schema; /* of answers that have no call, with AUTO; ptr NULL: free text   */
    int thinks;   /* a thinking span may come before calls that are required         */
} slm_tool_rules;

/* Whether what stands in place of a call is held to a schema. */
static inline int slm_tools_hold_text(const slm_tool_rules *r) {
    return r->schema.ptr != NULL && r->choice == SLM_TOOL_CHOICE_AUTO;
}

/* Builds all rules.
 *   text         the tools as slm_guide_compile_tools takes them
 *   one_call     at most one, and the answer ends behind it
 *   free_string  as in slm_schema_compile */
slm_status slm_tools_compile(slm_grammar *g, const char *text, size_t len,
                             const slm_tool_rules *rules, int one_call, uint32_t *free_string,
                             slm_error *error);

#endif
