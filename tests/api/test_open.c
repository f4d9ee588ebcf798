/* Ways to open a model: descriptor, memory, log lines and progress on the way. */
#include "api/tiny_open.h"
#include "support/temp_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static const int32_t some[] = {1, 260, 261, 262};

/* A tiny model as a file's bytes, at an address with this remainder by 64; free it whole. */
static uint8_t *tiny_bytes(const tiny_tweak *tweak, size_t remainder, size_t *size,
                           uint8_t **block) {
    gb *b = tiny_model(tweak);
    const uint8_t *bytes = gb_finish(b, size);
    *block = aligned_alloc(64, (*size + 64 + 63) / 64 * 64);
    assert_non_null(*block);
    memcpy(*block + remainder, bytes, *size);
    gb_free(b);
    return *block + remainder;
}

/* The logits after some[], into row. */
static void run(slm_model *m, float *row) {
    slm_session *s = NULL;
    const float *logits;
    slm_cache_options o = {.struct_size = sizeof o, .n_threads = 1};
    OK(slm_session_open(m, &o, &s, &golden_err));
    OK(slm_session_eval(s, some, 4, SLM_LOGITS_LAST, &golden_err));
    OK(slm_session_get_logits(s, 0, &logits, &golden_err));
    memcpy(row, logits, TINY_VOCAB * sizeof *row);
    slm_session_close(&s);
}

static float wanted[TINY_VOCAB];
static const char *file;

static int set_up(void **state) {
    (void)state;
    slm_model *m = tiny_open(NULL, NULL);
    run(m, wanted);
    slm_model_close(&m);
    size_t size;
    uint8_t *block, *bytes = tiny_bytes(NULL, 0, &size, &block);
    file = temp_path("tiny.gguf");
    temp_write(file, bytes, size);
    free(block);
    return 0;
}

static void same_logits(slm_model *m) {
    float row[TINY_VOCAB];
    run(m, row);
    assert_memory_equal(row, wanted, sizeof row);
}

static void descriptor(void **state) {
    (void)state;
    for (int load = SLM_LOAD_AUTO; load <= SLM_LOAD_PACK; load++)
        for (off_t position = 0; position <= 1000000; position += 500000) {
            slm_model_options o = {.struct_size = sizeof o, .load = load};
            slm_model *m = NULL;
            char first[4];
            int fd = open(file, O_RDONLY);
            assert_true(fd >= 0);
            assert_true(lseek(fd, position, SEEK_SET) == position);
            OK(slm_model_open_fd(fd, &o, &m, &golden_err));
            assert_true(lseek(fd, 0, SEEK_CUR) == position); /* neither used nor moved */
            assert_int_equal(pread(fd, first, 4, 0), 4);     /* and still open */
            assert_memory_equal(first, "GGUF", 4);
            assert_int_equal(close(fd), 0);
            same_logits(m); /* the model has its own */
            slm_model_close(&m);
            assert_int_equal(fcntl(fd, F_GETFD), -1);
        }
}

static size_t n_open(void) {
    size_t n = 0;
    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) != -1;
    return n;
}

static void descriptor_refused(void **state) {
    (void)state;
    slm_model *m = NULL;
    size_t before = n_open();
    REFUSED(slm_model_open_fd(-1, NULL, &m, &golden_err), SLM_ERR_ARG, "-1");
    REFUSED(slm_model_open_fd(9999, NULL, &m, &golden_err), SLM_ERR_IO, "descriptor");
    int pipe_ends[2];
    assert_int_equal(pipe(pipe_ends), 0);
    assert_int_not_equal(slm_model_open_fd(pipe_ends[0], NULL, &m, &golden_err), SLM_OK);
    assert_int_equal(close(pipe_ends[0]) | close(pipe_ends[1]), 0); /* not closed by the library */
    int fd = open("/dev/null", O_RDONLY);
    assert_true(fd >= 0);
    assert_int_not_equal(slm_model_open_fd(fd, NULL, &m, &golden_err), SLM_OK);
    assert_int_equal(close(fd), 0);
    assert_null(m);
    assert_int_equal(n_open(), before);
    fd = open(file, O_RDONLY);
    OK(slm_model_open_fd(fd, NULL, &m, &golden_err));
    slm_model_close(&m);
    assert_int_equal(close(fd), 0);
    assert_int_equal(n_open(), before);
}

