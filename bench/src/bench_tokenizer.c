/* Megabytes of text that one thread turns into ids in a second of processor time: one CSV line a
 * text.
 *
 *   slm_bench_tokenizer MODEL [TEXT [REPEATS]]      (texts made here; 9)
 *
 * MODEL is a GGUF file, TEXT a file of any bytes. The texts made here have 1 MiB each. Prose:
 * made-up words of a vocabulary of 30,000, the n-th as often as 1/n, in sentences; code: such words
 * with the marks, figures and indents of a program; mixed: words in seven scripts. The last three
 * are those that cost the most: one letter, blanks, random bytes. The last column stays the same as
 * long as the ids do. */
#define _POSIX_C_SOURCE 200809L
#include "base/file.h"
#include "base/rng.h"
#include "text/unicode.h"
#include "text/vocab.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TEXT_BYTES = 1 << 20, N_WORDS = 30000, MAX_REPEATS = 1000 };

static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* ---- texts ---- */

typedef struct maker {
    slm_rng rng;
    char *text; /* [TEXT_BYTES] */
    size_t len;
    int full;
} maker;

static uint32_t below(maker *m, uint32_t n) { return (uint32_t)(slm_rng_next(&m->rng) % n); }

static void put(maker *m, const char *bytes, size_t n) {
    m->full = m->full || n > TEXT_BYTES - m->len;
    if (m->full)
        return;
    memcpy(m->text + m->len, bytes, n);
    m->len += n;
}

static void put_str(maker *m, const char *s) { put(m, s, strlen(s)); }

/* The rank of a word drawn by Zipf's law. */
static uint32_t draw_rank(maker *m) {
    return (uint32_t)(exp(slm_rng_double(&m->rng) * log(N_WORDS)) - 1.0);
}

/* Word number rank, always spelt the same: rarer ones are longer. */
static void put_word(maker *m, uint32_t rank, int capital) {
    static const char *const starts[] = {"th", "a", "s", "w", "in", "re", "con", "m",  "p",  "b",
                                         "st", "f", "c", "d", "o",  "pr", "h",   "l",  "un", "tr"};
    static const char *const middles[] = {"e", "a", "o", "i", "er", "or", "an", "al", "ou", "ea",
                                          "it", "en", "at", "u", "es", "ar"};
    static const char *const ends[] = {"", "n", "t", "s", "d", "ing", "ed", "ly", "r", "tion", "y",
                                       "ness", "ment", "l", "ck", "m"};
    uint64_t h = rank;
    char word[64];
    int syllables = rank < 40 ? 1 : rank < 2000 ? 2 : 3, n = 0;
    for (int i = 0; i < syllables; i++) {
        uint64_t r = slm_splitmix64(&h);
        n += snprintf(word + n, sizeof word - (size_t)n, "%s%s", starts[r % 20],
                      middles[r >> 8 & 15]);
    }
    n += snprintf(word + n, sizeof word - (size_t)n, "%s", ends[slm_splitmix64(&h) & 15]);
    if (capital)
        word[0] = (char)(word[0] - 'a' + 'A');
    put(m, word, (size_t)n);
}

static void make_prose(maker *m) {
    while (!m->full) {
        uint32_t n = 5 + below(m, 20);
        for (uint32_t i = 0; i < n; i++) {
            put_word(m, draw_rank(m), i == 0 || below(m, 30) == 0);
            if (below(m, 60) == 0)
                put_str(m, "'s");
            put_str(m, i + 1 == n ? "." : below(m, 12) == 0 ? ", " : " ");
        }
        put_str(m, below(m, 6) == 0 ? "\n\n" : below(m, 4) == 0 ? "\n" : " ");
    }
}

static void make_code(maker *m) {
    static const char *const marks[] = {" = ", "(", ");", ", ", "->", ".", " + ", "[", "];", " == ",
                                        " {", "}", " // ", "_", "\"", " * ", "++", " && "};
    while (!m->full) {
        for (uint32_t indent = below(m, 5); indent > 0; indent--)
            put_str(m, "    ");
        for (uint32_t n = 1 + below(m, 8); n > 0; n--) {
            char number[16];
            snprintf(number, sizeof number, "%u", below(m, 5000));
            if (below(m, 6) == 0)
                put_str(m, number);
            else
                put_word(m, draw_rank(m), below(m, 5) == 0);
            put_str(m, marks[below(m, sizeof marks / sizeof *marks)]);
        }
        put_str(m, below(m, 8) == 0 ? "\n\n" : "\n");
    }
}

/* Words of code points of one script; the first of each repeat most. */
static void make_mixed(maker *m) {
    static const uint32_t scripts[][2] = {{0x3B1, 24}, {0x430, 32},  {0x5D0, 26},  {0x627, 36},
                                          {0x4E00, 3000}, {0xAC00, 2000}, {0x1F600, 60}};
    while (!m->full) {
        uint32_t k = below(m, 10);
        if (k >= 7) {
            put_word(m, draw_rank(m), 0);
        } else {
            uint64_t h = draw_rank(m);
            for (uint32_t n = 2 + (uint32_t)h % 7; n > 0; n--) {
                char c[4];
                uint32_t cp = scripts[k][0] + (uint32_t)(slm_splitmix64(&h) % scripts[k][1]);
                put(m, c, slm_utf8_encode(cp, c));
            }
        }
        put_str(m, below(m, 15) == 0 ? ".\n" : " ");
    }
}

