/* One conversation as its user feels it: how long until the first token, how evenly the others
 * come, what it takes of memory. One JSON object.
 *
 *   slm_bench_latency MODEL.gguf [-t THREADS] [-p PROMPT] [-n TOKENS] [-k f16|q8_0|f32] [--cold]
 *
 *   load_ms             to open the model and a session
 *   load_to_first_ms    from before that until the first token is there
 *   p50, p99, max       of the times between tokens, in ms; percentiles by nearest rank
 *   p99_over_p50        as it came: the cache grows meanwhile, and so does the work of a token
 *   p99_over_p50_level  the same with each time over a straight line through the medians of the
 *                       first and the last third
 *   peak_rss_bytes      of this process; over_file_and_cache_bytes: less the file, less the keys
 * and values allocations         calls of the allocator, while opening and while tokens come
 *   cached_before       share of the file that was in the page cache when it was opened
 *   raw_read_ms         --cold: the file read in order, out of a cache that does not hold it; it is
 *                       dropped from the cache again before it is opened (only what no other
 * process has mapped can be dropped: see cached_before) */
#define _GNU_SOURCE

#include "slm.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MAX_TOKENS = 1 << 20, CHUNK = 4 << 20 };

static double milliseconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* ---------------------------------------------------------------- memory --------------------- */

/* The library allocates on the thread that calls it, so plain numbers do. */
typedef struct counter {
    uint64_t calls, bytes;
} counter;

static void *count_alloc(void *user, size_t size, size_t align) {
    counter *c = user;
    void *p = NULL;
    c->calls++;
    c->bytes += size;
    if (posix_memalign(&p, align < sizeof p ? sizeof p : align, size > 0 ? size : 1) != 0)
        return NULL;
    return p;
}

static void count_free(void *user, void *ptr, size_t size, size_t align) {
    (void)user;
    (void)size;
    (void)align;
    free(ptr);
}

/* Not getrusage's: that one also counts what the process was before it became this program. */
static uint64_t peak_rss(void) {
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    unsigned long long kib = 0;
    if (f == NULL)
        return 0;
    while (fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "VmHWM: %llu kB", &kib) == 1)
            break;
    fclose(f);
    return kib * 1024;
}

/* ---------------------------------------------------------------- the file ------------------- */

/* Share of the file that the page cache holds; negative when it cannot be told. */
static double cached_share(const char *path) {
    struct stat st;
    double share = -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) == 0 && st.st_size > 0) {
        size_t size = (size_t)st.st_size, page = (size_t)sysconf(_SC_PAGESIZE);
        size_t n = (size + page - 1) / page, held = 0;
        unsigned char *in = malloc(n);
        void *at = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
        if (in != NULL && at != MAP_FAILED && mincore(at, size, in) == 0) {
            for (size_t i = 0; i < n; i++)
                held += in[i] & 1;
            share = (double)held / (double)n;
        }
        if (at != MAP_FAILED)
            munmap(at, size);
        free(in);
    }
    close(fd);
    return share;
}

static int drop(int fd) {
    (void)fdatasync(fd); /* what is not written yet cannot be dropped */
    return posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}

/* Milliseconds that it takes to read the file once, uncached before and after; negative: failed. */
static double read_cold(const char *path) {
    char *chunk = malloc(CHUNK);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = -1;
    double begun = 0, taken = -1;
    if (fd >= 0 && chunk != NULL && drop(fd) == 0) {
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
        begun = milliseconds();
        do
            got = read(fd, chunk, CHUNK);
        while (got > 0 || (got < 0 && errno == EINTR));
        taken = milliseconds() - begun;
    }
    if (got != 0 || drop(fd) != 0)
        taken = -1;
    if (fd >= 0)
        close(fd);
    free(chunk);
    return taken;
}

/* ---------------------------------------------------------------- numbers -------------------- */

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The smallest value that a share q of all does not pass. */
static double percentile(const double *sorted, size_t n, double q) {
    size_t rank = (size_t)(q * (double)n);
    rank += (double)rank < q * (double)n;
    return sorted[rank > 0 ? rank - 1 : 0];
}

static double median_of(const double *x, size_t n, double *room) {
    memcpy(room, x, n * sizeof *x);
    qsort(room, n, sizeof *x, by_value);
    return percentile(room, n, 0.5);
}

/* p99 over p50 of x over its trend: a line through the medians of the outer thirds, which single
 * late tokens do not bend (Tukey 1977, the resistant line). */
