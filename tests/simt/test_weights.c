/* How weights come to the device: in chunks that it grants, each byte read once, nothing of them left in
 * the system's memory and its page cache as it was. */
#define _GNU_SOURCE

#include "backend_test.h"
#include "model/device.h"
#include "support/temp_folder.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#define MIB ((uint64_t)1 << 20)

/* ---------------------------------------------------------------- chunks ----------------------- */

#define N_PLACES 12u

/* Places of a model whose device is a copy of this one's, as if it had no memory yet. */
static slm_status place(slm_model *m, slm_place *places, uint64_t most, uint64_t least,
                        slm_device_weights *d, slm_error *error) {
    slm_device_weights *own = m->device;
    *d = *own;
    d->chunks = NULL;
    d->n_chunks = 0;
    d->bytes = 0;
    m->device = d;
    slm_status status = slm_device_place(m, places, N_PLACES, 256, most, least, error);
    m->device = own;
    return status;
}

static void give_back(slm_model *m, slm_device_weights *d) {
    for (uint32_t i = 0; i < d->n_chunks; i++)
        slm_device_free(m, &d->chunks[i]);
    slm_free(&m->host, d->chunks);
}

/* Every place is in one chunk, and none overlaps another. */
static void check_places(const slm_place *places, const slm_device_weights *d) {
    uint32_t c = 0;
    uint64_t at = 0, bytes = 0;
    for (uint32_t i = 0; i < N_PLACES; i++) {
        if (at + places[i].bytes > d->chunks[c].bytes) {
            assert_int_equal(at, d->chunks[c].bytes); /* no gap at its end */
            c++;
            at = 0;
        }
        assert_ptr_equal(places[i].to, (uint8_t *)d->chunks[c].at + at);
        at += places[i].bytes;
    }
    assert_int_equal(c + 2, d->n_chunks);
    assert_int_equal(d->chunks[c + 1].bytes, 256);
    assert_ptr_equal(d->vectors, d->chunks[c + 1].at);
    for (uint32_t i = 0; i < d->n_chunks; i++)
        bytes += d->chunks[i].bytes;
    assert_int_equal(d->bytes, bytes);
}

/* A driver that refuses large pieces gets smaller ones, in halves, and not smaller than need be. */
static void refused_chunks_become_smaller(void **state) {
    (void)state;
    static const struct {
        size_t largest;
        uint32_t n_chunks; /* of weights; 0: it cannot be done */
    } cases[] = {{SIZE_MAX, 2}, {8192, 2}, {8191, 4}, {5120, 4}, {4096, 4}, {4095, 7},
                 {3072, 7},     {3071, 0}, {2048, 0}, {100, 0}};
    slm_model *m = open_on(SLM_DEVICE_CUDA);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        slm_place places[N_PLACES] = {{NULL, NULL, 0, 0, 0}};
        slm_device_weights d;
        fake_cuda_stats before = stats_now();
        for (uint32_t j = 0; j < N_PLACES; j++)
            places[j].bytes = j == 4 ? 3072 : 1024;
        fake_cuda_set_largest(cases[i].largest);
        golden_err = (slm_error)SLM_ERROR_INIT;
        slm_status status = place(m, places, 8192, 2048, &d, &golden_err);
        if (cases[i].n_chunks == 0) {
            assert_int_equal(status, SLM_ERR_NOMEM);
            assert_null(message_flaw(&golden_err));
        } else {
            assert_int_equal(status, SLM_OK);
            assert_int_equal(d.n_chunks, cases[i].n_chunks + 1);
            check_places(places, &d);
        }
        give_back(m, &d);
        assert_int_equal(stats_now().n_allocations, before.n_allocations);
    }
    fake_cuda_set_largest(SIZE_MAX);
    slm_model_close(&m);
    NOTHING_ON_DEVICE();
}

/* What was had stays as large as it is; only what follows is smaller. A matrix that is larger than a
 * chunk is asked for once. */
static void later_chunks_are_smaller(void **state) {
    (void)state;
    slm_model *m = open_on(SLM_DEVICE_CUDA);
    slm_place places[N_PLACES] = {{NULL, NULL, 0, 0, 0}};
    slm_device_weights d;
    for (uint32_t j = 0; j < N_PLACES; j++)
        places[j].bytes = 1024;
    fake_cuda_fail_malloc(2); /* the second of three, once */
    OK(place(m, places, 4096, 1024, &d, &golden_err));
    static const uint64_t want[] = {4096, 2048, 2048, 2048, 2048, 256};
    assert_int_equal(d.n_chunks, 6);
    for (uint32_t i = 0; i < 6; i++)
        assert_int_equal(d.chunks[i].bytes, want[i]);
    check_places(places, &d);
    give_back(m, &d);
    places[0].bytes = 20000;
    fake_cuda_set_largest(19999);
    uint64_t n_mallocs = stats_now().n_mallocs;
    assert_int_equal(place(m, places, 4096, 1024, &d, &golden_err), SLM_ERR_NOMEM);
    assert_int_equal(stats_now().n_mallocs, n_mallocs + 1);
    give_back(m, &d);
    fake_cuda_set_largest(SIZE_MAX);
    slm_model_close(&m);
    NOTHING_ON_DEVICE();
}

