/* Which processors are cores worth a thread: of the hardware threads of a core one, and of a
 * machine with fast and slow cores the fast ones. */
#include "base/os.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_CAP 600
#define MAX_CPUS 8192 /* the most that Linux can be built for */
#define CPU_DIR  "/sys/devices/system/cpu/cpu"

/* cpu_set_t alone holds 1,024. */
typedef union large_set {
    cpu_set_t set;
    unsigned long words[MAX_CPUS / (8 * sizeof(unsigned long))];
} large_set;

typedef struct machine {
    const char *root;
    const cpu_set_t *allowed;
    size_t set_size; /* of *allowed, bytes */
} machine;

static int is_allowed(const machine *m, size_t cpu) {
    return cpu < m->set_size * 8 && CPU_ISSET_S(cpu, m->set_size, m->allowed) != 0;
}

/* One processor's file, such as "cpu_capacity". */
static int read_cpu(const machine *m, size_t cpu, const char *file, char *text, size_t cap) {
    char path[PATH_CAP];
    return snprintf(path, sizeof path, "%s" CPU_DIR "%zu/%s", m->root, cpu, file) < PATH_CAP &&
           slm_read_text(path, text, cap);
}

/* The next range of a list such as "0-3,8"; 0 at its end or where it is not a list. */
static int next_range(const char **list, size_t *from, size_t *to) {
    const char *at = *list;
    char *end;
    if (*at < '0' || *at > '9')
        return 0;
    *from = *to = strtoul(at, &end, 10);
    if (*end == '-')
        *to = strtoul(end + 1, &end, 10);
    *list = *end == ',' ? end + 1 : end;
    return 1;
}

/* Whether a processor is the first of its core's that may be used. */
static int is_core(const machine *m, size_t cpu) {
    char text[1024];
    const char *list = text;
    size_t from, to;
    if (!read_cpu(m, cpu, "topology/thread_siblings_list", text, sizeof text))
        return 1;
    while (next_range(&list, &from, &to))
        for (size_t i = from; i <= to && i < cpu; i++)
            if (is_allowed(m, i))
                return 0;
    return 1;
}

/* Adds the allowed processors of a list, in a file of the system, to *set. */
static void add_listed(const machine *m, const char *file, cpu_set_t *set) {
    char path[PATH_CAP], text[1024];
    const char *list = text;
    size_t from, to;
    if (snprintf(path, sizeof path, "%s%s", m->root, file) >= PATH_CAP ||
        !slm_read_text(path, text, sizeof text))
        return;
    while (next_range(&list, &from, &to))
        for (size_t i = from; i <= to && i < m->set_size * 8; i++)
            if (is_allowed(m, i))
                CPU_SET_S(i, m->set_size, set);
}

/* What Linux calls the small cores of Intel's hybrids leaves the set, unless nothing else is in it.
 * Returns whether there are any. */
static int drop_small(const machine *m, cpu_set_t *set) {
    large_set memory = {.words = {0}};
    cpu_set_t *small = &memory.set;
    add_listed(m, "/sys/devices/cpu_atom/cpus", small);
    add_listed(m, "/sys/devices/cpu_lowpower/cpus", small);
    if (CPU_COUNT_S(m->set_size, small) < CPU_COUNT_S(m->set_size, set))
        CPU_XOR_S(m->set_size, set, set, small);
    return CPU_COUNT_S(m->set_size, small) > 0;
}

/* Processors whose figure is below `percent` of the largest leave the set. Returns whether the
 * figures tell processors apart: each has one, and they are not all the same. */
static int drop_slow(const machine *m, const char *file, uint32_t percent, cpu_set_t *set) {
    double least = 0, most = 0;
    char text[64];
    for (int pass = 0; pass < 2; pass++) {
        for (size_t cpu = 0; cpu < m->set_size * 8; cpu++) {
            if (!is_allowed(m, cpu))
                continue;
            if (!read_cpu(m, cpu, file, text, sizeof text) || text[0] < '0' || text[0] > '9')
                return 0;
            double figure = (double)strtoull(text, NULL, 10);
            least = most == 0 || figure < least ? figure : least;
            most = figure > most ? figure : most;
            if (pass == 1 && figure * 100 < most * percent)
                CPU_CLR_S(cpu, m->set_size, set);
        }
        if (least >= most)
            return 0;
    }
    return 1;
}

uint32_t slm_core_count_in(const char *root, const cpu_set_t *allowed, size_t set_size) {
    large_set memory = {.words = {0}};
    cpu_set_t *set = &memory.set;
    machine m = {root, allowed, set_size < sizeof memory ? set_size : sizeof memory};
    uint32_t n = 0;
    memcpy(&memory, allowed, m.set_size);
    /* The capacity (Arm) holds what a core does in a cycle: its small cores reach 0.25 to 0.45 of
     * the largest, middle ones 0.6 and more. The frequency holds less: cores of one kind differ by
     * up to a tenth, compact and small ones stay below 0.8. */
    if (!drop_small(&m, set) && !drop_slow(&m, "cpu_capacity", 50, set))
        (void)drop_slow(&m, "cpufreq/cpuinfo_max_freq", 80, set);
    for (size_t cpu = 0; cpu < m.set_size * 8; cpu++)
        n += CPU_ISSET_S(cpu, m.set_size, set) && is_core(&m, cpu);
    return n;
}

uint32_t slm_core_count(const char *root) {
    large_set memory = {.words = {0}};
    cpu_set_t *set = &memory.set;
    uint32_t n = 0;
    if (sched_getaffinity(0, sizeof memory, set) == 0)
        n = slm_core_count_in(root, set, sizeof memory);
    if (n == 0) {
        long online = sysconf(_SC_NPROCESSORS_ONLN);
        n = online > 0 ? (uint32_t)online : 1;
    }
    return n;
}
