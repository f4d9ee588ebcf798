/* How fast sessions are saved and loaded, beside how fast the file is read into memory and written.
 *
 *   slm_bench_snapshot MODEL.gguf FILE [-n TOKENS] [-t THREADS] [-k f16|q8_0|f32] [-r ROUNDS]
 *
 * TOKENS, the whole context, are evaluated once and saved to FILE, which is removed at the end. The
 * page cache holds the file. CSV, the best of the rounds in 10^9 bytes a second, with the seconds
 * of all processors for 10^9 bytes:
 *
 *   read   read() of the file into memory that was touched, 8 MiB at a time
 *   load   slm_session_load into a session that has nothing
 *   write  write() of as many bytes to a new file, and fsync
 *   save   slm_session_save */
#define _GNU_SOURCE

#include "slm.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 8 << 20, N_KINDS = 4 };

typedef struct run {
    const char *model, *path;
    slm_cache_options options;
    int rounds;
    slm_session *session;
    uint8_t *memory;
    size_t bytes;
    slm_error error;
} run;

static double seconds(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int plain(run *r, const char *path, int flags) {
    int fd = open(path, flags | O_CLOEXEC, 0600);
    size_t done = 0;
    while (fd >= 0 && done < r->bytes) {
        size_t want = r->bytes - done < PIECE ? r->bytes - done : PIECE;
        ssize_t n = flags == O_RDONLY ? read(fd, r->memory + done, want)
                                      : write(fd, r->memory + done, want);
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    int failed = fd < 0 || done < r->bytes || (flags != O_RDONLY && fsync(fd) != 0);
    if (failed)
        fprintf(stderr, "slm_bench_snapshot: %s: %s\n", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return failed;
}

static int play(run *r, int kind) {
    char other[4096];
    slm_status status = SLM_OK;
    snprintf(other, sizeof other, "%s.plain", r->path);
    if (kind == 0)
        return plain(r, r->path, O_RDONLY);
    if (kind == 2)
        return plain(r, other, O_WRONLY | O_CREAT | O_TRUNC) | (unlink(other) != 0);
    if (kind == 1)
        status = slm_session_load(r->session, r->path, NULL, NULL, &r->error);
    else
        status = slm_session_save(r->session, r->path, NULL, &r->error);
    if (status != SLM_OK)
        fprintf(stderr, "slm_bench_snapshot: %s\n", r->error.message);
    return status != SLM_OK;
}

static int measure(run *r) {
    static const char *const names[N_KINDS] = {"read", "load", "write", "save"};
    double best[N_KINDS] = {0}, cpu[N_KINDS] = {0};
    for (int i = 0; i < r->rounds; i++)
        for (int kind = 0; kind < N_KINDS; kind++) {
            if (kind == 1 && slm_session_truncate(r->session, 0, &r->error) != SLM_OK)
                return 1;
            double wall = seconds(CLOCK_MONOTONIC), used = seconds(CLOCK_PROCESS_CPUTIME_ID);
            if (play(r, kind) != 0)
                return 1;
            wall = seconds(CLOCK_MONOTONIC) - wall;
            used = seconds(CLOCK_PROCESS_CPUTIME_ID) - used;
            if ((double)r->bytes / wall > best[kind])
                best[kind] = (double)r->bytes / wall;
            if (cpu[kind] == 0 || used < cpu[kind])
                cpu[kind] = used;
        }
    printf("name,GB/s,cpu_s_per_GB,bytes,threads\n");
    for (int kind = 0; kind < N_KINDS; kind++)
        printf("%s,%.3f,%.4f,%zu,%u\n", names[kind], best[kind] * 1e-9,
               cpu[kind] * 1e9 / (double)r->bytes, r->bytes, r->options.n_threads);
    return 0;
}

/* A session with all its context evaluated, in a file. */
static slm_status prepare(run *r, slm_model *model) {
    slm_error *e = &r->error;
    slm_snapshot_info info = {.struct_size = sizeof info};
    slm_status status = slm_session_open(model, &r->options, &r->session, e);
    int32_t ids[256];
    for (int i = 0; i < 256; i++)
        ids[i] = i % 200;
    for (uint32_t at = 0; status == SLM_OK && at < r->options.n_ctx; at += 256) {
        uint32_t left = r->options.n_ctx - at;
        status = slm_session_eval(r->session, ids, left < 256 ? left : 256, SLM_LOGITS_NONE, e);
    }
    if (status == SLM_OK)
        status = slm_session_save(r->session, r->path, NULL, e);
    if (status == SLM_OK)
        status = slm_snapshot_get_info(r->path, &info, e);
    r->bytes = (size_t)info.file_bytes;
    return status;
}

static int bench(run *r) {
    slm_model *model = NULL;
    int failed = 1;
    slm_status status = slm_model_open(r->model, NULL, &model, &r->error);
    if (status == SLM_OK)
        status = prepare(r, model);
    if (status == SLM_OK && (r->memory = malloc(r->bytes)) != NULL) {
        memset(r->memory, 1, r->bytes);
        failed = measure(r);
    } else {
        fprintf(stderr, "slm_bench_snapshot: %s\n", r->error.message);
    }
    free(r->memory);
    slm_session_close(&r->session);
    slm_model_close(&model);
    unlink(r->path);
    return failed;
}

static int usage(void) {
    fprintf(stderr, "usage: slm_bench_snapshot MODEL.gguf FILE [-n TOKENS] [-t THREADS] "
                    "[-k f16|q8_0|f32] [-r ROUNDS]\n");
    return 2;
}

int main(int argc, char **argv) {
    static run r = {.rounds = 5, .error = SLM_ERROR_INIT};
    r.options = (slm_cache_options){.struct_size = sizeof r.options, .n_threads = 1};
    for (int c; (c = getopt(argc, argv, "n:t:k:r:")) != -1;) {
        if (c == 'n' && atoi(optarg) > 0)
            r.options.n_ctx = (uint32_t)atoi(optarg);
        else if (c == 't' && atoi(optarg) > 0)
            r.options.n_threads = (uint32_t)atoi(optarg);
        else if (c == 'r' && atoi(optarg) > 0)
            r.rounds = atoi(optarg);
        else if (c == 'k' && strcmp(optarg, "f16") == 0)
            r.options.kv_type = SLM_KV_F16;
        else if (c == 'k' && strcmp(optarg, "q8_0") == 0)
            r.options.kv_type = SLM_KV_Q8_0;
        else if (c == 'k' && strcmp(optarg, "f32") == 0)
            r.options.kv_type = SLM_KV_F32;
        else
            return usage();
    }
    if (optind + 2 != argc || r.options.n_ctx == 0)
        return usage();
    r.model = argv[optind];
    r.path = argv[optind + 1];
    return bench(&r);
}
