/* slm doctor: NVIDIA GPUs, and Tegra systems with theirs. */
#include "cmd_doctor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Which module of the Jetson Orin family a device tree names, as in slm_device_profile_find. The
 * numbers are those of NVIDIA's modules; the developer kits carry the last four. */
static const char *find_module(const char *compatible) {
    static const struct {
        const char *number, *name;
    } modules[] = {{"p3767-0000", "orin-nx-16"},         {"p3767-0001", "orin-nx-8"},
                   {"p3767-0003", "orin-nano-8"},        {"p3767-0005", "orin-nano-8"},
                   {"p3767-0004", "orin-nano-4"},        {"p3701-0004", "agx-orin-32"},
                   {"p3701-0005", "agx-orin-64"},        {"p3701-0000", "agx-orin-64"},
                   {"p3701-0008", "agx-orin-industrial"}};
    for (size_t i = 0; i < sizeof modules / sizeof *modules; i++)
        if (strstr(compatible, modules[i].number) != NULL)
            return modules[i].name;
    return NULL;
}

/* ---------------------------------------------------------------- software ------------------- */

/* The release of the system, "R36 (release), REVISION: 4.7, ...", as 36.4.7. */
static void examine_release(slm_doctor *d) {
    char text[256];
    unsigned long major;
    if (!slm_doctor_read(d, text, sizeof text, "/etc/nv_tegra_release"))
        return;
    const char *at = strstr(text, "# R"), *revision = strstr(text, "REVISION: ");
    if (at == NULL || revision == NULL)
        return;
    major = strtoul(at + 3, NULL, 10);
    revision += strlen("REVISION: ");
    int len = (int)strspn(revision, "0123456789.");
    slm_doctor_fact(d, "gpu", "l4t", "%lu.%.*s", major, len, revision);
    slm_doctor_fact(d, "gpu", "jetpack", "%s",
                    major >= 38   ? "7"
                    : major == 36 ? "6"
                    : major == 35 ? "5"
                                  : "unknown");
    if (major < 36)
        slm_doctor_find(d, SLM_SEVERITY_WARNING, "gpu", "install JetPack 6 or 7",
                        "the system is L4T %lu: its CUDA is older than 12.2, which libslm asks for",
                        major);
    if (major == 36 && len == 3 && strncmp(revision, "4.7", 3) == 0)
        slm_doctor_find(d, SLM_SEVERITY_WARNING, "gpu",
                        "another release; until then weights in small chunks, and a restart when "
                        "allocations fail",
                        "L4T 36.4.7 refuses large allocations of the GPU (NvMap error 12)");
}

static void examine_driver(slm_doctor *d, int has_gpu) {
    char text[256];
    if (!slm_doctor_read(d, text, sizeof text, "/proc/driver/nvidia/version")) {
        if (has_gpu)
            slm_doctor_fact(d, "gpu", "driver", "not loaded");
        return;
    }
    /* "NVRM version: NVIDIA UNIX ... Kernel Module  540.4.0  Release Build ..." */
    for (const char *at = text; *at != 0; at += strcspn(at, " "), at += strspn(at, " ")) {
        size_t len = strspn(at, "0123456789.");
        if (len < 5 || strchr(at, '.') > at + len || (at[len] != ' ' && at[len] != 0))
            continue;
        slm_doctor_fact(d, "gpu", "driver", "%.*s", (int)len, at);
        if (strtoul(at, NULL, 10) < 580)
            slm_doctor_find(
                d, SLM_SEVERITY_NOTE, "gpu", "build with CUDA 12 on this machine (docs/ORIN.md)",
                "driver %.*s: programs built with CUDA 13 need 580 or newer", (int)len, at);
        return;
    }
}

/* ---------------------------------------------------------------- power mode ----------------- */

typedef struct power_mode {
    char name[32];   /* "MODE_30W"   */
    uint64_t gpu_hz; /* cap; 0: none */
} power_mode;

