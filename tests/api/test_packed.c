/* Saved packed weights: what is saved and mapped again computes the same bits, the plan tells it,
 * and the rules by which a file is looked for. */
#include "api/packed_models.h"
#include "base/hash.h"
#include "model/pack.h"
#include "packed.h"
#include "support/fail_alloc.h"

#include <sys/stat.h>
#include <unistd.h>

static all_logits wanted, got;

static char last_line[1024];
static slm_log_level last_level;
static void keep_line(void *user, slm_log_level level, const char *line) {
    (void)user;
    last_level = level;
    snprintf(last_line, sizeof last_line, "%s", line);
}

static int clear(void **state) {
    (void)state;
    temp_clear();
    return 0;
}

static void same_file(const char *a, const char *b) {
    size_t n, m;
    void *x = temp_read(a, &n), *y = temp_read(b, &m);
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    free(x);
    free(y);
}

static size_t file_size(const char *path) {
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return (size_t)st.st_size;
}

/* Bytes of the matrices that are packed, in the model's file, and how many there are. */
static uint64_t packed_rows(slm_model *m, uint64_t *n_matrices) {
    slm_pack_list list;
    OK(slm_pack_list_open(m, &list, &golden_err));
    uint64_t bytes = slm_pack_in_place(m, &list);
    *n_matrices = list.n;
    slm_pack_list_close(m, &list);
    return bytes;
}

/* The model uses the file: read into memory, or mapped. */
static void check_used(slm_model *m, slm_load load, size_t model_size, size_t packed_size) {
    slm_plan plan = plan_of(m);
    uint64_t n, rows = packed_rows(m, &n), mapped = load == SLM_LOAD_MAP ? packed_size : 0;
    uint64_t panels = packed_size - 4096 - n * 48 - 8; /* less header and table */
    assert_int_equal(plan.weights_allocated, mapped > 0 ? 0 : panels + SLM_ALLOC_HEADER);
    assert_int_equal(plan.weights_mapped, model_size + mapped - rows);
    assert_true(plan.total_bytes == plan.weights_mapped + plan.weights_allocated +
                                        plan.model_bytes + plan.kv_bytes + plan.scratch_bytes);
    evaluate_all(m, got);
    assert_memory_equal(got, wanted, sizeof wanted);
}

static void round_trip(void **state) {
    (void)state;
    for (size_t i = 0; i < N_PACKABLE; i++) {
        char path[700], other[700], beside[700];
        temp_clear();
        snprintf(path, sizeof path, "%s", temp_path("m.gguf"));
        snprintf(beside, sizeof beside, "%s", temp_path("m.gguf.packed"));
        snprintf(other, sizeof other, "%s", temp_path("other"));
        size_t size = write_model(&packable[i], path);
        slm_model *m = open_with(path, SLM_LOAD_PACK, NULL);
        assert_true(plan_of(m).weights_allocated > 0);
        evaluate_all(m, wanted);
        OK(slm_model_save_packed(m, beside, NULL, NULL, &golden_err));
        slm_model_close(&m);
        size_t packed_size = file_size(beside);
        assert_int_equal(temp_count(), 2);
        /* the same file, whatever it is made from; the last is made from itself */
        for (int load = SLM_LOAD_AUTO; load <= SLM_LOAD_PACK; load++) {
            m = open_with(path, load, NULL);
            OK(slm_model_save_packed(m, other, NULL, NULL, &golden_err));
            slm_model_close(&m);
            same_file(beside, other);
        }
        m = open_with(path, SLM_LOAD_PACK, NULL);
        check_used(m, SLM_LOAD_PACK, size, packed_size);
        slm_model_close(&m);
        rename(beside, other);
        m = open_with(path, SLM_LOAD_PACK, other);
        check_used(m, SLM_LOAD_PACK, size, packed_size);
        slm_model_close(&m);
        m = open_with(path, SLM_LOAD_MAP, other);
        assert_int_equal(unlink(other), 0); /* what is mapped stays */
        check_used(m, SLM_LOAD_MAP, size, packed_size);
        slm_model_close(&m);
        m = open_with(path, SLM_LOAD_PACK, NULL);
        assert_true(plan_of(m).weights_allocated > 0);
        slm_model_close(&m);
    }
}

