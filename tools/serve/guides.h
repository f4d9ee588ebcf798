/* Guides that requests asked for, kept for those that ask for the same. They are compiled by a thread of
 * its own, one at a time, so that answers go on meanwhile. But for that thread the engine's alone uses
 * what is declared here. */
#ifndef SLM_TOOLS_SERVE_GUIDES_H
#define SLM_TOOLS_SERVE_GUIDES_H

#include "engine.h"

typedef struct serve_guides serve_guides;

/* Starts the thread, which calls wake(user) whenever it has compiled one. NULL: no memory or thread. */
serve_guides *serve_guides_open(slm_model *model, void (*wake)(void *user), void *user);
/* Waits for what is being compiled. */
void serve_guides_close(serve_guides **guides);
/* *out stays the cache's; it is there at least until the next call. NULL with SLM_OK: it is not compiled
 * yet; ask again after the next wake. A failure is that of compiling. */
slm_status serve_guides_get(serve_guides *guides, const serve_guide_want *want, slm_guide **out,
                            slm_error *error);

#endif
