/* The texts by which models mark thinking and calls of tools. */
#ifndef SLM_TEXT_MARKERS_H
#define SLM_TEXT_MARKERS_H

#include "text/toolcall.h"
#include "text/vocab.h"

#define SLM_THINKING_OPEN  "<think>"
#define SLM_THINKING_CLOSE "</think>"

/* Those that are control tokens of a vocabulary, which tokenizers and guides else leave out of the
 * text. f may be NULL. Returns how many there are. */
enum { SLM_MARKERS_MAX = 2 * SLM_CALL_MARKERS + 2 };
size_t slm_markers_find(const slm_vocab *v, const slm_call_format *f,
                        int32_t ids[SLM_MARKERS_MAX]);

#endif
