/* Files of packed weights that are cut, changed, forged or of another model: refused when they were
 * named, passed over when they only lie beside the model, and never more than that. */
#include "api/packed_models.h"
#include "base/hash.h"
#include "support/message_flaw.h"

#include <sys/stat.h>
#include <unistd.h>

/* As docs/FORMATS.md gives it. */
enum {
    AT_VERSION = 8, AT_ORDER = 12, AT_FINGERPRINT = 16, AT_MODEL_BYTES = 24, AT_FILE_BYTES = 32,
    AT_TABLE = 40, AT_COUNT = 48, AT_ROWS = 52, AT_HASH = 56, HEADER = 64, ENTRY = 48
};

static char model_path[700], beside[700], elsewhere[700];
static uint8_t *good; /* a file that fits */
static size_t good_size, table, n_matrices;
static all_logits wanted, got;

static char warning[1024];
static int n_warnings;
static void keep_warning(void *user, slm_log_level level, const char *line) {
    (void)user;
    if (level == SLM_LOG_WARNING) {
        snprintf(warning, sizeof warning, "%s", line);
        n_warnings++;
    }
}

/* A new file: some file systems sync one that is emptied and written again. */
static void put(const char *path, const void *bytes, size_t size) {
    (void)unlink(path);
    temp_write(path, bytes, size);
}

static uint64_t u64_at(const uint8_t *p) {
    uint64_t x;
    memcpy(&x, p, sizeof x);
    return x;
}
static uint32_t u32_at(const uint8_t *p) {
    uint32_t x;
    memcpy(&x, p, sizeof x);
    return x;
}

static int set_up(void **state) {
    (void)state;
    snprintf(model_path, sizeof model_path, "%s", temp_path("m.gguf"));
    snprintf(beside, sizeof beside, "%s", temp_path("m.gguf.packed"));
    snprintf(elsewhere, sizeof elsewhere, "%s", temp_path("named"));
    write_model(&packable[1], model_path);
    slm_model *m = open_with(model_path, SLM_LOAD_PACK, "");
    evaluate_all(m, wanted);
    OK(slm_model_save_packed(m, beside, NULL, NULL, &golden_err));
    slm_model_close(&m);
    good = temp_read(beside, &good_size);
    table = (size_t)u64_at(good + AT_TABLE);
    n_matrices = u32_at(good + AT_COUNT);
    assert_int_equal(good_size, table + n_matrices * ENTRY + 8);
    assert_int_equal(n_matrices, 3);
    return unlink(beside);
}

static int clear(void **state) {
    (void)state;
    free(good);
    temp_clear();
    return 0;
}

/* Named: refused, with one of two statuses. */
static void refuse(uint32_t flags, const char *path, slm_status status, slm_status or_status,
                   const char *part) {
    slm_model_options o = {.struct_size = sizeof o, .flags = flags, .load = SLM_LOAD_PACK,
                           .packed_path = path};
    slm_model *m = (slm_model *)&o;
    golden_err = (slm_error)SLM_ERROR_INIT;
    slm_status is = slm_model_open(model_path, &o, &m, &golden_err);
    if (is != status && is != or_status)
        fail_msg("got %s (%s), wanted %s", slm_status_name(is), golden_err.message,
                 slm_status_name(status));
    assert_null(m);
    if (message_flaw(&golden_err) || strstr(golden_err.message, part) == NULL)
        fail_msg("\"%s\" is not in, or something else is wrong with: %s", part, golden_err.message);
}

/* Beside the model: passed over with one line, and the model is what it is. */
static void pass_over(uint32_t flags, const char *part) {
    slm_model_options o = {.struct_size = sizeof o, .flags = flags, .load = SLM_LOAD_PACK,
                           .log = keep_warning};
    slm_model *m = NULL;
    n_warnings = 0;
    OK(slm_model_open(model_path, &o, &m, &golden_err));
    assert_int_equal(n_warnings, 1);
    assert_non_null(strstr(warning, part));
    assert_non_null(strstr(warning, "passed over"));
    assert_true(plan_of(m).weights_allocated > 0);
    evaluate_all(m, got);
    assert_memory_equal(got, wanted, sizeof wanted);
    slm_model_close(&m);
}