/* A file that one level wrote is right for the others. */
static void levels(void **state) {
    (void)state;
    const char *path = temp_path("m.gguf"), *beside = temp_path("m.gguf.packed");
    size_t size = write_model(&packable[1], path);
    slm_model_options o = {.struct_size = sizeof o, .load = SLM_LOAD_PACK};
    slm_model *m = open_with(path, SLM_LOAD_PACK, NULL);
    OK(slm_model_save_packed(m, beside, NULL, NULL, &golden_err));
    slm_model_close(&m);
    for (uint32_t level = 1; level < 1u << 8; level <<= 1) {
        o.cpu_levels = level | SLM_CPU_AVX2 | SLM_CPU_NEON;
        if (level == SLM_CPU_PORTABLE)
            o.cpu_levels = level;
        o.packed_path = "";
        OK(slm_model_open(path, &o, &m, &golden_err));
        evaluate_all(m, wanted);
        slm_model_close(&m);
        o.packed_path = beside;
        for (int map = 0; map < 2; map++) {
            o.load = map ? SLM_LOAD_MAP : SLM_LOAD_PACK;
            OK(slm_model_open(path, &o, &m, &golden_err));
            check_used(m, o.load, size, file_size(beside));
            slm_model_close(&m);
        }
        o.load = SLM_LOAD_PACK;
    }
}

static void where_it_is_looked_for(void **state) {
    (void)state;
    char path[700], beside[700];
    snprintf(path, sizeof path, "%s", temp_path("m.gguf"));
    snprintf(beside, sizeof beside, "%s", temp_path("m.gguf.packed"));
    size_t size = write_model(&packable[0], path);
    slm_model *m = open_with(path, SLM_LOAD_MAP, NULL);
    OK(slm_model_save_packed(m, beside, NULL, NULL, &golden_err));
    slm_model_close(&m);

    slm_model_options o = {.struct_size = sizeof o, .log = keep_line, .log_level = SLM_LOG_INFO};
    static const char *const files[] = {NULL, "", "beside"};
    for (int load = SLM_LOAD_AUTO; load <= SLM_LOAD_PACK; load++)
        for (int portable = 0; portable < 2; portable++)
            for (int f = 0; f < 3; f++) {
                o.load = load;
                o.cpu_levels = portable ? SLM_CPU_PORTABLE : 0;
                o.packed_path = f == 2 ? beside : files[f];
                OK(slm_model_open(path, &o, &m, &golden_err));
                slm_model_info info = {.struct_size = sizeof info};
                OK(slm_model_get_info(m, &info, &golden_err));
                int gains = info.cpu_levels != SLM_CPU_PORTABLE;
                int read = (load == SLM_LOAD_PACK && f != 1) ||
                           (load == SLM_LOAD_AUTO && (f == 2 || (f == 0 && gains)));
                int mapped = load == SLM_LOAD_MAP && f == 2;
                evaluate_all(m, wanted);
                if (read || mapped)
                    check_used(m, load, size, file_size(beside));
                assert_int_equal(strstr(last_line, "read from m.gguf.packed") != NULL, read);
                assert_int_equal(strstr(last_line, "mapped from m.gguf.packed") != NULL, mapped);
                last_line[0] = 0;
                slm_model_close(&m);
            }
    /* without a name there is nothing beside it */
    size_t n;
    uint8_t *bytes = temp_read(path, &n), *aligned = aligned_alloc(64, (n + 63) / 64 * 64);
    assert_non_null(aligned);
    memcpy(aligned, bytes, n);
    o.load = SLM_LOAD_AUTO;
    o.cpu_levels = 0;
    for (int named = 0; named < 2; named++) {
        o.packed_path = named ? beside : NULL;
        OK(slm_model_open_memory(aligned, n, &o, &m, &golden_err));
        assert_int_equal(plan_of(m).weights_mapped, size);
        assert_int_equal(plan_of(m).weights_allocated > 0, named);
        slm_model_close(&m);
    }
    free(aligned);
    free(bytes);
}