static void memory(void **state) {
    (void)state;
    for (int load = SLM_LOAD_AUTO; load <= SLM_LOAD_PACK; load++)
        for (size_t remainder = 0; remainder < 64; remainder += 21) {
            slm_model_options o = {.struct_size = sizeof o, .load = load};
            slm_plan plan = {.struct_size = sizeof plan};
            slm_model *m = NULL;
            size_t size;
            uint8_t *block, *bytes = tiny_bytes(NULL, remainder, &size, &block);
            OK(slm_model_open_memory(bytes, size, &o, &m, &golden_err));
            OK(slm_cache_plan(m, NULL, &plan, &golden_err));
            if (load == SLM_LOAD_READ || remainder != 0) { /* a copy of its own */
                memset(bytes, 0, size);
                assert_int_equal(plan.weights_mapped, 0);
                assert_int_equal(plan.weights_allocated, size);
            } else {
                assert_int_equal(plan.weights_mapped, size);
                assert_int_equal(plan.weights_allocated, 0);
            }
            same_logits(m);
            slm_model_close(&m);
            free(block);
        }
    size_t size;
    slm_model *m = NULL;
    uint8_t *block, *bytes = tiny_bytes(NULL, 0, &size, &block);
    REFUSED(slm_model_open_memory(NULL, size, NULL, &m, &golden_err), SLM_ERR_ARG, "data");
    REFUSED(slm_model_open_memory(bytes, 0, NULL, &m, &golden_err), SLM_ERR_TRUNC);
    REFUSED(slm_model_open_memory(bytes, size / 2, NULL, &m, &golden_err), SLM_ERR_TRUNC);
    assert_null(m);
    free(block);
}

/* ---------------------------------------------------------------- log ------------------------ */

static struct {
    int n;
    void *user;
    slm_log_level level;
    char line[1024];
} logged;

static void keep_line(void *user, slm_log_level level, const char *line) {
    logged.n++;
    logged.user = user;
    logged.level = level;
    snprintf(logged.line, sizeof logged.line, "%s", line);
}

static void strange_tensor(gb *b) {
    gb_tensor_random(b, "output_norm.weight", 1, (uint64_t[]){32}, 1.0f, 99);
    gb_tensor(b, "strange.weight", 0, 1, (uint64_t[]){4}, NULL);
}

static void log_lines(void **state) {
    (void)state;
    tiny_tweak odd = {.name = "output_norm.weight", .emit = strange_tensor};
    for (slm_log_level level = SLM_LOG_NONE; level <= SLM_LOG_DEBUG; level++) {
        int user;
        slm_model_options o = {.struct_size = sizeof o, .log_level = level, .log = keep_line,
                               .log_user = &user};
        memset(&logged, 0, sizeof logged);
        slm_model *m = tiny_open(&odd, &o);
        slm_model_close(&m);
        if (level == SLM_LOG_ERROR) { /* NONE is 0, the default, which is WARNING */
            assert_int_equal(logged.n, 0);
            continue;
        }
        assert_int_equal(logged.n, 1);
        assert_int_equal(logged.level, SLM_LOG_WARNING);
        assert_ptr_equal(logged.user, &user);
        assert_non_null(strstr(logged.line, "strange.weight"));
        assert_null(strchr(logged.line, '\n'));
    }
    slm_model_options o = {.struct_size = sizeof o, .log = keep_line, .log_level = SLM_LOG_DEBUG};
    memset(&logged, 0, sizeof logged);
    slm_model *m = tiny_open(NULL, &o); /* nothing is wrong: no warning, nor of prompts later */
    float row[TINY_VOCAB];
    run(m, row);
    slm_model_close(&m);
    assert_true(logged.level == 0 || logged.level > SLM_LOG_WARNING);
}