/* The mode of an id in the configuration of nvpmodel. */
static int read_mode(const char *conf, unsigned long id, power_mode *mode) {
    static const char name_key[] = " NAME=", cap_key[] = "\nGPU MAX_FREQ ";
    char head[48];
    snprintf(head, sizeof head, "\n< POWER_MODEL ID=%lu ", id);
    const char *at = strstr(conf, head);
    if (at == NULL)
        return 0;
    const char *next = strstr(at + 1, "\n< "), *name = strstr(at, name_key);
    const char *cap = strstr(at, cap_key);
    if (name == NULL || (next != NULL && name > next))
        return 0;
    name += sizeof name_key - 1;
    snprintf(mode->name, sizeof mode->name, "%.*s", (int)strcspn(name, " >\n"), name);
    if (cap != NULL && (next == NULL || cap < next) && cap[sizeof cap_key - 1] != '-')
        mode->gpu_hz = strtoull(cap + sizeof cap_key - 1, NULL, 10);
    return 1;
}

/* The profile of a module in a mode that the system names; n_sm 0: none that is known. Two modes
 * may bear a name: the cap of the clock tells them apart. */
static slm_device_profile find_profile(const char *module, const power_mode *mode) {
    slm_device_profile found = {.n_sm = 0}, p = {.struct_size = sizeof p};
    size_t len = strlen(module);
    for (size_t i = 0; slm_device_profile_get(i, &p, NULL) == SLM_OK; i++)
        if (strncmp(p.name, module, len) == 0 && p.name[len] == ':' &&
            strcmp(p.mode, mode->name) == 0 &&
            (found.n_sm == 0 || p.sm_mhz * (uint64_t)1000000 == mode->gpu_hz))
            found = p;
    return found;
}

/* The mode in use, and whether the memory can be kept busy in it. */
static slm_device_profile examine_mode(slm_doctor *d, const char *module) {
    static char conf[32768];
    char status[64];
    power_mode mode = {.gpu_hz = 0};
    slm_device_profile p = {.n_sm = 0};
    const char *id = NULL;
    if (slm_doctor_read(d, status, sizeof status, "/var/lib/nvpmodel/status"))
        id = strstr(status, "pmode:");
    if (id == NULL || !slm_doctor_read(d, conf, sizeof conf, "/etc/nvpmodel.conf") ||
        !read_mode(conf, strtoul(id + 6, NULL, 10), &mode)) {
        slm_doctor_find(d, SLM_SEVERITY_NOTE, "power mode", "sudo nvpmodel -q",
                        "the power mode cannot be read");
        return p;
    }
    slm_doctor_fact(d, "gpu", "power_mode", "%s", mode.name);
    if (module == NULL || (p = find_profile(module, &mode)).n_sm == 0) {
        slm_doctor_find(d, SLM_SEVERITY_NOTE, "power mode", NULL,
                        "no profile of this module knows the power mode %s", mode.name);
        return p;
    }
    double need = p.dram_gbps * 1e3 / ((double)p.n_sm * p.sm_mhz);
    slm_doctor_fact(d, "gpu", "profile", "%s", p.name);
    slm_doctor_number(d, "gpu", "dram_gbps", p.dram_gbps);
    if (need > 20)
        slm_doctor_find(
            d, SLM_SEVERITY_WARNING, "power mode",
            "sudo nvpmodel -m ID with more processors or clock; see slm inspect MODEL "
            "--device-profile",
            "%s leaves %u SM at %u MHz: they must take %.0f bytes a clock each to keep up "
            "with the memory, and hardly can",
            mode.name, p.n_sm, p.sm_mhz, need);
    else
        slm_doctor_find(d, SLM_SEVERITY_OK, "power mode", NULL,
                        "%s: %u SM at %u MHz can keep up with the memory's %.1f GB/s", mode.name,
                        p.n_sm, p.sm_mhz, p.dram_gbps);
    return p;
}

/* ---------------------------------------------------------------- clocks --------------------- */

