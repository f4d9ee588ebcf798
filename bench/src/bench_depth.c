/* Generation behind a long text beside generation behind none, in turns, and beside what the bytes that
 * each reads allow.
 *
 *   slm_bench_depth MODEL.gguf SNAPSHOT|-e EVALUATE [-d DEPTH] [-t THREADS] [-n TOKENS] [-r ROUNDS]
 *                   [-c LEVEL] [-k f16|q8_0|f32]
 *
 * SNAPSHOT holds a session of DEPTH (8192) tokens that were evaluated; it is made where there is none,
 * which may take minutes. With -r 0 that is all. With -e only so many tokens (rounded up to pages) are
 * evaluated, and the keys and values of the last page stand for all that follow: how long a token takes
 * does not depend on what they are. A round makes TOKENS (16) tokens in each of two
 * sessions, first in the one and next time first in the other, and reads the packed weights. One JSON
 * object a round and one of the medians:
 *
 *   tokens_per_s, deep_tokens_per_s   behind nothing, behind DEPTH tokens
 *   read_gbps                         of the packed weights, by as many threads
 *   share, deep_share                 bytes of a token times tokens/s over read_gbps
 *   ratio, allowed                    deep over not deep; bytes of a token not deep over deep
 *   of_allowed                        ratio over allowed
 */
#define _GNU_SOURCE

#include "../../tools/readbw.h"
#include "run/state.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MAX_ROUNDS = 99, WARM_UP = 4 };

