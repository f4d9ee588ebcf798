/* Opening the tiny model of tests/support, and calls that must be refused. */
#ifndef TESTS_API_TINY_OPEN_H
#define TESTS_API_TINY_OPEN_H

#include "model/golden.h"
#include "support/tiny_model.h"

/* Where a field ends: the smallest struct_size that has it. */
#define END(type, field) (offsetof(type, field) + sizeof(((type *)0)->field))

/* The call fails with this status, and the message has all of these parts. */
#define REFUSED(call, status_wanted, ...)                                                         \
    do {                                                                                          \
        golden_err = (slm_error)SLM_ERROR_INIT;                                                   \
        slm_status got_ = (call);                                                                 \
        static const char *const parts_[] = {__VA_ARGS__};                                        \
        if (got_ != (status_wanted) || golden_err.status != got_)                                 \
            fail_msg("%s: got %s (%s)", #call, slm_status_name(got_), golden_err.message);        \
        for (size_t i_ = 0; i_ < sizeof parts_ / sizeof parts_[0]; i_++)                          \
            if (strstr(golden_err.message, parts_[i_]) == NULL)                                   \
                fail_msg("%s: \"%s\" is not in \"%s\"", #call, parts_[i_], golden_err.message);   \
    } while (0)

/* options may be NULL; load is READ whatever they say, so the bytes may go. */
static inline slm_model *tiny_open(const tiny_tweak *tweak, const slm_model_options *options) {
    slm_model_options o = {.struct_size = sizeof o};
    slm_model *model = NULL;
    size_t size;
    gb *b = tiny_model(tweak);
    const uint8_t *bytes = gb_finish(b, &size);
    if (options != NULL)
        o = *options;
    o.load = SLM_LOAD_READ;
    OK(slm_model_open_memory(bytes, size, &o, &model, &golden_err));
    gb_free(b);
    return model;
}

static inline size_t held(const slm_session *s) {
    const int32_t *ids;
    size_t n;
    OK(slm_session_get_tokens(s, &ids, &n, &golden_err));
    return n;
}

#endif