static void no_name(gb *b) { (void)b; }
static void first_part(gb *b) {
    gb_kv_u32(b, "split.no", 0);
    gb_kv_u32(b, "split.count", 2);
    gb_kv_i32(b, "split.tensors.count", 21);
}

static void split_models(void **state) {
    (void)state;
    char path[700], beside[700];
    snprintf(path, sizeof path, "%s", temp_path("m-00001-of-00002.gguf"));
    snprintf(beside, sizeof beside, "%s", temp_path("m-00001-of-00002.gguf.packed"));
    const char *second = temp_path("m-00002-of-00002.gguf");
    tiny_tweak t = packable[0];
    t.name2 = "output_norm.weight";
    t.emit2 = no_name;
    t.extra = first_part;
    size_t size = write_model(&t, path), size2;
    gb *b = gb_begin();
    gb_kv_u32(b, "split.no", 1);
    gb_kv_u32(b, "split.count", 2);
    gb_kv_i32(b, "split.tensors.count", 21);
    gb_tensor_random(b, "output_norm.weight", 1, (uint64_t[]){256}, 1.0f, 5);
    own_output(b);
    const uint8_t *bytes = gb_finish(b, &size2);
    temp_write(second, bytes, size2);
    slm_model *m = open_with(path, SLM_LOAD_PACK, NULL);
    evaluate_all(m, wanted);
    OK(slm_model_save_packed(m, beside, NULL, NULL, &golden_err));
    REFUSED(slm_model_save_packed(m, second, NULL, NULL, &golden_err), SLM_ERR_ARG,
            "m-00002-of-00002.gguf is the model's own file");
    slm_model_close(&m);
    m = open_with(path, SLM_LOAD_PACK, beside);
    check_used(m, SLM_LOAD_PACK, size + size2, file_size(beside));
    slm_model_close(&m);
    /* a change in the second part is noticed */
    uint8_t *changed = malloc(size2);
    assert_non_null(changed);
    memcpy(changed, bytes, size2);
    memset(changed + size2 - TINY_VOCAB * 272, 1, TINY_VOCAB * 272 / 2);
    temp_write(second, changed, size2);
    slm_model_options o = {.struct_size = sizeof o, .packed_path = beside};
    REFUSED(slm_model_open(path, &o, &m, &golden_err), SLM_ERR_CHANGED, "another model");
    free(changed);
    gb_free(b);
}

static int32_t stop_at(void *user, uint64_t done, uint64_t total) {
    uint64_t *least = user;
    assert_true(done <= total && total > 0);
    return done > *least;
}

