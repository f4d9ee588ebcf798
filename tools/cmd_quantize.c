/* slm quantize: a smaller copy of a model file. */
#define _POSIX_C_SOURCE 200809L

#include "cli.h"
#include "quantize_mix.h"

#include "base/file.h"
#include "base/threads.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_BYTES ((size_t)8 << 20) /* quantized, or copied, between two looks at the clock       */
#define SPARE_BYTES ((size_t)4 << 20) /* what OpenMP itself may need beside its threads             */

typedef struct job {
    const char *in_path, *out_path;
    const slm_mix *mix;
    slm_mix_model rules;
    int requantize;
    uint32_t n_threads;
    slm_host host;
    slm_kernels kernels;
    slm_gguf *in;
    slm_gguf_writer *writer;
    slm_out *out;
    slm_error error;
    float *rows;     /* one for each thread                                                         */
    uint8_t *batch;
    uint64_t done, total; /* bytes of the input's tensors                                           */
    uint64_t out_bytes, n_weights;
} job;

static int failed(const job *j) { return slm_cli_fail_error(j->in_path, &j->error); }
static int failed_write(const job *j) { return slm_cli_fail_error(j->out_path, &j->error); }

/* ---------------------------------------------------------------- what becomes of a tensor --- */

static uint32_t new_type(const job *j, const slm_gguf_tensor *t) {
    uint32_t type = slm_mix_type(j->mix, &j->rules, t->name, t->n_dims, t->ne[0]);
    return type == SLM_DTYPE_LIMIT ? t->type : type;
}

static uint64_t bytes_as(const slm_gguf_tensor *t, uint32_t type) {
    const slm_dtype_info *info = slm_dtype_get(type);
    return type == t->type ? t->bytes : t->n_elements / info->block * info->bytes;
}

static int is_float(uint32_t type) {
    return type == SLM_DTYPE_F32 || type == SLM_DTYPE_F16 || type == SLM_DTYPE_BF16;
}

/* Everything that can be refused is refused before a byte is written. */
static int check_tensor(const job *j, const slm_gguf_tensor *t) {
    char name[80];
    uint32_t type = new_type(j, t);
    if (type == t->type)
        return 0;
    slm_escape(name, sizeof name, t->name.ptr, t->name.len);
    if (t->type >= SLM_DTYPE_LIMIT || j->kernels.dequantize[t->type] == NULL)
        return slm_cli_fail("%s: tensor '%s' is of type %s, wanted one that can be converted to %s",
                            j->in_path, name, slm_dtype_get(t->type)->name,
                            slm_dtype_get(type)->name);
    if (!is_float(t->type) && !j->requantize)
        return slm_cli_fail("%s: tensor '%s' is quantized already (%s), wanted F32, F16 or BF16; "
                            "--allow-requantize takes it, at a loss of quality",
                            j->in_path, name, slm_dtype_get(t->type)->name);
    return 0;
}

/* A count that is stored once, or as an array with one equal entry per layer. */
static slm_status get_count(job *j, const char *key, int required, uint32_t *value) {
    const slm_gguf_kv *kv = slm_gguf_find(j->in, key);
    if (kv == NULL || kv->type != SLM_GGUF_ARRAY ||
        (kv->item_type != SLM_GGUF_U32 && kv->item_type != SLM_GGUF_I32))
        return slm_gguf_get_u32(j->in, key, required, 1, 100000, value, &j->error);
    uint32_t first = kv->count > 0 ? slm_gguf_item_u32(kv, 0) : 0;
    int equal = kv->count == j->rules.n_layers && first >= 1 && first <= 100000;
    for (uint64_t i = 1; i < kv->count && equal; i++)
        equal = slm_gguf_item_u32(kv, i) == first;
    if (!equal)
        return slm_fail(&j->error, SLM_ERR_UNSUP, key, kv->offset,
                        "%s: got an array of %llu, wanted one equal entry from 1 to 100000 for each "
                        "of %u layers",
                        key, (unsigned long long)kv->count, j->rules.n_layers);
    *value = first;
    return SLM_OK;
}

