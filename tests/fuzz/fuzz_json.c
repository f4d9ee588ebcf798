/* JSON on any bytes. The first byte says where the text is cut for the scanner; the rest is text.
 *   - the scanner says the same however the text is cut, and it says what the reader says, names that
 *     stand twice aside
 *   - what the reader made of a text is written and read again as the same text
 *   - numbers are spelt so that they read back as the same double */
#include "base/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(x)     \
    do {             \
        if (!(x))    \
            abort(); \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static slm_host host;

static slm_json_scan scan(const char *text, size_t n, size_t piece) {
    slm_json_scan s;
    slm_json_scan_begin(&s);
    for (size_t at = 0; at < n && s.progress == SLM_JSON_MORE; at += piece) {
        size_t len = n - at < piece ? n - at : piece;
        size_t taken = slm_json_scan_feed(&s, text + at, len);
        CHECK(taken == len || s.progress != SLM_JSON_MORE);
    }
    if (s.progress == SLM_JSON_MORE)
        slm_json_scan_end(&s);
    CHECK(s.n_bytes <= n && s.depth <= SLM_JSON_MAX_DEPTH);
    return s;
}

static slm_buffer write_tree(const slm_json *v, uint32_t flags, uint32_t indent) {
    slm_buffer out = {.host = &host};
    slm_json_writer w = {.out = &out, .flags = flags, .indent = indent};
    CHECK(slm_json_put_value(&w, v, NULL) == SLM_OK);
    return out;
}

static void check_numbers(const slm_json *v) {
    double value, again;
    char spelt[SLM_JSON_DOUBLE_MAX];
    int64_t i;
    if (slm_json_double(v, &value) && isfinite(value)) {
        slm_json n = {.type = SLM_JSON_NUMBER, .text = {spelt, slm_json_spell(value, spelt)}};
        CHECK(slm_json_double(&n, &again) && again == value);
        if (slm_json_int64(v, &i))
            CHECK((double)i == value);
    }
    for (uint32_t k = 0; k < v->n_items; k++)
        check_numbers(&v->items[k]);
}

static void check_writing(const slm_json *v) {
    slm_buffer want = write_tree(v, 0, 0);
    for (uint32_t style = 0; style < 4; style++) {
        slm_arena arena = {.host = &host};
        const slm_json *again;
        slm_buffer text = write_tree(v, style & 1 ? SLM_JSON_ASCII : SLM_JSON_SPACED, style & 2);
        CHECK(slm_json_parse(&arena, text.ptr, text.len, 0, "text", &again, NULL) == SLM_OK);
        slm_buffer got = write_tree(again, 0, 0);
        CHECK(got.len == want.len && memcmp(got.ptr, want.ptr, got.len) == 0);
        slm_buffer_free(&got);
        slm_buffer_free(&text);
        slm_arena_free(&arena);
    }
    slm_buffer_free(&want);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1)
        return 0;
    slm_host_init(&host, NULL, NULL, NULL, SLM_LOG_NONE);
    const char *text = (const char *)data + 1;
    size_t n = size - 1;
    slm_json_scan whole = scan(text, n, n + 1), parts = scan(text, n, (size_t)data[0] % 64 + 1);
    CHECK(whole.progress == parts.progress && whole.n_bytes == parts.n_bytes);

    slm_arena arena = {.host = &host};
    const slm_json *v;
    slm_status status = slm_json_parse(&arena, text, n, 0, "text", &v, NULL);
    size_t rest = (size_t)whole.n_bytes;
    while (rest < n && text[rest] && strchr(" \t\n\r", text[rest]))
        rest++;
    CHECK((status == SLM_OK || status == SLM_ERR_DUP) ==
          (whole.progress == SLM_JSON_DONE && rest == n));
    if (status == SLM_ERR_DUP)
        CHECK(slm_json_parse(&arena, text, n, SLM_JSON_KEEP_LAST, "text", &v, NULL) == SLM_OK);
    if (v) {
        check_writing(v);
        check_numbers(v);
    }
    slm_arena_free(&arena);
    CHECK(atomic_load(&host.bytes) == 0);
    return 0;
}