static void try_bytes(const uint8_t *bytes, size_t size, slm_status status, slm_status or_status,
                      const char *part) {
    put(elsewhere, bytes, size);
    refuse(0, elsewhere, status, or_status, part);
    assert_int_equal(rename(elsewhere, beside), 0);
    pass_over(0, part);
    assert_int_equal(unlink(beside), 0);
}

/* What the message speaks of when byte i of the header was changed. */
static const char *about(size_t i) {
    return i < AT_VERSION       ? "first bytes"
           : i < AT_ORDER       ? "version"
           : i < AT_FINGERPRINT ? "order of bytes"
                                : "the header has checksum";
}

static void every_bit_of_header_and_table(void **state) {
    (void)state;
    put(elsewhere, good, good_size);
    refuse(0, temp_path("none"), SLM_ERR_IO, SLM_ERR_IO, "none");
    slm_model *m = open_with(model_path, SLM_LOAD_PACK, elsewhere);
    evaluate_all(m, got);
    assert_memory_equal(got, wanted, sizeof wanted);
    slm_model_close(&m);
    for (size_t i = 0; i < HEADER; i++)
        for (int bit = 0; bit < 8; bit++) {
            good[i] ^= (uint8_t)(1 << bit);
            put(elsewhere, good, good_size);
            refuse(0, elsewhere, SLM_ERR_FORMAT, i / 8 == 1 ? SLM_ERR_UNSUP : SLM_ERR_FORMAT,
                   about(i));
            good[i] ^= (uint8_t)(1 << bit);
        }
    for (size_t i = table; i < good_size; i++) {
        good[i] ^= 0x40;
        put(elsewhere, good, good_size);
        refuse(0, elsewhere, SLM_ERR_FORMAT, SLM_ERR_FORMAT, "the table of matrices has checksum");
        good[i] ^= 0x40;
    }
    for (size_t i = 0; i < HEADER; i += 7) {
        good[i] ^= 0x81;
        try_bytes(good, good_size, SLM_ERR_FORMAT, SLM_ERR_UNSUP, about(i));
        good[i] ^= 0x81;
    }
}

static void cut_and_longer(void **state) {
    (void)state;
    const size_t sizes[] = {0, 1, 8, HEADER - 1, HEADER, HEADER + 1, 4095, 4096, 4097, table - 1,
                            table, table + 1, table + ENTRY, good_size - 8, good_size - 1};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        try_bytes(good, sizes[i], SLM_ERR_TRUNC, SLM_ERR_TRUNC, " bytes, wanted ");
    uint8_t *longer = calloc(1, good_size + 4096);
    assert_non_null(longer);
    memcpy(longer, good, good_size);
    try_bytes(longer, good_size + 1, SLM_ERR_FORMAT, SLM_ERR_FORMAT, " bytes, wanted ");
    try_bytes(longer, good_size + 4096, SLM_ERR_FORMAT, SLM_ERR_FORMAT, " bytes, wanted ");
    free(longer);
}

static void other_things(void **state) {
    (void)state;
    size_t n;
    uint8_t *gguf = temp_read(model_path, &n);
    try_bytes(gguf, n, SLM_ERR_FORMAT, SLM_ERR_FORMAT, "is no file of packed weights");
    free(gguf);
    refuse(0, temp_folder(), SLM_ERR_IO, SLM_ERR_IO, "a folder");
    assert_int_equal(mkdir(beside, 0777), 0);
    pass_over(0, "is a folder");
    assert_int_equal(rmdir(beside), 0);
    assert_int_equal(mkfifo(beside, 0666), 0);
    refuse(0, beside, SLM_ERR_IO, SLM_ERR_IO, "a pipe");
    pass_over(0, "is a pipe");
    assert_int_equal(unlink(beside), 0);
    assert_int_equal(symlink("m.gguf.packed", beside), 0); /* to itself */
    refuse(0, beside, SLM_ERR_IO, SLM_ERR_IO, "m.gguf.packed");
    pass_over(0, "m.gguf.packed");
    assert_int_equal(unlink(beside), 0);
    /* of another model */
    const char *other = temp_path("o.gguf");
    write_model(&packable[0], other);
    slm_model *m = open_with(other, SLM_LOAD_MAP, NULL);
    OK(slm_model_save_packed(m, elsewhere, NULL, NULL, &golden_err));
    slm_model_close(&m);
    uint8_t *foreign = temp_read(elsewhere, &n);
    try_bytes(foreign, n, SLM_ERR_CHANGED, SLM_ERR_CHANGED, "from another model");
    free(foreign);
}