static void what_cannot_be_saved(void **state) {
    (void)state;
    char path[700];
    uint64_t at = 100000;
    snprintf(path, sizeof path, "%s", temp_path("m.gguf"));
    size_t size = write_model(&packable[0], path), n;
    slm_model *m = open_with(path, SLM_LOAD_AUTO, NULL);
    void *before = temp_read(path, &n);
    REFUSED(slm_model_save_packed(NULL, path, NULL, NULL, &golden_err), SLM_ERR_ARG, "model");
    REFUSED(slm_model_save_packed(m, NULL, NULL, NULL, &golden_err), SLM_ERR_ARG, "path");
    REFUSED(slm_model_save_packed(m, path, NULL, NULL, &golden_err), SLM_ERR_ARG,
            "m.gguf is the model's own file");
    const char *link = temp_path("link");
    assert_int_equal(symlink("m.gguf", link), 0);
    REFUSED(slm_model_save_packed(m, link, NULL, NULL, &golden_err), SLM_ERR_ARG, "own file");
    assert_int_equal(unlink(link), 0);
    REFUSED(slm_model_save_packed(m, temp_path("none/x"), NULL, NULL, &golden_err), SLM_ERR_IO,
            " x:");
    REFUSED(slm_model_save_packed(m, temp_folder(), NULL, NULL, &golden_err), SLM_ERR_IO,
            "not a regular file");
    REFUSED(slm_model_save_packed(m, "", NULL, NULL, &golden_err), SLM_ERR_IO, "names no file");
    /* a folder in which nobody may create files */
    REFUSED(slm_model_save_packed(m, "/proc/m.packed", NULL, NULL, &golden_err), SLM_ERR_IO,
            "m.packed");
    REFUSED(slm_model_save_packed(m, temp_path("out"), stop_at, &at, &golden_err), SLM_ERR_CANCEL,
            "was stopped at");
    assert_int_equal(temp_count(), 1);
    void *after = temp_read(path, &n);
    assert_int_equal(n, size);
    assert_memory_equal(before, after, n);
    free(after);
    /* the model's file changes while it is open */
    temp_write(path, before, size);
    REFUSED(slm_model_save_packed(m, temp_path("out"), NULL, NULL, &golden_err), SLM_ERR_CHANGED,
            "m.gguf changed");
    assert_int_equal(temp_count(), 1);
    free(before);
    slm_model_close(&m);

    slm_model_options o = {.struct_size = sizeof o, .flags = SLM_MODEL_VOCAB_ONLY};
    OK(slm_model_open(path, &o, &m, &golden_err));
    REFUSED(slm_model_save_packed(m, temp_path("out"), NULL, NULL, &golden_err), SLM_ERR_MISSING,
            "without its weights");
    slm_model_close(&m);
    write_model(NULL, path); /* F32 */
    m = open_with(path, SLM_LOAD_AUTO, NULL);
    REFUSED(slm_model_save_packed(m, temp_path("out"), NULL, NULL, &golden_err), SLM_ERR_UNSUP,
            "no matrix that can be packed");
    slm_model_close(&m);
    assert_int_equal(temp_count(), 1);
}

static void without_memory(void **state) {
    (void)state;
    char path[700], out[700];
    snprintf(path, sizeof path, "%s", temp_path("m.gguf"));
    snprintf(out, sizeof out, "%s", temp_path("out"));
    write_model(&packable[0], path);
    fail_alloc fa = FAIL_ALLOC_INIT;
    slm_allocator a = fail_alloc_start(&fa);
    slm_model_options o = {.struct_size = sizeof o, .load = SLM_LOAD_MAP, .allocator = &a};
    slm_model *m = NULL;
    OK(slm_model_open(path, &o, &m, &golden_err));
    int64_t held = fa.outstanding;
    slm_status status = SLM_ERR_NOMEM;
    for (uint64_t k = 1; status != SLM_OK; k++) {
        fa.fail_at = fa.calls + k;
        golden_err = (slm_error)SLM_ERROR_INIT;
        status = slm_model_save_packed(m, out, NULL, NULL, &golden_err);
        assert_int_equal(fa.outstanding, held);
        if (status != SLM_OK) {
            assert_int_equal(status, SLM_ERR_NOMEM);
            assert_int_equal(temp_count(), 1);
        }
    }
    assert_int_equal(temp_count(), 2);
    assert_true(fa.peak < fa.bytes + (4 << 20));
    slm_model_close(&m);
    o.load = SLM_LOAD_PACK;
    o.packed_path = out;
    status = SLM_ERR_NOMEM;
    for (fa.fail_at = 1; status != SLM_OK; fa.fail_at++) {
        a = fail_alloc_start(&fa);
        status = slm_model_open(path, &o, &m, &golden_err);
        if (status != SLM_OK)
            assert_int_equal(status, SLM_ERR_NOMEM);
        slm_model_close(&m);
        assert_int_equal(fa.outstanding, 0);
    }
}

