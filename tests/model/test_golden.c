/* Every family's tiny model against the logits of its reference implementation: the files and the
 * tolerances of the folders "golden" and "golden-sambay" (their READMEs say how they were made). */
#include "golden.h"

#include "support/temp_folder.h"

#include <math.h>

typedef struct metrics {
    double max, rms, kl, top1, median;
} metrics;

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double log_sum_exp(const float *x, size_t n, size_t *best) {
    double sum = 0;
    *best = 0;
    for (size_t i = 1; i < n; i++)
        if (x[i] > x[*best])
            *best = i;
    for (size_t i = 0; i < n; i++)
        sum += exp((double)x[i] - (double)x[*best]);
    return (double)x[*best] + log(sum);
}

/* Compares n_rows rows: got holds all positions, rows[i] names the position of want's row i. */
static metrics compare(const float *got, const float *want, const size_t *rows, size_t n_rows,
                       size_t n_vocab, double std) {
    metrics m = {0};
    double *row_max = calloc(n_rows, sizeof *row_max);
    assert_non_null(row_max);
    double squares = 0;
    for (size_t r = 0; r < n_rows; r++) {
        const float *g = got + rows[r] * n_vocab, *w = want + r * n_vocab;
        size_t best_g, best_w;
        double lse_g = log_sum_exp(g, n_vocab, &best_g), lse_w = log_sum_exp(w, n_vocab, &best_w);
        for (size_t i = 0; i < n_vocab; i++) {
            double d = fabs((double)g[i] - (double)w[i]) / std;
            if (!(d <= row_max[r]))
                row_max[r] = d;
            squares += d * d;
            double lw = (double)w[i] - lse_w;
            m.kl += exp(lw) * (lw - ((double)g[i] - lse_g));
        }
        m.top1 += best_g == best_w;
    }
    qsort(row_max, n_rows, sizeof *row_max, by_value);
    m.max = row_max[n_rows - 1];
    m.median = row_max[n_rows / 2];
    m.rms = sqrt(squares / ((double)n_rows * (double)n_vocab));
    m.kl /= (double)n_rows;
    m.top1 /= (double)n_rows;
    free(row_max);
    return m;
}

static int exceeds(const json_t *tol, const char *key, double value, int larger_is_better) {
    const json_t *t = json_object_get(tol, key);
    if (t == NULL)
        return 0;
    double limit = json_number_value(t);
    return larger_is_better ? !(value >= limit) : !(value <= limit);
}

static int failures, comparisons;
static size_t entries; /* of all calls of golden_at: their turns differ */

static void check(const char *file, const char *seq, const char *class, const json_t *tol,
                  metrics m, size_t n_rows) {
    int bad = exceeds(tol, "max", m.max, 0) || exceeds(tol, "rms", m.rms, 0) ||
              exceeds(tol, "kl_mean", m.kl, 0) || exceeds(tol, "row_median", m.median, 0) ||
              (n_rows >= 12 && exceeds(tol, "top1", m.top1, 1));
    comparisons++;
    failures += bad;
    if (bad)
        print_message("%s %s against %s: max %.2e rms %.2e kl %.1e top-1 %.3f median %.2e\n", file,
                      seq, class, m.max, m.rms, m.kl, m.top1, m.median);
}

/* Which tolerance holds for a run of this file with this cache. */
static const char *class_of(const json_t *file, const json_t *entry, int kv, int is_float) {
    const json_t *tol = json_object_get(file, "tolerance");
    const json_t *flip = json_object_get(entry, "flip_margin");
    if (flip != NULL) { /* BitNet: activations are rounded as the model defines it */
        if (kv == SLM_KV_F32)
            return json_number_value(flip) > 2e-5 ? "f32" : "f32 after a flipped rounding";
        return kv == SLM_KV_F16 ? "kv_f16" : NULL;
    }
    if (is_float) {
        const char *class = kv == SLM_KV_F32 ? "f32" : kv == SLM_KV_F16 ? "kv_f16" : "kv_q8_0";
        return json_object_get(tol, class) != NULL ? class : NULL;
    }
    return kv == SLM_KV_Q8_0 ? "int8_act+kv_q8_0" : "int8_act+kv_f16";
}

static int is_float_file(const json_t *file) {
    const char *type;
    json_t *count;
    json_object_foreach(json_object_get(file, "types"), type, count)
        if (strcmp(type, "F32") != 0 && strcmp(type, "F16") != 0 && strcmp(type, "BF16") != 0)
            return 0;
    return 1;
}