static void examine_gpu_clock(slm_doctor *d, const slm_device_profile *p) {
    static const char *const folder = "/sys/class/devfreq";
    slm_entry devices[32];
    char governor[32];
    uint64_t now = 0, least = 0, most = 0;
    size_t n = slm_doctor_list(d, folder, "", devices, 32), i = 0;
    while (i < n && strstr(devices[i].name, "gpu") == NULL &&
           strstr(devices[i].name, "ga10b") == NULL)
        i++;
    if (i == n || !slm_doctor_read_number(d, &most, "%s/%s/max_freq", folder, devices[i].name))
        return;
    (void)slm_doctor_read_number(d, &least, "%s/%s/min_freq", folder, devices[i].name);
    (void)slm_doctor_read_number(d, &now, "%s/%s/cur_freq", folder, devices[i].name);
    if (slm_doctor_read(d, governor, sizeof governor, "%s/%s/governor", folder, devices[i].name))
        slm_doctor_fact(d, "gpu", "governor", "%s", governor);
    slm_doctor_number(d, "gpu", "mhz", now / 1000000);
    slm_doctor_number(d, "gpu", "min_mhz", least / 1000000);
    slm_doctor_number(d, "gpu", "max_mhz", most / 1000000);
    if (p->n_sm > 0 && most < p->sm_mhz * (uint64_t)980000)
        slm_doctor_find(
            d, SLM_SEVERITY_WARNING, "gpu",
            "set the power mode again (sudo nvpmodel -m ID), and look for throttling above",
            "the GPU may reach %llu MHz only, its power mode %u",
            (unsigned long long)(most / 1000000), p->sm_mhz);
    if (least < most)
        slm_doctor_find(d, SLM_SEVERITY_NOTE, "gpu",
                        "sudo jetson_clocks before measuring; it is worth one or two percent",
                        "the GPU's clock follows the load (%llu to %llu MHz)",
                        (unsigned long long)(least / 1000000),
                        (unsigned long long)(most / 1000000));
}

static void examine_processors(slm_doctor *d, const slm_device_profile *p) {
    static const char *const files[] = {"/sys/devices/platform/gpu.0/tpc_pg_mask",
                                        "/sys/devices/gpu.0/tpc_pg_mask",
                                        "/sys/devices/platform/17000000.gpu/tpc_pg_mask"};
    uint64_t mask = 0;
    uint32_t n_sm = 16; /* a set bit of the mask takes one of eight pairs away */
    size_t i = 0;
    while (i < 3 && !slm_doctor_read_number(d, &mask, "%s", files[i]))
        i++;
    if (i == 3)
        return;
    for (int bit = 0; bit < 8; bit++)
        n_sm -= mask >> bit & 1 ? 2 : 0;
    slm_doctor_number(d, "gpu", "sm", n_sm);
    if (p->n_sm > 0 && n_sm < p->n_sm)
        slm_doctor_find(d, SLM_SEVERITY_WARNING, "gpu",
                        "restart: processors are switched with the power mode at the start",
                        "%u SM are on, the power mode gives %u", n_sm, p->n_sm);
}

static void examine_memory_clock(slm_doctor *d, const slm_device_profile *p) {
    uint64_t rate;
    if (!slm_doctor_read_number(d, &rate, "/sys/kernel/debug/bpmp/debug/clk/emc/rate")) {
        slm_doctor_find(d, SLM_SEVERITY_NOTE, "memory clock", "sudo slm doctor",
                        "the memory's clock cannot be read without root");
        return;
    }
    slm_doctor_number(d, "gpu", "emc_mhz", rate / 1000000);
    if (p->n_sm > 0 && rate < p->emc_mhz * (uint64_t)950000)
        slm_doctor_find(d, SLM_SEVERITY_NOTE, "memory clock",
                        "look again while a model runs, or after sudo jetson_clocks",
                        "the memory is at %llu of %u MHz", (unsigned long long)(rate / 1000000),
                        p->emc_mhz);
}

/* ---------------------------------------------------------------- all of it ------------------ */

