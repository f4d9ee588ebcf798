/* Files that are no snapshots of this session, damaged ones and forged ones: refused with the
 * status that tells which, and what the session held is there to the bit. */
#include "api/snapshot_file.h"
#include "support/fail_alloc.h"

#include <sys/stat.h>
#include <unistd.h>

#define N_IDS 20
static int32_t ids[N_IDS];
static slm_model *model;
static slm_session *live;
static float live_logits[TINY_VOCAB];
static uint8_t *good; /* a whole file of N_IDS tokens with an attachment */
static size_t good_size;
static char path[700];

static void put_file(const void *bytes, size_t size) {
    (void)unlink(path);
    temp_write(path, bytes, size);
}

static void check_live(void) {
    const int32_t *now;
    const float *row;
    size_t n;
    OK(slm_session_get_tokens(live, &now, &n, &golden_err));
    assert_int_equal(n, N_LIVE);
    assert_memory_equal(now, live_ids, sizeof live_ids);
    assert_int_equal(live->n_valid, N_LIVE);
    OK(slm_session_get_logits(live, 0, &row, &golden_err));
    assert_memory_equal(row, live_logits, sizeof live_logits);
}

/* The last token once more: its logits are made of all keys and values. */
static void check_pages(void) {
    check_live();
    OK(slm_session_truncate(live, N_LIVE - 1, &golden_err));
    OK(slm_session_eval(live, live_ids + N_LIVE - 1, 1, SLM_LOGITS_LAST, &golden_err));
    check_live();
}

static int set_up(void **state) {
    (void)state;
    static const slm_snapshot_options o = {
        .struct_size = sizeof o, .attachment = "{\"a\":1}", .attachment_len = 7};
    const float *row;
    snprintf(path, sizeof path, "%s", temp_path("session"));
    fill_ids(ids, N_IDS, 1);
    model = tiny_open(NULL, NULL);
    live = open_tiny(model, SLM_KV_F16, TINY_CTX);
    OK(slm_session_eval(live, ids, N_IDS, SLM_LOGITS_NONE, &golden_err));
    OK(slm_session_save(live, path, &o, &golden_err));
    good = temp_read(path, &good_size);
    OK(slm_session_prompt(live, live_ids, N_LIVE, NULL, &golden_err));
    OK(slm_session_get_logits(live, 0, &row, &golden_err));
    memcpy(live_logits, row, sizeof live_logits);
    return 0;
}

static int clean_up(void **state) {
    (void)state;
    slm_session_close(&live);
    slm_model_close(&model);
    free(good);
    temp_clear();
    return 0;
}

/* Refused from memory: with the status, a message in good shape, and part in it. */
static void refuse(const uint8_t *bytes, size_t size, slm_status status, const char *part) {
    golden_err = (slm_error)SLM_ERROR_INIT;
    slm_status got = load_bytes(live, bytes, size, &golden_err);
    if (got != status || golden_err.status != status || message_flaw(&golden_err) ||
        strstr(golden_err.message, part) == NULL)
        fail_msg("got %s (%s), wanted %s with \"%s\"", slm_status_name(got), golden_err.message,
                 slm_status_name(status), part);
    assert_int_equal(live->n_tokens, N_LIVE);
    assert_int_equal(live->n_valid, N_LIVE);
}

/* The same by the public calls. */
static void refuse_file(const uint8_t *bytes, size_t size, slm_status status, const char *part) {
    refuse(bytes, size, status, part);
    put_file(bytes, size);
    REFUSED(slm_session_load(live, path, NULL, NULL, &golden_err), status, part);
    assert_null(message_flaw(&golden_err));
    check_live();
}

static void cut_at_every_byte(void **state) {
    (void)state;
    for (size_t n = 0; n < good_size; n++) {
        uint8_t *exact = malloc(n + 1); /* so that a sanitizer sees the end */
        assert_non_null(exact);
        memcpy(exact, good, n);
        refuse(exact, n, SLM_ERR_TRUNC, n < HEADER ? "ends in its header" : "ends early");
        free(exact);
        if (n % 1009 == 0 || n == HEADER)
            refuse_file(good, n, SLM_ERR_TRUNC, "wanted");
    }
    uint8_t *longer = calloc(1, good_size + 8);
    assert_non_null(longer);
    memcpy(longer, good, good_size);
    refuse_file(longer, good_size + 1, SLM_ERR_FORMAT, "behind its end");
    refuse_file(longer, good_size + 8, SLM_ERR_FORMAT, "behind its end");
    free(longer);
    check_pages();
}