static void limits(void **state) {
    (void)state;
    char path[700], beside[700];
    snprintf(path, sizeof path, "%s", temp_path("m.gguf"));
    snprintf(beside, sizeof beside, "%s", temp_path("m.gguf.packed"));
    size_t size = write_model(&packable[2], path);
    slm_model *m = open_with(path, SLM_LOAD_MAP, NULL);
    OK(slm_model_save_packed(m, beside, NULL, NULL, &golden_err));
    uint64_t n, most = 0, rows = packed_rows(m, &n);
    slm_model_close(&m);
    static const slm_load loads[] = {SLM_LOAD_PACK, SLM_LOAD_MAP};
    slm_model_options o = {.struct_size = sizeof o, .packed_path = beside};
    for (int i = 0; i < 4; i++) { /* just enough, and a byte less */
        slm_session *s = NULL;
        o.load = loads[i / 2];
        o.memory_limit = 0;
        OK(slm_model_open(path, &o, &m, &golden_err));
        slm_plan plan = plan_of(m);
        o.memory_limit = plan.total_bytes - (uint64_t)(i % 2);
        most = plan.weights_mapped + plan.model_bytes; /* of the last, which maps */
        slm_model_close(&m);
        OK(slm_model_open(path, &o, &m, &golden_err));
        slm_status status = slm_session_open(m, NULL, &s, &golden_err);
        assert_int_equal(status, i % 2 ? SLM_ERR_NOMEM : SLM_OK);
        slm_session_close(&s);
        slm_model_close(&m);
    }
    /* room for the model in its rows, but not packed */
    assert_in_range(file_size(beside) - rows, 4096, size);
    for (int i = 0; i < 2; i++) {
        o.load = loads[i];
        o.memory_limit = most - 1;
        REFUSED(slm_model_open(path, &o, &m, &golden_err), SLM_ERR_NOMEM, "m.gguf.packed needs",
                "memory_limit");
    }
    o.packed_path = NULL;
    o.load = SLM_LOAD_AUTO;
    o.log = keep_line;
    OK(slm_model_open(path, &o, &m, &golden_err));
    assert_int_equal(plan_of(m).weights_mapped + plan_of(m).weights_allocated >= size - rows, 1);
    if (last_line[0] != 0) { /* on a processor that gains by packing */
        assert_int_equal(last_level, SLM_LOG_WARNING);
        assert_non_null(strstr(last_line, "passed over"));
    }
    slm_model_close(&m);
}

/* Spans that begin and end anywhere, also within panels and with several matrices in them, are packed
 * to the same whole. */
static void any_spans(void **state) {
    (void)state;
    for (size_t t = 0; t < N_PACKABLE; t++) {
        const char *path = temp_path("m.gguf");
        write_model(&packable[t], path);
        slm_model *m = open_with(path, SLM_LOAD_MAP, NULL);
        slm_pack_list list;
        OK(slm_pack_list_open(m, &list, &golden_err));
        size_t bytes = (size_t)slm_pack_place(&list), most = 0;
        for (uint32_t i = 0; i < list.n; i++)
            most += slm_pack_chunk_rows(list.all[i]);
        uint8_t *whole = aligned_alloc(64, bytes), *pieces = aligned_alloc(64, bytes);
        uint8_t *buffer = malloc(most);
        assert_true(whole != NULL && pieces != NULL && buffer != NULL);
        slm_packer p = {.model = m, .list = &list, .memory = whole, .bytes = bytes};
        memset(whole, 0xa5, bytes);
        OK(slm_pack_span(&p, buffer, 0, bytes, &golden_err));
        p.memory = pieces;
        for (size_t step = 1000; step < bytes; step = step * 7 + 64) {
            memset(pieces, 0x5a, bytes);
            for (size_t from = 0; from < bytes; from += step)
                OK(slm_pack_span(&p, buffer, from, from + step < bytes ? from + step : bytes,
                                 &golden_err));
            assert_memory_equal(pieces, whole, bytes);
        }
        free(whole);
        free(pieces);
        free(buffer);
        slm_pack_list_close(m, &list);
        slm_model_close(&m);
    }
}