/* A graphical session takes memory that the GPU shares. */
static void examine_desktop(slm_doctor *d) {
    static slm_entry processes[4096];
    static const char *const names[] = {"gnome-shell", "Xorg", "Xwayland", "plasmashell"};
    char comm[32];
    size_t n = slm_doctor_list(d, "/proc", "", processes, 4096);
    for (size_t i = 0; i < n; i++) {
        if (processes[i].name[0] < '0' || processes[i].name[0] > '9' ||
            !slm_doctor_read(d, comm, sizeof comm, "/proc/%s/comm", processes[i].name))
            continue;
        for (size_t k = 0; k < sizeof names / sizeof *names; k++)
            if (strcmp(comm, names[k]) == 0) {
                slm_doctor_find(d, SLM_SEVERITY_NOTE, "memory",
                                "sudo systemctl set-default multi-user.target, then restart",
                                "a desktop is running (%s) and holds memory that models could have",
                                comm);
                return;
            }
    }
}

static void examine_tegra(slm_doctor *d, const char *compatible) {
    const char *module = find_module(compatible);
    if (module != NULL)
        slm_doctor_fact(d, "gpu", "module", "%s", module);
    else
        slm_doctor_find(d, SLM_SEVERITY_NOTE, "gpu", NULL, "the module is none of the Orin family");
    examine_release(d);
    examine_driver(d, 1);
    slm_device_profile p = examine_mode(d, module);
    examine_processors(d, &p);
    examine_gpu_clock(d, &p);
    examine_memory_clock(d, &p);
    examine_desktop(d);
}

/* Whether this program has CUDA, and, on this machine and not on a recorded one, whether its GPU can be
 * used: a model that is asked for on it is refused for that before anything else. */
static int examine_build(slm_doctor *d) {
    slm_model_options options = {.struct_size = sizeof options, .device = SLM_DEVICE_CUDA};
    slm_error error = SLM_ERROR_INIT;
    slm_model *none = NULL;
    slm_status status = slm_model_open_memory("", 1, &options, &none, &error);
    slm_model_close(&none);
    slm_doctor_fact(d, "gpu", "cuda_in_this_build", "%s", status == SLM_ERR_UNSUP ? "no" : "yes");
    if (status == SLM_ERR_UNSUP || d->root[0] != 0)
        return status != SLM_ERR_UNSUP;
    slm_doctor_fact(d, "gpu", "cuda_usable", "%s", status == SLM_ERR_DEVICE ? "no" : "yes");
    if (status == SLM_ERR_DEVICE)
        slm_doctor_find(d, SLM_SEVERITY_WARNING, "gpu",
                        "the driver and the build for this GPU that docs/ORIN.md names", "%s",
                        error.message);
    else
        slm_doctor_find(d, SLM_SEVERITY_OK, "gpu", NULL, "models can run on it");
    return 1;
}

void slm_doctor_gpu(slm_doctor *d) {
    char compatible[256];
    if (d->is_tegra &&
        slm_doctor_read(d, compatible, sizeof compatible, "/proc/device-tree/compatible"))
        examine_tegra(d, compatible);
    int has_device = slm_doctor_exists(d, "/dev/nvidia0") ||
                     slm_doctor_exists(d, "/dev/nvhost-gpu") ||
                     slm_doctor_exists(d, "/dev/nvgpu/igpu0");
    int has_driver = slm_doctor_exists(d, "/proc/driver/nvidia/version");
    if (!d->is_tegra)
        examine_driver(d, has_device);
    slm_doctor_fact(d, "gpu", "nvidia_device", "%s", has_device ? "yes" : "no");
    int has_cuda = examine_build(d);
    if ((has_driver || d->is_tegra) && !has_device)
        slm_doctor_find(
            d, SLM_SEVERITY_WARNING, "gpu",
            "in a container: pass the GPU's devices to it; else install the driver again",
            "an NVIDIA GPU is here, but there is no device file of it");
    if (!has_cuda && (has_device || has_driver || d->is_tegra))
        slm_doctor_find(d, SLM_SEVERITY_NOTE, "gpu", NULL,
                        "this build has no CUDA: models run on the processor");
}
