/* Opening tiny models with one thing wrong, and saying what must come of it. */
#ifndef SLM_TESTS_LOAD_EXPECT_H
#define SLM_TESTS_LOAD_EXPECT_H

#include "slm.h"
#include "support/fail_alloc.h"
#include "support/message_flaw.h"
#include "support/tiny_model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* The warnings of the last opening, a line each. */
static char warnings[4096];

static inline void keep_warning(void *user, slm_log_level level, const char *line) {
    (void)user;
    if (level == SLM_LOG_WARNING)
        snprintf(warnings + strlen(warnings), sizeof warnings - strlen(warnings), "%s\n", line);
}

/* Evaluates a little; what it gives can be chosen from. */
static inline slm_status evaluate(slm_model *m, slm_error *error) {
    static const int32_t ids[] = {1, 260, 261};
    slm_cache_options options = {.struct_size = sizeof options, .n_ctx = 16};
    slm_session *s = NULL;
    const float *logits = NULL;
    slm_status status = slm_session_open(m, &options, &s, error);
    if (status == SLM_OK)
        status = slm_session_eval(s, ids, 3, SLM_LOGITS_LAST, error);
    if (status == SLM_OK)
        status = slm_session_get_logits(s, 0, &logits, error);
    for (uint32_t i = 0; status == SLM_OK && i < TINY_VOCAB; i++)
        if (!isfinite(logits[i])) /* SLM_ERR_NUMERIC should have come instead */
            fail_msg("logit %u is %g", i, (double)logits[i]);
    slm_session_close(&s);
    return status;
}

/* Opens bytes; on success evaluates. Nothing may leak. */
static inline slm_status try_bytes(const uint8_t *bytes, size_t size, uint32_t flags,
                                   slm_error *error) {
    fail_alloc fa = FAIL_ALLOC_INIT;
    slm_allocator allocator = fail_alloc_start(&fa);
    slm_model_options o = {
        .struct_size = sizeof o, .flags = flags, .allocator = &allocator, .log = keep_warning};
    slm_model *m = (slm_model *)&fa;
    warnings[0] = 0;
    slm_status status = slm_model_open_memory(bytes, size, &o, &m, error);
    assert_true((status == SLM_OK) == (m != NULL));
    if (status == SLM_OK && !(flags & SLM_MODEL_VOCAB_ONLY))
        status = evaluate(m, error);
    slm_model_close(&m);
    assert_int_equal(fa.outstanding, 0);
    return status;
}

static inline slm_status try_model(const tiny_tweak *tweak, uint32_t flags, slm_error *error) {
    size_t size;
    gb *b = tiny_model(tweak);
    const uint8_t *bytes = gb_finish(b, &size);
    slm_status status = try_bytes(bytes, size, flags, error);
    gb_free(b);
    return status;
}

static inline void check(int line, slm_status got, const slm_error *error, slm_status wanted,
                         const char *const *parts) {
    if (got != wanted)
        fail_msg("line %d: got %s (%s), wanted %s", line, slm_status_name(got), error->message,
                 slm_status_name(wanted));
    if (got != SLM_OK)
        assert_int_equal(error->status, got);
    if (got != SLM_OK && message_flaw(error))
        fail_msg("line %d: %s: %s", line, message_flaw(error), error->message);
    for (; *parts != NULL; parts++)
        if (strstr(error->message, *parts) == NULL)
            fail_msg("line %d: \"%s\" is not in \"%s\"", line, *parts, error->message);
}

static inline void expect_at(int line, const tiny_tweak *tweak, uint32_t flags, slm_status wanted,
                             const char *const *parts) {
    slm_error error = SLM_ERROR_INIT;
    slm_status got = try_model(tweak, flags, &error);
    check(line, got, &error, wanted, parts);
}

/* A text of its own for each of the last eight calls. */
static inline const char *say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static inline const char *say(const char *format, ...) {
    static char texts[8][200];
    static int next;
    va_list ap;
    next = (next + 1) % 8;
    va_start(ap, format);
    vsnprintf(texts[next], sizeof texts[next], format, ap);
    va_end(ap);
    return texts[next];
}

/* The parts of the message follow the status; none for SLM_OK. */
#define EXPECT(tweak, flags, ...) EXPECT_(tweak, flags, __VA_ARGS__, NULL)
#define EXPECT_(tweak, flags, wanted, ...)                                                         \
    expect_at(__LINE__, tweak, flags, wanted, (const char *const[]){__VA_ARGS__})

/* Something instead of the key or tensor of this name; something after the last key. */
#define REFUSE(key, function, ...)                                                                 \
    EXPECT((&(tiny_tweak){.name = key, .emit = function}), 0, __VA_ARGS__)
#define ADD(function, ...) EXPECT((&(tiny_tweak){.extra = function}), 0, __VA_ARGS__)

/* A function that writes something. */
#define WRITES(function, ...)                                                                      \
    static void function(gb *b) {                                                                  \
        __VA_ARGS__;                                                                               \
    }

#endif
