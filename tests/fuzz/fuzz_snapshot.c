/* Any bytes as a snapshot of a small model's session: loaded in place of what a session holds, and
 * gone on with where they fit. Every second input gets correct checksums, so that what they protect
 * is reached.
 *   - what is refused leaves the session with its tokens and its results
 *   - what is taken can be evaluated, saved and loaded again, and then has the same tokens */
#include "support/snapshot_bytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

#define CHECK(x)                                                                                   \
    do {                                                                                           \
        if (!(x))                                                                                  \
            abort();                                                                               \
    } while (0)

static slm_model *model;
static slm_session *live;
static float live_logits[TINY_VOCAB];
static uint8_t *good;
static size_t good_size;
static char path[700];

/* From the beginning: what a forged snapshot says of keys and values is taken for true, and they may
 * be infinite. */
static void make_live(void) {
    const float *row;
    CHECK(slm_session_truncate(live, 0, NULL) == SLM_OK);
    CHECK(slm_session_prompt(live, live_ids, N_LIVE, NULL, NULL) == SLM_OK);
    CHECK(slm_session_get_logits(live, 0, &row, NULL) == SLM_OK);
    memcpy(live_logits, row, sizeof live_logits);
}

static void clean_up(void) {
    slm_session_close(&live);
    slm_model_close(&model);
    free(good);
}

static void prepare(void) {
    static const slm_snapshot_options o = {
        .struct_size = sizeof o, .attachment = "note", .attachment_len = 4};
    int32_t ids[20];
    size_t size;
    if (model != NULL)
        return;
    gb *b = tiny_model(NULL);
    const uint8_t *bytes = gb_finish(b, &size);
    const slm_model_options mo = {.struct_size = sizeof mo, .load = SLM_LOAD_READ};
    CHECK(slm_model_open_memory(bytes, size, &mo, &model, NULL) == SLM_OK);
    gb_free(b);
    CHECK(atexit(clean_up) == 0);
    slm_cache_options co = {
        .struct_size = sizeof co, .n_ctx = 64, .page_tokens = 16, .n_threads = 1};
    CHECK(slm_session_open(model, &co, &live, NULL) == SLM_OK);
    snprintf(path, sizeof path, "%s", temp_path("session"));
    fill_ids(ids, 20, 1);
    CHECK(slm_session_eval(live, ids, 20, SLM_LOGITS_NONE, NULL) == SLM_OK);
    CHECK(slm_session_save(live, path, &o, NULL) == SLM_OK);
    good = temp_read(path, &good_size);
    make_live();
}

/* Rather the header, the sections and the tokens than pages, which all values fit. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed) {
    prepare();
    if ((size < HEADER || seed % 512 == 0) && good_size < max_size) {
        data[0] = (uint8_t)seed;
        memcpy(data + 1, good, good_size);
        size = good_size + 1;
    }
    size_t front = section_at(good, "pages.0"), at = 1 + seed / 16 % (front - 16);
    if (size < front + 1 || seed % 4 == 0)
        return LLVMFuzzerMutate(data, size, max_size);
    LLVMFuzzerMutate(data + at, 8, 8);
    return size;
}

static void go_on(slm_error *error) {
    const int32_t *ids;
    int32_t before[64];
    size_t n, n_again;
    CHECK(slm_session_get_tokens(live, &ids, &n, NULL) == SLM_OK && n <= 64);
    if (n > 0)
        memcpy(before, ids, n * sizeof *ids);
    (void)unlink(path);
    CHECK(slm_session_save(live, path, NULL, error) == SLM_OK);
    CHECK(slm_session_load(live, path, NULL, NULL, error) == SLM_OK);
    CHECK(slm_session_get_tokens(live, &ids, &n_again, NULL) == SLM_OK && n_again == n);
    CHECK(n == 0 || memcmp(before, ids, n * sizeof *ids) == 0);
    slm_status status =
        slm_session_eval(live, live_ids, n + 3 <= 64 ? 3 : 0, SLM_LOGITS_LAST, error);
    CHECK(status == SLM_OK || status == SLM_ERR_NUMERIC);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const int32_t *ids;
    const float *row;
    size_t n;
    prepare();
    if (size == 0)
        return 0;
    uint8_t *bytes = malloc(size);
    if (bytes == NULL)
        return 0;
    memcpy(bytes, data + 1, size - 1);
    if (data[0] & 1)
        seal(bytes, size - 1);
    slm_error e = SLM_ERROR_INIT;
    slm_status status = load_bytes(live, bytes, size - 1, &e);
    if (status == SLM_OK) {
        go_on(&e);
        make_live();
    } else {
        CHECK(e.status == status && strlen(e.message) > 20);
        CHECK(slm_session_get_tokens(live, &ids, &n, NULL) == SLM_OK && n == N_LIVE);
        CHECK(memcmp(ids, live_ids, sizeof live_ids) == 0 && live->n_valid == N_LIVE);
        CHECK(slm_session_get_logits(live, 0, &row, NULL) == SLM_OK);
        CHECK(memcmp(row, live_logits, sizeof live_logits) == 0);
    }
    free(bytes);
    return 0;
}