static int read_rules(job *j) {
    slm_str arch = {NULL, 0};
    char key[128];
    slm_mix_model *r = &j->rules;
    if (slm_gguf_get_str(j->in, "general.architecture", 1, &arch, &j->error) != SLM_OK)
        return failed(j);
    if (arch.len > 64) {
        (void)slm_fail(&j->error, SLM_ERR_LIMIT, "general.architecture", SLM_NO_OFFSET,
                       "general.architecture has %zu bytes, wanted at most 64", arch.len);
        return failed(j);
    }
    int len = (int)arch.len;
    snprintf(key, sizeof key, "%.*s.block_count", len, arch.ptr);
    if (slm_gguf_get_u32(j->in, key, 1, 1, 100000, &r->n_layers, &j->error) != SLM_OK)
        return failed(j);
    snprintf(key, sizeof key, "%.*s.attention.head_count", len, arch.ptr);
    if (get_count(j, key, 1, &r->n_heads) != SLM_OK)
        return failed(j);
    r->n_kv_heads = r->n_heads;
    snprintf(key, sizeof key, "%.*s.attention.head_count_kv", len, arch.ptr);
    if (get_count(j, key, 0, &r->n_kv_heads) != SLM_OK)
        return failed(j);
    r->tied = slm_gguf_find_tensor(j->in, "output.weight") == NULL;
    return 0;
}

/* ---------------------------------------------------------------- metadata ------------------- */

static int is_key(const slm_gguf_kv *kv, const char *key) {
    return kv->key.len == strlen(key) && memcmp(kv->key.ptr, key, kv->key.len) == 0;
}

/* As it was, the two keys that speak of the types renewed where they stand. */
static slm_status copy_metadata(job *j) {
    static const char *const keys[] = {"general.file_type", "general.quantization_version"};
    const uint32_t values[] = {j->mix->file_type, 2};
    for (uint64_t i = 0; i < slm_gguf_n_kv(j->in); i++) {
        const slm_gguf_kv *kv = slm_gguf_kv_at(j->in, i);
        int known = is_key(kv, keys[0]) ? 0 : is_key(kv, keys[1]) ? 1 : -1;
        if (known < 0)
            SLM_TRY(slm_gguf_writer_copy(j->writer, kv, &j->error));
        else
            SLM_TRY(slm_gguf_writer_u32(j->writer, keys[known], values[known], &j->error));
    }
    for (int k = 0; k < 2; k++)
        if (slm_gguf_find(j->in, keys[k]) == NULL)
            SLM_TRY(slm_gguf_writer_u32(j->writer, keys[k], values[k], &j->error));
    return SLM_OK;
}

static slm_status announce(job *j) {
    SLM_TRY(slm_gguf_writer_open(&j->host, &j->writer, &j->error));
    SLM_TRY(copy_metadata(j));
    for (uint64_t i = 0; i < slm_gguf_n_tensors(j->in); i++) {
        const slm_gguf_tensor *t = slm_gguf_tensor_at(j->in, i);
        SLM_TRY(slm_gguf_writer_tensor(j->writer, t->name, new_type(j, t), t->n_dims, t->ne,
                                       &j->error));
    }
    SLM_TRY(slm_out_open(&j->host, j->out_path, &j->out, &j->error));
    slm_cli_name_temporary(slm_out_temporary(j->out));
    return slm_gguf_writer_begin(j->writer, j->out, &j->error);
}

/* ---------------------------------------------------------------- data ----------------------- */

/* Also after every batch. Not 0: stop. */
static int advance(job *j, uint64_t bytes) {
    j->done += bytes;
    slm_cli_bar(j->done, j->total);
    return slm_cli_interrupted() ? SLM_EXIT_INTERRUPTED : 0;
}

static int copy_data(job *j, const slm_gguf_tensor *t) {
    for (uint64_t at = 0; at < t->bytes;) {
        size_t n = t->bytes - at < BATCH_BYTES ? (size_t)(t->bytes - at) : BATCH_BYTES;
        if (slm_gguf_writer_data(j->writer, t->data + at, n, &j->error) != SLM_OK)
            return failed_write(j);
        int status = advance(j, n);
        if (status != 0)
            return status;
        at += n;
    }
    return 0;
}

static int all_finite(const float *x, size_t n) {
    int bad = 0;
    for (size_t i = 0; i < n; i++)
        bad |= !isfinite(x[i]);
    return !bad;
}

static size_t row_bytes(const slm_gguf_tensor *t, uint32_t type) {
    const slm_dtype_info *info = slm_dtype_get(type);
    return (size_t)t->ne[0] / info->block * info->bytes;
}

static size_t rows_per_batch(const slm_gguf_tensor *t, uint32_t type) {
    size_t row = row_bytes(t, type);
    return row < BATCH_BYTES ? BATCH_BYTES / row : 1;
}