static double level_ratio(const double *x, size_t n, double *room) {
    size_t third = n / 3;
    if (third == 0)
        return 1;
    double low = median_of(x, third, room), high = median_of(x + n - third, third, room);
    double slope = (high - low) / (double)(n - third);
    double first = low - slope * (double)(third - 1) / 2;
    for (size_t i = 0; i < n; i++)
        room[i] = x[i] / (first + slope * (double)i);
    qsort(room, n, sizeof *room, by_value);
    return percentile(room, n, 0.99) / percentile(room, n, 0.5);
}

/* ---------------------------------------------------------------- the run -------------------- */

typedef struct run {
    const char *path;
    uint32_t threads, prompt, tokens;
    slm_kv_type kv;
    int cold;
    counter count;
    slm_model *model;
    slm_session *session;
    slm_model_info info;
    slm_plan plan;
    int32_t *ids;        /* prompt */
    double *gaps, *room; /* tokens each */
    double begun, loaded, first, last;
    uint64_t opening, generating, generating_bytes;
} run;

static slm_status load(run *r, slm_error *error) {
    slm_allocator allocator = {count_alloc, count_free, &r->count};
    slm_model_options options = {.struct_size = sizeof options, .allocator = &allocator};
    slm_cache_options cache = {.struct_size = sizeof cache,
                               .n_ctx = r->prompt + r->tokens + 1,
                               .n_threads = r->threads,
                               .kv_type = r->kv};
    r->info.struct_size = sizeof r->info;
    r->plan.struct_size = sizeof r->plan;
    r->begun = milliseconds();
    slm_status s = slm_model_open(r->path, &options, &r->model, error);
    if (s == SLM_OK)
        s = slm_session_open(r->model, &cache, &r->session, error);
    r->loaded = milliseconds();
    if (s == SLM_OK)
        s = slm_model_get_info(r->model, &r->info, error);
    if (s == SLM_OK)
        s = slm_cache_plan(r->model, &cache, &r->plan, error);
    return s;
}

static slm_status generate(run *r, slm_error *error) {
    slm_generator *generator = NULL;
    slm_generate_options options = {.struct_size = sizeof options,
                                    .flags = SLM_GENERATE_IGNORE_END,
                                    .max_tokens = (uint64_t)r->tokens + 1};
    slm_event event = {.struct_size = sizeof event};
    uint64_t x = 88172645463325252u; /* xorshift64: any ids do, always the same */
    for (uint32_t i = 0; i < r->prompt; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        r->ids[i] = (int32_t)(x % r->info.n_vocab);
    }
    slm_status s = slm_session_prompt(r->session, r->ids, r->prompt, NULL, error);
    if (s == SLM_OK)
        s = slm_generate_begin(r->session, &options, &generator, error);
    counter before = r->count;
    r->opening = before.calls;
    for (uint32_t made = 0; s == SLM_OK && made <= r->tokens && event.type != SLM_EVENT_END;) {
        s = slm_generate_next(generator, &event, error);
        if (s != SLM_OK || event.type != SLM_EVENT_TEXT)
            continue;
        double now = milliseconds();
        if (made == 0)
            r->first = now;
        else
            r->gaps[made - 1] = now - r->last;
        r->last = now;
        made++;
    }
    r->generating = r->count.calls - before.calls;
    r->generating_bytes = r->count.bytes - before.bytes;
    slm_generate_end(&generator);
    return s;
}

static void print_path(const char *path) {
    putchar('"');
    for (const unsigned char *c = (const unsigned char *)path; *c != '\0'; c++)
        if (*c == '"' || *c == '\\')
            printf("\\%c", *c);
        else if (*c < 0x20)
            printf("\\u%04x", *c);
        else
            putchar(*c);
    putchar('"');
}