/* ---------------------------------------------------------------- sampling ------------------- */

static void all_choices(gb *b) {
    gb_kv_f32(b, "general.sampling.temp", 0.25f);
    gb_kv_i32(b, "general.sampling.top_k", -1);
    gb_kv_f64(b, "general.sampling.top_p", 0.5);
    gb_kv_u8(b, "general.sampling.min_p", 0);
    gb_kv_u32(b, "general.sampling.penalty_repeat", 2);
    gb_kv_i64(b, "general.sampling.penalty_last_n", -1);
}
static void warm(gb *b) { gb_kv_str(b, "general.sampling.temp", "warm"); }
static void below_zero(gb *b) { gb_kv_f32(b, "general.sampling.temp", -1); }
static void not_whole(gb *b) { gb_kv_f32(b, "general.sampling.top_k", 1.5f); }
static void too_large(gb *b) { gb_kv_u64(b, "general.sampling.top_k", 1ull << 40); }
static void above_one(gb *b) { gb_kv_i32(b, "general.sampling.top_p", 2); }
static void no_penalty(gb *b) { gb_kv_i32(b, "general.sampling.penalty_repeat", 0); }

static slm_status sampling_of(void (*extra)(gb *b), slm_sampling *s) {
    gb *b = tiny_model(&(tiny_tweak){.extra = extra});
    size_t size;
    const uint8_t *bytes = gb_finish(b, &size);
    slm_model *m = NULL;
    OK(slm_model_open_memory(bytes, size, NULL, &m, &golden_err));
    slm_status status = slm_model_get_sampling(m, s, &golden_err);
    slm_model_close(&m);
    gb_free(b);
    return status;
}

static void sampling_of_the_file(void **state) {
    (void)state;
    static const struct {
        void (*extra)(gb *b);
        slm_status status;
        const char *key;
    } bad[] = {
        {warm, SLM_ERR_TYPE, "general.sampling.temp"},
        {below_zero, SLM_ERR_RANGE, "general.sampling.temp"},
        {not_whole, SLM_ERR_TYPE, "general.sampling.top_k"},
        {too_large, SLM_ERR_RANGE, "general.sampling.top_k"},
        {above_one, SLM_ERR_RANGE, "general.sampling.top_p"},
        {no_penalty, SLM_ERR_RANGE, "general.sampling.penalty_repeat"},
    };
    slm_sampling usual = {.struct_size = sizeof usual}, s = usual;
    OK(slm_sampling_init(&usual));
    OK(sampling_of(NULL, &s));
    assert_memory_equal(&s, &usual, sizeof s);
    OK(sampling_of(all_choices, &s));
    assert_true(s.temperature == 0.25f && s.top_k == 0 && s.top_p == 0.5f && s.min_p == 0 &&
                s.repeat_penalty == 2 && s.penalty_last_n == -1);
    assert_true(s.typical_p == usual.typical_p && s.seed == usual.seed);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        slm_sampling before = s;
        REFUSED(sampling_of(bad[i].extra, &s), bad[i].status, bad[i].key);
        assert_string_equal(golden_err.subject, bad[i].key);
        assert_memory_equal(&s, &before, sizeof s);
    }
    REFUSED(slm_model_get_sampling(NULL, &s, &golden_err), SLM_ERR_ARG, "model");
}

/* ---------------------------------------------------------------- progress ------------------- */

static struct {
    int n, stop_at;
    void *user;
    uint64_t done, total;
} progress;

static int32_t keep_progress(void *user, uint64_t done, uint64_t total) {
    if (total != progress.total && progress.n > 0)
        fail_msg("the total went from %llu to %llu", (unsigned long long)progress.total,
                 (unsigned long long)total);
    if (done < progress.done || done > total)
        fail_msg("%llu of %llu bytes after %llu", (unsigned long long)done,
                 (unsigned long long)total, (unsigned long long)progress.done);
    progress.user = user;
    progress.done = done;
    progress.total = total;
    return ++progress.n == progress.stop_at;
}