/* Room for a row a thread and for a batch of quantized rows of any tensor, then the threads: an
 * OpenMP run time that is refused one ends the program. */
static int prepare(job *j) {
    size_t columns = 0, batch = 0;
    for (uint64_t i = 0; i < slm_gguf_n_tensors(j->in); i++) {
        const slm_gguf_tensor *t = slm_gguf_tensor_at(j->in, i);
        uint32_t type = new_type(j, t);
        if (type == t->type)
            continue;
        size_t bytes = rows_per_batch(t, type) * row_bytes(t, type);
        columns = (size_t)t->ne[0] > columns ? (size_t)t->ne[0] : columns;
        batch = bytes > batch ? bytes : batch;
    }
    if (columns == 0)
        return 0; /* all is copied */
    void *spare = malloc(SPARE_BYTES);
    j->rows = malloc(columns * j->n_threads * sizeof *j->rows);
    j->batch = malloc(batch);
    uint32_t wanted = j->n_threads;
    int there = spare != NULL && j->rows != NULL && j->batch != NULL;
    if (there)
        j->n_threads = slm_threads_probe(wanted);
    free(spare);
    if (!there)
        return slm_cli_fail("%s: got no memory for %u threads with rows of %zu weights", j->in_path,
                            wanted, columns);
    if (j->n_threads < wanted)
        slm_cli_warn("got %u threads from the system, wanted %u", j->n_threads, wanted);
    return 0;
}

/* Rows first to first + n of the tensor to j->batch. Returns the number of the first row that is
 * not finite, or n. */
static size_t convert_rows(job *j, const slm_gguf_tensor *t, uint32_t type, uint64_t first,
                           size_t n) {
    size_t columns = (size_t)t->ne[0], bad = n;
    size_t in_row = row_bytes(t, t->type), out_row = row_bytes(t, type);
    float scale = 1;
    if (t->type == SLM_DTYPE_I2_S) /* the scale of the tensor stands behind its blocks */
        memcpy(&scale, t->data + t->n_elements / t->ne[0] * in_row, sizeof scale);
#pragma omp parallel num_threads((int)j->n_threads)
    {
#pragma omp for schedule(dynamic)
        for (size_t i = 0; i < n; i++) {
            float *x = j->rows + (size_t)omp_get_thread_num() * columns;
            j->kernels.dequantize[t->type](x, t->data + (first + i) * in_row, columns);
            for (size_t c = 0; c < columns && t->type == SLM_DTYPE_I2_S; c++)
                x[c] *= scale;
            if (all_finite(x, columns)) {
                slm_quantize_weights(type, j->batch + i * out_row, x, NULL, columns);
            } else {
#pragma omp critical
                bad = i < bad ? i : bad;
            }
        }
    }
    return bad;
}

static int convert_data(job *j, const slm_gguf_tensor *t, uint32_t type) {
    size_t out_row = row_bytes(t, type), per_batch = rows_per_batch(t, type);
    uint64_t n_rows = t->n_elements / t->ne[0];
    int status = 0;
    for (uint64_t at = 0; at < n_rows && status == 0;) {
        size_t n = n_rows - at < per_batch ? (size_t)(n_rows - at) : per_batch;
        size_t bad = convert_rows(j, t, type, at, n);
        if (bad < n) {
            char name[80];
            slm_escape(name, sizeof name, t->name.ptr, t->name.len);
            return slm_cli_fail("%s: row %llu of tensor '%s' holds NaN or infinity, wanted finite "
                                "weights",
                                j->in_path, (unsigned long long)(at + bad), name);
        }
        if (slm_gguf_writer_data(j->writer, j->batch, n * out_row, &j->error) != SLM_OK)
            return failed_write(j);
        status = advance(j, t->bytes / n_rows * n);
        at += n;
    }
    return status;
}

static int write_all(job *j) {
    slm_cli_on_interrupt_cancel(NULL, 1);
    int status = announce(j) == SLM_OK ? prepare(j) : failed_write(j);
    slm_cli_bar_begin("quantizing");
    for (uint64_t i = 0; i < slm_gguf_n_tensors(j->in) && status == 0; i++) {
        const slm_gguf_tensor *t = slm_gguf_tensor_at(j->in, i);
        uint32_t type = new_type(j, t);
        status = type == t->type ? copy_data(j, t) : convert_data(j, t, type);
        j->out_bytes += bytes_as(t, type);
        j->n_weights += t->n_elements;
    }
    slm_cli_bar_end();
    for (uint32_t p = 0; p < slm_gguf_n_parts(j->in) && status == 0; p++)
        if (slm_file_check(slm_gguf_part(j->in, p), &j->error) != SLM_OK)
            status = failed(j);
    if (status == 0 && (slm_gguf_writer_finish(j->writer, &j->error) != SLM_OK ||
                        slm_out_commit(&j->out, &j->error) != SLM_OK))
        status = failed_write(j);
    slm_out_abandon(&j->out);
    slm_cli_name_temporary(NULL);
    slm_cli_on_interrupt_exit();
    return status;
}

