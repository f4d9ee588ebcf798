/* The Jetson Orin modules and their power modes. Multiprocessors, clocks and the clock of the
 * memory are those of the configuration files of the system's power tool (nvpmodel), the widths of
 * the memory and the full clocks those of the data sheets. */
#include "base/status.h"
#include "run/predict.h"

#include <stdio.h>
#include <string.h>

typedef struct slm_module {
    const char *name, *title;
    uint32_t gibibytes;
    uint32_t bus_bits;
} slm_module;

enum { NANO_4, NANO_8, NX_8, NX_16, AGX_32, AGX_64, AGX_INDUSTRIAL, N_MODULES };

static const slm_module modules[N_MODULES] = {
    [NANO_4] = {"orin-nano-4", "Jetson Orin Nano 4GB", 4, 64},
    [NANO_8] = {"orin-nano-8", "Jetson Orin Nano 8GB", 8, 128},
    [NX_8] = {"orin-nx-8", "Jetson Orin NX 8GB", 8, 128},
    [NX_16] = {"orin-nx-16", "Jetson Orin NX 16GB", 16, 128},
    [AGX_32] = {"agx-orin-32", "Jetson AGX Orin 32GB", 32, 256},
    [AGX_64] = {"agx-orin-64", "Jetson AGX Orin 64GB", 64, 256},
    [AGX_INDUSTRIAL] = {"agx-orin-industrial", "Jetson AGX Orin Industrial 64GB", 64, 256},
};

/* The first mode of a module is the one that its name alone stands for. */
static const struct {
    uint32_t module;
    const char *name, *mode;
    uint32_t n_sm, sm_mhz, emc_mhz;
} modes[] = {
    {NANO_4, "10w", "10W", 4, 625, 2133},
    {NANO_4, "7w-ai", "7W_AI", 4, 408, 2133},
    {NANO_4, "7w-cpu", "7W_CPU", 4, 306, 2133},
    {NANO_4, "10w-super", "10W", 4, 612, 2133},
    {NANO_4, "25w", "25W", 4, 1020, 3200},
    {NANO_4, "maxn-super", "MAXN_SUPER", 4, 1020, 3200},
    {NANO_8, "15w", "15W", 8, 625, 2133},
    {NANO_8, "7w", "7W", 4, 408, 2133},
    {NANO_8, "15w-super", "15W", 8, 612, 2133},
    {NANO_8, "25w", "25W", 8, 918, 3200},
    {NANO_8, "maxn-super", "MAXN_SUPER", 8, 1020, 3200},
    {NX_8, "maxn", "MAXN", 8, 765, 3200},
    {NX_8, "10w", "10W", 4, 612, 2133},
    {NX_8, "15w", "15W", 4, 612, 3200},
    {NX_8, "20w", "20W", 8, 408, 3200},
    {NX_8, "40w", "40W", 8, 1173, 3200},
    {NX_8, "maxn-super", "MAXN_SUPER", 8, 1173, 3200},
    {NX_16, "maxn", "MAXN", 8, 918, 3200},
    {NX_16, "10w", "10W", 4, 612, 2133},
    {NX_16, "15w", "15W", 4, 612, 3200},
    {NX_16, "25w", "25W", 8, 408, 3200},
    {NX_16, "40w", "40W", 8, 1173, 3200},
    {NX_16, "maxn-super", "MAXN_SUPER", 8, 1173, 3200},
    {AGX_32, "maxn", "MAXN", 14, 930, 3200},
    {AGX_32, "15w", "MODE_15W", 6, 408, 2133},
    {AGX_32, "30w", "MODE_30W", 8, 612, 3200},
    {AGX_32, "40w", "MODE_40W", 14, 816, 3200},
    {AGX_64, "maxn", "MAXN", 16, 1300, 3200},
    {AGX_64, "15w", "MODE_15W", 6, 408, 2133},
    {AGX_64, "30w", "MODE_30W", 8, 612, 3200},
    {AGX_64, "50w", "MODE_50W", 16, 816, 3200},
    {AGX_INDUSTRIAL, "maxn", "MAXN", 16, 1185, 3200},
};
#define N_MODES (sizeof modes / sizeof *modes)

int slm_profile_at(size_t index, slm_device_profile *p) {
    if (index >= N_MODES)
        return 0;
    const slm_module *m = &modules[modes[index].module];
    *p = (slm_device_profile){.struct_size = sizeof *p};
    p->n_sm = modes[index].n_sm;
    p->sm_mhz = modes[index].sm_mhz;
    p->emc_mhz = modes[index].emc_mhz;
    p->dram_gbps = p->emc_mhz * 1e6 * 2 * m->bus_bits / 8 / 1e9;
    p->memory_bytes = (uint64_t)m->gibibytes << 30;
    snprintf(p->name, sizeof p->name, "%s:%s", m->name, modes[index].name);
    snprintf(p->module, sizeof p->module, "%s", m->title);
    snprintf(p->mode, sizeof p->mode, "%s", modes[index].mode);
    return 1;
}

static void add_name(char *list, size_t cap, const char *name) {
    size_t len = strlen(list);
    snprintf(list + len, cap - len, "%s%s", len > 0 ? ", " : "", name);
}

slm_status slm_profile_find(const char *name, slm_device_profile *profile, slm_error *error) {
    size_t len = strcspn(name, ":");
    const char *mode = name[len] == ':' ? name + len + 1 : NULL;
    char list[200] = "";
    for (uint32_t m = 0; m < N_MODULES; m++) {
        add_name(list, sizeof list, modules[m].name);
        if (strlen(modules[m].name) != len || strncmp(modules[m].name, name, len) != 0)
            continue;
        list[0] = 0;
        for (size_t i = 0; i < N_MODES; i++) {
            if (modes[i].module != m)
                continue;
            if (mode == NULL || strcmp(mode, modes[i].name) == 0) {
                (void)slm_profile_at(i, profile);
                return SLM_OK;
            }
            add_name(list, sizeof list, modes[i].name);
        }
        return slm_fail(error, SLM_ERR_MISSING, name, SLM_NO_OFFSET,
                        "device profile: got mode \"%.40s\" of %s, wanted one of %s", mode,
                        modules[m].name, list);
    }
    return slm_fail(error, SLM_ERR_MISSING, name, SLM_NO_OFFSET,
                    "device profile: got \"%.40s\", wanted one of %s, each alone or with a mode, "
                    "such as orin-nx-16:25w",
                    name, list);
}