static void run_entry(const char *dir, const json_t *file, const json_t *entry, const json_t *ids,
                      size_t n_vocab, uint32_t levels) {
    const char *gguf = json_string_value(json_object_get(file, "gguf"));
    const char *name = json_string_value(json_object_get(entry, "file"));
    const char *factors = json_string_value(json_object_get(entry, "rope_factors"));
    const char *activations = json_string_value(json_object_get(entry, "activations"));
    if (activations != NULL && strcmp(activations, "bitnet") != 0)
        return; /* without the rounding it is not the model */
    size_t n_ids = json_array_size(ids), n_rows = n_ids, size;
    size_t *rows = calloc(n_ids, sizeof *rows);
    int32_t *tokens = calloc(n_ids, sizeof *tokens);
    assert_true(rows != NULL && tokens != NULL);
    const json_t *stored = json_object_get(entry, "rows");
    if (json_is_array(stored))
        n_rows = json_array_size(stored);
    for (size_t i = 0; i < n_ids; i++)
        tokens[i] = (int32_t)json_integer_value(json_array_get(ids, i));
    for (size_t i = 0; i < n_rows; i++)
        rows[i] = json_is_array(stored) ? (size_t)json_integer_value(json_array_get(stored, i)) : i;
    float *want = golden_read(dir, name, &size);
    assert_int_equal(size, n_rows * n_vocab * sizeof(float));

    for (int kv = SLM_KV_F16; kv <= SLM_KV_F32; kv++) {
        const char *class = class_of(file, entry, kv, is_float_file(file));
        if (class == NULL || golden_left_out(entries, kv))
            continue;
        slm_cache_options o = {.struct_size = sizeof o, .kv_type = kv, .n_threads = 2};
        if (factors != NULL)
            o.rope_factors = strcmp(factors, "long") == 0 ? SLM_ROPE_LONG : SLM_ROPE_SHORT;
        float *got = golden_logits(dir, gguf, &o, levels, tokens, n_ids, n_vocab);
        metrics m = compare(got, want, rows, n_rows, n_vocab,
                            json_number_value(json_object_get(entry, "std")));
        check(gguf, json_string_value(json_object_get(entry, "seq")), class,
              json_object_get(json_object_get(file, "tolerance"), class), m, n_rows);
        free(got);
    }
    entries++;
    free(want);
    free(tokens);
    free(rows);
}

/* The models of a folder of the reference data. */
static void golden_folder(const char *folder, uint32_t levels) {
    char dir[256];
    size_t i, j, k;
    json_t *model, *file, *entry;
    snprintf(dir, sizeof dir, "%s:", folder);
    json_t *index = golden_json(dir, "index.json");
    json_array_foreach(json_object_get(index, "models"), i, model) {
        snprintf(dir, sizeof dir, "%s/%s:", folder,
                 json_string_value(json_object_get(model, "name")));
        size_t n_vocab = (size_t)json_integer_value(json_object_get(model, "n_vocab"));
        json_t *ids = golden_json(dir, "ids.json");
        json_array_foreach(json_object_get(model, "files"), j, file)
            json_array_foreach(json_object_get(file, "logits"), k, entry)
                run_entry(dir, file, entry,
                          json_object_get(ids, json_string_value(json_object_get(entry, "seq"))),
                          n_vocab, levels);
        json_decref(ids);
    }
    json_decref(index);
}

static void golden_at(uint32_t levels) {
    failures = comparisons = 0;
    golden_folder("golden", levels);
    golden_folder("golden-sambay", levels);
    print_message("%d comparisons, %d outside of their tolerance\n", comparisons, failures);
#ifdef SLM_SLOW
    assert_true(comparisons > 50);
#else
    assert_true(comparisons > 100);
#endif
    assert_int_equal(failures, 0);
}

static void every_model_with_all_levels(void **state) {
    (void)state;
    golden_at(0);
}

/* Goes on with what a snapshot of the session gives. */
static void through_a_file(slm_model *model, const slm_cache_options *o, slm_session **session) {
    const char *path = temp_path("session");
    OK(slm_session_save(*session, path, NULL, &golden_err));
    slm_session_close(session);
    OK(slm_session_open(model, o, session, &golden_err));
    OK(slm_session_load(*session, path, NULL, NULL, &golden_err));
}

/* Recurrent state is what a chunk leaves to the next: in chunks of all sizes, and through a file
 * behind each of them. */
static void recurrent_models_in_chunks_through_snapshots(void **state) {
    (void)state;
#ifdef GOLDEN_ON_DEVICE
    static const uint32_t chunks[] = {64};
#else
    static const uint32_t chunks[] = {1, 3, 64, 512};
#endif
#ifdef SLM_EMULATED
    skip();
#endif
    failures = comparisons = 0;
    golden_between = through_a_file;
    for (size_t i = 0; i < sizeof chunks / sizeof chunks[0]; i++) {
        golden_chunk = chunks[i];
        golden_folder("golden-sambay", 0);
    }
    golden_between = NULL;
    golden_chunk = 16;
    temp_clear();
    print_message("%d comparisons, %d outside of their tolerance\n", comparisons, failures);
    assert_true(comparisons > 4 * (int)(sizeof chunks / sizeof chunks[0]));
    assert_int_equal(failures, 0);
}

#ifndef GOLDEN_ON_DEVICE /* where neither levels nor the packing for processors matter */
static void every_model_with_portable_kernels(void **state) {
    (void)state;
#ifdef SLM_EMULATED
    skip();
#endif
    golden_at(SLM_CPU_PORTABLE);
}

/* Weights as they lie in the file, and packed for kernels that would not ask for it. */
static void every_model_mapped(void **state) {
    (void)state;
    golden_load = SLM_LOAD_MAP;
    golden_at(0);
    golden_load = SLM_LOAD_AUTO;
}

static void every_model_packed(void **state) {
    (void)state;
#ifdef SLM_EMULATED
    skip();
#endif
    golden_load = SLM_LOAD_PACK;
    golden_at(SLM_CPU_PORTABLE);
    golden_load = SLM_LOAD_AUTO;
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_model_with_all_levels),
        cmocka_unit_test(recurrent_models_in_chunks_through_snapshots),
#ifndef GOLDEN_ON_DEVICE
        cmocka_unit_test(every_model_mapped),
        cmocka_unit_test(every_model_packed),
        cmocka_unit_test(every_model_with_portable_kernels),
#endif
    };
    golden_need_data();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