typedef struct filled {
    slm_fill fill;
    _Atomic uint32_t calls;
    uint32_t fail_at;
} filled;

static int32_t stop_now(void *user, uint64_t done, uint64_t total) {
    (void)user;
    assert_true(done <= total);
    return 1;
}

static slm_status add_one(void *context, uint8_t *buffer, uint64_t from, uint64_t to,
                          slm_error *error) {
    filled *f = context;
    uint32_t call = ++f->calls;
    assert_true(from < to && to <= f->fill.bytes);
    buffer[0] = buffer[f->fill.buffer_bytes - 1] = 1; /* its own */
    if (call == f->fail_at)
        return slm_fail(error, SLM_ERR_IO, "a file", 7, "call %u", call);
    for (; from < to; from++)
        f->fill.memory[from]++;
    return SLM_OK;
}

typedef struct told {
    int n, stop_at;
    uint64_t done, total;
} told;

static int32_t tell(void *user, uint64_t done, uint64_t total) {
    told *t = user;
    assert_true(done > t->done && done <= total);
    t->done = done;
    t->total = total;
    return ++t->n == t->stop_at;
}

/* To the end, where it can be stopped as well: then there is no file. */
static void saving_is_told(void **state) {
    (void)state;
    char path[700], beside[700];
    temp_clear();
    snprintf(path, sizeof path, "%s", temp_path("m.gguf"));
    snprintf(beside, sizeof beside, "%s", temp_path("m.gguf.packed"));
    write_model(&packable[0], path);
    slm_model *m = open_with(path, SLM_LOAD_MAP, NULL);
    told all = {0};
    OK(slm_model_save_packed(m, beside, tell, &all, &golden_err));
    assert_true(all.done == all.total && all.n >= 2);
    assert_int_equal(all.total, file_size(beside));
    assert_int_equal(remove(beside), 0);
    for (int stop = 1; stop <= all.n; stop++) {
        told some = {.stop_at = stop};
        REFUSED(slm_model_save_packed(m, beside, tell, &some, &golden_err), SLM_ERR_CANCEL,
                "stopped");
        assert_int_equal(temp_count(), 1);
    }
    slm_model_close(&m);
}

static void all_of_the_memory_is_filled(void **state) {
    (void)state;
    const size_t large = (size_t)2 << 20, sizes[] = {1, 4096, large, 3 * large - 5, 9 * large + 77};
    slm_host host;
    slm_host_init(&host, NULL, NULL, NULL, SLM_LOG_NONE);
    uint8_t *room = aligned_alloc(large, 11 * large);
    assert_non_null(room);
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (size_t shift = 0; shift < 3; shift++) {
            filled f = {.fill = {.verb = "filling", .body = add_one, .bytes = sizes[i],
                                 .memory = room + shift * 64, .buffer_bytes = 100,
                                 .progress = stop_at, .progress_user = &least}};
            f.fill.context = &f;
            memset(room, 0, 11 * large);
            OK(slm_fill_run(&host, &f.fill, &golden_err));
            for (size_t k = 0; k < 11 * large; k++)
                if (room[k] != (k >= shift * 64 && k < shift * 64 + sizes[i]))
                    fail_msg("byte %zu of %zu was filled %d times", k, sizes[i], room[k]);
        }
    for (uint32_t fail_at = 1; fail_at < 4; fail_at++) {
        filled f = {.fill = {.verb = "filling", .body = add_one, .bytes = 10 * large,
                             .memory = room, .buffer_bytes = 1}, .fail_at = fail_at};
        f.fill.context = &f;
        REFUSED(slm_fill_run(&host, &f.fill, &golden_err), SLM_ERR_IO, "call ");
        assert_string_equal(golden_err.subject, "a file");
        assert_int_equal(golden_err.offset, 7);
    }
    filled f = {.fill = {.verb = "filling", .body = add_one, .bytes = 40, .memory = room,
                         .buffer_bytes = 1, .progress = stop_now}};
    f.fill.context = &f;
    REFUSED(slm_fill_run(&host, &f.fill, &golden_err), SLM_ERR_CANCEL,
            "filling the packed weights was stopped at", "of 40 bytes");
    assert_int_equal(atomic_load(&host.bytes), 0);
    free(room);
}

