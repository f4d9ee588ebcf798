/* GGUF files written by others: all of the reference data, and every prefix of three headers. */
#define _XOPEN_SOURCE 700
#include "gguf_expect.h"

#include <ftw.h>
#include <stdlib.h>

static const char *shared_dir(void) {
    const char *dir = getenv("SLM_SHARED_DIR");
    return dir && dir[0] ? dir : SLM_SHARED_DIR;
}

static int n_files;

static int open_one(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
    (void)ftw;
    size_t len = strlen(path);
    if (flag != FTW_F || len < 5 || strcmp(path + len - 5, ".gguf") != 0)
        return 0;
    slm_host host;
    slm_gguf *g = NULL;
    slm_error e = SLM_ERROR_INIT;
    slm_host_init(&host, NULL, NULL, NULL, SLM_LOG_NONE);
    slm_status status =
        slm_gguf_open(&host, path, SLM_LOAD_MAP, SLM_GGUF_STRICT, NULL, NULL, &g, &e);
    if (status != SLM_OK)
        print_message("%s: %s\n", slm_status_name(status), e.message);
    assert_int_equal(status, SLM_OK);
    slm_str arch = {"", 0};
    assert_int_equal(slm_gguf_get_str(g, "general.architecture", 1, &arch, &e), SLM_OK);
    assert_true(arch.len > 2);
    assert_true(slm_gguf_file_bytes(g) == (uint64_t)st->st_size);
    for (uint64_t i = 0; i < slm_gguf_n_kv(g); i++) {
        size_t n = 0;
        assert_int_equal(slm_gguf_kv_text(slm_gguf_kv_at(g, i), NULL, 0, &n, &e), SLM_OK);
    }
    slm_gguf_close(g);
    assert_true(host.bytes == 0);
    n_files++;
    return 0;
}

static void test_all_files(void **state) {
    (void)state;
    n_files = 0;
    char path[1024]; /* "/.": the folder may be a link */
    snprintf(path, sizeof path, "%s/.", shared_dir());
    assert_int_equal(nftw(path, open_one, 16, FTW_PHYS), 0);
    assert_true(n_files >= 20);
}

/* The first tensor's data end the header. */
static void all_prefixes(const char *name) {
    char path[800];
    slm_host host;
    slm_gguf *whole = NULL;
    snprintf(path, sizeof path, "%s/%s", shared_dir(), name);
    slm_host_init(&host, NULL, NULL, NULL, SLM_LOG_NONE);
    assert_int_equal(slm_gguf_open(&host, path, SLM_LOAD_MAP, 0, NULL, NULL, &whole, NULL), SLM_OK);
    uint64_t end = UINT64_MAX;
    for (uint64_t i = 0; i < slm_gguf_n_tensors(whole); i++) {
        uint64_t offset = slm_gguf_tensor_at(whole, i)->offset;
        end = offset < end ? offset : end;
    }
    assert_true(end > 1000 && end < slm_gguf_file_bytes(whole));
    const uint8_t *bytes = slm_gguf_part(whole, 0)->data;
    for (uint64_t n = 0; n <= end; n++) {
        slm_file *file = NULL;
        slm_gguf *g = NULL;
        slm_error e = SLM_ERROR_INIT;
        assert_int_equal(slm_file_open_memory(&host, bytes, n, SLM_LOAD_MAP, &file, &e), SLM_OK);
        slm_status status = slm_gguf_open_file(&host, file, 0, &g, &e);
        if (status != SLM_ERR_TRUNC)
            print_message("%s, %llu bytes: %s\n", name, (unsigned long long)n, e.message);
        assert_int_equal(status, SLM_ERR_TRUNC);
        assert_null(g);
    }
    slm_gguf_close(whole);
    assert_true(host.bytes == 0);
}

static void test_all_prefixes_of_three_headers(void **state) {
    (void)state;
    all_prefixes("golden/llama-types/llama-types-q2_k.gguf");
    all_prefixes("golden/bitnet-like/bitnet-like-i2_s.gguf");
    all_prefixes("golden/phi3-128k-like/phi3-128k-like-f32.gguf");
}

/* The metadata of a vocabulary of 128,000 words and 280,000 merges are read in less than a second
 * per 64 MiB. */
static void test_time_of_a_large_vocabulary(void **state) {
    (void)state;
    char path[800];
    slm_host host;
    slm_gguf *g = NULL;
    uint64_t best = UINT64_MAX, size = 0;
    snprintf(path, sizeof path, "%s/vocab/llama3.gguf", shared_dir());
    slm_host_init(&host, NULL, NULL, NULL, SLM_LOG_NONE);
    for (int i = 0; i < 3; i++) {
        uint64_t start = slm_now_ns();
        assert_int_equal(slm_gguf_open(&host, path, SLM_LOAD_MAP, 0, NULL, NULL, &g, NULL), SLM_OK);
        uint64_t ns = slm_now_ns() - start;
        best = ns < best ? ns : best;
        size = slm_gguf_file_bytes(g);
        slm_gguf_close(g);
    }
    print_message("%.1f MB of metadata in %.2f ms\n", (double)size * 1e-6, (double)best * 1e-6);
    assert_true((double)best * (double)(64 << 20) / (double)size < 1e9);
}

int main(void) {
    struct stat st;
    const char *ci = getenv("CI");
    char path[800];
    snprintf(path, sizeof path, "%s/golden", shared_dir());
    if (stat(path, &st) != 0) {
        fprintf(stderr, "skipped: no reference data in %s\n", shared_dir());
        return ci && strcmp(ci, "true") == 0 ? 1 : 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_files),
        cmocka_unit_test(test_all_prefixes_of_three_headers),
        cmocka_unit_test(test_time_of_a_large_vocabulary),
    };
    return cmocka_run_group_tests_name("gguf_real", tests, NULL, NULL);
}
