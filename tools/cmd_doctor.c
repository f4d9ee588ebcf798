/* slm doctor: what a machine can do, what is wrong with it, and what to change. */
#include "cmd_doctor.h"

#include "base/load_rule.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GIB (1024.0 * 1024 * 1024)

/* ---------------------------------------------------------------- what is found -------------- */

void slm_doctor_fact(slm_doctor *d, const char *section, const char *name, const char *format,
                     ...) {
    if (d->n_facts == SLM_DOCTOR_FACTS)
        return;
    slm_fact *f = &d->facts[d->n_facts++];
    va_list args;
    *f = (slm_fact){.section = section, .name = name};
    va_start(args, format);
    vsnprintf(f->text, sizeof f->text, format, args);
    va_end(args);
}

void slm_doctor_number(slm_doctor *d, const char *section, const char *name, double value) {
    slm_doctor_fact(d, section, name, "%.15g", value);
    d->facts[d->n_facts - 1].is_number = 1;
}

void slm_doctor_find(slm_doctor *d, slm_severity severity, const char *topic, const char *change,
                     const char *format, ...) {
    if (d->n_findings == SLM_DOCTOR_FINDINGS)
        return;
    slm_finding *f = &d->findings[d->n_findings++];
    va_list args;
    *f = (slm_finding){.severity = severity, .topic = topic};
    va_start(args, format);
    vsnprintf(f->found, sizeof f->found, format, args);
    va_end(args);
    snprintf(f->change, sizeof f->change, "%s", change != NULL ? change : "");
}

/* ---------------------------------------------------------------- a model -------------------- */

/* How the weights come into memory, by the library's rule and the memory of the machine that is
 * examined. */
static const char *load_mode(const slm_doctor *d, const char *path, int32_t load,
                             uint64_t weights) {
    char packed[1024];
    if (load != SLM_LOAD_AUTO)
        return load == SLM_LOAD_MAP ? "map" : load == SLM_LOAD_READ ? "read" : "pack";
    if (d->is_portable)
        return "map";
    if (slm_load_packs(weights, d->memory_free))
        return "pack";
    FILE *file = NULL;
    if (snprintf(packed, sizeof packed, "%s.packed", path) < (int)sizeof packed)
        file = fopen(packed, "rb");
    if (file != NULL)
        fclose(file);
    return file != NULL ? "map, of the weights that were packed before" : "map";
}

/* Returns whether it can run. */
static int examine_plan(slm_doctor *d, const char *path, const slm_model_info *info,
                        const slm_plan *plan, int32_t load_asked, uint32_t n_ctx) {
    uint64_t own = plan->total_bytes - plan->weights_mapped;
    const char *load = load_mode(d, path, load_asked, info->weight_bytes);
    slm_doctor_fact(d, "model", "architecture", "%s", info->architecture);
    slm_doctor_fact(d, "model", "quantization", "%s", info->quantization);
    slm_doctor_number(d, "model", "n_ctx", n_ctx);
    slm_doctor_number(d, "model", "weight_bytes", info->weight_bytes);
    slm_doctor_number(d, "model", "cache_and_scratch_bytes", own);
    slm_doctor_fact(d, "model", "load", "%s", load);
    if (d->memory_total == 0)
        return 1;
    if (own > d->memory_free) {
        slm_doctor_find(d, SLM_SEVERITY_PROBLEM, "model", "a smaller context: -c, or --kv q8_0",
                        "keys, values and scratch take %.2f GiB, %.2f are available",
                        (double)own / GIB, (double)d->memory_free / GIB);
        return 0;
    }
    if (info->weight_bytes + own > d->memory_total)
        slm_doctor_find(
            d, SLM_SEVERITY_PROBLEM, "model",
            "a smaller model, or stronger quantization (slm quantize)",
            "it takes %.2f GiB, the machine has %.2f: weights will be read from the disk "
            "for each token",
            (double)(info->weight_bytes + own) / GIB, (double)d->memory_total / GIB);
    else if (info->weight_bytes + own > d->memory_free)
        slm_doctor_find(d, SLM_SEVERITY_WARNING, "model", "end what is not needed",
                        "it takes %.2f GiB, %.2f are available now",
                        (double)(info->weight_bytes + own) / GIB, (double)d->memory_free / GIB);
    else
        slm_doctor_find(d, SLM_SEVERITY_OK, "model", NULL,
                        "it takes %.2f of %.2f GiB that are available",
                        (double)(info->weight_bytes + own) / GIB, (double)d->memory_free / GIB);
    if (load_asked == SLM_LOAD_AUTO && strcmp(load, "map") == 0 && !d->is_portable)
        slm_doctor_find(d, SLM_SEVERITY_NOTE, "model", "slm pack MODEL, or more free memory",
                        "the memory does not suffice to pack the weights: slower than it could be");
    return 1;
}