/* Files of a version are read by all libraries of that version: when a panel is laid out in another
 * order, this fails, and SLM_PACKED_VERSION is to be raised with the numbers here. */
static void the_order_of_panels_is_that_of_the_version(void **state) {
    (void)state;
    static const struct {
        uint32_t type;
        uint64_t hash;
    } known[] = {
        {SLM_DTYPE_Q2_K, 0x5c2053d35cfed881u},
        {SLM_DTYPE_Q3_K, 0xb51d89acd62b8972u},
        {SLM_DTYPE_Q4_K, 0xc97dfc318c44edc3u},
        {SLM_DTYPE_Q5_K, 0x10f7ff1b40282824u},
        {SLM_DTYPE_Q6_K, 0xc5599a2c5992676fu},
        {SLM_DTYPE_Q4_0, 0x7b866f91f249b9a4u},
        {SLM_DTYPE_Q8_0, 0x838737d9426380a9u},
    };
    assert_int_equal(SLM_PACKED_VERSION, 2);
    uint32_t n_types = 0, n_others = 0;
    for (uint32_t type = 0; type < SLM_DTYPE_LIMIT; type++)
        n_types += (uint32_t)slm_packs(type);
    assert_int_equal(n_types, sizeof known / sizeof known[0]);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        static uint8_t rows[SLM_PANEL_ROWS * 600], panel[SLM_PANEL_ROWS * 700];
        const slm_dtype_info *info = slm_dtype_get(known[i].type);
        size_t row = 512 / info->block * info->bytes;
        size_t bytes = slm_panel_bytes(known[i].type, 512);
        assert_in_range(bytes, SLM_PANEL_ROWS * row, sizeof panel);
        assert_in_range(SLM_PANEL_ROWS * row, 1, sizeof rows);
        uint64_t word = 1;
        for (size_t k = 0; k < SLM_PANEL_ROWS * row; k++) {
            word = word * 6364136223846793005u + 1442695040888963407u;
            rows[k] = (uint8_t)(word >> 56);
        }
        slm_pack_panel(known[i].type, panel, rows, row, 11, 512);
        uint64_t hash = slm_hash64(panel, bytes, 0);
        if (hash != known[i].hash) {
            print_error("%s: 0x%016llxu\n", info->name, (unsigned long long)hash);
            n_others++;
        }
    }
    assert_int_equal(n_others, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(round_trip, clear),
        cmocka_unit_test_teardown(levels, clear),
        cmocka_unit_test_teardown(where_it_is_looked_for, clear),
        cmocka_unit_test_teardown(split_models, clear),
        cmocka_unit_test_teardown(what_cannot_be_saved, clear),
        cmocka_unit_test_teardown(without_memory, clear),
        cmocka_unit_test_teardown(limits, clear),
        cmocka_unit_test_teardown(any_spans, clear),
        cmocka_unit_test(saving_is_told),
        cmocka_unit_test(all_of_the_memory_is_filled),
        cmocka_unit_test(the_order_of_panels_is_that_of_the_version),
    };
    return cmocka_run_group_tests_name("packed", tests, NULL, NULL);
}
