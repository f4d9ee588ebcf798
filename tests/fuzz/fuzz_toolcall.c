/* Parsers of tool calls on any bytes. The first byte picks the format, the second how the rest is
 * cut and how long a call may be.
 *   - however the text is cut, the calls and the text are the same
 *   - arguments are JSON objects on one line, names and they are UTF-8
 *   - what was no call is there again: all of it where there is no call, else all but white space
 */
#include "base/json.h"
#include "base/utf8.h"
#include "text/toolcall.h"

#include <stdlib.h>
#include <string.h>

#define CHECK(x)     \
    do {             \
        if (!(x))    \
            abort(); \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static slm_host host;

typedef struct result {
    slm_buffer text, calls;
    uint32_t n_calls;
} result;

static void check_utf8(const char *text, size_t n) {
    for (size_t i = 0, len; i < n; i += len) {
        len = slm_utf8_next((const uint8_t *)text + i, n - i, NULL);
        CHECK(len > 0);
    }
}

static void check_arguments(const char *text, size_t n) {
    slm_json_scan scan;
    slm_json_scan_begin(&scan);
    CHECK(n > 0 && text[0] == '{' && !memchr(text, '\n', n));
    CHECK(slm_json_scan_feed(&scan, text, n) == n && scan.progress == SLM_JSON_DONE);
}

static void pull(slm_toolcall *t, result *r) {
    slm_tool_event e;
    do {
        CHECK(slm_toolcall_next(t, &e, NULL) == SLM_OK);
        slm_buffer *out = e.type == SLM_TOOL_TEXT ? &r->text : &r->calls;
        CHECK(slm_buffer_append(out, e.text, e.text_len, NULL) == SLM_OK);
        if (e.type == SLM_TOOL_CALL_BEGIN)
            check_utf8(e.text, e.text_len);
        else if (e.type == SLM_TOOL_ARGUMENTS)
            check_arguments(e.text, e.text_len);
        else if (e.type == SLM_TOOL_CALL_END)
            CHECK(e.call == r->n_calls++);
    } while (e.type != SLM_TOOL_NONE && e.type != SLM_TOOL_END);
}

static result parse(slm_tool_format format, size_t max, const char *text, size_t n, size_t step) {
    result r = {{.host = &host}, {.host = &host}, 0};
    slm_toolcall *t;
    CHECK(slm_toolcall_open(&host, format, max, &t, NULL) == SLM_OK);
    for (size_t at = 0; at < n; at += step) {
        CHECK(slm_toolcall_feed(t, text + at, n - at < step ? n - at : step, NULL) == SLM_OK);
        pull(t, &r);
    }
    CHECK(slm_toolcall_finish(t, NULL) == SLM_OK);
    pull(t, &r);
    slm_toolcall_close(t);
    return r;
}

static int same(const slm_buffer *a, const slm_buffer *b) {
    return a->len == b->len && (a->len == 0 || memcmp(a->ptr, b->ptr, a->len) == 0);
}

/* Whether what is in text stands in the answer in this order. */
static void check_order(const slm_buffer *text, const char *answer, size_t n) {
    size_t at = 0;
    for (size_t i = 0; i < text->len; i++, at++) {
        while (at < n && answer[at] != text->ptr[i])
            at++;
        CHECK(at < n);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2)
        return 0;
    if (host.allocator.alloc == NULL)
        slm_host_init(&host, NULL, NULL, NULL, SLM_LOG_NONE);
    slm_tool_format format = SLM_TOOLS_HERMES + data[0] % SLM_TOOLS_JSON;
    size_t n = size - 2, step = 1 + (data[1] & 15), max = data[1] & 16 ? 64 : 0;
    const char *text = (const char *)data + 2;
    result whole = parse(format, max, text, n, n + 1), cut = parse(format, max, text, n, step);
    CHECK(same(&whole.text, &cut.text) && same(&whole.calls, &cut.calls));
    CHECK(whole.n_calls == cut.n_calls);
    CHECK(whole.n_calls > 0 || whole.text.len == n);
    check_order(&whole.text, text, n);
    slm_buffer_free(&whole.text);
    slm_buffer_free(&whole.calls);
    slm_buffer_free(&cut.text);
    slm_buffer_free(&cut.calls);
    CHECK(host.bytes == 0);
    return 0;
}
