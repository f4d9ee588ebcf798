#define _GNU_SOURCE
#include "check.h"

#include "amx_model.h"
#include "avx512_other.h"
#include "avxvnni_evex.h"
#include "packed.h"

#include <signal.h>
#include <stdarg.h>
#include <unistd.h>

#define MAX_MESSAGES 5 /* of one test at one level */

static char running[200];

void fail(check *c, const char *format, ...) {
    if (c->failures++ >= MAX_MESSAGES)
        return;
    va_list args;
    printf("FAIL %s (%s, seed %llu): ", c->test, c->level, (unsigned long long)c->seed);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

void skip(check *c, const char *format, ...) {
    va_list args;
    c->skips++;
    printf("SKIP %s (%s): ", c->test, c->level);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

void *read_shared(check *c, const char *name, size_t *size) {
    char path[1024];
    const char *dir = getenv("SLM_SHARED_DIR"), *ci = getenv("CI");
#ifdef SLM_SHARED_DIR
    if (dir == NULL)
        dir = SLM_SHARED_DIR;
#endif
    snprintf(path, sizeof path, "%s/%s", dir != NULL ? dir : "../shared", name);
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        if (ci != NULL && strcmp(ci, "true") == 0)
            fail(c, "no reference data at %s", path);
        else
            skip(c, "no reference data at %s", path);
        return NULL;
    }
    fseek(f, 0, SEEK_END);
    long length = ftell(f);
    rewind(f);
    void *data = malloc(length > 0 ? (size_t)length : 1);
    *size = data != NULL && length > 0 ? fread(data, 1, (size_t)length, f) : 0;
    fclose(f);
    return data;
}

/* An access beyond a buffer, or an instruction that the processor lacks. */
static void on_signal(int number) {
    static const char illegal[] = "FAIL illegal instruction in ", fault[] = "FAIL bad access in ";
    const char *what = number == SIGILL ? illegal : fault;
    if (write(1, what, strlen(what)) < 0 || write(1, running, strlen(running)) < 0)
        _exit(3);
    _exit(1);
}

static uint64_t seed_for(uint64_t seed, const char *test) {
    for (; *test != '\0'; test++)
        seed = (seed ^ (uint8_t)*test) * 0x100000001b3u;
    return seed;
}

static const check_test *const groups[] = {tests_files, tests_quantize, tests_matmul,
                                           tests_attention, tests_math, tests_scan,
                                           tests_packed};
#define N_GROUPS (sizeof groups / sizeof groups[0])

static void list_tests(void) {
    for (size_t g = 0; g < N_GROUPS; g++)
        for (const check_test *t = groups[g]; t->name != NULL; t++)
            puts(t->name);
}

static int usage(void) {
    fputs("usage: check_kernels [--seed N] [--rounds N] [--level MASK] [--filter NAME] [--list]\n"
          "                     [--bench]\n"
          "Levels: 1 portable, 2 avx2, 4 dotprod, 8 avx512 (with VNNI), 16 avxvnni, 32 i8mm,\n"
          "        64 neon, 128 amx.\n",
          stderr);
    return 2;
}

typedef struct totals {
    int run, failed, skipped;
} totals;

static void run_test(check *c, const check_test *test, const char *name, const char *filter,
                     totals *t) {
    if (filter != NULL && strstr(name, filter) == NULL)
        return;
    c->test = name;
    c->failures = c->skips = 0;
    slm_rng_seed(&c->rng, seed_for(c->seed, name));
    snprintf(running, sizeof running, "%s (%s, seed %llu)\n", name, c->level,
             (unsigned long long)c->seed);
    test->run(c);
    guard_release(c);
    printf("%-4s %s (%s)\n", c->failures ? "FAIL" : c->skips ? "SKIP" : "ok", name, c->level);
    t->run++;
    t->failed += c->failures != 0;
    t->skipped += c->failures == 0 && c->skips != 0;
}

int main(int argc, char **argv) {
    static const struct {
        uint32_t mask;
        const char *name;
    } level_names[] = {
        {SLM_LEVEL_PORTABLE, "portable"}, {SLM_LEVEL_AVX2, "avx2"}, {SLM_LEVEL_DOTPROD, "dotprod"},
        {SLM_LEVEL_AVXVNNI, "avxvnni"}, {SLM_LEVEL_AVX512, "avx512"},
        {SLM_LEVEL_I8MM, "i8mm"}, {SLM_LEVEL_NEON, "neon"}, {SLM_LEVEL_AMX, "amx"}};
    enum { N_LEVELS = sizeof level_names / sizeof level_names[0] };
    static slm_kernels tables[N_LEVELS + 3];
    const slm_kernels *levels[N_LEVELS + 3];
    const char *names[N_LEVELS + 3], *filter = NULL;
    size_t n_levels = 0;
    uint64_t seed = 1; /* the same numbers each time: what fails is of the change at hand */
    uint32_t mask = UINT32_MAX;
    unsigned rounds = 1;
    int want_bench = 0;

    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--list") == 0) {
            list_tests();
            return 0;
        }
        if (strcmp(argv[i], "--bench") == 0) {
            want_bench = 1;
            continue;
        }
        if (value == NULL)
            return usage();
        if (strcmp(argv[i], "--seed") == 0)
            seed = strtoull(value, NULL, 0);
        else if (strcmp(argv[i], "--rounds") == 0)
            rounds = (unsigned)strtoul(value, NULL, 0);
        else if (strcmp(argv[i], "--level") == 0)
            mask = (uint32_t)strtoul(value, NULL, 0);
        else if (strcmp(argv[i], "--filter") == 0)
            filter = value;
        else
            return usage();
        i++;
    }

    static slm_kernels ref;
    slm_kernels_init_ref(&ref);
    for (size_t i = 0; i < N_LEVELS; i++) {
        if (!(level_names[i].mask & mask & slm_cpu_levels()))
            continue;
        /* A level builds on those before it on the same machine. */
        uint32_t below = level_names[i].mask > SLM_LEVEL_DOTPROD ? SLM_LEVEL_AVX2 : 0;
        if (level_names[i].mask == SLM_LEVEL_I8MM)
            below = SLM_LEVEL_DOTPROD;
        if (level_names[i].mask == SLM_LEVEL_AMX)
            below = SLM_LEVEL_AVX2 | SLM_LEVEL_AVX512;
        slm_kernels_init(&tables[n_levels], level_names[i].mask | below);
        levels[n_levels] = &tables[n_levels];
        names[n_levels++] = level_names[i].name;
    }
    if ((mask & SLM_LEVEL_AVX512) && avx512_other(&tables[n_levels])) {
        levels[n_levels] = &tables[n_levels];
        names[n_levels++] = "avx512-other";
    }
    if ((mask & SLM_LEVEL_AVXVNNI) && avxvnni_evex(&tables[n_levels])) {
        levels[n_levels] = &tables[n_levels];
        names[n_levels++] = "avxvnni-evex";
    }
    if ((mask & SLM_LEVEL_AMX) && !want_bench && amx_model(&tables[n_levels])) {
        levels[n_levels] = &tables[n_levels];
        names[n_levels++] = "amx-model";
    }
    if (n_levels == 0) {
        printf("SKIP no level of mask %u is built and can run here\n", (unsigned)mask);
        return 77;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (want_bench) {
        bench(levels, names, n_levels, filter);
        return 0;
    }
    signal(SIGSEGV, on_signal);
    signal(SIGBUS, on_signal);
    signal(SIGILL, on_signal);
    printf("seed %llu\n", (unsigned long long)seed);

    totals t = {0, 0, 0};
    for (size_t l = 0; l < n_levels; l++)
        for (size_t g = 0; g < N_GROUPS; g++)
            for (const check_test *test = groups[g]; test->name != NULL; test++) {
                check c = {
                    .k = levels[l], .ref = &ref, .level = names[l], .seed = seed, .rounds = rounds};
                if (test->once && l > 0)
                    continue;
                if (!test->per_type) {
                    run_test(&c, test, test->name, filter, &t);
                    continue;
                }
                for (size_t i = 0; i < 2 * n_types; i++) {
                    char name[100];
                    c.type = &types[i / 2];
                    c.act = i % 2 ? SLM_ACT_I8_ROW : slm_act_for(c.type->type);
                    if (i % 2 && slm_act_for(c.type->type) == SLM_ACT_I8_ROW)
                        continue;
                    if (test->per_type == 2) {
                        if (i % 2 || !slm_packs(c.type->type))
                            continue;
                        c.act = slm_act_packed(c.act);
                    }
                    snprintf(name, sizeof name, "%s %s %s", test->name, c.type->name,
                             act_name(c.act));
                    run_test(&c, test, name, filter, &t);
                }
            }
    printf("%d run, %d failed, %d skipped\n", t.run, t.failed, t.skipped);
    return t.failed != 0 || t.run == 0;
}
