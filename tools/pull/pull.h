/* Fetches models into the folder of pulled models. */
#ifndef SLM_TOOLS_PULL_PULL_H
#define SLM_TOOLS_PULL_PULL_H

#include "catalogue.h"
#include "fetch.h"

extern const pull_options pull_defaults;

/* Makes sure that the model is there and what the entry says; path becomes that of its file. 0, or
 * the exit status after printing why. An interrupted fetch is gone on with by the next. */
int pull_model(const pull_entry *entry, const pull_options *options, char path[PULL_MAX_PATH]);

#endif