/* What its author made right again. */
static void seal(uint8_t *bytes) {
    uint64_t hash = slm_hash64(bytes, AT_HASH, 0);
    memcpy(bytes + AT_HASH, &hash, sizeof hash);
    hash = slm_hash64(bytes + table, n_matrices * ENTRY, u64_at(bytes + AT_FINGERPRINT));
    memcpy(bytes + good_size - 8, &hash, sizeof hash);
}

static void forged(void **state) {
    (void)state;
    static const uint64_t values[] = {0, 1, 4095, 4096, 0x7fffffff, 0xffffffff, 1ull << 40,
                                      0x7fffffffffffffff, 0xfffffffffffff000, UINT64_MAX};
    static const struct {
        size_t at, size;
        slm_status status, or_status;
    } header[] = {
        {AT_FINGERPRINT, 8, SLM_ERR_CHANGED, SLM_ERR_CHANGED},
        {AT_MODEL_BYTES, 8, SLM_ERR_CHANGED, SLM_ERR_CHANGED},
        {AT_FILE_BYTES, 8, SLM_ERR_TRUNC, SLM_ERR_FORMAT},
        {AT_TABLE, 8, SLM_ERR_SHAPE, SLM_ERR_SHAPE},
        {AT_COUNT, 4, SLM_ERR_SHAPE, SLM_ERR_SHAPE},
        {AT_ROWS, 4, SLM_ERR_SHAPE, SLM_ERR_SHAPE},
    };
    static const size_t entry[][2] = {{0, 4}, {4, 4}, {8, 8}, {16, 4}, {20, 4}, {24, 8}, {32, 8}};
    uint8_t *bytes = malloc(good_size);
    assert_non_null(bytes);
    for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
        for (size_t i = 0; i < sizeof header / sizeof header[0]; i++) {
            memcpy(bytes, good, good_size);
            memcpy(bytes + header[i].at, &values[v], header[i].size);
            seal(bytes);
            try_bytes(bytes, good_size, header[i].status, header[i].or_status, "wanted");
        }
        for (size_t i = 0; i < n_matrices * (sizeof entry / sizeof entry[0]); i++) {
            const size_t *field = entry[i % (sizeof entry / sizeof entry[0])];
            uint8_t *at = bytes + table + i / (sizeof entry / sizeof entry[0]) * ENTRY + field[0];
            memcpy(bytes, good, good_size);
            memcpy(at, &values[v], field[1]);
            seal(bytes);
            put(elsewhere, bytes, good_size);
            if (memcmp(bytes, good, good_size) != 0)
                refuse(0, elsewhere, SLM_ERR_SHAPE, SLM_ERR_SHAPE, "wanted");
        }
    }
    free(bytes);
}

static int n_calls;
static int32_t stop(void *user, uint64_t done, uint64_t total) {
    assert_true(done <= total);
    return n_calls++ == *(int *)user;
}