static void every_bit(void **state) {
    (void)state;
    size_t checks = (size_t)get_u64(good + AT_CHECKS);
    for (size_t i = 0; i < good_size; i++)
        for (int bit = 0; bit < 8; bit++) {
            good[i] ^= (uint8_t)(1 << bit);
            refuse(good, good_size, SLM_ERR_FORMAT,
                   i < 8        ? "is no snapshot"
                   : i < HEADER ? "the header has checksum"
                   : i < checks ? "block 0 (bytes 0 to "
                                : "the checksums of blocks have checksum");
            if (i % 499 == 0 && bit == 3)
                refuse_file(good, good_size, SLM_ERR_FORMAT, "");
            good[i] ^= (uint8_t)(1 << bit);
        }
    check_pages();
    OK(load_bytes(live, good, good_size, &golden_err));
    assert_int_equal(live->n_tokens, N_IDS);
    OK(slm_session_prompt(live, live_ids, N_LIVE, NULL, &golden_err));
    check_live();
}

/* A larger file says which of its blocks is damaged; one process' threads find the same. */
static void names_the_block(void **state) {
    (void)state;
    size_t size, n = 3 * SLM_SNAPSHOT_BLOCK;
    uint8_t *attached = calloc(1, n);
    assert_non_null(attached);
    slm_snapshot_options o = {.struct_size = sizeof o, .attachment = attached, .attachment_len = n};
    slm_cache_options co = {.struct_size = sizeof co, .n_ctx = 32, .n_threads = 3};
    slm_session *s = NULL;
    OK(slm_session_open(model, &co, &s, &golden_err));
    OK(slm_session_eval(s, ids, N_IDS, SLM_LOGITS_NONE, &golden_err));
    OK(slm_session_save(s, path, &o, &golden_err));
    uint8_t *bytes = temp_read(path, &size);
    for (size_t block = 0; block < 4; block++) {
        char name[64];
        size_t at = block * SLM_SNAPSHOT_BLOCK + (block == 0 ? HEADER : 0);
        snprintf(name, sizeof name, "block %zu (bytes %zu to", block, block * SLM_SNAPSHOT_BLOCK);
        bytes[at] ^= 0x20;
        put_file(bytes, size);
        REFUSED(slm_session_load(s, path, NULL, NULL, &golden_err), SLM_ERR_FORMAT, name);
        assert_int_equal(held(s), N_IDS);
        bytes[at] ^= 0x20;
    }
    put_file(bytes, size);
    OK(slm_session_load(s, path, NULL, NULL, &golden_err));
    free(bytes);
    free(attached);
    slm_session_close(&s);
}

/* ---------------------------------------------------------------- others --------------------- */

static void change_norm(gb *b) {
    float x[32];
    for (int i = 0; i < 32; i++)
        x[i] = 1.25f;
    gb_tensor(b, "output_norm.weight", SLM_DTYPE_F32, 1, (uint64_t[]){32}, x);
}

static void load_elsewhere(const tiny_tweak *tweak, slm_kv_type kv, uint32_t n_ctx,
                           const char *field) {
    slm_model *m = tiny_open(tweak, NULL);
    slm_session *s = open_tiny(m, kv, n_ctx);
    OK(slm_session_eval(s, live_ids, N_LIVE, SLM_LOGITS_LAST, &golden_err));
    put_file(good, good_size);
    REFUSED(slm_session_load(s, path, NULL, NULL, &golden_err), SLM_ERR_CHANGED, field, "session");
    assert_string_equal(golden_err.subject, field);
    assert_null(message_flaw(&golden_err));
    assert_int_equal(held(s), N_LIVE);
    slm_session_close(&s);
    slm_model_close(&m);
}

static void of_other_models_and_caches(void **state) {
    (void)state;
    load_elsewhere(&(tiny_tweak){.name = "output_norm.weight", .emit = change_norm}, SLM_KV_F16,
                   TINY_CTX, "fingerprint");
    load_elsewhere(&(tiny_tweak){.type = SLM_DTYPE_F16}, SLM_KV_F16, TINY_CTX, "quantization");
    load_elsewhere(&(tiny_tweak){.type = SLM_DTYPE_BF16}, SLM_KV_F16, TINY_CTX, "quantization");
    load_elsewhere(&(tiny_tweak){.n_vocab = TINY_VOCAB + 1}, SLM_KV_F16, TINY_CTX, "n_vocab");
    load_elsewhere(&(tiny_tweak){.scale = 2}, SLM_KV_F16, TINY_CTX, "d_head");
    load_elsewhere(&(tiny_tweak){.arch = "phi3"}, SLM_KV_F16, TINY_CTX, "architecture");
    load_elsewhere(NULL, SLM_KV_Q8_0, TINY_CTX, "kv_type");
    load_elsewhere(NULL, SLM_KV_F32, TINY_CTX, "kv_type");
    load_elsewhere(NULL, SLM_KV_F16, N_IDS - 1, "n_ctx");
    slm_session *s = open_tiny(model, SLM_KV_F16, N_IDS); /* just enough */
    OK(load_bytes(s, good, good_size, &golden_err));
    assert_int_equal(held(s), N_IDS);
    slm_session_close(&s);
}