static void make_letter(maker *m) {
    memset(m->text, 'a', TEXT_BYTES);
    m->len = TEXT_BYTES;
}

static void make_blanks(maker *m) {
    memset(m->text, ' ', TEXT_BYTES);
    m->len = TEXT_BYTES;
}

static void make_random(maker *m) {
    for (; m->len < TEXT_BYTES; m->len++)
        m->text[m->len] = (char)(slm_rng_next(&m->rng) >> 56);
}

/* ---- measuring ---- */

static int bench(const slm_vocab *v, const char *name, const char *text, size_t len, int repeats) {
    slm_error error = SLM_ERROR_INIT;
    slm_span span = {text, len, 0};
    double seconds[MAX_REPEATS];
    size_t n_ids = 0;
    uint64_t sum = SLM_BOS_NONE;
    int32_t *ids = malloc((3 * len + 3) * sizeof *ids); /* a blank is three bytes at most */
    if (ids == NULL) {
        fprintf(stderr, "slm_bench_tokenizer: no memory for the ids of %zu bytes\n", len);
        return 1;
    }
    for (int i = 0; i < repeats; i++) {
        double start = cpu_seconds();
        if (slm_vocab_tokenize(v, &span, 1, SLM_BOS_NONE, ids, 3 * len + 3, &n_ids, &error) !=
            SLM_OK) {
            fprintf(stderr, "%s: %s\n", name, error.message);
            free(ids);
            return 1;
        }
        seconds[i] = cpu_seconds() - start;
    }
    for (size_t i = 0; i < n_ids; i++)
        sum = (sum ^ (uint32_t)ids[i]) * 0x100000001b3u;
    free(ids);
    qsort(seconds, (size_t)repeats, sizeof *seconds, ascending);
    printf("%s,%zu,%zu,%.1f,%.1f,%016llx\n", name, len, n_ids, 1e-6 * (double)len / seconds[0],
           1e-6 * (double)len / seconds[repeats / 2], (unsigned long long)sum);
    return 0;
}

static int bench_made(const slm_vocab *v, int repeats) {
    static const struct {
        const char *name;
        void (*make)(maker *m);
    } kinds[] = {{"prose", make_prose},   {"code", make_code},     {"mixed", make_mixed},
                 {"letter", make_letter}, {"blanks", make_blanks}, {"random", make_random}};
    maker m;
    int failed = 0;
    m.text = malloc(TEXT_BYTES);
    if (m.text == NULL)
        return 1;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        slm_rng_seed(&m.rng, i + 1);
        m.len = 0;
        m.full = 0;
        kinds[i].make(&m);
        failed |= bench(v, kinds[i].name, m.text, m.len, repeats);
    }
    free(m.text);
    return failed;
}

static int bench_file(slm_host *host, const slm_vocab *v, const char *path, int repeats) {
    slm_error error = SLM_ERROR_INIT;
    slm_file *file = NULL;
    if (slm_file_open(host, path, SLM_LOAD_READ, NULL, NULL, &file, &error) != SLM_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    int failed = bench(v, slm_path_name(path), (const char *)file->data, file->size, repeats);
    slm_file_close(host, file);
    return failed;
}

int main(int argc, char **argv) {
    slm_error error = SLM_ERROR_INIT;
    slm_host host;
    slm_gguf *g = NULL;
    slm_vocab *v = NULL;
    slm_str architecture = {NULL, 0};
    int repeats = argc > 3 ? atoi(argv[3]) : 9, failed = 1;
    if (argc < 2 || argc > 4 || repeats < 1 || repeats > MAX_REPEATS) {
        fprintf(stderr, "usage: slm_bench_tokenizer MODEL [TEXT [REPEATS]]\n");
        return 2;
    }
    slm_host_init(&host, NULL, NULL, NULL, SLM_LOG_NONE);
    if (slm_gguf_open(&host, argv[1], SLM_LOAD_AUTO, SLM_GGUF_NO_TENSORS, NULL, NULL, &g, &error) !=
            SLM_OK ||
        slm_gguf_get_str(g, "general.architecture", 1, &architecture, &error) != SLM_OK ||
        slm_vocab_open(&host, g, architecture, &v, &error) != SLM_OK) {
        fprintf(stderr, "%s\n", error.message);
    } else {
        printf("text,bytes,ids,best_MBps,median_MBps,check\n");
        failed = argc > 2 ? bench_file(&host, v, argv[2], repeats) : bench_made(v, repeats);
    }
    slm_vocab_close(v);
    if (g != NULL)
        slm_gguf_close(g);
    return failed;
}
