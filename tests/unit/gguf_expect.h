/* Opening bytes as a GGUF file and saying what must come of it. */
#ifndef SLM_TESTS_GGUF_EXPECT_H
#define SLM_TESTS_GGUF_EXPECT_H

#include "gguf/gguf.h"
#include "support/gguf_builder.h"
#include "support/message_flaw.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* What the last opening gave. Warnings are the log lines of that level. */
typedef struct gguf_result {
    slm_status status;
    slm_error error;
    int warnings;
    char warning[300];
} gguf_result;

static inline void gguf_on_log(void *user, slm_log_level level, const char *line) {
    gguf_result *r = user;
    if (level != SLM_LOG_WARNING)
        return;
    r->warnings++;
    snprintf(r->warning, sizeof r->warning, "%s", line);
}

/* Opens a copy of the bytes that is as long as they are, so that a sanitizer sees each byte read
 * beyond. More memory than the promise, a small multiple of the file, is not to be had. On success *out and *host are the caller's to close, by gguf_close. */
static inline gguf_result gguf_try(const uint8_t *bytes, size_t size, uint32_t flags,
                                   slm_host *host, slm_gguf **out) {
    static gguf_result r;
    gguf_result fresh = {0, SLM_ERROR_INIT, 0, ""};
    slm_file *file = NULL;
    r = fresh;
    slm_host_init(host, NULL, gguf_on_log, &r, SLM_LOG_WARNING);
    host->limit = 5 * (uint64_t)size + (1u << 20);
    r.status = slm_file_open_memory(host, bytes, size, SLM_LOAD_READ, &file, &r.error);
    assert_int_equal(r.status, SLM_OK);
    *out = (slm_gguf *)&r;
    r.status = slm_gguf_open_file(host, file, flags, out, &r.error);
    return r;
}

static inline void gguf_close(slm_host *host, slm_gguf *g) {
    slm_gguf_close(g);
    assert_true(host->bytes == 0);
}

/* The bytes are refused with a status and a message that holds each of the parts (up to a NULL). */
static inline void gguf_refused(const uint8_t *bytes, size_t size, uint32_t flags,
                                slm_status status, uint64_t offset, const char *const *parts) {
    slm_host host;
    slm_gguf *g;
    gguf_result r = gguf_try(bytes, size, flags, &host, &g);
    if (r.status != status)
        print_message("%s: %s\n", slm_status_name(r.status), r.error.message);
    assert_int_equal(r.status, status);
    assert_null(g);
    assert_true(host.bytes == 0);
    assert_int_equal(r.error.status, status);
    if (message_flaw(&r.error))
        fail_msg("%s: %s", message_flaw(&r.error), r.error.message);
    for (; *parts; parts++) {
        if (!strstr(r.error.message, *parts))
            print_message("message: %s\nlacks: %s\n", r.error.message, *parts);
        assert_non_null(strstr(r.error.message, *parts));
    }
    if (r.error.offset != offset)
        print_message("message: %s\n", r.error.message);
    assert_true(r.error.offset == offset);
    assert_true(offset == SLM_NO_OFFSET || offset <= size);
}

/* The same for what a builder makes; the builder is freed. */
static inline void gb_refused_at(gb *b, uint32_t flags, slm_status status, uint64_t offset,
                                 const char *const *parts) {
    size_t size;
    const uint8_t *bytes = gb_finish(b, &size);
    gguf_refused(bytes, size, flags, status, offset, parts);
    gb_free(b);
}
#define GB_REFUSED(b, status, offset, ...)                                                         \
    gb_refused_at(b, 0, status, offset, (const char *const[]){__VA_ARGS__, NULL})

/* What a builder makes is accepted, with this many warnings. */
static inline void gb_accepted(gb *b, uint32_t flags, int warnings) {
    slm_host host;
    slm_gguf *g;
    size_t size;
    const uint8_t *bytes = gb_finish(b, &size);
    gguf_result r = gguf_try(bytes, size, flags, &host, &g);
    if (r.status != SLM_OK)
        print_message("%s: %s\n", slm_status_name(r.status), r.error.message);
    assert_int_equal(r.status, SLM_OK);
    assert_non_null(g);
    gguf_close(&host, g);
    assert_int_equal(r.warnings, warnings);
    gb_free(b);
}

#endif