static void of_other_factors(void **state) {
    (void)state;
    golden_need_data();
    slm_model *m = golden_open("phi4-mini-like", "phi4-mini-like-f32.gguf", 0);
    static const slm_rope_factors all[] = {SLM_ROPE_AUTO, SLM_ROPE_SHORT, SLM_ROPE_LONG};
    for (int from = 0; from < 3; from++)
        for (int to = 0; to < 3; to++) {
            slm_cache_options o = {.struct_size = sizeof o, .n_ctx = 64, .rope_factors = all[from]};
            slm_session *s = NULL;
            OK(slm_session_open(m, &o, &s, &golden_err));
            OK(slm_session_eval(s, live_ids, N_LIVE, SLM_LOGITS_NONE, &golden_err));
            OK(slm_session_save(s, path, NULL, &golden_err));
            slm_session_close(&s);
            o.rope_factors = all[to];
            OK(slm_session_open(m, &o, &s, &golden_err));
            if (from == to) {
                OK(slm_session_load(s, path, NULL, NULL, &golden_err));
            } else {
                REFUSED(slm_session_load(s, path, NULL, NULL, &golden_err), SLM_ERR_CHANGED,
                        "rope_factors");
                assert_string_equal(golden_err.subject, "rope_factors");
            }
            slm_session_close(&s);
        }
    slm_model_close(&m);
}

static void turn_over(uint8_t *p, size_t n) {
    for (size_t i = 0; i < n / 2; i++) {
        uint8_t x = p[i];
        p[i] = p[n - 1 - i];
        p[n - 1 - i] = x;
    }
}

static void of_other_versions_and_machines(void **state) {
    (void)state;
    uint8_t *bytes = malloc(good_size);
    assert_non_null(bytes);
    static const uint32_t versions[] = {0, 2, 0x01000000, UINT32_MAX};
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        memcpy(bytes, good, good_size);
        memcpy(bytes + AT_VERSION, &versions[i], 4);
        seal(bytes, good_size);
        refuse_file(bytes, good_size, SLM_ERR_CHANGED, "version");
        assert_string_equal(golden_err.subject, "version");
    }
    memcpy(bytes, good, good_size);
    static const struct {
        size_t at, size;
    } fields[] = {{AT_VERSION, 4}, {AT_ORDER, 4}, {AT_FILE_BYTES, 8},
                  {AT_CHECKS, 8},  {AT_BLOCK, 4}, {AT_SECTIONS, 4}};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        turn_over(bytes + fields[i].at, fields[i].size);
    slm_crc32c_table table;
    slm_crc32c_init(&table, NULL);
    uint32_t check = slm_crc32c(&table, bytes, AT_CHECK, 0);
    memcpy(bytes + AT_CHECK, &check, 4);
    turn_over(bytes + AT_CHECK, 4);
    refuse_file(bytes, good_size, SLM_ERR_CHANGED, "other order of bytes");
    assert_string_equal(golden_err.subject, "byte_order");
    free(bytes);
}

