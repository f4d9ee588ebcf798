/* A piece of text that belongs to somebody else. */
#ifndef SLM_BASE_STR_H
#define SLM_BASE_STR_H

#include "slm.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct slm_str {
    const char *ptr; /* not NUL-terminated */
    size_t len;
} slm_str;

/* A text of the caller's, with its length in bytes or SLM_NTS; NULL has none. */
static inline slm_str slm_str_given(const char *text, size_t len) {
    return (slm_str){text, text == NULL ? 0 : len == SLM_NTS ? strlen(text) : len};
}

static inline int slm_str_equal(slm_str a, slm_str b) {
    return a.len == b.len && memcmp(a.ptr, b.ptr, a.len) == 0;
}
static inline int slm_str_is(slm_str a, const char *b) {
    return a.len == strlen(b) && memcmp(a.ptr, b, a.len) == 0;
}

/* The first place of what, which is not empty, in s at or behind from; SIZE_MAX when there is none. */
static inline size_t slm_str_find(slm_str s, slm_str what, size_t from) {
    while (s.len - from >= what.len) {
        const char *p = memchr(s.ptr + from, what.ptr[0], s.len - from - what.len + 1);
        if (!p)
            break;
        if (memcmp(p, what.ptr, what.len) == 0)
            return (size_t)(p - s.ptr);
        from = (size_t)(p - s.ptr) + 1;
    }
    return SIZE_MAX;
}

#endif
