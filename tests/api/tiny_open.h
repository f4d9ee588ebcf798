/* Opening the tiny model of tests/support, and calls that must be refused. */
#ifndef TESTS_API_TINY_OPEN_H
#define TESTS_API_TINY_OPEN_H

#include "model/golden.h"
#include "support/tiny_model.h"

/* Where a field ends: the smallest struct_size that has it. */
#define END(type, field) (offsetof(type, field) + sizeof(((type *)0)->field))

/* The call, which reports in golden_err, fails with the status given first, and the message has all
 * of the texts given after it. */
#define REFUSED(call, ...) REFUSED_(call, __VA_ARGS__, NULL)
#define REFUSED_(call, status_wanted, ...)                                                        \
    do {                                                                                          \
        golden_err = (slm_error)SLM_ERROR_INIT;                                                   \
        refused(__LINE__, #call, call, status_wanted, (const char *const[]){__VA_ARGS__});        \
    } while (0)

static inline void refused(int line, const char *call, slm_status got, slm_status wanted,
                           const char *const *parts) {
    if (got != wanted || golden_err.status != got)
        fail_msg("line %d: %s: got %s (%s)", line, call, slm_status_name(got), golden_err.message);
    for (; *parts != NULL; parts++)
        if (strstr(golden_err.message, *parts) == NULL)
            fail_msg("line %d: %s: \"%s\" is not in \"%s\"", line, call, *parts,
                     golden_err.message);
}

/* options may be NULL; load is READ whatever they say, so the bytes may go. */
static inline slm_status tiny_try(const tiny_tweak *tweak, const slm_model_options *options,
                                  slm_model **out) {
    slm_model_options o = {.struct_size = sizeof o};
    size_t size;
    gb *b = tiny_model(tweak);
    const uint8_t *bytes = gb_finish(b, &size);
    if (options != NULL)
        o = *options;
    o.load = SLM_LOAD_READ;
    slm_status status = slm_model_open_memory(bytes, size, &o, out, &golden_err);
    gb_free(b);
    return status;
}

static inline slm_model *tiny_open(const tiny_tweak *tweak, const slm_model_options *options) {
    slm_model *m = NULL;
    OK(tiny_try(tweak, options, &m));
    return m;
}

static inline size_t held(const slm_session *s) {
    const int32_t *ids;
    size_t n;
    OK(slm_session_get_tokens(s, &ids, &n, &golden_err));
    return n;
}

#endif