/* 0, or the exit status after printing why the model cannot run. */
static int examine_model(slm_doctor *d, const char *path, const slm_cli_common *common) {
    slm_cli_common mapped = *common; /* nothing is to be read, packed or copied for a report */
    slm_model *model = NULL;
    slm_model_info info = {.struct_size = sizeof info};
    slm_plan plan = {.struct_size = sizeof plan};
    slm_cache_options cache;
    slm_error error = SLM_ERROR_INIT;
    mapped.load = SLM_LOAD_MAP;
    mapped.device = SLM_DEVICE_CPU;
    int status = slm_cli_open_model(path, &mapped, 0, &model);
    if (status == 0) {
        slm_cli_cache_options(model, common, &cache);
        if (slm_model_get_info(model, &info, &error) != SLM_OK ||
            slm_cache_plan(model, &cache, &plan, &error) != SLM_OK)
            status = slm_cli_fail_error(path, &error);
        slm_model_close(&model);
    }
    if (status != 0)
        slm_doctor_find(d, SLM_SEVERITY_PROBLEM, "model", "slm inspect MODEL",
                        "it cannot be opened, or not with these options");
    else if (!examine_plan(d, path, &info, &plan, common->load, cache.n_ctx))
        status = slm_cli_fail("%s: %s", path, d->findings[d->n_findings - 1].found);
    return status;
}

/* ---------------------------------------------------------------- the report ----------------- */

static const char *const severities[] = {"ok", "note", "warning", "problem"};

static void print_text(const slm_doctor *d) {
    const char *section = "";
    for (size_t i = 0; i < d->n_facts; i++) {
        const slm_fact *f = &d->facts[i];
        if (strcmp(section, f->section) != 0)
            slm_cli_print("%s%s\n", i > 0 ? "\n" : "", section = f->section);
        size_t len = strlen(f->name);
        int is_bytes = len > 6 && strcmp(f->name + len - 6, "_bytes") == 0;
        if (is_bytes)
            slm_cli_print("  %.*s%*s %.2f GiB\n", (int)(len - 6), f->name, (int)(24 - (len - 6)),
                          "", strtod(f->text, NULL) / GIB);
        else
            slm_cli_print("  %-24s %s\n", f->name, f->text[0] != 0 ? f->text : "-");
    }
    slm_cli_print("\nfindings\n");
    for (int severity = SLM_SEVERITY_PROBLEM; severity >= SLM_SEVERITY_OK; severity--)
        for (size_t i = 0; i < d->n_findings; i++) {
            const slm_finding *f = &d->findings[i];
            if ((int)f->severity != severity)
                continue;
            slm_cli_print("  %-8s %s: %s\n", severities[severity], f->topic, f->found);
            if (f->change[0] != 0)
                slm_cli_print("           change: %s\n", f->change);
        }
}

static void print_member(const char *name, const char *text, int is_number) {
    slm_cli_print("\"%s\":", name);
    if (is_number)
        slm_cli_print("%s", text);
    else
        slm_cli_print_json_text(text, strlen(text));
}