/* ---------------------------------------------------------------- files ------------------------ */

/* A model of some 60 MB. */
static const tiny_tweak large = {.scale = 16, .n_vocab = 20000};

static const char *write_model(const tiny_tweak *tweak) {
    const char *path = temp_path("model.gguf");
    gb *b = tiny_model(tweak);
    assert_true(gb_write(b, path));
    gb_free(b);
    return path;
}

static slm_model *open_path(const char *path, slm_device device, slm_load load,
                            const slm_allocator *allocator) {
    slm_model_options o = {.struct_size = sizeof o, .device = device, .load = load,
                           .allocator = allocator};
    slm_model *m = NULL;
    OK(slm_model_open(path, &o, &m, &golden_err));
    return m;
}

static slm_plan plan_of(const slm_model *m) {
    slm_plan plan = {.struct_size = sizeof plan};
    OK(slm_cache_plan(m, NULL, &plan, &golden_err));
    return plan;
}

/* READ leaves no more in the system's memory than MAP does, and the file may become anything. */
static void read_keeps_no_copy(void **state) {
    (void)state;
    fail_alloc fa = FAIL_ALLOC_INIT;
    slm_allocator a = fail_alloc_start(&fa);
    const char *path = write_model(NULL);
    slm_model *m = open_path(path, SLM_DEVICE_CUDA, SLM_LOAD_MAP, &a);
    logits_row *want = logits_alone(m, 30);
    int64_t held_by_map = fa.bytes;
    slm_plan mapped = plan_of(m), read;
    slm_model_close(&m);
    m = open_path(path, SLM_DEVICE_CUDA, SLM_LOAD_READ, &a);
    read = plan_of(m);
    assert_int_equal(fa.bytes, held_by_map);
    assert_memory_equal(&read, &mapped, END(slm_plan, n_threads));
    assert_int_equal(truncate(path, 100), 0); /* a mapping of it could not be looked at */
    logits_row *got = logits_alone(m, 30);
    assert_memory_equal(got, want, 30 * sizeof *got);
    char text[64];
    size_t len = 0;
    OK(slm_detokenize(m, ids, 10, 0, text, sizeof text, &len, &golden_err));
    OK(slm_model_get_meta(m, "general.architecture", text, sizeof text, &len, &golden_err));
    assert_memory_equal(text, "llama", len);
    REFUSED(slm_model_save_packed(m, temp_path("x.packed"), NULL, NULL, &golden_err), SLM_ERR_UNSUP);
    free(got);
    free(want);
    slm_model_close(&m);
    assert_int_equal(fa.outstanding, 0);
    NOTHING_ON_DEVICE();
}

/* Where the device does not do, READ reads after all. */
static void read_on_the_processor(void **state) {
    (void)state;
    const char *path = write_model(NULL);
    slm_model *m = open_path(path, SLM_DEVICE_CPU, SLM_LOAD_READ, NULL);
    logits_row *want = logits_alone(m, 20);
    slm_plan on_cpu = plan_of(m);
    slm_model_close(&m);
    assert_int_equal(on_cpu.weights_mapped, 0);
    for (int turn = 0; turn < 3; turn++) {
        fake_cuda_reset(turn == 0 ? FAKE_CUDA_NO_DEVICE : FAKE_CUDA_ORIN_NX_16);
        if (turn == 1)
            fake_cuda_set_free_memory(1000);
        if (turn == 2)
            fake_cuda_fail_sync(1);
        m = open_path(path, SLM_DEVICE_AUTO, SLM_LOAD_READ, NULL);
        slm_plan plan = plan_of(m);
        assert_memory_equal(&plan, &on_cpu, END(slm_plan, n_threads));
        logits_row *got = logits_alone(m, 20);
        assert_memory_equal(got, want, 20 * sizeof *got);
        free(got);
        slm_model_close(&m);
        NOTHING_ON_DEVICE();
    }
    fake_cuda_reset(FAKE_CUDA_ORIN_NX_16);
    m = open_path(path, SLM_DEVICE_AUTO, SLM_LOAD_READ, NULL);
    assert_int_equal(plan_of(m).model_bytes > 0 && m->device != NULL, 1);
    slm_model_close(&m);
    free(want);
}

/* Makes the file shorter as soon as its weights begin to be read. */
static int32_t cut_short(void *path, uint64_t done, uint64_t total) {
    (void)done;
    (void)total;
    assert_int_equal(truncate(path, 4096), 0);
    return 0;
}

