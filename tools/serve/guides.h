/* Guides that requests asked for, kept for those that ask for the same. The engine's thread alone uses
 * them. */
#ifndef SLM_TOOLS_SERVE_GUIDES_H
#define SLM_TOOLS_SERVE_GUIDES_H

#include "engine.h"

typedef struct serve_guides serve_guides;

serve_guides *serve_guides_open(slm_model *model); /* NULL: no memory */
void serve_guides_close(serve_guides **guides);
/* *out stays the cache's; it is there at least until the next call. */
slm_status serve_guides_get(serve_guides *guides, const serve_guide_want *want, slm_guide **out,
                            slm_error *error);

#endif