static void print_json(const slm_doctor *d) {
    slm_severity worst = SLM_SEVERITY_OK;
    const char *section = "";
    slm_cli_print("{");
    for (size_t i = 0; i < d->n_facts; i++) {
        const slm_fact *f = &d->facts[i];
        if (strcmp(section, f->section) != 0)
            slm_cli_print("%s\"%s\":{", i > 0 ? "}," : "", section = f->section);
        else
            slm_cli_print(",");
        print_member(f->name, f->text, f->is_number);
    }
    slm_cli_print("},\"findings\":[");
    for (size_t i = 0; i < d->n_findings; i++) {
        const slm_finding *f = &d->findings[i];
        slm_cli_print("%s{\"severity\":\"%s\",", i > 0 ? "," : "", severities[f->severity]);
        print_member("topic", f->topic, 0);
        slm_cli_print(",");
        print_member("found", f->found, 0);
        slm_cli_print(",");
        print_member("change", f->change, 0);
        slm_cli_print("}");
        worst = f->severity > worst ? f->severity : worst;
    }
    slm_cli_print("],\"worst\":\"%s\"}\n", severities[worst]);
}

static void examine_system(slm_doctor *d) {
    char text[160], name[120];
    slm_doctor_fact(d, "system", "slm", "%s", slm_version());
    if (slm_doctor_read(d, text, sizeof text, "/proc/device-tree/model") ||
        slm_doctor_read(d, text, sizeof text, "/sys/class/dmi/id/product_name"))
        slm_doctor_fact(d, "system", "machine", "%s", text);
    if (slm_doctor_read(d, text, sizeof text, "/proc/sys/kernel/osrelease"))
        slm_doctor_fact(d, "system", "kernel", "%s", text);
    d->is_tegra = slm_doctor_read(d, name, sizeof name, "/proc/device-tree/compatible") &&
                  strstr(name, "nvidia,tegra") != NULL;
}

int slm_cmd_doctor(int argc, char **argv) {
    static const char *const arg_names[] = {"MODEL.gguf"};
    static const slm_cli_command command = {
        .name = "doctor",
        .synopsis = "[MODEL.gguf] [options]",
        .purpose = "Tells what this machine can do, what is wrong with it and what to change.",
        .notes =
            "Findings are ok, note, warning or problem. Exit status 1: the model cannot run here.\n"
            "Nothing is changed. As root it sees more (the memory's clock of a Jetson).\n",
        .min_args = 0,
        .max_args = 1,
        .arg_names = arg_names,
    };
    enum { OWN = 2 };
    static slm_doctor doctor;
    slm_cli_common common = {0};
    const char *path = NULL;
    int json = 0, status = 0;
    doctor.root = "";
    slm_opt options[OWN + SLM_CLI_COMMON_OPTIONS] = {
        {.name = "json",
         .kind = SLM_OPT_FLAG,
         .target = &json,
         .help = "one JSON object instead of a report"},
        {.name = "root",
         .kind = SLM_OPT_TEXT,
         .target = &doctor.root,
         .arg = "DIR",
         .help = NULL}, /* a machine's files recorded below a folder */
    };
    size_t n_options = OWN + slm_cli_common_options(options + OWN, &common);
    int parsed = slm_cli_parse(&command, options, n_options, argc, argv, &path);
    if (parsed >= 0)
        return parsed;
    if (doctor.root[0] != 0 && !slm_doctor_exists(&doctor, "/proc"))
        return slm_cli_fail(
            "option --root: %s: got a folder without proc, wanted the root of a system",
            doctor.root);
    examine_system(&doctor);
    slm_doctor_cpu(&doctor);
    slm_doctor_memory(&doctor);
    slm_doctor_heat(&doctor);
    slm_doctor_gpu(&doctor);
    if (path != NULL)
        status = examine_model(&doctor, path, &common);
    if (json)
        print_json(&doctor);
    else
        print_text(&doctor);
    return slm_cli_finish(status);
}