/* A matrix of 8.5 MiB: reading it takes two pieces. */
static void big_embedding(gb *b) {
    gb_tensor_random(b, "token_embd.weight", 2, (uint64_t[]){32, TINY_VOCAB}, 0.2f, 5);
    gb_tensor(b, "strange.weight", 0, 2, (uint64_t[]){1088, 2048}, NULL);
}

static void progress_of(const char *path, slm_load load, uint32_t flags, uint64_t total) {
    int user, n;
    slm_model *m = NULL;
    slm_model_options o = {.struct_size = sizeof o, .load = load, .flags = flags,
                           .progress = keep_progress, .progress_user = &user};
    memset(&progress, 0, sizeof progress);
    OK(slm_model_open(path, &o, &m, &golden_err));
    slm_model_close(&m);
    n = progress.n;
    assert_true(n >= 2);
    assert_ptr_equal(progress.user, &user);
    assert_true(progress.done == total && progress.total == total);
    for (int stop = 1; stop <= n; stop++) { /* stopped anywhere, the last time included */
        memset(&progress, 0, sizeof progress);
        progress.stop_at = stop;
        REFUSED(slm_model_open(path, &o, &m, &golden_err), SLM_ERR_CANCEL, "stopped");
        assert_null(m);
        assert_int_equal(progress.n, stop);
    }
}

static void progress_is_told(void **state) {
    (void)state;
    gb *b = tiny_model(&(tiny_tweak){.name = "token_embd.weight", .emit = big_embedding});
    size_t size;
    const uint8_t *bytes = gb_finish(b, &size);
    const char *path = temp_path("big.gguf");
    temp_write(path, bytes, size);
    slm_model *m = NULL;
    slm_model_info info = {.struct_size = sizeof info};
    OK(slm_model_open(path, NULL, &m, &golden_err));
    OK(slm_model_get_info(m, &info, &golden_err));
    slm_model_close(&m);
    progress_of(path, SLM_LOAD_READ, 0, size);
    progress_of(path, SLM_LOAD_MAP, SLM_MODEL_CHECK_TENSORS, info.weight_bytes);
    gb_free(b);
}

/* What is written is told to its end, and can be stopped there, too: then there is no file. */
static void progress_of_saving(void **state) {
    (void)state;
    gb *b = tiny_model(NULL);
    size_t size;
    const uint8_t *bytes = gb_finish(b, &size);
    const char *path = temp_path("told");
    slm_model *m = NULL;
    slm_session *s = NULL;
    OK(slm_model_open_memory(bytes, size, NULL, &m, &golden_err));
    OK(slm_session_open(m, NULL, &s, &golden_err));
    OK(slm_session_eval(s, some, 4, SLM_LOGITS_LAST, &golden_err));
    slm_snapshot_options o = {.struct_size = sizeof o, .progress = keep_progress};
    for (int stop = 0, n = 0; stop <= n; stop++) { /* 0: not at all */
        struct stat there;
        memset(&progress, 0, sizeof progress);
        progress.stop_at = stop;
        slm_status status = slm_session_save(s, path, &o, &golden_err);
        assert_int_equal(status, stop == 0 ? SLM_OK : SLM_ERR_CANCEL);
        assert_int_equal(stat(path, &there), stop == 0 ? 0 : -1);
        if (stop > 0)
            continue;
        n = progress.n;
        assert_true(n > 0 && progress.done == progress.total);
        assert_int_equal(progress.total, there.st_size);
        assert_int_equal(remove(path), 0);
    }
    slm_session_close(&s);
    slm_model_close(&m);
    gb_free(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(descriptor), cmocka_unit_test(descriptor_refused),
        cmocka_unit_test(memory),     cmocka_unit_test(log_lines),
        cmocka_unit_test(progress_is_told), cmocka_unit_test(progress_of_saving),
        cmocka_unit_test(sampling_of_the_file),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
