#include "text/markers.h"

static size_t add(const slm_vocab *v, const char *text, int32_t *ids, size_t n) {
    int32_t id = text != NULL ? slm_vocab_find(v, text, strlen(text)) : -1;
    if (id >= 0 && slm_vocab_flags(v, id) & SLM_TOKEN_CONTROL)
        ids[n++] = id;
    return n;
}

size_t slm_markers_find(const slm_vocab *v, const slm_call_format *f,
                        int32_t ids[SLM_MARKERS_MAX]) {
    size_t n = add(v, SLM_THINKING_OPEN, ids, 0);
    n = add(v, SLM_THINKING_CLOSE, ids, n);
    for (size_t i = 0; f != NULL && i < SLM_CALL_MARKERS; i++) {
        n = add(v, f->markers[i].text, ids, n);
        n = add(v, f->markers[i].close, ids, n);
    }
    return n;
}