static void other_things(void **state) {
    (void)state;
    static const char gguf[64] = "GGUF";
    char link_path[700];
    refuse_file((const uint8_t *)gguf, sizeof gguf, SLM_ERR_FORMAT, "is no snapshot");
    refuse_file((const uint8_t *)"x", 1, SLM_ERR_FORMAT, "is no snapshot");
    refuse_file((const uint8_t *)"", 0, SLM_ERR_TRUNC, "got 0 bytes");
    assert_int_equal(unlink(path), 0);
    REFUSED(slm_session_load(live, path, NULL, NULL, &golden_err), SLM_ERR_IO, "session");
    REFUSED(slm_session_load(live, temp_folder(), NULL, NULL, &golden_err), SLM_ERR_IO, "a folder");
    assert_int_equal(mkfifo(path, 0666), 0);
    REFUSED(slm_session_load(live, path, NULL, NULL, &golden_err), SLM_ERR_IO, "a pipe");
    REFUSED(slm_session_save(live, path, NULL, &golden_err), SLM_ERR_IO, "not a regular file");
    assert_int_equal(unlink(path), 0);
    /* names to save to */
    REFUSED(slm_session_save(live, temp_folder(), NULL, &golden_err), SLM_ERR_IO,
            "not a regular file");
    REFUSED(slm_session_save(live, "", NULL, &golden_err), SLM_ERR_IO, "names no file");
    REFUSED(slm_session_save(live, "..", NULL, &golden_err), SLM_ERR_IO, "not a regular file");
    REFUSED(slm_session_save(live, "/", NULL, &golden_err), SLM_ERR_IO, "names no file");
    REFUSED(slm_session_save(live, temp_path("absent/file"), NULL, &golden_err), SLM_ERR_IO,
            "No such file");
    char name[301];
    memset(name, 'n', 300);
    name[300] = 0;
    REFUSED(slm_session_save(live, temp_path(name), NULL, &golden_err), SLM_ERR_IO,
            "File name too long");
    REFUSED(slm_session_load(live, temp_path(name), NULL, NULL, &golden_err), SLM_ERR_IO,
            "File name too long");
    snprintf(link_path, sizeof link_path, "%s", temp_path("link"));
    put_file(good, good_size);
    assert_int_equal(symlink("session", link_path), 0);
    REFUSED(slm_session_save(live, link_path, NULL, &golden_err), SLM_ERR_IO, "is a link");
    assert_int_equal(unlink(path), 0); /* one that leads nowhere */
    REFUSED(slm_session_save(live, link_path, NULL, &golden_err), SLM_ERR_IO, "is a link");
    assert_int_equal(unlink(link_path), 0);
    assert_int_equal(temp_count(), 0);
    check_pages();
}

/* ---------------------------------------------------------------- forged --------------------- */

typedef struct forgery {
    const char *section; /* NULL: the header */
    size_t at, size;
    uint64_t value;
    slm_status status;
    const char *part;
} forgery;