static void print_result(run *r, double cached, double raw) {
    size_t n = r->tokens;
    uint64_t peak = peak_rss();
    double level = level_ratio(r->gaps, n, r->room), total = r->last - r->first;
    qsort(r->gaps, n, sizeof *r->gaps, by_value);
    double p50 = percentile(r->gaps, n, 0.5), p99 = percentile(r->gaps, n, 0.99);
    printf("{\"model\":");
    print_path(r->path);
    printf(",\"threads\":%u,\"prompt\":%u,\"tokens\":%u", r->plan.n_threads, r->prompt, r->tokens);
    printf(",\"load_ms\":%.3f,\"load_to_first_ms\":%.3f", r->loaded - r->begun,
           r->first - r->begun);
    printf(",\"cached_before\":%.3f", cached);
    if (raw >= 0)
        printf(",\"raw_read_ms\":%.3f", raw);
    printf(",\"tokens_per_second\":%.3f", (double)n * 1e3 / total);
    printf(",\"p50_ms\":%.4f,\"p99_ms\":%.4f,\"max_ms\":%.4f", p50, p99, r->gaps[n - 1]);
    printf(",\"p99_over_p50\":%.4f,\"p99_over_p50_level\":%.4f", p99 / p50, level);
    printf(",\"file_bytes\":%llu,\"kv_bytes\":%llu", (unsigned long long)r->info.file_bytes,
           (unsigned long long)r->plan.kv_bytes);
    printf(",\"peak_rss_bytes\":%llu,\"over_file_and_cache_bytes\":%lld", (unsigned long long)peak,
           (long long)peak - (long long)(r->info.file_bytes + r->plan.kv_bytes));
    printf(",\"allocations\":{\"opening\":%llu,\"generating\":%llu,\"generating_bytes\":%llu}}\n",
           (unsigned long long)r->opening, (unsigned long long)r->generating,
           (unsigned long long)r->generating_bytes);
}

/* ---------------------------------------------------------------- command line --------------- */

static int usage(const char *got) {
    fprintf(stderr,
            "slm_bench_latency: got %s, wanted MODEL.gguf [-t THREADS] [-p PROMPT] [-n TOKENS] "
            "[-k f16|q8_0|f32] [--cold]\n",
            got);
    return 2;
}

static int take_number(uint32_t *number, const char *text) {
    char *end;
    long n = strtol(text, &end, 10);
    if (end == text || *end != '\0' || n < 1 || n > MAX_TOKENS)
        return 0;
    *number = (uint32_t)n;
    return 1;
}

static int take_kv(slm_kv_type *kv, const char *text) {
    static const struct {
        const char *name;
        slm_kv_type kv;
    } known[] = {{"f16", SLM_KV_F16}, {"q8_0", SLM_KV_Q8_0}, {"f32", SLM_KV_F32}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i].name, text) == 0) {
            *kv = known[i].kv;
            return 1;
        }
    return 0;
}

int main(int argc, char **argv) {
    static const struct option longs[] = {{"cold", no_argument, NULL, 'C'}, {NULL, 0, NULL, 0}};
    run r = {.prompt = 32, .tokens = 2000};
    slm_error error = SLM_ERROR_INIT;
    double cached, raw = -1;
    int c;
    opterr = 0;
    while ((c = getopt_long(argc, argv, "t:p:n:k:", longs, NULL)) != -1) {
        int good = 1;
        if (c == 't')
            good = take_number(&r.threads, optarg);
        else if (c == 'p')
            good = take_number(&r.prompt, optarg);
        else if (c == 'n')
            good = take_number(&r.tokens, optarg);
        else if (c == 'k')
            good = take_kv(&r.kv, optarg);
        else if (c == 'C')
            r.cold = 1;
        else
            return usage(argv[optind - 1]);
        if (!good)
            return usage(optarg);
    }
    if (optind + 1 != argc)
        return usage(optind == argc ? "no model" : argv[optind + 1]);
    r.path = argv[optind];
    r.ids = malloc(r.prompt * sizeof *r.ids);
    r.gaps = malloc(r.tokens * sizeof *r.gaps);
    r.room = malloc(r.tokens * sizeof *r.room);
    slm_status s = SLM_OK;
    if (r.ids == NULL || r.gaps == NULL || r.room == NULL) {
        fprintf(stderr, "slm_bench_latency: got no memory for %u tokens\n", r.tokens);
        s = SLM_ERR_NOMEM;
    } else if (r.cold && (raw = read_cold(r.path)) < 0) {
        fprintf(stderr,
                "slm_bench_latency: %s: cannot be read or dropped from the page cache: %s\n",
                r.path, strerror(errno));
        s = SLM_ERR_IO;
    } else {
        cached = cached_share(r.path);
        s = load(&r, &error);
        if (s == SLM_OK)
            s = generate(&r, &error);
        if (s == SLM_OK)
            print_result(&r, cached, raw);
        else
            fprintf(stderr, "slm_bench_latency: %s\n", error.message);
    }
    slm_session_close(&r.session);
    slm_model_close(&r.model);
    free(r.ids);
    free(r.gaps);
    free(r.room);
    return s == SLM_OK ? 0 : 1;
}
