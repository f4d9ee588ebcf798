/* slm doctor: processor, memory, heat. */
#include "cmd_doctor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CPUS 1024u
#define GIB  (1024.0 * 1024 * 1024)

/* ---------------------------------------------------------------- processor ------------------ */

/* Arm's numbers for the cores that are met where models run (Linux:
 * arch/arm64/include/asm/cputype.h). */
static const char *arm_core(unsigned long part) {
    static const struct {
        unsigned long part;
        const char *name;
    } cores[] = {{0xd03, "Cortex-A53"},  {0xd08, "Cortex-A72"},  {0xd0b, "Cortex-A76"},
                 {0xd0c, "Neoverse N1"}, {0xd40, "Neoverse V1"}, {0xd42, "Cortex-A78AE"},
                 {0xd49, "Neoverse N2"}, {0xd4f, "Neoverse V2"}};
    for (size_t i = 0; i < sizeof cores / sizeof *cores; i++)
        if (cores[i].part == part)
            return cores[i].name;
    return NULL;
}

/* The levels of --cpu that the listed features allow, best last. */
static void examine_levels(slm_doctor *d, const char *features, int is_arm) {
    static const struct {
        const char *level, *words[6]; /* all of them are needed */
    } known[] = {{"avx2", {"avx2", "fma", "f16c"}},
                 {"avxvnni", {"avx2", "fma", "f16c", "avx_vnni"}},
                 {"avx512", {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni"}},
                 {"amx", {"amx_tile", "amx_int8", "avx512_vnni"}},
                 {"neon", {"asimd"}},
                 {"dotprod", {"asimd", "asimddp"}},
                 {"i8mm", {"asimd", "asimddp", "i8mm"}}};
    char levels[80] = "portable";
    const char *best = "portable";
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        int has = 1;
        for (size_t k = 0; k < 6 && known[i].words[k] != NULL; k++)
            has = has && slm_doctor_has_word(features, known[i].words[k]);
        if (!has)
            continue;
        best = known[i].level;
        snprintf(levels + strlen(levels), sizeof levels - strlen(levels), " %s", best);
    }
    slm_doctor_fact(d, "cpu", "levels", "%s", levels);
    slm_doctor_fact(d, "cpu", "level", "%s", best);
    d->is_portable = strcmp(best, "portable") == 0;
    if (d->is_portable)
        slm_doctor_find(
            d, SLM_SEVERITY_WARNING, "cpu", NULL,
            "the processor lacks %s: models run at a fraction of the speed of newer ones",
            is_arm ? "vector instructions" : "AVX2, FMA or F16C");
    else if (strcmp(best, "neon") == 0)
        slm_doctor_find(
            d, SLM_SEVERITY_NOTE, "cpu", NULL,
            "the processor has no dot product instructions (Armv8.2): slower than newer "
            "ones");
    else
        slm_doctor_find(d, SLM_SEVERITY_OK, "cpu", NULL, "instructions of the level %s are used",
                        best);
}

/* Online cores, those of them that are small, and what is switched off. */
static void examine_cores(slm_doctor *d) {
    static unsigned char online[CPUS], present[CPUS], other[CPUS];
    char list[512];
    uint64_t most = 0, capacity;
    size_t n_cores = 0, n_small = 0;
    if (!slm_doctor_read(d, list, sizeof list, "/sys/devices/system/cpu/online"))
        return;
    size_t n = slm_doctor_cpus(list, online, CPUS);
    slm_doctor_number(d, "cpu", "processors", n);
    for (size_t i = 0; i < CPUS; i++)
        if (online[i] &&
            slm_doctor_read_number(d, &capacity, "/sys/devices/system/cpu/cpu%zu/cpu_capacity",
                                   i) &&
            capacity > most)
            most = capacity;
    static unsigned char small[CPUS];
    memset(small, 0, sizeof small);
    if (slm_doctor_read(d, list, sizeof list, "/sys/devices/cpu_atom/cpus"))
        (void)slm_doctor_cpus(list, small, CPUS);
    for (size_t i = 0; i < CPUS; i++) {
        if (!online[i])
            continue;
        size_t first = i;
        if (slm_doctor_read(d, list, sizeof list,
                            "/sys/devices/system/cpu/cpu%zu/topology/thread_siblings_list", i)) {
            (void)slm_doctor_cpus(list, other, CPUS);
            for (first = 0; first < i && !(other[first] && online[first]);)
                first++;
        }
        if (first < i)
            continue;
        n_cores++;
        if (slm_doctor_read_number(d, &capacity, "/sys/devices/system/cpu/cpu%zu/cpu_capacity",
                                   i) &&
            capacity * 2 < most)
            small[i] = 1;
        n_small += small[i];
    }
    slm_doctor_number(d, "cpu", "cores", n_cores);
    slm_doctor_number(d, "cpu", "efficiency_cores", n_small);
    if (n_small > 0 && n_small < n_cores)
        slm_doctor_find(d, SLM_SEVERITY_NOTE, "cpu", NULL,
                        "%zu of %zu cores are small ones: models use the other %zu by default",
                        n_small, n_cores, n_cores - n_small);
    if (slm_doctor_read(d, list, sizeof list, "/sys/devices/system/cpu/present")) {
        size_t n_present = slm_doctor_cpus(list, present, CPUS);
        if (n_present > n)
            slm_doctor_find(d, SLM_SEVERITY_NOTE, "cpu",
                            d->is_tegra ? "a power mode with more cores: sudo nvpmodel -m ID"
                                        : NULL,
                            "%zu of %zu processors are switched off", n_present - n, n_present);
    }
}

/* Governor and cap of the clocks, those of the first policy that is amiss. */
static void examine_clocks(slm_doctor *d) {
    static const char *const folder = "/sys/devices/system/cpu/cpufreq";
    slm_entry policies[64];
    size_t n = slm_doctor_list(d, folder, "policy", policies, 64);
    char governor[32], driver[32];
    uint64_t most = 0, cap = 0;
    int told = 0;
    for (size_t i = 0; i < n; i++) {
        const char *name = policies[i].name;
        driver[0] = 0;
        if (!slm_doctor_read(d, governor, sizeof governor, "%s/%s/scaling_governor", folder, name))
            continue;
        (void)slm_doctor_read(d, driver, sizeof driver, "%s/%s/scaling_driver", folder, name);
        int has_cap = slm_doctor_read_number(d, &most, "%s/%s/cpuinfo_max_freq", folder, name) &&
                      slm_doctor_read_number(d, &cap, "%s/%s/scaling_max_freq", folder, name) &&
                      most > 0;
        if (i == 0) {
            slm_doctor_fact(d, "cpu", "governor", "%s", governor);
            slm_doctor_fact(d, "cpu", "clock_driver", "%s", driver);
            if (has_cap) {
                slm_doctor_number(d, "cpu", "max_mhz", most / 1000);
                slm_doctor_number(d, "cpu", "cap_mhz", cap / 1000);
            }
        }
        /* Under these two drivers "powersave" still follows the load. */
        int follows =
            strncmp(driver, "intel_pstate", 12) == 0 || strncmp(driver, "amd-pstate", 10) == 0;
        if (!told && strcmp(governor, "powersave") == 0 && !follows) {
            slm_doctor_find(d, SLM_SEVERITY_WARNING, "cpu",
                            "sudo cpupower frequency-set -g schedutil (or performance)",
                            "the governor powersave keeps the clocks of %s at their lowest", name);
            told = 1;
        }
        if (!told && has_cap && cap * 10 < most * 9) {
            slm_doctor_find(
                d, SLM_SEVERITY_NOTE, "cpu",
                d->is_tegra ? "a power mode with more watts: sudo nvpmodel -m ID"
                            : "sudo cpupower frequency-set -u MAX, if nothing speaks against it",
                "%s is held at %llu of %llu MHz", name, (unsigned long long)(cap / 1000),
                (unsigned long long)(most / 1000));
            told = 1;
        }
    }
}

void slm_doctor_cpu(slm_doctor *d) {
    static char info[8192], features[4096];
    char model[120];
    const char *core = NULL;
    features[0] = 0;
    if (slm_doctor_read(d, info, sizeof info, "/proc/cpuinfo")) {
        if (slm_doctor_value(info, "CPU part", model, sizeof model))
            core = arm_core(strtoul(model, NULL, 16));
        if (core != NULL || slm_doctor_value(info, "model name", model, sizeof model))
            slm_doctor_fact(d, "cpu", "model", "%s", core != NULL ? core : model);
        int is_arm = slm_doctor_value(info, "Features", features, sizeof features);
        if (is_arm || slm_doctor_value(info, "flags", features, sizeof features))
            examine_levels(d, features, is_arm);
    }
    examine_cores(d);
    examine_clocks(d);
}

/* ---------------------------------------------------------------- memory --------------------- */

/* A line of /proc/meminfo in bytes. */
static uint64_t kilobytes(const char *info, const char *key) {
    char value[64];
    return slm_doctor_value(info, key, value, sizeof value) ? strtoull(value, NULL, 10) * 1024 : 0;
}

/* The lowest memory limit of the process's control group and those above it; 0: none. */
static uint64_t group_limit(const slm_doctor *d) {
    char text[4096], path[256] = "/";
    uint64_t least = 0, limit;
    /* Version 1 of the groups, as containers see their own. */
    (void)slm_doctor_read_number(d, &least, "/sys/fs/cgroup/memory/memory.limit_in_bytes");
    if (slm_doctor_read(d, text, sizeof text, "/proc/self/cgroup")) {
        const char *at = strstr(text, "0::/");
        if (at != NULL)
            snprintf(path, sizeof path, "%.*s", (int)strcspn(at + 3, "\n"), at + 3);
    }
    for (;;) {
        if (slm_doctor_read_number(d, &limit, "/sys/fs/cgroup%s/memory.max", path) &&
            (least == 0 || limit < least))
            least = limit;
        char *slash = strrchr(path, '/');
        if (slash == NULL)
            return least;
        *slash = 0;
    }
}

static void examine_swap(slm_doctor *d, const char *info) {
    char text[1024];
    uint64_t total = kilobytes(info, "SwapTotal"), unused = kilobytes(info, "SwapFree");
    uint64_t used = total > unused ? total - unused : 0;
    int is_zram =
        slm_doctor_read(d, text, sizeof text, "/proc/swaps") && strstr(text, "/dev/zram") != NULL;
    slm_doctor_number(d, "memory", "swap_bytes", total);
    slm_doctor_number(d, "memory", "swap_used_bytes", used);
    slm_doctor_fact(d, "memory", "swap_on", "%s", total == 0 ? "none" : is_zram ? "zram" : "disk");
    if (is_zram && d->is_tegra)
        slm_doctor_find(
            d, SLM_SEVERITY_WARNING, "swap",
            "sudo systemctl disable --now nvzramconfig, then reboot; swap to a disk if any",
            "swap is in memory (zram): it takes from the memory that the GPU shares, and "
            "processor time");
    if (used > (uint64_t)256 << 20)
        slm_doctor_find(d, SLM_SEVERITY_WARNING, "swap",
                        "end what is not needed, or take a smaller model or context",
                        "%.1f GiB are swapped out: memory has been short", (double)used / GIB);
}

static void examine_huge_pages(slm_doctor *d) {
    static const char *const file = "/sys/kernel/mm/transparent_hugepage/enabled";
    char text[64];
    if (!slm_doctor_read(d, text, sizeof text, "%s", file))
        return;
    const char *open = strchr(text, '[');
    size_t len = open != NULL ? strcspn(open + 1, "]") : 0;
    slm_doctor_fact(d, "memory", "huge_pages", "%.*s", (int)len, open != NULL ? open + 1 : "");
    if (len == 5 && strncmp(open + 1, "never", 5) == 0)
        slm_doctor_find(
            d, SLM_SEVERITY_NOTE, "memory",
            "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled",
            "huge pages are switched off: packed weights are read a few percent slower");
}

void slm_doctor_memory(slm_doctor *d) {
    static char info[8192];
    if (!slm_doctor_read(d, info, sizeof info, "/proc/meminfo"))
        return;
    uint64_t total = kilobytes(info, "MemTotal"), limit = group_limit(d);
    d->memory_free = kilobytes(info, "MemAvailable");
    d->memory_total = total;
    slm_doctor_number(d, "memory", "total_bytes", total);
    slm_doctor_number(d, "memory", "available_bytes", d->memory_free);
    slm_doctor_number(d, "memory", "page_cache_bytes", kilobytes(info, "Cached"));
    if (limit > 0 && limit < total) {
        slm_doctor_number(d, "memory", "group_limit_bytes", limit);
        slm_doctor_find(d, SLM_SEVERITY_NOTE, "memory",
                        "raise it where the container or service is started, if models need more",
                        "the process's control group may use %.1f of %.1f GiB", (double)limit / GIB,
                        (double)total / GIB);
        d->memory_total = limit;
        if (limit < d->memory_free)
            d->memory_free = limit;
    }
    if (d->memory_free * 4 < d->memory_total)
        slm_doctor_find(d, SLM_SEVERITY_WARNING, "memory", "end what is not needed",
                        "%.1f of %.1f GiB are available", (double)d->memory_free / GIB,
                        (double)d->memory_total / GIB);
    else
        slm_doctor_find(d, SLM_SEVERITY_OK, "memory", NULL, "%.1f of %.1f GiB are available",
                        (double)d->memory_free / GIB, (double)d->memory_total / GIB);
    examine_swap(d, info);
    examine_huge_pages(d);
}

/* ---------------------------------------------------------------- heat and current ----------- */

static void examine_zones(slm_doctor *d) {
    static const char *const folder = "/sys/class/thermal";
    slm_entry zones[32];
    char type[32], trip[32], hottest[32] = "";
    uint64_t temp, limit, most = 0;
    size_t n = slm_doctor_list(d, folder, "thermal_zone", zones, 32);
    for (size_t i = 0; i < n; i++) {
        const char *zone = zones[i].name;
        if (!slm_doctor_read_number(d, &temp, "%s/%s/temp", folder, zone) ||
            !slm_doctor_read(d, type, sizeof type, "%s/%s/type", folder, zone))
            continue;
        if (temp > most) {
            most = temp;
            snprintf(hottest, sizeof hottest, "%s", type);
        }
        for (int k = 0; k < 8; k++)
            if (slm_doctor_read(d, trip, sizeof trip, "%s/%s/trip_point_%d_type", folder, zone,
                                k) &&
                strcmp(trip, "passive") == 0 &&
                slm_doctor_read_number(d, &limit, "%s/%s/trip_point_%d_temp", folder, zone, k) &&
                limit > 0 && temp + 5000 >= limit) {
                slm_doctor_find(d, SLM_SEVERITY_WARNING, "heat", "more air, or a lower power mode",
                                "%s is at %.0f degrees; at %.0f clocks are lowered", type,
                                (double)temp / 1e3, (double)limit / 1e3);
                break;
            }
    }
    if (most > 0) {
        slm_doctor_fact(d, "heat", "hottest", "%s", hottest);
        slm_doctor_number(d, "heat", "degrees", most / 1000);
    }
}

void slm_doctor_heat(slm_doctor *d) {
    static const char *const folder = "/sys/class/hwmon";
    slm_entry chips[32];
    char name[32];
    uint64_t count, online;
    examine_zones(d);
    if (slm_doctor_read_number(
            d, &count, "/sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count") &&
        count > 0)
        slm_doctor_find(d, SLM_SEVERITY_NOTE, "heat", "more air, or shorter runs",
                        "clocks have been lowered for heat %llu times since the start",
                        (unsigned long long)count);
    size_t n = slm_doctor_list(d, folder, "hwmon", chips, 32);
    for (size_t i = 0; i < n; i++) {
        static const char *const events[] = {"voltage was too low",
                                             "current was too high on average",
                                             "current was too high for a moment"};
        for (int k = 1; k <= 3; k++)
            if (slm_doctor_read_number(d, &count, "%s/%s/oc%d_event_cnt", folder, chips[i].name,
                                       k) &&
                count > 0)
                slm_doctor_find(d, SLM_SEVERITY_WARNING, "power",
                                "a stronger supply or shorter cable, or a lower power mode",
                                "%s %llu times since the start, and clocks were lowered",
                                events[k - 1], (unsigned long long)count);
        if (slm_doctor_read(d, name, sizeof name, "%s/%s/name", folder, chips[i].name) &&
            strcmp(name, "rpi_volt") == 0 &&
            slm_doctor_read_number(d, &count, "%s/%s/in0_lcrit_alarm", folder, chips[i].name) &&
            count > 0)
            slm_doctor_find(d, SLM_SEVERITY_WARNING, "power",
                            "the supply that the maker recommends",
                            "the supply's voltage is too low, so clocks are lowered");
    }
    n = slm_doctor_list(d, "/sys/class/power_supply", "", chips, 32);
    for (size_t i = 0; i < n; i++)
        if (slm_doctor_read(d, name, sizeof name, "/sys/class/power_supply/%s/type",
                            chips[i].name) &&
            strcmp(name, "Mains") == 0 &&
            slm_doctor_read_number(d, &online, "/sys/class/power_supply/%s/online",
                                   chips[i].name) &&
            online == 0)
            slm_doctor_find(d, SLM_SEVERITY_NOTE, "power", "plug it in", "it runs on its battery");
}