static void forged_numbers(void **state) {
    (void)state;
    static const forgery all[] = {
        {NULL, AT_FILE_BYTES, 8, UINT64_MAX, SLM_ERR_TRUNC, "ends early"},
        {NULL, AT_FILE_BYTES, 8, 0, SLM_ERR_FORMAT, "behind its end"},
        {NULL, AT_CHECKS, 8, 0, SLM_ERR_RANGE, "checks_offset"},
        {NULL, AT_CHECKS, 8, HEADER, SLM_ERR_RANGE, "checks_offset"},
        {NULL, AT_CHECKS, 8, UINT64_MAX, SLM_ERR_RANGE, "checks_offset"},
        {NULL, AT_CHECKS, 8, 1000, SLM_ERR_RANGE, "file_bytes"},
        {NULL, AT_BLOCK, 4, 0, SLM_ERR_RANGE, "block_bytes"},
        {NULL, AT_BLOCK, 4, UINT32_MAX, SLM_ERR_RANGE, "block_bytes"},
        {NULL, AT_SECTIONS, 4, UINT32_MAX, SLM_ERR_RANGE, "n_sections"},
        {NULL, AT_SECTIONS, 4, 65, SLM_ERR_RANGE, "n_sections"},
        {NULL, AT_SECTIONS, 4, 0, SLM_ERR_RANGE, "checks_offset"},
        {NULL, AT_SECTIONS, 4, 4, SLM_ERR_RANGE, "checks_offset"},
        {NULL, HEADER + 16, 8, UINT64_MAX, SLM_ERR_RANGE, "model is 18446744073709551615"},
        {NULL, HEADER + 16, 8, MODEL - 1, SLM_ERR_RANGE, "checks_offset"},
        {NULL, HEADER + 2 * SECTION + 16, 8, 0, SLM_ERR_RANGE, "checks_offset"},
        {NULL, HEADER + 4 * SECTION + 16, 8, UINT64_MAX - 4096, SLM_ERR_RANGE, "pages.0"},
        {"model", 0, 8, 1, SLM_ERR_CHANGED, "fingerprint"},
        {"model", 8, 8, 1, SLM_ERR_CHANGED, "model_bytes"},
        {"model", 16, 4, 3, SLM_ERR_CHANGED, "n_layers"},
        {"model", 20, 4, 0, SLM_ERR_CHANGED, "n_kv_heads"},
        {"model", 24, 4, UINT32_MAX, SLM_ERR_CHANGED, "d_head"},
        {"model", 28, 4, UINT32_MAX, SLM_ERR_CHANGED, "n_vocab"},
        {"model", 32, 4, UINT32_MAX, SLM_ERR_CHANGED, "n_ctx_train"},
        {"model", 36, 4, 0, SLM_ERR_RANGE, "n_groups"},
        {"model", 36, 4, 3, SLM_ERR_RANGE, "n_groups"},
        {"model", 36, 4, 2, SLM_ERR_RANGE, "group 1"},
        {"model", 40, 4, 1, SLM_ERR_CHANGED, "layers of a group"},
        {"model", 44, 4, 1, SLM_ERR_CHANGED, "window"},
        {"model", 48, 4, 1, SLM_ERR_CHANGED, "layers of a group"},
        {"model", 52, 4, 1, SLM_ERR_CHANGED, "window"},
        {"model", 56, 4, 0x0a0a0a0a, SLM_ERR_CHANGED, "architecture"},
        {"model", 88, 4, UINT32_MAX, SLM_ERR_CHANGED, "quantization"},
        {"session", 0, 4, 0, SLM_ERR_RANGE, "kv_type"},
        {"session", 0, 4, 4, SLM_ERR_RANGE, "kv_type"},
        {"session", 0, 4, SLM_KV_Q8_0, SLM_ERR_CHANGED, "kv_type"},
        {"session", 4, 4, 0, SLM_ERR_RANGE, "page_tokens"},
        {"session", 4, 4, 8, SLM_ERR_RANGE, "page_tokens"},
        {"session", 4, 4, 24, SLM_ERR_RANGE, "page_tokens"},
        {"session", 4, 4, 2048, SLM_ERR_RANGE, "page_tokens"},
        {"session", 4, 4, 0x80000000u, SLM_ERR_RANGE, "page_tokens"},
        {"session", 4, 4, 1024, SLM_ERR_RANGE, "group 0 has pages 0 to 2, wanted all 1"},
        {"session", 8, 4, 0, SLM_ERR_RANGE, "n_ctx"},
        {"session", 8, 4, TINY_CTX + 1, SLM_ERR_RANGE, "n_ctx"},
        {"session", 8, 4, N_IDS - 1, SLM_ERR_RANGE, "n_tokens"},
        {"session", 12, 4, 3, SLM_ERR_RANGE, "rope_factors"},
        {"session", 12, 4, 1, SLM_ERR_CHANGED, "rope_factors"},
        {"session", 16, 4, 2, SLM_ERR_RANGE, "rope_long"},
        {"session", 16, 4, 1, SLM_ERR_RANGE, "rope_long"},
        {"session", 20, 4, TINY_CTX + 1, SLM_ERR_RANGE, "n_tokens"},
        {"session", 20, 4, UINT32_MAX, SLM_ERR_RANGE, "n_tokens"},
        {"session", 20, 4, N_IDS + 1, SLM_ERR_RANGE, "tokens"},
        {"session", 20, 4, 0x40000000 + N_IDS, SLM_ERR_RANGE, "n_tokens"}, /* times 4 wraps */
        {"session", 24, 4, N_IDS + 1, SLM_ERR_RANGE, "n_valid"},
        {"session", 24, 4, UINT32_MAX, SLM_ERR_RANGE, "n_valid"},
        {"session", 24, 4, 1, SLM_ERR_RANGE, "pages 0 to 2, wanted all 1"},
        {"session", 28, 4, N_IDS + 1, SLM_ERR_RANGE, "n_seen"},
        {"session", 28, 4, 1, SLM_ERR_RANGE, "n_valid"},
        {"session", 32, 4, 1, SLM_ERR_RANGE, "group 0"},
        {"session", 32, 4, UINT32_MAX, SLM_ERR_RANGE, "group 0"},
        {"session", 36, 4, 3, SLM_ERR_RANGE, "group 0"},
        {"session", 36, 4, 0, SLM_ERR_RANGE, "group 0"},
        {"session", 36, 4, UINT32_MAX, SLM_ERR_RANGE, "group 0"},
        {"session", 48, 4, 0, SLM_ERR_RANGE, "device"},
        {"session", 48, 4, 3, SLM_ERR_RANGE, "device"},
        {"session", 48, 4, SLM_DEVICE_CUDA, SLM_ERR_CHANGED, "device"},
        {"tokens", 0, 4, UINT32_MAX, SLM_ERR_RANGE, "token 0 has id -1"},
        {"tokens", 4, 4, TINY_VOCAB, SLM_ERR_RANGE, "token 1 has id 264"},
        {"tokens", 4 * (N_IDS - 1), 4, 0x80000000u, SLM_ERR_RANGE, "token 19"},
    };
    uint8_t *bytes = malloc(good_size);
    assert_non_null(bytes);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        const forgery *f = &all[i];
        memcpy(bytes, good, good_size);
        memcpy(bytes + f->at + (f->section != NULL ? section_at(good, f->section) : 0), &f->value,
               f->size);
        seal(bytes, good_size);
        refuse_file(bytes, good_size, f->status, f->part);
    }
    free(bytes);
    check_pages();
}