/* ---------------------------------------------------------------- command -------------------- */

static int unknown_type(const char *name) {
    char list[256];
    size_t len = 0;
    for (size_t i = 0; slm_mix_at(i) != NULL; i++)
        len += (size_t)snprintf(list + len, sizeof list - len, " %s", slm_mix_at(i)->name);
    return slm_cli_usage("quantize: got type \"%s\", wanted one of%s", name, list);
}

static int run(job *j) {
    slm_host_init(&j->host, NULL, slm_cli_log, NULL, SLM_LOG_WARNING);
    slm_kernels_init(&j->kernels, UINT32_MAX);
    slm_cli_name_model(j->in_path, 0);
    if (slm_gguf_open(&j->host, j->in_path, SLM_LOAD_AUTO, 0, NULL, NULL, &j->in, &j->error) !=
        SLM_OK)
        return failed(j);
    int status = read_rules(j);
    if (status == 0 && slm_gguf_n_tensors(j->in) == 0)
        status = slm_cli_fail("%s: got no tensors, wanted some to quantize", j->in_path);
    for (uint64_t i = 0; i < slm_gguf_n_tensors(j->in) && status == 0; i++) {
        const slm_gguf_tensor *t = slm_gguf_tensor_at(j->in, i);
        j->total += t->bytes;
        status = check_tensor(j, t);
    }
    if (status == 0)
        status = write_all(j);
    if (status == 0)
        slm_cli_note("%s: %.1f MB of tensors to %.1f MB, %.2f bits a weight", j->mix->name,
                     (double)j->total / 1e6, (double)j->out_bytes / 1e6,
                     8 * (double)j->out_bytes / (double)j->n_weights);
    slm_gguf_writer_close(j->writer);
    slm_gguf_close(j->in);
    free(j->rows);
    free(j->batch);
    return status;
}

int slm_cmd_quantize(int argc, char **argv) {
    static const char *const arg_names[] = {"IN.gguf", "OUT.gguf", "TYPE"};
    static const slm_cli_command command = {
        .name = "quantize",
        .synopsis = "IN.gguf OUT.gguf TYPE [options]",
        .purpose = "Writes a copy of a model with its matrices in a smaller type.",
        .notes = "IN holds F32, F16 or BF16 weights. TYPE is a block type or a mix of them:\n"
                 "TQ1_0 TQ2_0 Q2_K Q3_K_S Q3_K_M Q3_K_L IQ4_XS IQ4_NL Q4_0 Q4_1 Q4_K_S Q4_K_M\n"
                 "Q5_0 Q5_1 Q5_K_S Q5_K_M Q6_K Q8_0 F16 BF16 F32. OUT appears whole or not at all.\n",
        .min_args = 3,
        .max_args = 3,
        .arg_names = arg_names,
    };
    job j = {.n_threads = slm_cpu_count(), .error = SLM_ERROR_INIT};
    slm_opt options[] = {
        {.letter = 't', .name = "threads", .kind = SLM_OPT_U32, .target = &j.n_threads, .arg = "N",
         .help = "threads (default: physical performance cores)", .min = 1, .max = 1024},
        {.name = "allow-requantize", .kind = SLM_OPT_FLAG, .target = &j.requantize,
         .help = "take tensors that are quantized already"},
    };
    const char *args[3];
    int status = slm_cli_parse(&command, options, sizeof options / sizeof *options, argc, argv,
                               args);
    if (status >= 0)
        return status;
    j.in_path = args[0];
    j.out_path = args[1];
    j.mix = slm_mix_find(args[2]);
    if (j.mix == NULL)
        return unknown_type(args[2]);
    char *part = NULL;
    const char *same = slm_cli_overwrites(j.in_path, j.out_path, &part);
    if (same)
        slm_cli_usage("quantize: got %s for OUT, the same file as the input %s, wanted another",
                      j.out_path, same);
    free(part);
    if (same)
        return SLM_EXIT_USAGE;
    return slm_cli_finish(run(&j));
}