static void a_file_that_changes_under_way(void **state) {
    (void)state;
    for (slm_load load = SLM_LOAD_MAP; load <= SLM_LOAD_READ; load++) {
        char path[256];
        snprintf(path, sizeof path, "%s", write_model(&large));
        slm_model_options o = {.struct_size = sizeof o, .device = SLM_DEVICE_CUDA, .load = load,
                               .progress = cut_short, .progress_user = path};
        slm_model *m = NULL;
        REFUSED(slm_model_open(path, &o, &m, &golden_err), SLM_ERR_CHANGED, "model.gguf");
        NOTHING_ON_DEVICE();
    }
}

/* ---------------------------------------------------------------- page cache ------------------- */

/* Which pages of the file the system holds; their number. */
static size_t resident(const char *path, unsigned char **pages, size_t *n) {
    int fd = open(path, O_RDONLY);
    size_t size = (size_t)lseek(fd, 0, SEEK_END), found = 0, page = (size_t)sysconf(_SC_PAGESIZE);
    void *map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    assert_true(map != MAP_FAILED);
    *n = (size + page - 1) / page;
    *pages = calloc(*n, 1);
    assert_non_null(*pages);
    assert_int_equal(mincore(map, size, *pages), 0);
    for (size_t i = 0; i < *n; i++)
        found += (*pages)[i] &= 1;
    munmap(map, size);
    close(fd);
    return found;
}

static size_t n_resident(const char *path) {
    unsigned char *pages;
    size_t n, found = resident(path, &pages, &n);
    free(pages);
    return found;
}

static void make_cold(const char *path) {
    int fd = open(path, O_RDONLY);
    assert_int_equal(fsync(fd), 0);
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
}

/* Loads a file of which 4 MB are warm. new, lost: pages that are in the page cache only behind that, or
 * only before it. */
static void load_partly_warm(const char *path, slm_load load, size_t *new, size_t *lost) {
    static char buffer[4 << 20];
    unsigned char *before, *after;
    size_t n, n_after;
    make_cold(path);
    int fd = open(path, O_RDONLY);
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
    assert_int_equal(pread(fd, buffer, sizeof buffer, 8 << 20), sizeof buffer);
    close(fd);
    size_t n_before = resident(path, &before, &n);
    assert_in_range(n_before, 1024, n / 2);
    slm_model *m = open_path(path, SLM_DEVICE_CUDA, load, NULL);
    resident(path, &after, &n_after);
    *new = *lost = 0;
    for (size_t i = 0; i < n; i++) {
        *new += after[i] && !before[i];
        *lost += before[i] && !after[i];
    }
    slm_model_close(&m);
    free(before);
    free(after);
}

/* A cold file stays cold but for its beginning, and what was warm stays warm. A system that takes
 * pages back by itself may do so meanwhile: not every time. */
static void the_page_cache_stays(void **state) {
    (void)state;
    const char *path = write_model(&large);
    make_cold(path);
    if (n_resident(path) > 0)
        skip(); /* a file system in memory */
    for (slm_load load = SLM_LOAD_AUTO; load <= SLM_LOAD_READ; load++) {
        size_t new = 0, lost = 1;
        for (int tries = 0; tries < 5 && lost > 0; tries++)
            load_partly_warm(path, load, &new, &lost);
        if (lost > 0 || new > 512) /* metadata, norms, and what the system reads beside them */
            fail_msg("load %d: %zu pages are new in the page cache, %zu are gone", load, new, lost);
    }
    NOTHING_ON_DEVICE();
}

/* What loading takes of the system's memory beyond what stays, with pinned memory. */
static void loading_takes_little_memory(void **state) {
    (void)state;
    const char *path = write_model(&large);
    for (slm_load load = SLM_LOAD_AUTO; load <= SLM_LOAD_READ; load++) {
        fail_alloc fa = FAIL_ALLOC_INIT;
        slm_allocator a = fail_alloc_start(&fa);
        assert_int_equal(fake_cuda_reset(FAKE_CUDA_ORIN_NX_16), 0);
        slm_model *m = open_path(path, SLM_DEVICE_CUDA, load, &a);
        uint64_t peak = (uint64_t)fa.peak + stats_now().pinned_peak_bytes;
        assert_true(m->on_device_bytes > 48 * MIB);
        assert_in_range(peak - (uint64_t)fa.bytes, MIB, 64 * MIB);
        slm_model_close(&m);
    }
    NOTHING_ON_DEVICE();
}

static int end(void **state) {
    temp_clear();
    return teardown(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(refused_chunks_become_smaller),
        TEST(later_chunks_are_smaller),
        TEST(read_keeps_no_copy),
        TEST(read_on_the_processor),
        TEST(a_file_that_changes_under_way),
        TEST(the_page_cache_stays),
        TEST(loading_takes_little_memory),
    };
    return cmocka_run_group_tests_name("weights", tests, NULL, NULL);
}