static void forged_sections(void **state) {
    (void)state;
    uint8_t *bytes = malloc(good_size);
    uint32_t flags = 0;
    assert_non_null(bytes);
    memcpy(bytes, good, good_size);
    memcpy(bytes + HEADER + 3 * SECTION, "ssm\n\0\0\0", 8);
    seal(bytes, good_size);
    refuse_file(bytes, good_size, SLM_ERR_UNSUP, "section \"ssm\\x0a\"");
    /* one that need not be known is passed over */
    memcpy(bytes + HEADER + 3 * SECTION + 8, &flags, 4);
    seal(bytes, good_size);
    slm_session *s = open_tiny(model, SLM_KV_F16, TINY_CTX);
    OK(load_bytes(s, bytes, good_size, &golden_err));
    assert_int_equal(held(s), N_IDS);
    slm_session_close(&s);
    for (size_t i = 0; i < 5; i++) { /* each in turn is missing, or there twice */
        static const char *const names[] = {"\"model\"", "\"session\"", "\"tokens\"", NULL,
                                            "\"pages.0\""};
        uint8_t *entry = bytes + HEADER + i * SECTION;
        if (names[i] == NULL)
            continue;
        memcpy(bytes, good, good_size);
        memcpy(entry, "other\0\0", 8);
        memcpy(entry + 8, &flags, 4);
        seal(bytes, good_size);
        refuse_file(bytes, good_size, SLM_ERR_MISSING, names[i]);
        memcpy(bytes, good, good_size);
        memcpy(bytes + HEADER + 3 * SECTION, entry, 8);
        seal(bytes, good_size);
        refuse_file(bytes, good_size, SLM_ERR_DUP, names[i]);
    }
    free(bytes);
    check_pages();
}

/* Numbers that are none, in keys and values: an error when they are used, and nothing is left of
 * them for those who get the pages next. */
static void pages_without_numbers(void **state) {
    (void)state;
    uint8_t *bytes = malloc(good_size);
    assert_non_null(bytes);
    size_t at = section_at(good, "pages.0"), end = (size_t)get_u64(good + AT_CHECKS);
    slm_session *s = open_tiny(model, SLM_KV_F16, 32);
    for (int kind = 0; kind < 3; kind++) {
        memcpy(bytes, good, good_size);
        for (size_t i = at; i < end; i += 2) {
            bytes[i] = (uint8_t)(kind == 2);
            bytes[i + 1] = kind == 1 ? 0xfc : 0x7c;
        }
        seal(bytes, good_size);
        OK(load_bytes(s, bytes, good_size, &golden_err));
        REFUSED(slm_session_eval(s, NULL, 0, SLM_LOGITS_LAST, &golden_err), SLM_ERR_NUMERIC,
                "finite");
        const float *row;
        OK(slm_session_prompt(s, live_ids, N_LIVE, NULL, &golden_err));
        OK(slm_session_get_logits(s, 0, &row, &golden_err));
        assert_memory_equal(row, live_logits, sizeof live_logits);
    }
    slm_session_close(&s);
    free(bytes);
}

/* ---------------------------------------------------------------- the calls ------------------ */

static int32_t stop_at(void *user, uint64_t done, uint64_t total) {
    assert_true(done > 0 && done <= total);
    return (*(int *)user)-- == 0;
}