typedef struct bench {
    const char *path, *snapshot, *level, *kv;
    uint32_t depth, evaluate, n, rounds; /* evaluate: 0: all of depth, in a snapshot */
    slm_model *model;
    slm_cache *cache;
    slm_session *sessions[2]; /* not deep, deep */
    slm_plan plan;
    double bytes[2]; /* of a token */
    slm_error error;
} bench;

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *x, uint32_t n) {
    qsort(x, n, sizeof *x, by_value);
    return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

static slm_kv_type kv_of(const char *name) {
    return strcmp(name, "q8_0") == 0 ? SLM_KV_Q8_0 : strcmp(name, "f32") == 0 ? SLM_KV_F32
                                                                              : SLM_KV_F16;
}

static uint32_t levels_of(const char *name) {
    return strcmp(name, "avx2") == 0     ? SLM_CPU_AVX2
           : strcmp(name, "avx512") == 0 ? SLM_CPU_AVX2 | SLM_CPU_AVX512
                                         : 0;
}

/* Tokens a second; a negative number after an error. */
static double decode(bench *b, slm_session *s, uint32_t n) {
    int32_t id = 1;
    double begun = seconds();
    for (uint32_t i = 0; i < n; i++)
        if (slm_session_eval(s, &id, 1, SLM_LOGITS_LAST, &b->error) != SLM_OK)
            return -1;
    return n / (seconds() - begun);
}

/* Any ids do: the time of a token does not depend on which. */
static slm_status evaluate(bench *b, uint32_t length) {
    int32_t ids[256];
    uint32_t done = 0, x = 2463534242u;
    slm_status status = SLM_OK;
    double begun = seconds();
    while (status == SLM_OK && done < length) {
        uint32_t n = length - done < 256 ? length - done : 256;
        for (uint32_t i = 0; i < n; i++) { /* xorshift32 (Marsaglia 2003) */
            x ^= x << 13;
            x ^= x >> 17;
            x ^= x << 5;
            ids[i] = (int32_t)(x % b->model->config.n_vocab);
        }
        status = slm_session_eval(b->sessions[1], ids, n, SLM_LOGITS_NONE, &b->error);
        done += n;
    }
    fprintf(stderr, "evaluated %u tokens in %.1f s\n", done, seconds() - begun);
    return status;
}

static slm_status make_snapshot(bench *b) {
    slm_status status = evaluate(b, b->depth);
    return status == SLM_OK ? slm_session_save(b->sessions[1], b->snapshot, NULL, &b->error)
                            : status;
}

/* Appends pages that are copies of the one before, as if their tokens had been evaluated. */
static slm_status fill(bench *b) {
    slm_session *s = b->sessions[1];
    slm_cache *c = s->cache;
    uint32_t page = c->layout.page_tokens, most = (b->evaluate + page - 1) / page * page;
    slm_status status = evaluate(b, most < b->depth ? most : b->depth);
    while (status == SLM_OK && s->n_valid < b->depth) {
        uint32_t before = s->n_valid;
        uint32_t n = b->depth - before < page ? b->depth - before : page;
        for (uint32_t i = 0; i < n; i++)
            slm_session_push(s, 1);
        status = slm_state_make_room(s, s->n_tokens, &b->error);
        for (uint32_t g = 0; status == SLM_OK && g < b->model->n_groups; g++) {
            const uint32_t *pages = c->seqs[s->slot].tables[g].pages + before / page;
            const slm_kv_pool *pool = &c->pools[g];
            memcpy(pool->memory + pages[0] * pool->page_bytes,
                   pool->memory + pages[-1] * pool->page_bytes, pool->page_bytes);
        }
        s->n_valid = s->n_tokens;
        slm_state_advance(s, before);
    }
    return status;
}

/* The prediction counts keys and values as often as they are read; which device does not matter. */
static slm_status count_bytes(bench *b, slm_kv_type kv) {
    slm_device_profile profile = {.struct_size = sizeof profile};
    slm_status status = slm_device_profile_get(0, &profile, &b->error);
    double at[2] = {0, 0};
    for (int i = 0; i < 2 && status == SLM_OK; i++) {
        slm_predict_options o = {.struct_size = sizeof o, .kv_type = kv,
                                 .depth = i == 0 ? 0 : b->depth};
        slm_prediction p = {.struct_size = sizeof p};
        status = slm_predict(b->model, &profile, &o, &p, &b->error);
        at[i] = (double)p.bytes_per_token;
    }
    b->bytes[0] = (double)b->plan.bytes_per_token;
    b->bytes[1] = b->bytes[0] + at[1] - at[0];
    return status;
}

static slm_status begin(bench *b, uint32_t threads) {
    slm_model_options mo = {.struct_size = sizeof mo, .device = SLM_DEVICE_CPU,
                            .load = SLM_LOAD_PACK, .cpu_levels = levels_of(b->level)};
    slm_cache_options co = {.struct_size = sizeof co, .n_threads = threads, .max_sessions = 2,
                            .kv_type = kv_of(b->kv)};
    uint32_t most = (b->rounds + 1) * b->n + WARM_UP;
    co.n_ctx = b->depth + most;
    co.n_cells = co.n_ctx + most + 256;
    b->plan.struct_size = sizeof b->plan;
    slm_status status = slm_model_open(b->path, &mo, &b->model, &b->error);
    if (status == SLM_OK)
        status = slm_cache_open(b->model, &co, &b->cache, &b->error);
    if (status == SLM_OK)
        status = slm_cache_get_plan(b->cache, &b->plan, &b->error);
    for (int i = 0; i < 2 && status == SLM_OK; i++)
        status = slm_session_open_on(b->cache, NULL, &b->sessions[i], &b->error);
    if (status == SLM_OK)
        status = count_bytes(b, co.kv_type);
    if (status == SLM_OK && b->evaluate > 0)
        return fill(b);
    if (status == SLM_OK && access(b->snapshot, F_OK) != 0)
        return make_snapshot(b);
    if (status == SLM_OK && b->rounds > 0)
        status = slm_session_load(b->sessions[1], b->snapshot, NULL, NULL, &b->error);
    return status;
}

static int play(bench *b) {
    static double rates[2][MAX_ROUNDS], reads[MAX_ROUNDS], shares[2][MAX_ROUNDS];
    static double ratios[MAX_ROUNDS];
    slm_session_info info = {.struct_size = sizeof info};
    if (slm_session_get_info(b->sessions[1], &info, &b->error) != SLM_OK)
        return 1;
    if (info.n_tokens != b->depth) {
        fprintf(stderr, "slm_bench_depth: the session holds %llu tokens, wanted %u\n",
                (unsigned long long)info.n_tokens, b->depth);
        return 1;
    }
    for (int i = 0; i < 2; i++)
        if (decode(b, b->sessions[i], WARM_UP) < 0)
            return 1;
    for (uint32_t r = 0; r < b->rounds; r++) {
        for (uint32_t i = 0; i < 2; i++)
            if ((rates[(i + r) % 2][r] = decode(b, b->sessions[(i + r) % 2], b->n)) < 0)
                return 1;
        reads[r] = slm_read_bandwidth_of(b->model->packed, (size_t)b->model->packed_bytes - 64,
                                         b->plan.n_threads);
        for (int i = 0; i < 2; i++)
            shares[i][r] = b->bytes[i] * 1e-9 * rates[i][r] / reads[r];
        ratios[r] = rates[1][r] / rates[0][r];
        printf("{\"round\":%u,\"tokens_per_s\":%.3f,\"deep_tokens_per_s\":%.3f,\"read_gbps\":%.3f,"
               "\"share\":%.4f,\"deep_share\":%.4f,\"ratio\":%.4f}\n", r, rates[0][r], rates[1][r],
               reads[r], shares[0][r], shares[1][r], ratios[r]);
        fflush(stdout);
    }
    double ratio = median(ratios, b->rounds), allowed = b->bytes[0] / b->bytes[1];
    printf("{\"rounds\":%u,\"threads\":%u,\"depth\":%u,\"kv\":\"%s\",\"token_bytes\":%.0f,"
           "\"deep_token_bytes\":%.0f,\"tokens_per_s\":%.3f,\"deep_tokens_per_s\":%.3f,"
           "\"read_gbps\":%.3f,\"share\":%.4f,\"deep_share\":%.4f,\"ratio\":%.4f,"
           "\"allowed\":%.4f,\"of_allowed\":%.4f}\n", b->rounds, b->plan.n_threads, b->depth, b->kv,
           b->bytes[0], b->bytes[1], median(rates[0], b->rounds), median(rates[1], b->rounds),
           median(reads, b->rounds), median(shares[0], b->rounds), median(shares[1], b->rounds),
           ratio, allowed, ratio / allowed);
    return 0;
}

int main(int argc, char **argv) {
    bench b = {.depth = 8192, .n = 16, .rounds = 5, .level = "", .kv = "f16",
               .error = SLM_ERROR_INIT};
    uint32_t threads = 0;
    int option;
    while ((option = getopt(argc, argv, "d:e:t:n:r:c:k:")) != -1) {
        if (option == 'd')
            b.depth = (uint32_t)strtoul(optarg, NULL, 10);
        else if (option == 'e')
            b.evaluate = (uint32_t)strtoul(optarg, NULL, 10);
        else if (option == 't')
            threads = (uint32_t)strtoul(optarg, NULL, 10);
        else if (option == 'n')
            b.n = (uint32_t)strtoul(optarg, NULL, 10);
        else if (option == 'r')
            b.rounds = (uint32_t)strtoul(optarg, NULL, 10);
        else if (option == 'c')
            b.level = optarg;
        else if (option == 'k')
            b.kv = optarg;
        else
            return 2;
    }
    if (optind + (b.evaluate > 0 ? 1 : 2) != argc || b.depth < 1 || b.depth > 1u << 20 ||
        b.n < 1 || b.n > 1000 || b.rounds > MAX_ROUNDS) {
        fprintf(stderr, "slm_bench_depth MODEL.gguf SNAPSHOT|-e EVALUATE [-d DEPTH] "
                        "[-t THREADS] [-n TOKENS] [-r ROUNDS] [-c avx2|avx512] "
                        "[-k f16|q8_0|f32]\n");
        return 2;
    }
    b.path = argv[optind];
    b.snapshot = argv[optind + 1]; /* NULL with -e */
    int failed = begin(&b, threads) != SLM_OK;
    if (!failed && b.rounds > 0)
        failed = play(&b);
    if (b.error.status != SLM_OK)
        fprintf(stderr, "slm_bench_depth: %s\n", b.error.message);
    for (int i = 0; i < 2; i++)
        slm_session_close(&b.sessions[i]);
    slm_cache_close(&b.cache);
    slm_model_close(&b.model);
    return failed;
}
