/* The vocabularies and golden lines of the reference data, for the tests of libslm/text. */
#ifndef TESTS_UNIT_VOCAB_FILES_H
#define TESTS_UNIT_VOCAB_FILES_H

#include "gguf/gguf.h"
#include "text/vocab.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

static inline const char *shared_dir(void) {
    const char *dir = getenv("SLM_SHARED_DIR");
    return dir && *dir ? dir : SLM_SHARED_DIR;
}

static inline const char *shared_path(const char *format, const char *name) {
    static char path[1024];
    int n = snprintf(path, sizeof path, "%s/", shared_dir());
    snprintf(path + n, sizeof path - (size_t)n, format, name);
    return path;
}

/* Skips the test when the reference data is not here; where it has to be, that is a failure. */
static inline void need_shared(void) {
    struct stat st;
    if (stat(shared_dir(), &st) == 0)
        return;
    const char *ci = getenv("CI");
    if (ci && strcmp(ci, "true") == 0)
        fail_msg("the reference data is missing: %s", shared_dir());
    print_message("skipped: no reference data at %s\n", shared_dir());
    skip();
}

typedef struct vocab_file {
    slm_host host;
    slm_gguf *g;
    slm_vocab *v;
    slm_str architecture;
} vocab_file;

static inline void open_vocab_file(vocab_file *f, const char *name) {
    slm_error error = SLM_ERROR_INIT;
    memset(f, 0, sizeof *f);
    slm_host_init(&f->host, NULL, NULL, NULL, SLM_LOG_NONE);
    if (slm_gguf_open(&f->host, shared_path("vocab/%s.gguf", name), SLM_LOAD_AUTO,
                      SLM_GGUF_NO_TENSORS, NULL, NULL, &f->g, &error) != SLM_OK)
        fail_msg("%s: %s", name, error.message);
    if (slm_gguf_get_str(f->g, "general.architecture", 1, &f->architecture, &error) != SLM_OK ||
        slm_vocab_open(&f->host, f->g, f->architecture, &f->v, &error) != SLM_OK)
        fail_msg("%s: %s", name, error.message);
}

static inline void close_vocab_file(vocab_file *f) {
    slm_vocab_close(f->v);
    slm_gguf_close(f->g);
    assert_int_equal(f->host.bytes, 0);
}

/* Calls fn for each line of a JSON Lines file; returns how many there were. Numbers are reals: some
 * lines hold integers of any length. */
typedef void (*json_line_fn)(void *user, const char *file, size_t line, json_t *object);

static inline size_t each_json_line(const char *path, json_line_fn fn, void *user) {
    char file[1024];
    snprintf(file, sizeof file, "%s", path);
    FILE *in = fopen(file, "rb");
    if (!in)
        fail_msg("cannot open %s", file);
    char *text = NULL;
    size_t cap = 0, line = 0;
    ssize_t n;
    while ((n = getline(&text, &cap, in)) > 0) {
        json_error_t e;
        json_t *object = json_loadb(text, (size_t)n, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &e);
        if (!object)
            fail_msg("%s:%zu: %s", file, line + 1, e.text);
        fn(user, file, ++line, object);
        json_decref(object);
    }
    free(text);
    fclose(in);
    return line;
}

/* Tokenizes one text; *n receives the number of ids. The caller frees. */
static inline int32_t *tokenize(const slm_vocab *v, const slm_span *spans, size_t n_spans,
                                int32_t bos, size_t *n) {
    slm_error error = SLM_ERROR_INIT;
    if (slm_vocab_tokenize(v, spans, n_spans, bos, NULL, 0, n, &error) != SLM_OK)
        fail_msg("%s", error.message);
    int32_t *ids = malloc((*n + 1) * sizeof *ids);
    assert_non_null(ids);
    size_t again = 0;
    if (slm_vocab_tokenize(v, spans, n_spans, bos, ids, *n + 1, &again, &error) != SLM_OK)
        fail_msg("%s", error.message);
    assert_int_equal(again, *n);
    return ids;
}

static inline int32_t *tokenize_text(const slm_vocab *v, const char *text, size_t len, int trusted,
                                     size_t *n) {
    slm_span span = {text, len, trusted ? 1u : 0u};
    return tokenize(v, &span, 1, SLM_BOS_NONE, n);
}

/* The bytes of ids; the caller frees. */
static inline char *detokenize(const slm_vocab *v, const int32_t *ids, size_t n_ids, uint32_t flags,
                               size_t *len) {
    slm_error error = SLM_ERROR_INIT;
    if (slm_vocab_detokenize(v, ids, n_ids, flags, NULL, 0, len, &error) != SLM_OK)
        fail_msg("%s", error.message);
    char *text = malloc(*len + 1);
    assert_non_null(text);
    size_t again = 0;
    if (slm_vocab_detokenize(v, ids, n_ids, flags, text, *len + 1, &again, &error) != SLM_OK)
        fail_msg("%s", error.message);
    assert_int_equal(again, *len);
    return text;
}

#endif