static void arguments(void **state) {
    (void)state;
    char buffer[16];
    slm_snapshot_info info = {.struct_size = sizeof info};
    slm_snapshot_options o = {.struct_size = sizeof o, .flags = 1};
    slm_snapshot_load_options l = {.struct_size = sizeof l, .flags = 2};
    put_file(good, good_size);
    REFUSED(slm_session_save(NULL, path, NULL, &golden_err), SLM_ERR_ARG, "session is NULL");
    REFUSED(slm_session_save(live, NULL, NULL, &golden_err), SLM_ERR_ARG, "path is NULL");
    REFUSED(slm_session_save(live, path, &o, &golden_err), SLM_ERR_ARG, "flags", "0x1");
    REFUSED(slm_session_load(NULL, path, NULL, NULL, &golden_err), SLM_ERR_ARG, "session is NULL");
    REFUSED(slm_session_load(live, NULL, NULL, NULL, &golden_err), SLM_ERR_ARG, "path is NULL");
    REFUSED(slm_session_load(live, path, &l, NULL, &golden_err), SLM_ERR_ARG, "flags", "0x2");
    REFUSED(slm_snapshot_get_info(NULL, &info, &golden_err), SLM_ERR_ARG, "path is NULL");
    REFUSED(slm_snapshot_get_info(path, NULL, &golden_err), SLM_ERR_ARG, "info is NULL");
    o = (slm_snapshot_options){.struct_size = sizeof o, .attachment_len = 1};
    REFUSED(slm_session_save(live, path, &o, &golden_err), SLM_ERR_ARG, "attachment is NULL");
    info.struct_size = 3;
    REFUSED(slm_session_load(live, path, NULL, &info, &golden_err), SLM_ERR_ARG, "struct_size");
    check_live();
    info.struct_size = sizeof info;
    OK(slm_snapshot_get_info(path, &info, &golden_err));
    assert_int_equal(info.version, 1);
    assert_int_equal(info.file_bytes, good_size);
    assert_int_equal(info.n_tokens, N_IDS);
    assert_int_equal(info.n_evaluated, N_IDS);
    assert_int_equal(info.attachment_len, 7);
    assert_int_equal(info.n_ctx, TINY_CTX);
    assert_int_equal(info.kv_type, SLM_KV_F16);
    assert_int_equal(info.device, SLM_DEVICE_CPU);
    assert_true(info.fingerprint != 0);
    assert_string_equal(info.architecture, "llama");
    assert_string_equal(info.quantization, "F32");
    l = (slm_snapshot_load_options){
        .struct_size = sizeof l, .attachment = buffer, .attachment_cap = 6};
    REFUSED(slm_session_load(live, path, &l, &info, &golden_err), SLM_ERR_LIMIT, "7 bytes", "6");
    check_pages();
    l.attachment_cap = sizeof buffer;
    slm_session *s = open_tiny(model, SLM_KV_F16, TINY_CTX);
    OK(slm_session_load(s, path, &l, &info, &golden_err));
    assert_int_equal(info.attachment_len, 7);
    assert_memory_equal(buffer, "{\"a\":1}", 7);
    slm_session_close(&s);
}

/* Programs that were compiled when the structs were shorter. */
static void older_structs(void **state) {
    (void)state;
    char buffer[16] = "";
    slm_snapshot_info info;
    put_file(good, good_size);
    memset(&info, 0x5a, sizeof info);
    info.struct_size = END(slm_snapshot_info, n_tokens);
    OK(slm_snapshot_get_info(path, &info, &golden_err));
    assert_int_equal(info.n_tokens, N_IDS);
    assert_int_equal(info.n_evaluated, 0x5a5a5a5a5a5a5a5a);
    info.n_tokens = 0;
    slm_session *s = open_tiny(model, SLM_KV_F16, TINY_CTX);
    slm_snapshot_load_options l = {.struct_size = END(slm_snapshot_load_options, flags),
                                   .attachment = buffer};
    OK(slm_session_load(s, path, &l, &info, &golden_err));
    assert_int_equal(info.n_tokens, N_IDS);
    assert_int_equal(info.n_evaluated, 0x5a5a5a5a5a5a5a5a);
    assert_int_equal(buffer[0], 0);
    slm_snapshot_options o = {
        .struct_size = END(slm_snapshot_options, flags), .attachment = "x", .attachment_len = 1};
    OK(slm_session_save(s, path, &o, &golden_err));
    info.struct_size = sizeof info;
    OK(slm_snapshot_get_info(path, &info, &golden_err));
    assert_int_equal(info.attachment_len, 0);
    slm_session_close(&s);
}

static void stopped(void **state) {
    (void)state;
    size_t n = 2 * SLM_SNAPSHOT_BLOCK;
    uint8_t *attached = calloc(1, n);
    assert_non_null(attached);
    int turn = 0, left;
    slm_snapshot_options o = {.struct_size = sizeof o,
                              .attachment = attached,
                              .attachment_len = n,
                              .progress = stop_at,
                              .progress_user = &left};
    slm_snapshot_load_options l = {
        .struct_size = sizeof l, .progress = stop_at, .progress_user = &left};
    slm_status status = SLM_ERR_CANCEL;
    put_file(good, good_size);
    for (; status != SLM_OK; turn++) {
        left = turn;
        status = slm_session_save(live, path, &o, &golden_err);
        assert_int_equal(temp_count(), 1);
        if (status != SLM_OK) {
            size_t size;
            uint8_t *old = temp_read(path, &size);
            assert_int_equal(status, SLM_ERR_CANCEL);
            assert_int_equal(size, good_size);
            assert_memory_equal(old, good, size);
            free(old);
        }
    }
    assert_int_equal(turn, 5); /* three blocks, and the end of the file */
    OK(slm_session_prompt(live, live_ids, N_LIVE, NULL, &golden_err));
    for (turn = 0, status = SLM_ERR_CANCEL; status != SLM_OK; turn++) {
        left = turn;
        status = slm_session_load(live, path, &l, NULL, &golden_err);
        if (status != SLM_OK)
            assert_int_equal(status, SLM_ERR_CANCEL);
        if (status != SLM_OK)
            check_live();
    }
    assert_int_equal(turn, 4);
    free(attached);
    assert_int_equal(held(live), N_LIVE);
    OK(slm_session_eval(live, NULL, 0, SLM_LOGITS_LAST, &golden_err));
    check_pages();
}