/* Only who asks for checks pays for them. */
static void damaged_panels(void **state) {
    (void)state;
    for (size_t i = 0; i < n_matrices; i++) {
        size_t at = (size_t)u64_at(good + table + i * ENTRY + 24);
        size_t end = at + (size_t)u64_at(good + table + i * ENTRY + 32);
        const size_t places[] = {at, at + 4095, (at + end) / 2, end - 1};
        for (int k = 0; k < 4; k++) {
            good[places[k]] ^= 0x10;
            put(elsewhere, good, good_size);
            for (int load = SLM_LOAD_AUTO; load <= SLM_LOAD_PACK; load++) {
                slm_model *m = open_with(model_path, load, elsewhere);
                slm_model_close(&m);
            }
            refuse(SLM_MODEL_CHECK_TENSORS, elsewhere, SLM_ERR_FORMAT, SLM_ERR_FORMAT,
                   "has checksum");
            assert_int_equal(rename(elsewhere, beside), 0);
            pass_over(SLM_MODEL_CHECK_TENSORS, "has checksum");
            assert_int_equal(unlink(beside), 0);
            good[places[k]] ^= 0x10;
        }
    }
    /* checking can be stopped, wherever the file was found */
    put(beside, good, good_size);
    for (int named = 0; named < 2; named++) {
        int call = 0;
        slm_status status = SLM_ERR_CANCEL;
        for (; status != SLM_OK; call++) {
            slm_model_options o = {.struct_size = sizeof o, .flags = SLM_MODEL_CHECK_TENSORS,
                                   .load = SLM_LOAD_PACK, .progress = stop,
                                   .progress_user = &call,
                                   .packed_path = named ? beside : NULL};
            slm_model *m = NULL;
            n_calls = 0;
            status = slm_model_open(model_path, &o, &m, &golden_err);
            if (status != SLM_OK)
                assert_int_equal(status, SLM_ERR_CANCEL);
            slm_model_close(&m);
        }
        assert_true((size_t)call > n_matrices);
    }
    assert_int_equal(unlink(beside), 0);
}

static void values_of_a_changed_model(gb *b) {
    blocks(b, "blk.0.ffn_up.weight", SLM_DTYPE_Q3_K, 256, 512);
    gb_kv_str(b, "general.author", "b");
}

/* A model that was changed in place: a number of its metadata, or the values of any tensor. */
static void changed_models(void **state) {
    (void)state;
    size_t size;
    uint8_t *bytes = temp_read(model_path, &size);
    put(elsewhere, good, good_size);
    slm_file *file;
    slm_gguf *g = NULL;
    slm_host host;
    slm_host_init(&host, NULL, NULL, NULL, SLM_LOG_NONE);
    OK(slm_file_open_memory(&host, bytes, size, SLM_LOAD_MAP, &file, &golden_err));
    OK(slm_gguf_open_file(&host, file, 0, &g, &golden_err));
    for (uint64_t i = 0; i < slm_gguf_n_tensors(g); i++) {
        const slm_gguf_tensor *t = slm_gguf_tensor_at(g, i);
        uint64_t count = t->bytes <= 1024 ? t->bytes : 3;
        for (uint64_t k = 0; k < count; k++) { /* all of a small one, else the ends and a place */
            uint64_t at = t->bytes <= 1024 ? k : k < 2 ? k * (t->bytes - 1)
                                                       : (t->bytes - 64) / 15 * 7 + 63;
            uint8_t *byte = bytes + t->offset + at;
            if (t->bytes <= 1024 && at % 4 != 0)
                continue; /* the lowest byte of a float keeps it finite */
            *byte ^= 1;
            put(model_path, bytes, size);
            refuse(0, elsewhere, SLM_ERR_CHANGED, SLM_ERR_CHANGED, "before this one changed");
            *byte ^= 1;
        }
    }
    slm_gguf_close(g);
    free(bytes);
    tiny_tweak t = packable[1];
    t.emit = values_of_a_changed_model;
    write_model(&t, model_path);
    refuse(0, elsewhere, SLM_ERR_CHANGED, SLM_ERR_CHANGED, "before this one changed");
    write_model(&packable[1], model_path);
    slm_model *m = open_with(model_path, SLM_LOAD_PACK, elsewhere);
    slm_model_close(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_bit_of_header_and_table),
        cmocka_unit_test(cut_and_longer),
        cmocka_unit_test(other_things),
        cmocka_unit_test(forged),
        cmocka_unit_test(damaged_panels),
        cmocka_unit_test(changed_models),
    };
    return cmocka_run_group_tests_name("packed_bad", tests, set_up, clear);
}