/* A cache in which others hold the pages, and one that is full with this session's own. */
static void pages_run_out(void **state) {
    (void)state;
    slm_cache_options o = {.struct_size = sizeof o,
                           .n_ctx = 32,
                           .n_cells = 32,
                           .page_tokens = 16,
                           .max_sessions = 2,
                           .n_threads = 1};
    slm_cache *c = NULL;
    slm_session *a = NULL, *b = NULL;
    put_file(good, good_size);
    OK(slm_cache_open(model, &o, &c, &golden_err));
    OK(slm_session_open_on(c, NULL, &a, &golden_err));
    OK(slm_session_open_on(c, NULL, &b, &golden_err));
    OK(slm_session_eval(b, live_ids, N_LIVE, SLM_LOGITS_NONE, &golden_err));
    REFUSED(slm_session_load(a, path, NULL, NULL, &golden_err), SLM_ERR_LIMIT, "needs 2 pages",
            "has 1");
    assert_int_equal(held(a), 0);
    slm_session_close(&b);
    OK(slm_session_eval(a, ids, 32 - 12, SLM_LOGITS_NONE, &golden_err));
    /* a damaged file does not cost the session its pages */
    good[good_size - 100] ^= 1;
    put_file(good, good_size);
    REFUSED(slm_session_load(a, path, NULL, NULL, &golden_err), SLM_ERR_FORMAT, "block 0");
    good[good_size - 100] ^= 1;
    assert_int_equal(a->n_valid, 20);
    put_file(good, good_size);
    OK(slm_session_load(a, path, NULL, NULL, &golden_err));
    assert_int_equal(held(a), N_IDS);
    assert_int_equal(c->pools[0].n_free, 0);
    OK(slm_session_truncate(a, 0, &golden_err));
    assert_int_equal(c->pools[0].n_free, 2);
    slm_session_close(&a);
    slm_cache_close(&c);
}

/* Every allocation in turn is refused, once or for good. */
static void without_memory(void **state) {
    (void)state;
    fail_alloc fa = FAIL_ALLOC_INIT;
    for (int turn = 0; turn < 4; turn++) {
        int is_load = turn & 1;
        fa.fail_at = 0;
        slm_allocator allocator = fail_alloc_start(&fa);
        slm_model_options mo = {.struct_size = sizeof mo, .allocator = &allocator};
        slm_model *m = tiny_open(NULL, &mo);
        slm_session *s = open_tiny(m, SLM_KV_F16, TINY_CTX);
        slm_status status = SLM_ERR_NOMEM;
        OK(slm_session_eval(s, live_ids, N_LIVE, SLM_LOGITS_LAST, &golden_err));
        put_file(good, good_size);
        for (uint64_t k = 1; status != SLM_OK; k++) {
            int64_t before = fa.outstanding;
            (void)fail_alloc_start(&fa);
            fa.fail_at = k;
            fa.for_good = turn >= 2;
            status = is_load ? slm_session_load(s, path, NULL, NULL, &golden_err)
                             : slm_session_save(s, path, NULL, &golden_err);
            if (status != SLM_OK)
                assert_int_equal(status, SLM_ERR_NOMEM);
            assert_int_equal(fa.outstanding, before);
            assert_int_equal(temp_count(), 1);
            assert_int_equal(held(s), is_load && status == SLM_OK ? N_IDS : N_LIVE);
            assert_true(k < 50);
            if (status == SLM_OK)
                assert_true(k > 5);
        }
        fa.for_good = 0;
        fa.fail_at = 0;
        slm_session_close(&s);
        slm_model_close(&m);
        assert_int_equal(fa.outstanding, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_at_every_byte),
        cmocka_unit_test(every_bit),
        cmocka_unit_test(names_the_block),
        cmocka_unit_test(of_other_models_and_caches),
        cmocka_unit_test(of_other_versions_and_machines),
        cmocka_unit_test(other_things),
        cmocka_unit_test(forged_numbers),
        cmocka_unit_test(forged_sections),
        cmocka_unit_test(pages_without_numbers),
        cmocka_unit_test(arguments),
        cmocka_unit_test(older_structs),
        cmocka_unit_test(stopped),
        cmocka_unit_test(pages_run_out),
        cmocka_unit_test(without_memory),
        cmocka_unit_test(of_other_factors),
    };
    return cmocka_run_group_tests_name("snapshot_bad", tests, set_up, clean_up);
}
